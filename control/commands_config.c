/*
 * config show, check, diff, apply, confirm, undo. A file's content comes with the request: the daemon opens no path on a
 * client's behalf. Without one, `config apply` reads again what the daemon itself was started with.
 *
 * A candidate is built as a start would build it: the file, then conf.d, environment and flags on top.
 */
#include "control/commands.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "control/value.h"
#include "control/wire.h"

static struct config candidate; /* large; control thread only */

json_t *
commands_config_show(struct commands *commands, struct commands_call *call)
{
	return config_json(commands->config, usage_flag(&call->words, "--effective") != NULL);
}

static void
read_candidate(const struct commands *commands, const struct commands_call *call)
{
	const json_t *text = json_object_get(call->request, "text");
	const char *name = json_string_value(json_object_get(call->request, "file"));
	if (text == NULL)
		config_load(&candidate, &commands->sources);
	else
		config_load_text(&candidate, &commands->sources, name != NULL ? name : "FILE",
		    json_string_value(text), json_string_length(text));
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
	read_candidate(commands, call);
	call->exit_code = candidate.errors > 0 ? WIRE_FAILED : WIRE_OK;
	return json_pack(
	    "{s:s, s:o}", "file", candidate.errors > 0 ? "wrong" : "ok", "errors", errors_json(&candidate));
}

/* The first mistake, and how many there are; false if there is none. */
static bool
refuse_mistakes(struct commands_call *call)
{
	if (candidate.errors == 0)
		return false;
	if (candidate.errors == 1)
		snprintf(call->error, sizeof(call->error), "%s", candidate.messages[0]);
	else
		snprintf(call->error, sizeof(call->error), "%.400s (%u mistakes; config check lists them)",
		    candidate.messages[0], candidate.errors);
	return true;
}

static unsigned
count_restarts(const json_t *rows)
{
	unsigned count = 0;
	size_t at;
	json_t *row;
	json_array_foreach ((json_t *)rows, at, row)
		count += strcmp(json_string_value(json_object_get(row, "applies")), "restart") == 0;
	return count;
}

json_t *
commands_config_diff(struct commands *commands, struct commands_call *call)
{
	read_candidate(commands, call);
	if (refuse_mistakes(call))
		return NULL;
	json_t *rows = config_diff_json(commands->config, &candidate);
	if (count_restarts(rows) > 0)
		call->exit_code = WIRE_NEEDS_RESTART;
	return rows;
}

/* Seconds behind a flag; *seconds keeps its value if the flag was not given. False with the call's error. */
bool
commands_seconds(
    struct commands_call *call, const char *flag, unsigned least, unsigned most, unsigned *seconds)
{
	const char *text = usage_flag(&call->words, flag);
	if (text == NULL)
		return true;
	size_t len = strlen(text);
	if (len == 0 || len > 6 || text[strspn(text, "0123456789")] != '\0' || (unsigned)atoi(text) < least ||
	    (unsigned)atoi(text) > most) {
		snprintf(call->error, sizeof(call->error),
		    "%s: expected seconds from %u to %u, not \"%.40s\"", flag, least, most, text);
		call->exit_code = WIRE_USAGE;
		return false;
	}
	*seconds = (unsigned)atoi(text);
	return true;
}

/* What a change did, for every command that makes one. Takes the reference to rows. */
json_t *
commands_changed(struct commands *commands, struct commands_call *call, const char *done, json_t *rows)
{
	unsigned restarts = count_restarts(rows);
	json_t *result = json_pack("{s:s, s:i, s:i, s:o}", "result", done, "live",
	    (int)(json_array_size(rows) - restarts), "needs_restart", (int)restarts, "changes", rows);
	if (restarts > 0)
		call->exit_code = WIRE_NEEDS_RESTART;
	if (apply_confirm_left_s(&commands->apply) > 0)
		json_object_set_new(result, "confirm_within_s",
		    json_integer((json_int_t)apply_confirm_left_s(&commands->apply)));
	return result;
}

json_t *
commands_config_apply(struct commands *commands, struct commands_call *call)
{
	unsigned confirm_s = 0;
	json_t *rows;
	if (!commands_seconds(call, "--confirm-within", 1, APPLY_CONFIRM_S_MAX, &confirm_s))
		return NULL;
	read_candidate(commands, call);
	if (refuse_mistakes(call))
		return NULL;
	if (usage_flag(&call->words, "--dry-run") != NULL)
		return commands_changed(
		    commands, call, "nothing applied", config_diff_json(commands->config, &candidate));
	if (apply_config(&commands->apply, &candidate, &rows, call->error) != 0)
		return NULL;
	if (confirm_s > 0)
		apply_confirm_within(&commands->apply, confirm_s);
	return commands_changed(commands, call, "applied", rows);
}

json_t *
commands_config_confirm(struct commands *commands, struct commands_call *call)
{
	if (apply_confirm(&commands->apply) == 0)
		return json_pack("{s:s}", "result", "confirmed");
	snprintf(call->error, sizeof(call->error), "no change waits to be confirmed");
	return NULL;
}

json_t *
commands_config_undo(struct commands *commands, struct commands_call *call)
{
	json_t *rows;
	if (apply_undo(&commands->apply, &rows, call->error) != 0)
		return NULL;
	return commands_changed(commands, call, "undone", rows);
}

json_t *
commands_log_level(struct commands *commands, struct commands_call *call)
{
	const struct option *option = option_find("wirecache", "verbosity");
	const char *level = usage_word(&call->words, 0);
	json_t *rows = json_array();
	if (level != NULL) {
		json_decref(rows);
		candidate = *commands->config;
		candidate.errors = 0;
		config_set_by_command(&candidate, option, level, "wirectl log level");
		if (refuse_mistakes(call) ||
		    apply_config(&commands->apply, &candidate, &rows, call->error) != 0)
			return NULL;
	}
	json_decref(rows);
	return json_pack("{s:i, s:s}", "level", (int)commands->config->dataplane.verbosity, "meaning",
	    "0 what an operator should know, 1 more, 2 debugging, 3 also DPDK's own messages");
}
