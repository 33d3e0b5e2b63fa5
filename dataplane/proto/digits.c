/*
 * Decimal numbers both ways; see digits.h. Every loop ends with the token and refuses a number before it
 * overflows.
 */
#include "dataplane/proto/digits.h"

const char proto_digit_pairs[201] =
    "00010203040506070809101112131415161718192021222324252627282930313233343536373839"
    "40414243444546474849505152535455565758596061626364656667686970717273747576777879"
    "8081828384858687888990919293949596979899";

uint8_t *
proto_put_u64(uint8_t *to, uint64_t value)
{
	uint8_t digits[20], *at = digits + sizeof(digits);

	while (value >= 100) {
		at -= 2;
		memcpy(at, proto_digit_pairs + 2 * (value % 100), 2);
		value /= 100;
	}
	if (value >= 10) {
		at -= 2;
		memcpy(at, proto_digit_pairs + 2 * value, 2);
	} else {
		*--at = (uint8_t)('0' + value);
	}
	memcpy(to, at, (size_t)(digits + sizeof(digits) - at));
	return to + (digits + sizeof(digits) - at);
}

#define DIGITS_SAFE 19 /* so many cannot overflow */

/* Digits from *at on; false for none or above UINT64_MAX. */
static bool
take_digits(const uint8_t **at, const uint8_t *end, uint64_t *value)
{
	const uint8_t *p = *at;
	const uint8_t *safe = end - p > DIGITS_SAFE ? p + DIGITS_SAFE : end;
	uint64_t sum = 0;

	while (p < safe && (uint8_t)(*p - '0') <= 9)
		sum = 10 * sum + (uint64_t)(*p++ - '0');
	while (p < end && (uint8_t)(*p - '0') <= 9) {
		if (__builtin_mul_overflow(sum, 10u, &sum) || __builtin_add_overflow(sum, *p - '0', &sum))
			return false;
		p++;
	}
	if (p == *at)
		return false;
	*at = p;
	*value = sum;
	return true;
}

/* What isspace() accepts in the C locale; blanks and '\n' cannot be inside a token. */
static bool
at_end_or_space(const uint8_t *at, const uint8_t *end)
{
	return at == end || (*at >= '\t' && *at <= '\r');
}

bool
proto_get_u64_strict(const uint8_t *bytes, uint32_t len, uint64_t *value)
{
	const uint8_t *at = bytes, *end = bytes + len;

	return take_digits(&at, end, value) && at == end;
}

bool
proto_get_i32_strict(const uint8_t *bytes, uint32_t len, int32_t *value)
{
	const uint8_t *at = bytes, *end = bytes + len;
	bool negative = at < end && *at == '-';
	uint64_t magnitude;

	at += negative;
	if (!take_digits(&at, end, &magnitude) || at != end || magnitude > (uint64_t)INT32_MAX + negative)
		return false;
	*value = (int32_t)(negative ? -(int64_t)magnitude : (int64_t)magnitude);
	return true;
}

/* Most flags and times are `0`. */
static inline bool
is_digit_alone(const uint8_t *bytes, uint32_t len)
{
	return len == 1 && (uint8_t)(*bytes - '0') <= 9;
}

bool
proto_get_u64(const uint8_t *bytes, uint32_t len, uint64_t *value)
{
	const uint8_t *at = bytes, *end = bytes + len;

	if (is_digit_alone(bytes, len)) {
		*value = (uint64_t)(*bytes - '0');
		return true;
	}
	at += at < end && *at == '+';
	return take_digits(&at, end, value) && at_end_or_space(at, end);
}

bool
proto_get_exptime(const uint8_t *bytes, uint32_t len, int32_t *value)
{
	const uint8_t *at = bytes, *end = bytes + len;
	bool negative = at < end && *at == '-';
	uint64_t magnitude;

	if (is_digit_alone(bytes, len)) {
		*value = *bytes - '0';
		return true;
	}
	at += at < end && (*at == '-' || *at == '+');
	if (!take_digits(&at, end, &magnitude) || !at_end_or_space(at, end))
		return false;
	if (magnitude > (uint64_t)INT64_MAX + negative)
		return false;
	*value = (int32_t)(uint32_t)(negative ? 0 - magnitude : magnitude);
	return true;
}
