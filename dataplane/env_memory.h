/*
 * Memory for a network stack from the C library: struct net_env's alloc and free, for whoever has no better.
 */
#ifndef WIRECACHE_ENV_MEMORY_H
#define WIRECACHE_ENV_MEMORY_H

#include <stdlib.h>
#include <string.h>
#include <rte_common.h>

/* Zeroed, from the begin of a cache line on. */
static inline void *
env_memory_alloc(void *ctx, size_t bytes)
{
	void *p = aligned_alloc(RTE_CACHE_LINE_SIZE, RTE_ALIGN_CEIL(bytes, RTE_CACHE_LINE_SIZE));

	if (p)
		memset(p, 0, bytes);
	return p;
}

static inline void
env_memory_free(void *ctx, void *p, size_t bytes)
{
	free(p);
}

#endif
