/*
 * Which cache lines does a thread write? Memory is made read-only, each write faults, is noted, let through as a single
 * step, and its page is read-only again: x86-64 Linux, no counters of the processor needed.
 *
 *   write --SIGSEGV--> note the line, page writable, trap flag --one instruction--> SIGTRAP --> page read-only
 *
 * A write that reaches into the next line is seen there when it changes it. Stacks of the threads that take part are
 * left out, and with them their thread-local variables: nobody else writes there.
 *
 * Two threads take part and work in turns: a thread runs a step while the others wait in read(2), and so only the one
 * that is watched writes anything. Steps run outside of the test's own thread: they count what is wrong and assert
 * nothing. Programs that include this are linked with -z now: binding a function when it is first called is a write too,
 * and in a handler the end.
 */
#ifndef WIRECACHE_TESTS_WRITES_H
#define WIRECACHE_TESTS_WRITES_H

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

#define WRITES_LINE_BYTES  64u
#define WRITES_PAGE_BYTES  4096u
#define WRITES_REGIONS_MAX 512u
#define WRITES_SET_LEN     (1u << 16)   /* lines that a thread may write, a power of two */
#define WRITES_OPEN_MAX    4u           /* pages that one instruction writes to */
#define WRITES_REGION_MAX  (1ull << 32) /* larger ones are reservations, such as a sanitizer's shadow */
#define WRITES_TRAP_FLAG   0x100

struct writes_region {
	uintptr_t begin, end;
};

/* Lines that were written, as addresses / 64; 0: free place. */
struct writes_set {
	uintptr_t line[WRITES_SET_LEN];
	uint32_t len;
	uint64_t writes; /* in all */
};

/* In a mapping of its own, which is never protected. */
struct writes_state {
	struct writes_region regions[WRITES_REGIONS_MAX];
	unsigned regions_len;
	struct writes_region stacks[4];
	unsigned stacks_len;
	struct writes_set *to;
	struct {
		uintptr_t line;
		uint8_t next[WRITES_LINE_BYTES]; /* what lay behind it before */
	} open[WRITES_OPEN_MAX];
	unsigned open_len;
};

static struct writes_state *writes_state;

static inline void *
writes_map(size_t bytes)
{
	void *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (at == MAP_FAILED)
		abort();
	return at;
}

static inline bool
writes_has(const struct writes_set *set, uintptr_t line)
{
	for (size_t i = line * 0x9e3779b97f4a7c15ull >> 48; set->line[i]; i = (i + 1) % WRITES_SET_LEN)
		if (set->line[i] == line)
			return true;
	return false;
}

static inline void
writes_note(struct writes_set *set, uintptr_t line)
{
	size_t i = line * 0x9e3779b97f4a7c15ull >> 48;

	while (set->line[i] && set->line[i] != line)
		i = (i + 1) % WRITES_SET_LEN;
	if (set->line[i])
		return;
	if (++set->len > WRITES_SET_LEN / 2)
		abort();
	set->line[i] = line;
}

static inline void
writes_page(uintptr_t line, int protection)
{
	uintptr_t page = line * WRITES_LINE_BYTES / WRITES_PAGE_BYTES * WRITES_PAGE_BYTES;

	if (mprotect((void *)page, WRITES_PAGE_BYTES, protection) != 0)
		abort();
}

static inline bool
writes_watched(uintptr_t address)
{
	for (unsigned i = 0; i < writes_state->regions_len; i++)
		if (address >= writes_state->regions[i].begin && address < writes_state->regions[i].end)
			return true;
	return false;
}

/* Does the line behind this one lie in the same page? Only then it is known to be there. */
static inline bool
writes_has_next(uintptr_t line)
{
	return (line + 1) * WRITES_LINE_BYTES % WRITES_PAGE_BYTES != 0;
}

static inline void
writes_fault(int number, siginfo_t *info, void *context)
{
	struct writes_state *s = writes_state;
	ucontext_t *interrupted = context;
	uintptr_t line = (uintptr_t)info->si_addr / WRITES_LINE_BYTES;
	int errno_before = errno;

	/* Anything else is a crash, and happens again with the default handler. */
	if (s->to == NULL || !writes_watched((uintptr_t)info->si_addr) || s->open_len == WRITES_OPEN_MAX) {
		signal(number, SIG_DFL);
		return;
	}
	s->to->writes++;
	writes_note(s->to, line);
	s->open[s->open_len].line = line;
	if (writes_has_next(line))
		memcpy(
		    s->open[s->open_len].next, (void *)((line + 1) * WRITES_LINE_BYTES), WRITES_LINE_BYTES);
	s->open_len++;
	writes_page(line, PROT_READ | PROT_WRITE);
	interrupted->uc_mcontext.gregs[REG_EFL] |= WRITES_TRAP_FLAG;
	errno = errno_before;
}

static inline void
writes_stepped(int number, siginfo_t *info, void *context)
{
	struct writes_state *s = writes_state;
	ucontext_t *interrupted = context;
	int errno_before = errno;

	(void)number;
	(void)info;
	for (unsigned i = 0; i < s->open_len; i++) {
		uintptr_t line = s->open[i].line;
		if (writes_has_next(line) &&
		    memcmp(s->open[i].next, (void *)((line + 1) * WRITES_LINE_BYTES), WRITES_LINE_BYTES) != 0)
			writes_note(s->to, line + 1);
		writes_page(line, PROT_READ);
	}
	s->open_len = 0;
	interrupted->uc_mcontext.gregs[REG_EFL] &= ~(greg_t)WRITES_TRAP_FLAG;
	errno = errno_before;
}

/* Once, before anything else, by the thread that will start the others. */
static inline void
writes_open(void)
{
	struct sigaction action = {.sa_flags = SA_SIGINFO};
	uintptr_t self = (uintptr_t)pthread_self() / WRITES_PAGE_BYTES * WRITES_PAGE_BYTES;

	if (writes_state == NULL)
		writes_state = writes_map(sizeof(*writes_state));
	memset(writes_state, 0, sizeof(*writes_state));
	/* Of this thread its thread-local memory, which lies apart from the stack: the kernel writes there. */
	writes_state->stacks[writes_state->stacks_len++] =
	    (struct writes_region){self - 4 * WRITES_PAGE_BYTES, self + 2 * WRITES_PAGE_BYTES};
	action.sa_sigaction = writes_fault;
	sigaction(SIGSEGV, &action, NULL);
	action.sa_sigaction = writes_stepped;
	sigaction(SIGTRAP, &action, NULL);
}

static inline struct writes_set *
writes_set_make(void)
{
	return writes_map(sizeof(struct writes_set));
}

static inline void
writes_set_free(struct writes_set *set)
{
	munmap(set, sizeof(*set));
}

/* The stack of the calling thread is not watched. */
static inline void
writes_leave_stack(void)
{
	struct writes_region *stack = &writes_state->stacks[writes_state->stacks_len++];
	pthread_attr_t attr;
	void *base;
	size_t bytes;

	if (pthread_getattr_np(pthread_self(), &attr) != 0 ||
	    pthread_attr_getstack(&attr, &base, &bytes) != 0)
		abort();
	pthread_attr_destroy(&attr);
	*stack = (struct writes_region){(uintptr_t)base, (uintptr_t)base + bytes};
}

static inline void
writes_watch(uintptr_t begin, uintptr_t end)
{
	struct writes_state *s = writes_state;

	for (unsigned i = 0; i < s->stacks_len; i++) {
		if (begin >= s->stacks[i].end || end <= s->stacks[i].begin)
			continue;
		if (begin < s->stacks[i].begin)
			writes_watch(begin, s->stacks[i].begin);
		if (end > s->stacks[i].end)
			writes_watch(s->stacks[i].end, end);
		return;
	}
	if (s->regions_len == WRITES_REGIONS_MAX)
		abort();
	s->regions[s->regions_len++] = (struct writes_region){begin, end};
}

/*
 * What is watched from now on: every private writable mapping, or only the one that `only` lies in. Reads the list of
 * mappings, so it is called before the step that is watched.
 */
static inline void
writes_choose(const void *only)
{
	char line[512], flags[8];
	unsigned long begin, end;
	FILE *maps = fopen("/proc/self/maps", "re");

	if (maps == NULL)
		abort();
	writes_state->regions_len = 0;
	while (fgets(line, sizeof(line), maps) != NULL) {
		if (sscanf(line, "%lx-%lx %7s", &begin, &end, flags) != 3 || strcmp(flags, "rw-p") != 0)
			continue;
		if (strstr(line, "[stack]") != NULL || end - begin > WRITES_REGION_MAX)
			continue;
		if (only == NULL || ((uintptr_t)only >= begin && (uintptr_t)only < end))
			writes_watch(begin, end);
	}
	fclose(maps);
	if (writes_state->regions_len == 0)
		abort();
}

static inline void
writes_protect(int protection)
{
	for (unsigned i = 0; i < writes_state->regions_len; i++) {
		const struct writes_region *region = &writes_state->regions[i];
		if (mprotect((void *)region->begin, region->end - region->begin, protection) != 0)
			abort();
	}
}

/* Notes what step(ctx) writes. */
static inline void
writes_of(struct writes_set *set, void (*step)(void *), void *ctx)
{
	writes_state->to = set;
	writes_protect(PROT_READ);
	step(ctx);
	writes_protect(PROT_READ | PROT_WRITE);
	writes_state->to = NULL;
}

/* How many lines are in both; the first such in *line as an address. */
static inline unsigned
writes_in_both(const struct writes_set *a, const struct writes_set *b, uintptr_t *line)
{
	unsigned both = 0;

	for (size_t i = 0; i < WRITES_SET_LEN; i++)
		if (a->line[i] && writes_has(b, a->line[i]) && both++ == 0)
			*line = a->line[i] * WRITES_LINE_BYTES;
	return both;
}

/* ---- threads that take turns ------------------------------------------------------------------ */

struct writes_thread {
	pthread_t handle;
	int to[2], from[2]; /* pipes: a step to run, and that it has run */
};

struct writes_order {
	void (*step)(void *); /* NULL: end */
	void *ctx;
};

static inline void *
writes_thread_main(void *argument)
{
	struct writes_thread *thread = argument;
	struct writes_order order;

	writes_leave_stack();
	while (read(thread->to[0], &order, sizeof(order)) == sizeof(order) && order.step != NULL) {
		order.step(order.ctx);
		if (write(thread->from[1], "", 1) != 1)
			abort();
	}
	return NULL;
}

/* Runs step(ctx) on the thread and waits for its end. */
static inline void
writes_run(struct writes_thread *thread, void (*step)(void *), void *ctx)
{
	struct writes_order order = {step, ctx};
	char done;

	if (write(thread->to[1], &order, sizeof(order)) != sizeof(order) ||
	    read(thread->from[0], &done, 1) != 1)
		abort();
}

static inline void
writes_nothing(void *ctx)
{
	(void)ctx;
}

static inline void
writes_thread_start(struct writes_thread *thread)
{
	if (pipe(thread->to) != 0 || pipe(thread->from) != 0 ||
	    pthread_create(&thread->handle, NULL, writes_thread_main, thread) != 0)
		abort();
	writes_run(thread, writes_nothing, NULL);
}

static inline void
writes_thread_stop(struct writes_thread *thread)
{
	struct writes_order order = {NULL, NULL};

	if (write(thread->to[1], &order, sizeof(order)) != sizeof(order))
		abort();
	pthread_join(thread->handle, NULL);
	for (unsigned i = 0; i < 2; i++) {
		close(thread->to[i]);
		close(thread->from[i]);
	}
}

#endif
