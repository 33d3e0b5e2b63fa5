/*
 * Where a pass's cycles go: one pass in 256 reads the clock wherever it goes from one stage to the next. The others pay
 * a predicted branch there.
 *
 * Threads: one struct stages a worker, its only writer. Others read passes, requests and cycles by relaxed loads.
 */
#ifndef WIRECACHE_STAGES_H
#define WIRECACHE_STAGES_H

#include <stdbool.h>
#include <stdint.h>
#include <rte_cycles.h>

#define STAGES_EVERY 256u

enum stage {
#define STAGE(id, name, help) STAGE_##id,
#include "dataplane/stages.def"
#undef STAGE
	STAGES,
};

struct stages {
	bool on; /* this pass is measured */
	enum stage now;
	uint32_t left; /* passes until the next that is */
	uint64_t since_tsc;
	uint64_t pass_cycles[STAGES];
	/* Sums over measured passes that found work. */
	uint64_t passes, requests;
	uint64_t cycles[STAGES];
};

static inline void
stages_switch(struct stages *stages, enum stage next)
{
	uint64_t tsc = rte_rdtsc();

	stages->pass_cycles[stages->now] += tsc - stages->since_tsc;
	stages->since_tsc = tsc;
	stages->now = next;
}

/* Begins a stage; returns the one that it interrupts. */
static inline enum stage
stage_begin(struct stages *stages, enum stage next)
{
	enum stage before = stages->now;

	if (__builtin_expect(stages->on, 0))
		stages_switch(stages, next);
	return before;
}

static inline void
stages_pass_begin(struct stages *stages)
{
	if (__builtin_expect(stages->left-- != 0, 1))
		return;
	stages->left = STAGES_EVERY - 1;
	stages->on = true;
	stages->since_tsc = rte_rdtsc();
	stages->now = STAGE_POLL;
	for (unsigned i = 0; i < STAGES; i++)
		stages->pass_cycles[i] = 0;
}

/* worked: the pass found something to do. */
static inline void
stages_pass_end(struct stages *stages, bool worked, uint64_t requests)
{
	if (__builtin_expect(!stages->on, 1))
		return;
	stages_switch(stages, STAGE_POLL);
	stages->on = false;
	if (!worked)
		return;
	stages->passes++;
	stages->requests += requests;
	for (unsigned i = 0; i < STAGES; i++)
		stages->cycles[i] += stages->pass_cycles[i];
}

#endif
