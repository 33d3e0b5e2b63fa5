/*
 * Gets a TAP port going again that ran out of packet buffers.
 *
 * The driver reads its descriptor only after a signal of the kernel's that something has come. When it finds no buffer it
 * stops reading and waits for the next signal (DPDK 22.11), which does not come once the descriptor's queue is full: what
 * comes then is dropped without one. So a port whose driver says that it found no buffer gets a signal from us.
 */
#ifndef WIRECACHE_TAP_H
#define WIRECACHE_TAP_H

struct port;

/* Control thread, now and then. */
void tap_tick(struct port *ports, unsigned ports_len);

#endif
