/*
 * One client of the control socket: a request being read, a reply being written. Owned by server.c, control
 * thread.
 */
#ifndef WIRECACHE_CONTROL_SERVER_CLIENT_H
#define WIRECACHE_CONTROL_SERVER_CLIENT_H

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

struct server_client;

/* Takes fd, which must not block. NULL without memory: fd is closed then. */
struct server_client *server_client_new_or_close(int fd, uint64_t now_ms);
void server_client_free(struct server_client *client);

/*
 * Writes what is pending, else reads and answers one request. False: the client is gone or to be dropped.
 * What was read beyond the request waits until its reply is written.
 */
bool server_client_serve(struct server_client *client,
    json_t *(*answer)(void *answer_ctx, const json_t *request), void *answer_ctx, uint64_t now_ms);

int server_client_fd(const struct server_client *client);
/* A reply is pending, or another request is in memory already: call again when the socket takes bytes. */
bool server_client_wants_to_write(const struct server_client *client);
/* Since its last whole request or reply, or since it came. */
uint64_t server_client_silent_ms(const struct server_client *client, uint64_t now_ms);
bool server_client_late(const struct server_client *client, uint64_t now_ms);

#endif
