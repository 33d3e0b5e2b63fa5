/*
 * Sending: segments from the send queue as windows allow, acknowledgements, resets. Nothing changes in a
 * connection before the mbuf for the segment exists; without one the connection stays on the touched list for
 * the next flush.
 */
#ifndef WIRECACHE_TCP_OUT_H
#define WIRECACHE_TCP_OUT_H

#include "dataplane/net/tcp_opt.h"

/* Everything that may leave now: retransmissions, new data, FIN, else an ACK if one is owed. False: call
 * again. */
bool tcp_output(struct tcp_conn *c);
/* A bare ACK at once; dsack may be NULL. */
bool tcp_out_ack(struct tcp_conn *c, const struct tcp_range *dsack);
/* One segment for the tail probe, whatever the congestion window says: new data (*fresh) or the last sent again. */
bool tcp_out_tail(struct tcp_conn *c, bool *fresh);
/* An ACK one below snd_una, which any peer must answer: keepalive and window probes. */
bool tcp_out_probe(struct tcp_conn *c);
/* SYN, or SYN-ACK in TCP_SYN_RECEIVED. */
bool tcp_out_syn(struct tcp_conn *c);
void tcp_out_reset(struct tcp_conn *c);

/* A segment without a connection: for entries, and RST for what belongs to nobody. */
struct tcp_bare {
	const struct net_flow *flow;
	uint32_t seq, ack;
	uint8_t flags;
	uint16_t wnd;
	uint8_t opt_len; /* multiple of 4 */
	uint8_t opt[TCP_OPT_BYTES_MAX];
};
bool tcp_out_bare(struct tcp_stack *tcp, const struct tcp_bare *bare);
/* RFC 9293 3.10.7.1: the reset that answers a segment; never for a RST. */
void tcp_out_reject(struct tcp_stack *tcp, const struct tcp_seg *seg);

/* A segment of this connection leaves, and with it the acknowledgement of all that came. */
static inline void
tcp_out_acked(struct tcp_conn *c)
{
	c->last_ack_sent = c->rcv_nxt;
	c->flags &= (uint16_t) ~(TCP_F_ACK_NOW | TCP_F_ACK_SOON);
	c->ack_segs = 0;
	c->ack_deadline = 0;
}

/* Bytes believed to be in the network (RFC 6675 SetPipe). */
uint32_t tcp_pipe(const struct tcp_conn *c);

#endif
