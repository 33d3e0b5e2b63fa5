/*
 * TIME-WAIT: what remains of a connection that closed first, 64 bytes for a minute. It answers a repeated
 * FIN, ignores RST (RFC 1337), and gives its place to a new SYN that is provably newer (RFC 6191). Above
 * time_wait_max the oldest one goes.
 */
#include "dataplane/net/tcp_in.h"
#include "dataplane/net/tcp_out.h"
#include "dataplane/net/tcp_stack.h"

#define ISN_GAP     131072u  /* a reused tuple starts at least so far above what the old connection sent */
#define GIVE_WAY_US 1000000u /* our timestamps have certainly moved by then */

static void
remove_entry(struct tcp_stack *tcp, struct tcp_mini *e, uint32_t ref)
{
	tcp_table_remove(tcp, tcp_hash_flow(&tcp->secrets, &e->flow), ref);
	tcp_mini_unlink(tcp, &tcp->tw_list, ref);
	tcp_slab_put(&tcp->minis, &tcp->mem, ref & ~TCP_REF_MINI);
}

static void
remove_oldest(struct tcp_stack *tcp)
{
	uint32_t ref = tcp->tw_list.head;
	remove_entry(tcp, tcp_mini_at(tcp, ref), ref);
}

bool
tcp_tw_replace(struct tcp_conn *c)
{
	struct tcp_stack *tcp = c->tcp;
	uint32_t index;
	if (tcp->tw_list.len >= tcp->config.time_wait_max && tcp->tw_list.len) {
		tcp->counters->tcp_time_wait_evicted++;
		remove_oldest(tcp);
	}
	struct tcp_mini *e = tcp->config.time_wait_max ? tcp_slab_get(&tcp->minis, &tcp->mem, &index) : NULL;
	if (!e)
		return false;
	memcpy(e->flow_bytes, &c->flow, sizeof(e->flow_bytes));
	e->kind = TCP_MINI_TIME_WAIT;
	e->options = c->flags & TCP_F_TS ? TCP_MINI_OPT_TS : 0;
	e->snd_nxt = c->snd_nxt;
	e->rcv_nxt = c->rcv_nxt;
	e->ts_recent = c->ts_recent;
	tcp_table_replace(tcp, c->hash, c->index, index | TCP_REF_MINI);
	tcp_mini_push(tcp, &tcp->tw_list, index | TCP_REF_MINI);
	return true;
}

static void
acknowledge(struct tcp_stack *tcp, const struct tcp_mini *e)
{
	struct tcp_bare bare = {
	    .flow = &e->flow, .seq = e->snd_nxt, .ack = e->rcv_nxt, .flags = RTE_TCP_ACK_FLAG};
	if (!tcp_challenge_allowed(tcp))
		return;
	if (e->options & TCP_MINI_OPT_TS)
		bare.opt_len = (uint8_t)tcp_opt_ts(
		    bare.opt, tcp_ts_now(tcp) + tcp_syn_ts_offset(tcp, &e->flow), e->ts_recent);
	(void)tcp_out_bare(tcp, &bare);
}

/* Is this SYN surely of a new connection (RFC 6191 2, RFC 9293 3.10.7.4)? */
static bool
newer(const struct tcp_mini *e, const struct tcp_seg *seg)
{
	if (e->options & TCP_MINI_OPT_TS && seg->has_ts && seg->tsval != e->ts_recent)
		return tcp_seq_lt(e->ts_recent, seg->tsval);
	return tcp_seq_lt(e->rcv_nxt, seg->seq);
}

static void
reuse(struct tcp_stack *tcp, struct tcp_mini *e, uint32_t ref, struct tcp_seg *seg)
{
	uint32_t isn = tcp_syn_isn(tcp, seg->flow), least = e->snd_nxt + ISN_GAP, offset = tcp->isn_offset;
	tcp->counters->tcp_time_wait_reused++;
	remove_entry(tcp, e, ref);
	if (tcp_seq_lt(isn, least))
		tcp->isn_offset += least - isn;
	tcp_syn_received(tcp, seg);
	tcp->isn_offset = offset;
}

void
tcp_tw_input(struct tcp_stack *tcp, struct tcp_mini *e, uint32_t ref, struct tcp_seg *seg)
{
	if (seg->flags & RTE_TCP_RST_FLAG) {
		tcp->counters->drop_tcp_time_wait++;
		return;
	}
	if (seg->flags & RTE_TCP_SYN_FLAG && !(seg->flags & RTE_TCP_ACK_FLAG) && newer(e, seg)) {
		reuse(tcp, e, ref, seg);
		return;
	}
	tcp->counters->drop_tcp_time_wait++;
	if (seg->flags & RTE_TCP_FIN_FLAG && seg->seq + seg->len + 1 == e->rcv_nxt) {
		/* Our last ACK was lost: the minute starts again. */
		tcp_mini_unlink(tcp, &tcp->tw_list, ref);
		tcp_mini_push(tcp, &tcp->tw_list, ref);
		acknowledge(tcp, e);
	} else if (seg->len || seg->flags & RTE_TCP_SYN_FLAG || seg->seq != e->rcv_nxt) {
		acknowledge(tcp, e);
	}
}

/*
 * The peer tells the new connection's segments from the old one's by their timestamps (RFC 6191 2, seen from the other
 * end), so without them the minute is waited for.
 */
bool
tcp_tw_give_way(struct tcp_stack *tcp, uint32_t ref, uint32_t *isn_least)
{
	struct tcp_mini *e = tcp_mini_at(tcp, ref);
	if (e->kind != TCP_MINI_TIME_WAIT || !(e->options & TCP_MINI_OPT_TS) ||
	    tcp->tick - e->tick < tcp_ticks(GIVE_WAY_US))
		return false;
	*isn_least = e->snd_nxt + ISN_GAP;
	tcp->counters->tcp_time_wait_reused++;
	remove_entry(tcp, e, ref);
	return true;
}

uint64_t
tcp_tw_poll(struct tcp_stack *tcp)
{
	uint32_t lifetime = tcp_ticks(tcp->config.time_wait_us);
	unsigned budget = TCP_REAP_MAX;
	while (tcp->tw_list.head != TCP_INDEX_NONE) {
		uint32_t age = tcp->tick - tcp_mini_at(tcp, tcp->tw_list.head)->tick;
		if (age < lifetime)
			return (uint64_t)(lifetime - age) << TCP_TICK_SHIFT;
		if (budget-- == 0)
			return 0;
		remove_oldest(tcp);
	}
	return UINT64_MAX;
}
