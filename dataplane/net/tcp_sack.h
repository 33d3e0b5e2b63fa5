/*
 * The sender's scoreboard for peers with SACK (RFC 2018, 8985): what is in flight as runs, each of bytes with one fate:
 * sent last at the same time, SACKed, lost, sent more than once.
 *
 *   snd_una                                                  snd_nxt
 *     |---sent 100---|--SACKed--|--lost--|--sent again 250--|---sent 180---|
 *
 * It exists on demand and is given back when everything is acknowledged. Without one, everything in flight left in one
 * flush at rtt_start_us, which is all that requests and replies need; tcp_board_begin() makes one from that. Times are
 * rounded up to a 32nd of the round trip, so that a window of any size is some hundred runs; rounding up only ever
 * delays a verdict.
 *
 * A full board takes fewer splits: SACK blocks are then taken in part, times get coarser. All is bounded by
 * TCP_BOARD_RUNS_MAX.
 *
 * For peers without SACK only the fields about recovery are used.
 */
#ifndef WIRECACHE_TCP_SACK_H
#define WIRECACHE_TCP_SACK_H

#include "dataplane/net/tcp_mem.h"
#include "dataplane/net/tcp_opt.h"

#define TCP_RUN_SACKED 0x01u /* the peer has it */
#define TCP_RUN_LOST   0x02u /* deemed lost and not sent again yet */
#define TCP_RUN_AGAIN  0x04u /* was sent more than once: an ACK may be for any copy */

/* Begins where the run before it ends. */
struct tcp_run {
	uint32_t end;
	uint32_t sent_us; /* low bits of the clock, rounded up; of no meaning when SACKed */
	uint32_t flags;   /* TCP_RUN_* */
};

/* The first slow start ends before the queue overflows (tcp_cc.c). */
struct tcp_hystart {
	uint32_t end;               /* this round ends when it is acknowledged */
	uint32_t begin_us, last_us; /* of the train of ACKs */
	uint32_t least_us;          /* round trip in this round */
	uint16_t samples;           /* of it */
	uint16_t css_rounds;        /* of conservative slow start; 0: not yet */
};

struct tcp_board {
	/* this recovery (tcp_recover.c) */
	uint32_t prr_delivered, prr_out, prr_start_pipe; /* proportional rate reduction (RFC 6937) */
	uint32_t undo_cwnd, undo_ssthresh; /* before the reduction; undo_cwnd 0: nothing to undo */
	uint32_t undo_una;                 /* snd_una then */
	uint32_t undo_bytes;               /* sent again since, not reported as duplicates yet */
	uint32_t undo_ts;                  /* our timestamp on the first of them */
	float undo_w_max;
	uint32_t heard_tick; /* when something was last known to be delivered */
	struct tcp_hystart hystart;
	/* RACK (tcp_rack.c) */
	uint32_t rack_sent_us, rack_end, rack_rtt_us; /* of the latest sent that was delivered */
	uint32_t fack;                                /* the highest delivered, SACKed or not */
	uint32_t dsack_round;                         /* one DSACK counts until snd_una is here */
	/* runs */
	uint32_t sacked_bytes, lost_bytes;
	uint32_t start; /* of the first run: snd_una */
	uint16_t first, len, room;
	uint8_t block_class; /* enum tcp_block_class */
	bool undo_has_ts, has_rack;
	uint8_t overdue; /* how often the first was deemed lost because nothing was heard */
	struct tcp_run runs[];
};

#define TCP_BOARD_RUNS_MIN (unsigned)((256u - sizeof(struct tcp_board)) / sizeof(struct tcp_run))
#define TCP_BOARD_RUNS_MAX \
	(unsigned)((TCP_BLOCK_2K_BYTES - sizeof(struct tcp_board)) / sizeof(struct tcp_run))

/* Does the board say what is in flight (else: SACK is not agreed, or there was no memory)? */
static inline bool
tcp_by_runs(const struct tcp_conn *c)
{
	return c->board && c->flags & TCP_F_SACK;
}

/* A board from what is in flight; NULL when out of memory. Not in a recovery without one. */
struct tcp_board *tcp_board_begin(struct tcp_conn *c);
void tcp_board_drop(struct tcp_conn *c);

static inline struct tcp_run *
tcp_board_runs(struct tcp_board *b)
{
	return b->runs + b->first;
}

/* New bytes left: [snd_nxt, end). */
void tcp_board_sent(struct tcp_conn *c, uint32_t end);
/* Bytes left again. */
void tcp_board_sent_again(struct tcp_conn *c, uint32_t from, uint32_t end);
/* snd_una moved up. Returns bytes that are delivered and were not known to be. */
uint32_t tcp_board_acked(struct tcp_conn *c, const struct tcp_seg *seg);
/* Takes the SACK blocks of a segment whose ACK is already applied; makes a board if there is none. The same result. */
uint32_t tcp_board_sacked(struct tcp_conn *c, const struct tcp_seg *seg);
/* Marks one run as lost; merging is left to tcp_board_tidy(). */
void tcp_board_lose(struct tcp_board *b, struct tcp_run *r, uint32_t bytes);
/* The first segment that may be on its way is lost. */
void tcp_board_lose_first(struct tcp_conn *c);
/* Merges neighbours of one fate. */
void tcp_board_tidy(struct tcp_board *b);
/* Everything that the peer does not have is lost. forget: what it said it has, too (RFC 2018 8). */
void tcp_board_lose_all(struct tcp_board *b, bool forget);
/* Takes back every verdict. */
void tcp_board_lose_none(struct tcp_board *b);
/* Is something on its way that was sent more than once? */
bool tcp_board_has_again(struct tcp_board *b);
/* The first lost bytes; false: none. */
bool tcp_board_next_lost(struct tcp_board *b, struct tcp_range *lost);
const char *tcp_board_check(const struct tcp_conn *c);

#endif
