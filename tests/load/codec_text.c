/*
 * The text protocol, and through the same storage commands' words its replies: get, set, add, delete, touch.
 */
#include "tests/load/codec_parts.h"

enum { TEXT_LINE, TEXT_VALUE };

static uint8_t *
put_key(const struct items *items, uint32_t key, uint8_t *out)
{
	return out + item_key(items, key, out);
}

static uint32_t
write_get(const struct items *items, const struct codec_request *request, uint8_t *out)
{
	uint8_t *at = CODEC_PUT(out, "get ");

	at = put_key(items, request->keys[0], at);
	for (uint32_t i = 1; i < request->keys_len; i++) {
		*at++ = ' ';
		at = put_key(items, request->keys[i], at);
	}
	at = CODEC_PUT(at, "\r\n");
	return (uint32_t)(at - out);
}

static uint32_t
write_store(const struct items *items, const struct codec_request *request, uint8_t *out)
{
	uint8_t *at = request->op == LOAD_SET ? CODEC_PUT(out, "set ") : CODEC_PUT(out, "add ");

	at = put_key(items, request->keys[0], at);
	at = CODEC_PUT(at, " 0 ");
	at = codec_put_number(at, request->ttl_s);
	*at++ = ' ';
	at = codec_put_number(at, request->value_bytes);
	at = CODEC_PUT(at, "\r\n");
	return (uint32_t)(at - out);
}

static uint32_t
text_write(const struct items *items, const struct codec_request *request, uint8_t *out)
{
	uint8_t *at;

	if (request->op == LOAD_GET)
		return write_get(items, request, out);
	if (request->op == LOAD_SET || request->op == LOAD_ADD)
		return write_store(items, request, out);
	at = request->op == LOAD_DELETE ? CODEC_PUT(out, "delete ") : CODEC_PUT(out, "touch ");
	at = put_key(items, request->keys[0], at);
	if (request->op == LOAD_TOUCH) {
		*at++ = ' ';
		at = codec_put_number(at, request->ttl_s);
	}
	at = CODEC_PUT(at, "\r\n");
	return (uint32_t)(at - out);
}

/* Which of the keys not answered yet stands at `text`, followed by a space? Those before it are misses. */
static bool
match_key(struct reply_reader *reader, const struct reply_to *to, const uint8_t *text, const uint8_t *end,
    uint32_t *key_bytes, struct reply *reply)
{
	for (uint32_t i = reader->position; i < to->keys_len; i++) {
		uint32_t bytes = item_key_bytes(to->items, to->keys[i]);
		if ((uint64_t)(end - text) <= bytes || text[bytes] != ' ' ||
		    !item_key_equals(to->keys[i], text, bytes))
			continue;
		reply->misses += i - reader->position;
		reader->position = (uint16_t)(i + 1);
		*key_bytes = bytes;
		return true;
	}
	return false;
}

/* "VALUE key flags bytes\r\n". */
static bool
begin_value(struct reply_reader *reader, const struct reply_to *to, const uint8_t *line, uint32_t bytes,
    struct reply *reply)
{
	const uint8_t *at = line + 6, *end = line + bytes;
	uint32_t key_bytes = 0, flags, value_bytes;

	reader->bad_key = !match_key(reader, to, at, end, &key_bytes, reply);
	if (reader->bad_key) {
		const uint8_t *space = memchr(at, ' ', (size_t)(end - at));
		if (space == NULL)
			return false;
		key_bytes = (uint32_t)(space - at);
	}
	at += key_bytes + 1;
	if (!codec_get_number(&at, end, &flags) || at == end || *at++ != ' ' ||
	    !codec_get_number(&at, end, &value_bytes) || value_bytes > ITEMS_VALUE_MAX)
		return false;
	codec_value_begin(reader, to, reader->bad_key ? 0 : reader->position - 1u, value_bytes, 2);
	reader->mode = TEXT_VALUE;
	return true;
}

static enum reply_outcome
outcome_of(const uint8_t *line, uint32_t bytes)
{
	if (CODEC_STARTS(line, bytes, "STORED\r") || CODEC_STARTS(line, bytes, "DELETED\r") ||
	    CODEC_STARTS(line, bytes, "TOUCHED\r"))
		return REPLY_DONE;
	if (CODEC_STARTS(line, bytes, "NOT_STORED\r") || CODEC_STARTS(line, bytes, "NOT_FOUND\r") ||
	    CODEC_STARTS(line, bytes, "EXISTS\r"))
		return REPLY_NOT;
	if (CODEC_STARTS(line, bytes, "SERVER_ERROR") || CODEC_STARTS(line, bytes, "CLIENT_ERROR") ||
	    CODEC_STARTS(line, bytes, "ERROR"))
		return REPLY_ERROR;
	return REPLY_BROKEN;
}

static void
take_line(struct reply_reader *reader, const struct reply_to *to, const uint8_t *line, uint32_t bytes,
    struct reply *reply)
{
	if (to->op == LOAD_GET && CODEC_STARTS(line, bytes, "VALUE ")) {
		if (!begin_value(reader, to, line, bytes, reply))
			reply->outcome = REPLY_BROKEN;
		return;
	}
	if (to->op == LOAD_GET && CODEC_STARTS(line, bytes, "END\r")) {
		codec_finish(reader, to, reply, REPLY_DONE);
		return;
	}
	enum reply_outcome outcome = outcome_of(line, bytes);
	bool answers = to->op != LOAD_GET || outcome == REPLY_ERROR;
	codec_finish(reader, to, reply, answers ? outcome : REPLY_BROKEN);
}

/*
 * "VALUE key 0 bytes\r\n", the value, "\r\n", of a value of which every byte is right: its bytes if all of it came, with
 * `more` behind it; else 0.
 */
static inline uint32_t
whole_value(const struct items *items, uint32_t key, uint32_t floor, const uint8_t *data, uint32_t bytes,
    uint32_t more)
{
	uint64_t hash = item_hash(key);
	uint32_t key_bytes = sizes_pick(&items->key_sizes, hash);
	uint32_t value_bytes = sizes_pick(&items->value_sizes, hash >> 12);
	uint32_t number = 0, version;
	const uint8_t *at = data + 6 + key_bytes;

	/* A digit at least; the value then has more bytes than a number has digits. */
	if (value_bytes < VALUE_HEAD_BYTES || bytes < 6 + key_bytes + 3 + 1 + 2 + value_bytes + 2 + more ||
	    memcmp(data, "VALUE ", 6) != 0 || memcmp(at, " 0 ", 3) != 0 ||
	    !item_key_equals(key, data + 6, key_bytes))
		return 0;
	at += 3;
	for (uint32_t digits = 0; digits < 9 && (uint8_t)(*at - '0') <= 9; digits++)
		number = number * 10 + (uint32_t)(*at++ - '0');
	at += 2;
	if (number != value_bytes || (uint32_t)(data + bytes - at) < value_bytes + 2 + more ||
	    memcmp(at - 2, "\r\n", 2) != 0 || memcmp(at + value_bytes, "\r\n", 2) != 0 ||
	    !value_whole(hash, value_bytes, at, &version) ||
	    item_judge(items, key, floor, version) != ITEM_RIGHT)
		return 0;
	return (uint32_t)(at - data) + value_bytes + 2;
}

/* The next values of a get that lie whole in the piece, one a key and nothing left out. Others have to be read. */
static void
take_whole_values(
    struct reply_reader *reader, const struct reply_to *to, struct piece *piece, struct reply *reply)
{
	while (reader->position < to->keys_len) {
		uint32_t taken = whole_value(to->items, to->keys[reader->position],
		    to->floors[reader->position], piece->at, piece_left(piece), 0);
		if (taken == 0)
			return;
		piece->at += taken;
		reader->position++;
		reply->hits++;
	}
}

static uint32_t
text_read(struct reply_reader *reader, const struct reply_to *to, const uint8_t *data, uint32_t bytes,
    struct reply *reply)
{
	struct piece piece = {.at = data, .end = data + bytes};

	reply->outcome = REPLY_MORE;
	while (reply->outcome == REPLY_MORE && piece.at < piece.end) {
		uint32_t line_bytes;
		if (reader->mode == TEXT_VALUE) {
			if (codec_value_take(reader, to, &piece, reply))
				reader->mode = TEXT_LINE;
			continue;
		}
		if (to->op == LOAD_GET && reader->carry_bytes == 0)
			take_whole_values(reader, to, &piece, reply);
		const uint8_t *line = codec_line(reader, &piece, &line_bytes, reply);
		if (line != NULL)
			take_line(reader, to, line, line_bytes, reply);
	}
	return (uint32_t)(piece.at - data);
}

/* That and "END\r\n". */
static uint32_t
text_read_hit(const struct items *items, uint32_t key, uint32_t floor, const uint8_t *data, uint32_t bytes)
{
	uint32_t taken = whole_value(items, key, floor, data, bytes, 5);

	return taken > 0 && memcmp(data + taken, "END\r\n", 5) == 0 ? taken + 5 : 0;
}

const struct codec codec_text = {
    .name = "text",
    .trailer_bytes = 2,
    .write = text_write,
    .key_overhead = 1,
    .read = text_read,
    .read_hit = text_read_hit,
};
