/* icmp.c over both families: echo, port unreachable, errors about our packets, the rate limit. */
#include "tests/unit/net/rig.h"

static void
check_echo_reply(bool v4, uint32_t payload)
{
	const uint32_t l4 = ETH_BYTES + (v4 ? IP4_BYTES : IP6_BYTES);

	assert_int_equal(rig.tx_len, 1);
	assert_int_equal(rig_sent(0), l4 + 8 + payload);
	assert_int_equal(sent[l4], v4 ? 0 : 129);
	assert_memory_equal(sent + l4 + 4, frame.b + l4 + 4, 4 + payload);
	if (v4)
		assert_int_equal(slow_sum(0, sent + l4, 8 + payload), 0xffff);
	else
		assert_int_equal(slow_l4_sum(sent + ETH_BYTES, sent + l4, 8 + payload, 58), 0xffff);
	assert_int_equal(sent[5], 2);
}

static void
echo_of_any_size_and_shape_is_answered(void **state)
{
	static const uint32_t sizes[] = {0, 1, 56, 57, 1000, 1452};
	static const uint32_t splits[] = {0, 9, 40, 77, 600};

	rig_know4(2);
	rig_know6(2);
	for (unsigned i = 0; i < RTE_DIM(sizes); i++)
		for (unsigned s = 0; s < RTE_DIM(splits); s++) {
			frame_echo4(2, sizes[i]);
			rig_rx_split(splits[s]);
			check_echo_reply(true, sizes[i]);
			rig_tx_clear();
			frame_echo6(2, sizes[i]);
			rig_rx_split(splits[s]);
			check_echo_reply(false, sizes[i]);
			rig_tx_clear();
			rig_advance(100000);
		}
}

static void
echo_is_answered_while_the_pool_is_empty(void **state)
{
	rig_know4(2);
	frame_echo4(2, 56);
	struct rte_mbuf *m = rig_mbuf(0);
	testpool_fail_after(rig.pool, 0, UINT32_MAX);
	rig_rx_mbuf(m);
	check_echo_reply(true, 56);
}

static void
echo_in_a_shared_buffer_is_answered_from_a_copy(void **state)
{
	rig_know4(2);
	frame_echo4(2, 56);
	struct rte_mbuf *m = rig_mbuf(0);
	rte_mbuf_refcnt_update(m, 1);
	rig_rx_mbuf(m);
	check_echo_reply(true, 56);
	assert_memory_equal(rte_pktmbuf_mtod(m, void *), frame.b, frame.len);
	testpool_fail_after(rig.pool, 0, UINT32_MAX);
	rte_mbuf_refcnt_update(m, 1);
	rig_rx_mbuf(m);
	assert_int_equal(rig_drops(no_mbuf), 1);
	rte_pktmbuf_free(m);
}

static void
echo_behind_fragments_is_answered_in_fragments(void **state)
{
	static uint8_t whole[3008];

	rig_know4(2);
	frame_echo4(2, 3000);
	memcpy(whole, frame.b + ETH_BYTES + IP4_BYTES, sizeof(whole));
	for (uint32_t at = 0; at < sizeof(whole); at += 1480) {
		const uint32_t part = RTE_MIN((uint32_t)sizeof(whole) - at, 1480u);
		uint8_t *ip = frame_ip4(2, 1);
		put16(ip + 4, 77);
		put16(ip + 6, (uint16_t)(at / 8 | (at + part < sizeof(whole) ? 0x2000 : 0)));
		frame_append(whole + at, part);
		frame_ip4_finish();
		rig_rx();
	}
	assert_int_equal(rig.tx_len, 3);
	assert_int_equal(rig_counter(icmp_echo_replies), 1);
}

static void
echo_with_a_wrong_checksum_is_dropped(void **state)
{
	frame_echo4(2, 56);
	frame.b[frame.len - 1] ^= 1;
	rig_rx();
	frame_echo6(2, 56);
	frame.b[frame.len - 1] ^= 1;
	rig_rx();
	assert_int_equal(rig_drops(l4_checksum), 2);
	frame_ip4(2, 1);
	frame_pattern(7);
	frame_ip4_finish();
	rig_rx();
	assert_int_equal(rig_drops(icmp_malformed), 1);
	assert_int_equal(rig.tx_len, 0);
}

static void
flood_of_echoes_is_answered_at_the_configured_rate(void **state)
{
	rig_know4(2);
	rig_advance(1000000);
	for (unsigned ms = 0; ms < 1000; ms++) {
		for (unsigned i = 0; i < 10; i++) {
			frame_echo4(2, 1);
			rig_rx();
		}
		rig_tx_clear();
		rig_advance(1000);
	}
	assert_in_range(rig_counter(icmp_echo_replies), 1000, 1101); /* a burst of a tenth, then 1000/s */
	assert_int_equal(rig_counter(icmp_echo_replies) + rig_drops(icmp_limited), 10000);
}

static void
rate_zero_answers_nothing(void **state)
{
	rig.config.icmp_rate_per_s = 0;
	rig_start();
	rig_know4(2);
	frame_echo4(2, 1);
	rig_rx();
	assert_int_equal(rig.tx_len, 0);
	assert_int_equal(rig_drops(icmp_limited), 1);
}

static void
unbound_port_is_answered_with_a_quote(void **state)
{
	rig_know4(2);
	frame_udp4(2, 53, 1000);
	rig_rx();
	assert_int_equal(rig_sent(0), ETH_BYTES + 576);
	const uint8_t *icmp = sent + ETH_BYTES + IP4_BYTES;
	assert_int_equal(icmp[0], 3);
	assert_int_equal(icmp[1], 3);
	assert_int_equal(get32(icmp + 4), 0);
	assert_int_equal(slow_sum(0, icmp, 556), 0xffff);
	assert_memory_equal(icmp + 8, frame.b + ETH_BYTES, 548);
	assert_int_equal(rig_drops(udp_unbound), 1);
	rig_tx_clear();
	rig_know6(2);
	frame_udp6(2, 53, 1400);
	rig_rx_split(300);
	const uint32_t len = rig_sent(0);
	assert_int_equal(len, ETH_BYTES + 1280);
	icmp = sent + ETH_BYTES + IP6_BYTES;
	assert_int_equal(icmp[0], 1);
	assert_int_equal(icmp[1], 4);
	assert_int_equal(slow_l4_sum(sent + ETH_BYTES, icmp, 1240, 58), 0xffff);
	assert_memory_equal(icmp + 8, frame.b + ETH_BYTES, 1232);
}

static void
quote_ends_where_the_packet_does(void **state)
{
	rig_know4(2);
	frame_udp4(2, 53, 3);
	frame_append("padding.......", 14);
	rig_rx();
	assert_int_equal(rig_sent(0), ETH_BYTES + IP4_BYTES + 8 + 31);
}

static void
unbound_port_without_tokens_or_buffers_is_silent(void **state)
{
	rig.config.icmp_rate_per_s = 10;
	rig_start();
	rig_know4(2);
	for (unsigned i = 0; i < 50; i++) {
		frame_udp4(2, 53, 10);
		rig_rx();
	}
	assert_int_equal(rig.tx_len, 1);
	rig_advance(1000000);
	frame_udp4(2, 53, 10);
	struct rte_mbuf *m = rig_mbuf(0);
	testpool_fail_after(rig.pool, 0, UINT32_MAX);
	rig_rx_mbuf(m);
	assert_int_equal(rig.tx_len, 1);
	assert_int_equal(rig_drops(no_mbuf), 1);
}

/* An ICMP error from the gateway that quotes a TCP segment of ours to host 2. */
static void
frame_error4(uint8_t type, uint8_t code, uint32_t rest, uint32_t quote)
{
	frame_ip4(RIG_GATEWAY, 1);
	const uint32_t at = frame.len;
	uint8_t *icmp = frame_append(NULL, 8);
	icmp[0] = type;
	icmp[1] = code;
	put32(icmp + 4, rest);
	uint8_t *ip = frame_append(NULL, IP4_BYTES);
	ip[0] = 0x45;
	put16(ip + 2, 1500);
	ip[8] = 60;
	ip[9] = 6;
	put32(ip + 12, ip4_of(1));
	put32(ip + 16, ip4_of(2));
	uint8_t *tcp = frame_append(NULL, 20);
	put16(tcp, RIG_PORT);
	put16(tcp + 2, 50000);
	put32(tcp + 4, 0xcafe0001);
	frame.len = at + 8 + quote;
	put16(icmp + 2, 0);
	put16(icmp + 2, (uint16_t)~slow_sum(0, icmp, frame.len - at));
	frame_ip4_finish();
}

static void
error_about_our_segment_reaches_tcp(void **state)
{
	const struct net_addr us = addr4_of(1), peer = addr4_of(2);

	frame_error4(3, 4, 1400, 28);
	rig_rx();
	assert_int_equal(fake_tcp.errors_len, 1);
	const struct net_icmp_error *e = &fake_tcp.errors[0];
	assert_true(e->too_big);
	assert_int_equal(e->mtu, 1400);
	assert_int_equal(e->tcp_seq, 0xcafe0001);
	assert_int_equal(e->proto, 6);
	assert_true(net_addr_equal(&e->flow.local, &us));
	assert_true(net_addr_equal(&e->flow.remote, &peer));
	assert_int_equal(e->flow.local_port, rte_cpu_to_be_16(RIG_PORT));
	assert_int_equal(e->flow.remote_port, rte_cpu_to_be_16(50000));
	frame_error4(3, 1, 0, 28);
	rig_rx();
	frame_error4(11, 0, 0, 40);
	rig_rx();
	assert_int_equal(fake_tcp.errors_len, 3);
	assert_false(fake_tcp.errors[1].too_big);
	assert_int_equal(rig.foreign_len, 0);
	assert_int_equal(rig_counter(icmp_errors_rx), 3);
}

static void
error_about_an_unknown_flow_goes_to_the_other_workers(void **state)
{
	fake_tcp.owns_flows = false;
	frame_error4(3, 4, 1400, 28);
	rig_rx();
	assert_int_equal(rig.foreign_len, 1);
	assert_int_equal(rig.foreign.mtu, 1400);
	net_icmp_error(rig.stack, &rig.foreign);
	assert_int_equal(fake_tcp.errors_len, 2);
	assert_int_equal(rig.foreign_len, 1);
}

static void
error_with_a_bad_quote_is_dropped(void **state)
{
	static const struct {
		uint8_t off, value;
	} bad[] = {{0, 0x65}, {0, 0x44}, {0, 0x4f}, {6, 0x01}, {7, 0x01}, {9, 50}, {12, 11}, {15, 9}};

	for (uint32_t quote = 0; quote < 28; quote++) {
		frame_error4(3, 4, 1400, quote);
		frame_append(NULL, 40); /* Ethernet padding is no quote */
		rig_rx();
	}
	for (unsigned i = 0; i < RTE_DIM(bad); i++) {
		frame_error4(3, 4, 1400, 28);
		uint8_t *icmp = frame.b + ETH_BYTES + IP4_BYTES;
		icmp[8 + bad[i].off] = bad[i].value;
		put16(icmp + 2, 0);
		put16(icmp + 2, (uint16_t)~slow_sum(0, icmp, 36));
		rig_rx();
	}
	assert_int_equal(rig_drops(icmp_malformed), 28 + RTE_DIM(bad));
	assert_int_equal(fake_tcp.errors_len, 0);
}

static void
packet_too_big_over_ip6_carries_its_mtu(void **state)
{
	const struct net_addr us = addr6_of(1), peer = addr6_of(2);

	for (unsigned i = 0; i < 2; i++) {
		frame_ip6(RIG_GATEWAY, 58);
		const uint32_t at = frame.len;
		uint8_t *icmp = frame_append(NULL, 8);
		icmp[0] = 2;
		put32(icmp + 4, i == 0 ? 1300 : 0x00100000);
		uint8_t *ip = frame_append(NULL, IP6_BYTES);
		ip[0] = 0x60;
		ip[6] = 6;
		memcpy(ip + 8, &us, 16);
		memcpy(ip + 24, &peer, 16);
		put32(frame_append(NULL, 20) + 4, 7);
		put16(icmp + 2, (uint16_t)~slow_l4_sum(frame.b + frame.l3, icmp, frame.len - at, 58));
		frame_ip6_finish();
		rig_rx();
	}
	assert_int_equal(fake_tcp.errors_len, 2);
	assert_true(fake_tcp.errors[0].too_big);
	assert_int_equal(fake_tcp.errors[0].mtu, 1300);
	assert_int_equal(fake_tcp.errors[0].tcp_seq, 7);
	assert_true(net_addr_equal(&fake_tcp.errors[0].flow.remote, &peer));
	assert_int_equal(fake_tcp.errors[1].mtu, UINT16_MAX); /* not cut to a small number */
}

static void
other_types_are_counted(void **state)
{
	frame_ip4(2, 1);
	const uint32_t at = frame.len;
	uint8_t *icmp = frame_append(NULL, 20);
	icmp[0] = 13;
	put16(icmp + 2, (uint16_t)~slow_sum(0, icmp, frame.len - at));
	frame_ip4_finish();
	rig_rx();
	assert_int_equal(rig_drops(icmp_type), 1);
	assert_int_equal(rig.tx_len, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    RIG_TEST(echo_of_any_size_and_shape_is_answered),
	    RIG_TEST(echo_is_answered_while_the_pool_is_empty),
	    RIG_TEST(echo_in_a_shared_buffer_is_answered_from_a_copy),
	    RIG_TEST(echo_behind_fragments_is_answered_in_fragments),
	    RIG_TEST(echo_with_a_wrong_checksum_is_dropped),
	    RIG_TEST(flood_of_echoes_is_answered_at_the_configured_rate),
	    RIG_TEST_UNSTARTED(rate_zero_answers_nothing),
	    RIG_TEST(unbound_port_is_answered_with_a_quote),
	    RIG_TEST(quote_ends_where_the_packet_does),
	    RIG_TEST_UNSTARTED(unbound_port_without_tokens_or_buffers_is_silent),
	    RIG_TEST(error_about_our_segment_reaches_tcp),
	    RIG_TEST(error_about_an_unknown_flow_goes_to_the_other_workers),
	    RIG_TEST(error_with_a_bad_quote_is_dropped),
	    RIG_TEST(packet_too_big_over_ip6_carries_its_mtu),
	    RIG_TEST(other_types_are_counted),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
