/*
 * What a request costs between its bytes and its reply, without packets: a store with 1 000 items, one session, and a
 * reply that is thrown away. Run under callgrind, which counts instructions repeatably:
 *
 *   serve_cost CASE REQUESTS
 *
 * scripts/bench-cost runs every case with two numbers of requests and takes the difference, so that what is done once
 * does not count.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/serve.h"

#define KEYS        1000u
#define VALUE_BYTES 100u
#define REQUEST_MAX 512u
#define NOW_S       1800000000u

static uint8_t reply[SERVE_RESERVE_MAX];

static uint8_t *
reply_reserve(struct serve_sink *sink, uint32_t len)
{
	return reply;
}

static void
reply_commit(struct serve_sink *sink, uint32_t len)
{
}

static bool
reply_value(struct serve_sink *sink, const struct store_view *view)
{
	return true;
}

static uint32_t
reply_room(struct serve_sink *sink)
{
	return UINT32_MAX;
}

/* One request of 20-byte keys; writes it and returns its length. */
typedef uint32_t (*request_fn)(char *to, unsigned key);

static uint32_t
text_get(char *to, unsigned key)
{
	return (uint32_t)snprintf(to, REQUEST_MAX, "get key-%016u\r\n", key);
}

static uint32_t
text_miss(char *to, unsigned key)
{
	return (uint32_t)snprintf(to, REQUEST_MAX, "get non-%016u\r\n", key);
}

static uint32_t
text_set(char *to, unsigned key)
{
	return (uint32_t)snprintf(
	    to, REQUEST_MAX, "set key-%016u 0 0 %u\r\n%0*u\r\n", key, VALUE_BYTES, (int)VALUE_BYTES, key);
}

static uint32_t
meta_get(char *to, unsigned key)
{
	return (uint32_t)snprintf(to, REQUEST_MAX, "mg key-%016u v\r\n", key);
}

static uint32_t
meta_set(char *to, unsigned key)
{
	return (uint32_t)snprintf(
	    to, REQUEST_MAX, "ms key-%016u %u\r\n%0*u\r\n", key, VALUE_BYTES, (int)VALUE_BYTES, key);
}

static uint32_t
binary(char *to, uint8_t opcode, unsigned key, uint8_t extras, uint32_t value_bytes)
{
	uint32_t body = extras + 20 + value_bytes;

	memset(to, 0, 24 + extras);
	to[0] = (char)0x80;
	to[1] = (char)opcode;
	to[3] = 20;
	to[4] = (char)extras;
	to[10] = (char)(body >> 8);
	to[11] = (char)body;
	snprintf(to + 24 + extras, REQUEST_MAX - 64, "key-%016u%0*u", key, (int)value_bytes, key);
	return 24 + body;
}

static uint32_t
binary_get(char *to, unsigned key)
{
	return binary(to, 0x00, key, 0, 0);
}

static uint32_t
binary_set(char *to, unsigned key)
{
	return binary(to, 0x01, key, 8, VALUE_BYTES);
}

static const struct cost_case {
	const char *name;
	request_fn request;
} cases[] = {
    {"text get", text_get},
    {"text get, a miss", text_miss},
    {"text set", text_set},
    {"meta get", meta_get},
    {"meta set", meta_set},
    {"binary get", binary_get},
    {"binary set", binary_set},
};

static const struct cost_case *
case_find(const char *name)
{
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		if (strcmp(cases[i].name, name) == 0)
			return &cases[i];
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		fprintf(stderr, "serve_cost: a case is \"%s\"\n", cases[i].name);
	exit(2);
}

static void
send_one(struct serve_session *session, struct serve_sink *sink, request_fn request, unsigned key)
{
	char bytes[REQUEST_MAX];
	uint32_t len = request(bytes, key), consumed;

	if (serve_bytes(session, (uint8_t *)bytes, len, sink, &consumed) != SERVE_GO_ON || consumed != len)
		exit(1);
}

int
main(int argc, char **argv)
{
	const struct cost_case *what = case_find(argc == 3 ? argv[1] : "");
	struct serve_sink sink = {reply_reserve, reply_commit, reply_value, reply_room};
	const struct serve_config serve_config = {
	    .version = "1", .item_max_bytes = 1 << 20, .line_max_bytes = 1 << 20, .flush_enabled = true};
	const struct serve_host host = {0};
	struct store_config config;
	char error[STORE_ERROR_MAX];
	struct store *store;

	store_config_default(&config);
	config.now_s = NOW_S;
	if (store_create(&config, &store, error) != 0)
		return 1;
	struct store_thread *thread = store_thread_register(store, -1);
	struct serve *serve = serve_create(store, thread, &serve_config, &host);
	struct serve_session *fill = serve_session_open(serve), *session = serve_session_open(serve);

	store_quiesce(thread, NOW_S);
	serve_tick(serve, NOW_S);
	for (unsigned key = 0; key < KEYS; key++)
		send_one(fill, &sink, text_set, key);
	for (int i = 0; i < atoi(argv[2]); i++) {
		send_one(session, &sink, what->request, (unsigned)i % KEYS);
		if (i % 32 == 0)
			store_quiesce(thread, NOW_S);
	}
	serve_session_close(fill);
	serve_session_close(session);
	serve_destroy(serve);
	store_thread_unregister(thread);
	store_destroy(store);
	return 0;
}
