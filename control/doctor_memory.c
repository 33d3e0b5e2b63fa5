/*
 * Hugepages, what crashed instances left of them, and what this process may do.
 */
#include "control/doctor.h"

#include <dirent.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define HUGEPAGE_BYTES    ((uint64_t)2 << 20)
#define PACKET_BYTES      2496u /* a buffer with its header, about */
#define PACKETS_LEAST     8191u
#define EAL_BYTES         ((uint64_t)48 << 20)
#define CAP_IPC_LOCK_BIT  14
#define CAP_SYS_ADMIN_BIT 21
#define CAP_NET_ADMIN_BIT 12

static bool
node_has_workers(const struct doctor *doctor, int node)
{
	const struct dataplane_config *config = &doctor->config->dataplane;
	for (unsigned i = 0; i < config->worker_cpus_len; i++) {
		const struct host_cpu *cpu = host_cpu(doctor->host, config->worker_cpus[i]);
		if (cpu != NULL && (cpu->node == node || cpu->node < 0))
			return true;
	}
	return config->worker_cpus_len == 0;
}

static bool
node_has_items(const struct store_config *store, int node)
{
	for (unsigned i = 0; i < store->nodes_len; i++)
		if (store->nodes[i] == node)
			return true;
	return false;
}

/* Packets where workers are, items where they are configured to be, else with the workers. */
static uint64_t
node_need(const struct doctor *doctor, int node)
{
	const struct dataplane_config *config = &doctor->config->dataplane;
	uint64_t need = 0;
	unsigned packets =
	    config->mbufs_per_worker > PACKETS_LEAST ? config->mbufs_per_worker : PACKETS_LEAST;
	unsigned workers = config->worker_cpus_len > 0 ? config->worker_cpus_len : 1, nodes = 0;
	for (unsigned i = 0; i < doctor->host->nodes_len; i++)
		nodes += node_has_workers(doctor, doctor->host->nodes[i].node);
	if (node_has_workers(doctor, node))
		need += EAL_BYTES + (uint64_t)packets * PACKET_BYTES * workers / (nodes > 0 ? nodes : 1);
	if (config->store.nodes_len > 0 && node_has_items(&config->store, node))
		need += config->store.memory_bytes / config->store.nodes_len;
	else if (config->store.nodes_len == 0 && node_has_workers(doctor, node))
		need += config->store.memory_bytes / (nodes > 0 ? nodes : 1);
	return (need + HUGEPAGE_BYTES - 1) / HUGEPAGE_BYTES * HUGEPAGE_BYTES;
}

static void
check_hugepages(struct doctor *doctor, const struct host_node *node)
{
	const struct host *host = doctor->host;
	uint64_t need = node_need(doctor, node->node), have = node->huge_free_bytes;
	char fix[HOST_PATH_MAX];
	bool needed = doctor->config->dataplane.hugepages == DATAPLANE_HUGEPAGES_ON;
	for (unsigned i = 0; i < doctor->config->dataplane.ports_len; i++)
		needed |= host_nic(host, doctor->config->dataplane.ports[i].device) != NULL;
	if (doctor->config->dataplane.hugepages == DATAPLANE_HUGEPAGES_OFF || need == 0 || doctor->running ||
	    have >= need) {
		doctor_add(doctor, "hugepages", DOCTOR_OK, false, "",
		    "node %d: %" PRIu64 " MB needed, %" PRIu64 " MB free%s", node->node, need >> 20,
		    have >> 20, doctor->running ? " beside what is in use" : "");
		return;
	}
	snprintf(fix, sizeof(fix),
	    "echo %" PRIu64 " >%s/sys/devices/system/node/node%d/hugepages/hugepages-2048kB/nr_hugepages",
	    (node->huge_bytes + need - have + HUGEPAGE_BYTES - 1) / HUGEPAGE_BYTES, host->root, node->node);
	/* With so little left over, reserving would push others out. */
	bool safe = node->free_bytes > need - have + need / 2;
	doctor_add(doctor, "hugepages", needed ? DOCTOR_FAILING : DOCTOR_ADVICE, safe, fix,
	    "node %d: %" PRIu64 " MB needed for packets and items, %" PRIu64 " MB free", node->node,
	    need >> 20, have >> 20);
}

/* Where hugetlbfs is mounted; false: nowhere. */
static bool
find_mount(const struct host *host, char out[HOST_PATH_MAX])
{
	static char text[65536];
	char *line, *state, mount[HOST_PATH_MAX / 2], type[HOST_WORD_MAX];
	host_read(host, text, sizeof(text), "/proc/mounts");
	for (line = strtok_r(text, "\n", &state); line != NULL; line = strtok_r(NULL, "\n", &state))
		if (sscanf(line, "%*s %255s %63s", mount, type) == 2 && strcmp(type, "hugetlbfs") == 0) {
			snprintf(out, HOST_PATH_MAX, "%s%s", host->root, mount);
			return true;
		}
	return false;
}

struct leftovers {
	unsigned used, stale;
	uint64_t stale_bytes; /* that they take */
};

/* Whoever maps such a file holds a lock on it, which ends with the process: no socket or number of a process can lie so. */
static void
look_at(const char *directory, const char *name, struct leftovers *found)
{
	char path[HOST_PATH_MAX + NAME_MAX];
	struct stat status;
	snprintf(path, sizeof(path), "%s/%s", directory, name);
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0 || fstat(fd, &status) != 0 || flock(fd, LOCK_EX | LOCK_NB) != 0) {
		found->used++;
	} else {
		found->stale++;
		found->stale_bytes += (uint64_t)status.st_blocks * 512;
	}
	if (fd >= 0)
		close(fd);
}

/* Files of the instance whose names go on with `kind`. */
static struct leftovers
find_files(const char *directory, const char *instance, const char *kind)
{
	struct leftovers found = {0};
	size_t len = strlen(instance);
	DIR *dir = opendir(directory);
	struct dirent *entry;
	while (dir != NULL && (entry = readdir(dir)) != NULL)
		if (strncmp(entry->d_name, instance, len) == 0 && fnmatch(kind, entry->d_name + len, 0) == 0)
			look_at(directory, entry->d_name, &found);
	if (dir != NULL)
		closedir(dir);
	return found;
}

static void
check_stale_files(struct doctor *doctor, const char *mount)
{
	const char *prefix = doctor->config->dataplane.file_prefix;
	char fix[HOST_PATH_MAX + HOST_WORD_MAX];
	struct leftovers found = find_files(mount, prefix, "map_*");
	if (found.stale == 0 || found.used > 0) {
		doctor_add(doctor, "stale hugepage files", DOCTOR_OK, false, "",
		    found.used > 0 ? "none in %s, %u are in use" : "none in %s", mount, found.used);
		return;
	}
	snprintf(fix, sizeof(fix), "rm -f %s/%smap_*", mount, prefix);
	doctor_add(doctor, "stale hugepage files", DOCTOR_ADVICE, doctor_plain(mount), fix,
	    "%u files of an instance that is gone hold pages in %s", found.stale, mount);
}

/* Of items, which only warm restart has a use for. The next start removes them; until then they hold memory. */
static void
check_item_files(struct doctor *doctor, const char *directory)
{
	const struct dataplane_config *config = &doctor->config->dataplane;
	char fix[HOST_PATH_MAX + HOST_WORD_MAX];
	struct leftovers whole = find_files(directory, config->file_prefix, ".items.*"),
	                 nodes = find_files(directory, config->file_prefix, ".node*.items.*");
	if (config->warm_restart || whole.stale + nodes.stale == 0 || whole.used + nodes.used > 0)
		return;
	snprintf(fix, sizeof(fix), "rm -f %s/%s.items.* %s/%s.node*.items.*", directory, config->file_prefix,
	    directory, config->file_prefix);
	doctor_add(doctor, "stale item files", DOCTOR_ADVICE, false, fix,
	    "%u files in %s hold %" PRIu64
	    " MB of items of an instance that is gone, and memory.warm_restart is off",
	    whole.stale + nodes.stale, directory, (whole.stale_bytes + nodes.stale_bytes) >> 20);
}

static void
check_item_directories(struct doctor *doctor, const char *mount)
{
	char directory[HOST_PATH_MAX];
	const char *chosen = doctor->config->dataplane.restart_dir;
	snprintf(
	    directory, sizeof(directory), "%s%s", doctor->host->root, *chosen != '\0' ? chosen : "/dev/shm");
	check_item_files(doctor, directory);
	if (*chosen == '\0' && *mount != '\0')
		check_item_files(doctor, mount);
}

void
doctor_memory(struct doctor *doctor)
{
	char mount[HOST_PATH_MAX] = "";
	for (unsigned i = 0; i < doctor->host->nodes_len; i++)
		if (node_need(doctor, doctor->host->nodes[i].node) > 0)
			check_hugepages(doctor, &doctor->host->nodes[i]);
	if (find_mount(doctor->host, mount))
		check_stale_files(doctor, mount);
	else if (doctor->config->dataplane.hugepages != DATAPLANE_HUGEPAGES_OFF)
		doctor_add(doctor, "hugetlbfs", DOCTOR_ADVICE, *doctor->host->root == '\0',
		    "mkdir -p /dev/hugepages && mount -t hugetlbfs nodev /dev/hugepages",
		    "mounted nowhere: packets cannot lie on hugepages");
	check_item_directories(doctor, mount);
}

/* ---- rights ----------------------------------------------------------------------------------- */

static void
check_memlock(struct doctor *doctor)
{
	static char text[4096];
	char soft[HOST_WORD_MAX] = "unlimited";
	host_read(doctor->host, text, sizeof(text), "/proc/self/limits");
	const char *line = strstr(text, "Max locked memory");
	if (line != NULL && sscanf(line, "Max locked memory %63s", soft) == 1 &&
	    strcmp(soft, "unlimited") != 0)
		doctor_add(doctor, "locked memory", DOCTOR_ADVICE, false,
		    "systemctl edit wirecached   # [Service] LimitMEMLOCK=infinity; in a shell: ulimit -l "
		    "unlimited",
		    "%s bytes may be locked: vfio and XDP need it unlimited, or CAP_IPC_LOCK", soft);
	else
		doctor_add(doctor, "locked memory", DOCTOR_OK, false, "", "unlimited");
}

void
doctor_rights(struct doctor *doctor)
{
	static char text[8192];
	static const struct {
		unsigned bit;
		const char *name, *purpose;
	} needed[] = {{CAP_NET_ADMIN_BIT, "CAP_NET_ADMIN", "TAP and XDP ports"},
	    {CAP_SYS_ADMIN_BIT, "CAP_SYS_ADMIN", "addresses of hugepages"},
	    {CAP_IPC_LOCK_BIT, "CAP_IPC_LOCK", "memory of devices"}};
	check_memlock(doctor);
	host_read(doctor->host, text, sizeof(text), "/proc/self/status");
	const char *line = strstr(text, "CapEff:");
	uint64_t effective = line != NULL ? strtoull(line + 7, NULL, 16) : 0;
	unsigned missing = 0;
	for (unsigned i = 0; line != NULL && i < sizeof(needed) / sizeof(needed[0]); i++) {
		char fix[HOST_PATH_MAX];
		if (effective >> needed[i].bit & 1)
			continue;
		missing++;
		snprintf(fix, sizeof(fix),
		    "docker run --cap-add %s ...   # outside of containers: run it as root",
		    needed[i].name + 4);
		doctor_add(doctor, "capabilities", DOCTOR_ADVICE, false, fix, "%s is missing: needed for %s",
		    needed[i].name, needed[i].purpose);
	}
	if (line != NULL && missing == 0)
		doctor_add(doctor, "capabilities", DOCTOR_OK, false, "", "all that may be needed");
}
