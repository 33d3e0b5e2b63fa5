/*
 * A look at every open connection, some at a time; and room for more of them.
 */
#include "dataplane/net/tcp.h"

#include "dataplane/net/tcp_stack.h"

bool
tcp_walk(struct tcp_stack *tcp, uint32_t *cursor, unsigned budget,
    void (*visit)(void *ctx, const struct tcp_glance *glance), void *ctx)
{
	uint32_t total = tcp->conns.chunks_len << tcp->conns.shift;
	for (; budget > 0 && *cursor < total; budget--, (*cursor)++) {
		struct tcp_conn *c = tcp_conn_at(tcp, *cursor);
		bool ended = c->state == TCP_FIN_WAIT_2;
		if (!ended && ((c->state != TCP_ESTABLISHED && c->state != TCP_CLOSE_WAIT) ||
		                  c->flags & TCP_F_FIN_QUEUED))
			continue;
		struct tcp_glance glance = {.conn = c,
		    .index = *cursor,
		    .activity = c->rcv_nxt ^ (c->sq_end << 16 | c->sq_end >> 16),
		    .unsent = tcp_unsent_bytes(c) != 0,
		    .ended = ended};
		visit(ctx, &glance);
	}
	if (*cursor < total)
		return true;
	*cursor = 0;
	return false;
}

bool
tcp_set_connections_max(struct tcp_stack *tcp, uint32_t connections_max)
{
	uint32_t minis = tcp->config.syn_backlog_max + tcp->config.time_wait_max;
	if (connections_max >= 1u << 28)
		return false;
	if (connections_max > tcp->conns.max &&
	    (!tcp_table_grow(tcp, connections_max + minis) ||
	        !tcp_slab_grow_max(&tcp->conns, &tcp->mem, connections_max)))
		return false;
	tcp->conns.max = connections_max;
	return true;
}
