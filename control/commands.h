/*
 * What the control socket answers: dispatch by commands.def, and one handler a command.
 *
 * Handlers read configuration, counters and facts; what changes goes through apply.h and drain.h. None waits for a worker.
 * Control thread only.
 */
#ifndef WIRECACHE_CONTROL_COMMANDS_H
#define WIRECACHE_CONTROL_COMMANDS_H

#include <stdint.h>

#include <jansson.h>

#include "control/apply.h"
#include "control/config.h"
#include "control/drain.h"
#include "control/observed.h"
#include "control/sample.h"
#include "control/usage.h"
#include "dataplane/dataplane.h"

#define COMMANDS_DUMPS_MAX 8u /* that go on at once; the oldest gives way */

/* A dump of keys between two requests. */
struct commands_dump {
	uint64_t number; /* what the client gives back; 0: none */
	struct store_cursor cursor;
};

struct commands {
	struct config *config;         /* the running one */
	struct config_sources sources; /* where it came from, to read it again */
	struct dataplane *dataplane;
	struct sample_window window; /* for figures of the last seconds */
	struct observed observed;
	struct commands_dump dumps[COMMANDS_DUMPS_MAX];
	uint64_t dumps_begun;
	uint64_t capture_read_ms; /* when a capture was last read, 0: there is none */
	uint64_t now_ms;          /* of the last tick */
	struct apply apply;
	struct drain drain;
};

/* A request in hand. A handler returns its result (new reference), or NULL with `error` filled in. */
struct commands_call {
	const json_t *request;
	struct usage_words words; /* behind noun and verb, as the usage has them */
	int exit_code;            /* WIRE_OK unless the handler says otherwise */
	char error[512];
};

void commands_init(struct commands *commands, struct config *config, const struct config_sources *sources,
    struct dataplane *dataplane);

/* Once a second or so: keeps the figures of the last seconds. */
void commands_tick(struct commands *commands, uint64_t now_ms);

/* struct server_config.answer: never fails, a bad request is answered with an error. commands_ctx: struct
 * commands. */
json_t *commands_answer(void *commands_ctx, const json_t *request);

/* Ends a capture that nobody reads any more; commands_tick() does it. */
void commands_capture_tick(struct commands *commands);

/* The handlers, for commands.def. */
#define COMMAND(noun, verb, usage, words, handler, view, columns, help) \
	json_t *handler(struct commands *commands, struct commands_call *call);
#define LOCAL_COMMAND(...)
#include "control/commands.def"
#undef COMMAND
#undef LOCAL_COMMAND

/* For the handlers of changes: seconds behind a flag, and what a change did. commands_config.c */
bool commands_seconds(
    struct commands_call *call, const char *flag, unsigned least, unsigned most, unsigned *seconds);
json_t *commands_changed(
    struct commands *commands, struct commands_call *call, const char *done, json_t *rows);

/* "10.77.0.2/24" and "fd00::2/64" of a port, as far as configured. */
json_t *commands_port_addresses(const struct config *config, unsigned port);

#endif
