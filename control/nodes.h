/*
 * Memory of the NUMA nodes, as the kernel tells. Any thread.
 */
#ifndef WIRECACHE_CONTROL_NODES_H
#define WIRECACHE_CONTROL_NODES_H

#include <jansson.h>

/* Rows {node, total_bytes, free_bytes, huge_total_bytes, huge_free_bytes}; empty where the kernel knows no nodes. */
json_t *nodes_json(void);

#endif
