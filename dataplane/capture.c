/*
 * See capture.h.
 */
#include "dataplane/capture.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "dataplane/bytecode.h"
#include "dataplane/worker.h"

#define PASS_WAIT_US   100u
#define PASS_WAITS_MAX 100u

struct capture_ring {
	_Atomic uint32_t head __rte_cache_aligned; /* the worker's */
	_Atomic uint64_t lost;
	uint8_t joined[OBSERVE_PACKET_MAX];        /* of a packet in several mbufs */
	_Atomic uint32_t tail __rte_cache_aligned; /* the reader's */
	struct observe_packet packets[CAPTURE_RING_LEN];
};

struct capture {
	struct worker_shared *shared;
	struct capture_ring *rings; /* one a worker */
	struct bpf_program filter;  /* no instructions: all packets */
	uint64_t stopped_tsc;       /* 0: never */
	unsigned first;             /* the worker that is read first next time */
};

struct capture *
capture_create(struct worker_shared *shared)
{
	struct capture *capture = calloc(1, sizeof(*capture));
	size_t bytes = shared->workers_len * sizeof(*capture->rings);

	if (!capture)
		return NULL;
	capture->shared = shared;
	capture->rings = aligned_alloc(RTE_CACHE_LINE_SIZE, bytes);
	if (!capture->rings) {
		free(capture);
		return NULL;
	}
	memset(capture->rings, 0, bytes);
	return capture;
}

void
capture_destroy(struct capture *capture)
{
	if (!capture)
		return;
	free(capture->filter.bf_insns);
	free(capture->rings);
	free(capture);
}

/* ---- the control thread ----------------------------------------------------------------------- */

/* Whether this worker may still be in a pass that saw the last capture on. One that sleeps is in none. */
static bool
may_use(const struct capture *capture, struct worker *worker)
{
	return atomic_load_explicit(&worker->state, memory_order_acquire) == WORKER_RUNNING &&
	       !atomic_load_explicit(&worker->mailbox.asleep, memory_order_acquire) &&
	       atomic_load_explicit(&worker->heartbeat_tsc, memory_order_acquire) <= capture->stopped_tsc;
}

/* Waits for passes that take microseconds; false: a worker does not come round. */
static bool
wait_unused(const struct capture *capture)
{
	for (unsigned i = 0, waits = 0; capture->stopped_tsc != 0 && i < capture->shared->workers_len;) {
		if (!may_use(capture, &capture->shared->workers[i])) {
			i++;
			continue;
		}
		if (++waits > PASS_WAITS_MAX)
			return false;
		usleep(PASS_WAIT_US);
	}
	return true;
}

int
capture_start(struct capture *capture, const char *filter, char error[DATAPLANE_ERROR_MAX])
{
	struct bpf_program program = {0};
	int rc;

	if (atomic_load_explicit(&capture->shared->capturing, memory_order_relaxed)) {
		snprintf(
		    error, DATAPLANE_ERROR_MAX, "packets are being captured already: wirectl capture stop");
		return -EBUSY;
	}
	if (!wait_unused(capture)) {
		snprintf(
		    error, DATAPLANE_ERROR_MAX, "a worker is still busy with the last capture: try again");
		return -EAGAIN;
	}
	if (*filter != '\0') {
		rc = bytecode_parse(filter, &program, error);
		if (rc != 0)
			return rc;
	}
	free(capture->filter.bf_insns);
	capture->filter = program;
	for (unsigned i = 0; i < capture->shared->workers_len; i++) {
		struct capture_ring *ring = &capture->rings[i];

		atomic_store_explicit(&ring->tail, ring->head, memory_order_relaxed);
		atomic_store_explicit(&ring->lost, 0, memory_order_relaxed);
	}
	/* release: filter and rings; pairs with the workers' acquire */
	atomic_store_explicit(&capture->shared->capturing, true, memory_order_release);
	return 0;
}

void
capture_stop(struct capture *capture)
{
	if (!atomic_load_explicit(&capture->shared->capturing, memory_order_relaxed))
		return;
	atomic_store_explicit(&capture->shared->capturing, false, memory_order_relaxed);
	capture->stopped_tsc = rte_rdtsc();
}

unsigned
capture_read(struct capture *capture, struct observe_packet *out, unsigned room)
{
	unsigned len = 0, workers = capture->shared->workers_len;

	for (unsigned i = 0; i < workers; i++) {
		struct capture_ring *ring = &capture->rings[(capture->first + i) % workers];
		uint32_t tail = atomic_load_explicit(&ring->tail, memory_order_relaxed);
		/* acquire: the packets up to it; pairs with the release in packet_add() */
		uint32_t head = atomic_load_explicit(&ring->head, memory_order_acquire);

		for (; tail != head && len < room; tail++)
			out[len++] = ring->packets[tail % CAPTURE_RING_LEN];
		/* release: they were copied before the worker may write there again */
		atomic_store_explicit(&ring->tail, tail, memory_order_release);
	}
	/* One whose packets fill the room each time must not keep us from those of the others. */
	capture->first = (capture->first + 1) % workers;
	return len;
}

uint64_t
capture_lost(const struct capture *capture)
{
	uint64_t lost = 0;

	for (unsigned i = 0; i < capture->shared->workers_len; i++)
		lost += atomic_load_explicit(&capture->rings[i].lost, memory_order_relaxed);
	return lost;
}

/* ---- the workers ------------------------------------------------------------------------------ */

static void
packet_add(struct capture *capture, const struct worker *worker, unsigned port, bool out, struct rte_mbuf *m)
{
	struct capture_ring *ring = &capture->rings[worker->index];
	uint32_t head = atomic_load_explicit(&ring->head, memory_order_relaxed);
	struct observe_packet *packet = &ring->packets[head % CAPTURE_RING_LEN];
	const struct bpf_insn *filter = capture->filter.bf_insns;
	uint32_t bytes = RTE_MIN(m->pkt_len, OBSERVE_PACKET_MAX);
	const uint8_t *data;

	data = rte_pktmbuf_read(m, 0, bytes, ring->joined);
	if (!data || (filter && bpf_filter(filter, data, m->pkt_len, bytes) == 0))
		return;
	/* acquire: pairs with the reader's release */
	if (head - atomic_load_explicit(&ring->tail, memory_order_acquire) == CAPTURE_RING_LEN) {
		atomic_store_explicit(&ring->lost, ring->lost + 1, memory_order_relaxed);
		return;
	}
	memcpy(packet->bytes, data, bytes);
	packet->unix_ns =
	    (uint64_t)worker->shared->start_unix_s * 1000000000 + (uint64_t)worker->clock.now_us * 1000;
	packet->len = bytes;
	packet->wire_bytes = m->pkt_len;
	packet->port = (uint8_t)port;
	packet->out = out;
	/* release: the packet; pairs with capture_read() */
	atomic_store_explicit(&ring->head, head + 1, memory_order_release);
}

void
capture_packets(struct worker *worker, unsigned port, bool out, struct rte_mbuf *const *pkts, unsigned n)
{
	/* acquire: pairs with capture_start() */
	if (!atomic_load_explicit(&worker->shared->capturing, memory_order_acquire))
		return;
	for (unsigned i = 0; i < n; i++)
		packet_add(worker->shared->capture, worker, port, out, pkts[i]);
}
