/*
 * Several segments of one TCP connection at once: their way is looked up once, and whoever copied their bytes has summed
 * them up meanwhile.
 */
#include "dataplane/net/plain.h"
#include "dataplane/net/stack.h"

void
net_tcp_output_train(struct net_stack *stack, const struct net_flow *flow, struct rte_mbuf **m,
    const uint64_t *sums, unsigned n)
{
	const struct iface *ifc = &stack->ifaces[flow->iface];
	const struct rte_ether_addr *mac = plain_next_hop(stack, ifc, flow, m[0]);

	if (unlikely(mac == NULL)) {
		for (unsigned i = 0; i < n; i++)
			net_ip_output(stack, flow, IPPROTO_TCP, m[i], 0);
		return;
	}
	const bool port_sums = ifc->conf.offloads & NET_OFFLOAD_TX_L4_CSUM;
	const uint64_t pseudo = plain_pseudo(flow, IPPROTO_TCP, m[0]->pkt_len);
	const uint32_t l4_bytes = (rte_pktmbuf_mtod(m[0], const struct rte_tcp_hdr *)->data_off >> 4) * 4u;
	for (unsigned i = 0; i < n; i++)
		plain_send(stack, ifc, flow, mac, IPPROTO_TCP, m[i], l4_bytes, RTE_MBUF_F_TX_TCP_CKSUM,
		    offsetof(struct rte_tcp_hdr, cksum),
		    port_sums ? csum_fold(pseudo) : csum_finish(pseudo + sums[i]));
}
