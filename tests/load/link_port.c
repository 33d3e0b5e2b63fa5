/*
 * The EAL and the port of a client; see link.h. Both come from the appliance's own files (dataplane/eal.c, port.c), so
 * that whatever device serves there serves here.
 */
#include "tests/load/link.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <rte_ethdev.h>

#define MBUF_CACHE   512u
#define LINK_POLL_US 1000u
#define LINK_WAIT_US 10000000u
/* Beside what both rings hold: 1 MiB windows of a few connections, and what waits to be sent. */
#define EXTRA_MBUFS  12288u
#define DESCRIPTORS  2048u
#define MTU_DEFAULT  1500u

void
link_config_default(struct dataplane_config *config)
{
	struct dataplane_port_config *port = &config->ports[0];

	dataplane_config_default(config);
	config->ports_len = 1;
	snprintf(config->file_prefix, sizeof(config->file_prefix), "wireload-%d", (int)getpid());
	snprintf(port->name, sizeof(port->name), "link");
	port->mtu = MTU_DEFAULT;
	port->rx_descriptors = port->tx_descriptors = DESCRIPTORS;
	config->mbufs_per_worker = 2 * DESCRIPTORS + EXTRA_MBUFS;
}

static int
wait_up(const struct link_port *port, char error[DATAPLANE_ERROR_MAX])
{
	for (uint64_t waited_us = 0; waited_us < LINK_WAIT_US; waited_us += LINK_POLL_US) {
		struct rte_eth_link state = {0};

		if (rte_eth_link_get_nowait(port->port.port_id, &state) == 0 &&
		    state.link_status == RTE_ETH_LINK_UP)
			return 0;
		rte_delay_us_sleep(LINK_POLL_US);
	}
	snprintf(error, DATAPLANE_ERROR_MAX, "%s has no link: is the far end running?",
	    port->dataplane.config.ports[0].device);
	return -ENETDOWN;
}

static int
pools_create(struct link_port *port, char error[DATAPLANE_ERROR_MAX])
{
	unsigned mbufs = dataplane_mbufs(&port->dataplane.config);

	for (unsigned i = 0; i < port->queues; i++) {
		char name[RTE_MEMPOOL_NAMESIZE];

		snprintf(name, sizeof(name), "link-%u", i);
		port->pools[i] =
		    rte_pktmbuf_pool_create(name, mbufs, MBUF_CACHE, 0, DATAPLANE_MBUF_ROOM, SOCKET_ID_ANY);
		if (!port->pools[i]) {
			snprintf(error, DATAPLANE_ERROR_MAX,
			    "no packet memory for %u buffers: reserve hugepages (scripts/hugepages)", mbufs);
			return -ENOMEM;
		}
	}
	return 0;
}

static int
open_steps(struct link_port *port, const char *program, char error[DATAPLANE_ERROR_MAX])
{
	int rc = eal_start(&port->dataplane, program, error);

	if (rc == 0)
		rc = port_find(&port->port, &port->dataplane.config.ports[0], error);
	if (rc != 0)
		return rc;
	if (port->port.queues_max < port->queues) {
		snprintf(error, DATAPLANE_ERROR_MAX,
		    "%s has %u queue pairs, one a thread is needed: use %u threads",
		    port->port.config->device, port->port.queues_max, port->port.queues_max);
		return -EINVAL;
	}
	rc = pools_create(port, error);
	if (rc == 0)
		rc = port_start(&port->port, port->pools, port->queues, error);
	return rc == 0 ? wait_up(port, error) : rc;
}

struct link_port *
link_port_open(const struct dataplane_config *config, unsigned queues, const char *program,
    char error[DATAPLANE_ERROR_MAX])
{
	struct link_port *port = calloc(1, sizeof(*port));
	int rc;

	error[0] = '\0';
	if (!port || queues == 0 || queues > DATAPLANE_WORKERS_MAX) {
		snprintf(error, DATAPLANE_ERROR_MAX, port ? "from 1 to %u threads" : "no memory",
		    DATAPLANE_WORKERS_MAX);
		free(port);
		return NULL;
	}
	port->dataplane.config = *config;
	port->dataplane.config.workers =
	    queues; /* eal_start() makes packet memory and idle lcores for as many */
	port->queues = queues;
	eal_log_begin(&port->dataplane);
	rc = open_steps(port, program, error);
	eal_log_end(&port->dataplane, rc != 0 || config->verbosity > 0);
	if (rc == 0)
		return port;
	link_port_close(port);
	return NULL;
}

void
link_port_close(struct link_port *port)
{
	if (port->port.config)
		port_stop(&port->port);
	for (unsigned i = 0; i < port->queues; i++)
		rte_mempool_free(port->pools[i]);
	eal_stop(&port->dataplane);
	free(port);
}
