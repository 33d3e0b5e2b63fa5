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

void
sample_take(struct dataplane *dataplane, unsigned workers, uint64_t now_ms, struct sample *out)
{
	struct dataplane_counter counters[SAMPLE_COUNTERS_MAX];
	memset(out, 0, sizeof(*out));
	out->at_ms = now_ms;
	for (unsigned i = 0; i < workers && i < DATAPLANE_WORKERS_MAX; i++) {
		struct sample_worker *worker = &out->workers[i];
		struct dataplane_worker_info info;
		dataplane_worker_info(dataplane, i, &info);
		worker->cycles_total = info.cycles_total;
		worker->cycles_busy = info.cycles_busy;
		unsigned len = read_group(dataplane, DATAPLANE_GROUP_WORKER, (int)i, counters);
		worker->loops = sample_counter(counters, len, "loops");
		worker->packets = sample_counter(counters, len, "rx_packets");
		worker->bursts = sample_counter(counters, len, "rx_bursts");
		len = read_group(dataplane, DATAPLANE_GROUP_REQUEST, (int)i, counters);
		worker->requests = sample_requests(counters, len);
		worker->gets = sample_counter(counters, len, "cmd_get");
		worker->hits = sample_counter(counters, len, "get_hits");
	}
}

void
sample_tick(struct sample_window *window, struct dataplane *dataplane, unsigned workers, uint64_t now_ms)
{
	if (window->last.at_ms != 0 && now_ms - window->last.at_ms < SAMPLE_PERIOD_MS)
		return;
	window->before = window->last;
	sample_take(dataplane, workers, now_ms, &window->last);
}
