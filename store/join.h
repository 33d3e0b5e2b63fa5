/*
 * append and prepend: a new item made of the old one's value and new bytes. Also the way to a new item of the same
 * value, when one must change that has no room for its change in place.
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
	enum draft_kind kind; /* DRAFT_APPENDED, or DRAFT_INVALIDATED with no new bytes */
	bool expires_set;     /* write's expiry replaces the old item's */
};

/*
 * STORE_OK; STORE_NOT_FOUND: nothing to join to; STORE_NOT_STORED: beyond the limit; STORE_EXISTS: CAS did
 * not match; STORE_NO_MEMORY. The source is left to the caller.
 */
enum store_status join_put(struct store_thread *thread, const struct join *join, uint64_t *cas);

#endif
