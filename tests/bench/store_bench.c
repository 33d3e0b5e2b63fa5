/*
 * Speed of the store alone, without network or EAL: reads one by one and in batches, hits and misses, and
 * writes, over a working set that fits the caches and one that does not.
 *
 * usage: store_bench [memory MiB [items [seconds]]]      defaults: a cached and a DRAM-resident run
 *
 * Keys are 20 bytes, values 64 (an item of 104 bytes). One thread; figures are millions of operations a
 * second.
 */
#include "store/store.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define KEY_BYTES   20u
#define VALUE_BYTES 64u
#define BATCH_MAX   64u
#define NOW_S       1700000000u

struct bench {
	struct store *store;
	struct store_thread *thread;
	uint64_t items;
	uint64_t random;
	double seconds;
	char (*keys)[KEY_BYTES]; /* ring of prepared keys, so that making them is not measured */
	uint64_t keys_len;
};

static double
now(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec * 1e-9;
}

static uint64_t
bench_random(struct bench *b)
{
	b->random ^= b->random << 13;
	b->random ^= b->random >> 7;
	b->random ^= b->random << 17;
	return b->random;
}

static void
make_key(char *key, char kind, uint64_t n)
{
	static const char digits[] = "0123456789abcdef";
	memset(key, kind, KEY_BYTES);
	for (unsigned i = 0; i < 16; i++)
		key[KEY_BYTES - 1 - i] = digits[n >> (4 * i) & 15];
}

static void
make_ring(struct bench *b, char kind)
{
	for (uint64_t i = 0; i < b->keys_len; i++)
		make_key(b->keys[i], kind, bench_random(b) % b->items);
}

static enum store_status
set_key(struct bench *b, const struct store_key *key, const void *value)
{
	const struct store_write write = {.mode = STORE_SET};
	return store_put(b->thread, key, &write, value, VALUE_BYTES, NULL);
}

static void
set_batch(struct bench *b, uint64_t at, unsigned batch, const void *value)
{
	struct store_key keys[BATCH_MAX];

	for (unsigned i = 0; i < batch; i++) {
		keys[i] = store_key_make(b->store, b->keys[(at + i) % b->keys_len], KEY_BYTES);
		store_prefetch_bucket(b->store, keys[i].hash);
	}
	for (unsigned i = 0; batch > 1 && i < batch; i++)
		store_prefetch_item(b->store, keys[i].hash);
	for (unsigned i = 0; i < batch; i++)
		if (set_key(b, &keys[i], value) != STORE_OK)
			exit(1);
}

static void
set_one(struct bench *b, const char *bytes, const void *value)
{
	struct store_key key = store_key_make(b->store, bytes, KEY_BYTES);
	if (set_key(b, &key, value) != STORE_OK) {
		fprintf(stderr, "a write was refused\n");
		exit(1);
	}
}

static uint64_t
get_batch(struct bench *b, uint64_t at, unsigned batch)
{
	struct store_key keys[BATCH_MAX];
	struct store_view view;
	uint64_t sum = 0;

	for (unsigned i = 0; i < batch; i++) {
		keys[i] = store_key_make(b->store, b->keys[(at + i) % b->keys_len], KEY_BYTES);
		store_prefetch_bucket(b->store, keys[i].hash);
	}
	if (batch > 1)
		for (unsigned i = 0; i < batch; i++)
			store_prefetch_item(b->store, keys[i].hash);
	for (unsigned i = 0; i < batch; i++)
		if (store_get(b->thread, &keys[i], &view) == STORE_OK)
			sum += view.value[0] + 1;
	store_quiesce(b->thread, NOW_S);
	return sum;
}

static void
run_gets(struct bench *b, const char *what, unsigned batch, bool hits)
{
	uint64_t done = 0, sum = 0;
	make_ring(b, hits ? 'k' : 'm');
	double begin = now(), end = begin;
	while (end - begin < b->seconds) {
		for (unsigned i = 0; i < 1024; i++, done += batch)
			sum += get_batch(b, done, batch);
		end = now();
	}
	if ((sum > 0) != hits)
		fprintf(stderr, "%s: unexpected %s\n", what, hits ? "misses" : "hits");
	printf("  %-22s %7.2f M/s\n", what, (double)done / (end - begin) / 1e6);
}

static void
run_sets(struct bench *b, const char *what, unsigned batch, bool maintain)
{
	char value[VALUE_BYTES];
	uint64_t done = 0;
	memset(value, 'v', sizeof(value));
	make_ring(b, 'k');
	double begin = now(), end = begin;
	while (end - begin < b->seconds) {
		for (unsigned n = 0; n < 1024; n++) {
			set_batch(b, done, batch, value);
			done += batch;
			store_quiesce(b->thread, NOW_S);
			if (maintain)
				store_maintain(b->thread, batch);
		}
		end = now();
	}
	printf("  %-22s %7.2f M/s\n", what, (double)done / (end - begin) / 1e6);
}

/* New keys all the time: every write evicts. */
static void
run_churn(struct bench *b, const char *what)
{
	char value[VALUE_BYTES], key[KEY_BYTES];
	uint64_t done = 0;
	memset(value, 'v', sizeof(value));
	double begin = now(), end = begin;
	while (end - begin < b->seconds) {
		for (unsigned n = 0; n < 32768; n++, done++) {
			make_key(key, 'c', done);
			set_one(b, key, value);
			if (n % 32 == 0) {
				store_quiesce(b->thread, NOW_S);
				store_maintain(b->thread, 48);
			}
		}
		end = now();
	}
	printf("  %-22s %7.2f M/s\n", what, (double)done / (end - begin) / 1e6);
}

static void
run(size_t memory_mib, uint64_t items, double seconds)
{
	struct store_config config;
	struct bench b = {
	    .items = items, .random = 88172645463325252ull, .seconds = seconds, .keys_len = 1u << 20};
	char error[STORE_ERROR_MAX], value[VALUE_BYTES], key[KEY_BYTES];
	struct store_info info;

	store_config_default(&config);
	config.memory_bytes = memory_mib << 20;
	config.now_s = NOW_S;
	memset(config.hash_key, 42, sizeof(config.hash_key));
	if (store_create(&config, &b.store, error)) {
		fprintf(stderr, "%s\n", error);
		exit(1);
	}
	b.thread = store_thread_register(b.store, -1);
	b.keys = malloc(b.keys_len * KEY_BYTES);
	memset(value, 'v', sizeof(value));
	double begin = now();
	for (uint64_t i = 0; i < items; i++) {
		make_key(key, 'k', i);
		set_one(&b, key, value);
		store_quiesce(b.thread, NOW_S);
	}
	store_info_get(b.store, &info);
	printf("%zu MiB, %llu items of %llu bytes, index %llu MiB, hugepages %s\n", memory_mib,
	    (unsigned long long)info.items, (unsigned long long)(info.bytes / (info.items ? info.items : 1)),
	    (unsigned long long)(info.index_bytes >> 20), info.hugepages ? "yes" : "no");
	printf("  %-22s %7.2f M/s\n", "fill", (double)items / (now() - begin) / 1e6);
	run_gets(&b, "get, batch 1", 1, true);
	run_gets(&b, "get, batch 16", 16, true);
	run_gets(&b, "get, batch 32", 32, true);
	run_gets(&b, "get miss, batch 32", 32, false);
	run_sets(&b, "set, batch 1", 1, false);
	run_sets(&b, "set, batch 32", 32, true);
	run_churn(&b, "set of new keys");
	store_thread_unregister(b.thread);
	store_destroy(b.store);
	free(b.keys);
}

int
main(int argc, char **argv)
{
	double seconds = argc > 3 ? atof(argv[3]) : 1;

	if (argc > 2) {
		run(strtoul(argv[1], NULL, 0), strtoull(argv[2], NULL, 0), seconds);
		return 0;
	}
	run(32, 100000, seconds);
	run(2500, 16000000, seconds);
	return 0;
}
