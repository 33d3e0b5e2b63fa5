/*
 * A stream of requests cut into lines and values.
 *
 * The common case never leaves the caller's bytes: the line is parsed where it lies and a value that is all
 * there goes to the store in one piece. What arrives in parts waits in a line buffer, or goes into the
 * store's own memory as it comes. Both are given back as soon as the request is complete, so an idle session
 * owns nothing.
 */
#include "dataplane/serve.h"
#include "dataplane/serve_internal.h"

#include "dataplane/proto/binary.h"
#include "dataplane/serve_auth.h"

#include <stdlib.h>
#include <string.h>

/* ---- line buffers ----------------------------------------------------------------------------- */

struct serve_line *
serve_line_get(struct serve *serve, uint32_t room)
{
	struct serve_line *line = serve->spare_lines;

	if (room <= SERVE_LINE_BYTES && line != NULL) {
		serve->spare_lines = line->next;
		serve->spare_len--;
	} else {
		room = room < SERVE_LINE_BYTES ? SERVE_LINE_BYTES : room;
		if (serve->lines_bytes + room > serve->config.lines_bytes_max)
			return NULL;
		line = malloc(sizeof(*line) + room);
		if (line == NULL)
			return NULL;
		line->room = room;
		serve->lines_bytes += room;
	}
	line->len = 0;
	line->at = 0;
	line->next = NULL;
	return line;
}

void
serve_line_put(struct serve *serve, struct serve_line *line)
{
	if (line == NULL)
		return;
	if (line->room != SERVE_LINE_BYTES || serve->spare_len >= SERVE_LINES_KEPT) {
		serve->lines_bytes -= line->room;
		free(line);
		return;
	}
	line->next = serve->spare_lines;
	serve->spare_lines = line;
	serve->spare_len++;
}

bool
serve_line_append(struct serve_session *session, const uint8_t *bytes, uint32_t len)
{
	struct serve_line *line = session->line, *grown;
	uint64_t need = (line != NULL ? line->len : 0) + (uint64_t)len;

	if (line == NULL || need > line->room) {
		uint64_t room = line != NULL && need < 2ull * line->room ? 2ull * line->room : need;

		grown = room <= UINT32_MAX ? serve_line_get(session->serve, (uint32_t)room) : NULL;
		if (grown == NULL)
			return false;
		if (line != NULL) {
			memcpy(grown->bytes, line->bytes, line->len);
			grown->len = line->len;
		}
		serve_line_put(session->serve, line);
		session->line = line = grown;
	}
	memcpy(line->bytes + line->len, bytes, len);
	line->len += len;
	return true;
}

/* ---- values ----------------------------------------------------------------------------------- */

void
serve_swallow(struct serve_call *call, uint32_t value_bytes, enum proto_reply verdict)
{
	struct serve_session *session = call->session;

	session->missing = value_bytes + 2;
	session->verdict = (uint8_t)verdict;
	session->phase = SERVE_PHASE_SWALLOW;
}

static enum serve_state
step_swallow(struct serve_call *call)
{
	struct serve_session *session = call->session;

	if (!serve_skip_missing(call))
		return SERVE_GO_ON;
	session->phase = SERVE_PHASE_LINE;
	if (session->verdict != PROTO_REPLY_NONE)
		serve_out_reply(call, (enum proto_reply)session->verdict);
	return SERVE_GO_ON;
}

/* The line end behind a value: anything else is counted in and spoils the value. */
static void
take_line_end(struct serve_call *call)
{
	static const uint8_t line_end[2] = {'\r', '\n'};
	struct serve_session *session = call->session;

	while (session->missing != 0 && call->at < call->end) {
		session->bad_chunk |= *call->at != line_end[2 - session->missing];
		call->at++;
		session->missing--;
	}
}

enum store_status
serve_fill_commit(struct serve *serve, struct store_fill *fill, uint64_t *cas)
{
	uint8_t bytes[STORE_KEY_MAX];
	struct store_key key;
	struct store_write write;
	enum store_status status;
	uint32_t value_bytes;

	if (!serve_watched(serve, WATCH_MUTATIONS))
		return store_fill_commit(serve->thread, fill, cas);
	/* The commit frees the fill. */
	store_fill_about(fill, &key, &write, &value_bytes);
	memcpy(bytes, key.bytes, key.len);
	key.bytes = bytes;
	status = store_fill_commit(serve->thread, fill, cas);
	serve_event_store(serve, &key, &write, status, value_bytes);
	return status;
}

static enum serve_state
step_value(struct serve_call *call)
{
	struct serve_session *session = call->session;
	struct serve_meta_tail *meta = session->meta;
	struct store_fill *fill = session->fill;
	uint64_t have = (uint64_t)(call->end - call->at), cas = 0;
	enum store_status status;

	if (session->missing > 2) {
		uint32_t take = have < session->missing - 2 ? (uint32_t)have : session->missing - 2;

		store_fill_append(fill, call->at, take);
		call->at += take;
		session->missing -= take;
	}
	if (session->missing <= 2)
		take_line_end(call);
	if (session->missing != 0)
		return SERVE_GO_ON;
	session->phase = SERVE_PHASE_LINE;
	session->fill = NULL;
	session->meta = NULL;
	if (session->bad_chunk) {
		store_fill_abort(call->serve->thread, fill);
		call->serve->counters.protocol_errors++;
		serve_out_unless(call, session->noreply && meta == NULL, PROTO_REPLY_BAD_CHUNK);
	} else {
		status = serve_fill_commit(call->serve, fill, &cas);
		call->serve->counters.store_no_memory += status == STORE_NO_MEMORY;
		serve_value_done(
		    call, (enum proto_command)session->command, session->noreply, meta, status, cas);
	}
	free(meta);
	return SERVE_GO_ON;
}

/* ---- lines ------------------------------------------------------------------------------------ */

/* The handlers of commands.def. */
typedef enum serve_state (*serve_handler)(struct serve_call *call, const struct proto_request *request);
static const serve_handler handlers[PROTO_COMMANDS] = {
#define PROTO_COMMAND(id, word, shape, handler, syntax) [PROTO_##id] = serve_cmd_##handler,
#include "dataplane/proto/commands.def"
#undef PROTO_COMMAND
};

enum serve_state
serve_violated(struct serve_call *call)
{
	call->serve->counters.protocol_closes++;
	call->session->violated = true;
	return SERVE_CLOSE;
}

bool
serve_session_violated(const struct serve_session *session)
{
	return session->violated;
}

static enum serve_state
answer_error(struct serve_call *call, const struct proto_request *request)
{
	call->serve->counters.protocol_errors++;
	if (request->hangup) {
		return serve_violated(call);
	}
	if (request->has_value)
		serve_swallow(
		    call, request->value_bytes, request->noreply ? PROTO_REPLY_NONE : request->error);
	else
		serve_out_unless(call, request->noreply, request->error);
	return SERVE_GO_ON;
}

static __attribute__((noinline)) enum serve_state
answer_line(struct serve_call *call, const uint8_t *line, uint32_t len)
{
	struct proto_request request;

	proto_parse_text(line, len, &request);
	if (request.error != PROTO_REPLY_NONE)
		return answer_error(call, &request);
	return handlers[request.command](call, &request);
}

/* Whether an unfinished line of this length may go on: only gets may be long. */
static bool
line_may_grow(const struct serve *serve, const uint8_t *bytes, uint64_t len)
{
	if (len <= PROTO_LINE_MAX)
		return true;
	if (memcmp(bytes, "get ", 4) != 0 && memcmp(bytes, "gets ", 5) != 0)
		return false;
	return len <= serve->config.line_max_bytes;
}

/* A line that does not lie in one piece in the input. */
static __attribute__((noinline)) enum serve_state
step_split_line(struct serve_call *call, const uint8_t *feed)
{
	struct serve_session *session = call->session;
	uint32_t take = (uint32_t)((feed != NULL ? feed + 1 : call->end) - call->at);
	enum serve_state state;

	if ((session->line != NULL ? session->line->len : 0) + (uint64_t)take >
	        (uint64_t)call->serve->config.line_max_bytes ||
	    !serve_line_append(session, call->at, take)) {
		return serve_violated(call);
	}
	call->at += take;
	if (feed == NULL) {
		if (line_may_grow(call->serve, session->line->bytes, session->line->len))
			return SERVE_GO_ON;
		return serve_violated(call);
	}
	state = answer_line(call, session->line->bytes, session->line->len);
	if (session->phase != SERVE_PHASE_KEYS) {
		serve_line_put(call->serve, session->line);
		session->line = NULL;
	}
	return state;
}

static enum serve_state
step_line(struct serve_call *call)
{
	const uint8_t *line = call->at;
	const uint8_t *feed = memchr(line, '\n', (size_t)(call->end - line));
	uint64_t len;

	if (call->session->line != NULL || feed == NULL)
		return step_split_line(call, feed);
	len = (uint64_t)(feed + 1 - line);
	if (len > call->serve->config.line_max_bytes) {
		return serve_violated(call);
	}
	call->at = feed + 1;
	return answer_line(call, line, (uint32_t)len);
}

/* ---- the session ------------------------------------------------------------------------------ */

/* By the first byte of the stream. */
static void
choose_protocol(struct serve_call *call)
{
	struct serve_session *session = call->session;

	if (*call->at == PROTO_BINARY_MAGIC)
		session->phase = SERVE_PHASE_BINARY;
	else
		session->phase = session->auth == SERVE_AUTH_DONE ? SERVE_PHASE_LINE : SERVE_PHASE_LOGIN_LINE;
}

/* Whether the session has something to say without being asked: a suspended reply, or a verdict. */
static inline bool
owes_reply(const struct serve_session *session)
{
	return session->phase == SERVE_PHASE_KEYS || session->phase == SERVE_PHASE_DUMP ||
	       session->phase == SERVE_PHASE_WATCH || session->phase == SERVE_PHASE_LOGIN_WAIT ||
	       session->phase == SERVE_PHASE_SASL_WAIT;
}

enum serve_state
serve_session_step(struct serve_call *call)
{
	struct serve_session *session = call->session;

	switch ((enum serve_phase)session->phase) {
	case SERVE_PHASE_FIRST:
		choose_protocol(call);
		return serve_session_step(call);
	case SERVE_PHASE_LINE:
		return step_line(call);
	case SERVE_PHASE_VALUE:
		return step_value(call);
	case SERVE_PHASE_SWALLOW:
		return step_swallow(call);
	case SERVE_PHASE_KEYS:
		return serve_get_resume(call);
	case SERVE_PHASE_BINARY:
	case SERVE_PHASE_BINARY_VALUE:
	case SERVE_PHASE_BINARY_SWALLOW:
		return serve_binary_step(call);
	case SERVE_PHASE_LOGIN_LINE:
	case SERVE_PHASE_LOGIN_BLOCK:
		return serve_auth_login_step(call);
	case SERVE_PHASE_LOGIN_WAIT:
	case SERVE_PHASE_SASL_WAIT:
		return serve_auth_resume(call);
	case SERVE_PHASE_DUMP:
		return serve_dump_step(call);
	case SERVE_PHASE_WATCH:
		return serve_watch_step(call);
	case SERVE_PHASE_CLOSED:
		break;
	}
	return SERVE_CLOSE;
}

void
serve_session_init(struct serve_session *session, struct serve *serve)
{
	*session = (struct serve_session){
	    .serve = serve,
	    .phase = SERVE_PHASE_FIRST,
	    .auth = serve->config.auth ? SERVE_AUTH_NEEDED : SERVE_AUTH_DONE,
	};
}

void
serve_session_clear(struct serve_session *session)
{
	serve_auth_forget(session);
	serve_watch_end(session);
	if (session->fill != NULL)
		store_fill_abort(session->serve->thread, session->fill);
	serve_line_put(session->serve, session->line);
	free(session->meta);
	free(session->dump);
	session->fill = NULL;
	session->line = NULL;
	session->meta = NULL;
	session->dump = NULL;
	session->phase = SERVE_PHASE_CLOSED;
}

/* More sessions, a cache line each; the first of a batch links the batches and is never handed out. */
static __attribute__((noinline)) bool
sessions_grow(struct serve *serve)
{
	struct serve_session *batch = aligned_alloc(SERVE_SESSION_BYTES, SERVE_SESSIONS * sizeof(*batch));

	if (batch == NULL)
		return false;
	for (unsigned i = SERVE_SESSIONS; --i > 0;) {
		batch[i].next = serve->spare_sessions;
		serve->spare_sessions = &batch[i];
	}
	batch[0].next = serve->session_batches;
	serve->session_batches = batch;
	return true;
}

struct serve_session *
serve_session_open(struct serve *serve)
{
	struct serve_session *session;

	if (serve->spare_sessions == NULL && !sessions_grow(serve))
		return NULL;
	session = serve->spare_sessions;
	serve->spare_sessions = session->next;
	serve_session_init(session, serve);
	return session;
}

void
serve_session_close(struct serve_session *session)
{
	if (session == NULL)
		return;
	serve_session_clear(session);
	session->next = session->serve->spare_sessions;
	session->serve->spare_sessions = session;
}

bool
serve_session_busy(const struct serve_session *session)
{
	if (session->line != NULL || owes_reply(session))
		return true;
	return session->phase == SERVE_PHASE_VALUE || session->phase == SERVE_PHASE_SWALLOW ||
	       session->phase == SERVE_PHASE_BINARY_VALUE || session->phase == SERVE_PHASE_BINARY_SWALLOW ||
	       session->phase == SERVE_PHASE_LOGIN_BLOCK;
}

bool
serve_session_plain(const struct serve_session *session)
{
	return session->phase == SERVE_PHASE_LINE && session->line == NULL;
}

uint32_t
serve_stream_gets(
    struct serve *serve, const uint8_t *bytes, uint32_t len, struct serve_sink *sink, bool room, bool *broken)
{
	struct serve_call call = {
	    .serve = serve, .sink = sink, .at = bytes, .end = bytes + len, .room = room};

	while (call.at < call.end && !call.broken && serve_out_ready(&call) && serve_get_fast(&call))
		continue;
	*broken = call.broken;
	return (uint32_t)(call.at - bytes);
}

enum serve_state
serve_bytes(struct serve_session *session, const uint8_t *bytes, uint32_t len, struct serve_sink *sink,
    uint32_t *consumed)
{
	struct serve_call call = {
	    .serve = session->serve, .session = session, .sink = sink, .at = bytes, .end = bytes + len};
	enum serve_state state = session->phase != SERVE_PHASE_CLOSED ? SERVE_GO_ON : SERVE_CLOSE;

	while (call.at < call.end || owes_reply(session)) {
		if (!serve_out_ready(&call)) {
			state = SERVE_FULL;
			break;
		}
		if (session->phase != SERVE_PHASE_LINE || session->line != NULL)
			state = serve_session_step(&call);
		else
			state = serve_get_fast(&call) ? SERVE_GO_ON : step_line(&call);
		if (__builtin_expect(call.broken, 0))
			state = SERVE_ABORT;
		if (state != SERVE_GO_ON)
			break;
	}
	if (state == SERVE_CLOSE || state == SERVE_ABORT) {
		serve_session_clear(session);
		call.at = call.end;
	}
	*consumed = (uint32_t)(call.at - bytes);
	return state;
}
