/*
 * See invocation.h.
 */
#include "control/ctl/invocation.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "control/ctl/client.h"
#include "control/version.h"

#define COLUMNS_DEFAULT 80u
#define COLUMNS_MIN     40u

/* Adds the content of the file to the request; false with a message printed. "-" is stdin. */
static bool
attach_file(json_t *request, const char *path)
{
	static char text[WIRE_REQUEST_MAX / 2];
	bool is_stdin = strcmp(path, "-") == 0;
	FILE *file = is_stdin ? stdin : fopen(path, "re");
	size_t bytes = file != NULL ? fread(text, 1, sizeof(text), file) : 0;
	json_t *content = json_stringn(text, bytes);
	bool good = file != NULL && !ferror(file) && bytes < sizeof(text) && content != NULL;
	if (!good) {
		fprintf(stderr, "wirectl: %s: %s\n", path,
		    file == NULL || ferror(file) ? strerror(errno)
		    : bytes == sizeof(text)      ? "too long"
		                                 : "is no UTF-8 text");
	} else {
		json_object_set_new(request, "file", wire_string(path));
		json_object_set(request, "text", content);
	}
	json_decref(content);
	if (file != NULL && !is_stdin)
		fclose(file);
	return good;
}

/* The request, or NULL with a message printed: a FILE that cannot be read. */
static json_t *
make_request(const struct invocation *invocation)
{
	const struct catalog_command *command = invocation->command;
	json_t *words = json_array(), *request = json_object();
	json_object_set_new(request, "command", words);
	json_array_append_new(words, json_string(command->noun));
	if (*command->verb != '\0')
		json_array_append_new(words, json_string(command->verb));
	int file_at = usage_file_at(command->usage);
	const char *path = file_at >= 0 ? usage_word(&invocation->given, (unsigned)file_at) : NULL;
	for (unsigned i = catalog_taken(command, invocation->words_len); i < invocation->words_len; i++)
		if (invocation->words[i] != path)
			json_array_append_new(words, wire_string(invocation->words[i]));
	if (path == NULL || attach_file(request, path))
		return request;
	json_decref(request);
	return NULL;
}

enum wire_exit
invocation_call(const struct invocation *invocation, json_t *request, json_t **result)
{
	char error[CLIENT_ERROR_MAX];
	json_t *reply = client_call(invocation->socket_path, request, invocation->timeout_ms, error);
	*result = NULL;
	if (reply == NULL) {
		fprintf(stderr, "wirectl: %s\n", error);
		return WIRE_UNREACHABLE;
	}
	enum wire_exit code = wire_reply_exit(reply);
	const char *refusal = json_string_value(json_object_get(reply, "error"));
	*result = json_incref(json_object_get(reply, "result"));
	if (*result == NULL)
		fprintf(stderr, "wirectl: %s\n", refusal != NULL ? refusal : "wirecached sent no result");
	json_decref(reply);
	return code;
}

enum wire_exit
invocation_ask(const struct invocation *invocation, json_t **result)
{
	json_t *request = make_request(invocation);
	*result = NULL;
	return request != NULL ? invocation_call(invocation, request, result) : WIRE_FAILED;
}

struct render_style
invocation_style(const struct invocation *invocation)
{
	struct winsize size;
	const char *no_color = getenv("NO_COLOR"), *terminal = getenv("TERM");
	struct render_style style = {.exact = invocation->command->exact,
	    .columns = COLUMNS_DEFAULT,
	    .members = invocation->command->columns};
	style.color = isatty(STDOUT_FILENO) && !invocation->no_color &&
	              (no_color == NULL || *no_color == '\0') &&
	              (terminal == NULL || strcmp(terminal, "dumb") != 0);
	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col >= COLUMNS_MIN)
		style.columns = size.ws_col;
	return style;
}

void
invocation_print(const struct invocation *invocation, json_t *result)
{
	if (strcmp(invocation->command->noun, "version") == 0 && json_is_object(result))
		json_object_set_new(result, "wirectl", json_string(wirecache_version));
	if (invocation->json) {
		json_dumpf(result, stdout,
		    JSON_ENCODE_ANY | (invocation->watch_s > 0 ? JSON_COMPACT : JSON_INDENT(2)));
		putchar('\n');
		return;
	}
	struct render_style style = invocation_style(invocation);
	if (invocation->watch_s > 0 && isatty(STDOUT_FILENO))
		fputs("\033[H\033[2J", stdout);
	render(stdout, result, &style);
}
