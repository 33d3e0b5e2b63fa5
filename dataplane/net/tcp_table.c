/*
 * See tcp_table.h. Tags come from the hash's high bits, the bucket from its low bits.
 */
#include "dataplane/net/tcp_table.h"

#include "dataplane/net/tcp_stack.h"

static size_t
table_bytes(const struct tcp_table *t)
{
	return ((size_t)t->mask + 1) * sizeof(struct tcp_bucket);
}

bool
tcp_table_init(struct tcp_stack *tcp, uint32_t entries_max)
{
	struct tcp_table *t = &tcp->table;
	uint32_t buckets = 4;
	while ((uint64_t)buckets * TCP_BUCKET_WAYS < (uint64_t)entries_max * 2)
		buckets *= 2;
	t->mask = buckets - 1;
	t->max = entries_max;
	t->buckets = tcp->env.alloc(tcp->env.ctx, table_bytes(t));
	return t->buckets != NULL;
}

void
tcp_table_fini(struct tcp_stack *tcp)
{
	if (tcp->table.buckets)
		tcp->env.free(tcp->env.ctx, tcp->table.buckets, table_bytes(&tcp->table));
}

bool
tcp_table_grow(struct tcp_stack *tcp, uint32_t entries_max)
{
	struct tcp_table old = tcp->table;
	if (entries_max <= old.max)
		return true;
	if (!tcp_table_init(tcp, entries_max)) {
		tcp->table = old;
		return false;
	}
	tcp->table.used = 0;
	for (uint32_t i = 0; i <= old.mask; i++)
		for (unsigned way = 0; way < TCP_BUCKET_WAYS; way++)
			if (old.buckets[i].tags[way]) {
				uint32_t ref = old.buckets[i].refs[way];
				tcp_table_insert(
				    tcp, tcp_hash_flow(&tcp->secrets, tcp_ref_flow(tcp, ref)), ref);
			}
	tcp->env.free(tcp->env.ctx, old.buckets, table_bytes(&old));
	return true;
}

uint32_t
tcp_table_find(const struct tcp_stack *tcp, uint32_t hash, const struct net_flow *flow)
{
	const struct tcp_table *t = &tcp->table;
	uint16_t tag = tcp_table_tag(hash);
	for (uint32_t i = hash & t->mask, left = t->mask + 1; left > 0; i = (i + 1) & t->mask, left--) {
		const struct tcp_bucket *b = &t->buckets[i];
		for (unsigned equal = tcp_bucket_equal(b, tag); equal; equal &= equal - 1) {
			uint32_t ref = b->refs[__builtin_ctz(equal) / 2];
			if (likely(tcp_flow_equal(tcp_ref_flow(tcp, ref), flow)))
				return ref;
		}
		if (likely(b->passed == 0))
			break;
	}
	return TCP_INDEX_NONE;
}

bool
tcp_table_insert(struct tcp_stack *tcp, uint32_t hash, uint32_t ref)
{
	struct tcp_table *t = &tcp->table;
	if (t->used >= t->max)
		return false;
	for (uint32_t i = hash & t->mask;; i = (i + 1) & t->mask) {
		struct tcp_bucket *b = &t->buckets[i];
		for (unsigned way = 0; way < TCP_BUCKET_WAYS; way++) {
			if (b->tags[way])
				continue;
			b->tags[way] = tcp_table_tag(hash);
			b->refs[way] = ref;
			t->used++;
			t->generation++;
			return true;
		}
		b->passed++;
	}
}

/* Where a reference is; *home_distance: buckets passed on the way. */
static struct tcp_bucket *
locate(struct tcp_table *t, uint32_t hash, uint32_t ref, unsigned *way)
{
	uint16_t tag = tcp_table_tag(hash);
	for (uint32_t i = hash & t->mask, left = t->mask + 1; left > 0; i = (i + 1) & t->mask, left--) {
		struct tcp_bucket *b = &t->buckets[i];
		for (*way = 0; *way < TCP_BUCKET_WAYS; (*way)++) {
			if (b->tags[*way] == tag && b->refs[*way] == ref)
				return b;
		}
	}
	return NULL;
}

void
tcp_table_remove(struct tcp_stack *tcp, uint32_t hash, uint32_t ref)
{
	struct tcp_table *t = &tcp->table;
	unsigned way;
	struct tcp_bucket *found = locate(t, hash, ref, &way);
	assert(found);
	found->tags[way] = 0;
	for (uint32_t i = hash & t->mask; &t->buckets[i] != found; i = (i + 1) & t->mask)
		t->buckets[i].passed--;
	t->used--;
	t->generation++;
}

void
tcp_table_replace(struct tcp_stack *tcp, uint32_t hash, uint32_t ref, uint32_t new_ref)
{
	unsigned way;
	struct tcp_bucket *found = locate(&tcp->table, hash, ref, &way);
	assert(found);
	found->refs[way] = new_ref;
	tcp->table.generation++;
}

const char *
tcp_table_check(const struct tcp_stack *tcp)
{
	const struct tcp_table *t = &tcp->table;
	uint32_t seen = 0;
	for (uint32_t i = 0; i <= t->mask; i++) {
		for (unsigned way = 0; way < TCP_BUCKET_WAYS; way++) {
			if (!t->buckets[i].tags[way])
				continue;
			const struct net_flow *flow = tcp_ref_flow(tcp, t->buckets[i].refs[way]);
			uint32_t hash = tcp_hash_flow(&tcp->secrets, flow);
			if (tcp_table_find(tcp, hash, flow) != t->buckets[i].refs[way])
				return "flow table: an entry is not found by its flow";
			seen++;
		}
	}
	if (seen != t->used)
		return "flow table: the count is wrong";
	return NULL;
}
