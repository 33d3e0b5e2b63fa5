/* ip4.c and the shared ip.c: which packets pass, and what ours look like. */
#include "tests/unit/net/rig.h"

static void
tcp_segments_of_a_burst_arrive_in_one_call(void **state)
{
	struct rte_mbuf *burst[8];

	for (unsigned i = 0; i < 8; i++) {
		frame_tcp4((uint8_t)(2 + i), i);
		burst[i] = rig_mbuf(0);
	}
	net_input(rig.stack, 0, burst, 8);
	assert_int_equal(fake_tcp.input_calls, 1);
	assert_int_equal(fake_tcp.segments_len, 8);
	assert_int_equal(fake_tcp.bytes_len, 27);
	for (unsigned i = 0; i < 8; i++) {
		const struct net_addr from = addr4_of((uint8_t)(2 + i));
		assert_true(net_addr_equal(&fake_tcp.flows[i].remote, &from));
		assert_int_equal(fake_tcp.flows[i].remote_port, rte_cpu_to_be_16(50000));
		assert_int_equal(fake_tcp.flows[i].local_port, rte_cpu_to_be_16(RIG_PORT));
	}
}

static void
padded_segment_has_no_phantom_payload(void **state)
{
	frame_tcp4(2, 0);
	frame_append("\xee\xee\xee\xee\xee\xee", 6);
	rig_rx();
	assert_int_equal(fake_tcp.bytes_len, 20);
	frame_tcp4(2, 0); /* padding in a buffer of its own */
	frame_append(NULL, 200);
	rig_rx_split(54);
	assert_int_equal(fake_tcp.segments_len, 2);
	assert_int_equal(fake_tcp.bytes_len, 20);
}

static void
header_of_scattered_segment_is_made_contiguous(void **state)
{
	for (uint32_t split = 1; split < 140; split += 3) {
		frame_tcp4(2, 300);
		rig_rx_split(split);
		assert_int_equal(fake_tcp.bytes_len, 320);
		assert_memory_equal(fake_tcp.bytes, frame.b + ETH_BYTES + IP4_BYTES, 320);
		assert_true(fake_tcp.contiguous[(fake_tcp.segments_len - 1) % FAKE_TCP_SEGMENTS_MAX] >= 60);
	}
}

static void
wrong_lengths_and_versions_are_dropped(void **state)
{
	static const struct {
		uint8_t off, value;
	} bad[] = {{0, 0x55}, {0, 0x44}, {0, 0x40}, {0, 0x4f}, {2, 0x40}, {3, 19}, {3, 0}};

	for (unsigned i = 0; i < RTE_DIM(bad); i++) {
		frame_udp4(2, RIG_PORT, 4);
		frame.b[ETH_BYTES + bad[i].off] = bad[i].value;
		rig_rx();
	}
	assert_int_equal(rig_drops(ip4_header), RTE_DIM(bad));
	assert_int_equal(rig.udp_len, 0);
}

static void
wrong_header_checksum_is_dropped(void **state)
{
	frame_udp4(2, RIG_PORT, 4);
	frame.b[ETH_BYTES + 10] ^= 0x10;
	rig_rx();
	assert_int_equal(rig_drops(ip4_checksum), 1);
}

static void
martian_sources_are_dropped(void **state)
{
	static const uint32_t sources[] = {
	    0x00000001, 0x7f000001, 0xe0000001, 0xf0000001, 0xffffffff, 0x0a0000ff, 0x0a000001};

	for (unsigned i = 0; i < RTE_DIM(sources); i++) {
		put32(frame_ip4(2, 17) + 12, sources[i]);
		frame_udp_part(1, RIG_PORT, 4);
		frame_ip4_finish();
		rig_rx();
	}
	assert_int_equal(rig_drops(ip4_martian), RTE_DIM(sources));
	assert_int_equal(rig.udp_len, 0);
}

static void
packets_for_other_addresses_are_dropped(void **state)
{
	static const uint32_t destinations[] = {0x0a000003, 0x0a0000ff, 0xffffffff, 0xe0000001, 0x7f000001};

	for (unsigned i = 0; i < RTE_DIM(destinations); i++) {
		put32(frame_ip4(2, 17) + 16, destinations[i]);
		frame_udp_part(1, RIG_PORT, 4);
		frame_ip4_finish();
		rig_rx();
	}
	assert_int_equal(rig_drops(ip4_not_ours), RTE_DIM(destinations));
	assert_int_equal(rig.tx_len, 0);
}

static void
frame_with_options(const void *options, uint32_t len)
{
	uint8_t *ip = frame_ip4(2, 17);

	ip[0] = (uint8_t)(0x45 + len / 4);
	frame_append(options, len);
	frame_udp_part(40000, RIG_PORT, 9);
	frame_ip4_finish();
}

static void
options_are_walked_and_source_routes_dropped(void **state)
{
	frame_with_options("\x01\x01\x94\x04\x00\x00\x00\x00", 8); /* router alert */
	rig_rx();
	assert_int_equal(rig.udp_len, 1);
	assert_int_equal(rig.udp_bytes_len, 9);
	frame_with_options("\x00\x83\x83\x83", 4); /* behind the end of the list */
	rig_rx();
	assert_int_equal(rig.udp_len, 2);
	frame_with_options("\x83\x07\x04\x0a\x00\x00\x09\x00", 8);
	rig_rx();
	frame_with_options("\x01\x89\x07\x04\x0a\x00\x00\x09", 8);
	rig_rx();
	assert_int_equal(rig_drops(ip4_source_route), 2);
}

static void
malformed_options_end_the_walk(void **state)
{
	frame_with_options("\x94\x00\x00\x00", 4); /* zero length must not loop */
	rig_rx();
	frame_with_options("\x94\x01\x00\x00", 4);
	rig_rx();
	frame_with_options("\x94\x05\x00\x00", 4); /* past the end */
	rig_rx();
	frame_with_options("\x01\x01\x01\x94", 4); /* no length */
	rig_rx();
	assert_int_equal(rig_drops(ip4_options), 4);
	assert_int_equal(rig.udp_len, 0);
}

static void
header_length_past_a_short_frame_is_dropped(void **state)
{
	frame_with_options("\x01\x01\x01\x01\x01\x01\x01\x01", 8);
	frame.len = ETH_BYTES + 24;
	rig_rx();
	assert_int_equal(rig_drops(ip4_header), 1);
}

static void
unknown_protocol_is_dropped(void **state)
{
	frame_ip4(2, 132);
	frame_pattern(40);
	frame_ip4_finish();
	rig_rx();
	frame_ip4(2, 58); /* ICMPv6 inside IPv4 */
	frame_echo_part(true, 4);
	frame_ip4_finish();
	rig_rx();
	assert_int_equal(rig_drops(ip_protocol), 2);
}

static void
short_and_wrong_tcp_is_dropped(void **state)
{
	frame_ip4(2, 6);
	frame_pattern(19);
	frame_ip4_finish();
	rig_rx();
	assert_int_equal(rig_drops(l4_short), 1);
	frame_tcp4(2, 9);
	frame.b[frame.len - 3] ^= 4;
	rig_rx();
	assert_int_equal(rig_drops(l4_checksum), 1);
	assert_int_equal(fake_tcp.input_calls, 0);
}

static void
congestion_mark_reaches_tcp(void **state)
{
	for (uint8_t ecn = 0; ecn < 4; ecn++) {
		frame_ip4(2, 6)[1] = (uint8_t)(0xb8 | ecn);
		frame_tcp_part(0);
		frame_ip4_finish();
		rig_rx();
		assert_int_equal(fake_tcp.ecn_ce[ecn], ecn == 3);
	}
}

/* What tcp.c hands down: a header with checksum zero and a payload. */
static struct rte_mbuf *
tcp_segment(uint32_t payload)
{
	struct rte_mbuf *m = rig_payload(20 + payload, 1700);
	uint8_t *tcp = rte_pktmbuf_mtod(m, uint8_t *);

	tcp[12] = 0x50;
	put16(tcp + 16, 0);
	return m;
}

static void
tcp_leaves_unfragmentable_with_id_zero(void **state)
{
	const struct net_flow flow = flow4_to(2, RIG_PORT, 5);

	rig_know4(2);
	fake_tcp.env.output(fake_tcp.env.ctx, &flow, tcp_segment(101), 0);
	assert_int_equal(rig.tx_len, 1);
	assert_int_equal(rig_sent(0), ETH_BYTES + IP4_BYTES + 121);
	const uint8_t *ip = sent + ETH_BYTES;
	assert_int_equal(ip[0], 0x45);
	assert_int_equal(get16(ip + 4), 0);
	assert_int_equal(get16(ip + 6), 0x4000);
	assert_int_equal(ip[8], 64);
	assert_int_equal(slow_sum(0, ip, IP4_BYTES), 0xffff);
	assert_int_equal(slow_l4_sum(ip, ip + IP4_BYTES, 121, 6), 0xffff);
	assert_int_equal(fake_tcp.env.mtu(fake_tcp.env.ctx, &flow), 1500);
}

static void
tcp_above_the_mtu_is_dropped_unless_the_port_segments(void **state)
{
	const struct net_flow flow = flow4_to(2, RIG_PORT, 5);

	rig_know4(2);
	net_ip_output(rig.stack, &flow, 6, tcp_segment(5000), 0);
	net_ip_output(rig.stack, &flow, 6, tcp_segment(5000), 1460);
	assert_int_equal(rig_drops(tx_too_big), 2);
	rig_stop();
	rig_prepare();
	rig.config.ifaces[0].offloads |=
	    NET_OFFLOAD_TX_TSO | NET_OFFLOAD_TX_L4_CSUM | NET_OFFLOAD_TX_IP4_CSUM;
	rig_start();
	rig_know4(2);
	net_ip_output(rig.stack, &flow, 6, tcp_segment(5000), 1460);
	const struct rte_mbuf *m = rig.tx[0];
	assert_int_equal(m->ol_flags,
	    RTE_MBUF_F_TX_IPV4 | RTE_MBUF_F_TX_IP_CKSUM | RTE_MBUF_F_TX_TCP_CKSUM | RTE_MBUF_F_TX_TCP_SEG);
	assert_int_equal(m->tso_segsz, 1460);
	assert_int_equal(m->l4_len, 20);
	rig_sent(0);
	assert_int_equal(get16(sent + ETH_BYTES + IP4_BYTES + 16), slow_pseudo_sum(sent + ETH_BYTES, 6, 0));
	net_ip_output(rig.stack, &flow, 6, tcp_segment(1460), 1460); /* one segment is never marked */
	assert_int_equal(rig.tx[1]->ol_flags & RTE_MBUF_F_TX_TCP_SEG, 0);
}

static void
marks_of_the_receive_side_do_not_leave_with_a_reply(void **state)
{
	rig_know4(2);
	rig.udp_echo = true;
	frame_udp4(2, RIG_PORT, 33);
	struct rte_mbuf *m = rig_mbuf(0);
	m->ol_flags |= RTE_MBUF_F_RX_RSS_HASH | RTE_MBUF_F_RX_IP_CKSUM_GOOD;
	rig_rx_mbuf(m);
	assert_int_equal(rig.tx[0]->ol_flags, RTE_MBUF_F_TX_IPV4);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    RIG_TEST(tcp_segments_of_a_burst_arrive_in_one_call),
	    RIG_TEST(padded_segment_has_no_phantom_payload),
	    RIG_TEST(header_of_scattered_segment_is_made_contiguous),
	    RIG_TEST(wrong_lengths_and_versions_are_dropped),
	    RIG_TEST(wrong_header_checksum_is_dropped),
	    RIG_TEST(martian_sources_are_dropped),
	    RIG_TEST(packets_for_other_addresses_are_dropped),
	    RIG_TEST(options_are_walked_and_source_routes_dropped),
	    RIG_TEST(malformed_options_end_the_walk),
	    RIG_TEST(header_length_past_a_short_frame_is_dropped),
	    RIG_TEST(unknown_protocol_is_dropped),
	    RIG_TEST(short_and_wrong_tcp_is_dropped),
	    RIG_TEST(congestion_mark_reaches_tcp),
	    RIG_TEST(tcp_leaves_unfragmentable_with_id_zero),
	    RIG_TEST(tcp_above_the_mtu_is_dropped_unless_the_port_segments),
	    RIG_TEST(marks_of_the_receive_side_do_not_leave_with_a_reply),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
