/*
 * See latency.h.
 */
#include "dataplane/latency.h"

#include <string.h>

void
latency_init(struct latency *latency, uint64_t tsc_hz)
{
	memset(latency, 0, sizeof(*latency));
	latency->ns_per_tsc_q32 = (uint64_t)(((__uint128_t)1000000000 << 32) / tsc_hz);
}

void
latency_look(struct latency *latency, const struct serve_counters *c)
{
	const uint64_t now[LATENCY_COMMANDS] = {
#define LATENCY_COMMAND(id, name, counted, help) [LATENCY_##id] = counted,
#include "dataplane/latency.def"
#undef LATENCY_COMMAND
	};
	uint64_t *waiting = latency->waiting[latency->transport];

	for (unsigned i = 0; i < LATENCY_COMMANDS; i++) {
		waiting[i] += now[i] - latency->seen[i];
		latency->seen[i] = now[i];
	}
}

/* Adds what waited in one transport's requests; returns how many. */
static uint64_t
count(struct latency *latency, enum latency_transport transport, uint64_t ns)
{
	unsigned bucket = histogram_bucket(ns);
	uint64_t requests = 0;

	for (unsigned i = 0; i < LATENCY_COMMANDS; i++) {
		uint64_t n = latency->waiting[transport][i];

		if (n == 0)
			continue;
		latency->counts[transport][i][bucket] += n;
		latency->sums_ns[transport][i] += n * ns;
		latency->waiting[transport][i] = 0;
		requests += n;
	}
	return requests;
}

void
latency_sent(
    struct latency *latency, const struct serve_counters *counters, uint64_t began_tsc, uint64_t now_tsc)
{
	uint64_t ns = (uint64_t)(((__uint128_t)(now_tsc - began_tsc) * latency->ns_per_tsc_q32) >> 32);

	latency->served = false;
	latency_look(latency, counters);
	latency->ns = ns;
	for (unsigned i = 0; i < LATENCY_TRANSPORTS; i++)
		latency->requests[i] = count(latency, (enum latency_transport)i, ns);
}
