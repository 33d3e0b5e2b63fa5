/*
 * The data plane as the control plane sees it: configuration in, counters out. Nothing of DPDK shows through.
 *
 * Threads: start and stop from the control thread. The snapshot calls may run while workers run: they read
 * single-writer counters without stopping anybody, so figures of one snapshot may be a loop apart.
 *
 * Errors: 0 or negative errno, with one sentence for the operator in `error` that says what to do.
 */
#ifndef WIRECACHE_DATAPLANE_H
#define WIRECACHE_DATAPLANE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "store/store.h"

#define DATAPLANE_PORTS_MAX   4u
#define DATAPLANE_WORKERS_MAX 32u
#define DATAPLANE_DEVICE_MAX  256u
#define DATAPLANE_ERROR_MAX   512u
#define DATAPLANE_NAME_MAX    32u
#define DATAPLANE_ACL_MAX     32u
#define DATAPLANE_UDP_REPLY_MAX \
	1024u /* datagrams: 1.4 MB, more than a message of the largest default item takes */

enum dataplane_idle {
	DATAPLANE_IDLE_ADAPTIVE, /* poll, then sleep: on the queue's interrupt where the port has one, else
	                            shortly */
	DATAPLANE_IDLE_SPIN,     /* poll for ever */
	DATAPLANE_IDLE_SLEEP,    /* sleep as soon as nothing comes */
};

enum dataplane_hugepages {
	DATAPLANE_HUGEPAGES_AUTO, /* used when enough are free, else normal pages, said in status */
	DATAPLANE_HUGEPAGES_ON,   /* no start without */
	DATAPLANE_HUGEPAGES_OFF,
};

enum dataplane_keyspace {
	DATAPLANE_KEYSPACE_AUTO,     /* per node when the ports lie on several nodes, else unified */
	DATAPLANE_KEYSPACE_UNIFIED,  /* one cache over all nodes: a key's hash chooses the node */
	DATAPLANE_KEYSPACE_PER_NODE, /* a cache on each node, behind the addresses of its ports */
};

/* One port. Addresses in network byte order; a prefix of 0 means that the family is not configured. */
struct dataplane_port_config {
	char name[DATAPLANE_NAME_MAX];     /* section name in the configuration */
	char device[DATAPLANE_DEVICE_MAX]; /* "0000:3b:00.0", or a vdev with arguments: "net_tap0,iface=wire0"
	                                    */
	uint8_t addr4[4];
	uint8_t gateway4[4]; /* zero: none */
	uint8_t addr6[16];
	uint8_t gateway6[16];
	uint8_t prefix4;
	uint8_t prefix6;
	uint16_t mtu;     /* IP bytes */
	uint16_t vlan_id; /* 0: untagged */
	uint16_t rx_descriptors, tx_descriptors;
	int node; /* NUMA node; -1: the device's */
};

/* Addresses that begin with these bits; IPv4 as IPv4-mapped IPv6, 96 bits more. */
struct dataplane_prefix {
	uint8_t addr[16];
	uint8_t bits;
};

struct dataplane_config {
	struct dataplane_port_config ports[DATAPLANE_PORTS_MAX];
	unsigned ports_len;

	unsigned workers;                        /* 0: as many as fit the cpus and every port's queues */
	int worker_cpus[DATAPLANE_WORKERS_MAX];  /* cpu of each worker; may repeat */
	unsigned worker_cpus_len;                /* 0: chosen, away from control_cpu where there are enough */
	bool worker_cpus_planned;                /* not the operator's wish: fewer may be used */
	int control_cpu;                         /* -1: chosen */
	int worker_nodes[DATAPLANE_WORKERS_MAX]; /* NUMA node of each worker */
	unsigned worker_nodes_len;               /* 0: that of its cpu */
	uint16_t steering_port;                  /* worker i also answers at this + 1 + i; 0: off */
	enum dataplane_idle idle;
	enum dataplane_hugepages hugepages;
	unsigned mbufs_per_worker;            /* 0: computed from descriptors and workers */
	char file_prefix[DATAPLANE_NAME_MAX]; /* of the EAL's runtime files: one per appliance on a host */
	char
	    eal_args[DATAPLANE_DEVICE_MAX]; /* appended to the EAL's arguments, for what has no option here */

	uint16_t tcp_port, udp_port;    /* 0: off */
	unsigned connections_max;       /* over all workers */
	unsigned syn_backlog_max;       /* a worker */
	size_t connection_memory_bytes; /* a worker, all that TCP holds */
	uint32_t rto_min_us, keepalive_idle_us;
	uint32_t receive_buffer_bytes, send_buffer_bytes;

	struct store_config store; /* hash_key, now_s and restart_path are filled in by dataplane_start() */
	enum dataplane_keyspace keyspace;
	bool warm_restart; /* items outlive the process, in files named after file_prefix */
	char restart_dir[DATAPLANE_DEVICE_MAX]; /* of those files; empty: chosen */
	bool flush_enabled;
	bool watch_enabled;
	bool shutdown_enabled;
	bool dump_enabled; /* lru_crawler metadump, mgdump, stats cachedump */
	char auth_file
	    [DATAPLANE_DEVICE_MAX]; /* names and hashes of those who may log in; empty: nobody has to */
	unsigned verbosity;
	unsigned sample_every; /* of the keys asked for; 0: none */
	uint32_t slow_us;      /* passes from this length on are remembered; 0: none */

	/* Who may come in, and for how long: gate.h, sweep.h. */
	struct dataplane_prefix acl_allow[DATAPLANE_ACL_MAX];
	unsigned acl_allow_len;                      /* 0: everybody */
	uint32_t connections_per_s, datagrams_per_s; /* from one source on one worker; 0: no limit */
	uint32_t idle_timeout_us; /* connections that say nothing for this long end; 0: never */
	unsigned udp_reply_datagrams_max;
	bool draining; /* no new connections; those that are silent for a second end */
};

void dataplane_config_default(struct dataplane_config *config);

struct dataplane;

/*
 * Takes ports and memory, starts the workers. program: argv[0]. log: where the EAL writes (its own lines).
 * version: ours; on the wire its release, up to a dash, follows the version of memcached whose protocol this is, since
 * clients read numbers there. May be called once in a process (an EAL limit).
 */
int dataplane_start(const struct dataplane_config *config, const char *program, const char *version,
    struct dataplane **out, char error[DATAPLANE_ERROR_MAX]);

/*
 * Makes a running data plane go by another configuration. Taken over are memory limit, largest number of connections, timeouts,
 * UDP, logins' file, the gate, idle mode, verbosity, draining; the rest must be as it was. All or nothing: on failure (negative errno, a sentence) everything is as before. Workers take it over
 * one after the other, each at the beginning of a pass; nobody waits for them.
 */
int dataplane_configure(
    struct dataplane *dataplane, const struct dataplane_config *config, char error[DATAPLANE_ERROR_MAX]);

/* Every second or so: tidies up behind dataplane_configure(). */
void dataplane_tick(struct dataplane *dataplane);

/* Stops workers, resets connections, closes ports, removes what the EAL made. */
void dataplane_stop(struct dataplane *dataplane);

/*
 * Reads auth_file again; who is logged in stays so. On failure (negative errno) the old names stay, with a sentence.
 * Without auth_file there is nothing to do: 0.
 */
int dataplane_reload_auth(struct dataplane *dataplane, char error[DATAPLANE_ERROR_MAX]);

/* ---- what is going on ------------------------------------------------------------------------- */

/* A counter by name, for output by table: value at the time of the call. */
struct dataplane_counter {
	const char *name; /* static */
	const char *help; /* static */
	uint64_t value;
};

/* Groups of counters of one worker, each from one .def table. */
enum dataplane_group {
	DATAPLANE_GROUP_WORKER,  /* dataplane/worker.def: loops, packets, cycles */
	DATAPLANE_GROUP_NET,     /* dataplane/net/drops.def: packets, segments, drops by reason */
	DATAPLANE_GROUP_REQUEST, /* dataplane/counters.def: commands, hits, bytes */
	DATAPLANE_GROUPS,
};

/*
 * Fills up to `room` counters, in the table's order, and returns how many there are. worker: an index, or -1
 * for the sum over all workers.
 */
unsigned dataplane_counters(const struct dataplane *dataplane, enum dataplane_group group, int worker,
    struct dataplane_counter *out, unsigned room);

struct dataplane_worker_info {
	unsigned index;
	unsigned lcore;
	int cpu;
	int node;
	bool alive;            /* its loop counter moved within the last second, or it is asleep on purpose */
	uint64_t cycles_total; /* TSC since start */
	uint64_t cycles_busy;  /* in loops that found work */
	uint32_t connections, half_open, time_wait;
	uint64_t connection_memory_bytes;
	uint32_t mbufs_free, mbufs_total;
	uint64_t packet_memory_bytes;
};
void dataplane_worker_info(struct dataplane *dataplane, unsigned worker, struct dataplane_worker_info *info);

struct dataplane_port_info {
	char name[DATAPLANE_NAME_MAX];
	char device[DATAPLANE_DEVICE_MAX];
	char driver[DATAPLANE_NAME_MAX];
	uint8_t mac[6];
	bool link_up;
	uint32_t link_mbps; /* 0 unknown */
	int node;
	unsigned queues;
	uint16_t mtu;
	const char *rss;          /* "hardware", "by the driver", "none": static text */
	const char *steering;     /* who brings packets for a worker's own port to it: static text */
	const char *offloads[12]; /* static names of what is in use, NULL ends */
	uint64_t rx_packets, tx_packets, rx_bytes, tx_bytes, rx_missed, rx_errors, tx_errors, rx_no_mbuf;
};
void dataplane_port_info(struct dataplane *dataplane, unsigned port, struct dataplane_port_info *info);

/* A driver's own counters, up to `room`; names are written into names[]. Returns how many there are, or negative errno. */
#define DATAPLANE_XSTAT_NAME_MAX 64u
struct dataplane_xstat {
	char name[DATAPLANE_XSTAT_NAME_MAX];
	uint64_t value;
};
int dataplane_port_xstats(
    struct dataplane *dataplane, unsigned port, struct dataplane_xstat *out, unsigned room);

struct dataplane_info {
	unsigned workers, ports;
	uint64_t started_s; /* Unix time */
	uint32_t uptime_s;
	uint64_t tsc_hz;
	bool eal_hugepages; /* packet memory lies on hugepages */
	const char *idle;   /* static text */
	bool draining;
	bool per_node; /* a cache on each NUMA node */
	char dpdk_version[DATAPLANE_NAME_MAX];
	unsigned connections_max;
	uint64_t curr_connections, total_connections, rejected_connections;
};
void dataplane_info(struct dataplane *dataplane, struct dataplane_info *info);

/* Of all caches together. */
void dataplane_store_info(const struct dataplane *dataplane, struct store_info *info);
void dataplane_store_counters(const struct dataplane *dataplane, struct store_counters *sum);
void dataplane_store_bands(const struct dataplane *dataplane, struct store_band_info bands[STORE_BANDS]);

/* One cache: the only one, or that of a NUMA node. */
struct dataplane_cache_info {
	int nodes[STORE_NODES_MAX]; /* of its partitions, in equal parts */
	unsigned nodes_len;         /* 0: wherever the kernel puts it */
	unsigned workers, ports;
	struct store_info store;
};
/* Returns how many caches there are; *info is set if `cache` is one of them. */
unsigned dataplane_cache_info(
    const struct dataplane *dataplane, unsigned cache, struct dataplane_cache_info *info);

/*
 * Everything that memcached's `stats` answers, in its order; the same as on the data port. group "" for all.
 * False: no such group.
 */
bool dataplane_stats(struct dataplane *dataplane, const char *group,
    void (*emit)(void *emit_ctx, const char *name, const char *value), void *emit_ctx);

/* What was done without at start and is worth knowing, a sentence each with what to do. Returns how many were written. */
struct dataplane_note {
	char text[DATAPLANE_DEVICE_MAX];
};
unsigned dataplane_notes(struct dataplane *dataplane, struct dataplane_note *out, unsigned room);

#endif
