/*
 * Growth of the index: tables carved out of segments, and what they are given. index.h has the layout.
 *
 * A table whose lines are full gives a seventh of its entries of the directory to its region's newest table. When that
 * has as much as those who give, the next one begins a new table. To give, with all of its homes locked:
 *
 *   1  copy the items of the entries that go       found by the old table still
 *   2  change those entries of the directory       a reader that saw nothing in the old table sees them changed
 *   3  clear the items in the old table
 *   4  copy displaced items that stay home, where there is room now
 *   5  new generation in the entries that stay     a reader that saw nothing at home sees it changed
 *   6  clear the displaced copies
 *
 * A reader that looks for an item finds it before or after each step, or finds the entry changed and looks again.
 */
#include "store/index.h"
#include "store/segment.h"

#include <errno.h>

/* A full table gives one entry of so many, so it is full again when it has a sixth more items. */
#define GIFT_PART       7u
/* Slots of a table's spill lines. */
#define SPILL_SLOTS_MAX ((1u << TABLE_SHIFT_MAX) / STORE_LINE_BYTES / SPILL_PART * LINE_SLOTS)

/* ---- tables ----------------------------------------------------------------------------------- */

bool
index_table_ready(const struct partition *part)
{
	return part->table_segment != SEGMENT_NONE && part->table_next < segment_bytes(part) &&
	       atomic_load_explicit(&part->tables_len, memory_order_relaxed) < part->tables_max;
}

void
index_table_add(struct partition *part, uint32_t segment)
{
	part->table_segment = segment;
	part->table_next = 0;
}

static uint32_t
table_entry(const struct partition *part, const struct bucket *table)
{
	return (uint32_t)((uint64_t)((const uint8_t *)table - part->base) >> 12) << ENTRY_GENERATION_BITS;
}

static struct bucket *
table_carve(struct partition *part)
{
	uint32_t bytes = 1u << part->table_shift;
	uint32_t number = atomic_load_explicit(&part->tables_len, memory_order_relaxed);
	struct bucket *table =
	    (struct bucket *)(void *)(segment_base(part, part->table_segment) + part->table_next);

	part->table_next += bytes;
	memset(table, 0, bytes);
	atomic_store_explicit(&part->tables[number], table_entry(part, table), memory_order_relaxed);
	/* release pairs with next_line() in walk.c: number and lines are there */
	atomic_store_explicit(&part->tables_len, number + 1, memory_order_release);
	return table;
}

int
index_init(struct partition *part)
{
	uint32_t len = 1u << (64 - part->directory_shift);
	uint32_t each = len / part->tables_first; /* entries a table */

	for (uint32_t at = 0; at < len; at += each) {
		if (!index_table_ready(part)) {
			uint32_t segment = segment_take_index(part, 0);
			if (segment == SEGMENT_NONE)
				return -ENOMEM;
			index_table_add(part, segment);
		}
		uint32_t entry = table_entry(part, table_carve(part));
		for (uint32_t i = 0; i < each; i++)
			atomic_store_explicit(&part->directory[at + i], entry, memory_order_relaxed);
	}
	return 0;
}

/* ---- who gives what ----------------------------------------------------------------------------- */

struct gift {
	struct store_thread *thread;
	struct partition *part;
	_Atomic uint32_t *region; /* its part of the directory */
	uint32_t full;            /* the table that gives, as an entry without generation */
	struct bucket *old, *new;
	bool fresh;                     /* nobody knows of the new table yet */
	bool goes[REGION_ENTRIES];      /* entries that go to the new table */
	uint64_t hash[SPILL_SLOTS_MAX]; /* of the items in the old table's spill lines */
};

static uint32_t
entry_table(uint32_t entry)
{
	return entry >> ENTRY_GENERATION_BITS << ENTRY_GENERATION_BITS;
}

static uint32_t
region_table(const struct gift *gift, uint32_t at)
{
	return entry_table(atomic_load_explicit(&gift->region[at], memory_order_relaxed));
}

/* Entries of a region that name a table. */
static uint32_t
share_of(const struct gift *gift, uint32_t table)
{
	uint32_t share = 0;

	for (uint32_t i = 0; i < REGION_ENTRIES; i++)
		share += region_table(gift, i) == table;
	return share;
}

/* The table that takes: the region's newest, as long as it has less than the one that gives. Zero: there is none. */
static uint32_t
taker_choose(const struct gift *gift, uint32_t newest, uint32_t share, uint32_t going)
{
	if (newest == gift->full || newest == 0 || share_of(gift, newest) + going > share - going)
		return 0;
	return newest;
}

/* fresh: to a table of its own, even if the newest has less. */
static bool
gift_plan(struct gift *gift, uint64_t hash, bool fresh)
{
	struct partition *part = gift->part;
	uint32_t at = (uint32_t)(hash >> part->directory_shift);
	uint32_t *newest = &part->newest[at >> REGION_BITS];

	gift->region = &part->directory[at & ~(REGION_ENTRIES - 1)];
	gift->full = entry_table(directory_entry(part, hash));
	uint32_t share = share_of(gift, gift->full);
	uint32_t going = (share + GIFT_PART / 2) / GIFT_PART;
	if (share < 2)
		return false;
	going = going ? going : 1;
	uint32_t taker = fresh ? 0 : taker_choose(gift, *newest, share, going);
	gift->fresh = !taker;
	if (gift->fresh) {
		if (!index_table_ready(part))
			return false;
		taker = *newest = table_entry(part, table_carve(part));
	}
	gift->old = table_pointer(part, gift->full);
	gift->new = table_pointer(part, taker);
	for (uint32_t i = 0; i < REGION_ENTRIES; i++) {
		gift->goes[i] = going > 0 && region_table(gift, i) == gift->full;
		going -= gift->goes[i];
	}
	return true;
}

/* ---- giving ------------------------------------------------------------------------------------- */

static bool
label_goes(const struct gift *gift, uint16_t label)
{
	return gift->goes[label_tag(label) >> (TAG_BITS - REGION_BITS)];
}

static struct index_place
place_of(const struct bucket *line, unsigned slot)
{
	struct index_place place = {.location = slot_load(&line->slot[slot]),
	    .label = atomic_load_explicit(&line->label[slot], memory_order_relaxed)};
	return place;
}

static void
lock_homes(const struct partition *part, struct bucket *table)
{
	uint32_t control;

	for (uint32_t line = 0; line < part->homes; line++)
		bucket_lock(&table[line], &control);
}

static void
unlock_homes(const struct partition *part, struct bucket *table)
{
	for (uint32_t line = 0; line < part->homes; line++) {
		uint32_t locked = atomic_load_explicit(&table[line].control, memory_order_relaxed);
		bucket_unlock(&table[line], locked & ~CONTROL_LOCK);
	}
}

static void
line_prefetch_items(const struct partition *part, const struct bucket *line)
{
	for (unsigned s = 0; s < LINE_SLOTS; s++)
		__builtin_prefetch(location_pointer(part, slot_load(&line->slot[s])));
}

/* Where displaced items belong is in no label: each is read once. */
static void
spill_hashes(struct gift *gift)
{
	const struct partition *part = gift->part;
	const struct bucket *spill = gift->old + part->homes;

	line_prefetch_items(part, spill);
	for (uint32_t i = 0; i < part->spills * LINE_SLOTS; i++) {
		if (i % LINE_SLOTS == 0 && i / LINE_SLOTS + 1 < part->spills)
			line_prefetch_items(part, &spill[i / LINE_SLOTS + 1]);
		uint32_t location = slot_load(&spill[i / LINE_SLOTS].slot[i % LINE_SLOTS]);
		if (location)
			gift->hash[i] = index_slot_hash(gift->thread->store, part, location);
	}
}

/* Of what the old table has in a spill line. */
static uint64_t
spill_hash(const struct gift *gift, uint32_t line, uint32_t slot)
{
	return gift->hash[(line - gift->part->homes) * LINE_SLOTS + slot];
}

/* An item that goes, by its place in the old table. */
struct going {
	uint32_t home;       /* line */
	uint32_t line, slot; /* where it is */
	struct index_place place;
};

/* The home first; then the same spill line as before, which in a fresh table has no others than it had; then either. */
static bool
lines_take(const struct gift *gift, const struct going *item, uint32_t *control)
{
	struct bucket *home = &gift->new[item->home], *same = &gift->new[item->line];

	if (bucket_claim(home, item->place))
		return true;
	uint64_t hash = index_slot_hash(gift->thread->store, gift->part, item->place.location);
	struct key_lines lines = key_lines(gift->part, gift->new, hash);
	if (same != home && control_displaced(*control, hash) < CONTROL_COUNT_MAX &&
	    spill_claim(same, item->place)) {
		*control += 1u << hash_count_shift(hash);
		return true;
	}
	return lines_claim(&lines, hash, item->place, control);
}

/* Into the new table, where others may be writing already. */
static bool
new_take(const struct gift *gift, const struct going *item)
{
	struct bucket *home = &gift->new[item->home];
	uint32_t control;

	bucket_lock(home, &control);
	bool taken = lines_take(gift, item, &control);
	bucket_unlock(home, control);
	return taken;
}

/* Out of there again, if it was taken. No reader was led there. */
static bool
new_give_back(const struct gift *gift, const struct going *item)
{
	struct index_cursor cursor = {.part = gift->part,
	    .home = &gift->new[item->home],
	    .hash = index_slot_hash(gift->thread->store, gift->part, item->place.location)};
	struct index_hit hit;

	bucket_lock(cursor.home, &cursor.control);
	if (index_seek_location(&cursor, item->place.location, &hit))
		index_remove(&cursor, &hit);
	index_unlock(&cursor);
	return true;
}

/* Does the same to all items that go, until one says no. */
static bool
each_going(const struct gift *gift, bool (*act)(const struct gift *, const struct going *))
{
	const struct partition *part = gift->part;

	for (uint32_t line = 0; line < table_lines(part); line++)
		for (unsigned s = 0; s < LINE_SLOTS; s++) {
			struct going item = {
			    .home = line, .line = line, .slot = s, .place = place_of(&gift->old[line], s)};
			if (!item.place.location || !label_goes(gift, item.place.label))
				continue;
			if (line >= part->homes)
				item.home = hash_home(part, spill_hash(gift, line, s));
			if (!act(gift, &item))
				return false;
		}
	return true;
}

/*
 * False, and nothing has changed, when one finds no room there. In a fresh table all do: each line has at most those of the
 * old one, as those at home come first.
 */
static bool
copy_going(const struct gift *gift)
{
	if (each_going(gift, new_take))
		return true;
	assert(!gift->fresh);
	each_going(gift, new_give_back);
	return false;
}

static void
entries_publish(const struct gift *gift)
{
	uint32_t entry = table_entry(gift->part, gift->new);

	for (uint32_t i = 0; i < REGION_ENTRIES; i++)
		if (gift->goes[i])
			/* release pairs with directory_entry(): the items are in the new table */
			atomic_store_explicit(&gift->region[i], entry, memory_order_release);
}

/* A displaced item leaves its place. Whoever reads its home's count from now on sees the entry changed. */
static void
spill_clear(const struct gift *gift, uint32_t line, uint32_t slot)
{
	uint64_t hash = spill_hash(gift, line, slot);
	struct bucket *home = &gift->old[hash_home(gift->part, hash)];

	atomic_fetch_sub_explicit(&home->control, 1u << hash_count_shift(hash), memory_order_release);
	atomic_store_explicit(&gift->old[line].slot[slot], 0, memory_order_release);
}

static bool
old_clear(const struct gift *gift, const struct going *item)
{
	if (item->line >= gift->part->homes)
		spill_clear(gift, item->line, item->slot);
	else
		/* release: who sees the slot empty sees the entry changed, too */
		atomic_store_explicit(&gift->old[item->line].slot[item->slot], 0, memory_order_release);
	return true;
}

static bool
bucket_names(const struct bucket *bucket, uint32_t location)
{
	for (unsigned s = 0; s < LINE_SLOTS; s++)
		if (slot_load(&bucket->slot[s]) == location)
			return true;
	return false;
}

/* clear: the second round, over the same items. */
static void
spill_home(const struct gift *gift, bool clear)
{
	const struct partition *part = gift->part;

	for (uint32_t i = 0; i < part->spills * LINE_SLOTS; i++) {
		struct index_place place = place_of(&gift->old[part->homes + i / LINE_SLOTS], i % LINE_SLOTS);
		if (!place.location)
			continue;
		struct bucket *home = &gift->old[hash_home(part, gift->hash[i])];
		if (!clear)
			bucket_claim(home, place);
		else if (bucket_names(home, place.location))
			spill_clear(gift, part->homes + i / LINE_SLOTS, i % LINE_SLOTS);
	}
}

static void
entries_renew(const struct gift *gift)
{
	for (uint32_t i = 0; i < REGION_ENTRIES; i++) {
		uint32_t entry = atomic_load_explicit(&gift->region[i], memory_order_relaxed);
		uint32_t next = (entry + 1) & ((1u << ENTRY_GENERATION_BITS) - 1);
		if (entry_table(entry) == gift->full)
			/* release pairs with directory_entry(): displaced items are in their homes */
			atomic_store_explicit(&gift->region[i], gift->full | next, memory_order_release);
	}
}

/* False, and nothing has changed, when the new table has no room for all. */
static bool
give(struct gift *gift)
{
	lock_homes(gift->part, gift->old);
	spill_hashes(gift);
	bool room = copy_going(gift);
	if (room) {
		entries_publish(gift);
		each_going(gift, old_clear);
		spill_home(gift, false);
		entries_renew(gift);
		spill_home(gift, true);
	}
	unlock_homes(gift->part, gift->old);
	return room;
}

/* Another thread may have made room meanwhile. */
static bool
lines_have_room(const struct partition *part, uint64_t hash)
{
	struct key_lines lines = key_lines(part, table_pointer(part, directory_entry(part, hash)), hash);
	uint32_t control = atomic_load_explicit(&lines.line[0]->control, memory_order_relaxed);
	unsigned lines_len = control_displaced(control, hash) == CONTROL_COUNT_MAX ? 1 : LINES_OF_A_KEY;

	for (unsigned i = 0; i < lines_len; i++)
		if (bucket_names(lines.line[i], 0))
			return true;
	return false;
}

bool
index_grow(struct store_thread *thread, struct partition *part, uint64_t hash)
{
	struct gift gift;

	if (lines_have_room(part, hash))
		return true;
	gift.thread = thread;
	gift.part = part;
	if (!(gift_plan(&gift, hash, false) && give(&gift)) && !(gift_plan(&gift, hash, true) && give(&gift)))
		return false;
	COUNT(thread, index_splits);
	return true;
}
