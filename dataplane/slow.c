/*
 * See slow.h.
 */
#include "dataplane/slow.h"

#include <sys/resource.h>

/* How often the kernel took the core away from this thread. A system call, affordable for what is slow anyway. */
static uint64_t
interruptions(void)
{
	struct rusage usage;

	return getrusage(RUSAGE_THREAD, &usage) == 0 ? (uint64_t)usage.ru_nivcsw : 0;
}

void
slow_add(struct slow_log *log, struct slow_entry *entry)
{
	uint64_t now;

	atomic_store_explicit(&log->slow, log->slow + 1, memory_order_relaxed);
	if (entry->unix_us < log->next_us) {
		atomic_store_explicit(&log->missed, log->missed + 1, memory_order_relaxed);
		return;
	}
	log->next_us = entry->unix_us + SLOW_EVERY_US;
	now = interruptions();
	entry->interrupted = (uint32_t)(now - log->interruptions);
	log->interruptions = now;
	entry->number = ++log->number;
	PUBLISH(&log->ring[entry->number % SLOW_LEN], entry);
}

unsigned
slow_read(const struct slow_log *log, struct slow_entry *out, unsigned room)
{
	unsigned len = 0;

	for (unsigned i = 0; i < SLOW_LEN && len < room; i++)
		len += PUBLISHED_READ(&log->ring[i], &out[len]) && out[len].number != 0;
	return len;
}
