/*
 * Cutting up a partition's memory. The constants decide how memory is shared out:
 *
 *   segment   memory / 2048 within 64 KiB and 2 MiB: small enough that open segments and the grain of
 *             eviction cost under 2 % of a small store, large enough that a segment's 64-byte entry and a
 *             hugepage fit large ones
 *   table     memory / 4096 within 64 KiB and 256 KiB (index.h)
 *   index     begins at memory / 64 and may grow to a half: 16-byte items would need that, 560-byte items
 *             never grow it
 */
#include "store/arena.h"
#include "store/index.h"
#include "store/segment.h"

#include <errno.h>
#include <stdio.h>

#define SEGMENT_SHIFT_MIN  16u
#define SEGMENT_SHIFT_MAX  21u
#define SEGMENT_PART_SHIFT 11u
#define TABLE_PART_SHIFT   12u
#define INDEX_PART_SHIFT   6u
#define INDEX_PART_MAX     2u
/* Tables that a region begins with; a few, so that its first growth is no doubling. */
#define REGION_TABLES_BITS 2u

static uint32_t
clamp_u32(uint32_t value, uint32_t least, uint32_t most)
{
	return value < least ? least : value > most ? most : value;
}

static uint32_t
log2_floor(size_t value)
{
	return 63 - (uint32_t)__builtin_clzl(value | 1);
}

void
arena_plan(size_t bytes, struct arena_plan *plan)
{
	uint32_t octave = log2_floor(bytes);

	plan->bytes = bytes;
	plan->segment_shift = clamp_u32(octave - SEGMENT_PART_SHIFT, SEGMENT_SHIFT_MIN, SEGMENT_SHIFT_MAX);
	plan->table_shift = clamp_u32(octave - TABLE_PART_SHIFT, TABLE_SHIFT_MIN, TABLE_SHIFT_MAX);
	uint32_t first_bits = octave - INDEX_PART_SHIFT - plan->table_shift;
	plan->tables_first = 1u << first_bits;
	plan->directory_bits =
	    REGION_BITS + (first_bits > REGION_TABLES_BITS ? first_bits - REGION_TABLES_BITS : 0);

	size_t segments = bytes >> plan->segment_shift;
	plan->tables_max = (uint32_t)(bytes / INDEX_PART_MAX >> plan->table_shift);
	plan->directory_offset = ARENA_SUPERBLOCK_BYTES + segments * sizeof(struct segment);
	plan->tables_offset = plan->directory_offset + (sizeof(uint32_t) << plan->directory_bits);
	plan->newest_offset = plan->tables_offset + plan->tables_max * sizeof(uint32_t);
	size_t end = plan->newest_offset + (sizeof(uint32_t) << plan->directory_bits >> REGION_BITS);
	size_t segment = (size_t)1 << plan->segment_shift;
	plan->first_segment = (end + segment - 1) >> plan->segment_shift;
	plan->segments_len = (uint32_t)(segments - plan->first_segment);
}

static void
segments_init(struct partition *part)
{
	part->limbo = (struct segment_queue){SEGMENT_NONE, SEGMENT_NONE};
	for (unsigned class = 0; class < CLASSES; class ++)
		part->queue[class] = (struct segment_queue){SEGMENT_NONE, SEGMENT_NONE};
	part->free_head = 0;
	for (uint32_t i = 0; i < part->segments_len; i++)
		part->segments[i].next = i + 1 < part->segments_len ? i + 1 : SEGMENT_NONE;
	atomic_store_explicit(&part->free_len, part->segments_len, memory_order_relaxed);
	atomic_store_explicit(&part->limit_len, part->segments_len, memory_order_relaxed);
}

int
arena_map(struct partition *part, uint32_t index, const struct memory_wish *wish, char error[STORE_ERROR_MAX])
{
	struct arena_plan plan;
	int rc = memory_map(&part->memory, wish, error);

	if (rc != 0)
		return rc;
	arena_plan(wish->bytes, &plan);
	part->base = part->memory.base;
	part->node = wish->node;
	part->bytes = wish->bytes;
	part->index = index;
	part->segments = (struct segment *)(void *)(part->base + ARENA_SUPERBLOCK_BYTES);
	part->directory = (_Atomic uint32_t *)(void *)(part->base + plan.directory_offset);
	part->segments_len = plan.segments_len;
	part->segment_shift = plan.segment_shift;
	part->first_segment_offset = (uint32_t)plan.first_segment;
	part->tables = (_Atomic uint32_t *)(void *)(part->base + plan.tables_offset);
	part->newest = (uint32_t *)(void *)(part->base + plan.newest_offset);
	part->tables_first = plan.tables_first;
	part->tables_max = plan.tables_max;
	part->directory_shift = 64 - plan.directory_bits;
	part->tag_shift = 64 - (plan.directory_bits - REGION_BITS) - TAG_BITS;
	part->table_shift = plan.table_shift;
	uint32_t lines = (1u << plan.table_shift) / STORE_LINE_BYTES;
	part->spills = lines / SPILL_PART;
	part->homes = lines - part->spills;
	part->index_segments_max = plan.segments_len / INDEX_PART_MAX;
	return 0;
}

int
arena_format(struct partition *part, char error[STORE_ERROR_MAX])
{
	/* Fresh memory is zero; a file's may hold what is not wanted any more. */
	if (part->memory.found_bytes)
		memset(part->base, 0, (size_t)(segment_base(part, 0) - part->base));
	part->table_segment = SEGMENT_NONE;
	atomic_store_explicit(&part->tables_len, 0, memory_order_relaxed);
	segments_init(part);
	if (index_init(part) == 0)
		return 0;
	snprintf(error, STORE_ERROR_MAX, "%zu bytes of memory are too few for an index", part->bytes);
	return -ENOMEM;
}

void
arena_unmap(struct partition *part)
{
	memory_unmap(&part->memory);
}
