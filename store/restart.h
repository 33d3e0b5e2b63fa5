/*
 * Warm restart: items that outlive the process, in files of memory (memory.h), one a partition.
 *
 *   file     +------------+---------------+-----------+-----------+-- ... --+-----------+
 *   (arena)  | superblock | segment table | directory | segment 0 |         | segment n |
 *            +------------+---------------+-----------+-----------+-- ... --+-----------+
 *              mark: RUNNING from the first thread that registers until all have gone, then STOPPED
 *
 * Stopping writes into the superblock what lies outside of the arena (books of the partition, sequence, flushes, times,
 * secret of the hash), a checksum over that and all that is not an item (segment table, directory, tables of the index),
 * and last the mark. Starting believes what it finds if every file has the mark STOPPED of the same run, the same layout
 * and size, and the right checksum. Whoever is killed leaves RUNNING, or half of the files STOPPED: the next start begins
 * empty. Finding out changes nothing in the files, so a start that fails later loses nothing either.
 *
 * Time: items expire by the wall clock, so the time between stop and start counts. A clock that was set back meanwhile
 * counts as no time passed: nothing that had expired comes back.
 *
 * Called at creation, at the registering of threads and at the end: never beside operations.
 */
#ifndef WIRECACHE_STORE_RESTART_H
#define WIRECACHE_STORE_RESTART_H

#include "store/internal.h"

#define RESTART_PATH_MAX (STORE_RESTART_PATH_MAX + 16u)

/*
 * To be raised with every change of what lies in an arena: items, chunks, segments, index, or what their numbers mean.
 * Sizes and the plan of the arena are compared beside it.
 */
#define RESTART_LAYOUT 2u

struct restart {
	enum store_start start;
	char why[STORE_ERROR_MAX];
	uint64_t run;       /* told in all files of one stop */
	bool complete;      /* the store was created as a whole: its end is worth keeping */
	bool begun;         /* the files say RUNNING */
	uint32_t stopped_s; /* of the stop before; 0: none */
	_Atomic uint32_t lock;
};

/* NULL: no memory. */
struct restart *restart_create(const struct store_config *config);

/* The file of a partition. */
void restart_path(const char *prefix, unsigned partition, char path[RESTART_PATH_MAX]);

/*
 * With all partitions mapped: takes over what their files hold, and returns true, or says in `why` what is wrong with
 * it. Reads superblocks and index, no items.
 */
bool restart_attach(struct store *store, uint32_t now_s);

/* From here on a process that ends without restart_save() leaves nothing. Any thread, before its first operation. */
void restart_begin(struct store *store);

/* All threads have gone: makes the files worth attaching to. Does nothing if some have not. */
void restart_save(struct store *store);

#endif
