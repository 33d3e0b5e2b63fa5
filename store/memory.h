/*
 * A partition's memory as it comes from the kernel: one mapping on one NUMA node, anonymous or of a file in tmpfs or
 * hugetlbfs, which outlives the process.
 */
#ifndef WIRECACHE_STORE_MEMORY_H
#define WIRECACHE_STORE_MEMORY_H

#include "store/store.h"

#define MEMORY_PAGE_BYTES ((size_t)2 << 20) /* a hugepage; mappings are multiples of it */

struct memory_wish {
	size_t bytes;
	int node;         /* -1: wherever the kernel puts it */
	bool hugepages;   /* of anonymous memory; a file has the pages of its filesystem */
	const char *path; /* NULL: anonymous */
};

struct memory {
	uint8_t *base; /* NULL: none */
	size_t mapped_bytes;
	size_t found_bytes; /* of the file before; equal to mapped_bytes: what was in it still is */
	int fd;             /* holds the file's lock; -1: anonymous */
	bool hugepages;
	bool bound;
};

/*
 * 0 or negative errno with a sentence in error. A file is locked for as long as it is mapped: -EBUSY when another
 * process has it. All of its pages are taken here, so that no touch can fail later: -ENOSPC when there are too few.
 */
int memory_map(struct memory *memory, const struct memory_wish *wish, char error[STORE_ERROR_MAX]);

/* The file stays. */
void memory_unmap(struct memory *memory);

/* Removes a file that nobody has mapped; false when there is none or someone has. */
bool memory_remove(const char *path);

#endif
