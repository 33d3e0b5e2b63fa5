/*
 * What on this machine keeps the appliance from starting or from being fast, each finding with the command that mends it.
 * Nothing is changed here: wirectl runs the commands, and by itself only those marked safe: they end with the next boot, take
 * nothing from anybody, and cut nobody off.
 */
#ifndef WIRECACHE_CONTROL_DOCTOR_H
#define WIRECACHE_CONTROL_DOCTOR_H

#include <stdbool.h>

#include <jansson.h>

#include "control/config.h"
#include "control/host.h"

enum doctor_state {
	DOCTOR_OK,
	DOCTOR_ADVICE,  /* works, but slower or less steadily than it could */
	DOCTOR_FAILING, /* the appliance cannot start, or should not */
};

struct doctor {
	const struct config *config;
	const struct host *host;
	json_t *rows;
	bool running; /* this is the daemon: it holds its memory already */
	unsigned failing;
};

/* A row; fix "" for none. */
void doctor_add(struct doctor *doctor, const char *check, enum doctor_state state, bool safe, const char *fix,
    const char *format, ...) __attribute__((format(printf, 6, 7)));

/*
 * Array of {check, state, detail, fix, safe}. quick: only what keeps it from starting. *failing: how many. New reference.
 */
json_t *doctor_run(
    const struct config *config, const char *root, bool running, bool quick, unsigned *failing);

/* Whether a word means itself to a shell: what holds other characters is in no command that runs by itself. */
bool doctor_plain(const char *word);

/* The parts: doctor_memory.c, doctor_cards.c, doctor_cores.c */
void doctor_memory(struct doctor *doctor);
void doctor_rights(struct doctor *doctor);
void doctor_cards(struct doctor *doctor, bool quick);
void doctor_cores(struct doctor *doctor);

#endif
