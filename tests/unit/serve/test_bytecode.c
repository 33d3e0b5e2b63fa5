/*
 * BPF programs as text: what libpcap compiles comes back, what could harm a worker is refused.
 */
#include <errno.h>
#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dataplane/bytecode.h"

#define IPV4_ONLY "4,40 0 0 12,21 0 1 2048,6 0 0 262144,6 0 0 0"

static char error[DATAPLANE_ERROR_MAX];
static struct bpf_program program;

static void
program_takes_the_packets_that_it_describes(void **state)
{
	uint8_t ipv4[60] = {[12] = 8, [13] = 0}, arp[60] = {[12] = 8, [13] = 6};

	assert_int_equal(bytecode_parse(IPV4_ONLY, &program, error), 0);
	assert_int_equal(program.bf_len, 4);
	assert_true(bpf_filter(program.bf_insns, ipv4, sizeof(ipv4), sizeof(ipv4)) != 0);
	assert_int_equal(bpf_filter(program.bf_insns, arp, sizeof(arp), sizeof(arp)), 0);
	assert_int_equal(bpf_filter(program.bf_insns, arp, sizeof(arp), 5), 0);
	free(program.bf_insns);
}

static void
text_of_no_program_is_refused(void **state)
{
	static const char *const bad[] = {"", "tcp port 11211", "0,", "1", "1,", "1,6 0 0", "1,6 0 0 0,",
	    "1,6 0 0 0 ", "2,6 0 0 0", "1,6 0 0 0,6 0 0 0", "1,-6 0 0 0", "1, 6 0 0 0", "1,6 256 0 0",
	    "1,65536 0 0 0", "1,6 0 0 4294967296", "1025,6 0 0 0", "99999999999999999999,6 0 0 0"};

	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		error[0] = '\0';
		assert_int_equal(bytecode_parse(bad[i], &program, error), -EINVAL);
		assert_non_null(strstr(error, "wirectl capture start"));
	}
}

static void
program_that_could_leave_its_bounds_is_refused(void **state)
{
	static const char *const bad[] = {
	    "1,40 0 0 12",                        /* no end */
	    "2,21 0 5 2048,6 0 0 0",              /* a jump behind the end */
	    "2,5 0 0 4294967295,6 0 0 0",         /* a jump to itself */
	    "3,0 0 0 1,5 0 0 4294967294,6 0 0 0", /* backwards */
	    "2,96 0 0 16,6 0 0 0",                /* scratch memory that there is not */
	    "2,52 0 0 0,6 0 0 0",                 /* divides by nothing */
	    "2,65535 0 0 0,6 0 0 0",              /* no instruction */
	};

	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(bytecode_parse(bad[i], &program, error), -EINVAL);
}

/* libpcap aborts at an instruction that it does not know: whatever is taken must run. */
static void
every_instruction_that_is_taken_can_be_run(void **state)
{
	uint8_t packet[64] = {0};
	unsigned taken = 0;

	for (unsigned code = 0; code <= UINT16_MAX; code++) {
		char text[64];

		snprintf(text, sizeof(text), "3,%u 0 0 1,6 0 0 1,6 0 0 1", code);
		if (bytecode_parse(text, &program, error) != 0)
			continue;
		(void)bpf_filter(program.bf_insns, packet, sizeof(packet), sizeof(packet));
		free(program.bf_insns);
		taken++;
	}
	/* 9 + 4 loads, 2 stores, 10 operations with a constant or X, negation, 1 + 8 jumps, 2 ends, 2 moves */
	assert_int_equal(taken, 49);
}

static void
longest_program_is_taken(void **state)
{
	static char text[16 * (BYTECODE_MAX + 1)];
	int used = snprintf(text, sizeof(text), "%u", BYTECODE_MAX);

	for (unsigned i = 0; i < BYTECODE_MAX; i++)
		used += snprintf(text + used, sizeof(text) - used, ",6 0 0 0");
	assert_int_equal(bytecode_parse(text, &program, error), 0);
	free(program.bf_insns);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(program_takes_the_packets_that_it_describes),
	    cmocka_unit_test(text_of_no_program_is_refused),
	    cmocka_unit_test(program_that_could_leave_its_bounds_is_refused),
	    cmocka_unit_test(every_instruction_that_is_taken_can_be_run),
	    cmocka_unit_test(longest_program_is_taken),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
