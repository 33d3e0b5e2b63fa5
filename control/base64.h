/*
 * Base64 (RFC 4648) for bytes in JSON, between daemon and wirectl.
 */
#ifndef WIRECACHE_CONTROL_BASE64_H
#define WIRECACHE_CONTROL_BASE64_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define BASE64_ENCODED_MAX(bytes) (((bytes) + 2) / 3 * 4 + 1)

#define BASE64_LETTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"

/* Writes a terminated string. */
static inline void
base64_encode(const uint8_t *bytes, size_t len, char *out)
{
	for (size_t at = 0; at < len; at += 3) {
		size_t left = len - at;
		uint32_t word = (uint32_t)bytes[at] << 16 | (left > 1 ? (uint32_t)bytes[at + 1] << 8 : 0) |
		                (left > 2 ? bytes[at + 2] : 0);
		*out++ = BASE64_LETTERS[word >> 18];
		*out++ = BASE64_LETTERS[word >> 12 & 63];
		*out++ = left > 1 ? BASE64_LETTERS[word >> 6 & 63] : '=';
		*out++ = left > 2 ? BASE64_LETTERS[word & 63] : '=';
	}
	*out = '\0';
}

/* Returns how many bytes, at most room; what is no letter ends the text. */
static inline size_t
base64_decode(const char *text, uint8_t *out, size_t room)
{
	uint32_t word = 0;
	unsigned bits = 0;
	size_t len = 0;
	const char *letter;
	for (; *text != '\0' && (letter = strchr(BASE64_LETTERS, *text)) != NULL; text++) {
		word = word << 6 | (uint32_t)(letter - BASE64_LETTERS);
		bits += 6;
		if (bits < 8)
			continue;
		bits -= 8;
		if (len < room)
			out[len++] = (uint8_t)(word >> bits);
	}
	return len;
}

#endif
