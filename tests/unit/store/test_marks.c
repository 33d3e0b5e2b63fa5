/*
 * Marks of the meta commands: stale items, the token to recache, keys given in base64.
 */
#include "small.h"

static void
stale_item_gives_one_token(void **state)
{
	(void)state;
	struct store_key key = fix_key(&fix, "a");
	struct store_view view;
	uint32_t expires_s = FIX_NOW_S + 30;
	fix_set(&fix, "a", "old");
	assert_int_equal(store_invalidate(fix.thread, &key, 99, 0, NULL), STORE_EXISTS);
	assert_int_equal(store_invalidate(fix.thread, &key, 0, 0, &expires_s), STORE_OK);
	assert_int_equal(fix_get(&fix, "a", &view), STORE_OK);
	assert_int_equal(view.item_flags, STORE_ITEM_STALE);
	assert_int_equal(view.expires_s, expires_s);
	assert_true(store_win(fix.thread, &key, &view));
	assert_false(store_win(fix.thread, &key, &view));
	assert_int_equal(fix_get(&fix, "a", &view), STORE_OK);
	assert_int_equal(view.item_flags, STORE_ITEM_STALE | STORE_ITEM_TOKEN_SENT | STORE_ITEM_FETCHED);
	assert_int_equal(store_invalidate(fix.thread, &key, 0, 0, NULL), STORE_OK);
	fix_get(&fix, "a", &view);
	assert_true(store_win(fix.thread, &key, &view));
	fix_set(&fix, "a", "new");
	assert_false(store_win(fix.thread, &key, &view));
	fix_get(&fix, "a", &view);
	assert_int_equal(view.item_flags, 0);
}

static void
append_forgets_how_the_key_was_given(void **state)
{
	(void)state;
	struct store_write binary = {.mode = STORE_SET, .key_binary = true};
	struct store_view view;
	fix_put_with(&fix, "a", "1", &binary, NULL);
	fix_put(&fix, STORE_APPEND, "a", "2");
	assert_int_equal(fix_get(&fix, "a", &view), STORE_OK);
	assert_int_equal(view.item_flags & STORE_ITEM_KEY_BINARY, 0);
	binary.mode = STORE_PREPEND;
	fix_put_with(&fix, "a", "0", &binary, NULL);
	assert_int_equal(fix_get(&fix, "a", &view), STORE_OK);
	assert_int_equal(view.item_flags & STORE_ITEM_KEY_BINARY, 0);
	assert_value(&fix, "a", "012");
}

static void
invalidate_with_a_given_cas_keeps_the_value(void **state)
{
	(void)state;
	static uint8_t large[300000];
	struct store_key key = fix_key(&fix, "a");
	struct store_write write = {
	    .mode = STORE_SET, .client_flags = 7, .expires_s = FIX_NOW_S + 9, .key_binary = true};
	struct store_view view;
	uint32_t expires_s = FIX_NOW_S + 50;
	for (uint32_t bytes = 3; bytes <= sizeof(large); bytes += sizeof(large) - 3) {
		fix_pattern(large, bytes, 5);
		assert_int_equal(store_put(fix.thread, &key, &write, large, bytes, NULL), STORE_OK);
		assert_int_equal(store_invalidate(fix.thread, &key, 99, 5, NULL), STORE_EXISTS);
		assert_int_equal(store_invalidate(fix.thread, &key, 0, 5, NULL), STORE_OK);
		assert_int_equal(fix_get(&fix, "a", &view), STORE_OK);
		assert_true(fix_is_pattern(&fix, &view, bytes, 5));
		assert_int_equal(view.cas, 5);
		assert_int_equal(view.client_flags, 7);
		assert_int_equal(view.expires_s, FIX_NOW_S + 9);
		assert_int_equal(view.item_flags, STORE_ITEM_STALE | STORE_ITEM_KEY_BINARY);
		/* Now there is room for it in place. */
		assert_int_equal(store_invalidate(fix.thread, &key, 5, 6, &expires_s), STORE_OK);
		assert_int_equal(fix_get(&fix, "a", &view), STORE_OK);
		assert_int_equal(view.cas, 6);
		assert_int_equal(view.expires_s, expires_s);
		fix_quiesce(&fix);
	}
	struct store_key missing = fix_key(&fix, "b");
	assert_int_equal(store_invalidate(fix.thread, &missing, 0, 5, NULL), STORE_NOT_FOUND);
	assert_int_equal(store_invalidate(fix.thread, &key, 0, 0, NULL), STORE_OK);
	fix_get(&fix, "a", &view);
	assert_int_not_equal(view.cas, 6);
	fix_set(&fix, "c", "v");
	struct store_key fresh = fix_key(&fix, "c");
	assert_int_equal(store_invalidate(fix.thread, &fresh, 0, 9, &expires_s), STORE_OK);
	fix_get(&fix, "c", &view);
	assert_int_equal(view.expires_s, expires_s);
}

static void
older_cas_with_invalidate_stores_stale(void **state)
{
	(void)state;
	struct store_key key = fix_key(&fix, "a");
	struct store_view view;
	uint64_t old, now;
	fix_set_until(&fix, "a", "1", FIX_NOW_S + 70);
	old = fix_cas(&fix, "a");
	store_invalidate(fix.thread, &key, 0, 0, NULL);
	fix_get(&fix, "a", &view);
	assert_true(store_win(fix.thread, &key, &view));
	struct store_write write = {.mode = STORE_SET,
	    .cas_check = true,
	    .cas = old,
	    .invalidate = true,
	    .expires_s = FIX_NOW_S + 500};
	assert_int_equal(fix_put_with(&fix, "a", "2", &write, &now), STORE_STALE);
	assert_int_equal(fix_get(&fix, "a", &view), STORE_OK);
	assert_true(fix_view_is(&fix, &view, "2", 1));
	assert_int_equal(view.item_flags, STORE_ITEM_STALE | STORE_ITEM_TOKEN_SENT);
	assert_int_equal(view.expires_s, FIX_NOW_S + 70);
	write.cas = now + 64000;
	assert_int_equal(fix_put_with(&fix, "a", "3", &write, NULL), STORE_EXISTS);
	write.cas = now;
	assert_int_equal(fix_put_with(&fix, "a", "3", &write, NULL), STORE_OK);
	assert_int_equal(fix_get(&fix, "a", &view), STORE_OK);
	assert_int_equal(view.item_flags, 0);
}

static void
binary_mark_is_cleared_by_a_text_set(void **state)
{
	(void)state;
	struct store_view view;
	struct store_write write = {.mode = STORE_SET, .key_binary = true};
	fix_put_with(&fix, "a", "1", &write, NULL);
	fix_get(&fix, "a", &view);
	assert_int_equal(view.item_flags, STORE_ITEM_KEY_BINARY);
	fix_set(&fix, "a", "1");
	fix_get(&fix, "a", &view);
	assert_int_equal(view.item_flags, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(stale_item_gives_one_token),
	    TEST(append_forgets_how_the_key_was_given),
	    TEST(invalidate_with_a_given_cas_keeps_the_value),
	    TEST(older_cas_with_invalidate_stores_stale),
	    TEST(binary_mark_is_cleared_by_a_text_set),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
