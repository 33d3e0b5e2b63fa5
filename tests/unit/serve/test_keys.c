/*
 * Hot keys: what a sample of a known load says about it. Large keys, and that every command's keys are sampled.
 */
#include "dataplane/bigkeys.h"
#include "dataplane/hotkeys.h"
#include "tests/unit/serve/fixture.h"

#include <math.h>

#define KEYS        1000000u
#define EXPONENT    0.99
#define SAMPLES     500000u /* of each worker: less than makes them age */
#define WORKERS     2u
#define TOP         10u
#define SHARE_ERROR 0.10

static struct hotkeys *workers[WORKERS];

static int
setup(void **state)
{
	for (unsigned i = 0; i < WORKERS; i++)
		workers[i] = hotkeys_create();
	return 0;
}

static int
teardown(void **state)
{
	for (unsigned i = 0; i < WORKERS; i++)
		hotkeys_destroy(workers[i]);
	return 0;
}

static uint64_t
mix(uint64_t x)
{
	return random_next(&x);
}

static void
add(struct hotkeys *hotkeys, unsigned rank)
{
	char key[32];
	int len = snprintf(key, sizeof(key), "key-%u", rank);

	hotkeys_add(hotkeys, mix(rank + 12345), (const uint8_t *)key, (uint32_t)len);
}

static unsigned
rank_of(const struct hotkeys_hot *hot)
{
	unsigned rank = KEYS;

	assert_int_equal(sscanf((const char *)hot->key.bytes, "key-%u", &rank), 1);
	return rank;
}

/* The share of all requests that each rank has, added up. */
static double *
zipf_sums(void)
{
	double *sums = malloc(KEYS * sizeof(*sums)), sum = 0;

	assert_non_null(sums);
	for (unsigned i = 0; i < KEYS; i++)
		sums[i] = sum += pow(i + 1, -EXPONENT);
	for (unsigned i = 0; i < KEYS; i++)
		sums[i] /= sum;
	return sums;
}

static unsigned
zipf_draw(const double *sums, uint64_t random)
{
	double wanted = (double)(random >> 11) / (double)(1ull << 53);
	unsigned low = 0, high = KEYS - 1;

	while (low < high) {
		unsigned middle = (low + high) / 2;

		if (sums[middle] < wanted)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static void
zipf_load_on_two_workers_shows_the_ten_hottest_and_their_shares(void **state)
{
	double *sums = zipf_sums();
	struct hotkeys_hot hot[TOP];
	uint64_t samples;
	bool found[TOP] = {false};

	for (unsigned i = 0; i < SAMPLES * WORKERS; i++)
		add(workers[i % WORKERS], zipf_draw(sums, mix(i)));
	assert_int_equal(
	    hotkeys_merge((const struct hotkeys *const *)workers, WORKERS, hot, TOP, &samples), TOP);
	assert_int_equal(samples, SAMPLES * WORKERS);
	for (unsigned i = 0; i < TOP; i++) {
		unsigned rank = rank_of(&hot[i]);
		double truth, share = (double)hot[i].count / (double)samples;

		assert_in_range(rank, 0, TOP - 1);
		assert_false(found[rank]);
		found[rank] = true;
		truth = sums[rank] - (rank != 0 ? sums[rank - 1] : 0);
		assert_true(fabs(share - truth) <= SHARE_ERROR * truth);
	}
	free(sums);
}

static void
what_was_hot_long_ago_gives_way(void **state)
{
	struct hotkeys_hot hot[1];
	uint64_t samples;

	for (unsigned i = 0; i < HOTKEYS_SAMPLES_MAX / 2; i++)
		add(workers[0], 1);
	for (unsigned i = 0; i < HOTKEYS_SAMPLES_MAX; i++)
		add(workers[0], 2);
	assert_int_equal(hotkeys_merge((const struct hotkeys *const *)workers, 1, hot, 1, &samples), 1);
	assert_int_equal(rank_of(&hot[0]), 2);
	assert_true(samples < HOTKEYS_SAMPLES_MAX);
	assert_true(hot[0].count * 10 > samples * 6);
}

static void
gap_between_samples_is_as_asked_on_average(void **state)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < 100000; i++) {
		uint32_t gap = hotkeys_gap(workers[0], 128);

		assert_in_range(gap, 1, 255);
		sum += gap;
	}
	assert_in_range(sum, 127 * 100000, 129 * 100000);
	assert_int_equal(hotkeys_gap(workers[0], 1), 1);
}

static void
nothing_sampled_is_nothing_hot(void **state)
{
	struct hotkeys_hot hot[TOP];
	uint64_t samples;

	assert_int_equal(
	    hotkeys_merge((const struct hotkeys *const *)workers, WORKERS, hot, TOP, &samples), 0);
	assert_int_equal(samples, 0);
}

/* ---- large keys ------------------------------------------------------------------------------- */

static void
note(struct bigkeys *bigkeys, unsigned number, uint32_t value_bytes, uint32_t now_s)
{
	char key[16];
	int len = snprintf(key, sizeof(key), "big-%u", number);

	bigkeys_note(bigkeys, (const uint8_t *)key, (uint32_t)len, value_bytes, now_s);
}

static void
many_large_keys_keep_the_largest_in_order(void **state)
{
	static struct bigkeys bigkeys;
	const struct bigkeys *all[] = {&bigkeys};
	struct bigkeys_entry out[BIGKEYS_LEN];

	memset(&bigkeys, 0, sizeof(bigkeys));
	for (unsigned i = 1; i <= 100; i++)
		note(&bigkeys, i, 10000 + (i * 37 % 101) * 1000, 1000);
	assert_int_equal(bigkeys_merge(all, 1, 1000, out, BIGKEYS_LEN), BIGKEYS_LEN);
	for (unsigned i = 0; i < BIGKEYS_LEN; i++)
		assert_int_equal(out[i].value_bytes, 10000 + (100 - i) * 1000);
}

static void
key_on_two_workers_shows_its_later_size(void **state)
{
	static struct bigkeys one, two;
	const struct bigkeys *all[] = {&one, &two};
	struct bigkeys_entry out[4];

	note(&one, 1, 90000, 1000);
	note(&one, 2, 50000, 1000);
	note(&two, 1, 20000, 1001);
	assert_int_equal(bigkeys_merge(all, 2, 1001, out, 4), 2);
	assert_int_equal(out[0].value_bytes, 50000);
	assert_int_equal(out[1].value_bytes, 20000);
	assert_int_equal(out[1].seen_s, 1001);
}

static void
key_not_seen_for_an_hour_makes_room(void **state)
{
	static struct bigkeys bigkeys;
	const struct bigkeys *all[] = {&bigkeys};
	struct bigkeys_entry out[BIGKEYS_LEN];
	bool found = false;

	for (unsigned i = 1; i <= BIGKEYS_LEN; i++)
		note(&bigkeys, i, 90000, 1000);
	note(&bigkeys, 50, 3000, 1001);
	note(&bigkeys, 51, 3000, 1000 + BIGKEYS_KEPT_S);
	assert_int_equal(bigkeys_merge(all, 1, 1001, out, BIGKEYS_LEN), BIGKEYS_LEN);
	for (unsigned i = 0; i < BIGKEYS_LEN; i++) {
		assert_memory_not_equal(out[i].key.bytes, "big-50", 6);
		found |= memcmp(out[i].key.bytes, "big-51", 6) == 0;
	}
	assert_true(found);
}

/* ---- through serve ---------------------------------------------------------------------------- */

static uint64_t
samples_of(struct fixture *f, struct hotkeys_hot *hot, unsigned room, unsigned *len)
{
	const struct hotkeys *one[] = {serve_keys(f->serve)->hot};
	uint64_t samples;

	*len = hotkeys_merge(one, 1, hot, room, &samples);
	return samples;
}

static void
keys_of_every_command_are_sampled(void **state)
{
	struct fixture *f = *state;
	struct hotkeys_hot hot[4];
	unsigned len;

	fixture_say(f, "set hot 0 0 1\r\n1\r\nget hot\r\nget hot\r\nincr hot 1\r\nmg hot v\r\ngat 10 hot\r\n"
	               "delete hot\r\nget cold\r\n");
	assert_int_equal(samples_of(f, hot, 4, &len), 8);
	assert_int_equal(len, 2);
	assert_int_equal(hot[0].count, 7);
	assert_int_equal(hot[0].key.len, 3);
	assert_memory_equal(hot[0].key.bytes, "hot", 3);
	assert_int_equal(hot[1].count, 1);
}

static void
key_that_was_peeked_at_is_sampled_too(void **state)
{
	static const uint8_t request[] = "get peeked\r\n";
	struct fixture *f = *state;
	struct hotkeys_hot hot[2];
	uint32_t consumed;
	unsigned len;

	serve_peek(f->serve, request, sizeof(request) - 1);
	serve_peeked(f->serve);
	assert_int_equal(
	    serve_bytes(f->session, request, sizeof(request) - 1, &f->sink, &consumed), SERVE_GO_ON);
	assert_int_equal(serve_counters(f->serve)->peek_hits, 1);
	assert_int_equal(samples_of(f, hot, 2, &len), 1);
	assert_memory_equal(hot[0].key.bytes, "peeked", 6);
}

static void
sampling_switched_off_and_on_again_is_obeyed(void **state)
{
	struct fixture *f = *state;
	struct hotkeys_hot hot[4];
	unsigned len;

	atomic_store(&f->sample_every, 0);
	for (unsigned i = 0; i < 100; i++)
		fixture_say(f, "get k\r\n");
	assert_int_equal(samples_of(f, hot, 4, &len), 0);
	atomic_store(&f->sample_every, 1);
	for (unsigned i = 0; i < 66000; i++)
		fixture_say(f, "get k\r\n");
	assert_in_range(samples_of(f, hot, 4, &len), 400, 66000);
}

static void
large_value_read_or_taken_in_pieces_is_noted(void **state)
{
	struct fixture *f = *state;
	const struct bigkeys *one[] = {&serve_keys(f->serve)->big};
	struct bigkeys_entry big[2];
	struct hotkeys_key largest;
	char head[64], value[5000];

	memset(value, 'x', sizeof(value));
	snprintf(head, sizeof(head), "set large 0 0 %zu\r\n", sizeof(value));
	fixture_say(f, head);
	fixture_feed(f, value, sizeof(value));
	fixture_say(f, "\r\nset small 0 0 1\r\n1\r\n");
	assert_int_equal(bigkeys_merge(one, 1, f->now_s, big, 2), 1);
	assert_int_equal(big[0].value_bytes, sizeof(value));
	serve_tick(f->serve, f->now_s);
	assert_int_equal(serve_largest(f->serve, &largest), 0);
	fixture_say(f, "get large\r\nget small\r\n");
	assert_int_equal(serve_largest(f->serve, &largest), sizeof(value));
	assert_memory_equal(largest.bytes, "large", 5);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(
	        zipf_load_on_two_workers_shows_the_ten_hottest_and_their_shares, setup, teardown),
	    cmocka_unit_test_setup_teardown(what_was_hot_long_ago_gives_way, setup, teardown),
	    cmocka_unit_test_setup_teardown(gap_between_samples_is_as_asked_on_average, setup, teardown),
	    cmocka_unit_test_setup_teardown(nothing_sampled_is_nothing_hot, setup, teardown),
	    cmocka_unit_test(many_large_keys_keep_the_largest_in_order),
	    cmocka_unit_test(key_on_two_workers_shows_its_later_size),
	    cmocka_unit_test(key_not_seen_for_an_hour_makes_room),
	    fixture_test(keys_of_every_command_are_sampled),
	    fixture_test(key_that_was_peeked_at_is_sampled_too),
	    fixture_test(sampling_switched_off_and_on_again_is_obeyed),
	    fixture_test(large_value_read_or_taken_in_pieces_is_noted),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
