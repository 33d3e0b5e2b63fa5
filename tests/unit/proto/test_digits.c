/*
 * Decimal numbers both ways, the scanner, and the UDP frame header.
 */
#include "dataplane/proto/reply.h"
#include "dataplane/proto/scan.h"
#include "dataplane/proto/udp_frame.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static void
expect_number(uint64_t value)
{
	char expected[24];
	uint8_t written[24];
	int len = snprintf(expected, sizeof(expected), "%" PRIu64, value);
	uint64_t back = 0;

	assert_int_equal(proto_put_u64(written, value) - written, len);
	assert_memory_equal(written, expected, len);
	assert_true(proto_get_u64(written, (uint32_t)len, &back) && back == value);
	assert_true(proto_get_u64_strict(written, (uint32_t)len, &back) && back == value);
	if (value <= UINT32_MAX) {
		assert_int_equal(proto_put_u32(written, (uint32_t)value) - written, len);
		assert_memory_equal(written, expected, len);
	}
}

static void
numbers_around_powers_of_ten_and_two_round_trip(void **state)
{
	uint64_t ten = 1;

	for (unsigned i = 0; i < 20; i++, ten *= 10) {
		expect_number(ten - 1);
		expect_number(ten);
		expect_number(ten + 1);
	}
	for (unsigned i = 0; i < 64; i++) {
		expect_number((1ull << i) - 1);
		expect_number(1ull << i);
	}
	expect_number(UINT64_MAX);
}

static void
value_head_fits_its_bound(void **state)
{
	uint8_t head[250 + PROTO_VALUE_HEAD_MAX], key[250] = {'k'};
	uint64_t cas = UINT64_MAX;

	assert_int_equal(
	    proto_put_value_head(head, key, sizeof(key), UINT32_MAX, UINT32_MAX, &cas) - head, sizeof(head));
	assert_memory_equal(head + sizeof(head) - 2, "\r\n", 2);
}

static void
scan_stops_at_first_delimiter_wherever_it_is(void **state)
{
	for (unsigned len = 0; len < 70; len++) {
		uint8_t *bytes = malloc(len + 1);

		assert_non_null(bytes);
		memset(bytes, 'x', len + 1);
		assert_ptr_equal(proto_scan_token(bytes, bytes + len), bytes + len);
		for (unsigned at = 0; at < len; at++) {
			bytes[at] = at % 2 ? ' ' : '\n';
			assert_ptr_equal(proto_scan_token(bytes, bytes + len), bytes + at);
			bytes[at] = 'x';
		}
		free(bytes);
	}
}

static void
udp_frame_round_trip(void **state)
{
	struct proto_udp_frame frame = {.request_id = 0xabcd, .sequence = 0, .total = 1}, back;
	uint8_t datagram[9] = {0}, reply[8], expected[8];

	proto_udp_write(datagram, &frame);
	assert_int_equal(datagram[0], 0xab);
	assert_true(proto_udp_read(datagram, sizeof(datagram), &back));
	assert_int_equal(back.request_id, 0xabcd);
	assert_false(proto_udp_read(datagram, 8, &back));
	frame.total = 2;
	proto_udp_write(datagram, &frame);
	assert_false(proto_udp_read(datagram, sizeof(datagram), &back));
	frame = (struct proto_udp_frame){.request_id = 0x1234, .sequence = 7, .total = 1};
	proto_udp_write(datagram, &frame);
	assert_true(proto_udp_is_whole(datagram));
	proto_udp_write_single(reply, datagram);
	proto_udp_write(expected, &(struct proto_udp_frame){.request_id = 0x1234, .total = 1});
	assert_memory_equal(reply, expected, sizeof(reply));
	frame.total = 256;
	proto_udp_write(datagram, &frame);
	assert_false(proto_udp_is_whole(datagram));
}

static void
udp_reply_is_counted_in_datagrams(void **state)
{
	assert_int_equal(proto_udp_datagrams(1), 1);
	assert_int_equal(proto_udp_datagrams(PROTO_UDP_PAYLOAD_MAX), 1);
	assert_int_equal(proto_udp_datagrams(PROTO_UDP_PAYLOAD_MAX + 1), 2);
	assert_int_equal(proto_udp_datagrams(65535ull * PROTO_UDP_PAYLOAD_MAX), 65535);
	assert_int_equal(proto_udp_datagrams(65535ull * PROTO_UDP_PAYLOAD_MAX + 1), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(numbers_around_powers_of_ten_and_two_round_trip),
	    cmocka_unit_test(value_head_fits_its_bound),
	    cmocka_unit_test(scan_stops_at_first_delimiter_wherever_it_is),
	    cmocka_unit_test(udp_frame_round_trip),
	    cmocka_unit_test(udp_reply_is_counted_in_datagrams),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
