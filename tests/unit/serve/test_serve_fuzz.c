/*
 * Seeded streams of broken commands: well-formed requests cut, doubled and bitten, in random pieces, with
 * little room for replies, sessions closed anywhere. Nothing may crash, no session may keep memory, the store
 * must stay whole.
 */
#include "fixture.h"

#define STREAMS 2000u

static const char *const seeds[] = {"get a\r\n", "get a b c d\r\n", "gets a\r\n", "set a 0 0 3\r\nabc\r\n",
    "set b 1 10 5 noreply\r\n12345\r\n", "add c 0 0 0\r\n\r\n", "append a 0 0 2\r\nxy\r\n",
    "prepend a 0 0 2\r\nxy\r\n", "replace a 4294967295 -1 1\r\n7\r\n", "cas a 0 0 1 1\r\nx\r\n",
    "incr b 5\r\n", "decr b 18446744073709551615\r\n", "touch a 100\r\n", "gat 100 a b\r\n", "gats 0 a\r\n",
    "delete a 0 noreply\r\n", "flush_all 1\r\n", "mn\r\n", "mg a v t k f s c h l O123 N30 R10\r\n",
    "mg YQ== b v k\r\n", "ms a 3 k c s O1 T30\r\nabc\r\n", "ms a 1 MA N5 q\r\nx\r\n", "md a q I T3\r\n",
    "md a x\r\n", "ma b N0 J5 D3 v\r\n", "me a\r\n", "stats\r\n", "version\r\n", "verbosity 1\r\n",
    "set a 0 0 2000000\r\nabcdefgh", "set big 0 0 5000\r\n", "lru tune 1 2 3 4\r\n", "slabs automove 1\r\n",
    "\r\n", "set a 0 0 99999999999999999999\r\n", "get \r\n", "stats detail dump\r\n",
    "lru_crawler crawl all\r\n", "watch bogus\r\n", "lru_crawler metadump all\r\n",
    "lru_crawler mgdump hash\r\n", "stats cachedump 1 3\r\n"};

static uint64_t random_state;

static uint32_t
draw(uint32_t below)
{
	return random_below(&random_state, below);
}

/* A stream of mutated requests. */
static size_t
make_stream(uint8_t *out, size_t room)
{
	static const char tokens[] = " \r\n0-9az\0\xff\x80";
	size_t len = 0;

	while (len < room - 100) {
		const char *seed = seeds[draw(sizeof(seeds) / sizeof(seeds[0]))];
		size_t seed_len = strlen(seed), begin = len;

		memcpy(out + len, seed, seed_len);
		len += seed_len;
		for (unsigned bites = draw(8); bites > 5 && len > begin; bites--) {
			size_t at = begin + draw((uint32_t)(len - begin));

			if (draw(2))
				out[at] = (uint8_t)tokens[draw(sizeof(tokens) - 1)];
			else
				len = at;
		}
	}
	return len;
}

static void
play_stream(struct fixture *f, const uint8_t *bytes, size_t len)
{
	size_t at = 0;

	f->room = draw(4) == 0 ? 1 + draw(100) : SIZE_MAX;
	fixture_clear(f);
	while (at < len) {
		uint32_t give = 1 + draw(draw(2) ? 20 : 2000), consumed;
		uint8_t *copy;

		give = give < len - at ? give : (uint32_t)(len - at);
		copy = malloc(give);
		assert_non_null(copy);
		memcpy(copy, bytes + at, give);
		serve_peek(f->serve, copy, give);
		serve_peeked(f->serve);
		f->state = serve_bytes(f->session, copy, give, &f->sink, &consumed);
		assert_true(consumed <= give);
		assert_true(consumed == give || f->state == SERVE_FULL || f->state == SERVE_AGAIN);
		free(copy);
		at += consumed;
		if (f->state == SERVE_FULL || f->state == SERVE_AGAIN)
			fixture_clear(f);
		if (f->state == SERVE_CLOSE || f->state == SERVE_ABORT || draw(200) == 0)
			fixture_reconnect(f);
		fixture_advance(f, draw(50) == 0);
		store_maintain(f->thread, 64);
	}
}

static void
mutated_streams_leave_the_store_whole(void **state)
{
	struct fixture *f = *state;
	uint8_t *bytes = malloc(8192);
	const char *broken;

	assert_non_null(bytes);
	for (unsigned stream = 1; stream <= STREAMS; stream++) {
		random_state = stream;
		play_stream(f, bytes, make_stream(bytes, 8192));
		if (stream % 50 == 0 && (broken = store_check(f->store)) != NULL)
			fail_msg("stream %u: %s", stream, broken);
	}
	fixture_reconnect(f);
	f->room = SIZE_MAX;
	expect_reply(f, "set a 0 0 1\r\nx\r\nget a\r\n", "STORED\r\nVALUE a 0 1\r\nx\r\nEND\r\n");
	free(bytes);
}

static void
mutated_datagrams_are_answered_or_dropped(void **state)
{
	struct fixture *f = *state;
	uint8_t *bytes = malloc(1400);

	assert_non_null(bytes);
	for (unsigned i = 1; i <= STREAMS; i++) {
		size_t len, at = 0;
		uint32_t consumed = 0;
		bool more = true;

		random_state = ~(uint64_t)i;
		len = make_stream(bytes, 1400);
		while (more && at < len) {
			uint8_t *copy = malloc(len - at);

			assert_non_null(copy);
			memcpy(copy, bytes + at, len - at);
			fixture_clear(f);
			more = serve_datagram(f->serve, copy, (uint32_t)(len - at), &f->sink, &consumed);
			assert_true(!more || consumed > 0);
			at += consumed;
			free(copy);
			fixture_advance(f, 0);
		}
	}
	expect_reply(f, "set a 0 0 1\r\nx\r\nget a\r\n", "STORED\r\nVALUE a 0 1\r\nx\r\nEND\r\n");
	free(bytes);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    fixture_test(mutated_streams_leave_the_store_whole),
	    fixture_test(mutated_datagrams_are_answered_or_dropped),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
