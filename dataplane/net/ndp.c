/*
 * Neighbour discovery for IPv6 (RFC 4861) with static addresses: solicitations and advertisements. Router
 * messages and redirects are counted and ignored: the configuration says who the gateway is.
 *
 * Every message must come with hop limit 255, which no router passes on: that is what makes it local.
 */
#include "dataplane/net/neigh.h"
#include "dataplane/net/pkt.h"
#include "dataplane/net/stack.h"

#define NDP_ROUTER_SOLICIT 133
#define NDP_ROUTER_ADVERT  134
#define NDP_SOLICIT        135
#define NDP_ADVERT         136
#define NDP_HOP_LIMIT      255
#define NDP_OPT_SOURCE_LL  1
#define NDP_OPT_TARGET_LL  2
#define NDP_OPTIONS_MAX    16u /* options looked at */
#define NDP_FLAG_SOLICITED RTE_BE32(0x40000000)
#define NDP_FLAG_OVERRIDE  RTE_BE32(0x20000000)

struct ndp_message {
	uint8_t type;
	uint8_t code;
	uint16_t checksum;
	rte_be32_t flags; /* advertisements only */
	struct net_addr target;
};

struct ndp_ll_option {
	uint8_t type;
	uint8_t len; /* units of 8 bytes */
	struct rte_ether_addr mac;
};

_Static_assert(sizeof(struct ndp_message) == 24 && sizeof(struct ndp_ll_option) == 8, "as on the wire");

static const struct net_addr ndp_all_nodes = {.b = {0xff, 0x02, [15] = 0x01}};

static bool
ndp_is_our_address(const struct iface *ifc, const struct net_addr *a)
{
	return !net_addr_is_zero(a) &&
	       (net_addr_equal(a, &ifc->conf.addr6[0]) || net_addr_equal(a, &ifc->conf.addr6[1]));
}

/* Looks for the link-layer address option of a type. False when the options are malformed (the packet is void
 * then). */
static bool
ndp_options_ok(const struct ip_rx *rx, uint8_t wanted, struct rte_ether_addr *mac, bool *found)
{
	uint32_t off = sizeof(struct ndp_message);

	*found = false;
	for (unsigned n = 0; off < rx->l4_len && n < NDP_OPTIONS_MAX; n++) {
		struct ndp_ll_option option;
		if (rx->l4_len - off < sizeof(option) ||
		    !pkt_read(rx->m, rx->l4_off + off, sizeof(option), &option))
			return false;
		if (option.len == 0 || option.len * 8u > rx->l4_len - off)
			return false;
		if (option.type == wanted && option.len == 1 && !*found) {
			if (!rte_is_valid_assigned_ether_addr(&option.mac))
				return false;
			*mac = option.mac;
			*found = true;
		}
		off += option.len * 8u;
	}
	return true;
}

void
ndp_solicited_node(const struct net_addr *a, struct net_addr *group)
{
	*group = (struct net_addr){.b = {0xff, 0x02, [11] = 0x01, [12] = 0xff, a->b[13], a->b[14], a->b[15]}};
}

/* ---- out -------------------------------------------------------------------------------------- */

/* Sends a message with our link-layer address as its option; mac NULL: find the way by remote. */
static bool
ndp_send(struct net_stack *stack, const struct net_flow *flow, const struct ndp_message *message,
    uint8_t option_type, const struct rte_ether_addr *mac)
{
	const struct iface *ifc = &stack->ifaces[flow->iface];
	struct rte_mbuf *m = net_alloc_or_null(stack);

	if (m == NULL)
		return false;
	const struct ndp_ll_option option = {.type = option_type, .len = 1, .mac = ifc->conf.mac};
	memcpy(rte_pktmbuf_append(m, sizeof(*message)), message, sizeof(*message));
	memcpy(rte_pktmbuf_append(m, sizeof(option)), &option, sizeof(option));
	ip_icmp6_checksum(flow, m);
	if (!ip6_prepend(flow, IPPROTO_ICMPV6, NDP_HOP_LIMIT, m)) {
		NET_DROP_PKT(stack, tx_headroom, m);
		return false;
	}
	if (mac != NULL)
		eth_output(stack, ifc, m, mac, RTE_BE16(RTE_ETHER_TYPE_IPV6));
	else
		ip_forward_to_neighbour(stack, ifc, &flow->remote, m);
	return true;
}

/* Our address on the same scope as the peer's, or any. */
static const struct net_addr *
ndp_source(const struct iface *ifc, const struct net_addr *peer)
{
	const bool global = !net_addr_is_link_local6(peer) && !net_addr_is_zero(&ifc->conf.addr6[1]);
	return &ifc->conf.addr6[global];
}

bool
ndp_solicit(struct net_stack *stack, const struct iface *ifc, const struct net_addr *target,
    const struct rte_ether_addr *dst)
{
	const struct ndp_message message = {.type = NDP_SOLICIT, .target = *target};
	struct net_flow flow = {.local = *ndp_source(ifc, target), .remote = *target, .iface = ifc->index};

	if (dst == NULL)
		ndp_solicited_node(target, &flow.remote);
	if (!ndp_send(stack, &flow, &message, NDP_OPT_SOURCE_LL, dst))
		return false;
	NET_COUNT(stack, ndp_solicits_sent);
	return true;
}

static void
ndp_advertise(struct net_stack *stack, const struct iface *ifc, const struct net_addr *own,
    const struct net_addr *to, rte_be32_t flags, const struct rte_ether_addr *mac)
{
	const struct ndp_message message = {.type = NDP_ADVERT, .flags = flags, .target = *own};
	const struct net_flow flow = {.local = *own, .remote = *to, .iface = ifc->index};

	if (ndp_send(stack, &flow, &message, NDP_OPT_TARGET_LL, mac))
		NET_COUNT(stack, ndp_adverts_sent);
}

void
ndp_announce(struct net_stack *stack, const struct iface *ifc, const struct net_addr *addr)
{
	ndp_advertise(stack, ifc, addr, &ndp_all_nodes, NDP_FLAG_OVERRIDE, NULL);
}

/* ---- in --------------------------------------------------------------------------------------- */

/* RFC 4861 section 7.1.1; false: malformed. */
static bool
ndp_solicit_input(struct net_stack *stack, const struct ip_rx *rx, const struct ndp_message *message)
{
	const bool unspecified = net_addr_is_zero(&rx->flow.remote);
	struct rte_ether_addr mac;
	bool has_mac;

	if (!ndp_options_ok(rx, NDP_OPT_SOURCE_LL, &mac, &has_mac) ||
	    (unspecified && (has_mac || !rx->group)))
		return false;
	if (!ndp_is_our_address(rx->ifc, &message->target))
		return true; /* another's address that shares our solicited-node group */
	if (unspecified) {
		/* Somebody checks whether the address is free. It is not: everybody may know. */
		NET_COUNT(stack, ndp_conflicts);
		ndp_announce(stack, rx->ifc, &message->target);
		return true;
	}
	if (has_mac && ip6_on_link(rx->ifc, &rx->flow.remote))
		neigh_learn(stack, rx->ifc, &rx->flow.remote, &mac, NEIGH_CREATE | NEIGH_OVERRIDE);
	/* Straight back where the address came with the question: the answer must not depend on room in the
	 * table. */
	ndp_advertise(stack, rx->ifc, &message->target, &rx->flow.remote,
	    NDP_FLAG_SOLICITED | NDP_FLAG_OVERRIDE, has_mac ? &mac : NULL);
	return true;
}

/* RFC 4861 section 7.1.2 and 7.2.5; false: malformed. */
static bool
ndp_advert_input(struct net_stack *stack, const struct ip_rx *rx, const struct ndp_message *message)
{
	const bool solicited = message->flags & NDP_FLAG_SOLICITED;
	const bool override = message->flags & NDP_FLAG_OVERRIDE;
	struct rte_ether_addr mac;
	bool has_mac;

	if (!ndp_options_ok(rx, NDP_OPT_TARGET_LL, &mac, &has_mac) || (rx->group && solicited) ||
	    net_addr_is_zero(&rx->flow.remote))
		return false;
	if (ndp_is_our_address(rx->ifc, &message->target)) {
		NET_COUNT(stack, ndp_conflicts);
		return true;
	}
	/* Created too when solicited: with several queues the answer may come to a worker that did not
	 * ask. */
	if (ip6_on_link(rx->ifc, &message->target))
		neigh_learn(stack, rx->ifc, &message->target, has_mac ? &mac : NULL,
		    (solicited ? NEIGH_SOLICITED | NEIGH_CREATE : 0) | (override ? NEIGH_OVERRIDE : 0));
	return true;
}

void
ndp_input(struct net_stack *stack, struct ip_rx *rx, uint8_t type)
{
	struct ndp_message message;
	bool ok;

	if (type != NDP_SOLICIT && type != NDP_ADVERT) {
		if (type == NDP_ROUTER_SOLICIT)
			NET_DROP_PKT(stack, ndp_router_solicit, rx->m);
		else if (type == NDP_ROUTER_ADVERT)
			NET_DROP_PKT(stack, ndp_router_advert, rx->m);
		else
			NET_DROP_PKT(stack, ndp_redirect, rx->m);
		return;
	}
	NET_COUNT(stack, ndp_rx);
	ok = rx->hop_limit == NDP_HOP_LIMIT && rx->l4_len >= sizeof(message) &&
	     pkt_read(rx->m, rx->l4_off, sizeof(message), &message) && message.code == 0 &&
	     !net_addr_is_multicast6(&message.target) && !net_addr_is_v4(&message.target) &&
	     !net_addr_is_zero(&message.target);
	if (ok)
		ok = type == NDP_SOLICIT ? ndp_solicit_input(stack, rx, &message)
		                         : ndp_advert_input(stack, rx, &message);
	if (ok)
		rte_pktmbuf_free(rx->m);
	else
		NET_DROP_PKT(stack, ndp_malformed, rx->m);
}
