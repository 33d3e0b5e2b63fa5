/*
 * The plain set: a small value that is all at hand and is stored whatever is there. Most writes are that. draft.c does the
 * same for all writes, in general: what is found under the key, which condition holds, what is taken over from the old item.
 * Here it is one piece of code without calls, and whoever reads one of them may check it against the other.
 */
#ifndef WIRECACHE_STORE_PUT_H
#define WIRECACHE_STORE_PUT_H

#include "store/internal.h"

#define PUT_PLAIN_VALUE_MAX 1024u /* an item of one piece in any store */

static inline bool
put_is_plain(const struct store_write *write, uint32_t value_bytes)
{
	return write->mode == STORE_SET && value_bytes <= PUT_PLAIN_VALUE_MAX &&
	       !(write->cas_check | write->invalidate | write->cas_set);
}

/* store_put() of what put_is_plain(), within the size that is allowed. */
enum store_status put_plain(struct store_thread *thread, const struct store_key *key,
    const struct store_write *write, const void *value, uint32_t value_bytes, uint64_t *cas);

#endif
