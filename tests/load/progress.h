/*
 * The line about how it goes, on standard error, twice a second, where somebody watches. Main thread.
 */
#ifndef WIRECACHE_LOAD_PROGRESS_H
#define WIRECACHE_LOAD_PROGRESS_H

#include <semaphore.h>

#include "tests/load/generator.h"

struct progress {
	bool shown;
	const char *doing;
	uint64_t last_sent, last_replies;
	double begin_s, last_s;
};

void progress_begin(struct progress *progress, const struct load_options *options, const char *doing);
/* True when the semaphore was posted; false when it is time to show again. */
bool progress_wait(const struct progress *progress, sem_t *done);
void progress_show(struct progress *progress, struct generator *generators, unsigned generators_len);
void progress_end(const struct progress *progress);

#endif
