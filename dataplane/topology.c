/*
 * See topology.h.
 */
#include "dataplane/topology.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static int
node_find(const int *nodes, unsigned len, int node)
{
	for (unsigned i = 0; i < len; i++)
		if (nodes[i] == node)
			return (int)i;
	return -1;
}

/* Distinct known nodes, in order of appearance. */
static unsigned
nodes_collect(const int *from, unsigned from_len, int to[STORE_NODES_MAX])
{
	unsigned len = 0;

	for (unsigned i = 0; i < from_len; i++)
		if (from[i] >= 0 && len < STORE_NODES_MAX && node_find(to, len, from[i]) < 0)
			to[len++] = from[i];
	return len;
}

/* Ports on several nodes, each with workers near it, and nobody who wants it otherwise. */
static bool
automatic_is_per_node(const struct topology_facts *facts)
{
	int nodes[STORE_NODES_MAX];
	unsigned len = nodes_collect(facts->port_node, facts->ports_len, nodes);

	if (len < 2 || facts->nodes_len || node_find(facts->port_node, facts->ports_len, -1) >= 0)
		return false;
	for (unsigned i = 0; i < len; i++)
		if (node_find(facts->worker_node, facts->workers_len, nodes[i]) < 0)
			return false;
	return true;
}

static void
plan_unified(const struct topology_facts *facts, struct topology *topology)
{
	struct topology_cache *cache = &topology->caches[0];

	topology->caches_len = 1;
	cache->workers_len = facts->workers_len;
	cache->nodes_len = facts->nodes_len;
	if (facts->nodes_len)
		memcpy(cache->nodes, facts->nodes, facts->nodes_len * sizeof(*facts->nodes));
	/* Not said where: where the workers are, if that is more than one place. */
	if (!facts->nodes_len)
		cache->nodes_len = nodes_collect(facts->worker_node, facts->workers_len, cache->nodes);
	if (!facts->nodes_len && cache->nodes_len == 1)
		cache->nodes_len = 0;
	for (unsigned i = 0; i < facts->workers_len; i++)
		topology->worker_queue[i] = i;
}

static int
plan_ports(const struct topology_facts *facts, const int *nodes, struct topology *topology,
    char error[DATAPLANE_ERROR_MAX])
{
	for (unsigned i = 0; i < facts->ports_len; i++) {
		int at = node_find(nodes, topology->caches_len, facts->port_node[i]);

		if (at < 0) {
			snprintf(error, DATAPLANE_ERROR_MAX,
			    "memory.keyspace is per-node, but port %s lies on %s: set node in [port %s] to "
			    "one of "
			    "the nodes of the cache",
			    facts->port_name[i],
			    facts->port_node[i] < 0 ? "no node that is known" : "another",
			    facts->port_name[i]);
			return -EINVAL;
		}
		topology->port_cache[i] = (unsigned)at;
	}
	return 0;
}

static int
plan_workers(const struct topology_facts *facts, const int *nodes, struct topology *topology,
    char error[DATAPLANE_ERROR_MAX])
{
	for (unsigned i = 0; i < facts->workers_len; i++) {
		int at = node_find(nodes, topology->caches_len, facts->worker_node[i]);

		if (at < 0) {
			snprintf(error, DATAPLANE_ERROR_MAX,
			    "memory.keyspace is per-node, but worker %u runs on node %d, which has no port: "
			    "choose other cores in workers.cpus",
			    i, facts->worker_node[i]);
			return -EINVAL;
		}
		topology->worker_cache[i] = (unsigned)at;
		topology->worker_queue[i] = topology->caches[at].workers_len++;
	}
	for (unsigned i = 0; i < topology->caches_len; i++)
		if (topology->caches[i].workers_len == 0) {
			snprintf(error, DATAPLANE_ERROR_MAX,
			    "memory.keyspace is per-node, but no worker runs on node %d: name cores of it in "
			    "workers.cpus",
			    nodes[i]);
			return -EINVAL;
		}
	return 0;
}

static int
plan_per_node(const struct topology_facts *facts, struct topology *topology, char error[DATAPLANE_ERROR_MAX])
{
	int nodes[STORE_NODES_MAX];
	int rc;

	topology->per_node = true;
	topology->caches_len = facts->nodes_len ? nodes_collect(facts->nodes, facts->nodes_len, nodes)
	                                        : nodes_collect(facts->port_node, facts->ports_len, nodes);
	if (topology->caches_len == 0) {
		snprintf(error, DATAPLANE_ERROR_MAX,
		    "memory.keyspace is per-node, but the node of no port is known: set node in each [port "
		    "NAME]");
		return -EINVAL;
	}
	for (unsigned i = 0; i < topology->caches_len; i++) {
		topology->caches[i].nodes[0] = nodes[i];
		topology->caches[i].nodes_len = 1;
	}
	rc = plan_ports(facts, nodes, topology, error);
	return rc == 0 ? plan_workers(facts, nodes, topology, error) : rc;
}

int
topology_plan(const struct topology_facts *facts, struct topology *topology, char error[DATAPLANE_ERROR_MAX])
{
	memset(topology, 0, sizeof(*topology));
	if (facts->keyspace == DATAPLANE_KEYSPACE_PER_NODE ||
	    (facts->keyspace == DATAPLANE_KEYSPACE_AUTO && automatic_is_per_node(facts)))
		return plan_per_node(facts, topology, error);
	plan_unified(facts, topology);
	return 0;
}
