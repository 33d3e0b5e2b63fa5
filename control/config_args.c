/*
 * The command line: --section.name=value, --port.NAME.option=value, --name value where only one section has
 * the name, and memcached's flags from the table.
 *
 * One flag is both memcached's and ours: -c with a number is its limit of connections, with anything else our
 * file.
 */
#include "control/config.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "control/text.h"

/* memcached's flags that a kernel-bypass server cannot honour, and what to do instead. */
static const struct {
	const char *flags;
	const char *instead;
} foreign_flags[] = {
    {"-l --listen", "addresses belong to ports: set ipv4 or ipv6 in a [port NAME] section"},
    {"-d --daemon", "run it under systemd, or with setsid"},
    {"-u --user", "start it as the user it shall run as"},
    {"-s --unix-socket", "clients are served on the network only"},
    {"-S --enable-sasl", "logins are on as soon as there is a file of users: set auth.file"},
    {"-o --extended", "each behaviour has an option of its own, see --help"},
    {"-k --lock-memory", "memory is always reserved at start"},
    {"-R --max-reqs-per-event", "workers serve connections in turn, a burst each"},
    {"-B --protocol", "the protocol is recognised by the first byte"},
    {"-P --pidfile", "systemd knows the process; wirectl status shows it"},
};

struct argument {
	const struct option *option; /* NULL if none matched */
	unsigned port;
	bool flag_of_memcached;
	bool negated;      /* flag of a yes/no option */
	bool counts;       /* flag of verbosity */
	const char *value; /* after =, or behind the letter; NULL: the next argument */
};

/* Is `word` (its first len bytes) one of the two in "-m --memory-limit"? */
static bool
flag_matches(const char *flags, const char *word, size_t len)
{
	while (*flags != '\0') {
		size_t flag_len = strcspn(flags, " ");
		if (flag_len == len && strncmp(flags, word, len) == 0)
			return true;
		flags += flag_len + (flags[flag_len] == ' ');
	}
	return false;
}

static bool
all_digits(const char *text)
{
	return *text != '\0' && text[strspn(text, "0123456789")] == '\0';
}

static bool
takes_no_value(const struct option *option)
{
	return option->type == OPTION_BOOL || strncmp(option->flag, "-v", 2) == 0;
}

/* "-m", "-m64", "--memory-limit", "--memory-limit=64". */
static bool
match_memcached_flag(const char *word, struct argument *out)
{
	bool is_long = strncmp(word, "--", 2) == 0;
	size_t len = is_long ? strcspn(word, "=") : 2;
	for (unsigned i = 0; i < options_len; i++) {
		const struct option *option = &options[i];
		if (!flag_matches(option->flag, word, len))
			continue;
		*out = (struct argument){.option = option, .flag_of_memcached = true};
		if (word[len] != '\0')
			out->value = word + len + (is_long ? 1 : 0);
		if (takes_no_value(option)) {
			out->negated = option->type == OPTION_BOOL;
			out->counts = option->type != OPTION_BOOL;
		}
		return true;
	}
	return false;
}

static const struct option *
find_port_option(struct config *config, const char *name, const struct config_origin *origin, unsigned *port)
{
	char port_name[64];
	const char *dot = strchr(name, '.');
	if (dot == NULL || (size_t)(dot - name) >= sizeof(port_name))
		return NULL;
	const struct option *option = option_find("port", dot + 1);
	if (option == NULL)
		return NULL;
	snprintf(port_name, sizeof(port_name), "%.*s", (int)(dot - name), name);
	int found = config_port(config, port_name, origin);
	*port = found >= 0 ? (unsigned)found : 0;
	return found >= 0 ? option : NULL;
}

/* name: without dashes and value. */
static bool
match_option(
    struct config *config, const char *name, const struct config_origin *origin, struct argument *out)
{
	char section[64];
	const char *dot = strchr(name, '.');
	if (dot == NULL)
		out->option = option_find_bare(name);
	else if (strncmp(name, "port.", 5) == 0)
		out->option = find_port_option(config, name + 5, origin, &out->port);
	else if ((size_t)(dot - name) < sizeof(section)) {
		snprintf(section, sizeof(section), "%.*s", (int)(dot - name), name);
		out->option = option_find(section, dot + 1);
	}
	return out->option != NULL;
}

static void
report_unknown_argument(struct config *config, const char *word, const struct config_origin *origin)
{
	size_t len = strncmp(word, "--", 2) == 0 ? strcspn(word, "=") : 2;
	if (strcmp(word, "--config") == 0) {
		config_error(config, origin, "expected a file behind it");
		return;
	}
	for (unsigned i = 0; i < sizeof(foreign_flags) / sizeof(foreign_flags[0]); i++)
		if (flag_matches(foreign_flags[i].flags, word, len)) {
			config_error(config, origin, "memcached's flag has no effect here: %s",
			    foreign_flags[i].instead);
			return;
		}
	char known[96];
	char best[96] = "";
	char bare[96];
	snprintf(bare, sizeof(bare), "%.*s", (int)len, word);
	struct text_nearest nearest = text_nearest_begin(bare);
	for (unsigned i = 0; i < options_len; i++) {
		snprintf(known, sizeof(known), "--%s.%s", options[i].section, options[i].name);
		unsigned before = nearest.distance;
		text_nearest_offer(&nearest, known);
		if (nearest.distance < before)
			snprintf(best, sizeof(best), "%s", known);
	}
	if (*best != '\0')
		config_error(config, origin, "unknown option: did you mean %s?", best);
	else
		config_error(config, origin, "unknown option: --help lists them");
}

/* Finds what `word` sets; false (with an error) if nothing. */
static bool
match_argument(
    struct config *config, const char *word, const struct config_origin *origin, struct argument *out)
{
	*out = (struct argument){0};
	if (match_memcached_flag(word, out))
		return true;
	unsigned errors = config->errors;
	if (strncmp(word, "--", 2) == 0) {
		char name[128];
		size_t len = strcspn(word, "=");
		snprintf(name, sizeof(name), "%.*s", (int)(len - 2), word + 2);
		if (match_option(config, name, origin, out)) {
			out->value = word[len] == '=' ? word + len + 1 : NULL;
			return true;
		}
	}
	if (config->errors == errors)
		report_unknown_argument(config, word, origin);
	return false;
}

static void
count_verbosity(struct config *config, const struct argument *argument, const char *word,
    const struct config_origin *origin)
{
	unsigned more = 0;
	for (const char *at = word + 1; *at != '\0' && word[1] != '-'; at++) {
		if (*at != 'v') {
			config_error(config, origin, "expected -v, -vv or -vvv");
			return;
		}
		more++;
	}
	unsigned sum = config->dataplane.verbosity + (more > 0 ? more : 1);
	char text[16];
	snprintf(
	    text, sizeof(text), "%u", sum > argument->option->max ? (unsigned)argument->option->max : sum);
	config_set(config, argument->option, 0, text, origin);
}

static void
set_argument(struct config *config, const struct argument *argument, const char *value,
    const struct config_origin *origin)
{
	char megabytes[32];
	/* memcached's -m is the one size that counts in megabytes when it is bare. */
	if (argument->flag_of_memcached && strncmp(argument->option->flag, "-m", 2) == 0 &&
	    all_digits(value) && strlen(value) < sizeof(megabytes) - 2) {
		snprintf(megabytes, sizeof(megabytes), "%sm", value);
		value = megabytes;
	}
	config_set(config, argument->option, argument->port, value, origin);
}

/* -c FILE, --config FILE and what ends the run at once; how many arguments it takes, 0 if it is none of
 * them. */
static int
scan_own_flag(struct config_request *request, int left, char *const argv[])
{
	const char *word = argv[0];
	if (strcmp(word, "-h") == 0 || strcmp(word, "--help") == 0)
		return request->action = CONFIG_HELP, 1;
	if (strcmp(word, "-V") == 0 || strcmp(word, "--version") == 0)
		return request->action = CONFIG_VERSION, 1;
	if (strcmp(word, "--check-config") == 0)
		return request->action = CONFIG_CHECK_ONLY, 1;
	if (strcmp(word, "--doctor") == 0)
		return request->action = CONFIG_DOCTOR, 1;
	if (strcmp(word, "--quick") == 0)
		return request->quick = true, 1;
	if (strncmp(word, "--root=", 7) == 0)
		return request->root = word + 7, 1;
	if (strncmp(word, "--config=", 9) == 0)
		return request->file = word + 9, 1;
	if (left > 1 && (strcmp(word, "--config") == 0 || (strcmp(word, "-c") == 0 && !all_digits(argv[1]))))
		return request->file = argv[1], 2;
	return 0;
}

struct config_request
config_scan_arguments(int argc, char *const argv[])
{
	struct config_request request = {.action = CONFIG_RUN};
	for (int at = 1; at < argc;) {
		enum config_action before = request.action;
		int taken = scan_own_flag(&request, argc - at, argv + at);
		if (before > CONFIG_DOCTOR)
			request.action = before; /* the first of --help and --version wins */
		at += taken > 0 ? taken : 1;
	}
	return request;
}

void
config_parse_arguments(struct config *config, int argc, char *const argv[])
{
	struct config_request ignored = {0};
	for (int at = 1; at < argc;) {
		const char *word = argv[at];
		int taken = scan_own_flag(&ignored, argc - at, argv + at);
		if (taken > 0) {
			at += taken;
			continue;
		}
		at++;
		struct config_origin origin = {.source = CONFIG_FLAG};
		snprintf(origin.place, sizeof(origin.place), "%.*s", (int)strcspn(word, "="), word);
		struct argument argument;
		if (word[0] != '-' || word[1] == '\0') {
			config_error(config, &origin, "expected an option: --help lists them");
			continue;
		}
		if (!match_argument(config, word, &origin, &argument))
			continue;
		if (argument.counts)
			count_verbosity(config, &argument, word, &origin);
		else if (argument.negated && argument.value == NULL)
			config_set(config, argument.option, 0,
			    strcmp(argument.option->default_text, "yes") == 0 ? "no" : "yes", &origin);
		else if (argument.negated)
			config_error(config, &origin, "takes no value, not \"%.40s\"", argument.value);
		else if (argument.value == NULL && at == argc)
			config_error(config, &origin, "expected a value behind it");
		else
			set_argument(
			    config, &argument, argument.value != NULL ? argument.value : argv[at++], &origin);
	}
}
