/*
 * wirectl: one command to the daemon, its answer as text or JSON, an exit status for scripts. See
 * docs/CONTROL.md.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "control/ctl/catalog.h"
#include "control/ctl/client.h"
#include "control/ctl/render.h"
#include "control/version.h"
#include "control/wire.h"

#define WORDS_MAX       8u
#define TIMEOUT_MS      5000
#define COLUMNS_DEFAULT 80u
#define COLUMNS_MIN     40u
#define SECONDS_MAX     86400.0

struct invocation {
	bool json, no_color, help, version;
	const char *socket_path;
	int timeout_ms;
	double watch_s; /* 0: once */
	char *words[WORDS_MAX];
	unsigned words_len;
};

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

static bool
parse(struct invocation *invocation, int argc, char **argv)
{
	const char *socket_path = getenv(WIRE_SOCKET_ENV);
	*invocation = (struct invocation){
	    .socket_path = socket_path != NULL ? socket_path : WIRE_SOCKET_DEFAULT, .timeout_ms = TIMEOUT_MS};
	for (int at = 1; at < argc; at++) {
		int flag = parse_flag(invocation, argc, argv, &at);
		if (flag < 0)
			return false;
		if (flag > 0)
			continue;
		/* A dash before the noun is a mistake; behind it, an argument such as --effective. */
		if (argv[at][0] == '-' && invocation->words_len == 0)
			return usage_error("unknown flag", argv[at]), false;
		if (invocation->words_len == WORDS_MAX)
			return usage_error("too many words", ""), false;
		invocation->words[invocation->words_len++] = argv[at];
	}
	return true;
}

/* The request, or NULL with a message printed: a FILE that cannot be read. */
static json_t *
make_request(const struct catalog_command *command, const struct invocation *invocation, unsigned taken)
{
	json_t *words = json_array(), *request = json_object();
	json_object_set_new(request, "command", words);
	json_array_append_new(words, json_string(command->noun));
	if (*command->verb != '\0')
		json_array_append_new(words, json_string(command->verb));
	if (!catalog_takes_file(command)) {
		for (unsigned i = taken; i < invocation->words_len; i++)
			json_array_append_new(words, json_string(invocation->words[i]));
		return request;
	}
	const char *path = invocation->words[taken];
	static char text[WIRE_REQUEST_MAX / 2];
	FILE *file = fopen(path, "re");
	size_t bytes = file != NULL ? fread(text, 1, sizeof(text), file) : 0;
	json_t *content = json_stringn(text, bytes);
	bool good = file != NULL && !ferror(file) && bytes < sizeof(text) && content != NULL;
	if (!good) {
		fprintf(stderr, "wirectl: %s: %s\n", path,
		    file == NULL || ferror(file) ? strerror(errno)
		    : bytes == sizeof(text)      ? "too long"
		                                 : "is no UTF-8 text");
		json_decref(request);
		request = NULL;
	} else {
		json_object_set_new(request, "file", wire_string(path));
		json_object_set(request, "text", content);
	}
	json_decref(content);
	if (file != NULL)
		fclose(file);
	return request;
}

static struct render_style
make_style(const struct invocation *invocation, const struct catalog_command *command)
{
	struct winsize size;
	const char *no_color = getenv("NO_COLOR"), *terminal = getenv("TERM");
	struct render_style style = {
	    .exact = command->exact, .columns = COLUMNS_DEFAULT, .members = command->columns};
	style.color = isatty(STDOUT_FILENO) && !invocation->no_color &&
	              (no_color == NULL || *no_color == '\0') &&
	              (terminal == NULL || strcmp(terminal, "dumb") != 0);
	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col >= COLUMNS_MIN)
		style.columns = size.ws_col;
	return style;
}

static void
print_result(const struct invocation *invocation, const struct catalog_command *command, json_t *result)
{
	if (strcmp(command->noun, "version") == 0 && json_is_object(result))
		json_object_set_new(result, "wirectl", json_string(wirecache_version));
	if (invocation->json) {
		json_dumpf(result, stdout,
		    JSON_ENCODE_ANY | (invocation->watch_s > 0 ? JSON_COMPACT : JSON_INDENT(2)));
		putchar('\n');
		return;
	}
	struct render_style style = make_style(invocation, command);
	if (invocation->watch_s > 0 && isatty(STDOUT_FILENO))
		fputs("\033[H\033[2J", stdout);
	render(stdout, result, &style);
}

static int
call_once(const struct invocation *invocation, const struct catalog_command *command, unsigned taken)
{
	char error[CLIENT_ERROR_MAX];
	json_t *request = make_request(command, invocation, taken);
	if (request == NULL)
		return WIRE_FAILED;
	json_t *reply = client_call(invocation->socket_path, request, invocation->timeout_ms, error);
	if (reply == NULL) {
		fprintf(stderr, "wirectl: %s\n", error);
		return WIRE_UNREACHABLE;
	}
	int code = wire_reply_exit(reply);
	json_t *result = json_object_get(reply, "result");
	const char *refusal = json_string_value(json_object_get(reply, "error"));
	if (result != NULL)
		print_result(invocation, command, result);
	else
		fprintf(stderr, "wirectl: %s\n", refusal != NULL ? refusal : "wirecached sent no result");
	json_decref(reply);
	return code;
}

static int
call_repeatedly(const struct invocation *invocation, const struct catalog_command *command, unsigned taken)
{
	struct timespec pause = {.tv_sec = (time_t)invocation->watch_s};
	pause.tv_nsec = (long)((invocation->watch_s - (double)pause.tv_sec) * 1e9);
	for (;;) {
		int code = call_once(invocation, command, taken);
		if (fflush(stdout) != 0 || code == WIRE_USAGE || code == WIRE_UNREACHABLE)
			return code;
		nanosleep(&pause, NULL);
		if (!invocation->json && !isatty(STDOUT_FILENO))
			putchar('\n');
	}
}

static int
run_local(const struct catalog_command *command, const struct invocation *invocation, unsigned taken)
{
	if (strcmp(command->noun, "completion") == 0) {
		catalog_completion_bash(stdout);
		return WIRE_OK;
	}
	const char *noun = taken < invocation->words_len ? invocation->words[taken] : NULL;
	return catalog_help(stdout, noun) ? WIRE_OK : usage_error("no command", noun != NULL ? noun : "");
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
	const struct catalog_command *command = catalog_find(invocation.words, invocation.words_len);
	if (command == NULL)
		return usage_error(
		    "unknown command", invocation.words_len > 1 && catalog_find(invocation.words, 1) != NULL
		                           ? invocation.words[1]
		                           : invocation.words[0]);
	unsigned taken = catalog_taken(command, invocation.words, invocation.words_len);
	if (!catalog_accepts(command, invocation.words_len - taken)) {
		fputs("usage: ", stderr);
		catalog_usage(stderr, command);
		fputc('\n', stderr);
		return WIRE_USAGE;
	}
	if (command->local)
		return run_local(command, &invocation, taken);
	if (invocation.watch_s > 0)
		return call_repeatedly(&invocation, command, taken);
	return call_once(&invocation, command, taken);
}
