/*
 * The kernel's sockets as a backend (backend.h): nonblocking, epoll, datagrams in batches. It drives any memcached, and
 * is what peers are measured with. One instance a thread; every function runs on that thread.
 *
 * What is committed is collected in one staging area and sent at the flush: over TCP with one send() for the commits of a
 * connection that may share segments, over UDP with one sendmmsg() for those that follow each other on a source port.
 * What a TCP socket does not take is kept in the connection's backlog, and until that is gone the connection is blocked.
 */
#ifndef WIRECACHE_LOAD_KERNEL_H
#define WIRECACHE_LOAD_KERNEL_H

#include <sys/socket.h>

#include "tests/load/backend.h"

#define KERNEL_STAGE_BYTES  (1u << 20)
#define KERNEL_CHUNKS       4096u
#define KERNEL_EVENTS       64
#define KERNEL_READ_BYTES   (256u << 10) /* of a stream at a time */
#define KERNEL_DATAGRAM_MAX 2048u        /* memcached's have up to 1400 bytes */

enum kernel_state { KERNEL_CLOSED, KERNEL_CONNECTING, KERNEL_UP };

struct kernel_conn {
	int fd; /* -1: none */
	uint8_t state;
	bool wants_write; /* epoll tells when there is room */
	uint8_t *backlog; /* what the socket did not take; NULL: nothing */
	uint32_t backlog_bytes, backlog_sent;
};

/* Committed bytes that wait for the flush. */
struct kernel_chunk {
	uint32_t conn;
	uint32_t offset, bytes; /* in the staging area */
	bool push;
};

struct load_backend {
	struct load_backend_config config;
	struct sockaddr_storage server;
	socklen_t server_bytes;
	int epoll;
	struct kernel_conn *conns;
	uint8_t *stage;
	uint32_t stage_bytes;
	struct kernel_chunk chunks[KERNEL_CHUNKS];
	uint32_t chunks_len;
	uint8_t *read_area; /* one stretch of a stream, or LOAD_BURST datagrams */
	struct load_backend_stats stats;
};

/* Sends what is staged; the staging area is empty then. */
void kernel_tcp_flush(struct load_backend *backend);
void kernel_udp_flush(struct load_backend *backend);

/* What epoll says of a connection. Returns the number of pieces delivered. */
uint32_t kernel_tcp_event(struct load_backend *backend, uint32_t conn, uint32_t events);
uint32_t kernel_udp_event(struct load_backend *backend, uint32_t conn);

/* A socket that was connecting can be written: it is up, or has failed. */
void kernel_finish_connect(struct load_backend *backend, uint32_t conn);

/* Closes the socket and frees the backlog; nobody is told. */
void kernel_drop(struct load_backend *backend, uint32_t conn);

#endif
