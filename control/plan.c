/*
 * See plan.h. One worker a physical core, on the card's node, on isolated cores if there are any; the control thread on the
 * first core that no worker has. A core whose sibling works is not used: two threads of one core share its caches and ports.
 */
#include "control/plan.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "control/value.h"

#define PLAN_PORT          "lan0"
#define PLAN_PACKETS_BYTES ((uint64_t)256 << 20) /* kept back for packets of each node */
#define PLAN_LIMIT_STEP    ((uint64_t)64 << 20)

static void __attribute__((format(printf, 2, 3))) say(struct config *config, const char *format, ...)
{
	va_list args;
	if (config->plan_len == CONFIG_PLAN_MAX)
		return;
	va_start(args, format);
	vsnprintf(config->plan[config->plan_len++], CONFIG_PLAN_LINE_MAX, format, args);
	va_end(args);
}

static const struct config_origin plan_origin = {.source = CONFIG_PLAN, .place = "plan"};

static void
decide(struct config *config, const char *section, const char *name, unsigned port, const char *text)
{
	config_set(config, option_find(section, name), port, text, &plan_origin);
}

static bool
is_open(const struct config *config, const char *section, const char *name)
{
	return config_origin_of(config, option_find(section, name), 0)->source == CONFIG_DEFAULT;
}

/* ---- cards ------------------------------------------------------------------------------------ */

static bool
is_taken(const struct config *config, const struct host *host, const struct host_nic *nic)
{
	for (unsigned i = 0; i < config->dataplane.ports_len; i++)
		if (host_nic(host, config->dataplane.ports[i].device) == nic)
			return true;
	return false;
}

static const struct host_nic *
next_card(const struct config *config, const struct host *host)
{
	for (unsigned i = 0; i < host->nics_len; i++)
		if (host->nics[i].use == HOST_NIC_DPDK && !is_taken(config, host, &host->nics[i]))
			return &host->nics[i];
	return NULL;
}

/* Cards that were not chosen, and why. */
static void
explain_cards(struct config *config, const struct host *host)
{
	for (unsigned i = 0; i < host->nics_len; i++) {
		const struct host_nic *nic = &host->nics[i];
		if (is_taken(config, host, nic))
			continue;
		if (nic->use == HOST_NIC_ROUTE)
			say(config, "%s (%s, %s) holds the default route: never taken", nic->device,
			    nic->interface, nic->driver);
		else if (nic->use == HOST_NIC_KERNEL)
			say(config,
			    "%s (%s, %s) is the kernel's: driverctl set-override %s vfio-pci gives it away",
			    nic->device, *nic->interface != '\0' ? nic->interface : "no interface",
			    *nic->driver != '\0' ? nic->driver : "no driver", nic->device);
	}
	if (host->nics_len == 0)
		say(config, "no network card is on the PCI bus");
}

static void
plan_ports(struct config *config, const struct host *host)
{
	const struct host_nic *nic;
	if (config->dataplane.ports_len == 0 && config->errors == 0) {
		nic = next_card(config, host);
		if (nic != NULL)
			config_port(config, PLAN_PORT, &plan_origin);
	}
	for (unsigned i = 0; i < config->dataplane.ports_len; i++) {
		struct dataplane_port_config *port = &config->dataplane.ports[i];
		if (port->device[0] != '\0' || (nic = next_card(config, host)) == NULL)
			continue;
		decide(config, "port", "device", i, nic->device);
		say(config, "port %s on %s (%s, node %d)", port->name, nic->device, nic->driver, nic->node);
		config->plan_took_card = true;
	}
	for (unsigned i = 0; i < config->dataplane.ports_len; i++) {
		const struct dataplane_port_config *port = &config->dataplane.ports[i];
		nic = host_nic(host, port->device);
		if (nic != NULL && nic->use == HOST_NIC_ROUTE)
			config_error(config, config_origin_of(config, option_find("port", "device"), i),
			    "port %s: %s (%s) holds this machine's default route: taking it would cut the "
			    "machine "
			    "off; give the port another card",
			    port->name, nic->device, nic->interface);
	}
}

/* ---- cores ------------------------------------------------------------------------------------ */

static bool
is_allowed(const cpu_set_t *allowed, int cpu)
{
	return allowed == NULL || (cpu < CPU_SETSIZE && CPU_ISSET(cpu, allowed));
}

/* The node of the first card; -1: unknown, or no card. */
static int
card_node(const struct config *config, const struct host *host)
{
	for (unsigned i = 0; i < config->dataplane.ports_len; i++) {
		const struct host_nic *nic = host_nic(host, config->dataplane.ports[i].device);
		if (nic != NULL && nic->node >= 0)
			return nic->node;
	}
	return -1;
}

struct choice {
	const struct host_cpu *cpus[HOST_CPUS_MAX]; /* one of each core */
	unsigned len;
};

static bool
has_core(const struct choice *choice, int core)
{
	for (unsigned i = 0; i < choice->len; i++)
		if (choice->cpus[i]->core == core)
			return true;
	return false;
}

/* node -1: any; isolated: only such. */
static void
choose_cores(
    const struct host *host, const cpu_set_t *allowed, int node, bool isolated, struct choice *choice)
{
	choice->len = 0;
	for (unsigned i = 0; i < host->cpus_len; i++) {
		const struct host_cpu *cpu = &host->cpus[i];
		if (is_allowed(allowed, cpu->cpu) && (node < 0 || cpu->node < 0 || cpu->node == node) &&
		    (!isolated || cpu->isolated) && !has_core(choice, cpu->core))
			choice->cpus[choice->len++] = cpu;
	}
}

/* First allowed cpu on a core of its own; -1: there is none. */
static int
control_cpu(const struct host *host, const cpu_set_t *allowed, const struct choice *workers)
{
	for (unsigned i = 0; i < host->cpus_len; i++)
		if (is_allowed(allowed, host->cpus[i].cpu) && !host->cpus[i].isolated &&
		    !has_core(workers, host->cpus[i].core))
			return host->cpus[i].cpu;
	return -1;
}

static void
plan_cores(struct config *config, const struct host *host, const cpu_set_t *allowed)
{
	static struct choice choice; /* control thread, or a program of its own */
	char list[VALUE_TEXT_MAX] = "", control[16];
	size_t used = 0;
	int node = card_node(config, host);
	if (!is_open(config, "workers", "count") || !is_open(config, "workers", "cpus") ||
	    host->cpus_len == 0)
		return;
	choose_cores(host, allowed, node, true, &choice);
	bool isolated = choice.len > 0;
	if (!isolated)
		choose_cores(host, allowed, node, false, &choice);
	if (choice.len == 0)
		choose_cores(host, allowed, -1, false, &choice);
	int keeper = config->dataplane.control_cpu;
	if (keeper < 0)
		keeper = control_cpu(host, allowed, &choice);
	/* Nothing is left for the control thread: the first core is. */
	unsigned first = keeper < 0 && choice.len > 1;
	if (first)
		keeper = choice.cpus[0]->cpu;
	for (unsigned i = first; i < choice.len && i - first < DATAPLANE_WORKERS_MAX; i++)
		used += (size_t)snprintf(
		    list + used, sizeof(list) - used, "%s%d", i > first ? "," : "", choice.cpus[i]->cpu);
	if (used == 0)
		return;
	decide(config, "workers", "cpus", 0, list);
	config->dataplane.worker_cpus_planned = true;
	if (keeper >= 0 && is_open(config, "workers", "control_cpu")) {
		snprintf(control, sizeof(control), "%d", keeper);
		decide(config, "workers", "control_cpu", 0, control);
	}
	say(config, "workers on cpu %s: one a core%s%s", list, node >= 0 ? ", on the card's node" : "",
	    isolated ? ", isolated" : "");
}

/* ---- memory ----------------------------------------------------------------------------------- */

static bool
works_on(const struct config *config, const struct host *host, int node)
{
	for (unsigned i = 0; i < config->dataplane.worker_cpus_len; i++) {
		const struct host_cpu *cpu = host_cpu(host, config->dataplane.worker_cpus[i]);
		if (cpu != NULL && cpu->node == node)
			return true;
	}
	return false;
}

static void
plan_memory(struct config *config, const struct host *host)
{
	char nodes[VALUE_TEXT_MAX] = "", limit[32];
	size_t used = 0;
	unsigned count = 0;
	uint64_t huge_bytes = 0;
	for (unsigned i = 0; i < host->nodes_len; i++) {
		if (!works_on(config, host, host->nodes[i].node) || count == STORE_NODES_MAX)
			continue;
		used += (size_t)snprintf(
		    nodes + used, sizeof(nodes) - used, "%s%d", count > 0 ? "," : "", host->nodes[i].node);
		count++;
		if (host->nodes[i].huge_free_bytes > PLAN_PACKETS_BYTES)
			huge_bytes += host->nodes[i].huge_free_bytes - PLAN_PACKETS_BYTES;
	}
	if (host->nodes_len > 1 && count > 0 && is_open(config, "memory", "nodes")) {
		decide(config, "memory", "nodes", 0, nodes);
		say(config, "memory on node %s, where the workers are", nodes);
	}
	/* Only for a card that was given to this appliance and nothing else: the machine is its own then. */
	huge_bytes = huge_bytes / PLAN_LIMIT_STEP * PLAN_LIMIT_STEP;
	if (!config->plan_took_card || huge_bytes == 0 || !is_open(config, "memory", "limit"))
		return;
	snprintf(limit, sizeof(limit), "%llum", (unsigned long long)(huge_bytes >> 20));
	decide(config, "memory", "limit", 0, limit);
	say(config, "memory %s: the free hugepages of these nodes, less what packets take", limit);
}

void
plan_config(struct config *config, const struct host *host, const cpu_set_t *allowed)
{
	plan_ports(config, host);
	plan_cores(config, host, allowed);
	plan_memory(config, host);
	if (config->dataplane.ports_len == 0 || config->plan_took_card)
		explain_cards(config, host);
}
