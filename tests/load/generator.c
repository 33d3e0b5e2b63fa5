/*
 * A generator thread: sets up its memory, and carries out orders pass by pass. See generator.h.
 */
#include "tests/load/generator.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/load/memory.h"
#include "tests/load/thread.h"

#define FLIGHTS_AIM       (1u << 18) /* 8 MiB; at 8 M/s what 32 ms send */
#define WINDOW_MIN        4u
#define WINDOW_TCP_MAX    256u   /* unless pipeline asks for more */
#define WINDOW_UDP_MAX    32768u /* ids have 16 bits, two windows apart tells old from new */
#define PRELOAD_PIPELINE  16u
#define PRELOAD_MESSAGES  128u /* outstanding over UDP: what a socket's buffer holds */
#define PRELOAD_CONNS_MAX 1024u
#define LARGE_VALUE       4096u
#define STALLED_S         10.0 /* without a reply or connection: an order is given up */
#define CONNECT_TRIES     3u   /* failures with no connection up: nobody is there */
#define RARELY            64u  /* passes between what needs not be done in each */

/* ---- a pass ---- */

/* Once in a while: numbers for the progress line, the drift of popularity, lost requests, connections that ended. */
static void
now_and_then(struct generator *g)
{
	atomic_store_explicit(&g->published.sent, g->counts.sent, memory_order_relaxed);
	atomic_store_explicit(&g->published.replies, g->counts.replies, memory_order_relaxed);
	atomic_store_explicit(&g->published.lost, g->counts.lost, memory_order_relaxed);
	atomic_store_explicit(&g->published.up, g->conns_up, memory_order_relaxed);
	if (g->workload->udp)
		generator_sweep(g);
	if (g->conns_up + g->dialling < g->conns_len)
		generator_dial(g);
	if (g->options->shift > 0 && g->plan.kind == PLAN_POINT && g->now_tsc > g->plan.start_tsc) {
		double moved =
		    (double)(g->now_tsc - g->plan.start_tsc) / g->clock.tsc_hz * (double)g->options->shift;
		g->shift = (uint32_t)((uint64_t)moved % g->workload->items.keys);
	}
}

/* What was sent leaves, what came is read. Returns the pieces that came. */
static uint32_t
exchange(struct generator *g)
{
	g->ops->flush(g->backend);
	return g->ops->poll(g->backend, g->now_tsc);
}

/* Polls until the plan's begin; a thread may have got its order before the others. */
static void
wait_for_start(struct generator *g)
{
	do {
		g->now_tsc = load_now_tsc();
		exchange(g);
	} while (g->now_tsc < g->plan.start_tsc);
}

static bool
stalled(const struct generator *g)
{
	return g->now_tsc - g->progress_tsc > load_seconds_to_tsc(&g->clock, STALLED_S) &&
	       g->now_tsc > g->progress_tsc;
}

/* All connections with room, in order. */
static void
fill_queue(struct generator *g, uint32_t conns)
{
	g->queue_len = 0;
	for (uint32_t conn = 0; conn < g->conns_len; conn++)
		g->conns[conn].queued = false;
	for (uint32_t conn = 0; conn < conns; conn++)
		if (generator_has_room(g, conn))
			generator_queue(g, conn);
}

/* ---- orders ---- */

static void
run_connect(struct generator *g)
{
	uint64_t begin_tsc = load_now_tsc();

	g->dial_failures = 0;
	g->progress_tsc = begin_tsc;
	while (g->conns_up < g->conns_len) {
		g->now_tsc = load_now_tsc();
		generator_dial(g);
		exchange(g);
		now_and_then(g);
		if (stalled(g) || (g->conns_up == 0 && g->dial_failures >= CONNECT_TRIES))
			break;
	}
	g->connect_s = (double)(load_now_tsc() - begin_tsc) / g->clock.tsc_hz;
}

static bool
preload_done(const struct generator *g)
{
	return g->again_len == 0 && g->preload_next >= g->workload->items.keys && g->outstanding == 0 &&
	       g->streams_len == 0;
}

static void
run_preload(struct generator *g)
{
	bool large = g->workload->items.value_sizes.max > LARGE_VALUE;
	uint32_t conns = g->conns_len < PRELOAD_CONNS_MAX ? g->conns_len : PRELOAD_CONNS_MAX;

	g->limit = large ? 1 : g->window < PRELOAD_PIPELINE ? g->window : PRELOAD_PIPELINE;
	if (g->workload->udp) {
		g->limit = g->limit < PRELOAD_MESSAGES / conns ? g->limit : PRELOAD_MESSAGES / conns;
		g->limit = g->limit == 0 ? 1 : g->limit;
		conns = conns < PRELOAD_MESSAGES ? conns : PRELOAD_MESSAGES;
	}
	g->per_segment = g->limit;
	g->preload_next = g->thread;
	g->preloading = true;
	fill_queue(g, conns);
	g->progress_tsc = load_now_tsc();
	for (uint32_t pass = 0; !preload_done(g); pass++) {
		g->now_tsc = load_now_tsc();
		generator_send_streams(g);
		generator_send_closed(g);
		exchange(g);
		if (pass % RARELY == 0) {
			now_and_then(g);
			if (stalled(g))
				break;
		}
	}
	g->preloading = false;
}

/* Was something due before the end that has not left yet? */
static bool
behind(const struct generator *g)
{
	return g->plan.rate > 0 && schedule_next_tsc(&g->cursor) < g->plan.end_tsc;
}

/*
 * After the end: what was due still leaves, and what is under way may come, for as long as the timeout; then it is lost.
 */
static void
drain(struct generator *g)
{
	uint64_t until_tsc = g->plan.end_tsc + g->timeout_tsc;

	for (uint32_t pass = 0; (g->outstanding > 0 || behind(g)) && g->now_tsc < until_tsc; pass++) {
		g->now_tsc = load_now_tsc();
		generator_send_streams(g);
		if (behind(g))
			generator_send_open(g);
		exchange(g);
		if (pass % RARELY == 0)
			now_and_then(g);
	}
	for (uint32_t conn = 0; g->outstanding > 0 && conn < g->conns_len; conn++)
		generator_give_up(g, conn, false);
}

/* What was due, but had not left at the end: it has waited so long at least. */
static void
count_unsent(struct generator *g)
{
	for (; behind(g); schedule_advance(&g->cursor)) {
		uint64_t due_tsc = schedule_next_tsc(&g->cursor);
		if (due_tsc < g->plan.measure_tsc)
			continue;
		g->counts.scheduled++;
		g->counts.unsent++;
		uint64_t waited_ns = load_tsc_to_ns(&g->clock, g->now_tsc - due_tsc);
		histogram_add(g->due_ns, waited_ns);
		if (g->windows != NULL) {
			struct window *window = generator_window(g, due_tsc);
			window->scheduled++;
			histogram_add(&window->due_ns, waited_ns);
		}
	}
}

/* Closed loop: one request outstanding a connection, or what was asked for; open loop: what the window holds. */
static void
set_limits(struct generator *g)
{
	uint32_t pipeline = (uint32_t)g->options->pipeline;

	g->per_segment = (uint32_t)g->options->per_segment;
	if (pipeline == 0)
		pipeline = g->plan.rate > 0 ? g->window : g->per_segment;
	g->limit = pipeline < g->window ? pipeline : g->window;
	g->per_connection = (uint32_t)g->options->per_connection;
	for (uint32_t i = 0; i < g->conns_len; i++)
		g->conns[i].first = g->conns[i].tail;
}

static void
reset_windows(struct generator *g)
{
	uint64_t span_tsc = g->plan.end_tsc - g->plan.measure_tsc;

	for (uint32_t i = 0; i < g->options->windows; i++) {
		g->windows[i].scheduled = g->windows[i].late = 0;
		histogram_reset(&g->windows[i].due_ns);
	}
	g->window_per_tsc_q64 = (uint64_t)(((unsigned __int128)g->options->windows << 64) / (span_tsc + 1));
}

void
generator_stalled(struct generator *g, uint64_t until_tsc)
{
	uint64_t span_tsc = until_tsc - g->now_tsc;

	g->stall_end_tsc = until_tsc;
	g->catching_up |= !g->holding;
	if (!generator_measured(g, until_tsc))
		return;
	g->counts.stalls++;
	g->counts.stalled_tsc += span_tsc;
	if (span_tsc > g->longest_stall_tsc)
		g->longest_stall_tsc = span_tsc;
}

static void
run_point(struct generator *g)
{
	bool open = g->plan.rate > 0;
	uint64_t last_tsc;
	uint64_t waited_ns;
	bool worked = false;

	memset(&g->counts, 0, sizeof(g->counts));
	histogram_reset(g->due_ns);
	histogram_reset(g->sent_ns);
	set_limits(g);
	generator_choose_ahead(g);
	fill_queue(g, g->conns_len);
	g->holding = g->catching_up = false;
	g->shift = 0;
	g->stall_end_tsc = g->longest_stall_tsc = 0;
	reset_windows(g);
	if (open)
		schedule_start(&g->cursor, &g->workload->schedule, g->thread * 7919u, g->plan.start_tsc,
		    g->plan.rate, g->clock.tsc_hz);
	thread_keep_core(g->options->realtime);
	wait_for_start(g);
	last_tsc = g->now_tsc;
	waited_ns = thread_waited_ns();
	for (uint32_t pass = 0;; pass++) {
		generator_read_clock(g);
		if (g->now_tsc >= g->plan.end_tsc)
			break;
		if (generator_measured(g, g->now_tsc)) {
			g->counts.measured_tsc += g->now_tsc - last_tsc;
			g->counts.busy_tsc += worked ? g->now_tsc - last_tsc : 0;
		}
		last_tsc = g->now_tsc;
		uint32_t sent = g->streams_len > 0 ? generator_send_streams(g) : 0;
		sent += open ? generator_send_open(g) : generator_send_closed(g);
		worked = exchange(g) + sent > 0;
		if (pass % RARELY == 0)
			now_and_then(g);
		if (g->per_connection > 0)
			generator_dial(g);
	}
	g->counts.waited_ns = thread_waited_ns() - waited_ns;
	g->per_connection = 0;
	drain(g);
	thread_keep_core(false);
	count_unsent(g);
	if (!open)
		*g->sent_ns = *g->due_ns;
}

void
generator_carry_out(struct generator *g)
{
	switch (g->plan.kind) {
	case PLAN_CONNECT:
		run_connect(g);
		break;
	case PLAN_PRELOAD:
		run_preload(g);
		break;
	case PLAN_POINT:
		run_point(g);
		break;
	case PLAN_END:
		break;
	}
}

/* Between orders the backend is kept alive: it may have neighbours to answer and timers to run. */
static void *
generator_main(void *argument)
{
	struct generator *g = argument;

	thread_pin(g->cpu);
	if (g->ops->enter != NULL)
		g->ops->enter(g->backend);
	do {
		while (sem_trywait(&g->order) != 0) {
			g->now_tsc = load_now_tsc();
			exchange(g);
		}
		generator_carry_out(g);
		sem_post(&g->done);
	} while (g->plan.kind != PLAN_END);
	return NULL;
}

/* ---- setting up ---- */

static uint32_t
power_of_two_from(uint32_t number)
{
	uint32_t power = 1;

	while (power < number)
		power *= 2;
	return power;
}

/* Room for what pipeline asks for, else as much as FLIGHTS_AIM gives each connection. */
static uint32_t
window_for(const struct generator *g)
{
	const struct load_options *options = g->options;
	uint32_t most = g->workload->udp ? WINDOW_UDP_MAX : WINDOW_TCP_MAX;
	uint32_t least = options->per_segment > options->pipeline ? (uint32_t)options->per_segment
	                                                          : (uint32_t)options->pipeline;
	uint32_t share = FLIGHTS_AIM / g->workload->multiget / g->conns_len;
	bool closed = options->rate == 0 && !options->ramp && options->arrivals != SCHEDULE_TRACE;
	uint32_t window = closed ? 1 : WINDOW_MIN;

	if (g->workload->udp)
		least *= 4; /* replies that overtake a lost one stay in the window behind it */
	if (closed)         /* what is used stays in the processor's cache */
		share = g->conns_len <= PRELOAD_CONNS_MAX ? PRELOAD_PIPELINE : window;
	while (window * 2 <= share && window < most)
		window *= 2;
	least = power_of_two_from(least);
	window = window > least ? window : least;
	return g->workload->udp && window > most ? most : window;
}

static size_t
flights_bytes(const struct generator *g)
{
	return (size_t)g->conns_len * g->window * sizeof(struct flight);
}

static size_t
keys_bytes(const struct generator *g)
{
	return g->workload->multiget > 1
	           ? (size_t)g->conns_len * g->window * g->workload->multiget * sizeof(uint32_t)
	           : 0;
}

static size_t
windows_bytes(const struct generator *g)
{
	return g->options->windows * sizeof(struct window);
}

static bool
allocate(struct generator *g)
{
	g->queue_mask = power_of_two_from(g->conns_len) - 1;
	g->again_room = PRELOAD_CONNS_MAX * PRELOAD_PIPELINE + GENERATOR_AHEAD;
	g->conns = load_memory(g->conns_len * sizeof(*g->conns));
	g->readers = load_memory(g->conns_len * sizeof(*g->readers));
	g->flights = load_memory(flights_bytes(g));
	g->keys = load_memory(keys_bytes(g));
	g->floors = load_memory(keys_bytes(g));
	g->queue = load_memory((g->queue_mask + 1) * sizeof(*g->queue));
	g->streams = load_memory(g->conns_len * sizeof(*g->streams));
	g->again = load_memory(g->again_room * sizeof(*g->again));
	g->messages = load_memory(GENERATOR_MESSAGES * sizeof(*g->messages));
	g->due_ns = load_memory(sizeof(*g->due_ns));
	g->sent_ns = load_memory(sizeof(*g->sent_ns));
	if (g->options->windows > 0 && (g->windows = load_memory(windows_bytes(g))) == NULL)
		return false;
	return g->conns != NULL && g->readers != NULL && g->flights != NULL && g->keys != NULL &&
	       g->floors != NULL && g->queue != NULL && g->streams != NULL && g->again != NULL &&
	       g->messages != NULL && g->due_ns != NULL && g->sent_ns != NULL;
}

static int
open_backend(struct generator *g, char error[LOAD_ERROR_BYTES])
{
	const struct load_options *options = g->options;
	struct load_backend_config config = {
	    .server = options->server,
	    .port = (uint16_t)options->port,
	    .transport = (enum load_transport)options->transport,
	    .connections = g->conns_len,
	    .thread = g->thread,
	    .threads = (unsigned)options->threads,
	    .send_room = g->workload->reserve_max,
	    .reflect = options->reflect,
	    .events = {.ctx = g,
	        .received = generator_received,
	        .soon = generator_soon,
	        .changed = generator_changed},
	    .eal_args = options->eal,
	    .address = options->address,
	    .gateway = options->gateway,
	    .mtu = (uint32_t)options->mtu,
	};

	return g->ops->open(&g->backend, &config, error);
}

bool
generator_init(struct generator *g, const struct load_options *options, struct workload *workload,
    const struct load_backend_ops *ops, struct load_clock clock, unsigned thread,
    char error[LOAD_ERROR_BYTES])
{
	uint32_t threads = (uint32_t)options->threads, connections = (uint32_t)options->connections;

	*g = (struct generator){
	    .options = options,
	    .workload = workload,
	    .ops = ops,
	    .clock = clock,
	    .thread = thread,
	    .cpu = -1,
	    .conns_len = connections / threads + (thread < connections % threads),
	    .timeout_tsc = load_seconds_to_tsc(&clock, options->timeout),
	    .tolerance_tsc = load_seconds_to_tsc(&clock, options->tolerance),
	    .stall_tsc = load_seconds_to_tsc(&clock, GENERATOR_STALL_S),
	};
	sem_init(&g->order, 0, 0);
	sem_init(&g->done, 0, 0);
	load_rng_seed(&g->rng, options->seed * 1000003u + thread);
	g->window = window_for(g);
	if (!allocate(g)) {
		snprintf(error, LOAD_ERROR_BYTES, "no memory for %u connections", g->conns_len);
		return false;
	}
	return open_backend(g, error) == 0;
}

bool
generator_start(struct generator *g, char error[LOAD_ERROR_BYTES])
{
	int failed = pthread_create(&g->pthread, NULL, generator_main, g);

	if (failed != 0)
		snprintf(error, LOAD_ERROR_BYTES, "cannot start a thread: %s", strerror(failed));
	g->running = failed == 0;
	return g->running;
}

void
generator_order(struct generator *g, const struct plan *plan)
{
	g->plan = *plan;
	sem_post(&g->order);
}

static void
free_readers(struct generator *g)
{
	for (uint32_t i = 0; g->readers != NULL && i < g->conns_len; i++)
		reply_reader_reset(&g->readers[i]);
	for (uint32_t i = 0; g->messages != NULL && i < GENERATOR_MESSAGES; i++)
		reply_reader_reset(&g->messages[i].reader);
}

void
generator_free(struct generator *g)
{
	if (g->running) {
		generator_order(g, &(struct plan){.kind = PLAN_END});
		pthread_join(g->pthread, NULL);
	}
	if (g->ops != NULL)
		g->ops->close(g->backend);
	free_readers(g);
	load_memory_free(g->conns, g->conns_len * sizeof(*g->conns));
	load_memory_free(g->readers, g->conns_len * sizeof(*g->readers));
	load_memory_free(g->flights, flights_bytes(g));
	load_memory_free(g->keys, keys_bytes(g));
	load_memory_free(g->floors, keys_bytes(g));
	load_memory_free(g->queue, (g->queue_mask + 1) * sizeof(*g->queue));
	load_memory_free(g->streams, g->conns_len * sizeof(*g->streams));
	load_memory_free(g->again, g->again_room * sizeof(*g->again));
	load_memory_free(g->messages, GENERATOR_MESSAGES * sizeof(*g->messages));
	load_memory_free(g->due_ns, sizeof(*g->due_ns));
	load_memory_free(g->sent_ns, sizeof(*g->sent_ns));
	load_memory_free(g->windows, windows_bytes(g));
}

void
counts_add(struct counts *into, const struct counts *from)
{
	const uint64_t *numbers = (const uint64_t *)(const void *)from;
	uint64_t *sums = (uint64_t *)(void *)into;

	for (size_t i = 0; i < sizeof(*from) / sizeof(*numbers); i++)
		sums[i] += numbers[i];
}
