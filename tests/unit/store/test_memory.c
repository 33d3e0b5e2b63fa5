/*
 * Memory: limits, chunked values, eviction, views and pins while memory is reused.
 */
#include "fixture.h"

#include <errno.h>

#define ITEM_VALUE_MAX 1048516u /* for a key of one byte, as measured with memcached */

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
	assert_int_equal(fix_put_pattern(&fix, "a", ITEM_VALUE_MAX, 1), STORE_OK);
	assert_int_equal(fix_put_pattern(&fix, "a", ITEM_VALUE_MAX + 2, 2), STORE_TOO_LARGE);
	fix_assert_pattern(&fix, "a", ITEM_VALUE_MAX, 1);
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
	fix_put_pattern(&fix, "a", ITEM_VALUE_MAX - 1, 1);
	assert_int_equal(fix_put(&fix, STORE_APPEND, "a", "xy"), STORE_NOT_STORED);
	fix_assert_pattern(&fix, "a", ITEM_VALUE_MAX - 1, 1);
	assert_int_equal(fix_put(&fix, STORE_APPEND, "a", "x"), STORE_OK);
	fix_close(&fix);
}

static void
values_of_all_sizes_come_back(void **state)
{
	(void)state;
	struct fix fix = fix_open(8 * FIX_MIB);
	for (uint32_t len = 0; len < 300000; len += 1 + len / 13) {
		assert_int_equal(fix_put_pattern(&fix, "a", len, len), STORE_OK);
		fix_assert_pattern(&fix, "a", len, len);
		fix_quiesce(&fix);
	}
	for (uint32_t len = 8000; len < 8300; len++) { /* around the border of inline values */
		assert_int_equal(fix_put_pattern(&fix, "a", len, len), STORE_OK);
		fix_assert_pattern(&fix, "a", len, len);
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
		assert_int_equal(fix_put_pattern(&fix, name, 1000000 + i, i), STORE_OK);
		fix_assert_pattern(&fix, name, 1000000 + i, i);
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
	uint8_t *value = malloc(len);
	fix_pattern(value, len, 5);
	assert_int_equal(store_reserve(fix.thread, &key, &write, len, &fill), STORE_OK);
	for (uint32_t at = 0; at < len; at += 1460 * 40) {
		uint32_t left = len - at;
		store_fill_append(fill, value + at, left < 1460 * 40 ? left : 1460 * 40);
		fix_quiesce(&fix);
	}
	assert_int_equal(store_fill_commit(fix.thread, fill, NULL), STORE_OK);
	fix_assert_pattern(&fix, "a", len, 5);
	free(value);
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
	static const uint8_t value[300000];
	for (unsigned i = 0; i < 1000; i++) {
		uint32_t len = i % 2 ? 100 : 600000;
		assert_int_equal(store_reserve(fix.thread, &key, &write, len, &fill), STORE_OK);
		store_fill_append(fill, value, len / 2);
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
	static const uint8_t value[1000];
	char name[32];
	unsigned open = 0;
	for (unsigned i = 0; i < 2000; i++) {
		snprintf(name, sizeof(name), "slow-%u", i);
		struct store_key key = fix_key(&fix, name);
		if (store_reserve(fix.thread, &key, &write, i % 2 ? 5000 : 900000, &fills[open]) == STORE_OK)
			store_fill_append(fills[open++], value, 1000);
	}
	assert_true(open > 100);
	for (unsigned i = 0; i < 20000; i++) {
		snprintf(name, sizeof(name), "other-%u", i);
		assert_int_equal(fix_put_pattern(&fix, name, 1000, i), STORE_OK);
		fix_assert_pattern(&fix, name, 1000, i);
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
		assert_int_equal(fix_put_pattern(&fix, name, 100, i), STORE_OK);
		fix_assert_pattern(&fix, name, 100, i);
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
		fix_put_pattern(&fix, name, 100, i);
	}
	for (unsigned i = 0; i < 300000; i++) {
		snprintf(name, sizeof(name), "cold-%u", i);
		fix_put_pattern(&fix, name, 100, i);
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
		enum store_status status = fix_put_pattern(&fix, name, 1000, i);
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
		fix_assert_pattern(&fix, name, 1000, i);
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
		assert_int_equal(fix_put_pattern(&fix, name, 1000, i), STORE_OK);
		fix_quiesce(&fix);
	}
	for (unsigned i = 0; i < stored; i += 2) {
		snprintf(name, sizeof(name), "key-%u", i);
		fix_assert_pattern(&fix, name, 1000, i);
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
	fix_put_pattern(&fix, "small", 500, 1);
	fix_put_pattern(&fix, "large", 900000, 2);
	assert_int_equal(fix_get(&fix, "small", &small), STORE_OK);
	assert_int_equal(fix_get(&fix, "large", &large), STORE_OK);
	assert_int_equal(store_delete(fix.thread, &key, 0), STORE_OK);
	fix_put_pattern(&fix, "large", 10, 3);
	/* Two and a half times the memory, without a quiescent point. */
	for (unsigned i = 0; i < 160; i++) {
		snprintf(name, sizeof(name), "fill-%u", i);
		assert_int_equal(fix_put_pattern(&fix, name, 1000000, i), STORE_OK);
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
	fix_put_pattern(&fix, "small", 500, 1);
	fix_put_pattern(&fix, "large", 200000, 2);
	assert_int_equal(fix_get(&fix, "small", &small), STORE_OK);
	assert_int_equal(fix_get(&fix, "large", &large), STORE_OK);
	assert_true(store_pin(fix.thread, &small, &pin_small));
	assert_true(store_pin(fix.thread, &large, &pin_large));
	for (unsigned i = 0; i < 3000; i++) {
		snprintf(name, sizeof(name), "fill-%u", i);
		assert_int_equal(fix_put_pattern(&fix, name, 10000, i), STORE_OK);
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
		fix_put_pattern(&fix, name, 20000, i);
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
memory_limit_shrinks_and_grows_live(void **state)
{
	(void)state;
	struct fix fix = fix_open(64 * FIX_MIB);
	struct store_info info;
	char name[32];
	for (unsigned i = 0; i < 60000; i++) {
		snprintf(name, sizeof(name), "key-%u", i);
		fix_put_pattern(&fix, name, 900, i);
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
	assert_int_equal(fix_put_pattern(&fix, "x", 1000000, 1), STORE_OK);
	assert_int_equal(store_set_memory_limit(fix.store, 64 * FIX_MIB), 0);
	for (unsigned i = 0; i < 60000; i++) {
		snprintf(name, sizeof(name), "key-%u", i);
		assert_int_equal(fix_put_pattern(&fix, name, 900, i), STORE_OK);
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
		assert_int_equal(fix_put_pattern(&fix, name, 1000, i), STORE_OK);
	}
	store_quiesce(idle, FIX_NOW_S);
	store_thread_unregister(idle);
	fix_close(&fix);
}

/* What the limit no longer allows is free all the same, and what was evicted comes back when the thread goes on. */
static void
limit_cut_beside_a_stuck_thread_refuses_nothing_while_memory_is_free(void **state)
{
	(void)state;
	struct fix fix = fix_open(64 * FIX_MIB);
	struct store_thread *stuck = store_thread_register(fix.store, -1);
	char name[32];
	store_offline(stuck);
	for (unsigned i = 0; i < 60000; i++) {
		snprintf(name, sizeof(name), "key-%u", i);
		fix_put_pattern(&fix, name, 900, i);
	}
	assert_int_equal(store_set_memory_limit(fix.store, 32 * FIX_MIB), 0);
	fix_maintain_all(&fix);
	store_quiesce(stuck, FIX_NOW_S);
	assert_int_equal(store_set_memory_limit(fix.store, 8 * FIX_MIB), 0);
	for (unsigned i = 0; i < 5000; i++) {
		snprintf(name, sizeof(name), "more-%u", i);
		assert_int_equal(fix_put_pattern(&fix, name, 900, i), STORE_OK);
		fix_quiesce(&fix);
	}
	store_thread_unregister(stuck);
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
	fix_put_pattern(&fix, "seen", 1000, 77);
	struct store_key key = fix_key(&fix, "seen");
	assert_int_equal(store_get(stuck, &key, &view), STORE_OK);
	for (unsigned i = 0; i < 12000; i++) {
		snprintf(name, sizeof(name), "key-%u", i);
		if (fix_put_pattern(&fix, name, 1000, i) == STORE_NO_MEMORY && ++refused > 3)
			break;
		fix_quiesce(&fix);
	}
	assert_true(refused > 0);
	assert_true(fix_is_pattern(&fix, &view, 1000, 77));
	fix_check(&fix);
	store_quiesce(stuck, FIX_NOW_S);
	assert_int_equal(fix_put_pattern(&fix, "again", 1000, 1), STORE_OK);
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
		assert_int_equal(fix_put_pattern(&fix, name, i % 1000 ? 700 : 300000, i), STORE_OK);
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
	    cmocka_unit_test(memory_limit_shrinks_and_grows_live),
	    cmocka_unit_test(idle_thread_that_went_offline_holds_up_nobody),
	    cmocka_unit_test(limit_cut_beside_a_stuck_thread_refuses_nothing_while_memory_is_free),
	    cmocka_unit_test(stuck_thread_ends_in_no_memory_and_recovers),
	    cmocka_unit_test(handles_run_out_and_come_back),
	    cmocka_unit_test(forty_threads_share_the_smallest_store_without_refusal),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
