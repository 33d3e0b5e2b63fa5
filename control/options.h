/*
 * The options that exist: one row of options.def each, with where its value lies. Read-only, any thread.
 *
 * value.h turns text into values by these rows, config.h holds the values.
 */
#ifndef WIRECACHE_CONTROL_OPTIONS_H
#define WIRECACHE_CONTROL_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum option_type {
	OPTION_BOOL,
	OPTION_UINT,     /* unsigned number; the field may have 2, 4 or 8 bytes */
	OPTION_INT,      /* int, "auto" is -1 */
	OPTION_SIZE,     /* bytes, with k, m, g, t */
	OPTION_DURATION, /* microseconds, with s, ms, us */
	OPTION_ENUM,     /* position in the choices "a|b|c" */
	OPTION_STRING,   /* char array */
	OPTION_NAME,     /* char array that becomes part of file names */
	OPTION_INTLIST,  /* int array right before the unsigned field that counts it */
	OPTION_PREFIXES, /* the same of struct dataplane_prefix */
	OPTION_PREFIX4,  /* address and prefix of struct dataplane_port_config */
	OPTION_PREFIX6,
	OPTION_ADDR4, /* network order; zero is none */
	OPTION_ADDR6,
};

enum option_when { OPTION_RESTART, OPTION_LIVE };

struct option {
	const char *section; /* "port" for those of a port */
	const char *name;
	enum option_type type;
	bool per_port;
	size_t offset; /* in struct config, or in struct dataplane_port_config when per_port */
	size_t bytes;  /* of the field */
	const char *default_text;
	uint64_t min, max;
	const char *unit; /* for OPTION_ENUM the choices; else a word about the number, may be empty */
	enum option_when when;
	const char *flag; /* memcached's: "-m --memory-limit", or "" */
	const char *help;
};

extern const struct option options[];      /* of the daemon */
extern const struct option port_options[]; /* of each port */
extern const unsigned options_len, port_options_len;

#define OPTIONS_MAX      64u /* room for per-option state; asserted against the tables */
#define PORT_OPTIONS_MAX 16u

/* Option of a section by name, or NULL. section "port" searches the options of a port. Dashes equal
 * underscores. */
const struct option *option_find(const char *section, const char *name);

/* Option by bare name when exactly one section has it, or NULL. */
const struct option *option_find_bare(const char *name);

bool option_section_exists(const char *section);

/* Nearest name that exists, or NULL when nothing is near enough to be what was meant. */
const char *option_suggest_name(const char *section, const char *name);
const char *option_suggest_section(const char *section);

#endif
