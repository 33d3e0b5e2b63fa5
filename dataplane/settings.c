/*
 * See settings.h. A copy is freed when every running worker has adopted a newer one: the mark of adoption is stored
 * after the last use of the old copy, since a worker reads worker->config only and that has changed before.
 */
#include "dataplane/settings.h"

#include <errno.h>
#include <stdlib.h>

#include "dataplane/internal.h"

int
settings_publish(struct dataplane *dataplane, const struct dataplane_config *config)
{
	struct settings *next;

	settings_collect(dataplane);
	if (dataplane->settings_old >= SETTINGS_OLD_MAX)
		return -EBUSY;
	next = malloc(sizeof(*next));
	if (!next)
		return -ENOMEM;
	next->config = *config;
	next->older = dataplane->settings;
	dataplane->settings_old += dataplane->settings != NULL;
	dataplane->settings = next;
	/* release: the copy is whole; pairs with the load in worker_pass() */
	atomic_store_explicit(&dataplane->shared.config, &next->config, memory_order_release);
	for (unsigned i = 0; dataplane->launched && i < dataplane->workers_len; i++)
		mailbox_wake(&dataplane->workers[i].mailbox);
	return 0;
}

static bool
adopted_by_all(const struct dataplane *dataplane, const struct settings *settings)
{
	for (unsigned i = 0; dataplane->launched && i < dataplane->workers_len; i++) {
		const struct worker *worker = &dataplane->workers[i];

		if (atomic_load_explicit(&worker->state, memory_order_acquire) == WORKER_RUNNING &&
		    atomic_load_explicit(&worker->config_adopted, memory_order_acquire) != &settings->config)
			return false;
	}
	return true;
}

static void
free_older(struct dataplane *dataplane, struct settings *than)
{
	struct settings *old;

	while ((old = than->older)) {
		than->older = old->older;
		free(old);
		dataplane->settings_old--;
	}
}

/* Workers go from older to newer, some leave one out: only when all hold the newest is none of the others held. */
void
settings_collect(struct dataplane *dataplane)
{
	if (dataplane->settings_old && adopted_by_all(dataplane, dataplane->settings))
		free_older(dataplane, dataplane->settings);
}

void
settings_free(struct dataplane *dataplane)
{
	if (!dataplane->settings)
		return;
	free_older(dataplane, dataplane->settings);
	free(dataplane->settings);
	dataplane->settings = NULL;
}

/* ---- the worker ------------------------------------------------------------------------------- */

void
settings_adopt(struct worker *worker)
{
	/* acquire: pairs with the store in settings_publish() */
	const struct dataplane_config *config =
	    atomic_load_explicit(&worker->shared->config, memory_order_acquire);

	worker->config = config;
	net_udp_bind(worker->net, rte_cpu_to_be_16(config->udp_port));
	tcp_set_connections_max(net_tcp(worker->net), config->connections_max + WORKER_BURST);
	sweep_adopt(&worker->sweep, config, gate_adopt(worker->gate, config));
	worker->guards_datagrams = gate_guards_datagrams(worker->gate);
	/* release: the copy of before is not looked at any more; pairs with adopted_by_all() */
	atomic_store_explicit(&worker->config_adopted, config, memory_order_release);
}
