/*
 * The commands as wirectl knows them, from control/commands.def: lookup, help, completion. Read-only.
 */
#ifndef WIRECACHE_CTL_CATALOG_H
#define WIRECACHE_CTL_CATALOG_H

#include <stdbool.h>
#include <stdio.h>

struct invocation;

struct catalog_command {
	const char *noun, *verb, *usage, *words;
	int (*local)(const struct invocation *invocation); /* answers it here; NULL: the daemon does */
	bool exact;                                        /* text shows numbers as they are */
	const char *columns; /* members of rows that the text shows; "" for all */
	const char *help;
};

/* words: what follows wirectl's own flags. A noun whose verb is left out means its "show". NULL: no such
 * command. */
const struct catalog_command *catalog_find(const char *const words[], unsigned words_len);

bool catalog_noun_exists(const char *noun);

/* How many of the words are noun and verb; the rest are what the usage describes. */
unsigned catalog_taken(const struct catalog_command *command, unsigned words_len);

/* "wirectl config show [--effective]" */
void catalog_usage(FILE *out, const struct catalog_command *command);

/* noun NULL: all of it, flags and exit codes too. False: no such noun. */
bool catalog_help(FILE *out, const char *noun);

/* Every command, in the table's order. */
void catalog_each(void (*visit)(void *ctx, const struct catalog_command *command), void *ctx);

/* wirectl(8). manual.c */
void catalog_manual(FILE *out);

/* A bash script that completes flags, nouns, verbs and words. */
void catalog_completion_bash(FILE *out);

#endif
