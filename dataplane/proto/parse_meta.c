/*
 * The flags of a meta command: `cm <key> [<bytes>] <flags>*`, each flag a letter with an optional argument.
 *
 * One command's errors are reported in memcached's order: key and number of tokens, then the flags from left
 * to right (a repeated or unknown flag ends it, a bad argument is remembered: the last one speaks), then the
 * mode, then the opaque. Every one of the flags' errors on `ma` has the same text. Which flags matter is the
 * command's business: memcached accepts all of them everywhere.
 */
#include "dataplane/proto/base64.h"
#include "dataplane/proto/request.h"

#include <stddef.h>
#include <string.h>

#define BIT(flag) (1ull << ((flag) - 'A'))

static const uint64_t known_flags =
    BIT('b') | BIT('N') | BIT('T') | BIT('R') | BIT('l') | BIT('O') | BIT('P') | BIT('L') | BIT('k') |
    BIT('s') | BIT('t') | BIT('c') | BIT('f') | BIT('v') | BIT('h') | BIT('u') | BIT('q') | BIT('x') |
    BIT('F') | BIT('C') | BIT('E') | BIT('M') | BIT('J') | BIT('D') | BIT('I');

static bool
is_letter(uint8_t c)
{
	return c >= 'A' && c <= 'z';
}

/* Without an argument, or with one that is taken as it stands. */
#define PLAIN_FLAGS                                                                                         \
	(BIT('v') | BIT('k') | BIT('t') | BIT('c') | BIT('f') | BIT('s') | BIT('q') | BIT('h') | BIT('l') | \
	    BIT('u') | BIT('O'))

/* Reads the argument of one flag; returns the error to remember or PROTO_REPLY_NONE. */
static enum proto_reply
parse_argument(struct proto_request *request, uint8_t flag, const uint8_t *bytes, uint32_t len)
{
	struct proto_meta *meta = &request->meta;
	uint64_t number;
	bool good = true;

	switch (flag) {
	case 'N':
		good = proto_get_exptime(bytes, len, &meta->vivify_ttl);
		break;
	case 'T':
		good = proto_get_exptime(bytes, len, &meta->ttl);
		break;
	case 'R':
		good = proto_get_exptime(bytes, len, &meta->recache);
		break;
	case 'C':
		good = proto_get_u64(bytes, len, &meta->cas);
		break;
	case 'E':
		good = proto_get_u64(bytes, len, &meta->cas_new);
		break;
	case 'J':
		good = proto_get_u64(bytes, len, &meta->initial);
		break;
	case 'D':
		good = proto_get_u64(bytes, len, &meta->delta);
		break;
	case 'M':
		meta->mode = len != 0 ? bytes[0] : '?';
		break;
	case 'F':
		if (!proto_get_u64(bytes, len, &number) || number > UINT32_MAX)
			return PROTO_REPLY_BAD_FORMAT;
		meta->client_flags = (uint32_t)number;
		break;
	case 'b':
		request->key.len = proto_base64_decode(
		    request->tokens[1].bytes, request->tokens[1].len, meta->key, sizeof(meta->key));
		request->key.bytes = meta->key;
		return request->key.len == 0 || request->key.len > PROTO_KEY_MAX ? PROTO_REPLY_META_BASE64
		                                                                 : PROTO_REPLY_NONE;
	default:
		break;
	}
	return good ? PROTO_REPLY_NONE : PROTO_REPLY_META_BAD_TOKEN;
}

/* What ends the flags, unless a token further on is no flag at all: that comes first. */
static __attribute__((noinline)) enum proto_reply
flags_end(const struct proto_request *request, unsigned from, enum proto_reply error)
{
	for (unsigned i = from; i < request->tokens_len; i++) {
		if (!is_letter(request->tokens[i].bytes[0]))
			return PROTO_REPLY_BAD_FORMAT;
	}
	return error;
}

static enum proto_reply
parse_flags(struct proto_request *request, unsigned first)
{
	struct proto_meta *meta = &request->meta;
	enum proto_reply remembered = PROTO_REPLY_NONE;

	for (unsigned i = first; i < request->tokens_len; i++) {
		const struct proto_token *token = &request->tokens[i];
		uint8_t flag = token->bytes[0];
		enum proto_reply error;

		if (!is_letter(flag))
			return PROTO_REPLY_BAD_FORMAT;
		if (meta->seen & BIT(flag))
			return flags_end(request, i, PROTO_REPLY_META_DUPLICATE);
		meta->seen |= BIT(flag);
		if (!(known_flags & BIT(flag)))
			return flags_end(request, i, PROTO_REPLY_META_BAD_FLAG);
		if (PLAIN_FLAGS & BIT(flag))
			continue;
		error = parse_argument(request, flag, token->bytes + 1, token->len - 1);
		if (error == PROTO_REPLY_BAD_FORMAT && remembered != PROTO_REPLY_NONE)
			error = remembered; /* F has no text of its own */
		if (error != PROTO_REPLY_NONE)
			remembered = error;
	}
	return remembered;
}

static enum proto_reply
check_mode(const struct proto_request *request)
{
	uint8_t mode = request->meta.mode;

	if (mode == 0)
		return PROTO_REPLY_NONE;
	if (request->command == PROTO_MS)
		return strchr("EAPRS", mode) != NULL ? PROTO_REPLY_NONE : PROTO_REPLY_META_SET_MODE;
	if (request->command == PROTO_MA)
		return strchr("ID+-", mode) != NULL ? PROTO_REPLY_NONE : PROTO_REPLY_META_ARITHMETIC_MODE;
	return PROTO_REPLY_NONE;
}

static enum proto_reply
check_opaque(const struct proto_request *request, unsigned first)
{
	if (!proto_meta_has(&request->meta, 'O'))
		return PROTO_REPLY_NONE;
	for (unsigned i = first; i < request->tokens_len; i++) {
		if (request->tokens[i].bytes[0] == 'O' && request->tokens[i].len > PROTO_OPAQUE_MAX)
			return PROTO_REPLY_META_OPAQUE;
	}
	return PROTO_REPLY_NONE;
}

void
proto_parse_meta(struct proto_request *request)
{
	unsigned first = request->command == PROTO_MS ? 3 : 2;

	memset(&request->meta, 0, offsetof(struct proto_meta, key));
	request->meta.delta = 1;
	if (request->key.len > PROTO_KEY_MAX)
		request->error = PROTO_REPLY_BAD_FORMAT;
	else if (request->tokens_len > PROTO_META_TOKENS)
		request->error = PROTO_REPLY_META_TOO_MANY;
	else
		request->error = parse_flags(request, first);
	if (request->command == PROTO_MA && request->error != PROTO_REPLY_NONE)
		request->error = PROTO_REPLY_META_ARITHMETIC_FLAG;
	if (request->error == PROTO_REPLY_NONE)
		request->error = check_mode(request);
	if (request->error == PROTO_REPLY_NONE)
		request->error = check_opaque(request, first);
	request->noreply = request->error == PROTO_REPLY_NONE && proto_meta_has(&request->meta, 'q');
}
