/*
 * Mutated frames of every kind through the whole stack, seeded: nothing crashes, nothing leaks, every table
 * stays sound. Checksums are repaired in half of the cases so that the mutations reach the inner layers.
 */
#include "tests/unit/net/rig.h"

#include <stdio.h>
#include <stdlib.h>

#define FUZZ_FRAMES_DEFAULT 300000u

static uint32_t
pick(uint32_t below)
{
	return (uint32_t)(rig_op_random(NULL) >> 16) % below;
}

static void
seed_fragment(bool v4, uint8_t host)
{
	const uint32_t from = pick(8) * 64, len = 8 + pick(20) * 8;

	if (v4) {
		uint8_t *ip = frame_ip4(host, pick(4) == 0 ? 6 : 17);
		put16(ip + 4, (uint16_t)pick(8));
		put16(ip + 6, (uint16_t)(from / 8 | (pick(3) != 0 ? 0x2000 : 0)));
		frame_udp_part(40000, RIG_PORT, len);
		frame_ip4_finish();
		return;
	}
	frame_ip6(host, 44);
	uint8_t *hdr = frame_append(NULL, 8);
	hdr[0] = pick(4) == 0 ? 60 : 17;
	put16(hdr + 2, (uint16_t)(from | (pick(3) != 0)));
	put32(hdr + 4, pick(8));
	frame_pattern(len);
	frame_ip6_finish();
}

static void
seed_ndp(uint8_t host)
{
	uint8_t *ip = frame_ip6(host, 58);
	const struct net_addr target = addr6_of((uint8_t)(1 + pick(4)));

	ip[7] = 255;
	uint8_t *ndp = frame_append(NULL, 32);
	ndp[0] = (uint8_t)(133 + pick(5));
	put32(ndp + 4, pick(8) << 29);
	memcpy(ndp + 8, &target, 16);
	ndp[24] = (uint8_t)(1 + pick(2));
	ndp[25] = 1;
	ndp[26] = 2;
	ndp[31] = host;
	frame_ip6_finish();
}

static void
seed_icmp_error(uint8_t host)
{
	frame_ip4(host, 1);
	uint8_t *icmp = frame_append(NULL, 8 + IP4_BYTES + 8);
	icmp[0] = pick(2) == 0 ? 3 : 11;
	icmp[1] = (uint8_t)pick(6);
	icmp[8] = 0x45;
	icmp[17] = 6;
	put32(icmp + 20, ip4_of(1));
	put32(icmp + 24, ip4_of(2));
	frame_ip4_finish();
}

static void
seed_extensions(uint8_t host)
{
	static const uint8_t types[] = {0, 60, 43, 44};
	const unsigned n = 1 + pick(9);

	frame_ip6(host, types[pick(4)]);
	for (unsigned i = 0; i < n; i++) {
		uint8_t *ext = frame_append(NULL, 8);
		ext[0] = i + 1 < n ? types[1 + pick(3)] : 17;
		ext[2] = 1;
		ext[3] = (uint8_t)(pick(2) * 4);
	}
	frame_udp_part(40000, RIG_PORT, pick(50));
	frame_ip6_finish();
}

static void
seed_frame(void)
{
	const uint8_t host = (uint8_t)(2 + pick(6));
	const uint32_t payload = pick(pick(8) == 0 ? 3000 : 200);

	switch (pick(12)) {
	case 0:
		frame_udp4(host, pick(2) ? RIG_PORT : 53, payload);
		break;
	case 1:
		frame_udp6(host, pick(2) ? RIG_PORT : 53, payload);
		break;
	case 2:
		frame_tcp4(host, payload);
		break;
	case 3:
		frame_echo4(host, payload);
		break;
	case 4:
		frame_echo6(host, payload);
		break;
	case 5:
		frame_arp((uint16_t)(1 + pick(2)), host, host, (uint8_t)(1 + pick(3)), pick(2));
		break;
	case 6:
	case 7:
		seed_fragment(true, host);
		break;
	case 8:
		seed_fragment(false, host);
		break;
	case 9:
		seed_ndp(host);
		break;
	case 10:
		seed_icmp_error(host);
		break;
	default:
		seed_extensions(host);
	}
}

/* Flips, overwrites with telling values, cuts and grows. */
static void
mutate(void)
{
	static const uint8_t telling[] = {0x00, 0x01, 0x7f, 0x80, 0xff, 0x45, 0x4f, 0x60, 0x2c, 0x3c};

	for (unsigned i = pick(5); i > 0; i--) {
		const uint32_t at = pick(RTE_MIN(frame.len, 14u + pick(80) + 1u));
		switch (pick(5)) {
		case 0:
			frame.b[at] ^= (uint8_t)(1u << pick(8));
			break;
		case 1:
			frame.b[at] = telling[pick(sizeof(telling))];
			break;
		case 2:
			frame.b[at] = (uint8_t)pick(256);
			break;
		case 3:
			frame.len = 1 + pick(frame.len);
			break;
		default:
			frame_append(NULL, pick(64));
		}
	}
}

/* Makes the header checksum right again, and the ICMP one; whatever the bytes now say. */
static void
repair(void)
{
	uint8_t *ip = frame.b + ETH_BYTES;

	if (frame.len < ETH_BYTES + IP6_BYTES + 8)
		return;
	if (ip[0] >> 4 == 4) {
		const uint32_t ihl = (ip[0] & 0xfu) * 4;
		if (frame.len < ETH_BYTES + ihl + 8)
			return;
		put16(ip + 10, 0);
		put16(ip + 10, (uint16_t)~slow_sum(0, ip, ihl));
		const uint32_t total = get16(ip + 2);
		if (ip[9] == 1 && total >= ihl + 8 && total <= frame.len - ETH_BYTES) {
			put16(ip + ihl + 2, 0);
			put16(ip + ihl + 2, (uint16_t)~slow_sum(0, ip + ihl, total - ihl));
		}
	} else if (ip[6] == 58) {
		const uint32_t len = get16(ip + 4);
		if (len >= 8 && len <= frame.len - ETH_BYTES - IP6_BYTES) {
			put16(ip + IP6_BYTES + 2, 0);
			put16(ip + IP6_BYTES + 2, (uint16_t)~slow_l4_sum(ip, ip + IP6_BYTES, len, 58));
		}
	}
}

static void
check_tables(void)
{
	assert_ptr_equal(neigh_check(rig.stack), NULL);
	assert_ptr_equal(reassembly_check(rig.stack), NULL);
}

static void
fuzz(uint64_t seed, uint32_t frames)
{
	struct rte_mbuf *burst[NET_BURST_MAX];

	rig.random = seed;
	printf("# seed %llu, %u frames\n", (unsigned long long)seed, frames);
	rig.udp_echo = true;
	for (uint32_t done = 0; done < frames;) {
		const unsigned n = 1 + pick(NET_BURST_MAX);
		for (unsigned i = 0; i < n; i++) {
			seed_frame();
			mutate();
			if (pick(2) == 0)
				repair();
			burst[i] = rig_mbuf(pick(4) == 0 ? 1 + pick(200) : 0);
			if (pick(16) == 0)
				burst[i]->ol_flags |= rig_op_random(NULL) & (RTE_MBUF_F_RX_IP_CKSUM_MASK |
				                                                RTE_MBUF_F_RX_L4_CKSUM_MASK);
		}
		if (pick(4) == 0)
			testpool_fail_after(rig.pool, pick(20), pick(20));
		net_input(rig.stack, 0, burst, n);
		testpool_fail_never(rig.pool);
		rig_tx_clear();
		rig_advance(pick(200000));
		rig_tx_clear();
		done += n;
		if (pick(64) == 0)
			check_tables();
	}
	check_tables();
	assert_true(rig_counter(rx_packets) >= frames);
}

static uint64_t
seed_from_environment(uint64_t otherwise)
{
	const char *s = getenv("FUZZ_SEED");
	return s != NULL ? strtoull(s, NULL, 0) : otherwise;
}

static void
mutated_frames_neither_crash_nor_leak(void **state)
{
	fuzz(seed_from_environment(42), FUZZ_FRAMES_DEFAULT);
	assert_true(rig_counter(reassembled) > 0);
	assert_true(rig_counter(icmp_errors_rx) > 0);
	assert_true(rig_counter(udp_rx) > 1000);
}

static void
mutated_frames_on_a_helping_port_neither_crash_nor_leak(void **state)
{
	rig.config.ifaces[0].offloads |=
	    NET_OFFLOAD_RX_CSUM | NET_OFFLOAD_TX_IP4_CSUM | NET_OFFLOAD_TX_L4_CSUM;
	rig.config.reassembly_bytes_max = 50000;
	rig_start();
	fuzz(seed_from_environment(7), FUZZ_FRAMES_DEFAULT / 2);
}

static void
mutated_frames_on_a_plain_small_port_neither_crash_nor_leak(void **state)
{
	rig.config.ifaces[0].offloads = 0;
	rig.config.ifaces[0].mtu = 1280;
	rig_start();
	fuzz(seed_from_environment(11), FUZZ_FRAMES_DEFAULT / 2);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    RIG_TEST(mutated_frames_neither_crash_nor_leak),
	    RIG_TEST_UNSTARTED(mutated_frames_on_a_helping_port_neither_crash_nor_leak),
	    RIG_TEST_UNSTARTED(mutated_frames_on_a_plain_small_port_neither_crash_nor_leak),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
