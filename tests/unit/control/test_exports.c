/*
 * What wirectl makes of the daemon's `metrics`: exposition, HTTP answers, the picture of top, pcapng files.
 */
#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "control/ctl/exposition.h"
#include "control/ctl/http.h"
#include "control/ctl/pcapng.h"
#include "control/ctl/screen.h"

static json_t *metrics, *status;
static struct http_answer answer;

static json_t *
worker_row(int number)
{
	return json_pack("{s:i, s:i, s:i, s:b, s:i, s:i, s:f, s:f, s:f, s:f, s:f, s:n, s:i}", "worker",
	    number, "cpu", number + 1, "node", 0, "alive", number == 0, "cycles_total", 1000, "cycles_busy",
	    400, "busy_pct", 40.0, "requests_per_s", 1500000.0, "packets_per_s", 100.0, "hit_pct", 90.0,
	    "packets_a_burst", 3.5, "cycles_a_request", "connections", 7);
}

static int
setup(void **state)
{
	metrics = json_pack(
	    "{s:s, s:i, s:i, s:i, s:{s:s, s:s, s:s, s:s}, s:[o, o], s:{s:i, s:i, s:i}, s:[{s:s, s:s}], "
	    "s:[{s:i, s:i, s:i}], s:{s:i, s:i, s:i, s:i}, s:[{s:s, s:f}]}",
	    "version", "1.2.3", "uptime_s", 61, "connections", 3, "connections_max", 10, "stats", "version",
	    "say \"x\"\\", "uptime", "61", "rusage_user", "0.013000", "get_hits", "5", "workers",
	    worker_row(0), worker_row(1), "store", "used_bytes", 512, "limit_bytes", 1024, "reserved_bytes",
	    2048, "ports", "port", "lan0", "link", "up", "nodes", "node", 0, "total_bytes", 1000,
	    "free_bytes", 250, "lately", "p50_ns", 1500, "p90_ns", 2000, "p99_ns", 9000, "p999_ns", 90000,
	    "hot_keys", "key", "user:1", "share_pct", 12.5);
	json_object_set_new(metrics, "net_counters",
	    json_pack("[{s:s, s:s, s:i}, {s:s, s:s, s:i}]", "name", "rx_packets", "help", "frames", "value",
	        9, "name", "drop_checksum", "help", "bad", "value", 4));
	json_object_update_new(json_array_get(json_object_get(metrics, "ports"), 0),
	    json_pack("{s:f, s:f, s:f, s:f, s:i, s:i}", "rx_packets_per_s", 1200.0, "tx_packets_per_s", 900.0,
	        "rx_bytes_per_s", 500000.0, "tx_bytes_per_s", 1000.0, "rx_dropped_queue_full", 5,
	        "rx_dropped_no_buffer", 2));
	json_object_set_new(metrics, "worker_counters",
	    json_pack("[{s:s, s:s, s:[i, i]}]", "name", "loops", "help", "passes", "values", 70, 80));
	json_object_set_new(metrics, "latency",
	    json_pack("[{s:s, s:s, s:i, s:i, s:[[i, i], [i, i]]}]", "transport", "tcp", "command", "get",
	        "requests", 10, "sum_ns", 1500000000, "buckets", 1024, 4, 1048576, 9));
	status = json_pack("{s:s, s:[]}", "health", "healthy", "problems");
	memset(&answer, 0, sizeof(answer));
	assert_non_null(metrics);
	return 0;
}

static int
teardown(void **state)
{
	free(answer.body);
	json_decref(metrics);
	json_decref(status);
	return 0;
}

/* ---- exposition ------------------------------------------------------------------------------- */

static char *
exposition(const json_t *of, bool openmetrics)
{
	char *text = NULL;
	size_t bytes;
	FILE *out = open_memstream(&text, &bytes);
	exposition_print(out, of, openmetrics);
	fclose(out);
	return text;
}

static void
assert_has(const char *text, const char *line)
{
	if (strstr(text, line) == NULL)
		fail_msg("\"%s\" is not in:\n%s", line, text);
}

static void
exposition_has_each_kind_of_metric(void **state)
{
	char *text = exposition(metrics, false);
	assert_has(text, "memcached_up 1\n");
	assert_has(text, "memcached_version{version=\"say \\\"x\\\"\\\\\"} 1\n");
	assert_has(text, "# TYPE memcached_uptime_seconds counter\nmemcached_uptime_seconds 61\n");
	assert_has(text, "memcached_process_user_cpu_seconds_total 0.013000\n");
	assert_has(text, "memcached_commands_total{command=\"get\",status=\"hit\"} 5\n");
	assert_has(text, "memcached_malloced_bytes 2048\n");
	assert_has(text, "wirecache_worker_up{worker=\"0\"} 1\nwirecache_worker_up{worker=\"1\"} 0\n");
	assert_has(text, "wirecache_port_up{port=\"lan0\"} 1\n");
	assert_has(text, "wirecache_node_memory_free_bytes{node=\"0\"} 250\n");
	assert_has(text, "# HELP wirecache_worker_loops_total passes\n");
	assert_has(text,
	    "wirecache_worker_loops_total{worker=\"0\"} 70\nwirecache_worker_loops_total{worker=\"1\"} 80\n");
	assert_has(text, "wirecache_net_rx_packets_total 9\n");
	assert_has(text, "wirecache_net_drops_total{reason=\"checksum\"} 4\n");
	free(text);
}

static void
histogram_is_in_seconds_and_cumulative(void **state)
{
	char *text = exposition(metrics, false);
	assert_has(text, "wirecache_request_duration_seconds_bucket{transport=\"tcp\",command=\"get\",le=\"1."
	                 "024e-06\"} 4\n");
	assert_has(text, "transport=\"tcp\",command=\"get\",le=\"0.001048576\"} 9\n");
	assert_has(text, "transport=\"tcp\",command=\"get\",le=\"+Inf\"} 10\n");
	assert_has(
	    text, "wirecache_request_duration_seconds_sum{transport=\"tcp\",command=\"get\"} 1.500000000\n");
	assert_has(text, "wirecache_request_duration_seconds_count{transport=\"tcp\",command=\"get\"} 10\n");
	free(text);
}

static void
openmetrics_names_counters_without_total_and_ends_with_eof(void **state)
{
	char *text = exposition(metrics, true);
	assert_has(text, "# TYPE memcached_commands counter\n");
	assert_has(text, "# TYPE memcached_uptime_seconds unknown\n");
	assert_has(text, "memcached_commands_total{command=\"get\",status=\"hit\"} 5\n");
	assert_string_equal(text + strlen(text) - 6, "# EOF\n");
	free(text);
}

static void
daemon_that_is_gone_is_down_and_nothing_else(void **state)
{
	char *text = exposition(NULL, false);
	assert_string_equal(
	    text, "# HELP memcached_up 1 if the daemon answers\n# TYPE memcached_up gauge\nmemcached_up 0\n");
	free(text);
}

/* ---- HTTP ------------------------------------------------------------------------------------- */

static unsigned
code_of(const char *path)
{
	free(answer.body);
	http_answer(path, NULL, metrics, status, &answer);
	return answer.code;
}

static void
health_and_readiness_follow_the_daemons_health(void **state)
{
	static const struct {
		const char *health;
		unsigned healthz, readyz;
	} cases[] = {
	    {"healthy", 200, 200}, {"degraded", 200, 200}, {"draining", 200, 503}, {"failing", 503, 503}};
	for (unsigned i = 0; i < 4; i++) {
		json_object_set_new(status, "health", json_string(cases[i].health));
		assert_int_equal(code_of("/healthz"), cases[i].healthz);
		assert_int_equal(code_of("/readyz"), cases[i].readyz);
	}
}

static void
page_figures_and_nothing_else_are_found(void **state)
{
	assert_int_equal(code_of("/"), 200);
	assert_int_equal(strlen(answer.static_body), answer.bytes);
	assert_has(answer.static_body, "</html>");
	assert_int_equal(code_of("/status.json"), 200);
	json_t *both = json_loads(answer.body, 0, NULL);
	assert_true(json_equal(json_object_get(both, "metrics"), metrics));
	json_decref(both);
	assert_int_equal(code_of("/../etc/passwd"), 404);
	assert_int_equal(code_of("/metrics/"), 404);
}

static void
address_with_port_is_read_others_are_refused(void **state)
{
	static const char *const wrong[] = {"", ":9150", "9150", "127.0.0.1", "127.0.0.1:", "127.0.0.1:0",
	    "127.0.0.1:65536", "127.0.0.1:80x", "localhost:80", "::1:80", "[::1:80", "[::1]80",
	    "1.2.3.4.5:80", "[1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa:bbbb:cccc]:80"};
	struct sockaddr_storage address;
	assert_true(http_parse_address("127.0.0.1:9150", &address));
	assert_int_equal(address.ss_family, AF_INET);
	assert_int_equal(((struct sockaddr_in *)&address)->sin_port, __builtin_bswap16(9150));
	assert_true(http_parse_address("[fd77::2]:80", &address));
	assert_int_equal(address.ss_family, AF_INET6);
	for (unsigned i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		assert_false(http_parse_address(wrong[i], &address));
}

/* ---- top -------------------------------------------------------------------------------------- */

static void
assert_fits(const char *text, unsigned columns, unsigned rows)
{
	unsigned lines = 0;
	for (const char *at = text; *at != '\0'; at += strcspn(at, "\n") + 1, lines++)
		assert_in_range(strcspn(at, "\n"), 0, columns);
	assert_in_range(lines, 8, rows - 1);
}

static void
picture_shows_load_latency_memory_and_keys(void **state)
{
	char *text = screen_text(metrics, 80, 24, false);
	assert_has(text, "wirecache 1.2.3   up 1 min 1 s   2 workers   3 of 10 connections\n");
	assert_has(text, "3.00 M requests/s   200 packets/s   hit rate 90.0 %\n");
	assert_has(text, "latency p50 1.5 us   p90 2.0 us   p99 9.0 us   p99.9 90.0 us\n");
	assert_has(text, "     1    2    0  40.0%    1.50 M       100        -      3.5   90.0 %       7\n");
	assert_has(text, "\nPORT             LINK  RX PKT/S  TX PKT/S  RX BIT/S  TX BIT/S LOST IN ALL\n"
	                 "lan0               up    1.20 k       900    4.00 M    8.00 k           7\n");
	assert_has(text, "cache              [##########..........]      512 B of 1.0 KiB\n");
	assert_has(text, "node 0             [###############.....]      250 B free of 1000 B\n");
	assert_has(text, "12.50%  user:1\n");
	assert_fits(text, 80, 24);
	free(text);
}

static void
picture_of_several_nodes_has_the_share_of_local_accesses(void **state)
{
	json_object_set_new(json_object_get(metrics, "store"), "local_pct", json_real(75));
	char *text = screen_text(metrics, 80, 24, false);
	assert_has(text, "\nMEMORY   75.0 % of accesses on the worker's own node\n");
	assert_fits(text, 80, 24);
	free(text);
}

static void
picture_of_many_workers_and_long_keys_still_fits(void **state)
{
	char key[300];
	json_t *workers = json_object_get(metrics, "workers"), *keys = json_object_get(metrics, "hot_keys");
	memset(key, 'k', sizeof(key) - 1);
	key[sizeof(key) - 1] = '\0';
	for (int i = 2; i < 32; i++)
		json_array_append_new(workers, worker_row(i));
	for (int i = 0; i < 30; i++)
		json_array_append_new(keys, json_pack("{s:s, s:f}", "key", key, "share_pct", 1.0));
	for (unsigned rows = 14; rows < 60; rows += 4) {
		char *text = screen_text(metrics, 80, rows, false);
		assert_fits(text, 80, rows);
		free(text);
	}
	char *text = screen_text(metrics, 80, 24, false);
	assert_has(text, " more: wirectl worker show\n");
	free(text);
}

/* ---- pcapng ----------------------------------------------------------------------------------- */

static uint32_t
word(const char *bytes, size_t at)
{
	uint32_t value;
	memcpy(&value, bytes + at, sizeof(value));
	return value;
}

static void
pcapng_blocks_have_their_lengths_at_both_ends(void **state)
{
	static const uint8_t bytes[7] = {1, 2, 3, 4, 5, 6, 7};
	static const uint32_t types[] = {0x0a0d0d0a, 1, 6, 6};
	char *text = NULL;
	size_t len, at = 0;
	FILE *out = open_memstream(&text, &len);
	pcapng_section(out, "wirectl 1.2.3");
	pcapng_interface(out, "lan0", 1536);
	for (uint32_t n = 4; n <= 7; n += 3)
		pcapng_packet(out,
		    &(struct pcapng_packet){
		        .unix_ns = 0x123456789aull, .wire_bytes = 60, .out = true, .bytes = bytes, .len = n});
	fclose(out);
	for (unsigned i = 0; i < 4; i++) {
		uint32_t block = word(text, at + 4);
		assert_int_equal(word(text, at), types[i]);
		assert_int_equal(block % 4, 0);
		assert_in_range(at + block, at + 12, len);
		assert_int_equal(word(text, at + block - 4), block);
		if (types[i] == 6) {
			assert_int_equal(word(text, at + 12), 0x12);
			assert_int_equal(word(text, at + 16), 0x3456789a);
			assert_int_equal(word(text, at + 24), 60);
			assert_memory_equal(text + at + 28, bytes, word(text, at + 20));
		}
		at += block;
	}
	assert_int_equal(at, len);
	free(text);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(exposition_has_each_kind_of_metric, setup, teardown),
	    cmocka_unit_test_setup_teardown(histogram_is_in_seconds_and_cumulative, setup, teardown),
	    cmocka_unit_test_setup_teardown(
	        openmetrics_names_counters_without_total_and_ends_with_eof, setup, teardown),
	    cmocka_unit_test(daemon_that_is_gone_is_down_and_nothing_else),
	    cmocka_unit_test_setup_teardown(health_and_readiness_follow_the_daemons_health, setup, teardown),
	    cmocka_unit_test_setup_teardown(page_figures_and_nothing_else_are_found, setup, teardown),
	    cmocka_unit_test(address_with_port_is_read_others_are_refused),
	    cmocka_unit_test_setup_teardown(picture_shows_load_latency_memory_and_keys, setup, teardown),
	    cmocka_unit_test_setup_teardown(
	        picture_of_several_nodes_has_the_share_of_local_accesses, setup, teardown),
	    cmocka_unit_test_setup_teardown(
	        picture_of_many_workers_and_long_keys_still_fits, setup, teardown),
	    cmocka_unit_test(pcapng_blocks_have_their_lengths_at_both_ends),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
