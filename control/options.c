/*
 * Builds the tables from options.def and searches them. They are short: a linear search is enough.
 */
#include "control/options.h"

#include <assert.h>
#include <string.h>

#include "control/config.h"
#include "control/text.h"

#define OPTION(section_, name_, type_, field_, default_, min_, max_, unit_, when_, flag_, help_) \
	{                                                                                        \
	    .section = #section_,                                                                \
	    .name = #name_,                                                                      \
	    .type = OPTION_##type_,                                                              \
	    .offset = offsetof(struct config, field_),                                           \
	    .bytes = sizeof(((struct config *)0)->field_),                                       \
	    .default_text = default_,                                                            \
	    .min = min_,                                                                         \
	    .max = max_,                                                                         \
	    .unit = unit_,                                                                       \
	    .when = OPTION_##when_,                                                              \
	    .flag = flag_,                                                                       \
	    .help = help_,                                                                       \
	},
#define PORT_OPTION(...)
const struct option options[] = {
#include "control/options.def"
};
#undef OPTION
#undef PORT_OPTION

#define OPTION(...)
#define PORT_OPTION(name_, type_, field_, default_, min_, max_, unit_, when_, help_) \
	{                                                                            \
	    .section = "port",                                                       \
	    .name = #name_,                                                          \
	    .type = OPTION_##type_,                                                  \
	    .per_port = true,                                                        \
	    .offset = offsetof(struct dataplane_port_config, field_),                \
	    .bytes = sizeof(((struct dataplane_port_config *)0)->field_),            \
	    .default_text = default_,                                                \
	    .min = min_,                                                             \
	    .max = max_,                                                             \
	    .unit = unit_,                                                           \
	    .when = OPTION_##when_,                                                  \
	    .flag = "",                                                              \
	    .help = help_,                                                           \
	},
const struct option port_options[] = {
#include "control/options.def"
};
#undef OPTION
#undef PORT_OPTION

const unsigned options_len = sizeof(options) / sizeof(options[0]);
const unsigned port_options_len = sizeof(port_options) / sizeof(port_options[0]);
static_assert(sizeof(options) / sizeof(options[0]) <= OPTIONS_MAX, "config holds an origin for every option");
static_assert(sizeof(port_options) / sizeof(port_options[0]) <= PORT_OPTIONS_MAX, "the same for each port");

/* OPTION_INTLIST names the count; the array ends where it begins. */
static_assert(offsetof(struct dataplane_config, worker_cpus_len) ==
                  offsetof(struct dataplane_config, worker_cpus) + sizeof(int) * DATAPLANE_WORKERS_MAX,
    "array and count are neighbours");
static_assert(offsetof(struct dataplane_config, worker_nodes_len) ==
                  offsetof(struct dataplane_config, worker_nodes) + sizeof(int) * DATAPLANE_WORKERS_MAX,
    "array and count are neighbours");
static_assert(
    offsetof(struct dataplane_config, acl_allow_len) - offsetof(struct dataplane_config, acl_allow) <
            sizeof(struct dataplane_prefix) * DATAPLANE_ACL_MAX + sizeof(unsigned) &&
        offsetof(struct dataplane_config, acl_allow) % sizeof(unsigned) == 0,
    "array and count are neighbours");
static_assert(offsetof(struct store_config, nodes_len) ==
                  offsetof(struct store_config, nodes) + sizeof(int) * STORE_NODES_MAX,
    "array and count are neighbours");

static bool
name_equal(const char *a, const char *b)
{
	for (; *a != '\0' && *b != '\0'; a++, b++)
		if ((*a == '-' ? '_' : *a) != (*b == '-' ? '_' : *b))
			return false;
	return *a == *b;
}

const struct option *
option_find(const char *section, const char *name)
{
	if (strcmp(section, "port") == 0) {
		for (unsigned i = 0; i < port_options_len; i++)
			if (name_equal(port_options[i].name, name))
				return &port_options[i];
		return NULL;
	}
	for (unsigned i = 0; i < options_len; i++)
		if (strcmp(options[i].section, section) == 0 && name_equal(options[i].name, name))
			return &options[i];
	return NULL;
}

const struct option *
option_find_bare(const char *name)
{
	const struct option *found = NULL;
	for (unsigned i = 0; i < options_len; i++) {
		if (!name_equal(options[i].name, name))
			continue;
		if (found != NULL)
			return NULL;
		found = &options[i];
	}
	return found;
}

bool
option_section_exists(const char *section)
{
	for (unsigned i = 0; i < options_len; i++)
		if (strcmp(options[i].section, section) == 0)
			return true;
	return false;
}

const char *
option_suggest_name(const char *section, const char *name)
{
	struct text_nearest nearest = text_nearest_begin(name);
	if (strcmp(section, "port") == 0)
		for (unsigned i = 0; i < port_options_len; i++)
			text_nearest_offer(&nearest, port_options[i].name);
	for (unsigned i = 0; i < options_len; i++)
		if (strcmp(options[i].section, section) == 0)
			text_nearest_offer(&nearest, options[i].name);
	return nearest.best;
}

const char *
option_suggest_section(const char *section)
{
	struct text_nearest nearest = text_nearest_begin(section);
	for (unsigned i = 0; i < options_len; i++)
		text_nearest_offer(&nearest, options[i].section);
	text_nearest_offer(&nearest, "port");
	return nearest.best;
}
