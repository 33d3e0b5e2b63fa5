/*
 * Cutting and joining chained mbufs, safely for chains of any shape that a port or a peer's fragments may
 * produce.
 *
 * The inline half handles a packet in one buffer, the usual case. Nothing here knows headers.
 */
#ifndef WIRECACHE_NET_PKT_H
#define WIRECACHE_NET_PKT_H

#include <stdbool.h>
#include <stdint.h>
#include <rte_branch_prediction.h>
#include <rte_mbuf.h>

void pkt_cut_chain(struct rte_mbuf *m, uint32_t off, uint32_t len);

/* Makes m's data the bytes [off, off + len) of what it was; it must hold them. Buffers left over are
 * freed. */
static inline void
pkt_cut(struct rte_mbuf *m, uint32_t off, uint32_t len)
{
	if (unlikely(m->nb_segs != 1)) {
		pkt_cut_chain(m, off, len);
		return;
	}
	m->data_off = (uint16_t)(m->data_off + off);
	m->data_len = (uint16_t)len;
	m->pkt_len = len;
}

/*
 * Returns a packet of the same bytes whose first buffer holds at least min(len, pkt_len) of them, from pool
 * if that takes a new buffer. NULL (m still the caller's, unchanged) when there is none or len exceeds a
 * buffer.
 */
struct rte_mbuf *pkt_pull_or_null(struct rte_mbuf *m, uint32_t len, struct rte_mempool *pool);

/* Whether all of its bytes may be overwritten: nobody else holds a reference. */
bool pkt_is_exclusive(const struct rte_mbuf *m);

/* Copies len bytes from off into out; false when m is shorter. */
bool pkt_read(const struct rte_mbuf *m, uint32_t off, uint32_t len, void *out);

/* Appends tail's buffers to head's; together they must be no more than RTE_MBUF_MAX_NB_SEGS. */
void pkt_join(struct rte_mbuf *head, struct rte_mbuf *tail);

/* Memory that the packet pins: whole buffers, not the bytes in use. */
uint32_t pkt_true_bytes(const struct rte_mbuf *m);

/* Forgets what the port said on receive and what it shall do on send; buffer properties stay. */
static inline void
pkt_clear_offloads(struct rte_mbuf *m)
{
	m->ol_flags &= RTE_MBUF_F_EXTERNAL | RTE_MBUF_F_INDIRECT;
	m->tx_offload = 0;
}

#endif
