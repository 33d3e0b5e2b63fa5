/*
 * `stats`: memcached's statistics under their own names, and the counter tables by group.
 */
#include "control/commands.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/store.h"

/* "123" becomes the integer; all else ("1.6.18", "0.013000", "yes") stays text. Leading zeros are not a
 * number's. */
static json_t *
stat_value(const char *text)
{
	size_t len = strlen(text);
	if (len == 0 || len > 18 || text[strspn(text, "0123456789")] != '\0' || (len > 1 && text[0] == '0'))
		return json_string(text);
	return json_integer(strtoll(text, NULL, 10));
}

static void
emit_stat(void *object, const char *name, const char *value)
{
	json_object_set_new(object, name, stat_value(value));
}

static json_t *
counter_row(const char *name, uint64_t value, const char *help)
{
	return json_pack("{s:s, s:I, s:s}", "counter", name, "value", (json_int_t)value, "help", help);
}

static unsigned
read_counters(struct commands *commands, enum dataplane_group group, int worker,
    struct dataplane_counter out[SAMPLE_COUNTERS_MAX])
{
	unsigned len = dataplane_counters(commands->dataplane, group, worker, out, SAMPLE_COUNTERS_MAX);
	return len < SAMPLE_COUNTERS_MAX ? len : SAMPLE_COUNTERS_MAX;
}

static json_t *
group_json(struct commands *commands, enum dataplane_group group, bool drops_only)
{
	struct dataplane_counter counters[SAMPLE_COUNTERS_MAX];
	unsigned len = read_counters(commands, group, -1, counters);
	json_t *rows = json_array();
	for (unsigned i = 0; i < len; i++)
		if (!drops_only || strncmp(counters[i].name, "drop_", 5) == 0)
			json_array_append_new(
			    rows, counter_row(counters[i].name, counters[i].value, counters[i].help));
	return rows;
}

static json_t *
stats_net(struct commands *commands)
{
	return group_json(commands, DATAPLANE_GROUP_NET, false);
}

static json_t *
stats_requests(struct commands *commands)
{
	return group_json(commands, DATAPLANE_GROUP_REQUEST, false);
}

/* Reasons that occurred first: the table is long and most of it is zero on a good day. */
static json_t *
stats_drops(struct commands *commands)
{
	json_t *all = group_json(commands, DATAPLANE_GROUP_NET, true), *sorted = json_array();
	size_t at;
	json_t *row;
	for (int zero = 0; zero < 2; zero++)
		json_array_foreach (all, at, row)
			if ((json_integer_value(json_object_get(row, "value")) == 0) == zero)
				json_array_append(sorted, row);
	json_decref(all);
	return sorted;
}

static json_t *
stats_store(struct commands *commands)
{
	struct store_counters sum;
	json_t *rows = json_array();
	dataplane_store_counters(commands->dataplane, &sum);
#define STORE_COUNTER(name, help) json_array_append_new(rows, counter_row(#name, sum.name, help));
#include "store/counters.def"
#undef STORE_COUNTER
	return rows;
}

/* A row a counter, a column a worker. */
static json_t *
stats_workers(struct commands *commands)
{
	struct dataplane_counter counters[SAMPLE_COUNTERS_MAX];
	struct dataplane_info info;
	dataplane_info(commands->dataplane, &info);
	json_t *rows = json_array();
	unsigned len = read_counters(commands, DATAPLANE_GROUP_WORKER, -1, counters);
	for (unsigned i = 0; i < len; i++)
		json_array_append_new(rows, json_pack("{s:s, s:I}", "counter", counters[i].name, "total",
		                                (json_int_t)counters[i].value));
	for (unsigned worker = 0; worker < info.workers; worker++) {
		char column[24];
		snprintf(column, sizeof(column), "worker_%u", worker);
		len = read_counters(commands, DATAPLANE_GROUP_WORKER, (int)worker, counters);
		for (unsigned i = 0; i < len; i++)
			json_object_set_new(
			    json_array_get(rows, i), column, json_integer((json_int_t)counters[i].value));
	}
	return rows;
}

static const struct {
	const char *name;
	json_t *(*read)(struct commands *commands);
} groups[] = {{"drops", stats_drops}, {"net", stats_net}, {"requests", stats_requests},
    {"store", stats_store}, {"workers", stats_workers}};

json_t *
commands_stats(struct commands *commands, struct commands_call *call)
{
	const char *group = call->words.plain_len > 0 ? call->words.plain[0] : "";
	for (unsigned i = 0; i < sizeof(groups) / sizeof(groups[0]); i++)
		if (strcmp(groups[i].name, group) == 0)
			return groups[i].read(commands);
	json_t *result = json_object();
	if (dataplane_stats(commands->dataplane, group, emit_stat, result))
		return result;
	json_decref(result);
	snprintf(call->error, sizeof(call->error),
	    "no group \"%.60s\": there are drops, net, requests, store, workers and memcached's settings",
	    group);
	return NULL;
}
