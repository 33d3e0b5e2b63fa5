/*
 * libFuzzer entry: the binary protocol through serve_bytes(), with and without logins. Prefix as in fuzz.h, packets as
 * in expand.h.
 */
#include "tests/fuzz/expand.h"
#include "tests/fuzz/fuzz.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t stream[EXPAND_MAX];
	static struct fuzz fuzz;

	if (size < FUZZ_PREFIX)
		return 0;
	fuzz_begin(&fuzz, data[0]);
	fuzz_play(&fuzz, data + 1, stream, expand_packets(data + FUZZ_PREFIX, size - FUZZ_PREFIX, stream));
	fuzz_end(&fuzz);
	return 0;
}
