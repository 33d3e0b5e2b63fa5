/*
 * What changes items: the storage commands, delete, incr and decr, touch, flush_all.
 */
#include "dataplane/serve.h"
#include "dataplane/serve_internal.h"

#include <stdlib.h>
#include <string.h>

/* ---- storage commands ------------------------------------------------------------------------- */

void
serve_count_cas(struct serve_counters *counters, enum store_status status)
{
	counters->cas_hits += status == STORE_OK || status == STORE_STALE;
	counters->cas_misses += status == STORE_NOT_FOUND;
	counters->cas_badval += status == STORE_EXISTS;
}

static enum proto_reply
store_reply(enum store_status status)
{
	switch (status) {
	case STORE_OK:
	case STORE_STALE:
		return PROTO_REPLY_STORED;
	case STORE_EXISTS:
		return PROTO_REPLY_EXISTS;
	case STORE_NOT_FOUND:
		return PROTO_REPLY_NOT_FOUND;
	case STORE_NOT_STORED:
		return PROTO_REPLY_NOT_STORED;
	case STORE_TOO_LARGE:
		return PROTO_REPLY_TOO_LARGE;
	case STORE_NO_MEMORY:
	case STORE_NON_NUMERIC:
		break;
	}
	return PROTO_REPLY_NO_MEMORY_STORE;
}

void
serve_value_done(struct serve_call *call, enum proto_command command, bool noreply,
    const struct serve_meta_tail *meta, enum store_status status, uint64_t cas)
{
	struct serve_counters *counters = &call->serve->counters;

	if (command == PROTO_CAS)
		serve_count_cas(counters, status);
	if (meta != NULL)
		serve_meta_set_done(call, meta, noreply, status, cas);
	else
		serve_out_unless(call, noreply, store_reply(status));
}

enum proto_reply
serve_store_refused(
    struct serve *serve, const struct store_key *key, enum proto_command command, enum store_status status)
{
	if (status == STORE_TOO_LARGE)
		serve->counters.store_too_large++;
	else
		serve->counters.store_no_memory++;
	if (command == PROTO_SET || command == PROTO_MS)
		store_delete(serve->thread, key, 0);
	return store_reply(status);
}

/* The value comes in pieces: straight into the store's memory. */
static enum serve_state
value_wait(struct serve_call *call, const struct store_key *key, const struct store_write *write,
    const struct proto_request *request, const struct serve_meta_tail *meta)
{
	struct serve *serve = call->serve;
	struct serve_session *session = call->session;
	struct serve_meta_tail *kept = NULL;
	enum store_status status;

	if (request->value_bytes >= SERVE_RESERVE_MAX)
		serve_note_large(serve, key->bytes, key->len, request->value_bytes);
	status = store_reserve(serve->thread, key, write, request->value_bytes, &session->fill);
	if (status != STORE_OK) {
		enum proto_reply verdict = serve_store_refused(serve, key, request->command, status);

		if (serve_watched(serve, WATCH_MUTATIONS))
			serve_event_store(serve, key, write, status, request->value_bytes);
		session->fill = NULL;
		serve_swallow(call, request->value_bytes,
		    request->noreply && meta == NULL ? PROTO_REPLY_NONE : verdict);
		return SERVE_GO_ON;
	}
	if (meta != NULL) {
		kept = malloc(sizeof(*kept));
		if (kept == NULL)
			return SERVE_ABORT;
		*kept = *meta;
	}
	serve->counters.cmd_set++;
	session->meta = kept;
	session->missing = request->value_bytes + 2;
	session->command = (uint8_t)request->command;
	session->noreply = request->noreply;
	session->bad_chunk = false;
	session->phase = SERVE_PHASE_VALUE;
	return SERVE_GO_ON;
}

enum serve_state
serve_value_begin(struct serve_call *call, const struct store_key *key, const struct store_write *write,
    const struct proto_request *request, const struct serve_meta_tail *meta)
{
	const uint8_t *value = call->at;
	uint32_t bytes = request->value_bytes;
	enum store_status status;
	uint64_t cas = 0;

	if ((uint64_t)(call->end - value) < (uint64_t)bytes + 2 || value[bytes] != '\r' ||
	    value[bytes + 1] != '\n')
		return value_wait(call, key, write, request, meta);
	call->at += bytes + 2;
	status = store_put(call->serve->thread, key, write, value, bytes, &cas);
	if (serve_watched(call->serve, WATCH_MUTATIONS))
		serve_event_store(call->serve, key, write, status, bytes);
	if (status == STORE_TOO_LARGE || status == STORE_NO_MEMORY) {
		enum proto_reply verdict = serve_store_refused(call->serve, key, request->command, status);

		serve_out_unless(call, request->noreply && meta == NULL, verdict);
		return SERVE_GO_ON;
	}
	call->serve->counters.cmd_set++;
	serve_value_done(call, request->command, request->noreply, meta, status, cas);
	return SERVE_GO_ON;
}

enum serve_state
serve_cmd_store(struct serve_call *call, const struct proto_request *request)
{
	static const enum store_mode modes[PROTO_COMMANDS] = {
	    [PROTO_SET] = STORE_SET,
	    [PROTO_ADD] = STORE_ADD,
	    [PROTO_REPLACE] = STORE_REPLACE,
	    [PROTO_APPEND] = STORE_APPEND,
	    [PROTO_PREPEND] = STORE_PREPEND,
	    [PROTO_CAS] = STORE_CAS,
	};
	struct store_key key = serve_token_key(call->serve, &request->key);
	struct store_write write = {
	    .mode = modes[request->command],
	    .client_flags = request->client_flags,
	    .expires_s = store_expiry(request->exptime, call->serve->now_s),
	};

	if (request->command == PROTO_CAS) {
		write.cas = request->cas;
		write.cas_check = true;
	}
	if (serve_watched(call->serve, SERVE_DETAIL))
		serve_detail_change(call->serve, &key, PREFIX_SET);
	return serve_value_begin(call, &key, &write, request, NULL);
}

/* ---- the others ------------------------------------------------------------------------------- */

enum serve_state
serve_cmd_delete(struct serve_call *call, const struct proto_request *request)
{
	struct store_key key = serve_token_key(call->serve, &request->key);
	bool hit = serve_delete(call->serve, &key, 0, "delete") == STORE_OK;

	if (serve_watched(call->serve, SERVE_DETAIL))
		serve_detail_change(call->serve, &key, PREFIX_DELETE);
	call->serve->counters.delete_hits += hit;
	call->serve->counters.delete_misses += !hit;
	serve_out_unless(call, request->noreply, hit ? PROTO_REPLY_DELETED : PROTO_REPLY_NOT_FOUND);
	return SERVE_GO_ON;
}

static void
put_number(struct serve_call *call, uint64_t number)
{
	uint8_t *begin = serve_out_reserve(call, 22), *to;

	if (begin == NULL)
		return;
	to = proto_put_u64(begin, number);
	memcpy(to, "\r\n", 2);
	serve_out_commit(call, (uint32_t)(to + 2 - begin));
}

enum serve_state
serve_cmd_delta(struct serve_call *call, const struct proto_request *request)
{
	struct serve_counters *counters = &call->serve->counters;
	struct store_key key = serve_token_key(call->serve, &request->key);
	bool decrement = request->command == PROTO_DECR;
	struct store_change change = {.decrement = decrement, .amount = request->delta};
	uint64_t number = 0;
	enum store_status status;

	status = store_delta(call->serve->thread, &key, &change, &number, NULL);
	if (serve_watched(call->serve, WATCH_FETCHERS))
		serve_event_lookup(call->serve, &key, status != STORE_NOT_FOUND);
	switch (status) {
	case STORE_OK:
		*(decrement ? &counters->decr_hits : &counters->incr_hits) += 1;
		if (!request->noreply)
			put_number(call, number);
		break;
	case STORE_NOT_FOUND:
		*(decrement ? &counters->decr_misses : &counters->incr_misses) += 1;
		serve_out_unless(call, request->noreply, PROTO_REPLY_NOT_FOUND);
		break;
	case STORE_NON_NUMERIC:
		counters->protocol_errors++;
		serve_out_unless(call, request->noreply, PROTO_REPLY_NON_NUMERIC);
		break;
	default:
		serve_out_unless(call, request->noreply, PROTO_REPLY_NO_MEMORY);
		break;
	}
	return SERVE_GO_ON;
}

enum serve_state
serve_cmd_touch(struct serve_call *call, const struct proto_request *request)
{
	struct serve *serve = call->serve;
	struct store_key key = serve_token_key(serve, &request->key);
	uint32_t expires_s = store_expiry(request->exptime, serve->now_s);
	bool hit = store_touch(serve->thread, &key, expires_s, NULL) == STORE_OK;

	if (serve_watched(serve, WATCH_FETCHERS))
		serve_event_lookup(serve, &key, hit);
	serve->counters.cmd_touch++;
	serve->counters.touch_hits += hit;
	serve->counters.touch_misses += !hit;
	serve_out_unless(call, request->noreply, hit ? PROTO_REPLY_TOUCHED : PROTO_REPLY_NOT_FOUND);
	return SERVE_GO_ON;
}

void
serve_flush(struct serve *serve, uint32_t at_s)
{
	/* In the first pass of a second the store's now is still the last one: what is due must not wait for it. */
	if (at_s > serve->now_s)
		store_flush_all(serve->thread, at_s);
	else if (at_s == serve->now_s)
		store_flush_all(serve->thread, STORE_FLUSH_NOW);
}

enum serve_state
serve_cmd_flush_all(struct serve_call *call, const struct proto_request *request)
{
	struct serve *serve = call->serve;
	uint32_t at_s = serve->now_s;

	serve->counters.cmd_flush++;
	if (!serve->config.flush_enabled) {
		serve_out_unless(call, request->noreply, PROTO_REPLY_FLUSH_FORBIDDEN);
		return SERVE_GO_ON;
	}
	if (request->has_exptime && request->exptime > 0)
		at_s = store_expiry(request->exptime, serve->now_s);
	serve_flush(serve, at_s);
	serve_out_unless(call, request->noreply, PROTO_REPLY_OK);
	return SERVE_GO_ON;
}
