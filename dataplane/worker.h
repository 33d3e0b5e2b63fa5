/*
 * A worker: one lcore that runs to completion. It owns a queue pair on every port, a network stack with its
 * TCP, a handle on the store, timers, counters and packet memory, and shares no written line with other
 * workers on the way of a request.
 *
 * Threads: the worker's own, but for the fields marked so.
 */
#ifndef WIRECACHE_WORKER_H
#define WIRECACHE_WORKER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <rte_common.h>

#include "dataplane/clock.h"
#include "dataplane/dataplane.h"
#include "dataplane/latency.h"
#include "dataplane/gate.h"
#include "dataplane/mailbox.h"
#include "dataplane/net/net.h"
#include "dataplane/net/tcp.h"
#include "dataplane/port.h"
#include "dataplane/serve.h"
#include "dataplane/slow.h"
#include "dataplane/stages.h"
#include "dataplane/sweep.h"
#include "dataplane/watch.h"
#include "dataplane/prefixes.h"
#include "store/store.h"

#define WORKER_BURST \
	32u /* packets asked of a queue at once: fits the caches, as every poll-mode driver expects */
#define WORKER_TX_MAX \
	512u /* packets waiting for a transmit queue; beyond that they are dropped and counted */
#define WORKER_TX_FLUSH   32u
#define WORKER_RANDOM_LEN 64u  /* 64-bit random numbers fetched from the kernel at once */
#define WORKER_TIMER_US   100u /* timers are looked at no more often than this */
#define WORKER_VALUE_REFS 256u /* allocated at once */
#define WORKER_SCRATCH    65536u

struct worker_counters {
#define WORKER_COUNTER(name, help) uint64_t name;
#include "dataplane/worker.def"
#undef WORKER_COUNTER
};

/* Packets that wait for one transmit queue. */
struct worker_tx {
	uint16_t port_id;
	uint16_t len;
	struct rte_mbuf *pkts[WORKER_TX_MAX];
};

/* A pinned value on its way out: released when the last of its pieces was acknowledged. */
struct value_ref {
	union {
		struct store_pin pin;
		struct value_ref *next_free;
	};
	uint32_t pieces;
};

/* What all workers of a process share. Written at start, but for the two counters. */
struct worker_shared {
	const struct dataplane_config *_Atomic config; /* the newest; workers use their own: settings.h */
	struct dataplane *dataplane;
	struct auth *auth;   /* NULL: nobody has to log in */
	struct watch *watch; /* NULL: not allowed */
	struct prefixes *prefixes;
	const struct port *ports;
	unsigned ports_len;
	struct worker *workers;
	unsigned workers_len;
	uint64_t start_tsc;
	uint64_t tsc_hz;
	uint32_t start_unix_s;
	const char *version;
	struct capture *capture; /* NULL until one was asked for */
	atomic_bool capturing;
	atomic_uint sample_every; /* serve_host.sample_every */
	atomic_uint connections;  /* over all workers; touched when one opens or closes */
	atomic_bool stop;
};

struct cache;

enum worker_state { WORKER_STARTING, WORKER_RUNNING, WORKER_FAILED, WORKER_STOPPED };

struct worker {
	/* The loop. */
	struct clock clock;
	struct net_stack *net;
	struct serve *serve;
	struct store_thread *store;
	struct worker_shared *shared;
	const struct dataplane_config *config; /* taken over at the beginning of a pass */
	struct gate *gate;
	bool guards_datagrams; /* the gate has a list or a limit for them */
	struct store *items;   /* of the cache that it serves */
	unsigned index;
	uint64_t timers_due_us;
	uint64_t maintain_due_us;
	bool maintaining;       /* the store had more to do when it was last asked */
	uint64_t idle_since_us; /* 0: not idle */
	bool worked;            /* the last pass found something to do */
	uint32_t nap_us;        /* of the next sleep where no queue can wake us */
	struct worker_counters counters;
	struct worker_tx tx[DATAPLANE_PORTS_MAX];
	struct latency latency;
	struct stages stages;
	struct slow_log slow;

	struct sweep sweep;

	/* Serving. */
	struct value_ref *value_refs_free;
	struct value_ref *value_ref_batches;
	struct tcp_sink *tcp_sink;
	struct tcp_conn **again; /* connections that have more to say without being asked */
	unsigned again_len, again_room;
	bool again_busy; /* one of them had more than it could say in one pass */
	struct udp_sink *udp_sink;
	unsigned random_left;
	uint64_t random[WORKER_RANDOM_LEN];

	/* Set up once. */
	struct cache *cache;                           /* internal.h */
	const struct port *ports[DATAPLANE_PORTS_MAX]; /* that it has a queue on */
	unsigned ports_len;
	uint16_t queue; /* on each of them */
	struct rte_mempool *pool;
	struct rte_mempool *head_pool; /* headers of packets that point to values */
	struct login_desk *desk;       /* NULL without shared->auth */
	int epoll_fd;
	bool queue_wakes; /* every port has a descriptor that tells of packets */
	unsigned lcore;
	int cpu;
	int node;       /* of its cpu: where its own memory is */
	int items_node; /* for counting what is remote; another one only if the operator says so */
	char error[DATAPLANE_ERROR_MAX]; /* why it is WORKER_FAILED */

	/* Written by others. */
	struct mailbox mailbox __rte_cache_aligned;

	/* Read by others: written by the worker once a loop. */
	_Atomic uint64_t heartbeat_tsc __rte_cache_aligned;
	_Atomic enum worker_state state;
	const struct dataplane_config *_Atomic config_adopted;
};

/* Entry point of the lcore; arg is a struct worker with its set-up fields filled in. Returns 0. */
int worker_main(void *arg);

/* Serving over TCP and UDP: tcp_app.c and udp_app.c. */
void tcp_app_fill(struct tcp_app *app, struct worker *worker);
struct tcp_sink *tcp_sink_create(struct worker *worker);
void tcp_sink_destroy(struct tcp_sink *sink);
/* The connection whose bytes are being served. */
struct tcp_conn *tcp_app_conn(const struct worker *worker);
/* Goes on with a connection whose session waited for something else than room. */
void tcp_app_go_on(struct worker *worker, struct tcp_conn *conn);
/* Ends a connection when what was queued is sent; what its peer still says is ignored. */
void tcp_app_end(struct worker *worker, struct tcp_conn *conn);
/* Lets those go on that have more to say and room for it. Returns whether any said something. */
bool tcp_app_again(struct worker *worker);
void udp_app_input(void *ctx, struct net_udp_rx *rx, unsigned n);
struct udp_sink *udp_sink_create(struct worker *worker);
void udp_sink_destroy(struct udp_sink *sink);

/* Sleeping: idle.c. worked: whether the pass that just ended found anything to do. */
int idle_open(struct worker *worker);
void idle_close(struct worker *worker);
void idle_pass(struct worker *worker, bool worked);

#endif
