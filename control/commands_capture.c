/*
 * capture open, read and stop: the daemon's half of `wirectl capture start`. The daemon writes no file; wirectl fetches
 * packets and writes them with its user's rights. Who stops reading for CAPTURE_STALL_MS ends the capture.
 */
#include "control/commands.h"

#include <string.h>

#include "control/base64.h"

#define CAPTURE_STALL_MS 5000u
#define CAPTURE_READ_MAX 512u /* packets of one reply: a megabyte */

static void
end_capture(struct commands *commands)
{
	observe_capture_stop(commands->dataplane);
	commands->capture_read_ms = 0;
}

void
commands_capture_tick(struct commands *commands)
{
	if (commands->capture_read_ms != 0 && commands->now_ms - commands->capture_read_ms > CAPTURE_STALL_MS)
		end_capture(commands);
}

/* So that the time of a read is never the 0 that means none. */
static uint64_t
now_ms(const struct commands *commands)
{
	return commands->now_ms != 0 ? commands->now_ms : 1;
}

json_t *
commands_capture_open(struct commands *commands, struct commands_call *call)
{
	const char *program = usage_flag(&call->words, "--program");
	struct dataplane_info info;
	json_t *ports = json_array();
	if (observe_capture_start(commands->dataplane, program != NULL ? program : "", call->error) != 0) {
		json_decref(ports);
		return NULL;
	}
	commands->capture_read_ms = now_ms(commands);
	dataplane_info(commands->dataplane, &info);
	for (unsigned i = 0; i < info.ports; i++) {
		struct dataplane_port_info port;
		dataplane_port_info(commands->dataplane, i, &port);
		json_array_append_new(ports, json_string(port.name));
	}
	return json_pack(
	    "{s:s, s:i, s:o}", "capture", "on", "snap_bytes", (int)OBSERVE_PACKET_MAX, "ports", ports);
}

static json_t *
packet_json(const struct observe_packet *packet)
{
	char text[BASE64_ENCODED_MAX(OBSERVE_PACKET_MAX)];
	base64_encode(packet->bytes, packet->len, text);
	return json_pack("{s:I, s:i, s:s, s:I, s:s}", "unix_ns", (json_int_t)packet->unix_ns, "port",
	    (int)packet->port, "direction", packet->out ? "out" : "in", "wire_bytes",
	    (json_int_t)packet->wire_bytes, "base64", text);
}

json_t *
commands_capture_read(struct commands *commands, struct commands_call *call)
{
	static struct observe_packet packets[CAPTURE_READ_MAX];
	uint64_t lost;
	json_t *rows = json_array();
	unsigned len = observe_capture_read(commands->dataplane, packets, CAPTURE_READ_MAX, &lost);
	bool on = commands->capture_read_ms != 0;
	for (unsigned i = 0; i < len; i++)
		json_array_append_new(rows, packet_json(&packets[i]));
	if (on)
		commands->capture_read_ms = now_ms(commands);
	return json_pack("{s:b, s:b, s:I, s:o}", "on", on, "more", len == CAPTURE_READ_MAX, "lost",
	    (json_int_t)lost, "packets", rows);
}

json_t *
commands_capture_stop(struct commands *commands, struct commands_call *call)
{
	bool on = commands->capture_read_ms != 0;
	end_capture(commands);
	return json_pack("{s:s}", "capture", on ? "ended" : "there was none");
}
