/* arp.c: who is answered, who is learned, and what is announced. */
#include "tests/unit/net/rig.h"

static void
check_reply_to(uint8_t host, uint32_t ip)
{
	const struct rte_ether_addr us = mac_of(1), peer = mac_of(host);

	assert_int_equal(rig_sent(0), ETH_BYTES + 28);
	assert_memory_equal(sent, &peer, 6);
	assert_memory_equal(sent + 6, &us, 6);
	const uint8_t *arp = sent + ETH_BYTES;
	assert_int_equal(get16(arp + 6), 2);
	assert_memory_equal(arp + 8, &us, 6);
	assert_int_equal(get32(arp + 14), ip4_of(1));
	assert_memory_equal(arp + 18, &peer, 6);
	assert_int_equal(get32(arp + 24), ip);
}

static void
request_for_us_is_answered_and_the_asker_learned(void **state)
{
	const struct net_addr peer = addr4_of(2);

	frame_arp(1, 2, 2, 1, true);
	rig_rx();
	assert_int_equal(rig.tx_len, 1);
	check_reply_to(2, ip4_of(2));
	assert_int_equal(neigh_state(rig.stack, 0, &peer), NEIGH_STALE);
	assert_int_equal(rig.learned_len, 1);
	assert_true(net_addr_equal(&rig.learned_addr, &peer));
}

static void
request_for_another_is_neither_answered_nor_learned(void **state)
{
	const struct net_addr peer = addr4_of(2);

	frame_arp(1, 2, 2, 3, true);
	rig_rx();
	assert_int_equal(rig.tx_len, 0);
	assert_int_equal(neigh_state(rig.stack, 0, &peer), NEIGH_NONE);
}

static void
request_is_answered_while_the_pool_is_empty(void **state)
{
	frame_arp(1, 2, 2, 1, true);
	struct rte_mbuf *m = rig_mbuf(0);
	testpool_fail_after(rig.pool, 0, UINT32_MAX);
	rig_rx_mbuf(m);
	check_reply_to(2, ip4_of(2));
}

static void
request_in_a_shared_buffer_is_answered_from_another(void **state)
{
	frame_arp(1, 2, 2, 1, true);
	struct rte_mbuf *m = rig_mbuf(0);
	rte_mbuf_refcnt_update(m, 1);
	rig_rx_mbuf(m);
	check_reply_to(2, ip4_of(2));
	assert_memory_equal(rte_pktmbuf_mtod(m, void *), frame.b, frame.len);
	rte_pktmbuf_free(m);
}

static void
probe_is_answered_but_not_learned(void **state)
{
	frame_arp(1, 2, 0, 1, true);
	rig_rx();
	assert_int_equal(rig.tx_len, 1);
	check_reply_to(2, 0);
	assert_int_equal(rig.learned_len, 0);
}

static void
gratuitous_arp_updates_only_who_is_known(void **state)
{
	const struct net_addr two = addr4_of(2), three = addr4_of(3);

	rig_know4(2);
	frame_arp(1, 9, 2, 2, true); /* host 2 now has the MAC of 9 */
	rig_rx();
	frame_arp(1, 3, 3, 3, true);
	rig_rx();
	assert_int_equal(rig.tx_len, 0);
	assert_int_equal(rig_counter(neigh_changed), 1);
	assert_int_equal(neigh_state(rig.stack, 0, &two), NEIGH_STALE);
	assert_int_equal(neigh_state(rig.stack, 0, &three), NEIGH_NONE);
	assert_int_equal(rig.learned_len, 1);
	assert_int_equal(rig.learned_mac.addr_bytes[5], 9);
}

static void
claim_to_our_address_is_counted_and_not_learned(void **state)
{
	const struct net_addr us = addr4_of(1);

	frame_arp(1, 7, 1, 1, true);
	rig_rx();
	frame_arp(2, 7, 1, 1, false);
	rig_rx();
	assert_int_equal(rig_counter(arp_conflicts), 2);
	assert_int_equal(neigh_state(rig.stack, 0, &us), NEIGH_NONE);
	assert_int_equal(rig.tx_len, 0);
}

static void
senders_that_cannot_be_neighbours_are_dropped(void **state)
{
	frame_arp(1, 2, 2, 1, true);
	put32(frame.b + ETH_BYTES + 14, 0xc0a80001); /* off-link */
	rig_rx();
	frame_arp(1, 2, 255, 1, true); /* broadcast address */
	rig_rx();
	frame_arp(1, 2, 2, 1, true);
	frame.b[ETH_BYTES + 8] = 0x01; /* multicast MAC */
	rig_rx();
	frame_arp(1, 2, 2, 1, true);
	memset(frame.b + ETH_BYTES + 8, 0, 6);
	rig_rx();
	assert_int_equal(rig_drops(arp_sender), 4);
	assert_int_equal(rig.tx_len, 0);
	assert_int_equal(rig.learned_len, 0);
}

static void
malformed_packets_are_dropped(void **state)
{
	static const struct {
		uint8_t off, value;
	} bad[] = {{1, 6}, {2, 9}, {4, 5}, {5, 6}, {7, 3}, {7, 0}};

	for (unsigned i = 0; i < RTE_DIM(bad); i++) {
		frame_arp(1, 2, 2, 1, true);
		frame.b[ETH_BYTES + bad[i].off] = bad[i].value;
		rig_rx();
	}
	for (uint32_t len = ETH_BYTES; len < ETH_BYTES + 28; len++) {
		frame_arp(1, 2, 2, 1, true);
		frame.len = len;
		rig_rx();
	}
	assert_int_equal(rig_drops(arp_malformed), RTE_DIM(bad) + 28);
	assert_int_equal(rig.tx_len, 0);
}

static void
ip_packets_teach_no_neighbour(void **state)
{
	const struct net_addr peer = addr4_of(2);

	frame_udp4(2, RIG_PORT, 10);
	rig_rx();
	frame_tcp4(2, 0);
	rig_rx();
	assert_int_equal(neigh_state(rig.stack, 0, &peer), NEIGH_NONE);
}

static void
start_announces_our_address_where_asked(void **state)
{
	rig.config.cold_start_announce = true;
	rig_start();
	assert_int_equal(rig.tx_len, 3); /* ARP, link-local, global */
	rig_sent(0);
	const uint8_t *arp = sent + ETH_BYTES;
	assert_int_equal(sent[0], 0xff);
	assert_int_equal(get16(arp + 6), 1);
	assert_int_equal(get32(arp + 14), ip4_of(1));
	assert_int_equal(get32(arp + 24), ip4_of(1));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    RIG_TEST(request_for_us_is_answered_and_the_asker_learned),
	    RIG_TEST(request_for_another_is_neither_answered_nor_learned),
	    RIG_TEST(request_is_answered_while_the_pool_is_empty),
	    RIG_TEST(request_in_a_shared_buffer_is_answered_from_another),
	    RIG_TEST(probe_is_answered_but_not_learned),
	    RIG_TEST(gratuitous_arp_updates_only_who_is_known),
	    RIG_TEST(claim_to_our_address_is_counted_and_not_learned),
	    RIG_TEST(senders_that_cannot_be_neighbours_are_dropped),
	    RIG_TEST(malformed_packets_are_dropped),
	    RIG_TEST(ip_packets_teach_no_neighbour),
	    RIG_TEST_UNSTARTED(start_announces_our_address_where_asked),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
