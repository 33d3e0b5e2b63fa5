/*
 * Chained mbufs: the cold half of pkt.h. librte_mbuf's own rte_pktmbuf_adj() and _trim() stay within one
 * segment; these cross them.
 */
#include "dataplane/net/pkt.h"

#include <string.h>

/*
 * The head must stay the head: callers hold a pointer to it. It may become empty, which is legal for a chain.
 */
void
pkt_cut_chain(struct rte_mbuf *m, uint32_t off, uint32_t len)
{
	struct rte_mbuf *seg = m, *last = m;
	uint32_t left = len;
	uint16_t segs = 1;

	m->pkt_len = len;
	while (seg != NULL) {
		struct rte_mbuf *next = seg->next;
		const uint32_t skip = RTE_MIN(off, (uint32_t)seg->data_len);
		const uint32_t keep = RTE_MIN(left, (uint32_t)seg->data_len - skip);

		off -= skip;
		left -= keep;
		if (keep == 0 && seg != m) {
			last->next = next;
			rte_pktmbuf_free_seg(seg);
		} else {
			seg->data_off = (uint16_t)(seg->data_off + skip);
			seg->data_len = (uint16_t)keep;
			segs = (uint16_t)(segs + (seg != m));
			last = seg;
		}
		seg = next;
	}
	m->nb_segs = segs;
}

struct rte_mbuf *
pkt_pull_or_null(struct rte_mbuf *m, uint32_t len, struct rte_mempool *pool)
{
	len = RTE_MIN(len, m->pkt_len);
	if (m->data_len >= len)
		return m;
	struct rte_mbuf *head = rte_pktmbuf_alloc(pool);
	if (head == NULL)
		return NULL;
	if (len > rte_pktmbuf_tailroom(head) || m->nb_segs == RTE_MBUF_MAX_NB_SEGS) {
		rte_pktmbuf_free(head);
		return NULL;
	}
	/* A copy first: nothing of m has changed if it cannot be made. */
	pkt_read(m, 0, len, rte_pktmbuf_append(head, (uint16_t)len));
	head->ol_flags |= m->ol_flags & ~(RTE_MBUF_F_EXTERNAL | RTE_MBUF_F_INDIRECT);
	head->hash = m->hash;
	head->vlan_tci = m->vlan_tci;
	head->port = m->port;
	if (len == m->pkt_len) {
		rte_pktmbuf_free(m);
		return head;
	}
	pkt_cut_chain(m, len, m->pkt_len - len);
	while (m->data_len == 0 && m->next != NULL) {
		struct rte_mbuf *empty = m;
		m = m->next;
		m->pkt_len = empty->pkt_len;
		m->nb_segs = (uint16_t)(empty->nb_segs - 1);
		rte_pktmbuf_free_seg(empty);
	}
	head->next = m;
	head->nb_segs = (uint16_t)(head->nb_segs + m->nb_segs);
	head->pkt_len += m->pkt_len;
	return head;
}

bool
pkt_is_exclusive(const struct rte_mbuf *m)
{
	for (; m != NULL; m = m->next)
		if (!RTE_MBUF_DIRECT(m) || rte_mbuf_refcnt_read(m) != 1)
			return false;
	return true;
}

bool
pkt_read(const struct rte_mbuf *m, uint32_t off, uint32_t len, void *out)
{
	uint8_t *to = out;

	if (off > m->pkt_len || len > m->pkt_len - off)
		return false;
	for (; m != NULL && off >= m->data_len; m = m->next)
		off -= m->data_len;
	for (; m != NULL && len > 0; m = m->next, off = 0) {
		const uint32_t part = RTE_MIN(len, (uint32_t)m->data_len - off);
		memcpy(to, rte_pktmbuf_mtod_offset(m, const uint8_t *, off), part);
		to += part;
		len -= part;
	}
	return len == 0;
}

void
pkt_join(struct rte_mbuf *head, struct rte_mbuf *tail)
{
	rte_pktmbuf_lastseg(head)->next = tail;
	head->nb_segs = (uint16_t)(head->nb_segs + tail->nb_segs);
	head->pkt_len += tail->pkt_len;
	tail->pkt_len = tail->data_len;
}

uint32_t
pkt_true_bytes(const struct rte_mbuf *m)
{
	uint32_t bytes = 0;

	for (; m != NULL; m = m->next)
		bytes += m->buf_len + (uint32_t)sizeof(*m);
	return bytes;
}
