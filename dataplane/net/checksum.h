/*
 * The Internet checksum (RFC 1071) over plain bytes, chained mbufs and pseudo-headers.
 *
 * Partial sums are 64 bits wide: no fold is needed before 2^32 words. A sum is the plain one's complement sum
 * in memory order; csum_finish() makes the value that goes into a header.
 */
#ifndef WIRECACHE_NET_CHECKSUM_H
#define WIRECACHE_NET_CHECKSUM_H

#include <stdint.h>
#include "dataplane/net/net.h"

static inline uint16_t
csum_fold(uint64_t sum)
{
	sum = (sum >> 32) + (sum & 0xffffffff);
	sum = (sum >> 32) + (sum & 0xffffffff);
	sum = (sum >> 16) + (sum & 0xffff);
	sum = (sum >> 16) + (sum & 0xffff);
	return (uint16_t)((sum >> 16) + (sum & 0xffff));
}

static inline uint16_t
csum_finish(uint64_t sum)
{
	return (uint16_t)~csum_fold(sum);
}

/* An IPv4 header without options, the common case: constant size, no loop. Sum includes the checksum
 * field. */
static inline uint64_t
csum_ip4_header(const void *header)
{
	uint32_t w[5];
	memcpy(w, header, sizeof(w));
	return (uint64_t)w[0] + w[1] + w[2] + w[3] + w[4];
}

/* bytes at any alignment and of any length; an odd last byte is padded with zero. */
uint64_t csum_bytes(const void *bytes, size_t len);

/* len bytes from off of a chain, which must hold that many. */
uint64_t csum_mbuf(const struct rte_mbuf *m, uint32_t off, uint32_t len);

/*
 * The pseudo-header of either family (RFC 9293 section 3.1, RFC 8200 section 8.1): an IPv4-mapped address
 * adds only its last word. Source and destination are interchangeable. len 0 for what a port with TSO wants.
 */
static inline uint64_t
csum_pseudo(const struct net_addr *a, const struct net_addr *b, uint8_t proto, uint32_t len)
{
	uint64_t sum = (uint64_t)rte_cpu_to_be_32(proto) + rte_cpu_to_be_32(len) + a->w[3] + b->w[3];
	if (!net_addr_is_v4(a))
		sum += (uint64_t)a->w[0] + a->w[1] + a->w[2] + b->w[0] + b->w[1] + b->w[2];
	return sum;
}

#endif
