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

	if (size >= FUZZ_PREFIX)
		fuzz_run(data, stream, expand_packets(data + FUZZ_PREFIX, size - FUZZ_PREFIX, stream));
	return 0;
}
