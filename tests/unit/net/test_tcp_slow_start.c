/* tcp_cc.c: where the first slow start ends (HyStart). */
#include "dataplane/net/tcp_sack.h"
#include "tests/unit/net/tcp_rig.h"

#define RTT_US   20000u
#define SEGMENTS 20u

static uint32_t acked;

/* A full window of SEGMENTS leaves at once, more waits; a round trip passes. */
static void
begin(void)
{
	rig.config.snd_buffer_bytes = 1 << 20;
	rig_restart();
	establish(TCP_MINI_OPT_SACK, 60000);
	rig.opt_len = 0;
	rig.conn->srtt_us8 = RTT_US * 8;
	rig.conn->rttvar_us4 = RTT_US;
	rig.conn->min_rtt = RTT_US >> TCP_MIN_RTT_SHIFT;
	rig.conn->cwnd = SEGMENTS * 1000;
	send_bytes(128 * 1000 - 1);
	assert_int_equal(drop_out(), SEGMENTS);
	pass_us(RTT_US);
	acked = 1;
}

/* ACKs for two segments each. */
static void
acks(unsigned n, uint32_t gap_us)
{
	for (unsigned i = 0; i < n; i++) {
		in(ACK, 1, 0, acked += 2000, 60000);
		drop_out();
		pass_us(gap_us);
		drop_out();
	}
}

static bool
slow_start_ended(void)
{
	return rig.conn->ssthresh <= rig.conn->cwnd && rig.counters.tcp_retransmits == 0;
}

/* Half of a round trip's time worth of segments is under way: twice that fills the path. */
static void
train_of_acks_for_half_a_round_trip_slows_the_growth(void **state)
{
	begin();
	acks(9, 1600);
	assert_int_equal(rig.conn->cwnd, 38000);
	acks(1, 1600);
	assert_int_equal(rig.conn->cwnd, 38500);
	assert_false(slow_start_ended());
}

/* The queue grows: even the least of eight took an eighth longer than the least ever. */
static void
late_acks_after_a_train_end_slow_start(void **state)
{
	begin();
	rig.conn->min_rtt = 15000 >> TCP_MIN_RTT_SHIFT;
	acks(8, 1600);
	assert_false(slow_start_ended());
	acks(1, 1600);
	assert_true(slow_start_ended());
	assert_in_range(rig.conn->ssthresh, 34000, 36000);
}

static void
late_acks_without_a_train_change_nothing(void **state)
{
	begin();
	rig.conn->min_rtt = 15000 >> TCP_MIN_RTT_SHIFT;
	acks(10, 10);
	assert_false(slow_start_ended());
	assert_int_equal(rig.conn->cwnd, 40000);
}

static void
acks_far_apart_are_no_train(void **state)
{
	begin();
	acks(9, 2300);
	assert_false(slow_start_ended());
	assert_int_equal(rig.conn->cwnd, 38000);
}

static void
short_train_doubles_the_window(void **state)
{
	begin();
	acks(10, 500);
	assert_false(slow_start_ended());
	assert_int_equal(rig.conn->cwnd, 40000);
}

static void
small_window_grows_whatever_the_acks_say(void **state)
{
	begin();
	rig.conn->cwnd = 6000;
	acks(4, 1900);
	assert_false(slow_start_ended());
	assert_in_range(rig.conn->cwnd, 6000, 15000);
}

static void
second_slow_start_ends_where_it_was_told(void **state)
{
	begin();
	rig.conn->ssthresh = 100000;
	acks(10, 1900);
	assert_int_equal(rig.conn->ssthresh, 100000);
	assert_int_equal(rig.conn->cwnd, 40000);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TCP_TEST(train_of_acks_for_half_a_round_trip_slows_the_growth),
	    TCP_TEST(late_acks_after_a_train_end_slow_start),
	    TCP_TEST(late_acks_without_a_train_change_nothing),
	    TCP_TEST(acks_far_apart_are_no_train),
	    TCP_TEST(short_train_doubles_the_window),
	    TCP_TEST(small_window_grows_whatever_the_acks_say),
	    TCP_TEST(second_slow_start_ends_where_it_was_told),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
