/*
 * Memory of one TCP stack: blocks in three sizes with free lists of their own, slabs for connections and
 * entries, and the account of what is held against memory_bytes_max.
 *
 * A block is the unit of every queue: bytes to send (copied or referenced), received bytes that wait. Blocks
 * in use count at their true size; the few that are cached for the next request do not.
 */
#ifndef WIRECACHE_TCP_MEM_H
#define WIRECACHE_TCP_MEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <rte_branch_prediction.h>

struct tcp_env;
struct tcp_conn;
struct tcp_mini;

/* One run of bytes in sequence space, linked in order. */
struct tcp_block {
	union {
		struct tcp_block *next;
		struct tcp_stack *
		    owner; /* of a reference that has left its queue while packets still point to its bytes */
	};
	const uint8_t *bytes; /* first byte of the run: data, or the application's memory */
	uint64_t cookie;      /* of a reference */
	uint32_t seq;         /* of bytes[0] */
	uint32_t len;
	uint16_t
	    room; /* bytes that data[] can hold; 0: a reference, whose data[] counts who points to its bytes */
	uint8_t size_class;
	uint8_t unused[5];
	uint8_t data[];
};

enum tcp_block_class { TCP_BLOCK_64, TCP_BLOCK_256, TCP_BLOCK_2K, TCP_BLOCK_CLASSES };

#define TCP_BLOCK_2K_BYTES  2112u
#define TCP_BLOCK_2K_ROOM   (TCP_BLOCK_2K_BYTES - sizeof(struct tcp_block))
#define TCP_BLOCK_256_ROOM  (256u - sizeof(struct tcp_block))
#define TCP_BLOCK_CACHE_MAX 512u /* free blocks kept of each size */

/* Items of one size, found by index; chunks are never given back before the stack ends. */
struct tcp_slab {
	uint8_t **chunks;
	uint32_t chunks_len, chunks_max;
	uint32_t free_head; /* index; linked through the item's first word */
	uint32_t used, max;
	uint32_t item_bytes;
	uint8_t shift; /* items a chunk, log2 */
};

struct tcp_mem {
	const struct tcp_env *env;
	struct tcp_block *cache[TCP_BLOCK_CLASSES];
	uint32_t cached[TCP_BLOCK_CLASSES];
	uint64_t used_bytes, max_bytes;
	uint64_t blocks; /* in use */
};

void tcp_mem_init(struct tcp_mem *mem, const struct tcp_env *env, uint64_t max_bytes);
void tcp_mem_fini(struct tcp_mem *mem);

extern const uint32_t tcp_class_bytes[TCP_BLOCK_CLASSES];

/* Memory of a class: from its list, else from the environment. What it holds is not defined. */
struct tcp_block *tcp_mem_raw_new(struct tcp_mem *mem, enum tcp_block_class cls);
void tcp_mem_raw_free(struct tcp_mem *mem, enum tcp_block_class cls, struct tcp_block *b);

static inline struct tcp_block *
tcp_mem_raw_get(struct tcp_mem *mem, enum tcp_block_class cls)
{
	struct tcp_block *b = mem->cache[cls];
	if (unlikely(!b || mem->used_bytes + tcp_class_bytes[cls] > mem->max_bytes))
		return tcp_mem_raw_new(mem, cls);
	mem->cache[cls] = b->next;
	mem->cached[cls]--;
	mem->used_bytes += tcp_class_bytes[cls];
	mem->blocks++;
	return b;
}

static inline void
tcp_mem_raw_put(struct tcp_mem *mem, enum tcp_block_class cls, struct tcp_block *b)
{
	mem->used_bytes -= tcp_class_bytes[cls];
	mem->blocks--;
	if (unlikely(mem->cached[cls] >= TCP_BLOCK_CACHE_MAX)) {
		tcp_mem_raw_free(mem, cls, b);
		return;
	}
	b->next = mem->cache[cls];
	mem->cache[cls] = b;
	mem->cached[cls]++;
}

/* A block for `want` data bytes (any want: the largest class is given at most); NULL at the limit or without
 * memory. seq, len and next are zero, bytes points to data. */
static inline struct tcp_block *
tcp_block_get(struct tcp_mem *mem, uint32_t want)
{
	enum tcp_block_class cls = want <= 64 - sizeof(struct tcp_block) ? TCP_BLOCK_64
	                           : want <= TCP_BLOCK_256_ROOM          ? TCP_BLOCK_256
	                                                                 : TCP_BLOCK_2K;
	struct tcp_block *b = tcp_mem_raw_get(mem, cls);
	if (unlikely(!b))
		return NULL;
	b->next = NULL;
	b->bytes = b->data;
	b->cookie = 0;
	b->seq = 0;
	b->len = 0;
	b->size_class = (uint8_t)cls;
	b->room = (uint16_t)(tcp_class_bytes[cls] - sizeof(struct tcp_block));
	return b;
}

static inline void
tcp_block_put(struct tcp_mem *mem, struct tcp_block *b)
{
	tcp_mem_raw_put(mem, b->size_class, b);
}

/* Zeroed memory of a block class for the structures that exist on demand. */
void *tcp_mem_get(struct tcp_mem *mem, enum tcp_block_class cls);
void tcp_mem_put(struct tcp_mem *mem, enum tcp_block_class cls, void *p);

static inline bool
tcp_mem_above(const struct tcp_mem *mem, unsigned percent)
{
	return mem->used_bytes * 100 > mem->max_bytes * percent;
}

bool tcp_slab_init(struct tcp_slab *slab, struct tcp_mem *mem, uint32_t item_bytes, uint32_t max);
void tcp_slab_fini(struct tcp_slab *slab, struct tcp_mem *mem);
/* Lets it hold up to `max`, more than before. False without memory, and nothing changed. */
bool tcp_slab_grow_max(struct tcp_slab *slab, struct tcp_mem *mem, uint32_t max);
/* A zeroed item, or NULL. Counts against the memory limit. */
void *tcp_slab_get(struct tcp_slab *slab, struct tcp_mem *mem, uint32_t *index);
void tcp_slab_put(struct tcp_slab *slab, struct tcp_mem *mem, uint32_t index);

static inline void *
tcp_slab_at(const struct tcp_slab *slab, uint32_t index)
{
	return slab->chunks[index >> slab->shift] +
	       (size_t)(index & ((1u << slab->shift) - 1)) * slab->item_bytes;
}

#endif
