/*
 * Finds the highest rate that keeps the limits: doubles from the first rate until one is not kept, halves the distance
 * between the last kept and the first not kept until they are near, then measures a curve below. A rate that is not kept
 * is tried a second time, as one hiccup of the machine must not decide. Main thread.
 */
#ifndef WIRECACHE_LOAD_RAMP_H
#define WIRECACHE_LOAD_RAMP_H

#include "tests/load/report.h"

#define RAMP_POINTS_MAX 256u

/* Fills report's points (RAMP_POINTS_MAX, to be freed by the caller). False: no memory. */
bool ramp(struct run *run, struct report *report, FILE *out);

/* The search alone. keeps: measures this rate and says whether the limits were kept. Returns 0 if not even `from` was. */
double ramp_search(double from, double precision, bool (*keeps)(void *ctx, double rate), void *ctx);

#endif
