/*
 * Reads numbers, see parse.h.
 */
#include "tests/load/parse.h"

#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* strtod() would take hexadecimal, infinity, spaces and signs too. */
static bool
decimal(const char *text, double *out, const char **end)
{
	char *stop;

	if (!isdigit((unsigned char)*text) || (text[0] == '0' && tolower((unsigned char)text[1]) == 'x'))
		return false;
	*out = strtod(text, &stop);
	*end = stop;
	return isfinite(*out);
}

static bool
scaled(const char *text, double kilo, double *out, const char **end)
{
	if (!decimal(text, out, end))
		return false;
	switch (tolower((unsigned char)**end)) {
	case 'g':
		*out *= kilo; /* fall through */
	case 'm':
		*out *= kilo; /* fall through */
	case 'k':
		*out *= kilo;
		(*end)++;
	}
	return true;
}

bool
parse_number(const char *text, double kilo, double *out)
{
	const char *end;

	return scaled(text, kilo, out, &end) && *end == '\0';
}

bool
parse_range(const char *text, double kilo, uint64_t *first, uint64_t *last)
{
	const char *end;
	double low, high;

	if (!scaled(text, kilo, &low, &end))
		return false;
	high = low;
	if (*end == '-' && !scaled(end + 1, kilo, &high, &end))
		return false;
	if (*end != '\0' || low > high || high > 1e15 || low != floor(low) || high != floor(high))
		return false;
	*first = (uint64_t)low;
	*last = (uint64_t)high;
	return true;
}

bool
parse_duration(const char *text, double *seconds)
{
	static const struct {
		const char *unit;
		double seconds;
	} units[] = {{"ns", 1e-9}, {"us", 1e-6}, {"ms", 1e-3}, {"s", 1.0}};
	const char *end;

	if (!decimal(text, seconds, &end))
		return false;
	for (unsigned i = 0; i < sizeof(units) / sizeof(units[0]); i++)
		if (strcmp(end, units[i].unit) == 0) {
			*seconds *= units[i].seconds;
			return true;
		}
	return *end == '\0' && *seconds == 0.0;
}
