/*
 * A backend without a network: a small memcached of the text protocol behind it answers in virtual time. A reply is
 * delivered at the next poll, with the time of arrival that the script gives it: when it was sent, plus a delay. The
 * script may also lose replies, and damage or age values; it counts what it did.
 */
#ifndef WIRECACHE_TESTS_FAKE_BACKEND_H
#define WIRECACHE_TESTS_FAKE_BACKEND_H

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/load/backend.h"
#include "tests/load/clock.h"

#define FAKE_KEYS        1024u
#define FAKE_VALUE_BYTES 32u
#define FAKE_REPLIES     65536u
#define FAKE_ROOM        2048u
#define FAKE_TSC_HZ      1000000000ull
#define FAKE_TICK_TSC    250u /* that a look at the clock takes: a pass takes a microsecond or so */

struct fake_script {
	uint32_t lose_every, damage_every, age_every; /* every so many-th reply that can; 0: none */
	uint32_t close_every;                         /* connections end instead of every so many-th reply */
	uint32_t junk_every;                          /* every so many-th reply is none */
	uint64_t delay_tsc, slow_delay_tsc;
	uint32_t slow_every; /* every so many-th reply takes slow_delay_tsc */
	uint64_t stall_tsc;  /* the poll that delivers the stall_at-th reply takes so long */
	uint32_t stall_at;
};

struct fake_counts {
	uint64_t gets, sets, lost, damaged, aged, slow, closed, junk, delivered;
};

struct fake_item {
	uint8_t value[FAKE_VALUE_BYTES], before[FAKE_VALUE_BYTES];
	bool there, has_before;
	bool told; /* the last change's reply has been delivered */
};

struct fake_reply {
	uint64_t rx_tsc;
	uint32_t conn, bytes;
	int told_item; /* -1: none */
	bool closes;
	uint8_t data[96];
};

struct load_backend {
	struct load_backend_config config;
	struct fake_item items[FAKE_KEYS];
	struct fake_reply replies[FAKE_REPLIES];
	uint32_t replies_len;
	bool *dialled; /* changed() is due */
	uint8_t room[FAKE_ROOM];
};

static struct fake_script fake_script;
static struct fake_counts fake_counts;
static uint64_t fake_tsc;

/* Time passes only where somebody looks at the clock, so that every run is the same. */
static inline uint64_t
fake_clock(void)
{
	return fake_tsc += FAKE_TICK_TSC;
}

static inline bool
fake_nth(uint32_t every, uint64_t count)
{
	return every != 0 && count % every == every - 1;
}

static int
fake_open(struct load_backend **out, const struct load_backend_config *config, char error[LOAD_ERROR_BYTES])
{
	struct load_backend *backend = calloc(1, sizeof(*backend));

	backend->config = *config;
	backend->dialled = calloc(config->connections, sizeof(bool));
	*out = backend;
	return 0;
}

static void
fake_close(struct load_backend *backend)
{
	if (backend != NULL)
		free(backend->dialled);
	free(backend);
}

static int
fake_connect(struct load_backend *backend, uint32_t conn)
{
	backend->dialled[conn] = true;
	return 0;
}

static void
fake_close_conn(struct load_backend *backend, uint32_t conn)
{
}

static void *
fake_reserve(struct load_backend *backend, uint32_t conn, uint32_t bytes)
{
	return backend->replies_len < FAKE_REPLIES && bytes <= FAKE_ROOM ? backend->room : NULL;
}

/* "VALUE key 0 32\r\n...\r\nEND\r\n", or only the end. */
static uint32_t
fake_get(struct load_backend *backend, struct fake_item *item, const uint8_t *key, uint8_t *out)
{
	fake_counts.gets++;
	if (!item->there)
		return (uint32_t)sprintf((char *)out, "END\r\n");
	uint32_t head = (uint32_t)sprintf((char *)out, "VALUE %.16s 0 %u\r\n", key, FAKE_VALUE_BYTES);
	bool ages = item->has_before && item->told && fake_nth(fake_script.age_every, fake_counts.gets);
	memcpy(out + head, ages ? item->before : item->value, FAKE_VALUE_BYTES);
	fake_counts.aged += ages;
	if (!ages && fake_nth(fake_script.damage_every, fake_counts.gets)) {
		out[head + 20] ^= 1;
		fake_counts.damaged++;
	}
	return head + FAKE_VALUE_BYTES +
	       (uint32_t)sprintf((char *)out + head + FAKE_VALUE_BYTES, "\r\nEND\r\n");
}

static uint32_t
fake_set(struct fake_item *item, const uint8_t *line, uint8_t *out)
{
	const uint8_t *value = (const uint8_t *)strchr((const char *)line, '\n') + 1;

	fake_counts.sets++;
	memcpy(item->before, item->value, FAKE_VALUE_BYTES);
	memcpy(item->value, value, FAKE_VALUE_BYTES);
	item->has_before = item->there;
	item->there = true;
	item->told = false;
	return (uint32_t)sprintf((char *)out, "STORED\r\n");
}

/* One request of one datagram or commit. */
static void
fake_commit(struct load_backend *backend, uint32_t conn, uint32_t bytes, bool push)
{
	bool udp = backend->config.transport == LOAD_UDP, sets;
	const uint8_t *line = backend->room + (udp ? 8 : 0);
	struct fake_reply *reply = &backend->replies[backend->replies_len];
	char digits[9] = "";
	uint64_t count = fake_counts.gets + fake_counts.sets;

	if (bytes == 0)
		return;
	backend->room[bytes] = '\0';
	memcpy(digits, line + 4, 8);
	uint32_t number = (uint32_t)strtoul(digits, NULL, 16);
	assert(number < FAKE_KEYS);
	sets = memcmp(line, "set ", 4) == 0;
	*reply = (struct fake_reply){.conn = conn, .told_item = sets ? (int)number : -1};
	memcpy(reply->data, backend->room, udp ? 8 : 0);
	reply->bytes = udp ? 8 : 0;
	reply->bytes +=
	    sets ? fake_set(&backend->items[number], line, reply->data + reply->bytes)
	         : fake_get(backend, &backend->items[number], line + 4, reply->data + reply->bytes);
	bool slow = fake_nth(fake_script.slow_every, count);
	reply->rx_tsc = load_now_tsc() + (slow ? fake_script.slow_delay_tsc : fake_script.delay_tsc);
	fake_counts.slow += slow;
	if (fake_nth(fake_script.lose_every, count)) {
		fake_counts.lost++;
		return;
	}
	if (fake_nth(fake_script.junk_every, count)) {
		memcpy(reply->data, "junk\n", 5);
		reply->bytes = 5;
		fake_counts.junk++;
	}
	reply->closes = fake_nth(fake_script.close_every, count);
	fake_counts.closed += reply->closes;
	backend->replies_len++;
}

static bool
fake_blocked(struct load_backend *backend, uint32_t conn)
{
	return false;
}

static void
fake_flush(struct load_backend *backend)
{
}

static void
fake_deliver(struct load_backend *backend, const struct fake_reply *reply)
{
	const struct load_events *events = &backend->config.events;
	struct load_piece piece = {
	    .data = reply->data, .bytes = reply->bytes, .conn = reply->conn, .rx_tsc = reply->rx_tsc};

	if (reply->closes) {
		events->changed(events->ctx, reply->conn, LOAD_CONN_CLOSED, 104);
		return;
	}
	events->received(events->ctx, &piece, 1);
	if (reply->told_item >= 0)
		backend->items[reply->told_item].told = true;
}

static uint32_t
fake_poll(struct load_backend *backend, uint64_t now_tsc)
{
	uint32_t len = backend->replies_len;

	for (uint32_t conn = 0; conn < backend->config.connections; conn++)
		if (backend->dialled[conn]) {
			backend->dialled[conn] = false;
			backend->config.events.changed(backend->config.events.ctx, conn, LOAD_CONN_UP, 0);
		}
	for (uint32_t i = 0; i < len; i++) {
		fake_deliver(backend, &backend->replies[i]);
		if (++fake_counts.delivered == fake_script.stall_at)
			fake_tsc += fake_script.stall_tsc;
	}
	backend->replies_len = 0;
	return len;
}

static void
fake_stats(const struct load_backend *backend, struct load_backend_stats *stats)
{
	*stats = (struct load_backend_stats){0};
}

static const struct load_backend_ops fake_backend = {
    .name = "fake",
    .help = "a script",
    .open = fake_open,
    .connect = fake_connect,
    .close_conn = fake_close_conn,
    .reserve = fake_reserve,
    .commit = fake_commit,
    .blocked = fake_blocked,
    .flush = fake_flush,
    .poll = fake_poll,
    .stats = fake_stats,
    .close = fake_close,
};

#endif
