/*
 * Acknowledgements: what they free, the RTT they measure (RFC 6298, 7323), and what duplicates, SACK blocks
 * and timeouts say about loss (RFC 5681, 6582, 6675, 6937).
 *
 *   open --3 duplicates or enough SACKed--> RECOVERY --snd_una >= recover--> open
 *     \---- retransmission timeout -------> LOSS ------snd_una >= recover--/
 *
 * In both states [rtx_nxt, lost_edge) is sent again as the congestion window allows; see tcp_sack.h for the
 * picture.
 */
#include "dataplane/net/tcp_cc.h"
#include "dataplane/net/tcp_in.h"
#include "dataplane/net/tcp_out.h"
#include "dataplane/net/tcp_rx.h"
#include "dataplane/net/tcp_sack.h"
#include "dataplane/net/tcp_sendq.h"
#include "dataplane/net/tcp_stack.h"

#define DUP_THRESH        3u
#define EARLY_SEGMENTS    4u /* RFC 5827: with fewer in flight three duplicates cannot come */
#define RTT_SAMPLE_MAX_US (60u * 1000000u)

bool
tcp_challenge_allowed(struct tcp_stack *tcp)
{
	uint64_t second = tcp->now_us / 1000000;
	if (second != tcp->challenge_second) {
		tcp->challenge_second = second;
		/* Random, so that nobody can count what is left (RFC 5961 7, CVE-2016-5696). */
		tcp->challenges_left = TCP_CHALLENGES_BASE +
		                       (uint32_t)(tcp->env.random(tcp->env.ctx) % (TCP_CHALLENGES_BASE + 1));
	}
	if (!tcp->challenges_left)
		return false;
	tcp->challenges_left--;
	tcp->counters->tcp_challenge_acks++;
	return true;
}

/* ---- RTT -------------------------------------------------------------------------------------- */

void
tcp_rtt_sample(struct tcp_conn *c, uint32_t us)
{
	us = RTE_MIN(RTE_MAX(us, 1u), RTT_SAMPLE_MAX_US);
	if (!c->srtt_us8) {
		c->srtt_us8 = us * 8;
		c->rttvar_us4 = us * 2;
		return;
	}
	int32_t error = (int32_t)us - (int32_t)(c->srtt_us8 >> 3);
	c->srtt_us8 = RTE_MAX((uint32_t)((int32_t)c->srtt_us8 + error), 8u);
	uint32_t size = (uint32_t)(error < 0 ? -error : error);
	c->rttvar_us4 += size - (c->rttvar_us4 >> 2);
}

static void
measure(struct tcp_conn *c, const struct tcp_seg *seg)
{
	if (c->flags & TCP_F_RTT) {
		if (tcp_seq_lt(seg->ack, c->rtt_seq))
			return;
		c->flags &= (uint16_t)~TCP_F_RTT;
		tcp_rtt_sample(c, (uint32_t)c->tcp->now_us - c->rtt_start_us);
	} else if (c->flags & TCP_F_TS && seg->has_ts) {
		/* The timed segment was sent again (Karn): the echoed timestamp says which copy this is
		 * about. */
		uint32_t ms = tcp_ts_now(c->tcp) + c->ts_offset - seg->tsecr;
		if (ms < RTT_SAMPLE_MAX_US / 1000)
			tcp_rtt_sample(c, ms * 1000);
	}
}

/* ---- loss ------------------------------------------------------------------------------------- */

static void
enter_recovery(struct tcp_conn *c)
{
	uint32_t flight = tcp_flight(c);
	struct tcp_board *b = tcp_board_need(c);
	uint32_t first_end;
	tcp_board_hole(c, c->snd_una, c->snd_nxt, &first_end);
	tcp_cc_lost(c, flight);
	c->flags |= TCP_F_RECOVERY;
	c->recover = c->snd_nxt;
	c->rtx_nxt = c->snd_una;
	c->lost_edge = tcp_seq_max(tcp_board_lost_edge(c), tcp_seq_min(first_end, c->snd_una + c->mss));
	if (b) {
		b->prr_delivered = b->prr_out = 0;
		b->prr_start_pipe = flight;
	}
	/* The first retransmission leaves whatever the window says. */
	c->cwnd = b ? tcp_pipe(c) + c->mss : c->ssthresh;
	c->tcp->counters->tcp_fast_recoveries++;
	tcp_touch(c);
}

/* RFC 6937: as many bytes leave as arrived, times what the window shrank. */
static void
prr(struct tcp_conn *c, uint32_t delivered)
{
	struct tcp_board *b = c->board;
	if (!b)
		return;
	uint32_t pipe = tcp_pipe(c), count;
	b->prr_delivered += delivered;
	if (pipe > c->ssthresh) {
		uint64_t share = (uint64_t)b->prr_delivered * c->ssthresh + b->prr_start_pipe - 1;
		uint32_t target = (uint32_t)(share / RTE_MAX(b->prr_start_pipe, 1u));
		count = target > b->prr_out ? target - b->prr_out : 0;
	} else {
		uint32_t owed = b->prr_delivered > b->prr_out ? b->prr_delivered - b->prr_out : 0;
		count = RTE_MIN(c->ssthresh - pipe, RTE_MAX(owed, delivered) + c->mss);
	}
	c->cwnd = RTE_MAX(pipe + count, (uint32_t)c->mss);
}

static void
leave_recovery(struct tcp_conn *c)
{
	if (c->flags & TCP_F_RECOVERY)
		c->cwnd = RTE_MAX(c->ssthresh, (uint32_t)c->mss);
	c->flags &= (uint16_t) ~(TCP_F_RECOVERY | TCP_F_LOSS);
	c->dupacks = 0;
}

struct news {
	uint32_t acked;     /* bytes by which snd_una moved */
	uint32_t delivered; /* bytes newly known to have arrived, SACKed ones included */
	uint32_t flight;    /* before */
	bool fresh_sack, duplicate;
};

/* Without SACK each duplicate ACK stands for one segment that arrived; a partial ACK takes them back. */
static void
deflate(struct tcp_conn *c, struct news *n)
{
	if (n->duplicate && c->dupacks < UINT8_MAX)
		c->dupacks++;
	if (n->duplicate)
		n->delivered = c->mss;
	if (n->acked) {
		uint32_t gone = RTE_MIN(n->acked / c->mss, (uint32_t)c->dupacks);
		c->dupacks -= (uint8_t)gone;
		n->delivered -= RTE_MIN(n->delivered, gone * c->mss);
	}
}

static void
in_recovery(struct tcp_conn *c, struct news *n)
{
	if (tcp_seq_le(c->recover, c->snd_una)) {
		leave_recovery(c);
		return;
	}
	c->rtx_nxt = tcp_seq_max(c->rtx_nxt, c->snd_una);
	c->lost_edge = tcp_seq_max(c->lost_edge, c->snd_una);
	if (c->board && c->flags & TCP_F_SACK)
		c->lost_edge = tcp_seq_max(c->lost_edge, tcp_board_lost_edge(c));
	else if (c->flags & TCP_F_RECOVERY)
		deflate(c, n);
	if (c->flags & TCP_F_LOSS) {
		if (n->acked && c->cwnd < c->ssthresh)
			c->cwnd += RTE_MIN(n->acked, (uint32_t)c->mss);
		else if (n->acked)
			tcp_cc_acked(c, n->acked, n->flight);
		return;
	}
	/* A partial ACK: what it stops at is lost too (RFC 6582 3.2). */
	if (n->acked && c->lost_edge == c->snd_una)
		c->lost_edge = tcp_seq_min(c->snd_una + c->mss, c->recover);
	prr(c, n->delivered);
}

static bool
loss_is_evident(const struct tcp_conn *c)
{
	if (c->dupacks >= DUP_THRESH)
		return true;
	if (!c->board || !(c->flags & TCP_F_SACK))
		return false;
	if (tcp_board_lost_edge(c) != c->snd_una)
		return true;
	uint32_t flight = tcp_flight(c);
	bool nothing_new = c->snd_nxt == c->sq_end || tcp_fin_sent(c);
	return nothing_new && flight > c->mss && flight < EARLY_SEGMENTS * c->mss &&
	       tcp_board_count(c, c->snd_una, c->snd_nxt) + c->mss >= flight;
}

static void
in_open(struct tcp_conn *c, const struct news *n)
{
	if (n->acked) {
		c->dupacks = 0;
		tcp_cc_acked(c, n->acked, n->flight);
	}
	if (!n->duplicate && !n->fresh_sack)
		return;
	if (c->dupacks < UINT8_MAX)
		c->dupacks++;
	tcp_touch(c); /* limited transmit (RFC 3042): less is in the network now */
	if (loss_is_evident(c))
		enter_recovery(c);
}

static void
lose_everything(struct tcp_conn *c)
{
	c->flags &= (uint16_t) ~(TCP_F_RECOVERY | TCP_F_RTT);
	c->flags |= TCP_F_LOSS;
	c->recover = c->lost_edge = c->snd_nxt;
	c->rtx_nxt = c->snd_una;
	c->dupacks = 0;
	tcp_touch(c);
}

void
tcp_loss_timeout(struct tcp_conn *c)
{
	if (c->backoff == 0)
		tcp_cc_lost(c, tcp_flight(c));
	else if (c->board)
		c->board->len = 0; /* the receiver may have discarded what it SACKed (RFC 2018 8) */
	c->cwnd = c->mss;
	lose_everything(c);
	c->tcp->counters->tcp_timeouts++;
}

void
tcp_loss_resegment(struct tcp_conn *c)
{
	if (tcp_flight(c))
		lose_everything(c);
}

/* ---- the acknowledgement ---------------------------------------------------------------------- */

/*
 * RFC 9293 3.10.7.4 orders window updates by sequence, then acknowledgement number. Besides, what
 * acknowledges more or opens the window further is news whatever came first: a right edge does not move left.
 */
static void
update_window(struct tcp_conn *c, const struct tcp_seg *seg, bool acked)
{
	uint32_t wnd = (uint32_t)seg->wnd << c->snd_wscale;
	bool newer =
	    tcp_seq_lt(c->snd_wl1, seg->seq) || (c->snd_wl1 == seg->seq && tcp_seq_le(c->snd_wl2, seg->ack));
	if (!newer && !acked && wnd <= c->snd_wnd)
		return;
	if (wnd > c->snd_wnd) {
		if (tcp_flight(c) == 0) {
			c->backoff = 0;
			c->rtx_deadline = 0;
		}
		if (c->snd_wnd == 0)
			c->progress_tick = c->tcp->tick;
		c->snd_wnd_max = RTE_MAX(c->snd_wnd_max, wnd);
		tcp_touch(c);
	}
	c->snd_wnd = wnd;
	if (newer) {
		c->snd_wl1 = seg->seq;
		c->snd_wl2 = seg->ack;
	}
}

/* snd_una moves up. */
static void
advance(struct tcp_conn *c, const struct tcp_seg *seg)
{
	measure(c, seg);
	c->snd_una = seg->ack;
	c->backoff = 0;
	c->progress_tick = c->tcp->tick;
	tcp_sendq_acked(c);
	c->rtx_deadline = tcp_flight(c) ? tcp_deadline(c->tcp, tcp_rto_us(c)) : 0;
	if (unlikely(c->board != NULL))
		tcp_board_trim(c);
}

/* Our FIN is acknowledged. False: the connection is over. */
static bool
fin_acked(struct tcp_conn *c)
{
	switch (c->state) {
	case TCP_FIN_WAIT_1:
		c->state = TCP_FIN_WAIT_2;
		tcp_timer_update(c);
		return true;
	case TCP_CLOSING:
		tcp_conn_time_wait(c);
		return false;
	case TCP_LAST_ACK:
		if (tcp_rx_unread(c))
			tcp_conn_time_wait(c); /* until the application has read */
		else
			tcp_conn_kill(c, TCP_CLOSED_NORMALLY);
		return false;
	default:
		return true;
	}
}

static void
tell_writable(struct tcp_conn *c)
{
	const struct tcp_app *app = &c->tcp->app;
	if (tcp_unsent_bytes(c) > c->tcp->config.snd_buffer_bytes / 2)
		return;
	c->flags &= (uint16_t)~TCP_F_NO_ROOM;
	app->writable(app->app, c, c->context);
}

bool
tcp_ack_process(struct tcp_conn *c, const struct tcp_seg *seg)
{
	if (unlikely(tcp_seq_lt(c->snd_nxt, seg->ack) || tcp_seq_lt(seg->ack, c->snd_una - c->snd_wnd_max))) {
		/* RFC 5961 5.2: for bytes never sent, or older than any window. */
		c->tcp->counters->drop_tcp_ack++;
		if (tcp_challenge_allowed(c->tcp))
			tcp_out_ack(c, NULL);
		return false;
	}
	if (unlikely(tcp_seq_lt(seg->ack, c->snd_una)))
		return true;
	struct news n = {.acked = seg->ack - c->snd_una, .flight = tcp_flight(c)};
	uint32_t sacked = c->board ? tcp_board_count(c, c->snd_una, c->snd_nxt) : 0;
	/* With SACK a duplicate tells only by its blocks: one for a duplicated segment means no loss. */
	n.duplicate = !n.acked && !seg->len && n.flight &&
	              (uint32_t)seg->wnd << c->snd_wscale == c->snd_wnd && !(seg->flags & RTE_TCP_FIN_FLAG) &&
	              !(c->flags & TCP_F_SACK);
	if (n.acked)
		advance(c, seg);
	update_window(c, seg, n.acked > 0);
	if (unlikely(seg->sacks_len && c->flags & TCP_F_SACK))
		n.fresh_sack = tcp_board_update(c, seg) > 0;
	n.delivered = n.acked;
	if (c->board)
		n.delivered += tcp_board_count(c, c->snd_una, c->snd_nxt) - sacked;
	if (unlikely(c->flags & (TCP_F_RECOVERY | TCP_F_LOSS)))
		in_recovery(c, &n);
	else if (n.acked || n.duplicate || n.fresh_sack)
		in_open(c, &n);
	if (!n.acked)
		return true;
	if (tcp_flight(c) == 0) {
		if (unlikely(c->board != NULL))
			tcp_board_drop(c);
		if (unlikely(tcp_fin_sent(c)) && !fin_acked(c))
			return false;
	}
	if (unlikely(c->flags & TCP_F_NO_ROOM))
		tell_writable(c);
	return c->state != TCP_CLOSED;
}
