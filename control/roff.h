/*
 * Text for manual pages: what man(7) would read as a macro, an escape or a hyphen is written as itself. Any thread.
 */
#ifndef WIRECACHE_CONTROL_ROFF_H
#define WIRECACHE_CONTROL_ROFF_H

#include <stdio.h>

static inline void
roff_text(FILE *out, const char *text)
{
	if (*text == '.' || *text == '\'')
		fputs("\\&", out);
	for (; *text != '\0'; text++)
		if (*text == '-')
			fputs("\\-", out);
		else if (*text == '\\')
			fputs("\\e", out);
		else
			fputc(*text, out);
}

#endif
