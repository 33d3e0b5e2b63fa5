/*
 * Emptying segments: eviction, compaction and expiry, in slices of a few items, each thread at its own
 * segment.
 *
 * A segment chosen as a victim (segment.h) is walked from its start. Each record that the index still names
 * is dropped   when it is expired or flushed, or in eviction when nobody read it since it was stored or
 * moved, moved     when it was read, with its hit count halved, or when the segment is merely compacted. Then
 * it goes to limbo. No item is ever left in the index without its memory: unlinking comes before reuse.
 *
 * A chunk of a large value is judged by its owner's hits; dropping one drops the whole item.
 */
#ifndef WIRECACHE_STORE_EVICT_H
#define WIRECACHE_STORE_EVICT_H

#include "store/internal.h"

/* Empties one segment at once for a writer that waits. drop: moves nothing. False: there is no victim. */
bool evict_inline(struct store_thread *thread, struct partition *part, bool drop);

/* Makes room in the index lines of a hash: lets the index grow, if it may, or gives up an item. False: nothing
 * can be done. */
bool evict_index(struct store_thread *thread, struct partition *part, uint64_t hash, bool may_grow);

/* Books an item as evicted that a caller has taken out of the index. */
void evict_forget(struct store_thread *thread, struct partition *part, const struct item *item);

/* Ends the thread's job, if any, at a segment's end. */
void evict_finish(struct store_thread *thread);

#endif
