/*
 * The structures that the store's files share: store, partition, thread. Nothing outside store/ includes
 * this.
 *
 *   arena of a partition, one mapping:
 *   +------------+---------------+-----------+-----------+-- ... --+-----------+
 *   | superblock | segment table | directory | segment 0 |         | segment n |   location = offset / 8, 32 bits
 *   +------------+---------------+-----------+-----------+-- ... --+-----------+
 *   A segment holds items or, carved into tables, the index (index.h). The superblock is restart.c's; nothing in
 *   an arena is an address, so that another process may map it elsewhere.
 *
 * Order of locks: grow_lock, then buckets, then partition lock or sequence_lock. A thread holds one home line and within that one
 * spill line; who lets the index grow holds all homes of a table that gives items, and within that takes the lines
 * of the new table. Nothing waits for memory while it holds any of them.
 */
#ifndef WIRECACHE_STORE_INTERNAL_H
#define WIRECACHE_STORE_INTERNAL_H

#include <assert.h>
#include <sched.h>
#include <stdatomic.h>

#include "store/hash.h"
#include "store/item.h"
#include "store/memory.h"
#include "store/store.h"

#define STORE_LINE_BYTES 64u
/* Of 32 GiB at most each: what a location reaches. A node may have several. */
#define PARTITIONS_MAX   64u
#define LOCATION_BITS    32u
#define SEGMENT_NONE     UINT32_MAX

/* Segments that a thread's views are remembered in: a few bursts of requests. */
#define HELD_MAX   256u
#define HELD_SHIFT 24

/* Octaves of worth: see class_of() in alloc.h. */
#define CLASSES          17u
/* Groups of time to live, a factor of four each; used from TTL_SEGMENTS_MIN segments a partition on. */
#define TTL_GROUPS       6u
#define TTL_SEGMENTS_MIN 2000u
/* Open segments of a thread in a partition. */
#define OPENS            (CLASSES * TTL_GROUPS)

enum segment_state {
	SEGMENT_FREE,   /* in the free list */
	SEGMENT_OPEN,   /* one thread appends to it */
	SEGMENT_SEALED, /* full; in the queue of its class, may be chosen as a victim */
	SEGMENT_BUSY,   /* one thread empties or crawls it; still in its queue while crawled */
	SEGMENT_LIMBO,  /* empty of live items, waits for readers and pins */
	SEGMENT_INDEX,  /* holds index tables */
};

struct segment {
	_Atomic uint32_t state;      /* enum segment_state; written under the partition's lock */
	_Atomic uint32_t used_bytes; /* set when sealed */
	_Atomic uint32_t dead_bytes; /* of records that are no longer in the index */
	_Atomic uint32_t fills;      /* open fills that still write into it */
	_Atomic uint32_t
	    expires_max; /* latest expiry of its items (as in items), UINT32_MAX when one never expires */
	_Atomic uint32_t expires_min; /* not later than the earliest expiry left; UINT32_MAX: none expires */
	uint32_t class;               /* queue it is in */
	uint32_t next, prev;          /* free list, queue or limbo */
	uint32_t flush_generation;    /* of the store when it was sealed */
	uint64_t priority;            /* victims are those with the least */
	uint64_t retired_epoch;
	uint8_t pad_[8];
};
static_assert(sizeof(struct segment) == STORE_LINE_BYTES, "one line a segment");

struct segment_queue {
	uint32_t head, tail;
};

struct bucket;

struct partition {
	/* set at creation, read by all */
	uint8_t *base;
	struct segment *segments;
	_Atomic uint32_t *directory; /* table of a hash's top bits (index.h) */
	uint32_t segments_len;
	uint32_t segment_shift;
	uint32_t first_segment_offset; /* number of segments that all before them takes */
	uint32_t directory_shift;
	uint32_t tag_shift;
	uint32_t homes, spills; /* lines in a table */
	_Atomic uint32_t
	    *tables;           /* all of them in the order of their creation, as the directory names them */
	uint32_t *newest;      /* of each region the table that takes from others, 0: none; under grow_lock */
	uint32_t tables_first; /* how many there are at the start */
	uint32_t tables_max;
	uint32_t table_shift; /* log2 of a table's bytes */
	uint32_t index;       /* in store->partitions */
	int node;             /* -1: not bound to one */
	size_t bytes;         /* of memory_bytes */
	struct memory memory;

	/* Guarded by lock. From here to the end plain numbers only: restart.c keeps them as they are. */
	_Alignas(STORE_LINE_BYTES) _Atomic uint32_t lock;
	_Atomic uint32_t free_len; /* these four: written under the lock, read by anyone as a hint */
	_Atomic uint32_t limbo_len;
	_Atomic uint32_t used_len;  /* segments that are not free */
	_Atomic uint32_t limit_len; /* of used_len, from the memory limit */
	uint32_t free_head;
	struct segment_queue limbo;
	struct segment_queue queue[CLASSES];
	uint64_t age;            /* GDSF's L: the priority of the last victim */
	uint32_t scan;           /* cursor of the search for dead and expired segments */
	uint32_t crawl;          /* cursor of the crawler */
	_Atomic uint32_t filled; /* segments that open fills write into; any thread adds */
	_Atomic uint32_t index_segments;
	uint32_t index_segments_max;
	uint32_t table_segment; /* index segment being carved, SEGMENT_NONE */
	uint32_t table_next;    /* bytes of it carved */
	_Atomic uint32_t tables_len;

	/* one growth of the index at a time */
	_Alignas(STORE_LINE_BYTES) _Atomic uint32_t grow_lock;
};

/* A segment that a thread appends to. tail == segment size: none. */
struct open_segment {
	uint8_t *base;
	uint32_t tail;
	uint32_t segment;
};

/* A segment that a thread empties or crawls, in slices. */
enum job_kind { JOB_NONE, JOB_EVICT, JOB_COMPACT, JOB_CRAWL };
struct job {
	enum job_kind kind;
	uint32_t partition;
	uint32_t segment;
	uint32_t offset;
	uint32_t class;       /* compact: of what moves, by what is left of its life */
	uint32_t expires_min; /* crawl: earliest expiry left behind */
	bool drop;            /* evict: move nothing */
	bool evict;           /* live items may be given up */
	bool dead;            /* chosen because nothing in it should be alive: for the count */
};

struct store_fill;

struct store_thread {
	/* read by all who wait for grace periods */
	_Alignas(STORE_LINE_BYTES) _Atomic uint64_t seen_epoch; /* 0: offline */
	_Atomic uint32_t taken;

	/* the thread's own */
	_Alignas(STORE_LINE_BYTES) struct store *store;
	uint32_t id;
	int node; /* that it runs on, -1 unknown */
	uint32_t now_s;
	uint32_t now_expiry;   /* now in the units of an item's expiry */
	bool holding;          /* gave out a view since the last quiescent point */
	bool holding_any;      /* in more segments than `held` names, or something else must stay in place */
	uint64_t waited_epoch; /* that a wait for memory was in vain at */
	uint32_t held_len;
	uint32_t held[HELD_MAX];         /* segments of its views: partition << HELD_SHIFT | segment */
	uint32_t classes;                /* classes kept apart, 1..CLASSES */
	uint32_t ttl_groups;             /* 1 or TTL_GROUPS */
	uint64_t sequence, sequence_end; /* block of sequences that this thread draws from (life.h) */
	uint32_t sequence_block;
	struct job job;
	store_evicted *evicted; /* NULL: nobody wants to see what is evicted */
	void *evicted_ctx;
	struct open_segment *open[PARTITIONS_MAX];        /* OPENS each */
	_Atomic(_Atomic uint32_t *) pins[PARTITIONS_MAX]; /* one a segment; NULL until first registered */
	uint32_t pinned_segments;
	struct store_fill *fills_free;
	struct store_fill *fills_oldest, *fills_newest; /* that wait for bytes */
	struct store_counters counters;
};

struct store {
	struct hash_keys hash; /* aligned to 16 */
	unsigned partitions_len;
	uint32_t threads_max;
	uint32_t base_s; /* one second before creation */
	uint32_t item_max_bytes;
	size_t limit_bytes;
	size_t reserved_bytes; /* what the limit was at creation, and may be at most */
	bool evict;
	bool cas;
	uint8_t hash_key[16];
	struct restart *restart; /* NULL: memory ends with the store */
	struct partition *partitions;
	struct store_thread *threads;

	_Alignas(STORE_LINE_BYTES) _Atomic uint64_t epoch; /* starts at 1 */
	_Alignas(STORE_LINE_BYTES) _Atomic uint32_t sequence_lock;
	uint64_t sequence; /* first that no thread has drawn; starts at 1; under the lock */
	_Alignas(STORE_LINE_BYTES) _Atomic uint64_t flush_sequence; /* items up to this are flushed */
	_Atomic uint32_t flush_at_s;                                /* coming flush, UINT32_MAX none */
	_Atomic uint32_t flush_generation;                          /* flushes so far */
	_Atomic uint32_t registered;
};

#define COUNT_ADD(thread, name, amount) \
	__atomic_store_n(&(thread)->counters.name, (thread)->counters.name + (amount), __ATOMIC_RELAXED)
#define COUNT(thread, name) COUNT_ADD(thread, name, 1)

static inline struct partition *
partition_of(const struct store *store, uint64_t hash)
{
	/* Bits 22..31: below the tag, above the home line (index.h). */
	return &store->partitions[(hash >> 22 & 1023) * store->partitions_len >> 10];
}

/* Counts an operation by its distance. A thread that does not know its node is everywhere local. */
static inline void
partition_count(struct store_thread *thread, const struct partition *part)
{
	if (__builtin_expect(thread->store->partitions_len == 1, 1))
		return;
	if (thread->node < 0 || part->node == thread->node)
		COUNT(thread, accesses_local);
	else
		COUNT(thread, accesses_remote);
}

/* partition_of() for an operation of a thread, counted. */
static inline struct partition *
partition_for(struct store_thread *thread, uint64_t hash)
{
	struct partition *part = partition_of(thread->store, hash);

	partition_count(thread, part);
	return part;
}

static inline void *
location_pointer(const struct partition *part, uint64_t location)
{
	return part->base + location * 8;
}

static inline uint64_t
pointer_location(const struct partition *part, const void *pointer)
{
	return (uint64_t)((const uint8_t *)pointer - part->base) >> 3;
}

static inline uint32_t
segment_bytes(const struct partition *part)
{
	return 1u << part->segment_shift;
}

static inline uint32_t
location_segment(const struct partition *part, uint64_t location)
{
	return (uint32_t)(location >> (part->segment_shift - 3)) - part->first_segment_offset;
}

static inline uint8_t *
segment_base(const struct partition *part, uint32_t segment)
{
	return part->base + ((uint64_t)(segment + part->first_segment_offset) << part->segment_shift);
}

/* Spins shortly, then lets others run: holders may be preempted on shared machines. */
static inline void
spin_pause(unsigned *spins)
{
	if (++*spins % 256)
		_mm_pause();
	else
		sched_yield();
}

static inline void
spin_lock(_Atomic uint32_t *lock)
{
	unsigned spins = 0;
	/* acquire: pairs with the release in spin_unlock() */
	while (atomic_exchange_explicit(lock, 1, memory_order_acquire))
		while (atomic_load_explicit(lock, memory_order_relaxed))
			spin_pause(&spins);
}

static inline void
spin_unlock(_Atomic uint32_t *lock)
{
	atomic_store_explicit(lock, 0, memory_order_release);
}

#endif
