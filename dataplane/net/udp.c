/*
 * UDP (RFC 768): datagrams for bound ports are collected for the application, a burst at a time; others are
 * answered with port unreachable.
 */
#include "dataplane/net/neigh.h"
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
	stack->udp_rx[stack->udp_rx_len++] =
	    (struct net_udp_rx){.m = rx->m, .flow = rx->flow, .plain = false};
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

void
net_udp_flow(struct net_udp_rx *rx)
{
	const uint8_t *ip =
	    rte_pktmbuf_mtod(rx->m, const uint8_t *) - NET_UDP_HEADERS + sizeof(struct rte_ether_hdr);

	if (rx->plain)
		rx->flow = plain_flow(rx->flow.iface, ip, plain_load32(ip + sizeof(struct rte_ipv4_hdr)));
}

/* ---- replies ---------------------------------------------------------------------------------- */

/* What plain_output() cannot send either: the general way. */
static __attribute__((noinline)) void
reply_general(struct net_stack *stack, const struct iface *ifc, const struct net_udp_reply *reply)
{
	const uint8_t *ip = reply->request + sizeof(struct rte_ether_hdr);
	const struct net_flow flow =
	    plain_flow(ifc->index, ip, plain_load32(ip + sizeof(struct rte_ipv4_hdr)));

	net_udp_output(stack, &flow, reply->m);
}

/* Headers of one reply, the request's turned round; m's data then begins with Ethernet's. False: nothing was done. */
static inline bool
reply_headers(struct net_stack *stack, const struct iface *ifc, struct plain_hop *last,
    const struct net_udp_reply *reply)
{
	struct rte_mbuf *m = reply->m;
	const uint8_t *ip_in = reply->request + sizeof(struct rte_ether_hdr);
	const rte_be32_t remote = plain_load32(ip_in + 12), local = ifc->addr4;
	const uint32_t ports = plain_load32(ip_in + sizeof(struct rte_ipv4_hdr));
	const uint32_t len = m->data_len + (uint32_t)sizeof(struct rte_udp_hdr);
	const struct rte_ether_addr *mac = plain_hop_mac(stack, ifc, last, remote);

	if (unlikely(mac == NULL || len + sizeof(struct rte_ipv4_hdr) > ifc->conf.mtu))
		return false;
	const uint64_t pseudo = plain_pseudo4(local, remote, IPPROTO_UDP, len);
	uint8_t *payload = rte_pktmbuf_mtod(m, uint8_t *);
	uint64_t udp = (uint64_t)(ports >> 16 | ports << 16) | (uint64_t)plain_be16((uint16_t)len) << 32;
	uint16_t sum;

	if (ifc->conf.offloads & NET_OFFLOAD_TX_L4_CSUM)
		sum = csum_fold(pseudo);
	else /* a rest of 0 is written as ffff here: 0 would mean "none" (RFC 768) */
		sum = (uint16_t)(0xffff - (csum_padded(payload, m->data_len) + pseudo + (uint32_t)udp +
		                              (uint32_t)(udp >> 32)) %
		                              0xffff);
	udp |= (uint64_t)sum << 48;
	memcpy(payload - sizeof(udp), &udp, sizeof(udp));
	m->data_off = (uint16_t)(m->data_off - sizeof(udp));
	m->data_len = (uint16_t)len;
	m->pkt_len = len;
	plain_frame(stack, ifc, local, remote, mac, IPPROTO_UDP, m, sizeof(struct rte_udp_hdr),
	    RTE_MBUF_F_TX_UDP_CKSUM);
	return true;
}

void
net_udp_reply(struct net_stack *stack, uint8_t iface, const struct net_udp_reply *replies, unsigned n)
{
	const struct iface *ifc = &stack->ifaces[iface];
	struct plain_hop last = {.known = false};
	struct rte_mbuf *ready[NET_BURST_MAX];
	uint64_t bytes = 0;
	unsigned len = 0;

	for (unsigned i = 0; i < n; i++) {
		if (unlikely(!reply_headers(stack, ifc, &last, &replies[i]))) {
			reply_general(stack, ifc, &replies[i]);
			continue;
		}
		bytes += replies[i].m->pkt_len;
		ready[len++] = replies[i].m;
	}
	stack->counters.udp_tx += len;
	stack->counters.tx_packets += len;
	stack->counters.tx_bytes += bytes;
	net_tx_burst(stack, iface, ready, len);
}
