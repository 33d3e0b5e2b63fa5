/*
 * Numbers as people write them in options: 64, 1.5m, 16-64, 500us. Nothing else may stand before or behind.
 */
#ifndef WIRECACHE_LOAD_PARSE_H
#define WIRECACHE_LOAD_PARSE_H

#include <stdbool.h>
#include <stdint.h>

/* With k, m or g: powers of `kilo`, 1000 or 1024. Never negative. */
bool parse_number(const char *text, double kilo, double *out);

/* "16" or "16-64"; first <= last. */
bool parse_range(const char *text, double kilo, uint64_t *first, uint64_t *last);

/* With ns, us, ms or s, which a number other than 0 must have. */
bool parse_duration(const char *text, double *seconds);

#endif
