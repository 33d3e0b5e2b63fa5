/*
 * Sets up a workload from options, see workload.h.
 */
#include "tests/load/workload.h"

#include <stdio.h>

#define TTL_MAX_S       (30u * 24 * 3600) /* memcached takes larger ones for a date */
#define UDP_FRAME_BYTES 8u

static void
lay_out_mix(struct workload *workload, const struct load_options *options)
{
	const double weights[LOAD_OPS] = {[LOAD_GET] = options->get,
	    [LOAD_SET] = options->set,
	    [LOAD_ADD] = options->add,
	    [LOAD_DELETE] = options->delete,
	    [LOAD_TOUCH] = options->touch};
	double sum = 0.0, below = 0.0;
	uint32_t last = 0;

	for (uint32_t op = 0; op < LOAD_OPS; op++) {
		sum += weights[op];
		last = weights[op] > 0 ? op : last;
	}
	for (uint32_t op = 0; op < LOAD_OPS; op++) {
		below += weights[op];
		workload->op_below[op] = op >= last ? UINT32_MAX : (uint32_t)(below / sum * 4294967295.0);
	}
}

static bool
init_sizes(struct workload *workload, const struct load_options *options, char error[LOAD_ERROR_BYTES])
{
	const char *wrong = NULL, *text = NULL;

	if (!sizes_init(
	        &workload->items.key_sizes, SIZES_OF_KEYS, options->key_size, ITEMS_KEY_MIN, ITEMS_KEY_MAX))
		wrong = "key_size", text = options->key_size;
	else if (!sizes_init(
	             &workload->items.value_sizes, SIZES_OF_VALUES, options->value_size, 0, ITEMS_VALUE_MAX))
		wrong = "value_size", text = options->value_size;
	else if (!sizes_init(&workload->ttls, SIZES_OF_VALUES, options->ttl, 0, TTL_MAX_S))
		wrong = "ttl", text = options->ttl;
	if (wrong != NULL)
		snprintf(error, LOAD_ERROR_BYTES,
		    "%s is \"%.40s\", expected a number, a range such as 16-64, etc, usr or twitter, within "
		    "its limits",
		    wrong, text);
	workload->ttl_varies = workload->ttls.min != workload->ttls.max;
	return wrong == NULL;
}

/* A UDP request is one datagram. */
static bool
fits_datagrams(
    const struct workload *workload, const struct load_options *options, char error[LOAD_ERROR_BYTES])
{
	bool stores = options->set > 0 || options->add > 0 || options->preload != LOAD_PRELOAD_NO;
	uint32_t room = LOAD_UDP_RESERVE_MAX - UDP_FRAME_BYTES;
	uint32_t store_bytes = workload_head_room(workload, 1) + workload->items.value_sizes.max;

	if (!workload->udp)
		return true;
	if (stores && !workload->reflect && store_bytes > room) {
		snprintf(error, LOAD_ERROR_BYTES,
		    "values of %u bytes do not fit a UDP request: preload over TCP first, then --preload=no",
		    workload->items.value_sizes.max);
		return false;
	}
	if (workload_head_room(workload, workload->multiget) > room) {
		snprintf(
		    error, LOAD_ERROR_BYTES, "gets of %u keys may not fit a UDP request", workload->multiget);
		return false;
	}
	return true;
}

static bool
fits_stream(const struct workload *workload, char error[LOAD_ERROR_BYTES])
{
	if (workload->udp || workload_head_room(workload, workload->multiget) <= LOAD_TCP_RESERVE_MAX)
		return true;
	snprintf(error, LOAD_ERROR_BYTES, "gets of %u keys take more than %u bytes", workload->multiget,
	    LOAD_TCP_RESERVE_MAX);
	return false;
}

static bool
init_tables(struct workload *workload, const struct load_options *options, char error[LOAD_ERROR_BYTES])
{
	struct popularity_config popularity = {
	    .kind = (enum popularity_kind)options->popularity,
	    .keys = (uint32_t)options->keys,
	    .zipf = options->zipf,
	    .hot_keys = options->hot_keys,
	    .hot_share = options->hot_share,
	};
	bool changes = options->set > 0 || options->add > 0 || options->delete > 0;

	if (!popularity_init(&workload->popularity, &popularity) ||
	    !items_init(&workload->items, (uint32_t)options->keys, changes && !workload->reflect)) {
		snprintf(error, LOAD_ERROR_BYTES, "no memory for %lu keys", options->keys);
		return false;
	}
	return schedule_init(&workload->schedule, (enum schedule_kind)options->arrivals,
	    (uint32_t)options->burst, options->trace, options->seed, error, LOAD_ERROR_BYTES);
}

bool
workload_init(struct workload *workload, const struct load_options *options, char error[LOAD_ERROR_BYTES])
{
	static const struct codec *const codecs[] = {&codec_text, &codec_meta, &codec_binary};
	static const uint32_t compared[] = {UINT32_MAX, VALUE_HEAD_BYTES, 0};

	*workload = (struct workload){
	    .codec = codecs[options->protocol],
	    .multiget = (uint32_t)options->multiget,
	    .compare_bytes = compared[options->verify],
	    .udp = options->transport == LOAD_UDP,
	    .reserve_max = options->transport == LOAD_UDP ? LOAD_UDP_RESERVE_MAX : LOAD_TCP_RESERVE_MAX,
	    .reflect = options->reflect,
	};
	workload->quick_hits = workload->codec->read_hit != NULL && workload->multiget == 1 &&
	                       !workload->reflect && options->verify == LOAD_VERIFY_FULL;
	lay_out_mix(workload, options);
	if (init_sizes(workload, options, error) && fits_datagrams(workload, options, error) &&
	    fits_stream(workload, error) && init_tables(workload, options, error))
		return true;
	workload_free(workload);
	return false;
}

void
workload_free(struct workload *workload)
{
	popularity_free(&workload->popularity);
	items_free(&workload->items);
	schedule_free(&workload->schedule);
}
