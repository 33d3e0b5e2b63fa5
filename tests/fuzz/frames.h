/*
 * Frames made from an input's bytes: a template of one kind with live TCP numbers, changed where the input says so, with
 * checksums that are right unless the input wants them wrong. Nothing here is shared with the stack.
 *
 * The network is 10.0.0.0/24 and fd00::/64; we are .1 with MAC 02:00:00:00:00:01, peers are .2 to .5.
 */
#ifndef WIRECACHE_FUZZ_FRAMES_H
#define WIRECACHE_FUZZ_FRAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define FRAME_MAX         2000u
#define FRAME_ETH         14u
#define FRAME_PORT        11211u
#define FRAME_PEERS       4u
#define FRAME_PATCHES     7u
#define FRAME_PROTO_TCP   6u
#define FRAME_PROTO_UDP   17u
#define FRAME_PROTO_ICMP4 1u
#define FRAME_PROTO_ICMP6 58u

/* An input, read from the front; zeros behind its end. */
struct frame_input {
	const uint8_t *data;
	size_t size, at;
};

/* What the stack said last to anybody, from which the numbers of a likely segment follow. */
struct frame_talk {
	uint32_t next_seq; /* of the peer: what the stack acknowledged */
	uint32_t next_ack; /* of the peer: behind what the stack sent */
	uint32_t tsval;
};

struct frame {
	uint32_t len;
	uint8_t b[FRAME_MAX];
};

static inline uint8_t
input_u8(struct frame_input *input)
{
	return input->at < input->size ? input->data[input->at++] : 0;
}

static inline uint16_t
input_u16(struct frame_input *input)
{
	uint8_t high = input_u8(input);

	return (uint16_t)(high << 8 | input_u8(input));
}

static inline void
frame_put16(uint8_t *to, uint32_t value)
{
	to[0] = (uint8_t)(value >> 8);
	to[1] = (uint8_t)value;
}

static inline void
frame_put32(uint8_t *to, uint32_t value)
{
	frame_put16(to, value >> 16);
	frame_put16(to + 2, value);
}

static inline uint32_t
frame_get16(const uint8_t *from)
{
	return (uint32_t)from[0] << 8 | from[1];
}

static inline uint32_t
frame_get32(const uint8_t *from)
{
	return frame_get16(from) << 16 | frame_get16(from + 2);
}

/* `len` zeros at the end, fewer when it is full; returns where. */
static inline uint8_t *
frame_grow(struct frame *frame, uint32_t len)
{
	uint8_t *at = frame->b + frame->len;

	len = len < FRAME_MAX - frame->len ? len : FRAME_MAX - frame->len;
	memset(at, 0, len);
	frame->len += len;
	return at;
}

/* `len` bytes of the input. */
static inline void
frame_take(struct frame *frame, struct frame_input *input, uint32_t len)
{
	uint8_t *at = frame_grow(frame, len);

	while (at < frame->b + frame->len)
		*at++ = input_u8(input);
}

static inline void
frame_eth(struct frame *frame, uint8_t host, uint16_t type)
{
	uint8_t *eth;

	frame->len = 0;
	eth = frame_grow(frame, FRAME_ETH);
	eth[0] = eth[6] = 2;
	eth[5] = 1;
	eth[11] = host;
	frame_put16(eth + 12, type);
}

static inline void
frame_ip(struct frame *frame, bool v6, uint8_t host, uint8_t proto)
{
	uint8_t *ip;

	frame_eth(frame, host, v6 ? 0x86dd : 0x0800);
	ip = frame_grow(frame, v6 ? 40 : 20);
	if (v6) {
		ip[0] = 0x60;
		ip[6] = proto;
		ip[7] = proto == FRAME_PROTO_ICMP6 ? 255 : 64;
		ip[8] = ip[24] = 0xfd;
		ip[23] = host;
		ip[39] = 1;
		return;
	}
	ip[0] = 0x45;
	ip[8] = 64;
	ip[9] = proto;
	frame_put32(ip + 12, 0x0a000000u | host);
	frame_put32(ip + 16, 0x0a000001u);
}

/* The lengths of the IP header and of UDP's, from the frame's. */
static inline void
frame_lengths(struct frame *frame)
{
	uint8_t *ip = frame->b + FRAME_ETH;
	bool v6 = ip[0] == 0x60;
	uint8_t *l4 = ip + (v6 ? 40 : 20);

	frame_put16(v6 ? ip + 4 : ip + 2, frame->len - FRAME_ETH - (v6 ? 40 : 0));
	if ((v6 ? ip[6] : ip[9]) == FRAME_PROTO_UDP && l4 + 8 <= frame->b + frame->len)
		frame_put16(l4 + 4, frame->len - (uint32_t)(l4 - frame->b));
}

/* A segment near what the other side expects; the input's first byte of it chooses flags. */
static inline void
frame_tcp(
    struct frame *frame, struct frame_input *input, const struct frame_talk *talk, bool v6, uint8_t host)
{
	static const uint8_t likely[] = {0x02, 0x10, 0x18, 0x11, 0x04, 0x14, 0x12, 0x19};
	static const uint16_t lengths[] = {0, 0, 1, 20, 500, 1000, 1460, 1800};
	uint8_t kind = input_u8(input), options = input_u8(input);
	int8_t seq = (int8_t)input_u8(input), ack = (int8_t)input_u8(input);
	uint8_t flags = likely[kind & 7], option_bytes = (options & 15) > 10 ? 12 : (options & 15) * 4;
	uint8_t *tcp;

	frame_ip(frame, v6, host, FRAME_PROTO_TCP);
	tcp = frame_grow(frame, 20);
	frame_put16(tcp, 4000u + (kind >> 6));
	frame_put16(tcp + 2, FRAME_PORT);
	frame_put32(tcp + 4, flags & 2 ? 1000u : talk->next_seq + (uint32_t)(seq * 100));
	frame_put32(tcp + 8, flags & 0x10 ? talk->next_ack + (uint32_t)(ack * 100) : 0);
	tcp[12] = (uint8_t)((20 + option_bytes) << 2);
	tcp[13] = flags;
	frame_put16(tcp + 14, (uint32_t)input_u8(input) << 8 | 0xff);
	if ((options & 15) > 10) { /* a timestamp that is in time */
		tcp = frame_grow(frame, 12);
		frame_put32(tcp, 0x0101080a);
		frame_put32(tcp + 4, 1000u + (uint32_t)input->at);
		frame_put32(tcp + 8, talk->tsval);
	} else {
		frame_take(frame, input, option_bytes);
	}
	frame_grow(frame, lengths[kind >> 3 & 7]);
	frame_lengths(frame);
}

static inline void
frame_udp(struct frame *frame, struct frame_input *input, bool v6, uint8_t host)
{
	uint8_t kind = input_u8(input);
	uint8_t *udp;

	frame_ip(frame, v6, host, FRAME_PROTO_UDP);
	udp = frame_grow(frame, 8);
	frame_put16(udp, 4000);
	frame_put16(udp + 2, kind & 0x80 ? 53 : FRAME_PORT);
	frame_grow(frame, (kind & 0x7fu) * 12);
	frame_lengths(frame);
}

static inline void
frame_icmp(struct frame *frame, struct frame_input *input, bool v6, uint8_t host)
{
	frame_ip(frame, v6, host, v6 ? FRAME_PROTO_ICMP6 : FRAME_PROTO_ICMP4);
	frame_take(frame, input, 8);
	frame_take(frame, input, input_u8(input));
	frame_lengths(frame);
}

/* An error about one of our segments, with a likely number inside. */
static inline void
frame_icmp_error(
    struct frame *frame, struct frame_input *input, const struct frame_talk *talk, bool v6, uint8_t host)
{
	uint8_t kind = input_u8(input);
	uint8_t *icmp, *ip;

	frame_ip(frame, v6, host, v6 ? FRAME_PROTO_ICMP6 : FRAME_PROTO_ICMP4);
	icmp = frame_grow(frame, 8);
	icmp[0] = v6 ? 1 + (kind & 3) : 3 + (kind & 8);
	icmp[1] = kind >> 4;
	frame_put16(icmp + 6, input_u16(input));
	ip = frame_grow(frame, v6 ? 40 : 20);
	memcpy(ip, frame->b + FRAME_ETH, v6 ? 40 : 20);
	frame_put16(v6 ? ip + 4 : ip + 2, v6 ? 20 : 40);
	ip[v6 ? 6 : 9] = FRAME_PROTO_TCP;
	ip[v6 ? 23 : 15] = 1;
	ip[v6 ? 39 : 19] = host;
	ip = frame_grow(frame, 8);
	frame_put16(ip, FRAME_PORT);
	frame_put16(ip + 2, 4000);
	frame_put32(ip + 4, talk->next_ack - input_u8(input));
	frame_lengths(frame);
}

static inline void
frame_neighbour(struct frame *frame, struct frame_input *input, bool v6, uint8_t host)
{
	uint8_t kind = input_u8(input);
	uint8_t *arp;

	if (v6) {
		frame_ip(frame, true, host, FRAME_PROTO_ICMP6);
		arp = frame_grow(frame, 32);
		arp[0] = (uint8_t)(133 + kind % 5);
		arp[4] = kind & 0xe0;
		arp[8] = 0xfd;
		arp[23] = kind & 8 ? 1 : host;
		arp[24] = (uint8_t)(1 + (kind >> 4 & 1));
		arp[25] = 1;
		arp[26] = 2;
		arp[31] = host;
		frame_lengths(frame);
		return;
	}
	frame_eth(frame, host, 0x0806);
	arp = frame_grow(frame, 28);
	memcpy(arp, "\0\1\10\0\6\4\0", 7);
	arp[7] = (uint8_t)(1 + (kind & 1));
	arp[8] = arp[18] = 2;
	arp[13] = host;
	frame_put32(arp + 14, 0x0a000000u | host);
	arp[23] = 1;
	frame_put32(arp + 24, 0x0a000001u + (kind >> 6));
}

/* A fragment of a UDP datagram. */
static inline void
frame_fragment(struct frame *frame, struct frame_input *input, bool v6, uint8_t host)
{
	uint8_t kind = input_u8(input), units = input_u8(input);
	uint8_t *ip = frame->b + FRAME_ETH, *fragment;
	uint32_t offset = kind & 15;

	frame_ip(frame, v6, host, v6 ? 44 : FRAME_PROTO_UDP);
	if (v6) {
		fragment = frame_grow(frame, 8);
		fragment[0] = FRAME_PROTO_UDP;
		frame_put16(fragment + 2, offset << 3 | (kind >> 7));
		fragment[7] = kind >> 4 & 3;
	} else {
		frame_put16(ip + 4, kind >> 4 & 3);
		frame_put16(ip + 6, offset | (kind & 0x80u) << 6);
	}
	fragment = frame_grow(frame, (uint32_t)(units & 63) * 8 + (units >> 6));
	if (offset == 0 && units & 63) {
		frame_put16(fragment + 2, FRAME_PORT);
		frame_put16(fragment + 4, input_u16(input));
	}
	frame_put16(v6 ? ip + 4 : ip + 2, frame->len - FRAME_ETH - (v6 ? 40 : 0));
}

/* ---- changes --------------------------------------------------------------------------------------------------- */

/* Overwrites a few bytes, and cuts. */
static inline void
frame_patch(struct frame *frame, struct frame_input *input)
{
	uint8_t how = input_u8(input);

	for (unsigned i = how & FRAME_PATCHES; i > 0 && frame->len > 0; i--) {
		uint32_t at = input_u8(input) % frame->len;

		frame->b[at] = input_u8(input);
	}
	if (how & 0x80)
		frame->len = frame->len * (how >> 3 & 15u) / 16u;
	if (frame->len == 0)
		frame_grow(frame, 1);
}

static inline uint32_t
frame_sum(uint32_t sum, const uint8_t *bytes, uint32_t len)
{
	for (uint32_t i = 0; i < len; i++)
		sum += i & 1 ? bytes[i] : (uint32_t)bytes[i] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

static inline void
frame_repair_l4(uint8_t *l4, uint32_t len, uint8_t proto, const uint8_t *addresses, uint32_t addresses_len)
{
	uint32_t at = proto == FRAME_PROTO_TCP ? 16 : proto == FRAME_PROTO_UDP ? 6 : 2;
	uint32_t sum = 0;

	if ((proto != FRAME_PROTO_TCP && proto != FRAME_PROTO_UDP && proto != FRAME_PROTO_ICMP4 &&
	        proto != FRAME_PROTO_ICMP6) ||
	    len < at + 2)
		return;
	frame_put16(l4 + at, 0);
	if (proto != FRAME_PROTO_ICMP4)
		sum = frame_sum(proto + len, addresses, addresses_len);
	sum = ~frame_sum(sum, l4, len) & 0xffff;
	frame_put16(l4 + at, sum != 0 || proto != FRAME_PROTO_UDP ? sum : 0xffff);
}

/* Checksums as the bytes now want them, where the layers still lie where they usually do. */
static inline void
frame_repair(struct frame *frame)
{
	uint8_t *ip = frame->b + FRAME_ETH;
	uint32_t room, header, len;

	if (frame->len < FRAME_ETH + 40)
		return;
	room = frame->len - FRAME_ETH;
	if (ip[0] >> 4 == 6) {
		len = frame_get16(ip + 4);
		if (len <= room - 40)
			frame_repair_l4(ip + 40, len, ip[6], ip + 8, 32);
		return;
	}
	header = (ip[0] & 15u) * 4;
	if (ip[0] >> 4 != 4 || header < 20 || header > room)
		return;
	frame_put16(ip + 10, 0);
	frame_put16(ip + 10, ~frame_sum(0, ip, header) & 0xffff);
	len = frame_get16(ip + 2);
	if (len >= header && len <= room)
		frame_repair_l4(ip + header, len - header, ip[9], ip + 12, 8);
}

#endif
