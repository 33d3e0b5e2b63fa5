/*
 * A stream of the binary protocol cut into requests and values.
 *
 * As in serve_session.c nothing is copied in the common case: the head is parsed where it lies, and a value that is
 * all there goes to the store in one piece. A head that arrives in parts waits in a line buffer, a value in the
 * store's own memory. What a reply needs after its value came (opcode and opaque) is kept in the session.
 */
#include "dataplane/serve_binary.h"

#include "dataplane/serve_auth.h"

#define REQUEST_MAX (PROTO_BINARY_HEAD_MAX + SERVE_SASL_VALUE_MAX)
_Static_assert(REQUEST_MAX <= SERVE_LINE_BYTES, "a head in parts fits the first line buffer");

/* ---- replies ---------------------------------------------------------------------------------- */

static void
put_body(struct serve_call *call, uint8_t opcode, uint32_t opaque, const struct proto_binary_reply *reply,
    const void *body)
{
	uint32_t len = PROTO_BINARY_HEADER_BYTES + reply->value_bytes;
	uint8_t *to = serve_out_reserve(call, len);

	if (to == NULL)
		return;
	to = proto_put_binary_header(to, opcode, opaque, reply);
	memcpy(to, body, reply->value_bytes);
	serve_out_commit(call, len);
}

void
serve_binary_status(struct serve_call *call, uint8_t opcode, uint32_t opaque, enum proto_binary_status status)
{
	const char *text = proto_binary_text(status);
	struct proto_binary_reply reply = {.status = status, .value_bytes = (uint32_t)strlen(text)};

	put_body(call, opcode, opaque, &reply, text);
}

void
serve_binary_done(struct serve_call *call, const struct proto_binary *request, uint64_t cas)
{
	struct proto_binary_reply reply = {.status = PROTO_BINARY_OK, .cas = cas};

	put_body(call, request->opcode, request->opaque, &reply, "");
}

void
serve_binary_body(struct serve_call *call, const struct proto_binary *request,
    enum proto_binary_status status, const void *body, uint32_t body_bytes)
{
	struct proto_binary_reply reply = {.status = status, .value_bytes = body_bytes};

	put_body(call, request->opcode, request->opaque, &reply, body);
}

/* ---- values ----------------------------------------------------------------------------------- */

enum serve_state
serve_binary_swallow(
    struct serve_call *call, const struct proto_binary *request, enum proto_binary_status status)
{
	struct serve_session *session = call->session;

	if (request->value_bytes == 0) {
		serve_binary_status(call, request->opcode, request->opaque, status);
		return SERVE_GO_ON;
	}
	session->missing = request->value_bytes;
	session->command = request->opcode;
	session->opaque = request->opaque;
	session->verdict = (uint8_t)status;
	session->phase = SERVE_PHASE_BINARY_SWALLOW;
	return SERVE_GO_ON;
}

static enum serve_state
step_swallow(struct serve_call *call)
{
	struct serve_session *session = call->session;

	if (!serve_skip_missing(call))
		return SERVE_GO_ON;
	session->phase = SERVE_PHASE_BINARY;
	serve_binary_status(
	    call, session->command, session->opaque, (enum proto_binary_status)session->verdict);
	return SERVE_GO_ON;
}

/* What a storage command's outcome is called here; add and replace have names of their own for "not stored". */
static enum proto_binary_status
stored_status(enum proto_binary_command command, enum store_status status)
{
	switch (status) {
	case STORE_OK:
	case STORE_STALE:
		return PROTO_BINARY_OK;
	case STORE_EXISTS:
		return PROTO_BINARY_EXISTS;
	case STORE_NOT_FOUND:
		return PROTO_BINARY_NOT_FOUND;
	case STORE_NOT_STORED:
		if (command == PROTO_BINARY_ADD)
			return PROTO_BINARY_EXISTS;
		return command == PROTO_BINARY_REPLACE ? PROTO_BINARY_NOT_FOUND : PROTO_BINARY_NOT_STORED;
	case STORE_TOO_LARGE:
		return PROTO_BINARY_TOO_LARGE;
	case STORE_NO_MEMORY:
	case STORE_NON_NUMERIC:
		break;
	}
	return PROTO_BINARY_NO_MEMORY;
}

static void
value_done(struct serve_call *call, const struct proto_binary *request, bool cas_check,
    enum store_status status, uint64_t cas)
{
	enum proto_binary_status said = stored_status(request->command, status);

	call->serve->counters.cmd_set++;
	if (cas_check)
		serve_count_cas(&call->serve->counters, status);
	if (said != PROTO_BINARY_OK)
		serve_binary_status(call, request->opcode, request->opaque, said);
	else if (!request->quiet)
		serve_binary_done(call, request, cas);
}

/* The store takes no value of this size, or none now. What it held before must not be served any more. */
static enum proto_binary_status
refuse(struct serve *serve, const struct proto_binary *request, const struct store_key *key,
    enum store_status status)
{
	if (status == STORE_TOO_LARGE)
		serve->counters.store_too_large++;
	else
		serve->counters.store_no_memory++;
	if (request->command == PROTO_BINARY_SET)
		store_delete(serve->thread, key, 0);
	return stored_status(request->command, status);
}

/* The value comes in pieces: straight into the store's memory. */
static enum serve_state
value_wait(struct serve_call *call, const struct proto_binary *request, const struct store_key *key,
    const struct store_write *write)
{
	struct serve_session *session = call->session;
	enum store_status status;

	if (request->value_bytes >= SERVE_RESERVE_MAX)
		serve_note_large(call->serve, key->bytes, key->len, request->value_bytes);
	status = store_reserve(call->serve->thread, key, write, request->value_bytes, &session->fill);
	if (status != STORE_OK) {
		session->fill = NULL;
		if (serve_watched(call->serve, WATCH_MUTATIONS))
			serve_event_store(call->serve, key, write, status, request->value_bytes);
		return serve_binary_swallow(call, request, refuse(call->serve, request, key, status));
	}
	session->missing = request->value_bytes;
	session->command = request->opcode;
	session->opaque = request->opaque;
	session->cas_check = write->mode == STORE_CAS;
	session->phase = SERVE_PHASE_BINARY_VALUE;
	return SERVE_GO_ON;
}

enum serve_state
serve_binary_value_begin(struct serve_call *call, const struct proto_binary *request,
    const struct store_key *key, const struct store_write *write)
{
	const uint8_t *value = call->at;
	enum store_status status;
	uint64_t cas = 0;

	if ((uint64_t)(call->end - value) < request->value_bytes)
		return value_wait(call, request, key, write);
	call->at += request->value_bytes;
	status = store_put(call->serve->thread, key, write, value, request->value_bytes, &cas);
	if (serve_watched(call->serve, WATCH_MUTATIONS))
		serve_event_store(call->serve, key, write, status, request->value_bytes);
	if (status == STORE_TOO_LARGE || status == STORE_NO_MEMORY)
		serve_binary_status(
		    call, request->opcode, request->opaque, refuse(call->serve, request, key, status));
	else
		value_done(call, request, write->mode == STORE_CAS, status, cas);
	return SERVE_GO_ON;
}

static enum serve_state
step_value(struct serve_call *call)
{
	struct serve_session *session = call->session;
	uint64_t have = (uint64_t)(call->end - call->at), cas = 0;
	uint32_t take = have < session->missing ? (uint32_t)have : session->missing;
	struct proto_binary request;
	enum store_status status;

	store_fill_append(session->fill, call->at, take);
	call->at += take;
	session->missing -= take;
	if (session->missing != 0)
		return SERVE_GO_ON;
	proto_binary_recall(session->command, session->opaque, &request);
	status = serve_fill_commit(call->serve, session->fill, &cas);
	call->serve->counters.store_no_memory += status == STORE_NO_MEMORY;
	session->fill = NULL;
	session->phase = SERVE_PHASE_BINARY;
	value_done(call, &request, session->cas_check, status, cas);
	return SERVE_GO_ON;
}

/* ---- requests --------------------------------------------------------------------------------- */

typedef enum serve_state (*binary_handler)(struct serve_call *call, const struct proto_binary *request);
static const binary_handler handlers[PROTO_BINARY_COMMANDS] = {
#define BINARY_COMMAND(id, shape, handler) [PROTO_BINARY_##id] = serve_binary_##handler,
#include "dataplane/proto/binary.def"
};

static __attribute__((noinline)) enum serve_state
answer_error(struct serve_call *call, const struct proto_binary *request)
{
	struct serve_counters *counters = &call->serve->counters;

	if (request->hangup)
		return serve_violated(call);
	counters->protocol_errors++;
	if (!request->close)
		return serve_binary_swallow(call, request, request->error);
	serve_binary_status(call, request->opcode, request->opaque, request->error);
	return serve_violated(call);
}

/* Before login only what leads to it is answered; anything else ends the stream. */
static __attribute__((noinline)) bool
may_precede_login(const struct proto_binary *request)
{
	switch (request->command) {
	case PROTO_BINARY_SASL_LIST:
	case PROTO_BINARY_SASL_AUTH:
	case PROTO_BINARY_SASL_STEP:
	case PROTO_BINARY_VERSION:
		return true;
	default:
		/* Lengths that contradict each other, or no header of ours, are seen before the login is. */
		return request->hangup || (request->error == PROTO_BINARY_UNKNOWN && request->close);
	}
}

static enum serve_state
answer(struct serve_call *call, struct proto_binary *request)
{
	if (__builtin_expect(call->session->auth != SERVE_AUTH_DONE, 0) && !may_precede_login(request)) {
		request->error = PROTO_BINARY_AUTH;
		request->close = true;
	}
	if (__builtin_expect(request->hangup || request->error != PROTO_BINARY_OK, 0))
		return answer_error(call, request);
	return handlers[request->command](call, request);
}

/* Bytes of the request that have to be there before it is answered: of SASL the value too. */
static uint32_t
parse(const struct serve *serve, const uint8_t *bytes, uint64_t len, struct proto_binary *request)
{
	uint32_t have = len < UINT32_MAX ? (uint32_t)len : UINT32_MAX;
	uint32_t need = proto_parse_binary(bytes, have, request);

	if (need > have || request->hangup || request->error != PROTO_BINARY_OK)
		return need;
	if (request->command == PROTO_BINARY_SASL_AUTH || request->command == PROTO_BINARY_SASL_STEP)
		need += serve_auth_value_bytes(serve, request);
	return need;
}

/* A request that does not lie in one piece in the input. */
static __attribute__((noinline)) enum serve_state
step_split(struct serve_call *call)
{
	struct serve_session *session = call->session;
	struct proto_binary request;
	uint32_t have = 0, need = PROTO_BINARY_HEADER_BYTES;
	enum serve_state state;

	for (;;) {
		if (session->line != NULL) {
			have = session->line->len;
			need = parse(call->serve, session->line->bytes, have, &request);
		}
		uint64_t left = (uint64_t)(call->end - call->at);
		uint32_t take = need <= have ? 0 : left < need - have ? (uint32_t)left : need - have;

		if (take == 0)
			break;
		if (!serve_line_append(session, call->at, take))
			return SERVE_ABORT;
		call->at += take;
	}
	if (need > have)
		return SERVE_GO_ON;
	state = answer(call, &request);
	serve_line_put(call->serve, session->line);
	session->line = NULL;
	return state;
}

static inline enum serve_state
step_request(struct serve_call *call)
{
	struct proto_binary request;
	uint32_t need;

	if (__builtin_expect(call->session->line != NULL, 0))
		return step_split(call);
	need = parse(call->serve, call->at, (uint64_t)(call->end - call->at), &request);
	if (__builtin_expect(need > call->end - call->at, 0))
		return step_split(call);
	call->at += need;
	return answer(call, &request);
}

enum serve_state
serve_binary_step(struct serve_call *call)
{
	switch ((enum serve_phase)call->session->phase) {
	case SERVE_PHASE_BINARY_VALUE:
		return step_value(call);
	case SERVE_PHASE_BINARY_SWALLOW:
		return step_swallow(call);
	default:
		return step_request(call);
	}
}
