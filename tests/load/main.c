/*
 * wireload: loads a memcached server and says what it did. docs/WIRELOAD.md tells how to use it.
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "tests/load/memory.h"
#include "tests/load/ramp.h"
#include "tests/load/report.h"
#include "tests/load/run.h"

enum { EXIT_MEASURED = 0, EXIT_FAILED = 1, EXIT_OPTIONS = 2, EXIT_NOT_SOUND = 3 };

static int
complain(const char *error, int status)
{
	fprintf(stderr, "wireload: %s\n", error);
	return status;
}

/* With the JSON on standard output, people read standard error. */
static FILE *
for_people(const struct load_options *options)
{
	return strcmp(options->json, "-") == 0 ? stderr : stdout;
}

static bool
write_files(const struct report *report, char error[OPTIONS_ERROR_BYTES])
{
	const struct load_options *options = report->run->options;

	return (options->json[0] == '\0' || report_json(report, options->json, error)) &&
	       (options->hgrm[0] == '\0' || report->points_len == 0 ||
	           report_hgrm(report, options->hgrm, error)) &&
	       (options->plot[0] == '\0' || report_plot(report, options->plot, error));
}

/* The rate to measure at: the trace's own where none is given. */
static double
rate_of(const struct run *run)
{
	return run->options->rate > 0 ? (double)run->options->rate : run->workload.schedule.trace_rate;
}

static int
conclude(const struct report *report, char error[OPTIONS_ERROR_BYTES])
{
	const struct load_options *options = report->run->options;
	FILE *out = for_people(options);

	if (options->ramp && report->ramp_found)
		fprintf(out,
		    "\nhighest rate with a 99th percentile of %.1f us and a loss of %g: %.0f requests/s\n",
		    options->p99 * 1e6, options->loss, report->points[report->found].rate);
	else if (options->ramp)
		fprintf(out, "\nno rate from %lu on keeps the limits\n", options->ramp_from);
	if (report->points_len > 0)
		report_point(out, &report->points[report->found]);
	if (!write_files(report, error))
		return complain(error, EXIT_FAILED);
	if (report->points_len == 0)
		return EXIT_MEASURED;
	return report_sound(&report->points[report->found]) ? EXIT_MEASURED : EXIT_NOT_SOUND;
}

static int
measure(struct run *run, char error[OPTIONS_ERROR_BYTES])
{
	const struct load_options *options = run->options;
	struct report report = {.run = run};
	size_t points = options->ramp ? RAMP_POINTS_MAX : 1;
	struct point *point = NULL;

	if (options->ramp) {
		if (!ramp(run, &report, for_people(options)))
			return complain("no memory for a ramp", EXIT_FAILED);
	} else if (options->preload != LOAD_PRELOAD_ONLY) {
		if ((point = load_memory(sizeof(*point))) == NULL)
			return complain("no memory for the result", EXIT_FAILED);
		run_point(run, rate_of(run), point);
		report.points = point;
		report.points_len = 1;
	}
	int status = conclude(&report, error);
	load_memory_free((void *)(uintptr_t)report.points, points * sizeof(struct point));
	return status;
}

static int
run(const struct load_options *options, char error[OPTIONS_ERROR_BYTES])
{
	struct run run;
	int status = EXIT_FAILED;
	bool preloads = options->preload != LOAD_PRELOAD_NO && !options->reflect;

	if (!run_open(&run, options, error) || !run_connect(&run, error) ||
	    (preloads && !run_preload(&run, error)))
		complain(error, status);
	else {
		if (run.preload_errors > 0)
			fprintf(stderr, "wireload: the server did not store %lu of %lu keys\n",
			    run.preload_errors, options->keys);
		status = measure(&run, error);
	}
	run_close(&run);
	return status;
}

int
main(int argc, char **argv)
{
	struct load_options options;
	char error[OPTIONS_ERROR_BYTES] = "";

	if (argc == 2 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)) {
		options_help();
		return EXIT_MEASURED;
	}
	if (argc == 2 && strcmp(argv[1], "--document") == 0) {
		options_document();
		return EXIT_MEASURED;
	}
	signal(SIGPIPE, SIG_IGN);
	options_defaults(&options);
	if (!options_arguments(&options, argc, argv, error) || !options_check(&options, error))
		return complain(error, EXIT_OPTIONS);
	return run(&options, error);
}
