/*
 * The common parts of the codecs, see codec_parts.h.
 */
#include "tests/load/codec.h"

#include <stdlib.h>

#include "tests/load/codec_parts.h"

uint8_t *
codec_put_number(uint8_t *out, uint32_t number)
{
	uint8_t digits[10];
	uint32_t len = 0;

	do {
		digits[len++] = (uint8_t)('0' + number % 10);
		number /= 10;
	} while (number != 0);
	while (len > 0)
		*out++ = digits[--len];
	return out;
}

bool
codec_get_number(const uint8_t **at, const uint8_t *end, uint32_t *number)
{
	const uint8_t *from = *at;
	uint64_t value = 0;

	for (; *at < end && (uint8_t)(**at - '0') <= 9 && *at - from < 11; (*at)++)
		value = value * 10 + (uint64_t)(**at - '0');
	*number = (uint32_t)value;
	return *at > from && value <= UINT32_MAX;
}

void
reply_reader_reset(struct reply_reader *reader)
{
	free(reader->carry);
	*reader = (struct reply_reader){0};
}

/* Moves bytes from the piece to the carry. False: too much, or no memory. */
static bool
carry(struct reply_reader *reader, struct piece *piece, uint32_t bytes)
{
	if (reader->carry_bytes + bytes > CODEC_LINE_MAX)
		return false;
	if (reader->carry == NULL)
		reader->carry = malloc(CODEC_LINE_MAX);
	if (reader->carry == NULL)
		return false;
	memcpy(reader->carry + reader->carry_bytes, piece->at, bytes);
	reader->carry_bytes = (uint16_t)(reader->carry_bytes + bytes);
	piece->at += bytes;
	return true;
}

/* The carry is a whole line or header: it stays in memory until the next, but counts as empty. */
static const uint8_t *
carried(struct reply_reader *reader)
{
	reader->carry_bytes = 0;
	return reader->carry;
}

__attribute__((noinline)) const uint8_t *
codec_carry_line(struct reply_reader *reader, struct piece *piece, uint32_t *bytes, struct reply *reply)
{
	uint32_t left = piece_left(piece);
	const uint8_t *newline = left > 0 ? memchr(piece->at, '\n', left) : NULL;

	if (!carry(reader, piece, newline != NULL ? (uint32_t)(newline + 1 - piece->at) : left)) {
		reply->outcome = REPLY_BROKEN;
		return NULL;
	}
	if (newline == NULL)
		return NULL;
	*bytes = reader->carry_bytes;
	return carried(reader);
}

__attribute__((noinline)) const uint8_t *
codec_carry_bytes(struct reply_reader *reader, struct piece *piece, uint32_t wanted, struct reply *reply)
{
	uint32_t missing = wanted - reader->carry_bytes, left = piece_left(piece);

	if (left == 0)
		return NULL;
	if (!carry(reader, piece, left < missing ? left : missing)) {
		reply->outcome = REPLY_BROKEN;
		return NULL;
	}
	return left < missing ? NULL : carried(reader);
}

/* A whole value came: is it one that this get may see? */
static void
judge(const struct reply_reader *reader, const struct reply_to *to, struct reply *reply)
{
	enum item_verdict verdict = ITEM_RIGHT;

	reply->hits++;
	if (!reader->check.right || reader->bad_key)
		verdict = ITEM_WRONG;
	else if (to->compare_bytes > 0 && reader->check.total >= VALUE_VERSIONED_BYTES)
		verdict =
		    item_judge(to->items, reader->key, reader->floor, value_check_version(&reader->check));
	reply->wrong += verdict == ITEM_WRONG;
	reply->stale += verdict == ITEM_STALE;
}

bool
codec_value_take(
    struct reply_reader *reader, const struct reply_to *to, struct piece *piece, struct reply *reply)
{
	uint32_t len = piece_left(piece) < reader->left ? piece_left(piece) : reader->left;
	uint32_t missing = reader->check.total - reader->check.done;

	if (len > 0 && missing > 0)
		value_check_feed(&reader->check, piece->at, len < missing ? len : missing, to->compare_bytes);
	piece->at += len;
	reader->left -= len;
	if (reader->left > 0)
		return false;
	judge(reader, to, reply);
	return true;
}
