/*
 * acl show, add, del: the option acl.allow, a prefix at a time. A change holds until the configuration is applied again; the
 * answer says which line would keep it.
 */
#include "control/commands.h"

#include <stdio.h>
#include <string.h>

#include "control/prefix.h"
#include "control/value.h"
#include "control/wire.h"

static uint64_t
worker_counter(struct commands *commands, const char *name)
{
	struct dataplane_counter counters[SAMPLE_COUNTERS_MAX];
	unsigned len = dataplane_counters(
	    commands->dataplane, DATAPLANE_GROUP_WORKER, -1, counters, SAMPLE_COUNTERS_MAX);
	return sample_counter(counters, len < SAMPLE_COUNTERS_MAX ? len : SAMPLE_COUNTERS_MAX, name);
}

static json_t *
list_json(const struct dataplane_config *config)
{
	json_t *list = json_array();
	for (unsigned i = 0; i < config->acl_allow_len; i++) {
		char text[PREFIX_TEXT_MAX];
		prefix_format(&config->acl_allow[i], text);
		json_array_append_new(list, json_string(text));
	}
	return list;
}

json_t *
commands_acl_show(struct commands *commands, struct commands_call *call)
{
	const struct dataplane_config *config = &commands->config->dataplane;
	return json_pack("{s:s, s:o, s:I, s:I, s:I, s:I, s:I}", "clients",
	    config->acl_allow_len > 0 ? "listed" : "any", "allow", list_json(config), "connections_per_s",
	    (json_int_t)config->connections_per_s, "datagrams_per_s", (json_int_t)config->datagrams_per_s,
	    "dropped_not_allowed", (json_int_t)worker_counter(commands, "gate_not_allowed"),
	    "dropped_too_many", (json_int_t)worker_counter(commands, "gate_too_many"), "connections_revoked",
	    (json_int_t)worker_counter(commands, "connections_revoked"));
}

static int
find_prefix(const struct dataplane_config *config, const struct dataplane_prefix *prefix)
{
	for (unsigned i = 0; i < config->acl_allow_len; i++)
		if (prefix_equal(&config->acl_allow[i], prefix))
			return (int)i;
	return -1;
}

static bool
parse_word(struct commands_call *call, struct dataplane_prefix *prefix)
{
	const char *word = usage_word(&call->words, 0);
	if (prefix_parse(word, prefix) == 0)
		return true;
	snprintf(call->error, sizeof(call->error),
	    "expected a prefix without host bits, such as 10.0.0.0/8 or fd00::/8, not \"%.60s\"", word);
	call->exit_code = WIRE_USAGE;
	return false;
}

/* Applies the list of `next`, and says how to keep it. */
static json_t *
apply_list(struct commands *commands, struct commands_call *call, struct config *next, const char *place)
{
	const struct option *option = option_find("acl", "allow");
	char text[VALUE_TEXT_MAX];
	unsigned confirm_s = 0;
	json_t *rows;
	if (!commands_seconds(call, "--confirm-within", 1, APPLY_CONFIRM_S_MAX, &confirm_s))
		return NULL;
	next->errors = 0;
	value_format(option, next, text, sizeof(text));
	config_set_by_command(next, option, text, place);
	if (apply_config(&commands->apply, next, &rows, call->error) != 0)
		return NULL;
	if (confirm_s > 0)
		apply_confirm_within(&commands->apply, confirm_s);
	json_t *result = commands_changed(commands, call, "applied", rows);
	json_object_set_new(result, "to_keep_it", json_sprintf("[acl] allow = %s", text));
	return result;
}

json_t *
commands_acl_add(struct commands *commands, struct commands_call *call)
{
	static struct config next;
	struct dataplane_prefix prefix;
	if (!parse_word(call, &prefix))
		return NULL;
	next = *commands->config;
	struct dataplane_config *config = &next.dataplane;
	if (find_prefix(config, &prefix) >= 0 || config->acl_allow_len == DATAPLANE_ACL_MAX) {
		snprintf(call->error, sizeof(call->error),
		    config->acl_allow_len == DATAPLANE_ACL_MAX ? "the list is full: it holds %u prefixes"
		                                               : "the list has that prefix",
		    DATAPLANE_ACL_MAX);
		return NULL;
	}
	config->acl_allow[config->acl_allow_len++] = prefix;
	return apply_list(commands, call, &next, "wirectl acl add");
}

json_t *
commands_acl_del(struct commands *commands, struct commands_call *call)
{
	static struct config next;
	struct dataplane_prefix prefix;
	if (!parse_word(call, &prefix))
		return NULL;
	next = *commands->config;
	struct dataplane_config *config = &next.dataplane;
	int at = find_prefix(config, &prefix);
	if (at < 0) {
		snprintf(call->error, sizeof(call->error),
		    "the list has no such prefix: wirectl acl show names those that it has");
		return NULL;
	}
	/* Without it everybody would be let in, which nobody means by taking a permission away. */
	if (config->acl_allow_len == 1) {
		snprintf(call->error, sizeof(call->error),
		    "it is the last one, and an empty list lets everybody in: for that, apply a "
		    "configuration "
		    "with an empty acl.allow");
		return NULL;
	}
	config->acl_allow_len--;
	memmove(&config->acl_allow[at], &config->acl_allow[at + 1],
	    (config->acl_allow_len - (unsigned)at) * sizeof(prefix));
	return apply_list(commands, call, &next, "wirectl acl del");
}
