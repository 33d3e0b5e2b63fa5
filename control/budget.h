/*
 * A share of one core, as a bucket of processor time: it fills with the clock, what work took is poured out, and who finds
 * it empty waits until there is something in it. A burst may use up what is in it; one piece of work is never cut, so it
 * may be overdrawn, which is waited for the longer.
 *
 * No state of its own, no clock: times are given.
 */
#ifndef WIRECACHE_CONTROL_BUDGET_H
#define WIRECACHE_CONTROL_BUDGET_H

#include <stdint.h>

#define BUDGET_SHARE_PCT 25u     /* of a core, over time */
#define BUDGET_BURST_US  500000u /* what the bucket holds: a dump, a few hundred `metrics` */

struct budget {
	int64_t left_us;    /* negative: overdrawn */
	uint64_t filled_ms; /* until when it was filled */
};

static inline void
budget_init(struct budget *budget, uint64_t now_ms)
{
	*budget = (struct budget){.left_us = BUDGET_BURST_US, .filled_ms = now_ms};
}

static inline void
budget_fill(struct budget *budget, uint64_t now_ms)
{
	uint64_t passed_ms = now_ms - budget->filled_ms;
	/* More than the bucket holds fills it; and so nothing overflows. */
	uint64_t most_ms = (BUDGET_BURST_US - budget->left_us) * 100 / (BUDGET_SHARE_PCT * 1000u) + 1;
	budget->filled_ms = now_ms;
	budget->left_us +=
	    (int64_t)((passed_ms < most_ms ? passed_ms : most_ms) * 1000 * BUDGET_SHARE_PCT / 100);
	if (budget->left_us > (int64_t)BUDGET_BURST_US)
		budget->left_us = BUDGET_BURST_US;
}

static inline void
budget_spend(struct budget *budget, uint64_t spent_us)
{
	budget->left_us -= (int64_t)spent_us;
}

/* How long until something is in it; 0: there is. */
static inline uint64_t
budget_wait_ms(const struct budget *budget)
{
	return budget->left_us > 0 ? 0 : (uint64_t)-budget->left_us * 100 / (BUDGET_SHARE_PCT * 1000u) + 1;
}

#endif
