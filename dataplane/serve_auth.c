/*
 * See serve_auth.h. Login is rare and slow anyway, so everything is copied together before it is looked at, and wiped
 * afterwards.
 */
#include "dataplane/serve_auth.h"

#include "dataplane/serve_binary.h"

static const char authenticated[] = "Authenticated";

/* ---- the verdict ------------------------------------------------------------------------------ */

static enum serve_state
answer_login(struct serve_call *call, bool granted)
{
	struct serve_session *session = call->session;
	const struct proto_binary request = {.opcode = session->command, .opaque = session->opaque};
	bool sasl = session->phase == SERVE_PHASE_SASL_WAIT;

	call->serve->counters.auth_cmds++;
	call->serve->counters.auth_errors += !granted;
	session->auth = granted ? SERVE_AUTH_DONE : SERVE_AUTH_NEEDED;
	if (!sasl) {
		session->phase = granted ? SERVE_PHASE_LINE : SERVE_PHASE_LOGIN_LINE;
		serve_out_reply(call, granted ? PROTO_REPLY_STORED : PROTO_REPLY_AUTH_FAILURE);
		return SERVE_GO_ON;
	}
	session->phase = SERVE_PHASE_BINARY;
	if (granted)
		serve_binary_body(call, &request, PROTO_BINARY_OK, authenticated, sizeof(authenticated) - 1);
	else
		serve_binary_status(call, request.opcode, request.opaque, PROTO_BINARY_AUTH);
	return SERVE_GO_ON;
}

static enum serve_state
begin_login(struct serve_call *call, const struct proto_credentials *credentials, enum serve_phase phase)
{
	const struct serve_host *host = &call->serve->host;
	struct serve_session *session = call->session;
	enum serve_login login = SERVE_LOGIN_REFUSED;

	session->phase = (uint8_t)phase;
	session->auth = SERVE_AUTH_PENDING;
	if (credentials != NULL && host->auth_begin != NULL)
		login = host->auth_begin(host->auth_ctx, session, credentials);
	if (login == SERVE_LOGIN_PENDING)
		return SERVE_FULL;
	return answer_login(call, login == SERVE_LOGIN_GRANTED);
}

void
serve_auth_verdict(struct serve_session *session, bool granted)
{
	if (session->auth == SERVE_AUTH_PENDING)
		session->auth = granted ? SERVE_AUTH_GRANTED : SERVE_AUTH_REFUSED;
}

enum serve_state
serve_auth_resume(struct serve_call *call)
{
	if (call->session->auth == SERVE_AUTH_PENDING)
		return SERVE_FULL;
	return answer_login(call, call->session->auth == SERVE_AUTH_GRANTED);
}

void
serve_auth_forget(struct serve_session *session)
{
	const struct serve_host *host = &session->serve->host;

	if (session->auth != SERVE_AUTH_PENDING)
		return;
	session->auth = SERVE_AUTH_NEEDED;
	if (host->auth_cancel != NULL)
		host->auth_cancel(host->auth_ctx, session);
}

/* ---- SASL ------------------------------------------------------------------------------------- */

uint32_t
serve_auth_value_bytes(const struct serve *serve, const struct proto_binary *request)
{
	bool taken = serve->config.auth && request->key_len <= PROTO_SASL_MECHANISM_MAX &&
	             request->value_bytes <= SERVE_SASL_VALUE_MAX;

	return taken ? request->value_bytes : 0;
}

enum serve_state
serve_binary_sasl_list(struct serve_call *call, const struct proto_binary *request)
{
	if (call->serve->config.auth)
		serve_binary_body(
		    call, request, PROTO_BINARY_OK, PROTO_SASL_MECHANISMS, sizeof(PROTO_SASL_MECHANISMS) - 1);
	else
		serve_binary_status(call, request->opcode, request->opaque, PROTO_BINARY_UNKNOWN);
	return SERVE_GO_ON;
}

/* Whether this message is one that a mechanism of ours expects now. */
static bool
expected(const struct serve_session *session, const struct proto_binary *request)
{
	if (request->command == PROTO_BINARY_SASL_STEP)
		return session->auth == SERVE_AUTH_ASKED;
	return proto_sasl_is_plain(request->key, request->key_len);
}

enum serve_state
serve_binary_sasl(struct serve_call *call, const struct proto_binary *request)
{
	struct serve_session *session = call->session;
	const uint8_t *message = request->key + request->key_len;
	struct proto_credentials credentials;
	bool known, asks;

	if (!call->serve->config.auth)
		return serve_binary_swallow(call, request, PROTO_BINARY_UNKNOWN);
	if (request->key_len > PROTO_SASL_MECHANISM_MAX)
		return serve_binary_swallow(call, request, PROTO_BINARY_INVALID);
	known = expected(session, request);
	asks = request->command == PROTO_BINARY_SASL_AUTH && request->value_bytes == 0;
	session->auth = SERVE_AUTH_NEEDED; /* a second login begins anew */
	if (request->value_bytes > SERVE_SASL_VALUE_MAX) {
		call->serve->counters.auth_cmds++;
		call->serve->counters.auth_errors++;
		return serve_binary_swallow(call, request, PROTO_BINARY_AUTH);
	}
	/* PLAIN lets the client speak first; without a first word it is asked for one. */
	if (known && asks) {
		session->auth = SERVE_AUTH_ASKED;
		serve_binary_body(call, request, PROTO_BINARY_AUTH_CONTINUE, "", 0);
		return SERVE_GO_ON;
	}
	session->command = request->opcode;
	session->opaque = request->opaque;
	known = known && proto_sasl_plain(message, request->value_bytes, &credentials);
	return begin_login(call, known ? &credentials : NULL, SERVE_PHASE_SASL_WAIT);
}

/* ---- the text login --------------------------------------------------------------------------- */

static void
line_wipe(struct serve_session *session)
{
	explicit_bzero(session->line->bytes, session->line->len);
	serve_line_put(session->serve, session->line);
	session->line = NULL;
}

static enum serve_state
refuse_line(struct serve_call *call, enum proto_reply reply)
{
	call->serve->counters.protocol_errors++;
	call->session->phase = SERVE_PHASE_LOGIN_LINE;
	serve_out_reply(call, reply);
	return SERVE_GO_ON;
}

static enum serve_state
step_login_line(struct serve_call *call)
{
	struct serve_session *session = call->session;
	const uint8_t *feed = memchr(call->at, '\n', (size_t)(call->end - call->at));
	uint64_t take = (uint64_t)((feed != NULL ? feed + 1 : call->end) - call->at);
	uint32_t block_bytes = 0;
	bool good;

	if ((session->line != NULL ? session->line->len : 0) + take > PROTO_LINE_MAX)
		return serve_violated(call);
	if (!serve_line_append(session, call->at, (uint32_t)take))
		return SERVE_ABORT;
	call->at += take;
	if (feed == NULL)
		return SERVE_GO_ON;
	good = proto_login_line(session->line->bytes, session->line->len - 1, &block_bytes);
	line_wipe(session);
	if (!good)
		return refuse_line(call, PROTO_REPLY_UNAUTHENTICATED);
	if (block_bytes > PROTO_VALUE_MAX)
		return serve_violated(call);
	session->missing = block_bytes + 2;
	session->bad_chunk = block_bytes > PROTO_LOGIN_MAX;
	session->phase = SERVE_PHASE_LOGIN_BLOCK;
	return SERVE_GO_ON;
}

static enum serve_state
answer_block(struct serve_call *call)
{
	struct serve_session *session = call->session;
	const uint8_t *block = session->line->bytes;
	uint32_t len = session->line->len - 2;
	struct proto_credentials credentials;
	enum serve_state state;

	if (block[len] != '\r' || block[len + 1] != '\n')
		state = refuse_line(call, PROTO_REPLY_AUTH_TERMINATION);
	else if (!proto_login_block(block, len, &credentials))
		state = refuse_line(call, PROTO_REPLY_AUTH_FORMAT);
	else
		state = begin_login(call, &credentials, SERVE_PHASE_LOGIN_WAIT);
	line_wipe(session);
	return state;
}

static enum serve_state
step_login_block(struct serve_call *call)
{
	struct serve_session *session = call->session;
	uint64_t have = (uint64_t)(call->end - call->at);
	uint32_t take = have < session->missing ? (uint32_t)have : session->missing;

	if (!session->bad_chunk && !serve_line_append(session, call->at, take))
		return SERVE_ABORT;
	call->at += take;
	session->missing -= take;
	if (session->missing != 0)
		return SERVE_GO_ON;
	return session->bad_chunk ? refuse_line(call, PROTO_REPLY_AUTH_FORMAT) : answer_block(call);
}

enum serve_state
serve_auth_login_step(struct serve_call *call)
{
	return call->session->phase == SERVE_PHASE_LOGIN_LINE ? step_login_line(call)
	                                                      : step_login_block(call);
}
