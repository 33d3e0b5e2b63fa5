/*
 * Who serves what: NUMA nodes, caches, workers and ports put together. Numbers in, numbers out: no hardware is asked
 * here, so any machine can be tried.
 *
 *   unified    one cache, a partition on each node; every worker has a queue on every port
 *   per node   a cache on each node; a node's workers serve its ports only, so that no access leaves the node. To
 *              clients these are several servers, each behind the addresses of its ports.
 *
 * Called by the control thread at start.
 */
#ifndef WIRECACHE_TOPOLOGY_H
#define WIRECACHE_TOPOLOGY_H

#include "dataplane/dataplane.h"

/* What is known of the machine and wanted by the operator. */
struct topology_facts {
	enum dataplane_keyspace keyspace;
	const int *nodes; /* memory.nodes */
	unsigned nodes_len;
	unsigned workers_len, ports_len;
	int worker_node[DATAPLANE_WORKERS_MAX];
	int port_node[DATAPLANE_PORTS_MAX]; /* -1: unknown */
	const char *port_name[DATAPLANE_PORTS_MAX];
};

struct topology_cache {
	int nodes[STORE_NODES_MAX]; /* of its partitions */
	unsigned nodes_len;         /* 0: one partition, wherever the kernel puts it */
	unsigned workers_len;
};

struct topology {
	bool per_node;
	unsigned caches_len;
	struct topology_cache caches[STORE_NODES_MAX];
	unsigned worker_cache[DATAPLANE_WORKERS_MAX];
	unsigned worker_queue[DATAPLANE_WORKERS_MAX]; /* on each port that it serves */
	unsigned port_cache[DATAPLANE_PORTS_MAX];
};

/* 0, or -EINVAL with a sentence that says what to change. */
int topology_plan(
    const struct topology_facts *facts, struct topology *topology, char error[DATAPLANE_ERROR_MAX]);

#endif
