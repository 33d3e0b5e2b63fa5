/*
 * Warm restart against SIGKILL at random moments. A case is one appliance's life in a process of its own: it starts on
 * the files in /dev/shm, compares what it finds with what the life before had, item by item, fills the store anew and
 * stops. Most lives are killed at a random moment of their start, their work or their stop. What the next life finds
 * has to be all of it (values by checksum, CAS, expiry, and what must have expired meanwhile) or nothing.
 *
 *   test_restart_kill [KILLS [SEED]]        200 without arguments
 *
 * Time is virtual. A page shared with the lives tells how far one is, and what the last one to stop in order had.
 */
#include "fixture.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define ITEMS      600u
#define VALUE_MAX  900u
#define PARTITIONS 2u
#define LATE_S     40u /* half of the items expire, over this many seconds; a life lasts a few */

enum phase { PHASE_STARTING, PHASE_WORKING, PHASE_STOPPING, PHASE_OVER, PHASES };

/* What a life is about to leave behind, written before it stops. */
struct legacy {
	uint64_t seed; /* 0: nothing */
	uint32_t stored_s;
	uint64_t cas[ITEMS];
};

struct shared {
	_Atomic uint32_t phase;
	uint64_t phase_ns
	    [PHASES]; /* the least that each took of a life that was left alone: what others took of the core is not in it */
	uint32_t kill_phase; /* in which the life is to be killed, PHASE_OVER: in none */
	uint64_t kill_ns;    /* after its begin */
	uint32_t now_s;
	uint64_t seed; /* of the life */
	struct legacy legacy[2];
	_Atomic uint32_t current; /* which of them holds, 0 or 1 */
	uint32_t found_warm, found_empty;
	char wrong[STORE_ERROR_MAX]; /* empty: nothing was */
};

static struct shared *shared;
static char prefix[128];
static unsigned reached[PHASES]; /* lives that were killed there */
static unsigned kills = 200;
static uint64_t seed = 1;

/* ---- a life ----------------------------------------------------------------------------------- */

#define WRONG_UNLESS(holds, ...)                                                       \
	do {                                                                           \
		if (!(holds)) {                                                        \
			snprintf(shared->wrong, sizeof(shared->wrong), ##__VA_ARGS__); \
			_exit(1);                                                      \
		}                                                                      \
	} while (0)

static uint32_t
value_bytes_of(uint64_t life, uint32_t n)
{
	return (uint32_t)((life * 31 + n * 17) % VALUE_MAX);
}

static uint32_t
expires_of_item(const struct legacy *legacy, uint32_t n)
{
	return n % 2 ? legacy->stored_s + 1 + n % LATE_S : STORE_EXPTIME_NEVER;
}

static struct store_key
key_of(const struct fix *fix, uint32_t n, char name[32])
{
	snprintf(name, 32, "life-item-%u", n);
	return fix_key(fix, name);
}

static void
compare_item(struct fix *fix, const struct legacy *legacy, uint32_t n)
{
	char name[32];
	struct store_view view;
	struct store_key key = key_of(fix, n, name);
	uint32_t expires_s = expires_of_item(legacy, n);
	bool expired = expires_s && expires_s <= fix->now_s;
	enum store_status status = store_get(fix->thread, &key, &view);

	WRONG_UNLESS(status == (expired ? STORE_NOT_FOUND : STORE_OK), "item %u: status %d, expired %d", n,
	    (int)status, expired);
	if (expired)
		return;
	WRONG_UNLESS(view.cas == legacy->cas[n], "item %u has another CAS", n);
	WRONG_UNLESS(view.expires_s == expires_s, "item %u has another expiry", n);
	WRONG_UNLESS(fix_is_pattern(fix, &view, value_bytes_of(legacy->seed, n), legacy->seed + n),
	    "item %u has another value", n);
}

static void
compare_all(struct fix *fix)
{
	const struct legacy *legacy = &shared->legacy[shared->current];
	struct store_info info;

	store_info_get(fix->store, &info);
	if (info.start == STORE_START_EMPTY) {
		WRONG_UNLESS(info.items == 0, "empty, but with items");
		shared->found_empty++;
		return;
	}
	WRONG_UNLESS(info.start == STORE_START_WARM && legacy->seed, "warm without anything before");
	WRONG_UNLESS(!store_check(fix->store), "%s", store_check(fix->store));
	for (uint32_t n = 0; n < ITEMS; n++)
		compare_item(fix, legacy, n);
	shared->found_warm++;
}

/* Writes all items twice, so that dead ones lie among them. */
static void
work(struct fix *fix, struct legacy *legacy)
{
	uint8_t value[VALUE_MAX];
	char name[32];

	legacy->seed = shared->seed;
	legacy->stored_s = fix->now_s;
	for (uint32_t at = 0; at < 2 * ITEMS; at++) {
		uint32_t n = at % ITEMS, bytes = value_bytes_of(legacy->seed, n);
		struct store_key key = key_of(fix, n, name);
		struct store_write write = {.mode = STORE_SET, .expires_s = expires_of_item(legacy, n)};
		fix_pattern(value, bytes, legacy->seed + n);
		enum store_status status =
		    store_put(fix->thread, &key, &write, value, bytes, &legacy->cas[n]);
		WRONG_UNLESS(status == STORE_OK, "item %u could not be stored", n);
	}
}

static uint64_t
now_ns(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* The kernel's timer kills, wherever the life is then. */
static void
die_in(uint64_t ns)
{
	struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGKILL};
	struct itimerspec when = {.it_value = {.tv_sec = 0, .tv_nsec = (long)(ns + 1)}};
	timer_t timer;

	WRONG_UNLESS(timer_create(CLOCK_MONOTONIC, &event, &timer) == 0, "no timer");
	timer_settime(timer, 0, &when, NULL);
}

static void
note_phase(uint32_t phase, uint64_t took_ns)
{
	uint64_t *least_ns = &shared->phase_ns[phase];

	if (*least_ns == 0 || took_ns < *least_ns)
		*least_ns = took_ns;
}

static void
enter(enum phase phase)
{
	static uint64_t began_ns;
	uint64_t ns = now_ns();

	if (phase > PHASE_STARTING && shared->kill_phase == PHASE_OVER)
		note_phase(phase - 1, ns - began_ns);
	began_ns = ns;
	shared->phase = phase;
	if (shared->kill_phase == phase && phase != PHASE_OVER)
		die_in(shared->kill_ns);
}

static void
live(void)
{
	struct store_config config = fix_config(8 * FIX_MIB);
	struct legacy *next = &shared->legacy[1 - shared->current];
	char error[STORE_ERROR_MAX];
	struct fix fix = {.now_s = shared->now_s};

	config.restart_path = prefix;
	config.nodes_len = PARTITIONS;
	config.nodes[0] = config.nodes[1] = -1;
	config.now_s = fix.now_s;
	memcpy(config.hash_key, &shared->seed, sizeof(shared->seed));
	enter(PHASE_STARTING);
	int rc = store_create(&config, &fix.store, error);
	WRONG_UNLESS(rc == 0, "%s", error);
	fix.thread = store_thread_register(fix.store, -1);
	WRONG_UNLESS(fix.thread, "no handle");
	fix_quiesce(&fix);
	compare_all(&fix);
	fix_quiesce(&fix); /* its views end */
	enter(PHASE_WORKING);
	work(&fix, next);
	fix_quiesce(&fix);
	shared->current = 1 - shared->current;
	enter(PHASE_STOPPING);
	store_thread_unregister(fix.thread);
	store_destroy(fix.store);
	enter(PHASE_OVER);
	_exit(0);
}

/* ---- killing ---------------------------------------------------------------------------------- */

/* Every other life is left alone, so that there is something to lose. */
static void
choose_end(unsigned number, uint64_t *state)
{
	static const uint32_t when[] = {PHASE_STOPPING, PHASE_STARTING, PHASE_STOPPING, PHASE_WORKING};

	shared->kill_phase = number % 2 ? when[number / 2 % 4] : PHASE_OVER;
	shared->kill_ns = random_next(state) % (shared->phase_ns[shared->kill_phase] + 1) % 1000000000;
}

static void
one_life(unsigned number, uint64_t *state)
{
	int status;

	shared->seed = random_next(state) | 1;
	shared->now_s += (uint32_t)(random_next(state) % 8);
	choose_end(number, state);
	pid_t child = fork();
	if (child == 0)
		live();
	assert_int_equal(waitpid(child, &status, 0), child);
	if (shared->wrong[0])
		fail_msg("life %u of seed %llu: %s", number, (unsigned long long)seed, shared->wrong);
	if (WIFSIGNALED(status) ? WTERMSIG(status) != SIGKILL : WEXITSTATUS(status) != 0)
		fail_msg("life %u ended with status %d", number, status);
	if (WIFSIGNALED(status))
		reached[shared->phase]++;
}

/* Those that came too late for their life do not count. */
static unsigned
killed(void)
{
	return reached[PHASE_STARTING] + reached[PHASE_WORKING] + reached[PHASE_STOPPING];
}

static void
killed_at_any_moment_the_next_start_is_complete_or_empty(void **state)
{
	uint64_t random = seed;

	(void)state;
	unsigned lives = 0;
	while (killed() < kills)
		one_life(lives++, &random);
	printf(
	    "# %u lives: %u found all, %u found nothing; killed while starting %u, working %u, stopping %u\n",
	    lives, shared->found_warm, shared->found_empty, reached[PHASE_STARTING], reached[PHASE_WORKING],
	    reached[PHASE_STOPPING]);
	/* Else this would show nothing. */
	assert_true(shared->found_warm > kills / 4 && shared->found_empty > kills / 4);
	assert_true(reached[PHASE_STARTING] > kills / 10);
	assert_true(reached[PHASE_STOPPING] > kills / 10);
}

static int
setup(void **state)
{
	(void)state;
	snprintf(prefix, sizeof(prefix), "/dev/shm/wirecache-kill-%d", (int)getpid());
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	shared->now_s = FIX_NOW_S;
	store_restart_forget(prefix);
	return shared == MAP_FAILED;
}

static int
teardown(void **state)
{
	(void)state;
	store_restart_forget(prefix);
	return munmap(shared, sizeof(*shared));
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(killed_at_any_moment_the_next_start_is_complete_or_empty),
	};
	if (argc > 1)
		kills = (unsigned)strtoul(argv[1], NULL, 10);
	if (argc > 2)
		seed = strtoull(argv[2], NULL, 10);
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, setup, teardown);
}
