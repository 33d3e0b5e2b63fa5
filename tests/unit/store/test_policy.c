/*
 * What goes first: where items are put by size and time, what moving does to their age, how soon expired memory is
 * back. All in virtual time.
 */
#include "tests/unit/store/fixture.h"

#include "store/alloc.h"
#include "store/internal.h"
#include "store/segment.h"

#define VALUE_BYTES 1000u
#define ROUNDS_MAX  100u
#define OPEN_ITEMS  70u /* as many may lie in an open segment, which nobody empties */

static void
set_sized(struct fix *fix, const char *kind, unsigned n, uint32_t value_bytes, uint32_t expires_s)
{
	static char value[64 << 10];
	const struct store_write write = {.mode = STORE_SET, .expires_s = expires_s};
	char name[32];

	snprintf(name, sizeof(name), "%s-%u", kind, n);
	struct store_key key = fix_key(fix, name);
	assert_int_equal(store_put(fix->thread, &key, &write, value, value_bytes, NULL), STORE_OK);
}

/* Writes len items of one size, or (0) of many, beside background work; returns the next number. */
static unsigned
write_on(struct fix *fix, const char *kind, unsigned from, unsigned len, uint32_t value_bytes)
{
	for (unsigned i = from; i < from + len; i++) {
		set_sized(fix, kind, i, value_bytes ? value_bytes : 125u << i % 6, STORE_EXPTIME_NEVER);
		fix_quiesce(fix);
		store_maintain(fix->thread, 64);
	}
	return from + len;
}

static unsigned
alive(struct fix *fix, const char *kind, unsigned len)
{
	char name[32];
	unsigned found = 0;

	for (unsigned i = 0; i < len; i++) {
		snprintf(name, sizeof(name), "%s-%u", kind, i);
		found += fix_has(fix, name);
	}
	fix_quiesce(fix);
	return found;
}

/* Writes until at most `most` of a kind are alive. */
static unsigned
write_until(struct fix *fix, const char *kind, unsigned len, unsigned most, unsigned from)
{
	for (unsigned round = 0; alive(fix, kind, len) > most; round++) {
		assert_true(round < ROUNDS_MAX);
		from = write_on(fix, "new", from, 100, 0);
	}
	return from;
}

static void
compacted_items_leave_with_others_of_their_age(void **state)
{
	(void)state;
	struct fix fix = fix_open(8 * FIX_MIB);
	char name[32];

	/* Nobody reads, so items of one size leave in the order in which they came. */
	unsigned next = write_on(&fix, "new", 0, 20000, 0);
	write_on(&fix, "peer", 0, 500, VALUE_BYTES);
	write_on(&fix, "old", 0, 1000, VALUE_BYTES);
	next = write_until(&fix, "peer", 500, 400, next);
	for (unsigned i = 0; i < 1000; i += 2) {
		snprintf(name, sizeof(name), "old-%u", i);
		struct store_key key = fix_key(&fix, name);
		assert_int_equal(store_delete(fix.thread, &key, 0), STORE_OK);
	}
	uint64_t compacted = fix_counters(&fix).segments_compacted;
	next = write_on(&fix, "new", next, 300, 0);
	assert_true(fix_counters(&fix).segments_compacted >= compacted + 10);
	assert_in_range(alive(&fix, "old", 1000), 450, 500);
	next = write_until(&fix, "peer", 500, OPEN_ITEMS, next);
	/* Grown young they would live as long as new ones. Classes are octaves, so it is no exact order. */
	write_on(&fix, "new", next, 2500, 0);
	assert_in_range(alive(&fix, "old", 1000), 0, OPEN_ITEMS);
	fix_close(&fix);
}

static uint32_t
class_found(struct fix *fix, const char *name)
{
	struct store_key key = fix_key(fix, name);
	struct store_view view;

	assert_int_equal(store_peek(fix->thread, &key, &view), STORE_OK);
	const struct partition *part = partition_of(fix->store, key.hash);
	return segment_of(part, pointer_location(part, view.item_))->class;
}

/* Stored in two pieces. */
static void
set_in_pieces(struct fix *fix, const char *name, uint32_t value_bytes)
{
	static uint8_t value[64 << 10];
	const struct store_write write = {.mode = STORE_SET};
	struct store_key key = fix_key(fix, name);
	struct store_fill *fill;

	assert_int_equal(store_reserve(fix->thread, &key, &write, value_bytes, &fill), STORE_OK);
	store_fill_append(fill, value, value_bytes / 2);
	fix_quiesce(fix);
	store_fill_append(fill, value, value_bytes - value_bytes / 2);
	assert_int_equal(store_fill_commit(fix->thread, fill, NULL), STORE_OK);
}

static void
values_in_pieces_lie_among_their_size(void **state)
{
	(void)state;
	struct fix fix = fix_open(64 * FIX_MIB);

	/* The first ones open the segments of the classes. */
	set_sized(&fix, "small", 0, 200, STORE_EXPTIME_NEVER);
	set_sized(&fix, "large", 0, 6000, STORE_EXPTIME_NEVER);
	set_in_pieces(&fix, "small-p", 200);
	set_in_pieces(&fix, "large-p", 6000);
	set_in_pieces(&fix, "chunked-p", 60000);
	assert_int_equal(class_found(&fix, "small-p"), class_found(&fix, "small-0"));
	assert_int_equal(class_found(&fix, "large-p"), class_found(&fix, "large-0"));
	assert_true(class_found(&fix, "small-p") > class_found(&fix, "large-p"));
	assert_true(class_found(&fix, "large-p") > class_found(&fix, "chunked-p"));
	fix_close(&fix);
}

static void
class_falls_with_size_and_rises_with_hits(void **state)
{
	(void)state;
	assert_int_equal(class_of(2 << 20, 0), 0);
	assert_int_equal(class_of(UINT32_MAX, 0), 0);
	assert_int_equal(class_of(1, 3), CLASSES - 1);
	for (uint32_t bytes = 64; bytes < 1u << 20; bytes += bytes / 3) {
		assert_int_equal(class_of(bytes, 0), class_of(2 * bytes, 0) + 1);
		assert_int_equal(class_of(bytes, 1), class_of(bytes, 0) + 1);
		assert_int_equal(class_of(bytes, 2), class_of(bytes, 1));
		assert_int_equal(class_of(bytes, 3), class_of(bytes, 0) + 2);
	}
}

/* Items that memory is held for though they expired more than lag_s ago, in thousandths of all that were written. */
static unsigned
expired_held(struct fix *fix, const uint32_t *expires_s, unsigned len, uint32_t lag_s)
{
	struct store_info info;
	unsigned wanted = 0;

	store_info_get(fix->store, &info);
	for (unsigned i = 0; i < len; i++)
		wanted += expires_s[i] + lag_s > fix->now_s;
	return info.items > wanted ? (unsigned)((info.items - wanted) * 1000 / len) : 0;
}

/* What a worker may do in a second is 20 000 slices of 512 items; this does a hundredth. */
static void
expired_bytes_are_back_within_five_seconds(void **state)
{
	(void)state;
	static uint32_t expires_s[120000];
	const unsigned len = sizeof(expires_s) / sizeof(expires_s[0]);
	struct fix fix = fix_open(128 * FIX_MIB);
	uint64_t random = 42;

	for (unsigned i = 0; i < len; i++) {
		expires_s[i] = fix.now_s + 5 + (uint32_t)(random_next(&random) % 60);
		set_sized(&fix, "ttl", i, (uint32_t)(random_next(&random) % 1500), expires_s[i]);
		fix_quiesce(&fix);
	}
	for (unsigned second = 0; second < 70; second++) {
		fix_pass(&fix, 1);
		for (unsigned i = 0; i < 200; i++) {
			store_maintain(fix.thread, 512);
			fix_quiesce(&fix);
		}
		assert_in_range(expired_held(&fix, expires_s, len, 5), 0, 20);
	}
	struct store_info info;
	store_info_get(fix.store, &info);
	assert_int_equal(info.items, 0);
	fix_close(&fix);
}

/* Else each second of a slow sender would cost a segment. */
static void
second_passes_values_on_their_way_share_a_segment(void **state)
{
	(void)state;
	struct fix fix = fix_open(8 * FIX_MIB);
	const struct store_write write = {.mode = STORE_SET, .expires_s = STORE_EXPTIME_NEVER};
	struct store_fill *fills[8];
	struct store_info before, after;
	char name[32];

	for (unsigned i = 0; i < 8; i++) {
		snprintf(name, sizeof(name), "slow-%u", i);
		struct store_key key = fix_key(&fix, name);
		assert_int_equal(store_reserve(fix.thread, &key, &write, VALUE_BYTES, &fills[i]), STORE_OK);
		if (i == 0)
			store_info_get(fix.store, &before);
		fix.now_s++;
		fix_quiesce(&fix);
	}
	store_info_get(fix.store, &after);
	for (unsigned i = 0; i < 8; i++)
		store_fill_abort(fix.thread, fills[i]);
	assert_int_equal(after.segments_free, before.segments_free);
	fix_close(&fix);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(compacted_items_leave_with_others_of_their_age),
	    cmocka_unit_test(values_in_pieces_lie_among_their_size),
	    cmocka_unit_test(class_falls_with_size_and_rises_with_hits),
	    cmocka_unit_test(expired_bytes_are_back_within_five_seconds),
	    cmocka_unit_test(second_passes_values_on_their_way_share_a_segment),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
