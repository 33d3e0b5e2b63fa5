/*
 * Mistakes that show only in the whole: a port without address, a gateway out of reach, numbers that
 * contradict each other. Each gets one sentence that says what to change. What depends on the machine (cores,
 * NUMA nodes, devices) is left to dataplane_start(), so that a file can be checked on another host.
 */
#include "control/config.h"

#include <arpa/inet.h>
#include <string.h>

#include "control/value.h"

#define IPV6_MTU_MIN 1280u /* RFC 8200 5 */

static const uint8_t zeroes[16];

static const struct config_origin *
port_origin(const struct config *config, unsigned port, const char *name)
{
	const struct config_origin *origin = config_origin_of(config, option_find("port", name), port);
	return origin->source != CONFIG_DEFAULT ? origin : &config->port_declared[port];
}

static const struct config_origin *
origin_named(const struct config *config, const char *section, const char *name)
{
	return config_origin_of(config, option_find(section, name), 0);
}

static void
port_value(const struct config *config, unsigned port, const char *name, char *out, size_t out_bytes)
{
	value_format(option_find("port", name), &config->dataplane.ports[port], out, out_bytes);
}

static bool
prefix_equal(const uint8_t *a, const uint8_t *b, unsigned prefix)
{
	if (memcmp(a, b, prefix / 8) != 0)
		return false;
	unsigned rest = prefix % 8;
	return rest == 0 || ((a[prefix / 8] ^ b[prefix / 8]) & (0xff00u >> rest) & 0xffu) == 0;
}

/* The address itself: not the network's, not its broadcast, not multicast, not loopback. */
static void
check_address4(struct config *config, unsigned at)
{
	const struct dataplane_port_config *port = &config->dataplane.ports[at];
	uint32_t addr, host_mask;
	char text[64];
	memcpy(&addr, port->addr4, sizeof(addr));
	addr = ntohl(addr);
	host_mask = port->prefix4 < 31 ? 0xffffffffu >> port->prefix4 : 0;
	port_value(config, at, "ipv4", text, sizeof(text));
	if (addr >> 28 >= 0xe || addr >> 24 == 127 || addr >> 24 == 0)
		config_error(config, port_origin(config, at, "ipv4"),
		    "port %s: ipv4 = %s is no address that a host can have", port->name, text);
	else if (host_mask != 0 && ((addr & host_mask) == 0 || (addr & host_mask) == host_mask))
		config_error(config, port_origin(config, at, "ipv4"),
		    "port %s: ipv4 = %s is the %s address of its prefix: choose one between", port->name,
		    text, (addr & host_mask) == 0 ? "network" : "broadcast");
}

static void
check_address6(struct config *config, unsigned at)
{
	const struct dataplane_port_config *port = &config->dataplane.ports[at];
	static const uint8_t loopback[16] = {[15] = 1};
	char text[64];
	port_value(config, at, "ipv6", text, sizeof(text));
	if (port->addr6[0] == 0xff || memcmp(port->addr6, loopback, 16) == 0 ||
	    memcmp(port->addr6, zeroes, 16) == 0)
		config_error(config, port_origin(config, at, "ipv6"),
		    "port %s: ipv6 = %s is no address that a host can have", port->name, text);
	if (port->mtu < IPV6_MTU_MIN)
		config_error(config, port_origin(config, at, "mtu"),
		    "port %s: mtu = %u is too small for IPv6, which needs %u", port->name, port->mtu,
		    IPV6_MTU_MIN);
}

static void
check_gateway(struct config *config, unsigned at, bool v6)
{
	const struct dataplane_port_config *port = &config->dataplane.ports[at];
	const uint8_t *gateway = v6 ? port->gateway6 : port->gateway4;
	const uint8_t *addr = v6 ? port->addr6 : port->addr4;
	unsigned prefix = v6 ? port->prefix6 : port->prefix4;
	size_t bytes = v6 ? 16 : 4;
	const char *name = v6 ? "gateway6" : "gateway4", *own = v6 ? "ipv6" : "ipv4";
	char gateway_text[64], own_text[64];
	if (memcmp(gateway, zeroes, bytes) == 0)
		return;
	port_value(config, at, name, gateway_text, sizeof(gateway_text));
	port_value(config, at, own, own_text, sizeof(own_text));
	if (prefix == 0)
		config_error(config, port_origin(config, at, name), "port %s: %s is set but %s is not",
		    port->name, name, own);
	else if (memcmp(gateway, addr, bytes) == 0)
		config_error(config, port_origin(config, at, name),
		    "port %s: %s = %s is the port's own address", port->name, name, gateway_text);
	else if (v6 && gateway[0] == 0xfe && (gateway[1] & 0xc0) == 0x80)
		return; /* a link-local router is in reach of every prefix */
	else if (!prefix_equal(gateway, addr, prefix))
		config_error(config, port_origin(config, at, name), "port %s: %s = %s is outside of %s = %s",
		    port->name, name, gateway_text, own, own_text);
}

/* Two ports may not share a device or an address. */
static void
check_unlike(struct config *config, unsigned at, unsigned other)
{
	const struct dataplane_port_config *a = &config->dataplane.ports[at],
	                                   *b = &config->dataplane.ports[other];
	if (a->device[0] != '\0' && strcmp(a->device, b->device) == 0)
		config_error(config, port_origin(config, at, "device"),
		    "port %s: device = %s is that of port %s too", a->name, a->device, b->name);
	if ((a->prefix4 != 0 && b->prefix4 != 0 && memcmp(a->addr4, b->addr4, 4) == 0) ||
	    (a->prefix6 != 0 && b->prefix6 != 0 && memcmp(a->addr6, b->addr6, 16) == 0))
		config_error(config, &config->port_declared[at], "port %s has the same address as port %s",
		    a->name, b->name);
}

static void
check_port(struct config *config, unsigned at)
{
	const struct dataplane_port_config *port = &config->dataplane.ports[at];
	const struct config_origin *declared = &config->port_declared[at];
	if (port->device[0] == '\0')
		config_error(config, declared,
		    "port %s has no device: set device to a PCI address such as 0000:3b:00.0, or to "
		    "net_tap0,iface=wire0 to try it out",
		    port->name);
	if (port->prefix4 == 0 && port->prefix6 == 0)
		config_error(config, declared,
		    "port %s has no address: set ipv4 (10.77.0.2/24) or ipv6 (fd00::2/64)", port->name);
	if (port->prefix4 != 0)
		check_address4(config, at);
	if (port->prefix6 != 0)
		check_address6(config, at);
	check_gateway(config, at, false);
	check_gateway(config, at, true);
	for (unsigned other = 0; other < at; other++)
		check_unlike(config, at, other);
}

static void
check_workers(struct config *config)
{
	const struct dataplane_config *dataplane = &config->dataplane;
	if (dataplane->workers > 0 && dataplane->worker_cpus_len > dataplane->workers)
		config_error(config, origin_named(config, "workers", "cpus"),
		    "workers.cpus names %u cores but workers.count is %u: shorten the list or raise the "
		    "count",
		    dataplane->worker_cpus_len, dataplane->workers);
	if (dataplane->worker_cpus_len > 0 && dataplane->workers > dataplane->worker_cpus_len)
		config_error(config, origin_named(config, "workers", "count"),
		    "workers.count is %u but workers.cpus names %u cores: name one for each, or leave "
		    "workers.cpus empty",
		    dataplane->workers, dataplane->worker_cpus_len);
	if (dataplane->tcp_port == 0 && dataplane->udp_port == 0)
		config_error(config, origin_named(config, "tcp", "port"),
		    "tcp.port and udp.port are both 0: nothing would be served");
}

/* A datagram carries no login, and answering it without one would undo the others'. */
static void
check_auth(struct config *config)
{
	const struct dataplane_config *dataplane = &config->dataplane;
	if (dataplane->auth_file[0] != '\0' && dataplane->udp_port != 0)
		config_error(config, origin_named(config, "udp", "port"),
		    "udp.port is %u but auth.file asks for logins, which UDP cannot carry: set udp.port to 0 "
		    "or leave "
		    "auth.file empty",
		    dataplane->udp_port);
}

static void
check_memory(struct config *config)
{
	const struct store_config *store = &config->dataplane.store;
	char limit[32], item[32];
	value_format(option_find("memory", "limit"), config, limit, sizeof(limit));
	value_format(option_find("memory", "item_max"), config, item, sizeof(item));
	if (store->item_max_bytes > store->memory_bytes / 2)
		config_error(config, origin_named(config, "memory", "item_max"),
		    "memory.item_max = %s is more than half of memory.limit = %s: lower one or raise the "
		    "other",
		    item, limit);
	if (store->nodes_len > 1 &&
	    store->memory_bytes / store->nodes_len < option_find("memory", "limit")->min)
		config_error(config, origin_named(config, "memory", "limit"),
		    "memory.limit = %s is too small for %u NUMA nodes: each needs at least 8m", limit,
		    store->nodes_len);
	for (unsigned i = 0; i < store->nodes_len; i++)
		for (unsigned j = 0; j < i; j++)
			if (store->nodes[i] == store->nodes[j])
				config_error(config, origin_named(config, "memory", "nodes"),
				    "memory.nodes names node %d twice", store->nodes[i]);
}

void
config_check(struct config *config)
{
	if (config->dataplane.ports_len == 0 && config->errors == 0)
		config_error(config, NULL,
		    "no port is configured: add a section [port lan0] with device and ipv4 to the "
		    "configuration file, or "
		    "start with --port.lan0.device=DEVICE --port.lan0.ipv4=ADDRESS/PREFIX");
	for (unsigned i = 0; i < config->dataplane.ports_len; i++)
		check_port(config, i);
	check_workers(config);
	check_auth(config);
	check_memory(config);
}
