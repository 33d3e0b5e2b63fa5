/*
 * What a link carries when nothing is behind it: the ceiling beside which the appliance's rates stand. The far end is
 * testpmd.
 *
 *   link_ceiling EAL-ARGS -- reflect|count SECONDS
 *
 * `reflect` sends requests as a memcached client would, made once and sent again and again with their reference count
 * raised, so that all cycles go to the link; testpmd sends each back (5tswap or macswap). Closed loop, OUTSTANDING under
 * way. `count` sends nothing and counts what comes (txonly). One lcore; prints one line of JSON.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <rte_cycles.h>
#include <rte_eal.h>
#include <rte_ethdev.h>
#include <rte_ip.h>
#include <rte_mbuf.h>
#include <rte_udp.h>

#define BURST          32u
#define DESCRIPTORS    2048u
#define OUTSTANDING    1024u /* enough to fill both rings' pipelines, few enough to lose none */
#define REQUESTS       4096u /* different packets, so that they are no better cached than a generator's */
#define FRAME_HEADER   8u
#define WARM_UP_S      1
#define SILENCE_S      5
#define FAR_IP         RTE_IPV4(10, 77, 0, 1)
#define OUR_IP         RTE_IPV4(10, 77, 1, 1)
#define MEMCACHED_PORT 11211
#define OUR_PORT       40000
#define HEADERS_BYTES \
	(sizeof(struct rte_ether_hdr) + sizeof(struct rte_ipv4_hdr) + sizeof(struct rte_udp_hdr))

struct ceiling {
	uint16_t port;
	struct rte_mempool *pool;
	struct rte_ether_addr mac;
	struct rte_mbuf *requests[REQUESTS];
	unsigned next;
	uint64_t sent, received, bytes, lost;
};

static __attribute__((noreturn)) void
die(const char *what)
{
	fprintf(stderr, "link_ceiling: %s\n", what);
	exit(1);
}

/* ---- packets ---------------------------------------------------------------------------------- */

static void
headers_fill(const struct ceiling *c, struct rte_ether_hdr *eth, unsigned payload_bytes)
{
	struct rte_ipv4_hdr *ip = (struct rte_ipv4_hdr *)(eth + 1);
	struct rte_udp_hdr *udp = (struct rte_udp_hdr *)(ip + 1);

	memset(&eth->dst_addr, 0xff, sizeof(eth->dst_addr));
	eth->src_addr = c->mac;
	eth->ether_type = RTE_BE16(RTE_ETHER_TYPE_IPV4);
	*ip = (struct rte_ipv4_hdr){
	    .version_ihl = RTE_IPV4_VHL_DEF,
	    .total_length = rte_cpu_to_be_16(sizeof(*ip) + sizeof(*udp) + payload_bytes),
	    .time_to_live = 64,
	    .next_proto_id = IPPROTO_UDP,
	    .src_addr = rte_cpu_to_be_32(OUR_IP),
	    .dst_addr = rte_cpu_to_be_32(FAR_IP),
	};
	*udp = (struct rte_udp_hdr){
	    .src_port = rte_cpu_to_be_16(OUR_PORT),
	    .dst_port = rte_cpu_to_be_16(MEMCACHED_PORT),
	    .dgram_len = rte_cpu_to_be_16(sizeof(*udp) + payload_bytes),
	};
}

static struct rte_mbuf *
request_make(const struct ceiling *c, unsigned number)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(c->pool);
	struct rte_ether_hdr *eth;
	struct rte_ipv4_hdr *ip;
	struct rte_udp_hdr *udp;
	char text[32];
	unsigned len = (unsigned)snprintf(text, sizeof(text), "get key-%012u\r\n", number);

	if (!m)
		die("no packet memory");
	eth = (struct rte_ether_hdr *)rte_pktmbuf_append(m, HEADERS_BYTES + FRAME_HEADER + len);
	headers_fill(c, eth, FRAME_HEADER + len);
	ip = (struct rte_ipv4_hdr *)(eth + 1);
	udp = (struct rte_udp_hdr *)(ip + 1);
	memcpy(udp + 1,
	    (const uint8_t[FRAME_HEADER]){(uint8_t)(number >> 8), (uint8_t)number, 0, 0, 0, 1, 0, 0},
	    FRAME_HEADER);
	memcpy((uint8_t *)(udp + 1) + FRAME_HEADER, text, len);
	udp->dgram_cksum = rte_ipv4_udptcp_cksum(ip, udp);
	ip->hdr_checksum = rte_ipv4_cksum(ip);
	return m;
}

static unsigned
receive(struct ceiling *c)
{
	struct rte_mbuf *pkts[BURST];
	unsigned n = rte_eth_rx_burst(c->port, 0, pkts, BURST);

	for (unsigned i = 0; i < n; i++)
		c->bytes += pkts[i]->pkt_len;
	c->received += n;
	rte_pktmbuf_free_bulk(pkts, n);
	return n;
}

static void
send_burst(struct ceiling *c)
{
	struct rte_mbuf **burst = &c->requests[c->next];
	unsigned done;

	for (unsigned i = 0; i < BURST; i++)
		rte_mbuf_refcnt_update(burst[i], 1);
	done = rte_eth_tx_burst(c->port, 0, burst, BURST);
	for (unsigned i = done; i < BURST; i++)
		rte_mbuf_refcnt_update(burst[i], -1);
	c->sent += done;
	c->next = (c->next + BURST) % REQUESTS;
}

/* ---- phases ----------------------------------------------------------------------------------- */

static void
port_open(struct ceiling *c)
{
	struct rte_eth_conf conf = {0};
	struct rte_eth_link link = {0};

	if (rte_eth_dev_count_avail() != 1)
		die("give exactly one device with --vdev or --allow");
	c->port = (uint16_t)rte_eth_find_next(0);
	c->pool = rte_pktmbuf_pool_create(
	    "ceiling", REQUESTS + 4 * DESCRIPTORS, 256, 0, RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY);
	if (!c->pool)
		die("no packet memory");
	if (rte_eth_dev_configure(c->port, 1, 1, &conf) != 0 ||
	    rte_eth_rx_queue_setup(c->port, 0, DESCRIPTORS, SOCKET_ID_ANY, NULL, c->pool) != 0 ||
	    rte_eth_tx_queue_setup(c->port, 0, DESCRIPTORS, SOCKET_ID_ANY, NULL) != 0 ||
	    rte_eth_dev_start(c->port) != 0)
		die("the device does not start");
	rte_eth_macaddr_get(c->port, &c->mac);
	for (int tries = 0; tries < 200; tries++) {
		if (rte_eth_link_get_nowait(c->port, &link) == 0 && link.link_status)
			return;
		rte_delay_ms(50);
	}
	die("no link: is the far end running?");
}

/* What does not come back within a tenth of a second of silence is lost. */
static void
run(struct ceiling *c, bool sends, uint64_t cycles)
{
	uint64_t begin = rte_rdtsc(), last = begin, now = begin;

	c->sent = c->received = c->bytes = c->lost = 0;
	while (now - begin < cycles) {
		unsigned got = receive(c);

		now = rte_rdtsc();
		if (got)
			last = now;
		if (sends && now - last > rte_get_tsc_hz() / 10)
			c->lost = c->sent - c->received;
		if (now - last > SILENCE_S * rte_get_tsc_hz())
			die("nothing comes for seconds");
		if (sends && c->sent - c->received - c->lost + BURST <= OUTSTANDING)
			send_burst(c);
	}
}

int
main(int argc, char **argv)
{
	static struct ceiling c;
	int used = rte_eal_init(argc, argv), seconds;
	bool sends;

	if (used < 0 || argc - used < 3)
		die("usage: link_ceiling EAL-ARGS -- reflect|count SECONDS");
	argv += used;
	sends = strcmp(argv[1], "reflect") == 0;
	seconds = atoi(argv[2]);
	if ((!sends && strcmp(argv[1], "count") != 0) || seconds < 1)
		die("reflect or count, and from one second up");
	port_open(&c);
	for (unsigned i = 0; sends && i < REQUESTS; i++)
		c.requests[i] = request_make(&c, i);
	run(&c, sends, WARM_UP_S * rte_get_tsc_hz());
	run(&c, sends, (uint64_t)seconds * rte_get_tsc_hz());
	printf("{\"rate\": %.0f, \"bytes_per_second\": %.0f, \"lost\": %" PRIu64 "}\n",
	    (double)c.received / seconds, (double)c.bytes / seconds, c.lost);
	fflush(stdout);
	rte_eth_dev_stop(c.port);
	return 0;
}
