/*
 * wirecached: reads the configuration, starts the data plane, then is its control plane until a signal ends
 * it.
 *
 * This thread is the control thread. Signals are blocked before the data plane makes its own threads, so that
 * they arrive here, through a signalfd in the server's loop.
 */
#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "control/commands.h"
#include "control/config.h"
#include "control/doctor.h"
#include "control/log.h"
#include "control/notify.h"
#include "control/server.h"
#include "control/summary.h"
#include "control/version.h"
#include "control/wire.h"
#include "dataplane/dataplane.h"
#include "dataplane/observe.h"

extern char **environ;

#define CONTROL_NICE 10

enum { EXIT_STOPPED = 0, EXIT_START_FAILED = 1, EXIT_CONFIG = 2 };

struct daemon {
	struct config_sources sources;
	struct config config;
	struct config reloaded; /* here for its size */
	struct dataplane *dataplane;
	struct server *server;
	struct commands commands;
	int signal_fd;
	bool stop;
};

static struct daemon self;

static uint64_t
now_ms(void *now_ctx)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static uint64_t
cpu_us(void *now_ctx)
{
	struct timespec taken;
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &taken);
	return (uint64_t)taken.tv_sec * 1000000 + (uint64_t)taken.tv_nsec / 1000;
}

static void
print_errors(const struct config *config)
{
	for (unsigned i = 0; i < config->errors && i < CONFIG_ERRORS_MAX; i++)
		fprintf(stderr, "%s\n", config->messages[i]);
	if (config->errors > CONFIG_ERRORS_MAX)
		fprintf(stderr, "and %u more\n", config->errors - CONFIG_ERRORS_MAX);
}

/* The file of names and passwords is read again even if its path is the same: it is what changes. */
static void
reload_auth(struct daemon *daemon)
{
	char error[DATAPLANE_ERROR_MAX];
	if (daemon->config.dataplane.auth_file[0] == '\0')
		return;
	if (dataplane_reload_auth(daemon->dataplane, error) != 0)
		log_line(LOG_LEVEL_ERROR, "SIGHUP: %s: the users of before may still log in", error);
	else
		log_line(LOG_LEVEL_INFO, "SIGHUP: %s read again", daemon->config.dataplane.auth_file);
}

static void
log_difference(const json_t *row)
{
	const char *option, *running, *other, *applies;
	if (json_unpack((json_t *)row, "{s:s, s:s, s:s, s:s}", "option", &option, "running", &running, "new",
	        &other, "applies", &applies) != 0)
		return;
	if (strcmp(applies, "live") == 0)
		log_line(LOG_LEVEL_INFO, "SIGHUP: %s is now %s (was %s)", option, other, running);
	else
		log_line(LOG_LEVEL_WARNING,
		    "SIGHUP: %s stays \"%s\": restart wirecached to change it to \"%s\"", option, running,
		    other);
}

/* SIGHUP: takes over what can change in a running daemon, and names what cannot. A file with a mistake
 * changes nothing. */
static void
reload(struct daemon *daemon)
{
	char error[DATAPLANE_ERROR_MAX];
	size_t at;
	json_t *row, *rows;
	config_load(&daemon->reloaded, &daemon->sources);
	if (daemon->reloaded.errors > 0) {
		for (unsigned i = 0; i < daemon->reloaded.errors && i < CONFIG_ERRORS_MAX; i++)
			log_line(LOG_LEVEL_ERROR, "%s", daemon->reloaded.messages[i]);
		log_line(LOG_LEVEL_ERROR, "SIGHUP: the configuration has mistakes: the running one stays");
		return;
	}
	if (apply_config(&daemon->commands.apply, &daemon->reloaded, &rows, error) != 0) {
		log_line(LOG_LEVEL_ERROR, "SIGHUP: %s: the running configuration stays", error);
		return;
	}
	json_array_foreach (rows, at, row)
		log_difference(row);
	log_line(LOG_LEVEL_INFO, "SIGHUP: configuration read again, %zu difference%s", json_array_size(rows),
	    json_array_size(rows) == 1 ? "" : "s");
	json_decref(rows);
}

static void
handle_signal(void *daemon_ctx)
{
	struct daemon *daemon = daemon_ctx;
	struct signalfd_siginfo info;
	if (read(daemon->signal_fd, &info, sizeof(info)) != (ssize_t)sizeof(info))
		return;
	if (info.ssi_signo == SIGHUP) {
		reload(daemon);
		reload_auth(daemon);
		return;
	}
	log_line(LOG_LEVEL_INFO, "%s: stopping", info.ssi_signo == SIGINT ? "SIGINT" : "SIGTERM");
	daemon->stop = true;
}

static int
open_signals(struct daemon *daemon)
{
	sigset_t set;
	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	if (sigprocmask(SIG_BLOCK, &set, NULL) != 0)
		return -errno;
	daemon->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (daemon->signal_fd < 0)
		return -errno;
	return server_watch(daemon->server, daemon->signal_fd, handle_signal, daemon);
}

/* The socket before the ports: a second daemon by mistake ends before it touches any hardware. */
static int
start(struct daemon *daemon)
{
	char error[DATAPLANE_ERROR_MAX] = "";
	static_assert(SERVER_ERROR_MAX <= DATAPLANE_ERROR_MAX, "one buffer for both");
	struct server_config server = {.path = daemon->config.control_socket,
	    .answer = commands_answer,
	    .answer_ctx = &daemon->commands,
	    .now_ms = now_ms,
	    .cpu_us = cpu_us};
	int result = server_open(&server, &daemon->server, error);
	if (result != 0) {
		log_line(LOG_LEVEL_ERROR, "%s", error);
		return result;
	}
	result = open_signals(daemon);
	if (result != 0) {
		log_line(LOG_LEVEL_ERROR, "cannot receive signals: %s", strerror(-result));
		return result;
	}
	result = dataplane_start(
	    &daemon->config.dataplane, daemon->sources.argv[0], wirecache_version, &daemon->dataplane, error);
	if (result != 0) {
		log_line(LOG_LEVEL_ERROR, "%s", error);
		return result;
	}
	daemon->config.memory_reserved_bytes = daemon->config.dataplane.store.memory_bytes;
	commands_init(&daemon->commands, &daemon->config, &daemon->sources, daemon->dataplane);
	return 0;
}

static void
run(struct daemon *daemon)
{
	bool watchdog = getenv("WATCHDOG_USEC") != NULL;
	/* Of this thread, on Linux. Where workers and we have one core, theirs is the work that waits for nobody. */
	if (setpriority(PRIO_PROCESS, 0, CONTROL_NICE) != 0)
		log_line(LOG_LEVEL_VERBOSE, "cannot give way to workers: %s", strerror(errno));
	while (!daemon->stop && !daemon->commands.drain.done) {
		server_step(daemon->server, SAMPLE_PERIOD_MS / 2);
		commands_tick(&daemon->commands, now_ms(NULL));
		if (watchdog)
			notify_send("WATCHDOG=1");
	}
}

/* Does a daemon answer on the configured socket? */
static bool
daemon_runs(const struct config *config)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	memcpy(address.sun_path, config->control_socket, sizeof(address.sun_path));
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	/* EAGAIN: so many knock that its backlog is full. */
	bool runs =
	    fd >= 0 && (connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0 || errno == EAGAIN);
	if (fd >= 0)
		close(fd);
	return runs;
}

/* A reply as on the socket, for wirectl, which shows it: whether the daemon runs or not, it is looked at from here. */
static void
print_doctor(const struct daemon *daemon)
{
	const struct config_request *request = &daemon->sources.request;
	unsigned failing;
	json_t *rows = doctor_run(
	    &daemon->config, request->root, daemon_runs(&daemon->config), request->quick, &failing);
	size_t bytes;
	char *line = wire_encode(wire_reply_ok(rows, failing > 0 ? WIRE_UNHEALTHY : WIRE_OK), &bytes);
	if (line != NULL)
		fwrite(line, 1, bytes, stdout);
	free(line);
}

int
main(int argc, char **argv)
{
	struct daemon *daemon = &self;
	daemon->sources = (struct config_sources){.request = config_scan_arguments(argc, argv),
	    .argc = argc,
	    .argv = argv,
	    .environment = environ,
	    .plan = true};
	enum config_action action = daemon->sources.request.action;
	if (action == CONFIG_HELP) {
		config_help(argv[0]);
		return EXIT_STOPPED;
	}
	if (action == CONFIG_VERSION) {
		printf("wirecached %s\n", wirecache_version);
		return EXIT_STOPPED;
	}
	config_load(&daemon->config, &daemon->sources);
	if (action == CONFIG_DOCTOR) {
		print_doctor(daemon);
		return EXIT_STOPPED;
	}
	if (daemon->config.errors > 0) {
		summary_print_plan(stdout, &daemon->config);
		print_errors(&daemon->config);
		return EXIT_CONFIG;
	}
	if (action == CONFIG_CHECK_ONLY) {
		printf("ok\n");
		return EXIT_STOPPED;
	}
	log_set_verbosity(daemon->config.dataplane.verbosity);
	int code = start(daemon) == 0 ? EXIT_STOPPED : EXIT_START_FAILED;
	if (code == EXIT_STOPPED) {
		summary_print(stdout, &daemon->config, daemon->dataplane);
		if (notify_send("READY=1") != 0)
			log_line(LOG_LEVEL_WARNING,
			    "cannot tell systemd that the service is ready: NOTIFY_SOCKET is no socket");
		run(daemon);
		notify_send("STOPPING=1");
	}
	if (daemon->server != NULL)
		server_close(daemon->server);
	if (daemon->dataplane != NULL)
		dataplane_stop(daemon->dataplane);
	return code;
}
