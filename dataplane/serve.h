/*
 * Where the protocol meets the store: requests in as bytes, replies out into a sink. The only place that includes
 * both. It knows neither packets nor connections, so the same code is driven by TCP, by UDP and by tests.
 *
 * Threads: one struct serve a worker, used by that worker only; sessions belong to it.
 */
#ifndef WIRECACHE_SERVE_H
#define WIRECACHE_SERVE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "dataplane/bigkeys.h"
#include "dataplane/hotkeys.h"
#include "store/store.h"

/*
 * Where a reply goes. Small pieces are written in place: reserve() then commit(). Values of items are handed over as
 * they lie in the store: the sink copies or pins them, as it likes.
 */
struct serve_sink {
	/* `len` <= SERVE_RESERVE_MAX contiguous bytes at the tail of the reply, or NULL (memory): the session ends. */
	uint8_t *(*reserve)(struct serve_sink *sink, uint32_t len);
	void (*commit)(struct serve_sink *sink, uint32_t len);
	/* The whole value of a view; false: no memory. */
	bool (*value)(struct serve_sink *sink, const struct store_view *view);
	/* Bytes the sink will gladly take now; 0: stop producing until called again. */
	uint32_t (*room)(struct serve_sink *sink);
};

#define SERVE_RESERVE_MAX 2048u

/* Counters of requests, one writer (the worker), from counters.def; readers sum. */
struct serve_counters {
#define SERVE_COUNTER(name, help) uint64_t name;
#include "dataplane/counters.def"
#undef SERVE_COUNTER
};

struct serve;
struct serve_session;
struct watch;    /* dataplane/watch.h */
struct prefixes; /* dataplane/prefixes.h */

/* What is known of a login at once. */
enum serve_login {
	SERVE_LOGIN_REFUSED,
	SERVE_LOGIN_GRANTED,
	SERVE_LOGIN_PENDING, /* serve_auth_verdict() will say */
};

struct proto_credentials; /* dataplane/proto/sasl.h */

/*
 * What requests may ask of the process around (stats, verbosity, ...). All are called on the worker's thread and
 * must not block.
 */
struct serve_host {
	void *ctx;
	/*
	 * `stats` and `stats settings`, `stats conns`, `stats reset`: calls emit once a line, in memcached's order.
	 * group: what followed `stats `, empty for none. False: no such group (ERROR).
	 */
	bool (*stats)(void *ctx, const char *group, uint32_t group_len,
	    void (*emit)(void *emit_ctx, const char *name, const char *value), void *emit_ctx);
	void (*verbosity)(void *ctx, uint32_t level);
	/* cache_memlimit, in bytes; negative errno on refusal. */
	int (*memory_limit)(void *ctx, uint64_t bytes);
	/* Ends the process as an operator would, soon; NULL: not enabled. */
	void (*shutdown)(void *ctx);
	/* The key of one request in so many is sampled, 0: of none; may change at any time. NULL: none. */
	const atomic_uint *sample_every;
	/* Where events go and watchers are; NULL: watch commands not allowed. Outlives serve. */
	struct watch *watch;
	/* What `stats detail` counts; NULL: not allowed. Outlives serve. */
	struct prefixes *prefixes;
	/*
	 * Checks a login; only with serve_config.auth. The credentials are valid during the call. After PENDING one of
	 * two ends it: the host calls serve_auth_verdict() and then serve_bytes() with what waits, or the session is
	 * closed and auth_cancel() tells so.
	 */
	void *auth_ctx;
	enum serve_login (*auth_begin)(
	    void *auth_ctx, struct serve_session *session, const struct proto_credentials *credentials);
	void (*auth_cancel)(void *auth_ctx, struct serve_session *session);
};

struct serve_config {
	const char *version;     /* what `version` answers; outlives serve */
	uint32_t item_max_bytes; /* as the store's */
	uint32_t line_max_bytes; /* longest get line, default 1 MiB; other lines end at memcached's 2048 */
	uint64_t
	    lines_bytes_max; /* all unfinished lines of a worker; beyond it their streams end. Default 64 MiB */
	bool flush_enabled; /* false: CLIENT_ERROR flush_all not allowed */
	bool dump_disabled; /* memcached's -X: no dumps of items */
	bool auth;          /* nothing is served before a login; datagrams, which cannot log in, never are */
};

struct serve *serve_create(struct store *store, struct store_thread *thread,
    const struct serve_config *config, const struct serve_host *host);
void serve_destroy(struct serve *serve);

/* The time for all requests that follow, once a loop (the same value that store_quiesce() gets). */
void serve_tick(struct serve *serve, uint32_t now_s);

const struct serve_counters *serve_counters(const struct serve *serve);

/* What is known of keys: the sample of all, the large ones, and the largest value of the pass. */
struct serve_keys {
	struct hotkeys *hot;
	struct bigkeys big;
	struct hotkeys_key largest; /* whose value is serve_largest() */
};
const struct serve_keys *serve_keys(const struct serve *serve);

/* Bytes of the largest value since serve_tick(), with its key; 0 if none was too large for the short way. */
uint32_t serve_largest(const struct serve *serve, struct hotkeys_key *key);

/* One stream of requests, i.e. one TCP connection. NULL: no memory. Idle sessions hold only their own struct. */
struct serve_session *serve_session_open(struct serve *serve);
void serve_session_close(
    struct serve_session *session); /* gives everything back, an unfinished value included */

/* Whether serve_bytes() said SERVE_CLOSE because of what the stream sent, not because it quit. */
bool serve_session_violated(const struct serve_session *session);

enum serve_state {
	SERVE_GO_ON,
	SERVE_FULL, /* the sink had no room, or a login is pending: call again with the rest when that is over */
	SERVE_AGAIN, /* there is more to say and room for it: call again soon with the rest, after other work */
	SERVE_LATER, /* all is said for now, but what happens elsewhere may give more: call again now and then */
	SERVE_CLOSE, /* end the stream after what was written to the sink (quit, protocol violation) */
	SERVE_ABORT, /* the sink could not take a reply: the stream is out of step, reset it */
};

/*
 * Takes the next bytes of a stream, split anywhere, and answers every request that they complete. *consumed <= len;
 * what was not consumed (only with SERVE_FULL and SERVE_AGAIN) must be given again, first, with more after it or
 * not. A call with len 0 goes on with a suspended reply.
 */
enum serve_state serve_bytes(struct serve_session *session, const uint8_t *bytes, uint32_t len,
    struct serve_sink *sink, uint32_t *consumed);

/* Whether the next byte begins a text command: what serve_stream_gets() asks for. */
bool serve_session_plain(const struct serve_session *session);

/*
 * serve_bytes() for a plain session, whose memory it does not touch: answers `get <key>` as long as there is nothing else.
 * Returns how many bytes that took; the rest is serve_bytes()'s. room: the sink takes a reply, and need not be asked for
 * the first. *broken: as SERVE_ABORT, nothing may follow.
 */
uint32_t serve_stream_gets(struct serve *serve, const uint8_t *bytes, uint32_t len, struct serve_sink *sink,
    bool room, bool *broken);

/* How a pending login ended. The session answers with the next serve_bytes(). */
void serve_auth_verdict(struct serve_session *session, bool granted);

/* True while a request has begun and not ended (a partial line or value, or a suspended reply). */
bool serve_session_busy(const struct serve_session *session);

/*
 * The next request of a UDP datagram, without the frame header: answers into the sink as one message and sets
 * *consumed. Two commands in one datagram are two messages: call again with the rest while any is left. The sink's
 * room() is not asked; a reply that it refuses is dropped as a whole. False: the rest of the
 * datagram is to be dropped (an unfinished request, a refused reply, quit). True may leave the sink empty (noreply).
 */
bool serve_datagram(
    struct serve *serve, const uint8_t *bytes, uint32_t len, struct serve_sink *sink, uint32_t *consumed);

/*
 * Staging for a burst: peek at bytes that likely begin a request, hash the key and prefetch its bucket (no effect on
 * results); then once serve_peeked() prefetches the items; then serve_bytes()/serve_datagram() reuse the hashes for
 * keys at the same address. Ends with serve_tick() or the next serve_peek() after serving.
 */
void serve_peek(struct serve *serve, const uint8_t *bytes, uint32_t len);
void serve_peeked(struct serve *serve);

/* True while somebody watches connections come and go: tell with serve_connection(). */
bool serve_connections_watched(const struct serve *serve);

/* A connection began, or ended (closed: why, in memcached's words; NULL when it began). address: as text. */
void serve_connection(struct serve *serve, const char *address, uint16_t port, const char *closed);

#endif
