/*
 * What reads and changes items over the binary protocol: get, touch and gat, the storage commands, delete, incr and
 * decr. The values of storage commands are taken in by serve_binary.c.
 */
#include "dataplane/serve_binary.h"

#include "dataplane/proto/digits.h"

#define EXPIRATION_RELATIVE_MAX_S (60u * 60 * 24 * 30)
#define FLAGS_BYTES               4u /* extras of a hit */
#define DIGITS_MAX                20u

uint32_t
serve_binary_expiry(const struct serve *serve, uint32_t expiration)
{
	if (expiration == 0)
		return STORE_EXPTIME_NEVER;
	return expiration > EXPIRATION_RELATIVE_MAX_S ? expiration : serve->now_s + expiration;
}

static inline struct store_key
request_key(struct serve *serve, const struct proto_binary *request)
{
	return serve_key(serve, request->key, request->key_len);
}

/* ---- get, touch, gat -------------------------------------------------------------------------- */

static inline bool
with_key(const struct proto_binary *request)
{
	return request->command == PROTO_BINARY_GETK || request->command == PROTO_BINARY_GATK;
}

static inline bool
touches(const struct proto_binary *request)
{
	return request->command == PROTO_BINARY_TOUCH || request->command == PROTO_BINARY_GAT ||
	       request->command == PROTO_BINARY_GATK;
}

/* Small values are written behind their head at once, large ones handed over as they lie in the store. */
static void
put_hit(struct serve_call *call, const struct proto_binary *request, const struct store_view *view)
{
	struct proto_binary_reply reply = {
	    .status = PROTO_BINARY_OK,
	    .extras_len = FLAGS_BYTES,
	    .key_len = with_key(request) ? request->key_len : 0,
	    .value_bytes = request->command != PROTO_BINARY_TOUCH ? view->value_bytes : 0,
	    .cas = view->cas,
	};
	uint32_t head_bytes = PROTO_BINARY_HEADER_BYTES + FLAGS_BYTES + reply.key_len;
	bool small = reply.value_bytes <= SERVE_RESERVE_MAX - PROTO_BINARY_HEAD_MAX;
	uint8_t *begin = serve_out_reserve(call, head_bytes + (small ? reply.value_bytes : 0)), *to;

	if (begin == NULL)
		return;
	to = proto_put_binary_header(begin, request->opcode, request->opaque, &reply);
	to = proto_put_be32(to, view->client_flags);
	memcpy(to, request->key, reply.key_len);
	to += reply.key_len;
	if (small && reply.value_bytes != 0)
		to = serve_copy_value(call->serve, view, to);
	serve_out_commit(call, (uint32_t)(to - begin));
	if (!small) {
		serve_note_large(call->serve, request->key, request->key_len, view->value_bytes);
		serve_out_value(call, view);
	}
}

static void
put_miss(struct serve_call *call, const struct proto_binary *request)
{
	struct proto_binary_reply reply = {.status = PROTO_BINARY_NOT_FOUND, .key_len = request->key_len};
	uint8_t *to;

	if (request->quiet)
		return;
	if (!with_key(request)) {
		serve_binary_status(call, request->opcode, request->opaque, PROTO_BINARY_NOT_FOUND);
		return;
	}
	to = serve_out_reserve(call, PROTO_BINARY_HEADER_BYTES + reply.key_len);
	if (to == NULL)
		return;
	to = proto_put_binary_header(to, request->opcode, request->opaque, &reply);
	memcpy(to, request->key, reply.key_len);
	serve_out_commit(call, PROTO_BINARY_HEADER_BYTES + reply.key_len);
}

/* A mere touch is told to those who watch, but not counted by prefix. */
static __attribute__((noinline)) void
note_get(struct serve *serve, const struct proto_binary *request, const struct store_key *key,
    const struct store_view *view)
{
	if (request->command != PROTO_BINARY_TOUCH)
		serve_note_get(serve, key, view);
	else if (serve_watched(serve, WATCH_FETCHERS))
		serve_event_fetch(serve, key, view);
}

enum serve_state
serve_binary_get(struct serve_call *call, const struct proto_binary *request)
{
	struct serve *serve = call->serve;
	struct store_key key = request_key(serve, request);
	bool touch = touches(request), hit;
	struct store_view view;

	if (touch)
		hit = store_touch(serve->thread, &key, serve_binary_expiry(serve, request->expiration),
		          &view) == STORE_OK;
	else
		hit = store_get(serve->thread, &key, &view) == STORE_OK;
	if (serve_watched(serve, WATCH_FETCHERS | SERVE_DETAIL))
		note_get(serve, request, &key, hit ? &view : NULL);
	serve->counters.cmd_touch += touch;
	serve->counters.touch_hits += touch && hit;
	serve->counters.touch_misses += touch && !hit;
	serve->counters.cmd_get += !touch;
	serve->counters.get_hits += !touch && hit;
	serve->counters.get_misses += !touch && !hit;
	if (hit)
		put_hit(call, request, &view);
	else
		put_miss(call, request);
	return SERVE_GO_ON;
}

/* ---- storage commands, delete ----------------------------------------------------------------- */

enum serve_state
serve_binary_store(struct serve_call *call, const struct proto_binary *request)
{
	static const enum store_mode modes[PROTO_BINARY_COMMANDS] = {
	    [PROTO_BINARY_SET] = STORE_SET,
	    [PROTO_BINARY_ADD] = STORE_ADD,
	    [PROTO_BINARY_REPLACE] = STORE_REPLACE,
	    [PROTO_BINARY_APPEND] = STORE_APPEND,
	    [PROTO_BINARY_PREPEND] = STORE_PREPEND,
	};
	bool joins = request->command == PROTO_BINARY_APPEND || request->command == PROTO_BINARY_PREPEND;
	struct store_key key = request_key(call->serve, request);
	struct store_write write = {.mode = modes[request->command], .cas = request->cas};

	if (!joins) {
		write.client_flags = request->client_flags;
		write.expires_s = serve_binary_expiry(call->serve, request->expiration);
	}
	/* Any of set, add and replace with a CAS is memcached's cas: even add wants the item to be there then. */
	if (request->cas != 0) {
		write.cas_check = true;
		write.mode = joins ? write.mode : STORE_CAS;
	}
	if (serve_watched(call->serve, SERVE_DETAIL))
		serve_detail_change(call->serve, &key, PREFIX_SET);
	return serve_binary_value_begin(call, request, &key, &write);
}

enum serve_state
serve_binary_delete(struct serve_call *call, const struct proto_binary *request)
{
	struct serve_counters *counters = &call->serve->counters;
	struct store_key key = request_key(call->serve, request);
	enum proto_binary_status said = PROTO_BINARY_NOT_FOUND;

	if (serve_watched(call->serve, SERVE_DETAIL))
		serve_detail_change(call->serve, &key, PREFIX_DELETE);
	switch (serve_delete(call->serve, &key, request->cas, "delete")) {
	case STORE_OK:
		counters->delete_hits++;
		if (!request->quiet)
			serve_binary_done(call, request, 0);
		return SERVE_GO_ON;
	case STORE_EXISTS:
		said = PROTO_BINARY_EXISTS;
		break;
	default:
		counters->delete_misses++;
		break;
	}
	serve_binary_status(call, request->opcode, request->opaque, said);
	return SERVE_GO_ON;
}

/* ---- incr, decr ------------------------------------------------------------------------------- */

static void
put_number(struct serve_call *call, const struct proto_binary *request, uint64_t number, uint64_t cas)
{
	struct proto_binary_reply reply = {
	    .status = PROTO_BINARY_OK, .value_bytes = sizeof(number), .cas = cas};
	uint8_t *to;

	if (request->quiet)
		return;
	to = serve_out_reserve(call, PROTO_BINARY_HEADER_BYTES + sizeof(number));
	if (to == NULL)
		return;
	proto_put_be64(proto_put_binary_header(to, request->opcode, request->opaque, &reply), number);
	serve_out_commit(call, PROTO_BINARY_HEADER_BYTES + sizeof(number));
}

/* Nothing to count from: the number begins with its initial value, unless the request forbids it. */
static enum proto_binary_status
delta_create(
    struct serve_call *call, const struct proto_binary *request, const struct store_key *key, uint64_t *cas)
{
	struct serve *serve = call->serve;
	struct store_write write = {
	    .mode = STORE_ADD, .expires_s = serve_binary_expiry(serve, request->expiration)};
	uint8_t digits[DIGITS_MAX];
	uint32_t len = (uint32_t)(proto_put_u64(digits, request->initial) - digits);
	enum store_status status;

	if (request->expiration == PROTO_BINARY_NO_CREATE) {
		*(request->command == PROTO_BINARY_DECR ? &serve->counters.decr_misses
		                                        : &serve->counters.incr_misses) += 1;
		return PROTO_BINARY_NOT_FOUND;
	}
	status = store_put(serve->thread, key, &write, digits, len, cas);
	if (serve_watched(serve, WATCH_MUTATIONS))
		serve_event_store(serve, key, &write, status, len);
	switch (status) {
	case STORE_OK:
		return PROTO_BINARY_OK;
	case STORE_NOT_STORED: /* another worker was faster */
		return PROTO_BINARY_NOT_STORED;
	default:
		serve->counters.store_no_memory++;
		return PROTO_BINARY_NO_MEMORY;
	}
}

enum serve_state
serve_binary_delta(struct serve_call *call, const struct proto_binary *request)
{
	struct serve *serve = call->serve;
	struct store_key key = request_key(serve, request);
	bool decrement = request->command == PROTO_BINARY_DECR;
	struct store_change change = {.decrement = decrement, .amount = request->delta, .cas = request->cas};
	enum proto_binary_status said = PROTO_BINARY_OK;
	uint64_t number = request->initial, cas = 0;
	enum store_status status;

	status = store_delta(serve->thread, &key, &change, &number, &cas);
	if (serve_watched(serve, WATCH_FETCHERS))
		serve_event_lookup(serve, &key, status != STORE_NOT_FOUND);
	switch (status) {
	case STORE_OK:
		*(decrement ? &serve->counters.decr_hits : &serve->counters.incr_hits) += 1;
		break;
	case STORE_NOT_FOUND:
		number = request->initial;
		said = delta_create(call, request, &key, &cas);
		break;
	case STORE_NON_NUMERIC:
		said = PROTO_BINARY_NON_NUMERIC;
		break;
	case STORE_EXISTS:
		said = PROTO_BINARY_EXISTS;
		break;
	default:
		said = PROTO_BINARY_NO_MEMORY;
		break;
	}
	if (said == PROTO_BINARY_OK)
		put_number(call, request, number, cas);
	else
		serve_binary_status(call, request->opcode, request->opaque, said);
	return SERVE_GO_ON;
}
