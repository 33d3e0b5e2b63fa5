/*
 * The DPDK backend, see backend.h: any port that the appliance itself could serve (memif, PCI, TAP, AF_PACKET ...).
 *
 * All instances share one EAL and one port, a queue pair each. An instance takes one of our addresses for every
 * LINK_PORTS_USABLE connections, counting up from the one configured.
 */
#include "tests/load/backend_dpdk.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <rte_ethdev.h>
#include <rte_lcore.h>

#define BURSTS_A_POLL     2u    /* twice 32 packets: enough to drain, short enough for the schedule */
#define CONNECTIONS_SPARE 4096u /* a stack holds as many more that are coming to their end */
#define PROGRAM           "wireload"
#define PROBE_EVERY_US    50000u

/* One EAL in a process, so one port: made with the first instance, closed with the last. */
static struct link_port *shared_port;
static unsigned shared_users;

static unsigned
sources_needed(const struct load_backend_config *config)
{
	return (config->connections + LINK_PORTS_USABLE - 1) / LINK_PORTS_USABLE;
}

static int
port_open(const struct load_backend_config *config, char error[LOAD_ERROR_BYTES])
{
	struct dataplane_config dataplane;
	char why[DATAPLANE_ERROR_MAX];
	cpu_set_t before;
	int rc;

	link_config_default(&dataplane);
	rc = dpdk_args_read(
	    &dataplane, config->eal_args, config->address, config->gateway, config->mtu, error);
	if (rc != 0)
		return rc;
	sched_getaffinity(0, sizeof(before), &before);
	shared_port = link_port_open(&dataplane, config->threads, PROGRAM, why);
	/* The EAL pins this thread, and the generator's threads would inherit that. */
	if (dataplane.worker_cpus_len == 0)
		sched_setaffinity(0, sizeof(before), &before);
	if (!shared_port)
		snprintf(error, LOAD_ERROR_BYTES, "%.*s", (int)LOAD_ERROR_BYTES - 1, why);
	return shared_port ? 0 : -EIO;
}

/* Where packets to the server go first. */
static struct net_addr
next_hop(const struct net_iface *iface, const struct net_addr *server)
{
	uint32_t mask = iface->prefix4 ? UINT32_MAX << (32 - iface->prefix4) : 0;

	if (!net_addr_is_v4(server) || (iface->gateway4.q[0] | iface->gateway4.q[1]) == 0)
		return *server;
	return ((server->w[3] ^ iface->addr4.w[3]) & rte_cpu_to_be_32(mask)) == 0 ? *server : iface->gateway4;
}

static int
server_read(struct load_backend *backend, char error[LOAD_ERROR_BYTES])
{
	const struct load_backend_config *config = &backend->config;
	const struct net_iface *iface = &shared_port->port.iface;

	backend->server_port = rte_cpu_to_be_16(config->port);
	if (!dpdk_address_read(config->server, &backend->server)) {
		snprintf(error, LOAD_ERROR_BYTES, "%.64s is no address", config->server);
		return -EINVAL;
	}
	if (net_addr_is_v4(&backend->server) ? iface->prefix4 == 0 : iface->prefix6 == 0) {
		snprintf(error, LOAD_ERROR_BYTES, "our address must be of the server's family");
		return -EINVAL;
	}
	if (net_addr_is_v4(&backend->server))
		return 0;
	if (config->transport == LOAD_UDP || config->threads > 1 || sources_needed(config) > 1) {
		snprintf(error, LOAD_ERROR_BYTES,
		    "over IPv6 this backend speaks TCP, on one thread, on up to %u connections",
		    LINK_PORTS_USABLE);
		return -EINVAL;
	}
	return 0;
}

static int
link_make(struct load_backend *backend, char error[LOAD_ERROR_BYTES])
{
	const struct load_backend_config *config = &backend->config;
	struct link_user user = {.ctx = backend};
	struct link_options options = {
	    .queue = config->thread,
	    .sources = sources_needed(config),
	    .next_hop = next_hop(&shared_port->port.iface, &backend->server),
	};
	char why[DATAPLANE_ERROR_MAX] = "";

	options.first_source = config->thread * options.sources;
	if (options.sources > LINK_SOURCES_MAX) {
		snprintf(error, LOAD_ERROR_BYTES, "at most %u connections a thread",
		    LINK_SOURCES_MAX * LINK_PORTS_USABLE);
		return -EINVAL;
	}
	link_tcp_config_default(&options.tcp);
	options.tcp.connections_max = RTE_MIN(config->connections, LINK_PORTS_USABLE) + CONNECTIONS_SPARE;
	options.tcp.snd_buffer_bytes = RTE_MAX(config->send_room, options.tcp.snd_buffer_bytes);
	if (config->transport == LOAD_UDP)
		user.early = dpdk_udp_early;
	dpdk_tcp_app(&user.tcp, backend);
	backend->link = link_open(shared_port, &options, &user, why);
	if (!backend->link)
		snprintf(error, LOAD_ERROR_BYTES, "%.*s", (int)LOAD_ERROR_BYTES - 1, why);
	return backend->link ? 0 : -ENOMEM;
}

static void
nobody_hears(void *ctx, uint32_t conn, enum load_conn_state state, int error)
{
}

static void
dpdk_close(struct load_backend *backend)
{
	if (!backend)
		return;
	backend->config.events.changed = nobody_hears; /* callbacks come from poll() only */
	dpdk_udp_close(backend);
	if (backend->link)
		link_close(backend->link);
	dpdk_tcp_close(backend);
	free(backend->waiting);
	free(backend);
	if (--shared_users == 0 && shared_port) {
		link_port_close(shared_port);
		shared_port = NULL;
	}
}

static int
dpdk_open(struct load_backend **out, const struct load_backend_config *config, char error[LOAD_ERROR_BYTES])
{
	struct load_backend *backend = calloc(1, sizeof(*backend));
	int rc = 0;

	*out = NULL;
	if (!backend) {
		snprintf(error, LOAD_ERROR_BYTES, "no memory");
		return -ENOMEM;
	}
	backend->config = *config;
	shared_users++;
	if (!shared_port)
		rc = port_open(config, error);
	if (rc == 0)
		rc = server_read(backend, error);
	if (rc == 0)
		rc = link_make(backend, error);
	if (rc == 0) {
		backend->waiting = calloc(config->connections, sizeof(backend->waiting[0]));
		rc = config->transport == LOAD_UDP ? dpdk_udp_open(backend) : dpdk_tcp_open(backend);
		if (!backend->waiting)
			rc = -ENOMEM;
		if (rc != 0)
			snprintf(
			    error, LOAD_ERROR_BYTES, "no memory for %u connections", config->connections);
	}
	if (rc != 0) {
		dpdk_close(backend);
		return rc;
	}
	*out = backend;
	return 0;
}

/* The thread gets an lcore id, without which mempools have no cache, and its cpu of the EAL's list, if there was one. */
static void
dpdk_enter(struct load_backend *backend)
{
	const struct dataplane *dataplane = &shared_port->dataplane;
	cpu_set_t set;

	if (rte_lcore_id() == LCORE_ID_ANY && rte_thread_register() != 0)
		return; /* it works without, more slowly */
	if (dataplane->config.worker_cpus_len == 0)
		return;
	CPU_ZERO(&set);
	CPU_SET(dataplane->cpus[backend->config.thread], &set);
	pthread_setaffinity_np(pthread_self(), sizeof(set), &set);
}

static bool
is_udp(const struct load_backend *backend)
{
	return backend->config.transport == LOAD_UDP;
}

static int
dpdk_connect(struct load_backend *backend, uint32_t conn)
{
	if (backend->waiting_len == backend->config.connections)
		return -EAGAIN;
	backend->waiting[backend->waiting_len++] = conn;
	return 0;
}

static void
dpdk_close_conn(struct load_backend *backend, uint32_t conn)
{
	for (uint32_t i = 0; i < backend->waiting_len; i++)
		if (backend->waiting[i] == conn)
			backend->waiting[i--] = backend->waiting[--backend->waiting_len];
	if (is_udp(backend))
		dpdk_udp_close_conn(backend, conn);
	else
		dpdk_tcp_close_conn(backend, conn);
}

/* Whether the way to the server is known. A far end that only reflects has no address to be asked for. */
static bool
next_hop_ready(struct load_backend *backend)
{
	const struct link *link = backend->link;

	if (backend->config.reflect)
		return true;
	if (link->next_hop_known) {
		if (is_udp(backend))
			dpdk_udp_address(backend, &link->next_hop_mac);
		return true;
	}
	if (link->clock.now_us >= backend->probed_us + PROBE_EVERY_US) {
		backend->probed_us = link->clock.now_us;
		dpdk_udp_probe(backend);
	}
	return false;
}

/* Begins what waits; those that come up meanwhile may call for others, which wait for the next poll. */
static void
connect_waiting(struct load_backend *backend)
{
	if (!next_hop_ready(backend))
		return;
	for (uint32_t left = backend->waiting_len; left && backend->waiting_len; left--) {
		uint32_t conn = backend->waiting[--backend->waiting_len];

		if (is_udp(backend))
			dpdk_udp_connect(backend, conn);
		else
			dpdk_tcp_connect(backend, conn);
	}
}

static void
dpdk_expect(struct load_backend *backend, uint32_t conn, bool near)
{
	if (!is_udp(backend))
		dpdk_tcp_expect(backend, conn, near);
}

static void *
dpdk_reserve(struct load_backend *backend, uint32_t conn, uint32_t bytes)
{
	return is_udp(backend) ? dpdk_udp_reserve(backend, conn, bytes)
	                       : dpdk_tcp_reserve(backend, conn, bytes);
}

static void
dpdk_commit(struct load_backend *backend, uint32_t conn, uint32_t bytes, bool push)
{
	if (is_udp(backend))
		dpdk_udp_commit(backend, conn, bytes);
	else
		dpdk_tcp_commit(backend, conn, bytes, push);
}

static bool
dpdk_blocked(struct load_backend *backend, uint32_t conn)
{
	return is_udp(backend) ? !backend->udp.up[conn] : dpdk_tcp_blocked(backend, conn);
}

static void
dpdk_flush(struct load_backend *backend)
{
	dpdk_udp_flush(backend);
	link_flush(backend->link);
	backend->tcp.flushes++;
}

static uint32_t
dpdk_poll(struct load_backend *backend, uint64_t now_tsc)
{
	backend->delivered = 0;
	link_tick(backend->link);
	if (unlikely(backend->waiting_len))
		connect_waiting(backend);
	for (unsigned i = 0; i < BURSTS_A_POLL; i++) {
		backend->rx_tsc = rte_rdtsc();
		if (link_receive(backend->link) < LINK_BURST)
			break;
	}
	link_timers(backend->link);
	return backend->delivered;
}

static void
dpdk_stats(const struct load_backend *backend, struct load_backend_stats *stats)
{
	const struct link *link = backend->link;
	struct rte_eth_stats port = {0};

	rte_eth_stats_get(link->port_id, &port);
	*stats = (struct load_backend_stats){
	    .tx_packets = link->tx_packets,
	    .rx_packets = link->rx_packets,
	    .tx_dropped = link->tx_full + backend->udp.no_mbuf,
	    .rx_dropped = port.imissed + port.rx_nombuf,
	    .retransmits = LINK_COUNTER(link, tcp_retransmits),
	    .connect_failures = backend->connect_failures,
	};
}

const struct load_backend_ops load_backend_dpdk = {
    .name = "dpdk",
    .help = "DPDK port (memif, PCI, TAP ...) with the appliance's own network stack",
    .open = dpdk_open,
    .enter = dpdk_enter,
    .connect = dpdk_connect,
    .close_conn = dpdk_close_conn,
    .expect = dpdk_expect,
    .reserve = dpdk_reserve,
    .commit = dpdk_commit,
    .blocked = dpdk_blocked,
    .flush = dpdk_flush,
    .poll = dpdk_poll,
    .stats = dpdk_stats,
    .close = dpdk_close,
};
