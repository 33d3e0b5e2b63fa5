/*
 * `stats detail on|off|dump`: keys counted by prefix (prefixes.h). As in memcached get and gat, the storage commands
 * and delete count, of the text and the binary protocol; meta commands, incr and touch do not.
 */
#include "dataplane/serve.h"
#include "dataplane/serve_internal.h"

#include <stdlib.h>
#include <string.h>

static void
count(struct serve *serve, const struct store_key *key, enum prefix_event event)
{
	uint32_t len = prefix_len(key->bytes, key->len);
	uint64_t hash;

	if (len == UINT32_MAX)
		return;
	hash = len != 0 ? store_hash(serve->store, key->bytes, len) : 0;
	if (!prefixes_count(serve->prefixes, hash, key->bytes, len, event))
		serve->counters.prefixes_untold++;
}

void
serve_detail_get(struct serve *serve, const struct store_key *key, bool hit)
{
	if (!serve_watched(serve, SERVE_DETAIL))
		return;
	count(serve, key, PREFIX_GET);
	if (hit)
		count(serve, key, PREFIX_HIT);
}

void
serve_detail_change(struct serve *serve, const struct store_key *key, enum prefix_event event)
{
	if (serve_watched(serve, SERVE_DETAIL))
		count(serve, key, event);
}

/* ---- the command ------------------------------------------------------------------------------ */

static uint8_t *
put_word(uint8_t *to, const char *word, uint64_t number)
{
	size_t len = strlen(word);

	memcpy(to, word, len);
	return proto_put_u64(to + len, number);
}

uint32_t
serve_detail_line(const struct prefix *prefix, uint8_t *begin)
{
	uint8_t *to = begin;

	memcpy(to, "PREFIX ", 7);
	memcpy(to + 7, prefix->bytes, prefix->len);
	to = put_word(to + 7 + prefix->len, " get ", prefix->count[PREFIX_GET]);
	to = put_word(to, " hit ", prefix->count[PREFIX_HIT]);
	to = put_word(to, " set ", prefix->count[PREFIX_SET]);
	to = put_word(to, " del ", prefix->count[PREFIX_DELETE]);
	memcpy(to, "\r\n", 2);
	return (uint32_t)(to + 2 - begin);
}

static void
dump(struct serve_call *call)
{
	uint8_t line[SERVE_DETAIL_LINE_MAX];
	uint32_t len;
	struct prefix *sum = prefixes_sum(call->serve->host.prefixes, &len);

	for (uint32_t i = 0; i < len && !call->broken; i++)
		serve_out(call, line, serve_detail_line(&sum[i], line));
	free(sum);
	serve_out_reply(call, PROTO_REPLY_END);
}

void
serve_detail_enable(struct serve *serve, bool enabled)
{
	prefixes_enable(serve->host.prefixes, enabled);
	serve_watched_update(serve);
}

enum serve_state
serve_detail(struct serve_call *call, const struct proto_request *request)
{
	const struct proto_token *word = &request->tokens[2];
	bool on = request->tokens_len > 2 && proto_token_is(word, "on");
	bool off = request->tokens_len > 2 && proto_token_is(word, "off");

	if (request->tokens_len < 3 || !(on || off || proto_token_is(word, "dump"))) {
		serve_out_reply(call, PROTO_REPLY_DETAIL_USAGE);
	} else if (call->serve->prefixes == NULL) {
		serve_out_reply(call, PROTO_REPLY_DETAIL_FORBIDDEN);
	} else if (on || off) {
		serve_detail_enable(call->serve, on);
		serve_out_reply(call, PROTO_REPLY_OK);
	} else {
		dump(call);
	}
	return SERVE_GO_ON;
}
