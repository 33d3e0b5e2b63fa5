/*
 * See port.h. Everything a driver may lack is asked for only if it says that it has it; what is missing is
 * done in software by net/, or said in status.
 */
#include "dataplane/port.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <rte_ethdev.h>

#define RSS_KEY_MAX     64u
#define RSS_HASH_WANTED (RTE_ETH_RSS_IP | RTE_ETH_RSS_TCP | RTE_ETH_RSS_UDP)
#define RETA_GROUPS_MAX (RTE_ETH_RSS_RETA_SIZE_512 / RTE_ETH_RETA_GROUP_SIZE)

/* Offloads worth having: the driver's bits, and what the stack may then leave undone. */
static const struct offload {
	uint64_t ethdev;
	uint32_t net;
	bool tx;
	const char *name;
} offloads[] = {
    {RTE_ETH_RX_OFFLOAD_CHECKSUM, NET_OFFLOAD_RX_CSUM, false, "rx-checksum"},
    {RTE_ETH_RX_OFFLOAD_RSS_HASH, NET_OFFLOAD_RX_RSS, false, "rx-hash"},
    {RTE_ETH_RX_OFFLOAD_SCATTER, 0, false, "rx-scatter"},
    {RTE_ETH_TX_OFFLOAD_IPV4_CKSUM, NET_OFFLOAD_TX_IP4_CSUM, true, "tx-ip4-checksum"},
    {RTE_ETH_TX_OFFLOAD_TCP_CKSUM | RTE_ETH_TX_OFFLOAD_UDP_CKSUM, NET_OFFLOAD_TX_L4_CSUM, true,
        "tx-l4-checksum"},
    {RTE_ETH_TX_OFFLOAD_MULTI_SEGS, NET_OFFLOAD_TX_MULTI, true, "tx-multi-segment"},
};

/*
 * Drivers that copy a packet before their transmit call returns, so that it may point to memory that no device knows. A NIC
 * would have to map the cache; memif's zero-copy hands out places in DPDK's memory.
 */
static bool
transmits_by_copy(const struct port *port)
{
	if (strcmp(port->driver, "net_memif") == 0)
		return strstr(port->config->device, "zero-copy=yes") == NULL;
	return strcmp(port->driver, "net_tap") == 0 || strcmp(port->driver, "net_af_packet") == 0;
}

void
port_device_name(const char *device, char name[DATAPLANE_DEVICE_MAX])
{
	size_t len = strcspn(device, ",");

	if (len >= DATAPLANE_DEVICE_MAX)
		len = DATAPLANE_DEVICE_MAX - 1;
	memcpy(name, device, len);
	name[len] = '\0';
}

/* domain:bus:device.function or bus:device.function, hexadecimal. */
bool
port_device_is_pci(const char *device)
{
	unsigned domain, bus, slot, function;
	int end = 0;
	char name[DATAPLANE_DEVICE_MAX];

	port_device_name(device, name);
	if (sscanf(name, "%x:%x:%x.%x%n", &domain, &bus, &slot, &function, &end) == 4)
		return name[end] == '\0';
	end = 0;
	if (sscanf(name, "%x:%x.%x%n", &bus, &slot, &function, &end) == 3)
		return name[end] == '\0';
	return false;
}

int
port_find(struct port *port, const struct dataplane_port_config *config, char error[DATAPLANE_ERROR_MAX])
{
	char name[DATAPLANE_DEVICE_MAX];
	struct rte_eth_dev_info info;
	int rc;

	memset(port, 0, sizeof(*port));
	port->config = config;
	port_device_name(config->device, name);
	if (rte_eth_dev_get_port_by_name(name, &port->port_id) != 0) {
		snprintf(error, DATAPLANE_ERROR_MAX,
		    port_device_is_pci(config->device)
		        ? "port %s: no DPDK driver took %s: bind it to vfio-pci (dpdk-devbind.py --status "
		          "shows it)"
		        : "port %s: the device %s could not be made: the lines above say why; its driver and "
		          "arguments are in option `device`",
		    config->name, name);
		return -ENODEV;
	}
	rc = rte_eth_dev_info_get(port->port_id, &info);
	if (rc != 0) {
		snprintf(error, DATAPLANE_ERROR_MAX, "port %s: %s does not answer: %s", config->name, name,
		    rte_strerror(-rc));
		return rc;
	}
	port->node = rte_eth_dev_socket_id(port->port_id);
	snprintf(port->driver, sizeof(port->driver), "%s", info.driver_name ? info.driver_name : "unknown");
	port->queues_max = RTE_MIN(info.max_rx_queues, info.max_tx_queues);
	return 0;
}

static uint64_t
offloads_choose(const struct rte_eth_dev_info *info, struct rte_eth_conf *conf, struct net_iface *iface)
{
	for (unsigned i = 0; i < RTE_DIM(offloads); i++) {
		const struct offload *o = &offloads[i];
		uint64_t capable = o->tx ? info->tx_offload_capa : info->rx_offload_capa;

		if ((capable & o->ethdev) != o->ethdev)
			continue;
		if (o->tx)
			conf->txmode.offloads |= o->ethdev;
		else
			conf->rxmode.offloads |= o->ethdev;
		iface->offloads |= o->net;
	}
	if (iface->vlan_id && (info->rx_offload_capa & RTE_ETH_RX_OFFLOAD_VLAN_STRIP) &&
	    (info->tx_offload_capa & RTE_ETH_TX_OFFLOAD_VLAN_INSERT)) {
		conf->rxmode.offloads |= RTE_ETH_RX_OFFLOAD_VLAN_STRIP;
		conf->txmode.offloads |= RTE_ETH_TX_OFFLOAD_VLAN_INSERT;
		iface->offloads |= NET_OFFLOAD_VLAN;
	}
	return conf->txmode.offloads;
}

/* RSS with a key of our own, if the driver has RSS and there is more than one queue. */
static void
rss_choose(const struct port *port, const struct rte_eth_dev_info *info, struct rte_eth_conf *conf,
    uint8_t key[RSS_KEY_MAX])
{
	if (port->queues < 2 || (info->flow_type_rss_offloads & RSS_HASH_WANTED) == 0)
		return;
	/* TAP lists hash types for rte_flow, but the kernel spreads its flows by itself and refuses a key. */
	if (strcmp(port->driver, "net_tap") == 0)
		return;
	conf->rxmode.mq_mode = RTE_ETH_MQ_RX_RSS;
	conf->rx_adv_conf.rss_conf.rss_hf = info->flow_type_rss_offloads & RSS_HASH_WANTED;
	if (info->hash_key_size > 0 && info->hash_key_size <= RSS_KEY_MAX &&
	    getrandom(key, info->hash_key_size, 0) == info->hash_key_size) {
		conf->rx_adv_conf.rss_conf.rss_key = key;
		conf->rx_adv_conf.rss_conf.rss_key_len = info->hash_key_size;
	}
}

/* Every queue must stand in the redirection table, else a worker would starve: read it, and mend it. */
static int
rss_table_spread(const struct port *port, const struct rte_eth_dev_info *info)
{
	struct rte_eth_rss_reta_entry64 table[RETA_GROUPS_MAX];
	bool used[DATAPLANE_WORKERS_MAX] = {false};
	unsigned missing = port->queues;

	if (info->reta_size == 0 || info->reta_size > RETA_GROUPS_MAX * RTE_ETH_RETA_GROUP_SIZE)
		return 0;
	memset(table, 0, sizeof(table));
	for (unsigned i = 0; i < RETA_GROUPS_MAX; i++)
		table[i].mask = UINT64_MAX;
	if (rte_eth_dev_rss_reta_query(port->port_id, table, info->reta_size) != 0)
		return 0;
	for (unsigned i = 0; i < info->reta_size; i++) {
		unsigned queue = table[i / RTE_ETH_RETA_GROUP_SIZE].reta[i % RTE_ETH_RETA_GROUP_SIZE];

		if (queue < port->queues && !used[queue]) {
			used[queue] = true;
			missing--;
		}
	}
	if (missing == 0)
		return 0;
	for (unsigned i = 0; i < info->reta_size; i++)
		table[i / RTE_ETH_RETA_GROUP_SIZE].reta[i % RTE_ETH_RETA_GROUP_SIZE] = i % port->queues;
	return rte_eth_dev_rss_reta_update(port->port_id, table, info->reta_size);
}

/* What the driver really does, read back after start. */
static int
rss_read_back(struct port *port, const struct rte_eth_dev_info *info, const struct rte_eth_conf *asked,
    const uint8_t key_asked[RSS_KEY_MAX])
{
	uint8_t key[RSS_KEY_MAX] = {0};
	struct rte_eth_rss_conf got = {.rss_key = key, .rss_key_len = info->hash_key_size};

	if (port->queues < 2) {
		port->rss = "not needed: one queue";
		return 0;
	}
	if (asked->rxmode.mq_mode != RTE_ETH_MQ_RX_RSS) {
		port->rss = "by the driver";
		port->iface.offloads &= ~NET_OFFLOAD_RX_RSS;
		return 0;
	}
	if (rte_eth_dev_rss_hash_conf_get(port->port_id, &got) != 0 || got.rss_hf == 0) {
		port->rss = "by the driver, key unknown";
		return 0;
	}
	port->rss = asked->rx_adv_conf.rss_conf.rss_key && memcmp(key, key_asked, info->hash_key_size) == 0
	                ? "hardware, random key"
	                : "hardware, the driver's key";
	return rss_table_spread(port, info);
}

static int
queues_setup(
    struct port *port, struct rte_mempool *const *pools, struct rte_eth_dev_info *info, uint64_t tx_offloads)
{
	uint16_t rx_descriptors = port->config->rx_descriptors, tx_descriptors = port->config->tx_descriptors;
	int rc = rte_eth_dev_adjust_nb_rx_tx_desc(port->port_id, &rx_descriptors, &tx_descriptors);

	info->default_txconf.offloads = tx_offloads;
	for (unsigned q = 0; rc == 0 && q < port->queues; q++) {
		rc = rte_eth_rx_queue_setup(port->port_id, q, rx_descriptors, port->node, NULL, pools[q]);
		if (rc == 0)
			rc = rte_eth_tx_queue_setup(
			    port->port_id, q, tx_descriptors, port->node, &info->default_txconf);
	}
	return rc;
}

static void
iface_fill(struct port *port)
{
	const struct dataplane_port_config *config = port->config;
	struct net_iface *iface = &port->iface;

	iface->port_id = port->port_id;
	iface->mtu = config->mtu;
	iface->vlan_id = config->vlan_id;
	iface->prefix4 = config->prefix4;
	iface->prefix6 = config->prefix6;
	rte_eth_macaddr_get(port->port_id, &iface->mac);
	/* A ring has no address of its own. */
	if (!rte_is_valid_assigned_ether_addr(&iface->mac))
		rte_eth_random_addr(iface->mac.addr_bytes);
	/* The kernel's end of a TAP bears the port's address: with one address on both ends, both would
	 * derive the same IPv6 link-local address. Ours differs in one bit, and a TAP delivers frames to any
	 * address. */
	if (strcmp(port->driver, "net_tap") == 0)
		iface->mac.addr_bytes[5] ^= 1;
	if (config->prefix4) {
		rte_be32_t v4;

		memcpy(&v4, config->addr4, sizeof(v4));
		iface->addr4 = net_addr_v4(v4);
		memcpy(&v4, config->gateway4, sizeof(v4));
		if (v4)
			iface->gateway4 = net_addr_v4(v4);
	}
	if (config->prefix6) {
		memcpy(iface->addr6[1].b, config->addr6, 16);
		memcpy(iface->gateway6.b, config->gateway6, 16);
	}
}

/* Largest IP packet: some drivers bound only the frame. */
static unsigned
mtu_max(const struct rte_eth_dev_info *info)
{
	unsigned by_frame = info->max_rx_pktlen > RTE_ETHER_HDR_LEN + RTE_ETHER_CRC_LEN
	                        ? info->max_rx_pktlen - RTE_ETHER_HDR_LEN - RTE_ETHER_CRC_LEN
	                        : UINT16_MAX;

	return RTE_MIN(by_frame, info->max_mtu ? info->max_mtu : UINT16_MAX);
}

int
port_start(
    struct port *port, struct rte_mempool *const *pools, unsigned queues, char error[DATAPLANE_ERROR_MAX])
{
	struct rte_eth_conf conf = {0};
	struct rte_eth_dev_info info;
	uint8_t rss_key[RSS_KEY_MAX] = {0};
	const char *step = "ask the driver";
	uint64_t tx_offloads;
	int rc;

	port->queues = queues;
	iface_fill(port);
	rc = rte_eth_dev_info_get(port->port_id, &info);
	if (rc != 0)
		goto failed;
	tx_offloads = offloads_choose(&info, &conf, &port->iface);
	if (transmits_by_copy(port))
		port->iface.offloads |= NET_OFFLOAD_TX_EXTERNAL;
	rss_choose(port, &info, &conf, rss_key);
	if (port->config->mtu > mtu_max(&info)) {
		snprintf(error, DATAPLANE_ERROR_MAX,
		    "port %s: %s takes an mtu of %u at most: lower the port's mtu of %u", port->config->name,
		    port->config->device, mtu_max(&info), port->config->mtu);
		return -EINVAL;
	}
	conf.rxmode.mtu = port->config->mtu;
	conf.intr_conf.rxq = 1;
	step = "configure";
	rc = rte_eth_dev_configure(port->port_id, queues, queues, &conf);
	if (rc != 0) {
		/* Many drivers refuse receive interrupts: do without. */
		conf.intr_conf.rxq = 0;
		rc = rte_eth_dev_configure(port->port_id, queues, queues, &conf);
	}
	if (rc != 0)
		goto failed;
	step = "set up its queues";
	rc = queues_setup(port, pools, &info, tx_offloads);
	if (rc != 0)
		goto failed;
	step = "set its MTU";
	rc = rte_eth_dev_set_mtu(port->port_id, port->config->mtu);
	if (rc != 0 && rc != -ENOTSUP)
		goto failed;
	step = "start";
	rc = rte_eth_dev_start(port->port_id);
	if (rc != 0)
		goto failed;
	port->started = true;
	/* IPv6 neighbours ask by multicast; drivers that see everything anyway answer -ENOTSUP. */
	rte_eth_allmulticast_enable(port->port_id);
	step = "spread its flows over the workers";
	rc = rss_read_back(port, &info, &conf, rss_key);
	if (rc == 0)
		return 0;
failed:
	snprintf(error, DATAPLANE_ERROR_MAX, "port %s: cannot %s %s (%s): %s", port->config->name, step,
	    port->config->device, port->driver, rte_strerror(-rc));
	return rc;
}

void
port_stop(struct port *port)
{
	if (port->started)
		rte_eth_dev_stop(port->port_id);
	rte_eth_dev_close(port->port_id);
	port->started = false;
}

int
port_rx_fd(const struct port *port, unsigned queue)
{
	int fd = rte_eth_dev_rx_intr_ctl_q_get_fd(port->port_id, queue);

	return fd >= 0 ? fd : -1;
}

void
port_info(const struct port *port, struct dataplane_port_info *info)
{
	struct rte_eth_link link = {0};
	struct rte_eth_stats stats = {0};
	unsigned used = 0;

	memset(info, 0, sizeof(*info));
	snprintf(info->name, sizeof(info->name), "%s", port->config->name);
	snprintf(info->device, sizeof(info->device), "%s", port->config->device);
	snprintf(info->driver, sizeof(info->driver), "%s", port->driver);
	memcpy(info->mac, port->iface.mac.addr_bytes, sizeof(info->mac));
	info->node = port->node;
	info->queues = port->queues;
	info->mtu = port->iface.mtu;
	info->rss = port->rss;
	info->steering = port->steering ? port->steering : "off";
	for (unsigned i = 0; i < RTE_DIM(offloads); i++)
		if (offloads[i].net && (port->iface.offloads & offloads[i].net))
			info->offloads[used++] = offloads[i].name;
	if (port->iface.offloads & NET_OFFLOAD_VLAN)
		info->offloads[used++] = "vlan";
	if (rte_eth_link_get_nowait(port->port_id, &link) == 0) {
		info->link_up = link.link_status == RTE_ETH_LINK_UP;
		info->link_mbps = link.link_speed == RTE_ETH_SPEED_NUM_UNKNOWN ? 0 : link.link_speed;
	}
	if (rte_eth_stats_get(port->port_id, &stats) != 0)
		return;
	info->rx_packets = stats.ipackets;
	info->tx_packets = stats.opackets;
	info->rx_bytes = stats.ibytes;
	info->tx_bytes = stats.obytes;
	info->rx_missed = stats.imissed;
	info->rx_errors = stats.ierrors;
	info->tx_errors = stats.oerrors;
	info->rx_no_mbuf = stats.rx_nombuf;
}
