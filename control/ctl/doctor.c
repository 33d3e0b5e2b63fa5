/*
 * doctor: the daemon's own program looks at the machine with the daemon's configuration (wirecached --doctor), whether a daemon
 * runs or not; here its findings are shown, and fixed.
 */
#include "control/ctl/human.h"
#include "control/ctl/local.h"
#include "control/ctl/table.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define DAEMON      "wirecached"
#define REPLY_BYTES 262144u

/* The daemon's program beside our own, else by PATH. */
static void
find_daemon(char out[PATH_MAX])
{
	char own[PATH_MAX];
	ssize_t len = readlink("/proc/self/exe", own, sizeof(own) - 1);
	own[len > 0 ? len : 0] = '\0';
	char *slash = strrchr(own, '/');
	if (slash != NULL) {
		*slash = '\0';
		if (snprintf(out, PATH_MAX, "%s/" DAEMON, own) < PATH_MAX && access(out, X_OK) == 0)
			return;
	}
	snprintf(out, PATH_MAX, DAEMON);
}

static void __attribute__((noreturn)) run_daemon(const struct invocation *invocation, int out)
{
	char program[PATH_MAX], root[PATH_MAX];
	const char *file = usage_flag(&invocation->given, "-c");
	const char *other_root = usage_flag(&invocation->given, "--root");
	const char *arguments[8] = {DAEMON, "--doctor"};
	unsigned len = 2;
	if (usage_flag(&invocation->given, "--quick") != NULL)
		arguments[len++] = "--quick";
	if (other_root != NULL) {
		snprintf(root, sizeof(root), "--root=%s", other_root);
		arguments[len++] = root;
	}
	if (file != NULL) {
		arguments[len++] = "--config";
		arguments[len++] = file;
	}
	find_daemon(program);
	dup2(out, STDOUT_FILENO);
	execvp(program, (char *const *)arguments);
	fprintf(stderr, "wirectl: cannot run %s: it does the looking\n", program);
	_exit(WIRE_FAILED);
}

/* Its reply, a new reference; NULL with something said. */
static json_t *
ask_doctor(const struct invocation *invocation)
{
	static char line[REPLY_BYTES];
	int ends[2];
	if (pipe(ends) != 0)
		return NULL;
	fflush(stdout);
	pid_t child = fork();
	if (child == 0)
		run_daemon(invocation, ends[1]);
	close(ends[1]);
	size_t bytes = 0;
	ssize_t got;
	while (child > 0 && bytes < sizeof(line) &&
	       (got = read(ends[0], line + bytes, sizeof(line) - bytes)) > 0)
		bytes += (size_t)got;
	close(ends[0]);
	if (child > 0)
		waitpid(child, NULL, 0);
	return wire_decode(line, bytes);
}

static const char *
text_of(const json_t *row, const char *name)
{
	const char *text = json_string_value(json_object_get(row, name));
	return text != NULL ? text : "";
}

/* Findings are blocks of lines: a fix is too long for a table. */
static void
print_findings(const struct invocation *invocation, const json_t *rows)
{
	struct render_style style = invocation_style(invocation);
	size_t at;
	json_t *row;
	json_array_foreach ((json_t *)rows, at, row) {
		const char *state = text_of(row, "state"), *fix = text_of(row, "fix");
		const char *tone = !style.color                   ? ""
		                   : strcmp(state, "ok") == 0     ? RENDER_GREEN
		                   : strcmp(state, "advice") == 0 ? RENDER_YELLOW
		                                                  : RENDER_RED;
		char text[HUMAN_TEXT_MAX];
		snprintf(text, sizeof(text), "%s: %s", text_of(row, "check"), text_of(row, "detail"));
		printf("%s%-8s%s", tone, state, *tone != '\0' ? RENDER_PLAIN : "");
		render_wrapped(stdout, text, 8, style.columns);
		putchar('\n');
		/* In one line, to be copied. */
		if (*fix != '\0')
			printf("        %s %s\n",
			    json_is_true(json_object_get(row, "safe")) ? "fix (safe):" : "fix:", fix);
	}
}

/* A shell script: what --fix would run, the rest as comments. */
static void
print_fixes(const json_t *rows)
{
	size_t at;
	json_t *row;
	json_array_foreach ((json_t *)rows, at, row)
		if (*text_of(row, "fix") != '\0')
			printf("# %s: %s\n%s%s\n", text_of(row, "check"), text_of(row, "detail"),
			    json_is_true(json_object_get(row, "safe")) ? "" : "# ", text_of(row, "fix"));
}

/* Runs the safe ones; how many failed. Standard output is left to the findings when they are JSON. */
static unsigned
run_fixes(const json_t *rows, FILE *out)
{
	size_t at;
	json_t *row;
	unsigned failed = 0;
	json_array_foreach ((json_t *)rows, at, row) {
		const char *fix = text_of(row, "fix");
		if (*fix == '\0' || !json_is_true(json_object_get(row, "safe")))
			continue;
		fprintf(out, "+ %s\n", fix);
		fflush(out);
		failed += system(fix) != 0;
	}
	return failed;
}

int
local_doctor(const struct invocation *invocation)
{
	json_t *reply = ask_doctor(invocation);
	unsigned failed = 0;
	if (reply != NULL && usage_flag(&invocation->given, "--fix") != NULL) {
		failed = run_fixes(json_object_get(reply, "result"), invocation->json ? stderr : stdout);
		json_decref(reply);
		reply = ask_doctor(invocation);
	}
	if (reply == NULL)
		return WIRE_FAILED;
	json_t *rows = json_object_get(reply, "result");
	if (usage_flag(&invocation->given, "--print-fix") != NULL)
		print_fixes(rows);
	else if (invocation->json)
		invocation_print(invocation, rows);
	else
		print_findings(invocation, rows);
	int code = wire_reply_exit(reply);
	json_decref(reply);
	return failed > 0 ? WIRE_FAILED : code;
}
