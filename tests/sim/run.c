/*
 * One case: the clock jumps from event to event until both sides are finished, with bounds on time and
 * segments.
 */
#include "sim.h"

#include <stdarg.h>
#include <stdio.h>

#include "tests/unit/net/testpool.h"

#define TIME_MAX_US     (48ull * 3600 * 1000000)
#define STEPS_MAX       20000000ull
#define SEGMENTS_BASE   3000ull
#define SEGMENTS_FACTOR 40ull

void
sim_fail(struct sim_run *run, const char *format, ...)
{
	if (run->failed)
		return;
	va_list args;
	va_start(args, format);
	vsnprintf(run->why, sizeof(run->why), format, args);
	va_end(args);
	run->failed = true;
	if (run->verbose)
		printf("# violated: %s\n", run->why);
}

/* More segments than this for the bytes of a case is a storm. The smallest window decides how small segments
 * get. */
static uint64_t
segments_max(const struct sim_case *c)
{
	uint64_t sum = 0;
	for (unsigned h = 0; h < 2; h++) {
		uint32_t piece = RTE_MIN(c->config[!h].rcv_buffer_bytes / 2, 76u);
		if (!c->app[h].pause_ppm)
			piece = RTE_MIN(piece, c->app[h].write_max);
		piece = RTE_MIN(piece, c->app[h].think_us ? c->app[h].write_max : UINT32_MAX);
		sum += c->app[h].send_bytes / RTE_MAX(piece, 1u);
	}
	return c->sessions * (SEGMENTS_BASE + SEGMENTS_FACTOR * sum);
}

static uint64_t
next_event_us(const struct sim_run *run)
{
	uint64_t next_us = sim_link_next_us(run);
	for (unsigned h = 0; h < 2; h++)
		next_us = RTE_MIN(next_us, sim_host_next_us(&run->hosts[h]));
	return next_us;
}

static void
loop(struct sim_run *run)
{
	uint64_t bound = segments_max(&run->c), begin_us = run->now_us;
	while (!run->failed) {
		for (unsigned h = 0; h < 2; h++)
			sim_host_step(&run->hosts[h]);
		run->steps++;
		if (sim_host_finished(&run->hosts[0]) && sim_host_finished(&run->hosts[1]) &&
		    sim_link_next_us(run) == SIM_NEVER)
			return;
		uint64_t next_us = next_event_us(run);
		if (next_us == SIM_NEVER)
			sim_fail(run, "nothing left to happen, yet not finished");
		if (run->segments > bound)
			sim_fail(run, "more than %llu segments", (unsigned long long)bound);
		if (next_us - begin_us > TIME_MAX_US || run->steps > STEPS_MAX)
			sim_fail(run, "does not end");
		if (next_us > run->now_us)
			run->now_us = next_us;
	}
}

bool
sim_run_case(
    uint64_t seed, const struct sim_pools *pools, bool verbose, uint64_t *segments, bool *no_handshake)
{
	static struct sim_run run;
	run =
	    (struct sim_run){.verbose = verbose, .rng = {seed ^ 0x5851f42d4c957f2dull}, .rx_pool = pools->rx};
	sim_case_make(&run.c, seed);
	if (verbose)
		sim_case_print(&run.c);
	run.now_us = sim_rand(&run.rng) >> 24;
	for (unsigned h = 0; h < 2; h++) {
		if (!sim_host_start(&run, h, pools))
			sim_fail(&run, "host %u: no stack", h);
	}
	if (!run.failed)
		loop(&run);
	for (unsigned h = 0; h < 2 && !run.failed; h++)
		sim_host_verify(&run.hosts[h]);
	for (unsigned h = 0; h < 2; h++)
		sim_host_stop(&run.hosts[h]);
	sim_link_clear(&run);
	if (testpool_outstanding(pools->rx))
		sim_fail(&run, "%u received mbufs lost", testpool_outstanding(pools->rx));
	*segments += run.segments;
	*no_handshake = run.handshake_failed;
	if (run.failed) {
		printf("# seed %llu: %s\n", (unsigned long long)seed, run.why);
		sim_case_print(&run.c);
	}
	return !run.failed;
}
