/*
 * The control plane's log: one line a message on stderr, for a terminal, journald or a file alike. Under
 * systemd lines carry the priority prefix "<N>" that journald strips. Control thread only: workers count,
 * they never log.
 */
#ifndef WIRECACHE_CONTROL_LOG_H
#define WIRECACHE_CONTROL_LOG_H

enum log_level {
	LOG_LEVEL_ERROR,   /* always printed */
	LOG_LEVEL_WARNING, /* always printed */
	LOG_LEVEL_INFO,    /* verbosity 0 and more: what an operator should know */
	LOG_LEVEL_VERBOSE, /* verbosity 1: who asked for what */
	LOG_LEVEL_DEBUG,   /* verbosity 2 */
};

void log_set_verbosity(unsigned verbosity);

/* Longer messages are cut at LOG_LINE_MAX; newlines in them become blanks. */
#define LOG_LINE_MAX 1024u
void log_line(enum log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The line as log_line() would print it, without newline. Returns its length. journald: with priority
 * prefix. */
unsigned log_format(char out[LOG_LINE_MAX], enum log_level level, int journald, const char *message);

#endif
