/*
 * Lists of address prefixes as text: "10.0.0.0/8, fd00::/8". Pure functions.
 */
#ifndef WIRECACHE_CONTROL_PREFIX_H
#define WIRECACHE_CONTROL_PREFIX_H

#include <stdbool.h>
#include <stddef.h>

#include "dataplane/dataplane.h"

#define PREFIX_TEXT_MAX 48u

/* "10.0.0.0/8"; an address alone is its host. Bits behind the prefix must be zero, since they hint at a mistake. 0, -EINVAL
 * or -ERANGE. */
int prefix_parse(const char *text, struct dataplane_prefix *prefix);
void prefix_format(const struct dataplane_prefix *prefix, char out[PREFIX_TEXT_MAX]);
bool prefix_equal(const struct dataplane_prefix *a, const struct dataplane_prefix *b);

/* Separated by commas; blanks do not matter. Returns the length, -EINVAL, or -ERANGE for more than room. */
int prefix_list_parse(const char *text, struct dataplane_prefix *list, unsigned room);
void prefix_list_format(const struct dataplane_prefix *list, unsigned len, char *out, size_t out_bytes);

#endif
