/*
 * A burst of segments: all are parsed, hashed and looked up with prefetches between the stages, the
 * application sees the likely requests early (peek), then each segment is checked in the order of RFC
 * 9293 3.10.7 and processed.
 */
#include "dataplane/net/tcp_in.h"

#include "dataplane/net/tcp_fast.h"
#include "dataplane/net/tcp_out.h"
#include "dataplane/net/tcp_rx.h"
#include "dataplane/net/tcp_spare.h"
#include "dataplane/net/tcp_stack.h"

#define CONTROL_FLAGS (RTE_TCP_SYN_FLAG | RTE_TCP_FIN_FLAG | RTE_TCP_RST_FLAG | RTE_TCP_ACK_FLAG)

/* ---- one segment for a connection ------------------------------------------------------------- */

static uint32_t
seg_end(const struct tcp_seg *seg)
{
	return seg->seq + seg->len + !!(seg->flags & RTE_TCP_SYN_FLAG) + !!(seg->flags & RTE_TCP_FIN_FLAG);
}

static uint32_t
window(const struct tcp_conn *c)
{
	return tcp_seq_lt(c->rcv_nxt, c->rcv_edge) ? c->rcv_edge - c->rcv_nxt : 0;
}

/*
 * The first check, with two exceptions that other stacks need: an empty segment right at the edge (a peer
 * that filled the window acknowledges from there), and anything at rcv_nxt when the window is closed, for its
 * ACK and its FIN.
 */
static bool
acceptable(const struct tcp_conn *c, const struct tcp_seg *seg)
{
	uint32_t end = seg_end(seg), edge = c->rcv_nxt + window(c);
	if (seg->seq == c->rcv_nxt)
		return true;
	if (end == seg->seq)
		return tcp_seq_lt(c->rcv_nxt, seg->seq) && tcp_seq_le(seg->seq, edge);
	return tcp_seq_lt(c->rcv_nxt, end) && tcp_seq_lt(seg->seq, edge);
}

/* May an empty unacceptable segment be answered? Data always is; two stacks could answer each other's ACKs
 * for ever. */
static bool
oow_allowed(struct tcp_conn *c)
{
	uint16_t now = (uint16_t)(c->tcp->tick / TCP_OOW_PERIOD_TICKS % TCP_OOW_PERIODS);
	if (c->oow_tick != now) {
		c->oow_tick = now;
		c->oow_acks = 0;
	}
	return c->oow_acks++ < TCP_OOW_ACKS || (c->oow_acks = TCP_OOW_ACKS, false);
}

static void
answer_unacceptable(struct tcp_conn *c, const struct tcp_seg *seg)
{
	if (seg->flags & RTE_TCP_RST_FLAG)
		return;
	uint32_t end = seg->seq + seg->len;
	if (seg->len && tcp_seq_le(end, c->rcv_nxt)) {
		struct tcp_range dsack = {seg->seq, end};
		c->tcp->counters->tcp_duplicates_in++;
		tcp_out_ack(c, &dsack);
	} else if (seg->len || seg->flags & RTE_TCP_FIN_FLAG || oow_allowed(c)) {
		tcp_out_ack(c, NULL);
	}
}

static void
challenge(struct tcp_conn *c)
{
	if (oow_allowed(c) && tcp_challenge_allowed(c->tcp))
		tcp_out_ack(c, NULL);
}

/* PAWS and sequence number (RFC 7323 5.3, RFC 9293 first check). */
static bool
check_place(struct tcp_conn *c, const struct tcp_seg *seg)
{
	if (c->flags & TCP_F_TS && seg->has_ts && !(seg->flags & RTE_TCP_RST_FLAG) &&
	    tcp_seq_lt(seg->tsval, c->ts_recent) && c->tcp->tick - c->rx_tick < TCP_PAWS_IDLE_TICKS) {
		c->tcp->counters->drop_tcp_paws++;
		answer_unacceptable(c, seg);
		return false;
	}
	if (!acceptable(c, seg)) {
		c->tcp->counters->drop_tcp_window++;
		answer_unacceptable(c, seg);
		return false;
	}
	return true;
}

/* RST, SYN, and segments without ACK end here (second and fourth check, RFC 5961). False: done with it. */
static bool
check_flags(struct tcp_conn *c, const struct tcp_seg *seg)
{
	if (seg->flags & RTE_TCP_RST_FLAG) {
		if (c->state == TCP_TIME_WAIT) {
			c->tcp->counters->drop_tcp_time_wait++; /* RFC 1337: the unread bytes stay */
		} else if (seg->seq == c->rcv_nxt) {
			c->tcp->counters->tcp_resets_in++;
			tcp_conn_kill(c, TCP_CLOSED_BY_RESET);
		} else {
			c->tcp->counters->drop_tcp_rst++;
			challenge(c);
		}
		return false;
	}
	if (seg->flags & RTE_TCP_SYN_FLAG) {
		c->tcp->counters->drop_tcp_syn++;
		challenge(c);
		return false;
	}
	if (!(seg->flags & RTE_TCP_ACK_FLAG)) {
		c->tcp->counters->drop_tcp_no_ack++;
		return false;
	}
	return true;
}

void
tcp_fin_received(struct tcp_conn *c)
{
	c->rcv_nxt++;
	c->flags |= TCP_F_FIN_IN | TCP_F_ACK_NOW;
	if (c->rxq)
		c->rxq->has_fin = false;
	if (c->state == TCP_ESTABLISHED)
		c->state = TCP_CLOSE_WAIT;
	else if (c->state == TCP_FIN_WAIT_1)
		c->state = TCP_CLOSING;
	else if (c->state == TCP_FIN_WAIT_2)
		c->state = TCP_TIME_WAIT;
}

static void
in_order(struct tcp_conn *c, const struct tcp_payload *p)
{
	bool had_holes = tcp_rx_has_holes(c);
	uint32_t before = c->rcv_nxt;
	tcp_rx_in_order(c, p);
	if (c->state == TCP_CLOSED)
		return;
	if (c->rcv_nxt == before) {
		c->flags |= TCP_F_ACK_NOW; /* a probe of the closed window, or no memory */
		return;
	}
	if (c->state >= TCP_FIN_WAIT_1)
		c->progress_tick = c->tcp->tick;
	/* With less than a segment of window left the peer waits for this ACK. */
	if (had_holes || ++c->ack_segs >= 2 || window(c) < c->mss)
		c->flags |= TCP_F_ACK_NOW;
	else
		c->flags |= TCP_F_ACK_SOON;
}

static void
out_of_order(struct tcp_conn *c, const struct tcp_payload *p)
{
	struct tcp_range all = {p->seq, p->seq + p->len};
	c->tcp->counters->tcp_out_of_order_in++;
	bool duplicate = tcp_rx_out_of_order(c, p) && p->len;
	c->tcp->counters->tcp_duplicates_in += duplicate;
	tcp_out_ack(c, duplicate ? &all : NULL);
}

/* Payload and FIN, cut to the window (seventh and eighth check). */
static void
take_payload(struct tcp_conn *c, struct tcp_seg *seg)
{
	struct tcp_payload p = {.m = seg->m,
	    .offset = seg->hlen,
	    .len = seg->len,
	    .seq = seg->seq,
	    .fin = seg->flags & RTE_TCP_FIN_FLAG};
	if (c->state != TCP_ESTABLISHED && c->state != TCP_FIN_WAIT_1 && c->state != TCP_FIN_WAIT_2)
		return; /* nothing can follow a FIN */
	if (unlikely(tcp_seq_lt(p.seq, c->rcv_nxt))) {
		uint32_t old = RTE_MIN(c->rcv_nxt - p.seq, p.len);
		p.offset += old;
		p.len -= old;
		p.seq += old;
		c->flags |= TCP_F_ACK_NOW;
	}
	uint32_t end = p.seq + p.len, edge = c->rcv_nxt + window(c);
	if (unlikely(tcp_seq_lt(edge, end))) {
		p.len -= RTE_MIN(end - edge, p.len);
		p.fin = false;
		c->flags |= TCP_F_ACK_NOW;
	}
	if (likely(p.seq == c->rcv_nxt))
		in_order(c, &p);
	else
		out_of_order(c, &p);
}

/* After a segment: what the flush has to do, and what is no longer needed. */
static void
settle(struct tcp_conn *c)
{
	if (c->state == TCP_CLOSED)
		return;
	if (unlikely(c->rxq != NULL))
		tcp_rx_quiesce(c);
	if (c->flags & (TCP_F_ACK_NOW | TCP_F_ACK_SOON | TCP_F_RECOVERY | TCP_F_LOSS | TCP_F_FIN_QUEUED) ||
	    c->snd_nxt != c->sq_end)
		tcp_touch(c);
	if (unlikely(c->state == TCP_TIME_WAIT && !tcp_rx_unread(c)))
		tcp_conn_time_wait(c);
}

static void
syn_received_state(struct tcp_conn *c, const struct tcp_seg *seg)
{
	if (tcp_seq_lt(c->snd_una, seg->ack) && tcp_seq_le(seg->ack, c->snd_nxt)) {
		c->snd_wnd = (uint32_t)seg->wnd << c->snd_wscale;
		c->snd_wl1 = seg->seq;
		c->snd_wl2 = seg->ack;
		c->snd_wnd_max = RTE_MAX(c->snd_wnd_max, c->snd_wnd);
		tcp_conn_established(c);
		return;
	}
	c->tcp->counters->drop_tcp_ack++;
	tcp_out_reject(c->tcp, seg);
}

/* RFC 9293 3.10.7.3. */
static void
syn_sent_state(struct tcp_conn *c, const struct tcp_seg *seg)
{
	bool acked = seg->flags & RTE_TCP_ACK_FLAG;
	if (acked && seg->ack != c->snd_nxt) {
		c->tcp->counters->drop_tcp_ack++;
		tcp_out_reject(c->tcp, seg);
		return;
	}
	if (seg->flags & RTE_TCP_RST_FLAG) {
		c->tcp->counters->tcp_resets_in++;
		if (acked)
			tcp_conn_kill(c, TCP_CLOSED_BY_RESET);
		return;
	}
	if (!(seg->flags & RTE_TCP_SYN_FLAG)) {
		c->tcp->counters->drop_tcp_no_syn++;
		return;
	}
	struct tcp_syn_info info = {.mss = seg->has_mss && seg->mss ? seg->mss : TCP_MSS_DEFAULT,
	    .wscale = seg->wscale,
	    .options = (seg->has_ts ? TCP_MINI_OPT_TS : 0) | (seg->has_sack_ok ? TCP_MINI_OPT_SACK : 0) |
	               (seg->has_wscale ? TCP_MINI_OPT_WS : 0)};
	tcp_conn_agree(c, &info);
	c->rcv_nxt = c->last_ack_sent = seg->seq + 1;
	c->rcv_edge = c->rcv_nxt + RTE_MIN(c->tcp->config.rcv_buffer_bytes, 65535u);
	c->ts_recent = seg->tsval;
	c->snd_wnd = c->snd_wnd_max = seg->wnd;
	c->snd_wl1 = seg->seq;
	c->snd_wl2 = seg->ack;
	c->flags |= TCP_F_ACK_NOW;
	if (!acked) {
		c->state = TCP_SYN_RECEIVED; /* simultaneous open */
		return;
	}
	if (!tcp_conn_established(c))
		return;
	/* The data that the application may have queued before begins after the SYN. */
	if (!tcp_ack_process(c, seg))
		return;
	c->snd_wnd = c->snd_wnd_max = seg->wnd; /* a SYN's window is never scaled (RFC 7323 2.2) */
}

void
tcp_in_segment(struct tcp_conn *c, struct tcp_seg *seg)
{
	if (unlikely(c->state <= TCP_SYN_SENT)) {
		if (c->state == TCP_SYN_SENT)
			syn_sent_state(c, seg);
		settle(c);
		return;
	}
	bool expected = seg->seq == c->rcv_nxt && (seg->flags & CONTROL_FLAGS) == RTE_TCP_ACK_FLAG &&
	                (!(c->flags & TCP_F_TS) || !seg->has_ts || tcp_seq_le(c->ts_recent, seg->tsval));
	if (unlikely(!expected && !check_place(c, seg)))
		return;
	c->rx_tick = c->tcp->tick;
	c->ka_probes = 0;
	if (c->flags & TCP_F_TS && seg->has_ts && tcp_seq_le(seg->seq, c->last_ack_sent) &&
	    tcp_seq_le(c->ts_recent, seg->tsval))
		c->ts_recent = seg->tsval;
	if (unlikely(!expected && !check_flags(c, seg)))
		return;
	if (unlikely(c->state == TCP_SYN_RECEIVED)) {
		syn_received_state(c, seg);
		if (!tcp_synchronized(c))
			return;
	}
	if (!tcp_ack_process(c, seg))
		return;
	if (seg->len || unlikely(seg->flags & RTE_TCP_FIN_FLAG))
		take_payload(c, seg);
	settle(c);
}

/* ---- the burst -------------------------------------------------------------------------------- */

/* Parses all and prefetches their buckets. Returns how many remain. */
static unsigned
stage_parse(struct tcp_stack *tcp, struct tcp_rx *rx, struct tcp_seg *segs, unsigned n)
{
	unsigned kept = 0;
	for (unsigned i = 0; i < n; i++) {
		struct tcp_seg *seg = &segs[kept];
		seg->m = rx[i].m;
		seg->flow = &rx[i].flow;
		if (unlikely(!tcp_seg_parse(seg))) {
			tcp->counters->drop_tcp_header++;
			rte_pktmbuf_free(seg->m);
			continue;
		}
		seg->hash = tcp_hash_flow(&tcp->secrets, seg->flow);
		tcp_table_prefetch(&tcp->table, seg->hash);
		kept++;
	}
	return kept;
}

static inline struct tcp_conn *
conn_of(const struct tcp_stack *tcp, uint32_t ref)
{
	return ref & TCP_REF_MINI ? NULL : tcp_conn_at(tcp, ref);
}

static inline void
find(struct tcp_stack *tcp, struct tcp_seg *seg)
{
	seg->ref = tcp_table_find(tcp, seg->hash, seg->flow);
	seg->conn = conn_of(tcp, seg->ref);
}

/* By their tags alone, and prefetches the three lines that the short way touches. */
static void
stage_likely(struct tcp_stack *tcp, struct tcp_seg *segs, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		segs[i].ref = tcp_table_likely(&tcp->table, segs[i].hash);
		const struct tcp_conn *c = segs[i].conn = conn_of(tcp, segs[i].ref);
		if (likely(c != NULL))
			tcp_conn_prefetch(c);
	}
}

/* Bytes that wait for their acknowledgement, mostly a small reply in one block, whose place the next one will take. */
static inline void
prefetch_queue(const struct tcp_conn *c)
{
	const uint8_t *b = (const uint8_t *)c->sq_head;
	if (!b)
		return;
	rte_prefetch0(b);
	if (sizeof(struct tcp_block) + (c->sq_end - c->snd_una) > RTE_CACHE_LINE_SIZE)
		rte_prefetch0(b + RTE_CACHE_LINE_SIZE);
}

/*
 * Finds them for certain, prefetches the bytes that may be acknowledged, and shows the application what it will most
 * likely be given.
 */
static void
stage_peek(struct tcp_stack *tcp, struct tcp_seg *segs, unsigned n)
{
	const struct tcp_app *app = &tcp->app;
	for (unsigned i = 0; i < n; i++) {
		struct tcp_seg *seg = &segs[i];
		if (unlikely(!seg->conn || !tcp_flow_equal(&seg->conn->flow, seg->flow)))
			find(tcp, seg);
		const struct tcp_conn *c = seg->conn;
		if (unlikely(!c))
			continue;
		prefetch_queue(c);
		if (unlikely(!seg->len || seg->m->nb_segs != 1 || !app->peek))
			continue;
		if (seg->seq == c->rcv_nxt && c->state == TCP_ESTABLISHED && !(c->flags & TCP_F_PAUSED) &&
		    !(c->more & TCP_M_RXQ))
			app->peek(app->app, c->context,
			    rte_pktmbuf_mtod_offset(seg->m, const uint8_t *, seg->hlen), seg->len);
	}
	if (app->peeked)
		app->peeked(app->app);
}

static void
no_connection(struct tcp_stack *tcp, struct tcp_seg *seg)
{
	uint8_t kind = seg->flags & (RTE_TCP_SYN_FLAG | RTE_TCP_ACK_FLAG | RTE_TCP_RST_FLAG);
	if (kind == RTE_TCP_SYN_FLAG) {
		tcp_syn_received(tcp, seg);
		return;
	}
	if (unlikely(tcp_syn_cookie_input(tcp, seg)))
		return;
	tcp->counters->drop_tcp_no_connection++;
	tcp_out_reject(tcp, seg);
}

static void
dispatch(struct tcp_stack *tcp, struct tcp_seg *seg)
{
	if (likely(seg->conn != NULL)) {
		if (unlikely(tcp->general_only || !tcp_fast_in(seg->conn, seg)))
			tcp_in_segment(seg->conn, seg);
	} else if (seg->ref == TCP_INDEX_NONE) {
		no_connection(tcp, seg);
	} else {
		struct tcp_mini *e = tcp_mini_at(tcp, seg->ref);
		if (e->kind == TCP_MINI_SYN)
			tcp_syn_entry_input(tcp, e, seg->ref, seg);
		else
			tcp_tw_input(tcp, e, seg->ref, seg);
	}
}

void
tcp_input(struct tcp_stack *tcp, struct tcp_rx *rx, unsigned n)
{
	struct tcp_seg segs[NET_BURST_MAX];
	assert(n <= NET_BURST_MAX);
	tcp->counters->tcp_segments_in += n;
	n = stage_parse(tcp, rx, segs, n);
	stage_likely(tcp, segs, n);
	stage_peek(tcp, segs, n);
	uint32_t generation = tcp->table.generation;
	for (unsigned i = 0; i < n; i++) {
		/* A segment before this one may have opened or closed its connection. */
		if (unlikely(tcp->table.generation != generation))
			find(tcp, &segs[i]);
		dispatch(tcp, &segs[i]);
		tcp_spare_put(tcp, segs[i].m);
	}
	tcp_reap(tcp);
}
