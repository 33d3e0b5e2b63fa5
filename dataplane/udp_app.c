/*
 * Serving over UDP: the frame header, one message a request, replies of several datagrams.
 *
 * A burst is served in stages: all requests are peeked at (hash, prefetch the bucket), then the items are
 * prefetched, then each is answered, then all replies get their headers and leave. The last stage reads back what the
 * one before wrote, for checksums: by then the stores have reached the cache, and the loads wait for none.
 *
 * A plain request in a plain packet, which most are, takes a short way through these stages (udp_row.h): a row of them is
 * looked up at once, and the reply's headers are the request's turned round. Whatever it does not take goes through
 * serve_datagram(), in its place among the others.
 *
 * The first datagram of a reply is built in the request's own packet, behind the request, where the packet is ours
 * alone and has room: nothing is allocated or freed for a small reply. More datagrams come from the pool; their headers
 * can be finished only at the end, when the total is known.
 */
#include "dataplane/worker.h"

#include <stdlib.h>
#include <rte_prefetch.h>

#include "dataplane/proto/udp_frame.h"
#include "dataplane/udp_row.h"

/*
 * All replies to one datagram take no more than this many, 1 MiB and a little; what would exceed it is dropped. So one
 * request cannot drain the pool, and one datagram full of requests for large values cannot keep the worker for seconds.
 */
#define REPLY_DATAGRAMS_MAX DATAPLANE_UDP_REPLY_MAX

/* Datagrams of a burst that are complete but for the headers below the frame's. */
#define OUT_MAX 64u

/*
 * Plain requests that pass a stage at once, and how many items are on their way when the first reply is written: what
 * is written meanwhile takes as long as memory does.
 */
#define STEP  8u
#define AHEAD 16u

struct udp_out {
	struct rte_mbuf *m;
	const struct net_flow *flow;
};

struct udp_sink {
	struct serve_sink base;
	struct worker *worker;
	const struct net_flow *flow;
	struct rte_mbuf *reusable; /* the request's packet while it may take the reply, else NULL */
	bool reused;               /* it did */
	unsigned out_len;
	struct udp_out out[OUT_MAX];

	/* The burst's plain requests, and which of its datagrams they are. */
	struct udp_row row;
	bool in_row[NET_BURST_MAX];

	struct proto_udp_frame frame; /* of the request; then of each datagram of the reply */
	uint16_t sent_len;            /* datagrams of earlier replies to the same request datagram */
	uint16_t datagrams_len;
	bool failed;        /* no packet memory, or too long: nothing is sent */
	uint16_t last_used; /* payload bytes in the last datagram */
	uint8_t *reserved;  /* what reserve() returned */
	struct rte_mbuf *datagrams[REPLY_DATAGRAMS_MAX];
	uint8_t scratch[SERVE_RESERVE_MAX]; /* for a piece that spans datagrams */
	uint8_t request[WORKER_SCRATCH];    /* a request that lies in several mbufs */
};

/* ---- the sink --------------------------------------------------------------------------------- */

static bool
datagram_add(struct udp_sink *sink)
{
	struct rte_mbuf *m = sink->reusable;

	if (likely(m != NULL)) {
		sink->reusable = NULL;
		sink->reused = true;
		m->data_off = (uint16_t)udp_reply_offset(m);
	} else {
		if (sink->failed)
			return false;
		m = sink->sent_len + sink->datagrams_len < (int)sink->worker->config->udp_reply_datagrams_max
		        ? rte_pktmbuf_alloc(sink->worker->pool)
		        : NULL;
		if (unlikely(!m)) {
			sink->failed = true;
			return false;
		}
		m->data_off = NET_HEADROOM;
	}
	m->data_len = PROTO_UDP_HEADER_BYTES;
	sink->datagrams[sink->datagrams_len++] = m;
	sink->last_used = 0;
	return true;
}

static inline uint8_t *
datagram_tail(const struct udp_sink *sink)
{
	return rte_pktmbuf_mtod(sink->datagrams[sink->datagrams_len - 1], uint8_t *) +
	       PROTO_UDP_HEADER_BYTES + sink->last_used;
}

static bool
reply_append(struct udp_sink *sink, const uint8_t *bytes, uint32_t len)
{
	while (len) {
		uint32_t n;

		if ((sink->datagrams_len == 0 || sink->last_used == PROTO_UDP_PAYLOAD_MAX) &&
		    !datagram_add(sink))
			return false;
		n = RTE_MIN(len, PROTO_UDP_PAYLOAD_MAX - sink->last_used);
		memcpy(datagram_tail(sink), bytes, n);
		sink->last_used += n;
		bytes += n;
		len -= n;
		sink->datagrams[sink->datagrams_len - 1]->data_len = PROTO_UDP_HEADER_BYTES + sink->last_used;
	}
	return true;
}

/* In place when it fits the last datagram, else in the scratch. */
static uint8_t *
sink_reserve(struct serve_sink *base, uint32_t len)
{
	struct udp_sink *sink = (struct udp_sink *)base;

	if (unlikely(sink->datagrams_len == 0 && !datagram_add(sink)))
		return NULL;
	if (unlikely(sink->failed))
		return NULL;
	sink->reserved = len <= PROTO_UDP_PAYLOAD_MAX - sink->last_used ? datagram_tail(sink) : sink->scratch;
	return sink->reserved;
}

static void
sink_commit(struct serve_sink *base, uint32_t len)
{
	struct udp_sink *sink = (struct udp_sink *)base;

	if (unlikely(sink->reserved == sink->scratch)) {
		reply_append(sink, sink->scratch, len);
		return;
	}
	sink->last_used += len;
	sink->datagrams[sink->datagrams_len - 1]->data_len = PROTO_UDP_HEADER_BYTES + sink->last_used;
}

static bool
sink_value(struct serve_sink *base, const struct store_view *view)
{
	struct udp_sink *sink = (struct udp_sink *)base;
	const uint8_t *bytes;
	uint32_t n;

	for (uint32_t offset = 0; offset < view->value_bytes; offset += n) {
		n = store_view_span(sink->worker->items, view, offset, &bytes);
		if (n == 0 || !reply_append(sink, bytes, n))
			return false;
	}
	return true;
}

/* A message cannot wait: there is always room, and one that grows too long is dropped as a whole. */
static uint32_t
sink_room(struct serve_sink *base)
{
	return UINT32_MAX;
}

struct udp_sink *
udp_sink_create(struct worker *worker)
{
	struct udp_sink *sink = calloc(1, sizeof(*sink));

	if (!sink)
		return NULL;
	sink->base = (struct serve_sink){sink_reserve, sink_commit, sink_value, sink_room};
	sink->worker = worker;
	return sink;
}

void
udp_sink_destroy(struct udp_sink *sink)
{
	free(sink);
}

/* ---- requests --------------------------------------------------------------------------------- */

static void
out_flush(struct udp_sink *sink)
{
	for (unsigned i = 0; i < sink->out_len; i++)
		net_udp_output(sink->worker->net, sink->out[i].flow, sink->out[i].m);
	sink->out_len = 0;
}

static inline void
datagram_finish(struct udp_sink *sink, struct rte_mbuf *m)
{
	proto_udp_write(rte_pktmbuf_mtod(m, uint8_t *), &sink->frame);
	m->pkt_len = m->data_len;
	sink->worker->counters.bytes_written += m->data_len;
	if (unlikely(sink->out_len == OUT_MAX))
		out_flush(sink);
	sink->out[sink->out_len++] = (struct udp_out){.m = m, .flow = sink->flow};
}

static void
reply_finish(struct udp_sink *sink)
{
	uint16_t total = sink->datagrams_len;

	if (unlikely(sink->failed)) {
		sink->worker->counters.udp_reply_dropped++;
		rte_pktmbuf_free_bulk(sink->datagrams, total);
		return;
	}
	sink->frame.total = total;
	sink->sent_len += total;
	for (uint16_t i = 0; i < total; i++) {
		sink->frame.sequence = i;
		datagram_finish(sink, sink->datagrams[i]);
	}
}

/* The payload as contiguous bytes; a scattered or reassembled one is copied together. */
static const uint8_t *
request_bytes(struct udp_sink *sink, const struct rte_mbuf *m)
{
	if (likely(m->nb_segs == 1))
		return rte_pktmbuf_mtod(m, const uint8_t *);
	return rte_pktmbuf_read(m, 0, RTE_MIN(m->pkt_len, WORKER_SCRATCH), sink->request);
}

/* Commands of one datagram are messages of their own, all with its request id. */
static void
serve_one(struct udp_sink *sink, struct net_udp_rx *rx)
{
	struct worker *worker = sink->worker;
	const uint8_t *bytes = request_bytes(sink, rx->m);
	uint32_t len = RTE_MIN(rx->m->pkt_len, WORKER_SCRATCH);
	uint32_t used;
	bool more;

	if (!bytes || !proto_udp_read(bytes, len, &sink->frame)) {
		worker->counters.udp_malformed++;
		return;
	}
	worker->counters.bytes_read += len;
	net_udp_flow(rx);
	sink->flow = &rx->flow;
	sink->reusable = udp_packet_takes_reply(worker, rx->m) ? rx->m : NULL;
	bytes += PROTO_UDP_HEADER_BYTES;
	len -= PROTO_UDP_HEADER_BYTES;
	sink->sent_len = 0;
	do {
		used = 0;
		sink->datagrams_len = 0;
		sink->last_used = 0;
		sink->failed = false;
		more = serve_datagram(worker->serve, bytes, len, &sink->base, &used);
		worker->counters.udp_messages += more;
		worker->counters.udp_incomplete += !more && !sink->failed && sink->datagrams_len == 0;
		bytes += used;
		len -= used;
		/* The packet may leave with the reply while commands in it still wait to be read. */
		if (unlikely(more && len && sink->reused))
			bytes = memmove(sink->request, bytes, len);
		reply_finish(
		    sink); /* also what a request that ends the datagram was answered: binary errors */
	} while (more && len);
}

/* Frees those that the gate holds back; the others close ranks. */
static unsigned
admitted(struct worker *worker, struct net_udp_rx *rx, unsigned n)
{
	unsigned left = 0;

	for (unsigned i = 0; i < n; i++) {
		net_udp_flow(&rx[i]);
		switch (gate_datagram(worker->gate, &rx[i].flow.remote, worker->clock.now_us)) {
		case GATE_NOT_ALLOWED:
			worker->counters.gate_not_allowed++;
			rte_pktmbuf_free(rx[i].m);
			break;
		case GATE_TOO_MANY:
			worker->counters.gate_too_many++;
			rte_pktmbuf_free(rx[i].m);
			break;
		default:
			if (unlikely(left != i))
				rx[left] = rx[i];
			left++;
		}
	}
	return left;
}

/* ---- the burst -------------------------------------------------------------------------------- */

static void
serve_and_free(struct worker *worker, struct net_udp_rx *rx)
{
	struct udp_sink *sink = worker->udp_sink;

	sink->reused = false;
	serve_one(sink, rx);
	if (!sink->reused)
		rte_pktmbuf_free(rx->m);
}

/* One of a row: its flow ends with the call, so its replies leave before those of the others. */
static void
serve_left(struct worker *worker, struct net_udp_rx *rx)
{
	serve_and_free(worker, rx);
	out_flush(worker->udp_sink);
}

/* Finds the plain requests and begins to load what all will need. Returns whether there are no others. */
static bool
look_ahead(struct udp_sink *sink, const struct net_udp_rx *rx, unsigned n)
{
	struct worker *worker = sink->worker;
	struct udp_row *row = &sink->row;
	const bool plain = serve_burst_plain(worker->serve);

	udp_row_clear(row, rx[0].flow.iface);
	for (unsigned i = 0; i < n; i++) {
		const struct rte_mbuf *m = rx[i].m;

		sink->in_row[i] = plain && udp_row_note(row, worker, &rx[i]);
		if (unlikely(!sink->in_row[i] && m->nb_segs == 1 && m->data_len > PROTO_UDP_HEADER_BYTES))
			serve_peek(worker->serve,
			    rte_pktmbuf_mtod_offset(m, const uint8_t *, PROTO_UDP_HEADER_BYTES),
			    m->data_len - PROTO_UDP_HEADER_BYTES);
		if (row->len - row->begun == STEP)
			udp_row_begin(row, worker);
	}
	udp_row_begin(row, worker);
	serve_peeked(worker->serve);
	return row->len == n;
}

/* Nothing but plain requests. */
static void
serve_plain(struct udp_sink *sink)
{
	struct worker *worker = sink->worker;
	struct udp_row *row = &sink->row;

	udp_row_load(row, worker, AHEAD);
	udp_row_load_rest(row, worker, 0, STEP);
	while (row->answered < row->len) {
		udp_row_load_rest(row, worker, STEP, STEP);
		udp_row_load(row, worker, STEP);
		udp_row_answer(row, worker, STEP, serve_left);
	}
	udp_row_send(row, worker);
}

/* Others among the plain ones: each in its turn. */
static void
serve_mixed(struct udp_sink *sink, struct net_udp_rx *rx, unsigned n)
{
	struct worker *worker = sink->worker;
	struct udp_row *row = &sink->row;
	unsigned plain;

	udp_row_load(row, worker, NET_BURST_MAX);
	udp_row_load_rest(row, worker, 0, NET_BURST_MAX);
	for (unsigned i = 0; i < n; i += plain) {
		for (plain = 0; i + plain < n && sink->in_row[i + plain]; plain++)
			continue;
		if (plain) {
			udp_row_answer(row, worker, plain, serve_left);
		} else {
			serve_and_free(worker, &rx[i]);
			row->changed = true;
			plain = 1;
		}
	}
	udp_row_send(row, worker);
	out_flush(sink);
}

void
udp_app_input(void *ctx, struct net_udp_rx *rx, unsigned n)
{
	struct worker *worker = ctx;
	enum stage before = stage_begin(&worker->stages, STAGE_SERVE);
	struct udp_sink *sink = worker->udp_sink;

	if (unlikely(worker->guards_datagrams))
		n = admitted(worker, rx, n);
	latency_serve(&worker->latency, serve_counters(worker->serve), LATENCY_UDP);
	if (likely(look_ahead(sink, rx, n)))
		serve_plain(sink);
	else
		serve_mixed(sink, rx, n);
	stage_begin(&worker->stages, before);
}
