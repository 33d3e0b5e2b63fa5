/*
 * What daemon and wirectl say to each other over the Unix socket: one JSON object a line, each request
 * answered by one reply, in order. All that wirectl shares with the daemon beside the command table and the
 * version.
 *
 *   request  {"command": ["worker", "show"]}
 *            {"command": ["config", "check"], "file": "new.conf", "text": "[memory]\n..."}
 *            text stands for the usage's FILE
 *   reply    {"ok": true, "result": {...}, "exit": 4}     exit only if it is not 0
 *            {"ok": false, "error": "one sentence", "exit": 2}     exit 1 unless given
 *
 * Integers are raw: bytes, seconds, counts; the unit ends the name (_bytes, _s, _us, _pct). Any client may
 * speak this: the format is stable, members are added and never renamed.
 */
#ifndef WIRECACHE_CONTROL_WIRE_H
#define WIRECACHE_CONTROL_WIRE_H

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#define WIRE_SOCKET_DEFAULT "/run/wirecache/wirecached.sock"
#define WIRE_SOCKET_ENV     "WIRECACHE_CONTROL_SOCKET" /* the option control.socket, for both programs */
#define WIRE_REQUEST_MAX \
	(256u << 10) /* bytes with newline: a configuration file of 64 KiB, all escaped, fits thrice */
#define WIRE_REPLY_MAX (4u << 20)

/* Exit codes of wirectl, stable. The daemon sends those that depend on what it found. */
enum wire_exit {
	WIRE_OK = 0,
	WIRE_FAILED = 1,
	WIRE_USAGE = 2,
	WIRE_UNREACHABLE = 3,
	WIRE_UNHEALTHY = 4,
	WIRE_NEEDS_RESTART = 5,
};

/* A line for the socket, newline included, to be freed; NULL without memory. Takes the reference. */
static inline char *
wire_encode(json_t *message, size_t *bytes)
{
	char *line = json_dumps(message, JSON_COMPACT);
	json_decref(message);
	if (line == NULL)
		return NULL;
	size_t len = strlen(line);
	char *grown = (char *)realloc(line, len + 2);
	if (grown == NULL) {
		free(line);
		return NULL;
	}
	memcpy(grown + len, "\n", 2);
	*bytes = len + 1;
	return grown;
}

/* The object in a line (its newline may be left off), or NULL. New reference. */
static inline json_t *
wire_decode(const char *line, size_t bytes)
{
	json_t *message = json_loadb(line, bytes, JSON_REJECT_DUPLICATES, NULL);
	if (message != NULL && !json_is_object(message)) {
		json_decref(message);
		return NULL;
	}
	return message;
}

/* Takes the reference to result. */
static inline json_t *
wire_reply_ok(json_t *result, enum wire_exit code)
{
	json_t *reply = json_pack("{s:b, s:o}", "ok", 1, "result", result);
	if (code != WIRE_OK)
		json_object_set_new(reply, "exit", json_integer(code));
	return reply;
}

/* Text for a message: what is no UTF-8 (cut or foreign bytes) is replaced, since JSON could not carry it. */
static inline json_t *
wire_string(const char *text)
{
	json_t *string = json_string(text);
	if (string != NULL)
		return string;
	char *scrubbed = strdup(text);
	for (char *at = scrubbed; at != NULL && *at != '\0'; at++)
		if ((unsigned char)*at >= 0x80)
			*at = '?';
	string = json_string(scrubbed != NULL ? scrubbed : "");
	free(scrubbed);
	return string;
}

static inline json_t *
wire_reply_error(const char *error, enum wire_exit code)
{
	json_t *reply = json_pack("{s:b, s:o}", "ok", 0, "error", wire_string(error));
	if (code != WIRE_FAILED)
		json_object_set_new(reply, "exit", json_integer(code));
	return reply;
}

static inline enum wire_exit
wire_reply_exit(const json_t *reply)
{
	const json_t *code = json_object_get(reply, "exit");
	if (json_is_integer(code))
		return (enum wire_exit)json_integer_value(code);
	return json_is_true(json_object_get(reply, "ok")) ? WIRE_OK : WIRE_FAILED;
}

#endif
