/* The end of a connection in every order, and TIME-WAIT. All states and events: test_tcp_states.c. */
#include <errno.h>

#include "dataplane/net/tcp_rx.h"
#include "tests/unit/net/tcp_rig.h"

static struct tcp_usage
usage(void)
{
	struct tcp_usage u;
	tcp_usage(rig.tcp, &u);
	return u;
}

static void
close_now(void)
{
	tcp_tick(rig.tcp, rig.now_us);
	tcp_close(rig.conn);
	tcp_flush(rig.tcp);
}

static void
closing_first_ends_in_time_wait(void **state)
{
	establish(0, 1000);
	close_now();
	expect(FIN | ACK, 1, 0, 1);
	in(ACK, 1, 0, 2, 1000);
	assert_int_equal(rig.conn->state, TCP_FIN_WAIT_2);
	in(ACK, 1, 10, 2, 1000); /* the peer may still send */
	check_received(10);
	in(FIN | ACK, 11, 0, 2, 1000);
	expect(ACK, 2, 0, 12);
	assert_int_equal(rig.eof, 1);
	assert_int_equal(rig.closed, 1);
	assert_int_equal(rig.reason, TCP_CLOSED_NORMALLY);
	assert_int_equal(usage().connections, 0);
	assert_int_equal(usage().time_wait, 1);
	assert_int_equal(usage().memory_bytes, 64);
	pass_us(60100000);
	assert_int_equal(usage().time_wait, 0);
	expect_nothing();
}

static void
closing_second_ends_without_time_wait(void **state)
{
	establish(0, 1000);
	in(FIN | ACK, 1, 0, 1, 1000);
	expect(ACK, 1, 0, 2);
	assert_int_equal(rig.eof, 1);
	send_bytes(100); /* half-closed: our direction still works */
	expect(ACK, 1, 100, 2);
	close_now();
	expect(FIN | ACK, 101, 0, 2);
	in(ACK, 2, 0, 102, 1000);
	assert_int_equal(rig.closed, 1);
	assert_int_equal(usage().connections + usage().time_wait, 0);
	assert_int_equal(usage().memory_bytes, 0);
}

static void
fin_follows_the_last_byte_in_its_segment(void **state)
{
	establish(0, 1000);
	assert_int_equal(tcp_send(rig.conn, "bye", 3), 0);
	close_now();
	expect(FIN | ACK, 1, 3, 1);
	assert_int_equal(tcp_send(rig.conn, "x", 1), -EPIPE);
	expect_nothing();
}

static void
simultaneous_close_goes_through_closing(void **state)
{
	establish(0, 1000);
	close_now();
	expect(FIN | ACK, 1, 0, 1);
	in(FIN | ACK, 1, 0, 1, 1000);
	expect(ACK, 2, 0, 2);
	assert_int_equal(rig.conn->state, TCP_CLOSING);
	in(ACK, 2, 0, 2, 1000);
	assert_int_equal(rig.closed, 1);
	assert_int_equal(usage().time_wait, 1);
	expect_nothing();
}

static void
ack_without_the_fin_does_not_end_last_ack(void **state)
{
	establish(0, 1000);
	in(FIN | ACK, 1, 0, 1, 1000);
	drop_out();
	assert_int_equal(tcp_send(rig.conn, "abc", 3), 0);
	close_now();
	expect(FIN | ACK, 1, 3, 2);
	in(ACK, 2, 0, 3, 1000);
	in(ACK, 2, 0, 4, 1000);
	in(ACK, 2, 0, 6, 1000); /* beyond the FIN */
	assert_int_equal(rig.closed, 0);
	drop_out();
	in(ACK, 2, 0, 5, 1000);
	assert_int_equal(rig.closed, 1);
}

static void
lost_fin_is_sent_again(void **state)
{
	establish(0, 1000);
	close_now();
	expect(FIN | ACK, 1, 0, 1);
	pass_us(201000);
	expect(FIN | ACK, 1, 0, 1);
	in(ACK, 1, 0, 2, 1000);
	assert_int_equal(rig.conn->state, TCP_FIN_WAIT_2);
}

static void
fin_waits_while_the_window_is_closed(void **state)
{
	establish(0, 0);
	close_now();
	expect_nothing();
	in(ACK, 1, 0, 1, 10);
	expect(FIN | ACK, 1, 0, 1);
}

static void
fin_wait_2_is_bounded(void **state)
{
	establish(0, 1000);
	close_now();
	expect(FIN | ACK, 1, 0, 1);
	in(ACK, 1, 0, 2, 1000);
	pass_us(60100000);
	expect(RST | ACK, 2, 0, 1);
	assert_int_equal(rig.closed, 1);
	assert_int_equal(rig.reason, TCP_CLOSED_TIMEOUT);
}

static void
last_ack_is_bounded(void **state)
{
	rig.config.user_timeout_us = 10000000;
	rig_restart();
	establish(0, 1000);
	in(FIN | ACK, 1, 0, 1, 1000);
	close_now();
	pass_us(30000000);
	drop_out();
	assert_int_equal(rig.closed, 1);
	assert_int_equal(usage().connections, 0);
}

static void
close_with_unread_bytes_resets(void **state)
{
	establish(0, 1000);
	rig.take_max = 0;
	in(ACK, 1, 10, 1, 1000);
	close_now();
	expect(RST | ACK, 1, 0, 11);
	assert_int_equal(rig.closed, 1);
	expect_nothing();
}

static void
close_inside_of_received_sends_fin_and_goes_on_reading(void **state)
{
	establish(0, 1000);
	rig.take_max = 0;
	in(ACK, 1, 100, 1, 1000);
	in(ACK, 101, 900, 1, 1000);
	drop_out();
	rig.take_max = 10;
	rig.close_inside = true;
	tcp_resume(rig.conn);
	tcp_flush(rig.tcp);
	expect(FIN | ACK, 1, 0, 1001);
	rig.take_max = UINT32_MAX;
	tcp_resume(rig.conn);
	check_received(1000);
}

static void
abort_resets_and_closed_comes_with_the_flush(void **state)
{
	establish(0, 1000);
	tcp_abort(rig.conn);
	assert_int_equal(rig.closed, 0);
	tcp_flush(rig.tcp);
	assert_int_equal(rig.closed, 1);
	assert_int_equal(rig.reason, TCP_CLOSED_LOCALLY);
	expect(RST | ACK, 1, 0, 1);
	in(RST | ACK, 1, 0, 1, 0);
	expect_nothing();
}

static void
unread_bytes_survive_the_end_of_both_directions(void **state)
{
	establish(0, 1000);
	close_now();
	expect(FIN | ACK, 1, 0, 1);
	rig.take_max = 0;
	in(FIN | ACK, 1, 10, 2, 1000);
	expect(ACK, 2, 0, 12);
	assert_int_equal(rig.closed, 0);
	in(RST, 12, 0, 0, 0); /* RFC 1337 */
	rig.take_max = UINT32_MAX;
	tcp_resume(rig.conn);
	check_received(10);
	assert_int_equal(rig.eof, 1);
	tcp_flush(rig.tcp);
	assert_int_equal(rig.closed, 1);
	assert_int_equal(usage().time_wait, 1);
}

static void
enter_time_wait(uint8_t opts)
{
	establish(opts, 1000);
	close_now();
	expect(FIN | ACK, 1, 0, 1);
	in(FIN | ACK, 1, 0, 2, 1000);
	expect(ACK, 2, 0, 2);
	assert_true(usage().time_wait > 0);
}

static void
time_wait_acknowledges_a_repeated_fin_and_starts_again(void **state)
{
	enter_time_wait(0);
	pass_us(50000000);
	in(FIN | ACK, 1, 0, 2, 1000);
	expect(ACK, 2, 0, 2);
	pass_us(50000000);
	assert_int_equal(usage().time_wait, 1);
	pass_us(11000000);
	assert_int_equal(usage().time_wait, 0);
	expect_nothing();
}

static void
time_wait_ignores_rst(void **state)
{
	enter_time_wait(0);
	in(RST, 2, 0, 0, 0);
	in(RST | ACK, 2, 0, 2, 0);
	expect_nothing();
	assert_int_equal(usage().time_wait, 1);
}

static void
time_wait_gives_way_to_a_higher_sequence(void **state)
{
	enter_time_wait(0);
	uint32_t end = rig.iss + 2;
	in(SYN, 1, 0, 0, 1000); /* below: old */
	expect(ACK, 2, 0, 2);
	assert_int_equal(usage().time_wait, 1);
	in(SYN, 5000, 0, 0, 1000);
	expect(SYN | ACK, 0, 0, 5001);
	assert_true(tcp_seq_lt(end, rig.iss));
	assert_int_equal(usage().time_wait, 0);
	in(ACK, 5001, 0, 1, 1000);
	assert_int_equal(rig.accepted, 2);
}

static void
time_wait_gives_way_to_a_larger_timestamp(void **state)
{
	enter_time_wait(TCP_MINI_OPT_TS);
	struct tcp_opt_syn o = {.mss = 1000, .options = TCP_MINI_OPT_TS, .tsval = 99};
	rig.opt_len = tcp_opt_syn(rig.opt, &o);
	in(SYN, 9000, 0, 0, 1000);
	drop_out();
	assert_int_equal(usage().time_wait, 1);
	o.tsval = 101;
	rig.opt_len = tcp_opt_syn(rig.opt, &o);
	in(SYN, 0, 0, 0, 1000);
	expect(SYN | ACK, 0, 0, 1);
	assert_int_equal(usage().time_wait, 0);
}

static void
time_wait_above_the_cap_evicts_the_oldest(void **state)
{
	for (unsigned i = 0; i < 6; i++) {
		rig.flow.remote_port = rte_cpu_to_be_16((uint16_t)(4000 + i));
		enter_time_wait(0);
	}
	assert_int_equal(usage().time_wait, 4);
	assert_int_equal(rig.counters.tcp_time_wait_evicted, 2);
}

static void
timer_of_a_reset_connection_does_nothing(void **state)
{
	establish(0, 0);
	send_bytes(100);
	pass_us(250000);
	drop_out();
	in(RST, 1, 0, 0, 0);
	assert_int_equal(rig.tcp->wheel.armed, 0);
	pass_us(100000000);
	expect_nothing();
}

static void
destroy_tells_closed_and_releases_references(void **state)
{
	static const uint8_t bytes[10];
	establish(0, 1000);
	assert_int_equal(tcp_send_ref(rig.conn, bytes, 10, 77), 0);
	tcp_destroy(rig.tcp);
	assert_int_equal(rig.closed, 1);
	assert_int_equal(rig.released, 1);
	rig_start();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TCP_TEST(closing_first_ends_in_time_wait),
	    TCP_TEST(closing_second_ends_without_time_wait),
	    TCP_TEST(fin_follows_the_last_byte_in_its_segment),
	    TCP_TEST(simultaneous_close_goes_through_closing),
	    TCP_TEST(ack_without_the_fin_does_not_end_last_ack),
	    TCP_TEST(lost_fin_is_sent_again),
	    TCP_TEST(fin_waits_while_the_window_is_closed),
	    TCP_TEST(fin_wait_2_is_bounded),
	    TCP_TEST(last_ack_is_bounded),
	    TCP_TEST(close_with_unread_bytes_resets),
	    TCP_TEST(close_inside_of_received_sends_fin_and_goes_on_reading),
	    TCP_TEST(abort_resets_and_closed_comes_with_the_flush),
	    TCP_TEST(unread_bytes_survive_the_end_of_both_directions),
	    TCP_TEST(time_wait_acknowledges_a_repeated_fin_and_starts_again),
	    TCP_TEST(time_wait_ignores_rst),
	    TCP_TEST(time_wait_gives_way_to_a_higher_sequence),
	    TCP_TEST(time_wait_gives_way_to_a_larger_timestamp),
	    TCP_TEST(time_wait_above_the_cap_evicts_the_oldest),
	    TCP_TEST(timer_of_a_reset_connection_does_nothing),
	    TCP_TEST(destroy_tells_closed_and_releases_references),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
