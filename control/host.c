/*
 * See host.h. What cannot be read counts as absent: containers and virtual machines show only part of it.
 */
#include "control/host.h"

#include <dirent.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "control/value.h"

#define HOST_TEXT_MAX 4096u

static bool
read_at(const struct host *host, char *out, size_t out_bytes, const char *format, va_list args)
{
	char path[HOST_PATH_MAX];
	int used = snprintf(path, sizeof(path), "%s", host->root);
	vsnprintf(path + used, sizeof(path) - (size_t)used, format, args);
	FILE *file = fopen(path, "re");
	*out = '\0';
	if (file == NULL)
		return false;
	size_t bytes = fread(out, 1, out_bytes - 1, file);
	fclose(file);
	out[bytes] = '\0';
	if (bytes > 0 && out[bytes - 1] == '\n')
		out[bytes - 1] = '\0';
	return true;
}

bool
host_read(const struct host *host, char *out, size_t out_bytes, const char *path, ...)
{
	va_list args;
	va_start(args, path);
	bool read = read_at(host, out, out_bytes, path, args);
	va_end(args);
	return read;
}

uint64_t
host_number(const struct host *host, uint64_t fallback, const char *path, ...)
{
	char text[HOST_WORD_MAX], *end;
	va_list args;
	va_start(args, path);
	bool read = read_at(host, text, sizeof(text), path, args);
	va_end(args);
	uint64_t number = strtoull(text, &end, 0);
	return read && end != text && *text != '-' ? number : fallback;
}

const struct host_cpu *
host_cpu(const struct host *host, int cpu)
{
	for (unsigned i = 0; i < host->cpus_len; i++)
		if (host->cpus[i].cpu == cpu)
			return &host->cpus[i];
	return NULL;
}

const struct host_nic *
host_nic(const struct host *host, const char *device)
{
	size_t len = strcspn(device, ",");
	for (unsigned i = 0; i < host->nics_len; i++) {
		const char *known = host->nics[i].device;
		/* "3b:00.0" is short for "0000:3b:00.0" */
		const char *tail = strlen(known) > len ? known + strlen(known) - len : known;
		if (strlen(tail) == len && strncmp(tail, device, len) == 0 && len >= 7)
			return &host->nics[i];
	}
	return NULL;
}

/* ---- cores and nodes -------------------------------------------------------------------------- */

static int
read_list(const struct host *host, int list[HOST_CPUS_MAX], const char *path)
{
	char text[HOST_TEXT_MAX];
	if (!host_read(host, text, sizeof(text), "%s", path))
		return 0;
	int len = value_parse_list(text, list, HOST_CPUS_MAX, (int)HOST_CPUS_MAX - 1);
	return len > 0 ? len : 0;
}

static struct host_cpu *
find_cpu(struct host *host, int cpu)
{
	return (struct host_cpu *)host_cpu(host, cpu);
}

static void
scan_cpus(struct host *host)
{
	int list[HOST_CPUS_MAX];
	int len = read_list(host, list, "/sys/devices/system/cpu/online");
	for (int i = 0; i < len; i++) {
		int package = (int)host_number(
		    host, 0, "/sys/devices/system/cpu/cpu%d/topology/physical_package_id", list[i]);
		int core = (int)host_number(
		    host, (uint64_t)list[i], "/sys/devices/system/cpu/cpu%d/topology/core_id", list[i]);
		host->cpus[host->cpus_len++] =
		    (struct host_cpu){.cpu = list[i], .node = -1, .core = package << 16 | core};
	}
	len = read_list(host, list, "/sys/devices/system/cpu/isolated");
	for (int i = 0; i < len; i++)
		if (find_cpu(host, list[i]) != NULL)
			find_cpu(host, list[i])->isolated = true;
}

static void
scan_hugepages(struct host *host, struct host_node *node)
{
	char path[HOST_PATH_MAX];
	snprintf(path, sizeof(path), "%s/sys/devices/system/node/node%d/hugepages", host->root, node->node);
	DIR *dir = opendir(path);
	struct dirent *entry;
	while (dir != NULL && (entry = readdir(dir)) != NULL) {
		unsigned long kb;
		if (sscanf(entry->d_name, "hugepages-%lukB", &kb) != 1)
			continue;
		uint64_t all = host_number(host, 0,
		    "/sys/devices/system/node/node%d/hugepages/hugepages-%lukB/nr_hugepages", node->node, kb);
		uint64_t left = host_number(host, 0,
		    "/sys/devices/system/node/node%d/hugepages/hugepages-%lukB/free_hugepages", node->node,
		    kb);
		node->huge_bytes += all * kb * 1024;
		node->huge_free_bytes += left * kb * 1024;
	}
	if (dir != NULL)
		closedir(dir);
}

static void
scan_node(struct host *host, int number)
{
	char path[HOST_WORD_MAX + 48], text[HOST_TEXT_MAX];
	int list[HOST_CPUS_MAX];
	struct host_node *node = &host->nodes[host->nodes_len++];
	*node = (struct host_node){.node = number};
	snprintf(path, sizeof(path), "/sys/devices/system/node/node%d/cpulist", number);
	int len = read_list(host, list, path);
	for (int i = 0; i < len; i++)
		if (find_cpu(host, list[i]) != NULL)
			find_cpu(host, list[i])->node = number;
	if (host_read(host, text, sizeof(text), "/sys/devices/system/node/node%d/meminfo", number)) {
		const char *found = strstr(text, "MemFree:");
		node->free_bytes = found != NULL ? strtoull(found + 8, NULL, 10) * 1024 : 0;
	}
	scan_hugepages(host, node);
}

/* ---- network cards ---------------------------------------------------------------------------- */

/* The last name of the path that a link leads to. */
static void
read_link(const struct host *host, char out[HOST_WORD_MAX], const char *path)
{
	char full[HOST_PATH_MAX], target[HOST_PATH_MAX];
	snprintf(full, sizeof(full), "%s%s", host->root, path);
	ssize_t len = readlink(full, target, sizeof(target) - 1);
	target[len > 0 ? len : 0] = '\0';
	const char *slash = strrchr(target, '/');
	snprintf(out, HOST_WORD_MAX, "%.*s", (int)HOST_WORD_MAX - 1, slash != NULL ? slash + 1 : target);
}

/* First entry of a directory that begins with `prefix`. */
static bool
first_entry(const struct host *host, char out[HOST_WORD_MAX], const char *path, const char *prefix)
{
	char full[HOST_PATH_MAX];
	snprintf(full, sizeof(full), "%s%s", host->root, path);
	DIR *dir = opendir(full);
	struct dirent *entry;
	*out = '\0';
	while (dir != NULL && *out == '\0' && (entry = readdir(dir)) != NULL)
		if (entry->d_name[0] != '.' && strncmp(entry->d_name, prefix, strlen(prefix)) == 0)
			snprintf(out, HOST_WORD_MAX, "%.*s", (int)HOST_WORD_MAX - 1, entry->d_name);
	if (dir != NULL)
		closedir(dir);
	return *out != '\0';
}

/* A virtio card has its interface a level deeper. */
static void
find_interface(const struct host *host, struct host_nic *nic)
{
	char path[HOST_PATH_MAX / 2], bus[HOST_WORD_MAX];
	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/net", nic->device);
	if (first_entry(host, nic->interface, path, ""))
		return;
	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s", nic->device);
	if (!first_entry(host, bus, path, "virtio"))
		return;
	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/%s/net", nic->device, bus);
	first_entry(host, nic->interface, path, "");
}

/* Does a default route of either family leave by this interface? */
static bool
has_default_route(const struct host *host, const char *interface)
{
	static char text[65536]; /* control thread, or a program of its own */
	char name[HOST_WORD_MAX], destination[HOST_WORD_MAX], prefix[8];
	char *line, *state;
	host_read(host, text, sizeof(text), "/proc/net/route");
	for (line = strtok_r(text, "\n", &state); line != NULL; line = strtok_r(NULL, "\n", &state))
		if (sscanf(line, "%63s %63s", name, destination) == 2 && strcmp(name, interface) == 0 &&
		    strcmp(destination, "00000000") == 0)
			return true;
	host_read(host, text, sizeof(text), "/proc/net/ipv6_route");
	for (line = strtok_r(text, "\n", &state); line != NULL; line = strtok_r(NULL, "\n", &state))
		if (sscanf(line, "%63s %7s %*s %*s %*s %*s %*s %*s %*s %63s", destination, prefix, name) ==
		        3 &&
		    strspn(destination, "0") == 32 && strcmp(prefix, "00") == 0 &&
		    strcmp(name, interface) == 0)
			return true;
	return false;
}

/* Devices in its group that are no bridges: they go to the same user, or nowhere. */
static void
scan_group(const struct host *host, struct host_nic *nic)
{
	char path[HOST_PATH_MAX];
	snprintf(
	    path, sizeof(path), "%s/sys/bus/pci/devices/%s/iommu_group/devices", host->root, nic->device);
	DIR *dir = opendir(path);
	struct dirent *entry;
	nic->in_group = dir != NULL;
	while (dir != NULL && (entry = readdir(dir)) != NULL) {
		uint64_t class =
		    entry->d_name[0] == '.'
		        ? 0x060000
		        : host_number(host, 0, "/sys/bus/pci/devices/%.40s/class", entry->d_name);
		nic->group_others += class >> 16 != 0x06 && strcmp(entry->d_name, nic->device) != 0;
	}
	if (dir != NULL)
		closedir(dir);
}

static bool
is_dpdk_driver(const char *driver)
{
	static const char *const drivers[] = {
	    "vfio-pci", "uio_pci_generic", "igb_uio", "mlx5_core", "mlx4_core", "mana"};
	for (unsigned i = 0; i < sizeof(drivers) / sizeof(drivers[0]); i++)
		if (strcmp(drivers[i], driver) == 0)
			return true;
	return false;
}

static void
scan_nic(struct host *host, const char *device)
{
	char path[HOST_PATH_MAX / 2];
	struct host_nic *nic = &host->nics[host->nics_len++];
	*nic = (struct host_nic){.node = -1};
	snprintf(nic->device, sizeof(nic->device), "%.*s", (int)HOST_WORD_MAX - 1, device);
	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/driver", nic->device);
	read_link(host, nic->driver, path);
	find_interface(host, nic);
	nic->node = (int)host_number(host, UINT64_MAX, "/sys/bus/pci/devices/%s/numa_node", nic->device);
	nic->width =
	    (unsigned)host_number(host, 0, "/sys/bus/pci/devices/%s/current_link_width", nic->device);
	nic->width_max =
	    (unsigned)host_number(host, 0, "/sys/bus/pci/devices/%s/max_link_width", nic->device);
	scan_group(host, nic);
	nic->use = is_dpdk_driver(nic->driver) ? HOST_NIC_DPDK : HOST_NIC_KERNEL;
	if (*nic->interface != '\0' && has_default_route(host, nic->interface))
		nic->use = HOST_NIC_ROUTE;
}

static void
scan_nics(struct host *host)
{
	char path[HOST_PATH_MAX];
	struct dirent **entries;
	snprintf(path, sizeof(path), "%s/sys/bus/pci/devices", host->root);
	int len = scandir(path, &entries, NULL, alphasort);
	for (int i = 0; i < len; i++) {
		const char *name = entries[i]->d_name;
		if (name[0] != '.' && host->nics_len < HOST_NICS_MAX &&
		    host_number(host, 0, "/sys/bus/pci/devices/%.40s/class", name) >> 16 == 0x02)
			scan_nic(host, name);
		free(entries[i]);
	}
	if (len >= 0)
		free(entries);
}

void
host_scan(struct host *host, const char *root)
{
	int list[HOST_CPUS_MAX];
	memset(host, 0, sizeof(*host));
	snprintf(host->root, sizeof(host->root), "%s", root);
	scan_cpus(host);
	int len = read_list(host, list, "/sys/devices/system/node/online");
	for (int i = 0; i < len && host->nodes_len < HOST_NODES_MAX; i++)
		scan_node(host, list[i]);
	scan_nics(host);
}
