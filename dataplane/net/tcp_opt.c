/*
 * See tcp_opt.h. A malformed option ends the parsing and what came before it counts, as other stacks do; it
 * never ends the segment.
 */
#include "dataplane/net/tcp_opt.h"

enum { OPT_END = 0, OPT_NOP = 1, OPT_MSS = 2, OPT_WSCALE = 3, OPT_SACK_OK = 4, OPT_SACK = 5, OPT_TS = 8 };

static inline uint8_t *
put32(uint8_t *p, uint32_t v)
{
	v = rte_cpu_to_be_32(v);
	memcpy(p, &v, sizeof(v));
	return p + sizeof(v);
}

/* One option: p[0] kind, p[1] = len >= 2, all len bytes are there. */
static void
parse_one(struct tcp_seg *seg, const uint8_t *p, unsigned len)
{
	bool syn = seg->flags & RTE_TCP_SYN_FLAG;
	switch (p[0]) {
	case OPT_MSS:
		if (syn && len == 4) {
			seg->has_mss = true;
			seg->mss = (uint16_t)(p[2] << 8 | p[3]);
		}
		break;
	case OPT_WSCALE:
		if (syn && len == 3) {
			seg->has_wscale = true;
			seg->wscale = p[2];
		}
		break;
	case OPT_SACK_OK:
		if (syn && len == 2)
			seg->has_sack_ok = true;
		break;
	case OPT_TS:
		if (len == 10) {
			seg->has_ts = true;
			seg->tsval = tcp_opt_get32(p + 2);
			seg->tsecr = tcp_opt_get32(p + 6);
		}
		break;
	case OPT_SACK:
		if (syn || (len - 2) % 8)
			break;
		seg->sacks_len = 0;
		for (unsigned i = 2; i < len && seg->sacks_len < TCP_SACK_BLOCKS_MAX; i += 8) {
			seg->sacks[seg->sacks_len].start = tcp_opt_get32(p + i);
			seg->sacks[seg->sacks_len++].end = tcp_opt_get32(p + i + 4);
		}
		break;
	}
}

void
tcp_opt_parse(struct tcp_seg *seg, const uint8_t *p, unsigned len)
{
	for (unsigned i = 0; i < len && p[i] != OPT_END;) {
		if (p[i] == OPT_NOP) {
			i++;
			continue;
		}
		if (len - i < 2 || p[i + 1] < 2 || p[i + 1] > len - i)
			return;
		parse_one(seg, p + i, p[i + 1]);
		i += p[i + 1];
	}
}

unsigned
tcp_opt_ts(uint8_t *to, uint32_t tsval, uint32_t tsecr)
{
	put32(put32(put32(to, TCP_OPT_TS_PREFIX), tsval), tsecr);
	return TCP_OPT_TS_BYTES;
}

unsigned
tcp_opt_sack(uint8_t *to, const struct tcp_range *blocks, unsigned n)
{
	if (n == 0)
		return 0;
	uint8_t *p = put32(to, 0x01010000u | OPT_SACK << 8 | (2 + 8 * n));
	for (unsigned i = 0; i < n; i++)
		p = put32(put32(p, blocks[i].start), blocks[i].end);
	return (unsigned)(p - to);
}

unsigned
tcp_opt_syn(uint8_t *to, const struct tcp_opt_syn *o)
{
	uint8_t *p = put32(to, OPT_MSS << 24 | 4 << 16 | o->mss);
	bool sack = o->options & TCP_MINI_OPT_SACK;
	if (o->options & TCP_MINI_OPT_TS) {
		/* SACK permitted takes the place of the two NOPs. */
		p = put32(p, sack ? OPT_SACK_OK << 24 | 2 << 16 | OPT_TS << 8 | 10 : TCP_OPT_TS_PREFIX);
		p = put32(put32(p, o->tsval), o->tsecr);
	} else if (sack) {
		p = put32(p, 0x01010000u | OPT_SACK_OK << 8 | 2);
	}
	if (o->options & TCP_MINI_OPT_WS)
		p = put32(p, OPT_NOP << 24 | OPT_WSCALE << 16 | 3 << 8 | o->wscale);
	return (unsigned)(p - to);
}
