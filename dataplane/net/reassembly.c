/*
 * Fragments become datagrams; see reassembly.h for the bounds. The timeout is the same for all, so the list
 * by age is also the list by expiry, and pressure takes from the same end.
 */
#include "dataplane/net/reassembly.h"

#include "dataplane/net/pkt.h"

#define REASSEMBLY_BUCKETS   512u
#define REASSEMBLY_NIL       UINT16_MAX
#define REASSEMBLY_POLL_MAX  64u /* datagrams expired in one poll */
/* Buffers of one fragment: no port cuts a frame so fine, and 64 fragments stay below what one packet can
 * have. */
#define REASSEMBLY_SEGS_EACH 256u

_Static_assert(
    REASSEMBLY_SEGS_EACH *REASSEMBLY_PIECES_EACH < RTE_MBUF_MAX_NB_SEGS, "a datagram fits one packet");

struct piece {
	struct rte_mbuf *m; /* payload only */
	uint32_t start, end;
	uint16_t next; /* by start; or in the free list */
};

struct datagram {
	struct net_addr local, remote;
	rte_be32_t id;
	uint8_t key_proto;
	uint8_t iface;
	uint8_t proto; /* of the first fragment */
	bool ecn_ce;
	bool condemned;  /* overlapped: no pieces are kept */
	bool last_seen;  /* total is known */
	uint16_t pieces; /* list head, by start */
	uint16_t pieces_len;
	uint16_t next;         /* in the bucket; or in the free list */
	uint16_t older, newer; /* by arrival of the first fragment */
	uint32_t total;        /* payload bytes */
	uint32_t received;     /* of these; pieces never overlap */
	uint32_t bytes;        /* memory pinned */
	uint64_t expires_us;
};

struct reassembly {
	uint64_t secret[2];
	uint32_t bytes, bytes_max;
	uint16_t free_datagram, free_piece;
	uint16_t oldest, newest;
	uint16_t buckets[REASSEMBLY_BUCKETS];
	struct datagram datagrams[REASSEMBLY_DATAGRAMS];
	struct piece pieces[REASSEMBLY_PIECES];
};

struct reassembly *
reassembly_create(struct net_stack *stack, uint32_t bytes_max)
{
	struct reassembly *r = stack->env.alloc(stack->env.ctx, sizeof(*r));

	if (r == NULL)
		return NULL;
	r->secret[0] = stack->env.random(stack->env.ctx) | 1;
	r->secret[1] = stack->env.random(stack->env.ctx) | 1;
	r->bytes_max = bytes_max;
	r->oldest = r->newest = REASSEMBLY_NIL;
	for (unsigned i = 0; i < REASSEMBLY_BUCKETS; i++)
		r->buckets[i] = REASSEMBLY_NIL;
	for (unsigned i = 0; i < REASSEMBLY_DATAGRAMS; i++)
		r->datagrams[i].next = i + 1 < REASSEMBLY_DATAGRAMS ? (uint16_t)(i + 1) : REASSEMBLY_NIL;
	for (unsigned i = 0; i < REASSEMBLY_PIECES; i++)
		r->pieces[i].next = i + 1 < REASSEMBLY_PIECES ? (uint16_t)(i + 1) : REASSEMBLY_NIL;
	return r;
}

static uint16_t *
reassembly_bucket(struct reassembly *r, const struct net_addr *remote, rte_be32_t id, uint8_t key_proto)
{
	uint64_t h = (remote->q[0] ^ remote->q[1] * 3) * r->secret[0];
	h ^= ((uint64_t)id << 8 | key_proto) * r->secret[1];
	return &r->buckets[((h ^ h >> 32) * 0x9e3779b97f4a7c15u >> 55) & (REASSEMBLY_BUCKETS - 1)];
}

static struct datagram *
reassembly_find(struct reassembly *r, const struct ip_rx *rx, const struct fragment *f)
{
	for (uint16_t i = *reassembly_bucket(r, &rx->flow.remote, f->id, f->key_proto); i != REASSEMBLY_NIL;
	     i = r->datagrams[i].next) {
		struct datagram *d = &r->datagrams[i];
		if (d->id == f->id && d->key_proto == f->key_proto && d->iface == rx->flow.iface &&
		    net_addr_equal(&d->remote, &rx->flow.remote) &&
		    net_addr_equal(&d->local, &rx->flow.local))
			return d;
	}
	return NULL;
}

/* Frees the pieces, and the packets in them unless those were taken over. Returns how many there were. */
static unsigned
datagram_clear(struct reassembly *r, struct datagram *d, bool free_packets)
{
	const unsigned len = d->pieces_len;

	for (uint16_t i = d->pieces, next; i != REASSEMBLY_NIL; i = next) {
		struct piece *p = &r->pieces[i];
		next = p->next;
		if (free_packets)
			rte_pktmbuf_free(p->m);
		p->m = NULL;
		p->next = r->free_piece;
		r->free_piece = i;
	}
	r->bytes -= d->bytes;
	d->bytes = 0;
	d->pieces = REASSEMBLY_NIL;
	d->pieces_len = 0;
	return len;
}

/* Takes an empty datagram out of the bucket and the list by age. */
static void
datagram_remove(struct reassembly *r, struct datagram *d)
{
	const uint16_t index = (uint16_t)(d - r->datagrams);
	uint16_t *link = reassembly_bucket(r, &d->remote, d->id, d->key_proto);

	while (*link != index)
		link = &r->datagrams[*link].next;
	*link = d->next;
	*(d->older != REASSEMBLY_NIL ? &r->datagrams[d->older].newer : &r->oldest) = d->newer;
	*(d->newer != REASSEMBLY_NIL ? &r->datagrams[d->newer].older : &r->newest) = d->older;
	d->next = r->free_datagram;
	r->free_datagram = index;
}

static void
reassembly_drop_oldest(struct net_stack *stack)
{
	struct reassembly *r = stack->reassembly;
	struct datagram *d = &r->datagrams[r->oldest];

	stack->counters.drop_fragment_memory += datagram_clear(r, d, true);
	datagram_remove(r, d);
}

void
reassembly_destroy(struct net_stack *stack)
{
	struct reassembly *r = stack->reassembly;

	if (r == NULL)
		return;
	while (r->oldest != REASSEMBLY_NIL)
		reassembly_drop_oldest(stack);
	stack->env.free(stack->env.ctx, r, sizeof(*r));
	stack->reassembly = NULL;
}

/* There is a free slot: reassembly_make_room() saw to it. */
static struct datagram *
datagram_create(struct net_stack *stack, const struct ip_rx *rx, const struct fragment *f)
{
	struct reassembly *r = stack->reassembly;
	const uint16_t index = r->free_datagram;
	struct datagram *d = &r->datagrams[index];
	uint16_t *bucket = reassembly_bucket(r, &rx->flow.remote, f->id, f->key_proto);

	r->free_datagram = d->next;
	*d = (struct datagram){
	    .local = rx->flow.local,
	    .remote = rx->flow.remote,
	    .id = f->id,
	    .key_proto = f->key_proto,
	    .iface = rx->flow.iface,
	    .pieces = REASSEMBLY_NIL,
	    .next = *bucket,
	    .older = r->newest,
	    .newer = REASSEMBLY_NIL,
	    .expires_us = stack->now_us + REASSEMBLY_TIMEOUT_US,
	};
	*bucket = index;
	*(r->newest != REASSEMBLY_NIL ? &r->datagrams[r->newest].newer : &r->oldest) = index;
	r->newest = index;
	return d;
}

/* Drops the oldest until one more piece of so many bytes fits; false if it never will. */
static bool
reassembly_make_room(struct net_stack *stack, uint32_t bytes)
{
	struct reassembly *r = stack->reassembly;

	if (bytes > r->bytes_max)
		return false;
	while (r->bytes > r->bytes_max - bytes || r->free_piece == REASSEMBLY_NIL ||
	       r->free_datagram == REASSEMBLY_NIL)
		reassembly_drop_oldest(stack);
	return true;
}

static void
datagram_condemn(struct net_stack *stack, struct datagram *d, struct rte_mbuf *m)
{
	stack->counters.drop_fragment_overlap += datagram_clear(stack->reassembly, d, true);
	d->condemned = true;
	NET_DROP_PKT(stack, fragment_overlap, m);
}

enum placing { PLACE_OK, PLACE_DUPLICATE, PLACE_OVERLAP };

/* Finds the link where [start, end) belongs. */
static enum placing
datagram_place(struct reassembly *r, struct datagram *d, uint32_t start, uint32_t end, uint16_t **link)
{
	for (*link = &d->pieces; **link != REASSEMBLY_NIL; *link = &r->pieces[**link].next) {
		const struct piece *p = &r->pieces[**link];
		if (p->start == start && p->end == end)
			return PLACE_DUPLICATE;
		if (end <= p->start)
			break;
		if (start < p->end)
			return PLACE_OVERLAP;
	}
	return PLACE_OK;
}

/* Whether the piece agrees with where others said that the datagram ends; learns it from the last one. */
static bool
datagram_total_agrees(const struct reassembly *r, struct datagram *d, uint32_t end, bool more)
{
	if (d->last_seen)
		return more ? end <= d->total : end == d->total;
	if (more)
		return true;
	for (uint16_t i = d->pieces; i != REASSEMBLY_NIL; i = r->pieces[i].next)
		if (r->pieces[i].end > end)
			return false;
	d->last_seen = true;
	d->total = end;
	return true;
}

static void
datagram_add(struct reassembly *r, struct datagram *d, uint16_t *link, struct rte_mbuf *m, uint32_t start,
    uint32_t end)
{
	const uint16_t index = r->free_piece;
	const uint32_t bytes = pkt_true_bytes(m);

	r->free_piece = r->pieces[index].next;
	r->pieces[index] = (struct piece){.m = m, .start = start, .end = end, .next = *link};
	*link = index;
	d->pieces_len++;
	d->received += end - start;
	d->bytes += bytes;
	r->bytes += bytes;
}

/* All pieces in order as one packet, which replaces rx->m. */
static void
datagram_finish(struct net_stack *stack, struct datagram *d, struct ip_rx *rx)
{
	struct reassembly *r = stack->reassembly;
	struct rte_mbuf *head = r->pieces[d->pieces].m; /* complete, so there is a first piece */

	for (uint16_t i = r->pieces[d->pieces].next; i != REASSEMBLY_NIL; i = r->pieces[i].next)
		pkt_join(head, r->pieces[i].m); /* within its limit: REASSEMBLY_SEGS_EACH */
	/* The port's verdicts were about single fragments. */
	pkt_clear_offloads(head);
	rx->m = head;
	rx->l3_off = IP_QUOTE_NONE;
	rx->l4_off = 0;
	rx->l4_len = d->total;
	rx->proto = d->proto;
	rx->ecn_ce = d->ecn_ce;
	datagram_clear(r, d, false);
	datagram_remove(r, d);
	NET_COUNT(stack, reassembled);
}

bool
reassembly_input(struct net_stack *stack, struct ip_rx *rx, const struct fragment *f)
{
	struct reassembly *r = stack->reassembly;
	const uint32_t start = f->offset, end = start + rx->l4_len;
	uint16_t *link;

	NET_COUNT(stack, fragments_rx);
	if (rx->l4_len == 0 || end > UINT16_MAX || (f->more && rx->l4_len % 8 != 0) ||
	    rx->m->nb_segs > REASSEMBLY_SEGS_EACH) {
		NET_DROP_PKT(stack, fragment_malformed, rx->m);
		return false;
	}
	pkt_cut(rx->m, rx->l4_off, rx->l4_len);
	if (!reassembly_make_room(stack, pkt_true_bytes(rx->m))) {
		NET_DROP_PKT(stack, fragment_memory, rx->m);
		return false;
	}
	struct datagram *d = reassembly_find(r, rx, f);
	if (d == NULL)
		d = datagram_create(stack, rx, f);
	if (d->condemned) {
		NET_DROP_PKT(stack, fragment_overlap, rx->m);
		return false;
	}
	const enum placing placing = datagram_place(r, d, start, end, &link);
	if (placing == PLACE_DUPLICATE) {
		NET_DROP_PKT(stack, fragment_duplicate, rx->m);
		return false;
	}
	if (placing == PLACE_OVERLAP || !datagram_total_agrees(r, d, end, f->more)) {
		datagram_condemn(stack, d, rx->m);
		return false;
	}
	if (d->pieces_len == REASSEMBLY_PIECES_EACH) {
		stack->counters.drop_fragment_count += 1u + datagram_clear(r, d, true);
		d->condemned = true;
		rte_pktmbuf_free(rx->m);
		return false;
	}
	datagram_add(r, d, link, rx->m, start, end);
	d->ecn_ce |= rx->ecn_ce;
	if (start == 0)
		d->proto = rx->proto;
	if (!d->last_seen || d->received != d->total)
		return false;
	datagram_finish(stack, d, rx);
	return true;
}

uint64_t
reassembly_poll(struct net_stack *stack)
{
	struct reassembly *r = stack->reassembly;

	for (unsigned n = 0; r->oldest != REASSEMBLY_NIL; n++) {
		struct datagram *d = &r->datagrams[r->oldest];
		if (stack->now_us < d->expires_us)
			return d->expires_us - stack->now_us;
		if (n == REASSEMBLY_POLL_MAX)
			return 0;
		stack->counters.drop_fragment_timeout += datagram_clear(r, d, true);
		datagram_remove(r, d);
	}
	return UINT64_MAX;
}

uint32_t
reassembly_bytes(const struct net_stack *stack)
{
	return stack->reassembly->bytes;
}

const char *
reassembly_check(const struct net_stack *stack)
{
	const struct reassembly *r = stack->reassembly;
	uint64_t bytes = 0, last_us = 0;
	unsigned datagrams = 0, pieces = 0;

	for (uint16_t i = r->oldest; i != REASSEMBLY_NIL; i = r->datagrams[i].newer) {
		const struct datagram *d = &r->datagrams[i];
		uint32_t held = 0, end = 0, received = 0;
		if (++datagrams > REASSEMBLY_DATAGRAMS)
			return "list by age loops";
		if (d->expires_us < last_us)
			return "list by age out of order";
		last_us = d->expires_us;
		for (uint16_t p = d->pieces; p != REASSEMBLY_NIL; p = r->pieces[p].next) {
			if (++pieces > REASSEMBLY_PIECES)
				return "pieces loop";
			if (r->pieces[p].start < end)
				return "pieces overlap";
			end = r->pieces[p].end;
			received += end - r->pieces[p].start;
			held += pkt_true_bytes(r->pieces[p].m);
		}
		if (held != d->bytes || (!d->condemned && received != d->received))
			return "datagram miscounted";
		bytes += held;
	}
	if (bytes != r->bytes || r->bytes > r->bytes_max)
		return "memory miscounted or over its bound";
	return NULL;
}
