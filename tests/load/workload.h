/*
 * What is asked for, as the options say it: items, their popularity, the mix of operations, the protocol, the schedule.
 * Set up once by the main thread; only the items' versions change afterwards.
 */
#ifndef WIRECACHE_LOAD_WORKLOAD_H
#define WIRECACHE_LOAD_WORKLOAD_H

#include "tests/load/backend.h"
#include "tests/load/codec.h"
#include "tests/load/items.h"
#include "tests/load/options.h"
#include "tests/load/popularity.h"
#include "tests/load/schedule.h"

struct workload {
	struct items items;
	struct popularity popularity;
	struct schedule schedule;
	struct sizes ttls;
	const struct codec *codec;
	uint32_t
	    op_below[LOAD_OPS]; /* of 2^32: an operation is the first whose bound a random number is below */
	uint32_t multiget;
	uint32_t compare_bytes;
	uint32_t reserve_max; /* of the transport */
	bool udp;
	bool reflect;
	bool ttl_varies;
	bool quick_hits; /* gets of one key in full: the codec's read_hit may judge them */
};

/* False with one sentence in error. */
bool workload_init(
    struct workload *workload, const struct load_options *options, char error[LOAD_ERROR_BYTES]);
void workload_free(struct workload *workload);

/* Most bytes that this request can take without its value. */
static inline uint32_t
workload_head_room(const struct workload *workload, uint32_t keys_len)
{
	return CODEC_FIXED_ROOM + keys_len * (workload->items.key_sizes.max + workload->codec->key_overhead);
}

static inline enum load_op
workload_op(const struct workload *workload, uint32_t random)
{
	uint32_t op = 0;

	while (op < LOAD_OPS - 1 && random >= workload->op_below[op])
		op++;
	return (enum load_op)op;
}

#endif
