/*
 * See admin.h. Every figure stands once in a table below: its name on the wire, where it is, how it is
 * written. All figures of one answer are gathered first, so that they agree with each other as well as they
 * can.
 */
#include "dataplane/admin.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

#include "dataplane/internal.h"

#define VALUE_MAX 64

struct figures {
	struct figures_counters counters;
	struct dataplane_info process;
	struct store_info store;
	struct timeval user, system;
	uint64_t pid, uptime, time, pointer_bits, threads, connections_max, curr_connections, accepting, zero;
	uint64_t limit_bytes, hash_bytes, reserved_bytes, bytes, curr_items;
	uint64_t tcp_port, udp_port, verbosity, tcp_backlog, item_size_max;
	const char *version, *prefix_delimiter, *detail_enabled, *evictions, *cas_enabled, *flush_enabled,
	    *dump_enabled, *auth_enabled;
};

enum figure_type { FIGURE_U64, FIGURE_TIME, FIGURE_TEXT };

struct figure {
	const char *name;
	enum figure_type type;
	size_t offset;
};

#define U64(name, field)                                          \
	{                                                         \
		name, FIGURE_U64, offsetof(struct figures, field) \
	}
#define TIME(name, field)                                          \
	{                                                          \
		name, FIGURE_TIME, offsetof(struct figures, field) \
	}
#define TEXT(name, field)                                          \
	{                                                          \
		name, FIGURE_TEXT, offsetof(struct figures, field) \
	}
#define SERVE(field)       U64(#field, counters.serve.field)
#define STORE(name, field) U64(name, counters.store.field)

/* In memcached's order. */
static const struct figure general[] = {
    U64("pid", pid),
    U64("uptime", uptime),
    U64("time", time),
    TEXT("version", version),
    U64("pointer_size", pointer_bits),
    TIME("rusage_user", user),
    TIME("rusage_system", system),
    U64("max_connections", connections_max),
    U64("curr_connections", curr_connections),
    U64("total_connections", counters.worker.connections_accepted),
    U64("rejected_connections", counters.worker.connections_refused),
    SERVE(cmd_get),
    SERVE(cmd_set),
    SERVE(cmd_flush),
    SERVE(cmd_touch),
    SERVE(cmd_meta),
    SERVE(get_hits),
    SERVE(get_misses),
    STORE("get_expired", get_expired),
    STORE("get_flushed", get_flushed),
    SERVE(delete_misses),
    SERVE(delete_hits),
    SERVE(incr_misses),
    SERVE(incr_hits),
    SERVE(decr_misses),
    SERVE(decr_hits),
    SERVE(cas_misses),
    SERVE(cas_hits),
    SERVE(cas_badval),
    SERVE(touch_hits),
    SERVE(touch_misses),
    SERVE(store_too_large),
    SERVE(store_no_memory),
    SERVE(auth_cmds),
    SERVE(auth_errors),
    U64("bytes_read", counters.worker.bytes_read),
    U64("bytes_written", counters.worker.bytes_written),
    U64("limit_maxbytes", limit_bytes),
    U64("accepting_conns", accepting),
    U64("listen_disabled_num", zero),
    U64("time_in_listen_disabled_us", zero),
    U64("threads", threads),
    U64("hash_bytes", hash_bytes),
    U64("bytes", bytes),
    U64("curr_items", curr_items),
    STORE("total_items", total_items),
    STORE("expired_unfetched", expired_unfetched),
    STORE("evicted_unfetched", evicted_unfetched),
    STORE("evictions", evictions),
    STORE("reclaimed", reclaimed),
};

/* There are no slab classes; tools add up what is reserved from here. */
static const struct figure slabs[] = {
    U64("active_slabs", zero),
    U64("total_malloced", reserved_bytes),
};

static const struct figure settings[] = {
    U64("maxbytes", limit_bytes),
    U64("maxconns", connections_max),
    U64("tcpport", tcp_port),
    U64("udpport", udp_port),
    U64("verbosity", verbosity),
    TEXT("evictions", evictions),
    U64("num_threads", threads),
    TEXT("stat_key_prefix", prefix_delimiter),
    TEXT("detail_enabled", detail_enabled),
    TEXT("cas_enabled", cas_enabled),
    U64("tcp_backlog", tcp_backlog),
    TEXT("auth_enabled_sasl", auth_enabled),
    U64("item_size_max", item_size_max),
    TEXT("flush_enabled", flush_enabled),
    TEXT("dump_enabled", dump_enabled),
    TEXT("auth_enabled_ascii", auth_enabled),
};

static void
counters_subtract(void *from, const void *baseline, size_t bytes)
{
	uint64_t *value = from;
	const uint64_t *base = baseline;

	for (size_t i = 0; i < bytes / sizeof(*value); i++)
		value[i] -= base[i];
}

static const char prefix_delimiter[] = {PREFIX_DELIMITER, '\0'};

static void
figures_gather(struct cache *cache, struct figures *figures)
{
	struct dataplane *dataplane = cache->dataplane;
	/* The newest: callers are workers in a pass, and the control thread, which publishes them. */
	const struct dataplane_config *config =
	    atomic_load_explicit(&dataplane->shared.config, memory_order_acquire);
	struct figures_counters baseline;
	struct rusage usage;

	memset(figures, 0, sizeof(*figures));
	dataplane_info(dataplane, &figures->process);
	items_info(cache, &figures->store);
	/* The baseline first: counters only grow, so none is below it, whoever resets meanwhile. */
	rte_spinlock_lock(&cache->baseline_lock);
	baseline = cache->baseline;
	rte_spinlock_unlock(&cache->baseline_lock);
	figures_sum(cache, &figures->counters);
	counters_subtract(&figures->counters, &baseline, sizeof(figures->counters));
	getrusage(RUSAGE_SELF, &usage);
	figures->user = usage.ru_utime;
	figures->system = usage.ru_stime;
	figures->pid = (uint64_t)getpid();
	figures->uptime = figures->process.uptime_s;
	figures->time = figures->process.started_s + figures->process.uptime_s;
	figures->version = dataplane->shared.version;
	figures->pointer_bits = 8 * sizeof(void *);
	figures->threads =
	    cache->index < 0 ? dataplane->workers_len : dataplane->topology.caches[cache->index].workers_len;
	figures->connections_max = config->connections_max;
	figures->curr_connections = figures->process.curr_connections;
	figures->accepting = !config->draining && figures->curr_connections < config->connections_max;
	figures->limit_bytes = figures->store.limit_bytes;
	figures->hash_bytes = figures->store.index_bytes;
	figures->reserved_bytes =
	    figures->store.segments * figures->store.segment_bytes + figures->store.index_bytes;
	figures->bytes = figures->store.bytes;
	figures->curr_items = figures->store.items;
	figures->tcp_port = config->tcp_port;
	figures->udp_port = config->udp_port;
	figures->verbosity = atomic_load_explicit(&dataplane->verbosity, memory_order_relaxed);
	figures->tcp_backlog = config->syn_backlog_max;
	figures->item_size_max = config->store.item_max_bytes;
	figures->evictions = config->store.evict ? "on" : "off";
	figures->prefix_delimiter = prefix_delimiter;
	figures->detail_enabled = prefixes_enabled(dataplane->shared.prefixes) ? "yes" : "no";
	figures->cas_enabled = config->store.cas ? "yes" : "no";
	figures->dump_enabled = config->dump_enabled ? "yes" : "no";
	figures->flush_enabled = config->flush_enabled ? "yes" : "no";
	figures->auth_enabled = dataplane->shared.auth != NULL ? "yes" : "no";
}

static void
figures_emit(
    const struct figures *figures, const struct figure *table, size_t len, admin_emit_fn emit, void *emit_ctx)
{
	for (size_t i = 0; i < len; i++) {
		const void *field = (const char *)figures + table[i].offset;
		const struct timeval *time = field;
		char value[VALUE_MAX];

		switch (table[i].type) {
		case FIGURE_U64:
			snprintf(value, sizeof(value), "%" PRIu64, *(const uint64_t *)field);
			break;
		case FIGURE_TIME:
			snprintf(value, sizeof(value), "%ld.%06ld", (long)time->tv_sec, (long)time->tv_usec);
			break;
		case FIGURE_TEXT:
			snprintf(value, sizeof(value), "%s", *(const char *const *)field);
			break;
		}
		emit(emit_ctx, table[i].name, value);
	}
}

/* Where it listens: connections themselves are private to their workers. */
static void
conns_emit(const struct cache *cache, admin_emit_fn emit, void *emit_ctx)
{
	const struct dataplane *dataplane = cache->dataplane;

	for (unsigned i = 0; i < dataplane->ports_len; i++) {
		const struct dataplane_port_config *config = &dataplane->config.ports[i];
		char name[VALUE_MAX], value[VALUE_MAX + INET6_ADDRSTRLEN], text[INET6_ADDRSTRLEN];

		if (!dataplane->config.tcp_port ||
		    (cache->index >= 0 && dataplane->topology.port_cache[i] != (unsigned)cache->index))
			continue;
		snprintf(name, sizeof(name), "%u:addr", i);
		if (config->prefix4) {
			inet_ntop(AF_INET, config->addr4, text, sizeof(text));
			snprintf(value, sizeof(value), "tcp:%s:%u", text, dataplane->config.tcp_port);
			emit(emit_ctx, name, value);
		}
		if (config->prefix6) {
			inet_ntop(AF_INET6, config->addr6, text, sizeof(text));
			snprintf(value, sizeof(value), "tcp6:[%s]:%u", text, dataplane->config.tcp_port);
			emit(emit_ctx, name, value);
		}
		snprintf(name, sizeof(name), "%u:state", i);
		emit(emit_ctx, name, "conn_listening");
	}
}

/* Counters have one writer each and it is not us: remember what they were. */
static void
reset(struct cache *cache)
{
	struct figures_counters now;

	figures_sum(cache, &now);
	rte_spinlock_lock(&cache->baseline_lock);
	cache->baseline = now;
	rte_spinlock_unlock(&cache->baseline_lock);
	prefixes_reset(cache->dataplane->shared.prefixes);
}

static bool
group_is(const char *group, uint32_t group_len, const char *name)
{
	return group_len == strlen(name) && memcmp(group, name, group_len) == 0;
}

bool
admin_stats(void *ctx, const char *group, uint32_t group_len, admin_emit_fn emit, void *emit_ctx)
{
	struct cache *cache = ctx;
	struct figures figures;

	if (group_is(group, group_len, "reset")) {
		reset(cache);
		return true;
	}
	if (group_is(group, group_len, "conns")) {
		conns_emit(cache, emit, emit_ctx);
		return true;
	}
	if (group_len != 0 && !group_is(group, group_len, "settings") && !group_is(group, group_len, "slabs"))
		return false;
	figures_gather(cache, &figures);
	if (group_len == 0)
		figures_emit(&figures, general, RTE_DIM(general), emit, emit_ctx);
	else if (group_is(group, group_len, "slabs"))
		figures_emit(&figures, slabs, RTE_DIM(slabs), emit, emit_ctx);
	else
		figures_emit(&figures, settings, RTE_DIM(settings), emit, emit_ctx);
	return true;
}

bool
dataplane_stats(struct dataplane *dataplane, const char *group,
    void (*emit)(void *emit_ctx, const char *name, const char *value), void *emit_ctx)
{
	/* A single cache is the whole, its resets included. */
	struct cache *cache = dataplane->caches_len == 1 ? &dataplane->caches[0] : &dataplane->whole;

	return admin_stats(cache, group, (uint32_t)strlen(group), emit, emit_ctx);
}

void
admin_verbosity(void *ctx, uint32_t level)
{
	struct cache *cache = ctx;

	atomic_store_explicit(&cache->dataplane->verbosity, level, memory_order_relaxed);
}

void
admin_shutdown(void *ctx)
{
	kill(getpid(), SIGTERM);
}

int
admin_memory_limit(void *ctx, uint64_t bytes)
{
	return items_set_limit(ctx, bytes);
}
