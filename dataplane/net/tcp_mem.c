/*
 * Blocks, slabs and their account; see tcp_mem.h. The environment's allocator is asked only when a free list
 * is empty, which the steady state never is.
 */
#include "dataplane/net/tcp_mem.h"

#include <string.h>

#include "dataplane/net/tcp.h"

#define SLAB_CHUNK_BYTES 16384u

const uint32_t tcp_class_bytes[TCP_BLOCK_CLASSES] = {64, 256, TCP_BLOCK_2K_BYTES};

void
tcp_mem_init(struct tcp_mem *mem, const struct tcp_env *env, uint64_t max_bytes)
{
	memset(mem, 0, sizeof(*mem));
	mem->env = env;
	mem->max_bytes = max_bytes;
}

void
tcp_mem_fini(struct tcp_mem *mem)
{
	for (unsigned i = 0; i < TCP_BLOCK_CLASSES; i++) {
		while (mem->cache[i]) {
			struct tcp_block *b = mem->cache[i];
			mem->cache[i] = b->next;
			mem->env->free(mem->env->ctx, b, tcp_class_bytes[i]);
		}
	}
}

struct tcp_block *
tcp_mem_raw_new(struct tcp_mem *mem, enum tcp_block_class cls)
{
	uint32_t bytes = tcp_class_bytes[cls];
	if (mem->used_bytes + bytes > mem->max_bytes)
		return NULL;
	struct tcp_block *b = mem->env->alloc(mem->env->ctx, bytes);
	if (!b)
		return NULL;
	mem->used_bytes += bytes;
	mem->blocks++;
	return b;
}

void
tcp_mem_raw_free(struct tcp_mem *mem, enum tcp_block_class cls, struct tcp_block *b)
{
	mem->env->free(mem->env->ctx, b, tcp_class_bytes[cls]);
}

void *
tcp_mem_get(struct tcp_mem *mem, enum tcp_block_class cls)
{
	void *p = tcp_mem_raw_get(mem, cls);
	if (p)
		memset(p, 0, tcp_class_bytes[cls]);
	return p;
}

void
tcp_mem_put(struct tcp_mem *mem, enum tcp_block_class cls, void *p)
{
	tcp_mem_raw_put(mem, cls, p);
}

bool
tcp_slab_init(struct tcp_slab *slab, struct tcp_mem *mem, uint32_t item_bytes, uint32_t max)
{
	memset(slab, 0, sizeof(*slab));
	slab->item_bytes = item_bytes;
	slab->max = max;
	slab->free_head = UINT32_MAX;
	slab->shift = (uint8_t)__builtin_ctz(SLAB_CHUNK_BYTES / item_bytes);
	slab->chunks_max = (max >> slab->shift) + 1;
	slab->chunks = mem->env->alloc(mem->env->ctx, slab->chunks_max * sizeof(*slab->chunks));
	return slab->chunks != NULL;
}

void
tcp_slab_fini(struct tcp_slab *slab, struct tcp_mem *mem)
{
	if (!slab->chunks)
		return;
	for (uint32_t i = 0; i < slab->chunks_len; i++)
		mem->env->free(mem->env->ctx, slab->chunks[i], SLAB_CHUNK_BYTES);
	mem->env->free(mem->env->ctx, slab->chunks, slab->chunks_max * sizeof(*slab->chunks));
}

bool
tcp_slab_grow_max(struct tcp_slab *slab, struct tcp_mem *mem, uint32_t max)
{
	uint32_t chunks_max = (max >> slab->shift) + 1;
	if (chunks_max > slab->chunks_max) {
		uint8_t **chunks = mem->env->alloc(mem->env->ctx, chunks_max * sizeof(*chunks));
		if (!chunks)
			return false;
		memcpy(chunks, slab->chunks, slab->chunks_len * sizeof(*chunks));
		mem->env->free(mem->env->ctx, slab->chunks, slab->chunks_max * sizeof(*chunks));
		slab->chunks = chunks;
		slab->chunks_max = chunks_max;
	}
	slab->max = max;
	return true;
}

static bool
slab_grow(struct tcp_slab *slab, struct tcp_mem *mem)
{
	if (slab->chunks_len == slab->chunks_max)
		return false;
	uint8_t *chunk = mem->env->alloc(mem->env->ctx, SLAB_CHUNK_BYTES);
	if (!chunk)
		return false;
	uint32_t first = slab->chunks_len << slab->shift;
	slab->chunks[slab->chunks_len++] = chunk;
	for (uint32_t i = 1u << slab->shift; i-- > 0;) {
		memcpy(tcp_slab_at(slab, first + i), &slab->free_head, sizeof(uint32_t));
		slab->free_head = first + i;
	}
	return true;
}

void *
tcp_slab_get(struct tcp_slab *slab, struct tcp_mem *mem, uint32_t *index)
{
	if (slab->used >= slab->max || mem->used_bytes + slab->item_bytes > mem->max_bytes)
		return NULL;
	if (slab->free_head == UINT32_MAX && !slab_grow(slab, mem))
		return NULL;
	*index = slab->free_head;
	void *item = tcp_slab_at(slab, *index);
	memcpy(&slab->free_head, item, sizeof(uint32_t));
	memset(item, 0, slab->item_bytes);
	slab->used++;
	mem->used_bytes += slab->item_bytes;
	return item;
}

void
tcp_slab_put(struct tcp_slab *slab, struct tcp_mem *mem, uint32_t index)
{
	memcpy(tcp_slab_at(slab, index), &slab->free_head, sizeof(uint32_t));
	slab->free_head = index;
	slab->used--;
	mem->used_bytes -= slab->item_bytes;
}
