/*
 * See screen.h.
 *
 *   a line on the daemon, one on requests, one on latency     always
 *   workers                                                   as many as fit
 *   ports                                                     always
 *   memory: the cache, NUMA nodes                             always
 *   hot keys                                                  as many as fit, five at least
 */
#include "control/ctl/screen.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "control/ctl/human.h"
#include "control/ctl/table.h"

#define FIXED_ROWS 12u /* what stands there whatever there is to show */
#define NODES_MAX  4u
#define KEYS_MIN   5u
#define BAR_CELLS  20u
#define LINE_MAX   512u
#define ERASE      "\033[K" /* what the last picture left behind this line's end */

struct screen {
	FILE *out;
	unsigned columns, rows_left;
	bool color;
};

/* A line of plain text, cut to the width; nothing below the last row. */
static void __attribute__((format(printf, 3, 4)))
line(struct screen *screen, const char *tone, const char *format, ...)
{
	char text[LINE_MAX];
	va_list args;
	if (screen->rows_left == 0)
		return;
	screen->rows_left--;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	bool toned = screen->color && *tone != '\0';
	fprintf(screen->out, "%s%.*s%s%s\n", toned ? tone : "", (int)screen->columns, text,
	    toned ? RENDER_PLAIN : "", screen->color ? ERASE : "");
}

static double
number(const json_t *object, const char *name)
{
	return json_number_value(json_object_get(object, name));
}

/* "-" for what is not known, as human_value() has it. */
static const char *
text_of(const json_t *object, const char *name, char out[HUMAN_TEXT_MAX])
{
	human_value(name, json_object_get(object, name), false, true, out);
	return out;
}

static double
sum(const json_t *rows, const char *member)
{
	double total = 0;
	size_t at;
	json_t *row;
	json_array_foreach ((json_t *)rows, at, row)
		total += number(row, member);
	return total;
}

/* Over all workers, each weighted by what it is a part of. */
static double
mean(const json_t *rows, const char *member, const char *weight)
{
	double total = 0, weights = sum(rows, weight);
	size_t at;
	json_t *row;
	json_array_foreach ((json_t *)rows, at, row)
		total += number(row, member) * number(row, weight);
	return weights > 0 ? total / weights : 0;
}

static const char *
count_text(double value, char out[HUMAN_TEXT_MAX])
{
	json_t *real = json_integer((json_int_t)value);
	human_value("requests_per_s", real, false, true, out);
	json_decref(real);
	return out;
}

static void
head(struct screen *screen, const json_t *metrics)
{
	char uptime[HUMAN_TEXT_MAX], requests[HUMAN_TEXT_MAX], packets[HUMAN_TEXT_MAX], p50[HUMAN_TEXT_MAX],
	    p90[HUMAN_TEXT_MAX], p99[HUMAN_TEXT_MAX], p999[HUMAN_TEXT_MAX], hits[32];
	const json_t *workers = json_object_get(metrics, "workers"),
	             *lately = json_object_get(metrics, "lately");
	line(screen, RENDER_BOLD, "wirecache %s   up %s   %zu worker%s   %.0f of %.0f connections",
	    json_string_value(json_object_get(metrics, "version")), text_of(metrics, "uptime_s", uptime),
	    json_array_size(workers), json_array_size(workers) == 1 ? "" : "s",
	    number(metrics, "connections"), number(metrics, "connections_max"));
	if (sum(workers, "requests_per_s") > 0)
		snprintf(hits, sizeof(hits), "%.1f %%", mean(workers, "hit_pct", "requests_per_s"));
	else
		snprintf(hits, sizeof(hits), "-");
	line(screen, "", "%s requests/s   %s packets/s   hit rate %s",
	    count_text(sum(workers, "requests_per_s"), requests),
	    count_text(sum(workers, "packets_per_s"), packets), hits);
	line(screen, "", "latency p50 %s   p90 %s   p99 %s   p99.9 %s", text_of(lately, "p50_ns", p50),
	    text_of(lately, "p90_ns", p90), text_of(lately, "p99_ns", p99), text_of(lately, "p999_ns", p999));
}

/* ---- workers ---------------------------------------------------------------------------------- */

static const char *
load_tone(const json_t *worker)
{
	if (!json_is_true(json_object_get(worker, "alive")))
		return RENDER_RED;
	return number(worker, "busy_pct") >= 90 ? RENDER_YELLOW : "";
}

static void
worker_line(struct screen *screen, const json_t *worker)
{
	char requests[HUMAN_TEXT_MAX], packets[HUMAN_TEXT_MAX], cycles[HUMAN_TEXT_MAX], burst[HUMAN_TEXT_MAX],
	    hits[HUMAN_TEXT_MAX], connections[HUMAN_TEXT_MAX];
	line(screen, load_tone(worker), "%6.0f %4.0f %4.0f %5.1f%% %9s %9s %8s %8s %8s %7s",
	    number(worker, "worker"), number(worker, "cpu"), number(worker, "node"),
	    number(worker, "busy_pct"), count_text(number(worker, "requests_per_s"), requests),
	    count_text(number(worker, "packets_per_s"), packets), text_of(worker, "cycles_a_request", cycles),
	    text_of(worker, "packets_a_burst", burst), text_of(worker, "hit_pct", hits),
	    text_of(worker, "connections", connections));
}

static void
workers(struct screen *screen, const json_t *rows, unsigned room)
{
	size_t at, shown = json_array_size(rows) <= room ? json_array_size(rows) : room - 1;
	line(screen, RENDER_BOLD, "%6s %4s %4s %6s %9s %9s %8s %8s %8s %7s", "WORKER", "CPU", "NODE", "BUSY",
	    "REQ/S", "PKT/S", "CYC/REQ", "PKT/RX", "HITS", "CONNS");
	for (at = 0; at < shown; at++)
		worker_line(screen, json_array_get(rows, at));
	if (shown < json_array_size(rows))
		line(screen, "", "       and %zu more: wirectl worker show", json_array_size(rows) - shown);
}

/* ---- ports ------------------------------------------------------------------------------------ */

static void
port_line(struct screen *screen, const json_t *port)
{
	char rx[HUMAN_TEXT_MAX], tx[HUMAN_TEXT_MAX], rx_bits[HUMAN_TEXT_MAX], tx_bits[HUMAN_TEXT_MAX],
	    lost[HUMAN_TEXT_MAX];
	const char *link = json_string_value(json_object_get(port, "link")),
	           *name = json_string_value(json_object_get(port, "port"));
	bool up = link != NULL && strcmp(link, "up") == 0;
	line(screen, up ? "" : RENDER_RED, "%-14s %6s %9s %9s %9s %9s %11s", name != NULL ? name : "-",
	    link != NULL ? link : "-", count_text(number(port, "rx_packets_per_s"), rx),
	    count_text(number(port, "tx_packets_per_s"), tx),
	    count_text(8 * number(port, "rx_bytes_per_s"), rx_bits),
	    count_text(8 * number(port, "tx_bytes_per_s"), tx_bits),
	    count_text(number(port, "rx_dropped_queue_full") + number(port, "rx_dropped_no_buffer"), lost));
}

static void
ports(struct screen *screen, const json_t *rows)
{
	size_t at;
	json_t *row;
	line(screen, RENDER_BOLD, "%-14s %6s %9s %9s %9s %9s %11s", "PORT", "LINK", "RX PKT/S", "TX PKT/S",
	    "RX BIT/S", "TX BIT/S", "LOST IN ALL");
	json_array_foreach ((json_t *)rows, at, row)
		port_line(screen, row);
}

/* ---- memory ----------------------------------------------------------------------------------- */

static void
fill_bar(double part, char out[BAR_CELLS + 1])
{
	unsigned full = part < 0 ? 0 : part > 1 ? BAR_CELLS : (unsigned)(part * BAR_CELLS + 0.5);
	memset(out, '.', BAR_CELLS);
	memset(out, '#', full);
	out[BAR_CELLS] = '\0';
}

/* "name [###...] 2.3 MiB of 64.0 MiB": the bar is what is used, the figure that of `shown`. */
static void
memory_line(struct screen *screen, const char *name, const json_t *from, double used, const char *shown,
    const char *of, const char *total)
{
	char bar[BAR_CELLS + 1], shown_text[HUMAN_TEXT_MAX], total_text[HUMAN_TEXT_MAX];
	double all = number(from, total);
	fill_bar(all > 0 ? used / all : 0, bar);
	line(screen, "", "%-18s [%s] %10s %s %s", name, bar, text_of(from, shown, shown_text), of,
	    text_of(from, total, total_text));
}

static void
memory(struct screen *screen, const json_t *metrics, unsigned nodes_len)
{
	const json_t *nodes = json_object_get(metrics, "nodes"), *store = json_object_get(metrics, "store");
	if (json_is_number(json_object_get(store, "local_pct")))
		line(screen, RENDER_BOLD, "MEMORY   %.1f %% of accesses on the worker's own node",
		    number(store, "local_pct"));
	else
		line(screen, RENDER_BOLD, "MEMORY");
	memory_line(screen, "cache", store, number(store, "used_bytes"), "used_bytes", "of", "limit_bytes");
	for (unsigned i = 0; i < nodes_len; i++) {
		const json_t *node = json_array_get(nodes, i);
		char name[32];
		bool huge = number(node, "huge_total_bytes") > 0;
		const char *left = huge ? "huge_free_bytes" : "free_bytes",
		           *all = huge ? "huge_total_bytes" : "total_bytes";
		snprintf(name, sizeof(name), "node %.0f%s", number(node, "node"), huge ? " hugepages" : "");
		memory_line(screen, name, node, number(node, all) - number(node, left), left, "free of", all);
	}
}

/* ---- keys ------------------------------------------------------------------------------------- */

static void
hot_keys(struct screen *screen, const json_t *rows, unsigned room)
{
	size_t len = json_array_size(rows);
	line(screen, RENDER_BOLD, "%6s  %s", "SHARE", "HOT KEYS");
	for (unsigned i = 0; i < len && i < room; i++) {
		const json_t *row = json_array_get(rows, i);
		line(screen, "", "%5.2f%%  %s", number(row, "share_pct"),
		    json_string_value(json_object_get(row, "key")));
	}
	if (len == 0)
		line(screen, "", "        none was sampled yet");
}

char *
screen_text(const json_t *metrics, unsigned columns, unsigned rows, bool color)
{
	char *text = NULL;
	size_t bytes;
	/* The last row stays empty: no scrolling. */
	struct screen screen = {
	    .out = open_memstream(&text, &bytes), .columns = columns, .rows_left = rows - 1, .color = color};
	const json_t *nodes = json_object_get(metrics, "nodes"),
	             *worker_rows = json_object_get(metrics, "workers");
	unsigned nodes_len =
	    json_array_size(nodes) < NODES_MAX ? (unsigned)json_array_size(nodes) : NODES_MAX;
	const json_t *port_rows = json_object_get(metrics, "ports");
	unsigned fixed = 1 + FIXED_ROWS + nodes_len + (unsigned)json_array_size(port_rows);
	unsigned room = rows > fixed ? rows - fixed : 1;
	unsigned workers_room = room > KEYS_MIN ? room - KEYS_MIN : 1;
	unsigned workers_len = (unsigned)json_array_size(worker_rows);
	if (screen.out == NULL)
		return NULL;
	workers_len = workers_len < workers_room ? workers_len : workers_room;
	head(&screen, metrics);
	line(&screen, "", "%s", "");
	workers(&screen, worker_rows, workers_len);
	line(&screen, "", "%s", "");
	ports(&screen, port_rows);
	line(&screen, "", "%s", "");
	memory(&screen, metrics, nodes_len);
	line(&screen, "", "%s", "");
	hot_keys(&screen, json_object_get(metrics, "hot_keys"), room > workers_len ? room - workers_len : 0);
	fclose(screen.out);
	return text;
}
