/*
 * The flags of meta commands, and base64 keys.
 */
#include "dataplane/proto/base64.h"
#include "dataplane/proto/request.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct proto_request request;

static void
expect(const char *line, enum proto_reply error)
{
	size_t len = strlen(line);
	static uint8_t *copy;

	free(copy);
	copy = malloc(len);
	assert_non_null(copy);
	memcpy(copy, line, len);
	memset(&request, 0xa5, sizeof(request));
	proto_parse_text(copy, (uint32_t)len, &request);
	if (request.error != error)
		fail_msg("%s: %s", line, proto_replies[request.error].text);
}

static void
flags_with_arguments_are_read(void **state)
{
	expect("mg k v N30 T-1 R5000 C7 E9 O123 q\r\n", PROTO_REPLY_NONE);
	assert_int_equal(request.meta.vivify_ttl, 30);
	assert_int_equal(request.meta.ttl, -1);
	assert_int_equal(request.meta.recache, 5000);
	assert_int_equal(request.meta.cas, 7);
	assert_int_equal(request.meta.cas_new, 9);
	assert_true(proto_meta_has(&request.meta, 'v'));
	assert_false(proto_meta_has(&request.meta, 'k'));
	assert_true(request.noreply);
	expect("ma k D5 J13 MD\r\n", PROTO_REPLY_NONE);
	assert_int_equal(request.meta.delta, 5);
	assert_int_equal(request.meta.initial, 13);
	assert_int_equal(request.meta.mode, 'D');
	expect("ma k\r\n", PROTO_REPLY_NONE);
	assert_int_equal(request.meta.delta, 1);
	expect("ms k 3 F4294967295\r\n", PROTO_REPLY_NONE);
	assert_int_equal(request.meta.client_flags, UINT32_MAX);
	assert_int_equal(request.value_bytes, 3);
}

static void
bad_flags_give_their_errors(void **state)
{
	expect("mg k v v\r\n", PROTO_REPLY_META_DUPLICATE);
	expect("mg k y\r\n", PROTO_REPLY_META_BAD_FLAG);
	expect("mg k !\r\n", PROTO_REPLY_BAD_FORMAT);
	expect("mg k Nx\r\n", PROTO_REPLY_META_BAD_TOKEN);
	expect("mg k T\r\n", PROTO_REPLY_META_BAD_TOKEN);
	expect("mg k R1x\r\n", PROTO_REPLY_META_BAD_TOKEN);
	expect("md k C-1\r\n", PROTO_REPLY_META_BAD_TOKEN);
	expect("ms k 1 Fabc\r\n", PROTO_REPLY_BAD_FORMAT);
	assert_true(request.has_value);
	expect("ms k 1 F4294967296\r\n", PROTO_REPLY_BAD_FORMAT);
	expect("ms k 1 Mappend\r\n", PROTO_REPLY_META_SET_MODE);
	expect("ms k 1 M\r\n", PROTO_REPLY_META_SET_MODE);
	expect("ma k Mq\r\n", PROTO_REPLY_META_ARITHMETIC_MODE);
	expect("ma k Dabc\r\n", PROTO_REPLY_META_ARITHMETIC_FLAG);
	expect("ma k v v\r\n", PROTO_REPLY_META_ARITHMETIC_FLAG);
	expect("mg k q q\r\n", PROTO_REPLY_META_DUPLICATE);
	assert_false(request.noreply);
}

static void
opaque_is_limited_to_32_bytes(void **state)
{
	expect("mg k O1234567890123456789012345678901\r\n", PROTO_REPLY_NONE);
	expect("mg k O12345678901234567890123456789012\r\n", PROTO_REPLY_META_OPAQUE);
}

static void
more_than_20_tokens_are_refused(void **state)
{
	expect("mg k b N1 T1 R1 l O P L k s t c f v h u q x\r\n", PROTO_REPLY_META_BASE64);
	expect("mg k b N1 T1 R1 l O P L k s t c f v h u q x I\r\n", PROTO_REPLY_META_TOO_MANY);
}

static void
base64_key_is_decoded(void **state)
{
	expect("mg Zm9v b v\r\n", PROTO_REPLY_NONE);
	assert_int_equal(request.key.len, 3);
	assert_memory_equal(request.key.bytes, "foo", 3);
	expect("mg not!base64 b v\r\n", PROTO_REPLY_META_BASE64);
	expect("mg Zm9 b v\r\n", PROTO_REPLY_META_BASE64);
}

static void
base64_round_trip_of_all_lengths(void **state)
{
	uint8_t from[256], text[PROTO_BASE64_BYTES(256)], back[256];

	for (unsigned i = 0; i < sizeof(from); i++)
		from[i] = (uint8_t)(i * 37 + 11);
	for (uint32_t len = 1; len <= sizeof(from); len++) {
		uint32_t text_len = proto_base64_encode(from, len, text);

		assert_int_equal(text_len, PROTO_BASE64_BYTES(len));
		assert_int_equal(proto_base64_decode(text, text_len, back, sizeof(back)), len);
		assert_memory_equal(from, back, len);
		assert_int_equal(proto_base64_decode(text, text_len, back, len - 1), 0);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(flags_with_arguments_are_read),
	    cmocka_unit_test(bad_flags_give_their_errors),
	    cmocka_unit_test(opaque_is_limited_to_32_bytes),
	    cmocka_unit_test(more_than_20_tokens_are_refused),
	    cmocka_unit_test(base64_key_is_decoded),
	    cmocka_unit_test(base64_round_trip_of_all_lengths),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
