/*
 * Requests to replies: dispatch, health, and the figures of each command, on a data plane that says what the
 * test wants.
 */
#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "control/commands.h"
#include "control/wire.h"
#include "tests/unit/control/fake_dataplane.h"

static struct config config;
static struct commands commands;
static json_t *reply;

static int
setup(void **state)
{
	static const char text[] = "[port lan0]\ndevice = net_tap0\nipv4 = 10.77.0.2/24\nipv6 = fd00::2/64\n";
	fake_reset();
	config_init(&config);
	config_parse_text(&config, "w.conf", text, sizeof(text) - 1);
	static char *nothing[] = {NULL};
	struct config_sources sources = {
	    .request = {.file = "/nonexistent/w.conf"}, .argv = nothing, .environment = nothing};
	commands_init(&commands, &config, &sources, &fake);
	reply = NULL;
	return (int)config.errors;
}

static int
teardown(void **state)
{
	json_decref(reply);
	return 0;
}

/* The reply's result, or NULL. */
static json_t *
ask_text(const char *request_text)
{
	json_t *request = wire_decode(request_text, strlen(request_text));
	json_decref(reply);
	reply = commands_answer(&commands, request);
	json_decref(request);
	return json_object_get(reply, "result");
}

static json_t *
ask(const char *words)
{
	char text[256];
	snprintf(text, sizeof(text), "{\"command\":[%s]}", words);
	return ask_text(text);
}

static const char *
text_of(const json_t *object, const char *name)
{
	const char *text = json_string_value(json_object_get(object, name));
	return text != NULL ? text : "(none)";
}

static json_int_t
number_of(const json_t *object, const char *name)
{
	assert_true(json_is_integer(json_object_get(object, name)));
	return json_integer_value(json_object_get(object, name));
}

static void
assert_refused(const char *request, const char *error, int code)
{
	assert_null(ask_text(request));
	assert_string_equal(text_of(reply, "error"), error);
	assert_int_equal(wire_reply_exit(reply), code);
}

static void
request_without_sense_is_a_usage_error(void **state)
{
	assert_refused("{}", "the request lacks \"command\", an array of words", WIRE_USAGE);
	assert_refused("{\"command\":[]}", "the request lacks \"command\", an array of words", WIRE_USAGE);
	assert_refused("{\"command\":[\"stats\",5]}", "\"command\" may hold words only", WIRE_USAGE);
	assert_refused(
	    "{\"command\":[\"dance\"]}", "unknown command \"dance\": wirectl help lists them", WIRE_USAGE);
	assert_refused("{\"command\":[\"worker\",\"dance\"]}",
	    "unknown command \"worker dance\": wirectl help lists them", WIRE_USAGE);
	assert_refused(
	    "{\"command\":[\"worker\"]}", "unknown command \"worker\": wirectl help lists them", WIRE_USAGE);
	assert_refused("{\"command\":[\"status\",\"x\"]}", "too many words: usage: status", WIRE_USAGE);
	assert_refused("{\"command\":[\"config\",\"check\",\"w.conf\"]}",
	    "the request lacks \"text\", the content of FILE", WIRE_USAGE);
	assert_refused("{\"command\":[\"config\",\"show\",\"--all\"]}",
	    "unknown word \"--all\": usage: config show [--effective]", WIRE_USAGE);
}

static void
status_all_well_is_healthy(void **state)
{
	json_t *result = ask("\"status\"");
	assert_string_equal(text_of(result, "health"), "healthy");
	assert_int_equal(wire_reply_exit(reply), WIRE_OK);
	assert_int_equal(json_array_size(json_object_get(result, "problems")), 0);
	assert_int_equal(json_array_size(json_object_get(result, "checks")), 6);
	assert_int_equal(number_of(result, "uptime_s"), 11520);
	assert_int_equal(number_of(result, "items"), 12);
	assert_int_equal(number_of(result, "limit_bytes"), 64 << 20);
	const json_t *port = json_array_get(json_object_get(result, "ports"), 0);
	assert_string_equal(text_of(port, "link"), "up");
	assert_int_equal(json_array_size(json_object_get(port, "addresses")), 2);
}

static void
assert_health(const char *health, const char *problem)
{
	json_t *result = ask("\"status\"");
	assert_string_equal(text_of(result, "health"), health);
	assert_int_equal(wire_reply_exit(reply), WIRE_UNHEALTHY);
	assert_string_equal(
	    json_string_value(json_array_get(json_object_get(result, "problems"), 0)), problem);
}

static void
status_worker_stuck_is_failing(void **state)
{
	fake.workers[1].alive = false;
	assert_health("failing",
	    "worker 1 on cpu 3 makes no progress: something else may hold its core (see top -H), "
	    "else restart wirecached");
}

static void
status_only_port_down_is_failing_one_of_two_degraded(void **state)
{
	fake.ports[0].link_up = false;
	assert_health(
	    "failing", "port lan0 has no link: look at the cable, the switch port or the peer interface");
	fake.info.ports = 2;
	fake.ports[1] = fake.ports[0];
	fake.ports[1].link_up = true;
	assert_health(
	    "degraded", "port lan0 has no link: look at the cable, the switch port or the peer interface");
}

static void
status_buffers_or_connections_nearly_out_is_degraded(void **state)
{
	fake.workers[0].mbufs_free = 100;
	assert_health("degraded", "worker 0 has 100 of 4096 packet buffers left: raise workers.mbufs");
	fake.workers[0].mbufs_free = 4000;
	fake.info.curr_connections = 95;
	assert_health("degraded", "new clients will be refused: raise tcp.connections_max (now 100)");
}

static void
status_note_is_shown_and_leaves_the_health(void **state)
{
	fake.notes_len = 1;
	fake.note = (struct dataplane_note){.text = "the store lies on normal pages: reserve hugepages"};
	json_t *result = ask("\"status\"");
	assert_string_equal(text_of(result, "health"), "healthy");
	assert_string_equal(
	    json_string_value(json_array_get(json_object_get(result, "notes"), 0)), fake.note.text);
}

static void
stats_are_those_of_the_data_port_numbers_as_numbers(void **state)
{
	json_t *result = ask("\"stats\"");
	assert_int_equal(number_of(result, "pid"), 42);
	assert_int_equal(number_of(result, "bytes"), 123456789012);
	assert_string_equal(text_of(result, "version"), "1.6.18");
	assert_string_equal(text_of(result, "rusage_user"), "0.013000");
}

static void
stats_group_unknown_is_told_which_there_are(void **state)
{
	assert_null(ask("\"stats\",\"x\""));
	assert_non_null(strstr(
	    text_of(reply, "error"), "no group \"x\": there are drops, net, requests, store, workers"));
	assert_int_equal(wire_reply_exit(reply), WIRE_FAILED);
}

static void
stats_drops_put_what_happened_first(void **state)
{
	json_t *rows = ask("\"stats\",\"drops\"");
	assert_int_equal(json_array_size(rows), 2);
	assert_string_equal(text_of(json_array_get(rows, 0), "counter"), "drop_checksum");
	assert_int_equal(number_of(json_array_get(rows, 0), "value"), 60);
	assert_string_equal(text_of(json_array_get(rows, 1), "counter"), "drop_none");
}

static void
stats_groups_have_their_tables(void **state)
{
	assert_int_equal(json_array_size(ask("\"stats\",\"net\"")), 3);
	assert_int_equal(json_array_size(ask("\"stats\",\"requests\"")), 4);
	assert_true(json_array_size(ask("\"stats\",\"store\"")) > 5);
	json_t *row = json_array_get(ask("\"stats\",\"workers\""), 2);
	assert_string_equal(text_of(row, "counter"), "rx_packets");
	assert_int_equal(number_of(row, "total"), 60);
	assert_int_equal(number_of(row, "worker_0"), 30);
	assert_int_equal(number_of(row, "worker_1"), 30);
}

static void
worker_before_the_first_period_shows_its_life(void **state)
{
	json_t *row = json_array_get(ask("\"worker\",\"show\""), 1);
	assert_int_equal(number_of(row, "cpu"), 3);
	assert_string_equal(text_of(row, "state"), "running");
	assert_float_equal(json_real_value(json_object_get(row, "busy_pct")), 25.0, 0.01);
	assert_int_equal(number_of(row, "loops"), 10);
	assert_int_equal(number_of(row, "requests"), 30);
	assert_float_equal(json_real_value(json_object_get(row, "packets_a_burst")), 1.5, 0.01);
}

static void
worker_load_is_that_of_the_last_period(void **state)
{
	commands_tick(&commands, 10000);
	commands_tick(&commands, 10500); /* within the period: nothing is taken */
	fake.workers[0].cycles_total += 1000;
	fake.workers[0].cycles_busy += 900;
	fake.scale = 20;
	commands_tick(&commands, 12000);
	json_t *row = json_array_get(ask("\"worker\",\"show\""), 0);
	assert_float_equal(json_real_value(json_object_get(row, "busy_pct")), 90.0, 0.01);
	assert_float_equal(json_real_value(json_object_get(row, "requests_per_s")), 15.0, 0.01);
}

static void
worker_without_work_has_no_ratios(void **state)
{
	fake.scale = 0;
	fake.workers[0].cycles_total = 0;
	json_t *row = json_array_get(ask("\"worker\",\"show\""), 0);
	assert_true(json_is_null(json_object_get(row, "busy_pct")));
	assert_true(json_is_null(json_object_get(row, "packets_a_burst")));
	assert_true(json_is_null(json_object_get(row, "cycles_a_request")));
}

static void
port_show_has_facts_and_counters(void **state)
{
	json_t *row = json_array_get(ask("\"port\",\"show\""), 0);
	assert_string_equal(text_of(row, "mac"), "02:00:00:00:00:01");
	assert_int_equal(json_array_size(json_object_get(row, "offloads")), 2);
	assert_true(json_is_null(json_object_get(row, "node")));
	assert_true(json_is_null(json_object_get(row, "speed_mbps")));
	assert_int_equal(number_of(row, "rx_packets"), 1234567);
}

static void
store_show_has_the_hit_ratio(void **state)
{
	json_t *result = ask("\"store\",\"show\"");
	assert_int_equal(number_of(result, "get_hits"), 60);
	assert_int_equal(number_of(result, "get_misses"), 80);
	assert_float_equal(json_real_value(json_object_get(result, "hit_ratio_pct")), 42.857, 0.01);
	fake.scale = 0;
	assert_true(json_is_null(json_object_get(ask("\"store\",\"show\""), "hit_ratio_pct")));
}

static void
store_show_has_bands_of_what_is_left_of_life(void **state)
{
	json_t *lives = json_object_get(ask("\"store\",\"show\""), "lives");
	assert_int_equal(json_array_size(lives), 2);
	assert_string_equal(text_of(json_array_get(lives, 0), "life_left"), "hour");
	assert_int_equal(number_of(json_array_get(lives, 0), "used_bytes"), 3000);
	assert_string_equal(text_of(json_array_get(lives, 1), "life_left"), "open");
	assert_true(json_is_null(json_object_get(json_array_get(lives, 1), "used_bytes")));
}

static void
config_show_is_what_was_set_effective_is_all(void **state)
{
	assert_int_equal(json_array_size(ask("\"config\",\"show\"")), 3);
	assert_int_equal(
	    json_array_size(ask("\"config\",\"show\",\"--effective\"")), options_len + port_options_len);
}

static void
config_check_lists_mistakes(void **state)
{
	json_t *result = ask_text("{\"command\":[\"config\",\"check\"],\"file\":\"n.conf\",\"text\":"
	                          "\"[port a]\\ndevice = x\\nipv4 = 1.2.3.4/24\\n\"}");
	assert_string_equal(text_of(result, "file"), "ok");
	assert_int_equal(wire_reply_exit(reply), WIRE_OK);
	result = ask_text("{\"command\":[\"config\",\"check\"],\"file\":\"n.conf\",\"text\":\"junk\\n\"}");
	assert_string_equal(text_of(result, "file"), "wrong");
	assert_string_equal(json_string_value(json_array_get(json_object_get(result, "errors"), 0)),
	    "n.conf:1:1: expected \"name = value\", not \"junk\"");
	assert_int_equal(wire_reply_exit(reply), WIRE_FAILED);
}

static void
config_diff_says_if_a_restart_is_needed(void **state)
{
#define SAME "[port lan0]\\ndevice = net_tap0\\nipv4 = 10.77.0.2/24\\nipv6 = fd00::2/64\\n"
	assert_int_equal(
	    json_array_size(ask_text("{\"command\":[\"config\",\"diff\"],\"text\":\"" SAME "\"}")), 0);
	assert_int_equal(wire_reply_exit(reply), WIRE_OK);
	ask_text("{\"command\":[\"config\",\"diff\"],\"text\":\"" SAME "[wirecache]\\nverbosity = 1\\n\"}");
	assert_int_equal(wire_reply_exit(reply), WIRE_OK);
	ask_text("{\"command\":[\"config\",\"diff\"],\"text\":\"" SAME "[memory]\\nlimit = 1g\\n\"}");
	assert_int_equal(wire_reply_exit(reply), WIRE_NEEDS_RESTART);
	assert_null(ask_text("{\"command\":[\"config\",\"diff\"],\"file\":\"n\",\"text\":\"junk\\n\"}"));
	assert_string_equal(text_of(reply, "error"), "n:1:1: expected \"name = value\", not \"junk\"");
}

static void
config_diff_keeps_what_flags_set(void **state)
{
	char *argv[] = {"wirecached", "--memory.limit=1g", "--port.lan0.mtu=1400"};
	config_parse_arguments(&config, 3, argv);
	commands.sources.argc = 3;
	commands.sources.argv = argv;
	json_t *rows =
	    ask_text("{\"command\":[\"config\",\"diff\"],\"text\":\"" SAME "[memory]\\nlimit = 2g\\n\"}");
	assert_int_equal(json_array_size(rows), 0);
}

static void
version_names_both(void **state)
{
	json_t *result = ask("\"version\"");
	assert_string_equal(text_of(result, "dpdk"), "DPDK 22.11");
	assert_true(strlen(text_of(result, "wirecached")) > 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(request_without_sense_is_a_usage_error, setup, teardown),
	    cmocka_unit_test_setup_teardown(status_all_well_is_healthy, setup, teardown),
	    cmocka_unit_test_setup_teardown(status_worker_stuck_is_failing, setup, teardown),
	    cmocka_unit_test_setup_teardown(
	        status_only_port_down_is_failing_one_of_two_degraded, setup, teardown),
	    cmocka_unit_test_setup_teardown(
	        status_buffers_or_connections_nearly_out_is_degraded, setup, teardown),
	    cmocka_unit_test_setup_teardown(status_note_is_shown_and_leaves_the_health, setup, teardown),
	    cmocka_unit_test_setup_teardown(
	        stats_are_those_of_the_data_port_numbers_as_numbers, setup, teardown),
	    cmocka_unit_test_setup_teardown(stats_group_unknown_is_told_which_there_are, setup, teardown),
	    cmocka_unit_test_setup_teardown(stats_drops_put_what_happened_first, setup, teardown),
	    cmocka_unit_test_setup_teardown(stats_groups_have_their_tables, setup, teardown),
	    cmocka_unit_test_setup_teardown(worker_before_the_first_period_shows_its_life, setup, teardown),
	    cmocka_unit_test_setup_teardown(worker_load_is_that_of_the_last_period, setup, teardown),
	    cmocka_unit_test_setup_teardown(worker_without_work_has_no_ratios, setup, teardown),
	    cmocka_unit_test_setup_teardown(port_show_has_facts_and_counters, setup, teardown),
	    cmocka_unit_test_setup_teardown(store_show_has_the_hit_ratio, setup, teardown),
	    cmocka_unit_test_setup_teardown(store_show_has_bands_of_what_is_left_of_life, setup, teardown),
	    cmocka_unit_test_setup_teardown(config_show_is_what_was_set_effective_is_all, setup, teardown),
	    cmocka_unit_test_setup_teardown(config_check_lists_mistakes, setup, teardown),
	    cmocka_unit_test_setup_teardown(config_diff_says_if_a_restart_is_needed, setup, teardown),
	    cmocka_unit_test_setup_teardown(config_diff_keeps_what_flags_set, setup, teardown),
	    cmocka_unit_test_setup_teardown(version_names_both, setup, teardown),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
