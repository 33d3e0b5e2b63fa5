/*
 * Memory for large tables: zeroed, in large pages where the kernel has them, and touched, so that the run takes no page
 * fault. Main thread.
 */
#ifndef WIRECACHE_LOAD_MEMORY_H
#define WIRECACHE_LOAD_MEMORY_H

#include <stddef.h>

/* NULL when there is no memory; of 0 bytes a pointer that may only be freed. */
void *load_memory(size_t bytes);
void load_memory_free(void *memory, size_t bytes);

#endif
