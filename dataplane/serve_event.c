/*
 * What watchers see: fetches, stores, deletions, evictions and connections, a line each as memcached writes them. The
 * numbers of slab class and connection have no counterpart here and are 0.
 *
 * Nothing here is called while nobody watches.
 */
#include "dataplane/serve.h"
#include "dataplane/serve_internal.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <time.h>

#define DELETE_ROUNDS 8u /* of reading an item's size and deleting just that item */

struct event_line {
	uint8_t bytes[WATCH_LINE_MAX];
	uint32_t len;
};

static void __attribute__((format(printf, 2, 3))) line_add(struct event_line *line, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	/* Safe because everything but the key, which takes 750 at most, is short. */
	line->len += (uint32_t)vsnprintf(
	    (char *)line->bytes + line->len, sizeof(line->bytes) - line->len, format, arguments);
	va_end(arguments);
}

static void
line_begin(struct event_line *line, struct serve *serve, const char *type)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	line->len = 0;
	line_add(line, "ts=%lld.%ld gid=%" PRIu64 " type=%s", (long long)now.tv_sec, now.tv_nsec / 1000,
	    watch_number(serve->host.watch), type);
}

static void
line_begin_item(
    struct event_line *line, struct serve *serve, const char *type, const void *key, uint32_t key_len)
{
	line_begin(line, serve, type);
	line_add(line, " key=");
	line->len = (uint32_t)(serve_put_uri(line->bytes + line->len, key, key_len) - line->bytes);
}

/* ---- fetches ---------------------------------------------------------------------------------- */

static const char *
miss_status(struct serve *serve, const struct store_key *key)
{
	switch (store_absence(serve->thread, key)) {
	case STORE_ABSENT_EXPIRED:
		return "expired";
	case STORE_ABSENT_FLUSHED:
		return "flushed";
	case STORE_ABSENT:
		break;
	}
	return "not_found";
}

void
serve_event_fetch(struct serve *serve, const struct store_key *key, const struct store_view *view)
{
	const char *status = view != NULL ? "found" : miss_status(serve, key);
	struct event_line line;

	line_begin_item(&line, serve, "item_get", key->bytes, key->len);
	line_add(&line, " status=%s clsid=0 cfd=0 size=%u\n", status, view != NULL ? view->value_bytes : 0);
	watch_emit(serve->host.watch, WATCH_FETCHERS, line.bytes, line.len);
}

void
serve_event_lookup(struct serve *serve, const struct store_key *key, bool hit)
{
	struct store_view view;

	hit = hit && store_peek(serve->thread, key, &view) == STORE_OK;
	serve_event_fetch(serve, key, hit ? &view : NULL);
}

/* ---- changes ---------------------------------------------------------------------------------- */

void
serve_event_store(struct serve *serve, const struct store_key *key, const struct store_write *write,
    enum store_status status, uint32_t value_bytes)
{
	static const char *const statuses[] = {[STORE_OK] = "stored",
	    [STORE_NOT_FOUND] = "not_found",
	    [STORE_EXISTS] = "exists",
	    [STORE_NOT_STORED] = "not_stored",
	    [STORE_TOO_LARGE] = "too_large",
	    [STORE_NO_MEMORY] = "no_memory",
	    [STORE_NON_NUMERIC] = "not_stored",
	    [STORE_STALE] = "stored"};
	static const char *const commands[] = {[STORE_SET] = "set",
	    [STORE_ADD] = "add",
	    [STORE_REPLACE] = "replace",
	    [STORE_APPEND] = "append",
	    [STORE_PREPEND] = "prepend",
	    [STORE_CAS] = "cas"};
	uint32_t ttl_s = write->expires_s > serve->now_s ? write->expires_s - serve->now_s : 0;
	struct event_line line;

	line_begin_item(&line, serve, "item_store", key->bytes, key->len);
	line_add(&line, " status=%s cmd=%s ttl=%u clsid=0 cfd=0 size=%u\n", statuses[status],
	    commands[write->mode], ttl_s, value_bytes);
	watch_emit(serve->host.watch, WATCH_MUTATIONS, line.bytes, line.len);
}

static void
event_deleted(struct serve *serve, const struct store_key *key, const char *command, uint32_t value_bytes)
{
	struct event_line line;

	line_begin_item(&line, serve, "deleted", key->bytes, key->len);
	line_add(&line, " cmd=%s clsid=0 size=%u\n", command, value_bytes);
	watch_emit(serve->host.watch, WATCH_DELETIONS, line.bytes, line.len);
}

/* Reads the size first, so deletes only what it has read: another worker may change the item in between. */
enum store_status
serve_event_delete(struct serve *serve, const struct store_key *key, uint64_t cas, const char *command)
{
	enum store_status status = STORE_EXISTS;
	struct store_view view;
	bool found = false;

	for (unsigned round = 0; round < DELETE_ROUNDS && status == STORE_EXISTS; round++) {
		found = store_peek(serve->thread, key, &view) == STORE_OK;
		status = store_delete(serve->thread, key, cas != 0 || !found ? cas : view.cas);
		if (cas != 0)
			break;
	}
	if (status == STORE_EXISTS && cas == 0) /* others change it all the time */
		status = store_delete(serve->thread, key, 0);
	if (serve_watched(serve, WATCH_FETCHERS))
		serve_event_fetch(serve, key, found ? &view : NULL);
	if (status == STORE_OK && serve_watched(serve, WATCH_DELETIONS))
		event_deleted(serve, key, command, found ? view.value_bytes : 0);
	return status;
}

void
serve_event_evicted(void *ctx, const struct store_entry *entry)
{
	struct serve *serve = ctx;
	const struct store_view *view = &entry->view;
	int64_t ttl_s = view->expires_s == STORE_EXPTIME_NEVER ? -1 : (int64_t)view->expires_s - serve->now_s;
	uint32_t idle_s = serve->now_s > view->last_access_s ? serve->now_s - view->last_access_s : 0;
	struct event_line line;

	line_begin_item(&line, serve, "eviction", entry->key, entry->key_len);
	line_add(&line, " fetch=%s ttl=%" PRId64 " la=%u clsid=0 size=%u\n",
	    view->item_flags & STORE_ITEM_FETCHED ? "yes" : "no", ttl_s, idle_s, view->value_bytes);
	watch_emit(serve->host.watch, WATCH_EVICTIONS, line.bytes, line.len);
}

/* ---- connections ------------------------------------------------------------------------------ */

bool
serve_connections_watched(const struct serve *serve)
{
	return serve_watched(serve, WATCH_CONNECTIONS);
}

void
serve_connection(struct serve *serve, const char *address, uint16_t port, const char *closed)
{
	struct event_line line;

	line_begin(&line, serve, closed != NULL ? "conn_close" : "conn_new");
	line_add(&line, " rip=%.64s rport=%u transport=tcp", address, port);
	if (closed != NULL)
		line_add(&line, " reason=%.32s", closed);
	line_add(&line, " cfd=0\n");
	watch_emit(serve->host.watch, WATCH_CONNECTIONS, line.bytes, line.len);
}
