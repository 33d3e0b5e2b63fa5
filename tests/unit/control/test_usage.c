/*
 * Usage lines and the words that fit them.
 */
#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "control/usage.h"

#define APPLY "[FILE] [--dry-run] [--confirm-within S]"

static struct usage_words out;
static char error[USAGE_ERROR_MAX];

static bool
parses(const char *usage, const char *a, const char *b, const char *c)
{
	const char *words[] = {a, b, c};
	unsigned len = 0;
	while (len < 3 && words[len] != NULL)
		len++;
	error[0] = '\0';
	return usage_parse(usage, words, len, &out, error);
}

static void
plain_words_are_counted(void **state)
{
	assert_true(parses("", NULL, NULL, NULL));
	assert_false(parses("", "x", NULL, NULL));
	assert_string_equal(error, "too many words");
	assert_true(parses("[GROUP]", NULL, NULL, NULL));
	assert_null(usage_word(&out, 0));
	assert_true(parses("[GROUP]", "drops", NULL, NULL));
	assert_string_equal(usage_word(&out, 0), "drops");
	assert_false(parses("FILE", NULL, NULL, NULL));
	assert_string_equal(error, "too few words");
	assert_true(parses("WORD...", "a", "b", "c"));
	assert_int_equal(out.plain_len, 3);
	assert_false(parses("WORD...", NULL, NULL, NULL));
}

static void
flags_stand_anywhere_and_take_their_values(void **state)
{
	assert_true(parses(APPLY, "--confirm-within", "30", "w.conf"));
	assert_string_equal(usage_word(&out, 0), "w.conf");
	assert_string_equal(usage_flag(&out, "--confirm-within"), "30");
	assert_null(usage_flag(&out, "--dry-run"));
	assert_true(parses(APPLY, "w.conf", "--dry-run", NULL));
	assert_string_equal(usage_flag(&out, "--dry-run"), "");
	assert_true(parses("[--fix|--print-fix]", "--print-fix", NULL, NULL));
	assert_non_null(usage_flag(&out, "--print-fix"));
	assert_true(parses("FILE", "-", NULL, NULL));
}

static void
wrong_flags_are_named(void **state)
{
	assert_false(parses(APPLY, "--dry", NULL, NULL));
	assert_string_equal(error, "unknown word \"--dry\"");
	assert_false(parses(APPLY, "--confirm-within", NULL, NULL));
	assert_string_equal(error, "--confirm-within needs a value");
	assert_false(parses("[--fix|--print-fix]", "--fix|--print-fix", NULL, NULL));
}

static void
flag_without_brackets_must_be_given(void **state)
{
	assert_false(parses("-w FILE [-c COUNT]", "-c", "3", NULL));
	assert_string_equal(error, "-w is missing");
	assert_false(parses("-w FILE [-c COUNT]", "-w", NULL, NULL));
	assert_string_equal(error, "-w needs a value");
	assert_true(parses("-w FILE [-c COUNT]", "-w", "-", NULL));
	assert_string_equal(usage_flag(&out, "-w"), "-");
	assert_int_equal(usage_file_at("-w FILE [-c COUNT]"), -1);
}

static void
more_flags_than_fit_are_refused(void **state)
{
	const char *words[USAGE_FLAGS_MAX + 1];
	for (unsigned i = 0; i <= USAGE_FLAGS_MAX; i++)
		words[i] = "--dry-run";
	assert_false(usage_parse(APPLY, words, USAGE_FLAGS_MAX + 1, &out, error));
	assert_string_equal(error, "too many words");
}

static void
file_has_a_place(void **state)
{
	assert_int_equal(usage_file_at(APPLY), 0);
	assert_int_equal(usage_file_at("[NAME] FILE"), 1);
	assert_int_equal(usage_file_at("[-w FILE]"), -1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(plain_words_are_counted),
	    cmocka_unit_test(flags_stand_anywhere_and_take_their_values),
	    cmocka_unit_test(wrong_flags_are_named),
	    cmocka_unit_test(flag_without_brackets_must_be_given),
	    cmocka_unit_test(more_flags_than_fit_are_refused),
	    cmocka_unit_test(file_has_a_place),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
