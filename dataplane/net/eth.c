/*
 * Ethernet: which protocol a frame is for, the VLAN tag where the port does not handle it, and the header on
 * the way out. The last place where packets from all layers meet before the port.
 */
#include <string.h>

#include "dataplane/net/pkt.h"
#include "dataplane/net/stack.h"

#define VLAN_ID_MASK 0x0fffu

static inline uint64_t
eth_dst48(const struct rte_ether_hdr *eth)
{
	uint64_t v;
	memcpy(&v, eth, sizeof(v)); /* two bytes of the source too: the header is 14 long */
	return v & RTE_LE64(0x0000ffffffffffff);
}

/* Headers in a scattered packet's later buffers: copies them together. */
static __rte_noinline struct rte_mbuf *
eth_pull_or_free(struct net_stack *stack, struct rte_mbuf *m)
{
	struct rte_mbuf *pulled = pkt_pull_or_null(m, RX_CONTIGUOUS_MIN, stack->env.pool);

	NET_COUNT(stack, rx_spread);
	if (pulled == NULL)
		NET_DROP_PKT(stack, no_mbuf, m);
	return pulled;
}

/* Checks the tag, from the port or in the frame, against ours; moves off and type behind it. */
static __rte_noinline bool
eth_vlan_ok(const struct iface *ifc, const struct rte_mbuf *m, uint16_t *off, rte_be16_t *type)
{
	uint16_t id = 0; /* untagged and priority-tagged frames are the same thing */

	if (m->ol_flags & RTE_MBUF_F_RX_VLAN_STRIPPED) {
		id = m->vlan_tci & VLAN_ID_MASK;
	} else if (*type == RTE_BE16(RTE_ETHER_TYPE_VLAN)) {
		struct rte_vlan_hdr tag;
		if (!pkt_read(m, *off, sizeof(tag), &tag))
			return false;
		id = rte_be_to_cpu_16(tag.vlan_tci) & VLAN_ID_MASK;
		*type = tag.eth_proto;
		*off = (uint16_t)(*off + sizeof(tag));
	}
	return id == ifc->conf.vlan_id;
}

void
eth_input(struct net_stack *stack, const struct iface *ifc, struct rte_mbuf *m)
{
	if (unlikely(m->nb_segs != 1 && m->data_len < RX_CONTIGUOUS_MIN)) {
		m = eth_pull_or_free(stack, m);
		if (m == NULL)
			return;
	}
	if (unlikely(m->data_len < sizeof(struct rte_ether_hdr))) {
		NET_DROP_PKT(stack, eth_short, m);
		return;
	}
	const struct rte_ether_hdr *eth = rte_pktmbuf_mtod(m, const struct rte_ether_hdr *);
	const bool group = eth->dst_addr.addr_bytes[0] & RTE_ETHER_GROUP_ADDR;
	if (unlikely(eth_dst48(eth) != ifc->mac48 && !group)) {
		NET_DROP_PKT(stack, eth_not_ours, m);
		return;
	}
	rte_be16_t type = eth->ether_type;
	uint16_t off = sizeof(*eth);
	if (unlikely(ifc->conf.vlan_id != 0 || type == RTE_BE16(RTE_ETHER_TYPE_VLAN) ||
	             (m->ol_flags & RTE_MBUF_F_RX_VLAN_STRIPPED))) {
		if (!eth_vlan_ok(ifc, m, &off, &type)) {
			NET_DROP_PKT(stack, vlan, m);
			return;
		}
	}
	if (likely(type == RTE_BE16(RTE_ETHER_TYPE_IPV4)))
		ip4_input(stack, ifc, m, off, group);
	else if (type == RTE_BE16(RTE_ETHER_TYPE_IPV6))
		ip6_input(stack, ifc, m, off, group);
	else if (type == RTE_BE16(RTE_ETHER_TYPE_ARP))
		arp_input(stack, ifc, m, off);
	else
		NET_DROP_PKT(stack, eth_type, m);
}

/* A copy in one buffer, for a port that takes no chains. */
static __rte_noinline struct rte_mbuf *
eth_linearize_or_free(struct net_stack *stack, struct rte_mbuf *m)
{
	struct rte_mbuf *flat = net_alloc_or_null(stack);

	if (flat == NULL) {
		rte_pktmbuf_free(m);
		return NULL;
	}
	if (m->pkt_len > rte_pktmbuf_tailroom(flat)) {
		rte_pktmbuf_free(flat);
		NET_DROP_PKT(stack, tx_scatter, m);
		return NULL;
	}
	pkt_read(m, 0, m->pkt_len, rte_pktmbuf_append(flat, (uint16_t)m->pkt_len));
	flat->ol_flags = m->ol_flags & ~(RTE_MBUF_F_EXTERNAL | RTE_MBUF_F_INDIRECT);
	flat->tx_offload = m->tx_offload;
	flat->tso_segsz = m->tso_segsz;
	rte_pktmbuf_free(m);
	return flat;
}

/* Room for the header, written; VLAN tag in it unless the port inserts it. NULL: no headroom, m freed. */
static inline struct rte_mbuf *
eth_prepend_or_free(struct net_stack *stack, const struct iface *ifc, struct rte_mbuf *m,
    const struct rte_ether_addr *dst, rte_be16_t ether_type)
{
	const bool tag = ifc->conf.vlan_id != 0 && !(ifc->conf.offloads & NET_OFFLOAD_VLAN);
	const uint16_t len = sizeof(struct rte_ether_hdr) + (tag ? sizeof(struct rte_vlan_hdr) : 0);
	uint8_t *room = (uint8_t *)rte_pktmbuf_prepend(m, len);

	if (unlikely(room == NULL)) {
		NET_DROP_PKT(stack, tx_headroom, m);
		return NULL;
	}
	/* Field by field into place: a header built elsewhere and copied would wait for its own stores. */
	memcpy(room, dst, RTE_ETHER_ADDR_LEN);
	memcpy(room + RTE_ETHER_ADDR_LEN, &ifc->conf.mac, RTE_ETHER_ADDR_LEN);
	room += 2 * RTE_ETHER_ADDR_LEN;
	if (unlikely(tag)) {
		const struct rte_vlan_hdr vlan = {.vlan_tci = rte_cpu_to_be_16(ifc->conf.vlan_id)};
		const rte_be16_t tag_type = RTE_BE16(RTE_ETHER_TYPE_VLAN);
		memcpy(room, &tag_type, sizeof(tag_type));
		memcpy(room + sizeof(tag_type), &vlan.vlan_tci, sizeof(vlan.vlan_tci));
		room += sizeof(vlan);
	}
	memcpy(room, &ether_type, sizeof(ether_type));
	m->l2_len = len;
	return m;
}

void
eth_output(struct net_stack *stack, const struct iface *ifc, struct rte_mbuf *m,
    const struct rte_ether_addr *dst, rte_be16_t ether_type)
{
	m = eth_prepend_or_free(stack, ifc, m, dst, ether_type);
	if (unlikely(m == NULL))
		return;
	if (unlikely(m->nb_segs != 1 && !(ifc->conf.offloads & NET_OFFLOAD_TX_MULTI))) {
		m = eth_linearize_or_free(stack, m);
		if (m == NULL)
			return;
	}
	if (ifc->conf.vlan_id != 0 && (ifc->conf.offloads & NET_OFFLOAD_VLAN)) {
		m->vlan_tci = ifc->conf.vlan_id;
		m->ol_flags |= RTE_MBUF_F_TX_VLAN;
	}
	NET_COUNT(stack, tx_packets);
	stack->counters.tx_bytes += m->pkt_len;
	stack->env.tx(stack->env.ctx, ifc->index, m);
}
