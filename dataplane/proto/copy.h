/*
 * memcpy() of what requests and replies are made of: keys and small values, inline, since a call costs more than moving
 * the bytes. Never reads or writes outside of len bytes: the end is moved by a step that overlaps the one before.
 */
#ifndef WIRECACHE_PROTO_COPY_H
#define WIRECACHE_PROTO_COPY_H

#include <stdint.h>
#include <string.h>

#define PROTO_COPY_INLINE_MAX 256u

struct proto_copy_16 {
	uint64_t word[2];
};

static inline void
proto_copy(uint8_t *to, const uint8_t *from, uint32_t len)
{
	struct proto_copy_16 step;

	if (__builtin_expect(len - 16 > PROTO_COPY_INLINE_MAX - 16, 0)) {
		if (len >= 8 && len < 16) {
			uint64_t head, tail;
			memcpy(&head, from, 8);
			memcpy(&tail, from + len - 8, 8);
			memcpy(to, &head, 8);
			memcpy(to + len - 8, &tail, 8);
			return;
		}
		memcpy(to, from, len);
		return;
	}
	for (uint32_t at = 0; at + 16 < len; at += 16) {
		memcpy(&step, from + at, 16);
		memcpy(to + at, &step, 16);
	}
	memcpy(&step, from + len - 16, 16);
	memcpy(to + len - 16, &step, 16);
}

#endif
