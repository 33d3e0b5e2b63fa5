/*
 * A run: all generator threads together. Connects, preloads, and measures points; sums what the threads counted. Main
 * thread.
 */
#ifndef WIRECACHE_LOAD_RUN_H
#define WIRECACHE_LOAD_RUN_H

#include "tests/load/generator.h"
#include "tests/load/options.h"

#define RUN_THREADS_MAX     64u
#define RUN_ADHERENCE_LEAST 0.999
#define RUN_WINDOWS_MAX     100u /* the option's limit */

/* The parts of a point in which the schedule was kept. */
struct window_figures {
	uint64_t len, kept;              /* there were, and of these are the figures: */
	double p50_us, p99_us, p99_9_us; /* the median of the parts' percentiles */
};

/* A point: a stretch of load at one rate. */
struct point {
	double rate; /* asked for; 0: closed loop */
	double seconds;
	struct counts counts;
	struct histogram due_ns, sent_ns;
	struct histogram kept_ns;          /* as due_ns, of the windows on schedule */
	struct load_backend_stats backend; /* during the point, warm-up included */
	double throughput;                 /* replies a second */
	double loss;                       /* lost or never sent, share of those due */
	double
	    adherence; /* share of those due that left on time, or late only because no connection had room */
	double busy;   /* share of the time in which the generator had something to do */
	bool valid;    /* adherence is good enough */
	/* How long the loop stood still, and what adherence would be without what was due until then. Tells whose fault it
	 * was; does not make a point valid. */
	double stalled_us, longest_stall_us, adherence_without_stalls;
	struct window_figures windows;
};

struct run {
	const struct load_options *options;
	const struct load_backend_ops *ops;
	struct load_clock clock;
	struct workload workload;
	struct generator *generators;
	unsigned generators_len; /* those that were set up */
	int cpus[RUN_THREADS_MAX];
	unsigned cpus_len;
	double connect_s; /* the longest thread's */
	double preload_s;
	uint64_t preload_errors; /* keys that the server would not store */
};

/* Each: false with one sentence in error. run_close() may be called in any case. */
bool run_open(struct run *run, const struct load_options *options, char error[OPTIONS_ERROR_BYTES]);
bool run_connect(struct run *run, char error[OPTIONS_ERROR_BYTES]);
bool run_preload(struct run *run, char error[OPTIONS_ERROR_BYTES]);
void run_close(struct run *run);

/* rate: of all threads, 0 for the closed loop. */
void run_point(struct run *run, double rate, struct point *point);

#endif
