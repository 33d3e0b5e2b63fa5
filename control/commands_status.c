/*
 * `status`: one health word, what was looked at to say so, and what to do about each finding.
 *
 * healthy: all checks passed. draining: no new clients are served, as the operator wished. degraded: clients are served, but something is missing or nearly exhausted.
 * failing: some or all clients are not served.
 */
#include "control/commands.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include "control/version.h"
#include "control/wire.h"
#include "store/store.h"

#define NOTES_MAX           16u
#define MBUFS_FREE_PCT_MIN  5u  /* below it bursts begin to be lost */
#define CONNECTIONS_PCT_MAX 95u /* above it new clients are soon refused */

enum health { HEALTHY, DRAINING, DEGRADED, FAILING };

static const char *const health_words[] = {"healthy", "draining", "degraded", "failing"};
static const char *const state_words[] = {"ok", "draining", "degraded", "failing"};

struct report {
	enum health health;
	json_t *checks;   /* what was looked at */
	json_t *problems; /* what is wrong and what to do, a sentence each */
};

static void __attribute__((format(printf, 4, 5)))
add_check(struct report *report, const char *name, enum health state, const char *format, ...)
{
	char detail[256];
	va_list args;
	va_start(args, format);
	vsnprintf(detail, sizeof(detail), format, args);
	va_end(args);
	json_array_append_new(report->checks,
	    json_pack("{s:s, s:s, s:s}", "check", name, "state", state_words[state], "detail", detail));
	if (state > report->health)
		report->health = state;
}

static void __attribute__((format(printf, 2, 3))) add_problem(struct report *report, const char *format, ...)
{
	char text[512];
	va_list args;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	json_array_append_new(report->problems, json_string(text));
}

static void
check_workers(struct report *report, struct dataplane *dataplane, const struct dataplane_info *info)
{
	unsigned alive = 0;
	for (unsigned i = 0; i < info->workers; i++) {
		struct dataplane_worker_info worker;
		dataplane_worker_info(dataplane, i, &worker);
		alive += worker.alive;
		if (!worker.alive)
			add_problem(report,
			    "worker %u on cpu %d makes no progress: something else may hold its core (see "
			    "top -H), else "
			    "restart wirecached",
			    i, worker.cpu);
	}
	add_check(report, "workers", alive == info->workers ? HEALTHY : FAILING, "%u of %u make progress",
	    alive, info->workers);
}

static void
check_ports(struct report *report, struct dataplane *dataplane, const struct dataplane_info *info)
{
	unsigned up = 0;
	for (unsigned i = 0; i < info->ports; i++) {
		struct dataplane_port_info port;
		dataplane_port_info(dataplane, i, &port);
		up += port.link_up;
		if (!port.link_up)
			add_problem(report,
			    "port %s has no link: look at the cable, the switch port or the peer interface",
			    port.name);
	}
	add_check(report, "ports",
	    up == info->ports ? HEALTHY
	    : up > 0          ? DEGRADED
	                      : FAILING,
	    "%u of %u have a link", up, info->ports);
}

/* The worker with the least packet buffers left. */
static void
check_packet_memory(struct report *report, struct dataplane *dataplane, const struct dataplane_info *info)
{
	uint64_t least_pct = 100;
	for (unsigned i = 0; i < info->workers; i++) {
		struct dataplane_worker_info worker;
		dataplane_worker_info(dataplane, i, &worker);
		uint64_t pct = worker.mbufs_total > 0 ? 100ull * worker.mbufs_free / worker.mbufs_total : 100;
		if (pct < least_pct)
			least_pct = pct;
		if (pct < MBUFS_FREE_PCT_MIN)
			add_problem(report, "worker %u has %u of %u packet buffers left: raise workers.mbufs",
			    i, worker.mbufs_free, worker.mbufs_total);
	}
	add_check(report, "packet memory", least_pct < MBUFS_FREE_PCT_MIN ? DEGRADED : HEALTHY,
	    "at least %" PRIu64 " %% of buffers free, on %s", least_pct,
	    info->eal_hugepages ? "hugepages" : "normal pages");
}

static void
check_item_memory(struct report *report, const struct store_info *store)
{
	add_check(report, "item memory", HEALTHY, "%" PRIu64 " of %" PRIu64 " segments free, on %s",
	    store->segments_free, store->segments, store->hugepages ? "hugepages" : "normal pages");
}

/* A cache that starts empty is slow at first, not unhealthy: said, with the reason. */
static void
check_restart(struct report *report, const struct store_info *store)
{
	if (store->start != STORE_START_PLAIN)
		add_check(report, "warm restart", HEALTHY, "%s: %s",
		    store->start == STORE_START_WARM ? "warm" : "empty", store->start_why);
}

static void
check_connections(struct report *report, const struct dataplane_info *info)
{
	bool near = info->curr_connections * 100 >= (uint64_t)info->connections_max * CONNECTIONS_PCT_MAX;
	add_check(report, "connections", near ? DEGRADED : HEALTHY,
	    "%" PRIu64 " of %u, %" PRIu64 " refused so far", info->curr_connections, info->connections_max,
	    info->rejected_connections);
	if (near)
		add_problem(report, "new clients will be refused: raise tcp.connections_max (now %u)",
		    info->connections_max);
}

static void
add_notes(struct dataplane *dataplane, json_t *notes)
{
	struct dataplane_note found[NOTES_MAX];
	unsigned len = dataplane_notes(dataplane, found, NOTES_MAX);
	for (unsigned i = 0; i < len; i++)
		json_array_append_new(notes, json_string(found[i].text));
}

static void
check_service(
    struct report *report, const struct commands *commands, const struct dataplane_info *info, json_t *notes)
{
	unsigned left_s = apply_confirm_left_s(&commands->apply);
	add_check(report, "service", info->draining ? DRAINING : HEALTHY, "%s",
	    info->draining ? "takes no new connections" : "takes new connections");
	if (info->draining)
		add_problem(report,
		    "draining, %" PRIu64 " connections are left: wirectl drain stop serves again as before",
		    info->curr_connections);
	if (left_s > 0)
		json_array_append_new(
		    notes, json_sprintf("the last change comes back in %u s: wirectl config confirm keeps it",
		               left_s));
}

static json_t *
ports_json(const struct commands *commands, const struct dataplane_info *info)
{
	json_t *ports = json_array();
	for (unsigned i = 0; i < info->ports; i++) {
		struct dataplane_port_info port;
		dataplane_port_info(commands->dataplane, i, &port);
		json_array_append_new(ports, json_pack("{s:s, s:s, s:o, s:i, s:i}", "port", port.name, "link",
		                                 port.link_up ? "up" : "down", "addresses",
		                                 commands_port_addresses(commands->config, i), "tcp",
		                                 (int)commands->config->dataplane.tcp_port, "udp",
		                                 (int)commands->config->dataplane.udp_port));
	}
	return ports;
}

json_t *
commands_status(struct commands *commands, struct commands_call *call)
{
	struct dataplane_info info;
	struct store_info store;
	struct report report = {.checks = json_array(), .problems = json_array()};
	json_t *notes = json_array();
	dataplane_info(commands->dataplane, &info);
	dataplane_store_info(commands->dataplane, &store);
	check_workers(&report, commands->dataplane, &info);
	check_ports(&report, commands->dataplane, &info);
	check_packet_memory(&report, commands->dataplane, &info);
	check_item_memory(&report, &store);
	check_restart(&report, &store);
	check_connections(&report, &info);
	check_service(&report, commands, &info, notes);
	add_notes(commands->dataplane, notes);
	call->exit_code = report.health == HEALTHY ? WIRE_OK : WIRE_UNHEALTHY;
	return json_pack("{s:s, s:o, s:s, s:i, s:i, s:i, s:s, s:I, s:I, s:I, s:I, s:i, s:o, s:o, s:o}",
	    "health", health_words[report.health], "problems", report.problems, "version", wirecache_version,
	    "pid", (int)getpid(), "uptime_s", (int)info.uptime_s, "workers", (int)info.workers, "idle",
	    info.idle, "items", (json_int_t)store.items, "used_bytes", (json_int_t)store.bytes, "limit_bytes",
	    (json_int_t)store.limit_bytes, "connections", (json_int_t)info.curr_connections,
	    "connections_max", (int)info.connections_max, "checks", report.checks, "ports",
	    ports_json(commands, &info), "notes", notes);
}
