/*
 * When requests are due, set up before the run: a ring of gaps with mean 1 that is scaled by the rate, so that the loop
 * pays one multiplication a request and the same schedule serves every rate.
 *
 * Arrivals that have to wait never move later ones: a request is due when it is due (no coordinated omission).
 */
#ifndef WIRECACHE_LOAD_SCHEDULE_H
#define WIRECACHE_LOAD_SCHEDULE_H

#include <stdbool.h>
#include <stdint.h>

#define SCHEDULE_GAPS      (1u << 18) /* 1 MiB; repeats after that many requests, from where each thread likes */
#define SCHEDULE_TRACE_MAX (1u << 24)
#define SCHEDULE_ONE_BITS  16u /* a gap of 1 << 16 is the mean */

enum schedule_kind { SCHEDULE_POISSON, SCHEDULE_CONSTANT, SCHEDULE_BURST, SCHEDULE_TRACE };

struct schedule {
	uint32_t gaps_len; /* of the ring */
	uint32_t *gaps;    /* mean 1 << SCHEDULE_ONE_BITS */
	double trace_rate; /* requests a second as the trace has them; 0: no trace */
};

/* A thread's place in the schedule. */
struct schedule_cursor {
	const struct schedule *schedule;
	uint32_t at;
	uint64_t mean_q16;  /* TSC cycles between requests, 16 fractional bits */
	uint64_t whole_tsc; /* when the next one is due */
	uint64_t part_q16;  /* and the fraction */
};

/* burst: requests that come at once. trace: a file, see docs/WIRELOAD.md. False with one sentence in error. */
bool schedule_init(struct schedule *schedule, enum schedule_kind kind, uint32_t burst, const char *trace,
    uint64_t seed, char *error, uint32_t error_bytes);
void schedule_free(struct schedule *schedule);

/* From start_tsc on, `rate` requests a second. offset: where in the ring, so that threads differ. */
void schedule_start(struct schedule_cursor *cursor, const struct schedule *schedule, uint32_t offset,
    uint64_t start_tsc, double rate, double tsc_hz);

static inline uint64_t
schedule_next_tsc(const struct schedule_cursor *cursor)
{
	return cursor->whole_tsc;
}

static inline void
schedule_advance(struct schedule_cursor *cursor)
{
	unsigned __int128 gap = (unsigned __int128)cursor->mean_q16 * cursor->schedule->gaps[cursor->at];
	uint64_t gap_q16 = (uint64_t)(gap >> SCHEDULE_ONE_BITS) + cursor->part_q16;

	cursor->whole_tsc += gap_q16 >> 16;
	cursor->part_q16 = gap_q16 & 0xffff;
	if (++cursor->at == cursor->schedule->gaps_len)
		cursor->at = 0;
}

#endif
