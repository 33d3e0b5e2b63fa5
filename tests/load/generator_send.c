/*
 * Sending: chooses requests ahead of time, writes them straight into the backend's room, and keeps to the schedule.
 */
#include "tests/load/generator.h"

#define FRAME_BYTES    8u    /* of memcached's UDP datagrams */
#define BUSY_KEY_TRIES 4u    /* other keys tried when a change of the chosen one is under way */
#define TRIES_MAX      16u   /* connections looked at for one that takes a request */
#define CLOCK_EVERY    8u    /* requests between two reads of the clock */
#define EXPECT_CONNS   1024u /* as many as this do not fit the caches with all that belongs to them */
#define EXPECT_FAR     16u   /* turns ahead that their first lines are asked for */
#define EXPECT_NEAR    8u    /* and what those point to */

/* ---- choosing ---- */

static inline bool
op_changes(uint32_t op)
{
	return op == LOAD_SET || op == LOAD_ADD || op == LOAD_DELETE;
}

/* Changes belong to the thread that owns the key. */
static uint32_t
own_key(const struct generator *g, uint32_t key)
{
	uint32_t threads = (uint32_t)g->options->threads;

	if (threads == 1)
		return key;
	uint32_t own = key - key % threads + g->thread;
	return own < g->workload->items.keys ? own : own - threads;
}

static void
choose(struct generator *g, struct choice *choice)
{
	struct workload *w = g->workload;
	uint64_t random = load_rng_next(&g->rng);

	choice->op = workload_op(w, (uint32_t)random);
	choice->key = popularity_key(&w->popularity, &g->rng, g->shift);
	choice->ttl_s = w->ttl_varies ? sizes_pick(&w->ttls, random >> 40) : w->ttls.min;
	choice->value_bytes = 0;
	if (op_changes(choice->op))
		choice->key = own_key(g, choice->key);
	if (choice->op == LOAD_SET || choice->op == LOAD_ADD)
		choice->value_bytes = item_value_bytes(&w->items, choice->key);
	item_prefetch(&w->items, choice->key);
}

/* Preloading sets each key of the thread once, and again those that were lost. False: all are on their way. */
static bool
choose_preload(struct generator *g, struct choice *choice)
{
	const struct items *items = &g->workload->items;

	*choice = (struct choice){.op = LOAD_SET};
	if (g->again_len > 0) {
		choice->key = g->again[--g->again_len];
	} else if (g->preload_next < items->keys) {
		choice->key = g->preload_next;
		g->preload_next += (uint32_t)g->options->threads;
	} else {
		return false;
	}
	choice->ttl_s = g->workload->ttls.max;
	choice->value_bytes = item_value_bytes(items, choice->key);
	return true;
}

void
generator_choose_ahead(struct generator *g)
{
	for (uint32_t i = 0; i < GENERATOR_AHEAD; i++)
		choose(g, &g->ahead[i]);
	g->ahead_at = 0;
}

/* ---- one request ---- */

/* Keys and floors of a get of several keys; the first is chosen. */
static void
choose_more_keys(struct generator *g, const struct choice *choice, uint32_t *keys, uint32_t *floors)
{
	const struct workload *w = g->workload;

	keys[0] = choice->key;
	for (uint32_t i = 1; i < w->multiget; i++) {
		keys[i] = popularity_key(&w->popularity, &g->rng, g->shift);
		item_prefetch(&w->items, keys[i]);
	}
	for (uint32_t i = 0; i < w->multiget; i++)
		floors[i] = item_floor(&w->items, keys[i]);
}

/* The change's version. When one of the key is under way another key is taken; 0: all that were tried are. */
static uint32_t
begin_change(struct generator *g, struct choice *choice)
{
	struct workload *w = g->workload;

	for (uint32_t attempt = 0; attempt < BUSY_KEY_TRIES; attempt++) {
		uint32_t version = item_change(&w->items, choice->key);
		if (version != 0)
			return version;
		choice->key = own_key(g, (uint32_t)load_rng_below(&g->rng, w->items.keys));
	}
	return 0;
}

/* Behind the head: the value's begin as far as it fits, and the trailer. Returns the bytes written. */
static uint32_t
write_value(struct generator *g, uint32_t conn, const struct choice *choice, uint32_t version, uint8_t *out,
    uint32_t room)
{
	const struct codec *codec = g->workload->codec;
	uint32_t total = choice->value_bytes + codec->trailer_bytes;

	if (total <= room) {
		value_write(
		    out, item_hash(choice->key), version, choice->value_bytes, 0, choice->value_bytes);
		memcpy(out + choice->value_bytes, "\r\n", codec->trailer_bytes);
		return total;
	}
	uint32_t bytes = room < choice->value_bytes ? room : choice->value_bytes;
	value_write(out, item_hash(choice->key), version, choice->value_bytes, 0, bytes);
	g->conns[conn].streaming = true;
	g->conns[conn].streaming_at = g->streams_len;
	g->streams[g->streams_len++] = (struct streaming){
	    .conn = conn, .key = choice->key, .version = version, .total = total, .offset = bytes};
	return bytes;
}

static void
put_frame(uint8_t *out, uint16_t id)
{
	const uint8_t frame[FRAME_BYTES] = {(uint8_t)(id >> 8), (uint8_t)id, 0, 0, 0, 1, 0, 0};

	memcpy(out, frame, sizeof(frame));
}

/* The next of the connection's window. */
static struct flight *
take_flight(
    struct generator *g, uint32_t conn, const struct choice *choice, uint32_t version, uint64_t due_tsc)
{
	struct conn *c = &g->conns[conn];

	if (__builtin_expect(c->tail - c->head == g->window, 0))
		generator_give_up_oldest(g, conn);
	struct flight *flight = generator_flight(g, conn, c->tail);
	*flight = (struct flight){
	    .due_tsc = due_tsc,
	    .sent_tsc = g->now_tsc,
	    .key = choice->key,
	    .version = version,
	    .id = (uint16_t)c->tail,
	    .op = (uint8_t)choice->op,
	    .state = FLIGHT_WAITING,
	};
	c->tail++;
	c->waiting++;
	g->outstanding++;
	__builtin_prefetch(flight + 2, 1);
	return flight;
}

/* Room needed for a request, the frame included; large values are cut to what one reservation has. */
static uint32_t
room_for(const struct generator *g, const struct choice *choice, uint32_t keys_len)
{
	const struct workload *w = g->workload;
	uint32_t head = (w->udp ? FRAME_BYTES : 0) + workload_head_room(w, keys_len);
	uint32_t value = choice->value_bytes + w->codec->trailer_bytes;

	return head + (value < w->reserve_max - head ? value : w->reserve_max - head);
}

/* Settles which version is sent or expected. A change that cannot be made now becomes a get. */
static uint32_t
settle_version(struct generator *g, struct choice *choice)
{
	struct workload *w = g->workload;

	if (op_changes(choice->op)) {
		uint32_t version = begin_change(g, choice);
		choice->value_bytes =
		    choice->op != LOAD_DELETE ? item_value_bytes(&w->items, choice->key) : 0;
		if (version != 0)
			return version;
		choice->op = LOAD_GET;
		choice->value_bytes = 0;
	}
	return item_floor(&w->items, choice->key);
}

/* Writes the request into the room; returns its bytes. */
static uint32_t
write_request(struct generator *g, uint32_t conn, const struct choice *choice, struct flight *flight,
    uint8_t *out, uint32_t room)
{
	const struct workload *w = g->workload;
	struct codec_request request = {
	    .op = (enum load_op)choice->op,
	    .keys = &flight->key,
	    .keys_len = choice->op == LOAD_GET ? w->multiget : 1,
	    .ttl_s = choice->ttl_s,
	    .value_bytes = choice->value_bytes,
	    .opaque = flight->id,
	};
	uint8_t *at = out;

	if (request.keys_len > 1) {
		size_t first = (size_t)(flight - g->flights) * w->multiget;
		choose_more_keys(g, choice, g->keys + first, g->floors + first);
		request.keys = g->keys + first;
	}
	if (w->udp) {
		put_frame(out, flight->id);
		at += FRAME_BYTES;
	}
	at += w->codec->write(&w->items, &request, at);
	if (choice->op == LOAD_SET || choice->op == LOAD_ADD)
		at += write_value(g, conn, choice, flight->version, at, (uint32_t)(out + room - at));
	return (uint32_t)(at - out);
}

/* Sends a request over the connection. False: there was no room, nothing happened. */
static bool
send_one(struct generator *g, uint32_t conn, struct choice *choice, uint64_t due_tsc, bool push)
{
	uint32_t version = settle_version(g, choice);
	uint32_t room = room_for(g, choice, choice->op == LOAD_GET ? g->workload->multiget : 1);
	uint8_t *out = g->ops->reserve(g->backend, conn, room);

	if (out == NULL) {
		if (op_changes(choice->op))
			item_changed(&g->workload->items, choice->key, version, false);
		return false;
	}
	struct flight *flight = take_flight(g, conn, choice, version, due_tsc);
	uint32_t bytes = write_request(g, conn, choice, flight, out, room);
	g->ops->commit(g->backend, conn, bytes, push);
	if (generator_measured(g, g->now_tsc)) {
		g->counts.sent++;
		g->counts.tx_bytes += bytes;
	}
	return true;
}

/* Takes the next choice: what was chosen ahead, or the next key to preload. */
static struct choice *
next_choice(struct generator *g)
{
	struct choice *choice = &g->ahead[g->ahead_at];

	return !g->preloading || choose_preload(g, choice) ? choice : NULL;
}

/* The choice was sent: another takes its place. */
static void
choice_sent(struct generator *g)
{
	if (g->preloading)
		return;
	choose(g, &g->ahead[g->ahead_at]);
	g->ahead_at = (g->ahead_at + 1) % GENERATOR_AHEAD;
}

static void
choice_not_sent(struct generator *g)
{
	if (g->preloading)
		g->again[g->again_len++] = g->ahead[g->ahead_at].key;
}

/* ---- values that go in pieces ---- */

void
generator_drop_stream(struct generator *g, uint32_t conn)
{
	struct conn *c = &g->conns[conn];

	if (!c->streaming)
		return;
	c->streaming = false;
	uint32_t at = c->streaming_at;
	g->streams[at] = g->streams[--g->streams_len];
	if (at < g->streams_len)
		g->conns[g->streams[at].conn].streaming_at = at;
}

static bool
send_stream_piece(struct generator *g, struct streaming *stream)
{
	uint32_t left = stream->total - stream->offset;
	uint32_t bytes = left < LOAD_TCP_RESERVE_MAX ? left : LOAD_TCP_RESERVE_MAX;
	uint32_t value_bytes = stream->total - g->workload->codec->trailer_bytes;
	uint8_t *out = g->ops->reserve(g->backend, stream->conn, bytes);

	if (out == NULL)
		return false;
	uint32_t of_value = stream->offset < value_bytes ? value_bytes - stream->offset : 0;
	of_value = of_value < bytes ? of_value : bytes;
	value_write(out, item_hash(stream->key), stream->version, value_bytes, stream->offset, of_value);
	for (uint32_t i = of_value; i < bytes; i++)
		out[i] = (uint8_t) "\r\n"[stream->offset + i - value_bytes];
	stream->offset += bytes;
	g->ops->commit(g->backend, stream->conn, bytes, stream->offset == stream->total);
	if (generator_measured(g, g->now_tsc))
		g->counts.tx_bytes += bytes;
	return true;
}

uint32_t
generator_send_streams(struct generator *g)
{
	uint32_t pieces = 0;

	for (uint32_t at = g->streams_len; at > 0; at--) {
		struct streaming *stream = &g->streams[at - 1];
		uint32_t conn = stream->conn;
		while (stream->offset < stream->total && pieces < GENERATOR_BATCH &&
		       send_stream_piece(g, stream))
			pieces++;
		if (stream->offset < stream->total)
			continue;
		generator_drop_stream(g, conn);
		if (generator_has_room(g, conn))
			generator_queue(g, conn);
	}
	return pieces;
}

/* ---- closed loop ---- */

void
generator_queue(struct generator *g, uint32_t conn)
{
	if (g->conns[conn].queued)
		return;
	g->conns[conn].queued = true;
	g->queue[(g->queue_head + g->queue_len++) & g->queue_mask] = conn;
}

static uint32_t
unqueue(struct generator *g)
{
	uint32_t conn = g->queue[g->queue_head++ & g->queue_mask];

	g->queue_len--;
	g->conns[conn].queued = false;
	return conn;
}

/* A segment's requests to one connection. Returns how many were sent. */
static uint32_t
send_segment(struct generator *g, uint32_t conn)
{
	uint32_t sent = 0;

	while (sent < g->per_segment && !g->conns[conn].streaming) {
		struct choice *choice = next_choice(g);
		if (choice == NULL)
			break;
		if (!send_one(g, conn, choice, g->now_tsc, sent + 1 == g->per_segment)) {
			choice_not_sent(g);
			break;
		}
		if (generator_measured(g, g->now_tsc))
			g->counts.scheduled++;
		choice_sent(g);
		sent++;
	}
	return sent;
}

/* Connections that wait long for their turn are no longer in the cache by then. */
static inline void
expect_turns(struct generator *g, uint32_t left)
{
	if (left > EXPECT_FAR) {
		uint32_t conn = g->queue[(g->queue_head + EXPECT_FAR) & g->queue_mask];
		__builtin_prefetch(&g->conns[conn], 1);
		__builtin_prefetch(generator_flight(g, conn, 0), 1);
		g->ops->expect(g->backend, conn, false);
	}
	if (left > EXPECT_NEAR)
		g->ops->expect(g->backend, g->queue[(g->queue_head + EXPECT_NEAR) & g->queue_mask], true);
}

uint32_t
generator_send_closed(struct generator *g)
{
	bool expects = g->ops->expect != NULL && g->conns_len >= EXPECT_CONNS;
	uint32_t sent = 0, refused = 0;

	for (uint32_t left = g->queue_len; left > 0 && sent < GENERATOR_BATCH_CLOSED && refused < TRIES_MAX;
	     left--) {
		if (expects)
			expect_turns(g, left);
		uint32_t conn = unqueue(g);
		if (!generator_has_room(g, conn))
			continue;
		uint32_t before = sent;
		sent += send_segment(g, conn);
		refused += sent == before; /* where the link is full a million of them would be */
		if (generator_has_room(g, conn))
			generator_queue(g, conn);
		if (before / CLOCK_EVERY != sent / CLOCK_EVERY)
			generator_read_clock(g);
	}
	return sent;
}

/* ---- open loop ---- */

/* The next connection with room, from conn_next on; conns_len when none of those looked at has any. */
static uint32_t
find_room(struct generator *g)
{
	for (uint32_t attempt = 0; attempt < TRIES_MAX && attempt < g->conns_len; attempt++) {
		uint32_t conn = g->conn_next;
		g->conn_next = conn + 1 == g->conns_len ? 0 : conn + 1;
		if (generator_has_room(g, conn) && !g->ops->blocked(g->backend, conn))
			return conn;
	}
	return g->conns_len;
}

static void
account_schedule(struct generator *g, uint64_t due_tsc)
{
	if (!generator_measured(g, due_tsc))
		return;
	bool late = g->now_tsc > due_tsc + g->tolerance_tsc;
	g->counts.scheduled++;
	bool held = late && g->holding && !g->catching_up;
	g->counts.held += held;
	g->counts.late += late && !held;
	g->counts.late_stalled += late && !held && due_tsc < g->stall_end_tsc;
	if (g->windows != NULL) {
		struct window *window = generator_window(g, due_tsc);
		window->scheduled++;
		window->late += late && !held;
	}
}

/* The segment that is due. False: no connection has room, or the one chosen lost it in between. */
static bool
send_due_segment(struct generator *g, uint32_t conn)
{
	for (uint32_t i = 0; i < g->per_segment; i++) {
		uint64_t due_tsc = schedule_next_tsc(&g->cursor);
		bool push = i + 1 == g->per_segment;
		if (g->conns[conn].streaming || !send_one(g, conn, &g->ahead[g->ahead_at], due_tsc, push))
			return false;
		account_schedule(g, due_tsc);
		choice_sent(g);
		schedule_advance(&g->cursor);
	}
	return true;
}

uint32_t
generator_send_open(struct generator *g)
{
	uint32_t sent = 0;

	while (sent < GENERATOR_BATCH) {
		uint64_t due_tsc = schedule_next_tsc(&g->cursor);
		if (due_tsc > g->now_tsc) {
			g->holding = g->catching_up = false;
			break;
		}
		if (due_tsc >= g->plan.end_tsc)
			break;
		uint32_t conn = find_room(g);
		if (conn == g->conns_len || !send_due_segment(g, conn)) {
			g->holding = true;
			break;
		}
		sent += g->per_segment;
		if (sent % CLOCK_EVERY == 0)
			generator_read_clock(g);
	}
	return sent;
}
