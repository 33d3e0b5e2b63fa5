/*
 * Orders to all generator threads, and the sums of what they counted. See run.h.
 */
#include "tests/load/run.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tests/load/memory.h"
#include "tests/load/parse.h"
#include "tests/load/progress.h"
#include "tests/load/thread.h"

#define START_AFTER_S 0.002 /* so that every thread has its order before the first request is due */
#define CPU_MAX       1023u

/* "1", "2-5,7". */
static bool
parse_cpus(struct run *run, const char *text)
{
	char list[128];
	char *rest = list, *word;

	snprintf(list, sizeof(list), "%.127s", text);
	while ((word = strsep(&rest, ",")) != NULL && *text != '\0') {
		uint64_t first, last;
		if (!parse_range(word, 1000, &first, &last) || last > CPU_MAX)
			return false;
		for (; first <= last && run->cpus_len < RUN_THREADS_MAX; first++)
			run->cpus[run->cpus_len++] = (int)first;
	}
	return run->cpus_len == 0 || run->cpus_len >= run->options->threads;
}

static const struct load_backend_ops *
find_backend(const char *name, char error[OPTIONS_ERROR_BYTES])
{
	int len = snprintf(error, OPTIONS_ERROR_BYTES, "there is no backend %.20s; there are:", name);

	for (unsigned i = 0; load_backends[i] != NULL; i++) {
		if (strcmp(load_backends[i]->name, name) == 0)
			return load_backends[i];
		len += snprintf(error + len, OPTIONS_ERROR_BYTES - (size_t)len, " %s (%s)",
		    load_backends[i]->name, load_backends[i]->help);
	}
	return NULL;
}

static bool
open_generators(struct run *run, char error[OPTIONS_ERROR_BYTES])
{
	unsigned threads = (unsigned)run->options->threads;

	run->generators = load_memory(threads * sizeof(*run->generators));
	if (run->generators == NULL) {
		snprintf(error, OPTIONS_ERROR_BYTES, "no memory");
		return false;
	}
	for (unsigned i = 0; i < threads; i++) {
		struct generator *g = &run->generators[run->generators_len++];
		if (!generator_init(g, run->options, &run->workload, run->ops, run->clock, i, error))
			return false;
		g->cpu = run->cpus_len > 0 ? run->cpus[i] : -1;
	}
	for (unsigned i = 0; i < threads; i++)
		if (!generator_start(&run->generators[i], error))
			return false;
	return true;
}

bool
run_open(struct run *run, const struct load_options *options, char error[OPTIONS_ERROR_BYTES])
{
	*run = (struct run){.options = options};
	if (!parse_cpus(run, options->cpus)) {
		snprintf(error, OPTIONS_ERROR_BYTES,
		    "cpus is \"%.60s\", expected a core for each of %lu threads, as 1 or 2-5,7",
		    options->cpus, options->threads);
		return false;
	}
	if (options->realtime && !thread_keep_core(true)) {
		snprintf(error, OPTIONS_ERROR_BYTES,
		    "realtime is not allowed here: run wireload as root, or without it");
		return false;
	}
	thread_keep_core(false);
	run->ops = find_backend(options->backend, error);
	if (run->ops == NULL || !workload_init(&run->workload, options, error))
		return false;
	run->clock = load_clock_measure();
	return open_generators(run, error);
}

void
run_close(struct run *run)
{
	for (unsigned i = 0; i < run->generators_len; i++)
		generator_free(&run->generators[i]);
	if (run->generators != NULL)
		load_memory_free(run->generators, run->options->threads * sizeof(*run->generators));
	workload_free(&run->workload);
}

/* Gives every thread the order and waits until all have carried it out. */
static void
order_all(struct run *run, const struct plan *plan, const char *doing)
{
	struct progress progress;

	progress_begin(&progress, run->options, doing);
	for (unsigned i = 0; i < run->generators_len; i++)
		generator_order(&run->generators[i], plan);
	for (unsigned i = 0; i < run->generators_len; i++)
		while (!progress_wait(&progress, &run->generators[i].done))
			progress_show(&progress, run->generators, run->generators_len);
	progress_end(&progress);
}

bool
run_connect(struct run *run, char error[OPTIONS_ERROR_BYTES])
{
	uint64_t up = 0, wanted = 0;
	int why = 0;

	order_all(run, &(struct plan){.kind = PLAN_CONNECT}, "connecting");
	for (unsigned i = 0; i < run->generators_len; i++) {
		const struct generator *g = &run->generators[i];
		up += g->conns_up;
		wanted += g->conns_len;
		why = g->conns_up < g->conns_len ? g->connect_error : why;
		run->connect_s = g->connect_s > run->connect_s ? g->connect_s : run->connect_s;
	}
	if (up == wanted)
		return true;
	snprintf(error, OPTIONS_ERROR_BYTES, "only %lu of %lu connections to %s port %lu came up: %s", up,
	    wanted, run->options->server, run->options->port, why != 0 ? strerror(why) : "no answer");
	return false;
}

bool
run_preload(struct run *run, char error[OPTIONS_ERROR_BYTES])
{
	uint64_t begin_tsc = load_now_tsc(), unfinished = 0;

	order_all(run, &(struct plan){.kind = PLAN_PRELOAD}, "preloading");
	for (unsigned i = 0; i < run->generators_len; i++) {
		const struct generator *g = &run->generators[i];
		unfinished += g->outstanding + g->again_len + (g->preload_next < run->options->keys);
		run->preload_errors += g->counts.errors + g->counts.not_done;
	}
	run->preload_s = (double)(load_now_tsc() - begin_tsc) / run->clock.tsc_hz;
	if (unfinished == 0)
		return true;
	snprintf(error, OPTIONS_ERROR_BYTES, "%s port %lu stopped answering while keys were preloaded",
	    run->options->server, run->options->port);
	return false;
}

/* ---- points ---- */

static void
sum_backends(const struct run *run, struct load_backend_stats *sum)
{
	memset(sum, 0, sizeof(*sum));
	for (unsigned i = 0; i < run->generators_len; i++) {
		struct load_backend_stats stats = {0};
		run->ops->stats(run->generators[i].backend, &stats);
		sum->tx_packets += stats.tx_packets;
		sum->rx_packets += stats.rx_packets;
		sum->tx_dropped += stats.tx_dropped;
		sum->rx_dropped += stats.rx_dropped;
		sum->retransmits += stats.retransmits;
		sum->connect_failures += stats.connect_failures;
	}
}

static void
subtract_backends(struct load_backend_stats *stats, const struct load_backend_stats *before)
{
	stats->tx_packets -= before->tx_packets;
	stats->rx_packets -= before->rx_packets;
	stats->tx_dropped -= before->tx_dropped;
	stats->rx_dropped -= before->rx_dropped;
	stats->retransmits -= before->retransmits;
	stats->connect_failures -= before->connect_failures;
}

static void
judge(struct point *point)
{
	const struct counts *counts = &point->counts;
	double scheduled = (double)counts->scheduled;

	point->throughput = (double)counts->replies / point->seconds;
	point->loss = scheduled > 0 ? (double)(counts->lost + counts->unsent) / scheduled : 0;
	point->adherence = scheduled > 0 ? 1.0 - (double)counts->late / scheduled : 0;
	double undisturbed = scheduled - (double)counts->late_stalled;
	point->adherence_without_stalls =
	    undisturbed > 0 ? 1.0 - (double)(counts->late - counts->late_stalled) / undisturbed : 0;
	if (counts->measured_tsc > 0)
		point->busy = (double)counts->busy_tsc / (double)counts->measured_tsc;
	point->valid = scheduled > 0 && point->adherence >= RUN_ADHERENCE_LEAST;
}

static double
tsc_to_us(const struct run *run, uint64_t tsc)
{
	return (double)tsc / run->clock.tsc_hz * 1e6;
}

static int
compare_numbers(const void *left, const void *right)
{
	double a = *(const double *)left, b = *(const double *)right;

	return (a > b) - (a < b);
}

static double
median(double *numbers, uint64_t len)
{
	if (len == 0)
		return 0.0;
	qsort(numbers, len, sizeof(*numbers), compare_numbers);
	return (numbers[(len - 1) / 2] + numbers[len / 2]) / 2.0;
}

/* Percentiles of each part, all threads together; the medians of those on schedule. */
static void
judge_windows(const struct run *run, struct point *point)
{
	struct window_figures *figures = &point->windows;
	double p50[RUN_WINDOWS_MAX], p99[RUN_WINDOWS_MAX], p99_9[RUN_WINDOWS_MAX];

	figures->len = run->options->windows;
	for (uint64_t i = 0; i < figures->len; i++) {
		struct window *sum = &run->generators[0].windows[i];
		for (unsigned thread = 1; thread < run->generators_len; thread++) {
			const struct window *window = &run->generators[thread].windows[i];
			sum->scheduled += window->scheduled;
			sum->late += window->late;
			histogram_merge(&sum->due_ns, &window->due_ns);
		}
		if ((double)sum->late > (1.0 - RUN_ADHERENCE_LEAST) * (double)sum->scheduled)
			continue;
		histogram_merge(&point->kept_ns, &sum->due_ns);
		p50[figures->kept] = (double)histogram_percentile(&sum->due_ns, 50) / 1e3;
		p99[figures->kept] = (double)histogram_percentile(&sum->due_ns, 99) / 1e3;
		p99_9[figures->kept++] = (double)histogram_percentile(&sum->due_ns, 99.9) / 1e3;
	}
	figures->p50_us = median(p50, figures->kept);
	figures->p99_us = median(p99, figures->kept);
	figures->p99_9_us = median(p99_9, figures->kept);
}

void
run_point(struct run *run, double rate, struct point *point)
{
	const struct load_options *options = run->options;
	struct load_backend_stats before;
	struct plan plan = {.kind = PLAN_POINT, .rate = rate / (double)run->generators_len};
	char doing[64];

	sum_backends(run, &before);
	memset(point, 0, sizeof(*point));
	point->rate = rate;
	point->seconds = options->duration;
	histogram_reset(&point->due_ns);
	histogram_reset(&point->sent_ns);
	histogram_reset(&point->kept_ns);
	plan.start_tsc = load_now_tsc() + load_seconds_to_tsc(&run->clock, START_AFTER_S);
	plan.measure_tsc = plan.start_tsc + load_seconds_to_tsc(&run->clock, options->warmup);
	plan.end_tsc = plan.measure_tsc + load_seconds_to_tsc(&run->clock, options->duration);
	snprintf(doing, sizeof(doing), rate > 0 ? "%.0f requests/s" : "closed loop", rate);
	order_all(run, &plan, doing);
	for (unsigned i = 0; i < run->generators_len; i++) {
		counts_add(&point->counts, &run->generators[i].counts);
		histogram_merge(&point->due_ns, run->generators[i].due_ns);
		histogram_merge(&point->sent_ns, run->generators[i].sent_ns);
		double stall_us = tsc_to_us(run, run->generators[i].longest_stall_tsc);
		if (stall_us > point->longest_stall_us)
			point->longest_stall_us = stall_us;
	}
	point->stalled_us = tsc_to_us(run, point->counts.stalled_tsc);
	judge_windows(run, point);
	sum_backends(run, &point->backend);
	subtract_backends(&point->backend, &before);
	judge(point);
}
