/*
 * struct dataplane, for the files that make it up: dataplane.c (start and stop), eal.c (EAL arguments), items.c (the
 * stores), place.c (who serves what), info.c (snapshots for the control plane) and admin.c (stats on the wire).
 */
#ifndef WIRECACHE_DATAPLANE_INTERNAL_H
#define WIRECACHE_DATAPLANE_INTERNAL_H

#include <stdio.h>
#include <rte_spinlock.h>

#include "dataplane/dataplane.h"
#include "dataplane/port.h"
#include "dataplane/settings.h"
#include "dataplane/topology.h"
#include "dataplane/worker.h"

/* Counters of all workers added up. */
struct figures_counters {
	struct serve_counters serve;
	struct store_counters store;
	struct worker_counters worker;
};

/* libmemcached (1.1.4) copies the version of `stats` into 24 bytes, its end included, without looking. */
#define DATAPLANE_WIRE_VERSION_MAX 24

/* A cache and what is counted of it. */
struct cache {
	struct dataplane *dataplane;
	int index;           /* of dataplane->caches; -1: all together */
	struct store *store; /* NULL: all */
	rte_spinlock_t baseline_lock;
	struct figures_counters baseline; /* subtracted by stats since the last `stats reset` */
};

/* One published configuration; see settings.h. */
struct settings {
	struct dataplane_config config;
	struct settings *older;
};

struct dataplane {
	struct dataplane_config config; /* the control thread's; the same as the newest of settings */
	rte_spinlock_t config_lock;     /* for other threads that read it, and when it changes */
	struct settings *settings;
	unsigned settings_old; /* behind the newest */
	atomic_uint verbosity; /* as clients may set it */
	struct worker_shared shared;
	struct worker *workers;
	unsigned workers_len;
	struct port ports[DATAPLANE_PORTS_MAX];
	unsigned ports_len;
	struct topology topology;
	struct cache caches[STORE_NODES_MAX];
	unsigned caches_len; /* that were created */
	struct cache whole;
	bool eal_started;
	bool eal_hugepages;
	bool launched;
	int cpus[DATAPLANE_WORKERS_MAX];          /* of the workers */
	char version[DATAPLANE_WIRE_VERSION_MAX]; /* as on the wire */
	char runtime_dir[DATAPLANE_DEVICE_MAX];
	FILE *log_stream; /* DPDK's messages while it starts */
	char *log_text;
	size_t log_len;
};

/*
 * Chooses the cpus of control thread and workers and whether hugepages serve, then starts the EAL with the
 * ports' devices. 0 or negative errno with a sentence.
 */
int eal_start(struct dataplane *dataplane, const char *program, char error[DATAPLANE_ERROR_MAX]);
/* Keeps DPDK's messages from here to eal_log_end(), which shows them on stderr if asked to. */
void eal_log_begin(struct dataplane *dataplane);
void eal_log_end(struct dataplane *dataplane, bool show);
/* Ends it and removes its runtime files. */
void eal_stop(struct dataplane *dataplane);

/* Sums over all workers of a cache, since the start. Any thread. */
void figures_sum(const struct cache *cache, struct figures_counters *sum);

/* Where the first hugetlbfs is mounted; false if nowhere. */
bool eal_hugetlbfs(char dir[DATAPLANE_DEVICE_MAX]);

/* Creates the stores that the topology asks for, with the items of before where they are to be kept: items.c. */
int items_open(struct dataplane *dataplane, char error[DATAPLANE_ERROR_MAX]);
void items_close(struct dataplane *dataplane);
void items_info(const struct cache *cache, struct store_info *info);
void items_counters(const struct cache *cache, struct store_counters *sum);
/* A live limit, of all together in equal parts: 0 or negative errno. */
int items_set_limit(const struct cache *cache, uint64_t bytes);

/* Who serves what, from what this machine is: place.c. */
int place_plan(struct dataplane *dataplane, char error[DATAPLANE_ERROR_MAX]);
/* Cache, ports and queue of a worker. */
void place_worker(struct dataplane *dataplane, struct worker *worker);
/* Rules for the workers' own ports, on ports that are started. */
void place_steering(struct dataplane *dataplane);

/* mbufs of one worker's pool. */
unsigned dataplane_mbufs(const struct dataplane_config *config);
/* Bytes that one mbuf takes of the pool, and its data room. */
#define DATAPLANE_MBUF_ROOM  (2048u + RTE_PKTMBUF_HEADROOM)
#define DATAPLANE_MBUF_BYTES (DATAPLANE_MBUF_ROOM + sizeof(struct rte_mbuf) + 2u * RTE_CACHE_LINE_SIZE)
/*
 * The headers of packets that point to values: as many as can wait for a port, and some. memif puts a chain into one place of
 * its ring only if the first buffer's pool has more room than such a place, 2 048 bytes; else it takes a place for each
 * buffer, and what comes to that place later may be taken for a chain's beginning (DPDK 22.11).
 */
#define DATAPLANE_HEADS      (2u * WORKER_TX_MAX - 1)
#define DATAPLANE_HEAD_ROOM  (DATAPLANE_MBUF_ROOM + RTE_CACHE_LINE_SIZE)
#define DATAPLANE_HEAD_BYTES (DATAPLANE_MBUF_BYTES + RTE_CACHE_LINE_SIZE)

#endif
