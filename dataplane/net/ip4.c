/*
 * IPv4 input (RFC 791, RFC 1122 section 3.2): every check that a header must pass before layer 4 looks at it.
 * Packets for our own unicast address only: nothing here needs broadcast or multicast.
 */
#include "dataplane/net/checksum.h"
#include "dataplane/net/pkt.h"
#include "dataplane/net/reassembly.h"
#include "dataplane/net/stack.h"

#define IP4_PLAIN         0x45 /* version 4, five words of header */
#define IP4_OPT_END       0
#define IP4_OPT_NOP       1
#define IP4_OPT_LSRR      131
#define IP4_OPT_SSRR      137
#define IP4_FRAGMENT_BITS RTE_BE16(RTE_IPV4_HDR_MF_FLAG | RTE_IPV4_HDR_OFFSET_MASK)
#define ECN_CE            0x03

/* A source that no host can have: this network, loopback, multicast, reserved, broadcast, or ourselves. */
static inline bool
ip4_martian(const struct iface *ifc, rte_be32_t src)
{
	const uint8_t first = (uint8_t)(rte_be_to_cpu_32(src) >> 24);

	return first == 0 || first == 127 || first >= 224 || src == ifc->addr4 || src == ifc->broadcast4;
}

static inline bool
ip4_header_checksum_ok(
    const struct iface *ifc, const struct rte_mbuf *m, const struct rte_ipv4_hdr *ip, uint16_t ihl)
{
	if (likely(ifc->conf.offloads & NET_OFFLOAD_RX_CSUM)) {
		const uint64_t verdict = m->ol_flags & RTE_MBUF_F_RX_IP_CKSUM_MASK;
		if (likely(verdict != RTE_MBUF_F_RX_IP_CKSUM_UNKNOWN))
			return verdict != RTE_MBUF_F_RX_IP_CKSUM_BAD;
	}
	return csum_finish(ihl == sizeof(*ip) ? csum_ip4_header(ip) : csum_bytes(ip, ihl)) == 0;
}

/* Walks the options; false when the packet was dropped for them. */
static __rte_noinline bool
ip4_options_ok_or_free(struct net_stack *stack, struct rte_mbuf *m, const uint8_t *p, unsigned len)
{
	for (unsigned i = 0; i < len && p[i] != IP4_OPT_END;) {
		if (p[i] == IP4_OPT_NOP) {
			i++;
			continue;
		}
		if (p[i] == IP4_OPT_LSRR || p[i] == IP4_OPT_SSRR) {
			NET_DROP_PKT(stack, ip4_source_route, m);
			return false;
		}
		if (len - i < 2 || p[i + 1] < 2 || p[i + 1] > len - i) {
			NET_DROP_PKT(stack, ip4_options, m);
			return false;
		}
		i += p[i + 1];
	}
	return true;
}

static __rte_noinline void
ip4_fragment_input(struct net_stack *stack, struct ip_rx *rx, const struct rte_ipv4_hdr *ip)
{
	const uint16_t bits = rte_be_to_cpu_16(ip->fragment_offset);
	const struct fragment fragment = {
	    .id = ip->packet_id,
	    .offset = (uint32_t)(bits & RTE_IPV4_HDR_OFFSET_MASK) * 8,
	    .more = bits & RTE_IPV4_HDR_MF_FLAG,
	    .key_proto = rx->proto,
	};

	if (reassembly_input(stack, rx, &fragment))
		ip_deliver(stack, rx);
}

void
ip4_input(struct net_stack *stack, const struct iface *ifc, struct rte_mbuf *m, uint16_t l3_off, bool group)
{
	if (unlikely(m->data_len < l3_off + sizeof(struct rte_ipv4_hdr))) {
		NET_DROP_PKT(stack, ip4_header, m);
		return;
	}
	const struct rte_ipv4_hdr *ip = rte_pktmbuf_mtod_offset(m, const struct rte_ipv4_hdr *, l3_off);
	const uint16_t ihl = (uint16_t)((ip->version_ihl & 0xf) * 4);
	const uint16_t total = rte_be_to_cpu_16(ip->total_length);
	if (unlikely(ip->version_ihl >> 4 != 4 || ihl < sizeof(*ip) || total < ihl ||
	             total > m->pkt_len - l3_off || m->data_len < l3_off + ihl)) {
		NET_DROP_PKT(stack, ip4_header, m);
		return;
	}
	if (unlikely(!ip4_header_checksum_ok(ifc, m, ip, ihl))) {
		NET_DROP_PKT(stack, ip4_checksum, m);
		return;
	}
	if (unlikely(ip->version_ihl != IP4_PLAIN)) {
		NET_COUNT(stack, rx_spread);
		if (!ip4_options_ok_or_free(stack, m, (const uint8_t *)(ip + 1), ihl - sizeof(*ip)))
			return;
	}
	if (unlikely(ip->dst_addr != ifc->addr4 || group || ifc->addr4 == 0)) {
		NET_DROP_PKT(stack, ip4_not_ours, m);
		return;
	}
	if (unlikely(ip4_martian(ifc, ip->src_addr))) {
		NET_DROP_PKT(stack, ip4_martian, m);
		return;
	}
	struct ip_rx rx = {
	    .m = m,
	    .ifc = ifc,
	    .flow = {.local = net_addr_v4(ip->dst_addr),
	        .remote = net_addr_v4(ip->src_addr),
	        .iface = ifc->index},
	    .l4_off = (uint32_t)l3_off + ihl,
	    .l4_len = (uint32_t)total - ihl,
	    .l3_off = l3_off,
	    .proto = ip->next_proto_id,
	    .hop_limit = ip->time_to_live,
	    .ecn_ce = (ip->type_of_service & ECN_CE) == ECN_CE,
	};
	if (unlikely(ip->fragment_offset & IP4_FRAGMENT_BITS))
		ip4_fragment_input(stack, &rx, ip);
	else
		ip_deliver(stack, &rx);
}
