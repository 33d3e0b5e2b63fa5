/*
 * ARP (RFC 826): answers for our address, asks for neighbours, and tells neigh.c what was heard. Neighbours
 * are learned here and in ndp.c only, never from other packets.
 */
#include <rte_arp.h>

#include "dataplane/net/neigh.h"
#include "dataplane/net/pkt.h"
#include "dataplane/net/stack.h"

static const struct rte_ether_addr eth_broadcast = {{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}};

/* Somebody who can be our neighbour: on the link, a host address and not ours. */
static bool
arp_sender_ok(const struct iface *ifc, rte_be32_t ip, const struct rte_ether_addr *mac)
{
	const bool on_link = ((ip ^ ifc->addr4) & ifc->mask4) == 0;

	return on_link && ip != 0 && ip != ifc->addr4 && ip != ifc->broadcast4 &&
	       rte_is_valid_assigned_ether_addr(mac);
}

static void
arp_write(struct rte_mbuf *m, uint16_t opcode, const struct iface *ifc, rte_be32_t target,
    const struct rte_ether_addr *target_mac)
{
	const struct rte_arp_hdr arp = {
	    .arp_hardware = RTE_BE16(RTE_ARP_HRD_ETHER),
	    .arp_protocol = RTE_BE16(RTE_ETHER_TYPE_IPV4),
	    .arp_hlen = RTE_ETHER_ADDR_LEN,
	    .arp_plen = sizeof(rte_be32_t),
	    .arp_opcode = rte_cpu_to_be_16(opcode),
	    .arp_data = {.arp_sha = ifc->conf.mac,
	        .arp_sip = ifc->addr4,
	        .arp_tha = *target_mac,
	        .arp_tip = target},
	};
	memcpy(rte_pktmbuf_mtod(m, void *), &arp, sizeof(arp));
}

/* In the request's own buffer, so that an empty pool does not make us unreachable. */
static void
arp_reply(struct net_stack *stack, const struct iface *ifc, struct rte_mbuf *m, uint32_t off,
    const struct rte_arp_hdr *request)
{
	const struct rte_ether_addr to = request->arp_data.arp_sha;

	if (unlikely(!pkt_is_exclusive(m))) {
		rte_pktmbuf_free(m);
		m = net_alloc_or_null(stack);
		if (m == NULL)
			return;
		rte_pktmbuf_append(m, sizeof(*request));
	} else {
		pkt_cut(m, off, sizeof(*request));
		pkt_clear_offloads(m);
	}
	arp_write(m, RTE_ARP_OP_REPLY, ifc, request->arp_data.arp_sip, &to);
	NET_COUNT(stack, arp_replies_sent);
	eth_output(stack, ifc, m, &to, RTE_BE16(RTE_ETHER_TYPE_ARP));
}

bool
arp_request(
    struct net_stack *stack, const struct iface *ifc, rte_be32_t target, const struct rte_ether_addr *dst)
{
	static const struct rte_ether_addr unknown;
	struct rte_mbuf *m = net_alloc_or_null(stack);

	if (m == NULL)
		return false;
	rte_pktmbuf_append(m, sizeof(struct rte_arp_hdr));
	arp_write(m, RTE_ARP_OP_REQUEST, ifc, target, &unknown);
	NET_COUNT(stack, arp_requests_sent);
	eth_output(stack, ifc, m, dst != NULL ? dst : &eth_broadcast, RTE_BE16(RTE_ETHER_TYPE_ARP));
	return true;
}

static bool
arp_wellformed(const struct rte_arp_hdr *arp)
{
	return arp->arp_hardware == RTE_BE16(RTE_ARP_HRD_ETHER) &&
	       arp->arp_protocol == RTE_BE16(RTE_ETHER_TYPE_IPV4) && arp->arp_hlen == RTE_ETHER_ADDR_LEN &&
	       arp->arp_plen == sizeof(rte_be32_t) &&
	       (arp->arp_opcode == RTE_BE16(RTE_ARP_OP_REQUEST) ||
	           arp->arp_opcode == RTE_BE16(RTE_ARP_OP_REPLY));
}

static void
arp_learn(struct net_stack *stack, const struct iface *ifc, const struct rte_arp_hdr *arp)
{
	const bool for_us = arp->arp_data.arp_tip == ifc->addr4;
	const bool reply = arp->arp_opcode == RTE_BE16(RTE_ARP_OP_REPLY);
	const struct net_addr addr = net_addr_v4(arp->arp_data.arp_sip);

	neigh_learn(stack, ifc, &addr, &arp->arp_data.arp_sha,
	    NEIGH_OVERRIDE | (for_us ? NEIGH_CREATE : 0) | (for_us && reply ? NEIGH_SOLICITED : 0));
}

void
arp_input(struct net_stack *stack, const struct iface *ifc, struct rte_mbuf *m, uint32_t off)
{
	struct rte_arp_hdr arp;

	NET_COUNT(stack, arp_rx);
	if (!pkt_read(m, off, sizeof(arp), &arp) || !arp_wellformed(&arp)) {
		NET_DROP_PKT(stack, arp_malformed, m);
		return;
	}
	const bool request_for_us = ifc->addr4 != 0 && arp.arp_data.arp_tip == ifc->addr4 &&
	                            arp.arp_opcode == RTE_BE16(RTE_ARP_OP_REQUEST);
	const bool probe = arp.arp_data.arp_sip == 0; /* RFC 5227: answered, not learned from */
	if (ifc->addr4 != 0 && arp.arp_data.arp_sip == ifc->addr4) {
		if (!rte_is_same_ether_addr(&arp.arp_data.arp_sha, &ifc->conf.mac))
			NET_COUNT(stack, arp_conflicts);
		NET_DROP_PKT(stack, arp_sender, m);
		return;
	}
	if (!probe && !arp_sender_ok(ifc, arp.arp_data.arp_sip, &arp.arp_data.arp_sha)) {
		NET_DROP_PKT(stack, arp_sender, m);
		return;
	}
	if (probe && !rte_is_valid_assigned_ether_addr(&arp.arp_data.arp_sha)) {
		NET_DROP_PKT(stack, arp_sender, m);
		return;
	}
	if (!probe)
		arp_learn(stack, ifc, &arp);
	if (request_for_us)
		arp_reply(stack, ifc, m, off, &arp);
	else
		rte_pktmbuf_free(m);
}
