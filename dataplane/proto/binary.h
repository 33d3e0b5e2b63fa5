/*
 * The binary protocol: a request as the parser hands it over, and the head of a reply.
 *
 *    0        1        2                 4        5        6                 8
 *   +--------+--------+-----------------+--------+--------+-----------------+
 *   | magic  | opcode | key length      | extras | type   | vbucket, status |
 *   +--------+--------+-----------------+--------+--------+-----------------+
 *   | body length: extras, key, value   | opaque, echoed                    |
 *   +-----------------------------------+-----------------------------------+
 *   | CAS                                                                   |
 *   +-----------------------------------------------------------------------+
 *   | extras, key, value ...
 *
 * All numbers in network order. The parser takes the head of a request (header, extras and key); the value is the
 * caller's business. It allocates nothing and reads nothing beyond what it is given. Extras and key point into the
 * bytes that were parsed.
 *
 * Source: memcached doc/protocol-binary.xml and the behaviour of memcached 1.6.45.
 */
#ifndef WIRECACHE_PROTO_BINARY_H
#define WIRECACHE_PROTO_BINARY_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define PROTO_BINARY_MAGIC        0x80u /* of a request; the first byte that chooses this protocol */
#define PROTO_BINARY_REPLY_MAGIC  0x81u
#define PROTO_BINARY_HEADER_BYTES 24u
#define PROTO_BINARY_EXTRAS_MAX   20u
#define PROTO_BINARY_KEY_MAX      250u
#define PROTO_BINARY_HEAD_MAX     (PROTO_BINARY_HEADER_BYTES + PROTO_BINARY_EXTRAS_MAX + PROTO_BINARY_KEY_MAX)
#define PROTO_BINARY_BODY_MAX     (1u << 30) /* larger ones end the stream, as in memcached 1.6.45 */
#define PROTO_BINARY_NO_CREATE    UINT32_MAX /* expiration of an incr or decr that must not create */

enum proto_binary_command {
#define BINARY_COMMAND(id, shape, handler) PROTO_BINARY_##id,
#include "dataplane/proto/binary.def"
	PROTO_BINARY_COMMANDS,
	PROTO_BINARY_UNKNOWN_COMMAND = PROTO_BINARY_COMMANDS,
};

enum proto_binary_status {
#define BINARY_STATUS(id, code, text) PROTO_BINARY_##id = code,
#include "dataplane/proto/binary.def"
};

struct proto_binary {
	enum proto_binary_command command;
	enum proto_binary_status error; /* PROTO_BINARY_OK when well formed */
	bool close;                     /* the stream ends after the error was answered */
	bool hangup;                    /* not this protocol: it ends without a word */
	bool quiet;
	uint8_t opcode; /* as on the wire, echoed */
	uint8_t extras_len;
	uint32_t opaque; /* in the order of the wire, echoed */
	uint32_t key_len;
	uint32_t value_bytes; /* what follows the head; of an unknown command all that follows its header */
	uint64_t cas;         /* 0: none */
	const uint8_t *key;

	uint32_t client_flags; /* set, add, replace */
	uint32_t expiration;   /* these, touch and gat, flush, incr and decr */
	uint64_t delta, initial;
};

/*
 * Parses the head of the request that begins at bytes (len >= 1). Returns how many bytes the head has; when that is
 * more than len the request is unfinished and nothing else was set: call again with at least so many bytes. What is
 * wrong is known from the header alone, which is the whole head then.
 */
uint32_t proto_parse_binary(const uint8_t *bytes, uint32_t len, struct proto_binary *request);

/* What a reply needs of a known request whose head is gone: command, quiet, opcode, opaque. The rest is zero. */
void proto_binary_recall(uint8_t opcode, uint32_t opaque, struct proto_binary *request);

/*
 * The key of the request at bytes and *next, the bytes to the one behind it (it may not be there yet; 0: unknown).
 * False when there is no key or it is not there whole. A hint for prefetching, nothing has been checked.
 */
bool proto_peek_binary(
    const uint8_t *bytes, uint32_t len, const uint8_t **key, uint32_t *key_len, uint64_t *next);

/* Body of an error reply; empty for statuses that have none. */
const char *proto_binary_text(enum proto_binary_status status);

/* The word of an opcode, or NULL. */
const char *proto_binary_name(uint8_t opcode);

/* ---- replies ---------------------------------------------------------------------------------- */

struct proto_binary_reply {
	enum proto_binary_status status;
	uint32_t key_len, extras_len;
	uint32_t value_bytes;
	uint64_t cas;
};

/* Writes PROTO_BINARY_HEADER_BYTES and returns the byte behind; opaque in the order of the wire. */
uint8_t *proto_put_binary_header(
    uint8_t *to, uint8_t opcode, uint32_t opaque, const struct proto_binary_reply *reply);

static inline uint8_t *
proto_put_be32(uint8_t *to, uint32_t value)
{
	value = __builtin_bswap32(value);
	memcpy(to, &value, sizeof(value));
	return to + sizeof(value);
}

static inline uint8_t *
proto_put_be64(uint8_t *to, uint64_t value)
{
	value = __builtin_bswap64(value);
	memcpy(to, &value, sizeof(value));
	return to + sizeof(value);
}

#endif
