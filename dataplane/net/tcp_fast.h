/*
 * The short way of the segment that everybody waits for, in and out: an established connection, the next bytes or an
 * acknowledgement of what is in flight, nothing lost, nothing out of order, no flags but ACK and PSH; and a reply that is
 * one segment on a connection with nothing in flight. Nearly all segments of requests and replies are that.
 *
 * These functions only take what they can finish. For anything else they return false, having changed nothing, and the
 * general way (tcp_in.c, tcp_ack.c, tcp_rx.c, tcp_out.c) looks at it from the start. What they take they leave as the
 * general way would, bit by bit but for the blocks in which a queue lies: tests/unit/net/test_tcp_fast.c compares.
 */
#ifndef WIRECACHE_TCP_FAST_H
#define WIRECACHE_TCP_FAST_H

#include "dataplane/net/tcp_opt.h"

/* A segment for this connection; its mbuf stays the caller's. */
bool tcp_fast_in(struct tcp_conn *c, const struct tcp_seg *seg);
/* What the flush of a touched connection has to do. */
bool tcp_fast_out(struct tcp_conn *c);

#endif
