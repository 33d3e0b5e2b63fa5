/*
 * What is sent again, and how fast: recovery after loss, after timeouts, and when the path's MTU shrinks.
 *
 *   open --something is lost--------> RECOVERY --snd_una >= recover--> open
 *     \---- retransmission timeout -> LOSS ------snd_una >= recover--/
 *     either back to open at once when it turns out that nothing was lost (undo)
 *
 * What is lost says, with SACK, the board (tcp_sack.h) by time (tcp_rack.h). Without, or without memory for a board:
 *
 *   snd_una        rtx_nxt              lost_edge          snd_nxt
 *     |--sent again---|---deemed lost------|---in flight------|
 *
 * where three duplicate ACKs, partial ACKs (RFC 6582) and timeouts move lost_edge.
 */
#ifndef WIRECACHE_TCP_RECOVER_H
#define WIRECACHE_TCP_RECOVER_H

#include "dataplane/net/tcp_opt.h"

/* What one ACK said. */
struct tcp_news {
	uint32_t acked;     /* bytes by which snd_una moved */
	uint32_t delivered; /* bytes newly known to have arrived by the ACK */
	uint32_t sacked;    /* and by its SACK blocks */
	uint32_t flight;    /* before */
	bool duplicate;     /* without SACK: a duplicate ACK */
};

/* Any ACK in a recovery, any with SACK blocks, any duplicate, any while there is a board or a tail probe is out. */
void tcp_recover_news(struct tcp_conn *c, const struct tcp_seg *seg, struct tcp_news *n);
/* These bytes were sent again. */
void tcp_recover_sent(struct tcp_conn *c, const struct tcp_range *r);
/* The reordering window is over: what was late is lost now. */
void tcp_recover_late(struct tcp_conn *c);
/* Nothing is heard of what is in flight: its first segment is lost. */
void tcp_recover_overdue(struct tcp_conn *c);
/* The retransmission timer expired. */
void tcp_recover_timeout(struct tcp_conn *c);
/* Everything is sent again in smaller segments: no congestion signal. */
void tcp_recover_resegment(struct tcp_conn *c);
/*
 * mss_before is set and nothing is in flight: some time after a black hole was suspected the segments of before are tried
 * again (RFC 4821 7.7, RFC 8899 5.1.1), since an outage looks the same. Called now and then.
 */
void tcp_recover_mss(struct tcp_conn *c);

#endif
