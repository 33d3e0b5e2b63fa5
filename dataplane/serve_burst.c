/*
 * See serve_burst.h.
 */
#include "dataplane/serve_burst.h"
#include "dataplane/serve_internal.h"

bool
serve_burst_plain(const struct serve *serve)
{
	return !serve->config.auth && !serve_watched(serve, WATCH_FETCHERS | WATCH_MUTATIONS | SERVE_DETAIL);
}

/* Each key passes here once, as in serve_count_key(). */
static inline void
count_keys(struct serve *serve, const struct store_probe *probes, unsigned n)
{
	if (__builtin_expect(serve->sample_left > n, 1)) {
		serve->sample_left -= n;
		return;
	}
	for (unsigned i = 0; i < n; i++)
		serve_count_key(serve, &probes[i].key);
}

/* Counts the keys but for those left to others; returns how many these are. */
static __attribute__((noinline)) unsigned
count_some_keys(
    struct serve *serve, const struct store_probe *probes, unsigned n, const struct store_found *found)
{
	unsigned left = 0;

	for (unsigned i = 0; i < n; i++) {
		if (serve_found_left(&found[i]))
			left++;
		else
			serve_count_key(serve, &probes[i].key);
	}
	return left;
}

void
serve_gets(struct serve *serve, const struct store_probe *probes, unsigned n, uint32_t value_max,
    struct store_found *found)
{
	const unsigned hits = store_probe_get(serve->thread, probes, n, value_max, found);
	unsigned left = 0;

	if (__builtin_expect(hits == n, 1))
		count_keys(serve, probes, n);
	else
		left = count_some_keys(serve, probes, n, found);
	serve->counters.cmd_get += n - left;
	serve->counters.get_hits += hits;
	serve->counters.get_misses += n - left - hits;
}

enum proto_reply
serve_set(struct serve *serve, const struct store_key *key, const struct serve_set *set)
{
	const struct store_write write = {
	    .mode = STORE_SET,
	    .client_flags = set->client_flags,
	    .expires_s = store_expiry(set->exptime, serve->now_s),
	};
	enum store_status status;

	serve_count_key(serve, key);
	status = store_put(serve->thread, key, &write, set->value, set->value_bytes, NULL);
	if (__builtin_expect(status != STORE_OK, 0))
		return serve_store_refused(serve, key, PROTO_SET, status);
	serve->counters.cmd_set++;
	return PROTO_REPLY_STORED;
}
