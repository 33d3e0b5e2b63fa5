/*
 * libFuzzer entry: UDP datagrams, the frame header and serve_datagram(), several on one store.
 *
 * The input's first byte configures serve (fuzz.h). Then each datagram has a byte that says how it is made, one that
 * says how long it is, and its bytes, header first.
 */
#include "dataplane/proto/udp_frame.h"
#include "dataplane/serve_burst.h"
#include "tests/fuzz/expand.h"
#include "tests/fuzz/fuzz.h"

#define MADE_PACKETS    0x01u /* the payload by expand_packets() */
#define MADE_WORDS      0x02u /* else by expand_words() */
#define MADE_HEADER_BAD 0x04u /* the header is the input's, not made right */
#define MADE_LITTLE     0x08u /* the reply must fit one datagram */
#define LENGTH_UNIT     4u

static size_t
make_datagram(uint8_t how, const uint8_t *data, size_t size, uint8_t *datagram)
{
	size_t header = size < PROTO_UDP_HEADER_BYTES ? size : PROTO_UDP_HEADER_BYTES;

	memcpy(datagram, data, header);
	if (header < PROTO_UDP_HEADER_BYTES)
		return header;
	if (!(how & MADE_HEADER_BAD)) {
		datagram[4] = 0;
		datagram[5] = 1;
	}
	if (how & MADE_PACKETS)
		return header + expand_packets(data + header, size - header, datagram + header);
	if (how & MADE_WORDS)
		return header + expand_words(data + header, size - header, datagram + header);
	memcpy(datagram + header, data + header, size - header);
	return size;
}

/* The header of each datagram of a reply, written and read again. */
static void
frame_reply(const struct fuzz *fuzz, struct proto_udp_frame frame)
{
	uint32_t count = proto_udp_datagrams(fuzz->reply_bytes);
	uint8_t *header = malloc(PROTO_UDP_HEADER_BYTES);
	const uint16_t request_id = frame.request_id;

	fuzz_require(header != NULL && (uint64_t)count * PROTO_UDP_PAYLOAD_MAX >= fuzz->reply_bytes);
	for (uint32_t i = 0; i < count; i++) {
		frame.sequence = (uint16_t)i;
		frame.total = (uint16_t)count;
		proto_udp_write(header, &frame);
		fuzz_require(
		    (header[0] << 8 | header[1]) == request_id && (header[2] << 8 | header[3]) == (int)i);
	}
	free(header);
}

/* The short way of a burst: what it takes for plain lies within the datagram. */
static void
read_plain(const uint8_t *bytes, uint32_t len)
{
	uint8_t *copy = malloc(len + SERVE_BURST_SLACK);
	struct store_key key;
	struct serve_set set;

	fuzz_require(copy != NULL);
	memcpy(copy, bytes, len);
	memset(copy + len, '1', SERVE_BURST_SLACK);
	if (serve_get_read(copy, len, &key))
		fuzz_require(key.bytes > copy && key.bytes + key.len < copy + len);
	if (serve_set_read(copy, len, &key, &set))
		fuzz_require(key.bytes > copy && key.bytes + key.len < set.value &&
		             set.value + set.value_bytes + 2 == copy + len);
	free(copy);
}

static void
serve_one(struct fuzz *fuzz, const uint8_t *datagram, uint32_t len)
{
	struct proto_udp_frame frame;
	uint32_t at = PROTO_UDP_HEADER_BYTES, consumed;

	if (!proto_udp_read(datagram, len, &frame))
		return;
	read_plain(datagram + at, len - at);
	serve_peek(fuzz->serve, datagram + at, len - at);
	serve_peeked(fuzz->serve);
	while (at < len) {
		fuzz->reply_bytes = 0;
		consumed = 0;
		if (!serve_datagram(fuzz->serve, datagram + at, len - at, &fuzz->base, &consumed))
			break;
		fuzz_require(consumed > 0 && consumed <= len - at);
		frame_reply(fuzz, frame);
		at += consumed;
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t made[PROTO_UDP_HEADER_BYTES + EXPAND_MAX];
	static struct fuzz fuzz;
	size_t at = 1;

	if (size < 1)
		return 0;
	fuzz_begin(&fuzz, data[0]);
	while (size - at > 2) {
		uint8_t how = data[at];
		size_t len = (size_t)data[at + 1] * LENGTH_UNIT, made_len;
		uint8_t *datagram;

		at += 2;
		len = len < size - at ? len : size - at;
		made_len = make_datagram(how, data + at, len, made);
		datagram = malloc(made_len != 0 ? made_len : 1);
		fuzz_require(datagram != NULL);
		memcpy(datagram, made, made_len);
		fuzz.reply_max = how & MADE_LITTLE ? PROTO_UDP_PAYLOAD_MAX : UINT64_MAX;
		serve_one(&fuzz, datagram, (uint32_t)made_len);
		free(datagram);
		fuzz_pass_s(&fuzz, how >> 6);
		at += len;
	}
	fuzz_end(&fuzz);
	return 0;
}
