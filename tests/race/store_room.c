/*
 * A write is never refused for lack of memory while something can be evicted: several writers in the smallest store, more
 * of them than cores, so that some are preempted with a grace period to give; and while the memory limit is cut to half.
 *
 * On a busy machine one of them may get no processor for longer than a write waits. A refusal does not count when the store had
 * to give one: it waited in vain for the epoch at which another thread still stands.
 *
 *   store_room [SETS [SEED]]
 */
#include "../unit/store/fixture.h"
#include "store/internal.h"

#include <pthread.h>
#include <stdatomic.h>

#define THREADS   4u
#define KEYS      (1u << 20)
#define BURST     32u
#define LARGE_MAX 30000u

struct room {
	struct store *store;
	uint64_t sets_each;
	size_t limit_high; /* the limit goes between 8 MiB and this; 0: it stays */
};

/* Who waits more often than this at least yields. */
#define PAUSES 256u

/* Where another thread stood when this one looked first, after so many rounds of waiting. */
struct stand {
	uint64_t epoch, waits;
};

struct writer {
	pthread_t handle;
	struct store_thread *thread;
	uint64_t random;
	unsigned id;
	uint64_t refused, excused, wrong;
	struct stand others[THREADS];
};

static uint64_t sets = 400000, seed;
static pthread_barrier_t all_there;
static struct room room;
static struct writer writers[THREADS];

static uint32_t
pick(struct writer *w, uint32_t below)
{
	return random_below(&w->random, below);
}

static uint64_t
epoch_seen(const struct writer *w)
{
	return atomic_load_explicit(&w->thread->seen_epoch, memory_order_relaxed);
}

/* Before each write. */
static void
look_at_others(struct writer *w)
{
	for (unsigned i = 0; i < THREADS; i++)
		if (w->others[i].epoch != epoch_seen(&writers[i]))
			w->others[i] =
			    (struct stand){epoch_seen(&writers[i]), w->thread->counters.grace_waits};
}

/* Since this thread has given up waiting for it. It may have gone on just now, when that was an earlier write. */
static bool
another_stood_still(const struct writer *w)
{
	for (unsigned i = 0; i < THREADS; i++)
		if (i != w->id && w->others[i].epoch && w->others[i].epoch == w->thread->waited_epoch &&
		    w->thread->counters.grace_waits - w->others[i].waits >= PAUSES)
			return true;
	return false;
}

static void
write_one(struct writer *w)
{
	static const uint8_t value[LARGE_MAX];
	struct store_write write = {.mode = STORE_SET};
	uint32_t bytes = pick(w, 200) ? pick(w, 1000) : pick(w, LARGE_MAX);
	char name[16];
	int len = snprintf(name, sizeof(name), "k%u", pick(w, KEYS));
	struct store_key key = store_key_make(room.store, name, (uint32_t)len);

	look_at_others(w);
	enum store_status status = store_put(w->thread, &key, &write, value, bytes, NULL);
	if (status == STORE_NO_MEMORY)
		*(another_stood_still(w) ? &w->excused : &w->refused) += 1;
	w->wrong += status != STORE_OK && status != STORE_NO_MEMORY;
}

static void *
writer_main(void *argument)
{
	struct writer *w = argument;

	pthread_barrier_wait(&all_there);
	for (uint64_t i = 0; i < room.sets_each; i++) {
		write_one(w);
		if (i % BURST == 0) {
			store_quiesce(w->thread, FIX_NOW_S);
			store_maintain(w->thread, 64);
		}
		if (w->id == 0 && room.limit_high && i % 4096 == 0)
			w->wrong +=
			    store_set_memory_limit(room.store, i % 8192 ? room.limit_high : 8 * FIX_MIB) != 0;
	}
	store_offline(w->thread);
	return NULL;
}

static void
room_run(size_t memory_bytes, bool limit_moves)
{
	struct store_config config = fix_config(memory_bytes);
	uint64_t refused = 0, excused = 0, wrong = 0;
	struct store_counters c;
	char error[STORE_ERROR_MAX];

	room = (struct room){.sets_each = sets / THREADS, .limit_high = limit_moves ? memory_bytes : 0};
	assert_int_equal(store_create(&config, &room.store, error), 0);
	pthread_barrier_init(&all_there, NULL, THREADS);
	for (unsigned i = 0; i < THREADS; i++) {
		writers[i] = (struct writer){.id = i, .random = seed + i};
		writers[i].thread = store_thread_register(room.store, -1);
		assert_non_null(writers[i].thread);
	}
	for (unsigned i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&writers[i].handle, NULL, writer_main, &writers[i]), 0);
	for (unsigned i = 0; i < THREADS; i++) {
		pthread_join(writers[i].handle, NULL);
		refused += writers[i].refused;
		excused += writers[i].excused;
		wrong += writers[i].wrong;
	}
	for (unsigned i = 0; i < THREADS; i++)
		store_thread_unregister(writers[i].thread);
	const char *broken = store_check(room.store);
	store_counters_sum(room.store, &c);
	print_message("# %llu sets, %llu evictions, %llu moved, %llu waits, %llu refused, %llu behind a "
	              "thread that stood still\n",
	    (unsigned long long)c.sets, (unsigned long long)c.evictions, (unsigned long long)c.moved,
	    (unsigned long long)c.grace_waits, (unsigned long long)refused, (unsigned long long)excused);
	if (broken)
		fail_msg("store_check: %s", broken);
	store_destroy(room.store);
	assert_int_equal(wrong, 0);
	assert_true(c.evictions > 0);
	assert_int_equal(refused, 0);
}

static void
writers_of_the_smallest_store_are_never_refused(void **state)
{
	(void)state;
	room_run(8 * FIX_MIB, false);
}

static void
writers_are_never_refused_when_the_limit_is_cut(void **state)
{
	(void)state;
	room_run(64 * FIX_MIB, true);
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(writers_of_the_smallest_store_are_never_refused),
	    cmocka_unit_test(writers_are_never_refused_when_the_limit_is_cut),
	};

	if (argc > 1)
		sets = strtoull(argv[1], NULL, 10);
	seed = argc > 2 ? strtoull(argv[2], NULL, 10) : 1;
	print_message("# seed %llu\n", (unsigned long long)seed);
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
