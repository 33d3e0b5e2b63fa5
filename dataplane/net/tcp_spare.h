/*
 * Packets that came in and whose bytes are done with, kept for the replies that leave in the same pass: an array in
 * place of the pool, and memory that is still in the cache. Only plain packets of the stack's own pool that nobody else
 * holds are kept; what the flush does not use goes back to the pool at its end.
 */
#ifndef WIRECACHE_TCP_SPARE_H
#define WIRECACHE_TCP_SPARE_H

#include "dataplane/net/tcp_stack.h"

/* Takes m always. */
static inline void
tcp_spare_put(struct tcp_stack *tcp, struct rte_mbuf *m)
{
	if (likely(tcp->spares_len < TCP_SPARES_MAX && m->pool == tcp->env.pool && m->nb_segs == 1 &&
	           RTE_MBUF_DIRECT(m) && rte_mbuf_refcnt_read(m) == 1))
		tcp->spares[tcp->spares_len++] = m;
	else
		rte_pktmbuf_free(m);
}

/* An empty packet, or NULL. */
static inline struct rte_mbuf *
tcp_spare_take(struct tcp_stack *tcp)
{
	if (unlikely(!tcp->spares_len))
		return rte_pktmbuf_alloc(tcp->env.pool);
	struct rte_mbuf *m = tcp->spares[--tcp->spares_len];
	/* What rte_pktmbuf_reset() does, for one that is direct and of one segment, as tcp_spare_put() made sure. */
	m->ol_flags = 0;
	m->data_off = RTE_PKTMBUF_HEADROOM;
	m->data_len = 0;
	m->pkt_len = 0;
	return m;
}

static inline void
tcp_spare_return(struct tcp_stack *tcp)
{
	if (tcp->spares_len)
		rte_mempool_put_bulk(tcp->env.pool, (void **)tcp->spares, tcp->spares_len);
	tcp->spares_len = 0;
}

#endif
