/*
 * memcached's semantics, one behaviour a test: conditions, CAS, append, incr and decr, stale items and
 * tokens.
 */
#include "fixture.h"

static struct fix fix;

static int
setup(void **state)
{
	(void)state;
	fix = fix_open(8 * FIX_MIB);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	fix_close(&fix);
	return 0;
}

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
cas_compares_and_raises(void **state)
{
	(void)state;
	uint64_t cas = 0, next = 0;
	struct store_write write = {.mode = STORE_CAS, .cas = 1};
	assert_int_equal(fix_put_with(&fix, "a", "x", &write, NULL), STORE_NOT_FOUND);
	fix_set(&fix, "a", "1");
	cas = fix_cas(&fix, "a");
	write.cas = 0;
	assert_int_equal(fix_put_with(&fix, "a", "x", &write, NULL), STORE_EXISTS);
	write.cas = cas + 64;
	assert_int_equal(fix_put_with(&fix, "a", "x", &write, NULL), STORE_EXISTS);
	write.cas = cas;
	assert_int_equal(fix_put_with(&fix, "a", "2", &write, &next), STORE_OK);
	assert_true(next > cas);
	assert_int_equal(fix_put_with(&fix, "a", "3", &write, NULL), STORE_EXISTS);
	assert_value(&fix, "a", "2");
}

static void
set_with_cas_check_behaves_as_cas(void **state)
{
	(void)state;
	struct store_write write = {.mode = STORE_SET, .cas_check = true, .cas = 5};
	assert_int_equal(fix_put_with(&fix, "a", "x", &write, NULL), STORE_NOT_FOUND);
	fix_set(&fix, "a", "1");
	assert_int_equal(fix_put_with(&fix, "a", "x", &write, NULL), STORE_EXISTS);
	write.mode = STORE_APPEND;
	assert_int_equal(fix_put_with(&fix, "a", "x", &write, NULL), STORE_EXISTS);
	write.cas = fix_cas(&fix, "a");
	assert_int_equal(fix_put_with(&fix, "a", "x", &write, NULL), STORE_OK);
	assert_value(&fix, "a", "1x");
}

static void
every_change_but_touch_raises_cas(void **state)
{
	(void)state;
	uint64_t cas[7], result;
	struct store_key key = fix_key(&fix, "a");
	fix_set(&fix, "a", "1");
	cas[0] = fix_cas(&fix, "a");
	assert_int_equal(store_touch(fix.thread, &key, 0, NULL), STORE_OK);
	assert_true(fix_cas(&fix, "a") == cas[0]);
	fix_set(&fix, "a", "1");
	cas[1] = fix_cas(&fix, "a");
	fix_put(&fix, STORE_APPEND, "a", "2");
	cas[2] = fix_cas(&fix, "a");
	fix_put(&fix, STORE_PREPEND, "a", "3");
	cas[3] = fix_cas(&fix, "a");
	assert_int_equal(
	    store_delta(fix.thread, &key, &(struct store_change){.amount = 1}, &result, &cas[4]), STORE_OK);
	assert_true(cas[4] == fix_cas(&fix, "a"));
	assert_int_equal(store_invalidate(fix.thread, &key, 0, 0, NULL), STORE_OK);
	cas[5] = fix_cas(&fix, "a");
	fix_put(&fix, STORE_REPLACE, "a", "2");
	cas[6] = fix_cas(&fix, "a");
	for (unsigned i = 1; i < 7; i++)
		assert_true(cas[i] > cas[i - 1]);
}

static void
cas_off_shows_zero(void **state)
{
	(void)state;
	struct store_config config = fix_config(8 * FIX_MIB);
	config.cas = false;
	struct fix off = fix_open_config(&config);
	fix_set(&off, "a", "1");
	assert_true(fix_cas(&off, "a") == 0);
	fix_close(&off);
}

static void
given_cas_becomes_the_items(void **state)
{
	(void)state;
	struct store_key key = fix_key(&fix, "a");
	uint64_t cas = 0;
	struct store_write write = {
	    .mode = STORE_SET, .client_flags = 7, .cas_set = true, .cas_new = 0xfedcba9876543210ull};
	assert_int_equal(fix_put_with(&fix, "a", "1", &write, &cas), STORE_OK);
	assert_true(cas == write.cas_new && fix_cas(&fix, "a") == cas);
	assert_int_equal(store_delete(fix.thread, &key, 99), STORE_EXISTS);
	struct store_write compare = {.mode = STORE_CAS, .cas = cas};
	assert_int_equal(fix_put_with(&fix, "a", "2", &compare, &cas), STORE_OK);
	assert_true(cas != write.cas_new);
	fix_put_with(&fix, "a", "1", &write, &cas);
	assert_int_equal(store_invalidate(fix.thread, &key, 0, 0, NULL), STORE_OK);
	assert_true(fix_cas(&fix, "a") != cas);
	struct store_view view;
	assert_int_equal(fix_get(&fix, "a", &view), STORE_OK);
	assert_int_equal(view.client_flags, 7);
	assert_true(fix_view_is(&fix, &view, "1", 1));
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
delete_checks_cas(void **state)
{
	(void)state;
	struct store_key key = fix_key(&fix, "a");
	assert_int_equal(store_delete(fix.thread, &key, 0), STORE_NOT_FOUND);
	fix_set(&fix, "a", "1");
	assert_int_equal(store_delete(fix.thread, &key, fix_cas(&fix, "a") + 1), STORE_EXISTS);
	assert_int_equal(store_delete(fix.thread, &key, fix_cas(&fix, "a")), STORE_OK);
	assert_missing(&fix, "a");
	fix_set(&fix, "a", "1");
	assert_int_equal(store_delete(fix.thread, &key, 0), STORE_OK);
	assert_missing(&fix, "a");
	struct store_info info;
	store_info_get(fix.store, &info);
	assert_int_equal(info.items, 0);
	assert_int_equal(info.bytes, 0);
}

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
incr_with_a_given_cas_takes_it(void **state)
{
	(void)state;
	struct store_key key = fix_key(&fix, "a");
	struct store_change change = {.amount = 1, .cas_given = 77};
	uint64_t result, cas;
	fix_set_until(&fix, "a", "5", FIX_NOW_S + 9);
	assert_int_equal(store_delta(fix.thread, &key, &change, &result, &cas), STORE_OK);
	assert_int_equal(cas, 77);
	assert_int_equal(fix_cas(&fix, "a"), 77);
	change = (struct store_change){.amount = 1, .cas = 77};
	assert_int_equal(store_delta(fix.thread, &key, &change, &result, &cas), STORE_OK);
	assert_int_equal(result, 7);
	assert_int_not_equal(fix_cas(&fix, "a"), 77);
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
	    TEST(cas_compares_and_raises),
	    TEST(set_with_cas_check_behaves_as_cas),
	    TEST(every_change_but_touch_raises_cas),
	    TEST(cas_off_shows_zero),
	    TEST(given_cas_becomes_the_items),
	    TEST(append_prepend_keep_flags_and_expiry),
	    TEST(append_vivify_creates),
	    TEST(append_in_pieces_joins_and_vivifies),
	    TEST(delete_checks_cas),
	    TEST(incr_wraps_and_pads),
	    TEST(incr_grows_when_digits_do),
	    TEST(decr_keeps_length_and_stops_at_zero),
	    TEST(incr_reads_numbers_as_memcached),
	    TEST(incr_in_chunks_reads_across_them_and_pads),
	    TEST(incr_beyond_memcacheds_chunk_is_non_numeric),
	    TEST(incr_in_chunks_keeps_marks_and_time_and_checks_cas),
	    TEST(incr_keeps_flags_expiry_and_checks_cas),
	    TEST(stale_item_gives_one_token),
	    TEST(append_clears_stale_and_incr_keeps_it),
	    TEST(incr_keeps_marks_until_the_number_grows),
	    TEST(append_forgets_how_the_key_was_given),
	    TEST(incr_with_a_given_cas_takes_it),
	    TEST(invalidate_with_a_given_cas_keeps_the_value),
	    TEST(older_cas_with_invalidate_stores_stale),
	    TEST(binary_mark_is_cleared_by_a_text_set),
	    TEST(peek_counts_nothing),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
