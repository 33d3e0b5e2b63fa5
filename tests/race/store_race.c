/*
 * Threads that disagree: random operations of several threads on a few keys in a store that is too small for
 * them, so that eviction, compaction, index splits and memory reuse go on all the time. Run natively and
 * under ThreadSanitizer.
 *
 * What must hold: a value read is one that was written under that key, whole (its first bytes say how to
 * recompute the rest), also while it is pinned or until the reader's next quiescent point; counters lose no
 * increment; CAS has one winner; a token has one winner; and when all is quiet store_check() finds nothing.
 */
#include "../unit/store/fixture.h"

#include <pthread.h>
#include <stdatomic.h>

#define THREADS_MAX 4
#define KEYS        64
#define VALUE_MAX   30000
#define VIEWS       8

/* Head of every value; the rest follows from it. */
struct head {
	uint32_t key;
	uint32_t seed;
	uint32_t len; /* of the body behind the head */
};

struct race {
	struct store *store;
	_Atomic uint32_t now_s;
	unsigned threads, steps;
	uint64_t seed;
	size_t limit_bytes;  /* the limit goes down to 8 MiB and back to this all the time; 0: it stays */
	uint32_t filler_max; /* value bytes of the items that press on memory, 0: none */
	_Atomic uint64_t increments;
	_Atomic uint64_t cas_wins;
	_Atomic uint64_t wrong;
	_Atomic uint64_t tokens;
};

struct racer {
	struct race *race;
	struct store_thread *thread;
	uint64_t random;
	unsigned id;
	pthread_t handle;
	struct store_view held[VIEWS];
	unsigned held_len;
	struct store_pin pin;
	struct store_view pinned;
	bool has_pin;
	struct store_cursor cursor; /* of a walk over all items */
	bool met_swap, met_count;
	uint8_t value[sizeof(struct head) + VALUE_MAX];
};

static uint32_t
pick(struct racer *r, uint32_t below)
{
	return random_below(&r->random, below);
}

static struct store_key
race_key(const struct race *race, const char *prefix, unsigned k, char name[32])
{
	int len = snprintf(name, 32, "%s-%u", prefix, k);
	return store_key_make(race->store, name, (uint32_t)len);
}

static uint32_t
body_byte(uint32_t seed, uint32_t at)
{
	return (seed + at * 2654435761u) >> 13 & 0xff;
}

static uint32_t
make_value(struct racer *r, unsigned k)
{
	struct head head = {.key = k, .seed = (uint32_t)random_next(&r->random)};
	head.len = pick(r, 20) ? pick(r, 700) : pick(r, VALUE_MAX);
	memcpy(r->value, &head, sizeof(head));
	for (uint32_t i = 0; i < head.len; i++)
		r->value[sizeof(head) + i] = (uint8_t)body_byte(head.seed, i);
	return (uint32_t)sizeof(head) + head.len;
}

static bool
value_is_whole(struct racer *r, const struct store_view *view, struct head *head)
{
	const uint8_t *span;
	uint32_t at = 0, len;

	if (view->value_bytes < sizeof(*head))
		return false;
	while ((len = store_view_span(r->race->store, view, at, &span)) > 0) {
		for (uint32_t i = 0; i < len; i++, at++) {
			if (at < sizeof(*head))
				((uint8_t *)head)[at] = span[i];
			else if (span[i] != body_byte(head->seed, at - (uint32_t)sizeof(*head)))
				return false;
		}
	}
	return at == view->value_bytes && head->len == at - sizeof(*head) && head->key < KEYS;
}

static void
expect(struct racer *r, bool holds)
{
	if (!holds)
		atomic_fetch_add_explicit(&r->race->wrong, 1, memory_order_relaxed);
}

static void
step_get(struct racer *r, unsigned k)
{
	char name[32];
	struct head head;
	struct store_key key = race_key(r->race, "key", k, name);
	struct store_view view;

	store_prefetch_item(r->race->store, key.hash, store_prefetch_bucket(r->race->store, key.hash));
	if (store_get(r->thread, &key, &view) != STORE_OK)
		return;
	expect(r, value_is_whole(r, &view, &head) && head.key == k);
	if (r->held_len < VIEWS)
		r->held[r->held_len++] = view;
	if (!r->has_pin && pick(r, 4) == 0) {
		r->has_pin = store_pin(r->thread, &view, &r->pin);
		r->pinned = view;
	}
}

static void
step_set(struct racer *r, unsigned k)
{
	char name[32];
	struct store_key key = race_key(r->race, "key", k, name);
	struct store_write write = {.mode = pick(r, 4) ? STORE_SET : STORE_ADD};
	uint32_t len = make_value(r, k);

	if (pick(r, 3) == 0)
		write.expires_s = atomic_load(&r->race->now_s) + 1 + pick(r, 3);
	enum store_status status = store_put(r->thread, &key, &write, r->value, len, NULL);
	expect(r, status == STORE_OK || status == STORE_NO_MEMORY ||
	              (status == STORE_NOT_STORED && write.mode == STORE_ADD));
}

static void
step_fill(struct racer *r, unsigned k)
{
	char name[32];
	struct store_key key = race_key(r->race, "key", k, name);
	struct store_write write = {.mode = STORE_SET};
	struct store_fill *fill;
	uint32_t len = make_value(r, k);

	if (store_reserve(r->thread, &key, &write, len, &fill) != STORE_OK)
		return;
	for (uint32_t at = 0; at < len;)
		at += store_fill_append(fill, r->value + at, 1 + pick(r, 4000));
	if (pick(r, 5))
		store_fill_commit(r->thread, fill, NULL);
	else
		store_fill_abort(r->thread, fill);
}

/* Read, then swap by CAS: an independent count of wins must agree with the number in the item. */
static void
step_cas(struct racer *r)
{
	char name[32];
	struct store_key key = race_key(r->race, "swap", 0, name);
	struct store_view view;
	uint64_t count;

	if (store_get(r->thread, &key, &view) != STORE_OK)
		return;
	memcpy(&count, view.value, sizeof(count));
	count++;
	struct store_write write = {.mode = STORE_CAS, .cas = view.cas};
	if (store_put(r->thread, &key, &write, &count, sizeof(count), NULL) == STORE_OK)
		atomic_fetch_add_explicit(&r->race->cas_wins, 1, memory_order_relaxed);
}

static void
step_incr(struct racer *r)
{
	char name[32];
	struct store_key key = race_key(r->race, "count", 0, name);
	uint64_t result;

	if (store_delta(r->thread, &key, &(struct store_change){.amount = 1}, &result, NULL) == STORE_OK)
		atomic_fetch_add_explicit(&r->race->increments, 1, memory_order_relaxed);
}

static void
step_append(struct racer *r)
{
	char name[32];
	struct store_key key = race_key(r->race, "log", pick(r, 2), name);
	struct store_write write = {.mode = pick(r, 2) ? STORE_APPEND : STORE_PREPEND, .vivify = true};
	struct store_view view;
	const uint8_t *span;

	enum store_status status = store_put(r->thread, &key, &write, "abcd", 4, NULL);
	expect(r, status == STORE_OK || status == STORE_NO_MEMORY);
	if (store_get(r->thread, &key, &view) != STORE_OK)
		return;
	expect(r, view.value_bytes % 4 == 0);
	for (uint32_t at = 0, len; (len = store_view_span(r->race->store, &view, at, &span)) > 0; at += len)
		for (uint32_t i = 0; i < len; i++)
			if (span[i] != (uint8_t) "abcd"[(at + i) % 4]) {
				expect(r, false);
				return;
			}
	if (view.value_bytes > 12000)
		store_delete(r->thread, &key, 0);
}

static void
step_mark(struct racer *r, unsigned k)
{
	char name[32];
	struct store_key key = race_key(r->race, "key", k, name);
	struct store_view view;

	switch (pick(r, 4)) {
	case 0:
		store_invalidate(r->thread, &key, 0, pick(r, 2) ? 1 + random_next(&r->random) : 0, NULL);
		break;
	case 1:
		store_touch(r->thread, &key, atomic_load(&r->race->now_s) + pick(r, 4), NULL);
		break;
	case 2:
		store_delete(r->thread, &key, 0);
		break;
	default:
		if (store_peek(r->thread, &key, &view) == STORE_OK && store_win(r->thread, &key, &view))
			atomic_fetch_add_explicit(&r->race->tokens, 1, memory_order_relaxed);
	}
}

static bool
visit(void *ctx, const struct store_entry *entry)
{
	struct racer *r = ctx;
	struct head head;

	if (entry->key_len > 4 && memcmp(entry->key, "key-", 4) == 0)
		expect(r, value_is_whole(r, &entry->view, &head) &&
		              head.key == (unsigned)atoi((const char[]){(char)entry->key[4],
		                              entry->key_len > 5 ? (char)entry->key[5] : '\0', '\0'}));
	else if (memcmp(entry->key, "swap-0", 6) == 0)
		r->met_swap = true;
	else if (memcmp(entry->key, "count-0", 7) == 0)
		r->met_count = true;
	return pick(r, 64) != 0;
}

/* Where nothing is evicted a whole walk meets what was there from the start. */
static void
step_walk(struct racer *r)
{
	if (store_walk(r->thread, &r->cursor, 100 + pick(r, 400), visit, r))
		return;
	if (!r->race->filler_max)
		expect(r, r->met_swap && r->met_count);
	r->met_swap = r->met_count = false;
	r->cursor = (struct store_cursor){0};
}

/* Distinct keys grow the index and press on memory. */
static void
step_filler(struct racer *r)
{
	char name[32];
	struct store_key key = race_key(r->race, "filler", pick(r, 1u << 24), name);
	struct store_write write = {.mode = STORE_SET};

	make_value(r, 0);
	store_put(r->thread, &key, &write, r->value, pick(r, r->race->filler_max), NULL);
}

/* What was read is still there, then everything is let go. */
static void
step_quiesce(struct racer *r)
{
	struct head head;

	for (unsigned i = 0; i < r->held_len; i++)
		expect(r, value_is_whole(r, &r->held[i], &head));
	r->held_len = 0;
	store_quiesce(r->thread, atomic_load(&r->race->now_s));
	if (r->has_pin && pick(r, 8) == 0) {
		expect(r, value_is_whole(r, &r->pinned, &head));
		store_unpin(r->thread, r->pin);
		r->has_pin = false;
	}
	if (pick(r, 64) == 0) {
		store_offline(r->thread);
		sched_yield();
		store_quiesce(r->thread, atomic_load(&r->race->now_s));
	}
}

static void
step(struct racer *r, unsigned i)
{
	unsigned what = pick(r, 100);
	unsigned k = pick(r, KEYS);

	if (what < 35)
		step_get(r, k);
	else if (what < 50)
		step_set(r, k);
	else if (what < 55)
		step_fill(r, k);
	else if (what < 60)
		step_cas(r);
	else if (what < 65)
		step_incr(r);
	else if (what < 70)
		step_append(r);
	else if (what < 78)
		step_mark(r, k);
	else if (r->race->filler_max)
		for (unsigned n = 0; n < 4; n++)
			step_filler(r);
	if (i % 8 == 0)
		step_quiesce(r);
	if (i % 16 == 7)
		step_walk(r);
	if (i % 4 == 0)
		store_maintain(r->thread, pick(r, 64));
	if (r->id == 0 && i % 1000 == 0)
		atomic_fetch_add(&r->race->now_s, 1);
	if (r->id == 0 && r->race->limit_bytes && i % 500 == 0)
		expect(r, store_set_memory_limit(
		              r->race->store, i % 1000 ? r->race->limit_bytes : 8 * FIX_MIB) == 0);
	if (r->id == 0 && r->race->filler_max && i % 25000 == 24999)
		store_flush_all(r->thread, atomic_load(&r->race->now_s));
}

static void *
racer_main(void *argument)
{
	struct racer *r = argument;

	for (unsigned i = 0; i < r->race->steps; i++)
		step(r, i);
	step_quiesce(r);
	if (r->has_pin)
		store_unpin(r->thread, r->pin);
	store_thread_unregister(r->thread);
	return NULL;
}

static void
put_text(struct race *race, struct store_thread *thread, const char *prefix, const void *value, uint32_t len)
{
	char name[32];
	struct store_key key = race_key(race, prefix, 0, name);
	struct store_write write = {.mode = STORE_SET};
	assert_int_equal(store_put(thread, &key, &write, value, len, NULL), STORE_OK);
}

/* Without eviction nothing is lost: the numbers in the items must be the numbers of successes. */
static void
check_counts(struct race *race, struct store_thread *thread)
{
	char name[32], text[32];
	struct store_view view;
	uint64_t swaps;
	struct store_key key = race_key(race, "swap", 0, name);

	assert_int_equal(store_get(thread, &key, &view), STORE_OK);
	memcpy(&swaps, view.value, sizeof(swaps));
	assert_true(swaps == atomic_load(&race->cas_wins));
	key = race_key(race, "count", 0, name);
	assert_int_equal(store_get(thread, &key, &view), STORE_OK);
	assert_true(view.value_bytes < sizeof(text));
	memcpy(text, view.value, view.value_bytes);
	text[view.value_bytes] = 0;
	assert_true(strtoull(text, NULL, 10) == atomic_load(&race->increments));
	assert_true(swaps > 0 && atomic_load(&race->increments) > 0);
}

static void
race_run(size_t memory_bytes, unsigned threads, uint32_t filler_max, bool limit_moves)
{
	static struct racer racers[THREADS_MAX];
	struct store_config config = fix_config(memory_bytes);
	char error[STORE_ERROR_MAX];
	const char *seed = getenv("WIRECACHE_SEED");
	const char *steps = getenv("WIRECACHE_STEPS");
	struct race race = {
	    .threads = threads, .filler_max = filler_max, .limit_bytes = limit_moves ? memory_bytes : 0};
	const uint64_t zero = 0;

	race.seed = seed ? strtoull(seed, NULL, 0) : 1000003;
	race.steps = steps ? (unsigned)strtoul(steps, NULL, 0) : 60000;
	atomic_init(&race.now_s, FIX_NOW_S);
	print_message("# WIRECACHE_SEED=%llu\n", (unsigned long long)race.seed);
	assert_int_equal(store_create(&config, &race.store, error), 0);
	struct store_thread *own = store_thread_register(race.store, -1);
	put_text(&race, own, "swap", &zero, sizeof(zero));
	put_text(&race, own, "count", "0", 1);
	store_offline(own);
	for (unsigned i = 0; i < threads; i++) {
		memset(&racers[i], 0, sizeof(racers[i]));
		racers[i].race = &race;
		racers[i].id = i;
		racers[i].random = race.seed + i;
		racers[i].thread = store_thread_register(race.store, -1);
		assert_int_equal(pthread_create(&racers[i].handle, NULL, racer_main, &racers[i]), 0);
	}
	for (unsigned i = 0; i < threads; i++)
		pthread_join(racers[i].handle, NULL);
	store_quiesce(own, atomic_load(&race.now_s));
	const char *broken = store_check(race.store);
	if (broken)
		fail_msg("store_check: %s", broken);
	assert_int_equal(atomic_load(&race.wrong), 0);
	if (!filler_max)
		check_counts(&race, own);
	struct store_counters c;
	store_counters_sum(race.store, &c);
	print_message("# %llu evictions, %llu moved, %llu splits, %llu inline, %llu retries, %llu no memory, "
	              "%llu waits\n",
	    (unsigned long long)c.evictions, (unsigned long long)c.moved, (unsigned long long)c.index_splits,
	    (unsigned long long)c.evicted_inline, (unsigned long long)c.publish_retries,
	    (unsigned long long)c.no_memory, (unsigned long long)c.grace_waits);
	store_thread_unregister(own);
	store_destroy(race.store);
}

static void
four_threads_under_pressure_read_only_whole_values(void **state)
{
	(void)state;
	race_run(8 * FIX_MIB, 4, 700, false);
}

static void
two_threads_in_ample_memory_lose_no_update(void **state)
{
	(void)state;
	race_run(64 * FIX_MIB, 2, 0, false);
}

static void
four_threads_growing_the_index_read_only_whole_values(void **state)
{
	(void)state;
	race_run(12 * FIX_MIB, 4, 60, false);
}

static void
four_threads_read_only_whole_values_while_the_limit_moves(void **state)
{
	(void)state;
	race_run(32 * FIX_MIB, 4, 700, true);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(four_threads_under_pressure_read_only_whole_values),
	    cmocka_unit_test(two_threads_in_ample_memory_lose_no_update),
	    cmocka_unit_test(four_threads_read_only_whole_values_while_the_limit_moves),
	    cmocka_unit_test(four_threads_growing_the_index_read_only_whole_values),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
