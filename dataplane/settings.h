/*
 * The configuration that workers go by: an immutable copy behind one pointer. The control thread publishes another; each
 * worker takes it over at the beginning of a pass, and the old one is freed once no worker can hold it. Nobody waits.
 *
 * A live option needs a field in struct dataplane_config, and here a line in settings_adopt() only if something of the
 * worker has to be told; what a worker looks up in worker->config as it goes needs nothing.
 */
#ifndef WIRECACHE_SETTINGS_H
#define WIRECACHE_SETTINGS_H

#include <stdbool.h>

struct dataplane;
struct dataplane_config;
struct worker;

/* Copies config and makes it the one that workers go by. 0, -ENOMEM, or -EBUSY when some worker has not taken over the
 * last SETTINGS_OLD_MAX ones. Control thread; before workers run too. */
int settings_publish(struct dataplane *dataplane, const struct dataplane_config *config);
#define SETTINGS_OLD_MAX 16u

/* Frees what no worker holds any more. Control thread. */
void settings_collect(struct dataplane *dataplane);
/* Frees everything. No worker runs. */
void settings_free(struct dataplane *dataplane);

/* The worker, at the beginning of a pass, when the pointer differs from worker->config; and once when it starts. */
void settings_adopt(struct worker *worker);

#endif
