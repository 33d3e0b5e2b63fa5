/*
 * Receiving: finds the request that a reply answers, has it read and verified, and counts it.
 */
#include "tests/load/generator.h"

#define FRAME_BYTES 8u
#define CACHE_LINE  64u

/* ---- the end of a request ---- */

/* Both latencies, if the request was due while it was measured. */
static void
record(struct generator *g, const struct flight *flight, uint64_t end_tsc)
{
	uint64_t from_due = end_tsc > flight->due_tsc ? end_tsc - flight->due_tsc : 0;
	uint64_t from_sent = end_tsc > flight->sent_tsc ? end_tsc - flight->sent_tsc : 0;

	uint64_t from_due_ns = load_tsc_to_ns(&g->clock, from_due);

	histogram_add(g->due_ns, from_due_ns);
	if (g->windows != NULL)
		histogram_add(&generator_window(g, flight->due_tsc)->due_ns, from_due_ns);
	if (g->plan.rate > 0) /* in a closed loop it is the same */
		histogram_add(g->sent_ns, load_tsc_to_ns(&g->clock, from_sent));
}

static bool
flight_changes(const struct flight *flight)
{
	return flight->op == LOAD_SET || flight->op == LOAD_ADD || flight->op == LOAD_DELETE;
}

/* The request is over: its place is free, and the window moves on over what is done. */
static void
release(struct generator *g, uint32_t conn, struct flight *flight)
{
	struct conn *c = &g->conns[conn];

	if (flight->state == FLIGHT_WAITING) {
		c->waiting--;
		g->outstanding--;
	}
	flight->state = FLIGHT_FREE;
	while (c->head != c->tail && generator_flight(g, conn, c->head)->state == FLIGHT_FREE)
		c->head++;
}

static void
drop_message(struct generator *g, struct flight *flight)
{
	if (flight->message == 0)
		return;
	struct message *message = &g->messages[flight->message - 1];
	flight->message = 0;
	if (message->flight == flight) {
		message->flight = NULL;
		reply_reader_reset(&message->reader);
	}
}

/* No reply will be waited for any longer. Counted once, with the time that it has waited so far. */
static void
lose(struct generator *g, struct flight *flight)
{
	if (generator_measured(g, flight->due_tsc)) {
		uint64_t waited = g->now_tsc - flight->due_tsc;
		uint64_t least = flight->due_tsc + g->timeout_tsc;
		g->counts.lost++;
		record(g, flight, waited < g->timeout_tsc ? least : g->now_tsc);
	}
	if (flight_changes(flight))
		item_changed(&g->workload->items, flight->key, flight->version, false);
	if (g->preloading && g->again_len < g->again_room)
		g->again[g->again_len++] = flight->key;
	drop_message(g, flight);
}

/* What a reply said. */
static void
count_reply(struct generator *g, const struct reply *reply)
{
	struct counts *counts = &g->counts;

	counts->hits += reply->hits;
	counts->misses += reply->misses;
	counts->wrong += reply->wrong;
	counts->stale += reply->stale;
	counts->not_done += reply->outcome == REPLY_NOT;
	counts->errors += reply->outcome == REPLY_ERROR;
}

/* That it came, and when. */
static inline void
count_answer(struct generator *g, const struct flight *flight, uint64_t rx_tsc)
{
	struct counts *counts = &g->counts;

	if (generator_measured(g, rx_tsc)) {
		counts->replies++;
		counts->keys += flight->op == LOAD_GET ? g->workload->multiget : 1;
	}
	if (flight->state == FLIGHT_WAITING && generator_measured(g, flight->due_tsc)) {
		counts->answered++;
		record(g, flight, rx_tsc);
	}
}

/* The request has its reply: the connection may have room for the next, or have had its requests. */
static inline void
move_on(struct generator *g, uint32_t conn, struct flight *flight)
{
	release(g, conn, flight);
	if (generator_has_room(g, conn))
		generator_queue(g, conn);
	else if (g->per_connection > 0 && g->conns[conn].waiting == 0 && g->conns[conn].state == CONN_UP)
		generator_turn_over(g, conn);
}

/* A whole reply was read. */
static void
complete(
    struct generator *g, uint32_t conn, struct flight *flight, const struct reply *reply, uint64_t rx_tsc)
{
	bool deleted = flight->op == LOAD_DELETE && reply->outcome == REPLY_NOT;

	count_reply(g, reply);
	count_answer(g, flight, rx_tsc);
	if (flight_changes(flight) && flight->state == FLIGHT_WAITING)
		item_changed(&g->workload->items, flight->key, flight->version,
		    reply->outcome == REPLY_DONE || deleted);
	move_on(g, conn, flight);
}

/* ---- matching ---- */

/* A reply that is just what was hoped for; a datagram has nothing behind it. Returns its bytes; 0: it has to be read. */
static inline uint32_t
complete_hit(struct generator *g, uint32_t conn, struct flight *flight, const uint8_t *data, uint32_t bytes,
    uint64_t rx_tsc)
{
	const struct workload *w = g->workload;

	if (!w->quick_hits || flight->op != LOAD_GET)
		return 0;
	uint32_t taken = w->codec->read_hit(&w->items, flight->key, flight->version, data, bytes);
	if (w->udp && taken != bytes)
		return 0;
	if (taken > 0) {
		g->counts.hits++;
		count_answer(g, flight, rx_tsc);
		move_on(g, conn, flight);
	}
	return taken;
}

static struct reply_to
expectation(const struct generator *g, const struct flight *flight)
{
	const struct workload *w = g->workload;
	struct reply_to to = {
	    .items = &w->items,
	    .op = (enum load_op)flight->op,
	    .keys = &flight->key,
	    .floors = &flight->version,
	    .keys_len = 1,
	    .opaque = flight->id,
	    .compare_bytes = w->compare_bytes,
	};

	if (flight->op == LOAD_GET && w->multiget > 1) {
		size_t first = (size_t)(flight - g->flights) * w->multiget;
		to.keys = g->keys + first;
		to.floors = g->floors + first;
		to.keys_len = w->multiget;
	}
	return to;
}

static void
received_stream(struct generator *g, const struct load_piece *piece)
{
	struct conn *c = &g->conns[piece->conn];
	const uint8_t *at = piece->data;
	uint32_t left = piece->bytes;

	while (left > 0) {
		struct reply reply = {.outcome = REPLY_BROKEN};
		struct flight *flight = generator_flight(g, piece->conn, c->head);
		if (c->head != c->tail && !c->reading) {
			uint32_t taken = complete_hit(g, piece->conn, flight, at, left, piece->rx_tsc);
			at += taken, left -= taken;
			if (taken > 0 && c->state == CONN_UP)
				continue;
			if (taken > 0)
				return; /* it was turned over: what follows is nobody's */
		}
		if (c->head != c->tail) {
			struct reply_to to = expectation(g, flight);
			uint32_t taken =
			    g->workload->codec->read(&g->readers[piece->conn], &to, at, left, &reply);
			at += taken, left -= taken;
			c->reading = reply.outcome == REPLY_MORE;
		}
		if (reply.outcome == REPLY_BROKEN) {
			g->counts.broken++;
			generator_break(g, piece->conn);
			return;
		}
		if (reply.outcome == REPLY_MORE) { /* what is known of it is kept */
			g->counts.hits += reply.hits;
			g->counts.misses += reply.misses;
			g->counts.wrong += reply.wrong;
			g->counts.stale += reply.stale;
			return;
		}
		complete(g, piece->conn, flight, &reply, piece->rx_tsc);
		if (c->state != CONN_UP)
			return; /* it was turned over: what follows is nobody's */
	}
}

/* A place for a reply of several datagrams; the oldest gives way. */
static struct message *
message_of(struct generator *g, struct flight *flight)
{
	if (flight->message != 0 && g->messages[flight->message - 1].flight == flight)
		return &g->messages[flight->message - 1];
	uint32_t at = g->message_next++ % GENERATOR_MESSAGES;
	struct message *message = &g->messages[at];
	reply_reader_reset(&message->reader);
	*message = (struct message){.flight = flight};
	flight->message = at + 1;
	return message;
}

/*
 * A datagram of several: read as they come, while they come in order. Else they are only counted, and what they said is
 * not verified. Stock memcached numbers the datagrams of each value by themselves, so a reply may be several numbered
 * groups; it ends where the protocol says so.
 */
static bool
read_message(struct generator *g, struct flight *flight, const struct load_piece *piece, struct reply *reply)
{
	uint16_t sequence = (uint16_t)(piece->data[2] << 8 | piece->data[3]);
	uint16_t total = (uint16_t)(piece->data[4] << 8 | piece->data[5]);
	struct message *message = message_of(g, flight);

	if (message->seen == message->total) {
		message->total = total;
		message->seen = 0;
	}
	message->unordered |= sequence != message->seen || total != message->total;
	message->seen++;
	if (!message->unordered) {
		struct reply_to to = expectation(g, flight);
		g->workload->codec->read(&message->reader, &to, piece->data + FRAME_BYTES,
		    piece->bytes - FRAME_BYTES, &message->reply);
		if (message->reply.outcome == REPLY_MORE)
			return false;
		*reply = message->reply;
	} else {
		if (message->seen < message->total)
			return false;
		*reply = (struct reply){.outcome = REPLY_DONE};
		g->counts.unverified++;
	}
	drop_message(g, flight);
	return true;
}

/* Reads a datagram for its request. True when the reply is complete. */
static bool
read_datagram(struct generator *g, struct flight *flight, const struct load_piece *piece, struct reply *reply)
{
	struct reply_reader reader = {0};
	uint32_t bytes = piece->bytes - FRAME_BYTES;

	if (g->workload->reflect) { /* our own packet */
		reply->outcome = REPLY_DONE;
		return true;
	}
	if (flight->message != 0 || piece->data[4] != 0 || piece->data[5] != 1)
		return read_message(g, flight, piece, reply);
	struct reply_to to = expectation(g, flight);
	uint32_t taken = g->workload->codec->read(&reader, &to, piece->data + FRAME_BYTES, bytes, reply);
	if (reply->outcome == REPLY_MORE) {
		struct message *message = message_of(g, flight);
		message->seen = message->total = 1;
		message->reader = reader;
		message->reply = *reply;
		return false;
	}
	if (taken != bytes)
		reply->outcome = REPLY_BROKEN;
	reply_reader_reset(&reader);
	return true;
}

static void
received_datagram(struct generator *g, const struct load_piece *piece)
{
	struct reply reply = {0};

	if (piece->bytes <= FRAME_BYTES) {
		g->counts.broken++;
		return;
	}
	uint16_t id = (uint16_t)(piece->data[0] << 8 | piece->data[1]);
	struct flight *flight = generator_flight(g, piece->conn, id);
	if (flight->state != FLIGHT_WAITING || flight->id != id) {
		g->counts.too_late++;
		return;
	}
	/* A datagram of one, with nothing behind the reply. */
	if (__builtin_expect(flight->message == 0 && piece->data[4] == 0 && piece->data[5] == 1, 1) &&
	    complete_hit(g, piece->conn, flight, piece->data + FRAME_BYTES, piece->bytes - FRAME_BYTES,
	        piece->rx_tsc) > 0)
		return;
	if (!read_datagram(g, flight, piece, &reply))
		return;
	if (reply.outcome == REPLY_BROKEN) {
		g->counts.broken++;
		reply = (struct reply){.outcome = REPLY_ERROR};
	}
	complete(g, piece->conn, flight, &reply, piece->rx_tsc);
}

/* With many connections all of this comes from beyond the caches. */
void
generator_soon(void *ctx, uint32_t conn)
{
	const struct generator *g = ctx;
	const char *flights = (const char *)generator_flight(g, conn, 0);

	__builtin_prefetch(&g->conns[conn], 1);
	__builtin_prefetch(flights, 1);
	if (g->window * sizeof(struct flight) > CACHE_LINE)
		__builtin_prefetch(flights + CACHE_LINE, 1);
}

void
generator_received(void *ctx, const struct load_piece *pieces, uint32_t pieces_len)
{
	struct generator *g = ctx;
	bool udp = g->workload->udp;

	g->progress_tsc = g->now_tsc;
	for (uint32_t i = 0; i < pieces_len; i++)
		if (generator_measured(g, pieces[i].rx_tsc))
			g->counts.rx_bytes += pieces[i].bytes;
	for (uint32_t i = 0; udp && i < pieces_len; i++)
		if (pieces[i].bytes > FRAME_BYTES)
			__builtin_prefetch(generator_flight(
			    g, pieces[i].conn, (uint32_t)(pieces[i].data[0] << 8 | pieces[i].data[1])));
	for (uint32_t i = 0; i < pieces_len; i++) {
		if (udp)
			received_datagram(g, &pieces[i]);
		else if (g->conns[pieces[i].conn].state == CONN_UP)
			received_stream(g, &pieces[i]);
	}
}

/* ---- what does not come ---- */

void
generator_give_up_oldest(struct generator *g, uint32_t conn)
{
	struct flight *flight = generator_flight(g, conn, g->conns[conn].head);

	if (flight->state == FLIGHT_WAITING)
		lose(g, flight);
	release(g, conn, flight);
}

void
generator_give_up(struct generator *g, uint32_t conn, bool ended)
{
	struct conn *c = &g->conns[conn];

	for (uint32_t sequence = c->head; sequence != c->tail; sequence++) {
		struct flight *flight = generator_flight(g, conn, sequence);
		if (flight->state == FLIGHT_WAITING) {
			lose(g, flight);
			g->outstanding--;
			c->waiting--;
		}
		if (flight->state != FLIGHT_FREE)
			flight->state = ended || g->workload->udp ? FLIGHT_FREE : FLIGHT_GIVEN_UP;
	}
	if (ended || g->workload->udp)
		c->head = c->tail;
	if (ended && g->readers != NULL) {
		reply_reader_reset(&g->readers[conn]);
		c->reading = false;
	}
}

void
generator_sweep(struct generator *g)
{
	for (uint32_t i = 0; i < GENERATOR_SWEEP && i < g->conns_len; i++) {
		uint32_t conn = g->sweep_next;
		struct conn *c = &g->conns[conn];
		g->sweep_next = conn + 1 == g->conns_len ? 0 : conn + 1;
		while (c->head != c->tail) {
			struct flight *flight = generator_flight(g, conn, c->head);
			if (flight->state == FLIGHT_WAITING && g->now_tsc - flight->sent_tsc < g->timeout_tsc)
				break;
			generator_give_up_oldest(g, conn);
		}
		if (generator_has_room(g, conn))
			generator_queue(g, conn);
	}
}
