/*
 * See observe.h: sums over workers of what they publish.
 */
#include "dataplane/observe.h"

#include <errno.h>
#include <stdlib.h>
#include <rte_cycles.h>

#include "dataplane/capture.h"
#include "dataplane/internal.h"
#include "dataplane/rank.h"

/* Which workers are meant: one, or all for -1. */
struct range {
	unsigned first, end;
};

static struct range
workers_of(const struct dataplane *dataplane, int worker)
{
	if (worker < 0)
		return (struct range){0, dataplane->workers_len};
	return (struct range){(unsigned)worker, (unsigned)worker + 1};
}

/* As the workers' clocks have it. */
static uint32_t
unix_s(const struct dataplane *dataplane)
{
	const struct worker_shared *shared = &dataplane->shared;

	return shared->start_unix_s + (uint32_t)((rte_rdtsc() - shared->start_tsc) / shared->tsc_hz);
}

/* A figure may be a pass old, but is never torn. */
static uint64_t
relaxed(const uint64_t *value)
{
	return __atomic_load_n(value, __ATOMIC_RELAXED);
}

/* ---- latency ---------------------------------------------------------------------------------- */

static const char *const transports[LATENCY_TRANSPORTS] = {[LATENCY_TCP] = "tcp", [LATENCY_UDP] = "udp"};

static const char *const commands[LATENCY_COMMANDS] = {
#define LATENCY_COMMAND(id, name, counted, help) [LATENCY_##id] = name,
#include "dataplane/latency.def"
#undef LATENCY_COMMAND
};

_Static_assert(LATENCY_TRANSPORTS *LATENCY_COMMANDS <= OBSERVE_LATENCIES_MAX, "all histograms fit");
_Static_assert(STAGES <= OBSERVE_STAGES_MAX, "all stages fit");
_Static_assert(OBSERVE_KEY_MAX == HOTKEYS_KEY_MAX, "keys fit");

static void
latency_add(struct observe_latency *out, const struct latency *latency, unsigned transport, unsigned command)
{
	out->sum_ns += relaxed(&latency->sums_ns[transport][command]);
	for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
		uint64_t count = relaxed(&latency->counts[transport][command][i]);

		out->counts[i] += count;
		out->requests += count;
	}
}

unsigned
observe_latency(
    const struct dataplane *dataplane, int worker, struct observe_latency out[OBSERVE_LATENCIES_MAX])
{
	struct range range = workers_of(dataplane, worker);
	unsigned len = 0;

	for (unsigned transport = 0; transport < LATENCY_TRANSPORTS; transport++) {
		for (unsigned command = 0; command < LATENCY_COMMANDS; command++, len++) {
			memset(&out[len], 0, sizeof(out[len]));
			out[len].transport = transports[transport];
			out[len].command = commands[command];
			for (unsigned i = range.first; i < range.end; i++)
				latency_add(&out[len], &dataplane->workers[i].latency, transport, command);
		}
	}
	return len;
}

/* ---- stages ----------------------------------------------------------------------------------- */

static const struct {
	const char *name, *help;
} stage_rows[STAGES] = {
#define STAGE(id, name, help) [STAGE_##id] = {name, help},
#include "dataplane/stages.def"
#undef STAGE
};

void
observe_stages(const struct dataplane *dataplane, int worker, struct observe_stages *out)
{
	struct range range = workers_of(dataplane, worker);

	memset(out, 0, sizeof(*out));
	out->every = STAGES_EVERY;
	out->len = STAGES;
	for (unsigned i = 0; i < STAGES; i++) {
		out->stages[i].name = stage_rows[i].name;
		out->stages[i].help = stage_rows[i].help;
	}
	for (unsigned w = range.first; w < range.end; w++) {
		const struct stages *stages = &dataplane->workers[w].stages;

		out->passes += relaxed(&stages->passes);
		out->requests += relaxed(&stages->requests);
		for (unsigned i = 0; i < STAGES; i++)
			out->stages[i].cycles += relaxed(&stages->cycles[i]);
	}
}

/* ---- keys ------------------------------------------------------------------------------------- */

static void
key_copy(struct observe_key *out, const struct hotkeys_key *key)
{
	memset(out, 0, sizeof(*out));
	out->key_len = key->len;
	memcpy(out->key, key->bytes, key->len);
}

unsigned
observe_hot_keys(const struct dataplane *dataplane, struct observe_key *out, unsigned room, uint64_t *samples)
{
	const struct hotkeys *workers[DATAPLANE_WORKERS_MAX];
	struct hotkeys_hot hot[HOTKEYS_TOP];
	unsigned len;

	for (unsigned i = 0; i < dataplane->workers_len; i++)
		workers[i] = serve_keys(dataplane->workers[i].serve)->hot;
	len = hotkeys_merge(workers, dataplane->workers_len, hot, RTE_MIN(room, HOTKEYS_TOP), samples);
	for (unsigned i = 0; i < len; i++) {
		key_copy(&out[i], &hot[i].key);
		out[i].samples = hot[i].count;
	}
	return len;
}

unsigned
observe_big_keys(const struct dataplane *dataplane, struct observe_key *out, unsigned room)
{
	const struct bigkeys *workers[DATAPLANE_WORKERS_MAX];
	struct bigkeys_entry big[BIGKEYS_LEN];
	unsigned len;

	for (unsigned i = 0; i < dataplane->workers_len; i++)
		workers[i] = &serve_keys(dataplane->workers[i].serve)->big;
	len = bigkeys_merge(
	    workers, dataplane->workers_len, unix_s(dataplane), big, RTE_MIN(room, BIGKEYS_LEN));
	for (unsigned i = 0; i < len; i++) {
		key_copy(&out[i], &big[i].key);
		out[i].value_bytes = big[i].value_bytes;
		out[i].seen_s = big[i].seen_s;
	}
	return len;
}

struct walk {
	bool (*visit)(void *visit_ctx, const struct observe_item *item);
	void *visit_ctx;
};

static bool
walk_visit(void *ctx, const struct store_entry *entry)
{
	struct walk *walk = ctx;
	struct observe_item item = {.key = entry->key,
	    .key_len = entry->key_len,
	    .value_bytes = entry->view.value_bytes,
	    .total_bytes = entry->total_bytes,
	    .expires_s = entry->view.expires_s,
	    .last_access_s = entry->view.last_access_s,
	    .fetched = entry->view.item_flags & STORE_ITEM_FETCHED};

	return walk->visit(walk->visit_ctx, &item);
}

int
observe_items(struct dataplane *dataplane, struct store_cursor *cursor, unsigned budget,
    bool (*visit)(void *visit_ctx, const struct observe_item *item), void *visit_ctx)
{
	struct walk walk = {.visit = visit, .visit_ctx = visit_ctx};
	struct store_thread *thread;
	struct store_cursor at = *cursor;
	bool more;

	/* Caches of their own have one partition each: the cursor's names the cache. */
	at.partition_ = 0;
	if (dataplane->caches_len == 1)
		at.partition_ = cursor->partition_;
	unsigned cache = cursor->partition_ - at.partition_;
	thread = store_thread_register(dataplane->caches[cache].store, -1);
	if (!thread)
		return -EAGAIN;
	store_quiesce(thread, unix_s(dataplane));
	more = store_walk(thread, &at, budget, walk_visit, &walk);
	store_thread_unregister(thread);
	*cursor = at;
	cursor->partition_ += cache;
	return more || cursor->partition_ < dataplane->caches_len;
}

/* ---- slow passes ------------------------------------------------------------------------------ */

static struct observe_slow
slow_of(unsigned worker, const struct slow_entry *entry)
{
	struct observe_slow out = {.worker = worker,
	    .number = entry->number,
	    .unix_us = entry->unix_us,
	    .ns = entry->ns,
	    .requests = entry->requests,
	    .tcp_requests = entry->tcp_requests,
	    .udp_requests = entry->udp_requests,
	    .gets = entry->gets,
	    .sets = entry->sets,
	    .packets = entry->packets,
	    .bytes_read = entry->bytes_read,
	    .bytes_written = entry->bytes_written,
	    .interrupted = entry->interrupted,
	    .key_len = entry->value_bytes != 0 ? entry->key.len : 0,
	    .value_bytes = entry->value_bytes};

	memcpy(out.key, entry->key.bytes, out.key_len);
	return out;
}

static bool
is_later(const void *a, const void *b)
{
	return ((const struct observe_slow *)a)->unix_us > ((const struct observe_slow *)b)->unix_us;
}

unsigned
observe_slow(const struct dataplane *dataplane, struct observe_slow *out, unsigned room, uint64_t *slow)
{
	unsigned len = 0;

	*slow = 0;
	for (unsigned w = 0; w < dataplane->workers_len; w++) {
		const struct slow_log *log = &dataplane->workers[w].slow;
		struct slow_entry entries[SLOW_LEN];
		unsigned n = slow_read(log, entries, SLOW_LEN);

		*slow += atomic_load_explicit(&log->slow, memory_order_relaxed);
		for (unsigned i = 0; i < n; i++) {
			struct observe_slow one = slow_of(w, &entries[i]);

			len = rank_insert(out, len, room, &one, sizeof(one), is_later);
		}
	}
	return len;
}

/* ---- packets ---------------------------------------------------------------------------------- */

int
observe_capture_start(struct dataplane *dataplane, const char *filter, char error[DATAPLANE_ERROR_MAX])
{
	struct worker_shared *shared = &dataplane->shared;

	if (!shared->capture)
		shared->capture = capture_create(shared);
	if (!shared->capture) {
		snprintf(error, DATAPLANE_ERROR_MAX, "no memory to capture into");
		return -ENOMEM;
	}
	return capture_start(shared->capture, filter, error);
}

void
observe_capture_stop(struct dataplane *dataplane)
{
	if (dataplane->shared.capture)
		capture_stop(dataplane->shared.capture);
}

unsigned
observe_capture_read(struct dataplane *dataplane, struct observe_packet *out, unsigned room, uint64_t *lost)
{
	struct capture *capture = dataplane->shared.capture;

	*lost = capture ? capture_lost(capture) : 0;
	return capture ? capture_read(capture, out, room) : 0;
}

/* ---- settings --------------------------------------------------------------------------------- */

void
observe_configure(struct dataplane *dataplane, unsigned sample_every, uint32_t slow_us)
{
	uint64_t threshold_ns = slow_us != 0 ? (uint64_t)slow_us * 1000 : UINT64_MAX;

	atomic_store_explicit(&dataplane->shared.sample_every, sample_every, memory_order_relaxed);
	for (unsigned i = 0; i < dataplane->workers_len; i++)
		atomic_store_explicit(
		    &dataplane->workers[i].slow.threshold_ns, threshold_ns, memory_order_relaxed);
}
