/*
 * See tcp_fast.h. One condition a direction, then straight lines: nothing of line 3 of a connection but what an ACK
 * changes, no allocation but the reply's mbuf, and the checksum is summed up while the reply is copied.
 */
#include "dataplane/net/tcp_fast.h"

#include "dataplane/net/checksum.h"
#include "dataplane/net/tcp_cc.h"
#include "dataplane/net/tcp_in.h"
#include "dataplane/net/tcp_rack.h"
#include "dataplane/net/tcp_rx.h"
#include "dataplane/net/tcp_sendq.h"
#include "dataplane/net/tcp_spare.h"
#include "dataplane/net/tcp_stack.h"

#define CONTROL_FLAGS (RTE_TCP_SYN_FLAG | RTE_TCP_FIN_FLAG | RTE_TCP_RST_FLAG | RTE_TCP_ACK_FLAG)

/*
 * Headers of Ethernet, IPv4 and TCP with timestamps. Payload so far behind the headroom makes a frame that begins where the
 * packet that came began, at a cache line: a small reply takes two or three lines, all of them read before, where it took
 * another two in front. Over memif every line goes from one core's cache to the other's and back.
 */
#define FRAME_LEAD (14u + 20u + 20u + TCP_OPT_TS_BYTES)

/* What a connection may be in; any other flag is for the general way. */
#define ORDINARY                                                                              \
	(TCP_F_TS | TCP_F_SACK | TCP_F_ACK_NOW | TCP_F_ACK_SOON | TCP_F_TOUCHED | TCP_F_RTT | \
	    TCP_F_ACCEPTED | TCP_F_ACTIVE)

static inline bool
ordinary(const struct tcp_conn *c)
{
	return c->state == TCP_ESTABLISHED && !(c->flags & (uint16_t)~ORDINARY) &&
	       !(c->more & (TCP_M_RXQ | TCP_M_BOARD));
}

/* ---- in --------------------------------------------------------------------------------------- */

static inline bool
expected(const struct tcp_conn *c, const struct tcp_seg *seg)
{
	bool ts = c->flags & TCP_F_TS;
	return (seg->flags & CONTROL_FLAGS) == RTE_TCP_ACK_FLAG && seg->seq == c->rcv_nxt &&
	       seg->ack - c->snd_una <= tcp_flight(c) && seg->has_ts == ts &&
	       (!ts || tcp_seq_le(c->ts_recent, seg->tsval)) && seg->sacks_len == 0 && seg->m->nb_segs == 1 &&
	       tcp_seq_le(c->rcv_nxt + seg->len, c->rcv_edge) && (seg->len || seg->ack != c->snd_una);
}

/*
 * Everything is acknowledged by a segment with more for us: the block of the last reply waits, empty, for what the
 * application says to that. take_payload() gives it back if that is nothing.
 */
static inline bool
keep_block(struct tcp_conn *c, const struct tcp_seg *seg)
{
	struct tcp_block *b = c->sq_head;
	if (!seg->len || seg->ack != c->sq_end || !b || b != c->sq_tail || b->bytes != b->data ||
	    b->size_class == TCP_BLOCK_2K)
		return false;
	b->seq = c->sq_end;
	b->len = 0;
	return true;
}

static inline void
take_ack(struct tcp_conn *c, const struct tcp_seg *seg, uint32_t acked)
{
	uint32_t flight = tcp_flight(c);
	tcp_rtt_measure(c, seg);
	c->snd_una = seg->ack;
	c->backoff = 0;
	c->progress_tick = c->tcp->tick;
	if (!keep_block(c, seg))
		tcp_sendq_acked(c);
	if (tcp_flight(c))
		tcp_rtx_arm(c);
	else
		c->rtx_deadline = 0;
	c->dupacks = 0;
	if (unlikely(tcp_cc_full(c, flight)))
		tcp_cc_acked(c, acked, flight);
}

static inline void
take_window(struct tcp_conn *c, const struct tcp_seg *seg, bool acked)
{
	uint32_t wnd = (uint32_t)seg->wnd << c->snd_wscale;
	if (unlikely(wnd > c->snd_wnd || tcp_seq_lt(seg->seq, c->snd_wl1))) {
		tcp_window_update(c, seg, acked);
		return;
	}
	/* Newer than the last, since it acknowledges no less. */
	c->snd_wnd = wnd;
	c->snd_wl1 = seg->seq;
	c->snd_wl2 = seg->ack;
}

static inline void
take_payload(struct tcp_conn *c, const struct tcp_seg *seg)
{
	const struct tcp_app *app = &c->tcp->app;
	const uint8_t *bytes = rte_pktmbuf_mtod_offset(seg->m, const uint8_t *, seg->hlen);
	c->flags |= TCP_F_DELIVERING;
	uint32_t taken = app->received(app->app, c, c->context, bytes, seg->len);
	c->flags &= (uint16_t)~TCP_F_DELIVERING;
	c->rcv_nxt += taken;
	if (unlikely(c->state == TCP_CLOSED))
		return;
	if (c->sq_head && !c->sq_head->len)
		tcp_sendq_drop(c);
	if (unlikely(taken != seg->len)) {
		struct tcp_payload p = {.m = seg->m, .offset = seg->hlen, .len = seg->len, .seq = seg->seq};
		tcp_rx_keep(c, &p);
	}
	if (unlikely(c->rcv_nxt == seg->seq) || ++c->ack_segs >= 2 || c->rcv_edge - c->rcv_nxt < c->mss)
		c->flags |= TCP_F_ACK_NOW;
	else
		c->flags |= TCP_F_ACK_SOON;
}

bool
tcp_fast_in(struct tcp_conn *c, const struct tcp_seg *seg)
{
	if (unlikely(!ordinary(c) || c->more & TCP_M_TAIL || !expected(c, seg)))
		return false;
	uint32_t acked = seg->ack - c->snd_una;
	c->rx_tick = c->tcp->tick;
	c->ka_probes = 0;
	if (seg->has_ts && tcp_seq_le(seg->seq, c->last_ack_sent))
		c->ts_recent = seg->tsval;
	if (acked)
		take_ack(c, seg, acked);
	take_window(c, seg, acked > 0);
	if (seg->len)
		take_payload(c, seg);
	if (unlikely(c->more & TCP_M_RXQ))
		tcp_rx_quiesce(c);
	if (c->flags & (TCP_F_ACK_NOW | TCP_F_ACK_SOON | TCP_F_FIN_QUEUED) || c->snd_nxt != c->sq_end)
		tcp_touch(c);
	return true;
}

/* ---- out -------------------------------------------------------------------------------------- */

/* One segment that the peer has room for, in one block, soon after the last: the congestion window is not asked then. */
static inline bool
one_reply(const struct tcp_conn *c)
{
	uint32_t len = c->sq_end - c->snd_nxt;
	return tcp_flight(c) == 0 && len != 0 && len <= RTE_MIN(c->snd_wnd, (uint32_t)c->mss) &&
	       c->sq_head == c->sq_tail && c->tcp->tick - c->tx_tick <= c->tcp->idle_ticks;
}

static inline uint32_t
put_word(uint8_t *to, uint32_t word)
{
	memcpy(to, &word, sizeof(word));
	return word;
}

/* tcp_rx_window() where the edge mostly stays, since little was taken since it moved. Not with an rxq, nor after a FIN. */
static inline uint16_t
window_field(struct tcp_conn *c)
{
	uint32_t window = c->rcv_edge - c->rcv_nxt, round = (1u << c->rcv_wscale) - 1;
	uint32_t field = (window + round) >> c->rcv_wscale, buffer_bytes = c->tcp->config.rcv_buffer_bytes;
	if (unlikely(window > buffer_bytes || field > 65535 ||
	             RTE_MIN(buffer_bytes, 65535u << c->rcv_wscale) - window >=
	                 RTE_MIN(buffer_bytes / 2, (uint32_t)c->mss)))
		return tcp_rx_window(c);
	c->rcv_edge = c->rcv_nxt + (field << c->rcv_wscale);
	return (uint16_t)field;
}

/* The header in front of the payload, and the sum of it. Word by word: a wider copy would wait for its stores. */
static inline uint64_t
put_header(struct tcp_conn *c, struct rte_mbuf *m)
{
	bool ts = c->flags & TCP_F_TS;
	uint32_t bytes = sizeof(struct rte_tcp_hdr) + (ts ? TCP_OPT_TS_BYTES : 0);
	uint32_t offset_to_window =
	    bytes << 26 | (uint32_t)(RTE_TCP_ACK_FLAG | RTE_TCP_PSH_FLAG) << 16 | window_field(c);
	uint8_t *to = rte_pktmbuf_mtod(m, uint8_t *) - bytes;
	uint64_t sum = put_word(to, (uint32_t)c->flow.local_port | (uint32_t)c->flow.remote_port << 16);
	sum += put_word(to + 4, rte_cpu_to_be_32(c->snd_nxt));
	sum += put_word(to + 8, rte_cpu_to_be_32(c->rcv_nxt));
	sum += put_word(to + 12, rte_cpu_to_be_32(offset_to_window));
	put_word(to + 16, 0); /* checksum, urgent pointer */
	if (likely(ts)) {
		sum += put_word(to + 20, rte_cpu_to_be_32(TCP_OPT_TS_PREFIX));
		sum += put_word(to + 24, rte_cpu_to_be_32(tcp_ts_now(c->tcp) + c->ts_offset));
		sum += put_word(to + 28, rte_cpu_to_be_32(c->ts_recent));
	}
	m->data_off = (uint16_t)(m->data_off - bytes);
	m->data_len = (uint16_t)(m->data_len + bytes);
	m->pkt_len = m->data_len;
	return sum;
}

static inline void
sent(struct tcp_conn *c, uint32_t len)
{
	struct tcp_stack *tcp = c->tcp;
	c->last_ack_sent = c->rcv_nxt;
	c->flags &= (uint16_t) ~(TCP_F_ACK_NOW | TCP_F_ACK_SOON);
	c->ack_segs = 0;
	c->ack_deadline = 0;
	c->snd_nxt += len;
	if (likely(!(c->flags & TCP_F_RTT))) {
		c->flags |= TCP_F_RTT;
		c->rtt_seq = c->snd_nxt;
		c->rtt_start_us = (uint32_t)tcp->now_us;
	}
	c->progress_tick = c->tx_tick = tcp->tick;
	c->more &= (uint16_t) ~(TCP_M_CWND_LIMITED | TCP_M_PTO | TCP_M_REO);
	c->rtx_deadline = tcp_deadline(tcp, tcp_rto_us(c));
	if (unlikely(!tcp_timer_before(c, c->rtx_deadline)))
		tcp_timer_arm(c, c->rtx_deadline);
}

bool
tcp_fast_out(struct tcp_conn *c)
{
	struct tcp_stack *tcp = c->tcp;
	if (unlikely(!ordinary(c) || !one_reply(c)))
		return false;
	struct rte_mbuf *m = tcp_spare_take(tcp);
	if (unlikely(!m))
		return false;
	const struct tcp_block *b = c->sq_head;
	uint32_t len = c->sq_end - c->snd_nxt;
	if (likely(FRAME_LEAD + len <= rte_pktmbuf_tailroom(m)))
		m->data_off += FRAME_LEAD;
	m->data_len = (uint16_t)len;
	uint64_t sum = csum_copy(rte_pktmbuf_mtod(m, uint8_t *), b->bytes + (c->snd_nxt - b->seq), len);
	sum += put_header(c, m);
	sent(c, len);
	tcp->counters->tcp_segments_out++;
	if (likely(tcp->env.output_summed != NULL))
		tcp->env.output_summed(tcp->env.ctx, &c->flow, m, sum);
	else
		tcp->env.output(tcp->env.ctx, &c->flow, m, 0);
	return true;
}
