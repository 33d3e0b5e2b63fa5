/*
 * struct dataplane, for the files that make it up: dataplane.c (start and stop), eal.c (EAL arguments), items.c (the
 * store), info.c (snapshots for the control plane) and admin.c (stats on the wire).
 */
#ifndef WIRECACHE_DATAPLANE_INTERNAL_H
#define WIRECACHE_DATAPLANE_INTERNAL_H

#include <stdio.h>
#include <rte_spinlock.h>

#include "dataplane/dataplane.h"
#include "dataplane/port.h"
#include "dataplane/settings.h"
#include "dataplane/worker.h"

/* Counters of all workers added up. */
struct figures_counters {
	struct serve_counters serve;
	struct store_counters store;
	struct worker_counters worker;
};

/* libmemcached (1.1.4) copies the version of `stats` into 24 bytes, its end included, without looking. */
#define DATAPLANE_WIRE_VERSION_MAX 24

/* One published configuration; see settings.h. */
struct settings {
	struct dataplane_config config;
	struct settings *older;
};

struct dataplane {
	struct dataplane_config config; /* the control thread's; the same as the newest of settings */
	struct settings *settings;
	unsigned settings_old; /* behind the newest */
	atomic_uint verbosity; /* as clients may set it */
	struct worker_shared shared;
	struct worker *workers;
	unsigned workers_len;
	struct port ports[DATAPLANE_PORTS_MAX];
	unsigned ports_len;
	struct store *store;
	bool eal_started;
	bool eal_hugepages;
	bool launched;
	int cpus[DATAPLANE_WORKERS_MAX];          /* of the workers */
	char version[DATAPLANE_WIRE_VERSION_MAX]; /* as on the wire */
	char runtime_dir[DATAPLANE_DEVICE_MAX];
	FILE *log_stream; /* DPDK's messages while it starts */
	char *log_text;
	size_t log_len;
	rte_spinlock_t baseline_lock;
	struct figures_counters baseline; /* subtracted by stats since the last `stats reset` */
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

/* Sums over all workers, since the start. Any thread. */
void figures_sum(const struct dataplane *dataplane, struct figures_counters *sum);

/* Where the first hugetlbfs is mounted; false if nowhere. */
bool eal_hugetlbfs(char dir[DATAPLANE_DEVICE_MAX]);

/* Creates the store, with the items of before where they are to be kept: items.c. */
int items_open(struct dataplane *dataplane, char error[DATAPLANE_ERROR_MAX]);

/* mbufs of one worker's pool. */
unsigned dataplane_mbufs(const struct dataplane_config *config);
/* Bytes that one mbuf takes of the pool, and its data room. */
#define DATAPLANE_MBUF_ROOM  (2048u + RTE_PKTMBUF_HEADROOM)
#define DATAPLANE_MBUF_BYTES (DATAPLANE_MBUF_ROOM + sizeof(struct rte_mbuf) + 2u * RTE_CACHE_LINE_SIZE)

#endif
