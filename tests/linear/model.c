/*
 * What each operation does to a plain item, from the contract in store.h. See linear.h.
 */
#include "linear.h"

#include <string.h>

#define DIGITS_MAX 20u

/* Nothing can be read of an item that is stored with an expiry in the past. */
static void
item_expire(struct linear_item *item)
{
	if (item->expires_s == STORE_EXPIRED)
		*item = (struct linear_item){0};
}

/* The store chose a CAS by itself and told it. */
static bool
cas_fresh(struct linear_item *item, uint64_t cas)
{
	bool rises = cas > item->floor;

	item->cas = item->floor = cas;
	item->cas_known = true;
	return rises;
}

static bool
cas_written(struct linear_item *item, bool given, uint64_t wanted, uint64_t told)
{
	if (!given)
		return cas_fresh(item, told);
	item->cas = wanted;
	item->cas_known = true;
	return told == wanted;
}

/* The item has this CAS. */
static bool
cas_is(struct linear_item *item, uint64_t cas)
{
	if (!item->cas_known)
		return cas_fresh(item, cas);
	return item->cas == cas;
}

/* It has another one. Of an unknown CAS no more is learned. */
static bool
cas_is_not(const struct linear_item *item, uint64_t cas)
{
	return !item->cas_known || item->cas != cas;
}

static bool
value_equals(const struct linear_value *a, const struct linear_value *b)
{
	return a->len == b->len && memcmp(a->bytes, b->bytes, a->len) == 0;
}

static bool
seen_matches_brief(const struct linear_item *item, const struct linear_seen *saw)
{
	return value_equals(&item->value, &saw->value) && item->client_flags == saw->client_flags;
}

static bool
seen_matches(struct linear_item *item, const struct linear_seen *saw)
{
	return seen_matches_brief(item, saw) && item->expires_s == saw->expires_s &&
	       item->stale == saw->stale && item->token == saw->token && cas_is(item, saw->cas);
}

static bool
apply_get(struct linear_item *item, const struct linear_op *op)
{
	if (op->status != STORE_OK)
		return op->status == STORE_NOT_FOUND && !item->present;
	if (op->brief)
		return item->present && seen_matches_brief(item, &op->saw);
	return item->present && seen_matches(item, &op->saw);
}

/* ---- writes ----------------------------------------------------------------------------------- */

static bool
value_join(struct linear_value *value, const struct linear_value *more, bool behind)
{
	if (value->len + more->len > LINEAR_VALUE_MAX)
		return false;
	if (!behind)
		memmove(value->bytes + more->len, value->bytes, value->len);
	memcpy(value->bytes + (behind ? value->len : 0), more->bytes, more->len);
	value->len += more->len;
	return true;
}

static bool
write_joins(const struct store_write *write)
{
	return write->mode == STORE_APPEND || write->mode == STORE_PREPEND;
}

/*
 * Whether the answer can come from comparing the write's CAS. An older one may store the value as stale, but not join it
 * to another: memcached answers EX to `ms key 1 MA C1 I`, too.
 */
static bool
compare_cas(struct linear_item *item, const struct linear_op *op)
{
	const struct store_write *write = &op->write;
	bool may_stale = write->invalidate && !write_joins(write);

	switch (op->status) {
	case STORE_OK:
		return cas_is(item, write->cas);
	case STORE_STALE:
		if (!item->cas_known && write->cas > item->floor)
			item->floor = write->cas;
		return may_stale && (!item->cas_known || write->cas < item->cas);
	case STORE_EXISTS:
		return cas_is_not(item, write->cas) &&
		       (!may_stale || !item->cas_known || write->cas > item->cas);
	default:
		return false;
	}
}

/* Whether the answer fits to the item as it was. */
static bool
write_decides(struct linear_item *item, const struct linear_op *op)
{
	const struct store_write *write = &op->write;
	bool check = write->cas_check || write->mode == STORE_CAS;

	switch (write->mode) {
	case STORE_ADD:
		return op->status == (item->present ? STORE_NOT_STORED : STORE_OK);
	case STORE_APPEND:
	case STORE_PREPEND:
		if (!item->present)
			return op->status == (write->vivify ? STORE_OK : STORE_NOT_STORED);
		return write->cas_check ? compare_cas(item, op) : op->status == STORE_OK;
	default:
		if (!item->present && write->mode == STORE_REPLACE && !check)
			return op->status == STORE_NOT_STORED;
		if (!item->present && check)
			return op->status == STORE_NOT_FOUND;
		return check ? compare_cas(item, op) : op->status == STORE_OK;
	}
}

static bool
apply_write(struct linear_item *item, const struct linear_op *op)
{
	const struct store_write *write = &op->write;

	if (!write_decides(item, op))
		return false;
	if (op->status != STORE_OK && op->status != STORE_STALE)
		return true;
	if (item->present && write_joins(write)) {
		if (!value_join(&item->value, &op->value, write->mode == STORE_APPEND))
			return false;
		item->stale = item->token = false;
	} else {
		item->value = op->value;
		item->client_flags = write->client_flags;
		item->stale = op->status == STORE_STALE;
		item->token = item->stale && item->token;
		if (!item->stale)
			item->expires_s = write->expires_s;
	}
	item->present = true;
	bool fits = cas_written(item, write->cas_set, write->cas_new, op->new_cas);
	item_expire(item);
	return fits;
}

static bool
apply_delete(struct linear_item *item, const struct linear_op *op)
{
	if (!item->present)
		return op->status == STORE_NOT_FOUND;
	if (op->status == STORE_EXISTS)
		return op->cas && cas_is_not(item, op->cas);
	bool fits = op->status == STORE_OK && (op->cas == 0 || cas_is(item, op->cas));
	*item = (struct linear_item){0};
	return fits;
}

static bool
apply_touch(struct linear_item *item, const struct linear_op *op)
{
	if (!item->present)
		return op->status == STORE_NOT_FOUND;
	item->expires_s = op->expires_s;
	bool fits = op->status == STORE_OK && (!op->view || seen_matches(item, &op->saw));
	item_expire(item);
	return fits;
}

static bool
apply_invalidate(struct linear_item *item, const struct linear_op *op)
{
	if (!item->present)
		return op->status == STORE_NOT_FOUND;
	if (op->status == STORE_EXISTS)
		return op->cas && cas_is_not(item, op->cas);
	if (op->status != STORE_OK || (op->cas && !cas_is(item, op->cas)))
		return false;
	item->stale = true;
	item->token = false;
	item->cas = op->cas_given;
	item->cas_known = op->cas_given != 0;
	if (op->expires_set)
		item->expires_s = op->expires_s;
	item_expire(item);
	return true;
}

/* Lost: another has the token, or the item is no longer the one that was seen. */
static bool
apply_win(struct linear_item *item, const struct linear_op *op)
{
	if (!op->won)
		return !item->present || item->token || cas_is_not(item, op->cas);
	bool fits = item->present && !item->token && cas_is(item, op->cas);
	item->token = true;
	return fits;
}

/* ---- numbers ---------------------------------------------------------------------------------- */

static bool
value_number(const struct linear_value *value, uint64_t *number)
{
	uint32_t at = 0;

	*number = 0;
	for (; at < value->len && value->bytes[at] >= '0' && value->bytes[at] <= '9'; at++)
		if (__builtin_mul_overflow(*number, 10, number) ||
		    __builtin_add_overflow(*number, (uint64_t)(value->bytes[at] - '0'), number))
			return false;
	return at > 0 && (at == value->len || value->bytes[at] == ' ');
}

/* Padded with spaces to the old length; returns whether it has grown. */
static bool
value_set_number(struct linear_value *value, uint64_t number)
{
	uint8_t digits[DIGITS_MAX];
	uint32_t len = 0;

	do
		digits[len++] = (uint8_t)('0' + number % 10);
	while ((number /= 10) > 0);
	bool grows = len > value->len;
	memset(value->bytes, ' ', value->len);
	for (uint32_t i = 0; i < len; i++)
		value->bytes[i] = digits[len - 1 - i];
	value->len = grows ? len : value->len;
	return grows;
}

static bool
apply_delta(struct linear_item *item, const struct linear_op *op)
{
	const struct store_change *change = &op->change;
	uint64_t number;

	if (!item->present)
		return op->status == STORE_NOT_FOUND;
	if (op->status == STORE_EXISTS)
		return change->cas && cas_is_not(item, change->cas);
	if (change->cas && !cas_is(item, change->cas))
		return false;
	if (!value_number(&item->value, &number))
		return op->status == STORE_NON_NUMERIC;
	if (op->status != STORE_OK)
		return false;
	number = !change->decrement        ? number + change->amount
	         : number > change->amount ? number - change->amount
	                                   : 0;
	if (value_set_number(&item->value, number))
		item->stale = item->token = false;
	return number == op->number &&
	       cas_written(item, change->cas_given != 0, change->cas_given, op->new_cas);
}

bool
linear_apply(struct linear_item *item, const struct linear_op *op)
{
	switch (op->kind) {
	case LINEAR_GET:
		return apply_get(item, op);
	case LINEAR_WRITE:
		return apply_write(item, op);
	case LINEAR_DELETE:
		return apply_delete(item, op);
	case LINEAR_TOUCH:
		return apply_touch(item, op);
	case LINEAR_INVALIDATE:
		return apply_invalidate(item, op);
	case LINEAR_WIN:
		return apply_win(item, op);
	case LINEAR_DELTA:
		return apply_delta(item, op);
	case LINEAR_FLUSH:
		*item = (struct linear_item){0};
		return true;
	}
	return false;
}
