/* tcp_bulk.c: full segments that leave as a train are what they would be one by one. */
#include "tests/unit/net/tcp_rig.h"

#define MSS     1000u /* of establish(); 12 less with timestamps */
#define WINDOW  60000
#define INITIAL 10u /* segments of the first window */

/* Opens the congestion window beyond what the test sends. */
static void
widen(void)
{
	rig.conn->cwnd = 1u << 20;
}

/* Pieces by copy and by reference in turn, none as long as a segment or a multiple of two. */
static void
send_pieces(uint32_t len)
{
	static uint8_t bytes[RIG_BYTES_MAX / 8];
	uint32_t from = rig.conn->sq_end - rig.iss;
	for (uint32_t i = 0; i < len; i++)
		bytes[i] = (uint8_t)((from + i) * 7);
	tcp_tick(rig.tcp, rig.now_us);
	for (uint32_t at = 0, piece = 0, n; at < len; at += n, piece++) {
		n = RTE_MIN(len - at, 351 + piece * 38);
		int status =
		    piece % 2 ? tcp_send(rig.conn, bytes + at, n) : tcp_send_ref(rig.conn, bytes + at, n, 77);
		assert_int_equal(status, 0);
	}
	tcp_flush(rig.tcp);
}

static void
queue_of_many_pieces_leaves_as_a_train_with_their_bytes(void **state)
{
	establish(TCP_MINI_OPT_TS, WINDOW);
	widen();
	send_pieces(20 * (MSS - 12) + 77);
	assert_int_equal(rig.trains, 1);
	for (uint32_t i = 0; i < 20; i++) {
		const struct out *o = expect(ACK, 1 + i * (MSS - 12), MSS - 12, 1);
		check_payload(o);
		assert_true(o->seg.has_ts);
		assert_false(o->seg.flags & PSH);
	}
	const struct out *last = expect(ACK, 1 + 20 * (MSS - 12), 77, 1);
	check_payload(last);
	assert_true(last->seg.flags & PSH);
	expect_nothing();
}

static void
port_that_sums_gets_the_same_train(void **state)
{
	rig.offloads = NET_OFFLOAD_TX_L4_CSUM;
	establish(0, WINDOW);
	widen();
	send_pieces(8 * MSS);
	assert_int_equal(rig.trains, 1);
	for (uint32_t i = 0; i < 8; i++)
		check_payload(expect(ACK, 1 + i * MSS, MSS, 1));
	expect_nothing();
}

static void
train_ends_at_the_congestion_window(void **state)
{
	establish(0, WINDOW);
	send_bytes(30 * MSS);
	for (uint32_t i = 0; i < INITIAL; i++)
		check_payload(expect(ACK, 1 + i * MSS, MSS, 1));
	expect_nothing();
	assert_true(rig.conn->more & TCP_M_CWND_LIMITED);
	in(ACK, 1, 0, 1 + INITIAL * MSS, WINDOW); /* two segments more by ABC */
	for (uint32_t i = INITIAL; i < 2 * INITIAL + 2; i++)
		check_payload(expect(ACK, 1 + i * MSS, MSS, 1));
	expect_nothing();
}

static void
train_ends_at_the_peers_window(void **state)
{
	establish(0, 5 * MSS + 300);
	widen();
	send_bytes(30 * MSS);
	for (uint32_t i = 0; i < 5; i++)
		check_payload(expect(ACK, 1 + i * MSS, MSS, 1));
	expect_nothing();
	in(ACK, 1, 0, 1 + 3 * MSS, 5 * MSS + 300);
	for (uint32_t i = 5; i < 8; i++)
		check_payload(expect(ACK, 1 + i * MSS, MSS, 1));
	expect_nothing();
}

static void
train_carries_the_acknowledgement(void **state)
{
	establish(0, WINDOW);
	widen();
	send_bytes(MSS);
	expect(ACK, 1, MSS, 1);
	in_only(ACK, 1, 500, 1, WINDOW);
	send_bytes(5 * MSS);
	assert_int_equal(rig.trains, 1);
	for (uint32_t i = 1; i < 6; i++)
		check_payload(expect(ACK, 1 + i * MSS, MSS, 501));
	expect_nothing();
	pass_us(100000);
	expect_nothing(); /* no delayed ACK is owed */
}

static void
missing_mbufs_for_a_train_leave_single_segments(void **state)
{
	establish(0, WINDOW);
	widen();
	testpool_fail_after(rig.pool, 1, 1); /* the first segment goes alone */
	send_bytes(10 * MSS);
	testpool_fail_never(rig.pool);
	for (uint32_t i = 0; i < 10; i++)
		check_payload(expect(ACK, 1 + i * MSS, MSS, 1));
	expect_nothing();
	assert_int_equal(testpool_failed(rig.pool), 1);
}

static void
no_mbufs_at_all_change_nothing_and_are_tried_again(void **state)
{
	establish(0, WINDOW);
	widen();
	testpool_fail_after(rig.pool, 0, UINT32_MAX);
	send_bytes(10 * MSS);
	expect_nothing();
	testpool_fail_never(rig.pool);
	tcp_flush(rig.tcp);
	for (uint32_t i = 0; i < 10; i++)
		check_payload(expect(ACK, 1 + i * MSS, MSS, 1));
	expect_nothing();
}

static void
train_behind_an_older_flight_is_timed_by_its_first_segment(void **state)
{
	establish(0, WINDOW);
	widen();
	send_bytes(MSS);
	drop_out();
	rig.conn->flags &= (uint16_t)~TCP_F_RTT; /* nothing is timed any more */
	rig.now_us += 5000;
	send_bytes(10 * MSS);
	assert_true(rig.conn->flags & TCP_F_RTT);
	assert_int_equal(rig.conn->rtt_seq - rig.iss, 1 + 2 * MSS);
	assert_int_equal(rig.conn->rtt_start_us, (uint32_t)rig.now_us);
	drop_out();
}

static void
lost_segment_of_a_train_is_sent_again_from_its_extents(void **state)
{
	establish(TCP_MINI_OPT_SACK, WINDOW);
	widen();
	send_pieces(10 * MSS);
	drop_out();
	in(ACK, 1, 0, 1 + 3 * MSS, WINDOW);
	option_sack(1 + 4 * MSS, 1 + 10 * MSS);
	in(ACK, 1, 0, 1 + 3 * MSS, WINDOW);
	check_payload(expect(ACK, 1 + 3 * MSS, MSS, 1));
	expect_nothing();
	rig.opt_len = 0;
	in(ACK, 1, 0, 1 + 10 * MSS, WINDOW);
	assert_true(rig.released > 0);
	assert_null(rig.conn->sq_head);
}

/* ---- packets that point to the application's memory ---- */

#define POINTING (NET_OFFLOAD_TX_MULTI | NET_OFFLOAD_TX_EXTERNAL)

/* A value of a connection that begins at 1, as send_bytes() would write it. */
static uint8_t value[20 * MSS];

static void
establish_pointing(uint8_t opts)
{
	rig.offloads = POINTING;
	establish(opts, WINDOW);
	widen();
	for (uint32_t i = 0; i < sizeof(value); i++)
		value[i] = (uint8_t)((1 + i) * 7);
}

static void
send_value(uint32_t len)
{
	tcp_tick(rig.tcp, rig.now_us);
	assert_int_equal(tcp_send_ref(rig.conn, value, len, 77), 0);
	tcp_flush(rig.tcp);
}

/* Segments [from, to) came out, with these bytes. */
static void
expect_segments(uint32_t from, uint32_t to)
{
	for (uint32_t i = from; i < to; i++)
		check_payload(expect(ACK, 1 + i * MSS, MSS, 1));
	expect_nothing();
}

static void
full_segments_of_a_reference_point_to_it(void **state)
{
	establish_pointing(0);
	rig.holds = true;
	send_value(10 * MSS);
	expect_segments(0, 10);
	for (unsigned i = 1; i < 9; i++) { /* the first and the last go alone, copied */
		assert_int_equal(rig.held[i]->nb_segs, 2);
		assert_ptr_equal(rte_pktmbuf_mtod(rig.held[i]->next, uint8_t *), value + i * MSS);
	}
	assert_int_equal(rig.counters.tcp_pointing_out, 8);
	let_go(10);
	assert_int_equal(rig.released, 0); /* not acknowledged yet */
	in(ACK, 1, 0, 1 + 10 * MSS, WINDOW);
	assert_int_equal(rig.released, 1);
}

static void
segment_across_two_references_is_copied(void **state)
{
	establish_pointing(0);
	rig.holds = true;
	assert_int_equal(tcp_send_ref(rig.conn, value, 3 * MSS + 500, 77), 0);
	assert_int_equal(tcp_send_ref(rig.conn, value + 3 * MSS + 500, 3 * MSS + 500, 77), 0);
	tcp_flush(rig.tcp);
	expect_segments(0, 7);
	assert_int_equal(rig.held[2]->nb_segs, 2);
	assert_int_equal(rig.held[3]->nb_segs, 1);
	assert_int_equal(rig.held[4]->nb_segs, 2);
	in(ACK, 1, 0, 1 + 7 * MSS, WINDOW);
	assert_int_equal(rig.released, 0);
	let_go(4);
	assert_int_equal(rig.released, 1);
	let_go(rig.held_len);
	assert_int_equal(rig.released, 2);
}

static void
port_that_does_not_copy_gets_copies(void **state)
{
	static const uint32_t offloads[] = {0, NET_OFFLOAD_TX_MULTI, NET_OFFLOAD_TX_EXTERNAL};
	establish_pointing(0);
	for (unsigned i = 0; i < RTE_DIM(offloads); i++) {
		rig.offloads = offloads[i];
		send_value(5 * MSS);
		drop_out();
	}
	assert_int_equal(rig.counters.tcp_pointing_out, 0);
	in(ACK, 1, 0, 1 + 15 * MSS, WINDOW);
	assert_int_equal(rig.released, 3);
}

static void
reference_acknowledged_before_its_packets_left_is_released_with_the_last(void **state)
{
	establish_pointing(0);
	rig.holds = true;
	send_value(10 * MSS);
	drop_out();
	in(ACK, 1, 0, 1 + 10 * MSS, WINDOW);
	assert_null(rig.conn->sq_head);
	assert_int_equal(rig.released, 0);
	let_go(8);
	assert_int_equal(rig.released, 0);
	let_go(1);
	assert_int_equal(rig.released, 1);
	let_go(1);
	assert_int_equal(rig.released, 1);
}

static void
connection_reset_while_its_packets_wait_releases_after_them(void **state)
{
	establish_pointing(0);
	rig.holds = true;
	send_value(10 * MSS);
	drop_out();
	in(RST, 1, 0, 0, 0);
	assert_int_equal(rig.closed, 1);
	assert_int_equal(rig.released, 0);
	let_go(10);
	assert_int_equal(rig.released, 1);
	struct tcp_usage usage;
	tcp_usage(rig.tcp, &usage);
	assert_int_equal(rig.tcp->mem.blocks, 0);
	assert_int_equal(usage.connections, 0);
}

static void
segment_sent_again_while_its_first_copy_waits_releases_once(void **state)
{
	establish_pointing(TCP_MINI_OPT_SACK);
	rig.holds = true;
	send_value(10 * MSS);
	drop_out();
	in(ACK, 1, 0, 1 + 3 * MSS + 400, WINDOW); /* part of a segment */
	option_sack(1 + 5 * MSS, 1 + 10 * MSS);
	in(ACK, 1, 0, 1 + 3 * MSS + 400, WINDOW);
	const struct out *again = expect(ACK, 1 + 3 * MSS + 400, MSS, 1);
	check_payload(again);
	drop_out();
	rig.opt_len = 0;
	in(ACK, 1, 0, 1 + 10 * MSS, WINDOW);
	assert_int_equal(rig.released, 0);
	let_go(rig.held_len);
	assert_int_equal(rig.released, 1);
}

static void
smaller_mss_points_to_smaller_pieces(void **state)
{
	establish_pointing(0);
	rig.holds = true;
	send_value(10 * MSS);
	drop_out();
	rig.conn->mss = 700;
	in(ACK, 1, 0, 1 + 10 * MSS, WINDOW);
	let_go(rig.held_len);
	for (uint32_t i = 0; i < 5 * 700; i++)
		value[i] = (uint8_t)((1 + 10 * MSS + i) * 7);
	widen();
	send_value(5 * 700);
	for (uint32_t i = 0; i < 5; i++)
		check_payload(expect(ACK, 1 + 10 * MSS + i * 700, 700, 1));
	assert_ptr_equal(rte_pktmbuf_mtod(rig.held[2]->next, uint8_t *), value + 2 * 700);
}

static void
missing_header_mbufs_leave_copies(void **state)
{
	establish_pointing(0);
	rig.holds = true;
	testpool_fail_after(rig.head_pool, 3, 2);
	send_value(10 * MSS);
	testpool_fail_never(rig.head_pool);
	expect_segments(0, 10);
	assert_int_equal(rig.counters.tcp_pointing_out, 6);
	assert_int_equal(rig.held[4]->nb_segs, 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TCP_TEST(queue_of_many_pieces_leaves_as_a_train_with_their_bytes),
	    TCP_TEST(port_that_sums_gets_the_same_train),
	    TCP_TEST(train_ends_at_the_congestion_window),
	    TCP_TEST(train_ends_at_the_peers_window),
	    TCP_TEST(train_carries_the_acknowledgement),
	    TCP_TEST(missing_mbufs_for_a_train_leave_single_segments),
	    TCP_TEST(no_mbufs_at_all_change_nothing_and_are_tried_again),
	    TCP_TEST(train_behind_an_older_flight_is_timed_by_its_first_segment),
	    TCP_TEST(lost_segment_of_a_train_is_sent_again_from_its_extents),
	    TCP_TEST(full_segments_of_a_reference_point_to_it),
	    TCP_TEST(segment_across_two_references_is_copied),
	    TCP_TEST(port_that_does_not_copy_gets_copies),
	    TCP_TEST(reference_acknowledged_before_its_packets_left_is_released_with_the_last),
	    TCP_TEST(connection_reset_while_its_packets_wait_releases_after_them),
	    TCP_TEST(segment_sent_again_while_its_first_copy_waits_releases_once),
	    TCP_TEST(smaller_mss_points_to_smaller_pieces),
	    TCP_TEST(missing_header_mbufs_leave_copies),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
