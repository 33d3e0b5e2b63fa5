/*
 * Filling a view from an item, for all that return one.
 */
#ifndef WIRECACHE_STORE_READ_H
#define WIRECACHE_STORE_READ_H

#include "store/index.h"

/* meta: the item's, as it was before this access is counted. */
void read_view(const struct store_thread *thread, const struct partition *part, const struct item *item,
    uint64_t meta, struct store_view *view);

/* Remembers where a view that is handed out lies. */
void read_hold(
    struct store_thread *thread, const struct partition *part, const struct item *item, uint64_t meta);

/* Fetched flag, access time and hit counter. */
void read_count_access(const struct store_thread *thread, struct index_hit *hit, uint64_t meta);

#endif
