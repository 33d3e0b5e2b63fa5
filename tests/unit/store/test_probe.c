/*
 * Gets of a burst in stages against the same store asked key by key.
 */
#include "tests/unit/store/fixture.h"

#define BURST     32u
#define ROUNDS    3000u
#define KEYS      500u
#define VALUE_MAX 900u

static uint32_t
random_word(void)
{
	static uint64_t state = 7;

	return (uint32_t)random_next(&state);
}

static uint32_t
key_text(char *to, uint32_t number)
{
	/* 3 to 63 bytes: below, at and above all steps of hash and comparison */
	return (uint32_t)sprintf(to, "k%u%.*s", number, (int)(number % 60),
	    "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefghij");
}

static void
change_something(struct fix *fix)
{
	static uint8_t value[400000];
	char text[80];
	const uint32_t len = key_text(text, random_word() % KEYS), choice = random_word() % 20;
	const struct store_key key = store_key_make(fix->store, text, len);
	struct store_write write = {.mode = STORE_SET, .expires_s = STORE_EXPTIME_NEVER};
	uint32_t bytes = random_word() % (choice == 0 ? sizeof(value) : choice < 4 ? 1200 : 80);

	if (choice == 19 && random_word() % 50 == 0) {
		store_flush_all(fix->thread, 0);
	} else if (choice >= 17) {
		store_delete(fix->thread, &key, 0);
	} else {
		write.client_flags = random_word() % 3 ? 0 : random_word();
		if (random_word() % 4 == 0)
			write.expires_s = fix->now_s + random_word() % 5;
		memset(value, (int)random_word(), bytes);
		assert_int_equal(store_put(fix->thread, &key, &write, value, bytes, NULL), STORE_OK);
	}
	if (random_word() % 30 == 0)
		store_quiesce(fix->thread, ++fix->now_s);
}

static void
burst_of_gets_finds_what_each_get_finds(void **state)
{
	struct fix fix = fix_open(64 * FIX_MIB);
	char text[BURST][80];
	struct store_probe probes[BURST];
	struct store_found found[BURST];
	struct store_counters before, after;
	struct store_view view;
	unsigned hits = 0, left = 0, misses = 0;

	for (unsigned round = 0; round < ROUNDS; round++) {
		for (unsigned i = 0; i < 10; i++)
			change_something(&fix);
		const unsigned n = random_word() % (BURST + 1);
		for (unsigned i = 0; i < n; i++) {
			probes[i].key.len = key_text(text[i], random_word() % (KEYS + 50));
			probes[i].key.bytes = (const uint8_t *)text[i];
		}
		store_counters_sum(fix.store, &before);
		store_probe_hash(fix.store, probes, n);
		store_probe_load(fix.store, probes, n);
		const unsigned found_len = store_probe_get(fix.thread, probes, n, VALUE_MAX, found);
		store_counters_sum(fix.store, &after);
		unsigned counted[3] = {0};
		for (unsigned i = 0; i < n; i++) {
			assert_int_equal(
			    probes[i].key.hash, store_hash(fix.store, text[i], probes[i].key.len));
			const bool there = store_peek(fix.thread, &probes[i].key, &view) == STORE_OK;
			if (!there) {
				assert_null(found[i].value);
				assert_int_equal(found[i].value_bytes, 0);
				counted[0]++;
			} else if (view.value_bytes > VALUE_MAX) {
				assert_null(found[i].value);
				assert_int_not_equal(found[i].value_bytes, 0);
				counted[1]++;
			} else {
				assert_ptr_equal(found[i].value, view.value);
				assert_int_equal(found[i].value_bytes, view.value_bytes);
				assert_int_equal(found[i].client_flags, view.client_flags);
				assert_true(view.item_flags & STORE_ITEM_FETCHED);
				assert_int_equal(view.last_access_s, fix.now_s);
				counted[2]++;
			}
		}
		assert_int_equal(found_len, counted[2]);
		assert_int_equal(after.misses - before.misses, counted[0]);
		assert_int_equal(after.hits - before.hits, counted[2]);
		misses += counted[0];
		left += counted[1];
		hits += counted[2];
		store_quiesce(fix.thread, fix.now_s);
	}
	assert_true(hits > 1000 && left > 100 && misses > 1000);
	fix_close(&fix);
}

/* The index may split between the stages: what was looked up before is still found. */
static void
index_that_grows_between_stages_loses_no_key(void **state)
{
	struct fix fix = fix_open(64 * FIX_MIB);
	struct store_write write = {.mode = STORE_SET, .expires_s = STORE_EXPTIME_NEVER};
	char text[BURST][80], other[80];
	struct store_probe probes[BURST];
	struct store_found found[BURST];
	uint32_t next = 0;

	for (unsigned i = 0; i < BURST; i++) {
		probes[i].key.len = key_text(text[i], i);
		probes[i].key.bytes = (const uint8_t *)text[i];
		const struct store_key key = store_key_make(fix.store, text[i], probes[i].key.len);
		assert_int_equal(store_put(fix.thread, &key, &write, "v", 1, NULL), STORE_OK);
	}
	for (unsigned round = 0; round < 20; round++) {
		store_probe_hash(fix.store, probes, BURST);
		for (unsigned i = 0; i < 10000; i++) {
			const uint32_t len = (uint32_t)sprintf(other, "other%u", next++);
			const struct store_key key = store_key_make(fix.store, other, len);
			assert_int_equal(store_put(fix.thread, &key, &write, "w", 1, NULL), STORE_OK);
		}
		store_probe_load(fix.store, probes, BURST);
		assert_int_equal(store_probe_get(fix.thread, probes, BURST, VALUE_MAX, found), BURST);
		for (unsigned i = 0; i < BURST; i++)
			assert_int_equal(found[i].value[0], 'v');
		store_quiesce(fix.thread, fix.now_s);
	}
	fix_close(&fix);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(burst_of_gets_finds_what_each_get_finds),
	    cmocka_unit_test(index_that_grows_between_stages_loses_no_key),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
