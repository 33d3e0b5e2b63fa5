/*
 * See tcp_bulk.h.
 */
#include "dataplane/net/tcp_bulk.h"

#include "dataplane/net/checksum.h"
#include "dataplane/net/tcp_out.h"
#include "dataplane/net/tcp_rx.h"
#include "dataplane/net/tcp_sendq.h"
#include "dataplane/net/tcp_stack.h"

/* What the segments share: a TCP header with sequence number and checksum zero, and its sum. */
struct template
{
	uint8_t bytes[sizeof(struct rte_tcp_hdr) + TCP_OPT_TS_BYTES];
	uint32_t len;
	uint64_t sum;
};

static void
template_fill(struct tcp_conn *c, struct template *t)
{
	bool stamped = c->flags & TCP_F_TS;
	t->len = sizeof(struct rte_tcp_hdr) + (stamped ? TCP_OPT_TS_BYTES : 0);
	const struct rte_tcp_hdr header = {
	    .src_port = c->flow.local_port,
	    .dst_port = c->flow.remote_port,
	    .recv_ack = rte_cpu_to_be_32(c->rcv_nxt),
	    .data_off = (uint8_t)(t->len << 2),
	    .tcp_flags = RTE_TCP_ACK_FLAG,
	    .rx_win = rte_cpu_to_be_16(tcp_rx_window(c)),
	};
	memcpy(t->bytes, &header, sizeof(header));
	if (likely(stamped))
		tcp_opt_ts(t->bytes + sizeof(header), tcp_ts_now(c->tcp) + c->ts_offset, c->ts_recent);
	t->sum = csum_bytes(t->bytes, t->len);
}

/* The segment from seq on. Returns the sum of its bytes, if the port does not see to that. */
static uint64_t
fill(struct tcp_conn *c, struct rte_mbuf *m, uint32_t seq, const struct template *t, bool summed)
{
	uint8_t *header = rte_pktmbuf_mtod(m, uint8_t *) - t->len, *payload = header + t->len;
	const rte_be32_t sequence = rte_cpu_to_be_32(seq);
	uint64_t sum = 0;
	memcpy(header, t->bytes, t->len);
	memcpy(header + offsetof(struct rte_tcp_hdr, sent_seq), &sequence, sizeof(sequence));
	if (summed)
		sum = t->sum + sequence + tcp_sendq_read_sum(c, seq, payload, c->mss);
	else
		tcp_sendq_read(c, seq, payload, c->mss);
	m->data_off = (uint16_t)(m->data_off - t->len);
	m->data_len = (uint16_t)(t->len + c->mss);
	m->pkt_len = m->data_len;
	return sum;
}

bool
tcp_bulk_send(struct tcp_conn *c, unsigned n)
{
	struct tcp_stack *tcp = c->tcp;
	const struct tcp_env *env = &tcp->env;
	struct rte_mbuf *m[TCP_FLUSH_SEGMENTS];
	uint64_t sums[TCP_FLUSH_SEGMENTS];
	struct template t;
	assert(n <= TCP_FLUSH_SEGMENTS);
	if (rte_pktmbuf_alloc_bulk(env->pool, m, n) != 0)
		return false;
	template_fill(c, &t);
	tcp_out_acked(c);
	bool summed = env->output_train &&
	              !(env->offloads && env->offloads(env->ctx, &c->flow) & NET_OFFLOAD_TX_L4_CSUM);
	for (unsigned i = 0; i < n; i++)
		sums[i] = fill(c, m[i], c->snd_nxt + i * c->mss, &t, summed);
	tcp->counters->tcp_segments_out += n;
	if (env->output_train)
		env->output_train(env->ctx, &c->flow, m, sums, n);
	else
		for (unsigned i = 0; i < n; i++)
			env->output(env->ctx, &c->flow, m[i], 0);
	return true;
}
