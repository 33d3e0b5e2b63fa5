/*
 * The histogram: what is recorded comes back within its error, percentiles are those of a sorted list, merging is
 * adding.
 */
#include "tests/load/histogram.h"
#include "tests/load/rng.h"

#include "dataplane/histogram.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct histogram one, two;

static int
compare_u64(const void *a, const void *b)
{
	uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;

	return (left > right) - (left < right);
}

static void
every_value_falls_into_a_slot_within_the_error(void **state)
{
	struct load_rng rng;

	load_rng_seed(&rng, 1);
	for (unsigned i = 0; i < 1000000; i++) {
		uint64_t value = load_rng_next(&rng) >> (27 + i % 37);
		uint32_t slot = histogram_slot(value);
		assert_true(slot < HISTOGRAM_SLOTS);
		assert_true(histogram_slot_top(slot) >= value);
		assert_true(histogram_slot_top(slot) - value <= value / 1024);
		assert_true(slot == 0 || histogram_slot_top(slot - 1) < value);
	}
}

static void
slots_follow_each_other_without_gaps(void **state)
{
	for (uint32_t slot = 0; slot + 1 < HISTOGRAM_SLOTS; slot++) {
		assert_int_equal(histogram_slot(histogram_slot_top(slot)), slot);
		assert_int_equal(histogram_slot(histogram_slot_top(slot) + 1), slot + 1);
	}
}

static void
too_large_value_is_counted_in_the_last_slot(void **state)
{
	histogram_reset(&one);
	histogram_add(&one, UINT64_MAX / 2);
	assert_int_equal(one.counts[HISTOGRAM_SLOTS - 1], 1);
	assert_true(histogram_percentile(&one, 100) == UINT64_MAX / 2);
}

static void
percentiles_are_those_of_the_sorted_values(void **state)
{
	static uint64_t values[100000];
	const double asked[] = {0, 1, 50, 90, 99, 99.9, 99.99, 100};
	const size_t len = sizeof(values) / sizeof(values[0]);
	struct load_rng rng;

	load_rng_seed(&rng, 2);
	histogram_reset(&one);
	for (size_t i = 0; i < len; i++) {
		values[i] = load_rng_below(&rng, 1u << (10 + i % 20));
		histogram_add(&one, values[i]);
	}
	qsort(values, len, sizeof(values[0]), compare_u64);
	for (unsigned i = 0; i < sizeof(asked) / sizeof(asked[0]); i++) {
		size_t rank = (size_t)(asked[i] / 100 * (double)len + 0.999);
		uint64_t exact = values[rank > 0 ? rank - 1 : 0];
		uint64_t got = histogram_percentile(&one, asked[i]);
		assert_true(got >= exact && got - exact <= exact / 1024);
	}
	assert_true(one.min == values[0] && one.max == values[len - 1]);
}

static void
merged_histograms_equal_one_of_all_values(void **state)
{
	static struct histogram all;
	struct load_rng rng;

	load_rng_seed(&rng, 3);
	histogram_reset(&one);
	histogram_reset(&two);
	histogram_reset(&all);
	for (unsigned i = 0; i < 10000; i++) {
		uint64_t value = load_rng_below(&rng, 1u << 30);
		histogram_add(i % 3 == 0 ? &one : &two, value);
		histogram_add(&all, value);
	}
	histogram_merge(&one, &two);
	assert_memory_equal(one.counts, all.counts, sizeof(all.counts));
	assert_true(one.total == all.total && one.min == all.min && one.max == all.max);
}

/* What a value is counted as here and in the appliance's histogram: neighbouring buckets of the coarser one at most. */
static void
random_values_fall_within_a_bucket_of_the_appliances(void **state)
{
	struct load_rng rng;

	load_rng_seed(&rng, 4);
	for (unsigned i = 0; i < 100000; i++) {
		uint64_t value = load_rng_next(&rng) >> (30 + i % 34);
		unsigned bucket = histogram_bucket(value);
		unsigned ours = histogram_bucket(histogram_slot_top(histogram_slot(value)));
		assert_in_range(ours, bucket, bucket + 1);
		assert_true(histogram_floor_ns(bucket) <= value && value < histogram_floor_ns(bucket + 1));
	}
}

static void
percentiles_of_random_values_are_within_a_bucket_of_the_appliances(void **state)
{
	static uint64_t counts[HISTOGRAM_BUCKETS];
	const double asked[] = {1, 50, 90, 99, 99.9, 100};
	struct load_rng rng;

	load_rng_seed(&rng, 5);
	memset(counts, 0, sizeof(counts));
	histogram_reset(&one);
	for (unsigned i = 0; i < 100000; i++) {
		uint64_t value = load_rng_below(&rng, 1u << (8 + i % 23));
		counts[histogram_bucket(value)]++;
		histogram_add(&one, value);
	}
	for (unsigned i = 0; i < sizeof(asked) / sizeof(asked[0]); i++) {
		unsigned ours = histogram_bucket(histogram_percentile(&one, asked[i]));
		unsigned theirs = histogram_bucket(histogram_percentile_ns(counts, asked[i] / 100));
		assert_true(ours <= theirs + 1 && theirs <= ours + 1);
	}
}

static void
empty_histogram_has_no_percentile(void **state)
{
	histogram_reset(&one);
	assert_int_equal(histogram_percentile(&one, 99), 0);
	assert_true(histogram_mean(&one) == 0 && histogram_deviation(&one) == 0);
}

static void
mean_and_deviation_are_the_values(void **state)
{
	histogram_reset(&one);
	for (unsigned i = 0; i < 1000; i++) {
		histogram_add(&one, 100);
		histogram_add(&one, 300);
	}
	assert_true(histogram_mean(&one) == 200.0);
	assert_true(histogram_deviation(&one) == 100.0);
}

static void
hgrm_text_ends_with_every_value_counted(void **state)
{
	char *text = NULL;
	size_t bytes = 0;
	double value, share;
	unsigned long count, lines = 0;
	FILE *out = open_memstream(&text, &bytes);

	histogram_reset(&one);
	for (uint64_t i = 1; i <= 1000; i++)
		histogram_add(&one, i * 1000);
	histogram_write_hgrm(&one, out, 1000);
	fclose(out);
	double last_share = -1;
	unsigned long last_count = 0;
	for (char *line = strtok(text, "\n"); line != NULL; line = strtok(NULL, "\n")) {
		if (sscanf(line, "%lf %lf %lu", &value, &share, &count) != 3)
			continue;
		assert_true(share > last_share && count >= last_count);
		assert_true((double)count >= share * 1000 - 1e-6);
		assert_true(value * 1.001 + 1 >= share * 1000 && value <= 1000.0);
		last_share = share, last_count = count, lines++;
	}
	free(text);
	assert_true(lines > 20 && last_count == 1000 && last_share == 1.0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(every_value_falls_into_a_slot_within_the_error),
	    cmocka_unit_test(slots_follow_each_other_without_gaps),
	    cmocka_unit_test(too_large_value_is_counted_in_the_last_slot),
	    cmocka_unit_test(percentiles_are_those_of_the_sorted_values),
	    cmocka_unit_test(merged_histograms_equal_one_of_all_values),
	    cmocka_unit_test(random_values_fall_within_a_bucket_of_the_appliances),
	    cmocka_unit_test(percentiles_of_random_values_are_within_a_bucket_of_the_appliances),
	    cmocka_unit_test(empty_histogram_has_no_percentile),
	    cmocka_unit_test(mean_and_deviation_are_the_values),
	    cmocka_unit_test(hgrm_text_ends_with_every_value_counted),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
