/*
 * The Internet checksum (RFC 1071) over plain bytes, chained mbufs and pseudo-headers.
 *
 * Partial sums are 64 bits wide: no fold is needed before 2^32 words. A sum is the plain one's complement sum
 * in memory order; csum_finish() makes the value that goes into a header.
 */
#ifndef WIRECACHE_NET_CHECKSUM_H
#define WIRECACHE_NET_CHECKSUM_H

#include <immintrin.h>
#include <stdbool.h>
#include <stdint.h>
#include <rte_branch_prediction.h>

#include "dataplane/net/net.h"

/* Halves are added with the carry going round, twice. */
static inline uint16_t
csum_fold(uint64_t sum)
{
	uint32_t w = (uint32_t)sum + (uint32_t)(sum >> 32);

	w += w < (uint32_t)sum;
	uint16_t h = (uint16_t)(w + (w >> 16));
	return (uint16_t)(h + (h < (uint16_t)w));
}

static inline uint16_t
csum_finish(uint64_t sum)
{
	return (uint16_t)~csum_fold(sum);
}

/* An IPv4 header without options, the common case: constant size, no loop. Sum includes the checksum
 * field. */
static inline uint64_t
csum_ip4_header(const void *header)
{
	uint32_t w[5];
	memcpy(w, header, sizeof(w));
	return (uint64_t)w[0] + w[1] + w[2] + w[3] + w[4];
}

/*
 * The sum of a stretch with another behind it; odd: an odd number of bytes came before that. The sum of byte-swapped words
 * is the byte-swapped sum (RFC 1071 section 2(B)).
 */
static inline uint64_t
csum_join(uint64_t before, uint64_t part, bool odd)
{
	return before + (odd ? rte_bswap16(csum_fold(part)) : part);
}

/* The last len < 16 bytes. */
static inline uint64_t
csum_tail(const uint8_t *bytes, size_t len)
{
	uint64_t sum = 0;

	if (len & 8) {
		uint32_t w[2];
		memcpy(w, bytes, sizeof(w));
		sum = (uint64_t)w[0] + w[1];
		bytes += sizeof(w);
	}
	if (len & 4) {
		uint32_t w;
		memcpy(&w, bytes, sizeof(w));
		sum += w;
		bytes += sizeof(w);
	}
	if (len & 2) {
		uint16_t h;
		memcpy(&h, bytes, sizeof(h));
		sum += h;
		bytes += sizeof(h);
	}
	if (len & 1) {
		uint16_t last = 0;
		memcpy(&last, bytes, 1);
		sum += last;
	}
	return sum;
}

/* The next 16 bytes as four words of 32 bits in lanes of 64. */
static inline __m256i
csum_lanes(const uint8_t *bytes)
{
	return _mm256_cvtepu32_epi64(_mm_loadu_si128((const __m128i *)(const void *)bytes));
}

/* The last len < 16 bytes before `end`, of 16 or more that may be read, at the begin of a register of zeros. */
static inline __m128i
csum_last(const uint8_t *end, size_t len)
{
	static const uint8_t places[32] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 0x80, 0x80,
	    0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80};
	const __m128i from = _mm_loadu_si128((const __m128i *)(const void *)(places + 16 - len));

	return _mm_shuffle_epi8(_mm_loadu_si128((const __m128i *)(const void *)(end - 16)), from);
}

static inline uint64_t
csum_lanes_sum(__m256i sums)
{
	const __m128i half = _mm_add_epi64(_mm256_castsi256_si128(sums), _mm256_extracti128_si256(sums, 1));

	return (uint64_t)_mm_cvtsi128_si64(half) + (uint64_t)_mm_extract_epi64(half, 1);
}

/*
 * bytes at any alignment and of any length up to 2^32; an odd last byte is padded with zero. Lanes of 64 bits take
 * words of 32, so no carry is lost: two instructions for 16 bytes.
 */
static inline uint64_t
csum_bytes(const void *bytes, size_t len)
{
	const uint8_t *p = bytes;

	if (unlikely(len < 16))
		return csum_tail(p, len);
	__m256i a = csum_lanes(p), b = _mm256_setzero_si256();
	for (p += 16, len -= 16; len >= 32; p += 32, len -= 32) {
		a = _mm256_add_epi64(a, csum_lanes(p));
		b = _mm256_add_epi64(b, csum_lanes(p + 16));
	}
	if (len >= 16) {
		b = _mm256_add_epi64(b, csum_lanes(p));
		p += 16;
		len -= 16;
	}
	a = _mm256_add_epi64(a, _mm256_cvtepu32_epi64(csum_last(p + len, len)));
	return csum_lanes_sum(_mm256_add_epi64(a, b));
}

/* Of a long stretch that lies beyond the caches the memory this far ahead is asked for. */
#define CSUM_AHEAD 2048u

/* csum_bytes() of a long stretch: four sums side by side, a line a step. */
uint64_t csum_long(const uint8_t *bytes, size_t len);
/* The same of one whose bytes, and those behind it, come from beyond the caches. */
uint64_t csum_long_ahead(const uint8_t *bytes, size_t len);

/* Of a long copied stretch the memory this far ahead is asked for: large values come from beyond the caches. */
#define CSUM_COPY_AHEAD 1024u

/* Copies len bytes and sums them up on the way, as csum_bytes() would. They may not overlap. */
static inline uint64_t
csum_copy(uint8_t *to, const uint8_t *from, size_t len)
{
	const __m256i low = _mm256_set1_epi64x(0xffffffff);
	__m256i sums = _mm256_setzero_si256(), more = sums;

	if (unlikely(len < 16)) {
		memcpy(to, from, len);
		return csum_tail(from, len);
	}
	for (; len >= 64; to += 64, from += 64, len -= 64) {
		_mm_prefetch((const char *)from + CSUM_COPY_AHEAD, _MM_HINT_T0);
		const __m256i a = _mm256_loadu_si256((const __m256i *)(const void *)from);
		const __m256i b = _mm256_loadu_si256((const __m256i *)(const void *)(from + 32));
		_mm256_storeu_si256((__m256i *)(void *)to, a);
		_mm256_storeu_si256((__m256i *)(void *)(to + 32), b);
		sums = _mm256_add_epi64(sums, _mm256_and_si256(a, low));
		more = _mm256_add_epi64(more, _mm256_srli_epi64(a, 32));
		sums = _mm256_add_epi64(sums, _mm256_and_si256(b, low));
		more = _mm256_add_epi64(more, _mm256_srli_epi64(b, 32));
	}
	for (; len >= 16; to += 16, from += 16, len -= 16) {
		const __m128i part = _mm_loadu_si128((const __m128i *)(const void *)from);
		_mm_storeu_si128((__m128i *)(void *)to, part);
		sums = _mm256_add_epi64(sums, _mm256_cvtepu32_epi64(part));
	}
	/* The rest once more with what is before it, which is in place already. */
	memcpy(to + len - 16, from + len - 16, 16);
	sums = _mm256_add_epi64(sums, _mm256_cvtepu32_epi64(csum_last(from + len, len)));
	return csum_lanes_sum(_mm256_add_epi64(sums, more));
}

/* Which of the 32 bytes from `at` on lie before len, for len up to 128: a mask is a window of ones and zeros. */
static inline __m256i
csum_window(const uint8_t *bytes, uint32_t at, uint32_t len)
{
	static const uint8_t ones[256] = {[0 ... 127] = 0xff};

	return _mm256_and_si256(_mm256_loadu_si256((const __m256i *)(const void *)(bytes + at)),
	    _mm256_loadu_si256((const __m256i *)(const void *)(ones + 128 - len + at)));
}

/* 32-bit lanes with the sums of two words of 16. */
static inline __m256i
csum_pairs(__m256i v)
{
	return _mm256_add_epi32(_mm256_and_si256(v, _mm256_set1_epi32(0xffff)), _mm256_srli_epi32(v, 16));
}

/*
 * csum_bytes() for what is mostly short, with at least CSUM_PADDING readable bytes behind it: no loop and no branch
 * that depends on more than the length's class.
 */
#define CSUM_PADDING 64u

static inline uint64_t
csum_padded(const uint8_t *p, uint32_t len)
{
	if (__builtin_expect(len > 128, 0))
		return csum_long(p, len);
	__m256i sum =
	    _mm256_add_epi32(csum_pairs(csum_window(p, 0, len)), csum_pairs(csum_window(p, 32, len)));
	if (len > 64) {
		sum = _mm256_add_epi32(sum, csum_pairs(csum_window(p, 64, len)));
		sum = _mm256_add_epi32(sum, csum_pairs(csum_window(p, 96, len)));
	}
	const __m128i half = _mm_add_epi32(_mm256_castsi256_si128(sum), _mm256_extracti128_si256(sum, 1));
	return (uint64_t)_mm_cvtsi128_si64(_mm_add_epi32(half, _mm_unpackhi_epi64(half, half)));
}

/*
 * Folding is taking the rest of a division by 2^16 - 1, with 0 written as ffff; a multiplication does it. Neither is
 * for a sum of 0, which no bytes but zeros have.
 */
static inline bool
csum_is_right(uint64_t sum)
{
	return sum % 0xffff == 0;
}

/* csum_finish(). */
static inline uint16_t
csum_finish_nonzero(uint64_t sum)
{
	return (uint16_t)(0xfffe - (sum - 1) % 0xffff);
}

/* len bytes from off of a chain, which must hold that many. */
uint64_t csum_mbuf(const struct rte_mbuf *m, uint32_t off, uint32_t len);

/*
 * The pseudo-header of either family (RFC 9293 section 3.1, RFC 8200 section 8.1): an IPv4-mapped address
 * adds only its last word. Source and destination are interchangeable. len 0 for what a port with TSO wants.
 */
static inline uint64_t
csum_pseudo(const struct net_addr *a, const struct net_addr *b, uint8_t proto, uint32_t len)
{
	uint64_t sum = (uint64_t)rte_cpu_to_be_32(proto) + rte_cpu_to_be_32(len) + a->w[3] + b->w[3];
	if (!net_addr_is_v4(a))
		sum += (uint64_t)a->w[0] + a->w[1] + a->w[2] + b->w[0] + b->w[1] + b->w[2];
	return sum;
}

#endif
