/*
 * A small sender for one link: fills a cache over UDP, then asks for random keys as fast as it can and counts
 * what comes back. The far end is wirecached, or testpmd in 5tswap mode, which sends each request back as it
 * came: the ceiling of the link with this sender.
 *
 *   udp_sender EAL-ARGS -- ROLE KEYS VALUE_BYTES SECONDS
 *
 * ROLE is `cache` (fill first, check replies) or `reflect`. Prints one line of JSON. One lcore does both
 * directions. Requests are built once, one mbuf a key, and sent again and again with their reference count
 * raised, so that the sender spends its cycles on the link and not on building packets.
 */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <rte_arp.h>
#include <rte_cycles.h>
#include <rte_eal.h>
#include <rte_ethdev.h>
#include <rte_ip.h>
#include <rte_mbuf.h>
#include <rte_udp.h>

#define BURST        32u
#define KEY_BYTES    16u
#define DESCRIPTORS  2048u
#define FRAME_HEADER 8u
#define OUTSTANDING \
	1024u /* requests under way: enough to fill both rings' pipelines, few enough to lose none */
#define FILL_BATCH  16u
#define WARM_UP_S   1
#define SILENCE_S   5
#define CACHE_IP    RTE_IPV4(10, 77, 1, 2)
#define SENDER_IP   RTE_IPV4(10, 77, 1, 1)
#define CACHE_PORT  11211
#define SENDER_PORT 40000
#define HEADERS_BYTES \
	(sizeof(struct rte_ether_hdr) + sizeof(struct rte_ipv4_hdr) + sizeof(struct rte_udp_hdr))

struct sender {
	uint16_t port;
	struct rte_mempool *pool;
	struct rte_ether_addr mac, far_mac;
	bool cache; /* the far end is a cache */
	unsigned keys_len, value_bytes;
	struct rte_mbuf **requests; /* one a key, shuffled */
	uint64_t sent, received, wrong, lost;
};

static __attribute__((noreturn)) void
die(const char *what)
{
	fprintf(stderr, "udp_sender: %s\n", what);
	exit(1);
}

static uint64_t random_state = 88172645463325252u;

static uint64_t
random_next(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state;
}

/* ---- packets ---------------------------------------------------------------------------------- */

static struct rte_mbuf *
datagram_make(struct sender *s, const char *payload, unsigned len, uint16_t id)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(s->pool);
	struct rte_ether_hdr *eth;
	struct rte_ipv4_hdr *ip;
	struct rte_udp_hdr *udp;
	uint8_t *frame;

	if (!m)
		die("no packet memory");
	eth = (struct rte_ether_hdr *)rte_pktmbuf_append(m, HEADERS_BYTES + FRAME_HEADER + len);
	if (!eth)
		die("request too long");
	ip = (struct rte_ipv4_hdr *)(eth + 1);
	udp = (struct rte_udp_hdr *)(ip + 1);
	frame = (uint8_t *)(udp + 1);
	eth->dst_addr = s->far_mac;
	eth->src_addr = s->mac;
	eth->ether_type = RTE_BE16(RTE_ETHER_TYPE_IPV4);
	*ip = (struct rte_ipv4_hdr){
	    .version_ihl = RTE_IPV4_VHL_DEF,
	    .total_length = rte_cpu_to_be_16(sizeof(*ip) + sizeof(*udp) + FRAME_HEADER + len),
	    .time_to_live = 64,
	    .next_proto_id = IPPROTO_UDP,
	    .src_addr = rte_cpu_to_be_32(SENDER_IP),
	    .dst_addr = rte_cpu_to_be_32(CACHE_IP),
	};
	*udp = (struct rte_udp_hdr){
	    .src_port = rte_cpu_to_be_16(SENDER_PORT),
	    .dst_port = rte_cpu_to_be_16(CACHE_PORT),
	    .dgram_len = rte_cpu_to_be_16(sizeof(*udp) + FRAME_HEADER + len),
	};
	memset(frame, 0, FRAME_HEADER);
	frame[0] = id >> 8;
	frame[1] = id & 0xff;
	frame[5] = 1; /* one datagram in the request */
	memcpy(frame + FRAME_HEADER, payload, len);
	udp->dgram_cksum = rte_ipv4_udptcp_cksum(ip, udp);
	ip->hdr_checksum = rte_ipv4_cksum(ip);
	return m;
}

static void
arp_send(struct sender *s, uint16_t opcode, const struct rte_ether_addr *to)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(s->pool);
	struct rte_ether_hdr *eth;
	struct rte_arp_hdr *arp;

	if (!m)
		return;
	eth = (struct rte_ether_hdr *)rte_pktmbuf_append(m, 60);
	memset(eth, 0, 60);
	arp = (struct rte_arp_hdr *)(eth + 1);
	eth->dst_addr = *to;
	eth->src_addr = s->mac;
	eth->ether_type = RTE_BE16(RTE_ETHER_TYPE_ARP);
	arp->arp_hardware = RTE_BE16(RTE_ARP_HRD_ETHER);
	arp->arp_protocol = RTE_BE16(RTE_ETHER_TYPE_IPV4);
	arp->arp_hlen = RTE_ETHER_ADDR_LEN;
	arp->arp_plen = sizeof(rte_be32_t);
	arp->arp_opcode = rte_cpu_to_be_16(opcode);
	arp->arp_data.arp_sha = s->mac;
	arp->arp_data.arp_sip = rte_cpu_to_be_32(SENDER_IP);
	if (opcode == RTE_ARP_OP_REPLY)
		arp->arp_data.arp_tha = *to;
	arp->arp_data.arp_tip = rte_cpu_to_be_32(CACHE_IP);
	if (rte_eth_tx_burst(s->port, 0, &m, 1) == 0)
		rte_pktmbuf_free(m);
}

/* A reply to a get that hit: "VALUE " after the frame header. Anything else but ARP and IPv6 chatter is
 * wrong. */
static void
reply_take(struct sender *s, struct rte_mbuf *m)
{
	const struct rte_ether_hdr *eth = rte_pktmbuf_mtod(m, const struct rte_ether_hdr *);
	const char *payload = rte_pktmbuf_mtod_offset(m, const char *, HEADERS_BYTES + FRAME_HEADER);

	if (eth->ether_type == RTE_BE16(RTE_ETHER_TYPE_ARP)) {
		const struct rte_arp_hdr *arp = (const struct rte_arp_hdr *)(eth + 1);

		s->far_mac = arp->arp_data.arp_sha;
		if (arp->arp_opcode == RTE_BE16(RTE_ARP_OP_REQUEST) &&
		    arp->arp_data.arp_tip == rte_cpu_to_be_32(SENDER_IP))
			arp_send(s, RTE_ARP_OP_REPLY, &s->far_mac);
		return;
	}
	if (eth->ether_type != RTE_BE16(RTE_ETHER_TYPE_IPV4))
		return;
	s->received++;
	if (s->cache && memcmp(payload, "VALUE ", 6) != 0)
		s->wrong++;
}

static unsigned
receive(struct sender *s)
{
	struct rte_mbuf *pkts[BURST];
	unsigned n = rte_eth_rx_burst(s->port, 0, pkts, BURST);

	for (unsigned i = 0; i < n; i++)
		reply_take(s, pkts[i]);
	rte_pktmbuf_free_bulk(pkts, n);
	return n;
}

/* ---- phases ----------------------------------------------------------------------------------- */

static void
port_open(struct sender *s)
{
	struct rte_eth_conf conf = {0};

	if (rte_eth_dev_count_avail() != 1)
		die("give exactly one device with --vdev or --allow");
	s->port = rte_eth_find_next(0);
	s->pool = rte_pktmbuf_pool_create(
	    "sender", s->keys_len + 4 * DESCRIPTORS, 256, 0, RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY);
	if (!s->pool)
		die("no packet memory");
	if (rte_eth_dev_configure(s->port, 1, 1, &conf) != 0 ||
	    rte_eth_rx_queue_setup(s->port, 0, DESCRIPTORS, SOCKET_ID_ANY, NULL, s->pool) != 0 ||
	    rte_eth_tx_queue_setup(s->port, 0, DESCRIPTORS, SOCKET_ID_ANY, NULL) != 0 ||
	    rte_eth_dev_start(s->port) != 0)
		die("the device does not start");
	rte_eth_macaddr_get(s->port, &s->mac);
}

static void
link_wait(struct sender *s)
{
	struct rte_eth_link link = {0};

	for (int tries = 0; tries < 200; tries++) {
		if (rte_eth_link_get_nowait(s->port, &link) == 0 && link.link_status)
			return;
		rte_delay_ms(50);
	}
	die("no link: is the far end running?");
}

static void
far_end_find(struct sender *s)
{
	const struct rte_ether_addr everyone = {{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}};

	s->far_mac = everyone;
	if (!s->cache)
		return;
	for (int tries = 0; tries < 100; tries++) {
		arp_send(s, RTE_ARP_OP_REQUEST, &everyone);
		for (int i = 0; i < 50; i++) {
			receive(s);
			rte_delay_us_block(1000);
			if (!rte_is_same_ether_addr(&s->far_mac, &everyone))
				return;
		}
	}
	die("the cache does not answer ARP");
}

static void
key_write(char key[KEY_BYTES + 1], unsigned i)
{
	snprintf(key, KEY_BYTES + 1, "key-%012u", i);
}

/* Sets with noreply, paced so that none is lost; whether they arrived shows in the replies to the gets. */
static void
fill(struct sender *s)
{
	char text[128 + 1024], key[KEY_BYTES + 1];

	for (unsigned i = 0; i < s->keys_len; i++) {
		struct rte_mbuf *m;
		int head;

		key_write(key, i);
		head = snprintf(text, 128, "set %s 0 0 %u noreply\r\n", key, s->value_bytes);
		memset(text + head, 'a' + i % 26, s->value_bytes);
		memcpy(text + head + s->value_bytes, "\r\n", 2);
		m = datagram_make(s, text, head + s->value_bytes + 2, 0);
		while (rte_eth_tx_burst(s->port, 0, &m, 1) == 0)
			receive(s);
		if (i % FILL_BATCH == 0) {
			rte_delay_us_block(20);
			receive(s);
		}
	}
	for (int i = 0; i < 200; i++) {
		rte_delay_us_block(1000);
		receive(s);
	}
}

static void
requests_make(struct sender *s)
{
	char text[64], key[KEY_BYTES + 1];

	s->requests = calloc(s->keys_len, sizeof(s->requests[0]));
	if (!s->requests)
		die("no memory");
	for (unsigned i = 0; i < s->keys_len; i++) {
		key_write(key, i);
		s->requests[i] =
		    datagram_make(s, text, snprintf(text, sizeof(text), "get %s\r\n", key), i & 0xffff);
	}
	for (unsigned i = s->keys_len - 1; i > 0; i--) {
		unsigned j = random_next() % (i + 1);
		struct rte_mbuf *swap = s->requests[i];

		s->requests[i] = s->requests[j];
		s->requests[j] = swap;
	}
}

/* Closed loop with OUTSTANDING requests; what does not come back within a second of silence is lost. */
static void
run(struct sender *s, uint64_t cycles)
{
	uint64_t begin = rte_rdtsc(), last_reply = begin, now = begin;
	unsigned next = 0;

	s->sent = s->received = s->wrong = s->lost = 0;
	while (now - begin < cycles) {
		unsigned got = receive(s);

		now = rte_rdtsc();
		if (got)
			last_reply = now;
		if (now - last_reply > rte_get_tsc_hz() / 10) {
			s->lost += s->sent - s->received - s->lost;
			if (now - last_reply > SILENCE_S * rte_get_tsc_hz())
				die("no reply for seconds");
		}
		if (s->sent - s->received - s->lost + BURST <= OUTSTANDING) {
			unsigned n = RTE_MIN(BURST, s->keys_len - next), done;

			for (unsigned i = 0; i < n; i++)
				rte_mbuf_refcnt_update(s->requests[next + i], 1);
			done = rte_eth_tx_burst(s->port, 0, &s->requests[next], n);
			for (unsigned i = done; i < n; i++)
				rte_mbuf_refcnt_update(s->requests[next + i], -1);
			s->sent += done;
			next = next + done == s->keys_len ? 0 : next + done;
		}
	}
}

int
main(int argc, char **argv)
{
	struct sender s = {0};
	int used = rte_eal_init(argc, argv), seconds;

	if (used < 0 || argc - used < 5)
		die("usage: udp_sender EAL-ARGS -- cache|reflect KEYS VALUE_BYTES SECONDS");
	argv += used;
	s.cache = strcmp(argv[1], "cache") == 0;
	s.keys_len = (unsigned)atoi(argv[2]);
	s.value_bytes = (unsigned)atoi(argv[3]);
	seconds = atoi(argv[4]);
	if (s.keys_len < BURST || s.value_bytes > 1024 || seconds < 1)
		die("KEYS from 32, VALUE_BYTES to 1024, SECONDS from 1");
	port_open(&s);
	link_wait(&s);
	far_end_find(&s);
	if (s.cache)
		fill(&s);
	requests_make(&s);
	run(&s, WARM_UP_S * rte_get_tsc_hz());
	run(&s, seconds * rte_get_tsc_hz());
	printf("{\"role\": \"%s\", \"rate\": %.0f, \"sent\": %" PRIu64 ", \"received\": %" PRIu64
	       ", \"wrong\": %" PRIu64 ", \"lost\": %" PRIu64 "}\n",
	    argv[1], (double)s.received / seconds, s.sent, s.received, s.wrong, s.lost);
	fflush(stdout);
	rte_eth_dev_stop(s.port);
	return s.wrong ? 1 : 0;
}
