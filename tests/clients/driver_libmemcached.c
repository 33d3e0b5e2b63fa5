/* libmemcached's C interface (text and binary) under checks.c. */
#include "checks.h"

#include <libmemcached/memcached.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *
lm_connect(const char *protocol, const char *host, uint16_t port)
{
	memcached_st *memc = memcached_create(NULL);

	memcached_behavior_set(memc, MEMCACHED_BEHAVIOR_BINARY_PROTOCOL, strcmp(protocol, "binary") == 0);
	memcached_behavior_set(memc, MEMCACHED_BEHAVIOR_SUPPORT_CAS, 1);
	memcached_behavior_set(memc, MEMCACHED_BEHAVIOR_TCP_NODELAY, 1);
	return memcached_server_add(memc, host, port) == MEMCACHED_SUCCESS ? memc : NULL;
}

static bool
lm_set(void *client, const char *key, const char *bytes, size_t len, unsigned expire_s)
{
	return memcached_set(client, key, strlen(key), bytes, len, expire_s, 0) == MEMCACHED_SUCCESS;
}

static bool
lm_get(void *client, const char *key, struct value *out)
{
	memcached_return_t rc;
	uint32_t flags;
	char *bytes = memcached_get(client, key, strlen(key), &out->len, &flags, &rc);

	if (rc != MEMCACHED_SUCCESS || out->len > sizeof(out->bytes))
		return false;
	memcpy(out->bytes, bytes, out->len);
	free(bytes);
	return true;
}

static bool
lm_add(void *client, const char *key, const char *bytes, size_t len)
{
	return memcached_add(client, key, strlen(key), bytes, len, 0, 0) == MEMCACHED_SUCCESS;
}

static bool
lm_replace(void *client, const char *key, const char *bytes, size_t len)
{
	return memcached_replace(client, key, strlen(key), bytes, len, 0, 0) == MEMCACHED_SUCCESS;
}

static bool
lm_append(void *client, const char *key, const char *bytes, size_t len)
{
	return memcached_append(client, key, strlen(key), bytes, len, 0, 0) == MEMCACHED_SUCCESS;
}

static bool
lm_prepend(void *client, const char *key, const char *bytes, size_t len)
{
	return memcached_prepend(client, key, strlen(key), bytes, len, 0, 0) == MEMCACHED_SUCCESS;
}

static bool
lm_gets(void *client, const char *key, struct value *out, uint64_t *token)
{
	size_t key_len = strlen(key);
	memcached_return_t rc;

	if (memcached_mget(client, &key, &key_len, 1) != MEMCACHED_SUCCESS)
		return false;
	memcached_result_st *result = memcached_fetch_result(client, NULL, &rc);
	if (result == NULL)
		return false;
	*token = memcached_result_cas(result);
	out->len = memcached_result_length(result);
	memcached_result_free(result);
	return memcached_fetch_result(client, NULL, &rc) == NULL;
}

static bool
lm_cas(void *client, const char *key, const char *bytes, size_t len, uint64_t token)
{
	return memcached_cas(client, key, strlen(key), bytes, len, 0, 0, token) == MEMCACHED_SUCCESS;
}

static bool
lm_incr(void *client, const char *key, uint32_t delta, uint64_t *out)
{
	return memcached_increment(client, key, strlen(key), delta, out) == MEMCACHED_SUCCESS;
}

static bool
lm_decr(void *client, const char *key, uint32_t delta, uint64_t *out)
{
	return memcached_decrement(client, key, strlen(key), delta, out) == MEMCACHED_SUCCESS;
}

static bool
lm_touch(void *client, const char *key, unsigned expire_s)
{
	return memcached_touch(client, key, strlen(key), expire_s) == MEMCACHED_SUCCESS;
}

static void
lm_get_many(void *client, const char *const *keys, size_t count,
    void (*found)(void *arg, const char *key, size_t key_len, const char *bytes, size_t len), void *arg)
{
	size_t lens[CHECKS_MANY + 1];
	memcached_return_t rc;
	memcached_result_st *result;

	for (size_t i = 0; i < count; i++)
		lens[i] = strlen(keys[i]);
	if (memcached_mget(client, keys, lens, count) != MEMCACHED_SUCCESS)
		return;
	while ((result = memcached_fetch_result(client, NULL, &rc)) != NULL) {
		found(arg, memcached_result_key_value(result), memcached_result_key_length(result),
		    memcached_result_value(result), memcached_result_length(result));
		memcached_result_free(result);
	}
}

static bool
lm_remove(void *client, const char *key)
{
	return memcached_delete(client, key, strlen(key), 0) == MEMCACHED_SUCCESS;
}

static bool
lm_stats(void *client, uint64_t *curr_items, uint64_t *cmd_get)
{
	memcached_return_t rc;
	memcached_stat_st *stats = memcached_stat(client, NULL, &rc);

	if (rc != MEMCACHED_SUCCESS)
		return false;
	*curr_items = stats->curr_items;
	*cmd_get = stats->cmd_get;
	memcached_stat_free(client, stats);
	return true;
}

static bool
lm_flush(void *client)
{
	return memcached_flush(client, 0) == MEMCACHED_SUCCESS;
}

int
main(int argc, char **argv)
{
	static const struct library library = {
	    .connect = lm_connect,
	    .set = lm_set,
	    .get = lm_get,
	    .add = lm_add,
	    .replace = lm_replace,
	    .append = lm_append,
	    .prepend = lm_prepend,
	    .gets = lm_gets,
	    .cas = lm_cas,
	    .incr = lm_incr,
	    .decr = lm_decr,
	    .touch = lm_touch,
	    .get_many = lm_get_many,
	    .remove = lm_remove,
	    .stats = lm_stats,
	    .flush = lm_flush,
	};

	return checks_play(&library, argc, argv);
}
