/*
 * The worker's side of serve: its life, the staging of bursts, and requests that come as datagrams.
 */
#include "dataplane/serve.h"
#include "dataplane/serve_burst.h"
#include "dataplane/serve_internal.h"

#include <stdlib.h>
#include <string.h>

#include "dataplane/proto/binary.h"
#include "dataplane/proto/scan.h"

#define LINE_MAX_DEFAULT    (1u << 20)
#define LINES_BYTES_DEFAULT (64u << 20)

struct serve *
serve_create(struct store *store, struct store_thread *thread, const struct serve_config *config,
    const struct serve_host *host)
{
	struct serve *serve = calloc(1, sizeof(*serve));

	if (serve == NULL)
		return NULL;
	serve->keys = serve_keys_create();
	if (serve->keys == NULL) {
		free(serve);
		return NULL;
	}
	serve->sample_left = 1;
	serve->store = store;
	serve->thread = thread;
	serve->config = *config;
	if (serve->config.line_max_bytes < SERVE_LINE_BYTES)
		serve->config.line_max_bytes = LINE_MAX_DEFAULT;
	if (serve->config.lines_bytes_max == 0)
		serve->config.lines_bytes_max = LINES_BYTES_DEFAULT;
	if (host != NULL)
		serve->host = *host;
	if (serve->host.prefixes != NULL)
		serve->prefixes = prefixes_join(serve->host.prefixes);
	serve->version_len = (uint32_t)strnlen(config->version, SERVE_RESERVE_MAX / 2);
	return serve;
}

void
serve_destroy(struct serve *serve)
{
	struct serve_session *batch;
	struct serve_line *line;

	if (serve == NULL)
		return;
	store_watch_evictions(serve->thread, NULL, NULL);
	while ((line = serve->spare_lines) != NULL) {
		serve->spare_lines = line->next;
		free(line);
	}
	while ((batch = serve->session_batches) != NULL) {
		serve->session_batches = batch->next;
		free(batch);
	}
	serve_keys_destroy(serve->keys);
	free(serve);
}

void
serve_tick(struct serve *serve, uint32_t now_s)
{
	serve->now_s = now_s;
	serve->largest_bytes = 0;
	serve_watched_update(serve);
	serve->peeks_len = 0;
	serve->peek_at = 0;
	serve->peeks_open = false;
}

const struct serve_counters *
serve_counters(const struct serve *serve)
{
	return &serve->counters;
}

bool
serve_out_refill(struct serve_call *call)
{
	call->room = call->sink->room(call->sink);
	return call->room > 0;
}

uint8_t *
serve_copy_chunks(const struct serve *serve, const struct store_view *view, uint8_t *to)
{
	const uint8_t *bytes;
	uint32_t at = 0, len;

	while ((len = store_view_span(serve->store, view, at, &bytes)) != 0) {
		memcpy(to + at, bytes, len);
		at += len;
	}
	return to + at;
}

/* ---- staging ---------------------------------------------------------------------------------- */

static inline void
peek_key(struct serve *serve, const uint8_t *bytes, uint32_t len, const uint8_t *next)
{
	struct serve_peeked_key *peeked = &serve->peeks[serve->peeks_len++];

	peeked->bytes = bytes;
	peeked->next = next;
	peeked->len = len;
	peeked->hash = store_hash(serve->store, bytes, len);
	peeked->place = store_prefetch_bucket(serve->store, peeked->hash);
}

/*
 * The first peek of a burst forgets the last burst's, whose memory may by now hold other bytes at the same addresses:
 * a hash taken over by address alone would then belong to another key.
 */
static void
peeks_begin(struct serve *serve)
{
	if (serve->peeks_open)
		return;
	serve->peeks_len = 0;
	serve->peek_at = 0;
	serve->peeks_open = true;
}

/* Binary requests say where the next one begins, whatever they are. */
static __attribute__((noinline)) void
peek_binary(struct serve *serve, const uint8_t *bytes, uint32_t len)
{
	const uint8_t *key;
	uint32_t key_len;
	uint64_t at = 0, next;

	do {
		if (proto_peek_binary(bytes + at, (uint32_t)(len - at), &key, &key_len, &next))
			peek_key(serve, key, key_len, NULL);
		at += next;
	} while (next != 0 && at < len && serve->peeks_len < SERVE_PEEKS_MAX);
}

void
serve_peek(struct serve *serve, const uint8_t *bytes, uint32_t len)
{
	const uint8_t *at = bytes, *end = bytes + len, *key, *key_end;

	peeks_begin(serve);
	/* Pipelined gets lie one behind the other, so walk on while it is easy. */
	while (serve->peeks_len < SERVE_PEEKS_MAX && end - at >= 6) {
		uint32_t word;

		memcpy(&word, at, sizeof(word));
		if (word != SERVE_WORD_GET && word != SERVE_WORD_SET && word != SERVE_WORD_GETS) {
			if (*at == PROTO_BINARY_MAGIC)
				peek_binary(serve, at, (uint32_t)(end - at));
			return;
		}
		key = at + 4 + (word == SERVE_WORD_GETS);
		key_end = proto_scan_token(key, end);
		if (key_end == end || key_end == key || key_end - key > PROTO_KEY_MAX + 1)
			return;
		at = key_end + 1;
		key_end -= *key_end == '\n' && key_end[-1] == '\r';
		if (key_end == key)
			return;
		peek_key(serve, key, (uint32_t)(key_end - key),
		    word == SERVE_WORD_GET && at[-1] == '\n' && key_end - key <= PROTO_KEY_MAX ? at : NULL);
		if (word == SERVE_WORD_SET || at[-1] != '\n')
			return;
	}
}

void
serve_peeked(struct serve *serve)
{
	peeks_begin(serve); /* a burst that showed nothing ends the last one's too */
	serve->peeks_open = false;
	for (uint32_t i = 0; i < serve->peeks_len; i++)
		store_prefetch_item(serve->store, serve->peeks[i].hash, serve->peeks[i].place);
}

/* ---- datagrams -------------------------------------------------------------------------------- */

bool
serve_datagram(
    struct serve *serve, const uint8_t *bytes, uint32_t len, struct serve_sink *sink, uint32_t *consumed)
{
	struct serve_session session;
	struct serve_call call = {
	    .serve = serve, .session = &session, .sink = sink, .at = bytes, .end = bytes + len};
	enum serve_state state = SERVE_GO_ON;

	*consumed = 0;
	if (len == 0 || serve->config.auth)
		return false;
	/* A plain get needs no session. */
	call.room = INT64_MAX / 2;
	if (serve_get_fast(&call)) {
		*consumed = (uint32_t)(call.at - bytes);
		return !call.broken;
	}
	serve_session_init(&session, serve);
	session.phase = bytes[0] == PROTO_BINARY_MAGIC ? SERVE_PHASE_BINARY : SERVE_PHASE_LINE;
	/* One message is one reply: there is nothing to wait for, the sink drops what grows too large. */
	do {
		call.room = INT64_MAX / 2;
		state = serve_session_step(&call);
	} while (state == SERVE_GO_ON && !call.broken && call.at < call.end && serve_session_busy(&session));
	*consumed = (uint32_t)(call.at - bytes);
	if (serve_session_busy(&session))
		state = SERVE_CLOSE;
	serve_session_clear(&session);
	return state == SERVE_GO_ON && !call.broken;
}
