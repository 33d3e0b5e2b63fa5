/*
 * No torn value: threads read values that carry a checksum while others overwrite, append, delete and evict them and the
 * memory limit goes down and up. A value is checked when it is read, and again at the end of the burst, before the
 * reader quiesces.
 *
 *   store_values [READS [SEED]]      `make stress-store`: 100 000 000
 */
#include "../unit/store/fixture.h"

#include <pthread.h>
#include <stdatomic.h>

#define THREADS     4u
#define KEYS        40000u
#define BURST       32u
#define VALUE_MAX   60000u
#define MEMORY      (16 * FIX_MIB)
#define READS       1000000ull
#define LIMIT_READS 20000u /* of a thread, from one limit to the next */

/* A value is one record, or several after appends. */
struct record {
	uint32_t key;
	uint32_t len; /* of the words behind it, in bytes */
	uint64_t checksum;
};

struct stress {
	struct store *store;
	uint64_t reads_each, seed;
};

struct worker {
	pthread_t handle;
	struct store_thread *thread;
	uint64_t random;
	unsigned id;
	uint64_t hits, large, torn, wrong;
	uint64_t value[VALUE_MAX / 8];
};

static pthread_barrier_t all_there;
static struct stress stress;
static struct worker workers[THREADS];

static uint32_t
pick(struct worker *w, uint32_t below)
{
	return random_below(&w->random, below);
}

static uint64_t
checksum(const struct record *record, const uint64_t *words)
{
	uint64_t sum = (uint64_t)record->key << 32 | record->len;

	for (uint32_t i = 0; i < record->len / 8; i++)
		sum = __builtin_ia32_crc32di(sum, words[i]) ^ words[i] << 32;
	return sum;
}

static uint32_t
make_value(struct worker *w, uint32_t key, uint32_t words)
{
	struct record record = {.key = key, .len = 8 * words};
	uint64_t *body = w->value + sizeof(record) / 8;
	uint64_t word = random_next(&w->random);

	for (uint32_t i = 0; i < words; i++)
		body[i] = word += 0x9e3779b97f4a7c15ull;
	record.checksum = checksum(&record, body);
	memcpy(w->value, &record, sizeof(record));
	return (uint32_t)sizeof(record) + record.len;
}

/* Copied out as one who answers would. */
static bool
is_whole(struct worker *w, const struct store_view *view, uint32_t key)
{
	const uint8_t *span;
	uint32_t at = 0, len;
	struct record record;

	if (view->value_bytes > VALUE_MAX || view->value_bytes == 0)
		return false;
	while ((len = store_view_span(stress.store, view, at, &span)) > 0) {
		if (at + len > view->value_bytes)
			return false;
		memcpy((uint8_t *)w->value + at, span, len);
		at += len;
	}
	if (at != view->value_bytes)
		return false;
	for (uint32_t from = 0; from < at; from += (uint32_t)sizeof(record) + record.len) {
		if (at - from < sizeof(record))
			return false;
		memcpy(&record, (uint8_t *)w->value + from, sizeof(record));
		if (record.key != key || record.len % 8 || record.len > at - from - sizeof(record) ||
		    record.checksum != checksum(&record, w->value + (from + sizeof(record)) / 8))
			return false;
	}
	return true;
}

static struct store_key
key_of(uint32_t k, char name[16])
{
	int len = snprintf(name, 16, "v%u", k);
	return store_key_make(stress.store, name, (uint32_t)len);
}

static uint32_t
pick_key(struct worker *w)
{
	return pick(w, pick(w, 4) ? KEYS / 50 : KEYS); /* most at few */
}

static void
read_burst(struct worker *w)
{
	struct store_key keys[BURST];
	struct store_view views[BURST];
	char names[BURST][16];
	uint32_t k[BURST];
	bool hit[BURST];

	for (unsigned i = 0; i < BURST; i++) {
		k[i] = pick_key(w);
		keys[i] = key_of(k[i], names[i]);
		store_prefetch_bucket(stress.store, keys[i].hash);
	}
	for (unsigned i = 0; i < BURST; i++) {
		hit[i] = store_get(w->thread, &keys[i], &views[i]) == STORE_OK;
		w->hits += hit[i];
		w->large += hit[i] && views[i].value == NULL;
		w->torn += hit[i] && !is_whole(w, &views[i], k[i]);
	}
	for (unsigned i = 0; i < BURST; i += 4)
		w->torn += hit[i] && !is_whole(w, &views[i], k[i]);
}

static void
write_one(struct worker *w)
{
	uint32_t k = pick_key(w);
	char name[16];
	struct store_key key = key_of(k, name);
	struct store_write write = {.mode = pick(w, 8) ? STORE_SET : STORE_APPEND};
	uint32_t bytes = make_value(w, k, pick(w, 200) ? pick(w, 60) : pick(w, 2500));
	struct store_view view;
	struct store_fill *fill;
	enum store_status status = STORE_OK;

	if (pick(w, 32) == 0) {
		store_delete(w->thread, &key, 0);
	} else if (pick(w, 8) == 0) {
		if (store_reserve(w->thread, &key, &(struct store_write){.mode = STORE_SET}, bytes, &fill) !=
		    STORE_OK)
			return;
		for (uint32_t at = 0; at < bytes;)
			at += store_fill_append(fill, (uint8_t *)w->value + at, 1 + pick(w, 3000));
		status = store_fill_commit(w->thread, fill, NULL);
	} else {
		/* What has become long by appends is written anew. */
		if (write.mode == STORE_APPEND && store_peek(w->thread, &key, &view) == STORE_OK &&
		    view.value_bytes > VALUE_MAX / 4)
			write.mode = STORE_SET;
		status = store_put(w->thread, &key, &write, w->value, bytes, NULL);
	}
	w->wrong += status != STORE_OK && status != STORE_NO_MEMORY && status != STORE_NOT_STORED;
}

static void *
worker_main(void *argument)
{
	struct worker *w = argument;
	uint64_t limit = 0;

	pthread_barrier_wait(&all_there);
	for (uint64_t reads = 0; reads < stress.reads_each; reads += BURST) {
		read_burst(w);
		store_quiesce(w->thread, FIX_NOW_S);
		for (unsigned i = w->id % 2 ? 6 : 2; i > 0; i--)
			write_one(w);
		store_maintain(w->thread, 32);
		store_quiesce(w->thread, FIX_NOW_S);
		if (w->id == 0 && reads / LIMIT_READS != limit) {
			limit = reads / LIMIT_READS;
			w->wrong +=
			    store_set_memory_limit(stress.store, limit % 2 ? MEMORY / 2 : MEMORY) != 0;
		}
	}
	store_thread_unregister(w->thread);
	return NULL;
}

static void
values_read_beside_writers_and_eviction_are_whole(void **state)
{
	struct store_config config = fix_config(MEMORY);
	uint64_t hits = 0, large = 0, torn = 0, wrong = 0;
	struct store_counters c;
	char error[STORE_ERROR_MAX];

	(void)state;
	assert_int_equal(store_create(&config, &stress.store, error), 0);
	pthread_barrier_init(&all_there, NULL, THREADS);
	for (unsigned i = 0; i < THREADS; i++) {
		struct worker *w = &workers[i];
		*w = (struct worker){.id = i, .random = stress.seed + i};
		w->thread = store_thread_register(stress.store, -1);
		assert_non_null(w->thread);
	}
	for (unsigned i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&workers[i].handle, NULL, worker_main, &workers[i]), 0);
	for (unsigned i = 0; i < THREADS; i++) {
		pthread_join(workers[i].handle, NULL);
		hits += workers[i].hits;
		large += workers[i].large;
		torn += workers[i].torn;
		wrong += workers[i].wrong;
	}
	const char *broken = store_check(stress.store);
	store_counters_sum(stress.store, &c);
	print_message("# %llu reads, %llu found and checked, %llu of them in chunks, %llu torn, %llu writes, "
	              "%llu evictions, %llu moved, %llu out of memory\n",
	    (unsigned long long)(stress.reads_each * THREADS), (unsigned long long)hits,
	    (unsigned long long)large, (unsigned long long)torn, (unsigned long long)c.sets,
	    (unsigned long long)c.evictions, (unsigned long long)c.moved, (unsigned long long)c.no_memory);
	if (broken)
		fail_msg("store_check: %s", broken);
	assert_int_equal(torn, 0);
	assert_int_equal(wrong, 0);
	assert_true(hits > stress.reads_each && large > 0 && c.evictions > 0 && c.moved > 0);
	store_destroy(stress.store);
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(values_read_beside_writers_and_eviction_are_whole),
	};

	stress.reads_each = (argc > 1 ? strtoull(argv[1], NULL, 10) : READS) / THREADS;
	stress.seed = argc > 2 ? strtoull(argv[2], NULL, 10) : 1;
	print_message("# seed %llu\n", (unsigned long long)stress.seed);
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
