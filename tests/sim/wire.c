/*
 * What must hold for every segment that leaves a stack, whatever the network did: its bytes are the
 * application's, the same each time they are sent; nothing beyond the window that the peer offered;
 * acknowledgement and right edge never go back; SACK blocks name what is held; never a RST for a RST.
 */
#include "sim.h"

#include <stdio.h>
#include <string.h>
#include <rte_byteorder.h>
#include <rte_tcp.h>

#include "dataplane/net/tcp_rx.h"

static bool
lt(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) < 0;
}

/* Blanks options that the case's middlebox does not like; notes the window scale that passes. */
static void
syn_options(struct sim_run *run, struct sim_wire *w, uint8_t *bytes, uint32_t hlen)
{
	w->wscale_offered = false;
	for (uint32_t i = sizeof(struct rte_tcp_hdr); i < hlen && bytes[i];) {
		uint32_t len = bytes[i] == 1 ? 1 : bytes[i + 1];
		bool strip = (bytes[i] == 8 && run->c.strip_ts) || (bytes[i] == 4 && run->c.strip_sack) ||
		             (bytes[i] == 3 && run->c.strip_wscale);
		if (bytes[i] == 3 && !strip) {
			w->wscale_offered = true;
			w->wscale = bytes[i + 2];
		}
		if (strip)
			memset(bytes + i, 1, len);
		i += len;
	}
}

static void
check_payload(
    struct sim_run *run, unsigned from, unsigned session, uint32_t seq, const uint8_t *bytes, uint32_t len)
{
	uint64_t offset = (uint32_t)(seq - run->wire[session][from].iss - 1);
	while (len > 0) {
		uint32_t n = len;
		const uint8_t *want = sim_pattern(session, from, offset, &n);
		if (memcmp(bytes, want, n) != 0) {
			sim_fail(
			    run, "host %u sent wrong bytes at offset %llu", from, (unsigned long long)offset);
			return;
		}
		bytes += n;
		offset += n;
		len -= n;
	}
}

static uint32_t
scaled(const struct sim_run *run, unsigned session, unsigned from, const struct rte_tcp_hdr *th)
{
	const struct sim_wire *w = run->wire[session];
	bool scale = w[0].wscale_offered && w[1].wscale_offered && !(th->tcp_flags & RTE_TCP_SYN_FLAG);
	return (uint32_t)rte_be_to_cpu_16(th->rx_win) << (scale ? w[from].wscale : 0);
}

static void
check_ack(struct sim_run *run, unsigned from, unsigned session, const struct rte_tcp_hdr *th)
{
	struct sim_wire *w = &run->wire[session][from], *peer = &run->wire[session][!from];
	uint32_t ack = rte_be_to_cpu_32(th->recv_ack), edge = ack + scaled(run, session, from, th);
	if (w->has_ack && lt(ack, w->last_ack))
		sim_fail(run, "host %u: acknowledgement went back from %u to %u", from, w->last_ack, ack);
	/* TIME-WAIT offers no window any more; a repeated SYN-ACK repeats the first offer. */
	bool all = (peer->has_fin && ack == peer->fin_seq + 1) || th->tcp_flags & RTE_TCP_SYN_FLAG;
	if (w->has_ack && lt(edge, w->edge) && !all)
		sim_fail(run, "host %u: right edge went back from %u to %u", from, w->edge, edge);
	if (peer->has_syn && lt(peer->sent_end, ack))
		sim_fail(run, "host %u acknowledged what was never sent", from);
	w->has_ack = true;
	w->last_ack = ack;
	if (!all || !w->has_edge)
		w->edge = edge;
	w->has_edge = true;
}

static unsigned
sack_blocks(const uint8_t *bytes, uint32_t hlen, struct tcp_range *blocks)
{
	unsigned n = 0;
	for (uint32_t i = sizeof(struct rte_tcp_hdr); i < hlen && bytes[i];
	     i += bytes[i] == 1 ? 1 : bytes[i + 1]) {
		for (uint32_t b = i + 2; bytes[i] == 5 && b < i + bytes[i + 1]; b += 8, n++) {
			memcpy(&blocks[n], bytes + b, sizeof(blocks[n]));
			blocks[n].start = rte_be_to_cpu_32(blocks[n].start);
			blocks[n].end = rte_be_to_cpu_32(blocks[n].end);
		}
	}
	return n;
}

/* What is reported above the ACK waits there, else the peer would not send it again. */
static void
check_sacks(struct sim_run *run, unsigned from, unsigned session, const uint8_t *bytes, uint32_t hlen)
{
	const struct rte_tcp_hdr *th = (const struct rte_tcp_hdr *)bytes;
	const struct tcp_conn *c = sim_host_conn(&run->hosts[from], session);
	struct tcp_range said[TCP_SACK_BLOCKS_MAX], held[TCP_OOO_ISLANDS];
	unsigned said_len = sack_blocks(bytes, hlen, said);
	if (!said_len || !c)
		return;
	unsigned held_len = tcp_rx_sack_blocks(c, held, TCP_OOO_ISLANDS);
	for (unsigned i = 0; i < said_len; i++) {
		bool known = !lt(rte_be_to_cpu_32(th->recv_ack), said[i].end);
		for (unsigned k = 0; k < held_len; k++)
			known |= !lt(said[i].start, held[k].start) && !lt(held[k].end, said[i].end);
		if (!known)
			sim_fail(run, "host %u reported what it does not hold: %u to %u", from, said[i].start,
			    said[i].end);
	}
}

static void
trace(const struct sim_run *run, const char *what, unsigned host, const uint8_t *bytes, uint32_t len)
{
	const struct rte_tcp_hdr *th = (const struct rte_tcp_hdr *)bytes;
	uint32_t hlen = th->data_off >> 4 << 2;
	unsigned session = 0, from = host;
	const struct sim_wire *w = run->wire[session];
	printf("%10llu.%03llu %s %u %s%s%s%s seq %d len %u ack %d win %u",
	    (unsigned long long)run->now_us / 1000, (unsigned long long)run->now_us % 1000, what, host,
	    th->tcp_flags & RTE_TCP_SYN_FLAG ? "S" : "", th->tcp_flags & RTE_TCP_FIN_FLAG ? "F" : "",
	    th->tcp_flags & RTE_TCP_RST_FLAG ? "R" : "", th->tcp_flags & RTE_TCP_ACK_FLAG ? "." : "",
	    (int)(rte_be_to_cpu_32(th->sent_seq) - w[from].iss), len - hlen,
	    (int)(rte_be_to_cpu_32(th->recv_ack) - w[!from].iss), scaled(run, session, from, th));
	struct tcp_range sacks[TCP_SACK_BLOCKS_MAX];
	unsigned sacks_len = sack_blocks(bytes, hlen, sacks);
	for (unsigned i = 0; i < sacks_len; i++)
		printf(
		    " sack %d-%d", (int)(sacks[i].start - w[!from].iss), (int)(sacks[i].end - w[!from].iss));
	printf("\n");
}

void
sim_wire_sent(
    struct sim_run *run, unsigned from, const struct net_flow *flow, const uint8_t *bytes, uint32_t len)
{
	unsigned session = sim_session_of(flow);
	struct sim_wire *w = &run->wire[session][from];
	const struct rte_tcp_hdr *th = (const struct rte_tcp_hdr *)bytes;
	uint32_t hlen = th->data_off >> 4 << 2, payload = len - hlen, seq = rte_be_to_cpu_32(th->sent_seq);
	uint8_t flags = th->tcp_flags;
	run->segments++;
	if (flags & RTE_TCP_SYN_FLAG) {
		/* An old SYN came again after the end: what follows is not this session any more. */
		bool ended = w->has_fin || sim_host_closed(&run->hosts[from], session);
		if (w->has_syn && (seq != w->iss || ended)) /* a cookie's number may be the same */
			run->session_over[session] = true;
		w->has_syn = true;
		w->iss = seq;
		w->sent_end = seq + 1;
		syn_options(run, w, (uint8_t *)(uintptr_t)bytes, hlen);
	}
	if (run->verbose)
		trace(run, "sent by", from, bytes, len);
	if (flags & RTE_TCP_RST_FLAG || run->session_over[session])
		return;
	w->segments++;
	uint32_t fin = !!(flags & RTE_TCP_FIN_FLAG), end = seq + payload + fin;
	check_payload(run, from, session, seq, bytes + hlen, payload);
	if (flags & RTE_TCP_ACK_FLAG)
		check_ack(run, from, session, th);
	check_sacks(run, from, session, bytes, hlen);
	if (fin) {
		if (w->has_fin && w->fin_seq != end - 1)
			sim_fail(run, "host %u: FIN moved", from);
		w->has_fin = true;
		w->fin_seq = end - 1;
	}
	if (payload + fin && !(flags & RTE_TCP_SYN_FLAG)) {
		if (!w->has_edge_seen || lt(w->edge_seen, end))
			sim_fail(run, "host %u sent beyond the window: %u, edge %u", from, end, w->edge_seen);
		w->payload_bytes += payload;
		run->hosts[from].sent_new_data |= lt(w->sent_end, end);
		if (lt(w->sent_end, end))
			w->sent_end = end;
		else
			w->repeated_bytes += payload;
	}
}

void
sim_wire_delivered(struct sim_run *run, unsigned to, const struct net_flow *flow, const uint8_t *bytes)
{
	unsigned session = sim_session_of(flow);
	struct sim_wire *w = &run->wire[session][to];
	const struct rte_tcp_hdr *th = (const struct rte_tcp_hdr *)bytes;
	if (run->verbose)
		trace(run, "  to", !to, bytes, (th->data_off >> 4 << 2));
	if (th->tcp_flags & RTE_TCP_RST_FLAG)
		return;
	uint32_t edge = rte_be_to_cpu_32(th->recv_ack) + scaled(run, session, !to, th);
	if (!(th->tcp_flags & RTE_TCP_ACK_FLAG) && !w->has_syn)
		return; /* the passive side learns its window from the last ACK of the handshake */
	if (!(th->tcp_flags & RTE_TCP_ACK_FLAG))
		edge = w->iss + 1 + rte_be_to_cpu_16(th->rx_win);
	if (!w->has_edge_seen || lt(w->edge_seen, edge))
		w->edge_seen = edge;
	w->has_edge_seen = true;
}
