/*
 * The Internet checksum in software: for ports without offloads, for ICMP, and for what no port can do
 * (chains that leave as fragments). Few bytes in one piece are summed inline (checksum.h);
 * this is for many, and for chains.
 */
#include "dataplane/net/checksum.h"

static inline uint64_t
sum_lines(const uint8_t *bytes, size_t len, bool ahead)
{
	__m256i a = _mm256_setzero_si256(), b = a, c = a, d = a;

	for (; len >= 64; bytes += 64, len -= 64) {
		if (ahead)
			_mm_prefetch((const char *)bytes + CSUM_AHEAD, _MM_HINT_T0);
		a = _mm256_add_epi64(a, csum_lanes(bytes));
		b = _mm256_add_epi64(b, csum_lanes(bytes + 16));
		c = _mm256_add_epi64(c, csum_lanes(bytes + 32));
		d = _mm256_add_epi64(d, csum_lanes(bytes + 48));
	}
	a = _mm256_add_epi64(_mm256_add_epi64(a, b), _mm256_add_epi64(c, d));
	return csum_lanes_sum(a) + csum_bytes(bytes, len);
}

uint64_t
csum_long(const uint8_t *bytes, size_t len)
{
	return sum_lines(bytes, len, false);
}

uint64_t
csum_long_ahead(const uint8_t *bytes, size_t len)
{
	return sum_lines(bytes, len, true);
}

uint64_t
csum_mbuf(const struct rte_mbuf *m, uint32_t off, uint32_t len)
{
	uint64_t sum = 0;
	bool odd = false; /* an odd number of bytes came before this segment */

	for (; m != NULL && off >= m->data_len; m = m->next)
		off -= m->data_len;
	for (; m != NULL && len > 0; m = m->next, off = 0) {
		const uint32_t part = RTE_MIN(len, (uint32_t)m->data_len - off);
		sum = csum_join(sum, csum_bytes(rte_pktmbuf_mtod_offset(m, uint8_t *, off), part), odd);
		odd ^= part & 1;
		len -= part;
	}
	return sum;
}
