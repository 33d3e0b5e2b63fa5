/*
 * A table of an array of objects: a row each, a column for every member of the first row or those that the
 * style names. Numbers stand right, text left; a heading of several words takes two lines; the last column,
 * if it is text, is wrapped.
 */
#ifndef WIRECACHE_CTL_TABLE_H
#define WIRECACHE_CTL_TABLE_H

#include <stdbool.h>
#include <stdio.h>

#include <jansson.h>

#include "control/ctl/render.h"

#define TABLE_COLUMNS_MAX 48u
#define TABLE_HEADING_MAX 64u

#define RENDER_BOLD   "\033[1m"
#define RENDER_GREEN  "\033[32m"
#define RENDER_YELLOW "\033[33m"
#define RENDER_RED    "\033[31m"
#define RENDER_PLAIN  "\033[0m"

struct table_column {
	char member[TABLE_HEADING_MAX];
	char heading[2][TABLE_HEADING_MAX]; /* upper and lower line */
	unsigned width;
	bool number;
};

struct table {
	struct table_column columns[TABLE_COLUMNS_MAX];
	unsigned columns_len;
	size_t rows_len;
	char **cells; /* rows_len * columns_len texts */
};

/* False: an element is no object, or memory is out; nothing is to be freed then. */
bool table_fill(struct table *table, const json_t *rows, const struct render_style *style);
void table_free(struct table *table);

/* Into how many parts the table is cut to fit the width. */
unsigned table_folds(const struct table *table, unsigned width);
void table_print(FILE *out, const struct table *table, const struct render_style *style);

/* From render.c: text wrapped behind `indent`, and the color of a state. */
void render_wrapped(FILE *out, const char *text, unsigned indent, unsigned columns);
const char *render_tone(const char *name, const char *text);

#endif
