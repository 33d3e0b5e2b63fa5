/*
 * The constant replies, built from replies.def with their line ends.
 */
#include "dataplane/proto/reply.h"

#include <assert.h>

#define PROTO_REPLY(id, text) static_assert(sizeof(text "\r\n") <= PROTO_REPLY_BYTES_MAX, "reply too long");
#include "dataplane/proto/replies.def"
#undef PROTO_REPLY

const struct proto_line proto_replies[PROTO_REPLIES] = {
    [PROTO_REPLY_NONE] = {"", 0},
#define PROTO_REPLY(id, text) [PROTO_REPLY_##id] = {text "\r\n", sizeof(text "\r\n") - 1},
#include "dataplane/proto/replies.def"
#undef PROTO_REPLY
};
