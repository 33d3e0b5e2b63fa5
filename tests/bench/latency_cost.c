/*
 * What latency histograms cost a worker: passes that serve nothing but count. Run under callgrind:
 *
 *   latency_cost PASSES REQUESTS        REQUESTS of one pass, of gets over UDP
 *
 * scripts/bench-latency takes the difference of two numbers of passes, so that what is done once does not count.
 */
#include "dataplane/latency.h"

#include <stdio.h>
#include <stdlib.h>

#define TSC_HZ 2000000000u

static struct latency latency;
static struct serve_counters counters;

int
main(int argc, char **argv)
{
	if (argc != 3)
		return 2;
	long passes = atol(argv[1]), requests = atol(argv[2]);

	latency_init(&latency, TSC_HZ);
	for (long i = 0; i < passes; i++) {
		latency_serve(&latency, &counters, LATENCY_UDP);
		counters.cmd_get += (uint64_t)requests;
		latency_sent(
		    &latency, &counters, (uint64_t)i, (uint64_t)i + 20000 + (uint64_t)(i % 64) * 1000);
	}
	return latency.counts[LATENCY_UDP][LATENCY_GET][HISTOGRAM_BUCKETS - 1] != 0;
}
