/*
 * Receiving: what the files behind tcp_input() call of each other.
 */
#ifndef WIRECACHE_TCP_IN_H
#define WIRECACHE_TCP_IN_H

#include "dataplane/net/tcp_opt.h"

/* One checked segment for a connection; tcp_syn.c uses it for the ACK that ends a handshake. */
void tcp_in_segment(struct tcp_conn *c, struct tcp_seg *seg);

/* The peer's FIN is next in order: counts it and changes the state. */
void tcp_fin_received(struct tcp_conn *c);

/* ---- tcp_ack.c: the acknowledgement part of a segment ----------------------------------------- */

/* RFC 9293 3.10.7.4, fifth check. False: the segment ends here (unacceptable ACK, or the connection is
 * over). */
bool tcp_ack_process(struct tcp_conn *c, const struct tcp_seg *seg);
/* An acknowledgement that moves snd_una up: the round trip that it ends, if it is about the segment being timed. */
void tcp_rtt_measure(struct tcp_conn *c, const struct tcp_seg *seg);
/* The peer's window by this segment; acked: it acknowledges more than before. */
void tcp_window_update(struct tcp_conn *c, const struct tcp_seg *seg, bool acked);
/* One measured round trip (RFC 6298 2). */
void tcp_rtt_sample(struct tcp_conn *c, uint32_t us);
/* May one more challenge ACK leave now (RFC 5961 7)? Counts it. */
bool tcp_challenge_allowed(struct tcp_stack *tcp);

/* ---- tcp_syn.c, tcp_tw.c: segments for 64-byte entries and for nobody ------------------------- */

struct tcp_mini_list;

void tcp_syn_received(struct tcp_stack *tcp, struct tcp_seg *seg);
void tcp_syn_entry_input(struct tcp_stack *tcp, struct tcp_mini *e, uint32_t ref, struct tcp_seg *seg);
void tcp_tw_input(struct tcp_stack *tcp, struct tcp_mini *e, uint32_t ref, struct tcp_seg *seg);
/* A segment for nobody: the ACK of a cookie becomes a connection. False: it is not about cookies. */
bool tcp_syn_cookie_input(struct tcp_stack *tcp, struct tcp_seg *seg);
/* The SYN-ACK for an entry, with this timestamp. */
bool tcp_syn_answer(struct tcp_stack *tcp, const struct tcp_mini *e, uint32_t tsval);
uint32_t tcp_syn_isn(const struct tcp_stack *tcp, const struct net_flow *flow);
uint32_t tcp_syn_ts_offset(const struct tcp_stack *tcp, const struct net_flow *flow);
/* Makes the TIME-WAIT entry that replaces a connection in the table; false: no memory, no entry. */
bool tcp_tw_replace(struct tcp_conn *c);
/*
 * May a connection that we open take the place of this TIME-WAIT entry? Then the entry is gone, and *isn_least is the
 * least initial sequence number that cannot be mistaken for the old connection's.
 */
bool tcp_tw_give_way(struct tcp_stack *tcp, uint32_t ref, uint32_t *isn_least);

/* Ages both kinds of entries; returns microseconds until the next is due, UINT64_MAX when there is none. */
uint64_t tcp_syn_poll(struct tcp_stack *tcp);
uint64_t tcp_tw_poll(struct tcp_stack *tcp);

/* Age lists: entries join at the tail. */
void tcp_mini_push(struct tcp_stack *tcp, struct tcp_mini_list *list, uint32_t ref);
void tcp_mini_unlink(struct tcp_stack *tcp, struct tcp_mini_list *list, uint32_t ref);

#endif
