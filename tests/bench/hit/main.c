/*
 * Replays one trace through caches of several sizes, and prints one line of JSON a cell. Or fills caches with items of
 * one size, half as many again as fit without any overhead, and prints how many were kept.
 *
 * usage: hit_replay TRACE MB[,MB...] WHO[,WHO...] [ROWS]
 *        hit_replay --fill KEY_BYTES VALUE_BYTES MB        (keys of 8 bytes and more)
 */
#include "tests/bench/hit/replay.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FILL_ITEM_BYTES 24u

static const struct replayer {
	const char *name;
	replay_fn *replay;
} replayers[] = {
    {"wirecache", replay_wirecache},
    {"memcached", replay_memcached},
    {"memcached-real-clock", replay_memcached_real_clock},
    {"lru", replay_lru},
    {"s3-fifo", replay_s3fifo},
    {"belady", replay_belady},
};

static const struct replayer *
replayer_find(const char *name)
{
	for (size_t i = 0; i < sizeof(replayers) / sizeof(replayers[0]); i++)
		if (strcmp(replayers[i].name, name) == 0)
			return &replayers[i];
	fprintf(stderr, "hit_replay: nobody is called %s\n", name);
	exit(2);
}

/* The trace's name: its file's up to the first dot. */
static void
print_cell(const char *path, unsigned long mb, const char *who, const struct hit_count *count)
{
	const char *name = strrchr(path, '/') ? strrchr(path, '/') + 1 : path;
	double gets = count->gets ? (double)count->gets : 1, bytes = count->bytes ? (double)count->bytes : 1;

	printf("{\"trace\": \"%.*s\", \"mb\": %lu, \"who\": \"%s\", \"miss\": %.5f, \"byte_miss\": %.5f}\n",
	    (int)strcspn(name, "."), name, mb, who, (double)count->misses / gets,
	    (double)count->missed_bytes / bytes);
	fflush(stdout);
}

static void
replay_cell(const struct trace *trace, const char *path, const char *mb, const char *who)
{
	struct hit_count count = {0};
	unsigned long megabytes = strtoul(mb, NULL, 10);

	replayer_find(who)->replay(trace, megabytes << 20, &count);
	print_cell(path, megabytes, who, &count);
}

static int
fill(uint32_t key_bytes, uint32_t value_bytes, unsigned long megabytes)
{
	static const char *const names[] = {"wirecache", "memcached-real-clock"};
	/* An item takes more than FILL_ITEM_BYTES beside what it holds, at either. */
	uint64_t keys = (megabytes << 20) * 3 / 2 / (key_bytes + value_bytes + FILL_ITEM_BYTES);
	struct trace trace;

	trace_fill(&trace, (uint32_t)keys, key_bytes, value_bytes);
	printf("{\"mb\": %lu, \"key_bytes\": %u, \"value_bytes\": %u", megabytes, key_bytes, value_bytes);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		struct hit_count count = {0};
		replayer_find(names[i])->replay(&trace, megabytes << 20, &count);
		printf(", \"%.9s\": %llu", names[i], (unsigned long long)count.items);
	}
	printf("}\n");
	trace_free(&trace);
	return 0;
}

int
main(int argc, char **argv)
{
	struct trace trace;
	char *sizes_left, *names_left;

	if (argc == 5 && strcmp(argv[1], "--fill") == 0 && strtoul(argv[2], NULL, 10) >= 8)
		return fill((uint32_t)strtoul(argv[2], NULL, 10), (uint32_t)strtoul(argv[3], NULL, 10),
		    strtoul(argv[4], NULL, 10));
	if (argc < 4 || argc > 5 || argv[1][0] == '-') {
		fprintf(stderr, "usage: hit_replay TRACE MB[,MB...] WHO[,WHO...] [ROWS]\n"
		                "       hit_replay --fill KEY_BYTES VALUE_BYTES MB\n");
		return 2;
	}
	trace_load(&trace, argv[1], argc == 5 ? (uint32_t)strtoul(argv[4], NULL, 10) : UINT32_MAX);
	for (char *mb = strtok_r(argv[2], ",", &sizes_left); mb; mb = strtok_r(NULL, ",", &sizes_left)) {
		char *names = strdup(argv[3]);
		for (char *who = strtok_r(names, ",", &names_left); who;
		     who = strtok_r(NULL, ",", &names_left))
			replay_cell(&trace, argv[1], mb, who);
		free(names);
	}
	trace_free(&trace);
	return 0;
}
