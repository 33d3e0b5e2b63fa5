/*
 * Flow rules of a port: Ethernet, IP version, TCP or UDP destination port, to a queue. See steer.h.
 */
#include "dataplane/steer.h"

#include <rte_flow.h>

#define PATTERN_LEN 4u

/* One rule for one family and protocol. */
static bool
rule_add(const struct port *port, const struct steer_rule *rule, bool v6, bool tcp)
{
	const struct rte_flow_attr attr = {.ingress = 1};
	struct rte_flow_item_tcp tcp_spec = {.hdr.dst_port = rte_cpu_to_be_16(rule->port)};
	struct rte_flow_item_tcp tcp_mask = {.hdr.dst_port = RTE_BE16(0xffff)};
	struct rte_flow_item_udp udp_spec = {.hdr.dst_port = rte_cpu_to_be_16(rule->port)};
	struct rte_flow_item_udp udp_mask = {.hdr.dst_port = RTE_BE16(0xffff)};
	const struct rte_flow_item pattern[PATTERN_LEN] = {
	    {.type = RTE_FLOW_ITEM_TYPE_ETH},
	    {.type = v6 ? RTE_FLOW_ITEM_TYPE_IPV6 : RTE_FLOW_ITEM_TYPE_IPV4},
	    {.type = tcp ? RTE_FLOW_ITEM_TYPE_TCP : RTE_FLOW_ITEM_TYPE_UDP,
	        .spec = tcp ? (const void *)&tcp_spec : &udp_spec,
	        .mask = tcp ? (const void *)&tcp_mask : &udp_mask},
	    {.type = RTE_FLOW_ITEM_TYPE_END},
	};
	const struct rte_flow_action_queue queue = {.index = rule->queue};
	const struct rte_flow_action actions[] = {
	    {.type = RTE_FLOW_ACTION_TYPE_QUEUE, .conf = &queue},
	    {.type = RTE_FLOW_ACTION_TYPE_END},
	};
	struct rte_flow_error error;

	return rte_flow_validate(port->port_id, &attr, pattern, actions, &error) == 0 &&
	       rte_flow_create(port->port_id, &attr, pattern, actions, &error) != NULL;
}

static bool
rule_add_families(const struct port *port, const struct steer_rule *rule, bool tcp)
{
	return (!port->config->prefix4 || rule_add(port, rule, false, tcp)) &&
	       (!port->config->prefix6 || rule_add(port, rule, true, tcp));
}

bool
steer_port(const struct port *port, const struct steer_rule *rules, unsigned len, bool tcp, bool udp)
{
	struct rte_flow_error error;

	for (unsigned i = 0; i < len; i++)
		if ((tcp && !rule_add_families(port, &rules[i], true)) ||
		    (udp && !rule_add_families(port, &rules[i], false))) {
			/* The port was ours alone: whatever rules there are, they are these. */
			rte_flow_flush(port->port_id, &error);
			return false;
		}
	return true;
}
