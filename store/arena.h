/*
 * A partition's memory: one mapping on one NUMA node, cut into segment table, directory and segments
 * (internal.h).
 */
#ifndef WIRECACHE_STORE_ARENA_H
#define WIRECACHE_STORE_ARENA_H

#include "store/internal.h"

/* Sizes of a partition that follow from its memory. */
struct arena_plan {
	size_t bytes;
	uint32_t segment_shift;
	uint32_t segments_len;
	uint32_t table_shift;
	uint32_t depth_min, depth_max;
	size_t directory_offset;
	size_t first_segment; /* in segments */
};

void arena_plan(size_t bytes, struct arena_plan *plan);

/*
 * Maps and lays out a partition; node -1: anywhere. 0 or -ENOMEM with a sentence in error. Pages are bound,
 * but not touched, except for the index.
 */
int arena_create(struct partition *part, uint32_t index, size_t bytes, int node, bool hugepages,
    char error[STORE_ERROR_MAX]);
void arena_destroy(struct partition *part);

#endif
