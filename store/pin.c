/*
 * Pins: memory that a value on its way out still needs, across quiescent points. Each thread counts its pins
 * of each segment in an array of its own, so pinning writes no shared line; whoever reclaims a segment looks
 * at all arrays. A handle is the item's place: partition << 32 | location.
 */
#include "store/segment.h"

/* Of a partition's segments, the share that all threads together may pin; each thread gets an equal part. */
#define PIN_PART         4u
#define PIN_SEGMENTS_MIN 1u

static uint32_t
pin_budget(const struct store *store)
{
	uint32_t threads = atomic_load_explicit(&store->registered, memory_order_relaxed);
	uint32_t segments = store->partitions[0].segments_len * store->partitions_len;
	uint32_t budget = segments / PIN_PART / (threads ? threads : 1);
	return budget > PIN_SEGMENTS_MIN ? budget : PIN_SEGMENTS_MIN;
}

static void
pin_add(struct store_thread *thread, const struct partition *part, uint64_t location)
{
	_Atomic uint32_t *pins = atomic_load_explicit(&thread->pins[part->index], memory_order_relaxed);
	uint32_t segment = location_segment(part, location);
	uint32_t count = atomic_load_explicit(&pins[segment], memory_order_relaxed);

	if (count == 0)
		thread->pinned_segments++;
	/* Ordered before this thread's next quiescent point, which a reclaimer waits for: relaxed is
	 * enough. */
	atomic_store_explicit(&pins[segment], count + 1, memory_order_relaxed);
}

static void
pin_remove(struct store_thread *thread, const struct partition *part, uint64_t location)
{
	_Atomic uint32_t *pins = atomic_load_explicit(&thread->pins[part->index], memory_order_relaxed);
	uint32_t segment = location_segment(part, location);
	uint32_t count = atomic_load_explicit(&pins[segment], memory_order_relaxed);

	assert(count > 0);
	if (count == 1)
		thread->pinned_segments--;
	/* release pairs with segment_pinned(): the last use comes before the reuse */
	atomic_store_explicit(&pins[segment], count - 1, memory_order_release);
}

bool
store_pin(struct store_thread *thread, const struct store_view *view, struct store_pin *pin)
{
	const struct partition *part = &thread->store->partitions[view->cold_];
	const struct item *item = view->item_;
	uint64_t meta = item_meta(item);
	const struct chunk_list *list = meta & ITEM_CHUNKED ? item_chunks(item, meta) : NULL;
	uint32_t more = 1 + (list ? list->len : 0);

	if (thread->pinned_segments + more > pin_budget(thread->store) && thread->pinned_segments > 0) {
		COUNT(thread, pins_refused);
		return false;
	}
	uint64_t location = pointer_location(part, item);
	pin_add(thread, part, location);
	for (uint32_t i = 0; list && i < list->len; i++)
		pin_add(thread, part, chunk_entry_location(list->entry[i]));
	pin->handle_ = (uint64_t)part->index << LOCATION_BITS | location;
	return true;
}

void
store_unpin(struct store_thread *thread, struct store_pin pin)
{
	const struct partition *part = &thread->store->partitions[pin.handle_ >> LOCATION_BITS];
	uint64_t location = pin.handle_ & ((1ull << LOCATION_BITS) - 1);
	const struct item *item = location_pointer(part, location);
	uint64_t meta = item_meta(item);

	if (meta & ITEM_CHUNKED) {
		const struct chunk_list *list = item_chunks(item, meta);
		for (uint32_t i = 0; i < list->len; i++)
			pin_remove(thread, part, chunk_entry_location(list->entry[i]));
	}
	pin_remove(thread, part, location); /* last: the list lies there */
}
