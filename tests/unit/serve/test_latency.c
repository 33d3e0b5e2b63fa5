/*
 * Latency histograms: buckets, what is counted for which transport, sums. Time is what the test says.
 */
#include "dataplane/latency.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define TSC_HZ 2000000000u /* two cycles a nanosecond */

static struct latency latency;
static struct serve_counters counters;

static int
setup(void **state)
{
	memset(&counters, 0, sizeof(counters));
	latency_init(&latency, TSC_HZ);
	return 0;
}

/* Serves gets and sets over a transport, in a pass of its own. */
static void
pass(enum latency_transport transport, unsigned gets, unsigned sets, uint64_t ns)
{
	latency_serve(&latency, &counters, transport);
	counters.cmd_get += gets;
	counters.cmd_set += sets;
	latency_sent(&latency, &counters, 1000, 1000 + 2 * ns);
}

static uint64_t
total(enum latency_transport transport, enum latency_command command)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++)
		sum += latency.counts[transport][command][i];
	return sum;
}

static void
any_value_lies_between_its_bucket_and_the_next(void **state)
{
	for (uint64_t ns = 0; ns < 1u << 20; ns += 1 + ns / 1000) {
		unsigned bucket = histogram_bucket(ns);

		assert_true(histogram_floor_ns(bucket) <= ns);
		assert_true(ns < histogram_floor_ns(bucket + 1));
	}
	assert_int_equal(histogram_bucket((1ull << HISTOGRAM_DOUBLINGS) - 1), HISTOGRAM_BUCKETS - 1);
	assert_int_equal(histogram_floor_ns(HISTOGRAM_BUCKETS), 1ull << HISTOGRAM_DOUBLINGS);
}

static void
bucket_from_sixteen_on_is_at_most_a_sixteenth_wide(void **state)
{
	for (unsigned i = HISTOGRAM_STEPS; i < HISTOGRAM_BUCKETS; i++) {
		uint64_t low = histogram_floor_ns(i), high = histogram_floor_ns(i + 1);

		assert_true(high > low);
		assert_true((high - low) * HISTOGRAM_STEPS <= low);
	}
}

static void
value_beyond_the_last_bucket_is_counted_in_it(void **state)
{
	assert_int_equal(histogram_bucket(1ull << HISTOGRAM_DOUBLINGS), HISTOGRAM_BUCKETS - 1);
	assert_int_equal(histogram_bucket(UINT64_MAX), HISTOGRAM_BUCKETS - 1);
}

static void
percentile_of_known_values_is_in_their_bucket(void **state)
{
	uint64_t counts[HISTOGRAM_BUCKETS] = {0};

	assert_int_equal(histogram_percentile_ns(counts, 0.5), 0);
	for (unsigned ns = 1; ns <= 1000; ns++)
		counts[histogram_bucket(ns * 100)]++;
	for (unsigned i = 1; i < 100; i++) {
		uint64_t exact = 1000ull * i, found = histogram_percentile_ns(counts, i / 100.0);

		assert_in_range(
		    histogram_bucket(found), histogram_bucket(exact), histogram_bucket(exact) + 1);
	}
}

static void
pass_of_many_requests_counts_all_with_its_length(void **state)
{
	pass(LATENCY_TCP, 20, 3, 5000);
	assert_int_equal(latency.counts[LATENCY_TCP][LATENCY_GET][histogram_bucket(5000)], 20);
	assert_int_equal(latency.counts[LATENCY_TCP][LATENCY_SET][histogram_bucket(5000)], 3);
	assert_in_range(latency.sums_ns[LATENCY_TCP][LATENCY_GET], 20 * 4999, 20 * 5000);
	assert_int_equal(latency.requests[LATENCY_TCP], 23);
	assert_int_equal(latency.requests[LATENCY_UDP], 0);
	assert_int_equal(total(LATENCY_UDP, LATENCY_GET), 0);
	assert_false(latency.served);
}

static void
next_pass_counts_only_what_is_new(void **state)
{
	pass(LATENCY_TCP, 20, 0, 5000);
	pass(LATENCY_TCP, 2, 0, 100);
	assert_int_equal(latency.counts[LATENCY_TCP][LATENCY_GET][histogram_bucket(100)], 2);
	assert_int_equal(total(LATENCY_TCP, LATENCY_GET), 22);
	assert_int_equal(latency.requests[LATENCY_TCP], 2);
}

static void
pass_of_both_transports_keeps_them_apart(void **state)
{
	latency_serve(&latency, &counters, LATENCY_TCP);
	counters.cmd_get += 4;
	latency_serve(&latency, &counters, LATENCY_UDP);
	counters.cmd_get += 2;
	latency_serve(&latency, &counters, LATENCY_TCP);
	counters.delete_misses += 1;
	latency_sent(&latency, &counters, 0, 2000);
	assert_int_equal(total(LATENCY_TCP, LATENCY_GET), 4);
	assert_int_equal(total(LATENCY_UDP, LATENCY_GET), 2);
	assert_int_equal(total(LATENCY_TCP, LATENCY_DELETE), 1);
	assert_int_equal(latency.requests[LATENCY_TCP], 5);
	assert_int_equal(latency.requests[LATENCY_UDP], 2);
	assert_int_equal(latency.ns, 1000);
}

static void
every_counted_command_has_its_histogram(void **state)
{
	latency_serve(&latency, &counters, LATENCY_UDP);
	counters.incr_hits++;
	counters.decr_misses++;
	counters.cmd_touch++;
	counters.cmd_meta++;
	latency_sent(&latency, &counters, 0, 2000);
	assert_int_equal(total(LATENCY_UDP, LATENCY_DELTA), 2);
	assert_int_equal(total(LATENCY_UDP, LATENCY_TOUCH), 1);
	assert_int_equal(total(LATENCY_UDP, LATENCY_OTHER), 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(any_value_lies_between_its_bucket_and_the_next),
	    cmocka_unit_test(bucket_from_sixteen_on_is_at_most_a_sixteenth_wide),
	    cmocka_unit_test(value_beyond_the_last_bucket_is_counted_in_it),
	    cmocka_unit_test(percentile_of_known_values_is_in_their_bucket),
	    cmocka_unit_test_setup(pass_of_many_requests_counts_all_with_its_length, setup),
	    cmocka_unit_test_setup(next_pass_counts_only_what_is_new, setup),
	    cmocka_unit_test_setup(pass_of_both_transports_keeps_them_apart, setup),
	    cmocka_unit_test_setup(every_counted_command_has_its_histogram, setup),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
