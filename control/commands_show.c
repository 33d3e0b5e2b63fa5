/*
 * worker show, port show and xstats, queue show, memory show, store show, version: facts and totals as the data plane tells them.
 */
#include "control/commands.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "control/count.h"
#include "control/value.h"
#include "control/version.h"
#include "store/store.h"

#define XSTATS_MAX 1024u
#define NODES_MAX  64u

static json_t *
ratio_json(uint64_t part, uint64_t whole)
{
	return whole > 0 ? json_real((double)part / (double)whole) : json_null();
}

/* Rates are over the window, one to two seconds; the rest since start. */
static json_t *
worker_json(const struct dataplane_worker_info *info, const struct sample_worker *now,
    const struct sample_worker *before, uint64_t window_ms)
{
	json_t *row = json_object();
	count_set(row, "worker", info->index);
	json_object_set_new(row, "cpu", json_integer(info->cpu));
	json_object_set_new(row, "node", info->node >= 0 ? json_integer(info->node) : json_null());
	json_object_set_new(row, "state", json_string(info->alive ? "running" : "stuck"));
	uint64_t busy = now->cycles_busy - before->cycles_busy,
	         total = now->cycles_total - before->cycles_total;
	json_object_set_new(row, "busy_pct", ratio_json(100 * busy, total));
	count_set(row, "connections", info->connections);
	count_set(row, "connection_memory_bytes", info->connection_memory_bytes);
	count_set(row, "mbufs_free", info->mbufs_free);
	count_set(row, "mbufs", info->mbufs_total);
	count_set(row, "half_open", info->half_open);
	count_set(row, "time_wait", info->time_wait);
	count_set(row, "loops", now->loops);
	json_object_set_new(
	    row, "empty_polls_pct", ratio_json(100 * (now->loops - now->loops_busy), now->loops));
	count_set(row, "packets", now->packets);
	count_set(row, "requests", now->requests);
	json_object_set_new(
	    row, "requests_per_s", ratio_json(1000 * (now->requests - before->requests), window_ms));
	json_object_set_new(row, "packets_a_burst", ratio_json(now->packets, now->bursts));
	json_object_set_new(row, "cycles_a_packet", ratio_json(now->cycles_busy, now->packets));
	json_object_set_new(row, "cycles_a_request", ratio_json(now->cycles_busy, now->requests));
	return row;
}

json_t *
commands_worker_show(struct commands *commands, struct commands_call *call)
{
	static const struct sample start; /* all zero: as if the window began at start */
	struct dataplane_info info;
	struct sample now;
	dataplane_info(commands->dataplane, &info);
	const struct sample *last = &commands->window.last, *before = &commands->window.before;
	const struct sample *base = before->at_ms != 0 ? before : &start;
	if (last->at_ms != 0)
		now = *last;
	else
		sample_take(commands->dataplane, &info, 0, &now);
	uint64_t window_ms = base->at_ms != 0 ? now.at_ms - base->at_ms : 1000ull * info.uptime_s;
	json_t *rows = json_array();
	for (unsigned i = 0; i < info.workers; i++) {
		struct dataplane_worker_info worker;
		dataplane_worker_info(commands->dataplane, i, &worker);
		json_array_append_new(
		    rows, worker_json(&worker, &now.workers[i], &base->workers[i], window_ms));
	}
	return rows;
}

json_t *
commands_port_addresses(const struct config *config, unsigned port)
{
	static const char *const names[] = {"ipv4", "ipv6"};
	json_t *addresses = json_array();
	for (unsigned i = 0; i < 2; i++) {
		char text[VALUE_TEXT_MAX];
		value_format(
		    option_find("port", names[i]), &config->dataplane.ports[port], text, sizeof(text));
		if (*text != '\0')
			json_array_append_new(addresses, json_string(text));
	}
	return addresses;
}

static json_t *
offloads_json(const struct dataplane_port_info *port)
{
	json_t *offloads = json_array();
	for (unsigned i = 0;
	     i < sizeof(port->offloads) / sizeof(port->offloads[0]) && port->offloads[i] != NULL; i++)
		json_array_append_new(offloads, json_string(port->offloads[i]));
	return offloads;
}

static json_t *
port_json(const struct commands *commands, unsigned at)
{
	struct dataplane_port_info port;
	const struct dataplane_port_config *config = &commands->config->dataplane.ports[at];
	dataplane_port_info(commands->dataplane, at, &port);
	json_t *row = json_object();
	json_object_set_new(row, "port", json_string(port.name));
	json_object_set_new(row, "device", json_string(port.device));
	json_object_set_new(row, "driver", json_string(port.driver));
	json_object_set_new(row, "mac",
	    json_sprintf("%02x:%02x:%02x:%02x:%02x:%02x", port.mac[0], port.mac[1], port.mac[2], port.mac[3],
	        port.mac[4], port.mac[5]));
	json_object_set_new(row, "addresses", commands_port_addresses(commands->config, at));
	json_object_set_new(row, "vlan", config->vlan_id != 0 ? json_integer(config->vlan_id) : json_null());
	count_set(row, "mtu", port.mtu);
	json_object_set_new(row, "link", json_string(port.link_up ? "up" : "down"));
	json_object_set_new(
	    row, "speed_mbps", port.link_mbps != 0 ? json_integer(port.link_mbps) : json_null());
	json_object_set_new(row, "node", port.node >= 0 ? json_integer(port.node) : json_null());
	count_set(row, "queues", port.queues);
	json_object_set_new(row, "rss", json_string(port.rss));
	json_object_set_new(row, "steering", json_string(port.steering));
	json_object_set_new(row, "offloads", offloads_json(&port));
	count_set(row, "rx_packets", port.rx_packets);
	count_set(row, "rx_bytes", port.rx_bytes);
	count_set(row, "tx_packets", port.tx_packets);
	count_set(row, "tx_bytes", port.tx_bytes);
	count_set(row, "rx_dropped_queue_full", port.rx_missed);
	count_set(row, "rx_dropped_no_buffer", port.rx_no_mbuf);
	count_set(row, "rx_errors", port.rx_errors);
	count_set(row, "tx_errors", port.tx_errors);
	return row;
}

json_t *
commands_port_show(struct commands *commands, struct commands_call *call)
{
	struct dataplane_info info;
	json_t *rows = json_array();
	dataplane_info(commands->dataplane, &info);
	for (unsigned i = 0; i < info.ports; i++)
		json_array_append_new(rows, port_json(commands, i));
	return rows;
}

static json_t *
xstats_json(const struct dataplane_xstat *xstats, int len)
{
	json_t *values = json_object();
	for (int i = 0; i < len; i++)
		count_set(values, xstats[i].name, xstats[i].value);
	return values;
}

json_t *
commands_port_xstats(struct commands *commands, struct commands_call *call)
{
	static struct dataplane_xstat xstats[XSTATS_MAX];
	const char *wanted = usage_word(&call->words, 0);
	struct dataplane_info info;
	struct dataplane_port_info port;
	json_t *result = json_object();
	dataplane_info(commands->dataplane, &info);
	for (unsigned i = 0; i < info.ports; i++) {
		dataplane_port_info(commands->dataplane, i, &port);
		if (wanted != NULL && strcmp(wanted, port.name) != 0)
			continue;
		int len = dataplane_port_xstats(commands->dataplane, i, xstats, XSTATS_MAX);
		json_object_set_new(result, port.name, xstats_json(xstats, len <= (int)XSTATS_MAX ? len : 0));
	}
	if (wanted == NULL || json_object_size(result) > 0)
		return result;
	json_decref(result);
	snprintf(call->error, sizeof(call->error), "no port \"%.60s\": wirectl port show lists them", wanted);
	return NULL;
}

static json_t *
node_json(int node)
{
	return node >= 0 ? json_integer(node) : json_null();
}

/* A worker has the queue of its own number on every port. */
json_t *
commands_queue_show(struct commands *commands, struct commands_call *call)
{
	struct dataplane_info info;
	struct dataplane_port_info port;
	struct dataplane_worker_info worker;
	json_t *rows = json_array();
	dataplane_info(commands->dataplane, &info);
	for (unsigned p = 0; p < info.ports; p++) {
		dataplane_port_info(commands->dataplane, p, &port);
		for (unsigned q = 0; q < port.queues && q < info.workers; q++) {
			dataplane_worker_info(commands->dataplane, q, &worker);
			bool apart = port.node >= 0 && worker.node >= 0 && port.node != worker.node;
			json_array_append_new(
			    rows, json_pack("{s:s, s:i, s:i, s:i, s:o, s:o, s:s}", "port", port.name, "queue",
			              (int)q, "worker", (int)worker.index, "cpu", worker.cpu, "worker_node",
			              node_json(worker.node), "port_node", node_json(port.node),
			              "memory_path", apart ? "remote" : "local"));
		}
	}
	return rows;
}

struct node_memory {
	uint64_t items_bytes, packets_bytes, connections_bytes;
	unsigned workers;
};

/* Nodes of partitions, or wherever the kernel put them. */
static void
add_items(const struct commands *commands, struct node_memory nodes[], struct node_memory *unbound)
{
	struct dataplane_cache_info cache;
	unsigned len = dataplane_cache_info(commands->dataplane, 0, &cache);
	for (unsigned i = 0; i < len; i++) {
		dataplane_cache_info(commands->dataplane, i, &cache);
		if (cache.nodes_len == 0 || !cache.store.bound)
			unbound->items_bytes += cache.store.limit_bytes;
		for (unsigned n = 0; n < cache.nodes_len && cache.store.bound; n++)
			nodes[cache.nodes[n]].items_bytes += cache.store.limit_bytes / cache.nodes_len;
	}
}

static json_t *
node_memory_json(json_t *node, const struct node_memory *memory)
{
	json_t *row = json_object();
	json_object_set_new(row, "node", node);
	count_set(row, "workers", memory->workers);
	count_set(row, "items_bytes", memory->items_bytes);
	count_set(row, "packets_bytes", memory->packets_bytes);
	count_set(row, "connections_bytes", memory->connections_bytes);
	count_set(row, "all_bytes", memory->items_bytes + memory->packets_bytes + memory->connections_bytes);
	return row;
}

json_t *
commands_memory_show(struct commands *commands, struct commands_call *call)
{
	struct node_memory nodes[NODES_MAX] = {0}, unbound = {0};
	struct dataplane_info info;
	struct dataplane_worker_info worker;
	json_t *rows = json_array();
	dataplane_info(commands->dataplane, &info);
	add_items(commands, nodes, &unbound);
	for (unsigned i = 0; i < info.workers; i++) {
		dataplane_worker_info(commands->dataplane, i, &worker);
		struct node_memory *at =
		    worker.node >= 0 && worker.node < (int)NODES_MAX ? &nodes[worker.node] : &unbound;
		at->workers++;
		at->packets_bytes += worker.packet_memory_bytes;
		at->connections_bytes += worker.connection_memory_bytes;
	}
	for (unsigned i = 0; i < NODES_MAX; i++)
		if (nodes[i].workers > 0 || nodes[i].items_bytes > 0)
			json_array_append_new(rows, node_memory_json(json_integer(i), &nodes[i]));
	if (unbound.workers > 0 || unbound.items_bytes > 0)
		json_array_append_new(rows, node_memory_json(json_string("not bound"), &unbound));
	return rows;
}

/* By enum store_start. */
static const char *const store_starts[] = {"plain", "empty", "warm"};

/* One row a NUMA node: to clients each is a server of its own. */
static json_t *
caches_json(const struct dataplane *dataplane)
{
	struct dataplane_cache_info cache;
	json_t *rows = json_array();
	unsigned len = dataplane_cache_info(dataplane, 0, &cache);
	for (unsigned i = 0; i < len; i++) {
		dataplane_cache_info(dataplane, i, &cache);
		json_t *row = json_object();
		json_object_set_new(row, "node", json_integer(cache.nodes[0]));
		count_set(row, "workers", cache.workers);
		count_set(row, "ports", cache.ports);
		count_set(row, "items", cache.store.items);
		count_set(row, "used_bytes", cache.store.bytes);
		count_set(row, "limit_bytes", cache.store.limit_bytes);
		json_object_set_new(row, "hugepages", json_boolean(cache.store.hugepages));
		json_object_set_new(row, "bound_to_node", json_boolean(cache.store.bound));
		json_array_append_new(rows, row);
	}
	return rows;
}

/* Bytes of what is being filled are known to nobody but the worker that fills it. */
static json_t *
lives_json(const struct dataplane *dataplane)
{
	struct store_band_info bands[STORE_BANDS];
	json_t *rows = json_array();
	dataplane_store_bands(dataplane, bands);
	for (unsigned i = 0; i < STORE_BANDS; i++) {
		if (bands[i].segments == 0)
			continue;
		json_t *row = json_object();
		json_object_set_new(row, "life_left", json_string(bands[i].name));
		count_set(row, "segments", bands[i].segments);
		json_object_set_new(row, "used_bytes",
		    i == STORE_BAND_open ? json_null() : json_integer((json_int_t)bands[i].bytes));
		json_object_set_new(row, "means", json_string(bands[i].help));
		json_array_append_new(rows, row);
	}
	return rows;
}

json_t *
commands_store_show(struct commands *commands, struct commands_call *call)
{
	struct store_info store;
	struct dataplane_info info;
	struct dataplane_counter counters[SAMPLE_COUNTERS_MAX];
	dataplane_store_info(commands->dataplane, &store);
	unsigned len = dataplane_counters(
	    commands->dataplane, DATAPLANE_GROUP_REQUEST, -1, counters, SAMPLE_COUNTERS_MAX);
	len = len < SAMPLE_COUNTERS_MAX ? len : SAMPLE_COUNTERS_MAX;
	uint64_t hits = sample_counter(counters, len, "get_hits"),
	         misses = sample_counter(counters, len, "get_misses");
	json_t *result = json_object();
	dataplane_info(commands->dataplane, &info);
	json_object_set_new(result, "keyspace", json_string(info.per_node ? "per-node" : "unified"));
	count_set(result, "items", store.items);
	count_set(result, "used_bytes", store.bytes);
	count_set(result, "limit_bytes", store.limit_bytes);
	json_object_set_new(result, "fill_pct", ratio_json(100 * store.bytes, store.limit_bytes));
	count_set(result, "index_bytes", store.index_bytes);
	count_set(result, "segments", store.segments);
	count_set(result, "segments_free", store.segments_free);
	count_set(result, "segment_size_bytes", store.segment_bytes);
	count_set(result, "partitions", store.partitions);
	json_object_set_new(result, "hugepages", json_boolean(store.hugepages));
	json_object_set_new(result, "bound_to_nodes", json_boolean(store.bound));
	json_object_set_new(result, "start", json_string(store_starts[store.start]));
	if (store.start != STORE_START_PLAIN)
		json_object_set_new(result, "start_reason", json_string(store.start_why));
	count_set(result, "get_hits", hits);
	count_set(result, "get_misses", misses);
	json_object_set_new(result, "hit_ratio_pct", ratio_json(100 * hits, hits + misses));
	json_object_set_new(result, "lives", lives_json(commands->dataplane));
	if (info.per_node)
		json_object_set_new(result, "caches", caches_json(commands->dataplane));
	return result;
}

json_t *
commands_version(struct commands *commands, struct commands_call *call)
{
	struct dataplane_info info;
	dataplane_info(commands->dataplane, &info);
	return json_pack("{s:s, s:s}", "wirecached", wirecache_version, "dpdk", info.dpdk_version);
}
