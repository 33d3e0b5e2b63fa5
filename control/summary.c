#include "control/summary.h"

#include "control/commands.h"
#include "control/value.h"
#include "control/version.h"
#include "store/store.h"

static void
print_label(FILE *out, const char *label)
{
	fprintf(out, "  %-12s ", label);
}

static void
print_port(FILE *out, const struct config *config, struct dataplane *dataplane, unsigned at)
{
	struct dataplane_port_info port;
	char text[VALUE_TEXT_MAX];
	const char *separator = "";
	dataplane_port_info(dataplane, at, &port);
	snprintf(text, sizeof(text), "port %s", port.name);
	print_label(out, text);
	for (unsigned i = 0; i < 2; i++) {
		value_format(option_find("port", i == 0 ? "ipv4" : "ipv6"), &config->dataplane.ports[at],
		    text, sizeof(text));
		if (*text == '\0')
			continue;
		fprintf(out, "%s%s", separator, text);
		separator = ", ";
	}
	fprintf(out, " on %s, %u queue%s, link %s\n", port.device, port.queues, port.queues == 1 ? "" : "s",
	    port.link_up ? "up" : "down");
}

static void
print_workers(FILE *out, struct dataplane *dataplane, const struct dataplane_info *info)
{
	print_label(out, "workers");
	fprintf(out, "%u on cpu", info->workers);
	for (unsigned i = 0; i < info->workers; i++) {
		struct dataplane_worker_info worker;
		dataplane_worker_info(dataplane, i, &worker);
		fprintf(out, "%s%d", i == 0 ? " " : ", ", worker.cpu);
	}
	fprintf(out, "; idle: %s\n", info->idle);
}

static void
print_serving(FILE *out, const struct dataplane_config *config)
{
	print_label(out, "serving");
	if (config->tcp_port != 0)
		fprintf(out, "TCP port %u%s", config->tcp_port, config->udp_port != 0 ? ", " : "");
	if (config->udp_port != 0)
		fprintf(out, "UDP port %u", config->udp_port);
	fprintf(out, ", at most %u connections\n", config->connections_max);
}

void
summary_print_plan(FILE *out, const struct config *config)
{
	for (unsigned i = 0; i < config->plan_len; i++) {
		print_label(out, "plan");
		fprintf(out, "%s\n", config->plan[i]);
	}
	fflush(out);
}

void
summary_print(FILE *out, const struct config *config, struct dataplane *dataplane)
{
	struct dataplane_info info;
	struct store_info store;
	char limit[32];
	dataplane_info(dataplane, &info);
	dataplane_store_info(dataplane, &store);
	value_format(option_find("memory", "limit"), config, limit, sizeof(limit));
	fprintf(out, "wirecached %s on %s\n", wirecache_version, info.dpdk_version);
	summary_print_plan(out, config);
	for (unsigned i = 0; i < info.ports; i++)
		print_port(out, config, dataplane, i);
	print_workers(out, dataplane, &info);
	print_serving(out, &config->dataplane);
	print_label(out, "memory");
	fprintf(out, "%s for items on %s%s, packets on %s\n", limit,
	    store.hugepages ? "hugepages" : "normal pages", store.bound ? " bound to their node" : "",
	    info.eal_hugepages ? "hugepages" : "normal pages");
	if (store.start != STORE_START_PLAIN) {
		print_label(out, "restart");
		fprintf(out, "%s: %s\n", store.start == STORE_START_WARM ? "warm" : "empty", store.start_why);
	}
	print_label(out, "control");
	fprintf(out, "%s\nready\n", config->control_socket);
	fflush(out);
}
