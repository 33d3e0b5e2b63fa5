/*
 * The daemon's `metrics` as Prometheus reads them: text format 0.0.4, or OpenMetrics 1.0. The names stand in
 * metrics.def, and behind the counters' own names.
 */
#ifndef WIRECACHE_CTL_EXPOSITION_H
#define WIRECACHE_CTL_EXPOSITION_H

#include <stdbool.h>
#include <stdio.h>

#include <jansson.h>

/* metrics NULL: the daemon cannot be reached, which is all that is said then. */
void exposition_print(FILE *out, const json_t *metrics, bool openmetrics);

#endif
