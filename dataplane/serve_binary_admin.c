/*
 * What the binary protocol asks about the server rather than its items: stat, version, noop, quit, flush.
 */
#include "dataplane/serve_binary.h"

#include <stdlib.h>

#define STAT_NAME_MAX  (SERVE_RESERVE_MAX / 4)
#define STAT_VALUE_MAX (SERVE_RESERVE_MAX / 2)

struct stat_answer {
	struct serve_call *call;
	const struct proto_binary *request;
};

/* One figure is one packet: its name is the key. */
static void
emit_stat(void *ctx, const char *name, const char *value)
{
	const struct stat_answer *answer = ctx;
	const struct proto_binary *request = answer->request;
	struct proto_binary_reply reply = {
	    .status = PROTO_BINARY_OK,
	    .key_len = (uint32_t)strnlen(name, STAT_NAME_MAX),
	    .value_bytes = (uint32_t)strnlen(value, STAT_VALUE_MAX),
	};
	uint32_t len = PROTO_BINARY_HEADER_BYTES + reply.key_len + reply.value_bytes;
	uint8_t *to = serve_out_reserve(answer->call, len);

	if (to == NULL)
		return;
	to = proto_put_binary_header(to, request->opcode, request->opaque, &reply);
	memcpy(to, name, reply.key_len);
	memcpy(to + reply.key_len, value, reply.value_bytes);
	serve_out_commit(answer->call, len);
}

static bool
key_is(const struct proto_binary *request, const char *word)
{
	return request->key_len == strlen(word) && memcmp(request->key, word, request->key_len) == 0;
}

/* As memcached: all lines of the text protocol's dump are one value. */
static bool
emit_detail_dump(const struct stat_answer *answer)
{
	static const char name[] = "detailed", end[] = "END\r\n";
	struct proto_binary_reply reply = {.status = PROTO_BINARY_OK, .key_len = sizeof(name) - 1};
	uint8_t head[PROTO_BINARY_HEADER_BYTES], line[SERVE_DETAIL_LINE_MAX];
	uint32_t len;
	struct prefix *sum = prefixes_sum(answer->call->serve->host.prefixes, &len);

	reply.value_bytes = sizeof(end) - 1;
	for (uint32_t i = 0; i < len; i++)
		reply.value_bytes += serve_detail_line(&sum[i], line);
	proto_put_binary_header(head, answer->request->opcode, answer->request->opaque, &reply);
	serve_out(answer->call, head, sizeof(head));
	serve_out(answer->call, name, sizeof(name) - 1);
	for (uint32_t i = 0; i < len && !answer->call->broken; i++)
		serve_out(answer->call, line, serve_detail_line(&sum[i], line));
	serve_out(answer->call, end, sizeof(end) - 1);
	free(sum);
	return true;
}

/* False: no word of stats detail's. */
static bool
emit_detail(const struct stat_answer *answer)
{
	struct serve *serve = answer->call->serve;

	if (serve->prefixes == NULL)
		return false;
	if (key_is(answer->request, "detail dump"))
		return emit_detail_dump(answer);
	if (!key_is(answer->request, "detail on") && !key_is(answer->request, "detail off"))
		return false;
	serve_detail_enable(serve, key_is(answer->request, "detail on"));
	return true;
}

/* The groups of the text protocol's stats. There is no cachedump, so that is not found. */
static bool
emit_group(struct stat_answer *answer)
{
	const struct serve_host *host = &answer->call->serve->host;
	const struct proto_binary *request = answer->request;

	if (key_is(request, "items"))
		return true;
	if (key_is(request, "sizes")) {
		emit_stat(answer, "sizes_status", "disabled");
		return true;
	}
	if (emit_detail(answer))
		return true;
	if (host->stats != NULL &&
	    host->stats(host->ctx, (const char *)request->key, request->key_len, emit_stat, answer))
		return true;
	return key_is(request, "slabs");
}

enum serve_state
serve_binary_stat(struct serve_call *call, const struct proto_binary *request)
{
	struct stat_answer answer = {call, request};

	if (emit_group(&answer))
		serve_binary_done(call, request, 0);
	else
		serve_binary_status(call, request->opcode, request->opaque, PROTO_BINARY_NOT_FOUND);
	return SERVE_GO_ON;
}

enum serve_state
serve_binary_version(struct serve_call *call, const struct proto_binary *request)
{
	const struct serve *serve = call->serve;

	serve_binary_body(call, request, PROTO_BINARY_OK, serve->config.version, serve->version_len);
	return SERVE_GO_ON;
}

enum serve_state
serve_binary_noop(struct serve_call *call, const struct proto_binary *request)
{
	serve_binary_done(call, request, 0);
	return SERVE_GO_ON;
}

enum serve_state
serve_binary_quit(struct serve_call *call, const struct proto_binary *request)
{
	if (!request->quiet)
		serve_binary_done(call, request, 0);
	return SERVE_CLOSE;
}

enum serve_state
serve_binary_flush(struct serve_call *call, const struct proto_binary *request)
{
	struct serve *serve = call->serve;
	uint32_t at_s = serve->now_s;

	serve->counters.cmd_flush++;
	if (!serve->config.flush_enabled) {
		serve_binary_status(call, request->opcode, request->opaque, PROTO_BINARY_AUTH);
		return SERVE_GO_ON;
	}
	if (request->expiration != 0)
		at_s = serve_binary_expiry(serve, request->expiration);
	serve_flush(serve, at_s);
	if (!request->quiet)
		serve_binary_done(call, request, 0);
	return SERVE_GO_ON;
}
