/*
 * The plain packet, in and out, in one pass over its headers: IPv4 without options or fragments, UDP or TCP, in one
 * buffer, untagged, to or from a neighbour that is known. Nearly all packets of a cache are that.
 *
 * These functions only take what they can finish. For anything else they return false, having changed nothing, and the
 * general way (eth.c, ip4.c, udp.c, ip.c, neigh.c) looks at the packet from the start: it alone drops, counts drops and
 * answers. A packet that the general way would drop is never taken here.
 */
#ifndef WIRECACHE_NET_PLAIN_H
#define WIRECACHE_NET_PLAIN_H

#include <rte_tcp.h>

#include "dataplane/net/checksum.h"
#include "dataplane/net/neigh.h"
#include "dataplane/net/pkt.h"
#include "dataplane/net/stack.h"

#define PLAIN_HEADERS (sizeof(struct rte_ether_hdr) + sizeof(struct rte_ipv4_hdr))
#define PLAIN_DST4    30u /* of the destination address in the frame */
#define PLAIN_ECN_CE  0x03u

static inline uint64_t
plain_load64(const uint8_t *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static inline uint32_t
plain_load32(const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static inline uint16_t
plain_load16(const uint8_t *p)
{
	uint16_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

/* Instructions that a register can take, where rte_byteorder.h has one that merges halves. */
static inline uint16_t
plain_be16(uint16_t v)
{
	return __builtin_bswap16(v);
}

static inline uint64_t
plain_pseudo4(rte_be32_t local, rte_be32_t remote, uint8_t proto, uint32_t len)
{
	return (uint64_t)local + remote + ((uint32_t)proto << 8) + plain_be16((uint16_t)len);
}

static inline uint64_t
plain_pseudo(const struct net_flow *flow, uint8_t proto, uint32_t len)
{
	return plain_pseudo4(net_addr_get_v4(&flow->local), net_addr_get_v4(&flow->remote), proto, len);
}

/* The port's verdict counts where it has one: SUM is what to compute else. */
#define PLAIN_SUM_OK(ifc, m, which, SUM)                                                                    \
	((((ifc)->conf.offloads & NET_OFFLOAD_RX_CSUM) &&                                                   \
	     ((m)->ol_flags & RTE_MBUF_F_RX_##which##_CKSUM_MASK) != RTE_MBUF_F_RX_##which##_CKSUM_UNKNOWN) \
	        ? ((m)->ol_flags & RTE_MBUF_F_RX_##which##_CKSUM_MASK) != RTE_MBUF_F_RX_##which##_CKSUM_BAD \
	        : csum_is_right(SUM))

static inline uint64_t
plain_l4_sum_in(const uint8_t *ip, const uint8_t *l4, uint32_t l4_len)
{
	return csum_padded(l4, l4_len) +
	       plain_pseudo4(plain_load32(ip + 16), plain_load32(ip + 12), ip[9], l4_len);
}

/* No host has it: this network, loopback, multicast, reserved, broadcast, ourselves. */
static inline bool
plain_source_ok(const struct iface *ifc, rte_be32_t source)
{
	const uint32_t first = rte_be_to_cpu_32(source) >> 24;

	return first - 1 < 223 && first != 127 && source != ifc->addr4 && source != ifc->broadcast4;
}

static inline struct net_flow
plain_flow(uint8_t iface, const uint8_t *ip, uint32_t ports)
{
	return (struct net_flow){
	    .local = net_addr_v4(plain_load32(ip + 16)),
	    .remote = net_addr_v4(plain_load32(ip + 12)),
	    .local_port = (rte_be16_t)(ports >> 16), /* little-endian load: the source comes first */
	    .remote_port = (rte_be16_t)ports,
	    .iface = iface,
	};
}

static inline bool
plain_udp_input(
    struct net_stack *stack, const struct iface *ifc, struct rte_mbuf *m, const uint8_t *ip, uint32_t l4_len)
{
	const uint8_t *l4 = ip + sizeof(struct rte_ipv4_hdr);
	const uint32_t ports = plain_load32(l4), len = plain_be16(plain_load16(l4 + 4));

	if (unlikely(len < sizeof(struct rte_udp_hdr) || len > l4_len || (rte_be16_t)ports == 0 ||
	             (rte_be16_t)(ports >> 16) != stack->udp_ports[0] || stack->udp_ports[0] == 0))
		return false;
	if (unlikely(plain_load16(l4 + 6) != 0 && !PLAIN_SUM_OK(ifc, m, L4, plain_l4_sum_in(ip, l4, len))))
		return false;
	NET_COUNT(stack, udp_rx);
	struct net_udp_rx *rx = &stack->udp_rx[stack->udp_rx_len++];
	rx->flow.iface = ifc->index;
	rx->m = m;
	rx->plain = true;
	pkt_cut(m, PLAIN_HEADERS + sizeof(struct rte_udp_hdr), len - (uint32_t)sizeof(struct rte_udp_hdr));
	return true;
}

static inline bool
plain_tcp_input(
    struct net_stack *stack, const struct iface *ifc, struct rte_mbuf *m, const uint8_t *ip, uint32_t l4_len)
{
	const uint8_t *l4 = ip + sizeof(struct rte_ipv4_hdr);

	if (unlikely(l4_len < sizeof(struct rte_tcp_hdr) ||
	             !PLAIN_SUM_OK(ifc, m, L4, plain_l4_sum_in(ip, l4, l4_len))))
		return false;
	struct tcp_rx *rx = &stack->tcp_rx[stack->tcp_rx_len++];
	rx->flow = plain_flow(ifc->index, ip, plain_load32(l4));
	rx->m = m;
	rx->ecn_ce = (ip[1] & PLAIN_ECN_CE) == PLAIN_ECN_CE;
	pkt_cut(m, PLAIN_HEADERS, l4_len);
	return true;
}

/* Ours by its destination, IPv4 without options or fragments; one compare. */
static inline bool
plain_head_ok(const struct iface *ifc, const uint8_t *eth)
{
	const __m256i head = _mm256_loadu_si256((const __m256i *)(const void *)eth);
	const __m256i want = _mm256_load_si256((const __m256i *)(const void *)ifc->plain_head);
	const __m256i mask = _mm256_load_si256((const __m256i *)(const void *)ifc->plain_mask);

	return _mm256_testz_si256(_mm256_xor_si256(head, want), mask) &&
	       plain_load32(eth + PLAIN_DST4) == ifc->addr4;
}

/* Once for each interface. */
static inline void
plain_head_setup(struct iface *ifc)
{
	static const uint8_t mask[PLAIN_HEAD] = {
	    [0 ... 5] = 0xff, [12 ... 14] = 0xff, [20] = 0x3f, [21] = 0xff};

	memcpy(ifc->plain_mask, mask,
	    sizeof(mask)); /* MAC, type, version and words, more fragments and offset */
	memcpy(ifc->plain_head, &ifc->conf.mac, sizeof(ifc->conf.mac));
	ifc->plain_head[12] = RTE_ETHER_TYPE_IPV4 >> 8;
	ifc->plain_head[13] = RTE_ETHER_TYPE_IPV4 & 0xff;
	ifc->plain_head[14] = RTE_IPV4_VHL_DEF;
}

/* Collects a datagram or segment for its layer; m's data starts with the Ethernet header. Only with ifc->plain. */
static inline bool
plain_input(struct net_stack *stack, const struct iface *ifc, struct rte_mbuf *m)
{
	const uint8_t *eth = rte_pktmbuf_mtod(m, const uint8_t *), *ip = eth + sizeof(struct rte_ether_hdr);

	if (unlikely(m->nb_segs != 1 || m->data_len < PLAIN_HEADERS + sizeof(struct rte_udp_hdr) ||
	             m->data_off + m->data_len + NET_UDP_SLACK > m->buf_len ||
	             (m->ol_flags & RTE_MBUF_F_RX_VLAN_STRIPPED)))
		return false;
	if (unlikely(!plain_head_ok(ifc, eth) || !plain_source_ok(ifc, plain_load32(ip + 12))))
		return false;
	const uint32_t total = plain_be16(plain_load16(ip + 2));
	if (unlikely(total > m->data_len - sizeof(struct rte_ether_hdr) ||
	             total < sizeof(struct rte_ipv4_hdr) + sizeof(struct rte_udp_hdr) ||
	             !PLAIN_SUM_OK(ifc, m, IP, csum_ip4_header(ip))))
		return false;
	if (ip[9] == IPPROTO_UDP)
		return plain_udp_input(stack, ifc, m, ip, total - (uint32_t)sizeof(struct rte_ipv4_hdr));
	return ip[9] == IPPROTO_TCP &&
	       plain_tcp_input(stack, ifc, m, ip, total - (uint32_t)sizeof(struct rte_ipv4_hdr));
}

/* ---- out -------------------------------------------------------------------------------------- */

/* The checksum of what m holds: the port's work, then the pseudo-header's sum, or ours. */
static inline uint16_t
plain_l4_sum(
    const struct iface *ifc, const struct net_flow *flow, uint8_t proto, const uint8_t *l4, uint32_t len)
{
	const uint64_t pseudo = plain_pseudo(flow, proto, len);

	if (ifc->conf.offloads & NET_OFFLOAD_TX_L4_CSUM)
		return csum_fold(pseudo);
	/* Eight bytes were written by one store just now: read alike they are forwarded, in a wider load they are not. */
	const uint16_t sum = csum_finish(csum_tail(l4, 8) + csum_bytes(l4 + 8, len - 8) + pseudo);
	return proto == IPPROTO_UDP && sum == 0 ? 0xffff : sum; /* 0 would mean "none" (RFC 768) */
}

/* Words, not fields: they are summed in registers, and no load waits for smaller stores. */
static inline void
ip4_write(uint8_t *ip, rte_be32_t local, rte_be32_t remote, uint8_t proto, uint8_t hop_limit, uint32_t total,
    uint32_t id_and_offset, bool checksum)
{
	const uint32_t first = rte_cpu_to_be_32((uint32_t)RTE_IPV4_VHL_DEF << 24 | total);
	const uint32_t second = rte_cpu_to_be_32(id_and_offset);
	uint32_t third = rte_cpu_to_be_32((uint32_t)hop_limit << 24 | (uint32_t)proto << 16);

	if (checksum)
		third |= (uint32_t)csum_finish_nonzero((uint64_t)first + second + third + local + remote)
		         << 16;
	memcpy(ip, &first, sizeof(first));
	memcpy(ip + 4, &second, sizeof(second));
	memcpy(ip + 8, &third, sizeof(third));
	memcpy(ip + 12, &local, sizeof(local));
	memcpy(ip + 16, &remote, sizeof(remote));
}

static inline __rte_cold void
plain_hop_find(
    struct net_stack *stack, const struct iface *ifc, struct plain_hop *last, const struct net_addr *hop)
{
	const struct rte_ether_addr *mac = neigh_known(stack, ifc, hop);

	*last = (struct plain_hop){.addr = net_addr_get_v4(hop), .iface = ifc->index, .known = mac != NULL};
	if (mac != NULL)
		last->mac = *mac;
}

/* The MAC address on the way to remote, or NULL: that of a row's last packet is that of most of the next ones. */
static inline const struct rte_ether_addr *
plain_hop_mac(struct net_stack *stack, const struct iface *ifc, struct plain_hop *last, rte_be32_t remote)
{
	const bool on_link = ((remote ^ ifc->addr4) & ifc->mask4) == 0;
	const rte_be32_t hop = on_link ? remote : net_addr_get_v4(&ifc->conf.gateway4);

	if (unlikely(!last->known || last->addr != hop || last->iface != ifc->index)) {
		const struct net_addr addr = on_link ? net_addr_v4(remote) : ifc->conf.gateway4;

		plain_hop_find(stack, ifc, last, &addr);
	}
	return likely(last->known) ? &last->mac : NULL;
}

/* Can m be a plain packet, if its next hop is known? */
static inline bool
plain_fits(const struct iface *ifc, const struct net_flow *flow, const struct rte_mbuf *m)
{
	return ifc->plain && net_addr_is_v4(&flow->remote) &&
	       m->pkt_len + sizeof(struct rte_ipv4_hdr) <= ifc->conf.mtu &&
	       rte_pktmbuf_headroom(m) >= PLAIN_HEADERS;
}

/* Where m goes as a plain packet; NULL: it is none. */
static inline const struct rte_ether_addr *
plain_next_hop(
    struct net_stack *stack, const struct iface *ifc, const struct net_flow *flow, const struct rte_mbuf *m)
{
	if (unlikely(!plain_fits(ifc, flow, m)))
		return NULL;
	const bool on_link = ((net_addr_get_v4(&flow->remote) ^ ifc->addr4) & ifc->mask4) == 0;
	return neigh_known(stack, ifc, on_link ? &flow->remote : &ifc->conf.gateway4);
}

/*
 * Headers of IP and Ethernet in front of m, whose layer 4 is finished. l4_bytes and l4_flag: of its header, for a port
 * that sums.
 */
static inline void
plain_frame(struct net_stack *stack, const struct iface *ifc, rte_be32_t local, rte_be32_t remote,
    const struct rte_ether_addr *mac, uint8_t proto, struct rte_mbuf *m, uint32_t l4_bytes, uint64_t l4_flag)
{
	const uint32_t total = m->pkt_len + (uint32_t)sizeof(struct rte_ipv4_hdr);
	const uint32_t offloads = ifc->conf.offloads;
	uint8_t *eth = rte_pktmbuf_mtod(m, uint8_t *) - PLAIN_HEADERS;
	const uint32_t word = proto == IPPROTO_TCP ? RTE_IPV4_HDR_DF_FLAG : (uint32_t)stack->ip4_id++ << 16;
	const rte_be16_t type = RTE_BE16(RTE_ETHER_TYPE_IPV4);

	ip4_write(eth + sizeof(struct rte_ether_hdr), local, remote, proto, IP_HOPS, total, word,
	    !(offloads & NET_OFFLOAD_TX_IP4_CSUM));
	memcpy(eth, mac, RTE_ETHER_ADDR_LEN);
	memcpy(eth + RTE_ETHER_ADDR_LEN, &ifc->conf.mac, RTE_ETHER_ADDR_LEN);
	memcpy(eth + 2 * RTE_ETHER_ADDR_LEN, &type, sizeof(type));
	m->ol_flags = (m->ol_flags & (RTE_MBUF_F_EXTERNAL | RTE_MBUF_F_INDIRECT)) | RTE_MBUF_F_TX_IPV4 |
	              (offloads & NET_OFFLOAD_TX_IP4_CSUM ? RTE_MBUF_F_TX_IP_CKSUM : 0) |
	              (offloads & NET_OFFLOAD_TX_L4_CSUM ? l4_flag : 0);
	m->tx_offload = rte_mbuf_tx_offload(
	    sizeof(struct rte_ether_hdr), sizeof(struct rte_ipv4_hdr), l4_bytes, 0, 0, 0, 0);
	m->data_off = (uint16_t)(m->data_off - PLAIN_HEADERS);
	m->data_len = (uint16_t)(m->data_len + PLAIN_HEADERS);
	m->pkt_len += PLAIN_HEADERS;
}

/* Frames m and sends it; its layer 4 is finished but for the checksum, which goes to sum_off. */
static inline void
plain_send(struct net_stack *stack, const struct iface *ifc, const struct net_flow *flow,
    const struct rte_ether_addr *mac, uint8_t proto, struct rte_mbuf *m, uint32_t l4_bytes, uint64_t l4_flag,
    uint32_t sum_off, uint16_t sum)
{
	memcpy(rte_pktmbuf_mtod_offset(m, uint8_t *, sum_off), &sum, sizeof(sum));
	plain_frame(stack, ifc, net_addr_get_v4(&flow->local), net_addr_get_v4(&flow->remote), mac, proto, m,
	    l4_bytes, l4_flag);
	NET_COUNT(stack, tx_packets);
	stack->counters.tx_bytes += m->pkt_len;
	stack->env.tx(stack->env.ctx, ifc->index, m);
}

/*
 * Sends m, whose data starts with the layer 4 header, its checksum zero. l4_bytes and l4_flag: of the header, for a
 * port that sums; sum_off: where the checksum goes.
 */
static inline bool
plain_output(struct net_stack *stack, const struct net_flow *flow, uint8_t proto, struct rte_mbuf *m,
    uint32_t l4_bytes, uint64_t l4_flag, uint32_t sum_off)
{
	const struct iface *ifc = &stack->ifaces[flow->iface];
	const struct rte_ether_addr *mac = m->nb_segs == 1 ? plain_next_hop(stack, ifc, flow, m) : NULL;

	if (unlikely(mac == NULL))
		return false;
	const uint16_t sum = plain_l4_sum(ifc, flow, proto, rte_pktmbuf_mtod(m, uint8_t *), m->pkt_len);
	plain_send(stack, ifc, flow, mac, proto, m, l4_bytes, l4_flag, sum_off, sum);
	return true;
}

/* The row leaves. */
static inline void
plain_row_send(struct net_stack *stack)
{
	struct plain_row *row = &stack->row;

	stack->counters.tx_packets += row->len;
	stack->counters.tx_bytes += row->bytes;
	net_tx_burst(stack, row->iface, row->pkts, row->len);
	row->len = 0;
	row->bytes = 0;
}

/*
 * The same for a TCP segment whose bytes, without the pseudo-header, add up to `sum`; it waits in the row until that is
 * full or net_flush() ends.
 */
static inline bool
plain_tcp_output(struct net_stack *stack, const struct net_flow *flow, struct rte_mbuf *m, uint64_t sum)
{
	const struct iface *ifc = &stack->ifaces[flow->iface];
	const rte_be32_t local = net_addr_get_v4(&flow->local), remote = net_addr_get_v4(&flow->remote);
	const uint32_t offloads = ifc->conf.offloads;
	struct plain_row *row = &stack->row;

	if (unlikely(!plain_fits(ifc, flow, m)))
		return false;
	const struct rte_ether_addr *mac = plain_hop_mac(stack, ifc, &row->hop, remote);
	if (unlikely(mac == NULL))
		return false;
	struct rte_tcp_hdr *th = rte_pktmbuf_mtod(m, struct rte_tcp_hdr *);
	const uint64_t pseudo = plain_pseudo4(local, remote, IPPROTO_TCP, m->pkt_len);
	const uint32_t l4_bytes = (th->data_off >> 4) * 4u;
	th->cksum = offloads & NET_OFFLOAD_TX_L4_CSUM ? csum_fold(pseudo) : csum_finish_nonzero(pseudo + sum);
	plain_frame(stack, ifc, local, remote, mac, IPPROTO_TCP, m, l4_bytes, RTE_MBUF_F_TX_TCP_CKSUM);
	if (unlikely(row->iface != ifc->index)) {
		plain_row_send(stack);
		row->iface = ifc->index;
	}
	row->bytes += m->pkt_len;
	row->pkts[row->len++] = m;
	if (row->len == NET_BURST_MAX)
		plain_row_send(stack);
	return true;
}

#endif
