/*
 * Reads options by the table in options.def, see options.h.
 */
#include "tests/load/options.h"

#include <ini.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "tests/load/options_table.h"
#include "tests/load/parse.h"

const struct option_row option_rows[] = {
#define LOAD_OPTION(section, name, TYPE, default_text, min, max, unit, help)                                \
	{#section, #name, OPTION_##TYPE, offsetof(struct load_options, name), default_text, min, max, unit, \
	    help},
#include "tests/load/options.def"
#undef LOAD_OPTION
};

const unsigned option_rows_len = sizeof(option_rows) / sizeof(option_rows[0]);

static bool
same_name(const char *a, const char *b)
{
	for (; *a != '\0' && *b != '\0'; a++, b++)
		if (*a != *b && !(*a == '-' && *b == '_'))
			return false;
	return *a == *b;
}

static const struct option_row *
find_row(const char *name)
{
	for (unsigned i = 0; i < option_rows_len; i++)
		if (same_name(name, option_rows[i].name))
			return &option_rows[i];
	return NULL;
}

/* Position of the word in "a|b|c", or -1. */
static int
choice_of(const char *choices, const char *word)
{
	size_t len = strlen(word);

	for (int at = 0; *choices != '\0'; at++) {
		size_t choice_len = strcspn(choices, "|");
		if (choice_len == len && memcmp(choices, word, len) == 0)
			return at;
		choices += choice_len + (choices[choice_len] == '|');
	}
	return -1;
}

/* The value as a number, in the type's own terms. */
static bool
read_value(const struct option_row *row, const char *text, double *out)
{
	switch (row->type) {
	case OPTION_COUNT:
		return parse_number(text, 1000, out) && *out == (double)(uint64_t)*out;
	case OPTION_SIZE:
		return parse_number(text, 1024, out) && *out == (double)(uint64_t)*out;
	case OPTION_NUMBER:
		return parse_number(text, 1000, out);
	case OPTION_SECONDS:
		return parse_duration(text, out);
	case OPTION_CHOICE:
		*out = choice_of(row->unit, text);
		return *out >= 0;
	case OPTION_SWITCH:
		*out = choice_of("no|yes", text);
		return *out >= 0;
	case OPTION_TEXT:
		*out = (double)strlen(text);
		return true;
	}
	return false;
}

static void
store(struct load_options *options, const struct option_row *row, const char *text, double value)
{
	char *field = (char *)options + row->offset;

	if (row->type == OPTION_TEXT)
		strcpy(field,
		    text); /* its length was compared with the row's maximum, below OPTIONS_TEXT_ROOM */
	else if (row->type == OPTION_COUNT || row->type == OPTION_SIZE)
		*(uint64_t *)(void *)field = (uint64_t)value;
	else if (row->type == OPTION_CHOICE)
		*(uint32_t *)(void *)field = (uint32_t)value;
	else if (row->type == OPTION_SWITCH)
		*(bool *)field = value != 0;
	else
		*(double *)(void *)field = value;
}

void
options_defaults(struct load_options *options)
{
	memset(options, 0, sizeof(*options));
	for (unsigned i = 0; i < option_rows_len; i++) {
		double value = 0;
		read_value(&option_rows[i], option_rows[i].default_text, &value);
		store(options, &option_rows[i], option_rows[i].default_text, value);
	}
}

bool
options_set(
    struct load_options *options, const char *name, const char *value, char error[OPTIONS_ERROR_BYTES])
{
	const struct option_row *row = find_row(name);
	char expected[160];
	double number = 0;

	if (row == NULL) {
		snprintf(
		    error, OPTIONS_ERROR_BYTES, "there is no option %.60s; wireload --help names them", name);
		return false;
	}
	if (strlen(value) >= OPTIONS_TEXT_ROOM || !read_value(row, value, &number) || number < row->min ||
	    number > row->max) {
		option_expected(row, expected, sizeof(expected));
		snprintf(
		    error, OPTIONS_ERROR_BYTES, "%s is \"%.60s\", expected %s", row->name, value, expected);
		return false;
	}
	store(options, row, value, number);
	return true;
}

struct ini_target {
	struct load_options *options;
	char *error;
	bool failed;
};

static int
take_ini(void *user, const char *section, const char *name, const char *value)
{
	struct ini_target *target = user;
	const struct option_row *row = find_row(name);

	if (row != NULL && strcmp(section, row->section) != 0) {
		snprintf(target->error, OPTIONS_ERROR_BYTES, "%s belongs to the section [%s]", row->name,
		    row->section);
		target->failed = true;
		return 0;
	}
	target->failed = !options_set(target->options, name, value, target->error);
	return !target->failed;
}

bool
options_read(struct load_options *options, const char *path, char error[OPTIONS_ERROR_BYTES])
{
	struct ini_target target = {.options = options, .error = error};
	char why[OPTIONS_ERROR_BYTES];
	int line = ini_parse(path, take_ini, &target);

	if (line == 0)
		return true;
	snprintf(
	    why, sizeof(why), "%s", target.failed ? error : "neither a section, an option nor a comment");
	if (line < 0)
		snprintf(error, OPTIONS_ERROR_BYTES, "cannot read the file %.200s", path);
	else
		snprintf(error, OPTIONS_ERROR_BYTES, "%.200s line %d: %.400s", path, line, why);
	return false;
}

/* One flag at argv[*at]; steps over a value that stands apart. */
static bool
take_flag(struct load_options *options, int argc, char **argv, int *at, char error[OPTIONS_ERROR_BYTES])
{
	const char *word = argv[*at] + 2, *equals = strchr(word, '=');
	char name[64];

	snprintf(name, sizeof(name), "%.*s", equals != NULL ? (int)(equals - word) : 63, word);
	const struct option_row *row = find_row(name);
	if (equals != NULL)
		return options_set(options, name, equals + 1, error);
	if (row != NULL && row->type == OPTION_SWITCH)
		return options_set(options, name, "yes", error);
	if (row != NULL && *at + 1 >= argc) {
		snprintf(error, OPTIONS_ERROR_BYTES, "--%s wants a value", name);
		return false;
	}
	return options_set(options, name, row != NULL ? argv[++*at] : "", error);
}

bool
options_arguments(struct load_options *options, int argc, char **argv, char error[OPTIONS_ERROR_BYTES])
{
	for (int at = 1; at < argc; at++) {
		bool taken = false;
		if (strncmp(argv[at], "--", 2) == 0)
			taken = take_flag(options, argc, argv, &at, error);
		else if (argv[at][0] == '-')
			snprintf(error, OPTIONS_ERROR_BYTES,
			    "there is no flag %.60s; wireload --help names them", argv[at]);
		else
			taken = options_read(options, argv[at], error);
		if (!taken)
			return false;
	}
	return true;
}

/* The rules between options: what must not be together, and why. */
bool
options_check(const struct load_options *options, char error[OPTIONS_ERROR_BYTES])
{
	double mix = options->get + options->set + options->add + options->delete + options->touch;
	const struct {
		bool broken;
		const char *rule;
	} rules[] = {
	    {mix <= 0, "the mix is empty: give get, set, add, delete or touch a weight"},
	    {options->threads > options->connections, "every thread needs a connection"},
	    {options->arrivals == 3 && options->trace[0] == '\0', "arrivals = trace wants a file as trace"},
	    {options->ramp && options->rate != 0, "ramp finds the rate itself: leave rate away"},
	    {options->pipeline != 0 && options->pipeline < options->per_segment,
	        "pipeline must not be less than per_segment"},
	    {options->per_connection != 0 && options->transport == 1, "per_connection needs transport = tcp"},
	    {options->per_connection != 0 && options->per_connection < options->per_segment,
	        "per_connection must not be less than per_segment"},
	    {options->duration <= 0, "duration must be more than nothing"},
	    {options->timeout <= 0, "timeout must be more than nothing"},
	    {options->reflect && options->transport != 1, "reflect needs transport = udp"},
	    {options->plot[0] != '\0' && !options->ramp, "plot draws a ramp's curve: add --ramp"},
	    {options->keys < options->threads, "every thread needs a key"},
	};

	for (unsigned i = 0; i < sizeof(rules) / sizeof(rules[0]); i++)
		if (rules[i].broken) {
			snprintf(error, OPTIONS_ERROR_BYTES, "%s", rules[i].rule);
			return false;
		}
	return true;
}
