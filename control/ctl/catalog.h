/*
 * The commands as wirectl knows them, from control/commands.def: lookup, help, completion. Read-only.
 */
#ifndef WIRECACHE_CTL_CATALOG_H
#define WIRECACHE_CTL_CATALOG_H

#include <stdbool.h>
#include <stdio.h>

struct catalog_command {
	const char *noun, *verb, *arguments, *words;
	bool local;          /* answered without the daemon */
	bool exact;          /* text shows numbers as they are */
	const char *columns; /* members of rows that the text shows; "" for all */
	const char *help;
};

/* words: what follows wirectl's own flags. A noun whose verb is left out means its "show". NULL: no such
 * command. */
const struct catalog_command *catalog_find(char *const words[], unsigned words_len);

/* How many of the words are noun and verb; the rest are arguments. */
unsigned catalog_taken(const struct catalog_command *command, char *const words[], unsigned words_len);

/* Do so many arguments fit? */
bool catalog_accepts(const struct catalog_command *command, unsigned arguments_len);
bool catalog_takes_file(const struct catalog_command *command);

/* "wirectl config show [--effective]" */
void catalog_usage(FILE *out, const struct catalog_command *command);

/* noun NULL: all of it, flags and exit codes too. False: no such noun. */
bool catalog_help(FILE *out, const char *noun);

/* A bash script that completes flags, nouns, verbs and words. */
void catalog_completion_bash(FILE *out);

#endif
