/*
 * A DPDK port as a client uses it: the appliance's EAL start, port set-up and network stack (dataplane/), seen from
 * the other end.
 *
 *   struct link_port   the EAL and the port; one a process, shared by all threads, constant once it is open
 *   struct link        one thread's queue pair, packet memory and network stacks
 *
 * One address has 64 000 usable ports and so as many connections to one server. A link may therefore own several
 * consecutive IPv4 addresses, its sources; each has a network stack of its own, all behind one MAC address. The links
 * of a port own different addresses, so that an answer belongs to one link alone. What arrives at another link's queue
 * is lost: the far end must answer on the queue that asked, as memif and vhost do.
 *
 * Threads: link_port_*() and link_open(), link_close() on the main thread, the rest on the link's own.
 */
#ifndef WIRECACHE_LOAD_LINK_H
#define WIRECACHE_LOAD_LINK_H

#include "dataplane/clock.h"
#include "dataplane/internal.h"
#include "dataplane/net/net.h"
#include "dataplane/net/tcp.h"

#define LINK_SOURCES_MAX  32u
#define LINK_PORTS_USABLE 64000u /* of one source: from LINK_PORT_FIRST up */
#define LINK_PORT_FIRST   1536u
#define LINK_BURST        32u
#define LINK_TX_MAX       512u /* packets that wait for the transmit queue; more are dropped and counted */

struct link_port {
	struct dataplane dataplane; /* configuration and EAL only: no worker, no store */
	struct port port;
	struct rte_mempool *pools[DATAPLANE_WORKERS_MAX];
	unsigned queues;
};

/* Defaults of the appliance, with what a client needs otherwise: fill in ports[0].device and its addresses. */
void link_config_default(struct dataplane_config *config);
/*
 * Starts the EAL (once in a process) and the port with `queues` queue pairs, and waits for the link. program: argv[0].
 * NULL with a sentence.
 */
struct link_port *link_port_open(const struct dataplane_config *config, unsigned queues, const char *program,
    char error[DATAPLANE_ERROR_MAX]);
void link_port_close(struct link_port *port);

/* What the user of a link is told; all called from inside link_receive(), link_timers() or link_flush(). */
struct link_user {
	void *ctx;
	/*
	 * Takes the packets it knows out of a burst, before any stack sees them: frees those, moves the others to the
	 * front and returns how many they are. NULL: none.
	 */
	unsigned (*early)(void *ctx, struct rte_mbuf **pkts, unsigned n);
	struct tcp_app tcp; /* with an `app` of its own */
};

struct link_options {
	unsigned queue;
	struct net_addr next_hop; /* the server, or the gateway to it */
	unsigned first_source;    /* added to the port's address */
	unsigned sources;         /* 1 to LINK_SOURCES_MAX */
	struct tcp_config tcp;    /* of each source's stack */
};

struct link_source {
	struct link *link;
	struct net_addr addr;
	struct net_stack *net;
};

struct link {
	struct clock clock;
	uint16_t port_id, queue;
	struct rte_mempool *pool;
	struct link_user user;
	uint64_t timers_due_us;
	uint64_t rx_packets, tx_packets, tx_full;
	uint64_t drain_until_tsc; /* while closing: a full queue is waited for until then */

	struct net_addr next_hop;
	bool next_hop_known; /* a packet told of its MAC address */
	struct rte_ether_addr next_hop_mac;

	unsigned sources_len;
	struct link_source sources[LINK_SOURCES_MAX];
	unsigned tx_len;
	struct rte_mbuf *tx[LINK_TX_MAX];
};

/* TCP of a client: no listener, short TIME-WAIT, no keepalive. */
void link_tcp_config_default(struct tcp_config *config);

struct link *link_open(struct link_port *port, const struct link_options *options,
    const struct link_user *user, char error[DATAPLANE_ERROR_MAX]);
/* Resets what connections are left. */
void link_close(struct link *link);

/* Once a loop: reads the clock. */
void link_tick(struct link *link);
/* One burst of packets; how many came. */
unsigned link_receive(struct link *link);
/* Timers of the stacks, when one may be due. */
void link_timers(struct link *link);
/* Sends what connections have corked and what waits for the queue. */
void link_flush(struct link *link);
/* Queues one finished frame, always takes it; it leaves at the latest with link_flush(). */
void link_send(struct link *link, struct rte_mbuf *m);
/* The same counter of all sources' stacks, added up. */
#define LINK_COUNTER(link, name) link_counter(link, offsetof(struct net_counters, name))
uint64_t link_counter(const struct link *link, size_t offset);

#endif
