/*
 * The meta commands: mg, ms, md, ma and me.
 *
 * A reply's flags come in the order of the request's, and T takes effect where it stands among them, so each
 * command walks its flags once over a small state. Nothing here holds a lock between two store calls; where
 * memcached holds one over a read and a write, the write is conditional and a lost race is answered as if the
 * other had come first.
 */
#include "dataplane/serve.h"
#include "dataplane/serve_internal.h"

#include <string.h>

#include "dataplane/proto/base64.h"

/* Status, every flag once with a 20-digit number, opaque, key in base64, "Z X W", line end. */
#define META_LINE_MAX \
	(16u + PROTO_META_TOKENS * 24u + PROTO_OPAQUE_MAX + PROTO_BASE64_BYTES(PROTO_KEY_MAX) + 16u)
#define RACE_ROUNDS 8u /* of a read and a conditional write, before it counts as lost */
#define SMALL_VALUE (SERVE_RESERVE_MAX - META_LINE_MAX - 2u)

static bool
has(const struct proto_request *request, char flag)
{
	return proto_meta_has(&request->meta, flag);
}

static uint32_t
ttl_expiry(const struct serve_call *call, int32_t ttl)
{
	return store_expiry(ttl, call->serve->now_s);
}

static bool
is_past(const struct serve_call *call, uint32_t expires_s)
{
	return expires_s != STORE_EXPTIME_NEVER && expires_s <= call->serve->now_s;
}

static uint8_t *
put_flag(uint8_t *to, char flag, uint64_t number)
{
	to[0] = ' ';
	to[1] = (uint8_t)flag;
	return proto_put_u64(to + 2, number);
}

static uint8_t *
put_bytes(uint8_t *to, const void *bytes, uint32_t len)
{
	memcpy(to, bytes, len);
	return to + len;
}

static uint8_t *
put_key(uint8_t *to, const uint8_t *key, uint32_t len, bool binary)
{
	to = put_bytes(to, " k", 2);
	if (!binary)
		return put_bytes(to, key, len);
	to += proto_base64_encode(key, len, to);
	return put_bytes(to, " b", 2);
}

static uint8_t *
put_opaque(uint8_t *to, const struct proto_token *token)
{
	*to++ = ' ';
	return put_bytes(to, token->bytes, token->len);
}

/* Time to live as `t` shows it: -1 for never. */
static uint8_t *
put_ttl(uint8_t *to, uint32_t expires_s, uint32_t now_s)
{
	if (expires_s == STORE_EXPTIME_NEVER)
		return put_bytes(to, " t-1", 4);
	return put_flag(to, 't', (uint32_t)(expires_s - now_s));
}

/* Key and opaque, all that is returned when there is no item. */
static uint8_t *
put_echoes(uint8_t *to, const struct proto_request *request)
{
	for (unsigned i = 2; i < request->tokens_len; i++) {
		uint8_t flag = request->tokens[i].bytes[0];

		if (flag == 'O')
			to = put_opaque(to, &request->tokens[i]);
		else if (flag == 'k')
			to = put_key(to, request->key.bytes, request->key.len, has(request, 'b'));
	}
	return to;
}

static enum serve_state
reply_echoes(struct serve_call *call, const struct proto_request *request, const char status[2])
{
	uint8_t *begin = serve_out_reserve(call, META_LINE_MAX), *to;

	if (begin == NULL)
		return SERVE_ABORT;
	to = put_echoes(put_bytes(begin, status, 2), request);
	to = put_bytes(to, "\r\n", 2);
	serve_out_commit(call, (uint32_t)(to - begin));
	return SERVE_GO_ON;
}

/* ---- mg --------------------------------------------------------------------------------------- */

/* What is known of the item while the flags are walked. */
struct meta_hit {
	struct store_view view;
	uint32_t expires_s;
	bool created;
	bool due; /* to be recached: whoever wins the token is told */
	bool with_value;
};

static uint8_t *
put_hit_flags(struct serve_call *call, uint8_t *to, const struct proto_request *request,
    const struct store_key *key, struct meta_hit *hit)
{
	const struct store_view *view = &hit->view;
	uint32_t now_s = call->serve->now_s;
	uint32_t recache_s = has(request, 'R') ? ttl_expiry(call, request->meta.recache) : 0;

	for (unsigned i = 2; i < request->tokens_len; i++) {
		switch (request->tokens[i].bytes[0]) {
		case 'N':
			if (hit->created)
				hit->expires_s = ttl_expiry(call, request->meta.vivify_ttl);
			break;
		case 'T':
			hit->expires_s = ttl_expiry(call, request->meta.ttl);
			break;
		case 'R':
			hit->due |= !hit->created && hit->expires_s != STORE_EXPTIME_NEVER &&
			            hit->expires_s < recache_s;
			break;
		case 's':
			to = put_flag(to, 's', view->value_bytes);
			break;
		case 't':
			to = put_ttl(to, hit->expires_s, now_s);
			break;
		case 'c':
			to = put_flag(to, 'c', view->cas);
			break;
		case 'f':
			to = put_flag(to, 'f', view->client_flags);
			break;
		case 'l':
			to = put_flag(to, 'l', now_s > view->last_access_s ? now_s - view->last_access_s : 0);
			break;
		case 'h':
			to = put_bytes(to, view->item_flags & STORE_ITEM_FETCHED ? " h1" : " h0", 3);
			break;
		case 'O':
			to = put_opaque(to, &request->tokens[i]);
			break;
		case 'k':
			to = put_key(to, key->bytes, key->len, view->item_flags & STORE_ITEM_KEY_BINARY);
			break;
		default:
			break;
		}
	}
	return to;
}

/* Z: somebody recaches already; X: stale; W: you are to recache. */
static uint8_t *
put_recache(struct serve_call *call, uint8_t *to, const struct store_key *key, const struct meta_hit *hit)
{
	bool sent = hit->view.item_flags & STORE_ITEM_TOKEN_SENT;
	bool stale = hit->view.item_flags & STORE_ITEM_STALE;
	bool wanted = !sent && (hit->created || hit->due || stale);
	bool won = wanted && store_win(call->serve->thread, key, &hit->view);

	if (sent || (wanted && !won))
		to = put_bytes(to, " Z", 2);
	if (stale)
		to = put_bytes(to, " X", 2);
	return won ? put_bytes(to, " W", 2) : to;
}

static enum serve_state
reply_hit(struct serve_call *call, const struct proto_request *request, const struct store_key *key,
    struct meta_hit *hit)
{
	uint32_t value_bytes = hit->view.value_bytes;
	bool small = value_bytes <= SMALL_VALUE;
	uint8_t *begin, *to;

	begin = serve_out_reserve(call, META_LINE_MAX + (hit->with_value && small ? value_bytes + 2 : 0));
	if (begin == NULL)
		return SERVE_ABORT;
	if (hit->with_value)
		to = proto_put_u32(put_bytes(begin, "VA ", 3), value_bytes);
	else
		to = put_bytes(begin, "HD", 2);
	to = put_hit_flags(call, to, request, key, hit);
	to = put_recache(call, to, key, hit);
	/* Only now: with a time that has passed nobody would have found the item, its winner included. */
	if (has(request, 'T') || (hit->created && is_past(call, hit->expires_s)))
		store_touch(call->serve->thread, key, hit->expires_s, NULL);
	to = put_bytes(to, "\r\n", 2);
	if (hit->with_value && small)
		to = put_bytes(serve_copy_value(call->serve, &hit->view, to), "\r\n", 2);
	serve_out_commit(call, (uint32_t)(to - begin));
	if (hit->with_value && !small) {
		serve_note_large(call->serve, key->bytes, key->len, value_bytes);
		serve_out_value(call, &hit->view);
		serve_out(call, "\r\n", 2);
	}
	return SERVE_GO_ON;
}

static inline bool
meta_read(struct serve_call *call, const struct proto_request *request, const struct store_key *key,
    struct store_view *view)
{
	struct store_thread *thread = call->serve->thread;

	if (has(request, 'u'))
		return store_peek(thread, key, view) == STORE_OK;
	return store_get(thread, key, view) == STORE_OK;
}

/* An empty item for what was not found. */
static __attribute__((noinline)) bool
meta_vivify(struct serve_call *call, const struct proto_request *request, const struct store_key *key,
    struct meta_hit *hit)
{
	uint32_t expires_s = ttl_expiry(call, request->meta.vivify_ttl);
	struct store_write write = {.mode = STORE_ADD,
	    .expires_s = is_past(call, expires_s) ? STORE_EXPTIME_NEVER : expires_s,
	    .cas_set = has(request, 'E') && request->meta.cas_new != 0,
	    .cas_new = request->meta.cas_new};

	hit->created = store_put(call->serve->thread, key, &write, "", 0, NULL) == STORE_OK;
	return meta_read(call, request, key, &hit->view);
}

/* Reads the item, creates an empty one if the request says so (N). */
static inline bool
meta_find(struct serve_call *call, const struct proto_request *request, const struct store_key *key,
    struct meta_hit *hit)
{
	bool found = meta_read(call, request, key, &hit->view);

	if (!found && has(request, 'N'))
		found = meta_vivify(call, request, key, hit);
	/* A new item has no time to live until the walk over the flags comes to N. */
	hit->expires_s = hit->created ? STORE_EXPTIME_NEVER : hit->view.expires_s;
	return found;
}

enum serve_state
serve_cmd_meta_get(struct serve_call *call, const struct proto_request *request)
{
	struct serve_counters *counters = &call->serve->counters;
	struct store_key key = serve_token_key(call->serve, &request->key);
	struct meta_hit hit = {.created = false};
	bool found = meta_find(call, request, &key, &hit);
	bool touch = found && has(request, 'T');

	if (serve_watched(call->serve, WATCH_FETCHERS))
		serve_event_fetch(call->serve, &key, found && !hit.created ? &hit.view : NULL);
	counters->cmd_touch += touch;
	counters->touch_hits += touch;
	counters->cmd_get += !touch;
	counters->get_hits += found && !touch;
	counters->get_misses += !found;
	if (!found)
		return has(request, 'q') ? SERVE_GO_ON : reply_echoes(call, request, "EN");
	hit.with_value =
	    has(request, 'v') && !(has(request, 'C') && request->meta.cas == hit.view.cas && !hit.created);
	return reply_hit(call, request, &key, &hit);
}

/* ---- ms --------------------------------------------------------------------------------------- */

static void
tail_make(struct serve_meta_tail *tail, const struct proto_request *request)
{
	tail->value_bytes = request->value_bytes;
	tail->key_len = (uint8_t)request->key.len;
	tail->key_binary = has(request, 'b');
	tail->opaque_len = 0;
	tail->order_len = 0;
	if (has(request, 'k') || has(request, 's'))
		memcpy(tail->key, request->key.bytes, request->key.len);
	for (unsigned i = 3; i < request->tokens_len; i++) {
		uint8_t flag = request->tokens[i].bytes[0];

		if (flag == 'O') {
			tail->opaque_len = (uint8_t)request->tokens[i].len;
			memcpy(tail->opaque, request->tokens[i].bytes, request->tokens[i].len);
		}
		if (flag == 'O' || flag == 'k' || flag == 'c' || flag == 's')
			tail->order[tail->order_len++] = flag;
	}
}

static enum store_mode
meta_mode(const struct proto_request *request)
{
	switch (request->meta.mode) {
	case 'E':
		return STORE_ADD;
	case 'A':
		return STORE_APPEND;
	case 'P':
		return STORE_PREPEND;
	case 'R':
		return has(request, 'C') ? STORE_CAS : STORE_REPLACE;
	default:
		return has(request, 'C') ? STORE_CAS : STORE_SET;
	}
}

enum serve_state
serve_cmd_meta_set(struct serve_call *call, const struct proto_request *request)
{
	struct store_key key = serve_token_key(call->serve, &request->key);
	enum store_mode mode = meta_mode(request);
	bool joins = mode == STORE_APPEND || mode == STORE_PREPEND;
	struct serve_meta_tail tail;
	struct store_write write = {
	    .mode = mode,
	    .client_flags = request->meta.client_flags,
	    .expires_s = has(request, 'T') ? ttl_expiry(call, request->meta.ttl) : STORE_EXPTIME_NEVER,
	    .cas = request->meta.cas,
	    .cas_check = mode == STORE_CAS || (joins && request->meta.cas != 0),
	    .key_binary = has(request, 'b'),
	    .invalidate = mode == STORE_CAS && has(request, 'I') && request->meta.cas != 0,
	    .vivify = joins && has(request, 'N'),
	    .cas_set = has(request, 'E') && request->meta.cas_new != 0,
	    .cas_new = request->meta.cas_new,
	};

	tail_make(&tail, request);
	if (write.vivify)
		write.expires_s = ttl_expiry(call, request->meta.vivify_ttl);
	return serve_value_begin(call, &key, &write, request, &tail);
}

static const char *
set_status(enum store_status status)
{
	switch (status) {
	case STORE_OK:
	case STORE_STALE:
		return "HD";
	case STORE_EXISTS:
		return "EX";
	case STORE_NOT_FOUND:
		return "NF";
	case STORE_NOT_STORED:
		return "NS";
	default:
		return NULL;
	}
}

/* Length of the item after append or prepend, which only the store knows. */
static uint32_t
stored_bytes(struct serve_call *call, const struct serve_meta_tail *tail, bool stored)
{
	struct store_key key = store_key_make(call->serve->store, tail->key, tail->key_len);
	struct store_view view;

	if (!stored || store_peek(call->serve->thread, &key, &view) != STORE_OK)
		return tail->value_bytes;
	return view.value_bytes;
}

void
serve_meta_set_done(struct serve_call *call, const struct serve_meta_tail *tail, bool noreply,
    enum store_status status, uint64_t cas)
{
	const char *word = set_status(status);
	bool stored = status == STORE_OK || status == STORE_STALE;
	uint8_t *begin, *to;

	if (word == NULL) {
		serve_out_reply(
		    call, status == STORE_TOO_LARGE ? PROTO_REPLY_TOO_LARGE : PROTO_REPLY_NO_MEMORY_STORE);
		return;
	}
	if (noreply && stored)
		return;
	begin = serve_out_reserve(call, META_LINE_MAX);
	if (begin == NULL)
		return;
	to = put_bytes(begin, word, 2);
	for (unsigned i = 0; i < tail->order_len; i++) {
		if (tail->order[i] == 'O')
			to = put_bytes(put_bytes(to, " ", 1), tail->opaque, tail->opaque_len);
		else if (tail->order[i] == 'k')
			to = put_key(to, tail->key, tail->key_len, tail->key_binary);
		else if (tail->order[i] == 'c')
			to = put_flag(to, 'c', stored ? cas : 0);
		else
			to = put_flag(to, 's', stored_bytes(call, tail, stored));
	}
	to = put_bytes(to, "\r\n", 2);
	serve_out_commit(call, (uint32_t)(to - begin));
}

/* ---- md --------------------------------------------------------------------------------------- */

/*
 * x: leaves an empty item in the place of the old one, with its CAS unless E gives another. Between reading
 * that CAS and writing, somebody may change the item: then once more.
 */
static enum store_status
replace_by_empty(struct serve_call *call, const struct proto_request *request, const struct store_key *key)
{
	struct store_thread *thread = call->serve->thread;
	struct store_write write = {.mode = STORE_CAS,
	    .cas_check = true,
	    .client_flags = request->meta.client_flags,
	    .expires_s = has(request, 'T') ? ttl_expiry(call, request->meta.ttl) : STORE_EXPTIME_NEVER};
	enum store_status status = STORE_EXISTS;
	struct store_view view;

	for (unsigned round = 0; round < RACE_ROUNDS && status == STORE_EXISTS; round++) {
		if (store_peek(thread, key, &view) != STORE_OK)
			return STORE_NOT_FOUND;
		if (has(request, 'C') && request->meta.cas != view.cas)
			return STORE_EXISTS;
		write.cas = view.cas;
		write.cas_new = has(request, 'E') ? request->meta.cas_new : view.cas;
		write.cas_set = write.cas_new != 0;
		status = store_put(thread, key, &write, "", 0, NULL);
	}
	return status;
}

static enum store_status
meta_delete(struct serve_call *call, const struct proto_request *request, const struct store_key *key)
{
	struct store_thread *thread = call->serve->thread;
	uint32_t expires_s = has(request, 'T') ? ttl_expiry(call, request->meta.ttl) : 0;
	uint64_t cas = has(request, 'C') ? request->meta.cas : 0;
	enum store_status status;
	struct store_view view;

	/* C0 matches nothing here, while the store takes 0 for "do not compare". */
	if (has(request, 'C') && cas == 0)
		return store_peek(thread, key, &view) == STORE_OK ? STORE_EXISTS : STORE_NOT_FOUND;
	if (has(request, 'x')) {
		status = replace_by_empty(call, request, key);
		if (status != STORE_OK || !has(request, 'I'))
			return status;
		cas = 0;
	}
	if (has(request, 'I'))
		return store_invalidate(thread, key, cas, has(request, 'E') ? request->meta.cas_new : 0,
		    has(request, 'T') ? &expires_s : NULL);
	return serve_delete(call->serve, key, cas, "md");
}

enum serve_state
serve_cmd_meta_delete(struct serve_call *call, const struct proto_request *request)
{
	struct serve_counters *counters = &call->serve->counters;
	struct store_key key = serve_token_key(call->serve, &request->key);
	enum store_status status = meta_delete(call, request, &key);

	counters->delete_hits += status == STORE_OK && !has(request, 'I');
	counters->delete_misses += status == STORE_NOT_FOUND || status == STORE_EXISTS;
	if (status == STORE_OK)
		return has(request, 'q') ? SERVE_GO_ON : reply_echoes(call, request, "HD");
	if (status == STORE_EXISTS || status == STORE_NOT_FOUND)
		return reply_echoes(call, request, status == STORE_EXISTS ? "EX" : "NF");
	serve_out_reply(call, PROTO_REPLY_NO_MEMORY);
	return SERVE_GO_ON;
}

/* ---- ma --------------------------------------------------------------------------------------- */

static enum serve_state
reply_number(struct serve_call *call, const struct proto_request *request, const struct store_key *key,
    uint64_t number, uint64_t cas, bool created)
{
	uint8_t digits[20];
	uint32_t len = (uint32_t)(proto_put_u64(digits, number) - digits);
	struct store_view view = {.expires_s = STORE_EXPTIME_NEVER};
	uint8_t *begin, *to;

	if (has(request, 't') && !created)
		store_peek(call->serve->thread, key, &view);
	begin = serve_out_reserve(call, META_LINE_MAX + sizeof(digits) + 2);
	if (begin == NULL)
		return SERVE_ABORT;
	to = has(request, 'v') ? proto_put_u32(put_bytes(begin, "VA ", 3), len) : put_bytes(begin, "HD", 2);
	for (unsigned i = 2; i < request->tokens_len; i++) {
		uint8_t flag = request->tokens[i].bytes[0];

		if (flag == 'c') {
			to = put_flag(to, 'c', cas);
		} else if (flag == 't') {
			to = put_ttl(to, view.expires_s, call->serve->now_s);
		} else if (flag == 'N' && created) {
			view.expires_s = ttl_expiry(call, request->meta.vivify_ttl);
		} else if (flag == 'T') {
			view.expires_s = ttl_expiry(call, request->meta.ttl);
			store_touch(call->serve->thread, key, view.expires_s, NULL);
		} else if (flag == 'O') {
			to = put_opaque(to, &request->tokens[i]);
		} else if (flag == 'k') {
			to = put_key(to, request->key.bytes, request->key.len, has(request, 'b'));
		}
	}
	to = put_bytes(to, "\r\n", 2);
	if (has(request, 'v'))
		to = put_bytes(put_bytes(to, digits, len), "\r\n", 2);
	/* q hides the reply, not what T did on the way. */
	serve_out_commit(call, has(request, 'q') ? 0 : (uint32_t)(to - begin));
	return SERVE_GO_ON;
}

/* Applies the delta; with N a missing number begins with J. *created tells that it did. */
static enum store_status
apply_delta(struct serve_call *call, const struct proto_request *request, const struct store_key *key,
    uint64_t *number, uint64_t *cas, bool *created)
{
	struct store_thread *thread = call->serve->thread;
	bool decrement = request->meta.mode == 'D' || request->meta.mode == '-';
	struct store_write write = {.mode = STORE_ADD,
	    .expires_s = ttl_expiry(call, request->meta.vivify_ttl),
	    .cas_set = has(request, 'E') && request->meta.cas_new != 0,
	    .cas_new = request->meta.cas_new};
	struct store_change change = {.decrement = decrement,
	    .amount = request->meta.delta,
	    .cas = request->meta.cas,
	    .cas_given = has(request, 'E') ? request->meta.cas_new : 0};
	enum store_status status;
	uint8_t digits[20];
	uint32_t len;

	/* Somebody may create the number between our miss and our add. */
	for (unsigned round = 0;; round++) {
		status = store_delta(thread, key, &change, number, cas);
		if (serve_watched(call->serve, WATCH_FETCHERS))
			serve_event_lookup(call->serve, key, status != STORE_NOT_FOUND);
		if (status != STORE_NOT_FOUND || !has(request, 'N') || round == RACE_ROUNDS)
			return status;
		len = (uint32_t)(proto_put_u64(digits, request->meta.initial) - digits);
		status = store_put(thread, key, &write, digits, len, cas);
		if (serve_watched(call->serve, WATCH_MUTATIONS))
			serve_event_store(call->serve, key, &write, status, len);
		*number = request->meta.initial;
		*created = status == STORE_OK;
		if (status != STORE_NOT_STORED)
			return status;
	}
}

static void
count_delta(struct serve_counters *counters, enum store_status status, bool decrement)
{
	if (status == STORE_OK)
		*(decrement ? &counters->decr_hits : &counters->incr_hits) += 1;
	else if (status == STORE_NOT_FOUND)
		*(decrement ? &counters->decr_misses : &counters->incr_misses) += 1;
}

enum serve_state
serve_cmd_meta_arithmetic(struct serve_call *call, const struct proto_request *request)
{
	struct store_key key = serve_token_key(call->serve, &request->key);
	bool decrement = request->meta.mode == 'D' || request->meta.mode == '-', created = false;
	uint64_t number = 0, cas = 0;
	enum store_status status = apply_delta(call, request, &key, &number, &cas, &created);

	if (!created)
		count_delta(&call->serve->counters, status, decrement);
	switch (status) {
	case STORE_OK:
		return reply_number(call, request, &key, number, cas, created);
	case STORE_NOT_FOUND:
		return reply_echoes(call, request, "NF");
	case STORE_EXISTS:
		return reply_echoes(call, request, "EX");
	case STORE_NOT_STORED:
		return reply_echoes(call, request, "NS");
	case STORE_NON_NUMERIC:
		serve_out_reply(call, PROTO_REPLY_NON_NUMERIC);
		return SERVE_GO_ON;
	default:
		serve_out_reply(call, PROTO_REPLY_NO_MEMORY);
		return SERVE_GO_ON;
	}
}

/* ---- me --------------------------------------------------------------------------------------- */

enum serve_state
serve_cmd_meta_debug(struct serve_call *call, const struct proto_request *request)
{
	struct serve *serve = call->serve;
	struct store_key key = serve_token_key(serve, &request->key);
	struct store_view view;
	uint8_t *begin, *to;

	serve->counters.cmd_meta++;
	if (store_peek(serve->thread, &key, &view) != STORE_OK) {
		serve_out_reply(call, PROTO_REPLY_META_MISS);
		return SERVE_GO_ON;
	}
	begin = serve_out_reserve(call, META_LINE_MAX);
	if (begin == NULL)
		return SERVE_ABORT;
	to = put_bytes(begin, "ME ", 3);
	if (view.item_flags & STORE_ITEM_KEY_BINARY)
		to += proto_base64_encode(key.bytes, key.len, to);
	else
		to = put_bytes(to, key.bytes, key.len);
	to = put_bytes(to, " exp=", 5);
	if (view.expires_s == STORE_EXPTIME_NEVER)
		to = put_bytes(to, "-1", 2);
	else
		to = proto_put_u32(to, view.expires_s - serve->now_s);
	to = proto_put_u32(put_bytes(to, " la=", 4),
	    serve->now_s > view.last_access_s ? serve->now_s - view.last_access_s : 0);
	to = proto_put_u64(put_bytes(to, " cas=", 5), view.cas);
	to = put_bytes(to, view.item_flags & STORE_ITEM_FETCHED ? " fetch=yes" : " fetch=no",
	    view.item_flags & STORE_ITEM_FETCHED ? 10 : 9);
	to = proto_put_u32(put_bytes(to, " cls=0 size=", 12), key.len + view.value_bytes);
	to = put_bytes(to, "\r\n", 2);
	serve_out_commit(call, (uint32_t)(to - begin));
	return SERVE_GO_ON;
}
