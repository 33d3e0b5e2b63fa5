/*
 * Who may come in: the allow-list of prefixes, the rate limits by source address, and whether this appliance drains. Asked
 * for each SYN and each UDP datagram, never for a segment of an open connection. Without a list or a limit that costs one comparison a burst.
 *
 * One gate a worker, used by no other thread. A limit holds for what one source sends to one worker: connections of a
 * client are spread over workers, so all together may let pass as many times as much. A source is an IPv4 address or an
 * IPv6 prefix of 64 bits, since a client may use any address of that.
 */
#ifndef WIRECACHE_GATE_H
#define WIRECACHE_GATE_H

#include <stdbool.h>
#include <stdint.h>

#include "dataplane/dataplane.h"
#include "dataplane/net/net.h"

enum gate_verdict {
	GATE_PASS,
	GATE_DRAINING,    /* connections only */
	GATE_NOT_ALLOWED, /* the source is in no prefix of the list */
	GATE_TOO_MANY,    /* above the source's rate */
};

struct gate;

/* NULL without memory. secret: nobody outside may know which sources share a place. */
struct gate *gate_create(uint64_t secret);
void gate_destroy(struct gate *gate);

/* Takes over list and limits. Returns whether the list changed: who is inside may have to go. */
bool gate_adopt(struct gate *gate, const struct dataplane_config *config);

enum gate_verdict gate_connection(struct gate *gate, const struct net_addr *remote, uint64_t now_us);
/* Whether gate_datagram() may say anything but GATE_PASS. */
bool gate_guards_datagrams(const struct gate *gate);
enum gate_verdict gate_datagram(struct gate *gate, const struct net_addr *remote, uint64_t now_us);

/* The list alone. */
bool gate_allows(const struct gate *gate, const struct net_addr *remote);

#endif
