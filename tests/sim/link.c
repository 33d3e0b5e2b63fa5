/*
 * The network: each direction loses, duplicates, delays and reorders by its parameters; packets in flight
 * wait in a heap ordered by arrival. A corrupted packet would be dropped below TCP, so it is a lost one here.
 */
#include "sim.h"

#include <stdlib.h>
#include <string.h>

#define HEAP_FIRST 256u

static bool
before(const struct sim_packet *a, const struct sim_packet *b)
{
	return a->at_us != b->at_us ? a->at_us < b->at_us : a->order < b->order;
}

static void
heap_push(struct sim_run *run, struct sim_packet *p)
{
	if (run->heap_len == run->heap_max) {
		run->heap_max = run->heap_max ? run->heap_max * 2 : HEAP_FIRST;
		run->heap = realloc(run->heap, run->heap_max * sizeof(*run->heap));
	}
	uint32_t i = run->heap_len++;
	for (; i && before(p, run->heap[(i - 1) / 2]); i = (i - 1) / 2)
		run->heap[i] = run->heap[(i - 1) / 2];
	run->heap[i] = p;
}

static struct sim_packet *
heap_pop(struct sim_run *run)
{
	struct sim_packet *top = run->heap[0], *last = run->heap[--run->heap_len];
	uint32_t i = 0;
	for (uint32_t child; (child = 2 * i + 1) < run->heap_len; i = child) {
		if (child + 1 < run->heap_len && before(run->heap[child + 1], run->heap[child]))
			child++;
		if (!before(run->heap[child], last))
			break;
		run->heap[i] = run->heap[child];
	}
	run->heap[i] = last;
	return top;
}

static struct net_flow
mirrored(const struct net_flow *f)
{
	struct net_flow m = {.local = f->remote,
	    .remote = f->local,
	    .local_port = f->remote_port,
	    .remote_port = f->local_port,
	    .iface = f->iface};
	return m;
}

static void
put_in_flight(
    struct sim_run *run, unsigned from, const struct net_flow *flow, const uint8_t *bytes, uint32_t len)
{
	const struct sim_link_params *l = &run->c.link[from];
	struct sim_host *host = &run->hosts[from];
	uint64_t at_us = run->now_us;
	if (l->bytes_per_s) {
		uint64_t start_us = host->busy_until_us > at_us ? host->busy_until_us : at_us;
		if ((start_us - at_us) * l->bytes_per_s / 1000000 > l->queue_bytes)
			return; /* the queue is full */
		at_us = host->busy_until_us = start_us + (uint64_t)(len + 60) * 1000000 / l->bytes_per_s;
	}
	at_us += l->delay_us + (l->jitter_us ? sim_rand(&run->rng) % l->jitter_us : 0);
	if (sim_chance(&run->rng, l->reorder_ppm))
		at_us += sim_rand(&run->rng) % l->reorder_us;
	struct sim_packet *p = malloc(sizeof(*p) + len);
	p->at_us = at_us;
	p->order = run->order++;
	p->to = !from;
	p->flow = mirrored(flow);
	p->len = len;
	memcpy(p->bytes, bytes, len);
	heap_push(run, p);
}

void
sim_link_send(
    struct sim_run *run, unsigned from, const struct net_flow *flow, const uint8_t *bytes, uint32_t len)
{
	if (sim_chance(&run->rng, run->c.link[from].loss_ppm))
		return;
	put_in_flight(run, from, flow, bytes, len);
	if (sim_chance(&run->rng, run->c.link[from].duplicate_ppm))
		put_in_flight(run, from, flow, bytes, len);
}

struct sim_packet *
sim_link_take(struct sim_run *run, unsigned to)
{
	if (!run->heap_len || run->heap[0]->at_us > run->now_us || run->heap[0]->to != to)
		return NULL;
	return heap_pop(run);
}

uint64_t
sim_link_next_us(const struct sim_run *run)
{
	return run->heap_len ? run->heap[0]->at_us : SIM_NEVER;
}

void
sim_link_clear(struct sim_run *run)
{
	while (run->heap_len)
		free(heap_pop(run));
	free(run->heap);
}
