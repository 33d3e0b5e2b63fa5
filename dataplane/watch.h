/*
 * Events for those who watch: from every worker to every watching connection, on whichever worker it is.
 *
 *   worker: wanted? -- line --> ring of each watcher that wants it --> the watcher's own worker --> its connection
 *
 * A ring is bounded and lock-free, with many writers and one reader. Who writes into a full one counts the line as
 * skipped and goes on: nobody waits for a slow watcher. While nobody watches, an event costs the test of one bit.
 *
 * Threads: any may emit; a watcher is taken from by the thread that began it.
 */
#ifndef WIRECACHE_WATCH_H
#define WIRECACHE_WATCH_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define WATCH_WATCHERS_MAX 19u   /* as memcached */
#define WATCH_LINES        256u  /* waiting for one watcher; a power of two */
#define WATCH_LINE_MAX     1024u /* a key in %XX takes 750 */

enum watch_event {
	WATCH_FETCHERS = 1,
	WATCH_MUTATIONS = 2,
	WATCH_DELETIONS = 4,
	WATCH_EVICTIONS = 8,
	WATCH_CONNECTIONS = 16,
	WATCH_OTHER = 32, /* of memcached's, that do not happen here */
};

struct watch;
struct watcher;

/* NULL: no memory. */
struct watch *watch_create(void);
/* After all who emit and take have ended. */
void watch_destroy(struct watch *watch);

/* What anybody wants, bits of enum watch_event. */
uint32_t watch_wanted(const struct watch *watch);

/* NULL: WATCH_WATCHERS_MAX are there, or no memory. */
struct watcher *watch_begin(struct watch *watch, uint32_t events);
void watch_end(struct watch *watch, struct watcher *watcher);

/* The number of the next event. */
uint64_t watch_number(struct watch *watch);
/* One line, its end included, to all who want such events; longer than WATCH_LINE_MAX is dropped. */
void watch_emit(struct watch *watch, enum watch_event event, const void *line, uint32_t len);

/* The watcher's next line; returns its length, 0 for none. */
uint32_t watch_take(struct watcher *watcher, uint8_t line[WATCH_LINE_MAX]);

#endif
