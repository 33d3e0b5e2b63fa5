/*
 * What TCP and UDP sockets have in common: opening, connecting, staging, polling. See kernel.h.
 */
#include "tests/load/kernel.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <unistd.h>

#define RECEIVE_BUFFER   (4 << 20) /* of a UDP socket: 2 ms at 1 M replies a second and a core that is away */
#define SPARE_FILES      64u
#define PORTS_AN_ADDRESS 20000u /* connections from one source address; the kernel's range has 28 000 ports */

/* Each connection is a file. What the limit does not allow shows when sockets are made. */
static void
raise_file_limit(const struct load_backend_config *config)
{
	struct rlimit limit;
	rlim_t wanted = (rlim_t)config->connections * config->threads + SPARE_FILES;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= wanted)
		return;
	limit.rlim_cur = wanted;
	if (limit.rlim_max < wanted)
		limit.rlim_max = wanted; /* allowed to root, up to fs.nr_open */
	setrlimit(RLIMIT_NOFILE, &limit);
}

static bool
parse_server(struct load_backend *backend)
{
	struct sockaddr_in *v4 = (struct sockaddr_in *)(void *)&backend->server;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)(void *)&backend->server;

	if (inet_pton(AF_INET, backend->config.server, &v4->sin_addr) == 1) {
		v4->sin_family = AF_INET;
		v4->sin_port = htons(backend->config.port);
		backend->server_bytes = sizeof(*v4);
		return true;
	}
	memset(&backend->server, 0, sizeof(backend->server));
	if (inet_pton(AF_INET6, backend->config.server, &v6->sin6_addr) != 1)
		return false;
	v6->sin6_family = AF_INET6;
	v6->sin6_port = htons(backend->config.port);
	backend->server_bytes = sizeof(*v6);
	return true;
}

static void
kernel_close(struct load_backend *backend)
{
	if (backend == NULL)
		return;
	for (uint32_t conn = 0; backend->conns != NULL && conn < backend->config.connections; conn++)
		kernel_drop(backend, conn);
	if (backend->epoll >= 0)
		close(backend->epoll);
	free(backend->conns);
	free(backend->stage);
	free(backend->read_area);
	free(backend);
}

static int
kernel_open(struct load_backend **out, const struct load_backend_config *config, char error[LOAD_ERROR_BYTES])
{
	struct load_backend *backend = calloc(1, sizeof(*backend));

	if (backend == NULL)
		goto no_memory;
	backend->config = *config;
	backend->epoll = epoll_create1(EPOLL_CLOEXEC);
	backend->conns = calloc(config->connections, sizeof(*backend->conns));
	backend->stage = malloc(KERNEL_STAGE_BYTES);
	backend->read_area = malloc(KERNEL_READ_BYTES);
	if (backend->epoll < 0 || backend->conns == NULL || backend->stage == NULL ||
	    backend->read_area == NULL)
		goto no_memory;
	for (uint32_t conn = 0; conn < config->connections; conn++)
		backend->conns[conn].fd = -1;
	if (!parse_server(backend)) {
		snprintf(error, LOAD_ERROR_BYTES, "server is \"%s\", expected an IPv4 or IPv6 address",
		    config->server);
		kernel_close(backend);
		return -EINVAL;
	}
	raise_file_limit(config);
	*out = backend;
	return 0;
no_memory:
	snprintf(error, LOAD_ERROR_BYTES, "no memory for %u connections", config->connections);
	kernel_close(backend);
	return -ENOMEM;
}

void
kernel_drop(struct load_backend *backend, uint32_t conn)
{
	struct kernel_conn *c = &backend->conns[conn];
	struct linger now = {.l_onoff = 1, .l_linger = 0};

	if (c->fd >= 0) {
		if (backend->config.transport == LOAD_TCP) /* a reset leaves no port behind in TIME-WAIT */
			setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
		close(c->fd);
	}
	free(c->backlog);
	*c = (struct kernel_conn){.fd = -1};
}

/* The loopback has more addresses than one: each gives its own ports. Elsewhere the kernel chooses. */
static void
bind_source(const struct load_backend *backend, uint32_t conn, int fd)
{
	const struct sockaddr_in *server = (const struct sockaddr_in *)(const void *)&backend->server;
	uint64_t number = (uint64_t)conn * backend->config.threads + backend->config.thread;
	uint32_t address = (uint32_t)(number / PORTS_AN_ADDRESS);
	int later = 1;

	if (address == 0 || server->sin_family != AF_INET || ntohl(server->sin_addr.s_addr) >> 24 != 127)
		return;
	struct sockaddr_in source = {
	    .sin_family = AF_INET, .sin_addr.s_addr = htonl((uint32_t)INADDR_LOOPBACK + address)};
	setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &later, sizeof(later));
	if (bind(fd, (struct sockaddr *)&source, sizeof(source)) != 0)
		return; /* connect() then says what is missing */
}

static void
tune(const struct load_backend *backend, int fd)
{
	int on = 1, room = RECEIVE_BUFFER;

	if (backend->config.transport == LOAD_TCP)
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	else if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room)) != 0)
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof(room));
}

static int
kernel_connect(struct load_backend *backend, uint32_t conn)
{
	struct kernel_conn *c = &backend->conns[conn];
	bool tcp = backend->config.transport == LOAD_TCP;
	int fd = socket(
	    backend->server.ss_family, (tcp ? SOCK_STREAM : SOCK_DGRAM) | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	tune(backend, fd);
	bind_source(backend, conn, fd);
	if (connect(fd, (struct sockaddr *)&backend->server, backend->server_bytes) != 0 &&
	    errno != EINPROGRESS) {
		int error = errno;
		close(fd);
		backend->stats.connect_failures++;
		return -error;
	}
	struct epoll_event event = {.events = EPOLLOUT, .data.u32 = conn};
	if (epoll_ctl(backend->epoll, EPOLL_CTL_ADD, fd, &event) != 0) {
		int error = errno;
		close(fd);
		return -error;
	}
	*c = (struct kernel_conn){.fd = fd, .state = KERNEL_CONNECTING};
	return 0;
}

static void
kernel_flush(struct load_backend *backend)
{
	if (backend->chunks_len == 0)
		return;
	if (backend->config.transport == LOAD_TCP)
		kernel_tcp_flush(backend);
	else
		kernel_udp_flush(backend);
	backend->chunks_len = 0;
	backend->stage_bytes = 0;
}

static bool
kernel_blocked(struct load_backend *backend, uint32_t conn)
{
	const struct kernel_conn *c = &backend->conns[conn];

	return c->state != KERNEL_UP || c->backlog != NULL;
}

static void *
kernel_reserve(struct load_backend *backend, uint32_t conn, uint32_t bytes)
{
	if (kernel_blocked(backend, conn))
		return NULL;
	if (backend->stage_bytes + bytes > KERNEL_STAGE_BYTES || backend->chunks_len == KERNEL_CHUNKS) {
		kernel_flush(backend);
		if (kernel_blocked(backend, conn))
			return NULL;
	}
	return backend->stage + backend->stage_bytes;
}

static void
kernel_commit(struct load_backend *backend, uint32_t conn, uint32_t bytes, bool push)
{
	if (bytes == 0)
		return;
	backend->chunks[backend->chunks_len++] =
	    (struct kernel_chunk){.conn = conn, .offset = backend->stage_bytes, .bytes = bytes, .push = push};
	backend->stage_bytes += bytes;
}

static uint32_t
kernel_poll(struct load_backend *backend, uint64_t now_tsc)
{
	struct epoll_event events[KERNEL_EVENTS];
	int len = epoll_wait(backend->epoll, events, KERNEL_EVENTS, 0);
	uint32_t pieces = 0;

	for (int i = 0; i < len; i++) {
		uint32_t conn = events[i].data.u32;
		if (backend->conns[conn].fd < 0) /* closed by a callback of an event before */
			continue;
		if (backend->conns[conn].state == KERNEL_CONNECTING)
			kernel_finish_connect(backend, conn);
		else if (backend->config.transport == LOAD_TCP)
			pieces += kernel_tcp_event(backend, conn, events[i].events);
		else
			pieces += kernel_udp_event(backend, conn);
	}
	return pieces;
}

/* Datagrams that found the socket's buffer full are known to the socket. */
static uint64_t
socket_drops(int fd)
{
	uint32_t memory[SK_MEMINFO_VARS] = {0};
	socklen_t bytes = sizeof(memory);

	if (fd < 0 || getsockopt(fd, SOL_SOCKET, SO_MEMINFO, memory, &bytes) != 0)
		return 0;
	return memory[SK_MEMINFO_DROPS];
}

static void
kernel_stats(const struct load_backend *backend, struct load_backend_stats *stats)
{
	*stats = backend->stats;
	for (uint32_t conn = 0; backend->config.transport == LOAD_UDP && conn < backend->config.connections;
	     conn++)
		stats->rx_dropped += socket_drops(backend->conns[conn].fd);
}

const struct load_backend_ops load_backend_kernel = {
    .name = "kernel",
    .help = "the kernel's sockets",
    .open = kernel_open,
    .connect = kernel_connect,
    .close_conn = kernel_drop,
    .reserve = kernel_reserve,
    .commit = kernel_commit,
    .blocked = kernel_blocked,
    .flush = kernel_flush,
    .poll = kernel_poll,
    .stats = kernel_stats,
    .close = kernel_close,
};
