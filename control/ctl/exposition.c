/*
 * See exposition.h.
 */
#include "control/ctl/exposition.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define NAME_BYTES 128

enum scope { MEMCACHED, RESERVED, COMMANDS, STORE, WORKER, PORT, NODE, SCOPES };

/* Where a scope's metrics come from, and what tells its rows apart. */
static const struct {
	const char *prefix, *member, *label;
} scopes[SCOPES] = {
    [MEMCACHED] = {"memcached_", "stats", NULL},
    [RESERVED] = {"memcached_", "store", NULL},
    [COMMANDS] = {"memcached_commands_total", "stats", NULL},
    [STORE] = {"wirecache_store_", "store", NULL},
    [WORKER] = {"wirecache_worker_", "workers", "worker"},
    [PORT] = {"wirecache_port_", "ports", "port"},
    [NODE] = {"wirecache_node_", "nodes", "node"},
};

static const struct metric {
	enum scope scope;
	const char *name, *type, *member, *help;
} metric_table[] = {
#define METRIC(scope, name, type, member, help) {scope, name, type, member, help},
#include "control/ctl/metrics.def"
#undef METRIC
};
#define METRICS_LEN (sizeof(metric_table) / sizeof(metric_table[0]))

/* The data plane's tables of counters: one metric a row. */
static const struct counters {
	const char *member, *prefix;
	bool by_worker;
} counter_tables[] = {
    {"worker_counters", "wirecache_worker_", true},
    {"request_counters", "wirecache_requests_", true},
    {"net_counters", "wirecache_net_", false},
    {"store_counters", "wirecache_store_", false},
};

#define DROP_PREFIX "drop_" /* of net_counters: these are one metric with a label */
#define DROPS_NAME  "wirecache_net_drops_total"
#define DROPS_HELP  "Packets and segments dropped, by reason"

#define LATENCY_NAME "wirecache_request_duration_seconds"
#define LATENCY_HELP                                                                                     \
	"From the clock of the pass that took a request's packets to its reply's way into the transmit " \
	"queue, by "                                                                                     \
	"transport and command"

struct exposition {
	FILE *out;
	bool openmetrics;
};

/* OpenMetrics names a counter without its _total; one that lacks it is of no known type there. */
static void
head(const struct exposition *to, const char *name, const char *type, const char *help)
{
	size_t len = strlen(name), suffix = strlen("_total");
	bool total = len > suffix && strcmp(name + len - suffix, "_total") == 0;
	if (to->openmetrics && strcmp(type, "counter") == 0) {
		if (total)
			len -= suffix;
		else
			type = "unknown";
	}
	fprintf(to->out, "# HELP %.*s %s\n# TYPE %.*s %s\n", (int)len, name, help, (int)len, name, type);
}

/* A label's value: backslash, quote and line end have to be escaped. */
static void
print_escaped(FILE *out, const char *text)
{
	for (; *text != '\0'; text++) {
		if (*text == '\\' || *text == '"')
			fputc('\\', out);
		if (*text == '\n')
			fputs("\\n", out);
		else
			fputc(*text, out);
	}
}

/* A number, a number in a string ("0.013000"), true, or a state, of which "up" is 1. */
static void
print_value(FILE *out, const json_t *value)
{
	const char *text = json_string_value(value);
	if (json_is_integer(value))
		fprintf(out, " %" JSON_INTEGER_FORMAT "\n", json_integer_value(value));
	else if (text != NULL && strspn(text, "0123456789.") > 0)
		fprintf(out, " %s\n", text);
	else if (text != NULL)
		fprintf(out, " %d\n", strcmp(text, "up") == 0);
	else
		fprintf(out, " %.15g\n", json_is_true(value) ? 1.0 : json_number_value(value));
}

static void
print_sample(FILE *out, const char *name, const char *label, const char *label_value, const json_t *value)
{
	fputs(name, out);
	if (label != NULL) {
		fprintf(out, "{%s=\"", label);
		print_escaped(out, label_value);
		fputs("\"}", out);
	}
	print_value(out, value);
}

/* ---- the tables ------------------------------------------------------------------------------- */

static void
print_rows(FILE *out, const char *name, const char *label, const json_t *rows, const char *member)
{
	size_t at;
	json_t *row;
	json_array_foreach ((json_t *)rows, at, row) {
		const json_t *which = json_object_get(row, label);
		char number[24];
		snprintf(number, sizeof(number), "%" JSON_INTEGER_FORMAT, json_integer_value(which));
		print_sample(out, name, label, json_is_string(which) ? json_string_value(which) : number,
		    json_object_get(row, member));
	}
}

static void
print_metric(const struct exposition *to, const json_t *metrics, const struct metric *metric)
{
	char name[NAME_BYTES];
	const json_t *from = json_object_get(metrics, scopes[metric->scope].member);
	if (metric->scope == COMMANDS) {
		fprintf(to->out, "memcached_commands_total{command=\"%s\",status=\"%s\"}", metric->name,
		    metric->type);
		print_value(to->out, json_object_get(from, metric->member));
		return;
	}
	snprintf(name, sizeof(name), "%s%s", scopes[metric->scope].prefix, metric->name);
	head(to, name, metric->type, metric->help);
	if (scopes[metric->scope].label != NULL)
		print_rows(to->out, name, scopes[metric->scope].label, from, metric->member);
	else
		print_sample(to->out, name, NULL, NULL, json_object_get(from, metric->member));
}

static void
print_counters(const struct exposition *to, const json_t *metrics, const struct counters *counters)
{
	size_t at, worker;
	json_t *row, *value;
	json_array_foreach (json_object_get(metrics, counters->member), at, row) {
		char name[NAME_BYTES], number[24];
		const char *counter = json_string_value(json_object_get(row, "name"));
		if (strncmp(counter, DROP_PREFIX, strlen(DROP_PREFIX)) == 0)
			continue;
		snprintf(name, sizeof(name), "%s%s_total", counters->prefix, counter);
		head(to, name, "counter", json_string_value(json_object_get(row, "help")));
		if (!counters->by_worker)
			print_sample(to->out, name, NULL, NULL, json_object_get(row, "value"));
		json_array_foreach (json_object_get(row, "values"), worker, value) {
			snprintf(number, sizeof(number), "%zu", worker);
			print_sample(to->out, name, "worker", number, value);
		}
	}
}

static void
print_drops(const struct exposition *to, const json_t *metrics)
{
	size_t at;
	json_t *row;
	head(to, DROPS_NAME, "counter", DROPS_HELP);
	json_array_foreach (json_object_get(metrics, "net_counters"), at, row) {
		const char *counter = json_string_value(json_object_get(row, "name"));
		if (strncmp(counter, DROP_PREFIX, strlen(DROP_PREFIX)) == 0)
			print_sample(to->out, DROPS_NAME, "reason", counter + strlen(DROP_PREFIX),
			    json_object_get(row, "value"));
	}
}

/* ---- histograms ------------------------------------------------------------------------------- */

static void
print_histogram(const struct exposition *to, const json_t *row)
{
	size_t at;
	json_t *bucket;
	char labels[NAME_BYTES];
	json_int_t requests = json_integer_value(json_object_get(row, "requests"));
	snprintf(labels, sizeof(labels), "transport=\"%s\",command=\"%s\"",
	    json_string_value(json_object_get(row, "transport")),
	    json_string_value(json_object_get(row, "command")));
	json_array_foreach (json_object_get(row, "buckets"), at, bucket)
		fprintf(to->out, LATENCY_NAME "_bucket{%s,le=\"%.9g\"} %" JSON_INTEGER_FORMAT "\n", labels,
		    json_number_value(json_array_get(bucket, 0)) / 1e9,
		    json_integer_value(json_array_get(bucket, 1)));
	fprintf(to->out, LATENCY_NAME "_bucket{%s,le=\"+Inf\"} %" JSON_INTEGER_FORMAT "\n", labels, requests);
	fprintf(to->out, LATENCY_NAME "_sum{%s} %.9f\n", labels,
	    json_number_value(json_object_get(row, "sum_ns")) / 1e9);
	fprintf(to->out, LATENCY_NAME "_count{%s} %" JSON_INTEGER_FORMAT "\n", labels, requests);
}

static void
print_latency(const struct exposition *to, const json_t *metrics)
{
	size_t at;
	json_t *row;
	head(to, LATENCY_NAME, "histogram", LATENCY_HELP);
	json_array_foreach (json_object_get(metrics, "latency"), at, row)
		print_histogram(to, row);
}

/* ---- the whole -------------------------------------------------------------------------------- */

static void
print_versions(const struct exposition *to, const json_t *metrics)
{
	json_t *one = json_integer(1);
	head(to, "memcached_version", "gauge", "The version that clients see");
	print_sample(to->out, "memcached_version", "version",
	    json_string_value(json_object_get(json_object_get(metrics, "stats"), "version")), one);
	head(to, "wirecache_build_info", "gauge", "The version of the daemon");
	print_sample(to->out, "wirecache_build_info", "version",
	    json_string_value(json_object_get(metrics, "version")), one);
	json_decref(one);
}

void
exposition_print(FILE *out, const json_t *metrics, bool openmetrics)
{
	const struct exposition to = {out, openmetrics};
	enum scope scope = SCOPES;
	head(&to, "memcached_up", "gauge", "1 if the daemon answers");
	fprintf(out, "memcached_up %d\n", metrics != NULL);
	if (metrics != NULL) {
		print_versions(&to, metrics);
		for (unsigned i = 0; i < METRICS_LEN; i++) {
			if (metric_table[i].scope == COMMANDS && scope != COMMANDS)
				head(&to, "memcached_commands_total", "counter",
				    "Requests by command and outcome");
			scope = metric_table[i].scope;
			print_metric(&to, metrics, &metric_table[i]);
		}
		for (unsigned i = 0; i < sizeof(counter_tables) / sizeof(counter_tables[0]); i++)
			print_counters(&to, metrics, &counter_tables[i]);
		print_drops(&to, metrics);
		print_latency(&to, metrics);
	}
	if (openmetrics)
		fputs("# EOF\n", out);
}
