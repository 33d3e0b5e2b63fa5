/*
 * The state of one worker's TCP, and what its files share. Private to net/tcp*.
 *
 *   tcp.c         create, destroy, tick, flush; calls of the application
 *   tcp_in.c      a burst of segments: parse, find, check, process
 *   tcp_fast.c    the short way of the expected segment and its reply
 *   tcp_ack.c     acknowledgements: what they free, windows, RTT
 *   tcp_recover.c what is lost is sent again; tcp_rack.c tells what, with SACK
 *   tcp_rx.c      bytes to the application, unread and out-of-order queues
 *   tcp_out.c     segments from queues; ACKs, RSTs
 *   tcp_bulk.c    full segments, several at once
 *   tcp_sendq.c   bytes until they are acknowledged
 *   tcp_sack.c    the sender's scoreboard
 *   tcp_cc.c      CUBIC, Reno
 *   tcp_syn.c     handshakes not yet finished; tcp_cookie.c when there are too many
 *   tcp_tw.c      TIME-WAIT
 *   tcp_conn.c    life and death of a connection
 *   tcp_timer.c   the wheel; tcp_expire.c what happens when something is due
 *   tcp_table.c   flow to connection or entry
 *   tcp_mem.c     blocks, slabs, their account; tcp_reserve.c mbufs of last resort; tcp_spare.h those of this pass
 */
#ifndef WIRECACHE_TCP_STACK_H
#define WIRECACHE_TCP_STACK_H

#include <rte_branch_prediction.h>

#include "dataplane/net/tcp.h"
#include "dataplane/net/tcp_conn.h"
#include "dataplane/net/tcp_hash.h"
#include "dataplane/net/tcp_mem.h"
#include "dataplane/net/tcp_reserve.h"
#include "dataplane/net/tcp_table.h"
#include "dataplane/net/tcp_timer.h"

#define TCP_MSS_DEFAULT     536u      /* RFC 9293 3.7.1: without an MSS option */
#define TCP_MSS_MIN         88u       /* below it a peer would make us send headers only */
#define TCP_WSCALE_MAX      14u       /* RFC 7323 2.3 */
#define TCP_SYN_RETRIES     3u        /* SYN-ACK resent after 1, 2, 4 s; the entry dies 8 s later */
#define TCP_RTO_INITIAL_US  1000000u  /* RFC 6298 2 */
#define TCP_RTO_MAX_US      60000000u /* RFC 6298 2.5 */
#define TCP_BACKOFF_MAX     10u
#define TCP_SPARES_MAX      NET_BURST_MAX
#define TCP_FLUSH_SEGMENTS  64u /* of one connection in one flush: fairness and bounded bursts */
#define TCP_EXPIRIES_MAX    64u /* timers run in one poll */
#define TCP_REAP_MAX        64u /* SYN and TIME-WAIT entries that end in one poll */
#define TCP_PRESSURE_SCAN   32u /* connections looked at in one poll above the memory limit */
#define TCP_PAWS_IDLE_TICKS (uint32_t)(24ull * 86400 * 1000000 >> TCP_TICK_SHIFT) /* RFC 7323 5.5 */
#define TCP_OOW_PERIOD_TICKS \
	1024u /* 262 ms: at most TCP_OOW_ACKS answers to empty unacceptable segments in it */
#define TCP_OOW_ACKS    4u
#define TCP_OOW_PERIODS (1u << 13) /* what tcp_conn.oow_tick tells apart */
#define TCP_CHALLENGES_BASE \
	500u /* challenge ACKs a second and stack, plus as many at random (RFC 5961 7) \
	      */

/* A list of 64-byte entries, oldest first. */
struct tcp_mini_list {
	uint32_t head, tail, len;
};

/* SYN cookies of one period that have opened a connection (tcp_cookie.c). */
struct tcp_cookie_filter {
	uint64_t period;
	uint64_t *bits; /* NULL: none yet */
	uint32_t spent;
};

struct tcp_stack {
	struct tcp_config config;
	struct tcp_env env;
	struct tcp_app app;
	struct net_counters *counters;
	uint64_t now_us;
	uint32_t tick;        /* now_us in ticks */
	uint32_t isn_offset;  /* added to initial sequence numbers: 0, or what a test wants to begin with */
	uint16_t payload_max; /* bytes in one mbuf behind the headroom */
	bool general_only;    /* no short ways (tcp_fast.h): for tests that compare */
	uint32_t idle_ticks;  /* no retransmission timeout is shorter: a pause up to this is none */
	uint32_t spares_len;  /* tcp_spare.h */

	struct tcp_table table;
	struct tcp_slab conns, minis;
	struct tcp_mem mem;
	struct tcp_reserve reserve;
	struct rte_mbuf *spares[TCP_SPARES_MAX];
	struct tcp_wheel wheel;
	struct tcp_secrets secrets;

	struct tcp_conn *touched_tail; /* the last of them; not when there are none */
	uint32_t touched_head;         /* connections with something to send, in order of touching */
	uint32_t dead_head; /* closed ones: closed() is told and memory freed when no callback is running */
	uint32_t pressure_hand; /* next connection index to look at for pressure */

	struct tcp_mini_list
	    syn_lists[TCP_SYN_RETRIES + 1]; /* by number of SYN-ACKs resent: each ordered by age */
	struct tcp_mini_list tw_list;

	uint64_t cookie_us; /* when the last SYN cookie was sent; 0 never */
	struct tcp_cookie_filter cookie_filters[2];
	uint64_t challenge_second;
	uint32_t challenges_left;
	uint8_t rcv_wscale; /* what our SYNs announce */
};

static inline struct tcp_conn *
tcp_conn_at(const struct tcp_stack *tcp, uint32_t index)
{
	return tcp_slab_at(&tcp->conns, index);
}

static inline struct tcp_mini *
tcp_mini_at(const struct tcp_stack *tcp, uint32_t index)
{
	return tcp_slab_at(&tcp->minis, index & ~TCP_REF_MINI);
}

/* The flow of either kind: both begin with it. */
static inline const struct net_flow *
tcp_ref_flow(const struct tcp_stack *tcp, uint32_t ref)
{
	return ref & TCP_REF_MINI ? &tcp_mini_at(tcp, ref)->flow : &tcp_conn_at(tcp, ref)->flow;
}

static inline uint32_t
tcp_ticks(uint64_t us)
{
	return (uint32_t)((us + (1u << TCP_TICK_SHIFT) - 1) >> TCP_TICK_SHIFT);
}

/* Now plus a time, as a deadline: never 0. */
static inline uint32_t
tcp_deadline(const struct tcp_stack *tcp, uint64_t us)
{
	uint32_t at = tcp->tick + tcp_ticks(us);
	return at ? at : 1;
}

static inline bool
tcp_due(const struct tcp_stack *tcp, uint32_t deadline)
{
	return deadline && tcp_seq_le(deadline, tcp->tick);
}

/* Our timestamp clock, milliseconds (RFC 7323 5.4). */
static inline uint32_t
tcp_ts_now(const struct tcp_stack *tcp)
{
	return (uint32_t)(tcp->now_us / 1000);
}

/* Puts a connection on the list for tcp_flush(). */
static inline void
tcp_touch(struct tcp_conn *c)
{
	struct tcp_stack *tcp = c->tcp;
	if (c->flags & TCP_F_TOUCHED || c->state == TCP_CLOSED)
		return;
	c->flags |= TCP_F_TOUCHED;
	c->next = TCP_INDEX_NONE;
	if (tcp->touched_head == TCP_INDEX_NONE)
		tcp->touched_head = c->index;
	else
		tcp->touched_tail->next = c->index;
	tcp->touched_tail = c;
}

/* The retransmission timeout now, backoff included, microseconds (RFC 6298). */
static inline uint32_t
tcp_rto_us(const struct tcp_conn *c)
{
	uint64_t rto = TCP_RTO_INITIAL_US;
	if (likely(c->srtt_us8)) {
		rto = (c->srtt_us8 >> 3) + RTE_MAX(c->rttvar_us4, 1u << TCP_TICK_SHIFT);
		rto = RTE_MAX(rto, c->tcp->config.rto_min_us);
	}
	rto <<= c->backoff;
	return (uint32_t)RTE_MIN(rto, (uint64_t)TCP_RTO_MAX_US);
}

/* Does the wheel look at the connection by then? */
static inline bool
tcp_timer_before(const struct tcp_conn *c, uint32_t tick)
{
	return c->more & TCP_M_TIMER && tcp_seq_le(c->timer_at, tick);
}

static inline bool
tcp_synchronized(const struct tcp_conn *c)
{
	return c->state >= TCP_ESTABLISHED;
}

/* ---- tcp_conn.c ------------------------------------------------------------------------------- */

/* A connection for this flow, not in the table yet; NULL when out of memory or at connections_max. */
struct tcp_conn *tcp_conn_new(struct tcp_stack *tcp, const struct net_flow *flow, uint32_t hash);
/* Ends it: out of the table and the wheel; closed() and the memory follow in tcp_reap(). Sends nothing. */
void tcp_conn_kill(struct tcp_conn *c, enum tcp_close_reason reason);
/* The same after sending a RST. */
void tcp_conn_reset(struct tcp_conn *c, enum tcp_close_reason reason);
/* Tells closed() and frees; only where no callback of the connection is on the stack. */
void tcp_reap(struct tcp_stack *tcp);
/* Window scaling, MSS and windows from the peer's SYN; see struct tcp_syn_info. */
struct tcp_syn_info {
	uint16_t mss;
	uint8_t wscale;
	uint8_t options; /* TCP_MINI_OPT_* that both sides agreed on */
};
void tcp_conn_agree(struct tcp_conn *c, const struct tcp_syn_info *info);
/* The handshake is complete: accepted() is called. False when the application refused: the connection is
 * reset. */
bool tcp_conn_established(struct tcp_conn *c);
/* Largest payload towards this flow for a given MTU, options not counted. */
uint16_t tcp_mss_for(struct tcp_stack *tcp, const struct net_flow *flow);
/* Payload of a segment that fits this MTU, which counts as the floor (552, 1280) when smaller. */
uint16_t tcp_conn_mss_within(const struct tcp_conn *c, uint16_t mtu);
/* Both directions ended: becomes a TIME-WAIT entry, unless the application still has bytes to read. */
void tcp_conn_time_wait(struct tcp_conn *c);
void tcp_conn_check_limits(struct tcp_stack *tcp);

#endif
