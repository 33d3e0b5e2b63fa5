/* The version both programs were built from (git describe). Each has its own copy: they share no object
 * file. */
#ifndef WIRECACHE_CONTROL_VERSION_H
#define WIRECACHE_CONTROL_VERSION_H

extern const char wirecache_version[];

#endif
