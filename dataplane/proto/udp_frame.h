/*
 * The 8-byte header before memcached's UDP datagrams: request id, sequence number, number of datagrams in the
 * message, zero; 16 bits each, network order (memcached doc/protocol.txt, "UDP protocol").
 */
#ifndef WIRECACHE_PROTO_UDP_FRAME_H
#define WIRECACHE_PROTO_UDP_FRAME_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define PROTO_UDP_HEADER_BYTES  8u
#define PROTO_UDP_DATAGRAM_MAX  1400u /* of a reply, header included: memcached's, fits any sane path MTU */
#define PROTO_UDP_PAYLOAD_MAX   (PROTO_UDP_DATAGRAM_MAX - PROTO_UDP_HEADER_BYTES)
#define PROTO_UDP_DATAGRAMS_MAX 65535u /* the header's `total` has 16 bits */

struct proto_udp_frame {
	uint16_t request_id;
	uint16_t sequence;
	uint16_t total;
};

/*
 * Reads the header of a request. False when the datagram is to be dropped: no payload, or a request of
 * several datagrams, which memcached does not support either.
 */
static inline bool
proto_udp_read(const uint8_t *datagram, uint32_t len, struct proto_udp_frame *frame)
{
	if (len <= PROTO_UDP_HEADER_BYTES)
		return false;
	uint64_t header;
	memcpy(&header, datagram, sizeof(header));
	header = __builtin_bswap64(header);
	frame->request_id = (uint16_t)(header >> 48);
	frame->sequence = (uint16_t)(header >> 32);
	frame->total = (uint16_t)(header >> 16);
	return frame->total == 1;
}

/* Writes PROTO_UDP_HEADER_BYTES. */
static inline void
proto_udp_write(uint8_t *datagram, const struct proto_udp_frame *frame)
{
	/* One store, so that a checksum's loads of the same bytes need not wait. */
	const uint64_t header =
	    __builtin_bswap64((uint64_t)frame->request_id << 48 | (uint64_t)frame->sequence << 32 |
	                      (uint64_t)frame->total << 16);

	memcpy(datagram, &header, sizeof(header));
}

/* proto_udp_read() of a datagram that is long enough, without its fields: a request of one datagram? */
static inline bool
proto_udp_is_whole(const uint8_t *datagram)
{
	return datagram[4] == 0 && datagram[5] == 1;
}

/* Writes the header of a reply of one datagram to the request whose header is at `request`. */
static inline void
proto_udp_write_single(uint8_t *datagram, const uint8_t *request)
{
	uint16_t request_id;

	memcpy(&request_id, request, sizeof(request_id));
	const uint64_t header = (uint64_t)request_id | 1ull << 40; /* as it lies in memory: total is 0, 1 */
	memcpy(datagram, &header, sizeof(header));
}

/* Datagrams that a reply of `bytes` takes; 0: more than the header can count, the reply is to be dropped. */
static inline uint32_t
proto_udp_datagrams(uint64_t bytes)
{
	uint64_t count = (bytes + PROTO_UDP_PAYLOAD_MAX - 1) / PROTO_UDP_PAYLOAD_MAX;

	return count > PROTO_UDP_DATAGRAMS_MAX ? 0 : (uint32_t)count;
}

#endif
