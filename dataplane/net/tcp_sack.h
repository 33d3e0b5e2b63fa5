/*
 * The sender's scoreboard (RFC 2018, 6675): which bytes above snd_una the peer has. Sorted, disjoint ranges,
 * allocated when the first SACK block or the first recovery comes and given back when everything is
 * acknowledged.
 *
 * No state a segment: retransmission goes upwards, so that [snd_una, rtx_nxt) was sent again and [rtx_nxt,
 * lost_edge) will be, each without the SACKed ranges in it.
 *
 *   snd_una        rtx_nxt              lost_edge          snd_nxt
 *     |--sent again---|---deemed lost------|---in flight------|
 *        [SACKed]         [SACKed]  [SACKed]   [SACKed]
 */
#ifndef WIRECACHE_TCP_SACK_H
#define WIRECACHE_TCP_SACK_H

#include "dataplane/net/tcp_opt.h"

#define TCP_BOARD_RANGES 29u

struct tcp_board {
	uint32_t prr_delivered, prr_out; /* proportional rate reduction (RFC 6937) */
	uint32_t prr_start_pipe;
	uint32_t len;
	struct tcp_range ranges[TCP_BOARD_RANGES];
};
static_assert(sizeof(struct tcp_board) <= 256, "one block");

/* The connection's board, made when there is none; NULL when out of memory (then the peer counts as one
 * without SACK). */
struct tcp_board *tcp_board_need(struct tcp_conn *c);
void tcp_board_drop(struct tcp_conn *c);

/* Takes the SACK blocks of a segment whose ACK is already applied. Returns bytes newly known to have
 * arrived. */
uint32_t tcp_board_update(struct tcp_conn *c, const struct tcp_seg *seg);
/* Forgets ranges below snd_una. */
void tcp_board_trim(struct tcp_conn *c);
/* Bytes in [from, to) that are SACKed. */
uint32_t tcp_board_count(const struct tcp_conn *c, uint32_t from, uint32_t to);
/* First byte at or after `from` that is not SACKed; *end: where the next SACKed range begins, or limit. */
uint32_t tcp_board_hole(const struct tcp_conn *c, uint32_t from, uint32_t limit, uint32_t *end);
/* RFC 6675 IsLost: everything unSACKed below the result is lost. snd_una: nothing is. */
uint32_t tcp_board_lost_edge(const struct tcp_conn *c);
const char *tcp_board_check(const struct tcp_conn *c);

#endif
