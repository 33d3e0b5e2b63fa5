/*
 * The EAL: its arguments are worked out from the configuration, never given by hand. Lcore 0 is the control
 * thread, lcores 1..N are the workers, on cpus that may repeat (several workers on one cpu, for tests).
 *
 * Only devices that the configuration names are touched: PCI devices by an allow-list, none if there are
 * none.
 */
#include "dataplane/internal.h"

#include <dirent.h>
#include <errno.h>
#include <ftw.h>
#include <glob.h>
#include <mntent.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_lcore.h>

#define EAL_ARGS_MAX    48
#define VERBOSITY_DPDK  3u  /* wirecache.verbosity at which DPDK's own messages are shown */
#define EAL_OVERHEAD_MB 48u /* rings, port structures, malloc's own needs */
#define SINGLE_FILES    "--single-file-segments"
#define HUGEPAGE_DIR    "/sys/kernel/mm/hugepages"

struct eal_args {
	char *argv[EAL_ARGS_MAX + 1];
	char *owned[EAL_ARGS_MAX]; /* the same before the EAL permuted and overwrote them */
	int argc;
	bool failed;
};

static __attribute__((format(printf, 2, 3))) void
arg_add(struct eal_args *args, const char *format, ...)
{
	va_list list;
	char *text;
	int rc;

	va_start(list, format);
	rc = vasprintf(&text, format, list);
	va_end(list);
	if (rc < 0 || args->argc == EAL_ARGS_MAX) {
		args->failed = true;
		if (rc >= 0)
			free(text);
		return;
	}
	args->owned[args->argc] = text;
	args->argv[args->argc++] = text;
}

unsigned
dataplane_mbufs(const struct dataplane_config *config)
{
	unsigned mbufs = 0;

	if (config->mbufs_per_worker)
		return config->mbufs_per_worker;
	for (unsigned i = 0; i < config->ports_len; i++)
		mbufs += config->ports[i].rx_descriptors + config->ports[i].tx_descriptors + WORKER_TX_MAX;
	/* As much again for what is under way: reassembly, out-of-order segments, a UDP reply of 1 MiB. */
	return RTE_MAX(mbufs * 2, 8191u);
}

static uint64_t
packet_memory_bytes(const struct dataplane *dataplane)
{
	uint64_t pools = ((uint64_t)dataplane_mbufs(&dataplane->config) * DATAPLANE_MBUF_BYTES +
	                     DATAPLANE_HEADS * DATAPLANE_HEAD_BYTES) *
	                 dataplane->workers_len;

	return pools + pools / 16 + ((uint64_t)EAL_OVERHEAD_MB << 20);
}

/* Free hugepages of all sizes, in bytes. */
static uint64_t
hugepages_free_bytes(void)
{
	DIR *dir = opendir(HUGEPAGE_DIR);
	struct dirent *entry;
	uint64_t bytes = 0;

	while (dir && (entry = readdir(dir))) {
		char path[sizeof(HUGEPAGE_DIR) + sizeof(entry->d_name) + 32];
		unsigned long kb, count;
		FILE *file;

		if (sscanf(entry->d_name, "hugepages-%lukB", &kb) != 1)
			continue;
		snprintf(path, sizeof(path), HUGEPAGE_DIR "/%s/free_hugepages", entry->d_name);
		file = fopen(path, "re");
		if (file && fscanf(file, "%lu", &count) == 1)
			bytes += (uint64_t)kb * 1024 * count;
		if (file)
			fclose(file);
	}
	if (dir)
		closedir(dir);
	return bytes;
}

bool
eal_hugetlbfs(char dir[DATAPLANE_DEVICE_MAX])
{
	FILE *mounts = setmntent("/proc/mounts", "re");
	struct mntent *entry;
	bool found = false;

	while (mounts && !found && (entry = getmntent(mounts))) {
		found = strcmp(entry->mnt_type, "hugetlbfs") == 0;
		if (found)
			snprintf(dir, DATAPLANE_DEVICE_MAX, "%s", entry->mnt_dir);
	}
	if (mounts)
		endmntent(mounts);
	return found;
}

/* The first port that is a PCI device: its driver needs packets on hugepages. */
static const struct dataplane_port_config *
pci_port(const struct dataplane_config *config)
{
	for (unsigned i = 0; i < config->ports_len; i++)
		if (port_device_is_pci(config->ports[i].device))
			return &config->ports[i];
	return NULL;
}

static int
hugepages_choose(struct dataplane *dataplane, char error[DATAPLANE_ERROR_MAX])
{
	uint64_t need = packet_memory_bytes(dataplane), have = hugepages_free_bytes();
	const struct dataplane_port_config *pci = pci_port(&dataplane->config);
	enum dataplane_hugepages wanted = dataplane->config.hugepages;
	char who[2 * DATAPLANE_NAME_MAX + 64] = "memory.hugepages is on";

	char mount[DATAPLANE_DEVICE_MAX];
	bool mounted = eal_hugetlbfs(mount);

	dataplane->eal_hugepages = mounted && have >= need && wanted != DATAPLANE_HUGEPAGES_OFF;
	if (dataplane->eal_hugepages || (!pci && wanted != DATAPLANE_HUGEPAGES_ON))
		return 0;
	if (pci)
		snprintf(who, sizeof(who), "port %s: the PCI device %.31s needs packets on hugepages",
		    pci->name, pci->device);
	if (wanted == DATAPLANE_HUGEPAGES_OFF)
		snprintf(error, DATAPLANE_ERROR_MAX, "%s, but memory.hugepages is off: set it to auto", who);
	else
		snprintf(error, DATAPLANE_ERROR_MAX,
		    "%s, but %" PRIu64 " MB are needed for packets and %" PRIu64
		    " MB are free%s: reserve more with "
		    "scripts/hugepages",
		    who, need >> 20, have >> 20, mounted ? "" : " (and no hugetlbfs is mounted)");
	return -ENOMEM;
}

/* Workers take the last cpus of those allowed, the control thread the first, so that they share only if they
 * must. */
static int
cpus_choose(struct dataplane *dataplane, char error[DATAPLANE_ERROR_MAX])
{
	const struct dataplane_config *config = &dataplane->config;
	int allowed[CPU_SETSIZE];
	unsigned allowed_len = 0;
	cpu_set_t set;

	if (sched_getaffinity(0, sizeof(set), &set) != 0)
		return -errno;
	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
		if (CPU_ISSET(cpu, &set))
			allowed[allowed_len++] = cpu;
	for (unsigned i = 0; i < config->worker_cpus_len; i++) {
		if (config->worker_cpus[i] >= CPU_SETSIZE || !CPU_ISSET(config->worker_cpus[i], &set)) {
			snprintf(error, DATAPLANE_ERROR_MAX,
			    "workers.cpus names cpu %d, which this process may not use: it may use %u cpus, "
			    "the last is %d",
			    config->worker_cpus[i], allowed_len, allowed[allowed_len - 1]);
			return -EINVAL;
		}
	}
	if (config->control_cpu >= 0 && !CPU_ISSET(config->control_cpu, &set)) {
		snprintf(error, DATAPLANE_ERROR_MAX,
		    "workers.control_cpu names cpu %d, which this process may not use", config->control_cpu);
		return -EINVAL;
	}
	if (config->workers)
		dataplane->workers_len = config->workers;
	else if (config->worker_cpus_len)
		dataplane->workers_len = config->worker_cpus_len;
	else
		dataplane->workers_len = RTE_MIN(RTE_MAX(allowed_len, 2u) - 1, DATAPLANE_WORKERS_MAX);
	for (unsigned i = 0; i < dataplane->workers_len; i++)
		dataplane->cpus[i] = config->worker_cpus_len
		                         ? config->worker_cpus[i % config->worker_cpus_len]
		                         : allowed[allowed_len - 1 - i % allowed_len];
	if (dataplane->config.control_cpu < 0)
		dataplane->config.control_cpu = allowed[0];
	return 0;
}

static void
args_fill(struct eal_args *args, const struct dataplane *dataplane, const char *program)
{
	const struct dataplane_config *config = &dataplane->config;
	char lcores[DATAPLANE_WORKERS_MAX * 12 + 16];
	int used = snprintf(lcores, sizeof(lcores), "0@%d", config->control_cpu);
	bool pci = false;

	for (unsigned i = 0; i < dataplane->workers_len; i++)
		used += snprintf(lcores + used, sizeof(lcores) - used, ",%u@%d", i + 1, dataplane->cpus[i]);
	arg_add(args, "%s", program);
	arg_add(args, "--lcores=%s", lcores);
	arg_add(args, "--main-lcore=0");
	arg_add(args, "--file-prefix=%s", config->file_prefix);
	arg_add(args, "--log-level=*:%s", config->verbosity >= VERBOSITY_DPDK ? "info" : "warning");
	if (dataplane->eal_hugepages) {
		/* A peer maps single files by name, so those stay until eal_stop(). */
		if (!strstr(config->eal_args, SINGLE_FILES))
			arg_add(args, "--huge-unlink=always");
	} else {
		arg_add(args, "--no-huge");
		arg_add(args, "-m");
		arg_add(args, "%" PRIu64, packet_memory_bytes(dataplane) >> 20);
	}
	for (unsigned i = 0; i < config->ports_len; i++) {
		bool is_pci = port_device_is_pci(config->ports[i].device);

		arg_add(args, is_pci ? "--allow=%s" : "--vdev=%s", config->ports[i].device);
		pci |= is_pci;
	}
	if (!pci)
		arg_add(args, "--no-pci");
	if (config->eal_args[0]) {
		char copy[DATAPLANE_DEVICE_MAX], *state, *word;

		snprintf(copy, sizeof(copy), "%s", config->eal_args);
		for (word = strtok_r(copy, " ", &state); word; word = strtok_r(NULL, " ", &state))
			arg_add(args, "%s", word);
	}
}

static int
remove_entry(const char *path, const struct stat *stat, int type, struct FTW *ftw)
{
	return remove(path);
}

/* What an instance of this prefix left behind when it died, and what the EAL leaves of every instance. */
static void
runtime_dir_remove(const char *dir)
{
	if (dir[0])
		nftw(dir, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

static void
hugepage_files_remove(const char *prefix)
{
	char mount[DATAPLANE_DEVICE_MAX], pattern[2 * DATAPLANE_DEVICE_MAX];
	glob_t found;

	if (!eal_hugetlbfs(mount))
		return;
	snprintf(pattern, sizeof(pattern), "%s/%smap_*", mount, prefix);
	if (glob(pattern, 0, NULL, &found) != 0)
		return;
	for (size_t i = 0; i < found.gl_pathc; i++)
		unlink(found.gl_pathv[i]);
	globfree(&found);
}

/*
 * Drivers talk at start about what the kernel lacks and they do without. It is kept, and shown only when the start fails
 * or the operator wants to hear it.
 */
void
eal_log_begin(struct dataplane *dataplane)
{
	dataplane->log_stream = open_memstream(&dataplane->log_text, &dataplane->log_len);
	if (dataplane->log_stream)
		rte_openlog_stream(dataplane->log_stream);
}

void
eal_log_end(struct dataplane *dataplane, bool show)
{
	if (!dataplane->log_stream)
		return;
	rte_openlog_stream(stderr);
	fclose(dataplane->log_stream);
	dataplane->log_stream = NULL;
	if (show)
		fwrite(dataplane->log_text, 1, dataplane->log_len, stderr);
	free(dataplane->log_text);
	dataplane->log_text = NULL;
}

int
eal_start(struct dataplane *dataplane, const char *program, char error[DATAPLANE_ERROR_MAX])
{
	struct eal_args args = {0};
	sigset_t realtime, before;
	int rc;

	rc = cpus_choose(dataplane, error);
	if (rc == 0)
		rc = hugepages_choose(dataplane, error);
	if (rc != 0)
		return rc;
	args_fill(&args, dataplane, program);
	if (args.failed) {
		snprintf(error, DATAPLANE_ERROR_MAX, "too many EAL arguments: shorten wirecache.eal_args");
		rc = -E2BIG;
		goto done;
	}
	/* The signals by which a TAP tells of packets belong to the workers: every other thread inherits this
	 * mask. */
	sigemptyset(&realtime);
	for (int s = SIGRTMIN; s <= SIGRTMAX; s++)
		sigaddset(&realtime, s);
	pthread_sigmask(SIG_BLOCK, &realtime, &before);
	if (rte_eal_init(args.argc, args.argv) < 0) {
		snprintf(error, DATAPLANE_ERROR_MAX, "DPDK's EAL did not start: %s%s",
		    rte_strerror(rte_errno),
		    rte_errno == EEXIST || rte_errno == EAGAIN
		        ? ": is another instance running with this wirecache.instance?"
		        : ": the lines above say why");
		snprintf(
		    dataplane->runtime_dir, sizeof(dataplane->runtime_dir), "%s", rte_eal_get_runtime_dir());
		/* Another instance's directory stays. */
		if (!rte_eal_primary_proc_alive(NULL))
			runtime_dir_remove(dataplane->runtime_dir);
		rc = -EIO;
		goto done;
	}
	dataplane->eal_started = true;
	snprintf(dataplane->runtime_dir, sizeof(dataplane->runtime_dir), "%s", rte_eal_get_runtime_dir());
done:
	for (int i = 0; i < args.argc; i++)
		free(args.owned[i]);
	return rc;
}

void
eal_stop(struct dataplane *dataplane)
{
	if (!dataplane->eal_started)
		return;
	rte_eal_cleanup();
	runtime_dir_remove(dataplane->runtime_dir);
	if (dataplane->eal_hugepages)
		hugepage_files_remove(dataplane->config.file_prefix);
	dataplane->eal_started = false;
}
