/*
 * Shows how it goes, see progress.h.
 */
#include "tests/load/progress.h"

#include <errno.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#define EVERY_NS 500000000l

static double
seconds_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

void
progress_begin(struct progress *progress, const struct load_options *options, const char *doing)
{
	*progress = (struct progress){.doing = doing, .begin_s = seconds_now()};
	progress->shown = options->progress == LOAD_PROGRESS_YES ||
	                  (options->progress == LOAD_PROGRESS_AUTO && isatty(STDERR_FILENO));
	progress->last_s = progress->begin_s;
}

bool
progress_wait(const struct progress *progress, sem_t *done)
{
	struct timespec until;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_nsec += EVERY_NS;
	if (until.tv_nsec >= 1000000000l) {
		until.tv_sec++;
		until.tv_nsec -= 1000000000l;
	}
	return sem_timedwait(done, &until) == 0;
}

void
progress_show(struct progress *progress, struct generator *generators, unsigned generators_len)
{
	uint64_t sent = 0, replies = 0, lost = 0, up = 0;
	double now_s = seconds_now(), passed_s = now_s - progress->last_s;

	if (!progress->shown)
		return;
	for (unsigned i = 0; i < generators_len; i++) {
		const struct published *published = &generators[i].published;
		sent += atomic_load_explicit(&published->sent, memory_order_relaxed);
		replies += atomic_load_explicit(&published->replies, memory_order_relaxed);
		lost += atomic_load_explicit(&published->lost, memory_order_relaxed);
		up += atomic_load_explicit(&published->up, memory_order_relaxed);
	}
	if (sent < progress->last_sent || replies < progress->last_replies) /* a new point counts from 0 */
		progress->last_sent = progress->last_replies = 0;
	fprintf(stderr, "\r\033[K%s: %.0f s, %lu connections, %.0f sent/s, %.0f replies/s, %lu lost",
	    progress->doing, now_s - progress->begin_s, up, (double)(sent - progress->last_sent) / passed_s,
	    (double)(replies - progress->last_replies) / passed_s, lost);
	fflush(stderr);
	progress->last_sent = sent;
	progress->last_replies = replies;
	progress->last_s = now_s;
}

void
progress_end(const struct progress *progress)
{
	if (progress->shown)
		fprintf(stderr, "\r\033[K");
}
