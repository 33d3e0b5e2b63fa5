/*
 * Requests over UDP, past the network stack: a generator must spend its cycles on the far end and not on itself. Headers
 * are copied from a template and completed, checksums included; replies are recognized and handed up a burst at a time.
 * The stack still answers ARP and finds the server's MAC address.
 *
 * IPv4 only. Replies in IP fragments are not put together: memcached and the appliance never send such.
 */
#include "tests/load/backend_dpdk.h"

#include <errno.h>
#include <stdlib.h>
#include <rte_ip.h>
#include <rte_prefetch.h>
#include <rte_udp.h>

#include "dataplane/net/checksum.h"

#define HEADERS_BYTES \
	((uint32_t)(sizeof(struct rte_ether_hdr) + sizeof(struct rte_ipv4_hdr) + sizeof(struct rte_udp_hdr)))
#define IP_OFFSET       ((uint32_t)sizeof(struct rte_ether_hdr))
#define UDP_OFFSET      (IP_OFFSET + (uint32_t)sizeof(struct rte_ipv4_hdr))
#define PROBE_PORT      (LINK_PORT_FIRST - 1) /* nobody listens: what comes to it is dropped */
#define FRAGMENT_MASK   RTE_BE16(RTE_IPV4_HDR_MF_FLAG | RTE_IPV4_HDR_OFFSET_MASK)
#define IPV4_NO_OPTIONS RTE_IPV4_VHL_DEF

static_assert(HEADERS_BYTES <= UDP_HEADERS_MAX, "room for the template");
static_assert(LINK_BURST <= LOAD_BURST, "a burst is one call of received()");

/* ---- templates -------------------------------------------------------------------------------- */

static void
template_fill(struct load_backend *backend, struct udp_template *t, const struct net_addr *source)
{
	struct rte_ether_hdr *eth = (struct rte_ether_hdr *)t->headers;
	struct rte_ipv4_hdr *ip = (struct rte_ipv4_hdr *)(t->headers + IP_OFFSET);
	struct rte_udp_hdr *udp = (struct rte_udp_hdr *)(t->headers + UDP_OFFSET);

	memset(t, 0, sizeof(*t));
	memset(&eth->dst_addr, 0xff,
	    sizeof(eth->dst_addr)); /* a reflecting far end has no address to be asked for */
	eth->src_addr = net_iface(backend->link->sources[0].net, 0)->mac;
	eth->ether_type = RTE_BE16(RTE_ETHER_TYPE_IPV4);
	ip->version_ihl = IPV4_NO_OPTIONS;
	ip->fragment_offset = RTE_BE16(RTE_IPV4_HDR_DF_FLAG);
	ip->time_to_live = 64;
	ip->next_proto_id = IPPROTO_UDP;
	ip->src_addr = source->w[3];
	ip->dst_addr = backend->server.w[3];
	udp->dst_port = backend->server_port;
	t->ip_sum = csum_ip4_header(ip);
	t->udp_sum = csum_pseudo(source, &backend->server, IPPROTO_UDP, 0) + udp->dst_port;
}

void
dpdk_udp_address(struct load_backend *backend, const struct rte_ether_addr *mac)
{
	for (unsigned i = 0; i < backend->link->sources_len; i++)
		((struct rte_ether_hdr *)backend->udp.templates[i].headers)->dst_addr = *mac;
}

int
dpdk_udp_open(struct load_backend *backend)
{
	struct udp_state *udp = &backend->udp;
	unsigned sources = backend->link->sources_len;

	udp->templates = aligned_alloc(
	    RTE_CACHE_LINE_SIZE, RTE_ALIGN_CEIL(sources * sizeof(udp->templates[0]), RTE_CACHE_LINE_SIZE));
	udp->up = calloc(backend->config.connections, sizeof(udp->up[0]));
	if (!udp->templates || !udp->up)
		return -ENOMEM;
	for (unsigned i = 0; i < sources; i++)
		template_fill(backend, &udp->templates[i], &backend->link->sources[i].addr);
	return 0;
}

void
dpdk_udp_close(struct load_backend *backend)
{
	struct udp_state *udp = &backend->udp;

	rte_pktmbuf_free_bulk(udp->spare, udp->spare_len);
	rte_pktmbuf_free(udp->open);
	for (unsigned i = 0; i < udp->pending_len; i++)
		rte_pktmbuf_free(udp->pending[i].m);
	free(udp->templates);
	free(udp->up);
}

/* ---- connections: source ports ---------------------------------------------------------------- */

void
dpdk_udp_connect(struct load_backend *backend, uint32_t conn)
{
	const struct load_events *events = &backend->config.events;

	backend->udp.up[conn] = true;
	events->changed(events->ctx, conn, LOAD_CONN_UP, 0);
}

void
dpdk_udp_close_conn(struct load_backend *backend, uint32_t conn)
{
	backend->udp.up[conn] = false;
}

void
dpdk_udp_probe(struct load_backend *backend)
{
	const struct link_source *source = &backend->link->sources[0];
	const struct net_flow flow = {.local = source->addr,
	    .remote = backend->server,
	    .local_port = rte_cpu_to_be_16(PROBE_PORT),
	    .remote_port = backend->server_port};
	struct rte_mbuf *m = rte_pktmbuf_alloc(backend->link->pool);

	if (m)
		net_udp_output(source->net, &flow, m);
}

/* ---- sending ---------------------------------------------------------------------------------- */

void *
dpdk_udp_reserve(struct load_backend *backend, uint32_t conn, uint32_t bytes)
{
	struct udp_state *udp = &backend->udp;

	if (unlikely(udp->spare_len == 0)) {
		if (rte_pktmbuf_alloc_bulk(backend->link->pool, udp->spare, LINK_BURST) != 0) {
			udp->no_mbuf++;
			return NULL;
		}
		udp->spare_len = LINK_BURST;
	}
	udp->open = udp->spare[--udp->spare_len];
	return rte_pktmbuf_mtod_offset(udp->open, void *, HEADERS_BYTES);
}

/* Headers before the payload that lies there already. */
static inline void
headers_write(uint8_t *to, const struct udp_template *t, uint16_t port, uint32_t bytes)
{
	struct rte_ipv4_hdr *ip = (struct rte_ipv4_hdr *)(to + IP_OFFSET);
	struct rte_udp_hdr *udp = (struct rte_udp_hdr *)(to + UDP_OFFSET);
	const rte_be16_t total = rte_cpu_to_be_16((uint16_t)(HEADERS_BYTES - IP_OFFSET + bytes));
	const rte_be16_t len = rte_cpu_to_be_16((uint16_t)(sizeof(*udp) + bytes));
	const rte_be16_t source = rte_cpu_to_be_16(port);
	/* The length stands in the pseudo-header too; the header itself is an even number of bytes. */
	const uint16_t sum =
	    csum_finish(t->udp_sum + 2u * len + source + csum_bytes(to + HEADERS_BYTES, bytes));

	memcpy(to, t->headers, HEADERS_BYTES);
	ip->total_length = total;
	ip->hdr_checksum = csum_finish(t->ip_sum + total);
	udp->src_port = source;
	udp->dgram_len = len;
	udp->dgram_cksum = sum ? sum : 0xffff;
}

/*
 * A burst later, when what was just written has reached the cache: a checksum that reads it at once would wait for each
 * of the stores, and took a quarter of the generator's time.
 */
void
dpdk_udp_flush(struct load_backend *backend)
{
	struct udp_state *udp = &backend->udp;

	for (unsigned i = 0; i < udp->pending_len; i++) {
		struct rte_mbuf *m = udp->pending[i].m;
		uint32_t conn = udp->pending[i].conn, source = 0;

		if (unlikely(conn >= LINK_PORTS_USABLE)) {
			source = conn / LINK_PORTS_USABLE;
			conn %= LINK_PORTS_USABLE;
		}
		headers_write(rte_pktmbuf_mtod(m, uint8_t *), &udp->templates[source],
		    (uint16_t)(LINK_PORT_FIRST + conn), m->pkt_len - HEADERS_BYTES);
		link_send(backend->link, m);
	}
	udp->pending_len = 0;
}

void
dpdk_udp_commit(struct load_backend *backend, uint32_t conn, uint32_t bytes)
{
	struct udp_state *udp = &backend->udp;
	struct rte_mbuf *m = udp->open;

	udp->open = NULL;
	if (bytes == 0) {
		udp->spare[udp->spare_len++] = m;
		return;
	}
	m->data_len = (uint16_t)(HEADERS_BYTES + bytes);
	m->pkt_len = HEADERS_BYTES + bytes;
	udp->pending[udp->pending_len++] = (struct udp_pending){m, conn};
	if (udp->pending_len == LINK_BURST)
		dpdk_udp_flush(backend);
}

/* ---- receiving -------------------------------------------------------------------------------- */

/* Whose these address and port are; config.connections: nobody's. */
static inline uint32_t
conn_of(const struct load_backend *backend, rte_be32_t addr, rte_be16_t port)
{
	uint32_t source = rte_be_to_cpu_32(addr) - rte_be_to_cpu_32(backend->link->sources[0].addr.w[3]);
	uint32_t n = (uint32_t)rte_be_to_cpu_16(port) - LINK_PORT_FIRST;
	uint32_t conn;

	if (source >= backend->link->sources_len || n >= LINK_PORTS_USABLE)
		return backend->config.connections;
	conn = source * LINK_PORTS_USABLE + n;
	return conn < backend->config.connections && backend->udp.up[conn] ? conn
	                                                                   : backend->config.connections;
}

/* Whether a packet is a reply to one of our requests; fills the piece. */
static inline bool
reply_read(const struct load_backend *backend, const struct rte_mbuf *m, struct load_piece *piece)
{
	const uint8_t *frame = rte_pktmbuf_mtod(m, const uint8_t *);
	const struct rte_ether_hdr *eth = (const struct rte_ether_hdr *)frame;
	const struct rte_ipv4_hdr *ip = (const struct rte_ipv4_hdr *)(frame + IP_OFFSET);
	const struct rte_udp_hdr *udp = (const struct rte_udp_hdr *)(frame + UDP_OFFSET);
	uint32_t len;

	if (m->nb_segs != 1 || m->data_len < HEADERS_BYTES ||
	    eth->ether_type != RTE_BE16(RTE_ETHER_TYPE_IPV4) || ip->version_ihl != IPV4_NO_OPTIONS ||
	    ip->next_proto_id != IPPROTO_UDP || (ip->fragment_offset & FRAGMENT_MASK) != 0)
		return false;
	len = rte_be_to_cpu_16(udp->dgram_len);
	if (len < sizeof(*udp) || len > m->data_len - UDP_OFFSET)
		return false;
	if (likely(udp->src_port == backend->server_port && ip->src_addr == backend->server.w[3]))
		piece->conn = conn_of(backend, ip->dst_addr, udp->dst_port);
	else if (backend->config.reflect && udp->dst_port == backend->server_port)
		piece->conn =
		    conn_of(backend, ip->src_addr, udp->src_port); /* only MAC addresses were swapped */
	else
		return false;
	piece->data = frame + HEADERS_BYTES;
	piece->bytes = len - (uint32_t)sizeof(*udp);
	return piece->conn < backend->config.connections;
}

unsigned
dpdk_udp_early(void *ctx, struct rte_mbuf **pkts, unsigned n)
{
	struct load_backend *backend = ctx;
	struct load_piece pieces[LINK_BURST];
	struct rte_mbuf *taken[LINK_BURST];
	unsigned taken_len = 0, left = 0;

	/* Headers, and what a small value's reply has beyond the first cache line. */
	for (unsigned i = 0; i < n; i++) {
		rte_prefetch0(rte_pktmbuf_mtod(pkts[i], const void *));
		rte_prefetch0(rte_pktmbuf_mtod_offset(pkts[i], const void *, RTE_CACHE_LINE_SIZE));
	}
	for (unsigned i = 0; i < n; i++) {
		pieces[taken_len].rx_tsc = backend->rx_tsc;
		if (likely(reply_read(backend, pkts[i], &pieces[taken_len])))
			taken[taken_len++] = pkts[i];
		else
			pkts[left++] = pkts[i];
	}
	if (taken_len) {
		backend->config.events.received(backend->config.events.ctx, pieces, taken_len);
		backend->delivered += taken_len;
		rte_pktmbuf_free_bulk(taken, taken_len);
	}
	return left;
}
