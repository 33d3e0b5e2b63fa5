/*
 * The search for the highest rate, see ramp.h.
 */
#include "tests/load/ramp.h"

#include "tests/load/memory.h"

#define DOUBLINGS_MAX 30u
#define ANSWERED_LEAST \
	0.9 /* of the rate, while it was measured; fewer: the server is over its end whatever the limits */

struct ramp {
	struct run *run;
	struct point *points;
	unsigned points_len;
	unsigned best; /* of the points, if any */
	double best_rate;
	FILE *out;
};

double
ramp_search(double from, double precision, bool (*keeps)(void *ctx, double rate), void *ctx)
{
	double kept = 0, broken = from;

	for (unsigned i = 0; i < DOUBLINGS_MAX && keeps(ctx, broken); i++) {
		kept = broken;
		broken *= 2;
	}
	if (kept == 0)
		return 0;
	while (broken - kept > kept * precision) {
		double middle = (kept + broken) / 2;
		if (keeps(ctx, middle))
			kept = middle;
		else
			broken = middle;
	}
	return kept;
}

/* Measures one more point; NULL when there is no room for it. */
static const struct point *
measure(struct ramp *ramp, double rate)
{
	if (ramp->points_len == RAMP_POINTS_MAX)
		return NULL;
	struct point *point = &ramp->points[ramp->points_len++];
	run_point(ramp->run, rate, point);
	return point;
}

static bool
within_limits(const struct ramp *ramp, const struct point *point)
{
	const struct load_options *options = ramp->run->options;

	return point->valid && point->loss <= options->loss &&
	       point->throughput >= point->rate * ANSWERED_LEAST &&
	       (double)histogram_percentile(&point->due_ns, 99) <= options->p99 * 1e9;
}

static bool
keeps(void *ctx, double rate)
{
	struct ramp *ramp = ctx;

	for (unsigned attempt = 0; attempt < 2; attempt++) {
		const struct point *point = measure(ramp, rate);
		if (point == NULL)
			return false;
		bool kept = within_limits(ramp, point);
		report_ramp_line(ramp->out, point, kept);
		if (!kept)
			continue;
		if (rate > ramp->best_rate) {
			ramp->best_rate = rate;
			ramp->best = ramp->points_len - 1;
		}
		return true;
	}
	return false;
}

static void
measure_curve(struct ramp *ramp, double top)
{
	uint64_t steps = ramp->run->options->curve;

	for (uint64_t step = 1; step < steps; step++) {
		const struct point *point = measure(ramp, top * (double)step / (double)steps);
		if (point != NULL)
			report_ramp_line(ramp->out, point, within_limits(ramp, point));
	}
}

bool
ramp(struct run *run, struct report *report, FILE *out)
{
	const struct load_options *options = run->options;
	struct ramp state = {.run = run, .out = out};

	state.points = load_memory(RAMP_POINTS_MAX * sizeof(*state.points));
	if (state.points == NULL)
		return false;
	double found = ramp_search((double)options->ramp_from, options->ramp_precision, keeps, &state);
	if (found > 0)
		measure_curve(&state, found);
	*report = (struct report){
	    .run = run,
	    .points = state.points,
	    .points_len = state.points_len,
	    .found = found > 0 ? state.best : state.points_len - 1,
	    .ramp_found = found > 0,
	};
	return true;
}
