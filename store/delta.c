/*
 * incr and decr. Numbers are read as memcached reads them (C's strtoull up to a space, NUL or the end:
 * leading spaces and a sign are taken, a negative value is not) and written in decimal, padded with spaces to
 * the old length.
 */
#include "store/life.h"
#include "store/ops.h"

#define DIGITS_MAX 20u /* of 2^64 - 1 */

static bool
is_space(uint8_t c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

static bool
digits_parse(const uint8_t *at, const uint8_t *end, uint64_t *number, const uint8_t **stop)
{
	const uint8_t *first = at;

	*number = 0;
	for (; at < end && *at >= '0' && *at <= '9'; at++)
		if (__builtin_mul_overflow(*number, 10, number) ||
		    __builtin_add_overflow(*number, (uint64_t)(*at - '0'), number))
			return false;
	*stop = at;
	return at > first;
}

static bool
number_parse(const uint8_t *at, uint32_t len, uint64_t *number)
{
	const uint8_t *end = at + len;
	bool minus = false;

	while (at < end && is_space(*at))
		at++;
	if (at < end && (*at == '+' || *at == '-'))
		minus = *at++ == '-';
	if (!digits_parse(at, end, number, &at))
		return false;
	if (minus) {
		*number = 0 - *number;
		if (*number >> 63)
			return false;
	}
	return at == end || *at == 0 || is_space(*at);
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
delta_apply(const struct store *store, struct delta *delta, const struct item *item, uint64_t meta)
{
	uint64_t number;

	const struct store_change *change = &delta->change;

	if (change->cas && change->cas != item_visible_cas(store, item, meta))
		return STORE_EXISTS;
	if (meta & ITEM_CHUNKED || !number_parse(item_value(item, meta), item_value_len(item), &number))
		return STORE_NON_NUMERIC;
	if (!change->decrement)
		delta->result = number + change->amount;
	else
		delta->result = number > change->amount ? number - change->amount : 0;
	return STORE_OK;
}

static uint32_t
delta_length(uint64_t result, uint32_t old_len, uint8_t digits[DIGITS_MAX], uint32_t *digits_len)
{
	*digits_len = number_format(result, digits);
	return *digits_len > old_len ? *digits_len : old_len;
}

/* Memory was taken for a value of `len`: reads the item again and publishes if it still fits. */
static enum store_status
delta_publish(struct store_thread *thread, const struct store_key *key, struct delta *delta,
    struct draft *draft, uint32_t len, uint32_t client_flags, struct publish *publish)
{
	struct index_hit hit;
	uint8_t digits[DIGITS_MAX];
	uint32_t digits_len;
	enum store_status status = STORE_NOT_FOUND;

	publish->again = !ops_find(thread, key, &hit);
	if (!publish->again) {
		uint64_t meta = item_meta(hit.item);
		status = delta_apply(thread->store, delta, hit.item, meta);
		if (status == STORE_OK) {
			publish->again = delta_length(delta->result, item_value_len(hit.item), digits,
			                     &digits_len) != len ||
			                 item_client_flags(hit.item, meta) != client_flags;
			publish->from = hit.item;
			publish->from_sequence = meta_sequence(meta);
		}
	}
	if (status != STORE_OK || publish->again) {
		draft_abort(thread, draft);
		return status;
	}
	uint8_t *value = draft_value(draft);
	memcpy(value, digits, digits_len);
	memset(value + digits_len, ' ', len - digits_len);
	return draft_publish(thread, draft, key, publish);
}

static enum store_status
delta_once(
    struct store_thread *thread, const struct store_key *key, struct delta *delta, struct publish *publish)
{
	struct index_hit hit;
	struct draft draft;
	uint8_t digits[DIGITS_MAX];
	uint32_t digits_len;

	*publish = (struct publish){.kind = DRAFT_COUNTED};
	if (!ops_find(thread, key, &hit))
		return STORE_NOT_FOUND;
	uint64_t meta = item_meta(hit.item);
	enum store_status status = delta_apply(thread->store, delta, hit.item, meta);
	if (status != STORE_OK)
		return status;
	uint32_t len = delta_length(delta->result, item_value_len(hit.item), digits, &digits_len);
	struct store_write write = {.client_flags = item_client_flags(hit.item, meta),
	    .expires_s = expires_of(thread->store, hit.item),
	    .cas_set = delta->change.cas_given != 0,
	    .cas_new = delta->change.cas_given};
	if (!draft_begin(thread, &draft, key, &write, len, 0, OPENS))
		return STORE_NO_MEMORY;
	return delta_publish(thread, key, delta, &draft, len, write.client_flags, publish);
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
