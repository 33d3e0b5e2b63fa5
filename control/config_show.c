/*
 * The configuration for `config show` and `config diff`, and the part of it that a running daemon can take
 * over.
 */
#include "control/config.h"

#include <stdio.h>
#include <string.h>

#include "control/value.h"

static json_t *
option_name_json(const struct config *config, const struct option *option, unsigned port)
{
	if (option->per_port)
		return json_sprintf("port.%s.%s", config->dataplane.ports[port].name, option->name);
	return json_sprintf("%s.%s", option->section, option->name);
}

static json_t *
text_json(const struct config *config, const struct option *option, unsigned port)
{
	char text[VALUE_TEXT_MAX];
	value_format(option, config_base(config, option, port), text, sizeof(text));
	return json_string(text);
}

static void
append_row(json_t *rows, const struct config *config, const struct option *option, unsigned port, bool all)
{
	const struct config_origin *origin = config_origin_of(config, option, port);
	char place[CONFIG_PLACE_MAX + 16];
	if (!all && origin->source == CONFIG_DEFAULT)
		return;
	config_origin_format(origin, place, sizeof(place));
	json_t *row = json_object();
	json_object_set_new(row, "option", option_name_json(config, option, port));
	json_object_set_new(row, "value", value_json(option, config_base(config, option, port)));
	json_object_set_new(row, "text", text_json(config, option, port));
	json_object_set_new(row, "default", json_string(option->default_text));
	json_object_set_new(row, "applies", json_string(option->when == OPTION_LIVE ? "live" : "restart"));
	json_object_set_new(row, "origin", json_string(place));
	json_array_append_new(rows, row);
}

json_t *
config_json(const struct config *config, bool all)
{
	json_t *rows = json_array();
	for (unsigned i = 0; i < options_len; i++)
		append_row(rows, config, &options[i], 0, all);
	for (unsigned port = 0; port < config->dataplane.ports_len; port++)
		for (unsigned i = 0; i < port_options_len; i++)
			append_row(rows, config, &port_options[i], port, all);
	return rows;
}

enum option_when
config_applies(const struct config *running, const struct config *other, const struct option *option)
{
	const struct dataplane_config *was = &running->dataplane, *is = &other->dataplane;
	size_t reserved = running->memory_reserved_bytes;
	if (option->per_port)
		return option->when;
	const void *field = config_base(running, option, 0);
	field = (const char *)field + option->offset;
	if (field == &was->store.memory_bytes &&
	    is->store.memory_bytes > (reserved > 0 ? reserved : was->store.memory_bytes))
		return OPTION_RESTART; /* memory is taken at start */
	if (field == was->auth_file && (*was->auth_file == '\0') != (*is->auth_file == '\0'))
		return OPTION_RESTART; /* who is connected was never asked */
	if (field == (const void *)&was->udp_port && is->udp_port != 0 && *was->auth_file != '\0')
		return OPTION_RESTART; /* logins hold until then, and datagrams cannot log in */
	return option->when;
}

static void
append_difference(json_t *rows, json_t *name, const char *running, const char *other, enum option_when when)
{
	json_t *row = json_object();
	json_object_set_new(row, "option", name);
	json_object_set_new(row, "applies", json_string(when == OPTION_LIVE ? "live" : "restart"));
	json_object_set_new(row, "running", json_string(running));
	json_object_set_new(row, "new", json_string(other));
	json_array_append_new(rows, row);
}

static void
compare(json_t *rows, const struct config *running, unsigned running_port, const struct config *other,
    unsigned other_port, const struct option *option)
{
	char was[VALUE_TEXT_MAX], is[VALUE_TEXT_MAX];
	value_format(option, config_base(running, option, running_port), was, sizeof(was));
	value_format(option, config_base(other, option, other_port), is, sizeof(is));
	if (strcmp(was, is) != 0)
		append_difference(rows, option_name_json(other, option, other_port), was, is,
		    config_applies(running, other, option));
}

static int
find_port(const struct config *config, const char *name)
{
	for (unsigned i = 0; i < config->dataplane.ports_len; i++)
		if (strcmp(config->dataplane.ports[i].name, name) == 0)
			return (int)i;
	return -1;
}

json_t *
config_diff_json(const struct config *running, const struct config *other)
{
	json_t *rows = json_array();
	for (unsigned i = 0; i < options_len; i++)
		compare(rows, running, 0, other, 0, &options[i]);
	for (unsigned port = 0; port < other->dataplane.ports_len; port++) {
		const char *name = other->dataplane.ports[port].name;
		int before = find_port(running, name);
		if (before < 0)
			append_difference(
			    rows, json_sprintf("port.%s", name), "absent", "present", OPTION_RESTART);
		for (unsigned i = 0; i < port_options_len && before >= 0; i++)
			compare(rows, running, (unsigned)before, other, port, &port_options[i]);
	}
	for (unsigned port = 0; port < running->dataplane.ports_len; port++)
		if (find_port(other, running->dataplane.ports[port].name) < 0)
			append_difference(rows, json_sprintf("port.%s", running->dataplane.ports[port].name),
			    "present", "absent", OPTION_RESTART);
	return rows;
}

void
config_apply_live(struct config *running, const struct config *other)
{
	char text[VALUE_TEXT_MAX];
	for (unsigned i = 0; i < options_len; i++) {
		if (config_applies(running, other, &options[i]) != OPTION_LIVE)
			continue;
		value_format(&options[i], other, text, sizeof(text));
		value_parse(&options[i], running, text);
		running->origins[i] = other->origins[i];
	}
}
