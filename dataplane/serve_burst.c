/*
 * See serve_burst.h.
 */
#include "dataplane/serve_burst.h"
#include "dataplane/serve_internal.h"

bool
serve_gets_plain(const struct serve *serve)
{
	return !serve->config.auth && !serve_watched(serve, WATCH_FETCHERS | SERVE_DETAIL);
}

void
serve_gets(struct serve *serve, const struct store_probe *probes, unsigned n, uint32_t value_max,
    struct store_found *found)
{
	const unsigned hits = store_probe_get(serve->thread, probes, n, value_max, found);
	unsigned left = 0;

	for (unsigned i = 0; i < n; i++) {
		if (__builtin_expect(serve_found_left(&found[i]), 0))
			left++;
		else
			serve_count_key(serve, &probes[i].key);
	}
	serve->counters.cmd_get += n - left;
	serve->counters.get_hits += hits;
	serve->counters.get_misses += n - left - hits;
}
