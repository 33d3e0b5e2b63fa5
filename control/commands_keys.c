/*
 * keys hot, big and list.
 */
#include "control/commands.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "control/observed.h"

#define HOT_ROWS_DEFAULT 20u
#define HOT_ROWS_MAX     64u
#define BIG_ROWS_MAX     16u
#define DUMP_ITEMS_MAX   2000u  /* of one reply: 1.6 MB with the longest keys */
#define DUMP_BUDGET      20000u /* places looked at in one call: about a millisecond */

/* The number behind --count, within bounds; false with an error. */
static bool
parse_count(struct commands_call *call, unsigned fallback, unsigned most, unsigned *count)
{
	const char *text = usage_flag(&call->words, "--count");
	char *end = NULL;
	unsigned long number = text != NULL ? strtoul(text, &end, 10) : fallback;
	if (text != NULL && (*text < '0' || *text > '9' || *end != '\0' || number < 1)) {
		snprintf(call->error, sizeof(call->error),
		    "--count: expected a number from 1 on, not \"%.20s\"", text);
		return false;
	}
	*count = number < most ? (unsigned)number : most;
	return true;
}

json_t *
commands_keys_hot(struct commands *commands, struct commands_call *call)
{
	struct observe_key keys[HOT_ROWS_MAX];
	uint64_t samples;
	unsigned count, len;
	if (!parse_count(call, HOT_ROWS_DEFAULT, HOT_ROWS_MAX, &count))
		return NULL;
	len = observe_hot_keys(commands->dataplane, keys, count, &samples);
	json_t *rows = json_array();
	for (unsigned i = 0; i < len; i++)
		json_array_append_new(rows,
		    json_pack("{s:o, s:f, s:I, s:I}", "key", observed_key(keys[i].key, keys[i].key_len),
		        "share_pct", samples > 0 ? 100.0 * (double)keys[i].samples / (double)samples : 0.0,
		        "samples", (json_int_t)keys[i].samples, "of_samples", (json_int_t)samples));
	return rows;
}

json_t *
commands_keys_big(struct commands *commands, struct commands_call *call)
{
	struct observe_key keys[BIG_ROWS_MAX];
	struct dataplane_info info;
	unsigned len = observe_big_keys(commands->dataplane, keys, BIG_ROWS_MAX);
	json_t *rows = json_array();
	dataplane_info(commands->dataplane, &info);
	uint64_t now_s = info.started_s + info.uptime_s;
	for (unsigned i = 0; i < len; i++)
		json_array_append_new(
		    rows, json_pack("{s:o, s:I, s:I}", "key", observed_key(keys[i].key, keys[i].key_len),
		              "value_bytes", (json_int_t)keys[i].value_bytes, "seen_before_s",
		              (json_int_t)(now_s > keys[i].seen_s ? now_s - keys[i].seen_s : 0)));
	return rows;
}

/* ---- dump ------------------------------------------------------------------------------------- */

struct dump {
	json_t *rows;
	uint64_t now_s;
};

static bool
dump_visit(void *visit_ctx, const struct observe_item *item)
{
	struct dump *dump = visit_ctx;
	if (json_array_size(dump->rows) == DUMP_ITEMS_MAX)
		return false;
	json_array_append_new(
	    dump->rows, json_pack("{s:o, s:I, s:I, s:o, s:b}", "key", observed_key(item->key, item->key_len),
	                    "value_bytes", (json_int_t)item->value_bytes, "item_bytes",
	                    (json_int_t)item->total_bytes, "expires_in_s",
	                    item->expires_s == STORE_EXPTIME_NEVER
	                        ? json_null()
	                        : json_integer((json_int_t)item->expires_s - (json_int_t)dump->now_s),
	                    "fetched", item->fetched));
	return true;
}

/* The dump that goes on, or a new one in the oldest's place. Its cursor stays here: a client's could lie. */
static struct commands_dump *
find_dump(struct commands *commands, struct commands_call *call)
{
	const char *text = usage_flag(&call->words, "--from");
	uint64_t number = text != NULL ? strtoull(text, NULL, 10) : 0;
	struct commands_dump *oldest = &commands->dumps[0];
	for (unsigned i = 0; i < COMMANDS_DUMPS_MAX; i++) {
		struct commands_dump *dump = &commands->dumps[i];
		if (number != 0 && dump->number == number)
			return dump;
		if (dump->number < oldest->number)
			oldest = dump;
	}
	if (text != NULL) {
		snprintf(call->error, sizeof(call->error),
		    "--from: there is no dump \"%.20s\" that goes on: begin a new one", text);
		return NULL;
	}
	*oldest = (struct commands_dump){.number = ++commands->dumps_begun};
	return oldest;
}

json_t *
commands_keys_list(struct commands *commands, struct commands_call *call)
{
	struct dataplane_info info;
	struct dump dump = {0};
	struct commands_dump *place = find_dump(commands, call);
	if (place == NULL)
		return NULL;
	dataplane_info(commands->dataplane, &info);
	dump.rows = json_array();
	dump.now_s = info.started_s + info.uptime_s;
	int more = observe_items(commands->dataplane, &place->cursor, DUMP_BUDGET, dump_visit, &dump);
	if (more < 0) {
		json_decref(dump.rows);
		snprintf(call->error, sizeof(call->error), "the store has no place for another reader: %s",
		    strerror(-more));
		return NULL;
	}
	json_t *next = more ? json_integer((json_int_t)place->number) : json_null();
	if (!more)
		place->number = 0;
	return json_pack("{s:o, s:o}", "keys", dump.rows, "next", next);
}
