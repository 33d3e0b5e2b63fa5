/*
 * What all tests of the store share: a store with one thread in virtual time, and short ways to say set and
 * get.
 */
#ifndef WIRECACHE_TESTS_STORE_FIXTURE_H
#define WIRECACHE_TESTS_STORE_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "store/store.h"
#include "tests/random.h"

#define FIX_NOW_S 1700000000u
#define FIX_MIB   ((size_t)1 << 20)

struct fix {
	struct store *store;
	struct store_thread *thread;
	uint32_t now_s;
};

static inline struct store_config
fix_config(size_t memory_bytes)
{
	struct store_config config;
	store_config_default(&config);
	config.memory_bytes = memory_bytes;
	config.hugepages = false;
	config.now_s = FIX_NOW_S;
	for (unsigned i = 0; i < sizeof(config.hash_key); i++)
		config.hash_key[i] = (uint8_t)(i * 37 + 11);
	return config;
}

static inline struct fix
fix_open_config(const struct store_config *config)
{
	struct fix fix = {.now_s = FIX_NOW_S};
	char error[STORE_ERROR_MAX];
	int rc = store_create(config, &fix.store, error);
	if (rc)
		fail_msg("store_create: %d %s", rc, error);
	fix.thread = store_thread_register(fix.store, -1);
	assert_non_null(fix.thread);
	return fix;
}

static inline struct fix
fix_open(size_t memory_bytes)
{
	struct store_config config = fix_config(memory_bytes);
	return fix_open_config(&config);
}

static inline void
fix_check(const struct fix *fix)
{
	const char *broken = store_check(fix->store);
	if (broken)
		fail_msg("store_check: %s", broken);
}

/* Checks and destroys. */
static inline void
fix_close(struct fix *fix)
{
	fix_check(fix);
	store_thread_unregister(fix->thread);
	fix_check(fix);
	store_destroy(fix->store);
}

static inline void
fix_quiesce(struct fix *fix)
{
	store_quiesce(fix->thread, fix->now_s);
}

static inline void
fix_pass(struct fix *fix, uint32_t seconds)
{
	fix->now_s += seconds;
	fix_quiesce(fix);
}

static inline void
fix_maintain_all(struct fix *fix)
{
	for (unsigned i = 0; i < 100000; i++) {
		bool more = store_maintain(fix->thread, 1000);
		fix_quiesce(fix);
		if (!more && i > 100)
			return;
	}
	fail_msg("maintenance never ends");
}

static inline struct store_key
fix_key(const struct fix *fix, const char *name)
{
	return store_key_make(fix->store, name, (uint32_t)strlen(name));
}

static inline enum store_status
fix_put_with(
    struct fix *fix, const char *name, const char *value, const struct store_write *write, uint64_t *cas)
{
	struct store_key key = fix_key(fix, name);
	return store_put(fix->thread, &key, write, value, (uint32_t)strlen(value), cas);
}

static inline enum store_status
fix_put(struct fix *fix, enum store_mode mode, const char *name, const char *value)
{
	struct store_write write = {.mode = mode};
	return fix_put_with(fix, name, value, &write, NULL);
}

static inline enum store_status
fix_set(struct fix *fix, const char *name, const char *value)
{
	return fix_put(fix, STORE_SET, name, value);
}

static inline enum store_status
fix_set_until(struct fix *fix, const char *name, const char *value, uint32_t expires_s)
{
	struct store_write write = {.mode = STORE_SET, .expires_s = expires_s};
	return fix_put_with(fix, name, value, &write, NULL);
}

static inline enum store_status
fix_get(struct fix *fix, const char *name, struct store_view *view)
{
	struct store_key key = fix_key(fix, name);
	return store_get(fix->thread, &key, view);
}

static inline bool
fix_has(struct fix *fix, const char *name)
{
	struct store_key key = fix_key(fix, name);
	struct store_view view;
	return store_peek(fix->thread, &key, &view) == STORE_OK;
}

static inline uint64_t
fix_cas(struct fix *fix, const char *name)
{
	struct store_key key = fix_key(fix, name);
	struct store_view view;
	assert_int_equal(store_peek(fix->thread, &key, &view), STORE_OK);
	return view.cas;
}

/* Copies a view's value through spans; returns its length. */
static inline uint32_t
fix_copy(const struct fix *fix, const struct store_view *view, uint8_t *to)
{
	const uint8_t *span;
	uint32_t at = 0, len;
	while ((len = store_view_span(fix->store, view, at, &span)) > 0) {
		memcpy(to + at, span, len);
		at += len;
	}
	assert_int_equal(at, view->value_bytes);
	return at;
}

static inline bool
fix_view_is(const struct fix *fix, const struct store_view *view, const void *value, size_t len)
{
	if (view->value_bytes != len)
		return false;
	uint8_t *copy = malloc(len + 1);
	fix_copy(fix, view, copy);
	bool same = memcmp(copy, value, len) == 0;
	free(copy);
	return same;
}

#define assert_value(fix, name, expected)                                          \
	do {                                                                       \
		struct store_view view_;                                           \
		assert_int_equal(fix_get(fix, name, &view_), STORE_OK);            \
		assert_true(fix_view_is(fix, &view_, expected, strlen(expected))); \
	} while (0)
#define assert_missing(fix, name) assert_false(fix_has(fix, name))

static inline struct store_counters
fix_counters(const struct fix *fix)
{
	struct store_counters counters;
	store_counters_sum(fix->store, &counters);
	return counters;
}

/* Bytes that follow from a seed, for values that are checked later. */
static inline void
fix_pattern(uint8_t *to, size_t len, uint64_t seed)
{
	for (size_t i = 0; i < len; i++)
		to[i] = (uint8_t)random_next(&seed);
}

static inline bool
fix_is_pattern(const struct fix *fix, const struct store_view *view, size_t len, uint64_t seed)
{
	uint8_t *expected = malloc(len + 1);
	fix_pattern(expected, len, seed);
	bool same = fix_view_is(fix, view, expected, len);
	free(expected);
	return same;
}

static inline enum store_status
fix_put_pattern(struct fix *fix, const char *name, uint32_t len, uint64_t seed)
{
	uint8_t *value = malloc(len + 1);
	struct store_key key = fix_key(fix, name);
	struct store_write write = {.mode = STORE_SET};
	fix_pattern(value, len, seed);
	enum store_status status = store_put(fix->thread, &key, &write, value, len, NULL);
	free(value);
	return status;
}

static inline void
fix_assert_pattern(struct fix *fix, const char *name, uint32_t len, uint64_t seed)
{
	struct store_view view;
	assert_int_equal(fix_get(fix, name, &view), STORE_OK);
	assert_true(fix_is_pattern(fix, &view, len, seed));
}

#endif
