/*
 * Timed segment scripts for TCP: one stack, an application that obeys the test, and a peer made of single segments.
 *
 *   in(flags, seq, len, ack, wnd)      the peer sends; numbers are relative to the initial ones
 *   expect(flags, seq, len, ack)       exactly this came out next
 *   expect_nothing()                   and nothing else
 *   pass_us(us)                        virtual time passes, timers run
 */
#ifndef WIRECACHE_TCP_RIG_H
#define WIRECACHE_TCP_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <rte_tcp.h>

#include "dataplane/net/checksum.h"
#include "dataplane/net/tcp_stack.h"
#include "dataplane/net/tcp_opt.h"
#include "tests/random.h"
#include "tests/unit/net/testpool.h"

#define SYN RTE_TCP_SYN_FLAG
#define ACK RTE_TCP_ACK_FLAG
#define FIN RTE_TCP_FIN_FLAG
#define RST RTE_TCP_RST_FLAG
#define PSH RTE_TCP_PSH_FLAG

#define RIG_OUT_MAX   4096u
#define RIG_BYTES_MAX (1u << 20)
#define PEER_ISS      1000u
#define SERVER_PORT   11211
#define RANGE_PORT    11300
#define RANGE_LEN     4
#define PEER_PORT     4000

struct out {
	struct tcp_seg seg; /* numbers as on the wire */
	struct rte_tcp_hdr header;
	uint8_t payload[2048];
};

static struct rig {
	struct tcp_stack *tcp;
	struct tcp_config config;
	struct net_counters counters;
	struct rte_mempool *pool, *head_pool;
	uint64_t now_us;
	uint64_t allocated;
	uint64_t random;
	bool alloc_fails;
	struct net_flow flow;
	uint16_t mtu;
	uint32_t offloads;
	unsigned trains; /* that left */
	/* packets that the port still has, if it holds them */
	bool holds;
	struct rte_mbuf *held[256];
	unsigned held_len;
	/* what came out and was not looked at */
	struct out *out;
	unsigned out_head, out_len;
	/* the peer */
	uint32_t iss; /* of the stack, taken from its SYN or SYN-ACK */
	uint8_t opt[40];
	unsigned opt_len; /* for the next segments */
	/* the application */
	struct tcp_conn *conn;
	unsigned accepted, closed, eof, writable, released, peeks;
	bool refuse, echo, close_inside;
	uint32_t take_max; /* bytes that received() consumes */
	enum tcp_close_reason reason;
	uint8_t *bytes;
	uint32_t bytes_len;
	unsigned received_calls;
} rig;

static void *
rig_accepted(void *app, struct tcp_conn *conn, bool *refuse)
{
	rig.conn = conn;
	rig.accepted++;
	*refuse = rig.refuse;
	return &rig;
}

static uint32_t
rig_received(void *app, struct tcp_conn *conn, void *context, const uint8_t *bytes, uint32_t len)
{
	uint32_t n = RTE_MIN(len, rig.take_max);
	assert_ptr_equal(context, &rig);
	rig.received_calls++;
	memcpy(rig.bytes + rig.bytes_len, bytes, n);
	rig.bytes_len += n;
	if (rig.close_inside)
		tcp_close(conn);
	if (rig.echo)
		assert_int_equal(tcp_send(conn, bytes, n), 0);
	return n;
}

static void
rig_peer_closed(void *app, struct tcp_conn *conn, void *context)
{
	rig.eof++;
}

static void
rig_writable(void *app, struct tcp_conn *conn, void *context)
{
	rig.writable++;
}

static void
rig_closed(void *app, struct tcp_conn *conn, void *context, enum tcp_close_reason reason)
{
	rig.closed++;
	rig.reason = reason;
	rig.conn = NULL;
}

static void
rig_release(void *app, uint64_t cookie)
{
	assert_int_equal(cookie, 77);
	rig.released++;
}

static void
rig_peek(void *app, void *context, const uint8_t *bytes, uint32_t len)
{
	rig.peeks++;
}

static void
rig_output(void *ctx, const struct net_flow *flow, struct rte_mbuf *m, uint16_t tso_mss)
{
	assert_true(rig.out_len < RIG_OUT_MAX);
	struct out *o = &rig.out[rig.out_len++];
	memset(&o->seg, 0, sizeof(o->seg));
	o->seg.m = m;
	assert_true(tcp_seg_parse(&o->seg));
	assert_true(o->seg.len <= sizeof(o->payload));
	o->header = *rte_pktmbuf_mtod(m, const struct rte_tcp_hdr *);
	const void *payload = rte_pktmbuf_read(m, o->seg.hlen, o->seg.len, o->payload);
	if (payload != o->payload)
		memcpy(o->payload, payload, o->seg.len);
	if (o->seg.flags & SYN)
		rig.iss = o->seg.seq;
	if (rig.holds)
		rig.held[rig.held_len++] = m;
	else
		rte_pktmbuf_free(m);
}

/* The port is done with its oldest n packets. */
static inline void
let_go(unsigned n)
{
	assert_true(n <= rig.held_len);
	rte_pktmbuf_free_bulk(rig.held, n);
	rig.held_len -= n;
	memmove(rig.held, rig.held + n, rig.held_len * sizeof(rig.held[0]));
}

/* What IP below would put into each header is right only if the sum that came along is. */
static void
rig_output_train(
    void *ctx, const struct net_flow *flow, struct rte_mbuf **m, const uint64_t *sums, unsigned n)
{
	const uint32_t len = m[0]->pkt_len;
	rig.trains++;
	for (unsigned i = 0; i < n; i++) {
		assert_int_equal(m[i]->pkt_len, len);
		if (!(rig.offloads & NET_OFFLOAD_TX_L4_CSUM))
			assert_int_equal(csum_fold(sums[i]), csum_fold(csum_mbuf(m[i], 0, m[i]->pkt_len)));
		rig_output(ctx, flow, m[i], 0);
	}
}

static uint32_t
rig_offloads(void *ctx, const struct net_flow *flow)
{
	return rig.offloads;
}

static uint16_t
rig_mtu(void *ctx, const struct net_flow *flow)
{
	return rig.mtu;
}

static uint64_t
rig_random(void *ctx)
{
	return random_next(&rig.random);
}

static void *
rig_alloc(void *ctx, size_t bytes)
{
	if (rig.alloc_fails)
		return NULL;
	void *p = aligned_alloc(64, (bytes + 63) & ~(size_t)63);
	memset(p, 0, bytes);
	rig.allocated += bytes;
	return p;
}

static void
rig_free(void *ctx, void *p, size_t bytes)
{
	rig.allocated -= bytes;
	free(p);
}

static void
rig_start(void)
{
	struct tcp_env env = {.pool = rig.pool,
	    .head_pool = rig.head_pool,
	    .output = rig_output,
	    .output_train = rig_output_train,
	    .offloads = rig_offloads,
	    .mtu = rig_mtu,
	    .random = rig_random,
	    .alloc = rig_alloc,
	    .free = rig_free};
	struct tcp_app app = {.accepted = rig_accepted,
	    .received = rig_received,
	    .peer_closed = rig_peer_closed,
	    .writable = rig_writable,
	    .closed = rig_closed,
	    .release = rig_release,
	    .peek = rig_peek};
	rig.tcp = tcp_create(&rig.config, &env, &app, rig.now_us, &rig.counters);
	assert_non_null(rig.tcp);
}

static int
rig_setup(void **state)
{
	memset(&rig, 0, sizeof(rig));
	rig.pool = testpool_create(256, 0);
	rig.head_pool = testpool_create(128, 0);
	rig.out = calloc(RIG_OUT_MAX, sizeof(*rig.out));
	rig.bytes = malloc(RIG_BYTES_MAX);
	rig.now_us = 1000000000;
	rig.random = 88172645463325252ull;
	rig.mtu = 1500;
	rig.take_max = UINT32_MAX;
	tcp_config_default(&rig.config);
	rig.config.listen_ports[0] = RTE_BE16(SERVER_PORT);
	rig.config.listen_range = (struct net_port_range){RANGE_PORT, RANGE_LEN};
	rig.config.connections_max = 64;
	rig.config.syn_backlog_max = 16;
	rig.config.time_wait_max = 4;
	rig.config.keepalive_idle_us = 0;
	rig.config.mbuf_reserve = 0; /* a failing allocation shall be felt */
	rig.flow = (struct net_flow){.local = net_addr_v4(RTE_BE32(0x0a000001)),
	    .remote = net_addr_v4(RTE_BE32(0x0a000002)),
	    .local_port = RTE_BE16(SERVER_PORT),
	    .remote_port = RTE_BE16(PEER_PORT)};
	rig_start();
	return 0;
}

static inline int
rig_teardown(void **state)
{
	const char *broken = tcp_check(rig.tcp);
	rte_pktmbuf_free_bulk(rig.held, rig.held_len);
	tcp_destroy(rig.tcp);
	unsigned lost = testpool_outstanding(rig.pool) + testpool_outstanding(rig.head_pool);
	testpool_destroy(rig.pool);
	testpool_destroy(rig.head_pool);
	free(rig.out);
	free(rig.bytes);
	if (broken)
		fprintf(stderr, "# %s\n", broken);
	return broken || lost || rig.allocated ? -1 : 0;
}

/* A stack with another configuration. */
static inline void
rig_restart(void)
{
	tcp_destroy(rig.tcp);
	rig_start();
}

static struct rte_mbuf *
make_segment(uint8_t flags, uint32_t seq, uint32_t len, uint32_t ack, uint16_t wnd)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(rig.pool);
	uint32_t hlen = sizeof(struct rte_tcp_hdr) + rig.opt_len;
	assert_non_null(m);
	struct rte_tcp_hdr *th = (struct rte_tcp_hdr *)rte_pktmbuf_append(m, (uint16_t)(hlen + len));
	memset(th, 0, hlen);
	th->src_port = rig.flow.remote_port;
	th->dst_port = rig.flow.local_port;
	th->sent_seq = rte_cpu_to_be_32(PEER_ISS + seq);
	th->recv_ack = rte_cpu_to_be_32(flags & ACK ? rig.iss + ack : 0);
	th->data_off = (uint8_t)(hlen << 2);
	th->tcp_flags = flags;
	th->rx_win = rte_cpu_to_be_16(wnd);
	memcpy(th + 1, rig.opt, rig.opt_len);
	uint8_t *payload = (uint8_t *)th + hlen;
	for (uint32_t i = 0; i < len; i++)
		payload[i] = (uint8_t)(seq + i); /* content follows from the sequence number */
	return m;
}

static inline void
in_only(uint8_t flags, uint32_t seq, uint32_t len, uint32_t ack, uint16_t wnd)
{
	struct tcp_rx rx = {.m = make_segment(flags, seq, len, ack, wnd), .flow = rig.flow};
	tcp_tick(rig.tcp, rig.now_us);
	tcp_input(rig.tcp, &rx, 1);
}

static inline void
in(uint8_t flags, uint32_t seq, uint32_t len, uint32_t ack, uint16_t wnd)
{
	in_only(flags, seq, len, ack, wnd);
	tcp_flush(rig.tcp);
}

static inline void
pass_us(uint64_t us)
{
	uint64_t until = rig.now_us + us;
	while (rig.now_us < until) {
		uint64_t wait = tcp_poll(rig.tcp);
		tcp_flush(rig.tcp);
		wait = RTE_MAX(tcp_poll(rig.tcp), 256u);
		tcp_flush(rig.tcp);
		rig.now_us = RTE_MIN(until, rig.now_us + RTE_MIN(wait, until));
		tcp_tick(rig.tcp, rig.now_us);
	}
	tcp_poll(rig.tcp);
	tcp_flush(rig.tcp);
}

static struct out *
next_out(void)
{
	assert_true(rig.out_head < rig.out_len);
	struct out *o = &rig.out[rig.out_head++];
	if (rig.out_head == rig.out_len)
		rig.out_head = rig.out_len = 0;
	return o;
}

/* PSH is not compared. */
static inline struct out *
expect(uint8_t flags, uint32_t seq, uint32_t len, uint32_t ack)
{
	struct out *o = next_out();
	assert_int_equal(o->seg.flags & ~PSH, flags);
	assert_int_equal(o->seg.seq - rig.iss, seq);
	assert_int_equal(o->seg.len, len);
	if (flags & ACK)
		assert_int_equal(o->seg.ack - PEER_ISS, ack);
	return o;
}

static inline void
expect_nothing(void)
{
	assert_int_equal(rig.out_head, rig.out_len);
}

static inline unsigned
drop_out(void)
{
	unsigned n = rig.out_len - rig.out_head;
	rig.out_head = rig.out_len = 0;
	return n;
}

static inline void
options(const void *bytes, unsigned len)
{
	memcpy(rig.opt, bytes, len);
	rig.opt_len = len;
}

static inline void
option_ts(uint32_t tsval, uint32_t tsecr)
{
	rig.opt_len = tcp_opt_ts(rig.opt, tsval, tsecr);
}

static inline void
option_sack(uint32_t start, uint32_t end)
{
	struct tcp_range r = {rig.iss + start, rig.iss + end};
	rig.opt_len = tcp_opt_sack(rig.opt, &r, 1);
}

/* A connection whose peer offered exactly these TCP_MINI_OPT_*, MSS 1000 and window scale 0. */
static inline void
establish(uint8_t opts, uint16_t wnd)
{
	struct tcp_opt_syn o = {.mss = 1000, .options = opts, .tsval = 100};
	rig.opt_len = tcp_opt_syn(rig.opt, &o);
	in(SYN, 0, 0, 0, wnd);
	rig.opt_len = 0;
	expect(SYN | ACK, 0, 0, 1);
	if (opts & TCP_MINI_OPT_TS)
		option_ts(100, 0);
	in(ACK, 1, 0, 1, wnd);
	expect_nothing();
	assert_non_null(rig.conn);
}

static inline void
send_bytes(uint32_t len)
{
	uint8_t bytes[RIG_BYTES_MAX / 8];
	uint32_t from = rig.conn->sq_end - rig.iss;
	for (uint32_t i = 0; i < len; i++)
		bytes[i] = (uint8_t)((from + i) * 7);
	tcp_tick(rig.tcp, rig.now_us);
	assert_int_equal(tcp_send(rig.conn, bytes, len), 0);
	tcp_flush(rig.tcp);
}

static inline void
check_payload(const struct out *o)
{
	for (uint32_t i = 0; i < o->seg.len; i++)
		assert_int_equal(o->payload[i], (uint8_t)((o->seg.seq - rig.iss + i) * 7));
}

/* All bytes so far are those that the peer's sequence numbers say. */
static inline void
check_received(uint32_t len)
{
	assert_int_equal(rig.bytes_len, len);
	for (uint32_t i = 0; i < len; i++)
		assert_int_equal(rig.bytes[i], (uint8_t)(1 + i));
}

#define TCP_TEST(name) cmocka_unit_test_setup_teardown(name, rig_setup, rig_teardown)

#endif
