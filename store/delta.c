/*
 * incr and decr. Numbers are read as memcached reads them (C's strtoull up to a space, NUL or the end:
 * leading spaces and a sign are taken, a negative value is not) and written in decimal, padded with spaces to
 * the old length.
 */
#include "store/fill.h"
#include "store/life.h"
#include "store/ops.h"
#include "store/read.h"

#define DIGITS_MAX        20u /* of 2^64 - 1 */
/* memcached keeps an item above this in chunks of its own, and takes such a one for no number. */
#define COUNTED_BYTES_MAX (512u << 10)

/* A value that is read byte by byte. view: of one in chunks; NULL when all of it is in one piece. */
struct digits {
	const uint8_t *at, *end;
	const struct store *store;
	const struct store_view *view;
	uint32_t offset; /* of end */
};

static bool __attribute__((noinline)) digits_refill(struct digits *digits)
{
	if (!digits->view)
		return false;
	uint32_t len = store_view_span(digits->store, digits->view, digits->offset, &digits->at);
	digits->offset += len;
	digits->end = digits->at + len;
	return len > 0;
}

/* The next byte, or -1 at the end. */
static inline int
digits_peek(struct digits *digits)
{
	return digits->at < digits->end || digits_refill(digits) ? *digits->at : -1;
}

static bool
is_space(int c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

static bool
digits_parse(struct digits *digits, uint64_t *number)
{
	bool any = false;
	int c;

	*number = 0;
	for (; (c = digits_peek(digits)) >= '0' && c <= '9'; digits->at++, any = true)
		if (__builtin_mul_overflow(*number, 10, number) ||
		    __builtin_add_overflow(*number, (uint64_t)(c - '0'), number))
			return false;
	return any;
}

static bool
number_parse(struct digits *digits, uint64_t *number)
{
	bool minus = false;
	int c;

	while (is_space(c = digits_peek(digits)))
		digits->at++;
	if (c == '+' || c == '-') {
		minus = c == '-';
		digits->at++;
	}
	if (!digits_parse(digits, number))
		return false;
	if (minus) {
		*number = 0 - *number;
		if (*number >> 63)
			return false;
	}
	c = digits_peek(digits);
	return c <= 0 || is_space(c); /* the end, or NUL */
}

static bool __attribute__((noinline)) number_read_chunked(struct store_thread *thread,
    const struct store_key *key, const struct item *item, uint64_t meta, uint64_t *number)
{
	struct store_view view;
	struct digits digits = {.store = thread->store, .view = &view};

	read_view(thread, partition_of(thread->store, key->hash), item, meta, item_expiry(item), &view);
	return draft_memcached_bytes(key->len, view.client_flags, view.value_bytes) <= COUNTED_BYTES_MAX &&
	       number_parse(&digits, number);
}

static bool
number_read(struct store_thread *thread, const struct store_key *key, const struct item *item, uint64_t meta,
    uint64_t *number)
{
	if (meta & ITEM_CHUNKED)
		return number_read_chunked(thread, key, item, meta, number);
	const uint8_t *value = item_value(item, meta);
	struct digits digits = {.at = value, .end = value + item_value_len(item)};
	return number_parse(&digits, number);
}

static uint32_t
number_format(uint64_t number, uint8_t digits[DIGITS_MAX])
{
	uint8_t reversed[DIGITS_MAX];
	uint32_t len = 0;

	do
		reversed[len++] = (uint8_t)('0' + number % 10);
	while ((number /= 10) > 0);
	for (uint32_t i = 0; i < len; i++)
		digits[i] = reversed[len - 1 - i];
	return len;
}

struct delta {
	struct store_change change;
	uint64_t result; /* out */
};

/* What a number becomes; STORE_NON_NUMERIC or STORE_EXISTS when it must not. */
static enum store_status
delta_apply(struct store_thread *thread, const struct store_key *key, struct delta *delta,
    const struct item *item, uint64_t meta)
{
	const struct store_change *change = &delta->change;
	uint64_t number;

	if (change->cas && change->cas != item_visible_cas(thread->store, item, meta))
		return STORE_EXISTS;
	if (!number_read(thread, key, item, meta, &number))
		return STORE_NON_NUMERIC;
	if (!change->decrement)
		delta->result = number + change->amount;
	else
		delta->result = number > change->amount ? number - change->amount : 0;
	return STORE_OK;
}

/* What the new item is like. Memory is taken for its length and client flags. */
struct counted {
	uint32_t value_bytes;
	uint32_t client_flags;
	uint32_t digits_len;
	uint8_t digits[DIGITS_MAX];
};

/* Finds the item and counts with it; publish: what the new item is made from. */
static enum store_status
delta_read(struct store_thread *thread, const struct store_key *key, struct delta *delta,
    struct counted *counted, struct publish *publish)
{
	struct index_hit hit;

	if (!ops_find(thread, key, &hit))
		return STORE_NOT_FOUND;
	uint64_t meta = item_meta(hit.item);
	enum store_status status = delta_apply(thread, key, delta, hit.item, meta);
	if (status != STORE_OK)
		return status;
	uint32_t old_bytes = item_value_bytes(hit.item, meta);
	counted->digits_len = number_format(delta->result, counted->digits);
	counted->value_bytes = counted->digits_len > old_bytes ? counted->digits_len : old_bytes;
	counted->client_flags = item_client_flags(hit.item, meta);
	publish->from = hit.item;
	publish->from_sequence = meta_sequence(meta);
	return STORE_OK;
}

/* The same once memory was taken for `counted`: it goes again when that does not fit any more. */
static enum store_status
delta_read_again(struct store_thread *thread, const struct store_key *key, struct delta *delta,
    struct counted *counted, struct publish *publish)
{
	struct counted planned = *counted;
	enum store_status status = delta_read(thread, key, delta, counted, publish);

	publish->again = status == STORE_NOT_FOUND ||
	                 (status == STORE_OK && (counted->value_bytes != planned.value_bytes ||
	                                            counted->client_flags != planned.client_flags));
	return status;
}

static enum store_status
delta_publish(struct store_thread *thread, const struct store_key *key, struct delta *delta,
    const struct store_write *write, struct counted *counted, struct publish *publish)
{
	struct draft draft;

	if (!draft_begin(thread, &draft, key, write, counted->value_bytes, 0, OPENS))
		return STORE_NO_MEMORY;
	enum store_status status = delta_read_again(thread, key, delta, counted, publish);
	if (status != STORE_OK || publish->again) {
		draft_abort(thread, &draft);
		return status;
	}
	uint8_t *value = draft_value(&draft);
	memcpy(value, counted->digits, counted->digits_len);
	memset(value + counted->digits_len, ' ', counted->value_bytes - counted->digits_len);
	return draft_publish(thread, &draft, key, publish);
}

/* A number with much behind it: memcached makes blanks of that, in place. */
static enum store_status __attribute__((noinline))
delta_publish_chunked(struct store_thread *thread, const struct store_key *key, struct delta *delta,
    const struct store_write *write, struct counted *counted, struct publish *publish)
{
	static const uint8_t blanks[] = "                                                                ";
	struct store_fill *fill = fill_begin(thread, key, write, counted->value_bytes);
	enum store_status status = STORE_NO_MEMORY;

	if (!fill)
		return STORE_NO_MEMORY;
	if (fill_allocate(fill))
		status = delta_read_again(thread, key, delta, counted, publish);
	if (status != STORE_OK || publish->again) {
		fill_abort(fill);
		return status;
	}
	store_fill_append(fill, counted->digits, counted->digits_len);
	while (store_fill_missing(fill) > 0)
		store_fill_append(fill, blanks, sizeof(blanks) - 1);
	return fill_publish(fill, publish);
}

static enum store_status
delta_once(
    struct store_thread *thread, const struct store_key *key, struct delta *delta, struct publish *publish)
{
	struct counted counted;

	*publish = (struct publish){.kind = DRAFT_COUNTED};
	enum store_status status = delta_read(thread, key, delta, &counted, publish);
	if (status != STORE_OK)
		return status;
	uint64_t meta = item_meta(publish->from);
	struct store_write write = {.client_flags = counted.client_flags,
	    .expires_s = expires_of(thread->store, item_expiry(publish->from)),
	    .cas_set = delta->change.cas_given != 0,
	    .cas_new = delta->change.cas_given};
	if (meta & ITEM_CHUNKED)
		return delta_publish_chunked(thread, key, delta, &write, &counted, publish);
	return delta_publish(thread, key, delta, &write, &counted, publish);
}

enum store_status
store_delta(struct store_thread *thread, const struct store_key *key, const struct store_change *change,
    uint64_t *result, uint64_t *cas_new)
{
	struct delta delta = {.change = *change};
	struct publish publish;
	enum store_status status;

	do /* lock-free: who goes again lost to a write that got through */
		status = delta_once(thread, key, &delta, &publish);
	while (publish.again);
	if (status != STORE_OK)
		return status;
	*result = delta.result;
	if (cas_new)
		*cas_new = publish.cas;
	return STORE_OK;
}
