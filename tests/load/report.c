/*
 * The result for people, and as JSON. See report.h.
 */
#include "tests/load/report.h"

#include <errno.h>
#include <jansson.h>
#include <string.h>

static const struct {
	const char *name;
	double percentile;
} percentiles[] = {{"p50", 50}, {"p90", 90}, {"p99", 99}, {"p99_9", 99.9}, {"p99_99", 99.99}};

#define PERCENTILES (sizeof(percentiles) / sizeof(percentiles[0]))

static const struct {
	const char *name;
	size_t offset;     /* of a uint64_t in struct counts */
	const char *shown; /* in the text, when it is not 0; NULL: never */
} counters[] = {
#define COUNTER(name, shown)                                \
	{                                                   \
#name, offsetof(struct counts, name), shown \
	}
    COUNTER(scheduled, NULL),
    COUNTER(sent, NULL),
    COUNTER(answered, NULL),
    COUNTER(replies, NULL),
    COUNTER(keys, NULL),
    COUNTER(tx_bytes, NULL),
    COUNTER(rx_bytes, NULL),
    COUNTER(turned_over, "connections turned over"),
    COUNTER(hits, NULL),
    COUNTER(misses, NULL),
    COUNTER(lost, "lost"),
    COUNTER(unsent, "never sent"),
    COUNTER(late, "left late by the generator's fault"),
    COUNTER(held, "left late for want of a connection with room"),
    COUNTER(not_done, "not stored or not found"),
    COUNTER(errors, "refused by the server"),
    COUNTER(wrong, "WRONG values"),
    COUNTER(stale, "STALE values"),
    COUNTER(unverified, "not verified, as datagrams came in another order"),
    COUNTER(too_late, "replies to requests given up"),
    COUNTER(broken, "replies that are not the protocol's"),
    COUNTER(reconnects, "connections made again"),
#undef COUNTER
};

#define COUNTERS (sizeof(counters) / sizeof(counters[0]))

static uint64_t
counter(const struct point *point, unsigned index)
{
	return *(const uint64_t *)(const void *)((const char *)&point->counts + counters[index].offset);
}

bool
report_sound(const struct point *point)
{
	return point->valid && point->counts.wrong == 0 && point->counts.stale == 0;
}

/* ---- for people ---- */

static void
print_latency(FILE *out, const char *what, const struct histogram *histogram)
{
	fprintf(out, "%-22s", what);
	for (unsigned i = 0; i < PERCENTILES; i++)
		fprintf(
		    out, " %9.1f", (double)histogram_percentile(histogram, percentiles[i].percentile) / 1e3);
	fprintf(out, " %9.1f %9.1f\n", (double)histogram->max / 1e3, histogram_mean(histogram) / 1e3);
}

void
report_point(FILE *out, const struct point *point)
{
	const struct counts *counts = &point->counts;

	fprintf(out, "throughput %.0f replies/s", point->throughput);
	if (counts->keys > counts->replies)
		fprintf(out, ", %.0f keys/s", (double)counts->keys / point->seconds);
	fprintf(out, ", %.1f MB/s out, %.1f MB/s in\n", (double)counts->tx_bytes / point->seconds / 1e6,
	    (double)counts->rx_bytes / point->seconds / 1e6);
	if (counts->hits + counts->misses > 0)
		fprintf(out, "hits %.3f %%\n",
		    100.0 * (double)counts->hits / (double)(counts->hits + counts->misses));
	fprintf(out, "%-22s %9s %9s %9s %9s %9s %9s %9s\n", "latency, us", "p50", "p90", "p99", "p99.9",
	    "p99.99", "max", "mean");
	print_latency(out, point->rate > 0 ? "  from when due" : "  from when sent", &point->due_ns);
	if (point->rate > 0)
		print_latency(out, "  from when sent", &point->sent_ns);
	for (unsigned i = 0; i < COUNTERS; i++)
		if (counters[i].shown != NULL && counter(point, i) != 0)
			fprintf(out, "%lu %s\n", counter(point, i), counters[i].shown);
	if (point->backend.tx_dropped + point->backend.rx_dropped > 0)
		fprintf(out, "dropped by this side: %lu outgoing, %lu incoming\n", point->backend.tx_dropped,
		    point->backend.rx_dropped);
	if (point->windows.len > 0)
		fprintf(out,
		    "windows: %lu of %lu on schedule; medians of theirs: p50 %.1f us, p99 %.1f us, p99.9 "
		    "%.1f "
		    "us\n",
		    point->windows.kept, point->windows.len, point->windows.p50_us, point->windows.p99_us,
		    point->windows.p99_9_us);
	if (point->rate > 0 && counts->stalls > 0)
		fprintf(out,
		    "stood still %lu times, %.0f us in all, %.0f us at most; for %.0f us of it the core was "
		    "given to other programs\n",
		    counts->stalls, point->stalled_us, point->longest_stall_us,
		    (double)counts->waited_ns / 1e3);
	fprintf(out, "generator busy %.1f %%, schedule kept %.4f %%%s\n", point->busy * 100,
	    point->adherence * 100, point->valid ? "" : ": INVALID, the generator was too slow");
}

void
report_ramp_line(FILE *out, const struct point *point, bool kept)
{
	fprintf(out, "%10.0f asked, %10.0f replies/s, p50 %8.1f us, p99 %8.1f us, loss %.2e%s%s\n",
	    point->rate, point->throughput, (double)histogram_percentile(&point->due_ns, 50) / 1e3,
	    (double)histogram_percentile(&point->due_ns, 99) / 1e3, point->loss,
	    kept ? "" : "  over the limit", point->valid ? "" : "  INVALID: generator too slow");
	fflush(out);
}

/* ---- for programs ---- */

static json_t *
latency_json(const struct histogram *histogram)
{
	json_t *latency = json_object();

	json_object_set_new(latency, "count", json_integer((json_int_t)histogram->total));
	json_object_set_new(
	    latency, "min", json_real(histogram->total > 0 ? (double)histogram->min / 1e3 : 0.0));
	json_object_set_new(latency, "mean", json_real(histogram_mean(histogram) / 1e3));
	json_object_set_new(latency, "stddev", json_real(histogram_deviation(histogram) / 1e3));
	for (unsigned i = 0; i < PERCENTILES; i++)
		json_object_set_new(latency, percentiles[i].name,
		    json_real((double)histogram_percentile(histogram, percentiles[i].percentile) / 1e3));
	json_object_set_new(latency, "max", json_real((double)histogram->max / 1e3));
	return latency;
}

static json_t *
backend_json(const struct load_backend_stats *stats)
{
	return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I}", "tx_packets", (json_int_t)stats->tx_packets,
	    "rx_packets", (json_int_t)stats->rx_packets, "tx_dropped", (json_int_t)stats->tx_dropped,
	    "rx_dropped", (json_int_t)stats->rx_dropped, "retransmits", (json_int_t)stats->retransmits,
	    "connect_failures", (json_int_t)stats->connect_failures);
}

static json_t *
windows_json(const struct window_figures *windows)
{
	return json_pack("{s:I, s:I, s:f, s:f, s:f}", "len", (json_int_t)windows->len, "kept",
	    (json_int_t)windows->kept, "p50", windows->p50_us, "p99", windows->p99_us, "p99_9",
	    windows->p99_9_us);
}

static json_t *
point_json(const struct point *point)
{
	json_t *object = json_pack("{s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:b}", "rate", point->rate, "seconds",
	    point->seconds, "throughput", point->throughput, "keys_per_second",
	    (double)point->counts.keys / point->seconds, "loss", point->loss, "adherence", point->adherence,
	    "busy", point->busy, "valid", point->valid);
	json_t *counts = json_object();

	for (unsigned i = 0; i < COUNTERS; i++)
		json_object_set_new(counts, counters[i].name, json_integer((json_int_t)counter(point, i)));
	json_object_set_new(object, "counts", counts);
	json_object_set_new(object, "windows", windows_json(&point->windows));
	json_object_set_new(object, "stalls",
	    json_pack("{s:I, s:f, s:f, s:f, s:f}", "count", (json_int_t)point->counts.stalls, "us",
	        point->stalled_us, "longest_us", point->longest_stall_us, "other_programs_us",
	        (double)point->counts.waited_ns / 1e3, "adherence_without", point->adherence_without_stalls));
	json_object_set_new(object, "latency_us", latency_json(&point->due_ns));
	json_object_set_new(object, "latency_from_send_us", latency_json(&point->sent_ns));
	json_object_set_new(object, "backend", backend_json(&point->backend));
	return object;
}

static json_t *
run_json(const struct report *report)
{
	const struct run *run = report->run;
	const struct load_options *options = run->options;
	json_t *object = json_object(), *points = json_array();

	json_object_set_new(object, "target",
	    json_pack("{s:s, s:i, s:s, s:s, s:s, s:i, s:i}", "server", options->server, "port",
	        (int)options->port, "transport", options->transport == LOAD_UDP ? "udp" : "tcp", "protocol",
	        run->workload.codec->name, "backend", run->ops->name, "connections",
	        (int)options->connections, "threads", (int)options->threads));
	json_object_set_new(object, "connect",
	    json_pack("{s:f, s:f}", "seconds", run->connect_s, "per_second",
	        run->connect_s > 0 ? (double)options->connections / run->connect_s : 0.0));
	json_object_set_new(object, "preload",
	    json_pack("{s:f, s:I}", "seconds", run->preload_s, "errors", (json_int_t)run->preload_errors));
	for (unsigned i = 0; i < report->points_len; i++)
		json_array_append_new(points, point_json(&report->points[i]));
	if (report->points_len > 0)
		json_object_set_new(object, "result", point_json(&report->points[report->found]));
	if (options->ramp)
		json_object_set_new(object, "ramp",
		    json_pack("{s:b, s:f, s:f, s:f}", "found", report->ramp_found, "rate",
		        report->ramp_found ? report->points[report->found].rate : 0.0, "p99_us",
		        options->p99 * 1e6, "loss", options->loss));
	json_object_set_new(object, "points", points);
	return object;
}

static bool
cannot_write(const char *path, char error[OPTIONS_ERROR_BYTES])
{
	snprintf(error, OPTIONS_ERROR_BYTES, "cannot write %.255s: %s", path, strerror(errno));
	return false;
}

bool
report_json(const struct report *report, const char *path, char error[OPTIONS_ERROR_BYTES])
{
	json_t *object = run_json(report);
	FILE *out = strcmp(path, "-") == 0 ? stdout : fopen(path, "w");
	bool written = out != NULL && json_dumpf(object, out, JSON_INDENT(1) | JSON_REAL_PRECISION(12)) == 0;

	if (out != NULL) {
		fputc('\n', out);
		written &= out == stdout ? fflush(out) == 0 : fclose(out) == 0;
	}
	json_decref(object);
	return written || cannot_write(path, error);
}

bool
report_hgrm(const struct report *report, const char *path, char error[OPTIONS_ERROR_BYTES])
{
	const struct point *point = &report->points[report->found];
	FILE *out = fopen(path, "w");

	if (out == NULL)
		return cannot_write(path, error);
	histogram_write_hgrm(point->windows.len > 0 ? &point->kept_ns : &point->due_ns, out, 1e3);
	return fclose(out) == 0 || cannot_write(path, error);
}
