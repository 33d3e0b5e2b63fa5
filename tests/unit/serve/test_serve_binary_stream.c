/*
 * What is particular to streams and datagrams of the binary protocol: the server's own commands, hostile heads, requests
 * cut anywhere, suspended replies, mutated bytes.
 */
#include "binary.h"

/* ---- the server ------------------------------------------------------------------------------- */

static void
noop_version_and_flush_answer(void **state)
{
	struct fixture *f = *state;
	struct packet p = ask(f, request_of(0x0a, ""));
	struct request flush = {.opcode = 0x08, .extras_len = 4};

	assert_int_equal(p.status, 0);
	assert_int_equal(p.body_bytes, 0);
	p = ask(f, request_of(0x0b, ""));
	expect_body(&p, "1.6.45-test");
	expect_status(f, request_store(0x01, "key", "v", 1), 0);
	put_be(flush.extras, 4, 5);
	expect_status(f, flush, 0);
	fixture_advance(f, 4);
	expect_status(f, request_of(0x00, "key"), 0);
	fixture_advance(f, 2);
	expect_status(f, request_of(0x00, "key"), 1);
	expect_status(f, request_store(0x01, "key", "v", 1), 0);
	put_be(flush.extras, 4, FIXTURE_NOW_S - 100);
	expect_status(f, flush, 0);
	expect_status(f, request_of(0x00, "key"), 0);
	expect_status(f, request_of(0x08, ""), 0);
	expect_status(f, request_of(0x00, "key"), 1);
}

static void
stat_is_a_packet_each_and_an_empty_one(void **state)
{
	struct fixture *f = *state;
	struct request r = request_of(0x10, "");
	struct packet p;
	size_t at = 0;

	r.opaque = 99;
	fixture_clear(f);
	feed_request(f, &r);
	assert_true(next_packet(f, &at, &p));
	assert_int_equal(p.key_len, 4);
	assert_int_equal(p.opaque, 99);
	expect_body(&p, "namevalue");
	assert_true(next_packet(f, &at, &p));
	assert_int_equal(p.key_len, 0);
	assert_int_equal(p.body_bytes, 0);
	assert_int_equal(p.opcode, 0x10);
	assert_false(next_packet(f, &at, &p));
	r = request_of(0x10, "settings");
	fixture_clear(f);
	feed_request(f, &r);
	assert_int_equal(count_packets(f), 2);
	r = request_of(0x10, "sizes");
	fixture_clear(f);
	feed_request(f, &r);
	assert_int_equal(count_packets(f), 2);
	expect_status(f, request_of(0x10, "items"), 0);
	expect_status(f, request_of(0x10, "nonsense"), 1);
	expect_status(f, request_of(0x10, "detail"), 1);
}

static void
quit_ends_the_stream(void **state)
{
	struct fixture *f = *state;

	expect_status(f, request_of(0x07, ""), 0);
	assert_int_equal(f->state, SERVE_CLOSE);
	fixture_reconnect(f);
	fixture_talk(f, "\x80\x17\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 24);
	assert_int_equal(f->out_len, 0);
	assert_int_equal(f->state, SERVE_CLOSE);
}

/* ---- hostile heads ---------------------------------------------------------------------------- */

/* The reply to a bare header. */
static struct packet
ask_header(struct fixture *f, uint8_t opcode, uint16_t key_len, uint8_t extras_len, uint32_t body_bytes)
{
	uint8_t header[HEADER];
	struct packet p;
	size_t at = 0;

	put_header(header, opcode, key_len, extras_len, body_bytes);
	fixture_reconnect(f);
	fixture_talk(f, header, HEADER);
	assert_true(next_packet(f, &at, &p));
	assert_int_equal(p.opaque, 0xdeadbeef);
	assert_int_equal(p.opcode, opcode);
	return p;
}

static void
wrong_shapes_are_told_and_closed(void **state)
{
	struct fixture *f = *state;
	struct packet p = ask_header(f, 0x00, 0, 0, 0);

	assert_int_equal(p.status, 4);
	expect_body(&p, "Invalid arguments");
	assert_int_equal(f->state, SERVE_CLOSE);
	assert_int_equal(ask_header(f, 0x01, 3, 0, 10).status, 4);
	assert_int_equal(f->state, SERVE_CLOSE);
	assert_int_equal(ask_header(f, 0x00, 251, 0, 251).status, 4);
	assert_int_equal(f->state, SERVE_CLOSE);
	assert_int_equal(ask_header(f, 0x01, 1, 8, UINT32_MAX).status, 4);
	assert_int_equal(f->state, SERVE_CLOSE);
	p = ask_header(f, 0x00, 10, 0, 9);
	assert_int_equal(p.status, 0x81);
	expect_body(&p, "Unknown command");
	assert_int_equal(f->state, SERVE_CLOSE);
}

static void
wrong_magic_closes_without_a_word(void **state)
{
	struct fixture *f = *state;

	expect_status(f, request_of(0x0a, ""), 0);
	fixture_talk(f, "get a\r\n", 7);
	assert_int_equal(f->state, SERVE_CLOSE);
	assert_int_equal(f->out_len, 0);
}

static void
unknown_opcode_swallows_its_body_once(void **state)
{
	struct fixture *f = *state;
	struct request verbosity = request_expiry(0x1b, "", 1);
	struct packet p = ask(f, verbosity);

	assert_int_equal(p.status, 0x81);
	expect_body(&p, "Unknown command");
	expect_status(f, request_store(0x7f, "key", "value", 5), 0x81);
	expect_status(f, request_of(0x0a, ""), 0);
	expect_status(f, request_of(0x20, ""), 0x81);
	expect_status(f, request_store(0x21, "PLAIN", "\0a\0b", 4), 0x81);
	expect_status(f, request_of(0x0a, ""), 0);
}

/* ---- streams ---------------------------------------------------------------------------------- */

/* One of everything, in one buffer. */
static size_t
put_dialogue(uint8_t *bytes)
{
	static uint8_t value[3000];
	struct request requests[] = {
	    request_store(0x01, "key", "hello", 5),
	    request_store(0x11, "big", value, sizeof(value)),
	    request_of(0x09, "absent"),
	    request_of(0x0d, "key"),
	    request_of(0x0c, "big"),
	    request_delta(0x05, "n", 1, 5, 0),
	    request_store(0x0e, "key", "!", 1),
	    request_expiry(0x1d, "key", 100),
	    request_store(0x70, "key", "unknown", 7),
	    request_of(0x10, ""),
	    request_of(0x0a, ""),
	};
	size_t len = 0;

	for (unsigned i = 0; i < sizeof(requests) / sizeof(requests[0]); i++) {
		requests[i].opaque = i;
		len += put_request(bytes + len, &requests[i]);
	}
	return len;
}

/* CAS values differ from run to run. */
static void
forget_cas(uint8_t *out, size_t len)
{
	for (size_t at = 0; at < len; at += HEADER + get_be(out + at + 8, 4))
		memset(out + at + 16, 0, 8);
}

static void
requests_split_anywhere_are_answered_the_same(void **state)
{
	struct fixture *f = *state;
	uint8_t *bytes = malloc(8192), *whole;
	size_t len = put_dialogue(bytes), whole_len;

	fixture_talk(f, bytes, len);
	whole_len = f->out_len;
	forget_cas(f->out, whole_len);
	whole = malloc(whole_len);
	assert_non_null(whole);
	memcpy(whole, f->out, whole_len);
	for (size_t split = 0; split <= len; split++) {
		expect_status(f, request_of(0x08, ""), 0);
		fixture_clear(f);
		fixture_feed(f, bytes, split);
		fixture_feed(f, bytes + split, len - split);
		forget_cas(f->out, f->out_len);
		assert_int_equal(f->out_len, whole_len);
		assert_memory_equal(f->out, whole, whole_len);
	}
	expect_status(f, request_of(0x08, ""), 0);
	fixture_clear(f);
	for (size_t at = 0; at < len; at++) {
		fixture_feed(f, bytes + at, 1);
		fixture_advance(f, 0);
	}
	forget_cas(f->out, f->out_len);
	assert_int_equal(f->out_len, whole_len);
	assert_memory_equal(f->out, whole, whole_len);
	free(whole);
	free(bytes);
}

static void
full_sink_suspends_between_requests(void **state)
{
	struct fixture *f = *state;
	uint8_t *bytes = malloc(8192);
	uint32_t at = 0, consumed;
	size_t len = 0, calls = 0;

	assert_non_null(bytes);
	expect_status(f, request_store(0x01, "key", "0123456789", 10), 0);
	for (unsigned i = 0; i < 200; i++) {
		struct request r = request_of(0x0d, "key");

		r.opaque = i;
		len += put_request(bytes + len, &r);
	}
	fixture_clear(f);
	f->room = 100;
	do {
		f->state = serve_bytes(f->session, bytes + at, (uint32_t)len - at, &f->sink, &consumed);
		at += consumed;
		assert_true(f->out_len - f->taken < 100 + 41);
		f->taken = f->out_len;
		store_quiesce(f->thread, f->now_s);
		calls++;
	} while (f->state == SERVE_FULL);
	assert_int_equal(f->state, SERVE_GO_ON);
	assert_int_equal(at, len);
	assert_int_equal(f->out_len, 200 * 41);
	assert_true(calls > 50);
	free(bytes);
}

static void
pipelined_gets_use_the_staged_hashes(void **state)
{
	struct fixture *f = *state;
	uint8_t *bytes = malloc(8192);
	uint32_t consumed;
	size_t len = 0;
	char key[16];

	assert_non_null(bytes);
	for (unsigned i = 0; i < 50; i++) {
		struct request r;

		sprintf(key, "key%u", i);
		expect_status(f, request_store(0x01, key, "v", 1), 0);
		r = request_of(0x09, key);
		len += put_request(bytes + len, &r);
	}
	fixture_clear(f);
	serve_peek(f->serve, bytes, (uint32_t)len - 1);
	serve_peeked(f->serve);
	f->state = serve_bytes(f->session, bytes, (uint32_t)len, &f->sink, &consumed);
	assert_int_equal(consumed, len);
	assert_int_equal(f->out_len, 50 * 29);
	assert_int_equal(serve_counters(f->serve)->peek_hits, 49);
	free(bytes);
}

static void
refusing_sink_ends_the_session(void **state)
{
	struct fixture *f = *state;
	struct request r = request_of(0x0a, "");

	f->refuse = true;
	feed_request(f, &r);
	assert_int_equal(f->state, SERVE_ABORT);
	f->refuse = false;
}

static void
unfinished_value_goes_with_its_session(void **state)
{
	struct fixture *f = *state;
	uint8_t header[HEADER + 11] = {0};

	put_header(header, 0x01, 3, 8, 500000);
	memcpy(header + HEADER + 8, "key", 3);
	fixture_feed(f, header, sizeof(header));
	fixture_feed(f, header, 10);
	assert_true(serve_session_busy(f->session));
	fixture_reconnect(f);
	assert_false(serve_session_busy(f->session));
	expect_status(f, request_of(0x00, "key"), 1);
}

/* ---- datagrams -------------------------------------------------------------------------------- */

static bool
datagram(struct fixture *f, const uint8_t *bytes, size_t len, uint32_t *consumed)
{
	fixture_clear(f);
	return serve_datagram(f->serve, bytes, (uint32_t)len, &f->sink, consumed);
}

static void
datagrams_are_answered_one_request_a_message(void **state)
{
	struct fixture *f = *state;
	struct request set = request_store(0x01, "key", "hello", 5), get = request_of(0x00, "key"),
	               miss = request_of(0x09, "absent");
	uint8_t bytes[256];
	size_t set_len = put_request(bytes, &set), len;
	uint32_t consumed;

	len = set_len + put_request(bytes + set_len, &get);
	assert_true(datagram(f, bytes, len, &consumed));
	assert_int_equal(consumed, set_len);
	assert_int_equal(f->out_len, HEADER);
	assert_true(datagram(f, bytes + set_len, len - set_len, &consumed));
	assert_int_equal(f->out_len, HEADER + 9);
	assert_false(datagram(f, bytes, set_len - 1, &consumed));
	assert_int_equal(f->out_len, 0);
	assert_false(datagram(f, bytes, 10, &consumed));
	len = put_request(bytes, &miss);
	assert_true(datagram(f, bytes, len, &consumed));
	assert_int_equal(f->out_len, 0);
}

/* ---- mutations -------------------------------------------------------------------------------- */

static uint64_t random_state;

static uint32_t
draw(uint32_t below)
{
	return random_below(&random_state, below);
}

static void
play_mutated(struct fixture *f, const uint8_t *bytes, size_t len)
{
	size_t at = 0;

	f->room = draw(4) == 0 ? 1 + draw(100) : SIZE_MAX;
	fixture_reconnect(f);
	fixture_clear(f);
	while (at < len) {
		uint32_t give = 1 + draw(draw(2) ? 30 : 4000), consumed;
		uint8_t *copy;

		give = give < len - at ? give : (uint32_t)(len - at);
		copy = malloc(give);
		assert_non_null(copy);
		memcpy(copy, bytes + at, give);
		serve_peek(f->serve, copy, give);
		serve_peeked(f->serve);
		f->state = serve_bytes(f->session, copy, give, &f->sink, &consumed);
		assert_true(consumed == give || (consumed < give && f->state == SERVE_FULL));
		free(copy);
		at += consumed;
		if (f->state == SERVE_FULL)
			fixture_clear(f);
		if (f->state == SERVE_CLOSE || f->state == SERVE_ABORT)
			fixture_reconnect(f);
		fixture_advance(f, draw(50) == 0);
	}
}

static void
mutated_streams_leave_the_store_whole(void **state)
{
	struct fixture *f = *state;
	uint8_t *bytes = malloc(8192);
	const char *broken;

	assert_non_null(bytes);
	for (unsigned stream = 1; stream <= 1000; stream++) {
		size_t len = put_dialogue(bytes);

		random_state = stream;
		for (unsigned bites = 1 + draw(6); bites > 0; bites--) {
			size_t begin = draw((uint32_t)len);

			/* Headers are what is worth biting: look for one nearby. */
			while (draw(8) && begin + 16 < len && bytes[begin] != 0x80)
				begin++;
			bytes[begin + draw(begin + 16 < len ? 16 : 1)] = (uint8_t)draw(256);
		}
		play_mutated(f, bytes, len);
		if (stream % 100 == 0 && (broken = store_check(f->store)) != NULL)
			fail_msg("stream %u: %s", stream, broken);
	}
	f->room = SIZE_MAX;
	fixture_reconnect(f);
	expect_status(f, request_of(0x0a, ""), 0);
	free(bytes);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    fixture_test(noop_version_and_flush_answer),
	    fixture_test(stat_is_a_packet_each_and_an_empty_one),
	    fixture_test(quit_ends_the_stream),
	    fixture_test(wrong_shapes_are_told_and_closed),
	    fixture_test(wrong_magic_closes_without_a_word),
	    fixture_test(unknown_opcode_swallows_its_body_once),
	    fixture_test(requests_split_anywhere_are_answered_the_same),
	    fixture_test(full_sink_suspends_between_requests),
	    fixture_test(pipelined_gets_use_the_staged_hashes),
	    fixture_test(refusing_sink_ends_the_session),
	    fixture_test(unfinished_value_goes_with_its_session),
	    fixture_test(datagrams_are_answered_one_request_a_message),
	    fixture_test(mutated_streams_leave_the_store_whole),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
