/*
 * Fragmentation on the way out: UDP replies and echo replies larger than the MTU. Every fragment is a copy in
 * one buffer of our own, so that it does not matter how the packet was chained or who holds references.
 */
#include "dataplane/net/pkt.h"
#include "dataplane/net/stack.h"

/* The longest packet (65 515 bytes) at the smallest MTU (576, 552 bytes of payload each). */
#define FRAGMENTS_MAX 128u

/* The IPv4 header of one fragment; all of a packet share id. */
static bool
fragment_header4(
    const struct net_flow *flow, uint8_t proto, struct rte_mbuf *m, uint32_t offset, bool more, uint16_t id)
{
	const uint32_t total = m->pkt_len + (uint32_t)sizeof(struct rte_ipv4_hdr);
	void *header = rte_pktmbuf_prepend(m, sizeof(struct rte_ipv4_hdr));

	if (header == NULL)
		return false;
	ip4_write_header(header, flow, proto, IP_HOPS, total,
	    (uint32_t)id << 16 | (more ? RTE_IPV4_HDR_MF_FLAG : 0) | offset / 8, true);
	return true;
}

static bool
fragment_header6(
    const struct net_flow *flow, uint8_t proto, struct rte_mbuf *m, uint32_t offset, bool more, uint32_t id)
{
	struct ip6_fragment_hdr *hdr = (struct ip6_fragment_hdr *)rte_pktmbuf_prepend(m, sizeof(*hdr));

	if (hdr == NULL)
		return false;
	*hdr = (struct ip6_fragment_hdr){.next = proto,
	    .offset_more = rte_cpu_to_be_16((uint16_t)(offset | more)),
	    .id = rte_cpu_to_be_32(id)};
	return ip6_prepend(flow, IPPROTO_FRAGMENT, IP_HOPS, m);
}

/* Payload bytes of all fragments but the last: a multiple of 8 within the MTU and one buffer. */
static uint32_t
fragment_payload(const struct iface *ifc, bool v4, const struct rte_mbuf *sample)
{
	const uint32_t headers = ip_header_bytes(v4) + (v4 ? 0 : (uint32_t)sizeof(struct ip6_fragment_hdr));
	return RTE_MIN(ifc->conf.mtu - headers, (uint32_t)rte_pktmbuf_tailroom(sample)) & ~7u;
}

void
ip_fragment(struct net_stack *stack, const struct iface *ifc, const struct net_flow *flow, uint8_t proto,
    struct rte_mbuf *m)
{
	const bool v4 = net_addr_is_v4(&flow->remote);
	struct rte_mbuf *pieces[FRAGMENTS_MAX];
	const uint32_t len_max = UINT16_MAX - (v4 ? sizeof(struct rte_ipv4_hdr) : 0);
	unsigned n = 0;

	pieces[0] = net_alloc_or_null(stack);
	if (pieces[0] == NULL)
		goto out;
	const uint32_t step = fragment_payload(ifc, v4, pieces[0]);
	const uint32_t count = step != 0 ? (m->pkt_len + step - 1) / step : UINT32_MAX;
	n = 1;
	if (m->pkt_len > len_max || count > FRAGMENTS_MAX) {
		NET_COUNT_DROP(stack, tx_too_big);
		goto out;
	}
	for (; n < count; n++) { /* all or nothing: half a datagram is only load */
		pieces[n] = net_alloc_or_null(stack);
		if (pieces[n] == NULL)
			goto out;
	}
	const uint16_t id4 = v4 ? stack->ip4_id++ : 0;
	const uint32_t id6 = v4 ? 0 : stack->ip6_id++;
	for (unsigned i = 0; i < count; i++) {
		struct rte_mbuf *piece = pieces[i];
		const uint32_t offset = i * step, len = RTE_MIN(step, m->pkt_len - offset);
		const bool more = i + 1 < count;
		pkt_read(m, offset, len, rte_pktmbuf_append(piece, (uint16_t)len));
		if (!(v4 ? fragment_header4(flow, proto, piece, offset, more, id4)
		         : fragment_header6(flow, proto, piece, offset, more, id6))) {
			NET_DROP_PKT(stack, tx_headroom, piece);
			continue;
		}
		NET_COUNT(stack, fragments_sent);
		ip_forward_to_neighbour(stack, ifc, &flow->remote, piece);
	}
	n = 0;
out:
	rte_pktmbuf_free_bulk(pieces, n);
	rte_pktmbuf_free(m);
}
