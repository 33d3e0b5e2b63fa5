/*
 * What is drawn follows the law that was asked for: popularity of keys, sizes, arrivals.
 */
#include "tests/load/popularity.h"
#include "tests/load/schedule.h"
#include "tests/load/sizes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <math.h>
#include <unistd.h>

#define TSC_HZ 2.5e9

static struct popularity
popularity_of(enum popularity_kind kind, uint32_t keys, double zipf)
{
	struct popularity popularity;
	struct popularity_config config = {
	    .kind = kind, .keys = keys, .zipf = zipf, .hot_keys = 0.01, .hot_share = 0.9};

	assert_true(popularity_init(&popularity, &config));
	return popularity;
}

/* The law itself: 1/rank^s over its sum. */
static double
zipf_law(uint32_t rank, uint32_t keys, double s)
{
	static double sum, sum_s;
	static uint32_t sum_keys;

	if (sum_keys != keys || sum_s != s) {
		sum = 0;
		for (uint32_t i = keys; i > 0; i--)
			sum += pow(i, -s);
		sum_keys = keys, sum_s = s;
	}
	return pow(rank + 1.0, -s) / sum;
}

static void
zipf_table_has_the_laws_chances(void **state)
{
	const double exponents[] = {0.2, 0.5, 0.99, 1.0, 1.2};
	const uint32_t ranks[] = {0, 1, 2, 10, 999, 32767, 32768, 50000, 100000, 999999};

	for (unsigned e = 0; e < sizeof(exponents) / sizeof(exponents[0]); e++) {
		struct popularity popularity = popularity_of(POPULARITY_ZIPF, 1000000, exponents[e]);
		for (unsigned i = 0; i < sizeof(ranks) / sizeof(ranks[0]); i++) {
			double law = zipf_law(ranks[i], 1000000, exponents[e]);
			double chance = popularity_chance(&popularity, ranks[i]);
			assert_true(fabs(chance / law - 1) < 0.005);
		}
		popularity_free(&popularity);
	}
}

static void
small_key_space_has_all_chances_of_the_law(void **state)
{
	struct popularity popularity = popularity_of(POPULARITY_ZIPF, 100, 0.99);
	double sum = 0;

	for (uint32_t rank = 0; rank < 100; rank++) {
		assert_true(
		    fabs(popularity_chance(&popularity, rank) / zipf_law(rank, 100, 0.99) - 1) < 1e-6);
		sum += popularity_chance(&popularity, rank);
	}
	assert_true(fabs(sum - 1) < 1e-6);
	popularity_free(&popularity);
}

static void
bins_cover_every_rank_once_whatever_the_key_count(void **state)
{
	const uint32_t counts[] = {1, 2, 32767, 32768, 32769, 65536, 65537, 100000, 12345678, 2000000000};

	for (unsigned i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
		struct popularity popularity = popularity_of(POPULARITY_ZIPF, counts[i], 0.99);
		uint64_t next = 0;
		assert_true(popularity.bins_len <= POPULARITY_BINS_MAX);
		for (uint32_t bin = 0; bin < popularity.bins_len; bin++) {
			assert_int_equal(popularity.bins[bin].first, next);
			next += popularity.bins[bin].width;
		}
		assert_int_equal(next, counts[i]);
		popularity_free(&popularity);
	}
}

static void
drawn_ranks_come_as_often_as_their_chance_says(void **state)
{
	struct popularity popularity = popularity_of(POPULARITY_ZIPF, 1000, 0.99);
	static uint32_t drawn[1000];
	const uint32_t draws = 2000000;
	struct load_rng rng;
	double chi2 = 0;

	load_rng_seed(&rng, 7);
	for (uint32_t i = 0; i < draws; i++)
		drawn[popularity_rank(&popularity, &rng)]++;
	for (uint32_t rank = 0; rank < 1000; rank++) {
		double expected = popularity_chance(&popularity, rank) * draws;
		chi2 += (drawn[rank] - expected) * (drawn[rank] - expected) / expected;
	}
	assert_true(chi2 > 999 - 6 * 45 && chi2 < 999 + 6 * 45); /* 999 degrees of freedom, deviation 44.7 */
	popularity_free(&popularity);
}

static void
hotspot_gives_the_hot_keys_their_share(void **state)
{
	struct popularity popularity = popularity_of(POPULARITY_HOTSPOT, 10000, 0);
	struct load_rng rng;
	uint32_t hot = 0;

	load_rng_seed(&rng, 8);
	for (uint32_t i = 0; i < 100000; i++)
		hot += popularity_rank(&popularity, &rng) < 100;
	assert_true(hot > 89400 && hot < 90600); /* 90000, six deviations of 95 */
	popularity_free(&popularity);
}

static void
shifted_ranks_wrap_within_the_keys(void **state)
{
	struct popularity popularity = popularity_of(POPULARITY_UNIFORM, 10, 0);
	struct load_rng rng;
	unsigned seen = 0;

	load_rng_seed(&rng, 9);
	for (unsigned i = 0; i < 1000; i++) {
		uint32_t key = popularity_key(&popularity, &rng, 9);
		assert_true(key < 10);
		seen |= 1u << key;
	}
	assert_int_equal(seen, 0x3ff);
	popularity_free(&popularity);
}

static void
sizes_have_their_published_means(void **state)
{
	static struct sizes sizes;

	assert_true(sizes_init(&sizes, SIZES_OF_KEYS, "16-64", 8, 250));
	assert_true(sizes.min == 16 && sizes.max == 64 && fabs(sizes.mean - 40) < 0.1);
	assert_true(sizes_init(&sizes, SIZES_OF_VALUES, "1k", 0, 1 << 20));
	assert_true(sizes.min == 1024 && sizes.max == 1024);
	assert_true(sizes_init(&sizes, SIZES_OF_KEYS, "usr", 8, 250));
	assert_true(sizes.min == 16 && sizes.max == 21);
	assert_true(sizes_init(&sizes, SIZES_OF_VALUES, "usr", 0, 1 << 20));
	assert_true(sizes.min == 2 && sizes.max == 2);
	assert_true(sizes_init(&sizes, SIZES_OF_KEYS, "etc", 8, 250));
	assert_true(sizes.mean > 30 && sizes.mean < 42);
	assert_true(sizes_init(&sizes, SIZES_OF_VALUES, "etc", 0, 1 << 20));
	assert_true(sizes.mean > 150 && sizes.mean < 350 && sizes.min == 0 && sizes.max > 2000);
	assert_true(sizes_init(&sizes, SIZES_OF_VALUES, "twitter", 0, 1 << 20));
	assert_true(
	    sizes_pick(&sizes, SIZES_QUANTILES / 2) > 225 && sizes_pick(&sizes, SIZES_QUANTILES / 2) < 235);
}

static void
senseless_sizes_are_refused(void **state)
{
	static struct sizes sizes;
	const char *const texts[] = {
	    "", "x", "-3", "64-16", "16-", "7", "251", "1e3", "16,20", "0x10", " 16", "nan"};

	for (unsigned i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		assert_false(sizes_init(&sizes, SIZES_OF_KEYS, texts[i], 8, 250));
}

/* Sums of gaps as the cursor plays them. */
static double
played_seconds(const struct schedule *schedule, double rate, uint32_t requests)
{
	struct schedule_cursor cursor;

	schedule_start(&cursor, schedule, 0, 0, rate, TSC_HZ);
	for (uint32_t i = 1; i < requests; i++)
		schedule_advance(&cursor);
	return (double)schedule_next_tsc(&cursor) / TSC_HZ;
}

static void
every_kind_of_arrivals_keeps_the_rate(void **state)
{
	char error[256];

	for (enum schedule_kind kind = SCHEDULE_POISSON; kind <= SCHEDULE_BURST; kind++) {
		struct schedule schedule;
		assert_true(schedule_init(&schedule, kind, 32, "", 1, error, sizeof(error)));
		assert_true(fabs(played_seconds(&schedule, 8e6, schedule.gaps_len) * 8e6 / schedule.gaps_len -
		                 1) < 1e-4);
		assert_true(
		    fabs(played_seconds(&schedule, 100, schedule.gaps_len * 2) * 50 / schedule.gaps_len - 1) <
		    1e-4);
		schedule_free(&schedule);
	}
}

static void
poisson_gaps_are_exponential(void **state)
{
	struct schedule schedule;
	double squares = 0, beyond = 0;
	char error[256];

	assert_true(schedule_init(&schedule, SCHEDULE_POISSON, 1, "", 1, error, sizeof(error)));
	for (uint32_t i = 0; i < schedule.gaps_len; i++) {
		double gap = schedule.gaps[i] / 65536.0;
		squares += (gap - 1) * (gap - 1) / schedule.gaps_len;
		beyond += (gap > 3) / (double)schedule.gaps_len;
	}
	assert_true(fabs(squares - 1) < 0.03);
	assert_true(fabs(beyond - exp(-3)) < 0.003);
	schedule_free(&schedule);
}

static void
burst_comes_at_once_then_nothing(void **state)
{
	struct schedule schedule;
	struct schedule_cursor cursor;
	char error[256];

	assert_true(schedule_init(&schedule, SCHEDULE_BURST, 4, "", 1, error, sizeof(error)));
	schedule_start(&cursor, &schedule, 0, 1000, 1000, TSC_HZ);
	for (unsigned i = 0; i < 12; i++, schedule_advance(&cursor))
		assert_int_equal(schedule_next_tsc(&cursor), 1000 + (i + 1) / 4 * 10000000ull);
	schedule_free(&schedule);
}

static void
trace_is_played_as_written_and_repeats(void **state)
{
	char path[] = "/tmp/wireload-trace-XXXXXX", error[256];
	struct schedule schedule;
	struct schedule_cursor cursor;
	int fd = mkstemp(path);

	assert_true(fd >= 0 && write(fd, "# times\n10\n10.001\n10.004\n\n10.004\n", 33) == 33);
	close(fd);
	assert_true(schedule_init(&schedule, SCHEDULE_TRACE, 1, path, 1, error, sizeof(error)));
	assert_true(fabs(schedule.trace_rate - 750) < 1e-6);
	schedule_start(&cursor, &schedule, 0, 0, schedule.trace_rate, 1e9);
	const double due_ms[] = {1, 4, 4, 5, 8, 8};
	for (unsigned i = 0; i < 6; i++, schedule_advance(&cursor))
		assert_true(fabs((double)schedule_next_tsc(&cursor) / 1e6 - due_ms[i]) < 0.001);
	schedule_free(&schedule);
	unlink(path);
}

static void
trace_that_goes_back_is_refused_by_line(void **state)
{
	char path[] = "/tmp/wireload-trace-XXXXXX", error[256];
	struct schedule schedule;
	int fd = mkstemp(path);

	assert_true(fd >= 0 && write(fd, "1\n2\n1.5\n", 8) == 8);
	close(fd);
	assert_false(schedule_init(&schedule, SCHEDULE_TRACE, 1, path, 1, error, sizeof(error)));
	assert_non_null(strstr(error, "line 3"));
	unlink(path);
	assert_false(schedule_init(&schedule, SCHEDULE_TRACE, 1, path, 1, error, sizeof(error)));
	assert_non_null(strstr(error, path));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(zipf_table_has_the_laws_chances),
	    cmocka_unit_test(small_key_space_has_all_chances_of_the_law),
	    cmocka_unit_test(bins_cover_every_rank_once_whatever_the_key_count),
	    cmocka_unit_test(drawn_ranks_come_as_often_as_their_chance_says),
	    cmocka_unit_test(hotspot_gives_the_hot_keys_their_share),
	    cmocka_unit_test(shifted_ranks_wrap_within_the_keys),
	    cmocka_unit_test(sizes_have_their_published_means),
	    cmocka_unit_test(senseless_sizes_are_refused),
	    cmocka_unit_test(every_kind_of_arrivals_keeps_the_rate),
	    cmocka_unit_test(poisson_gaps_are_exponential),
	    cmocka_unit_test(burst_comes_at_once_then_nothing),
	    cmocka_unit_test(trace_is_played_as_written_and_repeats),
	    cmocka_unit_test(trace_that_goes_back_is_refused_by_line),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
