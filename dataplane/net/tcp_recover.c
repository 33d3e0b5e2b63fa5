/*
 * See tcp_recover.h.
 */
#include "dataplane/net/tcp_recover.h"

#include "dataplane/net/tcp_cc.h"
#include "dataplane/net/tcp_out.h"
#include "dataplane/net/tcp_rack.h"
#include "dataplane/net/tcp_sack.h"
#include "dataplane/net/tcp_stack.h"

#define DUP_THRESH        3u
#define BLACKHOLE_BACKOFF 2u /* the third timeout in a row */
#define RECOVERING        (TCP_F_RECOVERY | TCP_F_LOSS)

/* ---- undo: nothing was lost ------------------------------------------------------------------- */

/*
 * Before a reduction. What an earlier episode sent again and is still on its way keeps its time: its ACK is no answer to
 * an original of this one.
 */
static void
remember(struct tcp_conn *c)
{
	struct tcp_board *b = c->board;
	if (!b)
		return;
	b->undo_cwnd = c->cwnd;
	b->undo_ssthresh = c->ssthresh;
	b->undo_w_max = c->cubic_w_max;
	b->undo_una = c->snd_una;
	b->undo_bytes = 0;
	b->undo_has_ts = b->undo_has_ts && tcp_by_runs(c) && tcp_board_has_again(b);
}

static void
undo(struct tcp_conn *c)
{
	struct tcp_board *b = c->board;
	c->cwnd = RTE_MAX(c->cwnd, b->undo_cwnd);
	c->ssthresh = RTE_MAX(c->ssthresh, b->undo_ssthresh);
	c->cubic_w_max = b->undo_w_max;
	c->cubic_epoch = 0;
	c->flags &= (uint16_t)~RECOVERING;
	c->dupacks = 0;
	b->undo_cwnd = 0;
	if (tcp_by_runs(c))
		tcp_board_lose_none(b);
	c->tcp->counters->tcp_undone++;
	tcp_touch(c);
}

void
tcp_recover_sent(struct tcp_conn *c, const struct tcp_range *r)
{
	struct tcp_board *b = c->board;
	if (b) {
		if (!b->undo_has_ts)
			b->undo_ts = tcp_ts_now(c->tcp) + c->ts_offset;
		b->undo_has_ts = true;
		b->undo_bytes += r->end - r->start;
	}
	if (tcp_by_runs(c))
		tcp_board_sent_again(c, r->start, r->end);
	else
		c->rtx_nxt = r->end;
}

/* The first block when it tells of a duplicate (RFC 2883 4): below the ACK, or inside of the second block. */
static const struct tcp_range *
dsack_of(const struct tcp_conn *c, const struct tcp_seg *seg)
{
	const struct tcp_range *r = &seg->sacks[0];
	if (!seg->sacks_len || !(c->flags & TCP_F_SACK) || !tcp_seq_lt(r->start, r->end))
		return NULL;
	bool inside = seg->sacks_len > 1 && tcp_seq_le(seg->sacks[1].start, r->start) &&
	              tcp_seq_le(r->end, seg->sacks[1].end);
	return tcp_seq_le(r->end, seg->ack) || inside ? r : NULL;
}

/*
 * A duplicate of something that was sent again counts; one that the network made does not. When all that was sent
 * again is reported, nothing was lost (RFC 3708).
 */
static void
duplicate_reported(struct tcp_conn *c, const struct tcp_range *dsack)
{
	struct tcp_board *b = c->board;
	if (!b || !b->undo_cwnd || !b->undo_bytes || tcp_seq_lt(dsack->start, b->undo_una) ||
	    tcp_seq_lt(c->recover, dsack->end))
		return;
	tcp_rack_widen(c);
	b->undo_bytes -= RTE_MIN(b->undo_bytes, dsack->end - dsack->start);
	if (!b->undo_bytes)
		undo(c);
}

/* The echoed timestamp is older than the first that was sent again: the original arrived (RFC 3522). */
static bool
original_arrived(const struct tcp_conn *c, const struct tcp_seg *seg, const struct tcp_news *n)
{
	const struct tcp_board *b = c->board;
	return n->acked && c->flags & RECOVERING && b && b->undo_cwnd && b->undo_has_ts &&
	       c->flags & TCP_F_TS && seg->has_ts && tcp_seq_lt(seg->tsecr, b->undo_ts);
}

/* ---- recovery --------------------------------------------------------------------------------- */

static void
enter_recovery(struct tcp_conn *c)
{
	uint32_t flight = tcp_flight(c);
	struct tcp_board *b = tcp_board_begin(c);
	remember(c);
	tcp_cc_lost(c, flight);
	c->flags |= TCP_F_RECOVERY;
	c->recover = c->snd_nxt;
	if (!tcp_by_runs(c)) {
		c->rtx_nxt = c->snd_una;
		c->lost_edge = tcp_seq_min(c->snd_una + c->mss, c->snd_nxt);
	}
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
	if (tcp_by_runs(c))
		tcp_rack_recovered(c);
	c->flags &= (uint16_t)~RECOVERING;
	c->dupacks = 0;
}

/* Without SACK each duplicate ACK stands for one segment that arrived; a partial ACK takes them back. */
static void
deflate(struct tcp_conn *c, struct tcp_news *n)
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
in_recovery(struct tcp_conn *c, struct tcp_news *n)
{
	if (!tcp_by_runs(c)) {
		c->rtx_nxt = tcp_seq_max(c->rtx_nxt, c->snd_una);
		c->lost_edge = tcp_seq_max(c->lost_edge, c->snd_una);
		if (c->flags & TCP_F_RECOVERY)
			deflate(c, n);
	}
	if (c->flags & TCP_F_LOSS) {
		if (n->acked && c->cwnd < c->ssthresh)
			c->cwnd += RTE_MIN(n->acked, (uint32_t)c->mss);
		else if (n->acked)
			tcp_cc_acked(c, n->acked, n->flight);
		return;
	}
	/* A partial ACK: what it stops at is lost too (RFC 6582 3.2). */
	if (!tcp_by_runs(c) && n->acked && c->lost_edge == c->snd_una)
		c->lost_edge = tcp_seq_min(c->snd_una + c->mss, c->recover);
	prr(c, n->delivered + n->sacked);
}

static void
lost_in_open(struct tcp_conn *c)
{
	if (tcp_by_runs(c) ? c->board->lost_bytes > 0 : c->dupacks >= DUP_THRESH)
		enter_recovery(c);
}

static void
in_open(struct tcp_conn *c, const struct tcp_news *n)
{
	if (n->acked) {
		c->dupacks = 0;
		tcp_cc_acked(c, n->acked, n->flight);
	}
	if (n->duplicate && c->dupacks < UINT8_MAX)
		c->dupacks++;
	if (n->duplicate || n->sacked)
		tcp_touch(c); /* limited transmit (RFC 3042): less is in the network now */
	lost_in_open(c);
}

static void
probe_repaired(struct tcp_conn *c, const struct tcp_news *n)
{
	if (c->flags & RECOVERING)
		return;
	tcp_cc_lost(c, n->flight);
	c->cwnd = c->ssthresh;
}

void
tcp_recover_news(struct tcp_conn *c, const struct tcp_seg *seg, struct tcp_news *n)
{
	const struct tcp_range *dsack = dsack_of(c, seg);
	if (c->more & TCP_M_TAIL && tcp_tail_acked(c, seg, dsack, n->acked))
		probe_repaired(c, n);
	if (dsack)
		duplicate_reported(c, dsack);
	if (original_arrived(c, seg, n)) {
		/* Reordering, as a DSACK would say that finds the episode over when it comes. */
		if (tcp_by_runs(c) && c->flags & TCP_F_RECOVERY)
			tcp_rack_widen(c);
		undo(c);
	}
	if (tcp_by_runs(c)) {
		if (n->acked || n->sacked) {
			c->board->heard_tick = c->tcp->tick;
			c->board->overdue = 0;
		}
		tcp_rack_settle(c);
		if (c->board->sacked_bytes || c->flags & RECOVERING)
			tcp_rack_detect(c);
	}
	if (!(c->flags & RECOVERING)) {
		in_open(c, n);
	} else if (tcp_seq_lt(c->snd_una, c->recover)) {
		in_recovery(c, n);
	} else {
		leave_recovery(c);
		lost_in_open(c); /* what was sent in the recovery may be lost too */
	}
}

void
tcp_recover_late(struct tcp_conn *c)
{
	tcp_rtx_arm(c);
	if (!tcp_by_runs(c))
		return;
	tcp_rack_detect(c);
	if (!(c->flags & RECOVERING))
		lost_in_open(c);
	tcp_touch(c);
}

void
tcp_recover_overdue(struct tcp_conn *c)
{
	c->board->overdue++;
	tcp_board_lose_first(c);
	if (!(c->flags & RECOVERING))
		lost_in_open(c);
	tcp_touch(c);
}

/* ---- everything again ------------------------------------------------------------------------- */

/* The board if one may be had: not in the middle of a recovery that began without. */
static void
board_for_loss(struct tcp_conn *c)
{
	if (!c->board && !(c->flags & RECOVERING))
		(void)tcp_board_begin(c);
}

static void
enter_loss(struct tcp_conn *c)
{
	c->flags &= (uint16_t) ~(TCP_F_RECOVERY | TCP_F_RTT);
	c->flags |= TCP_F_LOSS;
	c->recover = c->snd_nxt;
	c->dupacks = 0;
	c->more &= (uint16_t) ~(TCP_M_TAIL | TCP_M_PTO | TCP_M_REO);
	if (!tcp_by_runs(c)) {
		c->lost_edge = c->snd_nxt;
		c->rtx_nxt = c->snd_una;
	}
	tcp_touch(c);
}

static uint8_t
mss_epoch(const struct tcp_conn *c)
{
	return c->tcp->tick >> TCP_MSS_EPOCH_SHIFT & 1 ? TCP_M_MSS_EPOCH : 0;
}

/*
 * Full segments that vanish again and again may be too large for a path whose routers are silent (RFC 2923 2.1): the
 * smallest ones that every path carries are tried. When larger ones are on trial again the first timeout is enough.
 */
static void
suspect_blackhole(struct tcp_conn *c)
{
	uint16_t least = tcp_conn_mss_within(c, 0);
	unsigned backoff = c->more & TCP_M_MSS_TRIED ? 0 : BLACKHOLE_BACKOFF;
	if (c->backoff != backoff || tcp_flight(c) < c->mss || c->mss <= least)
		return;
	c->mss_before = (uint8_t)RTE_MIN(c->mss >> TCP_MSS_SHIFT, UINT8_MAX);
	c->more = (uint16_t)((c->more & ~(TCP_M_MSS_TRIED | TCP_M_MSS_EPOCH)) | mss_epoch(c));
	c->mss = least;
	c->tcp->counters->tcp_blackholes++;
}

void
tcp_recover_mss(struct tcp_conn *c)
{
	if (c->more & TCP_M_MSS_TRIED) {
		c->more &= (uint16_t)~TCP_M_MSS_TRIED;
		c->mss_before = 0;
	} else if (mss_epoch(c) != (c->more & TCP_M_MSS_EPOCH)) {
		c->more |= TCP_M_MSS_TRIED;
		c->mss = RTE_MAX(c->mss, (uint16_t)(c->mss_before << TCP_MSS_SHIFT));
		c->cubic_w_max = 0; /* was counted in segments of the other size */
		c->cubic_epoch = 0;
	}
}

void
tcp_recover_timeout(struct tcp_conn *c)
{
	board_for_loss(c);
	suspect_blackhole(c);
	if (!(c->flags & RECOVERING))
		remember(c);
	/* Once an episode: a second timeout without progress, or in fast recovery, says nothing new. */
	if (!(c->flags & RECOVERING) || (c->flags & TCP_F_LOSS && !c->backoff))
		tcp_cc_lost(c, tcp_flight(c));
	if (tcp_by_runs(c) && c->backoff)
		tcp_board_lose_all(c->board, true);
	else if (tcp_by_runs(c))
		tcp_rack_timeout(c);
	enter_loss(c);
	c->cwnd = (tcp_by_runs(c) ? tcp_pipe(c) : 0) + c->mss;
	c->tcp->counters->tcp_timeouts++;
}

void
tcp_recover_resegment(struct tcp_conn *c)
{
	if (!tcp_flight(c))
		return;
	board_for_loss(c);
	if (c->board)
		c->board->undo_cwnd = 0;
	if (tcp_by_runs(c))
		tcp_board_lose_all(c->board, false);
	enter_loss(c);
}
