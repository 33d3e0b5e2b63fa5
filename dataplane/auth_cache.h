/*
 * Logins that were found right, remembered as keyed digests, so that clients that connect again and again cost one
 * slow hash a worker and password. A digest is SipHash-2-4 with 128 bits under a key drawn at start: nothing here can
 * be turned back into a password without that key, and digests do not outlive the process.
 *
 * Threads: one, the worker whose cache it is.
 */
#ifndef WIRECACHE_AUTH_CACHE_H
#define WIRECACHE_AUTH_CACHE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define AUTH_CACHE_SLOTS 256u /* direct-mapped: a collision forgets the older login */

struct auth_digest {
	uint64_t words[2];
};

struct auth_cache {
	uint8_t key[16];
	struct auth_cache_slot {
		struct auth_digest digest;
		uint64_t generation; /* of the credentials it was checked against; 0: empty */
	} slots[AUTH_CACHE_SLOTS];
};

/* key: random bytes. */
void auth_cache_init(struct auth_cache *cache, const uint8_t key[16]);

/* Digest of a name and a password; their border counts. */
struct auth_digest auth_cache_digest(const struct auth_cache *cache, const void *user, size_t user_len,
    const void *password, size_t password_len);

/* Whether that login was right under these credentials (generation > 0). Takes the same time for any stored digest. */
bool auth_cache_has(const struct auth_cache *cache, const struct auth_digest *digest, uint64_t generation);
void auth_cache_add(struct auth_cache *cache, const struct auth_digest *digest, uint64_t generation);

/* SipHash-2-4-128 (Aumasson, Bernstein); for the test of its vectors. */
struct auth_digest auth_siphash(const uint8_t key[16], const uint8_t *bytes, size_t len);

#endif
