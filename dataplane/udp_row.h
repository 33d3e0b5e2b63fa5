/*
 * Rows of plain requests over UDP: those that serve_burst.h takes, in packets that can carry their replies.
 *
 * A row is answered in stages, so that what memory is slow with overlaps: requests are noted while the packets are looked
 * at, begun (keys hashed, their buckets on the way), loaded (their items on the way), answered (each reply written behind the
 * request in its own packet), sent. Each stage takes up where it ended and does a few requests a call, those of one between
 * those of the next: prefetches with work between them are under way while it is done, where a core that is asked for thirty
 * lines at once does little else until most have come (it has 16 fill buffers).
 *
 * The worker's thread only; a row owns the packets that were noted until their replies are sent.
 */
#ifndef WIRECACHE_UDP_ROW_H
#define WIRECACHE_UDP_ROW_H

#include "dataplane/proto/udp_frame.h"
#include "dataplane/serve_burst.h"
#include "dataplane/worker.h"

#define UDP_REPLY_HEADROOM 72u /* UDP, IPv6, a VLAN tag and Ethernet are 66 */

struct udp_row {
	unsigned len;                     /* noted */
	unsigned begun, loaded, answered; /* how many have passed that stage */
	unsigned replies_len;
	bool changed;  /* something was written since keys were hashed */
	uint8_t iface; /* where all came from */
	struct rte_mbuf *packets[NET_BURST_MAX];
	struct store_probe probes[NET_BURST_MAX];
	struct serve_set sets[NET_BURST_MAX]; /* value NULL: it is a get */
	struct store_found found[NET_BURST_MAX];
	struct net_udp_reply replies[NET_BURST_MAX];
};

/* Where a reply begins behind a request: headers of any kind fit before it, and it starts a cache line. */
static inline uint32_t
udp_reply_offset(const struct rte_mbuf *m)
{
	return RTE_ALIGN_CEIL(m->data_off + m->data_len + UDP_REPLY_HEADROOM, RTE_CACHE_LINE_SIZE);
}

/* Is the packet ours alone, and has it room? */
static inline bool
udp_packet_takes_reply(const struct worker *worker, const struct rte_mbuf *m)
{
	return m->nb_segs == 1 && m->pool == worker->pool && RTE_MBUF_DIRECT(m) &&
	       rte_mbuf_refcnt_read(m) == 1 &&
	       udp_reply_offset(m) + PROTO_UDP_DATAGRAM_MAX + NET_UDP_SLACK <= m->buf_len;
}

/* Takes a datagram into the row if it is a plain request. */
bool udp_row_note(struct udp_row *row, const struct worker *worker, const struct net_udp_rx *rx);

void udp_row_clear(struct udp_row *row, uint8_t iface);

/* All that were noted meanwhile. */
void udp_row_begin(struct udp_row *row, const struct worker *worker);
/* The next n, or what is left. */
void udp_row_load(struct udp_row *row, const struct worker *worker, unsigned n);
/* Hint: what udp_row_load() could not yet ask for, of n requests, `skip` ahead of those that are answered next. */
void udp_row_load_rest(const struct udp_row *row, const struct worker *worker, unsigned skip, unsigned n);

/* Answers the next n, or what is left. What turns out not to be plain goes to left(), its packet too. */
typedef void udp_row_left(struct worker *worker, struct net_udp_rx *rx);
void udp_row_answer(struct udp_row *row, struct worker *worker, unsigned n, udp_row_left *left);

/* Sends the replies that are written. */
void udp_row_send(struct udp_row *row, struct worker *worker);

#endif
