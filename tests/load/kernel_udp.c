/*
 * Datagrams over the kernel's sockets, a socket for each source port, see kernel.h.
 */
#include "tests/load/kernel.h"

#include <errno.h>

#include "tests/load/clock.h"

/* A run of chunks on one socket. What it does not take is lost, as on any network, and counted. */
static void
send_run(struct load_backend *backend, const struct kernel_chunk *chunks, uint32_t chunks_len)
{
	struct mmsghdr messages[LOAD_BURST];
	struct iovec parts[LOAD_BURST];
	int fd = backend->conns[chunks[0].conn].fd;
	uint32_t sent = 0;

	for (uint32_t i = 0; i < chunks_len; i++) {
		parts[i] =
		    (struct iovec){.iov_base = backend->stage + chunks[i].offset, .iov_len = chunks[i].bytes};
		messages[i] = (struct mmsghdr){.msg_hdr = {.msg_iov = &parts[i], .msg_iovlen = 1}};
	}
	while (sent < chunks_len) {
		int len = sendmmsg(fd, messages + sent, chunks_len - sent, MSG_DONTWAIT);
		if (len > 0) {
			sent += (uint32_t)len;
			backend->stats.tx_packets += (uint32_t)len;
			continue;
		}
		if (errno == EAGAIN || fd < 0)
			break;
		sent++; /* an earlier one's error, such as "port unreachable", is told with this one */
		backend->stats.tx_dropped++;
	}
	backend->stats.tx_dropped += chunks_len - sent;
}

void
kernel_udp_flush(struct load_backend *backend)
{
	for (uint32_t first = 0; first < backend->chunks_len;) {
		uint32_t end = first + 1;
		while (end < backend->chunks_len && end - first < LOAD_BURST &&
		       backend->chunks[end].conn == backend->chunks[first].conn)
			end++;
		send_run(backend, &backend->chunks[first], end - first);
		first = end;
	}
}

/* One burst; epoll tells again when there is more. */
uint32_t
kernel_udp_event(struct load_backend *backend, uint32_t conn)
{
	struct mmsghdr messages[LOAD_BURST];
	struct iovec parts[LOAD_BURST];
	struct load_piece pieces[LOAD_BURST];
	uint32_t pieces_len = 0;

	for (uint32_t i = 0; i < LOAD_BURST; i++) {
		parts[i] = (struct iovec){.iov_base = backend->read_area + (size_t)i * KERNEL_DATAGRAM_MAX,
		    .iov_len = KERNEL_DATAGRAM_MAX};
		messages[i] = (struct mmsghdr){.msg_hdr = {.msg_iov = &parts[i], .msg_iovlen = 1}};
	}
	int len = recvmmsg(backend->conns[conn].fd, messages, LOAD_BURST, MSG_DONTWAIT, NULL);
	uint64_t now_tsc = load_now_tsc();
	for (int i = 0; i < len; i++) {
		backend->stats.rx_packets++;
		if (messages[i].msg_hdr.msg_flags & MSG_TRUNC) {
			backend->stats.rx_dropped++;
			continue;
		}
		pieces[pieces_len++] = (struct load_piece){
		    .data = parts[i].iov_base, .bytes = messages[i].msg_len, .conn = conn, .rx_tsc = now_tsc};
	}
	if (pieces_len > 0)
		backend->config.events.received(backend->config.events.ctx, pieces, pieces_len);
	return pieces_len;
}
