/*
 * The Internet checksum in software: for ports without offloads, for ICMP, and for what no port can do
 * (chains that leave as fragments). The loops are plain so that the compiler vectorises them.
 */
#include "dataplane/net/checksum.h"

uint64_t
csum_bytes(const void *bytes, size_t len)
{
	const uint8_t *p = bytes;
	uint64_t sum = 0;

	for (; len >= 4; p += 4, len -= 4) {
		uint32_t w;
		memcpy(&w, p, sizeof(w));
		sum += w;
	}
	if (len >= 2) {
		uint16_t h;
		memcpy(&h, p, sizeof(h));
		sum += h;
		p += 2;
		len -= 2;
	}
	if (len > 0) {
		uint16_t last = 0;
		memcpy(&last, p, 1);
		sum += last;
	}
	return sum;
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
		const uint16_t folded =
		    csum_fold(csum_bytes(rte_pktmbuf_mtod_offset(m, uint8_t *, off), part));
		/* RFC 1071 section 2(B): the sum of byte-swapped words is the byte-swapped sum. */
		sum += odd ? rte_bswap16(folded) : folded;
		odd ^= part & 1;
		len -= part;
	}
	return sum;
}
