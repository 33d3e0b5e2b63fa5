/*
 * Fills: values that are written piece by piece into store memory before their item is published.
 *
 * A small value has its whole item from the start. A large one takes chunks as bytes arrive, so a client that
 * announces a megabyte and sends nothing holds nothing; its item, a header with the list of chunks, is made
 * when all is there. The segments that a fill writes into cannot be victims meanwhile, so when fills hold too much
 * those that take long are given up. A fill belongs to the thread that made it.
 */
#ifndef WIRECACHE_STORE_FILL_H
#define WIRECACHE_STORE_FILL_H

#include "store/draft.h"

struct store_fill {
	struct store_thread *thread;
	struct store_fill *next;          /* in the thread's free list */
	struct store_fill *older, *newer; /* in the thread's list of those that wait for bytes */
	uint32_t begun_s;
	struct partition *part;
	struct draft draft;   /* item is NULL until it is made */
	struct store_key key; /* of key_bytes */
	struct store_write write;
	uint32_t value_bytes;
	uint32_t taken; /* of the value */
	bool chunked;
	bool waits;  /* stands in that list */
	bool failed; /* a chunk could not be had, or it took too long: bytes are swallowed */
	uint32_t entries_len, entries_max;
	uint64_t *entries; /* chunks so far */
	uint32_t at;       /* chunk being written */
	uint32_t at_taken; /* bytes in it */
	uint8_t key_bytes[STORE_KEY_MAX];
};

/* NULL: no memory. */
struct store_fill *fill_begin(struct store_thread *thread, const struct store_key *key,
    const struct store_write *write, uint32_t value_bytes);

/*
 * Between them the fill waits for bytes, and may be given up for others: what comes is swallowed then, and publishing
 * fails for want of memory.
 */
void fill_wait_begin(struct store_fill *fill);
void fill_wait_end(struct store_fill *fill);

/* Allocates everything now, header included, so that nothing is allocated while the caller reads another
 * item. */
bool fill_allocate(struct store_fill *fill);

/* Appends the complete value of one fill to another. */
void fill_copy(const struct store_fill *from, struct store_fill *to);

/* Gives back memory and fill. */
void fill_abort(struct store_fill *fill);

/* Publishes a complete value; frees the fill. */
enum store_status fill_publish(struct store_fill *fill, struct publish *publish);

/* Frees the pool. */
void fill_pool_free(struct store_thread *thread);

#endif
