/*
 * memcached's semantics of storing and reading, one behaviour a test: conditions, append, values of every shape.
 */
#include "small.h"

static void
empty_get_misses(void **state)
{
	(void)state;
	struct store_view view;
	assert_int_equal(fix_get(&fix, "a", &view), STORE_NOT_FOUND);
	assert_int_equal(fix_counters(&fix).misses, 1);
}

static void
set_get_returns_value_flags_cas(void **state)
{
	(void)state;
	struct store_view view;
	struct store_write write = {
	    .mode = STORE_SET, .client_flags = 0xdeadbeef, .expires_s = FIX_NOW_S + 100};
	uint64_t cas = 0;
	assert_int_equal(fix_put_with(&fix, "a", "hello", &write, &cas), STORE_OK);
	assert_int_equal(fix_get(&fix, "a", &view), STORE_OK);
	assert_true(fix_view_is(&fix, &view, "hello", 5));
	assert_int_equal(view.client_flags, 0xdeadbeef);
	assert_int_equal(view.expires_s, FIX_NOW_S + 100);
	assert_true(view.cas == cas && cas != 0);
	assert_int_equal(view.item_flags, 0);
	assert_non_null(view.value);
}

static void
empty_value_is_stored(void **state)
{
	(void)state;
	assert_int_equal(fix_set(&fix, "a", ""), STORE_OK);
	assert_value(&fix, "a", "");
}

static void
keys_of_every_length_are_told_apart(void **state)
{
	(void)state;
	uint8_t bytes[STORE_KEY_MAX];
	struct store_view view;
	memset(bytes, 0, sizeof(bytes));
	for (uint32_t len = 1; len <= STORE_KEY_MAX; len++) {
		struct store_key key = store_key_make(fix.store, bytes, len);
		struct store_write write = {.mode = STORE_SET};
		assert_int_equal(store_put(fix.thread, &key, &write, &len, sizeof(len), NULL), STORE_OK);
	}
	for (uint32_t len = 1; len <= STORE_KEY_MAX; len++) {
		struct store_key key = store_key_make(fix.store, bytes, len);
		assert_int_equal(store_get(fix.thread, &key, &view), STORE_OK);
		assert_true(fix_view_is(&fix, &view, &len, sizeof(len)));
	}
}

static void
add_existing_is_not_stored(void **state)
{
	(void)state;
	assert_int_equal(fix_put(&fix, STORE_ADD, "a", "1"), STORE_OK);
	assert_int_equal(fix_put(&fix, STORE_ADD, "a", "2"), STORE_NOT_STORED);
	assert_value(&fix, "a", "1");
}

static void
add_expired_is_stored(void **state)
{
	(void)state;
	fix_set_until(&fix, "a", "1", STORE_EXPIRED);
	assert_missing(&fix, "a");
	assert_int_equal(fix_put(&fix, STORE_ADD, "a", "2"), STORE_OK);
	assert_value(&fix, "a", "2");
	assert_int_equal(fix_counters(&fix).reclaimed, 1);
}

static void
replace_needs_an_item(void **state)
{
	(void)state;
	assert_int_equal(fix_put(&fix, STORE_REPLACE, "a", "1"), STORE_NOT_STORED);
	fix_set(&fix, "a", "1");
	assert_int_equal(fix_put(&fix, STORE_REPLACE, "a", "2"), STORE_OK);
	assert_value(&fix, "a", "2");
}

static void
append_prepend_keep_flags_and_expiry(void **state)
{
	(void)state;
	struct store_view view;
	struct store_write write = {
	    .mode = STORE_SET, .client_flags = 5, .expires_s = FIX_NOW_S + 50, .key_binary = true};
	struct store_write join = {.mode = STORE_APPEND, .client_flags = 9, .expires_s = FIX_NOW_S + 1};
	assert_int_equal(fix_put_with(&fix, "a", "x", &join, NULL), STORE_NOT_STORED);
	fix_put_with(&fix, "a", "mid", &write, NULL);
	assert_int_equal(fix_put_with(&fix, "a", "-end", &join, NULL), STORE_OK);
	join.mode = STORE_PREPEND;
	assert_int_equal(fix_put_with(&fix, "a", "begin-", &join, NULL), STORE_OK);
	assert_int_equal(fix_get(&fix, "a", &view), STORE_OK);
	assert_true(fix_view_is(&fix, &view, "begin-mid-end", 13));
	assert_int_equal(view.client_flags, 5);
	assert_int_equal(view.expires_s, FIX_NOW_S + 50);
}

static void
append_vivify_creates(void **state)
{
	(void)state;
	struct store_view view;
	struct store_write write = {
	    .mode = STORE_APPEND, .vivify = true, .client_flags = 3, .expires_s = FIX_NOW_S + 10};
	assert_int_equal(fix_put_with(&fix, "a", "one", &write, NULL), STORE_OK);
	assert_int_equal(fix_put_with(&fix, "a", "two", &write, NULL), STORE_OK);
	assert_int_equal(fix_get(&fix, "a", &view), STORE_OK);
	assert_true(fix_view_is(&fix, &view, "onetwo", 6));
	assert_int_equal(view.client_flags, 3);
	assert_int_equal(view.expires_s, FIX_NOW_S + 10);
}

static void
append_in_pieces_joins_and_vivifies(void **state)
{
	(void)state;
	struct store_key key = fix_key(&fix, "a");
	struct store_fill *fill;
	struct store_write write = {.mode = STORE_APPEND};
	assert_int_equal(store_reserve(fix.thread, &key, &write, 3, &fill), STORE_OK);
	store_fill_append(fill, "abc", 3);
	assert_int_equal(store_fill_commit(fix.thread, fill, NULL), STORE_NOT_STORED);
	write.vivify = true;
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(store_reserve(fix.thread, &key, &write, 3, &fill), STORE_OK);
		assert_int_equal(store_fill_append(fill, "abcdef", 6), 3);
		assert_int_equal(store_fill_commit(fix.thread, fill, NULL), STORE_OK);
	}
	assert_value(&fix, "a", "abcabc");
}

static void
peek_counts_nothing(void **state)
{
	(void)state;
	struct store_view view;
	fix_set(&fix, "a", "1");
	fix_pass(&fix, 5);
	assert_true(fix_has(&fix, "a"));
	assert_true(fix_has(&fix, "a"));
	assert_int_equal(fix_get(&fix, "a", &view), STORE_OK);
	assert_int_equal(view.item_flags, 0);
	assert_int_equal(view.last_access_s, FIX_NOW_S);
	fix_pass(&fix, 7);
	assert_int_equal(fix_get(&fix, "a", &view), STORE_OK);
	assert_int_equal(view.item_flags, STORE_ITEM_FETCHED);
	assert_int_equal(view.last_access_s, FIX_NOW_S + 5);
	assert_int_equal(fix_counters(&fix).hits, 2);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(empty_get_misses),
	    TEST(set_get_returns_value_flags_cas),
	    TEST(empty_value_is_stored),
	    TEST(keys_of_every_length_are_told_apart),
	    TEST(add_existing_is_not_stored),
	    TEST(add_expired_is_stored),
	    TEST(replace_needs_an_item),
	    TEST(append_prepend_keep_flags_and_expiry),
	    TEST(append_vivify_creates),
	    TEST(append_in_pieces_joins_and_vivifies),
	    TEST(peek_counts_nothing),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
