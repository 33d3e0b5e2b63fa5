/*
 * Trains: full segments of one connection that leave in one flush. They differ in sequence number, payload and checksum
 * only, so the headers are made once. Where transmitting copies (NET_OFFLOAD_TX_EXTERNAL) a payload that lies in one
 * reference is not copied here: the packet points to it. Else it is summed while it is copied.
 */
#ifndef WIRECACHE_TCP_BULK_H
#define WIRECACHE_TCP_BULK_H

#include "dataplane/net/tcp_conn.h"

#define TCP_BULK_MIN 2u /* segments: one alone gains nothing */

/*
 * Sends n <= TCP_FLUSH_SEGMENTS segments of mss bytes from snd_nxt, which the windows must allow and which must not reach
 * the end of the queue. Moves nothing of the sender's state. False: no mbufs, and nothing has changed.
 */
bool tcp_bulk_send(struct tcp_conn *c, unsigned n);

#endif
