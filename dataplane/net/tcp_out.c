/*
 * See tcp_out.h. Replies are corked by design: the application queues while a burst is processed and each
 * touched connection is flushed once, so that 16 pipelined requests leave as one segment, which also carries
 * the ACK.
 */
#include "dataplane/net/tcp_out.h"

#include "dataplane/net/tcp_bulk.h"
#include "dataplane/net/tcp_cc.h"
#include "dataplane/net/tcp_in.h"
#include "dataplane/net/tcp_rack.h"
#include "dataplane/net/tcp_recover.h"
#include "dataplane/net/tcp_rx.h"
#include "dataplane/net/tcp_sack.h"
#include "dataplane/net/tcp_sendq.h"
#include "dataplane/net/tcp_spare.h"
#include "dataplane/net/tcp_stack.h"

struct header {
	uint32_t seq, ack;
	uint16_t wnd;
	uint8_t flags;
	uint8_t opt_len;
	uint8_t opt[TCP_OPT_BYTES_MAX];
};

static struct rte_mbuf *
new_mbuf(struct tcp_stack *tcp)
{
	struct rte_mbuf *m = tcp_spare_take(tcp);
	return likely(m) ? m : tcp_reserve_take(tcp, false, false);
}

static struct rte_mbuf *
new_mbuf_for(struct tcp_conn *c, uint32_t len)
{
	struct rte_mbuf *m = tcp_spare_take(c->tcp);
	return likely(m) ? m : tcp_reserve_take(c->tcp, len > 0, !tcp_flight(c));
}

/* Puts the header in front of the payload and hands the segment down. */
static void
send_mbuf(struct tcp_stack *tcp, const struct net_flow *flow, struct rte_mbuf *m, const struct header *h)
{
	uint16_t hlen = (uint16_t)(sizeof(struct rte_tcp_hdr) + h->opt_len);
	struct rte_tcp_hdr *th = (struct rte_tcp_hdr *)rte_pktmbuf_prepend(m, hlen);
	th->src_port = flow->local_port;
	th->dst_port = flow->remote_port;
	th->sent_seq = rte_cpu_to_be_32(h->seq);
	th->recv_ack = rte_cpu_to_be_32(h->ack);
	th->data_off = (uint8_t)(hlen << 2);
	th->tcp_flags = h->flags;
	th->rx_win = rte_cpu_to_be_16(h->wnd);
	th->cksum = 0;
	th->tcp_urp = 0;
	memcpy(th + 1, h->opt, h->opt_len);
	tcp->counters->tcp_segments_out++;
	tcp->env.output(tcp->env.ctx, flow, m, 0);
}

/* Options of a segment after the handshake: timestamps, then as many SACK blocks as the payload leaves room
 * for. */
static void
put_options(struct tcp_conn *c, struct header *h, uint32_t len, const struct tcp_range *dsack)
{
	struct tcp_range blocks[TCP_SACK_BLOCKS_MAX];
	unsigned n = 0, max = TCP_SACK_BLOCKS_MAX;
	h->opt_len = 0;
	if (likely(c->flags & TCP_F_TS)) {
		h->opt_len = (uint8_t)tcp_opt_ts(h->opt, tcp_ts_now(c->tcp) + c->ts_offset, c->ts_recent);
		max = TCP_SACK_BLOCKS_MAX - 1;
	}
	if (likely(!dsack && !c->rxq) || !(c->flags & TCP_F_SACK))
		return;
	if (len + 4 + 8 * max > c->mss)
		return;
	if (dsack)
		blocks[n++] = *dsack;
	n += tcp_rx_sack_blocks(c, blocks + n, max - n);
	h->opt_len += (uint8_t)tcp_opt_sack(h->opt + h->opt_len, blocks, n);
}

/* One segment of an established connection; len bytes from seq. Nothing has changed if it returns false. */
static bool
emit(struct tcp_conn *c, uint32_t seq, uint32_t len, uint8_t flags, const struct tcp_range *dsack)
{
	struct tcp_stack *tcp = c->tcp;
	struct header h = {.seq = seq, .flags = flags | RTE_TCP_ACK_FLAG};
	struct rte_mbuf *m = new_mbuf_for(c, len);
	if (unlikely(!m))
		return false;
	put_options(c, &h, len, dsack);
	h.ack = c->rcv_nxt;
	h.wnd = tcp_rx_window(c);
	if (len)
		tcp_sendq_read(c, seq, (uint8_t *)rte_pktmbuf_append(m, (uint16_t)len), len);
	tcp_out_acked(c);
	send_mbuf(tcp, &c->flow, m, &h);
	return true;
}

uint32_t
tcp_pipe(const struct tcp_conn *c)
{
	uint32_t pipe = tcp_flight(c);
	if (unlikely(tcp_by_runs(c)))
		return pipe - c->board->sacked_bytes - c->board->lost_bytes;
	if (unlikely(c->flags & (TCP_F_RECOVERY | TCP_F_LOSS)))
		pipe = (c->rtx_nxt - c->snd_una) + (c->snd_nxt - tcp_seq_max(c->rtx_nxt, c->lost_edge));
	if (unlikely(c->dupacks))
		pipe -= RTE_MIN(pipe, (uint32_t)c->dupacks * c->mss);
	return pipe;
}

static bool
cwnd_allows(struct tcp_conn *c, uint32_t pipe, uint32_t len)
{
	/* With nothing in the network one segment may always leave. */
	if (pipe == 0 || pipe + len <= c->cwnd)
		return true;
	c->more |= TCP_M_CWND_LIMITED;
	return false;
}

static void
count_sent(struct tcp_conn *c, uint32_t *pipe, uint32_t len)
{
	*pipe += len;
	if (c->board && c->flags & TCP_F_RECOVERY)
		c->board->prr_out += len;
	c->tx_tick = c->tcp->tick;
}

enum sent { SENT, SENT_NOTHING, SENT_NO_MBUF };

static bool
next_lost(struct tcp_conn *c, struct tcp_range *lost)
{
	if (tcp_by_runs(c))
		return tcp_board_next_lost(c->board, lost);
	*lost = (struct tcp_range){c->rtx_nxt, c->lost_edge};
	return tcp_seq_lt(c->rtx_nxt, c->lost_edge);
}

/* Sends what was sent before: one segment at most of the range. *end: where it ended. */
static enum sent
emit_again(struct tcp_conn *c, struct tcp_range range, uint32_t *pipe, uint32_t *end)
{
	/* A receiver that took its window back gets what fits; the timer probes when nothing does. */
	uint32_t edge = tcp_seq_min(range.end, c->snd_una + c->snd_wnd), seq = range.start;
	if (!tcp_seq_lt(seq, edge))
		return SENT_NOTHING;
	uint32_t data_end = tcp_seq_min(edge, c->sq_end);
	uint32_t len = tcp_seq_lt(seq, data_end) ? RTE_MIN(data_end - seq, (uint32_t)c->mss) : 0;
	bool fin = tcp_fin_sent(c) && seq + len == c->sq_end && tcp_seq_lt(c->sq_end, edge);
	if (!cwnd_allows(c, *pipe, len + fin))
		return SENT_NOTHING;
	uint8_t flags = (seq + len == c->sq_end ? RTE_TCP_PSH_FLAG : 0) | (fin ? RTE_TCP_FIN_FLAG : 0);
	if (!emit(c, seq, len, flags, NULL))
		return SENT_NO_MBUF;
	*end = seq + len + fin;
	c->flags &= (uint16_t)~TCP_F_RTT;
	c->tcp->counters->tcp_retransmits++;
	count_sent(c, pipe, len + fin);
	return SENT;
}

/* The next lost segment. */
static enum sent
retransmit_one(struct tcp_conn *c, uint32_t *pipe)
{
	struct tcp_range lost;
	if (!next_lost(c, &lost))
		return SENT_NOTHING;
	enum sent sent = emit_again(c, lost, pipe, &lost.end);
	if (sent == SENT)
		tcp_recover_sent(c, &lost);
	return sent;
}

/* Payload of the next new segment by data and window; 0: nothing may leave now (except a FIN). */
static uint32_t
next_len(const struct tcp_conn *c, uint32_t room)
{
	uint32_t len = RTE_MIN(c->sq_end - c->snd_nxt, (uint32_t)c->mss);
	if (likely(len <= room))
		return len;
	/* Less than a segment fits: wait while an ACK is due anyway, unless it is much for this peer. */
	if (tcp_flight(c) && room < RTE_MIN((uint32_t)c->mss, c->snd_wnd_max / 2))
		return 0;
	return room;
}

static void
fin_leaves(struct tcp_conn *c)
{
	c->state = c->state == TCP_CLOSE_WAIT ? TCP_LAST_ACK : TCP_FIN_WAIT_1;
}

/*
 * More leaves while something sent at another time is in flight: from here on a board tells the times apart. Without
 * memory for it all counts as sent now.
 */
static __rte_noinline void
overlap(struct tcp_conn *c)
{
	if (!(c->flags & TCP_F_SACK))
		return;
	if (c->flags & (TCP_F_RECOVERY | TCP_F_LOSS) || !tcp_board_begin(c))
		c->flags &= (uint16_t)~TCP_F_RTT;
}

static enum sent
send_one(struct tcp_conn *c, uint32_t *pipe)
{
	struct tcp_stack *tcp = c->tcp;
	uint32_t edge = c->snd_una + c->snd_wnd;
	uint32_t room = tcp_seq_lt(c->snd_nxt, edge) ? edge - c->snd_nxt : 0;
	uint32_t len = next_len(c, room);
	bool fin = c->flags & TCP_F_FIN_QUEUED && c->snd_nxt + len == c->sq_end && room > len;
	if (len + fin == 0)
		return SENT_NOTHING;
	bool first = tcp_flight(c) == 0;
	if (first && tcp_seq_lt(c->tx_tick + tcp_ticks(tcp_rto_us(c)), tcp->tick))
		tcp_cc_idle(c);
	if (!cwnd_allows(c, *pipe, len + fin))
		return SENT_NOTHING;
	if (unlikely(!first && !c->board && c->rtt_start_us != (uint32_t)tcp->now_us))
		overlap(c);
	uint8_t flags = (c->snd_nxt + len == c->sq_end ? RTE_TCP_PSH_FLAG : 0) | (fin ? RTE_TCP_FIN_FLAG : 0);
	if (!emit(c, c->snd_nxt, len, flags, NULL))
		return SENT_NO_MBUF;
	c->snd_nxt += len + fin;
	if (unlikely(tcp_by_runs(c)))
		tcp_board_sent(c, c->snd_nxt);
	if (!(c->flags & TCP_F_RTT)) {
		c->flags |= TCP_F_RTT;
		c->rtt_seq = c->snd_nxt;
		c->rtt_start_us = (uint32_t)tcp->now_us;
	}
	if (first) {
		c->progress_tick = tcp->tick;
		c->rtx_deadline = 0; /* a persist timer may have been running */
	}
	if (fin)
		fin_leaves(c);
	count_sent(c, pipe, len + fin);
	return SENT;
}

/*
 * New segments that may leave together by data, both windows and budget: full ones, but for the last of the queue, and not
 * the first after a silence, for which there is more to do.
 */
static unsigned
full_segments(const struct tcp_conn *c, uint32_t pipe, unsigned budget)
{
	uint32_t edge = c->snd_una + c->snd_wnd, unsent = c->sq_end - c->snd_nxt;
	if (likely(unsent <= TCP_BULK_MIN * c->mss) || !tcp_flight(c) || c->rxq || pipe >= c->cwnd ||
	    !tcp_seq_lt(c->snd_nxt, edge))
		return 0;
	uint32_t bytes = RTE_MIN(RTE_MIN(unsent - 1, edge - c->snd_nxt), c->cwnd - pipe);
	return RTE_MIN(bytes / c->mss, budget);
}

/* Returns how many left: all, or none for want of mbufs. */
static unsigned
send_train(struct tcp_conn *c, unsigned n, uint32_t *pipe)
{
	if (unlikely(!c->board && c->rtt_start_us != (uint32_t)c->tcp->now_us))
		overlap(c);
	if (unlikely(!tcp_bulk_send(c, n)))
		return 0;
	if (!(c->flags & TCP_F_RTT)) {
		c->flags |= TCP_F_RTT;
		c->rtt_seq = c->snd_nxt + c->mss;
		c->rtt_start_us = (uint32_t)c->tcp->now_us;
	}
	c->snd_nxt += n * c->mss;
	if (unlikely(tcp_by_runs(c)))
		tcp_board_sent(c, c->snd_nxt);
	count_sent(c, pipe, n * c->mss);
	return n;
}

static bool
has_unsent(const struct tcp_conn *c)
{
	return !tcp_fin_sent(c) && (c->snd_nxt != c->sq_end || c->flags & TCP_F_FIN_QUEUED);
}

/* Retransmissions, then new data. */
static enum sent
send_data(struct tcp_conn *c)
{
	unsigned budget = TCP_FLUSH_SEGMENTS;
	enum sent sent = SENT_NOTHING;
	c->more &= (uint16_t)~TCP_M_CWND_LIMITED;
	bool again = c->flags & (TCP_F_RECOVERY | TCP_F_LOSS);
	if (likely(!again && !has_unsent(c)))
		return SENT_NOTHING;
	uint32_t pipe = tcp_pipe(c);
	if (again) {
		while (budget > 0 && (sent = retransmit_one(c, &pipe)) == SENT)
			budget--;
		if (sent == SENT_NO_MBUF)
			return sent;
	}
	while (budget > 0 && has_unsent(c)) {
		unsigned train = full_segments(c, pipe, budget);
		if (train >= TCP_BULK_MIN && (train = send_train(c, train, &pipe)) > 0) {
			sent = SENT;
			budget -= train;
			continue;
		}
		if ((sent = send_one(c, &pipe)) != SENT)
			break;
		budget--;
	}
	return budget ? sent : SENT;
}

bool
tcp_out_tail(struct tcp_conn *c, bool *fresh)
{
	uint32_t pipe = 0; /* one segment leaves beyond the congestion window */
	*fresh = tcp_pipe(c) <= c->cwnd && has_unsent(c) && send_one(c, &pipe) == SENT;
	if (*fresh || !tcp_board_begin(c))
		return *fresh;
	uint32_t from = tcp_flight(c) > c->mss ? c->snd_nxt - c->mss : c->snd_una;
	struct tcp_range tail = {from, c->snd_nxt};
	if (emit_again(c, tail, &pipe, &tail.end) != SENT)
		return false;
	tcp_board_sent_again(c, tail.start, tail.end);
	return true;
}

/* What must happen later for this connection. */
static void
set_deadlines(struct tcp_conn *c)
{
	struct tcp_stack *tcp = c->tcp;
	if (c->flags & TCP_F_ACK_SOON && !c->ack_deadline)
		c->ack_deadline = tcp_deadline(tcp, tcp->config.delayed_ack_us);
	if (tcp_flight(c)) {
		if (!c->rtx_deadline)
			tcp_rtx_arm(c);
		else if (unlikely(tcp_flight(c) > c->mss))
			tcp_tail_arm(c);
	} else if (has_unsent(c)) {
		if (!c->rtx_deadline) {
			tcp_rtx_arm(c);
			c->progress_tick = tcp->tick;
		}
	} else {
		c->rtx_deadline = 0;
	}
	tcp_timer_update(c);
}

bool
tcp_output(struct tcp_conn *c)
{
	bool done = true;
	if (unlikely(c->state <= TCP_SYN_RECEIVED)) {
		if (c->state != TCP_CLOSED && (c->flags & TCP_F_ACK_NOW || c->snd_nxt == c->snd_una))
			done = tcp_out_syn(c);
	} else {
		enum sent sent = send_data(c);
		done = sent == SENT_NOTHING || !has_unsent(c);
		if (sent == SENT_NO_MBUF)
			done = false;
		else if (c->flags & TCP_F_ACK_NOW)
			done &= tcp_out_ack(c, NULL);
	}
	set_deadlines(c);
	return done;
}

bool
tcp_out_ack(struct tcp_conn *c, const struct tcp_range *dsack)
{
	if (emit(c, c->snd_nxt, 0, 0, dsack))
		return true;
	c->flags |= TCP_F_ACK_NOW;
	tcp_touch(c);
	return false;
}

bool
tcp_out_probe(struct tcp_conn *c)
{
	return emit(c, c->snd_una - 1, 0, 0, NULL);
}

bool
tcp_out_syn(struct tcp_conn *c)
{
	struct tcp_stack *tcp = c->tcp;
	bool answer = c->state == TCP_SYN_RECEIVED;
	struct rte_mbuf *m = new_mbuf(tcp);
	if (!m)
		return false;
	struct tcp_opt_syn o = {.mss = tcp_mss_for(tcp, &c->flow),
	    .wscale = tcp->rcv_wscale,
	    .options = TCP_MINI_OPT_TS | TCP_MINI_OPT_SACK | TCP_MINI_OPT_WS,
	    .tsval = tcp_ts_now(tcp) + c->ts_offset,
	    .tsecr = answer ? c->ts_recent : 0};
	if (answer)
		o.options = (c->flags & TCP_F_TS ? TCP_MINI_OPT_TS : 0) |
		            (c->flags & TCP_F_SACK ? TCP_MINI_OPT_SACK : 0) |
		            (c->more & TCP_M_WSCALE_AGREED ? TCP_MINI_OPT_WS : 0);
	struct header h = {.seq = c->snd_una,
	    .ack = answer ? c->rcv_nxt : 0,
	    .wnd = (uint16_t)RTE_MIN(tcp->config.rcv_buffer_bytes, 65535u),
	    .flags = RTE_TCP_SYN_FLAG | (answer ? RTE_TCP_ACK_FLAG : 0)};
	h.opt_len = (uint8_t)tcp_opt_syn(h.opt, &o);
	if (c->snd_nxt == c->snd_una) {
		c->snd_nxt = c->snd_una + 1;
		c->flags |= TCP_F_RTT;
		c->rtt_seq = c->snd_nxt;
		c->rtt_start_us = (uint32_t)tcp->now_us;
	}
	c->flags &= (uint16_t)~TCP_F_ACK_NOW;
	send_mbuf(tcp, &c->flow, m, &h);
	return true;
}

void
tcp_out_reset(struct tcp_conn *c)
{
	struct tcp_bare bare = {.flow = &c->flow,
	    .seq = c->snd_nxt,
	    .ack = c->rcv_nxt,
	    .flags = RTE_TCP_RST_FLAG | RTE_TCP_ACK_FLAG};
	if (tcp_out_bare(c->tcp, &bare))
		c->tcp->counters->tcp_resets_out++;
}

bool
tcp_out_bare(struct tcp_stack *tcp, const struct tcp_bare *bare)
{
	struct rte_mbuf *m = new_mbuf(tcp);
	if (!m)
		return false;
	struct header h = {.seq = bare->seq,
	    .ack = bare->ack,
	    .wnd = bare->wnd,
	    .flags = bare->flags,
	    .opt_len = bare->opt_len};
	memcpy(h.opt, bare->opt, bare->opt_len);
	send_mbuf(tcp, bare->flow, m, &h);
	return true;
}

void
tcp_out_reject(struct tcp_stack *tcp, const struct tcp_seg *seg)
{
	struct tcp_bare bare = {.flow = seg->flow, .flags = RTE_TCP_RST_FLAG};
	if (seg->flags & RTE_TCP_RST_FLAG)
		return;
	if (seg->flags & RTE_TCP_ACK_FLAG) {
		bare.seq = seg->ack;
	} else {
		bare.flags |= RTE_TCP_ACK_FLAG;
		bare.ack = seg->seq + seg->len + !!(seg->flags & RTE_TCP_SYN_FLAG) +
		           !!(seg->flags & RTE_TCP_FIN_FLAG);
	}
	if (tcp_out_bare(tcp, &bare))
		tcp->counters->tcp_resets_out++;
}
