/*
 * Members of JSON objects that are counts. Control thread only.
 */
#ifndef WIRECACHE_CONTROL_COUNT_H
#define WIRECACHE_CONTROL_COUNT_H

#include <stdint.h>

#include <jansson.h>

static inline void
count_set(json_t *object, const char *name, uint64_t value)
{
	json_object_set_new(object, name, json_integer((json_int_t)value));
}

#endif
