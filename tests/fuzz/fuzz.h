/*
 * What the fuzz targets of serving share: a store that outlives the runs, a sink, logins, and a stream cut in pieces.
 *
 * An input begins with FUZZ_PREFIX bytes: the first says how serve is configured (fuzz_begin()), the others are the
 * lengths of the pieces in turn (0: one byte, and the sink has little room). Replies go to a buffer of exactly the size
 * that was reserved, and every piece lies in a buffer of its own, so that ASan sees one byte too many.
 *
 * Making a store costs more than a run, so it is kept and emptied between runs. It is made anew every FUZZ_RUNS runs,
 * and checked then and whenever FUZZ_CHECK_RUNS have passed; a program that runs one input checks after it.
 */
#ifndef WIRECACHE_FUZZ_H
#define WIRECACHE_FUZZ_H

#include <stdlib.h>
#include <string.h>

#include "dataplane/prefixes.h"
#include "dataplane/proto/sasl.h"
#include "dataplane/serve.h"
#include "dataplane/watch.h"

#define FUZZ_PIECES      4u
#define FUZZ_PREFIX      (1u + FUZZ_PIECES)
#define FUZZ_LITTLE_ROOM 64u
#define FUZZ_STORE_BYTES (8u << 20)
#define FUZZ_NOW_S       1700000000u
#define FUZZ_RUNS        512u
#define FUZZ_CHECK_RUNS  16u
#define FUZZ_ANSWERS_MAX 100000u /* calls for one piece: more is a loop without end */
#define FUZZ_AGAIN_MAX   16u     /* of a run: dumps walk the whole index, which takes long */

#define FUZZ_AUTH     0x01u
#define FUZZ_NO_FLUSH 0x02u
#define FUZZ_NO_DUMP  0x04u
#define FUZZ_NO_WATCH 0x08u
#define FUZZ_SMALL    0x10u /* items of at most 1 KiB */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct fuzz {
	struct serve_sink base;
	struct store *store;
	struct store_thread *thread;
	uint32_t now_s;
	uint32_t runs; /* with this store */

	/* of one run */
	struct serve *serve;
	struct watch *watch;
	struct prefixes *prefixes;
	uint8_t *reserved;
	uint32_t reserved_len;
	uint32_t room;
	uint32_t again;
	uint64_t reply_bytes;
	uint64_t reply_max;            /* what exceeds it is refused */
	uint8_t logins;                /* how they end */
	struct serve_session *pending; /* waits for a verdict */
};

static inline void
fuzz_require(bool holds)
{
	if (!holds)
		abort();
}

/* ---- the sink -------------------------------------------------------------------------------------------------- */

static inline uint8_t *
fuzz_reserve(struct serve_sink *base, uint32_t len)
{
	struct fuzz *fuzz = (struct fuzz *)base;

	free(fuzz->reserved);
	fuzz->reserved = NULL;
	fuzz_require(len <= SERVE_RESERVE_MAX);
	if (fuzz->reply_bytes + len > fuzz->reply_max)
		return NULL;
	fuzz->reserved = malloc(len != 0 ? len : 1);
	fuzz->reserved_len = len;
	fuzz_require(fuzz->reserved != NULL);
	return fuzz->reserved;
}

static inline void
fuzz_commit(struct serve_sink *base, uint32_t len)
{
	struct fuzz *fuzz = (struct fuzz *)base;

	fuzz_require(fuzz->reserved != NULL && len <= fuzz->reserved_len);
	fuzz->room -= len < fuzz->room ? len : fuzz->room;
	fuzz->reply_bytes += len;
	free(fuzz->reserved);
	fuzz->reserved = NULL;
}

static inline bool
fuzz_value(struct serve_sink *base, const struct store_view *view)
{
	struct fuzz *fuzz = (struct fuzz *)base;
	uint32_t at = 0, len;
	volatile uint8_t sum = 0;
	const uint8_t *bytes;

	if (fuzz->reply_bytes + view->value_bytes > fuzz->reply_max)
		return false;
	while ((len = store_view_span(fuzz->store, view, at, &bytes)) != 0) {
		for (uint32_t i = 0; i < len; i++)
			sum = (uint8_t)(sum + bytes[i]);
		at += len;
	}
	fuzz_require(at == view->value_bytes);
	fuzz->room = 0;
	fuzz->reply_bytes += at;
	return true;
}

static inline uint32_t
fuzz_room(struct serve_sink *base)
{
	return ((struct fuzz *)base)->room;
}

/* ---- what serve asks of the process around --------------------------------------------------------------------- */

static inline enum serve_login
fuzz_auth_begin(void *ctx, struct serve_session *session, const struct proto_credentials *credentials)
{
	struct fuzz *fuzz = ctx;
	enum serve_login login = (enum serve_login)(fuzz->logins++ % 3);

	fuzz_require(fuzz->pending == NULL);
	if (login == SERVE_LOGIN_PENDING)
		fuzz->pending = session;
	return login;
}

static inline void
fuzz_auth_cancel(void *ctx, struct serve_session *session)
{
	struct fuzz *fuzz = ctx;

	fuzz_require(fuzz->pending == session);
	fuzz->pending = NULL;
}

static inline bool
fuzz_stats(void *ctx, const char *group, uint32_t group_len,
    void (*emit)(void *emit_ctx, const char *name, const char *value), void *emit_ctx)
{
	if (group_len == 0) {
		emit(emit_ctx, "pid", "1");
		emit(emit_ctx, "version", "fuzz");
	}
	return group_len == 0 || memchr(group, 's', group_len) != NULL;
}

static inline void
fuzz_verbosity(void *ctx, uint32_t level)
{
}

static inline int
fuzz_memory_limit(void *ctx, uint64_t bytes)
{
	return bytes < FUZZ_STORE_BYTES ? 0 : -1;
}

/* ---- life ------------------------------------------------------------------------------------------------------ */

static inline void
fuzz_store_open(struct fuzz *fuzz)
{
	struct store_config config;
	char error[STORE_ERROR_MAX];

	store_config_default(&config);
	config.memory_bytes = FUZZ_STORE_BYTES;
	config.hugepages = false;
	config.now_s = FUZZ_NOW_S;
	fuzz_require(store_create(&config, &fuzz->store, error) == 0);
	fuzz->thread = store_thread_register(fuzz->store, -1);
	fuzz_require(fuzz->thread != NULL);
	fuzz->now_s = FUZZ_NOW_S;
	fuzz->runs = 0;
}

static inline void
fuzz_store_close(struct fuzz *fuzz)
{
	fuzz_require(store_check(fuzz->store) == NULL);
	store_thread_unregister(fuzz->thread);
	store_destroy(fuzz->store);
	fuzz->store = NULL;
}

static inline void
fuzz_pass_s(struct fuzz *fuzz, uint32_t seconds)
{
	fuzz->now_s += seconds;
	store_quiesce(fuzz->thread, fuzz->now_s);
	serve_tick(fuzz->serve, fuzz->now_s);
}

/* Begins a run: an empty store, and serve as `how` (FUZZ_*; from 0x20 on: how logins end) says. */
static inline void
fuzz_begin(struct fuzz *fuzz, uint8_t how)
{
	const struct serve_config config = {.version = "fuzz",
	    .item_max_bytes = how & FUZZ_SMALL ? 1u << 10 : 1u << 20,
	    .flush_enabled = !(how & FUZZ_NO_FLUSH),
	    .dump_disabled = (how & FUZZ_NO_DUMP) != 0,
	    .auth = (how & FUZZ_AUTH) != 0};
	struct serve_host host = {.ctx = fuzz,
	    .stats = fuzz_stats,
	    .verbosity = fuzz_verbosity,
	    .memory_limit = fuzz_memory_limit,
	    .auth_ctx = fuzz,
	    .auth_begin = fuzz_auth_begin,
	    .auth_cancel = fuzz_auth_cancel};

	if (fuzz->store == NULL)
		fuzz_store_open(fuzz);
	fuzz->base = (struct serve_sink){fuzz_reserve, fuzz_commit, fuzz_value, fuzz_room};
	fuzz->room = UINT32_MAX;
	fuzz->again = 0;
	fuzz->reply_bytes = 0;
	fuzz->reply_max = UINT64_MAX;
	fuzz->logins = how >> 5;
	fuzz->watch = how & FUZZ_NO_WATCH ? NULL : watch_create();
	host.watch = fuzz->watch;
	fuzz->prefixes = prefixes_create();
	host.prefixes = fuzz->prefixes;
	fuzz->serve = serve_create(fuzz->store, fuzz->thread, &config, &host);
	fuzz_require(fuzz->serve != NULL);
	fuzz_pass_s(fuzz, 1);
}

/* All sessions are closed by now. */
static inline void
fuzz_end(struct fuzz *fuzz)
{
	fuzz_require(fuzz->pending == NULL);
	serve_destroy(fuzz->serve);
	if (fuzz->watch != NULL)
		watch_destroy(fuzz->watch);
	prefixes_destroy(fuzz->prefixes);
	free(fuzz->reserved);
	fuzz->reserved = NULL;
	if (fuzz->runs++ % FUZZ_CHECK_RUNS == 0)
		fuzz_require(store_check(fuzz->store) == NULL);
	if (fuzz->runs == FUZZ_RUNS) {
		fuzz_store_close(fuzz);
		return;
	}
	fuzz->now_s++;
	store_quiesce(fuzz->thread, fuzz->now_s);
	store_flush_all(fuzz->thread, fuzz->now_s);
	store_maintain(fuzz->thread, 64);
}

/* ---- a stream -------------------------------------------------------------------------------------------------- */

/* Gives one piece from a buffer of its size; returns what serve made of the session, SERVE_AGAIN when it took too long. */
static inline enum serve_state
fuzz_give(struct fuzz *fuzz, struct serve_session *session, const uint8_t *bytes, uint32_t len)
{
	uint8_t *copy = malloc(len != 0 ? len : 1);
	enum serve_state state;
	uint32_t at = 0, consumed, calls = 0;

	fuzz_require(copy != NULL);
	memcpy(copy, bytes, len);
	serve_peek(fuzz->serve, copy, len);
	serve_peeked(fuzz->serve);
	do {
		state = serve_bytes(session, copy + at, len - at, &fuzz->base, &consumed);
		fuzz_require(consumed <= len - at && calls++ < FUZZ_ANSWERS_MAX);
		at += consumed;
		fuzz->again += state == SERVE_AGAIN;
		fuzz->room = UINT32_MAX;
		if (fuzz->pending != NULL) {
			serve_auth_verdict(fuzz->pending, fuzz->logins % 2 != 0);
			fuzz->pending = NULL;
		}
	} while (state == SERVE_FULL || (state == SERVE_AGAIN && fuzz->again < FUZZ_AGAIN_MAX));
	free(copy);
	fuzz_require(at == len || state == SERVE_CLOSE || state == SERVE_ABORT || state == SERVE_AGAIN);
	return state;
}

/* Plays a stream on one session, cut as `pieces` says; a second passes every 64 bytes. */
static inline void
fuzz_play(struct fuzz *fuzz, const uint8_t pieces[FUZZ_PIECES], const uint8_t *stream, size_t size)
{
	struct serve_session *session = serve_session_open(fuzz->serve);
	enum serve_state state = SERVE_GO_ON;
	size_t at = 0;

	fuzz_require(session != NULL);
	for (unsigned i = 0; at < size && (state == SERVE_GO_ON || state == SERVE_LATER);
	     i = (i + 1) % FUZZ_PIECES) {
		uint32_t len = pieces[i] != 0 ? pieces[i] : 1;

		len = len < size - at ? len : (uint32_t)(size - at);
		fuzz->room = pieces[i] != 0 ? UINT32_MAX : FUZZ_LITTLE_ROOM;
		state = fuzz_give(fuzz, session, stream + at, len);
		fuzz_pass_s(fuzz, (uint32_t)((at + len) / 64 - at / 64));
		at += len;
	}
	serve_session_close(session);
}

/* A whole run: the input's first FUZZ_PREFIX bytes say how, `stream` is what is played. */
static inline void
fuzz_run(const uint8_t prefix[FUZZ_PREFIX], const uint8_t *stream, size_t size)
{
	static struct fuzz fuzz;

	fuzz_begin(&fuzz, prefix[0]);
	fuzz_play(&fuzz, prefix + 1, stream, size);
	fuzz_end(&fuzz);
}

#endif
