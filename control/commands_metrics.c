/*
 * `metrics`: everything that is counted in one answer, from which `wirectl serve` and `wirectl top` make what they
 * show. Counters are sums since the start; what ends in _per_s, _pct or stands under "lately" is of the last second.
 */
#include "control/commands.h"

#include <stdio.h>

#include "control/count.h"
#include "control/nodes.h"
#include "control/version.h"
#include "store/store.h"

#define HOT_KEYS_MAX 10u

static json_t *
ratio(double part, double whole)
{
	return whole > 0 ? json_real(part / whole) : json_null();
}

/* ---- counters --------------------------------------------------------------------------------- */

/* Rows {name, help, values: one a worker}. */
static json_t *
group_by_worker(struct commands *commands, enum dataplane_group group, unsigned workers)
{
	struct dataplane_counter counters[SAMPLE_COUNTERS_MAX];
	json_t *rows = json_array();
	for (unsigned worker = 0; worker < workers; worker++) {
		unsigned len = dataplane_counters(
		    commands->dataplane, group, (int)worker, counters, SAMPLE_COUNTERS_MAX);
		for (unsigned i = 0; i < len && i < SAMPLE_COUNTERS_MAX; i++) {
			if (worker == 0)
				json_array_append_new(
				    rows, json_pack("{s:s, s:s, s:[]}", "name", counters[i].name, "help",
				              counters[i].help, "values"));
			json_array_append_new(json_object_get(json_array_get(rows, i), "values"),
			    json_integer((json_int_t)counters[i].value));
		}
	}
	return rows;
}

static json_t *
counter_row(const char *name, const char *help, uint64_t value)
{
	return json_pack("{s:s, s:s, s:I}", "name", name, "help", help, "value", (json_int_t)value);
}

static json_t *
group_sum(struct commands *commands, enum dataplane_group group)
{
	struct dataplane_counter counters[SAMPLE_COUNTERS_MAX];
	json_t *rows = json_array();
	unsigned len = dataplane_counters(commands->dataplane, group, -1, counters, SAMPLE_COUNTERS_MAX);
	for (unsigned i = 0; i < len && i < SAMPLE_COUNTERS_MAX; i++)
		json_array_append_new(
		    rows, counter_row(counters[i].name, counters[i].help, counters[i].value));
	return rows;
}

static json_t *
store_counters_json(struct commands *commands)
{
	struct store_counters sum;
	json_t *rows = json_array();
	dataplane_store_counters(commands->dataplane, &sum);
#define STORE_COUNTER(name, help) json_array_append_new(rows, counter_row(#name, help, sum.name));
#include "store/counters.def"
#undef STORE_COUNTER
	return rows;
}

static void
emit_stat(void *object, const char *name, const char *value)
{
	json_object_set_new(object, name, json_string(value));
}

/* ---- workers ---------------------------------------------------------------------------------- */

/* What was done between the two samples. */
static void
set_rates(
    json_t *row, const struct sample_worker *now, const struct sample_worker *before, uint64_t window_ms)
{
	double seconds = (double)window_ms / 1000;
	double requests = (double)(now->requests - before->requests),
	       gets = (double)(now->gets - before->gets);
	double packets = (double)(now->packets - before->packets);
	double cycles = (double)(now->cycles_busy - before->cycles_busy);
	json_object_set_new(
	    row, "busy_pct", ratio(100 * cycles, (double)(now->cycles_total - before->cycles_total)));
	json_object_set_new(row, "requests_per_s", ratio(requests, seconds));
	json_object_set_new(row, "packets_per_s", ratio(packets, seconds));
	json_object_set_new(row, "hit_pct", ratio(100 * (double)(now->hits - before->hits), gets));
	json_object_set_new(row, "packets_a_burst", ratio(packets, (double)(now->bursts - before->bursts)));
	json_object_set_new(row, "cycles_a_request", ratio(cycles, requests));
}

static json_t *
workers_json(struct commands *commands, unsigned workers)
{
	const struct sample *last = &commands->window.last, *before = &commands->window.before;
	json_t *rows = json_array();
	for (unsigned i = 0; i < workers; i++) {
		struct dataplane_worker_info info;
		dataplane_worker_info(commands->dataplane, i, &info);
		json_t *row = json_pack("{s:i, s:i, s:i, s:b, s:I, s:I, s:i, s:I, s:i, s:i}", "worker",
		    (int)i, "cpu", info.cpu, "node", info.node, "alive", info.alive, "cycles_total",
		    (json_int_t)info.cycles_total, "cycles_busy", (json_int_t)info.cycles_busy, "connections",
		    (int)info.connections, "connection_memory_bytes",
		    (json_int_t)info.connection_memory_bytes, "mbufs_free", (int)info.mbufs_free, "mbufs",
		    (int)info.mbufs_total);
		set_rates(row, &last->workers[i], &before->workers[i], sample_window_ms(&commands->window));
		json_array_append_new(rows, row);
	}
	return rows;
}

/* `port show`, and rates. */
static json_t *
ports_json(struct commands *commands, struct commands_call *call)
{
	const struct sample *last = &commands->window.last, *before = &commands->window.before;
	double seconds = (double)sample_window_ms(&commands->window) / 1000;
	json_t *row, *rows = commands_port_show(commands, call);
	size_t at;
	json_array_foreach (rows, at, row) {
		const struct sample_port *now = &last->ports[at], *then = &before->ports[at];
		json_object_set_new(
		    row, "rx_packets_per_s", ratio((double)(now->rx_packets - then->rx_packets), seconds));
		json_object_set_new(
		    row, "tx_packets_per_s", ratio((double)(now->tx_packets - then->tx_packets), seconds));
		json_object_set_new(
		    row, "rx_bytes_per_s", ratio((double)(now->rx_bytes - then->rx_bytes), seconds));
		json_object_set_new(
		    row, "tx_bytes_per_s", ratio((double)(now->tx_bytes - then->tx_bytes), seconds));
	}
	return rows;
}

/* ---- latency ---------------------------------------------------------------------------------- */

/*
 * Prometheus wants few buckets: one at each power of two from a microsecond to 16 seconds, "le" as it calls them,
 * each with all that is below. The histogram's own buckets end at powers of two, so nothing is misplaced.
 */
static json_t *
buckets_json(const uint64_t counts[HISTOGRAM_BUCKETS])
{
	enum { FIRST_LOG2 = 10, LAST_LOG2 = 34 };
	json_t *buckets = json_array();
	uint64_t below = 0;
	unsigned bucket = 0;
	for (unsigned log2 = FIRST_LOG2; log2 <= LAST_LOG2; log2++) {
		for (; bucket < HISTOGRAM_BUCKETS && histogram_floor_ns(bucket + 1) <= 1ull << log2; bucket++)
			below += counts[bucket];
		json_array_append_new(
		    buckets, json_pack("[I, I]", (json_int_t)(1ull << log2), (json_int_t)below));
	}
	return buckets;
}

static json_t *
latency_json(struct commands *commands)
{
	struct observe_latency latencies[OBSERVE_LATENCIES_MAX];
	json_t *rows = json_array();
	unsigned len = observe_latency(commands->dataplane, -1, latencies);
	for (unsigned i = 0; i < len; i++)
		json_array_append_new(rows,
		    json_pack("{s:s, s:s, s:I, s:I, s:o}", "transport", latencies[i].transport, "command",
		        latencies[i].command, "requests", (json_int_t)latencies[i].requests, "sum_ns",
		        (json_int_t)latencies[i].sum_ns, "buckets", buckets_json(latencies[i].counts)));
	return rows;
}

/* Of the last second; null while nobody asked for anything. */
static json_t *
lately_json(struct commands *commands)
{
	static const struct {
		const char *name;
		double part;
	} percentiles[] = {{"p50_ns", 0.5}, {"p90_ns", 0.9}, {"p99_ns", 0.99}, {"p999_ns", 0.999}};
	uint64_t counts[HISTOGRAM_BUCKETS], ns;
	json_t *object = json_object();
	observed_latency_lately(&commands->observed, counts);
	for (size_t i = 0; i < sizeof(percentiles) / sizeof(percentiles[0]); i++) {
		ns = histogram_percentile_ns(counts, percentiles[i].part);
		json_object_set_new(
		    object, percentiles[i].name, ns > 0 ? json_integer((json_int_t)ns) : json_null());
	}
	return object;
}

/* ---- the whole -------------------------------------------------------------------------------- */

static json_t *
store_json(struct commands *commands)
{
	struct store_info store;
	struct store_counters counters;
	json_t *object = json_object();
	dataplane_store_info(commands->dataplane, &store);
	dataplane_store_counters(commands->dataplane, &counters);
	count_set(object, "items", store.items);
	count_set(object, "used_bytes", store.bytes);
	count_set(object, "limit_bytes", store.limit_bytes);
	count_set(object, "index_bytes", store.index_bytes);
	count_set(object, "reserved_bytes", store.segments * store.segment_bytes + store.index_bytes);
	count_set(object, "segments", store.segments);
	count_set(object, "segments_free", store.segments_free);
	/* Since start; null where there is one partition only, which is near to everybody. */
	json_object_set_new(object, "local_pct",
	    ratio(100.0 * (double)counters.accesses_local,
	        (double)counters.accesses_local + (double)counters.accesses_remote));
	return object;
}

static json_t *
hot_keys_json(struct commands *commands)
{
	struct observe_key keys[HOT_KEYS_MAX];
	uint64_t samples;
	json_t *rows = json_array();
	unsigned len = observe_hot_keys(commands->dataplane, keys, HOT_KEYS_MAX, &samples);
	for (unsigned i = 0; i < len; i++)
		json_array_append_new(
		    rows, json_pack("{s:o, s:o}", "key", observed_key(keys[i].key, keys[i].key_len),
		              "share_pct", ratio(100.0 * (double)keys[i].samples, (double)samples)));
	return rows;
}

static json_t *
stages_json(struct commands *commands)
{
	struct observe_stages stages;
	json_t *rows = json_array();
	observe_stages(commands->dataplane, -1, &stages);
	for (unsigned i = 0; i < stages.len; i++)
		json_array_append_new(rows, json_pack("{s:s, s:I}", "stage", stages.stages[i].name, "cycles",
		                                (json_int_t)stages.stages[i].cycles));
	return json_pack("{s:I, s:I, s:o}", "passes", (json_int_t)stages.passes, "requests",
	    (json_int_t)stages.requests, "stages", rows);
}

json_t *
commands_metrics(struct commands *commands, struct commands_call *call)
{
	struct dataplane_info info;
	json_t *stats = json_object(), *metrics = json_object();
	dataplane_info(commands->dataplane, &info);
	dataplane_stats(commands->dataplane, "", emit_stat, stats);
	json_object_set_new(metrics, "version", json_string(wirecache_version));
	count_set(metrics, "uptime_s", info.uptime_s);
	count_set(metrics, "tsc_hz", info.tsc_hz);
	count_set(metrics, "connections", info.curr_connections);
	count_set(metrics, "connections_max", info.connections_max);
	json_object_set_new(metrics, "stats", stats);
	json_object_set_new(metrics, "workers", workers_json(commands, info.workers));
	json_object_set_new(metrics, "ports", ports_json(commands, call));
	json_object_set_new(metrics, "store", store_json(commands));
	json_object_set_new(metrics, "nodes", nodes_json());
	json_object_set_new(metrics, "latency", latency_json(commands));
	json_object_set_new(metrics, "lately", lately_json(commands));
	json_object_set_new(metrics, "stages", stages_json(commands));
	json_object_set_new(metrics, "hot_keys", hot_keys_json(commands));
	json_object_set_new(
	    metrics, "worker_counters", group_by_worker(commands, DATAPLANE_GROUP_WORKER, info.workers));
	json_object_set_new(
	    metrics, "request_counters", group_by_worker(commands, DATAPLANE_GROUP_REQUEST, info.workers));
	json_object_set_new(metrics, "net_counters", group_sum(commands, DATAPLANE_GROUP_NET));
	json_object_set_new(metrics, "store_counters", store_counters_json(commands));
	return metrics;
}
