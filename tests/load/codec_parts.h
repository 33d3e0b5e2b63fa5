/*
 * What all codecs need: numbers, lines and headers out of cut pieces, values. Inline, as it is the way of every reply.
 */
#ifndef WIRECACHE_LOAD_CODEC_PARTS_H
#define WIRECACHE_LOAD_CODEC_PARTS_H

#include "tests/load/codec.h"

/* A piece as it is consumed. */
struct piece {
	const uint8_t *at;
	const uint8_t *end;
};

static inline uint32_t
piece_left(const struct piece *piece)
{
	return (uint32_t)(piece->end - piece->at);
}

uint8_t *codec_put_number(uint8_t *out, uint32_t number);

static inline uint8_t *
codec_put(uint8_t *out, const char *text, uint32_t bytes)
{
	memcpy(out, text, bytes);
	return out + bytes;
}

/* A literal, without its zero. */
#define CODEC_PUT(out, literal) codec_put(out, literal, sizeof(literal) - 1)

static inline bool
codec_starts(const uint8_t *line, uint32_t bytes, const char *text, uint32_t text_bytes)
{
	return bytes >= text_bytes && memcmp(line, text, text_bytes) == 0;
}

#define CODEC_STARTS(line, bytes, literal) codec_starts(line, bytes, literal, sizeof(literal) - 1)

/* Digits from *at on, at least one and below 2^32; steps over them. */
bool codec_get_number(const uint8_t **at, const uint8_t *end, uint32_t *number);

/* Cold ways of the two below: the piece ends in the middle. NULL: more is needed, or outcome is REPLY_BROKEN. */
const uint8_t *codec_carry_line(
    struct reply_reader *reader, struct piece *piece, uint32_t *bytes, struct reply *reply);
const uint8_t *codec_carry_bytes(
    struct reply_reader *reader, struct piece *piece, uint32_t wanted, struct reply *reply);

/* The next line with its '\n', in the piece or, if it was cut, in the carry, valid until the next call. */
static inline const uint8_t *
codec_line(struct reply_reader *reader, struct piece *piece, uint32_t *bytes, struct reply *reply)
{
	uint32_t left = piece_left(piece);

	if (__builtin_expect(reader->carry_bytes == 0, 1) && left > 0) {
		const uint8_t *line = piece->at;
		const uint8_t *newline = memchr(line, '\n', left < CODEC_LINE_MAX ? left : CODEC_LINE_MAX);
		if (__builtin_expect(newline != NULL, 1)) {
			piece->at = newline + 1;
			*bytes = (uint32_t)(newline + 1 - line);
			return line;
		}
	}
	return codec_carry_line(reader, piece, bytes, reply);
}

/* The next `wanted` bytes, at most CODEC_LINE_MAX. */
static inline const uint8_t *
codec_bytes(struct reply_reader *reader, struct piece *piece, uint32_t wanted, struct reply *reply)
{
	if (__builtin_expect(reader->carry_bytes == 0 && piece_left(piece) >= wanted, 1)) {
		const uint8_t *bytes = piece->at;
		piece->at += wanted;
		return bytes;
	}
	return codec_carry_bytes(reader, piece, wanted, reply);
}

/* The value of the get command's key at `index` begins: that many bytes, followed by `trailer` ones. */
static inline void
codec_value_begin(
    struct reply_reader *reader, const struct reply_to *to, uint32_t index, uint32_t bytes, uint32_t trailer)
{
	reader->key = to->keys[index];
	reader->floor = to->floors[index];
	value_check_begin(&reader->check, item_hash(reader->key), bytes);
	reader->check.right = bytes == item_value_bytes(to->items, reader->key) || to->compare_bytes == 0;
	reader->left = bytes + trailer;
}

/* Takes what came of the value. True when it and its trailer are complete: judged and counted then. */
bool codec_value_take(
    struct reply_reader *reader, const struct reply_to *to, struct piece *piece, struct reply *reply);

/* The reply is complete. */
static inline void
codec_finish(
    struct reply_reader *reader, const struct reply_to *to, struct reply *reply, enum reply_outcome outcome)
{
	if (to->op == LOAD_GET && outcome == REPLY_DONE)
		reply->misses += to->keys_len - reader->position;
	reader->position = 0;
	reader->mode = 0;
	reply->outcome = outcome;
}

#endif
