/*
 * How much memory holds items that still live how long, from the table of segments: one line a segment, no item is
 * looked at. So a segment counts whole, by the longest life in it. See store.h.
 *
 * Any thread; what is read may change meanwhile, so the sum is about right, and never more than there is by a segment.
 */
#include "store/internal.h"
#include "store/life.h"

#include <string.h>

static const uint32_t band_ends_s[STORE_BANDS] = {
#define STORE_BAND(name, end_s, help) end_s,
#include "store/bands.def"
#undef STORE_BAND
};

static const struct store_band_info empty[STORE_BANDS] = {
#define STORE_BAND(name, end_s, help) {#name, help, 0, 0},
#include "store/bands.def"
#undef STORE_BAND
};

/* expires_max: in items' terms, UINT32_MAX for never. */
static enum store_band
band_of(uint32_t expires_max, uint32_t now_expiry)
{
	enum store_band band = STORE_BAND_expired;

	if (expires_max == UINT32_MAX)
		return STORE_BAND_never;
	if (expires_max <= now_expiry)
		return band;
	do
		band++;
	while (band < STORE_BAND_longer && expires_max - now_expiry > band_ends_s[band]);
	return band;
}

static void
add_segment(const struct segment *segment, uint32_t now_expiry, struct store_band_info bands[STORE_BANDS])
{
	uint32_t state = atomic_load_explicit(&segment->state, memory_order_relaxed);
	uint32_t used = atomic_load_explicit(&segment->used_bytes, memory_order_relaxed);
	uint32_t dead = atomic_load_explicit(&segment->dead_bytes, memory_order_relaxed);
	uint32_t expires_max = atomic_load_explicit(&segment->expires_max, memory_order_relaxed);
	enum store_band band;

	if (state != SEGMENT_OPEN && state != SEGMENT_SEALED && state != SEGMENT_BUSY)
		return;
	band = state == SEGMENT_OPEN ? STORE_BAND_open : band_of(expires_max, now_expiry);
	bands[band].segments++;
	if (state != SEGMENT_OPEN && used > dead)
		bands[band].bytes += used - dead;
}

void
store_bands(const struct store *store, uint32_t now_s, struct store_band_info bands[STORE_BANDS])
{
	uint32_t now_expiry = expiry_of(store, now_s);

	memcpy(bands, empty, sizeof(empty));
	for (unsigned p = 0; p < store->partitions_len; p++) {
		const struct partition *part = &store->partitions[p];

		for (uint32_t i = 0; i < part->segments_len; i++)
			add_segment(&part->segments[i], now_expiry, bands);
	}
}
