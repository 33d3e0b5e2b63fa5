/*
 * Is the store linearisable? Threads do random operations of every kind on a few keys, what they asked and were answered
 * is recorded, and tests/linear searches for one order that explains all answers. A flush is one moment for all keys.
 *
 *   round: fresh keys, all threads begin at once, 24 operations each      batch: 16 rounds, then each thread checks some
 *
 * Threads must meet in the middle of operations, which on few cores hardly happens by itself. So some operations run as
 * single steps up to an instruction that was drawn, and there the thread lets the others go on. Not so under TSan, whose
 * own code must not be held up: it looks for other faults, data that is shared without order.
 *
 *   store_linear [SECONDS [SEED]]      longer than the rounds of `make test`: all settings in turn
 *
 * Threads are not repeated by a seed, only what they ask for.
 */
#include "../linear/act.h"
#include "../unit/store/fixture.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <time.h>
#include <ucontext.h>

#define THREADS_MAX      4u
#define OPS_LEN          24u
#define BATCH_LEN        16u
#define BATCHES          12u /* of a setting in `make test` */
#define LARGE_STRETCH    2900u
#define FILLER_KEYS      (1u << 20) /* more than fit */
#define FILLER_KEYS_KEPT 80000u     /* all fit, and split the index a dozen times */
#define HELD_UP_IN       6u         /* one operation in so many */
#define YIELDS_MAX       64u        /* until whoever waits goes on by itself */
#define TRAP_FLAG        0x100

struct setting {
	unsigned threads;
	unsigned keys;
	size_t memory_bytes;
	uint32_t filler_max; /* value bytes of items that nobody asks for, 0: none */
	uint32_t flush_in;
	bool large;  /* the last key has values in chunks */
	bool splits; /* there are as many fillers as split the index */
	bool evicts; /* memory is too small for the fillers */
};

struct round {
	struct linear_op ops[THREADS_MAX][OPS_LEN];
};

struct race {
	const struct setting *setting;
	struct store *store;
	uint64_t seed;
	uint64_t batches; /* 0: until the deadline */
	time_t deadline;
	_Atomic uint64_t moments;
	_Atomic unsigned arrived, generation;
	_Atomic bool over;
	_Atomic uint64_t rejected, undecided, overlapped, filled;
	uint64_t evictions; /* before the batch */
	bool evicted;       /* in the batch */
	uint64_t batch;
	struct round rounds[BATCH_LEN];
};

struct racer {
	struct race *race;
	unsigned id;
	pthread_t handle;
	struct actor actor;
	uint64_t random; /* of what is not recorded */
};

#ifdef __SANITIZE_THREAD__
#define UNDER_TSAN true
#else
#define UNDER_TSAN false
#endif

static _Thread_local int steps_left; /* until this thread is held up */
static _Thread_local uint64_t steps_random;
static struct race race;
static struct racer racers[THREADS_MAX];
static unsigned long long run_seconds, run_seed;

/* ---- threads ---------------------------------------------------------------------------------- */

static uint32_t
pick(struct racer *r, uint32_t below)
{
	return random_below(&r->random, below);
}

/* All threads of the race; the last one to come does `then` before any goes on. */
static void
meet(void (*then)(void))
{
	unsigned generation = atomic_load(&race.generation);

	if (atomic_fetch_add(&race.arrived, 1) + 1 == race.setting->threads) {
		if (then)
			then();
		atomic_store(&race.arrived, 0);
		atomic_fetch_add(&race.generation, 1);
		return;
	}
	while (atomic_load(&race.generation) == generation)
		sched_yield();
}

/* ---- being held up in the middle of an operation ---------------------------------------------- */

/* Others go on until they have drawn so many stamps, or have nothing to do. */
static void
let_others_go_on(uint64_t stamps)
{
	uint64_t until = atomic_load_explicit(&race.moments, memory_order_relaxed) + stamps;

	for (unsigned i = 0;
	     i < YIELDS_MAX && atomic_load_explicit(&race.moments, memory_order_relaxed) < until; i++)
		sched_yield();
}

/* Each instruction of this thread comes here while the trap flag is set. */
static void
stepped(int number, siginfo_t *info, void *context)
{
	ucontext_t *interrupted = context;
	int errno_before = errno;

	(void)number;
	(void)info;
	if (steps_left-- > 0)
		return;
	interrupted->uc_mcontext.gregs[REG_EFL] &= ~(greg_t)TRAP_FLAG;
	let_others_go_on(1 + random_next(&steps_random) % 8);
	errno = errno_before;
}

static void
hold_up_somewhere(void)
{
	if (random_next(&steps_random) % HELD_UP_IN != 0)
		return;
	/* Half of them early: a get takes a hundred instructions, an append a thousand. */
	steps_left = (int)(random_next(&steps_random) % (random_next(&steps_random) % 2 ? 120 : 1000));
	/* The stack below is left alone: it may be in use. */
	__asm__ volatile(
	    "lea -128(%%rsp), %%rsp\n\tpushfq\n\torq %0, (%%rsp)\n\tpopfq\n\tlea 128(%%rsp), %%rsp"
	    :
	    : "i"(TRAP_FLAG)
	    : "memory", "cc");
}

static void
hold_up_no_more(void)
{
	__asm__ volatile(
	    "lea -128(%%rsp), %%rsp\n\tpushfq\n\tandq %0, (%%rsp)\n\tpopfq\n\tlea 128(%%rsp), %%rsp"
	    :
	    : "i"(~TRAP_FLAG)
	    : "memory", "cc");
}

/* ---- a round ---------------------------------------------------------------------------------- */

static void
name_keys(struct actor *actor, unsigned round)
{
	actor->keys_len = race.setting->keys;
	for (unsigned k = 0; k < actor->keys_len; k++) {
		struct act_key *key = &actor->keys[k];
		snprintf(
		    key->name, sizeof(key->name), "%llu-%u-%u", (unsigned long long)race.batch, round, k);
		key->stretch = race.setting->large && k + 1 == actor->keys_len ? LARGE_STRETCH : 1;
	}
	act_forget(actor);
}

static void
put_filler(struct racer *r)
{
	static uint8_t nothing[4096];
	struct store_write write = {.mode = STORE_SET};
	char name[32];

	uint64_t at = atomic_fetch_add_explicit(&race.filled, 1, memory_order_relaxed);
	snprintf(name, sizeof(name), "filler-%llu",
	    (unsigned long long)(race.setting->evicts ? pick(r, FILLER_KEYS) : at % FILLER_KEYS_KEPT));
	struct store_key key = store_key_make(race.store, name, (uint32_t)strlen(name));
	store_put(r->actor.thread, &key, &write, nothing, pick(r, race.setting->filler_max), NULL);
}

static void
between_operations(struct racer *r)
{
	if (race.setting->filler_max)
		for (unsigned i = 0; i < 4; i++)
			put_filler(r);
	switch (pick(r, 16)) {
	case 0:
		sched_yield();
		break;
	case 1:
		act_quiesce(&r->actor);
		break;
	case 2:
		store_maintain(r->actor.thread, pick(r, 64));
		break;
	default:
		for (uint32_t i = pick(r, 60); i > 0; i--)
			__builtin_ia32_pause();
	}
}

static void
play_round(struct racer *r, unsigned round)
{
	struct linear_op *ops = race.rounds[round].ops[r->id];
	uint64_t overlapped = 0;

	name_keys(&r->actor, round);
	act_quiesce(&r->actor);
	meet(NULL);
	for (unsigned i = 0; i < OPS_LEN; i++) {
		act_choose(&r->actor, &ops[i]);
		act_do(&r->actor, &ops[i]);
		overlapped += ops[i].end > ops[i].begin + 1;
		between_operations(r);
	}
	act_quiesce(&r->actor);
	atomic_fetch_add_explicit(&race.overlapped, overlapped, memory_order_relaxed);
}

static void
check_round(const struct round *round)
{
	struct linear_lane lanes[THREADS_MAX];
	static pthread_mutex_t speaks = PTHREAD_MUTEX_INITIALIZER;

	for (unsigned i = 0; i < race.setting->threads; i++)
		lanes[i] = (struct linear_lane){round->ops[i], OPS_LEN};
	switch (linear_check(lanes, race.setting->threads, race.evicted)) {
	case LINEAR_YES:
		return;
	case LINEAR_UNDECIDED:
		atomic_fetch_add(&race.undecided, 1);
		return;
	case LINEAR_NO:
		break;
	}
	pthread_mutex_lock(&speaks);
	if (atomic_fetch_add(&race.rejected, 1) == 0) {
		printf(
		    "# not linearisable, threads %u, may vanish %d:\n", race.setting->threads, race.evicted);
		linear_explain(stdout, lanes, race.setting->threads, race.evicted);
	}
	pthread_mutex_unlock(&speaks);
}

/* Nothing of a round stays: its keys are not used again. */
static void
delete_round(struct racer *r, unsigned round)
{
	name_keys(&r->actor, round);
	for (unsigned k = 0; k < r->actor.keys_len; k++) {
		const char *name = r->actor.keys[k].name;
		struct store_key key = store_key_make(race.store, name, (uint32_t)strlen(name));
		store_delete(r->actor.thread, &key, 0);
	}
}

static void
batch_played(void)
{
	struct store_counters counters;

	store_counters_sum(race.store, &counters);
	race.evicted = counters.evictions > race.evictions || counters.no_memory > 0;
	race.evictions = counters.evictions;
}

static void
batch_checked(void)
{
	race.batch++;
	if (atomic_load(&race.rejected) ||
	    (race.batches ? race.batch >= race.batches : time(NULL) >= race.deadline))
		atomic_store(&race.over, true);
}

static void *
racer_main(void *argument)
{
	struct racer *r = argument;

	steps_random = random_next(&r->random);
	if (r->id == 0)
		act_raise_cas(&r->actor);
	while (!atomic_load(&race.over)) {
		for (unsigned i = 0; i < BATCH_LEN; i++)
			play_round(r, i);
		meet(batch_played);
		for (unsigned i = r->id; i < BATCH_LEN; i += race.setting->threads) {
			check_round(&race.rounds[i]);
			delete_round(r, i);
		}
		store_maintain(r->actor.thread, 2000);
		act_quiesce(&r->actor);
		meet(batch_checked);
	}
	store_thread_unregister(r->actor.thread);
	return NULL;
}

/* ---- a setting -------------------------------------------------------------------------------- */

static void
racer_start(unsigned id)
{
	struct racer *r = &racers[id];

	memset(r, 0, sizeof(*r));
	r->id = id;
	r->random = race.seed + id;
	r->actor.lane = id;
	r->actor.store = race.store;
	r->actor.thread = store_thread_register(race.store, -1);
	r->actor.moments = &race.moments;
	r->actor.now_s = FIX_NOW_S;
	r->actor.flush_in = race.setting->flush_in;
	if (!UNDER_TSAN) {
		r->actor.before = hold_up_somewhere;
		r->actor.after = hold_up_no_more;
	}
	r->actor.random = random_next(&r->random);
	r->actor.joined_max = (LINEAR_VALUE_MAX - 40) / race.setting->threads;
	assert_non_null(r->actor.thread);
	assert_int_equal(pthread_create(&r->handle, NULL, racer_main, r), 0);
}

static void
race_begin(const struct setting *setting)
{
	struct store_config config = fix_config(setting->memory_bytes);
	char error[STORE_ERROR_MAX];
	static uint64_t turn;

	memset(&race, 0, sizeof(race));
	race.setting = setting;
	race.seed = run_seed + turn++;
	race.batches = run_seconds ? 0 : BATCHES;
	assert_int_equal(store_create(&config, &race.store, error), 0);
	printf("# threads %u, seed %llu\n", setting->threads, (unsigned long long)race.seed);
	fflush(stdout);
}

static void
race_end(void)
{
	struct store_counters c;
	const char *broken = store_check(race.store);

	store_counters_sum(race.store, &c);
	store_destroy(race.store);
	printf("# %llu rounds, %llu undecided, %llu overlaps, %llu retries, %llu evictions, %llu moved, %llu "
	       "splits\n",
	    (unsigned long long)race.batch * BATCH_LEN, (unsigned long long)race.undecided,
	    (unsigned long long)race.overlapped, (unsigned long long)c.publish_retries,
	    (unsigned long long)c.evictions, (unsigned long long)c.moved, (unsigned long long)c.index_splits);
	if (broken)
		fail_msg("store_check: %s", broken);
	assert_int_equal(race.rejected, 0);
	assert_true(race.overlapped > 0); /* how often is the scheduler's affair */
	assert_true(race.undecided * 100 <= race.batch * BATCH_LEN);
	assert_int_equal(race.setting->evicts, c.evictions > 0);
	assert_true(!race.setting->splits || c.index_splits > 0);
}

static void
race_run(const struct setting *setting)
{
	race_begin(setting);
	race.deadline = time(NULL) + (time_t)run_seconds;
	for (unsigned i = 0; i < setting->threads; i++)
		racer_start(i);
	for (unsigned i = 0; i < setting->threads; i++)
		pthread_join(racers[i].handle, NULL);
	race_end();
}

static void
operations_of_two_threads_are_linearisable(void **state)
{
	(void)state;
	race_run(&(struct setting){.threads = 2, .keys = 2, .memory_bytes = 64 * FIX_MIB, .flush_in = 25});
}

static void
operations_of_three_threads_are_linearisable(void **state)
{
	(void)state;
	race_run(&(struct setting){
	    .threads = 3, .keys = 3, .memory_bytes = 64 * FIX_MIB, .flush_in = 25, .large = true});
}

static void
operations_of_four_threads_are_linearisable(void **state)
{
	(void)state;
	race_run(&(struct setting){.threads = 4, .keys = 2, .memory_bytes = 64 * FIX_MIB, .flush_in = 25});
}

static void
operations_on_one_key_are_linearisable(void **state)
{
	(void)state;
	race_run(&(struct setting){.threads = 4, .keys = 1, .memory_bytes = 64 * FIX_MIB});
}

static void
operations_while_the_index_splits_are_linearisable(void **state)
{
	(void)state;
	race_run(&(struct setting){
	    .threads = 3, .keys = 3, .memory_bytes = 16 * FIX_MIB, .filler_max = 16, .splits = true});
}

static void
operations_beside_eviction_are_linearisable(void **state)
{
	(void)state;
	race_run(&(struct setting){.threads = 4,
	    .keys = 3,
	    .memory_bytes = 8 * FIX_MIB,
	    .filler_max = 1000,
	    .flush_in = 20000,
	    .large = true,
	    .evicts = true});
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(operations_of_two_threads_are_linearisable),
	    cmocka_unit_test(operations_of_three_threads_are_linearisable),
	    cmocka_unit_test(operations_of_four_threads_are_linearisable),
	    cmocka_unit_test(operations_on_one_key_are_linearisable),
	    cmocka_unit_test(operations_while_the_index_splits_are_linearisable),
	    cmocka_unit_test(operations_beside_eviction_are_linearisable),
	};
	const struct sigaction action = {.sa_sigaction = stepped, .sa_flags = SA_SIGINFO};

	if (argc > 1)
		run_seconds = strtoull(argv[1], NULL, 10) / (sizeof(tests) / sizeof(tests[0])) + 1;
	run_seed = argc > 2 ? strtoull(argv[2], NULL, 10) : 1;
	sigaction(SIGTRAP, &action, NULL);
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
