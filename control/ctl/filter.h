/*
 * A filter in tcpdump's language as the text that the daemon takes (dataplane/bytecode.h). Compiled here, as names of hosts,
 * networks and ports may be looked up on the way: who waits for that is who asked.
 */
#ifndef WIRECACHE_CTL_FILTER_H
#define WIRECACHE_CTL_FILTER_H

#define FILTER_ERROR_MAX 512u

/* "4,40 0 0 12,..."; to be freed. NULL: error says why. */
char *filter_compile(const char *filter, char error[FILTER_ERROR_MAX]);

#endif
