/*
 * Fills that stay open: what slow senders hold must not keep the rest of the store from being used again.
 */
#include "fixture.h"

#define VALUE_BYTES 1000000u
#define SENT_BYTES  900000u

static uint8_t *bytes;

static int
group_setup(void **state)
{
	(void)state;
	bytes = calloc(1, VALUE_BYTES);
	return bytes ? 0 : -1;
}

static int
group_teardown(void **state)
{
	(void)state;
	free(bytes);
	return 0;
}

static struct store_fill *
begin(struct fix *fix, const char *name)
{
	struct store_write write = {.mode = STORE_SET};
	struct store_key key = fix_key(fix, name);
	struct store_fill *fill;

	assert_int_equal(store_reserve(fix->thread, &key, &write, VALUE_BYTES, &fill), STORE_OK);
	assert_int_equal(store_fill_append(fill, bytes, SENT_BYTES), SENT_BYTES);
	return fill;
}

static void
put_large(struct fix *fix, unsigned number)
{
	struct store_write write = {.mode = STORE_SET};
	struct store_key key;
	char name[16];

	snprintf(name, sizeof(name), "large%u", number);
	key = fix_key(fix, name);
	assert_int_equal(store_put(fix->thread, &key, &write, bytes, VALUE_BYTES, NULL), STORE_OK);
	store_maintain(fix->thread, 64);
	fix_quiesce(fix);
}

/* Segments go by age, so those of a slow fill become the oldest. */
static void
slow_fills_hide_no_victims_behind_them(void **state)
{
	(void)state;
	struct fix fix = fix_open(64 * FIX_MIB);
	struct store_fill *fills[8];
	char name[] = "slow0";

	for (unsigned i = 0; i < 8; i++) {
		name[4] = (char)('0' + i);
		fills[i] = begin(&fix, name);
	}
	for (unsigned i = 0; i < 300; i++)
		put_large(&fix, i);
	for (unsigned i = 0; i < 8; i++) {
		assert_int_equal(store_fill_append(fills[i], bytes, VALUE_BYTES), VALUE_BYTES - SENT_BYTES);
		assert_int_equal(store_fill_commit(fix.thread, fills[i], NULL), STORE_OK);
	}
	for (unsigned i = 300; i < 600; i++)
		put_large(&fix, i);
	fix_close(&fix);
}

/* Sixty hold more than fills may; whoever comes later than their time gets what they held. */
static void
fills_that_take_too_long_make_room_for_others(void **state)
{
	(void)state;
	struct fix fix = fix_open(64 * FIX_MIB);
	struct store_fill *fills[60];
	char name[] = "slow00";

	for (unsigned i = 0; i < 60; i++) {
		name[4] = (char)('0' + i / 10);
		name[5] = (char)('0' + i % 10);
		struct store_write write = {.mode = STORE_SET};
		struct store_key key = fix_key(&fix, name);
		uint32_t value_bytes = i % 4 ? VALUE_BYTES : 3000;
		if (store_reserve(fix.thread, &key, &write, value_bytes, &fills[i]) != STORE_OK)
			fills[i] = NULL;
		else
			store_fill_append(fills[i], bytes, value_bytes - 1);
		fix_quiesce(&fix);
	}
	assert_null(fills[59]);
	fix_pass(&fix, 10);
	for (unsigned i = 0; i < 100; i++)
		put_large(&fix, i);
	unsigned given_up = 0;
	for (unsigned i = 0; i < 60; i++) {
		if (!fills[i])
			continue;
		assert_int_equal(store_fill_append(fills[i], bytes, VALUE_BYTES), 1);
		enum store_status status = store_fill_commit(fix.thread, fills[i], NULL);
		assert_true(status == STORE_OK || status == STORE_NO_MEMORY);
		given_up += status == STORE_NO_MEMORY;
	}
	assert_int_not_equal(given_up, 0);
	fix_close(&fix);
}

static void
set_that_runs_out_of_memory_takes_the_old_item_along(void **state)
{
	(void)state;
	struct fix fix = fix_open(64 * FIX_MIB);
	struct store_write write = {.mode = STORE_SET};
	struct store_key key = fix_key(&fix, "stale");
	struct store_fill *late, *fills[60];
	struct store_view view;

	assert_int_equal(fix_put(&fix, STORE_SET, "stale", "old"), STORE_OK);
	assert_int_equal(store_reserve(fix.thread, &key, &write, VALUE_BYTES, &late), STORE_OK);
	for (unsigned i = 0; i < 60; i++) {
		struct store_key other = fix_key(&fix, "other");
		if (store_reserve(fix.thread, &other, &write, VALUE_BYTES, &fills[i]) == STORE_OK)
			store_fill_append(fills[i], bytes, SENT_BYTES);
	}
	assert_int_equal(store_fill_append(late, bytes, VALUE_BYTES), VALUE_BYTES);
	assert_int_equal(store_fill_commit(fix.thread, late, NULL), STORE_NO_MEMORY);
	assert_int_equal(fix_get(&fix, "stale", &view), STORE_NOT_FOUND);
	for (unsigned i = 0; i < 60; i++)
		if (fills[i])
			store_fill_abort(fix.thread, fills[i]);
	fix_close(&fix);
}

/* A record of 64 bytes: one of them ends where a segment does. */
static struct store_fill *
begin_small(struct fix *fix, const char *name)
{
	struct store_write write = {.mode = STORE_SET};
	struct store_key key = fix_key(fix, name);
	struct store_fill *fill;

	assert_int_equal(store_reserve(fix->thread, &key, &write, 40, &fill), STORE_OK);
	return fill;
}

/* The later one begins the segment behind, is given up, and then the earlier one looks like the last in there. */
static void
fills_given_up_on_both_sides_of_a_segments_end_leave_both_whole(void **state)
{
	(void)state;
	struct fix fix = fix_open(8 * FIX_MIB);
	char name[16];

	for (unsigned i = 0; i < 5000; i++) {
		struct store_fill *earlier = begin_small(&fix, "earlier");
		struct store_fill *later = begin_small(&fix, "later--");
		store_fill_abort(fix.thread, later);
		store_fill_abort(fix.thread, earlier);
		snprintf(name, sizeof(name), "key%05u", i);
		assert_int_equal(fix_put_pattern(&fix, name, 40, i), STORE_OK);
		fix_quiesce(&fix);
	}
	for (unsigned i = 0; i < 5000; i++) {
		snprintf(name, sizeof(name), "key%05u", i);
		fix_assert_pattern(&fix, name, 40, i);
	}
	fix_close(&fix);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(slow_fills_hide_no_victims_behind_them),
	    cmocka_unit_test(set_that_runs_out_of_memory_takes_the_old_item_along),
	    cmocka_unit_test(fills_that_take_too_long_make_room_for_others),
	    cmocka_unit_test(fills_given_up_on_both_sides_of_a_segments_end_leave_both_whole),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
