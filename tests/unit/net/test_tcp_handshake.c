/* tcp_syn.c and what a SYN may carry: who gets in, who is dropped in silence, and that nothing leaks. */
#include "tests/unit/net/tcp_rig.h"

static struct tcp_usage
usage(void)
{
	struct tcp_usage u;
	tcp_usage(rig.tcp, &u);
	return u;
}

static void
syn_with_all_options_is_confirmed_with_all(void **state)
{
	struct tcp_opt_syn o = {.mss = 1460, .wscale = 7, .options = 7, .tsval = 555};
	rig.opt_len = tcp_opt_syn(rig.opt, &o);
	in(SYN, 0, 0, 0, 65535);
	struct out *s = expect(SYN | ACK, 0, 0, 1);
	assert_true(s->seg.has_ts && s->seg.has_sack_ok && s->seg.has_wscale && s->seg.has_mss);
	assert_int_equal(s->seg.mss, 1460);
	assert_int_equal(s->seg.tsecr, 555);
	expect_nothing();
	assert_int_equal(rig.accepted, 0);
	assert_int_equal(usage().half_open, 1);
	option_ts(556, s->seg.tsval);
	in(ACK, 1, 0, 1, 65535);
	assert_int_equal(rig.accepted, 1);
	assert_int_equal(rig.conn->snd_wnd, 65535u << 7);
	assert_int_equal(usage().half_open, 0);
	expect_nothing();
}

static void
syn_without_options_gets_only_the_mss(void **state)
{
	in(SYN, 0, 0, 0, 1000);
	struct out *s = expect(SYN | ACK, 0, 0, 1);
	assert_false(s->seg.has_ts || s->seg.has_sack_ok || s->seg.has_wscale);
	in(ACK, 1, 0, 1, 1000);
	assert_int_equal(rig.conn->mss, 536);
}

static void
check_mss(uint16_t offered, uint16_t used)
{
	struct tcp_opt_syn o = {.mss = offered};
	rig.opt_len = tcp_opt_syn(rig.opt, &o);
	in(SYN, 0, 0, 0, 1000);
	rig.opt_len = 0;
	drop_out();
	in(ACK, 1, 0, 1, 1000);
	assert_int_equal(rig.conn->mss, used);
}

static void
mss_zero_counts_as_536(void **state)
{
	check_mss(0, 536);
}

static void
mss_of_1_is_clamped_to_88(void **state)
{
	check_mss(1, 88);
}

static void
mss_of_65535_is_limited_by_our_mtu(void **state)
{
	check_mss(65535, 1460);
}

static void
window_scale_15_counts_as_14(void **state)
{
	struct tcp_opt_syn o = {.mss = 1460, .wscale = 255, .options = TCP_MINI_OPT_WS};
	rig.opt_len = tcp_opt_syn(rig.opt, &o);
	in(SYN, 0, 0, 0, 65535);
	rig.opt_len = 0;
	drop_out();
	in(ACK, 1, 0, 1, 3);
	assert_int_equal(rig.conn->snd_wnd, 3u << 14);
}

static void
option_of_length_zero_ends_parsing_but_not_the_segment(void **state)
{
	options((const uint8_t[]){2, 4, 2, 0, 3, 0, 8, 10}, 8);
	in(SYN, 0, 0, 0, 1000);
	struct out *s = expect(SYN | ACK, 0, 0, 1);
	assert_false(s->seg.has_wscale || s->seg.has_ts);
	rig.opt_len = 0;
	in(ACK, 1, 0, 1, 1000);
	assert_int_equal(rig.conn->mss, 512);
}

static void
option_longer_than_the_header_is_not_read(void **state)
{
	options((const uint8_t[]){1, 1, 8, 10}, 4);
	in(SYN, 0, 0, 0, 1000);
	assert_false(expect(SYN | ACK, 0, 0, 1)->seg.has_ts);
	options((const uint8_t[]){1, 1, 1, 2}, 4);
	in(SYN, 0, 0, 0, 1000);
	expect(SYN | ACK, 0, 0, 1);
}

static void
data_offset_below_20_or_beyond_the_packet_is_dropped(void **state)
{
	for (unsigned words = 0; words < 16; words++) {
		struct tcp_rx rx = {.m = make_segment(SYN, 0, 0, 0, 1000), .flow = rig.flow};
		rte_pktmbuf_mtod(rx.m, struct rte_tcp_hdr *)->data_off = (uint8_t)(words << 4);
		if (words != 5)
			tcp_input(rig.tcp, &rx, 1);
		else
			rte_pktmbuf_free(rx.m);
	}
	struct tcp_rx rx = {.m = make_segment(SYN, 0, 0, 0, 1000), .flow = rig.flow};
	rte_pktmbuf_trim(rx.m, 1);
	tcp_input(rig.tcp, &rx, 1);
	tcp_flush(rig.tcp);
	expect_nothing();
	assert_int_equal(rig.counters.drop_tcp_header, 16);
}

static void
fill_the_backlog(unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		rig.flow.remote_port = rte_cpu_to_be_16((uint16_t)(1000 + i));
		in(SYN, 0, 0, 0, 1000);
	}
}

static void
backlog_full_answers_with_cookies_and_never_resets(void **state)
{
	fill_the_backlog(100);
	assert_int_equal(usage().half_open, 16);
	assert_int_equal(rig.out_len, 100);
	assert_int_equal(rig.counters.tcp_cookies_sent, 84);
	assert_int_equal(rig.counters.tcp_resets_out, 0);
	assert_int_equal(usage().memory_bytes, 16 * 64);
	drop_out();
}

static void
cookie_connection_has_sack_and_window_scale(void **state)
{
	for (unsigned ms = 0; ms < 130; ms += 13) {
		struct tcp_opt_syn o = {.mss = 1460, .wscale = 9, .options = 7, .tsval = 555};
		rig_restart();
		rig.opt_len = 0;
		fill_the_backlog(17);
		drop_out();
		rig.now_us += ms * 1000;
		rig.flow.remote_port = rte_cpu_to_be_16((uint16_t)(5000 + ms));
		rig.opt_len = tcp_opt_syn(rig.opt, &o);
		in(SYN, 0, 0, 0, 65535);
		struct out *s = expect(SYN | ACK, 0, 0, 1);
		assert_true(s->seg.has_ts && s->seg.has_sack_ok && s->seg.has_wscale);
		uint32_t tsval = s->seg.tsval;
		option_ts(556, tsval);
		rig.bytes_len = 0;
		in(ACK, 1, 10, 1, 65535);
		check_received(10);
		assert_true(rig.conn->flags & TCP_F_SACK && rig.conn->flags & TCP_F_TS);
		assert_int_equal(rig.conn->snd_wnd, 65535u << 9);
		assert_int_equal(rig.conn->mss, 1460 - TCP_OPT_TS_BYTES);
		pass_us(50000);
		assert_false(tcp_seq_lt(expect(ACK, 1, 0, 11)->seg.tsval, tsval));
	}
	assert_int_equal(rig.counters.tcp_cookies_accepted, 10);
}

static void
cookie_of_another_peer_number_or_time_is_not_taken(void **state)
{
	fill_the_backlog(17);
	drop_out();
	in(ACK, 2, 0, 1, 1000); /* a later segment: the first may come yet, so no RST */
	in(ACK, 1, 0, 2, 1000);
	in(ACK, 1, 0, 9, 1000);
	expect_nothing();
	assert_int_equal(rig.accepted, 0);
	assert_int_equal(rig.counters.drop_tcp_cookie, 3);
	rig.now_us += 140000000;
	in(ACK, 1, 0, 1, 1000);
	expect(RST, 1, 0, 0); /* nobody waits for cookies any more */
	assert_int_equal(rig.accepted, 0);
}

/* A cookie's connection that ended and left nothing: the peer closed first. */
static void
late_copy_of_a_cookies_ack_is_reset_and_opens_nothing(void **state)
{
	fill_the_backlog(17);
	drop_out();
	in(ACK, 1, 10, 1, 1000);
	assert_int_equal(rig.accepted, 1);
	in(FIN | ACK, 11, 0, 1, 1000);
	tcp_close(rig.conn);
	tcp_flush(rig.tcp);
	drop_out();
	in(ACK, 12, 0, 2, 1000);
	assert_int_equal(rig.closed, 1);
	expect_nothing();
	for (unsigned s = 0; s < 25; s++) {
		in(ACK, 1, 10, 1, 1000); /* a request that would be executed again */
		rig.now_us += 1000000;
	}
	assert_int_equal(rig.accepted, 1);
	assert_int_equal(rig.bytes_len, 10);
	assert_in_range(rig.counters.drop_tcp_cookie_spent, 8, 17);
	for (unsigned n = drop_out(); n < 9; n++)
		fail_msg("a copy got no RST");
}

static void
cookies_of_one_address_each_open_once(void **state)
{
	rig.config.syn_backlog_max = 0;
	rig.config.connections_max = 5000;
	rig_restart();
	for (unsigned round = 0; round < 3; round++) {
		for (unsigned i = 0; i < 1000; i++) {
			rig.flow.remote_port = rte_cpu_to_be_16((uint16_t)(1000 + round * 1000 + i));
			in(SYN, 0, 0, 0, 1000);
			in(ACK, 1, 0, 1, 1000);
			assert_int_equal(rig.accepted, round * 1000 + i + 1);
		}
		drop_out();
		rig.now_us += 9000000;
	}
	assert_int_equal(rig.counters.drop_tcp_cookie_spent, 0);
}

static void
cookie_that_cannot_be_remembered_opens_nothing(void **state)
{
	fill_the_backlog(17);
	drop_out();
	rig.alloc_fails = true;
	in(ACK, 1, 0, 1, 1000);
	expect_nothing();
	assert_int_equal(rig.accepted, 0);
	rig.alloc_fails = false;
	in(ACK, 1, 0, 1, 1000);
	assert_int_equal(rig.accepted, 1);
}

static void
cookie_without_timestamps_agrees_on_nothing_else(void **state)
{
	struct tcp_opt_syn o = {.mss = 1300, .wscale = 9, .options = TCP_MINI_OPT_SACK | TCP_MINI_OPT_WS};
	fill_the_backlog(16);
	drop_out();
	rig.flow.remote_port = RTE_BE16(5000);
	rig.opt_len = tcp_opt_syn(rig.opt, &o);
	in(SYN, 0, 0, 0, 1000);
	struct out *s = expect(SYN | ACK, 0, 0, 1);
	assert_false(s->seg.has_sack_ok || s->seg.has_wscale || s->seg.has_ts);
	rig.opt_len = 0;
	in(ACK, 1, 0, 1, 1000);
	assert_int_equal(rig.conn->mss, 1220);
	assert_int_equal(rig.conn->snd_wnd, 1000);
}

static void
half_open_entry_resends_three_times_and_is_reaped(void **state)
{
	in(SYN, 0, 0, 0, 1000);
	expect(SYN | ACK, 0, 0, 1);
	pass_us(16000000);
	for (int i = 0; i < 3; i++)
		expect(SYN | ACK, 0, 0, 1);
	expect_nothing();
	assert_int_equal(usage().half_open, 0);
	assert_int_equal(usage().memory_bytes, 0);
}

static void
syn_then_rst_leaks_no_backlog_slot(void **state)
{
	for (unsigned i = 0; i < 1000; i++) {
		in(SYN, 0, 0, 0, 1000);
		expect(SYN | ACK, 0, 0, 1);
		in(RST, 1, 0, 0, 0);
	}
	assert_int_equal(usage().half_open, 0);
	expect_nothing();
}

static void
rst_beside_the_entry_is_ignored(void **state)
{
	in(SYN, 0, 0, 0, 1000);
	expect(SYN | ACK, 0, 0, 1);
	in(RST, 2, 0, 0, 0);
	in(RST, 0, 0, 0, 0);
	expect_nothing();
	assert_int_equal(usage().half_open, 1);
}

static void
wrong_ack_for_an_entry_is_reset_and_the_entry_stays(void **state)
{
	in(SYN, 0, 0, 0, 1000);
	expect(SYN | ACK, 0, 0, 1);
	in(ACK, 1, 0, 2, 1000);
	expect(RST, 2, 0, 0);
	in(ACK, 1, 0, 1, 1000);
	assert_int_equal(rig.accepted, 1);
}

static void
repeated_syn_gets_the_same_syn_ack(void **state)
{
	in(SYN, 0, 0, 0, 1000);
	uint32_t iss = expect(SYN | ACK, 0, 0, 1)->seg.seq;
	pass_us(300000);
	in(SYN, 0, 0, 0, 1000);
	assert_int_equal(expect(SYN | ACK, 0, 0, 1)->seg.seq, iss);
	assert_int_equal(usage().half_open, 1);
}

static void
data_on_the_last_ack_is_delivered(void **state)
{
	in(SYN, 0, 0, 0, 1000);
	expect(SYN | ACK, 0, 0, 1);
	in(ACK, 1, 10, 1, 1000);
	check_received(10);
}

static void
data_on_the_syn_comes_again_and_is_delivered_once(void **state)
{
	in(SYN, 0, 5, 0, 1000);
	expect(SYN | ACK, 0, 0, 1);
	in(ACK, 1, 5, 1, 1000);
	in(ACK, 1, 5, 1, 1000);
	check_received(5);
	drop_out();
}

static void
syn_to_a_closed_port_is_reset(void **state)
{
	rig.flow.local_port = RTE_BE16(1);
	in(SYN, 0, 0, 0, 1000);
	struct out *o = next_out();
	assert_int_equal(o->seg.flags, RST | ACK);
	assert_int_equal(o->seg.seq, 0);
	assert_int_equal(o->seg.ack, PEER_ISS + 1);
	expect_nothing();
}

static void
ports_of_a_range_are_listened_on_and_their_neighbours_not(void **state)
{
	for (unsigned port = RANGE_PORT - 1; port <= RANGE_PORT + RANGE_LEN; port++) {
		bool inside = port >= RANGE_PORT && port < RANGE_PORT + RANGE_LEN;
		rig.flow.local_port = rte_cpu_to_be_16((uint16_t)port);
		in(SYN, 0, 0, 0, 1000);
		assert_int_equal(next_out()->seg.flags, inside ? SYN | ACK : RST | ACK);
		expect_nothing();
	}
}

static void
rst_for_nobody_is_never_answered(void **state)
{
	in(RST, 5, 0, 0, 0);
	in(RST | ACK, 5, 0, 7, 0);
	in(RST | SYN, 5, 0, 0, 0);
	expect_nothing();
}

static void
ack_for_nobody_is_reset_at_its_number(void **state)
{
	in(ACK, 5, 3, 9, 100);
	expect(RST, 9, 0, 0);
	expect_nothing();
}

static void
connection_limit_drops_new_ones_in_silence(void **state)
{
	rig.config.connections_max = 1;
	rig_restart();
	establish(0, 1000);
	rig.flow.remote_port = RTE_BE16(5000);
	in(SYN, 0, 0, 0, 1000);
	expect_nothing();
	assert_int_equal(rig.counters.drop_tcp_connections_max, 1);
}

static void
syn_without_an_mbuf_leaves_nothing_behind(void **state)
{
	struct tcp_rx rx = {.m = make_segment(SYN, 0, 0, 0, 1000), .flow = rig.flow};
	testpool_fail_after(rig.pool, 0, 1);
	tcp_input(rig.tcp, &rx, 1);
	assert_int_equal(usage().half_open, 0);
	expect_nothing();
	establish(0, 1000);
}

static void
refused_connection_is_reset_and_not_closed_twice(void **state)
{
	rig.refuse = true;
	in(SYN, 0, 0, 0, 1000);
	expect(SYN | ACK, 0, 0, 1);
	in(ACK, 1, 0, 1, 1000);
	expect(RST | ACK, 1, 0, 1);
	assert_int_equal(rig.closed, 0);
	assert_int_equal(usage().connections, 0);
}

static void
isn_moves_with_time_and_differs_by_flow(void **state)
{
	in(SYN, 0, 0, 0, 1000);
	uint32_t first = next_out()->seg.seq;
	in(RST, 1, 0, 0, 0);
	rig.now_us += 4000;
	in(SYN, 0, 0, 0, 1000);
	assert_int_equal(next_out()->seg.seq - first, 1000); /* a tick of 4 us (RFC 6528) */
	rig.flow.remote_port = RTE_BE16(4001);
	in(SYN, 0, 0, 0, 1000);
	assert_int_not_equal(next_out()->seg.seq - first, 1000);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TCP_TEST(syn_with_all_options_is_confirmed_with_all),
	    TCP_TEST(syn_without_options_gets_only_the_mss),
	    TCP_TEST(mss_zero_counts_as_536),
	    TCP_TEST(mss_of_1_is_clamped_to_88),
	    TCP_TEST(mss_of_65535_is_limited_by_our_mtu),
	    TCP_TEST(window_scale_15_counts_as_14),
	    TCP_TEST(option_of_length_zero_ends_parsing_but_not_the_segment),
	    TCP_TEST(option_longer_than_the_header_is_not_read),
	    TCP_TEST(data_offset_below_20_or_beyond_the_packet_is_dropped),
	    TCP_TEST(backlog_full_answers_with_cookies_and_never_resets),
	    TCP_TEST(cookie_connection_has_sack_and_window_scale),
	    TCP_TEST(cookie_of_another_peer_number_or_time_is_not_taken),
	    TCP_TEST(late_copy_of_a_cookies_ack_is_reset_and_opens_nothing),
	    TCP_TEST(cookies_of_one_address_each_open_once),
	    TCP_TEST(cookie_that_cannot_be_remembered_opens_nothing),
	    TCP_TEST(cookie_without_timestamps_agrees_on_nothing_else),
	    TCP_TEST(half_open_entry_resends_three_times_and_is_reaped),
	    TCP_TEST(syn_then_rst_leaks_no_backlog_slot),
	    TCP_TEST(rst_beside_the_entry_is_ignored),
	    TCP_TEST(wrong_ack_for_an_entry_is_reset_and_the_entry_stays),
	    TCP_TEST(repeated_syn_gets_the_same_syn_ack),
	    TCP_TEST(data_on_the_last_ack_is_delivered),
	    TCP_TEST(data_on_the_syn_comes_again_and_is_delivered_once),
	    TCP_TEST(syn_to_a_closed_port_is_reset),
	    TCP_TEST(ports_of_a_range_are_listened_on_and_their_neighbours_not),
	    TCP_TEST(rst_for_nobody_is_never_answered),
	    TCP_TEST(ack_for_nobody_is_reset_at_its_number),
	    TCP_TEST(connection_limit_drops_new_ones_in_silence),
	    TCP_TEST(syn_without_an_mbuf_leaves_nothing_behind),
	    TCP_TEST(refused_connection_is_reset_and_not_closed_twice),
	    TCP_TEST(isn_moves_with_time_and_differs_by_flow),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
