/*
 * libFuzzer entry: a stream of the binary protocol through serve_bytes(), with and without logins.
 *
 * The first byte says whether logins are asked for and how their verdict comes, the next three are the lengths of the
 * pieces in turn (0: the sink has little room for the next piece); what follows is the stream. A packet begins wherever
 * the stream has 0xfe: a header with the magic is put together from the bytes behind it, since random bytes would
 * rarely get past the first check. Replies go to a buffer of exactly the size that was reserved.
 */
#include <stdlib.h>
#include <string.h>

#include "dataplane/proto/binary.h"
#include "dataplane/serve.h"

#define PREFIX      4u
#define PIECES      3u
#define LITTLE_ROOM 64u
#define STREAM_MAX  65536u
#define STORE_BYTES (16u << 20)
#define NOW_S       1700000000u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct fuzz {
	struct serve_sink base;
	struct store *store;
	uint8_t *reserved;
	uint32_t room;
	uint8_t logins; /* how they end */
	struct serve_session *pending;
};

static uint8_t *
fuzz_reserve(struct serve_sink *base, uint32_t len)
{
	struct fuzz *fuzz = (struct fuzz *)base;

	free(fuzz->reserved);
	fuzz->reserved = len <= SERVE_RESERVE_MAX ? malloc(len != 0 ? len : 1) : NULL;
	if (fuzz->reserved == NULL)
		abort();
	return fuzz->reserved;
}

static void
fuzz_commit(struct serve_sink *base, uint32_t len)
{
	struct fuzz *fuzz = (struct fuzz *)base;

	fuzz->room -= len < fuzz->room ? len : fuzz->room;
	free(fuzz->reserved);
	fuzz->reserved = NULL;
}

static bool
fuzz_value(struct serve_sink *base, const struct store_view *view)
{
	struct fuzz *fuzz = (struct fuzz *)base;
	uint32_t at = 0, len, sum = 0;
	const uint8_t *bytes;

	while ((len = store_view_span(fuzz->store, view, at, &bytes)) != 0) {
		for (uint32_t i = 0; i < len; i++)
			sum += bytes[i];
		at += len;
	}
	fuzz->room = 0;
	return at == view->value_bytes && sum != UINT32_MAX;
}

static uint32_t
fuzz_room(struct serve_sink *base)
{
	return ((struct fuzz *)base)->room;
}

static enum serve_login
fuzz_auth_begin(void *ctx, struct serve_session *session, const struct proto_credentials *credentials)
{
	struct fuzz *fuzz = ctx;
	enum serve_login login = (enum serve_login)(fuzz->logins++ % 3);

	if (fuzz->pending != NULL)
		abort();
	if (login == SERVE_LOGIN_PENDING)
		fuzz->pending = session;
	return login;
}

static void
fuzz_auth_cancel(void *ctx, struct serve_session *session)
{
	struct fuzz *fuzz = ctx;

	if (fuzz->pending != session)
		abort();
	fuzz->pending = NULL;
}

/* Writes the stream; returns its length. */
static size_t
make_stream(const uint8_t *data, size_t size, uint8_t *stream)
{
	size_t len = 0;

	for (size_t at = 0; at < size && len + PROTO_BINARY_HEADER_BYTES < STREAM_MAX; at++) {
		if (data[at] != 0xfe || size - at < 6) {
			stream[len++] = data[at];
			continue;
		}
		memset(stream + len, 0, PROTO_BINARY_HEADER_BYTES);
		stream[len] = PROTO_BINARY_MAGIC;
		stream[len + 1] = data[at + 1] % 0x28; /* opcode */
		stream[len + 3] = data[at + 2];        /* key */
		stream[len + 4] = data[at + 3] % 21;   /* extras */
		stream[len + 10] = data[at + 4];       /* body */
		stream[len + 11] = data[at + 5];
		len += PROTO_BINARY_HEADER_BYTES;
		at += 5;
	}
	return len;
}

/* Gives one piece from a buffer of its size; returns what serve made of the session. */
static enum serve_state
give(
    struct fuzz *fuzz, struct serve *serve, struct serve_session *session, const uint8_t *bytes, uint32_t len)
{
	uint8_t *copy = malloc(len != 0 ? len : 1);
	enum serve_state state;
	uint32_t at = 0, consumed;

	if (copy == NULL)
		abort();
	memcpy(copy, bytes, len);
	serve_peek(serve, copy, len);
	serve_peeked(serve);
	do {
		state = serve_bytes(session, copy + at, len - at, &fuzz->base, &consumed);
		at += consumed;
		fuzz->room = UINT32_MAX;
		if (fuzz->pending != NULL) {
			serve_auth_verdict(fuzz->pending, fuzz->logins % 2 != 0);
			fuzz->pending = NULL;
		}
	} while (state == SERVE_FULL || state == SERVE_AGAIN);
	free(copy);
	return state;
}

static void
play(struct fuzz *fuzz, struct store_thread *thread, struct serve *serve, const uint8_t *pieces,
    const uint8_t *stream, size_t size)
{
	struct serve_session *session = serve_session_open(serve);
	size_t at = 0;

	if (session == NULL)
		abort();
	for (unsigned i = 0; at < size; i = (i + 1) % PIECES) {
		uint32_t len = pieces[i] != 0 ? pieces[i] : 1;

		len = len < size - at ? len : (uint32_t)(size - at);
		fuzz->room = pieces[i] != 0 ? UINT32_MAX : LITTLE_ROOM;
		if (give(fuzz, serve, session, stream + at, len) != SERVE_GO_ON)
			break;
		at += len;
		store_quiesce(thread, NOW_S + (uint32_t)(at / 64));
		serve_tick(serve, NOW_S + (uint32_t)(at / 64));
	}
	serve_session_close(session);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz fuzz = {.base = {fuzz_reserve, fuzz_commit, fuzz_value, fuzz_room}, .room = UINT32_MAX};
	struct serve_config config = {.version = "fuzz", .item_max_bytes = 1 << 20, .flush_enabled = true};
	const struct serve_host host = {
	    .auth_ctx = &fuzz, .auth_begin = fuzz_auth_begin, .auth_cancel = fuzz_auth_cancel};
	static uint8_t stream[STREAM_MAX];
	struct store_config store_config;
	struct store_thread *thread;
	char error[STORE_ERROR_MAX];
	struct serve *serve;

	if (size < PREFIX)
		return 0;
	config.auth = data[0] & 1;
	fuzz.logins = data[0] >> 1;
	store_config_default(&store_config);
	store_config.memory_bytes = STORE_BYTES;
	store_config.hugepages = false;
	store_config.now_s = NOW_S;
	if (store_create(&store_config, &fuzz.store, error) != 0)
		abort();
	thread = store_thread_register(fuzz.store, -1);
	if (thread == NULL)
		abort();
	serve = serve_create(fuzz.store, thread, &config, &host);
	if (serve == NULL)
		abort();
	play(&fuzz, thread, serve, data + 1, stream, make_stream(data + PREFIX, size - PREFIX, stream));
	serve_destroy(serve);
	if (fuzz.pending != NULL || store_check(fuzz.store) != NULL)
		abort();
	store_thread_unregister(thread);
	store_destroy(fuzz.store);
	free(fuzz.reserved);
	return 0;
}
