/*
 * `wirectl serve`: the daemon's figures over HTTP, from a process of its own: whatever asks too much of it, or kills
 * it, has no way to the data plane. One thread of libmicrohttpd takes requests one after the other; what the daemon said
 * is kept for half a second, so that no crowd of browsers reaches it.
 */
#include "control/ctl/local.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <microhttpd.h>

#include "control/ctl/client.h"
#include "control/ctl/http.h"

#define ASK_MS 2000

struct exporter {
	const char *socket_path;
	json_t *metrics, *status; /* NULL: the daemon did not answer */
	uint64_t asked_ms;        /* 0: never */
};

static uint64_t
now_ms(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* New reference to the result, or NULL. */
static json_t *
ask(const struct exporter *exporter, const char *command)
{
	char error[CLIENT_ERROR_MAX];
	json_t *request = json_pack("{s:[s]}", "command", command);
	json_t *reply = client_call(exporter->socket_path, request, ASK_MS, error);
	json_t *result = json_incref(json_object_get(reply, "result"));
	json_decref(reply);
	return result;
}

static void
refresh(struct exporter *exporter)
{
	if (exporter->asked_ms != 0 && now_ms() - exporter->asked_ms < HTTP_FRESH_MS)
		return;
	json_decref(exporter->metrics);
	json_decref(exporter->status);
	exporter->status = ask(exporter, "status");
	exporter->metrics = exporter->status != NULL ? ask(exporter, "metrics") : NULL;
	exporter->asked_ms = now_ms();
}

static enum MHD_Result
reply_with(struct MHD_Connection *connection, const struct http_answer *answer)
{
	struct MHD_Response *response =
	    answer->body != NULL
	        ? MHD_create_response_from_buffer(answer->bytes, answer->body, MHD_RESPMEM_MUST_FREE)
	        : MHD_create_response_from_buffer(
	              answer->bytes, (void *)(uintptr_t)answer->static_body, MHD_RESPMEM_PERSISTENT);
	if (response == NULL) {
		free(answer->body);
		return MHD_NO;
	}
	MHD_add_response_header(response, "Content-Type", answer->type);
	MHD_add_response_header(response, "Cache-Control", "no-store");
	/* The page needs nothing from elsewhere; should text of a key ever become markup, it could load nothing. */
	MHD_add_response_header(response, "Content-Security-Policy",
	    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; connect-src 'self'");
	enum MHD_Result result = MHD_queue_response(connection, answer->code, response);
	MHD_destroy_response(response);
	return result;
}

static enum MHD_Result
handle(void *exporter_ctx, struct MHD_Connection *connection, const char *path, const char *method,
    const char *version, const char *upload, size_t *upload_bytes, void **state)
{
	struct exporter *exporter = exporter_ctx;
	struct http_answer answer;
	bool reads = strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0;
	if (*upload_bytes != 0) {
		*upload_bytes = 0; /* a body is taken and forgotten */
		return MHD_YES;
	}
	if (!reads) {
		static const char refusal[] = "only GET and HEAD\n";
		answer = (struct http_answer){
		    .code = 405, .type = "text/plain", .static_body = refusal, .bytes = sizeof(refusal) - 1};
		return reply_with(connection, &answer);
	}
	if (strcmp(path, "/") != 0)
		refresh(exporter);
	http_answer(path, MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "Accept"),
	    exporter->metrics, exporter->status, &answer);
	return reply_with(connection, &answer);
}

/* Until a signal that ends. */
static void
wait_for_signal(const sigset_t *set)
{
	int number;
	while (sigwait(set, &number) != 0)
		continue;
}

int
local_serve(const struct invocation *invocation)
{
	const char *listen = usage_flag(&invocation->given, "--listen");
	struct exporter exporter = {.socket_path = invocation->socket_path};
	struct sockaddr_storage address;
	sigset_t set;
	listen = listen != NULL ? listen : HTTP_LISTEN_DEFAULT;
	if (!http_parse_address(listen, &address)) {
		fprintf(stderr,
		    "wirectl: --listen: expected ADDRESS:PORT such as %s or [::1]:9150, not \"%s\"\n",
		    HTTP_LISTEN_DEFAULT, listen);
		return WIRE_USAGE;
	}
	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	pthread_sigmask(SIG_BLOCK, &set, NULL); /* before its thread, which inherits this */
	struct MHD_Daemon *daemon = MHD_start_daemon(
	    MHD_USE_INTERNAL_POLLING_THREAD | (address.ss_family == AF_INET6 ? MHD_USE_IPv6 : 0), 0, NULL,
	    NULL, handle, &exporter, MHD_OPTION_SOCK_ADDR, (struct sockaddr *)&address,
	    MHD_OPTION_CONNECTION_LIMIT, HTTP_CONNECTIONS_MAX, MHD_OPTION_CONNECTION_TIMEOUT, HTTP_IDLE_S,
	    MHD_OPTION_LISTENING_ADDRESS_REUSE, 1u, MHD_OPTION_END);
	if (daemon == NULL) {
		fprintf(stderr, "wirectl: cannot listen on %s: %s\n", listen, strerror(errno));
		return WIRE_FAILED;
	}
	printf("http://%s/ and /metrics\n", listen);
	fflush(stdout);
	wait_for_signal(&set);
	MHD_stop_daemon(daemon);
	json_decref(exporter.metrics);
	json_decref(exporter.status);
	return WIRE_OK;
}
