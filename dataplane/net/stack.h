/*
 * What the files of net/ share among themselves: the stack's state and the calls between layers. Nobody
 * outside of net/ includes this.
 *
 * One struct ip_rx travels up with a packet. The mbuf's data stays at the Ethernet header and offsets point
 * into it, so that an ICMP error can still quote the packet; layer 4 cuts the headers off when it takes the
 * packet.
 *
 * Ownership: a function named *_input owns the mbuf it gets. Every packet that ends inside is counted
 * (drops.def).
 */
#ifndef WIRECACHE_NET_STACK_H
#define WIRECACHE_NET_STACK_H

#include <netinet/in.h>
#include <rte_branch_prediction.h>
#include <rte_ip.h>
#include <rte_udp.h>

#include "dataplane/net/net.h"
#include "dataplane/net/tcp.h"

#define IP_HOPS           64u
#define IP6_MTU_MIN       1280u /* RFC 8200 section 5; an interface below it speaks IPv4 only */
#define IP_QUOTE_NONE     UINT16_MAX
#define L4_HEADER_MAX     60u /* TCP with all options: made contiguous before layer 4 sees it */
/* Plain headers up to here lie in the first buffer of any real port: the fast path asks for no more. */
#define RX_CONTIGUOUS_MIN 128u
#define RATE_TOKEN        1000000u

#define PLAIN_HEAD 32u /* bytes compared at once: to the middle of the destination address */

struct neigh_table;
struct reassembly;

/* One interface with what is derived from its configuration once. */
struct iface {
	struct net_iface conf;
	uint64_t mac48;                      /* as eth_dst48() loads it */
	rte_be32_t addr4, mask4, broadcast4; /* 0 without IPv4 */
	struct net_addr prefix6_mask;
	struct net_addr solicited6[NET_ADDRS6_MAX]; /* solicited-node multicast of each address; zero: none */
	/* Of a plain packet's first bytes: what they are, where plain_mask has ones. */
	uint8_t plain_head[PLAIN_HEAD] __rte_aligned(PLAIN_HEAD), plain_mask[PLAIN_HEAD];
	uint8_t index;
	bool ip6;   /* the MTU allows IPv6 */
	bool plain; /* IPv4 and no VLAN: most packets may take the short way of plain.h */
};

/* Token bucket in virtual time; a token is RATE_TOKEN credits, of which rate_per_s come in a microsecond. */
struct rate_limit {
	uint64_t credits;
	uint64_t filled_us;
	uint32_t rate_per_s;
};

/* Where the last of a row of plain packets went. */
struct plain_hop {
	rte_be32_t addr;
	uint8_t iface;
	bool known; /* mac is what addr has; false: nothing sent yet, or nobody knows it */
	struct rte_ether_addr mac;
};

/* Finished packets that leave together. */
struct plain_row {
	struct plain_hop hop;
	uint8_t iface;
	unsigned len;
	uint64_t bytes;
	struct rte_mbuf *pkts[NET_BURST_MAX];
};

struct net_stack {
	uint64_t now_us;
	struct net_env env;
	struct tcp_stack *tcp;
	struct neigh_table *neigh;
	struct reassembly *reassembly;
	rte_be16_t udp_ports[4];
	struct net_port_range udp_range;
	uint16_t ip4_id; /* of the next packet that may be fragmented; starts at random */
	uint32_t ip6_id;
	struct rate_limit icmp_limit;

	struct plain_row row; /* of the flush in progress */

	/* What the burst in progress has collected. */
	unsigned tcp_rx_len, udp_rx_len;
	struct tcp_rx tcp_rx[NET_BURST_MAX];
	struct net_udp_rx udp_rx[NET_BURST_MAX];

	unsigned ifaces_len;
	struct iface ifaces[NET_IFACES_MAX];
	struct net_counters counters;
};

/* A packet on its way up. Offsets are into m's data. */
struct ip_rx {
	struct rte_mbuf *m;
	const struct iface *ifc;
	struct net_flow flow; /* ports are filled in by layer 4 */
	uint32_t l4_off;
	uint32_t l4_len; /* without Ethernet padding */
	uint16_t l3_off; /* IP_QUOTE_NONE: the header is gone (reassembled) */
	uint8_t proto;
	uint8_t hop_limit;
	bool group; /* sent to a multicast or broadcast address of either layer */
	bool ecn_ce;
};

/* RFC 8200 section 4.5 */
struct ip6_fragment_hdr {
	uint8_t next;
	uint8_t reserved;
	rte_be16_t offset_more;
	rte_be32_t id;
};

#define NET_COUNT(stack, name)      ((stack)->counters.name++)
#define NET_COUNT_DROP(stack, name) ((stack)->counters.drop_##name++)
/* Ends a packet: counts the reason and gives the buffers back. */
#define NET_DROP_PKT(stack, name, m)         \
	do {                                 \
		NET_COUNT_DROP(stack, name); \
		rte_pktmbuf_free(m);         \
	} while (0)

static inline uint16_t
ip_header_bytes(bool v4)
{
	return v4 ? sizeof(struct rte_ipv4_hdr) : sizeof(struct rte_ipv6_hdr);
}

static inline rte_be32_t
net_addr_get_v4(const struct net_addr *a)
{
	return a->w[3];
}

static inline bool
net_addr_is_zero(const struct net_addr *a)
{
	return (a->q[0] | a->q[1]) == 0;
}

static inline bool
net_addr_is_multicast6(const struct net_addr *a)
{
	return a->b[0] == 0xff;
}

static inline bool
net_addr_is_link_local6(const struct net_addr *a)
{
	return a->b[0] == 0xfe && (a->b[1] & 0xc0) == 0x80;
}

/* IPv6 neighbours by configuration: link-local ones and those under the static prefix. */
static inline bool
ip6_on_link(const struct iface *ifc, const struct net_addr *a)
{
	const struct net_addr *own = &ifc->conf.addr6[1], *mask = &ifc->prefix6_mask;

	if (net_addr_is_link_local6(a))
		return true;
	return ifc->conf.prefix6 != 0 && ((a->q[0] ^ own->q[0]) & mask->q[0]) == 0 &&
	       ((a->q[1] ^ own->q[1]) & mask->q[1]) == 0;
}

/* ---- stack.c ---------------------------------------------------------------------------------- */
bool rate_limit_take(struct rate_limit *limit, uint64_t now_us);
/* A buffer for a packet that the stack makes, or NULL, counted. */
struct rte_mbuf *net_alloc_or_null(struct net_stack *stack);

static inline void
net_tx_burst(struct net_stack *stack, uint8_t iface, struct rte_mbuf **pkts, unsigned n)
{
	if (stack->env.tx_burst != NULL)
		stack->env.tx_burst(stack->env.ctx, iface, pkts, n);
	else
		for (unsigned i = 0; i < n; i++)
			stack->env.tx(stack->env.ctx, iface, pkts[i]);
}

/* ---- eth.c ------------------------------------------------------------------------------------ */
void eth_input(struct net_stack *stack, const struct iface *ifc, struct rte_mbuf *m);
/* m's data is what follows the Ethernet header; ether_type in network order. */
void eth_output(struct net_stack *stack, const struct iface *ifc, struct rte_mbuf *m,
    const struct rte_ether_addr *dst, rte_be16_t ether_type);

/* ---- arp.c ------------------------------------------------------------------------------------ */
void arp_input(struct net_stack *stack, const struct iface *ifc, struct rte_mbuf *m, uint32_t off);
/* Asks for target; dst NULL: everybody. False when no buffer was free. */
bool arp_request(
    struct net_stack *stack, const struct iface *ifc, rte_be32_t target, const struct rte_ether_addr *dst);

/* ---- ip4.c, ip6.c ----------------------------------------------------------------------------- */
void ip4_input(
    struct net_stack *stack, const struct iface *ifc, struct rte_mbuf *m, uint16_t l3_off, bool group);
void ip6_input(
    struct net_stack *stack, const struct iface *ifc, struct rte_mbuf *m, uint16_t l3_off, bool group);
/* Goes on behind the fixed header, or behind what reassembly put together: rx->proto is the next header. */
void ip6_walk(struct net_stack *stack, struct ip_rx *rx, bool reassembled);

/* ---- ip.c ------------------------------------------------------------------------------------- */
/* Layer 4 of a packet whose IP header is right. Owns rx->m. */
void ip_deliver(struct net_stack *stack, struct ip_rx *rx);
/* Whether the layer 4 checksum is right, by the port's word where it has one. */
bool ip_l4_checksum_ok(const struct ip_rx *rx);
/* A packet with its IP header in front: finds the neighbour and sends. v4 by flow->remote. */
void ip_forward_to_neighbour(
    struct net_stack *stack, const struct iface *ifc, const struct net_addr *remote, struct rte_mbuf *m);
/*
 * Writes an IPv4 header without options. id_and_offset: the second word, host order. With the checksum unless
 * that is the port's work.
 */
void ip4_write_header(void *header, const struct net_flow *flow, uint8_t proto, uint8_t hop_limit,
    uint32_t total, uint32_t id_and_offset, bool checksum);
/* Puts an IPv6 header in front; false (m untouched) when there is no room. */
bool ip6_prepend(const struct net_flow *flow, uint8_t proto, uint8_t hop_limit, struct rte_mbuf *m);
/* The checksum of an ICMPv6 message that does not go through net_ip_output(). */
void ip_icmp6_checksum(const struct net_flow *flow, struct rte_mbuf *m);

/* ---- fragment.c ------------------------------------------------------------------------------- */
/* Sends m (layer 4, checksum complete, larger than the MTU) as fragments; takes m. */
void ip_fragment(struct net_stack *stack, const struct iface *ifc, const struct net_flow *flow, uint8_t proto,
    struct rte_mbuf *m);

/* ---- icmp.c ----------------------------------------------------------------------------------- */
void icmp4_input(struct net_stack *stack, struct ip_rx *rx);
void icmp6_input(struct net_stack *stack, struct ip_rx *rx);
/* Answers a datagram for an unbound port, within the rate limit; frees it. */
void icmp_port_unreachable(struct net_stack *stack, struct ip_rx *rx);

/* ---- ndp.c ------------------------------------------------------------------------------------ */
void ndp_input(struct net_stack *stack, struct ip_rx *rx, uint8_t type);
/* The multicast group in which an address is asked for (RFC 4291 section 2.7.1). */
void ndp_solicited_node(const struct net_addr *a, struct net_addr *group);
/* dst NULL: to the solicited-node address. False when no buffer was free. */
bool ndp_solicit(struct net_stack *stack, const struct iface *ifc, const struct net_addr *target,
    const struct rte_ether_addr *dst);
/* Tells all nodes of one of our addresses (RFC 4861 section 7.2.6). */
void ndp_announce(struct net_stack *stack, const struct iface *ifc, const struct net_addr *addr);

/* ---- udp.c ------------------------------------------------------------------------------------ */
void udp_input(struct net_stack *stack, struct ip_rx *rx);

#endif
