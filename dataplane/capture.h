/*
 * Copies packets that a filter takes, as they pass the workers, for somebody outside: what tcpdump is on a kernel's port.
 *
 *   worker: off? -- filter -- copy --> ring of the worker (1024 packets of up to 1.5 KiB) --> the control thread
 *
 * A full ring loses packets and counts them; nobody waits. Off, which it is but on demand, it costs a worker a load and a
 * predicted branch a burst. Memory is taken at the first start and kept.
 *
 * Threads: capture_packets() by the workers, all else by the control thread.
 */
#ifndef WIRECACHE_CAPTURE_H
#define WIRECACHE_CAPTURE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <rte_mbuf.h>

#include "dataplane/observe.h"

#define CAPTURE_RING_LEN 1024u /* packets; a power of two */

struct capture;
struct worker;
struct worker_shared;

/* NULL: no memory. */
struct capture *capture_create(struct worker_shared *shared);
void capture_destroy(struct capture *capture);

/* filter: a program as bytecode.h reads it, "" for all packets. 0, or negative errno with a sentence. */
int capture_start(struct capture *capture, const char *filter, char error[DATAPLANE_ERROR_MAX]);
void capture_stop(struct capture *capture);

/* Takes what was captured, worker by worker, beginning with another one each time; returns how many. */
unsigned capture_read(struct capture *capture, struct observe_packet *out, unsigned room);
uint64_t capture_lost(const struct capture *capture);

/* A worker, while shared->capturing: packets that came, or are about to leave. */
void capture_packets(
    struct worker *worker, unsigned port, bool out, struct rte_mbuf *const *pkts, unsigned n);

#endif
