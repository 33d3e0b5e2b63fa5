/*
 * The search for an order that explains a history. See linear.h.
 *
 * What has been placed so far is, since lanes do not overlap themselves, a position in each lane. The next one can be
 * any lane's next operation that began before every pending one ended. Depth first, and positions with an item that
 * were a dead end once are not tried again (Lowe, "Testing for linearizability", 2017).
 */
#include "linear.h"

#include <stdlib.h>
#include <string.h>

#define STATES_SHIFT_MIN 12u
#define STATES_MAX       (8u << 20) /* visited, 64 MiB: then the history is given up as undecided */

struct visited {
	uint64_t *hashes; /* open addressing; 0: empty */
	uint64_t len, max;
};

struct items {
	struct linear_item of[LINEAR_KEYS_MAX];
};

struct search {
	const struct linear_lane *lanes;
	unsigned lanes_len;
	unsigned keys_len;
	bool may_vanish, gave_up;
	uint32_t at[LINEAR_LANES_MAX];
	uint32_t placed, furthest;
	uint32_t furthest_at[LINEAR_LANES_MAX]; /* where most had been placed */
	struct items furthest_items;
	struct visited visited;
};

static uint64_t
mix(uint64_t hash, uint64_t word)
{
	hash = (hash ^ word) * 0x9e3779b97f4a7c15ull;
	return hash ^ hash >> 29;
}

static uint64_t
item_hash(uint64_t hash, const struct linear_item *item)
{
	hash = mix(hash, (uint64_t)item->present << 3 | (uint64_t)item->stale << 2 |
	                     (uint64_t)item->token << 1 | item->cas_known);
	if (!item->present)
		return hash;
	hash = mix(hash, (uint64_t)item->client_flags << 32 | item->expires_s);
	hash = mix(hash, item->cas_known ? item->cas : 0);
	hash = mix(hash, item->floor);
	hash = mix(hash, item->value.len);
	for (uint32_t i = 0; i < item->value.len; i++)
		hash = mix(hash, item->value.bytes[i]);
	return hash;
}

static uint64_t
state_hash(const struct search *search, const struct items *items)
{
	uint64_t hash = 1;

	for (unsigned i = 0; i < search->lanes_len; i++)
		hash = mix(hash, search->at[i]);
	for (unsigned k = 0; k < search->keys_len; k++)
		hash = item_hash(hash, &items->of[k]);
	return hash ? hash : 1;
}

static void
visited_put(struct visited *visited, uint64_t hash)
{
	uint64_t at = hash & (visited->max - 1);

	while (visited->hashes[at])
		at = (at + 1) & (visited->max - 1);
	visited->hashes[at] = hash;
	visited->len++;
}

static bool
visited_grow(struct visited *visited)
{
	struct visited old = *visited;

	visited->max = old.max ? 2 * old.max : 1u << STATES_SHIFT_MIN;
	visited->len = 0;
	visited->hashes = calloc(visited->max, sizeof(*visited->hashes));
	if (!visited->hashes) {
		*visited = old;
		return false;
	}
	for (uint64_t i = 0; i < old.max; i++)
		if (old.hashes[i])
			visited_put(visited, old.hashes[i]);
	free(old.hashes);
	return true;
}

/* Whether this is new. */
static bool
visit(struct search *search, const struct items *items)
{
	struct visited *visited = &search->visited;
	uint64_t hash = state_hash(search, items);

	for (uint64_t at = hash & (visited->max - 1); visited->max && visited->hashes[at];
	     at = (at + 1) & (visited->max - 1))
		if (visited->hashes[at] == hash)
			return false;
	if (visited->len >= STATES_MAX || (2 * visited->len >= visited->max && !visited_grow(visited))) {
		search->gave_up = true;
		return false;
	}
	visited_put(visited, hash);
	return true;
}

/* A write refused for lack of memory changed nothing, or took the old item along: a loss like any other. */
static bool
apply(const struct search *search, struct items *items, const struct linear_op *op)
{
	bool fits = true;

	if (search->may_vanish && op->status == STORE_NO_MEMORY)
		return op->kind == LINEAR_WRITE || op->kind == LINEAR_DELTA || op->kind == LINEAR_INVALIDATE;
	if (op->kind != LINEAR_FLUSH)
		return linear_apply(&items->of[op->key], op);
	for (unsigned k = 0; k < search->keys_len; k++)
		fits &= linear_apply(&items->of[k], op);
	return fits;
}

static const struct linear_op *
pending(const struct search *search, unsigned lane)
{
	const struct linear_lane *of = &search->lanes[lane];
	return search->at[lane] < of->len ? &of->ops[search->at[lane]] : NULL;
}

static bool search_from(struct search *search, const struct items *items);

/* Places the next operation of a lane: on the items as they are, or on one that has been evicted just before. */
static bool
search_place(struct search *search, unsigned lane, const struct items *items)
{
	const struct linear_op *op = pending(search, lane);
	struct items next = *items;
	bool found;

	search->at[lane]++;
	search->placed++;
	found = apply(search, &next, op) && search_from(search, &next);
	if (!found && search->may_vanish && op->kind != LINEAR_FLUSH && items->of[op->key].present) {
		next = *items;
		next.of[op->key] = (struct linear_item){0};
		found = apply(search, &next, op) && search_from(search, &next);
	}
	search->at[lane]--;
	search->placed--;
	return found;
}

static void
remember(struct search *search, const struct items *items)
{
	if (search->placed < search->furthest)
		return;
	search->furthest = search->placed;
	memcpy(search->furthest_at, search->at, sizeof(search->at));
	search->furthest_items = *items;
}

static bool
search_from(struct search *search, const struct items *items)
{
	uint64_t first_end = UINT64_MAX;

	for (unsigned i = 0; i < search->lanes_len; i++) {
		const struct linear_op *op = pending(search, i);
		if (op && op->end < first_end)
			first_end = op->end;
	}
	if (first_end == UINT64_MAX)
		return true;
	if (!visit(search, items))
		return false;
	remember(search, items);
	for (unsigned i = 0; i < search->lanes_len && !search->gave_up; i++) {
		const struct linear_op *op = pending(search, i);
		if (op && op->begin <= first_end && search_place(search, i, items))
			return true;
	}
	return false;
}

/* False: more than fits. */
static bool
search_begin(struct search *search, const struct linear_lane *lanes, unsigned lanes_len, bool may_vanish)
{
	*search = (struct search){.lanes = lanes, .lanes_len = lanes_len, .may_vanish = may_vanish};
	if (lanes_len > LINEAR_LANES_MAX)
		return false;
	for (unsigned i = 0; i < lanes_len; i++)
		for (uint32_t o = 0; o < lanes[i].len; o++)
			if (lanes[i].ops[o].key >= search->keys_len)
				search->keys_len = lanes[i].ops[o].key + 1;
	return search->keys_len <= LINEAR_KEYS_MAX;
}

enum linear_verdict
linear_check(const struct linear_lane *lanes, unsigned lanes_len, bool may_vanish)
{
	struct search search;
	struct items absent = {0};

	bool found = search_begin(&search, lanes, lanes_len, may_vanish) && search_from(&search, &absent);

	free(search.visited.hashes);
	return found ? LINEAR_YES : search.gave_up ? LINEAR_UNDECIDED : LINEAR_NO;
}

/* ---- for people ------------------------------------------------------------------------------- */

#define EXPLAIN_BEFORE 6u /* operations of each lane shown before those that do not fit */
#define EXPLAIN_AFTER  2u

static void
explain_op(FILE *to, unsigned lane, const struct linear_op *op)
{
	static const char *const kinds[] = {
	    "get", "write", "delete", "touch", "invalidate", "win", "delta", "flush"};
	const struct linear_value *value = op->kind == LINEAR_WRITE ? &op->value : &op->saw.value;

	fprintf(to, "# lane %u %8llu-%llu key %u %s status %d", lane, (unsigned long long)op->begin,
	    (unsigned long long)op->end, op->key, kinds[op->kind], (int)op->status);
	if (op->kind == LINEAR_WRITE)
		fprintf(to, " mode %d check %d cas %llu invalidate %d vivify %d given %d expires %u",
		    (int)op->write.mode, op->write.cas_check, (unsigned long long)op->write.cas,
		    op->write.invalidate, op->write.vivify, op->write.cas_set, op->write.expires_s);
	else
		fprintf(to, " cas %llu given %llu expires %d %u won %d number %llu change %c%llu",
		    (unsigned long long)op->cas, (unsigned long long)op->cas_given, op->expires_set,
		    op->expires_s, op->won, (unsigned long long)op->number, op->change.decrement ? '-' : '+',
		    (unsigned long long)op->change.amount);
	fprintf(to, " new %llu saw %llu flags %u expires %u stale %d token %d \"%.*s\"\n",
	    (unsigned long long)op->new_cas, (unsigned long long)op->saw.cas, op->saw.client_flags,
	    op->saw.expires_s, op->saw.stale, op->saw.token, (int)value->len, (const char *)value->bytes);
}

static void
explain_item(FILE *to, unsigned key, const struct linear_item *item)
{
	fprintf(to,
	    "# key %u: present %d stale %d token %d cas %llu known %d floor %llu flags %u expires %u "
	    "\"%.*s\"\n",
	    key, item->present, item->stale, item->token, (unsigned long long)item->cas, item->cas_known,
	    (unsigned long long)item->floor, item->client_flags, item->expires_s, (int)item->value.len,
	    (const char *)item->value.bytes);
}

void
linear_explain(FILE *to, const struct linear_lane *lanes, unsigned lanes_len, bool may_vanish)
{
	struct search search;
	struct items absent = {0};

	if (!search_begin(&search, lanes, lanes_len, may_vanish) || search_from(&search, &absent))
		return;
	free(search.visited.hashes);
	for (unsigned k = 0; k < search.keys_len; k++)
		explain_item(to, k, &search.furthest_items.of[k]);
	for (unsigned i = 0; i < lanes_len; i++) {
		uint32_t at = search.furthest_at[i];
		for (uint32_t o = at > EXPLAIN_BEFORE ? at - EXPLAIN_BEFORE : 0;
		     o < lanes[i].len && o < at + EXPLAIN_AFTER; o++) {
			fprintf(to, "%s", o == at ? "# next:\n" : "");
			explain_op(to, i, &lanes[i].ops[o]);
		}
	}
}
