/*
 * See drain.h. That a connection fell silent is the workers' to see: dataplane/sweep.h.
 */
#include "control/drain.h"

#include <inttypes.h>
#include <string.h>

#include "control/log.h"

#define DRAIN_LEAST_MS 1000u /* what was on the wire when it began becomes a connection first */

void
drain_init(struct drain *drain, struct config *running, struct dataplane *dataplane)
{
	memset(drain, 0, sizeof(*drain));
	drain->running = running;
	drain->dataplane = dataplane;
}

static int
set_draining(struct drain *drain, bool draining, char error[DATAPLANE_ERROR_MAX])
{
	drain->running->dataplane.draining = draining;
	int result = dataplane_configure(drain->dataplane, &drain->running->dataplane, error);
	if (result != 0)
		drain->running->dataplane.draining = drain->active;
	return result;
}

int
drain_start(struct drain *drain, unsigned deadline_s, char error[DATAPLANE_ERROR_MAX])
{
	int result = set_draining(drain, true, error);
	if (result != 0)
		return result;
	if (!drain->active)
		drain->since_ms = drain->now_ms;
	drain->active = true;
	drain->has_deadline = deadline_s > 0;
	drain->deadline_ms = drain->now_ms + 1000ull * deadline_s;
	log_line(LOG_LEVEL_INFO, "draining: no new connections");
	return 0;
}

int
drain_stop(struct drain *drain, char error[DATAPLANE_ERROR_MAX])
{
	int result = set_draining(drain, false, error);
	if (result != 0)
		return result;
	drain->active = false;
	log_line(LOG_LEVEL_INFO, "draining stopped: serving as before");
	return 0;
}

void
drain_tick(struct drain *drain, uint64_t now_ms)
{
	struct dataplane_info info;
	drain->now_ms = now_ms;
	if (!drain->active || drain->done)
		return;
	dataplane_info(drain->dataplane, &info);
	bool empty = info.curr_connections == 0 && now_ms - drain->since_ms >= DRAIN_LEAST_MS;
	bool late = drain->has_deadline && now_ms >= drain->deadline_ms;
	if (!empty && !late)
		return;
	drain->done = true;
	log_line(LOG_LEVEL_INFO,
	    empty ? "drained" : "drain: the deadline has come, %" PRIu64 " connections are left",
	    info.curr_connections);
}
