/*
 * The short way of plain.h against the general one: whatever frame comes and whatever leaves, both do the same to the
 * last counter. The general way has tests of its own.
 */
#include "tests/unit/net/rig.h"

#include "dataplane/net/checksum.h"
#include "dataplane/net/stack.h"

#define FRAMES          40000u
#define REPLIES         4000u
#define MUTATE_WITHIN   60u
#define VERDICT_CHOICES 4u
#define TRAIN           3u

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

/* The ways of a reply: two of net_udp_output(), and the request's headers turned round. */
enum reply_way { GENERAL, PLAIN, TURNED };

/* The headers of the request that came by flow. */
static const uint8_t *
request_make(const struct net_flow *flow)
{
	static uint8_t request[NET_UDP_HEADERS];
	const rte_be32_t remote = net_addr_get_v4(&flow->remote);

	frame_udp4(2, RIG_PORT, 0);
	memcpy(frame.b + ETH_BYTES + 12, &remote, sizeof(remote));
	memcpy(frame.b + ETH_BYTES + IP4_BYTES, &flow->remote_port, sizeof(flow->remote_port));
	memcpy(request, frame.b, sizeof(request));
	return request;
}

static struct rte_mbuf *
reply_make(uint32_t len, enum reply_way way)
{
	struct net_flow flow = flow4_to(len % 3 ? 2 : 77, RIG_PORT, (uint16_t)(40000 + len));
	struct rte_mbuf *m = rte_pktmbuf_alloc(rig.pool);

	if (len % 5 == 0) /* by the gateway */
		flow.remote = net_addr_v4(RTE_BE32(0x0b000001));
	m->data_off = NET_HEADROOM;
	uint8_t *bytes = (uint8_t *)rte_pktmbuf_append(m, (uint16_t)len);
	for (uint32_t i = 0; i < len; i++)
		bytes[i] = (uint8_t)(i * 7 + len);
	rig.stack->ifaces[0].plain = way != GENERAL;
	rig.stack->ip4_id = (uint16_t)len;
	if (way == TURNED)
		net_udp_reply(
		    rig.stack, 0, &(struct net_udp_reply){.m = m, .request = request_make(&flow)}, 1);
	else
		net_udp_output(rig.stack, &flow, m);
	assert_int_equal(rig.tx_len, 1);
	rig.tx_len = 0;
	return rig.tx[0];
}

static void
replies_leave_alike(enum reply_way way, uint32_t offloads)
{
	rig.stack->ifaces[0].conf.offloads = offloads;
	for (unsigned i = 0; i < REPLIES; i++) {
		const uint32_t len = (uint32_t)(rig_op_random(NULL) % 1472);
		const struct net_counters before = *net_counters(rig.stack);
		struct rte_mbuf *a = reply_make(len, way);
		struct net_counters by_plain = *net_counters(rig.stack);
		struct rte_mbuf *b = reply_make(len, GENERAL);
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
	for (enum reply_way way = PLAIN; way <= TURNED; way++) {
		replies_leave_alike(way, 0);
		replies_leave_alike(way, NET_OFFLOAD_TX_L4_CSUM);
		replies_leave_alike(way, NET_OFFLOAD_TX_L4_CSUM | NET_OFFLOAD_TX_IP4_CSUM);
	}
}

/* Not known, or too large for the link: what the short way leaves is asked for, or fragmented. */
static void
reply_that_cannot_leave_at_once_takes_the_general_way(void **state)
{
	struct net_flow flow = flow4_to(9, RIG_PORT, 40000);
	struct rte_mbuf *m = rte_pktmbuf_alloc(rig.pool);

	m->data_off = NET_HEADROOM;
	rte_pktmbuf_append(m, 100);
	net_udp_reply(rig.stack, 0, &(struct net_udp_reply){.m = m, .request = request_make(&flow)}, 1);
	assert_int_equal(rig.tx_len, 1);
	rig_sent(0);
	assert_int_equal(get16(sent + 12), TYPE_ARP);
	rig_know4(2);
	m = rte_pktmbuf_alloc(rig.pool);
	m->data_off = NET_HEADROOM;
	rte_pktmbuf_append(m, 1600);
	flow = flow4_to(2, RIG_PORT, 40000);
	net_udp_reply(rig.stack, 0, &(struct net_udp_reply){.m = m, .request = request_make(&flow)}, 1);
	assert_int_equal(rig.tx_len, 2);
	rig_tx_clear();
}

/* Each length, and one wrong bit of it. */
static void
padded_sum_of_any_length_is_the_plain_one(void **state)
{
	uint8_t bytes[300 + CSUM_PADDING];

	for (uint32_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(i * 113 + 77);
	for (uint32_t len = 1; len <= 300; len++) {
		const uint64_t sum = csum_padded(bytes, len);
		const uint16_t field = csum_finish_nonzero(sum);

		assert_int_equal(csum_fold(sum), csum_fold(csum_bytes(bytes, len)));
		assert_int_equal(field, csum_finish(sum));
		assert_true(csum_is_right(sum + field));
		assert_false(csum_is_right(sum + (field ^ 1u << len % 16)));
	}
	assert_int_equal(csum_finish_nonzero(0xffff), csum_finish(0xffff));
}

/* TRAIN segments of `len` bytes. */
static void
train_make(struct rte_mbuf *m[TRAIN], uint64_t sums[TRAIN], uint32_t len)
{
	for (unsigned i = 0; i < TRAIN; i++) {
		m[i] = rte_pktmbuf_alloc(rig.pool);
		m[i]->data_off = NET_HEADROOM;
		uint8_t *bytes = (uint8_t *)rte_pktmbuf_append(m[i], (uint16_t)len);
		for (uint32_t at = 0; at < len; at++)
			bytes[at] = (uint8_t)(at * 7 + len + i);
		bytes[12] = 5 << 4;
		memset(bytes + 16, 0, 2);
		sums[i] = csum_bytes(bytes, len);
	}
}

static void
train_leaves_alike(uint32_t offloads, const struct net_flow *flow, uint32_t len)
{
	struct rte_mbuf *m[TRAIN], *alone[TRAIN];
	uint64_t sums[TRAIN];

	rig.stack->ifaces[0].conf.offloads = offloads;
	const struct net_counters before = *net_counters(rig.stack);
	train_make(m, sums, len);
	for (unsigned i = 0; i < TRAIN; i++)
		net_ip_output(rig.stack, flow, IPPROTO_TCP, m[i], 0);
	struct net_counters by_one = *net_counters(rig.stack);
	const unsigned left = rig.tx_len;
	memcpy(alone, rig.tx, sizeof(alone));
	rig.tx_len = 0;
	train_make(m, sums, len);
	net_tcp_output_train(rig.stack, flow, m, sums, TRAIN);
	struct net_counters by_train = *net_counters(rig.stack);
	counters_subtract(&by_train, &by_one);
	counters_subtract(&by_one, &before);
	assert_memory_equal(&by_one, &by_train, sizeof(by_one));
	assert_int_equal(rig.tx_len, left);
	for (unsigned i = 0; i < left; i++) {
		assert_int_equal(rig.tx[i]->ol_flags, alone[i]->ol_flags);
		if (offloads & NET_OFFLOAD_TX_L4_CSUM)
			assert_int_equal(rig.tx[i]->tx_offload, alone[i]->tx_offload);
		assert_int_equal(rig.tx[i]->pkt_len, alone[i]->pkt_len);
		assert_memory_equal(rte_pktmbuf_mtod(rig.tx[i], void *), rte_pktmbuf_mtod(alone[i], void *),
		    alone[i]->pkt_len);
		rte_pktmbuf_free(alone[i]);
	}
	rig_tx_clear();
}

static void
train_leaves_as_its_segments_alone_would(void **state)
{
	static const uint32_t choices[] = {
	    0, NET_OFFLOAD_TX_L4_CSUM, NET_OFFLOAD_TX_L4_CSUM | NET_OFFLOAD_TX_IP4_CSUM};

	rig_know4(2);
	rig_know4(RIG_GATEWAY);
	for (unsigned o = 0; o < RTE_DIM(choices); o++)
		for (uint32_t len = 20; len <= 1480; len += 73) {
			struct net_flow flow = flow4_to(2, RIG_PORT, 40000);
			train_leaves_alike(choices[o], &flow, len);
			flow.remote = net_addr_v4(RTE_BE32(0x0b000001)); /* by the gateway */
			train_leaves_alike(choices[o], &flow, len);
		}
}

static void
train_to_a_neighbour_yet_unknown_waits_like_any_packet(void **state)
{
	struct net_flow flow = flow4_to(77, RIG_PORT, 40000);
	struct rte_mbuf *m[TRAIN];
	uint64_t sums[TRAIN];

	train_make(m, sums, 1000);
	net_tcp_output_train(rig.stack, &flow, m, sums, TRAIN);
	assert_int_equal(net_counters(rig.stack)->arp_requests_sent, 1);
	rig_tx_clear();
	frame_arp(2, 77, 77, 1, false);
	rig_rx();
	assert_in_range(rig.tx_len, 1, TRAIN);
	assert_int_equal(rig.tx[0]->pkt_len, 1000 + IP4_BYTES + ETH_BYTES);
	rig_tx_clear();
}

/* The short way goes by the same table: an entry that grows old is asked about, and one that changed is believed. */
static void
neighbour_is_followed(enum reply_way way)
{
	rig_know4(2);
	rig_know4(77);
	rte_pktmbuf_free(reply_make(7, way));
	rig_advance(NEIGH_REACHABLE_US + 1);
	struct rte_mbuf *m = reply_make(7, way);
	const struct net_addr peer = addr4_of(2);
	assert_int_equal(neigh_state(rig.stack, 0, &peer), NEIGH_DELAY);
	rte_pktmbuf_free(m);
	frame_arp(2, 9, 2, 1, false); /* host 2 now has the MAC of 9 */
	rig_rx();
	m = reply_make(7, way);
	const struct rte_ether_addr mac = mac_of(9);
	assert_memory_equal(rte_pktmbuf_mtod(m, void *), &mac, sizeof(mac));
	rte_pktmbuf_free(m);
}

static void
neighbour_that_changes_is_followed(void **state)
{
	neighbour_is_followed(PLAIN);
	neighbour_is_followed(TURNED);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    RIG_TEST_UNSTARTED(any_frame_fares_alike_on_both_ways),
	    RIG_TEST(any_reply_leaves_alike_on_both_ways),
	    RIG_TEST(train_leaves_as_its_segments_alone_would),
	    RIG_TEST(train_to_a_neighbour_yet_unknown_waits_like_any_packet),
	    RIG_TEST(reply_that_cannot_leave_at_once_takes_the_general_way),
	    cmocka_unit_test(padded_sum_of_any_length_is_the_plain_one),
	    RIG_TEST(neighbour_that_changes_is_followed),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
