/*
 * A mempool of mbufs for tests: no EAL, no hugepages, every element a malloc of its own.
 *
 * Each mbuf has ASan's red zones around it and is poisoned while it is free, so that a use after free and a
 * write past the end show where they happen (without ASan the data of a free mbuf is overwritten).
 * Allocations can be made to fail, and what is outstanding is counted: a test ends with
 * testpool_outstanding() == 0.
 *
 * Include it once or several times in a program; everything is static and a pool carries its own state.
 */
#ifndef WIRECACHE_TESTPOOL_H
#define WIRECACHE_TESTPOOL_H

#include <errno.h>
#include <limits.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <rte_mbuf.h>
#include <rte_mempool.h>

#if defined(__SANITIZE_ADDRESS__)
#define TESTPOOL_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define TESTPOOL_ASAN 1
#endif
#endif
#ifdef TESTPOOL_ASAN
#include <sanitizer/asan_interface.h>
#define TESTPOOL_POISON(p, n)   ASAN_POISON_MEMORY_REGION(p, n)
#define TESTPOOL_UNPOISON(p, n) ASAN_UNPOISON_MEMORY_REGION(p, n)
#else
#define TESTPOOL_POISON(p, n)   ((void)(p), (void)(n))
#define TESTPOOL_UNPOISON(p, n) ((void)(p), (void)(n))
#endif

#define TESTPOOL_NAME      "wirecache_testpool"
#define TESTPOOL_DATA_ROOM (2048u + RTE_PKTMBUF_HEADROOM)
#define TESTPOOL_FREE_BYTE 0xdb

struct testpool {
	struct rte_mempool mp; /* with cache_size 0 the private area follows directly */
	struct rte_pktmbuf_pool_private priv;
	uint32_t n;
	uint32_t free_len;
	uint32_t data_room;
	uint32_t succeed_len;   /* allocations that still succeed before the failing ones */
	uint32_t fail_len;      /* allocations that fail after these */
	uint64_t failed;        /* how many did */
	struct rte_mbuf **free; /* a stack: the mbuf freed last is given out first */
	void **raw;             /* the mallocs */
};

static inline struct testpool *
testpool_of(const struct rte_mempool *mp)
{
	return (struct testpool *)(uintptr_t)mp;
}

static inline size_t
testpool_element_bytes(const struct testpool *tp)
{
	return sizeof(struct rte_mbuf) + tp->data_room;
}

static int
testpool_op_enqueue(struct rte_mempool *mp, void *const *objs, unsigned n)
{
	struct testpool *tp = testpool_of(mp);

	for (unsigned i = 0; i < n; i++) {
		struct rte_mbuf *m = objs[i];
		if (tp->free_len == tp->n)
			abort(); /* freed twice */
		memset((uint8_t *)(m + 1), TESTPOOL_FREE_BYTE, tp->data_room);
		TESTPOOL_POISON(m, testpool_element_bytes(tp));
		tp->free[tp->free_len++] = m;
	}
	return 0;
}

static int
testpool_op_dequeue(struct rte_mempool *mp, void **objs, unsigned n)
{
	struct testpool *tp = testpool_of(mp);

	if (tp->succeed_len >= n) {
		if (tp->succeed_len != UINT32_MAX)
			tp->succeed_len -= n;
	} else if (tp->fail_len > 0) {
		tp->fail_len--;
		if (tp->fail_len == 0)
			tp->succeed_len = UINT32_MAX;
		tp->failed++;
		return -ENOBUFS;
	}
	if (tp->free_len < n) {
		tp->failed++;
		return -ENOBUFS;
	}
	for (unsigned i = 0; i < n; i++) {
		struct rte_mbuf *m = tp->free[--tp->free_len];
		TESTPOOL_UNPOISON(m, testpool_element_bytes(tp));
		objs[i] = m;
	}
	return 0;
}

static unsigned
testpool_op_count(const struct rte_mempool *mp)
{
	return testpool_of(mp)->free_len;
}

static int
testpool_op_alloc(struct rte_mempool *mp)
{
	return 0;
}

static void
testpool_op_free(struct rte_mempool *mp)
{
}

static const struct rte_mempool_ops testpool_ops = {
    .name = TESTPOOL_NAME,
    .alloc = testpool_op_alloc,
    .free = testpool_op_free,
    .enqueue = testpool_op_enqueue,
    .dequeue = testpool_op_dequeue,
    .get_count = testpool_op_count,
};
RTE_MEMPOOL_REGISTER_OPS(testpool_ops)

static int
testpool_ops_index(void)
{
	for (unsigned i = 0; i < rte_mempool_ops_table.num_ops; i++)
		if (strcmp(rte_mempool_ops_table.ops[i].name, TESTPOOL_NAME) == 0)
			return (int)i;
	abort();
}

/* Headers as librte_mempool lays them out (rte_mempool_virt2iova() looks there), then the mbuf as it
 * initialises it. */
static inline struct rte_mbuf *
testpool_element(struct testpool *tp, uint32_t i)
{
	const size_t head_bytes = RTE_CACHE_LINE_ROUNDUP(sizeof(struct rte_mempool_objhdr));
	uint8_t *raw = aligned_alloc(
	    RTE_CACHE_LINE_SIZE, RTE_CACHE_LINE_ROUNDUP(head_bytes + testpool_element_bytes(tp)));
	if (raw == NULL)
		abort();
	memset(raw, 0, head_bytes + testpool_element_bytes(tp));
	struct rte_mbuf *m = (struct rte_mbuf *)(raw + head_bytes);
	struct rte_mempool_objhdr *head = rte_mempool_get_header(m);
	head->mp = &tp->mp;
	head->iova = (rte_iova_t)(uintptr_t)m;
	m->buf_addr = m + 1;
	rte_mbuf_iova_set(m, (rte_iova_t)(uintptr_t)(m + 1));
	m->buf_len = (uint16_t)tp->data_room;
	m->data_off = (uint16_t)RTE_MIN((uint32_t)RTE_PKTMBUF_HEADROOM, tp->data_room);
	m->pool = &tp->mp;
	m->nb_segs = 1;
	m->port = RTE_MBUF_PORT_INVALID;
	rte_mbuf_refcnt_set(m, 1);
	tp->raw[i] = raw;
	return m;
}

/* n mbufs with data_room bytes each (headroom included; 0: 2048 + headroom). */
static inline struct rte_mempool *
testpool_create(uint32_t n, uint16_t data_room)
{
	struct testpool *tp = aligned_alloc(RTE_CACHE_LINE_SIZE, RTE_CACHE_LINE_ROUNDUP(sizeof(*tp)));
	if (tp == NULL)
		abort();
	memset(tp, 0, sizeof(*tp));
	tp->n = n;
	tp->data_room = data_room != 0 ? data_room : TESTPOOL_DATA_ROOM;
	tp->succeed_len = UINT32_MAX;
	tp->free = calloc(n, sizeof(tp->free[0]));
	tp->raw = calloc(n, sizeof(tp->raw[0]));
	if (tp->free == NULL || tp->raw == NULL)
		abort();
	tp->mp.size = n;
	tp->mp.populated_size = n;
	tp->mp.elt_size = (uint32_t)testpool_element_bytes(tp);
	tp->mp.header_size = RTE_CACHE_LINE_ROUNDUP(sizeof(struct rte_mempool_objhdr));
	tp->mp.private_data_size = sizeof(struct rte_pktmbuf_pool_private);
	tp->mp.ops_index = testpool_ops_index();
	((struct rte_pktmbuf_pool_private *)rte_mempool_get_priv(&tp->mp))->mbuf_data_room_size =
	    (uint16_t)tp->data_room;
	for (uint32_t i = 0; i < n; i++) {
		void *m = testpool_element(tp, i);
		testpool_op_enqueue(&tp->mp, &m, 1);
	}
	return &tp->mp;
}

static inline uint32_t
testpool_outstanding(const struct rte_mempool *mp)
{
	const struct testpool *tp = testpool_of(mp);
	return tp->n - tp->free_len;
}

/* Lets n allocations succeed, then makes the next `count` fail (UINT32_MAX: for ever), then succeeds
 * again. */
static inline void
testpool_fail_after(struct rte_mempool *mp, uint32_t n, uint32_t count)
{
	testpool_of(mp)->succeed_len = count == 0 ? UINT32_MAX : n;
	testpool_of(mp)->fail_len = count;
}

/* Ends what testpool_fail_after() began. */
static inline void
testpool_fail_never(struct rte_mempool *mp)
{
	testpool_fail_after(mp, 0, 0);
}

static inline uint64_t
testpool_failed(const struct rte_mempool *mp)
{
	return testpool_of(mp)->failed;
}

/* All mbufs must be back: those still outstanding are freed with the pool all the same. */
static inline void
testpool_destroy(struct rte_mempool *mp)
{
	struct testpool *tp = testpool_of(mp);

	for (uint32_t i = 0; i < tp->n; i++) {
		TESTPOOL_UNPOISON(tp->raw[i], tp->mp.header_size + testpool_element_bytes(tp));
		free(tp->raw[i]);
	}
	free(tp->free);
	free(tp->raw);
	free(tp);
}

#endif
