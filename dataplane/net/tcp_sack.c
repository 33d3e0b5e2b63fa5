/*
 * See tcp_sack.h. Mechanics only: what a time or a block means for loss is in tcp_rack.c.
 */
#include "dataplane/net/tcp_sack.h"

#include "dataplane/net/tcp_rack.h"
#include "dataplane/net/tcp_stack.h"

#define QUANTUM_SHIFT 5u /* of the round trip */
#define SPARE_RUNS    4u /* kept for retransmissions and new data when SACK blocks ask for splits */

/* Now, rounded up to a power of two near a 32nd of the round trip. */
static uint32_t
stamp(const struct tcp_conn *c)
{
	uint32_t part = c->srtt_us8 >> (3 + QUANTUM_SHIFT);
	uint32_t mask = part > 1 ? (1u << (31 - __builtin_clz(part))) - 1 : 0;
	return ((uint32_t)c->tcp->now_us + mask) & ~mask;
}

static uint32_t
run_start(struct tcp_board *b, unsigned i)
{
	return i ? tcp_board_runs(b)[i - 1].end : b->start;
}

struct tcp_board *
tcp_board_begin(struct tcp_conn *c)
{
	struct tcp_board *b = c->board;
	if (b)
		return b;
	b = tcp_mem_get(&c->tcp->mem, TCP_BLOCK_256);
	if (!b)
		return NULL;
	tcp_conn_set_board(c, b);
	b->block_class = TCP_BLOCK_256;
	b->room = TCP_BOARD_RUNS_MIN;
	b->start = b->fack = b->dsack_round = b->hystart.end = c->snd_una;
	b->heard_tick = c->tcp->tick;
	if (c->flags & TCP_F_SACK && tcp_flight(c))
		b->runs[b->len++] = (struct tcp_run){.end = c->snd_nxt, .sent_us = c->rtt_start_us};
	return b;
}

void
tcp_board_drop(struct tcp_conn *c)
{
	if (c->board)
		tcp_mem_put(&c->tcp->mem, c->board->block_class, c->board);
	tcp_conn_set_board(c, NULL);
}

/* Moves to a larger block; without memory all stays as it is. */
static void
grow(struct tcp_conn *c)
{
	struct tcp_board *b = c->board, *larger;
	if (b->block_class != TCP_BLOCK_256 || !(larger = tcp_mem_get(&c->tcp->mem, TCP_BLOCK_2K)))
		return;
	memcpy(larger, b, sizeof(*b));
	memcpy(larger->runs, tcp_board_runs(b), b->len * sizeof(struct tcp_run));
	larger->first = 0;
	larger->room = TCP_BOARD_RUNS_MAX;
	larger->block_class = TCP_BLOCK_2K;
	tcp_board_drop(c);
	tcp_conn_set_board(c, larger);
}

/* Makes a place for one more run at index i. False: full but for `spare`. */
static bool
insert(struct tcp_conn *c, unsigned i, unsigned spare)
{
	if (c->board->len + spare >= c->board->room)
		grow(c);
	struct tcp_board *b = c->board;
	if (b->len + spare >= b->room)
		return false;
	if (b->first + b->len == b->room) {
		memmove(b->runs, tcp_board_runs(b), b->len * sizeof(struct tcp_run));
		b->first = 0;
	}
	struct tcp_run *r = tcp_board_runs(b) + i;
	memmove(r + 1, r, (b->len - i) * sizeof(*r));
	b->len++;
	return true;
}

/* The index of the run that begins at seq, split off if need be. When the board is full: the next one. */
static unsigned
cut(struct tcp_conn *c, uint32_t seq, unsigned spare)
{
	unsigned i = 0;
	while (i < c->board->len && tcp_seq_le(tcp_board_runs(c->board)[i].end, seq))
		i++;
	if (i == c->board->len || run_start(c->board, i) == seq)
		return i;
	if (!insert(c, i, spare))
		return i + 1;
	struct tcp_run *r = tcp_board_runs(c->board) + i;
	r[0] = r[1];
	r[0].end = seq;
	return i + 1;
}

static bool
same_fate(const struct tcp_run *a, const struct tcp_run *b)
{
	if (a->flags & b->flags & TCP_RUN_SACKED)
		return true;
	return a->flags == b->flags && (a->flags & TCP_RUN_LOST || a->sent_us == b->sent_us);
}

/* Merges runs of one fate among those from index `from` to `to`. */
static void
tidy(struct tcp_board *b, unsigned from, unsigned to)
{
	struct tcp_run *r = tcp_board_runs(b);
	unsigned kept = from;
	to = RTE_MIN(to, b->len - 1u);
	for (unsigned i = from + 1; i <= to && b->len; i++) {
		if (same_fate(&r[kept], &r[i])) {
			r[kept].end = r[i].end;
			r[kept].sent_us = tcp_seq_max(r[kept].sent_us, r[i].sent_us);
		} else {
			r[++kept] = r[i];
		}
	}
	if (kept >= to || !b->len)
		return;
	memmove(r + kept + 1, r + to + 1, (b->len - to - 1) * sizeof(*r));
	b->len = (uint16_t)(b->len - (to - kept));
}

void
tcp_board_tidy(struct tcp_board *b)
{
	if (b->len)
		tidy(b, 0, b->len - 1u);
}

/* ---- what leaves ------------------------------------------------------------------------------ */

void
tcp_board_sent(struct tcp_conn *c, uint32_t end)
{
	struct tcp_board *b = c->board;
	struct tcp_run fresh = {.end = end, .sent_us = stamp(c)};
	struct tcp_run *last = b->len ? tcp_board_runs(b) + b->len - 1 : NULL;
	if (last && same_fate(last, &fresh)) {
		last->end = end;
	} else if (insert(c, b->len, 0)) {
		b = c->board;
		tcp_board_runs(b)[b->len - 1] = fresh;
	} else {
		/* Full: what was sent before counts as sent now, unless its fate is known. */
		b->sacked_bytes += last->flags & TCP_RUN_SACKED ? end - last->end : 0;
		b->lost_bytes += last->flags & TCP_RUN_LOST ? end - last->end : 0;
		last->end = end;
		last->sent_us = fresh.sent_us;
	}
}

void
tcp_board_sent_again(struct tcp_conn *c, uint32_t from, uint32_t end)
{
	unsigned i = cut(c, from, 0), to = cut(c, end, 0);
	struct tcp_board *b = c->board;
	/* A split that found no place: the whole run counts as sent; its rest is found missing later. */
	for (; i < to && i < b->len; i++) {
		struct tcp_run *r = tcp_board_runs(b) + i;
		if (r->flags & TCP_RUN_SACKED)
			continue;
		if (r->flags & TCP_RUN_LOST)
			b->lost_bytes -= r->end - run_start(b, i);
		r->flags = TCP_RUN_AGAIN;
		r->sent_us = stamp(c);
	}
	tcp_board_tidy(b);
}

/* ---- what arrived ----------------------------------------------------------------------------- */

/* A run, or what is left of it, is delivered. Returns its bytes unless that was known. */
static uint32_t
deliver(struct tcp_conn *c, const struct tcp_seg *seg, uint32_t start, const struct tcp_run *r)
{
	uint32_t bytes = r->end - start;
	if (r->flags & TCP_RUN_SACKED)
		return 0;
	if (r->flags & TCP_RUN_LOST)
		c->board->lost_bytes -= bytes;
	tcp_rack_delivered(c, seg, r);
	return bytes;
}

uint32_t
tcp_board_acked(struct tcp_conn *c, const struct tcp_seg *seg)
{
	struct tcp_board *b = c->board;
	uint32_t fresh = 0;
	while (b->len && tcp_seq_lt(b->start, c->snd_una)) {
		struct tcp_run part = *tcp_board_runs(b);
		part.end = tcp_seq_min(part.end, c->snd_una);
		if (part.flags & TCP_RUN_SACKED)
			b->sacked_bytes -= part.end - b->start;
		fresh += deliver(c, seg, b->start, &part);
		b->start = part.end;
		if (tcp_board_runs(b)->end == part.end) {
			b->first++;
			b->len--;
		}
	}
	b->start = c->snd_una;
	if (!b->len)
		b->first = 0;
	return fresh;
}

static uint32_t
sack_range(struct tcp_conn *c, const struct tcp_seg *seg, struct tcp_range range)
{
	uint32_t fresh = 0;
	unsigned i = cut(c, range.start, SPARE_RUNS), first = i;
	unsigned to = cut(c, range.end, SPARE_RUNS);
	struct tcp_board *b = c->board;
	/* A split that found no place at the end: the run is taken only when it is covered whole. */
	for (; i < to && i < b->len; i++) {
		struct tcp_run *r = tcp_board_runs(b) + i;
		if (tcp_seq_lt(range.end, r->end))
			break;
		uint32_t bytes = deliver(c, seg, run_start(b, i), r);
		b->sacked_bytes += bytes;
		fresh += bytes;
		r->flags = TCP_RUN_SACKED;
	}
	if (b->len)
		tidy(b, first ? first - 1 : 0, to);
	return fresh;
}

uint32_t
tcp_board_sacked(struct tcp_conn *c, const struct tcp_seg *seg)
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
		if (!c->board && (c->flags & (TCP_F_RECOVERY | TCP_F_LOSS) || !tcp_board_begin(c)))
			break;
		fresh += sack_range(c, seg, r);
	}
	return fresh;
}

/* ---- verdicts --------------------------------------------------------------------------------- */

void
tcp_board_lose(struct tcp_board *b, struct tcp_run *r, uint32_t bytes)
{
	r->flags |= TCP_RUN_LOST;
	b->lost_bytes += bytes;
}

void
tcp_board_lose_first(struct tcp_conn *c)
{
	unsigned i = 0;
	while (i < c->board->len && tcp_board_runs(c->board)[i].flags & (TCP_RUN_SACKED | TCP_RUN_LOST))
		i++;
	if (i == c->board->len)
		return;
	uint32_t start = run_start(c->board, i);
	(void)cut(c, start + c->mss, 0);
	struct tcp_run *r = tcp_board_runs(c->board) + i;
	tcp_board_lose(c->board, r, r->end - start);
	tcp_board_tidy(c->board);
}

void
tcp_board_lose_all(struct tcp_board *b, bool forget)
{
	b->lost_bytes = 0;
	if (forget)
		b->sacked_bytes = 0;
	for (unsigned i = 0; i < b->len; i++) {
		struct tcp_run *r = tcp_board_runs(b) + i;
		if (forget)
			r->flags &= ~TCP_RUN_SACKED;
		if (!(r->flags & TCP_RUN_SACKED))
			tcp_board_lose(b, r, r->end - run_start(b, i));
	}
	tcp_board_tidy(b);
}

void
tcp_board_lose_none(struct tcp_board *b)
{
	b->lost_bytes = 0;
	for (unsigned i = 0; i < b->len; i++)
		tcp_board_runs(b)[i].flags &= ~TCP_RUN_LOST;
}

bool
tcp_board_has_again(struct tcp_board *b)
{
	for (unsigned i = 0; i < b->len; i++) {
		if (tcp_board_runs(b)[i].flags & TCP_RUN_AGAIN)
			return true;
	}
	return false;
}

bool
tcp_board_next_lost(struct tcp_board *b, struct tcp_range *lost)
{
	for (unsigned i = 0; b->lost_bytes && i < b->len; i++) {
		if (!(tcp_board_runs(b)[i].flags & TCP_RUN_LOST))
			continue;
		*lost = (struct tcp_range){run_start(b, i), tcp_board_runs(b)[i].end};
		return true;
	}
	return false;
}

const char *
tcp_board_check(const struct tcp_conn *c)
{
	struct tcp_board *b = c->board;
	uint32_t at = c->snd_una, sacked = 0, lost = 0;
	if (!tcp_by_runs(c))
		return NULL;
	for (unsigned i = 0; i < b->len; i++) {
		const struct tcp_run *r = tcp_board_runs(b) + i;
		if (!tcp_seq_lt(at, r->end))
			return "scoreboard: an empty run";
		sacked += r->flags & TCP_RUN_SACKED ? r->end - at : 0;
		lost += r->flags & TCP_RUN_LOST ? r->end - at : 0;
		at = r->end;
	}
	if (b->start != c->snd_una || at != c->snd_nxt)
		return "scoreboard: the runs are not what is in flight";
	if (sacked != b->sacked_bytes || lost != b->lost_bytes)
		return "scoreboard: bytes are miscounted";
	return b->first + b->len > b->room ? "scoreboard: more runs than room" : NULL;
}
