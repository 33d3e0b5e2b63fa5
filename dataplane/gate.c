/*
 * See gate.h. The list is short and searched in order. Rates are token buckets in a small cache of sources, 4 ways a
 * set: a source that was pushed out begins anew with a full bucket, so that the table bounds memory, not service.
 */
#include "dataplane/gate.h"

#include <stdlib.h>
#include <rte_branch_prediction.h>
#include <rte_common.h>

#define GATE_SETS  256u
#define GATE_WAYS  4u
#define GATE_TOKEN 1000000u /* credits of one token: rate credits come in a microsecond */

struct bucket {
	uint64_t source; /* 0: free */
	uint64_t credits;
	uint64_t filled_us;
};

struct limiter {
	uint32_t rate_per_s; /* 0: no limit */
	struct bucket buckets[GATE_SETS][GATE_WAYS];
};

struct gate {
	bool draining;
	bool guarded_connections, guarded_datagrams; /* there is a list or a limit */
	unsigned prefixes_len;
	struct prefix {
		uint64_t bits[2], mask[2]; /* as struct net_addr.q */
	} prefixes[DATAPLANE_ACL_MAX];
	uint64_t secret;
	struct limiter connections, datagrams;
};

struct gate *
gate_create(uint64_t secret)
{
	struct gate *gate = calloc(1, sizeof(*gate));

	if (gate)
		gate->secret = secret | 1;
	return gate;
}

void
gate_destroy(struct gate *gate)
{
	free(gate);
}

/* ---- the list --------------------------------------------------------------------------------- */

static uint64_t
mask_of(unsigned bits)
{
	return bits == 0 ? 0 : rte_cpu_to_be_64(UINT64_MAX << (64 - RTE_MIN(bits, 64u)));
}

static struct prefix
prefix_from(const struct dataplane_prefix *given)
{
	struct prefix prefix = {
	    .mask = {mask_of(given->bits), given->bits > 64 ? mask_of(given->bits - 64u) : 0}};
	struct net_addr addr;

	memcpy(addr.b, given->addr, sizeof(addr.b));
	prefix.bits[0] = addr.q[0] & prefix.mask[0];
	prefix.bits[1] = addr.q[1] & prefix.mask[1];
	return prefix;
}

bool
gate_adopt(struct gate *gate, const struct dataplane_config *config)
{
	bool changed = gate->prefixes_len != config->acl_allow_len;

	gate->draining = config->draining;
	gate->prefixes_len = config->acl_allow_len;
	for (unsigned i = 0; i < gate->prefixes_len; i++) {
		struct prefix prefix = prefix_from(&config->acl_allow[i]);

		changed |= memcmp(&prefix, &gate->prefixes[i], sizeof(prefix)) != 0;
		gate->prefixes[i] = prefix;
	}
	gate->connections.rate_per_s = config->connections_per_s;
	gate->datagrams.rate_per_s = config->datagrams_per_s;
	gate->guarded_connections = gate->prefixes_len || gate->connections.rate_per_s;
	gate->guarded_datagrams = gate->prefixes_len || gate->datagrams.rate_per_s;
	return changed;
}

bool
gate_allows(const struct gate *gate, const struct net_addr *remote)
{
	for (unsigned i = 0; i < gate->prefixes_len; i++) {
		const struct prefix *p = &gate->prefixes[i];

		if ((((remote->q[0] & p->mask[0]) ^ p->bits[0]) |
		        ((remote->q[1] & p->mask[1]) ^ p->bits[1])) == 0)
			return true;
	}
	return gate->prefixes_len == 0;
}

/* ---- rates ------------------------------------------------------------------------------------ */

static uint64_t
source_of(const struct net_addr *remote)
{
	uint64_t source = net_addr_is_v4(remote) ? remote->w[3] : remote->q[0];

	return source ? source : 1;
}

/* The source's bucket; one that was used longest ago gives way to a new source, which begins full. */
static struct bucket *
bucket_of(const struct gate *gate, struct limiter *limiter, uint64_t source, uint64_t now_us)
{
	uint64_t hash = (source ^ gate->secret) * 0x9e3779b97f4a7c15ull * gate->secret;
	struct bucket *set = limiter->buckets[hash >> 56], *oldest = set;

	for (unsigned way = 0; way < GATE_WAYS; way++) {
		if (set[way].source == source)
			return &set[way];
		if (set[way].filled_us < oldest->filled_us)
			oldest = &set[way];
	}
	*oldest = (struct bucket){source, (uint64_t)limiter->rate_per_s * GATE_TOKEN, now_us};
	return oldest;
}

/* A second's worth may come at once. */
static bool
take_token(const struct gate *gate, struct limiter *limiter, const struct net_addr *remote, uint64_t now_us)
{
	struct bucket *bucket;
	uint64_t most = (uint64_t)limiter->rate_per_s * GATE_TOKEN, passed_us;

	if (limiter->rate_per_s == 0)
		return true;
	bucket = bucket_of(gate, limiter, source_of(remote), now_us);
	passed_us = RTE_MIN(now_us - bucket->filled_us, (uint64_t)GATE_TOKEN);
	bucket->credits = RTE_MIN(bucket->credits + passed_us * limiter->rate_per_s, most);
	bucket->filled_us = now_us;
	if (bucket->credits < GATE_TOKEN)
		return false;
	bucket->credits -= GATE_TOKEN;
	return true;
}

static enum gate_verdict
verdict(struct gate *gate, struct limiter *limiter, const struct net_addr *remote, uint64_t now_us)
{
	if (!gate_allows(gate, remote))
		return GATE_NOT_ALLOWED;
	return take_token(gate, limiter, remote, now_us) ? GATE_PASS : GATE_TOO_MANY;
}

enum gate_verdict
gate_connection(struct gate *gate, const struct net_addr *remote, uint64_t now_us)
{
	if (likely(!gate->guarded_connections))
		return unlikely(gate->draining) ? GATE_DRAINING : GATE_PASS;
	enum gate_verdict found = verdict(gate, &gate->connections, remote, now_us);

	return found == GATE_PASS && gate->draining ? GATE_DRAINING : found;
}

bool
gate_guards_datagrams(const struct gate *gate)
{
	return gate->guarded_datagrams;
}

enum gate_verdict
gate_datagram(struct gate *gate, const struct net_addr *remote, uint64_t now_us)
{
	return likely(!gate->guarded_datagrams) ? GATE_PASS : verdict(gate, &gate->datagrams, remote, now_us);
}
