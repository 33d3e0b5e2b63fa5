/*
 * What requests may ask of the process: memcached's `stats` in its order and names, verbosity, the memory
 * limit. The same numbers answer `wirectl stats`. Figures that memcached has and this appliance has no
 * counterpart for are left out rather than invented.
 *
 * Threads: any; counters are read while their writers go on.
 */
#ifndef WIRECACHE_ADMIN_H
#define WIRECACHE_ADMIN_H

#include <stdbool.h>
#include <stdint.h>

typedef void (*admin_emit_fn)(void *emit_ctx, const char *name, const char *value);

/* As struct serve_host wants them; ctx is the struct cache that the worker serves. */
bool admin_stats(void *ctx, const char *group, uint32_t group_len, admin_emit_fn emit, void *emit_ctx);
void admin_verbosity(void *ctx, uint32_t level);
/* Sends the process the signal that an operator would: the control thread stops it in order. */
void admin_shutdown(void *ctx);
int admin_memory_limit(void *ctx, uint64_t bytes);

#endif
