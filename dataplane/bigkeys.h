/*
 * The keys with the largest values among those that a worker read or took in lately: looked at only where a value is
 * too large to be copied along with its head, so small values cost nothing. An entry that was not seen for an hour
 * makes room for any other.
 *
 * Threads: one struct bigkeys a worker, its only writer; others copy published entries.
 */
#ifndef WIRECACHE_BIGKEYS_H
#define WIRECACHE_BIGKEYS_H

#include <stdint.h>

#include "dataplane/hotkeys.h"
#include "dataplane/publish.h"

#define BIGKEYS_LEN    16u
#define BIGKEYS_KEPT_S 3600u

struct bigkeys_entry {
	struct hotkeys_key key; /* len 0: none */
	uint32_t value_bytes;
	uint32_t seen_s; /* Unix time */
};

struct bigkeys {
	struct bigkeys_entry entries[BIGKEYS_LEN]; /* the writer's */
	PUBLISHED(struct bigkeys_entry) published[BIGKEYS_LEN];
};

void bigkeys_note(
    struct bigkeys *bigkeys, const uint8_t *key, uint32_t len, uint32_t value_bytes, uint32_t now_s);

/* The largest over several workers that were seen within BIGKEYS_KEPT_S, largest first; returns how many. */
unsigned bigkeys_merge(const struct bigkeys *const *workers, unsigned workers_len, uint32_t now_s,
    struct bigkeys_entry *out, unsigned room);

#endif
