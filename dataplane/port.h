/*
 * One DPDK port: found by name, configured with a queue pair for each worker, its offloads and RSS read back
 * and not assumed. Control thread only; workers use port_id and their queue index.
 */
#ifndef WIRECACHE_PORT_H
#define WIRECACHE_PORT_H

#include "dataplane/dataplane.h"
#include "dataplane/net/net.h"

struct port {
	const struct dataplane_port_config *config;
	uint16_t port_id;
	unsigned queues;
	int node;
	bool started;
	bool steers;            /* it has flow rules for the workers' own ports */
	const char *rss;        /* static text for status */
	const char *steering;   /* the same */
	unsigned queues_max;    /* queue pairs that the device has */
	struct net_iface iface; /* what every worker's stack gets */
	char driver[DATAPLANE_NAME_MAX];
	uint64_t no_mbuf_seen; /* tap.h */
};

/* The name DPDK knows a device by: what stands before the first comma of the configured device. */
void port_device_name(const char *device, char name[DATAPLANE_DEVICE_MAX]);
bool port_device_is_pci(const char *device);

/* Finds the device and how many workers it can serve at most. 0 or negative errno with a sentence. */
int port_find(struct port *port, const struct dataplane_port_config *config, char error[DATAPLANE_ERROR_MAX]);

/* Configures queue i for pools[i], starts the port, fills port->iface. 0 or negative errno with a
 * sentence. */
int port_start(
    struct port *port, struct rte_mempool *const *pools, unsigned queues, char error[DATAPLANE_ERROR_MAX]);
void port_stop(struct port *port);

/* Descriptor readable when the queue has packets, or -1 when the driver has none. */
int port_rx_fd(const struct port *port, unsigned queue);

void port_info(const struct port *port, struct dataplane_port_info *info);

#endif
