/*
 * The worker's loop, a table of contents of the data path: receive, run timers, send, tidy, and say that
 * nothing of the store is held any more. What each step does lies in net/ (packets), serve (requests) and
 * store/ (items).
 */
#include "dataplane/worker.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <rte_ethdev.h>
#include <rte_lcore.h>

#include "dataplane/admin.h"
#include "dataplane/capture.h"
#include "dataplane/env_memory.h"
#include "dataplane/internal.h"
#include "dataplane/unmap.h"
#include "dataplane/login.h"
#include "dataplane/settings.h"

/*
 * Background work of the store: looking for some costs about 0.3 us and a lock that writers share, so it is looked for
 * every 50 us, and then 512 items may be touched: 10 million a second, more than a worker can store.
 */
#define MAINTAIN_EVERY_US 50u
#define MAINTAIN_ITEMS    512u
#define REASSEMBLY_SHARE  4u /* of the packet memory: what waits for the rest of it keeps nobody else out */

/* ---- what the stack takes from outside (struct net_env) --------------------------------------- */

static void
tx_flush(struct worker *worker, struct worker_tx *tx)
{
	enum stage before = stage_begin(&worker->stages, STAGE_SEND);
	uint16_t sent = 0;

	if (unlikely(atomic_load_explicit(&worker->shared->capturing, memory_order_relaxed)))
		capture_packets(worker, (unsigned)(tx - worker->tx), true, tx->pkts, tx->len);
	while (sent < tx->len) {
		uint16_t n = rte_eth_tx_burst(tx->port_id, worker->queue, tx->pkts + sent, tx->len - sent);

		if (n == 0)
			break;
		sent += n;
	}
	worker->counters.tx_packets += sent;
	tx->len -= sent;
	if (unlikely(tx->len) && sent)
		memmove(tx->pkts, tx->pkts + sent, tx->len * sizeof(tx->pkts[0]));
	stage_begin(&worker->stages, before);
}

static void
env_tx(void *ctx, uint8_t iface, struct rte_mbuf *m)
{
	struct worker *worker = ctx;
	struct worker_tx *tx = &worker->tx[iface];

	if (unlikely(tx->len == WORKER_TX_MAX)) {
		tx_flush(worker, tx);
		if (tx->len == WORKER_TX_MAX) {
			worker->counters.tx_full++;
			rte_pktmbuf_free(m);
			return;
		}
	}
	tx->pkts[tx->len++] = m;
	if (tx->len == WORKER_TX_FLUSH)
		tx_flush(worker, tx);
}

static void
env_tx_burst(void *ctx, uint8_t iface, struct rte_mbuf **pkts, unsigned n)
{
	struct worker *worker = ctx;
	struct worker_tx *tx = &worker->tx[iface];

	/* A row that fits goes at once, and then leaves: the queue is as full as it pays. */
	if (likely(tx->len + n < WORKER_TX_MAX)) {
		memcpy(tx->pkts + tx->len, pkts, n * sizeof(pkts[0]));
		tx->len = (uint16_t)(tx->len + n);
		if (tx->len >= WORKER_TX_FLUSH)
			tx_flush(worker, tx);
		return;
	}
	for (unsigned i = 0; i < n; i++)
		env_tx(ctx, iface, pkts[i]);
}

/* From the kernel, a batch at a time: used for secrets and sequence numbers, so no cheaper generator will
 * do. */
static uint64_t
env_random(void *ctx)
{
	struct worker *worker = ctx;

	if (worker->random_left == 0) {
		while (getrandom(worker->random, sizeof(worker->random), 0) != sizeof(worker->random))
			continue; /* Safe because it fails only when interrupted: the pool is ready since
			             boot. */
		worker->random_left = WORKER_RANDOM_LEN;
	}
	return worker->random[--worker->random_left];
}

/* To those with the same ports: the others would not know what to do with it. */
static void
send_to_others(struct worker *worker, const struct message *message)
{
	for (unsigned i = 0; i < worker->shared->workers_len; i++) {
		struct worker *other = &worker->shared->workers[i];

		if (other != worker && other->cache == worker->cache &&
		    !mailbox_send(&other->mailbox, message))
			worker->counters.messages_lost++;
	}
}

static void
env_neigh_learned(void *ctx, uint8_t iface, const struct net_addr *addr, const struct rte_ether_addr *mac)
{
	struct message message = {.type = MESSAGE_NEIGHBOUR};

	message.neighbour.iface = iface;
	message.neighbour.addr = *addr;
	message.neighbour.mac = *mac;
	send_to_others(ctx, &message);
}

static void
env_icmp_foreign(void *ctx, const struct net_icmp_error *error)
{
	struct message message = {.type = MESSAGE_ICMP_ERROR, .icmp_error = *error};

	send_to_others(ctx, &message);
}

/* ---- the loop --------------------------------------------------------------------------------- */

static unsigned
receive(struct worker *worker)
{
	struct rte_mbuf *pkts[WORKER_BURST];
	unsigned total = 0;

	for (unsigned i = 0; i < worker->ports_len; i++) {
		uint16_t n = rte_eth_rx_burst(worker->tx[i].port_id, worker->queue, pkts, WORKER_BURST);

		if (n == 0)
			continue;
		worker->counters.rx_bursts++;
		total += n;
		stage_begin(&worker->stages, STAGE_NETWORK);
		if (unlikely(atomic_load_explicit(&worker->shared->capturing, memory_order_relaxed)))
			capture_packets(worker, i, false, pkts, n);
		net_input(worker->net, i, pkts, n);
		stage_begin(&worker->stages, STAGE_POLL);
	}
	worker->counters.rx_packets += total;
	return total;
}

static unsigned
read_mail(struct worker *worker)
{
	struct message message;
	unsigned n = 0;

	while (n < WORKER_BURST && mailbox_receive(&worker->mailbox, &message)) {
		switch (message.type) {
		case MESSAGE_NEIGHBOUR:
			net_neigh_update(worker->net, message.neighbour.iface, &message.neighbour.addr,
			    &message.neighbour.mac);
			break;
		case MESSAGE_ICMP_ERROR:
			net_icmp_error(worker->net, &message.icmp_error);
			break;
		case MESSAGE_LOGIN_DONE:
			login_done(worker->desk, message.login);
			break;
		case MESSAGE_LOGIN: /* the service's */
			break;
		}
		n++;
	}
	worker->counters.messages += n;
	return n;
}

static void
run_timers(struct worker *worker)
{
	if (worker->clock.now_us < worker->timers_due_us)
		return;
	/* A timer may be armed for sooner than the stack now answers, hence the upper bound. */
	worker->timers_due_us =
	    worker->clock.now_us + RTE_MIN(net_poll(worker->net), (uint64_t)WORKER_TIMER_US);
}

static void
transmit(struct worker *worker)
{
	net_flush(worker->net);
	for (unsigned i = 0; i < worker->ports_len; i++)
		if (worker->tx[i].len)
			tx_flush(worker, &worker->tx[i]);
}

/* Returns whether the store has more to do. */
static bool
maintain(struct worker *worker)
{
	if (worker->clock.now_us < worker->maintain_due_us)
		return worker->maintaining;
	worker->maintain_due_us = worker->clock.now_us + MAINTAIN_EVERY_US;
	worker->maintaining = store_maintain(worker->store, MAINTAIN_ITEMS);
	return worker->maintaining;
}

/* What slow.h tells of the pass that is being counted, against what it was when the last one ended. */
static void
slow_totals(const struct worker *worker, struct slow_totals *totals)
{
	const struct serve_counters *counters = serve_counters(worker->serve);

	*totals = (struct slow_totals){.gets = counters->cmd_get,
	    .sets = counters->cmd_set,
	    .packets = worker->counters.rx_packets,
	    .bytes_read = worker->counters.bytes_read,
	    .bytes_written = worker->counters.bytes_written};
}

static __attribute__((noinline)) void
slow_pass(struct worker *worker, const struct slow_totals *now)
{
	const struct slow_totals *before = &worker->slow.before;
	const uint64_t *requests = worker->latency.requests;
	struct slow_entry entry = {.ns = worker->latency.ns,
	    .unix_us = (uint64_t)worker->shared->start_unix_s * 1000000 + worker->clock.now_us,
	    .requests = latency_requests(&worker->latency),
	    .tcp_requests = (uint32_t)requests[LATENCY_TCP],
	    .udp_requests = (uint32_t)requests[LATENCY_UDP],
	    .gets = now->gets - before->gets,
	    .sets = now->sets - before->sets,
	    .packets = now->packets - before->packets,
	    .bytes_read = now->bytes_read - before->bytes_read,
	    .bytes_written = now->bytes_written - before->bytes_written};

	entry.value_bytes = serve_largest(worker->serve, &entry.key);
	slow_add(&worker->slow, &entry);
}

/* The replies of this pass are on their way. */
static void
count_latency(struct worker *worker)
{
	struct slow_totals now;

	latency_sent(&worker->latency, serve_counters(worker->serve), worker->clock.tsc, rte_rdtsc());
	slow_totals(worker, &now);
	if (unlikely(
	        worker->latency.ns >= atomic_load_explicit(&worker->slow.threshold_ns, memory_order_relaxed)))
		slow_pass(worker, &now);
	worker->slow.before = now;
}

/* One pass. Returns whether there was anything to do. */
static bool
worker_pass(struct worker *worker)
{
	uint64_t began_tsc = worker->clock.tsc;
	bool worked, served;

	clock_read(&worker->clock);
	/* relaxed: settings_adopt() loads it again, with acquire */
	if (unlikely(atomic_load_explicit(&worker->shared->config, memory_order_relaxed) != worker->config))
		settings_adopt(worker);
	if (worker->worked)
		worker->counters.cycles_busy += worker->clock.tsc - began_tsc;
	net_tick(worker->net, worker->clock.now_us);
	serve_tick(worker->serve, worker->clock.unix_s);

	stages_pass_begin(&worker->stages);
	worked = receive(worker) != 0;
	stage_begin(&worker->stages, STAGE_MAIL);
	worked |= read_mail(worker) != 0;
	if (unlikely(worker->again_len))
		worked |= tcp_app_again(worker);
	if (unlikely(worker->sweep.active))
		worked |= sweep_pass(worker);
	stage_begin(&worker->stages, STAGE_TIMERS);
	run_timers(worker);
	stage_begin(&worker->stages, STAGE_SEND);
	transmit(worker);
	served = worker->latency.served;
	if (served)
		count_latency(worker);
	stage_begin(&worker->stages, STAGE_TIDY);
	worked |= maintain(worker);
	store_quiesce(worker->store, worker->clock.unix_s);
	stages_pass_end(&worker->stages, worked, served ? latency_requests(&worker->latency) : 0);

	worker->counters.loops++;
	worker->counters.loops_busy += worked;
	worker->worked = worked;
	/* release: what the pass touched in a port's memory is behind it; pairs with unmap.c */
	atomic_store_explicit(&worker->heartbeat_tsc, worker->clock.tsc, memory_order_release);
	return worked;
}

/* ---- start and stop --------------------------------------------------------------------------- */

/* Those of all workers: without flow rules a packet for one may come to any. */
static struct net_port_range
own_ports(const struct worker *worker)
{
	uint16_t base = worker->config->steering_port;
	struct net_port_range range = {base + 1, base ? (uint16_t)worker->shared->workers_len : 0};

	return range;
}

static void
net_config_from(const struct worker *worker, struct net_config *net, struct tcp_config *tcp)
{
	const struct dataplane_config *config = worker->config;

	net_config_default(net);
	net->ifaces_len = worker->ports_len;
	for (unsigned i = 0; i < net->ifaces_len; i++)
		net->ifaces[i] = worker->ports[i]->iface;
	net->udp_ports[0] = rte_cpu_to_be_16(config->udp_port);
	if (config->udp_port)
		net->udp_range = own_ports(worker);
	net->cold_start_announce = worker->queue == 0;
	net->reassembly_bytes_max = (uint32_t)RTE_MIN((uint64_t)net->reassembly_bytes_max,
	    (uint64_t)dataplane_mbufs(config) * DATAPLANE_MBUF_BYTES / REASSEMBLY_SHARE);

	tcp_config_default(tcp);
	tcp->listen_ports[0] = rte_cpu_to_be_16(config->tcp_port);
	if (config->tcp_port)
		tcp->listen_range = own_ports(worker);
	/* Flows spread unevenly: each worker may take all, the limit over all workers is kept in
	 * accepted(). */
	tcp->connections_max = config->connections_max + WORKER_BURST;
	tcp->syn_backlog_max = config->syn_backlog_max;
	tcp->memory_bytes_max = RTE_MIN(config->connection_memory_bytes, (size_t)UINT32_MAX);
	tcp->rcv_buffer_bytes = config->receive_buffer_bytes;
	tcp->snd_buffer_bytes = config->send_buffer_bytes;
	tcp->rto_min_us = config->rto_min_us;
	tcp->keepalive_idle_us = config->keepalive_idle_us;
}

static int
worker_open_net(struct worker *worker)
{
	struct net_config net_config;
	struct tcp_config tcp_config;
	struct tcp_app tcp_app = {0};
	const struct net_env env = {
	    .ctx = worker,
	    .pool = worker->pool,
	    .head_pool = worker->head_pool,
	    .tx = env_tx,
	    .tx_burst = env_tx_burst,
	    .random = env_random,
	    .alloc = env_memory_alloc,
	    .free = env_memory_free,
	    .udp_input = udp_app_input,
	    .neigh_learned = env_neigh_learned,
	    .icmp_foreign = env_icmp_foreign,
	};

	for (unsigned i = 0; i < worker->ports_len; i++)
		worker->tx[i].port_id = worker->ports[i]->port_id;
	net_config_from(worker, &net_config, &tcp_config);
	tcp_app_fill(&tcp_app, worker);
	worker->net = net_stack_create(&net_config, &env, &tcp_config, &tcp_app, worker->clock.now_us);
	return worker->net ? 0 : -ENOMEM;
}

static int
worker_open_serve(struct worker *worker)
{
	const struct dataplane_config *config = worker->config;
	const struct serve_config serve_config = {
	    .version = worker->shared->version,
	    .item_max_bytes = config->store.item_max_bytes,
	    .line_max_bytes = 1 << 20,
	    .flush_enabled = config->flush_enabled,
	    .dump_disabled = !config->dump_enabled,
	    .auth = worker->shared->auth != NULL,
	};
	const struct serve_host host = {
	    .ctx = worker->cache,
	    .stats = admin_stats,
	    .verbosity = admin_verbosity,
	    .memory_limit = admin_memory_limit,
	    .shutdown = config->shutdown_enabled ? admin_shutdown : NULL,
	    .watch = worker->shared->watch,
	    .sample_every = &worker->shared->sample_every,
	    .prefixes = worker->shared->prefixes,
	    .auth_ctx = worker->desk,
	    .auth_begin = login_begin,
	    .auth_cancel = login_cancel,
	};

	worker->store = store_thread_register(worker->items, worker->items_node);
	if (!worker->store)
		return -ENOMEM;
	latency_init(&worker->latency, worker->shared->tsc_hz);
	store_quiesce(worker->store, worker->clock.unix_s);
	worker->serve = serve_create(worker->items, worker->store, &serve_config, &host);
	worker->tcp_sink = tcp_sink_create(worker);
	worker->udp_sink = udp_sink_create(worker);
	return worker->serve && worker->tcp_sink && worker->udp_sink ? 0 : -ENOMEM;
}

static void
worker_close(struct worker *worker)
{
	if (worker->net) {
		tcp_abort_all(net_tcp(worker->net));
		transmit(worker);
	}
	for (unsigned i = 0; i < worker->ports_len; i++) {
		struct worker_tx *tx = &worker->tx[i];

		rte_pktmbuf_free_bulk(tx->pkts, tx->len);
		tx->len = 0;
	}
	if (worker->net)
		net_stack_destroy(worker->net);
	free(worker->again);
	sweep_free(&worker->sweep);
	gate_destroy(worker->gate);
	udp_sink_destroy(worker->udp_sink);
	tcp_sink_destroy(worker->tcp_sink);
	if (worker->serve)
		serve_destroy(worker->serve);
	if (worker->store)
		store_thread_unregister(worker->store);
	idle_close(worker);
}

static int
worker_open(struct worker *worker)
{
	int rc;

	clock_init(
	    &worker->clock, worker->shared->start_tsc, worker->shared->tsc_hz, worker->shared->start_unix_s);
	clock_read(&worker->clock);
	worker->config = atomic_load_explicit(&worker->shared->config, memory_order_acquire);
	worker->gate = gate_create(env_random(worker));
	rc = worker->gate ? idle_open(worker) : -ENOMEM;
	if (rc == 0)
		rc = worker_open_serve(worker);
	if (rc == 0)
		rc = worker_open_net(worker);
	if (rc == 0)
		settings_adopt(worker);
	if (rc != 0)
		snprintf(worker->error, sizeof(worker->error), "worker %u could not start: %s", worker->index,
		    strerror(-rc));
	return rc;
}

/* Signals go to the control thread, but for the real-time ones by which a TAP tells its queue of packets. */
static void
signals_choose(void)
{
	sigset_t set;

	sigfillset(&set);
	for (int s = SIGRTMIN; s <= SIGRTMAX; s++)
		sigdelset(&set, s);
	pthread_sigmask(SIG_SETMASK, &set, NULL);
}

int
worker_main(void *arg)
{
	struct worker *worker = arg;

	signals_choose();
	unmap_from_worker();
	prctl(PR_SET_TIMERSLACK, 1000UL); /* nanoseconds: short sleeps stay short */
	worker->lcore = rte_lcore_id();
	if (worker_open(worker) != 0) {
		worker_close(worker);
		atomic_store_explicit(&worker->state, WORKER_FAILED, memory_order_release);
		return 0;
	}
	atomic_store_explicit(&worker->state, WORKER_RUNNING, memory_order_release);
	while (!atomic_load_explicit(&worker->shared->stop, memory_order_relaxed))
		idle_pass(worker, worker_pass(worker));
	worker_close(worker);
	atomic_store_explicit(&worker->state, WORKER_STOPPED, memory_order_release);
	return 0;
}
