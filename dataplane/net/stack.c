/*
 * The stack of one worker: creation, the burst on its way in, and timers. Packets are parsed one by one, but
 * what they are for is collected, so that TCP and the application above UDP see the whole burst at once and
 * can prefetch.
 */
#include <rte_prefetch.h>

#include "dataplane/net/neigh.h"
#include "dataplane/net/plain.h"
#include "dataplane/net/reassembly.h"
#include "dataplane/net/stack.h"

#define NET_MTU_MIN    576u
#define NET_MTU_MAX    9000u
#define RATE_BURST_DIV 10u /* a tenth of a second's tokens may be used at once */
#define RATE_IDLE_US   10000000u
#define READ_AHEAD     2u /* packets of a burst whose bytes are asked for before their turn */

void
net_config_default(struct net_config *config)
{
	*config = (struct net_config){.reassembly_bytes_max = 2u << 20, .icmp_rate_per_s = 1000};
}

bool
rate_limit_take(struct rate_limit *limit, uint64_t now_us)
{
	const uint64_t burst = RTE_MAX(limit->rate_per_s / RATE_BURST_DIV, 1u);
	const uint64_t idle_us = RTE_MIN(now_us - limit->filled_us, (uint64_t)RATE_IDLE_US);

	limit->filled_us = now_us;
	limit->credits = RTE_MIN(limit->credits + idle_us * limit->rate_per_s, burst * RATE_TOKEN);
	if (limit->rate_per_s == 0 || limit->credits < RATE_TOKEN)
		return false;
	limit->credits -= RATE_TOKEN;
	return true;
}

struct rte_mbuf *
net_alloc_or_null(struct net_stack *stack)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(stack->env.pool);

	if (unlikely(m == NULL))
		NET_COUNT_DROP(stack, no_mbuf);
	return m;
}

/* ---- creation --------------------------------------------------------------------------------- */

static void
net_prefix_mask(unsigned bits, struct net_addr *mask)
{
	memset(mask, 0, sizeof(*mask));
	for (unsigned i = 0; i < bits && i < 128; i++)
		mask->b[i / 8] |= (uint8_t)(0x80 >> i % 8);
}

/* fe80::/64 with the modified EUI-64 of the MAC (RFC 4291 appendix A). */
static void
net_link_local(const struct rte_ether_addr *mac, struct net_addr *a)
{
	const uint8_t *b = mac->addr_bytes;
	*a =
	    (struct net_addr){.b = {0xfe, 0x80, [8] = b[0] ^ 0x02, b[1], b[2], 0xff, 0xfe, b[3], b[4], b[5]}};
}

static bool
net_iface_valid(const struct net_iface *i)
{
	const bool v4 = net_addr_is_v4(&i->addr4) && net_addr_get_v4(&i->addr4) != 0;

	return i->mtu >= NET_MTU_MIN && i->mtu <= NET_MTU_MAX && i->vlan_id < 4095 && i->prefix6 <= 128 &&
	       rte_is_valid_assigned_ether_addr(&i->mac) &&
	       (v4 ? i->prefix4 >= 1 && i->prefix4 <= 32 : i->prefix4 == 0 && net_addr_is_zero(&i->addr4)) &&
	       (net_addr_is_zero(&i->gateway4) || net_addr_is_v4(&i->gateway4));
}

static void
net_iface_setup(struct iface *ifc, const struct net_iface *conf, uint8_t index)
{
	ifc->conf = *conf;
	ifc->index = index;
	memcpy(&ifc->mac48, &conf->mac, sizeof(conf->mac));
	if (conf->prefix4 != 0) {
		struct net_addr mask;
		net_prefix_mask(conf->prefix4, &mask);
		ifc->addr4 = net_addr_get_v4(&conf->addr4);
		ifc->mask4 = mask.w[0];
		/* RFC 3021: a /31 and a host route have no broadcast address. */
		ifc->broadcast4 = conf->prefix4 < 31 ? ifc->addr4 | ~ifc->mask4 : RTE_BE32(0xffffffff);
	}
	ifc->plain = ifc->addr4 != 0 && conf->vlan_id == 0;
	plain_head_setup(ifc);
	ifc->ip6 = conf->mtu >= IP6_MTU_MIN;
	if (net_addr_is_zero(&conf->addr6[0]))
		net_link_local(&conf->mac, &ifc->conf.addr6[0]);
	if (net_addr_is_zero(&conf->addr6[1]))
		ifc->conf.prefix6 = 0;
	net_prefix_mask(ifc->conf.prefix6, &ifc->prefix6_mask);
	for (unsigned i = 0; i < NET_ADDRS6_MAX; i++)
		if (!net_addr_is_zero(&ifc->conf.addr6[i]))
			ndp_solicited_node(&ifc->conf.addr6[i], &ifc->solicited6[i]);
}

/* Others forget whom they took for our addresses before we started. */
static void
net_announce(struct net_stack *stack)
{
	for (unsigned i = 0; i < stack->ifaces_len; i++) {
		const struct iface *ifc = &stack->ifaces[i];
		if (ifc->addr4 != 0)
			arp_request(stack, ifc, ifc->addr4, NULL);
		for (unsigned a = 0; a < NET_ADDRS6_MAX && ifc->ip6; a++)
			if (!net_addr_is_zero(&ifc->conf.addr6[a]))
				ndp_announce(stack, ifc, &ifc->conf.addr6[a]);
	}
}

static void
net_tcp_output(void *ctx, const struct net_flow *flow, struct rte_mbuf *m, uint16_t tso_mss)
{
	net_ip_output(ctx, flow, IPPROTO_TCP, m, tso_mss);
}

static void
net_tcp_output_summed(void *ctx, const struct net_flow *flow, struct rte_mbuf *m, uint64_t sum)
{
	if (unlikely(!plain_tcp_output(ctx, flow, m, sum)))
		net_ip_output(ctx, flow, IPPROTO_TCP, m, 0);
}

static void
net_tcp_train(void *ctx, const struct net_flow *flow, struct rte_mbuf **m, const uint64_t *sums, unsigned n)
{
	net_tcp_output_train(ctx, flow, m, sums, n);
}

static uint32_t
net_tcp_offloads(void *ctx, const struct net_flow *flow)
{
	const struct net_stack *stack = ctx;
	return stack->ifaces[flow->iface].conf.offloads;
}

static uint16_t
net_tcp_mtu(void *ctx, const struct net_flow *flow)
{
	const struct net_stack *stack = ctx;
	return stack->ifaces[flow->iface].conf.mtu;
}

static uint64_t
net_tcp_random(void *ctx)
{
	const struct net_stack *stack = ctx;
	return stack->env.random(stack->env.ctx);
}

static void *
net_tcp_alloc(void *ctx, size_t bytes)
{
	const struct net_stack *stack = ctx;
	return stack->env.alloc(stack->env.ctx, bytes);
}

static void
net_tcp_free(void *ctx, void *p, size_t bytes)
{
	const struct net_stack *stack = ctx;
	stack->env.free(stack->env.ctx, p, bytes);
}

static struct tcp_stack *
net_create_tcp(struct net_stack *stack, const struct tcp_config *config, const struct tcp_app *app)
{
	const struct tcp_env env = {
	    .ctx = stack,
	    .pool = stack->env.pool,
	    .head_pool = stack->env.head_pool,
	    .output = net_tcp_output,
	    .output_summed = net_tcp_output_summed,
	    .output_train = net_tcp_train,
	    .offloads = net_tcp_offloads,
	    .mtu = net_tcp_mtu,
	    .random = net_tcp_random,
	    .alloc = net_tcp_alloc,
	    .free = net_tcp_free,
	};
	return tcp_create(config, &env, app, stack->now_us, &stack->counters);
}

struct net_stack *
net_stack_create(const struct net_config *config, const struct net_env *env,
    const struct tcp_config *tcp_config, const struct tcp_app *tcp_app, uint64_t now_us)
{
	if (config->ifaces_len == 0 || config->ifaces_len > NET_IFACES_MAX)
		return NULL;
	for (unsigned i = 0; i < config->ifaces_len; i++)
		if (!net_iface_valid(&config->ifaces[i]))
			return NULL;
	struct net_stack *stack = env->alloc(env->ctx, sizeof(*stack));
	if (stack == NULL)
		return NULL;
	stack->env = *env;
	stack->now_us = now_us;
	stack->ifaces_len = config->ifaces_len;
	for (unsigned i = 0; i < config->ifaces_len; i++)
		net_iface_setup(&stack->ifaces[i], &config->ifaces[i], (uint8_t)i);
	memcpy(stack->udp_ports, config->udp_ports, sizeof(stack->udp_ports));
	stack->udp_range = config->udp_range;
	stack->ip4_id = (uint16_t)env->random(env->ctx);
	stack->ip6_id = (uint32_t)env->random(env->ctx);
	stack->icmp_limit = (struct rate_limit){.filled_us = now_us,
	    .rate_per_s = config->icmp_rate_per_s,
	    .credits = (uint64_t)RTE_MAX(config->icmp_rate_per_s / RATE_BURST_DIV, 1u) * RATE_TOKEN};
	stack->neigh = neigh_create(stack);
	stack->reassembly = reassembly_create(stack, config->reassembly_bytes_max);
	if (stack->neigh != NULL && stack->reassembly != NULL)
		stack->tcp = net_create_tcp(stack, tcp_config, tcp_app);
	if (stack->tcp == NULL) {
		net_stack_destroy(stack);
		return NULL;
	}
	if (config->cold_start_announce)
		net_announce(stack);
	return stack;
}

void
net_stack_destroy(struct net_stack *stack)
{
	if (stack == NULL)
		return;
	reassembly_destroy(stack);
	neigh_destroy(stack);
	if (stack->tcp != NULL)
		tcp_destroy(
		    stack->tcp); /* last: packets that waited for a neighbour may point to what it sent */
	stack->env.free(stack->env.ctx, stack, sizeof(*stack));
}

/* Asks for a line to own it at once. The compiler has it only for processors that surely do; others ignore it. */
static inline void
prefetch_write(const void *p)
{
	__asm__ volatile("prefetchw %0" : : "m"(*(const volatile char *)p));
}

/* ---- the loop's calls ------------------------------------------------------------------------- */

void
net_tick(struct net_stack *stack, uint64_t now_us)
{
	stack->now_us = now_us;
	tcp_tick(stack->tcp, now_us);
}

/* The lines of a long packet that its checksum reads: another core has written them just now. */
static inline void
net_prefetch_large(const struct rte_mbuf *m)
{
	for (uint32_t at = RTE_CACHE_LINE_SIZE; unlikely(at < m->data_len); at += RTE_CACHE_LINE_SIZE)
		rte_prefetch0(rte_pktmbuf_mtod_offset(m, const uint8_t *, at));
}

/*
 * Headers and a small request or reply, which another core or a device wrote: to be written, since most replies leave in
 * the packet of a request, from the same place on.
 */
static inline void
prefetch_packet(const struct rte_mbuf *m)
{
	const uint8_t *p = rte_pktmbuf_mtod(m, const uint8_t *);

	prefetch_write(p);
	prefetch_write(p + RTE_CACHE_LINE_SIZE);
	if (m->data_len > 2 * RTE_CACHE_LINE_SIZE)
		prefetch_write(p + 2 * RTE_CACHE_LINE_SIZE);
}

void
net_input(struct net_stack *stack, uint8_t iface, struct rte_mbuf **pkts, unsigned n)
{
	const struct iface *ifc = &stack->ifaces[iface];
	const bool plain = ifc->plain;
	uint64_t bytes = 0;

	for (unsigned i = 0; i < n; i++)
		prefetch_packet(pkts[i]);
	stack->counters.rx_packets += n;
	for (unsigned i = 0; i < n; i++) {
		bytes += pkts[i]->pkt_len;
		if (i + READ_AHEAD < n)
			net_prefetch_large(pkts[i + READ_AHEAD]);
		if (unlikely(!plain || !plain_input(stack, ifc, pkts[i])))
			eth_input(stack, ifc, pkts[i]);
	}
	stack->counters.rx_bytes += bytes;
	const unsigned tcp_len = stack->tcp_rx_len, udp_len = stack->udp_rx_len;
	stack->tcp_rx_len = stack->udp_rx_len = 0;
	if (tcp_len > 0)
		tcp_input(stack->tcp, stack->tcp_rx, tcp_len);
	if (udp_len > 0)
		stack->env.udp_input(stack->env.ctx, stack->udp_rx, udp_len);
}

uint64_t
net_poll(struct net_stack *stack)
{
	const uint64_t neigh_us = neigh_poll(stack);
	const uint64_t reassembly_us = reassembly_poll(stack);
	const uint64_t tcp_us = tcp_poll(stack->tcp);

	return RTE_MIN(RTE_MIN(neigh_us, reassembly_us), tcp_us);
}

void
net_flush(struct net_stack *stack)
{
	tcp_flush(stack->tcp);
	if (stack->row.len > 0)
		plain_row_send(stack);
	stack->row.hop.known = false; /* what comes in may change it */
}

/* ---- what the worker asks and tells ----------------------------------------------------------- */

struct tcp_stack *
net_tcp(struct net_stack *stack)
{
	return stack->tcp;
}

const struct net_counters *
net_counters(const struct net_stack *stack)
{
	return &stack->counters;
}

const struct net_iface *
net_iface(const struct net_stack *stack, uint8_t index)
{
	return index < stack->ifaces_len ? &stack->ifaces[index].conf : NULL;
}

void
net_neigh_update(
    struct net_stack *stack, uint8_t iface, const struct net_addr *addr, const struct rte_ether_addr *mac)
{
	if (iface < stack->ifaces_len)
		neigh_learn(stack, &stack->ifaces[iface], addr, mac,
		    NEIGH_CREATE | NEIGH_SOLICITED | NEIGH_OVERRIDE | NEIGH_REMOTE);
}
