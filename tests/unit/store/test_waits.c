/*
 * How long a write waits for memory that others still use, in virtual time: the clock, yields and sleeps are wrapped by
 * the linker. Beside other programs each yield and each sleep lasts as long as their turns.
 */
#include "fixture.h"

#include <time.h>

#define TURNS_NS         16000000ull   /* of the other programs, whenever this one gives up its core */
#define LATE_WAIT_NS_MAX 1000000000ull /* as store/alloc.c has it */

int __wrap_sched_yield(void);
int __wrap_nanosleep(const struct timespec *asked, struct timespec *left);
int __wrap_clock_gettime(clockid_t which, struct timespec *now);

static uint64_t now_ns;
static struct store_thread *late; /* passes its quiescent point at due_ns */
static uint64_t due_ns;

static int
others_have_their_turns(void)
{
	now_ns += TURNS_NS;
	if (late && now_ns >= due_ns)
		store_quiesce(late, FIX_NOW_S);
	return 0;
}

int
__wrap_sched_yield(void)
{
	return others_have_their_turns();
}

int
__wrap_nanosleep(const struct timespec *asked, struct timespec *left)
{
	(void)asked;
	(void)left;
	return others_have_their_turns();
}

int
__wrap_clock_gettime(clockid_t which, struct timespec *now)
{
	(void)which;
	*now = (struct timespec){
	    .tv_sec = (time_t)(now_ns / 1000000000), .tv_nsec = (long)(now_ns % 1000000000)};
	return 0;
}

/* Puts until one is refused, or for count times; returns how many were refused. longest_ns: of one put. */
static unsigned
put_many(struct fix *fix, unsigned count, bool holds, uint64_t *longest_ns)
{
	struct store_view view;
	unsigned refused = 0;
	char name[32];

	*longest_ns = 0;
	for (unsigned i = 0; i < count && refused < 4; i++) {
		uint64_t began_ns = now_ns;
		snprintf(name, sizeof(name), "key-%u", i);
		refused += fix_put_pattern(fix, name, 1000, i) == STORE_NO_MEMORY;
		if (now_ns - began_ns > *longest_ns)
			*longest_ns = now_ns - began_ns;
		struct store_key key = fix_key(fix, name);
		if (holds)
			store_get(fix->thread, &key, &view);
		else
			fix_quiesce(fix);
	}
	return refused;
}

static void
write_that_holds_all_itself_gives_up_after_two_turns_of_others(void **state)
{
	uint64_t longest_ns;

	(void)state;
	struct fix fix = fix_open(8 * FIX_MIB);
	assert_int_equal(put_many(&fix, 20000, true, &longest_ns), 4);
	assert_in_range(longest_ns, 0, 2 * TURNS_NS); /* it looks for a segment twice */
	fix_quiesce(&fix);
	assert_int_equal(fix_put_pattern(&fix, "again", 1000, 1), STORE_OK);
	fix_close(&fix);
}

/* late has seen an item, and does not quiesce until wait_ns from now. */
static unsigned
put_beside_late(uint64_t wait_ns, uint64_t *longest_ns)
{
	struct fix fix = fix_open(8 * FIX_MIB);
	struct store_thread *other = store_thread_register(fix.store, -1);
	struct store_view view;

	fix_put_pattern(&fix, "seen", 1000, 77);
	struct store_key key = fix_key(&fix, "seen");
	assert_int_equal(store_get(other, &key, &view), STORE_OK);
	late = other;
	due_ns = now_ns + wait_ns;
	unsigned refused = put_many(&fix, 12000, false, longest_ns);
	late = NULL;
	fix_check(&fix);
	store_thread_unregister(other);
	fix_close(&fix);
	return refused;
}

static void
thread_that_comes_late_is_waited_for(void **state)
{
	uint64_t longest_ns;

	(void)state;
	assert_int_equal(put_beside_late(LATE_WAIT_NS_MAX / 2, &longest_ns), 0);
	assert_in_range(longest_ns, TURNS_NS, LATE_WAIT_NS_MAX);
}

static void
thread_that_never_comes_is_waited_for_a_second_and_once(void **state)
{
	uint64_t longest_ns, began_ns = now_ns;

	(void)state;
	assert_int_equal(put_beside_late(UINT64_MAX / 2, &longest_ns), 4);
	assert_in_range(longest_ns, LATE_WAIT_NS_MAX, LATE_WAIT_NS_MAX + 2 * TURNS_NS);
	assert_in_range(now_ns - began_ns, LATE_WAIT_NS_MAX, 2 * LATE_WAIT_NS_MAX);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(write_that_holds_all_itself_gives_up_after_two_turns_of_others),
	    cmocka_unit_test(thread_that_comes_late_is_waited_for),
	    cmocka_unit_test(thread_that_never_comes_is_waited_for_a_second_and_once),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
