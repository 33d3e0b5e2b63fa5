/*
 * What every test of the network stack gives it as its surroundings: random numbers that repeat, and counted memory.
 */
#ifndef WIRECACHE_TESTENV_H
#define WIRECACHE_TESTENV_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* Zeroed, 64-byte aligned; *held_bytes counts what is out. */
static inline void *
testenv_alloc(int64_t *held_bytes, size_t bytes)
{
	void *p = aligned_alloc(64, (bytes + 63) / 64 * 64);

	if (p == NULL)
		abort();
	memset(p, 0, bytes);
	*held_bytes += (int64_t)bytes;
	return p;
}

static inline void
testenv_free(int64_t *held_bytes, void *p, size_t bytes)
{
	*held_bytes -= (int64_t)bytes;
	free(p);
}

#endif
