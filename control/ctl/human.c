#include "control/ctl/human.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static bool
ends_with(const char *name, const char *suffix)
{
	size_t name_len = strlen(name), suffix_len = strlen(suffix);
	return name_len > suffix_len && strcmp(name + name_len - suffix_len, suffix) == 0;
}

static void
human_bytes(double bytes, char *out, size_t out_bytes)
{
	static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
	unsigned unit = 0;
	while (bytes >= 1024 && unit + 1 < sizeof(units) / sizeof(units[0])) {
		bytes /= 1024;
		unit++;
	}
	snprintf(out, out_bytes, unit == 0 || bytes >= 1000 ? "%.0f %s" : "%.1f %s", bytes, units[unit]);
}

static void
human_seconds(uint64_t s, char *out, size_t out_bytes)
{
	if (s < 60)
		snprintf(out, out_bytes, "%" PRIu64 " s", s);
	else if (s < 3600)
		snprintf(out, out_bytes, "%" PRIu64 " min %" PRIu64 " s", s / 60, s % 60);
	else if (s < 86400)
		snprintf(out, out_bytes, "%" PRIu64 " h %" PRIu64 " min", s / 3600, s / 60 % 60);
	else
		snprintf(out, out_bytes, "%" PRIu64 " d %" PRIu64 " h", s / 86400, s / 3600 % 24);
}

static void
human_nanoseconds(double ns, char *out, size_t out_bytes)
{
	static const char *const units[] = {"ns", "us", "ms", "s"};
	unsigned unit = 0;
	while (ns >= 999.5 && unit + 1 < sizeof(units) / sizeof(units[0])) {
		ns /= 1000;
		unit++;
	}
	snprintf(out, out_bytes, unit == 0 || ns >= 100 ? "%.0f %s" : "%.1f %s", ns, units[unit]);
}

/* Three digits are enough in a table; the JSON has all. */
static void
human_count(double count, char *out, size_t out_bytes)
{
	static const char *const units[] = {"", " k", " M", " G", " T", " P", " E"};
	unsigned unit = 0;
	while (count >= 999.5 && unit + 1 < sizeof(units) / sizeof(units[0])) {
		count /= 1000;
		unit++;
	}
	snprintf(out, out_bytes, "%.*f%s",
	    unit == 0      ? 0
	    : count >= 100 ? 0
	    : count >= 10  ? 1
	                   : 2,
	    count, units[unit]);
}

static void
human_integer(const char *name, json_int_t number, bool brief, char *out, size_t out_bytes)
{
	if (ends_with(name, "_bytes"))
		human_bytes((double)number, out, out_bytes);
	else if (ends_with(name, "_per_s"))
		human_count((double)number, out, out_bytes);
	else if (ends_with(name, "_s"))
		human_seconds((uint64_t)number, out, out_bytes);
	else if (ends_with(name, "_ns"))
		human_nanoseconds((double)number, out, out_bytes);
	else if (ends_with(name, "_us"))
		snprintf(out, out_bytes, "%" JSON_INTEGER_FORMAT " us", number);
	else if (ends_with(name, "_mbps"))
		snprintf(out, out_bytes, number >= 1000 ? "%g Gbit/s" : "%g Mbit/s",
		    number >= 1000 ? (double)number / 1000 : (double)number);
	else if (brief && number >= 100000)
		human_count((double)number, out, out_bytes);
	else
		snprintf(out, out_bytes, "%" JSON_INTEGER_FORMAT, number);
}

static void
human_real(const char *name, double number, char *out, size_t out_bytes)
{
	if (ends_with(name, "_pct"))
		snprintf(out, out_bytes, "%.1f %%", number);
	else if (number >= 100000)
		human_count(number, out, out_bytes);
	else
		snprintf(out, out_bytes, number >= 100 ? "%.0f" : "%.1f", number);
}

static void
join_array(const char *name, const json_t *array, bool exact, char out[HUMAN_TEXT_MAX])
{
	size_t used = 0, at;
	json_t *element;
	snprintf(out, HUMAN_TEXT_MAX, "-");
	json_array_foreach ((json_t *)array, at, element) {
		char text[HUMAN_TEXT_MAX];
		if (json_is_array(element) || used >= HUMAN_TEXT_MAX - 1)
			return;
		human_value(name, element, exact, false, text);
		used += (size_t)snprintf(out + used, HUMAN_TEXT_MAX - used, "%s%s", at > 0 ? ", " : "", text);
	}
}

void
human_value(const char *name, const json_t *value, bool exact, bool brief, char out[HUMAN_TEXT_MAX])
{
	switch (value != NULL ? json_typeof(value) : JSON_NULL) {
	case JSON_STRING:
		snprintf(out, HUMAN_TEXT_MAX, "%s", json_string_value(value));
		break;
	case JSON_INTEGER:
		human_integer(
		    exact ? "" : name, json_integer_value(value), brief && !exact, out, HUMAN_TEXT_MAX);
		break;
	case JSON_REAL:
		human_real(name, json_real_value(value), out, HUMAN_TEXT_MAX);
		break;
	case JSON_TRUE:
		snprintf(out, HUMAN_TEXT_MAX, "yes");
		break;
	case JSON_FALSE:
		snprintf(out, HUMAN_TEXT_MAX, "no");
		break;
	case JSON_ARRAY:
		join_array(name, value, exact, out);
		break;
	case JSON_OBJECT:
		snprintf(out, HUMAN_TEXT_MAX, "{%zu}", json_object_size(value));
		break;
	default:
		snprintf(out, HUMAN_TEXT_MAX, "-");
	}
}

/* "rx" alone would not tell bytes from packets. */
static bool
is_direction(const char *name, size_t len)
{
	return len == 2 && (strncmp(name, "rx", 2) == 0 || strncmp(name, "tx", 2) == 0);
}

void
human_name(const char *name, bool exact, char *out, size_t out_bytes)
{
	static const char *const units[] = {"_bytes", "_ns", "_us", "_pct", "_mbps"};
	snprintf(out, out_bytes, "%s", name);
	if (exact)
		return;
	for (unsigned i = 0; i < sizeof(units) / sizeof(units[0]); i++)
		if (ends_with(out, units[i]) && !is_direction(out, strlen(out) - strlen(units[i])))
			out[strlen(out) - strlen(units[i])] = '\0';
	if (ends_with(out, "_s") && !ends_with(out, "_per_s"))
		out[strlen(out) - 2] = '\0';
	for (char *at = out; *at != '\0'; at++)
		if (*at == '_')
			*at = ' ';
}
