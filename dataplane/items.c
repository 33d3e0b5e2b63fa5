/*
 * The store as the process opens it: its secret and time, its pages, and where its items are kept for a warm restart.
 *
 * Files of kept items bear the instance's name. They hold memory even when no appliance runs, so whichever are not used
 * are removed at every start: all of them when warm restart is off, those in the other place when it is on.
 */
#include "dataplane/internal.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>
#include <sys/random.h>

#define PLACES_MAX 2u
#define SHM_DIR    "/dev/shm"

/* Where files may be, as prefixes of their paths, the best first. */
struct places {
	char prefix[PLACES_MAX][DATAPLANE_DEVICE_MAX + DATAPLANE_NAME_MAX];
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
	char path[DATAPLANE_DEVICE_MAX + 2 * DATAPLANE_NAME_MAX];

	snprintf(path, sizeof(path), "%s.items.0", prefix);
	return access(path, F_OK) == 0;
}

static void
places_find(const struct dataplane_config *config, struct places *places)
{
	char mount[DATAPLANE_DEVICE_MAX], first[sizeof(places->prefix[0])];

	places->len = 0;
	if (config->restart_dir[0]) {
		place_add(places, config->restart_dir, config->file_prefix);
		return;
	}
	if (config->hugepages != DATAPLANE_HUGEPAGES_OFF && eal_hugetlbfs(mount))
		place_add(places, mount, config->file_prefix);
	place_add(places, SHM_DIR, config->file_prefix);
	/* Items that are there go before faster pages. */
	if (places->len == 2 && !place_has_items(places->prefix[0]) && place_has_items(places->prefix[1])) {
		memcpy(first, places->prefix[0], sizeof(first));
		memcpy(places->prefix[0], places->prefix[1], sizeof(first));
		memcpy(places->prefix[1], first, sizeof(first));
	}
}

/* Where there is room; what lies in the other place is given up. */
static int
create_kept(struct dataplane *dataplane, const struct places *places, char why[STORE_ERROR_MAX])
{
	struct store_config *config = &dataplane->config.store;
	unsigned used = 0;
	int rc;

	do {
		config->restart_path = places->prefix[used];
		rc = store_create(config, &dataplane->store, why);
	} while ((rc == -ENOSPC || rc == -ENOMEM) && ++used < places->len);
	config->restart_path = NULL; /* that was this function's */
	for (unsigned i = 0; rc == 0 && i < places->len; i++)
		if (i != used)
			store_restart_forget(places->prefix[i]);
	return rc;
}

static int
create(struct dataplane *dataplane, char why[STORE_ERROR_MAX])
{
	struct places places;

	places_find(&dataplane->config, &places);
	if (dataplane->config.warm_restart)
		return create_kept(dataplane, &places, why);
	for (unsigned i = 0; i < places.len; i++)
		store_restart_forget(places.prefix[i]);
	return store_create(&dataplane->config.store, &dataplane->store, why);
}

int
items_open(struct dataplane *dataplane, char error[DATAPLANE_ERROR_MAX])
{
	struct store_config *config = &dataplane->config.store;
	char why[STORE_ERROR_MAX];
	struct store_info info;
	int rc;

	if (getrandom(config->hash_key, sizeof(config->hash_key), 0) != sizeof(config->hash_key))
		return -EIO;
	config->now_s = dataplane->shared.start_unix_s;
	config->hugepages = dataplane->config.hugepages != DATAPLANE_HUGEPAGES_OFF;
	config->threads_max = RTE_MAX(config->threads_max, dataplane->workers_len);
	rc = create(dataplane, why);
	if (rc != 0) {
		snprintf(error, DATAPLANE_ERROR_MAX, "%s", why);
		return rc;
	}
	store_info_get(dataplane->store, &info);
	if (dataplane->config.hugepages != DATAPLANE_HUGEPAGES_ON || info.hugepages)
		return 0;
	snprintf(error, DATAPLANE_ERROR_MAX,
	    "memory.hugepages is on, but there are not enough free hugepages for the cache: it needs %zu MB "
	    "of them "
	    "beside those for packets (scripts/hugepages)",
	    info.limit_bytes >> 20);
	return -ENOMEM;
}
