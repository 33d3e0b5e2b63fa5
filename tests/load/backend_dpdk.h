/*
 * What the files of the DPDK backend share: backend_dpdk.c (the calls of backend.h), backend_dpdk_args.c (the EAL's
 * arguments as the appliance's configuration), backend_dpdk_udp.c and backend_dpdk_tcp.c (requests as packets).
 *
 * Places are (source address, source port) pairs in a row, LINK_PORTS_USABLE to an address. Connection n has place n over
 * UDP; over TCP a number that connects again takes another place each time, so that what is left of the last connection
 * is not in its way.
 */
#ifndef WIRECACHE_LOAD_BACKEND_DPDK_H
#define WIRECACHE_LOAD_BACKEND_DPDK_H

#include "tests/load/backend.h"
#include "tests/load/link.h"

#define UDP_HEADERS_MAX 64u

/* Everything before the payload, with what is the same in every datagram of a source already summed up. */
struct udp_template {
	uint8_t headers[UDP_HEADERS_MAX];
	uint64_t ip_sum;  /* IPv4 header without its length */
	uint64_t udp_sum; /* pseudo-header and UDP header without length and source port */
};

/* A datagram whose payload is written and whose headers are not. */
struct udp_pending {
	struct rte_mbuf *m;
	uint32_t conn;
};

struct udp_state {
	struct udp_template *templates; /* one a source */
	bool *up;                       /* connections */
	uint32_t *waiting; /* connections that will be up as soon as the server's MAC address is known */
	uint32_t waiting_len;
	uint64_t probed_us;
	struct rte_mbuf *open; /* reserved, not yet committed */
	unsigned pending_len;
	struct udp_pending pending[LINK_BURST];
	unsigned spare_len;
	struct rte_mbuf *spare[LINK_BURST];
	uint64_t no_mbuf;
};

struct tcp_slot {
	struct tcp_conn *conn; /* NULL: not connected */
	uint64_t pushed_at;    /* tcp_state.flushes when a segment of it ended */
	uint32_t round;        /* how often it was connected: chooses the port */
	bool up;
};

struct tcp_state {
	struct tcp_slot *slots;
	uint32_t rounds;   /* different ports of a connection */
	uint32_t send_max; /* bytes a connection may hold unsent */
	uint64_t flushes;  /* since the start, and one */
	bool staged;       /* the reservation lies in `stage`, not in the connection's queue */
	uint8_t stage[LOAD_TCP_RESERVE_MAX];
};

struct load_backend {
	struct load_backend_config config;
	struct link *link;
	struct net_addr server;
	rte_be16_t server_port;
	uint64_t rx_tsc;
	uint32_t delivered; /* pieces in this poll */
	uint64_t connect_failures;
	/* Connections that begin as soon as the next hop's MAC address is known: a flood of SYN would outrun ARP. */
	uint32_t *waiting;
	uint32_t waiting_len;
	uint64_t probed_us;
	struct udp_state udp;
	struct tcp_state tcp;
};

/*
 * Reads the EAL's arguments and our address into the appliance's configuration. 0, or -EINVAL with a sentence.
 */
int dpdk_args_read(struct dataplane_config *config, const char *eal_args, const char *address,
    const char *gateway, uint32_t mtu, char error[LOAD_ERROR_BYTES]);
/* An address of either family; false: none. */
bool dpdk_address_read(const char *text, struct net_addr *addr);

int dpdk_udp_open(struct load_backend *backend);
void dpdk_udp_connect(struct load_backend *backend, uint32_t conn);
void dpdk_udp_close_conn(struct load_backend *backend, uint32_t conn);
void *dpdk_udp_reserve(struct load_backend *backend, uint32_t conn, uint32_t bytes);
void dpdk_udp_commit(struct load_backend *backend, uint32_t conn, uint32_t bytes);
/* Finishes what was committed and hands it to the link. */
void dpdk_udp_flush(struct load_backend *backend);
/* The next hop's MAC address, for what is sent past the stack. */
void dpdk_udp_address(struct load_backend *backend, const struct rte_ether_addr *mac);
/* An empty datagram, which the server drops: makes the stack ask for the next hop's MAC address. */
void dpdk_udp_probe(struct load_backend *backend);
unsigned dpdk_udp_early(void *ctx, struct rte_mbuf **pkts, unsigned n); /* link_user.early */
void dpdk_udp_close(struct load_backend *backend);

int dpdk_tcp_open(struct load_backend *backend);
void dpdk_tcp_app(struct tcp_app *app, struct load_backend *backend);
void dpdk_tcp_connect(struct load_backend *backend, uint32_t conn);
void dpdk_tcp_close_conn(struct load_backend *backend, uint32_t conn);
void dpdk_tcp_expect(struct load_backend *backend, uint32_t conn, bool near);
void *dpdk_tcp_reserve(struct load_backend *backend, uint32_t conn, uint32_t bytes);
void dpdk_tcp_commit(struct load_backend *backend, uint32_t conn, uint32_t bytes, bool push);
bool dpdk_tcp_blocked(struct load_backend *backend, uint32_t conn);
void dpdk_tcp_close(struct load_backend *backend);

#endif
