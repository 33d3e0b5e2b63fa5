/*
 * See mailbox.h. The ring is DPDK's; what is ours is the sleep: the reader sets `asleep` and looks at the
 * ring once more, a writer enqueues and looks at `asleep`, with a full fence on both sides, so that one of
 * them sees the other.
 */
#include "dataplane/mailbox.h"

#include <errno.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include <rte_errno.h>
#include <rte_ring_elem.h>

#define MAILBOX_MESSAGES 1024u

/* Ring elements come in multiples of four bytes. */
#define MAILBOX_ELEMENT RTE_ALIGN_CEIL(sizeof(struct message), 4)

int
mailbox_open(struct mailbox *mailbox, const char *name, int node)
{
	mailbox->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (mailbox->wake_fd < 0)
		return -errno;
	/* Relaxed tails: no writer waits for another one that was preempted while it wrote. */
	mailbox->ring = rte_ring_create_elem(
	    name, MAILBOX_ELEMENT, MAILBOX_MESSAGES, node, RING_F_MP_RTS_ENQ | RING_F_SC_DEQ);
	if (!mailbox->ring) {
		close(mailbox->wake_fd);
		return -rte_errno;
	}
	atomic_init(&mailbox->asleep, false);
	return 0;
}

void
mailbox_close(struct mailbox *mailbox)
{
	rte_ring_free(mailbox->ring);
	mailbox->ring = NULL;
	close(mailbox->wake_fd);
}

bool
mailbox_send(struct mailbox *mailbox, const struct message *message)
{
	if (rte_ring_enqueue_elem(mailbox->ring, (void *)(uintptr_t)message, MAILBOX_ELEMENT) != 0)
		return false;
	mailbox_wake(mailbox);
	return true;
}

bool
mailbox_receive(struct mailbox *mailbox, struct message *message)
{
	return rte_ring_sc_dequeue_elem(mailbox->ring, message, MAILBOX_ELEMENT) == 0;
}

bool
mailbox_sleep_begin(struct mailbox *mailbox)
{
	atomic_store_explicit(&mailbox->asleep, true, memory_order_relaxed);
	atomic_thread_fence(memory_order_seq_cst); /* pairs with mailbox_wake() */
	if (rte_ring_empty(mailbox->ring))
		return true;
	atomic_store_explicit(&mailbox->asleep, false, memory_order_relaxed);
	return false;
}

void
mailbox_sleep_end(struct mailbox *mailbox)
{
	uint64_t count;

	atomic_store_explicit(&mailbox->asleep, false, memory_order_relaxed);
	while (read(mailbox->wake_fd, &count, sizeof(count)) > 0)
		continue;
}

void
mailbox_wake(struct mailbox *mailbox)
{
	const uint64_t one = 1;

	atomic_thread_fence(memory_order_seq_cst); /* pairs with mailbox_sleep_begin() */
	if (!atomic_load_explicit(&mailbox->asleep, memory_order_relaxed))
		return;
	/* Safe to ignore: it fails only when the counter is already not zero, and then the reader wakes
	 * anyway. */
	ssize_t written = write(mailbox->wake_fd, &one, sizeof(one));
	(void)written;
}
