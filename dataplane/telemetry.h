/*
 * The figures for who reads DPDK's own telemetry socket (dpdk-telemetry.py, telegraf's dpdk input): commands below
 * /wirecache, and /eal/lcore/list and /eal/lcore/info as later releases of DPDK have them.
 *
 * Threads: opened and closed by the control thread; commands are answered by the telemetry library's own threads.
 */
#ifndef WIRECACHE_TELEMETRY_H
#define WIRECACHE_TELEMETRY_H

struct dataplane;

/* Once all workers run. Commands cannot be unregistered: closed ones answer with nothing. */
void telemetry_open(struct dataplane *dataplane);
void telemetry_close(void);

#endif
