/*
 * Sets up the alias table of popularity.h (Vose's way: every bin that is too light is filled up by one too heavy).
 */
#include "tests/load/popularity.h"

#include <math.h>
#include <stdlib.h>

/* A bin that always stands for itself. 2^32 - 1 of 2^32 is as near as the field comes; its alias is itself. */
#define KEEP_ALWAYS UINT32_MAX

/* Adds a bin of ranks first..end-1. */
static void
add_bin(struct popularity *popularity, uint64_t first, uint64_t end)
{
	uint32_t at = popularity->bins_len++;

	popularity->bins[at] = (struct popularity_bin){
	    .keep = KEEP_ALWAYS, .alias = at, .first = (uint32_t)first, .width = (uint32_t)(end - first)};
}

/* Single ranks first, then bins that end where the next step of a geometric series falls. */
static void
lay_out_zipf(struct popularity *popularity)
{
	uint64_t first = 0, keys = popularity->keys;
	uint32_t tail_bins = POPULARITY_BINS_MAX - POPULARITY_SINGLE_RANKS;

	for (; first < keys && first < POPULARITY_SINGLE_RANKS; first++)
		add_bin(popularity, first, first + 1);
	if (first == keys)
		return;
	double ratio = log((double)keys / POPULARITY_SINGLE_RANKS) / tail_bins;
	for (uint32_t bin = 1; bin <= tail_bins && first < keys; bin++) {
		uint64_t end = (uint64_t)ceil(POPULARITY_SINGLE_RANKS * exp(ratio * bin));
		if (bin == tail_bins || end > keys)
			end = keys;
		if (end > first)
			add_bin(popularity, first, end);
		first = end > first ? end : first;
	}
}

/* The sum of 1/rank^s over the bin, ranks counted from 1; a wide one by the integral around it. */
static double
zipf_weight(const struct popularity_bin *bin, double s)
{
	double low = (double)bin->first + 0.5, high = low + bin->width;

	if (bin->width == 1)
		return pow((double)bin->first + 1.0, -s);
	if (fabs(s - 1.0) < 1e-9)
		return log(high / low);
	return (pow(high, 1.0 - s) - pow(low, 1.0 - s)) / (1.0 - s);
}

/* weights: scaled so that their mean is 1; spent by this. work: room for bins_len numbers. */
static void
fill_aliases(struct popularity *popularity, double *weights, uint32_t *work)
{
	uint32_t light = 0, heavy = popularity->bins_len; /* stacks from both ends of work */

	for (uint32_t i = 0; i < popularity->bins_len; i++)
		work[weights[i] < 1.0 ? light++ : --heavy] = i;
	while (light > 0 && heavy < popularity->bins_len) {
		uint32_t poor = work[--light], rich = work[heavy];
		popularity->bins[poor].keep = (uint32_t)(weights[poor] * 4294967295.0);
		popularity->bins[poor].alias = rich;
		weights[rich] -= 1.0 - weights[poor];
		if (weights[rich] < 1.0) {
			heavy++;
			work[light++] = rich;
		}
	}
}

static bool
balance(struct popularity *popularity, double *weights)
{
	uint32_t *work = calloc(popularity->bins_len, sizeof(*work));
	double sum = 0.0;

	if (work == NULL)
		return false;
	for (uint32_t i = 0; i < popularity->bins_len; i++)
		sum += weights[i];
	for (uint32_t i = 0; i < popularity->bins_len; i++)
		weights[i] *= popularity->bins_len / sum;
	fill_aliases(popularity, weights, work);
	free(work);
	return true;
}

static void
lay_out(struct popularity *popularity, const struct popularity_config *config, double *weights)
{
	uint32_t hot = (uint32_t)ceil(config->hot_keys * config->keys);

	if (config->kind == POPULARITY_ZIPF && config->zipf > 0.0) {
		lay_out_zipf(popularity);
		for (uint32_t i = 0; i < popularity->bins_len; i++)
			weights[i] = zipf_weight(&popularity->bins[i], config->zipf);
	} else if (config->kind == POPULARITY_HOTSPOT && hot > 0 && hot < config->keys) {
		add_bin(popularity, 0, hot);
		add_bin(popularity, hot, config->keys);
		weights[0] = config->hot_share;
		weights[1] = 1.0 - config->hot_share;
	} else {
		add_bin(popularity, 0, config->keys);
		weights[0] = 1.0;
	}
}

bool
popularity_init(struct popularity *popularity, const struct popularity_config *config)
{
	double *weights = calloc(POPULARITY_BINS_MAX, sizeof(*weights));

	*popularity = (struct popularity){.keys = config->keys};
	popularity->bins = aligned_alloc(64, POPULARITY_BINS_MAX * sizeof(*popularity->bins));
	bool done = false;
	if (weights != NULL && popularity->bins != NULL) {
		lay_out(popularity, config, weights);
		done = balance(popularity, weights);
	}
	free(weights);
	if (!done)
		popularity_free(popularity);
	return done;
}

void
popularity_free(struct popularity *popularity)
{
	free(popularity->bins);
	popularity->bins = NULL;
}

double
popularity_chance(const struct popularity *popularity, uint32_t rank)
{
	double chance = 0.0;

	for (uint32_t i = 0; i < popularity->bins_len; i++) {
		const struct popularity_bin *bin = &popularity->bins[i];
		const struct popularity_bin *alias = &popularity->bins[bin->alias];
		double keep = (double)bin->keep / 4294967296.0;
		if (rank - bin->first < bin->width)
			chance += keep / bin->width;
		if (rank - alias->first < alias->width)
			chance += (1.0 - keep) / alias->width;
	}
	return chance / popularity->bins_len;
}
