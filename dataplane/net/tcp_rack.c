/*
 * See tcp_rack.h.
 */
#include "dataplane/net/tcp_rack.h"

#include "dataplane/net/tcp_out.h"
#include "dataplane/net/tcp_recover.h"
#include "dataplane/net/tcp_stack.h"

#define DUP_THRESH    3u
#define MULT_MASK     0x0fu
#define PERSIST_SHIFT 4u
#define PERSIST_MAX   15u
#define PROBE_SLACK_US \
	1000u /* a peer is busy, our timer coarse: two round trips alone are too tight in a rack */
#define TS_GRAIN_MS 1u
#define OVERDUE_MAX 3u /* probes of a recovery, each after twice the time of the one before */

/* ---- RACK ------------------------------------------------------------------------------------- */

static uint32_t
now_us(const struct tcp_conn *c)
{
	return (uint32_t)c->tcp->now_us;
}

static unsigned
multiplier(const struct tcp_conn *c)
{
	return c->rack & MULT_MASK;
}

/* 0: unknown. */
static uint32_t
least_rtt_us(const struct tcp_conn *c)
{
	uint32_t smoothed_us = c->srtt_us8 >> 3;
	return c->min_rtt ? RTE_MIN((uint32_t)c->min_rtt << TCP_MIN_RTT_SHIFT, smoothed_us) : smoothed_us;
}

/* Sent more than once: is this surely about the copy that left last (RFC 8985 6.2, step 2)? */
static bool
last_copy_arrived(const struct tcp_conn *c, const struct tcp_seg *seg, uint32_t sent_us, uint32_t rtt_us)
{
	if (c->flags & TCP_F_TS && seg->has_ts) {
		uint32_t sent_ts = tcp_ts_now(c->tcp) + c->ts_offset - (now_us(c) - sent_us) / 1000;
		if (tcp_seq_lt(seg->tsecr + TS_GRAIN_MS, sent_ts))
			return false;
	}
	/* Nothing measured yet, as when the first segments were lost already: nothing is concluded. */
	uint32_t least_us = least_rtt_us(c);
	return least_us && rtt_us >= least_us;
}

static bool
sent_before(const struct tcp_board *b, const struct tcp_run *r)
{
	if (r->sent_us != b->rack_sent_us)
		return tcp_seq_lt(r->sent_us, b->rack_sent_us);
	return tcp_seq_lt(r->end, b->rack_end);
}

void
tcp_rack_delivered(struct tcp_conn *c, const struct tcp_seg *seg, const struct tcp_run *r)
{
	struct tcp_board *b = c->board;
	int32_t elapsed = (int32_t)(now_us(c) - r->sent_us);
	uint32_t rtt_us = elapsed > 0 ? (uint32_t)elapsed : 0; /* times are rounded up */
	if (tcp_seq_lt(r->end, b->fack) && !(r->flags & TCP_RUN_AGAIN) && !multiplier(c))
		c->rack |= 1; /* late but not lost: reordering */
	if (r->flags & TCP_RUN_AGAIN && !last_copy_arrived(c, seg, r->sent_us, rtt_us))
		return;
	if (b->has_rack && sent_before(b, r))
		return;
	b->has_rack = true;
	b->rack_sent_us = r->sent_us;
	b->rack_end = r->end;
	b->rack_rtt_us = rtt_us;
}

void
tcp_rack_settle(struct tcp_conn *c)
{
	struct tcp_board *b = c->board;
	b->fack = tcp_seq_max(b->fack, c->snd_una);
	for (unsigned i = b->len; i-- > 0;) {
		const struct tcp_run *r = tcp_board_runs(b) + i;
		if (!(r->flags & TCP_RUN_SACKED))
			continue;
		b->fack = tcp_seq_max(b->fack, r->end);
		break;
	}
}

static unsigned
islands(struct tcp_board *b)
{
	unsigned n = 0;
	for (unsigned i = 0; i < b->len; i++)
		n += tcp_board_runs(b)[i].flags & TCP_RUN_SACKED;
	return n;
}

static uint32_t
reordering_window(const struct tcp_conn *c)
{
	struct tcp_board *b = c->board;
	unsigned mult = multiplier(c);
	if (!mult) {
		if (c->flags & (TCP_F_RECOVERY | TCP_F_LOSS) || b->sacked_bytes > (DUP_THRESH - 1) * c->mss ||
		    islands(b) >= DUP_THRESH)
			return 0;
		mult = 1;
	}
	return RTE_MIN(mult * least_rtt_us(c) / 4, c->srtt_us8 >> 3);
}

void
tcp_rack_detect(struct tcp_conn *c)
{
	struct tcp_board *b = c->board;
	uint32_t start = b->start, bound_us = b->rack_rtt_us + reordering_window(c), wait_us = 0;
	bool lost = false;
	if (!b->has_rack)
		return;
	for (unsigned i = 0; i < b->len; i++) {
		struct tcp_run *r = tcp_board_runs(b) + i;
		uint32_t bytes = r->end - start;
		start = r->end;
		if (r->flags & (TCP_RUN_SACKED | TCP_RUN_LOST) || !sent_before(b, r))
			continue;
		int32_t left_us = (int32_t)(r->sent_us + bound_us - now_us(c));
		if (left_us <= 0) {
			tcp_board_lose(b, r, bytes);
			lost = true;
		} else {
			wait_us = RTE_MAX(wait_us, (uint32_t)left_us);
		}
	}
	if (lost)
		tcp_board_tidy(b);
	if (!wait_us)
		return;
	c->rtx_deadline = tcp_deadline(c->tcp, wait_us);
	c->more = (uint16_t)((c->more | TCP_M_REO) & ~TCP_M_PTO);
	tcp_touch(c); /* arms the wheel */
}

void
tcp_rack_timeout(struct tcp_conn *c)
{
	struct tcp_board *b = c->board;
	uint32_t start = b->start, bound_us = b->rack_rtt_us + reordering_window(c);
	for (unsigned i = 0; i < b->len; i++) {
		struct tcp_run *r = tcp_board_runs(b) + i;
		bool old = (int32_t)(now_us(c) - r->sent_us - bound_us) >= 0;
		if ((i == 0 || old) && !(r->flags & (TCP_RUN_SACKED | TCP_RUN_LOST)))
			tcp_board_lose(b, r, r->end - start);
		start = r->end;
	}
	tcp_board_tidy(b);
}

void
tcp_rack_widen(struct tcp_conn *c)
{
	struct tcp_board *b = c->board;
	if (tcp_seq_lt(c->snd_una, b->dsack_round))
		return;
	b->dsack_round = c->snd_nxt;
	unsigned mult = RTE_MIN(RTE_MAX(multiplier(c), 1u) + 1, MULT_MASK);
	c->rack = (uint8_t)(PERSIST_MAX << PERSIST_SHIFT | mult);
}

void
tcp_rack_recovered(struct tcp_conn *c)
{
	if (c->rack >> PERSIST_SHIFT)
		c->rack = (uint8_t)(c->rack - (1u << PERSIST_SHIFT));
	else if (multiplier(c))
		c->rack = 1;
}

/* ---- the tail --------------------------------------------------------------------------------- */

/* Only what is two segments or more: a single one may wait for the peer's delayed ACK (RFC 8985 7.2). */
static bool
tail_allowed(const struct tcp_conn *c)
{
	return c->flags & TCP_F_SACK && !(c->flags & (TCP_F_RECOVERY | TCP_F_LOSS)) &&
	       !(c->more & TCP_M_TAIL) && !(c->board && c->board->sacked_bytes);
}

/*
 * In a recovery, and when the tail probe is not answered, the first that is missing stands for it. RFC 8985 leaves that to
 * the timeout; but where a round trip is short and the window small, a lost ACK or a retransmission lost again would cost
 * a thousand round trips. QUIC probes there, too (RFC 9002 6.2).
 */
static bool
overdue_allowed(const struct tcp_conn *c)
{
	return (c->flags & (TCP_F_RECOVERY | TCP_F_LOSS) || c->more & TCP_M_TAIL) && tcp_by_runs(c) &&
	       c->board->overdue < OVERDUE_MAX;
}

/* Until a probe of either kind; 0: none may be sent. */
static uint32_t
probe_timeout_us(const struct tcp_conn *c)
{
	bool overdue = overdue_allowed(c);
	if (!c->srtt_us8 || c->backoff || !c->snd_wnd || tcp_flight(c) <= c->mss ||
	    !(overdue || tail_allowed(c)))
		return 0;
	return ((c->srtt_us8 >> 2) + PROBE_SLACK_US) << (overdue ? c->board->overdue : 0);
}

void
tcp_rtx_arm(struct tcp_conn *c)
{
	uint32_t us = tcp_rto_us(c), probe_us = 0;
	c->more &= (uint16_t) ~(TCP_M_PTO | TCP_M_REO);
	if (unlikely(tcp_flight(c) > c->mss) && (probe_us = probe_timeout_us(c)) && probe_us < us) {
		us = probe_us;
		c->more |= TCP_M_PTO;
	}
	c->rtx_deadline = tcp_deadline(c->tcp, us);
}

void
tcp_tail_arm(struct tcp_conn *c)
{
	uint32_t probe_us = c->more & (TCP_M_PTO | TCP_M_REO) ? 0 : probe_timeout_us(c);
	if (!probe_us || !tcp_seq_lt(tcp_deadline(c->tcp, probe_us), c->rtx_deadline))
		return;
	c->rtx_deadline = tcp_deadline(c->tcp, probe_us);
	c->more |= TCP_M_PTO;
}

static bool
send_tail(struct tcp_conn *c)
{
	bool fresh = false;
	if (!tcp_out_tail(c, &fresh))
		return false;
	c->more = (uint16_t)((c->more & ~TCP_M_TAIL_AGAIN) | TCP_M_TAIL | (fresh ? 0 : TCP_M_TAIL_AGAIN));
	c->tail_end = c->snd_nxt;
	c->tcp->counters->tcp_tail_probes++;
	return true;
}

bool
tcp_tail_due(struct tcp_conn *c)
{
	uint32_t probe_us = probe_timeout_us(c);
	bool overdue = overdue_allowed(c), sent = false;
	if (probe_us) {
		/* Lazily: what was sent or heard of meanwhile has its own two round trips. */
		uint32_t since = overdue ? tcp_seq_max(c->tx_tick, c->board->heard_tick) : c->tx_tick;
		uint32_t at = since + tcp_ticks(probe_us);
		if (tcp_seq_lt(c->tcp->tick, at)) {
			c->rtx_deadline = at ? at : 1;
			return false;
		}
		if (overdue)
			tcp_recover_overdue(c);
		else
			sent = send_tail(c);
	}
	if (overdue || sent) {
		tcp_rtx_arm(c); /* the next probe, or the timeout */
	} else {
		c->more &= (uint16_t) ~(TCP_M_PTO | TCP_M_REO);
		c->rtx_deadline = tcp_deadline(c->tcp, tcp_rto_us(c));
	}
	return sent;
}

bool
tcp_tail_acked(struct tcp_conn *c, const struct tcp_seg *seg, const struct tcp_range *dsack, uint32_t acked)
{
	if (tcp_seq_lt(seg->ack, c->tail_end))
		return false;
	bool again = c->more & TCP_M_TAIL_AGAIN, beyond = seg->ack != c->tail_end;
	bool for_nothing = dsack && dsack->end == c->tail_end;
	/* A peer without DSACK acknowledges the second copy once more. */
	bool twice = !beyond && !acked && !seg->len && !seg->sacks_len;
	if (!again || for_nothing || beyond || twice)
		c->more &= (uint16_t)~TCP_M_TAIL;
	return again && !for_nothing && beyond;
}
