/*
 * wirectl's side: rendering (golden texts), units, the command catalogue, completion, and the client's time
 * limit.
 */
#include <errno.h>
#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "control/ctl/catalog.h"
#include "control/ctl/client.h"
#include "control/ctl/filter.h"
#include "control/ctl/human.h"
#include "control/ctl/render.h"
#include "control/wire.h"

static void
assert_rendered(const char *json, struct render_style style, const char *expected)
{
	char *text = NULL;
	size_t bytes;
	FILE *out = open_memstream(&text, &bytes);
	json_t *result = json_loads(json, JSON_DECODE_ANY, NULL);
	assert_non_null(result);
	if (style.members == NULL)
		style.members = "";
	if (style.columns == 0)
		style.columns = 80;
	render(out, result, &style);
	fclose(out);
	assert_string_equal(text, expected);
	free(text);
	json_decref(result);
}

#define PLAIN ((struct render_style){0})

static void
object_becomes_aligned_lines_with_units(void **state)
{
	assert_rendered("{\"health\":\"healthy\",\"uptime_s\":11520,\"used_bytes\":1536,\"hit_pct\":42.857,"
	                "\"connections_max\":1000000,\"evict\":true,\"node\":null,\"addresses\":[\"a\",\"b\"]"
	                ",\"notes\":[]}",
	    PLAIN,
	    "health           healthy\n"
	    "uptime           3 h 12 min\n"
	    "used             1.5 KiB\n"
	    "hit              42.9 %\n"
	    "connections max  1000000\n"
	    "evict            yes\n"
	    "node             -\n"
	    "addresses        a, b\n");
}

static void
nested_becomes_sections(void **state)
{
	assert_rendered("{\"health\":\"failing\",\"problems\":[\"worker 1 on cpu 3 makes no progress: "
	                "something else may hold "
	                "its core (see top -H), else restart "
	                "wirecached\"],\"ports\":[{\"port\":\"lan0\",\"link\":\"up\"}]}",
	    PLAIN,
	    "health  failing\n"
	    "\n"
	    "problems\n"
	    "- worker 1 on cpu 3 makes no progress: something else may hold its core (see top\n"
	    "  -H), else restart wirecached\n"
	    "\n"
	    "ports\n"
	    "port  link\n"
	    "lan0  up\n");
}

static void
rows_become_a_table_numbers_right(void **state)
{
	assert_rendered("[{\"worker\":0,\"state\":\"running\",\"packets_a_burst\":1.5,\"packets\":1234567},"
	                "{\"worker\":1,\"state\":\"stuck\",\"packets_a_burst\":null,\"packets\":99}]",
	    PLAIN,
	    "                 packets\n"
	    "worker  state    a burst  packets\n"
	    "     0  running      1.5   1.23 M\n"
	    "     1  stuck          -       99\n");
}

static void
exact_style_changes_no_number_and_no_name(void **state)
{
	assert_rendered("{\"limit_maxbytes\":67108864,\"curr_items\":1234567,\"hash_bytes\":524288}",
	    ((struct render_style){.exact = true}),
	    "limit_maxbytes  67108864\n"
	    "curr_items      1234567\n"
	    "hash_bytes      524288\n");
}

static void
table_too_wide_is_folded_behind_its_first_column(void **state)
{
	assert_rendered(
	    "[{\"worker\":0,\"first_long_name\":\"aaaaaaaaaaaaaaaaaa\",\"second\":\"bbbbbbbbbbbbbbbbbbb\","
	    "\"third\":3}]",
	    ((struct render_style){.columns = 40}),
	    "worker  first long name\n"
	    "     0  aaaaaaaaaaaaaaaaaa\n"
	    "\n"
	    "worker  second               third\n"
	    "     0  bbbbbbbbbbbbbbbbbbb      3\n");
}

static void
rows_with_too_many_columns_become_blocks(void **state)
{
	assert_rendered(
	    "[{\"port\":\"lan0\",\"a\":\"1234567890\",\"b\":\"1234567890\",\"c\":\"1234567890\",\"d\":"
	    "\"1234567890\",\"e\":\"1234567890\"}]",
	    ((struct render_style){.columns = 26}),
	    "port lan0\n"
	    "a  1234567890\n"
	    "b  1234567890\n"
	    "c  1234567890\n"
	    "d  1234567890\n"
	    "e  1234567890\n");
}

static void
last_text_column_is_wrapped(void **state)
{
	assert_rendered("[{\"counter\":\"drop_x\",\"value\":7,\"help\":\"a rather long explanation of what "
	                "this means\"}]",
	    ((struct render_style){.columns = 44, .exact = true}),
	    "counter  value  help\n"
	    "drop_x       7  a rather long explanation of\n"
	    "                what this means\n");
}

static void
named_members_choose_and_rename_columns(void **state)
{
	assert_rendered("[{\"option\":\"a\",\"value\":1,\"text\":\"1k\",\"origin\":\"x:1\"}]",
	    ((struct render_style){.members = "option,text:value,origin"}),
	    "option  value  origin\n"
	    "a       1k     x:1\n");
	assert_rendered("{\"a\":1,\"b\":2,\"c_bytes\":3}",
	    ((struct render_style){.members = "c_bytes,a,absent"}),
	    "c  3 B\n"
	    "a  1\n");
}

static void
color_marks_states_and_headings_only_when_asked(void **state)
{
	assert_rendered("{\"health\":\"failing\",\"checks\":[{\"check\":\"ok\",\"state\":\"ok\"}]}",
	    ((struct render_style){.color = true}),
	    "health  \033[31mfailing\033[0m\n"
	    "\n"
	    "\033[1mchecks\033[0m\n"
	    "\033[1mcheck\033[0m  \033[1mstate\033[0m\n"
	    "ok     \033[32mok\033[0m\n");
}

static void
nothing_is_said_to_be_none(void **state)
{
	assert_rendered("[]", PLAIN, "none\n");
	assert_rendered("{}", PLAIN, "none\n");
	assert_rendered("[1,2]", PLAIN, "1, 2\n");
	assert_rendered("\"text\"", PLAIN, "text\n");
}

static void
odd_json_is_survived(void **state)
{
	assert_rendered("[{\"a\":1},2]", PLAIN, "- {1}\n- 2\n");
	assert_rendered("[{\"a\":1},{\"b\":2}]", PLAIN, "a\n1\n-\n");
	assert_rendered("[{}]", PLAIN, "");
}

static void
assert_human(const char *name, json_t *value, bool brief, const char *expected)
{
	char text[HUMAN_TEXT_MAX];
	human_value(name, value, false, brief, text);
	assert_string_equal(text, expected);
	json_decref(value);
}

static void
numbers_have_units_by_name(void **state)
{
	assert_human("x_bytes", json_integer(0), false, "0 B");
	assert_human("x_bytes", json_integer(1023), false, "1023 B");
	assert_human("x_bytes", json_integer(64 << 20), false, "64.0 MiB");
	assert_human("x_s", json_integer(59), false, "59 s");
	assert_human("x_s", json_integer(61), false, "1 min 1 s");
	assert_human("x_s", json_integer(90000), false, "1 d 1 h");
	assert_human("x_us", json_integer(250), false, "250 us");
	assert_human("x_mbps", json_integer(10000), false, "10 Gbit/s");
	assert_human("x_mbps", json_integer(100), false, "100 Mbit/s");
	assert_human("x_per_s", json_integer(1500), false, "1.50 k");
	assert_human("x", json_integer(99999), true, "99999");
	assert_human("x", json_integer(100000), true, "100 k");
	assert_human("x", json_integer(999999), true, "1.00 M");
	assert_human("x", json_integer(123456789), false, "123456789");
	assert_human("x", json_real(123.4), false, "123");
}

static const struct catalog_command *
find(char *first, char *second)
{
	const char *words[] = {first, second};
	return catalog_find(words, second != NULL ? 2 : 1);
}

static void
catalog_finds_nouns_verbs_and_the_verb_left_out(void **state)
{
	assert_string_equal(find("status", NULL)->noun, "status");
	assert_string_equal(find("stats", "drops")->noun, "stats");
	assert_string_equal(find("worker", NULL)->verb, "show");
	assert_string_equal(find("config", "check")->verb, "check");
	assert_non_null(find("completion", "bash")->local);
	assert_null(find("worker", "dance"));
	assert_null(find("dance", NULL));
	assert_null(catalog_find(NULL, 0));
}

static char *
printed(void (*print)(FILE *out))
{
	char *text = NULL;
	size_t bytes;
	FILE *out = open_memstream(&text, &bytes);
	print(out);
	fclose(out);
	return text;
}

static void
print_all_help(FILE *out)
{
	assert_true(catalog_help(out, NULL));
}

static void
help_fits_eighty_columns_and_names_every_command(void **state)
{
	char *text = printed(print_all_help);
	for (char *line = text; *line != '\0'; line += strcspn(line, "\n") + 1)
		assert_true(strcspn(line, "\n") <= 80);
	assert_non_null(strstr(text, "  config show [--effective]"));
	assert_non_null(strstr(text, "  worker show "));
	assert_non_null(strstr(text, "0 ok, 1 failed, 2 usage, 3 daemon unreachable, 4 not healthy"));
	free(text);
	assert_false(catalog_help(stderr, "dance"));
}

/* What bash offers behind the words, by running the script in bash. */
static void
assert_completes(const char *words, const char *expected)
{
	char script[] = "/tmp/wirecache-test-XXXXXX", command[512], offered[512] = "";
	int fd = mkstemp(script);
	FILE *out = fdopen(fd, "w");
	catalog_completion_bash(out);
	fclose(out);
	snprintf(command, sizeof(command),
	    "bash -c 'source %s; COMP_WORDS=(wirectl %s); COMP_CWORD=$((${#COMP_WORDS[@]}-1)); _wirectl; "
	    "echo \"${COMPREPLY[*]}\"'",
	    script, words);
	FILE *bash = popen(command, "r");
	assert_non_null(bash);
	assert_non_null(fgets(offered, sizeof(offered), bash));
	assert_int_equal(pclose(bash), 0);
	unlink(script);
	offered[strcspn(offered, "\n")] = '\0';
	assert_string_equal(offered, expected);
}

static void
completion_offers_nouns_verbs_and_words(void **state)
{
	assert_completes("stat", "status stats");
	assert_completes("worker \"\"", "show stages");
	assert_completes("config \"\"", "show check diff apply confirm undo");
	assert_completes("-j -s /tmp/x config sh", "show");
	assert_completes("stats d", "drops");
	assert_completes("config show --e", "--effective");
	assert_completes("config check /etc/hostn", "/etc/hostname");
	assert_completes("--js", "--json");
	assert_completes("status \"\"", "");
}

static void
filter_becomes_a_program_or_a_sentence(void **state)
{
	char error[FILTER_ERROR_MAX];
	char *program = filter_compile("ip", error);
	assert_string_equal(program, "4,40 0 0 12,21 0 1 2048,6 0 0 65535,6 0 0 0");
	free(program);
	program = filter_compile("", error);
	assert_string_equal(program, "1,6 0 0 65535");
	free(program);
	assert_null(filter_compile("port port", error));
	assert_non_null(strstr(error, "the filter is wrong: "));
}

static void
absent_socket_is_unreachable(void **state)
{
	char error[CLIENT_ERROR_MAX];
	assert_null(client_call("/nonexistent/w.sock", json_object(), 1000, error));
	assert_string_equal(error,
	    "cannot reach wirecached on /nonexistent/w.sock: No such file or directory (is it "
	    "running? -s gives another socket)");
}

static void
daemon_that_does_not_answer_is_given_up(void **state)
{
	char directory[] = "/tmp/wirecache-test-XXXXXX", error[CLIENT_ERROR_MAX];
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	assert_non_null(mkdtemp(directory));
	snprintf(address.sun_path, sizeof(address.sun_path), "%s/s", directory);
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(fd, 1), 0);
	assert_null(client_call(address.sun_path, json_object(), 0, error));
	assert_non_null(strstr(error, "did not answer within 0 s"));
	close(fd);
	unlink(address.sun_path);
	rmdir(directory);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(object_becomes_aligned_lines_with_units),
	    cmocka_unit_test(nested_becomes_sections),
	    cmocka_unit_test(rows_become_a_table_numbers_right),
	    cmocka_unit_test(exact_style_changes_no_number_and_no_name),
	    cmocka_unit_test(table_too_wide_is_folded_behind_its_first_column),
	    cmocka_unit_test(rows_with_too_many_columns_become_blocks),
	    cmocka_unit_test(last_text_column_is_wrapped),
	    cmocka_unit_test(named_members_choose_and_rename_columns),
	    cmocka_unit_test(color_marks_states_and_headings_only_when_asked),
	    cmocka_unit_test(nothing_is_said_to_be_none),
	    cmocka_unit_test(odd_json_is_survived),
	    cmocka_unit_test(numbers_have_units_by_name),
	    cmocka_unit_test(catalog_finds_nouns_verbs_and_the_verb_left_out),
	    cmocka_unit_test(help_fits_eighty_columns_and_names_every_command),
	    cmocka_unit_test(completion_offers_nouns_verbs_and_words),
	    cmocka_unit_test(filter_becomes_a_program_or_a_sentence),
	    cmocka_unit_test(absent_socket_is_unreachable),
	    cmocka_unit_test(daemon_that_does_not_answer_is_given_up),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
