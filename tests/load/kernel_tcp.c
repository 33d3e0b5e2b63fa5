/*
 * Streams over the kernel's sockets, see kernel.h.
 */
#include "tests/load/kernel.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "tests/load/clock.h"

/* The connection ended: its number is free before the generator is told. */
static void
ended(struct load_backend *backend, uint32_t conn, int error)
{
	backend->stats.connect_failures += backend->conns[conn].state == KERNEL_CONNECTING;
	kernel_drop(backend, conn);
	backend->config.events.changed(backend->config.events.ctx, conn, LOAD_CONN_CLOSED, error);
}

static void
want(struct load_backend *backend, uint32_t conn, bool write)
{
	struct kernel_conn *c = &backend->conns[conn];
	struct epoll_event event = {.events = EPOLLIN | (write ? EPOLLOUT : 0u), .data.u32 = conn};

	c->wants_write = write;
	epoll_ctl(backend->epoll, EPOLL_CTL_MOD, c->fd, &event);
}

/* Bytes that the socket took. An error shows again when it is read from, and is told then. */
static uint32_t
send_some(struct load_backend *backend, const struct kernel_conn *c, const uint8_t *data, uint32_t bytes)
{
	ssize_t sent = send(c->fd, data, bytes, MSG_NOSIGNAL | MSG_DONTWAIT);

	backend->stats.tx_packets++;
	return sent > 0 ? (uint32_t)sent : 0;
}

/* Appends to the backlog; without memory the bytes are lost, and so is the stream. */
static void
keep(struct load_backend *backend, uint32_t conn, const uint8_t *data, uint32_t bytes)
{
	struct kernel_conn *c = &backend->conns[conn];
	uint8_t *backlog = realloc(c->backlog, c->backlog_bytes + bytes);

	if (backlog == NULL) {
		backend->stats.tx_dropped++;
		shutdown(c->fd, SHUT_RDWR); /* which the next poll sees */
		return;
	}
	memcpy(backlog + c->backlog_bytes, data, bytes);
	c->backlog = backlog;
	c->backlog_bytes += bytes;
	if (!c->wants_write)
		want(backend, conn, true);
}

static void
send_chunk(struct load_backend *backend, uint32_t conn, const uint8_t *data, uint32_t bytes)
{
	struct kernel_conn *c = &backend->conns[conn];

	if (c->state != KERNEL_UP) /* closed since it was committed */
		return;
	uint32_t sent = c->backlog == NULL ? send_some(backend, c, data, bytes) : 0;
	if (sent < bytes)
		keep(backend, conn, data + sent, bytes - sent);
}

/* Commits of a connection that follow each other lie beside each other, and leave together up to a push. */
void
kernel_tcp_flush(struct load_backend *backend)
{
	for (uint32_t i = 0; i < backend->chunks_len;) {
		const struct kernel_chunk *first = &backend->chunks[i++];
		const struct kernel_chunk *last = first;
		uint32_t bytes = first->bytes;
		while (i < backend->chunks_len && !last->push && backend->chunks[i].conn == first->conn) {
			last = &backend->chunks[i++];
			bytes += last->bytes;
		}
		send_chunk(backend, first->conn, backend->stage + first->offset, bytes);
	}
}

static void
send_backlog(struct load_backend *backend, uint32_t conn)
{
	struct kernel_conn *c = &backend->conns[conn];

	if (c->backlog == NULL)
		return;
	c->backlog_sent +=
	    send_some(backend, c, c->backlog + c->backlog_sent, c->backlog_bytes - c->backlog_sent);
	if (c->backlog_sent < c->backlog_bytes)
		return;
	free(c->backlog);
	c->backlog = NULL;
	c->backlog_bytes = c->backlog_sent = 0;
	want(backend, conn, false);
}

void
kernel_finish_connect(struct load_backend *backend, uint32_t conn)
{
	int error = 0;
	socklen_t bytes = sizeof(error);

	getsockopt(backend->conns[conn].fd, SOL_SOCKET, SO_ERROR, &error, &bytes);
	if (error != 0) {
		ended(backend, conn, error);
		return;
	}
	backend->conns[conn].state = KERNEL_UP;
	want(backend, conn, false);
	backend->config.events.changed(backend->config.events.ctx, conn, LOAD_CONN_UP, 0);
}

static uint32_t
read_stream(struct load_backend *backend, uint32_t conn)
{
	ssize_t bytes = recv(backend->conns[conn].fd, backend->read_area, KERNEL_READ_BYTES, MSG_DONTWAIT);

	if (bytes < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (bytes <= 0) {
		ended(backend, conn, bytes < 0 ? errno : 0);
		return 0;
	}
	struct load_piece piece = {
	    .data = backend->read_area, .bytes = (uint32_t)bytes, .conn = conn, .rx_tsc = load_now_tsc()};
	backend->stats.rx_packets++;
	backend->config.events.received(backend->config.events.ctx, &piece, 1);
	return 1;
}

uint32_t
kernel_tcp_event(struct load_backend *backend, uint32_t conn, uint32_t events)
{
	if (events & EPOLLOUT)
		send_backlog(backend, conn);
	return events & (EPOLLIN | EPOLLERR | EPOLLHUP) ? read_stream(backend, conn) : 0;
}
