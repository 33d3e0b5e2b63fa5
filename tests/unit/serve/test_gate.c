/*
 * Who may come in: prefixes of both families, rates by source, draining.
 */
#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>

#include <arpa/inet.h>
#include <cmocka.h>

#include "dataplane/gate.h"

#define SECOND_US 1000000u

static struct gate *gate;
static struct dataplane_config config;

static int
setup(void **state)
{
	memset(&config, 0, sizeof(config));
	gate = gate_create(0x1234567890abcdefull);
	gate_adopt(gate, &config);
	return gate == NULL;
}

static int
teardown(void **state)
{
	gate_destroy(gate);
	return 0;
}

static struct net_addr
addr(const char *text)
{
	struct net_addr a;
	struct in_addr v4;
	if (inet_pton(AF_INET, text, &v4) == 1)
		return net_addr_v4(v4.s_addr);
	assert_int_equal(inet_pton(AF_INET6, text, a.b), 1);
	return a;
}

static void
allow(const char *text, unsigned bits)
{
	struct net_addr a = addr(text);
	struct dataplane_prefix *prefix = &config.acl_allow[config.acl_allow_len++];
	memcpy(prefix->addr, a.b, sizeof(prefix->addr));
	prefix->bits = (uint8_t)(bits + (net_addr_is_v4(&a) ? 96 : 0));
}

static enum gate_verdict
connection(const char *text, uint64_t now_us)
{
	struct net_addr a = addr(text);
	return gate_connection(gate, &a, now_us);
}

static enum gate_verdict
datagram(const char *text, uint64_t now_us)
{
	struct net_addr a = addr(text);
	return gate_datagram(gate, &a, now_us);
}

static void
without_rules_everybody_passes(void **state)
{
	for (unsigned i = 0; i < 10000; i++)
		assert_int_equal(connection("192.0.2.1", 0), GATE_PASS);
	assert_int_equal(datagram("2001:db8::1", 0), GATE_PASS);
}

static void
prefixes_of_both_families_let_in_their_own_only(void **state)
{
	allow("10.1.0.0", 16);
	allow("192.0.2.7", 32);
	allow("2001:db8:0:8000::", 49);
	assert_true(gate_adopt(gate, &config));
	assert_int_equal(connection("10.1.255.255", 0), GATE_PASS);
	assert_int_equal(connection("10.2.0.0", 0), GATE_NOT_ALLOWED);
	assert_int_equal(connection("192.0.2.7", 0), GATE_PASS);
	assert_int_equal(datagram("192.0.2.6", 0), GATE_NOT_ALLOWED);
	assert_int_equal(datagram("2001:db8:0:8001::1", 0), GATE_PASS);
	assert_int_equal(datagram("2001:db8:0:7fff::1", 0), GATE_NOT_ALLOWED);
}

static void
prefix_of_no_bits_is_its_whole_family(void **state)
{
	allow("0.0.0.0", 0);
	gate_adopt(gate, &config);
	assert_int_equal(connection("203.0.113.9", 0), GATE_PASS);
	assert_int_equal(connection("2001:db8::1", 0), GATE_NOT_ALLOWED);
	allow("::", 0);
	gate_adopt(gate, &config);
	assert_int_equal(connection("2001:db8::1", 0), GATE_PASS);
}

static void
long_prefix_compares_the_second_half(void **state)
{
	allow("2001:db8::ff00", 120);
	gate_adopt(gate, &config);
	assert_int_equal(connection("2001:db8::ffff", 0), GATE_PASS);
	assert_int_equal(connection("2001:db8::fe00", 0), GATE_NOT_ALLOWED);
	assert_int_equal(connection("2001:db8:0:1::ff00", 0), GATE_NOT_ALLOWED);
}

static void
adopting_tells_whether_the_list_changed(void **state)
{
	allow("10.0.0.0", 8);
	assert_true(gate_adopt(gate, &config));
	assert_false(gate_adopt(gate, &config));
	config.connections_per_s = 5;
	assert_false(gate_adopt(gate, &config));
	config.acl_allow[0].bits = 96 + 9;
	assert_true(gate_adopt(gate, &config));
	config.acl_allow_len = 0;
	assert_true(gate_adopt(gate, &config));
}

static void
rate_is_a_seconds_worth_then_one_by_one(void **state)
{
	config.connections_per_s = 10;
	gate_adopt(gate, &config);
	uint64_t now_us = 77 * SECOND_US;
	for (unsigned i = 0; i < 10; i++)
		assert_int_equal(connection("192.0.2.1", now_us), GATE_PASS);
	assert_int_equal(connection("192.0.2.1", now_us), GATE_TOO_MANY);
	assert_int_equal(connection("192.0.2.2", now_us), GATE_PASS);
	assert_int_equal(connection("192.0.2.1", now_us + SECOND_US / 10), GATE_PASS);
	assert_int_equal(connection("192.0.2.1", now_us + SECOND_US / 10), GATE_TOO_MANY);
	now_us += 100 * SECOND_US;
	for (unsigned i = 0; i < 10; i++)
		assert_int_equal(connection("192.0.2.1", now_us), GATE_PASS);
	assert_int_equal(connection("192.0.2.1", now_us), GATE_TOO_MANY);
	assert_int_equal(datagram("192.0.2.1", now_us), GATE_PASS);
}

static void
ipv6_source_is_its_64_bits(void **state)
{
	config.datagrams_per_s = 1;
	gate_adopt(gate, &config);
	assert_int_equal(datagram("2001:db8::1", 5), GATE_PASS);
	assert_int_equal(datagram("2001:db8::2", 5), GATE_TOO_MANY);
	assert_int_equal(datagram("2001:db8:0:1::1", 5), GATE_PASS);
}

static void
many_sources_do_not_starve_a_new_one(void **state)
{
	config.datagrams_per_s = 1;
	gate_adopt(gate, &config);
	for (uint32_t i = 1; i < 100000; i++) {
		struct net_addr a = net_addr_v4(rte_cpu_to_be_32(i));
		assert_int_equal(gate_datagram(gate, &a, i), GATE_PASS);
	}
}

static void
draining_refuses_connections_not_datagrams(void **state)
{
	config.draining = true;
	gate_adopt(gate, &config);
	assert_int_equal(connection("192.0.2.1", 0), GATE_DRAINING);
	assert_int_equal(datagram("192.0.2.1", 0), GATE_PASS);
	allow("10.0.0.0", 8);
	gate_adopt(gate, &config);
	assert_int_equal(connection("192.0.2.1", 0), GATE_NOT_ALLOWED);
	assert_int_equal(connection("10.0.0.1", 0), GATE_DRAINING);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(without_rules_everybody_passes, setup, teardown),
	    cmocka_unit_test_setup_teardown(prefixes_of_both_families_let_in_their_own_only, setup, teardown),
	    cmocka_unit_test_setup_teardown(prefix_of_no_bits_is_its_whole_family, setup, teardown),
	    cmocka_unit_test_setup_teardown(long_prefix_compares_the_second_half, setup, teardown),
	    cmocka_unit_test_setup_teardown(adopting_tells_whether_the_list_changed, setup, teardown),
	    cmocka_unit_test_setup_teardown(rate_is_a_seconds_worth_then_one_by_one, setup, teardown),
	    cmocka_unit_test_setup_teardown(ipv6_source_is_its_64_bits, setup, teardown),
	    cmocka_unit_test_setup_teardown(many_sources_do_not_starve_a_new_one, setup, teardown),
	    cmocka_unit_test_setup_teardown(draining_refuses_connections_not_datagrams, setup, teardown),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
