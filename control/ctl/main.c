/*
 * wirectl: one command to the daemon, its answer as text or JSON, an exit status for scripts. See
 * docs/CONTROL.md.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "control/ctl/catalog.h"
#include "control/ctl/invocation.h"
#include "control/version.h"

#define TIMEOUT_MS  5000
#define SECONDS_MAX 86400.0

static int
usage_error(const char *message, const char *word)
{
	fprintf(stderr, "wirectl: %s%s%s%s: wirectl help lists the commands\n", message,
	    *word != '\0' ? " \"" : "", word, *word != '\0' ? "\"" : "");
	return WIRE_USAGE;
}

static bool
parse_seconds(const char *text, double *seconds)
{
	char *end;
	*seconds = strtod(text, &end);
	return end != text && *end == '\0' && *seconds >= 0.1 && *seconds <= SECONDS_MAX;
}

/* The value of a flag: behind =, glued to the letter, or the next argument. NULL: not this flag. */
static const char *
flag_value(const char *letter, const char *name, int argc, char **argv, int *at)
{
	const char *word = argv[*at];
	size_t name_len = strlen(name);
	if (strncmp(word, name, name_len) == 0 && word[name_len] == '=')
		return word + name_len + 1;
	if (strcmp(word, letter) == 0 || strcmp(word, name) == 0)
		return *at + 1 < argc ? argv[++*at] : "";
	return strncmp(word, letter, 2) == 0 ? word + 2 : NULL;
}

static bool
is_flag(const char *word, const char *letter, const char *name)
{
	return strcmp(word, letter) == 0 || strcmp(word, name) == 0;
}

/* 1: was a flag; 0: was none; -1: a wrong one, said so. */
static int
parse_flag(struct invocation *invocation, int argc, char **argv, int *at)
{
	const char *word = argv[*at], *value;
	double seconds;
	if (is_flag(word, "-j", "--json"))
		return invocation->json = true, 1;
	if (is_flag(word, "-h", "--help"))
		return invocation->help = true, 1;
	if (is_flag(word, "-V", "--version"))
		return invocation->version = true, 1;
	if (strcmp(word, "--no-color") == 0)
		return invocation->no_color = true, 1;
	if ((value = flag_value("-s", "--socket", argc, argv, at)) != NULL) {
		invocation->socket_path = value;
		return *value != '\0' ? 1 : (usage_error("expected a path behind", word), -1);
	}
	if ((value = flag_value("-T", "--timeout", argc, argv, at)) != NULL) {
		if (!parse_seconds(value, &seconds))
			return usage_error("expected seconds, 0.1 or more, behind", word), -1;
		invocation->timeout_ms = (int)(seconds * 1000);
		return 1;
	}
	if ((value = flag_value("-w", "--watch", argc, argv, at)) != NULL)
		return parse_seconds(value, &invocation->watch_s)
		           ? 1
		           : (usage_error("expected seconds, 0.1 or more, behind", word), -1);
	return 0;
}

/* Behind noun and verb a flag that the command's usage names is the command's, else wirectl's. */
static bool
is_the_commands(const struct invocation *invocation, const char *word)
{
	bool takes_value;
	const struct catalog_command *command = catalog_find(invocation->words, invocation->words_len);
	return command != NULL && usage_has_flag(command->usage, word, &takes_value);
}

static bool
parse(struct invocation *invocation, int argc, char **argv)
{
	const char *socket_path = getenv(WIRE_SOCKET_ENV);
	*invocation = (struct invocation){
	    .socket_path = socket_path != NULL ? socket_path : WIRE_SOCKET_DEFAULT, .timeout_ms = TIMEOUT_MS};
	for (int at = 1; at < argc; at++) {
		int flag =
		    is_the_commands(invocation, argv[at]) ? 0 : parse_flag(invocation, argc, argv, &at);
		if (flag < 0)
			return false;
		if (flag > 0)
			continue;
		if (argv[at][0] == '-' && invocation->words_len == 0)
			return usage_error("unknown flag", argv[at]), false;
		if (invocation->words_len == INVOCATION_WORDS_MAX)
			return usage_error("too many words", ""), false;
		invocation->words[invocation->words_len++] = argv[at];
	}
	return true;
}

/* Finds the command and reads the words behind it; false with a message printed. */
static bool
understand(struct invocation *invocation)
{
	char error[USAGE_ERROR_MAX];
	const struct catalog_command *command = catalog_find(invocation->words, invocation->words_len);
	if (command == NULL) {
		if (invocation->words_len < 2 && catalog_help(stderr, invocation->words[0]))
			return false;
		if (invocation->words_len > 1 && catalog_noun_exists(invocation->words[0]))
			fprintf(stderr,
			    "wirectl: unknown command \"%s %s\": wirectl help %s lists the commands\n",
			    invocation->words[0], invocation->words[1], invocation->words[0]);
		else
			usage_error("unknown command", invocation->words[0]);
		return false;
	}
	unsigned taken = catalog_taken(command, invocation->words_len);
	invocation->command = command;
	if (usage_parse(command->usage, invocation->words + taken, invocation->words_len - taken,
	        &invocation->given, error))
		return true;
	fprintf(stderr, "wirectl: %s: usage: ", error);
	catalog_usage(stderr, command);
	fputc('\n', stderr);
	return false;
}

static int
ask_once(const struct invocation *invocation)
{
	json_t *result;
	enum wire_exit code = invocation_ask(invocation, &result);
	if (result != NULL)
		invocation_print(invocation, result);
	json_decref(result);
	return code;
}

static int
ask_repeatedly(const struct invocation *invocation)
{
	struct timespec pause = {.tv_sec = (time_t)invocation->watch_s};
	pause.tv_nsec = (long)((invocation->watch_s - (double)pause.tv_sec) * 1e9);
	for (;;) {
		int code = ask_once(invocation);
		if (fflush(stdout) != 0 || code == WIRE_USAGE || code == WIRE_UNREACHABLE)
			return code;
		nanosleep(&pause, NULL);
		if (!invocation->json && !isatty(STDOUT_FILENO))
			putchar('\n');
	}
}

int
main(int argc, char **argv)
{
	struct invocation invocation;
	if (!parse(&invocation, argc, argv))
		return WIRE_USAGE;
	if (invocation.version) {
		printf("wirectl %s\n", wirecache_version);
		return WIRE_OK;
	}
	if (invocation.help) {
		catalog_help(stdout, invocation.words_len > 0 ? invocation.words[0] : NULL);
		return WIRE_OK;
	}
	if (invocation.words_len == 0) {
		catalog_help(stderr, NULL);
		return WIRE_USAGE;
	}
	if (!understand(&invocation))
		return WIRE_USAGE;
	if (invocation.command->local != NULL)
		return invocation.command->local(&invocation);
	return invocation.watch_s > 0 ? ask_repeatedly(&invocation) : ask_once(&invocation);
}
