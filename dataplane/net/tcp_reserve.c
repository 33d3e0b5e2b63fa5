/*
 * See tcp_reserve.h.
 */
#include "dataplane/net/tcp_reserve.h"

#include "dataplane/net/tcp_stack.h"

#define FILL_MAX 4u /* in one poll: the reserve must not be what empties the pool */

struct rte_mbuf *
tcp_reserve_take(struct tcp_stack *tcp, bool payload, bool idle)
{
	struct tcp_reserve *r = &tcp->reserve;
	uint32_t keep = payload ? tcp->config.mbuf_reserve / 2 : 0;
	if (r->len <= keep || (payload && !idle)) {
		tcp->counters->drop_tcp_no_mbuf++;
		return NULL;
	}
	tcp->counters->tcp_reserve_used++;
	return r->mbufs[--r->len];
}

void
tcp_reserve_fill(struct tcp_stack *tcp)
{
	struct tcp_reserve *r = &tcp->reserve;
	uint32_t want = RTE_MIN(tcp->config.mbuf_reserve, TCP_RESERVE_MAX);
	for (unsigned i = 0; i < FILL_MAX && r->len < want; i++) {
		struct rte_mbuf *m = rte_pktmbuf_alloc(tcp->env.pool);
		if (!m)
			return;
		r->mbufs[r->len++] = m;
	}
}

void
tcp_reserve_fini(struct tcp_stack *tcp)
{
	struct tcp_reserve *r = &tcp->reserve;
	while (r->len)
		rte_pktmbuf_free(r->mbufs[--r->len]);
}
