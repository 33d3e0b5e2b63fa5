/*
 * A ramp's curve, latency over throughput, drawn by gnuplot as PNG and SVG. See report.h.
 */
#include <stdlib.h>
#include <sys/wait.h>

#include "tests/load/report.h"

static int
by_throughput(const void *a, const void *b)
{
	const struct point *const *left = a, *const *right = b;

	return ((*left)->throughput > (*right)->throughput) - ((*left)->throughput < (*right)->throughput);
}

static void
write_points(FILE *script, const struct point **points, unsigned points_len)
{
	fprintf(script, "$points << END\n");
	for (unsigned i = 0; i < points_len; i++) {
		const struct histogram *due = &points[i]->due_ns;
		fprintf(script, "%.1f %.3f %.3f %.3f %.3f\n", points[i]->throughput / 1e3,
		    (double)histogram_percentile(due, 50) / 1e3, (double)histogram_percentile(due, 99) / 1e3,
		    (double)histogram_percentile(due, 99.9) / 1e3,
		    (double)histogram_percentile(due, 99.99) / 1e3);
	}
	fprintf(script, "END\n");
}

/* A string of gnuplot's: between single quotes, which are doubled in it. */
static void
write_name(FILE *script, const char *path, const char *suffix)
{
	fprintf(script, "set output '");
	for (; *path != '\0'; path++)
		fprintf(script, *path == '\'' ? "''" : "%c", *path);
	fprintf(script, "%s'\n", suffix);
}

static void
write_curve(FILE *script, const struct load_options *options)
{
	fprintf(script,
	    "set xlabel 'thousand replies a second'\nset ylabel 'latency from when due, microseconds'\n"
	    "set logscale y\nset xrange [0:*]\nset grid\nset key left top\n"
	    "plot $points using 1:2 with linespoints title 'median', "
	    "$points using 1:3 with linespoints title '99 %%', "
	    "$points using 1:4 with linespoints title '99.9 %%', "
	    "$points using 1:5 with linespoints title '99.99 %%', "
	    "%.3f with lines dashtype 2 title 'limit of 99 %%'\n",
	    options->p99 * 1e6);
}

/* Points whose generator was too slow say nothing. */
bool
report_plot(const struct report *report, const char *path, char error[OPTIONS_ERROR_BYTES])
{
	const struct point **points = calloc(report->points_len, sizeof(const struct point *));
	FILE *script = popen("gnuplot", "w");
	unsigned len = 0;

	if (points == NULL || script == NULL) {
		free(points);
		snprintf(error, OPTIONS_ERROR_BYTES, "cannot start gnuplot");
		return false;
	}
	for (unsigned i = 0; i < report->points_len; i++)
		if (report->points[i].valid)
			points[len++] = &report->points[i];
	qsort(points, len, sizeof(const struct point *), by_throughput);
	write_points(script, points, len);
	free(points);
	fprintf(script, "set terminal pngcairo size 900,600\n");
	write_name(script, path, ".png");
	write_curve(script, report->run->options);
	fprintf(script, "set terminal svg size 900,600\n");
	write_name(script, path, ".svg");
	write_curve(script, report->run->options);
	int status = pclose(script);
	if (status == 0)
		return true;
	snprintf(error, OPTIONS_ERROR_BYTES, "gnuplot could not draw %.200s.png and .svg%s", path,
	    WIFEXITED(status) && WEXITSTATUS(status) == 127 ? ": it is not installed" : "");
	return false;
}
