/*
 * A worker in a test: a real store in virtual time, serve on it, and a sink that keeps the reply in memory.
 *
 * The sink can be given little room (fixture.room) to see replies suspended. Between two calls of
 * serve_bytes() the store passes a quiescent point, so a view kept too long is found by the sanitizers.
 */
#ifndef WIRECACHE_TESTS_SERVE_FIXTURE_H
#define WIRECACHE_TESTS_SERVE_FIXTURE_H

#include "dataplane/prefixes.h"
#include "dataplane/proto/sasl.h"
#include "dataplane/serve.h"
#include "dataplane/watch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/random.h"

#define FIXTURE_NOW_S 1700000000u

struct fixture {
	struct serve_sink sink; /* first: the sink's callbacks get it back */
	struct store *store;
	struct store_thread *thread;
	struct serve *serve;
	struct serve_session *session;
	uint32_t now_s;
	uint8_t *out;
	size_t out_len, out_room, most_at_once;
	size_t taken;      /* bytes of out that the client has read */
	size_t room;       /* how much may be waiting; SIZE_MAX: no limit */
	uint8_t *reserved; /* exactly as large as asked for */
	uint32_t reserved_len;
	bool refuse; /* no memory for replies */
	enum serve_state state;
	struct watch *watch;
	atomic_uint sample_every; /* 1: every key is sampled */
	unsigned slices;          /* calls that the last bytes took */
	struct prefixes *prefixes;
	uint32_t verbosity;
	uint64_t memory_limit;
	enum serve_login login;           /* what is said of a login at once */
	struct serve_session *logging_in; /* whose verdict is pending */
	unsigned logins, cancels;
	char user[PROTO_USER_MAX + 1], password[PROTO_PASSWORD_MAX + 1]; /* of the last one */
};

static inline void
fixture_append(struct fixture *f, const void *bytes, size_t len)
{
	if (f->out_len + len + 1 > f->out_room) {
		f->out_room = 2 * (f->out_len + len + 1);
		f->out = realloc(f->out, f->out_room);
		assert_non_null(f->out);
	}
	memcpy(f->out + f->out_len, bytes, len);
	f->out_len += len;
	f->out[f->out_len] = '\0';
}

static inline uint8_t *
fixture_reserve(struct serve_sink *sink, uint32_t len)
{
	struct fixture *f = (struct fixture *)sink;

	assert_true(len <= SERVE_RESERVE_MAX);
	if (f->refuse)
		return NULL;
	free(f->reserved);
	f->reserved = malloc(len != 0 ? len : 1);
	f->reserved_len = len;
	assert_non_null(f->reserved);
	return f->reserved;
}

static inline void
fixture_commit(struct serve_sink *sink, uint32_t len)
{
	struct fixture *f = (struct fixture *)sink;

	assert_non_null(f->reserved);
	assert_true(len <= f->reserved_len);
	fixture_append(f, f->reserved, len);
	free(f->reserved);
	f->reserved = NULL;
}

static inline bool
fixture_value(struct serve_sink *sink, const struct store_view *view)
{
	struct fixture *f = (struct fixture *)sink;
	const uint8_t *bytes;
	uint32_t at = 0, len;

	while ((len = store_view_span(f->store, view, at, &bytes)) != 0) {
		fixture_append(f, bytes, len);
		at += len;
	}
	assert_int_equal(at, view->value_bytes);
	return !f->refuse;
}

static inline uint32_t
fixture_room(struct serve_sink *sink)
{
	struct fixture *f = (struct fixture *)sink;
	size_t waiting = f->out_len - f->taken;

	if (f->room == SIZE_MAX)
		return UINT32_MAX;
	return waiting < f->room ? (uint32_t)(f->room - waiting) : 0;
}

static inline bool
fixture_stats(void *ctx, const char *group, uint32_t group_len,
    void (*emit)(void *emit_ctx, const char *name, const char *value), void *emit_ctx)
{
	if (group_len == 5 && memcmp(group, "reset", 5) == 0) {
		prefixes_reset(((struct fixture *)ctx)->prefixes);
		return true;
	}
	if (group_len != 0 && !(group_len == 8 && memcmp(group, "settings", 8) == 0))
		return false;
	emit(emit_ctx, "name", group_len != 0 ? "setting" : "value");
	return true;
}

static inline void
fixture_verbosity(void *ctx, uint32_t level)
{
	((struct fixture *)ctx)->verbosity = level;
}

static inline int
fixture_memory_limit(void *ctx, uint64_t bytes)
{
	((struct fixture *)ctx)->memory_limit = bytes;
	return bytes > 1ull << 40 ? -1 : 0;
}

static inline enum serve_login
fixture_auth_begin(void *ctx, struct serve_session *session, const struct proto_credentials *credentials)
{
	struct fixture *f = ctx;

	assert_null(f->logging_in);
	f->logins++;
	memcpy(f->user, credentials->user, credentials->user_len);
	f->user[credentials->user_len] = '\0';
	memcpy(f->password, credentials->password, credentials->password_len);
	f->password[credentials->password_len] = '\0';
	if (f->login == SERVE_LOGIN_PENDING)
		f->logging_in = session;
	return f->login;
}

static inline void
fixture_auth_cancel(void *ctx, struct serve_session *session)
{
	struct fixture *f = ctx;

	assert_ptr_equal(f->logging_in, session);
	f->logging_in = NULL;
	f->cancels++;
}

static inline void
fixture_advance(struct fixture *f, uint32_t seconds)
{
	f->now_s += seconds;
	store_quiesce(f->thread, f->now_s);
	serve_tick(f->serve, f->now_s);
}

/* A fixture with a store of that many MiB; auth: clients have to log in. */
static inline struct fixture *
fixture_open_auth(size_t memory_mib, bool auth)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct serve_config config = {
	    .version = "1.6.45-test", .item_max_bytes = 1 << 20, .flush_enabled = true, .auth = auth};
	struct serve_host host = {.ctx = f,
	    .sample_every = &f->sample_every,
	    .stats = fixture_stats,
	    .verbosity = fixture_verbosity,
	    .memory_limit = fixture_memory_limit,
	    .watch = watch_create(),
	    .prefixes = prefixes_create(),
	    .auth_ctx = f,
	    .auth_begin = fixture_auth_begin,
	    .auth_cancel = fixture_auth_cancel};
	struct store_config store_config;
	char error[STORE_ERROR_MAX];

	assert_non_null(f);
	assert_non_null(host.watch);
	assert_non_null(host.prefixes);
	f->watch = host.watch;
	atomic_init(&f->sample_every, 1);
	f->prefixes = host.prefixes;
	store_config_default(&store_config);
	store_config.memory_bytes = memory_mib << 20;
	store_config.hugepages = false;
	store_config.now_s = FIXTURE_NOW_S;
	if (store_create(&store_config, &f->store, error) != 0)
		fail_msg("%s", error);
	f->thread = store_thread_register(f->store, -1);
	assert_non_null(f->thread);
	f->sink = (struct serve_sink){fixture_reserve, fixture_commit, fixture_value, fixture_room};
	f->room = SIZE_MAX;
	f->serve = serve_create(f->store, f->thread, &config, &host);
	assert_non_null(f->serve);
	f->now_s = FIXTURE_NOW_S;
	fixture_advance(f, 0);
	f->session = serve_session_open(f->serve);
	assert_non_null(f->session);
	return f;
}

static inline struct fixture *
fixture_open(size_t memory_mib)
{
	return fixture_open_auth(memory_mib, false);
}

static inline void
fixture_close(struct fixture *f)
{
	const char *broken;

	serve_session_close(f->session);
	serve_destroy(f->serve);
	broken = store_check(f->store);
	if (broken != NULL)
		fail_msg("%s", broken);
	watch_destroy(f->watch);
	prefixes_destroy(f->prefixes);
	store_thread_unregister(f->thread);
	store_destroy(f->store);
	free(f->reserved);
	free(f->out);
	free(f);
}

static inline void
fixture_clear(struct fixture *f)
{
	f->out_len = 0;
	f->taken = 0;
	fixture_append(f, "", 0);
}

/* A session that begins anew, as after a reconnect. */
static inline void
fixture_reconnect(struct fixture *f)
{
	serve_session_close(f->session);
	f->session = serve_session_open(f->serve);
	assert_non_null(f->session);
}

/* Gives bytes in one call from a buffer of exactly their size; all must be consumed. Adds to the reply. */
static inline void
fixture_feed(struct fixture *f, const void *bytes, size_t len)
{
	uint8_t *copy = malloc(len != 0 ? len : 1);
	uint32_t consumed = 0;

	assert_non_null(copy);
	memcpy(copy, bytes, len);
	f->slices = 0;
	do { /* other work would come between */
		uint32_t now = 0;
		f->state = serve_bytes(f->session, copy + consumed, (uint32_t)len - consumed, &f->sink, &now);
		consumed += now;
		f->slices++;
		if (f->state == SERVE_AGAIN)
			store_quiesce(f->thread, f->now_s);
	} while (f->state == SERVE_AGAIN);
	if (f->state != SERVE_FULL)
		assert_int_equal(consumed, len);
	free(copy);
	store_quiesce(f->thread, f->now_s);
}

/* The whole reply to these bytes. */
static inline const char *
fixture_talk(struct fixture *f, const void *bytes, size_t len)
{
	fixture_clear(f);
	fixture_feed(f, bytes, len);
	return (const char *)f->out;
}

static inline const char *
fixture_say(struct fixture *f, const char *text)
{
	return fixture_talk(f, text, strlen(text));
}

/* Plays a script of send and expected reply pairs, ended by NULL. */
static inline void
fixture_play(struct fixture *f, const char *const script[][2])
{
	for (unsigned i = 0; script[i][0] != NULL; i++) {
		const char *reply = fixture_say(f, script[i][0]);

		if (strcmp(reply, script[i][1]) != 0)
			fail_msg("step %u: %s\ngot: %s\nexpected: %s", i, script[i][0], reply, script[i][1]);
	}
}

#define expect_reply(f, send, reply) assert_string_equal(fixture_say(f, send), reply)

static inline int
fixture_setup(void **state)
{
	*state = fixture_open(64);
	return 0;
}

static inline int
fixture_teardown(void **state)
{
	fixture_close(*state);
	return 0;
}

#define fixture_test(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

#endif
