/*
 * One write() a line, so that lines of DPDK and of ours never mix within a line. See log.h.
 */
#include "control/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static unsigned log_verbosity;

static const struct {
	const char *word;
	int priority; /* of syslog */
} levels[] = {
    [LOG_LEVEL_ERROR] = {"error: ", 3},
    [LOG_LEVEL_WARNING] = {"warning: ", 4},
    [LOG_LEVEL_INFO] = {"", 6},
    [LOG_LEVEL_VERBOSE] = {"", 6},
    [LOG_LEVEL_DEBUG] = {"debug: ", 7},
};

void
log_set_verbosity(unsigned verbosity)
{
	log_verbosity = verbosity;
}

unsigned
log_format(char out[LOG_LINE_MAX], enum log_level level, int journald, const char *message)
{
	int len = journald ? snprintf(out, LOG_LINE_MAX, "<%d>wirecached: %s%s", levels[level].priority,
	                         levels[level].word, message)
	                   : snprintf(out, LOG_LINE_MAX, "wirecached: %s%s", levels[level].word, message);
	for (char *at = out; *at != '\0'; at++)
		if (*at == '\n' || *at == '\r')
			*at = ' ';
	return (unsigned)len < LOG_LINE_MAX ? (unsigned)len : LOG_LINE_MAX - 1;
}

void
log_line(enum log_level level, const char *format, ...)
{
	char message[LOG_LINE_MAX], line[LOG_LINE_MAX];
	if ((unsigned)level > LOG_LEVEL_INFO + log_verbosity)
		return;
	va_list args;
	va_start(args, format);
	vsnprintf(message, sizeof(message), format, args);
	va_end(args);
	unsigned len = log_format(line, level, getenv("JOURNAL_STREAM") != NULL, message);
	line[len] = '\n'; /* in place of the terminating zero */
	if (write(STDERR_FILENO, line, len + 1) < 0)
		return; /* nobody to tell */
}
