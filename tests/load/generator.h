/*
 * One generator thread: it owns its backend, connections, outstanding requests and counts, and runs what the main thread
 * orders: connect, preload, or a point (a stretch of load at one rate). Between orders it keeps polling its backend.
 *
 * Outstanding requests stand in a window a connection, in the order in which they were sent:
 *
 *     sequence   head                tail
 *       ... free | waiting or done ... | free ...          slot = sequence & (window - 1)
 *
 * Over TCP replies come in order, so the reply is for head. Over UDP a reply carries the request's id, the low 16 bits
 * of its sequence.
 *
 * The main thread writes `plan` before it orders and reads everything after the order is done (semaphores order both);
 * in between only `published`, which is for the progress line.
 */
#ifndef WIRECACHE_LOAD_GENERATOR_H
#define WIRECACHE_LOAD_GENERATOR_H

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>

#include "tests/load/backend.h"
#include "tests/load/clock.h"
#include "tests/load/histogram.h"
#include "tests/load/workload.h"

#define GENERATOR_BATCH 32u /* requests sent before the backend is polled */
#define GENERATOR_BATCH_CLOSED \
	64u /* the same in a closed loop: as many as a poll answers, so that each carries its ACK */
#define GENERATOR_AHEAD     16u /* requests chosen before they are due, so that their items are in the cache */
#define GENERATOR_DIALS_MAX 128u  /* connections being made at a time */
#define GENERATOR_REDIALS   16u   /* connections begun in a pass */
#define GENERATOR_SWEEP     8u    /* windows that a pass looks through for lost requests */
#define GENERATOR_STALL_S   50e-6 /* more than a pass takes, so that interrupts and other programs show */
#define GENERATOR_MESSAGES  1024u /* UDP replies of several datagrams that are under way */

/* What was counted; each thread its own, summed by counts_add(). */
struct counts {
	/* Of requests that were due while it was measured. */
	uint64_t scheduled; /* due */
	uint64_t late;      /* left later than the tolerance, by the generator's own fault */
	uint64_t held;   /* left late because no connection had room: the server's or the network's doing */
	uint64_t unsent; /* due, but not sent before the end */
	uint64_t answered;
	uint64_t lost;
	/* Of what was sent or came while it was measured. */
	uint64_t sent;
	uint64_t replies, keys; /* keys: asked for by gets among the replies */
	uint64_t tx_bytes, rx_bytes;
	uint64_t turned_over; /* connections closed after their requests */
	/* Of every reply, also before and after. */
	uint64_t hits, misses, not_done, errors, wrong, stale;
	uint64_t unverified; /* values of datagrams that came in another order */
	uint64_t too_late;   /* replies to requests given up before, or to none */
	uint64_t broken;     /* streams that were not the protocol's */
	uint64_t reconnects;
	uint64_t busy_tsc, measured_tsc;
	/* The loop stood still while it was measured: interrupts, the hypervisor, other programs. */
	uint64_t stalls, stalled_tsc;
	uint64_t late_stalled; /* of late: due before the stall's end */
	uint64_t waited_ns;    /* of stalled_tsc: the kernel ran somebody else on the core */
};

/* A part of a point, by when its requests were due. */
struct window {
	uint64_t scheduled, late;
	struct histogram due_ns;
};

void counts_add(struct counts *into, const struct counts *from);

enum flight_state { FLIGHT_FREE, FLIGHT_WAITING, FLIGHT_GIVEN_UP };

/* A request that was sent. */
struct flight {
	uint64_t due_tsc;
	uint64_t sent_tsc;
	uint32_t key;     /* the first */
	uint32_t version; /* of a change: which; of a get: floor of its first key */
	uint32_t message; /* UDP, a reply of several datagrams: its place + 1 */
	uint16_t id;
	uint8_t op;
	uint8_t state;
};
_Static_assert(sizeof(struct flight) == 32, "two to a cache line");

enum conn_state { CONN_DOWN, CONN_DIALLING, CONN_UP };

struct conn {
	uint32_t head, tail;
	uint32_t waiting; /* of those between them */
	uint32_t first;   /* tail when it came up, or when the order came */
	uint8_t state;
	bool queued;    /* in the queue of connections with room */
	bool streaming; /* a large value is being written, see struct streaming */
	bool reading;   /* of the oldest reply a part has come: its reader is in use */
	uint32_t streaming_at;
} __attribute__((aligned(32)));
_Static_assert(sizeof(struct conn) == 32, "two to a cache line");

/* A request that was chosen and is to be sent when it is due. */
struct choice {
	uint32_t op;
	uint32_t key;
	uint32_t ttl_s;
	uint32_t value_bytes;
};

/* The rest of a value that does not fit one reservation. */
struct streaming {
	uint32_t conn;
	uint32_t key, version;
	uint32_t total, offset; /* the protocol's trailer included in total */
};

/* A UDP reply of several datagrams. */
struct message {
	struct flight *flight; /* NULL: free */
	uint16_t seen, total;
	bool unordered;
	struct reply reply;
	struct reply_reader reader;
};

enum plan_kind { PLAN_CONNECT, PLAN_PRELOAD, PLAN_POINT, PLAN_END };

struct plan {
	enum plan_kind kind;
	double rate; /* of this thread; 0: closed loop */
	uint64_t start_tsc, measure_tsc, end_tsc;
};

/* For the progress line: relaxed, each number stands for itself. */
struct published {
	_Atomic uint64_t sent, replies, lost, up;
};

struct generator {
	const struct load_options *options;
	struct workload *workload;
	const struct load_backend_ops *ops;
	struct load_backend *backend;
	struct load_clock clock;
	unsigned thread;
	int cpu; /* -1: not pinned */
	pthread_t pthread;
	bool running;
	sem_t order, done;
	struct plan plan;

	struct conn *conns;
	struct reply_reader *readers; /* of each connection; TCP only */
	struct flight *flights;       /* conns_len windows */
	uint32_t *keys, *floors;      /* of each flight, multiget entries; NULL without multigets */
	uint32_t conns_len;
	uint32_t window; /* a power of two */
	uint32_t limit;  /* most that a connection has outstanding in this plan */
	uint32_t per_segment;
	uint32_t per_connection; /* requests until it is closed; 0: it stays */
	uint32_t outstanding;
	uint32_t conns_up, dialling, dial_next;
	uint32_t dial_failures; /* since the order */

	uint32_t *queue; /* ring of connections with room for per_segment requests; closed loop */
	uint32_t queue_head, queue_len, queue_mask;
	uint32_t conn_next; /* open loop: whose turn it is */
	uint32_t sweep_next;

	struct load_rng rng;
	struct schedule_cursor cursor;
	struct choice ahead[GENERATOR_AHEAD];
	uint32_t ahead_at;
	uint32_t shift;   /* of popularity */
	bool holding;     /* the schedule is behind since no connection had room */
	bool catching_up; /* it is behind since the loop stood still, which is not the server's doing */
	bool preloading;
	uint32_t preload_next; /* the next key of this thread */
	uint32_t *again;       /* keys of preloading requests that were lost */
	uint32_t again_len, again_room;
	struct streaming *streams;
	uint32_t streams_len;
	struct message *messages;
	uint32_t message_next;

	uint64_t now_tsc;
	uint64_t progress_tsc; /* when a reply or a connection came last */
	uint64_t timeout_tsc, tolerance_tsc;
	uint64_t stall_tsc, stall_end_tsc, longest_stall_tsc;
	int connect_error; /* why the last connection failed, 0: none did */
	double connect_s;  /* how long connecting took */
	struct counts counts;
	struct published published;
	struct histogram *due_ns;  /* latency from when the request was due */
	struct histogram *sent_ns; /* from when it was sent */
	struct window *windows;    /* options->windows of them */
	uint64_t window_per_tsc_q64;
};

/* Allocates; connections of its own. False with one sentence in error. generator_free() may be called in any case. */
bool generator_init(struct generator *generator, const struct load_options *options,
    struct workload *workload, const struct load_backend_ops *ops, struct load_clock clock, unsigned thread,
    char error[LOAD_ERROR_BYTES]);
bool generator_start(struct generator *generator, char error[LOAD_ERROR_BYTES]);
void generator_order(struct generator *generator, const struct plan *plan);
/* What its thread does with an order: all that generator->plan says, then returns. Tests call it in a thread of theirs. */
void generator_carry_out(struct generator *generator);
/* Ends the thread, if it runs, and frees everything. */
void generator_free(struct generator *generator);

/* ---- between generator.c, generator_send.c, generator_reply.c and generator_conn.c ---- */

static inline struct flight *
generator_flight(const struct generator *g, uint32_t conn, uint32_t sequence)
{
	return &g->flights[(size_t)conn * g->window + (sequence & (g->window - 1))];
}

static inline bool
generator_measured(const struct generator *g, uint64_t tsc)
{
	return tsc >= g->plan.measure_tsc && tsc < g->plan.end_tsc && g->plan.kind == PLAN_POINT;
}

/* The part of the point in which that was due; there must be some, and it must have been measured. */
static inline struct window *
generator_window(const struct generator *g, uint64_t due_tsc)
{
	uint64_t passed_tsc = due_tsc - g->plan.measure_tsc;

	return &g->windows[(unsigned __int128)passed_tsc * g->window_per_tsc_q64 >> 64];
}

/* The loop stood still from now_tsc until then. */
void generator_stalled(struct generator *g, uint64_t until_tsc);

/* Reads the clock; between two reads lies a pass, or a few requests. */
static inline void
generator_read_clock(struct generator *g)
{
	uint64_t now_tsc = load_now_tsc();

	if (__builtin_expect(now_tsc - g->now_tsc > g->stall_tsc, 0))
		generator_stalled(g, now_tsc);
	g->now_tsc = now_tsc;
}

/* Has the connection room for per_segment more? Over UDP a full window gives up its oldest, over TCP it must wait. */
static inline bool
generator_has_room(const struct generator *g, uint32_t conn)
{
	const struct conn *c = &g->conns[conn];

	return c->state == CONN_UP && !c->streaming && c->waiting + g->per_segment <= g->limit &&
	       (g->per_connection == 0 || c->tail - c->first + g->per_segment <= g->per_connection) &&
	       (g->workload->udp || c->tail - c->head + g->per_segment <= g->window);
}

/* Puts a connection with room into the closed loop's queue, unless it is there. */
void generator_queue(struct generator *g, uint32_t conn);

/* Sends what is due. Returns the number of requests. */
uint32_t generator_send_open(struct generator *g);
uint32_t generator_send_closed(struct generator *g);
uint32_t generator_send_streams(struct generator *g);
void generator_choose_ahead(struct generator *g); /* fills ahead[] anew */
void generator_drop_stream(struct generator *g, uint32_t conn);

/* Backend callbacks. */
void generator_received(void *ctx, const struct load_piece *pieces, uint32_t pieces_len);
void generator_soon(void *ctx, uint32_t conn);
void generator_changed(void *ctx, uint32_t conn, enum load_conn_state state, int error);

/* Finds UDP requests without a reply in some windows. */
void generator_sweep(struct generator *g);
/* Gives up what still waits on a connection: it ended (what may come is forgotten), or the time is over. */
void generator_give_up(struct generator *g, uint32_t conn, bool ended);
/* UDP: the window is full of replies behind one that does not come; gives that one up. */
void generator_give_up_oldest(struct generator *g, uint32_t conn);

/* Begins connections that are down. */
void generator_dial(struct generator *g);
/* Ends a connection that has had its requests; it is made anew. */
void generator_turn_over(struct generator *g, uint32_t conn);
/* Ends a connection whose stream cannot be understood. */
void generator_break(struct generator *g, uint32_t conn);

#endif
