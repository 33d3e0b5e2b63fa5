/*
 * The appliance without packets: text requests into serve_bytes(), replies read for one word, a real store in
 * virtual time. What a worker does once a pass (quiesce, maintain) is done once a burst.
 */
#include "tests/bench/hit/replay.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/serve.h"

#define NOW_S          1800000000u
#define BURST          32u
#define MAINTAIN_ITEMS 512u
#define LINE_BYTES     320u
#define SEGMENT_BYTES  1448u

struct appliance {
	struct serve_sink sink; /* first: the callbacks get it back */
	uint8_t reply[SERVE_RESERVE_MAX];
	uint32_t reply_len;
	bool hit;
	struct store *store;
	struct store_thread *thread;
	struct serve *serve;
	struct serve_session *session;
	uint8_t *request; /* LINE_BYTES, the largest value, CR LF */
};

static uint8_t *
reply_reserve(struct serve_sink *sink, uint32_t len)
{
	return ((struct appliance *)sink)->reply;
}

static void
reply_commit(struct serve_sink *sink, uint32_t len)
{
	struct appliance *a = (struct appliance *)sink;

	if (a->reply_len == 0)
		a->hit = len > 5 && memcmp(a->reply, "VALUE", 5) == 0;
	a->reply_len += len;
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

/* As it comes from the network: in segments of TCP. */
static void
appliance_send(struct appliance *a, const void *bytes, uint32_t len)
{
	uint32_t consumed;

	while (len > 0) {
		uint32_t part = len < SEGMENT_BYTES ? len : SEGMENT_BYTES;
		enum serve_state state = serve_bytes(a->session, bytes, part, &a->sink, &consumed);
		if (state != SERVE_GO_ON && state != SERVE_AGAIN) {
			fprintf(stderr, "hit_replay: the appliance ended the stream\n");
			exit(1);
		}
		bytes = (const uint8_t *)bytes + consumed;
		len -= consumed;
	}
}

static uint32_t
line_begin(char line[LINE_BYTES], const char *word, const struct trace *trace, const struct row *row)
{
	uint32_t len = (uint32_t)strlen(word);

	memcpy(line, word, len);
	return len + trace_key_write(trace, row->key, line + len);
}

static void
appliance_line(struct appliance *a, const char *word, const struct trace *trace, const struct row *row)
{
	char line[LINE_BYTES];
	uint32_t len = line_begin(line, word, trace, row);

	memcpy(line + len, "\r\n", 2);
	a->reply_len = 0;
	a->hit = false;
	appliance_send(a, line, len + 2);
}

static void
appliance_set(struct appliance *a, const struct trace *trace, const struct row *row, uint32_t now_s)
{
	char line[LINE_BYTES];
	uint32_t key_len = line_begin(line, "set ", trace, row);
	/* Beyond 30 days a time to live must be given as a date. */
	uint32_t exptime = row->ttl_s > 30 * 86400 ? now_s + row->ttl_s : row->ttl_s;
	uint32_t len = key_len + (uint32_t)snprintf(line + key_len, sizeof(line) - key_len, " 0 %u %u\r\n",
	                             exptime, row->value_bytes);
	uint8_t *request = a->request + LINE_BYTES - len;

	/* The value stands in the buffer already; only its end moves. */
	memcpy(request, line, len);
	memcpy(a->request + LINE_BYTES + row->value_bytes, "\r\n", 2);
	a->reply_len = 0;
	appliance_send(a, request, len + row->value_bytes + 2);
	memset(a->request + LINE_BYTES + row->value_bytes, 0, 2);
}

static void
appliance_row(struct appliance *a, const struct trace *trace, const struct row *row, uint32_t now_s,
    struct hit_count *count)
{
	switch (row->op) {
	case ROW_DELETE:
		appliance_line(a, "delete ", trace, row);
		break;
	case ROW_SET:
		appliance_set(a, trace, row, now_s);
		break;
	default:
		appliance_line(a, "get ", trace, row);
		bool hit = a->hit;
		count_get(count, trace, row, hit);
		if (!hit)
			appliance_set(a, trace, row, now_s);
	}
}

static void
appliance_open(struct appliance *a, size_t memory_bytes)
{
	static const struct serve_config serve_config = {
	    .version = "1", .item_max_bytes = 1 << 20, .line_max_bytes = 1 << 20, .flush_enabled = true};
	static const struct serve_host host = {0};
	struct store_config config;
	char error[STORE_ERROR_MAX];

	memset(a, 0, sizeof(*a));
	a->sink = (struct serve_sink){reply_reserve, reply_commit, reply_value, reply_room};
	store_config_default(&config);
	config.memory_bytes = memory_bytes;
	config.hugepages = false;
	config.now_s = NOW_S;
	if (store_create(&config, &a->store, error) != 0) {
		fprintf(stderr, "hit_replay: %s\n", error);
		exit(1);
	}
	a->thread = store_thread_register(a->store, -1);
	a->serve = serve_create(a->store, a->thread, &serve_config, &host);
	a->session = serve_session_open(a->serve);
	a->request = calloc(1, LINE_BYTES + TRACE_VALUE_MAX + 2);
	if (!a->thread || !a->session || !a->request)
		exit(1);
}

static void
appliance_close(struct appliance *a)
{
	const char *broken;

	serve_session_close(a->session);
	serve_destroy(a->serve);
	store_thread_unregister(a->thread);
	broken = store_check(a->store);
	if (broken)
		fprintf(stderr, "hit_replay: the store is broken: %s\n", broken);
	store_destroy(a->store);
	free(a->request);
	if (broken)
		exit(1);
}

/* What the store did, for who looks for the reason of a figure. */
static void
appliance_tell(const struct appliance *a)
{
	struct store_counters counters;
	struct store_info info;

	if (!getenv("HIT_VERBOSE"))
		return;
	store_counters_sum(a->store, &counters);
	store_info_get(a->store, &info);
	fprintf(stderr, "items=%llu bytes=%llu index=%zu segments=%llu free=%llu",
	    (unsigned long long)info.items, (unsigned long long)info.bytes, info.index_bytes,
	    (unsigned long long)info.segments, (unsigned long long)info.segments_free);
#define STORE_COUNTER(name, help) fprintf(stderr, " " #name "=%llu", (unsigned long long)counters.name);
#include "store/counters.def"
#undef STORE_COUNTER
	fprintf(stderr, "\n");
}

void
replay_wirecache(const struct trace *trace, size_t memory_bytes, struct hit_count *count)
{
	static struct appliance a;
	struct store_info info;

	appliance_open(&a, memory_bytes);
	for (uint32_t i = 0; i < trace->rows_len; i++) {
		uint32_t now_s = NOW_S + trace->rows[i].time_s;
		if (i % BURST == 0) {
			store_quiesce(a.thread, now_s);
			serve_tick(a.serve, now_s);
			store_maintain(a.thread, MAINTAIN_ITEMS);
		}
		appliance_row(&a, trace, &trace->rows[i], now_s, count);
	}
	store_info_get(a.store, &info);
	count->items = info.items;
	appliance_tell(&a);
	appliance_close(&a);
}
