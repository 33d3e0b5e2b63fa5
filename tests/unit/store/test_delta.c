/*
 * incr and decr: which values are numbers to memcached, and what becomes of the rest of the item.
 */
#include "small.h"

static enum store_status
delta(const char *name, bool down, uint64_t by, uint64_t *result)
{
	struct store_key key = fix_key(&fix, name);
	return store_delta(
	    fix.thread, &key, &(struct store_change){.decrement = down, .amount = by}, result, NULL);
}

static void
incr_wraps_and_pads(void **state)
{
	(void)state;
	uint64_t result;
	fix_set(&fix, "n", "18446744073709551615");
	assert_int_equal(delta("n", false, 1, &result), STORE_OK);
	assert_true(result == 0);
	assert_value(&fix, "n", "0                   ");
}

static void
incr_grows_when_digits_do(void **state)
{
	(void)state;
	uint64_t result;
	fix_set(&fix, "n", "99");
	assert_int_equal(delta("n", false, 1, &result), STORE_OK);
	assert_true(result == 100);
	assert_value(&fix, "n", "100");
}

static void
decr_keeps_length_and_stops_at_zero(void **state)
{
	(void)state;
	uint64_t result;
	fix_set(&fix, "n", "10");
	assert_int_equal(delta("n", true, 1, &result), STORE_OK);
	assert_true(result == 9);
	assert_value(&fix, "n", "9 ");
	fix_put(&fix, STORE_APPEND, "n", "5");
	assert_value(&fix, "n", "9 5");
	assert_int_equal(delta("n", true, 100, &result), STORE_OK);
	assert_true(result == 0);
}

static void
incr_reads_numbers_as_memcached(void **state)
{
	(void)state;
	static const struct {
		const char *stored;
		uint64_t result;
		const char *after;
	} good[] = {{" 10", 11, "11 "}, {"00010", 11, "11   "}, {"+1", 2, "2 "}, {"10  ", 11, "11  "},
	    {"0", 1, "1"}, {"9 9", 10, "10 "}, {"-0", 1, "1 "},
	    {"18446744073709551614", UINT64_MAX, "18446744073709551615"}};
	static const char *const bad[] = {
	    "10xx", "", "-1", "18446744073709551616", "100000000000000000000", "abc", " ", "+", "1-", "0x10"};
	uint64_t result;
	for (unsigned i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		fix_set(&fix, "n", good[i].stored);
		assert_int_equal(delta("n", false, 1, &result), STORE_OK);
		assert_true(result == good[i].result);
		assert_value(&fix, "n", good[i].after);
	}
	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		fix_set(&fix, "n", bad[i]);
		assert_int_equal(delta("n", false, 1, &result), STORE_NON_NUMERIC);
		assert_value(&fix, "n", bad[i]);
	}
	assert_int_equal(delta("none", false, 1, &result), STORE_NOT_FOUND);
}

static void
append_clears_stale_and_incr_keeps_it(void **state)
{
	(void)state;
	struct store_key key = fix_key(&fix, "a");
	struct store_view view;
	uint64_t result;
	fix_set(&fix, "a", "1");
	store_invalidate(fix.thread, &key, 0, 0, NULL);
	assert_int_equal(delta("a", false, 1, &result), STORE_OK);
	store_touch(fix.thread, &key, 0, NULL);
	assert_int_equal(fix_get(&fix, "a", &view), STORE_OK);
	assert_true(view.item_flags & STORE_ITEM_STALE);
	fix_put(&fix, STORE_APPEND, "a", "2");
	assert_int_equal(fix_get(&fix, "a", &view), STORE_OK);
	assert_false(view.item_flags & STORE_ITEM_STALE);
}

static uint32_t
marks_after(const char *name, uint64_t by)
{
	struct store_key key = fix_key(&fix, name);
	struct store_view view;
	uint64_t result;

	store_invalidate(fix.thread, &key, 0, 0, NULL);
	assert_int_equal(fix_get(&fix, name, &view), STORE_OK);
	assert_true(store_win(fix.thread, &key, &view));
	assert_int_equal(delta(name, false, by, &result), STORE_OK);
	assert_int_equal(store_peek(fix.thread, &key, &view), STORE_OK);
	return view.item_flags;
}

static void
incr_keeps_marks_until_the_number_grows(void **state)
{
	(void)state;
	struct store_write write = {.mode = STORE_SET, .key_binary = true};
	uint32_t all = STORE_ITEM_FETCHED | STORE_ITEM_STALE | STORE_ITEM_TOKEN_SENT | STORE_ITEM_KEY_BINARY;
	fix_put_with(&fix, "a", "8", &write, NULL);
	assert_int_equal(marks_after("a", 1), all);
	assert_int_equal(marks_after("a", 1), 0);
	assert_value(&fix, "a", "10");
}

/* Stores `bytes` of `with` that end in `tail`. */
static void
put_long(uint8_t with, const char *tail, uint32_t bytes, uint32_t client_flags)
{
	static uint8_t value[525000];
	struct store_key key = fix_key(&fix, "n");
	struct store_write write = {.mode = STORE_SET, .client_flags = client_flags};

	assert_true(bytes <= sizeof(value));
	memset(value, with, bytes);
	memcpy(value + bytes - strlen(tail), tail, strlen(tail));
	fix_quiesce(&fix);
	assert_int_equal(store_put(fix.thread, &key, &write, value, bytes, NULL), STORE_OK);
}

/* The value is `number` and blanks up to `bytes`. */
static void
assert_number_and_blanks(const char *number, uint32_t bytes)
{
	struct store_view view;
	const uint8_t *span;

	assert_int_equal(fix_get(&fix, "n", &view), STORE_OK);
	assert_int_equal(view.value_bytes, bytes);
	for (uint32_t at = 0, len; (len = store_view_span(fix.store, &view, at, &span)) > 0; at += len)
		for (uint32_t i = 0; i < len; i++)
			assert_int_equal(span[i], at + i < strlen(number) ? number[at + i] : ' ');
}

static void
incr_in_chunks_reads_across_them_and_pads(void **state)
{
	(void)state;
	uint64_t result;
	for (uint32_t bytes = 100; bytes <= 520000; bytes += 103980) {
		put_long(' ', "41 x", bytes, 0);
		assert_int_equal(delta("n", false, 1, &result), STORE_OK);
		assert_true(result == 42);
		assert_number_and_blanks("42", bytes);
		put_long('0', "99", bytes, 7);
		assert_int_equal(delta("n", false, 1, &result), STORE_OK);
		assert_number_and_blanks("100", bytes);
		assert_int_equal(delta("n", true, 91, &result), STORE_OK);
		assert_number_and_blanks("9", bytes);
		put_long(' ', " ", bytes, 0);
		assert_int_equal(delta("n", false, 1, &result), STORE_NON_NUMERIC);
		put_long('0', "1x", bytes, 0);
		assert_int_equal(delta("n", false, 1, &result), STORE_NON_NUMERIC);
		put_long('9', "9", bytes, 0);
		assert_int_equal(delta("n", false, 1, &result), STORE_NON_NUMERIC);
	}
}

static void
incr_beyond_memcacheds_chunk_is_non_numeric(void **state)
{
	(void)state;
	uint64_t result;
	put_long('0', "1", 524228, 0);
	assert_int_equal(delta("n", false, 1, &result), STORE_OK);
	put_long('0', "1", 524229, 0);
	assert_int_equal(delta("n", false, 1, &result), STORE_NON_NUMERIC);
	put_long('0', "1", 524224, 1);
	assert_int_equal(delta("n", false, 1, &result), STORE_OK);
	put_long('0', "1", 524225, 1);
	assert_int_equal(delta("n", false, 1, &result), STORE_NON_NUMERIC);
}

static void
incr_in_chunks_keeps_marks_and_time_and_checks_cas(void **state)
{
	(void)state;
	struct store_key key = fix_key(&fix, "n");
	struct store_change change = {.amount = 1};
	struct store_view view;
	uint64_t result, cas;
	put_long('0', "1", 400000, 3);
	assert_int_equal(store_touch(fix.thread, &key, FIX_NOW_S + 100, NULL), STORE_OK);
	assert_int_equal(marks_after("n", 1) & STORE_ITEM_STALE, STORE_ITEM_STALE);
	assert_int_equal(store_peek(fix.thread, &key, &view), STORE_OK);
	assert_int_equal(view.client_flags, 3);
	assert_int_equal(view.expires_s, FIX_NOW_S + 100);
	change.cas = view.cas + 1;
	assert_int_equal(store_delta(fix.thread, &key, &change, &result, &cas), STORE_EXISTS);
	change = (struct store_change){.amount = 1, .cas = view.cas, .cas_given = 99999};
	assert_int_equal(store_delta(fix.thread, &key, &change, &result, &cas), STORE_OK);
	assert_true(cas == 99999 && result == 3);
	assert_number_and_blanks("3", 400000);
}

static void
incr_keeps_flags_expiry_and_checks_cas(void **state)
{
	(void)state;
	struct store_view view;
	struct store_write write = {.mode = STORE_SET, .client_flags = 77, .expires_s = FIX_NOW_S + 50};
	uint64_t result, cas;
	struct store_key key = fix_key(&fix, "n");
	fix_put_with(&fix, "n", "5", &write, &cas);
	assert_int_equal(
	    store_delta(fix.thread, &key, &(struct store_change){.amount = 1, .cas = cas + 1}, &result, NULL),
	    STORE_EXISTS);
	assert_int_equal(
	    store_delta(fix.thread, &key, &(struct store_change){.amount = 1, .cas = cas}, &result, NULL),
	    STORE_OK);
	assert_int_equal(fix_get(&fix, "n", &view), STORE_OK);
	assert_int_equal(view.client_flags, 77);
	assert_int_equal(view.expires_s, FIX_NOW_S + 50);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(incr_wraps_and_pads),
	    TEST(incr_grows_when_digits_do),
	    TEST(decr_keeps_length_and_stops_at_zero),
	    TEST(incr_reads_numbers_as_memcached),
	    TEST(append_clears_stale_and_incr_keeps_it),
	    TEST(incr_keeps_marks_until_the_number_grows),
	    TEST(incr_in_chunks_reads_across_them_and_pads),
	    TEST(incr_beyond_memcacheds_chunk_is_non_numeric),
	    TEST(incr_in_chunks_keeps_marks_and_time_and_checks_cas),
	    TEST(incr_keeps_flags_expiry_and_checks_cas),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
