/*
 * Belady's choice with sizes: what is asked for last goes first. It sees the future: the next get of an item, if that
 * comes before the item expires, is set again or deleted. It is no bound where sizes differ, but hard to beat.
 */
#include "tests/bench/hit/replay.h"

#include <stdlib.h>

struct entry {
	uint32_t place; /* in the heap, ROW_NONE: absent */
	uint32_t next;  /* row of the next use, ROW_NONE: none */
	uint32_t bytes;
	uint32_t expires_s;
};

struct belady {
	struct entry *entries;
	uint32_t *heap; /* keys, latest next use on top */
	uint32_t heap_len;
	uint64_t bytes, memory_bytes;
	uint32_t *next_row; /* of each row: the next one with the same key */
};

static int
later(const struct belady *b, uint32_t x, uint32_t y)
{
	return b->entries[b->heap[x]].next > b->entries[b->heap[y]].next;
}

static void
heap_swap(struct belady *b, uint32_t x, uint32_t y)
{
	uint32_t key = b->heap[x];

	b->heap[x] = b->heap[y];
	b->heap[y] = key;
	b->entries[b->heap[x]].place = x;
	b->entries[b->heap[y]].place = y;
}

static void
heap_settle(struct belady *b, uint32_t at)
{
	for (; at > 0 && later(b, at, (at - 1) / 2); at = (at - 1) / 2)
		heap_swap(b, at, (at - 1) / 2);
	for (;;) {
		uint32_t most = at;
		for (uint32_t child = 2 * at + 1; child <= 2 * at + 2 && child < b->heap_len; child++)
			if (later(b, child, most))
				most = child;
		if (most == at)
			return;
		heap_swap(b, at, most);
		at = most;
	}
}

static void
heap_remove(struct belady *b, uint32_t key)
{
	uint32_t at = b->entries[key].place;

	b->bytes -= b->entries[key].bytes;
	heap_swap(b, at, --b->heap_len);
	b->entries[key].place = ROW_NONE;
	if (at < b->heap_len)
		heap_settle(b, at);
}

/* The next get that the item as it is now can answer. */
static uint32_t
next_use(const struct belady *b, const struct trace *trace, uint32_t row, uint32_t expires_s)
{
	uint32_t next = b->next_row[row];

	if (next == ROW_NONE || trace->rows[next].op != ROW_GET)
		return ROW_NONE;
	return expires_s && trace->rows[next].time_s >= expires_s ? ROW_NONE : next;
}

static void
belady_set(struct belady *b, const struct trace *trace, uint32_t at)
{
	const struct row *row = &trace->rows[at];
	struct entry *e = &b->entries[row->key];

	if (e->place != ROW_NONE)
		heap_remove(b, row->key);
	e->expires_s = row->ttl_s ? row->time_s + row->ttl_s : 0;
	e->bytes = (uint32_t)row_bytes(trace, row) + ITEM_OVERHEAD_BYTES;
	e->next = next_use(b, trace, at, e->expires_s);
	if (e->next == ROW_NONE)
		return;
	b->heap[b->heap_len] = row->key;
	e->place = b->heap_len++;
	b->bytes += e->bytes;
	heap_settle(b, e->place);
	while (b->bytes > b->memory_bytes)
		heap_remove(b, b->heap[0]);
}

static void
belady_row(struct belady *b, const struct trace *trace, uint32_t at, struct hit_count *count)
{
	const struct row *row = &trace->rows[at];
	struct entry *e = &b->entries[row->key];
	int present = e->place != ROW_NONE;

	if (row->op == ROW_DELETE) {
		if (present)
			heap_remove(b, row->key);
		return;
	}
	if (row->op == ROW_GET)
		count_get(count, trace, row, present);
	if (row->op == ROW_SET || !present) {
		belady_set(b, trace, at);
		return;
	}
	e->next = next_use(b, trace, at, e->expires_s);
	if (e->next == ROW_NONE)
		heap_remove(b, row->key);
	else
		heap_settle(b, e->place);
}

void
replay_belady(const struct trace *trace, size_t memory_bytes, struct hit_count *count)
{
	struct belady b = {.memory_bytes = memory_bytes};
	uint32_t *last = malloc(trace->keys_len * sizeof(*last));

	b.entries = calloc(trace->keys_len, sizeof(*b.entries));
	b.heap = malloc(trace->keys_len * sizeof(*b.heap));
	b.next_row = malloc(trace->rows_len * sizeof(*b.next_row));
	if (!b.entries || !b.heap || !b.next_row || !last)
		exit(1);
	for (uint32_t i = 0; i < trace->keys_len; i++)
		b.entries[i].place = last[i] = ROW_NONE;
	for (uint32_t i = trace->rows_len; i-- > 0;) {
		b.next_row[i] = last[trace->rows[i].key];
		last[trace->rows[i].key] = i;
	}
	for (uint32_t i = 0; i < trace->rows_len; i++)
		belady_row(&b, trace, i, count);
	free(last);
	free(b.entries);
	free(b.heap);
	free(b.next_row);
}
