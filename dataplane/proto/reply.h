/*
 * Replies of the text protocols: the constant lines and the pieces that are composed.
 *
 * Composing writes to memory that the caller reserved and returns the first byte behind what was written;
 * each function states the most it writes.
 */
#ifndef WIRECACHE_PROTO_REPLY_H
#define WIRECACHE_PROTO_REPLY_H

#include <stdint.h>
#include <string.h>

#include "dataplane/proto/copy.h"
#include "dataplane/proto/digits.h"

enum proto_reply {
	PROTO_REPLY_NONE,
#define PROTO_REPLY(id, text) PROTO_REPLY_##id,
#include "dataplane/proto/replies.def"
#undef PROTO_REPLY
	PROTO_REPLIES,
};

/* One constant line with its line end. */
struct proto_line {
	const char *text;
	uint32_t len;
};

extern const struct proto_line proto_replies[PROTO_REPLIES];

#define PROTO_REPLY_BYTES_MAX 96u /* of a constant line */

/* Most bytes of "VALUE <key> <flags> <bytes> <cas>\r\n" without the key. */
#define PROTO_VALUE_HEAD_MAX (6u + 1u + 10u + 1u + 10u + 1u + 20u + 2u)

/* "VALUE <key> <flags> <bytes>[ <cas>]\r\n"; cas NULL: without. Writes at most key_len +
 * PROTO_VALUE_HEAD_MAX. */
static inline uint8_t *
proto_put_value_head(uint8_t *to, const uint8_t *key, uint32_t key_len, uint32_t client_flags,
    uint32_t value_bytes, const uint64_t *cas)
{
	memcpy(to, "VALUE ", 6);
	proto_copy(to + 6, key, key_len);
	to += 6 + key_len;
	*to++ = ' ';
	to = proto_put_u32(to, client_flags);
	*to++ = ' ';
	to = proto_put_u32(to, value_bytes);
	if (cas != NULL) {
		*to++ = ' ';
		to = proto_put_u64(to, *cas);
	}
	memcpy(to, "\r\n", 2);
	return to + 2;
}

#endif
