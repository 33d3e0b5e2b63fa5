/*
 * The stack as its neighbours see it: creation, clock, flush, and the calls of the application. See tcp.h for
 * the contract and tcp_stack.h for the map of the files.
 */
#include "dataplane/net/tcp.h"

#include <errno.h>

#include "dataplane/net/tcp_cookie.h"
#include "dataplane/net/tcp_fast.h"
#include "dataplane/net/tcp_in.h"
#include "dataplane/net/tcp_out.h"
#include "dataplane/net/tcp_recover.h"
#include "dataplane/net/tcp_rx.h"
#include "dataplane/net/tcp_sack.h"
#include "dataplane/net/tcp_sendq.h"
#include "dataplane/net/tcp_spare.h"
#include "dataplane/net/tcp_stack.h"

#define PRESSURE_PERCENT    75u
#define PRESSURE_ROOM_BYTES 32768u
#define BLOCKED_RETRY_US    1000u
#define BUFFER_BYTES_MAX    (1u << 30)

void
tcp_config_default(struct tcp_config *config)
{
	*config = (struct tcp_config){
	    .connections_max = 65536,
	    .syn_backlog_max = 4096,
	    .time_wait_max = 16384,
	    .memory_bytes_max = 256u << 20,
	    .rcv_buffer_bytes = 256u << 10,
	    .snd_buffer_bytes = 256u << 10,
	    .rto_min_us = 200000,
	    .delayed_ack_us = 40000,
	    .time_wait_us = 60000000,
	    .fin_wait2_us = 60000000,
	    .keepalive_idle_us = 60000000,
	    .keepalive_interval_us = 10000000,
	    .keepalive_probes = 6,
	    .user_timeout_us = 120000000,
	    .mbuf_reserve = 16,
	};
}

static bool
config_valid(const struct tcp_config *config)
{
	return config->connections_max && config->connections_max < 1u << 28 &&
	       config->syn_backlog_max < 1u << 28 && config->time_wait_max < 1u << 28 &&
	       config->rcv_buffer_bytes && config->snd_buffer_bytes &&
	       config->mbuf_reserve <= TCP_RESERVE_MAX && config->rcv_buffer_bytes <= BUFFER_BYTES_MAX &&
	       config->snd_buffer_bytes <= BUFFER_BYTES_MAX;
}

static uint8_t
window_scale(uint32_t buffer_bytes)
{
	uint8_t shift = 0;
	while (shift < TCP_WSCALE_MAX && 65535u << shift < buffer_bytes)
		shift++;
	return shift;
}

static void
draw_secrets(struct tcp_stack *tcp)
{
	uint64_t *words = (uint64_t *)&tcp->secrets;
	for (size_t i = 0; i < sizeof(tcp->secrets) / sizeof(*words); i++)
		words[i] = tcp->env.random(tcp->env.ctx);
}

static void
init_lists(struct tcp_stack *tcp)
{
	struct tcp_mini_list none = {TCP_INDEX_NONE, TCP_INDEX_NONE, 0};
	for (unsigned i = 0; i <= TCP_SYN_RETRIES; i++)
		tcp->syn_lists[i] = none;
	tcp->tw_list = none;
	tcp->touched_head = tcp->dead_head = TCP_INDEX_NONE;
}

struct tcp_stack *
tcp_create(const struct tcp_config *config, const struct tcp_env *env, const struct tcp_app *app,
    uint64_t now_us, struct net_counters *counters)
{
	if (!config_valid(config))
		return NULL;
	struct tcp_stack *tcp = env->alloc(env->ctx, sizeof(*tcp));
	if (!tcp)
		return NULL;
	tcp->config = *config;
	tcp->env = *env;
	tcp->app = *app;
	tcp->counters = counters;
	tcp->idle_ticks = tcp_ticks(RTE_MIN(config->rto_min_us, TCP_RTO_INITIAL_US));
	tcp->rcv_wscale = window_scale(config->rcv_buffer_bytes);
	tcp->payload_max = (uint16_t)(rte_pktmbuf_data_room_size(env->pool) - RTE_PKTMBUF_HEADROOM);
	tcp_tick(tcp, now_us);
	draw_secrets(tcp);
	init_lists(tcp);
	tcp_wheel_init(&tcp->wheel, tcp->tick);
	tcp_mem_init(&tcp->mem, &tcp->env, config->memory_bytes_max);
	uint32_t minis = config->syn_backlog_max + config->time_wait_max;
	if (tcp_table_init(tcp, config->connections_max + minis) &&
	    tcp_slab_init(&tcp->conns, &tcp->mem, sizeof(struct tcp_conn), config->connections_max) &&
	    tcp_slab_init(&tcp->minis, &tcp->mem, sizeof(struct tcp_mini), minis))
		return tcp;
	tcp_destroy(tcp);
	return NULL;
}

void
tcp_destroy(struct tcp_stack *tcp)
{
	if (!tcp)
		return;
	/* What is on the touched list goes first: dead connections may be among them. */
	while (tcp->touched_head != TCP_INDEX_NONE && tcp->conns.chunks) {
		struct tcp_conn *c = tcp_conn_at(tcp, tcp->touched_head);
		tcp->touched_head = c->next;
		c->flags &= (uint16_t)~TCP_F_TOUCHED;
		if (c->state == TCP_CLOSED) {
			c->next = tcp->dead_head;
			tcp->dead_head = c->index;
		}
	}
	for (uint32_t i = 0; tcp->conns.chunks && i < tcp->conns.chunks_len << tcp->conns.shift; i++)
		tcp_conn_kill(tcp_conn_at(tcp, i), TCP_CLOSED_LOCALLY);
	tcp_reap(tcp);
	tcp_spare_return(tcp);
	tcp_table_fini(tcp);
	tcp_cookie_fini(tcp);
	tcp_reserve_fini(tcp);
	tcp_slab_fini(&tcp->conns, &tcp->mem);
	tcp_slab_fini(&tcp->minis, &tcp->mem);
	tcp_mem_fini(&tcp->mem);
	tcp->env.free(tcp->env.ctx, tcp, sizeof(*tcp));
}

void
tcp_tick(struct tcp_stack *tcp, uint64_t now_us)
{
	tcp->now_us = now_us;
	tcp->tick = (uint32_t)(now_us >> TCP_TICK_SHIFT);
}

uint64_t
tcp_poll(struct tcp_stack *tcp)
{
	bool more = tcp_timers_run(tcp);
	if (unlikely(tcp->reserve.len < tcp->config.mbuf_reserve))
		tcp_reserve_fill(tcp);
	uint64_t next_us = RTE_MIN(tcp_syn_poll(tcp), tcp_tw_poll(tcp));
	tcp_conn_check_limits(tcp);
	tcp_reap(tcp);
	uint32_t tick;
	if (more)
		return 0;
	if (tcp_timers_next(tcp, &tick)) {
		int32_t left = (int32_t)(tick - tcp->tick);
		next_us = RTE_MIN(next_us, left > 0 ? (uint64_t)left << TCP_TICK_SHIFT : 0);
	}
	if (tcp->touched_head != TCP_INDEX_NONE)
		next_us = RTE_MIN(next_us, BLOCKED_RETRY_US);
	return next_us;
}

/* Takes the first connection off the list. */
static struct tcp_conn *
touched_pop(struct tcp_stack *tcp)
{
	struct tcp_conn *c = tcp_conn_at(tcp, tcp->touched_head);
	tcp->touched_head = c->next;
	c->flags &= (uint16_t)~TCP_F_TOUCHED;
	return c;
}

void
tcp_flush(struct tcp_stack *tcp)
{
	const struct tcp_conn *last = tcp->touched_tail;
	uint64_t missing = tcp->counters->drop_tcp_no_mbuf;
	/* Those that could not send everything, for want of an mbuf or out of fairness, queue up behind `last`. */
	for (bool end = tcp->touched_head == TCP_INDEX_NONE; !end;) {
		struct tcp_conn *c = touched_pop(tcp);
		end = c == last;
		if (c->state == TCP_CLOSED) {
			c->next = tcp->dead_head;
			tcp->dead_head = c->index;
		} else if (unlikely(tcp->general_only || !tcp_fast_out(c)) && !tcp_output(c)) {
			tcp_touch(c);
			/* Without mbufs the others wait where they are: ten thousand need not find out one by one. */
			end |= tcp->counters->drop_tcp_no_mbuf != missing;
		}
	}
	tcp_spare_return(tcp);
	tcp_reap(tcp);
}

bool
tcp_icmp_error(struct tcp_stack *tcp, const struct net_icmp_error *error)
{
	uint32_t ref = tcp_table_find(tcp, tcp_hash_flow(&tcp->secrets, &error->flow), &error->flow);
	if (ref == TCP_INDEX_NONE)
		return false;
	if (ref & TCP_REF_MINI || !error->too_big)
		return true; /* soft errors never end a connection (RFC 5927 5) */
	struct tcp_conn *c = tcp_conn_at(tcp, ref);
	bool in_flight = tcp_seq_le(c->snd_una, error->tcp_seq) && tcp_seq_lt(error->tcp_seq, c->snd_nxt);
	if (!tcp_synchronized(c) || !in_flight) {
		tcp->counters->drop_tcp_icmp++;
		return true;
	}
	uint16_t mss = tcp_conn_mss_within(c, error->mtu);
	if (mss < c->mss) {
		c->mss = mss;
		tcp->counters->tcp_pmtu_changes++;
		tcp_recover_resegment(c);
	}
	return true;
}

/* ---- calls of the application ----------------------------------------------------------------- */

static bool
may_send(const struct tcp_conn *c)
{
	return c->state != TCP_CLOSED && c->state <= TCP_CLOSE_WAIT && !(c->flags & TCP_F_FIN_QUEUED);
}

int
tcp_send(struct tcp_conn *c, const void *bytes, uint32_t len)
{
	if (!may_send(c))
		return -EPIPE;
	int status = tcp_sendq_copy(c, bytes, len);
	if (status == 0)
		tcp_touch(c);
	return status;
}

int
tcp_send_ref(struct tcp_conn *c, const void *bytes, uint32_t len, uint64_t cookie)
{
	if (!may_send(c))
		return -EPIPE;
	int status = tcp_sendq_ref(c, bytes, len, cookie);
	if (status == 0)
		tcp_touch(c);
	return status;
}

uint8_t *
tcp_send_reserve(struct tcp_conn *c, uint32_t len)
{
	return may_send(c) ? tcp_sendq_reserve(c, len) : NULL;
}

void
tcp_send_commit(struct tcp_conn *c, uint32_t len)
{
	tcp_sendq_commit(c, len);
	tcp_touch(c);
}

void
tcp_prefetch(const struct tcp_conn *c)
{
	tcp_conn_prefetch(c);
}

bool
tcp_send_idle(const struct tcp_conn *c)
{
	return c->snd_nxt == c->sq_end;
}

uint32_t
tcp_unsent_bytes(const struct tcp_conn *c)
{
	/* The SYN and the FIN are counted in sequence space but are nobody's bytes. */
	uint32_t from = c->state <= TCP_SYN_RECEIVED ? c->snd_una + 1 : c->snd_una;
	return tcp_seq_lt(from, c->sq_end) ? c->sq_end - from : 0;
}

uint32_t
tcp_send_room(struct tcp_conn *c)
{
	uint32_t limit = c->tcp->config.snd_buffer_bytes, queued = tcp_waiting_bytes(c);
	if (unlikely(tcp_mem_above(&c->tcp->mem, PRESSURE_PERCENT))) {
		limit = RTE_MIN(limit, PRESSURE_ROOM_BYTES);
		queued = tcp_unsent_bytes(c);
	}
	if (queued < limit)
		return limit - queued;
	c->flags |= TCP_F_NO_ROOM;
	return 0;
}

void
tcp_resume(struct tcp_conn *c)
{
	tcp_rx_resume(c);
}

void
tcp_close(struct tcp_conn *c)
{
	if (c->state == TCP_CLOSED || c->flags & TCP_F_FIN_QUEUED)
		return;
	/* Inside of received() the bytes being given count as read, and those behind them follow. */
	bool unread = tcp_rx_unread(c) && !(c->flags & TCP_F_DELIVERING);
	if (c->state == TCP_SYN_SENT || unread) {
		tcp_abort(c);
		return;
	}
	c->flags |= TCP_F_FIN_QUEUED;
	tcp_touch(c);
}

void
tcp_abort(struct tcp_conn *c)
{
	tcp_conn_reset(c, TCP_CLOSED_LOCALLY);
}

void
tcp_abort_all(struct tcp_stack *tcp)
{
	for (uint32_t i = 0; tcp->conns.chunks && i < tcp->conns.chunks_len << tcp->conns.shift; i++)
		tcp_abort(tcp_conn_at(tcp, i));
}

struct tcp_conn *
tcp_connect(struct tcp_stack *tcp, const struct net_flow *flow)
{
	uint32_t hash = tcp_hash_flow(&tcp->secrets, flow), isn = tcp_syn_isn(tcp, flow), isn_least = isn;
	uint32_t ref = tcp_table_find(tcp, hash, flow);
	if (ref != TCP_INDEX_NONE && (!(ref & TCP_REF_MINI) || !tcp_tw_give_way(tcp, ref, &isn_least)))
		return NULL;
	struct tcp_conn *c = tcp_conn_new(tcp, flow, hash);
	if (!c)
		return NULL;
	if (!tcp_table_insert(tcp, hash, c->index)) {
		tcp_slab_put(&tcp->conns, &tcp->mem, c->index);
		return NULL;
	}
	c->state = TCP_SYN_SENT;
	c->flags |= TCP_F_ACTIVE;
	c->snd_una = c->snd_nxt = tcp_seq_max(isn, isn_least);
	c->sq_end = c->snd_una + 1;
	c->mss = TCP_MSS_DEFAULT;
	tcp_touch(c);
	return c;
}

void
tcp_set_context(struct tcp_conn *c, void *context)
{
	c->context = context;
}

void *
tcp_context(const struct tcp_conn *c)
{
	return c->context;
}

const struct net_flow *
tcp_flow(const struct tcp_conn *c)
{
	return &c->flow;
}

/* ---- what is held ----------------------------------------------------------------------------- */

void
tcp_usage(const struct tcp_stack *tcp, struct tcp_usage *usage)
{
	memset(usage, 0, sizeof(*usage));
	usage->connections = tcp->conns.used;
	for (unsigned i = 0; i <= TCP_SYN_RETRIES; i++)
		usage->half_open += tcp->syn_lists[i].len;
	usage->time_wait = tcp->tw_list.len;
	usage->memory_bytes = tcp->mem.used_bytes;
}

static const char *
check_conn(const struct tcp_conn *c)
{
	const char *broken = tcp_sendq_check(c);
	if (!broken)
		broken = tcp_rx_check(c);
	if (!broken)
		broken = tcp_board_check(c);
	if (!broken && (tcp_seq_lt(c->snd_nxt, c->snd_una) || tcp_seq_lt(c->sq_end + 1, c->snd_nxt)))
		broken = "connection: sent more than was queued";
	if (!broken && c->state >= TCP_ESTABLISHED && (!c->cwnd || !c->mss))
		broken = "connection: no congestion window or segment size";
	if (!broken && (!c->rxq == !!(c->more & TCP_M_RXQ) || !c->board == !!(c->more & TCP_M_BOARD)))
		broken = "connection: a queue or a board that `more` does not tell of";
	if (!broken && c->rtx_deadline && !(c->more & TCP_M_TIMER))
		broken = "connection: a deadline but no timer";
	return broken;
}

const char *
tcp_check(const struct tcp_stack *tcp)
{
	const char *broken = tcp_table_check(tcp);
	if (!broken)
		broken = tcp_timers_check(tcp);
	uint32_t total = tcp->conns.chunks_len << tcp->conns.shift, live = 0;
	for (uint32_t i = 0; !broken && i < total; i++) {
		const struct tcp_conn *c = tcp_conn_at(tcp, i);
		if (c->state == TCP_CLOSED)
			continue;
		live++;
		broken = check_conn(c);
	}
	if (!broken && live > tcp->conns.used)
		broken = "connections: more live than allocated";
	return broken;
}
