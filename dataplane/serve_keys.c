/*
 * Which keys are asked for, and which are large: a sample of all requests' keys, and a note of every value that is too
 * large to be copied along with its head. Both are called rarely.
 */
#include "dataplane/serve.h"
#include "dataplane/serve_internal.h"

#include <stdlib.h>

struct serve_keys *
serve_keys_create(void)
{
	struct serve_keys *keys = calloc(1, sizeof(*keys));

	if (keys == NULL)
		return NULL;
	keys->hot = hotkeys_create();
	if (keys->hot != NULL)
		return keys;
	free(keys);
	return NULL;
}

void
serve_keys_destroy(struct serve_keys *keys)
{
	if (keys != NULL)
		hotkeys_destroy(keys->hot);
	free(keys);
}

const struct serve_keys *
serve_keys(const struct serve *serve)
{
	return serve->keys;
}

void
serve_sample(struct serve *serve, const struct store_key *key)
{
	const atomic_uint *setting = serve->host.sample_every;
	uint32_t every = setting != NULL ? atomic_load_explicit(setting, memory_order_relaxed) : 0;

	if (every == 0) {
		serve->sample_left = SERVE_SAMPLE_ASK; /* it may be switched on */
		return;
	}
	hotkeys_add(serve->keys->hot, key->hash, key->bytes, key->len);
	serve->sample_left = hotkeys_gap(serve->keys->hot, every);
}

void
serve_note_large(struct serve *serve, const uint8_t *key, uint32_t key_len, uint32_t value_bytes)
{
	struct serve_keys *keys = serve->keys;

	bigkeys_note(&keys->big, key, key_len, value_bytes, serve->now_s);
	if (value_bytes <= serve->largest_bytes || key_len > HOTKEYS_KEY_MAX)
		return;
	serve->largest_bytes = value_bytes;
	keys->largest.len = (uint8_t)key_len;
	memcpy(keys->largest.bytes, key, key_len);
}

uint32_t
serve_largest(const struct serve *serve, struct hotkeys_key *key)
{
	if (serve->largest_bytes != 0)
		*key = serve->keys->largest;
	return serve->largest_bytes;
}
