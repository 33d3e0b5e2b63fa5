/*
 * See tcp_bulk.h.
 */
#include "dataplane/net/tcp_bulk.h"

#include "dataplane/net/checksum.h"
#include "dataplane/net/tcp_out.h"
#include "dataplane/net/tcp_rx.h"
#include "dataplane/net/tcp_sendq.h"
#include "dataplane/net/tcp_stack.h"

/* What a port has to allow for packets that point into the application's memory. */
#define POINTING (NET_OFFLOAD_TX_MULTI | NET_OFFLOAD_TX_EXTERNAL)

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

/* The header of the segment from seq on, in front of m's data. */
static void
put_header(struct rte_mbuf *m, uint32_t seq, const struct template *t)
{
	const rte_be32_t sequence = rte_cpu_to_be_32(seq);
	m->data_off = (uint16_t)(m->data_off - t->len);
	m->data_len = (uint16_t)t->len;
	uint8_t *header = rte_pktmbuf_mtod(m, uint8_t *);
	memcpy(header, t->bytes, t->len);
	memcpy(header + offsetof(struct rte_tcp_hdr, sent_seq), &sequence, sizeof(sequence));
}

/*
 * Segment seq as a header of its own with *m behind it, which points to the bytes: *m is the whole then. False, and nothing
 * has changed: they lie in no single reference, or there is no mbuf for the header.
 */
static bool
fill_pointing(struct tcp_conn *c, struct rte_mbuf **m, uint32_t seq, const struct template *t, uint64_t *sum)
{
	struct rte_mbuf *head = rte_pktmbuf_alloc(c->tcp->env.head_pool);
	if (unlikely(!head))
		return false;
	const uint8_t *bytes = tcp_sendq_point(c, seq, c->mss, *m);
	if (!bytes) {
		rte_pktmbuf_free(head);
		return false;
	}
	put_header(head, seq, t);
	if (sum)
		*sum = t->sum + rte_cpu_to_be_32(seq) + csum_long_ahead(bytes, c->mss);
	head->next = *m;
	head->nb_segs = 2;
	head->pkt_len = t->len + c->mss;
	*m = head;
	c->tcp->counters->tcp_pointing_out++;
	return true;
}

static void
fill(struct tcp_conn *c, struct rte_mbuf *m, uint32_t seq, const struct template *t, uint64_t *sum)
{
	uint8_t *payload = rte_pktmbuf_mtod(m, uint8_t *);
	put_header(m, seq, t);
	if (sum)
		*sum = t->sum + rte_cpu_to_be_32(seq) + tcp_sendq_read_sum(c, seq, payload, c->mss);
	else
		tcp_sendq_read(c, seq, payload, c->mss);
	m->data_len = (uint16_t)(t->len + c->mss);
	m->pkt_len = m->data_len;
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
	uint32_t offloads = env->offloads ? env->offloads(env->ctx, &c->flow) : 0;
	bool summed = env->output_train && !(offloads & NET_OFFLOAD_TX_L4_CSUM);
	bool pointing = env->head_pool && !(POINTING & ~offloads);
	for (unsigned i = 0; i < n; i++) {
		uint32_t seq = c->snd_nxt + i * c->mss;
		uint64_t *sum = summed ? &sums[i] : NULL;
		if (!pointing || !fill_pointing(c, &m[i], seq, &t, sum))
			fill(c, m[i], seq, &t, sum);
	}
	tcp->counters->tcp_segments_out += n;
	if (env->output_train)
		env->output_train(env->ctx, &c->flow, m, sums, n);
	else
		for (unsigned i = 0; i < n; i++)
			env->output(env->ctx, &c->flow, m[i], 0);
	return true;
}
