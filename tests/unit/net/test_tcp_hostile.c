/*
 * A peer that obeys nothing: random segments around the live numbers, random and malformed options, cut packets, while
 * the application reads, pauses, writes and closes. Nothing may crash, leak, or break what tcp_check() knows.
 */
#include "tests/unit/net/tcp_rig.h"

#define ROUNDS        2000u
#define SEGMENTS      400u
#define FLAGS_MASK    0x3fu
#define OPTION_BYTES  40u
#define PAYLOAD_BYTES 1400u
#define OUT_PER_ROUND (RIG_OUT_MAX / 2)

static uint32_t
pick(uint32_t n)
{
	return (uint32_t)(rig_random(NULL) >> 11) % n;
}

/* Mostly close to something that matters. */
static uint32_t
near(uint32_t number)
{
	static const uint32_t far[] = {1, 2, 1000, 65535, 65536, 0x7fffffffu, 0x80000000u};
	switch (pick(4)) {
	case 0:
		return number;
	case 1:
		return number + pick(5000);
	case 2:
		return number - pick(5000);
	default:
		return pick(2) ? number + far[pick(7)] : number - far[pick(7)];
	}
}

static void
random_options(void)
{
	rig.opt_len = 0;
	switch (pick(4)) {
	case 0:
		option_ts(near(rig.conn ? rig.conn->ts_recent : 0), pick(UINT32_MAX));
		break;
	case 1:
		if (rig.conn)
			option_sack(near(rig.conn->snd_una) - rig.iss, near(rig.conn->snd_nxt) - rig.iss);
		break;
	case 2:
		rig.opt_len = pick(OPTION_BYTES / 4 + 1) * 4;
		for (unsigned i = 0; i < rig.opt_len; i++)
			rig.opt[i] = (uint8_t)(pick(2) ? pick(12) : pick(256));
		break;
	}
}

static void
random_segment(void)
{
	static const uint8_t likely[] = {ACK, ACK, ACK | PSH, ACK | FIN, SYN, RST, SYN | ACK};
	uint32_t rcv = rig.conn ? rig.conn->rcv_nxt : PEER_ISS + 1,
	         una = rig.conn ? rig.conn->snd_una : rig.iss + 1;
	uint8_t flags = pick(8) ? likely[pick(pick(20) ? 4 : 7)] : (uint8_t)(pick(256) & FLAGS_MASK);
	random_options();
	uint32_t len = pick(3) ? pick(PAYLOAD_BYTES) : 0;
	struct tcp_rx rx = {.flow = rig.flow};
	rx.m = make_segment(flags, near(rcv) - PEER_ISS, len, near(una) - rig.iss, (uint16_t)pick(65536));
	if (!pick(50))
		rte_pktmbuf_trim(rx.m, (uint16_t)pick(rx.m->pkt_len));
	if (!pick(50))
		rte_pktmbuf_mtod(rx.m, struct rte_tcp_hdr *)->data_off = (uint8_t)pick(256);
	tcp_tick(rig.tcp, rig.now_us);
	tcp_input(rig.tcp, &rx, 1);
}

static void
random_application(void)
{
	static const uint8_t bytes[5000];
	if (!rig.conn)
		return;
	rig.take_max = pick(4) ? UINT32_MAX : pick(2000);
	switch (pick(60)) {
	case 0:
		tcp_close(rig.conn);
		break;
	case 1:
		tcp_abort(rig.conn);
		break;
	case 2:
	case 3:
	case 4:
		if (tcp_send_room(rig.conn))
			(void)!tcp_send(rig.conn, bytes, pick(sizeof(bytes)));
		break;
	case 5:
		(void)!tcp_send_ref(rig.conn, bytes, pick(sizeof(bytes)), 77);
		break;
	case 6:
		tcp_resume(rig.conn);
		break;
	case 7:
		testpool_fail_after(rig.pool, pick(4), pick(4));
		break;
	case 8: {
		struct net_icmp_error e = {.flow = rig.flow,
		    .proto = 6,
		    .too_big = true,
		    .mtu = (uint16_t)pick(2000),
		    .tcp_seq = near(rig.conn->snd_una)};
		tcp_icmp_error(rig.tcp, &e);
		break;
	}
	}
}

static void
one_round(void)
{
	struct tcp_opt_syn o = {
	    .mss = (uint16_t)pick(2000), .wscale = (uint8_t)pick(16), .options = (uint8_t)pick(8)};
	rig.iss = 0;
	rig.flow.remote_port = rte_cpu_to_be_16((uint16_t)pick(60000));
	rig.opt_len = tcp_opt_syn(rig.opt, &o);
	in(SYN, 0, 0, 0, (uint16_t)pick(65536));
	rig.opt_len = 0;
	in(ACK, 1, 0, 1, (uint16_t)pick(65536));
	for (unsigned i = 0; i < SEGMENTS; i++) {
		rig.bytes_len = 0;
		random_application();
		testpool_fail_never(rig.pool);
		random_segment();
		if (!pick(3))
			tcp_flush(rig.tcp);
		if (!pick(20))
			pass_us(pick(2000000));
		if (rig.out_len > OUT_PER_ROUND)
			fail_msg("a storm: %u segments for %u", rig.out_len, i);
		assert_null(tcp_check(rig.tcp));
	}
	drop_out();
	if (rig.conn)
		tcp_abort(rig.conn);
	tcp_flush(rig.tcp);
	drop_out();
	rig.conn = NULL;
}

static void
random_segments_break_nothing(void **state)
{
	struct tcp_usage u;
	rig.config.rcv_buffer_bytes = 20000;
	rig.config.snd_buffer_bytes = 20000;
	rig.config.keepalive_idle_us = 1000000;
	rig_restart();
	for (unsigned i = 0; i < ROUNDS; i++)
		one_round();
	pass_us(200000000);
	drop_out();
	tcp_usage(rig.tcp, &u);
	assert_int_equal(u.connections + u.half_open + u.time_wait, 0);
	assert_int_equal(u.memory_bytes, 0);
	assert_int_equal(rig.accepted, rig.closed);
	assert_true(rig.accepted > ROUNDS / 2);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {TCP_TEST(random_segments_break_nothing)};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
