/*
 * See table.h.
 */
#include "control/ctl/table.h"

#include <stdlib.h>
#include <string.h>

#include "control/ctl/human.h"

#define GAP           2u
#define TEXT_LAST_MIN 20u /* a wrapped last column gets at least this much */

static void
add_column(struct table *table, const char *member, size_t member_len, const char *heading, bool exact)
{
	if (table->columns_len == TABLE_COLUMNS_MAX)
		return;
	struct table_column *column = &table->columns[table->columns_len++];
	memset(column, 0, sizeof(*column));
	snprintf(column->member, sizeof(column->member), "%.*s", (int)member_len, member);
	if (heading != NULL)
		snprintf(column->heading[1], TABLE_HEADING_MAX, "%.*s", (int)strcspn(heading, ","), heading);
	else
		human_name(column->member, exact, column->heading[1], TABLE_HEADING_MAX);
}

/* "member,member:heading" */
static void
add_named_columns(struct table *table, const char *members, bool exact)
{
	while (*members != '\0') {
		size_t len = strcspn(members, ",:");
		add_column(table, members, len, members[len] == ':' ? members + len + 1 : NULL, exact);
		members += strcspn(members, ",");
		members += *members == ',';
	}
}

/* Splits a heading at the blank that makes the two lines most alike, if that makes the column narrower. */
static void
stack_heading(struct table_column *column, unsigned cell_width)
{
	char *line = column->heading[1];
	size_t len = strlen(line), best = len;
	if (len <= cell_width)
		return;
	for (size_t i = 1; i + 1 < len; i++) {
		size_t longer = i > len - i - 1 ? i : len - i - 1;
		size_t best_longer = best == len ? len : (best > len - best - 1 ? best : len - best - 1);
		if (line[i] == ' ' && longer < best_longer)
			best = i;
	}
	if (best == len)
		return;
	memcpy(column->heading[0], line, best);
	column->heading[0][best] = '\0';
	memmove(line, line + best + 1, len - best);
}

static unsigned
heading_width(const struct table_column *column)
{
	size_t upper = strlen(column->heading[0]), lower = strlen(column->heading[1]);
	return (unsigned)(upper > lower ? upper : lower);
}

/* Texts of one column, its width and its side. Numbers and dashes alone stand right. */
static bool
fill_column(struct table *table, unsigned at, const json_t *rows, const struct render_style *style)
{
	struct table_column *column = &table->columns[at];
	size_t row_at;
	json_t *row;
	char text[HUMAN_TEXT_MAX];
	column->number = true;
	json_array_foreach ((json_t *)rows, row_at, row) {
		json_t *value = json_object_get(row, column->member);
		human_value(column->member, value, style->exact, true, text);
		char *cell = strdup(text);
		if (cell == NULL)
			return false;
		table->cells[row_at * table->columns_len + at] = cell;
		if (strlen(cell) > column->width)
			column->width = (unsigned)strlen(cell);
		if (value != NULL && !json_is_number(value) && !json_is_null(value))
			column->number = false;
	}
	stack_heading(column, column->width);
	if (heading_width(column) > column->width)
		column->width = heading_width(column);
	return true;
}

bool
table_fill(struct table *table, const json_t *rows, const struct render_style *style)
{
	size_t at;
	json_t *row, *value;
	const char *name;
	memset(table, 0, sizeof(*table));
	json_array_foreach ((json_t *)rows, at, row)
		if (!json_is_object(row))
			return false;
	if (*style->members != '\0')
		add_named_columns(table, style->members, style->exact);
	else
		json_object_foreach (json_array_get(rows, 0), name, value)
			add_column(table, name, strlen(name), NULL, style->exact);
	table->rows_len = json_array_size(rows);
	table->cells = calloc(table->rows_len * table->columns_len + 1, sizeof(*table->cells));
	bool filled = table->cells != NULL;
	for (unsigned column = 0; filled && column < table->columns_len; column++)
		filled = fill_column(table, column, rows, style);
	if (!filled)
		table_free(table);
	return filled;
}

void
table_free(struct table *table)
{
	for (size_t i = 0; table->cells != NULL && i < table->rows_len * table->columns_len; i++)
		free(table->cells[i]);
	free(table->cells);
	table->cells = NULL;
}

/* The last column of the whole table may be narrower than its text: it is wrapped. */
static unsigned
width_needed(const struct table *table, unsigned at)
{
	const struct table_column *column = &table->columns[at];
	unsigned least = heading_width(column) > TEXT_LAST_MIN ? heading_width(column) : TEXT_LAST_MIN;
	if (at + 1 == table->columns_len && !column->number && column->width > least)
		return least;
	return column->width;
}

/* First column that no longer fits behind `from`; the first column of all is repeated in front. */
static unsigned
fold_end(const struct table *table, unsigned from, unsigned width)
{
	unsigned used = from > 0 ? table->columns[0].width : 0, at = from;
	for (; at < table->columns_len; at++) {
		unsigned needed = width_needed(table, at) + (used > 0 ? GAP : 0);
		if (at > from && used + needed > width)
			break;
		used += needed;
	}
	return at;
}

unsigned
table_folds(const struct table *table, unsigned width)
{
	unsigned folds = 0;
	for (unsigned from = 0; from < table->columns_len; from = fold_end(table, from, width))
		folds++;
	return folds;
}

struct line {
	FILE *out;
	const struct table *table;
	const struct render_style *style;
	unsigned used;   /* columns of the terminal */
	unsigned blanks; /* not printed yet: none stand at the end of a line */
	bool last;       /* of the fold: may be wrapped */
};

static void
print_cell(struct line *line, unsigned at, const char *text, const char *tone)
{
	const struct table_column *column = &line->table->columns[at];
	unsigned len = (unsigned)strlen(text), free_width = column->width > len ? column->width - len : 0;
	bool paint = line->style->color && *tone != '\0' && len > 0;
	if (line->used > 0) {
		line->blanks += GAP;
		line->used += GAP;
	}
	if (column->number)
		line->blanks += free_width;
	if (len > 0) {
		fprintf(line->out, "%*s%s", (int)line->blanks, "", paint ? tone : "");
		line->blanks = 0;
	}
	if (line->last && !column->number)
		render_wrapped(line->out, text, line->used, line->style->columns);
	else
		fputs(text, line->out);
	fputs(paint ? RENDER_PLAIN : "", line->out);
	if (!column->number)
		line->blanks += free_width;
	line->used += column->width;
}

/* One line of the fold: headings (row == rows_len + 0 or 1) or a row. */
static void
print_line(FILE *out, const struct table *table, const struct render_style *style, unsigned from,
    unsigned end, size_t row)
{
	struct line line = {.out = out, .table = table, .style = style};
	for (unsigned step = 0; step < end - from + (from > 0); step++) {
		unsigned at = from == 0 ? step : step == 0 ? 0 : from + step - 1;
		const struct table_column *column = &table->columns[at];
		line.last = at + 1 == end;
		if (row >= table->rows_len) {
			print_cell(&line, at, column->heading[row - table->rows_len], RENDER_BOLD);
		} else {
			const char *text = table->cells[row * table->columns_len + at];
			print_cell(&line, at, text, render_tone(column->member, text));
		}
	}
	fputc('\n', out);
}

static bool
fold_has_upper_headings(const struct table *table, unsigned from, unsigned end)
{
	for (unsigned at = from; at < end; at++)
		if (table->columns[at].heading[0][0] != '\0')
			return true;
	return from > 0 && table->columns[0].heading[0][0] != '\0';
}

void
table_print(FILE *out, const struct table *table, const struct render_style *style)
{
	for (unsigned from = 0, end; from < table->columns_len; from = end) {
		end = fold_end(table, from, style->columns);
		if (from > 0)
			fputc('\n', out);
		if (fold_has_upper_headings(table, from, end))
			print_line(out, table, style, from, end, table->rows_len);
		print_line(out, table, style, from, end, table->rows_len + 1);
		for (size_t row = 0; row < table->rows_len; row++)
			print_line(out, table, style, from, end, row);
	}
}
