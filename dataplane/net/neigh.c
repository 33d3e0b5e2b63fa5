/*
 * Neighbour unreachability detection and address resolution for both families; see neigh.h for the states.
 * Knows neither ARP's nor NDP's format: it asks through arp_request() and ndp_solicit() and hears through
 * neigh_learn().
 *
 * Only entries in INCOMPLETE, DELAY and PROBE have a running timer. They are few, so they stand in an
 * unordered array that is walked when the earliest is due; REACHABLE ages when it is used.
 */
#include "dataplane/net/neigh.h"

#include <assert.h>

#define NEIGH_BUCKETS      1024u
#define NEIGH_NIL          UINT16_MAX
#define NEIGH_EVICT_WINDOW 32u /* entries compared to find one long unused */

struct neigh {
	struct net_addr addr;
	uint64_t due_us;  /* end of REACHABLE; next step of the timed states */
	uint64_t used_us; /* last packet sent; 0 never */
	uint64_t echoed_us;
	struct rte_ether_addr mac;
	uint16_t next; /* in the bucket, or in the free list */
	uint8_t iface;
	uint8_t state; /* enum neigh_state */
	uint8_t tries;
	uint8_t queue_len;
	uint8_t missed; /* requests in a row that found no buffer */
	bool timed;     /* stands in timed[] */
	bool gateway;
	struct rte_mbuf *queue[NEIGH_QUEUE_MAX]; /* IP packets, oldest first */
} __rte_cache_aligned;

_Static_assert(sizeof(struct neigh) == 128, "two cache lines: sending reads the first");
_Static_assert(offsetof(struct neigh, queue_len) < 64, "sending reads the first line only");

struct neigh_table {
	uint64_t secret[2];
	uint64_t due_us; /* no timed entry is due before; UINT64_MAX none */
	uint16_t free;   /* list head */
	uint16_t hand;   /* where the search for a victim goes on */
	uint16_t incomplete_len;
	uint16_t timed_len;
	uint16_t last; /* entry found last: a burst goes to few hops, mostly to one gateway */
	uint16_t timed[NEIGH_ENTRIES];
	uint16_t buckets[NEIGH_BUCKETS];
	struct neigh entries[NEIGH_ENTRIES];
};

struct neigh_table *
neigh_create(struct net_stack *stack)
{
	struct neigh_table *t = stack->env.alloc(stack->env.ctx, sizeof(*t));

	if (t == NULL)
		return NULL;
	t->secret[0] = stack->env.random(stack->env.ctx) | 1;
	t->secret[1] = stack->env.random(stack->env.ctx) | 1;
	t->due_us = UINT64_MAX;
	for (unsigned i = 0; i < NEIGH_BUCKETS; i++)
		t->buckets[i] = NEIGH_NIL;
	for (unsigned i = 0; i < NEIGH_ENTRIES; i++)
		t->entries[i].next = i + 1 < NEIGH_ENTRIES ? (uint16_t)(i + 1) : NEIGH_NIL;
	return t;
}

void
neigh_destroy(struct net_stack *stack)
{
	struct neigh_table *t = stack->neigh;

	if (t == NULL)
		return;
	for (unsigned i = 0; i < NEIGH_ENTRIES; i++)
		rte_pktmbuf_free_bulk(t->entries[i].queue, t->entries[i].queue_len);
	stack->env.free(stack->env.ctx, t, sizeof(*t));
	stack->neigh = NULL;
}

/* Keyed, so that a peer cannot choose addresses that share a bucket. */
static inline uint16_t *
neigh_bucket(struct neigh_table *t, uint8_t iface, const struct net_addr *addr)
{
	const uint64_t h = (addr->q[0] + iface) * t->secret[0] ^ addr->q[1] * t->secret[1];
	return &t->buckets[(h ^ h >> 32) * 0x9e3779b97f4a7c15u >> 54 & (NEIGH_BUCKETS - 1)];
}

static inline bool
neigh_is(const struct neigh *e, uint8_t iface, const struct net_addr *addr)
{
	return e->iface == iface && net_addr_equal(&e->addr, addr);
}

static inline struct neigh *
neigh_find(struct neigh_table *t, uint8_t iface, const struct net_addr *addr)
{
	struct neigh *last = &t->entries[t->last];

	if (likely(neigh_is(last, iface, addr) && last->state != NEIGH_NONE))
		return last;
	for (uint16_t i = *neigh_bucket(t, iface, addr); i != NEIGH_NIL; i = t->entries[i].next)
		if (neigh_is(&t->entries[i], iface, addr)) {
			t->last = i;
			return &t->entries[i];
		}
	return NULL;
}

static void
neigh_set_state(struct neigh_table *t, struct neigh *e, enum neigh_state state, uint64_t due_us)
{
	t->incomplete_len =
	    (uint16_t)(t->incomplete_len + (state == NEIGH_INCOMPLETE) - (e->state == NEIGH_INCOMPLETE));
	e->state = (uint8_t)state;
	e->due_us = due_us;
	if (state != NEIGH_INCOMPLETE && state != NEIGH_DELAY && state != NEIGH_PROBE)
		return; /* if it is in timed[], the next walk takes it out */
	t->due_us = RTE_MIN(t->due_us, due_us);
	if (!e->timed) {
		e->timed = true;
		t->timed[t->timed_len++] = (uint16_t)(e - t->entries);
	}
}

static void
neigh_remove(struct net_stack *stack, struct neigh *e)
{
	struct neigh_table *t = stack->neigh;
	const uint16_t index = (uint16_t)(e - t->entries);
	uint16_t *link = neigh_bucket(t, e->iface, &e->addr);

	stack->counters.drop_neigh_unresolved += e->queue_len;
	rte_pktmbuf_free_bulk(e->queue, e->queue_len);
	e->queue_len = 0;
	neigh_set_state(t, e, NEIGH_NONE, 0);
	while (*link != index)
		link = &t->entries[*link].next;
	*link = e->next;
	e->next = t->free;
	t->free = index;
}

/* Frees the longest unused entry of the next few that may go; false if none may. */
static bool
neigh_evict(struct net_stack *stack)
{
	struct neigh_table *t = stack->neigh;
	struct neigh *victim = NULL;

	for (unsigned i = 0; i < NEIGH_EVICT_WINDOW; i++) {
		struct neigh *e = &t->entries[t->hand];
		t->hand = (uint16_t)((t->hand + 1) % NEIGH_ENTRIES);
		if (e->gateway || e->state == NEIGH_NONE || e->state == NEIGH_INCOMPLETE ||
		    e->state == NEIGH_PROBE)
			continue;
		if (victim == NULL || e->used_us < victim->used_us)
			victim = e;
	}
	if (victim == NULL)
		return false;
	NET_COUNT(stack, neigh_evicted);
	neigh_remove(stack, victim);
	return true;
}

static bool
neigh_is_gateway(const struct iface *ifc, const struct net_addr *addr)
{
	return net_addr_equal(addr, &ifc->conf.gateway4) || net_addr_equal(addr, &ifc->conf.gateway6);
}

static struct neigh *
neigh_new_or_null(struct net_stack *stack, const struct iface *ifc, const struct net_addr *addr)
{
	struct neigh_table *t = stack->neigh;

	if (t->free == NEIGH_NIL && !neigh_evict(stack))
		return NULL;
	struct neigh *e = &t->entries[t->free];
	uint16_t *bucket = neigh_bucket(t, ifc->index, addr);
	const bool timed = e->timed; /* its place in timed[] outlives the entry */
	const uint16_t index = t->free;

	t->free = e->next;
	*e = (struct neigh){.addr = *addr, .iface = ifc->index, .timed = timed, .next = *bucket};
	e->gateway = neigh_is_gateway(ifc, addr);
	*bucket = index;
	NET_COUNT(stack, neigh_created);
	return e;
}

/*
 * Asks, by unicast where the address is known. Without a buffer the same step comes again soon; but a second of that counts as
 * a try, since it may be what waits for neighbours that holds all buffers.
 */
static void
neigh_ask(struct net_stack *stack, struct neigh *e)
{
	const struct iface *ifc = &stack->ifaces[e->iface];
	const struct rte_ether_addr *dst = e->state == NEIGH_PROBE ? &e->mac : NULL;
	const bool sent = net_addr_is_v4(&e->addr) ? arp_request(stack, ifc, net_addr_get_v4(&e->addr), dst)
	                                           : ndp_solicit(stack, ifc, &e->addr, dst);

	e->missed = sent ? 0 : e->missed + 1;
	if (unlikely(e->missed > NEIGH_MISSED_MAX)) {
		e->missed = 0;
		e->tries++;
	}
	e->tries = (uint8_t)(e->tries + sent);
	neigh_set_state(
	    stack->neigh, e, e->state, stack->now_us + (sent ? NEIGH_RETRY_US : NEIGH_NO_MBUF_US));
}

static inline void
neigh_send(struct net_stack *stack, const struct neigh *e, struct rte_mbuf *m)
{
	const rte_be16_t type =
	    net_addr_is_v4(&e->addr) ? RTE_BE16(RTE_ETHER_TYPE_IPV4) : RTE_BE16(RTE_ETHER_TYPE_IPV6);
	eth_output(stack, &stack->ifaces[e->iface], m, &e->mac, type);
}

/* A packet goes to an entry that is not freshly reachable: its age shows now. */
static __rte_noinline void
neigh_age(struct net_stack *stack, struct neigh *e)
{
	if (e->state == NEIGH_REACHABLE && stack->now_us >= e->due_us)
		neigh_set_state(stack->neigh, e, NEIGH_STALE, 0);
	if (e->state == NEIGH_STALE)
		neigh_set_state(stack->neigh, e, NEIGH_DELAY, stack->now_us + NEIGH_DELAY_US);
}

static __rte_noinline void
neigh_enqueue(struct net_stack *stack, const struct iface *ifc, const struct net_addr *hop, struct neigh *e,
    struct rte_mbuf *m)
{
	if (e == NULL) {
		if (stack->neigh->incomplete_len < NEIGH_INCOMPLETE_MAX || neigh_is_gateway(ifc, hop))
			e = neigh_new_or_null(stack, ifc, hop);
		if (e == NULL) {
			NET_DROP_PKT(stack, neigh_full, m);
			return;
		}
		neigh_set_state(stack->neigh, e, NEIGH_INCOMPLETE, 0);
		neigh_ask(stack, e);
	}
	if (e->queue_len == NEIGH_QUEUE_MAX) {
		NET_DROP_PKT(stack, neigh_queue, e->queue[0]);
		memmove(&e->queue[0], &e->queue[1], (NEIGH_QUEUE_MAX - 1) * sizeof(e->queue[0]));
		e->queue_len--;
	}
	e->queue[e->queue_len++] = m;
}

const struct rte_ether_addr *
neigh_known(struct net_stack *stack, const struct iface *ifc, const struct net_addr *hop)
{
	struct neigh *e = neigh_find(stack->neigh, ifc->index, hop);

	if (unlikely(e == NULL || e->state == NEIGH_INCOMPLETE))
		return NULL;
	e->used_us = stack->now_us;
	if (unlikely(e->state != NEIGH_REACHABLE || stack->now_us >= e->due_us))
		neigh_age(stack, e);
	return &e->mac;
}

void
neigh_output(struct net_stack *stack, const struct iface *ifc, const struct net_addr *hop, struct rte_mbuf *m)
{
	struct neigh *e = neigh_find(stack->neigh, ifc->index, hop);

	if (unlikely(e == NULL || e->state == NEIGH_INCOMPLETE)) {
		neigh_enqueue(stack, ifc, hop, e, m);
		return;
	}
	e->used_us = stack->now_us;
	if (unlikely(e->state != NEIGH_REACHABLE || stack->now_us >= e->due_us))
		neigh_age(stack, e);
	neigh_send(stack, e, m);
}

static void
neigh_send_queue(struct net_stack *stack, struct neigh *e)
{
	const unsigned len = e->queue_len;

	if (len == 0)
		return;
	e->queue_len = 0;
	e->used_us = stack->now_us;
	neigh_age(stack, e);
	for (unsigned i = 0; i < len; i++)
		neigh_send(stack, e, e->queue[i]);
}

/* Tells the other workers news at once, and repeated confirmations (which they may be waiting for) now and
 * then. */
static void
neigh_echo(struct net_stack *stack, struct neigh *e, bool changed)
{
	if (stack->env.neigh_learned == NULL)
		return;
	if (!changed && e->echoed_us != 0 && stack->now_us - e->echoed_us < NEIGH_ECHO_US)
		return;
	e->echoed_us = stack->now_us;
	stack->env.neigh_learned(stack->env.ctx, e->iface, &e->addr, &e->mac);
}

void
neigh_learn(struct net_stack *stack, const struct iface *ifc, const struct net_addr *addr,
    const struct rte_ether_addr *mac, unsigned flags)
{
	struct neigh *e = neigh_find(stack->neigh, ifc->index, addr);

	if (e == NULL && mac != NULL && (flags & NEIGH_CREATE))
		e = neigh_new_or_null(stack, ifc, addr);
	if (e == NULL)
		return;
	const bool known = e->state != NEIGH_NONE && e->state != NEIGH_INCOMPLETE;
	if (mac == NULL) {
		if (!known)
			return;
		mac = &e->mac;
	}
	const bool changed = !known || !rte_is_same_ether_addr(&e->mac, mac);
	if (known && changed && !(flags & NEIGH_OVERRIDE)) {
		/* RFC 4861 section 7.2.5: doubt the entry, keep it. */
		if (e->state == NEIGH_REACHABLE)
			neigh_set_state(stack->neigh, e, NEIGH_STALE, 0);
		return;
	}
	if (known && changed)
		NET_COUNT(stack, neigh_changed);
	if (changed)
		e->mac = *mac;
	if (flags & NEIGH_SOLICITED)
		neigh_set_state(stack->neigh, e, NEIGH_REACHABLE, stack->now_us + NEIGH_REACHABLE_US);
	else if (changed)
		neigh_set_state(stack->neigh, e, NEIGH_STALE, 0);
	if (changed || (flags & NEIGH_SOLICITED)) {
		e->tries = 0;
		if (!(flags & NEIGH_REMOTE))
			neigh_echo(stack, e, changed);
	}
	neigh_send_queue(stack, e);
}

static void
neigh_step(struct net_stack *stack, struct neigh *e)
{
	if (e->state == NEIGH_DELAY) {
		e->tries = 0;
		neigh_set_state(stack->neigh, e, NEIGH_PROBE, 0);
	}
	if (e->tries >= NEIGH_TRIES_MAX) {
		NET_COUNT(stack, neigh_failed);
		neigh_remove(stack, e);
		return;
	}
	neigh_ask(stack, e);
}

static inline bool
neigh_is_timed(const struct neigh *e)
{
	return e->state == NEIGH_INCOMPLETE || e->state == NEIGH_DELAY || e->state == NEIGH_PROBE;
}

uint64_t
neigh_poll(struct net_stack *stack)
{
	struct neigh_table *t = stack->neigh;
	uint64_t due_us = UINT64_MAX;

	if (likely(stack->now_us < t->due_us))
		return t->due_us == UINT64_MAX ? UINT64_MAX : t->due_us - stack->now_us;
	for (unsigned i = 0; i < t->timed_len;) {
		struct neigh *e = &t->entries[t->timed[i]];
		if (neigh_is_timed(e) && stack->now_us >= e->due_us)
			neigh_step(stack, e);
		if (!neigh_is_timed(e)) {
			e->timed = false;
			t->timed[i] = t->timed[--t->timed_len];
			continue;
		}
		due_us = RTE_MIN(due_us, e->due_us);
		i++;
	}
	t->due_us = due_us;
	return due_us == UINT64_MAX ? UINT64_MAX : due_us - stack->now_us;
}

enum neigh_state
neigh_state(const struct net_stack *stack, uint8_t iface, const struct net_addr *addr)
{
	const struct neigh *e = neigh_find(stack->neigh, iface, addr);
	return e != NULL ? (enum neigh_state)e->state : NEIGH_NONE;
}

const char *
neigh_check(const struct net_stack *stack)
{
	struct neigh_table *t = stack->neigh;
	unsigned used = 0, unused = 0, incomplete = 0;

	for (unsigned b = 0; b < NEIGH_BUCKETS; b++)
		for (uint16_t i = t->buckets[b]; i != NEIGH_NIL; i = t->entries[i].next) {
			struct neigh *e = &t->entries[i];
			if (++used > NEIGH_ENTRIES)
				return "bucket chain loops";
			if (neigh_bucket(t, e->iface, &e->addr) != &t->buckets[b])
				return "entry in the wrong bucket";
			if (e->state == NEIGH_NONE)
				return "freed entry in a bucket";
			if (e->queue_len > 0 && e->state != NEIGH_INCOMPLETE)
				return "packets wait for a known neighbour";
			if (neigh_is_timed(e) && (!e->timed || e->due_us < t->due_us))
				return "timer not running";
			incomplete += e->state == NEIGH_INCOMPLETE;
		}
	for (uint16_t i = t->free; i != NEIGH_NIL; i = t->entries[i].next)
		if (++unused > NEIGH_ENTRIES)
			return "free list loops";
	if (used + unused != NEIGH_ENTRIES)
		return "entries lost";
	if (incomplete != t->incomplete_len)
		return "unresolved entries miscounted";
	return NULL;
}
