/*
 * See tcp_sendq.h. Small replies of one burst share a block: the tail is filled before a new one is taken.
 */
#include "dataplane/net/tcp_sendq.h"

#include <errno.h>

#include "dataplane/net/checksum.h"
#include "dataplane/net/tcp_stack.h"

static void
free_chain(struct tcp_mem *mem, struct tcp_block *b)
{
	while (b) {
		struct tcp_block *next = b->next;
		tcp_block_put(mem, b);
		b = next;
	}
}

int
tcp_sendq_copy(struct tcp_conn *c, const uint8_t *bytes, uint32_t len)
{
	struct tcp_mem *mem = &c->tcp->mem;
	uint32_t now = RTE_MIN(len, tcp_sendq_tail_room(c));
	struct tcp_block *chain = NULL, **link = &chain;

	/* All memory first, so that the queue is changed wholly or not at all. */
	for (uint32_t left = len - now; left > 0;) {
		struct tcp_block *b = tcp_block_get(mem, left);
		if (!b) {
			free_chain(mem, chain);
			return -ENOBUFS;
		}
		b->len = RTE_MIN(left, b->room);
		left -= b->len;
		*link = b;
		link = &b->next;
	}
	if (now) {
		memcpy(c->sq_tail->data + c->sq_tail->len, bytes, now);
		c->sq_tail->len += now;
		c->sq_end += now;
		bytes += now;
	}
	while (chain) {
		struct tcp_block *b = chain;
		chain = b->next;
		b->next = NULL;
		memcpy(b->data, bytes, b->len);
		bytes += b->len;
		tcp_sendq_append(c, b);
		c->sq_end += b->len;
	}
	return 0;
}

/* The count of a reference: the queue, and each packet that points to its bytes. */
static struct rte_mbuf_ext_shared_info *
ref_share(struct tcp_block *b)
{
	static_assert(
	    sizeof(struct tcp_block) + sizeof(struct rte_mbuf_ext_shared_info) <= 64, "in the block");
	return (struct rte_mbuf_ext_shared_info *)(void *)b->data;
}

/* Nobody points to the bytes any more. As an mbuf's callback it comes while a packet is freed. */
static void
ref_release(void *bytes, void *block)
{
	struct tcp_block *b = block;
	struct tcp_stack *tcp = b->owner;
	uint64_t cookie = b->cookie;
	tcp_block_put(&tcp->mem, b);
	tcp->app.release(tcp->app.app, cookie);
}

int
tcp_sendq_ref(struct tcp_conn *c, const uint8_t *bytes, uint32_t len, uint64_t cookie)
{
	struct tcp_block *b = tcp_block_get(&c->tcp->mem, 0);
	if (!b)
		return -ENOBUFS;
	b->bytes = bytes;
	b->cookie = cookie;
	b->room = 0;
	b->len = len;
	ref_share(b)->free_cb = ref_release;
	ref_share(b)->fcb_opaque = b;
	rte_mbuf_ext_refcnt_set(ref_share(b), 1);
	tcp_sendq_append(c, b);
	c->sq_end += len;
	return 0;
}

/* The extent that holds seq. */
static struct tcp_block *
find(const struct tcp_conn *c, uint32_t seq)
{
	struct tcp_block *b = c->sq_cursor;
	if (!b || tcp_seq_lt(seq, b->seq))
		b = c->sq_head;
	while (seq - b->seq >= b->len)
		b = b->next;
	return b;
}

/* Copies from the extents that hold [seq, seq + len); returns the sum of the bytes if it is wanted. */
static inline uint64_t
read_extents(struct tcp_conn *c, uint32_t seq, uint8_t *to, uint32_t len, bool summed)
{
	uint64_t sum = 0;
	bool odd = false;
	while (len > 0) {
		struct tcp_block *b = find(c, seq);
		uint32_t offset = seq - b->seq, n = RTE_MIN(len, b->len - offset);
		if (summed) {
			sum = csum_join(sum, csum_copy(to, b->bytes + offset, n), odd);
			odd ^= n & 1;
		} else {
			memcpy(to, b->bytes + offset, n);
		}
		to += n;
		seq += n;
		len -= n;
		c->sq_cursor = b;
	}
	return sum;
}

void
tcp_sendq_read(struct tcp_conn *c, uint32_t seq, uint8_t *to, uint32_t len)
{
	read_extents(c, seq, to, len, false);
}

uint64_t
tcp_sendq_read_sum(struct tcp_conn *c, uint32_t seq, uint8_t *to, uint32_t len)
{
	return read_extents(c, seq, to, len, true);
}

const uint8_t *
tcp_sendq_point(struct tcp_conn *c, uint32_t seq, uint32_t len, struct rte_mbuf *m)
{
	struct tcp_block *b = find(c, seq);
	uint32_t offset = seq - b->seq;
	if (b->bytes == b->data || b->len - offset < len)
		return NULL;
	/* An mbuf wants a pointer that may write; nobody does. */
	uint8_t *bytes = (uint8_t *)(uintptr_t)b->bytes + offset;
	rte_mbuf_ext_refcnt_update(ref_share(b), 1);
	rte_pktmbuf_attach_extbuf(m, bytes, RTE_BAD_IOVA, (uint16_t)len, ref_share(b));
	m->data_off = 0;
	m->data_len = (uint16_t)len;
	c->sq_cursor = b;
	return bytes;
}

void
tcp_sendq_drop(struct tcp_conn *c)
{
	struct tcp_block *b = c->sq_head;
	c->sq_head = b->next;
	if (!c->sq_head)
		c->sq_tail = NULL;
	if (c->sq_cursor == b)
		c->sq_cursor = NULL;
	if (b->bytes == b->data) {
		tcp_block_put(&c->tcp->mem, b);
		return;
	}
	b->owner = c->tcp;
	if (rte_mbuf_ext_refcnt_update(ref_share(b), -1) == 0)
		ref_release(NULL, b);
}

void
tcp_sendq_clear(struct tcp_conn *c)
{
	while (c->sq_head)
		tcp_sendq_drop(c);
}

const char *
tcp_sendq_check(const struct tcp_conn *c)
{
	const struct tcp_block *last = NULL;
	bool cursor = c->sq_cursor == NULL;
	for (const struct tcp_block *b = c->sq_head; b; b = b->next) {
		if (last && b->seq != last->seq + last->len)
			return "send queue: a gap between blocks";
		if (b == c->sq_cursor)
			cursor = true;
		last = b;
	}
	if (last != c->sq_tail)
		return "send queue: the tail is not the last block";
	if (last && last->seq + last->len != c->sq_end)
		return "send queue: the end is wrong";
	if (c->sq_head && tcp_seq_lt(c->snd_una, c->sq_head->seq) && c->state >= TCP_ESTABLISHED)
		return "send queue: unacknowledged bytes are missing";
	return cursor ? NULL : "send queue: the cursor points to a freed block";
}
