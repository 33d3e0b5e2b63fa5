/* ndp.c: solicitations and advertisements, and everything that must not be believed. */
#include "tests/unit/net/rig.h"

#define NDP_BYTES 24u

static const struct net_addr unspecified;
static const struct net_addr all_nodes = {.b = {0xff, 0x02, [15] = 1}};
static const struct net_addr our_group = {.b = {0xff, 0x02, [11] = 1, 0xff, 0, 0, 1}};

/* A message about target, with a link-layer address option of that type (0: none). Sets the ICMPv6
 * checksum. */
static void
frame_ndp(uint8_t from_host, uint8_t type, uint32_t flags, const struct net_addr *to, uint8_t target,
    uint8_t option_type, uint8_t option_mac)
{
	const struct net_addr addr = addr6_of(target);
	const struct rte_ether_addr mac = mac_of(option_mac);
	uint8_t *ip = frame_ip6(from_host, 58);

	ip[7] = 255;
	memcpy(ip + 24, to, 16);
	if (to->b[0] == 0xff) {
		put16(frame.b, 0x3333);
		memcpy(frame.b + 2, to->b + 12, 4);
	}
	uint8_t *ndp = frame_append(NULL, NDP_BYTES);
	ndp[0] = type;
	put32(ndp + 4, flags);
	memcpy(ndp + 8, &addr, 16);
	if (option_type != 0) {
		uint8_t *option = frame_append(NULL, 8);
		option[0] = option_type;
		option[1] = 1;
		memcpy(option + 2, &mac, 6);
	}
}

static void
frame_ndp_finish(void)
{
	uint8_t *ndp = frame.b + ETH_BYTES + IP6_BYTES;
	const uint32_t len = frame.len - ETH_BYTES - IP6_BYTES;

	put16(ndp + 2, 0);
	put16(ndp + 2, (uint16_t)~slow_l4_sum(frame.b + frame.l3, ndp, len, 58));
	frame_ip6_finish();
}

/* The advertisement in sent[]: hop limit, checksum, flags, target and option. */
static void
check_advert(uint32_t flags)
{
	const struct net_addr us = addr6_of(1);
	const struct rte_ether_addr mac = mac_of(1);
	const uint8_t *ip = sent + ETH_BYTES, *ndp = ip + IP6_BYTES;

	assert_int_equal(ip[7], 255);
	assert_int_equal(ndp[0], 136);
	assert_int_equal(slow_l4_sum(ip, ndp, NDP_BYTES + 8, 58), 0xffff);
	assert_int_equal(get32(ndp + 4), flags);
	assert_memory_equal(ndp + 8, &us, 16);
	assert_int_equal(ndp[24], 2);
	assert_memory_equal(ndp + 26, &mac, 6);
}

static void
solicitation_for_us_is_answered_and_the_asker_learned(void **state)
{
	const struct net_addr peer = addr6_of(2);

	frame_ndp(2, 135, 0, &our_group, 1, 1, 2);
	frame_ndp_finish();
	rig_rx();
	assert_int_equal(rig.tx_len, 1);
	assert_int_equal(rig_sent(0), ETH_BYTES + IP6_BYTES + NDP_BYTES + 8);
	check_advert(0x60000000);
	assert_memory_equal(sent + ETH_BYTES + 24, &peer, 16);
	assert_int_equal(sent[5], 2);
	assert_int_equal(neigh_state(rig.stack, 0, &peer), NEIGH_STALE);
	assert_int_equal(rig.learned_len, 1);
}

static void
solicitation_without_an_option_is_answered_after_asking_back(void **state)
{
	const struct net_addr us = addr6_of(1);

	frame_ndp(2, 135, 0, &us, 1, 0, 0);
	frame_ndp_finish();
	rig_rx();
	assert_int_equal(rig.tx_len, 1);
	rig_sent(0);
	assert_int_equal(sent[ETH_BYTES + IP6_BYTES], 135);
	rig_tx_clear();
	frame_ndp(2, 136, 0x60000000, &us, 2, 2, 2);
	frame_ndp_finish();
	rig_rx();
	assert_int_equal(rig.tx_len, 1);
	rig_sent(0);
	check_advert(0x60000000);
}

static void
duplicate_detection_by_another_is_answered_to_all(void **state)
{
	frame_ndp(2, 135, 0, &our_group, 1, 0, 0);
	memcpy(frame.b + ETH_BYTES + 8, &unspecified, 16);
	frame_ndp_finish();
	rig_rx();
	assert_int_equal(rig.tx_len, 1);
	rig_sent(0);
	check_advert(0x20000000);
	assert_memory_equal(sent + ETH_BYTES + 24, &all_nodes, 16);
	assert_int_equal(get16(sent), 0x3333);
	assert_int_equal(rig_counter(ndp_conflicts), 1);
	assert_int_equal(rig.learned_len, 0);
}

static void
resolution_asks_the_group_and_sends_on_the_answer(void **state)
{
	const struct net_flow flow = flow6_to(2, RIG_PORT, 5);
	const struct net_addr us = addr6_of(1), group = {.b = {0xff, 0x02, [11] = 1, 0xff, 0, 0, 2}};
	const struct net_addr peer = addr6_of(2);

	net_udp_output(rig.stack, &flow, rig_payload(21, 0));
	assert_int_equal(rig.tx_len, 1);
	rig_sent(0);
	const uint8_t *ip = sent + ETH_BYTES, *ndp = ip + IP6_BYTES;
	assert_int_equal(get32(sent + 2), 0xff000002);
	assert_memory_equal(ip + 8, &us, 16);
	assert_memory_equal(ip + 24, &group, 16);
	assert_int_equal(ip[7], 255);
	assert_int_equal(ndp[0], 135);
	assert_memory_equal(ndp + 8, &peer, 16);
	assert_int_equal(ndp[24], 1);
	assert_int_equal(slow_l4_sum(ip, ndp, NDP_BYTES + 8, 58), 0xffff);
	rig_tx_clear();
	frame_ndp(2, 136, 0x60000000, &us, 2, 2, 2);
	frame_ndp_finish();
	rig_rx();
	assert_int_equal(rig.tx_len, 1);
	assert_int_equal(rig_check_sent_udp(rig_sent(0)), 21);
	assert_int_equal(neigh_state(rig.stack, 0, &peer), NEIGH_REACHABLE);
}

static void
probe_is_unicast_and_confirmed_without_an_option(void **state)
{
	const struct net_flow flow = flow6_to(2, RIG_PORT, 5);
	const struct net_addr us = addr6_of(1), peer = addr6_of(2);

	rig_know6(2);
	rig_advance(31 * 1000000);
	net_udp_output(rig.stack, &flow, rig_payload(21, 0));
	rig_advance(5100000);
	assert_int_equal(rig.tx_len, 2);
	rig_sent(1);
	assert_int_equal(sent[5], 2);
	assert_memory_equal(sent + ETH_BYTES + 24, &peer, 16);
	assert_int_equal(sent[ETH_BYTES + IP6_BYTES], 135);
	frame_ndp(2, 136, 0x40000000, &us, 2, 0, 0);
	frame_ndp_finish();
	rig_rx();
	assert_int_equal(neigh_state(rig.stack, 0, &peer), NEIGH_REACHABLE);
}

static void
advertisement_without_override_only_casts_doubt(void **state)
{
	const struct net_flow flow = flow6_to(2, RIG_PORT, 5);
	const struct net_addr peer = addr6_of(2);

	rig_know6(2);
	frame_ndp(2, 136, 0, &all_nodes, 2, 2, 9);
	frame_ndp_finish();
	rig_rx();
	assert_int_equal(neigh_state(rig.stack, 0, &peer), NEIGH_STALE);
	net_udp_output(rig.stack, &flow, rig_payload(21, 0));
	rig_sent(0);
	assert_int_equal(sent[5], 2);
	frame_ndp(2, 136, 0x20000000, &all_nodes, 2, 2, 9);
	frame_ndp_finish();
	rig_rx();
	net_udp_output(rig.stack, &flow, rig_payload(21, 0));
	rig_sent(1);
	assert_int_equal(sent[5], 9);
}

static void
unsolicited_advertisement_of_a_stranger_is_not_learned(void **state)
{
	const struct net_addr peer = addr6_of(2);

	frame_ndp(2, 136, 0x20000000, &all_nodes, 2, 2, 2);
	frame_ndp_finish();
	rig_rx();
	assert_int_equal(neigh_state(rig.stack, 0, &peer), NEIGH_NONE);
}

static void
advertisement_of_our_address_is_a_conflict(void **state)
{
	frame_ndp(2, 136, 0x20000000, &all_nodes, 1, 2, 2);
	frame_ndp_finish();
	rig_rx();
	assert_int_equal(rig_counter(ndp_conflicts), 1);
	assert_int_equal(rig.learned_len, 0);
}

static void
malformed_messages_are_dropped(void **state)
{
	unsigned n = 0;

	for (uint8_t type = 135; type <= 136; type++) {
		const uint8_t option = type == 135 ? 1 : 2;
		for (unsigned kind = 0; kind < 7; kind++, n++) {
			frame_ndp(2, type, 0, &our_group, 1, option, 2);
			uint8_t *ip = frame.b + ETH_BYTES, *ndp = ip + IP6_BYTES;
			switch (kind) {
			case 0:
				ip[7] = 254;
				break;
			case 1:
				ndp[1] = 1;
				break;
			case 2:
				ndp[8] = 0xff;
				break;
			case 3:
				ndp[25] = 0; /* zero length must not loop */
				break;
			case 4:
				ndp[25] = 2; /* past the end */
				break;
			case 5:
				ndp[26] = 0x01; /* multicast MAC */
				break;
			default:
				frame.len -= 1;
			}
			frame_ndp_finish();
			rig_rx();
		}
	}
	frame_ndp(2, 136, 0x40000000, &all_nodes, 2, 2, 2); /* solicited, yet to all */
	frame_ndp_finish();
	rig_rx();
	frame_ndp(2, 135, 0, &our_group, 1, 1, 2); /* duplicate detection with an option */
	memcpy(frame.b + ETH_BYTES + 8, &unspecified, 16);
	frame_ndp_finish();
	rig_rx();
	assert_int_equal(rig_drops(ndp_malformed), n + 2);
	assert_int_equal(rig.tx_len, 0);
	assert_int_equal(rig.learned_len, 0);
}

static void
router_messages_and_redirects_are_counted_and_ignored(void **state)
{
	frame_ndp(2, 133, 0, &all_nodes, 2, 1, 2);
	frame_ndp_finish();
	rig_rx();
	frame_ndp(2, 134, 0, &all_nodes, 2, 1, 2);
	frame_ndp_finish();
	rig_rx();
	frame_ndp(2, 137, 0, &all_nodes, 2, 2, 2);
	frame_ndp_finish();
	rig_rx();
	assert_int_equal(rig_drops(ndp_router_solicit), 1);
	assert_int_equal(rig_drops(ndp_router_advert), 1);
	assert_int_equal(rig_drops(ndp_redirect), 1);
	assert_int_equal(rig.tx_len, 0);
}

static void
solicitation_for_another_in_our_group_is_ignored(void **state)
{
	frame_ndp(2, 135, 0, &our_group, 1, 1, 2);
	frame.b[ETH_BYTES + IP6_BYTES + 9] = 0x55; /* fd55::1 shares the group */
	frame_ndp_finish();
	rig_rx();
	assert_int_equal(rig.tx_len, 0);
	assert_int_equal(rig.learned_len, 0);
}

static void
start_announces_our_addresses(void **state)
{
	rig.config.cold_start_announce = true;
	rig_start();
	assert_int_equal(rig.tx_len, 3);
	rig_sent(2);
	check_advert(0x20000000);
	assert_memory_equal(sent + ETH_BYTES + 24, &all_nodes, 16);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    RIG_TEST(solicitation_for_us_is_answered_and_the_asker_learned),
	    RIG_TEST(solicitation_without_an_option_is_answered_after_asking_back),
	    RIG_TEST(duplicate_detection_by_another_is_answered_to_all),
	    RIG_TEST(resolution_asks_the_group_and_sends_on_the_answer),
	    RIG_TEST(probe_is_unicast_and_confirmed_without_an_option),
	    RIG_TEST(advertisement_without_override_only_casts_doubt),
	    RIG_TEST(unsolicited_advertisement_of_a_stranger_is_not_learned),
	    RIG_TEST(advertisement_of_our_address_is_a_conflict),
	    RIG_TEST(malformed_messages_are_dropped),
	    RIG_TEST(router_messages_and_redirects_are_counted_and_ignored),
	    RIG_TEST(solicitation_for_another_in_our_group_is_ignored),
	    RIG_TEST_UNSTARTED(start_announces_our_addresses),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
