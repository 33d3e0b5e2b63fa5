/*
 * Walking over all items while others write: a cursor over the lines of all tables of all partitions, in the order of
 * the directory. Locks nothing.
 *
 * Why no item is missed that is there all the time. It changes its place only when its table splits: then it stays, or
 * goes to the new table, which takes the upper half of the old one's directory entries. The lower half keeps the old
 * table, so the cursor's entry names the same table for good, and what the cursor skips at its end are the entries that
 * still name this table then. An item that left before its line was looked at left a slot that was cleared after the
 * new table was published, so who sees the slot empty sees the new table, too, and walks it from its start.
 */
#include "store/alloc.h"
#include "store/index.h"
#include "store/life.h"
#include "store/read.h"

struct walk {
	struct store_thread *thread;
	struct store_cursor *cursor;
	store_visit *visit;
	void *ctx;
};

static void
prefetch_line(const struct partition *part, const struct bucket *line)
{
	for (unsigned s = 0; s < BUCKET_SLOTS; s++) {
		uint64_t location = slot_location(atomic_load_explicit(&line->slot[s], memory_order_relaxed));
		if (location)
			__builtin_prefetch(location_pointer(part, location));
	}
}

/* False: the visitor does not want it now. */
static bool
visit_slot(const struct walk *walk, const struct partition *part, uint64_t word)
{
	const struct item *item = location_pointer(part, slot_location(word));
	uint32_t expiry;
	uint64_t meta = item_moment(item, &expiry);
	struct store_entry entry;

	if (life_by(walk->thread, meta, expiry, flush_latest(walk->thread->store)) != ITEM_ALIVE)
		return true;
	entry.key = item_key(item, meta);
	entry.key_len = meta_key_len(meta);
	entry.total_bytes = alloc_item_bytes(item);
	read_view(walk->thread, part, item, meta, expiry, &entry.view);
	return walk->visit(walk->ctx, &entry);
}

/* What is left of a line. *looked counts slots. False: the visitor stopped the walk. */
static bool
walk_line(const struct walk *walk, const struct partition *part, struct bucket *line, unsigned *looked)
{
	struct store_cursor *cursor = walk->cursor;

	prefetch_line(part, line);
	for (; cursor->slot_ < BUCKET_SLOTS; cursor->slot_++, ++*looked) {
		uint64_t word = slot_load(&line->slot[cursor->slot_]);
		if (word && !visit_slot(walk, part, word))
			return false;
	}
	return true;
}

/* Behind the last entry that names the table of the cursor's. */
static uint32_t
next_entry(const struct partition *part, uint32_t at)
{
	uint32_t len = 1u << (64 - part->directory_shift);
	uint32_t table = atomic_load_explicit(&part->directory[at], memory_order_acquire);

	do
		at++;
	while (at < len && atomic_load_explicit(&part->directory[at], memory_order_acquire) == table);
	return at < len ? at : 0;
}

static void
next_line(struct store_cursor *cursor, const struct partition *part)
{
	cursor->slot_ = 0;
	if (++cursor->line_ < (part->group_mask + 1) * GROUP_LINES)
		return;
	cursor->line_ = 0;
	cursor->entry_ = next_entry(part, cursor->entry_);
	if (cursor->entry_ == 0)
		cursor->partition_++;
}

bool
store_walk(
    struct store_thread *thread, struct store_cursor *cursor, unsigned budget, store_visit *visit, void *ctx)
{
	const struct store *store = thread->store;
	const struct walk walk = {thread, cursor, visit, ctx};

	for (unsigned looked = 0; cursor->partition_ < store->partitions_len && looked < budget;) {
		const struct partition *part = &store->partitions[cursor->partition_];
		uint32_t entry = atomic_load_explicit(&part->directory[cursor->entry_], memory_order_acquire);

		if (!walk_line(&walk, part, table_pointer(part, entry) + cursor->line_, &looked))
			return true;
		next_line(cursor, part);
	}
	return cursor->partition_ < store->partitions_len;
}
