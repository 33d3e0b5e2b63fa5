/*
 * Keyed hashes: one for the flow table, fast and unpredictable to an outsider; SipHash-2-4 (Aumasson,
 * Bernstein 2012) for what leaves on the wire, initial sequence numbers (RFC 6528) and timestamp offsets.
 */
#ifndef WIRECACHE_TCP_HASH_H
#define WIRECACHE_TCP_HASH_H

#include <assert.h>
#include <immintrin.h>
#include <stddef.h>

#include "dataplane/net/net.h"

struct tcp_secrets {
	uint64_t table[6];
	uint64_t isn[2];
	uint64_t ts[2];
	uint64_t cookie[2];
};

static inline uint64_t
tcp_hash_mix(uint64_t a, uint64_t b)
{
	unsigned __int128 product = (unsigned __int128)a * b;
	return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static inline uint64_t
tcp_hash_ports(const struct net_flow *f)
{
	return (uint64_t)f->local_port << 16 | f->remote_port;
}

static inline uint32_t
tcp_hash_flow(const struct tcp_secrets *s, const struct net_flow *f)
{
	uint64_t a = tcp_hash_mix(f->local.q[0] ^ s->table[0], f->local.q[1] ^ s->table[1]);
	uint64_t b = tcp_hash_mix(f->remote.q[0] ^ s->table[2], f->remote.q[1] ^ s->table[3]);
	uint64_t h = tcp_hash_mix(a ^ tcp_hash_ports(f) ^ s->table[4], b ^ s->table[5]);
	return (uint32_t)(h ^ h >> 32);
}

static_assert(offsetof(struct net_flow, local) == 0 && offsetof(struct net_flow, remote) == 16,
    "both addresses lie in the first 32 bytes");

static inline bool
tcp_flow_equal(const struct net_flow *a, const struct net_flow *b)
{
	/* Both addresses in one register. */
	const __m256i addresses = _mm256_xor_si256(_mm256_loadu_si256((const __m256i *)(const void *)a),
	    _mm256_loadu_si256((const __m256i *)(const void *)b));
	return _mm256_testz_si256(addresses, addresses) &&
	       ((a->local_port ^ b->local_port) | (a->remote_port ^ b->remote_port)) == 0;
}

/* SipHash-2-4 of the flow's four-tuple and one more word. */
uint64_t tcp_siphash_flow(const uint64_t key[2], const struct net_flow *f, uint64_t extra);

#endif
