/*
 * Walking over all items: nothing is missed, whatever happens meanwhile.
 */
#include "fixture.h"

#define ITEMS_MAX 200000u

struct seen {
	struct fix *fix;
	unsigned items, visits;
	unsigned stop_after; /* visits that are taken in one call */
	unsigned in_call;
	bool refused;
	uint8_t times[ITEMS_MAX];
	struct store_entry last;
	char last_key[STORE_KEY_MAX + 1];
};

static struct seen seen;

static struct fix
open_with(size_t memory_bytes, unsigned items)
{
	struct fix fix = fix_open(memory_bytes);
	char name[32];

	memset(&seen, 0, sizeof(seen));
	seen.stop_after = UINT32_MAX;
	for (unsigned i = 0; i < items; i++) {
		snprintf(name, sizeof(name), "key-%u", i);
		assert_int_equal(fix_set(&fix, name, name), STORE_OK);
	}
	return fix;
}

static bool
visit(void *ctx, const struct store_entry *entry)
{
	struct seen *to = ctx;
	unsigned number;

	to->visits++;
	if (to->in_call == to->stop_after) {
		to->refused = true;
		return false;
	}
	to->in_call++;
	to->last = *entry;
	memcpy(to->last_key, entry->key, entry->key_len);
	to->last_key[entry->key_len] = '\0';
	if (sscanf(to->last_key, "key-%u", &number) == 1 && number < ITEMS_MAX) {
		to->times[number]++;
		to->items += to->times[number] == 1;
	}
	return true;
}

static bool
walk_on(struct fix *fix, struct store_cursor *cursor, unsigned budget)
{
	seen.in_call = 0;
	seen.refused = false;
	bool more = store_walk(fix->thread, cursor, budget, visit, &seen);
	fix_quiesce(fix);
	return more;
}

static void
empty_store_has_nothing_to_visit(void **state)
{
	(void)state;
	struct fix fix = open_with(8 * FIX_MIB, 0);
	struct store_cursor cursor = {0};
	while (walk_on(&fix, &cursor, 1000))
		continue;
	assert_int_equal(seen.visits, 0);
	assert_false(walk_on(&fix, &cursor, 1000));
	fix_close(&fix);
}

static void
quiet_store_is_visited_once_each_in_bounded_steps(void **state)
{
	(void)state;
	struct fix fix = open_with(64 * FIX_MIB, 100000);
	struct store_cursor cursor = {0};
	unsigned calls = 1;
	for (unsigned before = 0; walk_on(&fix, &cursor, 300); before = seen.visits, calls++)
		assert_in_range(seen.visits - before, 0, 306);
	assert_int_equal(seen.items, 100000);
	assert_int_equal(seen.visits, 100000);
	assert_in_range(calls, 100000 / 300, 10000);
	fix_close(&fix);
}

static void
refused_item_is_offered_again(void **state)
{
	(void)state;
	struct fix fix = open_with(8 * FIX_MIB, 1000);
	struct store_cursor cursor = {0};
	unsigned refusals = 0;
	seen.stop_after = 3;
	while (walk_on(&fix, &cursor, 1000))
		refusals += seen.refused;
	assert_in_range(refusals, 300, 334);
	assert_int_equal(seen.items, 1000);
	assert_int_equal(seen.visits, 1000 + refusals);
	fix_close(&fix);
}

static void
entry_tells_key_value_and_marks(void **state)
{
	(void)state;
	struct fix fix = open_with(8 * FIX_MIB, 0);
	struct store_cursor cursor = {0};
	struct store_view view;
	struct store_write write = {
	    .mode = STORE_SET, .client_flags = 9, .expires_s = FIX_NOW_S + 60, .key_binary = true};
	uint64_t cas;
	assert_int_equal(fix_put_with(&fix, "the key", "the value", &write, &cas), STORE_OK);
	fix_pass(&fix, 4);
	fix_get(&fix, "the key", &view);
	fix_pass(&fix, 4);
	struct store_counters before = fix_counters(&fix);
	while (walk_on(&fix, &cursor, 1000))
		continue;
	struct store_counters after = fix_counters(&fix);
	assert_memory_equal(&before, &after, sizeof(before));
	assert_int_equal(seen.visits, 1);
	assert_string_equal(seen.last_key, "the key");
	assert_int_equal(seen.last.view.value_bytes, 9);
	assert_int_equal(seen.last.view.client_flags, 9);
	assert_int_equal(seen.last.view.expires_s, FIX_NOW_S + 60);
	assert_int_equal(seen.last.view.last_access_s, FIX_NOW_S + 4);
	assert_true(seen.last.view.cas == cas);
	assert_int_equal(seen.last.view.item_flags, STORE_ITEM_FETCHED | STORE_ITEM_KEY_BINARY);
	assert_int_equal(
	    seen.last.total_bytes, 40); /* 16 of header, 4 of flags, 16 of key and value, rounded */
	fix_close(&fix);
}

static void
expired_and_flushed_items_are_passed_over(void **state)
{
	(void)state;
	struct fix fix = open_with(8 * FIX_MIB, 10);
	struct store_cursor cursor = {0};
	fix_set_until(&fix, "key-3", "x", FIX_NOW_S + 2);
	fix_pass(&fix, 2);
	while (walk_on(&fix, &cursor, 1000))
		continue;
	assert_int_equal(seen.visits, 9);
	store_flush_all(fix.thread, fix.now_s);
	cursor = (struct store_cursor){0};
	while (walk_on(&fix, &cursor, 1000))
		continue;
	assert_int_equal(seen.visits, 9);
	fix_close(&fix);
}

static void
items_of_all_partitions_are_visited(void **state)
{
	(void)state;
	struct store_config config = fix_config(32 * FIX_MIB);
	char name[32];
	config.nodes_len = 3;
	config.nodes[0] = config.nodes[1] = config.nodes[2] = -1;
	struct fix fix = fix_open_config(&config);
	struct store_cursor cursor = {0};
	memset(&seen, 0, sizeof(seen));
	seen.stop_after = UINT32_MAX;
	for (unsigned i = 0; i < 3000; i++) {
		snprintf(name, sizeof(name), "key-%u", i);
		fix_set(&fix, name, "v");
	}
	while (walk_on(&fix, &cursor, 500))
		continue;
	assert_int_equal(seen.items, 3000);
	assert_int_equal(seen.visits, 3000);
	fix_close(&fix);
}

/* The index grows from its first size on while the walk is under way, and old items are overwritten. */
static void
items_there_all_the_time_are_seen_while_the_index_splits(void **state)
{
	(void)state;
	enum { OLD = 20000, ALL = 190000 };
	struct fix fix = open_with(64 * FIX_MIB, OLD);
	struct store_cursor cursor = {0};
	char name[32];
	unsigned next = OLD, twice = 0;
	struct store_counters before = fix_counters(&fix);
	for (bool more = true; more;) {
		more = walk_on(&fix, &cursor, 200);
		for (unsigned i = 0; i < 300 && next < ALL; i++, next++) {
			snprintf(name, sizeof(name), "key-%u", next);
			assert_int_equal(fix_set(&fix, name, name), STORE_OK);
			snprintf(name, sizeof(name), "key-%u", next % OLD);
			assert_int_equal(fix_set(&fix, name, name), STORE_OK);
		}
	}
	assert_true(fix_counters(&fix).index_splits > before.index_splits + 2);
	for (unsigned i = 0; i < OLD; i++) {
		assert_int_not_equal(seen.times[i], 0);
		twice += seen.times[i] > 1;
	}
	assert_true(twice > 0);
	fix_close(&fix);
}

static void
items_there_all_the_time_are_seen_while_memory_turns_over(void **state)
{
	(void)state;
	struct fix fix = open_with(8 * FIX_MIB, 0);
	struct store_cursor cursor = {0};
	struct store_view view;
	char name[32], value[2001];
	memset(value, 'v', 2000);
	value[2000] = '\0';
	for (unsigned i = 0; i < 100; i++) {
		snprintf(name, sizeof(name), "key-%u", i);
		fix_set(&fix, name, "kept");
	}
	for (unsigned n = 0; walk_on(&fix, &cursor, 300); n++) {
		for (unsigned i = 0; i < 100; i++) { /* read, so that eviction moves them */
			snprintf(name, sizeof(name), "key-%u", i);
			fix_get(&fix, name, &view);
		}
		for (unsigned i = 0; i < 600; i++) {
			snprintf(name, sizeof(name), "filler-%u-%u", n, i);
			assert_int_equal(fix_set(&fix, name, value), STORE_OK);
			if (i % 50 == 0)
				fix_quiesce(&fix);
		}
	}
	assert_true(fix_counters(&fix).evictions > 1000);
	for (unsigned i = 0; i < 100; i++) {
		snprintf(name, sizeof(name), "key-%u", i);
		if (fix_has(&fix, name))
			assert_int_not_equal(seen.times[i], 0);
	}
	fix_close(&fix);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(empty_store_has_nothing_to_visit),
	    cmocka_unit_test(quiet_store_is_visited_once_each_in_bounded_steps),
	    cmocka_unit_test(refused_item_is_offered_again),
	    cmocka_unit_test(entry_tells_key_value_and_marks),
	    cmocka_unit_test(expired_and_flushed_items_are_passed_over),
	    cmocka_unit_test(items_of_all_partitions_are_visited),
	    cmocka_unit_test(items_there_all_the_time_are_seen_while_the_index_splits),
	    cmocka_unit_test(items_there_all_the_time_are_seen_while_memory_turns_over),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
