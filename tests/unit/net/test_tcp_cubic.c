/* CUBIC (RFC 9438) where windows are small and losses many, which is where its Reno-friendly part decides. */
#include "tests/unit/net/tcp_rig.h"

#define RTT_US 20000u

static void
establish_with_window(uint32_t cwnd)
{
	rig.config.congestion = TCP_CUBIC;
	rig_restart();
	establish(0, 60000);
	rig.conn->srtt_us8 = RTT_US * 8;
	rig.conn->cwnd = cwnd;
	rig.conn->ssthresh = cwnd / 2;
}

/* 4.3: 3 (1 - 0.7) / (1 + 0.7) = 0.53 of a segment in a round trip, and no lag behind the estimate. */
static void
window_is_the_reno_friendly_estimate(void **state)
{
	establish_with_window(5000);
	rig.conn->cubic_w_max = 10;
	send_bytes(50000);
	assert_int_equal(drop_out(), 5);
	for (unsigned i = 1; i <= 5; i++) {
		pass_us(RTT_US / 5);
		in(ACK, 1, 0, 1 + i * 1000, 60000);
		uint32_t estimate = (uint32_t)(rig.conn->cubic_w_est * 1000);
		assert_in_range(rig.conn->cwnd, estimate - 5, estimate + 5);
	}
	assert_in_range(rig.conn->cwnd, 5480, 5530);
	drop_out();
}

/* 4.6: of 5.9 segments five are in flight; it is the window that is too large. */
static void
reduction_is_of_the_window_that_limits(void **state)
{
	establish_with_window(5900);
	send_bytes(50000);
	assert_int_equal(drop_out(), 5);
	pass_us(1000000);
	drop_out();
	assert_in_range(rig.conn->ssthresh, 4129, 4130);
}

/* Nothing is known about a window that was not used. */
static void
reduction_is_of_the_flight_where_the_application_limits(void **state)
{
	establish_with_window(20000);
	send_bytes(5000);
	assert_int_equal(drop_out(), 5);
	pass_us(1000000);
	drop_out();
	assert_in_range(rig.conn->ssthresh, 3499, 3500);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TCP_TEST(window_is_the_reno_friendly_estimate),
	    TCP_TEST(reduction_is_of_the_window_that_limits),
	    TCP_TEST(reduction_is_of_the_flight_where_the_application_limits),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
