/* Connections opened from here: tcp_connect() in tcp.c, SYN-SENT in tcp_in.c, and TIME-WAIT that gives way in tcp_tw.c. */
#include "tests/unit/net/tcp_rig.h"

#define TS_SACK_WS (TCP_MINI_OPT_TS | TCP_MINI_OPT_SACK | TCP_MINI_OPT_WS)

static void
connect_out(void)
{
	tcp_tick(rig.tcp, rig.now_us);
	rig.conn = tcp_connect(rig.tcp, &rig.flow);
	assert_non_null(rig.conn);
	tcp_flush(rig.tcp);
	expect(SYN, 0, 0, 0);
	expect_nothing();
}

/* The peer's SYN-ACK with these options, window scale 7. */
static void
answer(uint8_t opts, uint16_t wnd)
{
	struct tcp_opt_syn o = {.mss = 1000, .wscale = 7, .options = opts, .tsval = 100};
	rig.opt_len = tcp_opt_syn(rig.opt, &o);
	in(SYN | ACK, 0, 0, 1, wnd);
	rig.opt_len = 0;
	if (opts & TCP_MINI_OPT_TS)
		option_ts(100, 0);
}

static void
active_open_establishes_and_sends_what_was_queued(void **state)
{
	rig.conn = tcp_connect(rig.tcp, &rig.flow);
	assert_non_null(rig.conn);
	assert_null(tcp_connect(rig.tcp, &rig.flow));
	assert_int_equal(tcp_send(rig.conn, "hello", 5), 0);
	expect_nothing();
	tcp_flush(rig.tcp);
	expect(SYN, 0, 0, 0);
	expect_nothing();
	in(SYN | ACK, 0, 0, 1, 1000);
	assert_int_equal(rig.accepted, 1);
	expect(ACK, 1, 5, 1);
	expect_nothing();
}

static void
active_open_offers_every_option_from_the_given_address(void **state)
{
	rig.flow.local = net_addr_v4(RTE_BE32(0x0a0000f7));
	rig.flow.local_port = RTE_BE16(54321);
	rig.conn = tcp_connect(rig.tcp, &rig.flow);
	tcp_flush(rig.tcp);
	const struct tcp_seg *syn = &expect(SYN, 0, 0, 0)->seg;
	assert_true(syn->has_mss && syn->has_ts && syn->has_wscale && syn->has_sack_ok);
	assert_int_equal(syn->mss, 1460);
	assert_int_equal(syn->tsecr, 0);
	assert_memory_equal(tcp_flow(rig.conn), &rig.flow, offsetof(struct net_flow, iface));
}

static void
window_of_a_syn_ack_is_not_scaled(void **state)
{
	connect_out();
	answer(TS_SACK_WS, 500);
	assert_int_equal(rig.accepted, 1);
	expect(ACK, 1, 0, 1);
	assert_int_equal(rig.conn->snd_wnd, 500);
	send_bytes(2000);
	check_payload(expect(ACK, 1, 500, 1));
	expect_nothing();
	in(ACK, 1, 0, 501, 500); /* and this one is: 64 000 bytes */
	check_payload(expect(ACK, 501, 988, 1));
	check_payload(expect(ACK, 1489, 512, 1));
}

static void
active_open_resends_and_gives_up(void **state)
{
	connect_out();
	uint64_t wait_us = 1000000;
	for (unsigned i = 0; i < 5; i++, wait_us *= 2) {
		pass_us(wait_us - 5000);
		expect_nothing();
		pass_us(5600);
		expect(SYN, 0, 0, 0);
	}
	pass_us(wait_us + 2000);
	expect_nothing();
	assert_int_equal(rig.closed, 1);
	assert_int_equal(rig.reason, TCP_CLOSED_TIMEOUT);
}

static void
active_open_refused_by_rst_is_closed(void **state)
{
	connect_out();
	in(RST | ACK, 0, 0, 2, 0);
	expect_nothing();
	assert_int_equal(rig.closed, 0);
	in(RST | ACK, 0, 0, 1, 0);
	assert_int_equal(rig.closed, 1);
	assert_int_equal(rig.reason, TCP_CLOSED_BY_RESET);
}

static void
bare_rst_while_connecting_is_ignored(void **state)
{
	connect_out();
	in(RST, 0, 0, 0, 0);
	expect_nothing();
	assert_int_equal(rig.closed, 0);
	in(SYN | ACK, 0, 0, 1, 1000);
	assert_int_equal(rig.accepted, 1);
	drop_out();
}

static void
wrong_ack_while_connecting_is_reset(void **state)
{
	connect_out();
	in(SYN | ACK, 0, 0, 99, 1000);
	expect(RST, 99, 0, 0);
	assert_int_equal(rig.accepted, 0);
}

static void
bare_ack_while_connecting_is_dropped(void **state)
{
	connect_out();
	in(ACK, 5, 0, 1, 1000);
	expect_nothing();
	assert_int_equal(rig.counters.drop_tcp_no_syn, 1);
	in(SYN | ACK, 0, 0, 1, 1000);
	assert_int_equal(rig.accepted, 1);
	drop_out();
}

static void
repeated_syn_ack_is_acknowledged_again(void **state)
{
	connect_out();
	in(SYN | ACK, 0, 0, 1, 1000);
	expect(ACK, 1, 0, 1);
	in(SYN | ACK, 0, 0, 1, 1000); /* our ACK was lost */
	expect(ACK, 1, 0, 1);
	expect_nothing();
	assert_int_equal(rig.accepted, 1);
}

static void
simultaneous_open_establishes_both_ways(void **state)
{
	connect_out();
	in(SYN, 0, 0, 0, 1000);
	expect(SYN | ACK, 0, 0, 1);
	in(SYN | ACK, 0, 0, 1, 1000);
	expect(ACK, 1, 0, 1);
	in(ACK, 1, 0, 1, 1000);
	assert_int_equal(rig.accepted, 1);
	expect_nothing();
}

static void
simultaneous_open_agrees_on_options_and_resends(void **state)
{
	connect_out();
	struct tcp_opt_syn o = {.mss = 1000, .options = TCP_MINI_OPT_SACK};
	rig.opt_len = tcp_opt_syn(rig.opt, &o);
	in(SYN, 0, 0, 0, 1000);
	rig.opt_len = 0;
	const struct tcp_seg *answer_seg = &expect(SYN | ACK, 0, 0, 1)->seg;
	assert_true(answer_seg->has_sack_ok && !answer_seg->has_ts && !answer_seg->has_wscale);
	pass_us(1002000);
	expect(SYN | ACK, 0, 0, 1);
	in(RST, 1, 0, 0, 0);
	assert_int_equal(rig.closed, 1);
	assert_int_equal(rig.accepted, 0);
}

static void
close_before_the_answer_ends_without_a_word(void **state)
{
	connect_out();
	tcp_close(rig.conn);
	tcp_flush(rig.tcp);
	expect_nothing();
	assert_int_equal(rig.closed, 1);
	assert_int_equal(rig.reason, TCP_CLOSED_LOCALLY);
	in(SYN | ACK, 0, 0, 1, 1000);
	expect(RST, 1, 0, 0);
}

static void
refusing_an_own_connection_resets_it(void **state)
{
	connect_out();
	rig.refuse = true;
	in(SYN | ACK, 0, 0, 1, 1000);
	expect(RST | ACK, 1, 0, 1);
	assert_int_equal(rig.closed, 0);
	struct tcp_usage u;
	tcp_usage(rig.tcp, &u);
	assert_int_equal(u.connections, 0);
}

static void
icmp_error_while_connecting_ends_nothing(void **state)
{
	connect_out();
	struct net_icmp_error e = {.flow = rig.flow, .proto = 6, .tcp_seq = rig.iss};
	assert_true(tcp_icmp_error(rig.tcp, &e));
	in(SYN | ACK, 0, 0, 1, 1000);
	assert_int_equal(rig.accepted, 1);
	drop_out();
}

static void
syn_without_an_mbuf_leaves_when_there_is_one(void **state)
{
	testpool_fail_after(rig.pool, 0, 2);
	rig.conn = tcp_connect(rig.tcp, &rig.flow);
	tcp_flush(rig.tcp);
	tcp_flush(rig.tcp);
	expect_nothing();
	tcp_flush(rig.tcp);
	expect(SYN, 0, 0, 0);
}

static void
connect_out_of_memory_or_places_returns_null(void **state)
{
	rig.config.connections_max = 2;
	rig_restart();
	for (unsigned i = 0; i < 3; i++) {
		rig.flow.local_port = rte_cpu_to_be_16((uint16_t)(5000 + i));
		assert_int_equal(tcp_connect(rig.tcp, &rig.flow) != NULL, i < 2);
	}
	tcp_flush(rig.tcp);
	assert_int_equal(drop_out(), 2);
}

/* Ends a connection so that this end is in TIME-WAIT. */
static void
close_first(void)
{
	tcp_close(rig.conn);
	tcp_flush(rig.tcp);
	expect(FIN | ACK, 1, 0, 1);
	in(FIN | ACK, 1, 0, 2, 1000);
	expect(ACK, 2, 0, 2);
	assert_int_equal(rig.closed, 1);
}

static void
time_wait_of_an_own_connection_gives_way_after_a_second(void **state)
{
	connect_out();
	answer(TCP_MINI_OPT_TS, 1000);
	drop_out();
	close_first();
	assert_null(tcp_connect(rig.tcp, &rig.flow));
	pass_us(1000500);
	uint32_t old_iss = rig.iss;
	rig.opt_len = 0;
	connect_out();
	assert_true(tcp_seq_lt(old_iss + 131072, rig.iss));
	answer(TCP_MINI_OPT_TS, 1000);
	assert_int_equal(rig.accepted, 2);
	assert_int_equal(rig.counters.tcp_time_wait_reused, 1);
	drop_out();
}

static void
time_wait_without_timestamps_is_waited_for(void **state)
{
	connect_out();
	answer(0, 1000);
	drop_out();
	close_first();
	pass_us(59000000);
	assert_null(tcp_connect(rig.tcp, &rig.flow));
	pass_us(2000000);
	rig.opt_len = 0;
	connect_out();
}

/* Twenty thousand at once, through a pool of 256 mbufs. */
static void
many_connections_at_once_all_open(void **state)
{
	enum { MANY = 20000 };
	rig.config.connections_max = MANY;
	rig_restart();
	for (unsigned i = 0; i < MANY; i++) {
		rig.flow.local_port = rte_cpu_to_be_16((uint16_t)(1024 + i));
		assert_non_null(tcp_connect(rig.tcp, &rig.flow));
	}
	unsigned answered = 0;
	while (answered < MANY) {
		testpool_fail_after(rig.pool, 200, 1);
		tcp_flush(rig.tcp);
		assert_in_range(rig.out_len, 1, 200 + TCP_SPARES_MAX);
		for (unsigned n = rig.out_len, i = 0; i < n; i++) {
			const struct rte_tcp_hdr *th = &rig.out[i].header;
			if (!(th->tcp_flags & SYN))
				continue; /* the ACK of an earlier answer */
			rig.iss = rig.out[i].seg.seq;
			rig.flow.local_port = th->src_port;
			in_only(SYN | ACK, 0, 0, 1, 1000);
			answered++;
		}
		drop_out();
	}
	assert_int_equal(rig.accepted, MANY);
	while (drop_out() || rig.tcp->touched_head != TCP_INDEX_NONE)
		tcp_flush(rig.tcp);
	assert_int_equal(rig.counters.tcp_segments_out, 2 * MANY);
	assert_null(tcp_check(rig.tcp));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TCP_TEST(active_open_establishes_and_sends_what_was_queued),
	    TCP_TEST(active_open_offers_every_option_from_the_given_address),
	    TCP_TEST(window_of_a_syn_ack_is_not_scaled),
	    TCP_TEST(active_open_resends_and_gives_up),
	    TCP_TEST(active_open_refused_by_rst_is_closed),
	    TCP_TEST(bare_rst_while_connecting_is_ignored),
	    TCP_TEST(wrong_ack_while_connecting_is_reset),
	    TCP_TEST(bare_ack_while_connecting_is_dropped),
	    TCP_TEST(repeated_syn_ack_is_acknowledged_again),
	    TCP_TEST(simultaneous_open_establishes_both_ways),
	    TCP_TEST(simultaneous_open_agrees_on_options_and_resends),
	    TCP_TEST(close_before_the_answer_ends_without_a_word),
	    TCP_TEST(refusing_an_own_connection_resets_it),
	    TCP_TEST(icmp_error_while_connecting_ends_nothing),
	    TCP_TEST(syn_without_an_mbuf_leaves_when_there_is_one),
	    TCP_TEST(connect_out_of_memory_or_places_returns_null),
	    TCP_TEST(time_wait_of_an_own_connection_gives_way_after_a_second),
	    TCP_TEST(time_wait_without_timestamps_is_waited_for),
	    TCP_TEST(many_connections_at_once_all_open),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
