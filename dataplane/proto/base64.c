/*
 * Base64 both ways; see base64.h.
 */
#include "dataplane/proto/base64.h"

static const char alphabet[65] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

uint32_t
proto_base64_encode(const uint8_t *from, uint32_t len, uint8_t *to)
{
	uint8_t *at = to;

	for (uint32_t i = 0; i < len; i += 3) {
		uint32_t have = len - i < 3 ? len - i : 3;
		uint32_t group = (uint32_t)from[i] << 16;

		if (have > 1)
			group |= (uint32_t)from[i + 1] << 8;
		if (have > 2)
			group |= from[i + 2];
		*at++ = (uint8_t)alphabet[group >> 18];
		*at++ = (uint8_t)alphabet[group >> 12 & 63];
		*at++ = have > 1 ? (uint8_t)alphabet[group >> 6 & 63] : '=';
		*at++ = have > 2 ? (uint8_t)alphabet[group & 63] : '=';
	}
	return (uint32_t)(at - to);
}

/* The six bits of a character, or -1. */
static int
sextet(uint8_t c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	if (c == '+')
		return 62;
	return c == '/' ? 63 : -1;
}

uint32_t
proto_base64_decode(const uint8_t *from, uint32_t len, uint8_t *to, uint32_t room)
{
	uint32_t done = 0;

	if (len == 0 || len % 4 != 0)
		return 0;
	for (uint32_t i = 0; i < len; i += 4) {
		uint32_t pad = 0, group = 0;

		if (i + 4 == len)
			pad = from[i + 3] != '=' ? 0 : from[i + 2] != '=' ? 1 : 2;
		for (uint32_t j = 0; j < 4; j++) {
			int bits = j < 4 - pad ? sextet(from[i + j]) : 0;

			if (bits < 0)
				return 0;
			group = group << 6 | (uint32_t)bits;
		}
		if (done + 3 - pad > room)
			return 0;
		to[done++] = (uint8_t)(group >> 16);
		if (pad < 2)
			to[done++] = (uint8_t)(group >> 8);
		if (pad < 1)
			to[done++] = (uint8_t)group;
	}
	return done;
}
