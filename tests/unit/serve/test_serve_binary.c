/*
 * What is particular to the binary protocol about items: statuses, quiet variants, CAS, expiry, numbers.
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
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
