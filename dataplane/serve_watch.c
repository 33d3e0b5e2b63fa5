/*
 * `watch`: a session that turns into a stream of events, and the lines of these events as memcached writes them. What a
 * watching client sends is taken and forgotten. The numbers of slab class and connection have no counterpart here and
 * are 0.
 */
#include "dataplane/serve.h"
#include "dataplane/serve_internal.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <time.h>

#define WATCH_SLICE 64u /* lines written in one call */

/* ---- what happened ---------------------------------------------------------------------------- */

struct event_line {
	uint8_t bytes[WATCH_LINE_MAX];
	uint32_t len;
};

static void __attribute__((format(printf, 2, 3))) line_add(struct event_line *line, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	/* Safe because everything but the key, which takes 750 at most, is short. */
	line->len += (uint32_t)vsnprintf(
	    (char *)line->bytes + line->len, sizeof(line->bytes) - line->len, format, arguments);
	va_end(arguments);
}

static void
line_begin(struct event_line *line, struct serve *serve, const char *type, const struct store_key *key)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	line->len = 0;
	line_add(line, "ts=%lld.%ld gid=%" PRIu64 " type=%s key=", (long long)now.tv_sec, now.tv_nsec / 1000,
	    watch_number(serve->host.watch), type);
	line->len = (uint32_t)(serve_put_uri(line->bytes + line->len, key->bytes, key->len) - line->bytes);
}

void
serve_watch_fetch(struct serve *serve, const struct store_key *key, const struct store_view *view)
{
	struct event_line line;

	line_begin(&line, serve, "item_get", key);
	line_add(&line, " status=%s clsid=0 cfd=0 size=%u\n", view != NULL ? "found" : "not_found",
	    view != NULL ? view->value_bytes : 0);
	watch_emit(serve->host.watch, WATCH_FETCHERS, line.bytes, line.len);
}

void
serve_watch_store(struct serve *serve, const struct store_key *key, const struct store_write *write,
    enum store_status status, uint32_t value_bytes)
{
	static const char *const statuses[] = {[STORE_OK] = "stored",
	    [STORE_NOT_FOUND] = "not_found",
	    [STORE_EXISTS] = "exists",
	    [STORE_NOT_STORED] = "not_stored",
	    [STORE_TOO_LARGE] = "too_large",
	    [STORE_NO_MEMORY] = "no_memory",
	    [STORE_NON_NUMERIC] = "not_stored",
	    [STORE_STALE] = "stored"};
	static const char *const commands[] = {[STORE_SET] = "set",
	    [STORE_ADD] = "add",
	    [STORE_REPLACE] = "replace",
	    [STORE_APPEND] = "append",
	    [STORE_PREPEND] = "prepend",
	    [STORE_CAS] = "cas"};
	uint32_t ttl_s = write->expires_s > serve->now_s ? write->expires_s - serve->now_s : 0;
	struct event_line line;

	line_begin(&line, serve, "item_store", key);
	line_add(&line, " status=%s cmd=%s ttl=%u clsid=0 cfd=0 size=%u\n", statuses[status],
	    commands[write->mode], ttl_s, value_bytes);
	watch_emit(serve->host.watch, WATCH_MUTATIONS, line.bytes, line.len);
}

void
serve_watch_delete(struct serve *serve, const struct store_key *key, const char *command)
{
	struct event_line line;

	line_begin(&line, serve, "deleted", key);
	line_add(&line, " cmd=%s clsid=0 size=0\n", command);
	watch_emit(serve->host.watch, WATCH_DELETIONS, line.bytes, line.len);
}

/* ---- who watches ------------------------------------------------------------------------------ */

void
serve_watch_end(struct serve_session *session)
{
	if (session->phase != SERVE_PHASE_WATCH)
		return;
	watch_end(session->serve->host.watch, session->watcher);
	session->watcher = NULL;
	session->serve->watched = watch_wanted(session->serve->host.watch);
}

enum serve_state
serve_watch_step(struct serve_call *call)
{
	uint8_t line[WATCH_LINE_MAX];
	uint32_t len;

	call->at = call->end;
	for (unsigned i = 0; i < WATCH_SLICE; i++) {
		if (!serve_out_ready(call))
			return SERVE_FULL;
		len = watch_take(call->session->watcher, line);
		if (len == 0)
			break;
		serve_out(call, line, len);
		if (call->broken)
			return SERVE_ABORT;
	}
	return SERVE_LATER;
}

static const struct {
	const char *word;
	uint32_t events;
} words[] = {
    {"fetchers", WATCH_FETCHERS},
    {"mutations", WATCH_MUTATIONS},
    {"deletions", WATCH_DELETIONS},
    {"evictions", WATCH_OTHER},
    {"connevents", WATCH_OTHER},
    {"rawcmds", WATCH_OTHER},
    {"sysevents", WATCH_OTHER},
    {"proxyreqs", WATCH_OTHER},
    {"proxyevents", WATCH_OTHER},
    {"proxyuser", WATCH_OTHER},
};

/* 0: not a word of watch's. */
static uint32_t
events_of(const struct proto_token *token)
{
	for (unsigned i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (proto_token_is(token, words[i].word))
			return words[i].events;
	return 0;
}

enum serve_state
serve_cmd_watch(struct serve_call *call, const struct proto_request *request)
{
	struct serve *serve = call->serve;
	struct watch *watch = serve->host.watch;
	uint32_t events = request->tokens_len > 1 ? 0 : WATCH_FETCHERS;
	enum proto_reply wrong = watch == NULL ? PROTO_REPLY_WATCH_FORBIDDEN : PROTO_REPLY_NONE;

	for (unsigned i = 1; i < request->tokens_len && i < PROTO_TOKENS_MAX; i++) {
		uint32_t more = events_of(&request->tokens[i]);

		events |= more;
		if (more == 0)
			wrong = PROTO_REPLY_ERROR;
	}
	if (wrong == PROTO_REPLY_NONE) {
		call->session->watcher = watch_begin(watch, events);
		if (call->session->watcher == NULL)
			wrong = PROTO_REPLY_WATCH_TOO_MANY;
	}
	if (wrong != PROTO_REPLY_NONE) {
		serve_out_reply(call, wrong);
		return SERVE_GO_ON;
	}
	call->session->phase = SERVE_PHASE_WATCH;
	serve->watched = watch_wanted(watch);
	serve_out_reply(call, PROTO_REPLY_OK);
	return SERVE_GO_ON;
}
