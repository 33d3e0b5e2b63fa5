/*
 * Short inputs for long requests: bytes of an input that stand for more, so that mutations make requests that get past
 * the first check of a parser more often than they would byte by byte.
 */
#ifndef WIRECACHE_FUZZ_EXPAND_H
#define WIRECACHE_FUZZ_EXPAND_H

#include <stdint.h>
#include <string.h>

#include "dataplane/proto/binary.h"

#define EXPAND_MAX      65536u
#define EXPAND_PACKET   0xfeu
#define EXPAND_OPCODES  0x28u
#define EXPAND_EXTRAS   21u
#define EXPAND_WORD_MIN 0x80u

/*
 * A binary packet begins where the input has EXPAND_PACKET: a header with the magic is put together from the five bytes
 * behind it. Writes at most EXPAND_MAX; returns how many.
 */
static inline size_t
expand_packets(const uint8_t *data, size_t size, uint8_t *stream)
{
	size_t len = 0;

	for (size_t at = 0; at < size && len + PROTO_BINARY_HEADER_BYTES < EXPAND_MAX; at++) {
		if (data[at] != EXPAND_PACKET || size - at < 6) {
			stream[len++] = data[at];
			continue;
		}
		memset(stream + len, 0, PROTO_BINARY_HEADER_BYTES);
		stream[len] = PROTO_BINARY_MAGIC;
		stream[len + 1] = data[at + 1] % EXPAND_OPCODES;
		stream[len + 3] = data[at + 2]; /* key */
		stream[len + 4] = data[at + 3] % EXPAND_EXTRAS;
		stream[len + 10] = data[at + 4]; /* body */
		stream[len + 11] = data[at + 5];
		len += PROTO_BINARY_HEADER_BYTES;
		at += 5;
	}
	return len;
}

/* Bytes from EXPAND_WORD_MIN on stand for words of the meta commands. Limits as above. */
static inline size_t
expand_words(const uint8_t *data, size_t size, uint8_t *stream)
{
	static const char *const words[] = {"mg ", "ms ", "md ", "ma ", "me ", "mn\r\n", "k ", "a ",
	    "YQ== ", "\r\n", "0\r\n\r\n", "2 ", "5 ", "\r\nab\r\n", "\r\nabcde\r\n", "\r\n12345\r\n",
	    "\r\n18446744073709551615\r\n", "b ", "c ", "f ", "h ", "k ", "l ", "q ", "s ", "t ", "v ", "x ",
	    "I ", "E5 ", "E18446744073709551615 ", "C1 ", "C5 ", "F7 ", "F4294967295 ", "N0 ", "N30 ", "N-1 ",
	    "R30 ", "R0 ", "T0 ", "T30 ", "T-1 ", "O1 ", "Oopaque ", "MS ", "MA ", "MP ", "ME ", "MR ", "MI ",
	    "MD ", "D1 ", "D18446744073709551615 ", "J0 ", "J18446744073709551615 ", "S0 ", "S5 ",
	    "mg k v\r\n", "ms k 2\r\nab\r\n", "md k I T30\r\n", "ma k N0 v\r\n", "mg k s v N30 t c f h l\r\n",
	    "set k 0 0 2\r\nab\r\n"};
	size_t len = 0;

	for (size_t at = 0; at < size; at++) {
		const char *word = words[data[at] % (sizeof(words) / sizeof(words[0]))];
		size_t word_len = data[at] >= EXPAND_WORD_MIN ? strlen(word) : 1;

		if (len + word_len > EXPAND_MAX)
			break;
		memcpy(stream + len, data[at] >= EXPAND_WORD_MIN ? (const void *)word : data + at, word_len);
		len += word_len;
	}
	return len;
}

#endif
