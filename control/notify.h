/*
 * What systemd wants to know of a Type=notify service: one datagram to $NOTIFY_SOCKET, nothing when that is
 * unset. By hand, since a library for one sendto() is not worth a dependency. Control thread.
 */
#ifndef WIRECACHE_CONTROL_NOTIFY_H
#define WIRECACHE_CONTROL_NOTIFY_H

/* state: "READY=1", "STOPPING=1", "WATCHDOG=1". 0, or negative errno; never blocks. */
int notify_send(const char *state);

#endif
