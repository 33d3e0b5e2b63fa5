/*
 * Who serves what on machines of one, two and four NUMA nodes, none of which need be there.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "dataplane/topology.h"

static struct topology topology;
static char error[DATAPLANE_ERROR_MAX];

/* Worker i on node i % nodes, port i too. */
static struct topology_facts
machine(enum dataplane_keyspace keyspace, unsigned nodes, unsigned workers, unsigned ports)
{
	static const char *const names[DATAPLANE_PORTS_MAX] = {"lan0", "lan1", "lan2", "lan3"};
	struct topology_facts facts = {.keyspace = keyspace, .workers_len = workers, .ports_len = ports};

	for (unsigned i = 0; i < workers; i++)
		facts.worker_node[i] = (int)(i % nodes);
	for (unsigned i = 0; i < ports; i++) {
		facts.port_node[i] = (int)(i % nodes);
		facts.port_name[i] = names[i];
	}
	return facts;
}

static int
plan(const struct topology_facts *facts)
{
	error[0] = 0;
	return topology_plan(facts, &topology, error);
}

static void
one_node_is_one_unbound_cache_whatever_the_keyspace(void **state)
{
	(void)state;
	struct topology_facts facts = machine(DATAPLANE_KEYSPACE_AUTO, 1, 4, 2);

	assert_int_equal(plan(&facts), 0);
	assert_false(topology.per_node);
	assert_int_equal(topology.caches_len, 1);
	assert_int_equal(topology.caches[0].nodes_len, 0);
	assert_int_equal(topology.caches[0].workers_len, 4);
	assert_int_equal(topology.worker_queue[3], 3);
	facts.keyspace = DATAPLANE_KEYSPACE_PER_NODE;
	assert_int_equal(plan(&facts), 0);
	assert_int_equal(topology.caches_len, 1);
	assert_int_equal(topology.caches[0].workers_len, 4);
}

static void
two_nodes_unified_get_a_partition_each_in_one_cache(void **state)
{
	(void)state;
	struct topology_facts facts = machine(DATAPLANE_KEYSPACE_UNIFIED, 2, 4, 2);

	assert_int_equal(plan(&facts), 0);
	assert_int_equal(topology.caches_len, 1);
	assert_int_equal(topology.caches[0].nodes_len, 2);
	assert_int_equal(topology.caches[0].nodes[0], 0);
	assert_int_equal(topology.caches[0].nodes[1], 1);
	for (unsigned i = 0; i < 4; i++) {
		assert_int_equal(topology.worker_cache[i], 0);
		assert_int_equal(topology.worker_queue[i], i); /* a queue on both ports */
	}
}

static void
named_nodes_hold_even_where_no_worker_is(void **state)
{
	(void)state;
	static const int nodes[] = {3, 1};
	struct topology_facts facts = machine(DATAPLANE_KEYSPACE_AUTO, 2, 4, 2);

	facts.nodes = nodes;
	facts.nodes_len = 2;
	assert_int_equal(plan(&facts), 0);
	assert_false(topology.per_node);
	assert_int_equal(topology.caches[0].nodes_len, 2);
	assert_int_equal(topology.caches[0].nodes[0], 3);
}

static void
each_node_is_a_cache_of_its_workers_behind_its_ports(void **state)
{
	(void)state;
	struct topology_facts facts = machine(DATAPLANE_KEYSPACE_PER_NODE, 4, 8, 4);

	assert_int_equal(plan(&facts), 0);
	assert_true(topology.per_node);
	assert_int_equal(topology.caches_len, 4);
	for (unsigned i = 0; i < 8; i++) {
		assert_int_equal(topology.worker_cache[i], i % 4);
		assert_int_equal(topology.worker_queue[i], i / 4);
	}
	for (unsigned i = 0; i < 4; i++) {
		assert_int_equal(topology.port_cache[i], i);
		assert_int_equal(topology.caches[i].nodes_len, 1);
		assert_int_equal(topology.caches[i].nodes[0], i);
		assert_int_equal(topology.caches[i].workers_len, 2);
	}
}

static void
automatic_is_per_node_only_where_every_port_has_workers_near(void **state)
{
	(void)state;
	struct topology_facts facts = machine(DATAPLANE_KEYSPACE_AUTO, 2, 4, 2);

	assert_int_equal(plan(&facts), 0);
	assert_true(topology.per_node);
	facts.port_node[1] = -1; /* a TAP, say */
	assert_int_equal(plan(&facts), 0);
	assert_false(topology.per_node);
	facts = machine(DATAPLANE_KEYSPACE_AUTO, 2, 4, 2);
	facts.worker_node[1] = facts.worker_node[3] = 0;
	assert_int_equal(plan(&facts), 0);
	assert_false(topology.per_node);
	assert_int_equal(
	    topology.caches[0].nodes_len, 0); /* all workers on one node: nothing to tell apart */
}

static void
per_node_refuses_what_would_leave_someone_without(void **state)
{
	(void)state;
	struct topology_facts facts = machine(DATAPLANE_KEYSPACE_PER_NODE, 2, 4, 2);

	facts.worker_node[1] = facts.worker_node[3] = 0;
	assert_true(plan(&facts) < 0);
	assert_non_null(strstr(error, "no worker runs on node 1"));
	facts = machine(DATAPLANE_KEYSPACE_PER_NODE, 2, 4, 1);
	assert_true(plan(&facts) < 0);
	assert_non_null(strstr(error, "worker 1 runs on node 1, which has no port"));
	facts = machine(DATAPLANE_KEYSPACE_PER_NODE, 2, 4, 2);
	facts.port_node[1] = -1;
	assert_true(plan(&facts) < 0);
	assert_non_null(strstr(error, "lan1"));
	facts.port_node[0] = -1;
	assert_true(plan(&facts) < 0);
	assert_non_null(strstr(error, "set node in each"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(one_node_is_one_unbound_cache_whatever_the_keyspace),
	    cmocka_unit_test(two_nodes_unified_get_a_partition_each_in_one_cache),
	    cmocka_unit_test(named_nodes_hold_even_where_no_worker_is),
	    cmocka_unit_test(each_node_is_a_cache_of_its_workers_behind_its_ports),
	    cmocka_unit_test(automatic_is_per_node_only_where_every_port_has_workers_near),
	    cmocka_unit_test(per_node_refuses_what_would_leave_someone_without),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
