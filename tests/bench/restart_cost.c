/*
 * What a warm restart costs: fills a store in /dev/shm (or where the third argument says) with items of one size, and
 * times its stop and the next start.
 *
 *   restart_cost [MIB [VALUE_BYTES [DIRECTORY]]]
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "store/store.h"

#define NOW_S 1700000000u

static double
now_ms(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

static struct store *
open_store(const struct store_config *config)
{
	char error[STORE_ERROR_MAX];
	struct store *store;

	if (store_create(config, &store, error) == 0)
		return store;
	fprintf(stderr, "restart_cost: %s\n", error);
	exit(1);
}

/* Until nine tenths of the segments are taken. */
static void
fill(struct store *store, uint32_t value_bytes)
{
	struct store_thread *thread = store_thread_register(store, -1);
	const struct store_write write = {.mode = STORE_SET};
	uint8_t *value = calloc(1, value_bytes);
	struct store_info info;
	char name[32];

	store_info_get(store, &info);
	for (uint64_t n = 0; info.segments_free > info.segments / 10; n++) {
		int len = snprintf(name, sizeof(name), "key-%016llx", (unsigned long long)n);
		struct store_key key = store_key_make(store, name, (uint32_t)len);
		store_put(thread, &key, &write, value, value_bytes, NULL);
		if (n % 1024 == 0) {
			store_quiesce(thread, NOW_S);
			store_info_get(store, &info);
		}
	}
	free(value);
	store_thread_unregister(thread);
}

int
main(int argc, char **argv)
{
	size_t mib = argc > 1 ? strtoul(argv[1], NULL, 10) : 1024;
	uint32_t value_bytes = argc > 2 ? (uint32_t)strtoul(argv[2], NULL, 10) : 100;
	struct store_config config;
	struct store_info info;
	char path[256];

	snprintf(path, sizeof(path), "%s/wirecache-cost-%d", argc > 3 ? argv[3] : "/dev/shm", (int)getpid());
	store_config_default(&config);
	config.memory_bytes = mib << 20;
	config.now_s = NOW_S;
	config.restart_path = path;
	double at = now_ms();
	struct store *store = open_store(&config);
	double first_ms = now_ms() - at;
	fill(store, value_bytes);
	at = now_ms();
	store_destroy(store);
	double stop_ms = now_ms() - at;
	at = now_ms();
	store = open_store(&config);
	double start_ms = now_ms() - at;
	store_info_get(store, &info);
	printf("%zu MiB, %u-byte values: %llu items, index %zu MiB; first start %.1f ms, stop %.1f ms, warm "
	       "start %.1f ms\n",
	    mib, value_bytes, (unsigned long long)info.items, info.index_bytes >> 20, first_ms, stop_ms,
	    start_ms);
	store_destroy(store);
	store_restart_forget(path);
	return info.start == STORE_START_WARM ? 0 : 1;
}
