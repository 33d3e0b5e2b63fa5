/*
 * Numbers with units for people, chosen by the member's name as it ends: _bytes, _s, _us, _pct, _mbps,
 * _per_s.
 */
#ifndef WIRECACHE_CTL_HUMAN_H
#define WIRECACHE_CTL_HUMAN_H

#include <stdbool.h>
#include <stddef.h>

#include <jansson.h>

#define HUMAN_TEXT_MAX 1024u

/*
 * The value as text. exact: numbers stay as they are. brief: counts from 100 000 on become "123 k", "1.23 M",
 * for tables. Arrays are joined by commas, null is "-".
 */
void human_value(const char *name, const json_t *value, bool exact, bool brief, char out[HUMAN_TEXT_MAX]);

/* Member name to words: the unit leaves, underscores become blanks. */
void human_name(const char *name, bool exact, char *out, size_t out_bytes);

#endif
