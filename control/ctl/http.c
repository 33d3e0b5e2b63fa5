/*
 * See http.h. What a path is answered with; who asks and how is in serve.c.
 *
 *   /             the status page, page.html
 *   /metrics      for Prometheus
 *   /status.json  the daemon's `metrics` and `status`, for the page
 *   /healthz      200 unless the daemon is gone or failing
 *   /readyz       200 while clients should be sent here: not while it drains
 */
#include "control/ctl/http.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "control/ctl/exposition.h"

#define TEXT            "text/plain; charset=utf-8"
#define PROMETHEUS      "text/plain; version=0.0.4; charset=utf-8"
#define OPENMETRICS     "application/openmetrics-text; version=1.0.0; charset=utf-8"
#define OPENMETRICS_ASK "application/openmetrics-text"

/* page.html, byte by byte, and a zero behind it. */
extern const char http_page[];
__asm__(".section .rodata\n"
        ".global http_page\n"
        "http_page: .incbin \"control/ctl/page.html\"\n"
        ".byte 0\n"
        ".previous\n");

bool
http_parse_address(const char *text, struct sockaddr_storage *address)
{
	struct sockaddr_in *four = (struct sockaddr_in *)address;
	struct sockaddr_in6 *six = (struct sockaddr_in6 *)address;
	char host[INET6_ADDRSTRLEN + 2], *end;
	const char *colon = strrchr(text, ':');
	unsigned long port =
	    colon != NULL && colon[1] >= '0' && colon[1] <= '9' ? strtoul(colon + 1, &end, 10) : 0;
	memset(address, 0, sizeof(*address));
	if (port == 0 || port > 65535 || *end != '\0' || (size_t)(colon - text) >= sizeof(host))
		return false;
	snprintf(host, sizeof(host), "%.*s", (int)(colon - text), text);
	if (host[0] == '[' && colon[-1] == ']') {
		host[strlen(host) - 1] = '\0';
		six->sin6_family = AF_INET6;
		six->sin6_port = htons((uint16_t)port);
		return inet_pton(AF_INET6, host + 1, &six->sin6_addr) == 1;
	}
	four->sin_family = AF_INET;
	four->sin_port = htons((uint16_t)port);
	return inet_pton(AF_INET, host, &four->sin_addr) == 1;
}

static void
answer_text(struct http_answer *answer, unsigned code, const char *text)
{
	*answer =
	    (struct http_answer){.code = code, .type = TEXT, .static_body = text, .bytes = strlen(text)};
}

static void
answer_metrics(struct http_answer *answer, const json_t *metrics, bool openmetrics)
{
	FILE *out = open_memstream(&answer->body, &answer->bytes);
	answer->code = 200;
	answer->type = openmetrics ? OPENMETRICS : PROMETHEUS;
	if (out == NULL) {
		answer_text(answer, 500, "out of memory\n");
		return;
	}
	exposition_print(out, metrics, openmetrics);
	fclose(out);
}

static void
answer_json(struct http_answer *answer, const json_t *metrics, const json_t *status)
{
	json_t *both = json_pack("{s:O, s:O}", "metrics", metrics, "status", status);
	answer->body = both != NULL ? json_dumps(both, JSON_COMPACT) : NULL;
	json_decref(both);
	if (answer->body == NULL) {
		answer_text(answer, 503, "wirecached does not answer\n");
		return;
	}
	answer->code = 200;
	answer->type = "application/json";
	answer->bytes = strlen(answer->body);
}

static bool
health_is(const json_t *status, const char *word)
{
	const char *health = json_string_value(json_object_get(status, "health"));
	return health != NULL && strcmp(health, word) == 0;
}

void
http_answer(const char *path, const char *accept, const json_t *metrics, const json_t *status,
    struct http_answer *answer)
{
	bool failing = status == NULL || health_is(status, "failing");
	bool draining = health_is(status, "draining");
	memset(answer, 0, sizeof(*answer));
	if (strcmp(path, "/") == 0)
		*answer = (struct http_answer){.code = 200,
		    .type = "text/html; charset=utf-8",
		    .static_body = http_page,
		    .bytes = strlen(http_page)};
	else if (strcmp(path, "/metrics") == 0)
		answer_metrics(answer, metrics, accept != NULL && strstr(accept, OPENMETRICS_ASK) != NULL);
	else if (strcmp(path, "/status.json") == 0)
		answer_json(answer, metrics, status);
	else if (strcmp(path, "/healthz") == 0)
		answer_text(answer, failing ? 503 : 200,
		    status == NULL ? "wirecached does not answer\n"
		    : failing      ? "failing\n"
		                   : "ok\n");
	else if (strcmp(path, "/readyz") == 0)
		answer_text(answer, failing || draining ? 503 : 200,
		    status == NULL ? "wirecached does not answer\n"
		    : draining     ? "draining\n"
		    : failing      ? "failing\n"
		                   : "ready\n");
	else
		answer_text(answer, 404, "there are /, /metrics, /status.json, /healthz and /readyz\n");
}
