/*
 * Preloaded into memcached: its clocks show the time of the trace that is being replayed, which the replayer writes
 * into a shared file. Waiting is not slowed down: epoll_wait() returns within a millisecond, so that timers of whole
 * seconds are seen to be due soon after the trace says so.
 */
#include "tests/bench/hit/memcached_clock.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static _Atomic uint64_t *shared;

static __attribute__((constructor)) void
clock_attach(void)
{
	const char *path = getenv(MEMCACHED_CLOCK_ENV);
	int fd = path ? open(path, O_RDONLY) : -1;

	if (fd < 0)
		abort();
	shared = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);
	close(fd);
	if (shared == MAP_FAILED)
		abort();
}

static time_t
clock_seconds(void)
{
	return shared ? (time_t)atomic_load_explicit(shared, memory_order_relaxed) : 0;
}

int
clock_gettime(clockid_t id, struct timespec *to)
{
	(void)id;
	to->tv_sec = clock_seconds();
	to->tv_nsec = 0;
	return 0;
}

int
gettimeofday(struct timeval *to, void *zone)
{
	(void)zone;
	to->tv_sec = clock_seconds();
	to->tv_usec = 0;
	return 0;
}

time_t
time(time_t *to)
{
	time_t now_s = clock_seconds();

	if (to)
		*to = now_s;
	return now_s;
}

int
epoll_wait(int fd, struct epoll_event *events, int most, int timeout_ms)
{
	static int (*real)(int, struct epoll_event *, int, int);

	if (!real)
		real = (int (*)(int, struct epoll_event *, int, int))dlsym(RTLD_NEXT, "epoll_wait");
	return real(fd, events, most, timeout_ms < 0 || timeout_ms > 1 ? 1 : timeout_ms);
}
