/*
 * The option table is sound, and values of every type are parsed, bounded, formatted and explained.
 */
#include <errno.h>
#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "control/config.h"
#include "control/options.h"
#include "control/text.h"
#include "control/value.h"
#include "tests/unit/control/fake_dataplane.h"

static struct config config;

static const struct option *
row(unsigned at)
{
	return at < options_len ? &options[at] : &port_options[at - options_len];
}

static void
table_every_name_is_unique(void **state)
{
	for (unsigned i = 0; i < options_len + port_options_len; i++)
		for (unsigned j = 0; j < i; j++)
			assert_false(strcmp(row(i)->section, row(j)->section) == 0 &&
			             strcmp(row(i)->name, row(j)->name) == 0);
}

static void
table_every_memcached_flag_is_unique(void **state)
{
	for (unsigned i = 0; i < options_len; i++)
		for (unsigned j = 0; j < i; j++)
			if (options[i].flag[0] != '\0' && options[j].flag[0] != '\0')
				assert_int_not_equal(options[i].flag[1], options[j].flag[1]);
}

static void
table_every_default_is_valid_and_comes_back(void **state)
{
	config_init(&config);
	for (unsigned i = 0; i < options_len + port_options_len; i++) {
		const struct option *option = row(i);
		void *base = option->per_port ? (void *)&config.dataplane.ports[0] : (void *)&config;
		char text[VALUE_TEXT_MAX];
		if (option->per_port && option->type == OPTION_STRING)
			continue; /* device has no default: a port needs one */
		assert_int_equal(value_parse(option, base, option->default_text), 0);
		value_format(option, base, text, sizeof(text));
		assert_string_equal(text, option->default_text);
	}
}

static void
table_every_row_has_help_and_bounds(void **state)
{
	for (unsigned i = 0; i < options_len + port_options_len; i++) {
		char expected[200];
		assert_true(strlen(row(i)->help) > 5);
		assert_true(row(i)->min <= row(i)->max || row(i)->type == OPTION_INTLIST ||
		            row(i)->type == OPTION_PREFIXES);
		value_expected(row(i), expected, sizeof(expected));
		assert_true(strlen(expected) > 5 && strlen(expected) < 150);
	}
}

static void
table_every_field_has_the_width_of_its_type(void **state)
{
	for (unsigned i = 0; i < options_len + port_options_len; i++) {
		const struct option *option = row(i);
		switch (option->type) {
		case OPTION_BOOL:
			assert_int_equal(option->bytes, sizeof(bool));
			break;
		case OPTION_STRING:
		case OPTION_NAME:
			assert_true(option->max < option->bytes);
			break;
		case OPTION_ENUM:
		case OPTION_INT:
		case OPTION_INTLIST:
		case OPTION_PREFIXES:
			assert_int_equal(option->bytes, 4);
			break;
		case OPTION_UINT:
		case OPTION_SIZE:
		case OPTION_DURATION:
			assert_true(option->bytes == 8 || option->max < 1ull << (8 * option->bytes));
			break;
		default:
			assert_true(option->per_port);
		}
	}
}

static void
size_with_suffix_is_bytes(void **state)
{
	static const struct {
		const char *text;
		uint64_t bytes;
	} good[] = {{"0", 0}, {"17", 17}, {"4k", 4096}, {"64m", 64 << 20}, {"2G", 2ull << 30},
	    {"1t", 1ull << 40}, {"3 k", 3072}};
	uint64_t bytes;
	for (unsigned i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		assert_int_equal(value_parse_size(good[i].text, &bytes), 0);
		assert_int_equal(bytes, good[i].bytes);
	}
}

static void
size_malformed_or_too_large_is_refused(void **state)
{
	static const char *const bad[] = {
	    "", "m", "-1", "+1", "1.5m", "0x10", " 1", "1mb", "1m ", "1e3", "12q"};
	uint64_t bytes = 77;
	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(value_parse_size(bad[i], &bytes), -EINVAL);
	assert_int_equal(value_parse_size("18446744073709551616", &bytes), -ERANGE);
	assert_int_equal(value_parse_size("99999999999g", &bytes), -ERANGE);
	assert_int_equal(bytes, 77);
}

static void
duration_with_unit_is_microseconds(void **state)
{
	uint64_t us;
	assert_int_equal(value_parse_duration("200ms", &us), 0);
	assert_int_equal(us, 200000);
	assert_int_equal(value_parse_duration("7us", &us), 0);
	assert_int_equal(us, 7);
	assert_int_equal(value_parse_duration("2s", &us), 0);
	assert_int_equal(us, 2000000);
	assert_int_equal(value_parse_duration("2", &us), 0);
	assert_int_equal(us, 2000000);
	assert_int_equal(value_parse_duration("2min", &us), -EINVAL);
	assert_int_equal(value_parse_duration("99999999999999s", &us), -ERANGE);
}

static void
list_of_ranges_is_expanded(void **state)
{
	int list[8];
	assert_int_equal(value_parse_list("2-5,7", list, 8, 100), 5);
	assert_int_equal(list[0], 2);
	assert_int_equal(list[3], 5);
	assert_int_equal(list[4], 7);
	assert_int_equal(value_parse_list("", list, 8, 100), 0);
	assert_int_equal(value_parse_list("0-7", list, 8, 100), 8);
	assert_int_equal(value_parse_list("1, 1", list, 8, 100), 2);
}

static void
list_malformed_or_too_long_is_refused(void **state)
{
	static const char *const bad[] = {",", "1,", "1-", "-1", "5-2", "1;2", "a", "1-2-3", "1,,2"};
	int list[8];
	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(value_parse_list(bad[i], list, 8, 100), -EINVAL);
	assert_int_equal(value_parse_list("0-8", list, 8, 100), -ERANGE);
	assert_int_equal(value_parse_list("0-7,8", list, 8, 100), -ERANGE);
	assert_int_equal(value_parse_list("101", list, 8, 100), -ERANGE);
	assert_int_equal(value_parse_list("0-18446744073709551615", list, 8, 100), -ERANGE);
}

static int
parse_port(const char *name, const char *text)
{
	return value_parse(option_find("port", name), &config.dataplane.ports[0], text);
}

static void
address_with_prefix_is_taken_in_network_order(void **state)
{
	static const uint8_t wire4[] = {10, 77, 0, 2}, wire6[16] = {0xfd, [15] = 2};
	struct dataplane_port_config *port = &config.dataplane.ports[0];
	assert_int_equal(parse_port("ipv4", "10.77.0.2/24"), 0);
	assert_memory_equal(port->addr4, wire4, 4);
	assert_int_equal(port->prefix4, 24);
	assert_int_equal(parse_port("ipv6", "fd00::2/64"), 0);
	assert_memory_equal(port->addr6, wire6, 16);
	assert_int_equal(port->prefix6, 64);
	assert_int_equal(parse_port("gateway4", "10.77.0.2"), 0);
	assert_memory_equal(port->gateway4, wire4, 4);
	assert_int_equal(parse_port("ipv4", ""), 0);
	assert_int_equal(port->prefix4, 0);
}

static void
address_malformed_is_refused(void **state)
{
	static const char *const bad4[] = {"10.77.0.2", "10.77.0/24", "10.77.0.256/24", "10.77.0.2/",
	    "10.77.0.2/24x", "fd00::2/64", "a/24", "10.77.0.2/-1", "/24",
	    "1111111111111111111111111111111111111111111111111111111111.2.3.4/24"};
	for (unsigned i = 0; i < sizeof(bad4) / sizeof(bad4[0]); i++)
		assert_int_equal(parse_port("ipv4", bad4[i]), -EINVAL);
	assert_int_equal(parse_port("ipv4", "10.77.0.2/33"), -ERANGE);
	assert_int_equal(parse_port("ipv4", "10.77.0.2/0"), -ERANGE);
	assert_int_equal(parse_port("ipv6", "fd00::2/129"), -ERANGE);
	assert_int_equal(parse_port("gateway4", "10.77.0.1/24"), -EINVAL);
	assert_int_equal(parse_port("gateway6", "10.77.0.1"), -EINVAL);
}

static void
bool_words_are_understood(void **state)
{
	const struct option *evict = option_find("memory", "evict");
	static const char *const yes[] = {"yes", "true", "on", "1", "YES"}, *const no[] = {
	                                                                        "no", "false", "off", "0"};
	for (unsigned i = 0; i < 5; i++) {
		config.dataplane.store.evict = false;
		assert_int_equal(value_parse(evict, &config, yes[i]), 0);
		assert_true(config.dataplane.store.evict);
	}
	for (unsigned i = 0; i < 4; i++) {
		assert_int_equal(value_parse(evict, &config, no[i]), 0);
		assert_false(config.dataplane.store.evict);
	}
	assert_int_equal(value_parse(evict, &config, "maybe"), -EINVAL);
}

static void
choice_takes_its_words_only(void **state)
{
	const struct option *idle = option_find("workers", "idle");
	assert_int_equal(value_parse(idle, &config, "spin"), 0);
	assert_int_equal(config.dataplane.idle, DATAPLANE_IDLE_SPIN);
	assert_int_equal(value_parse(idle, &config, "spi"), -EINVAL);
	assert_int_equal(value_parse(idle, &config, "spin|adaptive"), -EINVAL);
	assert_int_equal(value_parse(idle, &config, ""), -EINVAL);
	assert_int_equal(config.dataplane.idle, DATAPLANE_IDLE_SPIN);
}

static void
text_too_long_or_not_printable_is_refused(void **state)
{
	const struct option *path = option_find("control", "socket");
	char longest[109] = {0};
	memset(longest, 'x', 107);
	assert_int_equal(value_parse(path, &config, longest), 0);
	longest[107] = 'x';
	assert_int_equal(value_parse(path, &config, longest), -ERANGE);
	assert_int_equal(value_parse(path, &config, ""), -ERANGE);
	assert_int_equal(value_parse(path, &config, "a\tb"), -EINVAL);
	assert_int_equal(value_parse(path, &config, "\xff"), -EINVAL);
}

static void
name_of_files_takes_nothing_that_a_path_or_a_shell_would_read(void **state)
{
	const struct option *instance = option_find("wirecache", "instance");
	static const char *const bad[] = {
	    "a/b", "..", ".a", "-a", "_a", "a b", "a*", "a?", "$a", "a;b", "a\xc3\xa4"};
	assert_int_equal(value_parse(instance, &config, "1234567890123456789012345678901"), 0);
	assert_int_equal(value_parse(instance, &config, "12345678901234567890123456789012"), -ERANGE);
	assert_int_equal(value_parse(instance, &config, ""), -ERANGE);
	assert_int_equal(value_parse(instance, &config, "run-wire0.7_b"), 0);
	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(value_parse(instance, &config, bad[i]), -EINVAL);
	assert_string_equal(config.dataplane.file_prefix, "run-wire0.7_b");
}

static void
lists_sizes_and_durations_are_formatted_as_written(void **state)
{
	static const char *const cases[][3] = {{"workers", "cpus", "2-5,7"}, {"workers", "cpus", "3"},
	    {"memory", "limit", "1g"}, {"memory", "limit", "8389k"}, {"tcp", "rto_min", "50ms"},
	    {"tcp", "rto_min", "1500us"}, {"workers", "control_cpu", "auto"}, {"workers", "control_cpu", "3"},
	    {"memory", "nodes", "0-1"}};
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct option *option = option_find(cases[i][0], cases[i][1]);
		char text[VALUE_TEXT_MAX];
		assert_int_equal(value_parse(option, &config, cases[i][2]), 0);
		value_format(option, &config, text, sizeof(text));
		assert_string_equal(text, cases[i][2]);
	}
}

static void
longest_list_fits_the_text(void **state)
{
	const struct option *cpus = option_find("workers", "cpus");
	char text[VALUE_TEXT_MAX] = "";
	for (unsigned i = 0; i < DATAPLANE_WORKERS_MAX; i++)
		snprintf(
		    text + strlen(text), sizeof(text) - strlen(text), "%s%u", i > 0 ? "," : "", 1023 - 2 * i);
	char again[VALUE_TEXT_MAX];
	assert_int_equal(value_parse(cpus, &config, text), 0);
	value_format(cpus, &config, again, sizeof(again));
	assert_string_equal(again, text);
}

static void
distance_counts_edits_and_swaps(void **state)
{
	assert_int_equal(text_distance("limit", "limit"), 0);
	assert_int_equal(text_distance("limt", "limit"), 1);
	assert_int_equal(text_distance("lmiit", "limit"), 1);
	assert_int_equal(text_distance("", "abc"), 3);
	assert_int_equal(text_distance("abc", "xyz"), 3);
}

static void
suggestion_only_for_near_words(void **state)
{
	assert_string_equal(option_suggest_name("memory", "limt"), "limit");
	assert_string_equal(option_suggest_name("port", "devicx"), "device");
	assert_null(option_suggest_name("memory", "banana"));
	assert_string_equal(option_suggest_section("memorx"), "memory");
	assert_string_equal(option_suggest_section("prt"), "port");
	assert_null(option_suggest_section("banana"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(table_every_name_is_unique),
	    cmocka_unit_test(table_every_memcached_flag_is_unique),
	    cmocka_unit_test(table_every_default_is_valid_and_comes_back),
	    cmocka_unit_test(table_every_row_has_help_and_bounds),
	    cmocka_unit_test(table_every_field_has_the_width_of_its_type),
	    cmocka_unit_test(size_with_suffix_is_bytes),
	    cmocka_unit_test(size_malformed_or_too_large_is_refused),
	    cmocka_unit_test(duration_with_unit_is_microseconds),
	    cmocka_unit_test(list_of_ranges_is_expanded),
	    cmocka_unit_test(list_malformed_or_too_long_is_refused),
	    cmocka_unit_test(address_with_prefix_is_taken_in_network_order),
	    cmocka_unit_test(address_malformed_is_refused),
	    cmocka_unit_test(bool_words_are_understood),
	    cmocka_unit_test(choice_takes_its_words_only),
	    cmocka_unit_test(text_too_long_or_not_printable_is_refused),
	    cmocka_unit_test(name_of_files_takes_nothing_that_a_path_or_a_shell_would_read),
	    cmocka_unit_test(lists_sizes_and_durations_are_formatted_as_written),
	    cmocka_unit_test(longest_list_fits_the_text),
	    cmocka_unit_test(distance_counts_edits_and_swaps),
	    cmocka_unit_test(suggestion_only_for_near_words),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
