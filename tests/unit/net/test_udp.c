/* UDP in and out over both families, with every way a port can help or not. */
#include "tests/unit/net/rig.h"

static void
datagram_for_bound_port_is_delivered_with_its_flow(void **state)
{
	frame_udp4(2, RIG_PORT, 100);
	rig_rx();
	assert_int_equal(rig.udp_len, 1);
	assert_int_equal(rig.udp_bytes_len, 100);
	assert_memory_equal(rig.udp_bytes, frame.b + ETH_BYTES + IP4_BYTES + UDP_BYTES, 100);
	const struct net_addr us = addr4_of(1), peer = addr4_of(2);
	assert_true(net_addr_equal(&rig.udp_flow[0].local, &us));
	assert_true(net_addr_equal(&rig.udp_flow[0].remote, &peer));
	assert_int_equal(rig.udp_flow[0].local_port, rte_cpu_to_be_16(RIG_PORT));
	assert_int_equal(rig.udp_flow[0].remote_port, rte_cpu_to_be_16(40000));
	assert_int_equal(rig_counter(udp_rx), 1);
}

static void
burst_of_datagrams_is_delivered_in_one_call_in_order(void **state)
{
	struct rte_mbuf *burst[NET_BURST_MAX];

	for (unsigned i = 0; i < NET_BURST_MAX; i++) {
		frame_ip4(2, 17);
		frame_udp_part((uint16_t)(1000 + i), RIG_PORT, i);
		frame_ip4_finish();
		burst[i] = rig_mbuf(0);
	}
	net_input(rig.stack, 0, burst, NET_BURST_MAX);
	assert_int_equal(rig.udp_calls, 1);
	assert_int_equal(rig.udp_len, NET_BURST_MAX);
	for (unsigned i = 0; i < NET_BURST_MAX; i++)
		assert_int_equal(rig.udp_flow[i].remote_port, rte_cpu_to_be_16((uint16_t)(1000 + i)));
}

static void
short_frame_with_padding_yields_no_phantom_payload(void **state)
{
	frame_udp4(2, RIG_PORT, 3);
	frame_append("\xaa\xaa\xaa\xaa\xaa\xaa\xaa\xaa\xaa\xaa\xaa\xaa\xaa\xaa\xaa", 60 - frame.len);
	rig_rx();
	assert_int_equal(rig.udp_bytes_len, 3);
}

static void
empty_datagram_is_delivered_empty(void **state)
{
	frame_udp4(2, RIG_PORT, 0);
	rig_rx();
	assert_int_equal(rig.udp_len, 1);
	assert_int_equal(rig.udp_bytes_len, 0);
}

static void
udp_length_below_ip_length_trims_the_payload(void **state)
{
	frame_ip4(2, 17);
	frame_udp_part(40000, RIG_PORT, 10);
	frame_append("garbage!", 8);
	frame_ip4_finish();
	rig_rx();
	assert_int_equal(rig.udp_len, 1);
	assert_int_equal(rig.udp_bytes_len, 10);
}

static void
datagrams_for_a_range_of_ports_are_delivered_up_to_its_ends(void **state)
{
	unsigned delivered = 0;

	for (unsigned port = RIG_RANGE_PORT - 1; port <= UINT16_MAX; port++) {
		frame_udp4(2, (uint16_t)port, 10);
		rig_rx();
		delivered += port >= RIG_RANGE_PORT;
		assert_int_equal(rig.udp_len, delivered);
	}
	frame_udp4(2, 0, 10);
	rig_rx();
	assert_int_equal(rig.udp_len, RIG_RANGE_LEN);
}

static void
bad_lengths_and_port_zero_are_dropped(void **state)
{
	frame_udp4(2, RIG_PORT, 10);
	put16(frame.b + ETH_BYTES + IP4_BYTES + 4, 19);
	rig_rx();
	frame_udp4(2, RIG_PORT, 10);
	put16(frame.b + ETH_BYTES + IP4_BYTES + 4, 7);
	rig_rx();
	frame_ip4(2, 17);
	frame_udp_part(0, RIG_PORT, 10);
	frame_ip4_finish();
	rig_rx();
	assert_int_equal(rig_drops(udp_header), 3);
	frame_ip4(2, 17);
	frame_append("short", 5);
	frame_ip4_finish();
	rig_rx();
	assert_int_equal(rig_drops(l4_short), 1);
	assert_int_equal(rig.udp_len, 0);
}

static void
bad_checksum_is_dropped_and_zero_is_accepted_over_ip4_only(void **state)
{
	frame_udp4(2, RIG_PORT, 10);
	frame.b[frame.len - 1] ^= 1;
	rig_rx();
	assert_int_equal(rig_drops(l4_checksum), 1);
	frame_udp4(2, RIG_PORT, 10);
	put16(frame.b + ETH_BYTES + IP4_BYTES + 6, 0);
	rig_rx();
	assert_int_equal(rig.udp_len, 1);
	frame_udp6(2, RIG_PORT, 10);
	put16(frame.b + ETH_BYTES + IP6_BYTES + 6, 0);
	rig_rx();
	assert_int_equal(rig.udp_len, 1);
	assert_int_equal(rig_drops(udp_no_checksum), 1);
}

static void
port_verdicts_are_believed_and_unknown_ones_checked(void **state)
{
	rig.config.ifaces[0].offloads |= NET_OFFLOAD_RX_CSUM;
	rig_start();
	frame_udp4(2, RIG_PORT, 10);
	struct rte_mbuf *m = rig_mbuf(0);
	m->ol_flags |= RTE_MBUF_F_RX_IP_CKSUM_GOOD | RTE_MBUF_F_RX_L4_CKSUM_BAD;
	rig_rx_mbuf(m);
	assert_int_equal(rig_drops(l4_checksum), 1);
	m = rig_mbuf(0);
	m->ol_flags |= RTE_MBUF_F_RX_IP_CKSUM_BAD;
	rig_rx_mbuf(m);
	assert_int_equal(rig_drops(ip4_checksum), 1);
	frame.b[frame.len - 1] ^= 1;
	rig_rx();
	assert_int_equal(rig_drops(l4_checksum), 2);
	m = rig_mbuf(0); /* the port knows better than the bytes: not looked at */
	m->ol_flags |= RTE_MBUF_F_RX_IP_CKSUM_GOOD | RTE_MBUF_F_RX_L4_CKSUM_GOOD;
	rig_rx_mbuf(m);
	assert_int_equal(rig.udp_len, 1);
}

static void
verdicts_of_a_port_without_the_offload_are_ignored(void **state)
{
	frame_udp4(2, RIG_PORT, 10);
	frame.b[frame.len - 1] ^= 1;
	struct rte_mbuf *m = rig_mbuf(0);
	m->ol_flags |= RTE_MBUF_F_RX_IP_CKSUM_GOOD | RTE_MBUF_F_RX_L4_CKSUM_GOOD;
	rig_rx_mbuf(m);
	assert_int_equal(rig_drops(l4_checksum), 1);
}

static void
scattered_datagrams_of_every_split_are_delivered(void **state)
{
	static const uint32_t splits[] = {1, 2, 13, 14, 15, 33, 34, 41, 42, 43, 127, 128, 129, 600};

	for (unsigned i = 0; i < RTE_DIM(splits); i++) {
		frame_udp4(2, RIG_PORT, 1000);
		rig_rx_split(splits[i]);
		assert_int_equal(rig.udp_len, 2 * i + 1);
		assert_int_equal(rig.udp_bytes_len, 1000);
		assert_memory_equal(rig.udp_bytes, frame.b + ETH_BYTES + IP4_BYTES + UDP_BYTES, 1000);
		frame_udp6(2, RIG_PORT, 1000);
		rig_rx_split(splits[i]);
		assert_int_equal(rig.udp_len, 2 * i + 2);
		assert_memory_equal(rig.udp_bytes, frame.b + ETH_BYTES + IP6_BYTES + UDP_BYTES, 1000);
	}
}

static void
reply_in_the_request_buffer_swaps_the_flow(void **state)
{
	rig_know4(2);
	rig.udp_echo = true;
	frame_udp4(2, RIG_PORT, 33);
	rig_rx();
	assert_int_equal(rig.tx_len, 1);
	assert_int_equal(rig_check_sent_udp(rig_sent(0)), 33);
	const uint8_t *ip = sent + ETH_BYTES;
	assert_int_equal(get32(ip + 12), ip4_of(1));
	assert_int_equal(get32(ip + 16), ip4_of(2));
	assert_int_equal(ip[8], 64);
	assert_int_equal(get16(ip + IP4_BYTES), RIG_PORT);
	assert_int_equal(get16(ip + IP4_BYTES + 2), 40000);
	const struct rte_ether_addr peer = mac_of(2), us = mac_of(1);
	assert_memory_equal(sent, &peer, 6);
	assert_memory_equal(sent + 6, &us, 6);
	assert_int_equal(get16(sent + 12), TYPE_IP4);
}

static void
reply_over_ip6_has_a_right_checksum(void **state)
{
	rig_know6(2);
	rig.udp_echo = true;
	for (uint32_t len = 0; len < 40; len++) {
		frame_udp6(2, RIG_PORT, len);
		rig_rx();
		assert_int_equal(rig.tx_len, 1);
		assert_int_equal(rig_check_sent_udp(rig_sent(0)), len);
		assert_int_equal(sent[ETH_BYTES + 7], 64);
		rig_tx_clear();
	}
}

static void
chained_payload_leaves_chained_with_a_right_checksum(void **state)
{
	const struct net_flow flow = flow4_to(2, RIG_PORT, 5);

	rig_know4(2);
	net_udp_output(rig.stack, &flow, rig_payload(1001, 77));
	assert_true(rig.tx[0]->nb_segs > 1);
	assert_int_equal(rig_check_sent_udp(rig_sent(0)), 1001);
}

static void
port_without_chains_gets_one_buffer(void **state)
{
	const struct net_flow flow = flow4_to(2, RIG_PORT, 5);

	rig.config.ifaces[0].offloads = 0;
	rig_start();
	rig_know4(2);
	net_udp_output(rig.stack, &flow, rig_payload(1001, 77));
	assert_int_equal(rig.tx[0]->nb_segs, 1);
	assert_int_equal(rig_check_sent_udp(rig_sent(0)), 1001);
}

static void
port_that_sums_gets_flags_and_the_pseudo_header(void **state)
{
	const struct net_flow flow = flow4_to(2, RIG_PORT, 5);

	rig.config.ifaces[0].offloads |= NET_OFFLOAD_TX_IP4_CSUM | NET_OFFLOAD_TX_L4_CSUM;
	rig_start();
	rig_know4(2);
	net_udp_output(rig.stack, &flow, rig_payload(100, 0));
	const struct rte_mbuf *m = rig.tx[0];
	assert_int_equal(m->ol_flags, RTE_MBUF_F_TX_IPV4 | RTE_MBUF_F_TX_IP_CKSUM | RTE_MBUF_F_TX_UDP_CKSUM);
	assert_int_equal(m->l2_len, 14);
	assert_int_equal(m->l3_len, 20);
	rig_sent(0);
	assert_int_equal(get16(sent + ETH_BYTES + 10), 0);
	assert_int_equal(get16(sent + ETH_BYTES + IP4_BYTES + 6), slow_pseudo_sum(sent + ETH_BYTES, 17, 108));
}

static void
payload_above_the_mtu_leaves_as_fragments_that_reassemble(void **state)
{
	const struct net_flow flow4 = flow4_to(2, RIG_PORT, 5), flow6 = flow6_to(2, RIG_PORT, 5);

	rig_know4(2);
	rig_know6(2);
	for (unsigned v6 = 0; v6 < 2; v6++) {
		static uint8_t whole[RIG_BYTES_MAX];
		uint32_t held = 0, id = 0;
		const uint32_t headers = v6 ? IP6_BYTES + 8 : IP4_BYTES;
		net_udp_output(rig.stack, v6 ? &flow6 : &flow4, rig_payload(5000, 900));
		assert_int_equal(rig.tx_len, 4);
		for (unsigned i = 0; i < rig.tx_len; i++) {
			const uint32_t len = rig_sent(i);
			const uint8_t *ip = sent + ETH_BYTES;
			const uint16_t bits = get16(v6 ? ip + IP6_BYTES + 2 : ip + 6);
			const uint32_t off = v6 ? bits & 0xfff8u : (bits & 0x1fffu) * 8;
			const uint32_t this_id = v6 ? get32(ip + IP6_BYTES + 4) : get16(ip + 4);
			assert_true(len <= ETH_BYTES + 1500);
			assert_int_equal((bits & (v6 ? 1 : 0x2000)) != 0, i + 1 < rig.tx_len);
			assert_true(i == 0 || this_id == id);
			id = this_id;
			assert_int_equal(off, held);
			if (!v6)
				assert_int_equal(slow_sum(0, ip, IP4_BYTES), 0xffff);
			memcpy(whole + off, ip + headers, len - ETH_BYTES - headers);
			held += len - ETH_BYTES - headers;
		}
		assert_int_equal(held, 5008);
		assert_memory_equal(whole + 8, frame.b, 5000);
		rig_sent(0);
		if (v6)
			sent[ETH_BYTES + 6] = 17;
		assert_int_equal(slow_l4_sum(sent + ETH_BYTES, whole, held, 17), 0xffff);
		rig_tx_clear();
	}
}

static void
ids_of_two_fragmented_datagrams_differ(void **state)
{
	const struct net_flow flow = flow4_to(2, RIG_PORT, 5);

	rig_know4(2);
	net_udp_output(rig.stack, &flow, rig_payload(2000, 0));
	net_udp_output(rig.stack, &flow, rig_payload(2000, 0));
	rig_sent(0);
	const uint16_t first = get16(sent + ETH_BYTES + 4);
	rig_sent(2);
	assert_int_not_equal(first, get16(sent + ETH_BYTES + 4));
}

static void
largest_payload_is_sent_and_a_larger_one_counted(void **state)
{
	const struct net_flow flow = flow4_to(2, RIG_PORT, 5);

	rig_know4(2);
	net_udp_output(rig.stack, &flow, rig_payload(65507, 2000));
	assert_int_equal(rig.tx_len, 45);
	net_udp_output(rig.stack, &flow, rig_payload(65508, 2000));
	assert_int_equal(rig.tx_len, 45);
	assert_int_equal(rig_drops(udp_too_long), 1);
}

static void
fragmenting_without_buffers_sends_nothing_and_leaks_nothing(void **state)
{
	const struct net_flow flow = flow4_to(2, RIG_PORT, 5);

	rig_know4(2);
	for (unsigned ok = 0; ok < 4; ok++) {
		struct rte_mbuf *m = rig_payload(5000, 0);
		testpool_fail_after(rig.pool, ok, 1);
		net_udp_output(rig.stack, &flow, m);
		assert_int_equal(rig.tx_len, 0);
		assert_int_equal(testpool_outstanding(rig.pool), 0);
	}
	assert_int_equal(rig_drops(no_mbuf), 4);
}

static void
packet_without_headroom_is_dropped(void **state)
{
	const struct net_flow flow = flow4_to(2, RIG_PORT, 5);

	rig_know4(2);
	for (uint16_t room = 0; room < 42; room++) {
		struct rte_mbuf *m = rig_payload(50, 0);
		m->data_off = room;
		net_udp_output(rig.stack, &flow, m);
	}
	assert_int_equal(rig.tx_len, 0);
	assert_int_equal(rig_drops(tx_headroom), 42);
}

static void
jumbo_datagram_uses_the_mtu(void **state)
{
	const struct net_flow flow = flow4_to(2, RIG_PORT, 5);

	rig.config.ifaces[0].mtu = 9000;
	rig_start();
	rig_know4(2);
	net_udp_output(rig.stack, &flow, rig_payload(8972, 2000));
	assert_int_equal(rig.tx_len, 1);
	assert_int_equal(rig_check_sent_udp(rig_sent(0)), 8972);
	frame_udp4(2, RIG_PORT, 8972);
	rig_rx();
	assert_int_equal(rig.udp_bytes_len, 8972);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    RIG_TEST(datagram_for_bound_port_is_delivered_with_its_flow),
	    RIG_TEST(burst_of_datagrams_is_delivered_in_one_call_in_order),
	    RIG_TEST(short_frame_with_padding_yields_no_phantom_payload),
	    RIG_TEST(empty_datagram_is_delivered_empty),
	    RIG_TEST(udp_length_below_ip_length_trims_the_payload),
	    RIG_TEST(datagrams_for_a_range_of_ports_are_delivered_up_to_its_ends),
	    RIG_TEST(bad_lengths_and_port_zero_are_dropped),
	    RIG_TEST(bad_checksum_is_dropped_and_zero_is_accepted_over_ip4_only),
	    RIG_TEST_UNSTARTED(port_verdicts_are_believed_and_unknown_ones_checked),
	    RIG_TEST(verdicts_of_a_port_without_the_offload_are_ignored),
	    RIG_TEST(scattered_datagrams_of_every_split_are_delivered),
	    RIG_TEST(reply_in_the_request_buffer_swaps_the_flow),
	    RIG_TEST(reply_over_ip6_has_a_right_checksum),
	    RIG_TEST(chained_payload_leaves_chained_with_a_right_checksum),
	    RIG_TEST_UNSTARTED(port_without_chains_gets_one_buffer),
	    RIG_TEST_UNSTARTED(port_that_sums_gets_flags_and_the_pseudo_header),
	    RIG_TEST(payload_above_the_mtu_leaves_as_fragments_that_reassemble),
	    RIG_TEST(ids_of_two_fragmented_datagrams_differ),
	    RIG_TEST(largest_payload_is_sent_and_a_larger_one_counted),
	    RIG_TEST(fragmenting_without_buffers_sends_nothing_and_leaks_nothing),
	    RIG_TEST(packet_without_headroom_is_dropped),
	    RIG_TEST_UNSTARTED(jumbo_datagram_uses_the_mtu),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
