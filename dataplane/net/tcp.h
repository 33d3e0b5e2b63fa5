/*
 * TCP, one instance a worker: what the layer above and the layer below may call.
 *
 * The core is a plain C library: segments in (tcp_input) and out (tcp_env.output), clock, allocator and random numbers
 * are arguments, so that two stacks run against each other in virtual time without the EAL.
 *
 * Ownership: mbufs given to tcp_input() belong to TCP. Bytes given to tcp_send() are copied; bytes given by reference
 * (tcp_send_ref) stay the application's until the release callback.
 *
 * Threads: one; all callbacks run inside tcp_input(), tcp_poll() or a call of the application.
 */
#ifndef WIRECACHE_TCP_H
#define WIRECACHE_TCP_H

#include "dataplane/net/net.h"

struct tcp_stack;
struct tcp_conn;

enum tcp_congestion { TCP_CUBIC, TCP_RENO };

struct tcp_config {
	rte_be16_t listen_ports[4];         /* 0 unused */
	struct net_port_range listen_range; /* listened on as well */
	uint32_t connections_max;           /* established and closing, on this worker */
	uint32_t syn_backlog_max; /* half-open entries; above it cookies (or, without cookies, a drop) */
	uint32_t time_wait_max;   /* entries; above it the oldest goes */
	uint32_t
	    memory_bytes_max; /* all of the above plus queues: above 75 % the worst is stopped, above 90 % reset */
	uint32_t rcv_buffer_bytes; /* largest receive window, default 256 KiB */
	uint32_t snd_buffer_bytes; /* unsent bytes at which the application is told to stop, 256 KiB */
	uint32_t rto_min_us;       /* 200 000, data-centre profile 50 000 */
	uint32_t delayed_ack_us;   /* 40 000 */
	uint32_t time_wait_us;     /* 60 000 000 */
	uint32_t fin_wait2_us;     /* 60 000 000 */
	uint32_t keepalive_idle_us, keepalive_interval_us, keepalive_probes; /* 60 s, 10 s, 6; idle 0: off */
	uint32_t
	    user_timeout_us;   /* unacknowledged data or probes without progress: the connection is dropped */
	uint16_t mss_max;      /* 0: from the interface's MTU */
	uint16_t mbuf_reserve; /* mbufs kept for when the pool is empty, 64 at most, default 16 */
	enum tcp_congestion congestion;
};

void tcp_config_default(struct tcp_config *config);

enum tcp_close_reason {
	TCP_CLOSED_NORMALLY, /* both directions ended, or nothing is left to say to the application */
	TCP_CLOSED_BY_RESET, /* the peer's RST */
	TCP_CLOSED_TIMEOUT,  /* retransmission, keepalive or persist gave up */
	TCP_CLOSED_LOCALLY,  /* tcp_abort() */
	TCP_CLOSED_PRESSURE, /* memory was needed elsewhere */
};

enum tcp_admission {
	TCP_ADMIT,
	TCP_REFUSE, /* RST: the peer knows at once */
	TCP_IGNORE, /* the SYN is dropped without a word */
};

/* The application above. All are called with `app`. */
struct tcp_app {
	void *app;
	/* A SYN for a port that listens: may a connection begin? NULL: always. */
	enum tcp_admission (*admit)(void *app, const struct net_flow *flow);
	/* A connection is established. Returns the application's context (may be NULL); *refuse: reset it at once. */
	void *(*accepted)(void *app, struct tcp_conn *conn, bool *refuse);
	/*
	 * Bytes in order. Returns how many were consumed: fewer than len pauses the connection (the rest waits, the
	 * window closes) until tcp_resume().
	 */
	uint32_t (*received)(
	    void *app, struct tcp_conn *conn, void *context, const uint8_t *bytes, uint32_t len);
	/* All bytes before the peer's FIN were consumed. The sending direction is still open: end it with tcp_close(). */
	void (*peer_closed)(void *app, struct tcp_conn *conn, void *context);
	/* The queue fell below half of snd_buffer_bytes after tcp_send_room() had answered 0. */
	void (*writable)(void *app, struct tcp_conn *conn, void *context);
	/*
	 * Last call for this connection, exactly once if accepted() was called and did not refuse, or if it was opened
	 * by tcp_connect(). Never from inside another call of this application: what ends a connection, tcp_abort()
	 * included, is told before the tcp_input(), tcp_poll(), tcp_flush() or tcp_destroy() around it returns.
	 */
	void (*closed)(void *app, struct tcp_conn *conn, void *context, enum tcp_close_reason reason);
	/* Bytes handed over by tcp_send_ref() are no longer needed, by no packet that points to them either. */
	void (*release)(void *app, uint64_t cookie);
	/* Stage before received(): the likely next bytes of a connection at a request boundary, to prefetch for, the
	 * context's memory included. May be NULL. Must not change state. */
	void (*peek)(void *app, void *context, const uint8_t *bytes, uint32_t len);
	/* Stage between peek() of a whole burst and the first received(). May be NULL. */
	void (*peeked)(void *app);
};

struct tcp_env {
	void *ctx;
	struct rte_mempool *pool, *head_pool; /* as in net_env */
	/* One segment: m's data starts at the TCP header, checksum zero, header room in front. Takes m always. */
	void (*output)(void *ctx, const struct net_flow *flow, struct rte_mbuf *m, uint16_t tso_mss);
	/* The same for a segment in one buffer whose sum (checksum.h, without the pseudo-header) is known. May be NULL. */
	void (*output_summed)(void *ctx, const struct net_flow *flow, struct rte_mbuf *m, uint64_t sum);
	/*
	 * n >= 1 new segments of one flow, all equally long. sums: of each one's bytes, checksum field zero (checksum.h), unless
	 * the port sums. NULL: output() is called for each.
	 */
	void (*output_train)(
	    void *ctx, const struct net_flow *flow, struct rte_mbuf **m, const uint64_t *sums, unsigned n);
	/* NET_OFFLOAD_* of the port towards this remote. NULL: none. */
	uint32_t (*offloads)(void *ctx, const struct net_flow *flow);
	/* Largest IP packet towards this remote, bytes (interface MTU); v6 or not is in the flow. */
	uint16_t (*mtu)(void *ctx, const struct net_flow *flow);
	uint64_t (*random)(void *ctx);
	void *(*alloc)(void *ctx, size_t bytes); /* as net_env.alloc */
	void (*free)(void *ctx, void *p, size_t bytes);
};

/* One received segment, checked by IP: m's data starts at the TCP header, pkt_len is exactly header and payload. */
struct tcp_rx {
	struct rte_mbuf *m;
	struct net_flow flow;
	bool ecn_ce;
};

struct tcp_stack *tcp_create(const struct tcp_config *config, const struct tcp_env *env,
    const struct tcp_app *app, uint64_t now_us, struct net_counters *counters);
void tcp_destroy(struct tcp_stack *tcp);

void tcp_tick(struct tcp_stack *tcp, uint64_t now_us);
void tcp_input(struct tcp_stack *tcp, struct tcp_rx *rx, unsigned n); /* n <= NET_BURST_MAX */
uint64_t tcp_poll(struct tcp_stack *tcp); /* due timers; microseconds until the next */
void tcp_flush(struct tcp_stack *tcp);    /* sends for every touched connection, once */
/* Returns false if the flow is not one of ours. */
bool tcp_icmp_error(struct tcp_stack *tcp, const struct net_icmp_error *error);

/* ---- for the application ---------------------------------------------------------------------- */

/*
 * Queues bytes; nothing leaves before tcp_flush(). All or nothing: 0, or -ENOBUFS (memory), -EPIPE (closed).
 * Queues beyond tcp_send_room() are accepted, so that a reply need not stop half-way; but the application should
 * stop producing when there is no room, and go on at writable().
 */
int tcp_send(struct tcp_conn *conn, const void *bytes, uint32_t len) __attribute__((warn_unused_result));
/*
 * The same without a copy: the bytes stay untouched until release(cookie), which comes exactly once if 0 is returned
 * (also when the connection dies), and never otherwise.
 */
int tcp_send_ref(struct tcp_conn *conn, const void *bytes, uint32_t len, uint64_t cookie)
    __attribute__((warn_unused_result));
/*
 * Room to write a reply in place: `len` <= 2048 contiguous bytes at the tail, or NULL; commit what was used, with no
 * other call for this connection in between.
 */
uint8_t *tcp_send_reserve(struct tcp_conn *conn, uint32_t len);
void tcp_send_commit(struct tcp_conn *conn, uint32_t len);

/* To be sent on soon, after a long silence: brings what that touches into the cache. */
void tcp_prefetch(const struct tcp_conn *conn);
uint32_t tcp_send_room(
    struct tcp_conn *conn); /* bytes until snd_buffer_bytes; 0: stop, writable() will come */
bool tcp_send_idle(const struct tcp_conn *conn); /* nothing waits to be sent: there is room for a reply */
uint32_t tcp_unsent_bytes(const struct tcp_conn *conn); /* queued, not yet acknowledged */

void tcp_resume(
    struct tcp_conn *conn); /* deliver what waited in received(), from inside or outside of callbacks */
/*
 * FIN after all queued bytes. received() goes on until the peer closes too (an application that wants no more consumes
 * and forgets). Unread input makes it a RST (RFC 2525 2.17), except from inside of received().
 */
void tcp_close(struct tcp_conn *conn);
void tcp_abort(struct tcp_conn *conn); /* RST now */
/* RST to every peer, before tcp_destroy(): else they would wait for their own timeouts. */
void tcp_abort_all(struct tcp_stack *tcp);
/*
 * Active open: from flow->local, which must be an address of the interface flow->iface, and flow->local_port to
 * flow->remote and flow->remote_port. Nothing leaves before tcp_flush(). NULL: connections_max, no memory, or the tuple
 * is in use; a TIME-WAIT entry older than a second gives way if its connection had timestamps.
 *
 * What comes of it is told once, never from inside tcp_connect():
 *   accepted()  established; its result replaces what tcp_set_context() has set
 *   closed()    TCP_CLOSED_BY_RESET: refused. TCP_CLOSED_TIMEOUT: the SYN and five more, the last after 31 s, had no
 *               answer within 63 s. TCP_CLOSED_LOCALLY: tcp_abort(), or tcp_close() before the peer answered
 * tcp_send*() may be called at once: the bytes leave with the end of the handshake. Both ends may connect to each other
 * at the same time. A SYN that finds no mbuf waits for one; to a neighbour that is not resolved yet only a few packets
 * are kept, so the first connection of many should be waited for. Costs one table place and 256 bytes; some ten
 * thousand in one pass of the loop are fine. The peer's packets must reach this stack: with several queues choose
 * local ports whose RSS hash leads here.
 */
struct tcp_conn *tcp_connect(struct tcp_stack *tcp, const struct net_flow *flow);

void tcp_set_context(struct tcp_conn *conn, void *context);
void *tcp_context(const struct tcp_conn *conn);
const struct net_flow *tcp_flow(const struct tcp_conn *conn); /* valid until the next call into this stack */

/* A connection as a walk shows it: open, or closed by us and waiting for its peer to do the same. */
struct tcp_glance {
	struct tcp_conn *conn;
	uint32_t index;    /* small, and the connection's own as long as it lives */
	uint32_t activity; /* differs after bytes came in or were queued to go out */
	bool unsent;       /* something is queued or unacknowledged */
	bool ended;        /* the peer knows that we have closed */
};
/*
 * Shows the open ones among `budget` places from *cursor on, which moves; zero at the start. Returns whether there is
 * more; *cursor is zero again if not. visit may close or abort the connection. Outside of callbacks.
 */
bool tcp_walk(struct tcp_stack *tcp, uint32_t *cursor, unsigned budget,
    void (*visit)(void *ctx, const struct tcp_glance *glance), void *ctx);

/* Another limit; beyond the largest so far the tables are made anew. Those above it stay. False: no memory, as before. */
bool tcp_set_connections_max(struct tcp_stack *tcp, uint32_t connections_max);

/* What is held now, for status and for tests. */
struct tcp_usage {
	uint32_t connections, half_open, time_wait;
	uint64_t memory_bytes; /* connections, entries, queues, out-of-order mbufs at true size */
	uint32_t mbufs;        /* held in receive and out-of-order queues */
};
void tcp_usage(const struct tcp_stack *tcp, struct tcp_usage *usage);

/* Walks all structures; NULL, or what is broken. For tests. */
const char *tcp_check(const struct tcp_stack *tcp);

#endif
