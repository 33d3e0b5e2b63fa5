/*
 * See telemetry.h. The library calls back without a context, hence the one pointer here; its lock keeps the data plane
 * in place while a command reads it. A dictionary holds at most 256 entries.
 */
#include "dataplane/telemetry.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <rte_lcore.h>
#include <rte_spinlock.h>
#include <rte_telemetry.h>

#include "dataplane/internal.h"
#include "dataplane/observe.h"

#define COUNTERS_MAX 256u
#define NAME_BYTES   64

static struct {
	rte_spinlock_t lock;
	struct dataplane *dataplane; /* NULL: closed */
} telemetry = {.lock = RTE_SPINLOCK_INITIALIZER};

typedef int (*answer_fn)(struct dataplane *dataplane, const char *params, struct rte_tel_data *data);

/* The number behind the command's comma; negative if it is none below `end`. */
static int
parse_index(const char *params, unsigned end)
{
	char *rest;
	unsigned long index;

	if (params == NULL || *params < '0' || *params > '9')
		return -EINVAL;
	index = strtoul(params, &rest, 10);
	return *rest == '\0' && index < end ? (int)index : -EINVAL;
}

/* ---- commands --------------------------------------------------------------------------------- */

static int
answer_info(struct dataplane *dataplane, const char *params, struct rte_tel_data *data)
{
	struct dataplane_info info;
	struct store_info store;

	dataplane_info(dataplane, &info);
	items_info(&dataplane->whole, &store);
	rte_tel_data_start_dict(data);
	rte_tel_data_add_dict_string(data, "version", dataplane->version);
	rte_tel_data_add_dict_u64(data, "uptime_s", info.uptime_s);
	rte_tel_data_add_dict_u64(data, "tsc_hz", info.tsc_hz);
	rte_tel_data_add_dict_u64(data, "workers", info.workers);
	rte_tel_data_add_dict_u64(data, "connections", info.curr_connections);
	rte_tel_data_add_dict_u64(data, "items", store.items);
	rte_tel_data_add_dict_u64(data, "used_bytes", store.bytes);
	rte_tel_data_add_dict_u64(data, "limit_bytes", store.limit_bytes);
	return 0;
}

static int
counters_add(struct dataplane *dataplane, enum dataplane_group group, int worker, struct rte_tel_data *data)
{
	struct dataplane_counter counters[COUNTERS_MAX];
	unsigned len = dataplane_counters(dataplane, group, worker, counters, COUNTERS_MAX);

	rte_tel_data_start_dict(data);
	for (unsigned i = 0; i < len && i < COUNTERS_MAX; i++)
		rte_tel_data_add_dict_u64(data, counters[i].name, counters[i].value);
	return 0;
}

static int
answer_worker_list(struct dataplane *dataplane, const char *params, struct rte_tel_data *data)
{
	rte_tel_data_start_array(data, RTE_TEL_INT_VAL);
	for (unsigned i = 0; i < dataplane->workers_len; i++)
		rte_tel_data_add_array_int(data, (int)i);
	return 0;
}

static int
answer_worker_counters(struct dataplane *dataplane, const char *params, struct rte_tel_data *data)
{
	int worker = parse_index(params, dataplane->workers_len);

	return worker < 0 ? worker : counters_add(dataplane, DATAPLANE_GROUP_WORKER, worker, data);
}

static int
answer_requests(struct dataplane *dataplane, const char *params, struct rte_tel_data *data)
{
	return counters_add(dataplane, DATAPLANE_GROUP_REQUEST, -1, data);
}

static int
answer_net(struct dataplane *dataplane, const char *params, struct rte_tel_data *data)
{
	return counters_add(dataplane, DATAPLANE_GROUP_NET, -1, data);
}

static int
answer_latency(struct dataplane *dataplane, const char *params, struct rte_tel_data *data)
{
	struct observe_latency rows[OBSERVE_LATENCIES_MAX];
	unsigned len = observe_latency(dataplane, -1, rows);

	rte_tel_data_start_dict(data);
	for (unsigned i = 0; i < len; i++) {
		static const struct {
			const char *name;
			double part;
		} percentiles[] = {{"p50", 0.5}, {"p99", 0.99}, {"p999", 0.999}};
		char name[NAME_BYTES];

		if (rows[i].requests == 0)
			continue;
		snprintf(name, sizeof(name), "%s_%s_requests", rows[i].transport, rows[i].command);
		rte_tel_data_add_dict_u64(data, name, rows[i].requests);
		for (unsigned p = 0; p < RTE_DIM(percentiles); p++) {
			snprintf(name, sizeof(name), "%s_%s_%s_ns", rows[i].transport, rows[i].command,
			    percentiles[p].name);
			rte_tel_data_add_dict_u64(
			    data, name, histogram_percentile_ns(rows[i].counts, percentiles[p].part));
		}
	}
	return 0;
}

static int
answer_lcore_list(struct dataplane *dataplane, const char *params, struct rte_tel_data *data)
{
	rte_tel_data_start_array(data, RTE_TEL_INT_VAL);
	for (unsigned i = 0; i < RTE_MAX_LCORE; i++)
		if (rte_lcore_is_enabled(i))
			rte_tel_data_add_array_int(data, (int)i);
	return 0;
}

/* Cycles where a worker runs: the control thread counts none. */
static int
answer_lcore_info(struct dataplane *dataplane, const char *params, struct rte_tel_data *data)
{
	int lcore = parse_index(params, RTE_MAX_LCORE);

	if (lcore < 0 || !rte_lcore_is_enabled((unsigned)lcore))
		return -EINVAL;
	rte_tel_data_start_dict(data);
	rte_tel_data_add_dict_int(data, "lcore_id", lcore);
	rte_tel_data_add_dict_int(data, "socket", (int)rte_lcore_to_socket_id((unsigned)lcore));
	rte_tel_data_add_dict_string(
	    data, "role", (unsigned)lcore == rte_get_main_lcore() ? "RTE" : "WORKER");
	for (unsigned i = 0; i < dataplane->workers_len; i++) {
		struct dataplane_worker_info info;

		dataplane_worker_info(dataplane, i, &info);
		if (info.lcore != (unsigned)lcore)
			continue;
		rte_tel_data_add_dict_int(data, "cpu", info.cpu);
		rte_tel_data_add_dict_u64(data, "busy_cycles", info.cycles_busy);
		rte_tel_data_add_dict_u64(data, "total_cycles", info.cycles_total);
	}
	return 0;
}

/* ---- registration ----------------------------------------------------------------------------- */

static const struct {
	const char *command;
	answer_fn answer;
	const char *help;
} commands[] = {
    {"/wirecache/info", answer_info, "Version, uptime, items, memory. No parameters"},
    {"/wirecache/worker/list", answer_worker_list, "Numbers of the workers. No parameters"},
    {"/wirecache/worker/counters", answer_worker_counters,
        "Counters of a worker's loop. Parameters: int worker"},
    {"/wirecache/requests", answer_requests, "Counters of requests, all workers. No parameters"},
    {"/wirecache/net", answer_net, "Counters of packets and drops, all workers. No parameters"},
    {"/wirecache/latency", answer_latency, "Latency in the worker by transport and command. No parameters"},
    {"/eal/lcore/list", answer_lcore_list, "Numbers of the lcores. No parameters"},
    {"/eal/lcore/info", answer_lcore_info, "An lcore: node, role, cycles. Parameters: int lcore"},
};

static int
answer_any(const char *command, const char *params, struct rte_tel_data *data)
{
	int rc = -ENODEV;

	rte_spinlock_lock(&telemetry.lock);
	for (unsigned i = 0; telemetry.dataplane && i < RTE_DIM(commands); i++)
		if (strcmp(commands[i].command, command) == 0)
			rc = commands[i].answer(telemetry.dataplane, params, data);
	rte_spinlock_unlock(&telemetry.lock);
	return rc;
}

void
telemetry_open(struct dataplane *dataplane)
{
	rte_spinlock_lock(&telemetry.lock);
	telemetry.dataplane = dataplane;
	rte_spinlock_unlock(&telemetry.lock);
	/* A later DPDK has some of these itself: its own stay. */
	for (unsigned i = 0; i < RTE_DIM(commands); i++)
		rte_telemetry_register_cmd(commands[i].command, answer_any, commands[i].help);
}

void
telemetry_close(void)
{
	rte_spinlock_lock(&telemetry.lock);
	telemetry.dataplane = NULL;
	rte_spinlock_unlock(&telemetry.lock);
}
