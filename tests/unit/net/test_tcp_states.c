/*
 * Every state, every event, every place: RFC 9293 3.10.7 with RFC 5961, 1337 and 6191 as one table.
 *
 * Numbers are relative: the peer's SYN is 0, its next byte 1, or 2 after its FIN; ours the same. The window offered to
 * it is 65535 bytes from 1. Each cell says what comes out and what is left:
 *
 *   out    .  nothing      a  ACK            r  RST or RST with ACK      y  SYN with ACK
 *   left   -  nothing      h  a SYN entry    s  SYN-SENT     b  SYN-RECEIVED of a connection
 *          E  ESTABLISHED  C  CLOSE-WAIT     1  2  FIN-WAIT  X  CLOSING   K  LAST-ACK   T  TIME-WAIT
 *
 * Where RFC 9293 leaves a choice or we differ: a SYN entry answers nothing outside of its window, for it would answer
 * every spoofed segment; an empty segment right behind the window counts as inside; data behind a FIN is ignored, its
 * ACK is not; TIME-WAIT answers only what a living peer may have sent.
 */
#include "tests/unit/net/tcp_rig.h"

enum { STATES = 11, EVENTS = 10, PLACES = 6 };

static const struct event {
	uint8_t flags;
	uint32_t len, ack;
} events[EVENTS] = {{SYN, 0, 0}, {SYN | ACK, 0, 1}, {ACK, 0, 1}, {ACK, 0, 2}, {ACK, 0, 9}, {ACK, 10, 1},
    {FIN | ACK, 0, 1}, {FIN | ACK, 10, 2}, {RST, 0, 0}, {RST | ACK, 0, 1}};
static const uint32_t places[PLACES] = {0, 1, 2, 500, 65536, 0x80000000u};

/* How a state is reached; its name; what follows from each event at each place. */
struct state {
	const char *name;
	bool connect, syn, open, peer_fin, close;
	uint32_t peer_fin_ack; /* 0: the peer's FIN comes before our close */
	uint32_t ack;          /* of our FIN, without the peer's */
	const char *cells[EVENTS];
};

/* clang-format off */
static const struct state states[STATES] = {
	{"LISTEN", .cells = {
		/* at                     0  1  2  500 64k 2^31 */
		/* SYN                */ "yh yh yh yh yh yh",
		/* SYN ACK            */ "r- r- r- r- r- r-",
		/* ACK of 1           */ "r- r- r- r- r- r-",
		/* ACK of 2           */ "r- r- r- r- r- r-",
		/* ACK of 9           */ "r- r- r- r- r- r-",
		/* data               */ "r- r- r- r- r- r-",
		/* FIN                */ "r- r- r- r- r- r-",
		/* data FIN, ACK of 2 */ "r- r- r- r- r- r-",
		/* RST                */ ".- .- .- .- .- .-",
		/* RST ACK            */ ".- .- .- .- .- .-",
	}},
	{"SYN-SENT", .connect = true, .cells = {
		/* at                     0  1  2  500 64k 2^31 */
		/* SYN                */ "yb yb yb yb yb yb",
		/* SYN ACK            */ "aE aE aE aE aE aE",
		/* ACK of 1           */ ".s .s .s .s .s .s",
		/* ACK of 2           */ "rs rs rs rs rs rs",
		/* ACK of 9           */ "rs rs rs rs rs rs",
		/* data               */ ".s .s .s .s .s .s",
		/* FIN                */ ".s .s .s .s .s .s",
		/* data FIN, ACK of 2 */ "rs rs rs rs rs rs",
		/* RST                */ ".s .s .s .s .s .s",
		/* RST ACK            */ ".- .- .- .- .- .-",
	}},
	{"SYN-RECEIVED", .syn = true, .cells = {
		/* at                     0  1  2  500 64k 2^31 */
		/* SYN                */ "yh yh yh yh yh yh",
		/* SYN ACK            */ "rh rh rh rh rh rh",
		/* ACK of 1           */ ".h .E .E .E .E .h",
		/* ACK of 2           */ "rh rh rh rh rh rh",
		/* ACK of 9           */ "rh rh rh rh rh rh",
		/* data               */ ".h .E aE aE aE .h",
		/* FIN                */ ".h aC aE aE aE .h",
		/* data FIN, ACK of 2 */ "rh rh rh rh rh rh",
		/* RST                */ ".h .- .h .h .h .h",
		/* RST ACK            */ ".h .- .h .h .h .h",
	}},
	{"SYN-RECEIVED, both opened", .connect = true, .syn = true, .cells = {
		/* at                     0  1  2  500 64k 2^31 */
		/* SYN                */ "ab ab ab ab ab ab",
		/* SYN ACK            */ "ab ab ab ab ab ab",
		/* ACK of 1           */ "ab .E .E .E .E ab",
		/* ACK of 2           */ "ab rb rb rb rb ab",
		/* ACK of 9           */ "ab rb rb rb rb ab",
		/* data               */ "aE .E aE aE ab ab",
		/* FIN                */ "ab aC aE aE ab ab",
		/* data FIN, ACK of 2 */ "rb rb rb rb ab ab",
		/* RST                */ ".b .- ab ab ab .b",
		/* RST ACK            */ ".b .- ab ab ab .b",
	}},
	{"ESTABLISHED", .open = true, .cells = {
		/* at                     0  1  2  500 64k 2^31 */
		/* SYN                */ "aE aE aE aE aE aE",
		/* SYN ACK            */ "aE aE aE aE aE aE",
		/* ACK of 1           */ "aE .E .E .E .E aE",
		/* ACK of 2           */ "aE aE aE aE aE aE",
		/* ACK of 9           */ "aE aE aE aE aE aE",
		/* data               */ "aE .E aE aE aE aE",
		/* FIN                */ "aE aC aE aE aE aE",
		/* data FIN, ACK of 2 */ "aE aE aE aE aE aE",
		/* RST                */ ".E .- aE aE aE .E",
		/* RST ACK            */ ".E .- aE aE aE .E",
	}},
	{"CLOSE-WAIT", .open = true, .peer_fin = true, .cells = {
		/* at                     0  1  2  500 64k 2^31 */
		/* SYN                */ "aC aC aC aC aC aC",
		/* SYN ACK            */ "aC aC aC aC aC aC",
		/* ACK of 1           */ "aC aC .C .C .C aC",
		/* ACK of 2           */ "aC aC aC aC aC aC",
		/* ACK of 9           */ "aC aC aC aC aC aC",
		/* data               */ ".C .C .C .C aC aC",
		/* FIN                */ "aC aC .C .C aC aC",
		/* data FIN, ACK of 2 */ "aC aC aC aC aC aC",
		/* RST                */ ".C .C .- aC aC .C",
		/* RST ACK            */ ".C .C .- aC aC .C",
	}},
	{"FIN-WAIT-1", .open = true, .close = true, .cells = {
		/* at                     0  1  2  500 64k 2^31 */
		/* SYN                */ "a1 a1 a1 a1 a1 a1",
		/* SYN ACK            */ "a1 a1 a1 a1 a1 a1",
		/* ACK of 1           */ "a1 .1 .1 .1 .1 a1",
		/* ACK of 2           */ "a1 .2 .2 .2 .2 a1",
		/* ACK of 9           */ "a1 a1 a1 a1 a1 a1",
		/* data               */ "a1 .1 a1 a1 a1 a1",
		/* FIN                */ "a1 aX a1 a1 a1 a1",
		/* data FIN, ACK of 2 */ "aT aT a2 a2 a1 a1",
		/* RST                */ ".1 .- a1 a1 a1 .1",
		/* RST ACK            */ ".1 .- a1 a1 a1 .1",
	}},
	{"FIN-WAIT-2", .open = true, .close = true, .ack = 2, .cells = {
		/* at                     0  1  2  500 64k 2^31 */
		/* SYN                */ "a2 a2 a2 a2 a2 a2",
		/* SYN ACK            */ "a2 a2 a2 a2 a2 a2",
		/* ACK of 1           */ "a2 .2 .2 .2 .2 a2",
		/* ACK of 2           */ "a2 .2 .2 .2 .2 a2",
		/* ACK of 9           */ "a2 a2 a2 a2 a2 a2",
		/* data               */ "a2 .2 a2 a2 a2 a2",
		/* FIN                */ "a2 aT a2 a2 a2 a2",
		/* data FIN, ACK of 2 */ "aT aT a2 a2 a2 a2",
		/* RST                */ ".2 .- a2 a2 a2 .2",
		/* RST ACK            */ ".2 .- a2 a2 a2 .2",
	}},
	{"CLOSING", .open = true, .close = true, .peer_fin = true, .peer_fin_ack = 1, .cells = {
		/* at                     0  1  2  500 64k 2^31 */
		/* SYN                */ "aX aX aX aX aX aX",
		/* SYN ACK            */ "aX aX aX aX aX aX",
		/* ACK of 1           */ "aX aX .X .X .X aX",
		/* ACK of 2           */ "aX aX .T .T .T aX",
		/* ACK of 9           */ "aX aX aX aX aX aX",
		/* data               */ ".X .X .X .X aX aX",
		/* FIN                */ "aX aX .X .X aX aX",
		/* data FIN, ACK of 2 */ ".T .T .T .T aX aX",
		/* RST                */ ".X .X .- aX aX .X",
		/* RST ACK            */ ".X .X .- aX aX .X",
	}},
	{"LAST-ACK", .open = true, .peer_fin = true, .close = true, .cells = {
		/* at                     0  1  2  500 64k 2^31 */
		/* SYN                */ "aK aK aK aK aK aK",
		/* SYN ACK            */ "aK aK aK aK aK aK",
		/* ACK of 1           */ "aK aK .K .K .K aK",
		/* ACK of 2           */ "aK aK .- .- .- aK",
		/* ACK of 9           */ "aK aK aK aK aK aK",
		/* data               */ ".K .K .K .K aK aK",
		/* FIN                */ "aK aK .K .K aK aK",
		/* data FIN, ACK of 2 */ ".- .- .- .- aK aK",
		/* RST                */ ".K .K .- aK aK .K",
		/* RST ACK            */ ".K .K .- aK aK .K",
	}},
	{"TIME-WAIT", .open = true, .close = true, .peer_fin = true, .peer_fin_ack = 2, .cells = {
		/* at                     0  1  2  500 64k 2^31 */
		/* SYN                */ "aT aT aT yh yh yh",
		/* SYN ACK            */ "aT aT aT aT aT aT",
		/* ACK of 1           */ "aT aT .T aT aT aT",
		/* ACK of 2           */ "aT aT .T aT aT aT",
		/* ACK of 9           */ "aT aT .T aT aT aT",
		/* data               */ "aT aT aT aT aT aT",
		/* FIN                */ "aT aT .T aT aT aT",
		/* data FIN, ACK of 2 */ "aT aT aT aT aT aT",
		/* RST                */ ".T .T .T .T .T .T",
		/* RST ACK            */ ".T .T .T .T .T .T",
	}},
};
/* clang-format on */

static void
go_to(const struct state *s)
{
	if (s->connect) {
		rig.conn = tcp_connect(rig.tcp, &rig.flow);
		tcp_flush(rig.tcp);
	}
	if (s->syn)
		in(SYN, 0, 0, 0, 1000);
	drop_out();
	if (!s->open)
		return;
	establish(0, 1000);
	if (s->peer_fin && !s->peer_fin_ack)
		in(FIN | ACK, 1, 0, 1, 1000);
	if (s->close) {
		tcp_close(rig.conn);
		tcp_flush(rig.tcp);
	}
	if (s->ack)
		in(ACK, 1, 0, s->ack, 1000);
	if (s->peer_fin_ack)
		in(FIN | ACK, 1, 0, s->peer_fin_ack, 1000);
	drop_out();
}

static char
what_is_left(void)
{
	struct tcp_usage u;
	tcp_usage(rig.tcp, &u);
	if (u.half_open || u.time_wait) {
		assert_int_equal(u.half_open + u.time_wait + u.connections, 1);
		return u.half_open ? 'h' : 'T';
	}
	if (!u.connections)
		return '-';
	assert_int_equal(u.connections, 1);
	return ".sbEC12XKT"[rig.conn->state];
}

static char
what_came_out(void)
{
	char out = '.';
	assert_in_range(rig.out_len - rig.out_head, 0, 1);
	if (rig.out_head == rig.out_len)
		return out;
	switch (next_out()->seg.flags & ~PSH) {
	case ACK:
		return 'a';
	case RST:
	case RST | ACK:
		return 'r';
	case SYN | ACK:
		return 'y';
	default:
		return '?';
	}
}

static void
row(const struct state *s, unsigned event, char *cells)
{
	const struct event *e = &events[event];
	for (unsigned p = 0; p < PLACES; p++) {
		rig_restart();
		rig.conn = NULL;
		rig.bytes_len = 0;
		go_to(s);
		in(e->flags, places[p], e->len, e->ack, 1000);
		assert_null(tcp_check(rig.tcp));
		*cells++ = what_came_out();
		*cells++ = what_is_left();
		*cells++ = ' ';
	}
	cells[-1] = '\0';
}

static void
every_event_in_every_state_at_every_place_does_what_the_table_says(void **state)
{
	unsigned wrong = 0;
	for (unsigned s = 0; s < STATES; s++) {
		for (unsigned e = 0; e < EVENTS; e++) {
			char cells[PLACES * 3];
			row(&states[s], e, cells);
			if (strcmp(cells, states[s].cells[e]) == 0)
				continue;
			fprintf(stderr, "# %s, event %u: \"%s\", not \"%s\"\n", states[s].name, e, cells,
			    states[s].cells[e]);
			wrong++;
		}
	}
	assert_int_equal(wrong, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TCP_TEST(every_event_in_every_state_at_every_place_does_what_the_table_says),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
