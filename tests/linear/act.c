/*
 * See act.h.
 */
#include "act.h"

#include <assert.h>
#include <stdatomic.h>
#include <string.h>

#include "tests/random.h"

#define PIECE_MAX 3u /* bytes of the model in one value */
#define BRIEF_MAX LINEAR_VALUE_MAX
#define GIVEN_END 4096u

uint32_t
act_pick(struct actor *actor, uint32_t below)
{
	return random_below(&actor->random, below);
}

void
act_raise_cas(struct actor *actor)
{
	struct store_key key = store_key_make(actor->store, "raise", 5);
	struct store_write write = {.mode = STORE_SET};

	for (unsigned i = 0; i < GIVEN_END; i++)
		store_put(actor->thread, &key, &write, "", 0, NULL);
	store_delete(actor->thread, &key, 0);
}

void
act_forget(struct actor *actor)
{
	memset(actor->seen, 0, sizeof(actor->seen));
	actor->joined = actor->given = 0;
}

void
act_quiesce(struct actor *actor)
{
	for (unsigned k = 0; k < actor->keys_len; k++)
		actor->seen[k].has_view = false;
	store_quiesce(actor->thread, actor->now_s);
}

/* ---- choosing --------------------------------------------------------------------------------- */

/* What was seen, or something that never was. */
static uint64_t
choose_cas(struct actor *actor, unsigned key)
{
	uint64_t seen = actor->seen[key].cas;

	return seen && act_pick(actor, 4) ? seen : 1 + act_pick(actor, 1000);
}

/*
 * Below or far above what the store chooses, and no two of a history the same: by the CAS of its view the model knows which
 * item a win is for.
 */
static uint64_t
choose_cas_given(struct actor *actor)
{
	uint64_t own = 1 + actor->lane + (uint64_t)actor->given++ * LINEAR_LANES_MAX;
	uint64_t large = random_next(&actor->random) >> act_pick(actor, 16) | 1ull << 47;

	assert(own < GIVEN_END);
	return act_pick(actor, 2) ? own : large / GIVEN_END * GIVEN_END + own;
}

/* The past is left to STORE_EXPIRED: time stands still in a history. */
static uint32_t
choose_expiry(struct actor *actor)
{
	if (act_pick(actor, 12) == 0)
		return STORE_EXPIRED;
	return act_pick(actor, 2) ? STORE_EXPTIME_NEVER : actor->now_s + 1000 + act_pick(actor, 1000);
}

/* Half of them numbers, where values are not stretched. */
static void
choose_value(struct actor *actor, const struct act_key *key, struct linear_value *value)
{
	bool digits = key->stretch == 1 && act_pick(actor, 2);

	value->len = act_pick(actor, 16) ? 1 + act_pick(actor, PIECE_MAX) : 0;
	for (uint32_t i = 0; i < value->len; i++)
		value->bytes[i] = (uint8_t)(digits ? '0' + act_pick(actor, 10) : 'a' + act_pick(actor, 26));
}

static void
choose_write(struct actor *actor, struct linear_op *op)
{
	static const enum store_mode modes[] = {
	    STORE_SET, STORE_SET, STORE_ADD, STORE_REPLACE, STORE_APPEND, STORE_PREPEND, STORE_CAS};
	struct store_write *write = &op->write;

	op->kind = LINEAR_WRITE;
	write->mode = modes[act_pick(actor, sizeof(modes) / sizeof(modes[0]))];
	write->client_flags = act_pick(actor, 3) ? 0 : act_pick(actor, 100);
	write->expires_s = choose_expiry(actor);
	write->cas_check = write->mode != STORE_ADD && act_pick(actor, 4) == 0;
	if (write->cas_check || write->mode == STORE_CAS) {
		write->cas = choose_cas(actor, op->key);
		write->invalidate = act_pick(actor, 3) == 0;
	}
	write->vivify = act_pick(actor, 3) == 0;
	write->cas_set = act_pick(actor, 6) == 0;
	if (write->cas_set)
		write->cas_new = choose_cas_given(actor);
	choose_value(actor, &actor->keys[op->key], &op->value);
	op->pieces = act_pick(actor, 3) == 0;
	if (write->mode == STORE_APPEND || write->mode == STORE_PREPEND) {
		if (actor->joined + op->value.len > actor->joined_max)
			op->value.len = 0;
		actor->joined += op->value.len;
	}
}

static void
choose_delta(struct actor *actor, struct linear_op *op)
{
	op->kind = LINEAR_DELTA;
	op->change.decrement = act_pick(actor, 2);
	op->change.amount = act_pick(actor, 8) ? act_pick(actor, 20) : random_next(&actor->random);
	op->change.cas = act_pick(actor, 4) ? 0 : choose_cas(actor, op->key);
	op->change.cas_given = act_pick(actor, 6) ? 0 : choose_cas_given(actor);
}

static void
choose_invalidate(struct actor *actor, struct linear_op *op)
{
	op->kind = LINEAR_INVALIDATE;
	op->cas = act_pick(actor, 3) ? 0 : choose_cas(actor, op->key);
	op->cas_given = act_pick(actor, 3) ? 0 : choose_cas_given(actor);
	op->expires_set = act_pick(actor, 3) == 0;
	if (op->expires_set)
		op->expires_s = choose_expiry(actor);
}

static void
choose_touch(struct actor *actor, struct linear_op *op)
{
	op->kind = LINEAR_TOUCH;
	op->view = act_pick(actor, 2);
	op->expires_s = choose_expiry(actor);
}

void
act_choose(struct actor *actor, struct linear_op *op)
{
	uint32_t what = act_pick(actor, 100);

	*op = (struct linear_op){.key = act_pick(actor, actor->keys_len)};
	const struct act_seen *seen = &actor->seen[op->key];
	if (actor->flush_in && act_pick(actor, actor->flush_in) == 0) {
		op->kind = LINEAR_FLUSH;
	} else if (what < 40) {
		choose_write(actor, op);
	} else if (what < 50) {
		op->kind = LINEAR_DELETE;
		op->cas = act_pick(actor, 2) ? 0 : choose_cas(actor, op->key);
	} else if (what < 58) {
		choose_touch(actor, op);
	} else if (what < 66) {
		choose_invalidate(actor, op);
	} else if (what < 76) {
		choose_delta(actor, op);
	} else if (what < 84 && seen->has_view) {
		op->kind = LINEAR_WIN;
		op->cas = seen->view.cas;
	} else {
		op->kind = LINEAR_GET;
		op->brief = act_pick(actor, 2);
	}
}

/* ---- doing ------------------------------------------------------------------------------------ */

/* Relaxed, so that stamps tie no threads together that the store does not; the calls in between are in other files. */
static uint64_t
moment(struct actor *actor)
{
	atomic_signal_fence(memory_order_seq_cst);
	uint64_t now = atomic_fetch_add_explicit(actor->moments, 1, memory_order_relaxed);
	atomic_signal_fence(memory_order_seq_cst);
	return now;
}

static const struct linear_value torn = {.len = 1, .bytes = "!"};

/* The model's value of the store's; torn when that is not made of whole runs. */
static void
shrink(const struct actor *actor, uint32_t stretch, const struct store_view *view, struct linear_value *value)
{
	const uint8_t *span;
	uint32_t at = 0;

	*value = torn;
	if (view->value_bytes % stretch || view->value_bytes / stretch > LINEAR_VALUE_MAX)
		return;
	value->len = view->value_bytes / stretch;
	for (uint32_t len; (len = store_view_span(actor->store, view, at, &span)) > 0;)
		for (uint32_t i = 0; i < len; i++, at++) {
			if (at >= view->value_bytes ||
			    (at % stretch && value->bytes[at / stretch] != span[i])) {
				*value = torn;
				return;
			}
			value->bytes[at / stretch] = span[i];
		}
	if (at != view->value_bytes)
		*value = torn;
}

static void
note_seen(struct actor *actor, struct linear_op *op, const struct store_view *view)
{
	struct act_seen *seen = &actor->seen[op->key];

	op->saw = (struct linear_seen){.client_flags = view->client_flags,
	    .expires_s = view->expires_s,
	    .cas = view->cas,
	    .stale = view->item_flags & STORE_ITEM_STALE,
	    .token = view->item_flags & STORE_ITEM_TOKEN_SENT};
	/* A moment in 1970 is kept as the store's first. */
	if (op->saw.expires_s && op->saw.expires_s <= actor->now_s)
		op->saw.expires_s = STORE_EXPIRED;
	shrink(actor, actor->keys[op->key].stretch, view, &op->saw.value);
	*seen = (struct act_seen){.cas = view->cas, .has_view = true, .view = *view};
}

/* Stretched, in the actor's buffer. */
static uint32_t
stretch(struct actor *actor, const struct linear_op *op)
{
	uint32_t by = actor->keys[op->key].stretch;

	for (uint32_t i = 0; i < op->value.len; i++)
		memset(actor->buffer + i * by, op->value.bytes[i], by);
	return op->value.len * by;
}

static enum store_status
put_in_pieces(struct actor *actor, const struct store_key *key, const struct store_write *write,
    uint32_t bytes, uint64_t *cas)
{
	struct store_fill *fill;
	enum store_status status = store_reserve(actor->thread, key, write, bytes, &fill);

	if (status != STORE_OK)
		return status;
	for (uint32_t at = 0; at < bytes;)
		at += store_fill_append(fill, actor->buffer + at, 1 + act_pick(actor, bytes));
	return store_fill_commit(actor->thread, fill, cas);
}

static void
do_write(struct actor *actor, const struct store_key *key, struct linear_op *op, uint32_t bytes)
{
	if (op->pieces)
		op->status = put_in_pieces(actor, key, &op->write, bytes, &op->new_cas);
	else
		op->status = store_put(actor->thread, key, &op->write, actor->buffer, bytes, &op->new_cas);
}

/* The way of plain gets over UDP: a burst in stages. Large values are left to store_get(), and no brief gets then. */
static void
get_brief(struct actor *actor, const struct store_key *key, struct linear_op *op, struct store_view *view)
{
	struct store_probe probe = {.key = {.bytes = key->bytes, .len = key->len}};
	struct store_found found;

	store_probe_hash(actor->store, &probe, 1);
	store_probe_load(actor->store, &probe, 1);
	op->status =
	    store_probe_get(actor->thread, &probe, 1, BRIEF_MAX, &found) ? STORE_OK : STORE_NOT_FOUND;
	if (op->status == STORE_OK) {
		/* Read at once: the view is as good as until the thread quiesces. */
		op->saw.client_flags = found.client_flags;
		op->saw.value.len = found.value_bytes;
		memcpy(op->saw.value.bytes, found.value, found.value_bytes);
	} else if (found.value_bytes > 0) {
		op->brief = false;
		op->status = store_get(actor->thread, key, view);
	}
}

static void
act_call(struct actor *actor, const struct store_key *key, struct linear_op *op, uint32_t bytes,
    struct store_view *view)
{
	struct store_thread *thread = actor->thread;

	switch (op->kind) {
	case LINEAR_GET:
		if (op->brief)
			get_brief(actor, key, op, view);
		else
			op->status = store_get(thread, key, view);
		break;
	case LINEAR_WRITE:
		do_write(actor, key, op, bytes);
		break;
	case LINEAR_DELETE:
		op->status = store_delete(thread, key, op->cas);
		break;
	case LINEAR_TOUCH:
		op->status = store_touch(thread, key, op->expires_s, op->view ? view : NULL);
		break;
	case LINEAR_INVALIDATE:
		op->status = store_invalidate(
		    thread, key, op->cas, op->cas_given, op->expires_set ? &op->expires_s : NULL);
		break;
	case LINEAR_WIN:
		op->won = store_win(thread, key, &actor->seen[op->key].view);
		break;
	case LINEAR_DELTA:
		op->status = store_delta(thread, key, &op->change, &op->number, &op->new_cas);
		break;
	case LINEAR_FLUSH:
		store_flush_all(thread, STORE_FLUSH_NOW);
		break;
	}
}

void
act_do(struct actor *actor, struct linear_op *op)
{
	const struct act_key *of = &actor->keys[op->key];
	struct store_key key = store_key_make(actor->store, of->name, (uint32_t)strlen(of->name));
	struct store_view view;
	uint32_t bytes = op->kind == LINEAR_WRITE ? stretch(actor, op) : 0;

	op->begin = moment(actor);
	if (actor->before)
		actor->before();
	act_call(actor, &key, op, bytes, &view);
	if (actor->after)
		actor->after();
	op->end = moment(actor);
	if (op->brief)
		return;
	if (op->status == STORE_OK && (op->kind == LINEAR_GET || (op->kind == LINEAR_TOUCH && op->view)))
		note_seen(actor, op, &view);
	else if (op->new_cas)
		actor->seen[op->key].cas = op->new_cas;
}
