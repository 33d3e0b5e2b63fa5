/*
 * The stores as the process opens them, one a cache: secret and time, pages, and where items are kept for a warm restart.
 *
 * Files of kept items bear the instance's name. They hold memory even when no appliance runs, so whichever are not used
 * are removed at every start: all of them when warm restart is off, those in the other place when it is on.
 */
#include "dataplane/internal.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>
#include <sys/random.h>
#include <rte_cycles.h>

#define PLACES_MAX 2u
#define SHM_DIR    "/dev/shm"
#define PREFIX_MAX (DATAPLANE_DEVICE_MAX + 2 * DATAPLANE_NAME_MAX + 1)
#define NODE_LAST  63 /* memory.nodes goes up to it */

/* Where files may be, as prefixes of their paths, the best first. */
struct places {
	char prefix[PLACES_MAX][PREFIX_MAX];
	unsigned len;
};

static void
place_add(struct places *places, const char *dir, const char *instance)
{
	snprintf(places->prefix[places->len], sizeof(places->prefix[0]), "%s/%s", dir, instance);
	places->len++;
}

static bool
place_has_items(const char *prefix)
{
	char path[PREFIX_MAX + DATAPLANE_NAME_MAX];

	snprintf(path, sizeof(path), "%s.items.0", prefix);
	return access(path, F_OK) == 0;
}

/* node: of a cache that is one of several, else -1. */
static void
places_find(const struct dataplane_config *config, int node, struct places *places)
{
	char mount[DATAPLANE_DEVICE_MAX], first[sizeof(places->prefix[0])];
	char name[2 * DATAPLANE_NAME_MAX];

	if (node < 0)
		snprintf(name, sizeof(name), "%s", config->file_prefix);
	else
		snprintf(name, sizeof(name), "%s.node%d", config->file_prefix, node);
	places->len = 0;
	if (config->restart_dir[0]) {
		place_add(places, config->restart_dir, name);
		return;
	}
	if (config->hugepages != DATAPLANE_HUGEPAGES_OFF && eal_hugetlbfs(mount))
		place_add(places, mount, name);
	place_add(places, SHM_DIR, name);
	/* Items that are there go before faster pages. */
	if (places->len == 2 && !place_has_items(places->prefix[0]) && place_has_items(places->prefix[1])) {
		memcpy(first, places->prefix[0], sizeof(first));
		memcpy(places->prefix[0], places->prefix[1], sizeof(first));
		memcpy(places->prefix[1], first, sizeof(first));
	}
}

static void
places_forget(const struct places *places)
{
	for (unsigned i = 0; i < places->len; i++)
		store_restart_forget(places->prefix[i]);
}

/* Files of caches that there are no more, after another keyspace or with warm restart switched off. */
static void
others_forget(const struct dataplane *dataplane)
{
	const struct topology *topology = &dataplane->topology;
	bool kept = dataplane->config.warm_restart;
	struct places places;

	if (!kept || topology->per_node) {
		places_find(&dataplane->config, -1, &places);
		places_forget(&places);
	}
	for (int node = 0; node <= NODE_LAST; node++) {
		bool used = false;

		for (unsigned i = 0; kept && topology->per_node && i < topology->caches_len; i++)
			used |= topology->caches[i].nodes[0] == node;
		places_find(&dataplane->config, node, &places);
		if (!used)
			places_forget(&places);
	}
}

/* Where there is room; what lies in the other place is given up. */
static int
create_kept(
    struct store_config *config, const struct places *places, struct store **store, char why[STORE_ERROR_MAX])
{
	unsigned used = 0;
	int rc;

	do {
		config->restart_path = places->prefix[used];
		rc = store_create(config, store, why);
	} while ((rc == -ENOSPC || rc == -ENOMEM) && ++used < places->len);
	for (unsigned i = 0; rc == 0 && i < places->len; i++)
		if (i != used)
			store_restart_forget(places->prefix[i]);
	return rc;
}

static int
cache_open(struct dataplane *dataplane, unsigned index, char why[STORE_ERROR_MAX])
{
	const struct topology *topology = &dataplane->topology;
	const struct topology_cache *plan = &topology->caches[index];
	struct cache *cache = &dataplane->caches[index];
	struct store_config config = dataplane->config.store;
	struct places places;

	if (getrandom(config.hash_key, sizeof(config.hash_key), 0) != sizeof(config.hash_key))
		return -EIO;
	*cache = (struct cache){.dataplane = dataplane, .index = (int)index};
	config.memory_bytes /= topology->caches_len;
	config.now_s = dataplane->shared.start_unix_s;
	config.hugepages = dataplane->config.hugepages != DATAPLANE_HUGEPAGES_OFF;
	config.threads_max = RTE_MAX(config.threads_max, dataplane->workers_len);
	config.nodes_len = plan->nodes_len;
	memcpy(config.nodes, plan->nodes, sizeof(config.nodes));
	if (!dataplane->config.warm_restart)
		return store_create(&config, &cache->store, why);
	places_find(&dataplane->config, topology->per_node ? plan->nodes[0] : -1, &places);
	return create_kept(&config, &places, &cache->store, why);
}

int
items_open(struct dataplane *dataplane, char error[DATAPLANE_ERROR_MAX])
{
	char why[STORE_ERROR_MAX] = "the kernel gives no random numbers";
	struct store_info info;

	others_forget(dataplane);
	for (unsigned i = 0; i < dataplane->topology.caches_len; i++) {
		int rc = cache_open(dataplane, i, why);

		if (rc != 0) {
			snprintf(error, DATAPLANE_ERROR_MAX, "%s", why);
			return rc;
		}
		dataplane->caches_len++;
	}
	items_info(&dataplane->whole, &info);
	if (dataplane->config.hugepages != DATAPLANE_HUGEPAGES_ON || info.hugepages)
		return 0;
	snprintf(error, DATAPLANE_ERROR_MAX,
	    "memory.hugepages is on, but there are not enough free hugepages for the cache: it needs %zu MB "
	    "of them "
	    "beside those for packets (scripts/hugepages)",
	    info.limit_bytes >> 20);
	return -ENOMEM;
}

void
items_close(struct dataplane *dataplane)
{
	while (dataplane->caches_len > 0)
		store_destroy(dataplane->caches[--dataplane->caches_len].store);
}

/* ---- what is in them -------------------------------------------------------------------------- */

static void
info_add(struct store_info *sum, const struct store_info *info)
{
	sum->limit_bytes += info->limit_bytes;
	sum->index_bytes += info->index_bytes;
	sum->segments += info->segments;
	sum->segments_free += info->segments_free;
	sum->items += info->items;
	sum->bytes += info->bytes;
	sum->partitions += info->partitions;
	sum->hugepages = sum->hugepages && info->hugepages;
	sum->bound = sum->bound && info->bound;
	/* Warm only as a whole. */
	if (sum->start == STORE_START_WARM && info->start != STORE_START_WARM) {
		sum->start = info->start;
		sum->start_why = info->start_why;
	}
}

void
items_info(const struct cache *cache, struct store_info *info)
{
	const struct dataplane *dataplane = cache->dataplane;
	struct store_info each;

	if (cache->store) {
		store_info_get(cache->store, info);
		return;
	}
	store_info_get(dataplane->caches[0].store, info);
	for (unsigned i = 1; i < dataplane->caches_len; i++) {
		store_info_get(dataplane->caches[i].store, &each);
		info_add(info, &each);
	}
}

void
items_counters(const struct cache *cache, struct store_counters *sum)
{
	const struct dataplane *dataplane = cache->dataplane;
	struct store_counters each;

	if (cache->store) {
		store_counters_sum(cache->store, sum);
		return;
	}
	memset(sum, 0, sizeof(*sum));
	for (unsigned i = 0; i < dataplane->caches_len; i++) {
		store_counters_sum(dataplane->caches[i].store, &each);
		for (size_t at = 0; at < sizeof(each) / sizeof(uint64_t); at++)
			((uint64_t *)sum)[at] += ((const uint64_t *)&each)[at];
	}
}

int
items_set_limit(const struct cache *cache, uint64_t bytes)
{
	struct dataplane *dataplane = cache->dataplane;
	int rc = 0;

	if (cache->store)
		return store_set_memory_limit(cache->store, bytes);
	for (unsigned i = 0; rc == 0 && i < dataplane->caches_len; i++)
		rc = store_set_memory_limit(dataplane->caches[i].store, bytes / dataplane->caches_len);
	return rc;
}

void
dataplane_store_info(const struct dataplane *dataplane, struct store_info *info)
{
	items_info(&dataplane->whole, info);
}

void
dataplane_store_counters(const struct dataplane *dataplane, struct store_counters *sum)
{
	items_counters(&dataplane->whole, sum);
}

void
dataplane_store_bands(const struct dataplane *dataplane, struct store_band_info bands[STORE_BANDS])
{
	struct store_band_info each[STORE_BANDS];
	const struct worker_shared *shared = &dataplane->shared;
	uint32_t now_s =
	    shared->start_unix_s + (uint32_t)((rte_rdtsc() - shared->start_tsc) / shared->tsc_hz);

	store_bands(dataplane->caches[0].store, now_s, bands);
	for (unsigned i = 1; i < dataplane->caches_len; i++) {
		store_bands(dataplane->caches[i].store, now_s, each);
		for (unsigned band = 0; band < STORE_BANDS; band++) {
			bands[band].segments += each[band].segments;
			bands[band].bytes += each[band].bytes;
		}
	}
}

unsigned
dataplane_cache_info(const struct dataplane *dataplane, unsigned index, struct dataplane_cache_info *info)
{
	const struct topology *topology = &dataplane->topology;

	if (index >= dataplane->caches_len)
		return dataplane->caches_len;
	const struct topology_cache *plan = &topology->caches[index];
	*info = (struct dataplane_cache_info){.nodes_len = plan->nodes_len, .workers = plan->workers_len};
	memcpy(info->nodes, plan->nodes, sizeof(info->nodes));
	for (unsigned i = 0; i < dataplane->ports_len; i++)
		info->ports += topology->port_cache[i] == index;
	store_info_get(dataplane->caches[index].store, &info->store);
	return dataplane->caches_len;
}
