/*
 * One side: a stack, its environment, and an application that writes in random pieces (copied, by reference,
 * in place), verifies what it reads, pauses, resumes, closes in any order and sometimes aborts.
 */
#include "sim.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/net/checksum.h"
#include "dataplane/net/tcp_in.h"
#include "dataplane/net/tcp_out.h"
#include "dataplane/net/tcp_stack.h"
#include "tests/unit/net/testpool.h"

#define SERVER_PORT      11211
#define CLIENT_PORT_BASE 40000
#define RETRY_US         1000
#define CHECK_EVERY      8

struct sim_end {
	struct sim_host *host;
	unsigned session;
	struct tcp_conn *conn;
	bool accepted, closed, close_called, eof, paused;
	enum tcp_close_reason reason;
	uint64_t sent, received;
	uint64_t wake_us;   /* writes, connects or closes then; SIM_NEVER: waits for something */
	uint64_t resume_us; /* when paused */
};

static uint8_t pattern[SIM_PATTERN_BYTES];

const uint8_t *
sim_pattern(unsigned session, unsigned host, uint64_t offset, uint32_t *run_bytes)
{
	if (!pattern[0]) {
		struct sim_rng rng = {42};
		for (size_t i = 0; i < sizeof(pattern); i++)
			pattern[i] = (uint8_t)(sim_rand(&rng) | 1);
	}
	uint64_t at = (offset + session * 7919 + host * 31337) % SIM_PATTERN_BYTES;
	if (*run_bytes > SIM_PATTERN_BYTES - at)
		*run_bytes = (uint32_t)(SIM_PATTERN_BYTES - at);
	return pattern + at;
}

const struct tcp_conn *
sim_host_conn(const struct sim_host *host, unsigned session)
{
	return host->ends[session]->conn;
}

bool
sim_host_closed(const struct sim_host *host, unsigned session)
{
	return host->ends[session]->closed;
}

unsigned
sim_session_of(const struct net_flow *flow)
{
	unsigned a = rte_be_to_cpu_16(flow->local_port), b = rte_be_to_cpu_16(flow->remote_port);
	return (a > b ? a : b) - CLIENT_PORT_BASE;
}

static struct net_flow
flow_of(unsigned host, unsigned session)
{
	struct net_flow f = {.local = net_addr_v4(rte_cpu_to_be_32(0x0a000001 + host)),
	    .remote = net_addr_v4(rte_cpu_to_be_32(0x0a000001 + !host)),
	    .local_port = rte_cpu_to_be_16(host ? SERVER_PORT : (uint16_t)(CLIENT_PORT_BASE + session)),
	    .remote_port = rte_cpu_to_be_16(host ? (uint16_t)(CLIENT_PORT_BASE + session) : SERVER_PORT)};
	return f;
}

/* ---- environment ------------------------------------------------------------------------------ */

/* The port is done with a packet: its bytes are still what they were. */
static void
let_go(struct sim_host *host, unsigned place)
{
	struct rte_mbuf *m = host->held[place];
	if (!m)
		return;
	if (csum_mbuf(m, 0, m->pkt_len) != host->held_sum[place])
		sim_fail(host->run, "host %u: a packet changed while its port kept it", host->index);
	rte_pktmbuf_free(m);
	host->held[place] = NULL;
}

static void
hold(struct sim_host *host, struct rte_mbuf *m)
{
	unsigned place = host->held_next++ % SIM_HELD;
	let_go(host, place);
	host->held[place] = m;
	host->held_sum[place] = csum_mbuf(m, 0, m->pkt_len);
}

static void
env_output(void *ctx, const struct net_flow *flow, struct rte_mbuf *m, uint16_t tso_mss)
{
	struct sim_host *host = ctx;
	uint8_t bytes[SIM_SEGMENT_BYTES];
	uint32_t len = m->pkt_len;
	if (tso_mss || len > sizeof(bytes)) {
		sim_fail(host->run, "host %u: a segment of %u bytes", host->index, len);
		rte_pktmbuf_free(m);
		return;
	}
	const void *flat = rte_pktmbuf_read(m, 0, len, bytes);
	if (flat != bytes)
		memcpy(bytes, flat, len);
	if (m->nb_segs > 1)
		hold(host, m);
	else
		rte_pktmbuf_free(m);
	sim_wire_sent(host->run, host->index, flow, bytes, len);
	sim_link_send(host->run, host->index, flow, bytes, len);
}

static void
env_output_train(
    void *ctx, const struct net_flow *flow, struct rte_mbuf **m, const uint64_t *sums, unsigned n)
{
	struct sim_host *host = ctx;
	uint32_t len = m[0]->pkt_len;
	for (unsigned i = 0; i < n; i++) {
		if (csum_fold(sums[i]) != csum_fold(csum_mbuf(m[i], 0, m[i]->pkt_len)) ||
		    m[i]->pkt_len != len)
			sim_fail(host->run, "host %u: a train with a wrong sum or length", host->index);
		env_output(ctx, flow, m[i], 0);
	}
}

static uint32_t
env_offloads(void *ctx, const struct net_flow *flow)
{
	struct sim_host *host = ctx;
	return host->run->c.points[host->index] ? NET_OFFLOAD_TX_MULTI | NET_OFFLOAD_TX_EXTERNAL : 0;
}

static uint16_t
env_mtu(void *ctx, const struct net_flow *flow)
{
	struct sim_host *host = ctx;
	return host->run->c.mtu[host->index];
}

static uint64_t
env_random(void *ctx)
{
	struct sim_host *host = ctx;
	return sim_rand(&host->run->rng);
}

static void *
env_alloc(void *ctx, size_t bytes)
{
	struct sim_host *host = ctx;
	if (host->tcp && sim_chance(&host->run->rng, host->run->c.alloc_failure_ppm))
		return NULL;
	void *p = aligned_alloc(64, (bytes + 63) & ~(size_t)63);
	memset(p, 0, bytes);
	host->allocated_bytes += bytes;
	return p;
}

static void
env_free(void *ctx, void *p, size_t bytes)
{
	struct sim_host *host = ctx;
	host->allocated_bytes -= bytes;
	free(p);
}

/* ---- application ------------------------------------------------------------------------------ */

static const struct sim_app_params *
params(const struct sim_end *end)
{
	return &end->host->run->c.app[end->host->index];
}

static uint64_t
later(struct sim_end *end, uint32_t us_max)
{
	return end->host->run->now_us + (us_max ? sim_rand(&end->host->run->rng) % us_max : 0);
}

static void *
app_accepted(void *app, struct tcp_conn *conn, bool *refuse)
{
	struct sim_host *host = app;
	unsigned session = sim_session_of(tcp_flow(conn));
	struct sim_end *end = host->ends[session];
	if (session >= host->run->c.sessions || end->accepted) {
		sim_fail(host->run, "host %u accepted a connection of nobody", host->index);
		*refuse = true;
		return NULL;
	}
	end->conn = conn;
	end->accepted = true;
	end->wake_us = later(end, params(end)->think_us);
	return end;
}

static void
verify_received(struct sim_end *end, const uint8_t *bytes, uint32_t len)
{
	while (len > 0) {
		uint32_t n = len;
		const uint8_t *want = sim_pattern(end->session, !end->host->index, end->received, &n);
		if (memcmp(bytes, want, n) != 0) {
			sim_fail(end->host->run, "host %u received wrong bytes at offset %llu",
			    end->host->index, (unsigned long long)end->received);
			return;
		}
		bytes += n;
		end->received += n;
		len -= n;
	}
}

static uint32_t
app_received(void *app, struct tcp_conn *conn, void *context, const uint8_t *bytes, uint32_t len)
{
	struct sim_end *end = context;
	struct sim_run *run = end->host->run;
	if (end->eof || end->closed || end->conn != conn || !len)
		sim_fail(run, "host %u: received() after the end or for another", end->host->index);
	uint32_t take = len;
	if (sim_chance(&run->rng, params(end)->pause_ppm)) {
		take = (uint32_t)(sim_rand(&run->rng) % len);
		end->paused = true;
		end->resume_us = later(end, params(end)->pause_us) + 1;
	}
	verify_received(end, bytes, take);
	return take;
}

static void
app_peer_closed(void *app, struct tcp_conn *conn, void *context)
{
	struct sim_end *end = context;
	if (end->eof || end->closed)
		sim_fail(end->host->run, "host %u: peer_closed() twice", end->host->index);
	end->eof = true;
	end->wake_us = end->host->run->now_us;
}

static void
app_writable(void *app, struct tcp_conn *conn, void *context)
{
	struct sim_end *end = context;
	end->wake_us = end->host->run->now_us;
}

static void
app_closed(void *app, struct tcp_conn *conn, void *context, enum tcp_close_reason reason)
{
	struct sim_end *end = context;
	if (end->closed)
		sim_fail(end->host->run, "host %u: closed() twice", end->host->index);
	end->closed = true;
	end->reason = reason;
	end->conn = NULL;
	end->wake_us = end->resume_us = SIM_NEVER;
}

struct reference {
	struct sim_host *host;
	uint8_t bytes[];
};

static void
app_release(void *app, uint64_t cookie)
{
	struct reference *r = (struct reference *)(uintptr_t)cookie;
	r->host->refs_out--;
	free(r);
}

static int
write_reference(struct sim_end *end, const uint8_t *bytes, uint32_t len)
{
	struct reference *r = malloc(sizeof(*r) + len);
	r->host = end->host;
	memcpy(r->bytes, bytes, len);
	int status = tcp_send_ref(end->conn, r->bytes, len, (uintptr_t)r);
	if (status == 0)
		end->host->refs_out++;
	else
		free(r);
	return status;
}

static int
write_in_place(struct sim_end *end, const uint8_t *bytes, uint32_t *len)
{
	*len = RTE_MIN(*len, 2000u);
	uint8_t *room = tcp_send_reserve(end->conn, *len);
	if (!room)
		return -ENOBUFS;
	memcpy(room, bytes, *len);
	tcp_send_commit(end->conn, *len);
	return 0;
}

/* One write. False: come back later. */
static bool
write_some(struct sim_end *end)
{
	struct sim_rng *rng = &end->host->run->rng;
	uint64_t left = params(end)->send_bytes - end->sent;
	uint32_t len = sim_between(rng, 1, params(end)->write_max);
	if (len > left)
		len = (uint32_t)left;
	const uint8_t *bytes = sim_pattern(end->session, end->host->index, end->sent, &len);
	if (tcp_send_room(end->conn) == 0) {
		end->wake_us = SIM_NEVER; /* writable() comes */
		return false;
	}
	int status = 0;
	switch (sim_rand(rng) % 3) {
	case 0:
		status = tcp_send(end->conn, bytes, len);
		break;
	case 1:
		status = write_reference(end, bytes, len);
		break;
	default:
		status = write_in_place(end, bytes, &len);
	}
	if (status != 0) {
		end->wake_us = end->host->run->now_us + RETRY_US;
		return false;
	}
	end->sent += len;
	return true;
}

static void
maybe_close(struct sim_end *end)
{
	end->wake_us = SIM_NEVER;
	if (end->close_called || end->paused || (params(end)->close == SIM_CLOSE_AFTER_PEER && !end->eof))
		return;
	end->close_called = true;
	tcp_close(end->conn);
}

static void
run_writer(struct sim_end *end)
{
	while (end->sent < params(end)->send_bytes) {
		if (!write_some(end))
			return;
		if (params(end)->think_us) {
			end->wake_us = later(end, params(end)->think_us) + 1;
			return;
		}
	}
	maybe_close(end);
}

static void
try_connect(struct sim_end *end)
{
	struct net_flow flow = flow_of(end->host->index, end->session);
	end->wake_us = end->host->run->now_us + RETRY_US;
	if (end->conn)
		return;
	end->conn = tcp_connect(end->host->tcp, &flow);
	if (!end->conn)
		return;
	tcp_set_context(end->conn, end);
	end->wake_us = SIM_NEVER;
}

static void
run_end(struct sim_end *end)
{
	struct sim_run *run = end->host->run;
	if (end->closed)
		return;
	if (end->resume_us <= run->now_us && end->conn) {
		end->resume_us = SIM_NEVER;
		end->paused = false;
		tcp_resume(end->conn);
		if (!end->paused && end->wake_us == SIM_NEVER && end->accepted)
			end->wake_us = run->now_us;
	}
	if (end->wake_us > run->now_us)
		return;
	if (end->accepted)
		run_writer(end);
	else
		try_connect(end);
}

static void
run_abort(struct sim_host *host)
{
	struct sim_run *run = host->run;
	if (run->c.abort_host != host->index || run->now_us < run->c.abort_at_us)
		return;
	for (unsigned s = 0; s < run->c.sessions; s++) {
		struct sim_end *end = host->ends[s];
		if (end->conn && !end->closed)
			tcp_abort(end->conn);
		end->wake_us = end->resume_us = SIM_NEVER;
	}
}

/* ---- a step ----------------------------------------------------------------------------------- */

static struct rte_mbuf *
mbuf_of(struct sim_run *run, const struct sim_packet *p)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(run->rx_pool), *last = m;
	uint32_t at = 0;
	while (at < p->len) {
		uint32_t n = RTE_MIN(p->len - at, (uint32_t)rte_pktmbuf_tailroom(last));
		if (at == 0 && run->c.chain && p->len > 60 && sim_rand(&run->rng) % 2)
			n = RTE_MIN(n, sim_between(&run->rng, 60, p->len));
		memcpy(rte_pktmbuf_mtod(last, uint8_t *), p->bytes + at, n);
		last->data_len = (uint16_t)n;
		at += n;
		if (at < p->len) {
			last->next = rte_pktmbuf_alloc(run->rx_pool);
			last = last->next;
			m->nb_segs++;
		}
	}
	m->pkt_len = p->len;
	return m;
}

static void
receive(struct sim_host *host)
{
	struct sim_run *run = host->run;
	struct tcp_rx rx[32];
	for (unsigned n = 1; n > 0;) {
		struct sim_packet *p;
		for (n = 0; n < RTE_DIM(rx) && (p = sim_link_take(run, host->index)); n++) {
			sim_wire_delivered(run, host->index, &p->flow, p->bytes);
			rx[n] = (struct tcp_rx){.m = mbuf_of(run, p), .flow = p->flow};
			free(p);
		}
		if (n)
			tcp_input(host->tcp, rx, n);
	}
}

/* What was sent in this step stayed within the congestion window. */
static void
check_windows(struct sim_host *host)
{
	for (unsigned s = 0; s < host->run->c.sessions; s++) {
		const struct tcp_conn *c = host->ends[s]->conn;
		if (!c || c->state < TCP_ESTABLISHED || !host->sent_new_data || host->run->c.sessions > 1)
			continue;
		/* A tail probe may leave beyond the window (RFC 8985 7.3). */
		uint32_t bound = RTE_MAX(c->cwnd, c->mss + 1u) + (c->more & TCP_M_TAIL ? c->mss + 1u : 0);
		if (tcp_pipe(c) > bound)
			sim_fail(host->run, "host %u: %u bytes in flight, congestion window %u", host->index,
			    tcp_pipe(c), c->cwnd);
	}
	host->sent_new_data = false;
}

void
sim_host_step(struct sim_host *host)
{
	struct sim_run *run = host->run;
	if (sim_chance(&run->rng, run->c.mbuf_failures_ppm))
		testpool_fail_after(host->pool, sim_between(&run->rng, 0, 3), sim_between(&run->rng, 1, 10));
	if (sim_chance(&run->rng, run->c.mbuf_failures_ppm))
		testpool_fail_after(host->heads, sim_between(&run->rng, 0, 3), sim_between(&run->rng, 1, 10));
	tcp_tick(host->tcp, run->now_us);
	receive(host);
	for (unsigned s = 0; s < run->c.sessions; s++)
		run_end(host->ends[s]);
	run_abort(host);
	host->sent_new_data = false;
	uint64_t wait_us = tcp_poll(host->tcp);
	tcp_flush(host->tcp);
	check_windows(host);
	struct tcp_stack *tcp = host->tcp;
	host->due_us = wait_us == UINT64_MAX ? SIM_NEVER : run->now_us + wait_us;
	/* The flush may have armed timers: ask again, as a worker's loop does. */
	uint32_t tick;
	if (tcp_timers_next(tcp, &tick)) {
		uint64_t at_us = ((run->now_us >> TCP_TICK_SHIFT) + (uint32_t)(tick - tcp->tick))
		                 << TCP_TICK_SHIFT;
		host->due_us = RTE_MIN(host->due_us, RTE_MAX(at_us, run->now_us + 1));
	}
	if (tcp->touched_head != TCP_INDEX_NONE)
		host->due_us = RTE_MIN(host->due_us, run->now_us + RETRY_US);
	const char *broken = run->steps % CHECK_EVERY == 0 ? tcp_check(tcp) : NULL;
	if (broken)
		sim_fail(run, "host %u: %s", host->index, broken);
}

uint64_t
sim_host_next_us(const struct sim_host *host)
{
	uint64_t next_us = host->due_us;
	const struct sim_run *run = host->run;
	for (unsigned s = 0; s < run->c.sessions; s++) {
		next_us = RTE_MIN(next_us, host->ends[s]->wake_us);
		next_us = RTE_MIN(next_us, host->ends[s]->resume_us);
	}
	if (run->c.abort_host == host->index && run->c.abort_at_us > run->now_us)
		next_us = RTE_MIN(next_us, run->c.abort_at_us);
	return next_us;
}

/* ---- begin and end ---------------------------------------------------------------------------- */

static void
start_near_wrap(struct sim_host *host)
{
	if (!host->run->c.isn_offset_known)
		return;
	struct net_flow flow = flow_of(host->index, 0);
	host->tcp->isn_offset = 0u - host->run->c.isn_offset_known - tcp_syn_isn(host->tcp, &flow);
}

bool
sim_host_start(struct sim_run *run, unsigned index, const struct sim_pools *pools)
{
	struct sim_host *host = &run->hosts[index];
	struct tcp_env env = {.ctx = host,
	    .pool = pools->tx[index],
	    .head_pool = pools->heads[index],
	    .output = env_output,
	    .output_train = env_output_train,
	    .offloads = env_offloads,
	    .mtu = env_mtu,
	    .random = env_random,
	    .alloc = env_alloc,
	    .free = env_free};
	struct tcp_app app = {.app = host,
	    .accepted = app_accepted,
	    .received = app_received,
	    .peer_closed = app_peer_closed,
	    .writable = app_writable,
	    .closed = app_closed,
	    .release = app_release};
	struct tcp_config config = run->c.config[index];
	if (index == 1 && !run->c.simultaneous_open)
		config.listen_ports[0] = rte_cpu_to_be_16(SERVER_PORT);
	host->index = index;
	host->run = run;
	host->pool = pools->tx[index];
	host->heads = pools->heads[index];
	host->due_us = run->now_us;
	for (unsigned s = 0; s < run->c.sessions; s++) {
		host->ends[s] = calloc(1, sizeof(struct sim_end));
		bool opens = index == 0 || run->c.simultaneous_open;
		*host->ends[s] = (struct sim_end){.host = host,
		    .session = s,
		    .wake_us = opens ? run->now_us : SIM_NEVER,
		    .resume_us = SIM_NEVER};
	}
	host->tcp = tcp_create(&config, &env, &app, run->now_us, &host->counters);
	if (host->tcp)
		start_near_wrap(host);
	return host->tcp != NULL;
}

bool
sim_host_finished(const struct sim_host *host)
{
	struct tcp_usage usage;
	for (unsigned s = 0; s < host->run->c.sessions; s++) {
		const struct sim_end *end = host->ends[s];
		if (!end->closed && (end->accepted || end->conn || end->wake_us != SIM_NEVER))
			return false;
	}
	tcp_usage(host->tcp, &usage);
	return usage.connections + usage.half_open + usage.time_wait == 0;
}

static void
verify_end(struct sim_end *end, const struct sim_end *peer)
{
	struct sim_run *run = end->host->run;
	unsigned h = end->host->index;
	if (run->c.abort_at_us != SIM_NEVER || run->failed)
		return;
	if (!end->accepted || !peer->accepted) {
		run->handshake_failed = true;
		return;
	}
	if (end->received != params(peer)->send_bytes)
		sim_fail(run, "host %u received %llu of %u bytes (reason %d)", h,
		    (unsigned long long)end->received, params(peer)->send_bytes, end->reason);
	if (!end->eof)
		sim_fail(run, "host %u was never told the end (reason %d)", h, end->reason);
	/* A FIN whose last ACK was lost for a minute meets a RST when TIME-WAIT has ended. */
	if (end->reason != TCP_CLOSED_NORMALLY && end->reason != TCP_CLOSED_BY_RESET)
		sim_fail(run, "host %u closed for reason %d", h, end->reason);
}

void
sim_host_verify(struct sim_host *host)
{
	struct sim_run *run = host->run;
	struct tcp_usage usage;
	const char *broken = tcp_check(host->tcp);
	for (unsigned i = 0; i < SIM_HELD; i++)
		let_go(host, i);
	if (broken)
		sim_fail(run, "host %u at the end: %s", host->index, broken);
	tcp_usage(host->tcp, &usage);
	if (usage.connections || usage.half_open || usage.time_wait || usage.memory_bytes || usage.mbufs)
		sim_fail(run, "host %u still holds %u connections, %llu bytes", host->index,
		    usage.connections, (unsigned long long)usage.memory_bytes);
	if (host->tcp->wheel.armed || host->tcp->mem.blocks || host->tcp->table.used)
		sim_fail(run, "host %u: timers %u, blocks %llu, table %u left", host->index,
		    host->tcp->wheel.armed, (unsigned long long)host->tcp->mem.blocks, host->tcp->table.used);
	if (host->refs_out)
		sim_fail(run, "host %u: %llu references not released", host->index,
		    (unsigned long long)host->refs_out);
	for (unsigned s = 0; s < run->c.sessions; s++)
		verify_end(host->ends[s], run->hosts[!host->index].ends[s]);
}

void
sim_host_stop(struct sim_host *host)
{
	for (unsigned i = 0; i < SIM_HELD; i++)
		let_go(host, i);
	tcp_destroy(host->tcp);
	testpool_fail_never(host->pool);
	testpool_fail_never(host->heads);
	if (host->allocated_bytes)
		sim_fail(host->run, "host %u: %llu bytes never freed", host->index,
		    (unsigned long long)host->allocated_bytes);
	unsigned lost = testpool_outstanding(host->pool) + testpool_outstanding(host->heads);
	if (lost)
		sim_fail(host->run, "host %u: %u mbufs lost", host->index, lost);
	for (unsigned s = 0; s < host->run->c.sessions; s++)
		free(host->ends[s]);
}
