/*
 * The meta commands: mg, ms, md. A get of several keys is as many mg, answered one by one.
 */
#include "tests/load/codec_parts.h"

enum { META_LINE, META_VALUE };

static uint8_t *
put_command(const struct items *items, const char *command, uint32_t key, uint8_t *out)
{
	uint8_t *at = codec_put(out, command, 3);

	return at + item_key(items, key, at);
}

static uint32_t
meta_write(const struct items *items, const struct codec_request *request, uint8_t *out)
{
	uint8_t *at = out;

	switch (request->op) {
	case LOAD_GET:
		for (uint32_t i = 0; i < request->keys_len; i++) {
			at = put_command(items, "mg ", request->keys[i], at);
			at = CODEC_PUT(at, " v\r\n");
		}
		return (uint32_t)(at - out);
	case LOAD_DELETE:
		at = put_command(items, "md ", request->keys[0], at);
		break;
	case LOAD_TOUCH:
		at = put_command(items, "mg ", request->keys[0], at);
		at = CODEC_PUT(at, " T");
		at = codec_put_number(at, request->ttl_s);
		break;
	default:
		at = put_command(items, "ms ", request->keys[0], at);
		*at++ = ' ';
		at = codec_put_number(at, request->value_bytes);
		at = CODEC_PUT(at, " T");
		at = codec_put_number(at, request->ttl_s);
		if (request->op == LOAD_ADD)
			at = CODEC_PUT(at, " ME");
	}
	at = CODEC_PUT(at, "\r\n");
	return (uint32_t)(at - out);
}

/* One of the get command's answers is complete; was it the last? */
static void
step(struct reply_reader *reader, const struct reply_to *to, struct reply *reply)
{
	reader->mode = META_LINE;
	if (++reader->position == to->keys_len)
		codec_finish(reader, to, reply, REPLY_DONE);
}

static void
take_get_line(struct reply_reader *reader, const struct reply_to *to, const uint8_t *line, uint32_t bytes,
    struct reply *reply)
{
	const uint8_t *at = line + 3;
	uint32_t value_bytes;

	if (CODEC_STARTS(line, bytes, "EN\r")) {
		reply->misses++;
		step(reader, to, reply);
	} else if (CODEC_STARTS(line, bytes, "VA ") && codec_get_number(&at, line + bytes, &value_bytes) &&
	           value_bytes <= ITEMS_VALUE_MAX) {
		codec_value_begin(reader, to, reader->position, value_bytes, 2);
		reader->mode = META_VALUE;
	} else {
		reply->outcome = REPLY_BROKEN;
	}
}

static void
take_line(struct reply_reader *reader, const struct reply_to *to, const uint8_t *line, uint32_t bytes,
    struct reply *reply)
{
	if (CODEC_STARTS(line, bytes, "SERVER_ERROR") || CODEC_STARTS(line, bytes, "CLIENT_ERROR") ||
	    CODEC_STARTS(line, bytes, "ERROR"))
		codec_finish(reader, to, reply, to->keys_len == 1 ? REPLY_ERROR : REPLY_BROKEN);
	else if (to->op == LOAD_GET)
		take_get_line(reader, to, line, bytes, reply);
	else if (CODEC_STARTS(line, bytes, "HD"))
		codec_finish(reader, to, reply, REPLY_DONE);
	else if (CODEC_STARTS(line, bytes, "NS") || CODEC_STARTS(line, bytes, "NF") ||
	         CODEC_STARTS(line, bytes, "EN") || CODEC_STARTS(line, bytes, "EX"))
		codec_finish(reader, to, reply, REPLY_NOT);
	else
		reply->outcome = REPLY_BROKEN;
}

static uint32_t
meta_read(struct reply_reader *reader, const struct reply_to *to, const uint8_t *data, uint32_t bytes,
    struct reply *reply)
{
	struct piece piece = {.at = data, .end = data + bytes};

	reply->outcome = REPLY_MORE;
	while (reply->outcome == REPLY_MORE && piece.at < piece.end) {
		uint32_t line_bytes;
		if (reader->mode == META_VALUE) {
			if (codec_value_take(reader, to, &piece, reply))
				step(reader, to, reply);
			continue;
		}
		const uint8_t *line = codec_line(reader, &piece, &line_bytes, reply);
		if (line != NULL)
			take_line(reader, to, line, line_bytes, reply);
	}
	return (uint32_t)(piece.at - data);
}

const struct codec codec_meta = {
    .name = "meta",
    .trailer_bytes = 2,
    .write = meta_write,
    .key_overhead = 7,
    .read = meta_read,
};
