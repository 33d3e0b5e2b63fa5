/*
 * What a timer means when it is due: delayed ACK, retransmission, window probe, keepalive, and the limits
 * after which a connection is given up. Called lazily, so each one looks at its own deadline and at the state
 * as it is now.
 */
#include "dataplane/net/tcp_out.h"
#include "dataplane/net/tcp_in.h"
#include "dataplane/net/tcp_rack.h"
#include "dataplane/net/tcp_recover.h"
#include "dataplane/net/tcp_rx.h"
#include "dataplane/net/tcp_stack.h"

#define CONNECT_RETRIES 5u
#define JITTER_SHIFT    4 /* keepalive comes up to 1/16 later, different for each connection */

static uint32_t
later(const struct tcp_conn *c, uint32_t tick, uint64_t us)
{
	uint32_t at = tick + tcp_ticks(us);
	return at ? at : 1;
}

/* When an idle connection is looked at again; 0: never. */
static uint32_t
idle_deadline(const struct tcp_conn *c)
{
	const struct tcp_config *config = &c->tcp->config;
	switch (c->state) {
	case TCP_ESTABLISHED:
	case TCP_CLOSE_WAIT: {
		if (!config->keepalive_idle_us || c->rtx_deadline)
			return 0;
		uint64_t jitter =
		    ((uint64_t)(c->hash & 0xffff) * config->keepalive_idle_us) >> (16 + JITTER_SHIFT);
		return later(c, c->rx_tick,
		    config->keepalive_idle_us + jitter +
		        (uint64_t)c->ka_probes * config->keepalive_interval_us);
	}
	case TCP_FIN_WAIT_2:
		return later(c, c->progress_tick, config->fin_wait2_us);
	case TCP_TIME_WAIT:
		return later(c, c->progress_tick, config->time_wait_us);
	default:
		return 0;
	}
}

static uint32_t
sooner(uint32_t a, uint32_t b)
{
	if (!a || !b)
		return a | b;
	return tcp_seq_min(a, b);
}

void
tcp_timer_update(struct tcp_conn *c)
{
	uint32_t at = sooner(sooner(c->rtx_deadline, c->ack_deadline), idle_deadline(c));
	if (at)
		tcp_timer_arm(c, at);
}

static bool
gave_up(const struct tcp_conn *c)
{
	return c->tcp->tick - c->progress_tick >= tcp_ticks(c->tcp->config.user_timeout_us);
}

static void
back_off(struct tcp_conn *c)
{
	if (c->backoff < TCP_BACKOFF_MAX)
		c->backoff++;
}

static void
handshake_timeout(struct tcp_conn *c)
{
	if (c->backoff >= CONNECT_RETRIES) {
		tcp_conn_reset(c, TCP_CLOSED_TIMEOUT);
		return;
	}
	c->flags = (uint16_t)((c->flags | TCP_F_ACK_NOW) & ~TCP_F_RTT);
	c->tcp->counters->tcp_retransmits++;
	back_off(c);
	tcp_touch(c);
}

/* The receiver's window is closed: ask whether it still is. The probe is empty and below snd_una, so nothing
 * advances. */
static void
probe(struct tcp_conn *c)
{
	c->tcp->counters->tcp_window_probes++;
	(void)tcp_out_probe(c);
	back_off(c);
	tcp_rtx_arm(c);
}

static void
retransmission_due(struct tcp_conn *c)
{
	c->rtx_deadline = 0;
	if (!tcp_synchronized(c)) {
		handshake_timeout(c);
		return;
	}
	if (gave_up(c)) {
		c->tcp->counters->tcp_gave_up++;
		tcp_conn_reset(c, TCP_CLOSED_TIMEOUT);
		return;
	}
	if (c->more & TCP_M_REO) {
		tcp_recover_late(c);
		return;
	}
	if (c->more & TCP_M_PTO) {
		(void)tcp_tail_due(c);
		return;
	}
	bool closed_window = c->snd_wnd == 0;
	if (tcp_flight(c) == 0 && !closed_window) {
		/* A window too small for silly window avoidance, or no mbuf last time: send what fits. */
		tcp_touch(c);
		return;
	}
	if (closed_window) {
		probe(c);
		return;
	}
	tcp_recover_timeout(c);
	back_off(c);
}

static void
idle_due(struct tcp_conn *c)
{
	const struct tcp_config *config = &c->tcp->config;
	if (c->state == TCP_FIN_WAIT_2) {
		tcp_conn_reset(c, TCP_CLOSED_TIMEOUT);
	} else if (c->state == TCP_TIME_WAIT) {
		/* The application never read the rest, or there was no memory for an entry. */
		tcp_conn_kill(c, tcp_rx_unread(c) ? TCP_CLOSED_TIMEOUT : TCP_CLOSED_NORMALLY);
	} else if (c->ka_probes >= config->keepalive_probes) {
		c->tcp->counters->tcp_gave_up++;
		tcp_conn_reset(c, TCP_CLOSED_TIMEOUT);
	} else {
		c->ka_probes++;
		c->tcp->counters->tcp_keepalive_probes++;
		(void)tcp_out_probe(c);
	}
}

void
tcp_expire(struct tcp_conn *c)
{
	struct tcp_stack *tcp = c->tcp;
	if (unlikely(c->mss_before) && !tcp_flight(c))
		tcp_recover_mss(c);
	if (tcp_due(tcp, c->ack_deadline)) {
		c->ack_deadline = 0;
		if (c->flags & TCP_F_ACK_SOON) {
			c->flags |= TCP_F_ACK_NOW;
			tcp->counters->tcp_delayed_acks++;
			tcp_touch(c);
		}
	}
	if (tcp_due(tcp, c->rtx_deadline))
		retransmission_due(c);
	if (c->state != TCP_CLOSED && tcp_due(tcp, idle_deadline(c)))
		idle_due(c);
	if (c->state != TCP_CLOSED)
		tcp_timer_update(c);
}
