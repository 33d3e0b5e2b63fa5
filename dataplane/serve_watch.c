/*
 * `watch`: a session that turns into a stream of events (serve_event.c). What a watching client sends is taken and
 * forgotten.
 */
#include "dataplane/serve.h"
#include "dataplane/serve_internal.h"

#define WATCH_SLICE 64u /* lines written in one call */

void
serve_watched_update(struct serve *serve)
{
	uint32_t was = serve->watched;

	serve->watched = serve->host.watch != NULL ? watch_wanted(serve->host.watch) : 0;
	if (serve->prefixes != NULL && prefixes_enabled(serve->host.prefixes))
		serve->watched |= SERVE_DETAIL;
	if (__builtin_expect(((serve->watched ^ was) & WATCH_EVICTIONS) != 0, 0))
		store_watch_evictions(
		    serve->thread, serve->watched & WATCH_EVICTIONS ? serve_event_evicted : NULL, serve);
}

void
serve_watch_end(struct serve_session *session)
{
	if (session->phase != SERVE_PHASE_WATCH)
		return;
	watch_end(session->serve->host.watch, session->watcher);
	session->watcher = NULL;
	serve_watched_update(session->serve);
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
    {"evictions", WATCH_EVICTIONS},
    {"connevents", WATCH_CONNECTIONS},
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
	serve_watched_update(serve);
	serve_out_reply(call, PROTO_REPLY_OK);
	return SERVE_GO_ON;
}
