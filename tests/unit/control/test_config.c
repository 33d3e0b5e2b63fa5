/*
 * The configuration's sources, their order, and the sentence for every kind of mistake.
 */
#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "control/config.h"
#include "control/value.h"
#include "tests/unit/control/fake_dataplane.h"

#define PORT "[port lan0]\ndevice = net_tap0\nipv4 = 10.77.0.2/24\n"

static struct config config;

static void
parse(const char *text)
{
	config_init(&config);
	config_parse_text(&config, "w.conf", text, strlen(text));
	config_check(&config);
}

static void
assert_good(void)
{
	if (config.errors > 0)
		fail_msg("%s", config.messages[0]);
}

static void
assert_only_error(const char *text, const char *message)
{
	parse(text);
	if (config.errors != 1)
		print_message("# %u errors, the first: %s\n", config.errors, config.messages[0]);
	assert_int_equal(config.errors, 1);
	assert_string_equal(config.messages[0], message);
}

static void
file_with_everything_is_read(void **state)
{
	parse("\xEF\xBB\xBF# comment\n; another\n\n[memory]\n  limit = 256m ; inline\n\titem_max: "
	      "2m\r\n[port lan0]\n"
	      "device = net_tap0,iface=wire0\nipv4 = 10.77.0.2/24\nipv6 = "
	      "fd00::2/64\ngateway4=10.77.0.1\nvlan = 7\n"
	      "[workers]\ncpus = 2-3\n[tcp]\nrto_min = 50ms");
	assert_good();
	assert_int_equal(config.dataplane.store.memory_bytes, 256 << 20);
	assert_int_equal(config.dataplane.store.item_max_bytes, 2 << 20);
	assert_int_equal(config.dataplane.ports_len, 1);
	assert_string_equal(config.dataplane.ports[0].name, "lan0");
	assert_string_equal(config.dataplane.ports[0].device, "net_tap0,iface=wire0");
	assert_int_equal(config.dataplane.ports[0].vlan_id, 7);
	assert_int_equal(config.dataplane.ports[0].mtu, 1500);
	assert_int_equal(config.dataplane.worker_cpus_len, 2);
	assert_int_equal(config.dataplane.rto_min_us, 50000);
}

static void
no_file_no_port_is_one_sentence(void **state)
{
	assert_only_error("",
	    "no port is configured: add a section [port lan0] with device and ipv4 to the configuration "
	    "file, or start with --port.lan0.device=DEVICE --port.lan0.ipv4=ADDRESS/PREFIX");
}

static void
unknown_key_near_a_known_one_is_suggested(void **state)
{
	assert_only_error(PORT "[memory]\nlimt = 1g\n",
	    "w.conf:5:1: unknown key \"limt\" in [memory]: did you mean \"limit\"?");
	assert_only_error(
	    PORT "ip4 = 1\n", "w.conf:4:1: unknown key \"ip4\" in [port lan0]: did you mean \"ipv4\"?");
	assert_only_error(PORT "[memory]\nbanana = 1\n", "w.conf:5:1: unknown key \"banana\" in [memory]");
}

static void
unknown_section_is_reported_once(void **state)
{
	assert_only_error(PORT "[memorx]\nlimit = 1g\nevict = no\n",
	    "w.conf:4:1: unknown section [memorx]: did you mean [memory]?");
	assert_only_error(PORT "[banana]\nx = 1\n", "w.conf:4:1: unknown section [banana]");
	assert_only_error(PORT "[port]\ndevice = x\n", "w.conf:4:1: [port] needs a name, as in [port lan0]");
}

static void
bad_value_says_what_was_expected(void **state)
{
	assert_only_error(PORT "[memory]\nlimit = 12q\n", "w.conf:5:9: memory.limit: expected a size from 8m "
	                                                  "to 16t (bytes, or with k, m, g, t), not \"12q\"");
	assert_only_error(PORT "[memory]\nlimit = 1m\n", "w.conf:5:9: memory.limit: expected a size from 8m "
	                                                 "to 16t (bytes, or with k, m, g, t), not \"1m\"");
	assert_only_error(PORT "[tcp]\nport = 70000\n",
	    "w.conf:5:8: tcp.port: expected a number from 0 to 65535 (0: off), not \"70000\"");
	assert_only_error(PORT "[tcp]\nrto_min = 5min\n",
	    "w.conf:5:11: tcp.rto_min: expected a duration from 1ms to 10s (s, ms or us), not \"5min\"");
	assert_only_error(PORT "[workers]\nidle = lazy\n",
	    "w.conf:5:8: workers.idle: expected one of adaptive|spin|sleep, not \"lazy\"");
	assert_only_error(PORT "[workers]\ncpus = 3-1\n",
	    "w.conf:5:8: workers.cpus: expected a list of cpus from 0 to 1023, such as 2-5,7, not \"3-1\"");
	assert_only_error(
	    PORT "[memory]\nevict = maybe\n", "w.conf:5:9: memory.evict: expected yes or no, not \"maybe\"");
	assert_only_error(PORT "[wirecache]\ninstance = ../x\n",
	    "w.conf:5:12: wirecache.instance: expected 1 to 31 letters, digits, . - or _, the first a letter "
	    "or "
	    "digit, not \"../x\"");
	assert_only_error(PORT "gateway4 = x\n",
	    "w.conf:4:12: port.lan0.gateway4: expected an IPv4 address, such as 10.77.0.1, not \"x\"");
}

static void
key_twice_is_an_error_with_both_lines(void **state)
{
	assert_only_error(PORT "[memory]\nlimit = 1g\n[tcp]\nport = 1\n[memory]\nlimit = 2g\n",
	    "w.conf:9:9: memory.limit is set twice, first in line 5: remove one");
	assert_only_error(PORT "[port lan0]\ndevice = x\n",
	    "w.conf:5:10: port.lan0.device is set twice, first in line 2: remove one");
}

static void
line_without_meaning_is_an_error(void **state)
{
	assert_only_error(
	    PORT "what is this\n", "w.conf:4:1: expected \"name = value\", not \"what is this\"");
	assert_only_error(PORT "[memory\n", "w.conf:4:1: expected ] at the end of the section's name");
	assert_only_error("limit = 1g\n" PORT,
	    "w.conf:1:1: \"limit\" stands before any section: put [memory] or another "
	    "above it");
}

static void
zero_byte_is_an_error(void **state)
{
	static const char text[] = PORT "[memory]\nlimit = 1\0g\n";
	config_init(&config);
	config_parse_text(&config, "w.conf", text, sizeof(text) - 1);
	assert_int_equal(config.errors, 1);
	assert_string_equal(config.messages[0], "w.conf:5:1: expected text, found a zero byte");
}

static void
line_at_the_limit_is_read_longer_is_an_error(void **state)
{
	char text[4096];
	/* 250 characters of value: beyond the 200 that libinih has by default. */
	snprintf(text, sizeof(text), "[wirecache]\neal_args = %0250d\n" PORT, 0);
	parse(text);
	assert_good();
	assert_int_equal(strlen(config.dataplane.eal_args), 250);
	snprintf(text, sizeof(text), "[wirecache]\neal_args = x%*s\n" PORT, (int)CONFIG_LINE_MAX - 13, "");
	parse(text);
	assert_good();
	assert_string_equal(config.dataplane.eal_args, "x");
	snprintf(text, sizeof(text), "[wirecache]\neal_args = x%*s\n" PORT, (int)CONFIG_LINE_MAX - 12, "");
	assert_only_error(text, "w.conf:2:1: the line is 1022 bytes long, more than the 1021 that fit");
}

static void
port_without_device_or_address_is_an_error(void **state)
{
	assert_only_error("[port lan0]\nipv4 = 10.77.0.2/24\n",
	    "w.conf:1:1: port lan0 has no device: set device to a PCI address such as 0000:3b:00.0, or to "
	    "net_tap0,iface=wire0 to try it out");
	assert_only_error("[port lan0]\ndevice = net_tap0\n",
	    "w.conf:1:1: port lan0 has no address: set ipv4 (10.77.0.2/24) or ipv6 (fd00::2/64)");
}

static void
port_name_odd_or_one_too_many_is_an_error(void **state)
{
	assert_only_error("[port a b]\nmtu = 1500\n" PORT,
	    "w.conf:1:1: \"a b\" is no name of a port: expected 1 to 31 "
	    "letters, digits, - or _, as in [port lan0]");
	parse("[port a]\nmtu=1500\n[port b]\nmtu=1500\n[port c]\nmtu=1500\n[port d]\nmtu=1500\n[port "
	      "e]\nmtu=1500\n");
	assert_string_equal(config.messages[0], "w.conf:9:1: port e is one too many: there may be 4");
}

static void
gateway_out_of_reach_is_an_error(void **state)
{
	assert_only_error(PORT "gateway4 = 10.78.0.1\n",
	    "w.conf:4:12: port lan0: gateway4 = 10.78.0.1 is outside of ipv4 = 10.77.0.2/24");
	assert_only_error(PORT "gateway4 = 10.77.0.2\n",
	    "w.conf:4:12: port lan0: gateway4 = 10.77.0.2 is the port's own address");
	assert_only_error(
	    PORT "gateway6 = fd00::1\n", "w.conf:4:12: port lan0: gateway6 is set but ipv6 is not");
	assert_only_error(PORT "ipv6 = fd00::2/65\ngateway6 = fd00::8000:0:0:1\n",
	    "w.conf:5:12: port lan0: gateway6 = fd00::8000:0:0:1 is outside of ipv6 = fd00::2/65");
	parse(PORT "ipv6 = fd00::2/64\ngateway6 = fe80::1\ngateway4 = 10.77.0.254\n");
	assert_good();
}

static void
address_no_host_can_have_is_an_error(void **state)
{
	assert_only_error("[port a]\ndevice = x\nipv4 = 10.77.0.0/24\n",
	    "w.conf:3:8: port a: ipv4 = 10.77.0.0/24 is the network address of its prefix: choose one "
	    "between");
	assert_only_error("[port a]\ndevice = x\nipv4 = 10.77.0.255/24\n",
	    "w.conf:3:8: port a: ipv4 = 10.77.0.255/24 is the broadcast address of its prefix: choose one "
	    "between");
	assert_only_error("[port a]\ndevice = x\nipv4 = 224.0.0.1/24\n",
	    "w.conf:3:8: port a: ipv4 = 224.0.0.1/24 is no address that a host can have");
	assert_only_error("[port a]\ndevice = x\nipv6 = ff02::1/64\n",
	    "w.conf:3:8: port a: ipv6 = ff02::1/64 is no address that a host can have");
	assert_only_error("[port a]\ndevice = x\nipv6 = fd00::1/64\nmtu = 600\n",
	    "w.conf:4:7: port a: mtu = 600 is too small for IPv6, which needs 1280");
	parse("[port a]\ndevice = x\nipv4 = 10.77.0.0/31\n");
	assert_good();
}

static void
ports_alike_are_an_error(void **state)
{
	assert_only_error(PORT "[port b]\ndevice = net_tap0\nipv4 = 10.78.0.2/24\n",
	    "w.conf:5:10: port b: device = net_tap0 is that of port lan0 too");
	assert_only_error(PORT "[port b]\ndevice = net_tap1\nipv4 = 10.77.0.2/24\n",
	    "w.conf:4:1: port b has the same address as port lan0");
}

static void
numbers_that_contradict_are_an_error(void **state)
{
	assert_only_error(PORT "[workers]\ncount = 2\ncpus = 1-3\n",
	    "w.conf:6:8: workers.cpus names 3 cores but workers.count is 2: shorten the list or raise the "
	    "count");
	assert_only_error(PORT "[workers]\ncount = 4\ncpus = 1-3\n",
	    "w.conf:5:9: workers.count is 4 but workers.cpus names 3 cores: name one for each, or leave "
	    "workers.cpus empty");
	assert_only_error(PORT "[memory]\nlimit = 64m\nitem_max = 40m\n",
	    "w.conf:6:12: memory.item_max = 40m is more than half of memory.limit = 64m: lower one or raise "
	    "the "
	    "other");
	assert_only_error(PORT "[memory]\nlimit = 20m\nnodes = 0-3\n",
	    "w.conf:5:9: memory.limit = 20m is too small for 4 NUMA nodes: each needs at least 8m");
	assert_only_error(PORT "[memory]\nnodes = 1,1\n", "w.conf:5:9: memory.nodes names node 1 twice");
	assert_only_error(PORT "[tcp]\nport = 0\n",
	    "w.conf:5:8: tcp.port and udp.port are both 0: nothing would be served");
}

static void
many_mistakes_are_all_reported_and_bounded(void **state)
{
	char text[8192] = PORT "[memory]\n";
	for (unsigned i = 0; i < 100; i++)
		strcat(text, "junk\n");
	parse(text);
	assert_int_equal(config.errors, 100);
	assert_string_equal(config.messages[31], "w.conf:36:1: expected \"name = value\", not \"junk\"");
}

static void
absent_file_is_an_error_unless_optional(void **state)
{
	config_init(&config);
	assert_false(config_parse_file(&config, "/nonexistent/w.conf", true));
	assert_int_equal(config.errors, 0);
	assert_true(config_parse_file(&config, "/nonexistent/w.conf", false));
	assert_string_equal(
	    config.messages[0], "/nonexistent/w.conf: cannot be read: No such file or directory");
}

static void
load(const char *file_text, char *const environment[], int argc, char *argv[])
{
	char path[] = "/tmp/wirecache-test-XXXXXX";
	int fd = mkstemp(path);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, file_text, strlen(file_text)), (int)strlen(file_text));
	struct config_sources sources = {.request = config_scan_arguments(argc, argv),
	    .argc = argc,
	    .argv = argv,
	    .environment = environment};
	sources.request.file = path;
	config_load(&config, &sources);
	close(fd);
	unlink(path);
}

static void
later_sources_win_and_origins_tell(void **state)
{
	char *environment[] = {"HOME=/", "WIRECACHE_MEMORY_LIMIT=200m", "WIRECACHE_TCP_PORT=2222", NULL};
	char *argv[] = {"wirecached", "--tcp.port=3333"};
	char place[64];
	load(PORT "[memory]\nlimit = 100m\n[tcp]\nport = 1111\nsyn_backlog = 9\n", environment, 2, argv);
	assert_good();
	assert_int_equal(config.dataplane.store.memory_bytes, 200 << 20);
	assert_int_equal(config.dataplane.tcp_port, 3333);
	assert_int_equal(config.dataplane.syn_backlog_max, 9);
	config_origin_format(
	    config_origin_of(&config, option_find("memory", "limit"), 0), place, sizeof(place));
	assert_string_equal(place, "WIRECACHE_MEMORY_LIMIT");
	config_origin_format(config_origin_of(&config, option_find("tcp", "port"), 0), place, sizeof(place));
	assert_string_equal(place, "--tcp.port");
	config_origin_format(
	    config_origin_of(&config, option_find("tcp", "syn_backlog"), 0), place, sizeof(place));
	assert_non_null(strstr(place, ":8"));
	config_origin_format(config_origin_of(&config, option_find("udp", "port"), 0), place, sizeof(place));
	assert_string_equal(place, "default");
}

static void
environment_names_ports_and_mistakes(void **state)
{
	char *good[] = {"WIRECACHE_PORT_LAN0_IPV4=10.77.0.9/24", "WIRECACHE_PORT_NEW_ONE_DEVICE=net_tap1",
	    "WIRECACHE_PORT_NEW_ONE_IPV4=10.78.0.2/24", NULL};
	load(PORT, good, 0, NULL);
	assert_good();
	assert_int_equal(config.dataplane.ports_len, 2);
	assert_int_equal(config.dataplane.ports[0].addr4[3], 9);
	assert_string_equal(config.dataplane.ports[1].name, "new_one");
	char *bad[] = {"WIRECACHE_MEMORY_LIMT=1g", "WIRECACHE_TCP_PORT=x", "WIRECACHE_PORT_=x", NULL};
	load(PORT, bad, 0, NULL);
	assert_int_equal(config.errors, 3);
	assert_string_equal(config.messages[0], "WIRECACHE_MEMORY_LIMT: unknown variable: did you mean "
	                                        "WIRECACHE_MEMORY_LIMIT?");
	assert_string_equal(config.messages[1],
	    "WIRECACHE_TCP_PORT: tcp.port: expected a number from 0 to 65535 (0: off), not \"x\"");
}

static void
memcached_flags_mean_what_they_mean_there(void **state)
{
	char *none[] = {NULL};
	char *argv[] = {"wirecached", "-m", "100", "-p2000", "-U", "2001", "-c", "77", "-t", "3", "-I", "2m",
	    "-vv", "-M", "-F", "-C", "-b", "55"};
	load(PORT, none, sizeof(argv) / sizeof(argv[0]), argv);
	assert_good();
	assert_int_equal(config.dataplane.store.memory_bytes, 100 << 20);
	assert_int_equal(config.dataplane.tcp_port, 2000);
	assert_int_equal(config.dataplane.udp_port, 2001);
	assert_int_equal(config.dataplane.connections_max, 77);
	assert_int_equal(config.dataplane.workers, 3);
	assert_int_equal(config.dataplane.store.item_max_bytes, 2 << 20);
	assert_int_equal(config.dataplane.verbosity, 2);
	assert_int_equal(config.dataplane.syn_backlog_max, 55);
	assert_false(config.dataplane.store.evict);
	assert_false(config.dataplane.store.cas);
	assert_false(config.dataplane.flush_enabled);
}

static void
long_and_sectioned_flags_are_taken(void **state)
{
	char *none[] = {NULL};
	char *argv[] = {"wirecached", "--memory-limit=100", "--conn-limit", "9", "--memory.item_max", "3m",
	    "--idle=spin", "--tcp.syn-backlog=5", "-v", "-v", "--port=2000", "--port.lan0.mtu=1400",
	    "--port.wan.device=net_tap1", "--port.wan.ipv6", "fd01::1/64", "--control-cpu", "0"};
	load(PORT, none, sizeof(argv) / sizeof(argv[0]), argv);
	assert_good();
	assert_int_equal(config.dataplane.store.memory_bytes, 100 << 20);
	assert_int_equal(config.dataplane.connections_max, 9);
	assert_int_equal(config.dataplane.store.item_max_bytes, 3 << 20);
	assert_int_equal(config.dataplane.idle, DATAPLANE_IDLE_SPIN);
	assert_int_equal(config.dataplane.syn_backlog_max, 5);
	assert_int_equal(config.dataplane.verbosity, 2);
	assert_int_equal(config.dataplane.tcp_port, 2000);
	assert_int_equal(config.dataplane.ports[0].mtu, 1400);
	assert_string_equal(config.dataplane.ports[1].name, "wan");
	assert_int_equal(config.dataplane.control_cpu, 0);
}

static void
assert_flag_error(char *flag, char *value, const char *message)
{
	char *none[] = {NULL}, *argv[] = {"wirecached", flag, value};
	load(PORT, none, value != NULL ? 3 : 2, argv);
	assert_int_equal(config.errors, 1);
	assert_string_equal(config.messages[0], message);
}

static void
wrong_flag_is_an_error_that_helps(void **state)
{
	assert_flag_error(
	    "--memory.limt=1g", NULL, "--memory.limt: unknown option: did you mean --memory.limit?");
	assert_flag_error("--banana", NULL, "--banana: unknown option: --help lists them");
	assert_flag_error("-z", NULL, "-z: unknown option: --help lists them");
	assert_flag_error("-m", NULL, "-m: expected a value behind it");
	assert_flag_error("--config", NULL, "--config: expected a file behind it");
	assert_flag_error("file.conf", NULL, "file.conf: expected an option: --help lists them");
	assert_flag_error("-M1", NULL, "-M1: takes no value, not \"1\"");
	assert_flag_error("-l", NULL,
	    "-l: memcached's flag has no effect here: addresses belong to ports: set ipv4 or ipv6 "
	    "in a [port NAME] section");
	assert_flag_error(
	    "--tcp.port", "x", "--tcp.port: tcp.port: expected a number from 0 to 65535 (0: off), not \"x\"");
	assert_flag_error("--port.a b.mtu=1500", NULL,
	    "--port.a b.mtu: \"a b\" is no name of a port: expected 1 to 31 letters, digits, - or _, as in "
	    "[port lan0]");
}

static void
dash_c_is_a_file_unless_it_is_a_number(void **state)
{
	char *file[] = {"wirecached", "-c", "w.conf"}, *number[] = {"wirecached", "-c", "1024"};
	char *longer[] = {"wirecached", "--config=w.conf", "--check-config"};
	assert_string_equal(config_scan_arguments(3, file).file, "w.conf");
	assert_null(config_scan_arguments(3, number).file);
	struct config_request request = config_scan_arguments(3, longer);
	assert_string_equal(request.file, "w.conf");
	assert_int_equal(request.action, CONFIG_CHECK_ONLY);
	char *help[] = {"wirecached", "--check-config", "-h", "-V"};
	assert_int_equal(config_scan_arguments(4, help).action, CONFIG_HELP);
}

static void
show_lists_what_was_set_or_all(void **state)
{
	parse(PORT "[memory]\nlimit = 100m\n");
	json_t *set = config_json(&config, false), *all = config_json(&config, true);
	assert_int_equal(json_array_size(set), 3);
	assert_int_equal(json_array_size(all), options_len + port_options_len);
	json_t *row = json_array_get(set, 0);
	assert_string_equal(json_string_value(json_object_get(row, "option")), "memory.limit");
	assert_int_equal(json_integer_value(json_object_get(row, "value")), 100 << 20);
	assert_string_equal(json_string_value(json_object_get(row, "text")), "100m");
	assert_string_equal(json_string_value(json_object_get(row, "origin")), "w.conf:5");
	json_decref(set);
	json_decref(all);
}

static void
diff_names_changes_and_live_ones_are_applied(void **state)
{
	static struct config other;
	parse(PORT "[memory]\nlimit = 100m\n");
	other = config;
	parse("[port wan]\ndevice = net_tap1\nipv4 = 10.78.0.2/24\n[memory]\nlimit = "
	      "200m\n[wirecache]\nverbosity = 2\n");
	json_t *rows = config_diff_json(&other, &config);
	char *text = json_dumps(rows, JSON_COMPACT);
	assert_string_equal(text,
	    "[{\"option\":\"wirecache.verbosity\",\"applies\":\"live\",\"running\":\"0\",\"new\":\"2\"},"
	    "{\"option\":\"memory.limit\",\"applies\":\"restart\",\"running\":\"100m\",\"new\":\"200m\"},"
	    "{\"option\":\"port.wan\",\"applies\":\"restart\",\"running\":\"absent\",\"new\":\"present\"},"
	    "{\"option\":\"port.lan0\",\"applies\":\"restart\",\"running\":\"present\",\"new\":\"absent\"}]");
	free(text);
	json_decref(rows);
	config_apply_live(&other, &config);
	assert_int_equal(other.dataplane.verbosity, 2);
	assert_int_equal(other.dataplane.store.memory_bytes, 100 << 20);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(file_with_everything_is_read),
	    cmocka_unit_test(no_file_no_port_is_one_sentence),
	    cmocka_unit_test(unknown_key_near_a_known_one_is_suggested),
	    cmocka_unit_test(unknown_section_is_reported_once),
	    cmocka_unit_test(bad_value_says_what_was_expected),
	    cmocka_unit_test(key_twice_is_an_error_with_both_lines),
	    cmocka_unit_test(line_without_meaning_is_an_error),
	    cmocka_unit_test(zero_byte_is_an_error),
	    cmocka_unit_test(line_at_the_limit_is_read_longer_is_an_error),
	    cmocka_unit_test(port_without_device_or_address_is_an_error),
	    cmocka_unit_test(port_name_odd_or_one_too_many_is_an_error),
	    cmocka_unit_test(gateway_out_of_reach_is_an_error),
	    cmocka_unit_test(address_no_host_can_have_is_an_error),
	    cmocka_unit_test(ports_alike_are_an_error),
	    cmocka_unit_test(numbers_that_contradict_are_an_error),
	    cmocka_unit_test(many_mistakes_are_all_reported_and_bounded),
	    cmocka_unit_test(absent_file_is_an_error_unless_optional),
	    cmocka_unit_test(later_sources_win_and_origins_tell),
	    cmocka_unit_test(environment_names_ports_and_mistakes),
	    cmocka_unit_test(memcached_flags_mean_what_they_mean_there),
	    cmocka_unit_test(long_and_sectioned_flags_are_taken),
	    cmocka_unit_test(wrong_flag_is_an_error_that_helps),
	    cmocka_unit_test(dash_c_is_a_file_unless_it_is_a_number),
	    cmocka_unit_test(show_lists_what_was_set_or_all),
	    cmocka_unit_test(diff_names_changes_and_live_ones_are_applied),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
