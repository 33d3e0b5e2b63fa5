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

#include "dataplane/net/tcp_conn.h"

int tcp_sendq_copy(struct tcp_conn *c, const uint8_t *bytes, uint32_t len);
int tcp_sendq_ref(struct tcp_conn *c, const uint8_t *bytes, uint32_t len, uint64_t cookie);
uint8_t *tcp_sendq_reserve(struct tcp_conn *c, uint32_t len);
void tcp_sendq_commit(struct tcp_conn *c, uint32_t len);

/* Copies len bytes from sequence number seq, which must all be queued. */
void tcp_sendq_read(struct tcp_conn *c, uint32_t seq, uint8_t *to, uint32_t len);
/* The same in one pass with their sum (checksum.h). */
uint64_t tcp_sendq_read_sum(struct tcp_conn *c, uint32_t seq, uint8_t *to, uint32_t len);

/* Frees what lies before snd_una; references are released. */
void tcp_sendq_acked(struct tcp_conn *c);
/* Frees everything. */
void tcp_sendq_clear(struct tcp_conn *c);
const char *tcp_sendq_check(const struct tcp_conn *c);

#endif
