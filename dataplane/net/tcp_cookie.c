/*
 * See tcp_cookie.h.
 */
#include "dataplane/net/tcp_cookie.h"

#include "dataplane/net/tcp_in.h"
#include "dataplane/net/tcp_stack.h"

#define PERIOD_SHIFT 23 /* 8.4 s */
#define MSS_BITS     3u
#define TS_BITS      6u
#define TS_MASK      ((1u << TS_BITS) - 1)
#define TS_SACK      0x20u
#define TS_WS        0x10u

#define FILTER_PROBES    4u
#define FILTER_BITS_EACH 16u /* for one connection */
#define FILTER_BITS_MIN  (1u << 13)
#define FILTER_BITS_MAX  (1u << 24)
#define FILTER_FULL      8u /* fewer bits than this for a cookie: too many mistakes */

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

/* ---- what was spent --------------------------------------------------------------------------- */

static uint32_t
filter_bits(const struct tcp_stack *tcp)
{
	uint32_t bits = FILTER_BITS_MIN;
	while (bits < FILTER_BITS_MAX && bits / FILTER_BITS_EACH < tcp->config.connections_max)
		bits *= 2;
	return bits;
}

/* The filter for cookies of this period; NULL: no memory. */
static struct tcp_cookie_filter *
filter_of(struct tcp_stack *tcp, uint64_t period)
{
	struct tcp_cookie_filter *f = &tcp->cookie_filters[period & 1];
	uint32_t bytes = filter_bits(tcp) / 8;
	if (!f->bits) {
		f->bits = tcp->env.alloc(tcp->env.ctx, bytes);
		if (!f->bits)
			return NULL;
		f->period = period;
	}
	if (f->period != period) {
		memset(f->bits, 0, bytes);
		f->spent = 0;
		f->period = period;
	}
	return f;
}

static uint64_t
filter_hash(const struct tcp_stack *tcp, const struct tcp_seg *seg)
{
	return tcp_siphash_flow(tcp->secrets.cookie, seg->flow, (uint64_t)seg->ack << 32 | seg->seq);
}

static uint32_t
probe_bit(const struct tcp_stack *tcp, uint64_t hash, unsigned probe)
{
	return ((uint32_t)hash + probe * ((uint32_t)(hash >> 32) | 1)) & (filter_bits(tcp) - 1);
}

static bool
was_spent(const struct tcp_stack *tcp, const struct tcp_cookie_filter *f, const struct tcp_seg *seg)
{
	uint64_t hash = filter_hash(tcp, seg);
	for (unsigned i = 0; i < FILTER_PROBES; i++) {
		uint32_t bit = probe_bit(tcp, hash, i);
		if (!(f->bits[bit / 64] >> (bit % 64) & 1))
			return false;
	}
	return true;
}

/* The period in which the ACK's cookie was made; UINT64_MAX: it is none, or too old. */
static uint64_t
period_of(const struct tcp_stack *tcp, const struct tcp_seg *seg)
{
	uint32_t isn = seg->ack - 1, proof = isn & ~((1u << MSS_BITS) - 1);
	unsigned index = isn & ((1u << MSS_BITS) - 1);
	uint64_t now = tcp->now_us >> PERIOD_SHIFT;
	for (uint64_t period = now; now - period <= 1; period--)
		if (proof == mac(tcp, seg->flow, seg->seq - 1, period, index))
			return period;
	return UINT64_MAX;
}

void
tcp_cookie_spend(struct tcp_stack *tcp, const struct tcp_seg *seg)
{
	struct tcp_cookie_filter *f = filter_of(tcp, period_of(tcp, seg));
	uint64_t hash = filter_hash(tcp, seg);
	assert(f); /* the check has made it */
	for (unsigned i = 0; i < FILTER_PROBES; i++) {
		uint32_t bit = probe_bit(tcp, hash, i);
		f->bits[bit / 64] |= 1ull << (bit % 64);
	}
	f->spent++;
}

void
tcp_cookie_fini(struct tcp_stack *tcp)
{
	for (unsigned i = 0; i < RTE_DIM(tcp->cookie_filters); i++)
		if (tcp->cookie_filters[i].bits)
			tcp->env.free(tcp->env.ctx, tcp->cookie_filters[i].bits, filter_bits(tcp) / 8);
}

enum tcp_cookie_verdict
tcp_cookie_check(struct tcp_stack *tcp, const struct tcp_seg *seg, struct tcp_mini *e)
{
	uint64_t period = period_of(tcp, seg);
	if (period == UINT64_MAX)
		return TCP_COOKIE_NONE;
	struct tcp_cookie_filter *f = filter_of(tcp, period);
	if (f && was_spent(tcp, f, seg))
		return TCP_COOKIE_SPENT;
	if (!f || f->spent >= filter_bits(tcp) / FILTER_FULL)
		return TCP_COOKIE_FULL;
	memset(e, 0, sizeof(*e));
	memcpy(e->flow_bytes, seg->flow, sizeof(e->flow_bytes));
	e->mss = mss_table[(seg->ack - 1) & ((1u << MSS_BITS) - 1)];
	e->snd_nxt = seg->ack;
	e->rcv_nxt = seg->seq;
	if (seg->has_ts) {
		e->ts_recent = seg->tsval;
		e->options = (uint8_t)(TCP_MINI_OPT_TS | (seg->tsecr & TS_SACK ? TCP_MINI_OPT_SACK : 0) |
		                       (seg->tsecr & TS_WS ? TCP_MINI_OPT_WS : 0)) &
		             7;
		e->snd_wscale = seg->tsecr & TS_WS ? seg->tsecr & 15 : 0;
	}
	return TCP_COOKIE_GOOD;
}
