/*
 * Listener, epoll loop and the table of clients; one client's buffers are in server_client.c. See server.h.
 */
#include "control/server.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "control/budget.h"
#include "control/log.h"
#include "control/server_client.h"
#include "control/wire.h"

#define EVENTS_MAX (SERVER_CLIENTS_MAX + 2)

/* epoll's data: client index, or one of these. */
enum { EVENT_LISTENER = SERVER_CLIENTS_MAX, EVENT_WATCH };

struct server {
	struct server_config config;
	char path[sizeof(((struct sockaddr_un *)0)->sun_path)];
	dev_t socket_dev; /* of the file that we made, so that we remove no other */
	ino_t socket_ino;
	int epoll_fd, listen_fd, watch_fd;
	bool listening; /* epoll tells of callers */
	struct budget budget;
	void (*watch)(void *watch_ctx);
	void *watch_ctx;
	struct server_client *clients[SERVER_CLIENTS_MAX];
};

static int
watch_fd(struct server *server, int operation, int fd, uint32_t events, uint32_t id)
{
	struct epoll_event event = {.events = events, .data.u32 = id};
	return epoll_ctl(server->epoll_fd, operation, fd, &event) == 0 ? 0 : -errno;
}

/* 0: the path is free. Connecting tells a live daemon from a file that a dead one left. */
static int
free_path(const struct sockaddr_un *address, char error[SERVER_ERROR_MAX])
{
	struct stat status;
	const char *path = address->sun_path;
	if (lstat(path, &status) != 0)
		return 0;
	if (!S_ISSOCK(status.st_mode)) {
		snprintf(error, SERVER_ERROR_MAX,
		    "%s exists and is no socket: remove it, or set control.socket", path);
		return -EEXIST;
	}
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0) {
		snprintf(error, SERVER_ERROR_MAX, "cannot make a socket: %s", strerror(errno));
		return -errno;
	}
	int refused =
	    connect(fd, (const struct sockaddr *)address, sizeof(*address)) != 0 && errno == ECONNREFUSED;
	close(fd);
	if (!refused) {
		snprintf(error, SERVER_ERROR_MAX,
		    "another wirecached is running on %s: stop it, or give this one its own control.socket "
		    "and "
		    "wirecache.instance",
		    path);
		return -EADDRINUSE;
	}
	return unlink(path) == 0 || errno == ENOENT ? 0 : -errno;
}

static void
make_directory(const char *path)
{
	char directory[sizeof(((struct sockaddr_un *)0)->sun_path)];
	const char *slash = strrchr(path, '/');
	if (slash == NULL || slash == path)
		return;
	snprintf(directory, sizeof(directory), "%.*s", (int)(slash - path), path);
	if (mkdir(directory, 0700) != 0 && errno != EEXIST)
		log_line(
		    LOG_LEVEL_VERBOSE, "cannot make %s: %s", directory, strerror(errno)); /* bind tells */
}

static int
listen_on(struct server *server, char error[SERVER_ERROR_MAX])
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	struct stat status;
	memcpy(address.sun_path, server->path, sizeof(address.sun_path));
	make_directory(server->path);
	int result = free_path(&address, error);
	if (result != 0)
		return result;
	server->listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	mode_t mask = umask(0177); /* the file is never open to others, not even before a chmod */
	result = server->listen_fd < 0
	             ? -1
	             : bind(server->listen_fd, (struct sockaddr *)&address, sizeof(address));
	int reason = errno;
	umask(mask);
	if (result != 0 || listen(server->listen_fd, SERVER_CLIENTS_MAX) != 0) {
		reason = result != 0 ? reason : errno;
		snprintf(error, SERVER_ERROR_MAX,
		    "cannot listen on %s: %s: set control.socket to a path that can be written", server->path,
		    strerror(reason));
		return -reason;
	}
	if (stat(server->path, &status) == 0) {
		server->socket_dev = status.st_dev;
		server->socket_ino = status.st_ino;
	}
	server->listening = true;
	return watch_fd(server, EPOLL_CTL_ADD, server->listen_fd, EPOLLIN, EVENT_LISTENER);
}

int
server_open(const struct server_config *config, struct server **out, char error[SERVER_ERROR_MAX])
{
	int result = -ENOMEM;
	struct server *server = calloc(1, sizeof(*server));
	*out = NULL;
	snprintf(error, SERVER_ERROR_MAX, "out of memory");
	if (server == NULL)
		return result;
	server->config = *config;
	server->listen_fd = server->watch_fd = -1;
	budget_init(&server->budget, config->now_ms(config->now_ctx));
	server->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (server->epoll_fd < 0) {
		result = -errno;
		snprintf(error, SERVER_ERROR_MAX, "epoll: %s", strerror(errno));
		goto failed;
	}
	if (strlen(config->path) >= sizeof(server->path)) {
		result = -ENAMETOOLONG;
		snprintf(error, SERVER_ERROR_MAX,
		    "control.socket is longer than the %zu characters a socket path may have",
		    sizeof(server->path) - 1);
		goto failed;
	}
	snprintf(server->path, sizeof(server->path), "%s", config->path);
	result = listen_on(server, error);
	if (result != 0)
		goto failed;
	*out = server;
	return 0;
failed:
	server_close(server);
	return result;
}

int
server_watch(struct server *server, int fd, void (*readable)(void *watch_ctx), void *watch_ctx)
{
	server->watch_fd = fd;
	server->watch = readable;
	server->watch_ctx = watch_ctx;
	return watch_fd(server, EPOLL_CTL_ADD, fd, EPOLLIN, EVENT_WATCH);
}

static void
drop_client(struct server *server, unsigned at)
{
	server_client_free(server->clients[at]); /* closing ends epoll's interest */
	server->clients[at] = NULL;
}

/* A free place, or that of who has been silent longest and long enough; SERVER_CLIENTS_MAX: there is none. */
static unsigned
find_place(const struct server *server, uint64_t now_ms)
{
	unsigned longest = SERVER_CLIENTS_MAX;
	uint64_t longest_ms = SERVER_YIELD_MS;
	for (unsigned at = 0; at < SERVER_CLIENTS_MAX; at++) {
		if (server->clients[at] == NULL)
			return at;
		uint64_t silent_ms = server_client_silent_ms(server->clients[at], now_ms);
		if (silent_ms >= longest_ms) {
			longest = at;
			longest_ms = silent_ms;
		}
	}
	return longest;
}

/* While there is no place, callers are left in the kernel's queue, and their knocking does not wake us. */
static void
listen_while(struct server *server, bool places)
{
	if (places == server->listening)
		return;
	if (watch_fd(server, EPOLL_CTL_MOD, server->listen_fd, places ? EPOLLIN : 0, EVENT_LISTENER) == 0)
		server->listening = places;
}

static void
accept_clients(struct server *server, uint64_t now_ms)
{
	for (unsigned round = 0; round < SERVER_CLIENTS_MAX; round++) {
		unsigned at = find_place(server, now_ms);
		int fd = at < SERVER_CLIENTS_MAX
		             ? accept4(server->listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)
		             : -1;
		if (fd < 0)
			return;
		if (server->clients[at] != NULL) {
			log_line(LOG_LEVEL_VERBOSE, "control socket: a silent client gives way to a new one");
			drop_client(server, at);
		}
		server->clients[at] = server_client_new_or_close(fd, now_ms);
		if (server->clients[at] != NULL && watch_fd(server, EPOLL_CTL_ADD, fd, EPOLLIN, at) != 0)
			drop_client(server, at);
	}
}

static void
serve_client(struct server *server, unsigned at, uint64_t now_ms)
{
	struct server_client *client = server->clients[at];
	if (client == NULL)
		return; /* dropped earlier in this step */
	if (!server_client_serve(client, server->config.answer, server->config.answer_ctx, now_ms)) {
		drop_client(server, at);
		return;
	}
	uint32_t events = server_client_wants_to_write(client) ? EPOLLOUT : EPOLLIN;
	if (watch_fd(server, EPOLL_CTL_MOD, server_client_fd(client), events, at) != 0)
		drop_client(server, at);
}

/* The clients have had their share: waits for signals alone. */
static void
rest(struct server *server, int timeout_ms, uint64_t wait_ms)
{
	struct pollfd watched = {.fd = server->watch_fd, .events = POLLIN};
	if (poll(&watched, 1, wait_ms < (uint64_t)timeout_ms ? (int)wait_ms : timeout_ms) > 0)
		server->watch(server->watch_ctx);
}

static void
serve_ready(struct server *server, int timeout_ms)
{
	struct epoll_event events[EVENTS_MAX];
	int ready = epoll_wait(server->epoll_fd, events, EVENTS_MAX, timeout_ms);
	uint64_t now_ms = server->config.now_ms(server->config.now_ctx);
	bool callers = false;
	for (int i = 0; i < ready; i++) {
		if (events[i].data.u32 == EVENT_WATCH)
			server->watch(server->watch_ctx);
		else if (events[i].data.u32 == EVENT_LISTENER)
			callers = true;
		else
			serve_client(server, events[i].data.u32, now_ms);
	}
	for (unsigned at = 0; at < SERVER_CLIENTS_MAX; at++)
		if (server->clients[at] != NULL && server_client_late(server->clients[at], now_ms)) {
			log_line(
			    LOG_LEVEL_VERBOSE, "control socket: client dropped, it neither reads nor asks");
			drop_client(server, at);
		}
	/* Last, so that no event of this step can mean a client that took a dropped one's place. */
	if (callers)
		accept_clients(server, now_ms);
	listen_while(server, find_place(server, now_ms) < SERVER_CLIENTS_MAX);
}

void
server_step(struct server *server, int timeout_ms)
{
	const struct server_config *config = &server->config;
	budget_fill(&server->budget, config->now_ms(config->now_ctx));
	uint64_t wait_ms = budget_wait_ms(&server->budget);
	if (wait_ms > 0) {
		rest(server, timeout_ms, wait_ms);
		return;
	}
	uint64_t before_us = config->cpu_us(config->now_ctx);
	serve_ready(server, timeout_ms);
	budget_spend(&server->budget, config->cpu_us(config->now_ctx) - before_us);
}

unsigned
server_clients(const struct server *server)
{
	unsigned count = 0;
	for (unsigned at = 0; at < SERVER_CLIENTS_MAX; at++)
		count += server->clients[at] != NULL;
	return count;
}

void
server_close(struct server *server)
{
	struct stat status;
	for (unsigned at = 0; at < SERVER_CLIENTS_MAX; at++)
		if (server->clients[at] != NULL)
			drop_client(server, at);
	if (server->socket_ino != 0 && stat(server->path, &status) == 0 &&
	    status.st_ino == server->socket_ino && status.st_dev == server->socket_dev)
		unlink(server->path);
	if (server->listen_fd >= 0)
		close(server->listen_fd);
	if (server->epoll_fd >= 0)
		close(server->epoll_fd);
	free(server);
}
