/*
 * Keys made to collide under a hash that has no secret cost no more than random ones. The million here have one and the same
 * FNV-1a (32 bits): twenty places, two choices each that lead to the same state.
 */
#include "fixture.h"

#define BLOCKS    20u
#define BLOCK     4u
#define KEYS      (1u << BLOCKS)
#define KEY_BYTES (BLOCKS * BLOCK)
#define BINS      (1u << 18)
#define TABLE     (1u << 20)

struct block {
	uint8_t bytes[BLOCK];
};

static struct block choice[BLOCKS][2];

static uint32_t
fnv1a(uint32_t state, const uint8_t *bytes, uint32_t len)
{
	for (uint32_t i = 0; i < len; i++)
		state = (state ^ bytes[i]) * 16777619u;
	return state;
}

/* Two blocks that take the hash from one state to the same next one. By birthday: tens of thousands of tries. */
static uint32_t
find_pair(uint32_t state, uint64_t *random, struct block pair[2])
{
	static struct {
		uint32_t after;
		struct block block;
		bool taken;
	} seen[TABLE];

	memset(seen, 0, sizeof(seen));
	for (;;) {
		uint64_t drawn = random_next(random) >> 16;
		struct block block;
		memcpy(block.bytes, &drawn, BLOCK);
		uint32_t after = fnv1a(state, block.bytes, BLOCK);
		uint32_t at = after % TABLE;
		if (seen[at].taken && seen[at].after == after &&
		    memcmp(&seen[at].block, &block, BLOCK) != 0) {
			pair[0] = seen[at].block;
			pair[1] = block;
			return after;
		}
		seen[at].after = after;
		seen[at].block = block;
		seen[at].taken = true;
	}
}

static void
crafted_key(uint32_t n, uint8_t key[KEY_BYTES])
{
	for (uint32_t i = 0; i < BLOCKS; i++)
		memcpy(key + i * BLOCK, choice[i][n >> i & 1].bytes, BLOCK);
}

static void
random_key(uint32_t n, uint8_t key[KEY_BYTES])
{
	fix_pattern(key, KEY_BYTES, n + 1);
}

struct cost {
	uint64_t splits, index_bytes, evictions;
	uint64_t shared_low, shared_high; /* pairs of keys in one bin, by the hash's low and high bits */
};

static struct cost
cost_of(void (*make)(uint32_t, uint8_t *))
{
	static uint32_t low[BINS], high[BINS];
	struct fix fix = fix_open(256 * FIX_MIB);
	struct store_write write = {.mode = STORE_SET};
	struct cost cost = {0};
	struct store_info info;
	uint8_t bytes[KEY_BYTES];

	memset(low, 0, sizeof(low));
	memset(high, 0, sizeof(high));
	for (uint32_t n = 0; n < KEYS; n++) {
		make(n, bytes);
		struct store_key key = store_key_make(fix.store, bytes, KEY_BYTES);
		cost.shared_low += low[key.hash % BINS]++;
		cost.shared_high += high[key.hash >> 46]++;
		assert_int_equal(store_put(fix.thread, &key, &write, "1", 1, NULL), STORE_OK);
		if (n % 64 == 0)
			fix_quiesce(&fix);
	}
	store_info_get(fix.store, &info);
	struct store_counters counters = fix_counters(&fix);
	cost.splits = counters.index_splits;
	cost.evictions = counters.evictions;
	cost.index_bytes = info.index_bytes;
	fix_close(&fix);
	return cost;
}

static void
million_keys_that_collide_without_a_secret_cost_as_much_as_random_ones(void **state)
{
	uint64_t random = 88172645463325252ull;
	uint32_t hash = 2166136261u;
	uint8_t key[KEY_BYTES];

	(void)state;
	for (uint32_t i = 0; i < BLOCKS; i++)
		hash = find_pair(hash, &random, choice[i]);
	for (uint32_t n = 0; n < KEYS; n += 4999) {
		crafted_key(n, key);
		assert_int_equal(fnv1a(2166136261u, key, KEY_BYTES), hash);
	}
	struct cost crafted = cost_of(crafted_key), plain = cost_of(random_key);
	print_message("# crafted: %llu splits, %llu + %llu pairs share a bin; random: %llu, %llu + %llu\n",
	    (unsigned long long)crafted.splits, (unsigned long long)crafted.shared_low,
	    (unsigned long long)crafted.shared_high, (unsigned long long)plain.splits,
	    (unsigned long long)plain.shared_low, (unsigned long long)plain.shared_high);
	assert_int_equal(crafted.evictions, 0);
	assert_int_equal(plain.evictions, 0);
	assert_true(crafted.splits * 10 <= plain.splits * 11 + 10);
	assert_true(crafted.index_bytes * 10 <= plain.index_bytes * 11);
	assert_true(crafted.shared_low * 50 <= plain.shared_low * 51);
	assert_true(crafted.shared_high * 50 <= plain.shared_high * 51);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(million_keys_that_collide_without_a_secret_cost_as_much_as_random_ones),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
