/* tcp_out.c, tcp_ack.c, tcp_cc.c, tcp_expire.c: what leaves, what leaves again, and what windows and timers do. */
#include <errno.h>

#include "dataplane/net/tcp_sack.h"
#include "tests/unit/net/tcp_rig.h"

#define RTO_MIN_US 200000u /* the handshake was measured, so the minimum applies */

static void
window_smaller_than_a_segment_sends_what_fits(void **state)
{
	establish(0, 300);
	send_bytes(2000);
	check_payload(expect(ACK, 1, 300, 1));
	expect_nothing();
	in(ACK, 1, 0, 301, 300);
	check_payload(expect(ACK, 301, 300, 1));
}

static void
closed_window_is_probed_without_moving_snd_nxt(void **state)
{
	establish(0, 0);
	send_bytes(100);
	expect_nothing();
	uint32_t nxt = rig.conn->snd_nxt;
	pass_us(RTO_MIN_US * 8);
	for (unsigned n = drop_out(); n < 2; n++)
		fail_msg("only %u probes", n);
	assert_int_equal(rig.conn->snd_nxt, nxt);
	in(ACK, 1, 0, 1, 1000);
	check_payload(expect(ACK, 1, 100, 1));
}

static void
probe_is_an_empty_segment_below_the_window(void **state)
{
	establish(0, 0);
	send_bytes(100);
	pass_us(RTO_MIN_US + 1000);
	expect(ACK, 0, 0, 1);
	expect_nothing();
	pass_us(RTO_MIN_US * 2 + 1000); /* backed off */
	expect(ACK, 0, 0, 1);
	expect_nothing();
}

static void
window_that_stays_closed_ends_at_the_user_timeout(void **state)
{
	rig.config.user_timeout_us = 10000000;
	rig_restart();
	establish(0, 0);
	send_bytes(100);
	for (unsigned i = 0; i < 120 && rig.conn; i++) {
		pass_us(500000);
		if (drop_out() && rig.conn)
			in(ACK, 1, 0, 1, 0);
	}
	assert_int_equal(rig.closed, 1);
	assert_int_equal(rig.reason, TCP_CLOSED_TIMEOUT);
}

static void
timeout_sends_the_first_segment_again_with_backoff(void **state)
{
	establish(0, 10000);
	send_bytes(900); /* full ones would become smaller */
	check_payload(expect(ACK, 1, 900, 1));
	uint64_t wait_us = RTO_MIN_US;
	for (unsigned i = 0; i < 4; i++, wait_us *= 2) {
		pass_us(wait_us - 4000);
		expect_nothing();
		pass_us(4600);
		check_payload(expect(ACK, 1, 900, 1));
		expect_nothing();
	}
	in(ACK, 1, 0, 901, 10000);
	expect_nothing();
	pass_us(5000000);
	expect_nothing();
	assert_int_equal(rig.conn->rtx_deadline, 0);
}

static void
third_duplicate_ack_sends_the_hole_again(void **state)
{
	establish(0, 60000);
	send_bytes(8000);
	assert_int_equal(drop_out(), 8);
	in(ACK, 1, 0, 1, 60000);
	in(ACK, 1, 0, 1, 60000);
	expect_nothing();
	in(ACK, 1, 0, 1, 60000);
	check_payload(expect(ACK, 1, 1000, 1));
	expect_nothing();
	/* A partial ACK: the next hole at once (RFC 6582). */
	in(ACK, 1, 0, 3001, 60000);
	check_payload(expect(ACK, 3001, 1000, 1));
	in(ACK, 1, 0, 8001, 60000);
	expect_nothing();
	assert_int_equal(rig.conn->flags & (TCP_F_RECOVERY | TCP_F_LOSS), 0);
	assert_int_equal(rig.counters.tcp_timeouts, 0);
}

static void
sack_recovery_sends_only_the_holes(void **state)
{
	establish(TCP_MINI_OPT_SACK, 60000);
	send_bytes(8000);
	assert_int_equal(drop_out(), 8);
	option_sack(1001, 2001);
	in(ACK, 1, 0, 1, 60000);
	expect_nothing();
	option_sack(3001, 8001);
	in(ACK, 1, 0, 1, 60000);
	check_payload(expect(ACK, 1, 1000, 1));
	rig.opt_len = 0;
	option_sack(3001, 8001);
	in(ACK, 1, 0, 2001, 60000);
	check_payload(expect(ACK, 2001, 1000, 1));
	expect_nothing();
	rig.opt_len = 0;
	in(ACK, 1, 0, 8001, 60000);
	assert_null(rig.conn->board);
	assert_int_equal(rig.counters.tcp_retransmits, 2);
}

static void
nonsense_sack_blocks_are_ignored(void **state)
{
	establish(TCP_MINI_OPT_SACK, 60000);
	send_bytes(8000);
	drop_out();
	const uint32_t bad[][2] = {{5, 5}, {20, 10}, {1, 1000}, {0, 2000}, {4000, 9000}, {0x80000000u, 5},
	    {7000, 0x7fffffffu}, {0x7fffff00u, 0xfffffe00u}};
	for (unsigned i = 0; i < 8; i++) {
		option_sack(bad[i][0], bad[i][1]);
		in(ACK, 1, 0, 1, 60000);
		assert_null(tcp_check(rig.tcp));
		assert_true(!rig.conn->board || !rig.conn->board->sacked_bytes);
	}
	expect_nothing();
}

static void
nested_and_touching_sack_blocks_merge(void **state)
{
	establish(TCP_MINI_OPT_SACK, 60000);
	send_bytes(9000);
	drop_out();
	const uint32_t blocks[][2] = {{3001, 4001}, {5001, 6001}, {3101, 3201}, {4001, 5001}, {2001, 7001}};
	for (unsigned i = 0; i < 5; i++) {
		option_sack(blocks[i][0], blocks[i][1]);
		in(ACK, 1, 0, 1, 60000);
		assert_null(tcp_check(rig.tcp));
	}
	assert_int_equal(rig.conn->board->sacked_bytes, 5000);
	const struct tcp_run *runs = tcp_board_runs(rig.conn->board);
	assert_int_equal(runs[0].end - rig.iss, 2001);
	assert_int_equal(runs[1].end - rig.iss, 7001);
	assert_int_equal(runs[1].flags, TCP_RUN_SACKED);
	drop_out();
}

static void
limited_transmit_sends_new_data_for_two_duplicates(void **state)
{
	establish(0, 60000);
	send_bytes(20000);
	assert_int_equal(drop_out(), 10);
	in(ACK, 1, 0, 1, 60000);
	expect(ACK, 10001, 1000, 1);
	in(ACK, 1, 0, 1, 60000);
	expect(ACK, 11001, 1000, 1);
	expect_nothing();
}

static void
window_update_is_no_duplicate_ack(void **state)
{
	establish(0, 10000);
	send_bytes(5000);
	drop_out();
	for (unsigned i = 1; i <= 5; i++)
		in(ACK, 1, 0, 1, (uint16_t)(10000 + i));
	expect_nothing();
	assert_int_equal(rig.conn->dupacks, 0);
}

static void
ack_division_grows_the_window_no_faster(void **state)
{
	establish(0, 60000);
	send_bytes(20000);
	assert_int_equal(drop_out(), 10);
	uint32_t before = rig.conn->cwnd;
	for (unsigned i = 1; i <= 100; i++)
		in_only(ACK, 1, 0, 1 + i * 10, 60000);
	assert_int_equal(rig.conn->cwnd, before + 1000);
}

static void
window_does_not_grow_while_the_application_limits(void **state)
{
	establish(0, 60000);
	uint32_t before = rig.conn->cwnd;
	for (unsigned i = 0; i < 1000; i++) {
		send_bytes(10);
		expect(ACK, 1 + i * 10, 10, 1);
		in(ACK, 1, 0, 11 + i * 10, 60000);
	}
	assert_int_equal(rig.conn->cwnd, before);
}

static void
initial_window_is_ten_segments(void **state)
{
	establish(0, 60000);
	send_bytes(50000);
	assert_int_equal(drop_out(), 10);
}

static void
missing_mbuf_changes_nothing_and_is_tried_again(void **state)
{
	establish(0, 60000);
	testpool_fail_after(rig.pool, 1, 2);
	send_bytes(3000);
	check_payload(expect(ACK, 1, 1000, 1));
	expect_nothing();
	assert_int_equal(rig.conn->snd_nxt - rig.iss, 1001);
	tcp_flush(rig.tcp);
	expect_nothing();
	tcp_flush(rig.tcp);
	check_payload(expect(ACK, 1001, 1000, 1));
	check_payload(expect(ACK, 2001, 1000, 1));
}

static void
reference_is_released_once_when_acknowledged(void **state)
{
	static const uint8_t bytes[3000];
	establish(0, 60000);
	assert_int_equal(tcp_send_ref(rig.conn, bytes, sizeof(bytes), 77), 0);
	tcp_flush(rig.tcp);
	assert_int_equal(drop_out(), 3);
	in(ACK, 1, 0, 3000, 60000);
	assert_int_equal(rig.released, 0);
	in(ACK, 1, 0, 3001, 60000);
	assert_int_equal(rig.released, 1);
}

static void
reference_is_released_when_the_peer_resets(void **state)
{
	static const uint8_t bytes[3000];
	establish(0, 60000);
	assert_int_equal(tcp_send_ref(rig.conn, bytes, sizeof(bytes), 77), 0);
	in(RST, 1, 0, 0, 0);
	assert_int_equal(rig.released, 1);
	assert_int_equal(rig.closed, 1);
	drop_out();
}

static void
client_that_never_acknowledges_holds_no_mbufs_and_is_dropped(void **state)
{
	establish(0, 60000);
	send_bytes(100000);
	drop_out();
	assert_int_equal(testpool_outstanding(rig.pool), 0);
	for (unsigned i = 0; i < 400 && rig.conn; i++) {
		pass_us(1000000);
		drop_out();
	}
	assert_int_equal(rig.closed, 1);
	assert_int_equal(rig.reason, TCP_CLOSED_TIMEOUT);
	struct tcp_usage u;
	tcp_usage(rig.tcp, &u);
	assert_int_equal(u.memory_bytes, 0);
}

static void
full_queue_tells_writable_at_half(void **state)
{
	rig.config.snd_buffer_bytes = 4000;
	rig_restart();
	establish(0, 60000);
	rig.conn->cwnd = 1000;
	send_bytes(5000);
	assert_int_equal(drop_out(), 1);
	assert_int_equal(tcp_send_room(rig.conn), 0);
	in(ACK, 1, 0, 1001, 60000);
	assert_int_equal(rig.writable, 0);
	assert_int_equal(drop_out(), 2);
	in(ACK, 1, 0, 2001, 60000);
	assert_int_equal(rig.writable, 1);
	drop_out();
	in(ACK, 1, 0, 5001, 60000);
	assert_int_equal(rig.writable, 1);
	assert_int_equal(tcp_send_room(rig.conn), 4000);
}

/* A long path holds more than the buffer: it is filled, and the application is asked for the next bytes meanwhile. */
static void
bytes_in_flight_take_no_room_from_the_buffer(void **state)
{
	rig.config.snd_buffer_bytes = 4000;
	rig_restart();
	establish(0, 60000);
	send_bytes(8000);
	assert_int_equal(drop_out(), 8);
	assert_int_equal(tcp_send_room(rig.conn), 4000);
	assert_int_equal(tcp_unsent_bytes(rig.conn), 8000);
	in(ACK, 1, 0, 8001, 60000);
	expect_nothing();
}

static void
write_of_300_kb_arrives_whole(void **state)
{
	establish(0, 60000);
	static uint8_t big[300000];
	assert_int_equal(tcp_send(rig.conn, big, sizeof(big)), 0);
	tcp_flush(rig.tcp);
	uint32_t acked = 1;
	for (unsigned i = 0; i < 2000 && acked < 300001; i++) {
		while (rig.out_head < rig.out_len) {
			struct out *o = next_out();
			acked = RTE_MAX(acked, o->seg.seq + o->seg.len - rig.iss);
		}
		in(ACK, 1, 0, acked, 60000);
	}
	assert_int_equal(acked, 300001);
	assert_int_equal(rig.counters.tcp_retransmits, 0);
}

static void
too_big_in_flight_resegments_without_touching_cwnd(void **state)
{
	establish(0, 60000);
	send_bytes(2000);
	assert_int_equal(drop_out(), 2);
	uint32_t cwnd = rig.conn->cwnd;
	struct net_icmp_error e = {
	    .flow = rig.flow, .proto = 6, .too_big = true, .mtu = 600, .tcp_seq = rig.iss + 1};
	assert_true(tcp_icmp_error(rig.tcp, &e));
	tcp_flush(rig.tcp);
	check_payload(expect(ACK, 1, 560, 1));
	check_payload(expect(ACK, 561, 560, 1));
	drop_out();
	assert_int_equal(rig.conn->cwnd, cwnd);
}

static void
too_big_outside_of_the_flight_is_ignored(void **state)
{
	establish(0, 60000);
	send_bytes(2000);
	drop_out();
	struct net_icmp_error e = {
	    .flow = rig.flow, .proto = 6, .too_big = true, .mtu = 600, .tcp_seq = rig.iss + 2001};
	assert_true(tcp_icmp_error(rig.tcp, &e));
	e.tcp_seq = rig.iss;
	assert_true(tcp_icmp_error(rig.tcp, &e));
	e.too_big = false; /* soft errors end nothing */
	e.tcp_seq = rig.iss + 1;
	assert_true(tcp_icmp_error(rig.tcp, &e));
	tcp_flush(rig.tcp);
	expect_nothing();
	assert_int_equal(rig.conn->mss, 1000);
	e.flow.remote_port = RTE_BE16(9);
	assert_false(tcp_icmp_error(rig.tcp, &e));
}

static void
idle_peer_that_lost_power_is_dropped_after_six_probes(void **state)
{
	rig.config.keepalive_idle_us = 60000000;
	rig_restart();
	establish(0, 1000);
	pass_us(59000000);
	expect_nothing();
	pass_us(70000000);
	assert_int_equal(rig.closed, 1);
	assert_int_equal(rig.reason, TCP_CLOSED_TIMEOUT);
	for (unsigned i = 0; i < 6; i++)
		expect(ACK, 0, 0, 1);
	expect(RST | ACK, 1, 0, 1);
	expect_nothing();
}

static void
idle_peer_that_answers_stays(void **state)
{
	rig.config.keepalive_idle_us = 60000000;
	rig_restart();
	establish(0, 1000);
	for (unsigned i = 0; i < 300; i++) {
		pass_us(1000000);
		if (drop_out())
			in(ACK, 1, 0, 1, 1000);
	}
	assert_int_equal(rig.closed, 0);
	assert_in_range(rig.counters.tcp_keepalive_probes, 3, 6);
}

static void
rtt_of_a_microsecond_does_not_stop_the_timer(void **state)
{
	establish(0, 10000);
	send_bytes(10);
	drop_out();
	rig.now_us += 1;
	in(ACK, 1, 0, 11, 10000);
	send_bytes(10);
	drop_out();
	pass_us(RTO_MIN_US + 2000);
	expect(ACK, 11, 10, 1);
}

static void
memory_limit_refuses_the_send_whole(void **state)
{
	static uint8_t big[200000];
	rig.config.memory_bytes_max = 100000;
	rig_restart();
	establish(0, 1000);
	struct tcp_usage before, after;
	tcp_usage(rig.tcp, &before);
	assert_int_equal(tcp_send(rig.conn, big, sizeof(big)), -ENOBUFS);
	tcp_usage(rig.tcp, &after);
	assert_int_equal(before.memory_bytes, after.memory_bytes);
	tcp_flush(rig.tcp);
	expect_nothing();
}

static void
above_ninety_percent_the_one_without_progress_is_reset(void **state)
{
	static uint8_t big[95000];
	rig.config.memory_bytes_max = 100000;
	rig_restart();
	establish(0, 1000);
	assert_int_equal(tcp_send(rig.conn, big, 90000), 0);
	tcp_flush(rig.tcp);
	drop_out();
	for (unsigned i = 0; i < 4 && rig.conn; i++)
		tcp_poll(rig.tcp);
	assert_int_equal(rig.closed, 1);
	assert_int_equal(rig.reason, TCP_CLOSED_PRESSURE);
	tcp_flush(rig.tcp);
	drop_out();
}

static void
reserved_room_is_sent_after_commit(void **state)
{
	establish(0, 10000);
	for (unsigned i = 0; i < 3; i++) {
		uint8_t *room = tcp_send_reserve(rig.conn, 500);
		assert_non_null(room);
		for (unsigned k = 0; k < 100; k++)
			room[k] = (uint8_t)((1 + i * 100 + k) * 7);
		tcp_send_commit(rig.conn, 100);
	}
	assert_null(tcp_send_reserve(rig.conn, 5000));
	tcp_flush(rig.tcp);
	check_payload(expect(ACK, 1, 300, 1));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TCP_TEST(window_smaller_than_a_segment_sends_what_fits),
	    TCP_TEST(closed_window_is_probed_without_moving_snd_nxt),
	    TCP_TEST(probe_is_an_empty_segment_below_the_window),
	    TCP_TEST(window_that_stays_closed_ends_at_the_user_timeout),
	    TCP_TEST(timeout_sends_the_first_segment_again_with_backoff),
	    TCP_TEST(third_duplicate_ack_sends_the_hole_again),
	    TCP_TEST(sack_recovery_sends_only_the_holes),
	    TCP_TEST(nonsense_sack_blocks_are_ignored),
	    TCP_TEST(nested_and_touching_sack_blocks_merge),
	    TCP_TEST(limited_transmit_sends_new_data_for_two_duplicates),
	    TCP_TEST(window_update_is_no_duplicate_ack),
	    TCP_TEST(ack_division_grows_the_window_no_faster),
	    TCP_TEST(window_does_not_grow_while_the_application_limits),
	    TCP_TEST(initial_window_is_ten_segments),
	    TCP_TEST(missing_mbuf_changes_nothing_and_is_tried_again),
	    TCP_TEST(reference_is_released_once_when_acknowledged),
	    TCP_TEST(reference_is_released_when_the_peer_resets),
	    TCP_TEST(client_that_never_acknowledges_holds_no_mbufs_and_is_dropped),
	    TCP_TEST(full_queue_tells_writable_at_half),
	    TCP_TEST(bytes_in_flight_take_no_room_from_the_buffer),
	    TCP_TEST(write_of_300_kb_arrives_whole),
	    TCP_TEST(too_big_in_flight_resegments_without_touching_cwnd),
	    TCP_TEST(too_big_outside_of_the_flight_is_ignored),
	    TCP_TEST(idle_peer_that_lost_power_is_dropped_after_six_probes),
	    TCP_TEST(idle_peer_that_answers_stays),
	    TCP_TEST(rtt_of_a_microsecond_does_not_stop_the_timer),
	    TCP_TEST(memory_limit_refuses_the_send_whole),
	    TCP_TEST(above_ninety_percent_the_one_without_progress_is_reset),
	    TCP_TEST(reserved_room_is_sent_after_commit),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
