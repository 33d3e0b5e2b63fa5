/*
 * What carries the load generator's bytes: kernel sockets, or DPDK ports with the project's own stack. The generator
 * (generator.c) knows requests and connections by number, a backend knows packets and sockets; nothing else is shared.
 *
 * One generator thread owns one backend instance. A backend's `open` and `close` are called by the main thread, for one
 * instance after the other; everything else by the instance's own generator thread, `enter` first. Callbacks come only
 * from within `poll`, on that thread, and may call reserve, commit and close_conn, but not poll, flush or connect.
 *
 * A pass of the generator is
 *
 *     due requests:  reserve(conn, room) -> write -> commit(conn, bytes, push)     any number of times
 *     flush()                                                                       what was committed leaves
 *     poll(now)                                                                     timers, receive, callbacks
 *
 * and nothing in it may block, allocate without bound, or log. Times are TSC values as __rdtsc() gives them.
 *
 * Connections are numbers from 0 to config.connections - 1, chosen by the generator. Over TCP each is a connection,
 * over UDP a source port; a UDP "connection" is up as soon as it is connected. A connection that ended may be
 * connected again under its number.
 */
#ifndef WIRECACHE_LOAD_BACKEND_H
#define WIRECACHE_LOAD_BACKEND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LOAD_BURST 64u /* most pieces of one call of received() */
#define LOAD_TCP_RESERVE_MAX \
	16384u /* most bytes of one reservation over TCP; larger requests come in pieces */
#define LOAD_UDP_RESERVE_MAX \
	1400u /* the same over UDP: a request is one datagram, its 8-byte frame included */
#define LOAD_ERROR_BYTES     256u /* room for a message */
#define LOAD_CONNECTIONS_MAX (1u << 20)

enum load_transport { LOAD_TCP, LOAD_UDP };

enum load_conn_state {
	LOAD_CONN_UP, /* may be written */
	LOAD_CONN_CLOSED, /* ended by the peer, by an error or by close_conn; what was outstanding will not be answered */
};

/* Bytes that came: a stretch of the stream, in order and without gaps, or one whole datagram without its headers. */
struct load_piece {
	const uint8_t *data; /* valid until received() returns */
	uint32_t bytes;
	uint32_t conn;
	uint64_t rx_tsc; /* when the burst was taken from the port or socket */
};

/* What the generator wants to hear. Called from within poll(). */
struct load_events {
	void *ctx;
	/* 1 to LOAD_BURST pieces, those of one connection in order. Several at once, so that state can be prefetched. */
	void (*received)(void *ctx, const struct load_piece *pieces, uint32_t pieces_len);
	/* Bytes of this connection will be shown soon, unless they are not what they seem: to prefetch for, nothing else. */
	void (*soon)(void *ctx, uint32_t conn);
	/* error: 0 or a positive errno that says why it closed (ECONNREFUSED, ETIMEDOUT, ECONNRESET, ...). */
	void (*changed)(void *ctx, uint32_t conn, enum load_conn_state state, int error);
};

struct load_backend_config {
	const char *server; /* IPv4 or IPv6 address, as text */
	uint16_t port;
	enum load_transport transport;
	uint32_t connections; /* of this instance */
	unsigned thread;      /* this instance's number */
	unsigned threads;     /* instances in all */
	uint32_t send_room;   /* bytes that a connection must be able to hold unsent: >= one reservation */
	bool reflect;         /* UDP: the far end sends back our own packets, 5-tuple or only MACs swapped */
	struct load_events events;

	/* Only for a backend with a network stack of its own; empty strings and zeros: not given. */
	const char *eal_args; /* all of the EAL's arguments, such as "--vdev=net_memif0,..." */
	const char *address;  /* ours, with its prefix: "10.0.0.2/24" */
	const char *gateway;
	uint32_t mtu;
};

/* Written by the instance's thread alone. Relaxed reads by others are fine: none depends on another. */
struct load_backend_stats {
	uint64_t tx_packets; /* system calls' messages for the kernel backend */
	uint64_t rx_packets;
	uint64_t tx_dropped; /* committed, but never left: a full transmit queue, no memory */
	uint64_t rx_dropped; /* arrived at the port or socket, but lost there, as far as it is known */
	uint64_t retransmits;
	uint64_t connect_failures;
};

struct load_backend; /* each backend's own; its first member is whatever it likes */

struct load_backend_ops {
	const char *name; /* --backend NAME */
	const char *help; /* half a line */

	/* Makes the instance of config->thread. 0, or negative errno with one sentence in `error`. */
	int (*open)(struct load_backend **out, const struct load_backend_config *config,
	    char error[LOAD_ERROR_BYTES]);
	/* In the generator thread, before anything else: registers the thread, where that is needed. May be NULL. */
	void (*enter)(struct load_backend *backend);

	/* Begins to connect; changed() tells how that went. Negative errno: could not even begin, try later. */
	int (*connect)(struct load_backend *backend, uint32_t conn);
	/* Ends a connection now (RST or close; no waiting). No changed() call follows. */
	void (*close_conn)(struct load_backend *backend, uint32_t conn);

	/*
	 * A request will soon be sent on this connection, which has been silent for long: to prefetch for. First with `near`
	 * false, a few requests later with true. May be NULL.
	 */
	void (*expect)(struct load_backend *backend, uint32_t conn, bool near);
	/*
	 * Room for `bytes` of one request (TCP: of the stream; UDP: of one datagram), written straight into the packet
	 * or send queue. NULL: not now (blocked or out of packets); nothing happened. The reservation ends with the
	 * next commit, which must name the same connection. Committing 0 bytes gives the room back.
	 */
	void *(*reserve)(struct load_backend *backend, uint32_t conn, uint32_t bytes);
	/*
	 * The first `bytes` of the room are to be sent, at the latest by the next flush. Over UDP that is one datagram.
	 * Over TCP, commits of one connection between two flushes may share segments until one says `push`: what
	 * follows begins a new segment.
	 */
	void (*commit)(struct load_backend *backend, uint32_t conn, uint32_t bytes, bool push);
	/* True while reserve() of a whole reservation would give NULL for this connection's own sake. */
	bool (*blocked)(struct load_backend *backend, uint32_t conn);
	void (*flush)(struct load_backend *backend);

	/* Receives a bounded amount and calls back; runs timers. Returns the number of pieces delivered. */
	uint32_t (*poll)(struct load_backend *backend, uint64_t now_tsc);

	void (*stats)(const struct load_backend *backend, struct load_backend_stats *stats);
	/* Frees everything; open connections are reset. NULL is fine. */
	void (*close)(struct load_backend *backend);
};

/* The backends that there are, ended by NULL: backends.c. */
extern const struct load_backend_ops *const load_backends[];
extern const struct load_backend_ops load_backend_kernel;
extern const struct load_backend_ops load_backend_dpdk;

#endif
