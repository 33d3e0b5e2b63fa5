/*
 * Values, origins and errors of the configuration. The sources are in config_file.c, config_env.c,
 * config_args.c.
 */
#include "control/config.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "control/plan.h"
#include "control/value.h"

static struct config_origin *
origin_slot(struct config *config, const struct option *option, unsigned port)
{
	if (option->per_port)
		return &config->port_origins[port][option - port_options];
	return &config->origins[option - options];
}

const struct config_origin *
config_origin_of(const struct config *config, const struct option *option, unsigned port)
{
	return origin_slot((struct config *)config, option, port);
}

const void *
config_base(const struct config *config, const struct option *option, unsigned port)
{
	return option->per_port ? (const void *)&config->dataplane.ports[port] : (const void *)config;
}

void
config_init(struct config *config)
{
	memset(config, 0, sizeof(*config));
	dataplane_config_default(&config->dataplane);
	config->dataplane.ports_len = 0;
	for (unsigned i = 0; i < options_len; i++)
		value_parse(&options[i], config, options[i].default_text);
}

void
config_origin_format(const struct config_origin *origin, char *out, size_t out_bytes)
{
	if (origin->source == CONFIG_DEFAULT)
		snprintf(out, out_bytes, "default");
	else if (origin->line > 0)
		snprintf(out, out_bytes, "%s:%u", origin->place, origin->line);
	else
		snprintf(out, out_bytes, "%s", origin->place);
}

void
config_error(struct config *config, const struct config_origin *origin, const char *format, ...)
{
	if (config->errors++ >= CONFIG_ERRORS_MAX)
		return;
	char *message = config->messages[config->errors - 1];
	size_t used = 0;
	/* Who said a command knows where: in it. */
	if (origin != NULL && origin->source != CONFIG_DEFAULT && origin->source != CONFIG_COMMAND) {
		config_origin_format(origin, message, CONFIG_MESSAGE_MAX - 16);
		used = strlen(message);
		if (origin->column > 0)
			used += (size_t)snprintf(message + used, 16, ":%u", origin->column);
		used += (size_t)snprintf(message + used, CONFIG_MESSAGE_MAX - used, ": ");
	}
	va_list args;
	va_start(args, format);
	vsnprintf(message + used, CONFIG_MESSAGE_MAX - used, format, args);
	va_end(args);
}

/* "memory.limit", or "device" of a port: its section stands in the place or in the flag. */
static void
option_label(
    const struct config *config, const struct option *option, unsigned port, char *out, size_t out_bytes)
{
	if (option->per_port)
		snprintf(out, out_bytes, "port.%s.%s", config->dataplane.ports[port].name, option->name);
	else
		snprintf(out, out_bytes, "%s.%s", option->section, option->name);
}

void
config_set(struct config *config, const struct option *option, unsigned port, const char *text,
    const struct config_origin *origin)
{
	struct config_origin *slot = origin_slot(config, option, port);
	char label[96], expected[160];
	option_label(config, option, port, label, sizeof(label));
	if (origin->source == CONFIG_FILE && slot->source == CONFIG_FILE &&
	    strcmp(origin->place, slot->place) == 0) {
		config_error(
		    config, origin, "%s is set twice, first in line %u: remove one", label, slot->line);
		return;
	}
	if (value_parse(option, (void *)config_base(config, option, port), text) != 0) {
		value_expected(option, expected, sizeof(expected));
		config_error(config, origin, "%s: expected %s, not \"%.80s\"", label, expected, text);
		return;
	}
	*slot = *origin;
}

static bool
port_name_valid(const char *name)
{
	size_t len = strlen(name);
	for (const char *at = name; *at != '\0'; at++)
		if (!isalnum((unsigned char)*at) && *at != '-' && *at != '_')
			return false;
	return len > 0 && len < DATAPLANE_NAME_MAX;
}

int
config_port(struct config *config, const char *name, const struct config_origin *origin)
{
	struct dataplane_config *dataplane = &config->dataplane;
	for (unsigned i = 0; i < dataplane->ports_len; i++)
		if (strcmp(dataplane->ports[i].name, name) == 0)
			return (int)i;
	if (!port_name_valid(name)) {
		config_error(config, origin,
		    "\"%.80s\" is no name of a port: expected 1 to %u letters, digits, - or _, as in [port "
		    "lan0]",
		    name, DATAPLANE_NAME_MAX - 1);
		return -1;
	}
	if (dataplane->ports_len == DATAPLANE_PORTS_MAX) {
		config_error(
		    config, origin, "port %s is one too many: there may be %u", name, DATAPLANE_PORTS_MAX);
		return -1;
	}
	unsigned at = dataplane->ports_len++;
	struct dataplane_port_config *port = &dataplane->ports[at];
	memset(port, 0, sizeof(*port));
	snprintf(port->name, sizeof(port->name), "%s", name);
	for (unsigned i = 0; i < port_options_len; i++)
		value_parse(&port_options[i], port, port_options[i].default_text);
	config->port_declared[at] = *origin;
	return (int)at;
}

void
config_set_by_command(struct config *config, const struct option *option, const char *text, const char *place)
{
	struct config_origin origin = {.source = CONFIG_COMMAND};
	snprintf(origin.place, sizeof(origin.place), "%s", place);
	config_set(config, option, 0, text, &origin);
}

static const char *
main_file(const struct config_sources *sources)
{
	return sources->request.file != NULL ? sources->request.file : CONFIG_FILE_DEFAULT;
}

static void
plan(struct config *config, const struct config_sources *sources)
{
	static struct host host; /* large; control thread only */
	const char *root = sources->request.root;
	cpu_set_t allowed;
	host_scan(&host, root != NULL ? root : "");
	bool limited = root == NULL && sched_getaffinity(0, sizeof(allowed), &allowed) == 0;
	/* The control thread was moved to its own core when the daemon started: the first look counts. */
	static cpu_set_t at_start;
	static bool known;
	if (limited && !known) {
		at_start = allowed;
		known = true;
	}
	plan_config(config, &host, limited ? &at_start : NULL);
}

/* What is read behind the file. */
static void
load_rest(struct config *config, const struct config_sources *sources)
{
	config_parse_directory(config, main_file(sources));
	config_parse_environment(config, sources->environment);
	config_parse_arguments(config, sources->argc, sources->argv);
	if (sources->plan)
		plan(config, sources);
	config_check(config);
}

void
config_load(struct config *config, const struct config_sources *sources)
{
	config_init(config);
	config_parse_file(config, main_file(sources), sources->request.file == NULL);
	load_rest(config, sources);
}

void
config_load_text(struct config *config, const struct config_sources *sources, const char *name,
    const char *text, size_t text_bytes)
{
	config_init(config);
	config_parse_text(config, name, text, text_bytes);
	load_rest(config, sources);
}
