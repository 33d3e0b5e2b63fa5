/*
 * Bugs that other stacks shipped and that no other test here is named after. docs/TCP.md lists all of them with their
 * tests.
 */
#include "dataplane/net/tcp_rx.h"
#include "tests/unit/net/tcp_rig.h"

#define RTO_US 200000u

/* The bytes before a FIN find no memory: neither they nor the FIN may be acknowledged. */
static void
fin_behind_bytes_without_memory_comes_again(void **state)
{
	establish(0, 1000);
	rig.take_max = 0;
	rig.alloc_fails = true;
	in(FIN | ACK, 1, 100, 1, 1000);
	expect(ACK, 1, 0, 1);
	assert_int_equal(rig.conn->state, TCP_ESTABLISHED);
	rig.alloc_fails = false;
	in(FIN | ACK, 1, 100, 1, 1000);
	expect(ACK, 1, 0, 102);
	assert_int_equal(rig.eof, 0);
	rig.take_max = UINT32_MAX;
	tcp_resume(rig.conn);
	check_received(100);
	assert_int_equal(rig.eof, 1);
}

/* Out of order, too. */
static void
fin_beyond_a_hole_without_memory_comes_again(void **state)
{
	establish(0, 1000);
	rig.alloc_fails = true;
	in(FIN | ACK, 101, 100, 1, 1000);
	expect(ACK, 1, 0, 1);
	rig.alloc_fails = false;
	in(ACK, 1, 100, 1, 1000);
	in(FIN | ACK, 101, 100, 1, 1000);
	drop_out();
	check_received(200);
	assert_int_equal(rig.eof, 1);
	assert_int_equal(rig.conn->state, TCP_CLOSE_WAIT);
}

static void
window_update_in_an_open_window_is_taken(void **state)
{
	establish(0, 1000);
	send_bytes(3000);
	expect(ACK, 1, 1000, 1);
	expect_nothing();
	in(ACK, 1, 0, 1, 3000); /* nothing acknowledged, the window was not 0 */
	check_payload(expect(ACK, 1001, 1000, 1));
	check_payload(expect(ACK, 2001, 1000, 1));
}

static void
window_probe_leaves_whatever_the_congestion_window_says(void **state)
{
	establish(0, 2000);
	send_bytes(3000);
	assert_int_equal(drop_out(), 2);
	rig.conn->cwnd = 1;
	in(ACK, 1, 0, 1, 0); /* it takes its window back with everything in flight */
	pass_us(RTO_US + 2000);
	expect(ACK, 0, 0, 1);
	expect_nothing();
	in(ACK, 1, 0, 2001, 0);
	pass_us(2 * RTO_US);
	expect(ACK, 2000, 0, 1);
	expect_nothing();
}

/* Both ends with a closed window and bytes to send: an answer to a probe asks for no answer. */
static void
closed_windows_at_both_ends_make_no_ack_loop(void **state)
{
	rig.config.rcv_buffer_bytes = 1000;
	rig_restart();
	establish(0, 0);
	rig.take_max = 0;
	in(ACK, 1, 1000, 1, 0);
	send_bytes(500);
	drop_out();
	assert_int_equal(tcp_rx_window(rig.conn), 0);
	unsigned answers = 0;
	for (unsigned i = 0; i < 100; i++) {
		in(ACK, 1001, 0, 1, 0); /* what a peer in the same state answers */
		answers += drop_out();
	}
	assert_int_equal(answers, 0);
	in(ACK, 1000, 0, 1, 0); /* its probe */
	expect(ACK, 1, 0, 1001);
	expect_nothing();
}

static void
rtt_is_taken_when_the_acknowledgement_arrives(void **state)
{
	establish(0, 10000);
	rig.conn->srtt_us8 = 0;
	send_bytes(100);
	drop_out();
	rig.now_us += 1000;
	in_only(ACK, 1, 0, 101, 10000); /* the burst's time */
	rig.now_us += 50000;            /* a slow pass */
	tcp_tick(rig.tcp, rig.now_us);
	tcp_flush(rig.tcp);
	assert_int_equal(rig.conn->srtt_us8 >> 3, 1000);
}

/* The next 1000 bytes are lost until they are smaller than a segment. */
static void
send_into_a_black_hole(void)
{
	uint32_t at = rig.conn->snd_nxt - rig.iss;
	send_bytes(1000);
	expect(ACK, at, 1000, 1);
	for (unsigned i = 0; i < 2; i++) {
		pass_us((RTO_US << i) + 4000);
		expect(ACK, at, 1000, 1);
	}
	pass_us((RTO_US << 2) + 4000);
	check_payload(expect(ACK, at, 512, 1));
	expect_nothing();
	in(ACK, 1, 0, at + 512, 60000);
	check_payload(expect(ACK, at + 512, 488, 1));
	in(ACK, 1, 0, at + 1000, 60000);
	expect_nothing();
}

static void
full_segments_that_vanish_three_times_become_smaller(void **state)
{
	establish(TCP_MINI_OPT_SACK, 60000);
	send_into_a_black_hole();
	assert_int_equal(rig.counters.tcp_blackholes, 1);
	pass_us(60 * 1000000);
	send_bytes(1000);
	assert_int_equal(drop_out(), 2);
}

/* As after an outage: 19 minutes later larger segments are tried, and stay when they arrive. */
static void
segments_made_smaller_for_a_black_hole_grow_again(void **state)
{
	rig.config.keepalive_idle_us = 60 * 1000000;
	rig.config.keepalive_probes = 255;
	rig_restart();
	establish(TCP_MINI_OPT_SACK, 60000);
	send_into_a_black_hole();
	for (unsigned i = 0; i < 19; i++) {
		pass_us(60 * 1000000);
		drop_out();
		in(ACK, 1, 0, 1001, 60000); /* to the keepalive */
	}
	for (unsigned i = 0; i < 3; i++) {
		send_bytes(900);
		check_payload(expect(ACK, 1001 + 900 * i, 900, 1));
		in(ACK, 1, 0, 1901 + 900 * i, 60000);
		pass_us(70 * 1000000);
		drop_out();
		in(ACK, 1, 0, 1901 + 900 * i, 60000);
	}
	assert_int_equal(rig.conn->mss_before, 0);
	assert_int_equal(rig.counters.tcp_blackholes, 1);
}

static void
larger_segments_on_trial_that_vanish_shrink_at_the_first_timeout(void **state)
{
	establish(TCP_MINI_OPT_SACK, 60000);
	send_into_a_black_hole();
	pass_us(19ull * 60 * 1000000);
	send_bytes(400);
	expect(ACK, 1001, 400, 1);
	pass_us(10000); /* the wheel has the connection again */
	in(ACK, 1, 0, 1401, 60000);
	pass_us(RTO_US);
	send_bytes(960); /* all of 1000, but for what keeping it in a byte costs */
	expect(ACK, 1401, 960, 1);
	pass_us(RTO_US + 4000);
	check_payload(expect(ACK, 1401, 512, 1));
	in(ACK, 1, 0, 1913, 60000);
	check_payload(expect(ACK, 1913, 448, 1));
	assert_int_equal(rig.counters.tcp_blackholes, 2);
}

static void
small_segments_that_vanish_stay_as_they_are(void **state)
{
	establish(TCP_MINI_OPT_SACK, 60000);
	send_bytes(400);
	drop_out();
	pass_us(10 * RTO_US);
	drop_out();
	assert_int_equal(rig.conn->mss, 1000);
	assert_int_equal(rig.counters.tcp_blackholes, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TCP_TEST(fin_behind_bytes_without_memory_comes_again),
	    TCP_TEST(fin_beyond_a_hole_without_memory_comes_again),
	    TCP_TEST(window_update_in_an_open_window_is_taken),
	    TCP_TEST(window_probe_leaves_whatever_the_congestion_window_says),
	    TCP_TEST(closed_windows_at_both_ends_make_no_ack_loop),
	    TCP_TEST(rtt_is_taken_when_the_acknowledgement_arrives),
	    TCP_TEST(full_segments_that_vanish_three_times_become_smaller),
	    TCP_TEST(segments_made_smaller_for_a_black_hole_grow_again),
	    TCP_TEST(larger_segments_on_trial_that_vanish_shrink_at_the_first_timeout),
	    TCP_TEST(small_segments_that_vanish_stay_as_they_are),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
