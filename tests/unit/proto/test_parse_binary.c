/*
 * Heads of binary requests and replies, from buffers of exactly their size.
 */
#include "dataplane/proto/binary.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

static struct proto_binary request;
static uint8_t packet[PROTO_BINARY_HEAD_MAX + 64];

static void
put_head(uint8_t opcode, unsigned key_len, unsigned extras_len, uint32_t body_bytes)
{
	memset(packet, 0, sizeof(packet));
	packet[0] = 0x80;
	packet[1] = opcode;
	packet[2] = (uint8_t)(key_len >> 8);
	packet[3] = (uint8_t)key_len;
	packet[4] = (uint8_t)extras_len;
	proto_put_be32(packet + 8, body_bytes);
	memcpy(packet + 12, "abcd", 4);
	proto_put_be64(packet + 16, 0x0123456789abcdefull);
	for (unsigned i = PROTO_BINARY_HEADER_BYTES; i < sizeof(packet); i++)
		packet[i] = (uint8_t)i;
}

/* Parses the first len bytes from a buffer of that size. */
static uint32_t
parse(uint32_t len)
{
	static uint8_t *copy;

	free(copy);
	copy = malloc(len);
	assert_non_null(copy);
	memcpy(copy, packet, len);
	memset(&request, 0xa5, sizeof(request));
	return proto_parse_binary(copy, len, &request);
}

static void
expect_error(enum proto_binary_status error, bool close)
{
	assert_int_equal(parse(PROTO_BINARY_HEADER_BYTES), PROTO_BINARY_HEADER_BYTES);
	assert_int_equal(request.error, error);
	assert_int_equal(request.close, close);
	assert_false(request.hangup);
}

static void
whole_head_is_read(void **state)
{
	put_head(0x11, 3, 8, 8 + 3 + 100);
	assert_int_equal(parse(35), 35);
	assert_int_equal(request.error, PROTO_BINARY_OK);
	assert_int_equal(request.command, PROTO_BINARY_SET);
	assert_true(request.quiet);
	assert_int_equal(request.opcode, 0x11);
	assert_memory_equal(&request.opaque, "abcd", 4);
	assert_int_equal(request.cas, 0x0123456789abcdefull);
	assert_int_equal(request.client_flags, 0x18191a1b);
	assert_int_equal(request.expiration, 0x1c1d1e1f);
	assert_int_equal(request.key_len, 3);
	assert_memory_equal(request.key, packet + 32, 3);
	assert_int_equal(request.value_bytes, 100);
}

static void
numbers_of_incr_are_read(void **state)
{
	put_head(0x05, 1, 20, 21);
	assert_int_equal(parse(45), 45);
	assert_int_equal(request.command, PROTO_BINARY_INCR);
	assert_false(request.quiet);
	assert_int_equal(request.delta, 0x18191a1b1c1d1e1full);
	assert_int_equal(request.initial, 0x2021222324252627ull);
	assert_int_equal(request.expiration, 0x28292a2b);
}

static void
unfinished_head_says_how_long_it_is(void **state)
{
	put_head(0x01, 250, 8, 300);
	for (uint32_t len = 1; len < 24; len++)
		assert_int_equal(parse(len), 24);
	for (uint32_t len = 24; len < 282; len++)
		assert_int_equal(parse(len), 282);
	assert_int_equal(parse(282), 282);
	assert_int_equal(request.value_bytes, 42);
}

static void
wrong_magic_hangs_up(void **state)
{
	put_head(0x0a, 0, 0, 0);
	packet[0] = 0x81;
	assert_int_equal(parse(1), 1);
	assert_true(request.hangup);
}

static void
lengths_that_contradict_are_unknown_and_close(void **state)
{
	put_head(0x00, 5, 0, 4);
	expect_error(PROTO_BINARY_UNKNOWN, true);
	put_head(0x01, 5, 8, 12);
	expect_error(PROTO_BINARY_UNKNOWN, true);
	put_head(0x77, 65535, 255, 0);
	expect_error(PROTO_BINARY_UNKNOWN, true);
}

static void
overlong_keys_and_bodies_close(void **state)
{
	put_head(0x00, 251, 0, 251);
	expect_error(PROTO_BINARY_INVALID, true);
	put_head(0x77, 251, 0, 251);
	expect_error(PROTO_BINARY_INVALID, true);
	put_head(0x01, 1, 8, UINT32_MAX);
	expect_error(PROTO_BINARY_INVALID, true);
	put_head(0x01, 1, 8, (1u << 30) + 1);
	expect_error(PROTO_BINARY_INVALID, true);
}

static void
unknown_opcodes_are_told_with_their_body(void **state)
{
	unsigned known = 0;

	for (unsigned opcode = 0; opcode < 256; opcode++) {
		put_head((uint8_t)opcode, 1, 3, 17);
		parse(24);
		if (proto_binary_name((uint8_t)opcode) != NULL) {
			known++;
			assert_int_equal(request.error, PROTO_BINARY_INVALID);
			continue;
		}
		assert_int_equal(request.error, PROTO_BINARY_UNKNOWN);
		assert_false(request.close);
		assert_int_equal(request.value_bytes, 17);
	}
	assert_int_equal(known, 35);
}

static void
shapes_are_kept(void **state)
{
	static const struct {
		uint8_t opcode, key_len, extras_len, value_bytes;
		bool good;
	} cases[] = {
	    {0x00, 1, 0, 0, true},
	    {0x00, 0, 0, 0, false},
	    {0x00, 1, 4, 0, false},
	    {0x0d, 1, 0, 1, false},
	    {0x01, 1, 8, 0, true},
	    {0x02, 1, 8, 9, true},
	    {0x03, 1, 0, 9, false},
	    {0x12, 0, 8, 9, false},
	    {0x04, 1, 0, 0, true},
	    {0x14, 1, 0, 1, false},
	    {0x05, 1, 20, 0, true},
	    {0x16, 1, 20, 1, false},
	    {0x06, 1, 8, 0, false},
	    {0x07, 0, 0, 0, true},
	    {0x17, 1, 0, 0, false},
	    {0x08, 0, 0, 0, true},
	    {0x08, 0, 4, 0, true},
	    {0x18, 0, 5, 0, false},
	    {0x18, 1, 4, 0, false},
	    {0x18, 0, 0, 4, false},
	    {0x0a, 0, 0, 0, true},
	    {0x0a, 0, 0, 1, false},
	    {0x0b, 0, 1, 0, false},
	    {0x0e, 1, 0, 3, true},
	    {0x1a, 1, 8, 3, false},
	    {0x10, 0, 0, 0, true},
	    {0x10, 5, 0, 0, true},
	    {0x10, 5, 0, 1, false},
	    {0x1c, 1, 4, 0, true},
	    {0x1e, 1, 0, 0, false},
	    {0x24, 0, 4, 0, false},
	    {0x23, 1, 4, 1, false},
	    {0x20, 0, 0, 0, true},
	    {0x20, 1, 0, 0, false},
	    {0x21, 5, 0, 9, true},
	    {0x22, 0, 0, 9, false},
	};

	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		put_head(cases[i].opcode, cases[i].key_len, cases[i].extras_len,
		    cases[i].key_len + cases[i].extras_len + cases[i].value_bytes);
		parse(24 + cases[i].key_len + cases[i].extras_len);
		if (request.error != (cases[i].good ? PROTO_BINARY_OK : PROTO_BINARY_INVALID))
			fail_msg("case %u", i);
		assert_int_equal(request.close, !cases[i].good);
	}
}

static void
pipelined_keys_are_peeked_one_by_one(void **state)
{
	const uint8_t *key;
	uint32_t key_len;
	uint64_t next;

	put_head(0x09, 3, 0, 3);
	assert_true(proto_peek_binary(packet, 27, &key, &key_len, &next));
	assert_ptr_equal(key, packet + 24);
	assert_int_equal(key_len, 3);
	assert_int_equal(next, 27);
	assert_false(proto_peek_binary(packet, 26, &key, &key_len, &next));
	assert_false(proto_peek_binary(packet, 23, &key, &key_len, &next));
	assert_int_equal(next, 0);
	put_head(0x0a, 0, 0, UINT32_MAX);
	assert_false(proto_peek_binary(packet, 24, &key, &key_len, &next));
	assert_int_equal(next, 24ull + UINT32_MAX);
	put_head(0x01, 3, 8, 2);
	assert_false(proto_peek_binary(packet, 64, &key, &key_len, &next));
}

static void
reply_head_is_as_on_the_wire(void **state)
{
	static const uint8_t expected[] = {0x81, 0x0c, 0x01, 0x02, 4, 0, 0, 0x82, 0, 1, 0x01, 0x09, 'a', 'b',
	    'c', 'd', 0, 0, 0, 0, 0, 0, 1, 2};
	struct proto_binary_reply reply = {.status = PROTO_BINARY_NO_MEMORY,
	    .key_len = 258,
	    .extras_len = 4,
	    .value_bytes = 65539,
	    .cas = 258};
	uint8_t out[24];
	uint32_t opaque;

	memcpy(&opaque, "abcd", 4);
	assert_ptr_equal(proto_put_binary_header(out, 0x0c, opaque, &reply), out + 24);
	assert_memory_equal(out, expected, 24);
	assert_string_equal(proto_binary_text(PROTO_BINARY_NO_MEMORY), "Out of memory");
	assert_string_equal(proto_binary_text(PROTO_BINARY_AUTH_CONTINUE), "");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(whole_head_is_read),
	    cmocka_unit_test(numbers_of_incr_are_read),
	    cmocka_unit_test(unfinished_head_says_how_long_it_is),
	    cmocka_unit_test(wrong_magic_hangs_up),
	    cmocka_unit_test(lengths_that_contradict_are_unknown_and_close),
	    cmocka_unit_test(overlong_keys_and_bodies_close),
	    cmocka_unit_test(unknown_opcodes_are_told_with_their_body),
	    cmocka_unit_test(shapes_are_kept),
	    cmocka_unit_test(pipelined_keys_are_peeked_one_by_one),
	    cmocka_unit_test(reply_head_is_as_on_the_wire),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
