/*
 * append and prepend: a new item made of the old one's value and new bytes.
 */
#ifndef WIRECACHE_STORE_JOIN_H
#define WIRECACHE_STORE_JOIN_H

#include "store/fill.h"

struct join {
	const struct store_key *key;
	const struct store_write *write;
	const uint8_t *bytes;            /* the new bytes at hand, or NULL: */
	const struct store_fill *source; /* a complete fill that holds them */
	uint32_t len;
};

/*
 * STORE_OK; STORE_NOT_FOUND: nothing to join to; STORE_NOT_STORED: beyond the limit; STORE_EXISTS: CAS did
 * not match; STORE_NO_MEMORY. The source is left to the caller.
 */
enum store_status join_put(struct store_thread *thread, const struct join *join, uint64_t *cas);

#endif
