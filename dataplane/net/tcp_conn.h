/*
 * One TCP connection: 256 bytes, four cache lines grouped by when they are touched; and the 64-byte entries
 * that stand for a connection before the handshake ends (SYN) and after both sides closed (TIME-WAIT).
 *
 *   line 0  found and checked for every segment      line 2  RTT, deadlines, acknowledging
 *   line 1  sending: the queue and what it needs     line 3  recovery, congestion, queues allocated on demand, the wheel
 *
 * A request and its reply touch the first three (tcp_fast.c): what they have to know of the fourth is told by bits of
 * `more`. Ten thousand connections do not fit the caches, so a line less is worth more than instructions.
 *
 * All three kinds begin with the flow, so that the flow table compares them without knowing which one it
 * holds. Times are ticks of 256 us in 32 bits (they wrap after 12 days, compared by difference); 0 means "not
 * set".
 */
#ifndef WIRECACHE_TCP_CONN_H
#define WIRECACHE_TCP_CONN_H

#include <assert.h>
#include <stddef.h>
#include <rte_prefetch.h>

#include "dataplane/net/net.h"
#include "dataplane/net/tcp.h"

#define TCP_INDEX_NONE UINT32_MAX
#define TCP_REF_MINI   0x80000000u /* a table reference to a 64-byte entry, else to a connection */
#define TCP_TICK_SHIFT 8           /* microseconds >> 8 */

enum tcp_state {
	TCP_CLOSED,
	TCP_SYN_SENT,
	TCP_SYN_RECEIVED, /* simultaneous open only; a passive open waits in a SYN entry */
	TCP_ESTABLISHED,
	TCP_CLOSE_WAIT,
	TCP_FIN_WAIT_1,
	TCP_FIN_WAIT_2,
	TCP_CLOSING,
	TCP_LAST_ACK,
	TCP_TIME_WAIT, /* as a connection only while the application has unread bytes */
};

/* tcp_conn.flags */
#define TCP_F_TS         0x0001u /* timestamps agreed */
#define TCP_F_SACK       0x0002u /* SACK agreed */
#define TCP_F_ACK_NOW    0x0004u /* the next flush sends an ACK */
#define TCP_F_ACK_SOON   0x0008u /* unacknowledged data: delayed ACK unless something carries it */
#define TCP_F_TOUCHED    0x0010u /* on the list for tcp_flush() */
#define TCP_F_FIN_QUEUED 0x0020u /* tcp_close() was called: FIN after the last queued byte */
#define TCP_F_RECOVERY   0x0040u /* fast recovery until snd_una reaches `recover` */
#define TCP_F_LOSS       0x0080u /* the same after a retransmission timeout or a smaller path MTU */
#define TCP_F_RTT        0x0100u /* a segment is being timed: rtt_seq, rtt_start_us */
#define TCP_F_PAUSED     0x0200u /* the application consumed less than it was given */
#define TCP_F_NO_ROOM    0x0400u /* tcp_send_room() answered 0: writable() is owed */
#define TCP_F_EOF_TOLD   0x0800u /* peer_closed() was called */
#define TCP_F_DELIVERING 0x1000u /* inside received(): no recursion */
#define TCP_F_ACCEPTED   0x2000u /* accepted() was called and did not refuse: closed() is owed */
#define TCP_F_ACTIVE     0x4000u /* opened by tcp_connect(): closed() is owed even without accepted() */
#define TCP_F_FIN_IN     0x8000u /* the peer's FIN was received in order */

/* tcp_conn.more */
#define TCP_M_CWND_LIMITED  0x01u  /* the last output stopped at the congestion window */
#define TCP_M_WSCALE_AGREED 0x02u  /* both SYNs carried the option, be it with shift 0 */
#define TCP_M_PTO           0x04u  /* rtx_deadline is the tail probe's */
#define TCP_M_REO           0x08u  /* rtx_deadline is the reordering window's */
#define TCP_M_TAIL          0x10u  /* a tail probe is out: no other until it is acknowledged */
#define TCP_M_TAIL_AGAIN    0x20u  /* it was sent again, not new */
#define TCP_M_MSS_TRIED     0x40u  /* mss_before is in use again, and nothing is known about it yet */
#define TCP_M_MSS_EPOCH     0x80u  /* when the MSS was cut: the lowest bit of TCP_MSS_EPOCH_SHIFT's count */
#define TCP_M_RXQ           0x100u /* there is an rxq */
#define TCP_M_BOARD         0x200u /* there is a board */
#define TCP_M_TIMER         0x400u /* in the wheel */

#define TCP_MIN_RTT_SHIFT   4  /* microseconds >> 4 in 16 bits */
#define TCP_MSS_SHIFT       6  /* mss_before */
#define TCP_MSS_EPOCH_SHIFT 22 /* ticks to 18 minutes */

struct tcp_block;
struct tcp_rxq;
struct tcp_board;

struct tcp_conn {
	/* line 0 */
	union {
		struct net_flow flow;
		struct {
			uint8_t flow_bytes[37]; /* net_flow without its padding, which state and flags use */
			uint8_t state;          /* enum tcp_state */
			uint16_t flags;         /* TCP_F_* */
		};
	};
	uint32_t rcv_nxt;
	uint32_t rcv_edge; /* rightmost sequence number ever offered: rcv_nxt + window */
	uint32_t snd_una;
	uint32_t snd_nxt; /* highest sent + 1; never goes back */
	uint32_t snd_wnd; /* bytes, scaled */
	uint32_t ts_recent;

	/* line 1 */
	struct tcp_stack *tcp;
	void *context;
	struct tcp_block *sq_head;   /* oldest unacknowledged bytes */
	struct tcp_block *sq_tail;   /* newest */
	struct tcp_block *sq_cursor; /* last read from: sending is mostly sequential */
	uint32_t sq_end;             /* sequence number after the last queued byte, where FIN goes */
	uint32_t last_ack_sent;
	uint32_t index;     /* own index in the slab */
	uint16_t mss;       /* payload of a full segment with only timestamps as options */
	uint8_t snd_wscale; /* shift of the window that the peer sends */
	uint8_t rcv_wscale; /* shift of the window that we send */
	uint32_t next;      /* touched or dead list */
	uint32_t hash;      /* flow hash: home bucket and tag */

	/* line 2 */
	uint32_t snd_wl1, snd_wl2; /* sequence and acknowledgement of the last window update */
	uint32_t ts_offset;        /* added to our timestamp clock */
	uint32_t rtt_seq;          /* acknowledged at or beyond: the timed segment arrived */
	uint32_t rtt_start_us;     /* low bits of the clock when it left */
	uint32_t srtt_us8;         /* smoothed RTT, microseconds * 8; 0: no sample yet */
	uint32_t rttvar_us4;       /* its variation * 4 */
	uint32_t cwnd;             /* bytes */
	uint32_t rtx_deadline;     /* retransmission or persist, tick */
	uint32_t ack_deadline;     /* delayed ACK, tick */
	uint32_t timer_at;         /* where the wheel has us, tick: never later than the earliest deadline */
	uint32_t tx_tick;          /* last data segment sent */
	uint32_t rx_tick;          /* last segment from the peer */
	uint32_t progress_tick;    /* last time that the peer acknowledged or opened its window */
	uint16_t min_rtt;          /* least round trip measured, in 16 us, at least one; 0: none */
	uint16_t more;             /* TCP_M_* */
	uint8_t backoff;           /* consecutive timeouts: shift of the RTO */
	uint8_t ack_segs;          /* segments received since the last ACK sent */
	uint8_t dupacks; /* duplicate ACKs in a row (stand for segments that left the network without SACK) */
	uint8_t ka_probes; /* keepalive probes unanswered */

	/* line 3 */
	struct tcp_rxq *rxq;     /* out of order and unread bytes, on demand: tcp_conn_set_rxq() */
	struct tcp_board *board; /* SACK scoreboard and PRR, on demand: tcp_conn_set_board() */
	uint32_t recover;        /* recovery ends here */
	union {
		uint32_t rtx_nxt;  /* without a board of runs: sent again so far in this recovery */
		uint32_t tail_end; /* with TCP_M_TAIL: snd_nxt when the probe left */
	};
	uint32_t lost_edge;                        /* without a board of runs: deemed lost below here */
	float cubic_w_max, cubic_k_s, cubic_w_est; /* segments, seconds, segments */
	uint32_t cubic_epoch;                      /* tick when congestion avoidance began; 0 none */
	uint32_t snd_wnd_max;                      /* largest window ever offered by the peer */
	uint32_t ssthresh;                         /* bytes */
	uint32_t timer_next, timer_prev;           /* in the wheel */
	uint16_t oow_tick : 13;                    /* when answers to unacceptable segments were counted */
	uint16_t oow_acks : 3;                     /* how many */
	union {
		uint8_t close_reason; /* enum tcp_close_reason, set when it dies */
		uint8_t mss_before;   /* until then: MSS before a black hole, in 64 bytes; 0: none */
	};
	uint8_t rack; /* reordering window, see tcp_rack.c */
};
static_assert(sizeof(struct tcp_conn) == 256, "four cache lines");
static_assert(
    offsetof(struct tcp_conn, state) == 37 && offsetof(struct net_flow, iface) == 36, "state in padding");
static_assert(offsetof(struct tcp_conn, tcp) == 64, "line 1");
static_assert(offsetof(struct tcp_conn, snd_wl1) == 128, "line 2");
static_assert(offsetof(struct tcp_conn, rxq) == 192, "line 3");

enum tcp_mini_kind { TCP_MINI_SYN, TCP_MINI_TIME_WAIT };

#define TCP_MINI_OPT_TS   0x01u
#define TCP_MINI_OPT_SACK 0x02u
#define TCP_MINI_OPT_WS   0x04u

struct tcp_mini {
	union {
		struct net_flow flow;
		struct {
			uint8_t flow_bytes[37];
			uint8_t kind : 1;    /* enum tcp_mini_kind */
			uint8_t options : 3; /* TCP_MINI_OPT_* */
			uint8_t snd_wscale : 4;
			uint16_t
			    mss; /* SYN: what the peer allows | number of SYN-ACK resent in the top bits */
		};
	};
	uint32_t snd_nxt; /* SYN: our ISN + 1 */
	uint32_t rcv_nxt; /* SYN: the peer's ISN + 1 */
	uint32_t ts_recent;
	uint32_t tick;       /* when it joined its list */
	uint32_t next, prev; /* age list */
};
static_assert(sizeof(struct tcp_mini) == 64, "one cache line");

#define TCP_MINI_MSS_MASK     0x3fffu
#define TCP_MINI_RESENT_SHIFT 14

static inline bool
tcp_seq_lt(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) < 0;
}

static inline bool
tcp_seq_le(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) <= 0;
}

static inline uint32_t
tcp_seq_max(uint32_t a, uint32_t b)
{
	return tcp_seq_lt(a, b) ? b : a;
}

static inline uint32_t
tcp_seq_min(uint32_t a, uint32_t b)
{
	return tcp_seq_lt(a, b) ? a : b;
}

static inline bool
tcp_fin_sent(const struct tcp_conn *c)
{
	return c->snd_nxt == c->sq_end + 1;
}

/*
 * Queued and never sent. What is in flight does not count against the send buffer, else a path that holds more than the
 * buffer could not be filled: the congestion window bounds that, and memory pressure counts both.
 */
static inline uint32_t
tcp_waiting_bytes(const struct tcp_conn *c)
{
	return tcp_seq_lt(c->snd_nxt, c->sq_end) ? c->sq_end - c->snd_nxt : 0;
}

static inline void
tcp_conn_set_rxq(struct tcp_conn *c, struct tcp_rxq *rxq)
{
	c->rxq = rxq;
	c->more = (uint16_t)((c->more & ~TCP_M_RXQ) | (rxq ? TCP_M_RXQ : 0));
}

static inline void
tcp_conn_set_board(struct tcp_conn *c, struct tcp_board *board)
{
	c->board = board;
	c->more = (uint16_t)((c->more & ~TCP_M_BOARD) | (board ? TCP_M_BOARD : 0));
}

/* The three lines of a request and its reply. */
static inline void
tcp_conn_prefetch(const struct tcp_conn *c)
{
	rte_prefetch0(c);
	rte_prefetch0(&c->tcp);
	rte_prefetch0(&c->snd_wl1);
}

static inline uint32_t
tcp_flight(const struct tcp_conn *c)
{
	return c->snd_nxt - c->snd_una;
}

#endif
