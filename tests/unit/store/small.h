/*
 * For tests of one behaviour each: every test has a store of its own, a small one, in `fix`.
 */
#ifndef WIRECACHE_TESTS_STORE_SMALL_H
#define WIRECACHE_TESTS_STORE_SMALL_H

#include "fixture.h"

static struct fix fix;

static int
setup(void **state)
{
	(void)state;
	fix = fix_open(8 * FIX_MIB);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	fix_close(&fix);
	return 0;
}

#endif
