/*
 * memcached's protocols from the client's side: writes requests, and takes replies apart as they come, in pieces cut
 * anywhere. One codec a protocol (codec_text.c, codec_meta.c, codec_binary.c); none knows packets or connections.
 *
 * It is written apart from the appliance's own parsers on purpose: what one of them gets wrong, the other shows.
 */
#ifndef WIRECACHE_LOAD_CODEC_H
#define WIRECACHE_LOAD_CODEC_H

#include <stdbool.h>
#include <stdint.h>

#include "tests/load/items.h"
#include "tests/load/value.h"

#define CODEC_KEYS_MAX 1024u /* of one get */
#define CODEC_LINE_MAX 512u  /* of a reply, without its value: key, flags, numbers, or an error's text */
#define CODEC_FIXED_ROOM \
	96u /* of a request beside its keys: command, numbers, and what item_key() writes beyond a key */

enum load_op { LOAD_GET, LOAD_SET, LOAD_ADD, LOAD_DELETE, LOAD_TOUCH, LOAD_OPS };

struct codec_request {
	enum load_op op;
	const uint32_t *keys; /* item numbers; only a get may have several */
	uint32_t keys_len;
	uint32_t ttl_s;
	uint32_t value_bytes; /* LOAD_SET and LOAD_ADD */
	uint32_t opaque;      /* comes back in binary replies */
};

/* What a finished reply said. */
enum reply_outcome {
	REPLY_MORE,   /* not finished */
	REPLY_DONE,   /* all is well: stored, deleted, touched, or the get command's end */
	REPLY_NOT,    /* not stored, not found */
	REPLY_ERROR,  /* the server refused: out of memory, too large, busy */
	REPLY_BROKEN, /* not this protocol: the stream is lost */
};

struct reply {
	enum reply_outcome outcome;
	uint32_t hits, misses; /* keys of a get */
	uint32_t wrong, stale; /* values */
};

/* What the reply is expected to answer. */
struct reply_to {
	const struct items *items;
	enum load_op op;
	const uint32_t *keys;
	const uint32_t *floors; /* of each key the oldest version allowed; 0: any */
	uint32_t keys_len;
	uint32_t opaque;
	uint32_t compare_bytes; /* of each value */
};

/* Between the pieces of a stream. All zero is a reader at the begin of a reply. */
struct reply_reader {
	uint8_t *carry; /* a line or header that was cut; allocated only then */
	uint16_t carry_bytes;
	uint16_t position; /* keys of the get that are answered */
	uint8_t mode;      /* the codec's; 0: at the begin of a line or header */
	bool bad_key;      /* the value belongs to no key that was asked for */
	uint32_t left;     /* bytes of value and what follows it, or to be skipped */
	uint32_t key;      /* whose value */
	uint32_t floor;
	struct value_check check;
};

struct codec {
	const char *name;
	uint32_t trailer_bytes; /* behind a value: "\r\n", or nothing */
	uint32_t key_overhead;  /* most bytes that a get spends on a key beside the key */
	/* Writes the request up to its value, if it has one: at most CODEC_FIXED_ROOM + keys_len * (key + key_overhead). */
	uint32_t (*write)(const struct items *items, const struct codec_request *request, uint8_t *out);
	/*
	 * Takes bytes until the reply ends or the bytes do; returns how many. Adds to *reply, whose outcome is
	 * REPLY_MORE when more is needed.
	 */
	uint32_t (*read)(struct reply_reader *reader, const struct reply_to *to, const uint8_t *data,
	    uint32_t bytes, struct reply *reply);
	/*
	 * The usual case without a reader: a whole reply to the get of one key, with a value of which every byte is right and
	 * whose version may be seen. Returns its bytes; 0 if it is anything else, which read() has to judge. May be NULL.
	 */
	uint32_t (*read_hit)(
	    const struct items *items, uint32_t key, uint32_t floor, const uint8_t *data, uint32_t bytes);
};

extern const struct codec codec_text;
extern const struct codec codec_meta;
extern const struct codec codec_binary;

/* Forgets a reply that will not be finished. */
void reply_reader_reset(struct reply_reader *reader);

#endif
