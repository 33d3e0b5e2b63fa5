/*
 * Plain requests of a burst: `get <key>\r\n`, one key, small values, and `set <key> <flags> <exptime> <bytes>\r\n` with its
 * value. What serve_session.c and those it calls do for a request in a stream is done here for all of a burst, a stage at a
 * time, each reply written straight to where it leaves from.
 *
 *   serve_get_read(), serve_set_read()    is it one? its key
 *   store_probe_hash(), store_probe_load()
 *   serve_gets(), serve_set()             looks up or stores, and counts
 *   serve_get_reply()                     writes a reply
 *
 * The keys of a multiget are such a row, too (serve_get.c).
 */
#ifndef WIRECACHE_SERVE_BURST_H
#define WIRECACHE_SERVE_BURST_H

#include <immintrin.h>

#include "dataplane/proto/reply.h"
#include "dataplane/proto/request.h"
#include "dataplane/proto/scan.h"
#include "dataplane/serve.h"

/* The first four bytes of a request, as a little-endian load sees them. */
#define SERVE_WORD_GET  0x20746567u /* "get " */
#define SERVE_WORD_SET  0x20746573u /* "set " */
#define SERVE_WORD_GETS 0x73746567u /* "gets" */

/* Bytes of any content that must be readable behind a request, and writable behind the longest reply. */
#define SERVE_BURST_SLACK 32u

/* A reply of at most `room` bytes has a value of at most these. */
#define SERVE_BURST_VALUE_MAX(room) ((room) - (PROTO_KEY_MAX + PROTO_VALUE_HEAD_MAX + 7u))

/* Nobody watches, nothing is counted by prefix, nobody has to log in: a request is no more than what is done here. */
bool serve_burst_plain(const struct serve *serve);

/* Looks up and counts a row of gets; found->value_bytes of those that are left to serve_datagram() is UINT32_MAX. */
void serve_gets(struct serve *serve, const struct store_probe *probes, unsigned n, uint32_t value_max,
    struct store_found *found);

/* Looked up by serve_gets(), but to be answered by others. */
static inline bool
serve_found_left(const struct store_found *found)
{
	return found->value == NULL && found->value_bytes != 0;
}

/* A plain set, but for its key. */
struct serve_set {
	const uint8_t *value;
	uint32_t value_bytes;
	uint32_t client_flags;
	int32_t exptime;
	bool noreply;
};

/* Stores a value and counts; returns the reply, of which noreply makes none. */
enum proto_reply serve_set(struct serve *serve, const struct store_key *key, const struct serve_set *set);

/* The first space or line feed from `at` on, or the end of all len bytes from `bytes` on. */
static inline const uint8_t *
serve_key_end(const uint8_t *at, const uint8_t *bytes, uint32_t len)
{
	const __m256i text = _mm256_loadu_si256((const __m256i *)(const void *)at);
	const unsigned ends = (unsigned)_mm256_movemask_epi8(_mm256_or_si256(
	    _mm256_cmpeq_epi8(text, _mm256_set1_epi8(' ')), _mm256_cmpeq_epi8(text, _mm256_set1_epi8('\n'))));

	return __builtin_expect(ends != 0, 1) ? at + __builtin_ctz(ends)
	       : len > 4 + 32                 ? proto_scan_token(at + 32, bytes + len)
	                                      : bytes + len;
}

/* `get <key>\r\n` and nothing else in all len bytes? Then the key is set. */
static inline bool
serve_get_read(const uint8_t *bytes, uint32_t len, struct store_key *key)
{
	const uint8_t *at = bytes + 4, *last = bytes + len - 1, *end;
	uint32_t word;

	memcpy(&word, bytes, sizeof(word));
	if (len < 6 || word != SERVE_WORD_GET)
		return false;
	end = serve_key_end(at, bytes, len);
	if (end != last || *end != '\n')
		return false;
	key->bytes = at;
	key->len = (uint32_t)(end - at) - (end[-1] == '\r');
	return key->len - 1 < PROTO_KEY_MAX;
}

/* The digits at `at`, at most nine; returns what is behind them, NULL if that is not plain. Reads no more than ten bytes. */
static inline const uint8_t *
serve_plain_number(const uint8_t *at, uint32_t *number)
{
	const uint8_t *begin = at;
	uint32_t digit = (uint32_t)*at - '0', sum = 0;

	for (; digit <= 9; digit = (uint32_t) * ++at - '0') {
		if (at == begin + 9)
			return NULL;
		sum = 10 * sum + digit;
	}
	*number = sum;
	return at != begin ? at : NULL;
}

/* `set <key> <flags> <exptime> <bytes>[ noreply]\r\n<value>\r\n` and nothing else? Then key and set are, too. */
static inline bool
serve_set_read(const uint8_t *bytes, uint32_t len, struct store_key *key, struct serve_set *set)
{
	const uint8_t *at = bytes + 4, *last = bytes + len - 1;
	uint32_t numbers[3], word;

	memcpy(&word, bytes, sizeof(word));
	if (len < 14 || word != SERVE_WORD_SET) /* of the shortest one: "set k 0 0 0\r\n\r\n" has more */
		return false;
	const uint8_t *end = serve_key_end(at, bytes, len);
	key->bytes = at;
	key->len = (uint32_t)(end - at);
	if (key->len - 1 >= PROTO_KEY_MAX)
		return false;
	for (unsigned i = 0; i < 3; i++) {
		if (end >= last || *end != ' ')
			return false;
		end = serve_plain_number(end + 1, &numbers[i]);
		if (__builtin_expect(end == NULL, 0))
			return false;
	}
	set->noreply = memcmp(end, " noreply", 8) == 0;
	end += set->noreply ? 8 : 0;
	*set = (struct serve_set){.value = end + 2,
	    .value_bytes = numbers[2],
	    .client_flags = numbers[0],
	    .exptime = (int32_t)numbers[1],
	    .noreply = set->noreply};
	return memcmp(end, "\r\n", 2) == 0 && (uint64_t)(end - bytes) + 4 + numbers[2] == len &&
	       memcmp(last - 1, "\r\n", 2) == 0;
}

/* What a hit says up to its value; the bytes behind the key may be read if there are SERVE_BURST_SLACK of them. */
static inline uint8_t *
serve_hit_head(uint8_t *at, const struct store_key *key, const struct store_found *found, bool slack)
{
	memcpy(at, "VALUE \0", 8);
	at += 6;
	if (__builtin_expect(slack, 1))
		for (uint32_t i = 0; i < key->len; i += SERVE_BURST_SLACK)
			_mm256_storeu_si256((__m256i *)(void *)(at + i),
			    _mm256_loadu_si256((const __m256i *)(const void *)(key->bytes + i)));
	else
		proto_copy(at, key->bytes, key->len);
	at += key->len;
	if (__builtin_expect(found->client_flags == 0, 1)) {
		memcpy(at, " 0 ", 4);
		at += 3;
	} else {
		*at = ' ';
		at = proto_put_u32(at + 1, found->client_flags);
		*at++ = ' ';
	}
	at = proto_put_u32(at, found->value_bytes);
	memcpy(at, "\r\n", 2);
	return at + 2;
}

/* Returns its length. found->value_bytes is no more than serve_gets() was told. */
static inline uint32_t
serve_get_reply(uint8_t *to, const struct store_key *key, const struct store_found *found)
{
	uint8_t *at;

	if (__builtin_expect(found->value == NULL, 0)) {
		memcpy(to, "END\r\n", 5);
		return 5;
	}
	at = serve_hit_head(to, key, found, true);
	proto_copy(at, found->value, found->value_bytes);
	at += found->value_bytes;
	memcpy(at, "\r\nEND\r\n", 8);
	return (uint32_t)(at + 7 - to);
}

#endif
