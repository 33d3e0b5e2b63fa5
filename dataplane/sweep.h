/*
 * Goes through a worker's open connections, a slice at a time, and ends those that have to go: silent for too long
 * (tcp.idle_timeout, or a drain), or from a source that is no longer allowed. Rests when there is no such reason.
 *
 * Whether a connection was silent is seen from outside: its sequence numbers have not moved since the last look. So
 * nothing is kept on the way of a request.
 */
#ifndef WIRECACHE_SWEEP_H
#define WIRECACHE_SWEEP_H

#include <stdbool.h>
#include <stdint.h>

struct dataplane_config;
struct worker;

struct sweep {
	bool active;
	bool draining;
	bool revoke;        /* this round looks at sources too */
	bool revoke_next;   /* the list changed in the middle of a round */
	uint32_t silent_ms; /* a connection silent for this long ends; 0: never */
	uint32_t cursor;
	uint64_t due_us;
	struct sweep_trace *traces; /* by index of the connection */
	uint32_t traces_len;
};

/* sources_changed: whoever is not allowed any more has to go. */
void sweep_adopt(struct sweep *sweep, const struct dataplane_config *config, bool sources_changed);
void sweep_free(struct sweep *sweep);

/* One slice, if it is time for one. Returns whether a connection was ended. */
bool sweep_pass(struct worker *worker);

#endif
