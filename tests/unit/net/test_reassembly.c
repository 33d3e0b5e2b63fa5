/* reassembly.c over both families: order, overlap, bounds and time. */
#include "tests/unit/net/rig.h"

#define WHOLE_MAX 70000u

/* The datagram that is cut up: UDP header and payload, checksum for the family. */
static uint8_t whole[WHOLE_MAX];
static uint32_t whole_len;
static bool whole_v4;

static void
make_whole(bool v4, uint32_t payload)
{
	if (v4)
		frame_ip4(2, 17);
	else
		frame_ip6(2, 17);
	const uint32_t at = frame.len;
	frame_udp_part(40000, RIG_PORT, payload);
	whole_len = frame.len - at;
	whole_v4 = v4;
	memcpy(whole, frame.b + at, whole_len);
}

/* Frames bytes [from, to) of it as a fragment. */
static void
frame_fragment(uint32_t id, uint32_t from, uint32_t to, bool more)
{
	if (whole_v4) {
		uint8_t *ip = frame_ip4(2, 17);
		put16(ip + 4, (uint16_t)id);
		put16(ip + 6, (uint16_t)(from / 8 | (more ? 0x2000 : 0)));
		frame_append(whole + from, to - from);
		frame_ip4_finish();
	} else {
		frame_ip6(2, 44);
		uint8_t *hdr = frame_append(NULL, 8);
		hdr[0] = 17;
		put16(hdr + 2, (uint16_t)(from | more));
		put32(hdr + 4, id);
		frame_append(whole + from, to - from);
		frame_ip6_finish();
	}
}

static void
fragment(uint32_t id, uint32_t from, uint32_t to)
{
	frame_fragment(id, from, to, to < whole_len);
	rig_rx();
}

static void
check_delivered(unsigned n)
{
	assert_int_equal(rig.udp_len, n);
	assert_int_equal(rig.udp_bytes_len, whole_len - UDP_BYTES);
	assert_memory_equal(rig.udp_bytes, whole + UDP_BYTES, whole_len - UDP_BYTES);
	assert_int_equal(reassembly_bytes(rig.stack), 0);
}

static void
three_fragments_in_every_order_make_the_datagram(void **state)
{
	static const uint8_t orders[6][3] = {
	    {0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
	unsigned n = 0;

	for (unsigned v4 = 0; v4 < 2; v4++)
		for (unsigned o = 0; o < 6; o++) {
			make_whole(v4, 3000);
			for (unsigned i = 0; i < 3; i++) {
				const uint32_t from = orders[o][i] * 1200u;
				fragment(o, from, RTE_MIN(from + 1200, whole_len));
			}
			check_delivered(++n);
			assert_int_equal(rig.udp_segs, 3);
		}
	assert_int_equal(rig_counter(reassembled), 12);
}

static void
fragments_in_scattered_buffers_make_the_datagram(void **state)
{
	for (unsigned v4 = 0; v4 < 2; v4++)
		for (uint32_t split = 10; split < 200; split += 17) {
			rig.udp_len = 0;
			make_whole(v4, 1500);
			frame_fragment(split, 0, 8, true); /* the UDP header alone */
			rig_rx_split(split);
			frame_fragment(split, 8, 800, true);
			rig_rx_split(split);
			frame_fragment(split, 800, whole_len, false);
			rig_rx_split(split);
			check_delivered(1);
		}
}

static void
tcp_fragments_are_reassembled_too(void **state)
{
	frame_ip4(2, 6);
	frame_tcp_part(100);
	whole_len = 120;
	memcpy(whole, frame.b + ETH_BYTES + IP4_BYTES, whole_len);
	for (unsigned i = 0; i < 2; i++) {
		uint8_t *ip = frame_ip4(2, 6);
		put16(ip + 6, i == 0 ? 0x2000 : 1);
		frame_append(whole + i * 8, i == 0 ? 8 : 112);
		frame_ip4_finish();
		rig_rx();
	}
	assert_int_equal(fake_tcp.segments_len, 1);
	assert_int_equal(fake_tcp.bytes_len, 120);
	assert_memory_equal(fake_tcp.bytes, whole, 120);
	assert_true(fake_tcp.contiguous[0] >= 60);
}

static void
wrong_checksum_over_the_whole_is_dropped(void **state)
{
	rig.config.ifaces[0].offloads |= NET_OFFLOAD_RX_CSUM;
	rig_start();
	make_whole(true, 1000);
	whole[700] ^= 1;
	for (unsigned i = 0; i < 2; i++) { /* the port says that each fragment is good: it cannot know */
		frame_fragment(1, i * 800, i == 0 ? 800 : whole_len, i == 0);
		struct rte_mbuf *m = rig_mbuf(0);
		m->ol_flags |= RTE_MBUF_F_RX_IP_CKSUM_GOOD | RTE_MBUF_F_RX_L4_CKSUM_GOOD;
		rig_rx_mbuf(m);
	}
	assert_int_equal(rig_drops(l4_checksum), 1);
	assert_int_equal(rig.udp_len, 0);
}

static void
overlap_drops_all_of_the_datagram(void **state)
{
	static const struct {
		uint32_t from, to;
	} overlaps[] = {{0, 808}, {400, 1200}, {792, 1600}, {8, 16}, {0, 1600}, {1592, 1600}};

	for (unsigned v4 = 0; v4 < 2; v4++)
		for (unsigned i = 0; i < RTE_DIM(overlaps); i++) {
			make_whole(v4, 3000);
			fragment(i, 0, 800);
			fragment(i, 1592, 2400);
			frame_fragment(i, overlaps[i].from, overlaps[i].to, true);
			rig_rx();
			fragment(i, 800, 1592); /* what comes later goes the same way */
			fragment(i, 2400, whole_len);
			fragment(i, 0, 800);
			assert_int_equal(reassembly_bytes(rig.stack), 0);
		}
	assert_int_equal(rig.udp_len, 0);
	assert_int_equal(rig_drops(fragment_overlap), 2 * 6 * RTE_DIM(overlaps));
	rig_advance(4000000);
	make_whole(true, 3000); /* the id is free again after the timeout */
	fragment(0, 0, 1600);
	fragment(0, 1600, whole_len);
	check_delivered(1);
}

static void
duplicate_fragment_is_dropped_alone(void **state)
{
	make_whole(true, 3000);
	fragment(1, 0, 1600);
	fragment(1, 0, 1600);
	fragment(1, 1600, whole_len);
	check_delivered(1);
	assert_int_equal(rig_drops(fragment_duplicate), 1);
}

static void
ends_that_disagree_drop_the_datagram(void **state)
{
	make_whole(true, 3000);
	frame_fragment(1, 1600, 2400, false);
	rig_rx();
	frame_fragment(1, 2400, 3000, false);
	rig_rx();
	frame_fragment(2, 1600, 2400, true);
	rig_rx();
	frame_fragment(2, 800, 1600, false);
	rig_rx();
	frame_fragment(3, 800, 1600, false);
	rig_rx();
	frame_fragment(3, 1600, 2400, true);
	rig_rx();
	assert_int_equal(rig_drops(fragment_overlap), 6);
	assert_int_equal(reassembly_bytes(rig.stack), 0);
}

static void
impossible_fragments_are_dropped(void **state)
{
	for (unsigned v4 = 0; v4 < 2; v4++) {
		make_whole(v4, 65000);
		frame_fragment(1, 0, 801, true); /* not a multiple of 8, more to come */
		rig_rx();
		frame_fragment(1, 0, 0, true);
		rig_rx();
		frame_fragment(1, 65528, 65528 + 1200, false); /* ping of death */
		rig_rx();
	}
	assert_int_equal(rig_drops(fragment_malformed), 6);
	assert_int_equal(testpool_outstanding(rig.pool), 0);
}

static void
datagrams_with_other_keys_do_not_mix(void **state)
{
	make_whole(true, 3000);
	fragment(1, 0, 1600);
	fragment(2, 1600, whole_len); /* other id */
	frame_fragment(1, 1600, whole_len, false);
	put32(frame.b + ETH_BYTES + 12, ip4_of(3)); /* other source */
	frame_ip4_finish();
	rig_rx();
	frame_fragment(1, 1600, whole_len, false);
	frame.b[ETH_BYTES + 9] = 6; /* other protocol */
	frame_ip4_finish();
	rig_rx();
	assert_int_equal(rig.udp_len, 0);
	fragment(1, 1600, whole_len);
	assert_int_equal(rig.udp_len, 1);
}

static void
incomplete_datagram_times_out_after_three_seconds(void **state)
{
	make_whole(true, 3000);
	fragment(1, 0, 1600);
	assert_int_equal(net_poll(rig.stack), REASSEMBLY_TIMEOUT_US);
	rig_advance(2900000);
	assert_true(reassembly_bytes(rig.stack) > 0);
	rig_advance(200000);
	assert_int_equal(reassembly_bytes(rig.stack), 0);
	assert_int_equal(rig_drops(fragment_timeout), 1);
	assert_int_equal(testpool_outstanding(rig.pool), 0);
	fragment(1, 1600, whole_len);
	assert_int_equal(rig.udp_len, 0);
}

static void
more_than_64_fragments_drop_the_datagram(void **state)
{
	make_whole(true, 4000);
	for (uint32_t i = 0; i < 65; i++)
		fragment(1, i * 16, i * 16 + 8); /* holes between */
	assert_int_equal(rig_drops(fragment_count), 65);
	assert_int_equal(reassembly_bytes(rig.stack), 0);
	rig.udp_len = 0;
	for (uint32_t at = 0; at < whole_len; at += 64)
		fragment(2, at, RTE_MIN(at + 64, whole_len));
	assert_int_equal(whole_len, 4008); /* 63 pieces */
	check_delivered(1);
}

static void
flood_never_exceeds_the_memory_and_frees_the_oldest(void **state)
{
	rig.config.reassembly_bytes_max = 100000;
	rig_start();
	make_whole(true, 3000);
	for (uint32_t i = 0; i < 5000; i++) {
		frame_fragment(i, (i % 5) * 8, (i % 5) * 8 + 8, true); /* 8 bytes that pin a whole buffer */
		rig_rx();
		assert_true(reassembly_bytes(rig.stack) <= 100000);
		assert_true(testpool_outstanding(rig.pool) * (uint64_t)TESTPOOL_DATA_ROOM <= 100000);
	}
	assert_true(reassembly_bytes(rig.stack) > 90000);
	assert_true(rig_drops(fragment_memory) > 4900);
	fragment(9999, 0, 1600); /* the newest is not the one that goes */
	fragment(9999, 1600, whole_len);
	assert_int_equal(rig.udp_len, 1);
}

static void
flood_of_datagrams_is_bounded_by_their_number(void **state)
{
	rig.config.reassembly_bytes_max = 64u << 20;
	rig_start();
	make_whole(true, 3000);
	for (uint32_t i = 0; i < 3 * REASSEMBLY_DATAGRAMS; i++)
		fragment(i, 0, 800);
	assert_int_equal(testpool_outstanding(rig.pool), REASSEMBLY_DATAGRAMS);
	rig_advance(4000000);
	assert_int_equal(testpool_outstanding(rig.pool), 0);
}

static void
fragment_above_the_cap_is_dropped_alone(void **state)
{
	rig.config.reassembly_bytes_max = 3000;
	rig_start();
	make_whole(true, 3000);
	fragment(1, 0, 800);
	frame_fragment(1, 800, 1600, true);
	rig_rx_split(100);
	assert_int_equal(rig_drops(fragment_memory), 1);
	assert_true(reassembly_bytes(rig.stack) > 0);
}

static void
largest_datagram_is_delivered(void **state)
{
	for (unsigned v4 = 0; v4 < 2; v4++) {
		rig.udp_len = 0;
		make_whole(v4, 65507);
		for (uint32_t at = 0; at < whole_len; at += 1440)
			fragment(5, at, RTE_MIN(at + 1440, whole_len));
		check_delivered(1);
	}
}

static void
destination_options_behind_the_fragment_header_are_walked(void **state)
{
	make_whole(false, 100);
	memmove(whole + 8, whole, whole_len);
	memcpy(whole, "\x11\x00\x01\x04\x00\x00\x00\x00", 8);
	whole_len += 8;
	for (unsigned i = 0; i < 2; i++) {
		frame_fragment(1, i * 8, i == 0 ? 8 : whole_len, i == 0);
		frame.b[ETH_BYTES + IP6_BYTES] = 60;
		rig_rx();
	}
	assert_int_equal(rig.udp_len, 1);
	assert_int_equal(rig.udp_bytes_len, 100);
}

static void
random_fragments_keep_the_table_sound(void **state)
{
	rig.config.reassembly_bytes_max = 200000;
	rig_start();
	for (unsigned i = 0; i < 50000; i++) {
		const uint64_t r = rig_op_random(NULL);
		make_whole(r & 1, 200);
		/* Mostly the four pieces that fit together, now and then any others. */
		const bool fits = (r >> 40) % 32 != 0;
		const uint32_t from = fits ? (uint32_t)(r >> 8) % 4 * 56 : (uint32_t)(r >> 8) % 25 * 8;
		const uint32_t len = fits ? 56 : 8 + (uint32_t)(r >> 16) % 8 * 8;
		fragment((uint32_t)(r >> 24) % 64, from, RTE_MIN(from + len, whole_len));
		if (r >> 60 == 0)
			rig_advance(100000);
		if (i % 500 == 0)
			assert_ptr_equal(reassembly_check(rig.stack), NULL);
	}
	assert_true(rig_counter(reassembled) > 10);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    RIG_TEST(three_fragments_in_every_order_make_the_datagram),
	    RIG_TEST(fragments_in_scattered_buffers_make_the_datagram),
	    RIG_TEST(tcp_fragments_are_reassembled_too),
	    RIG_TEST_UNSTARTED(wrong_checksum_over_the_whole_is_dropped),
	    RIG_TEST(overlap_drops_all_of_the_datagram),
	    RIG_TEST(duplicate_fragment_is_dropped_alone),
	    RIG_TEST(ends_that_disagree_drop_the_datagram),
	    RIG_TEST(impossible_fragments_are_dropped),
	    RIG_TEST(datagrams_with_other_keys_do_not_mix),
	    RIG_TEST(incomplete_datagram_times_out_after_three_seconds),
	    RIG_TEST(more_than_64_fragments_drop_the_datagram),
	    RIG_TEST_UNSTARTED(flood_never_exceeds_the_memory_and_frees_the_oldest),
	    RIG_TEST_UNSTARTED(flood_of_datagrams_is_bounded_by_their_number),
	    RIG_TEST_UNSTARTED(fragment_above_the_cap_is_dropped_alone),
	    RIG_TEST(largest_datagram_is_delivered),
	    RIG_TEST(destination_options_behind_the_fragment_header_are_walked),
	    RIG_TEST_UNSTARTED(random_fragments_keep_the_table_sound),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
