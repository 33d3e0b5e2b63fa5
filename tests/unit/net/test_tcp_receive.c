/* tcp_in.c and tcp_rx.c: what is taken, what is acknowledged and when, and what a peer cannot do. */
#include "dataplane/net/tcp_rx.h"
#include "dataplane/net/tcp_spare.h"
#include "tests/unit/net/tcp_rig.h"

#define ALL_OPTIONS (TCP_MINI_OPT_TS | TCP_MINI_OPT_SACK)

static void
one_segment_is_acknowledged_after_40_ms(void **state)
{
	establish(0, 1000);
	in(ACK, 1, 10, 1, 1000);
	check_received(10);
	expect_nothing();
	pass_us(39000);
	expect_nothing();
	pass_us(2000);
	expect(ACK, 1, 0, 11);
	pass_us(1000000);
	expect_nothing();
}

static void
every_second_segment_is_acknowledged_at_once(void **state)
{
	establish(0, 1000);
	for (unsigned i = 0; i < 6; i++)
		in(ACK, 1 + 10 * i, 10, 1, 1000);
	expect(ACK, 1, 0, 21);
	expect(ACK, 1, 0, 41);
	expect(ACK, 1, 0, 61);
	expect_nothing();
}

static void
reply_carries_the_ack(void **state)
{
	establish(0, 1000);
	rig.echo = true;
	in(ACK, 1, 10, 1, 1000);
	expect(ACK, 1, 10, 11);
	in(ACK, 11, 0, 11, 1000);
	pass_us(1000000);
	expect_nothing();
}

static void
burst_of_16_requests_gives_one_reply_segment(void **state)
{
	struct tcp_rx rx[16];
	establish(0, 1000);
	rig.echo = true;
	for (unsigned i = 0; i < 16; i++)
		rx[i] = (struct tcp_rx){.m = make_segment(ACK, 1 + i * 10, 10, 1, 1000), .flow = rig.flow};
	tcp_input(rig.tcp, rx, 16);
	assert_int_equal(rig.received_calls, 16);
	expect_nothing();
	tcp_flush(rig.tcp);
	expect(ACK, 1, 160, 161);
	expect_nothing();
	assert_int_equal(rig.peeks, 1); /* only the first was next in order when the burst came */
}

static void
segment_beyond_a_hole_is_acknowledged_at_once_with_sack(void **state)
{
	establish(TCP_MINI_OPT_SACK, 1000);
	in(ACK, 11, 10, 1, 1000);
	struct out *o = expect(ACK, 1, 0, 1);
	assert_int_equal(o->seg.sacks_len, 1);
	assert_int_equal(o->seg.sacks[0].start - PEER_ISS, 11);
	assert_int_equal(o->seg.sacks[0].end - PEER_ISS, 21);
	check_received(0);
	in(ACK, 1, 10, 1, 1000);
	check_received(20);
	o = expect(ACK, 1, 0, 21);
	assert_int_equal(o->seg.sacks_len, 0);
	assert_null(rig.conn->rxq);
}

static void
sack_names_the_newest_island_first_and_three_with_timestamps(void **state)
{
	establish(ALL_OPTIONS, 1000);
	for (unsigned i = 0; i < 4; i++)
		in(ACK, 101 + i * 20, 10, 1, 1000);
	for (unsigned i = 0; i < 3; i++)
		drop_out();
	in(ACK, 121, 11, 1, 1000);
	struct out *o = expect(ACK, 1, 0, 1);
	assert_int_equal(o->seg.sacks_len, 3);
	assert_int_equal(o->seg.sacks[0].start - PEER_ISS, 121);
	assert_int_equal(o->seg.sacks[0].end - PEER_ISS, 132);
	assert_int_equal(o->seg.sacks[1].start - PEER_ISS, 161);
	assert_int_equal(o->seg.sacks[2].start - PEER_ISS, 141);
}

static void
duplicate_is_reported_by_dsack(void **state)
{
	establish(TCP_MINI_OPT_SACK, 1000);
	in(ACK, 1, 10, 1, 1000);
	in(ACK, 1, 10, 1, 1000);
	struct out *o = expect(ACK, 1, 0, 11);
	assert_int_equal(o->seg.sacks_len, 1);
	assert_int_equal(o->seg.sacks[0].start - PEER_ISS, 1);
	assert_int_equal(o->seg.sacks[0].end - PEER_ISS, 11);
	check_received(10);
}

/* Three segments of any place and length in eight bytes, in that order, then all eight: each byte exactly once. */
static void
all_overlaps_give_the_exact_bytes(void **state)
{
	unsigned cases = 0, base = 0;
	establish(TCP_MINI_OPT_SACK, 60000);
	for (unsigned a = 0; a < 36; a++) {
		for (unsigned b = 0; b < 36; b++) {
			unsigned c = (a * 7 + b * 5) % 36;
			const unsigned picks[3] = {a, b, c};
			for (unsigned i = 0; i < 3; i++) {
				unsigned start = 0, left = picks[i];
				while (left >= 8 - start)
					left -= 8 - start++;
				in(ACK, 1 + base + start, left + 1, 1, 60000);
			}
			in(ACK, 1 + base, 8, 1, 60000);
			base += 8;
			assert_null(tcp_check(rig.tcp));
			drop_out();
			cases++;
		}
	}
	assert_int_equal(cases, 36 * 36);
	check_received(8 * 36 * 36);
}

static void
ninth_island_is_dropped_and_counted(void **state)
{
	establish(TCP_MINI_OPT_SACK, 1000);
	for (unsigned i = 0; i < 9; i++)
		in(ACK, 101 + i * 20, 10, 1, 1000);
	assert_int_equal(rig.counters.drop_tcp_ooo_full, 1);
	assert_null(tcp_check(rig.tcp));
	drop_out();
}

static bool
sack_names(const struct tcp_seg *seg, uint32_t seq)
{
	for (unsigned i = 0; i < seg->sacks_len; i++)
		if (seg->sacks[i].start - PEER_ISS <= seq && seq < seg->sacks[i].end - PEER_ISS)
			return true;
	return false;
}

/* A report of a duplicate above the ACK is a SACK: the peer would not send again before its timeout. */
static void
segment_that_finds_no_place_is_not_reported(void **state)
{
	establish(TCP_MINI_OPT_SACK, 1000);
	rig.alloc_fails = true;
	in(ACK, 101, 10, 1, 1000);
	assert_int_equal(expect(ACK, 1, 0, 1)->seg.sacks_len, 0);
	rig.alloc_fails = false;
	for (unsigned i = 0; i < TCP_OOO_ISLANDS; i++) {
		in(ACK, 101 + i * 20, 10, 1, 1000);
		assert_true(sack_names(&expect(ACK, 1, 0, 1)->seg, 101 + i * 20));
	}
	in(ACK, 501, 10, 1, 1000);
	assert_false(sack_names(&expect(ACK, 1, 0, 1)->seg, 501));
	in(ACK, 101, 10, 1, 1000);
	assert_int_equal(next_out()->seg.sacks[0].end - PEER_ISS, 111);
	assert_int_equal(rig.counters.tcp_duplicates_in, 1);
}

static void
segment_smack_holds_bounded_memory(void **state)
{
	struct tcp_usage u;
	establish(TCP_MINI_OPT_SACK, 1000);
	for (unsigned i = 0; i < 20000; i++) {
		in(ACK, 3 + i * 2 % 60000, 1, 1, 1000);
		drop_out();
	}
	tcp_usage(rig.tcp, &u);
	assert_true(u.memory_bytes <= sizeof(struct tcp_conn) + 64 + TCP_OOO_BLOCKS * TCP_BLOCK_2K_BYTES);
	assert_int_equal(u.mbufs, 0);
	assert_int_equal(testpool_outstanding(rig.pool), 0);
	assert_null(tcp_check(rig.tcp));
}

static void
paused_application_closes_the_window_and_keeps_every_byte(void **state)
{
	rig.config.rcv_buffer_bytes = 4000;
	rig_restart();
	establish(0, 1000);
	rig.take_max = 5;
	uint32_t edge = 0, seq = 1;
	for (unsigned i = 0; i < 40; i++) {
		uint32_t len = RTE_MIN(500u, rig.conn->rcv_edge - rig.conn->rcv_nxt);
		if (!len)
			break;
		in(ACK, seq, len, 1, 1000);
		seq += len;
		pass_us(50000);
		while (rig.out_head < rig.out_len) {
			struct out *o = next_out();
			assert_true(o->seg.ack + o->seg.wnd - PEER_ISS >= edge);
			edge = o->seg.ack + o->seg.wnd - PEER_ISS;
		}
	}
	assert_int_equal(edge, seq); /* closed */
	in(ACK, seq, 1, 1, 1000);    /* a probe with a byte */
	assert_int_equal(expect(ACK, 1, 0, seq)->seg.wnd, 0);
	in(ACK, seq - 1, 0, 1, 1000); /* an empty one below */
	assert_int_equal(expect(ACK, 1, 0, seq)->seg.wnd, 0);
	rig.take_max = UINT32_MAX;
	tcp_resume(rig.conn);
	tcp_flush(rig.tcp);
	check_received(seq - 1);
	assert_true(expect(ACK, 1, 0, seq)->seg.wnd > 0);
	expect_nothing();
}

static void
small_consumption_makes_no_window_update(void **state)
{
	rig.config.rcv_buffer_bytes = 4000;
	rig_restart();
	establish(0, 1000);
	rig.take_max = 0;
	in(ACK, 1, 10, 1, 1000);
	pass_us(50000);
	drop_out();
	rig.take_max = UINT32_MAX;
	tcp_resume(rig.conn);
	tcp_flush(rig.tcp);
	expect_nothing();
	check_received(10);
}

static void
fin_on_a_closed_window_is_taken(void **state)
{
	rig.config.rcv_buffer_bytes = 1000;
	rig_restart();
	establish(0, 1000);
	rig.take_max = 0;
	in(ACK, 1, 1000, 1, 1000);
	drop_out();
	in(FIN | ACK, 1001, 0, 1, 1000);
	assert_int_equal(expect(ACK, 1, 0, 1002)->seg.wnd, 0);
	assert_int_equal(rig.eof, 0);
	rig.take_max = UINT32_MAX;
	tcp_resume(rig.conn);
	check_received(1000);
	assert_int_equal(rig.eof, 1);
}

static void
fin_clipped_by_the_window_has_no_effect_yet(void **state)
{
	rig.config.rcv_buffer_bytes = 1000;
	rig_restart();
	establish(0, 1000);
	rig.take_max = 0;
	in(FIN | ACK, 1, 1001, 1, 1000);
	expect(ACK, 1, 0, 1001);
	assert_int_equal(rig.conn->state, TCP_ESTABLISHED);
	in(FIN | ACK, 5000, 0, 1, 1000);
	expect(ACK, 1, 0, 1001);
	assert_int_equal(rig.conn->state, TCP_ESTABLISHED);
}

static void
fin_beyond_a_hole_waits_for_it(void **state)
{
	establish(TCP_MINI_OPT_SACK, 1000);
	in(FIN | ACK, 11, 10, 1, 1000);
	expect(ACK, 1, 0, 1);
	assert_int_equal(rig.eof, 0);
	in(ACK, 1, 10, 1, 1000);
	expect(ACK, 1, 0, 22);
	check_received(20);
	assert_int_equal(rig.eof, 1);
}

static void
bare_fin_beyond_a_hole_waits_for_it(void **state)
{
	establish(0, 1000);
	in(FIN | ACK, 11, 0, 1, 1000);
	expect(ACK, 1, 0, 1);
	in(ACK, 1, 10, 1, 1000);
	expect(ACK, 1, 0, 12);
	assert_int_equal(rig.eof, 1);
}

static void
chained_segment_is_delivered_in_parts(void **state)
{
	establish(0, 1000);
	struct tcp_rx rx = {.m = make_segment(ACK, 1, 10, 1, 1000), .flow = rig.flow};
	struct rte_mbuf *tail = rte_pktmbuf_alloc(rig.pool);
	uint8_t *p = (uint8_t *)rte_pktmbuf_append(tail, 5);
	for (unsigned i = 0; i < 5; i++)
		p[i] = (uint8_t)(11 + i);
	assert_int_equal(rte_pktmbuf_chain(rx.m, tail), 0);
	tcp_input(rig.tcp, &rx, 1);
	check_received(15);
	assert_int_equal(rig.received_calls, 2);
}

static void
older_timestamp_is_dropped_and_acknowledged(void **state)
{
	establish(ALL_OPTIONS, 1000);
	option_ts(200, 0);
	in(ACK, 1, 10, 1, 1000);
	option_ts(199, 0);
	in(ACK, 11, 10, 1, 1000);
	check_received(10);
	assert_int_equal(rig.counters.drop_tcp_paws, 1);
	assert_int_equal(expect(ACK, 1, 0, 11)->seg.tsecr, 200);
}

static void
rst_with_an_older_timestamp_still_resets(void **state)
{
	establish(ALL_OPTIONS, 1000);
	option_ts(1, 0);
	in(RST, 1, 0, 0, 0);
	assert_int_equal(rig.closed, 1);
	expect_nothing();
}

static void
timestamp_outside_of_the_window_is_not_remembered(void **state)
{
	establish(ALL_OPTIONS, 1000);
	option_ts(100000, 0);
	in(ACK, 1u - 100, 10, 1, 1000);
	in(ACK, 1 + 70000, 10, 1, 1000);
	assert_int_equal(rig.conn->ts_recent, 100);
	drop_out();
	option_ts(101, 0);
	in(ACK, 1, 10, 1, 1000);
	check_received(10);
}

static void
rst_at_the_next_byte_closes_without_an_answer(void **state)
{
	establish(0, 1000);
	in(RST, 1, 0, 0, 0);
	assert_int_equal(rig.closed, 1);
	assert_int_equal(rig.reason, TCP_CLOSED_BY_RESET);
	expect_nothing();
}

static void
rst_beside_the_next_byte_gets_one_challenge(void **state)
{
	establish(0, 1000);
	in(RST, 2, 0, 0, 0);
	expect(ACK, 1, 0, 1);
	expect_nothing();
	assert_int_equal(rig.closed, 0);
	for (unsigned i = 0; i < 100000; i++)
		in(RST, 2 + i % 60000, 0, 0, 0);
	assert_in_range(drop_out(), 0, TCP_OOW_ACKS);
	in(RST, 0, 0, 0, 0);
	in(RST, 70000, 0, 0, 0);
	expect_nothing();
	assert_int_equal(rig.closed, 0);
}

static void
syn_in_the_window_gets_a_challenge_and_kills_nothing(void **state)
{
	establish(0, 1000);
	in(SYN, 1, 0, 0, 1000);
	expect(ACK, 1, 0, 1);
	in(SYN, 500, 0, 0, 1000);
	expect(ACK, 1, 0, 1);
	assert_int_equal(rig.closed, 0);
	assert_int_equal(rig.counters.drop_tcp_syn, 2);
}

static void
segment_without_ack_is_dropped(void **state)
{
	establish(0, 1000);
	in(0, 1, 10, 0, 1000);
	check_received(0);
	expect_nothing();
	assert_int_equal(rig.counters.drop_tcp_no_ack, 1);
}

static void
ack_for_bytes_never_sent_is_challenged_and_its_data_dropped(void **state)
{
	establish(0, 1000);
	in(ACK, 1, 10, 2, 1000);
	expect(ACK, 1, 0, 1);
	check_received(0);
	in(ACK, 1, 10, 1u - 70000, 1000);
	expect(ACK, 1, 0, 1);
	check_received(0);
}

static void
answers_to_empty_old_segments_are_bounded(void **state)
{
	establish(0, 1000);
	for (unsigned i = 0; i < 10000; i++)
		in(ACK, 0, 0, 1, 1000);
	assert_int_equal(drop_out(), TCP_OOW_ACKS);
	pass_us(600000);
	in(ACK, 0, 0, 1, 1000);
	expect(ACK, 1, 0, 1);
}

static void
ack_that_found_no_mbuf_leaves_at_the_next_flush(void **state)
{
	establish(0, 1000);
	in(ACK, 1, 10, 1, 1000);
	in_only(ACK, 11, 10, 1, 1000);
	tcp_spare_return(rig.tcp);
	testpool_fail_after(rig.pool, 0, 1);
	tcp_flush(rig.tcp);
	expect_nothing();
	assert_int_equal(rig.counters.drop_tcp_no_mbuf, 1);
	assert_in_range(tcp_poll(rig.tcp), 0, 1000);
	tcp_flush(rig.tcp);
	expect(ACK, 1, 0, 21);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TCP_TEST(one_segment_is_acknowledged_after_40_ms),
	    TCP_TEST(every_second_segment_is_acknowledged_at_once),
	    TCP_TEST(reply_carries_the_ack),
	    TCP_TEST(burst_of_16_requests_gives_one_reply_segment),
	    TCP_TEST(segment_beyond_a_hole_is_acknowledged_at_once_with_sack),
	    TCP_TEST(sack_names_the_newest_island_first_and_three_with_timestamps),
	    TCP_TEST(duplicate_is_reported_by_dsack),
	    TCP_TEST(all_overlaps_give_the_exact_bytes),
	    TCP_TEST(ninth_island_is_dropped_and_counted),
	    TCP_TEST(segment_that_finds_no_place_is_not_reported),
	    TCP_TEST(segment_smack_holds_bounded_memory),
	    TCP_TEST(paused_application_closes_the_window_and_keeps_every_byte),
	    TCP_TEST(small_consumption_makes_no_window_update),
	    TCP_TEST(fin_on_a_closed_window_is_taken),
	    TCP_TEST(fin_clipped_by_the_window_has_no_effect_yet),
	    TCP_TEST(fin_beyond_a_hole_waits_for_it),
	    TCP_TEST(bare_fin_beyond_a_hole_waits_for_it),
	    TCP_TEST(chained_segment_is_delivered_in_parts),
	    TCP_TEST(older_timestamp_is_dropped_and_acknowledged),
	    TCP_TEST(rst_with_an_older_timestamp_still_resets),
	    TCP_TEST(timestamp_outside_of_the_window_is_not_remembered),
	    TCP_TEST(rst_at_the_next_byte_closes_without_an_answer),
	    TCP_TEST(rst_beside_the_next_byte_gets_one_challenge),
	    TCP_TEST(syn_in_the_window_gets_a_challenge_and_kills_nothing),
	    TCP_TEST(segment_without_ack_is_dropped),
	    TCP_TEST(ack_for_bytes_never_sent_is_challenged_and_its_data_dropped),
	    TCP_TEST(answers_to_empty_old_segments_are_bounded),
	    TCP_TEST(ack_that_found_no_mbuf_leaves_at_the_next_flush),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
