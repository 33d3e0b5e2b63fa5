/*
 * One stack on a bench: frames are written byte by byte by code that shares nothing with the stack, what
 * leaves and what goes up is kept, time stands still unless a test moves it.
 *
 * The network: we are 10.0.0.1/24 and fd00::1/64 with MAC 02:..:01; peers are .2, .3 and so on with the MAC
 * ending in the same number; the gateway is .254 (MAC ..:fe).
 */
#ifndef WIRECACHE_RIG_H
#define WIRECACHE_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "dataplane/net/neigh.h"
#include "dataplane/net/net.h"
#include "dataplane/net/reassembly.h"
#include "tests/random.h"
#include "tests/unit/net/fake_tcp.h"
#include "tests/unit/net/testenv.h"
#include "tests/unit/net/testpool.h"

#define RIG_TX_MAX     1024u
#define RIG_BYTES_MAX  70000u
#define RIG_MBUFS      4096u
#define RIG_GATEWAY    254u
#define RIG_PORT       11211u
#define RIG_RANGE_PORT 65530u
#define RIG_RANGE_LEN  6u /* to the last port there is */

#define ETH_BYTES 14u
#define IP4_BYTES 20u
#define IP6_BYTES 40u
#define UDP_BYTES 8u
#define TYPE_IP4  0x0800u
#define TYPE_ARP  0x0806u
#define TYPE_IP6  0x86ddu

/* What a test may change before rig_start(), and reads after. */
struct rig {
	struct net_config config;
	struct net_env env;
	struct tcp_config tcp_config;
	struct tcp_app tcp_app;
	struct rte_mempool *pool;
	struct net_stack *stack;
	uint64_t now_us;
	uint64_t random;
	int64_t heap_bytes;

	struct rte_mbuf *tx[RIG_TX_MAX];
	uint8_t tx_iface[RIG_TX_MAX];
	unsigned tx_len;

	struct net_flow udp_flow[NET_BURST_MAX];
	unsigned udp_len;
	unsigned udp_calls;
	uint8_t udp_bytes[RIG_BYTES_MAX]; /* of the last datagram */
	uint32_t udp_bytes_len;
	uint16_t udp_segs;
	bool udp_echo; /* answer every datagram with its payload */

	struct net_addr learned_addr;
	struct rte_ether_addr learned_mac;
	unsigned learned_len;
	struct net_icmp_error foreign;
	unsigned foreign_len;
};

static struct rig rig;

/* ---- environment ------------------------------------------------------------------------------ */

static inline void
rig_op_tx(void *ctx, uint8_t iface, struct rte_mbuf *m)
{
	assert_true(rig.tx_len < RIG_TX_MAX);
	rte_mbuf_sanity_check(m, 1);
	rig.tx_iface[rig.tx_len] = iface;
	rig.tx[rig.tx_len++] = m;
}

static inline uint64_t
rig_op_random(void *ctx)
{
	return random_next(&rig.random);
}

static inline void *
rig_op_alloc(void *ctx, size_t bytes)
{
	return testenv_alloc(&rig.heap_bytes, bytes);
}

static inline void
rig_op_free(void *ctx, void *p, size_t bytes)
{
	testenv_free(&rig.heap_bytes, p, bytes);
}

static inline uint32_t
rig_flatten(const struct rte_mbuf *m, uint8_t *out, uint32_t room)
{
	uint32_t at = 0, segs = 0;
	const uint32_t total = m->pkt_len, nb_segs = m->nb_segs;

	for (; m != NULL; m = m->next, segs++) {
		assert_true(at + m->data_len <= room);
		memcpy(out + at, rte_pktmbuf_mtod(m, const void *), m->data_len);
		at += m->data_len;
	}
	assert_int_equal(at, total);
	assert_int_equal(segs, nb_segs);
	return at;
}

static inline void
rig_op_udp_input(void *ctx, struct net_udp_rx *rx, unsigned n)
{
	rig.udp_calls++;
	for (unsigned i = 0; i < n; i++) {
		net_udp_flow(&rx[i]);
		rig.udp_flow[rig.udp_len++ % NET_BURST_MAX] = rx[i].flow;
		rig.udp_bytes_len = rig_flatten(rx[i].m, rig.udp_bytes, sizeof(rig.udp_bytes));
		rig.udp_segs = rx[i].m->nb_segs;
		if (rig.udp_echo)
			net_udp_output(rig.stack, &rx[i].flow, rx[i].m);
		else
			rte_pktmbuf_free(rx[i].m);
	}
}

static inline void
rig_op_neigh_learned(void *ctx, uint8_t iface, const struct net_addr *addr, const struct rte_ether_addr *mac)
{
	rig.learned_len++;
	rig.learned_addr = *addr;
	rig.learned_mac = *mac;
}

static inline void
rig_op_icmp_foreign(void *ctx, const struct net_icmp_error *error)
{
	rig.foreign_len++;
	rig.foreign = *error;
}

/* ---- addresses -------------------------------------------------------------------------------- */

static inline struct rte_ether_addr
mac_of(uint8_t host)
{
	return (struct rte_ether_addr){{0x02, 0, 0, 0, 0, host}};
}

static inline uint32_t
ip4_of(uint8_t host) /* host order: tests read better */
{
	return 0x0a000000u | host;
}

static inline struct net_addr
addr4_of(uint8_t host)
{
	return net_addr_v4(rte_cpu_to_be_32(ip4_of(host)));
}

static inline struct net_addr
addr6_of(uint8_t host)
{
	return (struct net_addr){.b = {0xfd, [15] = host}};
}

static inline struct net_flow
flow4_to(uint8_t host, uint16_t local_port, uint16_t remote_port)
{
	return (struct net_flow){.local = addr4_of(1),
	    .remote = addr4_of(host),
	    .local_port = rte_cpu_to_be_16(local_port),
	    .remote_port = rte_cpu_to_be_16(remote_port)};
}

static inline struct net_flow
flow6_to(uint8_t host, uint16_t local_port, uint16_t remote_port)
{
	return (struct net_flow){.local = addr6_of(1),
	    .remote = addr6_of(host),
	    .local_port = rte_cpu_to_be_16(local_port),
	    .remote_port = rte_cpu_to_be_16(remote_port)};
}

/* ---- life ------------------------------------------------------------------------------------- */

/* Fills in what most tests want; change rig.config, then rig_start(). */
static inline void
rig_prepare_with(uint16_t data_room)
{
	memset(&rig, 0, sizeof(rig));
	rig.random = 1;
	rig.now_us = 1000000;
	rig.pool = testpool_create(RIG_MBUFS, data_room);
	net_config_default(&rig.config);
	rig.config.ifaces_len = 1;
	rig.config.ifaces[0] = (struct net_iface){
	    .mtu = 1500,
	    .prefix4 = 24,
	    .prefix6 = 64,
	    .offloads = NET_OFFLOAD_TX_MULTI,
	    .mac = mac_of(1),
	    .addr4 = addr4_of(1),
	    .gateway4 = addr4_of(RIG_GATEWAY),
	    .addr6 = {[1] = addr6_of(1)},
	    .gateway6 = addr6_of(RIG_GATEWAY),
	};
	rig.config.udp_ports[0] = rte_cpu_to_be_16(RIG_PORT);
	rig.config.udp_range = (struct net_port_range){RIG_RANGE_PORT, RIG_RANGE_LEN};
	rig.env = (struct net_env){
	    .pool = rig.pool,
	    .tx = rig_op_tx,
	    .random = rig_op_random,
	    .alloc = rig_op_alloc,
	    .free = rig_op_free,
	    .udp_input = rig_op_udp_input,
	    .neigh_learned = rig_op_neigh_learned,
	    .icmp_foreign = rig_op_icmp_foreign,
	};
}

static inline void
rig_prepare(void)
{
	rig_prepare_with(0);
}

static inline void
rig_start(void)
{
	rig.stack = net_stack_create(&rig.config, &rig.env, &rig.tcp_config, &rig.tcp_app, rig.now_us);
	assert_non_null(rig.stack);
}

static inline void
rig_tx_clear(void)
{
	rte_pktmbuf_free_bulk(rig.tx, rig.tx_len);
	rig.tx_len = 0;
}

/* Ends a test: nothing may be left of it. */
static inline void
rig_stop(void)
{
	if (rig.stack != NULL) {
		assert_ptr_equal(neigh_check(rig.stack), NULL);
		assert_ptr_equal(reassembly_check(rig.stack), NULL);
		net_stack_destroy(rig.stack);
	}
	rig_tx_clear();
	assert_int_equal(testpool_outstanding(rig.pool), 0);
	assert_int_equal(rig.heap_bytes, 0);
	testpool_destroy(rig.pool);
}

static inline int
rig_setup(void **state)
{
	rig_prepare();
	rig_start();
	return 0;
}

/* For tests that configure first: they call rig_start() themselves. */
static inline int
rig_setup_unstarted(void **state)
{
	rig_prepare();
	return 0;
}

static inline int
rig_teardown(void **state)
{
	rig_stop();
	return 0;
}

#define RIG_TEST(name)           cmocka_unit_test_setup_teardown(name, rig_setup, rig_teardown)
#define RIG_TEST_UNSTARTED(name) cmocka_unit_test_setup_teardown(name, rig_setup_unstarted, rig_teardown)

/* Moves the clock and lets timers run, in steps of at most 100 ms. */
static inline void
rig_advance(uint64_t us)
{
	while (us > 0) {
		const uint64_t step = RTE_MIN(us, (uint64_t)100000);
		us -= step;
		rig.now_us += step;
		net_tick(rig.stack, rig.now_us);
		net_poll(rig.stack);
	}
}

#define rig_counter(name) (net_counters(rig.stack)->name)
#define rig_drops(name)   (net_counters(rig.stack)->drop_##name)

/* ---- bytes ------------------------------------------------------------------------------------ */

static inline void
put16(uint8_t *p, uint16_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static inline void
put32(uint8_t *p, uint32_t v)
{
	put16(p, (uint16_t)(v >> 16));
	put16(p + 2, (uint16_t)v);
}

static inline uint16_t
get16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static inline uint32_t
get32(const uint8_t *p)
{
	return (uint32_t)get16(p) << 16 | get16(p + 2);
}

/* RFC 1071 the slow way: 16-bit big-endian words. */
static inline uint16_t
slow_sum(uint32_t sum, const uint8_t *p, size_t len)
{
	for (size_t i = 0; i < len; i++)
		sum += i % 2 == 0 ? (uint32_t)p[i] << 8 : p[i];
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

/* Of the pseudo-header that belongs to an IP header. */
static inline uint16_t
slow_pseudo_sum(const uint8_t *ip, uint8_t proto, uint32_t len)
{
	const bool v4 = ip[0] >> 4 == 4;
	return slow_sum(proto + len, ip + (v4 ? 12 : 8), v4 ? 8 : 32);
}

/* With the layer 4 packet; 0xffff means that the checksum in it is right. */
static inline uint16_t
slow_l4_sum(const uint8_t *ip, const uint8_t *l4, uint32_t len, uint8_t proto)
{
	return slow_sum(slow_pseudo_sum(ip, proto, len), l4, len);
}

/* ---- frames ----------------------------------------------------------------------------------- */

/* A frame under construction; the newest part is at the end. */
struct frame {
	uint8_t b[RIG_BYTES_MAX];
	uint32_t len;
	uint32_t l3; /* where the IP header starts */
};

static struct frame frame;

static inline uint8_t *
frame_append(const void *bytes, uint32_t len)
{
	uint8_t *at = frame.b + frame.len;
	assert_true(frame.len + len <= sizeof(frame.b));
	if (bytes != NULL)
		memcpy(at, bytes, len);
	else
		memset(at, 0, len);
	frame.len += len;
	return at;
}

static inline void
frame_eth(uint8_t from_host, uint16_t type)
{
	const struct rte_ether_addr to = mac_of(1), from = mac_of(from_host);
	frame.len = 0;
	frame_append(&to, 6);
	frame_append(&from, 6);
	put16(frame_append(NULL, 2), type);
	frame.l3 = frame.len;
}

/* An IPv4 header for a payload that is appended next; see frame_ip4_finish(). */
static inline uint8_t *
frame_ip4(uint8_t from_host, uint8_t proto)
{
	frame_eth(from_host, TYPE_IP4);
	uint8_t *ip = frame_append(NULL, IP4_BYTES);
	ip[0] = 0x45;
	ip[8] = 64;
	ip[9] = proto;
	put32(ip + 12, ip4_of(from_host));
	put32(ip + 16, ip4_of(1));
	return ip;
}

/* Length and header checksum, after everything else. */
static inline void
frame_ip4_finish(void)
{
	uint8_t *ip = frame.b + frame.l3;
	put16(ip + 2, (uint16_t)(frame.len - frame.l3));
	put16(ip + 10, 0);
	put16(ip + 10, (uint16_t)~slow_sum(0, ip, (ip[0] & 0xfu) * 4));
}

static inline uint8_t *
frame_ip6(uint8_t from_host, uint8_t next)
{
	frame_eth(from_host, TYPE_IP6);
	uint8_t *ip = frame_append(NULL, IP6_BYTES);
	const struct net_addr from = addr6_of(from_host), to = addr6_of(1);
	ip[0] = 0x60;
	ip[6] = next;
	ip[7] = 64;
	memcpy(ip + 8, &from, 16);
	memcpy(ip + 24, &to, 16);
	return ip;
}

static inline void
frame_ip6_finish(void)
{
	put16(frame.b + frame.l3 + 4, (uint16_t)(frame.len - frame.l3 - IP6_BYTES));
}

static inline void
frame_pattern(uint32_t len)
{
	uint8_t *p = frame_append(NULL, len);
	for (uint32_t i = 0; i < len; i++)
		p[i] = (uint8_t)(i * 7 + i / 251);
}

/* A UDP header and a patterned payload behind whatever IP header is there. */
static inline uint8_t *
frame_udp_part(uint16_t sport, uint16_t dport, uint32_t payload)
{
	const uint32_t at = frame.len;
	uint8_t *udp = frame_append(NULL, UDP_BYTES);
	put16(udp, sport);
	put16(udp + 2, dport);
	put16(udp + 4, (uint16_t)(UDP_BYTES + payload));
	frame_pattern(payload);
	const uint16_t sum = (uint16_t)~slow_l4_sum(frame.b + frame.l3, udp, frame.len - at, 17);
	put16(udp + 6, sum != 0 ? sum : 0xffff);
	return udp;
}

static inline void
frame_udp4(uint8_t from_host, uint16_t dport, uint32_t payload)
{
	frame_ip4(from_host, 17);
	frame_udp_part(40000, dport, payload);
	frame_ip4_finish();
}

static inline void
frame_udp6(uint8_t from_host, uint16_t dport, uint32_t payload)
{
	frame_ip6(from_host, 17);
	frame_udp_part(40000, dport, payload);
	frame_ip6_finish();
}

/* A TCP SYN of 20 bytes and a payload; checksum right. */
static inline void
frame_tcp_part(uint32_t payload)
{
	const uint32_t at = frame.len;
	uint8_t *tcp = frame_append(NULL, 20);
	put16(tcp, 50000);
	put16(tcp + 2, RIG_PORT);
	put32(tcp + 4, 0x01020304);
	tcp[12] = 0x50;
	tcp[13] = 0x02;
	frame_pattern(payload);
	put16(tcp + 16, (uint16_t)~slow_l4_sum(frame.b + frame.l3, tcp, frame.len - at, 6));
}

static inline void
frame_tcp4(uint8_t from_host, uint32_t payload)
{
	frame_ip4(from_host, 6);
	frame_tcp_part(payload);
	frame_ip4_finish();
}

static inline void
frame_echo_part(bool v4, uint32_t payload)
{
	const uint32_t at = frame.len;
	uint8_t *icmp = frame_append(NULL, 8);
	icmp[0] = v4 ? 8 : 128;
	put32(icmp + 4, 0x12340001);
	frame_pattern(payload);
	put16(icmp + 2, v4 ? (uint16_t)~slow_sum(0, icmp, frame.len - at)
	                   : (uint16_t)~slow_l4_sum(frame.b + frame.l3, icmp, frame.len - at, 58));
}

static inline void
frame_echo4(uint8_t from_host, uint32_t payload)
{
	frame_ip4(from_host, 1);
	frame_echo_part(true, payload);
	frame_ip4_finish();
}

static inline void
frame_echo6(uint8_t from_host, uint32_t payload)
{
	frame_ip6(from_host, 58);
	frame_echo_part(false, payload);
	frame_ip6_finish();
}

/* op 1 request, 2 reply; to all stations or to us alone. */
static inline void
frame_arp(uint16_t op, uint8_t from_host, uint8_t from_ip, uint8_t target_ip, bool broadcast)
{
	const struct rte_ether_addr from = mac_of(from_host), us = mac_of(1);
	frame_eth(from_host, TYPE_ARP);
	if (broadcast)
		memset(frame.b, 0xff, 6);
	uint8_t *arp = frame_append(NULL, 28);
	put16(arp, 1);
	put16(arp + 2, TYPE_IP4);
	arp[4] = 6;
	arp[5] = 4;
	put16(arp + 6, op);
	memcpy(arp + 8, &from, 6);
	put32(arp + 14, from_ip != 0 ? ip4_of(from_ip) : 0);
	if (op == 2)
		memcpy(arp + 18, &us, 6);
	put32(arp + 24, ip4_of(target_ip));
}

/* ---- in and out ------------------------------------------------------------------------------- */

/* A packet of the frame, cut into buffers of `split` bytes (0: as much as fits). */
static inline struct rte_mbuf *
rig_mbuf(uint32_t split)
{
	struct rte_mbuf *head = NULL, *last = NULL;

	for (uint32_t at = 0; at < frame.len || head == NULL;) {
		struct rte_mbuf *m = rte_pktmbuf_alloc(rig.pool);
		assert_non_null(m);
		const uint32_t room = split != 0 ? split : rte_pktmbuf_tailroom(m);
		const uint32_t part = RTE_MIN(room, frame.len - at);
		memcpy(rte_pktmbuf_append(m, (uint16_t)part), frame.b + at, part);
		at += part;
		if (head == NULL) {
			head = m;
		} else {
			last->next = m;
			head->nb_segs++;
			head->pkt_len += part;
		}
		last = m;
	}
	return head;
}

static inline void
rig_rx_mbuf(struct rte_mbuf *m)
{
	net_input(rig.stack, 0, &m, 1);
}

static inline void
rig_rx(void)
{
	rig_rx_mbuf(rig_mbuf(0));
}

static inline void
rig_rx_split(uint32_t split)
{
	rig_rx_mbuf(rig_mbuf(split));
}

/* The i-th frame sent, flat. */
static uint8_t sent[RIG_BYTES_MAX];

static inline uint32_t
rig_sent(unsigned i)
{
	assert_true(i < rig.tx_len);
	return rig_flatten(rig.tx[i], sent, sizeof(sent));
}

/* Makes a peer known, as an ARP reply does; what is sent and learned meanwhile is forgotten. */
static inline void
rig_know4(uint8_t host)
{
	frame_arp(2, host, host, 1, false);
	rig_rx();
	rig_tx_clear();
	rig.learned_len = 0;
}

static inline void
rig_know6(uint8_t host)
{
	const struct net_addr addr = addr6_of(host);
	const struct rte_ether_addr mac = mac_of(host);
	net_neigh_update(rig.stack, 0, &addr, &mac);
	rig_tx_clear();
}

/* A payload of the application's own to send. */
static inline struct rte_mbuf *
rig_payload(uint32_t len, uint32_t split)
{
	frame.len = 0;
	frame_pattern(len);
	return rig_mbuf(split);
}

/* Checks IPv4 or IPv6 and UDP of the frame in sent[]; returns the payload's length. */
static inline uint32_t
rig_check_sent_udp(uint32_t frame_len)
{
	const uint8_t *ip = sent + ETH_BYTES;
	const bool v4 = ip[0] >> 4 == 4;
	const uint8_t *udp = ip + (v4 ? IP4_BYTES : IP6_BYTES);
	const uint32_t len = frame_len - (uint32_t)(udp - sent);

	if (v4)
		assert_int_equal(slow_sum(0, ip, IP4_BYTES), 0xffff);
	assert_int_equal(v4 ? get16(ip + 2) - IP4_BYTES : get16(ip + 4), len);
	assert_int_equal(get16(udp + 4), len);
	assert_int_not_equal(get16(udp + 6), 0);
	assert_int_equal(slow_l4_sum(ip, udp, len, 17), 0xffff);
	return len - UDP_BYTES;
}

#endif
