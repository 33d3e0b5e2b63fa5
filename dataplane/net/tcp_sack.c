/*
 * See tcp_sack.h.
 */
#include "dataplane/net/tcp_sack.h"

#include "dataplane/net/tcp_stack.h"

#define DUP_THRESH 3u

struct tcp_board *
tcp_board_need(struct tcp_conn *c)
{
	if (!c->board)
		c->board = tcp_mem_get(&c->tcp->mem, TCP_BLOCK_256);
	return c->board;
}

void
tcp_board_drop(struct tcp_conn *c)
{
	if (c->board)
		tcp_mem_put(&c->tcp->mem, TCP_BLOCK_256, c->board);
	c->board = NULL;
}

/* Adds one checked range, merging what it touches. Returns bytes that are new. A full board refuses new
 * islands. */
static uint32_t
add_range(struct tcp_board *b, struct tcp_range r)
{
	uint32_t first = 0, fresh = r.end - r.start;
	while (first < b->len && tcp_seq_lt(b->ranges[first].end, r.start))
		first++;
	uint32_t last = first;
	for (; last < b->len && tcp_seq_le(b->ranges[last].start, r.end); last++) {
		const struct tcp_range *o = &b->ranges[last];
		uint32_t from = tcp_seq_max(o->start, r.start), to = tcp_seq_min(o->end, r.end);
		fresh -= to - from;
	}
	if (first == last) {
		if (b->len == TCP_BOARD_RANGES)
			return 0;
		memmove(&b->ranges[first + 1], &b->ranges[first], (b->len - first) * sizeof(r));
		b->len++;
	} else {
		r.start = tcp_seq_min(r.start, b->ranges[first].start);
		r.end = tcp_seq_max(r.end, b->ranges[last - 1].end);
		memmove(&b->ranges[first + 1], &b->ranges[last], (b->len - last) * sizeof(r));
		b->len -= last - first - 1;
	}
	b->ranges[first] = r;
	return fresh;
}

uint32_t
tcp_board_update(struct tcp_conn *c, const struct tcp_seg *seg)
{
	uint32_t fresh = 0;
	for (unsigned i = 0; i < seg->sacks_len; i++) {
		struct tcp_range r = seg->sacks[i];
		/*
		 * At or below snd_una: a duplicate report (RFC 2883), old, or nonsense. As offsets, since a block that
		 * spans half of the sequence space would pass comparisons by difference.
		 */
		uint32_t start = r.start - c->snd_una, end = r.end - c->snd_una;
		if (start == 0 || start >= end || end > tcp_flight(c))
			continue;
		if (!tcp_board_need(c))
			break;
		fresh += add_range(c->board, r);
	}
	return fresh;
}

void
tcp_board_trim(struct tcp_conn *c)
{
	struct tcp_board *b = c->board;
	uint32_t gone = 0;
	while (gone < b->len && tcp_seq_le(b->ranges[gone].end, c->snd_una))
		gone++;
	memmove(b->ranges, b->ranges + gone, (b->len - gone) * sizeof(b->ranges[0]));
	b->len -= gone;
	if (b->len && tcp_seq_lt(b->ranges[0].start, c->snd_una))
		b->ranges[0].start = c->snd_una;
}

uint32_t
tcp_board_count(const struct tcp_conn *c, uint32_t from, uint32_t to)
{
	uint32_t sum = 0;
	for (uint32_t i = 0; c->board && i < c->board->len; i++) {
		uint32_t start = tcp_seq_max(from, c->board->ranges[i].start);
		uint32_t end = tcp_seq_min(to, c->board->ranges[i].end);
		if (tcp_seq_lt(start, end))
			sum += end - start;
	}
	return sum;
}

uint32_t
tcp_board_hole(const struct tcp_conn *c, uint32_t from, uint32_t limit, uint32_t *end)
{
	*end = limit;
	for (uint32_t i = 0; c->board && i < c->board->len; i++) {
		const struct tcp_range *r = &c->board->ranges[i];
		if (tcp_seq_lt(from, r->start)) {
			*end = tcp_seq_min(limit, r->start);
			break;
		}
		from = tcp_seq_max(from, r->end);
	}
	return from;
}

uint32_t
tcp_board_lost_edge(const struct tcp_conn *c)
{
	uint32_t above = 0, islands = 0;
	for (uint32_t i = c->board ? c->board->len : 0; i-- > 0;) {
		const struct tcp_range *r = &c->board->ranges[i];
		above += r->end - r->start;
		if (++islands >= DUP_THRESH || above > (DUP_THRESH - 1) * c->mss)
			return r->start;
	}
	return c->snd_una;
}

const char *
tcp_board_check(const struct tcp_conn *c)
{
	uint32_t at = c->snd_una;
	for (uint32_t i = 0; c->board && i < c->board->len; i++) {
		const struct tcp_range *r = &c->board->ranges[i];
		if (tcp_seq_lt(r->start, at) || !tcp_seq_lt(r->start, r->end) ||
		    tcp_seq_lt(c->snd_nxt, r->end))
			return "scoreboard: ranges are not sorted inside of what was sent";
		at = r->end;
	}
	return NULL;
}
