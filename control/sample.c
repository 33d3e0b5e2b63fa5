/*
 * See sample.h.
 */
#include "control/sample.h"

#include <string.h>

uint64_t
sample_counter(const struct dataplane_counter *counters, unsigned len, const char *name)
{
	for (unsigned i = 0; i < len; i++)
		if (strcmp(counters[i].name, name) == 0)
			return counters[i].value;
	return 0;
}

uint64_t
sample_requests(const struct dataplane_counter *counters, unsigned len)
{
	static const char *const commands[] = {"cmd_get", "cmd_set", "cmd_touch", "cmd_flush", "cmd_meta",
	    "delete_hits", "delete_misses", "incr_hits", "incr_misses", "decr_hits", "decr_misses"};
	uint64_t sum = 0;
	for (unsigned i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		sum += sample_counter(counters, len, commands[i]);
	return sum;
}

static unsigned
read_group(struct dataplane *dataplane, enum dataplane_group group, int worker,
    struct dataplane_counter out[SAMPLE_COUNTERS_MAX])
{
	unsigned len = dataplane_counters(dataplane, group, worker, out, SAMPLE_COUNTERS_MAX);
	return len < SAMPLE_COUNTERS_MAX ? len : SAMPLE_COUNTERS_MAX;
}

static void
take_worker(struct dataplane *dataplane, unsigned at, struct sample_worker *out)
{
	struct dataplane_counter counters[SAMPLE_COUNTERS_MAX];
	struct dataplane_worker_info info;
	dataplane_worker_info(dataplane, at, &info);
	out->cycles_total = info.cycles_total;
	out->cycles_busy = info.cycles_busy;
	unsigned len = read_group(dataplane, DATAPLANE_GROUP_WORKER, (int)at, counters);
	out->loops = sample_counter(counters, len, "loops");
	out->loops_busy = sample_counter(counters, len, "loops_busy");
	out->packets = sample_counter(counters, len, "rx_packets");
	out->bursts = sample_counter(counters, len, "rx_bursts");
	len = read_group(dataplane, DATAPLANE_GROUP_REQUEST, (int)at, counters);
	out->requests = sample_requests(counters, len);
	out->gets = sample_counter(counters, len, "cmd_get");
	out->hits = sample_counter(counters, len, "get_hits");
}

void
sample_take(
    struct dataplane *dataplane, const struct dataplane_info *info, uint64_t now_ms, struct sample *out)
{
	memset(out, 0, sizeof(*out));
	out->at_ms = now_ms;
	for (unsigned i = 0; i < info->workers && i < DATAPLANE_WORKERS_MAX; i++)
		take_worker(dataplane, i, &out->workers[i]);
	for (unsigned i = 0; i < info->ports && i < DATAPLANE_PORTS_MAX; i++) {
		struct dataplane_port_info port;
		dataplane_port_info(dataplane, i, &port);
		out->ports[i] = (struct sample_port){.rx_packets = port.rx_packets,
		    .tx_packets = port.tx_packets,
		    .rx_bytes = port.rx_bytes,
		    .tx_bytes = port.tx_bytes};
	}
}

void
sample_tick(struct sample_window *window, struct dataplane *dataplane, const struct dataplane_info *info,
    uint64_t now_ms)
{
	if (window->last.at_ms != 0 && now_ms - window->last.at_ms < SAMPLE_PERIOD_MS)
		return;
	window->before = window->last;
	sample_take(dataplane, info, now_ms, &window->last);
}

uint64_t
sample_window_ms(const struct sample_window *window)
{
	return window->before.at_ms != 0 ? window->last.at_ms - window->before.at_ms : 0;
}
