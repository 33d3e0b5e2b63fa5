/*
 * The item store: the whole public face of store/.
 *
 * A cache of immutable items in NUMA-local memory. It knows keys, values, flags, expiry and CAS; it knows neither
 * packets nor protocol text. It uses libc and libnuma only, so it runs under sanitizers and without the EAL.
 *
 * Threads
 *   Every thread that touches items registers once and passes its own struct store_thread to every call; a handle is
 *   never used by two threads at once. Reads take no lock and write no shared line on the common path. Writers lock
 *   one bucket for the time of the swing. Whatever a read returned (struct store_view) stays valid and unchanged until
 *   that thread's next store_quiesce(), or longer while pinned.
 *
 * Time
 *   Seconds, Unix time, given by the caller with store_quiesce(): the store never reads a clock.
 *
 * Errors
 *   enum store_status for normal outcomes; negative errno from calls that set something up.
 */
#ifndef WIRECACHE_STORE_H
#define WIRECACHE_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct store;
struct store_thread;

#define STORE_KEY_MAX          250u
#define STORE_NODES_MAX        8u
#define STORE_THREADS_MAX      64u
#define STORE_ERROR_MAX        512u
#define STORE_RESTART_PATH_MAX 256u
#define STORE_EXPTIME_NEVER    0u

struct store_config {
	size_t memory_bytes; /* everything: index and segments, summed over the nodes; at least 8 MiB */
	uint32_t
	    item_max_bytes; /* largest item, key and header counted as memcached counts them; 1 MiB by default */
	uint32_t threads_max; /* handles that may be registered, <= STORE_THREADS_MAX */
	int nodes
	    [STORE_NODES_MAX]; /* NUMA nodes that get an equal part each; -1: wherever the kernel puts it */
	unsigned nodes_len;    /* 0 means no binding */
	bool hugepages;        /* try hugepages first; falls back to normal pages and says so in store_info */
	bool evict;            /* false: a full store answers STORE_NO_MEMORY instead of evicting */
	bool cas;              /* false: store_view.cas is 0 */
	uint8_t hash_key[16];  /* secret of the keyed hash; the caller fills it with random bytes */
	uint32_t now_s;        /* Unix time at creation */
	/*
	 * Warm restart: items live in files PATH.items.N in tmpfs or hugetlbfs and are there again for the next store
	 * with the same path, memory and nodes, if this one ends by store_destroy() with all threads unregistered.
	 * NULL: they end with the store. The pages are those of the filesystem, whatever `hugepages` says.
	 */
	const char *restart_path;
};

/* Fills in the defaults that README documents; hash_key stays zero. */
void store_config_default(struct store_config *config);

/*
 * Creates a store; *out is NULL on failure and error holds one sentence for the operator.
 * Returns 0, -EINVAL (a limit of struct store_config broken), -ENOMEM, or with a restart_path also -EBUSY (another
 * process has the files), -ENOSPC (no room there) and what opening a file may fail with.
 */
int store_create(const struct store_config *config, struct store **out, char error[STORE_ERROR_MAX]);

/* All threads must have been unregistered, or be stopped for good: then no items are kept for a restart. */
void store_destroy(struct store *store);

/* Removes the files of a restart_path that nobody uses, and their items with them; returns how many there were. */
unsigned store_restart_forget(const char *restart_path);

/* Claims a handle; NULL when threads_max are taken. node: the NUMA node that the thread runs on, -1 unknown. */
struct store_thread *store_thread_register(struct store *store, int node);
void store_thread_unregister(struct store_thread *thread);

/*
 * Quiescent point, once a loop: every view this thread holds ends here, and now_s becomes the time it sees.
 * A thread that will block calls store_offline() first, so that it holds up nobody's reclamation, and
 * store_quiesce() when it is back.
 */
void store_quiesce(struct store_thread *thread, uint32_t now_s);
void store_offline(struct store_thread *thread);

/*
 * A bounded slice of background work: expiry, eviction ahead of need, flush purge, compaction. Looks at no more than
 * about `budget` items. Returns whether work remains. Call once a loop, with more when idle.
 */
bool store_maintain(struct store_thread *thread, unsigned budget);

/* ---- keys ------------------------------------------------------------------------------------- */

struct store_key {
	const uint8_t *bytes; /* 1..STORE_KEY_MAX bytes, any value */
	uint32_t len;
	uint64_t hash; /* store_hash() of them */
};

uint64_t store_hash(const struct store *store, const void *key, size_t len);

static inline struct store_key
store_key_make(const struct store *store, const void *key, uint32_t len)
{
	struct store_key made = {
	    .bytes = (const uint8_t *)key, .len = len, .hash = store_hash(store, key, len)};
	return made;
}

/*
 * Staged lookup for a burst: prefetch all buckets, then all items, then read. Both are hints without effect on
 * results. store_prefetch_bucket() says where the bucket lies; store_prefetch_item() takes that place, before the thread
 * quiesces, matches tags in the bucket and prefetches the first lines of the candidate.
 */
const void *store_prefetch_bucket(const struct store *store, uint64_t hash);
void store_prefetch_item(const struct store *store, uint64_t hash, const void *place);

/* ---- reading ---------------------------------------------------------------------------------- */

enum store_status {
	STORE_OK,
	STORE_NOT_FOUND, /* no such item, or expired, or flushed */
	STORE_EXISTS,    /* CAS did not match */
	STORE_NOT_STORED, /* condition of add, replace, append, prepend failed, or append would exceed the limit */
	STORE_TOO_LARGE, /* above item_max_bytes */
	STORE_NO_MEMORY,
	STORE_NON_NUMERIC, /* incr or decr of a value that is no number */
	STORE_STALE,       /* meta set with invalidate: stored, but marked stale */
};

#define STORE_ITEM_FETCHED    0x01u /* was read since it was stored */
#define STORE_ITEM_STALE      0x02u /* meta: invalidated, still served */
#define STORE_ITEM_TOKEN_SENT 0x04u /* meta: someone already won the right to recache */
#define STORE_ITEM_KEY_BINARY 0x08u /* meta: key was given in base64 */

/* One item as a reader sees it. Immutable while valid. */
struct store_view {
	const uint8_t *value; /* contiguous value, or NULL when it is kept in chunks: use store_view_span() */
	uint32_t value_bytes;
	uint32_t client_flags;
	uint64_t cas;
	uint32_t expires_s;     /* Unix time, STORE_EXPTIME_NEVER for never */
	uint32_t last_access_s; /* Unix time of the access before this one */
	uint32_t item_flags;    /* STORE_ITEM_*, before this access */
	uint32_t cold_;         /* owned by the store */
	const void *item_;      /* owned by the store */
	uint64_t meta_;         /* owned by the store */
};

/* Contiguous bytes of the value from `offset` on: sets *bytes, returns how many (0 at the end). */
uint32_t store_view_span(
    const struct store *store, const struct store_view *view, uint32_t offset, const uint8_t **bytes);

/* STORE_OK or STORE_NOT_FOUND; counts the access (hits, fetched, last access). */
enum store_status store_get(
    struct store_thread *thread, const struct store_key *key, struct store_view *view);

/*
 * A burst of plain gets in stages, each over all keys before the next begins, so that what memory is slow with overlaps:
 * store_probe_hash(), store_probe_load(), store_probe_load_spilled(), store_probe_get(). The two in the middle are hints.
 * After a store_quiesce() or a write of this thread, which may quiesce, store_probe_place() comes before the last.
 */
struct store_probe {
	struct store_key key;       /* bytes and len by the caller; hash by store_probe_hash() */
	const void *part_, *place_; /* owned by the store */
	bool spilled_;              /* the same: what may be the item is named elsewhere than at its place */
};

/* What a plain get says of an item. Valid as long as a view. */
struct store_found {
	const uint8_t *value; /* NULL: no item, or, value_bytes not 0, one that is left to store_get() */
	uint32_t value_bytes;
	uint32_t client_flags;
};

void store_probe_hash(const struct store *store, struct store_probe *probes, unsigned n);
void store_probe_place(const struct store *store, struct store_probe *probes, unsigned n);
void store_probe_load(const struct store *store, struct store_probe *probes, unsigned n);
void store_probe_load_spilled(const struct store *store, const struct store_probe *probes, unsigned n);
/* As store_get() for each key, but for values above value_max bytes, which are neither read nor counted. Returns the hits. */
unsigned store_probe_get(struct store_thread *thread, const struct store_probe *probes, unsigned n,
    uint32_t value_max, struct store_found *found);

/* store_get() without counting it as an access (meta N/k/l without bump, debugging). */
enum store_status store_peek(
    struct store_thread *thread, const struct store_key *key, struct store_view *view);

/* Why a key is not found: for those who tell of it, slower than the miss itself and not counted. */
enum store_absence {
	STORE_ABSENT, /* never stored, deleted or evicted, or its memory was taken back; or it is there by now */
	STORE_ABSENT_EXPIRED,
	STORE_ABSENT_FLUSHED,
};
enum store_absence store_absence(struct store_thread *thread, const struct store_key *key);

/* touch, gat: new expiry (Unix time as returned by store_expiry()); *view may be NULL. */
enum store_status store_touch(
    struct store_thread *thread, const struct store_key *key, uint32_t expires_s, struct store_view *view);

/*
 * Keeps the memory behind a view in place across quiescent points, for values that leave without a copy. Refuses
 * (false) when too much memory is pinned already: copy then. A pin is released by the thread that took it.
 */
struct store_pin {
	uint64_t handle_; /* owned by the store */
};
bool store_pin(struct store_thread *thread, const struct store_view *view, struct store_pin *pin);
void store_unpin(struct store_thread *thread, struct store_pin pin);

/* ---- walking over all items ------------------------------------------------------------------- */

/* Where a walk is; zero at its start. Owned by the caller, fields by the store. Holds nothing up between two calls. */
struct store_cursor {
	uint32_t partition_, table_, line_, slot_;
};

/* One item during a walk; valid until the visitor returns. */
struct store_entry {
	const uint8_t *key;
	uint32_t key_len;
	uint64_t total_bytes; /* of memory, header and chunks included */
	struct store_view view;
};

/* Must not call the store, but for store_view_span(). False: stop here, and begin with this item next time. */
typedef bool store_visit(void *ctx, const struct store_entry *entry);

/*
 * Visits live items beside readers and writers, looking at about `budget` places (10 a line, most of them taken). Counts
 * no access. Returns whether there is more. An item that is in the store for the whole walk is visited at least once;
 * twice is possible when the index grows.
 */
bool store_walk(
    struct store_thread *thread, struct store_cursor *cursor, unsigned budget, store_visit *visit, void *ctx);

/*
 * Shows every item that this thread's calls evict from now on, expired ones excepted; NULL: no more. The callback must
 * neither call the store, but for store_view_span(), nor wait: a lock may be held around it.
 */
typedef void store_evicted(void *ctx, const struct store_entry *entry);
void store_watch_evictions(struct store_thread *thread, store_evicted *evicted, void *ctx);

/* ---- writing ---------------------------------------------------------------------------------- */

enum store_mode {
	STORE_SET,
	STORE_ADD,
	STORE_REPLACE,
	STORE_APPEND,  /* keeps the item's flags and expiry */
	STORE_PREPEND, /* the same */
	STORE_CAS,     /* replace if the CAS is struct store_write.cas: NOT_FOUND, EXISTS or OK */
};

struct store_write {
	enum store_mode mode;
	uint32_t client_flags;
	uint32_t expires_s; /* Unix time, STORE_EXPTIME_NEVER, or STORE_EXPIRED for "at once" */
	uint64_t cas;       /* compared in any mode when cas_check is set or mode is STORE_CAS */
	bool cas_check;
	bool key_binary; /* meta b */
	bool invalidate; /* meta I: an older CAS stores the value as stale */
	bool vivify;     /* meta N: append or prepend creates on a miss */
	bool cas_set;    /* meta E: cas_new becomes the item's CAS */
	uint64_t cas_new;
};

#define STORE_EXPIRED 1u /* an expiry in 1970: stored, then a miss */

/*
 * memcached's exptime to an expiry: 0 never; negative at once; up to 30 days relative to now; larger absolute.
 * `exptime` is what remained after memcached's truncation to 32 bits.
 */
uint32_t store_expiry(int32_t exptime, uint32_t now_s);

/* Stores a value that is all at hand. *cas (may be NULL) receives the new CAS. */
enum store_status store_put(struct store_thread *thread, const struct store_key *key,
    const struct store_write *write, const void *value, uint32_t value_bytes, uint64_t *cas);

/*
 * Stores a value that arrives in pieces, without a second copy. Between reserve and commit the item is invisible
 * and its memory is held across quiescent points. One of commit or abort ends it and frees the fill.
 *   STORE_OK: *fill is set. STORE_TOO_LARGE, STORE_NO_MEMORY: *fill is NULL.
 * The key is copied; `write` is copied.
 */
struct store_fill;
enum store_status store_reserve(struct store_thread *thread, const struct store_key *key,
    const struct store_write *write, uint32_t value_bytes, struct store_fill **fill);
/* Copies up to `bytes` into the value; returns how many were taken (less only when the value is full). */
uint32_t store_fill_append(struct store_fill *fill, const void *data, uint32_t bytes);
/* What it was reserved with; the key's bytes are the fill's. */
void store_fill_about(
    const struct store_fill *fill, struct store_key *key, struct store_write *write, uint32_t *value_bytes);
uint32_t store_fill_missing(const struct store_fill *fill); /* bytes still to come */
/* A STORE_SET that ends with STORE_NO_MEMORY takes the old item along: it was meant to be replaced. */
enum store_status store_fill_commit(struct store_thread *thread, struct store_fill *fill, uint64_t *cas);
void store_fill_abort(struct store_thread *thread, struct store_fill *fill);

/* STORE_OK, STORE_NOT_FOUND or STORE_EXISTS; cas 0 is not compared. */
enum store_status store_delete(struct store_thread *thread, const struct store_key *key, uint64_t cas);

/*
 * meta delete with I: marks stale, raises the CAS or sets it to cas_given unless that is 0, and sets a new expiry if
 * `expires_s` is given. An item for whose change there is no memory is given up: it must not be taken for fresh.
 */
enum store_status store_invalidate(struct store_thread *thread, const struct store_key *key, uint64_t cas,
    uint64_t cas_given, const uint32_t *expires_s);

/*
 * meta win token: true for exactly one caller after an item became stale or due for recache, and only while the item is
 * as it was when viewed, but for its expiry.
 */
bool store_win(struct store_thread *thread, const struct store_key *key, const struct store_view *view);

struct store_change {
	bool decrement;
	uint64_t amount;
	uint64_t cas;       /* 0 is not compared */
	uint64_t cas_given; /* meta E: becomes the item's CAS; 0 for a fresh one */
};

/*
 * incr, decr: decimal value of up to 20 digits; incr wraps at 2^64, decr stops at 0; decr keeps the old length by
 * trailing spaces as memcached does. *result is the new number, *cas_new (may be NULL) the new CAS. A number that
 * keeps its length keeps the item's marks, a longer one loses them.
 */
enum store_status store_delta(struct store_thread *thread, const struct store_key *key,
    const struct store_change *change, uint64_t *result, uint64_t *cas_new);

#define STORE_FLUSH_NOW 0u

/* Items stored before `at_s` (Unix time, a later moment than now, or STORE_FLUSH_NOW) are gone from `at_s` on. */
void store_flush_all(struct store_thread *thread, uint32_t at_s);

/* Live change of the limit, up to what was reserved at creation when growing is impossible: -ENOMEM then. */
int store_set_memory_limit(struct store *store, size_t memory_bytes);

/* ---- what is inside --------------------------------------------------------------------------- */

/* Counters have one writer, their thread; readers sum and may see a slightly old value. From counters.def. */
struct store_counters {
#define STORE_COUNTER(name, help) uint64_t name;
#include "store/counters.def"
#undef STORE_COUNTER
};

/* Sums the counters of all threads, those that left included. Any thread may call it. */
void store_counters_sum(const struct store *store, struct store_counters *sum);

/* How a store began. */
enum store_start {
	STORE_START_PLAIN, /* no warm restart asked for */
	STORE_START_EMPTY, /* nothing that could be kept */
	STORE_START_WARM,  /* with the items of before */
};

struct store_info {
	size_t limit_bytes;   /* as configured or set live */
	size_t index_bytes;   /* segments that hold tables of the index */
	size_t segment_bytes; /* of one segment */
	uint64_t segments;    /* all */
	uint64_t segments_free;
	uint64_t items; /* published now, expired but not yet reclaimed ones included */
	uint64_t bytes; /* of those items, headers included */
	unsigned partitions;
	bool hugepages; /* every partition lies on hugepages */
	bool bound;     /* every partition is bound to its node */
	enum store_start start;
	const char *start_why; /* what was kept, or why nothing was; lives as long as the store */
};
void store_info_get(const struct store *store, struct store_info *info);

/* What is left of life: a segment is in the band of its longest-lived item. From bands.def. */
enum store_band {
#define STORE_BAND(name, end_s, help) STORE_BAND_##name,
#include "store/bands.def"
#undef STORE_BAND
	STORE_BANDS
};
struct store_band_info {
	const char *name, *help;
	uint64_t segments;
	uint64_t bytes; /* of items in them, headers included; none of open segments */
};
/* Reads one line a segment and no item; any thread. now_s: Unix time. */
void store_bands(const struct store *store, uint32_t now_s, struct store_band_info bands[STORE_BANDS]);

/* Walks all structures; returns NULL or a sentence that says what is broken. For tests, with no other thread active. */
const char *store_check(const struct store *store);

#endif
