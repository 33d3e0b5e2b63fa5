/*
 * The binary protocol against a store: statuses, extras, CAS, quiet ones, values in pieces, hostile heads.
 */
#include "binary.h"

#define MIB (1u << 20)

/* ---- gets ------------------------------------------------------------------------------------- */

static void
hit_has_flags_cas_and_value(void **state)
{
	struct fixture *f = *state;
	struct request set = request_store(0x01, "key", "hello", 5);
	struct packet p;
	uint64_t cas;

	put_be(set.extras, 4, 0xcafe);
	p = ask(f, set);
	assert_int_equal(p.status, 0);
	assert_int_equal(p.body_bytes, 0);
	assert_int_not_equal(p.cas, 0);
	cas = p.cas;
	p = ask(f, request_of(0x00, "key"));
	assert_int_equal(p.status, 0);
	assert_int_equal(p.extras_len, 4);
	assert_int_equal(p.key_len, 0);
	assert_int_equal(p.body_bytes, 9);
	assert_int_equal(get_be(p.body, 4), 0xcafe);
	assert_memory_equal(p.body + 4, "hello", 5);
	assert_int_equal(p.cas, cas);
	p = ask(f, request_of(0x0c, "key"));
	assert_int_equal(p.key_len, 3);
	assert_int_equal(p.body_bytes, 12);
	assert_memory_equal(p.body + 4, "keyhello", 8);
}

static void
miss_says_so_unless_quiet(void **state)
{
	struct fixture *f = *state;
	struct packet p = ask(f, request_of(0x00, "key"));

	assert_int_equal(p.status, 1);
	expect_body(&p, "Not found");
	p = ask(f, request_of(0x0c, "key"));
	assert_int_equal(p.status, 1);
	assert_int_equal(p.key_len, 3);
	expect_body(&p, "key");
	expect_silence(f, request_of(0x09, "key"));
	expect_silence(f, request_of(0x0d, "key"));
	expect_status(f, request_store(0x01, "key", "v", 1), 0);
	assert_int_equal(ask(f, request_of(0x09, "key")).body_bytes, 5);
	assert_int_equal(ask(f, request_of(0x0d, "key")).body_bytes, 8);
}

static void
touch_and_gat_set_the_expiry(void **state)
{
	struct fixture *f = *state;
	struct packet p;

	expect_status(f, request_expiry(0x1c, "key", 10), 1);
	p = ask(f, request_expiry(0x23, "key", 10));
	assert_int_equal(p.status, 1);
	expect_body(&p, "key");
	expect_silence(f, request_expiry(0x1e, "key", 10));
	expect_silence(f, request_expiry(0x24, "key", 10));
	expect_status(f, request_store(0x01, "key", "v", 1), 0);
	p = ask(f, request_expiry(0x1c, "key", 10));
	assert_int_equal(p.status, 0);
	assert_int_equal(p.extras_len, 4);
	assert_int_equal(p.body_bytes, 4);
	fixture_advance(f, 9);
	assert_int_equal(ask(f, request_expiry(0x1d, "key", 20)).body_bytes, 5);
	fixture_advance(f, 19);
	assert_int_equal(ask(f, request_expiry(0x24, "key", 5)).body_bytes, 8);
	fixture_advance(f, 6);
	expect_status(f, request_of(0x00, "key"), 1);
	assert_int_equal(serve_counters(f->serve)->cmd_touch, 7);
	assert_int_equal(serve_counters(f->serve)->touch_hits, 3);
}

static void
expiration_has_no_sign(void **state)
{
	struct fixture *f = *state;
	struct request set = request_store(0x01, "key", "v", 1);

	put_be(set.extras + 4, 4, 0xffffffff);
	expect_status(f, set, 0);
	expect_status(f, request_of(0x00, "key"), 0);
	put_be(set.extras + 4, 4, FIXTURE_NOW_S - 1);
	expect_status(f, set, 0);
	expect_status(f, request_of(0x00, "key"), 1);
	put_be(set.extras + 4, 4, FIXTURE_NOW_S + 5);
	expect_status(f, set, 0);
	fixture_advance(f, 4);
	expect_status(f, request_of(0x00, "key"), 0);
	fixture_advance(f, 2);
	expect_status(f, request_of(0x00, "key"), 1);
}

/* ---- storage ---------------------------------------------------------------------------------- */

static void
conditions_have_statuses_of_their_own(void **state)
{
	struct fixture *f = *state;

	expect_status(f, request_store(0x03, "key", "v", 1), 1);
	expect_status(f, request_store(0x0e, "key", "v", 1), 5);
	expect_status(f, request_store(0x0f, "key", "v", 1), 5);
	expect_status(f, request_of(0x04, "key"), 1);
	expect_status(f, request_store(0x02, "key", "v", 1), 0);
	expect_status(f, request_store(0x02, "key", "w", 1), 2);
	expect_status(f, request_store(0x0e, "key", ">", 1), 0);
	expect_status(f, request_store(0x0f, "key", "<", 1), 0);
	assert_memory_equal(ask(f, request_of(0x00, "key")).body + 4, "<v>", 3);
	expect_status(f, request_store(0x03, "key", "x", 1), 0);
	expect_status(f, request_of(0x04, "key"), 0);
}

static void
quiet_mutations_hide_success_only(void **state)
{
	struct fixture *f = *state;

	expect_silence(f, request_store(0x11, "key", "1", 1));
	expect_status(f, request_store(0x12, "key", "1", 1), 2);
	expect_silence(f, request_store(0x13, "key", "1", 1));
	expect_silence(f, request_store(0x19, "key", "1", 1));
	expect_silence(f, request_store(0x1a, "key", "1", 1));
	expect_silence(f, request_delta(0x15, "key", 4, 0, 0));
	expect_silence(f, request_delta(0x16, "key", 1, 0, 0));
	assert_memory_equal(ask(f, request_of(0x00, "key")).body + 4, "114", 3);
	expect_silence(f, request_of(0x14, "key"));
	expect_status(f, request_of(0x14, "key"), 1);
	expect_status(f, request_store(0x13, "key", "1", 1), 1);
	expect_status(f, request_store(0x19, "key", "1", 1), 5);
	expect_silence(f, request_of(0x18, ""));
}

static void
cas_is_compared_everywhere(void **state)
{
	static const uint8_t storing[] = {0x01, 0x02, 0x03, 0x0e, 0x0f};
	struct fixture *f = *state;
	struct request r;
	uint64_t cas;

	r = request_store(0x02, "absent", "1", 1);
	r.cas = 7;
	expect_status(f, r, 1);
	cas = ask(f, request_store(0x01, "key", "1", 1)).cas;
	for (unsigned i = 0; i < sizeof(storing); i++) {
		r = request_store(storing[i], "key", "1", 1);
		r.cas = cas + 1000;
		expect_status(f, r, 2);
		r.cas = cas;
		cas = ask(f, r).cas;
		assert_int_not_equal(cas, 0);
		assert_int_not_equal(cas, r.cas);
	}
	r = request_delta(0x05, "key", 1, 0, 0);
	r.cas = cas + 1000;
	expect_status(f, r, 2);
	r.cas = cas;
	cas = ask(f, r).cas;
	r = request_of(0x04, "key");
	r.cas = cas + 1000;
	expect_status(f, r, 2);
	r.cas = cas;
	expect_status(f, r, 0);
	assert_int_equal(serve_counters(f->serve)->cas_hits, 3);
	assert_int_equal(serve_counters(f->serve)->cas_badval, 3);
	assert_int_equal(serve_counters(f->serve)->cas_misses, 1);
}

static void
too_large_value_is_swallowed_and_the_old_one_gone(void **state)
{
	struct fixture *f = *state;
	uint8_t *value = calloc(1, 2 * MIB);
	struct packet p;

	assert_non_null(value);
	for (unsigned i = 0; i < 2; i++) {
		expect_status(f, request_store(0x01, "key", "old", 3), 0);
		p = ask(f, request_store(i == 0 ? 0x02 : 0x01, "key", value, 2 * MIB));
		assert_int_equal(p.status, 3);
		expect_body(&p, "Too large.");
		expect_status(f, request_of(0x00, "key"), i == 0 ? 0 : 1);
	}
	expect_status(f, request_store(0x01, "key", "old", 3), 0);
	expect_status(f, request_store(0x0e, "key", value, MIB - 62), 5);
	assert_int_equal(ask(f, request_of(0x00, "key")).body_bytes, 7);
	free(value);
}

static void
too_large_value_in_pieces_is_answered_at_its_end(void **state)
{
	struct fixture *f = *state;
	uint8_t *bytes = calloc(1, 3 * MIB);
	struct request r = request_store(0x11, "key", NULL, 0);
	size_t len = HEADER + 8 + 3 + 2 * MIB, at = 0;
	struct packet p;

	assert_non_null(bytes);
	expect_status(f, request_store(0x01, "key", "old", 3), 0);
	r.value_bytes = 0;
	put_request(bytes, &r);
	put_be(bytes + 8, 4, len - HEADER);
	fixture_clear(f);
	for (size_t done = 0; done < len; done += 100000) {
		assert_int_equal(f->out_len, 0);
		fixture_feed(f, bytes + done, len - done < 100000 ? len - done : 100000);
	}
	assert_true(next_packet(f, &at, &p));
	assert_int_equal(p.status, 3);
	assert_int_equal(p.opcode, 0x11);
	expect_status(f, request_of(0x00, "key"), 1);
	free(bytes);
}

static void
large_value_comes_back_whole(void **state)
{
	struct fixture *f = *state;
	uint32_t bytes = MIB - 1000;
	uint8_t *value = malloc(bytes);
	struct packet p;

	assert_non_null(value);
	for (uint32_t i = 0; i < bytes; i++)
		value[i] = (uint8_t)(i * 31 >> 3);
	expect_status(f, request_store(0x01, "large", value, bytes), 0);
	p = ask(f, request_of(0x0c, "large"));
	assert_int_equal(p.body_bytes, 4 + 5 + bytes);
	assert_memory_equal(p.body + 9, value, bytes);
	p = ask(f, request_expiry(0x1c, "large", 0));
	assert_int_equal(p.body_bytes, 4);
	free(value);
}

/* ---- incr, decr ------------------------------------------------------------------------------- */

static void
numbers_begin_count_and_stop_at_zero(void **state)
{
	struct fixture *f = *state;
	struct packet p;

	expect_status(f, request_delta(0x05, "n", 1, 10, 0xffffffff), 1);
	p = ask(f, request_delta(0x05, "n", 1, 10, 0));
	assert_int_equal(p.status, 0);
	assert_int_equal(p.body_bytes, 8);
	assert_int_equal(p.extras_len, 0);
	assert_int_equal(get_be(p.body, 8), 10);
	assert_int_not_equal(p.cas, 0);
	assert_int_equal(get_be(ask(f, request_delta(0x05, "n", 5, 0, 0)).body, 8), 15);
	assert_int_equal(get_be(ask(f, request_delta(0x06, "n", 6, 0, 0xffffffff)).body, 8), 9);
	assert_int_equal(get_be(ask(f, request_delta(0x06, "n", 60, 0, 0)).body, 8), 0);
	assert_int_equal(get_be(ask(f, request_delta(0x06, "m", 60, UINT64_MAX, 9)).body, 8), UINT64_MAX);
	assert_int_equal(get_be(ask(f, request_delta(0x05, "m", 1, 0, 0)).body, 8), 0);
	fixture_advance(f, 10);
	expect_status(f, request_of(0x00, "m"), 1);
	expect_status(f, request_store(0x01, "text", "abc", 3), 0);
	p = ask(f, request_delta(0x15, "text", 1, 0, 0));
	assert_int_equal(p.status, 6);
	expect_body(&p, "Non-numeric server-side value for incr or decr");
}

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
	expect_status(f, request_of(0x10, "detail on"), 1);
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
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return (uint32_t)(random_state >> 32) % below;
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

		random_state = 0x9e3779b97f4a7c15ull * stream;
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
	    fixture_test(hit_has_flags_cas_and_value),
	    fixture_test(miss_says_so_unless_quiet),
	    fixture_test(touch_and_gat_set_the_expiry),
	    fixture_test(expiration_has_no_sign),
	    fixture_test(conditions_have_statuses_of_their_own),
	    fixture_test(quiet_mutations_hide_success_only),
	    fixture_test(cas_is_compared_everywhere),
	    fixture_test(too_large_value_is_swallowed_and_the_old_one_gone),
	    fixture_test(too_large_value_in_pieces_is_answered_at_its_end),
	    fixture_test(large_value_comes_back_whole),
	    fixture_test(numbers_begin_count_and_stop_at_zero),
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
