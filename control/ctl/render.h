/*
 * JSON to text for people, without knowing the command: an object becomes aligned lines, an array of objects
 * a table, what is nested a section below. Units come from the members' names (human.h).
 *
 * A table wider than the terminal is folded: the first column is repeated and the rest continues below. Rows
 * that would need more than two folds, when there are few of them, become a block of lines each.
 */
#ifndef WIRECACHE_CTL_RENDER_H
#define WIRECACHE_CTL_RENDER_H

#include <stdbool.h>
#include <stdio.h>

#include <jansson.h>

struct render_style {
	bool color;
	bool exact;          /* numbers and names as they are */
	unsigned columns;    /* width of the terminal */
	const char *members; /* shown of a top-level object or of the rows of an array:
	                        "member,member:heading"; "" for all */
};

void render(FILE *out, const json_t *result, const struct render_style *style);

#endif
