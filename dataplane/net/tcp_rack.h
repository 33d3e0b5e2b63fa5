/*
 * RACK-TLP (RFC 8985), for peers with SACK: time decides what is lost, and a probe replaces most timeouts.
 *
 *   sent before what was delivered last, and more than a round trip and a reordering window ago: lost
 *   not that long ago: looked at again by the reordering timer (TCP_M_REO)
 *   nothing comes back for two round trips: the tail probe (TCP_M_PTO), whose SACK tells what is missing
 *   nothing then, or in a recovery: the first that is missing again, three times, after two, four, eight round trips
 *
 * The reordering window is nothing until reordering is seen (then three SACKed segments are enough, RFC 6675), a quarter
 * of the least round trip afterwards, and grows by that with every round trip in which DSACK shows that something was
 * sent again for nothing. Sixteen recoveries without bring it back.
 */
#ifndef WIRECACHE_TCP_RACK_H
#define WIRECACHE_TCP_RACK_H

#include "dataplane/net/tcp_sack.h"

/* A run that was not known to be delivered is. */
void tcp_rack_delivered(struct tcp_conn *c, const struct tcp_seg *seg, const struct tcp_run *r);
/* After the ACK and its SACK blocks are applied: remembers how high the peer got. */
void tcp_rack_settle(struct tcp_conn *c);
/* Marks what is lost by now; the reordering timer is set for what may be soon. */
void tcp_rack_detect(struct tcp_conn *c);
/* After a timeout: marks the first segment and what is older than a round trip. */
void tcp_rack_timeout(struct tcp_conn *c);
/* DSACK says that something was sent again for nothing: a larger reordering window. */
void tcp_rack_widen(struct tcp_conn *c);
/* A recovery ended: one of sixteen. */
void tcp_rack_recovered(struct tcp_conn *c);

/* The retransmission deadline from now: the timeout, or the tail probe when that comes first. */
void tcp_rtx_arm(struct tcp_conn *c);
/* More was sent while the timeout runs: the tail probe may come before it now. */
void tcp_tail_arm(struct tcp_conn *c);
/* The tail probe is due. False: it was not, or could not be sent; a deadline is set in any case. */
bool tcp_tail_due(struct tcp_conn *c);
/* An ACK while a probe is out. True: the probe filled a hole, so there was a loss. acked: bytes that it acknowledges. */
bool tcp_tail_acked(
    struct tcp_conn *c, const struct tcp_seg *seg, const struct tcp_range *dsack, uint32_t acked);

#endif
