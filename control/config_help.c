/*
 * What the option table says in words: --help, and docs/options.md.
 */
#include "control/config.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "control/value.h"

#define HELP_COLUMNS 80
#define HELP_INDENT  10

/* Prints words from column `column` on, further lines at HELP_INDENT. */
static void
print_wrapped(const char *text, int column)
{
	while (*text != '\0') {
		int len = (int)strcspn(text, " ");
		if (column + 1 + len >= HELP_COLUMNS) {
			printf("\n%*s", HELP_INDENT, "");
			column = HELP_INDENT;
		} else if (column > HELP_INDENT) {
			putchar(' ');
			column++;
		}
		printf("%.*s", len, text);
		column += len;
		text += len + (text[len] == ' ');
	}
	putchar('\n');
}

static void
help_option(const struct option *option)
{
	char expected[160];
	char heading[160];
	snprintf(heading, sizeof(heading), "--%s%s.%s=%s", option->section, option->per_port ? ".NAME" : "",
	    option->name, option->default_text);
	value_expected(option, expected, sizeof(expected));
	printf("  %s", heading);
	if (*option->flag != '\0')
		printf("  (memcached: %s)", option->flag);
	printf("\n%*s", HELP_INDENT, "");
	print_wrapped(option->help, HELP_INDENT);
	printf("%*s", HELP_INDENT, "");
	print_wrapped(expected, HELP_INDENT);
}

void
config_help(const char *program)
{
	printf("Usage: %s [-c FILE] [--check-config] [--SECTION.NAME=VALUE]...\n\n"
	       "A memcached server on DPDK. It reads FILE (" CONFIG_FILE_DEFAULT "\n"
	       "if that exists), then the environment (WIRECACHE_SECTION_NAME), then flags;\n"
	       "what is read later wins. A port is needed, for example:\n\n"
	       "  %s --port.lan0.device=net_tap0,iface=wire0 --port.lan0.ipv4=10.77.0.2/24\n\n"
	       "  -c, --config FILE   configuration file (-c NUMBER is memcached's limit of\n"
	       "                      connections)\n"
	       "  --check-config      check the configuration and exit: 0 good, 2 not\n"
	       "  -h, --help          this text\n"
	       "  -V, --version       version\n\n"
	       "Exit status: 0 stopped by a signal, 1 failed to start, 2 configuration.\n\n"
	       "Options with their defaults:\n\n",
	    program, program);
	for (unsigned i = 0; i < options_len; i++)
		help_option(&options[i]);
	printf("\nOptions of each port, NAME being of your choice ([port NAME] in the file):\n\n");
	for (unsigned i = 0; i < port_options_len; i++)
		help_option(&port_options[i]);
}

/* | would end the table's cell. */
static void
print_cell(const char *text)
{
	for (; *text != '\0'; text++)
		printf(*text == '|' ? "\\%c" : "%c", *text);
}

static void
document_option(const struct option *option)
{
	char expected[160];
	value_expected(option, expected, sizeof(expected));
	printf("| `%s` | %s%s%s | ", option->name, *option->default_text != '\0' ? "`" : "",
	    option->default_text, *option->default_text != '\0' ? "`" : "");
	print_cell(expected);
	printf(" | %s | %s%s%s | ", option->when == OPTION_LIVE ? "live" : "restart",
	    *option->flag != '\0' ? "`" : "", option->flag, *option->flag != '\0' ? "`" : "");
	print_cell(option->help);
	printf(" |\n");
}

static void
document_heading(const char *section)
{
	printf("\n## [%s]\n\n"
	       "| option | default | expected | changes | memcached's flag | meaning |\n"
	       "|---|---|---|---|---|---|\n",
	    section);
}

void
config_document(void)
{
	printf("# Options\n\n"
	       "Written by `scripts/gen-docs` from `control/options.def`; do not edit.\n\n"
	       "In the file an option stands as `name = value` under its section; as a flag it is\n"
	       "`--section.name=value` (`--port.NAME.option=value` for a port), in the environment\n"
	       "`WIRECACHE_SECTION_NAME` (`WIRECACHE_PORT_NAME_OPTION`). Later sources win: defaults, file,\n"
	       "environment, flags. \"live\" options are taken over on SIGHUP, the others need a restart.\n"
	       "Sizes take k, m, g, t (powers of 1024), durations s, ms, us; a bare size is in bytes and a "
	       "bare\n"
	       "duration in seconds.\n");
	for (unsigned i = 0; i < options_len; i++) {
		if (i == 0 || strcmp(options[i].section, options[i - 1].section) != 0)
			document_heading(options[i].section);
		document_option(&options[i]);
	}
	document_heading("port NAME");
	for (unsigned i = 0; i < port_options_len; i++)
		document_option(&port_options[i]);
}
