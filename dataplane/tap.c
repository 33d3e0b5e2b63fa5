/*
 * See tap.h. The driver keeps its descriptors and the signal's number to itself; both are found in /proc.
 */
#include "dataplane/tap.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <rte_ethdev.h>

#include "dataplane/port.h"

#define TAP_DEVICE "/dev/net/tun"

/* The signal of a descriptor if it is a TAP's; 0: none. */
static int
signal_of(const char *fd)
{
	char path[sizeof("/proc/self/fd/") + 256], target[sizeof(TAP_DEVICE)];

	snprintf(path, sizeof(path), "/proc/self/fd/%s", fd);
	ssize_t len = readlink(path, target, sizeof(target));
	if (len != sizeof(TAP_DEVICE) - 1 || memcmp(target, TAP_DEVICE, (size_t)len) != 0)
		return 0;
	return fcntl(atoi(fd), F_GETSIG);
}

/* One signal serves all ports: the driver's handler only counts. Without a handler it would end the process. */
static void
wake(void)
{
	struct dirent *entry;
	struct sigaction action;
	DIR *dir = opendir("/proc/self/fd");

	while (dir && (entry = readdir(dir))) {
		int number = signal_of(entry->d_name);

		if (number <= 0 || sigaction(number, NULL, &action) != 0 || action.sa_handler == SIG_DFL)
			continue;
		(void)kill(getpid(), number);
		break;
	}
	if (dir)
		closedir(dir);
}

void
tap_tick(struct port *ports, unsigned ports_len)
{
	bool starved = false;

	for (unsigned i = 0; i < ports_len; i++) {
		struct port *port = &ports[i];
		struct rte_eth_stats stats;

		if (!port->started || strcmp(port->driver, "net_tap") != 0 ||
		    rte_eth_stats_get(port->port_id, &stats) != 0 || stats.rx_nombuf == port->no_mbuf_seen)
			continue;
		port->no_mbuf_seen = stats.rx_nombuf;
		starved = true;
	}
	if (starved)
		wake();
}
