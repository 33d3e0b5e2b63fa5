/*
 * Leaving the service in order: no new connections, those that fall silent are closed, and when none is left or the
 * deadline has come the daemon ends. Control thread only.
 */
#ifndef WIRECACHE_CONTROL_DRAIN_H
#define WIRECACHE_CONTROL_DRAIN_H

#include <stdbool.h>
#include <stdint.h>

#include "control/config.h"
#include "dataplane/dataplane.h"

#define DRAIN_DEADLINE_S     30u /* unless the operator says otherwise */
#define DRAIN_DEADLINE_S_MAX 86400u

struct drain {
	struct config *running;
	struct dataplane *dataplane;
	bool active, done;
	bool has_deadline;
	uint64_t now_ms, since_ms, deadline_ms;
};

void drain_init(struct drain *drain, struct config *running, struct dataplane *dataplane);

/* deadline_s 0: none. A drain under way gets the new deadline. 0 or negative errno with a sentence. */
int drain_start(struct drain *drain, unsigned deadline_s, char error[DATAPLANE_ERROR_MAX]);
/* Back to service; clients have to connect again. */
int drain_stop(struct drain *drain, char error[DATAPLANE_ERROR_MAX]);

/* Once a second or so. drain->done: the daemon shall end. */
void drain_tick(struct drain *drain, uint64_t now_ms);

#endif
