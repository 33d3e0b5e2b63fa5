#include "control/version.h"

/* WIRECACHE_VERSION comes from the Makefile, for this file alone: a commit recompiles nothing else. */
const char wirecache_version[] = WIRECACHE_VERSION;
