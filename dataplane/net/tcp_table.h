/*
 * The flow table of one worker: from a four-tuple to a connection, a SYN entry or a TIME-WAIT entry.
 *
 *   bucket, 64 bytes:  | 8 tags x 16 bits | 8 references x 32 bits | passed | -- |
 *
 * A key lives in its home bucket or, when that was full, in one of the next; `passed` counts the keys that
 * went by, so that a search ends at the first bucket that nobody passed. At half load practically every
 * search ends in the first bucket. The burst's staging (hash all and prefetch buckets, take by tag what is likely the
 * connection and prefetch it, compare) is in tcp_in.c.
 */
#ifndef WIRECACHE_TCP_TABLE_H
#define WIRECACHE_TCP_TABLE_H

#include <immintrin.h>
#include <rte_prefetch.h>

#include "dataplane/net/net.h"

struct tcp_stack;

#define TCP_BUCKET_WAYS 8u

struct tcp_bucket {
	uint16_t tags[TCP_BUCKET_WAYS]; /* 0: free */
	uint32_t refs[TCP_BUCKET_WAYS];
	uint32_t passed;
	uint32_t unused[3];
} __attribute__((aligned(64)));

struct tcp_table {
	struct tcp_bucket *buckets;
	uint32_t mask;
	uint32_t used, max;
	uint32_t generation; /* counts changes: a reference found before is good while this stays */
};

bool tcp_table_init(struct tcp_stack *tcp, uint32_t entries_max);
void tcp_table_fini(struct tcp_stack *tcp);

/* Room for more entries; false without memory, and nothing changed. */
bool tcp_table_grow(struct tcp_stack *tcp, uint32_t entries_max);

/* The reference for this flow, or TCP_INDEX_NONE. */
uint32_t tcp_table_find(const struct tcp_stack *tcp, uint32_t hash, const struct net_flow *flow);
/* The caller knows that the flow is absent; false when the table is full. */
bool tcp_table_insert(struct tcp_stack *tcp, uint32_t hash, uint32_t ref);
/* The reference must be present. */
void tcp_table_remove(struct tcp_stack *tcp, uint32_t hash, uint32_t ref);
void tcp_table_replace(struct tcp_stack *tcp, uint32_t hash, uint32_t ref, uint32_t new_ref);
const char *tcp_table_check(const struct tcp_stack *tcp);

static inline void
tcp_table_prefetch(const struct tcp_table *t, uint32_t hash)
{
	rte_prefetch0(&t->buckets[hash & t->mask]);
}

static inline uint16_t
tcp_table_tag(uint32_t hash)
{
	uint16_t tag = (uint16_t)(hash >> 16);
	return tag ? tag : 1;
}

/* The ways with this tag, two bits each, of which the lower one counts. */
static inline unsigned
tcp_bucket_equal(const struct tcp_bucket *b, uint16_t tag)
{
	const __m128i tags = _mm_load_si128((const __m128i *)(const void *)b->tags);
	return (unsigned)_mm_movemask_epi8(_mm_cmpeq_epi16(tags, _mm_set1_epi16((int16_t)tag))) & 0x5555u;
}

/* What tcp_table_find() will most likely answer: nothing but the home bucket is read. TCP_INDEX_NONE: nothing is there. */
static inline uint32_t
tcp_table_likely(const struct tcp_table *t, uint32_t hash)
{
	const struct tcp_bucket *b = &t->buckets[hash & t->mask];
	unsigned equal = tcp_bucket_equal(b, tcp_table_tag(hash));
	return equal ? b->refs[__builtin_ctz(equal) / 2] : UINT32_MAX;
}

#endif
