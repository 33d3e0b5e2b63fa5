/*
 * See apply.h.
 */
#include "control/apply.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "control/log.h"

void
apply_init(struct apply *apply, struct config *running, struct dataplane *dataplane)
{
	memset(apply, 0, sizeof(*apply));
	apply->running = running;
	apply->dataplane = dataplane;
}

/* Hands `next` to the data plane and makes it the running one. */
static int
switch_to(struct apply *apply, const struct config *next, char error[DATAPLANE_ERROR_MAX])
{
	int result = dataplane_configure(apply->dataplane, &next->dataplane, error);
	if (result != 0)
		return result;
	apply->before = *apply->running;
	apply->can_undo = true;
	*apply->running = *next;
	log_set_verbosity(next->dataplane.verbosity);
	return 0;
}

static bool
any_live(const json_t *differences)
{
	size_t at;
	json_t *row;
	json_array_foreach ((json_t *)differences, at, row)
		if (strcmp(json_string_value(json_object_get(row, "applies")), "live") == 0)
			return true;
	return false;
}

int
apply_config(struct apply *apply, const struct config *next, json_t **rows, char error[DATAPLANE_ERROR_MAX])
{
	static struct config changed; /* large; control thread only */
	if (rows != NULL)
		*rows = NULL;
	if (apply->confirm_by_ms != 0) {
		snprintf(error, DATAPLANE_ERROR_MAX,
		    "the last change waits to be confirmed: wirectl config confirm, or config undo");
		return -EBUSY;
	}
	json_t *differences = config_diff_json(apply->running, next);
	changed = *apply->running;
	config_apply_live(&changed, next);
	/* What changes nothing is no change to undo, but values may come from other places now. */
	int result = 0;
	if (any_live(differences))
		result = switch_to(apply, &changed, error);
	else
		*apply->running = changed;
	if (result == 0 && rows != NULL)
		*rows = json_incref(differences);
	json_decref(differences);
	return result;
}

void
apply_confirm_within(struct apply *apply, unsigned seconds)
{
	apply->confirm_by_ms = apply->now_ms + 1000ull * seconds;
}

int
apply_confirm(struct apply *apply)
{
	if (apply->confirm_by_ms == 0)
		return -ENOENT;
	apply->confirm_by_ms = 0;
	return 0;
}

int
apply_undo(struct apply *apply, json_t **rows, char error[DATAPLANE_ERROR_MAX])
{
	static struct config back;
	if (!apply->can_undo) {
		snprintf(error, DATAPLANE_ERROR_MAX, "nothing has been changed since the start");
		return -ENOENT;
	}
	uint64_t confirm_by_ms = apply->confirm_by_ms;
	back = apply->before;
	back.dataplane.draining = apply->running->dataplane.draining; /* is no part of the configuration */
	apply->confirm_by_ms = 0;
	json_t *differences = config_diff_json(apply->running, &back);
	int result = switch_to(apply, &back, error);
	if (result != 0)
		apply->confirm_by_ms = confirm_by_ms;
	else if (rows != NULL)
		*rows = json_incref(differences);
	json_decref(differences);
	return result;
}

unsigned
apply_confirm_left_s(const struct apply *apply)
{
	if (apply->confirm_by_ms == 0)
		return 0;
	uint64_t left_ms = apply->confirm_by_ms > apply->now_ms ? apply->confirm_by_ms - apply->now_ms : 0;
	return left_ms > 0 ? (unsigned)((left_ms + 999) / 1000) : 1;
}

void
apply_tick(struct apply *apply, uint64_t now_ms)
{
	char error[DATAPLANE_ERROR_MAX];
	apply->now_ms = now_ms;
	if (apply->confirm_by_ms == 0 || now_ms < apply->confirm_by_ms)
		return;
	if (apply_undo(apply, NULL, error) == 0)
		log_line(LOG_LEVEL_WARNING,
		    "the configuration was not confirmed in time: the one of before is back");
	else
		log_line(LOG_LEVEL_ERROR,
		    "the configuration was not confirmed in time, and cannot be undone: %s", error);
}
