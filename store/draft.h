/*
 * Drafts: items that are written but not yet in the index, and the one way into it.
 *
 * A write makes a draft in the thread's own memory without any lock, then publishes: under the bucket's lock
 * the decision is taken (does the condition of add, cas, ... hold?), the sequence is drawn, and the slot
 * swings. A draft that is refused gives its memory back.
 */
#ifndef WIRECACHE_STORE_DRAFT_H
#define WIRECACHE_STORE_DRAFT_H

#include "store/internal.h"

struct draft {
	struct partition *part;
	struct item *item;
	uint32_t bytes;       /* of its record */
	uint32_t open;        /* where it was allocated */
	uint64_t total_bytes; /* with chunks */
};

/* Values up to this size of record lie in one piece. */
uint32_t draft_inline_max(const struct partition *part);

/*
 * Whether a value goes into chunks: its record would be too large, or the rest of the open segment is too small for it
 * and too large to be left unused.
 */
bool draft_in_chunks(const struct store_thread *thread, const struct store_key *key,
    const struct store_write *write, uint32_t value_bytes);

/* Of an item without hits, in chunks or not: its pieces lie among items of its size. */
uint32_t draft_class(const struct store_key *key, const struct store_write *write, uint32_t value_bytes);

/* The item's size as memcached would count it. */
uint64_t draft_memcached_bytes(uint32_t key_len, uint32_t client_flags, uint64_t value_bytes);

/* Is the item, so counted, within the limit? */
bool draft_size_allowed(
    const struct store *store, uint32_t key_len, uint32_t client_flags, uint64_t value_bytes);

/*
 * Allocates and writes everything but the value and what publishing decides. chunks: 0 for an inline value.
 * open: OPENS lets size and expiry choose. False: no memory.
 */
bool draft_begin(struct store_thread *thread, struct draft *draft, const struct store_key *key,
    const struct store_write *write, uint32_t value_bytes, uint32_t chunks, uint32_t open);

uint8_t *draft_value(const struct draft *draft);
struct chunk_list *draft_chunks(const struct draft *draft);

void draft_abort(struct store_thread *thread, struct draft *draft);

/*
 * How a draft relates to the item it may replace. The last three were made from the item `from` and hold only
 * while that is still the one in the index, with the same sequence; expiry and what else they keep is taken
 * over at publishing.
 */
enum draft_kind {
	DRAFT_WRITE,       /* store_write's mode decides */
	DRAFT_APPENDED,    /* append, prepend */
	DRAFT_COUNTED,     /* incr, decr */
	DRAFT_INVALIDATED, /* the same value, stale, under a CAS that the client gave */
};

struct publish {
	enum draft_kind kind;
	const struct store_write *write;
	const struct item *from;
	uint64_t from_sequence;
	uint64_t cas;     /* out */
	bool expires_set; /* the draft's expiry stands; else a derived item takes over the old one's */
	bool held;        /* the draft's segment is held for the time of publishing */
	bool again;       /* out: another thread was first, derive anew; the draft was given back */
};

/* Publishes or gives back. STORE_NO_MEMORY: no room in the index. */
enum store_status draft_publish(
    struct store_thread *thread, struct draft *draft, const struct store_key *key, struct publish *publish);

#endif
