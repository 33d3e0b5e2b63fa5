/*
 * The checker of linearisability must believe what can have happened and reject what cannot. Each history is written
 * by hand: lanes of operations with the moments of their begin and end.
 */
#include "../../linear/linear.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define LANES   3u
#define OPS_MAX 64u

struct history {
	struct linear_op ops[LANES][OPS_MAX];
	uint32_t len[LANES];
};

static struct history h;

static int
setup(void **state)
{
	(void)state;
	memset(&h, 0, sizeof(h));
	return 0;
}

static struct linear_op *
did(unsigned lane, uint64_t begin, uint64_t end, enum linear_kind kind)
{
	struct linear_op *op = &h.ops[lane][h.len[lane]++];
	*op = (struct linear_op){.begin = begin, .end = end, .kind = kind};
	return op;
}

static struct linear_value
value_of(const char *text)
{
	struct linear_value value = {.len = (uint32_t)strlen(text)};
	memcpy(value.bytes, text, value.len);
	return value;
}

static struct linear_op *
did_set(unsigned lane, uint64_t begin, uint64_t end, const char *text, uint64_t cas)
{
	struct linear_op *op = did(lane, begin, end, LINEAR_WRITE);
	op->write.mode = STORE_SET;
	op->value = value_of(text);
	op->new_cas = cas;
	return op;
}

static struct linear_op *
did_get(unsigned lane, uint64_t begin, uint64_t end, const char *text, uint64_t cas)
{
	struct linear_op *op = did(lane, begin, end, LINEAR_GET);
	op->status = text ? STORE_OK : STORE_NOT_FOUND;
	if (text)
		op->saw = (struct linear_seen){.value = value_of(text), .cas = cas};
	return op;
}

static void
did_incr(unsigned lane, uint64_t begin, uint64_t end, uint64_t number, uint64_t cas)
{
	struct linear_op *op = did(lane, begin, end, LINEAR_DELTA);
	op->change.amount = 1;
	op->number = number;
	op->new_cas = cas;
}

static enum linear_verdict
verdict(bool may_vanish)
{
	struct linear_lane lanes[LANES];
	for (unsigned i = 0; i < LANES; i++)
		lanes[i] = (struct linear_lane){h.ops[i], h.len[i]};
	return linear_check(lanes, LANES, may_vanish);
}

static void
reads_beside_a_write_may_see_either_value(void **state)
{
	(void)state;
	did_set(0, 1, 2, "a", 10);
	did_set(0, 3, 8, "b", 11);
	did_get(1, 4, 5, "a", 10);
	did_get(2, 6, 7, "b", 11);
	assert_int_equal(verdict(false), LINEAR_YES);
}

static void
old_value_after_a_new_one_is_rejected(void **state)
{
	(void)state;
	did_set(0, 1, 2, "a", 10);
	did_set(0, 3, 8, "b", 11);
	did_get(1, 4, 5, "b", 11);
	did_get(2, 6, 7, "a", 10);
	assert_int_equal(verdict(false), LINEAR_NO);
	assert_int_equal(verdict(true), LINEAR_NO);
}

static void
read_of_what_was_deleted_is_rejected(void **state)
{
	(void)state;
	did_set(0, 1, 2, "a", 10);
	did(0, 3, 4, LINEAR_DELETE);
	did_get(1, 5, 6, "a", 10);
	assert_int_equal(verdict(true), LINEAR_NO);
}

static void
item_that_outlives_a_flush_is_rejected(void **state)
{
	(void)state;
	did_set(0, 1, 2, "a", 10);
	did(1, 3, 4, LINEAR_FLUSH);
	struct linear_op *op = did_set(0, 2, 6, "b", 11);
	op->begin = 3;
	op->write.mode = STORE_REPLACE;
	did_get(1, 7, 8, "b", 11);
	assert_int_equal(verdict(false), LINEAR_NO);
}

static void
miss_is_believed_only_where_items_may_vanish(void **state)
{
	(void)state;
	did_set(0, 1, 2, "a", 10);
	did_get(1, 3, 4, NULL, 0);
	assert_int_equal(verdict(false), LINEAR_NO);
	assert_int_equal(verdict(true), LINEAR_YES);
}

static void
increments_at_once_must_both_count(void **state)
{
	(void)state;
	did_set(0, 1, 2, "5", 10);
	did_incr(0, 3, 6, 6, 11);
	did_incr(1, 4, 5, 7, 12);
	assert_int_equal(verdict(false), LINEAR_YES);
	h.ops[1][0].number = 6;
	assert_int_equal(verdict(false), LINEAR_NO);
}

static void
cas_has_one_winner(void **state)
{
	(void)state;
	did_set(0, 1, 2, "a", 10);
	for (unsigned lane = 0; lane < 2; lane++) {
		struct linear_op *op = did_set(lane, 3 + lane, 6 + lane, "b", 11 + lane);
		op->write.mode = STORE_CAS;
		op->write.cas = 10;
	}
	assert_int_equal(verdict(false), LINEAR_NO);
	h.ops[1][0].status = STORE_EXISTS;
	assert_int_equal(verdict(false), LINEAR_YES);
}

static void
token_has_one_winner(void **state)
{
	(void)state;
	did_set(0, 1, 2, "a", 10);
	did(0, 3, 4, LINEAR_INVALIDATE);
	for (unsigned lane = 0; lane < 2; lane++) {
		struct linear_op *op = did(lane, 5 + lane, 8 + lane, LINEAR_WIN);
		op->won = true;
		op->cas = 11;
	}
	assert_int_equal(verdict(false), LINEAR_NO);
	h.ops[1][0].won = false;
	assert_int_equal(verdict(false), LINEAR_YES);
}

static void
token_of_an_item_that_was_invalidated_since_is_rejected(void **state)
{
	(void)state;
	did_set(0, 1, 2, "a", 10);
	did(0, 3, 4, LINEAR_INVALIDATE);
	struct linear_op *op = did(1, 5, 6, LINEAR_WIN);
	op->won = true;
	op->cas = 10;
	assert_int_equal(verdict(false), LINEAR_NO);
}

static void
view_with_the_expiry_of_another_moment_is_rejected(void **state)
{
	(void)state;
	did_set(0, 1, 2, "a", 10);
	did(0, 3, 8, LINEAR_TOUCH)->expires_s = 500;
	struct linear_op *op = did_get(1, 4, 5, "a", 10);
	assert_int_equal(verdict(false), LINEAR_YES);
	op->saw.expires_s = 500;
	assert_int_equal(verdict(false), LINEAR_YES);
	op->saw.expires_s = 501;
	assert_int_equal(verdict(false), LINEAR_NO);
}

/* The first get is only right before the flush, the second only after. */
static void
flush_that_takes_keys_at_different_moments_is_rejected(void **state)
{
	(void)state;
	did_set(0, 1, 2, "a", 10);
	did_set(0, 3, 4, "b", 11)->key = 1;
	did(0, 5, 20, LINEAR_FLUSH);
	did_get(1, 6, 7, NULL, 0);
	did_get(1, 8, 9, "b", 11)->key = 1;
	assert_int_equal(verdict(false), LINEAR_NO);
	h.ops[1][1].status = STORE_NOT_FOUND;
	assert_int_equal(verdict(false), LINEAR_YES);
}

static void
append_under_an_older_cas_is_never_stored(void **state)
{
	(void)state;
	did_set(0, 1, 2, "a", 10);
	struct linear_op *op = did_set(0, 3, 4, "b", 11);
	op->write =
	    (struct store_write){.mode = STORE_APPEND, .cas_check = true, .cas = 9, .invalidate = true};
	op->status = STORE_STALE;
	assert_int_equal(verdict(false), LINEAR_NO);
	op->status = STORE_EXISTS;
	assert_int_equal(verdict(false), LINEAR_YES);
}

static void
cas_that_falls_is_rejected(void **state)
{
	(void)state;
	did_set(0, 1, 2, "a", 10);
	did_set(0, 3, 4, "b", 9);
	assert_int_equal(verdict(false), LINEAR_NO);
}

static void
long_history_of_overlapping_writes_is_decided(void **state)
{
	(void)state;
	for (unsigned i = 0; i < OPS_MAX - 1; i++)
		for (unsigned lane = 0; lane < LANES; lane++)
			did_set(lane, 10 * i + lane, 10 * i + 5 + lane, "a", 100 * i + lane + 1);
	did_get(2, 10000, 10001, "a", 100 * (OPS_MAX - 2) + 3);
	assert_int_equal(verdict(false), LINEAR_YES);
	h.ops[2][h.len[2] - 1].saw.cas--;
	assert_int_equal(verdict(false), LINEAR_NO);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup(reads_beside_a_write_may_see_either_value, setup),
	    cmocka_unit_test_setup(old_value_after_a_new_one_is_rejected, setup),
	    cmocka_unit_test_setup(read_of_what_was_deleted_is_rejected, setup),
	    cmocka_unit_test_setup(item_that_outlives_a_flush_is_rejected, setup),
	    cmocka_unit_test_setup(miss_is_believed_only_where_items_may_vanish, setup),
	    cmocka_unit_test_setup(increments_at_once_must_both_count, setup),
	    cmocka_unit_test_setup(cas_has_one_winner, setup),
	    cmocka_unit_test_setup(token_has_one_winner, setup),
	    cmocka_unit_test_setup(token_of_an_item_that_was_invalidated_since_is_rejected, setup),
	    cmocka_unit_test_setup(view_with_the_expiry_of_another_moment_is_rejected, setup),
	    cmocka_unit_test_setup(flush_that_takes_keys_at_different_moments_is_rejected, setup),
	    cmocka_unit_test_setup(append_under_an_older_cas_is_never_stored, setup),
	    cmocka_unit_test_setup(cas_that_falls_is_rejected, setup),
	    cmocka_unit_test_setup(long_history_of_overlapping_writes_is_decided, setup),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
