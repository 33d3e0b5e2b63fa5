/*
 * See tcp_rx.h. The application is called from here only; it may queue replies, close or abort while it is,
 * so that the state is looked at again after each call.
 */
#include "dataplane/net/tcp_rx.h"

#include "dataplane/net/tcp_in.h"
#include "dataplane/net/tcp_stack.h"

#define PRESSURE_PERCENT      75u
#define PRESSURE_WINDOW_BYTES 16384u

static struct tcp_rxq *
need_rxq(struct tcp_conn *c)
{
	if (!c->rxq)
		tcp_conn_set_rxq(c, tcp_mem_get(&c->tcp->mem, TCP_BLOCK_64));
	return c->rxq;
}

static uint32_t
block_end(const struct tcp_block *b)
{
	return b->seq + b->len;
}

static uint32_t
block_bytes(const struct tcp_block *b)
{
	return b->room + (uint32_t)sizeof(*b);
}

/* Bytes that can still be written behind the block's last. */
static uint32_t
block_room(const struct tcp_block *b)
{
	return b->room - (uint32_t)(b->bytes - b->data) - b->len;
}

static void
copy_in(struct tcp_block *b, const struct tcp_payload *p, uint32_t seq, uint32_t len)
{
	uint8_t *to = b->data + (b->bytes - b->data) + b->len;
	const void *from = rte_pktmbuf_read(p->m, p->offset + (seq - p->seq), len, to);
	/* rte_pktmbuf_read copies only what is scattered. */
	if (from != to)
		memcpy(to, from, len);
	b->len += len;
}

/* A block for bytes that continue `before` (may be NULL): runs of small segments get larger and larger
 * blocks. */
static struct tcp_block *
new_block(struct tcp_conn *c, const struct tcp_block *before, uint32_t seq, uint32_t len)
{
	uint32_t want = before ? RTE_MAX(len, before->room * 2u) : len;
	struct tcp_block *b = tcp_block_get(&c->tcp->mem, want);
	if (b)
		b->seq = seq;
	return b;
}

/* ---- unread ----------------------------------------------------------------------------------- */

static void
unread_push(struct tcp_rxq *q, struct tcp_block *b)
{
	b->next = NULL;
	if (q->unread_tail)
		q->unread_tail->next = b;
	else
		q->unread_head = b;
	q->unread_tail = b;
	q->unread_bytes += b->len;
	q->held_bytes += block_bytes(b);
}

/* Copies payload from rcv_nxt on. rcv_nxt moves by what could be kept. */
static void
keep_unread(struct tcp_conn *c, const struct tcp_payload *p)
{
	struct tcp_rxq *q = need_rxq(c);
	uint32_t end = p->seq + p->len;
	while (q && c->rcv_nxt != end) {
		uint32_t left = end - c->rcv_nxt;
		struct tcp_block *b = q->unread_tail;
		if (b && block_room(b)) {
			uint32_t n = RTE_MIN(left, block_room(b));
			copy_in(b, p, c->rcv_nxt, n);
			q->unread_bytes += n;
			c->rcv_nxt += n;
			continue;
		}
		b = new_block(c, b, c->rcv_nxt, left);
		if (!b)
			break;
		uint32_t n = RTE_MIN(left, block_room(b));
		copy_in(b, p, c->rcv_nxt, n);
		c->rcv_nxt += n;
		unread_push(q, b);
	}
	if (c->rcv_nxt != end)
		c->tcp->counters->drop_tcp_no_memory++;
}

void
tcp_rx_keep(struct tcp_conn *c, const struct tcp_payload *p)
{
	c->flags |= TCP_F_PAUSED;
	keep_unread(c, p);
}

/* ---- delivery --------------------------------------------------------------------------------- */

/* One run of bytes to the application; returns what it consumed. */
static uint32_t
deliver(struct tcp_conn *c, const uint8_t *bytes, uint32_t len)
{
	const struct tcp_app *app = &c->tcp->app;
	c->flags |= TCP_F_DELIVERING;
	uint32_t n = app->received(app->app, c, c->context, bytes, len);
	c->flags &= (uint16_t)~TCP_F_DELIVERING;
	assert(n <= len);
	if (n < len)
		c->flags |= TCP_F_PAUSED;
	return n;
}

static bool
may_deliver(const struct tcp_conn *c)
{
	return !(c->flags & TCP_F_PAUSED) && !tcp_rx_unread(c) && c->state != TCP_CLOSED;
}

/* Straight from the packet, part by part. */
static void
deliver_payload(struct tcp_conn *c, const struct tcp_payload *p)
{
	uint32_t skip = p->offset, left = p->len;
	for (struct rte_mbuf *s = p->m; s && left > 0 && may_deliver(c); s = s->next) {
		if (skip >= s->data_len) {
			skip -= s->data_len;
			continue;
		}
		uint32_t n = RTE_MIN(left, s->data_len - skip);
		c->rcv_nxt += deliver(c, rte_pktmbuf_mtod_offset(s, const uint8_t *, skip), n);
		left -= n;
		skip = 0;
	}
}

static void
free_block(struct tcp_conn *c, struct tcp_block *b)
{
	tcp_block_put(&c->tcp->mem, b);
}

static struct tcp_block *
ooo_pop(struct tcp_rxq *q)
{
	struct tcp_block *b = q->ooo_head;
	q->ooo_head = b->next;
	if (!q->ooo_head)
		q->ooo_tail = NULL;
	q->ooo_blocks--;
	return b;
}

/* What a peer sent beyond its own FIN. */
static void
drop_out_of_order(struct tcp_conn *c)
{
	while (c->rxq && c->rxq->ooo_head)
		free_block(c, ooo_pop(c->rxq));
}

/* Takes over the out-of-order blocks that rcv_nxt has reached. */
static void
absorb(struct tcp_conn *c)
{
	struct tcp_rxq *q;
	while ((q = c->rxq) && q->ooo_head && tcp_seq_le(q->ooo_head->seq, c->rcv_nxt)) {
		struct tcp_block *b = ooo_pop(q);
		uint32_t overlap = c->rcv_nxt - b->seq;
		if (overlap < b->len) {
			b->bytes += overlap;
			b->seq += overlap;
			b->len -= overlap;
			c->rcv_nxt = block_end(b);
			uint32_t n = may_deliver(c) ? deliver(c, b->bytes, b->len) : 0;
			if (c->state == TCP_CLOSED) {
				free_block(c, b);
				return;
			}
			b->bytes += n;
			b->seq += n;
			b->len -= n;
			if (b->len) {
				unread_push(q, b);
				continue;
			}
		}
		free_block(c, b);
	}
}

/* Tells the end of the stream once everything before it was consumed. */
static void
tell_end(struct tcp_conn *c)
{
	const struct tcp_app *app = &c->tcp->app;
	if (!(c->flags & TCP_F_FIN_IN) || c->flags & TCP_F_EOF_TOLD || tcp_rx_unread(c) ||
	    c->state == TCP_CLOSED)
		return;
	c->flags |= TCP_F_EOF_TOLD;
	app->peer_closed(app->app, c, c->context);
}

void
tcp_rx_in_order(struct tcp_conn *c, const struct tcp_payload *p)
{
	deliver_payload(c, p);
	if (c->state == TCP_CLOSED)
		return;
	if (c->rcv_nxt != p->seq + p->len)
		keep_unread(c, p);
	if (unlikely(c->rxq != NULL)) {
		absorb(c);
		if (c->state == TCP_CLOSED)
			return;
	}
	bool fin = p->fin && c->rcv_nxt == p->seq + p->len;
	fin |= c->rxq && c->rxq->has_fin && c->rcv_nxt == c->rxq->fin_seq;
	if (unlikely(fin)) {
		tcp_fin_received(c);
		drop_out_of_order(c);
		tell_end(c);
	}
}

void
tcp_rx_resume(struct tcp_conn *c)
{
	if (c->state == TCP_CLOSED || c->flags & TCP_F_DELIVERING)
		return;
	c->flags &= (uint16_t)~TCP_F_PAUSED;
	if (c->state == TCP_TIME_WAIT)
		c->progress_tick = c->tcp->tick; /* it stays for as long as somebody reads */
	while (c->rxq && c->rxq->unread_head && !(c->flags & TCP_F_PAUSED)) {
		struct tcp_rxq *q = c->rxq;
		struct tcp_block *b = q->unread_head;
		uint32_t n = deliver(c, b->bytes, b->len);
		if (c->state == TCP_CLOSED)
			return;
		b->bytes += n;
		b->seq += n;
		b->len -= n;
		q->unread_bytes -= n;
		if (b->len)
			break;
		q->unread_head = b->next;
		if (!q->unread_head)
			q->unread_tail = NULL;
		q->held_bytes -= block_bytes(b);
		free_block(c, b);
	}
	tell_end(c);
	if (c->state == TCP_CLOSED)
		return;
	if (tcp_rx_window_worth(c)) {
		c->flags |= TCP_F_ACK_NOW;
		tcp_touch(c);
	}
	if (c->state == TCP_TIME_WAIT && !tcp_rx_unread(c))
		tcp_conn_time_wait(c);
}

/* ---- out of order ----------------------------------------------------------------------------- */

static unsigned
count_islands(const struct tcp_rxq *q)
{
	unsigned islands = 0;
	const struct tcp_block *last = NULL;
	for (const struct tcp_block *b = q->ooo_head; b; last = b, b = b->next)
		islands += !last || block_end(last) != b->seq;
	return islands;
}

/* Stores [from, to) between two blocks. Returns how many bytes, 0 to all of them. */
static uint32_t
store_gap(
    struct tcp_conn *c, const struct tcp_payload *p, struct tcp_block **prev, uint32_t from, uint32_t to)
{
	struct tcp_rxq *q = c->rxq;
	uint32_t at = from;
	while (at != to) {
		struct tcp_block *before = *prev;
		bool joins = before && block_end(before) == at;
		if (joins && block_room(before)) {
			uint32_t n = RTE_MIN(to - at, block_room(before));
			copy_in(before, p, at, n);
			at += n;
			continue;
		}
		struct tcp_block *after = before ? before->next : q->ooo_head;
		bool island = !joins && !(after && after->seq == to);
		if (q->ooo_blocks == TCP_OOO_BLOCKS || (island && count_islands(q) == TCP_OOO_ISLANDS)) {
			c->tcp->counters->drop_tcp_ooo_full++;
			break;
		}
		struct tcp_block *b = new_block(c, joins ? before : NULL, at, to - at);
		if (!b) {
			c->tcp->counters->drop_tcp_no_memory++;
			break;
		}
		uint32_t n = RTE_MIN(to - at, block_room(b));
		copy_in(b, p, at, n);
		at += n;
		b->next = after;
		if (before)
			before->next = b;
		else
			q->ooo_head = b;
		if (!after)
			q->ooo_tail = b;
		q->ooo_blocks++;
		*prev = b;
	}
	return at - from;
}

/* The island that holds seq; false: none does. */
static bool
island_of(const struct tcp_rxq *q, uint32_t seq, struct tcp_range *r)
{
	for (const struct tcp_block *b = q->ooo_head; b;) {
		r->start = b->seq;
		r->end = block_end(b);
		for (b = b->next; b && b->seq == r->end; b = b->next)
			r->end = block_end(b);
		if (tcp_seq_le(r->start, seq) && tcp_seq_lt(seq, r->end))
			return true;
	}
	return false;
}

static void
remember_island(struct tcp_rxq *q, uint32_t seq)
{
	struct tcp_range r;
	if (!island_of(q, seq, &r))
		return;
	uint32_t kept[TCP_SACK_RECENT] = {seq};
	uint8_t n = 1;
	for (unsigned i = 0; i < q->recent_len && n < TCP_SACK_RECENT; i++) {
		bool same = tcp_seq_le(r.start, q->recent[i]) && tcp_seq_lt(q->recent[i], r.end);
		if (!same)
			kept[n++] = q->recent[i];
	}
	memcpy(q->recent, kept, sizeof(kept));
	q->recent_len = n;
}

bool
tcp_rx_out_of_order(struct tcp_conn *c, const struct tcp_payload *p)
{
	struct tcp_rxq *q = need_rxq(c);
	if (!q) {
		c->tcp->counters->drop_tcp_no_memory++;
		return false;
	}
	uint32_t at = p->seq, end = p->seq + p->len;
	bool fresh = false;
	struct tcp_block *prev = NULL;
	/* Mostly it continues what came last. */
	if (q->ooo_tail && tcp_seq_le(block_end(q->ooo_tail), at))
		prev = q->ooo_tail;
	while (at != end) {
		struct tcp_block *b = prev ? prev->next : q->ooo_head;
		if (b && tcp_seq_le(b->seq, at)) {
			if (tcp_seq_lt(at, block_end(b)))
				at = tcp_seq_min(end, block_end(b));
			prev = b;
			continue;
		}
		uint32_t to = b ? tcp_seq_min(end, b->seq) : end;
		at += store_gap(c, p, &prev, at, to);
		fresh = true; /* or would have been */
		if (at != to)
			break;
	}
	if (p->fin && at == end) {
		q->has_fin = true;
		q->fin_seq = end;
	}
	if (p->len)
		remember_island(q, p->seq);
	return !fresh;
}

unsigned
tcp_rx_sack_blocks(const struct tcp_conn *c, struct tcp_range *blocks, unsigned max)
{
	const struct tcp_rxq *q = c->rxq;
	unsigned n = 0;
	if (!q)
		return 0;
	for (unsigned i = 0; i < q->recent_len && n < max; i++)
		n += island_of(q, q->recent[i], &blocks[n]);
	for (const struct tcp_block *b = q->ooo_head; b && n < max;) {
		struct tcp_range r;
		if (!island_of(q, b->seq, &r))
			break;
		while (b && tcp_seq_lt(b->seq, r.end))
			b = b->next;
		bool known = false;
		for (unsigned i = 0; i < n; i++)
			known |= blocks[i].start == r.start;
		if (!known)
			blocks[n++] = r;
	}
	return n;
}

/* ---- window ----------------------------------------------------------------------------------- */

/* Where the right edge could be now. */
static inline uint32_t
edge_wanted(const struct tcp_conn *c)
{
	const struct tcp_stack *tcp = c->tcp;
	uint32_t held = unlikely(c->more & TCP_M_RXQ) ? c->rxq->held_bytes : 0;
	uint32_t avail = tcp->config.rcv_buffer_bytes - RTE_MIN(held, tcp->config.rcv_buffer_bytes);
	avail = RTE_MIN(avail, 65535u << c->rcv_wscale);
	if (unlikely(tcp_mem_above(&tcp->mem, PRESSURE_PERCENT)))
		avail = RTE_MIN(avail, PRESSURE_WINDOW_BYTES);
	return c->rcv_nxt + avail;
}

/* RFC 9293 3.8.6.2.2: silly window avoidance. */
static inline bool
worth(const struct tcp_conn *c, uint32_t edge)
{
	uint32_t least = RTE_MIN(c->tcp->config.rcv_buffer_bytes / 2, (uint32_t)c->mss);
	return !(c->flags & TCP_F_FIN_IN) && (int32_t)(edge - c->rcv_edge) >= (int32_t)least;
}

bool
tcp_rx_window_worth(const struct tcp_conn *c)
{
	return worth(c, edge_wanted(c));
}

uint16_t
tcp_rx_window(struct tcp_conn *c)
{
	uint32_t edge = edge_wanted(c);
	if (worth(c, edge))
		c->rcv_edge = edge;
	if (tcp_seq_lt(c->rcv_edge, c->rcv_nxt))
		c->rcv_edge = c->rcv_nxt; /* a FIN was taken on a closed window */
	/*
	 * Rounded up to what the scaled field can say, else the edge would seem to move left. A peer that
	 * sends a few bytes at a time could hold a window open with that, so well beyond the buffer it is
	 * rounded down.
	 */
	uint32_t window = c->rcv_edge - c->rcv_nxt, buffer_bytes = c->tcp->config.rcv_buffer_bytes;
	uint32_t round = tcp_rx_unread(c) > buffer_bytes + buffer_bytes / 2 ? 0 : (1u << c->rcv_wscale) - 1;
	uint32_t field = RTE_MIN((window + round) >> c->rcv_wscale, 65535u);
	c->rcv_edge = tcp_seq_max(c->rcv_edge, c->rcv_nxt + (field << c->rcv_wscale));
	return (uint16_t)field;
}

/* ---- housekeeping ----------------------------------------------------------------------------- */

void
tcp_rx_clear(struct tcp_conn *c)
{
	struct tcp_rxq *q = c->rxq;
	if (!q)
		return;
	for (struct tcp_block *b = q->unread_head, *next; b; b = next) {
		next = b->next;
		free_block(c, b);
	}
	for (struct tcp_block *b = q->ooo_head, *next; b; b = next) {
		next = b->next;
		free_block(c, b);
	}
	tcp_mem_put(&c->tcp->mem, TCP_BLOCK_64, q);
	tcp_conn_set_rxq(c, NULL);
}

void
tcp_rx_quiesce(struct tcp_conn *c)
{
	struct tcp_rxq *q = c->rxq;
	if (q && !q->unread_head && !q->ooo_head && !q->has_fin) {
		tcp_mem_put(&c->tcp->mem, TCP_BLOCK_64, q);
		tcp_conn_set_rxq(c, NULL);
	}
}

const char *
tcp_rx_check(const struct tcp_conn *c)
{
	const struct tcp_rxq *q = c->rxq;
	uint32_t bytes = 0, held = 0, blocks = 0, at = c->rcv_nxt;
	if (!q)
		return NULL;
	for (const struct tcp_block *b = q->unread_head; b; b = b->next) {
		bytes += b->len;
		held += block_bytes(b);
	}
	if (bytes != q->unread_bytes || held != q->held_bytes)
		return "receive queue: unread bytes are miscounted";
	for (const struct tcp_block *b = q->ooo_head; b; at = block_end(b), b = b->next) {
		if (!b->len || tcp_seq_lt(b->seq, at) || b->seq == c->rcv_nxt)
			return "receive queue: out-of-order blocks overlap or should have been delivered";
		blocks++;
	}
	if (blocks != q->ooo_blocks || blocks > TCP_OOO_BLOCKS || count_islands(q) > TCP_OOO_ISLANDS)
		return "receive queue: out-of-order blocks are miscounted";
	return NULL;
}
