/*
 * Two workers that serve gets share nothing that they write: with all memory watched, no cache line is written by both,
 * and neither index nor items are written at all. As in a worker, each thread makes its own serve and session; store,
 * watch, prefixes and the sampling setting are those of all.
 */
#include "fixture.h"
#include "../writes.h"

#define KEYS      500u
#define ROUNDS    8u /* that fill a hit counter */
#define REPLY_MAX 4096u

struct server {
	struct serve_sink sink; /* first: the sink's callbacks get it back */
	struct fixture *shared;
	struct writes_thread runs;
	struct writes_set *writes;
	struct store_thread *thread;
	struct serve *serve;
	struct serve_session *session;
	const char *command;
	uint8_t *reply; /* REPLY_MAX bytes */
	uint32_t reply_len;
	unsigned rounds, wrong;
};

static uint8_t *
server_reserve(struct serve_sink *sink, uint32_t len)
{
	struct server *s = (struct server *)sink;

	return s->reply_len + len <= REPLY_MAX ? s->reply + s->reply_len : NULL;
}

static void
server_commit(struct serve_sink *sink, uint32_t len)
{
	((struct server *)sink)->reply_len += len;
}

static bool
server_value(struct serve_sink *sink, const struct store_view *view)
{
	return false; /* values are small: they are written in place */
}

static uint32_t
server_room(struct serve_sink *sink)
{
	return UINT32_MAX;
}

static void
server_begin(void *ctx)
{
	struct server *s = ctx;
	const struct serve_config config = {.version = "1", .item_max_bytes = 1 << 20};
	const struct serve_host host = {.ctx = s->shared,
	    .watch = s->shared->watch,
	    .prefixes = s->shared->prefixes,
	    .sample_every = &s->shared->sample_every};

	s->sink = (struct serve_sink){server_reserve, server_commit, server_value, server_room};
	s->reply = malloc(REPLY_MAX);
	s->thread = store_thread_register(s->shared->store, -1);
	s->serve = serve_create(s->shared->store, s->thread, &config, &host);
	s->session = serve_session_open(s->serve);
	if (s->reply == NULL || s->session == NULL)
		abort();
	store_quiesce(s->thread, FIXTURE_NOW_S);
	serve_tick(s->serve, FIXTURE_NOW_S);
}

static void
server_end(void *ctx)
{
	struct server *s = ctx;

	serve_session_close(s->session);
	serve_destroy(s->serve);
	store_thread_unregister(s->thread);
	free(s->reply);
}

/* One request over the stream and, without the line behind a value, as a datagram; each as in a worker's pass. */
static void
server_request(struct server *s, const char *request, uint32_t len, const char *begins)
{
	uint32_t consumed = 0;
	size_t begins_len = strlen(begins);

	for (unsigned datagram = 0; datagram < 2; datagram++) {
		s->reply_len = 0;
		serve_tick(s->serve, FIXTURE_NOW_S);
		serve_peek(s->serve, (const uint8_t *)request, len);
		serve_peeked(s->serve);
		bool good = datagram
		                ? serve_datagram(s->serve, (const uint8_t *)request, len, &s->sink, &consumed)
		                : serve_bytes(s->session, (const uint8_t *)request, len, &s->sink,
		                      &consumed) == SERVE_GO_ON;
		s->wrong += !good || consumed != len || s->reply_len < begins_len ||
		            memcmp(s->reply, begins, begins_len) != 0;
		store_quiesce(s->thread, FIXTURE_NOW_S);
	}
}

static void
server_gets(void *ctx)
{
	struct server *s = ctx;
	char request[64];

	for (unsigned i = 0; i < s->rounds * KEYS; i++) {
		const char *begins = strcmp(s->command, "mg") == 0 ? "VA 5" : "VALUE key-";
		const char *flags = strcmp(s->command, "mg") == 0 ? " v" : "";
		int len = snprintf(request, sizeof(request), "%s key-%u%s\r\n", s->command, i % KEYS, flags);
		server_request(s, request, (uint32_t)len, begins);
	}
}

static void
server_misses(void *ctx)
{
	struct server *s = ctx;
	char request[64];

	for (unsigned i = 0; i < s->rounds * KEYS; i++) {
		int len = snprintf(request, sizeof(request), "get none-%u\r\n", i % KEYS);
		server_request(s, request, (uint32_t)len, "END\r\n");
	}
}

static void
server_sets(void *ctx)
{
	struct server *s = ctx;
	char request[64];

	for (unsigned i = 0; i < s->rounds; i++) {
		int len = snprintf(request, sizeof(request), "set key-%u 0 0 5\r\nvalue\r\n", i);
		server_request(s, request, (uint32_t)len, "STORED\r\n");
	}
}

static void
server_gets_watched(void *ctx)
{
	struct server *s = ctx;

	writes_of(s->writes, server_gets, s);
}

static void
server_misses_watched(void *ctx)
{
	struct server *s = ctx;

	writes_of(s->writes, server_misses, s);
}

static void
server_sets_watched(void *ctx)
{
	struct server *s = ctx;

	writes_of(s->writes, server_sets, s);
}

/* Each server on its thread, all keys stored and read until nothing changes any more. */
static struct server *
servers_open(struct fixture *shared, const char *command)
{
	struct server *servers = writes_map(2 * sizeof(*servers));
	char request[64];

	for (unsigned i = 0; i < KEYS; i++) {
		snprintf(request, sizeof(request), "set key-%u 0 0 5\r\nvalue\r\n", i);
		expect_reply(shared, request, "STORED\r\n");
	}
	writes_open();
	for (unsigned i = 0; i < 2; i++) {
		servers[i].shared = shared;
		servers[i].command = command;
		servers[i].writes = writes_set_make();
		writes_thread_start(&servers[i].runs);
		writes_run(&servers[i].runs, server_begin, &servers[i]);
		servers[i].rounds = ROUNDS;
		writes_run(&servers[i].runs, server_gets, &servers[i]);
		servers[i].rounds = 1;
	}
	return servers;
}

static void
servers_close(struct server *servers)
{
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(servers[i].wrong, 0);
		writes_run(&servers[i].runs, server_end, &servers[i]);
		writes_thread_stop(&servers[i].runs);
		writes_set_free(servers[i].writes);
	}
	munmap(servers, 2 * sizeof(*servers));
}

static void
expect_nothing_shared(struct fixture *shared, const char *command, void (*step)(void *))
{
	struct server *servers = servers_open(shared, command);
	uintptr_t line = 0;

	writes_choose(NULL);
	for (unsigned i = 0; i < 2; i++) {
		writes_run(&servers[i].runs, step, &servers[i]);
		assert_true(servers[i].writes->writes > KEYS); /* its counters and replies, at least */
	}
	print_message(
	    "# %s: %u and %u lines written\n", command, servers[0].writes->len, servers[1].writes->len);
	if (writes_in_both(servers[0].writes, servers[1].writes, &line))
		fail_msg("%s: both workers write the line at %#lx", command, (unsigned long)line);
	servers_close(servers);
}

static void
two_workers_serving_gets_write_no_line_in_common(void **state)
{
	expect_nothing_shared(*state, "get", server_gets_watched);
}

static void
two_workers_serving_gets_with_cas_write_no_line_in_common(void **state)
{
	expect_nothing_shared(*state, "gets", server_gets_watched);
}

static void
two_workers_serving_meta_gets_write_no_line_in_common(void **state)
{
	expect_nothing_shared(*state, "mg", server_gets_watched);
}

static void
two_workers_serving_misses_write_no_line_in_common(void **state)
{
	expect_nothing_shared(*state, "get", server_misses_watched);
}

static void
two_workers_serving_sets_of_the_same_keys_are_seen_to_share_lines(void **state)
{
	struct server *servers = servers_open(*state, "get");
	uintptr_t line = 0;

	writes_choose(NULL);
	for (unsigned i = 0; i < 2; i++)
		writes_run(&servers[i].runs, server_sets_watched, &servers[i]);
	assert_true(writes_in_both(servers[0].writes, servers[1].writes, &line) > 0);
	servers_close(servers);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    fixture_test(two_workers_serving_gets_write_no_line_in_common),
	    fixture_test(two_workers_serving_gets_with_cas_write_no_line_in_common),
	    fixture_test(two_workers_serving_meta_gets_write_no_line_in_common),
	    fixture_test(two_workers_serving_misses_write_no_line_in_common),
	    fixture_test(two_workers_serving_sets_of_the_same_keys_are_seen_to_share_lines),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
