/*
 * The deterministic simulator: two real TCP stacks in one process, a seeded network between them, a virtual
 * clock.
 *
 *   case.c   what one seed means: network, buffers, applications, failures
 *   link.c   the network: loss, reorder, duplication, delay, rate, queue
 *   wire.c   what must hold for every segment that a stack emits
 *   host.c   one stack, its environment and its application
 *   run.c    one case from the first SYN to the last TIME-WAIT entry
 *   main.c   the command line and the TAP line
 *
 * A case is a function of its seed alone. Everything stops at the first violation and the seed is printed.
 */
#ifndef WIRECACHE_SIM_H
#define WIRECACHE_SIM_H

#include <stdbool.h>
#include <stdint.h>
#include <rte_mbuf.h>
#include <rte_mempool.h>

#include "dataplane/net/tcp.h"
#include "tests/random.h"

#define SIM_SESSIONS_MAX  4u
#define SIM_SEGMENT_BYTES 9100u
#define SIM_PATTERN_BYTES 65521u /* a prime: no power of two repeats */
#define SIM_NEVER         UINT64_MAX
#define SIM_HELD          8u /* packets that a port keeps before it is done with the oldest */

/* ---- random numbers --------------------------------------------------------------------------- */

struct sim_rng {
	uint64_t state;
};

static inline uint64_t
sim_rand(struct sim_rng *rng)
{
	return random_next(&rng->state);
}

/* In [from, to]. */
static inline uint32_t
sim_between(struct sim_rng *rng, uint32_t from, uint32_t to)
{
	return from + (uint32_t)(sim_rand(rng) % ((uint64_t)to - from + 1));
}

static inline bool
sim_chance(struct sim_rng *rng, uint32_t ppm)
{
	return ppm && sim_rand(rng) % 1000000 < ppm;
}

/* ---- a case ----------------------------------------------------------------------------------- */

struct sim_link_params {
	uint32_t loss_ppm, duplicate_ppm, reorder_ppm;
	uint32_t delay_us, jitter_us, reorder_us;
	uint32_t bytes_per_s; /* 0: no limit */
	uint32_t queue_bytes;
};

enum sim_close { SIM_CLOSE_WHEN_SENT, SIM_CLOSE_AFTER_PEER };

struct sim_app_params {
	uint32_t send_bytes;
	uint32_t write_max; /* bytes in one call */
	uint32_t think_us;  /* between writes at most */
	uint32_t pause_ppm; /* chance to consume less than given */
	uint32_t pause_us;  /* then resumes within */
	enum sim_close close;
};

struct sim_case {
	uint64_t seed;
	struct sim_link_params link[2]; /* [h]: what host h sends */
	struct sim_app_params app[2];
	struct tcp_config config[2];
	uint16_t mtu[2];
	uint32_t mbuf_failures_ppm; /* a step at which allocations of mbufs fail for a while */
	uint32_t alloc_failure_ppm; /* of the stack's own allocations */
	uint32_t isn_offset_known;  /* begin so many bytes before the wrap; 0: wherever the hash says */
	uint32_t sessions;
	bool strip_ts, strip_sack, strip_wscale; /* a middlebox blanks SYN options */
	bool simultaneous_open;
	uint64_t abort_at_us; /* SIM_NEVER: no */
	unsigned abort_host;
	bool chain; /* received segments come as chained mbufs now and then */
	bool points
	    [2]; /* [h]: the port of host h takes packets that point to the application's memory, and keeps some */
};

void sim_case_make(struct sim_case *c, uint64_t seed);
void sim_case_print(const struct sim_case *c);

/* ---- a run ------------------------------------------------------------------------------------ */

struct sim_packet {
	uint64_t at_us, order; /* heap key */
	unsigned to;           /* host */
	struct net_flow flow;  /* as the receiver sees it */
	uint32_t len;
	uint8_t bytes[];
};

struct sim_end; /* one application's side of a session, host.c */

/* What was seen of one direction of one session. */
struct sim_wire {
	bool has_syn, has_fin, has_ack, has_edge, wscale_offered;
	uint8_t wscale;
	uint32_t iss, fin_seq, sent_end; /* sent_end: highest sequence number + 1 */
	uint32_t last_ack, edge;         /* announced by this host */
	uint32_t edge_seen;              /* announced by the peer and delivered here */
	bool has_edge_seen;
	uint64_t segments, payload_bytes, repeated_bytes;
};

struct sim_host {
	unsigned index;
	struct sim_run *run;
	struct tcp_stack *tcp;
	struct net_counters counters;
	struct rte_mempool *pool, *heads; /* what the stack sends from: fails on purpose */
	struct rte_mbuf *held[SIM_HELD];  /* by its port */
	uint64_t held_sum[SIM_HELD];
	unsigned held_next;
	uint64_t due_us;        /* tcp_poll() wants to be called */
	uint64_t busy_until_us; /* its link */
	uint64_t allocated_bytes;
	uint64_t refs_out; /* references not released yet */
	bool sent_new_data;
	struct sim_end *ends[SIM_SESSIONS_MAX];
};

struct sim_run {
	struct sim_case c;
	struct sim_rng rng;
	uint64_t now_us;
	struct sim_host hosts[2];
	struct sim_wire wire[SIM_SESSIONS_MAX][2];
	bool session_over[SIM_SESSIONS_MAX]; /* its segments are no longer checked */
	struct rte_mempool *rx_pool;
	struct sim_packet **heap;
	uint32_t heap_len, heap_max;
	uint64_t order, segments, steps;
	bool verbose;
	bool handshake_failed; /* allowed where segments are lost */
	bool failed;
	char why[256];
};

/* Records the first violation. */
void sim_fail(struct sim_run *run, const char *format, ...) __attribute__((format(printf, 2, 3)));

struct sim_pools {
	struct rte_mempool *tx[2], *heads[2], *rx;
};
/* True: all properties held. Prints why not. */
bool sim_run_case(
    uint64_t seed, const struct sim_pools *pools, bool verbose, uint64_t *segments, bool *no_handshake);

/* ---- link.c ----------------------------------------------------------------------------------- */

void sim_link_send(
    struct sim_run *run, unsigned from, const struct net_flow *flow, const uint8_t *bytes, uint32_t len);
/* The next packet for `to` at or before now; NULL: none. The caller frees it. */
struct sim_packet *sim_link_take(struct sim_run *run, unsigned to);
uint64_t sim_link_next_us(const struct sim_run *run);
void sim_link_clear(struct sim_run *run);

/* ---- wire.c ----------------------------------------------------------------------------------- */

void sim_wire_sent(
    struct sim_run *run, unsigned from, const struct net_flow *flow, const uint8_t *bytes, uint32_t len);
void sim_wire_delivered(struct sim_run *run, unsigned to, const struct net_flow *flow, const uint8_t *bytes);

/* ---- host.c ----------------------------------------------------------------------------------- */

bool sim_host_start(struct sim_run *run, unsigned index, const struct sim_pools *pools);
void sim_host_step(struct sim_host *host);
void sim_host_stop(struct sim_host *host);
uint64_t sim_host_next_us(const struct sim_host *host);
/* All sessions over, nothing held. */
bool sim_host_finished(const struct sim_host *host);
void sim_host_verify(struct sim_host *host);
/* NULL: none yet, or it is over. */
const struct tcp_conn *sim_host_conn(const struct sim_host *host, unsigned session);
bool sim_host_closed(const struct sim_host *host, unsigned session);
const uint8_t *sim_pattern(unsigned session, unsigned host, uint64_t offset, uint32_t *run_bytes);
unsigned sim_session_of(const struct net_flow *flow);

#endif
