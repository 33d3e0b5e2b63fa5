/*
 * What the machine is made of, read from /proc and /sys: cores, NUMA nodes, network cards. Under another root the same files
 * of a made-up machine are read, for tests.
 *
 * Facts of one moment; nothing is kept open. Any thread.
 */
#ifndef WIRECACHE_CONTROL_HOST_H
#define WIRECACHE_CONTROL_HOST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HOST_PATH_MAX  512u
#define HOST_CPUS_MAX  1024u
#define HOST_NODES_MAX 64u
#define HOST_NICS_MAX  32u
#define HOST_WORD_MAX  64u

struct host_cpu {
	int cpu, node; /* node -1: the kernel does not say */
	int core;      /* the same for siblings: package and core together */
	bool isolated; /* the kernel puts nothing on it by itself */
};

struct host_node {
	int node;
	uint64_t huge_bytes, huge_free_bytes; /* hugepages of all sizes */
	uint64_t free_bytes;                  /* normal memory */
};

enum host_nic_use {
	HOST_NIC_DPDK,   /* bound to a driver that gives it away, or to one that shares it */
	HOST_NIC_KERNEL, /* the kernel has it */
	HOST_NIC_ROUTE,  /* the kernel has it and the default route leads through it: hands off */
};

struct host_nic {
	char device[HOST_WORD_MAX];    /* 0000:3b:00.0 */
	char driver[HOST_WORD_MAX];    /* "" for none */
	char interface[HOST_WORD_MAX]; /* the kernel's first; "" for none */
	int node;
	enum host_nic_use use;
	unsigned group_others; /* devices in its IOMMU group beside it and bridges */
	bool in_group;
	unsigned width, width_max; /* PCIe lanes; 0 unknown */
};

struct host {
	char root[HOST_PATH_MAX / 2];
	struct host_cpu cpus[HOST_CPUS_MAX];
	unsigned cpus_len;
	struct host_node nodes[HOST_NODES_MAX];
	unsigned nodes_len;
	struct host_nic nics[HOST_NICS_MAX];
	unsigned nics_len;
};

/* root "" is this machine. */
void host_scan(struct host *host, const char *root);

const struct host_cpu *host_cpu(const struct host *host, int cpu);
const struct host_nic *host_nic(const struct host *host, const char *device);

/* A file's first `out_bytes` bytes, without the last newline; false if it cannot be read. path begins with a slash. */
bool host_read(const struct host *host, char *out, size_t out_bytes, const char *path, ...)
    __attribute__((format(printf, 4, 5)));
/* A number in a file; fallback if there is none. */
uint64_t host_number(const struct host *host, uint64_t fallback, const char *path, ...)
    __attribute__((format(printf, 3, 4)));

#endif
