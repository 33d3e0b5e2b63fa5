/*
 * A data plane that consists of what a test says: one struct of facts, no DPDK. For one program's tests of
 * control/; it defines the functions of dataplane.h that the control plane calls.
 */
#ifndef WIRECACHE_TESTS_FAKE_DATAPLANE_H
#define WIRECACHE_TESTS_FAKE_DATAPLANE_H

#include <stdio.h>
#include <string.h>

#include "dataplane/dataplane.h"
#include "dataplane/observe.h"
#include "store/store.h"

struct dataplane {
	struct dataplane_info info;
	struct dataplane_worker_info workers[4];
	struct dataplane_port_info ports[2];
	struct store_info store;
	unsigned caches_len;
	struct dataplane_note note;
	unsigned notes_len;
	struct observe_latency latencies[2];
	struct observe_key keys[2]; /* hot and big at once */
	unsigned keys_len;
	uint64_t samples;
	struct observe_slow slow;
	unsigned slow_len;
	unsigned items; /* for a dump: "item-0" and so on */
	bool capturing;
	unsigned sample_every;
	uint32_t slow_us;
	struct dataplane_config configured; /* by the last dataplane_configure() */
	unsigned configures;
	const char *refusal; /* what it answers, if anything */
	uint64_t scale;      /* every counter is its place in the group times this */
};

static struct dataplane fake;

/* Two healthy workers, one port. */
static inline void
fake_reset(void)
{
	memset(&fake, 0, sizeof(fake));
	fake.scale = 10;
	fake.info = (struct dataplane_info){.workers = 2,
	    .ports = 1,
	    .uptime_s = 11520,
	    .tsc_hz = 2000000000,
	    .idle = "adaptive",
	    .connections_max = 100,
	    .curr_connections = 7,
	    .dpdk_version = "DPDK 22.11"};
	for (unsigned i = 0; i < 4; i++)
		fake.workers[i] = (struct dataplane_worker_info){.index = i,
		    .cpu = (int)i + 2,
		    .alive = true,
		    .cycles_total = 2000,
		    .cycles_busy = 500,
		    .connections = 3,
		    .mbufs_free = 4000,
		    .mbufs_total = 4096};
	fake.ports[0] = (struct dataplane_port_info){.name = "lan0",
	    .device = "net_tap0",
	    .driver = "net_tap",
	    .mac = {2, 0, 0, 0, 0, 1},
	    .link_up = true,
	    .node = -1,
	    .queues = 2,
	    .mtu = 1500,
	    .rss = "by the driver",
	    .steering = "off",
	    .offloads = {"checksum", "tso"},
	    .rx_packets = 1234567};
	fake.store = (struct store_info){.limit_bytes = 64 << 20,
	    .segments = 1000,
	    .segments_free = 600,
	    .items = 12,
	    .bytes = 1536,
	    .partitions = 1};
	fake.caches_len = 1;
}

void
dataplane_config_default(struct dataplane_config *config)
{
	memset(config, 0, sizeof(*config));
}

unsigned
dataplane_counters(const struct dataplane *dataplane, enum dataplane_group group, int worker,
    struct dataplane_counter *out, unsigned room)
{
	static const char *const names[DATAPLANE_GROUPS][4] = {{"loops", "rx_bursts", "rx_packets"},
	    {"rx_packets", "drop_none", "drop_checksum"}, {"cmd_get", "cmd_set", "get_hits", "get_misses"}};
	unsigned len = 0;
	for (; len < 4 && names[group][len] != NULL; len++) {
		uint64_t value = (len + 1) * dataplane->scale * (worker < 0 ? dataplane->info.workers : 1);
		if (len < room)
			out[len] = (struct dataplane_counter){.name = names[group][len],
			    .help = "what it counts",
			    .value = strcmp(names[group][len], "drop_none") == 0 ? 0 : value};
	}
	return len;
}

void
dataplane_worker_info(struct dataplane *dataplane, unsigned worker, struct dataplane_worker_info *info)
{
	*info = dataplane->workers[worker];
}

int
dataplane_configure(
    struct dataplane *dataplane, const struct dataplane_config *config, char error[DATAPLANE_ERROR_MAX])
{
	dataplane->configures++;
	if (dataplane->refusal != NULL) {
		snprintf(error, DATAPLANE_ERROR_MAX, "%s", dataplane->refusal);
		return -1;
	}
	dataplane->configured = *config;
	return 0;
}

void
dataplane_tick(struct dataplane *dataplane)
{
}

int
dataplane_port_xstats(struct dataplane *dataplane, unsigned port, struct dataplane_xstat *out, unsigned room)
{
	out[0] = (struct dataplane_xstat){.name = "rx_good_packets", .value = 7};
	return 1;
}

void
dataplane_port_info(struct dataplane *dataplane, unsigned port, struct dataplane_port_info *info)
{
	*info = dataplane->ports[port];
}

void
dataplane_info(struct dataplane *dataplane, struct dataplane_info *info)
{
	*info = dataplane->info;
}

void
dataplane_store_info(const struct dataplane *dataplane, struct store_info *info)
{
	*info = dataplane->store;
}

void
dataplane_store_counters(const struct dataplane *dataplane, struct store_counters *sum)
{
	memset(sum, 0, sizeof(*sum));
}

void
dataplane_store_bands(const struct dataplane *dataplane, struct store_band_info bands[STORE_BANDS])
{
	memset(bands, 0, STORE_BANDS * sizeof(*bands));
	bands[STORE_BAND_hour] = (struct store_band_info){"hour", "within an hour", 3, 3000};
	bands[STORE_BAND_open] = (struct store_band_info){"open", "being filled", 1, 0};
}

unsigned
dataplane_cache_info(const struct dataplane *dataplane, unsigned cache, struct dataplane_cache_info *info)
{
	if (cache >= dataplane->caches_len)
		return dataplane->caches_len;
	*info = (struct dataplane_cache_info){.nodes = {(int)cache},
	    .nodes_len = dataplane->caches_len > 1,
	    .workers = 1,
	    .ports = 1,
	    .store = dataplane->store};
	return dataplane->caches_len;
}

bool
dataplane_stats(struct dataplane *dataplane, const char *group,
    void (*emit)(void *emit_ctx, const char *name, const char *value), void *emit_ctx)
{
	if (*group != '\0')
		return false;
	emit(emit_ctx, "pid", "42");
	emit(emit_ctx, "version", "1.6.18");
	emit(emit_ctx, "rusage_user", "0.013000");
	emit(emit_ctx, "bytes", "123456789012");
	return true;
}

unsigned
dataplane_notes(struct dataplane *dataplane, struct dataplane_note *out, unsigned room)
{
	if (dataplane->notes_len > 0 && room > 0)
		out[0] = dataplane->note;
	return dataplane->notes_len;
}

/* ---- observe.h -------------------------------------------------------------------------------- */

unsigned
observe_latency(
    const struct dataplane *dataplane, int worker, struct observe_latency out[OBSERVE_LATENCIES_MAX])
{
	memcpy(out, dataplane->latencies, sizeof(dataplane->latencies));
	out[0].transport = out[1].transport = "tcp";
	out[0].command = "get";
	out[1].command = "set";
	return 2;
}

void
observe_stages(const struct dataplane *dataplane, int worker, struct observe_stages *out)
{
	*out = (struct observe_stages){.every = 256,
	    .len = 2,
	    .passes = 10,
	    .requests = 20,
	    .stages = {{"poll", "asks", 300}, {"serve", "answers", 100}}};
}

unsigned
observe_hot_keys(const struct dataplane *dataplane, struct observe_key *out, unsigned room, uint64_t *samples)
{
	unsigned len = dataplane->keys_len < room ? dataplane->keys_len : room;
	memcpy(out, dataplane->keys, len * sizeof(*out));
	*samples = dataplane->samples;
	return len;
}

unsigned
observe_big_keys(const struct dataplane *dataplane, struct observe_key *out, unsigned room)
{
	uint64_t samples;
	return observe_hot_keys(dataplane, out, room, &samples);
}

int
observe_items(struct dataplane *dataplane, struct store_cursor *cursor, unsigned budget,
    bool (*visit)(void *visit_ctx, const struct observe_item *item), void *visit_ctx)
{
	for (; cursor->line_ < dataplane->items; cursor->line_++) {
		char key[32];
		struct observe_item item = {
		    .key = (const uint8_t *)key, .value_bytes = 5, .expires_s = STORE_EXPTIME_NEVER};
		item.key_len = (uint32_t)snprintf(key, sizeof(key), "item-%u", cursor->line_);
		if (!visit(visit_ctx, &item))
			return 1;
	}
	return 0;
}

unsigned
observe_slow(const struct dataplane *dataplane, struct observe_slow *out, unsigned room, uint64_t *slow)
{
	*slow = dataplane->slow_len;
	if (dataplane->slow_len > 0 && room > 0)
		out[0] = dataplane->slow;
	return dataplane->slow_len;
}

int
observe_capture_start(struct dataplane *dataplane, const char *filter, char error[DATAPLANE_ERROR_MAX])
{
	if (strcmp(filter, "nonsense") == 0) {
		snprintf(error, DATAPLANE_ERROR_MAX, "the filter is damaged");
		return -1;
	}
	dataplane->capturing = true;
	return 0;
}

void
observe_capture_stop(struct dataplane *dataplane)
{
	dataplane->capturing = false;
}

unsigned
observe_capture_read(struct dataplane *dataplane, struct observe_packet *out, unsigned room, uint64_t *lost)
{
	*lost = 3;
	if (!dataplane->capturing)
		return 0;
	out[0] = (struct observe_packet){.unix_ns = 5, .wire_bytes = 60, .len = 4, .bytes = {1, 2, 3, 255}};
	return 1;
}

void
observe_configure(struct dataplane *dataplane, unsigned sample_every, uint32_t slow_us)
{
	dataplane->sample_every = sample_every;
	dataplane->slow_us = slow_us;
}

#endif
