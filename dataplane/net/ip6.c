/*
 * IPv6 input (RFC 8200): the fixed header, then the chain of extension headers up to IP6_EXTENSIONS_MAX.
 * Multicast is accepted for the groups that neighbour discovery needs, and for ICMPv6 only.
 */
#include "dataplane/net/pkt.h"
#include "dataplane/net/reassembly.h"
#include "dataplane/net/stack.h"

#define IP6_EXTENSIONS_MAX 8u
#define IP6_OPT_PAD1       0
#define IP6_OPT_UNKNOWN_ACTION \
	0xc0 /* RFC 8200 section 4.2: nonzero means that the packet must not be processed */
#define IP6_FRAGMENT_MORE    0x1
#define IP6_FRAGMENT_OFFSET  0xfff8
#define IP6_TRAFFIC_CLASS_CE RTE_BE32(0x00300000)

static const struct net_addr ip6_all_nodes = {.b = {0xff, 0x02, [15] = 0x01}};

/* Our unicast addresses first; then all nodes and the solicited-node groups, which set *group. */
static inline bool
ip6_is_ours(const struct iface *ifc, const struct net_addr *dst, bool *group)
{
	if (!ifc->ip6)
		return false;
	for (unsigned i = NET_ADDRS6_MAX; i-- > 0;)
		if (net_addr_equal(dst, &ifc->conf.addr6[i]) && !net_addr_is_zero(dst))
			return true;
	if (!net_addr_is_multicast6(dst))
		return false;
	*group = true;
	if (net_addr_equal(dst, &ip6_all_nodes))
		return true;
	for (unsigned i = 0; i < NET_ADDRS6_MAX; i++)
		if (net_addr_equal(dst, &ifc->solicited6[i]))
			return true;
	return false;
}

/* Multicast, loopback, IPv4-mapped (which would pass for IPv4 above) and our own; unspecified is left to
 * ndp.c. */
static inline bool
ip6_martian(const struct iface *ifc, const struct net_addr *src)
{
	if (net_addr_is_multicast6(src))
		return true;
	if (src->q[0] == 0)
		return src->w[2] == RTE_BE32(0xffff) || src->q[1] == RTE_BE64(1);
	return net_addr_equal(src, &ifc->conf.addr6[0]) || net_addr_equal(src, &ifc->conf.addr6[1]);
}

/* Hop-by-hop and destination options: all unknown here, so each says itself whether it may be skipped. */
static bool
ip6_options_ok(const struct rte_mbuf *m, uint32_t off, uint32_t end)
{
	while (off < end) {
		uint8_t option[2] = {0};
		pkt_read(m, off, 1, &option[0]);
		if (option[0] == IP6_OPT_PAD1) {
			off++;
			continue;
		}
		if (end - off < 2 || (option[0] & IP6_OPT_UNKNOWN_ACTION))
			return false;
		pkt_read(m, off + 1, 1, &option[1]);
		off += 2u + option[1];
	}
	return off == end;
}

/* The fragment header at rx->l4_off: whole packets go on, pieces wait. True: rx may be delivered or walked
 * further. */
static bool
ip6_fragment_input(struct net_stack *stack, struct ip_rx *rx, bool *whole)
{
	struct ip6_fragment_hdr hdr;

	*whole = false;
	if (rx->l4_len < sizeof(hdr) || !pkt_read(rx->m, rx->l4_off, sizeof(hdr), &hdr)) {
		NET_DROP_PKT(stack, ip6_extension, rx->m);
		return false;
	}
	const uint16_t bits = rte_be_to_cpu_16(hdr.offset_more);
	rx->proto = hdr.next;
	rx->l4_off += sizeof(hdr);
	rx->l4_len -= sizeof(hdr);
	if ((bits & (IP6_FRAGMENT_OFFSET | IP6_FRAGMENT_MORE)) == 0) {
		*whole = true; /* RFC 6946: an atomic fragment has nothing to do with others of its id */
		return true;
	}
	const struct fragment fragment = {
	    .id = hdr.id, .offset = bits & IP6_FRAGMENT_OFFSET, .more = bits & IP6_FRAGMENT_MORE};
	return reassembly_input(stack, rx, &fragment);
}

/* Steps over one options or routing header; false: dropped. */
static bool
ip6_skip_or_free(struct net_stack *stack, struct ip_rx *rx)
{
	uint8_t head[4]; /* next header, length, routing type, segments left */

	if (rx->l4_len < 8 || !pkt_read(rx->m, rx->l4_off, sizeof(head), head)) {
		NET_DROP_PKT(stack, ip6_extension, rx->m);
		return false;
	}
	const uint32_t len = (head[1] + 1u) * 8;
	if (len > rx->l4_len) {
		NET_DROP_PKT(stack, ip6_extension, rx->m);
		return false;
	}
	if (rx->proto == IPPROTO_ROUTING && head[3] != 0) {
		NET_DROP_PKT(stack, ip6_routing, rx->m);
		return false;
	}
	if (rx->proto != IPPROTO_ROUTING && !ip6_options_ok(rx->m, rx->l4_off + 2, rx->l4_off + len)) {
		NET_DROP_PKT(stack, ip6_extension, rx->m);
		return false;
	}
	rx->proto = head[0];
	rx->l4_off += len;
	rx->l4_len -= len;
	return true;
}

void
ip6_walk(struct net_stack *stack, struct ip_rx *rx, bool reassembled)
{
	for (unsigned n = 0; n < IP6_EXTENSIONS_MAX; n++) {
		bool whole;
		switch (rx->proto) {
		case IPPROTO_HOPOPTS:
			if (n > 0 || reassembled)
				goto malformed; /* allowed right after the fixed header only */
			                        /* fall through */
		case IPPROTO_DSTOPTS:
		case IPPROTO_ROUTING:
			if (!ip6_skip_or_free(stack, rx))
				return;
			break;
		case IPPROTO_FRAGMENT:
			if (reassembled)
				goto malformed;
			if (!ip6_fragment_input(stack, rx, &whole))
				return;
			reassembled = true; /* no second fragment header, atomic or not */
			if (!whole)
				n = 0;
			break;
		default:
			ip_deliver(stack, rx);
			return;
		}
	}
	if (rx->proto == IPPROTO_TCP || rx->proto == IPPROTO_UDP || rx->proto == IPPROTO_ICMPV6) {
		ip_deliver(stack, rx);
		return;
	}
malformed:
	NET_DROP_PKT(stack, ip6_extension, rx->m);
}

void
ip6_input(struct net_stack *stack, const struct iface *ifc, struct rte_mbuf *m, uint16_t l3_off, bool group)
{
	if (unlikely(m->data_len < l3_off + sizeof(struct rte_ipv6_hdr))) {
		NET_DROP_PKT(stack, ip6_header, m);
		return;
	}
	const struct rte_ipv6_hdr *ip = rte_pktmbuf_mtod_offset(m, const struct rte_ipv6_hdr *, l3_off);
	const uint32_t l4_off = l3_off + (uint32_t)sizeof(*ip);
	const uint32_t payload = rte_be_to_cpu_16(ip->payload_len);
	if (unlikely((ip->vtc_flow & RTE_BE32(0xf0000000)) != RTE_BE32(0x60000000) ||
	             payload > m->pkt_len - l4_off)) {
		NET_DROP_PKT(stack, ip6_header, m);
		return;
	}
	struct ip_rx rx = {
	    .m = m,
	    .ifc = ifc,
	    .flow = {.iface = ifc->index},
	    .l4_off = l4_off,
	    .l4_len = payload,
	    .l3_off = l3_off,
	    .proto = ip->proto,
	    .hop_limit = ip->hop_limits,
	    .ecn_ce = (ip->vtc_flow & IP6_TRAFFIC_CLASS_CE) == IP6_TRAFFIC_CLASS_CE,
	};
	memcpy(&rx.flow.local, ip->dst_addr, sizeof(rx.flow.local));
	memcpy(&rx.flow.remote, ip->src_addr, sizeof(rx.flow.remote));
	if (unlikely(!ip6_is_ours(ifc, &rx.flow.local, &rx.group) || (group && !rx.group))) {
		NET_DROP_PKT(stack, ip6_not_ours, m);
		return;
	}
	if (unlikely(ip6_martian(ifc, &rx.flow.remote))) {
		NET_DROP_PKT(stack, ip6_martian, m);
		return;
	}
	if (likely(rx.proto == IPPROTO_TCP || rx.proto == IPPROTO_UDP))
		ip_deliver(stack, &rx);
	else
		ip6_walk(stack, &rx, false);
}
