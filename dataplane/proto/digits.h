/*
 * Decimal numbers both ways, without libc: the reply path writes several in every hit, and the numbers of a
 * request are not terminated by anything that libc's functions could stop at safely.
 */
#ifndef WIRECACHE_PROTO_DIGITS_H
#define WIRECACHE_PROTO_DIGITS_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

extern const char proto_digit_pairs[201]; /* "000102...99" */

static inline unsigned
proto_digits_u32(uint32_t value)
{
	unsigned len = 1;

	for (;;) {
		if (value < 10)
			return len;
		if (value < 100)
			return len + 1;
		if (value < 1000)
			return len + 2;
		if (value < 10000)
			return len + 3;
		value /= 10000;
		len += 4;
	}
}

/* Writes at most 10 bytes. */
static inline uint8_t *
proto_put_u32(uint8_t *to, uint32_t value)
{
	uint8_t *end = to + proto_digits_u32(value);
	uint8_t *at = end;

	while (value >= 100) {
		at -= 2;
		memcpy(at, proto_digit_pairs + 2 * (value % 100), 2);
		value /= 100;
	}
	if (value >= 10)
		memcpy(to, proto_digit_pairs + 2 * value, 2);
	else
		*to = (uint8_t)('0' + value);
	return end;
}

/* Writes at most 20 bytes. */
uint8_t *proto_put_u64(uint8_t *to, uint64_t value);

/*
 * Numbers of a request. Two grammars, as in memcached: where it uses strtol or strtoull, a leading '+' and
 * white space that follows are let pass; where it uses its own tokenizer only digits and, signed, a '-' are.
 */
bool proto_get_u64_strict(const uint8_t *bytes, uint32_t len, uint64_t *value);
bool proto_get_i32_strict(const uint8_t *bytes, uint32_t len, int32_t *value);
bool proto_get_u64(const uint8_t *bytes, uint32_t len, uint64_t *value);

/* An exptime: any number that fits 64 bits, cut to 32 like memcached does. */
bool proto_get_exptime(const uint8_t *bytes, uint32_t len, int32_t *value);

#endif
