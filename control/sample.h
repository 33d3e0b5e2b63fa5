/*
 * Counters of workers and ports at two moments, so that load is that of the last seconds and not of the whole life.
 * Control thread only.
 */
#ifndef WIRECACHE_CONTROL_SAMPLE_H
#define WIRECACHE_CONTROL_SAMPLE_H

#include <stdint.h>

#include "dataplane/dataplane.h"

#define SAMPLE_COUNTERS_MAX 256u /* of one group; further ones would not be shown */
#define SAMPLE_PERIOD_MS    1000u

struct sample_worker {
	uint64_t cycles_total, cycles_busy;
	uint64_t loops, loops_busy, packets, bursts, requests, gets, hits;
};

struct sample_port {
	uint64_t rx_packets, tx_packets, rx_bytes, tx_bytes;
};

struct sample {
	uint64_t at_ms;
	struct sample_worker workers[DATAPLANE_WORKERS_MAX];
	struct sample_port ports[DATAPLANE_PORTS_MAX];
};

/* last: 0 to SAMPLE_PERIOD_MS old; before: one period older. */
struct sample_window {
	struct sample last, before;
};

void sample_take(
    struct dataplane *dataplane, const struct dataplane_info *info, uint64_t now_ms, struct sample *out);
void sample_tick(struct sample_window *window, struct dataplane *dataplane, const struct dataplane_info *info,
    uint64_t now_ms);

/* Between the two; 0 while there is one only. */
uint64_t sample_window_ms(const struct sample_window *window);

/* Value of a counter by name; 0 if there is none. */
uint64_t sample_counter(const struct dataplane_counter *counters, unsigned len, const char *name);

/* Requests: the commands among the counters of DATAPLANE_GROUP_REQUEST, a multiget counted by its keys. */
uint64_t sample_requests(const struct dataplane_counter *counters, unsigned len);

#endif
