/*
 * Streams: requests split anywhere, replies that have to wait, lines and values left unfinished, datagrams,
 * staging.
 */
#include "fixture.h"

#include "dataplane/proto/request.h"

#define BAD_FORMAT "CLIENT_ERROR bad command line format\r\n"

/* One of everything, with replies that do not depend on CAS values. */
static const char session_text[] = "set a 1 0 5\r\nhello\r\n"
                                   "get a\r\n"
                                   "gets none\r\n"
                                   "set b 2 0 0\r\n\r\n"
                                   "get a b none a\r\n"
                                   "append a 0 0 2\r\n\r\n\r\n"
                                   "get a\n"
                                   "set c 0 0 3\r\nabcd\r\n"
                                   "set n 0 0 2 noreply\r\n10\r\n"
                                   "incr n 5\r\n"
                                   "gat 100 n a\r\n"
                                   "cas n 0 0 1 999999999999\r\nx\r\n"
                                   "set a x 0 4\r\nabcd\r\n"
                                   "set a 0 0 -1\r\n"
                                   "bogus  \r\n"
                                   "touch a 10\r\ndelete b\r\ndelete b 5\r\n"
                                   "ms m 3 k O77 s\r\nabc\r\n"
                                   "mg m v k O77\r\nma n v\r\nmd m q\r\nmn\r\n"
                                   "verbosity 1\r\nversion\r\nstats\r\n"
                                   "quit\r\nget a\r\n";

static char *
reply_in_one_piece(void)
{
	struct fixture *f = fixture_open(64);
	char *reply = strdup(fixture_talk(f, session_text, sizeof(session_text) - 1));

	assert_non_null(reply);
	assert_int_equal(f->state, SERVE_CLOSE);
	fixture_close(f);
	return reply;
}

static void
split_at_every_byte_gives_the_same_reply(void **state)
{
	struct fixture *f = *state;
	char *expected = reply_in_one_piece();
	size_t len = sizeof(session_text) - 1;

	for (size_t at = 0; at <= len; at++) {
		fixture_reconnect(f);
		fixture_say(f, "flush_all\r\n");
		fixture_reconnect(f);
		fixture_clear(f);
		fixture_feed(f, session_text, at);
		fixture_feed(f, session_text + at, len - at);
		if (strcmp((char *)f->out, expected) != 0)
			fail_msg("split at %zu gives %s", at, f->out);
	}
	free(expected);
}

static void
byte_by_byte_gives_the_same_reply(void **state)
{
	struct fixture *f = *state;
	char *expected = reply_in_one_piece();

	fixture_clear(f);
	for (size_t at = 0; at < sizeof(session_text) - 1; at++)
		fixture_feed(f, session_text + at, 1);
	assert_string_equal((char *)f->out, expected);
	free(expected);
}

static void
store_value(struct fixture *f, const char *key, uint32_t bytes)
{
	char *text = malloc(bytes + 64);
	int head;

	assert_non_null(text);
	head = sprintf(text, "set %s 0 0 %u\r\n", key, bytes);
	memset(text + head, key[0], bytes);
	memcpy(text + head + bytes, "\r\n", 2);
	fixture_talk(f, text, (size_t)head + bytes + 2);
	assert_string_equal((char *)f->out, "STORED\r\n");
	free(text);
}

/* Takes what waits, goes on, until the reply is whole. Returns how often it had to. */
static unsigned
drain(struct fixture *f)
{
	unsigned rounds = 0;

	while (f->state == SERVE_FULL) {
		assert_true(f->out_len - f->taken > 0);
		assert_true(f->out_len - f->taken <= f->room + f->most_at_once);
		f->taken = f->out_len;
		fixture_feed(f, "", 0);
		assert_true(++rounds < 100000);
	}
	return rounds;
}

static void
huge_multiget_waits_for_room(void **state)
{
	struct fixture *f = *state;
	char line[3000] = "get";
	size_t one = 19 + 1000000 + 2;

	store_value(f, "v", 1000000);
	for (unsigned i = 0; i < 1000; i++)
		strcat(line, " v");
	strcat(line, "\r\n");
	f->room = 65536;
	f->most_at_once = one;
	fixture_say(f, line);
	assert_int_equal(f->state, SERVE_FULL);
	assert_true(f->out_len <= one);
	assert_true(serve_session_busy(f->session));
	for (unsigned i = 1; i < 1000; i++) {
		assert_int_equal(f->state, SERVE_FULL);
		f->out_len = 0;
		f->taken = 0;
		fixture_feed(f, "", 0);
		assert_int_equal(f->out_len, one + (i == 999 ? 5 : 0));
		assert_memory_equal(f->out, "VALUE v 0 1000000\r\nvvvv", 23);
	}
	assert_int_equal(f->state, SERVE_GO_ON);
	assert_memory_equal(f->out + one, "END\r\n", 5);
	assert_false(serve_session_busy(f->session));
}

static void
no_room_at_all_consumes_nothing(void **state)
{
	static const uint8_t bytes[] = "get a\r\nversion\r\n";
	struct fixture *f = *state;
	uint32_t consumed = 99;

	expect_reply(f, "version\r\n", "VERSION 1.6.45-test\r\n");
	f->room = 1;
	assert_int_equal(serve_bytes(f->session, bytes, sizeof(bytes) - 1, &f->sink, &consumed), SERVE_FULL);
	assert_int_equal(consumed, 0);
	f->taken = f->out_len;
	assert_int_equal(serve_bytes(f->session, bytes, sizeof(bytes) - 1, &f->sink, &consumed), SERVE_FULL);
	assert_int_equal(consumed, 7);
	f->taken = f->out_len;
	assert_int_equal(
	    serve_bytes(f->session, bytes + 7, sizeof(bytes) - 1 - 7, &f->sink, &consumed), SERVE_GO_ON);
	assert_string_equal((char *)f->out, "VERSION 1.6.45-test\r\nEND\r\nVERSION 1.6.45-test\r\n");
}

/* Plays the session with little room and random pieces; the reply must not change. */
static void
little_room_gives_the_same_reply(void **state)
{
	struct fixture *f = *state;
	char *expected = reply_in_one_piece();
	size_t len = sizeof(session_text) - 1;

	f->most_at_once = 4096;
	for (unsigned seed = 1; seed <= 200; seed++) {
		const uint8_t *bytes = (const uint8_t *)session_text;
		size_t at = 0;

		srand(seed);
		f->room = SIZE_MAX;
		fixture_reconnect(f);
		fixture_say(f, "flush_all\r\n");
		fixture_reconnect(f);
		fixture_clear(f);
		f->room = 1 + (size_t)rand() % 60;
		f->state = SERVE_GO_ON;
		while (at < len && f->state != SERVE_CLOSE) {
			uint32_t give = 1 + (uint32_t)rand() % 40, consumed;

			give = give < len - at ? give : (uint32_t)(len - at);
			f->state = serve_bytes(f->session, bytes + at, give, &f->sink, &consumed);
			at += consumed;
			assert_true(consumed == give || f->state == SERVE_FULL);
			if (f->state == SERVE_FULL && rand() % 2)
				f->taken = f->out_len;
			store_quiesce(f->thread, f->now_s);
		}
		assert_string_equal((char *)f->out, expected);
	}
	free(expected);
}

static void
multiget_of_1000_keys_answers_in_order(void **state)
{
	struct fixture *f = *state;
	char *line = malloc(20000), *expected = malloc(60000), *to = expected, *at = line;

	assert_non_null(line);
	assert_non_null(expected);
	at += sprintf(at, "get");
	for (unsigned i = 0; i < 1000; i++) {
		char set[64];

		at += sprintf(at, " key%u", i);
		if (i % 3 == 0)
			continue;
		sprintf(set, "set key%u %u 0 4 noreply\r\n%04u\r\n", i, i, i);
		fixture_say(f, set);
		to += sprintf(to, "VALUE key%u %u 4\r\n%04u\r\n", i, i, i);
	}
	strcpy(at, "\r\n");
	strcpy(to, "END\r\n");
	assert_string_equal(fixture_say(f, line), expected);
	fixture_clear(f);
	for (size_t i = 0; i < strlen(line); i += 1000)
		fixture_feed(f, line + i, strlen(line) - i < 1000 ? strlen(line) - i : 1000);
	assert_string_equal((char *)f->out, expected);
	f->room = 100;
	f->most_at_once = 100;
	fixture_say(f, line);
	assert_true(drain(f) > 100);
	assert_string_equal((char *)f->out, expected);
	free(line);
	free(expected);
}

static void
half_megabyte_get_line_is_answered(void **state)
{
	struct fixture *f = *state;
	size_t len = 500000;
	char *line = malloc(len + 3);

	assert_non_null(line);
	memset(line, ' ', len);
	for (size_t i = 4; i < len; i += 2)
		line[i] = 'a';
	memcpy(line, "get ", 4);
	memcpy(line + len, "\r\n", 3);
	fixture_clear(f);
	for (size_t at = 0; at < len + 2; at += 1448)
		fixture_feed(f, line + at, len + 2 - at < 1448 ? len + 2 - at : 1448);
	assert_string_equal((char *)f->out, "END\r\n");
	assert_int_equal(serve_counters(f->serve)->get_misses, (len - 4) / 2);
	free(line);
}

static void
endless_lines_close_silently(void **state)
{
	struct fixture *f = *state;
	static char junk[4096];
	unsigned fed = 0;

	memset(junk, 'x', sizeof(junk));
	fixture_clear(f);
	fixture_feed(f, junk, 2048);
	assert_int_equal(f->state, SERVE_GO_ON);
	assert_true(serve_session_busy(f->session));
	assert_false(serve_session_violated(f->session));
	fixture_feed(f, junk, 1);
	assert_int_equal(f->state, SERVE_CLOSE);
	assert_true(serve_session_violated(f->session));
	fixture_reconnect(f);
	fixture_say(f, "quit\r\n");
	assert_int_equal(f->state, SERVE_CLOSE);
	assert_false(serve_session_violated(f->session));
	fixture_reconnect(f);
	fixture_feed(f, junk, 2049);
	assert_int_equal(f->state, SERVE_CLOSE);
	fixture_reconnect(f);
	fixture_feed(f, "gets ", 5);
	do {
		fixture_feed(f, junk, sizeof(junk));
		fed += sizeof(junk);
	} while (f->state == SERVE_GO_ON);
	assert_int_equal(f->state, SERVE_CLOSE);
	assert_in_range(fed, (1 << 20) - 8192, 1 << 20);
	assert_string_equal((char *)f->out, "");
	assert_int_equal(serve_counters(f->serve)->protocol_closes, 3);
}

static void
closing_inside_a_value_gives_its_memory_back(void **state)
{
	struct fixture *f = *state;
	static char half[300000];

	memset(half, 'x', sizeof(half));
	expect_reply(f, "set old 0 0 1\r\n1\r\n", "STORED\r\n");
	for (unsigned i = 0; i < 1000; i++) {
		fixture_say(f, "set big 0 0 600000\r\n");
		fixture_feed(f, half, sizeof(half));
		assert_true(serve_session_busy(f->session));
		fixture_reconnect(f);
		store_maintain(f->thread, 100000);
	}
	expect_reply(f, "get old big\r\n", "VALUE old 0 1\r\n1\r\nEND\r\n");
	assert_int_equal(serve_counters(f->serve)->store_no_memory, 0);
	fixture_say(f, "ms m 500 k c s\r\nabc");
	fixture_reconnect(f);
	fixture_say(f, "get halfway");
	fixture_reconnect(f);
}

static void
large_value_in_pieces_is_stored_whole(void **state)
{
	struct fixture *f = *state;
	uint32_t len = 900000;
	char *text = malloc(len + 40), *at;
	int head;

	assert_non_null(text);
	head = sprintf(text, "set a 7 0 %u\r\n", len);
	for (uint32_t i = 0; i < len; i++)
		text[(uint32_t)head + i] = (char)(i * 7 + i / 251);
	memcpy(text + head + len, "\r\n", 2);
	fixture_clear(f);
	for (at = text; at < text + head + len + 2; at += 1448)
		fixture_feed(f, at,
		    text + head + len + 2 - at < 1448 ? (size_t)(text + head + len + 2 - at) : (size_t)1448);
	assert_string_equal((char *)f->out, "STORED\r\n");
	fixture_say(f, "get a\r\n");
	assert_int_equal(f->out_len, 18 + len + 7);
	assert_memory_equal(f->out, "VALUE a 7 900000\r\n", 18);
	assert_memory_equal(f->out + 18, text + head, len + 2);
	free(text);
}

static void
refused_reply_aborts_the_stream(void **state)
{
	struct fixture *f = *state;

	f->refuse = true;
	fixture_say(f, "version\r\n");
	assert_int_equal(f->state, SERVE_ABORT);
	fixture_reconnect(f);
	fixture_say(f, "get a b c\r\n");
	assert_int_equal(f->state, SERVE_ABORT);
	fixture_reconnect(f);
	fixture_say(f, "mg a k\r\n");
	assert_int_equal(f->state, SERVE_ABORT);
}

static void
datagram_commands_are_answered_one_by_one(void **state)
{
	static const uint8_t datagram[] = "set a 0 0 1\r\n1\r\nget a\r\nget b noreply\r\nmg a v";
	struct fixture *f = *state;
	const uint8_t *at = datagram;
	uint32_t left = sizeof(datagram) - 1, consumed;
	static const char *const replies[] = {"STORED\r\n", "VALUE a 0 1\r\n1\r\nEND\r\n", "END\r\n"};

	for (unsigned i = 0; i < 3; i++) {
		fixture_clear(f);
		assert_true(serve_datagram(f->serve, at, left, &f->sink, &consumed));
		assert_string_equal((char *)f->out, replies[i]);
		at += consumed;
		left -= consumed;
	}
	fixture_clear(f);
	assert_false(serve_datagram(f->serve, at, left, &f->sink, &consumed));
	assert_string_equal((char *)f->out, "");
	assert_false(serve_datagram(f->serve, at, 0, &f->sink, &consumed));
}

static void
unfinished_datagram_leaves_nothing_behind(void **state)
{
	static const char *const datagrams[] = {
	    "get a", "set a 0 0 10\r\nabc", "set a 0 0 9000000\r\nabc", "\x80", "quit\r\n"};
	struct fixture *f = *state;
	uint32_t consumed;

	for (unsigned i = 0; i < 5; i++)
		assert_false(serve_datagram(f->serve, (const uint8_t *)datagrams[i],
		    (uint32_t)strlen(datagrams[i]), &f->sink, &consumed));
	expect_reply(f, "get a\r\n", "END\r\n");
	f->refuse = true;
	assert_false(serve_datagram(f->serve, (const uint8_t *)"get a\r\n", 7, &f->sink, &consumed));
}

static void
staged_requests_reuse_their_hashes(void **state)
{
	static uint8_t burst[3][64] = {"get a\r\nget b\r\nget a b\r\n", "set b 0 0 1\r\n2\r\n", "gets b\r\n"};
	struct fixture *f = *state;
	uint32_t consumed;

	expect_reply(f, "set a 0 0 1\r\n1\r\n", "STORED\r\n");
	for (unsigned round = 1; round <= 3; round++) {
		for (unsigned i = 0; i < 3; i++)
			serve_peek(f->serve, burst[i], (uint32_t)strlen((char *)burst[i]));
		serve_peeked(f->serve);
		fixture_clear(f);
		for (unsigned i = 0; i < 3; i++)
			serve_bytes(
			    f->session, burst[i], (uint32_t)strlen((char *)burst[i]), &f->sink, &consumed);
		assert_memory_equal(f->out, "VALUE a 0 1\r\n1\r\nEND\r\n", 21);
		assert_int_equal(serve_counters(f->serve)->peek_hits, round * 5);
		if (round == 2)
			fixture_advance(f, 1);
	}
}

static void
peeking_at_junk_changes_nothing(void **state)
{
	static const char *const junk[] = {"", "get", "get ", "get \r\n", "get  a\r\n", "get a", "gets\n",
	    "set ", "set \n", "get a b", "get \n\n\n\n\n\n\n\n"};
	struct fixture *f = *state;

	for (unsigned round = 0; round < 20; round++) {
		for (unsigned i = 0; i < sizeof(junk) / sizeof(junk[0]); i++) {
			size_t len = strlen(junk[i]);
			uint8_t *copy = malloc(len != 0 ? len : 1);

			assert_non_null(copy);
			memcpy(copy, junk[i], len);
			serve_peek(f->serve, copy, (uint32_t)len);
			free(copy);
		}
	}
	serve_peeked(f->serve);
	expect_reply(f, "get a\r\n", "END\r\n");
}

/* A packet's memory comes back with another key in it; by address alone its hash would be the old key's. */
static void
peeked_memory_reused_by_a_silent_burst_is_hashed_anew(void **state)
{
	static uint8_t memory[] = {"get old\r\n"};
	struct fixture *f = *state;
	uint32_t consumed;

	expect_reply(f, "set new 0 0 1\r\n1\r\n", "STORED\r\n");
	serve_peek(f->serve, memory, sizeof(memory) - 1);
	serve_peeked(f->serve);
	memcpy(memory, "get new\r\n", sizeof(memory) - 1);
	serve_peeked(f->serve);
	fixture_clear(f);
	serve_bytes(f->session, memory, sizeof(memory) - 1, &f->sink, &consumed);
	assert_memory_equal(f->out, "VALUE new 0 1\r\n1\r\nEND\r\n", 23);
	assert_int_equal(serve_counters(f->serve)->peek_hits, 0);
}

/* Clients that never end their lines share a bound; those beyond it lose their streams, and all of it comes back. */
static void
unfinished_lines_of_many_streams_stay_within_their_bound(void **state)
{
	enum { STREAMS = 100, LINE = 900000 };
	static uint8_t line[LINE];
	struct serve_session *sessions[STREAMS];
	struct fixture *f = *state;
	uint32_t consumed;

	memset(line, 'k', sizeof(line));
	memcpy(line, "get ", 4);
	for (unsigned round = 0; round < 3; round++) {
		unsigned kept = 0;

		for (unsigned i = 0; i < STREAMS; i++) {
			sessions[i] = serve_session_open(f->serve);
			assert_non_null(sessions[i]);
			kept += serve_bytes(sessions[i], line, LINE, &f->sink, &consumed) == SERVE_GO_ON;
		}
		assert_in_range(kept, 32, (64u << 20) / LINE);
		expect_reply(f, "get a\r\n", "END\r\n");
		for (unsigned i = 0; i < STREAMS; i++)
			serve_session_close(sessions[i]);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    fixture_test(split_at_every_byte_gives_the_same_reply),
	    fixture_test(byte_by_byte_gives_the_same_reply),
	    fixture_test(huge_multiget_waits_for_room),
	    fixture_test(no_room_at_all_consumes_nothing),
	    fixture_test(little_room_gives_the_same_reply),
	    fixture_test(multiget_of_1000_keys_answers_in_order),
	    fixture_test(half_megabyte_get_line_is_answered),
	    fixture_test(endless_lines_close_silently),
	    fixture_test(closing_inside_a_value_gives_its_memory_back),
	    fixture_test(large_value_in_pieces_is_stored_whole),
	    fixture_test(refused_reply_aborts_the_stream),
	    fixture_test(datagram_commands_are_answered_one_by_one),
	    fixture_test(unfinished_datagram_leaves_nothing_behind),
	    fixture_test(staged_requests_reuse_their_hashes),
	    fixture_test(peeking_at_junk_changes_nothing),
	    fixture_test(unfinished_lines_of_many_streams_stay_within_their_bound),
	    fixture_test(peeked_memory_reused_by_a_silent_burst_is_hashed_anew),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
