/*
 * libFuzzer entry: Ethernet frames through net_input() of a whole stack with TCP listening and UDP bound, with an
 * application that obeys the input, in virtual time.
 *
 * The input's first three bytes configure the port and TCP. Then come steps: a byte whose low bits choose the kind of
 * step, its arguments behind it (frames.h). Frames gather to a burst until a step says that it goes in. Whatever comes,
 * the tables stay sound, and at the end every buffer, allocation and reference is back and every connection was closed.
 */
#include <rte_mbuf.h>
#include <rte_tcp.h>

#include "dataplane/net/neigh.h"
#include "dataplane/net/net.h"
#include "dataplane/net/reassembly.h"
#include "dataplane/net/tcp.h"
#include "tests/fuzz/frames.h"
#include "tests/random.h"
#include "tests/unit/net/testenv.h"
#include "tests/unit/net/testpool.h"

#define CONFIG_BYTES 3u
#define MBUFS        512u
#define STEPS_MAX    200u
#define CHECK_STEPS  16u
#define CONNS_MAX    16u
#define START_US     1000000000u
#define COOKIE       77u

#define STEP_KIND   0x07u
#define STEP_V6     0x08u
#define STEP_PATCH  0x10u
#define STEP_BAD    0x20u /* with STEP_PATCH: the checksums stay as they were */
#define STEP_SPLIT  0x40u
#define STEP_GATHER 0x80u /* the burst goes in later */

#define APP_TAKE  0x07u /* 0: everything; else as many bytes times 16 */
#define APP_ECHO  0x08u
#define APP_CLOSE 0x10u
#define APP_ABORT 0x20u
#define APP_STAY  0x40u /* does not close when the peer does */

enum step { STEP_TIME, STEP_TCP, STEP_APP, STEP_UDP, STEP_ICMP, STEP_NEIGHBOUR, STEP_FRAGMENT, STEP_OTHER };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* One run. */
static struct rig {
	struct rte_mempool *pool;
	struct net_stack *stack;
	uint64_t now_us;
	uint64_t random;
	int64_t heap_bytes;
	int64_t references;
	struct frame_talk talk;
	uint8_t app; /* APP_* */
	struct tcp_conn *conns[CONNS_MAX];
	bool aborted[CONNS_MAX];
	int64_t live;
	struct rte_mbuf *burst[NET_BURST_MAX];
	unsigned burst_len;
} rig;

static const uint8_t some_bytes[5000];

static void
require(bool holds)
{
	if (!holds)
		abort();
}

/* ---- environment ----------------------------------------------------------------------------------------------- */

static void
watch_tcp(const uint8_t *tcp, uint32_t len)
{
	uint32_t header = len >= sizeof(struct rte_tcp_hdr) ? (tcp[12] >> 4) * 4u : 0;

	if (header < sizeof(struct rte_tcp_hdr) || header > len)
		return;
	if (tcp[13] & RTE_TCP_ACK_FLAG)
		rig.talk.next_seq = frame_get32(tcp + 8);
	rig.talk.next_ack =
	    frame_get32(tcp + 4) + (len - header) + ((tcp[13] & (RTE_TCP_SYN_FLAG | RTE_TCP_FIN_FLAG)) != 0);
	if (header >= 32 && frame_get32(tcp + 20) == 0x0101080a)
		rig.talk.tsval = frame_get32(tcp + 24);
}

static void
op_tx(void *ctx, uint8_t iface, struct rte_mbuf *m)
{
	uint8_t flat[256];
	const uint32_t len = RTE_MIN(m->pkt_len, (uint32_t)sizeof(flat));
	const uint8_t *bytes = rte_pktmbuf_read(m, 0, len, flat);
	const bool v6 = len > FRAME_ETH && bytes[FRAME_ETH] >> 4 == 6;
	const uint32_t header = FRAME_ETH + (v6 ? 40 : 20);

	rte_mbuf_sanity_check(m, 1);
	require(iface == 0 && bytes != NULL && len >= FRAME_ETH);
	if (len > header && bytes[FRAME_ETH + (v6 ? 6 : 9)] == FRAME_PROTO_TCP)
		watch_tcp(bytes + header, len - header);
	rte_pktmbuf_free(m);
}

static uint64_t
op_random(void *ctx)
{
	return random_next(&rig.random);
}

static void *
op_alloc(void *ctx, size_t bytes)
{
	return testenv_alloc(&rig.heap_bytes, bytes);
}

static void
op_free(void *ctx, void *p, size_t bytes)
{
	testenv_free(&rig.heap_bytes, p, bytes);
}

static void
op_udp_input(void *ctx, struct net_udp_rx *rx, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		net_udp_flow(&rx[i]);
		if (rig.app & APP_ECHO)
			net_udp_output(rig.stack, &rx[i].flow, rx[i].m);
		else
			rte_pktmbuf_free(rx[i].m);
	}
}

static void
op_neigh_learned(void *ctx, uint8_t iface, const struct net_addr *addr, const struct rte_ether_addr *mac)
{
	require(iface == 0 && !rte_is_multicast_ether_addr(mac));
}

static void
op_icmp_foreign(void *ctx, const struct net_icmp_error *error)
{
	require(error->proto == FRAME_PROTO_TCP || error->proto == FRAME_PROTO_UDP);
}

/* ---- application ----------------------------------------------------------------------------------------------- */

static void *
app_accepted(void *app, struct tcp_conn *conn, bool *refuse)
{
	for (size_t i = 0; i < CONNS_MAX; i++) {
		if (rig.conns[i] != NULL)
			continue;
		rig.conns[i] = conn;
		rig.aborted[i] = false;
		rig.live++;
		return &rig.conns[i];
	}
	*refuse = true;
	return NULL;
}

static void
abort_conn(struct tcp_conn **slot)
{
	rig.aborted[slot - rig.conns] = true;
	tcp_abort(*slot);
}

static uint32_t
app_received(void *app, struct tcp_conn *conn, void *context, const uint8_t *bytes, uint32_t len)
{
	const uint32_t take = rig.app & APP_TAKE ? (rig.app & APP_TAKE) * 16u : len;
	volatile uint8_t sum = 0;

	require(*(struct tcp_conn **)context == conn);
	for (uint32_t i = 0; i < len; i++)
		sum = (uint8_t)(sum + bytes[i]);
	if (rig.app & APP_ECHO)
		(void)!tcp_send(conn, bytes, len);
	if (rig.app & APP_CLOSE)
		tcp_close(conn);
	if (rig.app & APP_ABORT)
		abort_conn(context);
	return RTE_MIN(take, len);
}

static void
app_peer_closed(void *app, struct tcp_conn *conn, void *context)
{
	if (!(rig.app & APP_STAY))
		tcp_close(conn);
}

static void
app_writable(void *app, struct tcp_conn *conn, void *context)
{
	if (rig.app & APP_ECHO)
		(void)!tcp_send(conn, some_bytes, 100);
}

static void
app_closed(void *app, struct tcp_conn *conn, void *context, enum tcp_close_reason reason)
{
	struct tcp_conn **slot = context;

	require(*slot == conn);
	*slot = NULL;
	rig.live--;
}

static void
app_release(void *app, uint64_t cookie)
{
	require(cookie == COOKIE && rig.references > 0);
	rig.references--;
}

static void
app_peek(void *app, void *context, const uint8_t *bytes, uint32_t len)
{
	volatile uint8_t last = len > 0 ? bytes[len - 1] : 0;

	(void)last;
}

/* ---- steps ----------------------------------------------------------------------------------------------------- */

static void
check_tables(void)
{
	require(tcp_check(net_tcp(rig.stack)) == NULL);
	require(neigh_check(rig.stack) == NULL && reassembly_check(rig.stack) == NULL);
}

static void
input_burst(void)
{
	net_tick(rig.stack, rig.now_us);
	net_input(rig.stack, 0, rig.burst, rig.burst_len);
	net_flush(rig.stack);
	testpool_fail_never(rig.pool);
	rig.burst_len = 0;
}

static void
pass_us(uint64_t us)
{
	rig.now_us += us;
	net_tick(rig.stack, rig.now_us);
	for (unsigned i = 0; i < 8 && net_poll(rig.stack) == 0; i++)
		net_flush(rig.stack);
	net_flush(rig.stack);
}

/* A packet of the frame, in buffers of `split` bytes (0: as much as fits); NULL when there are not enough of them. */
static struct rte_mbuf *
make_mbuf(const struct frame *frame, uint32_t split)
{
	struct rte_mbuf *head = NULL, *last = NULL;

	for (uint32_t at = 0; at < frame->len;) {
		struct rte_mbuf *m = rte_pktmbuf_alloc(rig.pool);
		uint32_t part;

		if (m == NULL) {
			rte_pktmbuf_free(head);
			return NULL;
		}
		part = split != 0 ? split : rte_pktmbuf_tailroom(m);
		part = RTE_MIN(part, frame->len - at);
		memcpy(rte_pktmbuf_append(m, (uint16_t)part), frame->b + at, part);
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

static void
make_frame(struct frame *frame, struct frame_input *input, uint8_t step)
{
	const bool v6 = (step & STEP_V6) != 0;
	const uint8_t how = input_u8(input), host = (uint8_t)(2 + how % FRAME_PEERS);

	switch (step & STEP_KIND) {
	case STEP_TCP:
		frame_tcp(frame, input, &rig.talk, v6, host);
		break;
	case STEP_UDP:
		frame_udp(frame, input, v6, host);
		break;
	case STEP_ICMP:
		if (how & 0x80)
			frame_icmp_error(frame, input, &rig.talk, v6, host);
		else
			frame_icmp(frame, input, v6, host);
		break;
	case STEP_NEIGHBOUR:
		frame_neighbour(frame, input, v6, host);
		break;
	case STEP_FRAGMENT:
		frame_fragment(frame, input, v6, host);
		break;
	default: /* any bytes, with or without a header that leads to them */
		if (how & 0x80) {
			frame->len = 0;
		} else {
			frame_ip(frame, v6, host, input_u8(input));
		}
		frame_take(frame, input, 1u + input_u8(input));
		if (!(how & 0x80))
			frame_lengths(frame);
	}
}

static void
step_frame(struct frame_input *input, uint8_t step)
{
	static struct frame frame;
	struct rte_mbuf *m;

	make_frame(&frame, input, step);
	if (step & STEP_PATCH)
		frame_patch(&frame, input);
	if (!(step & STEP_BAD))
		frame_repair(&frame);
	m = make_mbuf(&frame, step & STEP_SPLIT ? 1u + input_u8(input) : 0);
	if (m == NULL)
		return;
	if (step & STEP_SPLIT)
		m->ol_flags |= (uint64_t)input_u8(input) << 3 &
		               (RTE_MBUF_F_RX_IP_CKSUM_MASK | RTE_MBUF_F_RX_L4_CKSUM_MASK);
	rig.burst[rig.burst_len++] = m;
	if (!(step & STEP_GATHER) || rig.burst_len == NET_BURST_MAX)
		input_burst();
}

/* What the application does by itself, or shall do from now on. */
static void
step_app(struct frame_input *input)
{
	const uint8_t what = input_u8(input), argument = input_u8(input);
	const size_t i = what >> 4;
	struct tcp_conn *conn = rig.conns[i];

	if (what % 16 == 0)
		rig.app = argument;
	else if (what % 16 == 1)
		testpool_fail_after(rig.pool, argument & 15, argument >> 4);
	if (conn == NULL || rig.aborted[i])
		return;
	switch (what % 16) {
	case 2:
		tcp_close(conn);
		break;
	case 3:
		abort_conn(&rig.conns[i]);
		break;
	case 4:
		tcp_resume(conn);
		break;
	case 5:
		if (tcp_send_room(conn) != 0)
			(void)!tcp_send(conn, some_bytes, argument * 16u);
		break;
	case 6:
		if (tcp_send_room(conn) != 0)
			rig.references += tcp_send_ref(conn, some_bytes, 1u + argument * 16u, COOKIE) == 0;
		break;
	case 7:
		if (tcp_send_reserve(conn, argument) != NULL)
			tcp_send_commit(conn, argument / 2);
		break;
	}
	net_flush(rig.stack);
}

static void
take_step(struct frame_input *input)
{
	const uint8_t step = input_u8(input);

	switch (step & STEP_KIND) {
	case STEP_TIME:
		if (rig.burst_len != 0)
			input_burst();
		pass_us((uint64_t)(1 + (step >> 7)) << (step >> 3 & 15) << (input_u8(input) % 13));
		break;
	case STEP_APP:
		step_app(input);
		break;
	default:
		step_frame(input, step);
	}
}

/* ---- life ------------------------------------------------------------------------------------------------------ */

static void
start(const uint8_t *how)
{
	static const uint32_t offloads[] = {0, NET_OFFLOAD_TX_MULTI,
	    NET_OFFLOAD_TX_MULTI | NET_OFFLOAD_TX_IP4_CSUM | NET_OFFLOAD_TX_L4_CSUM | NET_OFFLOAD_RX_CSUM,
	    NET_OFFLOAD_TX_MULTI | NET_OFFLOAD_TX_IP4_CSUM | NET_OFFLOAD_TX_L4_CSUM | NET_OFFLOAD_TX_TSO};
	const struct net_env env = {.pool = rig.pool,
	    .tx = op_tx,
	    .random = op_random,
	    .alloc = op_alloc,
	    .free = op_free,
	    .udp_input = op_udp_input,
	    .neigh_learned = op_neigh_learned,
	    .icmp_foreign = op_icmp_foreign};
	const struct tcp_app app = {.accepted = app_accepted,
	    .received = app_received,
	    .peer_closed = app_peer_closed,
	    .writable = app_writable,
	    .closed = app_closed,
	    .release = app_release,
	    .peek = app_peek};
	struct net_config config;
	struct tcp_config tcp;

	net_config_default(&config);
	config.ifaces_len = 1;
	config.ifaces[0] = (struct net_iface){.mtu = how[0] & 4   ? 1500
	                                             : how[0] & 8 ? 1280
	                                                          : 576,
	    .vlan_id = how[0] & 0x30 ? 0 : 5,
	    .prefix4 = 24,
	    .prefix6 = 64,
	    .offloads = offloads[how[0] & 3],
	    .mac = {{2, 0, 0, 0, 0, 1}},
	    .addr4 = net_addr_v4(RTE_BE32(0x0a000001)),
	    .addr6 = {[1] = {.b = {0xfd, [15] = 1}}}};
	config.udp_ports[0] = RTE_BE16(FRAME_PORT);
	config.reassembly_bytes_max = how[0] & 0x40 ? 50000 : 2u << 20;
	config.cold_start_announce = how[0] >> 7;
	tcp_config_default(&tcp);
	tcp.listen_ports[0] = RTE_BE16(FRAME_PORT);
	tcp.connections_max = CONNS_MAX / 2;
	tcp.syn_backlog_max = how[1] & 3;
	tcp.time_wait_max = how[1] >> 2 & 3;
	tcp.memory_bytes_max = how[1] & 0x10 ? 128u << 10 : 4u << 20;
	tcp.rcv_buffer_bytes = how[1] & 0x20 ? 4000 : 100000;
	tcp.snd_buffer_bytes = how[1] & 0x40 ? 4000 : 100000;
	tcp.congestion = how[1] & 0x80 ? TCP_RENO : TCP_CUBIC;
	rig.stack = net_stack_create(&config, &env, &tcp, &app, rig.now_us);
	require(rig.stack != NULL);
	rig.app = how[2];
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct rte_mempool *pool;
	struct frame_input input = {.data = data, .size = size, .at = CONFIG_BYTES};

	if (size <= CONFIG_BYTES)
		return 0;
	if (pool == NULL)
		pool = testpool_create(MBUFS, 0);
	memset(&rig, 0, sizeof(rig));
	rig.pool = pool;
	rig.now_us = START_US;
	start(data);
	for (unsigned i = 0; i < STEPS_MAX && input.at < size; i++) {
		take_step(&input);
		if (i % CHECK_STEPS == CHECK_STEPS - 1)
			check_tables();
	}
	input_burst();
	check_tables();
	testpool_fail_never(pool);
	net_stack_destroy(rig.stack);
	require(testpool_outstanding(pool) == 0);
	require(rig.heap_bytes == 0 && rig.references == 0 && rig.live == 0);
	return 0;
}
