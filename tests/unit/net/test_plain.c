/*
 * The short way of plain.h against the general one: whatever frame comes and whatever leaves, both do the same to the
 * last counter. The general way has tests of its own.
 */
#include "tests/unit/net/rig.h"

#include "dataplane/net/stack.h"

#define FRAMES          40000u
#define REPLIES         4000u
#define MUTATE_WITHIN   60u
#define VERDICT_CHOICES 4u

/* What became of one frame. */
struct outcome {
	struct net_counters counters; /* differences */
	unsigned udp_len, tcp_len, tx_len;
	struct net_flow flow;
	uint32_t bytes_len;
	bool ecn_ce;
	uint8_t bytes[2048];
};

static void
counters_subtract(struct net_counters *a, const struct net_counters *b)
{
	uint64_t *to = (uint64_t *)a;
	const uint64_t *from = (const uint64_t *)b;

	for (size_t i = 0; i < sizeof(*a) / sizeof(*to); i++)
		to[i] -= from[i];
}

static void
frame_run(bool plain, uint64_t verdict, struct outcome *out)
{
	const struct net_counters before = *net_counters(rig.stack);
	struct rte_mbuf *m = rig_mbuf(0);

	memset(out, 0, sizeof(*out));
	rig.udp_len = rig.udp_bytes_len = 0;
	fake_tcp.segments_len = fake_tcp.bytes_len = 0;
	rig.stack->ifaces[0].plain = plain;
	rig.stack->icmp_limit.credits = 0; /* no answers, so that one run leaves nothing to the next */
	m->ol_flags |= verdict;
	rig_rx_mbuf(m);
	out->counters = *net_counters(rig.stack);
	counters_subtract(&out->counters, &before);
	out->udp_len = rig.udp_len;
	out->tcp_len = fake_tcp.segments_len;
	out->tx_len = rig.tx_len;
	if (out->udp_len) {
		out->flow = rig.udp_flow[0];
		out->bytes_len = rig.udp_bytes_len;
		memcpy(out->bytes, rig.udp_bytes, out->bytes_len);
	} else if (out->tcp_len) {
		out->flow = fake_tcp.flows[0];
		out->ecn_ce = fake_tcp.ecn_ce[0];
		out->bytes_len = fake_tcp.bytes_len;
		memcpy(out->bytes, fake_tcp.bytes, out->bytes_len);
	}
	rig_tx_clear();
	/* Fragments that wait would make the next run's duplicates. */
	reassembly_destroy(rig.stack);
	rig.stack->reassembly = reassembly_create(rig.stack, rig.config.reassembly_bytes_max);
	assert_non_null(rig.stack->reassembly);
}

static void
outcomes_equal(const struct outcome *a, const struct outcome *b)
{
	assert_memory_equal(&a->counters, &b->counters, sizeof(a->counters));
	assert_int_equal(a->udp_len, b->udp_len);
	assert_int_equal(a->tcp_len, b->tcp_len);
	assert_int_equal(a->tx_len, b->tx_len);
	assert_true(net_addr_equal(&a->flow.local, &b->flow.local));
	assert_true(net_addr_equal(&a->flow.remote, &b->flow.remote));
	assert_int_equal(a->flow.local_port, b->flow.local_port);
	assert_int_equal(a->flow.remote_port, b->flow.remote_port);
	assert_int_equal(a->flow.iface, b->flow.iface);
	assert_int_equal(a->ecn_ce, b->ecn_ce);
	assert_int_equal(a->bytes_len, b->bytes_len);
	assert_memory_equal(a->bytes, b->bytes, a->bytes_len);
}

/* A right frame, then up to three of its first bytes changed and, half of the time, its header's sum repaired. */
static void
frame_make(void)
{
	const uint64_t r = rig_op_random(NULL);
	const uint32_t payload = (uint32_t)(r >> 8 & 0x7f);

	if (r & 1)
		frame_udp4(2, RIG_PORT, payload);
	else
		frame_tcp4(2, payload);
	for (unsigned i = 0; i < (r >> 1 & 3); i++) {
		const uint64_t change = rig_op_random(NULL);
		frame.b[change % RTE_MIN(frame.len, MUTATE_WITHIN)] = (uint8_t)(change >> 32);
	}
	if (r & 0x100000)
		frame.len = (uint32_t)(r >> 32) % frame.len + 1;
	if (r & 0x80 && frame.len >= ETH_BYTES + IP4_BYTES) {
		put16(frame.b + ETH_BYTES + 10, 0);
		put16(frame.b + ETH_BYTES + 10, (uint16_t)~slow_sum(0, frame.b + ETH_BYTES, IP4_BYTES));
	}
}

static void
any_frame_fares_alike_on_both_ways(void **state)
{
	static const uint64_t verdicts[VERDICT_CHOICES] = {0,
	    RTE_MBUF_F_RX_L4_CKSUM_GOOD | RTE_MBUF_F_RX_IP_CKSUM_GOOD,
	    RTE_MBUF_F_RX_L4_CKSUM_BAD | RTE_MBUF_F_RX_IP_CKSUM_GOOD,
	    RTE_MBUF_F_RX_L4_CKSUM_NONE | RTE_MBUF_F_RX_IP_CKSUM_BAD};
	static struct outcome plain, general;
	unsigned delivered = 0;

	rig.config.ifaces[0].offloads |= NET_OFFLOAD_RX_CSUM;
	rig_start();
	rig_know4(2);
	for (unsigned i = 0; i < FRAMES; i++) {
		frame_make();
		const uint64_t verdict = verdicts[rig_op_random(NULL) % VERDICT_CHOICES];
		frame_run(true, verdict, &plain);
		frame_run(false, verdict, &general);
		outcomes_equal(&plain, &general);
		delivered += general.udp_len + general.tcp_len;
	}
	assert_in_range(delivered, FRAMES / 20, FRAMES - FRAMES / 20);
}

static struct rte_mbuf *
reply_make(uint32_t len, bool plain)
{
	struct net_flow flow = flow4_to(len % 3 ? 2 : 77, RIG_PORT, (uint16_t)(40000 + len));
	struct rte_mbuf *m = rte_pktmbuf_alloc(rig.pool);

	if (len % 5 == 0) /* by the gateway */
		flow.remote = net_addr_v4(RTE_BE32(0x0b000001));
	m->data_off = NET_HEADROOM;
	uint8_t *bytes = (uint8_t *)rte_pktmbuf_append(m, (uint16_t)len);
	for (uint32_t i = 0; i < len; i++)
		bytes[i] = (uint8_t)(i * 7 + len);
	rig.stack->ifaces[0].plain = plain;
	rig.stack->ip4_id = (uint16_t)len;
	net_udp_output(rig.stack, &flow, m);
	assert_int_equal(rig.tx_len, 1);
	rig.tx_len = 0;
	return rig.tx[0];
}

static void
replies_leave_alike(uint32_t offloads)
{
	rig.stack->ifaces[0].conf.offloads = offloads;
	for (unsigned i = 0; i < REPLIES; i++) {
		const uint32_t len = (uint32_t)(rig_op_random(NULL) % 1472);
		const struct net_counters before = *net_counters(rig.stack);
		struct rte_mbuf *a = reply_make(len, true);
		struct net_counters by_plain = *net_counters(rig.stack);
		struct rte_mbuf *b = reply_make(len, false);
		struct net_counters by_general = *net_counters(rig.stack);

		counters_subtract(&by_general, &by_plain);
		counters_subtract(&by_plain, &before);
		assert_memory_equal(&by_plain, &by_general, sizeof(by_plain));
		assert_int_equal(a->pkt_len, b->pkt_len);
		assert_int_equal(a->data_len, b->data_len);
		assert_int_equal(a->ol_flags, b->ol_flags);
		assert_int_equal(a->l2_len, b->l2_len);
		assert_int_equal(a->l3_len, b->l3_len);
		if (offloads & NET_OFFLOAD_TX_L4_CSUM)
			assert_int_equal(a->l4_len, b->l4_len);
		assert_memory_equal(rte_pktmbuf_mtod(a, void *), rte_pktmbuf_mtod(b, void *), a->data_len);
		rte_pktmbuf_free(a);
		rte_pktmbuf_free(b);
	}
}

static void
any_reply_leaves_alike_on_both_ways(void **state)
{
	rig_know4(2);
	rig_know4(77);
	rig_know4(RIG_GATEWAY);
	replies_leave_alike(0);
	replies_leave_alike(NET_OFFLOAD_TX_L4_CSUM);
	replies_leave_alike(NET_OFFLOAD_TX_L4_CSUM | NET_OFFLOAD_TX_IP4_CSUM);
}

/* The short way goes by the same table: an entry that grows old is asked about, and one that changed is believed. */
static void
neighbour_that_changes_is_followed(void **state)
{
	rig_know4(2);
	rig_know4(77);
	rte_pktmbuf_free(reply_make(7, true));
	rig_advance(NEIGH_REACHABLE_US + 1);
	struct rte_mbuf *m = reply_make(7, true);
	const struct net_addr peer = addr4_of(2);
	assert_int_equal(neigh_state(rig.stack, 0, &peer), NEIGH_DELAY);
	rte_pktmbuf_free(m);
	frame_arp(2, 9, 2, 1, false); /* host 2 now has the MAC of 9 */
	rig_rx();
	m = reply_make(7, true);
	const struct rte_ether_addr mac = mac_of(9);
	assert_memory_equal(rte_pktmbuf_mtod(m, void *), &mac, sizeof(mac));
	rte_pktmbuf_free(m);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    RIG_TEST_UNSTARTED(any_frame_fares_alike_on_both_ways),
	    RIG_TEST(any_reply_leaves_alike_on_both_ways),
	    RIG_TEST(neighbour_that_changes_is_followed),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
