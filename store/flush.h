/*
 * The part of flush_all that time drives.
 */
#ifndef WIRECACHE_STORE_FLUSH_H
#define WIRECACHE_STORE_FLUSH_H

#include "store/internal.h"

/* Carries out a flush whose time has come. Any thread, whenever its clock moves. */
void flush_when_due(struct store *store, uint32_t now_s);

#endif
