/*
 * Looks for the end of a token: the first space, and where the line's end is not known yet also the first line feed.
 * Keys are 10-60 bytes, so 16 bytes a step.
 */
#ifndef WIRECACHE_PROTO_SCAN_H
#define WIRECACHE_PROTO_SCAN_H

#include <stdbool.h>
#include <stdint.h>

#ifdef __SSE2__
#include <emmintrin.h>

/* A bit for each of 16 bytes that ends a token. */
static inline unsigned
proto_scan_mask(const uint8_t *at, bool feeds)
{
	__m128i bytes = _mm_loadu_si128((const __m128i *)at);
	__m128i ends = _mm_cmpeq_epi8(bytes, _mm_set1_epi8(' '));

	if (feeds)
		ends = _mm_or_si128(ends, _mm_cmpeq_epi8(bytes, _mm_set1_epi8('\n')));
	return (unsigned)_mm_movemask_epi8(ends);
}

/* For a token at `at` of bytes that begin at `begin`: never reads outside [begin, end). */
static inline const uint8_t *
proto_scan(const uint8_t *begin, const uint8_t *at, const uint8_t *end, bool feeds)
{
	unsigned mask;

	while (end - at >= 16) {
		mask = proto_scan_mask(at, feeds);
		if (mask != 0)
			return at + __builtin_ctz(mask);
		at += 16;
	}
	if (end - begin >= 16) {
		mask = proto_scan_mask(end - 16, feeds) >> (at - (end - 16));
		return mask != 0 ? at + __builtin_ctz(mask) : end;
	}
	while (at < end && *at != ' ' && !(feeds && *at == '\n'))
		at++;
	return at;
}

/* Do spaces lie so close to each other that no token of a line can be longer than max? False: not known. */
static inline bool
proto_scan_short(const uint8_t *at, const uint8_t *end, unsigned max)
{
	const unsigned empty_max = (max - 2 * 15) / 16; /* between spaces at the far ends of their steps */
	unsigned empty = 0;

	for (; end - at >= 16; at += 16) {
		empty = proto_scan_mask(at, false) != 0 ? 0 : empty + 1;
		if (empty > empty_max)
			return false;
	}
	return true;
}
#else
static inline bool
proto_scan_short(const uint8_t *at, const uint8_t *end, unsigned max)
{
	return false;
}

static inline const uint8_t *
proto_scan(const uint8_t *begin, const uint8_t *at, const uint8_t *end, bool feeds)
{
	while (at < end && *at != ' ' && !(feeds && *at == '\n'))
		at++;
	return at;
}
#endif

/* Up to a space or a line feed. */
static inline const uint8_t *
proto_scan_token(const uint8_t *at, const uint8_t *end)
{
	return proto_scan(at, at, end, true);
}

/* Up to a space, inside a line that begins at `line`. */
static inline const uint8_t *
proto_scan_in_line(const uint8_t *line, const uint8_t *at, const uint8_t *end)
{
	return proto_scan(line, at, end, false);
}

#endif
