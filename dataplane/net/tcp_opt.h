/*
 * TCP headers: a received segment taken apart, options parsed with every length compared first, options
 * built.
 */
#ifndef WIRECACHE_TCP_OPT_H
#define WIRECACHE_TCP_OPT_H

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
	uint32_t len;  /* payload */
	uint32_t hash; /* of the flow */
	uint32_t ref;  /* what the table had when the burst was staged */
	uint16_t wnd;  /* as on the wire */
	uint8_t flags; /* RTE_TCP_*_FLAG */
	uint8_t hlen;
	bool has_ts, has_mss, has_wscale, has_sack_ok;
	uint8_t wscale;
	uint8_t sacks_len;
	uint16_t mss;
	uint32_t tsval, tsecr;
	struct tcp_range sacks[TCP_SACK_BLOCKS_MAX];
};

/* Fills seg from its mbuf. False: shorter than its header, or a data offset below 20 or beyond the packet. */
bool tcp_seg_parse(struct tcp_seg *seg);

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
