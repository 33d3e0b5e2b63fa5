/*
 * Speed of the store alone, without network or EAL. One store of items of 104 bytes (20-byte keys, 64-byte values) is
 * filled, then every combination of operation, batch, distribution and number of threads is timed on it.
 *
 * usage: store_bench MEMORY_MIB ITEMS HUGEPAGES(0|1) SECONDS [ROUNDS]      prints one line of JSON a figure
 *
 * With ROUNDS only gets of one thread are timed, unbatched and in batches in turn, so many times.
 *
 * A batch is what a worker does with a burst: hash all keys and prefetch their buckets, prefetch the items, then do the
 * operations. In the unbatched rows nothing is prefetched. Keys are made beforehand; their ring is read in order.
 */
#include "store/store.h"

#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tests/random.h"

#define KEY_BYTES      20u
#define VALUE_BYTES    64u
#define BATCH_MAX      64u
#define RING_LEN       (1u << 20)
#define THREADS_MAX    2u
#define NOW_S          1700000000u
#define ZIPF_SKEW      0.99
/* Of mixed operations, one in this many is a set. */
#define MIXED_SETS     10u
/* Operations between two slices of background work: a worker has one every 50 us, of so many items. */
#define MAINTAIN_EVERY 256u
#define MAINTAIN_ITEMS 512u
/* A figure is the median of so many pieces of its time: what else the machine does comes and goes. */
#define PIECES         9u

enum op { OP_GET, OP_MISS, OP_SET, OP_MIXED, OP_NEW, OPS };
static const char *const op_names[OPS] = {"get", "get miss", "set", "mixed", "set of new keys"};

struct bench {
	struct store *store;
	uint64_t items;
	double seconds;
	_Atomic unsigned ready;
	_Atomic bool stop;
};

struct runner {
	struct bench *bench;
	struct store_thread *thread;
	enum op op;
	unsigned batch;
	uint64_t random;
	uint64_t fresh; /* next new key */
	uint64_t done;
	uint64_t maintain_at; /* of done */
	uint64_t found;
	char (*ring)[KEY_BYTES];
};

static double
now(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec * 1e-9;
}

static void
make_key(char *key, char kind, uint64_t n)
{
	static const char digits[] = "0123456789abcdef";
	memset(key, kind, KEY_BYTES);
	for (unsigned i = 0; i < 16; i++)
		key[KEY_BYTES - 1 - i] = digits[n >> (4 * i) & 15];
}

/* Zipf by inversion of the integral: near enough, and no table of all items. Ranks are spread over the key space. */
static uint64_t
draw(struct runner *r, bool zipf)
{
	uint64_t items = r->bench->items;
	double u = (double)(random_next(&r->random) >> 11) / (double)(1ull << 53);

	if (!zipf)
		return (uint64_t)(u * (double)items);
	double top = pow((double)items, 1 - ZIPF_SKEW);
	uint64_t rank = (uint64_t)pow(u * (top - 1) + 1, 1 / (1 - ZIPF_SKEW)) - 1;
	return rank * 0x9e3779b97f4a7c15ull % items;
}

static void
make_ring(struct runner *r, bool zipf)
{
	for (uint64_t i = 0; i < RING_LEN; i++)
		make_key(r->ring[i], r->op == OP_MISS ? 'm' : 'k', draw(r, zipf));
}

static void
set_key(struct runner *r, const struct store_key *key)
{
	static const char value[VALUE_BYTES];
	const struct store_write write = {.mode = STORE_SET};

	if (store_put(r->thread, key, &write, value, VALUE_BYTES, NULL) != STORE_OK) {
		fprintf(stderr, "store_bench: a write was refused\n");
		exit(1);
	}
}

static void
do_one(struct runner *r, const struct store_key *key, uint64_t n)
{
	struct store_view view;

	if (r->op == OP_SET || r->op == OP_NEW || (r->op == OP_MIXED && n % MIXED_SETS == 0))
		set_key(r, key);
	else if (store_get(r->thread, key, &view) == STORE_OK)
		r->found += (uint64_t)view.value[0] + 1;
}

static void
do_batch(struct runner *r)
{
	struct store *store = r->bench->store;
	struct store_key keys[BATCH_MAX];
	const void *places[BATCH_MAX];
	char fresh[BATCH_MAX][KEY_BYTES];

	for (unsigned i = 0; i < r->batch; i++) {
		const char *bytes = r->ring[(r->done + i) % RING_LEN];
		if (r->op == OP_NEW) {
			make_key(fresh[i], 'n', r->fresh++);
			bytes = fresh[i];
		}
		keys[i] = store_key_make(store, bytes, KEY_BYTES);
		if (r->batch > 1)
			places[i] = store_prefetch_bucket(store, keys[i].hash);
	}
	for (unsigned i = 0; r->batch > 1 && i < r->batch; i++)
		store_prefetch_item(store, keys[i].hash, places[i]);
	for (unsigned i = 0; i < r->batch; i++)
		do_one(r, &keys[i], r->done + i);
	__atomic_store_n(&r->done, r->done + r->batch, __ATOMIC_RELAXED); /* main() looks on */
	store_quiesce(r->thread, NOW_S);
	if (r->op >= OP_SET && r->done >= r->maintain_at) {
		store_maintain(r->thread, MAINTAIN_ITEMS);
		r->maintain_at = r->done + MAINTAIN_EVERY;
	}
}

static void *
runner_main(void *arg)
{
	struct runner *r = arg;

	atomic_fetch_add(&r->bench->ready, 1);
	while (atomic_load(&r->bench->ready) <= THREADS_MAX)
		;
	while (!atomic_load_explicit(&r->bench->stop, memory_order_relaxed))
		for (unsigned i = 0; i < 64; i++)
			do_batch(r);
	store_offline(r->thread);
	return NULL;
}

static uint64_t
done_by(const struct runner *runners, unsigned threads)
{
	uint64_t done = 0;

	for (unsigned t = 0; t < threads; t++)
		done += __atomic_load_n(&runners[t].done, __ATOMIC_RELAXED);
	return done;
}

static int
rate_compare(const void *a, const void *b)
{
	const double *x = a, *y = b;
	return (*x > *y) - (*x < *y);
}

/* Operations a second while the threads run. */
static double
rate_watch(const struct bench *b, const struct runner *runners, unsigned threads)
{
	const struct timespec pause = {
	    .tv_sec = (time_t)(b->seconds / PIECES), .tv_nsec = (long)(fmod(b->seconds / PIECES, 1) * 1e9)};
	double rates[PIECES], begin = now();
	uint64_t before = done_by(runners, threads);

	for (unsigned i = 0; i < PIECES; i++) {
		nanosleep(&pause, NULL);
		double end = now();
		uint64_t done = done_by(runners, threads);
		rates[i] = (double)(done - before) / (end - begin);
		before = done;
		begin = end;
	}
	qsort(rates, PIECES, sizeof(rates[0]), rate_compare);
	return rates[PIECES / 2];
}

static void
cell(struct bench *b, struct runner *runners, unsigned threads, enum op op, unsigned batch)
{
	pthread_t ids[THREADS_MAX];
	uint64_t found = 0;

	atomic_store(&b->ready, 0);
	atomic_store(&b->stop, false);
	for (unsigned t = 0; t < threads; t++) {
		runners[t].op = op;
		runners[t].batch = batch;
		runners[t].done = runners[t].found = runners[t].maintain_at = 0;
		store_quiesce(runners[t].thread, NOW_S);
		pthread_create(&ids[t], NULL, runner_main, &runners[t]);
	}
	while (atomic_load(&b->ready) < threads)
		;
	atomic_store(&b->ready, THREADS_MAX + 1);
	double rate = rate_watch(b, runners, threads);
	atomic_store(&b->stop, true);
	for (unsigned t = 0; t < threads; t++) {
		pthread_join(ids[t], NULL);
		found += runners[t].found;
	}
	if ((op == OP_GET && found == 0) || (op == OP_MISS && found > 0)) {
		fprintf(stderr, "store_bench: %s found %llu\n", op_names[op], (unsigned long long)found);
		exit(1);
	}
	printf("\"op\": \"%s\", \"threads\": %u, \"batch\": %u, \"mops\": %.2f}\n", op_names[op], threads,
	    batch, rate / 1e6);
	fflush(stdout);
}

static void
distribution(struct bench *b, struct runner *runners, bool zipf, const char *about)
{
	static const unsigned batches[] = {1, 2, 4, 8, 16, 32, 64};

	for (unsigned op = OP_GET; op < OPS; op++) {
		if (op == OP_GET || op == OP_MISS || op == OP_SET)
			for (unsigned t = 0; t < THREADS_MAX; t++) {
				runners[t].op = (enum op)op;
				make_ring(&runners[t], zipf);
			}
		for (unsigned threads = 1; threads <= THREADS_MAX; threads++)
			for (unsigned i = 0; i < sizeof(batches) / sizeof(batches[0]); i++) {
				/* The curve over batches is shown for reads of one thread; the rest at its ends. */
				if ((op != OP_GET || threads > 1) && batches[i] != 1 && batches[i] != 32)
					continue;
				printf("{%s, \"keys\": \"%s\", ", about, zipf ? "zipf 0.99" : "uniform");
				cell(b, runners, threads, (enum op)op, batches[i]);
			}
	}
}

/* Unbatched and batched in turn, so that a noisy machine hits both. */
static void
gets_in_rounds(struct bench *b, struct runner *runners, unsigned rounds, const char *about)
{
	static const unsigned batches[] = {1, 32};

	runners[0].op = OP_GET;
	make_ring(&runners[0], false);
	for (unsigned i = 0; i < 2 * rounds; i++) {
		printf("{%s, \"keys\": \"uniform\", ", about);
		cell(b, runners, 1, OP_GET, batches[i % 2]);
	}
}

static void
fill(struct bench *b, struct runner *r)
{
	char key[KEY_BYTES];

	for (uint64_t i = 0; i < b->items; i++) {
		make_key(key, 'k', i);
		struct store_key made = store_key_make(b->store, key, KEY_BYTES);
		set_key(r, &made);
		store_quiesce(r->thread, NOW_S);
	}
}

int
main(int argc, char **argv)
{
	struct bench b = {0};
	struct runner runners[THREADS_MAX] = {0};
	struct store_config config;
	struct store_info info;
	char error[STORE_ERROR_MAX], about[128];

	if (argc != 5 && argc != 6) {
		fprintf(stderr, "usage: store_bench MEMORY_MIB ITEMS HUGEPAGES(0|1) SECONDS [ROUNDS]\n");
		return 2;
	}
	store_config_default(&config);
	config.memory_bytes = strtoull(argv[1], NULL, 10) << 20;
	config.hugepages = argv[3][0] == '1';
	config.now_s = NOW_S;
	memset(config.hash_key, 42, sizeof(config.hash_key));
	b.items = strtoull(argv[2], NULL, 10);
	b.seconds = atof(argv[4]);
	if (store_create(&config, &b.store, error) != 0) {
		fprintf(stderr, "store_bench: %s\n", error);
		return 1;
	}
	for (unsigned t = 0; t < THREADS_MAX; t++) {
		runners[t] = (struct runner){
		    .bench = &b, .random = 88172645463325252ull + t, .fresh = (uint64_t)t << 40};
		runners[t].thread = store_thread_register(b.store, -1);
		runners[t].ring = malloc(RING_LEN * KEY_BYTES);
		store_offline(runners[t].thread);
	}
	fill(&b, &runners[0]);
	store_offline(runners[0].thread);
	store_info_get(b.store, &info);
	snprintf(about, sizeof(about), "\"mb\": %zu, \"items\": %llu, \"hugepages\": %s",
	    config.memory_bytes >> 20, (unsigned long long)info.items, info.hugepages ? "true" : "false");
	if (argc == 6) {
		gets_in_rounds(&b, runners, (unsigned)atoi(argv[5]), about);
	} else {
		distribution(&b, runners, false, about);
		distribution(&b, runners, true, about);
	}
	for (unsigned t = 0; t < THREADS_MAX; t++) {
		store_thread_unregister(runners[t].thread);
		free(runners[t].ring);
	}
	store_destroy(b.store);
	return 0;
}
