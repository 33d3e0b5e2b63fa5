/*
 * What a request over TCP costs, from its frame to the frame of its reply: the appliance's own network stack, sessions
 * and store, and as their client a second stack that opens connections as wireload does. No port and no thread: frames
 * go from one stack to the other by pointer. Run under callgrind, which counts instructions repeatably:
 *
 *   tcp_cost CASE REQUESTS [CONNECTIONS]
 *
 * Every pass 32 of the connections send a request, one a segment, with the acknowledgement of the reply before. The two
 * functions server_pass() and client_pass() are what to collect; scripts/bench-cost does, and runs every case with two
 * numbers of requests, so that what is done once does not count.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <rte_eal.h>

#include "dataplane/worker.h"
#include "tests/random.h"

#define KEYS        1000u
#define VALUE_BYTES 32u
#define KEYS_A_LINE 100u
#define REQUEST_MAX 2048u
#define NOW_S       1800000000u
#define PORT        11211
#define PASS_US     10u
#define FRAMES_MAX  1024u
#define SOURCE_PORT 20000u

/* One end of the link. */
struct end {
	struct net_stack *net;
	struct rte_mempool *pool;
	uint64_t random;
	unsigned frames_len; /* sent, not yet taken by the other end */
	struct rte_mbuf *frames[FRAMES_MAX];
};

static struct end server, client;
static struct worker worker;
static struct worker_shared shared;
static struct dataplane_config config;
static struct tcp_conn **conns;
static bool multiget;
static uint64_t now_us = 1000000, poll_due_us;
static uint64_t reply_bytes, ends;

static void
fail(const char *why)
{
	fprintf(stderr, "tcp_cost: %s\n", why);
	exit(1);
}

/* ---- what a stack takes from outside ---------------------------------------------------------- */

static void
end_tx(void *ctx, uint8_t iface, struct rte_mbuf *m)
{
	struct end *end = ctx;

	if (end->frames_len == FRAMES_MAX)
		fail("more frames at once than expected");
	end->frames[end->frames_len++] = m;
}

static uint64_t
end_random(void *ctx)
{
	struct end *end = ctx;

	return random_next(&end->random);
}

static void *
end_alloc(void *ctx, size_t bytes)
{
	void *p = aligned_alloc(RTE_CACHE_LINE_SIZE, RTE_ALIGN_CEIL(bytes, RTE_CACHE_LINE_SIZE));

	return p ? memset(p, 0, bytes) : NULL;
}

static void
end_free(void *ctx, void *p, size_t bytes)
{
	free(p);
}

static void
end_open(struct end *end, uint8_t host, const struct tcp_app *app, unsigned connections)
{
	struct net_config net;
	struct tcp_config tcp;
	struct net_env env = {.ctx = end,
	    .pool = end->pool,
	    .tx = end_tx,
	    .random = end_random,
	    .alloc = end_alloc,
	    .free = end_free};

	end->random = host;
	net_config_default(&net);
	net.ifaces_len = 1;
	net.ifaces[0] = (struct net_iface){.mtu = 1500,
	    .prefix4 = 24,
	    .offloads = NET_OFFLOAD_TX_MULTI,
	    .mac = {{2, 0, 0, 0, 0, host}},
	    .addr4 = net_addr_v4(RTE_BE32(0x0a000000u) | rte_cpu_to_be_32(host))};
	tcp_config_default(&tcp);
	tcp.connections_max = connections;
	tcp.syn_backlog_max = connections;
	tcp.listen_ports[0] = rte_cpu_to_be_16(PORT);
	end->net = net_stack_create(&net, &env, &tcp, app, now_us);
	if (!end->net)
		fail("no memory for a stack");
}

/* ---- the two sides ---------------------------------------------------------------------------- */

/* What worker_pass() does with what it received. */
static __attribute__((noipa)) void
server_pass(struct rte_mbuf **frames, unsigned n)
{
	net_tick(server.net, now_us);
	serve_tick(worker.serve, NOW_S);
	for (unsigned i = 0; i < n; i += WORKER_BURST)
		net_input(server.net, 0, frames + i, RTE_MIN(n - i, WORKER_BURST));
	if (now_us >= poll_due_us) {
		net_poll(server.net);
		poll_due_us = now_us + WORKER_TIMER_US;
	}
	net_flush(server.net);
	latency_sent(&worker.latency, serve_counters(worker.serve), 0, 1000);
	store_quiesce(worker.store, NOW_S);
}

static __attribute__((noipa)) void
client_pass(struct rte_mbuf **frames, unsigned n)
{
	net_tick(client.net, now_us);
	for (unsigned i = 0; i < n; i += WORKER_BURST)
		net_input(client.net, 0, frames + i, RTE_MIN(n - i, WORKER_BURST));
	net_flush(client.net);
}

static void
to_server(void)
{
	unsigned n = client.frames_len;

	client.frames_len = 0;
	server_pass(client.frames, n);
}

static void
to_client(void)
{
	unsigned n = server.frames_len;

	server.frames_len = 0;
	client_pass(server.frames, n);
}

static uint32_t
client_received(void *app, struct tcp_conn *conn, void *context, const uint8_t *bytes, uint32_t len)
{
	reply_bytes += len;
	ends += len >= 5 && memcmp(bytes + len - 5, "END\r\n", 5) == 0;
	return len;
}

static void *
client_accepted(void *app, struct tcp_conn *conn, bool *refuse)
{
	return NULL;
}

static void
client_peer_closed(void *app, struct tcp_conn *conn, void *context)
{
	fail("the server closed");
}

static void
client_writable(void *app, struct tcp_conn *conn, void *context)
{
}

static void
client_closed(void *app, struct tcp_conn *conn, void *context, enum tcp_close_reason reason)
{
}

static void
client_release(void *app, uint64_t cookie)
{
}

static void
send_request(struct tcp_conn *conn, unsigned key)
{
	uint8_t *room = tcp_send_reserve(conn, REQUEST_MAX), *to = room;

	if (!room)
		fail("no room for a request");
	memcpy(to, "get", 3);
	to += 3;
	for (unsigned i = 0; i < (multiget ? KEYS_A_LINE : 1); i++)
		to += snprintf((char *)to, 32, " key:%012u", (key + i * 7) % KEYS);
	memcpy(to, "\r\n", 2);
	tcp_send_commit(conn, (uint32_t)(to + 2 - room));
}

/* ---- setting up ------------------------------------------------------------------------------- */

static uint8_t *
fill_reserve(struct serve_sink *sink, uint32_t len)
{
	static uint8_t reply[SERVE_RESERVE_MAX];

	return reply;
}

static void
fill_commit(struct serve_sink *sink, uint32_t len)
{
}

static uint32_t
fill_room(struct serve_sink *sink)
{
	return UINT32_MAX;
}

static void
fill_store(void)
{
	struct serve_sink sink = {.reserve = fill_reserve, .commit = fill_commit, .room = fill_room};
	struct serve_session *session = serve_session_open(worker.serve);
	char line[REQUEST_MAX];
	uint32_t consumed;

	for (unsigned key = 0; key < KEYS; key++) {
		int len = snprintf(line, sizeof(line), "set key:%012u 0 0 %u\r\n%0*u\r\n", key, VALUE_BYTES,
		    (int)VALUE_BYTES, key);
		serve_bytes(session, (uint8_t *)line, (uint32_t)len, &sink, &consumed);
	}
	serve_session_close(session);
}

static void
open_worker(void)
{
	const struct serve_config serve_config = {
	    .version = "1", .item_max_bytes = 1 << 20, .line_max_bytes = 1 << 20, .flush_enabled = true};
	struct store_config store_config;
	char error[STORE_ERROR_MAX];

	config.connections_max = UINT32_MAX;
	worker.config = &config;
	worker.shared = &shared;
	worker.pool = server.pool;
	worker.gate = gate_create(1);
	store_config_default(&store_config);
	store_config.now_s = NOW_S;
	if (!worker.gate || store_create(&store_config, &worker.items, error) != 0)
		fail("no memory for the store");
	worker.store = store_thread_register(worker.items, -1);
	worker.serve = serve_create(worker.items, worker.store, &serve_config, &(struct serve_host){0});
	worker.tcp_sink = tcp_sink_create(&worker);
	latency_init(&worker.latency, 1000000000);
	store_quiesce(worker.store, NOW_S);
	serve_tick(worker.serve, NOW_S);
	fill_store();
}

static void
open_eal(void)
{
	static char *args[] = {"tcp_cost", "--no-huge", "--no-shconf", "--no-pci", "--no-telemetry", "-m",
	    "256", "-l", "0", "--log-level=error"};

	if (rte_eal_init(sizeof(args) / sizeof(args[0]), args) < 0)
		fail("DPDK does not start");
	/* One for both, as if a driver had put what it received into packets of the stack's own pool. */
	server.pool =
	    rte_pktmbuf_pool_create("packets", 16383, 256, 0, 2048 + RTE_PKTMBUF_HEADROOM, SOCKET_ID_ANY);
	client.pool = server.pool;
	if (!server.pool)
		fail("no memory for packets");
}

static void
connect_all(unsigned n)
{
	conns = calloc(n, sizeof(conns[0]));
	for (unsigned i = 0; i < n; i++) {
		const struct net_flow flow = {.local = net_addr_v4(RTE_BE32(0x0a000002)),
		    .remote = net_addr_v4(RTE_BE32(0x0a000001)),
		    .local_port = rte_cpu_to_be_16((uint16_t)(SOURCE_PORT + i)),
		    .remote_port = rte_cpu_to_be_16(PORT)};

		conns[i] = tcp_connect(net_tcp(client.net), &flow);
		if (!conns[i])
			fail("no connection");
		for (unsigned turn = 0; turn < 3; turn++, now_us += PASS_US) {
			to_client();
			to_server();
		}
	}
}

/* One request of each of 32 connections and its reply. */
static void
turn(unsigned first, unsigned n, unsigned *key)
{
	for (unsigned i = 0; i < n; i++)
		send_request(conns[first + i], (*key)++ % KEYS);
	client_pass(NULL, 0);
	to_server();
	now_us += PASS_US;
	to_client();
}

int
main(int argc, char **argv)
{
	static const struct tcp_app client_app = {
	    .accepted = client_accepted,
	    .received = client_received,
	    .peer_closed = client_peer_closed,
	    .writable = client_writable,
	    .closed = client_closed,
	    .release = client_release,
	};
	unsigned connections = argc > 3 ? (unsigned)atoi(argv[3]) : 256, key = 0, at = 0;
	unsigned requests = argc > 2 ? (unsigned)atoi(argv[2]) : 0;
	struct tcp_app app;

	if (argc < 3 || (strcmp(argv[1], "get") != 0 && strcmp(argv[1], "multiget") != 0) ||
	    connections < WORKER_BURST || connections > 40000)
		fail("usage: tcp_cost get|multiget REQUESTS [CONNECTIONS], 32 connections at least");
	multiget = argv[1][0] == 'm';
	open_eal();
	open_worker();
	tcp_app_fill(&app, &worker);
	end_open(&server, 1, &app, connections);
	end_open(&client, 2, &client_app, connections);
	worker.net = server.net;
	connect_all(connections);
	for (unsigned sent = 0; sent < requests; sent += WORKER_BURST) {
		turn(at, WORKER_BURST, &key);
		at = at + 2 * WORKER_BURST <= connections ? at + WORKER_BURST : 0;
	}
	printf("%u requests: %lu replies, %lu bytes\n", requests, ends, reply_bytes);
	return ends == (requests + WORKER_BURST - 1) / WORKER_BURST * WORKER_BURST ? 0 : 1;
}
