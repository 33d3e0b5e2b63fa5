/*
 * get, gets, gat and gats: the hot path, and multigets of any length.
 *
 * A small hit is one reservation in the sink: head, value and END are written at once. Multigets are staged
 * in groups: all hashes and buckets, then all items, then the replies; plain ones, which say no more of an item than
 * store_probe_get() reads, as rows (serve_burst.h). They stop when the sink has no room and go on from a copy of the keys
 * that are left, so a line that asks for a gigabyte never makes more than the sink's room plus one value.
 */
#include "dataplane/serve.h"
#include "dataplane/serve_internal.h"

#include <string.h>

#include "dataplane/proto/scan.h"
#include "dataplane/serve_burst.h"

#define END_LINE  "END\r\n"
#define END_BYTES 5u
#define VALUE_END "\r\n"

/* Values up to this are copied behind their head. */
#define SMALL_VALUE_MAX (SERVE_RESERVE_MAX - SERVE_VALUE_HEAD_MAX - sizeof(VALUE_END END_LINE))
/* Room that a multiget takes at once for its small hits. */
#define CHUNK_BYTES     1024u
/* What a hit of a row may write beside key and value, and the largest value that has room for it. */
#define ROW_HEAD_MAX    (PROTO_VALUE_HEAD_MAX + SERVE_BURST_SLACK)
#define ROW_VALUE_MAX   (SERVE_RESERVE_MAX - PROTO_KEY_MAX - ROW_HEAD_MAX)
/* So much of a key and behind it may be read when it is copied by whole steps. */
#define ROW_KEY_REACH   (PROTO_KEY_MAX + (ptrdiff_t)SERVE_BURST_SLACK)

/* Head and value, without what closes it; returns the byte behind. */
static inline uint8_t *
put_value(struct serve_call *call, uint8_t *to, const struct store_key *key, const struct store_view *view,
    bool with_cas)
{
	to = proto_put_value_head(
	    to, key->bytes, key->len, view->client_flags, view->value_bytes, with_cas ? &view->cas : NULL);
	return serve_copy_value(call->serve, view, to);
}

/* A hit whose value is small enough to be copied behind its head, with `tail` closing it. */
static inline void
put_small_hit(struct serve_call *call, const struct store_key *key, const struct store_view *view,
    bool with_cas, const char *tail, uint32_t tail_len)
{
	/* The last reply takes what it may need and no more, so that it sits in little memory until it is acknowledged. */
	uint32_t head = call->at == call->end ? PROTO_VALUE_HEAD_MAX + key->len : SERVE_VALUE_HEAD_MAX;
	uint8_t *begin = serve_out_reserve(call, head + view->value_bytes + tail_len);
	uint8_t *to;

	if (begin == NULL)
		return;
	to = put_value(call, begin, key, view, with_cas);
	memcpy(to, tail, tail_len);
	serve_out_commit(call, (uint32_t)(to + tail_len - begin));
}

static __attribute__((noinline)) void
put_large_hit(struct serve_call *call, const struct store_key *key, const struct store_view *view,
    bool with_cas, const char *tail, uint32_t tail_len)
{
	uint8_t *begin = serve_out_reserve(call, SERVE_VALUE_HEAD_MAX);
	uint8_t *to;

	if (begin == NULL)
		return;
	serve_note_large(call->serve, key->bytes, key->len, view->value_bytes);
	to = proto_put_value_head(
	    begin, key->bytes, key->len, view->client_flags, view->value_bytes, with_cas ? &view->cas : NULL);
	serve_out_commit(call, (uint32_t)(to - begin));
	serve_out_value(call, view);
	serve_out(call, tail, tail_len);
}

static inline void
put_hit(struct serve_call *call, const struct store_key *key, const struct store_view *view, bool with_cas,
    const char *tail, uint32_t tail_len)
{
	if (view->value_bytes <= SMALL_VALUE_MAX)
		put_small_hit(call, key, view, with_cas, tail, tail_len);
	else
		put_large_hit(call, key, view, with_cas, tail, tail_len);
}

/* Reads `get <key>\r\n` that no peek saw. */
static bool
scan_get(struct serve_call *call, struct store_key *key)
{
	const uint8_t *bytes = call->at + 4, *end;
	uint32_t len;

	if (call->end - call->at < 6 || memcmp(call->at, "get ", 4) != 0)
		return false;
	end = proto_scan_token(bytes, call->end);
	if (end == call->end || *end != '\n')
		return false;
	len = (uint32_t)(end - bytes);
	len -= len != 0 && end[-1] == '\r';
	if (len - 1 >= PROTO_KEY_MAX)
		return false;
	call->at = end + 1;
	*key = serve_key(call->serve, bytes, len);
	return true;
}

bool
serve_get_fast(struct serve_call *call)
{
	struct serve *serve = call->serve;
	const struct serve_peeked_key *peeked = &serve->peeks[serve->peek_at];
	struct store_view view;
	struct store_key key;

	/* What this burst's peek found to be a get at this place needs no second look. */
	if (serve->peek_at < serve->peeks_len && peeked->bytes == call->at + 4 && peeked->next != NULL &&
	    peeked->next <= call->end) {
		key = (struct store_key){.bytes = peeked->bytes, .len = peeked->len, .hash = peeked->hash};
		call->at = peeked->next;
		serve->peek_at++;
		serve->counters.peek_hits++;
		serve_count_key(serve, &key);
	} else if (!scan_get(call, &key)) {
		return false;
	}
	serve->counters.cmd_get++;
	if (store_get(serve->thread, &key, &view) == STORE_OK) {
		serve->counters.get_hits++;
		if (serve_watched(serve, WATCH_FETCHERS | SERVE_DETAIL))
			serve_note_get(serve, &key, &view);
		put_hit(call, &key, &view, false, VALUE_END END_LINE, 7);
	} else {
		serve->counters.get_misses++;
		if (serve_watched(serve, WATCH_FETCHERS | SERVE_DETAIL))
			serve_note_get(serve, &key, NULL);
		serve_out(call, END_LINE, END_BYTES);
	}
	return true;
}

/* ---- multigets -------------------------------------------------------------------------------- */

struct multiget {
	const uint8_t *at, *end; /* keys still to be answered */
	uint32_t expires_s;
	enum proto_command command;
};

/*
 * Part of the reply: room of the sink that is filled by several hits, begin to at so far. What is written before `ready`
 * the sink is known to take.
 */
struct chunk {
	uint8_t *begin, *at, *end, *ready;
};

static inline void
chunk_commit(struct serve_call *call, struct chunk *chunk)
{
	if (chunk->at != chunk->begin)
		serve_out_commit(call, (uint32_t)(chunk->at - chunk->begin));
	*chunk = (struct chunk){0};
}

/* Room for `need` <= SERVE_RESERVE_MAX bytes; false: no memory, the call is broken. */
static inline bool
chunk_room(struct serve_call *call, struct chunk *chunk, uint32_t need)
{
	uint32_t len = need < CHUNK_BYTES ? CHUNK_BYTES : need;

	if (__builtin_expect(chunk->end - chunk->at >= (ptrdiff_t)need, 1))
		return true;
	chunk_commit(call, chunk);
	chunk->begin = chunk->at = serve_out_reserve(call, len);
	if (chunk->begin == NULL)
		return false;
	chunk->end = chunk->begin + len;
	chunk->ready = call->room > len ? chunk->end : chunk->begin;
	return true;
}

/* Whether the sink takes more than what the chunk holds by now. */
static inline bool
chunk_ready(struct serve_call *call, struct chunk *chunk)
{
	if (__builtin_expect(call->room > chunk->at - chunk->begin, 1))
		return true;
	chunk_commit(call, chunk);
	return serve_out_ready(call);
}

static bool
look_up(
    struct serve_call *call, const struct multiget *get, const struct store_key *key, struct store_view *view)
{
	struct serve *serve = call->serve;
	bool hit;

	if (get->command == PROTO_GAT || get->command == PROTO_GATS) {
		hit = store_touch(serve->thread, key, get->expires_s, view) == STORE_OK;
		serve->counters.cmd_touch++;
		serve->counters.touch_hits += hit;
		serve->counters.touch_misses += !hit;
	} else {
		hit = store_get(serve->thread, key, view) == STORE_OK;
		serve->counters.cmd_get++;
		serve->counters.get_hits += hit;
		serve->counters.get_misses += !hit;
	}
	if (serve_watched(serve, WATCH_FETCHERS | SERVE_DETAIL))
		serve_note_get(serve, key, hit ? view : NULL);
	return hit;
}

static inline void
answer_hit(struct serve_call *call, struct chunk *chunk, const struct store_key *key,
    const struct store_view *view, bool with_cas)
{
	if (view->value_bytes > SMALL_VALUE_MAX) {
		chunk_commit(call, chunk);
		put_large_hit(call, key, view, with_cas, VALUE_END, 2);
		return;
	}
	if (!chunk_room(call, chunk, PROTO_VALUE_HEAD_MAX + key->len + view->value_bytes + 2))
		return;
	chunk->at = put_value(call, chunk->at, key, view, with_cas);
	memcpy(chunk->at, VALUE_END, 2);
	chunk->at += 2;
}

/* Reads up to SERVE_BATCH keys and prefetches their buckets, then their items. Returns how many. */
static unsigned
stage_keys(struct serve *serve, const struct multiget *get, struct store_key keys[SERVE_BATCH])
{
	const void *places[SERVE_BATCH];
	const uint8_t *at = get->at;
	struct proto_token token;
	unsigned len;

	for (len = 0; len < SERVE_BATCH && proto_next_key(&at, get->end, &token); len++) {
		/* The first may have been peeked at, the others never are. */
		if (len == 0) {
			keys[0] = serve_token_key(serve, &token);
		} else {
			keys[len] = (struct store_key){.bytes = token.bytes,
			    .len = token.len,
			    .hash = store_hash(serve->store, token.bytes, token.len)};
			serve_count_key(serve, &keys[len]);
		}
		places[len] = store_prefetch_bucket(serve->store, keys[len].hash);
	}
	for (unsigned i = 0; len > 1 && i < len; i++)
		store_prefetch_item(serve->store, keys[i].hash, places[i]);
	return len;
}

/* SERVE_GO_ON: all are answered; get->at is left at the first unanswered one. */
static enum serve_state
answer_keys(struct serve_call *call, struct multiget *get, struct chunk *chunk)
{
	bool with_cas = get->command == PROTO_GETS || get->command == PROTO_GATS;
	struct store_key keys[SERVE_BATCH];
	struct store_view view;
	unsigned len;

	do {
		len = stage_keys(call->serve, get, keys);
		for (unsigned i = 0; i < len; i++) {
			if (!chunk_ready(call, chunk))
				return SERVE_FULL;
			if (look_up(call, get, &keys[i], &view))
				answer_hit(call, chunk, &keys[i], &view, with_cas);
			if (call->broken)
				return SERVE_ABORT;
			get->at = keys[i].bytes + keys[i].len;
		}
	} while (len == SERVE_BATCH);
	return SERVE_GO_ON;
}

/* ---- plain ones ------------------------------------------------------------------------------- */

/* Reads up to SERVE_BATCH keys from `at` on: 32 bytes are compared at once. Returns how many. */
static unsigned
read_row(const uint8_t *at, const uint8_t *end, struct store_probe *probes)
{
	const __m256i spaces = _mm256_set1_epi8(' ');
	const uint8_t *begin = at; /* of the key that is not at its end yet */
	struct proto_token token;
	unsigned len = 0;

	for (; end - at >= 32; at += 32) {
		const __m256i text = _mm256_loadu_si256((const __m256i *)(const void *)at);
		unsigned ends = (unsigned)_mm256_movemask_epi8(_mm256_cmpeq_epi8(text, spaces));
		for (; ends != 0; ends &= ends - 1) {
			const uint8_t *space = at + __builtin_ctz(ends);
			probes[len].key.bytes = begin;
			probes[len].key.len = (uint32_t)(space - begin);
			len += space != begin;
			begin = space + 1;
			if (len == SERVE_BATCH)
				return len;
		}
	}
	for (at = begin; len < SERVE_BATCH && proto_next_key(&at, end, &token); len++) {
		probes[len].key.bytes = token.bytes;
		probes[len].key.len = token.len;
	}
	return len;
}

/* What is chunked, or too large for the row, is answered as any other key. */
static __attribute__((noinline)) enum serve_state
answer_left(struct serve_call *call, struct multiget *get, struct chunk *chunk, const struct store_key *key)
{
	struct store_view view;

	if (!chunk_ready(call, chunk))
		return SERVE_FULL;
	serve_count_key(call->serve, key);
	if (look_up(call, get, key, &view))
		answer_hit(call, chunk, key, &view, false);
	return call->broken ? SERVE_ABORT : SERVE_GO_ON;
}

/* What is left of a row will be looked up, and counted, once more. */
static void
uncount(struct serve *serve, const struct store_found *found, unsigned len)
{
	for (unsigned i = 0; i < len; i++) {
		if (serve_found_left(&found[i]))
			continue;
		serve->counters.cmd_get--;
		serve->counters.get_hits -= found[i].value != NULL;
		serve->counters.get_misses -= found[i].value == NULL;
	}
}

/* Room for a hit of the row, if the sink takes one more. */
static __attribute__((noinline)) enum serve_state
row_room(struct serve_call *call, struct chunk *chunk, uint32_t need)
{
	if (!chunk_ready(call, chunk))
		return SERVE_FULL;
	return chunk_room(call, chunk, need) ? SERVE_GO_ON : SERVE_ABORT;
}

static inline enum serve_state
answer_found(struct serve_call *call, struct multiget *get, struct chunk *chunk, const struct store_key *key,
    const struct store_found *found, const uint8_t *reach)
{
	/* Copies: what is written could be they, for all that the compiler knows. */
	const struct store_found hit = *found;
	const struct store_key asked = *key;
	uint32_t need = ROW_HEAD_MAX + asked.len + hit.value_bytes;
	enum serve_state state;
	uint8_t *to;

	if (__builtin_expect(hit.value == NULL, 0))
		return serve_found_left(&hit) ? answer_left(call, get, chunk, key) : SERVE_GO_ON;
	if (__builtin_expect(chunk->ready - chunk->at < (ptrdiff_t)need, 0)) {
		state = row_room(call, chunk, need);
		if (state != SERVE_GO_ON)
			return state;
	}
	to = serve_hit_head(chunk->at, &asked, &hit, asked.bytes < reach);
	proto_copy(to, hit.value, hit.value_bytes);
	memcpy(to + hit.value_bytes, VALUE_END, 2);
	chunk->at = to + hit.value_bytes + 2;
	return SERVE_GO_ON;
}

/* answer_keys() for plain ones. */
static enum serve_state
answer_rows(struct serve_call *call, struct multiget *get, struct chunk *chunk)
{
	struct serve *serve = call->serve;
	struct store_probe probes[SERVE_BATCH];
	struct store_found found[SERVE_BATCH];
	/* What begins before this may be read beyond its end. */
	const uint8_t *reach = get->end - get->at > ROW_KEY_REACH ? get->end - ROW_KEY_REACH : get->at;
	enum serve_state state = SERVE_GO_ON;
	unsigned len;

	do {
		len = read_row(get->at, get->end, probes);
		if (len > 0) /* the first key of a line: its bucket is on its way already */
			serve_peek_take(serve, probes[0].key.bytes, probes[0].key.len);
		store_probe_hash(serve->store, probes, len);
		store_probe_load(serve->store, probes, len);
		serve_gets(serve, probes, len, ROW_VALUE_MAX, found);
		for (unsigned i = 0; i < len; i++) {
			state = answer_found(call, get, chunk, &probes[i].key, &found[i], reach);
			if (__builtin_expect(state != SERVE_GO_ON, 0)) {
				uncount(serve, found + i, len - i);
				get->at = probes[i].key.bytes;
				return state;
			}
		}
		if (len > 0)
			get->at = probes[len - 1].key.bytes + probes[len - 1].key.len;
	} while (len == SERVE_BATCH);
	return SERVE_GO_ON;
}

/* ---- both ------------------------------------------------------------------------------------- */

/* Answers keys until they or the room are at an end; get->at is left at the first unanswered one. */
static enum serve_state
answer(struct serve_call *call, struct multiget *get)
{
	bool plain = get->command == PROTO_GET && !serve_watched(call->serve, WATCH_FETCHERS | SERVE_DETAIL);
	struct chunk chunk = {0};
	enum serve_state state = plain ? answer_rows(call, get, &chunk) : answer_keys(call, get, &chunk);

	if (state != SERVE_GO_ON)
		return state;
	chunk_commit(call, &chunk);
	serve_out(call, END_LINE, END_BYTES);
	return SERVE_GO_ON;
}

/* Keeps the keys that are left until the sink has room again. */
static enum serve_state
suspend(struct serve_call *call, const struct multiget *get)
{
	struct serve_session *session = call->session;
	struct serve_line *line = session->line;
	uint32_t len = (uint32_t)(get->end - get->at);

	call->serve->counters.replies_suspended++;
	if (line == NULL) {
		line = serve_line_get(call->serve, len);
		if (line == NULL)
			return SERVE_ABORT;
		memcpy(line->bytes, get->at, len);
		line->len = len;
		line->at = 0;
	} else {
		line->at = (uint32_t)(get->at - line->bytes);
		line->len = line->at + len;
	}
	session->line = line;
	session->command = (uint8_t)get->command;
	session->expires_s = get->expires_s;
	session->phase = SERVE_PHASE_KEYS;
	return SERVE_FULL;
}

enum serve_state
serve_cmd_get(struct serve_call *call, const struct proto_request *request)
{
	struct multiget get = {
	    .at = request->key.bytes, .end = request->keys_end, .command = request->command};
	enum serve_state state;

	if (request->command == PROTO_GAT || request->command == PROTO_GATS)
		get.expires_s = store_expiry(request->exptime, call->serve->now_s);
	state = answer(call, &get);
	return state == SERVE_FULL ? suspend(call, &get) : state;
}

enum serve_state
serve_get_resume(struct serve_call *call)
{
	struct serve_session *session = call->session;
	struct serve_line *line = session->line;
	struct multiget get = {.at = line->bytes + line->at,
	    .end = line->bytes + line->len,
	    .expires_s = session->expires_s,
	    .command = (enum proto_command)session->command};
	enum serve_state state = answer(call, &get);

	if (state == SERVE_FULL) {
		line->at = (uint32_t)(get.at - line->bytes);
		return SERVE_FULL;
	}
	session->phase = SERVE_PHASE_LINE;
	session->line = NULL;
	serve_line_put(call->serve, line);
	return state;
}
