/*
 * One request to the daemon and its reply, over the control socket.
 */
#ifndef WIRECACHE_CTL_CLIENT_H
#define WIRECACHE_CTL_CLIENT_H

#include <jansson.h>

#define CLIENT_ERROR_MAX 256u

/*
 * Sends the request (its reference is taken) and waits for the reply, timeout_ms in all. NULL: the daemon
 * cannot be reached or does not answer, one sentence in error.
 */
json_t *client_call(const char *socket_path, json_t *request, int timeout_ms, char error[CLIENT_ERROR_MAX]);

#endif
