/*
 * Requests over TCP: the project's own stack, from the side that opens. A connection's context in the stack is its number
 * plus one; 0 for one that the generator has given up and that only has to come to its end.
 */
#include "tests/load/backend_dpdk.h"

#include <errno.h>
#include <stdlib.h>

#define RESERVE_IN_PLACE_MAX 2048u /* tcp_send_reserve()'s limit */

static struct tcp_slot *
slot_of(struct load_backend *backend, void *context)
{
	uintptr_t number = (uintptr_t)context;

	return number ? &backend->tcp.slots[number - 1] : NULL;
}

static void
tell(struct load_backend *backend, const struct tcp_slot *slot, enum load_conn_state state, int error)
{
	const struct load_events *events = &backend->config.events;

	events->changed(events->ctx, (uint32_t)(slot - backend->tcp.slots), state, error);
}

/* From here on the stack's connection is nobody's. */
static void
slot_clear(struct load_backend *backend, struct tcp_slot *slot)
{
	tcp_set_context(slot->conn, NULL);
	slot->conn = NULL;
	slot->up = false;
	slot->pushed_at = 0;
}

/* ---- what TCP calls --------------------------------------------------------------------------- */

static void *
app_accepted(void *app, struct tcp_conn *conn, bool *refuse)
{
	struct load_backend *backend = app;
	struct tcp_slot *slot = slot_of(backend, tcp_context(conn));

	if (!slot) {
		*refuse = true;
		return NULL;
	}
	slot->up = true;
	tell(backend, slot, LOAD_CONN_UP, 0);
	return tcp_context(conn); /* the generator may have closed it already */
}

static void
app_peek(void *app, void *context, const uint8_t *bytes, uint32_t len)
{
	struct load_backend *backend = app;

	if (unlikely(!context))
		return;
	rte_prefetch0(slot_of(backend, context));
	backend->config.events.soon(backend->config.events.ctx, (uint32_t)((uintptr_t)context - 1));
}

static uint32_t
app_received(void *app, struct tcp_conn *conn, void *context, const uint8_t *bytes, uint32_t len)
{
	struct load_backend *backend = app;
	const struct load_piece piece = {.data = bytes,
	    .bytes = len,
	    .conn = (uint32_t)((uintptr_t)context - 1),
	    .rx_tsc = backend->rx_tsc};

	if (likely(context)) {
		backend->config.events.received(backend->config.events.ctx, &piece, 1);
		backend->delivered++;
	}
	return len;
}

static void
app_peer_closed(void *app, struct tcp_conn *conn, void *context)
{
	struct load_backend *backend = app;
	struct tcp_slot *slot = slot_of(backend, context);

	tcp_close(conn);
	if (!slot)
		return;
	slot_clear(backend, slot);
	tell(backend, slot, LOAD_CONN_CLOSED, 0);
}

static void
app_writable(void *app, struct tcp_conn *conn, void *context)
{
	/* reserve() and blocked() look for themselves. */
}

static int
reason_errno(enum tcp_close_reason reason, bool was_up)
{
	switch (reason) {
	case TCP_CLOSED_BY_RESET:
		return was_up ? ECONNRESET : ECONNREFUSED;
	case TCP_CLOSED_TIMEOUT:
		return ETIMEDOUT;
	case TCP_CLOSED_LOCALLY:
		return ECONNABORTED;
	case TCP_CLOSED_PRESSURE:
		return ENOMEM;
	case TCP_CLOSED_NORMALLY:
		return 0;
	}
	return 0;
}

static void
app_closed(void *app, struct tcp_conn *conn, void *context, enum tcp_close_reason reason)
{
	struct load_backend *backend = app;
	struct tcp_slot *slot = slot_of(backend, context);
	bool was_up;

	if (!slot)
		return;
	was_up = slot->up;
	backend->connect_failures += !was_up;
	slot_clear(backend, slot);
	tell(backend, slot, LOAD_CONN_CLOSED, reason_errno(reason, was_up));
}

static void
app_release(void *app, uint64_t cookie)
{
	/* Nothing is sent by reference. */
}

void
dpdk_tcp_app(struct tcp_app *app, struct load_backend *backend)
{
	*app = (struct tcp_app){
	    .app = backend,
	    .accepted = app_accepted,
	    .received = app_received,
	    .peer_closed = app_peer_closed,
	    .writable = app_writable,
	    .closed = app_closed,
	    .release = app_release,
	    .peek = app_peek,
	};
}

/* ---- connections ------------------------------------------------------------------------------ */

int
dpdk_tcp_open(struct load_backend *backend)
{
	struct tcp_state *tcp = &backend->tcp;

	tcp->slots = calloc(backend->config.connections, sizeof(tcp->slots[0]));
	tcp->flushes = 1;
	tcp->rounds = backend->link->sources_len * LINK_PORTS_USABLE / backend->config.connections;
	tcp->send_max = RTE_MAX(backend->config.send_room, LOAD_TCP_RESERVE_MAX);
	return tcp->slots ? 0 : -ENOMEM;
}

void
dpdk_tcp_close(struct load_backend *backend)
{
	free(backend->tcp.slots);
}

void
dpdk_tcp_connect(struct load_backend *backend, uint32_t conn)
{
	struct tcp_state *tcp = &backend->tcp;
	struct tcp_slot *slot = &tcp->slots[conn];
	uint32_t place = conn + slot->round % tcp->rounds * backend->config.connections;
	const struct link_source *source = &backend->link->sources[place / LINK_PORTS_USABLE];
	const struct net_flow flow = {
	    .local = source->addr,
	    .remote = backend->server,
	    .local_port = rte_cpu_to_be_16((uint16_t)(LINK_PORT_FIRST + place % LINK_PORTS_USABLE)),
	    .remote_port = backend->server_port,
	};

	slot->round++;
	slot->conn = tcp_connect(net_tcp(source->net), &flow);
	if (slot->conn) {
		tcp_set_context(slot->conn, (void *)(uintptr_t)(conn + 1));
		return;
	}
	backend->connect_failures++;
	tell(backend, slot, LOAD_CONN_CLOSED, EADDRINUSE);
}

/* With nothing outstanding it ends as a client's would, by FIN; else by RST. */
void
dpdk_tcp_close_conn(struct load_backend *backend, uint32_t conn)
{
	struct tcp_slot *slot = &backend->tcp.slots[conn];
	struct tcp_conn *ended = slot->conn;
	bool up = slot->up;

	if (!ended)
		return;
	slot_clear(backend, slot);
	if (up && tcp_unsent_bytes(ended) == 0)
		tcp_close(ended);
	else
		tcp_abort(ended);
}

/* ---- sending ---------------------------------------------------------------------------------- */

bool
dpdk_tcp_blocked(struct load_backend *backend, uint32_t conn)
{
	const struct tcp_slot *slot = &backend->tcp.slots[conn];

	return !slot->up || tcp_unsent_bytes(slot->conn) + LOAD_TCP_RESERVE_MAX > backend->tcp.send_max;
}

/* What ended a segment leaves before something is queued behind it. */
static __rte_noinline void
pushed_flush(struct load_backend *backend)
{
	link_flush(backend->link);
	backend->tcp.flushes++;
}

void
dpdk_tcp_expect(struct load_backend *backend, uint32_t conn, bool near)
{
	const struct tcp_slot *slot = &backend->tcp.slots[conn];

	if (!near)
		rte_prefetch0(slot);
	else if (likely(slot->conn != NULL))
		tcp_prefetch(slot->conn);
}

void *
dpdk_tcp_reserve(struct load_backend *backend, uint32_t conn, uint32_t bytes)
{
	struct tcp_state *tcp = &backend->tcp;
	struct tcp_slot *slot = &tcp->slots[conn];

	if (unlikely(!slot->up || tcp_unsent_bytes(slot->conn) + bytes > tcp->send_max))
		return NULL;
	if (unlikely(backend->link->tx_len > LINK_TX_MAX / 4))
		return NULL; /* the far end does not keep up: what would be queued now might be dropped */
	if (slot->pushed_at == tcp->flushes)
		pushed_flush(backend);
	tcp->staged = bytes > RESERVE_IN_PLACE_MAX;
	return tcp->staged ? tcp->stage : tcp_send_reserve(slot->conn, bytes);
}

void
dpdk_tcp_commit(struct load_backend *backend, uint32_t conn, uint32_t bytes, bool push)
{
	struct tcp_state *tcp = &backend->tcp;
	struct tcp_slot *slot = &tcp->slots[conn];

	if (!slot->conn || bytes == 0)
		return;
	if (!tcp->staged)
		tcp_send_commit(slot->conn, bytes);
	else if (tcp_send(slot->conn, tcp->stage, bytes) != 0)
		tcp_abort(slot->conn);
	if (push)
		slot->pushed_at = tcp->flushes;
}
