/*
 * One run of wirectl: what the command line said, and what any command needs to act on it: ask the daemon, print what
 * it answered.
 */
#ifndef WIRECACHE_CTL_INVOCATION_H
#define WIRECACHE_CTL_INVOCATION_H

#include <stdbool.h>

#include <jansson.h>

#include "control/ctl/catalog.h"
#include "control/ctl/render.h"
#include "control/usage.h"
#include "control/wire.h"

#define INVOCATION_WORDS_MAX 24u

struct invocation {
	bool json, no_color, help, version;
	const char *socket_path;
	int timeout_ms;
	double watch_s;                          /* 0: once */
	const char *words[INVOCATION_WORDS_MAX]; /* all that are no flags of wirectl's own */
	unsigned words_len;

	const struct catalog_command *command; /* NULL while unknown */
	struct usage_words given;              /* the words behind noun and verb */
};

/*
 * Sends noun, verb and the words given, with the content of FILE if the command takes one. *result: a new reference, or
 * NULL when there is none and a sentence was printed. Returns the exit code.
 */
enum wire_exit invocation_ask(const struct invocation *invocation, json_t **result);

/* The same for a request of the caller's making, whose reference is taken. */
enum wire_exit invocation_call(const struct invocation *invocation, json_t *request, json_t **result);

/* As JSON or as text, as the flags and the terminal say. */
void invocation_print(const struct invocation *invocation, json_t *result);
struct render_style invocation_style(const struct invocation *invocation);

#endif
