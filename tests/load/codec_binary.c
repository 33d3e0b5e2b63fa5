/*
 * The binary protocol. A get of several keys is quiet gets, numbered by their opaque, with a no-op that ends them.
 *
 * Source: memcached doc/protocol-binary.xml.
 */
#include "tests/load/codec_parts.h"

enum { BINARY_HEADER, BINARY_EXTRAS, BINARY_VALUE, BINARY_SKIP_HIT, BINARY_SKIP_END };

enum {
	OPCODE_GET = 0x00,
	OPCODE_SET = 0x01,
	OPCODE_ADD = 0x02,
	OPCODE_DELETE = 0x04,
	OPCODE_GETQ = 0x09,
	OPCODE_NOOP = 0x0a,
	OPCODE_TOUCH = 0x1c,
};

enum { STATUS_OK = 0, STATUS_NOT_FOUND = 1, STATUS_EXISTS = 2, STATUS_NOT_STORED = 5 };

#define HEADER_BYTES   24u
#define GET_EXTRAS     4u
#define MAGIC_REQUEST  0x80u
#define MAGIC_RESPONSE 0x81u

static void
put_u32(uint8_t *out, uint32_t number)
{
	number = __builtin_bswap32(number);
	memcpy(out, &number, sizeof(number));
}

static uint32_t
get_u32(const uint8_t *at)
{
	uint32_t number;

	memcpy(&number, at, sizeof(number));
	return __builtin_bswap32(number);
}

static uint32_t
get_u16(const uint8_t *at)
{
	return (uint32_t)at[0] << 8 | at[1];
}

/* Header, extras (two words of which the first is zero for a store) and key. Returns behind the key. */
static uint8_t *
put_head(const struct items *items, uint8_t *out, uint8_t opcode, uint32_t extras, uint32_t ttl_s,
    uint32_t key, uint32_t value_bytes, uint32_t opaque)
{
	uint32_t key_bytes = item_key(items, key, out + HEADER_BYTES + extras);

	memset(out, 0, HEADER_BYTES + extras);
	out[0] = MAGIC_REQUEST;
	out[1] = opcode;
	out[2] = (uint8_t)(key_bytes >> 8);
	out[3] = (uint8_t)key_bytes;
	out[4] = (uint8_t)extras;
	put_u32(out + 8, extras + key_bytes + value_bytes);
	put_u32(out + 12, opaque);
	if (extras > 0)
		put_u32(out + HEADER_BYTES + extras - 4, ttl_s);
	return out + HEADER_BYTES + extras + key_bytes;
}

static uint32_t
write_multiget(const struct items *items, const struct codec_request *request, uint8_t *out)
{
	uint8_t *at = out;

	for (uint32_t i = 0; i < request->keys_len; i++)
		at = put_head(items, at, OPCODE_GETQ, 0, 0, request->keys[i], 0, i);
	memset(at, 0, HEADER_BYTES);
	at[0] = MAGIC_REQUEST;
	at[1] = OPCODE_NOOP;
	put_u32(at + 12, request->opaque);
	return (uint32_t)(at + HEADER_BYTES - out);
}

static uint32_t
binary_write(const struct items *items, const struct codec_request *request, uint8_t *out)
{
	static const struct {
		uint8_t opcode, extras;
	} commands[LOAD_OPS] = {
	    [LOAD_GET] = {OPCODE_GET, 0},
	    [LOAD_SET] = {OPCODE_SET, 8},
	    [LOAD_ADD] = {OPCODE_ADD, 8},
	    [LOAD_DELETE] = {OPCODE_DELETE, 0},
	    [LOAD_TOUCH] = {OPCODE_TOUCH, 4},
	};

	if (request->keys_len > 1)
		return write_multiget(items, request, out);
	return (uint32_t)(put_head(items, out, commands[request->op].opcode, commands[request->op].extras,
	                      request->ttl_s, request->keys[0], request->value_bytes, request->opaque) -
	                  out);
}

/* A header with its body's length in reader->left: what does it mean for this get or change? */
static void
take_header(
    struct reply_reader *reader, const struct reply_to *to, const uint8_t *header, struct reply *reply)
{
	uint32_t status = get_u16(header + 6), body = get_u32(header + 8), opaque = get_u32(header + 12);
	bool multi = to->keys_len > 1, quiet = header[1] == OPCODE_GETQ;
	bool value = to->op == LOAD_GET && status == STATUS_OK && header[1] != OPCODE_NOOP;

	reader->left = body;
	if (header[0] != MAGIC_RESPONSE || body > ITEMS_VALUE_MAX || (!quiet && opaque != to->opaque) ||
	    (value && (header[4] != GET_EXTRAS || get_u16(header + 2) != 0 || body < GET_EXTRAS))) {
		reply->outcome = REPLY_BROKEN;
		return;
	}
	if (!value) {
		reader->mode = quiet ? BINARY_SKIP_HIT : BINARY_SKIP_END;
		reader->key = status; /* which is the outcome once the body is skipped */
		return;
	}
	uint32_t position = multi ? opaque : 0;
	if (position < reader->position || position >= to->keys_len || multi != quiet) {
		reply->outcome = REPLY_BROKEN;
		return;
	}
	reply->misses += position - reader->position;
	reader->position = (uint16_t)(position + 1);
	reader->mode = BINARY_EXTRAS;
}

static void
finish(struct reply_reader *reader, const struct reply_to *to, struct reply *reply)
{
	uint32_t status = reader->key;

	if (status == STATUS_OK || (to->op == LOAD_GET && status == STATUS_NOT_FOUND))
		codec_finish(reader, to, reply, REPLY_DONE);
	else if (status == STATUS_NOT_FOUND || status == STATUS_EXISTS || status == STATUS_NOT_STORED)
		codec_finish(reader, to, reply, REPLY_NOT);
	else
		codec_finish(reader, to, reply, REPLY_ERROR);
}

/* Steps over a body that says nothing. True when it is over. */
static bool
skip(struct reply_reader *reader, struct piece *piece)
{
	uint32_t len = piece_left(piece) < reader->left ? piece_left(piece) : reader->left;

	piece->at += len;
	reader->left -= len;
	return reader->left == 0;
}

/* One step of the reply. False: the piece has nothing more to give. */
static bool
advance(struct reply_reader *reader, const struct reply_to *to, struct piece *piece, struct reply *reply)
{
	const uint8_t *bytes;

	switch (reader->mode) {
	case BINARY_HEADER:
		if ((bytes = codec_bytes(reader, piece, HEADER_BYTES, reply)) == NULL)
			return false;
		take_header(reader, to, bytes, reply);
		return true;
	case BINARY_EXTRAS:
		if (codec_bytes(reader, piece, GET_EXTRAS, reply) == NULL)
			return false;
		codec_value_begin(reader, to, reader->position - 1u, reader->left - GET_EXTRAS, 0);
		reader->mode = BINARY_VALUE;
		return true;
	case BINARY_VALUE:
		if (!codec_value_take(reader, to, piece, reply))
			return false;
		reader->mode = BINARY_HEADER;
		if (to->keys_len == 1)
			codec_finish(reader, to, reply, REPLY_DONE);
		return true;
	default:
		if (!skip(reader, piece))
			return false;
		if (reader->mode == BINARY_SKIP_HIT)
			reader->mode = BINARY_HEADER;
		else
			finish(reader, to, reply);
		return true;
	}
}

static uint32_t
binary_read(struct reply_reader *reader, const struct reply_to *to, const uint8_t *data, uint32_t bytes,
    struct reply *reply)
{
	struct piece piece = {.at = data, .end = data + bytes};

	reply->outcome = REPLY_MORE;
	while (reply->outcome == REPLY_MORE && advance(reader, to, &piece, reply))
		;
	return (uint32_t)(piece.at - data);
}

const struct codec codec_binary = {
    .name = "binary",
    .trailer_bytes = 0,
    .write = binary_write,
    .key_overhead = HEADER_BYTES,
    .read = binary_read,
};
