/*
 * See observed.h.
 */
#include "control/observed.h"

#include <string.h>

#define PERIOD_MS 1000u

static void
take(const struct dataplane *dataplane, struct observed_latency *out)
{
	out->len = observe_latency(dataplane, -1, out->rows);
}

static void
subtract(struct observe_latency *from, const struct observe_latency *less)
{
	from->requests -= less->requests;
	from->sum_ns -= less->sum_ns;
	for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++)
		from->counts[i] -= less->counts[i];
}

void
observed_tick(struct observed *observed, const struct dataplane *dataplane, uint64_t now_ms)
{
	if (observed->last_ms != 0 && now_ms - observed->last_ms < PERIOD_MS)
		return;
	observed->before = observed->last;
	observed->last_ms = now_ms;
	take(dataplane, &observed->last);
}

void
observed_latency_reset(struct observed *observed, const struct dataplane *dataplane)
{
	take(dataplane, &observed->baseline);
}

void
observed_latency_since_reset(
    const struct observed *observed, const struct dataplane *dataplane, struct observed_latency *out)
{
	take(dataplane, out);
	for (unsigned i = 0; i < observed->baseline.len; i++)
		subtract(&out->rows[i], &observed->baseline.rows[i]);
}

void
observed_latency_lately(const struct observed *observed, uint64_t counts[HISTOGRAM_BUCKETS])
{
	memset(counts, 0, HISTOGRAM_BUCKETS * sizeof(*counts));
	for (unsigned i = 0; i < observed->before.len; i++)
		for (unsigned bucket = 0; bucket < HISTOGRAM_BUCKETS; bucket++)
			counts[bucket] +=
			    observed->last.rows[i].counts[bucket] - observed->before.rows[i].counts[bucket];
}

json_t *
observed_key(const uint8_t *key, uint32_t len)
{
	static const char hex[] = "0123456789ABCDEF";
	char text[3 * OBSERVE_KEY_MAX], *to = text;
	for (uint32_t i = 0; i < len && i < OBSERVE_KEY_MAX; i++) {
		if (key[i] > ' ' && key[i] < 0x7f && key[i] != '%') {
			*to++ = (char)key[i];
		} else {
			*to++ = '%';
			*to++ = hex[key[i] >> 4];
			*to++ = hex[key[i] & 15];
		}
	}
	return json_stringn(text, (size_t)(to - text));
}
