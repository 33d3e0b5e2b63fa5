/*
 * Two whole stacks on one wire, and each allocation in turn fails: every site that takes an mbuf or memory is passed on
 * the way from the first ARP request to the last ACK. Whatever fails, the bytes arrive, and nothing is kept.
 *
 * And a stack whose pool is empty: it answers ARP, ping, a new connection and a request.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>
#include <rte_icmp.h>
#include <rte_ip.h>

#include "dataplane/net/net.h"
#include "dataplane/net/tcp.h"
#include "tests/random.h"
#include "tests/unit/net/testpool.h"

#define PORT       11211
#define WIRE_MAX   1024u
#define BYTES      20000u
#define STEP_US    1000u
#define STEPS_MAX  400000u /* 400 s of virtual time */
#define MBUFS      64u
#define NEVER      UINT32_MAX
#define ETH_BYTES  14u
#define PING_BYTES (ETH_BYTES + 20u + 8u + 32u)

/* One end: a stack, its memory, and an application that sends BYTES and expects as many. */
struct end {
	struct net_stack *net;
	struct rte_mempool *pool, *rx_pool;
	struct rte_mbuf *stolen[MBUFS];
	unsigned stolen_len;
	uint32_t alloc_fails_at; /* counts down */
	int64_t heap_bytes;
	struct rte_mbuf *wire[WIRE_MAX]; /* towards this end */
	unsigned wire_len;
	unsigned pings_back;
	struct tcp_conn *conn;
	uint32_t sent, received, total;
	bool accepted, closed, closing;
};
static struct end ends[2];
static uint64_t now_us;
static uint64_t random_state;

static uint8_t
byte_at(unsigned from, uint32_t at)
{
	return (uint8_t)(at * 7 + at / 251 + from * 101);
}

/* ---- environment ------------------------------------------------------------------------------ */

static void
env_tx(void *ctx, uint8_t iface, struct rte_mbuf *m)
{
	struct end *to = ctx == &ends[0] ? &ends[1] : &ends[0];
	const uint8_t *frame = rte_pktmbuf_mtod(m, const uint8_t *);
	struct end *from = ctx;
	assert_int_equal(m->nb_segs, 1);
	if (m->data_len == PING_BYTES && frame[23] == 1 && frame[34] == 0) {
		from->pings_back++;
	} else {
		struct rte_mbuf *copy = rte_pktmbuf_alloc(to->rx_pool);
		assert_true(copy && to->wire_len < WIRE_MAX);
		memcpy(rte_pktmbuf_append(copy, m->data_len), frame, m->data_len);
		to->wire[to->wire_len++] = copy;
	}
	rte_pktmbuf_free(m);
}

static uint64_t
env_random(void *ctx)
{
	return random_next(&random_state);
}

static void *
env_alloc(void *ctx, size_t bytes)
{
	struct end *e = ctx;
	if (e->alloc_fails_at != NEVER && e->alloc_fails_at-- == 0) {
		e->alloc_fails_at = NEVER;
		return NULL;
	}
	void *p = aligned_alloc(64, (bytes + 63) / 64 * 64);
	memset(p, 0, bytes);
	e->heap_bytes += (int64_t)bytes;
	return p;
}

static void
env_free(void *ctx, void *p, size_t bytes)
{
	((struct end *)ctx)->heap_bytes -= (int64_t)bytes;
	free(p);
}

static void
env_udp_input(void *ctx, struct net_udp_rx *rx, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		rte_pktmbuf_free(rx[i].m);
}

/* ---- application ------------------------------------------------------------------------------ */

static void *
app_accepted(void *app, struct tcp_conn *conn, bool *refuse)
{
	struct end *e = app;
	e->conn = conn;
	e->accepted = true;
	return e;
}

static uint32_t
app_received(void *app, struct tcp_conn *conn, void *context, const uint8_t *bytes, uint32_t len)
{
	struct end *e = app;
	unsigned peer = e == &ends[0];
	for (uint32_t i = 0; i < len; i++)
		assert_int_equal(bytes[i], byte_at(peer, e->received + i));
	e->received += len;
	return len;
}

static void
app_peer_closed(void *app, struct tcp_conn *conn, void *context)
{
}

static void
app_closed(void *app, struct tcp_conn *conn, void *context, enum tcp_close_reason reason)
{
	struct end *e = app;
	e->closed = true;
	e->conn = NULL;
}

static void
app_run(struct end *e)
{
	uint8_t bytes[1500];
	if (!e->accepted || !e->conn)
		return;
	/* The server answers what it was asked. */
	uint32_t until = e == &ends[0] ? e->total : RTE_MIN(e->received, e->total);
	while (e->sent < until) {
		uint32_t n = RTE_MIN(until - e->sent, (uint32_t)sizeof(bytes));
		for (uint32_t i = 0; i < n; i++)
			bytes[i] = byte_at(e == &ends[1], e->sent + i);
		if (tcp_send(e->conn, bytes, n) != 0)
			return;
		e->sent += n;
	}
	if (e->received == e->total && e->sent == e->total && !e->closing) {
		e->closing = true;
		tcp_close(e->conn);
	}
}

/* ---- both ends -------------------------------------------------------------------------------- */

static bool
start(unsigned index, uint32_t alloc_fails_at)
{
	struct end *e = &ends[index];
	struct net_config config;
	struct tcp_config tcp;
	struct tcp_app app = {.app = e,
	    .accepted = app_accepted,
	    .received = app_received,
	    .peer_closed = app_peer_closed,
	    .writable = app_peer_closed,
	    .closed = app_closed};
	net_config_default(&config);
	tcp_config_default(&tcp);
	tcp.listen_ports[0] = index ? RTE_BE16(PORT) : 0;
	tcp.connections_max = tcp.syn_backlog_max = tcp.time_wait_max = 8;
	tcp.time_wait_us = 1000000;
	config.ifaces_len = 1;
	config.ifaces[0] = (struct net_iface){.mtu = 1500,
	    .prefix4 = 24,
	    .mac = {{2, 0, 0, 0, 0, (uint8_t)(1 + index)}},
	    .addr4 = net_addr_v4(rte_cpu_to_be_32(0x0a000001 + index))};
	*e = (struct end){.pool = testpool_create(MBUFS, 0),
	    .rx_pool = testpool_create(WIRE_MAX, 0),
	    .alloc_fails_at = alloc_fails_at,
	    .total = BYTES};
	struct net_env env = {.ctx = e,
	    .pool = e->pool,
	    .tx = env_tx,
	    .random = env_random,
	    .alloc = env_alloc,
	    .free = env_free,
	    .udp_input = env_udp_input};
	e->net = net_stack_create(&config, &env, &tcp, &app, now_us);
	return e->net != NULL;
}

static void
stop(unsigned index)
{
	struct end *e = &ends[index];
	net_stack_destroy(e->net);
	rte_pktmbuf_free_bulk(e->wire, e->wire_len);
	rte_pktmbuf_free_bulk(e->stolen, e->stolen_len);
	testpool_fail_never(e->pool);
	assert_int_equal(testpool_outstanding(e->pool), 0);
	assert_int_equal(testpool_outstanding(e->rx_pool), 0);
	assert_int_equal(e->heap_bytes, 0);
	testpool_destroy(e->pool);
	testpool_destroy(e->rx_pool);
}

static void
step(struct end *e)
{
	struct rte_mbuf *burst[32];
	unsigned n = RTE_MIN(e->wire_len, 32u);
	memcpy(burst, e->wire, n * sizeof(*burst));
	memmove(e->wire, e->wire + n, (e->wire_len - n) * sizeof(*burst));
	e->wire_len -= n;
	net_tick(e->net, now_us);
	net_input(e->net, 0, burst, n);
	app_run(e);
	net_poll(e->net);
	net_flush(e->net);
}

static bool
finished(void)
{
	for (unsigned i = 0; i < 2; i++) {
		struct tcp_usage u;
		tcp_usage(net_tcp(ends[i].net), &u);
		if (!ends[i].closed || u.connections + u.half_open + u.time_wait)
			return false;
	}
	return true;
}

/* One conversation, from ARP to the end of TIME-WAIT. */
static void
converse(void)
{
	struct net_flow flow = {.local = net_addr_v4(RTE_BE32(0x0a000001)),
	    .remote = net_addr_v4(RTE_BE32(0x0a000002)),
	    .local_port = RTE_BE16(4000),
	    .remote_port = RTE_BE16(PORT)};
	for (unsigned i = 0; i < STEPS_MAX && !(ends[0].closed && finished()); i++) {
		now_us += STEP_US;
		if (!ends[0].conn && !ends[0].closed) {
			net_tick(ends[0].net, now_us);
			ends[0].conn = tcp_connect(net_tcp(ends[0].net), &flow);
		}
		step(&ends[0]);
		step(&ends[1]);
	}
	for (unsigned i = 0; i < 2; i++) {
		assert_null(tcp_check(net_tcp(ends[i].net)));
		assert_int_equal(ends[i].received, ends[i].total);
	}
	assert_true(finished());
}

/* How many mbufs and allocations one end takes when nothing fails. */
static uint32_t
count_mbufs(unsigned index)
{
	start(0, NEVER);
	start(1, NEVER);
	testpool_fail_after(ends[index].pool, 1u << 20, 1);
	converse();
	uint32_t used = (1u << 20) - testpool_of(ends[index].pool)->succeed_len;
	stop(0);
	stop(1);
	return used;
}

static void
each_mbuf_missing_once_or_for_a_while_loses_no_byte(void **state)
{
	for (unsigned index = 0; index < 2; index++) {
		uint32_t total = count_mbufs(index);
		assert_in_range(total, 20, 400);
		for (uint32_t n = 0; n < total; n++) {
			for (uint32_t misses = 1; misses <= 64; misses *= 8) {
				start(0, NEVER);
				start(1, NEVER);
				testpool_fail_after(ends[index].pool, n, misses);
				converse();
				assert_true(testpool_of(ends[index].pool)->failed > 0);
				stop(0);
				stop(1);
			}
		}
	}
}

static void
each_allocation_missing_loses_no_byte(void **state)
{
	for (unsigned index = 0; index < 2; index++) {
		uint32_t in_create = 0, after = 0;
		for (uint32_t n = 0;; n++) {
			bool made[2] = {start(0, index ? NEVER : n), start(1, index ? n : NEVER)};
			if (!made[index]) {
				in_create++;
				stop(0);
				stop(1);
				continue;
			}
			converse();
			bool failed = ends[index].alloc_fails_at == NEVER;
			stop(0);
			stop(1);
			if (!failed)
				break;
			after++;
		}
		assert_in_range(in_create, 4, 20);
		assert_in_range(after, 2, 40);
	}
}

/* ---- the pool is empty ------------------------------------------------------------------------ */

static void
steal_all(struct end *e)
{
	while ((e->stolen[e->stolen_len] = rte_pktmbuf_alloc(e->pool)))
		e->stolen_len++;
}

static void
ping_the_server(void)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(ends[1].rx_pool);
	uint8_t *p = rte_pktmbuf_mtod(m, uint8_t *);
	rte_pktmbuf_append(m, PING_BYTES);
	const uint8_t macs[12] = {2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1};
	memset(p, 0, PING_BYTES);
	memcpy(p, macs, sizeof(macs));
	p[12] = 8;
	struct rte_ipv4_hdr *ip = (struct rte_ipv4_hdr *)(p + ETH_BYTES);
	ip->version_ihl = 0x45;
	ip->total_length = RTE_BE16(PING_BYTES - ETH_BYTES);
	ip->time_to_live = 64;
	ip->next_proto_id = 1;
	ip->src_addr = RTE_BE32(0x0a000001);
	ip->dst_addr = RTE_BE32(0x0a000002);
	ip->hdr_checksum = rte_ipv4_cksum(ip);
	struct rte_icmp_hdr *icmp = (struct rte_icmp_hdr *)(ip + 1);
	icmp->icmp_type = 8;
	icmp->icmp_cksum = (uint16_t)~rte_raw_cksum(icmp, PING_BYTES - ETH_BYTES - 20);
	ends[1].wire[ends[1].wire_len++] = m;
}

static void
empty_pool_still_answers_arp_ping_connections_and_requests(void **state)
{
	start(0, NEVER);
	start(1, NEVER);
	for (unsigned i = 0; i < 10; i++) {
		now_us += STEP_US;
		step(&ends[1]); /* fills the reserve */
	}
	steal_all(&ends[1]);
	assert_int_equal(rte_mempool_avail_count(ends[1].pool), 0);
	converse(); /* begins with an ARP request of the client */
	for (unsigned i = 0; i < 10; i++) {
		ping_the_server();
		step(&ends[1]);
	}
	assert_int_equal(ends[1].pings_back, 10);
	assert_true(net_counters(ends[1].net)->arp_replies_sent > 0);
	assert_true(net_counters(ends[1].net)->tcp_reserve_used > 0);
	stop(0);
	stop(1);
}

/* A second conversation on stacks that had one. */
static void
converse_again(void)
{
	for (unsigned i = 0; i < 2; i++) {
		struct end *e = &ends[i];
		e->conn = NULL;
		e->sent = e->received = 0;
		e->accepted = e->closed = e->closing = false;
	}
	converse();
}

static void
pool_that_comes_back_finds_the_stack_alive(void **state)
{
	start(0, NEVER);
	start(1, NEVER);
	converse();
	steal_all(&ends[1]);
	for (unsigned i = 0; i < 5000; i++) {
		now_us += STEP_US;
		if (i % 100 == 0)
			ping_the_server();
		step(&ends[1]);
	}
	assert_int_equal(ends[1].pings_back, 50);
	rte_pktmbuf_free_bulk(ends[1].stolen, ends[1].stolen_len);
	ends[1].stolen_len = 0;
	converse_again();
	stop(0);
	stop(1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(each_mbuf_missing_once_or_for_a_while_loses_no_byte),
	    cmocka_unit_test(each_allocation_missing_loses_no_byte),
	    cmocka_unit_test(empty_pool_still_answers_arp_ping_connections_and_requests),
	    cmocka_unit_test(pool_that_comes_back_finds_the_stack_alive),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
