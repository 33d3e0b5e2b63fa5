/*
 * Placement and priority by the kernel's scheduler, see thread.h.
 */
#include "tests/load/thread.h"

#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>

void
thread_pin(int cpu)
{
	cpu_set_t cpus;

	if (cpu < 0)
		return;
	CPU_ZERO(&cpus);
	CPU_SET((unsigned)cpu, &cpus);
	pthread_setaffinity_np(pthread_self(), sizeof(cpus), &cpus);
}

bool
thread_keep_core(bool keep)
{
	const struct sched_param param = {.sched_priority = keep ? 1 : 0};

	return pthread_setschedparam(pthread_self(), keep ? SCHED_FIFO : SCHED_OTHER, &param) == 0;
}

/* schedstat: time on a core, time waited for one, time slices. */
uint64_t
thread_waited_ns(void)
{
	FILE *file = fopen("/proc/thread-self/schedstat", "r");
	uint64_t ran_ns, waited_ns = 0;

	if (file == NULL)
		return 0;
	if (fscanf(file, "%" SCNu64 " %" SCNu64, &ran_ns, &waited_ns) != 2)
		waited_ns = 0;
	fclose(file);
	return waited_ns;
}
