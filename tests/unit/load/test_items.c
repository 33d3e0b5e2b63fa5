/*
 * Values that describe themselves: any change of any byte shows, an old version shows, another key's value shows.
 */
#include "tests/load/items.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const uint32_t totals[] = {0, 1, 2, 7, 8, 9, 15, 16, 17, 23, 24, 32, 100, 1000};

#define TOTALS (sizeof(totals) / sizeof(totals[0]))

static struct value_check
checked(const uint8_t *value, uint64_t hash, uint32_t total, uint32_t step)
{
	struct value_check check;

	value_check_begin(&check, hash, total);
	for (uint32_t at = 0; at < total; at += step)
		value_check_feed(&check, value + at, total - at < step ? total - at : step, UINT32_MAX);
	return check;
}

static void
written_value_is_right_in_pieces_of_any_size(void **state)
{
	uint8_t value[1000];

	for (unsigned i = 0; i < TOTALS; i++)
		for (uint32_t step = 1; step <= 40; step++) {
			value_write(value, 77, 5, totals[i], 0, totals[i]);
			struct value_check check = checked(value, 77, totals[i], step);
			assert_true(check.right && check.done == totals[i]);
			assert_int_equal(value_check_version(&check), totals[i] >= 8 ? 5 : 0);
		}
}

static void
value_written_in_pieces_equals_one_written_whole(void **state)
{
	uint8_t whole[1000], pieces[1000];

	value_write(whole, 9, 3, sizeof(whole), 0, sizeof(whole));
	for (uint32_t step = 1; step < 60; step++) {
		memset(pieces, 0, sizeof(pieces));
		for (uint32_t at = 0; at < sizeof(pieces); at += step)
			value_write(pieces + at, 9, 3, sizeof(pieces), at,
			    sizeof(pieces) - at < step ? (uint32_t)sizeof(pieces) - at : step);
		assert_memory_equal(whole, pieces, sizeof(whole));
	}
}

static void
any_flipped_bit_is_found(void **state)
{
	uint8_t value[1000];

	for (unsigned i = 0; i < TOTALS; i++)
		for (uint32_t bit = 0; bit < totals[i] * 8; bit++) {
			value_write(value, 77, 5, totals[i], 0, totals[i]);
			value[bit / 8] ^= (uint8_t)(1u << bit % 8);
			assert_false(checked(value, 77, totals[i], 1000).right);
			assert_false(checked(value, 77, totals[i], 13).right);
		}
}

static void
value_of_another_key_is_found(void **state)
{
	uint8_t value[1000];

	for (unsigned i = 1; i < TOTALS; i++) {
		value_write(value, item_hash(1), 5, totals[i], 0, totals[i]);
		assert_false(checked(value, item_hash(2), totals[i], 1000).right && totals[i] > 2);
	}
}

static void
stretch_in_the_wrong_place_is_found(void **state)
{
	uint8_t value[1000];

	value_write(value, 77, 5, 1000, 0, 1000);
	memmove(value + 64, value + 128, 64);
	assert_false(checked(value, 77, 1000, 1000).right);
}

static void
head_only_check_looks_no_further(void **state)
{
	uint8_t value[100];
	struct value_check check;

	value_write(value, 77, 5, 100, 0, 100);
	value[50] ^= 1;
	value_check_begin(&check, 77, 100);
	value_check_feed(&check, value, 100, VALUE_HEAD_BYTES);
	assert_true(check.right && value_check_version(&check) == 5);
	value[3] ^= 1;
	value_check_begin(&check, 77, 100);
	value_check_feed(&check, value, 100, VALUE_HEAD_BYTES);
	assert_false(check.right);
}

static struct items
items_of(uint32_t keys, const char *key_size)
{
	struct items items = {0};

	assert_true(items_init(&items, keys, true));
	assert_true(sizes_init(&items.key_sizes, SIZES_OF_KEYS, key_size, ITEMS_KEY_MIN, ITEMS_KEY_MAX));
	assert_true(sizes_init(&items.value_sizes, SIZES_OF_VALUES, "32", 0, ITEMS_VALUE_MAX));
	return items;
}

static void
keys_are_distinct_and_made_of_printable_bytes(void **state)
{
	static char keys[4096][ITEMS_KEY_ROOM];
	struct items items = items_of(4096, "8-250");

	for (uint32_t i = 0; i < 4096; i++) {
		uint32_t bytes = item_key(&items, i, (uint8_t *)keys[i]);
		assert_true(bytes >= 8 && bytes <= 250);
		keys[i][bytes] = '\0';
		assert_int_equal(strspn(keys[i], "0123456789abcdef"), bytes);
	}
	qsort(keys, 4096, sizeof(keys[0]), (int (*)(const void *, const void *))strcmp);
	for (uint32_t i = 1; i < 4096; i++)
		assert_true(strcmp(keys[i - 1], keys[i]) != 0);
	items_free(&items);
}

static void
old_version_is_stale_and_unsent_one_is_wrong(void **state)
{
	struct items items = items_of(4, "16");

	assert_int_equal(
	    item_judge(&items, 1, item_floor(&items, 1), 99), ITEM_RIGHT); /* nothing known yet */
	for (uint32_t version = 1; version <= 3; version++) {
		assert_int_equal(item_change(&items, 1), version);
		item_changed(&items, 1, version, true);
	}
	uint32_t floor = item_floor(&items, 1);
	assert_int_equal(floor, 3);
	assert_int_equal(item_judge(&items, 1, floor, 2), ITEM_STALE);
	assert_int_equal(item_judge(&items, 1, floor, 3), ITEM_RIGHT);
	assert_int_equal(item_judge(&items, 1, floor, 4), ITEM_WRONG);
	items_free(&items);
}

static void
change_under_way_may_be_seen_and_allows_no_second(void **state)
{
	struct items items = items_of(4, "16");

	item_changed(&items, 1, item_change(&items, 1), true);
	uint32_t floor = item_floor(&items, 1), version = item_change(&items, 1);
	assert_int_equal(version, 2);
	assert_int_equal(item_change(&items, 1), 0);
	assert_int_equal(item_judge(&items, 1, floor, 1), ITEM_RIGHT);
	assert_int_equal(item_judge(&items, 1, floor, 2), ITEM_RIGHT);
	assert_int_equal(item_judge(&items, 1, floor, 3), ITEM_WRONG);
	item_changed(&items, 1, version, false); /* lost: it may have happened or not */
	assert_int_equal(item_judge(&items, 1, item_floor(&items, 1), 1), ITEM_RIGHT);
	assert_int_equal(item_judge(&items, 1, item_floor(&items, 1), 2), ITEM_RIGHT);
	assert_int_equal(item_change(&items, 1), 3);
	items_free(&items);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(written_value_is_right_in_pieces_of_any_size),
	    cmocka_unit_test(value_written_in_pieces_equals_one_written_whole),
	    cmocka_unit_test(any_flipped_bit_is_found),
	    cmocka_unit_test(value_of_another_key_is_found),
	    cmocka_unit_test(stretch_in_the_wrong_place_is_found),
	    cmocka_unit_test(head_only_check_looks_no_further),
	    cmocka_unit_test(keys_are_distinct_and_made_of_printable_bytes),
	    cmocka_unit_test(old_version_is_stale_and_unsent_one_is_wrong),
	    cmocka_unit_test(change_under_way_may_be_seen_and_allows_no_second),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
