/*
 * Mapping, binding and cutting up a partition's memory. The constants decide how memory is shared out:
 *
 *   segment   memory / 2048 within 64 KiB and 2 MiB: small enough that open segments and the grain of
 * eviction cost under 2 % of a small store, large enough that a segment's 64-byte entry and a hugepage fit
 * large ones table     memory / 4096 within 64 KiB and 1 MiB (index.h) index     begins at memory / 64 and
 * may grow to a half: 16-byte items would need that, 560-byte items never grow it
 */
#include "store/arena.h"
#include "store/index.h"
#include "store/segment.h"

#include <errno.h>
#include <numaif.h>
#include <stdio.h>
#include <sys/mman.h>

#define SEGMENT_SHIFT_MIN  16u
#define SEGMENT_SHIFT_MAX  21u
#define SEGMENT_PART_SHIFT 11u
#define TABLE_PART_SHIFT   12u
#define INDEX_PART_SHIFT   6u
#define INDEX_PART_MAX     2u
#define DEPTH_MIN_MAX      13u /* directory and tag stay above the bits of group and line */
#define HUGEPAGE_BYTES     (2u << 20)

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
	plan->depth_min = clamp_u32(octave - INDEX_PART_SHIFT - plan->table_shift, 0, DEPTH_MIN_MAX);
	plan->depth_max = plan->depth_min + DEPTH_GROWTH_MAX;

	size_t segments = bytes >> plan->segment_shift;
	size_t directory = sizeof(uint32_t) << plan->depth_max;
	plan->directory_offset = segments * sizeof(struct segment);
	size_t segment = (size_t)1 << plan->segment_shift;
	plan->first_segment = (plan->directory_offset + directory + segment - 1) >> plan->segment_shift;
	plan->segments_len = (uint32_t)(segments - plan->first_segment);
}

static void *
map_anywhere(struct partition *part, size_t bytes, bool hugepages)
{
	const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
	size_t whole = (bytes + HUGEPAGE_BYTES - 1) & ~(size_t)(HUGEPAGE_BYTES - 1);
	void *base = MAP_FAILED;

	part->mapped_bytes = whole;
	part->hugepages = false;
	if (hugepages) {
		/* Without NORESERVE: the kernel sets the pages aside now, so that no touch later can fail. */
		base = mmap(
		    NULL, whole, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB, -1, 0);
		part->hugepages = base != MAP_FAILED;
	}
	if (base == MAP_FAILED) {
		base = mmap(NULL, whole, PROT_READ | PROT_WRITE, flags, -1, 0);
		if (base != MAP_FAILED)
			madvise(base, whole, MADV_HUGEPAGE); /* a wish: normal pages do as well */
	}
	return base;
}

static bool
bind_to_node(void *base, size_t bytes, int node)
{
	unsigned long mask[(STORE_NUMA_NODES_MAX + 63) / 64] = {0};

	if (node < 0 || node >= (int)STORE_NUMA_NODES_MAX)
		return false;
	mask[node / 64] = 1ul << (node % 64);
	return mbind(base, bytes, MPOL_BIND, mask, STORE_NUMA_NODES_MAX + 1, 0) == 0;
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
arena_create(struct partition *part, uint32_t index, size_t bytes, int node, bool hugepages,
    char error[STORE_ERROR_MAX])
{
	struct arena_plan plan;

	arena_plan(bytes, &plan);
	part->base = map_anywhere(part, bytes, hugepages);
	if (part->base == MAP_FAILED) {
		part->base = NULL;
		snprintf(error, STORE_ERROR_MAX, "cannot map %zu MiB of memory for items", bytes >> 20);
		return -ENOMEM;
	}
	part->bound = bind_to_node(part->base, part->mapped_bytes, node);
	part->bytes = bytes;
	part->index = index;
	part->segments = (struct segment *)(void *)part->base;
	part->directory = (_Atomic uint32_t *)(void *)(part->base + plan.directory_offset);
	part->segments_len = plan.segments_len;
	part->segment_shift = plan.segment_shift;
	part->first_segment_offset = (uint32_t)plan.first_segment;
	part->depth_min = plan.depth_min;
	part->depth_max = plan.depth_max;
	part->directory_shift = 64 - plan.depth_max;
	part->tag_shift = 64 - plan.depth_min - SLOT_TAG_BITS;
	part->table_shift = plan.table_shift;
	part->group_mask = (1u << (plan.table_shift - 10)) - 1; /* a group is 16 lines of 64 bytes */
	part->index_segments_max = plan.segments_len / INDEX_PART_MAX;
	part->table_segment = SEGMENT_NONE;
	segments_init(part);
	if (index_init(part) < 0) {
		snprintf(error, STORE_ERROR_MAX, "%zu bytes of memory are too few for an index", bytes);
		return -ENOMEM;
	}
	return 0;
}

void
arena_destroy(struct partition *part)
{
	if (part->base)
		munmap(part->base, part->mapped_bytes);
}
