/*
 * Simulators of LRU and S3-FIFO. Items cost their key, their value and ITEM_OVERHEAD_BYTES; an expired one stays until
 * it is asked for or thrown out.
 *
 * S3-FIFO as published (Yang et al., SOSP 2023): a small queue of a tenth of the memory, a main queue, a ghost queue of
 * as many keys as the main one holds; two bits of frequency.
 */
#include "tests/bench/hit/replay.h"

#include <stdlib.h>

#define SMALL_PART     10u
#define FREQUENCY_MAX  3u
#define PROMOTED_ABOVE 1u

enum where { ABSENT, QUEUE_SMALL, QUEUE_MAIN, QUEUE_GHOST, QUEUES };

/* One a key; queues are doubly linked by key number. */
struct entry {
	uint32_t next, prev;
	uint32_t expires_s; /* 0: never */
	uint32_t bytes;
	uint8_t where;
	uint8_t frequency;
};

struct fifo {
	uint32_t head, tail;
	uint64_t bytes;
	uint32_t len;
};

struct sim {
	struct entry *entries;
	struct fifo queue[QUEUES];
	uint64_t memory_bytes;
};

static void
fifo_remove(struct sim *sim, uint32_t key)
{
	struct entry *e = &sim->entries[key];
	struct fifo *q = &sim->queue[e->where];

	*(e->prev == ROW_NONE ? &q->head : &sim->entries[e->prev].next) = e->next;
	*(e->next == ROW_NONE ? &q->tail : &sim->entries[e->next].prev) = e->prev;
	q->bytes -= e->bytes;
	q->len--;
	e->where = ABSENT;
}

/* At the young end. */
static void
fifo_push(struct sim *sim, enum where where, uint32_t key)
{
	struct entry *e = &sim->entries[key];
	struct fifo *q = &sim->queue[where];

	e->where = (uint8_t)where;
	e->prev = q->tail;
	e->next = ROW_NONE;
	*(q->tail == ROW_NONE ? &q->head : &sim->entries[q->tail].next) = key;
	q->tail = key;
	q->bytes += e->bytes;
	q->len++;
}

static void
sim_open(struct sim *sim, const struct trace *trace, size_t memory_bytes)
{
	*sim = (struct sim){.memory_bytes = memory_bytes};
	sim->entries = calloc(trace->keys_len, sizeof(*sim->entries));
	if (!sim->entries)
		exit(1);
	for (unsigned i = 0; i < QUEUES; i++)
		sim->queue[i] = (struct fifo){.head = ROW_NONE, .tail = ROW_NONE};
}

static int
entry_alive(const struct entry *e, const struct row *row)
{
	return (e->where == QUEUE_SMALL || e->where == QUEUE_MAIN) &&
	       (e->expires_s == 0 || e->expires_s > row->time_s);
}

static void
entry_fill(struct entry *e, const struct trace *trace, const struct row *row)
{
	e->bytes = (uint32_t)row_bytes(trace, row) + ITEM_OVERHEAD_BYTES;
	e->expires_s = row->ttl_s ? row->time_s + row->ttl_s : 0;
	e->frequency = 0;
}

static void
lru_set(struct sim *sim, const struct trace *trace, const struct row *row)
{
	struct entry *e = &sim->entries[row->key];

	if (e->where)
		fifo_remove(sim, row->key);
	entry_fill(e, trace, row);
	if (e->bytes > sim->memory_bytes)
		return;
	fifo_push(sim, QUEUE_MAIN, row->key);
	while (sim->queue[QUEUE_MAIN].bytes > sim->memory_bytes)
		fifo_remove(sim, sim->queue[QUEUE_MAIN].head);
}

void
replay_lru(const struct trace *trace, size_t memory_bytes, struct hit_count *count)
{
	struct sim sim;

	sim_open(&sim, trace, memory_bytes);
	for (uint32_t i = 0; i < trace->rows_len; i++) {
		const struct row *row = &trace->rows[i];
		int alive = entry_alive(&sim.entries[row->key], row);
		if (row->op == ROW_GET)
			count_get(count, trace, row, alive);
		if (row->op == ROW_SET || (row->op == ROW_GET && !alive)) {
			lru_set(&sim, trace, row);
		} else if (sim.entries[row->key].where) {
			fifo_remove(&sim, row->key);
			if (row->op == ROW_GET)
				fifo_push(&sim, QUEUE_MAIN, row->key);
		}
	}
	free(sim.entries);
}

static void
s3_remember(struct sim *sim, uint32_t key)
{
	fifo_push(sim, QUEUE_GHOST, key);
	while (sim->queue[QUEUE_GHOST].len > sim->queue[QUEUE_MAIN].len)
		fifo_remove(sim, sim->queue[QUEUE_GHOST].head);
}

static void
s3_evict_small(struct sim *sim)
{
	uint32_t key = sim->queue[QUEUE_SMALL].head;

	fifo_remove(sim, key);
	if (sim->entries[key].frequency > PROMOTED_ABOVE) {
		sim->entries[key].frequency = 0;
		fifo_push(sim, QUEUE_MAIN, key);
	} else {
		s3_remember(sim, key);
	}
}

static void
s3_evict_main(struct sim *sim)
{
	uint32_t key = sim->queue[QUEUE_MAIN].head;

	fifo_remove(sim, key);
	if (sim->entries[key].frequency == 0)
		return;
	sim->entries[key].frequency--;
	fifo_push(sim, QUEUE_MAIN, key);
}

static void
s3_set(struct sim *sim, const struct trace *trace, const struct row *row)
{
	struct entry *e = &sim->entries[row->key];
	enum where to = e->where == QUEUE_GHOST || e->where == QUEUE_MAIN ? QUEUE_MAIN : QUEUE_SMALL;
	uint8_t frequency = e->where == QUEUE_GHOST ? 0 : e->frequency;

	if (e->where)
		fifo_remove(sim, row->key);
	else
		frequency = 0;
	entry_fill(e, trace, row);
	e->frequency = frequency;
	if (e->bytes > sim->memory_bytes / SMALL_PART)
		return;
	fifo_push(sim, to, row->key);
	while (sim->queue[QUEUE_SMALL].bytes + sim->queue[QUEUE_MAIN].bytes > sim->memory_bytes) {
		if (sim->queue[QUEUE_SMALL].bytes > sim->memory_bytes / SMALL_PART ||
		    sim->queue[QUEUE_MAIN].len == 0)
			s3_evict_small(sim);
		else
			s3_evict_main(sim);
	}
}

void
replay_s3fifo(const struct trace *trace, size_t memory_bytes, struct hit_count *count)
{
	struct sim sim;

	sim_open(&sim, trace, memory_bytes);
	for (uint32_t i = 0; i < trace->rows_len; i++) {
		const struct row *row = &trace->rows[i];
		struct entry *e = &sim.entries[row->key];
		int alive = entry_alive(e, row);
		if (row->op == ROW_GET)
			count_get(count, trace, row, alive);
		if (row->op == ROW_SET || (row->op == ROW_GET && !alive))
			s3_set(&sim, trace, row);
		else if (row->op == ROW_GET)
			e->frequency += e->frequency < FREQUENCY_MAX;
		else if (e->where)
			fifo_remove(&sim, row->key);
	}
	free(sim.entries);
}
