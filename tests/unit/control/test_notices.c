/*
 * What the daemon says without being asked: log lines, systemd's datagrams, the summary at start.
 */
#include <errno.h>
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "control/log.h"
#include "control/notify.h"
#include "control/summary.h"
#include "tests/unit/control/fake_dataplane.h"

static void
log_line_has_level_and_priority(void **state)
{
	char line[LOG_LINE_MAX];
	assert_int_equal(log_format(line, LOG_LEVEL_INFO, 0, "ready"), strlen("wirecached: ready"));
	assert_string_equal(line, "wirecached: ready");
	log_format(line, LOG_LEVEL_ERROR, 1, "no port");
	assert_string_equal(line, "<3>wirecached: error: no port");
	log_format(line, LOG_LEVEL_WARNING, 1, "a\nb\r");
	assert_string_equal(line, "<4>wirecached: warning: a b ");
}

static void
log_line_too_long_is_cut(void **state)
{
	char line[LOG_LINE_MAX], message[LOG_LINE_MAX * 2];
	memset(message, 'x', sizeof(message) - 1);
	message[sizeof(message) - 1] = '\0';
	assert_int_equal(log_format(line, LOG_LEVEL_DEBUG, 1, message), LOG_LINE_MAX - 1);
	assert_int_equal(strlen(line), LOG_LINE_MAX - 1);
}

/* A bound datagram socket; abstract if the name begins with @. */
static int
listen_as_systemd(const char *name)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
	memcpy(address.sun_path, name, strlen(name));
	if (name[0] == '@')
		address.sun_path[0] = '\0';
	assert_int_equal(bind(fd, (struct sockaddr *)&address,
	                     (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(name))),
	    0);
	setenv("NOTIFY_SOCKET", name, 1);
	return fd;
}

static void
notify_reaches_path_and_abstract_socket(void **state)
{
	char directory[] = "/tmp/wirecache-test-XXXXXX", name[2][64], heard[32];
	assert_non_null(mkdtemp(directory));
	snprintf(name[0], sizeof(name[0]), "%s/notify", directory);
	snprintf(name[1], sizeof(name[1]), "@%s", directory);
	for (unsigned i = 0; i < 2; i++) {
		int fd = listen_as_systemd(name[i]);
		assert_int_equal(notify_send("READY=1"), 0);
		assert_int_equal(recv(fd, heard, sizeof(heard), 0), 7);
		assert_memory_equal(heard, "READY=1", 7);
		close(fd);
	}
	unlink(name[0]);
	rmdir(directory);
}

static void
notify_without_systemd_does_nothing(void **state)
{
	unsetenv("NOTIFY_SOCKET");
	assert_int_equal(notify_send("READY=1"), 0);
	setenv("NOTIFY_SOCKET", "nonsense", 1);
	assert_int_equal(notify_send("READY=1"), -EINVAL);
	setenv("NOTIFY_SOCKET", "/nonexistent/socket", 1);
	assert_int_equal(notify_send("READY=1"), -ENOENT);
}

static void
summary_says_what_was_made_of_the_configuration(void **state)
{
	static struct config config;
	static const char file[] =
	    "[port lan0]\ndevice = net_tap0\nipv4 = 10.77.0.2/24\nipv6 = fd00::2/64\n"
	    "[control]\nsocket = /tmp/w.sock\n[udp]\nport = 11211\n[memory]\nlimit = 1g\n"
	    "[tcp]\nconnections_max = 100\n";
	char *text = NULL;
	size_t bytes;
	fake_reset();
	config_init(&config);
	config_parse_text(&config, "w.conf", file, sizeof(file) - 1);
	assert_int_equal(config.errors, 0);
	FILE *out = open_memstream(&text, &bytes);
	summary_print(out, &config, &fake);
	fclose(out);
	const char *second_line = strchr(text, '\n') + 1; /* the first has the version */
	assert_string_equal(second_line,
	    "  port lan0    10.77.0.2/24, fd00::2/64 on net_tap0, 2 queues, link up\n"
	    "  workers      2 on cpu 2, 3; idle: adaptive\n"
	    "  serving      TCP port 11211, UDP port 11211, at most 100 connections\n"
	    "  memory       1g for items on normal pages, packets on normal pages\n"
	    "  control      /tmp/w.sock\n"
	    "ready\n");
	free(text);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(log_line_has_level_and_priority),
	    cmocka_unit_test(log_line_too_long_is_cut),
	    cmocka_unit_test(notify_reaches_path_and_abstract_socket),
	    cmocka_unit_test(notify_without_systemd_does_nothing),
	    cmocka_unit_test(summary_says_what_was_made_of_the_configuration),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
