/*
 * The binary protocol's part of serve, shared by its files:
 *
 *   serve_binary.c        the stream cut into requests and values
 *   serve_binary_items.c  what reads and changes items
 *   serve_binary_admin.c  stat, version, noop, quit, flush
 *   serve_auth.c          SASL
 *
 * Only included by those and by the files of serve_internal.h. Everything belongs to one worker's thread.
 */
#ifndef WIRECACHE_SERVE_BINARY_H
#define WIRECACHE_SERVE_BINARY_H

#include "dataplane/proto/binary.h"
#include "dataplane/serve_internal.h"

/* Answers one well-formed request whose head was taken from call->at; declared for every handler of binary.def. */
#define BINARY_COMMAND(id, shape, handler) \
	enum serve_state serve_binary_##handler(struct serve_call *call, const struct proto_binary *request);
#include "dataplane/proto/binary.def"

/* A status with its text, whatever the request; the errors. */
void serve_binary_status(
    struct serve_call *call, uint8_t opcode, uint32_t opaque, enum proto_binary_status status);

/* Success without a body. */
void serve_binary_done(struct serve_call *call, const struct proto_binary *request, uint64_t cas);

/* A body of at most SERVE_RESERVE_MAX - 24 bytes and nothing else. */
void serve_binary_body(struct serve_call *call, const struct proto_binary *request,
    enum proto_binary_status status, const void *body, uint32_t body_bytes);

/* Throws the value away as it comes, then says `status`. */
enum serve_state serve_binary_swallow(
    struct serve_call *call, const struct proto_binary *request, enum proto_binary_status status);

/* Takes the value of a storage command: at once if it is all there, else the session waits for it. */
enum serve_state serve_binary_value_begin(struct serve_call *call, const struct proto_binary *request,
    const struct store_key *key, const struct store_write *write);

/* Unix time of an expiration: unlike in the text protocol it has no sign. */
uint32_t serve_binary_expiry(const struct serve *serve, uint32_t expiration);

#endif
