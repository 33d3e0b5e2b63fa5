/*
 * Text to value and back, a pair of functions a type. See value.h.
 */
#include "control/value.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "control/prefix.h"
#include "dataplane/dataplane.h"

struct unit {
	const char *suffix;
	uint64_t factor;
};

/* Largest first: formatting takes the first that divides. */
static const struct unit size_units[] = {
    {"t", 1ull << 40}, {"g", 1ull << 30}, {"m", 1ull << 20}, {"k", 1ull << 10}, {"", 1}, {NULL, 0}};
static const struct unit duration_units[] = {{"s", 1000000}, {"ms", 1000}, {"us", 1}, {NULL, 0}};

/* Digits only: strtoull alone would take signs, blanks and hexadecimal. */
static int
parse_digits(const char *text, const char **end, uint64_t *number)
{
	uint64_t sum = 0;
	const char *at = text;
	for (; isdigit((unsigned char)*at); at++)
		if (__builtin_mul_overflow(sum, 10u, &sum) ||
		    __builtin_add_overflow(sum, (uint64_t)(*at - '0'), &sum))
			return -ERANGE;
	if (at == text)
		return -EINVAL;
	*end = at;
	*number = sum;
	return 0;
}

static int
parse_with_unit(const char *text, const struct unit *units, const char *bare, uint64_t *value)
{
	const char *rest;
	uint64_t number;
	int error = parse_digits(text, &rest, &number);
	if (error != 0)
		return error;
	while (*rest == ' ')
		rest++;
	if (*rest == '\0')
		rest = bare;
	for (; units->suffix != NULL; units++) {
		if (strcasecmp(rest, units->suffix) != 0)
			continue;
		uint64_t product;
		if (__builtin_mul_overflow(number, units->factor, &product))
			return -ERANGE;
		*value = product;
		return 0;
	}
	return -EINVAL;
}

int
value_parse_size(const char *text, uint64_t *bytes)
{
	return parse_with_unit(text, size_units, "", bytes);
}

int
value_parse_duration(const char *text, uint64_t *us)
{
	return parse_with_unit(text, duration_units, "s", us);
}

int
value_parse_list(const char *text, int *list, unsigned room, int max)
{
	unsigned len = 0;
	if (*text == '\0')
		return 0;
	for (;;) {
		uint64_t first, last;
		if (parse_digits(text, &text, &first) != 0)
			return -EINVAL;
		last = first;
		if (*text == '-' && parse_digits(text + 1, &text, &last) != 0)
			return -EINVAL;
		if (last < first)
			return -EINVAL;
		if (last > (uint64_t)max || last - first >= room - len)
			return -ERANGE;
		for (uint64_t at = first; at <= last; at++)
			list[len++] = (int)at;
		if (*text == '\0')
			return (int)len;
		if (*text != ',' || len == room)
			return *text != ',' ? -EINVAL : -ERANGE;
		text++;
		while (*text == ' ')
			text++;
	}
}

static int
parse_bool(const char *text, bool *value)
{
	static const char *const words[][2] = {{"no", "yes"}, {"false", "true"}, {"off", "on"}, {"0", "1"}};
	for (unsigned i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		for (unsigned truth = 0; truth < 2; truth++)
			if (strcasecmp(text, words[i][truth]) == 0) {
				*value = truth;
				return 0;
			}
	return -EINVAL;
}

static int
parse_choice(const char *choices, const char *text, unsigned *position)
{
	size_t text_len = strlen(text);
	for (unsigned at = 0;; at++) {
		size_t len = strcspn(choices, "|");
		if (len == text_len && strncasecmp(choices, text, len) == 0) {
			*position = at;
			return 0;
		}
		if (choices[len] == '\0')
			return -EINVAL;
		choices += len + 1;
	}
}

/* Address alone (prefix NULL) or with its prefix, which may not be left out: guessing it hides mistakes. */
static int
parse_address(int family, const char *text, uint8_t *addr, uint8_t *prefix, unsigned prefix_max)
{
	char host[INET6_ADDRSTRLEN];
	uint8_t parsed[16];
	uint64_t length = 0;
	size_t host_len = strcspn(text, "/");
	if (host_len >= sizeof(host) || (text[host_len] == '/') != (prefix != NULL))
		return -EINVAL;
	memcpy(host, text, host_len);
	host[host_len] = '\0';
	if (inet_pton(family, host, parsed) != 1)
		return -EINVAL;
	if (prefix != NULL) {
		const char *end;
		if (parse_digits(text + host_len + 1, &end, &length) != 0 || *end != '\0')
			return -EINVAL;
		if (length == 0 || length > prefix_max)
			return -ERANGE;
		*prefix = (uint8_t)length;
	}
	memcpy(addr, parsed, family == AF_INET ? 4 : 16);
	return 0;
}

static int
parse_address_option(const struct option *option, void *base, const char *text)
{
	struct dataplane_port_config *port = base;
	uint8_t *field = (uint8_t *)base + option->offset;
	switch (option->type) {
	case OPTION_PREFIX4:
		if (*text == '\0')
			return memset(field, 0, 4), port->prefix4 = 0, 0;
		return parse_address(AF_INET, text, field, &port->prefix4, 32);
	case OPTION_PREFIX6:
		if (*text == '\0')
			return memset(field, 0, 16), port->prefix6 = 0, 0;
		return parse_address(AF_INET6, text, field, &port->prefix6, 128);
	case OPTION_ADDR4:
		return *text == '\0' ? (memset(field, 0, 4), 0)
		                     : parse_address(AF_INET, text, field, NULL, 0);
	default:
		return *text == '\0' ? (memset(field, 0, 16), 0)
		                     : parse_address(AF_INET6, text, field, NULL, 0);
	}
}

/* The array that the field counts lies right before it, but for what aligns the count. */
static struct dataplane_prefix *
prefixes_of(const unsigned *len, unsigned room)
{
	size_t bytes = room * sizeof(struct dataplane_prefix);
	return (struct dataplane_prefix *)((uintptr_t)len -
	                                   (bytes + sizeof(*len) - 1) / sizeof(*len) * sizeof(*len));
}

static int
parse_list_option(const struct option *option, void *base, const char *text)
{
	unsigned *len = (unsigned *)((uint8_t *)base + option->offset);
	unsigned room = (unsigned)option->min;
	int list[DATAPLANE_WORKERS_MAX];
	int parsed = value_parse_list(text, list, room, (int)option->max);
	if (parsed < 0)
		return parsed;
	memcpy((int *)len - room, list, (size_t)parsed * sizeof(int));
	*len = (unsigned)parsed;
	return 0;
}

static int
parse_prefixes_option(const struct option *option, void *base, const char *text)
{
	unsigned *len = (unsigned *)((uint8_t *)base + option->offset);
	unsigned room = (unsigned)option->min;
	struct dataplane_prefix list[DATAPLANE_ACL_MAX];
	int parsed = prefix_list_parse(text, list, room);
	if (parsed < 0)
		return parsed;
	memcpy(prefixes_of(len, room), list, (size_t)parsed * sizeof(*list));
	*len = (unsigned)parsed;
	return 0;
}

static void
store_number(const struct option *option, void *field, uint64_t number)
{
	switch (option->bytes) {
	case sizeof(uint16_t):
		*(uint16_t *)field = (uint16_t)number;
		break;
	case sizeof(uint32_t):
		*(uint32_t *)field = (uint32_t)number;
		break;
	default:
		*(uint64_t *)field = number;
	}
}

static uint64_t
load_number(const struct option *option, const void *field)
{
	switch (option->bytes) {
	case sizeof(uint16_t):
		return *(const uint16_t *)field;
	case sizeof(uint32_t):
		return *(const uint32_t *)field;
	default:
		return *(const uint64_t *)field;
	}
}

/* ASCII: "C" is the locale of the daemon. */
static int
parse_text_option(const struct option *option, char *field, const char *text)
{
	bool name = option->type == OPTION_NAME;
	if (strlen(text) < option->min || strlen(text) > option->max)
		return -ERANGE;
	if (name && !isalnum((unsigned char)*text))
		return -EINVAL;
	for (const char *at = text; *at != '\0'; at++)
		if (name ? !isalnum((unsigned char)*at) && strchr("._-", *at) == NULL
		         : !isprint((unsigned char)*at))
			return -EINVAL;
	memcpy(field, text, strlen(text) + 1);
	return 0;
}

static int
parse_number_option(const struct option *option, void *field, const char *text)
{
	uint64_t number;
	const char *end = "";
	int error;
	if (option->type == OPTION_SIZE)
		error = value_parse_size(text, &number);
	else if (option->type == OPTION_DURATION)
		error = value_parse_duration(text, &number);
	else
		error = parse_digits(text, &end, &number);
	if (error != 0)
		return error;
	if (*end != '\0')
		return -EINVAL;
	if (number < option->min || number > option->max)
		return -ERANGE;
	store_number(option, field, number);
	return 0;
}

int
value_parse(const struct option *option, void *base, const char *text)
{
	void *field = (uint8_t *)base + option->offset;
	unsigned choice;
	int error;
	switch (option->type) {
	case OPTION_BOOL:
		return parse_bool(text, field);
	case OPTION_INT:
		if (strcasecmp(text, "auto") == 0)
			return *(int *)field = -1, 0;
		return parse_number_option(option, field, text);
	case OPTION_ENUM:
		error = parse_choice(option->unit, text, &choice);
		if (error == 0)
			*(unsigned *)field = choice;
		return error;
	case OPTION_STRING:
	case OPTION_NAME:
		return parse_text_option(option, field, text);
	case OPTION_INTLIST:
		return parse_list_option(option, base, text);
	case OPTION_PREFIXES:
		return parse_prefixes_option(option, base, text);
	case OPTION_PREFIX4:
	case OPTION_PREFIX6:
	case OPTION_ADDR4:
	case OPTION_ADDR6:
		return parse_address_option(option, base, text);
	default:
		return parse_number_option(option, field, text);
	}
}

static void
format_with_unit(uint64_t number, const struct unit *units, char *out, size_t out_bytes)
{
	if (number == 0) {
		snprintf(out, out_bytes, "0");
		return;
	}
	while (units[1].suffix != NULL && number % units->factor != 0)
		units++;
	snprintf(out, out_bytes, "%" PRIu64 "%s", number / units->factor, units->suffix);
}

void
value_expected(const struct option *option, char *out, size_t out_bytes)
{
	char low[32], high[32];
	const struct unit *units = option->type == OPTION_SIZE ? size_units : duration_units;
	format_with_unit(option->min, units, low, sizeof(low));
	format_with_unit(option->max, units, high, sizeof(high));
	switch (option->type) {
	case OPTION_BOOL:
		snprintf(out, out_bytes, "yes or no");
		break;
	case OPTION_INT:
		snprintf(out, out_bytes, "auto or a number from %" PRIu64 " to %" PRIu64, option->min,
		    option->max);
		break;
	case OPTION_UINT:
		snprintf(out, out_bytes, "a number from %" PRIu64 " to %" PRIu64 "%s%s%s", option->min,
		    option->max, *option->unit != '\0' ? " (" : "", option->unit,
		    *option->unit != '\0' ? ")" : "");
		break;
	case OPTION_SIZE:
		snprintf(out, out_bytes, "a size from %s to %s (bytes, or with k, m, g, t)", low, high);
		break;
	case OPTION_DURATION:
		snprintf(out, out_bytes, "a duration from %s to %s (s, ms or us)", low, high);
		break;
	case OPTION_ENUM:
		snprintf(out, out_bytes, "one of %s", option->unit);
		break;
	case OPTION_STRING:
		snprintf(out, out_bytes, "%" PRIu64 " to %" PRIu64 " printable ASCII characters", option->min,
		    option->max);
		break;
	case OPTION_NAME:
		snprintf(out, out_bytes,
		    "%" PRIu64 " to %" PRIu64 " letters, digits, . - or _, the first a letter or digit",
		    option->min, option->max);
		break;
	case OPTION_INTLIST:
		snprintf(out, out_bytes, "a list of %s from 0 to %" PRIu64 ", such as 2-5,7", option->unit,
		    option->max);
		break;
	case OPTION_PREFIXES:
		snprintf(out, out_bytes,
		    "up to %" PRIu64 " prefixes without host bits, such as 10.0.0.0/8, fd00::/8",
		    option->min);
		break;
	case OPTION_PREFIX4:
		snprintf(out, out_bytes, "an IPv4 address with prefix, such as 10.77.0.2/24");
		break;
	case OPTION_PREFIX6:
		snprintf(out, out_bytes, "an IPv6 address with prefix, such as fd00::2/64");
		break;
	case OPTION_ADDR4:
		snprintf(out, out_bytes, "an IPv4 address, such as 10.77.0.1");
		break;
	case OPTION_ADDR6:
		snprintf(out, out_bytes, "an IPv6 address, such as fd00::1");
		break;
	}
}

static void
format_list(const unsigned *len, unsigned room, char *out, size_t out_bytes)
{
	const int *list = (const int *)len - room;
	size_t used = 0;
	*out = '\0';
	for (unsigned i = 0; i < *len && used < out_bytes; i++) {
		unsigned run = i;
		while (run + 1 < *len && list[run + 1] == list[run] + 1)
			run++;
		used += (size_t)snprintf(out + used, out_bytes - used, "%s%d", i > 0 ? "," : "", list[i]);
		if (run > i && used < out_bytes)
			used += (size_t)snprintf(out + used, out_bytes - used, "-%d", list[run]);
		i = run;
	}
}

static void
format_address(int family, const void *addr, int prefix, char *out, size_t out_bytes)
{
	static const uint8_t none[16];
	char host[INET6_ADDRSTRLEN];
	*out = '\0';
	if (prefix == 0 || (prefix < 0 && memcmp(addr, none, family == AF_INET ? 4 : 16) == 0))
		return;
	inet_ntop(family, addr, host, sizeof(host));
	if (prefix > 0)
		snprintf(out, out_bytes, "%s/%d", host, prefix);
	else
		snprintf(out, out_bytes, "%s", host);
}

static void
format_choice(const char *choices, unsigned position, char *out, size_t out_bytes)
{
	for (; position > 0; position--)
		choices += strcspn(choices, "|") + 1;
	snprintf(out, out_bytes, "%.*s", (int)strcspn(choices, "|"), choices);
}

void
value_format(const struct option *option, const void *base, char *out, size_t out_bytes)
{
	const struct dataplane_port_config *port = base;
	const void *field = (const uint8_t *)base + option->offset;
	switch (option->type) {
	case OPTION_BOOL:
		snprintf(out, out_bytes, "%s", *(const bool *)field ? "yes" : "no");
		break;
	case OPTION_INT:
		if (*(const int *)field < 0)
			snprintf(out, out_bytes, "auto");
		else
			snprintf(out, out_bytes, "%d", *(const int *)field);
		break;
	case OPTION_UINT:
		snprintf(out, out_bytes, "%" PRIu64, load_number(option, field));
		break;
	case OPTION_SIZE:
		format_with_unit(load_number(option, field), size_units, out, out_bytes);
		break;
	case OPTION_DURATION:
		format_with_unit(load_number(option, field), duration_units, out, out_bytes);
		break;
	case OPTION_ENUM:
		format_choice(option->unit, *(const unsigned *)field, out, out_bytes);
		break;
	case OPTION_STRING:
	case OPTION_NAME:
		snprintf(out, out_bytes, "%s", (const char *)field);
		break;
	case OPTION_INTLIST:
		format_list(field, (unsigned)option->min, out, out_bytes);
		break;
	case OPTION_PREFIXES:
		prefix_list_format(
		    prefixes_of(field, (unsigned)option->min), *(const unsigned *)field, out, out_bytes);
		break;
	case OPTION_PREFIX4:
		format_address(AF_INET, field, port->prefix4, out, out_bytes);
		break;
	case OPTION_PREFIX6:
		format_address(AF_INET6, field, port->prefix6, out, out_bytes);
		break;
	case OPTION_ADDR4:
		format_address(AF_INET, field, -1, out, out_bytes);
		break;
	case OPTION_ADDR6:
		format_address(AF_INET6, field, -1, out, out_bytes);
		break;
	}
}

json_t *
value_json(const struct option *option, const void *base)
{
	const void *field = (const uint8_t *)base + option->offset;
	char text[VALUE_TEXT_MAX];
	switch (option->type) {
	case OPTION_BOOL:
		return json_boolean(*(const bool *)field);
	case OPTION_UINT:
	case OPTION_SIZE:
	case OPTION_DURATION:
		return json_integer((json_int_t)load_number(option, field));
	case OPTION_INTLIST: {
		const unsigned *len = field;
		json_t *list = json_array();
		for (unsigned i = 0; i < *len; i++)
			json_array_append_new(list, json_integer(((const int *)len - option->min)[i]));
		return list;
	}
	default:
		value_format(option, base, text, sizeof(text));
		return json_string(text);
	}
}
