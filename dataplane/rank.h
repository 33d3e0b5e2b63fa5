/*
 * The best few of many, in order, in an array of bounded room. Any thread.
 */
#ifndef WIRECACHE_RANK_H
#define WIRECACHE_RANK_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

/*
 * Puts one element (of `bytes` bytes) behind those of the array that it does not beat; the last falls out when there is no
 * room. Returns the new length. beats: whether a stands before b.
 */
static inline unsigned
rank_insert(void *array, unsigned len, unsigned room, const void *one, size_t bytes,
    bool (*beats)(const void *a, const void *b))
{
	char *at = (char *)array + len * bytes, *end;

	while (at > (char *)array && beats(one, at - bytes))
		at -= bytes;
	if (at == (char *)array + room * bytes)
		return len;
	len = len < room ? len + 1 : room;
	end = (char *)array + len * bytes;
	memmove(at + bytes, at, (size_t)(end - at) - bytes);
	memcpy(at, one, bytes);
	return len;
}

#endif
