/*
 * What was left open in the configuration, filled in from the hardware: which network card, which cores, which NUMA nodes,
 * how much memory. What the operator set is never changed; what was planned has the origin "plan".
 */
#ifndef WIRECACHE_CONTROL_PLAN_H
#define WIRECACHE_CONTROL_PLAN_H

#include <sched.h>

#include "control/config.h"
#include "control/host.h"

/*
 * Between reading and checking. allowed: where this process may run, NULL for all cores of the host. Adds an error when a
 * configured port is the card of the default route. Each line of config->plan is a decision or what stood in its way.
 */
void plan_config(struct config *config, const struct host *host, const cpu_set_t *allowed);

#endif
