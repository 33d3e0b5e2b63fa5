/*
 * A request of the text protocols as the parser hands it over, and the parser's face.
 *
 * Everything points into the line that was parsed: a request is valid as long as the line is. The parser
 * allocates nothing and reads nothing beyond the line. Unfinished input is the caller's business: it looks
 * for the end of the line and gives whole lines only.
 *
 * Source: memcached doc/protocol.txt and the behaviour of memcached 1.6.45 (docs/PROTOCOL.md lists where we
 * differ).
 */
#ifndef WIRECACHE_PROTO_REQUEST_H
#define WIRECACHE_PROTO_REQUEST_H

#include <stdbool.h>
#include <stdint.h>

#include "dataplane/proto/reply.h"
#include "dataplane/proto/scan.h"

#define PROTO_MEMCACHED_VERSION "1.6.45" /* whose behaviour this is */

#define PROTO_KEY_MAX     250u
#define PROTO_LINE_MAX    2048u       /* unfinished lines that are no get end the connection beyond this */
#define PROTO_VALUE_MAX   2147483645u /* longest length that a storage command may announce: INT32_MAX - 2 */
#define PROTO_TOKENS_MAX  24u         /* tokens kept; further ones are counted only */
#define PROTO_META_TOKENS 20u         /* more of them in a meta command are an error */
#define PROTO_OPAQUE_MAX  32u         /* the flag's letter included */

enum proto_command {
#define PROTO_COMMAND(id, word, shape, handler, syntax) PROTO_##id,
#include "dataplane/proto/commands.def"
#undef PROTO_COMMAND
	PROTO_COMMANDS,
	PROTO_UNKNOWN = PROTO_COMMANDS,
};

struct proto_token {
	const uint8_t *bytes;
	uint32_t len;
};

/* The flags of a meta command that carry something; plain ones are bits of `seen`, see proto_meta_has(). */
struct proto_meta {
	uint64_t seen;      /* a bit a letter, from 'A' on */
	uint64_t cas;       /* C */
	uint64_t cas_new;   /* E */
	uint64_t delta;     /* D, 1 if absent */
	uint64_t initial;   /* J */
	int32_t ttl;        /* T */
	int32_t vivify_ttl; /* N */
	int32_t recache;    /* R */
	uint32_t client_flags;
	uint8_t mode;                   /* M, 0 if absent */
	uint8_t key[PROTO_KEY_MAX + 6]; /* decoded, when given in base64 */
};

struct proto_request {
	enum proto_command command;
	enum proto_reply error; /* PROTO_REPLY_NONE when well formed */
	bool noreply;
	bool hangup;    /* an HTTP request: close without a word */
	bool has_value; /* value_bytes and a line end follow; to be swallowed when `error` is set */
	bool has_exptime;
	uint32_t value_bytes;
	uint32_t client_flags;
	int32_t exptime;
	uint64_t cas;
	uint64_t delta;
	struct proto_token key;  /* the first key */
	const uint8_t *keys_end; /* gets: keys are between key.bytes and here, separated by spaces */
	unsigned tokens_len;     /* how many there were, also above PROTO_TOKENS_MAX */
	struct proto_token tokens[PROTO_TOKENS_MAX];
	struct proto_meta meta;
};

/*
 * Parses one line, its '\n' included (len >= 1). Always fills command, error, noreply, hangup and has_value;
 * other fields as far as the command has them. For gets all keys have been checked.
 */
void proto_parse_text(const uint8_t *line, uint32_t len, struct proto_request *request);

/* What proto_parse_text() calls for mg, ms, md, ma and me once the line is split and the first word known. */
void proto_parse_meta(struct proto_request *request);

static inline bool
proto_meta_has(const struct proto_meta *meta, char flag)
{
	return meta->seen >> (flag - 'A') & 1u;
}

/* Next key of a get line from *at on; advances *at behind it. False at the end. */
static inline bool
proto_next_key(const uint8_t **at, const uint8_t *end, struct proto_token *key)
{
	const uint8_t *p = *at, *begin;

	while (p < end && *p == ' ')
		p++;
	begin = p;
	p = proto_scan_in_line(p, p, end);
	key->bytes = begin;
	key->len = (uint32_t)(p - begin);
	*at = p;
	return p != begin;
}

static inline bool
proto_token_is(const struct proto_token *token, const char *word)
{
	uint32_t i = 0;

	while (i < token->len && word[i] != '\0' && token->bytes[i] == (uint8_t)word[i])
		i++;
	return i == token->len && word[i] == '\0';
}

/* The command's word, for statistics and logs. */
const char *proto_command_word(enum proto_command command);

#endif
