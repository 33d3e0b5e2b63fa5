/*
 * One thread's share of a port; see link.h. The steps are those of the appliance's loop (dataplane/worker.c) without
 * its serving, and with a stack a source.
 */
#include "tests/load/link.h"

#include "dataplane/env_memory.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <rte_arp.h>
#include <rte_ethdev.h>
#include <rte_ip.h>

#define TIMER_US        100u
#define BACKLOG         16u     /* nobody connects to a client, but TCP wants a table */
#define TIME_WAIT_US    100000u /* old duplicates do not come on links like these, and ports are needed again */
#define MEMORY_MAX      (3u << 30)
#define TIME_WAIT_MAX   32768u
#define CLOSE_MS        200u  /* the end of all connections may take so long to leave */
#define CLOSE_LINGER_US 2000u /* and so long to be read by the far end, before its link goes */

/* ---- what a stack takes from outside (struct net_env) ----------------------------------------- */

static void
tx_flush(struct link *link)
{
	unsigned sent = 0;

	while (sent < link->tx_len) {
		uint16_t n = rte_eth_tx_burst(
		    link->port_id, link->queue, link->tx + sent, (uint16_t)(link->tx_len - sent));

		if (n == 0)
			break;
		sent += n;
	}
	link->tx_packets += sent;
	link->tx_len -= sent;
	if (link->tx_len && sent)
		memmove(link->tx, link->tx + sent, link->tx_len * sizeof(link->tx[0]));
}

void
link_send(struct link *link, struct rte_mbuf *m)
{
	if (unlikely(link->tx_len == LINK_TX_MAX)) {
		do
			tx_flush(link);
		while (link->tx_len == LINK_TX_MAX && unlikely(rte_rdtsc() < link->drain_until_tsc));
		if (link->tx_len == LINK_TX_MAX) {
			link->tx_full++;
			rte_pktmbuf_free(m);
			return;
		}
	}
	link->tx[link->tx_len++] = m;
	if (link->tx_len % LINK_BURST == 0)
		tx_flush(link);
}

static void
env_tx(void *ctx, uint8_t iface, struct rte_mbuf *m)
{
	link_send(((struct link_source *)ctx)->link, m);
}

static uint64_t
env_random(void *ctx)
{
	uint64_t random;

	while (getrandom(&random, sizeof(random), 0) != sizeof(random))
		continue; /* Safe because it fails only when interrupted. */
	return random;
}

static void
env_neigh_learned(void *ctx, uint8_t iface, const struct net_addr *addr, const struct rte_ether_addr *mac)
{
	struct link *link = ((struct link_source *)ctx)->link;

	if (!net_addr_equal(addr, &link->next_hop))
		return;
	link->next_hop_known = true;
	link->next_hop_mac = *mac;
}

/* ---- the loop's steps ------------------------------------------------------------------------- */

void
link_tick(struct link *link)
{
	clock_read(&link->clock);
	for (unsigned i = 0; i < link->sources_len; i++)
		net_tick(link->sources[i].net, link->clock.now_us);
}

/* Whose packet this is: by IPv4 destination or ARP target. What names no source of ours is the first one's. */
static unsigned
source_of(const struct link *link, const struct rte_mbuf *m)
{
	const struct rte_ether_hdr *eth = rte_pktmbuf_mtod(m, const struct rte_ether_hdr *);
	rte_be32_t to = 0;
	uint32_t index;

	if (m->data_len < sizeof(*eth) + sizeof(struct rte_arp_hdr))
		return 0;
	if (eth->ether_type == RTE_BE16(RTE_ETHER_TYPE_IPV4))
		to = ((const struct rte_ipv4_hdr *)(eth + 1))->dst_addr;
	else if (eth->ether_type == RTE_BE16(RTE_ETHER_TYPE_ARP))
		to = ((const struct rte_arp_hdr *)(eth + 1))->arp_data.arp_tip;
	index = rte_be_to_cpu_32(to) - rte_be_to_cpu_32(link->sources[0].addr.w[3]);
	return index < link->sources_len ? index : 0;
}

/* Runs of packets for the same source go to its stack together. */
static void
distribute(struct link *link, struct rte_mbuf **pkts, unsigned n)
{
	unsigned begin = 0;

	while (begin < n) {
		unsigned source = 0, end = n;

		if (link->sources_len > 1) {
			source = source_of(link, pkts[begin]);
			for (end = begin + 1; end < n && source_of(link, pkts[end]) == source;)
				end++;
		}
		net_input(link->sources[source].net, 0, pkts + begin, end - begin);
		begin = end;
	}
}

unsigned
link_receive(struct link *link)
{
	struct rte_mbuf *pkts[LINK_BURST];
	unsigned n = rte_eth_rx_burst(link->port_id, link->queue, pkts, LINK_BURST), left = n;

	link->rx_packets += n;
	if (n && link->user.early)
		left = link->user.early(link->user.ctx, pkts, n);
	if (left)
		distribute(link, pkts, left);
	return n;
}

void
link_timers(struct link *link)
{
	uint64_t next_us = TIMER_US;

	if (link->clock.now_us < link->timers_due_us)
		return;
	for (unsigned i = 0; i < link->sources_len; i++)
		next_us = RTE_MIN(next_us, net_poll(link->sources[i].net));
	link->timers_due_us = link->clock.now_us + next_us;
}

void
link_flush(struct link *link)
{
	for (unsigned i = 0; i < link->sources_len; i++)
		net_flush(link->sources[i].net);
	if (link->tx_len)
		tx_flush(link);
}

uint64_t
link_counter(const struct link *link, size_t offset)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < link->sources_len; i++)
		sum += *(const uint64_t *)((const char *)net_counters(link->sources[i].net) + offset);
	return sum;
}

/* ---- start and stop --------------------------------------------------------------------------- */

void
link_tcp_config_default(struct tcp_config *config)
{
	tcp_config_default(config);
	config->syn_backlog_max = BACKLOG;
	config->time_wait_max = TIME_WAIT_MAX;
	config->time_wait_us = TIME_WAIT_US;
	config->memory_bytes_max = MEMORY_MAX;
	config->keepalive_idle_us = 0;
}

static int
source_open(struct link *link, const struct net_iface *iface, unsigned number, const struct tcp_config *tcp)
{
	struct link_source *source = &link->sources[link->sources_len];
	const struct net_env env = {
	    .ctx = source,
	    .pool = link->pool,
	    .tx = env_tx,
	    .random = env_random,
	    .alloc = env_memory_alloc,
	    .free = env_memory_free,
	    .neigh_learned = env_neigh_learned,
	};
	struct net_config config;

	net_config_default(&config);
	config.ifaces_len = 1;
	config.ifaces[0] = *iface;
	config.ifaces[0].addr4.w[3] = rte_cpu_to_be_32(rte_be_to_cpu_32(iface->addr4.w[3]) + number);
	source->link = link;
	source->addr = iface->prefix4 ? config.ifaces[0].addr4 : iface->addr6[1];
	source->net = net_stack_create(&config, &env, tcp, &link->user.tcp, link->clock.now_us);
	return source->net ? 0 : -ENOMEM;
}

struct link *
link_open(struct link_port *port, const struct link_options *options, const struct link_user *user,
    char error[DATAPLANE_ERROR_MAX])
{
	struct link *link = env_memory_alloc(NULL, sizeof(*link));
	int rc = link ? 0 : -ENOMEM;

	if (rc == 0) {
		link->port_id = port->port.port_id;
		link->queue = (uint16_t)options->queue;
		link->pool = port->pools[options->queue];
		link->user = *user;
		link->next_hop = options->next_hop;
		clock_init(&link->clock, rte_rdtsc(), rte_get_tsc_hz(), 0);
	}
	for (unsigned i = 0; rc == 0 && i < options->sources; i++) {
		rc = source_open(link, &port->port.iface, options->first_source + i, &options->tcp);
		link->sources_len += rc == 0;
	}
	if (rc == 0)
		return link;
	snprintf(
	    error, DATAPLANE_ERROR_MAX, "no memory for the connections of %u addresses", options->sources);
	if (link)
		link_close(link);
	return NULL;
}

void
link_close(struct link *link)
{
	/* The server hears of every connection's end, if it listens: else it would keep them for its own timeouts. */
	link->drain_until_tsc = rte_rdtsc() + rte_get_tsc_hz() / 1000 * CLOSE_MS;
	for (unsigned i = 0; i < link->sources_len; i++)
		tcp_abort_all(net_tcp(link->sources[i].net));
	link_flush(link);
	while (link->tx_len && rte_rdtsc() < link->drain_until_tsc)
		tx_flush(link);
	rte_delay_us_sleep(CLOSE_LINGER_US);
	rte_pktmbuf_free_bulk(link->tx, link->tx_len);
	for (unsigned i = 0; i < link->sources_len; i++)
		net_stack_destroy(link->sources[i].net);
	free(link);
}
