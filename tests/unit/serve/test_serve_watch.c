/*
 * watch: who sees which events, how many may watch, and that nobody waits for a slow one.
 */
#include "binary.h"

#include <pthread.h>

/* A watching session besides the fixture's own, with a sink of its own kind: the fixture's, cleared before. */
static struct serve_session *
begin_watch(struct fixture *f, const char *command, const char *reply)
{
	struct serve_session *session = serve_session_open(f->serve);
	uint32_t consumed;

	assert_non_null(session);
	fixture_clear(f);
	serve_bytes(session, (const uint8_t *)command, (uint32_t)strlen(command), &f->sink, &consumed);
	assert_string_equal((const char *)f->out, reply);
	return session;
}

/* What a watcher has to say, each line's time and number cut off. */
static const char *
events_of(struct fixture *f, struct serve_session *watcher)
{
	static char cut[1 << 16];
	uint32_t consumed;
	char *to = cut;

	fixture_clear(f);
	f->state = serve_bytes(watcher, NULL, 0, &f->sink, &consumed);
	for (const char *at = (const char *)f->out; *at != '\0'; at = strchr(at, '\n') + 1) {
		const char *line = at;

		if (strncmp(at, "ts=", 3) == 0) {
			unsigned long s, us, number;
			int len = 0;
			assert_int_equal(sscanf(at, "ts=%lu.%lu gid=%lu %n", &s, &us, &number, &len), 3);
			line = at + len;
		}
		size_t len = (size_t)(strchr(line, '\n') + 1 - line);
		memcpy(to, line, len);
		to += len;
	}
	*to = '\0';
	return cut;
}

static void
fetchers_are_watched_unless_told_otherwise(void **state)
{
	struct fixture *f = *state;
	struct serve_session *watcher = begin_watch(f, "watch\r\n", "OK\r\n");

	expect_reply(f, "set a%b 0 0 2\r\nhi\r\n", "STORED\r\n");
	fixture_say(f, "get a%b\r\nget none\r\ngets a%b x\r\nmg a%b v\r\nmg x\r\ndelete a%b\r\n");
	assert_string_equal(events_of(f, watcher),
	    "type=item_get key=a%25b status=found clsid=0 cfd=0 size=2\n"
	    "type=item_get key=none status=not_found clsid=0 cfd=0 size=0\n"
	    "type=item_get key=a%25b status=found clsid=0 cfd=0 size=2\n"
	    "type=item_get key=x status=not_found clsid=0 cfd=0 size=0\n"
	    "type=item_get key=a%25b status=found clsid=0 cfd=0 size=2\n"
	    "type=item_get key=x status=not_found clsid=0 cfd=0 size=0\n"
	    "type=item_get key=a%25b status=found clsid=0 cfd=0 size=2\n");
	assert_int_equal(f->state, SERVE_LATER);
	assert_string_equal(events_of(f, watcher), "");
	serve_session_close(watcher);
}

static void
mutations_and_deletions_are_watched_when_asked_for(void **state)
{
	struct fixture *f = *state;
	struct serve_session *watcher = begin_watch(f, "watch mutations deletions\r\n", "OK\r\n");

	fixture_say(f, "get a\r\nset a 0 100 2\r\nhi\r\nadd a 0 0 1\r\nx\r\ncas b 0 0 1 5\r\nx\r\n");
	fixture_say(f, "append a 0 0 1\r\n!\r\nms m 1 T30\r\nx\r\nset a 0 0 2000000\r\n");
	fixture_reconnect(f);
	fixture_say(f, "delete m\r\ndelete m\r\nms m 1\r\nx\r\nmd m I\r\nmd m\r\n");
	fixture_say(f, "set parts 0 50 4\r\nab");
	fixture_feed(f, "cd\r\n", 4);
	assert_string_equal(events_of(f, watcher),
	    "type=item_store key=a status=stored cmd=set ttl=100 clsid=0 cfd=0 size=2\n"
	    "type=item_store key=a status=not_stored cmd=add ttl=0 clsid=0 cfd=0 size=1\n"
	    "type=item_store key=b status=not_found cmd=cas ttl=0 clsid=0 cfd=0 size=1\n"
	    "type=item_store key=a status=stored cmd=append ttl=0 clsid=0 cfd=0 size=1\n"
	    "type=item_store key=m status=stored cmd=set ttl=30 clsid=0 cfd=0 size=1\n"
	    "type=item_store key=a status=too_large cmd=set ttl=0 clsid=0 cfd=0 size=2000000\n"
	    "type=deleted key=m cmd=delete clsid=0 size=1\n"
	    "type=item_store key=m status=stored cmd=set ttl=0 clsid=0 cfd=0 size=1\n"
	    "type=deleted key=m cmd=md clsid=0 size=1\n"
	    "type=item_store key=parts status=stored cmd=set ttl=50 clsid=0 cfd=0 size=4\n");
	serve_session_close(watcher);
}

static void
misses_are_told_with_their_reason(void **state)
{
	struct fixture *f = *state;
	struct serve_session *watcher = begin_watch(f, "watch fetchers\r\n", "OK\r\n");

	fixture_say(f, "set short 0 1 1\r\nx\r\nset long 0 0 1\r\nx\r\n");
	fixture_advance(f, 2);
	fixture_say(f, "get short\r\nflush_all\r\nmg long v\r\nget none\r\n");
	assert_string_equal(events_of(f, watcher),
	    "type=item_get key=short status=expired clsid=0 cfd=0 size=0\n"
	    "type=item_get key=long status=flushed clsid=0 cfd=0 size=0\n"
	    "type=item_get key=none status=not_found clsid=0 cfd=0 size=0\n");
	serve_session_close(watcher);
}

static void
keys_looked_up_for_a_change_are_told_as_fetched(void **state)
{
	struct fixture *f = *state;
	struct serve_session *watcher = begin_watch(f, "watch fetchers mutations\r\n", "OK\r\n");

	fixture_say(f, "set n 0 0 2\r\n10\r\nincr n 1\r\ntouch n 0\r\ngat 0 n\r\ndecr m 1\r\n");
	fixture_say(f, "ma n\r\nma c N30 J7\r\ndelete c\r\n");
	assert_string_equal(events_of(f, watcher),
	    "type=item_store key=n status=stored cmd=set ttl=0 clsid=0 cfd=0 size=2\n"
	    "type=item_get key=n status=found clsid=0 cfd=0 size=2\n"
	    "type=item_get key=n status=found clsid=0 cfd=0 size=2\n"
	    "type=item_get key=n status=found clsid=0 cfd=0 size=2\n"
	    "type=item_get key=m status=not_found clsid=0 cfd=0 size=0\n"
	    "type=item_get key=n status=found clsid=0 cfd=0 size=2\n"
	    "type=item_get key=c status=not_found clsid=0 cfd=0 size=0\n"
	    "type=item_store key=c status=stored cmd=add ttl=30 clsid=0 cfd=0 size=1\n"
	    "type=item_get key=c status=found clsid=0 cfd=0 size=1\n");
	serve_session_close(watcher);
}

static void
binary_requests_are_watched_too(void **state)
{
	struct fixture *f = *state;
	struct serve_session *watcher = begin_watch(f, "watch fetchers mutations deletions\r\n", "OK\r\n");
	struct request cas = request_store(0x01, "k", "abc", 3);

	cas.cas = 77;
	ask(f, request_store(0x01, "k", "abc", 3));
	ask(f, request_of(0x00, "k"));
	ask(f, request_of(0x00, "none"));
	ask(f, request_expiry(0x1c, "k", 60));
	ask(f, request_delta(0x05, "c", 1, 9, 0));
	ask(f, request_delta(0x05, "c", 1, 9, 0));
	ask(f, request_of(0x04, "k"));
	ask(f, cas);
	assert_string_equal(events_of(f, watcher),
	    "type=item_store key=k status=stored cmd=set ttl=0 clsid=0 cfd=0 size=3\n"
	    "type=item_get key=k status=found clsid=0 cfd=0 size=3\n"
	    "type=item_get key=none status=not_found clsid=0 cfd=0 size=0\n"
	    "type=item_get key=k status=found clsid=0 cfd=0 size=3\n"
	    "type=item_get key=c status=not_found clsid=0 cfd=0 size=0\n"
	    "type=item_store key=c status=stored cmd=add ttl=0 clsid=0 cfd=0 size=1\n"
	    "type=item_get key=c status=found clsid=0 cfd=0 size=2\n"
	    "type=item_get key=k status=found clsid=0 cfd=0 size=3\n"
	    "type=deleted key=k cmd=delete clsid=0 size=3\n"
	    "type=item_store key=k status=not_found cmd=cas ttl=0 clsid=0 cfd=0 size=3\n");
	serve_session_close(watcher);
}

static void
evictions_are_told_only_while_watched(void **state)
{
	struct fixture *f = fixture_open(8);
	struct serve_session *watcher = begin_watch(f, "watch evictions\r\n", "OK\r\n");
	struct store_counters counters;
	unsigned lines = 0, key, size;
	char fetched[4], text[64];
	int ttl, idle_s;

	(void)state;
	store_counters_sum(f->store, &counters);
	assert_int_equal(counters.evictions, 0);
	for (unsigned i = 0; lines == 0 && i < 20000; i++) {
		char set[1100];
		int len = snprintf(set, sizeof(set), "set k%u 0 %u 1000\r\n%01000u\r\n", i, 500u, i);

		fixture_talk(f, set, (size_t)len);
		for (const char *at = events_of(f, watcher); *at != '\0'; at = strchr(at, '\n') + 1)
			if (sscanf(at, "type=eviction key=k%u fetch=%3[a-z] ttl=%d la=%d clsid=0 size=%u",
			        &key, fetched, &ttl, &idle_s, &size) == 5) {
				assert_string_equal(fetched, "no");
				assert_int_equal(ttl, 500);
				assert_int_equal(idle_s, 0);
				assert_int_equal(size, 1000);
				assert_true(key < i);
				snprintf(text, sizeof(text), "get k%u\r\n", key);
				lines++;
			} else {
				assert_int_equal(strncmp(at, "skipped=", 8), 0);
			}
	}
	assert_true(lines > 0);
	expect_reply(f, text, "END\r\n"); /* the last one is really gone */
	store_counters_sum(f->store, &counters);
	assert_true(counters.evictions >= lines);
	serve_session_close(watcher);
	watcher = begin_watch(f, "watch mutations\r\n", "OK\r\n");
	assert_int_equal(watch_wanted(f->watch), WATCH_MUTATIONS);
	serve_session_close(watcher);
	fixture_close(f);
}

static void
connections_are_told_to_those_who_watch_them(void **state)
{
	struct fixture *f = *state;
	struct serve_session *watcher;

	assert_false(serve_connections_watched(f->serve));
	watcher = begin_watch(f, "watch connevents\r\n", "OK\r\n");
	assert_true(serve_connections_watched(f->serve));
	serve_connection(f->serve, "10.0.0.1", 4711, NULL);
	serve_connection(f->serve, "fd00::1", 80, "normal");
	assert_string_equal(events_of(f, watcher),
	    "type=conn_new rip=10.0.0.1 rport=4711 transport=tcp cfd=0\n"
	    "type=conn_close rip=fd00::1 rport=80 transport=tcp reason=normal cfd=0\n");
	serve_session_close(watcher);
	assert_false(serve_connections_watched(f->serve));
}

static void
twentieth_watcher_is_refused_until_one_leaves(void **state)
{
	struct fixture *f = *state;
	struct serve_session *watchers[19], *last;

	for (unsigned i = 0; i < 19; i++)
		watchers[i] = begin_watch(f, "watch fetchers\r\n", "OK\r\n");
	last = begin_watch(f, "watch\r\n", "WATCHER_TOO_MANY log watcher limit reached\r\n");
	assert_false(serve_session_busy(last));
	serve_session_close(last);
	fixture_say(f, "get a\r\n");
	for (unsigned i = 0; i < 19; i++)
		assert_string_equal(
		    events_of(f, watchers[i]), "type=item_get key=a status=not_found clsid=0 cfd=0 size=0\n");
	serve_session_close(watchers[7]);
	watchers[7] = begin_watch(f, "watch fetchers\r\n", "OK\r\n");
	assert_string_equal(events_of(f, watchers[7]), "");
	for (unsigned i = 0; i < 19; i++)
		serve_session_close(watchers[i]);
	assert_int_equal(watch_wanted(f->watch), 0);
}

static void
slow_watcher_is_told_what_it_missed(void **state)
{
	struct fixture *f = *state;
	struct serve_session *watcher = begin_watch(f, "watch\r\n", "OK\r\n");

	for (unsigned i = 0; i < 300; i++)
		fixture_say(f, "get a\r\n");
	assert_int_equal(strncmp(events_of(f, watcher), "skipped=44\ntype=item_get", 20), 0);
	f->room = 100;
	assert_int_equal(strncmp(events_of(f, watcher), "type=item_get", 13), 0);
	assert_int_equal(f->state, SERVE_FULL);
	f->room = SIZE_MAX;
	for (unsigned i = 0; i < 10; i++)
		events_of(f, watcher);
	assert_string_equal(events_of(f, watcher), "");
	serve_session_close(watcher);
}

static void
what_a_watcher_sends_is_ignored(void **state)
{
	struct fixture *f = *state;

	expect_reply(f, "watch fetchers\r\nget a\r\nquit\r\n", "OK\r\n");
	assert_int_equal(f->state, SERVE_LATER);
	expect_reply(f, "set a 0 0 1\r\nx\r\n", "");
	assert_int_equal(f->state, SERVE_LATER);
	fixture_reconnect(f);
	assert_int_equal(watch_wanted(f->watch), 0);
	expect_reply(f, "get a\r\n", "END\r\n");
}

/* ---- the ring between threads ----------------------------------------------------------------- */

#define EMITTERS 3u
#define EVENTS   20000u

static void *
emit(void *argument)
{
	struct watch *watch = argument;
	char line[64];

	for (unsigned i = 0; i < EVENTS; i++) {
		unsigned len = (unsigned)snprintf(line, sizeof(line), "%lu\n", (unsigned long)i);
		watch_emit(watch, WATCH_FETCHERS, line, len);
	}
	return NULL;
}

static void
lines_of_many_threads_arrive_whole_or_are_counted(void **state)
{
	(void)state;
	struct watch *watch = watch_create();
	struct watcher *watcher = watch_begin(watch, WATCH_FETCHERS);
	pthread_t threads[EMITTERS];
	uint8_t line[WATCH_LINE_MAX];
	unsigned long lines = 0, skipped = 0, number;

	assert_non_null(watcher);
	for (unsigned i = 0; i < EMITTERS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, emit, watch), 0);
	while (lines + skipped < EMITTERS * EVENTS) {
		uint32_t len = watch_take(watcher, line);

		if (len == 0)
			continue;
		assert_int_equal(line[len - 1], '\n');
		line[len - 1] = '\0';
		if (sscanf((char *)line, "skipped=%lu", &number) == 1) {
			skipped += number;
			continue;
		}
		assert_int_equal(sscanf((char *)line, "%lu", &number), 1);
		assert_true(number < EVENTS);
		lines++;
	}
	for (unsigned i = 0; i < EMITTERS; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(watch_take(watcher, line), 0);
	assert_true(lines > 0);
	watch_end(watch, watcher);
	watch_destroy(watch);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    fixture_test(fetchers_are_watched_unless_told_otherwise),
	    fixture_test(mutations_and_deletions_are_watched_when_asked_for),
	    fixture_test(misses_are_told_with_their_reason),
	    fixture_test(keys_looked_up_for_a_change_are_told_as_fetched),
	    fixture_test(binary_requests_are_watched_too),
	    cmocka_unit_test(evictions_are_told_only_while_watched),
	    fixture_test(connections_are_told_to_those_who_watch_them),
	    fixture_test(twentieth_watcher_is_refused_until_one_leaves),
	    fixture_test(slow_watcher_is_told_what_it_missed),
	    fixture_test(what_a_watcher_sends_is_ignored),
	    cmocka_unit_test(lines_of_many_threads_arrive_whole_or_are_counted),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
