/*
 * Connections: made in a bounded number at a time, and made again when they end.
 */
#include "tests/load/generator.h"

#define LOOKED_AT 256u /* connections that a pass looks through for those that are down */

static void
went_up(struct generator *g, uint32_t conn)
{
	struct conn *c = &g->conns[conn];

	if (c->state == CONN_DIALLING)
		g->dialling--;
	c->state = CONN_UP;
	c->first = c->tail;
	g->conns_up++;
	g->progress_tsc = g->now_tsc;
	generator_queue(g, conn);
}

/* What was outstanding is lost, the number is free to be dialled again. */
static void
went_down(struct generator *g, uint32_t conn)
{
	struct conn *c = &g->conns[conn];

	if (c->state == CONN_UP)
		g->conns_up--;
	else if (c->state == CONN_DIALLING)
		g->dialling--;
	c->state = CONN_DOWN;
	generator_drop_stream(g, conn);
	generator_give_up(g, conn, true);
}

void
generator_changed(void *ctx, uint32_t conn, enum load_conn_state state, int error)
{
	struct generator *g = ctx;

	if (state == LOAD_CONN_UP) {
		went_up(g, conn);
		return;
	}
	if (g->conns[conn].state == CONN_UP)
		g->counts.reconnects++;
	else
		g->dial_failures++;
	g->connect_error = error;
	went_down(g, conn);
}

void
generator_turn_over(struct generator *g, uint32_t conn)
{
	if (generator_measured(g, g->now_tsc))
		g->counts.turned_over++;
	g->ops->close_conn(g->backend, conn);
	went_down(g, conn);
}

void
generator_break(struct generator *g, uint32_t conn)
{
	g->ops->close_conn(g->backend, conn);
	g->counts.reconnects++;
	went_down(g, conn);
}

void
generator_dial(struct generator *g)
{
	uint32_t begun = 0;

	for (uint32_t i = 0; i < LOOKED_AT && begun < GENERATOR_REDIALS; i++) {
		if (g->conns_up + g->dialling == g->conns_len || g->dialling >= GENERATOR_DIALS_MAX)
			return;
		uint32_t conn = g->dial_next;
		g->dial_next = conn + 1 == g->conns_len ? 0 : conn + 1;
		if (g->conns[conn].state != CONN_DOWN)
			continue;
		g->conns[conn].state = CONN_DIALLING;
		g->dialling++;
		begun++;
		int error = g->ops->connect(g->backend, conn);
		if (error == 0)
			continue;
		g->connect_error = -error;
		g->dial_failures++;
		went_down(g, conn);
		return;
	}
}
