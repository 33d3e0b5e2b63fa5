/*
 * Base64 (RFC 4648, section 4) for the binary keys of the meta protocol.
 */
#ifndef WIRECACHE_PROTO_BASE64_H
#define WIRECACHE_PROTO_BASE64_H

#include <stdint.h>

#define PROTO_BASE64_BYTES(len) (((len) + 2u) / 3u * 4u)

/* Writes PROTO_BASE64_BYTES(len), padding included; returns how many. */
uint32_t proto_base64_encode(const uint8_t *from, uint32_t len, uint8_t *to);

/*
 * Decodes at most `room` bytes; returns how many. 0: `from` is no base64 (its length is no multiple of four,
 * a foreign character, padding elsewhere than at the end), is empty, or does not fit.
 */
uint32_t proto_base64_decode(const uint8_t *from, uint32_t len, uint8_t *to, uint32_t room);

#endif
