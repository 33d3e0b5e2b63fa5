/*
 * See bigkeys.h.
 */
#include "dataplane/bigkeys.h"

#include <stdbool.h>
#include <string.h>

#include "dataplane/rank.h"

static bool
is_key(const struct bigkeys_entry *entry, const uint8_t *key, uint32_t len)
{
	return entry->key.len == len && memcmp(entry->key.bytes, key, len) == 0;
}

/* Of another worker it may have been seen a second from now. */
static bool
is_recent(const struct bigkeys_entry *entry, uint32_t now_s)
{
	return entry->key.len != 0 && (int32_t)(now_s - entry->seen_s) < (int32_t)BIGKEYS_KEPT_S;
}

/* What an entry has to be beaten by: nothing once it is old. */
static uint32_t
weight(const struct bigkeys_entry *entry, uint32_t now_s)
{
	return is_recent(entry, now_s) ? entry->value_bytes : 0;
}

void
bigkeys_note(struct bigkeys *bigkeys, const uint8_t *key, uint32_t len, uint32_t value_bytes, uint32_t now_s)
{
	struct bigkeys_entry *entry;
	unsigned at = 0;

	for (unsigned i = 0; i < BIGKEYS_LEN; i++) {
		if (is_key(&bigkeys->entries[i], key, len)) {
			at = i;
			break;
		}
		if (weight(&bigkeys->entries[i], now_s) < weight(&bigkeys->entries[at], now_s))
			at = i;
	}
	entry = &bigkeys->entries[at];
	if (is_key(entry, key, len)) {
		if (entry->value_bytes == value_bytes && entry->seen_s == now_s)
			return;
	} else if (value_bytes <= weight(entry, now_s) || len > HOTKEYS_KEY_MAX) {
		return;
	}
	entry->key.len = (uint8_t)len;
	memcpy(entry->key.bytes, key, len);
	entry->value_bytes = value_bytes;
	entry->seen_s = now_s;
	PUBLISH(&bigkeys->published[at], entry);
}

/* The same key on another worker: the later size holds. */
static bool
merge_same(struct bigkeys_entry *out, unsigned *len, const struct bigkeys_entry *entry)
{
	for (unsigned i = 0; i < *len; i++) {
		if (!is_key(&out[i], entry->key.bytes, entry->key.len))
			continue;
		if (out[i].seen_s >= entry->seen_s)
			return true;
		memmove(&out[i], &out[i + 1], (--*len - i) * sizeof(*out));
		return false;
	}
	return false;
}

static bool
is_bigger(const void *a, const void *b)
{
	return ((const struct bigkeys_entry *)a)->value_bytes >
	       ((const struct bigkeys_entry *)b)->value_bytes;
}

unsigned
bigkeys_merge(const struct bigkeys *const *workers, unsigned workers_len, uint32_t now_s,
    struct bigkeys_entry *out, unsigned room)
{
	unsigned len = 0;

	for (unsigned i = 0; i < workers_len * BIGKEYS_LEN; i++) {
		struct bigkeys_entry entry;

		if (!PUBLISHED_READ(&workers[i / BIGKEYS_LEN]->published[i % BIGKEYS_LEN], &entry) ||
		    !is_recent(&entry, now_s) || merge_same(out, &len, &entry))
			continue;
		len = rank_insert(out, len, room, &entry, sizeof(entry), is_bigger);
	}
	return len;
}
