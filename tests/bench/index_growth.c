/*
 * What the index costs while a store grows: items of 8 bytes of key and 2 of value, from 10^5 on.
 *
 * usage: index_growth MEMORY_MIB ITEMS      prints a row of a table where a step is reached, and the averages
 *
 * The average is over the logarithm of the number of items, since a store may be of any size, from the first growth on. "Lines" counts lines of the
 * index that a lookup reads: home, and with something of the key's kind displaced the spill lines.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "store/index.h"

#define KEY_BYTES 8
#define FIRST     100000u
#define LOOKUPS   100000u
#define STEPS     1.2589254117941673 /* a tenth of a decade */

struct growth {
	struct store *store;
	struct store_thread *thread;
	uint64_t items;
	uint64_t first_bytes; /* of the index */
	double full;          /* load when it first grows */
	double slowest_us;    /* of the sets since the last row */
	double sum, weight;   /* of bytes an item, by the logarithm */
};

static struct store_key
key_of(const struct growth *g, uint64_t number, char text[KEY_BYTES + 1])
{
	snprintf(text, KEY_BYTES + 1, "%08x", (uint32_t)number);
	return store_key_make(g->store, text, KEY_BYTES);
}

static double
now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

static uint64_t
index_bytes(const struct growth *g)
{
	const struct partition *part = &g->store->partitions[0];

	return (uint64_t)atomic_load(&part->tables_len) << part->table_shift;
}

static double
slots(const struct growth *g)
{
	return (double)index_bytes(g) / STORE_LINE_BYTES * LINE_SLOTS;
}

static void
put_next(struct growth *g)
{
	struct store_write write = {.mode = STORE_SET};
	char text[KEY_BYTES + 1];
	struct store_key key = key_of(g, g->items, text);
	uint64_t before = index_bytes(g);
	double start = now_us();

	if (store_put(g->thread, &key, &write, "v", 2, NULL) != STORE_OK) {
		fprintf(stderr, "index_growth: memory is too small\n");
		exit(1);
	}
	if (index_bytes(g) != before && now_us() - start > g->slowest_us)
		g->slowest_us = now_us() - start;
	store_quiesce(g->thread, 1);
	g->items++;
	if (index_bytes(g) == g->first_bytes) {
		g->full = (double)g->items / slots(g);
		return;
	}
	g->sum += (double)index_bytes(g) / (double)g->items / (double)g->items;
	g->weight += 1 / (double)g->items;
}

/* Lines a lookup reads. hit: of keys that are there. */
static double
lines_read(const struct growth *g, bool hit)
{
	const struct partition *part = &g->store->partitions[0];
	uint64_t lines = 0;

	for (uint64_t i = 0; i < LOOKUPS; i++) {
		char text[KEY_BYTES + 1];
		struct store_key key = key_of(g, (hit ? 0 : 1ull << 31) + i * (g->items / LOOKUPS), text);
		struct index_hit at;
		const struct bucket *home = index_home(part, key.hash);
		bool found = index_find(part, &key, &at);
		if (found ? at.line != home : control_displaced(home->control, key.hash) > 0)
			lines += 2;
		lines++;
	}
	return (double)lines / LOOKUPS;
}

static void
row(struct growth *g)
{
	const struct partition *part = &g->store->partitions[0];
	uint64_t bytes = index_bytes(g);

	printf("| %llu | %u | %.2f MiB | %.2f | %.3f | %.3f | %.3f | %.2f |\n", (unsigned long long)g->items,
	    atomic_load(&part->tables_len), (double)bytes / (1 << 20), (double)bytes / (double)g->items,
	    (double)g->items / slots(g), lines_read(g, true), lines_read(g, false), g->slowest_us / 1000);
	g->slowest_us = 0;
	fflush(stdout);
}

int
main(int argc, char **argv)
{
	struct store_config config;
	struct growth g = {0};
	char error[STORE_ERROR_MAX];
	double step = FIRST;

	if (argc != 3) {
		fprintf(stderr, "usage: index_growth MEMORY_MIB ITEMS\n");
		return 2;
	}
	uint64_t items = strtoull(argv[2], NULL, 10);
	store_config_default(&config);
	config.memory_bytes = strtoull(argv[1], NULL, 10) << 20;
	config.now_s = 1;
	memcpy(config.hash_key, "a secret for all", sizeof(config.hash_key));
	if (store_create(&config, &g.store, error) != 0) {
		fprintf(stderr, "index_growth: %s\n", error);
		return 1;
	}
	g.thread = store_thread_register(g.store, -1);
	g.first_bytes = index_bytes(&g);
	puts("| items | tables | index | bytes an item | load | lines a hit | lines a miss | longest growth, "
	     "ms |");
	puts("|---|---|---|---|---|---|---|---|");
	while (g.items <= items) {
		if ((double)g.items >= step) {
			row(&g);
			step *= STEPS;
		}
		put_next(&g);
	}
	printf(
	    "\nfirst growth at a load of %.3f; from there on %.2f bytes an item\n", g.full, g.sum / g.weight);
	store_thread_unregister(g.thread);
	store_destroy(g.store);
	return 0;
}
