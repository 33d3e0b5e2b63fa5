/*
 * drain start, status, stop.
 */
#include "control/commands.h"

#include <stdio.h>

#include "control/wire.h"

static json_t *
drain_json(const struct commands *commands)
{
	const struct drain *drain = &commands->drain;
	struct dataplane_info info;
	dataplane_info(commands->dataplane, &info);
	json_t *result = json_pack("{s:s, s:I}", "drain", drain->active ? "draining" : "off", "connections",
	    (json_int_t)info.curr_connections);
	if (!drain->active)
		return result;
	json_object_set_new(
	    result, "since_s", json_integer((json_int_t)((drain->now_ms - drain->since_ms) / 1000)));
	json_object_set_new(result, "ends_within_s",
	    drain->has_deadline && drain->deadline_ms > drain->now_ms
	        ? json_integer((json_int_t)((drain->deadline_ms - drain->now_ms + 999) / 1000))
	    : drain->has_deadline ? json_integer(0)
	                          : json_null());
	return result;
}

json_t *
commands_drain_start(struct commands *commands, struct commands_call *call)
{
	unsigned deadline_s = DRAIN_DEADLINE_S;
	if (!commands_seconds(call, "--deadline", 0, DRAIN_DEADLINE_S_MAX, &deadline_s) ||
	    drain_start(&commands->drain, deadline_s, call->error) != 0)
		return NULL;
	return drain_json(commands);
}

json_t *
commands_drain_status(struct commands *commands, struct commands_call *call)
{
	return drain_json(commands);
}

json_t *
commands_drain_stop(struct commands *commands, struct commands_call *call)
{
	if (!commands->drain.active) {
		snprintf(call->error, sizeof(call->error), "not draining");
		return NULL;
	}
	return drain_stop(&commands->drain, call->error) == 0 ? drain_json(commands) : NULL;
}
