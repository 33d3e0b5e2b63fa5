/*
 * wirecached(8) and wirecache.conf(5), from the option table, as man pages (man(7) macros).
 */
#include "control/config.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "control/roff.h"
#include "control/value.h"

static void
print_heading(const char *page, unsigned section)
{
	printf(".\\\" Written by scripts/gen-docs from control/options.def; do not edit.\n"
	       ".TH %s %u \"\" wirecache \"wirecache manual\"\n",
	    page, section);
}

static void
print_option(const struct option *option)
{
	char expected[160];
	value_expected(option, expected, sizeof(expected));
	fputs(".TP\n.B ", stdout);
	roff_text(stdout, option->name);
	printf(" = ");
	roff_text(stdout, *option->default_text != '\0' ? option->default_text : "(empty)");
	putchar('\n');
	roff_text(stdout, option->help);
	fputs(".\n.br\nIt is ", stdout);
	roff_text(stdout, expected);
	printf("; %s.", option->when == OPTION_LIVE ? "taken over live" : "needs a restart");
	if (*option->flag != '\0') {
		fputs(" memcached's flag: ", stdout);
		roff_text(stdout, option->flag);
		putchar('.');
	}
	putchar('\n');
}

void
config_manual_file(void)
{
	print_heading("WIRECACHE.CONF", 5);
	fputs(
	    ".SH NAME\nwirecache.conf \\- configuration of wirecached\n.SH SYNOPSIS\n.B " CONFIG_FILE_DEFAULT
	    "\n.br\n.B /etc/wirecache/conf.d/*.conf\n.SH DESCRIPTION\n"
	    "Sections in brackets, below them lines of \"name = value\". Comments begin with ; or # at the "
	    "start of a\n"
	    "line, or with ; behind a blank. Unknown names are mistakes, told with file, line and "
	    "column.\n.PP\n"
	    "Later sources win: defaults, what was planned from the hardware, the file, the files of conf.d "
	    "beside it in\n"
	    "the order of their names, the environment (WIRECACHE_SECTION_NAME), flags "
	    "(\\-\\-section.name=value).\n.PP\n"
	    "Sizes take k, m, g, t (powers of 1024), durations s, ms, us; a bare size is in bytes, a bare "
	    "duration in\n"
	    "seconds.\n",
	    stdout);
	for (unsigned i = 0; i < options_len; i++) {
		if (i == 0 || strcmp(options[i].section, options[i - 1].section) != 0)
			printf(".SH [%s]\n", options[i].section);
		print_option(&options[i]);
	}
	printf(".SH [port NAME]\nOne section for each of up to %u ports.\n", DATAPLANE_PORTS_MAX);
	for (unsigned i = 0; i < port_options_len; i++)
		print_option(&port_options[i]);
	fputs(".SH SEE ALSO\n.BR wirecached (8),\n.BR wirectl (8)\n", stdout);
}

void
config_manual_daemon(void)
{
	print_heading("WIRECACHED", 8);
	fputs(".SH NAME\nwirecached \\- memcached server on DPDK\n.SH SYNOPSIS\n.B wirecached\n"
	      "[\\fB\\-c\\fR \\fIFILE\\fR] [\\fB\\-\\-check\\-config\\fR] [\\fB\\-\\-doctor\\fR] "
	      "[\\fB\\-\\-\\fISECTION\\fB.\\fINAME\\fB=\\fIVALUE\\fR]...\n.SH DESCRIPTION\n"
	      "Takes network ports away from the kernel and serves memcached's protocols from their queues. "
	      "What the\n"
	      "configuration leaves open is planned from the hardware: a card that is bound to vfio\\-pci, a "
	      "worker on each\n"
	      "physical core of its NUMA node, memory of those nodes. The card of the default route is never "
	      "taken. When\n"
	      "nothing can be served, the plan is printed and the status is 2.\n.SH OPTIONS\n"
	      ".TP\n.B \\-c, \\-\\-config FILE\nConfiguration file in place of " CONFIG_FILE_DEFAULT
	      "; \\-c with a number is memcached's limit of connections.\n"
	      ".TP\n.B \\-\\-check\\-config\nCheck the configuration and exit: 0 good, 2 not.\n"
	      ".TP\n.B \\-\\-doctor\nLook at the machine, for\n.BR wirectl (8)\ndoctor: one line of JSON.\n"
	      ".TP\n.B \\-\\-section.name=value\nAny option of\n.BR wirecache.conf (5).\nmemcached's own "
	      "flags are taken too:\n",
	    stdout);
	for (unsigned i = 0; i < options_len; i++)
		if (*options[i].flag != '\0') {
			fputs(".br\n", stdout);
			roff_text(stdout, options[i].flag);
			printf(" (%s.%s)\n", options[i].section, options[i].name);
		}
	fputs(".TP\n.B \\-h, \\-\\-help; \\-V, \\-\\-version\nHelp with every option; the version.\n"
	      ".SH SIGNALS\nSIGHUP reads the configuration again and takes over what can change live; SIGINT "
	      "and SIGTERM stop.\n"
	      ".SH EXIT STATUS\n0 stopped by a signal or drained, 1 failed to start, 2 mistakes in the "
	      "configuration.\n"
	      ".SH SEE ALSO\n.BR wirectl (8),\n.BR wirecache.conf (5)\n",
	    stdout);
}
