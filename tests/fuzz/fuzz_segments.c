/*
 * libFuzzer entry: sequences of TCP segments of one peer, each made around the numbers that the connection has at that
 * moment, with an application that obeys the input, in virtual time.
 *
 * The input is configuration and then records of RECORD bytes, so that bytes which are changed, copied or moved stay what
 * they were: fields of a segment, time that passes, a call of the application. What the peer sends follows from its
 * sequence numbers, and so does what the application writes. So besides sound tables and nothing left at the end, both
 * streams must be right, the acknowledgement must not go back, and nothing may be sent beyond what the peer offered.
 */
#include "dataplane/net/tcp_in.h"
#include "tests/fuzz/frames.h"
#include "tests/unit/net/tcp_rig.h"

#define CONFIG_BYTES 4u
#define RECORD       8u
#define RECORDS_MAX  200u
#define OLDEST       (1u << 30)
#define STORM        40u /* segments for one record and more, beyond what timers may send */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What was seen of the connection that there is. */
static struct {
	unsigned accepted;
	uint32_t read; /* bytes that the application has */
	uint32_t ack;  /* the highest that came out */
	uint32_t edge; /* the rightmost that the peer offered */
	bool has_ack;
} seen;

static void
require_at(bool holds, int line)
{
	if (holds)
		return;
	fprintf(stderr, "line %d does not hold\n", line);
	abort();
}
#define require(holds) require_at(holds, __LINE__)

/* ---- what comes out ------------------------------------------------------------------------------------------- */

static void
check_out(void)
{
	while (rig.out_head < rig.out_len) {
		const struct out *o = next_out();
		const uint32_t end = o->seg.seq + o->seg.len;
		if (!rig.conn || o->seg.flags & (SYN | RST))
			continue;
		for (uint32_t i = 0; i < o->seg.len; i++)
			require(o->payload[i] == (uint8_t)((o->seg.seq - rig.iss + i) * 7));
		if (o->seg.len)
			require(tcp_seq_le(end, seen.edge));
		require(!seen.has_ack || tcp_seq_le(seen.ack, o->seg.ack));
		seen.ack = o->seg.ack;
		seen.has_ack = true;
	}
}

/* rig.bytes holds what the application took since the last look. */
static void
check_in(void)
{
	for (uint32_t i = 0; i < rig.bytes_len; i++)
		require(rig.bytes[i] == (uint8_t)(1 + seen.read + i));
	seen.read += rig.bytes_len;
	rig.bytes_len = 0;
}

static void
check(void)
{
	if (rig.accepted != seen.accepted) {
		memset(&seen, 0, sizeof(seen));
		seen.accepted = rig.accepted;
		seen.edge = rig.conn ? rig.conn->snd_una + rig.conn->snd_wnd_max : 0;
	}
	check_in();
	check_out();
}

/* ---- records -------------------------------------------------------------------------------------------------- */

/* Small steps, segments, half of the sequence space. */
static uint32_t
distance(uint8_t coded)
{
	static const uint32_t scales[] = {0, 1, 100, 1000, 1460, 16384, 65536, 0x08000000};
	return scales[coded & 7] * (uint32_t)((int8_t)coded >> 3);
}

static void
put_options(struct frame_input *input, uint8_t which)
{
	const struct tcp_conn *c = rig.conn;
	uint8_t ts = input_u8(input), sack = input_u8(input);
	struct tcp_range blocks[3];
	unsigned n = c ? which >> 1 & 3 : 0;

	rig.opt_len = 0;
	if (which & 1)
		option_ts((c ? c->ts_recent : 100) + distance(ts),
		    tcp_ts_now(rig.tcp) + (c ? c->ts_offset : 0) - (which >> 3));
	for (unsigned i = 0; i < n; i++) {
		blocks[i].start = c->snd_una + (sack & 15) * 500u + i * 3000u;
		blocks[i].end =
		    blocks[i].start + distance(sack & 0x70 ? (uint8_t)((sack >> 4 << 3) | 3) : 0x21);
	}
	rig.opt_len += tcp_opt_sack(rig.opt + rig.opt_len, blocks, n);
}

static void
segment(struct frame_input *input, uint8_t op)
{
	static const uint8_t flags[] = {ACK, ACK | PSH, ACK, ACK | FIN, RST, RST | ACK, SYN, SYN | ACK};
	static const uint16_t lengths[] = {0, 0, 1, 88, 536, 1000, 1448, 1460};
	static const uint16_t windows[] = {0, 1, 500, 1448, 4000, 20000, 65535, 65535};
	const uint8_t how = input_u8(input), seq = input_u8(input), ack = input_u8(input),
	              which = input_u8(input);
	const struct tcp_conn *c = rig.conn;
	const uint8_t f = flags[op >> 2 & 7];
	const uint32_t from = c ? c->rcv_nxt : PEER_ISS + 1;
	const uint32_t acked = c ? (op & 0x20 ? c->snd_nxt : c->snd_una) : rig.iss + 1;
	const uint16_t wnd = windows[how & 7];

	put_options(input, which);
	if (!c && f == SYN) {
		struct tcp_opt_syn o = {
		    .mss = (uint16_t)(how << 4), .wscale = seq & 15, .options = ack & 7, .tsval = 100};
		rig.opt_len = tcp_opt_syn(rig.opt, &o);
		in(SYN, 0, 0, 0, wnd);
		return;
	}
	const uint32_t number = acked + distance(ack);
	/* An offer that is not taken does no harm here, one from half of the sequence space ago would. */
	const uint32_t edge = number + ((uint32_t)wnd << (c ? c->snd_wscale : 0));
	if (c && f & ACK && c->snd_nxt - number <= OLDEST && tcp_seq_lt(seen.edge, edge))
		seen.edge = edge;
	in_only(f, from + distance(seq) - PEER_ISS, lengths[how >> 3 & 7], number - rig.iss, wnd);
	if (!(op & 0x40))
		tcp_flush(rig.tcp);
}

static void
write_some(uint32_t len)
{
	uint8_t bytes[8192];
	const uint32_t from = rig.conn->sq_end - rig.iss;

	for (uint32_t i = 0; i < len; i++)
		bytes[i] = (uint8_t)((from + i) * 7);
	if (tcp_send_room(rig.conn) != 0)
		(void)!tcp_send(rig.conn, bytes, len);
}

static void
application(struct frame_input *input)
{
	const uint8_t what = input_u8(input), argument = input_u8(input);

	rig.take_max = what & 0x80 ? argument * 8u : UINT32_MAX;
	if ((what & 0x70) == 0x70)
		testpool_fail_after(rig.pool, argument & 3, argument >> 2 & 7);
	rig.alloc_fails = (what & 0x70) == 0x60;
	if (!rig.conn)
		return;
	switch (what & 15) {
	case 0:
		tcp_close(rig.conn);
		break;
	case 1:
		tcp_abort(rig.conn);
		break;
	case 2:
	case 3:
		tcp_resume(rig.conn);
		break;
	case 4: {
		struct net_icmp_error e = {.flow = rig.flow,
		    .proto = 6,
		    .too_big = true,
		    .mtu = (uint16_t)(argument * 8),
		    .tcp_seq = rig.conn->snd_una};
		tcp_icmp_error(rig.tcp, &e);
		break;
	}
	default:
		write_some(1u + argument * ((what & 15) - 4u) * 2u);
	}
	tcp_flush(rig.tcp);
}

static void
take_record(const uint8_t *bytes)
{
	struct frame_input input = {.data = bytes, .size = RECORD};
	const uint8_t op = input_u8(&input);
	const uint64_t before = rig.counters.tcp_segments_out;
	uint64_t pauses = 1;

	if ((op & 3) == 0) {
		const uint64_t us = (uint64_t)(1 + input_u8(&input)) << (op >> 2 & 15);
		pauses += us / 1000;
		pass_us(us);
	} else if ((op & 3) == 1) {
		application(&input);
	} else {
		segment(&input, op);
	}
	require(rig.counters.tcp_segments_out - before <= STORM * pauses + TCP_FLUSH_SEGMENTS);
	check();
	testpool_fail_never(rig.pool);
}

/* ---- life ----------------------------------------------------------------------------------------------------- */

static void
configure(const uint8_t *how)
{
	rig.config.syn_backlog_max = how[0] & 3;
	rig.config.time_wait_max = how[0] >> 2 & 1;
	rig.config.congestion = how[0] & 8 ? TCP_RENO : TCP_CUBIC;
	rig.config.memory_bytes_max = how[0] & 0x10 ? 256u << 10 : 8u << 20;
	rig.config.rcv_buffer_bytes = how[0] & 0x20 ? 3000 : 100000;
	rig.config.snd_buffer_bytes = how[0] & 0x40 ? 3000 : 100000;
	rig.config.keepalive_idle_us = how[0] & 0x80 ? 1000000 : 0;
	rig.mtu = (uint16_t)(576 + how[1] * 4);
	rig.now_us += (uint64_t)how[2] << 32;
}

/* The pool and the buffers stay: making them costs more than a run. */
static void
begin(const uint8_t *how)
{
	static struct rig fresh;

	if (fresh.pool == NULL) {
		require(rig_setup(NULL) == 0);
		tcp_destroy(rig.tcp);
		fresh = rig;
	}
	rig = fresh;
	memset(&seen, 0, sizeof(seen));
	configure(how);
	rig_start();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < CONFIG_BYTES + RECORD)
		return 0;
	begin(data);
	/* Half begin just before the sequence numbers wrap. */
	if (data[3] & 0x80)
		rig.tcp->isn_offset = 0u - (data[3] & 0x7fu) * 100u - tcp_syn_isn(rig.tcp, &rig.flow);
	for (size_t i = 0, at = CONFIG_BYTES; i < RECORDS_MAX && at + RECORD <= size; i++, at += RECORD)
		take_record(data + at);
	rig.alloc_fails = false;
	require(tcp_check(rig.tcp) == NULL);
	tcp_destroy(rig.tcp);
	require(testpool_outstanding(rig.pool) == 0 && rig.allocated == 0 && rig.closed == rig.accepted);
	return 0;
}
