/*
 * How long requests stay in a worker: from the clock of the pass that took their packets to the moment when the replies
 * were given to the transmit queue, by command and transport. Always on.
 *
 * Nothing is done a request. All requests of a pass waited equally long, so what the request counters grew by is counted
 * once, at its end: about 100 instructions a pass, whatever it served. A request that came in several pieces counts
 * from the last one; time in the port's queue is before the clock and not seen.
 *
 * Threads: one struct latency a worker, its only writer. Others read counts and sums by relaxed loads.
 */
#ifndef WIRECACHE_LATENCY_H
#define WIRECACHE_LATENCY_H

#include <stdbool.h>
#include <stdint.h>

#include "dataplane/clock.h"
#include "dataplane/histogram.h"
#include "dataplane/serve.h"

enum latency_transport { LATENCY_TCP, LATENCY_UDP, LATENCY_TRANSPORTS };

enum latency_command {
#define LATENCY_COMMAND(id, name, counted, help) LATENCY_##id,
#include "dataplane/latency.def"
#undef LATENCY_COMMAND
	LATENCY_COMMANDS,
};

struct latency {
	/* The pass under way. */
	enum latency_transport transport; /* of what is served now */
	bool served;                      /* anything in this pass */
	uint64_t ns_per_tsc_q32;
	uint64_t seen[LATENCY_COMMANDS]; /* the counters when they were last looked at */
	uint64_t waiting[LATENCY_TRANSPORTS][LATENCY_COMMANDS]; /* served in this pass, not yet sent */
	uint64_t requests[LATENCY_TRANSPORTS], ns;              /* of the pass that ended last */

	/* Since the start; read by others. */
	uint64_t sums_ns[LATENCY_TRANSPORTS][LATENCY_COMMANDS];
	uint64_t counts[LATENCY_TRANSPORTS][LATENCY_COMMANDS][HISTOGRAM_BUCKETS];
};

void latency_init(struct latency *latency, uint64_t tsc_hz);

/* Counts what was served since the last look as the present transport's. */
void latency_look(struct latency *latency, const struct serve_counters *counters);

/* Before requests are served: what they come over. */
static inline void
latency_serve(
    struct latency *latency, const struct serve_counters *counters, enum latency_transport transport)
{
	latency->served = true;
	if (__builtin_expect(latency->transport != transport, 0)) {
		latency_look(latency, counters);
		latency->transport = transport;
	}
}

/* The replies are on their way: counts all requests of the pass that began at began_tsc. */
void latency_sent(
    struct latency *latency, const struct serve_counters *counters, uint64_t began_tsc, uint64_t now_tsc);

/* How many requests the pass that was counted last served. */
static inline uint64_t
latency_requests(const struct latency *latency)
{
	return latency->requests[LATENCY_TCP] + latency->requests[LATENCY_UDP];
}

#endif
