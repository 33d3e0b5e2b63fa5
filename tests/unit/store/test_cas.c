/*
 * What a CAS is for: comparing, rising, and one that the client gives.
 */
#include "small.h"

static void
cas_compares_and_raises(void **state)
{
	(void)state;
	uint64_t cas = 0, next = 0;
	struct store_write write = {.mode = STORE_CAS, .cas = 1};
	assert_int_equal(fix_put_with(&fix, "a", "x", &write, NULL), STORE_NOT_FOUND);
	fix_set(&fix, "a", "1");
	cas = fix_cas(&fix, "a");
	write.cas = 0;
	assert_int_equal(fix_put_with(&fix, "a", "x", &write, NULL), STORE_EXISTS);
	write.cas = cas + 64;
	assert_int_equal(fix_put_with(&fix, "a", "x", &write, NULL), STORE_EXISTS);
	write.cas = cas;
	assert_int_equal(fix_put_with(&fix, "a", "2", &write, &next), STORE_OK);
	assert_true(next > cas);
	assert_int_equal(fix_put_with(&fix, "a", "3", &write, NULL), STORE_EXISTS);
	assert_value(&fix, "a", "2");
}

static void
set_with_cas_check_behaves_as_cas(void **state)
{
	(void)state;
	struct store_write write = {.mode = STORE_SET, .cas_check = true, .cas = 5};
	assert_int_equal(fix_put_with(&fix, "a", "x", &write, NULL), STORE_NOT_FOUND);
	fix_set(&fix, "a", "1");
	assert_int_equal(fix_put_with(&fix, "a", "x", &write, NULL), STORE_EXISTS);
	write.mode = STORE_APPEND;
	assert_int_equal(fix_put_with(&fix, "a", "x", &write, NULL), STORE_EXISTS);
	write.cas = fix_cas(&fix, "a");
	assert_int_equal(fix_put_with(&fix, "a", "x", &write, NULL), STORE_OK);
	assert_value(&fix, "a", "1x");
}

static void
every_change_but_touch_raises_cas(void **state)
{
	(void)state;
	uint64_t cas[7], result;
	struct store_key key = fix_key(&fix, "a");
	fix_set(&fix, "a", "1");
	cas[0] = fix_cas(&fix, "a");
	assert_int_equal(store_touch(fix.thread, &key, 0, NULL), STORE_OK);
	assert_true(fix_cas(&fix, "a") == cas[0]);
	fix_set(&fix, "a", "1");
	cas[1] = fix_cas(&fix, "a");
	fix_put(&fix, STORE_APPEND, "a", "2");
	cas[2] = fix_cas(&fix, "a");
	fix_put(&fix, STORE_PREPEND, "a", "3");
	cas[3] = fix_cas(&fix, "a");
	assert_int_equal(
	    store_delta(fix.thread, &key, &(struct store_change){.amount = 1}, &result, &cas[4]), STORE_OK);
	assert_true(cas[4] == fix_cas(&fix, "a"));
	assert_int_equal(store_invalidate(fix.thread, &key, 0, 0, NULL), STORE_OK);
	cas[5] = fix_cas(&fix, "a");
	fix_put(&fix, STORE_REPLACE, "a", "2");
	cas[6] = fix_cas(&fix, "a");
	for (unsigned i = 1; i < 7; i++)
		assert_true(cas[i] > cas[i - 1]);
}

static void
cas_off_shows_zero(void **state)
{
	(void)state;
	struct store_config config = fix_config(8 * FIX_MIB);
	config.cas = false;
	struct fix off = fix_open_config(&config);
	fix_set(&off, "a", "1");
	assert_true(fix_cas(&off, "a") == 0);
	fix_close(&off);
}

static void
given_cas_becomes_the_items(void **state)
{
	(void)state;
	struct store_key key = fix_key(&fix, "a");
	uint64_t cas = 0;
	struct store_write write = {
	    .mode = STORE_SET, .client_flags = 7, .cas_set = true, .cas_new = 0xfedcba9876543210ull};
	assert_int_equal(fix_put_with(&fix, "a", "1", &write, &cas), STORE_OK);
	assert_true(cas == write.cas_new && fix_cas(&fix, "a") == cas);
	assert_int_equal(store_delete(fix.thread, &key, 99), STORE_EXISTS);
	struct store_write compare = {.mode = STORE_CAS, .cas = cas};
	assert_int_equal(fix_put_with(&fix, "a", "2", &compare, &cas), STORE_OK);
	assert_true(cas != write.cas_new);
	fix_put_with(&fix, "a", "1", &write, &cas);
	assert_int_equal(store_invalidate(fix.thread, &key, 0, 0, NULL), STORE_OK);
	assert_true(fix_cas(&fix, "a") != cas);
	struct store_view view;
	assert_int_equal(fix_get(&fix, "a", &view), STORE_OK);
	assert_int_equal(view.client_flags, 7);
	assert_true(fix_view_is(&fix, &view, "1", 1));
}

static void
delete_checks_cas(void **state)
{
	(void)state;
	struct store_key key = fix_key(&fix, "a");
	assert_int_equal(store_delete(fix.thread, &key, 0), STORE_NOT_FOUND);
	fix_set(&fix, "a", "1");
	assert_int_equal(store_delete(fix.thread, &key, fix_cas(&fix, "a") + 1), STORE_EXISTS);
	assert_int_equal(store_delete(fix.thread, &key, fix_cas(&fix, "a")), STORE_OK);
	assert_missing(&fix, "a");
	fix_set(&fix, "a", "1");
	assert_int_equal(store_delete(fix.thread, &key, 0), STORE_OK);
	assert_missing(&fix, "a");
	struct store_info info;
	store_info_get(fix.store, &info);
	assert_int_equal(info.items, 0);
	assert_int_equal(info.bytes, 0);
}

static void
incr_with_a_given_cas_takes_it(void **state)
{
	(void)state;
	struct store_key key = fix_key(&fix, "a");
	struct store_change change = {.amount = 1, .cas_given = 77};
	uint64_t result, cas;
	fix_set_until(&fix, "a", "5", FIX_NOW_S + 9);
	assert_int_equal(store_delta(fix.thread, &key, &change, &result, &cas), STORE_OK);
	assert_int_equal(cas, 77);
	assert_int_equal(fix_cas(&fix, "a"), 77);
	change = (struct store_change){.amount = 1, .cas = 77};
	assert_int_equal(store_delta(fix.thread, &key, &change, &result, &cas), STORE_OK);
	assert_int_equal(result, 7);
	assert_int_not_equal(fix_cas(&fix, "a"), 77);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(cas_compares_and_raises),
	    TEST(set_with_cas_check_behaves_as_cas),
	    TEST(every_change_but_touch_raises_cas),
	    TEST(cas_off_shows_zero),
	    TEST(given_cas_becomes_the_items),
	    TEST(delete_checks_cas),
	    TEST(incr_with_a_given_cas_takes_it),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
