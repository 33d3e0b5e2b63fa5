/*
 * Received bytes: straight from the mbuf into the application when they come in order and it takes them;
 * copied into blocks when they came out of order or the application has paused. No mbuf is ever kept, so a
 * peer cannot pin the pool by sending one byte a segment or by leaving a hole open.
 *
 *        unread (application paused)         out of order: at most 8 islands, 64 blocks
 *   ...[block][block]| rcv_nxt ....[block][block]....[block]....| rcv_edge
 *
 * Also the receive window: what is offered, and that its right edge never moves left.
 */
#ifndef WIRECACHE_TCP_RX_H
#define WIRECACHE_TCP_RX_H

#include "dataplane/net/tcp_opt.h"

#define TCP_OOO_ISLANDS 8u
#define TCP_OOO_BLOCKS  64u
#define TCP_SACK_RECENT 3u /* islands remembered by age, newest first (RFC 2018 4) */

struct tcp_rxq {
	struct tcp_block *unread_head, *unread_tail;
	struct tcp_block *ooo_head, *ooo_tail;
	uint32_t unread_bytes;
	uint32_t held_bytes;              /* true size of the unread blocks */
	uint32_t recent[TCP_SACK_RECENT]; /* a sequence number inside of each recently grown island */
	uint32_t fin_seq;                 /* of a FIN that came out of order */
	uint8_t recent_len, ooo_blocks;
	bool has_fin;
	uint8_t unused;
};
static_assert(sizeof(struct tcp_rxq) <= 64, "one block");

/* The trimmed payload of a segment: seq is inside of the window, len bytes from `offset` of m. */
struct tcp_payload {
	struct rte_mbuf *m;
	uint32_t offset, len;
	uint32_t seq;
	bool fin; /* FIN follows the last byte */
};

/* Payload at rcv_nxt: delivers, keeps the rest, fills holes. The application may have closed c on return. */
void tcp_rx_in_order(struct tcp_conn *c, const struct tcp_payload *p);
/* What the application did not take of payload that was at rcv_nxt: it pauses, and the rest waits. */
void tcp_rx_keep(struct tcp_conn *c, const struct tcp_payload *p);
/*
 * Payload beyond rcv_nxt. True: all of it was there before. What found no place is no such duplicate: the peer would take the
 * report for a SACK.
 */
bool tcp_rx_out_of_order(struct tcp_conn *c, const struct tcp_payload *p);
/* Gives unread bytes to the application, then tells the end of the stream. */
void tcp_rx_resume(struct tcp_conn *c);
void tcp_rx_clear(struct tcp_conn *c);
/* Frees the structure when it holds nothing. */
void tcp_rx_quiesce(struct tcp_conn *c);

/* Moves the window's right edge as far as it may and returns the window field to send. */
uint16_t tcp_rx_window(struct tcp_conn *c);
/* True if tcp_rx_window() would open the window by something worth a segment of its own. */
bool tcp_rx_window_worth(const struct tcp_conn *c);
/* Fills SACK blocks for an ACK, newest island first. */
unsigned tcp_rx_sack_blocks(const struct tcp_conn *c, struct tcp_range *blocks, unsigned max);
const char *tcp_rx_check(const struct tcp_conn *c);

static inline uint32_t
tcp_rx_unread(const struct tcp_conn *c)
{
	return unlikely(c->more & TCP_M_RXQ) ? c->rxq->unread_bytes : 0;
}

static inline bool
tcp_rx_has_holes(const struct tcp_conn *c)
{
	return c->rxq && c->rxq->ooo_head;
}

#endif
