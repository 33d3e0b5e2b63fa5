/*
 * Start and stop of the data plane, in order: EAL, ports found, store, packet memory, ports started, workers
 * launched; and back. Snapshots for the control plane are in info.c, what the wire's `stats` answers in
 * admin.c.
 */
#include "dataplane/internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>
#include <rte_launch.h>
#include <rte_lcore.h>

#include "dataplane/capture.h"
#include "dataplane/login.h"
#include "dataplane/observe.h"
#include "dataplane/proto/request.h"
#include "dataplane/tap.h"
#include "dataplane/telemetry.h"
#include "dataplane/unmap.h"

#define MBUF_CACHE 256u

void
dataplane_config_default(struct dataplane_config *config)
{
	memset(config, 0, sizeof(*config));
	config->control_cpu = -1;
	snprintf(config->file_prefix, sizeof(config->file_prefix), "wirecache");
	config->tcp_port = 11211;
	config->udp_port = 11211;
	config->connections_max = 65536;
	config->syn_backlog_max = 4096;
	config->connection_memory_bytes = (size_t)512 << 20;
	config->rto_min_us = 200000;
	config->keepalive_idle_us = 60000000;
	config->receive_buffer_bytes = 256 << 10;
	config->send_buffer_bytes = 256 << 10;
	config->flush_enabled = true;
	config->dump_enabled = true;
	config->watch_enabled = true;
	config->udp_reply_datagrams_max = DATAPLANE_UDP_REPLY_MAX;
	store_config_default(&config->store);
}

/* ---- memory ----------------------------------------------------------------------------------- */

static int
pool_create(struct worker *worker, const char *what, unsigned mbufs, uint16_t room, struct rte_mempool **pool,
    char error[DATAPLANE_ERROR_MAX])
{
	char name[RTE_MEMPOOL_NAMESIZE];

	snprintf(name, sizeof(name), "%s-%u", what, worker->index);
	*pool = rte_pktmbuf_pool_create(name, mbufs, MBUF_CACHE, 0, room, worker->node);
	if (*pool)
		return 0;
	snprintf(error, DATAPLANE_ERROR_MAX,
	    "no packet memory for worker %u on node %d (%u buffers of %zu B): reserve more hugepages there, "
	    "or "
	    "lower workers.mbufs",
	    worker->index, worker->node, mbufs, DATAPLANE_MBUF_BYTES);
	return -ENOMEM;
}

static int
pools_create(struct dataplane *dataplane, char error[DATAPLANE_ERROR_MAX])
{
	int rc = 0;

	for (unsigned i = 0; rc == 0 && i < dataplane->workers_len; i++) {
		struct worker *worker = &dataplane->workers[i];

		rc = pool_create(worker, "worker", dataplane_mbufs(&dataplane->config), DATAPLANE_MBUF_ROOM,
		    &worker->pool, error);
		if (rc == 0)
			rc = pool_create(
			    worker, "heads", DATAPLANE_HEADS, DATAPLANE_HEAD_ROOM, &worker->head_pool, error);
	}
	return rc;
}

/* ---- ports ------------------------------------------------------------------------------------ */

static int
ports_find(struct dataplane *dataplane, char error[DATAPLANE_ERROR_MAX])
{
	bool ours = dataplane->config.workers == 0 &&
	            (dataplane->config.worker_cpus_len == 0 || dataplane->config.worker_cpus_planned);

	for (unsigned i = 0; i < dataplane->config.ports_len; i++) {
		struct port *port = &dataplane->ports[i];
		int rc = port_find(port, &dataplane->config.ports[i], error);

		if (rc != 0)
			return rc;
		dataplane->ports_len++;
		if (ours) /* the number of workers is ours to choose */
			dataplane->workers_len = RTE_MIN(dataplane->workers_len, port->queues_max);
	}
	return 0;
}

static int
ports_start(struct dataplane *dataplane, char error[DATAPLANE_ERROR_MAX])
{
	for (unsigned i = 0; i < dataplane->ports_len; i++) {
		struct rte_mempool *pools[DATAPLANE_WORKERS_MAX];
		unsigned queues = 0;

		for (unsigned w = 0; w < dataplane->workers_len; w++)
			if (dataplane->topology.worker_cache[w] == dataplane->topology.port_cache[i])
				pools[queues++] = dataplane->workers[w].pool;
		int rc = port_start(&dataplane->ports[i], pools, queues, error);
		if (rc != 0)
			return rc;
		/* This thread's caches took more than the queues needed; no worker could use it. */
		for (unsigned w = 0; w < queues; w++)
			rte_mempool_cache_flush(NULL, pools[w]);
	}
	place_steering(dataplane);
	return 0;
}

/* ---- workers ---------------------------------------------------------------------------------- */

static int
workers_create(struct dataplane *dataplane, char error[DATAPLANE_ERROR_MAX])
{
	struct worker_shared *shared = &dataplane->shared;

	/* Aligned, so that what one worker writes lies in no line of another. */
	if (posix_memalign((void **)&dataplane->workers, RTE_CACHE_LINE_SIZE,
	        dataplane->workers_len * sizeof(struct worker)) != 0)
		return -ENOMEM;
	memset(dataplane->workers, 0, dataplane->workers_len * sizeof(struct worker));
	shared->workers = dataplane->workers;
	shared->workers_len = dataplane->workers_len;
	for (unsigned i = 0; i < dataplane->workers_len; i++) {
		struct worker *worker = &dataplane->workers[i];
		char name[RTE_RING_NAMESIZE];
		int rc;

		worker->shared = shared;
		worker->index = i;
		worker->lcore = i + 1;
		worker->cpu = dataplane->cpus[i];
		worker->node = (int)rte_lcore_to_socket_id(worker->lcore);
		worker->epoll_fd = -1;
		place_worker(dataplane, worker);
		snprintf(name, sizeof(name), "mailbox-%u", i);
		rc = mailbox_open(&worker->mailbox, name, worker->node);
		if (rc != 0) {
			snprintf(
			    error, DATAPLANE_ERROR_MAX, "no mailbox for worker %u: %s", i, strerror(-rc));
			return rc;
		}
	}
	return 0;
}

static int
workers_launch(struct dataplane *dataplane, char error[DATAPLANE_ERROR_MAX])
{
	dataplane->launched = true;
	for (unsigned i = 0; i < dataplane->workers_len; i++)
		rte_eal_remote_launch(worker_main, &dataplane->workers[i], dataplane->workers[i].lcore);
	for (unsigned i = 0; i < dataplane->workers_len; i++) {
		struct worker *worker = &dataplane->workers[i];

		while (atomic_load_explicit(&worker->state, memory_order_acquire) == WORKER_STARTING)
			usleep(1000);
		if (worker->state == WORKER_FAILED) {
			snprintf(error, DATAPLANE_ERROR_MAX, "%s", worker->error);
			return -ENOMEM;
		}
	}
	return 0;
}

/* ---- logins ----------------------------------------------------------------------------------- */

/* The file is read before any hardware is touched: its mistakes are the likeliest. */
static int
auth_open(struct dataplane *dataplane, char error[DATAPLANE_ERROR_MAX])
{
	static_assert(CREDENTIALS_ERROR_MAX <= DATAPLANE_ERROR_MAX, "one buffer for both");
	const struct dataplane_config *config = &dataplane->config;

	if (!config->auth_file[0])
		return 0;
	if (config->udp_port) {
		snprintf(error, DATAPLANE_ERROR_MAX,
		    "logins are asked for, but over UDP nobody can log in: set udp.port to 0");
		return -EINVAL;
	}
	dataplane->shared.auth = auth_create(config->auth_file, error);
	return dataplane->shared.auth ? 0 : -EINVAL;
}

static int
desks_create(struct dataplane *dataplane)
{
	struct worker_shared *shared = &dataplane->shared;

	if (!shared->auth)
		return 0;
	for (unsigned i = 0; i < dataplane->workers_len; i++) {
		struct worker *worker = &dataplane->workers[i];

		worker->desk = login_desk_create(worker, shared->auth);
		if (!worker->desk)
			return -ENOMEM;
	}
	return auth_start(shared->auth);
}

int
dataplane_reload_auth(struct dataplane *dataplane, char error[DATAPLANE_ERROR_MAX])
{
	error[0] = '\0';
	return dataplane->shared.auth ? auth_reload(dataplane->shared.auth, error) : 0;
}

/* ---- another configuration -------------------------------------------------------------------- */

/* What a running data plane cannot change stays as it is, whatever was asked for. */
static struct dataplane_config
live_part_of(const struct dataplane *dataplane, const struct dataplane_config *config)
{
	struct dataplane_config next = dataplane->config;

	next.idle = config->idle;
	next.udp_port = config->udp_port;
	next.connections_max = config->connections_max;
	next.store.memory_bytes = config->store.memory_bytes;
	memcpy(next.auth_file, config->auth_file, sizeof(next.auth_file));
	next.verbosity = config->verbosity;
	memcpy(next.acl_allow, config->acl_allow, sizeof(next.acl_allow));
	next.acl_allow_len = config->acl_allow_len;
	next.connections_per_s = config->connections_per_s;
	next.datagrams_per_s = config->datagrams_per_s;
	next.idle_timeout_us = config->idle_timeout_us;
	next.udp_reply_datagrams_max = config->udp_reply_datagrams_max;
	next.draining = config->draining;
	next.sample_every = config->sample_every;
	next.slow_us = config->slow_us;
	return next;
}

static int
memory_limit_change(struct dataplane *dataplane, size_t bytes, char error[DATAPLANE_ERROR_MAX])
{
	int rc;

	if (bytes == dataplane->config.store.memory_bytes)
		return 0;
	rc = items_set_limit(&dataplane->whole, bytes);
	if (rc != 0)
		snprintf(error, DATAPLANE_ERROR_MAX,
		    "memory.limit cannot become %zu MB in a running store (%s): restart wirecached",
		    bytes >> 20, strerror(-rc));
	return rc;
}

static int
auth_file_change(struct dataplane *dataplane, const char *path, char error[DATAPLANE_ERROR_MAX])
{
	if (strcmp(path, dataplane->config.auth_file) == 0)
		return 0;
	if (!dataplane->shared.auth || !path[0]) {
		snprintf(error, DATAPLANE_ERROR_MAX,
		    "auth.file: logins cannot be turned on or off in a running daemon: restart wirecached");
		return -EINVAL;
	}
	return auth_reload_from(dataplane->shared.auth, path, error);
}

/* The steps that may fail, in an order that the caller undoes. */
static int
configure_steps(
    struct dataplane *dataplane, const struct dataplane_config *next, char error[DATAPLANE_ERROR_MAX])
{
	int rc = auth_file_change(dataplane, next->auth_file, error);

	if (rc == 0)
		rc = memory_limit_change(dataplane, next->store.memory_bytes, error);
	if (rc != 0)
		return rc;
	rc = settings_publish(dataplane, next);
	if (rc == -EBUSY)
		snprintf(error, DATAPLANE_ERROR_MAX,
		    "a worker makes no progress and has not taken over earlier changes: see wirectl status");
	else if (rc != 0)
		snprintf(error, DATAPLANE_ERROR_MAX, "no memory");
	return rc;
}

int
dataplane_configure(
    struct dataplane *dataplane, const struct dataplane_config *config, char error[DATAPLANE_ERROR_MAX])
{
	const struct dataplane_config *before = &dataplane->config;
	const struct dataplane_config next = live_part_of(dataplane, config);
	char ignored[DATAPLANE_ERROR_MAX];
	int rc;

	error[0] = '\0';
	rc = configure_steps(dataplane, &next, error);
	if (rc == 0) {
		atomic_store_explicit(&dataplane->verbosity, next.verbosity, memory_order_relaxed);
		observe_configure(dataplane, next.sample_every, next.slow_us);
		rte_spinlock_lock(&dataplane->config_lock);
		dataplane->config = next;
		rte_spinlock_unlock(&dataplane->config_lock);
		return 0;
	}
	if (before->store.memory_bytes != next.store.memory_bytes)
		(void)items_set_limit(&dataplane->whole, before->store.memory_bytes);
	if (dataplane->shared.auth && strcmp(before->auth_file, next.auth_file) != 0)
		(void)auth_reload_from(dataplane->shared.auth, before->auth_file, ignored);
	return rc;
}

void
dataplane_tick(struct dataplane *dataplane)
{
	settings_collect(dataplane);
	tap_tick(dataplane->ports, dataplane->ports_len);
}

/* ---- start and stop --------------------------------------------------------------------------- */

static int
start_steps(struct dataplane *dataplane, const char *program, char error[DATAPLANE_ERROR_MAX])
{
	struct worker_shared *shared = &dataplane->shared;
	int rc;

	rc = auth_open(dataplane, error);
	if (rc == 0)
		rc = eal_start(dataplane, program, error);
	if (rc != 0)
		return rc;
	shared->start_tsc = rte_rdtsc();
	shared->tsc_hz = rte_get_tsc_hz();
	shared->start_unix_s = (uint32_t)time(NULL);
	rc = ports_find(dataplane, error);
	if (rc == 0)
		rc = place_plan(dataplane, error);
	if (rc == 0)
		rc = items_open(dataplane, error);
	if (rc == 0)
		rc = workers_create(dataplane, error);
	if (rc == 0)
		rc = desks_create(dataplane);
	if (rc == 0)
		rc = pools_create(dataplane, error);
	if (rc == 0)
		rc = ports_start(dataplane, error);
	if (rc != 0)
		return rc;
	rc = settings_publish(dataplane, &dataplane->config);
	if (rc != 0)
		return rc;
	shared->dataplane = dataplane;
	shared->ports = dataplane->ports;
	shared->ports_len = dataplane->ports_len;
	observe_configure(dataplane, dataplane->config.sample_every, dataplane->config.slow_us);
	rc = workers_launch(dataplane, error);
	if (rc == 0)
		telemetry_open(dataplane);
	return rc;
}

int
dataplane_start(const struct dataplane_config *config, const char *program, const char *version,
    struct dataplane **out, char error[DATAPLANE_ERROR_MAX])
{
	struct dataplane *dataplane = calloc(1, sizeof(*dataplane));
	int rc;

	*out = NULL;
	error[0] = '\0';
	if (!dataplane) {
		snprintf(error, DATAPLANE_ERROR_MAX, "no memory");
		return -ENOMEM;
	}
	dataplane->config = *config;
	atomic_init(&dataplane->verbosity, config->verbosity);
	dataplane->whole = (struct cache){.dataplane = dataplane, .index = -1};
	snprintf(dataplane->version, sizeof(dataplane->version), "%s-wirecache-%.*s", PROTO_MEMCACHED_VERSION,
	    (int)strcspn(version, "-"), version);
	dataplane->shared.version = dataplane->version;
	eal_log_begin(dataplane);
	if (config->watch_enabled)
		dataplane->shared.watch = watch_create();
	dataplane->shared.prefixes = prefixes_create();
	rc = !dataplane->shared.prefixes || (config->watch_enabled && !dataplane->shared.watch)
	         ? -ENOMEM
	         : start_steps(dataplane, program, error);
	eal_log_end(dataplane, rc != 0 || config->verbosity > 0);
	if (rc != 0) {
		if (!error[0])
			snprintf(error, DATAPLANE_ERROR_MAX, "start failed: %s", strerror(-rc));
		dataplane_stop(dataplane);
		return rc;
	}
	*out = dataplane;
	return 0;
}

void
dataplane_stop(struct dataplane *dataplane)
{
	telemetry_close();
	auth_stop(dataplane->shared.auth);
	atomic_store_explicit(&dataplane->shared.stop, true, memory_order_relaxed);
	for (unsigned i = 0; dataplane->launched && i < dataplane->workers_len; i++) {
		mailbox_wake(&dataplane->workers[i].mailbox);
		rte_eal_wait_lcore(dataplane->workers[i].lcore);
	}
	unmap_unguarded();
	for (unsigned i = 0; i < dataplane->ports_len; i++)
		port_stop(&dataplane->ports[i]);
	for (unsigned i = 0; dataplane->workers && i < dataplane->workers_len; i++) {
		rte_mempool_free(dataplane->workers[i].pool);
		rte_mempool_free(dataplane->workers[i].head_pool);
		login_desk_destroy(dataplane->workers[i].desk);
		if (dataplane->workers[i].mailbox.ring)
			mailbox_close(&dataplane->workers[i].mailbox);
	}
	capture_destroy(dataplane->shared.capture);
	auth_destroy(dataplane->shared.auth);
	watch_destroy(dataplane->shared.watch);
	prefixes_destroy(dataplane->shared.prefixes);
	items_close(dataplane);
	settings_free(dataplane);
	eal_stop(dataplane);
	free(dataplane->workers);
	free(dataplane);
}
