/*
 * The short way of the expected segment (tcp_fast.h): what it takes and what it leaves alone, and that a connection goes
 * through any story exactly as by the general way: the same segments, bytes, counters and state after each step.
 */
#include "dataplane/net/checksum.h"
#include "dataplane/net/tcp_fast.h"
#include "dataplane/net/tcp_in.h"
#include "dataplane/net/tcp_spare.h"
#include "tests/unit/net/tcp_rig.h"

#define ALL     (TCP_MINI_OPT_TS | TCP_MINI_OPT_SACK | TCP_MINI_OPT_WS)
#define STORIES 400u
#define STEPS   120u

static unsigned summed; /* segments that the short way sent */

/* ---- what it takes ---------------------------------------------------------------------------- */

/* Gives one segment to the short way alone. Returns whether it took it; what it refuses must change nothing. */
static bool
taken(uint8_t flags, uint32_t seq, uint32_t len, uint32_t ack, uint16_t wnd)
{
	struct tcp_seg seg = {.m = make_segment(flags, seq, len, ack, wnd), .flow = &rig.flow};
	struct tcp_conn before = *rig.conn;
	assert_true(tcp_seg_parse(&seg));
	bool took = tcp_fast_in(rig.conn, &seg);
	if (!took)
		assert_memory_equal(&before, rig.conn, sizeof(before));
	rte_pktmbuf_free(seg.m);
	return took;
}

/* Established, 10 bytes received and answered by 20, which are in flight. */
static void
answered(uint8_t opts)
{
	establish(opts, 8000);
	in(ACK | PSH, 1, 10, 1, 8000);
	send_bytes(20);
	drop_out();
}

static void
next_request_with_the_ack_is_taken(void **state)
{
	answered(ALL);
	assert_true(taken(ACK | PSH, 11, 10, 21, 8000));
	assert_int_equal(rig.conn->snd_una - rig.iss, 21);
	assert_int_equal(rig.bytes_len, 20);
	assert_null(rig.conn->sq_head);
	tcp_flush(rig.tcp);
}

static void
ack_alone_and_data_alone_are_taken(void **state)
{
	answered(ALL);
	assert_true(taken(ACK, 11, 0, 11, 8000));
	assert_true(taken(ACK, 11, 10, 11, 8000));
	assert_true(taken(ACK, 21, 0, 21, 8000));
	tcp_flush(rig.tcp);
}

static void
without_timestamps_it_is_taken_too(void **state)
{
	answered(0);
	assert_true(taken(ACK | PSH, 11, 10, 21, 8000));
	tcp_flush(rig.tcp);
}

static void
anything_else_is_left_alone(void **state)
{
	answered(ALL);
	assert_false(taken(ACK | FIN, 11, 10, 21, 8000));
	assert_false(taken(ACK | RST, 11, 0, 21, 8000));
	assert_false(taken(ACK | SYN, 11, 0, 21, 8000));
	assert_false(taken(PSH, 11, 10, 21, 8000));
	assert_false(taken(ACK, 12, 10, 21, 8000)); /* a hole */
	assert_false(taken(ACK, 10, 10, 21, 8000)); /* old bytes */
	assert_false(taken(ACK, 11, 10, 22, 8000)); /* of what was never sent */
	assert_false(taken(ACK, 11, 10, 0, 8000));  /* an old ACK */
	assert_false(taken(ACK, 11, 0, 1, 8000));   /* a duplicate, or a probe */
	rig.conn->rcv_edge = rig.conn->rcv_nxt + 9;
	assert_false(taken(ACK, 11, 10, 21, 8000)); /* more than the window */
	rig.conn->rcv_edge = rig.conn->rcv_nxt + 10;
	option_ts(99, 0);
	assert_false(taken(ACK, 11, 10, 21, 8000)); /* PAWS */
	rig.opt_len = 0;
	assert_false(taken(ACK, 11, 10, 21, 8000)); /* timestamps are missing */
	option_sack(1, 11);
	assert_false(taken(ACK, 11, 10, 11, 8000));
	option_ts(100, 0);
	rig.conn->flags |= TCP_F_PAUSED;
	assert_false(taken(ACK, 11, 10, 21, 8000));
	rig.conn->flags &= (uint16_t)~TCP_F_PAUSED;
	assert_true(taken(ACK, 11, 10, 21, 8000));
	tcp_flush(rig.tcp);
}

/* ---- the same as the general way -------------------------------------------------------------- */

/* Of a step: everything that could differ. */
struct snapshot {
	struct tcp_conn conn; /* pointers replaced */
	struct net_counters counters;
	uint64_t sent;   /* hash of segments */
	uint64_t queued; /* hash of the send queue */
	uint32_t received, calls, eof, writable, closed;
};

static struct snapshot general[STEPS + 1];
static uint64_t story;

static uint32_t
choose(uint32_t n)
{
	return random_below(&story, n);
}

static uint64_t
hash_of(uint64_t hash, const void *bytes, size_t len)
{
	const uint8_t *p = bytes;
	while (len--)
		hash = (hash ^ *p++) * 0x100000001b3ull;
	return hash;
}

static void
output_summed(void *ctx, const struct net_flow *flow, struct rte_mbuf *m, uint64_t sum)
{
	assert_int_equal(csum_fold(sum), csum_fold(csum_bytes(rte_pktmbuf_mtod(m, uint8_t *), m->data_len)));
	assert_int_equal(m->data_len, m->pkt_len);
	summed++;
	rig_output(ctx, flow, m, 0);
}

static void *
marked(const void *p)
{
	return p ? (void *)1 : NULL;
}

static void
take_snapshot(struct snapshot *s)
{
	memset(s, 0, sizeof(*s));
	while (rig.out_head != rig.out_len) {
		const struct out *o = next_out();
		s->sent = hash_of(s->sent, &o->header, sizeof(o->header));
		s->sent = hash_of(s->sent, &o->seg.tsval, 2 * sizeof(o->seg.tsval));
		s->sent = hash_of(s->sent, o->seg.sacks, o->seg.sacks_len * sizeof(o->seg.sacks[0]));
		s->sent = hash_of(s->sent, o->payload, o->seg.len);
	}
	s->counters = rig.counters;
	s->received = rig.bytes_len;
	s->calls = rig.received_calls;
	s->eof = rig.eof;
	s->writable = rig.writable;
	s->closed = rig.closed;
	if (!rig.conn)
		return;
	for (const struct tcp_block *b = rig.conn->sq_head; b; b = b->next) {
		/* The first may begin with what is acknowledged: how much depends on where blocks end. */
		uint32_t acked = b == rig.conn->sq_head ? rig.conn->snd_una - b->seq : 0;
		s->queued = hash_of(s->queued, b->bytes + acked, b->len - acked);
	}
	s->conn = *rig.conn;
	s->conn.tcp = s->conn.context = NULL;
	s->conn.sq_head = marked(s->conn.sq_head);
	s->conn.sq_tail = marked(s->conn.sq_tail);
	s->conn.sq_cursor = NULL; /* a hint */
	s->conn.rxq = marked(s->conn.rxq);
	s->conn.board = marked(s->conn.board);
}

/* A segment that is mostly the expected one; numbers relative to the initial ones. */
static void
story_segment(bool flush)
{
	const struct tcp_conn *c = rig.conn;
	uint32_t seq = c->rcv_nxt - PEER_ISS, ack = c->snd_nxt - rig.iss,
	         len = choose(4) ? 1 + choose(200) : 0;
	uint8_t flags = ACK | (choose(2) ? PSH : 0);
	uint16_t wnd = choose(3) ? 8000 : (uint16_t)choose(choose(2) ? 12000 : 300);
	uint32_t odd = choose(30);
	if (choose(4) == 0)
		ack -= choose(tcp_flight(c) + 1);
	if (odd < 3)
		seq += 1 + choose(400);
	else if (odd < 5)
		seq -= choose(100);
	else if (odd == 5)
		ack -= choose(300);
	else if (odd == 6)
		ack += 1;
	else if (odd == 7)
		len = 1000;
	else if (odd == 8 && choose(20) == 0)
		flags |= choose(2) ? FIN : RST;
	if (c->flags & TCP_F_TS) {
		option_ts(100 + (uint32_t)(rig.now_us / 1000) - choose(40) / 39 * 5,
		    tcp_ts_now(rig.tcp) + c->ts_offset);
	} else {
		rig.opt_len = 0;
	}
	if (odd == 9 && tcp_flight(c) > 2)
		option_sack(
		    c->snd_una + 1 - rig.iss, c->snd_una + 1 + choose(tcp_flight(c) - 1) - rig.iss + 1);
	rig.take_max = choose(20) ? UINT32_MAX : choose(100);
	if (flush)
		in(flags, seq, len, ack, wnd);
	else
		in_only(flags, seq, len, ack, wnd);
}

static void
story_step(void)
{
	uint8_t bytes[4000];
	uint32_t what = choose(100), len = 1 + choose(what % 5 ? 300 : sizeof(bytes) - 1);
	memset(bytes, (int)what, len);
	if (rig.bytes_len > RIG_BYTES_MAX / 2)
		rig.bytes_len = 0;
	if (what < 60) {
		story_segment(what < 50);
	} else if (what < 80) {
		if (tcp_send(rig.conn, bytes, len) == 0 && what < 75)
			tcp_flush(rig.tcp);
	} else if (what < 94) {
		rig.now_us += choose(what < 90 ? 2000 : 400000);
		tcp_tick(rig.tcp, rig.now_us);
		tcp_poll(rig.tcp);
		tcp_flush(rig.tcp);
	} else if (what < 97) {
		rig.take_max = UINT32_MAX;
		tcp_resume(rig.conn);
		tcp_flush(rig.tcp);
	} else if (what == 97) {
		if (choose(2))
			story_segment(false);
		testpool_fail_after(rig.pool, choose(2), 2);
		if (rig.conn && tcp_send(rig.conn, bytes, len) == 0)
			tcp_flush(rig.tcp);
		testpool_fail_after(rig.pool, 0, 0);
	} else if (what == 98 && choose(20) == 0) {
		rig.echo = false;
		tcp_close(rig.conn);
		tcp_flush(rig.tcp);
	}
}

/* Tells story number n; by the general way it is remembered, by the short way compared. */
static void
tell(unsigned n, bool by_general)
{
	static const uint8_t options[] = {ALL, ALL, TCP_MINI_OPT_TS, TCP_MINI_OPT_SACK | TCP_MINI_OPT_WS, 0};
	void *state = NULL;
	assert_int_equal(rig_setup(&state), 0);
	rig.config.mbuf_reserve = n % 3 ? 0 : 4;
	rig.config.congestion = n % 2 ? TCP_RENO : TCP_CUBIC;
	rig.config.keepalive_idle_us = n % 7 ? 0 : 300000;
	rig_restart();
	memset(&rig.tcp->secrets, (int)n, sizeof(rig.tcp->secrets));
	rig.tcp->general_only = by_general;
	rig.tcp->env.output_summed = output_summed;
	rig.tcp->isn_offset = n % 2 ? 0 : 0u - 700u - rig.tcp->isn_offset;
	story = n;
	establish(options[n % RTE_DIM(options)], 8000);
	rig.echo = n % 4 == 0;
	for (unsigned step = 0; step < STEPS && rig.conn; step++) {
		struct snapshot now;
		story_step();
		assert_null(tcp_check(rig.tcp));
		take_snapshot(by_general ? &general[step] : &now);
		if (!by_general && memcmp(&now, &general[step], sizeof(now)) != 0)
			fail_msg("story %u differs at step %u", n, step);
	}
	drop_out();
	assert_int_equal(rig_teardown(&state), 0);
}

static void
any_story_goes_as_by_the_general_way(void **state)
{
	summed = 0;
	for (unsigned n = 0; n < STORIES; n++) {
		tell(n, true);
		assert_true(n != 0 || summed == 0);
		unsigned before = summed;
		tell(n, false);
		assert_true(summed >= before);
	}
	assert_true(summed > STORIES * 5);
}

/* ---- packets used again ----------------------------------------------------------------------- */

static void
reply_leaves_in_the_packet_of_the_request(void **state)
{
	establish(ALL, 8000);
	rig.echo = true;
	in_only(ACK | PSH, 1, 10, 1, 8000);
	testpool_fail_after(rig.pool, 0, 1);
	tcp_flush(rig.tcp);
	expect(ACK, 1, 10, 11);
	assert_int_equal(rig.counters.drop_tcp_no_mbuf, 0);
}

static void
packets_that_were_not_needed_go_back(void **state)
{
	establish(ALL, 8000);
	in_only(ACK | PSH, 1, 10, 1, 8000);
	assert_int_equal(rig.tcp->spares_len, 1);
	tcp_flush(rig.tcp);
	assert_int_equal(rig.tcp->spares_len, 0);
	assert_int_equal(testpool_outstanding(rig.pool), 0);
}

static void
packet_that_somebody_else_holds_is_not_used_again(void **state)
{
	struct tcp_rx rx;
	establish(ALL, 8000);
	rx = (struct tcp_rx){.m = make_segment(ACK | PSH, 1, 10, 1, 8000), .flow = rig.flow};
	struct rte_mbuf *held = rx.m;
	rte_mbuf_refcnt_update(held, 1);
	tcp_input(rig.tcp, &rx, 1);
	assert_int_equal(rig.tcp->spares_len, 0);
	rte_pktmbuf_free(held);
	tcp_flush(rig.tcp);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TCP_TEST(next_request_with_the_ack_is_taken),
	    TCP_TEST(ack_alone_and_data_alone_are_taken),
	    TCP_TEST(without_timestamps_it_is_taken_too),
	    TCP_TEST(anything_else_is_left_alone),
	    cmocka_unit_test(any_story_goes_as_by_the_general_way),
	    TCP_TEST(reply_leaves_in_the_packet_of_the_request),
	    TCP_TEST(packets_that_were_not_needed_go_back),
	    TCP_TEST(packet_that_somebody_else_holds_is_not_used_again),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
