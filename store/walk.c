/*
 * Walking over all items while others write: a cursor over the lines of all tables of all partitions, tables in the
 * order of their creation, of each the spill lines before the homes. Locks nothing.
 *
 * Why no item is missed that is there all the time. It changes its place only while the index grows: then it goes to
 * the newest table, or from a spill line to its home in the same table. Both come later in the walk than the place it
 * left. A place is cleared after the item is in the other one and, if that is a new table, after the table has its
 * number; so who sees the place empty finds the item where the walk has yet to come, or has been there before.
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
	for (unsigned s = 0; s < LINE_SLOTS; s++) {
		uint64_t location = atomic_load_explicit(&line->slot[s], memory_order_relaxed);
		if (location)
			__builtin_prefetch(location_pointer(part, location));
	}
}

/* False: the visitor does not want it now. */
static bool
visit_slot(const struct walk *walk, const struct partition *part, uint64_t location)
{
	const struct item *item = location_pointer(part, location);
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
	for (; cursor->slot_ < LINE_SLOTS; cursor->slot_++, ++*looked) {
		uint64_t location = slot_load(&line->slot[cursor->slot_]);
		if (location && !visit_slot(walk, part, location))
			return false;
	}
	return true;
}

static void
next_line(struct store_cursor *cursor, const struct partition *part)
{
	cursor->slot_ = 0;
	if (++cursor->line_ < table_lines(part))
		return;
	cursor->line_ = 0;
	/* acquire pairs with table_carve() */
	if (++cursor->table_ < atomic_load_explicit(&part->tables_len, memory_order_acquire))
		return;
	cursor->table_ = 0;
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
		struct bucket *last = index_table(part, cursor->table_) + table_lines(part) - 1;

		if (!walk_line(&walk, part, last - cursor->line_, &looked))
			return true;
		next_line(cursor, part);
	}
	return cursor->partition_ < store->partitions_len;
}
