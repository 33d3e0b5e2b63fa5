/*
 * Readers share nothing that they write. When hit counters are full and access times are this second's, a get writes
 * neither index nor items, and of all other memory no two readers write the same cache line.
 */
#include "fixture.h"
#include "../writes.h"

#define ITEMS     2000u
#define GETS      100000u
#define GETS_SEEN 2000u /* with all memory watched: each write costs microseconds */
#define WARM      8u    /* rounds that fill a hit counter */

struct reader {
	struct writes_thread runs;
	struct store *store;
	struct store_thread *thread;
	struct writes_set *writes;
	unsigned gets;
	unsigned wrong;
};

static const uint8_t *
one_value(struct fix *fix)
{
	struct store_view view;

	assert_int_equal(fix_get(fix, "key-0", &view), STORE_OK);
	return view.value;
}

static void
reader_register(void *ctx)
{
	struct reader *r = ctx;

	r->thread = store_thread_register(r->store, -1);
	if (r->thread == NULL)
		abort();
	store_quiesce(r->thread, FIX_NOW_S);
}

static void
reader_leave(void *ctx)
{
	struct reader *r = ctx;

	store_thread_unregister(r->thread);
}

/* Every second one a miss. */
static void
reader_get(void *ctx)
{
	struct reader *r = ctx;
	struct store_view view;
	char name[32];

	for (unsigned i = 0; i < r->gets; i++) {
		const char *prefix = i % 2 ? "non" : "key";
		int len = snprintf(name, sizeof(name), "%s-%u", prefix, i / 2 % ITEMS);
		struct store_key key = store_key_make(r->store, name, (uint32_t)len);
		store_prefetch_item(r->store, key.hash, store_prefetch_bucket(r->store, key.hash));
		enum store_status status = store_get(r->thread, &key, &view);
		r->wrong += status != (i % 2 ? STORE_NOT_FOUND : STORE_OK);
		if (i % 32 == 31)
			store_quiesce(r->thread, FIX_NOW_S);
	}
	store_quiesce(r->thread, FIX_NOW_S);
}

static void
reader_set(void *ctx)
{
	struct reader *r = ctx;
	struct store_key key = store_key_make(r->store, "key-7", 5);
	struct store_write write = {.mode = STORE_SET};

	r->wrong += store_put(r->thread, &key, &write, "another", 7, NULL) != STORE_OK;
	store_quiesce(r->thread, FIX_NOW_S);
}

static void
reader_get_watched(void *ctx)
{
	struct reader *r = ctx;

	writes_of(r->writes, reader_get, r);
}

static void
reader_set_watched(void *ctx)
{
	struct reader *r = ctx;

	writes_of(r->writes, reader_set, r);
}

/* Two readers of a store whose items have been read often enough. */
static struct fix
readers_open(struct reader readers[2])
{
	struct fix fix = fix_open(16 * FIX_MIB);
	char name[32];

	for (unsigned i = 0; i < ITEMS; i++) {
		snprintf(name, sizeof(name), "key-%u", i);
		assert_int_equal(fix_put_pattern(&fix, name, 32, i), STORE_OK);
	}
	fix_quiesce(&fix);
	writes_open();
	for (unsigned i = 0; i < 2; i++) {
		readers[i] = (struct reader){.store = fix.store, .writes = writes_set_make()};
		writes_thread_start(&readers[i].runs);
		writes_run(&readers[i].runs, reader_register, &readers[i]);
		readers[i].gets = 2 * ITEMS * WARM;
		writes_run(&readers[i].runs, reader_get, &readers[i]);
	}
	return fix;
}

static void
readers_close(struct reader readers[2], struct fix *fix)
{
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(readers[i].wrong, 0);
		writes_run(&readers[i].runs, reader_leave, &readers[i]);
		writes_thread_stop(&readers[i].runs);
		writes_set_free(readers[i].writes);
	}
	fix_close(fix);
}

static void
many_gets_of_read_items_write_neither_index_nor_items(void **state)
{
	struct reader readers[2];
	struct fix fix = readers_open(readers);

	writes_choose(one_value(&fix));
	for (unsigned i = 0; i < 2; i++) {
		readers[i].gets = GETS;
		writes_run(&readers[i].runs, reader_get_watched, &readers[i]);
		assert_int_equal(readers[i].writes->writes, 0);
	}
	readers_close(readers, &fix);
}

static void
set_in_watched_memory_is_seen(void **state)
{
	struct reader readers[2];
	struct fix fix = readers_open(readers);

	writes_choose(one_value(&fix));
	writes_run(&readers[0].runs, reader_set_watched, &readers[0]);
	assert_true(readers[0].writes->writes > 0);
	readers_close(readers, &fix);
}

static void
first_get_of_an_item_is_seen_as_a_write(void **state)
{
	struct reader readers[2];
	struct fix fix = readers_open(readers);

	writes_choose(one_value(&fix));
	assert_int_equal(fix_set(&fix, "key-0", "new"), STORE_OK);
	readers[0].gets = 1;
	writes_run(&readers[0].runs, reader_get_watched, &readers[0]);
	assert_true(readers[0].writes->writes > 0);
	readers_close(readers, &fix);
}

static void
two_readers_write_no_line_in_common(void **state)
{
	struct reader readers[2];
	struct fix fix = readers_open(readers);
	uintptr_t line = 0;

	writes_choose(NULL);
	for (unsigned i = 0; i < 2; i++) {
		readers[i].gets = GETS_SEEN;
		writes_run(&readers[i].runs, reader_get_watched, &readers[i]);
		assert_true(readers[i].writes->writes > GETS_SEEN); /* counters of its own, at least */
	}
	print_message("# %llu and %llu writes to %u and %u lines\n",
	    (unsigned long long)readers[0].writes->writes, (unsigned long long)readers[1].writes->writes,
	    readers[0].writes->len, readers[1].writes->len);
	if (writes_in_both(readers[0].writes, readers[1].writes, &line))
		fail_msg("both readers write the line at %#lx", (unsigned long)line);
	readers_close(readers, &fix);
}

static void
two_writers_of_one_item_are_seen_to_share_lines(void **state)
{
	struct reader readers[2];
	struct fix fix = readers_open(readers);
	uintptr_t line = 0;

	writes_choose(NULL);
	for (unsigned i = 0; i < 2; i++)
		writes_run(&readers[i].runs, reader_set_watched, &readers[i]);
	assert_true(writes_in_both(readers[0].writes, readers[1].writes, &line) > 0);
	readers_close(readers, &fix);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(many_gets_of_read_items_write_neither_index_nor_items),
	    cmocka_unit_test(set_in_watched_memory_is_seen),
	    cmocka_unit_test(first_get_of_an_item_is_seen_as_a_write),
	    cmocka_unit_test(two_readers_write_no_line_in_common),
	    cmocka_unit_test(two_writers_of_one_item_are_seen_to_share_lines),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
