/*
 * See tcp_cookie.h.
 */
#include "dataplane/net/tcp_cookie.h"

#include "dataplane/net/tcp_in.h"
#include "dataplane/net/tcp_stack.h"

#define PERIOD_SHIFT 26 /* 67 s */
#define MSS_BITS     3u
#define TS_BITS      6u
#define TS_MASK      ((1u << TS_BITS) - 1)
#define TS_SACK      0x20u
#define TS_WS        0x10u

static const uint16_t mss_table[1u << MSS_BITS] = {TCP_MSS_MIN, 536, 1024, 1220, 1360, 1440, 1460, 8960};

static uint32_t
mac(const struct tcp_stack *tcp, const struct net_flow *flow, uint32_t peer_isn, uint64_t period,
    unsigned mss_index)
{
	uint64_t extra = (uint64_t)peer_isn << 32 | (uint32_t)(period << MSS_BITS | mss_index);
	return (uint32_t)tcp_siphash_flow(tcp->secrets.cookie, flow, extra) << MSS_BITS;
}

static unsigned
mss_index_of(unsigned mss)
{
	unsigned i = RTE_DIM(mss_table) - 1;
	while (i > 0 && mss_table[i] > mss)
		i--;
	return i;
}

void
tcp_cookie_answer(struct tcp_stack *tcp, struct tcp_mini *e)
{
	unsigned index = mss_index_of(e->mss & TCP_MINI_MSS_MASK);
	uint32_t isn = mac(tcp, &e->flow, e->rcv_nxt - 1, tcp->now_us >> PERIOD_SHIFT, index) | index;
	uint32_t now = tcp_ts_now(tcp) + tcp_syn_ts_offset(tcp, &e->flow), tsval = now;
	e->snd_nxt = isn + 1;
	if (e->options & TCP_MINI_OPT_TS) {
		tsval = (now & ~TS_MASK) | (e->options & TCP_MINI_OPT_SACK ? TS_SACK : 0) |
		        (e->options & TCP_MINI_OPT_WS ? TS_WS | e->snd_wscale : 0);
		if (tcp_seq_lt(now, tsval))
			tsval -= 1u << TS_BITS; /* what follows must not be older (PAWS) */
	} else {
		e->options = 0; /* nothing to carry them: what is not confirmed is not agreed */
	}
	if (tcp_syn_answer(tcp, e, tsval)) {
		tcp->cookie_us = tcp->now_us;
		tcp->counters->tcp_cookies_sent++;
	}
}

bool
tcp_cookie_recent(const struct tcp_stack *tcp)
{
	return tcp->cookie_us && (tcp->now_us >> PERIOD_SHIFT) - (tcp->cookie_us >> PERIOD_SHIFT) <= 1;
}

bool
tcp_cookie_accept(const struct tcp_stack *tcp, const struct tcp_seg *seg, struct tcp_mini *e)
{
	uint32_t isn = seg->ack - 1, peer_isn = seg->seq - 1;
	unsigned index = isn & ((1u << MSS_BITS) - 1);
	uint64_t period = tcp->now_us >> PERIOD_SHIFT;
	uint32_t proof = isn & ~((1u << MSS_BITS) - 1);
	if (proof != mac(tcp, seg->flow, peer_isn, period, index) &&
	    proof != mac(tcp, seg->flow, peer_isn, period - 1, index))
		return false;
	memset(e, 0, sizeof(*e));
	memcpy(e->flow_bytes, seg->flow, sizeof(e->flow_bytes));
	e->mss = mss_table[index];
	e->snd_nxt = seg->ack;
	e->rcv_nxt = seg->seq;
	if (seg->has_ts) {
		e->ts_recent = seg->tsval;
		e->options = (uint8_t)(TCP_MINI_OPT_TS | (seg->tsecr & TS_SACK ? TCP_MINI_OPT_SACK : 0) |
		                       (seg->tsecr & TS_WS ? TCP_MINI_OPT_WS : 0)) &
		             7;
		e->snd_wscale = seg->tsecr & TS_WS ? seg->tsecr & 15 : 0;
	}
	return true;
}
