/*
 * Acknowledgements: what they free, the windows they open, and the RTT they measure (RFC 6298, 7323). What they say
 * about loss is in tcp_recover.c.
 */
#include "dataplane/net/tcp_cc.h"
#include "dataplane/net/tcp_in.h"
#include "dataplane/net/tcp_out.h"
#include "dataplane/net/tcp_rack.h"
#include "dataplane/net/tcp_recover.h"
#include "dataplane/net/tcp_rx.h"
#include "dataplane/net/tcp_sack.h"
#include "dataplane/net/tcp_sendq.h"
#include "dataplane/net/tcp_stack.h"

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

void
tcp_rtt_measure(struct tcp_conn *c, const struct tcp_seg *seg)
{
	if (c->flags & TCP_F_RTT) {
		if (tcp_seq_lt(seg->ack, c->rtt_seq))
			return;
		uint32_t us = (uint32_t)c->tcp->now_us - c->rtt_start_us;
		c->flags &= (uint16_t)~TCP_F_RTT;
		tcp_rtt_sample(c, us);
		us = RTE_MIN(RTE_MAX(us >> TCP_MIN_RTT_SHIFT, 1u), (uint32_t)UINT16_MAX);
		if (unlikely(us < c->min_rtt || !c->min_rtt))
			c->min_rtt = (uint16_t)us;
	} else if (c->flags & TCP_F_TS && seg->has_ts) {
		/* The timed segment was sent again (Karn): the echoed timestamp says which copy this is
		 * about. */
		uint32_t ms = tcp_ts_now(c->tcp) + c->ts_offset - seg->tsecr;
		if (ms < RTT_SAMPLE_MAX_US / 1000)
			tcp_rtt_sample(c, ms * 1000);
	}
}

/* ---- the acknowledgement ---------------------------------------------------------------------- */

/*
 * RFC 9293 3.10.7.4 orders window updates by sequence, then acknowledgement number. Besides, what
 * acknowledges more or opens the window further is news whatever came first: a right edge does not move left.
 */
void
tcp_window_update(struct tcp_conn *c, const struct tcp_seg *seg, bool acked)
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

/* snd_una moves up. Returns bytes that are delivered and were not known to be. */
static uint32_t
advance(struct tcp_conn *c, const struct tcp_seg *seg, uint32_t acked)
{
	tcp_rtt_measure(c, seg);
	c->snd_una = seg->ack;
	c->backoff = 0;
	c->progress_tick = c->tcp->tick;
	tcp_sendq_acked(c);
	if (tcp_flight(c))
		tcp_rtx_arm(c);
	else
		c->rtx_deadline = 0;
	return unlikely(tcp_by_runs(c)) ? tcp_board_acked(c, seg) : acked;
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
	if (tcp_waiting_bytes(c) > c->tcp->config.snd_buffer_bytes / 2)
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
	struct tcp_news n = {.acked = seg->ack - c->snd_una, .flight = tcp_flight(c)};
	/* With SACK a duplicate tells only by its blocks: one for a duplicated segment means no loss. */
	n.duplicate = !n.acked && !seg->len && n.flight &&
	              (uint32_t)seg->wnd << c->snd_wscale == c->snd_wnd && !(seg->flags & RTE_TCP_FIN_FLAG) &&
	              !(c->flags & TCP_F_SACK);
	if (n.acked)
		n.delivered = advance(c, seg, n.acked);
	tcp_window_update(c, seg, n.acked > 0);
	if (unlikely(seg->sacks_len && c->flags & TCP_F_SACK))
		n.sacked = tcp_board_sacked(c, seg);
	if (unlikely(c->board || n.duplicate || c->more & TCP_M_TAIL ||
	             c->flags & (TCP_F_RECOVERY | TCP_F_LOSS))) {
		tcp_recover_news(c, seg, &n);
	} else if (n.acked) {
		c->dupacks = 0;
		tcp_cc_acked(c, n.acked, n.flight);
	}
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
