/*
 * The control socket: a Unix stream socket, an epoll loop, requests and replies a line each (wire.h).
 *
 * Nothing a client does blocks the loop or grows memory without bound: reads and writes never block, each of
 * at most SERVER_CLIENTS_MAX clients has one request and one reply in memory, the next request waits until
 * the reply is taken. A client that leaves a request unfinished or a reply unread for SERVER_STALL_MS, or
 * idles for SERVER_IDLE_MS, is dropped; so is one whose line is no JSON object or too long, after being told
 * so. When all places are taken, a new client waits in the kernel's queue for that of the one that has been silent longest,
 * for SERVER_YIELD_MS at least: many who connect and say nothing keep nobody out.
 *
 * Answering takes at most a share of a core (budget.h). Whoever asks for more, well or ill, waits, in the kernel's queues;
 * signals and what else is watched does not.
 *
 * Control thread only.
 */
#ifndef WIRECACHE_CONTROL_SERVER_H
#define WIRECACHE_CONTROL_SERVER_H

#include <stdint.h>

#include <jansson.h>

#define SERVER_CLIENTS_MAX 16u
#define SERVER_STALL_MS    5000u
#define SERVER_IDLE_MS     60000u
#define SERVER_YIELD_MS    1000u
#define SERVER_ERROR_MAX   512u

struct server;

struct server_config {
	const char *path; /* its directory is made, mode 0700, if only that is missing */
	json_t *(*answer)(void *answer_ctx, const json_t *request); /* returns the reply, a new reference */
	void *answer_ctx;
	uint64_t (*now_ms)(void *now_ctx); /* monotonic */
	uint64_t (*cpu_us)(void *now_ctx); /* processor time that this thread has taken */
	void *now_ctx;
};

/*
 * Listens. A socket file whose daemon is gone is replaced; one that answers is -EADDRINUSE. Returns 0 or
 * negative errno, with one sentence for the operator.
 */
int server_open(const struct server_config *config, struct server **out, char error[SERVER_ERROR_MAX]);

/* Calls back in server_step() when fd is readable. fd stays the caller's. Once: for signals. 0 or negative
 * errno. */
int server_watch(struct server *server, int fd, void (*readable)(void *watch_ctx), void *watch_ctx);

/* Waits for at most timeout_ms, serves what is ready and within the budget, drops who is late. */
void server_step(struct server *server, int timeout_ms);

unsigned server_clients(const struct server *server);

/* Drops the clients and removes the socket file. */
void server_close(struct server *server);

#endif
