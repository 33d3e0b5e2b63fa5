/*
 * Time: expiry and flush_all to the second, and memory that comes back in the background afterwards.
 */
#include "fixture.h"

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
		fix_put_pattern(&fix, name, 7000, i);
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
		fix_put_pattern(&fix, name, 1000, i);
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

#define PER_SEGMENT 128u /* items: those in a segment that is still open are not looked for */

/* Every other item lives for ten seconds, the rest for ever; then the ten seconds are over. */
static struct store_counters
counters_after_expiry(size_t memory_bytes, uint64_t *segments_freed)
{
	static const uint8_t value[480];
	char name[32];
	struct store_info before, after;
	struct fix fix = fix_open(memory_bytes);
	struct store_key key;
	unsigned items = (unsigned)(memory_bytes / 4 / 512);
	for (unsigned i = 0; i < items; i++) {
		struct store_write write = {.mode = STORE_SET, .expires_s = i % 2 ? FIX_NOW_S + 10 : 0};
		snprintf(name, sizeof(name), "key-%u", i);
		key = fix_key(&fix, name);
		assert_int_equal(store_put(fix.thread, &key, &write, value, sizeof(value), NULL), STORE_OK);
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
	static const uint8_t value[480];
	static const uint32_t ttl_s[] = {10, 40, 200, 900, 4000, 100000};
	char name[32];
	struct fix fix = fix_open(128 * FIX_MIB);
	struct store_key key;
	uint32_t now_s = 0;
	for (unsigned i = 0; i < 60000; i++) {
		struct store_write write = {.mode = STORE_SET, .expires_s = FIX_NOW_S + ttl_s[i % 6]};
		snprintf(name, sizeof(name), "key-%u", i);
		key = fix_key(&fix, name);
		assert_int_equal(store_put(fix.thread, &key, &write, value, sizeof(value), NULL), STORE_OK);
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

/* 10 000 items of each life: what segments hold of them is told by band, whatever is being filled apart. */
static void
memory_is_told_by_what_is_left_of_life(void **state)
{
	(void)state;
	static const uint8_t value[480];
	static const uint32_t ttl_s[] = {30, 600, 3000, 0};
	static const enum store_band band[] = {
	    STORE_BAND_minute, STORE_BAND_quarter, STORE_BAND_hour, STORE_BAND_never};
	struct store_band_info bands[STORE_BANDS];
	char name[32];
	struct fix fix = fix_open(128 * FIX_MIB);
	for (unsigned i = 0; i < 40000; i++) {
		struct store_write write = {.expires_s = ttl_s[i % 4] != 0 ? FIX_NOW_S + ttl_s[i % 4] : 0};
		snprintf(name, sizeof(name), "key-%u", i);
		struct store_key key = fix_key(&fix, name);
		assert_int_equal(store_put(fix.thread, &key, &write, value, sizeof(value), NULL), STORE_OK);
	}
	store_bands(fix.store, FIX_NOW_S, bands);
	for (unsigned i = 0; i < 4; i++)
		assert_in_range(
		    bands[band[i]].bytes, 10000 * sizeof(value) - 128 * 1024, 10000 * 2 * sizeof(value));
	assert_int_equal(bands[STORE_BAND_expired].segments, 0);
	assert_in_range(bands[STORE_BAND_open].segments, 4, 4 * 6);
	assert_int_equal(bands[STORE_BAND_open].bytes, 0);
	store_bands(fix.store, FIX_NOW_S + 601, bands);
	assert_in_range(
	    bands[STORE_BAND_expired].bytes, 20000 * sizeof(value) - 256 * 1024, 40000 * sizeof(value));
	assert_int_equal(bands[STORE_BAND_quarter].segments, 0);
	fix_close(&fix);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(expired_items_miss_at_their_second),
	    cmocka_unit_test(touch_extends_and_shortens),
	    cmocka_unit_test(exptime_is_memcacheds),
	    cmocka_unit_test(expired_memory_comes_back_in_the_background),
	    cmocka_unit_test(flush_now_spares_what_comes_later_in_the_second),
	    cmocka_unit_test(flush_later_takes_all_that_was_before_its_second),
	    cmocka_unit_test(flush_now_replaces_a_coming_flush),
	    cmocka_unit_test(flushed_memory_comes_back_in_the_background),
	    cmocka_unit_test(large_stores_expire_whole_segments_without_moving),
	    cmocka_unit_test(times_to_live_are_told_apart_by_a_factor_of_four),
	    cmocka_unit_test(memory_is_told_by_what_is_left_of_life),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
