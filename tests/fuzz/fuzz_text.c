/*
 * libFuzzer entry: a byte stream through serve_bytes(), cut into pieces as the input's first bytes say.
 *
 * The first four bytes are the lengths of the pieces in turn (0: the sink has little room for the next
 * piece); what follows is the stream. Replies are written to a buffer of exactly the size that was reserved.
 */
#include <stdlib.h>
#include <string.h>

#include "dataplane/serve.h"

#define PIECES      4u
#define LITTLE_ROOM 64u
#define STORE_BYTES (16u << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct fuzz_sink {
	struct serve_sink base;
	struct store *store;
	uint8_t *reserved;
	uint32_t room;
};

static uint8_t *
fuzz_reserve(struct serve_sink *base, uint32_t len)
{
	struct fuzz_sink *sink = (struct fuzz_sink *)base;

	free(sink->reserved);
	sink->reserved = len <= SERVE_RESERVE_MAX ? malloc(len != 0 ? len : 1) : NULL;
	if (sink->reserved == NULL)
		abort();
	return sink->reserved;
}

static void
fuzz_commit(struct serve_sink *base, uint32_t len)
{
	struct fuzz_sink *sink = (struct fuzz_sink *)base;

	sink->room -= len < sink->room ? len : sink->room;
	free(sink->reserved);
	sink->reserved = NULL;
}

static bool
fuzz_value(struct serve_sink *base, const struct store_view *view)
{
	struct fuzz_sink *sink = (struct fuzz_sink *)base;
	uint32_t at = 0, len, sum = 0;
	const uint8_t *bytes;

	while ((len = store_view_span(sink->store, view, at, &bytes)) != 0) {
		for (uint32_t i = 0; i < len; i++)
			sum += bytes[i];
		at += len;
	}
	sink->room = 0;
	return at == view->value_bytes && sum != UINT32_MAX;
}

static uint32_t
fuzz_room(struct serve_sink *base)
{
	return ((struct fuzz_sink *)base)->room;
}

/* Gives one piece from a buffer of its size; returns what serve made of the session. */
static enum serve_state
give(struct serve_session *session, struct fuzz_sink *sink, const uint8_t *bytes, uint32_t len)
{
	uint8_t *copy = malloc(len != 0 ? len : 1);
	enum serve_state state;
	uint32_t at = 0, consumed;

	if (copy == NULL)
		abort();
	memcpy(copy, bytes, len);
	do {
		state = serve_bytes(session, copy + at, len - at, &sink->base, &consumed);
		at += consumed;
		sink->room = UINT32_MAX;
	} while (state == SERVE_FULL || state == SERVE_AGAIN);
	free(copy);
	return state;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct serve_config config = {.version = "fuzz", .item_max_bytes = 1 << 20, .flush_enabled = true};
	struct fuzz_sink sink = {
	    .base = {fuzz_reserve, fuzz_commit, fuzz_value, fuzz_room}, .room = UINT32_MAX};
	struct store_config store_config;
	struct store_thread *thread;
	struct serve_session *session;
	struct serve *serve;
	char error[STORE_ERROR_MAX];
	size_t at = PIECES;

	if (size < PIECES)
		return 0;
	store_config_default(&store_config);
	store_config.memory_bytes = STORE_BYTES;
	store_config.hugepages = false;
	store_config.now_s = 1700000000;
	if (store_create(&store_config, &sink.store, error) != 0)
		abort();
	thread = store_thread_register(sink.store, -1);
	serve = serve_create(sink.store, thread, &config, NULL);
	session = serve_session_open(serve);
	if (thread == NULL || serve == NULL || session == NULL)
		abort();
	for (unsigned i = 0; at < size; i = (i + 1) % PIECES) {
		uint32_t len = data[i] != 0 ? data[i] : 1;

		len = len < size - at ? len : (uint32_t)(size - at);
		sink.room = data[i] != 0 ? UINT32_MAX : LITTLE_ROOM;
		if (give(session, &sink, data + at, len) != SERVE_GO_ON)
			break;
		at += len;
		store_quiesce(thread, 1700000000 + (uint32_t)(at / 64));
		serve_tick(serve, 1700000000 + (uint32_t)(at / 64));
	}
	serve_session_close(session);
	serve_destroy(serve);
	if (store_check(sink.store) != NULL)
		abort();
	store_thread_unregister(thread);
	store_destroy(sink.store);
	free(sink.reserved);
	return 0;
}
