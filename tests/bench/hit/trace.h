/*
 * A request trace in memory: rows of CSV below a header line, `time,key,key_size,value_size,op,ttl`, plain or
 * compressed by zstd. Keys get numbers, so that simulators index arrays, and bytes of the size that the trace states.
 */
#ifndef WIRECACHE_BENCH_HIT_TRACE_H
#define WIRECACHE_BENCH_HIT_TRACE_H

#include <stdint.h>

#define TRACE_KEY_MAX   250u
#define TRACE_VALUE_MAX (64u << 20)
#define ROW_NONE        UINT32_MAX

enum row_op { ROW_GET, ROW_SET, ROW_DELETE };

struct row {
	uint32_t time_s;
	uint32_t key; /* 0..keys_len - 1 */
	uint32_t value_bytes;
	uint32_t ttl_s; /* 0: never expires */
	enum row_op op;
};

struct trace_key {
	uint32_t at; /* in struct trace.text */
	uint16_t text_len;
	uint16_t bytes; /* of the key on the wire, at most TRACE_KEY_MAX */
};

struct trace {
	struct row *rows;
	uint32_t rows_len;
	struct trace_key *keys;
	uint32_t keys_len;
	char *text;
};

/* Reads at most rows_max rows; ends the program with a sentence when the file is missing or no trace. */
void trace_load(struct trace *trace, const char *path, uint32_t rows_max);

/* Instead of a file: each of so many keys is set once. */
void trace_fill(struct trace *trace, uint32_t keys, uint32_t key_bytes, uint32_t value_bytes);

void trace_free(struct trace *trace);

/* Writes the key's bytes, returns how many: the text of the trace, padded to its size. */
uint32_t trace_key_write(const struct trace *trace, uint32_t key, char to[TRACE_KEY_MAX]);

/* What a cached item holds for its user. */
static inline uint64_t
row_bytes(const struct trace *trace, const struct row *row)
{
	return (uint64_t)trace->keys[row->key].bytes + row->value_bytes;
}

#endif
