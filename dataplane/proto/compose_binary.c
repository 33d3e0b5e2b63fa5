/*
 * The head of a binary reply, and what errors say. See binary.h.
 */
#include "dataplane/proto/binary.h"

const char *
proto_binary_text(enum proto_binary_status status)
{
	switch (status) {
#define BINARY_STATUS(id, code, text) \
	case PROTO_BINARY_##id:       \
		return text;
#include "dataplane/proto/binary.def"
	}
	return "";
}

uint8_t *
proto_put_binary_header(uint8_t *to, uint8_t opcode, uint32_t opaque, const struct proto_binary_reply *reply)
{
	to[0] = PROTO_BINARY_REPLY_MAGIC;
	to[1] = opcode;
	to[2] = (uint8_t)(reply->key_len >> 8);
	to[3] = (uint8_t)reply->key_len;
	to[4] = (uint8_t)reply->extras_len;
	to[5] = 0; /* raw bytes, the only data type there is */
	to[6] = (uint8_t)(reply->status >> 8);
	to[7] = (uint8_t)reply->status;
	to = proto_put_be32(to + 8, reply->extras_len + reply->key_len + reply->value_bytes);
	memcpy(to, &opaque, sizeof(opaque));
	return proto_put_be64(to + 4, reply->cas);
}
