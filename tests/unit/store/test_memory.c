/*
 * Memory: limits, chunked values, eviction, views and pins while memory is reused, expiry and flush in the
 * background.
 */
#include "fixture.h"

#include <errno.h>

#define ITEM_VALUE_MAX 1048516u /* for a key of one byte, as measured with memcached */

static uint8_t *pattern_buffer;

static int
group_setup(void **state)
{
	(void)state;
	pattern_buffer = malloc(160 * FIX_MIB);
	return pattern_buffer ? 0 : -1;
}

static int
group_teardown(void **state)
{
	(void)state;
	free(pattern_buffer);
	return 0;
}

static enum store_status
put_pattern(struct fix *fix, const char *name, uint32_t len, uint64_t seed)
{
	struct store_key key = fix_key(fix, name);
	struct store_write write = {.mode = STORE_SET};
	fix_pattern(pattern_buffer, len, seed);
	return store_put(fix->thread, &key, &write, pattern_buffer, len, NULL);
}

static void
assert_pattern(struct fix *fix, const char *name, uint32_t len, uint64_t seed)
{
	struct store_view view;
	assert_int_equal(fix_get(fix, name, &view), STORE_OK);
	assert_true(fix_is_pattern(fix, &view, len, seed));
}

static void
wrong_config_is_refused_with_a_sentence(void **state)
{
	(void)state;
	struct store *store;
	char error[STORE_ERROR_MAX];
	struct store_config config = fix_config(8 * FIX_MIB - 1);
	assert_int_equal(store_create(&config, &store, error), -EINVAL);
	assert_null(store);
	assert_true(strlen(error) > 10);
	config = fix_config(8 * FIX_MIB);
	config.threads_max = 0;
	assert_int_equal(store_create(&config, &store, error), -EINVAL);
	config = fix_config(8 * FIX_MIB);
	config.item_max_bytes = 4 * FIX_MIB;
	assert_int_equal(store_create(&config, &store, error), -EINVAL);
}

static void
largest_item_is_memcacheds(void **state)
{
	(void)state;
	struct fix fix = fix_open(64 * FIX_MIB);
	assert_int_equal(put_pattern(&fix, "a", ITEM_VALUE_MAX, 1), STORE_OK);
	assert_int_equal(put_pattern(&fix, "a", ITEM_VALUE_MAX + 2, 2), STORE_TOO_LARGE);
	assert_pattern(&fix, "a", ITEM_VALUE_MAX, 1);
	struct store_fill *fill;
	struct store_key key = fix_key(&fix, "a");
	struct store_write write = {.mode = STORE_SET};
	assert_int_equal(store_reserve(fix.thread, &key, &write, ITEM_VALUE_MAX + 2, &fill), STORE_TOO_LARGE);
	assert_null(fill);
	fix_close(&fix);
}

static void
append_beyond_limit_keeps_the_old_value(void **state)
{
	(void)state;
	struct fix fix = fix_open(64 * FIX_MIB);
	put_pattern(&fix, "a", ITEM_VALUE_MAX - 1, 1);
	assert_int_equal(fix_put(&fix, STORE_APPEND, "a", "xy"), STORE_NOT_STORED);
	assert_pattern(&fix, "a", ITEM_VALUE_MAX - 1, 1);
	assert_int_equal(fix_put(&fix, STORE_APPEND, "a", "x"), STORE_OK);
	fix_close(&fix);
}

static void
values_of_all_sizes_come_back(void **state)
{
	(void)state;
	struct fix fix = fix_open(8 * FIX_MIB);
	for (uint32_t len = 0; len < 300000; len += 1 + len / 13) {
		assert_int_equal(put_pattern(&fix, "a", len, len), STORE_OK);
		assert_pattern(&fix, "a", len, len);
		fix_quiesce(&fix);
	}
	for (uint32_t len = 8000; len < 8300; len++) { /* around the border of inline values */
		assert_int_equal(put_pattern(&fix, "a", len, len), STORE_OK);
		assert_pattern(&fix, "a", len, len);
	}
	fix_close(&fix);
}

static void
large_values_fit_in_the_smallest_store(void **state)
{
	(void)state;
	char name[16];
	struct fix fix = fix_open(8 * FIX_MIB);
	for (unsigned i = 0; i < 200; i++) {
		snprintf(name, sizeof(name), "%u", i % 20);
		assert_int_equal(put_pattern(&fix, name, 1000000 + i, i), STORE_OK);
		assert_pattern(&fix, name, 1000000 + i, i);
		fix_check(&fix);
		fix_quiesce(&fix);
	}
	fix_close(&fix);
}

static void
value_of_128_mib_is_stored_in_pieces(void **state)
{
	(void)state;
	struct store_config config = fix_config(512 * FIX_MIB);
	config.item_max_bytes = 128 * FIX_MIB;
	struct fix fix = fix_open_config(&config);
	uint32_t len = 127 * FIX_MIB;
	struct store_key key = fix_key(&fix, "a");
	struct store_write write = {.mode = STORE_SET};
	struct store_fill *fill;
	fix_pattern(pattern_buffer, len, 5);
	assert_int_equal(store_reserve(fix.thread, &key, &write, len, &fill), STORE_OK);
	for (uint32_t at = 0; at < len; at += 1460 * 40) {
		uint32_t left = len - at;
		store_fill_append(fill, pattern_buffer + at, left < 1460 * 40 ? left : 1460 * 40);
		fix_quiesce(&fix);
	}
	assert_int_equal(store_fill_commit(fix.thread, fill, NULL), STORE_OK);
	assert_pattern(&fix, "a", len, 5);
	fix_close(&fix);
}

static void
append_and_prepend_to_chunked_join(void **state)
{
	(void)state;
	struct fix fix = fix_open(64 * FIX_MIB);
	struct store_key key = fix_key(&fix, "a");
	struct store_write write = {.mode = STORE_APPEND};
	struct store_view view;
	uint8_t *expected = malloc(500000);
	fix_pattern(expected, 500000, 9);
	write.mode = STORE_SET;
	assert_int_equal(store_put(fix.thread, &key, &write, expected + 100000, 300000, NULL), STORE_OK);
	write.mode = STORE_APPEND;
	assert_int_equal(store_put(fix.thread, &key, &write, expected + 400000, 100000, NULL), STORE_OK);
	write.mode = STORE_PREPEND;
	assert_int_equal(store_put(fix.thread, &key, &write, expected, 100000, NULL), STORE_OK);
	assert_int_equal(fix_get(&fix, "a", &view), STORE_OK);
	assert_null(view.value);
	assert_true(fix_view_is(&fix, &view, expected, 500000));
	free(expected);
	fix_close(&fix);
}

static void
aborted_fill_leaves_nothing(void **state)
{
	(void)state;
	struct fix fix = fix_open(8 * FIX_MIB);
	struct store_key key = fix_key(&fix, "a");
	struct store_write write = {.mode = STORE_SET};
	struct store_fill *fill;
	for (unsigned i = 0; i < 1000; i++) {
		uint32_t len = i % 2 ? 100 : 600000;
		assert_int_equal(store_reserve(fix.thread, &key, &write, len, &fill), STORE_OK);
		store_fill_append(fill, pattern_buffer, len / 2);
		assert_int_equal(store_fill_missing(fill), len - len / 2);
		store_fill_abort(fix.thread, fill);
		fix_quiesce(&fix);
	}
	assert_missing(&fix, "a");
	fix_close(&fix);
}

static void
announced_values_that_never_come_do_not_stop_others(void **state)
{
	(void)state;
	struct fix fix = fix_open(8 * FIX_MIB);
	struct store_write write = {.mode = STORE_SET};
	struct store_fill *fills[2000];
	char name[32];
	unsigned open = 0;
	for (unsigned i = 0; i < 2000; i++) {
		snprintf(name, sizeof(name), "slow-%u", i);
		struct store_key key = fix_key(&fix, name);
		if (store_reserve(fix.thread, &key, &write, i % 2 ? 5000 : 900000, &fills[open]) == STORE_OK)
			store_fill_append(fills[open++], pattern_buffer, 1000);
	}
	assert_true(open > 100);
	for (unsigned i = 0; i < 20000; i++) {
		snprintf(name, sizeof(name), "other-%u", i);
		assert_int_equal(put_pattern(&fix, name, 1000, i), STORE_OK);
		assert_pattern(&fix, name, 1000, i);
		fix_quiesce(&fix);
	}
	fix_check(&fix);
	for (unsigned i = 0; i < open; i++)
		store_fill_abort(fix.thread, fills[i]);
	fix_close(&fix);
}

static void
full_store_evicts_and_never_refuses(void **state)
{
	(void)state;
	struct fix fix = fix_open(8 * FIX_MIB);
	char name[32];
	for (unsigned i = 0; i < 200000; i++) {
		snprintf(name, sizeof(name), "key-%u", i);
		assert_int_equal(put_pattern(&fix, name, 100, i), STORE_OK);
		assert_pattern(&fix, name, 100, i);
		if (i % 50000 == 0)
			fix_check(&fix);
		if (i % 100 == 0)
			fix_quiesce(&fix);
	}
	struct store_counters counters = fix_counters(&fix);
	assert_true(counters.evictions > 100000);
	assert_int_equal(counters.no_memory, 0);
	fix_close(&fix);
}

static void
popular_items_outlive_others(void **state)
{
	(void)state;
	struct fix fix = fix_open(8 * FIX_MIB);
	char name[32];
	unsigned kept = 0;
	struct store_view view;
	for (unsigned i = 0; i < 400; i++) {
		snprintf(name, sizeof(name), "hot-%u", i);
		put_pattern(&fix, name, 100, i);
	}
	for (unsigned i = 0; i < 300000; i++) {
		snprintf(name, sizeof(name), "cold-%u", i);
		put_pattern(&fix, name, 100, i);
		snprintf(name, sizeof(name), "hot-%u", i % 400);
		fix_get(&fix, name, &view);
		fix_quiesce(&fix);
	}
	for (unsigned i = 0; i < 400; i++) {
		snprintf(name, sizeof(name), "hot-%u", i);
		kept += fix_has(&fix, name);
	}
	assert_true(kept == 400);
	fix_close(&fix);
}

static void
many_small_items_grow_the_index(void **state)
{
	(void)state;
	struct fix fix = fix_open(64 * FIX_MIB);
	char name[32];
	unsigned kept = 0;
	const unsigned items = 1000000;
	for (unsigned i = 0; i < items; i++) {
		snprintf(name, sizeof(name), "key-%016u", i);
		struct store_key key = fix_key(&fix, name);
		struct store_write write = {.mode = STORE_SET};
		assert_int_equal(store_put(fix.thread, &key, &write, "xx", 2, NULL), STORE_OK);
		if (i % 100 == 0)
			fix_quiesce(&fix);
	}
	fix_check(&fix);
	for (unsigned i = 0; i < items; i++) {
		snprintf(name, sizeof(name), "key-%016u", i);
		kept += fix_has(&fix, name);
	}
	struct store_info info;
	store_info_get(fix.store, &info);
	assert_int_equal(info.items, kept);
	assert_true(fix_counters(&fix).index_splits > 10);
	/* 22 bytes of key and value: the goal is 57 bytes of limit an item, so that a million fit. */
	assert_int_equal(kept, items);
	fix_close(&fix);
}

static void
store_without_eviction_says_no_memory_and_keeps_all(void **state)
{
	(void)state;
	struct store_config config = fix_config(8 * FIX_MIB);
	config.evict = false;
	struct fix fix = fix_open_config(&config);
	char name[32];
	unsigned stored = 0;
	for (unsigned i = 0; i < 20000; i++) {
		snprintf(name, sizeof(name), "key-%u", i);
		enum store_status status = put_pattern(&fix, name, 1000, i);
		if (status != STORE_OK) {
			assert_int_equal(status, STORE_NO_MEMORY);
			break;
		}
		stored++;
		fix_quiesce(&fix);
	}
	assert_in_range(stored, 6000, 8000);
	for (unsigned i = 0; i < stored; i++) {
		snprintf(name, sizeof(name), "key-%u", i);
		assert_pattern(&fix, name, 1000, i);
	}
	fix_quiesce(&fix);
	/* What is deleted can be used again, although it lies scattered. */
	for (unsigned i = 0; i < stored; i++)
		if (i % 2) {
			snprintf(name, sizeof(name), "key-%u", i);
			struct store_key key = fix_key(&fix, name);
			assert_int_equal(store_delete(fix.thread, &key, 0), STORE_OK);
		}
	for (unsigned i = 0; i < stored / 3; i++) {
		snprintf(name, sizeof(name), "new-%u", i);
		assert_int_equal(put_pattern(&fix, name, 1000, i), STORE_OK);
		fix_quiesce(&fix);
	}
	for (unsigned i = 0; i < stored; i += 2) {
		snprintf(name, sizeof(name), "key-%u", i);
		assert_pattern(&fix, name, 1000, i);
	}
	assert_int_equal(fix_counters(&fix).evictions, 0);
	fix_close(&fix);
}

static void
views_stay_until_quiesce_while_memory_turns_over(void **state)
{
	(void)state;
	struct fix fix = fix_open(64 * FIX_MIB);
	struct store_view small, large;
	struct store_key key = fix_key(&fix, "small");
	char name[32];
	put_pattern(&fix, "small", 500, 1);
	put_pattern(&fix, "large", 900000, 2);
	assert_int_equal(fix_get(&fix, "small", &small), STORE_OK);
	assert_int_equal(fix_get(&fix, "large", &large), STORE_OK);
	assert_int_equal(store_delete(fix.thread, &key, 0), STORE_OK);
	put_pattern(&fix, "large", 10, 3);
	/* Two and a half times the memory, without a quiescent point. */
	for (unsigned i = 0; i < 160; i++) {
		snprintf(name, sizeof(name), "fill-%u", i);
		assert_int_equal(put_pattern(&fix, name, 1000000, i), STORE_OK);
	}
	assert_true(fix_is_pattern(&fix, &small, 500, 1));
	assert_true(fix_is_pattern(&fix, &large, 900000, 2));
	fix_close(&fix);
}

static void
pinned_value_survives_quiescent_points(void **state)
{
	(void)state;
	struct fix fix = fix_open(8 * FIX_MIB);
	struct store_view small, large;
	struct store_pin pin_small, pin_large;
	char name[32];
	put_pattern(&fix, "small", 500, 1);
	put_pattern(&fix, "large", 200000, 2);
	assert_int_equal(fix_get(&fix, "small", &small), STORE_OK);
	assert_int_equal(fix_get(&fix, "large", &large), STORE_OK);
	assert_true(store_pin(fix.thread, &small, &pin_small));
	assert_true(store_pin(fix.thread, &large, &pin_large));
	for (unsigned i = 0; i < 3000; i++) {
		snprintf(name, sizeof(name), "fill-%u", i);
		assert_int_equal(put_pattern(&fix, name, 10000, i), STORE_OK);
		fix_quiesce(&fix);
	}
	assert_true(fix_is_pattern(&fix, &small, 500, 1));
	assert_true(fix_is_pattern(&fix, &large, 200000, 2));
	store_unpin(fix.thread, pin_large);
	store_unpin(fix.thread, pin_small);
	fix_close(&fix);
}

static void
pins_are_refused_beyond_a_quarter(void **state)
{
	(void)state;
	struct fix fix = fix_open(8 * FIX_MIB);
	struct store_pin pins[2000];
	unsigned pinned = 0;
	char name[32];
	for (unsigned i = 0; i < 2000; i++) {
		struct store_view view;
		snprintf(name, sizeof(name), "key-%u", i);
		put_pattern(&fix, name, 20000, i);
		assert_int_equal(fix_get(&fix, name, &view), STORE_OK);
		pinned += store_pin(fix.thread, &view, &pins[pinned]);
		fix_quiesce(&fix);
	}
	assert_in_range(pinned, 20, 200);
	assert_true(fix_counters(&fix).pins_refused > 0);
	while (pinned > 0)
		store_unpin(fix.thread, pins[--pinned]);
	fix_close(&fix);
}

static void
expired_items_miss_at_their_second(void **state)
{
	(void)state;
	struct fix fix = fix_open(8 * FIX_MIB);
	struct store_view view;
	fix_set_until(&fix, "a", "1", FIX_NOW_S + 10);
	fix_pass(&fix, 9);
	assert_value(&fix, "a", "1");
	fix_pass(&fix, 1);
	assert_int_equal(fix_get(&fix, "a", &view), STORE_NOT_FOUND);
	assert_int_equal(fix_counters(&fix).get_expired, 1);
	struct store_key key = fix_key(&fix, "a");
	assert_int_equal(store_touch(fix.thread, &key, 0, NULL), STORE_NOT_FOUND);
	assert_int_equal(store_delete(fix.thread, &key, 0), STORE_NOT_FOUND);
	assert_int_equal(fix_put(&fix, STORE_APPEND, "a", "x"), STORE_NOT_STORED);
	fix_close(&fix);
}

static void
touch_extends_and_shortens(void **state)
{
	(void)state;
	struct fix fix = fix_open(8 * FIX_MIB);
	struct store_view view;
	struct store_key key = fix_key(&fix, "a");
	fix_set_until(&fix, "a", "1", FIX_NOW_S + 10);
	assert_int_equal(store_touch(fix.thread, &key, FIX_NOW_S + 100, &view), STORE_OK);
	assert_int_equal(view.expires_s, FIX_NOW_S + 100);
	fix_pass(&fix, 50);
	assert_value(&fix, "a", "1");
	store_touch(fix.thread, &key, FIX_NOW_S + 55, NULL);
	fix_pass(&fix, 5);
	assert_missing(&fix, "a");
	fix_close(&fix);
}

static void
exptime_is_memcacheds(void **state)
{
	(void)state;
	assert_int_equal(store_expiry(0, 1000), STORE_EXPTIME_NEVER);
	assert_int_equal(store_expiry(-1, 1000), STORE_EXPIRED);
	assert_int_equal(store_expiry(INT32_MIN, 1000), STORE_EXPIRED);
	assert_int_equal(store_expiry(1, 1000), 1001);
	assert_int_equal(store_expiry(2592000, 1000), 2593000);
	assert_int_equal(store_expiry(2592001, 1000), 2592001);
	assert_int_equal(store_expiry(INT32_MAX, 1000), INT32_MAX);
}

static void
expired_memory_comes_back_in_the_background(void **state)
{
	(void)state;
	struct fix fix = fix_open(8 * FIX_MIB);
	char name[32];
	struct store_info info;
	for (unsigned i = 0; i < 5000; i++) {
		snprintf(name, sizeof(name), "key-%u", i);
		/* Short and endless ones mixed in the same segments. */
		fix_set_until(
		    &fix, name, "0123456789012345678901234567890123456789", i % 10 ? FIX_NOW_S + 5 : 0);
	}
	for (unsigned i = 0; i < 50; i++) { /* seal what is open */
		snprintf(name, sizeof(name), "fill-%u", i);
		put_pattern(&fix, name, 7000, i);
	}
	fix_pass(&fix, 5);
	fix_maintain_all(&fix);
	store_info_get(fix.store, &info);
	assert_true(info.items < 5000 / 10 + 50 + 5000 / 5);
	assert_true(fix_counters(&fix).expired > 3000);
	assert_int_equal(fix_counters(&fix).evictions, 0);
	for (unsigned i = 0; i < 5000; i += 10) {
		snprintf(name, sizeof(name), "key-%u", i);
		assert_true(fix_has(&fix, name));
	}
	fix_close(&fix);
}

static void
flush_now_spares_what_comes_later_in_the_second(void **state)
{
	(void)state;
	struct fix fix = fix_open(8 * FIX_MIB);
	struct store_view view;
	fix_set(&fix, "a", "old");
	fix_set(&fix, "b", "old");
	store_flush_all(fix.thread, fix.now_s);
	assert_int_equal(fix_get(&fix, "a", &view), STORE_NOT_FOUND);
	assert_int_equal(fix_counters(&fix).get_flushed, 1);
	fix_set(&fix, "a", "new");
	assert_value(&fix, "a", "new");
	fix_pass(&fix, 2);
	assert_value(&fix, "a", "new");
	assert_missing(&fix, "b");
	assert_int_equal(fix_put(&fix, STORE_ADD, "b", "new"), STORE_OK);
	fix_close(&fix);
}

static void
flush_later_takes_all_that_was_before_its_second(void **state)
{
	(void)state;
	struct fix fix = fix_open(8 * FIX_MIB);
	fix_set(&fix, "a", "1");
	store_flush_all(fix.thread, fix.now_s + 3);
	assert_value(&fix, "a", "1");
	fix_pass(&fix, 1);
	fix_set(&fix, "b", "1");
	fix_pass(&fix, 1);
	assert_value(&fix, "b", "1");
	fix_pass(&fix, 2);
	assert_missing(&fix, "a");
	assert_missing(&fix, "b");
	fix_set(&fix, "c", "1");
	fix_pass(&fix, 5);
	assert_value(&fix, "c", "1");
	fix_close(&fix);
}

static void
flush_now_replaces_a_coming_flush(void **state)
{
	(void)state;
	struct fix fix = fix_open(8 * FIX_MIB);
	store_flush_all(fix.thread, fix.now_s + 3);
	store_flush_all(fix.thread, fix.now_s);
	fix_set(&fix, "a", "1");
	fix_pass(&fix, 10);
	assert_value(&fix, "a", "1");
	fix_close(&fix);
}

static void
flushed_memory_comes_back_in_the_background(void **state)
{
	(void)state;
	struct fix fix = fix_open(8 * FIX_MIB);
	struct store_info before, after;
	char name[32];
	for (unsigned i = 0; i < 3000; i++) {
		snprintf(name, sizeof(name), "key-%u", i);
		put_pattern(&fix, name, 1000, i);
	}
	store_info_get(fix.store, &before);
	store_flush_all(fix.thread, fix.now_s);
	fix_maintain_all(&fix);
	store_info_get(fix.store, &after);
	assert_true(after.segments_free > before.segments_free + 40);
	assert_true(after.items < 100);
	assert_int_equal(fix_counters(&fix).evictions, 0);
	fix_close(&fix);
}

static void
memory_limit_shrinks_and_grows_live(void **state)
{
	(void)state;
	struct fix fix = fix_open(64 * FIX_MIB);
	struct store_info info;
	char name[32];
	for (unsigned i = 0; i < 60000; i++) {
		snprintf(name, sizeof(name), "key-%u", i);
		put_pattern(&fix, name, 900, i);
	}
	fix_quiesce(&fix);
	assert_int_equal(store_set_memory_limit(fix.store, 128 * FIX_MIB), -ENOMEM);
	assert_int_equal(store_set_memory_limit(fix.store, 1 * FIX_MIB), -EINVAL);
	assert_int_equal(store_set_memory_limit(fix.store, 16 * FIX_MIB), 0);
	fix_maintain_all(&fix);
	store_info_get(fix.store, &info);
	assert_true(info.limit_bytes == 16 * FIX_MIB);
	assert_true((info.segments - info.segments_free) * info.segment_bytes <= 16 * FIX_MIB);
	assert_true(info.bytes > 10 * FIX_MIB);
	assert_int_equal(put_pattern(&fix, "x", 1000000, 1), STORE_OK);
	assert_int_equal(store_set_memory_limit(fix.store, 64 * FIX_MIB), 0);
	for (unsigned i = 0; i < 60000; i++) {
		snprintf(name, sizeof(name), "key-%u", i);
		assert_int_equal(put_pattern(&fix, name, 900, i), STORE_OK);
		fix_quiesce(&fix);
	}
	store_info_get(fix.store, &info);
	assert_true(info.bytes > 50 * FIX_MIB);
	fix_close(&fix);
}

static void
idle_thread_that_went_offline_holds_up_nobody(void **state)
{
	(void)state;
	struct fix fix = fix_open(8 * FIX_MIB);
	struct store_thread *idle = store_thread_register(fix.store, -1);
	char name[32];
	store_quiesce(idle, FIX_NOW_S);
	store_offline(idle);
	for (unsigned i = 0; i < 30000; i++) {
		snprintf(name, sizeof(name), "key-%u", i);
		assert_int_equal(put_pattern(&fix, name, 1000, i), STORE_OK);
	}
	store_quiesce(idle, FIX_NOW_S);
	store_thread_unregister(idle);
	fix_close(&fix);
}

static void
stuck_thread_ends_in_no_memory_and_recovers(void **state)
{
	(void)state;
	struct fix fix = fix_open(8 * FIX_MIB);
	struct store_thread *stuck = store_thread_register(fix.store, -1);
	struct store_view view;
	char name[32];
	unsigned refused = 0;
	put_pattern(&fix, "seen", 1000, 77);
	struct store_key key = fix_key(&fix, "seen");
	assert_int_equal(store_get(stuck, &key, &view), STORE_OK);
	for (unsigned i = 0; i < 12000; i++) {
		snprintf(name, sizeof(name), "key-%u", i);
		if (put_pattern(&fix, name, 1000, i) == STORE_NO_MEMORY && ++refused > 3)
			break;
		fix_quiesce(&fix);
	}
	assert_true(refused > 0);
	assert_true(fix_is_pattern(&fix, &view, 1000, 77));
	fix_check(&fix);
	store_quiesce(stuck, FIX_NOW_S);
	assert_int_equal(put_pattern(&fix, "again", 1000, 1), STORE_OK);
	store_thread_unregister(stuck);
	fix_close(&fix);
}

static void
handles_run_out_and_come_back(void **state)
{
	(void)state;
	struct store_config config = fix_config(8 * FIX_MIB);
	config.threads_max = 2;
	struct fix fix = fix_open_config(&config);
	struct store_thread *second = store_thread_register(fix.store, -1);
	assert_non_null(second);
	assert_null(store_thread_register(fix.store, -1));
	store_thread_unregister(second);
	second = store_thread_register(fix.store, -1);
	assert_non_null(second);
	store_thread_unregister(second);
	fix_close(&fix);
}

static void
forty_threads_share_the_smallest_store_without_refusal(void **state)
{
	(void)state;
	struct fix fix = fix_open(8 * FIX_MIB);
	struct store_thread *threads[40];
	struct store_thread *own = fix.thread;
	char name[32];
	for (unsigned t = 0; t < 40; t++)
		threads[t] = store_thread_register(fix.store, -1);
	fix_pass(&fix, 1);
	store_offline(own);
	for (unsigned i = 0; i < 60000; i++) {
		fix.thread = threads[i % 40];
		snprintf(name, sizeof(name), "key-%u", i);
		assert_int_equal(put_pattern(&fix, name, i % 1000 ? 700 : 300000, i), STORE_OK);
		store_maintain(fix.thread, 4);
		fix_quiesce(&fix);
	}
	assert_int_equal(fix_counters(&fix).no_memory, 0);
	fix_check(&fix);
	for (unsigned t = 0; t < 40; t++)
		store_thread_unregister(threads[t]);
	fix.thread = own;
	fix_quiesce(&fix);
	fix_close(&fix);
}

static void
keys_spread_over_partitions(void **state)
{
	(void)state;
	struct store_config config = fix_config(64 * FIX_MIB);
	config.nodes_len = 3;
	config.nodes[0] = config.nodes[1] = config.nodes[2] = -1;
	struct fix fix = fix_open_config(&config);
	struct store_info info;
	char name[32];
	for (unsigned i = 0; i < 30000; i++) {
		snprintf(name, sizeof(name), "key-%u", i);
		assert_int_equal(put_pattern(&fix, name, 1000, i), STORE_OK);
	}
	for (unsigned i = 0; i < 30000; i++) {
		snprintf(name, sizeof(name), "key-%u", i);
		assert_pattern(&fix, name, 1000, i);
	}
	store_info_get(fix.store, &info);
	assert_int_equal(info.partitions, 3);
	fix_close(&fix);
}

#define PER_SEGMENT 128u /* items: those in a segment that is still open are not looked for */

/* Every other item lives for ten seconds, the rest for ever; then the ten seconds are over. */
static struct store_counters
counters_after_expiry(size_t memory_bytes, uint64_t *segments_freed)
{
	char name[32];
	struct store_info before, after;
	struct fix fix = fix_open(memory_bytes);
	struct store_key key;
	unsigned items = (unsigned)(memory_bytes / 4 / 512);
	for (unsigned i = 0; i < items; i++) {
		struct store_write write = {.mode = STORE_SET, .expires_s = i % 2 ? FIX_NOW_S + 10 : 0};
		snprintf(name, sizeof(name), "key-%u", i);
		key = fix_key(&fix, name);
		assert_int_equal(store_put(fix.thread, &key, &write, pattern_buffer, 480, NULL), STORE_OK);
	}
	store_info_get(fix.store, &before);
	fix_pass(&fix, 11);
	fix_maintain_all(&fix);
	store_info_get(fix.store, &after);
	assert_in_range(after.items, items / 2, items / 2 + 2 * PER_SEGMENT);
	*segments_freed = after.segments_free - before.segments_free;
	struct store_counters counters = fix_counters(&fix);
	fix_close(&fix);
	return counters;
}

static void
large_stores_expire_whole_segments_without_moving(void **state)
{
	(void)state;
	uint64_t freed;
	struct store_counters counters = counters_after_expiry(128 * FIX_MIB, &freed);
	assert_int_equal(counters.moved, 0);
	assert_int_equal(counters.segments_compacted, 0);
	assert_in_range(freed, 240, 270); /* 16 of 128 MiB in segments of 64 KiB */
	assert_int_equal(counters.segments_expired, freed);
	/* Fewer than 2000 segments: both kinds share them, and none is free as a whole. */
	counters = counters_after_expiry(64 * FIX_MIB, &freed);
	assert_int_equal(freed, 0);
	assert_int_equal(counters.segments_expired, 0);
}

static void
times_to_live_are_told_apart_by_a_factor_of_four(void **state)
{
	(void)state;
	static const uint32_t ttl_s[] = {10, 40, 200, 900, 4000, 100000};
	char name[32];
	struct fix fix = fix_open(128 * FIX_MIB);
	struct store_key key;
	uint32_t now_s = 0;
	for (unsigned i = 0; i < 60000; i++) {
		struct store_write write = {.mode = STORE_SET, .expires_s = FIX_NOW_S + ttl_s[i % 6]};
		snprintf(name, sizeof(name), "key-%u", i);
		key = fix_key(&fix, name);
		assert_int_equal(store_put(fix.thread, &key, &write, pattern_buffer, 480, NULL), STORE_OK);
	}
	for (unsigned group = 0; group < 6; group++) {
		struct store_info info;
		fix_pass(&fix, ttl_s[group] - now_s);
		now_s = ttl_s[group];
		fix_maintain_all(&fix);
		store_info_get(fix.store, &info);
		uint64_t left = (uint64_t)(5 - group) * 10000;
		assert_in_range(info.items, left, left + (group + 1) * PER_SEGMENT);
	}
	assert_int_equal(fix_counters(&fix).moved, 0);
	fix_close(&fix);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(wrong_config_is_refused_with_a_sentence),
	    cmocka_unit_test(largest_item_is_memcacheds),
	    cmocka_unit_test(append_beyond_limit_keeps_the_old_value),
	    cmocka_unit_test(values_of_all_sizes_come_back),
	    cmocka_unit_test(large_values_fit_in_the_smallest_store),
	    cmocka_unit_test(value_of_128_mib_is_stored_in_pieces),
	    cmocka_unit_test(append_and_prepend_to_chunked_join),
	    cmocka_unit_test(aborted_fill_leaves_nothing),
	    cmocka_unit_test(announced_values_that_never_come_do_not_stop_others),
	    cmocka_unit_test(full_store_evicts_and_never_refuses),
	    cmocka_unit_test(popular_items_outlive_others),
	    cmocka_unit_test(many_small_items_grow_the_index),
	    cmocka_unit_test(store_without_eviction_says_no_memory_and_keeps_all),
	    cmocka_unit_test(views_stay_until_quiesce_while_memory_turns_over),
	    cmocka_unit_test(pinned_value_survives_quiescent_points),
	    cmocka_unit_test(pins_are_refused_beyond_a_quarter),
	    cmocka_unit_test(expired_items_miss_at_their_second),
	    cmocka_unit_test(touch_extends_and_shortens),
	    cmocka_unit_test(exptime_is_memcacheds),
	    cmocka_unit_test(expired_memory_comes_back_in_the_background),
	    cmocka_unit_test(flush_now_spares_what_comes_later_in_the_second),
	    cmocka_unit_test(flush_later_takes_all_that_was_before_its_second),
	    cmocka_unit_test(flush_now_replaces_a_coming_flush),
	    cmocka_unit_test(flushed_memory_comes_back_in_the_background),
	    cmocka_unit_test(memory_limit_shrinks_and_grows_live),
	    cmocka_unit_test(idle_thread_that_went_offline_holds_up_nobody),
	    cmocka_unit_test(stuck_thread_ends_in_no_memory_and_recovers),
	    cmocka_unit_test(handles_run_out_and_come_back),
	    cmocka_unit_test(forty_threads_share_the_smallest_store_without_refusal),
	    cmocka_unit_test(keys_spread_over_partitions),
	    cmocka_unit_test(large_stores_expire_whole_segments_without_moving),
	    cmocka_unit_test(times_to_live_are_told_apart_by_a_factor_of_four),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
