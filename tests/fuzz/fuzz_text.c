/*
 * libFuzzer entry: the text protocol through serve_bytes(). The input is fuzz.h's prefix and the stream as it is.
 */
#include "tests/fuzz/fuzz.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size >= FUZZ_PREFIX)
		fuzz_run(data, data + FUZZ_PREFIX, size - FUZZ_PREFIX);
	return 0;
}
