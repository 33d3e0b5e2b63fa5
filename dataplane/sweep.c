/*
 * See sweep.h. 1024 connections every 10 ms: a round over 65 536 takes two thirds of a second and about one percent of
 * a core while it is needed.
 */
#include "dataplane/sweep.h"

#include <stdlib.h>

#include "dataplane/worker.h"

#define SWEEP_EVERY_US   10000u
#define SWEEP_BUDGET     1024u
#define SWEEP_TRACES_MIN 256u
#define DRAIN_SILENT_MS  1000u /* a draining appliance closes connections that ask nothing for a second */

struct sweep_trace {
	uint32_t activity; /* as struct tcp_glance has it */
	uint32_t since_ms;
};

void
sweep_adopt(struct sweep *sweep, const struct dataplane_config *config, bool sources_changed)
{
	uint32_t silent_ms = config->idle_timeout_us / 1000;

	if (config->draining && (silent_ms == 0 || silent_ms > DRAIN_SILENT_MS))
		silent_ms = DRAIN_SILENT_MS;
	/* Traces from before a rest would say that everybody was silent meanwhile. */
	if (silent_ms != 0 && sweep->silent_ms == 0)
		sweep->traces_len = 0;
	sweep->silent_ms = silent_ms;
	sweep->draining = config->draining;
	if (sources_changed && sweep->cursor != 0)
		sweep->revoke_next = true;
	else if (sources_changed)
		sweep->revoke = true;
	sweep->active = sweep->silent_ms != 0 || sweep->revoke || sweep->revoke_next;
}

void
sweep_free(struct sweep *sweep)
{
	free(sweep->traces);
	sweep->traces = NULL;
}

/* Room for one connection's trace, or NULL without memory: it is left alone then. */
static struct sweep_trace *
trace_of(struct sweep *sweep, uint32_t index)
{
	if (index >= sweep->traces_len) {
		uint32_t len = RTE_MAX(rte_align32pow2(index + 1), SWEEP_TRACES_MIN);
		struct sweep_trace *grown = realloc(sweep->traces, len * sizeof(*grown));

		if (!grown)
			return NULL;
		memset(grown + sweep->traces_len, 0, (len - sweep->traces_len) * sizeof(*grown));
		sweep->traces = grown;
		sweep->traces_len = len;
	}
	return &sweep->traces[index];
}

static bool
silent_for_too_long(struct worker *worker, const struct tcp_glance *glance)
{
	struct sweep *sweep = &worker->sweep;
	struct sweep_trace *trace = trace_of(sweep, glance->index);
	uint32_t now_ms = (uint32_t)(worker->clock.now_us / 1000);

	if (!trace)
		return false;
	if (trace->since_ms == 0 || trace->activity != glance->activity || glance->unsent) {
		*trace = (struct sweep_trace){glance->activity, now_ms ? now_ms : 1};
		return false;
	}
	return now_ms - trace->since_ms >= sweep->silent_ms;
}

static void
look_at(void *ctx, const struct tcp_glance *glance)
{
	struct worker *worker = ctx;
	struct sweep *sweep = &worker->sweep;

	if (sweep->revoke && !gate_allows(worker->gate, &tcp_flow(glance->conn)->remote)) {
		worker->counters.connections_revoked++;
		tcp_abort(glance->conn);
	} else if (glance->ended) {
		/* Pools of connections do not look at those that they do not use: nobody may wait for them to close. */
		if (sweep->draining && silent_for_too_long(worker, glance))
			tcp_abort(glance->conn);
	} else if (sweep->silent_ms && silent_for_too_long(worker, glance)) {
		worker->counters.connections_silent++;
		tcp_app_end(worker, glance->conn);
	}
}

bool
sweep_pass(struct worker *worker)
{
	struct sweep *sweep = &worker->sweep;
	const struct worker_counters *counters = &worker->counters;
	uint64_t ended = counters->connections_revoked + counters->connections_silent;

	if (worker->clock.now_us < sweep->due_us)
		return false;
	sweep->due_us = worker->clock.now_us + SWEEP_EVERY_US;
	if (!tcp_walk(net_tcp(worker->net), &sweep->cursor, SWEEP_BUDGET, look_at, worker)) {
		sweep->revoke = sweep->revoke_next;
		sweep->revoke_next = false;
		sweep->active = sweep->silent_ms != 0 || sweep->revoke;
	}
	return counters->connections_revoked + counters->connections_silent != ended;
}
