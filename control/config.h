/*
 * The configuration: every option's value and where it came from.
 *
 * Built once at start, in this order, later sources overriding earlier ones: defaults, file, environment,
 * flags; then checked as a whole. Every mistake is collected, none ends the reading, so that an operator sees
 * them all at once. SIGHUP and `config check` build a second one beside the running one. Control thread only;
 * no allocation, so that a struct config may be copied.
 *
 * Messages are sentences that begin with the place: "FILE:LINE: ", "WIRECACHE_X: " or "--x.y: ".
 */
#ifndef WIRECACHE_CONTROL_CONFIG_H
#define WIRECACHE_CONTROL_CONFIG_H

#include <stdbool.h>
#include <stddef.h>

#include <jansson.h>

#include "control/options.h"
#include "dataplane/dataplane.h"

#define CONFIG_ERRORS_MAX    32u /* further ones are counted only */
#define CONFIG_MESSAGE_MAX   512u
#define CONFIG_PLACE_MAX     160u
#define CONFIG_FILE_MAX      65536u /* bytes of a configuration file */
#define CONFIG_LINE_MAX      1021u  /* bytes of a line in it */
#define CONFIG_PLAN_MAX      24u
#define CONFIG_PLAN_LINE_MAX 200u
#define CONFIG_FILE_DEFAULT  "/etc/wirecache/wirecached.conf"

enum config_source {
	CONFIG_DEFAULT,
	CONFIG_PLAN, /* from the hardware: plan.h */
	CONFIG_FILE,
	CONFIG_ENVIRONMENT,
	CONFIG_FLAG,
	CONFIG_COMMAND, /* wirectl, in the running daemon */
};

/* Where a value came from. */
struct config_origin {
	enum config_source source;
	unsigned line, column;        /* of a file; 0 elsewhere */
	char place[CONFIG_PLACE_MAX]; /* file, variable or flag; empty for defaults */
};

struct config {
	struct dataplane_config dataplane;
	char control_socket[108]; /* as long as sun_path */
	size_t
	    memory_reserved_bytes; /* of the running one: the cache may grow back to this; 0: to what is set */
	unsigned plan_len;         /* what was planned, a line each */
	char plan[CONFIG_PLAN_MAX][CONFIG_PLAN_LINE_MAX];
	bool plan_took_card;
	struct config_origin origins[OPTIONS_MAX];
	struct config_origin port_origins[DATAPLANE_PORTS_MAX][PORT_OPTIONS_MAX];
	struct config_origin port_declared[DATAPLANE_PORTS_MAX]; /* where the port was first named */
	unsigned errors; /* found so far; the first CONFIG_ERRORS_MAX are kept */
	char messages[CONFIG_ERRORS_MAX][CONFIG_MESSAGE_MAX];
};

/* Every option at its default. Never fails: the table's defaults are valid, which a unit test holds. */
void config_init(struct config *config);

/* Sets one option; port: index for options of a port, ignored else. A bad value is an error of the
 * configuration. */
void config_set(struct config *config, const struct option *option, unsigned port, const char *text,
    const struct config_origin *origin);

/* Index of the port of that name, made with defaults if it is new; -1 (and an error) if the name is bad or
 * all are taken. */
int config_port(struct config *config, const char *name, const struct config_origin *origin);

/* Adds an error; origin NULL: the message stands alone. */
void config_error(struct config *config, const struct config_origin *origin, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* "FILE:12", "WIRECACHE_X", "--x.y", "default" */
void config_origin_format(const struct config_origin *origin, char *out, size_t out_bytes);

/* Sets an option from a command; place: what the operator typed. */
void config_set_by_command(
    struct config *config, const struct option *option, const char *text, const char *place);

/* Base and origin of an option's value. */
const void *config_base(const struct config *config, const struct option *option, unsigned port);
const struct config_origin *config_origin_of(
    const struct config *config, const struct option *option, unsigned port);

/* ---- sources ---------------------------------------------------------------------------------- */

/* Text of a file, named `name` in messages. config_file.c */
void config_parse_text(struct config *config, const char *name, const char *text, size_t text_bytes);

/* Reads and parses a file; false only if it does not exist and `optional` is set. config_file.c */
bool config_parse_file(struct config *config, const char *path, bool optional);

/* The files DIRECTORY/conf.d/[!.]*.conf of the directory that `path` is in, by name: each overrides what was read before.
 * config_file.c */
void config_parse_directory(struct config *config, const char *path);

/* Variables WIRECACHE_SECTION_NAME and WIRECACHE_PORT_NAME_OPTION; others are left alone. config_env.c */
void config_parse_environment(struct config *config, char *const environment[]);

enum config_action { CONFIG_RUN, CONFIG_CHECK_ONLY, CONFIG_DOCTOR, CONFIG_HELP, CONFIG_VERSION };

/* What the command line asks for besides options. */
struct config_request {
	enum config_action action;
	const char *file; /* of -c, or NULL */
	const char *root; /* of --root: another place for /proc and /sys; NULL: this machine's */
	bool quick;       /* of --quick: the doctor looks only at what keeps it from starting */
};

/* First pass: finds the file and the action; options are looked at by the second. config_args.c */
struct config_request config_scan_arguments(int argc, char *const argv[]);
void config_parse_arguments(struct config *config, int argc, char *const argv[]);

/* ---- the whole -------------------------------------------------------------------------------- */

/* What no single option can know: ports, gateways, contradictions. config_check.c */
void config_check(struct config *config);

/* Where the daemon's configuration comes from. Pointers live as long as the process. */
struct config_sources {
	struct config_request request;
	int argc;
	char *const *argv;
	char *const *environment;
	bool plan; /* what is left open from the hardware */
};

/* All sources in order, then config_check(). config.c */
void config_load(struct config *config, const struct config_sources *sources);

/* The same with this text in place of the file. */
void config_load_text(struct config *config, const struct config_sources *sources, const char *name,
    const char *text, size_t text_bytes);

/* Array of {option, value, origin, applies, default}; all: those left at their default too. config_show.c */
json_t *config_json(const struct config *config, bool all);

/* Array of {option, applies, running, new}: what differs. Ports that exist on one side only are rows too.
 * config_show.c */
json_t *config_diff_json(const struct config *running, const struct config *other);

/* Whether a running daemon can take over the value of `other`: some live options have bounds. config_show.c */
enum option_when config_applies(
    const struct config *running, const struct config *other, const struct option *option);

/* Takes over the live options of `other`. config_show.c */
void config_apply_live(struct config *running, const struct config *other);

/* --help, and docs/options.md as Markdown; from the table. config_help.c */
void config_help(const char *program);
void config_document(void);

/* wirecache.conf(5) and wirecached(8). manual.c */
void config_manual_file(void);
void config_manual_daemon(void);

#endif
