/*
 * `wirectl keys dump`: all keys, a line each, by asking the daemon for one list after the other. With --json each line is
 * an object.
 */
#include "control/ctl/local.h"

#include <stdio.h>

static void
print_key(const json_t *row, bool json)
{
	if (json) {
		json_dumpf(row, stdout, JSON_COMPACT);
		putchar('\n');
		return;
	}
	const json_t *expires = json_object_get(row, "expires_in_s");
	printf("%s %" JSON_INTEGER_FORMAT, json_string_value(json_object_get(row, "key")),
	    json_integer_value(json_object_get(row, "value_bytes")));
	if (json_is_integer(expires))
		printf(" %" JSON_INTEGER_FORMAT, json_integer_value(expires));
	putchar('\n');
}

/* One list; *next: what goes on from there, 0 at the end. */
static enum wire_exit
print_list(const struct invocation *invocation, json_int_t *next)
{
	char from[24];
	size_t at;
	json_t *row, *answer;
	json_t *request = json_pack("{s:[ss]}", "command", "keys", "list");
	snprintf(from, sizeof(from), "%" JSON_INTEGER_FORMAT, *next);
	if (*next != 0) {
		json_array_append_new(json_object_get(request, "command"), json_string("--from"));
		json_array_append_new(json_object_get(request, "command"), json_string(from));
	}
	enum wire_exit code = invocation_call(invocation, request, &answer);
	json_array_foreach (json_object_get(answer, "keys"), at, row)
		print_key(row, invocation->json);
	*next = json_integer_value(json_object_get(answer, "next"));
	json_decref(answer);
	return code;
}

int
local_keys_dump(const struct invocation *invocation)
{
	json_int_t next = 0;
	enum wire_exit code;
	do
		code = print_list(invocation, &next);
	while (code == WIRE_OK && next != 0 && !ferror(stdout));
	return ferror(stdout) ? WIRE_FAILED : code;
}
