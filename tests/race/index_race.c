/*
 * An index that grows from two tables to dozens while two threads write new keys, two look for old ones and one walks:
 * what has been published is found each time, by its key and by the walk. Memory is ample, so nothing is evicted.
 */
#include "../unit/store/fixture.h"

#include <pthread.h>
#include <stdatomic.h>

#define WRITERS   2u
#define READERS   2u
#define ITEMS     60000u /* of each writer */
#define BATCH     32u
#define KEY_BYTES 16u

struct race {
	struct store *store;
	_Atomic uint32_t written[WRITERS];
	_Atomic uint32_t wrong;
	_Atomic uint64_t found, walks;
};

struct runner {
	struct race *race;
	unsigned id;
	uint64_t random;
	struct store_thread *thread;
	pthread_t handle;
	uint8_t *seen; /* of a walk */
};

static struct store_key
key_of(const struct race *race, unsigned writer, uint32_t number, char text[KEY_BYTES])
{
	int len = snprintf(text, KEY_BYTES, "%u:%u", writer, number);
	return store_key_make(race->store, text, (uint32_t)len);
}

static bool
done(const struct race *race)
{
	uint32_t all = 0;

	for (unsigned w = 0; w < WRITERS; w++)
		all += atomic_load_explicit(&race->written[w], memory_order_acquire);
	return all == WRITERS * ITEMS;
}

static void
put(struct runner *r, uint32_t number)
{
	struct store_write write = {.mode = STORE_SET};
	char text[KEY_BYTES];
	struct store_key key = key_of(r->race, r->id, number, text);

	if (store_put(r->thread, &key, &write, &number, sizeof(number), NULL) != STORE_OK)
		atomic_fetch_add(&r->race->wrong, 1);
}

/* New keys, and now and then one of its own again, which swings in whatever line it is. */
static void *
writer_main(void *ctx)
{
	struct runner *r = ctx;

	for (uint32_t n = 0; n < ITEMS; n++) {
		put(r, n);
		atomic_store_explicit(&r->race->written[r->id], n + 1, memory_order_release);
		if (n % 4 == 3)
			put(r, (uint32_t)(random_next(&r->random) % n));
		if (n % BATCH == 0)
			store_quiesce(r->thread, FIX_NOW_S);
	}
	store_offline(r->thread);
	return NULL;
}

static void
get(struct runner *r, unsigned writer, uint32_t number)
{
	char text[KEY_BYTES];
	struct store_view view;
	struct store_key key = key_of(r->race, writer, number, text);

	store_prefetch_item(r->race->store, key.hash, store_prefetch_bucket(r->race->store, key.hash));
	bool found = store_get(r->thread, &key, &view) == STORE_OK;
	if (!found || view.value_bytes != sizeof(number) || memcmp(view.value, &number, sizeof(number)) != 0)
		atomic_fetch_add(&r->race->wrong, 1);
}

static void *
reader_main(void *ctx)
{
	struct runner *r = ctx;
	uint64_t found = 0;

	do {
		for (unsigned i = 0; i < BATCH; i++) {
			unsigned writer = (unsigned)(random_next(&r->random) % WRITERS);
			uint32_t written =
			    atomic_load_explicit(&r->race->written[writer], memory_order_acquire);
			if (written == 0)
				continue;
			get(r, writer, (uint32_t)(random_next(&r->random) % written));
			found++;
		}
		store_quiesce(r->thread, FIX_NOW_S);
	} while (!done(r->race));
	atomic_fetch_add(&r->race->found, found);
	store_offline(r->thread);
	return NULL;
}

static bool
visit(void *ctx, const struct store_entry *entry)
{
	struct runner *r = ctx;
	unsigned writer;
	uint32_t number;
	char text[KEY_BYTES] = {0};

	memcpy(text, entry->key, entry->key_len);
	if (sscanf(text, "%u:%u", &writer, &number) == 2 && writer < WRITERS && number < ITEMS)
		r->seen[writer * ITEMS + number] = 1;
	return true;
}

/* All that was written when the walk began must be seen by its end. */
static void
walk(struct runner *r)
{
	uint32_t before[WRITERS];
	struct store_cursor cursor = {0};

	memset(r->seen, 0, WRITERS * ITEMS);
	for (unsigned w = 0; w < WRITERS; w++)
		before[w] = atomic_load_explicit(&r->race->written[w], memory_order_acquire);
	while (store_walk(r->thread, &cursor, 500, visit, r))
		store_quiesce(r->thread, FIX_NOW_S);
	for (unsigned w = 0; w < WRITERS; w++)
		for (uint32_t n = 0; n < before[w]; n++)
			if (!r->seen[w * ITEMS + n])
				atomic_fetch_add(&r->race->wrong, 1);
	atomic_fetch_add(&r->race->walks, 1);
}

static void *
walker_main(void *ctx)
{
	struct runner *r = ctx;

	r->seen = malloc(WRITERS * ITEMS);
	do
		walk(r);
	while (!done(r->race));
	free(r->seen);
	store_offline(r->thread);
	return NULL;
}

static void
what_is_published_is_found_while_the_index_grows(void **state)
{
	(void)state;
	static void *(*const mains[WRITERS + READERS + 1])(void *) = {
	    writer_main, writer_main, reader_main, reader_main, walker_main};
	struct runner runners[WRITERS + READERS + 1] = {0};
	struct fix fix = fix_open(16 * FIX_MIB);
	struct race race = {.store = fix.store};
	const char *seed_text = getenv("WIRECACHE_SEED");
	uint64_t seed = seed_text ? strtoull(seed_text, NULL, 0) : 1;

	print_message("# WIRECACHE_SEED=%llu\n", (unsigned long long)seed);
	store_offline(fix.thread);
	for (unsigned i = 0; i < WRITERS + READERS + 1; i++) {
		runners[i] = (struct runner){.race = &race,
		    .id = i,
		    .random = seed + i,
		    .thread = store_thread_register(fix.store, -1)};
		assert_int_equal(pthread_create(&runners[i].handle, NULL, mains[i], &runners[i]), 0);
	}
	for (unsigned i = 0; i < WRITERS + READERS + 1; i++) {
		pthread_join(runners[i].handle, NULL);
		store_thread_unregister(runners[i].thread);
	}
	fix_quiesce(&fix);
	struct store_counters counters = fix_counters(&fix);
	print_message("# %llu gets, %llu walks, %llu growths\n", (unsigned long long)race.found,
	    (unsigned long long)race.walks, (unsigned long long)counters.index_splits);
	assert_int_equal(counters.evictions, 0);
	assert_true(counters.index_splits > 20);
	assert_int_equal(race.wrong, 0);
	fix_close(&fix);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(what_is_published_is_found_while_the_index_grows),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
