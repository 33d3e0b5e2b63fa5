/* ip6.c: addresses that pass, the walk over extension headers, atomic fragments. */
#include "tests/unit/net/rig.h"

static void
tcp_and_udp_are_delivered_with_their_flow(void **state)
{
	const struct net_addr us = addr6_of(1), peer = addr6_of(2);

	frame_udp6(2, RIG_PORT, 100);
	rig_rx();
	assert_int_equal(rig.udp_bytes_len, 100);
	assert_true(net_addr_equal(&rig.udp_flow[0].local, &us));
	assert_true(net_addr_equal(&rig.udp_flow[0].remote, &peer));
	frame_ip6(2, 6);
	frame_tcp_part(5);
	frame_ip6_finish();
	rig_rx();
	assert_int_equal(fake_tcp.bytes_len, 25);
	assert_true(net_addr_equal(&fake_tcp.flows[0].remote, &peer));
}

static void
padding_is_no_payload_and_a_length_past_the_frame_is_dropped(void **state)
{
	frame_udp6(2, RIG_PORT, 1);
	frame_append(NULL, 30);
	rig_rx();
	assert_int_equal(rig.udp_bytes_len, 1);
	frame_udp6(2, RIG_PORT, 1);
	put16(frame.b + ETH_BYTES + 4, 10);
	rig_rx();
	frame_udp6(2, RIG_PORT, 1);
	frame.b[ETH_BYTES] = 0x40;
	rig_rx();
	assert_int_equal(rig_drops(ip6_header), 2);
}

static void
link_local_address_is_derived_and_ours(void **state)
{
	static const struct net_addr ll = {.b = {0xfe, 0x80, [8] = 0x00, 0, 0, 0xff, 0xfe, 0, 0, 1}};

	assert_true(net_addr_equal(&net_iface(rig.stack, 0)->addr6[0], &ll));
	uint8_t *ip = frame_ip6(2, 17);
	memcpy(ip + 24, &ll, 16);
	frame_udp_part(40000, RIG_PORT, 3);
	frame_ip6_finish();
	rig_rx();
	assert_int_equal(rig.udp_len, 1);
}

static void
sources_that_no_packet_can_have_are_dropped(void **state)
{
	static const struct net_addr sources[] = {
	    {.b = {0xff, 0x02, [15] = 1}},
	    {.b = {[15] = 1}},
	    {.b = {[10] = 0xff, 0xff, 10, 0, 0, 2}}, /* would pass for IPv4 */
	    {.b = {0xfd, [15] = 1}},                 /* ourselves */
	    {.b = {0}},
	};

	for (unsigned i = 0; i < RTE_DIM(sources); i++) {
		memcpy(frame_ip6(2, 17) + 8, &sources[i], 16);
		frame_udp_part(40000, RIG_PORT, 3);
		frame_ip6_finish();
		rig_rx();
	}
	assert_int_equal(rig_drops(ip6_martian), RTE_DIM(sources));
	assert_int_equal(rig.udp_len, 0);
}

static void
destinations_other_than_ours_are_dropped(void **state)
{
	static const struct net_addr destinations[] = {
	    {.b = {0xfd, [15] = 3}}, {.b = {0xff, 0x02, [15] = 2}},   /* all routers */
	    {.b = {[10] = 0xff, 0xff, 10, 0, 0, 1}},                  /* mapped */
	    {.b = {0}}, {.b = {0xff, 0x02, [11] = 1, 0xff, 0, 0, 2}}, /* another's group */
	    {.b = {0xff, 0x02, [15] = 1}},                            /* all nodes, but UDP */
	};

	for (unsigned i = 0; i < RTE_DIM(destinations); i++) {
		memcpy(frame_ip6(2, 17) + 24, &destinations[i], 16);
		frame_udp_part(40000, RIG_PORT, 3);
		frame_ip6_finish();
		rig_rx();
	}
	assert_int_equal(rig_drops(ip6_not_ours), RTE_DIM(destinations));
	assert_int_equal(rig.tx_len, 0);
}

/* n destination options headers of 8 bytes, each with PadN, then UDP. */
static void
frame_with_extensions(unsigned n)
{
	frame_ip6(2, n > 0 ? 60 : 17);
	for (unsigned i = 0; i < n; i++)
		frame_append((uint8_t[]){i + 1 < n ? 60 : 17, 0, 1, 4, 0, 0, 0, 0}, 8);
	frame_udp_part(40000, RIG_PORT, 12);
	frame_ip6_finish();
}

static void
up_to_eight_extension_headers_are_walked(void **state)
{
	for (unsigned n = 0; n <= 8; n++) {
		frame_with_extensions(n);
		rig_rx();
		assert_int_equal(rig.udp_len, n + 1);
		assert_int_equal(rig.udp_bytes_len, 12);
	}
	frame_with_extensions(9);
	rig_rx();
	assert_int_equal(rig.udp_len, 9);
	assert_int_equal(rig_drops(ip6_extension), 1);
}

static void
extension_headers_in_scattered_buffers_are_walked(void **state)
{
	for (uint32_t split = 1; split < 150; split += 7) {
		frame_with_extensions(8);
		rig_rx_split(split);
		assert_int_equal(rig.udp_bytes_len, 12);
	}
	assert_int_equal(rig.udp_len, 22);
}

static void
frame_with_one_extension(uint8_t type, const void *bytes, uint32_t len)
{
	frame_ip6(2, type);
	frame_append(bytes, len);
	frame_udp_part(40000, RIG_PORT, 12);
	frame_ip6_finish();
}

static void
options_that_forbid_processing_drop_the_packet(void **state)
{
	frame_with_one_extension(0, "\x11\x00\x05\x02\x00\x00\x01\x00", 8); /* router alert: may be skipped */
	rig_rx();
	frame_with_one_extension(0, "\x11\x00\x00\x00\x00\x00\x00\x00", 8); /* Pad1 only */
	rig_rx();
	assert_int_equal(rig.udp_len, 2);
	frame_with_one_extension(0, "\x11\x00\xc2\x04\x00\x01\x00\x00", 8); /* jumbo payload */
	rig_rx();
	frame_with_one_extension(60, "\x11\x00\x40\x04\x00\x00\x00\x00", 8);
	rig_rx();
	frame_with_one_extension(60, "\x11\x00\x05\x05\x00\x00\x00\x00", 8); /* past its header */
	rig_rx();
	frame_with_one_extension(60, "\x11\x00\x01\x03\x00\x00\x00\x05", 8); /* no length byte */
	rig_rx();
	frame_with_one_extension(60, "\x11\x20\x01\x04\x00\x00\x00\x00", 8); /* header past the packet */
	rig_rx();
	assert_int_equal(rig_drops(ip6_extension), 5);
	assert_int_equal(rig.udp_len, 2);
}

static void
hop_by_hop_behind_another_header_is_dropped(void **state)
{
	frame_ip6(2, 60);
	frame_append("\x00\x00\x01\x04\x00\x00\x00\x00", 8);
	frame_append("\x11\x00\x01\x04\x00\x00\x00\x00", 8);
	frame_udp_part(40000, RIG_PORT, 12);
	frame_ip6_finish();
	rig_rx();
	assert_int_equal(rig_drops(ip6_extension), 1);
}

static void
routing_header_passes_only_when_used_up(void **state)
{
	frame_with_one_extension(43, "\x11\x00\x00\x00\x00\x00\x00\x00", 8);
	rig_rx();
	assert_int_equal(rig.udp_len, 1);
	frame_with_one_extension(43, "\x11\x00\x00\x01\x00\x00\x00\x00", 8);
	rig_rx();
	assert_int_equal(rig_drops(ip6_routing), 1);
}

static void
atomic_fragment_is_a_whole_packet(void **state)
{
	frame_with_one_extension(44, "\x11\x00\x00\x00\xde\xad\xbe\xef", 8);
	rig_rx();
	assert_int_equal(rig.udp_len, 1);
	assert_int_equal(rig_counter(fragments_rx), 0);
	frame_ip6(2, 44);
	frame_append("\x2c\x00\x00\x00\xde\xad\xbe\xef", 8); /* a fragment header in a fragment */
	frame_append("\x11\x00\x00\x00\xde\xad\xbe\xef", 8);
	frame_udp_part(40000, RIG_PORT, 12);
	frame_ip6_finish();
	rig_rx();
	assert_int_equal(rig_drops(ip6_extension), 1);
}

static void
unknown_next_header_and_none_are_dropped(void **state)
{
	static const uint8_t types[] = {59, 50, 51, 132, 1, 253};

	for (unsigned i = 0; i < RTE_DIM(types); i++) {
		frame_ip6(2, types[i]);
		frame_pattern(32);
		frame_ip6_finish();
		rig_rx();
	}
	assert_int_equal(rig_drops(ip_protocol), RTE_DIM(types));
}

static void
small_mtu_speaks_no_ip6(void **state)
{
	rig.config.ifaces[0].mtu = 1279;
	rig_start();
	frame_udp6(2, RIG_PORT, 10);
	rig_rx();
	assert_int_equal(rig_drops(ip6_not_ours), 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    RIG_TEST(tcp_and_udp_are_delivered_with_their_flow),
	    RIG_TEST(padding_is_no_payload_and_a_length_past_the_frame_is_dropped),
	    RIG_TEST(link_local_address_is_derived_and_ours),
	    RIG_TEST(sources_that_no_packet_can_have_are_dropped),
	    RIG_TEST(destinations_other_than_ours_are_dropped),
	    RIG_TEST(up_to_eight_extension_headers_are_walked),
	    RIG_TEST(extension_headers_in_scattered_buffers_are_walked),
	    RIG_TEST(options_that_forbid_processing_drop_the_packet),
	    RIG_TEST(hop_by_hop_behind_another_header_is_dropped),
	    RIG_TEST(routing_header_passes_only_when_used_up),
	    RIG_TEST(atomic_fragment_is_a_whole_packet),
	    RIG_TEST(unknown_next_header_and_none_are_dropped),
	    RIG_TEST_UNSTARTED(small_mtu_speaks_no_ip6),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
