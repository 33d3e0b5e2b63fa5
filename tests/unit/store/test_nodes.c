/*
 * Partitions on several NUMA nodes: the numbers are the test's, the machine need not have them.
 */
#include "fixture.h"

#include "store/internal.h"

#define KEYS 3000u

static struct store_config
nodes_config(size_t memory_bytes, unsigned nodes)
{
	struct store_config config = fix_config(memory_bytes);

	config.nodes_len = nodes;
	for (unsigned i = 0; i < nodes; i++)
		config.nodes[i] = (int)i;
	return config;
}

static struct store_key
numbered_key(const struct fix *fix, uint32_t n, char name[32])
{
	snprintf(name, 32, "key-%u", n);
	return fix_key(fix, name);
}

static void
put_all(struct fix *fix, uint32_t bytes)
{
	uint8_t *value = malloc(bytes);
	char name[32];

	for (uint32_t n = 0; n < KEYS; n++) {
		struct store_key key = numbered_key(fix, n, name);
		struct store_write write = {.mode = STORE_SET};
		fix_pattern(value, bytes, n);
		assert_int_equal(store_put(fix->thread, &key, &write, value, bytes, NULL), STORE_OK);
	}
	free(value);
}

/* Keys whose partition lies on a node. */
static uint32_t
keys_on(const struct fix *fix, int node)
{
	char name[32];
	uint32_t len = 0;

	for (uint32_t n = 0; n < KEYS; n++)
		len += partition_of(fix->store, numbered_key(fix, n, name).hash)->node == node;
	return len;
}

static void
keys_spread_evenly_over_nodes_and_come_back(void **state)
{
	(void)state;
	for (unsigned nodes = 1; nodes <= STORE_NODES_MAX; nodes++) {
		struct store_config config = nodes_config(64 * FIX_MIB, nodes);
		struct fix fix = fix_open_config(&config);
		struct store_view view;
		char name[32];

		put_all(&fix, 300);
		for (uint32_t n = 0; n < KEYS; n++) {
			struct store_key key = numbered_key(&fix, n, name);
			assert_int_equal(store_get(fix.thread, &key, &view), STORE_OK);
			assert_true(fix_is_pattern(&fix, &view, 300, n));
		}
		/* 32 shares of the hash: a node gets one more than another at most. */
		for (unsigned i = 0; i < nodes; i++)
			assert_in_range(keys_on(&fix, (int)i), KEYS / nodes * 3 / 5, KEYS / nodes * 8 / 5);
		fix_close(&fix);
	}
}

static void
operations_are_counted_by_their_distance(void **state)
{
	(void)state;
	struct store_config config = nodes_config(32 * FIX_MIB, 2);
	struct fix fix = {.now_s = FIX_NOW_S};
	struct store_view view;
	char error[STORE_ERROR_MAX], name[32];

	assert_int_equal(store_create(&config, &fix.store, error), 0);
	fix.thread = store_thread_register(fix.store, 1);
	uint32_t near = keys_on(&fix, 1);
	put_all(&fix, 20);
	struct store_counters after_put = fix_counters(&fix);
	assert_int_equal(after_put.accesses_local, near);
	assert_int_equal(after_put.accesses_remote, KEYS - near);
	for (uint32_t n = 0; n < KEYS; n++) {
		struct store_key key = numbered_key(&fix, n, name);
		assert_int_equal(store_get(fix.thread, &key, &view), STORE_OK);
		assert_int_equal(store_touch(fix.thread, &key, STORE_EXPTIME_NEVER, NULL), STORE_OK);
		assert_int_equal(store_delete(fix.thread, &key, 0), STORE_OK);
	}
	assert_int_equal(fix_counters(&fix).accesses_local, 4 * near);
	assert_int_equal(fix_counters(&fix).accesses_remote, 4 * (KEYS - near));
	fix_close(&fix);
}

static void
one_partition_or_an_unknown_node_is_never_remote(void **state)
{
	(void)state;
	for (unsigned nodes = 1; nodes <= 2; nodes++) {
		struct store_config config = nodes_config(32 * FIX_MIB, nodes);
		struct fix fix = fix_open_config(&config); /* its thread knows no node */

		put_all(&fix, 20);
		assert_int_equal(fix_counters(&fix).accesses_remote, 0);
		assert_int_equal(fix_counters(&fix).accesses_local, nodes > 1 ? KEYS : 0);
		fix_close(&fix);
	}
}

/* Segments, tables, index, superblock: everything lies in what is mapped, and that is within the limit. */
static void
nodes_never_take_more_than_the_limit_together(void **state)
{
	(void)state;
	static const size_t limits[] = {64 * FIX_MIB, 65 * FIX_MIB, 67 * FIX_MIB + 4097, 100 * FIX_MIB};

	for (unsigned i = 0; i < sizeof(limits) / sizeof(limits[0]); i++)
		for (unsigned nodes = 1; nodes <= STORE_NODES_MAX; nodes++) {
			struct store_config config = nodes_config(limits[i], nodes);
			struct fix fix = fix_open_config(&config);
			size_t mapped = 0;

			for (unsigned p = 0; p < nodes; p++) {
				const struct partition *part = &fix.store->partitions[p];
				mapped += part->memory.mapped_bytes;
				assert_true(segment_base(part, part->segments_len) <=
				            part->base + part->memory.mapped_bytes);
				assert_true(part->memory.mapped_bytes <= limits[i] / nodes);
			}
			assert_true(mapped <= limits[i]);
			assert_true(mapped > limits[i] - nodes * MEMORY_PAGE_BYTES);
			assert_int_equal(store_set_memory_limit(fix.store, limits[i]), 0);
			fix_close(&fix);
		}
}

static void
limit_is_kept_on_each_node_when_it_shrinks(void **state)
{
	(void)state;
	struct store_config config = nodes_config(32 * FIX_MIB, 2);
	struct fix fix = fix_open_config(&config);

	put_all(&fix, 8000);
	assert_int_equal(store_set_memory_limit(fix.store, 16 * FIX_MIB), 0);
	for (unsigned i = 0; i < 20; i++)
		fix_maintain_all(&fix);
	for (unsigned p = 0; p < 2; p++) {
		const struct partition *part = &fix.store->partitions[p];
		size_t used = (size_t)(part->used_len - part->limbo_len + part->first_segment_offset)
		              << part->segment_shift;
		assert_true(used <= 8 * FIX_MIB);
	}
	fix_close(&fix);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(keys_spread_evenly_over_nodes_and_come_back),
	    cmocka_unit_test(operations_are_counted_by_their_distance),
	    cmocka_unit_test(one_partition_or_an_unknown_node_is_never_remote),
	    cmocka_unit_test(nodes_never_take_more_than_the_limit_together),
	    cmocka_unit_test(limit_is_kept_on_each_node_when_it_shrinks),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
