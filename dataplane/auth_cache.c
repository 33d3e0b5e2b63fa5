/*
 * See auth_cache.h.
 */
#include "dataplane/auth_cache.h"

#include <string.h>

#define MESSAGE_MAX (1 + 255 + 255)

struct sip {
	uint64_t v0, v1, v2, v3;
};

static inline uint64_t
rotate(uint64_t x, int bits)
{
	return x << bits | x >> (64 - bits);
}

static void
sip_rounds(struct sip *s, unsigned rounds)
{
	while (rounds-- != 0) {
		s->v0 += s->v1;
		s->v1 = rotate(s->v1, 13) ^ s->v0;
		s->v0 = rotate(s->v0, 32);
		s->v2 += s->v3;
		s->v3 = rotate(s->v3, 16) ^ s->v2;
		s->v0 += s->v3;
		s->v3 = rotate(s->v3, 21) ^ s->v0;
		s->v2 += s->v1;
		s->v1 = rotate(s->v1, 17) ^ s->v2;
		s->v2 = rotate(s->v2, 32);
	}
}

static void
sip_word(struct sip *s, uint64_t word)
{
	s->v3 ^= word;
	sip_rounds(s, 2);
	s->v0 ^= word;
}

struct auth_digest
auth_siphash(const uint8_t key[16], const uint8_t *bytes, size_t len)
{
	uint64_t k[2], word = 0;
	struct auth_digest digest;

	memcpy(k, key, sizeof(k));
	struct sip s = {k[0] ^ 0x736f6d6570736575ull, k[1] ^ 0x646f72616e646f6dull ^ 0xee,
	    k[0] ^ 0x6c7967656e657261ull, k[1] ^ 0x7465646279746573ull};
	for (size_t at = 0; at + 8 <= len; at += 8) {
		memcpy(&word, bytes + at, 8);
		sip_word(&s, word);
	}
	word = 0;
	memcpy(&word, bytes + len / 8 * 8, len % 8);
	sip_word(&s, word | (uint64_t)len << 56);
	s.v2 ^= 0xee;
	sip_rounds(&s, 4);
	digest.words[0] = s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
	s.v1 ^= 0xdd;
	sip_rounds(&s, 4);
	digest.words[1] = s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
	return digest;
}

void
auth_cache_init(struct auth_cache *cache, const uint8_t key[16])
{
	memset(cache, 0, sizeof(*cache));
	memcpy(cache->key, key, sizeof(cache->key));
}

struct auth_digest
auth_cache_digest(const struct auth_cache *cache, const void *user, size_t user_len, const void *password,
    size_t password_len)
{
	uint8_t message[MESSAGE_MAX];
	struct auth_digest digest;

	/* Lengths of names and passwords are the protocol's; longer ones would only share a digest. */
	user_len = user_len < 255 ? user_len : 255;
	password_len = password_len < 255 ? password_len : 255;
	message[0] = (uint8_t)user_len;
	memcpy(message + 1, user, user_len);
	memcpy(message + 1 + user_len, password, password_len);
	digest = auth_siphash(cache->key, message, 1 + user_len + password_len);
	explicit_bzero(message, sizeof(message));
	return digest;
}

bool
auth_cache_has(const struct auth_cache *cache, const struct auth_digest *digest, uint64_t generation)
{
	const struct auth_cache_slot *slot = &cache->slots[digest->words[0] % AUTH_CACHE_SLOTS];
	uint64_t differ = (slot->digest.words[0] ^ digest->words[0]) |
	                  (slot->digest.words[1] ^ digest->words[1]) | (slot->generation ^ generation);

	return differ == 0;
}

void
auth_cache_add(struct auth_cache *cache, const struct auth_digest *digest, uint64_t generation)
{
	struct auth_cache_slot *slot = &cache->slots[digest->words[0] % AUTH_CACHE_SLOTS];

	slot->digest = *digest;
	slot->generation = generation;
}
