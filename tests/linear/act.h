/*
 * Random operations on a store, as the checker wants them: an operation is chosen (what is asked), done, and its answer
 * and the moments of its begin and end are noted in the same struct linear_op.
 *
 * A key may stretch its values: each byte of the model's value is then a run of that many equal bytes in the store, so
 * that a few bytes stand for a value in chunks, and one that is not made of whole runs is torn.
 */
#ifndef WIRECACHE_TESTS_ACT_H
#define WIRECACHE_TESTS_ACT_H

#include "linear.h"

#define ACT_STRETCH_MAX 3000u

struct act_key {
	char name[32];
	uint32_t stretch;
};

/* What a thread has seen of a key: for operations that ask for a CAS or a view. */
struct act_seen {
	uint64_t cas; /* 0: none */
	bool has_view;
	struct store_view view;
};

/* One thread of a history. */
struct actor {
	struct store *store;
	struct store_thread *thread;
	_Atomic uint64_t *moments; /* all threads draw their stamps here */
	uint32_t now_s;
	uint64_t random;
	struct act_key keys[LINEAR_KEYS_MAX]; /* the same for all actors */
	unsigned keys_len;
	uint32_t flush_in; /* one operation in so many is flush_all; 0: none */
	/* Called within the moments of an operation, just before and after the store is; NULL: not. */
	void (*before)(void), (*after)(void);
	struct act_seen seen[LINEAR_KEYS_MAX];
	unsigned lane;
	uint32_t given;  /* CAS of its own */
	uint32_t joined; /* bytes appended: the model's values are short */
	uint32_t joined_max;
	uint8_t buffer[LINEAR_VALUE_MAX * ACT_STRETCH_MAX];
};

uint32_t act_pick(struct actor *actor, uint32_t below);

/* Once a store: what it chooses as CAS from then on is above the small ones that are given. */
void act_raise_cas(struct actor *actor);

/* Before a history of other keys. */
void act_forget(struct actor *actor);

/* What the next operation asks; its answer is empty. */
void act_choose(struct actor *actor, struct linear_op *op);

/* Does it and notes the answer. */
void act_do(struct actor *actor, struct linear_op *op);

/* A quiescent point: views end. */
void act_quiesce(struct actor *actor);

#endif
