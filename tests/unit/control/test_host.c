/*
 * Plan and doctor on a made-up machine: two nodes of four cpus, cores of two threads, three network cards. Its /proc and /sys
 * are files in a directory.
 */
#include <fcntl.h>
#include <ftw.h>
#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "control/doctor.h"
#include "control/plan.h"
#include "tests/unit/control/fake_dataplane.h"

#define CARD   "0000:3b:00.0" /* given away, node 1 */
#define ROUTE  "0000:00:03.0" /* virtio, holds the default route */
#define KERNEL "0000:5e:00.0" /* the kernel's, node 1 */
#define PCI    "/sys/bus/pci/devices/"
#define CPU    "/sys/devices/system/cpu/"
#define NODE   "/sys/devices/system/node/"

static char root[64];
static struct config config;
static struct host host;

static void
make_parents(char *path)
{
	for (char *at = strchr(path + 1, '/'); at != NULL; at = strchr(at + 1, '/')) {
		*at = '\0';
		mkdir(path, 0700);
		*at = '/';
	}
}

static void
put(const char *name, const char *text)
{
	char path[512];
	snprintf(path, sizeof(path), "%s%s", root, name);
	make_parents(path);
	FILE *file = fopen(path, "w");
	assert_non_null(file);
	fprintf(file, "%s\n", text);
	fclose(file);
}

static void
put_link(const char *name, const char *target)
{
	char path[512];
	snprintf(path, sizeof(path), "%s%s", root, name);
	make_parents(path);
	unlink(path);
	assert_int_equal(symlink(target, path), 0);
}

static const char *
content(const char *name)
{
	static char text[256];
	host_read(&host, text, sizeof(text), "%s", name);
	return text;
}

static void
put_card(const char *device, const char *driver, const char *node)
{
	char path[256], target[128];
	snprintf(path, sizeof(path), PCI "%s/class", device);
	put(path, "0x020000");
	snprintf(path, sizeof(path), PCI "%s/numa_node", device);
	put(path, node);
	snprintf(path, sizeof(path), PCI "%s/driver", device);
	snprintf(target, sizeof(target), "../../../bus/pci/drivers/%s", driver);
	put_link(path, target);
}

static void
put_cpus(void)
{
	put(CPU "online", "0-7");
	put(CPU "isolated", "");
	for (unsigned cpu = 0; cpu < 8; cpu++) {
		char path[128], core[8];
		snprintf(path, sizeof(path), CPU "cpu%u/topology/core_id", cpu);
		snprintf(core, sizeof(core), "%u", cpu / 2);
		put(path, core);
		snprintf(path, sizeof(path), CPU "cpu%u/topology/physical_package_id", cpu);
		put(path, cpu < 4 ? "0" : "1");
	}
	put(NODE "online", "0-1");
	put(NODE "node0/cpulist", "0-3");
	put(NODE "node1/cpulist", "4-7");
	for (unsigned node = 0; node < 2; node++) {
		char path[128];
		snprintf(path, sizeof(path), NODE "node%u/meminfo", node);
		put(path, "Node 0 MemFree:        33554432 kB");
		snprintf(path, sizeof(path), NODE "node%u/hugepages/hugepages-2048kB/nr_hugepages", node);
		put(path, "2048");
		snprintf(path, sizeof(path), NODE "node%u/hugepages/hugepages-2048kB/free_hugepages", node);
		put(path, "2048");
	}
}

static int
setup(void **state)
{
	snprintf(root, sizeof(root), "/tmp/wirecache-test-XXXXXX");
	if (mkdtemp(root) == NULL)
		return -1;
	put_cpus();
	put_card(CARD, "vfio-pci", "1");
	put_card(ROUTE, "virtio-pci", "-1");
	put_card(KERNEL, "ixgbe", "1");
	put(PCI ROUTE "/virtio2/net/eth0/address", "x");
	put(PCI KERNEL "/net/eth1/address", "x");
	put("/proc/net/route",
	    "Iface\tDestination\tGateway\neth0\t00000000\t0100000A\neth1\t0000010A\t00000000");
	put("/proc/cmdline", "quiet");
	put("/proc/cpuinfo", "vendor_id : GenuineIntel\nflags : tsc constant_tsc nonstop_tsc");
	put("/proc/mounts", "nodev /dev/hugepages hugetlbfs rw 0 0");
	put("/dev/hugepages/.keep", "");
	put("/proc/self/limits", "Max locked memory         unlimited            unlimited            bytes");
	put("/proc/self/status", "CapEff:\t000001ffffffffff");
	config_init(&config);
	return 0;
}

static int
remove_entry(const char *path, const struct stat *stat, int type, struct FTW *ftw)
{
	return remove(path);
}

static int
teardown(void **state)
{
	return nftw(root, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

static void
plan(const char *text)
{
	config_init(&config);
	config_parse_text(&config, "w.conf", text, strlen(text));
	host_scan(&host, root);
	plan_config(&config, &host, NULL);
}

static bool
plan_says(const char *part)
{
	for (unsigned i = 0; i < config.plan_len; i++)
		if (strstr(config.plan[i], part) != NULL)
			return true;
	return false;
}

static void
assert_workers(unsigned len, int first, int second, int control)
{
	assert_int_equal(config.dataplane.worker_cpus_len, len);
	assert_int_equal(config.dataplane.worker_cpus[0], first);
	if (len > 1)
		assert_int_equal(config.dataplane.worker_cpus[1], second);
	assert_int_equal(config.dataplane.control_cpu, control);
}

/* ---- plan ------------------------------------------------------------------------------------- */

static void
empty_configuration_is_planned_from_the_card_given_away(void **state)
{
	plan("");
	assert_int_equal(config.dataplane.ports_len, 1);
	assert_string_equal(config.dataplane.ports[0].device, CARD);
	assert_workers(2, 4, 6, 0);
	assert_int_equal(config.dataplane.store.nodes_len, 1);
	assert_int_equal(config.dataplane.store.nodes[0], 1);
	assert_int_equal(config.dataplane.store.memory_bytes, (4096ull - 256) << 20);
	assert_true(plan_says(ROUTE " (eth0, virtio-pci) holds the default route: never taken"));
	assert_true(plan_says("driverctl set-override " KERNEL " vfio-pci"));
	const struct config_origin *origin = config_origin_of(&config, option_find("workers", "cpus"), 0);
	assert_int_equal(origin->source, CONFIG_PLAN);
	config_check(&config);
	assert_int_equal(config.errors, 1);
	assert_non_null(strstr(config.messages[0], "port lan0 has no address"));
}

static void
port_without_device_gets_the_card(void **state)
{
	plan("[port wan]\nipv4 = 10.77.0.2/24\n");
	assert_string_equal(config.dataplane.ports[0].device, CARD);
	config_check(&config);
	assert_int_equal(config.errors, 0);
}

static void
what_the_operator_set_stays(void **state)
{
	plan("[port lan0]\ndevice = net_tap0\nipv4 = 10.77.0.2/24\n[workers]\ncpus = 1\n[memory]\nlimit = "
	     "100m\n"
	     "nodes = 0\n");
	assert_string_equal(config.dataplane.ports[0].device, "net_tap0");
	assert_int_equal(config.dataplane.worker_cpus_len, 1);
	assert_int_equal(config.dataplane.store.memory_bytes, 100 << 20);
	assert_int_equal(config.dataplane.store.nodes[0], 0);
	assert_int_equal(config.plan_len, 0);
}

static void
limit_is_not_planned_for_a_device_of_software(void **state)
{
	plan("[port lan0]\ndevice = net_tap0\nipv4 = 10.77.0.2/24\n");
	assert_int_equal(config.dataplane.store.memory_bytes, 64 << 20);
	assert_workers(3, 2, 4, 0); /* a core each, the first is the control thread's */
}

static void
isolated_cores_are_preferred(void **state)
{
	put(CPU "isolated", "6-7");
	plan("");
	assert_workers(1, 6, 0, 0);
}

static void
nothing_given_away_is_explained(void **state)
{
	put_link(PCI CARD "/driver", "../../../bus/pci/drivers/i40e");
	plan("");
	assert_int_equal(config.dataplane.ports_len, 0);
	assert_true(plan_says("driverctl set-override " CARD " vfio-pci"));
	config_check(&config);
	assert_int_equal(config.errors, 1);
}

static void
card_of_the_default_route_is_refused(void **state)
{
	plan("[port lan0]\ndevice = 00:03.0\nipv4 = 10.77.0.2/24\n");
	assert_int_equal(config.errors, 1);
	assert_string_equal(config.messages[0], "w.conf:2:10: port lan0: 0000:00:03.0 (eth0) holds this "
	                                        "machine's default route: taking it would cut "
	                                        "the machine off; give the port another card");
}

static void
default_route_of_ipv6_counts_too(void **state)
{
	put("/proc/net/route", "Iface\tDestination\tGateway");
	put("/proc/net/ipv6_route",
	    "00000000000000000000000000000000 00 00000000000000000000000000000000 00 "
	    "fe800000000000000000000000000001 00000400 00000001 00000000 00000003     eth1");
	host_scan(&host, root);
	assert_int_equal(host_nic(&host, KERNEL)->use, HOST_NIC_ROUTE);
	assert_int_equal(host_nic(&host, ROUTE)->use, HOST_NIC_KERNEL);
}

static void
machine_that_shows_nothing_is_planned_for_nothing(void **state)
{
	config_init(&config);
	host_scan(&host, "/nonexistent");
	plan_config(&config, &host, NULL);
	assert_int_equal(config.dataplane.worker_cpus_len, 0);
	assert_int_equal(config.dataplane.ports_len, 0);
}

/* ---- doctor ----------------------------------------------------------------------------------- */

static json_t *rows;
static unsigned failing;

static void
examine(const char *text, bool quick)
{
	plan(text);
	json_decref(rows);
	rows = doctor_run(&config, root, false, quick, &failing);
}

#define GOOD "[port lan0]\ndevice = " CARD "\nipv4 = 10.77.0.2/24\n"

/* The first row of that check that is not ok, or NULL. */
static const json_t *
complaint(const char *check)
{
	size_t at;
	json_t *row;
	json_array_foreach (rows, at, row)
		if (strcmp(json_string_value(json_object_get(row, "check")), check) == 0 &&
		    strcmp(json_string_value(json_object_get(row, "state")), "ok") != 0)
			return row;
	return NULL;
}

static const char *
fix_of(const char *check)
{
	const json_t *row = complaint(check);
	assert_non_null(row);
	return json_string_value(json_object_get(row, "fix"));
}

static void
good_machine_has_nothing_failing(void **state)
{
	put("/sys/kernel/iommu_groups/1/x", "");
	examine(GOOD "[memory]\nlimit = 1g\n", false);
	assert_int_equal(failing, 0);
	assert_null(complaint("hugepages"));
	assert_null(complaint("card"));
	assert_null(complaint("iommu"));
	assert_null(complaint("clock"));
	assert_null(complaint("capabilities"));
}

static void
hugepages_too_few_are_failing_and_the_fix_reserves_them(void **state)
{
	examine(GOOD "[memory]\nlimit = 6g\n", false);
	assert_int_equal(failing, 1);
	const json_t *row = complaint("hugepages");
	assert_true(json_is_true(json_object_get(row, "safe")));
	assert_int_equal(system(fix_of("hugepages")), 0);
	assert_true(atoi(content(NODE "node1/hugepages/hugepages-2048kB/nr_hugepages")) > 3072);
	assert_string_equal(content(NODE "node0/hugepages/hugepages-2048kB/nr_hugepages"), "2048");
}

static void
hugepages_beyond_what_is_free_are_no_safe_fix(void **state)
{
	examine(GOOD "[memory]\nlimit = 60g\n", false);
	assert_false(json_is_true(json_object_get(complaint("hugepages"), "safe")));
}

static void
stale_files_are_removed_by_the_fix(void **state)
{
	put("/dev/hugepages/wirecachemap_7", "");
	put("/dev/hugepages/othermap_7", "");
	examine(GOOD, false);
	assert_true(json_is_true(json_object_get(complaint("stale hugepage files"), "safe")));
	assert_int_equal(system(fix_of("stale hugepage files")), 0);
	examine(GOOD, false);
	assert_null(complaint("stale hugepage files"));
	char path[128];
	snprintf(path, sizeof(path), "%s/dev/hugepages/othermap_7", root);
	assert_int_equal(access(path, F_OK), 0);
}

/* As the process that maps it holds it. */
static int
lock_file(const char *name)
{
	char path[160];
	snprintf(path, sizeof(path), "%s%s", root, name);
	int fd = open(path, O_RDWR);
	assert_int_equal(flock(fd, LOCK_SH | LOCK_NB), 0);
	return fd;
}

static void
files_in_use_are_not_stale_whatever_the_socket_says(void **state)
{
	put("/dev/hugepages/wirecachemap_7", "");
	put("/dev/hugepages/wirecachemap_8", "");
	int fd = lock_file("/dev/hugepages/wirecachemap_8");
	examine(GOOD, false);
	assert_null(complaint("stale hugepage files"));
	close(fd);
	examine(GOOD, false);
	assert_non_null(complaint("stale hugepage files"));
}

static void
item_files_are_stale_without_warm_restart_and_their_process(void **state)
{
	put("/dev/shm/wirecache.items.0", "");
	put("/dev/shm/wirecache.node1.items.0", "");
	int fd = lock_file("/dev/shm/wirecache.items.0");
	examine(GOOD, false);
	assert_null(complaint("stale item files"));
	close(fd);
	examine(GOOD "[memory]\nwarm_restart = yes\n", false);
	assert_null(complaint("stale item files"));
	examine(GOOD, false);
	assert_false(json_is_true(json_object_get(complaint("stale item files"), "safe")));
	assert_int_equal(system(fix_of("stale item files")), 0);
	examine(GOOD, false);
	assert_null(complaint("stale item files"));
}

static void
words_that_a_shell_would_run_are_in_no_safe_fix(void **state)
{
	put("/proc/mounts", "nodev /$(true) hugetlbfs rw 0 0");
	put("/$(true)/wirecachemap_7", "");
	examine(GOOD, false);
	assert_false(json_is_true(json_object_get(complaint("stale hugepage files"), "safe")));
}

static void
card_of_the_kernel_is_failing_with_the_lasting_fix(void **state)
{
	examine("[port lan0]\ndevice = " KERNEL "\nipv4 = 10.77.0.2/24\n", true);
	assert_string_equal(fix_of("card"), "driverctl set-override " KERNEL " vfio-pci");
	assert_true(failing >= 1);
}

static void
group_shared_with_others_is_failing(void **state)
{
	put(PCI CARD "/iommu_group/devices/" CARD, "");
	put(PCI CARD "/iommu_group/devices/0000:3b:00.1", "");
	put(PCI "0000:3b:00.1/class", "0x010700");
	put(PCI CARD "/iommu_group/devices/0000:3a:00.0", "");
	put(PCI "0000:3a:00.0/class", "0x060400");
	examine(GOOD, true);
	assert_non_null(
	    strstr(json_string_value(json_object_get(complaint("iommu group"), "detail")), "1 other"));
}

static void
cores_are_looked_at_and_fixed(void **state)
{
	put(CPU "cpu4/cpufreq/scaling_governor", "powersave");
	put(CPU "cpu6/cpuidle/state0/name", "POLL");
	put(CPU "cpu6/cpuidle/state0/latency", "0");
	put(CPU "cpu6/cpuidle/state1/name", "C6");
	put(CPU "cpu6/cpuidle/state1/latency", "133");
	put(CPU "cpu6/cpuidle/state1/disable", "0");
	put("/proc/77/comm", "irqbalance");
	put("/proc/cpuinfo", "flags : tsc");
	examine(GOOD, false);
	assert_non_null(strstr(fix_of("isolation"), "isolcpus=4,6 nohz_full=4,6 rcu_nocbs=4,6"));
	assert_string_equal(fix_of("irqbalance"), "systemctl disable --now irqbalance");
	assert_non_null(strstr(fix_of("siblings"), "cpu5/online"));
	assert_non_null(complaint("clock"));
	assert_int_equal(system(fix_of("governor")), 0);
	assert_string_equal(content(CPU "cpu4/cpufreq/scaling_governor"), "performance");
	assert_int_equal(system(fix_of("sleep states")), 0);
	assert_string_equal(content(CPU "cpu6/cpuidle/state1/disable"), "1");
	examine(GOOD, false);
	assert_null(complaint("governor"));
	assert_null(complaint("sleep states"));
}

static void
isolated_kernel_arguments_are_enough(void **state)
{
	put(CPU "isolated", "4,6");
	put("/proc/cmdline", "isolcpus=4,6 nohz_full=4,6 rcu_nocbs=4,6");
	examine(GOOD, false);
	assert_null(complaint("isolation"));
}

static void
lanes_nodes_and_rights_are_looked_at(void **state)
{
	put(PCI CARD "/current_link_width", "8");
	put(PCI CARD "/max_link_width", "16");
	put("/proc/self/limits", "Max locked memory         65536                65536                bytes");
	put("/proc/self/status", "CapEff:\t0000000000000000");
	examine(GOOD "[workers]\ncpus = 0\n", false);
	assert_non_null(complaint("pcie"));
	assert_non_null(complaint("numa"));
	assert_non_null(strstr(fix_of("locked memory"), "LimitMEMLOCK=infinity"));
	assert_non_null(strstr(fix_of("capabilities"), "--cap-add NET_ADMIN"));
	assert_non_null(strstr(fix_of("iommu"), "intel_iommu=on iommu=pt"));
}

static void
mistakes_of_the_configuration_are_failing(void **state)
{
	examine("[memory]\nlimt = 1\n", true);
	assert_non_null(complaint("configuration"));
	assert_true(failing >= 1);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(empty_configuration_is_planned_from_the_card_given_away),
	    TEST(port_without_device_gets_the_card),
	    TEST(what_the_operator_set_stays),
	    TEST(limit_is_not_planned_for_a_device_of_software),
	    TEST(isolated_cores_are_preferred),
	    TEST(nothing_given_away_is_explained),
	    TEST(card_of_the_default_route_is_refused),
	    TEST(default_route_of_ipv6_counts_too),
	    TEST(machine_that_shows_nothing_is_planned_for_nothing),
	    TEST(good_machine_has_nothing_failing),
	    TEST(hugepages_too_few_are_failing_and_the_fix_reserves_them),
	    TEST(hugepages_beyond_what_is_free_are_no_safe_fix),
	    TEST(stale_files_are_removed_by_the_fix),
	    TEST(files_in_use_are_not_stale_whatever_the_socket_says),
	    TEST(item_files_are_stale_without_warm_restart_and_their_process),
	    TEST(words_that_a_shell_would_run_are_in_no_safe_fix),
	    TEST(card_of_the_kernel_is_failing_with_the_lasting_fix),
	    TEST(group_shared_with_others_is_failing),
	    TEST(cores_are_looked_at_and_fixed),
	    TEST(isolated_kernel_arguments_are_enough),
	    TEST(lanes_nodes_and_rights_are_looked_at),
	    TEST(mistakes_of_the_configuration_are_failing),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	json_decref(rows);
	return failed;
}
