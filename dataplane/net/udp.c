/*
 * UDP (RFC 768): datagrams for bound ports are collected for the application, a burst at a time; others are
 * answered with port unreachable.
 */
#include "dataplane/net/pkt.h"
#include "dataplane/net/plain.h"
#include "dataplane/net/stack.h"

#define UDP_PAYLOAD_MAX 65507u /* 65 535 less the IPv4 and UDP headers */

static inline bool
udp_is_bound(const struct net_stack *stack, rte_be16_t port)
{
	return ((port == stack->udp_ports[0]) | (port == stack->udp_ports[1]) |
	           (port == stack->udp_ports[2]) | (port == stack->udp_ports[3]) |
	           net_port_in(&stack->udp_range, port)) != 0 &&
	       port != 0;
}

void
net_udp_bind(struct net_stack *stack, rte_be16_t port)
{
	stack->udp_ports[0] = port;
}

void
udp_input(struct net_stack *stack, struct ip_rx *rx)
{
	if (unlikely(rx->l4_len < sizeof(struct rte_udp_hdr))) {
		NET_DROP_PKT(stack, l4_short, rx->m);
		return;
	}
	const struct rte_udp_hdr *udp =
	    rte_pktmbuf_mtod_offset(rx->m, const struct rte_udp_hdr *, rx->l4_off);
	const uint32_t len = rte_be_to_cpu_16(udp->dgram_len);
	if (unlikely(len < sizeof(*udp) || len > rx->l4_len || udp->src_port == 0)) {
		NET_DROP_PKT(stack, udp_header, rx->m);
		return;
	}
	rx->l4_len = len;
	if (unlikely(udp->dgram_cksum == 0)) {
		if (!net_addr_is_v4(&rx->flow.remote)) {
			NET_DROP_PKT(stack, udp_no_checksum, rx->m);
			return;
		}
	} else if (unlikely(!ip_l4_checksum_ok(rx))) {
		NET_DROP_PKT(stack, l4_checksum, rx->m);
		return;
	}
	rx->flow.local_port = udp->dst_port;
	rx->flow.remote_port = udp->src_port;
	if (unlikely(!udp_is_bound(stack, udp->dst_port))) {
		icmp_port_unreachable(stack, rx);
		return;
	}
	NET_COUNT(stack, udp_rx);
	pkt_cut(rx->m, rx->l4_off + sizeof(*udp), len - sizeof(*udp));
	stack->udp_rx[stack->udp_rx_len++] = (struct net_udp_rx){.m = rx->m, .flow = rx->flow};
}

void
net_udp_output(struct net_stack *stack, const struct net_flow *flow, struct rte_mbuf *m)
{
	const uint32_t len = m->pkt_len + (uint32_t)sizeof(struct rte_udp_hdr);
	struct rte_udp_hdr *udp;

	if (unlikely(m->pkt_len > UDP_PAYLOAD_MAX)) {
		NET_DROP_PKT(stack, udp_too_long, m);
		return;
	}
	udp = (struct rte_udp_hdr *)rte_pktmbuf_prepend(m, sizeof(*udp));
	if (unlikely(udp == NULL)) {
		NET_DROP_PKT(stack, tx_headroom, m);
		return;
	}
	/* One store: the checksum's loads need not wait. Its field stays zero. */
	const uint64_t header = (uint64_t)flow->local_port | (uint64_t)flow->remote_port << 16 |
	                        (uint64_t)rte_cpu_to_be_16((uint16_t)len) << 32;
	memcpy(udp, &header, sizeof(header));
	NET_COUNT(stack, udp_tx);
	if (unlikely(!plain_output(stack, flow, IPPROTO_UDP, m, sizeof(*udp), RTE_MBUF_F_TX_UDP_CKSUM,
	        offsetof(struct rte_udp_hdr, dgram_cksum))))
		net_ip_output(stack, flow, IPPROTO_UDP, m, 0);
}
