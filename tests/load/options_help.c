/*
 * What the table of options says in words: --help, and the table in docs/WIRELOAD.md.
 */
#include "tests/load/options.h"

#include <stdio.h>
#include <string.h>

#include "tests/load/options_table.h"

#define HELP_COLUMNS 80
#define HELP_INDENT  6

void
option_expected(const struct option_row *row, char *out, size_t out_bytes)
{
	switch (row->type) {
	case OPTION_TEXT:
		snprintf(out, out_bytes, "%s of up to %.0f characters",
		    *row->unit != '\0' ? row->unit : "text", row->max);
		break;
	case OPTION_CHOICE:
		snprintf(out, out_bytes, "one of %s", row->unit);
		break;
	case OPTION_SWITCH:
		snprintf(out, out_bytes, "yes or no");
		break;
	case OPTION_SECONDS:
		snprintf(out, out_bytes, "a time up to %.0fs, written with ns, us, ms or s", row->max);
		break;
	default:
		snprintf(out, out_bytes, "%.10g to %.10g%s%s", row->min, row->max,
		    *row->unit != '\0' ? " " : "", row->unit);
	}
}

/* Words of the text from column HELP_INDENT on. */
static void
print_wrapped(const char *text)
{
	int column = HELP_COLUMNS;

	while (*text != '\0') {
		int len = (int)strcspn(text, " ");
		if (column + 1 + len >= HELP_COLUMNS)
			column = printf("\n%*s", HELP_INDENT, "") - 1;
		else
			column += printf(" ");
		column += printf("%.*s", len, text);
		text += len + (text[len] == ' ');
	}
}

static void
help_row(const struct option_row *row)
{
	char expected[160];

	option_expected(row, expected, sizeof(expected));
	printf("  --%s=%s", row->name, row->default_text);
	print_wrapped(row->help);
	print_wrapped(expected);
	printf("\n");
}

void
options_help(void)
{
	printf("Usage: wireload [FILE] [--NAME=VALUE]...\n\n"
	       "Loads a memcached server and says what it did: throughput, latency from the moment\n"
	       "each request was due, losses, and whether every value was right. FILE is an INI file\n"
	       "with the options below in their sections; what is given later wins. For example:\n\n"
	       "  wireload --server=127.0.0.1 --connections=64                    as fast as it goes\n"
	       "  wireload --rate=50k --get=95 --set=5 --duration=30s             open loop\n"
	       "  wireload --ramp --p99=1ms --plot=/tmp/curve --transport=udp     highest rate\n\n"
	       "  --help        this text\n"
	       "  --document    the options as a table for the documentation\n\n"
	       "Exit status: 0 measured, 1 could not run, 2 options, 3 measured but not to be used\n"
	       "(wrong or stale values, or the generator was too slow for its schedule).\n\n");
	for (unsigned i = 0; i < option_rows_len; i++) {
		if (i == 0 || strcmp(option_rows[i].section, option_rows[i - 1].section) != 0)
			printf("%s[%s]\n", i == 0 ? "" : "\n", option_rows[i].section);
		help_row(&option_rows[i]);
	}
}

/* | would end the table's cell. */
static void
print_cell(const char *text)
{
	for (; *text != '\0'; text++)
		printf(*text == '|' ? "\\%c" : "%c", *text);
}

void
options_document(void)
{
	char expected[160];

	for (unsigned i = 0; i < option_rows_len; i++) {
		const struct option_row *row = &option_rows[i];
		if (i == 0 || strcmp(row->section, option_rows[i - 1].section) != 0)
			printf("%s### [%s]\n\n| option | default | expected | meaning |\n|---|---|---|---|\n",
			    i == 0 ? "" : "\n", row->section);
		option_expected(row, expected, sizeof(expected));
		printf("| `%s` | %s%s%s | ", row->name, *row->default_text != '\0' ? "`" : "",
		    row->default_text, *row->default_text != '\0' ? "`" : "");
		print_cell(expected);
		printf(" | ");
		print_cell(row->help);
		printf(" |\n");
	}
}
