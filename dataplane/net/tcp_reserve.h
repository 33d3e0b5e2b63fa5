/*
 * Mbufs of last resort: a few that this stack keeps when the pool is empty, so that it goes on to answer. One half is
 * for segments without payload (handshakes, ACKs, resets); the other also for the first bytes of a connection that has
 * nothing in flight, which nothing else would move on.
 *
 * Filled by tcp_poll(), a few at a time, from what the pool has.
 */
#ifndef WIRECACHE_TCP_RESERVE_H
#define WIRECACHE_TCP_RESERVE_H

#include <rte_mbuf.h>

#define TCP_RESERVE_MAX 64u

struct tcp_stack;

struct tcp_reserve {
	struct rte_mbuf *mbufs[TCP_RESERVE_MAX];
	uint32_t len;
};

/* The pool is empty: one from the reserve, or NULL, counted. idle: payload for a connection with nothing in flight. */
struct rte_mbuf *tcp_reserve_take(struct tcp_stack *tcp, bool payload, bool idle);
void tcp_reserve_fill(struct tcp_stack *tcp);
void tcp_reserve_fini(struct tcp_stack *tcp);

#endif
