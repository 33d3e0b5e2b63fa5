/*
 * Dumps of all items: `lru_crawler metadump`, `lru_crawler mgdump` and `stats cachedump`.
 *
 * A dump is a reply that takes long. The session keeps a cursor over the store and writes a slice of it a call, until
 * the sink has no room (SERVE_FULL) or enough was looked at for one pass of the worker (SERVE_AGAIN). Between two calls
 * nothing in the store is held, and any number of sessions may dump at once.
 */
#include "dataplane/serve.h"
#include "dataplane/serve_internal.h"

#include <stdlib.h>
#include <string.h>

#include "dataplane/proto/base64.h"

/* Places looked at in one call: some tens of microseconds. */
#define DUMP_SLICE    512u
/* The longest line: a key in %XX and all numbers. */
#define DUMP_LINE_MAX (3u * PROTO_KEY_MAX + 256u)

enum dump_kind { DUMP_META, DUMP_KEYS, DUMP_CACHE };

struct serve_dump {
	struct store_cursor cursor;
	enum dump_kind kind;
	uint64_t left; /* items that may still be told */
};

static uint8_t *
put_text(uint8_t *to, const char *text)
{
	size_t len = strlen(text);

	memcpy(to, text, len);
	return to + len;
}

uint8_t *
serve_put_uri(uint8_t *to, const uint8_t *key, uint32_t len)
{
	static const char hex[] = "0123456789ABCDEF";

	for (uint32_t i = 0; i < len; i++) {
		uint8_t c = key[i];
		bool letter = (c | 0x20) >= 'a' && (c | 0x20) <= 'z';

		if (letter || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_' || c == '~') {
			*to++ = c;
		} else {
			*to++ = '%';
			*to++ = (uint8_t)hex[c >> 4];
			*to++ = (uint8_t)hex[c & 15];
		}
	}
	return to;
}

static uint8_t *
put_meta(uint8_t *to, const struct store_entry *entry)
{
	const struct store_view *view = &entry->view;

	to = serve_put_uri(put_text(to, "key="), entry->key, entry->key_len);
	to = put_text(to, " exp=");
	if (view->expires_s == STORE_EXPTIME_NEVER)
		to = put_text(to, "-1");
	else
		to = proto_put_u32(to, view->expires_s);
	to = proto_put_u32(put_text(to, " la="), view->last_access_s);
	to = proto_put_u64(put_text(to, " cas="), view->cas);
	to = put_text(to, view->item_flags & STORE_ITEM_FETCHED ? " fetch=yes" : " fetch=no");
	to = proto_put_u64(put_text(to, " cls=0 size="), entry->total_bytes);
	to = proto_put_u32(put_text(to, " flags="), view->client_flags);
	return put_text(to, " \n");
}

static uint8_t *
put_key(uint8_t *to, const struct store_entry *entry)
{
	to = put_text(to, "mg ");
	if (entry->view.item_flags & STORE_ITEM_KEY_BINARY) {
		to += proto_base64_encode(entry->key, entry->key_len, to);
		return put_text(to, " b\r\n");
	}
	memcpy(to, entry->key, entry->key_len);
	return put_text(to + entry->key_len, "\r\n");
}

static uint8_t *
put_cache(uint8_t *to, const struct store_entry *entry)
{
	to = put_text(to, "ITEM ");
	memcpy(to, entry->key, entry->key_len);
	to = proto_put_u32(put_text(to + entry->key_len, " ["), entry->view.value_bytes);
	to = proto_put_u32(put_text(to, " b; "), entry->view.expires_s);
	return put_text(to, " s]\r\n");
}

static bool
dump_entry(void *ctx, const struct store_entry *entry)
{
	struct serve_call *call = ctx;
	struct serve_dump *dump = call->session->dump;
	uint8_t *begin, *to;

	if (call->broken || !serve_out_ready(call))
		return false;
	if (dump->left == 0)
		return true;
	begin = serve_out_reserve(call, DUMP_LINE_MAX);
	if (begin == NULL)
		return false;
	if (dump->kind == DUMP_META)
		to = put_meta(begin, entry);
	else
		to = dump->kind == DUMP_KEYS ? put_key(begin, entry) : put_cache(begin, entry);
	serve_out_commit(call, (uint32_t)(to - begin));
	dump->left--;
	return true;
}

enum serve_state
serve_dump_step(struct serve_call *call)
{
	struct serve_session *session = call->session;
	struct serve_dump *dump = session->dump;
	bool more = store_walk(call->serve->thread, &dump->cursor, DUMP_SLICE, dump_entry, call);

	if (call->broken)
		return SERVE_ABORT;
	if (more && dump->left != 0)
		return serve_out_ready(call) ? SERVE_AGAIN : SERVE_FULL;
	serve_out_reply(call, dump->kind == DUMP_KEYS ? PROTO_REPLY_META_MISS : PROTO_REPLY_END);
	session->phase = SERVE_PHASE_LINE;
	session->dump = NULL;
	free(dump);
	return SERVE_GO_ON;
}

static enum serve_state
dump_begin(struct serve_call *call, enum dump_kind kind, uint64_t most)
{
	struct serve_dump *dump = calloc(1, sizeof(*dump));

	if (dump == NULL) {
		serve_out_reply(call, PROTO_REPLY_NO_MEMORY);
		return SERVE_GO_ON;
	}
	dump->kind = kind;
	dump->left = most;
	call->session->dump = dump;
	call->session->phase = SERVE_PHASE_DUMP;
	return SERVE_GO_ON;
}

enum serve_state
serve_dump_items(struct serve_call *call, bool keys_only)
{
	if (call->serve->config.dump_disabled) {
		serve_out_reply(
		    call, keys_only ? PROTO_REPLY_MGDUMP_FORBIDDEN : PROTO_REPLY_METADUMP_FORBIDDEN);
		return SERVE_GO_ON;
	}
	serve_out_reply(call, PROTO_REPLY_OK);
	return dump_begin(call, keys_only ? DUMP_KEYS : DUMP_META, UINT64_MAX);
}

/* There are no slab classes: all items are told as the first one's. */
enum serve_state
serve_dump_cache(struct serve_call *call, const struct proto_request *request)
{
	enum proto_reply wrong = PROTO_REPLY_NONE;
	uint32_t class = 0, most = 0;

	if (call->serve->config.dump_disabled)
		wrong = PROTO_REPLY_CACHEDUMP_FORBIDDEN;
	else if (request->tokens_len < 4)
		wrong = PROTO_REPLY_CACHEDUMP_USAGE;
	else if (!serve_token_u32(request, 2, &class) || !serve_token_u32(request, 3, &most))
		wrong = PROTO_REPLY_BAD_FORMAT;
	else if (class >= SERVE_SLAB_CLASSES)
		wrong = PROTO_REPLY_CACHEDUMP_CLASS;
	else if (class != 1)
		wrong = PROTO_REPLY_END;
	if (wrong != PROTO_REPLY_NONE) {
		serve_out_reply(call, wrong);
		return SERVE_GO_ON;
	}
	return dump_begin(call, DUMP_CACHE, most != 0 ? most : UINT64_MAX);
}
