/*
 * Plain requests of a burst (serve_burst.h) against serve_datagram(): the same requests, the same replies, items and counts.
 */
#include "tests/unit/serve/fixture.h"

#include "dataplane/serve_burst.h"

#define REQUESTS  20000u
#define REPLY_MAX 2048u
#define VALUE_MAX SERVE_BURST_VALUE_MAX(1392u)

static uint32_t
random_word(void)
{
	static uint64_t state = 99;

	return (uint32_t)random_next(&state);
}

/* Most are plain gets of keys that may be there; the others are nearly so. Returns the length. */
static uint32_t
request_make(uint8_t *to)
{
	static const char *const ends[] = {
	    "\r\n", "\r\n", "\r\n", "\r\n", "\r\n", "\n", "", "\r", " \r\n", "\r\nx", " b\r\n", "\n\r\n"};
	static const char *const words[] = {"get ", "get ", "get ", "get ", "gets ", "get  ", "gat ", "Get "};
	const char *word = words[random_word() % (sizeof(words) / sizeof(words[0]))];
	const char *end = ends[random_word() % (sizeof(ends) / sizeof(ends[0]))];
	const uint32_t key_len = random_word() % 8 ? 1 + random_word() % 60 : random_word() % 260;
	uint32_t len = (uint32_t)strlen(word);

	memcpy(to, word, len);
	for (uint32_t i = 0; i < key_len; i++)
		to[len++] = (uint8_t)('a' + (key_len + i) % 26);
	if (random_word() % 10 == 0 && key_len != 0)
		to[len - 1 - random_word() % key_len] = (uint8_t) " \n\r\t\x80"[random_word() % 5];
	memcpy(to + len, end, strlen(end));
	return len + (uint32_t)strlen(end);
}

static void
store_some(struct fixture *f)
{
	static uint8_t value[3000];
	uint8_t request[400];

	memset(value, 'v', sizeof(value));
	for (unsigned i = 0; i < 4000; i++) {
		const uint32_t len = request_make(request);
		struct store_key key;
		struct store_write write = {.mode = STORE_SET,
		    .client_flags = i % 3 ? 0 : random_word(),
		    .expires_s = STORE_EXPTIME_NEVER};

		memset(request + len, 0, SERVE_BURST_SLACK);
		if (!serve_get_read(request, len, &key) || key.len % 4 == 3)
			continue;
		key.hash = store_hash(f->store, key.bytes, key.len);
		const uint32_t bytes = i % 7 == 0 ? random_word() % sizeof(value) : random_word() % 120;
		assert_int_equal(store_put(f->thread, &key, &write, value, bytes, NULL), STORE_OK);
	}
}

/* What a burst of this one request answers; 0: it is left to serve_datagram(). */
static uint32_t
answer_in_burst(struct fixture *f, const uint8_t *request, uint32_t len, uint8_t *reply)
{
	uint8_t *copy = malloc(len + SERVE_BURST_SLACK);
	struct store_probe probe;
	struct store_found found;
	uint32_t reply_len = 0;

	assert_non_null(copy);
	memcpy(copy, request, len);
	memset(copy + len, random_word() & 1 ? '\n' : 'x', SERVE_BURST_SLACK);
	if (serve_get_read(copy, len, &probe.key)) {
		store_probe_hash(f->store, &probe, 1);
		store_probe_load(f->store, &probe, 1);
		serve_gets(f->serve, &probe, 1, VALUE_MAX, &found);
		if (found.value != NULL || found.value_bytes == 0)
			reply_len = serve_get_reply(reply, &probe.key, &found);
	}
	free(copy);
	return reply_len;
}

static void
get_of_any_shape_is_answered_alike_on_both_ways(void **state)
{
	struct fixture *f = *state;
	uint8_t request[400], *reply = malloc(1392 + SERVE_BURST_SLACK);
	unsigned taken = 0, left = 0;

	assert_non_null(reply);
	store_some(f);
	for (unsigned i = 0; i < REQUESTS; i++) {
		const uint32_t len = request_make(request);
		struct serve_counters before = *serve_counters(f->serve);
		const uint32_t reply_len = answer_in_burst(f, request, len, reply);
		const struct serve_counters burst = *serve_counters(f->serve);
		uint32_t consumed = 0;

		if (reply_len == 0) {
			assert_memory_equal(&before, &burst, sizeof(before));
			left++;
			continue;
		}
		fixture_clear(f);
		uint8_t *exact = malloc(len);
		assert_non_null(exact);
		memcpy(exact, request, len);
		serve_tick(f->serve, f->now_s); /* no hash of a burst before is at hand */
		assert_true(serve_datagram(f->serve, exact, len, &f->sink, &consumed));
		free(exact);
		assert_int_equal(consumed, len);
		assert_int_equal(f->out_len, reply_len);
		assert_memory_equal(f->out, reply, reply_len);
		const struct serve_counters datagram = *serve_counters(f->serve);
		assert_int_equal(burst.cmd_get - before.cmd_get, 1);
		assert_int_equal(datagram.cmd_get - burst.cmd_get, 1);
		assert_int_equal(datagram.get_hits - burst.get_hits, burst.get_hits - before.get_hits);
		assert_int_equal(
		    datagram.get_misses - burst.get_misses, burst.get_misses - before.get_misses);
		taken++;
		store_quiesce(f->thread, f->now_s);
	}
	assert_in_range(taken, REQUESTS / 10, REQUESTS - REQUESTS / 10);
	assert_true(left > REQUESTS / 10);
	free(reply);
}

/* ---- sets ------------------------------------------------------------------------------------- */

/* The first of the texts mostly. */
static const char *
one_of(const char *const *texts, unsigned len)
{
	return texts[random_word() % 8 ? 0 : random_word() % len];
}
#define ONE_OF(...) \
	one_of((const char *const[]){__VA_ARGS__}, sizeof((const char *[]){__VA_ARGS__}) / sizeof(char *))

/* Most are plain sets, the others nearly so. Returns the length. */
static uint32_t
set_make(uint8_t *to)
{
	const uint32_t value_bytes = random_word() % 10 ? random_word() % 200 : random_word() % 1200;
	const uint32_t key_len = random_word() % 20 ? 1 + random_word() % 60 : random_word() % 260;
	char key[260], numbers[80];
	uint32_t len;

	for (uint32_t i = 0; i < key_len; i++)
		key[i] = (char)('a' + (key_len + i) % 26);
	if (random_word() % 20 == 0 && key_len != 0)
		key[random_word() % key_len] = " \n\r\t\x80"[random_word() % 5];
	snprintf(numbers, sizeof(numbers), "%s%s%s%s%s%u%s%s",
	    ONE_OF("0", "7", "123456789", "4294967295", "4294967296", "1234567890", "-1", "x", "", "007"),
	    ONE_OF(" ", "  ", ""),
	    ONE_OF("0", "100", "1000000", "999999999", "1900000000", "-1", "-5", "1x", "+3", ""),
	    ONE_OF(" ", "  ", "\t"), ONE_OF("", "0", "000", "-", "+"),
	    value_bytes + (random_word() % 30 == 0) - (random_word() % 30 == 0),
	    ONE_OF("", " noreply", " noreply", " noreply", " noreply ", " norepl", " 5", " "),
	    ONE_OF("\r\n", "\n", "", "\r"));
	len = (uint32_t)sprintf((char *)to, "%s", ONE_OF("set ", "set  ", "sets ", "add ", "Set "));
	memcpy(to + len, key, key_len);
	len += key_len;
	len += (uint32_t)sprintf((char *)to + len, " %s", numbers);
	for (uint32_t i = 0; i < value_bytes; i++)
		to[len++] = (uint8_t)random_word();
	const char *end = ONE_OF("\r\n", "\n", "", "xx", "\r\nget a\r\n");
	memcpy(to + len, end, strlen(end));
	return len + (uint32_t)strlen(end);
}

/* As a burst serves it; false: it is left to serve_datagram(). *reply: empty for noreply. */
static bool
set_in_burst(struct fixture *f, const uint8_t *request, uint32_t len, struct store_key *key, char *reply)
{
	uint8_t *copy = malloc(len + SERVE_BURST_SLACK);
	struct serve_set set;
	bool taken;

	assert_non_null(copy);
	memcpy(copy, request, len);
	memset(copy + len, "\n1 x"[random_word() % 4], SERVE_BURST_SLACK);
	*reply = '\0';
	taken = serve_set_read(copy, len, key, &set);
	if (taken) {
		key->hash = store_hash(f->store, key->bytes, key->len);
		const enum proto_reply said = serve_set(f->serve, key, &set);
		if (!set.noreply)
			strcpy(reply, proto_replies[said].text);
		key->bytes = request + (key->bytes - copy);
	}
	free(copy);
	return taken;
}

static void
assert_same_item(struct fixture *one, struct fixture *other, const struct store_key *key)
{
	struct store_view a, b;

	assert_int_equal(store_peek(one->thread, key, &a), store_peek(other->thread, key, &b));
	if (store_peek(one->thread, key, &a) != STORE_OK)
		return;
	assert_int_equal(a.value_bytes, b.value_bytes);
	assert_memory_equal(a.value, b.value, a.value_bytes);
	assert_int_equal(a.client_flags, b.client_flags);
	assert_int_equal(a.expires_s, b.expires_s);
	assert_int_equal(a.cas, b.cas);
	assert_int_equal(a.item_flags, b.item_flags);
}

static void
set_of_any_shape_is_stored_alike_on_both_ways(void **state)
{
	struct fixture *f = *state, *other = fixture_open_auth(64, false);
	uint8_t request[2000];
	char reply[PROTO_REPLY_BYTES_MAX + 1];
	unsigned taken = 0;

	for (unsigned i = 0; i < REQUESTS; i++) {
		const uint32_t len = set_make(request);
		struct store_key key;
		uint32_t consumed = 0;

		if (!set_in_burst(f, request, len, &key, reply))
			continue;
		taken++;
		fixture_clear(other);
		uint8_t *exact = malloc(len);
		assert_non_null(exact);
		memcpy(exact, request, len);
		assert_true(serve_datagram(other->serve, exact, len, &other->sink, &consumed));
		free(exact);
		assert_int_equal(consumed, len);
		assert_int_equal(other->out_len, strlen(reply));
		assert_memory_equal(other->out, reply, other->out_len);
		assert_same_item(f, other, &key);
		assert_int_equal(serve_counters(f->serve)->cmd_set, serve_counters(other->serve)->cmd_set);
		if (i % 64 == 0) {
			fixture_advance(f, i % 256 == 0);
			fixture_advance(other, i % 256 == 0);
		}
	}
	assert_in_range(taken, REQUESTS / 20, REQUESTS - REQUESTS / 10);
	fixture_close(other);
}

/* The old item must not be served when the new one could not be stored. */
static void
set_that_the_store_refuses_takes_the_old_item_along(void **state)
{
	struct fixture *f = *state;
	static uint8_t large[2 << 20];
	const struct store_key key = store_key_make(f->store, "k", 1);
	const struct serve_set small = {.value = (const uint8_t *)"v", .value_bytes = 1};
	const struct serve_set refused = {.value = large, .value_bytes = sizeof(large)};
	struct store_view view;

	assert_int_equal(serve_set(f->serve, &key, &small), PROTO_REPLY_STORED);
	assert_int_equal(serve_set(f->serve, &key, &refused), PROTO_REPLY_TOO_LARGE);
	assert_int_equal(serve_counters(f->serve)->store_too_large, 1);
	assert_int_equal(serve_counters(f->serve)->cmd_set, 1);
	assert_int_equal(store_peek(f->thread, &key, &view), STORE_NOT_FOUND);
}

/* ---- the edges -------------------------------------------------------------------------------- */

/* Its reply would not fit: nothing was counted, so that serve_datagram() counts it. */
static void
value_too_large_for_the_short_way_is_left_uncounted(void **state)
{
	struct fixture *f = *state;
	static uint8_t value[VALUE_MAX + 1];
	uint8_t reply[REPLY_MAX];
	const struct store_key key = store_key_make(f->store, "k", 1);
	const struct store_write write = {.mode = STORE_SET, .expires_s = STORE_EXPTIME_NEVER};

	assert_int_equal(store_put(f->thread, &key, &write, value, sizeof(value), NULL), STORE_OK);
	assert_int_equal(answer_in_burst(f, (const uint8_t *)"get k\r\n", 7, reply), 0);
	assert_int_equal(serve_counters(f->serve)->cmd_get, 0);
	assert_int_equal(store_put(f->thread, &key, &write, value, sizeof(value) - 1, NULL), STORE_OK);
	assert_int_not_equal(answer_in_burst(f, (const uint8_t *)"get k\r\n", 7, reply), 0);
	assert_int_equal(serve_counters(f->serve)->get_hits, 1);
}

static void
burst_with_sampling_on_samples_every_key(void **state)
{
	struct fixture *f = *state;
	struct store_probe probes[3];
	struct store_found found[3];

	for (unsigned i = 0; i < 3; i++)
		probes[i].key = store_key_make(f->store, "key", 3);
	store_probe_hash(f->store, probes, 3);
	serve_gets(f->serve, probes, 3, VALUE_MAX, found);
	assert_int_equal(atomic_load(&serve_keys(f->serve)->hot->samples), 3);
}

static void
watcher_or_count_by_prefix_takes_gets_off_the_short_way(void **state)
{
	struct fixture *f = *state;

	assert_true(serve_burst_plain(f->serve));
	expect_reply(f, "stats detail on\r\n", "OK\r\n");
	fixture_advance(f, 1);
	assert_false(serve_burst_plain(f->serve));
	expect_reply(f, "stats detail off\r\n", "OK\r\n");
	fixture_advance(f, 1);
	assert_true(serve_burst_plain(f->serve));
	expect_reply(f, "watch fetchers\r\n", "OK\r\n");
	fixture_advance(f, 1);
	assert_false(serve_burst_plain(f->serve));
}

static void
watcher_of_mutations_takes_sets_off_the_short_way(void **state)
{
	struct fixture *f = *state;

	expect_reply(f, "watch mutations\r\n", "OK\r\n");
	fixture_advance(f, 1);
	assert_false(serve_burst_plain(f->serve));
}

static void
login_required_takes_gets_off_the_short_way(void **state)
{
	struct fixture *f = fixture_open_auth(64, true);

	assert_false(serve_burst_plain(f->serve));
	fixture_close(f);
}

/* ---- plain gets of a stream ---- */

static void
gets_of_a_stream_are_answered_up_to_anything_else(void **state)
{
	static const uint8_t gets[] = "get a\r\nget b\r\nget a\r\n", other[] = "get a\r\ngets a\r\nget a\r\n";
	struct fixture *f = *state;
	bool broken = true;

	expect_reply(f, "set a 0 0 1\r\n1\r\n", "STORED\r\n");
	assert_true(serve_session_plain(f->session));
	fixture_clear(f);
	assert_int_equal(serve_stream_gets(f->serve, gets, sizeof(gets) - 1, &f->sink, false, &broken), 21);
	assert_string_equal(f->out, "VALUE a 0 1\r\n1\r\nEND\r\nEND\r\nVALUE a 0 1\r\n1\r\nEND\r\n");
	assert_false(broken);
	assert_int_equal(serve_stream_gets(f->serve, other, sizeof(other) - 1, &f->sink, false, &broken), 7);
	assert_int_equal(serve_stream_gets(f->serve, gets, 6, &f->sink, false, &broken), 0);
	assert_int_equal(serve_counters(f->serve)->cmd_get, 4);
}

static void
gets_of_a_stream_stop_without_room_or_memory(void **state)
{
	static const uint8_t gets[] = "get a\r\nget b\r\n";
	struct fixture *f = *state;
	bool broken = true;

	fixture_clear(f);
	f->room = 0;
	assert_int_equal(serve_stream_gets(f->serve, gets, sizeof(gets) - 1, &f->sink, false, &broken), 0);
	assert_false(broken);
	assert_int_equal(serve_stream_gets(f->serve, gets, sizeof(gets) - 1, &f->sink, true, &broken), 7);
	f->room = SIZE_MAX;
	f->refuse = true;
	serve_stream_gets(f->serve, gets, sizeof(gets) - 1, &f->sink, false, &broken);
	assert_true(broken);
}

static void
session_in_the_middle_of_something_is_not_plain(void **state)
{
	static const char *const begun[] = {"get a", "set a 0 0 3\r\n1"};
	struct fixture *f = *state;
	uint32_t consumed;

	assert_false(serve_session_plain(f->session)); /* the protocol is not chosen yet */
	for (unsigned i = 0; i < 2; i++) {
		expect_reply(f, "get none\r\n", "END\r\n");
		assert_true(serve_session_plain(f->session));
		serve_bytes(
		    f->session, (const uint8_t *)begun[i], (uint32_t)strlen(begun[i]), &f->sink, &consumed);
		assert_false(serve_session_plain(f->session));
		serve_bytes(f->session, (const uint8_t *)"23\r\n", 4, &f->sink, &consumed);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    fixture_test(get_of_any_shape_is_answered_alike_on_both_ways),
	    fixture_test(set_of_any_shape_is_stored_alike_on_both_ways),
	    fixture_test(set_that_the_store_refuses_takes_the_old_item_along),
	    fixture_test(value_too_large_for_the_short_way_is_left_uncounted),
	    fixture_test(burst_with_sampling_on_samples_every_key),
	    fixture_test(watcher_or_count_by_prefix_takes_gets_off_the_short_way),
	    fixture_test(watcher_of_mutations_takes_sets_off_the_short_way),
	    fixture_test(gets_of_a_stream_are_answered_up_to_anything_else),
	    fixture_test(gets_of_a_stream_stop_without_room_or_memory),
	    fixture_test(session_in_the_middle_of_something_is_not_plain),
	    cmocka_unit_test(login_required_takes_gets_off_the_short_way),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
