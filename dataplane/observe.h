/*
 * What can be seen of the requests themselves: how long they stay, where the cycles go, which keys are hot or large,
 * what was slow. The control plane's second window on the data plane, beside dataplane.h; nothing of DPDK shows through.
 *
 * Threads: the control thread. All calls but the two that say so only copy what workers publish; none waits for one.
 */
#ifndef WIRECACHE_OBSERVE_H
#define WIRECACHE_OBSERVE_H

#include <stdbool.h>
#include <stdint.h>

#include "dataplane/dataplane.h"
#include "dataplane/histogram.h"

#define OBSERVE_LATENCIES_MAX 16u
#define OBSERVE_STAGES_MAX    8u
#define OBSERVE_KEY_MAX       250u

/* ---- latency ---------------------------------------------------------------------------------- */

/* From the clock of the pass that took a request's packets to the replies' way into the transmit queue. */
struct observe_latency {
	const char *transport; /* "tcp", "udp" */
	const char *command;   /* of latency.def */
	uint64_t requests, sum_ns;
	uint64_t counts[HISTOGRAM_BUCKETS];
};

/* Histograms since the start, one for each command and transport; worker: an index, or -1 for the sum. Returns how many. */
unsigned observe_latency(
    const struct dataplane *dataplane, int worker, struct observe_latency out[OBSERVE_LATENCIES_MAX]);

/* ---- stages ----------------------------------------------------------------------------------- */

/* Sums over the passes that were measured, one in so many. */
struct observe_stages {
	unsigned every;
	unsigned len;
	uint64_t passes, requests;
	struct {
		const char *name, *help;
		uint64_t cycles;
	} stages[OBSERVE_STAGES_MAX];
};
void observe_stages(const struct dataplane *dataplane, int worker, struct observe_stages *out);

/* ---- keys ------------------------------------------------------------------------------------- */

struct observe_key {
	uint8_t key[OBSERVE_KEY_MAX];
	uint32_t key_len;
	uint64_t samples;     /* hot: of the sampled requests of the last minutes */
	uint32_t value_bytes; /* big */
	uint32_t seen_s;      /* big: Unix time */
};

/* Hottest first; *samples: of how many sampled requests. Returns how many were written. */
unsigned observe_hot_keys(
    const struct dataplane *dataplane, struct observe_key *out, unsigned room, uint64_t *samples);
/* Largest first, among the values above 2 KiB that were read or taken in lately. */
unsigned observe_big_keys(const struct dataplane *dataplane, struct observe_key *out, unsigned room);

/* One item of the cache, for a dump. */
struct observe_item {
	const uint8_t *key;
	uint32_t key_len;
	uint32_t value_bytes;
	uint64_t total_bytes;
	uint32_t expires_s; /* STORE_EXPTIME_NEVER for never */
	uint32_t last_access_s;
	bool fetched;
};

/*
 * Walks over the items from *cursor on (all zero at first), looking at about `budget' places; visit returns false to be
 * asked again with the same item next time. Returns 1 if there is more, 0 at the end, negative errno. The one call
 * that holds memory of the store, until it returns.
 */
int observe_items(struct dataplane *dataplane, struct store_cursor *cursor, unsigned budget,
    bool (*visit)(void *visit_ctx, const struct observe_item *item), void *visit_ctx);

/* ---- slow passes ------------------------------------------------------------------------------ */

struct observe_slow {
	unsigned worker;
	uint64_t number; /* of this worker's, from 1 on */
	uint64_t unix_us, ns;
	uint64_t requests, tcp_requests, udp_requests, gets, sets;
	uint64_t packets, bytes_read, bytes_written;
	uint64_t interrupted; /* times the kernel took the core away since the entry before */
	uint8_t key[OBSERVE_KEY_MAX];
	uint32_t key_len, value_bytes; /* of the largest value moved; key_len 0: none was above 2 KiB */
};

/* Latest first. *slow: passes above the threshold since the start. Returns how many were written. */
unsigned observe_slow(
    const struct dataplane *dataplane, struct observe_slow *out, unsigned room, uint64_t *slow);

/* ---- packets ---------------------------------------------------------------------------------- */

#define OBSERVE_PACKET_MAX 1536u /* of a packet; the rest is cut off */

struct observe_packet {
	uint64_t unix_ns;    /* the clock of the pass: packets of one burst have the same */
	uint32_t wire_bytes; /* of the packet */
	uint16_t len;        /* of bytes[] */
	uint8_t port;        /* in the order of the configuration */
	bool out;            /* sent, not received */
	uint8_t bytes[OBSERVE_PACKET_MAX];
};

/*
 * Captures packets from now on, those that the filter takes (bytecode.h; "" for all). One capture at a time: -EBUSY.
 * Negative errno with a sentence.
 */
int observe_capture_start(struct dataplane *dataplane, const char *filter, char error[DATAPLANE_ERROR_MAX]);
void observe_capture_stop(struct dataplane *dataplane);
/* Takes up to room packets; *lost: how many found no room since the start. Returns how many. */
unsigned observe_capture_read(
    struct dataplane *dataplane, struct observe_packet *out, unsigned room, uint64_t *lost);

/* ---- settings --------------------------------------------------------------------------------- */

/* Takes effect at once. sample_every: 0 is off; slow_us: 0 is off. */
void observe_configure(struct dataplane *dataplane, unsigned sample_every, uint32_t slow_us);

#endif
