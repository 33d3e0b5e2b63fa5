/*
 * Says what came of a run: to people, as JSON for programs, and as a plotted curve. Main thread.
 */
#ifndef WIRECACHE_LOAD_REPORT_H
#define WIRECACHE_LOAD_REPORT_H

#include <stdio.h>

#include "tests/load/run.h"

/* Points in the order in which they were measured. found: index of the ramp's result, or points_len - 1. */
struct report {
	const struct run *run;
	const struct point *points;
	unsigned points_len;
	unsigned found;
	bool ramp_found; /* some rate kept the limits */
};

void report_point(FILE *out, const struct point *point);
void report_ramp_line(FILE *out, const struct point *point, bool kept);

/* Each: false with one sentence in error. */
bool report_json(const struct report *report, const char *path, char error[OPTIONS_ERROR_BYTES]);
bool report_hgrm(const struct report *report, const char *path, char error[OPTIONS_ERROR_BYTES]);
bool report_plot(const struct report *report, const char *path, char error[OPTIONS_ERROR_BYTES]);

/* Nothing is wrong with it: no wrong or stale value, and the schedule was kept. */
bool report_sound(const struct point *point);

#endif
