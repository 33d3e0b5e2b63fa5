/*
 * One line of the text protocol into a request: splits it at spaces, finds the command in the table made from
 * commands.def, and reads the arguments after the command's shape.
 *
 * The order of the checks is memcached 1.6.45's, because the first failure chooses the reply: the number of
 * arguments, the length of the data block, "noreply", the key, then the other numbers. From the point where
 * the length is known an error no longer means that the block is left in the stream: has_value tells the
 * caller to swallow it.
 */
#include "dataplane/proto/request.h"

#include <string.h>

enum proto_shape {
	SHAPE_KEYS,       /* get */
	SHAPE_TOUCH_KEYS, /* gat */
	SHAPE_STORE,      /* set, cas: a data block follows */
	SHAPE_DELETE,
	SHAPE_DELTA,
	SHAPE_TOUCH,
	SHAPE_FLUSH,
	SHAPE_ADMIN,       /* tokens only; noreply is a word like others */
	SHAPE_ADMIN_QUIET, /* tokens only, noreply known */
	SHAPE_META,
	SHAPE_META_STORE,
};

#define WORD_MAX  16u
#define WORD_HEAD 8u /* what is compared first, and enough for the frequent ones */

/* Words are zero padded, so that they can be compared in pieces of eight bytes. */
static const struct command_entry {
	char word[WORD_MAX];
	enum proto_shape shape;
} commands[PROTO_COMMANDS] = {
#define PROTO_COMMAND(id, word, shape, handler, syntax) [PROTO_##id] = {word, SHAPE_##shape},
#include "dataplane/proto/commands.def"
#undef PROTO_COMMAND
};

const char *
proto_command_word(enum proto_command command)
{
	return command < PROTO_COMMANDS ? commands[command].word : "unknown";
}

static inline uint64_t
word_head(const void *bytes)
{
	uint64_t head;

	memcpy(&head, bytes, WORD_HEAD);
	return head;
}

static __attribute__((noinline)) enum proto_command
command_find_long(const uint8_t *bytes, uint32_t len)
{
	char word[WORD_MAX] = {0};

	if (len == 0 || len >= WORD_MAX)
		return PROTO_UNKNOWN;
	memcpy(word, bytes, len);
	for (unsigned i = 0; i < PROTO_COMMANDS; i++) {
		if (memcmp(word, commands[i].word, WORD_MAX) == 0)
			return (enum proto_command)i;
	}
	return PROTO_UNKNOWN;
}

/* The command whose word is the first word_len of the line's line_len bytes. */
static inline enum proto_command
command_find(const uint8_t *line, uint32_t line_len, uint32_t word_len)
{
	uint64_t head;

	/* Below eight bytes, so that the table's word ends in a zero too. */
	if (line_len < WORD_HEAD || word_len - 1 >= WORD_HEAD - 1)
		return command_find_long(line, word_len);
	head = word_head(line);
	head = __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? head & ((1ull << 8 * word_len) - 1)
	                                                 : head & ~(UINT64_MAX >> 8 * word_len);
	for (unsigned i = 0; i < PROTO_COMMANDS; i++) {
		if (head == word_head(commands[i].word))
			return (enum proto_command)i;
	}
	return PROTO_UNKNOWN;
}

/* Splits [line, end) into request->tokens; returns the last token, also when it was only counted. */
static inline struct proto_token
split(const uint8_t *line, const uint8_t *end, struct proto_request *request)
{
	struct proto_token last = {line, 0};
	const uint8_t *at = line;
	unsigned len = 0;

	while (at < end) {
		if (*at == ' ') {
			at++;
			continue;
		}
		last.bytes = at;
		at = proto_scan_in_line(line, at, end);
		last.len = (uint32_t)(at - last.bytes);
		if (len < PROTO_TOKENS_MAX)
			request->tokens[len] = last;
		len++;
	}
	request->tokens_len = len;
	return last;
}

static void
parse_keys(struct proto_request *request, const uint8_t *at, const uint8_t *end)
{
	struct proto_token key;
	bool first = true;

	if (proto_scan_short(at, end, PROTO_KEY_MAX) && proto_next_key(&at, end, &request->key)) {
		request->keys_end = end;
		return;
	}
	while (proto_next_key(&at, end, &key)) {
		if (key.len > PROTO_KEY_MAX) {
			request->error = PROTO_REPLY_BAD_FORMAT;
			return;
		}
		if (first)
			request->key = key;
		first = false;
	}
	request->keys_end = end;
	if (first)
		request->error = PROTO_REPLY_BAD_FORMAT;
}

static void
parse_touch_keys(struct proto_request *request, const uint8_t *at, const uint8_t *end)
{
	struct proto_token exptime, key;
	const uint8_t *keys;

	if (!proto_next_key(&at, end, &exptime)) {
		request->error = PROTO_REPLY_BAD_FORMAT;
		return;
	}
	keys = at;
	if (!proto_next_key(&at, end, &key))
		request->error = PROTO_REPLY_BAD_FORMAT;
	else if (!proto_get_exptime(exptime.bytes, exptime.len, &request->exptime))
		request->error = PROTO_REPLY_BAD_EXPTIME;
	else
		parse_keys(request, keys, end);
}

static bool
parse_store_numbers(struct proto_request *request)
{
	const struct proto_token *token = request->tokens;
	uint64_t flags;

	if (request->key.len > PROTO_KEY_MAX)
		return false;
	if (!proto_get_u64(token[2].bytes, token[2].len, &flags))
		return false;
	request->client_flags = (uint32_t)flags;
	if (!proto_get_exptime(token[3].bytes, token[3].len, &request->exptime))
		return false;
	if (request->command != PROTO_CAS)
		return true;
	return request->tokens_len > 5 && proto_get_u64(token[5].bytes, token[5].len, &request->cas);
}

/* Reads the length of a data block; false: there is none to swallow. */
static bool
parse_value_bytes(struct proto_request *request, unsigned index)
{
	int32_t bytes;

	if (request->tokens_len <= index ||
	    !proto_get_i32_strict(request->tokens[index].bytes, request->tokens[index].len, &bytes) ||
	    bytes < 0 || (uint32_t)bytes > PROTO_VALUE_MAX) {
		request->error = PROTO_REPLY_BAD_FORMAT;
		return false;
	}
	request->value_bytes = (uint32_t)bytes;
	request->has_value = true;
	return true;
}

static void
parse_store(struct proto_request *request, const struct proto_token *last)
{
	if (!parse_value_bytes(request, 4))
		return;
	request->noreply = proto_token_is(last, "noreply");
	request->key = request->tokens[1];
	if (!parse_store_numbers(request))
		request->error = PROTO_REPLY_BAD_FORMAT;
}

/* memcached 1.6.18's: a time of 0 is let pass for old clients, nothing else. */
static void
parse_delete(struct proto_request *request, const struct proto_token *last)
{
	bool zero = request->tokens_len > 2 && proto_token_is(&request->tokens[2], "0");

	request->noreply = request->tokens_len > 2 && proto_token_is(last, "noreply");
	if (request->tokens_len < 2)
		request->error = PROTO_REPLY_BAD_FORMAT;
	else if (!(request->tokens_len == 2 || (request->tokens_len == 3 && (zero || request->noreply)) ||
	             (request->tokens_len == 4 && zero && request->noreply)))
		request->error = PROTO_REPLY_DELETE_USAGE;
	else if (request->tokens[1].len > PROTO_KEY_MAX)
		request->error = PROTO_REPLY_BAD_FORMAT;
	request->key = request->tokens[1];
}

static void
parse_key_number(struct proto_request *request, const struct proto_token *last)
{
	const struct proto_token *number = &request->tokens[2];

	if (request->tokens_len < 3) {
		request->error = PROTO_REPLY_BAD_FORMAT;
		return;
	}
	request->noreply = proto_token_is(last, "noreply");
	request->key = request->tokens[1];
	if (request->key.len > PROTO_KEY_MAX)
		request->error = PROTO_REPLY_BAD_FORMAT;
	else if (request->command == PROTO_TOUCH) {
		if (!proto_get_exptime(number->bytes, number->len, &request->exptime))
			request->error = PROTO_REPLY_BAD_EXPTIME;
	} else if (!proto_get_u64(number->bytes, number->len, &request->delta)) {
		request->error = PROTO_REPLY_BAD_DELTA;
	}
}

static void
parse_flush(struct proto_request *request, const struct proto_token *last)
{
	request->noreply = request->tokens_len > 1 && proto_token_is(last, "noreply");
	request->has_exptime = request->tokens_len != (request->noreply ? 2u : 1u);
	if (request->has_exptime &&
	    !proto_get_exptime(request->tokens[1].bytes, request->tokens[1].len, &request->exptime))
		request->error = PROTO_REPLY_BAD_EXPTIME;
}

static void
parse_meta(struct proto_request *request, bool has_value)
{
	if (request->tokens_len < 2) {
		request->error = PROTO_REPLY_BAD_FORMAT;
		return;
	}
	request->key = request->tokens[1];
	if (!has_value || parse_value_bytes(request, 2))
		proto_parse_meta(request);
}

static void
parse_unknown(struct proto_request *request, const struct proto_token *last, uint32_t line_bytes)
{
	/* 1.6.45 refuses lines of less than four bytes before it looks at them. */
	request->error = line_bytes < 4 ? PROTO_REPLY_BAD_FORMAT : PROTO_REPLY_ERROR;
	request->hangup = request->tokens_len > 1 && last->len >= 5 && memcmp(last->bytes, "HTTP/", 5) == 0;
}

static void
parse_shape(struct proto_request *request, const uint8_t *line, const uint8_t *end)
{
	enum proto_shape shape = commands[request->command].shape;
	struct proto_token last = split(line, end, request);

	switch (shape) {
	case SHAPE_STORE:
		parse_store(request, &last);
		break;
	case SHAPE_DELETE:
		parse_delete(request, &last);
		break;
	case SHAPE_DELTA:
	case SHAPE_TOUCH:
		parse_key_number(request, &last);
		break;
	case SHAPE_FLUSH:
		parse_flush(request, &last);
		break;
	case SHAPE_ADMIN_QUIET:
		request->noreply = request->tokens_len > 1 && proto_token_is(&last, "noreply");
		break;
	case SHAPE_META:
	case SHAPE_META_STORE:
		parse_meta(request, shape == SHAPE_META_STORE);
		break;
	case SHAPE_ADMIN:
	case SHAPE_KEYS:
	case SHAPE_TOUCH_KEYS:
		break;
	}
}

void
proto_parse_text(const uint8_t *line, uint32_t len, struct proto_request *request)
{
	const uint8_t *end = line + len - 1;
	const uint8_t *word_end;
	struct proto_token last;

	if (end > line && end[-1] == '\r')
		end--;
	word_end = proto_scan_token(line, end);
	request->error = PROTO_REPLY_NONE;
	request->noreply = false;
	request->hangup = false;
	request->has_value = false;
	request->has_exptime = false;
	request->command = command_find(line, len, (uint32_t)(word_end - line));
	if (request->command == PROTO_UNKNOWN) {
		last = split(line, end, request);
		parse_unknown(request, &last, len);
	} else if (commands[request->command].shape == SHAPE_KEYS) {
		parse_keys(request, word_end, end);
	} else if (commands[request->command].shape == SHAPE_TOUCH_KEYS) {
		parse_touch_keys(request, word_end, end);
	} else {
		parse_shape(request, line, end);
	}
}
