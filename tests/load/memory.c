/*
 * Large tables, see memory.h.
 */
#include "tests/load/memory.h"

#include <string.h>
#include <sys/mman.h>

#define LARGE_PAGE ((size_t)2 << 20)

static size_t
rounded(size_t bytes)
{
	size_t unit = bytes >= LARGE_PAGE ? LARGE_PAGE : 4096;

	return (bytes + unit) / unit * unit; /* at least one */
}

void *
load_memory(size_t bytes)
{
	void *memory = mmap(NULL, rounded(bytes), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED)
		return NULL;
	if (bytes >= LARGE_PAGE)
		madvise(memory, rounded(bytes), MADV_HUGEPAGE); /* where not: small pages do */
	memset(memory, 0, bytes);
	return memory;
}

void
load_memory_free(void *memory, size_t bytes)
{
	if (memory != NULL)
		munmap(memory, rounded(bytes));
}
