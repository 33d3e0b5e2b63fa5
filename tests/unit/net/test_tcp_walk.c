/* Who is shown by a walk over connections, who is admitted, and tables that grow while connections live. */
#include "tests/unit/net/tcp_rig.h"

#define MANY 200u

static struct tcp_glance glances[MANY + 1];
static unsigned glances_len;

static void
note(void *ctx, const struct tcp_glance *glance)
{
	glances[glances_len++] = *glance;
}

/* Looks at everything once. */
static unsigned
walk(unsigned budget)
{
	uint32_t cursor = 0;
	glances_len = 0;
	while (tcp_walk(rig.tcp, &cursor, budget, note, NULL))
		continue;
	assert_int_equal(cursor, 0);
	return glances_len;
}

static void
open_connection_is_shown_with_its_activity(void **state)
{
	assert_int_equal(walk(10), 0);
	establish(0, 1000);
	assert_int_equal(walk(10), 1);
	assert_ptr_equal(glances[0].conn, rig.conn);
	uint32_t before = glances[0].activity;
	walk(10);
	assert_int_equal(glances[0].activity, before);
	in(ACK, 1, 10, 1, 1000);
	walk(10);
	assert_int_not_equal(glances[0].activity, before);
	before = glances[0].activity;
	send_bytes(5);
	walk(10);
	assert_int_not_equal(glances[0].activity, before);
	assert_true(glances[0].unsent);
}

static void
closed_connection_is_shown_when_the_peer_knows(void **state)
{
	establish(0, 1000);
	tcp_close(rig.conn);
	assert_int_equal(walk(10), 0);
	tcp_flush(rig.tcp);
	drop_out();
	assert_int_equal(walk(10), 0);
	in(ACK, 1, 0, 2, 1000);
	assert_int_equal(walk(10), 1);
	assert_true(glances[0].ended);
}

static void
abort_all(void *ctx, const struct tcp_glance *glance)
{
	tcp_abort(glance->conn);
}

static void
connection_may_be_aborted_during_the_walk(void **state)
{
	uint32_t cursor = 0;
	establish(0, 1000);
	while (tcp_walk(rig.tcp, &cursor, 10, abort_all, NULL))
		continue;
	tcp_flush(rig.tcp);
	assert_int_equal(rig.closed, 1);
	assert_int_equal(walk(10), 0);
}

static enum tcp_admission verdict;
static unsigned asked;

static enum tcp_admission
admit(void *app, const struct net_flow *flow)
{
	asked++;
	return verdict;
}

static void
refused_syn_is_answered_with_rst(void **state)
{
	rig.tcp->app.admit = admit;
	verdict = TCP_REFUSE;
	in(SYN, 0, 0, 0, 1000);
	assert_int_equal(rig.out_len, 1);
	assert_true(rig.out[0].seg.flags & RST);
	drop_out();
	assert_int_equal(rig.counters.drop_tcp_admission, 1);
}

static void
ignored_syn_is_not_answered_open_connections_are_not_asked_about(void **state)
{
	rig.tcp->app.admit = admit;
	verdict = TCP_ADMIT;
	asked = 0;
	establish(0, 1000);
	assert_int_equal(asked, 1);
	verdict = TCP_IGNORE;
	in(ACK, 1, 10, 1, 1000);
	check_received(10);
	assert_int_equal(asked, 1);
	drop_out();
	rig.flow.remote_port = rte_cpu_to_be_16(5000);
	in(SYN, 0, 0, 0, 1000);
	expect_nothing();
	assert_int_equal(asked, 2);
}

static void
connect_from(unsigned from, unsigned to)
{
	for (unsigned i = from; i < to; i++) {
		rig.flow.remote_port = rte_cpu_to_be_16((uint16_t)(10000 + i));
		in(SYN, 0, 0, 0, 1000);
		if (rig.out_head < rig.out_len)
			in(ACK, 1, 0, 1, 1000);
		drop_out();
	}
}

static void
limit_raised_makes_room_and_loses_nobody(void **state)
{
	rig.config.connections_max = 10;
	rig.config.syn_backlog_max = rig.config.time_wait_max = 10;
	rig_restart();
	connect_from(0, 1);
	uint32_t first_iss = rig.iss;
	connect_from(1, 12);
	assert_int_equal(walk(3), 10);
	assert_true(tcp_set_connections_max(rig.tcp, MANY));
	assert_null(tcp_check(rig.tcp));
	connect_from(12, 12 + MANY - 10);
	assert_int_equal(walk(7), MANY);
	assert_null(tcp_check(rig.tcp));
	/* The first is found where the new table has it. */
	rig.flow.remote_port = rte_cpu_to_be_16(10000);
	rig.iss = first_iss;
	in(ACK, 1, 10, 1, 1000);
	assert_int_equal(rig.bytes_len, 10);
	drop_out();
	assert_true(tcp_set_connections_max(rig.tcp, 5));
	connect_from(300, 301);
	assert_int_equal(walk(50), MANY);
	drop_out();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TCP_TEST(open_connection_is_shown_with_its_activity),
	    TCP_TEST(closed_connection_is_shown_when_the_peer_knows),
	    TCP_TEST(connection_may_be_aborted_during_the_walk),
	    TCP_TEST(refused_syn_is_answered_with_rst),
	    TCP_TEST(ignored_syn_is_not_answered_open_connections_are_not_asked_about),
	    TCP_TEST(limit_raised_makes_room_and_loses_nobody),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
