/*
 * Buffers of one client. Input grows by doubling up to WIRE_REQUEST_MAX; a reply is the encoder's own memory.
 */
#include "control/server_client.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "control/server.h"
#include "control/wire.h"

#define INPUT_FIRST_BYTES 4096u

struct server_client {
	int fd;
	bool closing;           /* close once the reply is written */
	uint64_t idle_since_ms; /* last complete request or reply */
	uint64_t busy_since_ms; /* since when a request is unfinished or a reply unread; 0: neither */
	char *input;
	size_t input_bytes, input_room;
	char *reply;
	size_t reply_bytes, reply_sent;
};

struct server_client *
server_client_new_or_close(int fd, uint64_t now_ms)
{
	struct server_client *client = calloc(1, sizeof(*client));
	if (client == NULL) {
		close(fd);
		return NULL;
	}
	client->fd = fd;
	client->idle_since_ms = now_ms;
	return client;
}

void
server_client_free(struct server_client *client)
{
	close(client->fd);
	free(client->input);
	free(client->reply);
	free(client);
}

int
server_client_fd(const struct server_client *client)
{
	return client->fd;
}

static bool
has_request(const struct server_client *client)
{
	return client->input_bytes > 0 && memchr(client->input, '\n', client->input_bytes) != NULL;
}

bool
server_client_wants_to_write(const struct server_client *client)
{
	return client->reply != NULL || has_request(client);
}

uint64_t
server_client_silent_ms(const struct server_client *client, uint64_t now_ms)
{
	return now_ms - client->idle_since_ms;
}

bool
server_client_late(const struct server_client *client, uint64_t now_ms)
{
	if (client->busy_since_ms != 0 && now_ms - client->busy_since_ms > SERVER_STALL_MS)
		return true;
	return server_client_silent_ms(client, now_ms) > SERVER_IDLE_MS;
}

/* Nothing half-done ends the stall clock, anything half-done starts it. */
static void
note_progress(struct server_client *client, uint64_t now_ms)
{
	if (client->reply == NULL && client->input_bytes == 0)
		client->busy_since_ms = 0;
	else if (client->busy_since_ms == 0)
		client->busy_since_ms = now_ms > 0 ? now_ms : 1;
}

/* False: the peer is gone. */
static bool
write_reply(struct server_client *client, uint64_t now_ms)
{
	while (client->reply_sent < client->reply_bytes) {
		ssize_t sent = send(client->fd, client->reply + client->reply_sent,
		    client->reply_bytes - client->reply_sent, MSG_NOSIGNAL);
		if (sent < 0)
			return errno == EAGAIN || errno == EINTR;
		client->reply_sent += (size_t)sent;
	}
	free(client->reply);
	client->reply = NULL;
	client->idle_since_ms = now_ms;
	client->busy_since_ms = 0;
	return !client->closing;
}

static bool
set_reply(struct server_client *client, json_t *reply)
{
	client->reply = wire_encode(reply, &client->reply_bytes);
	client->reply_sent = 0;
	if (client->reply != NULL && client->reply_bytes > WIRE_REPLY_MAX) {
		free(client->reply);
		client->reply =
		    wire_encode(wire_reply_error("the reply is too long", WIRE_FAILED), &client->reply_bytes);
	}
	return client->reply != NULL;
}

static bool
set_last_reply(struct server_client *client, const char *error)
{
	client->closing = true;
	client->input_bytes = 0;
	return set_reply(client, wire_reply_error(error, WIRE_USAGE));
}

static bool
make_room(struct server_client *client)
{
	if (client->input_bytes < client->input_room)
		return true;
	size_t room = client->input_room == 0 ? INPUT_FIRST_BYTES : client->input_room * 2;
	char *grown = realloc(client->input, room);
	if (grown == NULL)
		return false;
	client->input = grown;
	client->input_room = room;
	return true;
}

/* Reads until a whole line is here. False: the peer is gone. */
static bool
read_request(struct server_client *client)
{
	while (!has_request(client) && client->input_bytes < WIRE_REQUEST_MAX) {
		if (!make_room(client))
			return false;
		ssize_t got = recv(client->fd, client->input + client->input_bytes,
		    client->input_room - client->input_bytes, 0);
		if (got == 0)
			return false;
		if (got < 0)
			return errno == EAGAIN || errno == EINTR;
		client->input_bytes += (size_t)got;
	}
	return true;
}

/* Answers the first line of the input, if it is whole. */
static bool
answer_request(struct server_client *client, json_t *(*answer)(void *answer_ctx, const json_t *request),
    void *answer_ctx)
{
	char *newline = client->input_bytes > 0 ? memchr(client->input, '\n', client->input_bytes) : NULL;
	if (newline == NULL) {
		if (client->input_bytes >= WIRE_REQUEST_MAX)
			return set_last_reply(client, "the request is too long");
		return true;
	}
	size_t line_bytes = (size_t)(newline - client->input);
	json_t *request = wire_decode(client->input, line_bytes);
	if (request == NULL)
		return set_last_reply(client, "the request is no JSON object in one line");
	client->input_bytes -= line_bytes + 1;
	memmove(client->input, newline + 1, client->input_bytes);
	json_t *reply = answer(answer_ctx, request);
	json_decref(request);
	return set_reply(client, reply);
}

bool
server_client_serve(struct server_client *client, json_t *(*answer)(void *answer_ctx, const json_t *request),
    void *answer_ctx, uint64_t now_ms)
{
	bool alive;
	if (client->reply != NULL) {
		alive = write_reply(client, now_ms);
	} else {
		alive = read_request(client) && answer_request(client, answer, answer_ctx);
		if (alive && client->reply != NULL)
			alive = write_reply(client, now_ms);
	}
	note_progress(client, now_ms);
	return alive;
}
