/*
 * The wheel's mechanics; see tcp_timer.h. What a timer means is in tcp_expire.c.
 *
 * Lists are doubly linked through connection indexes. The first node's `prev` names its list instead of a
 * node, so that moving a whole list touches one node only.
 */
#include "dataplane/net/tcp_timer.h"

#include "dataplane/net/tcp_stack.h"

#define LIST_BIT  0x80000000u /* in prev: the rest is a list number */
#define SLOT_BITS 6u

void
tcp_wheel_init(struct tcp_wheel *wheel, uint32_t tick)
{
	memset(wheel, 0, sizeof(*wheel));
	for (unsigned i = 0; i <= TCP_WHEEL_PENDING; i++)
		wheel->heads[i] = TCP_INDEX_NONE;
	wheel->tick = tick;
}

static void
push(struct tcp_stack *tcp, struct tcp_conn *c, uint32_t list)
{
	struct tcp_wheel *wheel = &tcp->wheel;
	c->more |= TCP_M_TIMER;
	c->timer_prev = LIST_BIT | list;
	c->timer_next = wheel->heads[list];
	if (c->timer_next != TCP_INDEX_NONE)
		tcp_conn_at(tcp, c->timer_next)->timer_prev = c->index;
	wheel->heads[list] = c->index;
	if (list < TCP_WHEEL_PENDING)
		wheel->busy[list / TCP_WHEEL_SLOTS] |= 1ull << (list % TCP_WHEEL_SLOTS);
	wheel->armed++;
}

void
tcp_timer_disarm(struct tcp_conn *c)
{
	struct tcp_stack *tcp = c->tcp;
	struct tcp_wheel *wheel = &tcp->wheel;
	if (!(c->more & TCP_M_TIMER))
		return;
	if (c->timer_prev & LIST_BIT) {
		uint32_t list = c->timer_prev & ~LIST_BIT;
		wheel->heads[list] = c->timer_next;
		if (c->timer_next == TCP_INDEX_NONE && list < TCP_WHEEL_PENDING)
			wheel->busy[list / TCP_WHEEL_SLOTS] &= ~(1ull << (list % TCP_WHEEL_SLOTS));
	} else {
		tcp_conn_at(tcp, c->timer_prev)->timer_next = c->timer_next;
	}
	if (c->timer_next != TCP_INDEX_NONE)
		tcp_conn_at(tcp, c->timer_next)->timer_prev = c->timer_prev;
	c->more &= (uint16_t)~TCP_M_TIMER;
	wheel->armed--;
}

void
tcp_timer_arm(struct tcp_conn *c, uint32_t at)
{
	struct tcp_wheel *wheel = &c->tcp->wheel;
	if (tcp_timer_before(c, at))
		return;
	tcp_timer_disarm(c);
	if (tcp_seq_le(at, wheel->tick))
		at = wheel->tick + 1;
	uint32_t delta = at - wheel->tick, level = 0;
	while (level < TCP_WHEEL_LEVELS - 1 && delta >> (SLOT_BITS * (level + 1)))
		level++;
	if (delta >> (SLOT_BITS * TCP_WHEEL_LEVELS))
		at = wheel->tick + (1u << (SLOT_BITS * TCP_WHEEL_LEVELS)) - 1;
	c->timer_at = at;
	push(c->tcp, c, level * TCP_WHEEL_SLOTS + (at >> (SLOT_BITS * level) & (TCP_WHEEL_SLOTS - 1)));
}

/* Moves a slot's nodes to the pending list, which is empty. */
static void
splice(struct tcp_stack *tcp, uint32_t level)
{
	struct tcp_wheel *wheel = &tcp->wheel;
	uint32_t slot = wheel->tick >> (SLOT_BITS * level) & (TCP_WHEEL_SLOTS - 1);
	uint32_t *head = &wheel->heads[level * TCP_WHEEL_SLOTS + slot];
	if (*head == TCP_INDEX_NONE)
		return;
	tcp_conn_at(tcp, *head)->timer_prev = LIST_BIT | TCP_WHEEL_PENDING;
	wheel->heads[TCP_WHEEL_PENDING] = *head;
	*head = TCP_INDEX_NONE;
	wheel->busy[level] &= ~(1ull << slot);
}

/* Ticks until the next slot boundary where something waits; 0: nothing does. */
static uint32_t
distance(const struct tcp_wheel *wheel)
{
	uint32_t best = 0;
	for (uint32_t level = 0; level < TCP_WHEEL_LEVELS; level++) {
		if (!wheel->busy[level])
			continue;
		/* Distance 1 to 64 slots: the current slot stands for a whole turn ahead. */
		uint32_t shift = SLOT_BITS * level;
		unsigned from = ((wheel->tick >> shift) + 1) & (TCP_WHEEL_SLOTS - 1);
		uint64_t bits = from ? wheel->busy[level] >> from | wheel->busy[level] << (64 - from)
		                     : wheel->busy[level];
		uint32_t slots = (uint32_t)__builtin_ctzll(bits) + 1;
		uint32_t d = (((wheel->tick >> shift) + slots) << shift) - wheel->tick;
		if (!best || d < best)
			best = d;
	}
	return best;
}

/* Highest level whose slot begins at this tick, plus one. */
static uint32_t
levels_at(uint32_t tick)
{
	uint32_t level = 1;
	while (level < TCP_WHEEL_LEVELS && !(tick & ((1u << (SLOT_BITS * level)) - 1)))
		level++;
	return level;
}

static bool
drain(struct tcp_stack *tcp, unsigned *budget)
{
	struct tcp_wheel *wheel = &tcp->wheel;
	while (wheel->heads[TCP_WHEEL_PENDING] != TCP_INDEX_NONE) {
		if (*budget == 0)
			return false;
		(*budget)--;
		struct tcp_conn *c = tcp_conn_at(tcp, wheel->heads[TCP_WHEEL_PENDING]);
		tcp_timer_disarm(c);
		if (tcp_seq_le(c->timer_at, wheel->tick))
			tcp_expire(c);
		else
			tcp_timer_arm(c, c->timer_at);
	}
	return true;
}

bool
tcp_timers_run(struct tcp_stack *tcp)
{
	struct tcp_wheel *wheel = &tcp->wheel;
	unsigned budget = TCP_EXPIRIES_MAX;
	for (;;) {
		if (!drain(tcp, &budget))
			return true;
		if (wheel->level) {
			splice(tcp, --wheel->level);
			continue;
		}
		uint32_t d = distance(wheel);
		if (!d || tcp_seq_lt(tcp->tick, wheel->tick + d))
			break;
		wheel->tick += d;
		wheel->level = levels_at(wheel->tick);
	}
	wheel->tick = tcp->tick;
	return false;
}

bool
tcp_timers_next(const struct tcp_stack *tcp, uint32_t *tick)
{
	const struct tcp_wheel *wheel = &tcp->wheel;
	if (wheel->level || wheel->heads[TCP_WHEEL_PENDING] != TCP_INDEX_NONE) {
		*tick = wheel->tick;
		return true;
	}
	uint32_t d = distance(wheel);
	*tick = wheel->tick + d;
	return d != 0;
}

const char *
tcp_timers_check(const struct tcp_stack *tcp)
{
	const struct tcp_wheel *wheel = &tcp->wheel;
	uint32_t seen = 0;
	for (uint32_t list = 0; list <= TCP_WHEEL_PENDING; list++) {
		uint32_t prev = LIST_BIT | list;
		for (uint32_t i = wheel->heads[list]; i != TCP_INDEX_NONE;
		     i = tcp_conn_at(tcp, i)->timer_next) {
			const struct tcp_conn *c = tcp_conn_at(tcp, i);
			if (c->timer_prev != prev || c->index != i || !(c->more & TCP_M_TIMER))
				return "timer wheel: a link is broken";
			if (c->state == TCP_CLOSED)
				return "timer wheel: a closed connection is armed";
			if (++seen > wheel->armed)
				return "timer wheel: more nodes than armed";
			prev = i;
		}
		if (list < TCP_WHEEL_PENDING &&
		    (wheel->heads[list] != TCP_INDEX_NONE) !=
		        (wheel->busy[list / TCP_WHEEL_SLOTS] >> (list % TCP_WHEEL_SLOTS) & 1))
			return "timer wheel: the bitmap is wrong";
	}
	return seen == wheel->armed ? NULL : "timer wheel: the count is wrong";
}
