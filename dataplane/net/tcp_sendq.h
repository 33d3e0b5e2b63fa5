/*
 * Bytes from the application until the peer acknowledges them: a list of blocks in sequence order, each
 * copied bytes or a reference to the application's memory. Segments, first or repeated, are always built anew
 * from here, so that a peer that never acknowledges holds no mbufs.
 *
 *   sq_head                          sq_cursor            sq_tail
 *   [copied 216 B] -> [reference 60 KB] -> [copied 24 B] -> [copied 2 KB, room left]
 *    ^ snd_una                       ^ snd_nxt                       ^ sq_end
 */
#ifndef WIRECACHE_TCP_SENDQ_H
#define WIRECACHE_TCP_SENDQ_H

#include "dataplane/net/tcp_stack.h"

int tcp_sendq_copy(struct tcp_conn *c, const uint8_t *bytes, uint32_t len);
int tcp_sendq_ref(struct tcp_conn *c, const uint8_t *bytes, uint32_t len, uint64_t cookie);

/* Bytes that still fit behind the tail's. Only copied blocks have any. */
static inline uint32_t
tcp_sendq_tail_room(const struct tcp_conn *c)
{
	const struct tcp_block *tail = c->sq_tail;
	if (!tail || tail->bytes != tail->data)
		return 0;
	return tail->room - tail->len;
}

static inline void
tcp_sendq_append(struct tcp_conn *c, struct tcp_block *b)
{
	b->seq = c->sq_end;
	if (c->sq_tail)
		c->sq_tail->next = b;
	else
		c->sq_head = b;
	c->sq_tail = b;
}

/* Room for len <= TCP_BLOCK_2K_ROOM bytes behind the last; NULL without memory. tcp_sendq_commit() says how many came. */
static inline uint8_t *
tcp_sendq_reserve(struct tcp_conn *c, uint32_t len)
{
	if (unlikely(len > TCP_BLOCK_2K_ROOM))
		return NULL;
	if (!c->sq_tail || tcp_sendq_tail_room(c) < len) {
		struct tcp_block *b = tcp_block_get(&c->tcp->mem, len);
		if (unlikely(!b))
			return NULL;
		tcp_sendq_append(c, b);
	}
	return c->sq_tail->data + c->sq_tail->len;
}

static inline void
tcp_sendq_commit(struct tcp_conn *c, uint32_t len)
{
	assert(len <= tcp_sendq_tail_room(c));
	c->sq_tail->len += len;
	c->sq_end += len;
}

/* Copies len bytes from sequence number seq, which must all be queued. */
void tcp_sendq_read(struct tcp_conn *c, uint32_t seq, uint8_t *to, uint32_t len);
/* The same in one pass with their sum (checksum.h). */
uint64_t tcp_sendq_read_sum(struct tcp_conn *c, uint32_t seq, uint8_t *to, uint32_t len);
/*
 * Makes m the payload itself, by pointing at len bytes from seq: the reference that holds them is released after m is freed,
 * at the earliest. Returns the bytes; NULL when they lie in no single reference: m is untouched.
 */
const uint8_t *tcp_sendq_point(struct tcp_conn *c, uint32_t seq, uint32_t len, struct rte_mbuf *m);

/* Frees the first block; a reference is released once no packet points to it. */
void tcp_sendq_drop(struct tcp_conn *c);

/* Frees what lies before snd_una. */
static inline void
tcp_sendq_acked(struct tcp_conn *c)
{
	while (c->sq_head && tcp_seq_le(c->sq_head->seq + c->sq_head->len, c->snd_una))
		tcp_sendq_drop(c);
}

/* Frees everything. */
void tcp_sendq_clear(struct tcp_conn *c);
const char *tcp_sendq_check(const struct tcp_conn *c);

#endif
