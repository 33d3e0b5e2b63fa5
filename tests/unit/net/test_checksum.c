/* checksum.c against a slow implementation that goes byte by byte. */
#include "tests/unit/net/rig.h"

#include "dataplane/net/checksum.h"

static uint16_t
fold_be(uint64_t sum)
{
	return rte_be_to_cpu_16(csum_fold(sum));
}

static void
bytes_of_all_lengths_and_alignments_match_the_slow_sum(void **state)
{
	uint8_t buf[600];

	for (size_t i = 0; i < sizeof(buf); i++)
		buf[i] = (uint8_t)rig_op_random(NULL);
	for (size_t off = 0; off < 9; off++)
		for (size_t len = 0; len + off < sizeof(buf); len++) {
			const uint16_t want = slow_sum(0, buf + off, len);
			assert_int_equal(fold_be(csum_bytes(buf + off, len)) % 0xffff, want % 0xffff);
			assert_int_equal(fold_be(csum_long(buf + off, len)) % 0xffff, want % 0xffff);
			assert_int_equal(fold_be(csum_long_ahead(buf + off, len)) % 0xffff, want % 0xffff);
		}
}

static void
copy_of_all_lengths_and_alignments_is_exact_and_has_the_same_sum(void **state)
{
	uint8_t from[600], to[700];

	for (size_t i = 0; i < sizeof(from); i++)
		from[i] = (uint8_t)rig_op_random(NULL);
	for (size_t off = 0; off < 9; off++)
		for (size_t len = 0; len + off < sizeof(from); len++) {
			memset(to, 0xa5, sizeof(to));
			const uint64_t sum = csum_copy(to + 16 - off, from + off, len);
			assert_int_equal(
			    csum_fold(sum) % 0xffff, csum_fold(csum_bytes(from + off, len)) % 0xffff);
			assert_memory_equal(to + 16 - off, from + off, len);
			assert_int_equal(to[15 - off], 0xa5);
			assert_int_equal(to[16 - off + len], 0xa5);
		}
}

static void
all_ones_words_fold_without_losing_carries(void **state)
{
	static uint8_t buf[65535];

	memset(buf, 0xff, sizeof(buf));
	assert_int_equal(fold_be(csum_bytes(buf, sizeof(buf))), slow_sum(0, buf, sizeof(buf)));
	assert_int_equal(csum_fold(UINT64_MAX), 0xffff);
	assert_int_equal(csum_fold(0), 0);
}

static void
chain_with_odd_segments_matches_the_flat_sum(void **state)
{
	static const uint32_t splits[] = {1, 2, 3, 7, 13, 64, 101, 1000};

	rig_prepare();
	for (unsigned s = 0; s < RTE_DIM(splits); s++)
		for (uint32_t len = 1; len < 300; len += 11) {
			struct rte_mbuf *m = rig_payload(len, splits[s]);
			for (uint32_t off = 0; off < len; off += 5) {
				const uint16_t want = slow_sum(0, frame.b + off, len - off);
				const uint16_t got = fold_be(csum_mbuf(m, off, len - off));
				assert_int_equal(got % 0xffff, want % 0xffff);
			}
			rte_pktmbuf_free(m);
		}
	rig_stop();
}

static void
pseudo_header_of_both_families_matches_the_slow_sum(void **state)
{
	const struct net_flow f4 = flow4_to(2, 1, 2), f6 = flow6_to(2, 1, 2);

	frame_ip4(2, 17);
	assert_int_equal(fold_be(csum_pseudo(&f4.local, &f4.remote, 17, 1234)),
	    slow_pseudo_sum(frame.b + frame.l3, 17, 1234));
	frame_ip6(2, 17);
	assert_int_equal(fold_be(csum_pseudo(&f6.local, &f6.remote, 17, 1234)),
	    slow_pseudo_sum(frame.b + frame.l3, 17, 1234));
}

static void
ip4_header_sum_is_the_sum_of_its_bytes(void **state)
{
	frame_udp4(2, RIG_PORT, 10);
	assert_int_equal(csum_finish(csum_ip4_header(frame.b + frame.l3)), 0);
	frame.b[frame.l3 + 8] ^= 1;
	assert_int_not_equal(csum_finish(csum_ip4_header(frame.b + frame.l3)), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(bytes_of_all_lengths_and_alignments_match_the_slow_sum),
	    cmocka_unit_test(copy_of_all_lengths_and_alignments_is_exact_and_has_the_same_sum),
	    cmocka_unit_test(all_ones_words_fold_without_losing_carries),
	    cmocka_unit_test(chain_with_odd_segments_matches_the_flat_sum),
	    cmocka_unit_test(pseudo_header_of_both_families_matches_the_slow_sum),
	    cmocka_unit_test(ip4_header_sum_is_the_sum_of_its_bytes),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
