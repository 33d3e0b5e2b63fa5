/*
 * A record that one thread writes and any may copy: a version that is odd while it is written, and the record in
 * 64-bit words. The writer never waits; a reader that met the writer is told so and may try again.
 */
#ifndef WIRECACHE_PUBLISH_H
#define WIRECACHE_PUBLISH_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define PUBLISH_TRIES 8u

/* Members of a struct that holds a record of this type. */
#define PUBLISHED(type)                                         \
	struct {                                                \
		atomic_uint version;                            \
		_Atomic uint64_t words[(sizeof(type) + 7) / 8]; \
	}

static inline void
publish_write(atomic_uint *version, _Atomic uint64_t *words, const void *record, size_t bytes)
{
	unsigned before = atomic_load_explicit(version, memory_order_relaxed);

	atomic_store_explicit(version, before + 1, memory_order_relaxed);
	/* release: no word is seen before the odd version; pairs with the acquire fence of publish_read() */
	atomic_thread_fence(memory_order_release);
	for (size_t at = 0; at < bytes; at += 8) {
		uint64_t word = 0;

		memcpy(&word, (const char *)record + at, bytes - at < 8 ? bytes - at : 8);
		atomic_store_explicit(&words[at / 8], word, memory_order_relaxed);
	}
	/* release: pairs with the acquire load of publish_read() */
	atomic_store_explicit(version, before + 2, memory_order_release);
}

/* False: it was written each time we looked. */
static inline bool
publish_read(const atomic_uint *version, const _Atomic uint64_t *words, void *record, size_t bytes)
{
	for (unsigned try = 0; try < PUBLISH_TRIES; try++) {
		unsigned before = atomic_load_explicit(version, memory_order_acquire);

		for (size_t at = 0; at < bytes; at += 8) {
			uint64_t word = atomic_load_explicit(&words[at / 8], memory_order_relaxed);

			memcpy((char *)record + at, &word, bytes - at < 8 ? bytes - at : 8);
		}
		atomic_thread_fence(memory_order_acquire);
		if (before % 2 == 0 && atomic_load_explicit(version, memory_order_relaxed) == before)
			return true;
	}
	return false;
}

#define PUBLISH(box, record)        publish_write(&(box)->version, (box)->words, (record), sizeof(*(record)))
#define PUBLISHED_READ(box, record) publish_read(&(box)->version, (box)->words, (record), sizeof(*(record)))

#endif
