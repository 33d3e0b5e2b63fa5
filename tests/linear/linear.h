/*
 * Is a recorded history linearisable? That is: can each operation be given one moment between its begin and its end, so
 * that the answers are those of plain items, one a key, to which one operation happens after another?
 *
 *   lane 0   |--set a--|      |----get: b----|
 *   lane 1        |-----set b-----|   |--get: a--|      no order explains a after b: rejected
 *
 * model.c is the plain item, checker.c the search (Wing and Gong, "Testing and verifying concurrent objects", 1993).
 * The few keys of a history are searched together: a flush is one moment for all of them.
 *
 * A thread is a lane: its operations do not overlap.
 */
#ifndef WIRECACHE_TESTS_LINEAR_H
#define WIRECACHE_TESTS_LINEAR_H

#include "store/store.h"

#include <stdio.h>

#define LINEAR_LANES_MAX 8u
#define LINEAR_KEYS_MAX  4u
#define LINEAR_VALUE_MAX 160u

struct linear_value {
	uint32_t len;
	uint8_t bytes[LINEAR_VALUE_MAX];
};

enum linear_kind {
	LINEAR_GET,        /* saw; of it value and client flags only, when it is brief */
	LINEAR_WRITE,      /* write, value: new_cas */
	LINEAR_DELETE,     /* cas */
	LINEAR_TOUCH,      /* expires_s; saw, when view is set */
	LINEAR_INVALIDATE, /* cas, cas_given, expires_s when expires_set */
	LINEAR_WIN,        /* cas of the view: won */
	LINEAR_DELTA,      /* change: number, new_cas */
	LINEAR_FLUSH,      /* of all keys */
};

/* What a read showed of an item. */
struct linear_seen {
	struct linear_value value;
	uint32_t client_flags;
	uint32_t expires_s;
	uint64_t cas;
	bool stale, token;
};

struct linear_op {
	uint64_t begin,
	    end; /* stamps of one counter: an operation that ended before another began came first */
	enum linear_kind kind;
	unsigned key;
	enum store_status status;
	bool view, expires_set, won;
	bool brief;  /* a get in stages, which tells less */
	bool pieces; /* written as a value that arrives in pieces */
	uint32_t expires_s;
	uint64_t cas, cas_given;
	uint64_t new_cas;
	uint64_t number;
	struct store_write write;
	struct store_change change;
	struct linear_value value;
	struct linear_seen saw;
};

/* The plain item. */
struct linear_item {
	bool present;
	bool stale, token;
	bool cas_known; /* false: raised by invalidate, which does not tell it; above `floor` */
	uint32_t client_flags;
	uint32_t expires_s;
	uint64_t cas;
	uint64_t floor; /* the latest CAS that the store itself chose: its next one is higher */
	struct linear_value value;
};

struct linear_lane {
	const struct linear_op *ops; /* in order, none overlapping */
	uint32_t len;
};

/* Lets the operation happen to the item of its key; false when it cannot have answered so. The item is then undefined. */
bool linear_apply(struct linear_item *item, const struct linear_op *op);

enum linear_verdict { LINEAR_YES, LINEAR_NO, LINEAR_UNDECIDED /* no memory, or too many states */ };

/*
 * All keys are absent at the start. may_vanish: an item may be evicted at any moment, and a write refused for lack of
 * memory.
 */
enum linear_verdict linear_check(const struct linear_lane *lanes, unsigned lanes_len, bool may_vanish);

/* For people: the operations around the first that no order explains, by their begin. */
void linear_explain(FILE *to, const struct linear_lane *lanes, unsigned lanes_len, bool may_vanish);

#endif
