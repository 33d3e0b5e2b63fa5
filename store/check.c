/*
 * store_check(): walks everything and compares the books with what is there. For tests, with no other thread
 * active.
 */
#include "store/alloc.h"
#include "store/index.h"
#include "store/segment.h"

#include <stdlib.h>

struct check {
	const struct store *store;
	uint64_t items, bytes;
	uint32_t *live;      /* bytes of published records a segment */
	uint32_t *displaced; /* what the control word of a line of the arena should be, by home */
};

static const char *
check_record_place(const struct check *check, const struct partition *part, uint64_t location, uint32_t bytes)
{
	uint32_t segment = location_segment(part, location);

	if (segment >= part->segments_len)
		return "an item lies outside of all segments";
	uint32_t state = atomic_load_explicit(&part->segments[segment].state, memory_order_relaxed);
	if (state != SEGMENT_OPEN && state != SEGMENT_SEALED && state != SEGMENT_BUSY)
		return "an item lies in a segment that holds no items";
	uint64_t offset = location * 8 - (uint64_t)(segment_base(part, segment) - part->base);
	if (offset + bytes > segment_bytes(part))
		return "an item reaches over its segment's end";
	check->live[segment] += bytes;
	return NULL;
}

static const char *
check_chunks(const struct check *check, const struct partition *part, const struct item *item, uint64_t hash)
{
	uint64_t meta = item_meta(item);
	const struct chunk_list *list = item_chunks(item, meta);
	uint64_t sum = 0;

	if (list->len != item_value_len(item))
		return "a chunk list differs from its item's length";
	for (uint32_t i = 0; i < list->len; i++) {
		uint64_t location = chunk_entry_location(list->entry[i]);
		const struct chunk *chunk = location_pointer(part, location);
		const char *broken = check_record_place(check, part, location, record_bytes(chunk));
		if (broken)
			return broken;
		if (!(item_meta((const void *)chunk) & ITEM_RAW) || chunk->ordinal != i ||
		    chunk->hash != hash || chunk->bytes != chunk_entry_bytes(list->entry[i]))
			return "a chunk does not belong to its item";
		sum += chunk->bytes;
	}
	return sum == list->value_bytes ? NULL : "chunks do not add up to their value";
}

/* Does the slot lie in one of the three lines of its hash, under its tag? */
static const char *
check_slot_line(const struct partition *part, struct bucket *table, const struct bucket *line, uint64_t hash,
    uint16_t label)
{
	struct key_lines lines = key_lines(part, table, hash);

	if (table_pointer(part, directory_entry(part, hash)) != table)
		return "an item is in the wrong table";
	if (label_tag(label) != hash_tag(part, hash))
		return "a slot has another tag than its item";
	for (unsigned i = 0; i < LINES_OF_A_KEY; i++)
		if (line == lines.line[i])
			return NULL;
	return "an item is in none of its lines";
}

static uint64_t
line_number(const struct partition *part, const struct bucket *line)
{
	return (uint64_t)((const uint8_t *)line - part->base) / STORE_LINE_BYTES;
}

static const char *
check_slot(struct check *check, const struct partition *part, struct bucket *table, struct bucket *line,
    unsigned slot)
{
	uint64_t location = slot_load(&line->slot[slot]);
	const struct item *item = location_pointer(part, location);
	uint64_t meta = item_meta(item);
	uint64_t hash = index_slot_hash(check->store, part, location);
	const char *broken = check_record_place(check, part, location, record_bytes(item));

	if (!broken && meta & ITEM_RAW)
		broken = "a slot names a record that is no item";
	if (!broken)
		broken = check_slot_line(part, table, line, hash, line->label[slot]);
	if (!broken && meta & ITEM_CHUNKED)
		broken = check_chunks(check, part, item, hash);
	if (!broken && partition_of(check->store, hash) != part)
		broken = "an item is in the wrong partition";
	struct bucket *home = table + hash_home(part, hash);
	if (line != home)
		check->displaced[line_number(part, home)] += 1u << hash_count_shift(hash);
	check->items++;
	check->bytes += alloc_item_bytes(item);
	return broken;
}

static const char *
check_line(struct check *check, const struct partition *part, struct bucket *table, struct bucket *line)
{
	const char *broken = NULL;

	for (unsigned s = 0; s < LINE_SLOTS && !broken; s++)
		if (slot_load(&line->slot[s]))
			broken = check_slot(check, part, table, line, s);
	return broken;
}

/* After all slots have been seen. */
static const char *
check_control(struct check *check, const struct partition *part, struct bucket *table, struct bucket *line)
{
	uint32_t control = atomic_load_explicit(&line->control, memory_order_relaxed);

	(void)table;
	if (control & CONTROL_LOCK)
		return "a bucket is locked";
	if (control != check->displaced[line_number(part, line)])
		return "a home counts its displaced items wrong";
	return NULL;
}

typedef const char *check_visit(
    struct check *check, const struct partition *part, struct bucket *table, struct bucket *line);

static const char *
check_lines(struct check *check, const struct partition *part, check_visit *visit)
{
	uint32_t tables = atomic_load_explicit(&part->tables_len, memory_order_acquire);

	for (uint32_t t = 0; t < tables; t++)
		for (uint32_t line = 0; line < table_lines(part); line++) {
			struct bucket *table = index_table(part, t);
			const char *broken = visit(check, part, table, &table[line]);
			if (broken)
				return broken;
		}
	return NULL;
}

/* A segment's records follow each other up to its used end, and what is not live is booked as dead. */
static const char *
check_segment_books(const struct check *check, const struct partition *part, uint32_t segment)
{
	const struct segment *seg = &part->segments[segment];
	uint32_t used = atomic_load_explicit(&seg->used_bytes, memory_order_relaxed);
	uint32_t dead = atomic_load_explicit(&seg->dead_bytes, memory_order_relaxed);
	uint32_t at = 0;

	while (at < used)
		at += record_bytes(segment_base(part, segment) + at);
	if (at != used)
		return "a segment's records do not end at its used end";
	if (atomic_load_explicit(&seg->fills, memory_order_relaxed) == 0 &&
	    check->live[segment] + dead != used)
		return "a segment's live and dead bytes do not add up";
	return NULL;
}

static const char *
check_segments(const struct check *check, const struct partition *part)
{
	uint32_t count[SEGMENT_INDEX + 1] = {0};

	for (uint32_t i = 0; i < part->segments_len; i++) {
		uint32_t state = atomic_load_explicit(&part->segments[i].state, memory_order_relaxed);
		count[state]++;
		const char *broken = NULL;
		if (state == SEGMENT_SEALED || state == SEGMENT_BUSY)
			broken = check_segment_books(check, part, i);
		else if (state != SEGMENT_OPEN && check->live[i])
			broken = "live bytes in a segment that has none";
		if (broken)
			return broken;
	}
	if (count[SEGMENT_FREE] != atomic_load_explicit(&part->free_len, memory_order_relaxed))
		return "free segments are counted wrong";
	if (count[SEGMENT_LIMBO] != atomic_load_explicit(&part->limbo_len, memory_order_relaxed))
		return "segments in limbo are counted wrong";
	if (count[SEGMENT_INDEX] != atomic_load_explicit(&part->index_segments, memory_order_relaxed))
		return "index segments are counted wrong";
	if (part->segments_len - count[SEGMENT_FREE] !=
	    atomic_load_explicit(&part->used_len, memory_order_relaxed))
		return "used segments are counted wrong";
	return NULL;
}

static const char *
check_partition(struct check *check, const struct partition *part)
{
	check->live = calloc(part->segments_len, sizeof(*check->live));
	check->displaced = calloc(part->memory.mapped_bytes / STORE_LINE_BYTES, sizeof(*check->displaced));
	const char *broken = "no memory for the check";
	if (check->live && check->displaced) {
		broken = check_lines(check, part, check_line);
		if (!broken)
			broken = check_lines(check, part, check_control);
		if (!broken)
			broken = check_segments(check, part);
	}
	free(check->live);
	free(check->displaced);
	return broken;
}

const char *
store_check(const struct store *store)
{
	struct check check = {.store = store};
	struct store_counters counters;

	for (unsigned p = 0; p < store->partitions_len; p++) {
		const char *broken = check_partition(&check, &store->partitions[p]);
		if (broken)
			return broken;
	}
	store_counters_sum(store, &counters);
	if (check.items != counters.items_in - counters.items_out)
		return "items are counted wrong";
	if (check.bytes != counters.bytes_in - counters.bytes_out)
		return "bytes of items are counted wrong";
	return NULL;
}
