/*
 * Reading traces. See trace.h. zstd runs as a program, so that the benchmark needs no library for it.
 */
#include "tests/bench/hit/trace.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define LINE_MAX_BYTES 1024u
#define FIELDS         6u
#define HEX_DIGITS     8u

/* Growing arrays of a load; `slots` finds a key's number by its text. */
struct load {
	struct trace *trace;
	const char *path;
	uint32_t rows_room, keys_room, slots_len;
	size_t text_len, text_room;
	uint32_t *slots;
};

static void *
grown(void *array, size_t bytes)
{
	array = realloc(array, bytes);
	if (!array) {
		fprintf(stderr, "hit_replay: out of memory\n");
		exit(1);
	}
	return array;
}

static uint64_t
text_hash(const char *text, size_t len)
{
	uint64_t hash = 14695981039346656037ull;
	for (size_t i = 0; i < len; i++)
		hash = (hash ^ (uint8_t)text[i]) * 1099511628211ull;
	return hash ^ hash >> 29;
}

/* The slot of a text: of its key, or an empty one. */
static uint32_t *
slot_of(struct load *load, const char *text, size_t len)
{
	const struct trace *trace = load->trace;
	uint32_t at = (uint32_t)text_hash(text, len) & (load->slots_len - 1);

	for (;; at = (at + 1) & (load->slots_len - 1)) {
		uint32_t *slot = &load->slots[at];
		if (*slot == ROW_NONE)
			return slot;
		const struct trace_key *key = &trace->keys[*slot];
		if (key->text_len == len && memcmp(trace->text + key->at, text, len) == 0)
			return slot;
	}
}

static void
slots_grow(struct load *load)
{
	const struct trace *trace = load->trace;

	load->slots_len = load->slots_len ? 2 * load->slots_len : 1u << 17;
	load->slots = grown(load->slots, load->slots_len * sizeof(*load->slots));
	memset(load->slots, 0xff, load->slots_len * sizeof(*load->slots));
	for (uint32_t i = 0; i < trace->keys_len; i++)
		*slot_of(load, trace->text + trace->keys[i].at, trace->keys[i].text_len) = i;
}

static uint32_t
key_number(struct load *load, const char *text, size_t len, uint32_t bytes)
{
	struct trace *trace = load->trace;

	if (2 * trace->keys_len >= load->slots_len)
		slots_grow(load);
	uint32_t *slot = slot_of(load, text, len);
	if (*slot != ROW_NONE)
		return *slot;
	if (trace->keys_len == load->keys_room) {
		load->keys_room = load->keys_room ? 2 * load->keys_room : 1u << 16;
		trace->keys = grown(trace->keys, load->keys_room * sizeof(*trace->keys));
	}
	if (load->text_len + len > load->text_room) {
		load->text_room = 2 * (load->text_len + len) + (1u << 20);
		trace->text = grown(trace->text, load->text_room);
	}
	memcpy(trace->text + load->text_len, text, len);
	bytes = bytes < len ? (uint32_t)len : bytes > TRACE_KEY_MAX ? TRACE_KEY_MAX : bytes;
	trace->keys[trace->keys_len] = (struct trace_key){
	    .at = (uint32_t)load->text_len, .text_len = (uint16_t)len, .bytes = (uint16_t)bytes};
	load->text_len += len;
	*slot = trace->keys_len;
	return trace->keys_len++;
}

static _Noreturn void
load_fail(const struct load *load, const char *why)
{
	fprintf(stderr, "hit_replay: %s, row %u: %s\n", load->path, load->trace->rows_len + 1, why);
	exit(1);
}

/* Cuts a line at its commas. */
static void
line_cut(const struct load *load, char *line, char *field[FIELDS])
{
	line[strcspn(line, "\r\n")] = '\0';
	for (unsigned i = 0; i < FIELDS; i++) {
		field[i] = line;
		line += strcspn(line, ",");
		if (i + 1 < FIELDS && *line == '\0')
			load_fail(load, "has fewer than six fields");
		if (*line)
			*line++ = '\0';
	}
}

static void
row_add(struct load *load, char *line)
{
	static const char *const names[] = {[ROW_GET] = "get", [ROW_SET] = "set", [ROW_DELETE] = "delete"};
	struct trace *trace = load->trace;
	char *field[FIELDS];
	unsigned op = 0;

	line_cut(load, line, field);
	size_t len = strlen(field[1]);
	if (len == 0 || len > TRACE_KEY_MAX)
		load_fail(load, "a key has 1 to 250 bytes");
	while (op <= ROW_DELETE && strcmp(field[4], names[op]) != 0)
		op++;
	if (op > ROW_DELETE)
		load_fail(load, "the operation is none of get, set, delete");
	unsigned long value_bytes = strtoul(field[3], NULL, 10);
	if (value_bytes > TRACE_VALUE_MAX)
		load_fail(load, "the value is larger than 64 MiB");
	if (trace->rows_len == load->rows_room) {
		load->rows_room = load->rows_room ? 2 * load->rows_room : 1u << 20;
		trace->rows = grown(trace->rows, load->rows_room * sizeof(*trace->rows));
	}
	trace->rows[trace->rows_len++] = (struct row){.time_s = (uint32_t)strtod(field[0], NULL),
	    .key = key_number(load, field[1], len, (uint32_t)strtoul(field[2], NULL, 10)),
	    .value_bytes = (uint32_t)value_bytes,
	    .ttl_s = (uint32_t)strtod(field[5], NULL),
	    .op = (enum row_op)op};
}

/* The file as it is, or what zstd makes of it. */
static FILE *
trace_open(const char *path, pid_t *zstd)
{
	int ends[2];

	*zstd = -1;
	if (access(path, R_OK) != 0) {
		fprintf(stderr, "hit_replay: there is no trace %s\n", path);
		exit(1);
	}
	size_t len = strlen(path);
	if (len < 4 || strcmp(path + len - 4, ".zst") != 0)
		return fopen(path, "r");
	if (pipe(ends) != 0 || (*zstd = fork()) < 0)
		return NULL;
	if (*zstd == 0) {
		dup2(ends[1], STDOUT_FILENO);
		close(ends[0]);
		close(ends[1]);
		execlp("zstd", "zstd", "-dcq", "--", path, (char *)NULL);
		_exit(127);
	}
	close(ends[1]);
	return fdopen(ends[0], "r");
}

void
trace_load(struct trace *trace, const char *path, uint32_t rows_max)
{
	struct load load = {.trace = trace, .path = path};
	char line[LINE_MAX_BYTES];
	pid_t zstd;
	int status = 0;
	FILE *file = trace_open(path, &zstd);

	memset(trace, 0, sizeof(*trace));
	if (!file || !fgets(line, sizeof(line), file) ||
	    strncmp(line, "time,key,key_size,value_size,op,ttl", 35) != 0)
		load_fail(&load, "is not a trace: the header time,key,key_size,value_size,op,ttl is missing");
	while (trace->rows_len < rows_max && fgets(line, sizeof(line), file))
		row_add(&load, line);
	fclose(file);
	free(load.slots);
	if (zstd > 0 && waitpid(zstd, &status, 0) == zstd && status != 0 && trace->rows_len < rows_max)
		load_fail(&load, "zstd could not read on");
}

void
trace_fill(struct trace *trace, uint32_t keys, uint32_t key_bytes, uint32_t value_bytes)
{
	char digits[HEX_DIGITS + 1];

	trace->rows_len = trace->keys_len = keys;
	trace->rows = grown(NULL, keys * sizeof(*trace->rows));
	trace->keys = grown(NULL, keys * sizeof(*trace->keys));
	trace->text = grown(NULL, (size_t)keys * HEX_DIGITS);
	for (uint32_t i = 0; i < keys; i++) {
		snprintf(digits, sizeof(digits), "%0*x", (int)HEX_DIGITS, i);
		memcpy(trace->text + (size_t)i * HEX_DIGITS, digits, HEX_DIGITS);
		trace->keys[i] = (struct trace_key){
		    .at = i * HEX_DIGITS, .text_len = HEX_DIGITS, .bytes = (uint16_t)key_bytes};
		trace->rows[i] = (struct row){.key = i, .value_bytes = value_bytes, .op = ROW_SET};
	}
}

void
trace_free(struct trace *trace)
{
	free(trace->rows);
	free(trace->keys);
	free(trace->text);
}

uint32_t
trace_key_write(const struct trace *trace, uint32_t key, char to[TRACE_KEY_MAX])
{
	const struct trace_key *about = &trace->keys[key];

	memcpy(to, trace->text + about->at, about->text_len);
	memset(to + about->text_len, '_', (size_t)(about->bytes - about->text_len));
	return about->bytes;
}
