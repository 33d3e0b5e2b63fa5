/*
 * The rows of options.def as data, between the parser (options.c) and the texts (options_help.c).
 */
#ifndef WIRECACHE_LOAD_OPTIONS_TABLE_H
#define WIRECACHE_LOAD_OPTIONS_TABLE_H

#include <stddef.h>

enum option_type {
	OPTION_TEXT,
	OPTION_COUNT,
	OPTION_SIZE,
	OPTION_NUMBER,
	OPTION_SECONDS,
	OPTION_CHOICE,
	OPTION_SWITCH,
};

struct option_row {
	const char *section;
	const char *name;
	enum option_type type;
	size_t offset; /* in struct load_options */
	const char *default_text;
	double min, max;  /* for OPTION_TEXT of its length */
	const char *unit; /* for OPTION_CHOICE the choices */
	const char *help;
};

extern const struct option_row option_rows[];
extern const unsigned option_rows_len;

/* What a value may be, in words. */
void option_expected(const struct option_row *row, char *out, size_t out_bytes);

#endif
