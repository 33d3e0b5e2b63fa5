/*
 * wireload(1), from the table of options, as a man page (man(7) macros). See options.h.
 */
#include "tests/load/options.h"

#include <stdio.h>
#include <string.h>

#include "control/roff.h"
#include "tests/load/options_table.h"

static void
print_row(const struct option_row *row)
{
	char expected[160];

	option_expected(row, expected, sizeof(expected));
	fputs(".TP\n.B \\-\\-", stdout);
	roff_text(stdout, row->name);
	putchar('=');
	roff_text(stdout, *row->default_text != '\0' ? row->default_text : "(empty)");
	putchar('\n');
	roff_text(stdout, row->help);
	fputs(".\n.br\nExpects ", stdout);
	roff_text(stdout, expected);
	fputs(".\n", stdout);
}

void
options_manual(void)
{
	fputs(
	    ".\\\" Written by scripts/gen-docs from tests/load/options.def; do not edit.\n"
	    ".TH WIRELOAD 1 \"\" wirecache \"wirecache manual\"\n"
	    ".SH NAME\nwireload \\- load generator for memcached servers\n.SH SYNOPSIS\n.B wireload\n"
	    "[\\fIFILE\\fR] [\\fB\\-\\-\\fINAME\\fB=\\fIVALUE\\fR]...\n.br\n"
	    ".B wireload \\-\\-help\n.SH DESCRIPTION\n"
	    "Loads a memcached server and says what it did: throughput, latency from the moment each "
	    "request was\n"
	    "due, losses, and whether every value was right. FILE is an INI file with the options below in "
	    "their\n"
	    "sections; what is given later wins. With \\-\\-rate the loop is open: a request leaves when it "
	    "is due, whatever\n"
	    "became of those before it. Without, each connection sends its next request when a reply "
	    "came.\n.PP\n"
	    "Numbers take k, m, g; times are written with ns, us, ms or s.\n",
	    stdout);
	for (unsigned i = 0; i < option_rows_len; i++) {
		if (i == 0 || strcmp(option_rows[i].section, option_rows[i - 1].section) != 0)
			printf(".SH [%s]\n", option_rows[i].section);
		print_row(&option_rows[i]);
	}
	fputs(".SH EXIT STATUS\n0 measured, 1 could not run, 2 options, 3 measured but not to be used: "
	      "wrong or stale values,\n"
	      "or the generator was too slow for its schedule.\n"
	      ".SH EXAMPLES\n.nf\n"
	      "wireload \\-\\-server=10.77.0.2 \\-\\-connections=64\n"
	      "wireload \\-\\-server=10.77.0.2 \\-\\-rate=50k \\-\\-get=95 \\-\\-set=5 \\-\\-duration=30s\n"
	      "wireload \\-\\-server=10.77.0.2 \\-\\-ramp \\-\\-p99=1ms \\-\\-plot=/tmp/curve\n.fi\n"
	      ".SH SEE ALSO\n.BR wirecached (8),\n.BR wirectl (8)\n",
	    stdout);
}
