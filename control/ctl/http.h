/*
 * HTTP for `wirectl serve`: which address, which page, and the loop. One thread of libmicrohttpd; a request asks the
 * daemon over the control socket, or takes what was asked within the last HTTP_FRESH_MS.
 */
#ifndef WIRECACHE_CTL_HTTP_H
#define WIRECACHE_CTL_HTTP_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>

#include <jansson.h>

#define HTTP_LISTEN_DEFAULT  "127.0.0.1:9150"
#define HTTP_FRESH_MS        500u
#define HTTP_CONNECTIONS_MAX 64u
#define HTTP_IDLE_S          10u

/* "127.0.0.1:9150", "[::1]:9150"; false: it is none. */
bool http_parse_address(const char *text, struct sockaddr_storage *address);

/* What a path is answered with: `asked` is what the daemon said to `metrics` and `status`, NULL when it is not there. */
struct http_answer {
	unsigned code;
	const char *type;
	char *body; /* to be freed, or static_body */
	const char *static_body;
	size_t bytes;
};
void http_answer(const char *path, const char *accept, const json_t *metrics, const json_t *status,
    struct http_answer *answer);

#endif
