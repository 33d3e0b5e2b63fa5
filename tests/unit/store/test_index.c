/*
 * Hash and index: quality and independence of the secret, tables that split, lines that overflow, full lines.
 */
#include "fixture.h"

#include "store/arena.h"
#include "store/index.h"

static void
hash_depends_on_secret_and_every_bit(void **state)
{
	(void)state;
	struct hash_keys one, two;
	uint8_t secret[16] = {1, 2, 3}, bytes[64] = {0};
	hash_keys_init(&one, secret);
	secret[15] ^= 1;
	hash_keys_init(&two, secret);
	for (unsigned len = 1; len <= sizeof(bytes); len++) {
		uint64_t base = hash_bytes(&one, bytes, len);
		assert_true(base != hash_bytes(&two, bytes, len));
		assert_true(base != hash_bytes(&one, bytes, len - 1));
		for (unsigned bit = 0; bit < 8 * len; bit++) {
			bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
			uint64_t changed = hash_bytes(&one, bytes, len);
			bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
			/* 32 bits change on average; 6 or fewer of 64 would be a 1 in 10^12 event. */
			assert_in_range(__builtin_popcountll(base ^ changed), 7, 57);
		}
	}
}

#define HOMES 940u /* of a table of 64 KiB, about */

static void
hash_of_similar_keys_fills_lines_evenly(void **state)
{
	(void)state;
	struct hash_keys keys;
	const uint8_t secret[16] = {9};
	static unsigned line[HOMES], part[32], top[256];
	const unsigned n = 1u << 20;
	hash_keys_init(&keys, secret);
	for (unsigned i = 0; i < n; i++) {
		char key[32];
		int len = snprintf(key, sizeof(key), "user:%08u:profile", i);
		uint64_t hash = hash_bytes(&keys, (const uint8_t *)key, (size_t)len);
		line[(hash & ((1u << HOME_BITS) - 1)) * HOMES >> HOME_BITS]++;
		part[hash >> 27 & 31]++;
		top[hash >> 56]++;
	}
	for (unsigned i = 0; i < HOMES; i++) /* 1115 of these each; six sigma are 200 */
		assert_in_range(line[i], n / HOMES - 210, n / HOMES + 210);
	for (unsigned i = 0; i < 32; i++)
		assert_in_range(part[i], n / 32 - 1100, n / 32 + 1100);
	for (unsigned i = 0; i < 256; i++)
		assert_in_range(top[i], n / 256 - 390, n / 256 + 390);
}

static void
plan_covers_memory_from_4_mib_to_32_gib(void **state)
{
	(void)state;
	for (size_t bytes = 4 * FIX_MIB; bytes <= (size_t)8 << LOCATION_BITS; bytes += bytes / 3) {
		struct arena_plan plan;
		arena_plan(bytes, &plan);
		size_t segment = (size_t)1 << plan.segment_shift;
		assert_in_range(segment, 64 << 10, 2 << 20);
		assert_true((plan.first_segment + plan.segments_len) * segment <= bytes);
		assert_true((plan.first_segment + plan.segments_len + 1) * segment > bytes);
		assert_true(
		    plan.directory_offset + (sizeof(uint32_t) << plan.directory_bits) <= plan.tables_offset);
		assert_true(plan.tables_offset + plan.tables_max * sizeof(uint32_t) <= plan.newest_offset);
		assert_true(plan.newest_offset + (sizeof(uint32_t) << plan.directory_bits >> REGION_BITS) <=
		            plan.first_segment * segment);
		/* Tables fit segments and share the directory evenly; tag, partition and home have bits of their own. */
		assert_true(plan.table_shift <= plan.segment_shift);
		assert_true(plan.tables_first <= 1u << plan.directory_bits);
		assert_true(plan.directory_bits - REGION_BITS + TAG_BITS + 32 <= 64);
		assert_true(bytes >> 12 <= 1ull << (32 - ENTRY_GENERATION_BITS));
		assert_true(plan.segments_len < 1u << HELD_SHIFT);
		/* At most 2 % before the first segment. */
		assert_true(plan.first_segment * 50 <= plan.segments_len);
	}
}

/* Keys whose hash agrees with another's under a mask, and in home line and count, found by trying. */
static unsigned
collide(struct fix *fix, unsigned from, uint64_t like, uint64_t mask, char name[32])
{
	const struct partition *part = partition_of(fix->store, 0);

	for (unsigned i = from;; i++) {
		snprintf(name, 32, "try-%u", i);
		uint64_t hash = fix_key(fix, name).hash;
		if (((hash ^ like) & mask) == 0 && hash_home(part, hash) == hash_home(part, like) &&
		    hash_count_shift(hash) == hash_count_shift(like))
			return i + 1;
	}
}

static void
keys_of_one_line_overflow_grow_and_are_all_found(void **state)
{
	(void)state;
	struct fix fix = fix_open(8 * FIX_MIB);
	/* One home line and one count in each table: more keys than home and count hold. */
	struct store_key first = fix_key(&fix, "try-0");
	char names[40][32];
	unsigned next = 0;
	for (unsigned n = 0; n < 40; n++) {
		next = collide(&fix, next, first.hash, 0, names[n]);
		assert_int_equal(fix_set(&fix, names[n], names[n]), STORE_OK);
		fix_check(&fix);
		for (unsigned i = 0; i <= n; i++)
			assert_value(&fix, names[i], names[i]);
		fix_quiesce(&fix);
	}
	assert_true(fix_counters(&fix).index_splits > 0);
	for (unsigned n = 0; n < 40; n += 2) {
		struct store_key key = fix_key(&fix, names[n]);
		assert_int_equal(store_delete(fix.thread, &key, 0), STORE_OK);
		fix_check(&fix);
	}
	for (unsigned n = 0; n < 40; n++)
		assert_true(fix_has(&fix, names[n]) == (n % 2 == 1));
	fix_close(&fix);
}

#define CROWD 200u

/*
 * Many more keys of one home line and one count than a table holds: what a table gives then finds no room in one that
 * has taken before, and must not be lost for that.
 */
static void
growth_without_eviction_loses_no_item(void **state)
{
	(void)state;
	struct store_config config = fix_config(8 * FIX_MIB);
	config.evict = false;
	struct fix fix = fix_open_config(&config);
	struct store_key first = fix_key(&fix, "try-0");
	static char names[CROWD][32];
	static bool stored[CROWD];
	unsigned next = 0, refused = 0;

	for (unsigned n = 0; n < CROWD; n++) {
		next = collide(&fix, next, first.hash, 0, names[n]);
		stored[n] = fix_set(&fix, names[n], names[n]) == STORE_OK;
		refused += !stored[n];
		for (unsigned i = 0; i <= n; i++)
			assert_int_equal(fix_has(&fix, names[i]), stored[i]);
		fix_quiesce(&fix);
	}
	assert_int_equal(refused, 0);
	assert_int_equal(fix_counters(&fix).evictions, 0);
	fix_close(&fix);
}

/* What a home line and one count of displaced items hold. */
#define HOME_MAX (LINE_SLOTS + CONTROL_COUNT_MAX)

static void
keys_that_no_growth_parts_evict_each_other(void **state)
{
	(void)state;
	struct fix fix = fix_open(8 * FIX_MIB);
	const struct partition *part = partition_of(fix.store, 0);
	/* The same entry of the directory, too: no growth can part them. */
	uint64_t mask = ~0ull << part->directory_shift;
	struct store_key first = fix_key(&fix, "try-0");
	char name[32];
	unsigned next = 0;
	for (unsigned n = 0; n < HOME_MAX + 4; n++) {
		next = collide(&fix, next, first.hash, mask, name);
		assert_int_equal(fix_set(&fix, name, "x"), STORE_OK);
		assert_true(fix_has(&fix, name));
	}
	struct store_info info;
	store_info_get(fix.store, &info);
	assert_int_equal(info.items, HOME_MAX);
	assert_int_equal(fix_counters(&fix).evicted_index, 4);
	fix_close(&fix);
}

/* Shares of a region's directory that its tables have. */
static void
shares_read(const struct partition *part, uint32_t shares[64], uint32_t *tables)
{
	*tables = atomic_load(&part->tables_len);
	assert_true(*tables <= 64);
	memset(shares, 0, 64 * sizeof(*shares));
	for (uint32_t i = 0; i < REGION_ENTRIES; i++)
		for (uint32_t t = 0; t < *tables; t++)
			shares[t] += table_pointer(part, part->directory[i]) == index_table(part, t);
}

static void
growth_keeps_shares_even_at_9_bytes_an_item(void **state)
{
	(void)state;
	struct fix fix = fix_open(16 * FIX_MIB);
	const struct partition *part = partition_of(fix.store, 0);
	uint32_t shares[64], tables, tables_before = 0;
	double bytes_an_item = 0; /* sum over the numbers of items from the fifth table on */
	unsigned len = 0;
	char name[32];

	for (unsigned n = 0; n < 290000; n++) {
		snprintf(name, sizeof(name), "%u", n);
		assert_int_equal(fix_set(&fix, name, ""), STORE_OK);
		fix_quiesce(&fix);
		tables = atomic_load(&part->tables_len);
		if (tables > 4) {
			bytes_an_item += (double)((size_t)tables << part->table_shift) / (n + 1);
			len++;
		}
		if (tables == tables_before)
			continue;
		tables_before = tables;
		shares_read(part, shares, &tables);
		uint32_t sum = 0, most = 0;
		for (uint32_t t = 0; t < tables; t++) {
			sum += shares[t];
			most = shares[t] > most ? shares[t] : most;
		}
		assert_int_equal(sum, REGION_ENTRIES);
		/* A third above the mean: a table that gave rarely. */
		assert_true(most * tables * 3 <= REGION_ENTRIES * 4);
	}
	assert_int_equal(fix_counters(&fix).evictions, 0);
	if (bytes_an_item > 9.0 * len)
		fail_msg("the index takes %.2f bytes an item", bytes_an_item / len);
	fix_close(&fix);
}

static void
item_shape_agrees_with_the_item_that_is_read_back(void **state)
{
	(void)state;
	for (unsigned mix = 0; mix < 16; mix++) {
		struct item_shape shape = {.key_len = 1 + mix * 16,
		    .value_bytes = mix * 1111,
		    .chunks = mix & 4 ? 3 : 0,
		    .client_flags = mix & 1,
		    .ext_cas = mix & 2};
		struct item *item = calloc(1, 32768);
		uint32_t flags = (shape.client_flags ? ITEM_CFLAGS : 0) | (shape.ext_cas ? ITEM_EXT_CAS : 0) |
		                 (shape.chunks ? ITEM_CHUNKED : 0);
		uint32_t len = shape.chunks ? shape.chunks : shape.value_bytes;
		item->meta = meta_make(0xabcdef012345, shape.key_len, flags);
		item->value_len = (uint16_t)len;
		item_hits_set(item, 1);
		item_expiry_set(item, ITEM_EXPIRY_MASK);
		item_count_hit(item);
		uint64_t meta = item_meta(item);
		assert_int_equal(item_record_bytes(item, meta), shape_bytes(&shape));
		assert_int_equal(record_bytes(item), shape_bytes(&shape));
		assert_int_equal(item_value(item, meta) - (uint8_t *)item, shape_value_offset(&shape));
		assert_int_equal(item_value_len(item), len);
		assert_int_equal(item_expiry(item), ITEM_EXPIRY_MASK);
		assert_int_equal(item_hits(item), 2);
		assert_true(meta_sequence(meta) == 0xabcdef012345);
		assert_int_equal(shape_bytes(&shape) % 8, 0);
		free(item);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(hash_depends_on_secret_and_every_bit),
	    cmocka_unit_test(hash_of_similar_keys_fills_lines_evenly),
	    cmocka_unit_test(plan_covers_memory_from_4_mib_to_32_gib),
	    cmocka_unit_test(keys_of_one_line_overflow_grow_and_are_all_found),
	    cmocka_unit_test(growth_without_eviction_loses_no_item),
	    cmocka_unit_test(keys_that_no_growth_parts_evict_each_other),
	    cmocka_unit_test(growth_keeps_shares_even_at_9_bytes_an_item),
	    cmocka_unit_test(item_shape_agrees_with_the_item_that_is_read_back),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
