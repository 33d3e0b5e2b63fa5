/*
 * See tcp_cc.h. CUBIC's curve is computed in segments and seconds as RFC 9438 writes it; the cube root only
 * at a loss, the polynomial only for an ACK that arrives while the window is full, so no request and reply
 * pays for it.
 */
#include "dataplane/net/tcp_cc.h"

#include "dataplane/net/tcp_sack.h"
#include "dataplane/net/tcp_stack.h"

#define CUBIC_C             0.4f
#define CUBIC_BETA          0.7f
#define CUBIC_ALPHA         (3.0f * (1.0f - CUBIC_BETA) / (1.0f + CUBIC_BETA))
#define CWND_MAX            (1u << 30)
#define ABC_L               2u
#define TICK_S              (256e-6f)
#define HYSTART_SEGMENTS    16u
#define HYSTART_GAP_US      2000u /* two ACKs of one train are no further apart */
#define HYSTART_SAMPLES     8u
#define HYSTART_RISE_SHIFT  3
#define HYSTART_RISE_MIN_US 4000u
#define HYSTART_RISE_MAX_US 16000u
#define CSS_DIVISOR         4u
#define CSS_ROUNDS          5u

static uint32_t
initial_window(const struct tcp_conn *c)
{
	return RTE_MIN(10u * c->mss, RTE_MAX(2u * c->mss, 14600u));
}

void
tcp_cc_init(struct tcp_conn *c)
{
	c->cwnd = initial_window(c);
	c->ssthresh = CWND_MAX;
}

/* Newton's iteration; x >= 0. */
static float
cube_root(float x)
{
	if (x <= 0)
		return 0;
	float y = x > 1 ? x / 3 : 1;
	for (int i = 0; i < 30; i++) {
		float better = y - (y * y * y - x) / (3 * y * y);
		float change = better - y;
		y = better;
		if (change < 1e-4f && change > -1e-4f)
			break;
	}
	return y;
}

static void
cubic_begin(struct tcp_conn *c)
{
	float cwnd = (float)c->cwnd / c->mss;
	c->cubic_epoch = tcp_deadline(c->tcp, 0);
	if (c->cubic_w_max < cwnd)
		c->cubic_w_max = cwnd;
	c->cubic_k_s = cube_root((c->cubic_w_max - cwnd) / CUBIC_C);
	c->cubic_w_est = cwnd;
}

/* Bytes to add for `acked` bytes in congestion avoidance. */
static uint32_t
cubic_increase(struct tcp_conn *c, uint32_t acked)
{
	if (!c->cubic_epoch)
		cubic_begin(c);
	float cwnd = (float)c->cwnd / c->mss, segments = (float)acked / c->mss;
	float t = (float)(c->tcp->tick - c->cubic_epoch) * TICK_S + (float)c->srtt_us8 * (1e-6f / 8);
	float d = t - c->cubic_k_s;
	float target = CUBIC_C * d * d * d + c->cubic_w_max;

	if (target > 1.5f * cwnd)
		target = 1.5f * cwnd;
	float grown = target > cwnd ? (target - cwnd) * segments / cwnd : 0;

	/* Reno-friendly estimate (4.3): never behind standard congestion control. */
	c->cubic_w_est += (c->cubic_w_est >= c->cubic_w_max ? 1.0f : CUBIC_ALPHA) * segments / cwnd;
	if (grown < c->cubic_w_est - cwnd)
		grown = c->cubic_w_est - cwnd;
	return (uint32_t)(grown * c->mss);
}

static void
hystart_round(struct tcp_conn *c, struct tcp_hystart *h)
{
	h->end = c->snd_nxt;
	h->begin_us = h->last_us = (uint32_t)c->tcp->now_us;
	h->least_us = UINT32_MAX;
	h->samples = 0;
	h->css_rounds += h->css_rounds > 0;
}

/*
 * HyStart (Ha, Rhee 2011): the first slow start has found the path's length when a round trip's ACKs come in one train for
 * half of it. A busy machine makes trains longer than they are; so what follows is conservative slow start (RFC 9406)
 * until round trips rise by an eighth, since a queue is building up. Returns by what growth is divided.
 */
static uint32_t
hystart(struct tcp_conn *c)
{
	if (!tcp_by_runs(c) || c->ssthresh != CWND_MAX || !c->board->has_rack || !c->min_rtt ||
	    c->cwnd < HYSTART_SEGMENTS * c->mss)
		return 1;
	struct tcp_hystart *h = &c->board->hystart;
	uint32_t now_us = (uint32_t)c->tcp->now_us, min_us = (uint32_t)c->min_rtt << TCP_MIN_RTT_SHIFT;
	if (!tcp_seq_lt(c->snd_una, h->end))
		hystart_round(c, h);
	h->least_us = RTE_MIN(h->least_us, c->board->rack_rtt_us);
	h->samples += h->samples < HYSTART_SAMPLES;
	if (!h->css_rounds) {
		bool train = now_us - h->last_us <= HYSTART_GAP_US;
		h->last_us = train ? now_us : h->last_us;
		h->css_rounds = train && now_us - h->begin_us > min_us / 2;
		return 1;
	}
	uint32_t rise_us = RTE_MIN(min_us >> HYSTART_RISE_SHIFT, HYSTART_RISE_MAX_US);
	bool late = h->least_us > min_us + RTE_MAX(rise_us, HYSTART_RISE_MIN_US);
	if (h->css_rounds > CSS_ROUNDS || (late && h->samples == HYSTART_SAMPLES))
		c->ssthresh = c->cwnd;
	return CSS_DIVISOR;
}

void
tcp_cc_acked(struct tcp_conn *c, uint32_t acked, uint32_t flight)
{
	if (c->cwnd < c->ssthresh) {
		if (tcp_cc_full(c, flight))
			c->cwnd += RTE_MIN(acked, ABC_L * c->mss) / hystart(c);
	} else if (c->more & TCP_M_CWND_LIMITED) {
		acked = RTE_MIN(acked, c->cwnd);
		uint32_t more = c->tcp->config.congestion == TCP_CUBIC
		                    ? cubic_increase(c, acked)
		                    : (uint32_t)((uint64_t)c->mss * acked / c->cwnd);
		c->cwnd += RTE_MIN(more, ABC_L * c->mss);
	}
	c->cwnd = RTE_MIN(c->cwnd, CWND_MAX);
}

void
tcp_cc_lost(struct tcp_conn *c, uint32_t flight)
{
	/* An application-limited window was not what filled the path: reduce what was in flight. */
	uint32_t base = c->more & TCP_M_CWND_LIMITED ? c->cwnd : RTE_MIN(flight, c->cwnd);
	if (c->tcp->config.congestion == TCP_CUBIC) {
		float w = (float)base / c->mss;
		/* Fast convergence (4.7): a flow that lost earlier than last time makes room. */
		c->cubic_w_max = w < c->cubic_w_max ? w * (1.0f + CUBIC_BETA) / 2 : w;
		c->cubic_epoch = 0;
		c->ssthresh = (uint32_t)((float)base * CUBIC_BETA);
	} else {
		c->ssthresh = base / 2;
	}
	c->ssthresh = RTE_MAX(c->ssthresh, 2u * c->mss);
}

void
tcp_cc_idle(struct tcp_conn *c)
{
	c->cwnd = RTE_MIN(c->cwnd, initial_window(c));
	c->cubic_epoch = 0;
}
