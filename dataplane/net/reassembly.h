/*
 * Reassembly of IPv4 and IPv6 fragments (RFC 815's idea of holes, RFC 8200 section 4.5, RFC 5722), one table
 * for both.
 *
 * Bounds, so that a flood costs only the datagrams of others who fragment: memory at its true size (whole
 * buffers, as configured), REASSEMBLY_DATAGRAMS at once, REASSEMBLY_PIECES in all, REASSEMBLY_PIECES_EACH of
 * one datagram, REASSEMBLY_TIMEOUT_US. At a bound the oldest datagram goes.
 *
 * Overlapping fragments condemn their datagram: what has come is freed and what comes until the timeout is
 * dropped. An exact duplicate is what networks do and is dropped alone.
 */
#ifndef WIRECACHE_NET_REASSEMBLY_H
#define WIRECACHE_NET_REASSEMBLY_H

#include "dataplane/net/stack.h"

#define REASSEMBLY_DATAGRAMS   512u
#define REASSEMBLY_PIECES      2048u
#define REASSEMBLY_PIECES_EACH 64u
#define REASSEMBLY_TIMEOUT_US  3000000u

struct fragment {
	rte_be32_t id;   /* IPv4: the 16-bit identification */
	uint32_t offset; /* bytes, a multiple of 8 */
	bool more;
	uint8_t key_proto; /* IPv4: the protocol is part of the key; IPv6: 0 */
};

/* Returns NULL when memory is out. Uses stack->env only. */
struct reassembly *reassembly_create(struct net_stack *stack, uint32_t bytes_max);
void reassembly_destroy(struct net_stack *stack);

/*
 * Takes the fragment rx (l4_off and l4_len: its part of the payload). True when that completed a datagram: rx
 * is the whole payload then, chained, with l3_off IP_QUOTE_NONE. Otherwise rx->m is gone: kept or dropped.
 */
bool reassembly_input(struct net_stack *stack, struct ip_rx *rx, const struct fragment *fragment);

/* Expires what is due; microseconds until the next, UINT64_MAX for none. */
uint64_t reassembly_poll(struct net_stack *stack);

/* For tests: what is held, and NULL or what is broken. */
uint32_t reassembly_bytes(const struct net_stack *stack);
const char *reassembly_check(const struct net_stack *stack);

#endif
