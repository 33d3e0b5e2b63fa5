/*
 * Names and passwords: SASL PLAIN and the text login.
 */
#include "dataplane/proto/sasl.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct proto_credentials credentials;

static uint8_t *
exact(const char *bytes, size_t len)
{
	static uint8_t *copy;

	free(copy);
	copy = malloc(len != 0 ? len : 1);
	assert_non_null(copy);
	memcpy(copy, bytes, len);
	return copy;
}

#define PLAIN(text) proto_sasl_plain(exact(text, sizeof(text) - 1), sizeof(text) - 1, &credentials)
#define BLOCK(text) proto_login_block(exact(text, sizeof(text) - 1), sizeof(text) - 1, &credentials)

static void
expect_credentials(const char *user, const char *password)
{
	assert_int_equal(credentials.user_len, strlen(user));
	assert_memory_equal(credentials.user, user, strlen(user));
	assert_int_equal(credentials.password_len, strlen(password));
	assert_memory_equal(credentials.password, password, strlen(password));
}

static void
plain_message_is_taken_apart(void **state)
{
	assert_true(PLAIN("\0user\0pass word"));
	expect_credentials("user", "pass word");
	assert_true(PLAIN("user\0user\0p"));
	expect_credentials("user", "p");
}

static void
broken_plain_messages_are_refused(void **state)
{
	assert_false(PLAIN(""));
	assert_false(PLAIN("user"));
	assert_false(PLAIN("\0user"));
	assert_false(PLAIN("\0user\0"));
	assert_false(PLAIN("\0\0pass"));
	assert_false(PLAIN("\0"));
	assert_false(PLAIN("\0user\0pa\0ss"));
	assert_false(PLAIN("other\0user\0pass"));
}

static void
longest_names_and_passwords_are_taken(void **state)
{
	uint8_t *message = malloc(2 + 255 + 256);

	assert_non_null(message);
	memset(message, 'a', 2 + 255 + 256);
	message[0] = message[256] = '\0';
	assert_true(proto_sasl_plain(message, 2 + 255 + 255, &credentials));
	assert_false(proto_sasl_plain(message, 2 + 255 + 256, &credentials));
	message[256] = 'a';
	message[257] = '\0';
	assert_false(proto_sasl_plain(message, 2 + 255 + 256, &credentials));
	free(message);
}

static void
mechanism_name_has_no_case(void **state)
{
	assert_true(proto_sasl_is_plain((const uint8_t *)"PLAIN", 5));
	assert_true(proto_sasl_is_plain((const uint8_t *)"plaIn", 5));
	assert_false(proto_sasl_is_plain((const uint8_t *)"PLAINS", 6));
	assert_false(proto_sasl_is_plain((const uint8_t *)"LOGIN", 5));
}

static void
login_block_is_two_words(void **state)
{
	assert_true(BLOCK("user pass"));
	expect_credentials("user", "pass");
	assert_true(BLOCK("  user   pass more"));
	expect_credentials("user", "pass");
	assert_false(BLOCK("user"));
	assert_false(BLOCK("user "));
	assert_false(BLOCK(""));
	assert_false(BLOCK("us\0er pass"));
}

static void
login_line_is_a_set_with_a_length(void **state)
{
	uint32_t bytes = 0;

	assert_true(proto_login_line(exact("set a b c 9\r", 12), 12, &bytes));
	assert_int_equal(bytes, 9);
	assert_true(proto_login_line(exact("set a b c 9 noreply\r", 20), 20, &bytes));
	assert_false(proto_login_line(exact("set a b 9\r", 10), 10, &bytes));
	assert_false(proto_login_line(exact("add a b c 9\r", 12), 12, &bytes));
	assert_false(proto_login_line(exact("set a b c x\r", 12), 12, &bytes));
	assert_false(proto_login_line(exact("set a b c 4294967296", 20), 20, &bytes));
	assert_false(proto_login_line(exact("", 0), 0, &bytes));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(plain_message_is_taken_apart),
	    cmocka_unit_test(broken_plain_messages_are_refused),
	    cmocka_unit_test(longest_names_and_passwords_are_taken),
	    cmocka_unit_test(mechanism_name_has_no_case),
	    cmocka_unit_test(login_block_is_two_words),
	    cmocka_unit_test(login_line_is_a_set_with_a_length),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
