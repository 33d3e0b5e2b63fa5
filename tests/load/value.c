/*
 * Writes and judges values, see value.h. The series is an addition a word, which the compiler turns into vectors: a
 * kilobyte costs some 40 cycles.
 */
#include "tests/load/value.h"

#include <string.h>

#define SERIES_STEP 0x9e3779b97f4a7c15ull
#define WORD_BYTES  8u
#define FEW_WORDS   8u

typedef uint64_t words4 __attribute__((vector_size(32)));

/* Word 0: version and check, or what a short value has instead. */
static inline uint64_t
first_word(uint64_t key_hash, uint32_t version, uint32_t total)
{
	if (total < VALUE_VERSIONED_BYTES)
		return load_mix(key_hash ^ total);
	uint64_t check = load_mix(key_hash ^ ((uint64_t)version << 32 | total));
	return version | check >> 32 << 32;
}

static inline uint64_t
series_start(uint64_t key_hash, uint32_t version)
{
	return key_hash ^ (version * 0xd6e8feb86659fd93ull);
}

static inline uint64_t
word_at(uint64_t key_hash, uint32_t version, uint32_t total, uint32_t index)
{
	if (index == 0)
		return first_word(key_hash, version, total);
	return index == 1 ? key_hash : series_start(key_hash, version) + index * SERIES_STEP;
}

/* Bytes of one word from offset on, as many as there are in it and wanted. Returns how many. */
static uint32_t
word_bytes(uint8_t *out, uint64_t word, uint32_t offset, uint32_t bytes)
{
	uint32_t skip = offset % WORD_BYTES, len = WORD_BYTES - skip;

	if (len > bytes)
		len = bytes;
	memcpy(out, (const uint8_t *)&word + skip, len);
	return len;
}

void
value_write(
    uint8_t *out, uint64_t key_hash, uint32_t version, uint32_t total, uint32_t offset, uint32_t bytes)
{
	while (bytes > 0 && (offset < VALUE_HEAD_BYTES || offset % WORD_BYTES != 0)) {
		uint32_t len =
		    word_bytes(out, word_at(key_hash, version, total, offset / WORD_BYTES), offset, bytes);
		out += len, offset += len, bytes -= len;
	}
	uint64_t start = series_start(key_hash, version);
	uint32_t index = offset / WORD_BYTES, words = bytes / WORD_BYTES;
	for (uint32_t i = 0; i < words; i++) {
		uint64_t word = start + (index + i) * SERIES_STEP;
		memcpy(out + i * WORD_BYTES, &word, WORD_BYTES);
	}
	if (bytes % WORD_BYTES != 0)
		word_bytes(
		    out + words * WORD_BYTES, start + (index + words) * SERIES_STEP, 0, bytes % WORD_BYTES);
}

/* Do len bytes from data on differ from a word's from byte `skip` on? With `room` >= 8 readable bytes it needs no call. */
static inline bool
part_differs(const uint8_t *data, uint64_t word, uint32_t skip, uint32_t len, uint32_t room)
{
	uint64_t seen;

	word >>= skip * 8;
	if (__builtin_expect(room < WORD_BYTES, 0))
		return memcmp(data, &word, len) != 0;
	memcpy(&seen, data, WORD_BYTES);
	return (seen ^ word) << (WORD_BYTES - len) * 8 != 0;
}

/* A few words of the series, one after the other: for as few the vector's set-up would cost more than it saves. */
static uint64_t
few_words_differ(const uint8_t *data, uint64_t expected, uint32_t words)
{
	uint64_t differences = 0, word;

	for (uint32_t i = 0; i < words; i++) {
		memcpy(&word, data + i * WORD_BYTES, WORD_BYTES);
		differences |= word ^ expected;
		expected += SERIES_STEP;
		__asm__("" : "+r"(expected)); /* keeps the compiler from making vectors of it */
	}
	return differences;
}

/* The next four words of both, compared; *wanted moves on. */
static inline words4
differences4(const uint8_t *data, words4 *wanted, uint64_t step)
{
	words4 seen;

	memcpy(&seen, data, sizeof(seen));
	seen ^= *wanted;
	*wanted += step;
	return seen;
}

/* Rounds of eight words. The series goes by addition: a product of 64 bits is six instructions of a vector unit. */
static uint64_t
many_words_differ(const uint8_t *data, uint64_t expected, uint32_t rounds)
{
	const words4 places = {0, SERIES_STEP, 2 * SERIES_STEP, 3 * SERIES_STEP};
	words4 even = expected + places, odd = even + 4 * SERIES_STEP, seen = {0};

	for (const uint8_t *end = data + rounds * 2 * sizeof(words4); data != end;
	     data += 2 * sizeof(words4)) {
		seen |= differences4(data, &even, 8 * SERIES_STEP);
		seen |= differences4(data + sizeof(words4), &odd, 8 * SERIES_STEP);
	}
	return seen[0] | seen[1] | seen[2] | seen[3];
}

/* True when the stretch is what value_write() would write, beyond the head and from a word's begin on. */
static bool
series_equals(const uint8_t *data, uint64_t start, uint32_t index, uint32_t bytes)
{
	uint32_t words = bytes / WORD_BYTES, rest = bytes % WORD_BYTES;
	uint32_t many = words > FEW_WORDS ? words / 8 * 8 : 0;
	uint64_t expected = start + index * SERIES_STEP, tail = expected + words * SERIES_STEP,
	         differences = 0;

	if (many > 0)
		differences = many_words_differ(data, expected, many / 8);
	differences |=
	    few_words_differ(data + many * WORD_BYTES, expected + many * SERIES_STEP, words - many);
	if (rest > 0 && words > 0) { /* the last eight bytes: compared above but for the rest */
		uint64_t last;
		memcpy(&last, data + bytes - WORD_BYTES, WORD_BYTES);
		differences |= last >> (WORD_BYTES - rest) * 8 ^ (tail & ((1ull << rest * 8) - 1));
	} else if (rest > 0) {
		differences |= part_differs(data, tail, 0, rest, rest);
	}
	return differences == 0;
}

/* What came of word 0; judged when it is complete. Returns the bytes taken. */
static uint32_t
feed_first(struct value_check *check, const uint8_t *data, uint32_t bytes)
{
	uint32_t room = (check->total < WORD_BYTES ? check->total : WORD_BYTES) - check->done;
	uint32_t len = bytes < room ? bytes : room;

	memcpy((uint8_t *)&check->first + check->done, data, len);
	if (len == room) {
		uint64_t expected = first_word(check->key_hash, (uint32_t)check->first, check->total);
		uint32_t compared = check->total < WORD_BYTES ? check->total : WORD_BYTES;
		check->right &= memcmp(&expected, &check->first, compared) == 0;
	}
	return len;
}

bool
value_whole(uint64_t key_hash, uint32_t total, const uint8_t *data, uint32_t *version)
{
	uint64_t first, second;

	memcpy(&first, data, WORD_BYTES);
	memcpy(&second, data + WORD_BYTES, WORD_BYTES);
	*version = (uint32_t)first;
	return first == first_word(key_hash, *version, total) && second == key_hash &&
	       series_equals(data + VALUE_HEAD_BYTES, series_start(key_hash, *version),
	           VALUE_HEAD_BYTES / WORD_BYTES, total - VALUE_HEAD_BYTES);
}

/* The whole value at once, with all of its head: the usual case, without a copy. */
static void
feed_whole(struct value_check *check, const uint8_t *data)
{
	uint32_t version;

	memcpy(&check->first, data, WORD_BYTES);
	check->right &= value_whole(check->key_hash, check->total, data, &version);
	check->done = check->total;
}

void
value_check_feed(struct value_check *check, const uint8_t *data, uint32_t bytes, uint32_t compare_bytes)
{
	uint32_t end = check->done + bytes;

	if (__builtin_expect(
	        bytes == check->total && bytes >= VALUE_HEAD_BYTES && bytes <= compare_bytes, 1)) {
		feed_whole(check, data);
		return;
	}
	if (compare_bytes == 0) {
		check->done = end;
		return;
	}
	if (check->done < WORD_BYTES && bytes > 0) {
		uint32_t len = feed_first(check, data, bytes);
		data += len, check->done += len, bytes -= len;
	}
	uint32_t version = (uint32_t)check->first;
	if (check->done + bytes > compare_bytes)
		bytes = compare_bytes > check->done ? compare_bytes - check->done : 0;
	while (bytes > 0 && (check->done < VALUE_HEAD_BYTES || check->done % WORD_BYTES != 0)) {
		uint64_t word = word_at(check->key_hash, version, check->total, check->done / WORD_BYTES);
		uint32_t skip = check->done % WORD_BYTES, len = WORD_BYTES - skip;
		len = len < bytes ? len : bytes;
		check->right &= !part_differs(data, word, skip, len, bytes);
		data += len, check->done += len, bytes -= len;
	}
	if (bytes > 0)
		check->right &= series_equals(
		    data, series_start(check->key_hash, version), check->done / WORD_BYTES, bytes);
	check->done = end;
}
