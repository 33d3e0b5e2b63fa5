/*
 * The head of a binary request. See binary.h.
 *
 * The order of the checks is memcached's, because the first failure chooses the reply: lengths that contradict each
 * other, the length of the key, the opcode, then the shape. All of it lies in the first 24 bytes, so what is wrong is
 * answered without waiting for a body that may never come.
 */
#include "dataplane/proto/binary.h"

#define ANY_EXTRAS 0xffu /* flush: none or four */

enum binary_part { PART_NONE, PART_MAY, PART_MUST };

enum binary_shape {
	SHAPE_KEY,
	SHAPE_STORE,
	SHAPE_JOIN,
	SHAPE_DELTA,
	SHAPE_TOUCH,
	SHAPE_NOTHING,
	SHAPE_FLUSH,
	SHAPE_STAT
};

static const struct binary_rule {
	uint8_t extras_len;
	uint8_t key;   /* enum binary_part */
	uint8_t value; /* the same */
} rules[] = {
    [SHAPE_KEY] = {0, PART_MUST, PART_NONE},
    [SHAPE_STORE] = {8, PART_MUST, PART_MAY},
    [SHAPE_JOIN] = {0, PART_MUST, PART_MAY},
    [SHAPE_DELTA] = {20, PART_MUST, PART_NONE},
    [SHAPE_TOUCH] = {4, PART_MUST, PART_NONE},
    [SHAPE_NOTHING] = {0, PART_NONE, PART_NONE},
    [SHAPE_FLUSH] = {ANY_EXTRAS, PART_NONE, PART_NONE},
    [SHAPE_STAT] = {0, PART_MAY, PART_NONE},
};

static const uint8_t shapes[PROTO_BINARY_COMMANDS] = {
#define BINARY_COMMAND(id, shape, handler) [PROTO_BINARY_##id] = SHAPE_##shape,
#include "dataplane/proto/binary.def"
};

/* Known opcodes are all below 64. */
#define OPCODES 64u

static const struct opcode {
	bool known, quiet;
	uint8_t command;
} opcodes[OPCODES] = {
#define BINARY_OPCODE(opcode, name, id, quiet) [opcode] = {true, quiet, PROTO_BINARY_##id},
#include "dataplane/proto/binary.def"
};

static const char *const names[OPCODES] = {
#define BINARY_OPCODE(opcode, name, id, quiet) [opcode] = name,
#include "dataplane/proto/binary.def"
};

static inline uint32_t
get_be16(const uint8_t *at)
{
	return (uint32_t)at[0] << 8 | at[1];
}

static inline uint32_t
get_be32(const uint8_t *at)
{
	uint32_t value;

	memcpy(&value, at, sizeof(value));
	return __builtin_bswap32(value);
}

static inline uint64_t
get_be64(const uint8_t *at)
{
	uint64_t value;

	memcpy(&value, at, sizeof(value));
	return __builtin_bswap64(value);
}

static bool
shape_fits(const struct proto_binary *request)
{
	const struct binary_rule *rule = &rules[shapes[request->command]];

	if (request->extras_len != rule->extras_len &&
	    (rule->extras_len != ANY_EXTRAS || (request->extras_len != 0 && request->extras_len != 4)))
		return false;
	if (rule->key == PART_NONE ? request->key_len != 0 : rule->key == PART_MUST && request->key_len == 0)
		return false;
	return rule->value == PART_MAY || request->value_bytes == 0;
}

static uint32_t
fail(struct proto_binary *request, enum proto_binary_status error, bool close)
{
	request->error = error;
	request->close = close;
	return PROTO_BINARY_HEADER_BYTES;
}

static void
read_extras(struct proto_binary *request, const uint8_t *extras)
{
	switch (shapes[request->command]) {
	case SHAPE_STORE:
		request->client_flags = get_be32(extras);
		request->expiration = get_be32(extras + 4);
		break;
	case SHAPE_DELTA:
		request->delta = get_be64(extras);
		request->initial = get_be64(extras + 8);
		request->expiration = get_be32(extras + 16);
		break;
	case SHAPE_TOUCH:
	case SHAPE_FLUSH:
		request->expiration = request->extras_len != 0 ? get_be32(extras) : 0;
		break;
	default:
		break;
	}
}

uint32_t
proto_parse_binary(const uint8_t *bytes, uint32_t len, struct proto_binary *request)
{
	uint32_t body_bytes, head_bytes;
	const struct opcode *opcode;

	request->hangup = bytes[0] != PROTO_BINARY_MAGIC;
	if (request->hangup) {
		request->command = PROTO_BINARY_UNKNOWN_COMMAND;
		fail(request, PROTO_BINARY_UNKNOWN, true);
		return 1;
	}
	if (len < PROTO_BINARY_HEADER_BYTES)
		return PROTO_BINARY_HEADER_BYTES;
	request->opcode = bytes[1];
	request->key_len = get_be16(bytes + 2);
	request->extras_len = bytes[4];
	body_bytes = get_be32(bytes + 8);
	memcpy(&request->opaque, bytes + 12, sizeof(request->opaque));
	request->cas = get_be64(bytes + 16);
	request->value_bytes = 0;
	opcode = request->opcode < OPCODES ? &opcodes[request->opcode] : NULL;
	request->command = opcode != NULL && opcode->known ? (enum proto_binary_command)opcode->command
	                                                   : PROTO_BINARY_UNKNOWN_COMMAND;
	request->quiet = opcode != NULL && opcode->quiet;

	if (request->key_len + request->extras_len > body_bytes)
		return fail(request, PROTO_BINARY_UNKNOWN, true);
	if (body_bytes > PROTO_BINARY_BODY_MAX || request->key_len > PROTO_BINARY_KEY_MAX)
		return fail(request, PROTO_BINARY_INVALID, true);
	if (request->command == PROTO_BINARY_UNKNOWN_COMMAND) {
		request->value_bytes = body_bytes;
		return fail(request, PROTO_BINARY_UNKNOWN, false);
	}
	request->value_bytes = body_bytes - request->key_len - request->extras_len;
	if (!shape_fits(request))
		return fail(request, PROTO_BINARY_INVALID, true);
	head_bytes = PROTO_BINARY_HEADER_BYTES + request->extras_len + request->key_len;
	if (head_bytes > len)
		return head_bytes;
	request->error = PROTO_BINARY_OK;
	request->close = false;
	read_extras(request, bytes + PROTO_BINARY_HEADER_BYTES);
	request->key = bytes + PROTO_BINARY_HEADER_BYTES + request->extras_len;
	return head_bytes;
}

bool
proto_peek_binary(const uint8_t *bytes, uint32_t len, const uint8_t **key, uint32_t *key_len, uint64_t *next)
{
	uint32_t extras_len, at;

	*next = 0;
	if (len < PROTO_BINARY_HEADER_BYTES || bytes[0] != PROTO_BINARY_MAGIC)
		return false;
	*next = (uint64_t)PROTO_BINARY_HEADER_BYTES + get_be32(bytes + 8);
	*key_len = get_be16(bytes + 2);
	extras_len = bytes[4];
	at = PROTO_BINARY_HEADER_BYTES + extras_len;
	*key = bytes + at;
	return *key_len != 0 && *key_len <= PROTO_BINARY_KEY_MAX && at + *key_len <= len &&
	       at + *key_len <= *next;
}

void
proto_binary_recall(uint8_t opcode, uint32_t opaque, struct proto_binary *request)
{
	memset(request, 0, sizeof(*request));
	request->opcode = opcode;
	request->opaque = opaque;
	request->command = (enum proto_binary_command)opcodes[opcode % OPCODES].command;
	request->quiet = opcodes[opcode % OPCODES].quiet;
}

const char *
proto_binary_name(uint8_t opcode)
{
	return opcode < OPCODES ? names[opcode] : NULL;
}
