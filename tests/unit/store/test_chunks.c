/*
 * Values that would fit in one piece but not in the rest of their segment: they take that rest, too, as chunks.
 */
#include "small.h"

#define LOSS_PERCENT_MAX 5u
#define VALUE_MAX        1000000u

static void
fill_with(struct fix *to, uint32_t value_bytes, size_t bytes)
{
	static const uint8_t value[VALUE_MAX];
	const struct store_write write = {.mode = STORE_SET};
	char name[16];

	for (size_t i = 0; i * value_bytes < bytes; i++) {
		snprintf(name, sizeof(name), "key%08zu", i);
		struct store_key key = fix_key(to, name);
		assert_int_equal(store_put(to->thread, &key, &write, value, value_bytes, NULL), STORE_OK);
		fix_quiesce(to);
	}
}

static void
values_of_one_size_leave_little_of_their_segments_unused(void **state)
{
	(void)state;
	for (uint32_t value_bytes = 1500; value_bytes < VALUE_MAX; value_bytes += value_bytes / 13) {
		struct fix sized = fix_open(64 * FIX_MIB);
		struct store_info info;

		fill_with(&sized, value_bytes, 48 * FIX_MIB);
		store_info_get(sized.store, &info);
		uint64_t taken = (info.segments - info.segments_free) * info.segment_bytes - info.index_bytes;
		assert_in_range((taken - info.bytes) * 100 / taken, 0, LOSS_PERCENT_MAX - 1);
		fix_close(&sized);
	}
}

/* 4000 bytes and header: sixteen fill a segment but for a rest, which the seventeenth begins in. */
static void
values_across_the_end_of_a_segment_are_as_others(void **state)
{
	(void)state;
	char name[16], blanks[4001];

	memset(blanks, ' ', 4000);
	blanks[4000] = 0;
	for (unsigned i = 0; i < 200; i++) {
		snprintf(name, sizeof(name), "n%u", i);
		memcpy(blanks, "100 ", 4);
		assert_int_equal(fix_set(&fix, name, blanks), STORE_OK);
	}
	for (unsigned i = 0; i < 200; i++) {
		struct store_change change = {.amount = 1 + i};
		uint64_t number;

		snprintf(name, sizeof(name), "n%u", i);
		struct store_key key = fix_key(&fix, name);
		assert_int_equal(store_delta(fix.thread, &key, &change, &number, NULL), STORE_OK);
		assert_int_equal(number, 101 + i);
		assert_int_equal(fix_put(&fix, STORE_APPEND, name, "end"), STORE_OK);
		assert_int_equal(fix_put(&fix, STORE_PREPEND, name, "begin"), STORE_OK);
		fix_quiesce(&fix);
	}
	for (unsigned i = 0; i < 200; i++) {
		char expected[4016];

		snprintf(name, sizeof(name), "n%u", i);
		snprintf(expected, sizeof(expected), "begin%-4000uend", 101 + i);
		assert_value(&fix, name, expected);
	}
	fix_check(&fix);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(values_of_one_size_leave_little_of_their_segments_unused),
	    cmocka_unit_test_setup_teardown(
	        values_across_the_end_of_a_segment_are_as_others, setup, teardown),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
