/*
 * Binary requests and replies for tests: written and read here byte by byte, without the code under test.
 */
#ifndef WIRECACHE_TESTS_SERVE_BINARY_H
#define WIRECACHE_TESTS_SERVE_BINARY_H

#include "fixture.h"

#define HEADER 24u

struct packet {
	uint8_t opcode;
	uint8_t extras_len;
	uint16_t key_len;
	uint16_t status;
	uint32_t opaque;
	uint32_t body_bytes;
	uint64_t cas;
	const uint8_t *body; /* extras, key, value */
};

static inline void
put_be(uint8_t *to, unsigned bytes, uint64_t value)
{
	for (unsigned i = 0; i < bytes; i++)
		to[i] = (uint8_t)(value >> 8 * (bytes - 1 - i));
}

static inline uint64_t
get_be(const uint8_t *at, unsigned bytes)
{
	uint64_t value = 0;

	for (unsigned i = 0; i < bytes; i++)
		value = value << 8 | at[i];
	return value;
}

/* Only a header; what it announces is the caller's to send. */
static inline void
put_header(uint8_t *to, uint8_t opcode, uint16_t key_len, uint8_t extras_len, uint32_t body_bytes)
{
	memset(to, 0, HEADER);
	to[0] = 0x80;
	to[1] = opcode;
	put_be(to + 2, 2, key_len);
	to[4] = extras_len;
	put_be(to + 8, 4, body_bytes);
	put_be(to + 12, 4, 0xdeadbeef);
}

struct request {
	uint8_t opcode;
	uint8_t extras[20];
	uint8_t extras_len;
	const void *key;
	uint16_t key_len;
	const void *value;
	uint32_t value_bytes;
	uint64_t cas;
	uint32_t opaque;
};

static inline size_t
put_request(uint8_t *to, const struct request *r)
{
	put_header(to, r->opcode, r->key_len, r->extras_len, r->extras_len + r->key_len + r->value_bytes);
	put_be(to + 12, 4, r->opaque);
	put_be(to + 16, 8, r->cas);
	to += HEADER;
	memcpy(to, r->extras, r->extras_len);
	if (r->key_len != 0)
		memcpy(to + r->extras_len, r->key, r->key_len);
	if (r->value_bytes != 0)
		memcpy(to + r->extras_len + r->key_len, r->value, r->value_bytes);
	return HEADER + r->extras_len + r->key_len + r->value_bytes;
}

/* A request of text without extras. */
static inline struct request
request_of(uint8_t opcode, const char *key)
{
	return (struct request){.opcode = opcode, .key = key, .key_len = (uint16_t)strlen(key)};
}

static inline struct request
request_store(uint8_t opcode, const char *key, const void *value, uint32_t value_bytes)
{
	struct request r = request_of(opcode, key);

	r.value = value;
	r.value_bytes = value_bytes;
	r.extras_len =
	    (opcode & 0x0f) >= 1 && (opcode & 0x0f) <= 3 && opcode < 0x20 ? 8 : 0; /* set, add, replace */
	return r;
}

static inline struct request
request_expiry(uint8_t opcode, const char *key, uint32_t expiration)
{
	struct request r = request_of(opcode, key);

	r.extras_len = 4;
	put_be(r.extras, 4, expiration);
	return r;
}

static inline struct request
request_delta(uint8_t opcode, const char *key, uint64_t delta, uint64_t initial, uint32_t expiration)
{
	struct request r = request_of(opcode, key);

	r.extras_len = 20;
	put_be(r.extras, 8, delta);
	put_be(r.extras + 8, 8, initial);
	put_be(r.extras + 16, 4, expiration);
	return r;
}

/* The reply at *at of f->out; advances. False at the end. */
static inline bool
next_packet(const struct fixture *f, size_t *at, struct packet *p)
{
	const uint8_t *from = f->out + *at;

	if (*at == f->out_len)
		return false;
	assert_true(f->out_len - *at >= HEADER);
	assert_int_equal(from[0], 0x81);
	assert_int_equal(from[5], 0);
	p->opcode = from[1];
	p->key_len = (uint16_t)get_be(from + 2, 2);
	p->extras_len = from[4];
	p->status = (uint16_t)get_be(from + 6, 2);
	p->body_bytes = (uint32_t)get_be(from + 8, 4);
	p->opaque = (uint32_t)get_be(from + 12, 4);
	p->cas = get_be(from + 16, 8);
	p->body = from + HEADER;
	assert_true(p->body_bytes <= f->out_len - *at - HEADER);
	assert_true((uint32_t)p->key_len + p->extras_len <= p->body_bytes);
	*at += HEADER + p->body_bytes;
	return true;
}

static inline size_t
count_packets(const struct fixture *f)
{
	struct packet p;
	size_t at = 0, n = 0;

	while (next_packet(f, &at, &p))
		n++;
	return n;
}

static inline void
feed_request(struct fixture *f, const struct request *r)
{
	uint8_t *bytes = malloc(HEADER + 20 + r->key_len + r->value_bytes);

	assert_non_null(bytes);
	fixture_feed(f, bytes, put_request(bytes, r));
	free(bytes);
}

/* The one reply to a request. */
static inline struct packet
ask(struct fixture *f, struct request r)
{
	struct packet p;
	size_t at = 0;

	r.opaque = 0x01020304;
	fixture_clear(f);
	feed_request(f, &r);
	assert_true(next_packet(f, &at, &p));
	assert_int_equal(at, f->out_len);
	assert_int_equal(p.opcode, r.opcode);
	assert_int_equal(p.opaque, 0x01020304);
	return p;
}

static inline void
expect_status(struct fixture *f, struct request r, uint16_t status)
{
	assert_int_equal(ask(f, r).status, status);
}

static inline void
expect_silence(struct fixture *f, struct request r)
{
	fixture_clear(f);
	feed_request(f, &r);
	assert_int_equal(f->out_len, 0);
	assert_int_equal(f->state, SERVE_GO_ON);
}

static inline void
expect_body(const struct packet *p, const char *body)
{
	assert_int_equal(p->body_bytes, strlen(body));
	assert_memory_equal(p->body, body, p->body_bytes);
}

#endif
