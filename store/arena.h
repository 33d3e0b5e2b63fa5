/*
 * How a partition's memory is cut into superblock, segment table, directory and segments (internal.h).
 */
#ifndef WIRECACHE_STORE_ARENA_H
#define WIRECACHE_STORE_ARENA_H

#include "store/internal.h"

/* Room for restart.c at an arena's begin. */
#define ARENA_SUPERBLOCK_BYTES 4096u

/* Sizes of a partition that follow from its memory. */
struct arena_plan {
	size_t bytes;
	uint32_t segment_shift;
	uint32_t segments_len;
	uint32_t table_shift;
	uint32_t tables_first, tables_max; /* of the index */
	uint32_t directory_bits;
	size_t directory_offset, tables_offset, newest_offset;
	size_t first_segment; /* in segments */
};

void arena_plan(size_t bytes, struct arena_plan *plan);

/* Maps a partition and says where in it everything is; 0 or negative errno with a sentence in error. */
int arena_map(
    struct partition *part, uint32_t index, const struct memory_wish *wish, char error[STORE_ERROR_MAX]);
/* Makes it empty: 0 or -ENOMEM. Touches no more than what lies before the segments, and the index. */
int arena_format(struct partition *part, char error[STORE_ERROR_MAX]);
void arena_unmap(struct partition *part);

#endif
