/*
 * SYN cookies (RFC 4987 3.6), for when the half-open entries are all taken: the initial sequence number proves that the
 * peer received our SYN-ACK, and what would have been in the entry travels with the packets.
 *
 *   initial sequence number    29 bits of SipHash(flow, peer's ISN, time / 67 s) | 3 bits: index of the peer's MSS
 *   our timestamp's low bits   SACK 1 | window scale option 1 | window scale 4    (kept if the peer sends timestamps)
 *
 * A cookie is good for one to two minutes. So long after the last one was sent, a segment that belongs to nobody may be
 * a later segment of a connection whose first one was lost: it is dropped instead of answered with RST.
 */
#ifndef WIRECACHE_TCP_COOKIE_H
#define WIRECACHE_TCP_COOKIE_H

#include "dataplane/net/tcp_opt.h"

/* Answers a SYN without keeping anything. e: filled from the SYN; its snd_nxt is set. */
void tcp_cookie_answer(struct tcp_stack *tcp, struct tcp_mini *e);
/* Was a cookie sent not long ago? */
bool tcp_cookie_recent(const struct tcp_stack *tcp);
/* Is this the ACK of a cookie? Fills what the entry would have held. */
bool tcp_cookie_accept(const struct tcp_stack *tcp, const struct tcp_seg *seg, struct tcp_mini *e);

#endif
