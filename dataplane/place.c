/*
 * Puts workers, ports and caches of this machine together as the topology says (topology.h), and asks the ports for
 * steering rules. The control thread, at start.
 */
#include "dataplane/internal.h"
#include "dataplane/steer.h"

#include <errno.h>
#include <stdio.h>
#include <rte_lcore.h>

#define PORT_LAST 65535u

/* The NUMA node that the operator says a worker runs on, or its cpu's. */
static int
worker_node(const struct dataplane *dataplane, unsigned i)
{
	const struct dataplane_config *config = &dataplane->config;

	if (i < config->worker_nodes_len)
		return config->worker_nodes[i];
	return (int)rte_lcore_to_socket_id(i + 1);
}

static void
facts_gather(const struct dataplane *dataplane, struct topology_facts *facts)
{
	const struct dataplane_config *config = &dataplane->config;

	*facts = (struct topology_facts){.keyspace = config->keyspace,
	    .nodes = config->store.nodes,
	    .nodes_len = config->store.nodes_len,
	    .workers_len = dataplane->workers_len,
	    .ports_len = dataplane->ports_len};
	for (unsigned i = 0; i < dataplane->workers_len; i++)
		facts->worker_node[i] = worker_node(dataplane, i);
	for (unsigned i = 0; i < dataplane->ports_len; i++) {
		const struct port *port = &dataplane->ports[i];
		facts->port_node[i] = port->config->node >= 0 ? port->config->node : port->node;
		facts->port_name[i] = port->config->name;
	}
}

/* A port needs a queue pair for each worker that serves it. */
static int
queues_check(const struct dataplane *dataplane, char error[DATAPLANE_ERROR_MAX])
{
	for (unsigned i = 0; i < dataplane->ports_len; i++) {
		const struct port *port = &dataplane->ports[i];
		unsigned wanted = dataplane->topology.caches[dataplane->topology.port_cache[i]].workers_len;

		if (port->queues_max >= wanted)
			continue;
		snprintf(error, DATAPLANE_ERROR_MAX,
		    "port %s: %s has %u queue pairs, but %u workers need one each: set workers.count to %u "
		    "or less",
		    port->config->name, port->config->device, port->queues_max, wanted, port->queues_max);
		return -EINVAL;
	}
	return 0;
}

static int
steering_check(const struct dataplane *dataplane, char error[DATAPLANE_ERROR_MAX])
{
	const struct dataplane_config *config = &dataplane->config;
	unsigned first = config->steering_port + 1u, last = config->steering_port + dataplane->workers_len;

	if (!config->steering_port)
		return 0;
	if (last <= PORT_LAST && (config->tcp_port < first || config->tcp_port > last) &&
	    (config->udp_port < first || config->udp_port > last))
		return 0;
	snprintf(error, DATAPLANE_ERROR_MAX,
	    "workers.steering_port is %u, so the workers' own ports would be %u to %u: choose it so that "
	    "those are "
	    "ports, and none of them tcp.port or udp.port",
	    config->steering_port, first, last);
	return -EINVAL;
}

int
place_plan(struct dataplane *dataplane, char error[DATAPLANE_ERROR_MAX])
{
	struct topology_facts facts;
	int rc;

	facts_gather(dataplane, &facts);
	rc = topology_plan(&facts, &dataplane->topology, error);
	if (rc == 0)
		rc = queues_check(dataplane, error);
	return rc == 0 ? steering_check(dataplane, error) : rc;
}

void
place_worker(struct dataplane *dataplane, struct worker *worker)
{
	const struct topology *topology = &dataplane->topology;
	unsigned cache = topology->worker_cache[worker->index];

	worker->cache = &dataplane->caches[cache];
	worker->items = dataplane->caches[cache].store;
	worker->items_node = worker_node(dataplane, worker->index);
	worker->queue = (uint16_t)topology->worker_queue[worker->index];
	for (unsigned i = 0; i < dataplane->ports_len; i++)
		if (topology->port_cache[i] == cache)
			worker->ports[worker->ports_len++] = &dataplane->ports[i];
}

static bool
port_steer(const struct dataplane *dataplane, const struct port *port, unsigned cache)
{
	const struct dataplane_config *config = &dataplane->config;
	struct steer_rule rules[DATAPLANE_WORKERS_MAX];
	unsigned len = 0;

	for (unsigned w = 0; w < dataplane->workers_len; w++)
		if (dataplane->topology.worker_cache[w] == cache)
			rules[len++] = (struct steer_rule){.port = (uint16_t)(config->steering_port + 1 + w),
			    .queue = (uint16_t)dataplane->topology.worker_queue[w]};
	return steer_port(port, rules, len, config->tcp_port != 0, config->udp_port != 0);
}

void
place_steering(struct dataplane *dataplane)
{
	for (unsigned i = 0; dataplane->config.steering_port && i < dataplane->ports_len; i++) {
		struct port *port = &dataplane->ports[i];

		port->steers =
		    port->queues < 2 || port_steer(dataplane, port, dataplane->topology.port_cache[i]);
		port->steering = port->queues < 2 ? "not needed: one queue"
		                 : port->steers   ? "flow rules"
		                                  : "no flow rules: RSS decides";
	}
}
