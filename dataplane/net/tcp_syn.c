/*
 * Handshakes that are not finished: 64-byte SYN entries with lists by age, the initial sequence number, and
 * what becomes of a segment for an entry. A full backlog drops the SYN and never answers with RST; an entry
 * that hears nothing resends its SYN-ACK after 1, 2 and 4 seconds and is gone after 15.
 */
#include "dataplane/net/tcp_cookie.h"
#include "dataplane/net/tcp_in.h"
#include "dataplane/net/tcp_out.h"
#include "dataplane/net/tcp_stack.h"

#define SYN_PRESSURE_PERCENT 90u
#define ISN_CLOCK_SHIFT      2 /* 4 microseconds (RFC 6528 3) */

uint32_t
tcp_syn_isn(const struct tcp_stack *tcp, const struct net_flow *flow)
{
	uint32_t clock = (uint32_t)(tcp->now_us >> ISN_CLOCK_SHIFT);
	return clock + (uint32_t)tcp_siphash_flow(tcp->secrets.isn, flow, 0) + tcp->isn_offset;
}

uint32_t
tcp_syn_ts_offset(const struct tcp_stack *tcp, const struct net_flow *flow)
{
	return (uint32_t)tcp_siphash_flow(tcp->secrets.ts, flow, 0);
}

/* ---- age lists -------------------------------------------------------------------------------- */

void
tcp_mini_push(struct tcp_stack *tcp, struct tcp_mini_list *list, uint32_t ref)
{
	struct tcp_mini *e = tcp_mini_at(tcp, ref);
	e->tick = tcp->tick;
	e->next = TCP_INDEX_NONE;
	e->prev = list->tail;
	if (list->tail == TCP_INDEX_NONE)
		list->head = ref;
	else
		tcp_mini_at(tcp, list->tail)->next = ref;
	list->tail = ref;
	list->len++;
}

void
tcp_mini_unlink(struct tcp_stack *tcp, struct tcp_mini_list *list, uint32_t ref)
{
	struct tcp_mini *e = tcp_mini_at(tcp, ref);
	if (e->prev == TCP_INDEX_NONE)
		list->head = e->next;
	else
		tcp_mini_at(tcp, e->prev)->next = e->next;
	if (e->next == TCP_INDEX_NONE)
		list->tail = e->prev;
	else
		tcp_mini_at(tcp, e->next)->prev = e->prev;
	list->len--;
}

/* ---- entries ---------------------------------------------------------------------------------- */

static unsigned
resent(const struct tcp_mini *e)
{
	return e->mss >> TCP_MINI_RESENT_SHIFT;
}

static uint32_t
half_open(const struct tcp_stack *tcp)
{
	uint32_t sum = 0;
	for (unsigned i = 0; i <= TCP_SYN_RETRIES; i++)
		sum += tcp->syn_lists[i].len;
	return sum;
}

static void
entry_free(struct tcp_stack *tcp, struct tcp_mini *e, uint32_t ref)
{
	tcp_mini_unlink(tcp, &tcp->syn_lists[resent(e)], ref);
	tcp_slab_put(&tcp->minis, &tcp->mem, ref & ~TCP_REF_MINI);
}

static void
entry_remove(struct tcp_stack *tcp, struct tcp_mini *e, uint32_t ref)
{
	tcp_table_remove(tcp, tcp_hash_flow(&tcp->secrets, &e->flow), ref);
	entry_free(tcp, e, ref);
}

bool
tcp_syn_answer(struct tcp_stack *tcp, const struct tcp_mini *e, uint32_t tsval)
{
	struct tcp_bare bare = {.flow = &e->flow,
	    .seq = e->snd_nxt - 1,
	    .ack = e->rcv_nxt,
	    .flags = RTE_TCP_SYN_FLAG | RTE_TCP_ACK_FLAG,
	    .wnd = (uint16_t)RTE_MIN(tcp->config.rcv_buffer_bytes, 65535u)};
	struct tcp_opt_syn o = {.mss = tcp_mss_for(tcp, &e->flow),
	    .wscale = tcp->rcv_wscale,
	    .options = e->options,
	    .tsval = tsval,
	    .tsecr = e->ts_recent};
	bare.opt_len = (uint8_t)tcp_opt_syn(bare.opt, &o);
	return tcp_out_bare(tcp, &bare);
}

static bool
send_syn_ack(struct tcp_stack *tcp, const struct tcp_mini *e)
{
	return tcp_syn_answer(tcp, e, tcp_ts_now(tcp) + tcp_syn_ts_offset(tcp, &e->flow));
}

static bool
listening(const struct tcp_stack *tcp, rte_be16_t port)
{
	bool found = false;
	for (unsigned i = 0; i < RTE_DIM(tcp->config.listen_ports); i++)
		found |= tcp->config.listen_ports[i] == port;
	return (found || net_port_in(&tcp->config.listen_range, port)) && port;
}

static void
entry_fill(struct tcp_mini *e, const struct tcp_seg *seg)
{
	uint32_t mss = seg->has_mss && seg->mss ? seg->mss : TCP_MSS_DEFAULT;
	unsigned resends = e->mss & ~TCP_MINI_MSS_MASK; /* names the list that it is in */
	memcpy(e->flow_bytes, seg->flow, sizeof(e->flow_bytes));
	e->kind = TCP_MINI_SYN;
	e->options =
	    (uint8_t)((seg->has_ts ? TCP_MINI_OPT_TS : 0) | (seg->has_sack_ok ? TCP_MINI_OPT_SACK : 0) |
	              (seg->has_wscale ? TCP_MINI_OPT_WS : 0)) &
	    7;
	e->snd_wscale = (uint8_t)RTE_MIN(seg->wscale, (uint8_t)TCP_WSCALE_MAX) & 15;
	e->mss = (uint16_t)(RTE_MIN(RTE_MAX(mss, TCP_MSS_MIN), TCP_MINI_MSS_MASK) | resends);
	e->rcv_nxt = seg->seq + 1;
	e->ts_recent = seg->tsval;
	if (!seg->has_wscale)
		e->snd_wscale = 0;
	if (!seg->has_ts)
		e->ts_recent = 0;
}

/* A SYN for nobody yet. Payload on it is not acknowledged, so that the peer sends it again. */
void
tcp_syn_received(struct tcp_stack *tcp, struct tcp_seg *seg)
{
	uint32_t index;
	tcp->counters->tcp_syns_in++;
	if (!listening(tcp, seg->flow->local_port)) {
		tcp->counters->drop_tcp_port++;
		tcp_out_reject(tcp, seg);
		return;
	}
	enum tcp_admission admission = tcp->app.admit ? tcp->app.admit(tcp->app.app, seg->flow) : TCP_ADMIT;
	if (unlikely(admission != TCP_ADMIT)) {
		tcp->counters->drop_tcp_admission++;
		if (admission == TCP_REFUSE)
			tcp_out_reject(tcp, seg);
		return;
	}
	if (tcp->conns.used >= tcp->conns.max) {
		tcp->counters->drop_tcp_connections_max++;
		return;
	}
	if (half_open(tcp) >= tcp->config.syn_backlog_max) {
		struct tcp_mini once = {0};
		entry_fill(&once, seg);
		tcp_cookie_answer(tcp, &once);
		return;
	}
	struct tcp_mini *e = NULL;
	if (!tcp_mem_above(&tcp->mem, SYN_PRESSURE_PERCENT))
		e = tcp_slab_get(&tcp->minis, &tcp->mem, &index);
	if (!e) {
		tcp->counters->drop_tcp_no_memory++;
		return;
	}
	entry_fill(e, seg);
	e->snd_nxt = tcp_syn_isn(tcp, seg->flow) + 1;
	if (!send_syn_ack(tcp, e) || !tcp_table_insert(tcp, seg->hash, index | TCP_REF_MINI)) {
		tcp_slab_put(&tcp->minis, &tcp->mem, index);
		return;
	}
	tcp_mini_push(tcp, &tcp->syn_lists[0], index | TCP_REF_MINI);
}

/* A connection from what an entry, or a cookie, says. NULL: no room; it is not in the table yet. */
static struct tcp_conn *
conn_from(struct tcp_stack *tcp, const struct tcp_mini *e, const struct tcp_seg *seg)
{
	struct tcp_conn *c = tcp_conn_new(tcp, &e->flow, seg->hash);
	if (!c) {
		tcp->counters->drop_tcp_connections_max++;
		return NULL;
	}
	struct tcp_syn_info info = {
	    .mss = e->mss & TCP_MINI_MSS_MASK, .wscale = e->snd_wscale, .options = e->options};
	tcp_conn_agree(c, &info);
	c->rcv_nxt = c->last_ack_sent = e->rcv_nxt;
	c->rcv_edge = e->rcv_nxt + RTE_MIN(tcp->config.rcv_buffer_bytes, 65535u);
	c->snd_una = c->snd_nxt = c->sq_end = e->snd_nxt;
	c->ts_recent = e->ts_recent;
	c->snd_wnd = c->snd_wnd_max = (uint32_t)seg->wnd << c->snd_wscale;
	c->snd_wl1 = seg->seq;
	c->snd_wl2 = seg->ack;
	return c;
}

/* The ACK that ends the handshake. Returns the connection, or NULL: dropped, and the entry waits for its end. */
static struct tcp_conn *
entry_establish(struct tcp_stack *tcp, struct tcp_mini *e, uint32_t ref, const struct tcp_seg *seg)
{
	struct tcp_conn *c = conn_from(tcp, e, seg);
	if (!c)
		return NULL;
	/* A SYN-ACK sent once was timed by the entry's age (RFC 6298 with Karn); half a tick stands for less than one. */
	if (!resent(e))
		tcp_rtt_sample(
		    c, RTE_MAX((tcp->tick - e->tick) << TCP_TICK_SHIFT, 1u << (TCP_TICK_SHIFT - 1)));
	tcp_table_replace(tcp, seg->hash, ref, c->index);
	entry_free(tcp, e, ref);
	return c;
}

bool
tcp_syn_cookie_input(struct tcp_stack *tcp, struct tcp_seg *seg)
{
	uint8_t kind = seg->flags & (RTE_TCP_SYN_FLAG | RTE_TCP_ACK_FLAG | RTE_TCP_RST_FLAG);
	struct tcp_mini e;
	if (kind != RTE_TCP_ACK_FLAG || !tcp_cookie_recent(tcp) || !listening(tcp, seg->flow->local_port))
		return false;
	switch (tcp_cookie_check(tcp, seg, &e)) {
	case TCP_COOKIE_GOOD:
		break;
	case TCP_COOKIE_SPENT:
		tcp->counters->drop_tcp_cookie_spent++;
		tcp_out_reject(tcp, seg);
		return true;
	case TCP_COOKIE_FULL:
		tcp->counters->drop_tcp_no_memory++;
		return true;
	case TCP_COOKIE_NONE:
		tcp->counters->drop_tcp_cookie++;
		return true;
	}
	struct tcp_conn *c = conn_from(tcp, &e, seg);
	if (!c)
		return true;
	if (!tcp_table_insert(tcp, seg->hash, c->index)) {
		tcp_slab_put(&tcp->conns, &tcp->mem, c->index);
		return true;
	}
	tcp->counters->tcp_cookies_accepted++;
	tcp_cookie_spend(tcp, seg);
	if (tcp_conn_established(c))
		tcp_in_segment(c, seg);
	return true;
}

static void
entry_ack(struct tcp_stack *tcp, struct tcp_mini *e, uint32_t ref, struct tcp_seg *seg)
{
	if (seg->ack != e->snd_nxt) {
		tcp->counters->drop_tcp_ack++;
		tcp_out_reject(tcp, seg);
		return;
	}
	if (e->options & TCP_MINI_OPT_TS && seg->has_ts && tcp_seq_lt(seg->tsval, e->ts_recent)) {
		tcp->counters->drop_tcp_paws++;
		return;
	}
	/* Beyond the first window, or a late copy of something older: not this handshake's end. */
	if (seg->seq - e->rcv_nxt > RTE_MIN(tcp->config.rcv_buffer_bytes, 65535u)) {
		tcp->counters->drop_tcp_window++;
		return;
	}
	struct tcp_conn *c = entry_establish(tcp, e, ref, seg);
	if (c && tcp_conn_established(c))
		tcp_in_segment(c, seg);
}

void
tcp_syn_entry_input(struct tcp_stack *tcp, struct tcp_mini *e, uint32_t ref, struct tcp_seg *seg)
{
	if (seg->flags & RTE_TCP_RST_FLAG) {
		if (seg->seq == e->rcv_nxt) {
			tcp->counters->tcp_resets_in++;
			entry_remove(tcp, e, ref);
		} else {
			tcp->counters->drop_tcp_rst++;
		}
	} else if (seg->flags & RTE_TCP_SYN_FLAG) {
		tcp->counters->tcp_syns_in++;
		if (seg->flags & RTE_TCP_ACK_FLAG) {
			tcp->counters->drop_tcp_syn++;
			tcp_out_reject(tcp, seg);
			return;
		}
		/* Another initial sequence number: back to LISTEN (RFC 9293 3.10.7.4) and forward again. */
		if (seg->seq + 1 != e->rcv_nxt)
			entry_fill(e, seg);
		(void)send_syn_ack(tcp, e);
	} else if (seg->flags & RTE_TCP_ACK_FLAG) {
		entry_ack(tcp, e, ref, seg);
	} else {
		tcp->counters->drop_tcp_no_ack++;
	}
}

/* ---- time ------------------------------------------------------------------------------------- */

/* The oldest entry of a list is due: next SYN-ACK, or the end. */
static void
entry_timeout(struct tcp_stack *tcp, unsigned level)
{
	uint32_t ref = tcp->syn_lists[level].head;
	struct tcp_mini *e = tcp_mini_at(tcp, ref);
	if (level == TCP_SYN_RETRIES) {
		tcp->counters->tcp_syns_expired++;
		entry_remove(tcp, e, ref);
		return;
	}
	/* Without an mbuf it counts as sent and lost. */
	(void)send_syn_ack(tcp, e);
	tcp->counters->tcp_retransmits++;
	tcp_mini_unlink(tcp, &tcp->syn_lists[level], ref);
	e->mss = (uint16_t)((e->mss & TCP_MINI_MSS_MASK) | (level + 1) << TCP_MINI_RESENT_SHIFT);
	tcp_mini_push(tcp, &tcp->syn_lists[level + 1], ref);
}

uint64_t
tcp_syn_poll(struct tcp_stack *tcp)
{
	uint64_t next_us = UINT64_MAX;
	unsigned budget = TCP_REAP_MAX;
	for (unsigned level = 0; level <= TCP_SYN_RETRIES; level++) {
		struct tcp_mini_list *list = &tcp->syn_lists[level];
		uint32_t lifetime = tcp_ticks((uint64_t)TCP_RTO_INITIAL_US << level);
		while (list->head != TCP_INDEX_NONE) {
			uint32_t age = tcp->tick - tcp_mini_at(tcp, list->head)->tick;
			if (age < lifetime) {
				next_us = RTE_MIN(next_us, (uint64_t)(lifetime - age) << TCP_TICK_SHIFT);
				break;
			}
			if (budget-- == 0)
				return 0;
			entry_timeout(tcp, level);
		}
	}
	return next_us;
}
