/* What wirecached prints on stdout once it serves: a few plain lines, the last of them "ready". Control
 * thread. */
#ifndef WIRECACHE_CONTROL_SUMMARY_H
#define WIRECACHE_CONTROL_SUMMARY_H

#include <stdio.h>

#include "control/config.h"

/* The lines of the plan, if anything was planned: also what stood in its way when the daemon cannot start. */
void summary_print_plan(FILE *out, const struct config *config);

void summary_print(FILE *out, const struct config *config, struct dataplane *dataplane);

#endif
