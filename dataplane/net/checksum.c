/*
 * The Internet checksum in software: for ports without offloads, for ICMP, and for what no port can do
 * (chains that leave as fragments). Bytes in one piece are summed inline (checksum.h); this is for chains.
 */
#include "dataplane/net/checksum.h"

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
