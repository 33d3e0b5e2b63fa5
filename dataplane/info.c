/*
 * Snapshots for the control plane: counters by table, and what workers, ports and the process are doing.
 * Reads only; whatever is read is one aligned 64-bit load of a counter that has one writer.
 */
#include "dataplane/internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <rte_ethdev.h>
#include <rte_version.h>

#define ALIVE_SECONDS 1u

/* ---- counters by table ------------------------------------------------------------------------ */

struct counter_row {
	const char *name;
	const char *help;
	size_t offset;
};

static const struct counter_row worker_rows[] = {
#define WORKER_COUNTER(name, help) {#name, help, offsetof(struct worker_counters, name)},
#include "dataplane/worker.def"
#undef WORKER_COUNTER
};

static const struct counter_row net_rows[] = {
#define NET_COUNTER(name, help) {#name, help, offsetof(struct net_counters, name)},
#define NET_DROP(name, help)    {"drop_" #name, help, offsetof(struct net_counters, drop_##name)},
#include "dataplane/net/drops.def"
#undef NET_COUNTER
#undef NET_DROP
};

static const struct counter_row request_rows[] = {
#define SERVE_COUNTER(name, help) {#name, help, offsetof(struct serve_counters, name)},
#include "dataplane/counters.def"
#undef SERVE_COUNTER
};

static const struct counter_table {
	const struct counter_row *rows;
	unsigned len;
} counter_tables[DATAPLANE_GROUPS] = {
    [DATAPLANE_GROUP_WORKER] = {worker_rows, RTE_DIM(worker_rows)},
    [DATAPLANE_GROUP_NET] = {net_rows, RTE_DIM(net_rows)},
    [DATAPLANE_GROUP_REQUEST] = {request_rows, RTE_DIM(request_rows)},
};

static const void *
worker_group(const struct worker *worker, enum dataplane_group group)
{
	switch (group) {
	case DATAPLANE_GROUP_WORKER:
		return &worker->counters;
	case DATAPLANE_GROUP_NET:
		return net_counters(worker->net);
	default:
		return serve_counters(worker->serve);
	}
}

/* Relaxed: a figure may be a loop old, but is never torn. */
static uint64_t
counter_load(const void *group, size_t offset)
{
	return __atomic_load_n((const uint64_t *)((const char *)group + offset), __ATOMIC_RELAXED);
}

unsigned
dataplane_counters(const struct dataplane *dataplane, enum dataplane_group group, int worker,
    struct dataplane_counter *out, unsigned room)
{
	const struct counter_table *table = &counter_tables[group];
	unsigned first = worker < 0 ? 0 : (unsigned)worker;
	unsigned last = worker < 0 ? dataplane->workers_len : first + 1;

	for (unsigned row = 0; row < table->len && row < room; row++) {
		out[row] = (struct dataplane_counter){table->rows[row].name, table->rows[row].help, 0};
		for (unsigned i = first; i < last; i++)
			out[row].value += counter_load(
			    worker_group(&dataplane->workers[i], group), table->rows[row].offset);
	}
	return table->len;
}

static void
counters_add(void *sum, const void *group, size_t bytes)
{
	for (size_t offset = 0; offset < bytes; offset += sizeof(uint64_t))
		*(uint64_t *)((char *)sum + offset) += counter_load(group, offset);
}

void
figures_sum(const struct cache *cache, struct figures_counters *sum)
{
	const struct dataplane *dataplane = cache->dataplane;

	memset(sum, 0, sizeof(*sum));
	for (unsigned i = 0; i < dataplane->workers_len; i++) {
		const struct worker *worker = &dataplane->workers[i];

		if (cache->index >= 0 && worker->cache != cache)
			continue;
		counters_add(&sum->serve, serve_counters(worker->serve), sizeof(sum->serve));
		counters_add(&sum->worker, &worker->counters, sizeof(sum->worker));
	}
	items_counters(cache, &sum->store);
}

/* ---- workers, ports, process ------------------------------------------------------------------ */

void
dataplane_worker_info(struct dataplane *dataplane, unsigned index, struct dataplane_worker_info *info)
{
	const struct worker *worker = &dataplane->workers[index];
	uint64_t heartbeat_tsc = atomic_load_explicit(&worker->heartbeat_tsc, memory_order_relaxed);
	uint64_t now_tsc = rte_rdtsc();
	struct tcp_usage usage;

	tcp_usage(net_tcp(worker->net), &usage);
	*info = (struct dataplane_worker_info){
	    .index = index,
	    .lcore = worker->lcore,
	    .cpu = worker->cpu,
	    .node = worker->node,
	    /* Sleeps are shorter than a second, so a silent second means a loop that does not come round. */
	    .alive = (int64_t)(now_tsc - heartbeat_tsc) < (int64_t)(ALIVE_SECONDS * dataplane->shared.tsc_hz),
	    .cycles_total = now_tsc - dataplane->shared.start_tsc,
	    .cycles_busy = counter_load(&worker->counters, offsetof(struct worker_counters, cycles_busy)),
	    .connections = usage.connections,
	    .half_open = usage.half_open,
	    .time_wait = usage.time_wait,
	    .connection_memory_bytes = usage.memory_bytes,
	    .mbufs_free = rte_mempool_avail_count(worker->pool),
	    .mbufs_total = worker->pool->size,
	    .packet_memory_bytes = (uint64_t)worker->pool->size * DATAPLANE_MBUF_BYTES,
	};
}

void
dataplane_port_info(struct dataplane *dataplane, unsigned index, struct dataplane_port_info *info)
{
	port_info(&dataplane->ports[index], info);
}

int
dataplane_port_xstats(struct dataplane *dataplane, unsigned index, struct dataplane_xstat *out, unsigned room)
{
	static_assert(DATAPLANE_XSTAT_NAME_MAX >= RTE_ETH_XSTATS_NAME_SIZE, "a driver's name fits");
	uint16_t port_id = dataplane->ports[index].port_id;
	struct rte_eth_xstat_name *names = calloc(room, sizeof(*names));
	struct rte_eth_xstat *values = calloc(room, sizeof(*values));
	int len = names && values ? rte_eth_xstats_get_names(port_id, names, room) : -ENOMEM;

	if (len > 0 && (unsigned)len <= room)
		len = rte_eth_xstats_get(port_id, values, room);
	for (int i = 0; i < len && (unsigned)len <= room; i++) {
		snprintf(out[i].name, sizeof(out[i].name), "%s", names[values[i].id].name);
		out[i].value = values[i].value;
	}
	free(values);
	free(names);
	return len;
}

void
dataplane_info(struct dataplane *dataplane, struct dataplane_info *info)
{
	static const char *const idle_names[] = {"adaptive", "spin", "sleep"};
	struct dataplane_config *config = &dataplane->config;
	enum dataplane_idle idle;
	unsigned connections_max;
	bool draining;
	struct figures_counters sum;

	figures_sum(&dataplane->whole, &sum);
	/* Callers are of any thread, DPDK's telemetry among them: no snapshot is theirs to hold. */
	rte_spinlock_lock(&dataplane->config_lock);
	idle = config->idle;
	connections_max = config->connections_max;
	draining = config->draining;
	rte_spinlock_unlock(&dataplane->config_lock);
	*info = (struct dataplane_info){
	    .workers = dataplane->workers_len,
	    .ports = dataplane->ports_len,
	    .started_s = dataplane->shared.start_unix_s,
	    .uptime_s = (uint32_t)((rte_rdtsc() - dataplane->shared.start_tsc) / dataplane->shared.tsc_hz),
	    .tsc_hz = dataplane->shared.tsc_hz,
	    .eal_hugepages = dataplane->eal_hugepages,
	    .idle = idle_names[idle],
	    .draining = draining,
	    .connections_max = connections_max,
	    .per_node = dataplane->topology.per_node,
	    .curr_connections = atomic_load_explicit(&dataplane->shared.connections, memory_order_relaxed),
	    .total_connections = sum.worker.connections_accepted,
	    .rejected_connections = sum.worker.connections_refused,
	};
	snprintf(info->dpdk_version, sizeof(info->dpdk_version), "%s", rte_version());
}

/* ---- notes ------------------------------------------------------------------------------------ */

struct notes {
	struct dataplane_note *out;
	unsigned room, len;
};

static __attribute__((format(printf, 2, 3))) void
note_add(struct notes *notes, const char *format, ...)
{
	va_list list;

	if (notes->len == notes->room)
		return;
	va_start(list, format);
	vsnprintf(notes->out[notes->len].text, sizeof(notes->out[0].text), format, list);
	va_end(list);
	notes->len++;
}

static void
notes_of_memory(struct dataplane *dataplane, struct notes *notes)
{
	struct store_info store;

	items_info(&dataplane->whole, &store);
	if (dataplane->config.store.hugepages && !store.hugepages)
		note_add(notes,
		    "the store lies on normal pages: reserve %zu hugepages of 2 MB (scripts/hugepages) and "
		    "restart",
		    store.limit_bytes >> 21);
	if (dataplane->topology.caches[0].nodes_len && !store.bound)
		note_add(notes,
		    "the store is not bound to its NUMA nodes: the kernel refused; check memory.nodes "
		    "against numactl -H");
	if (!dataplane->eal_hugepages && dataplane->config.hugepages != DATAPLANE_HUGEPAGES_OFF)
		note_add(notes,
		    "packet memory lies on normal pages: reserve %u MB of hugepages (scripts/hugepages) and "
		    "restart",
		    (unsigned)((uint64_t)dataplane_mbufs(&dataplane->config) * DATAPLANE_MBUF_BYTES *
		                   dataplane->workers_len >>
		               20) +
		        64);
}

static void
notes_of_steering(struct dataplane *dataplane, struct notes *notes)
{
	for (unsigned i = 0; dataplane->config.steering_port && i < dataplane->ports_len; i++)
		if (!dataplane->ports[i].steers)
			note_add(notes,
			    "port %s (%s) has no flow rules for the workers' own ports: requests there are "
			    "answered by whichever worker RSS chooses",
			    dataplane->ports[i].config->name, dataplane->ports[i].driver);
}

unsigned
dataplane_notes(struct dataplane *dataplane, struct dataplane_note *out, unsigned room)
{
	struct notes notes = {.out = out, .room = room};

	notes_of_memory(dataplane, &notes);
	notes_of_steering(dataplane, &notes);
	return notes.len;
}
