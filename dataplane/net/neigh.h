/*
 * The neighbour table of one worker: link-layer addresses of next hops, for IPv4 (ARP) and IPv6 (NDP) alike,
 * with the states of RFC 4861 section 7.3.2.
 *
 *   (none) -> INCOMPLETE -> REACHABLE -> STALE -> DELAY -> PROBE -> (none)
 *              3 asks, 1 s    30 s       first use  5 s     3 asks, 1 s
 *
 * Only INCOMPLETE keeps packets (NEIGH_QUEUE_MAX, the oldest goes); in all later states they leave at once. A
 * hop is never asked for more than once a second. The table is bounded; a new entry takes the place of one
 * long unused, but never of a gateway nor of one being asked for.
 */
#ifndef WIRECACHE_NET_NEIGH_H
#define WIRECACHE_NET_NEIGH_H

#include "dataplane/net/stack.h"

#define NEIGH_ENTRIES        1024u
#define NEIGH_INCOMPLETE_MAX 128u /* unresolved hops at once: bounds requests a second and packets held */
#define NEIGH_QUEUE_MAX      4u
#define NEIGH_TRIES_MAX      3u /* MAX_MULTICAST_SOLICIT and MAX_UNICAST_SOLICIT, RFC 4861 section 10 */
#define NEIGH_RETRY_US       1000000u
#define NEIGH_NO_MBUF_US     10000u /* when the request itself found no buffer */
#define NEIGH_MISSED_MAX     (NEIGH_RETRY_US / NEIGH_NO_MBUF_US)
#define NEIGH_REACHABLE_US   30000000u
#define NEIGH_DELAY_US       5000000u
/* A confirmation without news is passed to the other workers no more often: below NEIGH_RETRY_US, so none
 * misses it. */
#define NEIGH_ECHO_US        500000u

enum neigh_learn_flags {
	NEIGH_CREATE = 1,    /* make an entry if there is none */
	NEIGH_SOLICITED = 2, /* an answer to a request: two-way reachability */
	NEIGH_OVERRIDE = 4,  /* may replace another link-layer address */
	NEIGH_REMOTE = 8,    /* heard by another worker: not passed on again */
};

enum neigh_state { NEIGH_NONE, NEIGH_INCOMPLETE, NEIGH_REACHABLE, NEIGH_STALE, NEIGH_DELAY, NEIGH_PROBE };

/* Returns NULL when memory is out. Uses stack->env only. */
struct neigh_table *neigh_create(struct net_stack *stack);
void neigh_destroy(struct net_stack *stack);

/* Sends m (IP header in front) to a next hop, now or once it is resolved; takes m. */
void neigh_output(
    struct net_stack *stack, const struct iface *ifc, const struct net_addr *hop, struct rte_mbuf *m);

/* The address to send to now, the entry aged as neigh_output() does; NULL when hop is not resolved. */
const struct rte_ether_addr *neigh_known(
    struct net_stack *stack, const struct iface *ifc, const struct net_addr *hop);

/* What was heard about addr; mac NULL: what is known holds. flags: enum neigh_learn_flags. */
void neigh_learn(struct net_stack *stack, const struct iface *ifc, const struct net_addr *addr,
    const struct rte_ether_addr *mac, unsigned flags);

/* Due timers; microseconds until the next, UINT64_MAX for none. */
uint64_t neigh_poll(struct net_stack *stack);

/* For tests: the state of an entry (NEIGH_NONE if there is none), and NULL or what is broken in the table. */
enum neigh_state neigh_state(const struct net_stack *stack, uint8_t iface, const struct net_addr *addr);
const char *neigh_check(const struct net_stack *stack);

#endif
