/*
 * Changes of the running configuration: what can change live is handed to the data plane, all of it or nothing; what was
 * there before is kept for undo, and comes back by itself when a change that wants to be confirmed is not.
 *
 * SIGHUP, `config apply`, `acl add`, `log level` and the rest all come through here. Control thread only.
 */
#ifndef WIRECACHE_CONTROL_APPLY_H
#define WIRECACHE_CONTROL_APPLY_H

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

#include "control/config.h"
#include "dataplane/dataplane.h"

#define APPLY_CONFIRM_S_MAX 86400u

struct apply {
	struct config *running;
	struct dataplane *dataplane;
	struct config before; /* what undo brings back */
	bool can_undo;
	uint64_t confirm_by_ms; /* 0: nothing waits to be confirmed */
	uint64_t now_ms;
};

void apply_init(struct apply *apply, struct config *running, struct dataplane *dataplane);

/*
 * Takes over the live part of next. *rows (may be NULL) becomes what differs, a new reference, as config_diff_json() has it.
 * 0, or negative errno with a sentence: nothing has changed then, and *rows is NULL.
 */
int apply_config(
    struct apply *apply, const struct config *next, json_t **rows, char error[DATAPLANE_ERROR_MAX]);

/* The last change comes back within that time unless apply_confirm() is called. */
void apply_confirm_within(struct apply *apply, unsigned seconds);
/* -ENOENT: nothing waits. */
int apply_confirm(struct apply *apply);
/* Goes back to before the last change; once more undoes that. -ENOENT: there was none. */
int apply_undo(struct apply *apply, json_t **rows, char error[DATAPLANE_ERROR_MAX]);

/* Seconds left to confirm; 0: nothing waits. */
unsigned apply_confirm_left_s(const struct apply *apply);

/* Once a second or so: rolls back what was not confirmed. */
void apply_tick(struct apply *apply, uint64_t now_ms);

#endif
