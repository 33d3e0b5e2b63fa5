/*
 * SipHash-2-4 over the words of a flow; see tcp_hash.h.
 */
#include "dataplane/net/tcp_hash.h"

struct sip {
	uint64_t v0, v1, v2, v3;
};

static inline uint64_t
rotl(uint64_t x, int bits)
{
	return x << bits | x >> (64 - bits);
}

static inline void
sip_round(struct sip *s)
{
	s->v0 += s->v1;
	s->v1 = rotl(s->v1, 13) ^ s->v0;
	s->v0 = rotl(s->v0, 32);
	s->v2 += s->v3;
	s->v3 = rotl(s->v3, 16) ^ s->v2;
	s->v0 += s->v3;
	s->v3 = rotl(s->v3, 21) ^ s->v0;
	s->v2 += s->v1;
	s->v1 = rotl(s->v1, 17) ^ s->v2;
	s->v2 = rotl(s->v2, 32);
}

static void
sip_word(struct sip *s, uint64_t word)
{
	s->v3 ^= word;
	sip_round(s);
	sip_round(s);
	s->v0 ^= word;
}

uint64_t
tcp_siphash_flow(const uint64_t key[2], const struct net_flow *f, uint64_t extra)
{
	struct sip s = {key[0] ^ 0x736f6d6570736575ull, key[1] ^ 0x646f72616e646f6dull,
	    key[0] ^ 0x6c7967656e657261ull, key[1] ^ 0x7465646279746573ull};

	sip_word(&s, f->local.q[0]);
	sip_word(&s, f->local.q[1]);
	sip_word(&s, f->remote.q[0]);
	sip_word(&s, f->remote.q[1]);
	sip_word(&s, extra);
	/* The last block: the remaining four bytes, and the length (44) in the top byte. */
	sip_word(&s, tcp_hash_ports(f) | 44ull << 56);
	s.v2 ^= 0xff;
	for (int i = 0; i < 4; i++)
		sip_round(&s);
	return s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
}
