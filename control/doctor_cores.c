/*
 * The workers' cores: who else runs there, whether they sleep deeply or slow down, and whether the clock can be trusted.
 */
#include "control/doctor.h"

#include <ctype.h>
#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define DEEP_US    10u /* waking from a sleep state costs more than this: too deep */
#define STATES_MAX 16u
#define LIST_MAX   256u

static void
list_cores(const struct dataplane_config *config, char out[LIST_MAX])
{
	size_t used = 0;
	*out = '\0';
	for (unsigned i = 0; i < config->worker_cpus_len && used < LIST_MAX; i++)
		used += (size_t)snprintf(
		    out + used, LIST_MAX - used, "%s%d", i > 0 ? "," : "", config->worker_cpus[i]);
}

static void
check_isolation(struct doctor *doctor, const char *list)
{
	const struct dataplane_config *config = &doctor->config->dataplane;
	static char line[4096];
	char fix[HOST_PATH_MAX + 3 * LIST_MAX];
	unsigned open = 0;
	host_read(doctor->host, line, sizeof(line), "/proc/cmdline");
	for (unsigned i = 0; i < config->worker_cpus_len; i++) {
		const struct host_cpu *cpu = host_cpu(doctor->host, config->worker_cpus[i]);
		open += cpu != NULL && !cpu->isolated;
	}
	if (open == 0 && strstr(line, "nohz_full=") != NULL && strstr(line, "rcu_nocbs=") != NULL) {
		doctor_add(doctor, "isolation", DOCTOR_OK, false, "", "cpu %s are the workers' alone", list);
		return;
	}
	snprintf(fix, sizeof(fix),
	    "sed -i 's/^GRUB_CMDLINE_LINUX=\"/&isolcpus=%s nohz_full=%s rcu_nocbs=%s /' /etc/default/grub && "
	    "update-grub && reboot",
	    list, list, list);
	doctor_add(doctor, "isolation", DOCTOR_ADVICE, false, fix,
	    "the kernel may run other work on the workers' cpu %s", list);
}

static bool
runs(const struct host *host, const char *name)
{
	char path[HOST_PATH_MAX], comm[HOST_WORD_MAX];
	bool found = false;
	snprintf(path, sizeof(path), "%s/proc", host->root);
	DIR *dir = opendir(path);
	struct dirent *entry;
	while (dir != NULL && !found && (entry = readdir(dir)) != NULL)
		found = isdigit((unsigned char)entry->d_name[0]) &&
		        host_read(host, comm, sizeof(comm), "/proc/%.20s/comm", entry->d_name) &&
		        strcmp(comm, name) == 0;
	if (dir != NULL)
		closedir(dir);
	return found;
}

static void
check_siblings(struct doctor *doctor)
{
	const struct dataplane_config *config = &doctor->config->dataplane;
	for (unsigned i = 0; i < config->worker_cpus_len; i++) {
		const struct host_cpu *own = host_cpu(doctor->host, config->worker_cpus[i]);
		for (unsigned j = 0; own != NULL && j < doctor->host->cpus_len; j++) {
			const struct host_cpu *other = &doctor->host->cpus[j];
			char fix[HOST_PATH_MAX];
			if (other->core != own->core || other->cpu == own->cpu)
				continue;
			snprintf(fix, sizeof(fix), "echo 0 >%s/sys/devices/system/cpu/cpu%d/online",
			    doctor->host->root, other->cpu);
			doctor_add(doctor, "siblings", DOCTOR_ADVICE, false, fix,
			    "cpu %d shares its core with worker cpu %d: keep it idle or offline", other->cpu,
			    own->cpu);
		}
	}
}

static void
check_governor(struct doctor *doctor, int cpu)
{
	char governor[HOST_WORD_MAX], fix[HOST_PATH_MAX];
	if (!host_read(doctor->host, governor, sizeof(governor),
	        "/sys/devices/system/cpu/cpu%d/cpufreq/scaling_governor", cpu) ||
	    strcmp(governor, "performance") == 0)
		return;
	snprintf(fix, sizeof(fix),
	    "echo performance >%s/sys/devices/system/cpu/cpu%d/cpufreq/scaling_governor", doctor->host->root,
	    cpu);
	doctor_add(doctor, "governor", DOCTOR_ADVICE, true, fix, "cpu %d is governed by %s", cpu, governor);
}

static void
check_sleep_states(struct doctor *doctor, int cpu)
{
	char name[HOST_WORD_MAX], fix[HOST_PATH_MAX];
	for (unsigned state = 0; state < STATES_MAX; state++) {
		if (!host_read(doctor->host, name, sizeof(name),
		        "/sys/devices/system/cpu/cpu%d/cpuidle/state%u/name", cpu, state))
			return;
		uint64_t latency_us = host_number(
		    doctor->host, 0, "/sys/devices/system/cpu/cpu%d/cpuidle/state%u/latency", cpu, state);
		if (latency_us <= DEEP_US ||
		    host_number(doctor->host, 0, "/sys/devices/system/cpu/cpu%d/cpuidle/state%u/disable", cpu,
		        state) != 0)
			continue;
		snprintf(fix, sizeof(fix), "echo 1 >%s/sys/devices/system/cpu/cpu%d/cpuidle/state%u/disable",
		    doctor->host->root, cpu, state);
		doctor_add(doctor, "sleep states", DOCTOR_ADVICE, true, fix,
		    "cpu %d may enter %s, from which it wakes after %" PRIu64 " us", cpu, name, latency_us);
	}
}

static void
check_clock(struct doctor *doctor)
{
	static char text[16384];
	if (!host_read(doctor->host, text, sizeof(text), "/proc/cpuinfo"))
		return;
	bool steady = strstr(text, "constant_tsc") != NULL && strstr(text, "nonstop_tsc") != NULL;
	doctor_add(doctor, "clock", steady ? DOCTOR_OK : DOCTOR_ADVICE, false, "",
	    steady ? "the TSC is constant and never stops"
	           : "the TSC lacks constant_tsc or nonstop_tsc: timers drift when cores change their speed");
}

void
doctor_cores(struct doctor *doctor)
{
	const struct dataplane_config *config = &doctor->config->dataplane;
	char list[LIST_MAX];
	list_cores(config, list);
	if (config->worker_cpus_len > 0)
		check_isolation(doctor, list);
	if (runs(doctor->host, "irqbalance"))
		doctor_add(doctor, "irqbalance", DOCTOR_ADVICE, false, "systemctl disable --now irqbalance",
		    "irqbalance may move interrupts to the workers' cpus");
	check_siblings(doctor);
	for (unsigned i = 0; i < config->worker_cpus_len; i++) {
		check_governor(doctor, config->worker_cpus[i]);
		check_sleep_states(doctor, config->worker_cpus[i]);
	}
	check_clock(doctor);
}
