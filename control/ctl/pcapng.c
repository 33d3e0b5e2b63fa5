/*
 * See pcapng.h. A block: type, length, body, length again, all padded to four bytes; numbers in this machine's order, which
 * the section header shows.
 */
#include "control/ctl/pcapng.h"

#include <string.h>

enum { SECTION = 0x0a0d0d0a, INTERFACE = 1, PACKET = 6 };
enum { OPTION_END = 0, OPTION_APPLICATION = 4, OPTION_NAME = 2, OPTION_RESOLUTION = 9, OPTION_FLAGS = 2 };

#define BYTE_ORDER_MAGIC 0x1a2b3c4du
#define LINK_ETHERNET    1u
#define NANOSECONDS      9u /* 10^-9 s */
#define INBOUND          1u
#define OUTBOUND         2u

static uint32_t
padded(size_t bytes)
{
	return (uint32_t)((bytes + 3) / 4 * 4);
}

static void
put(FILE *out, const void *bytes, size_t len)
{
	static const uint8_t zeros[4];
	fwrite(bytes, 1, len, out);
	fwrite(zeros, 1, padded(len) - len, out);
}

static void
put_u32(FILE *out, uint32_t value)
{
	fwrite(&value, 1, sizeof(value), out);
}

static void
put_u16_pair(FILE *out, uint16_t first, uint16_t second)
{
	fwrite(&first, 1, sizeof(first), out);
	fwrite(&second, 1, sizeof(second), out);
}

static void
put_option(FILE *out, uint16_t code, const void *bytes, size_t len)
{
	put_u16_pair(out, code, (uint16_t)len);
	put(out, bytes, len);
}

void
pcapng_section(FILE *out, const char *application)
{
	const uint64_t unknown_length = UINT64_MAX;
	uint32_t bytes = 28 + 4 + padded(strlen(application)) + 4;
	put_u32(out, SECTION);
	put_u32(out, bytes);
	put_u32(out, BYTE_ORDER_MAGIC);
	put_u16_pair(out, 1, 0); /* version 1.0 */
	fwrite(&unknown_length, 1, sizeof(unknown_length), out);
	put_option(out, OPTION_APPLICATION, application, strlen(application));
	put_u32(out, OPTION_END);
	put_u32(out, bytes);
}

void
pcapng_interface(FILE *out, const char *name, uint32_t snap_bytes)
{
	const uint8_t resolution = NANOSECONDS;
	uint32_t bytes = 20 + 4 + padded(strlen(name)) + 8 + 4;
	put_u32(out, INTERFACE);
	put_u32(out, bytes);
	put_u16_pair(out, LINK_ETHERNET, 0);
	put_u32(out, snap_bytes);
	put_option(out, OPTION_NAME, name, strlen(name));
	put_option(out, OPTION_RESOLUTION, &resolution, sizeof(resolution));
	put_u32(out, OPTION_END);
	put_u32(out, bytes);
}

void
pcapng_packet(FILE *out, const struct pcapng_packet *packet)
{
	const uint32_t flags = packet->out ? OUTBOUND : INBOUND;
	uint32_t bytes = 32 + padded(packet->len) + 8 + 4;
	put_u32(out, PACKET);
	put_u32(out, bytes);
	put_u32(out, packet->interface);
	put_u32(out, (uint32_t)(packet->unix_ns >> 32));
	put_u32(out, (uint32_t)packet->unix_ns);
	put_u32(out, packet->len);
	put_u32(out, packet->wire_bytes);
	put(out, packet->bytes, packet->len);
	put_option(out, OPTION_FLAGS, &flags, sizeof(flags));
	put_u32(out, OPTION_END);
	put_u32(out, bytes);
}
