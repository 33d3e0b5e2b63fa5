/*
 * Life and death of a connection. Death is in two steps, so that an application may abort inside of its own
 * callbacks: tcp_conn_kill() takes it out of the table and the wheel at once; tcp_reap() releases what it
 * held and tells closed() when no callback is running.
 */
#include "dataplane/net/tcp_cc.h"
#include "dataplane/net/tcp_in.h"
#include "dataplane/net/tcp_out.h"
#include "dataplane/net/tcp_rx.h"
#include "dataplane/net/tcp_sack.h"
#include "dataplane/net/tcp_sendq.h"
#include "dataplane/net/tcp_stack.h"

#define PRESSURE_RESET_PERCENT 90u
#define MTU_FLOOR_V4           552u /* RFC 1191 and common practice */
#define MTU_FLOOR_V6           1280u

struct tcp_conn *
tcp_conn_new(struct tcp_stack *tcp, const struct net_flow *flow, uint32_t hash)
{
	uint32_t index;
	struct tcp_conn *c = tcp_slab_get(&tcp->conns, &tcp->mem, &index);
	if (!c)
		return NULL;
	memcpy(c->flow_bytes, flow, sizeof(c->flow_bytes));
	c->tcp = tcp;
	c->index = index;
	c->hash = hash;
	c->next = TCP_INDEX_NONE;
	c->timer_next = TCP_INDEX_NONE;
	c->progress_tick = c->rx_tick = c->tx_tick = tcp->tick;
	c->ts_offset = tcp_syn_ts_offset(tcp, flow);
	return c;
}

uint16_t
tcp_mss_for(struct tcp_stack *tcp, const struct net_flow *flow)
{
	uint32_t headers = sizeof(struct rte_tcp_hdr) + (net_addr_is_v4(&flow->remote) ? 20 : 40);
	uint32_t mtu = tcp->env.mtu(tcp->env.ctx, flow);
	uint32_t mss = mtu > headers + TCP_MSS_MIN ? mtu - headers : TCP_MSS_MIN;
	mss = RTE_MIN(mss, (uint32_t)tcp->payload_max);
	if (tcp->config.mss_max)
		mss = RTE_MIN(mss, (uint32_t)tcp->config.mss_max);
	return (uint16_t)mss;
}

uint16_t
tcp_conn_mss_within(const struct tcp_conn *c, uint16_t mtu)
{
	bool v4 = net_addr_is_v4(&c->flow.remote);
	uint32_t floor = v4 ? MTU_FLOOR_V4 : MTU_FLOOR_V6;
	uint32_t headers =
	    sizeof(struct rte_tcp_hdr) + (v4 ? 20u : 40u) + (c->flags & TCP_F_TS ? TCP_OPT_TS_BYTES : 0);
	return (uint16_t)(RTE_MAX((uint32_t)mtu, floor) - headers);
}

void
tcp_conn_agree(struct tcp_conn *c, const struct tcp_syn_info *info)
{
	c->mss = RTE_MIN(RTE_MAX(info->mss, (uint16_t)TCP_MSS_MIN), tcp_mss_for(c->tcp, &c->flow));
	if (info->options & TCP_MINI_OPT_TS) {
		c->flags |= TCP_F_TS;
		c->mss -= TCP_OPT_TS_BYTES;
	}
	if (info->options & TCP_MINI_OPT_SACK)
		c->flags |= TCP_F_SACK;
	if (info->options & TCP_MINI_OPT_WS) {
		c->more |= TCP_M_WSCALE_AGREED;
		c->snd_wscale = RTE_MIN(info->wscale, (uint8_t)TCP_WSCALE_MAX);
		c->rcv_wscale = c->tcp->rcv_wscale;
	}
	tcp_cc_init(c);
}

bool
tcp_conn_established(struct tcp_conn *c)
{
	struct tcp_stack *tcp = c->tcp;
	bool refuse = false;
	c->state = TCP_ESTABLISHED;
	c->backoff = 0;
	c->rtx_deadline = 0;
	c->progress_tick = c->rx_tick = tcp->tick;
	tcp->counters->tcp_accepted++;
	tcp_timer_update(c);
	c->context = tcp->app.accepted(tcp->app.app, c, &refuse);
	if (!refuse) {
		c->flags |= TCP_F_ACCEPTED;
		return c->state != TCP_CLOSED;
	}
	c->flags &= (uint16_t)~TCP_F_ACTIVE;
	if (c->state != TCP_CLOSED)
		tcp_conn_reset(c, TCP_CLOSED_LOCALLY);
	return false;
}

/* Out of the wheel and onto the list for tcp_reap(); the table is the caller's. */
static void
finish(struct tcp_conn *c, enum tcp_close_reason reason)
{
	struct tcp_stack *tcp = c->tcp;
	tcp_timer_disarm(c);
	c->state = TCP_CLOSED;
	c->close_reason = (uint8_t)reason;
	tcp->counters->tcp_closed++;
	/* On the touched list it stays until the flush finds it; both lists use the same link. */
	if (c->flags & TCP_F_TOUCHED)
		return;
	c->next = tcp->dead_head;
	tcp->dead_head = c->index;
}

void
tcp_conn_kill(struct tcp_conn *c, enum tcp_close_reason reason)
{
	if (c->state == TCP_CLOSED)
		return;
	tcp_table_remove(c->tcp, c->hash, c->index);
	finish(c, reason);
}

void
tcp_conn_reset(struct tcp_conn *c, enum tcp_close_reason reason)
{
	if (c->state == TCP_CLOSED)
		return;
	if (c->state != TCP_SYN_SENT)
		tcp_out_reset(c);
	tcp_conn_kill(c, reason);
}

void
tcp_conn_time_wait(struct tcp_conn *c)
{
	c->state = TCP_TIME_WAIT;
	c->progress_tick = c->tcp->tick;
	if (c->flags & (TCP_F_ACK_NOW | TCP_F_ACK_SOON))
		tcp_out_ack(c, NULL);
	if (tcp_rx_unread(c)) {
		tcp_timer_update(c);
		return;
	}
	if (tcp_tw_replace(c))
		finish(c, TCP_CLOSED_NORMALLY);
	else if (!c->tcp->config.time_wait_max)
		tcp_conn_kill(c, TCP_CLOSED_NORMALLY);
	else
		tcp_timer_update(c); /* no memory for the entry: the connection stands for it */
}

void
tcp_reap(struct tcp_stack *tcp)
{
	while (tcp->dead_head != TCP_INDEX_NONE) {
		struct tcp_conn *c = tcp_conn_at(tcp, tcp->dead_head);
		tcp->dead_head = c->next;
		tcp_sendq_clear(c);
		tcp_rx_clear(c);
		tcp_board_drop(c);
		if (c->flags & (TCP_F_ACCEPTED | TCP_F_ACTIVE))
			tcp->app.closed(tcp->app.app, c, c->context, c->close_reason);
		tcp_slab_put(&tcp->conns, &tcp->mem, c->index);
	}
}

/* Above the limit: of a few connections in turn, the one that holds memory and has progressed least recently
 * goes. */
void
tcp_conn_check_limits(struct tcp_stack *tcp)
{
	struct tcp_conn *worst = NULL;
	uint32_t total = tcp->conns.chunks_len << tcp->conns.shift;
	if (likely(!tcp_mem_above(&tcp->mem, PRESSURE_RESET_PERCENT)) || !total)
		return;
	for (uint32_t i = 0; i < TCP_PRESSURE_SCAN; i++) {
		tcp->pressure_hand = (tcp->pressure_hand + 1) % total;
		struct tcp_conn *c = tcp_conn_at(tcp, tcp->pressure_hand);
		if (c->state == TCP_CLOSED || (!c->sq_head && !c->rxq))
			continue;
		if (!worst || tcp_seq_lt(c->progress_tick, worst->progress_tick))
			worst = c;
	}
	if (!worst)
		return;
	tcp->counters->tcp_pressure_resets++;
	tcp_conn_reset(worst, TCP_CLOSED_PRESSURE);
}
