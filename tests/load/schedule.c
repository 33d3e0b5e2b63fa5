/*
 * Sets up gaps, see schedule.h. All are scaled so that their mean is exactly 1 up to rounding: the rate asked for is the
 * rate that comes.
 */
#include "tests/load/schedule.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/load/rng.h"

#define GAP_MAX ((double)UINT32_MAX) /* 65535 means: beyond it a gap of a trace is cut */

static void
scale(struct schedule *schedule, const double *gaps)
{
	double sum = 0.0;

	for (uint32_t i = 0; i < schedule->gaps_len; i++)
		sum += gaps[i];
	double factor = sum > 0.0 ? schedule->gaps_len * (double)(1u << SCHEDULE_ONE_BITS) / sum : 0.0;
	double carry = 0.0; /* what rounding left over goes into the next gap */
	for (uint32_t i = 0; i < schedule->gaps_len; i++) {
		double exact = gaps[i] * factor + carry;
		double whole = fmin(floor(exact), GAP_MAX);
		schedule->gaps[i] = (uint32_t)whole;
		carry = fmin(exact - whole, 1.0);
	}
}

static void
draw_gaps(double *gaps, uint32_t len, enum schedule_kind kind, uint32_t burst, uint64_t seed)
{
	struct load_rng rng;

	load_rng_seed(&rng, seed);
	for (uint32_t i = 0; i < len; i++) {
		if (kind == SCHEDULE_POISSON)
			gaps[i] = -log(load_rng_unit(&rng));
		else if (kind == SCHEDULE_CONSTANT)
			gaps[i] = 1.0;
		else
			gaps[i] = i % burst == burst - 1 ? (double)burst : 0.0;
	}
}

/* Times of arrival in seconds, one a line, ascending; # begins a comment. Returns the number of gaps, 0 on error. */
static uint32_t
read_trace(FILE *file, double *gaps, char *error, uint32_t error_bytes)
{
	char line[256];
	uint32_t len = 0, number = 0;
	double last = 0.0, at;
	bool begun = false;

	while (fgets(line, sizeof(line), file) != NULL && len < SCHEDULE_TRACE_MAX) {
		char *end;
		number++;
		if (line[0] == '#' || line[strspn(line, " \t\r\n")] == '\0')
			continue;
		at = strtod(line, &end);
		if (end == line || !isfinite(at) || (begun && at < last)) {
			snprintf(error, error_bytes,
			    "line %u of the trace is no time at or after the one before", number);
			return 0;
		}
		if (begun)
			gaps[len++] = at - last;
		begun = true;
		last = at;
	}
	if (len == 0)
		snprintf(error, error_bytes, "the trace has fewer than two arrivals");
	return len;
}

static bool
load_trace(struct schedule *schedule, const char *path, double *gaps, char *error, uint32_t error_bytes)
{
	FILE *file = fopen(path, "r");

	if (file == NULL) {
		snprintf(error, error_bytes, "cannot read the trace %s: %s", path, strerror(errno));
		return false;
	}
	schedule->gaps_len = read_trace(file, gaps, error, error_bytes);
	fclose(file);
	double sum = 0.0;
	for (uint32_t i = 0; i < schedule->gaps_len; i++)
		sum += gaps[i];
	if (schedule->gaps_len > 0 && sum <= 0.0) {
		snprintf(error, error_bytes, "all arrivals of the trace are at the same time");
		return false;
	}
	schedule->trace_rate = sum > 0.0 ? schedule->gaps_len / sum : 0.0;
	return schedule->gaps_len > 0;
}

bool
schedule_init(struct schedule *schedule, enum schedule_kind kind, uint32_t burst, const char *trace,
    uint64_t seed, char *error, uint32_t error_bytes)
{
	uint32_t room = kind == SCHEDULE_TRACE ? SCHEDULE_TRACE_MAX : SCHEDULE_GAPS;
	double *gaps = malloc(room * sizeof(*gaps));
	bool done = true;

	*schedule = (struct schedule){.gaps_len = SCHEDULE_GAPS};
	if (kind == SCHEDULE_BURST)
		schedule->gaps_len -= SCHEDULE_GAPS % burst; /* whole bursts */
	if (gaps != NULL && kind == SCHEDULE_TRACE)
		done = load_trace(schedule, trace, gaps, error, error_bytes);
	else if (gaps != NULL)
		draw_gaps(gaps, schedule->gaps_len, kind, burst, seed);
	if (gaps != NULL && done)
		schedule->gaps = calloc(schedule->gaps_len, sizeof(*schedule->gaps));
	if (schedule->gaps != NULL)
		scale(schedule, gaps);
	else if (done)
		snprintf(error, error_bytes, "no memory for the schedule");
	free(gaps);
	return schedule->gaps != NULL;
}

void
schedule_free(struct schedule *schedule)
{
	free(schedule->gaps);
	schedule->gaps = NULL;
}

void
schedule_start(struct schedule_cursor *cursor, const struct schedule *schedule, uint32_t offset,
    uint64_t start_tsc, double rate, double tsc_hz)
{
	*cursor = (struct schedule_cursor){
	    .schedule = schedule,
	    .at = offset % schedule->gaps_len,
	    .mean_q16 = (uint64_t)(tsc_hz / rate * 65536.0),
	    .whole_tsc = start_tsc,
	};
	schedule_advance(cursor);
}
