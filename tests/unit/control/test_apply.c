/*
 * Changes of the running configuration through their commands: applied, refused, confirmed, rolled back, undone; prefixes;
 * draining. Time is the test's.
 */
#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "control/commands.h"
#include "control/wire.h"
#include "tests/unit/control/fake_dataplane.h"

#define PORT "[port lan0]\ndevice = net_tap0\nipv4 = 10.77.0.2/24\n"

static struct config config;
static struct commands commands;
static json_t *reply;
static uint64_t now_ms;

static int
setup(void **state)
{
	static char *nothing[] = {NULL};
	struct config_sources sources = {
	    .request = {.file = "/nonexistent/w.conf"}, .argv = nothing, .environment = nothing};
	fake_reset();
	config_init(&config);
	config_parse_text(&config, "w.conf", PORT, strlen(PORT));
	config.dataplane.store.memory_bytes = config.memory_reserved_bytes = 64 << 20;
	commands_init(&commands, &config, &sources, &fake);
	now_ms = 100000;
	commands_tick(&commands, now_ms);
	reply = NULL;
	return (int)config.errors;
}

static int
teardown(void **state)
{
	json_decref(reply);
	return 0;
}

static json_t *
ask(const char *words, const char *text)
{
	char line[2048];
	json_t *content = text != NULL ? json_string(text) : json_null();
	char *quoted = json_dumps(content, JSON_ENCODE_ANY);
	snprintf(line, sizeof(line), "{\"command\":[%s]%s%s}", words, text != NULL ? ",\"text\":" : "",
	    text != NULL ? quoted : "");
	free(quoted);
	json_decref(content);
	json_decref(reply);
	json_t *request = wire_decode(line, strlen(line));
	reply = commands_answer(&commands, request);
	json_decref(request);
	return json_object_get(reply, "result");
}

static void
assert_refused(const char *error)
{
	const char *said = json_string_value(json_object_get(reply, "error"));
	assert_non_null(said);
	assert_non_null(strstr(said, error));
}

static void
pass_s(unsigned seconds)
{
	now_ms += 1000ull * seconds;
	commands_tick(&commands, now_ms);
}

static json_int_t
number(const char *name)
{
	return json_integer_value(json_object_get(json_object_get(reply, "result"), name));
}

#define APPLY "\"config\",\"apply\""

static void
live_part_is_applied_and_the_rest_needs_a_restart(void **state)
{
	assert_non_null(ask(APPLY, PORT "[tcp]\nconnections_max = 500\nport = 999\n"));
	assert_int_equal(wire_reply_exit(reply), WIRE_NEEDS_RESTART);
	assert_int_equal(number("live"), 1);
	assert_int_equal(number("needs_restart"), 1);
	assert_int_equal(fake.configured.connections_max, 500);
	assert_int_equal(config.dataplane.connections_max, 500);
	assert_int_equal(config.dataplane.tcp_port, 11211);
}

static void
file_with_a_mistake_changes_nothing_and_tells_its_place(void **state)
{
	assert_null(ask(APPLY, PORT "[tcp]\nconnections_max = 500\nconections = 7\n"));
	assert_refused("FILE:6:1: unknown key \"conections\" in [tcp]");
	assert_int_equal(wire_reply_exit(reply), WIRE_FAILED);
	assert_int_equal(fake.configures, 0);
	assert_int_equal(config.dataplane.connections_max, 65536);
}

static void
own_file_that_is_gone_changes_nothing(void **state)
{
	assert_null(ask(APPLY, NULL));
	assert_refused("/nonexistent/w.conf: cannot be read");
	assert_int_equal(fake.configures, 0);
}

static void
what_the_data_plane_refuses_changes_nothing(void **state)
{
	fake.refusal = "no";
	assert_null(ask(APPLY, PORT "[tcp]\nconnections_max = 500\n"));
	assert_refused("no");
	assert_int_equal(config.dataplane.connections_max, 65536);
	assert_null(ask("\"config\",\"undo\"", NULL));
	assert_refused("nothing has been changed");
}

static void
dry_run_tells_and_does_nothing(void **state)
{
	assert_non_null(ask(APPLY ",\"--dry-run\"", PORT "[tcp]\nconnections_max = 500\n"));
	assert_int_equal(number("live"), 1);
	assert_int_equal(wire_reply_exit(reply), WIRE_OK);
	assert_int_equal(fake.configures, 0);
}

static void
undo_goes_back_and_forth(void **state)
{
	ask(APPLY, PORT "[tcp]\nconnections_max = 500\n");
	assert_non_null(ask("\"config\",\"undo\"", NULL));
	assert_int_equal(fake.configured.connections_max, 65536);
	assert_non_null(ask("\"config\",\"undo\"", NULL));
	assert_int_equal(fake.configured.connections_max, 500);
}

static void
unconfirmed_change_is_rolled_back(void **state)
{
	assert_non_null(ask(APPLY ",\"--confirm-within\",\"30\"", PORT "[tcp]\nconnections_max = 500\n"));
	assert_int_equal(number("confirm_within_s"), 30);
	pass_s(29);
	assert_int_equal(config.dataplane.connections_max, 500);
	pass_s(1);
	assert_int_equal(config.dataplane.connections_max, 65536);
	assert_int_equal(fake.configured.connections_max, 65536);
	assert_null(ask("\"config\",\"confirm\"", NULL));
	assert_refused("no change waits");
}

static void
confirmed_change_stays(void **state)
{
	ask(APPLY ",\"--confirm-within\",\"30\"", PORT "[tcp]\nconnections_max = 500\n");
	assert_null(ask(APPLY, PORT));
	assert_refused("waits to be confirmed");
	assert_non_null(ask("\"config\",\"confirm\"", NULL));
	pass_s(60);
	assert_int_equal(config.dataplane.connections_max, 500);
}

static void
roll_back_that_fails_is_tried_again(void **state)
{
	ask(APPLY ",\"--confirm-within\",\"5\"", PORT "[tcp]\nconnections_max = 500\n");
	fake.refusal = "busy";
	pass_s(6);
	assert_int_equal(config.dataplane.connections_max, 500);
	fake.refusal = NULL;
	pass_s(1);
	assert_int_equal(config.dataplane.connections_max, 65536);
}

static void
cache_grows_back_to_what_was_taken_at_start_only(void **state)
{
	ask(APPLY, PORT "[memory]\nlimit = 32m\n");
	assert_int_equal(fake.configured.store.memory_bytes, 32 << 20);
	ask(APPLY, PORT "[memory]\nlimit = 64m\n");
	assert_int_equal(wire_reply_exit(reply), WIRE_OK);
	assert_int_equal(fake.configured.store.memory_bytes, 64 << 20);
	ask(APPLY, PORT "[memory]\nlimit = 65m\n");
	assert_int_equal(wire_reply_exit(reply), WIRE_NEEDS_RESTART);
	assert_int_equal(fake.configured.store.memory_bytes, 64 << 20);
}

static void
turning_logins_on_needs_a_restart(void **state)
{
	ask(APPLY, PORT "[auth]\nfile = /etc/users\n");
	assert_int_equal(wire_reply_exit(reply), WIRE_NEEDS_RESTART);
	assert_string_equal(fake.configured.auth_file, "");
}

static void
turning_udp_on_waits_for_the_end_of_logins(void **state)
{
	snprintf(config.dataplane.auth_file, sizeof(config.dataplane.auth_file), "/etc/users");
	ask(APPLY, PORT "[udp]\nport = 11211\n");
	assert_int_equal(wire_reply_exit(reply), WIRE_NEEDS_RESTART);
	assert_int_equal(number("live"), 0);
	assert_int_equal(config.dataplane.udp_port, 0);
}

static void
seconds_that_are_none_are_a_usage_error(void **state)
{
	static const char *const wrong[] = {"0", "", "1x", "-1", "99999999"};
	for (unsigned i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		char words[80];
		snprintf(words, sizeof(words), APPLY ",\"--confirm-within\",\"%s\"", wrong[i]);
		assert_null(ask(words, PORT));
		assert_int_equal(wire_reply_exit(reply), WIRE_USAGE);
	}
}

static void
prefixes_are_added_and_taken_away(void **state)
{
	ask("\"acl\",\"add\",\"10.77.0.0/24\"", NULL);
	ask("\"acl\",\"add\",\"fd00::/8\"", NULL);
	assert_int_equal(fake.configured.acl_allow_len, 2);
	assert_null(ask("\"acl\",\"add\",\"10.77.0.0/24\"", NULL));
	assert_refused("has that prefix");
	assert_null(ask("\"acl\",\"add\",\"10.77.0.1/24\"", NULL));
	assert_int_equal(wire_reply_exit(reply), WIRE_USAGE);
	json_t *result = ask("\"acl\",\"del\",\"10.77.0.0/24\"", NULL);
	assert_string_equal(
	    json_string_value(json_object_get(result, "to_keep_it")), "[acl] allow = fd00::/8");
	assert_int_equal(fake.configured.acl_allow_len, 1);
	assert_int_equal(fake.configured.acl_allow[0].bits, 8);
	assert_null(ask("\"acl\",\"del\",\"10.77.0.0/24\"", NULL));
	assert_refused("no such prefix");
	assert_null(ask("\"acl\",\"del\",\"fd00::/8\"", NULL));
	assert_refused("lets everybody in");
	result = ask("\"config\",\"show\"", NULL);
	char *text = json_dumps(result, 0);
	assert_non_null(strstr(text, "wirectl acl del"));
	free(text);
}

static void
list_that_is_full_takes_no_more(void **state)
{
	char words[80];
	for (unsigned i = 0; i < DATAPLANE_ACL_MAX; i++) {
		snprintf(words, sizeof(words), "\"acl\",\"add\",\"10.%u.0.0/16\"", i);
		assert_non_null(ask(words, NULL));
	}
	assert_null(ask("\"acl\",\"add\",\"192.0.2.0/24\"", NULL));
	assert_refused("full");
}

static void
log_level_is_shown_and_set(void **state)
{
	ask("\"log\",\"level\"", NULL);
	assert_int_equal(number("level"), 0);
	ask("\"log\",\"level\",\"2\"", NULL);
	assert_int_equal(number("level"), 2);
	assert_int_equal(fake.configured.verbosity, 2);
	assert_null(ask("\"log\",\"level\",\"9\"", NULL));
	ask("\"log\",\"level\",\"0\"", NULL);
	assert_int_equal(fake.configured.verbosity, 0);
}

static void
drain_ends_when_nobody_is_left(void **state)
{
	ask("\"drain\",\"start\"", NULL);
	assert_true(fake.configured.draining);
	pass_s(5);
	assert_false(commands.drain.done);
	ask("\"drain\",\"status\"", NULL);
	assert_int_equal(number("connections"), 7);
	assert_int_equal(number("since_s"), 5);
	assert_int_equal(number("ends_within_s"), 25);
	fake.info.curr_connections = 0;
	pass_s(1);
	assert_true(commands.drain.done);
}

static void
drain_ends_at_its_deadline(void **state)
{
	ask("\"drain\",\"start\",\"--deadline\",\"10\"", NULL);
	pass_s(9);
	assert_false(commands.drain.done);
	pass_s(1);
	assert_true(commands.drain.done);
}

static void
drain_without_deadline_waits(void **state)
{
	ask("\"drain\",\"start\",\"--deadline\",\"0\"", NULL);
	pass_s(100000);
	assert_false(commands.drain.done);
}

static void
drain_is_stopped(void **state)
{
	assert_null(ask("\"drain\",\"stop\"", NULL));
	ask("\"drain\",\"start\"", NULL);
	assert_non_null(ask("\"drain\",\"stop\"", NULL));
	assert_false(fake.configured.draining);
	pass_s(100);
	assert_false(commands.drain.done);
}

static void
change_during_a_drain_keeps_draining(void **state)
{
	ask("\"drain\",\"start\"", NULL);
	ask(APPLY, PORT "[tcp]\nconnections_max = 500\n");
	assert_true(fake.configured.draining);
	ask("\"drain\",\"stop\"", NULL);
	ask("\"config\",\"undo\"", NULL);
	assert_false(fake.configured.draining);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(live_part_is_applied_and_the_rest_needs_a_restart),
	    TEST(file_with_a_mistake_changes_nothing_and_tells_its_place),
	    TEST(own_file_that_is_gone_changes_nothing),
	    TEST(what_the_data_plane_refuses_changes_nothing),
	    TEST(dry_run_tells_and_does_nothing),
	    TEST(undo_goes_back_and_forth),
	    TEST(unconfirmed_change_is_rolled_back),
	    TEST(confirmed_change_stays),
	    TEST(roll_back_that_fails_is_tried_again),
	    TEST(cache_grows_back_to_what_was_taken_at_start_only),
	    TEST(turning_logins_on_needs_a_restart),
	    TEST(turning_udp_on_waits_for_the_end_of_logins),
	    TEST(seconds_that_are_none_are_a_usage_error),
	    TEST(prefixes_are_added_and_taken_away),
	    TEST(list_that_is_full_takes_no_more),
	    TEST(log_level_is_shown_and_set),
	    TEST(drain_ends_when_nobody_is_left),
	    TEST(drain_ends_at_its_deadline),
	    TEST(drain_without_deadline_waits),
	    TEST(drain_is_stopped),
	    TEST(change_during_a_drain_keeps_draining),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
