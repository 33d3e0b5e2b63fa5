/* apr_memcache (text) under checks.c: no append, prepend, cas, touch and flush. */
#include "checks.h"

#include <apr_general.h>
#include <apr_hash.h>
#include <apr_memcache.h>
#include <apr_pools.h>
#include <string.h>

#define CONNECTIONS_MAX   4
#define CONNECTION_TTL_US 60000000

/* Both live as long as the process. One client is enough: nothing here needs a second. */
static apr_pool_t *pool;
static apr_memcache_server_t *server;

static void *
am_connect(const char *protocol, const char *host, uint16_t port)
{
	static apr_memcache_t *memc;

	(void)protocol;
	if (memc != NULL)
		return memc;
	if (apr_memcache_create(pool, 1, 0, &memc) != APR_SUCCESS ||
	    apr_memcache_server_create(pool, host, port, 0, 1, CONNECTIONS_MAX, CONNECTION_TTL_US, &server) !=
	        APR_SUCCESS ||
	    apr_memcache_add_server(memc, server) != APR_SUCCESS)
		return NULL;
	return memc;
}

static bool
am_set(void *client, const char *key, const char *bytes, size_t len, unsigned expire_s)
{
	return apr_memcache_set(client, key, (char *)bytes, len, expire_s, 0) == APR_SUCCESS;
}

static bool
am_get(void *client, const char *key, struct value *out)
{
	apr_uint16_t flags;
	apr_size_t len;
	char *bytes;

	if (apr_memcache_getp(client, pool, key, &bytes, &len, &flags) != APR_SUCCESS ||
	    len > sizeof(out->bytes))
		return false;
	memcpy(out->bytes, bytes, len);
	out->len = len;
	return true;
}

static bool
am_add(void *client, const char *key, const char *bytes, size_t len)
{
	return apr_memcache_add(client, key, (char *)bytes, len, 0, 0) == APR_SUCCESS;
}

static bool
am_replace(void *client, const char *key, const char *bytes, size_t len)
{
	return apr_memcache_replace(client, key, (char *)bytes, len, 0, 0) == APR_SUCCESS;
}

static bool
am_incr(void *client, const char *key, uint32_t delta, uint64_t *out)
{
	apr_uint32_t number;
	bool good = apr_memcache_incr(client, key, (apr_int32_t)delta, &number) == APR_SUCCESS;

	*out = good ? number : 0;
	return good;
}

static bool
am_decr(void *client, const char *key, uint32_t delta, uint64_t *out)
{
	apr_uint32_t number;
	bool good = apr_memcache_decr(client, key, (apr_int32_t)delta, &number) == APR_SUCCESS;

	*out = good ? number : 0;
	return good;
}

static void
am_get_many(void *client, const char *const *keys, size_t count,
    void (*found)(void *arg, const char *key, size_t key_len, const char *bytes, size_t len), void *arg)
{
	apr_hash_t *values = apr_hash_make(pool);
	apr_pool_t *scratch; /* the call clears it */

	for (size_t i = 0; i < count; i++)
		apr_memcache_add_multget_key(pool, keys[i], &values);
	if (apr_pool_create(&scratch, pool) != APR_SUCCESS ||
	    apr_memcache_multgetp(client, scratch, pool, values) != APR_SUCCESS)
		return;
	for (apr_hash_index_t *at = apr_hash_first(pool, values); at != NULL; at = apr_hash_next(at)) {
		void *entry;

		apr_hash_this(at, NULL, NULL, &entry);
		apr_memcache_value_t *value = entry;
		if (value->status == APR_SUCCESS)
			found(arg, value->key, strlen(value->key), value->data, value->len);
	}
}

static bool
am_remove(void *client, const char *key)
{
	return apr_memcache_delete(client, key, 0) == APR_SUCCESS;
}

static bool
am_stats(void *client, uint64_t *curr_items, uint64_t *cmd_get)
{
	apr_memcache_stats_t *stats;

	(void)client;
	if (apr_memcache_stats(server, pool, &stats) != APR_SUCCESS)
		return false;
	*curr_items = stats->curr_items;
	*cmd_get = stats->cmd_get;
	return true;
}

int
main(int argc, char **argv)
{
	static const struct library library = {
	    .connect = am_connect,
	    .set = am_set,
	    .get = am_get,
	    .add = am_add,
	    .replace = am_replace,
	    .incr = am_incr,
	    .decr = am_decr,
	    .get_many = am_get_many,
	    .remove = am_remove,
	    .stats = am_stats,
	};

	if (apr_initialize() != APR_SUCCESS || apr_pool_create(&pool, NULL) != APR_SUCCESS)
		return 1;
	return checks_play(&library, argc, argv);
}
