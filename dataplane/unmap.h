/*
 * Keeps a driver from taking memory away under a worker.
 *
 * When a memif peer leaves, the driver marks the port disconnected and unmaps the rings, in the EAL's interrupt thread,
 * without waiting for a worker that is just reading them (DPDK 22.11). So this program has a munmap() of its own, which
 * first lets every worker finish the pass it is in: the next one sees the mark. Nothing else is changed by it, and it
 * costs nothing while nobody unmaps.
 */
#ifndef WIRECACHE_UNMAP_H
#define WIRECACHE_UNMAP_H

struct worker_shared;

/* Control thread: from here on, and until unmap_unguarded(), munmap() waits for these workers. */
void unmap_guarded(struct worker_shared *shared);
void unmap_unguarded(void);

/* A worker's thread: its own calls of munmap() wait for nobody. */
void unmap_from_worker(void);

#endif
