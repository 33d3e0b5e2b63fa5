/* tcp_rack.c, tcp_sack.c, tcp_recover.c: what time says about loss (RFC 8985), and reductions taken back. */
#include "dataplane/net/tcp_sack.h"
#include "tests/unit/net/tcp_rig.h"

#define RTT_US   20000u
#define TS_SACK  (TCP_MINI_OPT_TS | TCP_MINI_OPT_SACK)
#define RTO_US   200000u
#define PROBE_US (2 * RTT_US + 1000u)
#define GRAIN_US 600u /* the wheel's ticks */

/* A connection whose round trip is known. */
static void
establish_rtt(uint8_t opts)
{
	establish(opts, 60000);
	rig.opt_len = 0;
	rig.conn->srtt_us8 = RTT_US * 8;
	rig.conn->rttvar_us4 = RTT_US;
	rig.conn->min_rtt = RTT_US >> TCP_MIN_RTT_SHIFT;
}

static void
sack(uint32_t start, uint32_t end, uint32_t ack)
{
	option_sack(start, end);
	in(ACK, 1, 0, ack, 60000);
	rig.opt_len = 0;
}

/* With a timestamp echo, as when nothing but the ACK came. */
static void
ack_echo(uint32_t ack, uint32_t tsecr)
{
	option_ts(101, tsecr);
	in(ACK, 1, 0, ack, 60000);
	rig.opt_len = 0;
}

static void
last_of_ten_segments_lost_is_probed_after_two_round_trips(void **state)
{
	establish_rtt(TCP_MINI_OPT_SACK);
	send_bytes(10000);
	assert_int_equal(drop_out(), 10);
	pass_us(RTT_US);
	in(ACK, 1, 0, 8001, 60000); /* the ninth waits for its delayed ACK, the tenth is lost */
	expect_nothing();
	pass_us(2 * (rig.conn->srtt_us8 >> 3) + 1000 - GRAIN_US);
	expect_nothing();
	pass_us(2 * GRAIN_US);
	check_payload(expect(ACK, 9001, 1000, 1));
	expect_nothing();
	in(ACK, 1, 0, 10001, 60000);
	expect_nothing();
	assert_int_equal(rig.counters.tcp_tail_probes, 1);
	assert_int_equal(rig.counters.tcp_timeouts, 0);
}

static void
tail_of_four_lost_is_recovered_by_the_probe(void **state)
{
	establish_rtt(TCP_MINI_OPT_SACK);
	send_bytes(10000);
	assert_int_equal(drop_out(), 10);
	pass_us(RTT_US);
	in(ACK, 1, 0, 6001, 60000);
	pass_us(PROBE_US + 2 * GRAIN_US);
	check_payload(expect(ACK, 9001, 1000, 1));
	pass_us(RTT_US);
	expect_nothing();
	sack(9001, 10001, 6001);
	/* Sent before the probe and a round trip ago: lost once the reordering window is over. */
	pass_us(RTT_US / 4 + GRAIN_US);
	check_payload(expect(ACK, 6001, 1000, 1));
	sack(9001, 10001, 7001);
	check_payload(expect(ACK, 7001, 1000, 1));
	check_payload(expect(ACK, 8001, 1000, 1));
	in(ACK, 1, 0, 10001, 60000);
	expect_nothing();
	assert_int_equal(rig.counters.tcp_timeouts, 0);
	assert_int_equal(rig.counters.tcp_fast_recoveries, 1);
}

static void
single_segment_is_not_probed_before_its_timeout(void **state)
{
	establish_rtt(TCP_MINI_OPT_SACK);
	send_bytes(1000);
	assert_int_equal(drop_out(), 1);
	pass_us(RTO_US - 4000);
	expect_nothing();
	pass_us(6000);
	check_payload(expect(ACK, 1, 1000, 1));
	assert_int_equal(rig.counters.tcp_tail_probes, 0);
}

static void
peer_without_sack_is_not_probed(void **state)
{
	establish_rtt(0);
	send_bytes(5000);
	drop_out();
	pass_us(RTO_US - 4000);
	expect_nothing();
}

static void
probe_with_new_data_shrinks_nothing(void **state)
{
	establish_rtt(TCP_MINI_OPT_SACK);
	rig.conn->cwnd = 4000;
	send_bytes(6000);
	assert_int_equal(drop_out(), 4);
	pass_us(PROBE_US + 2 * GRAIN_US);
	check_payload(expect(ACK, 4001, 1000, 1)); /* beyond the congestion window */
	expect_nothing();
	in(ACK, 1, 0, 5001, 60000);
	assert_true(rig.conn->cwnd >= 4000);
	assert_int_equal(rig.conn->more & TCP_M_TAIL, 0);
	drop_out();
}

static void
probe_that_repaired_a_loss_shrinks_the_window(void **state)
{
	establish_rtt(TCP_MINI_OPT_SACK);
	send_bytes(10000);
	drop_out();
	pass_us(PROBE_US + 2 * GRAIN_US);
	expect(ACK, 9001, 1000, 1);
	in(ACK, 1, 0, 10001, 60000);
	uint32_t before = rig.conn->cwnd;
	send_bytes(1000);
	drop_out();
	in(ACK, 1, 0, 11001, 60000); /* beyond the probe and no DSACK: it was needed */
	assert_true(rig.conn->cwnd < before);
	assert_int_equal(rig.conn->more & TCP_M_TAIL, 0);
}

static void
probe_for_nothing_is_told_by_dsack(void **state)
{
	establish_rtt(TCP_MINI_OPT_SACK);
	send_bytes(10000);
	drop_out();
	pass_us(PROBE_US + 2 * GRAIN_US);
	expect(ACK, 9001, 1000, 1);
	in(ACK, 1, 0, 10001, 60000);
	uint32_t before = rig.conn->cwnd;
	sack(9001, 10001, 10001);
	assert_int_equal(rig.conn->more & TCP_M_TAIL, 0);
	send_bytes(1000);
	drop_out();
	in(ACK, 1, 0, 11001, 60000);
	assert_true(rig.conn->cwnd >= before);
}

static void
probe_acknowledged_twice_was_for_nothing(void **state)
{
	establish_rtt(TCP_MINI_OPT_SACK);
	send_bytes(10000);
	drop_out();
	pass_us(PROBE_US + 2 * GRAIN_US);
	expect(ACK, 9001, 1000, 1);
	in(ACK, 1, 0, 10001, 60000);
	assert_int_not_equal(rig.conn->more & TCP_M_TAIL, 0);
	in(ACK, 1, 0, 10001, 60000);
	assert_int_equal(rig.conn->more & TCP_M_TAIL, 0);
}

static void
probe_lost_too_ends_in_a_timeout(void **state)
{
	establish_rtt(TCP_MINI_OPT_SACK);
	send_bytes(3000);
	drop_out();
	pass_us(PROBE_US + 2 * GRAIN_US);
	expect(ACK, 2001, 1000, 1);
	/* Then the first, each time after twice as long, for as long as that is less than the timeout. */
	for (unsigned i = 0; i < 3; i++) {
		pass_us((PROBE_US << i) - 8 * GRAIN_US);
		expect_nothing();
		pass_us(10 * GRAIN_US);
		check_payload(expect(ACK, 1, 1000, 1));
	}
	pass_us(RTO_US - 8000);
	expect_nothing();
	assert_int_equal(rig.counters.tcp_timeouts, 0);
	assert_int_equal(rig.counters.tcp_fast_recoveries, 1);
	pass_us(10000);
	check_payload(expect(ACK, 1, 1000, 1));
	assert_int_equal(rig.counters.tcp_timeouts, 1);
}

static void
data_sent_later_puts_the_probe_off(void **state)
{
	establish_rtt(TCP_MINI_OPT_SACK);
	send_bytes(2000);
	pass_us(RTT_US);
	send_bytes(2000);
	assert_int_equal(drop_out(), 4);
	pass_us(PROBE_US - RTT_US / 2);
	expect_nothing();
	pass_us(RTT_US / 2 + GRAIN_US);
	check_payload(expect(ACK, 3001, 1000, 1));
}

/* At the ACK one segment is in flight, which gets a timeout; the next one may be probed for. */
static void
second_segment_sent_after_the_ack_brings_the_probe(void **state)
{
	establish_rtt(TCP_MINI_OPT_SACK);
	send_bytes(2000);
	assert_int_equal(drop_out(), 2);
	pass_us(RTT_US);
	in(ACK, 1, 0, 1001, 60000);
	send_bytes(1000);
	assert_int_equal(drop_out(), 1);
	pass_us(PROBE_US + 2 * GRAIN_US);
	check_payload(expect(ACK, 2001, 1000, 1));
	in(ACK, 1, 0, 3001, 60000);
	expect_nothing();
	assert_int_equal(rig.counters.tcp_timeouts, 0);
}

/* All but the hole is there, so its retransmission is lost, or the ACK of it: the timeout is not waited for. */
static void
silence_in_a_recovery_sends_the_hole_again(void **state)
{
	establish_rtt(TCP_MINI_OPT_SACK);
	send_bytes(6000);
	assert_int_equal(drop_out(), 6);
	pass_us(RTT_US);
	sack(1001, 4001, 1);
	check_payload(expect(ACK, 1, 1000, 1));
	pass_us(PROBE_US - GRAIN_US);
	expect_nothing();
	pass_us(3 * GRAIN_US);
	check_payload(expect(ACK, 1, 1000, 1));
	pass_us(2 * PROBE_US - 3 * GRAIN_US);
	expect_nothing();
	pass_us(3 * GRAIN_US);
	check_payload(expect(ACK, 1, 1000, 1));
	expect_nothing();
	in(ACK, 1, 0, 6001, 60000);
	expect_nothing();
	assert_int_equal(rig.counters.tcp_timeouts, 0);
	assert_int_equal(rig.counters.tcp_fast_recoveries, 1);
}

static void
silence_counts_from_what_was_heard_last(void **state)
{
	establish_rtt(TCP_MINI_OPT_SACK);
	send_bytes(10000);
	drop_out();
	pass_us(RTT_US);
	for (unsigned i = 0; i < 4; i++) {
		sack(1001, 4001 + 1000 * i, 1);
		pass_us(PROBE_US - 4 * GRAIN_US);
	}
	assert_int_equal(rig.counters.tcp_retransmits, 1);
	pass_us(6 * GRAIN_US);
	assert_int_equal(rig.counters.tcp_retransmits, 2);
	drop_out();
}

static void
silence_after_a_timeout_is_probed_once_something_was_heard(void **state)
{
	establish_rtt(TCP_MINI_OPT_SACK);
	send_bytes(8000);
	drop_out();
	pass_us(8 * PROBE_US + RTO_US + 5 * GRAIN_US);
	drop_out();
	assert_int_equal(rig.counters.tcp_timeouts, 1);
	uint64_t before = rig.counters.tcp_retransmits;
	in(ACK, 1, 0, 1001, 60000);
	expect(ACK, 1001, 1000, 1);
	expect(ACK, 2001, 1000, 1);
	expect_nothing();
	assert_int_equal(rig.counters.tcp_retransmits, before + 2);
	pass_us(2 * PROBE_US);
	assert_int_equal(rig.counters.tcp_retransmits, before + 3);
	check_payload(expect(ACK, 1001, 1000, 1));
	assert_int_equal(rig.counters.tcp_timeouts, 1);
	drop_out();
}

/* One segment overtaken by another: with three SACKed above it would have been sent again by counting. */
static void
reordering_once_seen_is_waited_for(void **state)
{
	establish_rtt(TCP_MINI_OPT_SACK);
	send_bytes(10000);
	drop_out();
	pass_us(RTT_US);
	sack(1001, 2001, 1);
	in(ACK, 1, 0, 2001, 60000); /* the first came late: reordering */
	assert_int_equal(rig.conn->rack & 15, 1);
	expect_nothing();
	sack(3001, 9001, 2001);
	expect_nothing(); /* six segments above the hole */
	pass_us(RTT_US / 8);
	in(ACK, 1, 0, 9001, 60000);
	expect_nothing();
	assert_int_equal(rig.counters.tcp_retransmits, 0);
	assert_int_equal(rig.counters.tcp_fast_recoveries, 0);
}

static void
hole_beyond_the_reordering_window_is_sent_again_by_its_timer(void **state)
{
	establish_rtt(TCP_MINI_OPT_SACK);
	send_bytes(10000);
	drop_out();
	pass_us(RTT_US);
	sack(1001, 2001, 1); /* one segment above: counting would wait for two more */
	expect_nothing();
	pass_us(RTT_US / 4 - 2 * GRAIN_US);
	expect_nothing();
	pass_us(3 * GRAIN_US);
	check_payload(expect(ACK, 1, 1000, 1));
	expect_nothing();
	assert_int_equal(rig.counters.tcp_fast_recoveries, 1);
}

static void
retransmission_lost_again_is_found_without_a_timeout(void **state)
{
	establish_rtt(TCP_MINI_OPT_SACK);
	send_bytes(20000);
	assert_int_equal(drop_out(), 10);
	pass_us(RTT_US);
	sack(1001, 5001, 1);
	check_payload(expect(ACK, 1, 1000, 1));
	uint32_t from = rig.conn->snd_nxt - rig.iss;
	sack(1001, 9001, 1); /* arrivals let new data out, after the retransmission */
	assert_true(drop_out() > 0);
	uint32_t to = rig.conn->snd_nxt - rig.iss;
	assert_true(to > from);
	pass_us(RTT_US + 100);
	sack(1001, to, 1); /* what left after it arrived, and it did not */
	pass_us(RTT_US / 4 + GRAIN_US);
	check_payload(expect(ACK, 1, 1000, 1));
	assert_int_equal(rig.counters.tcp_timeouts, 0);
	drop_out();
}

/* No sample, no timestamps, and everything was sent twice: which copy arrived is not known, so time says nothing. */
static void
unmeasured_round_trip_declares_nothing_lost(void **state)
{
	establish_rtt(TCP_MINI_OPT_SACK);
	rig.conn->srtt_us8 = rig.conn->min_rtt = 0;
	send_bytes(6000);
	assert_int_equal(drop_out(), 6);
	pass_us(1100000);
	check_payload(expect(ACK, 1, 1000, 1)); /* the first timeout, a second without a sample */
	expect_nothing();
	in(ACK, 1, 0, 1001, 60000);
	assert_int_equal(drop_out(), 2);
	rig.now_us += 10;
	sack(2001, 3001, 1001); /* of the first copy */
	drop_out();
	uint64_t before = rig.counters.tcp_retransmits;
	for (unsigned i = 0; i < 50; i++) {
		rig.now_us += 100;
		sack(2001, 3001, 1001);
	}
	assert_true(rig.counters.tcp_retransmits - before <= 3);
	drop_out();
}

/* A round trip of a few microseconds is a least one too, not "unknown", which a longer one would replace. */
static void
round_trip_below_16_us_stays_the_least(void **state)
{
	establish(TCP_MINI_OPT_SACK, 60000);
	rig.opt_len = 0;
	rig.conn->min_rtt = 0;
	for (unsigned i = 0; i < 4; i++) {
		send_bytes(1000);
		drop_out();
		rig.now_us += i ? 3000 : 5;
		in(ACK, 1, 0, 1001 + 1000 * i, 60000);
		assert_int_equal(rig.conn->min_rtt, 1);
	}
}

static void
timeout_sends_again_only_what_is_old(void **state)
{
	establish_rtt(TCP_MINI_OPT_SACK);
	rig.conn->cwnd = 20000;
	send_bytes(1000);
	pass_us(RTO_US - 2000);
	send_bytes(5000);
	assert_int_equal(drop_out(), 6);
	pass_us(4000);
	check_payload(expect(ACK, 1, 1000, 1));
	expect_nothing();
	in(ACK, 1, 0, 6001, 60000);
	expect_nothing();
	assert_int_equal(rig.counters.tcp_retransmits, 1);
}

static void
spurious_timeout_is_undone_by_timestamps(void **state)
{
	establish_rtt(TS_SACK);
	option_ts(100, 0);
	send_bytes(8000);
	uint32_t tsval = rig.out[rig.out_head].seg.tsval;
	assert_int_equal(drop_out(), 9); /* MSS 988 */
	uint32_t cwnd = rig.conn->cwnd, ssthresh = rig.conn->ssthresh;
	pass_us(PROBE_US + 2 * GRAIN_US);
	assert_int_equal(drop_out(), 1); /* the tail probe */
	pass_us(7 * PROBE_US + RTO_US + 5 * GRAIN_US);
	assert_int_equal(drop_out(), 4);
	assert_int_equal(rig.counters.tcp_timeouts, 1);
	assert_true(rig.conn->cwnd < cwnd);
	ack_echo(4953 - 1000, tsval); /* for what left first: delayed, not lost */
	assert_true(rig.conn->cwnd >= cwnd);
	assert_int_equal(rig.conn->ssthresh, ssthresh);
	assert_int_equal(rig.conn->flags & (TCP_F_RECOVERY | TCP_F_LOSS), 0);
	assert_int_equal(rig.counters.tcp_undone, 1);
	expect_nothing(); /* and nothing more is sent again */
}

static void
timeout_answered_for_its_copy_is_not_undone(void **state)
{
	establish_rtt(TS_SACK);
	send_bytes(900);
	assert_int_equal(drop_out(), 1);
	pass_us(RTO_US + 2000);
	uint32_t tsval = expect(ACK, 1, 900, 1)->seg.tsval;
	ack_echo(901, tsval);
	assert_int_equal(rig.counters.tcp_undone, 0);
	assert_true(rig.conn->ssthresh < 100000);
}

static void
spurious_recovery_is_undone_by_dsack(void **state)
{
	establish_rtt(TCP_MINI_OPT_SACK);
	send_bytes(20000);
	assert_int_equal(drop_out(), 10);
	uint32_t cwnd = rig.conn->cwnd;
	pass_us(RTT_US);
	sack(1001, 5001, 1);
	check_payload(expect(ACK, 1, 1000, 1));
	assert_true(rig.conn->cwnd < cwnd);
	in(ACK, 1, 0, 5001, 60000); /* the original */
	drop_out();
	sack(1, 1001, 5001); /* its copy */
	assert_int_equal(rig.counters.tcp_undone, 1);
	assert_true(rig.conn->cwnd >= cwnd);
	assert_int_equal(rig.conn->rack & 15, 2); /* and the reordering window is two quarters now */
	drop_out();
}

static void
recovery_undone_by_timestamps_widens_the_reordering_window(void **state)
{
	establish_rtt(TS_SACK);
	option_ts(100, 0);
	send_bytes(20000);
	uint32_t tsval = rig.out[rig.out_head].seg.tsval;
	drop_out();
	pass_us(RTT_US);
	sack(989, 4941, 1);
	assert_int_equal(rig.counters.tcp_fast_recoveries, 1);
	assert_int_equal(rig.counters.tcp_retransmits, 1);
	drop_out();
	ack_echo(4941, tsval); /* the original came late */
	assert_int_equal(rig.counters.tcp_undone, 1);
	assert_int_equal(rig.conn->rack & 15, 2);
	drop_out();
}

/*
 * A hole whose copy left in the first recovery is filled in the second, by an ACK that echoes that copy: older than what
 * the second has sent again, and yet no original.
 */
static void
copy_of_an_earlier_recovery_undoes_nothing(void **state)
{
	enum { S = 988 };
	establish_rtt(TS_SACK);
	rig.conn->cwnd = 20 * S;
	send_bytes(60 * S);
	assert_int_equal(drop_out(), 20);
	pass_us(RTT_US);
	sack(S + 1, 15 * S + 1, 1);
	expect(ACK, 1, S, 1);
	sack(S + 1, 20 * S + 1, 1);
	unsigned fresh = drop_out(); /* of which the first is lost, and the fifth */
	assert_true(fresh > 5);
	pass_us(RTT_US);
	sack(21 * S + 1, 24 * S + 1, 1);
	expect(ACK, 1, S, 1); /* again: its copy was lost, too */
	uint32_t tsval = expect(ACK, 20 * S + 1, S, 1)->seg.tsval;
	drop_out();
	ack_echo(20 * S + 1, tsval);
	assert_int_equal(rig.conn->flags & TCP_F_RECOVERY, 0);
	drop_out();
	pass_us(RTT_US / 2);
	sack(25 * S + 1, (20 + fresh) * S + 1, 20 * S + 1);
	assert_int_equal(rig.counters.tcp_fast_recoveries, 2);
	expect(ACK, 24 * S + 1, S, 1);
	drop_out();
	ack_echo(24 * S + 1, tsval);
	assert_int_equal(rig.counters.tcp_undone, 0);
	assert_int_not_equal(rig.conn->flags & TCP_F_RECOVERY, 0);
	drop_out();
}

static void
duplicates_made_by_the_network_change_nothing(void **state)
{
	establish_rtt(TCP_MINI_OPT_SACK);
	for (unsigned i = 0; i < 20; i++) {
		send_bytes(1000);
		drop_out();
		pass_us(RTT_US);
		in(ACK, 1, 0, 1001 + i * 1000, 60000);
		sack(1 + i * 1000, 1001 + i * 1000, 1001 + i * 1000);
	}
	assert_int_equal(rig.conn->rack, 0);
	assert_int_equal(rig.counters.tcp_undone, 0);
	assert_int_equal(rig.counters.tcp_retransmits, 0);
}

/* Half of a large window is lost: what leaves is what arrives, times what the window shrank (RFC 6937). */
static void
recovery_sends_in_proportion_to_what_arrives(void **state)
{
	establish_rtt(TCP_MINI_OPT_SACK);
	rig.conn->cwnd = rig.conn->ssthresh = 20000;
	send_bytes(50000);
	assert_int_equal(drop_out(), 20);
	pass_us(RTT_US);
	uint32_t sent = 0;
	for (uint32_t end = 2001; end <= 20001; end += 1000) {
		sack(1001, end, 1);
		sent += drop_out();
	}
	assert_in_range(sent, 13, 16); /* 0.7 of 20 */
	assert_true(tcp_seq_le(rig.conn->cwnd, rig.conn->ssthresh + 1000));
}

static void
no_memory_for_a_board_leaves_the_timeout(void **state)
{
	establish_rtt(TCP_MINI_OPT_SACK);
	send_bytes(5000);
	drop_out();
	rig.alloc_fails = true;
	pass_us(RTT_US);
	sack(1001, 5001, 1);
	assert_null(rig.conn->board);
	expect_nothing();
	pass_us(PROBE_US + RTO_US + 2000);
	check_payload(expect(ACK, 1, 1000, 1));
	rig.alloc_fails = false;
	in(ACK, 1, 0, 5001, 60000);
	expect_nothing();
	assert_int_equal(rig.conn->flags & (TCP_F_RECOVERY | TCP_F_LOSS), 0);
}

/* Every second segment is missing and every segment was sent at another time: more runs than a board has. */
static void
full_board_stays_sound_and_recovers(void **state)
{
	enum { SEGMENTS = 500 };
	rig.config.snd_buffer_bytes = 1 << 20;
	rig_restart();
	struct tcp_opt_syn o = {.mss = 100, .wscale = 4, .options = TCP_MINI_OPT_SACK | TCP_MINI_OPT_WS};
	rig.opt_len = tcp_opt_syn(rig.opt, &o);
	in(SYN, 0, 0, 0, 60000);
	expect(SYN | ACK, 0, 0, 1);
	rig.opt_len = 0;
	in(ACK, 1, 0, 1, 60000);
	rig.conn->cwnd = rig.conn->ssthresh = 1000000;
	for (unsigned i = 0; i < SEGMENTS; i++) {
		rig.now_us += 100;
		send_bytes(100);
	}
	assert_int_equal(drop_out(), SEGMENTS);
	for (uint32_t i = 1; i < SEGMENTS; i += 2) {
		rig.now_us += 10;
		sack(1 + i * 100, 101 + i * 100, 1);
		assert_null(tcp_check(rig.tcp));
		assert_true(rig.conn->board->len <= TCP_BOARD_RUNS_MAX);
	}
	for (unsigned i = 0; i < 4 * SEGMENTS && tcp_flight(rig.conn); i++) {
		pass_us(1000);
		uint32_t una = rig.conn->snd_una - rig.iss;
		while (rig.out_head < rig.out_len) {
			struct out *out = next_out();
			check_payload(out);
			/* The peer had every second one. */
			if (out->seg.seq == rig.iss + una)
				una += 200;
		}
		in(ACK, 1, 0, RTE_MIN(una, 1 + SEGMENTS * 100u), 60000);
		assert_null(tcp_check(rig.tcp));
	}
	assert_int_equal(tcp_flight(rig.conn), 0);
	assert_null(rig.conn->board);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TCP_TEST(last_of_ten_segments_lost_is_probed_after_two_round_trips),
	    TCP_TEST(tail_of_four_lost_is_recovered_by_the_probe),
	    TCP_TEST(single_segment_is_not_probed_before_its_timeout),
	    TCP_TEST(peer_without_sack_is_not_probed),
	    TCP_TEST(probe_with_new_data_shrinks_nothing),
	    TCP_TEST(probe_that_repaired_a_loss_shrinks_the_window),
	    TCP_TEST(probe_for_nothing_is_told_by_dsack),
	    TCP_TEST(probe_acknowledged_twice_was_for_nothing),
	    TCP_TEST(probe_lost_too_ends_in_a_timeout),
	    TCP_TEST(data_sent_later_puts_the_probe_off),
	    TCP_TEST(second_segment_sent_after_the_ack_brings_the_probe),
	    TCP_TEST(silence_in_a_recovery_sends_the_hole_again),
	    TCP_TEST(silence_counts_from_what_was_heard_last),
	    TCP_TEST(silence_after_a_timeout_is_probed_once_something_was_heard),
	    TCP_TEST(reordering_once_seen_is_waited_for),
	    TCP_TEST(hole_beyond_the_reordering_window_is_sent_again_by_its_timer),
	    TCP_TEST(retransmission_lost_again_is_found_without_a_timeout),
	    TCP_TEST(unmeasured_round_trip_declares_nothing_lost),
	    TCP_TEST(round_trip_below_16_us_stays_the_least),
	    TCP_TEST(timeout_sends_again_only_what_is_old),
	    TCP_TEST(spurious_timeout_is_undone_by_timestamps),
	    TCP_TEST(timeout_answered_for_its_copy_is_not_undone),
	    TCP_TEST(spurious_recovery_is_undone_by_dsack),
	    TCP_TEST(recovery_undone_by_timestamps_widens_the_reordering_window),
	    TCP_TEST(copy_of_an_earlier_recovery_undoes_nothing),
	    TCP_TEST(duplicates_made_by_the_network_change_nothing),
	    TCP_TEST(recovery_sends_in_proportion_to_what_arrives),
	    TCP_TEST(no_memory_for_a_board_leaves_the_timeout),
	    TCP_TEST(full_board_stays_sound_and_recovers),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
