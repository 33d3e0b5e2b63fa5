/*
 * Expansion of the hash secret, done once when a store is created. See hash.h for the construction.
 */
#include "store/hash.h"

#define EXPAND_ROUNDS 10u

static __m128i
expand_one(__m128i secret, uint64_t counter)
{
	/* Odd constants from the fractional part of the golden ratio: only there to make the rounds
	 * differ. */
	const __m128i step =
	    _mm_set_epi64x((long long)0x9e3779b97f4a7c15ull, (long long)0xbf58476d1ce4e5b9ull);
	__m128i key = secret;
	__m128i state = _mm_xor_si128(_mm_set_epi64x(0, (long long)counter), secret);

	for (unsigned i = 0; i < EXPAND_ROUNDS; i++) {
		key = _mm_add_epi64(key, step);
		state = _mm_aesenc_si128(state, key);
	}
	return _mm_xor_si128(state, secret);
}

void
hash_keys_init(struct hash_keys *keys, const uint8_t secret[16])
{
	const __m128i seed = _mm_loadu_si128((const __m128i *)secret);
	uint64_t counter = 1;

	for (unsigned i = 0; i < 3; i++)
		keys->round[i] = expand_one(seed, counter++);
	for (unsigned i = 0; i < 4; i++)
		keys->finish[i] = expand_one(seed, counter++);
	for (unsigned i = 0; i < HASH_BLOCKS_MAX; i++)
		keys->mask[i] = expand_one(seed, counter++);
}
