/*
 * What the files of serve share: the worker's state, a session's state, and the reply being written.
 *
 *   serve.c          life, staging (peek), datagrams
 *   serve_session.c  a stream cut into lines and values; what waits between two calls
 *   serve_get.c      get, gets, gat, gats
 *   serve_update.c   storage commands, delete, incr, decr, touch, flush_all
 *   serve_meta.c     mg, ms, md, ma, me
 *   serve_admin.c    stats and the rest
 *   serve_dump.c     dumps of all items
 *   serve_watch.c    watch: sessions that turn into a stream of events
 *   serve_event.c    the events that watchers see
 *   serve_detail.c   keys counted by prefix
 *   serve_auth.c     logins
 *   serve_keys.c     hot and large keys
 *
 * and those of serve_binary.h for the binary protocol.
 *
 * Only included by those. Everything here belongs to one worker's thread.
 */
#ifndef WIRECACHE_SERVE_INTERNAL_H
#define WIRECACHE_SERVE_INTERNAL_H

#include "dataplane/proto/copy.h"
#include "dataplane/proto/request.h"
#include "dataplane/prefixes.h"
#include "dataplane/serve.h"
#include "dataplane/watch.h"

#include <string.h>

#define SERVE_BATCH          32u    /* keys of a multiget that are staged together */
#define SERVE_PEEKS_MAX      64u    /* keys hashed ahead in one burst */
#define SERVE_LINES_KEPT     64u    /* spare line buffers kept by a worker */
#define SERVE_LINE_BYTES     2304u  /* first size of a line buffer: any line but a long get */
#define SERVE_SAMPLE_ASK     65536u /* requests until it is looked whether sampling was switched on */
#define SERVE_SESSIONS       64u    /* allocated at once */
#define SERVE_SESSION_BYTES  64u
#define SERVE_SLAB_CLASSES   64u /* what memcached takes for a slab class is below this */
#define SERVE_VALUE_HEAD_MAX (PROTO_KEY_MAX + PROTO_VALUE_HEAD_MAX)

/* Beside enum watch_event in serve->watched: keys are counted by prefix. */
#define SERVE_DETAIL          0x80000000u
/* "PREFIX", four words with a number of 20 digits each, line end. */
#define SERVE_DETAIL_LINE_MAX (PREFIX_BYTES_MAX + 128u)

struct serve_peeked_key {
	const uint8_t *bytes;
	const uint8_t *next; /* behind the line of a get with this key alone; NULL for any other request */
	uint64_t hash;
	const void *place; /* of its bucket */
	uint32_t len;
};

/* A line that did not arrive in one piece, or the keys that a suspended multiget has yet to look up. */
struct serve_line {
	uint32_t room; /* of bytes[] */
	uint32_t len;
	uint32_t at;             /* first byte that is not done with, when suspended */
	struct serve_line *next; /* in the list of spare ones */
	uint8_t bytes[];
};

struct serve {
	struct store *store;
	struct store_thread *thread;
	uint32_t now_s;
	uint32_t watched; /* enum watch_event that somebody watches, and SERVE_DETAIL: read once a tick */
	uint32_t largest_bytes; /* the largest value since the tick, if any was large */
	uint32_t peeks_len;
	uint32_t peek_at;     /* where the next lookup begins */
	uint32_t sample_left; /* requests until the next whose key is sampled */
	bool peeks_open;      /* between the first serve_peek() of a burst and its serve_peeked() */
	struct serve_counters counters;
	struct serve_keys *keys;
	struct serve_line *spare_lines;
	uint32_t spare_len;
	struct serve_session *spare_sessions;
	struct serve_session *session_batches;
	uint64_t lines_bytes; /* of all line buffers, spare ones included */
	uint32_t version_len;
	struct serve_config config;
	struct serve_host host;
	struct prefix_table *prefixes; /* NULL: nothing is counted by prefix */
	struct serve_peeked_key peeks[SERVE_PEEKS_MAX];
};

enum serve_phase {
	SERVE_PHASE_FIRST,   /* nothing seen: the first byte chooses the protocol */
	SERVE_PHASE_LINE,    /* at the start of a request, or inside its line if there is a line buffer */
	SERVE_PHASE_VALUE,   /* the value goes into `fill` */
	SERVE_PHASE_SWALLOW, /* the value is thrown away, then `verdict` is said */
	SERVE_PHASE_KEYS,    /* a suspended multiget: keys are in the line buffer */
	SERVE_PHASE_BINARY, /* at the start of a binary request, or inside its head if there is a line buffer */
	SERVE_PHASE_BINARY_VALUE,
	SERVE_PHASE_BINARY_SWALLOW,
	SERVE_PHASE_LOGIN_LINE,  /* text, before the login */
	SERVE_PHASE_LOGIN_BLOCK, /* user and password on their way */
	SERVE_PHASE_LOGIN_WAIT,  /* for the verdict */
	SERVE_PHASE_SASL_WAIT,   /* the same in the binary protocol */
	SERVE_PHASE_DUMP,        /* a dump goes on */
	SERVE_PHASE_WATCH,       /* says what happens elsewhere, until the stream ends */
	SERVE_PHASE_CLOSED,
};

enum serve_auth {
	SERVE_AUTH_DONE, /* logged in, or nobody has to */
	SERVE_AUTH_NEEDED,
	SERVE_AUTH_ASKED, /* SASL: the client was asked for its message */
	SERVE_AUTH_PENDING,
	SERVE_AUTH_GRANTED, /* the verdict is there, the answer not yet */
	SERVE_AUTH_REFUSED,
};

/* What a meta command says about its item: the flags to return, in the order of the request. */
struct serve_meta_tail {
	uint32_t value_bytes;
	uint8_t key_len;
	uint8_t opaque_len;
	uint8_t order_len;
	bool key_binary;
	uint8_t order[PROTO_META_TOKENS];
	uint8_t opaque[PROTO_OPAQUE_MAX];
	uint8_t key[PROTO_KEY_MAX];
};

/* A stream. Idle ones are this and nothing else, so it stays within one cache line. */
struct serve_session {
	struct serve *serve;
	struct serve_line *line;
	struct store_fill *fill;
	struct serve_meta_tail *meta; /* of the ms whose value is on its way */
	union {
		struct serve_dump *dump;
		struct watcher *watcher;
		struct serve_session *next; /* of those that are free */
	};
	uint32_t missing; /* bytes of the value's block still to come, its line end included */
	union {
		uint32_t expires_s; /* gat, suspended */
		uint32_t opaque;    /* binary: of the request whose value or verdict is on its way */
	};
	uint8_t phase;   /* enum serve_phase */
	uint8_t command; /* enum proto_command of the value or the multiget; binary: the opcode */
	uint8_t verdict; /* enum proto_reply after swallowing; binary: the status */
	uint8_t auth;    /* enum serve_auth */
	bool noreply;
	bool bad_chunk;
	bool cas_check; /* binary: the value counts as a cas */
	bool violated;  /* ended because of what it sent */
} __attribute__((aligned(SERVE_SESSION_BYTES)));
_Static_assert(sizeof(struct serve_session) == SERVE_SESSION_BYTES, "an idle session is a cache line");

/* One call of serve_bytes() or serve_datagram(). */
struct serve_call {
	struct serve *serve;
	struct serve_session *session;
	struct serve_sink *sink;
	const uint8_t *at, *end; /* what is left of the input */
	int64_t room;            /* what the sink still takes, as far as known */
	bool broken;             /* the sink refused: the stream is lost */
};

/* ---- the reply -------------------------------------------------------------------------------- */

static inline uint8_t *
serve_out_reserve(struct serve_call *call, uint32_t len)
{
	uint8_t *to = call->sink->reserve(call->sink, len);

	if (__builtin_expect(to == NULL, 0))
		call->broken = true;
	return to;
}

static inline void
serve_out_commit(struct serve_call *call, uint32_t len)
{
	call->sink->commit(call->sink, len);
	call->room -= len;
}

/* At most SERVE_RESERVE_MAX bytes. */
static inline void
serve_out(struct serve_call *call, const void *bytes, uint32_t len)
{
	uint8_t *to = serve_out_reserve(call, len);

	if (to != NULL) {
		memcpy(to, bytes, len);
		serve_out_commit(call, len);
	}
}

static inline void
serve_out_reply(struct serve_call *call, enum proto_reply reply)
{
	serve_out(call, proto_replies[reply].text, proto_replies[reply].len);
}

/* A reply that noreply hides. */
static inline void
serve_out_unless(struct serve_call *call, bool noreply, enum proto_reply reply)
{
	if (!noreply)
		serve_out_reply(call, reply);
}

/* Hands a whole value over as it lies in the store. */
static inline void
serve_out_value(struct serve_call *call, const struct store_view *view)
{
	if (!call->sink->value(call->sink, view))
		call->broken = true;
	call->room -= view->value_bytes;
}

/* True when the sink takes more; asks it again only when what it last said is used up. */
bool serve_out_refill(struct serve_call *call);

static inline bool
serve_out_ready(struct serve_call *call)
{
	return __builtin_expect(call->room > 0, 1) || serve_out_refill(call);
}

/* Copies a value that the store keeps in pieces. */
uint8_t *serve_copy_chunks(const struct serve *serve, const struct store_view *view, uint8_t *to);

/* Copies a small value; returns the byte behind it. */
static inline uint8_t *
serve_copy_value(const struct serve *serve, const struct store_view *view, uint8_t *to)
{
	if (__builtin_expect(view->value == NULL, 0))
		return serve_copy_chunks(serve, view, to);
	proto_copy(to, view->value, view->value_bytes);
	return to + view->value_bytes;
}

/* ---- keys ------------------------------------------------------------------------------------- */

struct serve_keys *serve_keys_create(void);
void serve_keys_destroy(struct serve_keys *keys);

/* Samples a key, and says when the next is due. */
void serve_sample(struct serve *serve, const struct store_key *key);

/* A value that is too large to be copied along with its head, read or about to be taken in. */
void serve_note_large(struct serve *serve, const uint8_t *key, uint32_t key_len, uint32_t value_bytes);

/* What serve_peek() found of a request's key; NULL: it did not see it. */
static inline const struct serve_peeked_key *
serve_peek_take(struct serve *serve, const uint8_t *bytes, uint32_t len)
{
	uint32_t at = serve->peek_at;

	/* Requests come in the order in which they were peeked at, so the next entry is the likely one. */
	for (uint32_t i = at; i < serve->peeks_len && i < at + 4; i++) {
		if (serve->peeks[i].bytes == bytes && serve->peeks[i].len == len) {
			serve->peek_at = i + 1;
			serve->counters.peek_hits++;
			return &serve->peeks[i];
		}
	}
	return NULL;
}

/* The hash of a key, taken over from serve_peek() when it was staged. */
static inline uint64_t
serve_key_hash(struct serve *serve, const uint8_t *bytes, uint32_t len)
{
	const struct serve_peeked_key *peeked = serve_peek_take(serve, bytes, len);

	return peeked != NULL ? peeked->hash : store_hash(serve->store, bytes, len);
}

/* Each key of a request passes here once. */
static inline void
serve_count_key(struct serve *serve, const struct store_key *key)
{
	if (__builtin_expect(--serve->sample_left == 0, 0))
		serve_sample(serve, key);
}

/* The key of a request that is about to be answered. */
static inline struct store_key
serve_key(struct serve *serve, const uint8_t *bytes, uint32_t len)
{
	struct store_key key = {.bytes = bytes, .len = len, .hash = serve_key_hash(serve, bytes, len)};

	serve_count_key(serve, &key);
	return key;
}

static inline struct store_key
serve_token_key(struct serve *serve, const struct proto_token *token)
{
	return serve_key(serve, token->bytes, token->len);
}

/* ---- commands --------------------------------------------------------------------------------- */

/* Answers one parsed request; declared for every handler that commands.def names. */
#define PROTO_COMMAND(id, word, shape, handler, syntax) \
	enum serve_state serve_cmd_##handler(struct serve_call *call, const struct proto_request *request);
#include "dataplane/proto/commands.def"
#undef PROTO_COMMAND

/* `get <key>\r\n` whole in the input; false when the next request is anything else: nothing happened then. */
bool serve_get_fast(struct serve_call *call);

/* Goes on with the multiget whose keys are in the session's line buffer. */
enum serve_state serve_get_resume(struct serve_call *call);

/* A value that is to come in: at once if it is all there, else the session waits for it. */
enum serve_state serve_value_begin(struct serve_call *call, const struct store_key *key,
    const struct store_write *write, const struct proto_request *request, const struct serve_meta_tail *meta);

/* Counts and says what became of a value; `meta` is NULL for the classic commands. */
void serve_value_done(struct serve_call *call, enum proto_command command, bool noreply,
    const struct serve_meta_tail *meta, enum store_status status, uint64_t cas);

/*
 * The store takes no value of this size, or none now: counts that, and returns the reply. What it held before must not be
 * served any more.
 */
enum proto_reply serve_store_refused(
    struct serve *serve, const struct store_key *key, enum proto_command command, enum store_status status);

/* Ends the stream because of what it sent. */
enum serve_state serve_violated(struct serve_call *call);

/* flush_all at a moment; one in the past flushes nothing: everything here is younger. */
void serve_flush(struct serve *serve, uint32_t at_s);

/* Counts how a compare-and-swap ended. */
void serve_count_cas(struct serve_counters *counters, enum store_status status);

/* The reply of a finished ms; in serve_meta.c. */
void serve_meta_set_done(struct serve_call *call, const struct serve_meta_tail *meta, bool noreply,
    enum store_status status, uint64_t cas);

/* Keys as dumps write them: %XX for all but letters, digits and -._~; up to three bytes each. */
uint8_t *serve_put_uri(uint8_t *to, const uint8_t *key, uint32_t len);

/* Begins a dump and goes on with it; in serve_dump.c. */
enum serve_state serve_dump_items(struct serve_call *call, bool keys_only);
enum serve_state serve_dump_cache(struct serve_call *call, const struct proto_request *request);
enum serve_state serve_dump_step(struct serve_call *call);

/* Tests of what nobody watches cost one predictable branch. events: of enum watch_event, and SERVE_DETAIL. */
static inline bool
serve_watched(const struct serve *serve, uint32_t events)
{
	return __builtin_expect((serve->watched & events) != 0, 0);
}

/* Reads anew who watches what; in serve_watch.c, as the two that follow. */
void serve_watched_update(struct serve *serve);
enum serve_state serve_watch_step(struct serve_call *call);
void serve_watch_end(struct serve_session *session);

/* Events, for those who watch them; in serve_event.c. Called when serve_watched(). view: NULL for a miss. */
void serve_event_fetch(struct serve *serve, const struct store_key *key, const struct store_view *view);
/* The same of a key that was looked up for a change; hit: it was there. */
void serve_event_lookup(struct serve *serve, const struct store_key *key, bool hit);
void serve_event_store(struct serve *serve, const struct store_key *key, const struct store_write *write,
    enum store_status status, uint32_t value_bytes);
/* store_evicted of store.h; ctx: the serve. */
void serve_event_evicted(void *ctx, const struct store_entry *entry);
/* Deletes and tells of it. */
enum store_status serve_event_delete(
    struct serve *serve, const struct store_key *key, uint64_t cas, const char *command);

/* store_delete() for a client's command. */
static inline enum store_status
serve_delete(struct serve *serve, const struct store_key *key, uint64_t cas, const char *command)
{
	if (serve_watched(serve, WATCH_DELETIONS | WATCH_FETCHERS))
		return serve_event_delete(serve, key, cas, command);
	return store_delete(serve->thread, key, cas);
}

/* store_fill_commit() for a client's command. */
enum store_status serve_fill_commit(struct serve *serve, struct store_fill *fill, uint64_t *cas);

/* Keys counted by prefix, if they are; in serve_detail.c. */
void serve_detail_get(struct serve *serve, const struct store_key *key, bool hit);
void serve_detail_change(struct serve *serve, const struct store_key *key, enum prefix_event event);
void serve_detail_enable(struct serve *serve, bool enabled);
/* `PREFIX ...` with its line end, at most SERVE_DETAIL_LINE_MAX bytes; returns its length. */
uint32_t serve_detail_line(const struct prefix *prefix, uint8_t *to);
/* `stats detail`. */
enum serve_state serve_detail(struct serve_call *call, const struct proto_request *request);

/* A get or gat, for those who watch and for the count by prefix. */
static inline void
serve_note_get(struct serve *serve, const struct store_key *key, const struct store_view *view)
{
	if (serve_watched(serve, WATCH_FETCHERS))
		serve_event_fetch(serve, key, view);
	serve_detail_get(serve, key, view != NULL);
}

/* A token that is a number below 2^32; in serve_admin.c. */
bool serve_token_u32(const struct proto_request *request, unsigned index, uint32_t *value);

/* Lets the session swallow a value, then say `verdict` unless that is PROTO_REPLY_NONE. */
void serve_swallow(struct serve_call *call, uint32_t value_bytes, enum proto_reply verdict);

/* Throws away what came of session->missing bytes; true when that was all. */
static inline bool
serve_skip_missing(struct serve_call *call)
{
	struct serve_session *session = call->session;
	uint64_t have = (uint64_t)(call->end - call->at);
	uint32_t take = have < session->missing ? (uint32_t)have : session->missing;

	call->at += take;
	session->missing -= take;
	return session->missing == 0;
}

/* Line buffers, kept by the worker while few: NULL when there is no memory. */
struct serve_line *serve_line_get(struct serve *serve, uint32_t room);
void serve_line_put(struct serve *serve, struct serve_line *line);

/* Appends to the session's line buffer; false: no memory. Grows by doubling, so a long line costs linear time. */
bool serve_line_append(struct serve_session *session, const uint8_t *bytes, uint32_t len);

/* serve_session_open() without an allocation, for datagrams. */
void serve_session_init(struct serve_session *session, struct serve *serve);
void serve_session_clear(struct serve_session *session);

/* One step of a session: a line, a piece of a value or of a suspended reply. */
enum serve_state serve_session_step(struct serve_call *call);

/* The same in the phases of the binary protocol; in serve_binary.c. */
enum serve_state serve_binary_step(struct serve_call *call);

#endif
