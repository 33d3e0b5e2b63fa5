/* What a connection, a poll and a worker's memory are limited to, as far as no other test of TCP is about it. */
#include "tests/unit/net/tcp_rig.h"

#define MANY    400u
#define IDLE_US 60000000u

/* The flow of the n-th connection of many. */
static void
other_peer(unsigned n)
{
	rig.flow.remote_port = rte_cpu_to_be_16((uint16_t)(PEER_PORT + n));
}

static void
establish_many(unsigned n)
{
	rig.config.connections_max = n;
	rig_restart();
	for (unsigned i = 0; i < n; i++) {
		other_peer(i);
		establish(0, 1000);
	}
}

static void
closing_is_bounded(void **state)
{
	rig.config.user_timeout_us = 10000000;
	rig_restart();
	establish(0, 1000);
	tcp_close(rig.conn);
	tcp_flush(rig.tcp);
	in(FIN | ACK, 1, 0, 1, 1000);
	assert_int_equal(rig.conn->state, TCP_CLOSING);
	pass_us(30000000);
	drop_out();
	assert_int_equal(rig.closed, 1);
}

/* Within a data centre less than the kernel's 200 ms. */
static void
timeout_is_the_configured_least(void **state)
{
	rig.config.rto_min_us = 50000;
	rig_restart();
	establish(0, 5000);
	send_bytes(100);
	pass_us(1000);
	in(ACK, 1, 0, 101, 5000); /* a round trip of a millisecond */
	drop_out();
	send_bytes(100);
	expect(ACK, 101, 100, 1);
	pass_us(49000);
	expect_nothing();
	pass_us(3000);
	check_payload(expect(ACK, 101, 100, 1));
}

/* RFC 5681 4.1: what was known about the path is old. */
static void
window_after_a_silence_is_the_initial_one(void **state)
{
	establish(0, 60000);
	rig.conn->cwnd = 40000;
	send_bytes(100);
	pass_us(1000);
	in(ACK, 1, 0, 101, 60000);
	drop_out();
	pass_us(10000000);
	send_bytes(30000);
	assert_int_equal(drop_out(), 10);
}

/* Over a sixteenth of the time: 3.75 s. */
static void
keepalives_are_spread(void **state)
{
	uint64_t begin_us = rig.now_us;
	rig.config.keepalive_idle_us = IDLE_US;
	establish_many(MANY);
	unsigned least = MANY, most = 0;
	pass_us(begin_us + IDLE_US - rig.now_us);
	drop_out();
	for (unsigned second = 0; second < 3; second++) {
		pass_us(1000000);
		unsigned probes = drop_out();
		least = RTE_MIN(least, probes);
		most = RTE_MAX(most, probes);
	}
	assert_in_range(least, MANY / 8, MANY);
	assert_in_range(most, MANY / 8, MANY / 2);
	assert_int_equal(rig.closed, 0);
}

/* All at once, in pieces that leave time for packets. */
static void
one_poll_ends_a_bounded_number_of_timers(void **state)
{
	rig.config.delayed_ack_us = 40000;
	establish_many(MANY);
	for (unsigned i = 0; i < MANY; i++) {
		other_peer(i);
		rig.iss = tcp_conn_at(rig.tcp, i)->snd_una - 1;
		in(ACK, 1, 10, 1, 1000);
	}
	expect_nothing();
	rig.now_us += 50000;
	tcp_tick(rig.tcp, rig.now_us);
	unsigned acks = 0, polls = 0;
	for (; acks < MANY && polls < MANY; polls++) {
		tcp_poll(rig.tcp);
		tcp_flush(rig.tcp);
		unsigned n = drop_out();
		assert_in_range(n, 0, TCP_EXPIRIES_MAX);
		acks += n;
	}
	assert_int_equal(acks, MANY);
	assert_in_range(polls, MANY / TCP_EXPIRIES_MAX, 4 * MANY / TCP_EXPIRIES_MAX);
}

/* Windows shrink for those that hold much before anybody is reset. */
static void
above_three_quarters_less_is_taken_and_promised(void **state)
{
	static uint8_t big[80000];
	rig.config.memory_bytes_max = 100000;
	rig_restart();
	establish(0, 1000);
	assert_int_equal(tcp_send(rig.conn, big, sizeof(big)), 0);
	tcp_flush(rig.tcp);
	drop_out();
	assert_int_equal(tcp_send_room(rig.conn), 0);
	tcp_poll(rig.tcp);
	assert_int_equal(rig.closed, 0);
	other_peer(1);
	struct tcp_conn *first = rig.conn;
	establish(0, 1000);
	assert_ptr_not_equal(rig.conn, first);
	/* A new one may send what a request's reply needs, and is promised 16 KB at most beyond the first window. */
	assert_in_range(tcp_send_room(rig.conn), 1, 32768);
	uint32_t edge = rig.conn->rcv_edge;
	in(ACK, 1, 1000, 1, 1000);
	in(ACK, 1001, 1000, 1, 1000);
	drop_out();
	assert_in_range(rig.conn->rcv_edge - rig.conn->rcv_nxt, 0, RTE_MAX(16384u, edge - rig.conn->rcv_nxt));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TCP_TEST(closing_is_bounded),
	    TCP_TEST(timeout_is_the_configured_least),
	    TCP_TEST(window_after_a_silence_is_the_initial_one),
	    TCP_TEST(keepalives_are_spread),
	    TCP_TEST(one_poll_ends_a_bounded_number_of_timers),
	    TCP_TEST(above_three_quarters_less_is_taken_and_promised),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
