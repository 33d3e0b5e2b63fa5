/*
 * The environment: WIRECACHE_MEMORY_LIMIT is memory.limit, WIRECACHE_PORT_LAN0_DEVICE is device of [port
 * lan0].
 *
 * An unknown WIRECACHE_ variable is an error as an unknown key is: a setting that has no effect is worse than
 * none.
 */
#include "control/config.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "control/text.h"

#define ENV_PREFIX   "WIRECACHE_"
#define ENV_NAME_MAX 96u

/* "memory.limit" to WIRECACHE_MEMORY_LIMIT. */
static void
env_name(const char *section, const char *name, char out[ENV_NAME_MAX])
{
	snprintf(out, ENV_NAME_MAX, ENV_PREFIX "%s_%s", section, name);
	for (char *at = out; *at != '\0'; at++)
		*at = *at == '-' ? '_' : (char)toupper((unsigned char)*at);
}

/* A port named in the file keeps its spelling there; a new one is written in small letters. */
static int
env_port(struct config *config, const char *upper, size_t upper_len, const struct config_origin *origin)
{
	char name[DATAPLANE_NAME_MAX];
	if (upper_len == 0 || upper_len >= sizeof(name))
		return -1;
	for (size_t i = 0; i < upper_len; i++)
		name[i] = (char)tolower((unsigned char)upper[i]);
	name[upper_len] = '\0';
	for (unsigned i = 0; i < config->dataplane.ports_len; i++) {
		char spelled[DATAPLANE_NAME_MAX];
		snprintf(spelled, sizeof(spelled), "%s", config->dataplane.ports[i].name);
		for (char *at = spelled; *at != '\0'; at++)
			*at = *at == '-' ? '_' : (char)tolower((unsigned char)*at);
		if (strcmp(spelled, name) == 0)
			return (int)i;
	}
	return config_port(config, name, origin);
}

/* rest: LAN0_DEVICE. The option's name ends it. */
static bool
set_port_variable(
    struct config *config, const char *rest, const char *value, const struct config_origin *origin)
{
	for (unsigned i = 0; i < port_options_len; i++) {
		size_t rest_len = strlen(rest), name_len = strlen(port_options[i].name);
		if (rest_len < name_len + 2 || rest[rest_len - name_len - 1] != '_' ||
		    strcasecmp(rest + rest_len - name_len, port_options[i].name) != 0)
			continue;
		int port = env_port(config, rest, rest_len - name_len - 1, origin);
		if (port >= 0)
			config_set(config, &port_options[i], (unsigned)port, value, origin);
		return true;
	}
	return false;
}

static void
set_variable(struct config *config, const char *name, const char *value)
{
	struct config_origin origin = {.source = CONFIG_ENVIRONMENT};
	char known[OPTIONS_MAX][ENV_NAME_MAX];
	struct text_nearest nearest = text_nearest_begin(name);
	snprintf(origin.place, sizeof(origin.place), "%s", name);
	for (unsigned i = 0; i < options_len; i++) {
		env_name(options[i].section, options[i].name, known[i]);
		if (strcmp(known[i], name) == 0) {
			config_set(config, &options[i], 0, value, &origin);
			return;
		}
		text_nearest_offer(&nearest, known[i]);
	}
	if (strncmp(name, ENV_PREFIX "PORT_", strlen(ENV_PREFIX "PORT_")) == 0 &&
	    set_port_variable(config, name + strlen(ENV_PREFIX "PORT_"), value, &origin))
		return;
	if (nearest.best != NULL)
		config_error(config, &origin, "unknown variable: did you mean %s?", nearest.best);
	else
		config_error(
		    config, &origin, "unknown variable: unset it; wirecached --help lists the options");
}

void
config_parse_environment(struct config *config, char *const environment[])
{
	for (; *environment != NULL; environment++) {
		const char *equals = strchr(*environment, '=');
		char name[ENV_NAME_MAX];
		if (equals == NULL || strncmp(*environment, ENV_PREFIX, strlen(ENV_PREFIX)) != 0)
			continue;
		snprintf(name, sizeof(name), "%.*s", (int)(equals - *environment), *environment);
		set_variable(config, name, equals + 1);
	}
}
