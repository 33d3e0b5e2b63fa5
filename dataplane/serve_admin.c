/*
 * The commands about the server rather than its items: stats, verbosity, cache_memlimit, and those of
 * memcached's slab and LRU machinery. There is nothing here that such a command could tune, so they are
 * checked and acknowledged as memcached does; what would have to show data that does not exist is refused
 * with memcached's own words.
 */
#include "dataplane/serve.h"
#include "dataplane/serve_internal.h"

#include <stdlib.h>
#include <string.h>

/* ---- stats ------------------------------------------------------------------------------------ */

static void
emit_stat(void *ctx, const char *name, const char *value)
{
	struct serve_call *call = ctx;
	size_t name_len = strnlen(name, SERVE_RESERVE_MAX / 4),
	       value_len = strnlen(value, SERVE_RESERVE_MAX / 2);
	uint8_t *begin = serve_out_reserve(call, (uint32_t)(5 + name_len + 1 + value_len + 2)), *to = begin;

	if (begin == NULL)
		return;
	memcpy(to, "STAT ", 5);
	memcpy(to + 5, name, name_len);
	to += 5 + name_len;
	*to++ = ' ';
	memcpy(to, value, value_len);
	memcpy(to + value_len, "\r\n", 2);
	serve_out_commit(call, (uint32_t)(to + value_len + 2 - begin));
}

static bool
host_stats(struct serve_call *call, const struct proto_token *group)
{
	const struct serve_host *host = &call->serve->host;

	return host->stats != NULL &&
	       host->stats(host->ctx, (const char *)group->bytes, group->len, emit_stat, call);
}

enum serve_state
serve_cmd_stats(struct serve_call *call, const struct proto_request *request)
{
	struct proto_token group = {request->tokens[0].bytes, 0};

	if (request->tokens_len > 1)
		group = request->tokens[1];
	if (proto_token_is(&group, "detail"))
		return serve_detail(call, request);
	if (proto_token_is(&group, "cachedump"))
		return serve_dump_cache(call, request);
	if (proto_token_is(&group, "reset")) {
		host_stats(call, &group);
		serve_out_reply(call, PROTO_REPLY_RESET);
		return SERVE_GO_ON;
	}
	if (proto_token_is(&group, "sizes")) {
		emit_stat(call, "sizes_status", "disabled");
	} else if (!proto_token_is(&group, "items") && !host_stats(call, &group) &&
	           !proto_token_is(&group, "slabs")) {
		serve_out_reply(call, PROTO_REPLY_ERROR);
		return SERVE_GO_ON;
	}
	serve_out_reply(call, PROTO_REPLY_END);
	return SERVE_GO_ON;
}

/* ---- the process ------------------------------------------------------------------------------ */

bool
serve_token_u32(const struct proto_request *request, unsigned index, uint32_t *value)
{
	uint64_t number;

	if (request->tokens_len <= index || index >= PROTO_TOKENS_MAX ||
	    !proto_get_u64_strict(request->tokens[index].bytes, request->tokens[index].len, &number) ||
	    number > UINT32_MAX)
		return false;
	*value = (uint32_t)number;
	return true;
}

enum serve_state
serve_cmd_version(struct serve_call *call, const struct proto_request *request)
{
	uint32_t len = call->serve->version_len;
	uint8_t *to = serve_out_reserve(call, 8 + len + 2);

	if (to == NULL)
		return SERVE_ABORT;
	memcpy(to, "VERSION ", 8);
	memcpy(to + 8, call->serve->config.version, len);
	memcpy(to + 8 + len, "\r\n", 2);
	serve_out_commit(call, 8 + len + 2);
	return SERVE_GO_ON;
}

enum serve_state
serve_cmd_verbosity(struct serve_call *call, const struct proto_request *request)
{
	const struct serve_host *host = &call->serve->host;
	uint32_t level;

	if (!serve_token_u32(request, 1, &level)) {
		serve_out_unless(call, request->noreply, PROTO_REPLY_BAD_FORMAT);
		return SERVE_GO_ON;
	}
	if (host->verbosity != NULL)
		host->verbosity(host->ctx, level);
	serve_out_unless(call, request->noreply, PROTO_REPLY_OK);
	return SERVE_GO_ON;
}

enum serve_state
serve_cmd_memory_limit(struct serve_call *call, const struct proto_request *request)
{
	const struct serve_host *host = &call->serve->host;
	enum proto_reply reply = PROTO_REPLY_OK;
	uint32_t megabytes;

	if (!serve_token_u32(request, 1, &megabytes))
		reply = PROTO_REPLY_ERROR;
	else if (megabytes < 8)
		reply = PROTO_REPLY_MEMLIMIT_SMALL;
	else if (megabytes > 1000000000)
		reply = PROTO_REPLY_MEMLIMIT_UNIT;
	else if (host->memory_limit == NULL || host->memory_limit(host->ctx, (uint64_t)megabytes << 20) != 0)
		reply = PROTO_REPLY_MEMLIMIT_FAILED;
	serve_out_unless(call, request->noreply, reply);
	return SERVE_GO_ON;
}

enum serve_state
serve_cmd_quit(struct serve_call *call, const struct proto_request *request)
{
	return SERVE_CLOSE;
}

enum serve_state
serve_cmd_noop(struct serve_call *call, const struct proto_request *request)
{
	serve_out_reply(call, PROTO_REPLY_META_NOOP);
	return SERVE_GO_ON;
}

enum serve_state
serve_cmd_shutdown(struct serve_call *call, const struct proto_request *request)
{
	const struct serve_host *host = &call->serve->host;
	bool known = request->tokens_len == 1 ||
	             (request->tokens_len == 2 && proto_token_is(&request->tokens[1], "graceful"));

	if (host->shutdown == NULL || !known) {
		serve_out_reply(
		    call, host->shutdown == NULL ? PROTO_REPLY_SHUTDOWN_OFF : PROTO_REPLY_SHUTDOWN_MODE);
		return SERVE_GO_ON;
	}
	host->shutdown(host->ctx);
	return SERVE_CLOSE;
}

enum serve_state
serve_cmd_refresh_certs(struct serve_call *call, const struct proto_request *request)
{
	serve_out_reply(call, PROTO_REPLY_NO_TLS);
	return SERVE_GO_ON;
}

/* ---- memcached's machinery -------------------------------------------------------------------- */

/* A decimal fraction as strtod() reads it. */
static bool
token_double(const struct proto_request *request, unsigned index, double *value)
{
	char text[32];
	char *end;

	if (request->tokens_len <= index || request->tokens[index].len >= sizeof(text))
		return false;
	memcpy(text, request->tokens[index].bytes, request->tokens[index].len);
	text[request->tokens[index].len] = '\0';
	*value = strtod(text, &end);
	return end != text && *end == '\0';
}

static enum proto_reply
slabs_automove(const struct proto_request *request)
{
	const struct proto_token *word = &request->tokens[2];
	uint32_t level;
	double ratio;

	if (proto_token_is(word, "ratio") || proto_token_is(word, "freeratio"))
		return token_double(request, 3, &ratio) ? PROTO_REPLY_OK : PROTO_REPLY_ERROR;
	if (proto_token_is(word, "window"))
		return serve_token_u32(request, 3, &level) ? PROTO_REPLY_OK : PROTO_REPLY_BAD_FORMAT;
	if (!serve_token_u32(request, 2, &level))
		return PROTO_REPLY_BAD_FORMAT;
	return level <= 2 ? PROTO_REPLY_OK : PROTO_REPLY_ERROR;
}

enum serve_state
serve_cmd_slabs(struct serve_call *call, const struct proto_request *request)
{
	enum proto_reply reply = PROTO_REPLY_ERROR;

	if (request->tokens_len == 4 && proto_token_is(&request->tokens[1], "reassign"))
		reply = PROTO_REPLY_REASSIGN_DISABLED;
	else if (request->tokens_len >= 3 && proto_token_is(&request->tokens[1], "automove"))
		reply = slabs_automove(request);
	serve_out_unless(call, request->noreply, reply);
	return SERVE_GO_ON;
}

static enum proto_reply
lru_tune(const struct proto_request *request)
{
	uint32_t hot_percent, warm_percent;
	double hot_factor, warm_factor;

	if (!serve_token_u32(request, 2, &hot_percent) || !serve_token_u32(request, 3, &warm_percent) ||
	    !token_double(request, 4, &hot_factor) || !token_double(request, 5, &warm_factor))
		return PROTO_REPLY_ERROR;
	if ((uint64_t)hot_percent + warm_percent > 80)
		return PROTO_REPLY_LRU_PERCENT;
	return hot_factor > 0 && warm_factor > 0 ? PROTO_REPLY_OK : PROTO_REPLY_LRU_FACTOR;
}

static enum proto_reply
lru_reply(const struct proto_request *request)
{
	const struct proto_token *token = request->tokens;
	int32_t ttl;

	if (request->tokens_len >= 6 && proto_token_is(&token[1], "tune"))
		return lru_tune(request);
	if (request->tokens_len >= 3 && proto_token_is(&token[1], "mode"))
		return proto_token_is(&token[2], "flat") || proto_token_is(&token[2], "segmented")
		           ? PROTO_REPLY_OK
		           : PROTO_REPLY_ERROR;
	if (request->tokens_len >= 3 && proto_token_is(&token[1], "temp_ttl"))
		return proto_get_i32_strict(token[2].bytes, token[2].len, &ttl) ? PROTO_REPLY_OK
		                                                                : PROTO_REPLY_ERROR;
	return PROTO_REPLY_ERROR;
}

enum serve_state
serve_cmd_lru(struct serve_call *call, const struct proto_request *request)
{
	serve_out_unless(call, request->noreply, lru_reply(request));
	return SERVE_GO_ON;
}

/* "all", or slab class numbers 1-63 separated by commas. */
static bool
is_class_list(const struct proto_token *token)
{
	unsigned number = 0;

	if (proto_token_is(token, "all"))
		return true;
	for (uint32_t i = 0; i <= token->len; i++) {
		uint8_t c = i < token->len ? token->bytes[i] : ',';

		if (c == ',') {
			if (number == 0)
				return false;
			number = 0;
		} else if (c < '0' || c > '9' || (number = number * 10 + (c - '0')) > 63) {
			return false;
		}
	}
	return true;
}

static enum proto_reply
crawler_reply(const struct proto_request *request)
{
	const struct proto_token *word = &request->tokens[1];
	uint32_t number;

	if (request->tokens_len == 2)
		return proto_token_is(word, "enable") || proto_token_is(word, "disable") ? PROTO_REPLY_OK
		                                                                         : PROTO_REPLY_ERROR;
	if (request->tokens_len != 3)
		return PROTO_REPLY_ERROR;
	if (proto_token_is(word, "crawl"))
		return is_class_list(&request->tokens[2]) ? PROTO_REPLY_OK : PROTO_REPLY_CRAWLER_CLASS;
	if (!proto_token_is(word, "tocrawl") && !proto_token_is(word, "sleep"))
		return PROTO_REPLY_ERROR;
	if (!serve_token_u32(request, 2, &number))
		return PROTO_REPLY_BAD_FORMAT;
	return proto_token_is(word, "sleep") && number > 1000000 ? PROTO_REPLY_CRAWLER_SLEEP : PROTO_REPLY_OK;
}

enum serve_state
serve_cmd_lru_crawler(struct serve_call *call, const struct proto_request *request)
{
	const struct proto_token *token = request->tokens;
	bool keys_only = request->tokens_len == 3 && proto_token_is(&token[1], "mgdump");

	if (!keys_only && !(request->tokens_len == 3 && proto_token_is(&token[1], "metadump")))
		serve_out_reply(call, crawler_reply(request));
	else if (proto_token_is(&token[2], "hash") || is_class_list(&token[2]))
		return serve_dump_items(call, keys_only);
	else
		serve_out_reply(call, PROTO_REPLY_CRAWLER_CLASS);
	return SERVE_GO_ON;
}
