/*
 * Objects, lists and sections; tables are in table.c.
 */
#include "control/ctl/render.h"

#include <string.h>

#include "control/ctl/human.h"
#include "control/ctl/table.h"

#define NAME_MAX_CHARS  64u
#define SENTENCE_MIN    40u /* a text this long, with a blank, is a sentence: one bullet each */
#define BLOCKS_ROWS_MAX 8u
#define TABLE_FOLDS_MAX 2u

static void render_value(FILE *out, const json_t *value, const struct render_style *style);

void
render_wrapped(FILE *out, const char *text, unsigned indent, unsigned columns)
{
	unsigned column = indent;
	while (*text != '\0') {
		unsigned len = (unsigned)strcspn(text, " ");
		if (column > indent && column + 1 + len > columns) {
			fprintf(out, "\n%*s", (int)indent, "");
			column = indent;
		} else if (column > indent) {
			fputc(' ', out);
			column++;
		}
		fprintf(out, "%.*s", (int)len, text);
		column += len;
		text += len;
		text += strspn(text, " ");
	}
}

const char *
render_tone(const char *name, const char *text)
{
	static const char *const names[] = {"health", "state", "link", "file"};
	static const struct {
		const char *text, *tone;
	} tones[] = {{"healthy", RENDER_GREEN}, {"ok", RENDER_GREEN}, {"up", RENDER_GREEN},
	    {"running", RENDER_GREEN}, {"degraded", RENDER_YELLOW}, {"draining", RENDER_YELLOW},
	    {"failing", RENDER_RED}, {"down", RENDER_RED}, {"stuck", RENDER_RED}, {"wrong", RENDER_RED}};
	for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		for (unsigned j = 0; strcmp(names[i], name) == 0 && j < sizeof(tones) / sizeof(tones[0]); j++)
			if (strcmp(tones[j].text, text) == 0)
				return tones[j].tone;
	return "";
}

static bool
is_sentences(const json_t *array)
{
	size_t at;
	json_t *element;
	json_array_foreach ((json_t *)array, at, element)
		if (json_is_string(element) && json_string_length(element) >= SENTENCE_MIN &&
		    strchr(json_string_value(element), ' ') != NULL)
			return true;
	return false;
}

/* Shown below the aligned lines, under its name. */
static bool
is_section(const json_t *value)
{
	if (json_is_object(value))
		return true;
	return json_is_array(value) && (json_is_object(json_array_get(value, 0)) || is_sentences(value));
}

static void
heading(FILE *out, const char *text, const struct render_style *style)
{
	fprintf(out, "%s%s%s\n", style->color ? RENDER_BOLD : "", text, style->color ? RENDER_PLAIN : "");
}

static void
render_line(
    FILE *out, const char *name, const json_t *value, unsigned name_width, const struct render_style *style)
{
	char label[NAME_MAX_CHARS], text[HUMAN_TEXT_MAX];
	human_name(name, style->exact, label, sizeof(label));
	human_value(name, value, style->exact, false, text);
	const char *tone = style->color ? render_tone(name, text) : "";
	fprintf(out, "%-*s  %s", (int)name_width, label, tone);
	render_wrapped(out, text, name_width + 2, style->columns);
	fprintf(out, "%s\n", *tone != '\0' ? RENDER_PLAIN : "");
}

/* An empty array of problems is good news that needs no line. */
static bool
is_empty_array(const json_t *value)
{
	return json_is_array(value) && json_array_size(value) == 0;
}

static void
render_object(FILE *out, const json_t *object, const struct render_style *style)
{
	const char *name;
	json_t *value;
	unsigned name_width = 0;
	char label[NAME_MAX_CHARS];
	json_object_foreach ((json_t *)object, name, value) {
		human_name(name, style->exact, label, sizeof(label));
		if (!is_section(value) && strlen(label) > name_width)
			name_width = (unsigned)strlen(label);
	}
	json_object_foreach ((json_t *)object, name, value)
		if (!is_section(value) && !is_empty_array(value))
			render_line(out, name, value, name_width, style);
	json_object_foreach ((json_t *)object, name, value) {
		if (!is_section(value))
			continue;
		fputc('\n', out);
		human_name(name, style->exact, label, sizeof(label));
		heading(out, label, style);
		render_value(out, value, style);
	}
}

static void
render_bullets(FILE *out, const json_t *array, const struct render_style *style)
{
	size_t at;
	json_t *element;
	json_array_foreach ((json_t *)array, at, element) {
		char text[HUMAN_TEXT_MAX];
		human_value("", element, style->exact, false, text);
		fputs("- ", out);
		render_wrapped(out, text, 2, style->columns);
		fputc('\n', out);
	}
}

/* Each row under a heading made of its first member. */
static void
render_blocks(FILE *out, const json_t *rows, const struct render_style *style)
{
	size_t at;
	json_t *row;
	json_array_foreach ((json_t *)rows, at, row) {
		void *first = json_object_iter(row);
		char text[HUMAN_TEXT_MAX], title[HUMAN_TEXT_MAX + NAME_MAX_CHARS];
		if (first == NULL)
			continue;
		human_value("", json_object_iter_value(first), true, false, text);
		snprintf(title, sizeof(title), "%s %s", json_object_iter_key(first), text);
		if (at > 0)
			fputc('\n', out);
		heading(out, title, style);
		json_t *rest = json_copy(row);
		json_object_del(rest, json_object_iter_key(first));
		render_object(out, rest, style);
		json_decref(rest);
	}
}

static void
render_rows(FILE *out, const json_t *rows, const struct render_style *style)
{
	struct table table;
	if (!table_fill(&table, rows, style)) {
		render_bullets(out, rows, style); /* no memory, or not all are objects */
		return;
	}
	if (table_folds(&table, style->columns) > TABLE_FOLDS_MAX && json_array_size(rows) <= BLOCKS_ROWS_MAX)
		render_blocks(out, rows, style);
	else
		table_print(out, &table, style);
	table_free(&table);
}

static void
render_value(FILE *out, const json_t *value, const struct render_style *style)
{
	struct render_style inner = *style;
	inner.members = "";
	char text[HUMAN_TEXT_MAX];
	if (json_is_object(value)) {
		render_object(out, value, &inner);
	} else if (json_is_array(value) && json_is_object(json_array_get(value, 0))) {
		render_rows(out, value, style);
	} else if (json_is_array(value) && is_sentences(value)) {
		render_bullets(out, value, style);
	} else {
		human_value("", value, style->exact, false, text);
		fprintf(out, "%s\n", text);
	}
}

/* The object with these members only, in this order. */
static json_t *
chosen_members(const json_t *object, const char *members)
{
	json_t *chosen = json_object();
	while (*members != '\0') {
		char member[NAME_MAX_CHARS];
		size_t len = strcspn(members, ",");
		snprintf(member, sizeof(member), "%.*s", (int)len, members);
		json_object_set(
		    chosen, member, json_object_get(object, member)); /* an absent one stays absent */
		members += len + (members[len] == ',');
	}
	return chosen;
}

void
render(FILE *out, const json_t *result, const struct render_style *style)
{
	if (is_empty_array(result) || (json_is_object(result) && json_object_size(result) == 0)) {
		fputs("none\n", out);
	} else if (json_is_object(result) && *style->members != '\0') {
		json_t *shown = chosen_members(result, style->members);
		render_value(out, shown, style);
		json_decref(shown);
	} else {
		render_value(out, result, style);
	}
}
