/*
 * See client.h. The deadline holds for connecting, sending and receiving together, so that a daemon that is
 * stopped in a debugger does not hold up a script.
 */
#include "control/ctl/client.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "control/wire.h"

#define RECEIVE_STEP_BYTES 65536u

static int64_t
clock_ms(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* 0 when fd is ready, -ETIMEDOUT at the deadline. */
static int
wait_for(int fd, short events, int64_t deadline_ms)
{
	for (;;) {
		struct pollfd poller = {.fd = fd, .events = events};
		int64_t left_ms = deadline_ms - clock_ms();
		int ready = poll(&poller, 1, left_ms > 0 ? (int)left_ms : 0);
		if (ready > 0)
			return 0;
		if (ready == 0)
			return -ETIMEDOUT;
		if (errno != EINTR)
			return -errno;
	}
}

static int
connect_to(const char *path, int64_t deadline_ms)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	if (strlen(path) >= sizeof(address.sun_path))
		return -ENAMETOOLONG;
	memcpy(address.sun_path, path, strlen(path));
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	/* EAGAIN: its backlog is full. There is nothing to poll for that. */
	while (connect(fd, (struct sockaddr *)&address, sizeof(address)) != 0) {
		int reason = errno;
		if (reason == EAGAIN && clock_ms() < deadline_ms) {
			poll(NULL, 0, 20);
			continue;
		}
		close(fd);
		return -reason;
	}
	return fd;
}

static int
send_all(int fd, const char *bytes, size_t len, int64_t deadline_ms)
{
	while (len > 0) {
		ssize_t sent = send(fd, bytes, len, MSG_NOSIGNAL);
		if (sent < 0 && errno != EAGAIN && errno != EINTR)
			return errno == EPIPE || errno == ECONNRESET
			           ? 0
			           : -errno; /* its parting words can be read still */
		if (sent > 0) {
			bytes += sent;
			len -= (size_t)sent;
			continue;
		}
		int error = wait_for(fd, POLLOUT, deadline_ms);
		if (error != 0)
			return error;
	}
	return 0;
}

/* Reads a line; *line is to be freed. Its length, or negative errno. */
static ssize_t
receive_line(int fd, char **line, int64_t deadline_ms)
{
	size_t bytes = 0, room = 0;
	*line = NULL;
	while (bytes < WIRE_REPLY_MAX) {
		if (bytes == room) {
			char *grown = realloc(*line, room + RECEIVE_STEP_BYTES);
			if (grown == NULL)
				return -ENOMEM;
			*line = grown;
			room += RECEIVE_STEP_BYTES;
		}
		int error = wait_for(fd, POLLIN, deadline_ms);
		if (error != 0)
			return error;
		ssize_t got = recv(fd, *line + bytes, room - bytes, 0);
		if (got < 0 && (errno == EAGAIN || errno == EINTR))
			continue;
		if (got <= 0)
			return got < 0 ? -errno : -ECONNRESET;
		bytes += (size_t)got;
		if ((*line)[bytes - 1] == '\n')
			return (ssize_t)bytes;
	}
	return -EMSGSIZE;
}

static json_t *
exchange(int fd, const char *request, size_t request_bytes, int64_t deadline_ms, int *reason)
{
	char *line = NULL;
	json_t *reply = NULL;
	*reason = send_all(fd, request, request_bytes, deadline_ms);
	if (*reason == 0) {
		ssize_t line_bytes = receive_line(fd, &line, deadline_ms);
		*reason = line_bytes < 0 ? (int)line_bytes : -EPROTO;
		if (line_bytes > 0)
			reply = wire_decode(line, (size_t)line_bytes);
	}
	free(line);
	return reply;
}

json_t *
client_call(const char *socket_path, json_t *request, int timeout_ms, char error[CLIENT_ERROR_MAX])
{
	size_t request_bytes;
	int64_t deadline_ms = clock_ms() + timeout_ms;
	char *line = wire_encode(request, &request_bytes);
	if (line == NULL) {
		snprintf(error, CLIENT_ERROR_MAX, "the request is no valid text");
		return NULL;
	}
	int reason = 0;
	json_t *reply = NULL;
	int fd = connect_to(socket_path, deadline_ms);
	if (fd < 0) {
		snprintf(error, CLIENT_ERROR_MAX, "cannot reach wirecached on %s: %s%s", socket_path,
		    strerror(-fd),
		    fd == -ENOENT || fd == -ECONNREFUSED ? " (is it running? -s gives another socket)"
		    : fd == -EACCES                      ? " (try as root)"
		                                         : "");
	} else {
		reply = exchange(fd, line, request_bytes, deadline_ms, &reason);
		if (reply == NULL && reason == -ETIMEDOUT)
			snprintf(error, CLIENT_ERROR_MAX, "wirecached on %s did not answer within %g s",
			    socket_path, timeout_ms / 1000.0);
		else if (reply == NULL)
			snprintf(error, CLIENT_ERROR_MAX, "wirecached on %s gave no answer: %s", socket_path,
			    strerror(-reason));
		close(fd);
	}
	free(line);
	return reply;
}
