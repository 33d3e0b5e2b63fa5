/*
 * A TCP that only writes down what reached it, so that the layers below are tested alone. It defines every
 * tcp_* function that they call: the linker then takes none of the real ones from the library.
 */
#ifndef WIRECACHE_FAKE_TCP_H
#define WIRECACHE_FAKE_TCP_H

#include "dataplane/net/tcp.h"

#define FAKE_TCP_SEGMENTS_MAX 256u
#define FAKE_TCP_BYTES_MAX    65536u

struct fake_tcp {
	struct tcp_env env;
	struct net_flow flows[FAKE_TCP_SEGMENTS_MAX];
	bool ecn_ce[FAKE_TCP_SEGMENTS_MAX];
	uint32_t contiguous[FAKE_TCP_SEGMENTS_MAX]; /* bytes in the first buffer */
	unsigned segments_len;
	unsigned input_calls;
	uint8_t bytes[FAKE_TCP_BYTES_MAX]; /* of the last segment, header first */
	uint32_t bytes_len;
	struct net_icmp_error errors[16];
	unsigned errors_len;
	bool owns_flows; /* what tcp_icmp_error() answers */
	uint64_t poll_us;
};

static struct fake_tcp fake_tcp;

struct tcp_stack *
tcp_create(const struct tcp_config *config, const struct tcp_env *env, const struct tcp_app *app,
    uint64_t now_us, struct net_counters *counters)
{
	memset(&fake_tcp, 0, sizeof(fake_tcp));
	fake_tcp.env = *env;
	fake_tcp.owns_flows = true;
	fake_tcp.poll_us = UINT64_MAX;
	return (struct tcp_stack *)&fake_tcp;
}

void
tcp_destroy(struct tcp_stack *tcp)
{
}

void
tcp_tick(struct tcp_stack *tcp, uint64_t now_us)
{
}

void
tcp_input(struct tcp_stack *tcp, struct tcp_rx *rx, unsigned n)
{
	fake_tcp.input_calls++;
	for (unsigned i = 0; i < n; i++) {
		const unsigned slot = fake_tcp.segments_len++ % FAKE_TCP_SEGMENTS_MAX;
		uint32_t at = 0;
		fake_tcp.flows[slot] = rx[i].flow;
		fake_tcp.ecn_ce[slot] = rx[i].ecn_ce;
		fake_tcp.contiguous[slot] = rx[i].m->data_len;
		for (const struct rte_mbuf *m = rx[i].m; m != NULL; m = m->next) {
			memcpy(fake_tcp.bytes + at, rte_pktmbuf_mtod(m, const void *), m->data_len);
			at += m->data_len;
		}
		if (at != rx[i].m->pkt_len)
			abort();
		fake_tcp.bytes_len = at;
		rte_pktmbuf_free(rx[i].m);
	}
}

uint64_t
tcp_poll(struct tcp_stack *tcp)
{
	return fake_tcp.poll_us;
}

void
tcp_flush(struct tcp_stack *tcp)
{
}

bool
tcp_icmp_error(struct tcp_stack *tcp, const struct net_icmp_error *error)
{
	fake_tcp.errors[fake_tcp.errors_len++ % 16] = *error;
	return fake_tcp.owns_flows;
}

#endif
