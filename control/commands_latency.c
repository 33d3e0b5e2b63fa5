/*
 * latency show, histogram and reset; worker stages; slow show: what data plane's observe.h tells of time.
 *
 * Histograms only grow: a reset keeps what they were and subtracts it, and the figures of the last second come from the
 * two copies that commands_tick() keeps.
 */
#include "control/commands.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "control/observed.h"

#define SLOW_ROWS_MAX 64u

/* Adds "p50_ns" and so on. */
static void
set_percentiles(json_t *row, const uint64_t counts[HISTOGRAM_BUCKETS])
{
	static const struct {
		const char *name;
		double part;
	} percentiles[] = {
	    {"p50_ns", 0.5}, {"p90_ns", 0.9}, {"p99_ns", 0.99}, {"p999_ns", 0.999}, {"max_ns", 1}};
	for (unsigned i = 0; i < sizeof(percentiles) / sizeof(percentiles[0]); i++)
		json_object_set_new(row, percentiles[i].name,
		    json_integer((json_int_t)histogram_percentile_ns(counts, percentiles[i].part)));
}

static json_t *
latency_row(const struct observe_latency *latency)
{
	json_t *row = json_pack("{s:s, s:s, s:I}", "transport", latency->transport, "command",
	    latency->command, "requests", (json_int_t)latency->requests);
	json_object_set_new(row, "mean_ns",
	    json_integer((json_int_t)(latency->requests > 0 ? latency->sum_ns / latency->requests : 0)));
	set_percentiles(row, latency->counts);
	return row;
}

json_t *
commands_latency_show(struct commands *commands, struct commands_call *call)
{
	struct observed_latency now;
	json_t *rows = json_array();
	observed_latency_since_reset(&commands->observed, commands->dataplane, &now);
	for (unsigned i = 0; i < now.len; i++)
		if (now.rows[i].requests > 0)
			json_array_append_new(rows, latency_row(&now.rows[i]));
	return rows;
}

/* The sum of the rows that are meant. */
static bool
latency_sum(const struct observed_latency *from, const char *command, struct observe_latency *sum)
{
	bool known = command == NULL;
	memset(sum, 0, sizeof(*sum));
	for (unsigned i = 0; i < from->len; i++) {
		if (command != NULL && strcmp(from->rows[i].command, command) != 0)
			continue;
		known = true;
		sum->requests += from->rows[i].requests;
		for (unsigned bucket = 0; bucket < HISTOGRAM_BUCKETS; bucket++)
			sum->counts[bucket] += from->rows[i].counts[bucket];
	}
	return known;
}

json_t *
commands_latency_histogram(struct commands *commands, struct commands_call *call)
{
	struct observed_latency now;
	struct observe_latency sum;
	const char *command = usage_word(&call->words, 0);
	uint64_t below = 0;
	observed_latency_since_reset(&commands->observed, commands->dataplane, &now);
	if (!latency_sum(&now, command, &sum)) {
		snprintf(call->error, sizeof(call->error),
		    "no command \"%.40s\": wirectl latency show names them", command);
		return NULL;
	}
	json_t *rows = json_array();
	for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
		if (sum.counts[i] == 0)
			continue;
		below += sum.counts[i];
		json_array_append_new(rows,
		    json_pack("{s:I, s:I, s:I, s:f, s:f}", "from_ns", (json_int_t)histogram_floor_ns(i),
		        "to_ns", (json_int_t)histogram_floor_ns(i + 1), "requests", (json_int_t)sum.counts[i],
		        "share_pct", 100.0 * (double)sum.counts[i] / (double)sum.requests, "below_pct",
		        100.0 * (double)below / (double)sum.requests));
	}
	return rows;
}

json_t *
commands_latency_reset(struct commands *commands, struct commands_call *call)
{
	observed_latency_reset(&commands->observed, commands->dataplane);
	return json_pack("{s:s}", "latency", "counted from now on");
}

json_t *
commands_worker_stages(struct commands *commands, struct commands_call *call)
{
	struct observe_stages stages;
	uint64_t total = 0;
	json_t *rows = json_array();
	observe_stages(commands->dataplane, -1, &stages);
	for (unsigned i = 0; i < stages.len; i++)
		total += stages.stages[i].cycles;
	for (unsigned i = 0; i < stages.len; i++) {
		double cycles = (double)stages.stages[i].cycles;
		json_array_append_new(rows,
		    json_pack("{s:s, s:o, s:o, s:o, s:s}", "stage", stages.stages[i].name, "share_pct",
		        total > 0 ? json_real(100 * cycles / (double)total) : json_null(), "cycles_a_pass",
		        stages.passes > 0 ? json_real(cycles / (double)stages.passes) : json_null(),
		        "cycles_a_request",
		        stages.requests > 0 ? json_real(cycles / (double)stages.requests) : json_null(),
		        "help", stages.stages[i].help));
	}
	return rows;
}

/* ---- slow passes ------------------------------------------------------------------------------ */

/* "2026-11-22T17:03:19.123Z" */
static json_t *
time_text(uint64_t unix_us)
{
	time_t seconds = (time_t)(unix_us / 1000000);
	struct tm parts;
	char text[32];
	gmtime_r(&seconds, &parts);
	strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &parts);
	return json_sprintf("%s.%03uZ", text, (unsigned)(unix_us / 1000 % 1000));
}

static json_t *
slow_row(const struct observe_slow *slow)
{
	json_t *row = json_pack("{s:o, s:I, s:i, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}",
	    "time", time_text(slow->unix_us), "unix_us", (json_int_t)slow->unix_us, "worker",
	    (int)slow->worker, "number", (json_int_t)slow->number, "took_ns", (json_int_t)slow->ns,
	    "requests", (json_int_t)slow->requests, "tcp_requests", (json_int_t)slow->tcp_requests,
	    "udp_requests", (json_int_t)slow->udp_requests, "gets", (json_int_t)slow->gets, "sets",
	    (json_int_t)slow->sets, "packets", (json_int_t)slow->packets, "in_bytes",
	    (json_int_t)slow->bytes_read, "out_bytes", (json_int_t)slow->bytes_written, "interrupted",
	    (json_int_t)slow->interrupted);
	json_object_set_new(row, "largest_bytes",
	    slow->key_len > 0 ? json_integer((json_int_t)slow->value_bytes) : json_null());
	json_object_set_new(
	    row, "key", slow->key_len > 0 ? observed_key(slow->key, slow->key_len) : json_null());
	return row;
}

json_t *
commands_slow_show(struct commands *commands, struct commands_call *call)
{
	static struct observe_slow slow[SLOW_ROWS_MAX];
	uint64_t passes;
	json_t *rows = json_array();
	unsigned len = observe_slow(commands->dataplane, slow, SLOW_ROWS_MAX, &passes);
	for (unsigned i = 0; i < len; i++)
		json_array_append_new(rows, slow_row(&slow[i]));
	return rows;
}
