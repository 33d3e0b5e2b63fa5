/*
 * Option values as text: parsing into the option's field and writing them back. Pure functions of option and
 * text.
 *
 * base is the struct that the option's offset counts from (struct config or struct dataplane_port_config). On
 * failure the field is unchanged.
 */
#ifndef WIRECACHE_CONTROL_VALUE_H
#define WIRECACHE_CONTROL_VALUE_H

#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "control/options.h"

#define VALUE_TEXT_MAX 2048u /* longest value as text: 32 prefixes of 47 characters */

/* 0, or -EINVAL for text that is no such value, -ERANGE for one out of range. */
int value_parse(const struct option *option, void *base, const char *text);

/* "a size from 8m to 16t, such as 512m": what the option expects, for messages and documents. */
void value_expected(const struct option *option, char *out, size_t out_bytes);

/* The value in the form that the parser takes. Sizes and durations keep the largest unit that divides
 * them. */
void value_format(const struct option *option, const void *base, char *out, size_t out_bytes);

/* The value as JSON: integers stay integers (bytes, microseconds), lists are arrays. New reference. */
json_t *value_json(const struct option *option, const void *base);

/* "64k" and "250ms" to bytes and microseconds; -EINVAL. A duration without unit is seconds. */
int value_parse_size(const char *text, uint64_t *bytes);
int value_parse_duration(const char *text, uint64_t *us);

/* "2-5,7" to a list; returns its length or -EINVAL, -ERANGE (too many, or above max). */
int value_parse_list(const char *text, int *list, unsigned room, int max);

#endif
