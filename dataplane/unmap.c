/*
 * See unmap.h. The definition of munmap() here takes the place of libc's for the drivers that are loaded at run time,
 * since the Makefile exports it from the program.
 */
#include "dataplane/unmap.h"

#include <stdatomic.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "dataplane/worker.h"

#define PASS_WAIT_US 50u
#define PASS_WAIT_MAX \
	20000u /* a second: a worker that takes longer has other troubles, and `status` says so */

static struct worker_shared *_Atomic guarded;
static _Thread_local bool is_worker;

void
unmap_guarded(struct worker_shared *shared)
{
	atomic_store_explicit(&guarded, shared, memory_order_release);
}

void
unmap_unguarded(void)
{
	atomic_store_explicit(&guarded, NULL, memory_order_release);
}

void
unmap_from_worker(void)
{
	is_worker = true;
}

/* Until the pass that the worker is in has ended. One that sleeps is in none. */
static void
wait_for_pass(struct worker *worker)
{
	uint64_t begun_tsc = atomic_load_explicit(&worker->heartbeat_tsc, memory_order_acquire);

	for (unsigned waits = 0; waits < PASS_WAIT_MAX; waits++) {
		if (atomic_load_explicit(&worker->state, memory_order_acquire) != WORKER_RUNNING ||
		    atomic_load_explicit(&worker->mailbox.asleep, memory_order_acquire) ||
		    atomic_load_explicit(&worker->heartbeat_tsc, memory_order_acquire) != begun_tsc)
			return;
		usleep(PASS_WAIT_US);
	}
}

int
munmap(void *addr, size_t len)
{
	struct worker_shared *shared = atomic_load_explicit(&guarded, memory_order_acquire);

	atomic_thread_fence(memory_order_seq_cst); /* the driver's mark before the look at the workers */
	for (unsigned i = 0; shared && !is_worker && i < shared->workers_len; i++)
		wait_for_pass(&shared->workers[i]);
	return (int)syscall(SYS_munmap, addr, len);
}
