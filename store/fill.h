/*
 * Fills: values that are written piece by piece into store memory before their item is published.
 *
 * A small value has its whole item from the start. A large one takes chunks as bytes arrive, so a client that
 * announces a megabyte and sends nothing holds nothing; its item, a header with the list of chunks, is made
 * when all is there. The segments that a fill writes into cannot be victims meanwhile. A fill belongs to the
 * thread that made it.
 */
#ifndef WIRECACHE_STORE_FILL_H
#define WIRECACHE_STORE_FILL_H

#include "store/draft.h"

struct store_fill {
	struct store_thread *thread;
	struct store_fill *next; /* in the thread's free list */
	struct partition *part;
	struct draft draft;   /* item is NULL until it is made */
	struct store_key key; /* of key_bytes */
	struct store_write write;
	uint32_t value_bytes;
	uint32_t taken; /* of the value */
	bool chunked;
	bool failed; /* a chunk could not be had: bytes are swallowed */
	uint32_t entries_len, entries_max;
	uint64_t *entries; /* chunks so far */
	uint32_t at;       /* chunk being written */
	uint32_t at_taken; /* bytes in it */
	uint8_t key_bytes[STORE_KEY_MAX];
};

/* NULL: no memory. */
struct store_fill *fill_begin(struct store_thread *thread, const struct store_key *key,
    const struct store_write *write, uint32_t value_bytes);

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
