/*
 * Looks for the end of a token: the first space or line feed. Keys are 10-60 bytes, so 16 bytes a step; it
 * never reads outside [begin, end).
 */
#ifndef WIRECACHE_PROTO_SCAN_H
#define WIRECACHE_PROTO_SCAN_H

#include <stdint.h>

#ifdef __SSE2__
#include <emmintrin.h>

/* A bit for each of 16 bytes that ends a token. */
static inline unsigned
proto_scan_mask(const uint8_t *at)
{
	__m128i bytes = _mm_loadu_si128((const __m128i *)at);

	return (unsigned)_mm_movemask_epi8(_mm_or_si128(
	    _mm_cmpeq_epi8(bytes, _mm_set1_epi8(' ')), _mm_cmpeq_epi8(bytes, _mm_set1_epi8('\n'))));
}

static inline const uint8_t *
proto_scan_token(const uint8_t *at, const uint8_t *end)
{
	const uint8_t *begin = at;
	unsigned mask;

	while (end - at >= 16) {
		mask = proto_scan_mask(at);
		if (mask != 0)
			return at + __builtin_ctz(mask);
		at += 16;
	}
	if (end - begin >= 16) {
		mask = proto_scan_mask(end - 16) >> (at - (end - 16));
		return mask != 0 ? at + __builtin_ctz(mask) : end;
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
