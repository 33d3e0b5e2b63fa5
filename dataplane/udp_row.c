/*
 * See udp_row.h.
 */
#include "dataplane/udp_row.h"

#define GET_VALUE_MAX SERVE_BURST_VALUE_MAX(PROTO_UDP_PAYLOAD_MAX)
_Static_assert(NET_UDP_SLACK >= SERVE_BURST_SLACK, "a plain datagram may be read by serve_burst.h");

bool
udp_row_note(struct udp_row *row, const struct worker *worker, const struct net_udp_rx *rx)
{
	struct rte_mbuf *m = rx->m;
	const uint8_t *bytes = rte_pktmbuf_mtod(m, const uint8_t *);
	struct serve_set *set = &row->sets[row->len];
	struct store_key *key = &row->probes[row->len].key;

	if (!rx->plain || m->data_len <= PROTO_UDP_HEADER_BYTES || !udp_packet_takes_reply(worker, m) ||
	    !proto_udp_is_whole(bytes))
		return false;
	bytes += PROTO_UDP_HEADER_BYTES;
	set->value = NULL;
	if (!serve_get_read(bytes, m->data_len - PROTO_UDP_HEADER_BYTES, key) &&
	    !serve_set_read(bytes, m->data_len - PROTO_UDP_HEADER_BYTES, key, set))
		return false;
	row->packets[row->len++] = m;
	return true;
}

void
udp_row_clear(struct udp_row *row, uint8_t iface)
{
	row->len = row->begun = row->loaded = row->answered = row->replies_len = 0;
	row->changed = false;
	row->iface = iface;
}

void
udp_row_begin(struct udp_row *row, const struct worker *worker)
{
	store_probe_hash(worker->items, row->probes + row->begun, row->len - row->begun);
	row->begun = row->len;
}

void
udp_row_load(struct udp_row *row, const struct worker *worker, unsigned n)
{
	n = RTE_MIN(n, row->len - row->loaded);
	store_probe_load(worker->items, row->probes + row->loaded, n);
	row->loaded += n;
}

void
udp_row_load_rest(const struct udp_row *row, const struct worker *worker, unsigned skip, unsigned n)
{
	const unsigned first = RTE_MIN(row->answered + skip, row->loaded);

	store_probe_load_spilled(worker->items, row->probes + first, RTE_MIN(n, row->loaded - first));
}

/* Where the payload of a reply goes; packet_replies() is told how long it has become. */
static inline uint8_t *
packet_reply(const struct rte_mbuf *m)
{
	return (uint8_t *)m->buf_addr + udp_reply_offset(m) + PROTO_UDP_HEADER_BYTES;
}

/* The packet of a request becomes its reply, whose payload is written. */
static inline void
packet_replies(struct udp_row *row, struct worker *worker, struct rte_mbuf *m, uint32_t payload_bytes)
{
	const uint8_t *request = rte_pktmbuf_mtod(m, const uint8_t *);

	m->data_off = (uint16_t)udp_reply_offset(m);
	proto_udp_write_single(rte_pktmbuf_mtod(m, uint8_t *), request);
	m->data_len = (uint16_t)(PROTO_UDP_HEADER_BYTES + payload_bytes);
	m->pkt_len = m->data_len;
	worker->counters.bytes_written += m->data_len;
	row->replies[row->replies_len++] =
	    (struct net_udp_reply){.m = m, .request = request - NET_UDP_HEADERS};
}

/* n gets from `first` on. Returns how many were left. */
static unsigned
gets_answer(struct udp_row *row, struct worker *worker, unsigned first, unsigned n, udp_row_left *left)
{
	unsigned left_len = 0;

	if (unlikely(row->changed))
		store_probe_place(worker->items, row->probes + first, n);
	serve_gets(worker->serve, row->probes + first, n, GET_VALUE_MAX, row->found + first);
	for (unsigned i = first; i < first + n; i++) {
		const struct store_found *found = &row->found[i];
		struct rte_mbuf *m = row->packets[i];

		if (unlikely(serve_found_left(found))) {
			left_len++;
			left(worker,
			    &(struct net_udp_rx){.m = m, .flow = {.iface = row->iface}, .plain = true});
			continue;
		}
		worker->counters.bytes_read += m->data_len;
		packet_replies(row, worker, m, serve_get_reply(packet_reply(m), &row->probes[i].key, found));
	}
	return left_len;
}

static void
set_answer(struct udp_row *row, struct worker *worker, unsigned at)
{
	struct rte_mbuf *m = row->packets[at];
	const enum proto_reply reply = serve_set(worker->serve, &row->probes[at].key, &row->sets[at]);

	row->changed = true;
	worker->counters.bytes_read += m->data_len;
	if (unlikely(row->sets[at].noreply)) {
		rte_pktmbuf_free(m);
		return;
	}
	memcpy(packet_reply(m), proto_replies[reply].text, proto_replies[reply].len);
	packet_replies(row, worker, m, proto_replies[reply].len);
}

void
udp_row_answer(struct udp_row *row, struct worker *worker, unsigned n, udp_row_left *left)
{
	const unsigned first = row->answered, end = first + RTE_MIN(n, row->len - first);
	unsigned gets, left_len = 0;

	for (unsigned i = first; i < end; i += gets) {
		for (gets = 0; i + gets < end && row->sets[i + gets].value == NULL; gets++)
			continue;
		if (gets) {
			left_len += gets_answer(row, worker, i, gets, left);
		} else {
			set_answer(row, worker, i);
			gets = 1;
		}
	}
	row->answered = end;
	worker->counters.udp_messages += end - first - left_len;
}

void
udp_row_send(struct udp_row *row, struct worker *worker)
{
	if (row->replies_len)
		net_udp_reply(worker->net, row->iface, row->replies, row->replies_len);
	row->replies_len = 0;
}
