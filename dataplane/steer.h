/*
 * Steering: worker i also answers at the port of its own, base + 1 + i, and where a NIC has flow rules, packets for that
 * port come to its queue. A client that lists these ports as servers then has each key at one core. Without rules RSS
 * decides as ever, and any worker serves any key, so only the locality is lost.
 */
#ifndef WIRECACHE_STEER_H
#define WIRECACHE_STEER_H

#include "dataplane/port.h"

/* Packets for `port`, in host order, belong into `queue`. */
struct steer_rule {
	uint16_t port, queue;
};

/* Asks a started port for all of the rules, or none: true when it has them. */
bool steer_port(const struct port *port, const struct steer_rule *rules, unsigned len, bool tcp, bool udp);

#endif
