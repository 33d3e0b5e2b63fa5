/*
 * What IPv4 and IPv6 share: delivery to layer 4, the IP header on the way out, checksums, and the choice of
 * the next hop. One code path: an address knows its family.
 */
#include <assert.h>
#include <rte_tcp.h>

#include "dataplane/net/checksum.h"
#include "dataplane/net/neigh.h"
#include "dataplane/net/pkt.h"
#include "dataplane/net/plain.h"
#include "dataplane/net/stack.h"

/* ---- in --------------------------------------------------------------------------------------- */

static __rte_noinline bool
ip_l4_checksum_soft_ok(const struct ip_rx *rx)
{
	uint64_t sum = csum_mbuf(rx->m, rx->l4_off, rx->l4_len);

	if (rx->proto != IPPROTO_ICMP)
		sum += csum_pseudo(&rx->flow.local, &rx->flow.remote, rx->proto, rx->l4_len);
	return csum_finish(sum) == 0;
}

bool
ip_l4_checksum_ok(const struct ip_rx *rx)
{
	if (likely((rx->ifc->conf.offloads & NET_OFFLOAD_RX_CSUM) &&
	           (rx->proto == IPPROTO_TCP || rx->proto == IPPROTO_UDP))) {
		const uint64_t verdict = rx->m->ol_flags & RTE_MBUF_F_RX_L4_CKSUM_MASK;
		if (likely(verdict != RTE_MBUF_F_RX_L4_CKSUM_UNKNOWN))
			return verdict != RTE_MBUF_F_RX_L4_CKSUM_BAD;
	}
	return ip_l4_checksum_soft_ok(rx);
}

static inline void
ip_deliver_tcp(struct net_stack *stack, struct ip_rx *rx)
{
	if (unlikely(rx->l4_len < sizeof(struct rte_tcp_hdr))) {
		NET_DROP_PKT(stack, l4_short, rx->m);
		return;
	}
	if (unlikely(!ip_l4_checksum_ok(rx))) {
		NET_DROP_PKT(stack, l4_checksum, rx->m);
		return;
	}
	const struct rte_tcp_hdr *tcp =
	    rte_pktmbuf_mtod_offset(rx->m, const struct rte_tcp_hdr *, rx->l4_off);
	rx->flow.local_port = tcp->dst_port;
	rx->flow.remote_port = tcp->src_port;
	pkt_cut(rx->m, rx->l4_off, rx->l4_len);
	stack->tcp_rx[stack->tcp_rx_len++] =
	    (struct tcp_rx){.m = rx->m, .flow = rx->flow, .ecn_ce = rx->ecn_ce};
}

/* Layer 4 may index its header in the first buffer: this makes it so for chains. */
static __rte_noinline bool
ip_pull_l4_or_free(struct net_stack *stack, struct ip_rx *rx)
{
	const uint32_t need = rx->l4_off + RTE_MIN(rx->l4_len, L4_HEADER_MAX);
	struct rte_mbuf *pulled = pkt_pull_or_null(rx->m, need, stack->env.pool);

	NET_COUNT(stack, rx_spread);
	if (pulled == NULL) {
		NET_DROP_PKT(stack, no_mbuf, rx->m);
		return false;
	}
	rx->m = pulled;
	return true;
}

void
ip_deliver(struct net_stack *stack, struct ip_rx *rx)
{
	if (unlikely(rx->m->nb_segs != 1 && rx->m->data_len < rx->l4_off + L4_HEADER_MAX) &&
	    !ip_pull_l4_or_free(stack, rx))
		return;
	const bool v4 = net_addr_is_v4(&rx->flow.remote);
	if (unlikely(rx->group && rx->proto != IPPROTO_ICMPV6))
		NET_DROP_PKT(stack, ip6_not_ours, rx->m);
	else if (unlikely(rx->proto != IPPROTO_ICMPV6 && net_addr_is_zero(&rx->flow.remote)))
		NET_DROP_PKT(stack, ip6_martian, rx->m);
	else if (rx->proto == IPPROTO_TCP)
		ip_deliver_tcp(stack, rx);
	else if (rx->proto == IPPROTO_UDP)
		udp_input(stack, rx);
	else if (rx->proto == IPPROTO_ICMP && v4)
		icmp4_input(stack, rx);
	else if (rx->proto == IPPROTO_ICMPV6 && !v4)
		icmp6_input(stack, rx);
	else
		NET_DROP_PKT(stack, ip_protocol, rx->m);
}

/* ---- out -------------------------------------------------------------------------------------- */

void
ip4_write_header(void *header, const struct net_flow *flow, uint8_t proto, uint8_t hop_limit, uint32_t total,
    uint32_t id_and_offset, bool checksum)
{
	ip4_write(header, net_addr_get_v4(&flow->local), net_addr_get_v4(&flow->remote), proto, hop_limit,
	    total, id_and_offset, checksum);
}

static inline bool
ip4_prepend(struct net_stack *stack, const struct iface *ifc, const struct net_flow *flow, uint8_t proto,
    struct rte_mbuf *m)
{
	const bool offload = ifc->conf.offloads & NET_OFFLOAD_TX_IP4_CSUM;
	const uint32_t total = m->pkt_len + (uint32_t)sizeof(struct rte_ipv4_hdr);
	void *header = rte_pktmbuf_prepend(m, sizeof(struct rte_ipv4_hdr));

	if (unlikely(header == NULL))
		return false;
	/* TCP finds the path's MTU itself; what may be fragmented on its way needs an id (RFC 6864). */
	const uint32_t word = proto == IPPROTO_TCP ? RTE_IPV4_HDR_DF_FLAG : (uint32_t)stack->ip4_id++ << 16;
	ip4_write(header, net_addr_get_v4(&flow->local), net_addr_get_v4(&flow->remote), proto, IP_HOPS,
	    total, word, !offload);
	m->l3_len = sizeof(struct rte_ipv4_hdr);
	m->ol_flags |= RTE_MBUF_F_TX_IPV4 | (offload ? RTE_MBUF_F_TX_IP_CKSUM : 0);
	return true;
}

bool
ip6_prepend(const struct net_flow *flow, uint8_t proto, uint8_t hop_limit, struct rte_mbuf *m)
{
	const uint32_t payload = m->pkt_len;
	struct rte_ipv6_hdr *ip6 = (struct rte_ipv6_hdr *)rte_pktmbuf_prepend(m, sizeof(*ip6));

	if (unlikely(ip6 == NULL))
		return false;
	m->l3_len = sizeof(*ip6);
	m->ol_flags |= RTE_MBUF_F_TX_IPV6;
	ip6->vtc_flow = RTE_BE32(0x60000000);
	ip6->payload_len = rte_cpu_to_be_16((uint16_t)payload);
	ip6->proto = proto;
	ip6->hop_limits = hop_limit;
	memcpy(ip6->src_addr, &flow->local, sizeof(ip6->src_addr));
	memcpy(ip6->dst_addr, &flow->remote, sizeof(ip6->dst_addr));
	return true;
}

/* Where the field is; by memcpy because payloads, and so headers, may start at odd addresses. */
static inline void
ip_l4_checksum_set(struct rte_mbuf *m, uint8_t proto, uint16_t value)
{
	const size_t off = proto == IPPROTO_TCP   ? offsetof(struct rte_tcp_hdr, cksum)
	                   : proto == IPPROTO_UDP ? offsetof(struct rte_udp_hdr, dgram_cksum)
	                                          : 2; /* ICMP and ICMPv6: type, code, checksum */
	memcpy(rte_pktmbuf_mtod_offset(m, uint8_t *, off), &value, sizeof(value));
}

static void
ip_l4_checksum_soft(const struct net_flow *flow, uint8_t proto, struct rte_mbuf *m)
{
	uint64_t sum = csum_mbuf(m, 0, m->pkt_len);

	if (proto != IPPROTO_ICMP)
		sum += csum_pseudo(&flow->local, &flow->remote, proto, m->pkt_len);
	const uint16_t value = csum_finish(sum);
	/* Zero would mean "none" in UDP (RFC 768). */
	ip_l4_checksum_set(m, proto, value == 0 && proto == IPPROTO_UDP ? 0xffff : value);
}

void
ip_icmp6_checksum(const struct net_flow *flow, struct rte_mbuf *m)
{
	ip_l4_checksum_soft(flow, IPPROTO_ICMPV6, m);
}

/* Leaves the checksum to the port: the field holds the pseudo-header's sum, for TSO without the length. */
static inline void
ip_l4_checksum_offload(const struct net_flow *flow, uint8_t proto, struct rte_mbuf *m, uint16_t tso_mss)
{
	const uint32_t len = tso_mss != 0 ? 0 : m->pkt_len;

	ip_l4_checksum_set(m, proto, csum_fold(csum_pseudo(&flow->local, &flow->remote, proto, len)));
	if (proto == IPPROTO_UDP) {
		m->l4_len = sizeof(struct rte_udp_hdr);
		m->ol_flags |= RTE_MBUF_F_TX_UDP_CKSUM;
		return;
	}
	m->l4_len = (rte_pktmbuf_mtod(m, struct rte_tcp_hdr *)->data_off >> 4) * 4u;
	m->ol_flags |= RTE_MBUF_F_TX_TCP_CKSUM;
	if (tso_mss != 0) {
		m->ol_flags |= RTE_MBUF_F_TX_TCP_SEG;
		m->tso_segsz = tso_mss;
	}
}

static __rte_noinline void
ip_multicast6_output(
    struct net_stack *stack, const struct iface *ifc, const struct net_addr *group, struct rte_mbuf *m)
{
	/* RFC 2464 section 7 */
	const struct rte_ether_addr mac = {
	    {0x33, 0x33, group->b[12], group->b[13], group->b[14], group->b[15]}};
	eth_output(stack, ifc, m, &mac, RTE_BE16(RTE_ETHER_TYPE_IPV6));
}

void
ip_forward_to_neighbour(
    struct net_stack *stack, const struct iface *ifc, const struct net_addr *remote, struct rte_mbuf *m)
{
	const struct net_addr *hop = remote;

	if (net_addr_is_v4(remote)) {
		if (((net_addr_get_v4(remote) ^ ifc->addr4) & ifc->mask4) != 0 || ifc->addr4 == 0)
			hop = &ifc->conf.gateway4;
	} else if (unlikely(net_addr_is_multicast6(remote))) {
		ip_multicast6_output(stack, ifc, remote, m);
		return;
	} else if (!ip6_on_link(ifc, remote)) {
		hop = &ifc->conf.gateway6;
	}
	if (unlikely(net_addr_is_zero(hop))) {
		NET_DROP_PKT(stack, no_route, m);
		return;
	}
	neigh_output(stack, ifc, hop, m);
}

/* Does not fit the MTU and is not for the port to segment. */
static __rte_noinline void
ip_output_large(struct net_stack *stack, const struct iface *ifc, const struct net_flow *flow, uint8_t proto,
    struct rte_mbuf *m)
{
	if (proto == IPPROTO_TCP) {
		NET_DROP_PKT(stack, tx_too_big, m);
		return;
	}
	ip_l4_checksum_soft(flow, proto, m); /* no port sums up over several packets */
	ip_fragment(stack, ifc, flow, proto, m);
}

static __rte_noinline void
ip_output_general(
    struct net_stack *stack, const struct net_flow *flow, uint8_t proto, struct rte_mbuf *m, uint16_t tso_mss)
{
	const struct iface *ifc = &stack->ifaces[flow->iface];
	const bool v4 = net_addr_is_v4(&flow->remote);
	const uint32_t ip_bytes = m->pkt_len + ip_header_bytes(v4);

	pkt_clear_offloads(m);
	if (ip_bytes <= ifc->conf.mtu) {
		tso_mss = 0; /* one segment is never marked TSO */
	} else if (unlikely(
	               tso_mss == 0 || !(ifc->conf.offloads & NET_OFFLOAD_TX_TSO) || ip_bytes > UINT16_MAX)) {
		ip_output_large(stack, ifc, flow, proto, m);
		return;
	}
	if ((proto == IPPROTO_TCP || proto == IPPROTO_UDP) && (ifc->conf.offloads & NET_OFFLOAD_TX_L4_CSUM))
		ip_l4_checksum_offload(flow, proto, m, tso_mss);
	else
		ip_l4_checksum_soft(flow, proto, m);
	if (unlikely(
	        !(v4 ? ip4_prepend(stack, ifc, flow, proto, m) : ip6_prepend(flow, proto, IP_HOPS, m)))) {
		NET_DROP_PKT(stack, tx_headroom, m);
		return;
	}
	if (unlikely(tso_mss != 0))
		NET_COUNT(stack, tx_tso);
	ip_forward_to_neighbour(stack, ifc, &flow->remote, m);
}

void
net_ip_output(
    struct net_stack *stack, const struct net_flow *flow, uint8_t proto, struct rte_mbuf *m, uint16_t tso_mss)
{
	assert(flow->iface < stack->ifaces_len);
	if (proto == IPPROTO_TCP && likely(plain_output(stack, flow, IPPROTO_TCP, m,
	                                (rte_pktmbuf_mtod(m, const struct rte_tcp_hdr *)->data_off >> 4) * 4u,
	                                RTE_MBUF_F_TX_TCP_CKSUM, offsetof(struct rte_tcp_hdr, cksum))))
		return;
	ip_output_general(stack, flow, proto, m, tso_mss);
}
