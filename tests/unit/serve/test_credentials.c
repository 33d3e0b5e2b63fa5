/*
 * The file of names and hashes: what is taken, what is refused and how that is said.
 */
#include "dataplane/credentials.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

/* Hashes of "secret", as cheap as their methods let them be. */
#define SHA512                                    \
	"$6$rounds=1000$saltsalt$LAV5VE5Y7w1d73x" \
	"1mFNspYWUpazfmwv2SoepNXNKJ/otop/Zok96Hr8Q13LEv0DRY/x8v0/crpIjl8NJSAqXV/"
#define YESCRYPT "$y$j75$saltsaltsaltsalt$DsMjm5uqUiFBUYLB9CLnX8E/M0k0mOVJBUWdpCrUik9"
#define BCRYPT   "$2b$04$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW"
#define MD5      "$1$saltsalt$9xy1btjgzLYfb7hivXtC//"

static char error[CREDENTIALS_ERROR_MAX];

static struct credentials *
parse(const char *text)
{
	error[0] = '\0';
	return credentials_parse("users", text, strlen(text), error);
}

static void
expect_refused(const char *text, const char *place, const char *reason)
{
	assert_null(parse(text));
	assert_ptr_equal(strstr(error, place), error);
	if (strstr(error, reason) == NULL)
		fail_msg("%s", error);
}

static void
users_of_every_method_are_matched(void **state)
{
	struct credentials *credentials =
	    parse("# comment\n\nsha:" SHA512 "\nyes:" YESCRYPT "\r\nbcrypt:" BCRYPT);
	static const char *const users[] = {"sha", "yes", "bcrypt"};
	char hash[CREDENTIALS_HASH_MAX];

	assert_non_null(credentials);
	assert_int_equal(credentials_len(credentials), 3);
	for (unsigned i = 0; i < 3; i++) {
		assert_true(credentials_find(credentials, users[i], strlen(users[i]), hash));
		assert_true(credentials_match(hash, "secret"));
		assert_false(credentials_match(hash, "Secret"));
		assert_false(credentials_match(hash, ""));
	}
	credentials_free(credentials);
}

static void
unknown_user_gets_a_hash_that_costs_as_much(void **state)
{
	struct credentials *credentials = parse("sha:" SHA512 "\n");
	char hash[CREDENTIALS_HASH_MAX];

	assert_non_null(credentials);
	assert_false(credentials_find(credentials, "sh", 2, hash));
	assert_string_equal(hash, SHA512);
	assert_false(credentials_find(credentials, "sha ", 4, hash));
	assert_false(credentials_find(credentials, "", 0, hash));
	credentials_free(credentials);
}

static void
plain_and_weak_lines_are_refused_without_showing_them(void **state)
{
	static const char *const bad[] = {"u:pass-word", "u:", "u:" MD5, "u:abcdefghijklm", "u:$6$salt$short",
	    "u:" SHA512 "x", "u:$6$rounds=1000$saltsalt$", "u:" SHA512 ":x"};

	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		char text[1024];

		snprintf(text, sizeof(text), "good:%s\n%s\n", YESCRYPT, bad[i]);
		expect_refused(text, "users:2: ", "no hash of a password");
		assert_null(strstr(error, "pass-word"));
	}
	expect_refused("plainpassword\n", "users:1: ", "expected user:hash");
	assert_null(strstr(error, "plainpassword"));
	expect_refused(":" SHA512 "\n", "users:1: ", "expected user:hash");
}

static void
files_that_nobody_could_log_in_with_are_refused(void **state)
{
	expect_refused("", "users: ", "no user");
	expect_refused("\n# only a comment\n", "users: ", "no user");
	expect_refused("a:" SHA512 "\nb:" SHA512 "\na:" YESCRYPT "\n", "users:3: ", "already in line 1");
	assert_null(credentials_parse("users", "a\0b\n", 4, error));
	assert_non_null(strstr(error, "NUL"));
	assert_null(credentials_load("/nonexistent/users", error));
	assert_non_null(strstr(error, "No such file"));
}

static void
long_names_and_too_many_users_are_refused(void **state)
{
	size_t room = (CREDENTIALS_USERS_MAX + 1) * 120, len = 0;
	char *text = malloc(room), name[300];
	struct credentials *credentials;

	assert_non_null(text);
	memset(name, 'n', sizeof(name));
	name[256] = '\0';
	snprintf(text, room, "%s:%s\n", name, YESCRYPT);
	expect_refused(text, "users:1: ", "longer than 255");
	snprintf(text, room, "%s:%s\n", name + 1, YESCRYPT);
	credentials = parse(text);
	assert_non_null(credentials);
	credentials_free(credentials);
	for (unsigned i = 0; i <= CREDENTIALS_USERS_MAX; i++)
		len += (size_t)snprintf(text + len, room - len, "user%u:%s\n", i, YESCRYPT);
	expect_refused(text, "users:4097: ", "one user too many");
	free(text);
}

static void
loaded_file_is_what_was_written(void **state)
{
	char path[] = "/tmp/wirecache-credentials-XXXXXX", hash[CREDENTIALS_HASH_MAX];
	int fd = mkstemp(path);
	struct credentials *credentials;

	assert_true(fd >= 0);
	assert_int_equal(dprintf(fd, "user:%s\n", YESCRYPT), (int)strlen(YESCRYPT) + 6);
	close(fd);
	credentials = credentials_load(path, error);
	assert_non_null(credentials);
	assert_true(credentials_find(credentials, "user", 4, hash));
	assert_string_equal(hash, YESCRYPT);
	credentials_free(credentials);
	unlink(path);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(users_of_every_method_are_matched),
	    cmocka_unit_test(unknown_user_gets_a_hash_that_costs_as_much),
	    cmocka_unit_test(plain_and_weak_lines_are_refused_without_showing_them),
	    cmocka_unit_test(files_that_nobody_could_log_in_with_are_refused),
	    cmocka_unit_test(long_names_and_too_many_users_are_refused),
	    cmocka_unit_test(loaded_file_is_what_was_written),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
