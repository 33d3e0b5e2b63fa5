/*
 * See watch.h. The ring is of the kind with a sequence number in each slot (D. Vyukov's bounded queue): a slot with
 * number n is free for the writer of position n, and full for the reader of n when it is n + 1.
 */
#include "dataplane/watch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct watch_slot {
	_Atomic uint64_t number;
	uint32_t len;
	uint8_t line[WATCH_LINE_MAX];
};

struct watcher {
	_Atomic uint32_t taken;
	_Atomic uint32_t events; /* wanted; 0: nobody is there */
	_Atomic uint64_t skipped;
	_Atomic uint64_t head;             /* position of the next writer */
	uint64_t tail;                     /* of the reader */
	_Atomic(struct watch_slot *) ring; /* kept for the next watcher: a late writer may still be in it */
};

struct watch {
	_Atomic uint32_t wanted;
	_Atomic uint64_t number;
	struct watcher watchers[WATCH_WATCHERS_MAX];
};

struct watch *
watch_create(void)
{
	return calloc(1, sizeof(struct watch));
}

void
watch_destroy(struct watch *watch)
{
	if (watch == NULL)
		return;
	for (unsigned i = 0; i < WATCH_WATCHERS_MAX; i++)
		free(atomic_load_explicit(&watch->watchers[i].ring, memory_order_relaxed));
	free(watch);
}

uint32_t
watch_wanted(const struct watch *watch)
{
	return atomic_load_explicit(&watch->wanted, memory_order_relaxed);
}

uint64_t
watch_number(struct watch *watch)
{
	return atomic_fetch_add_explicit(&watch->number, 1, memory_order_relaxed) + 1;
}

/* Goes again when another watcher came or went meanwhile, so that the last to write has seen all. */
static void
wanted_update(struct watch *watch)
{
	uint32_t events, again = 0;

	do {
		events = again;
		again = 0;
		atomic_store_explicit(&watch->wanted, events, memory_order_seq_cst);
		for (unsigned i = 0; i < WATCH_WATCHERS_MAX; i++)
			again |= atomic_load_explicit(&watch->watchers[i].events, memory_order_seq_cst);
	} while (again != events);
}

static bool
ring_make(struct watcher *watcher)
{
	struct watch_slot *ring = atomic_load_explicit(&watcher->ring, memory_order_relaxed);

	if (ring != NULL)
		return true;
	ring = calloc(WATCH_LINES, sizeof(*ring));
	if (ring == NULL)
		return false;
	for (unsigned i = 0; i < WATCH_LINES; i++)
		atomic_init(&ring[i].number, i);
	/* release pairs with ring_put() */
	atomic_store_explicit(&watcher->ring, ring, memory_order_release);
	return true;
}

struct watcher *
watch_begin(struct watch *watch, uint32_t events)
{
	uint8_t line[WATCH_LINE_MAX];

	for (unsigned i = 0; i < WATCH_WATCHERS_MAX; i++) {
		struct watcher *watcher = &watch->watchers[i];

		/* acquire pairs with the release in watch_end() */
		if (atomic_exchange_explicit(&watcher->taken, 1, memory_order_acquire))
			continue;
		if (!ring_make(watcher)) {
			atomic_store_explicit(&watcher->taken, 0, memory_order_release);
			return NULL;
		}
		atomic_store_explicit(&watcher->skipped, 0, memory_order_relaxed);
		while (watch_take(watcher, line) != 0) /* what the last one left */
			continue;
		atomic_store_explicit(&watcher->events, events, memory_order_seq_cst);
		wanted_update(watch);
		return watcher;
	}
	return NULL;
}

void
watch_end(struct watch *watch, struct watcher *watcher)
{
	atomic_store_explicit(&watcher->events, 0, memory_order_seq_cst);
	wanted_update(watch);
	atomic_store_explicit(&watcher->taken, 0, memory_order_release);
}

static void
ring_put(struct watcher *watcher, const void *line, uint32_t len)
{
	struct watch_slot *ring = atomic_load_explicit(&watcher->ring, memory_order_acquire);
	uint64_t head = atomic_load_explicit(&watcher->head, memory_order_relaxed);

	for (;;) {
		struct watch_slot *slot = &ring[head % WATCH_LINES];
		/* acquire pairs with the reader's release: it is done with the slot */
		uint64_t number = atomic_load_explicit(&slot->number, memory_order_acquire);

		if ((int64_t)(number - head) < 0) {
			atomic_fetch_add_explicit(&watcher->skipped, 1, memory_order_relaxed);
			return;
		}
		if (number != head) {
			head = atomic_load_explicit(&watcher->head, memory_order_relaxed);
			continue;
		}
		if (!atomic_compare_exchange_weak_explicit(
		        &watcher->head, &head, head + 1, memory_order_relaxed, memory_order_relaxed))
			continue;
		memcpy(slot->line, line, len);
		slot->len = len;
		/* release pairs with watch_take() */
		atomic_store_explicit(&slot->number, head + 1, memory_order_release);
		return;
	}
}

void
watch_emit(struct watch *watch, enum watch_event event, const void *line, uint32_t len)
{
	for (unsigned i = 0; i < WATCH_WATCHERS_MAX && len <= WATCH_LINE_MAX; i++) {
		struct watcher *watcher = &watch->watchers[i];

		/* seq_cst store in watch_begin(): the ring is there */
		if (atomic_load_explicit(&watcher->events, memory_order_acquire) & event)
			ring_put(watcher, line, len);
	}
}

uint32_t
watch_take(struct watcher *watcher, uint8_t line[WATCH_LINE_MAX])
{
	struct watch_slot *ring = atomic_load_explicit(&watcher->ring, memory_order_relaxed);
	struct watch_slot *slot = &ring[watcher->tail % WATCH_LINES];
	uint32_t len;

	if (atomic_load_explicit(&watcher->skipped, memory_order_relaxed) != 0) {
		uint64_t skipped = atomic_exchange_explicit(&watcher->skipped, 0, memory_order_relaxed);

		return (uint32_t)sprintf((char *)line, "skipped=%llu\n", (unsigned long long)skipped);
	}
	if (atomic_load_explicit(&slot->number, memory_order_acquire) != watcher->tail + 1)
		return 0;
	len = slot->len;
	memcpy(line, slot->line, len);
	/* release pairs with ring_put(): free for the writer one round later */
	atomic_store_explicit(&slot->number, watcher->tail + WATCH_LINES, memory_order_release);
	watcher->tail++;
	return len;
}
