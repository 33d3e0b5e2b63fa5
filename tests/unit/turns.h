/*
 * Two threads that meet at a chosen instruction: the first runs so many instructions as single steps and stops, the second
 * runs to its end or to an instruction of its own, then the first goes on. So a race is played again and again in
 * the same way, and all of them one by one: x86-64 Linux, no help of the code that is tested.
 *
 *   thread 0   |== steps[0] ==>.                      .======== to its end ==>.
 *   thread 1                   |== steps[1] ==>.......                        |== to its end ==>
 *
 * Both are contexts of one thread of the system: nothing waits for its scheduler. Who spins for what the other holds calls
 * sched_yield(), which lets that one go on: programs that include this are linked with --wrap=sched_yield. What runs must
 * not allocate: malloc() is not made to be stopped and entered again.
 */
#ifndef WIRECACHE_TESTS_TURNS_H
#define WIRECACHE_TESTS_TURNS_H

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <ucontext.h>

#define TURNS_TO_ITS_END UINT32_MAX
#define TURNS_STACK      (1u << 20)
#define TURNS_TRAP_FLAG  0x100

struct turns_thread {
	ucontext_t context;
	void (*run)(void *);
	void *ctx;
	uint32_t left; /* instructions until it stops */
	bool done;
	bool stopped;
};

static struct {
	struct turns_thread thread[2]; /* the first runs on the caller's stack */
	unsigned self;
	uint8_t *stack;
} turns;

int __wrap_sched_yield(void);

/* Lets the other go on until it gives the turn back; at once when that has come to its end. */
static inline void
turns_yield(void)
{
	unsigned self = turns.self;

	if (turns.thread[1 - self].done)
		return;
	turns.self = 1 - self;
	swapcontext(&turns.thread[self].context, &turns.thread[1 - self].context);
}

/* The stack below is left alone: it may be in use. */
static inline void
turns_trap(bool on)
{
	if (on)
		__asm__ volatile("lea -128(%%rsp), %%rsp\n\t"
		                 "pushfq\n\t"
		                 "orq %0, (%%rsp)\n\t"
		                 "popfq\n\t"
		                 "lea 128(%%rsp), %%rsp" ::"i"(TURNS_TRAP_FLAG)
		                 : "memory", "cc");
	else
		__asm__ volatile("lea -128(%%rsp), %%rsp\n\t"
		                 "pushfq\n\t"
		                 "andq %0, (%%rsp)\n\t"
		                 "popfq\n\t"
		                 "lea 128(%%rsp), %%rsp" ::"i"(~TURNS_TRAP_FLAG)
		                 : "memory", "cc");
}

int
__wrap_sched_yield(void)
{
	turns_trap(false);
	turns_yield();
	return 0;
}

static inline void
turns_stepped(int number, siginfo_t *info, void *context)
{
	struct turns_thread *self = &turns.thread[turns.self];
	ucontext_t *interrupted = context;
	int errno_before = errno;

	(void)number;
	(void)info;
	if (self->left-- > 0)
		return;
	interrupted->uc_mcontext.gregs[REG_EFL] &= ~(greg_t)TURNS_TRAP_FLAG;
	self->stopped = true;
	turns_yield();
	errno = errno_before;
}

static inline void
turns_run(struct turns_thread *self)
{
	if (self->left != TURNS_TO_ITS_END)
		turns_trap(true);
	self->run(self->ctx);
	turns_trap(false);
	self->done = true;
}

static inline void
turns_second(void)
{
	turns_run(&turns.thread[1]);
	turns.self = 0;
	setcontext(&turns.thread[0].context);
}

static inline void
turns_open(void)
{
	/* Not deferred: the second's steps are signals within the first's. */
	struct sigaction action = {.sa_sigaction = turns_stepped, .sa_flags = SA_SIGINFO | SA_NODEFER};

	sigaction(SIGTRAP, &action, NULL);
	turns.stack = malloc(TURNS_STACK);
	if (turns.stack == NULL)
		abort();
}

static inline void
turns_close(void)
{
	free(turns.stack);
}

/* Runs run(ctx[0]) and run(ctx[1]); returns whether the first got as far as its steps. */
static inline bool
turns_play(void (*run)(void *), void *const ctx[2], const uint32_t steps[2])
{
	for (unsigned i = 0; i < 2; i++) {
		turns.thread[i].run = run;
		turns.thread[i].ctx = ctx[i];
		turns.thread[i].left = steps[i];
		turns.thread[i].done = turns.thread[i].stopped = false;
	}
	turns.self = 0;
	getcontext(&turns.thread[1].context);
	turns.thread[1].context.uc_stack.ss_sp = turns.stack;
	turns.thread[1].context.uc_stack.ss_size = TURNS_STACK;
	turns.thread[1].context.uc_link = NULL;
	makecontext(&turns.thread[1].context, turns_second, 0);
	turns_run(&turns.thread[0]);
	turns_yield();
	return turns.thread[0].stopped;
}

#endif
