/*
 * Random operations in virtual time against a trivial model: an array with one entry a key. The store is
 * large enough that nothing is evicted in the first test, so every answer must be the model's; in the second
 * it is too small, so a miss is allowed but a wrong value never.
 *
 *   test_model [OPERATIONS]      in ample memory, and half as many in short memory
 */
#include "fixture.h"

#include <errno.h>

#define KEYS      300
#define VALUE_MAX 40000

static unsigned operations = 300000;

struct model_item {
	bool present;
	uint8_t *value;
	uint32_t len, flags, expires_s;
	uint64_t cas;
	bool stale, token;
	bool numeric_ok;
};

struct model {
	struct fix fix;
	uint64_t random;
	struct model_item items[KEYS];
	bool may_miss; /* the store may have evicted */
	uint64_t mismatches;
};

static uint32_t
pick(struct model *m, uint32_t below)
{
	return (uint32_t)(random_next(&m->random) >> 11) % below;
}

static struct model_item *
alive(struct model *m, unsigned k)
{
	struct model_item *item = &m->items[k];
	if (item->present && item->expires_s && item->expires_s <= m->fix.now_s)
		item->present = false;
	return item->present ? item : NULL;
}

static struct store_key
model_key(struct model *m, unsigned k, char name[64])
{
	int len =
	    snprintf(name, 64, "%.*skey-%u", (int)(k % 40), "----------------------------------------", k);
	return store_key_make(m->fix.store, name, (uint32_t)len);
}

/* Brings the model in line with an eviction: the store must not have the item either. */
static struct model_item *
reconcile(struct model *m, unsigned k)
{
	struct model_item *item = alive(m, k);
	struct store_view view;
	char name[64];
	struct store_key key = model_key(m, k, name);

	if (item && m->may_miss && store_peek(m->fix.thread, &key, &view) == STORE_NOT_FOUND)
		item->present = false;
	return alive(m, k);
}

static void
model_store(
    struct model *m, unsigned k, const uint8_t *value, uint32_t len, uint32_t flags, uint32_t expires_s)
{
	struct model_item *item = &m->items[k];
	uint8_t *copy = malloc(len + 1);
	memcpy(copy, value, len);
	free(item->value);
	*item = (struct model_item){
	    .present = true, .value = copy, .len = len, .flags = flags, .expires_s = expires_s};
}

static void
refresh_cas(struct model *m, unsigned k, uint64_t cas, uint64_t old)
{
	assert_true(cas > old);
	m->items[k].cas = cas;
}

static uint32_t
random_value(struct model *m, uint8_t *value)
{
	uint32_t len;
	switch (pick(m, 8)) {
	case 0:
		len = pick(m, 4);
		break;
	case 1:
		len = pick(m, VALUE_MAX);
		break;
	case 2:
		return (uint32_t)sprintf(
		    (char *)value, "%llu", (unsigned long long)(random_next(&m->random) >> pick(m, 63)));
	default:
		len = pick(m, 300);
	}
	fix_pattern(value, len, random_next(&m->random));
	return len;
}

static uint32_t
random_expiry(struct model *m)
{
	return pick(m, 3) ? STORE_EXPTIME_NEVER : m->fix.now_s + 1 + pick(m, 20);
}

static enum store_status
expected_store(const struct model_item *old, const struct store_write *write)
{
	switch (write->mode) {
	case STORE_ADD:
		return old ? STORE_NOT_STORED : STORE_OK;
	case STORE_REPLACE:
		return old ? STORE_OK : STORE_NOT_STORED;
	case STORE_CAS:
		return !old ? STORE_NOT_FOUND : old->cas == write->cas ? STORE_OK : STORE_EXISTS;
	case STORE_APPEND:
	case STORE_PREPEND:
		return old ? STORE_OK : STORE_NOT_STORED;
	default:
		return STORE_OK;
	}
}

static void
model_join(struct model *m, unsigned k, const uint8_t *value, uint32_t len, bool append)
{
	struct model_item *item = &m->items[k];
	uint8_t *joined = malloc(item->len + len + 1);
	memcpy(joined + (append ? 0 : len), item->value, item->len);
	memcpy(joined + (append ? item->len : 0), value, len);
	free(item->value);
	item->value = joined;
	item->len += len;
	item->stale = item->token = false;
}

/* Through store_put() or in pieces. */
static enum store_status
store_either_way(struct model *m, const struct store_key *key, const struct store_write *write,
    const uint8_t *value, uint32_t len, uint64_t *cas)
{
	struct store_fill *fill;
	if (pick(m, 3))
		return store_put(m->fix.thread, key, write, value, len, cas);
	enum store_status status = store_reserve(m->fix.thread, key, write, len, &fill);
	if (status != STORE_OK)
		return status;
	for (uint32_t at = 0; at < len;) {
		at += store_fill_append(fill, value + at, 1 + pick(m, 5000));
		if (pick(m, 4) == 0)
			fix_quiesce(&m->fix);
	}
	assert_int_equal(store_fill_missing(fill), 0);
	return store_fill_commit(m->fix.thread, fill, cas);
}

static void
step_store(struct model *m, unsigned k)
{
	static const enum store_mode modes[] = {STORE_SET, STORE_SET, STORE_SET, STORE_ADD, STORE_REPLACE,
	    STORE_APPEND, STORE_PREPEND, STORE_CAS};
	static uint8_t value[VALUE_MAX + 64];
	char name[64];
	struct store_key key = model_key(m, k, name);
	struct model_item *old = reconcile(m, k);
	uint64_t old_cas = old ? old->cas : 0, cas = 0;
	struct store_write write = {.mode = modes[pick(m, 8)],
	    .client_flags = pick(m, 2) ? pick(m, 1u << 30) : 0,
	    .expires_s = random_expiry(m)};
	write.cas = old && pick(m, 2) ? old->cas : 12345;
	uint32_t len = random_value(m, value);
	bool joins = write.mode == STORE_APPEND || write.mode == STORE_PREPEND;
	if (joins && len > 2000)
		len = 2000;
	enum store_status expected = expected_store(old, &write);
	if (joins && old && old->len + len > VALUE_MAX)
		return;
	enum store_status status = store_either_way(m, &key, &write, value, len, &cas);
	if (status == STORE_NO_MEMORY)
		fail_msg("no memory");
	if (m->may_miss && old && expected != status && !fix_has(&m->fix, name)) {
		old->present = false; /* evicted while memory for the new one was sought */
		return;
	}
	assert_int_equal(status, expected);
	if (status != STORE_OK)
		return;
	if (joins)
		model_join(m, k, value, len, write.mode == STORE_APPEND);
	else
		model_store(m, k, value, len, write.client_flags, write.expires_s);
	refresh_cas(m, k, cas, old_cas);
}

static void
step_get(struct model *m, unsigned k)
{
	char name[64];
	struct store_key key = model_key(m, k, name);
	struct model_item *item = alive(m, k);
	struct store_view view;
	store_prefetch_item(m->fix.store, key.hash, store_prefetch_bucket(m->fix.store, key.hash));
	enum store_status status = store_get(m->fix.thread, &key, &view);

	if (!item) {
		assert_int_equal(status, STORE_NOT_FOUND);
		return;
	}
	if (status == STORE_NOT_FOUND && m->may_miss) {
		item->present = false;
		return;
	}
	assert_int_equal(status, STORE_OK);
	assert_true(fix_view_is(&m->fix, &view, item->value, item->len));
	assert_int_equal(view.client_flags, item->flags);
	assert_int_equal(view.expires_s, item->expires_s);
	assert_true(view.cas == item->cas);
	assert_int_equal(!!(view.item_flags & STORE_ITEM_STALE), item->stale);
	assert_int_equal(!!(view.item_flags & STORE_ITEM_TOKEN_SENT), item->token);
}

static void
step_delete(struct model *m, unsigned k)
{
	char name[64];
	struct store_key key = model_key(m, k, name);
	struct model_item *item = reconcile(m, k);
	assert_int_equal(store_delete(m->fix.thread, &key, 0), item ? STORE_OK : STORE_NOT_FOUND);
	m->items[k].present = false;
}

static void
step_touch(struct model *m, unsigned k)
{
	char name[64];
	struct store_key key = model_key(m, k, name);
	struct model_item *item = reconcile(m, k);
	uint32_t expires_s = random_expiry(m);
	assert_int_equal(
	    store_touch(m->fix.thread, &key, expires_s, NULL), item ? STORE_OK : STORE_NOT_FOUND);
	if (item)
		item->expires_s = expires_s;
}

static void
step_mark(struct model *m, unsigned k)
{
	char name[64];
	struct store_key key = model_key(m, k, name);
	struct model_item *item = reconcile(m, k);
	struct store_view view;

	if (pick(m, 2)) {
		assert_int_equal(
		    store_invalidate(m->fix.thread, &key, 0, 0, NULL), item ? STORE_OK : STORE_NOT_FOUND);
		if (item) {
			item->stale = true;
			item->token = false;
			refresh_cas(m, k, fix_cas(&m->fix, name), item->cas);
		}
	} else if (item) {
		assert_int_equal(store_peek(m->fix.thread, &key, &view), STORE_OK);
		assert_int_equal(store_win(m->fix.thread, &key, &view), !item->token);
		item->token = true;
	}
}

/* A plain reading of the number; values here are digits or garbage that does not begin with them by
 * design. */
static bool
model_number(const struct model_item *item, uint64_t *number)
{
	char text[64] = {0};
	char *end;
	if (item->len == 0 || item->len > 40 || memchr(item->value, 0, item->len))
		return false;
	memcpy(text, item->value, item->len);
	for (const char *c = text; *c; c++)
		if ((*c < '0' || *c > '9') && *c != ' ')
			return false;
	errno = 0;
	*number = strtoull(text, &end, 10);
	return errno == 0 && end != text && (*end == 0 || *end == ' ');
}

static void
step_delta(struct model *m, unsigned k)
{
	char name[64], text[32];
	struct store_key key = model_key(m, k, name);
	struct model_item *item = reconcile(m, k);
	uint64_t number, result, cas, by = random_next(&m->random) >> pick(m, 64);
	bool down = pick(m, 2);
	struct store_change change = {.decrement = down, .amount = by};

	if (item && !model_number(item, &number))
		return;
	enum store_status status = store_delta(m->fix.thread, &key, &change, &result, &cas);
	if (item && m->may_miss && status == STORE_NOT_FOUND) {
		item->present = false;
		return;
	}
	assert_int_equal(status, item ? STORE_OK : STORE_NOT_FOUND);
	if (!item)
		return;
	number = down ? (number > by ? number - by : 0) : number + by;
	assert_true(result == number);
	uint32_t len = (uint32_t)sprintf(text, "%llu", (unsigned long long)number);
	uint32_t padded = len > item->len ? len : item->len;
	if (len > item->len)
		item->stale = item->token = false;
	uint8_t *value = malloc(padded + 1);
	memset(value, ' ', padded);
	memcpy(value, text, len);
	free(item->value);
	item->value = value;
	item->len = padded;
	refresh_cas(m, k, cas, item->cas);
}

static void
step_flush(struct model *m)
{
	store_flush_all(m->fix.thread, m->fix.now_s);
	for (unsigned k = 0; k < KEYS; k++)
		m->items[k].present = false;
}

/* Presses on memory with items that nobody asks for: small, inline and in chunks. */
static void
step_filler(struct model *m)
{
	static uint8_t value[200000];
	char name[32];
	uint32_t len = pick(m, 50) ? pick(m, 1500) : pick(m, sizeof(value));
	struct store_write write = {.mode = STORE_SET, .expires_s = random_expiry(m)};

	snprintf(name, sizeof(name), "filler-%u", pick(m, 1u << 20));
	struct store_key key = fix_key(&m->fix, name);
	assert_int_equal(store_put(m->fix.thread, &key, &write, value, len, NULL), STORE_OK);
}

static void
step(struct model *m, unsigned i)
{
	unsigned k = pick(m, pick(m, 2) ? KEYS : KEYS / 10);
	unsigned what = pick(m, 100);

	if (what < 40)
		step_get(m, k);
	else if (what < 75)
		step_store(m, k);
	else if (what < 80)
		step_delete(m, k);
	else if (what < 86)
		step_touch(m, k);
	else if (what < 90)
		step_mark(m, k);
	else if (what < 98)
		step_delta(m, k);
	else if (what < 99)
		fix_pass(&m->fix, pick(m, 3));
	else if (pick(m, 40) == 0)
		step_flush(m);
	if (m->may_miss)
		step_filler(m);
	if (i % 16 == 0)
		fix_quiesce(&m->fix);
	if (i % 8 == 0)
		store_maintain(m->fix.thread, pick(m, 64));
}

static void
model_run(size_t memory_bytes, bool may_miss, unsigned steps)
{
	static struct model m;
	const char *seed = getenv("WIRECACHE_SEED");
	memset(&m, 0, sizeof(m));
	m.random = seed ? strtoull(seed, NULL, 0) | 1 : 1;
	m.may_miss = may_miss;
	print_message("# WIRECACHE_SEED=%llu\n", (unsigned long long)m.random);
	m.fix = fix_open(memory_bytes);
	for (unsigned i = 0; i < steps; i++) {
		step(&m, i);
		if (i % 5000 == 0)
			fix_check(&m.fix);
	}
	struct store_counters counters = fix_counters(&m.fix);
	print_message("# %llu evictions, %llu expired, %llu moved, %llu splits\n",
	    (unsigned long long)counters.evictions, (unsigned long long)counters.expired,
	    (unsigned long long)counters.moved, (unsigned long long)counters.index_splits);
	if (!may_miss)
		assert_int_equal(counters.evictions, 0);
	else
		assert_true(counters.evictions > 0);
	for (unsigned k = 0; k < KEYS; k++)
		free(m.items[k].value);
	fix_close(&m.fix);
}

static void
random_ops_in_ample_memory_answer_as_the_model(void **state)
{
	(void)state;
	model_run(64 * FIX_MIB, false, operations);
}

static void
random_ops_in_short_memory_never_answer_wrong(void **state)
{
	(void)state;
	model_run(8 * FIX_MIB, true, operations / 2);
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(random_ops_in_ample_memory_answer_as_the_model),
	    cmocka_unit_test(random_ops_in_short_memory_never_answer_wrong),
	};
	if (argc > 1)
		operations = (unsigned)strtoul(argv[1], NULL, 10);
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
