/*
 * Passes whose requests stayed longer than a threshold, in a bounded ring: what they served, how much they moved, and
 * the largest value among it. A request alone is not timed (all of a pass leave together), so this is what can be known
 * of a slow one without reading a clock for each.
 *
 * Threads: one struct slow_log a worker, its only writer, but for the threshold, which the control thread sets. Others
 * copy published entries.
 */
#ifndef WIRECACHE_SLOW_H
#define WIRECACHE_SLOW_H

#include <stdatomic.h>
#include <stdint.h>

#include "dataplane/hotkeys.h"
#include "dataplane/publish.h"

#define SLOW_LEN      64u
#define SLOW_EVERY_US 1000u /* no more than one entry in this time; others are counted */

struct slow_entry {
	uint64_t number;  /* from 1 on; 0: none */
	uint64_t unix_us; /* when the pass began */
	uint64_t ns;
	uint64_t requests, gets, sets; /* gets and sets are among the requests */
	uint64_t packets, bytes_read, bytes_written;
	uint32_t tcp_requests, udp_requests;
	uint32_t interrupted;   /* times the kernel took the core away since the last entry */
	uint32_t value_bytes;   /* of the largest value moved, 0: none above 2 KiB */
	struct hotkeys_key key; /* of that value */
};

/* Figures that only grow, when the last pass with requests ended. */
struct slow_totals {
	uint64_t gets, sets, packets, bytes_read, bytes_written;
};

struct slow_log {
	_Atomic uint64_t threshold_ns; /* UINT64_MAX: off */
	uint64_t number, next_us, interruptions;
	struct slow_totals before;
	_Atomic uint64_t slow;   /* passes above the threshold */
	_Atomic uint64_t missed; /* those of them that came too soon after another */
	PUBLISHED(struct slow_entry) ring[SLOW_LEN];
};

/* Records a slow pass, if it is not too soon: entry without number, interrupted and ring. */
void slow_add(struct slow_log *log, struct slow_entry *entry);

/* The latest entries of one worker, in no order; returns how many. */
unsigned slow_read(const struct slow_log *log, struct slow_entry *out, unsigned room);

#endif
