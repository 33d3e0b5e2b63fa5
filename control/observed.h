/*
 * Histograms of latency at several moments, for figures since the last reset and of the last second; and keys as text.
 * Control thread only.
 */
#ifndef WIRECACHE_CONTROL_OBSERVED_H
#define WIRECACHE_CONTROL_OBSERVED_H

#include <stdint.h>

#include <jansson.h>

#include "dataplane/observe.h"

struct observed_latency {
	unsigned len;
	struct observe_latency rows[OBSERVE_LATENCIES_MAX];
};

struct observed {
	struct observed_latency baseline;     /* at the last reset */
	struct observed_latency last, before; /* about a second apart */
	uint64_t last_ms;
};

/* Once a second or so. */
void observed_tick(struct observed *observed, const struct dataplane *dataplane, uint64_t now_ms);

void observed_latency_reset(struct observed *observed, const struct dataplane *dataplane);
void observed_latency_since_reset(
    const struct observed *observed, const struct dataplane *dataplane, struct observed_latency *out);

/* Of all commands and transports together in the last second: counts. */
void observed_latency_lately(const struct observed *observed, uint64_t counts[HISTOGRAM_BUCKETS]);

/* A key as a JSON string: bytes that are no printable ASCII, blanks and % as %XX. New reference. */
json_t *observed_key(const uint8_t *key, uint32_t len);

#endif
