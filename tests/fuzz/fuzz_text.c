/*
 * libFuzzer entry: the text protocol through serve_bytes(). The input is fuzz.h's prefix and the stream as it is.
 */
#include "tests/fuzz/fuzz.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct fuzz fuzz;

	if (size < FUZZ_PREFIX)
		return 0;
	fuzz_begin(&fuzz, data[0]);
	fuzz_play(&fuzz, data + 1, data + FUZZ_PREFIX, size - FUZZ_PREFIX);
	fuzz_end(&fuzz);
	return 0;
}
