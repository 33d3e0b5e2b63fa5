/*
 * What a worker does when nothing comes (design decision 10). spin: poll for ever. sleep: at once. adaptive: poll a little
 * longer, since the next packet is most likely soon, then sleep: until a queue's descriptor says that packets
 * are there, where the driver has one, and otherwise for naps that grow from IDLE_NAP_MIN_US to
 * IDLE_NAP_MAX_US.
 *
 * The caps keep what is promised: with naps of 400 us and about 5 us a wake-up an idle worker costs 1-2 % of
 * a core, and the first packet waits less than a millisecond.
 */
#include "dataplane/worker.h"

#include <errno.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <unistd.h>
#include <rte_ethdev.h>
#include <rte_pause.h>

#define IDLE_POLL_US    50u     /* polling goes on for this long after the last packet */
#define IDLE_SLEEP_US   100000u /* longest sleep when a queue wakes us */
#define IDLE_NAP_MIN_US 20u
#define IDLE_NAP_MAX_US 400u

/* Bit of an event's data beside the descriptor: it counts, and stays readable until it is read. */
#define WATCH_COUNTER ((uint64_t)1 << 32)
#define WATCH_EVENTS  8

/* Drivers signal by an eventfd, which we must read, or give the descriptor of the queue itself, which we must not. */
static bool
is_counter(int fd)
{
	char path[32], target[32] = "";

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return readlink(path, target, sizeof(target) - 1) > 0 && strcmp(target, "anon_inode:[eventfd]") == 0;
}

static int
watch(struct worker *worker, int fd)
{
	struct epoll_event event = {.events = EPOLLIN};

	event.data.u64 = (uint64_t)fd | (is_counter(fd) ? WATCH_COUNTER : 0);
	return epoll_ctl(worker->epoll_fd, EPOLL_CTL_ADD, fd, &event) == 0 ? 0 : -errno;
}

int
idle_open(struct worker *worker)
{
	int rc;

	worker->nap_us = IDLE_NAP_MIN_US;
	worker->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (worker->epoll_fd < 0)
		return -errno;
	rc = watch(worker, worker->mailbox.wake_fd);
	if (rc != 0)
		return rc;
	worker->queue_wakes = true;
	for (unsigned i = 0; i < worker->ports_len; i++) {
		int fd = port_rx_fd(worker->ports[i], worker->queue);

		if (fd < 0 || watch(worker, fd) != 0)
			worker->queue_wakes = false;
	}
	return 0;
}

void
idle_close(struct worker *worker)
{
	if (worker->epoll_fd > 0)
		close(worker->epoll_fd);
	worker->epoll_fd = -1;
}

enum arming { ARMED, CANNOT_ARM, PACKETS_WAIT };

/* Asks the drivers that need it to signal the next packet. Some can only while their peer is there (memif). */
static enum arming
queues_arm(const struct worker *worker)
{
	for (unsigned i = 0; i < worker->ports_len; i++) {
		int rc = rte_eth_dev_rx_intr_enable(worker->tx[i].port_id, worker->queue);

		if (rc != 0 && rc != -ENOTSUP)
			return CANNOT_ARM;
		if (rte_eth_rx_queue_count(worker->tx[i].port_id, worker->queue) > 0)
			return PACKETS_WAIT;
	}
	return ARMED;
}

static void
queues_disarm(const struct worker *worker)
{
	for (unsigned i = 0; i < worker->ports_len; i++)
		rte_eth_dev_rx_intr_disable(worker->tx[i].port_id, worker->queue);
}

static bool
tx_waits(const struct worker *worker)
{
	for (unsigned i = 0; i < worker->ports_len; i++)
		if (worker->tx[i].len != 0)
			return true;
	return false;
}

/*
 * Where something woke us, polling goes on for a while: a TAP's packets can be read only after a signal that another
 * worker may be about to take.
 */
static void
wait_for_event(struct worker *worker, const struct timespec *timeout)
{
	struct epoll_event events[WATCH_EVENTS];
	uint64_t count;
	int n = epoll_pwait2(worker->epoll_fd, events, WATCH_EVENTS, timeout, NULL);

	for (int i = 0; i < n; i++)
		if (events[i].data.u64 & WATCH_COUNTER &&
		    read((int)events[i].data.u64, &count, sizeof(count)) < 0)
			continue; /* somebody read it first */
	if (n != 0)
		worker->idle_since_us = 0;
}

/* How long to sleep at most, where no queue wakes us. */
static uint64_t
nap(struct worker *worker, uint64_t sleep_us)
{
	sleep_us = RTE_MIN(sleep_us, (uint64_t)worker->nap_us);
	worker->nap_us = RTE_MIN(worker->nap_us * 2, IDLE_NAP_MAX_US);
	return sleep_us;
}

static void
sleep_until_work(struct worker *worker)
{
	uint64_t sleep_us = RTE_MIN(net_poll(worker->net), (uint64_t)IDLE_SLEEP_US);
	enum arming arming = worker->queue_wakes ? queues_arm(worker) : CANNOT_ARM;
	struct timespec timeout = {0};

	net_flush(worker->net);
	/* A transmit queue that takes nothing has no peer, or a slow one: look again soon, but not at once. */
	if (arming == ARMED && tx_waits(worker))
		arming = CANNOT_ARM;
	if (arming != PACKETS_WAIT && sleep_us != 0 && mailbox_sleep_begin(&worker->mailbox)) {
		if (arming == CANNOT_ARM)
			sleep_us = nap(worker, sleep_us);
		timeout.tv_nsec = (long)sleep_us * 1000;
		store_offline(worker->store);
		worker->counters.sleeps++;
		wait_for_event(worker, &timeout);
		store_quiesce(worker->store, worker->clock.unix_s);
		mailbox_sleep_end(&worker->mailbox);
	}
	if (worker->queue_wakes)
		queues_disarm(worker);
}

void
idle_pass(struct worker *worker, bool worked)
{
	if (worked) {
		worker->idle_since_us = 0;
		worker->nap_us = IDLE_NAP_MIN_US;
		return;
	}
	if (worker->idle_since_us == 0)
		worker->idle_since_us = RTE_MAX(worker->clock.now_us, (uint64_t)1);
	if (worker->config->idle == DATAPLANE_IDLE_SPIN ||
	    (worker->config->idle == DATAPLANE_IDLE_ADAPTIVE &&
	        worker->clock.now_us - worker->idle_since_us < IDLE_POLL_US)) {
		rte_pause();
		return;
	}
	sleep_until_work(worker);
}
