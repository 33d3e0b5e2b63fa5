/*
 * TCP headers: a received segment taken apart, options parsed with every length compared first, options
 * built.
 */
#ifndef WIRECACHE_TCP_OPT_H
#define WIRECACHE_TCP_OPT_H

#include <rte_branch_prediction.h>
#include <rte_tcp.h>

#include "dataplane/net/tcp_conn.h"

#define TCP_OPT_BYTES_MAX   40u
#define TCP_OPT_TS_BYTES    12u         /* with two NOPs in front */
#define TCP_OPT_TS_PREFIX   0x0101080au /* NOP NOP TS 10: what practically every segment carries */
#define TCP_SACK_BLOCKS_MAX 4u

/* A run of sequence space, [start, end). */
struct tcp_range {
	uint32_t start, end;
};

struct tcp_seg {
	struct rte_mbuf *m; /* data begins with the TCP header; NULL once somebody took it */
	const struct net_flow *flow;
	uint32_t seq, ack;
	uint32_t len;          /* payload */
	uint32_t hash;         /* of the flow */
	uint32_t ref;          /* what the table had when the burst was staged */
	struct tcp_conn *conn; /* the same as a connection; NULL if it is none */
	uint16_t wnd;          /* as on the wire */
	uint16_t mss;
	uint8_t flags; /* RTE_TCP_*_FLAG */
	uint8_t hlen;
	bool has_ts, has_mss, has_wscale, has_sack_ok;
	uint8_t wscale;
	uint8_t sacks_len;
	uint32_t tsval, tsecr;
	struct tcp_range sacks[TCP_SACK_BLOCKS_MAX];
};

static inline uint32_t
tcp_opt_get32(const uint8_t *p)
{
	uint32_t v;
	memcpy(&v, p, sizeof(v));
	return rte_be_to_cpu_32(v);
}

/* len bytes of options into seg, all of whose has_* and sacks_len are zero. */
void tcp_opt_parse(struct tcp_seg *seg, const uint8_t *p, unsigned len);

/* Fills seg from its mbuf. False: shorter than its header, or a data offset below 20 or beyond the packet. */
static inline bool
tcp_seg_parse(struct tcp_seg *seg)
{
	const struct rte_mbuf *m = seg->m;
	if (unlikely(m->data_len < sizeof(struct rte_tcp_hdr)))
		return false;
	const uint8_t *p = rte_pktmbuf_mtod(m, const uint8_t *);
	const struct rte_tcp_hdr *th = (const struct rte_tcp_hdr *)p;
	uint32_t hlen = (uint32_t)(th->data_off >> 4 << 2), opt_len = hlen - (uint32_t)sizeof(*th);
	if (unlikely(hlen < sizeof(*th) || hlen > m->data_len))
		return false;
	seg->seq = rte_be_to_cpu_32(th->sent_seq);
	seg->ack = rte_be_to_cpu_32(th->recv_ack);
	seg->wnd = rte_be_to_cpu_16(th->rx_win);
	seg->flags = th->tcp_flags;
	seg->hlen = (uint8_t)hlen;
	seg->len = m->pkt_len - hlen;
	seg->has_ts = seg->has_mss = seg->has_wscale = seg->has_sack_ok = false;
	seg->wscale = seg->sacks_len = 0;
	if (likely(opt_len == TCP_OPT_TS_BYTES && tcp_opt_get32(p + sizeof(*th)) == TCP_OPT_TS_PREFIX)) {
		seg->has_ts = true;
		seg->tsval = tcp_opt_get32(p + sizeof(*th) + 4);
		seg->tsecr = tcp_opt_get32(p + sizeof(*th) + 8);
	} else if (opt_len) {
		tcp_opt_parse(seg, p + sizeof(*th), opt_len);
	}
	return true;
}

struct tcp_opt_syn {
	uint16_t mss;
	uint8_t wscale;
	uint8_t options; /* TCP_MINI_OPT_* to offer or to confirm */
	uint32_t tsval, tsecr;
};

/* Write options, return their length, a multiple of 4. `to` has TCP_OPT_BYTES_MAX. */
unsigned tcp_opt_syn(uint8_t *to, const struct tcp_opt_syn *o);
unsigned tcp_opt_ts(uint8_t *to, uint32_t tsval, uint32_t tsecr);
unsigned tcp_opt_sack(uint8_t *to, const struct tcp_range *blocks, unsigned n);

#endif
