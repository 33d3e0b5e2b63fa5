/*
 * A hierarchical timing wheel (Varghese, Lauck 1987), lazy: one node a connection, whose place is never later
 * than its earliest deadline. Moving a deadline later costs nothing; the node finds out when its old place
 * comes up.
 *
 *   level   slots   a slot is     reaches
 *     0      64      256 us        16 ms
 *     1      64       16 ms         1 s
 *     2      64        1 s         67 s
 *     3      64       67 s         71 min
 *
 * Work in one poll is bounded, cascades included: a slot is moved to the `pending` list and drained from
 * there.
 */
#ifndef WIRECACHE_TCP_TIMER_H
#define WIRECACHE_TCP_TIMER_H

#include <stdbool.h>
#include <stdint.h>

struct tcp_stack;
struct tcp_conn;

#define TCP_WHEEL_LEVELS  4u
#define TCP_WHEEL_SLOTS   64u
#define TCP_WHEEL_PENDING (TCP_WHEEL_LEVELS * TCP_WHEEL_SLOTS) /* number of the extra list */

struct tcp_wheel {
	uint32_t heads[TCP_WHEEL_LEVELS * TCP_WHEEL_SLOTS + 1];
	uint64_t busy[TCP_WHEEL_LEVELS]; /* slots that are not empty */
	uint32_t tick;                   /* all before and at this one has run, except what is pending */
	uint32_t level;                  /* levels still to splice at this tick */
	uint32_t armed;                  /* nodes */
};

void tcp_wheel_init(struct tcp_wheel *wheel, uint32_t tick);

/* Makes sure that the connection is looked at no later than this tick. */
void tcp_timer_arm(struct tcp_conn *c, uint32_t at);
void tcp_timer_disarm(struct tcp_conn *c);

/* Runs tcp_expire() for connections whose place is reached, TCP_EXPIRIES_MAX at most. True: more are due
 * now. */
bool tcp_timers_run(struct tcp_stack *tcp);
/* The next tick at which something may be due; false: nothing armed. */
bool tcp_timers_next(const struct tcp_stack *tcp, uint32_t *tick);
const char *tcp_timers_check(const struct tcp_stack *tcp);

/* ---- tcp_expire.c ----------------------------------------------------------------------------- */

/* A connection's place came up: does what is due, if anything still is, and arms for the next deadline. */
void tcp_expire(struct tcp_conn *c);
/* After deadlines changed: arms for the earliest one. */
void tcp_timer_update(struct tcp_conn *c);

#endif
