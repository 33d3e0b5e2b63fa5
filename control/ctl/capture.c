/*
 * `wirectl capture start`: asks the daemon for packets and writes them to a file, like tcpdump. It ends with COUNT packets,
 * with Ctrl-C, or when somebody says `capture stop`; should it die, the daemon ends the capture by itself.
 */
#include "control/ctl/local.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "control/base64.h"
#include "control/ctl/filter.h"
#include "control/ctl/pcapng.h"
#include "control/version.h"

#define PACKET_MAX 65536u
#define POLL_MS    100

static volatile sig_atomic_t interrupted;

static void
interrupt(int number)
{
	interrupted = 1;
}

static json_t *
request(const char *verb, const char *program)
{
	if (program != NULL)
		return json_pack("{s:[ssss]}", "command", "capture", verb, "--program", program);
	return json_pack("{s:[ss]}", "command", "capture", verb);
}

static void
write_header(FILE *out, const json_t *opened)
{
	size_t at;
	json_t *port;
	char application[128];
	snprintf(application, sizeof(application), "wirectl %s", wirecache_version);
	pcapng_section(out, application);
	json_array_foreach (json_object_get(opened, "ports"), at, port)
		pcapng_interface(out, json_string_value(port),
		    (uint32_t)json_integer_value(json_object_get(opened, "snap_bytes")));
}

/* Returns how many were written, at most `most`. */
static unsigned long
write_packets(FILE *out, const json_t *packets, unsigned long most)
{
	static uint8_t bytes[PACKET_MAX];
	size_t at;
	json_t *row;
	json_array_foreach ((json_t *)packets, at, row) {
		const char *text = json_string_value(json_object_get(row, "base64"));
		const char *direction = json_string_value(json_object_get(row, "direction"));
		if (at >= most)
			return most;
		struct pcapng_packet packet = {
		    .unix_ns = (uint64_t)json_integer_value(json_object_get(row, "unix_ns")),
		    .interface = (uint32_t)json_integer_value(json_object_get(row, "port")),
		    .wire_bytes = (uint32_t)json_integer_value(json_object_get(row, "wire_bytes")),
		    .out = direction != NULL && strcmp(direction, "out") == 0,
		    .bytes = bytes,
		    .len = text != NULL ? (uint32_t)base64_decode(text, bytes, sizeof(bytes)) : 0};
		pcapng_packet(out, &packet);
	}
	return json_array_size(packets);
}

/* True with the first interrupt: what was captured until then is still to be read. */
static bool
end_when_interrupted(const struct invocation *invocation, bool ended)
{
	json_t *answer;
	if (ended || !interrupted)
		return ended;
	(void)invocation_call(invocation, request("stop", NULL), &answer);
	json_decref(answer);
	return true;
}

/* Until COUNT, an interrupt, or the capture's end. */
static enum wire_exit
copy(const struct invocation *invocation, FILE *out, unsigned long most)
{
	unsigned long written = 0;
	json_int_t lost = 0;
	enum wire_exit code = WIRE_OK;
	for (bool on = true, ended = false; on && written < most && !ferror(out);) {
		json_t *answer;
		ended = end_when_interrupted(invocation, ended);
		code = invocation_call(invocation, request("read", NULL), &answer);
		if (answer == NULL)
			break;
		bool more = json_is_true(json_object_get(answer, "more"));
		on = more || (json_is_true(json_object_get(answer, "on")) && !ended);
		lost = json_integer_value(json_object_get(answer, "lost"));
		written += write_packets(out, json_object_get(answer, "packets"), most - written);
		json_decref(answer);
		fflush(out);
		if (on && !more && written < most)
			poll(NULL, 0, POLL_MS);
	}
	fprintf(stderr,
	    "%lu packets, %" JSON_INTEGER_FORMAT " lost because they came faster than they were read\n",
	    written, lost);
	return code;
}

/* For its owner only: packets carry values, and passwords of logins. */
static FILE *
open_file(const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	return fd >= 0 ? fdopen(fd, "w") : NULL;
}

static enum wire_exit
end_capture(const struct invocation *invocation)
{
	json_t *answer;
	enum wire_exit code = invocation_call(invocation, request("stop", NULL), &answer);
	json_decref(answer);
	return code;
}

static enum wire_exit
capture_into(const struct invocation *invocation, const json_t *opened, FILE *out, const char *path,
    unsigned long most)
{
	struct sigaction action = {.sa_handler = interrupt};
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	write_header(out, opened);
	enum wire_exit code = copy(invocation, out, most);
	if (code == WIRE_OK)
		code = end_capture(invocation);
	bool bad = ferror(out);
	bad |= (out != stdout ? fclose(out) : fflush(out)) != 0;
	if (bad)
		fprintf(stderr, "wirectl: %s: cannot be written\n", path);
	return bad ? WIRE_FAILED : code;
}

/* The file is opened, and what was in it lost, only once the daemon has agreed. */
static enum wire_exit
capture_to(const struct invocation *invocation, const char *program, const char *path, unsigned long most)
{
	json_t *opened;
	enum wire_exit code = invocation_call(invocation, request("open", program), &opened);
	if (opened == NULL)
		return code;
	FILE *out = strcmp(path, "-") == 0 ? stdout : open_file(path);
	if (out != NULL) {
		code = capture_into(invocation, opened, out, path, most);
	} else {
		fprintf(stderr, "wirectl: %s: %s\n", path, strerror(errno));
		code = WIRE_FAILED;
		(void)end_capture(invocation);
	}
	json_decref(opened);
	return code;
}

int
local_capture(const struct invocation *invocation)
{
	const char *path = usage_flag(&invocation->given, "-w"),
	           *filter = usage_flag(&invocation->given, "-f");
	const char *count = usage_flag(&invocation->given, "-c");
	char *end = NULL, *program = NULL, error[FILTER_ERROR_MAX];
	unsigned long most = count != NULL ? strtoul(count, &end, 10) : ~0ul;
	if (count != NULL && (*count < '0' || *count > '9' || *end != '\0' || most == 0)) {
		fprintf(stderr, "wirectl: -c: expected a number from 1 on\n");
		return WIRE_USAGE;
	}
	if (filter != NULL) {
		program = filter_compile(filter, error);
		if (program == NULL) {
			fprintf(stderr, "wirectl: %s\n", error);
			return WIRE_FAILED;
		}
	}
	enum wire_exit code = capture_to(invocation, program, path, most);
	free(program);
	return (int)code;
}
