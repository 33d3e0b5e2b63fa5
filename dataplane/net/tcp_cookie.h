/*
 * SYN cookies (RFC 4987 3.6), for when the half-open entries are all taken: the initial sequence number proves that the
 * peer received our SYN-ACK, and what would have been in the entry travels with the packets.
 *
 *   initial sequence number    29 bits of SipHash(flow, peer's ISN, time / 8.4 s) | 3 bits: index of the peer's MSS
 *   our timestamp's low bits   SACK 1 | window scale option 1 | window scale 4    (kept if the peer sends timestamps)
 *
 * A cookie is good for 8 to 17 seconds. So long after the last one was sent, a segment that belongs to nobody may be a
 * later segment of a connection whose first one was lost: it is dropped instead of answered with RST.
 *
 * A cookie is good once. It proves that its ACK was sent, not that it was sent once: a late copy, perhaps with a request
 * in it, would open a connection that has ended and execute the request again. So cookies that were spent are remembered
 * for as long as they are good, in two Bloom filters, one for each period, made when the first cookie comes back: 16
 * bits for each connection that may exist, 4 probes. A cookie that seems spent is answered with RST, rightly for a copy;
 * one in some thousand is not one, and its client connects again. A filter that is full, or that no memory was there
 * for, spends no more: those ACKs are dropped.
 */
#ifndef WIRECACHE_TCP_COOKIE_H
#define WIRECACHE_TCP_COOKIE_H

#include "dataplane/net/tcp_opt.h"

/* Answers a SYN without keeping anything. e: filled from the SYN; its snd_nxt is set. */
void tcp_cookie_answer(struct tcp_stack *tcp, struct tcp_mini *e);
/* Was a cookie sent not long ago? */
bool tcp_cookie_recent(const struct tcp_stack *tcp);
enum tcp_cookie_verdict {
	TCP_COOKIE_NONE,  /* not one, or too old */
	TCP_COOKIE_GOOD,  /* e is what the entry would have held */
	TCP_COOKIE_SPENT, /* it has opened a connection before */
	TCP_COOKIE_FULL,  /* good, but that could not be remembered */
};

/* Is this the ACK of a cookie? Changes nothing. */
enum tcp_cookie_verdict tcp_cookie_check(
    struct tcp_stack *tcp, const struct tcp_seg *seg, struct tcp_mini *e);
/* The ACK of a good one has opened a connection. */
void tcp_cookie_spend(struct tcp_stack *tcp, const struct tcp_seg *seg);
void tcp_cookie_fini(struct tcp_stack *tcp);

#endif
