/*
 * Dumps of all items: their lines, and that they take their time in slices and wait for room.
 */
#include "fixture.h"

static void
store_numbered(struct fixture *f, unsigned items)
{
	char name[32];

	for (unsigned i = 0; i < items; i++) {
		struct store_write write = {.mode = STORE_SET};
		struct store_key key;

		key = store_key_make(f->store, name, (uint32_t)snprintf(name, sizeof(name), "key-%u", i));
		assert_int_equal(store_put(f->thread, &key, &write, "v", 1, NULL), STORE_OK);
	}
}

/* Each of the numbered keys stands once in a line that begins so. */
static void
assert_numbered(const char *text, const char *begin, unsigned items)
{
	uint8_t *seen = calloc(items, 1);
	unsigned lines = 0, number;

	for (const char *at = text; (at = strstr(at, begin)) != NULL; at += strlen(begin), lines++) {
		assert_int_equal(sscanf(at + strlen(begin), "%u", &number), 1);
		assert_true(number < items && !seen[number]);
		seen[number] = 1;
	}
	assert_int_equal(lines, items);
	free(seen);
}

static void
metadump_tells_all_about_an_item(void **state)
{
	struct fixture *f = *state;
	uint64_t cas;
	char expected[256];

	expect_reply(f, "lru_crawler metadump all\r\n", "OK\r\nEND\r\n");
	assert_int_equal(sscanf(fixture_say(f, "ms a%b\t~_. 2 F7 T100 c\r\nhi\r\n"), "HD c%lu", &cas), 1);
	fixture_advance(f, 5);
	snprintf(expected, sizeof(expected),
	    "OK\r\nkey=a%%25b%%09~_. exp=%u la=%u cas=%lu fetch=no cls=0 size=32 flags=7 \nEND\r\n",
	    FIXTURE_NOW_S + 100, FIXTURE_NOW_S, cas);
	expect_reply(f, "lru_crawler metadump all\r\n", expected);
	expect_reply(f, "lru_crawler metadump hash\r\n", expected);
	expect_reply(f, "lru_crawler metadump 1,5\r\n", expected);
	fixture_say(f, "get a%b\t~_.\r\n");
	fixture_say(f, "touch a%b\t~_. 0\r\n");
	snprintf(expected, sizeof(expected),
	    "OK\r\nkey=a%%25b%%09~_. exp=-1 la=%u cas=%lu fetch=yes cls=0 size=32 flags=7 \nEND\r\n",
	    f->now_s, cas);
	expect_reply(f, "lru_crawler metadump all\r\n", expected);
}

static void
mgdump_gives_commands_that_fetch_the_items(void **state)
{
	struct fixture *f = *state;

	expect_reply(f, "lru_crawler mgdump all\r\n", "OK\r\nEN\r\n");
	expect_reply(f, "set plain% 0 0 1\r\nx\r\n", "STORED\r\n");
	expect_reply(f, "lru_crawler mgdump hash\r\n", "OK\r\nmg plain%\r\nEN\r\n");
	expect_reply(f, "ms cGxhaW4l 1 b\r\nx\r\n", "HD\r\n");
	expect_reply(f, "lru_crawler mgdump hash\r\n", "OK\r\nmg cGxhaW4l b\r\nEN\r\n");
}

static void
cachedump_lists_up_to_a_number(void **state)
{
	struct fixture *f = *state;
	unsigned lines = 0;

	expect_reply(f, "set a 0 100 2\r\nhi\r\n", "STORED\r\n");
	expect_reply(f, "stats cachedump 1 0\r\n", "ITEM a [2 b; 1700000100 s]\r\nEND\r\n");
	expect_reply(f, "touch a 0\r\n", "TOUCHED\r\n");
	expect_reply(f, "stats cachedump 1 9\r\n", "ITEM a [2 b; 0 s]\r\nEND\r\n");
	store_numbered(f, 100);
	for (const char *at = fixture_say(f, "stats cachedump 1 30\r\n"); (at = strstr(at, "ITEM ")); at++)
		lines++;
	assert_int_equal(lines, 30);
	expect_reply(f, "stats cachedump 2 30\r\n", "END\r\n");
	expect_reply(f, "stats cachedump 1\r\n", "CLIENT_ERROR bad command line\r\n");
	expect_reply(f, "stats cachedump 64 1\r\n", "CLIENT_ERROR Illegal slab id\r\n");
	expect_reply(f, "stats cachedump a b\r\n", "CLIENT_ERROR bad command line format\r\n");
}

static void
dump_of_many_items_comes_in_slices(void **state)
{
	struct fixture *f = *state;

	store_numbered(f, 30000);
	fixture_say(f, "lru_crawler metadump all\r\n");
	assert_true(f->slices > 50);
	assert_numbered((const char *)f->out, "key=key-", 30000);
	assert_string_equal((const char *)f->out + f->out_len - 6, "\nEND\r\n");
	fixture_say(f, "lru_crawler mgdump all\r\nmn\r\n");
	assert_numbered((const char *)f->out, "mg key-", 30000);
	assert_string_equal((const char *)f->out + f->out_len - 8, "EN\r\nMN\r\n");
}

/* Nothing to tell takes slices as well. */
static void
dump_of_expired_items_comes_in_slices(void **state)
{
	struct fixture *f = *state;

	store_numbered(f, 20000);
	fixture_say(f, "flush_all\r\n");
	expect_reply(f, "lru_crawler metadump all\r\n", "OK\r\nEND\r\n");
	assert_true(f->slices > 30);
}

static void
dump_waits_for_room_while_items_change(void **state)
{
	struct fixture *f = *state;
	unsigned waits = 0;

	store_numbered(f, 2000);
	f->room = 3000;
	fixture_say(f, "lru_crawler metadump all\r\nversion\r\n");
	while (f->state == SERVE_FULL) {
		assert_true(f->out_len - f->taken < 3000 + 1100);
		f->taken = f->out_len;
		store_numbered(f, 2000); /* all of them anew */
		store_maintain(f->thread, 1000);
		if (f->slices != 0)
			fixture_feed(f, "", 0);
		waits++;
	}
	assert_true(waits > 30);
	assert_numbered((const char *)f->out, "key=key-", 2000);
	assert_string_equal((const char *)f->out + f->out_len - 5, "END\r\n"); /* version was not consumed */
	expect_reply(f, "version\r\n", "VERSION 1.6.45-test\r\n");
}

static void
several_sessions_dump_at_once(void **state)
{
	enum { SESSIONS = 5 };
	static const char command[] = "lru_crawler mgdump all\r\n";
	struct fixture *f = *state;
	struct serve_session *sessions[SESSIONS];
	enum serve_state ended[SESSIONS];
	unsigned running = SESSIONS, rounds = 0;
	uint32_t consumed;

	store_numbered(f, 5000);
	fixture_clear(f);
	for (unsigned i = 0; i < SESSIONS; i++) {
		sessions[i] = serve_session_open(f->serve);
		ended[i] = serve_bytes(
		    sessions[i], (const uint8_t *)command, sizeof(command) - 1, &f->sink, &consumed);
		assert_int_equal(ended[i], SERVE_AGAIN);
		assert_true(serve_session_busy(sessions[i]));
	}
	for (; running != 0; rounds++) {
		for (unsigned i = 0; i < SESSIONS; i++)
			if (ended[i] == SERVE_AGAIN) {
				ended[i] = serve_bytes(sessions[i], NULL, 0, &f->sink, &consumed);
				running -= ended[i] != SERVE_AGAIN;
			}
		store_quiesce(f->thread, f->now_s);
	}
	assert_true(rounds > 5);
	unsigned lines = 0;
	for (const char *at = (const char *)f->out; (at = strstr(at, "mg key-")) != NULL; at++)
		lines++;
	assert_int_equal(lines, SESSIONS * 5000);
	for (unsigned i = 0; i < SESSIONS; i++) {
		assert_int_equal(ended[i], SERVE_GO_ON);
		serve_session_close(sessions[i]);
	}
}

static void
session_closed_during_a_dump_leaks_nothing(void **state)
{
	struct fixture *f = *state;

	store_numbered(f, 1000);
	f->room = 500;
	fixture_say(f, "lru_crawler metadump all\r\n");
	assert_int_equal(f->state, SERVE_FULL);
	fixture_reconnect(f);
	f->room = SIZE_MAX;
	f->refuse = true;
	fixture_say(f, "lru_crawler metadump all\r\n");
	assert_int_equal(f->state, SERVE_ABORT);
	f->refuse = false;
}

static void
datagram_gets_no_dump(void **state)
{
	static const char command[] = "lru_crawler metadump all\r\n";
	struct fixture *f = *state;
	uint32_t consumed;

	store_numbered(f, 1000);
	fixture_clear(f);
	assert_false(
	    serve_datagram(f->serve, (const uint8_t *)command, sizeof(command) - 1, &f->sink, &consumed));
}

static void
dumps_switched_off_are_refused(void **state)
{
	struct fixture *f = *state;
	struct serve_config config = {
	    .version = "x", .item_max_bytes = 1 << 20, .flush_enabled = true, .dump_disabled = true};

	serve_session_close(f->session);
	serve_destroy(f->serve);
	f->serve = serve_create(f->store, f->thread, &config, NULL);
	f->session = serve_session_open(f->serve);
	expect_reply(f, "lru_crawler metadump all\r\n", "ERROR metadump not allowed\r\n");
	expect_reply(f, "lru_crawler mgdump all\r\n", "ERROR key dump not allowed\r\n");
	expect_reply(f, "stats cachedump 1 1\r\n", "CLIENT_ERROR stats cachedump not allowed\r\n");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    fixture_test(metadump_tells_all_about_an_item),
	    fixture_test(mgdump_gives_commands_that_fetch_the_items),
	    fixture_test(cachedump_lists_up_to_a_number),
	    fixture_test(dump_of_many_items_comes_in_slices),
	    fixture_test(dump_of_expired_items_comes_in_slices),
	    fixture_test(dump_waits_for_room_while_items_change),
	    fixture_test(several_sessions_dump_at_once),
	    fixture_test(session_closed_during_a_dump_leaks_nothing),
	    fixture_test(datagram_gets_no_dump),
	    fixture_test(dumps_switched_off_are_refused),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
