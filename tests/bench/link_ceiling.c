/*
 * What a link carries when the near end does nothing but send and count: the ceiling beside which the appliance's rates
 * stand, and those rates themselves where a whole generator would be the slower side.
 *
 *   link_ceiling EAL-ARGS -- reflect|count SECONDS
 *   link_ceiling EAL-ARGS -- get SECONDS KEYS uniform|zipf [RATE]
 *   link_ceiling EAL-ARGS -- set SECONDS KEYS
 *
 * `reflect` sends requests as a memcached client would, made once and sent again and again with their reference count
 * raised, so that all cycles go to the link; testpmd sends each back (5tswap or macswap). `get` asks a cache that
 * wireload has filled for its keys of 16 bytes. Up to REQUESTS keys, uniform, have a packet each, made once as those of
 * `reflect` are, with its checksum; of more, or by zipf, the digits of another key are written into a packet before
 * it goes out again, which is safe because REQUESTS is far above what is under way. Replies are counted by their
 * length, which a miss does not have, and one in CHECK_EVERY is read. `set` stores up to REQUESTS keys with the values that
 * wireload expects of them, and counts `STORED` as `get` counts hits. All are closed loops with OUTSTANDING under way;
 * with RATE `get` offers so many a second whatever becomes of them, and what finds the link's ring full is refused, as a
 * NIC's full ring drops. `count` sends nothing and counts what comes (txonly). One lcore, which it keeps for itself;
 * prints one line of JSON. Its rates are medians of WINDOWS parts of the time, so that what the machine does for others
 * now and then does not count for either side; `mean_rate` is over all of it.
 */
#include <inttypes.h>
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

#include "tests/load/items.h"
#include "tests/load/popularity.h"
#include "tests/load/thread.h"
#include "tests/load/value.h"

#define BURST          32u
#define DESCRIPTORS    2048u
#define OUTSTANDING    1024u /* enough to fill both rings' pipelines, few enough to lose none */
#define REQUESTS       4096u /* different packets, so that they are no better cached than a generator's */
#define FRAME_HEADER   8u
#define WARM_UP_S      1
#define SILENCE_S      5
#define SHORT_BYTES    64u /* a hit is longer, ARP and a miss are not */
#define STORED         "STORED\r\n"
#define STORED_BYTES   (HEADERS_BYTES + FRAME_HEADER + 8u) /* a frame with it */
#define CHECK_EVERY    16u
#define KEY_BYTES      16u
#define VALUE_BYTES    32u /* of what `set` stores */
#define ZIPF           0.99
#define WINDOWS        100u
#define DRAWN          (1u << 24) /* keys drawn ahead, so that drawing them takes no cycles while it counts */
#define FAR_IP         RTE_IPV4(10, 77, 0, 1)
#define OUR_IP         RTE_IPV4(10, 77, 1, 1)
#define MEMCACHED_PORT 11211
#define OUR_PORT       40000
#define HEADERS_BYTES \
	(sizeof(struct rte_ether_hdr) + sizeof(struct rte_ipv4_hdr) + sizeof(struct rte_udp_hdr))

struct ceiling {
	uint16_t port;
	struct rte_mempool *pool;
	struct rte_ether_addr mac, far_mac;
	struct rte_mbuf *requests[REQUESTS];
	unsigned next;
	uint64_t sent, refused, received, bytes, lost, misses, wrong;
	uint64_t rate;     /* of `get`; 0: closed loop */
	uint64_t rate_q32; /* the same a TSC cycle */
	bool gets;         /* `get` */
	bool sets;         /* `set` */
	uint32_t keys;     /* of both */
	uint32_t *drawn;   /* for `get` with packets that are written anew, else NULL */
	uint32_t drawn_next;
	uint32_t hit_bytes; /* of a frame with a value, once one was seen */
	unsigned windows_len;
	double rates[WINDOWS], byte_rates[WINDOWS];
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

	eth->dst_addr = c->far_mac;
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

static inline void
key_write(struct rte_mbuf *m, uint32_t key)
{
	uint64_t words[2] = {item_digits(key), item_digits((uint32_t)(item_hash(key) >> 32))};

	memcpy(rte_pktmbuf_mtod_offset(m, char *, HEADERS_BYTES + FRAME_HEADER + 4), words, KEY_BYTES);
}

/* Returns its length. The key is written later, but for those of `reflect`. */
static unsigned
request_text(const struct ceiling *c, unsigned number, uint8_t *to)
{
	unsigned len;

	if (!c->sets)
		return (unsigned)sprintf((char *)to, "get key-%012u\r\n", number);
	len = (unsigned)sprintf((char *)to, "set key-%012u 0 0 %u\r\n", number, VALUE_BYTES);
	value_write(to + len, item_hash(number % c->keys), ITEMS_UNVERSIONED, VALUE_BYTES, 0, VALUE_BYTES);
	memcpy(to + len + VALUE_BYTES, "\r\n", 2);
	return len + VALUE_BYTES + 2;
}

static struct rte_mbuf *
request_make(const struct ceiling *c, unsigned number)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(c->pool);
	struct rte_ether_hdr *eth;
	struct rte_ipv4_hdr *ip;
	struct rte_udp_hdr *udp;
	uint8_t text[128];
	unsigned len = request_text(c, number, text);

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
	if ((c->gets || c->sets) && !c->drawn)
		key_write(m, number % c->keys);
	udp->dgram_cksum = c->drawn ? 0 : rte_ipv4_udptcp_cksum(ip, udp);
	ip->hdr_checksum = rte_ipv4_cksum(ip);
	return m;
}

static void
arp_send(const struct ceiling *c, uint16_t opcode, const struct rte_ether_addr *to)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(c->pool);
	struct rte_ether_hdr *eth;
	struct rte_arp_hdr *arp;

	if (!m)
		return;
	eth = (struct rte_ether_hdr *)rte_pktmbuf_append(m, 60);
	memset(eth, 0, 60);
	arp = (struct rte_arp_hdr *)(eth + 1);
	eth->dst_addr = *to;
	eth->src_addr = c->mac;
	eth->ether_type = RTE_BE16(RTE_ETHER_TYPE_ARP);
	arp->arp_hardware = RTE_BE16(RTE_ARP_HRD_ETHER);
	arp->arp_protocol = RTE_BE16(RTE_ETHER_TYPE_IPV4);
	arp->arp_hlen = RTE_ETHER_ADDR_LEN;
	arp->arp_plen = sizeof(rte_be32_t);
	arp->arp_opcode = rte_cpu_to_be_16(opcode);
	arp->arp_data.arp_sha = c->mac;
	arp->arp_data.arp_sip = rte_cpu_to_be_32(OUR_IP);
	arp->arp_data.arp_tha = *to;
	arp->arp_data.arp_tip = rte_cpu_to_be_32(FAR_IP);
	if (rte_eth_tx_burst(c->port, 0, &m, 1) == 0)
		rte_pktmbuf_free(m);
}

/* ARP, a miss, or somebody's chatter. */
static __attribute__((noinline)) void
short_frame(struct ceiling *c, const struct rte_mbuf *m)
{
	const struct rte_ether_hdr *eth = rte_pktmbuf_mtod(m, const struct rte_ether_hdr *);
	const struct rte_arp_hdr *arp = (const struct rte_arp_hdr *)(eth + 1);

	if (eth->ether_type == RTE_BE16(RTE_ETHER_TYPE_IPV4)) {
		c->received++;
		c->misses++;
		return;
	}
	if (eth->ether_type != RTE_BE16(RTE_ETHER_TYPE_ARP))
		return;
	if (arp->arp_data.arp_sip == rte_cpu_to_be_32(FAR_IP))
		c->far_mac = arp->arp_data.arp_sha;
	if (arp->arp_opcode == RTE_BE16(RTE_ARP_OP_REQUEST) &&
	    arp->arp_data.arp_tip == rte_cpu_to_be_32(OUR_IP))
		arp_send(c, RTE_ARP_OP_REPLY, &arp->arp_data.arp_sha);
}

static void
reply_take(struct ceiling *c, const struct rte_mbuf *m)
{
	if (m->pkt_len < SHORT_BYTES) {
		short_frame(c, m);
		return;
	}
	c->wrong += c->hit_bytes != 0 && m->pkt_len != c->hit_bytes;
	if (c->received++ % CHECK_EVERY != 0)
		return;
	const char *payload = rte_pktmbuf_mtod_offset(m, const char *, HEADERS_BYTES + FRAME_HEADER);
	c->wrong += memcmp(payload, "VALUE ", 6) != 0 ||
	            memcmp(rte_pktmbuf_mtod(m, const char *) + m->pkt_len - 7, "\r\nEND\r\n", 7) != 0;
	c->hit_bytes = m->pkt_len;
}

static void
stored_take(struct ceiling *c, const struct rte_mbuf *m)
{
	if (m->pkt_len != STORED_BYTES) {
		short_frame(c, m);
		return;
	}
	if (c->received++ % CHECK_EVERY == 0)
		c->wrong += memcmp(rte_pktmbuf_mtod_offset(m, const char *, HEADERS_BYTES + FRAME_HEADER),
		                STORED, 8) != 0;
}

static unsigned
receive(struct ceiling *c)
{
	struct rte_mbuf *pkts[BURST];
	unsigned n = rte_eth_rx_burst(c->port, 0, pkts, BURST);

	for (unsigned i = 0; i < n; i++)
		c->bytes += pkts[i]->pkt_len;
	if (c->gets)
		for (unsigned i = 0; i < n; i++)
			reply_take(c, pkts[i]);
	else if (c->sets)
		for (unsigned i = 0; i < n; i++)
			stored_take(c, pkts[i]);
	else
		c->received += n;
	rte_pktmbuf_free_bulk(pkts, n);
	return n;
}

static void
send_burst(struct ceiling *c)
{
	struct rte_mbuf **burst = &c->requests[c->next];
	unsigned n = RTE_MIN(BURST, REQUESTS - c->next), done;

	for (unsigned i = 0; i < n; i++) {
		if (c->drawn) /* its datagram goes without a checksum, as IPv4 allows */
			key_write(burst[i], c->drawn[c->drawn_next++ % DRAWN]);
		rte_mbuf_refcnt_update(burst[i], 1);
	}
	done = rte_eth_tx_burst(c->port, 0, burst, (uint16_t)n);
	for (unsigned i = done; i < n; i++)
		rte_mbuf_refcnt_update(burst[i], -1);
	c->sent += done;
	c->refused += n - done;
	c->next = (c->next + done) % REQUESTS; /* only what has left may be older than what is under way */
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

/* Whether the next burst is to go: there is room under way, or in the open loop it is due. */
static inline bool
burst_is_due(const struct ceiling *c, uint64_t passed_tsc)
{
	if (c->rate == 0)
		return c->sent - c->received - c->lost + BURST <= OUTSTANDING;
	return c->sent + c->refused + BURST <= (uint64_t)((unsigned __int128)passed_tsc * c->rate_q32 >> 32);
}

/* A part of the time has passed: its rates, from what had come at its begin. */
static void
window_end(struct ceiling *c, uint64_t cycles, uint64_t received, uint64_t bytes)
{
	double seconds = (double)cycles / (double)rte_get_tsc_hz();

	c->rates[c->windows_len] = (double)(c->received - received) / seconds;
	c->byte_rates[c->windows_len++] = (double)(c->bytes - bytes) / seconds;
}

/* What does not come back within a tenth of a second of silence is lost. */
static void
run(struct ceiling *c, bool sends, uint64_t cycles)
{
	uint64_t begin = rte_rdtsc(), last = begin, now = begin, window_begin = begin;
	uint64_t received = 0, bytes = 0;

	c->sent = c->refused = c->received = c->bytes = c->lost = c->misses = c->wrong = 0;
	c->windows_len = 0;
	thread_keep_core(true); /* where that is not allowed it runs as it is */
	while (now - begin < cycles) {
		unsigned got = receive(c);

		now = rte_rdtsc();
		if (now - window_begin >= cycles / WINDOWS && c->windows_len < WINDOWS) {
			window_end(c, now - window_begin, received, bytes);
			window_begin = now;
			received = c->received;
			bytes = c->bytes;
		}
		if (got)
			last = now;
		if (sends && now - last > rte_get_tsc_hz() / 10)
			c->lost = c->sent - c->received;
		if (now - last > SILENCE_S * rte_get_tsc_hz())
			die("nothing comes for seconds");
		if (sends && burst_is_due(c, now - begin))
			send_burst(c);
	}
	thread_keep_core(false);
}

static int
compare(const void *left, const void *right)
{
	double a = *(const double *)left, b = *(const double *)right;

	return (a > b) - (a < b);
}

static double
median(double *numbers, unsigned len)
{
	qsort(numbers, len, sizeof(*numbers), compare);
	return len ? (numbers[(len - 1) / 2] + numbers[len / 2]) / 2.0 : 0.0;
}

/* Learns the cache's address, and lets it learn ours. */
static void
far_end_find(struct ceiling *c)
{
	const struct rte_ether_addr everyone = c->far_mac;

	for (int tries = 0; tries < 100; tries++) {
		arp_send(c, RTE_ARP_OP_REQUEST, &everyone);
		for (int i = 0; i < 50; i++) {
			receive(c);
			if (!rte_is_same_ether_addr(&c->far_mac, &everyone))
				return;
			rte_delay_us_block(1000);
		}
	}
	die("the cache does not answer ARP");
}

static void
keys_draw(struct ceiling *c, uint32_t keys, bool zipf)
{
	struct popularity popularity;
	struct load_rng rng;
	const struct popularity_config config = {
	    .kind = zipf ? POPULARITY_ZIPF : POPULARITY_UNIFORM, .keys = keys, .zipf = ZIPF};

	c->drawn = malloc(DRAWN * sizeof(c->drawn[0]));
	if (!c->drawn || !popularity_init(&popularity, &config))
		die("no memory for the keys");
	load_rng_seed(&rng, 1);
	for (uint32_t i = 0; i < DRAWN; i++)
		c->drawn[i] = popularity_key(&popularity, &rng, 0);
	popularity_free(&popularity);
}

int
main(int argc, char **argv)
{
	static struct ceiling c;
	int used = rte_eal_init(argc, argv), seconds;
	bool gets, sets, sends;

	if (used < 0 || argc - used < 3)
		die("usage: link_ceiling EAL-ARGS -- reflect|count SECONDS, or get SECONDS KEYS "
		    "uniform|zipf [RATE], or set SECONDS KEYS");
	argv += used;
	argc -= used;
	gets = strcmp(argv[1], "get") == 0 && (argc == 5 || argc == 6);
	sets = strcmp(argv[1], "set") == 0 && argc == 4;
	sends = gets || sets || strcmp(argv[1], "reflect") == 0;
	seconds = atoi(argv[2]);
	if ((!sends && strcmp(argv[1], "count") != 0) || seconds < 1)
		die("reflect or count, or get or set with keys, and from one second up");
	memset(&c.far_mac, 0xff, sizeof(c.far_mac));
	if (gets) {
		const bool zipf = strcmp(argv[4], "zipf") == 0;

		c.gets = true;
		c.keys = (uint32_t)atol(argv[3]);
		if (c.keys == 0)
			die("at least one key");
		if (zipf || c.keys > REQUESTS)
			keys_draw(&c, c.keys, zipf);
	}
	if (sets) {
		c.sets = true;
		c.keys = (uint32_t)atol(argv[3]);
		if (c.keys == 0 || c.keys > REQUESTS)
			die("set takes from one key up to as many as there are requests");
	}
	if (gets && argc == 6) {
		c.rate = strtoull(argv[5], NULL, 10);
		c.rate_q32 = (uint64_t)((double)c.rate / (double)rte_get_tsc_hz() * 4294967296.0);
	}
	port_open(&c);
	if (gets || sets)
		far_end_find(&c);
	for (unsigned i = 0; sends && i < REQUESTS; i++)
		c.requests[i] = request_make(&c, i);
	run(&c, sends, WARM_UP_S * rte_get_tsc_hz());
	run(&c, sends, (uint64_t)seconds * rte_get_tsc_hz());
	printf("{\"rate\": %.0f, \"mean_rate\": %.0f, \"offered\": %.0f, \"bytes_per_second\": %.0f, "
	       "\"lost\": %" PRIu64 ", \"misses\": %" PRIu64 ", \"wrong\": %" PRIu64 "}\n",
	    median(c.rates, c.windows_len), (double)c.received / seconds,
	    (double)(c.sent + c.refused) / seconds, median(c.byte_rates, c.windows_len), c.lost, c.misses,
	    c.wrong);
	fflush(stdout);
	rte_eth_dev_stop(c.port);
	return c.wrong ? 1 : 0;
}
