/*
 * What the control plane makes of the data plane's observations: latency, keys, dumps, slow passes.
 */
#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "control/base64.h"
#include "control/commands.h"
#include "control/wire.h"
#include "tests/unit/control/fake_dataplane.h"

static struct config config;
static struct commands commands;
static json_t *reply;

static int
setup(void **state)
{
	fake_reset();
	config_init(&config);
	commands_init(&commands, &config, &(struct config_sources){0}, &fake);
	reply = NULL;
	return 0;
}

static int
teardown(void **state)
{
	json_decref(reply);
	return 0;
}

static json_t *
ask(const char *words)
{
	char text[256];
	snprintf(text, sizeof(text), "{\"command\":[%s]}", words);
	json_t *request = wire_decode(text, strlen(text));
	json_decref(reply);
	reply = commands_answer(&commands, request);
	json_decref(request);
	return json_object_get(reply, "result");
}

static json_int_t
number_of(const json_t *row, const char *name)
{
	assert_true(json_is_integer(json_object_get(row, name)));
	return json_integer_value(json_object_get(row, name));
}

static void
add_latency(unsigned row, uint64_t ns, unsigned requests)
{
	fake.latencies[row].requests += requests;
	fake.latencies[row].sum_ns += ns * requests;
	fake.latencies[row].counts[histogram_bucket(ns)] += requests;
}

static void
latency_shows_percentiles_of_commands_that_were_used(void **state)
{
	add_latency(0, 1000, 90);
	add_latency(0, 50000, 10);
	json_t *rows = ask("\"latency\",\"show\"");
	assert_int_equal(json_array_size(rows), 1);
	json_t *row = json_array_get(rows, 0);
	assert_string_equal(json_string_value(json_object_get(row, "command")), "get");
	assert_int_equal(number_of(row, "requests"), 100);
	assert_int_equal(number_of(row, "mean_ns"), 5900);
	assert_int_equal(histogram_bucket((uint64_t)number_of(row, "p50_ns")), histogram_bucket(1000));
	assert_int_equal(histogram_bucket((uint64_t)number_of(row, "p90_ns")), histogram_bucket(1000));
	assert_int_equal(histogram_bucket((uint64_t)number_of(row, "p99_ns")), histogram_bucket(50000));
	assert_int_equal(histogram_bucket((uint64_t)number_of(row, "max_ns")), histogram_bucket(50000));
}

static void
latency_reset_counts_from_then_on(void **state)
{
	add_latency(0, 1000, 90);
	ask("\"latency\",\"reset\"");
	assert_int_equal(json_array_size(ask("\"latency\",\"show\"")), 0);
	add_latency(1, 2000, 3);
	json_t *rows = ask("\"latency\",\"show\"");
	assert_int_equal(json_array_size(rows), 1);
	assert_int_equal(number_of(json_array_get(rows, 0), "requests"), 3);
	assert_int_equal(number_of(json_array_get(rows, 0), "mean_ns"), 2000);
}

static void
histogram_of_all_or_one_command_adds_up(void **state)
{
	add_latency(0, 1000, 3);
	add_latency(1, 1000, 1);
	add_latency(1, 9000, 4);
	json_t *rows = ask("\"latency\",\"histogram\"");
	assert_int_equal(json_array_size(rows), 2);
	assert_int_equal(number_of(json_array_get(rows, 0), "requests"), 4);
	assert_true(json_number_value(json_object_get(json_array_get(rows, 1), "below_pct")) == 100.0);
	rows = ask("\"latency\",\"histogram\",\"set\"");
	assert_int_equal(number_of(json_array_get(rows, 0), "requests"), 1);
	assert_null(ask("\"latency\",\"histogram\",\"dance\""));
	assert_string_equal(json_string_value(json_object_get(reply, "error")),
	    "no command \"dance\": wirectl latency show names them");
}

static void
last_second_is_told_apart_from_before(void **state)
{
	uint64_t counts[HISTOGRAM_BUCKETS];
	add_latency(0, 1000, 100);
	commands_tick(&commands, 1000);
	add_latency(1, 70000, 5);
	commands_tick(&commands, 1500); /* too soon to look again */
	commands_tick(&commands, 2000);
	observed_latency_lately(&commands.observed, counts);
	assert_int_equal(counts[histogram_bucket(1000)], 0);
	assert_int_equal(counts[histogram_bucket(70000)], 5);
}

static void
hot_key_is_shown_with_its_share_and_no_raw_bytes(void **state)
{
	fake.keys[0] = (struct observe_key){.key = "a b%\n", .key_len = 5, .samples = 30};
	fake.keys_len = 1;
	fake.samples = 120;
	json_t *row = json_array_get(ask("\"keys\",\"hot\""), 0);
	assert_string_equal(json_string_value(json_object_get(row, "key")), "a%20b%25%0A");
	assert_true(json_number_value(json_object_get(row, "share_pct")) == 25.0);
	assert_null(ask("\"keys\",\"hot\",\"--count\",\"x\""));
	assert_int_equal(wire_reply_exit(reply), WIRE_FAILED);
}

static void
dump_longer_than_a_reply_goes_on_where_it_ended(void **state)
{
	unsigned seen = 0;
	char words[64] = "\"keys\",\"list\"";
	fake.items = 4500;
	for (unsigned round = 0; round < 3; round++) {
		json_t *result = ask(words), *next = json_object_get(result, "next");
		seen += (unsigned)json_array_size(json_object_get(result, "keys"));
		assert_int_equal(json_is_null(next), round == 2);
		snprintf(words, sizeof(words), "\"keys\",\"list\",\"--from\",\"%d\"",
		    (int)json_integer_value(next));
	}
	assert_int_equal(seen, 4500);
	assert_null(ask("\"keys\",\"list\",\"--from\",\"77\""));
	assert_string_equal(json_string_value(json_object_get(reply, "error")),
	    "--from: there is no dump \"77\" that goes on: begin a new one");
}

static void
slow_pass_is_shown_with_its_time_and_largest_value(void **state)
{
	fake.slow = (struct observe_slow){.worker = 1,
	    .number = 7,
	    .unix_us = 1700000000123456,
	    .ns = 2500000,
	    .requests = 32,
	    .key = "large",
	    .key_len = 5,
	    .value_bytes = 1000000};
	fake.slow_len = 1;
	json_t *row = json_array_get(ask("\"slow\",\"show\""), 0);
	assert_string_equal(json_string_value(json_object_get(row, "time")), "2023-11-14T22:13:20.123Z");
	assert_int_equal(number_of(row, "took_ns"), 2500000);
	assert_int_equal(number_of(row, "largest_bytes"), 1000000);
	assert_string_equal(json_string_value(json_object_get(row, "key")), "large");
}

static void
stages_share_the_cycles_of_measured_passes(void **state)
{
	json_t *rows = ask("\"worker\",\"stages\"");
	json_t *row = json_array_get(rows, 0);
	assert_true(json_number_value(json_object_get(row, "share_pct")) == 75.0);
	assert_true(json_number_value(json_object_get(row, "cycles_a_pass")) == 30.0);
	assert_true(json_number_value(json_object_get(row, "cycles_a_request")) == 15.0);
}

static void
capture_is_read_until_stopped_or_forgotten(void **state)
{
	uint8_t bytes[8];
	assert_null(ask("\"capture\",\"open\",\"--program\",\"nonsense\""));
	assert_string_equal(json_string_value(json_object_get(reply, "error")), "the filter is damaged");
	commands_tick(&commands, 1000);
	assert_non_null(ask("\"capture\",\"open\",\"--program\",\"1,6 0 0 1\""));
	json_t *packet = json_array_get(json_object_get(ask("\"capture\",\"read\""), "packets"), 0);
	assert_int_equal(number_of(packet, "wire_bytes"), 60);
	assert_int_equal(
	    base64_decode(json_string_value(json_object_get(packet, "base64")), bytes, sizeof(bytes)), 4);
	assert_memory_equal(bytes, "\1\2\3\377", 4);
	commands_tick(&commands, 5000);
	assert_true(fake.capturing);
	commands_tick(&commands, 7000);
	assert_false(fake.capturing);
	assert_true(json_is_false(json_object_get(ask("\"capture\",\"read\""), "on")));
}

static void
base64_of_any_length_comes_back(void **state)
{
	uint8_t bytes[64], back[64];
	char text[BASE64_ENCODED_MAX(sizeof(bytes))];
	for (unsigned len = 0; len <= sizeof(bytes); len++) {
		for (unsigned i = 0; i < len; i++)
			bytes[i] = (uint8_t)(i * 37 + len);
		base64_encode(bytes, len, text);
		assert_int_equal(strlen(text) + 1, BASE64_ENCODED_MAX(len));
		assert_int_equal(base64_decode(text, back, sizeof(back)), len);
		assert_memory_equal(bytes, back, len);
	}
	assert_int_equal(base64_decode("AAAA", back, 2), 2);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(
	        latency_shows_percentiles_of_commands_that_were_used, setup, teardown),
	    cmocka_unit_test_setup_teardown(latency_reset_counts_from_then_on, setup, teardown),
	    cmocka_unit_test_setup_teardown(histogram_of_all_or_one_command_adds_up, setup, teardown),
	    cmocka_unit_test_setup_teardown(last_second_is_told_apart_from_before, setup, teardown),
	    cmocka_unit_test_setup_teardown(
	        hot_key_is_shown_with_its_share_and_no_raw_bytes, setup, teardown),
	    cmocka_unit_test_setup_teardown(dump_longer_than_a_reply_goes_on_where_it_ended, setup, teardown),
	    cmocka_unit_test_setup_teardown(
	        slow_pass_is_shown_with_its_time_and_largest_value, setup, teardown),
	    cmocka_unit_test_setup_teardown(capture_is_read_until_stopped_or_forgotten, setup, teardown),
	    cmocka_unit_test(base64_of_any_length_comes_back),
	    cmocka_unit_test_setup_teardown(stages_share_the_cycles_of_measured_passes, setup, teardown),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
