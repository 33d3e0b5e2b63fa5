/*
 * Congestion control: CUBIC (RFC 9438) or Reno (RFC 5681), initial window of 10 segments (RFC 6928),
 * appropriate byte counting with L = 2 (RFC 3465), growth only while the window is what limits (RFC 7661).
 * What is lost and when to send again is in tcp_ack.c; proportional rate reduction too.
 */
#ifndef WIRECACHE_TCP_CC_H
#define WIRECACHE_TCP_CC_H

#include "dataplane/net/tcp_conn.h"

/* May the window grow by an acknowledgement now, as far as can be told without asking? flight: before it. */
static inline bool
tcp_cc_full(const struct tcp_conn *c, uint32_t flight)
{
	return c->more & TCP_M_CWND_LIMITED || (flight * 2 >= c->cwnd && c->cwnd < c->ssthresh);
}

void tcp_cc_init(struct tcp_conn *c);
/* New data was acknowledged outside of recovery; flight: before this ACK. */
void tcp_cc_acked(struct tcp_conn *c, uint32_t acked, uint32_t flight);
/* Loss: sets ssthresh and what the algorithm remembers; cwnd is the caller's. */
void tcp_cc_lost(struct tcp_conn *c, uint32_t flight);
/* Before sending after a pause longer than the RTO. */
void tcp_cc_idle(struct tcp_conn *c);

#endif
