/* neigh.c in virtual time: the states, the queue, the rate of requests, the bounds of the table. */
#include "tests/unit/net/rig.h"

static void
send_to(uint8_t host)
{
	const struct net_flow flow = flow4_to(host, RIG_PORT, 5);
	net_udp_output(rig.stack, &flow, rig_payload(10, 0));
}

/* ARP requests among the frames sent; to everybody or to one. */
static unsigned
arp_requests(bool broadcast)
{
	unsigned n = 0;

	for (unsigned i = 0; i < rig.tx_len; i++) {
		rig_sent(i);
		n += get16(sent + 12) == TYPE_ARP && get16(sent + ETH_BYTES + 6) == 1 &&
		     (sent[0] == 0xff) == broadcast;
	}
	return n;
}

static void
packets_to_an_unresolved_gateway_ask_once_a_second(void **state)
{
	struct net_flow flow = flow4_to(2, RIG_PORT, 5);

	for (unsigned i = 0; i < 50; i++) {
		flow.remote = net_addr_v4(rte_cpu_to_be_32(0xc0a80000u + i)); /* 50 off-link peers */
		net_udp_output(rig.stack, &flow, rig_payload(i, 0));
	}
	assert_int_equal(rig.tx_len, 1);
	assert_int_equal(arp_requests(true), 1);
	assert_int_equal(get32(sent + ETH_BYTES + 24), ip4_of(RIG_GATEWAY));
	assert_int_equal(rig_drops(neigh_queue), 46);
	rig_advance(900000);
	assert_int_equal(rig.tx_len, 1);
	rig_advance(200000);
	assert_int_equal(rig.tx_len, 2);
	rig_tx_clear();
	frame_arp(2, RIG_GATEWAY, RIG_GATEWAY, 1, false);
	rig_rx();
	assert_int_equal(rig.tx_len, NEIGH_QUEUE_MAX);
	for (unsigned i = 0; i < NEIGH_QUEUE_MAX; i++) {
		assert_int_equal(rig_check_sent_udp(rig_sent(i)), 46 + i); /* the latest, in order */
		assert_int_equal(sent[5], RIG_GATEWAY);
	}
}

static void
hop_that_never_answers_is_given_up_and_asked_again_later(void **state)
{
	const struct net_addr peer = addr4_of(2);

	send_to(2);
	rig_advance(10 * 1000000);
	assert_int_equal(arp_requests(true), 3);
	assert_int_equal(rig_drops(neigh_unresolved), 1);
	assert_int_equal(rig_counter(neigh_failed), 1);
	assert_int_equal(neigh_state(rig.stack, 0, &peer), NEIGH_NONE);
	rig_tx_clear();
	assert_int_equal(testpool_outstanding(rig.pool), 0);
	send_to(2);
	assert_int_equal(arp_requests(true), 1);
}

static void
continuous_sending_to_a_dead_hop_asks_once_a_second(void **state)
{
	for (unsigned ms = 0; ms < 20000; ms += 10) {
		send_to(2);
		rig_advance(10000);
	}
	assert_true(arp_requests(true) <= 21);
	assert_true(arp_requests(true) >= 18);
}

static void
confirmed_neighbour_goes_stale_is_delayed_and_probed(void **state)
{
	const struct net_addr peer = addr4_of(2);

	rig_know4(2);
	assert_int_equal(neigh_state(rig.stack, 0, &peer), NEIGH_REACHABLE);
	rig_advance(31 * 1000000);
	assert_int_equal(rig.tx_len, 0); /* nobody uses it: nobody asks */
	send_to(2);
	assert_int_equal(neigh_state(rig.stack, 0, &peer), NEIGH_DELAY);
	assert_int_equal(rig.tx_len, 1);
	rig_advance(5100000);
	assert_int_equal(neigh_state(rig.stack, 0, &peer), NEIGH_PROBE);
	assert_int_equal(arp_requests(false), 1);
	send_to(2); /* packets leave meanwhile */
	assert_int_equal(rig.tx_len, 3);
	frame_arp(2, 2, 2, 1, false);
	rig_rx();
	assert_int_equal(neigh_state(rig.stack, 0, &peer), NEIGH_REACHABLE);
	rig_tx_clear();
	rig_advance(20 * 1000000);
	assert_int_equal(rig.tx_len, 0);
}

static void
gateway_that_moved_silently_is_found_again(void **state)
{
	const struct net_addr peer = addr4_of(2);

	rig_know4(2);
	rig_advance(31 * 1000000);
	send_to(2);
	rig_advance(10 * 1000000); /* delay, three unanswered probes */
	assert_int_equal(arp_requests(false), 3);
	assert_int_equal(neigh_state(rig.stack, 0, &peer), NEIGH_NONE);
	rig_tx_clear();
	send_to(2);
	assert_int_equal(arp_requests(true), 1);
	frame_arp(2, 9, 2, 1, false); /* from another MAC */
	rig_rx();
	rig_sent(rig.tx_len - 1);
	assert_int_equal(sent[5], 9);
}

static void
changed_gateway_is_used_at_once_and_told_to_other_workers(void **state)
{
	rig_know4(2);
	frame_arp(2, 9, 2, 1, false);
	rig_rx();
	assert_int_equal(rig.learned_len, 1);
	assert_int_equal(rig.learned_mac.addr_bytes[5], 9);
	send_to(2);
	rig_sent(0);
	assert_int_equal(sent[5], 9);
}

static void
news_of_another_worker_is_used_and_not_echoed(void **state)
{
	const struct net_addr peer = addr4_of(2);
	const struct rte_ether_addr mac = mac_of(9);

	send_to(2);
	rig_tx_clear();
	net_neigh_update(rig.stack, 0, &peer, &mac);
	assert_int_equal(rig.learned_len, 0);
	assert_int_equal(rig.tx_len, 1);
	rig_sent(0);
	assert_int_equal(sent[5], 9);
	net_neigh_update(rig.stack, 3, &peer, &mac); /* an interface that we do not have */
	assert_int_equal(rig_counter(neigh_created), 1);
}

static void
repeated_confirmations_are_told_twice_a_second_at_most(void **state)
{
	for (unsigned i = 0; i < 100; i++) {
		frame_arp(2, 2, 2, 1, false);
		rig_rx();
		rig_advance(10000);
	}
	assert_int_equal(rig.learned_len, 2);
}

static void
request_without_a_buffer_is_made_up_for_soon(void **state)
{
	const struct net_flow flow = flow4_to(2, RIG_PORT, 5);
	struct rte_mbuf *m = rig_payload(10, 0);

	testpool_fail_after(rig.pool, 0, UINT32_MAX);
	net_udp_output(rig.stack, &flow, m);
	assert_int_equal(rig.tx_len, 0);
	rig_advance(500000);
	testpool_fail_never(rig.pool);
	rig_advance(100000);
	assert_int_equal(arp_requests(true), 1);
	rig_tx_clear();
	frame_arp(2, 2, 2, 1, false);
	rig_rx();
	assert_int_equal(rig.tx_len, 1);
}

/* It may be just such packets that hold all buffers. */
static void
packets_for_hops_that_cannot_be_asked_are_given_up(void **state)
{
	const struct net_flow flow = flow4_to(2, RIG_PORT, 5);
	struct rte_mbuf *m = rig_payload(10, 0);

	testpool_fail_after(rig.pool, 0, UINT32_MAX);
	net_udp_output(rig.stack, &flow, m);
	for (unsigned i = 0; i < 5 * NEIGH_MISSED_MAX; i++)
		rig_advance(NEIGH_NO_MBUF_US);
	assert_int_equal(rig_drops(neigh_unresolved), 1);
	assert_int_equal(testpool_outstanding(rig.pool), 0);
	testpool_fail_never(rig.pool);
	send_to(2);
	assert_int_equal(arp_requests(true), 1);
}

static void
flood_of_askers_evicts_neither_gateway_nor_used_neighbours(void **state)
{
	const struct net_addr gateway = net_addr_v4(RTE_BE32(0x0a00fffe)),
	                      peer = net_addr_v4(RTE_BE32(0x0a000002));
	const struct rte_ether_addr mac = mac_of(2);

	rig.config.ifaces[0].prefix4 = 16;
	rig.config.ifaces[0].gateway4 = gateway;
	rig_start();
	net_neigh_update(rig.stack, 0, &gateway, &mac);
	rig_know4(2);
	for (unsigned i = 0; i < 20000; i++) {
		frame_arp(1, 3, 3, 1, true);
		put32(frame.b + ETH_BYTES + 14, 0x0a000100 + i);
		rig_rx();
		if (i % 100 == 0) {
			send_to(2);
			rig_advance(1000);
		}
		rig_tx_clear();
	}
	assert_ptr_equal(neigh_check(rig.stack), NULL);
	assert_true(rig_counter(neigh_evicted) > 18000);
	assert_int_not_equal(neigh_state(rig.stack, 0, &gateway), NEIGH_NONE);
	assert_int_not_equal(neigh_state(rig.stack, 0, &peer), NEIGH_NONE);
}

static void
flood_to_unresolved_hops_is_bounded_and_spares_the_gateway(void **state)
{
	struct net_flow flow = flow4_to(2, RIG_PORT, 5);

	rig.config.ifaces[0].prefix4 = 16;
	rig_start();
	for (unsigned i = 0; i < 5000; i++) {
		flow.remote = net_addr_v4(rte_cpu_to_be_32(0x0a000200 + i % 4096));
		net_udp_output(rig.stack, &flow, rig_payload(10, 0));
	}
	assert_int_equal(arp_requests(true), NEIGH_INCOMPLETE_MAX);
	assert_true(testpool_outstanding(rig.pool) <= NEIGH_INCOMPLETE_MAX * (NEIGH_QUEUE_MAX + 1));
	rig_tx_clear();
	flow.remote = net_addr_v4(RTE_BE32(0xc0a80101));
	net_udp_output(rig.stack, &flow, rig_payload(10, 0));
	assert_int_equal(arp_requests(true), 1);
	rig_advance(10 * 1000000);
	assert_true(rig_drops(neigh_full) > 0);
	rig_tx_clear();
	assert_int_equal(testpool_outstanding(rig.pool), 0);
}

static void
packet_without_a_route_is_dropped(void **state)
{
	struct net_flow flow = flow4_to(2, RIG_PORT, 5), flow6 = flow6_to(2, RIG_PORT, 5);

	memset(&rig.config.ifaces[0].gateway4, 0, sizeof(struct net_addr));
	memset(&rig.config.ifaces[0].gateway6, 0, sizeof(struct net_addr));
	rig_start();
	flow.remote = net_addr_v4(RTE_BE32(0xc0a80101));
	net_udp_output(rig.stack, &flow, rig_payload(10, 0));
	flow6.remote.b[0] = 0x20;
	net_udp_output(rig.stack, &flow6, rig_payload(10, 0));
	assert_int_equal(rig_drops(no_route), 2);
}

static void
poll_tells_when_the_next_timer_is_due(void **state)
{
	assert_int_equal(net_poll(rig.stack), UINT64_MAX);
	send_to(2);
	assert_int_equal(net_poll(rig.stack), NEIGH_RETRY_US);
	rig.now_us += 400000;
	net_tick(rig.stack, rig.now_us);
	assert_int_equal(net_poll(rig.stack), NEIGH_RETRY_US - 400000);
	fake_tcp.poll_us = 7;
	assert_int_equal(net_poll(rig.stack), 7);
}

static void
random_traffic_keeps_the_table_sound(void **state)
{
	rig.config.ifaces[0].prefix4 = 16;
	rig_start();
	for (unsigned i = 0; i < 30000; i++) {
		const uint64_t r = rig_op_random(NULL);
		const struct net_addr addr =
		    net_addr_v4(rte_cpu_to_be_32(0x0a000002 + (uint32_t)(r >> 8) % 3000));
		const struct rte_ether_addr mac = mac_of((uint8_t)(2 + (r >> 32) % 5));
		struct net_flow flow = flow4_to(2, RIG_PORT, 5);
		flow.remote = addr;
		switch (r % 4) {
		case 0:
			net_neigh_update(rig.stack, 0, &addr, &mac);
			break;
		case 1:
			frame_arp(1 + (r >> 40) % 2, 2, 2, 1, false);
			memcpy(frame.b + ETH_BYTES + 14, &addr.w[3], 4);
			rig_rx();
			break;
		default:
			net_udp_output(rig.stack, &flow, rig_payload(10, 0));
		}
		if (r >> 60 == 0)
			rig_advance(1000000);
		if (i % 1000 == 0)
			assert_ptr_equal(neigh_check(rig.stack), NULL);
		rig_tx_clear();
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    RIG_TEST(packets_to_an_unresolved_gateway_ask_once_a_second),
	    RIG_TEST(hop_that_never_answers_is_given_up_and_asked_again_later),
	    RIG_TEST(continuous_sending_to_a_dead_hop_asks_once_a_second),
	    RIG_TEST(confirmed_neighbour_goes_stale_is_delayed_and_probed),
	    RIG_TEST(gateway_that_moved_silently_is_found_again),
	    RIG_TEST(changed_gateway_is_used_at_once_and_told_to_other_workers),
	    RIG_TEST(news_of_another_worker_is_used_and_not_echoed),
	    RIG_TEST(repeated_confirmations_are_told_twice_a_second_at_most),
	    RIG_TEST(request_without_a_buffer_is_made_up_for_soon),
	    RIG_TEST(packets_for_hops_that_cannot_be_asked_are_given_up),
	    RIG_TEST_UNSTARTED(flood_of_askers_evicts_neither_gateway_nor_used_neighbours),
	    RIG_TEST_UNSTARTED(flood_to_unresolved_hops_is_bounded_and_spares_the_gateway),
	    RIG_TEST_UNSTARTED(packet_without_a_route_is_dropped),
	    RIG_TEST(poll_tells_when_the_next_timer_is_due),
	    RIG_TEST_UNSTARTED(random_traffic_keeps_the_table_sound),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
