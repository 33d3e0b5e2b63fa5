/*
 * The picture that `wirectl top` shows, as text: from what the daemon's `metrics` answers.
 */
#ifndef WIRECACHE_CTL_SCREEN_H
#define WIRECACHE_CTL_SCREEN_H

#include <stdbool.h>

#include <jansson.h>

/* At most `rows` lines of `columns` characters (80x24 or more); to be freed, NULL without memory. */
char *screen_text(const json_t *metrics, unsigned columns, unsigned rows, bool color);

#endif
