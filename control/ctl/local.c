/*
 * help and completion: the table, printed.
 */
#include "control/ctl/local.h"

#include <stdio.h>

int
local_completion(const struct invocation *invocation)
{
	catalog_completion_bash(stdout);
	return WIRE_OK;
}

int
local_help(const struct invocation *invocation)
{
	const char *noun = usage_word(&invocation->given, 0);
	if (catalog_help(stdout, noun))
		return WIRE_OK;
	fprintf(stderr, "wirectl: no command \"%s\": wirectl help lists the commands\n", noun);
	return WIRE_USAGE;
}
