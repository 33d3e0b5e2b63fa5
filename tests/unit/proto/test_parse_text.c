/*
 * The text parser: every command's arguments, and which error speaks first.
 */
#include "dataplane/proto/request.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct proto_request request;

/* Parses a copy of exactly the line's size, so that a sanitizer sees a read outside. */
static void
parse(const char *line)
{
	size_t len = strlen(line);
	static uint8_t *copy;

	free(copy);
	copy = malloc(len);
	assert_non_null(copy);
	memcpy(copy, line, len);
	memset(&request, 0xa5, sizeof(request));
	proto_parse_text(copy, (uint32_t)len, &request);
}

static void
expect_error(const char *line, enum proto_reply error)
{
	parse(line);
	if (request.error != error)
		fail_msg("%s: %s", line, proto_replies[request.error].text);
}

static void
expect_key(const char *key)
{
	assert_int_equal(request.key.len, strlen(key));
	assert_memory_equal(request.key.bytes, key, strlen(key));
}

static char *
long_line(const char *before, unsigned key_len, const char *after)
{
	static char line[4096];
	size_t len = strlen(before);

	memcpy(line, before, len);
	memset(line + len, 'k', key_len);
	strcpy(line + len + key_len, after);
	return line;
}

static void
set_line_gives_all_fields(void **state)
{
	parse("set key 7 -3 12\r\n");
	assert_int_equal(request.error, PROTO_REPLY_NONE);
	assert_int_equal(request.command, PROTO_SET);
	expect_key("key");
	assert_int_equal(request.client_flags, 7);
	assert_int_equal(request.exptime, -3);
	assert_int_equal(request.value_bytes, 12);
	assert_true(request.has_value);
	assert_false(request.noreply);
}

static void
storage_words_give_their_commands(void **state)
{
	static const enum proto_command commands[] = {
	    PROTO_SET, PROTO_ADD, PROTO_REPLACE, PROTO_APPEND, PROTO_PREPEND};

	for (unsigned i = 0; i < 5; i++) {
		char line[64] = "";

		strcat(strcpy(line, proto_command_word(commands[i])), " k 1 2 3 noreply\n");
		parse(line);
		assert_int_equal(request.error, PROTO_REPLY_NONE);
		assert_int_equal(request.command, commands[i]);
		assert_true(request.noreply);
	}
}

static void
cas_line_gives_number(void **state)
{
	parse("cas k 0 0 1 18446744073709551615 noreply\r\n");
	assert_int_equal(request.error, PROTO_REPLY_NONE);
	assert_true(request.cas == UINT64_MAX);
	assert_true(request.noreply);
	expect_error("cas k 0 0 1\r\n", PROTO_REPLY_BAD_FORMAT);
	assert_true(request.has_value);
	expect_error("cas k 0 0 1 noreply\r\n", PROTO_REPLY_BAD_FORMAT);
	assert_true(request.noreply);
	expect_error("cas k 0 0 1 18446744073709551616\r\n", PROTO_REPLY_BAD_FORMAT);
	expect_error("cas k 0 0 1 x\r\n", PROTO_REPLY_BAD_FORMAT);
}

static void
bad_length_swallows_nothing(void **state)
{
	static const char *const lengths[] = {"-1", "abc", "2147483646", "2147483647", "4294967295",
	    "4294967297", "+1", "1.5", "1\t", "99999999999999999999", "0x10"};

	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		char line[80] = "set k 0 0 ";

		strcat(strcat(line, lengths[i]), " noreply\r\n");
		expect_error(line, PROTO_REPLY_BAD_FORMAT);
		assert_false(request.has_value);
		assert_false(request.noreply);
	}
	parse("set k 0 0 2147483645\r\n");
	assert_int_equal(request.error, PROTO_REPLY_NONE);
	assert_int_equal(request.value_bytes, 2147483645);
}

static void
bad_fields_after_length_swallow_the_block(void **state)
{
	static const char *const lines[] = {"set k a 0 1\r\n", "set k -1 0 1\r\n",
	    "set k 18446744073709551616 0 1\r\n", "set k 0 a 1\r\n", "set k 0 9223372036854775808 1\r\n",
	    "set k 0 1x 1\r\n"};

	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		expect_error(lines[i], PROTO_REPLY_BAD_FORMAT);
		assert_true(request.has_value);
		assert_int_equal(request.value_bytes, 1);
	}
	expect_error(long_line("set ", 251, " 0 0 5\r\n"), PROTO_REPLY_BAD_FORMAT);
	assert_true(request.has_value);
	assert_int_equal(request.value_bytes, 5);
}

static void
missing_arguments_give_bad_format(void **state)
{
	static const char *const lines[] = {"set\r\n", "set k\r\n", "set k 0 0\r\n", "get\r\n", "get \r\n",
	    "gets   \r\n", "gat\r\n", "gat 10\r\n", "gat 10 \r\n", "gat x\r\n", "gats\r\n", "delete\r\n",
	    "incr\r\n", "incr k\r\n", "decr k\r\n", "touch\r\n", "touch k\r\n", "mg\r\n", "md\r\n", "ma\r\n",
	    "me\r\n", "ms\r\n", "ms k\r\n", "ms k x\r\n"};

	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		expect_error(lines[i], PROTO_REPLY_BAD_FORMAT);
		assert_false(request.has_value);
		assert_false(request.noreply);
	}
}

static void
flags_and_exptime_are_cut_to_32_bits(void **state)
{
	parse("set k 4294967297 4294967296 0\r\n");
	assert_int_equal(request.error, PROTO_REPLY_NONE);
	assert_int_equal(request.client_flags, 1);
	assert_int_equal(request.exptime, 0);
	parse("touch k -9223372036854775808\r\n");
	assert_int_equal(request.error, PROTO_REPLY_NONE);
	parse("touch k +5\r\n");
	assert_int_equal(request.exptime, 5);
}

static void
key_of_250_is_taken_251_refused(void **state)
{
	static const char *const before[] = {
	    "get ", "gets a ", "gat 0 ", "delete ", "incr ", "touch ", "mg "};
	static const char *const after[] = {"\r\n", " b\r\n", "\r\n", "\r\n", " 1\r\n", " 1\r\n", " v\r\n"};

	for (size_t i = 0; i < sizeof(before) / sizeof(before[0]); i++) {
		expect_error(long_line(before[i], 250, after[i]), PROTO_REPLY_NONE);
		expect_error(long_line(before[i], 251, after[i]), PROTO_REPLY_BAD_FORMAT);
	}
}

static void
keys_keep_any_byte_but_space_and_line_feed(void **state)
{
	static const uint8_t line[] = "get \0\x01\x7f\xff\t\r x\r\n";

	proto_parse_text(line, sizeof(line) - 1, &request);
	assert_int_equal(request.error, PROTO_REPLY_NONE);
	assert_int_equal(request.key.len, 6);
}

static void
keys_are_walked_over_repeated_spaces(void **state)
{
	struct proto_token key;
	const uint8_t *at;
	unsigned len = 0;

	parse("get  a   bb c  \r\n");
	at = request.key.bytes;
	while (proto_next_key(&at, request.keys_end, &key))
		assert_int_equal(key.len, 1 + (len++ == 1));
	assert_int_equal(len, 3);
}

static void
delete_takes_zero_and_noreply_only(void **state)
{
	expect_error("delete k\n", PROTO_REPLY_NONE);
	expect_error("delete k 0\r\n", PROTO_REPLY_NONE);
	expect_error("delete k noreply\r\n", PROTO_REPLY_NONE);
	assert_true(request.noreply);
	expect_error("delete k 0 noreply\r\n", PROTO_REPLY_NONE);
	assert_true(request.noreply);
	expect_error("delete k 1\r\n", PROTO_REPLY_DELETE_USAGE);
	expect_error("delete k 0 x\r\n", PROTO_REPLY_DELETE_USAGE);
	expect_error("delete k 0 0 noreply\r\n", PROTO_REPLY_DELETE_USAGE);
	expect_error("delete k 5 noreply\r\n", PROTO_REPLY_DELETE_USAGE);
	assert_true(request.noreply);
}

static void
delta_accepts_u64_only(void **state)
{
	parse("incr k 18446744073709551615\r\n");
	assert_int_equal(request.error, PROTO_REPLY_NONE);
	assert_true(request.delta == UINT64_MAX);
	expect_error("incr k -1\r\n", PROTO_REPLY_BAD_DELTA);
	expect_error("decr k 1.5\r\n", PROTO_REPLY_BAD_DELTA);
	expect_error("decr k 18446744073709551616\r\n", PROTO_REPLY_BAD_DELTA);
	expect_error("incr k 5x noreply\r\n", PROTO_REPLY_BAD_DELTA);
	assert_true(request.noreply);
	expect_error("incr k noreply\r\n", PROTO_REPLY_BAD_DELTA);
	assert_true(request.noreply);
}

static void
bad_exptime_is_told(void **state)
{
	expect_error("touch k abc\r\n", PROTO_REPLY_BAD_EXPTIME);
	expect_error("gat abc k\r\n", PROTO_REPLY_BAD_EXPTIME);
	expect_error(long_line("gat abc ", 251, "\r\n"), PROTO_REPLY_BAD_EXPTIME);
	expect_error("flush_all abc\r\n", PROTO_REPLY_BAD_EXPTIME);
	expect_error("flush_all abc noreply\r\n", PROTO_REPLY_BAD_EXPTIME);
	assert_true(request.noreply);
}

static void
flush_all_reads_optional_time(void **state)
{
	expect_error("flush_all\r\n", PROTO_REPLY_NONE);
	assert_false(request.has_exptime);
	expect_error("flush_all noreply\r\n", PROTO_REPLY_NONE);
	assert_false(request.has_exptime);
	assert_true(request.noreply);
	expect_error("flush_all -5 noreply\r\n", PROTO_REPLY_NONE);
	assert_true(request.has_exptime);
	assert_int_equal(request.exptime, -5);
}

static void
unknown_words_give_error(void **state)
{
	static const char *const lines[] = {"bogus\r\n", "GET k\r\n", " get k\r\n", "ge\r\n", "getx k\r\n",
	    "bogus noreply\r\n", "averyveryverylongcommandword\r\n", "m\tg\r\n"};

	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		expect_error(lines[i], PROTO_REPLY_ERROR);
		assert_false(request.noreply);
		assert_false(request.hangup);
	}
}

static void
short_lines_give_bad_format(void **state)
{
	expect_error("\n", PROTO_REPLY_BAD_FORMAT);
	expect_error("\r\n", PROTO_REPLY_BAD_FORMAT);
	expect_error("f\r\n", PROTO_REPLY_BAD_FORMAT);
	expect_error("ab\n", PROTO_REPLY_BAD_FORMAT);
	expect_error("mn\n", PROTO_REPLY_NONE);
}

static void
http_request_hangs_up(void **state)
{
	parse("GET / HTTP/1.1\r\n");
	assert_true(request.hangup);
	parse("HTTP/1.1\r\n");
	assert_false(request.hangup);
	parse("get a HTTP/1.1\r\n");
	assert_int_equal(request.error, PROTO_REPLY_NONE);
}

static void
admin_lines_keep_tokens(void **state)
{
	parse("stats noreply\r\n");
	assert_int_equal(request.command, PROTO_STATS);
	assert_false(request.noreply);
	assert_int_equal(request.tokens_len, 2);
	parse("cache_memlimit 64 noreply\r\n");
	assert_true(request.noreply);
	parse("lru_crawler sleep 100\r\n");
	assert_int_equal(request.command, PROTO_LRU_CRAWLER);
	assert_int_equal(request.tokens_len, 3);
}

static void
many_tokens_are_counted_not_kept(void **state)
{
	char line[2048] = "set k 1 2 3";

	for (unsigned i = 0; i < 900; i++)
		strcat(line, " x");
	strcat(line, "\r\n");
	parse(line);
	assert_int_equal(request.error, PROTO_REPLY_NONE);
	assert_int_equal(request.tokens_len, 905);
	assert_int_equal(request.value_bytes, 3);
}

static void
replies_end_in_a_line_end(void **state)
{
	for (unsigned i = PROTO_REPLY_NONE + 1; i < PROTO_REPLIES; i++) {
		assert_int_equal(proto_replies[i].len, strlen(proto_replies[i].text));
		assert_string_equal(proto_replies[i].text + proto_replies[i].len - 2, "\r\n");
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(set_line_gives_all_fields),
	    cmocka_unit_test(storage_words_give_their_commands),
	    cmocka_unit_test(cas_line_gives_number),
	    cmocka_unit_test(bad_length_swallows_nothing),
	    cmocka_unit_test(bad_fields_after_length_swallow_the_block),
	    cmocka_unit_test(missing_arguments_give_bad_format),
	    cmocka_unit_test(flags_and_exptime_are_cut_to_32_bits),
	    cmocka_unit_test(key_of_250_is_taken_251_refused),
	    cmocka_unit_test(keys_keep_any_byte_but_space_and_line_feed),
	    cmocka_unit_test(keys_are_walked_over_repeated_spaces),
	    cmocka_unit_test(delete_takes_zero_and_noreply_only),
	    cmocka_unit_test(delta_accepts_u64_only),
	    cmocka_unit_test(bad_exptime_is_told),
	    cmocka_unit_test(flush_all_reads_optional_time),
	    cmocka_unit_test(unknown_words_give_error),
	    cmocka_unit_test(short_lines_give_bad_format),
	    cmocka_unit_test(http_request_hangs_up),
	    cmocka_unit_test(admin_lines_keep_tokens),
	    cmocka_unit_test(many_tokens_are_counted_not_kept),
	    cmocka_unit_test(replies_end_in_a_line_end),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
