/*
 * ICMP (RFC 792) and ICMPv6 (RFC 4443): echo, port unreachable, and errors about our own packets. Both
 * families share the code; what differs is in the type numbers and in how the quoted packet starts.
 *
 * Everything sent from here takes a token of one bucket, so that nobody makes us a reflector or busy.
 */
#include <rte_icmp.h>

#include "dataplane/net/pkt.h"
#include "dataplane/net/stack.h"

#define ICMP_HEADER_BYTES    8u
#define ICMP4_ECHO_REPLY     0
#define ICMP4_UNREACHABLE    3
#define ICMP4_ECHO           8
#define ICMP4_TIME_EXCEEDED  11
#define ICMP4_PARAMETER      12
#define ICMP4_CODE_PORT      3
#define ICMP4_CODE_TOO_BIG   4
#define ICMP6_UNREACHABLE    1
#define ICMP6_TOO_BIG        2
#define ICMP6_TIME_EXCEEDED  3
#define ICMP6_PARAMETER      4
#define ICMP6_ECHO           128
#define ICMP6_ECHO_REPLY     129
#define ICMP6_ROUTER_SOLICIT 133
#define ICMP6_REDIRECT       137
#define ICMP6_CODE_PORT      4
#define ICMP_QUOTED_L4_BYTES 8u   /* of the inner packet's layer 4: ports and, for TCP, the sequence number */
#define ICMP4_PACKET_MAX     576u /* RFC 1812 section 4.3.2.3 */

struct icmp_header {
	uint8_t type;
	uint8_t code;
	uint16_t checksum;
	rte_be32_t rest; /* identifier and sequence; MTU; unused */
} __rte_packed;

_Static_assert(sizeof(struct icmp_header) == ICMP_HEADER_BYTES, "as on the wire");

/* ---- echo ------------------------------------------------------------------------------------- */

/* In the request's own buffers where they are ours alone, whatever their number. */
static void
icmp_echo_input(struct net_stack *stack, struct ip_rx *rx, uint8_t reply_type)
{
	struct rte_mbuf *m = rx->m;

	if (rx->group || net_addr_is_zero(&rx->flow.remote)) {
		NET_DROP_PKT(stack, icmp_multicast, m);
		return;
	}
	if (!rate_limit_take(&stack->icmp_limit, stack->now_us)) {
		NET_DROP_PKT(stack, icmp_limited, m);
		return;
	}
	if (pkt_is_exclusive(m)) {
		pkt_cut(m, rx->l4_off, rx->l4_len);
	} else {
		m = rte_pktmbuf_copy(rx->m, stack->env.pool, rx->l4_off, rx->l4_len);
		rte_pktmbuf_free(rx->m);
		if (m == NULL) {
			NET_COUNT_DROP(stack, no_mbuf);
			return;
		}
	}
	struct icmp_header *icmp = rte_pktmbuf_mtod(m, struct icmp_header *);
	icmp->type = reply_type;
	icmp->checksum = 0;
	NET_COUNT(stack, icmp_echo_replies);
	net_ip_output(stack, &rx->flow, rx->proto, m, 0);
}

/* ---- errors sent ------------------------------------------------------------------------------ */

void
icmp_port_unreachable(struct net_stack *stack, struct ip_rx *rx)
{
	const bool v4 = net_addr_is_v4(&rx->flow.remote);
	struct rte_mbuf *m = NULL;

	NET_COUNT_DROP(stack, udp_unbound);
	if (rx->l3_off == IP_QUOTE_NONE || rx->group)
		goto out; /* no header left to quote; never to a group (RFC 1122 section 3.2.2) */
	if (!rate_limit_take(&stack->icmp_limit, stack->now_us)) {
		NET_COUNT_DROP(stack, icmp_limited);
		goto out;
	}
	m = net_alloc_or_null(stack);
	if (m == NULL)
		goto out;
	const uint32_t whole = rx->l4_off + rx->l4_len - rx->l3_off;
	const uint32_t room = (v4 ? ICMP4_PACKET_MAX : IP6_MTU_MIN) - ip_header_bytes(v4) - ICMP_HEADER_BYTES;
	const uint32_t quote = RTE_MIN(RTE_MIN(whole, room), rte_pktmbuf_tailroom(m) - ICMP_HEADER_BYTES);
	struct icmp_header *icmp =
	    (struct icmp_header *)rte_pktmbuf_append(m, (uint16_t)(sizeof(*icmp) + quote));
	*icmp = (struct icmp_header){.type = v4 ? ICMP4_UNREACHABLE : ICMP6_UNREACHABLE,
	    .code = v4 ? ICMP4_CODE_PORT : ICMP6_CODE_PORT};
	pkt_read(rx->m, rx->l3_off, quote, icmp + 1);
	NET_COUNT(stack, icmp_unreachable_sent);
	net_ip_output(stack, &rx->flow, v4 ? IPPROTO_ICMP : IPPROTO_ICMPV6, m, 0);
out:
	rte_pktmbuf_free(rx->m);
}

/* ---- errors received -------------------------------------------------------------------------- */

/* The addresses of the quoted packet into error; returns its header length, 0 if it cannot be one of ours. */
static uint32_t
icmp_parse_quote4(const struct ip_rx *rx, uint32_t off, uint32_t len, struct net_icmp_error *error)
{
	struct rte_ipv4_hdr ip;

	if (len < sizeof(ip) || !pkt_read(rx->m, off, sizeof(ip), &ip))
		return 0;
	const uint32_t ihl = (ip.version_ihl & 0xfu) * 4;
	if (ip.version_ihl >> 4 != 4 || ihl < sizeof(ip) ||
	    (ip.fragment_offset & RTE_BE16(RTE_IPV4_HDR_OFFSET_MASK)) != 0)
		return 0;
	error->flow.local = net_addr_v4(ip.src_addr);
	error->flow.remote = net_addr_v4(ip.dst_addr);
	error->proto = ip.next_proto_id;
	return ihl;
}

/* We send no extension headers but for fragments, which carry UDP and are of no use here. */
static uint32_t
icmp_parse_quote6(const struct ip_rx *rx, uint32_t off, uint32_t len, struct net_icmp_error *error)
{
	struct rte_ipv6_hdr ip;

	if (len < sizeof(ip) || !pkt_read(rx->m, off, sizeof(ip), &ip))
		return 0;
	if ((ip.vtc_flow & RTE_BE32(0xf0000000)) != RTE_BE32(0x60000000))
		return 0;
	memcpy(&error->flow.local, ip.src_addr, sizeof(error->flow.local));
	memcpy(&error->flow.remote, ip.dst_addr, sizeof(error->flow.remote));
	error->proto = ip.proto;
	return sizeof(ip);
}

/* Fills error from the quoted packet; false unless it is a TCP or UDP packet that left from the address
 * asked. */
static bool
icmp_parse_quote(const struct ip_rx *rx, struct net_icmp_error *error)
{
	const uint32_t off = rx->l4_off + ICMP_HEADER_BYTES, len = rx->l4_len - ICMP_HEADER_BYTES;
	const bool v4 = rx->proto == IPPROTO_ICMP;
	const uint32_t header =
	    v4 ? icmp_parse_quote4(rx, off, len, error) : icmp_parse_quote6(rx, off, len, error);
	struct {
		rte_be16_t local_port, remote_port;
		rte_be32_t seq;
	} l4;

	if (header == 0 || len - header < ICMP_QUOTED_L4_BYTES || header > len ||
	    !pkt_read(rx->m, off + header, sizeof(l4), &l4))
		return false;
	if (error->proto != IPPROTO_TCP && error->proto != IPPROTO_UDP)
		return false;
	if (!net_addr_equal(&error->flow.local, &rx->flow.local) ||
	    net_addr_is_v4(&error->flow.remote) != v4) /* a mapped address inside IPv6 */
		return false;
	error->flow.local_port = l4.local_port;
	error->flow.remote_port = l4.remote_port;
	error->flow.iface = rx->flow.iface;
	error->tcp_seq = error->proto == IPPROTO_TCP ? rte_be_to_cpu_32(l4.seq) : 0;
	return true;
}

static void
icmp_error_input(struct net_stack *stack, struct ip_rx *rx, bool too_big, uint32_t mtu)
{
	struct net_icmp_error error = {
	    .too_big = too_big, .mtu = (uint16_t)RTE_MIN(mtu, (uint32_t)UINT16_MAX)};

	if (rx->group || !icmp_parse_quote(rx, &error)) {
		NET_DROP_PKT(stack, icmp_malformed, rx->m);
		return;
	}
	rte_pktmbuf_free(rx->m);
	NET_COUNT(stack, icmp_errors_rx);
	if (error.proto != IPPROTO_TCP)
		return; /* a UDP reply that did not arrive: the client will ask again */
	if (tcp_icmp_error(stack->tcp, &error))
		return;
	NET_COUNT(stack, icmp_errors_foreign);
	if (stack->env.icmp_foreign != NULL)
		stack->env.icmp_foreign(stack->env.ctx, &error);
}

void
net_icmp_error(struct net_stack *stack, const struct net_icmp_error *error)
{
	if (error->proto == IPPROTO_TCP)
		tcp_icmp_error(stack->tcp, error);
}

/* ---- dispatch --------------------------------------------------------------------------------- */

/* The header, once length and checksum are right; false: dropped. */
static bool
icmp_header_or_free(struct net_stack *stack, struct ip_rx *rx, struct icmp_header *icmp)
{
	NET_COUNT(stack, icmp_rx);
	if (rx->l4_len < sizeof(*icmp) || !pkt_read(rx->m, rx->l4_off, sizeof(*icmp), icmp)) {
		NET_DROP_PKT(stack, icmp_malformed, rx->m);
		return false;
	}
	if (!ip_l4_checksum_ok(rx)) {
		NET_DROP_PKT(stack, l4_checksum, rx->m);
		return false;
	}
	return true;
}

void
icmp4_input(struct net_stack *stack, struct ip_rx *rx)
{
	struct icmp_header icmp;

	if (!icmp_header_or_free(stack, rx, &icmp))
		return;
	const bool too_big = icmp.type == ICMP4_UNREACHABLE && icmp.code == ICMP4_CODE_TOO_BIG;
	switch (icmp.type) {
	case ICMP4_ECHO:
		icmp_echo_input(stack, rx, ICMP4_ECHO_REPLY);
		break;
	case ICMP4_UNREACHABLE:
	case ICMP4_TIME_EXCEEDED:
	case ICMP4_PARAMETER:
		/* RFC 1191: the MTU is the lower half of the second word. */
		icmp_error_input(stack, rx, too_big, too_big ? rte_be_to_cpu_32(icmp.rest) & 0xffff : 0);
		break;
	default:
		NET_DROP_PKT(stack, icmp_type, rx->m);
	}
}

void
icmp6_input(struct net_stack *stack, struct ip_rx *rx)
{
	struct icmp_header icmp;

	if (!icmp_header_or_free(stack, rx, &icmp))
		return;
	switch (icmp.type) {
	case ICMP6_ECHO:
		icmp_echo_input(stack, rx, ICMP6_ECHO_REPLY);
		break;
	case ICMP6_TOO_BIG:
		icmp_error_input(stack, rx, true, rte_be_to_cpu_32(icmp.rest));
		break;
	case ICMP6_UNREACHABLE:
	case ICMP6_TIME_EXCEEDED:
	case ICMP6_PARAMETER:
		icmp_error_input(stack, rx, false, 0);
		break;
	default:
		if (icmp.type >= ICMP6_ROUTER_SOLICIT && icmp.type <= ICMP6_REDIRECT)
			ndp_input(stack, rx, icmp.type);
		else
			NET_DROP_PKT(stack, icmp_type, rx->m);
	}
}
