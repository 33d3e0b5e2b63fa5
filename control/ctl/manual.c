/*
 * wirectl(8), from the command table.
 */
#include "control/ctl/catalog.h"

#include <string.h>

#include "control/roff.h"
#include "control/wire.h"

static void
print_command(void *out_ctx, const struct catalog_command *command)
{
	FILE *out = out_ctx;
	fprintf(out, ".TP\n.B %s%s%s", command->noun, *command->verb != '\0' ? " " : "", command->verb);
	if (*command->usage != '\0') {
		fputs(" \\fR", out);
		roff_text(out, command->usage);
	}
	fputc('\n', out);
	roff_text(out, command->help);
	fputs(".\n", out);
}

void
catalog_manual(FILE *out)
{
	fputs(".\\\" Written by scripts/gen-docs from control/commands.def; do not edit.\n"
	      ".TH WIRECTL 8 \"\" wirecache \"wirecache manual\"\n"
	      ".SH NAME\nwirectl \\- control of wirecached\n.SH SYNOPSIS\n.B wirectl\n"
	      "[\\fB\\-j\\fR] [\\fB\\-w\\fR \\fISECONDS\\fR] [\\fB\\-s\\fR \\fISOCKET\\fR] [\\fB\\-T\\fR "
	      "\\fISECONDS\\fR]\n"
	      "[\\fB\\-\\-no\\-color\\fR] \\fINOUN\\fR [\\fIVERB\\fR] [\\fIARGUMENT\\fR]...\n"
	      ".SH DESCRIPTION\nAsks the daemon over its Unix socket, prints the answer as text or JSON, and "
	      "says by its exit\n"
	      "status how it went. A noun alone means its verb show.\n.SH OPTIONS\n"
	      ".TP\n.B \\-j, \\-\\-json\nJSON with raw numbers: members are added in later versions, never "
	      "renamed.\n"
	      ".TP\n.B \\-s, \\-\\-socket PATH\nThe socket; else $" WIRE_SOCKET_ENV
	      ", else " WIRE_SOCKET_DEFAULT ".\n"
	      ".TP\n.B \\-T, \\-\\-timeout S\nGive up after S seconds (5).\n"
	      ".TP\n.B \\-w, \\-\\-watch S\nRepeat every S seconds.\n"
	      ".TP\n.B \\-\\-no\\-color\nNo color; so does NO_COLOR in the environment, and output that is "
	      "no terminal.\n"
	      ".SH COMMANDS\n",
	    out);
	catalog_each(print_command, out);
	fputs(".SH EXIT STATUS\n0 ok, 1 failed, 2 usage, 3 daemon unreachable, 4 not healthy, 5 needs a "
	      "restart.\n"
	      ".SH SEE ALSO\n.BR wirecached (8),\n.BR wirecache.conf (5)\n",
	    out);
}
