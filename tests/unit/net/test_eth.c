/* eth.c: whose frames are taken, VLAN tags with and without the port's help, and how a stack is created. */
#include "tests/unit/net/rig.h"

static void
frame_for_another_station_is_dropped(void **state)
{
	frame_udp4(2, RIG_PORT, 10);
	frame.b[5] = 0x77;
	rig_rx();
	assert_int_equal(rig_drops(eth_not_ours), 1);
	assert_int_equal(rig.udp_len, 0);
}

static void
unicast_packet_in_a_broadcast_frame_is_dropped(void **state)
{
	frame_udp4(2, RIG_PORT, 10);
	memset(frame.b, 0xff, 6);
	rig_rx();
	assert_int_equal(rig_drops(ip4_not_ours), 1);
	frame_udp6(2, RIG_PORT, 10);
	frame.b[0] = 0x33;
	rig_rx();
	assert_int_equal(rig_drops(ip6_not_ours), 1);
	assert_int_equal(rig.udp_len, 0);
}

static void
truncated_frames_of_every_length_are_dropped(void **state)
{
	for (uint32_t len = 0; len < ETH_BYTES + IP4_BYTES + UDP_BYTES + 10; len++) {
		frame_udp4(2, RIG_PORT, 10);
		frame.len = len;
		rig_rx();
		frame_udp6(2, RIG_PORT, 10);
		frame.len = len;
		rig_rx();
	}
	assert_int_equal(rig.udp_len, 0);
	assert_int_equal(rig_drops(eth_short), 2 * ETH_BYTES);
}

static void
unknown_type_is_dropped(void **state)
{
	frame_udp4(2, RIG_PORT, 10);
	put16(frame.b + 12, 0x88cc);
	rig_rx();
	assert_int_equal(rig_drops(eth_type), 1);
}

static void
frame_tag(uint16_t tci)
{
	memmove(frame.b + 16, frame.b + 12, frame.len - 12);
	put16(frame.b + 12, 0x8100);
	put16(frame.b + 14, tci);
	frame.len += 4;
}

static void
tagged_interface_takes_its_own_tag_only(void **state)
{
	rig.config.ifaces[0].vlan_id = 100;
	rig_start();
	frame_udp4(2, RIG_PORT, 10);
	rig_rx(); /* untagged */
	frame_tag(0xe000 | 101);
	rig_rx();
	assert_int_equal(rig_drops(vlan), 2);
	frame_udp4(2, RIG_PORT, 10);
	frame_tag(0xe000 | 100);
	rig_rx();
	assert_int_equal(rig.udp_len, 1);
	assert_int_equal(rig.udp_bytes_len, 10);
	frame.len = 16;
	rig_rx();
	assert_int_equal(rig_drops(vlan), 3);
}

static void
stripped_tag_in_the_mbuf_counts_as_the_tag(void **state)
{
	rig.config.ifaces[0].vlan_id = 100;
	rig.config.ifaces[0].offloads |= NET_OFFLOAD_VLAN;
	rig_start();
	for (uint16_t id = 99; id <= 101; id++) {
		frame_udp4(2, RIG_PORT, 10);
		struct rte_mbuf *m = rig_mbuf(0);
		m->vlan_tci = id;
		m->ol_flags |= RTE_MBUF_F_RX_VLAN | RTE_MBUF_F_RX_VLAN_STRIPPED;
		rig_rx_mbuf(m);
	}
	assert_int_equal(rig.udp_len, 1);
	assert_int_equal(rig_drops(vlan), 2);
}

static void
untagged_interface_takes_priority_tags_and_no_others(void **state)
{
	frame_udp4(2, RIG_PORT, 10);
	frame_tag(0xa000);
	rig_rx();
	assert_int_equal(rig.udp_len, 1);
	frame_udp4(2, RIG_PORT, 10);
	frame_tag(5);
	rig_rx();
	assert_int_equal(rig_drops(vlan), 1);
	frame_udp4(2, RIG_PORT, 10);
	frame_tag(0);
	frame_tag(0);
	rig_rx();
	assert_int_equal(rig_drops(eth_type), 1);
}

static void
tag_is_inserted_by_software_or_left_to_the_port(void **state)
{
	for (unsigned offload = 0; offload < 2; offload++) {
		if (offload == 1) {
			rig_stop();
			rig_prepare();
			rig.config.ifaces[0].offloads |= NET_OFFLOAD_VLAN;
		}
		rig.config.ifaces[0].vlan_id = 100;
		rig.config.cold_start_announce = true;
		rig_start();
		rig_sent(0);
		if (offload) {
			assert_int_equal(get16(sent + 12), TYPE_ARP);
			assert_int_equal(rig.tx[0]->vlan_tci, 100);
			assert_true(rig.tx[0]->ol_flags & RTE_MBUF_F_TX_VLAN);
		} else {
			assert_int_equal(get16(sent + 12), 0x8100);
			assert_int_equal(get16(sent + 14), 100);
			assert_int_equal(get16(sent + 16), TYPE_ARP);
			assert_false(rig.tx[0]->ol_flags & RTE_MBUF_F_TX_VLAN);
		}
	}
}

static void
spread_headers_without_a_buffer_are_dropped(void **state)
{
	frame_udp4(2, RIG_PORT, 500);
	struct rte_mbuf *m = rig_mbuf(20);
	testpool_fail_after(rig.pool, 0, UINT32_MAX);
	rig_rx_mbuf(m);
	assert_int_equal(rig_drops(no_mbuf), 1);
	assert_int_equal(testpool_outstanding(rig.pool), 0);
}

static void
configurations_outside_the_limits_are_refused(void **state)
{
	const struct net_config good = rig.config;
	struct net_config bad[10];

	for (unsigned i = 0; i < RTE_DIM(bad); i++)
		bad[i] = good;
	bad[0].ifaces_len = 0;
	bad[1].ifaces_len = NET_IFACES_MAX + 1;
	bad[2].ifaces[0].mtu = 575;
	bad[3].ifaces[0].mtu = 9001;
	bad[4].ifaces[0].prefix4 = 33;
	bad[5].ifaces[0].prefix4 = 0;
	bad[6].ifaces[0].prefix6 = 129;
	bad[7].ifaces[0].mac.addr_bytes[0] = 0x01;
	bad[8].ifaces[0].gateway4 = addr6_of(9);
	bad[9].ifaces[0].vlan_id = 4095;
	for (unsigned i = 0; i < RTE_DIM(bad); i++)
		assert_null(net_stack_create(&bad[i], &rig.env, &rig.tcp_config, &rig.tcp_app, 0));
	assert_int_equal(rig.heap_bytes, 0);
}

static void
interface_without_ip4_speaks_ip6(void **state)
{
	memset(&rig.config.ifaces[0].addr4, 0, sizeof(struct net_addr));
	memset(&rig.config.ifaces[0].gateway4, 0, sizeof(struct net_addr));
	rig.config.ifaces[0].prefix4 = 0;
	rig_start();
	frame_udp6(2, RIG_PORT, 10);
	rig_rx();
	frame_udp4(2, RIG_PORT, 10);
	rig_rx();
	frame_ip4(2, 17);
	put32(frame.b + frame.l3 + 16, 0);
	frame_udp_part(1, RIG_PORT, 1);
	frame_ip4_finish();
	rig_rx();
	frame_arp(1, 2, 2, 1, true);
	rig_rx();
	assert_int_equal(rig.udp_len, 1);
	assert_int_equal(rig_drops(ip4_not_ours), 2);
	assert_int_equal(rig.tx_len, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    RIG_TEST(frame_for_another_station_is_dropped),
	    RIG_TEST(unicast_packet_in_a_broadcast_frame_is_dropped),
	    RIG_TEST(truncated_frames_of_every_length_are_dropped),
	    RIG_TEST(unknown_type_is_dropped),
	    RIG_TEST_UNSTARTED(tagged_interface_takes_its_own_tag_only),
	    RIG_TEST_UNSTARTED(stripped_tag_in_the_mbuf_counts_as_the_tag),
	    RIG_TEST(untagged_interface_takes_priority_tags_and_no_others),
	    RIG_TEST_UNSTARTED(tag_is_inserted_by_software_or_left_to_the_port),
	    RIG_TEST(spread_headers_without_a_buffer_are_dropped),
	    RIG_TEST_UNSTARTED(configurations_outside_the_limits_are_refused),
	    RIG_TEST_UNSTARTED(interface_without_ip4_speaks_ip6),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
