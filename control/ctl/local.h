/*
 * Commands that wirectl answers itself, for commands.def: each returns the exit code.
 */
#ifndef WIRECACHE_CTL_LOCAL_H
#define WIRECACHE_CTL_LOCAL_H

#include "control/ctl/invocation.h"

#define COMMAND(...)
#define LOCAL_COMMAND(noun, verb, usage, words, handler, help) \
	int handler(const struct invocation *invocation);
#include "control/commands.def"
#undef COMMAND
#undef LOCAL_COMMAND

#endif
