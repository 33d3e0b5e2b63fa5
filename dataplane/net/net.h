/*
 * The network stack of one worker: what the layers in net/ share, and what the worker calls.
 *
 * One struct net_stack belongs to one worker and is used by no other thread. It knows packets, not memcached. Packets
 * in and out, clock, allocator and random numbers come from outside (struct net_env), so that a stack runs in virtual
 * time and without the EAL in tests: rte_mbuf is only a data structure here.
 *
 *   net_input()  eth -> arp | ip4 | ip6 -> icmp | ndp | udp | tcp     (a burst at a time)
 *   net_poll()   timers of neighbours, reassembly and TCP
 *   net_flush()  what TCP corked leaves as segments
 *
 * Addresses: IPv4 is kept as an IPv4-mapped IPv6 address (RFC 4291 section 2.5.5.2), so that there is one code path.
 */
#ifndef WIRECACHE_NET_H
#define WIRECACHE_NET_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <rte_byteorder.h>
#include <rte_ether.h>
#include <rte_mbuf.h>

#define NET_BURST_MAX  64u /* packets in one net_input() */
#define NET_IFACES_MAX 4u
#define NET_ADDRS6_MAX 2u   /* link-local and one global */
#define NET_HEADROOM   128u /* Ethernet, VLAN, IPv6, TCP with options all fit */

struct net_addr {
	union {
		uint8_t b[16];
		uint32_t w[4];
		uint64_t q[2];
	};
};

static inline struct net_addr
net_addr_v4(rte_be32_t v4)
{
	struct net_addr a = {.w = {0, 0, RTE_BE32(0xffff), v4}};
	return a;
}

static inline bool
net_addr_is_v4(const struct net_addr *a)
{
	return a->q[0] == 0 && a->w[2] == RTE_BE32(0xffff);
}

static inline bool
net_addr_equal(const struct net_addr *a, const struct net_addr *b)
{
	return ((a->q[0] ^ b->q[0]) | (a->q[1] ^ b->q[1])) == 0;
}

/* What a port can do by itself; the software does the rest. */
#define NET_OFFLOAD_TX_IP4_CSUM 0x01u
#define NET_OFFLOAD_TX_L4_CSUM  0x02u /* TCP and UDP over both families */
#define NET_OFFLOAD_RX_CSUM     0x04u /* mbuf ol_flags carry verdicts; unknown ones are checked in software */
#define NET_OFFLOAD_TX_TSO      0x08u
#define NET_OFFLOAD_TX_MULTI    0x10u /* chained mbufs */
#define NET_OFFLOAD_VLAN        0x20u /* strip and insert */
#define NET_OFFLOAD_RX_RSS      0x40u /* mbuf.hash.rss is valid when flagged */
#define NET_OFFLOAD_TX_EXTERNAL 0x80u /* packets may point into any memory: transmitting copies them */

/* One interface as a worker sees it. Constant after net_stack_create(). */
struct net_iface {
	uint16_t port_id;
	uint16_t mtu;     /* IP packet, bytes; 576 to 9000 */
	uint16_t vlan_id; /* 0: untagged */
	uint8_t prefix4;  /* bits; 0 when there is no IPv4 address */
	uint8_t prefix6;
	uint32_t offloads; /* NET_OFFLOAD_* */
	struct rte_ether_addr mac;
	struct net_addr addr4;
	struct net_addr gateway4; /* all zero: none */
	struct net_addr
	    addr6[NET_ADDRS6_MAX]; /* [0] link-local (derived from the MAC if zero), [1] global or zero */
	struct net_addr gateway6;
};

/* One conversation as seen from here; ports in network order. Identifies a TCP connection or a UDP exchange. */
struct net_flow {
	struct net_addr local;
	struct net_addr remote;
	rte_be16_t local_port;
	rte_be16_t remote_port;
	uint8_t iface; /* index, where it came from or shall leave */
};

/* A received UDP datagram: m's data is the payload and nothing else; the callee owns m. */
struct net_udp_rx {
	struct rte_mbuf *m;   /* contiguous unless it was scattered or reassembled: check nb_segs */
	struct net_flow flow; /* but for iface, of a plain one only after net_udp_flow() */
	/*
	 * It is one buffer with its Ethernet, IPv4 (no options) and UDP headers as they came before the data, and
	 * NET_UDP_SLACK readable bytes, of any content, behind it.
	 */
	bool plain;
};

#define NET_UDP_HEADERS 42u /* Ethernet, IPv4, UDP */
#define NET_UDP_SLACK   64u

/* A reply to a plain datagram. */
struct net_udp_reply {
	struct rte_mbuf
	    *m; /* data: the payload, one buffer, NET_HEADROOM before it and NET_UDP_SLACK behind */
	const uint8_t *request; /* the request's headers: may lie in m, not where its headers will be */
};

/* An ICMP or ICMPv6 error whose inner packet was ours, already validated as far as the IP layer can. */
struct net_icmp_error {
	struct net_flow flow; /* of the inner packet, seen from here: local is the inner source */
	uint8_t proto;        /* IPPROTO_TCP or IPPROTO_UDP */
	bool too_big;         /* else unreachable, time exceeded, parameter problem: a soft error */
	uint16_t mtu;         /* for too_big: the MTU reported, 0 unknown */
	uint32_t tcp_seq;     /* host order, of the inner segment */
};

/* Everything that the stack takes from outside. Functions are called on the worker's thread only. */
struct net_env {
	void *ctx;
	struct rte_mempool
	    *pool; /* for packets that the stack makes; data room >= 2048 + RTE_PKTMBUF_HEADROOM */
	/* For the headers of packets whose payload lies elsewhere. NULL: there are none. */
	struct rte_mempool *head_pool;
	/* Takes one finished frame, always. What refers to memory must be freed before the stack is destroyed. */
	void (*tx)(void *ctx, uint8_t iface, struct rte_mbuf *m);
	/* Takes n of them; NULL: tx() is called for each. */
	void (*tx_burst)(void *ctx, uint8_t iface, struct rte_mbuf **pkts, unsigned n);
	uint64_t (*random)(void *ctx);
	/* Zeroed memory for connections and queues, 64-byte aligned; NULL when there is none. free gets the same size. */
	void *(*alloc)(void *ctx, size_t bytes);
	void (*free)(void *ctx, void *p, size_t bytes);
	/* All datagrams of one burst for a bound port, in order. */
	void (*udp_input)(void *ctx, struct net_udp_rx *rx, unsigned n);
	/* A neighbour was learned or changed by a packet on this worker: tell the others (may be NULL). */
	void (*neigh_learned)(
	    void *ctx, uint8_t iface, const struct net_addr *addr, const struct rte_ether_addr *mac);
	/* An ICMP error about a flow that this worker does not own (may be NULL); see net_icmp_error(). */
	void (*icmp_foreign)(void *ctx, const struct net_icmp_error *error);
};

/* Drop reasons and other counters of net/, one table: drops.def. One writer, the worker. */
struct net_counters {
#define NET_COUNTER(name, help) uint64_t name;
#define NET_DROP(name, help)    uint64_t drop_##name;
#include "dataplane/net/drops.def"
#undef NET_COUNTER
#undef NET_DROP
};

/* Ports [first, first + len) in host order; len 0: none. */
struct net_port_range {
	uint16_t first, len;
};

static inline bool
net_port_in(const struct net_port_range *range, rte_be16_t port)
{
	return (uint16_t)(rte_be_to_cpu_16(port) - range->first) < range->len;
}

struct tcp_stack;
struct tcp_config;
struct tcp_app;
struct net_stack;

struct net_config {
	struct net_iface ifaces[NET_IFACES_MAX];
	unsigned ifaces_len;
	rte_be16_t udp_ports[4];         /* bound ports, 0 unused */
	struct net_port_range udp_range; /* bound as well */
	uint32_t reassembly_bytes_max;   /* memory held in UDP fragments; default 2 MiB */
	uint32_t icmp_rate_per_s;        /* echo replies and errors; default 1000 */
	bool cold_start_announce; /* gratuitous ARP and unsolicited NA at creation: one worker does it */
};

void net_config_default(struct net_config *config);

/*
 * Creates a worker's stack with its TCP (tcp_config, tcp_app: see tcp.h). now_us: any monotonic clock, microseconds.
 * Returns NULL when memory is out or the configuration is outside its limits.
 */
struct net_stack *net_stack_create(const struct net_config *config, const struct net_env *env,
    const struct tcp_config *tcp_config, const struct tcp_app *tcp_app, uint64_t now_us);
/* Returns everything: connections are dropped without a word, queued packets freed. */
void net_stack_destroy(struct net_stack *stack);

/* Sets the time for all that follows; once a loop. Never goes back. */
void net_tick(struct net_stack *stack, uint64_t now_us);

/* Takes n <= NET_BURST_MAX frames from one interface; owns the mbufs from here on. */
void net_input(struct net_stack *stack, uint8_t iface, struct rte_mbuf **pkts, unsigned n);

/* Due timers, a bounded number. Returns microseconds until the next one may be due (0: call again soon). */
uint64_t net_poll(struct net_stack *stack);

/* Sends what connections have corked. After net_input(), net_poll() and any tcp_send_*() outside of them. */
void net_flush(struct net_stack *stack);

/* Takes datagrams for this port from now on, in place of udp_ports[0]; 0: for none. */
void net_udp_bind(struct net_stack *stack, rte_be16_t port);

struct tcp_stack *net_tcp(struct net_stack *stack);
const struct net_counters *net_counters(const struct net_stack *stack);
const struct net_iface *net_iface(const struct net_stack *stack, uint8_t index);

/*
 * Sends one UDP datagram: m's data is the payload (chained is fine), with NET_HEADROOM in front. Takes m always.
 * Fragments when larger than the MTU. flow: as received (replies swap by themselves).
 */
void net_udp_output(struct net_stack *stack, const struct net_flow *flow, struct rte_mbuf *m);

/* Fills in the flow of a plain datagram while its headers are still there; no effect on another. */
void net_udp_flow(struct net_udp_rx *rx);

/* Sends replies that leave by the interface on which the requests came, as net_udp_output() would. Takes all. */
void net_udp_reply(struct net_stack *stack, uint8_t iface, const struct net_udp_reply *replies, unsigned n);

/*
 * Sends one IP packet: m's data starts with the layer 4 header, whose checksum field is zero. Adds IP and Ethernet,
 * finishes the layer 4 checksum (in hardware where the port can), resolves the neighbour. Takes m always.
 * tso_mss: 0, or the segment size for a TCP packet larger than the MTU on a port with NET_OFFLOAD_TX_TSO.
 */
void net_ip_output(struct net_stack *stack, const struct net_flow *flow, uint8_t proto, struct rte_mbuf *m,
    uint16_t tso_mss);

/*
 * The same for n >= 1 TCP segments of one flow, all equally long. sums: of each one's bytes, checksum field zero
 * (checksum.h). A caller that knows that the port sums (NET_OFFLOAD_TX_L4_CSUM) may give any.
 */
void net_tcp_output_train(struct net_stack *stack, const struct net_flow *flow, struct rte_mbuf **m,
    const uint64_t *sums, unsigned n);

/* A neighbour learned by another worker (see net_env.neigh_learned). */
void net_neigh_update(
    struct net_stack *stack, uint8_t iface, const struct net_addr *addr, const struct rte_ether_addr *mac);

/* An ICMP error handed over by another worker (see net_env.icmp_foreign). */
void net_icmp_error(struct net_stack *stack, const struct net_icmp_error *error);

#endif
