/*
 * Serving over TCP: between the connections of net/ and the sessions of serve. A connection gets its session
 * with its first bytes, so that one which says nothing costs nothing here.
 *
 * The context of a connection is its session's address; low bits of it remember what outlives a call: that the peer has
 * closed while a reply was suspended, so that the connection ends after it; that we have closed, so that what the peer
 * still sends is taken and ignored; that the session waits for a command, so that plain gets need not look at it: one
 * line less of memory that ten thousand connections would fetch from beyond the caches. Sessions that have more to say than one pass of the loop should wait for are kept
 * in a list, and go on once a pass.
 */
#include "dataplane/worker.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#define CONTEXT_PEER_CLOSED ((uintptr_t)1)
#define CONTEXT_IGNORE      ((uintptr_t)2)
#define CONTEXT_AGAIN       ((uintptr_t)4)  /* in the list of those that go on by themselves */
#define CONTEXT_REFUSED     ((uintptr_t)8)  /* above the limit: not counted */
#define CONTEXT_PLAIN       ((uintptr_t)16) /* serve_session_plain() */
#define CONTEXT_BITS        (CONTEXT_PEER_CLOSED | CONTEXT_IGNORE | CONTEXT_AGAIN | CONTEXT_REFUSED | CONTEXT_PLAIN)

#define AGAIN_MIN 16u /* first room of that list */

/* Values from this size on leave from where they lie: below it a copy is cheaper than a pin and its
 * release. */
#define VALUE_PIN_BYTES 4096u

static const char too_many_connections[] = "ERROR Too many open connections\r\n";

struct tcp_sink {
	struct serve_sink base;
	struct worker *worker;
	struct tcp_conn *conn;
};

static struct serve_session *
context_session(void *context)
{
	return (struct serve_session *)((uintptr_t)context & ~CONTEXT_BITS);
}

static bool
context_has(void *context, uintptr_t bit)
{
	return ((uintptr_t)context & bit) != 0;
}

static void
context_add(struct tcp_conn *conn, uintptr_t bit)
{
	tcp_set_context(conn, (void *)((uintptr_t)tcp_context(conn) | bit));
}

/* ---- the sink --------------------------------------------------------------------------------- */

static uint8_t *
sink_reserve(struct serve_sink *base, uint32_t len)
{
	return tcp_send_reserve(((struct tcp_sink *)base)->conn, len);
}

static void
sink_commit(struct serve_sink *base, uint32_t len)
{
	struct tcp_sink *sink = (struct tcp_sink *)base;

	sink->worker->counters.bytes_written += len;
	tcp_send_commit(sink->conn, len);
}

static uint32_t
sink_room(struct serve_sink *base)
{
	return tcp_send_room(((struct tcp_sink *)base)->conn);
}

static bool
value_refs_grow(struct worker *worker)
{
	struct value_ref *refs = calloc(WORKER_VALUE_REFS, sizeof(*refs));

	if (!refs)
		return false;
	/* The first of each batch links the batches, so that they can be freed: it is never handed out. */
	for (unsigned i = 1; i < WORKER_VALUE_REFS; i++) {
		refs[i].next_free = worker->value_refs_free;
		worker->value_refs_free = &refs[i];
	}
	refs[0].next_free = worker->value_ref_batches;
	worker->value_ref_batches = refs;
	return true;
}

static struct value_ref *
value_ref_take(struct worker *worker, const struct store_view *view)
{
	struct value_ref *ref;

	if (!worker->value_refs_free && !value_refs_grow(worker))
		return NULL;
	ref = worker->value_refs_free;
	worker->value_refs_free = ref->next_free;
	if (store_pin(worker->store, view, &ref->pin)) {
		ref->pieces = 0;
		return ref;
	}
	ref->next_free = worker->value_refs_free;
	worker->value_refs_free = ref;
	return NULL;
}

static void
value_ref_put(struct worker *worker, struct value_ref *ref)
{
	store_unpin(worker->store, ref->pin);
	ref->next_free = worker->value_refs_free;
	worker->value_refs_free = ref;
}

static void
app_release(void *app, uint64_t cookie)
{
	struct value_ref *ref = (struct value_ref *)(uintptr_t)cookie;

	if (--ref->pieces == 0)
		value_ref_put(app, ref);
}

static bool
value_copy(struct tcp_sink *sink, const struct store_view *view)
{
	const uint8_t *bytes;
	uint32_t n;

	for (uint32_t offset = 0; offset < view->value_bytes; offset += n) {
		n = store_view_span(sink->worker->items, view, offset, &bytes);
		if (n == 0 || tcp_send(sink->conn, bytes, n) != 0)
			return false;
	}
	return true;
}

static bool
value_refer(struct tcp_sink *sink, const struct store_view *view, struct value_ref *ref)
{
	const uint8_t *bytes;
	bool ok = true;
	uint32_t n;

	ref->pieces = 1; /* ours, so that a release from inside cannot end it early */
	for (uint32_t offset = 0; ok && offset < view->value_bytes; offset += n) {
		n = store_view_span(sink->worker->items, view, offset, &bytes);
		ok = n != 0 && tcp_send_ref(sink->conn, bytes, n, (uint64_t)(uintptr_t)ref) == 0;
		if (ok)
			ref->pieces++;
	}
	app_release(sink->worker, (uint64_t)(uintptr_t)ref);
	return ok;
}

static bool
sink_value(struct serve_sink *base, const struct store_view *view)
{
	struct tcp_sink *sink = (struct tcp_sink *)base;
	struct value_ref *ref;

	sink->worker->counters.bytes_written += view->value_bytes;
	if (view->value_bytes < VALUE_PIN_BYTES)
		return value_copy(sink, view);
	ref = value_ref_take(sink->worker, view);
	if (!ref) {
		sink->worker->counters.values_copied++;
		return value_copy(sink, view);
	}
	sink->worker->counters.values_pinned++;
	return value_refer(sink, view, ref);
}

struct tcp_sink *
tcp_sink_create(struct worker *worker)
{
	struct tcp_sink *sink = calloc(1, sizeof(*sink));

	if (!sink)
		return NULL;
	sink->base = (struct serve_sink){sink_reserve, sink_commit, sink_value, sink_room};
	sink->worker = worker;
	return sink;
}

void
tcp_sink_destroy(struct tcp_sink *sink)
{
	struct value_ref *batch;

	if (!sink)
		return;
	while ((batch = sink->worker->value_ref_batches)) {
		sink->worker->value_ref_batches = batch->next_free;
		free(batch);
	}
	sink->worker->value_refs_free = NULL;
	free(sink);
}

/* ---- for those who watch connections ---------------------------------------------------------- */

/* closed: why; NULL when it began. */
static __attribute__((noinline)) void
tell_connection(struct worker *worker, const struct tcp_conn *conn, const char *closed)
{
	const struct net_flow *flow = tcp_flow(conn);
	char address[INET6_ADDRSTRLEN] = "";

	if (net_addr_is_v4(&flow->remote))
		inet_ntop(AF_INET, &flow->remote.w[3], address, sizeof(address));
	else
		inet_ntop(AF_INET6, flow->remote.b, address, sizeof(address));
	serve_connection(worker->serve, address, rte_be_to_cpu_16(flow->remote_port), closed);
}

/* What memcached calls it. */
static const char *
close_reason(enum tcp_close_reason reason, bool violated)
{
	if (violated)
		return "error";
	switch (reason) {
	case TCP_CLOSED_NORMALLY:
		return "normal";
	case TCP_CLOSED_TIMEOUT:
	case TCP_CLOSED_BY_RESET:
	case TCP_CLOSED_LOCALLY:
	case TCP_CLOSED_PRESSURE:
		break;
	}
	return "error";
}

/* ---- what TCP calls --------------------------------------------------------------------------- */

static enum tcp_admission
app_admit(void *app, const struct net_flow *flow)
{
	struct worker *worker = app;

	switch (gate_connection(worker->gate, &flow->remote, worker->clock.now_us)) {
	case GATE_PASS:
		return TCP_ADMIT;
	case GATE_DRAINING:
		worker->counters.gate_draining++;
		return TCP_REFUSE;
	case GATE_NOT_ALLOWED:
		worker->counters.gate_not_allowed++;
		return TCP_IGNORE;
	case GATE_TOO_MANY:
		worker->counters.gate_too_many++;
		break;
	}
	return TCP_IGNORE;
}

static void *
app_accepted(void *app, struct tcp_conn *conn, bool *refuse)
{
	struct worker *worker = app;
	struct worker_shared *shared = worker->shared;
	unsigned open = atomic_fetch_add_explicit(&shared->connections, 1, memory_order_relaxed);

	worker->counters.connections_accepted++;
	if (unlikely(serve_connections_watched(worker->serve)))
		tell_connection(worker, conn, NULL);
	if (likely(open < worker->config->connections_max))
		return NULL;
	/* It takes no place while it ends, which its peer may draw out: TCP's own limit bounds those. */
	atomic_fetch_sub_explicit(&shared->connections, 1, memory_order_relaxed);
	worker->counters.connections_refused++;
	if (tcp_send(conn, too_many_connections, sizeof(too_many_connections) - 1) == 0)
		tcp_close(conn);
	else
		tcp_abort(conn);
	return (void *)(CONTEXT_IGNORE | CONTEXT_REFUSED);
}

/* False: no memory. */
static bool
again_add(struct worker *worker, struct tcp_conn *conn)
{
	if (context_has(tcp_context(conn), CONTEXT_AGAIN))
		return true;
	if (worker->again_len == worker->again_room) {
		unsigned room = worker->again_room ? 2 * worker->again_room : AGAIN_MIN;
		struct tcp_conn **grown = realloc(worker->again, room * sizeof(*grown));

		if (!grown)
			return false;
		worker->again = grown;
		worker->again_room = room;
	}
	worker->again[worker->again_len++] = conn;
	context_add(conn, CONTEXT_AGAIN);
	return true;
}

static void
again_remove(struct worker *worker, const struct tcp_conn *conn)
{
	for (unsigned i = 0; i < worker->again_len; i++)
		if (worker->again[i] == conn) {
			worker->again[i] = worker->again[--worker->again_len];
			return;
		}
}

/* Feeds a session and acts on how it ended. Returns what was consumed; *full: the reply waits for room. */
static uint32_t
feed(struct worker *worker, struct tcp_conn *conn, struct serve_session *session, const uint8_t *bytes,
    uint32_t len, bool *full)
{
	enum stage before = stage_begin(&worker->stages, STAGE_SERVE);
	uint32_t consumed = 0;
	enum serve_state state;

	*full = false;
	tcp_set_context(conn, (void *)((uintptr_t)tcp_context(conn) & ~CONTEXT_PLAIN));
	latency_serve(&worker->latency, serve_counters(worker->serve), LATENCY_TCP);
	worker->tcp_sink->conn = conn;
	state = serve_bytes(session, bytes, len, &worker->tcp_sink->base, &consumed);
	stage_begin(&worker->stages, before);
	switch (state) {
	case SERVE_GO_ON:
		if (likely(serve_session_plain(session)))
			context_add(conn, CONTEXT_PLAIN);
		break;
	case SERVE_FULL:
		*full = true;
		worker->counters.bytes_read += consumed;
		return consumed;
	case SERVE_LATER:
		if (again_add(worker, conn))
			break;
		worker->counters.sessions_no_memory++;
		tcp_abort(conn);
		break;
	case SERVE_AGAIN:
		*full = worker->again_busy = true;
		worker->counters.bytes_read += consumed;
		if (again_add(worker, conn))
			return consumed;
		worker->counters.sessions_no_memory++;
		tcp_abort(conn);
		return len;
	case SERVE_CLOSE:
		context_add(conn, CONTEXT_IGNORE);
		tcp_close(conn);
		break;
	case SERVE_ABORT:
		worker->counters.sessions_no_memory++;
		tcp_abort(conn);
		break;
	}
	worker->counters.bytes_read += len;
	return len;
}

/* What a plain session asks for by gets alone. Returns the bytes of those. */
static inline uint32_t
feed_gets(struct worker *worker, struct tcp_conn *conn, const uint8_t *bytes, uint32_t len)
{
	enum stage before = stage_begin(&worker->stages, STAGE_SERVE);
	uint32_t consumed;
	bool broken;

	latency_serve(&worker->latency, serve_counters(worker->serve), LATENCY_TCP);
	worker->tcp_sink->conn = conn;
	consumed = serve_stream_gets(
	    worker->serve, bytes, len, &worker->tcp_sink->base, tcp_send_idle(conn), &broken);
	stage_begin(&worker->stages, before);
	if (unlikely(broken)) {
		worker->counters.sessions_no_memory++;
		tcp_abort(conn);
		consumed = len;
	}
	worker->counters.bytes_read += consumed;
	return consumed;
}

static uint32_t
app_received(void *app, struct tcp_conn *conn, void *context, const uint8_t *bytes, uint32_t len)
{
	struct worker *worker = app;
	struct serve_session *session = context_session(context);
	uint32_t done = 0;
	bool full;

	if (likely(((uintptr_t)context & CONTEXT_BITS) == CONTEXT_PLAIN)) {
		done = feed_gets(worker, conn, bytes, len);
		if (likely(done == len))
			return len;
	}
	if (unlikely(context_has(context, CONTEXT_IGNORE)))
		return len;
	if (unlikely(!session)) {
		session = serve_session_open(worker->serve);
		if (!session) {
			worker->counters.sessions_no_memory++;
			tcp_abort(conn);
			return len;
		}
		tcp_set_context(conn, session);
	}
	return done + feed(worker, conn, session, bytes + done, len - done, &full);
}

/*
 * Goes on with a reply that was suspended for want of room, if there is one: harmless when a request is only
 * incomplete. Returns false while the reply waits again.
 */
static bool
finish_reply(struct worker *worker, struct tcp_conn *conn, struct serve_session *session)
{
	bool full = false;

	if (session && !context_has(tcp_context(conn), CONTEXT_IGNORE) && serve_session_busy(session))
		feed(worker, conn, session, NULL, 0, &full);
	return !full;
}

/* Half-close: what was asked is answered, then our side ends too. */
static void
app_peer_closed(void *app, struct tcp_conn *conn, void *context)
{
	if (finish_reply(app, conn, context_session(context))) {
		context_add(conn, CONTEXT_IGNORE); /* a watcher would go on by itself */
		tcp_close(conn);
	} else {
		context_add(conn, CONTEXT_PEER_CLOSED);
	}
}

static void
app_writable(void *app, struct tcp_conn *conn, void *context)
{
	if (!finish_reply(app, conn, context_session(context)))
		return;
	if (context_has(context, CONTEXT_PEER_CLOSED))
		tcp_close(conn);
	else
		tcp_resume(conn);
}

struct tcp_conn *
tcp_app_conn(const struct worker *worker)
{
	return worker->tcp_sink->conn;
}

void
tcp_app_go_on(struct worker *worker, struct tcp_conn *conn)
{
	app_writable(worker, conn, tcp_context(conn));
}

void
tcp_app_end(struct worker *worker, struct tcp_conn *conn)
{
	context_add(conn, CONTEXT_IGNORE);
	tcp_close(conn);
}

bool
tcp_app_again(struct worker *worker)
{
	uint64_t written = worker->counters.bytes_written;
	unsigned len = worker->again_len;

	worker->again_busy = false;
	/* Nobody leaves the list meanwhile: closed() is not called from here. Who has still more is added behind. */
	for (unsigned i = 0; i < len; i++) {
		struct tcp_conn *conn = worker->again[i];
		void *context = (void *)((uintptr_t)tcp_context(conn) & ~CONTEXT_AGAIN);

		tcp_set_context(conn, context);
		if (serve_session_busy(context_session(context)))
			app_writable(worker, conn, context);
	}
	worker->again_len -= len;
	memmove(worker->again, worker->again + len, worker->again_len * sizeof(worker->again[0]));
	return worker->again_busy || worker->counters.bytes_written != written;
}

static void
app_closed(void *app, struct tcp_conn *conn, void *context, enum tcp_close_reason reason)
{
	struct worker *worker = app;
	struct serve_session *session = context_session(context);
	bool violated = session && serve_session_violated(session);

	if (unlikely(context_has(context, CONTEXT_AGAIN)))
		again_remove(worker, conn);
	if (session)
		serve_session_close(session);
	if (unlikely(serve_connections_watched(worker->serve)))
		tell_connection(worker, conn, close_reason(reason, violated));
	worker->counters.connections_closed++;
	if (!context_has(context, CONTEXT_REFUSED))
		atomic_fetch_sub_explicit(&worker->shared->connections, 1, memory_order_relaxed);
}

static void
app_peek(void *app, void *context, const uint8_t *bytes, uint32_t len)
{
	if (!context_has(context, CONTEXT_PLAIN))
		rte_prefetch0(context_session(context));
	serve_peek(((struct worker *)app)->serve, bytes, len);
}

static void
app_peeked(void *app)
{
	serve_peeked(((struct worker *)app)->serve);
}

void
tcp_app_fill(struct tcp_app *app, struct worker *worker)
{
	*app = (struct tcp_app){
	    .app = worker,
	    .admit = app_admit,
	    .accepted = app_accepted,
	    .received = app_received,
	    .peer_closed = app_peer_closed,
	    .writable = app_writable,
	    .closed = app_closed,
	    .release = app_release,
	    .peek = app_peek,
	    .peeked = app_peeked,
	};
}
