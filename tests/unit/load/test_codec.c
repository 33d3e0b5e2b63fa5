/*
 * Requests are what the appliance's own parsers take them for; replies are understood in pieces cut anywhere, and what
 * is wrong in them is found.
 */
#include "dataplane/proto/binary.h"
#include "dataplane/proto/request.h"
#include "tests/load/codec.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define KEYS 8u

static const struct codec *const codecs[] = {&codec_text, &codec_meta, &codec_binary};
static const enum load_op ops[] = {LOAD_GET, LOAD_SET, LOAD_ADD, LOAD_DELETE, LOAD_TOUCH};
static const uint32_t numbers[KEYS] = {0, 1, 2, 3, 4, 5, 6, 7};
static const uint32_t floors[KEYS];
static struct items items;
static uint8_t request[4096], stream[1 << 16];

static int
set_up(void **state)
{
	return items_init(&items, KEYS, true) &&
	               sizes_init(&items.key_sizes, SIZES_OF_KEYS, "16-40", 8, 250) &&
	               sizes_init(&items.value_sizes, SIZES_OF_VALUES, "0-200", 0, ITEMS_VALUE_MAX)
	           ? 0
	           : -1;
}

static int
tear_down(void **state)
{
	items_free(&items);
	return 0;
}

static struct codec_request
request_of(enum load_op op, uint32_t keys_len)
{
	struct codec_request out = {
	    .op = op, .keys = numbers, .keys_len = keys_len, .ttl_s = 77, .opaque = 0x1234};

	if (op == LOAD_SET || op == LOAD_ADD)
		out.value_bytes = item_value_bytes(&items, 0);
	return out;
}

static void
expect_key(const uint8_t *bytes, uint32_t len, uint32_t number)
{
	uint8_t key[ITEMS_KEY_ROOM];

	assert_int_equal(len, item_key(&items, number, key));
	assert_memory_equal(bytes, key, len);
}

static void
text_requests_are_what_the_parser_takes_them_for(void **state)
{
	static const enum proto_command commands[] = {
	    PROTO_GET, PROTO_SET, PROTO_ADD, PROTO_DELETE, PROTO_TOUCH};
	struct proto_request parsed;

	for (unsigned i = 0; i < sizeof(ops) / sizeof(ops[0]); i++) {
		struct codec_request wanted = request_of(ops[i], 1);
		uint32_t bytes = codec_text.write(&items, &wanted, request);
		proto_parse_text(request, bytes, &parsed);
		assert_int_equal(parsed.command, commands[i]);
		assert_int_equal(parsed.error, PROTO_REPLY_NONE);
		expect_key(parsed.key.bytes, parsed.key.len, 0);
		if (ops[i] == LOAD_SET || ops[i] == LOAD_ADD) {
			assert_true(parsed.has_value);
			assert_int_equal(parsed.value_bytes, wanted.value_bytes);
		}
		if (ops[i] != LOAD_GET && ops[i] != LOAD_DELETE)
			assert_int_equal(parsed.exptime, 77);
	}
}

static void
text_get_of_many_keys_names_them_in_order(void **state)
{
	struct codec_request wanted = request_of(LOAD_GET, KEYS);
	struct proto_request parsed;
	struct proto_token key;

	proto_parse_text(request, codec_text.write(&items, &wanted, request), &parsed);
	assert_int_equal(parsed.command, PROTO_GET);
	const uint8_t *at = parsed.key.bytes;
	for (uint32_t i = 0; i < KEYS; i++) {
		assert_true(proto_next_key(&at, parsed.keys_end, &key));
		expect_key(key.bytes, key.len, i);
	}
	assert_false(proto_next_key(&at, parsed.keys_end, &key));
}

static void
meta_requests_are_what_the_parser_takes_them_for(void **state)
{
	static const enum proto_command commands[] = {PROTO_MG, PROTO_MS, PROTO_MS, PROTO_MD, PROTO_MG};
	struct proto_request parsed;

	for (unsigned i = 0; i < sizeof(ops) / sizeof(ops[0]); i++) {
		struct codec_request wanted = request_of(ops[i], 1);
		proto_parse_text(request, codec_meta.write(&items, &wanted, request), &parsed);
		assert_int_equal(parsed.command, commands[i]);
		assert_int_equal(parsed.error, PROTO_REPLY_NONE);
		expect_key(parsed.key.bytes, parsed.key.len, 0);
		assert_int_equal(proto_meta_has(&parsed.meta, 'v'), ops[i] == LOAD_GET);
		assert_int_equal(
		    proto_meta_has(&parsed.meta, 'T'), ops[i] != LOAD_GET && ops[i] != LOAD_DELETE);
		assert_int_equal(parsed.meta.mode == 'E', ops[i] == LOAD_ADD);
		if (ops[i] == LOAD_SET)
			assert_int_equal(parsed.value_bytes, wanted.value_bytes);
	}
}

static void
binary_requests_are_what_the_parser_takes_them_for(void **state)
{
	static const uint8_t opcodes[] = {0x00, 0x01, 0x02, 0x04, 0x1c};
	struct proto_binary parsed;

	for (unsigned i = 0; i < sizeof(ops) / sizeof(ops[0]); i++) {
		struct codec_request wanted = request_of(ops[i], 1);
		uint32_t bytes = codec_binary.write(&items, &wanted, request);
		assert_int_equal(proto_parse_binary(request, bytes, &parsed), bytes);
		assert_int_equal(parsed.error, PROTO_BINARY_OK);
		assert_int_equal(parsed.opcode, opcodes[i]);
		expect_key(parsed.key, parsed.key_len, 0);
		assert_int_equal(parsed.value_bytes, wanted.value_bytes);
		if (ops[i] != LOAD_GET && ops[i] != LOAD_DELETE)
			assert_int_equal(parsed.expiration, 77);
	}
}

static void
binary_get_of_many_keys_is_quiet_gets_and_a_noop(void **state)
{
	struct codec_request wanted = request_of(LOAD_GET, KEYS);
	uint32_t bytes = codec_binary.write(&items, &wanted, request), at = 0;
	struct proto_binary parsed;

	for (uint32_t i = 0; i < KEYS; i++) {
		at += proto_parse_binary(request + at, bytes - at, &parsed);
		assert_int_equal(parsed.opcode, 0x09);
		assert_int_equal(__builtin_bswap32(parsed.opaque), i);
		expect_key(parsed.key, parsed.key_len, i);
	}
	at += proto_parse_binary(request + at, bytes - at, &parsed);
	assert_int_equal(parsed.opcode, 0x0a);
	assert_int_equal(at, bytes);
}

static void
request_fits_the_room_that_is_promised(void **state)
{
	for (unsigned c = 0; c < 3; c++)
		for (unsigned i = 0; i < sizeof(ops) / sizeof(ops[0]); i++)
			for (uint32_t keys = 1; keys <= (ops[i] == LOAD_GET ? KEYS : 1); keys++) {
				struct codec_request wanted = request_of(ops[i], keys);
				uint32_t room =
				    CODEC_FIXED_ROOM + keys * (items.key_sizes.max + codecs[c]->key_overhead);
				memset(request, 0xee, sizeof(request));
				assert_true(codecs[c]->write(&items, &wanted, request) <= room);
				for (uint32_t at = room; at < sizeof(request); at++)
					assert_int_equal(request[at], 0xee);
			}
}

/* ---- replies ---- */

/* The answer to one key as each protocol has it. */
static uint8_t *
put_hit(const struct codec *codec, uint8_t *out, uint32_t number, uint32_t version, uint32_t keys_len)
{
	uint8_t key[ITEMS_KEY_ROOM];
	uint32_t value_bytes = item_value_bytes(&items, number);

	key[item_key(&items, number, key)] = '\0';
	if (codec == &codec_text)
		out += sprintf((char *)out, "VALUE %s 0 %u\r\n", key, value_bytes);
	else if (codec == &codec_meta)
		out += sprintf((char *)out, "VA %u\r\n", value_bytes);
	else {
		struct proto_binary_reply reply = {.extras_len = 4, .value_bytes = value_bytes};
		out = proto_put_binary_header(out, keys_len > 1 ? 0x09 : 0x00,
		    __builtin_bswap32(keys_len > 1 ? number : 0x1234), &reply);
		out = proto_put_be32(out, 0);
	}
	value_write(out, item_hash(number), version, value_bytes, 0, value_bytes);
	out += value_bytes;
	memcpy(out, "\r\n", codec->trailer_bytes);
	return out + codec->trailer_bytes;
}

/* Behind the answers to a get of several keys, or what says that the only key is not there. */
static uint8_t *
put_end(const struct codec *codec, uint8_t *out, uint32_t keys_len, bool hit)
{
	struct proto_binary_reply reply = {.status = PROTO_BINARY_OK};

	if (codec == &codec_text)
		return out + sprintf((char *)out, "END\r\n");
	if (codec == &codec_meta)
		return keys_len > 1 || hit ? out : out + sprintf((char *)out, "EN\r\n");
	if (keys_len > 1)
		return proto_put_binary_header(out, 0x0a, __builtin_bswap32(0x1234), &reply);
	if (hit)
		return out;
	reply.status = 1;
	reply.value_bytes = 9;
	return (uint8_t *)memcpy(
	           proto_put_binary_header(out, 0x00, __builtin_bswap32(0x1234), &reply), "Not found", 9) +
	       9;
}

static struct reply_to
to_get(uint32_t keys_len)
{
	return (struct reply_to){.items = &items,
	    .op = LOAD_GET,
	    .keys = numbers,
	    .floors = floors,
	    .keys_len = keys_len,
	    .opaque = 0x1234,
	    .compare_bytes = UINT32_MAX};
}

/* Reads the stream in pieces of so many bytes; each in memory of its own size, so that a sanitizer sees what is beyond. */
static struct reply
read_in_steps(
    const struct codec *codec, const struct reply_to *to, uint32_t bytes, uint32_t step, uint32_t *taken)
{
	struct reply_reader reader = {0};
	struct reply sum = {.outcome = REPLY_MORE};

	*taken = 0;
	while (*taken < bytes && sum.outcome == REPLY_MORE) {
		uint32_t len = bytes - *taken < step ? bytes - *taken : step;
		uint8_t *piece = malloc(len);
		memcpy(piece, stream + *taken, len);
		*taken += codec->read(&reader, to, piece, len, &sum);
		free(piece);
	}
	reply_reader_reset(&reader);
	return sum;
}

static void
replies_are_understood_however_they_are_cut(void **state)
{
	for (unsigned c = 0; c < 3; c++)
		for (uint32_t keys = 1; keys <= KEYS; keys += KEYS - 1)
			for (uint32_t step = 1; step < 300; step++) {
				uint8_t *at = stream;
				struct reply_to to = to_get(keys);
				uint32_t taken;
				for (uint32_t i = 0; i < keys; i++)
					at = put_hit(codecs[c], at, i, 1, keys);
				at = put_end(codecs[c], at, keys, true);
				memcpy(at, "next", 4); /* of the following reply, which must stay */
				struct reply got =
				    read_in_steps(codecs[c], &to, (uint32_t)(at + 4 - stream), step, &taken);
				assert_int_equal(got.outcome, REPLY_DONE);
				assert_int_equal(taken, at - stream);
				assert_int_equal(got.hits, keys);
				assert_int_equal(got.misses + got.wrong + got.stale, 0);
			}
}

static void
missing_keys_are_misses_wherever_they_stand(void **state)
{
	for (unsigned c = 0; c < 3; c += 2) /* in meta each key is answered by itself */
		for (uint32_t there = 0; there < 1u << KEYS; there++) {
			uint8_t *at = stream;
			struct reply_to to = to_get(KEYS);
			uint32_t taken;
			for (uint32_t i = 0; i < KEYS; i++)
				if (there >> i & 1)
					at = put_hit(codecs[c], at, i, 1, KEYS);
			at = put_end(codecs[c], at, KEYS, true);
			struct reply got =
			    read_in_steps(codecs[c], &to, (uint32_t)(at - stream), 100, &taken);
			assert_int_equal(got.outcome, REPLY_DONE);
			assert_int_equal(got.hits, __builtin_popcount(there));
			assert_int_equal(got.misses, KEYS - got.hits);
		}
}

static void
only_key_missing_is_a_miss(void **state)
{
	for (unsigned c = 0; c < 3; c++)
		for (uint32_t step = 1; step < 40; step++) {
			struct reply_to to = to_get(1);
			uint32_t taken, bytes = (uint32_t)(put_end(codecs[c], stream, 1, false) - stream);
			struct reply got = read_in_steps(codecs[c], &to, bytes, step, &taken);
			assert_int_equal(got.outcome, REPLY_DONE);
			assert_true(got.misses == 1 && got.hits == 0 && taken == bytes);
		}
}

static void
wrong_and_stale_values_are_found(void **state)
{
	const uint32_t floor = 5;

	for (uint32_t version = 1; version <= 6; version++)
		item_changed(&items, 0, item_change(&items, 0), true);
	for (unsigned c = 0; c < 3; c++) {
		struct reply_to to = to_get(1);
		uint32_t taken, number = 0, bytes;
		to.floors = &floor;
		to.keys = &number;
		assert_true(item_value_bytes(&items, 0) >= VALUE_VERSIONED_BYTES);
		for (uint32_t version = 4; version <= 7; version++) {
			bytes = (uint32_t)(put_end(codecs[c], put_hit(codecs[c], stream, 0, version, 1), 1,
			                       true) -
			                   stream);
			struct reply got = read_in_steps(codecs[c], &to, bytes, 1000, &taken);
			assert_int_equal(got.outcome, REPLY_DONE);
			assert_int_equal(got.stale, version == 4);
			assert_int_equal(got.wrong, version == 7);
		}
		bytes = (uint32_t)(put_end(codecs[c], put_hit(codecs[c], stream, 0, 5, 1), 1, true) - stream);
		stream[60] ^= 0x20; /* in the value, in each protocol */
		struct reply got = read_in_steps(codecs[c], &to, bytes, 1000, &taken);
		assert_int_equal(got.outcome, REPLY_DONE);
		assert_true(got.wrong == 1 && got.stale == 0);
	}
}

static void
value_of_a_key_not_asked_for_is_wrong(void **state)
{
	struct reply_to to = to_get(1);
	uint32_t taken, bytes;

	bytes = (uint32_t)(put_end(&codec_text, put_hit(&codec_text, stream, 3, 1, 1), 1, true) - stream);
	struct reply got = read_in_steps(&codec_text, &to, bytes, 1000, &taken);
	assert_true(got.outcome == REPLY_DONE && got.wrong == 1);
}

static void
outcome_of_changes_is_told_apart(void **state)
{
	static const struct {
		const struct codec *codec;
		const char *reply;
		enum reply_outcome outcome;
	} cases[] = {
	    {&codec_text, "STORED\r\n", REPLY_DONE},
	    {&codec_text, "NOT_STORED\r\n", REPLY_NOT},
	    {&codec_text, "NOT_FOUND\r\n", REPLY_NOT},
	    {&codec_text, "DELETED\r\n", REPLY_DONE},
	    {&codec_text, "SERVER_ERROR out of memory storing object\r\n", REPLY_ERROR},
	    {&codec_text, "ERROR\r\n", REPLY_ERROR},
	    {&codec_text, "END\r\n", REPLY_BROKEN},
	    {&codec_text, "HTTP/1.1 400\r\n", REPLY_BROKEN},
	    {&codec_meta, "HD\r\n", REPLY_DONE},
	    {&codec_meta, "NS\r\n", REPLY_NOT},
	    {&codec_meta, "NF\r\n", REPLY_NOT},
	    {&codec_meta, "SERVER_ERROR out of memory storing object\r\n", REPLY_ERROR},
	    {&codec_meta, "STORED\r\n", REPLY_BROKEN},
	};
	struct reply_to to = to_get(1);

	to.op = LOAD_SET;
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		for (uint32_t step = 1; step < 20; step++) {
			uint32_t taken, bytes = (uint32_t)strlen(cases[i].reply);
			memcpy(stream, cases[i].reply, bytes);
			assert_int_equal(read_in_steps(cases[i].codec, &to, bytes, step, &taken).outcome,
			    cases[i].outcome);
			assert_int_equal(taken, bytes);
		}
}

static void
endless_line_breaks_the_stream(void **state)
{
	struct reply_to to = to_get(1);
	uint32_t taken;

	memset(stream, 'a', sizeof(stream));
	for (unsigned c = 0; c < 2; c++) {
		assert_int_equal(read_in_steps(codecs[c], &to, 4000, 7, &taken).outcome, REPLY_BROKEN);
		assert_int_equal(read_in_steps(codecs[c], &to, 4000, 4000, &taken).outcome, REPLY_BROKEN);
	}
}

/* Random changes of a good reply: it must end somehow, and read nothing beyond its piece (the sanitizers' part). */
static void
damaged_replies_are_survived(void **state)
{
	struct load_rng rng;

	load_rng_seed(&rng, 5);
	for (unsigned round = 0; round < 30000; round++) {
		const struct codec *codec = codecs[round % 3];
		uint32_t keys = round % 2 == 0 ? 1 : KEYS, taken;
		struct reply_to to = to_get(keys);
		uint8_t *at = stream;
		for (uint32_t i = 0; i < keys; i++)
			at = put_hit(codec, at, i, 1, keys);
		uint32_t bytes = (uint32_t)(put_end(codec, at, keys, true) - stream);
		for (unsigned flips = 0; flips < 1 + round % 4; flips++)
			stream[load_rng_below(&rng, bytes)] = (uint8_t)load_rng_next(&rng);
		read_in_steps(codec, &to, bytes, 1 + (uint32_t)load_rng_below(&rng, 400), &taken);
		assert_true(taken <= bytes);
	}
}

static uint32_t
read_hit(uint32_t number, uint32_t floor, uint32_t bytes)
{
	uint8_t *piece = malloc(bytes); /* of its own size, so that a sanitizer sees what is beyond */

	memcpy(piece, stream, bytes);
	uint32_t taken = codec_text.read_hit(&items, number, floor, piece, bytes);
	free(piece);
	return taken;
}

static void
whole_hits_are_taken_at_once_and_nothing_less(void **state)
{
	unsigned taken_at_once = 0;

	for (uint32_t number = 0; number < KEYS; number++) {
		uint8_t *end = put_end(&codec_text, put_hit(&codec_text, stream, number, 3, 1), 1, true);
		uint32_t bytes = (uint32_t)(end - stream);
		bool short_value = item_value_bytes(&items, number) < VALUE_HEAD_BYTES;
		for (uint32_t cut = 1; cut < bytes; cut++)
			assert_int_equal(read_hit(number, 0, cut), 0);
		memcpy(end, "next", 4);
		assert_int_equal(read_hit(number, 0, bytes + 4), short_value ? 0 : bytes);
		assert_int_equal(read_hit(number, 4, bytes), 0); /* stale */
		assert_int_equal(read_hit(number ^ 1, 0, bytes), 0);
		taken_at_once += !short_value;
	}
	assert_true(taken_at_once > KEYS / 2);
}

/* What is taken at once is what reading it would find right. */
static void
damaged_hits_are_left_to_be_read(void **state)
{
	for (uint32_t number = 0; number < KEYS; number++) {
		uint32_t bytes =
		    (uint32_t)(put_end(&codec_text, put_hit(&codec_text, stream, number, 3, 1), 1, true) -
		               stream);
		struct reply_to to = to_get(1);
		to.keys = &number;
		for (uint32_t at = 0; at < bytes; at++)
			for (unsigned bit = 0; bit < 8; bit++) {
				uint32_t taken;
				stream[at] ^= (uint8_t)(1u << bit);
				if (read_hit(number, 0, bytes) > 0) {
					struct reply got =
					    read_in_steps(&codec_text, &to, bytes, bytes, &taken);
					assert_int_equal(got.outcome, REPLY_DONE);
					assert_true(got.hits == 1 && got.wrong == 0 && taken == bytes);
				}
				stream[at] ^= (uint8_t)(1u << bit);
			}
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(text_requests_are_what_the_parser_takes_them_for),
	    cmocka_unit_test(text_get_of_many_keys_names_them_in_order),
	    cmocka_unit_test(meta_requests_are_what_the_parser_takes_them_for),
	    cmocka_unit_test(binary_requests_are_what_the_parser_takes_them_for),
	    cmocka_unit_test(binary_get_of_many_keys_is_quiet_gets_and_a_noop),
	    cmocka_unit_test(request_fits_the_room_that_is_promised),
	    cmocka_unit_test(replies_are_understood_however_they_are_cut),
	    cmocka_unit_test(missing_keys_are_misses_wherever_they_stand),
	    cmocka_unit_test(only_key_missing_is_a_miss),
	    cmocka_unit_test(wrong_and_stale_values_are_found),
	    cmocka_unit_test(value_of_a_key_not_asked_for_is_wrong),
	    cmocka_unit_test(outcome_of_changes_is_told_apart),
	    cmocka_unit_test(endless_line_breaks_the_stream),
	    cmocka_unit_test(whole_hits_are_taken_at_once_and_nothing_less),
	    cmocka_unit_test(damaged_hits_are_left_to_be_read),
	    cmocka_unit_test(damaged_replies_are_survived),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
