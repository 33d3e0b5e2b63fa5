/* libmemcached's C++ class (memcached.hpp, text and binary) under checks.c. It has no touch of its own. */
#include "checks.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <libmemcached/memcached.hpp>
#include <map>
#include <string>
#include <vector>

using memcache::Memcache;

static Memcache &
as_client(void *client)
{
	return *static_cast<Memcache *>(client);
}

static std::vector<char>
as_bytes(const char *bytes, size_t len)
{
	return std::vector<char>(bytes, bytes + len);
}

static bool
copied(const std::vector<char> &from, struct value *out)
{
	if (from.size() > sizeof(out->bytes))
		return false;
	out->len = from.size();
	std::copy(from.begin(), from.end(), out->bytes);
	return true;
}

static void *
cc_connect(const char *protocol, const char *host, uint16_t port)
{
	auto *client = new Memcache(std::string("--SERVER=") + host + ":" + std::to_string(port));

	client->setBehavior(MEMCACHED_BEHAVIOR_BINARY_PROTOCOL, std::strcmp(protocol, "binary") == 0);
	client->setBehavior(MEMCACHED_BEHAVIOR_SUPPORT_CAS, 1);
	client->setBehavior(MEMCACHED_BEHAVIOR_TCP_NODELAY, 1);
	return client;
}

static bool
cc_set(void *client, const char *key, const char *bytes, size_t len, unsigned expire_s)
{
	return as_client(client).set(key, as_bytes(bytes, len), expire_s, 0);
}

static bool
cc_get(void *client, const char *key, struct value *out)
{
	std::vector<char> found;

	return as_client(client).get(key, found) && copied(found, out);
}

static bool
cc_add(void *client, const char *key, const char *bytes, size_t len)
{
	return as_client(client).add(key, as_bytes(bytes, len));
}

static bool
cc_replace(void *client, const char *key, const char *bytes, size_t len)
{
	return as_client(client).replace(key, as_bytes(bytes, len));
}

static bool
cc_append(void *client, const char *key, const char *bytes, size_t len)
{
	return as_client(client).append(key, as_bytes(bytes, len));
}

static bool
cc_prepend(void *client, const char *key, const char *bytes, size_t len)
{
	return as_client(client).prepend(key, as_bytes(bytes, len));
}

static bool
cc_gets(void *client, const char *key, struct value *out, uint64_t *token)
{
	Memcache &memc = as_client(client);
	std::vector<std::string> keys(1, key);
	std::string found_key;
	std::vector<char> found;
	uint32_t flags;

	if (!memc.mget(keys) || memc.fetch(found_key, found, flags, *token) != MEMCACHED_SUCCESS)
		return false;
	std::vector<char> rest;
	return memc.fetch(found_key, rest) != MEMCACHED_SUCCESS && copied(found, out);
}

static bool
cc_cas(void *client, const char *key, const char *bytes, size_t len, uint64_t token)
{
	return as_client(client).cas(key, as_bytes(bytes, len), token);
}

static bool
cc_incr(void *client, const char *key, uint32_t delta, uint64_t *out)
{
	return as_client(client).increment(key, delta, out);
}

static bool
cc_decr(void *client, const char *key, uint32_t delta, uint64_t *out)
{
	return as_client(client).decrement(key, delta, out);
}

static void
cc_get_many(void *client, const char *const *keys, size_t count,
    void (*found)(void *arg, const char *key, size_t key_len, const char *bytes, size_t len), void *arg)
{
	Memcache &memc = as_client(client);
	std::string key;
	std::vector<char> value;

	if (!memc.mget(std::vector<std::string>(keys, keys + count)))
		return;
	while (memc.fetch(key, value) == MEMCACHED_SUCCESS)
		found(arg, key.data(), key.size(), value.data(), value.size());
}

static bool
cc_remove(void *client, const char *key)
{
	return as_client(client).remove(key);
}

static bool
cc_stats(void *client, uint64_t *curr_items, uint64_t *cmd_get)
{
	std::map<std::string, std::map<std::string, std::string>> all;

	if (!as_client(client).getStats(all) || all.empty())
		return false;
	auto &figures = all.begin()->second;
	*curr_items = std::strtoull(figures["curr_items"].c_str(), nullptr, 10);
	*cmd_get = std::strtoull(figures["cmd_get"].c_str(), nullptr, 10);
	return true;
}

static bool
cc_flush(void *client)
{
	return as_client(client).flush();
}

int
main(int argc, char **argv)
{
	struct library library = {};

	library.connect = cc_connect;
	library.set = cc_set;
	library.get = cc_get;
	library.add = cc_add;
	library.replace = cc_replace;
	library.append = cc_append;
	library.prepend = cc_prepend;
	library.gets = cc_gets;
	library.cas = cc_cas;
	library.incr = cc_incr;
	library.decr = cc_decr;
	library.get_many = cc_get_many;
	library.remove = cc_remove;
	library.stats = cc_stats;
	library.flush = cc_flush;
	return checks_play(&library, argc, argv);
}
