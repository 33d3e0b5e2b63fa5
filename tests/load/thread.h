/*
 * A generator thread and its core: where it runs, before whom, and how long it had to wait for it. Each is about the
 * calling thread.
 */
#ifndef WIRECACHE_LOAD_THREAD_H
#define WIRECACHE_LOAD_THREAD_H

#include <stdbool.h>
#include <stdint.h>

/* cpu: -1 leaves it where it is. */
void thread_pin(int cpu);

/* Keeps the core from all that has no real-time priority, or gives it back. False: not allowed. */
bool thread_keep_core(bool keep);

/* How long so far it could have run while the kernel ran somebody else; 0 where the kernel does not say. */
uint64_t thread_waited_ns(void);

#endif
