/*
 * stats detail: what counts for a prefix and what does not, over both protocols, over several workers, and how much.
 */
#include "binary.h"

#include <pthread.h>
#include <stdatomic.h>

static void
nothing_is_counted_before_detail_is_switched_on(void **state)
{
	struct fixture *f = *state;

	expect_reply(f, "stats detail dump\r\n", "END\r\n");
	fixture_say(f, "set a:1 0 0 1\r\nx\r\nget a:1\r\n");
	expect_reply(f, "stats detail dump\r\n", "END\r\n");
	expect_reply(f, "stats detail on\r\n", "OK\r\n");
	expect_reply(f, "stats detail dump\r\n", "END\r\n");
}

static void
gets_hits_sets_and_deletes_count_for_their_prefix(void **state)
{
	struct fixture *f = *state;

	expect_reply(f, "stats detail on\r\n", "OK\r\n");
	fixture_say(f, "get foo:1\r\nset foo:1 0 0 1\r\nx\r\nget foo:1\r\ndelete foo:1\r\n");
	expect_reply(f, "stats detail dump\r\n", "PREFIX foo get 2 hit 1 set 1 del 1\r\nEND\r\n");
	expect_reply(f, "stats detail off\r\n", "OK\r\n");
	fixture_say(f, "get foo:1\r\n");
	expect_reply(f, "stats detail dump\r\n", "PREFIX foo get 2 hit 1 set 1 del 1\r\nEND\r\n");
	expect_reply(f, "stats detail on and more\r\n", "OK\r\n");
	expect_reply(f, "stats detail dump\r\n", "PREFIX foo get 2 hit 1 set 1 del 1\r\nEND\r\n");
	expect_reply(f, "stats reset\r\n", "RESET\r\n");
	expect_reply(f, "stats detail dump\r\n", "END\r\n");
}

/* Recorded from memcached 1.6.18. */
static void
commands_count_as_in_memcached(void **state)
{
	struct fixture *f = *state;

	expect_reply(f, "stats detail on\r\n", "OK\r\n");
	fixture_say(f, "get u:1 u:2 nop\r\nset u:1 0 0 1\r\nx\r\nget u:1\r\n");
	fixture_say(f, "mg m:1 v\r\nms m:1 1\r\nx\r\nmd m:1\r\nma m:2\r\nme m:1\r\n");
	fixture_say(f, "gat 5 g:1 u:1\r\ntouch t:1 5\r\nincr i:1 1\r\ndelete d:1\r\nset :x 0 0 1\r\nx\r\n");
	fixture_say(f, "set bad:x 0 0 1\r\nxxx\r\nset f:x a 0 1\r\nx\r\n");
	fixture_say(f, "append ap:x 0 0 1\r\nx\r\ncas ca:x 0 0 1 2\r\nx\r\nadd in:pieces 0 0 4\r\nab");
	fixture_feed(f, "cd\r\n", 4);
	expect_reply(f, "stats detail dump\r\n",
	    "PREFIX u get 4 hit 2 set 1 del 0\r\n"
	    "PREFIX g get 1 hit 0 set 0 del 0\r\n"
	    "PREFIX d get 0 hit 0 set 0 del 1\r\n"
	    "PREFIX  get 0 hit 0 set 1 del 0\r\n"
	    "PREFIX bad get 0 hit 0 set 1 del 0\r\n"
	    "PREFIX ap get 0 hit 0 set 1 del 0\r\n"
	    "PREFIX ca get 0 hit 0 set 1 del 0\r\n"
	    "PREFIX in get 0 hit 0 set 1 del 0\r\n"
	    "END\r\n");
	fixture_say(f, "set big:x 0 0 2000000\r\n");
	fixture_reconnect(f);
	fixture_say(f, "stats detail dump\r\n");
	assert_non_null(strstr((const char *)f->out, "PREFIX big get 0 hit 0 set 1 del 0\r\nEND\r\n"));
}

static void
binary_requests_count_and_dump_as_one_value(void **state)
{
	struct fixture *f = *state;
	struct packet p;
	size_t at = 0;

	expect_status(f, request_of(0x10, "detail on"), 0);
	expect_status(f, request_of(0x10, "detail foo"), 1);
	ask(f, request_store(0x01, "b:1", "x", 1));
	ask(f, request_of(0x00, "b:1"));
	ask(f, request_of(0x0c, "b:2"));
	ask(f, request_expiry(0x1c, "t:1", 5));
	ask(f, request_expiry(0x1d, "b:1", 5));
	ask(f, request_of(0x04, "b:1"));
	fixture_clear(f);
	struct request dump = request_of(0x10, "detail dump");
	feed_request(f, &dump);
	assert_true(next_packet(f, &at, &p));
	assert_int_equal(p.key_len, 8);
	expect_body(&p, "detailedPREFIX b get 3 hit 2 set 1 del 1\r\nEND\r\n");
	assert_true(next_packet(f, &at, &p));
	assert_int_equal(p.body_bytes, 0);
	assert_false(next_packet(f, &at, &p));
	expect_status(f, request_of(0x10, "detail off"), 0);
	ask(f, request_of(0x00, "b:1"));
	fixture_reconnect(f);
	expect_reply(f, "stats detail dump\r\n", "PREFIX b get 3 hit 2 set 1 del 1\r\nEND\r\n");
}

static void
workers_are_added_up(void **state)
{
	struct fixture *f = *state;
	const struct serve_config config = {.version = "1", .item_max_bytes = 1 << 20};
	const struct serve_host host = {.ctx = f, .prefixes = f->prefixes};
	struct serve *second = serve_create(f->store, f->thread, &config, &host);
	struct serve_session *session = serve_session_open(second);
	static const char gets[] = "get a:1\r\nget b:1\r\n";
	uint32_t consumed;

	assert_non_null(session);
	expect_reply(f, "stats detail on\r\n", "OK\r\n");
	serve_tick(second, f->now_s); /* only then the other worker knows */
	fixture_say(f, "get a:1\r\nget a:2\r\n");
	serve_bytes(session, (const uint8_t *)gets, sizeof(gets) - 1, &f->sink, &consumed);
	fixture_say(f, "stats detail dump\r\n");
	assert_non_null(strstr((const char *)f->out, "PREFIX a get 3 hit 0 set 0 del 0\r\n"));
	assert_non_null(strstr((const char *)f->out, "PREFIX b get 1 hit 0 set 0 del 0\r\n"));
	expect_reply(f, "stats reset\r\n", "RESET\r\n");
	expect_reply(f, "stats detail dump\r\n", "END\r\n");
	serve_session_close(session);
	serve_destroy(second);
}

static void
prefixes_beyond_the_bound_are_not_told_but_counted(void **state)
{
	struct fixture *f = *state;
	unsigned lines = 0;
	char get[32];

	expect_reply(f, "stats detail on\r\n", "OK\r\n");
	for (unsigned i = 0; i < PREFIXES_MAX + 10; i++) {
		snprintf(get, sizeof(get), "get p%u:x\r\n", i);
		fixture_say(f, get);
	}
	assert_int_equal(serve_counters(f->serve)->prefixes_untold, 10);
	fixture_say(f, "get p7:y\r\nstats detail dump\r\n");
	for (const char *at = (const char *)f->out; (at = strstr(at, "PREFIX ")) != NULL; at++)
		lines++;
	assert_int_equal(lines, PREFIXES_MAX);
	assert_non_null(strstr((const char *)f->out, "PREFIX p7 get 2 hit 0 set 0 del 0\r\n"));
	assert_int_equal(serve_counters(f->serve)->prefixes_untold, 10);
}

static void
longest_prefix_is_told_whole(void **state)
{
	struct fixture *f = *state;
	char get[300], line[400];

	expect_reply(f, "stats detail on\r\n", "OK\r\n");
	snprintf(get, sizeof(get), "get %0249d:\r\n", 7);
	snprintf(line, sizeof(line), "PREFIX %0249d get 1 hit 0 set 0 del 0\r\nEND\r\n", 7);
	fixture_say(f, get);
	expect_reply(f, "stats detail dump\r\n", line);
}

/* ---- tables between threads ------------------------------------------------------------------- */

#define COUNTERS 3u
#define COUNTS   20000u

static void *
count_keys(void *argument)
{
	struct prefix_table *table = prefixes_join(argument);
	char prefix[8];

	assert_non_null(table);
	for (unsigned i = 0; i < COUNTS; i++) {
		uint32_t len = (uint32_t)snprintf(prefix, sizeof(prefix), "p%u", i % 10);
		assert_true(prefixes_count(table, i % 3, (const uint8_t *)prefix, len, PREFIX_GET));
	}
	return NULL;
}

static uint64_t
sum_of_gets(struct prefixes *prefixes, uint32_t *len)
{
	struct prefix *sum = prefixes_sum(prefixes, len);
	uint64_t gets = 0;

	for (uint32_t i = 0; i < *len; i++)
		gets += sum[i].count[PREFIX_GET];
	free(sum);
	return gets;
}

/* Hashes are few on purpose: prefixes meet in the index. */
static void
counts_of_many_threads_are_all_in_the_sum(void **state)
{
	struct prefixes *prefixes = prefixes_create();
	pthread_t threads[COUNTERS];
	uint64_t seen = 0;
	uint32_t len;

	(void)state;
	assert_non_null(prefixes);
	for (unsigned i = 0; i < COUNTERS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, count_keys, prefixes), 0);
	while (seen < COUNTERS * COUNTS / 2) {
		uint64_t now = sum_of_gets(prefixes, &len);
		assert_true(now >= seen && now <= COUNTERS * COUNTS);
		seen = now;
	}
	for (unsigned i = 0; i < COUNTERS; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(sum_of_gets(prefixes, &len), COUNTERS * COUNTS);
	/* Each of the ten comes with each of the three hashes. */
	assert_int_equal(len, 30);
	prefixes_reset(prefixes);
	assert_int_equal(sum_of_gets(prefixes, &len), 0);
	assert_int_equal(len, 0);
	prefixes_destroy(prefixes);
}

struct forgetting {
	struct prefixes *prefixes;
	_Atomic bool stop;
};

/* Prefixes whose hash tells their text and length, so that a torn one is seen. */
static void *
count_until_told(void *argument)
{
	struct forgetting *forgetting = argument;
	struct prefix_table *table = prefixes_join(forgetting->prefixes);
	uint8_t prefix[PREFIX_BYTES_MAX];

	assert_non_null(table);
	for (uint32_t i = 0; !atomic_load(&forgetting->stop); i++) {
		uint32_t len = 1 + i * 37 % PREFIX_BYTES_MAX;
		memset(prefix, (int)(len % 251), len);
		assert_true(prefixes_count(table, len, prefix, len, PREFIX_SET));
	}
	return NULL;
}

static void
prefixes_forgotten_under_way_are_never_torn(void **state)
{
	struct forgetting forgetting = {.prefixes = prefixes_create()};
	pthread_t threads[COUNTERS];
	unsigned full = 0;
	uint32_t len;

	(void)state;
	for (unsigned i = 0; i < COUNTERS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, count_until_told, &forgetting), 0);
	for (unsigned round = 0; round < 2000 || full == 0; round++) {
		struct prefix *sum = prefixes_sum(forgetting.prefixes, &len);
		for (uint32_t i = 0; i < len; i++) {
			assert_int_equal(sum[i].hash, sum[i].len);
			for (uint32_t at = 0; at < sum[i].len; at++)
				assert_int_equal(sum[i].bytes[at], sum[i].len % 251);
			assert_int_equal(sum[i].count[PREFIX_GET], 0);
		}
		full += len == PREFIX_BYTES_MAX;
		free(sum);
		if (round % 2 == 1 && round < 2000)
			prefixes_reset(forgetting.prefixes);
	}
	atomic_store(&forgetting.stop, true);
	for (unsigned i = 0; i < COUNTERS; i++)
		pthread_join(threads[i], NULL);
	prefixes_destroy(forgetting.prefixes);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    fixture_test(nothing_is_counted_before_detail_is_switched_on),
	    fixture_test(gets_hits_sets_and_deletes_count_for_their_prefix),
	    fixture_test(commands_count_as_in_memcached),
	    fixture_test(binary_requests_count_and_dump_as_one_value),
	    fixture_test(workers_are_added_up),
	    fixture_test(prefixes_beyond_the_bound_are_not_told_but_counted),
	    fixture_test(longest_prefix_is_told_whole),
	    cmocka_unit_test(counts_of_many_threads_are_all_in_the_sum),
	    cmocka_unit_test(prefixes_forgotten_under_way_are_never_torn),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
