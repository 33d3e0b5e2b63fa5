/*
 * The control socket over real Unix sockets in a directory of its own, with a clock that the test moves.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "control/budget.h"
#include "control/server.h"
#include "control/wire.h"

static char directory[64], path[96];
static uint64_t clock_ms, taken_us;
static uint64_t answer_us; /* what answering takes */
static unsigned answered;
static size_t reply_bytes; /* of the text in each reply */

static uint64_t
read_clock(void *now_ctx)
{
	return clock_ms;
}

static uint64_t
read_cpu(void *now_ctx)
{
	return taken_us;
}

static json_t *
answer(void *answer_ctx, const json_t *request)
{
	answered++;
	taken_us += answer_us;
	if (reply_bytes > 0) {
		char *text = malloc(reply_bytes);
		memset(text, 'x', reply_bytes);
		json_t *reply = wire_reply_ok(json_stringn(text, reply_bytes), WIRE_OK);
		free(text);
		return reply;
	}
	return wire_reply_ok(json_deep_copy(json_object_get(request, "command")), WIRE_OK);
}

static int
open_at(const char *at, struct server **server, char error[SERVER_ERROR_MAX])
{
	struct server_config config = {
	    .path = at, .answer = answer, .now_ms = read_clock, .cpu_us = read_cpu};
	return server_open(&config, server, error);
}

static struct server *server;

static int
setup(void **state)
{
	char error[SERVER_ERROR_MAX];
	snprintf(directory, sizeof(directory), "/tmp/wirecache-test-XXXXXX");
	if (mkdtemp(directory) == NULL)
		return -1;
	snprintf(path, sizeof(path), "%s/run/control.sock", directory);
	clock_ms = 1000;
	answered = 0;
	answer_us = 0;
	reply_bytes = 0;
	return open_at(path, &server, error);
}

static int
teardown(void **state)
{
	char run[96];
	server_close(server);
	unlink(path);
	snprintf(run, sizeof(run), "%s/run", directory);
	rmdir(run);
	return rmdir(directory);
}

static int
connect_client(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	return fd;
}

/* All that is ready; bounded. */
static void
step_all(void)
{
	for (unsigned i = 0; i < 200; i++)
		server_step(server, 0);
}

static void
say(int fd, const char *text)
{
	assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), (int)strlen(text));
}

/* What the client can read now; "" if nothing, NULL if the server closed. */
static const char *
hear(int fd)
{
	static char text[8192];
	ssize_t got = recv(fd, text, sizeof(text) - 1, 0);
	if (got == 0 || (got < 0 && errno != EAGAIN))
		return NULL;
	text[got > 0 ? got : 0] = '\0';
	return text;
}

static void
socket_is_private_and_so_is_the_directory_made_for_it(void **state)
{
	struct stat status;
	char run[96];
	snprintf(run, sizeof(run), "%s/run", directory);
	assert_int_equal(stat(path, &status), 0);
	assert_int_equal(status.st_mode & 0777, 0600);
	assert_int_equal(stat(run, &status), 0);
	assert_int_equal(status.st_mode & 0777, 0700);
}

static void
request_in_one_piece_is_answered(void **state)
{
	int fd = connect_client();
	say(fd, "{\"command\":[\"status\"]}\n");
	step_all();
	assert_string_equal(hear(fd), "{\"ok\":true,\"result\":[\"status\"]}\n");
	close(fd);
	step_all();
	assert_int_equal(server_clients(server), 0);
}

static void
request_byte_by_byte_is_answered_once(void **state)
{
	const char *text = "{\"command\":[\"a\"]}\n";
	int fd = connect_client();
	for (; *text != '\0'; text++) {
		assert_string_equal(hear(fd), "");
		assert_int_equal(send(fd, text, 1, 0), 1);
		step_all();
	}
	assert_string_equal(hear(fd), "{\"ok\":true,\"result\":[\"a\"]}\n");
	assert_int_equal(answered, 1);
	close(fd);
}

static void
requests_in_one_piece_are_answered_in_order(void **state)
{
	int fd = connect_client();
	say(fd, "{\"command\":[\"a\"]}\n{\"command\":[\"b\"]}\n{\"command\":[\"c\"]}\n{\"comm");
	step_all();
	assert_string_equal(hear(fd), "{\"ok\":true,\"result\":[\"a\"]}\n{\"ok\":true,\"result\":[\"b\"]}\n"
	                              "{\"ok\":true,\"result\":[\"c\"]}\n");
	say(fd, "and\":[\"d\"]}\n");
	step_all();
	assert_string_equal(hear(fd), "{\"ok\":true,\"result\":[\"d\"]}\n");
	close(fd);
}

static void
request_then_half_close_is_answered(void **state)
{
	int fd = connect_client();
	say(fd, "{\"command\":[\"a\"]}\n");
	shutdown(fd, SHUT_WR);
	step_all();
	assert_string_equal(hear(fd), "{\"ok\":true,\"result\":[\"a\"]}\n");
	assert_null(hear(fd));
	close(fd);
}

static void
garbage_is_told_and_dropped(void **state)
{
	static const char *const garbage[] = {
	    "GET / HTTP/1.1\r\n", "\n", "[1]\n", "{}x\n", "{\"a\":1,\"a\":2}\n", "\"\xff\"\n"};
	for (unsigned i = 0; i < sizeof(garbage) / sizeof(garbage[0]); i++) {
		int fd = connect_client();
		say(fd, garbage[i]);
		step_all();
		assert_string_equal(hear(fd),
		    "{\"ok\":false,\"error\":\"the request is no JSON object in one line\",\"exit\":2}\n");
		assert_null(hear(fd));
		close(fd);
	}
	assert_int_equal(answered, 0);
	assert_int_equal(server_clients(server), 0);
}

static void
nesting_without_end_is_survived(void **state)
{
	static char text[100002];
	int fd = connect_client(), room = 1 << 20;
	setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &room, sizeof(room));
	memset(text, '[', 100000);
	text[100000] = '\n';
	say(fd, text);
	step_all();
	assert_non_null(strstr(hear(fd), "no JSON object"));
	close(fd);
}

static void
flood_without_newline_is_dropped_others_served(void **state)
{
	static char flood[65536];
	int fd = connect_client(), other = connect_client();
	memset(flood, 'x', sizeof(flood));
	size_t sent = 0;
	const char *heard = "";
	for (unsigned i = 0; i < 100 && heard != NULL && *heard == '\0'; i++) {
		ssize_t took = send(fd, flood, sizeof(flood), MSG_NOSIGNAL);
		sent += took > 0 ? (size_t)took : 0;
		server_step(server, 0);
		heard = hear(fd);
	}
	assert_true(sent <= WIRE_REQUEST_MAX + 2 * sizeof(flood) + 1048576);
	assert_non_null(heard);
	assert_non_null(strstr(heard, "the request is too long"));
	say(other, "{\"command\":[\"a\"]}\n");
	step_all();
	assert_string_equal(hear(other), "{\"ok\":true,\"result\":[\"a\"]}\n");
	assert_int_equal(server_clients(server), 1);
	close(fd);
	close(other);
}

static void
client_that_never_reads_is_dropped_others_served(void **state)
{
	int fd = connect_client(), other = connect_client();
	reply_bytes = 2 << 20; /* more than any socket buffer */
	say(fd, "{\"command\":[\"a\"]}\n{\"command\":[\"b\"]}\n");
	step_all();
	assert_int_equal(answered, 1); /* the second waits for the first reply to be taken */
	reply_bytes = 0;
	say(other, "{\"command\":[\"a\"]}\n");
	step_all();
	assert_string_equal(hear(other), "{\"ok\":true,\"result\":[\"a\"]}\n");
	clock_ms += SERVER_STALL_MS + 1;
	step_all();
	assert_int_equal(server_clients(server), 1);
	close(fd);
	close(other);
}

static void
reply_longer_than_the_limit_becomes_an_error(void **state)
{
	int fd = connect_client();
	reply_bytes = WIRE_REPLY_MAX;
	say(fd, "{\"command\":[\"a\"]}\n");
	step_all();
	assert_string_equal(hear(fd), "{\"ok\":false,\"error\":\"the reply is too long\"}\n");
	close(fd);
}

static void
half_a_request_is_dropped_after_the_stall_time(void **state)
{
	int fd = connect_client();
	say(fd, "{\"half");
	step_all();
	clock_ms += SERVER_STALL_MS;
	step_all();
	assert_int_equal(server_clients(server), 1);
	say(fd, " more"); /* a trickle does not buy time */
	clock_ms += 1;
	step_all();
	assert_int_equal(server_clients(server), 0);
	assert_null(hear(fd));
	close(fd);
}

static void
idle_client_is_dropped_after_the_idle_time(void **state)
{
	int fd = connect_client();
	step_all();
	clock_ms += SERVER_IDLE_MS;
	say(fd, "{\"command\":[\"a\"]}\n");
	step_all();
	assert_non_null(strstr(hear(fd), "true"));
	clock_ms += SERVER_IDLE_MS;
	step_all();
	assert_int_equal(server_clients(server), 1);
	clock_ms += 1;
	step_all();
	assert_int_equal(server_clients(server), 0);
	close(fd);
}

static unsigned watched;

static void
on_readable(void *watch_ctx)
{
	char byte;
	watched += read(*(int *)watch_ctx, &byte, 1) == 1;
}

/* All places taken, by clients that say something now. */
static void
take_all_places(int fds[SERVER_CLIENTS_MAX])
{
	for (unsigned i = 0; i < SERVER_CLIENTS_MAX; i++) {
		fds[i] = connect_client();
		step_all();
	}
	assert_int_equal(server_clients(server), SERVER_CLIENTS_MAX);
}

static void
client_too_many_waits_for_a_place(void **state)
{
	int fds[SERVER_CLIENTS_MAX];
	take_all_places(fds);
	int fd = connect_client();
	say(fd, "{\"command\":[\"a\"]}\n");
	step_all();
	assert_string_equal(hear(fd), "");
	close(fds[3]);
	step_all();
	assert_non_null(strstr(hear(fd), "true"));
	close(fd);
	for (unsigned i = 0; i < SERVER_CLIENTS_MAX; i++)
		if (i != 3)
			close(fds[i]);
}

static void
client_silent_longest_gives_way(void **state)
{
	int fds[SERVER_CLIENTS_MAX];
	take_all_places(fds);
	clock_ms += SERVER_YIELD_MS - 1;
	for (unsigned i = 0; i < SERVER_CLIENTS_MAX; i++)
		if (i != 5)
			say(fds[i], "{\"command\":[\"a\"]}\n");
	int fd = connect_client();
	say(fd, "{\"command\":[\"b\"]}\n");
	step_all();
	assert_string_equal(hear(fd), "");
	clock_ms += 1;
	step_all();
	assert_string_equal(hear(fd), "{\"ok\":true,\"result\":[\"b\"]}\n");
	assert_null(hear(fds[5]));
	for (unsigned i = 0; i < SERVER_CLIENTS_MAX; i++) {
		if (i != 5)
			assert_non_null(strstr(hear(fds[i]), "true"));
		close(fds[i]);
	}
	close(fd);
}

static void
answers_beyond_the_share_wait_signals_do_not(void **state)
{
	int fd = connect_client(), pair[2];
	watched = 0;
	assert_int_equal(pipe(pair), 0);
	assert_int_equal(server_watch(server, pair[0], on_readable, &pair[0]), 0);
	answer_us = BUDGET_BURST_US + 100000;
	say(fd, "{\"command\":[\"a\"]}\n");
	step_all(); /* one piece of work is never cut: now it is overdrawn by 100 ms */
	assert_non_null(strstr(hear(fd), "true"));
	answer_us = 0;
	say(fd, "{\"command\":[\"b\"]}\n");
	assert_int_equal(write(pair[1], "x", 1), 1);
	step_all();
	assert_string_equal(hear(fd), "");
	assert_int_equal(watched, 1);
	clock_ms += 100 * 100 / BUDGET_SHARE_PCT;
	step_all();
	assert_string_equal(hear(fd), "");
	clock_ms += 1;
	step_all();
	assert_non_null(strstr(hear(fd), "true"));
	close(fd);
	close(pair[0]);
	close(pair[1]);
}

static void
budget_over_time_is_the_share_whatever_is_asked_for(void **state)
{
	struct budget budget;
	uint64_t now_ms = 5000, spent_us = 0;
	budget_init(&budget, now_ms);
	for (; now_ms<105000; now_ms += budget_wait_ms(&budget)> 0 ? budget_wait_ms(&budget) : 1) {
		budget_fill(&budget, now_ms);
		if (budget_wait_ms(&budget) > 0)
			continue;
		budget_spend(&budget, 30000); /* as much as there was room for */
		spent_us += 30000;
	}
	assert_in_range(spent_us, 100000 * 10 * BUDGET_SHARE_PCT,
	    100000 * 10 * BUDGET_SHARE_PCT + BUDGET_BURST_US + 30000);
	budget_fill(&budget, UINT64_MAX); /* a year of rest is one bucket */
	assert_int_equal(budget.left_us, BUDGET_BURST_US);
}

static void
second_daemon_is_refused_first_stays(void **state)
{
	struct server *second;
	char error[SERVER_ERROR_MAX], expected[SERVER_ERROR_MAX];
	assert_int_equal(open_at(path, &second, error), -EADDRINUSE);
	snprintf(expected, sizeof(expected), "another wirecached is running on %s", path);
	assert_non_null(strstr(error, expected));
	assert_null(second);
	int fd = connect_client();
	say(fd, "{\"command\":[\"a\"]}\n");
	step_all();
	assert_non_null(strstr(hear(fd), "true"));
	close(fd);
}

static void
socket_of_a_dead_daemon_is_replaced(void **state)
{
	char stale[96], error[SERVER_ERROR_MAX];
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	snprintf(stale, sizeof(stale), "%s/run/stale.sock", directory);
	snprintf(address.sun_path, sizeof(address.sun_path), "%s", stale);
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	close(fd); /* the file stays, as after a kill */
	struct server *second;
	assert_int_equal(open_at(stale, &second, error), 0);
	server_close(second);
	assert_int_equal(access(stale, F_OK), -1);
}

static void
file_that_is_no_socket_is_left_alone(void **state)
{
	char file[96], error[SERVER_ERROR_MAX];
	struct server *second;
	snprintf(file, sizeof(file), "%s/run/file", directory);
	close(open(file, O_CREAT | O_WRONLY, 0600));
	assert_int_equal(open_at(file, &second, error), -EEXIST);
	assert_non_null(strstr(error, "is no socket: remove it, or set control.socket"));
	assert_int_equal(unlink(file), 0);
}

static void
directory_missing_above_is_an_error(void **state)
{
	char deep[96], error[SERVER_ERROR_MAX];
	struct server *second;
	snprintf(deep, sizeof(deep), "%s/a/b/c.sock", directory);
	assert_int_equal(open_at(deep, &second, error), -ENOENT);
	assert_non_null(strstr(error, "cannot listen on"));
}

static void
watched_descriptor_is_called_back(void **state)
{
	int pair[2];
	assert_int_equal(pipe(pair), 0);
	watched = 0;
	assert_int_equal(server_watch(server, pair[0], on_readable, &pair[0]), 0);
	step_all();
	assert_int_equal(watched, 0);
	assert_int_equal(write(pair[1], "x", 1), 1);
	step_all();
	assert_int_equal(watched, 1);
	close(pair[0]);
	close(pair[1]);
}

static void
wire_message_survives_the_round_trip(void **state)
{
	size_t bytes = 0;
	json_t *sent =
	    json_pack("{s:[s,s], s:s}", "command", "config", "check", "text", "[a]\nb = \"\\\xc3\xa4\"\n");
	char *line = wire_encode(json_incref(sent), &bytes);
	assert_non_null(line);
	assert_ptr_equal(memchr(line, '\n', bytes), line + bytes - 1); /* no newline inside */
	json_t *received = wire_decode(line, bytes);
	assert_true(json_equal(sent, received));
	free(line);
	json_decref(sent);
	json_decref(received);
}

static void
wire_exit_code_follows_the_reply(void **state)
{
	json_t *replies[] = {wire_reply_ok(json_true(), WIRE_OK), wire_reply_ok(json_true(), WIRE_UNHEALTHY),
	    wire_reply_error("no", WIRE_FAILED), wire_reply_error("no \xc3", WIRE_USAGE)};
	static const int codes[] = {0, 4, 1, 2};
	for (unsigned i = 0; i < 4; i++) {
		assert_int_equal(wire_reply_exit(replies[i]), codes[i]);
		if (i == 3)
			assert_string_equal(json_string_value(json_object_get(replies[i], "error")), "no ?");
		json_decref(replies[i]);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(socket_is_private_and_so_is_the_directory_made_for_it),
	    cmocka_unit_test(request_in_one_piece_is_answered),
	    cmocka_unit_test(request_byte_by_byte_is_answered_once),
	    cmocka_unit_test(requests_in_one_piece_are_answered_in_order),
	    cmocka_unit_test(request_then_half_close_is_answered),
	    cmocka_unit_test(garbage_is_told_and_dropped),
	    cmocka_unit_test(nesting_without_end_is_survived),
	    cmocka_unit_test(flood_without_newline_is_dropped_others_served),
	    cmocka_unit_test(client_that_never_reads_is_dropped_others_served),
	    cmocka_unit_test(reply_longer_than_the_limit_becomes_an_error),
	    cmocka_unit_test(half_a_request_is_dropped_after_the_stall_time),
	    cmocka_unit_test(idle_client_is_dropped_after_the_idle_time),
	    cmocka_unit_test(client_too_many_waits_for_a_place),
	    cmocka_unit_test(client_silent_longest_gives_way),
	    cmocka_unit_test(answers_beyond_the_share_wait_signals_do_not),
	    cmocka_unit_test(budget_over_time_is_the_share_whatever_is_asked_for),
	    cmocka_unit_test(second_daemon_is_refused_first_stays),
	    cmocka_unit_test(socket_of_a_dead_daemon_is_replaced),
	    cmocka_unit_test(file_that_is_no_socket_is_left_alone),
	    cmocka_unit_test(directory_missing_above_is_an_error),
	    cmocka_unit_test(watched_descriptor_is_called_back),
	    cmocka_unit_test(wire_message_survives_the_round_trip),
	    cmocka_unit_test(wire_exit_code_follows_the_reply),
	};
	struct CMUnitTest fixed[sizeof(tests) / sizeof(tests[0])];
	for (unsigned i = 0; i < sizeof(tests) / sizeof(tests[0]); i++) {
		fixed[i] = tests[i];
		fixed[i].setup_func = setup;
		fixed[i].teardown_func = teardown;
	}
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(fixed, NULL, NULL);
}
