/*
 * Looks for the end of a token: the first space or line feed. Keys are 10-60 bytes, so 16 bytes a step; it
 * never reads outside [begin, end).
 */
#ifndef WIRECACHE_PROTO_SCAN_H
#define WIRECACHE_PROTO_SCAN_H

#include <stdint.h>

#ifdef __SSE2__
#include <emmintrin.h>

static inline const uint8_t *
proto_scan_token(const uint8_t *at, const uint8_t *end)
{
	const __m128i space = _mm_set1_epi8(' '), feed = _mm_set1_epi8('\n');

	while (end - at >= 16) {
		__m128i bytes = _mm_loadu_si128((const __m128i *)at);
		__m128i hit = _mm_or_si128(_mm_cmpeq_epi8(bytes, space), _mm_cmpeq_epi8(bytes, feed));
		unsigned mask = (unsigned)_mm_movemask_epi8(hit);

		if (mask != 0)
			return at + __builtin_ctz(mask);
		at += 16;
	}
	while (at < end && *at != ' ' && *at != '\n')
		at++;
	return at;
}
#else
static inline const uint8_t *
proto_scan_token(const uint8_t *at, const uint8_t *end)
{
	while (at < end && *at != ' ' && *at != '\n')
		at++;
	return at;
}
#endif

#endif
