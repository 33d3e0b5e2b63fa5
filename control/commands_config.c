/*
 * config show, check, diff. The file's content comes with the request: the daemon opens no path on a client's
 * behalf.
 *
 * check and diff build a second configuration from defaults and the file, with the flags and environment of
 * the running daemon on top, since those would be there after a restart too.
 */
#include "control/commands.h"

#include <stdio.h>
#include <string.h>

#include "control/value.h"
#include "control/wire.h"

json_t *
commands_config_show(struct commands *commands, struct commands_call *call)
{
	return config_json(commands->config, usage_flag(&call->words, "--effective") != NULL);
}

/* An option that environment or flags set keeps that value. */
static void
overlay_option(struct config *config, const struct config *running, const struct option *option,
    unsigned from, unsigned to)
{
	const struct config_origin *origin = config_origin_of(running, option, from);
	char text[VALUE_TEXT_MAX];
	if (origin->source != CONFIG_ENVIRONMENT && origin->source != CONFIG_FLAG)
		return;
	value_format(option, config_base(running, option, from), text, sizeof(text));
	config_set(config, option, to, text, origin);
}

static void
overlay(struct config *config, const struct config *running)
{
	for (unsigned i = 0; i < options_len; i++)
		overlay_option(config, running, &options[i], 0, 0);
	for (unsigned port = 0; port < running->dataplane.ports_len; port++)
		for (unsigned i = 0; i < port_options_len; i++) {
			const struct config_origin *origin =
			    config_origin_of(running, &port_options[i], port);
			if (origin->source != CONFIG_ENVIRONMENT && origin->source != CONFIG_FLAG)
				continue;
			int to = config_port(config, running->dataplane.ports[port].name, origin);
			if (to >= 0)
				overlay_option(config, running, &port_options[i], port, (unsigned)to);
		}
}

static void
read_candidate(const struct commands *commands, const struct commands_call *call, struct config *candidate)
{
	const json_t *text = json_object_get(call->request, "text");
	const char *name = json_string_value(json_object_get(call->request, "file"));
	config_init(candidate);
	config_parse_text(
	    candidate, name != NULL ? name : "FILE", json_string_value(text), json_string_length(text));
	overlay(candidate, commands->config);
	config_check(candidate);
}

static json_t *
errors_json(const struct config *config)
{
	json_t *errors = json_array();
	for (unsigned i = 0; i < config->errors && i < CONFIG_ERRORS_MAX; i++)
		json_array_append_new(errors, wire_string(config->messages[i]));
	if (config->errors > CONFIG_ERRORS_MAX)
		json_array_append_new(
		    errors, json_sprintf("and %u more", config->errors - CONFIG_ERRORS_MAX));
	return errors;
}

json_t *
commands_config_check(struct commands *commands, struct commands_call *call)
{
	static struct config candidate; /* large; control thread only */
	read_candidate(commands, call, &candidate);
	call->exit_code = candidate.errors > 0 ? WIRE_FAILED : WIRE_OK;
	return json_pack(
	    "{s:s, s:o}", "file", candidate.errors > 0 ? "wrong" : "ok", "errors", errors_json(&candidate));
}

json_t *
commands_config_diff(struct commands *commands, struct commands_call *call)
{
	static struct config candidate;
	size_t at;
	json_t *row;
	read_candidate(commands, call, &candidate);
	if (candidate.errors > 0) {
		snprintf(call->error, sizeof(call->error), "%s", candidate.messages[0]);
		return NULL;
	}
	json_t *rows = config_diff_json(commands->config, &candidate);
	json_array_foreach (rows, at, row)
		if (strcmp(json_string_value(json_object_get(row, "applies")), "restart") == 0)
			call->exit_code = WIRE_NEEDS_RESTART;
	return rows;
}
