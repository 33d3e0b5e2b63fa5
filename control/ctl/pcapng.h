/*
 * Packets into a pcapng file: a section header, one interface a port with nanoseconds, enhanced packet blocks that say
 * which way a packet went. Source: IETF draft-ietf-opsawg-pcapng.
 */
#ifndef WIRECACHE_CTL_PCAPNG_H
#define WIRECACHE_CTL_PCAPNG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct pcapng_packet {
	uint64_t unix_ns;
	uint32_t interface;
	uint32_t wire_bytes;
	bool out;
	const uint8_t *bytes;
	uint32_t len;
};

/* Errors stay in the stream: ferror(). */
void pcapng_section(FILE *out, const char *application);
void pcapng_interface(FILE *out, const char *name, uint32_t snap_bytes);
void pcapng_packet(FILE *out, const struct pcapng_packet *packet);

#endif
