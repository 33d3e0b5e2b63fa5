/*
 * A generator against a scripted server (fake_backend.h), in virtual time: what the script did is what was counted, and no
 * latency is less than what was injected. The generator has no thread here: its orders are carried out by the test's.
 */
#include "tests/load/generator.h"
#include "tests/unit/load/fake_backend.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

struct rig {
	struct load_options options;
	struct workload workload;
	struct generator generator;
	struct load_clock clock;
};

static void
carry_out(struct rig *rig, const struct plan *plan)
{
	rig->generator.plan = *plan;
	generator_carry_out(&rig->generator);
}

/* Sets up, connects and preloads. settings: option, value, ..., NULL. */
static struct rig *
rig_new(const struct fake_script *script, const char *const *settings)
{
	struct rig *rig = calloc(1, sizeof(*rig));
	char error[OPTIONS_ERROR_BYTES] = "";

	options_defaults(&rig->options);
	assert_true(options_set(&rig->options, "keys", "1000", error));
	assert_true(options_set(&rig->options, "timeout", "30ms", error));
	for (; *settings != NULL; settings += 2)
		assert_true(options_set(&rig->options, settings[0], settings[1], error));
	fake_script = (struct fake_script){0};
	fake_tsc = 1;
	rig->clock = (struct load_clock){
	    .tsc_hz = FAKE_TSC_HZ, .ns_per_tsc_q32 = (1ull << 32) * 1000000000 / FAKE_TSC_HZ};
	assert_true(workload_init(&rig->workload, &rig->options, error));
	assert_true(generator_init(
	    &rig->generator, &rig->options, &rig->workload, &fake_backend, rig->clock, 0, error));
	carry_out(rig, &(struct plan){.kind = PLAN_CONNECT});
	assert_int_equal(rig->generator.conns_up, rig->options.connections);
	carry_out(rig, &(struct plan){.kind = PLAN_PRELOAD});
	assert_int_equal(rig->generator.outstanding, 0);
	fake_script = *script;
	memset(&fake_counts, 0, sizeof(fake_counts));
	return rig;
}

static void
rig_free(struct rig *rig)
{
	generator_free(&rig->generator);
	workload_free(&rig->workload);
	free(rig);
}

/* 40 ms of load, all of it measured. */
static const struct counts *
load(struct rig *rig, double rate)
{
	uint64_t start_tsc = load_now_tsc() + load_seconds_to_tsc(&rig->clock, 0.001);

	carry_out(rig, &(struct plan){.kind = PLAN_POINT,
	                   .rate = rate,
	                   .start_tsc = start_tsc,
	                   .measure_tsc = start_tsc,
	                   .end_tsc = start_tsc + load_seconds_to_tsc(&rig->clock, 0.04)});
	return &rig->generator.counts;
}

static uint64_t
recorded_from(const struct histogram *histogram, uint64_t ns)
{
	uint64_t count = 0;

	for (uint32_t slot = histogram_slot(ns); slot < HISTOGRAM_SLOTS; slot++)
		count += histogram->counts[slot];
	return count;
}

static const char *const tcp_mix[] = {"get", "80", "set", "20", NULL};
static const char *const udp_mix[] = {"transport", "udp", "get", "80", "set", "20", "connections", "4", NULL};
static const char *const tcp_gets[] = {"connections", "8", NULL};

static void
preloading_sets_each_key_once(void **state)
{
	struct rig *rig = rig_new(&(struct fake_script){0}, tcp_gets);

	for (uint32_t key = 0; key < 1000; key++)
		assert_true(rig->generator.backend->items[key].there &&
		            !rig->generator.backend->items[key].has_before);
	rig_free(rig);
}

static void
honest_server_gives_no_wrong_value_and_loses_nothing(void **state)
{
	const char *const *const mixes[] = {tcp_mix, udp_mix};

	for (unsigned i = 0; i < 4; i++) {
		struct rig *rig = rig_new(&(struct fake_script){0}, mixes[i % 2]);
		const struct counts *counts = load(rig, i < 2 ? 0 : 50000);
		assert_true(counts->answered > 0);
		assert_int_equal(counts->answered + counts->unsent, counts->scheduled);
		assert_in_range(fake_counts.gets + fake_counts.sets, counts->answered,
		    counts->answered + GENERATOR_BATCH_CLOSED); /* those of the pass that met the end */
		assert_int_equal(counts->hits, fake_counts.gets);
		assert_int_equal(
		    counts->wrong + counts->stale + counts->lost + counts->misses + counts->broken, 0);
		assert_int_equal(rig->generator.due_ns->total, counts->scheduled);
		assert_int_equal(rig->generator.outstanding, 0);
		rig_free(rig);
	}
}

static void
injected_delay_is_found_in_every_latency(void **state)
{
	const uint64_t delay_ns = 2000000, slow_ns = 50000000;

	for (unsigned i = 0; i < 2; i++) {
		struct rig *rig = rig_new(&(struct fake_script){0}, tcp_gets);
		fake_script.delay_tsc = load_seconds_to_tsc(&rig->clock, 2.001e-3);
		fake_script.slow_delay_tsc = load_seconds_to_tsc(&rig->clock, 50.001e-3);
		fake_script.slow_every = 20;
		const struct counts *counts = load(rig, i == 0 ? 0 : 20000);
		assert_true(fake_counts.slow > 0);
		assert_int_equal(rig->generator.sent_ns->total, counts->answered);
		assert_int_equal(recorded_from(rig->generator.sent_ns, delay_ns), counts->answered);
		uint64_t slow = recorded_from(rig->generator.sent_ns, slow_ns);
		assert_true(slow + GENERATOR_BATCH_CLOSED / 20 + 1 >=
		            fake_counts.slow); /* some are sent after the end */
		assert_true(recorded_from(rig->generator.due_ns, slow_ns) >= slow);
		assert_true(rig->generator.due_ns->sum >= rig->generator.sent_ns->sum);
		rig_free(rig);
	}
}

static void
lost_replies_are_counted_and_stand_in_the_tail(void **state)
{
	for (unsigned i = 0; i < 2; i++) {
		struct rig *rig = rig_new(&(struct fake_script){.lose_every = 50}, udp_mix);
		const struct counts *counts = load(rig, i == 0 ? 0 : 50000);
		assert_true(fake_counts.lost > 0);
		assert_in_range(fake_counts.lost, counts->lost,
		    counts->lost + 1); /* one may have been sent after the end */
		assert_int_equal(counts->answered + counts->lost + counts->unsent, counts->scheduled);
		assert_int_equal(rig->generator.due_ns->total, counts->scheduled);
		assert_true(recorded_from(rig->generator.due_ns, 29900000) >= counts->lost);
		assert_int_equal(counts->wrong + counts->stale, 0);
		rig_free(rig);
	}
}

static void
damaged_values_are_counted_as_wrong(void **state)
{
	const char *const *const mixes[] = {tcp_mix, udp_mix};

	for (unsigned i = 0; i < 2; i++) {
		struct rig *rig = rig_new(&(struct fake_script){.damage_every = 7}, mixes[i]);
		const struct counts *counts = load(rig, 0);
		assert_true(fake_counts.damaged > 0);
		assert_int_equal(counts->wrong, fake_counts.damaged);
		assert_int_equal(counts->stale, 0);
		rig_free(rig);
	}
}

static void
values_before_the_last_change_are_counted_as_stale(void **state)
{
	const char *const *const mixes[] = {tcp_mix, udp_mix};

	for (unsigned i = 0; i < 2; i++) {
		struct rig *rig = rig_new(&(struct fake_script){.age_every = 3}, mixes[i]);
		const struct counts *counts = load(rig, 0);
		assert_true(fake_counts.aged > 0);
		assert_int_equal(counts->stale, fake_counts.aged);
		assert_int_equal(counts->wrong, 0);
		rig_free(rig);
	}
}

static void
ended_connections_are_made_again_and_lose_what_was_under_way(void **state)
{
	struct rig *rig = rig_new(&(struct fake_script){.close_every = 100}, tcp_gets);
	const struct counts *counts = load(rig, 0);
	assert_true(fake_counts.closed > 0);
	assert_int_equal(counts->reconnects, fake_counts.closed);
	assert_in_range(
	    fake_counts.closed, counts->lost, counts->lost + 1); /* one may have been sent after the end */
	assert_int_equal(counts->answered + counts->lost, counts->scheduled);
	rig_free(rig);
}

static void
reply_that_is_not_the_protocols_ends_the_connection(void **state)
{
	struct rig *rig = rig_new(&(struct fake_script){.junk_every = 100}, tcp_gets);
	const struct counts *counts = load(rig, 0);
	assert_true(fake_counts.junk > 0);
	assert_int_equal(counts->broken, fake_counts.junk);
	assert_int_equal(counts->reconnects, fake_counts.junk);
	assert_in_range(fake_counts.junk, counts->lost, counts->lost + 1);
	assert_int_equal(counts->answered + counts->lost, counts->scheduled);
	rig_free(rig);
}

static void
pipelined_requests_are_answered_in_order(void **state)
{
	const char *const settings[] = {
	    "connections", "2", "pipeline", "64", "per_segment", "16", "set", "10", NULL};
	struct rig *rig = rig_new(&(struct fake_script){0}, settings);
	const struct counts *counts = load(rig, 0);

	assert_int_equal(counts->answered, counts->scheduled);
	assert_int_equal(counts->wrong + counts->stale + counts->broken + counts->misses, 0);
	rig_free(rig);
}

static void
open_loop_sends_what_was_due_and_no_more(void **state)
{
	const char *const settings[] = {"connections", "4", "arrivals", "constant", NULL};
	struct rig *rig = rig_new(&(struct fake_script){0}, settings);
	const struct counts *counts = load(rig, 500);

	assert_true(counts->scheduled >= 19 && counts->scheduled <= 20);
	assert_int_equal(counts->scheduled, counts->answered + counts->unsent);
	rig_free(rig);
}

static void
windows_hold_each_request_of_the_point_once(void **state)
{
	const char *const settings[] = {"connections", "4", "arrivals", "constant", "windows", "4", NULL};
	struct rig *rig = rig_new(&(struct fake_script){0}, settings);
	const struct counts *counts = load(rig, 500);
	uint64_t scheduled = 0, late = 0, recorded = 0;

	for (unsigned i = 0; i < 4; i++) {
		const struct window *window = &rig->generator.windows[i];
		assert_true(window->scheduled >= 4 && window->scheduled <= 5);
		scheduled += window->scheduled;
		late += window->late;
		recorded += window->due_ns.total;
	}
	assert_int_equal(scheduled, counts->scheduled);
	assert_int_equal(late, counts->late);
	assert_int_equal(recorded, rig->generator.due_ns->total);
	rig_free(rig);
}

/* Once the loop stands still for 5 ms, in which two or three requests become due. */
static void
loop_that_stands_still_is_counted_with_what_was_due_meanwhile(void **state)
{
	const char *const settings[] = {"connections", "4", "arrivals", "constant", NULL};
	struct rig *rig = rig_new(&(struct fake_script){0}, settings);

	fake_script.stall_at = 5;
	fake_script.stall_tsc = load_seconds_to_tsc(&rig->clock, 0.005);
	const struct counts *counts = load(rig, 500);

	assert_true(counts->stalls >= 1);
	assert_true(counts->stalled_tsc >= fake_script.stall_tsc);
	assert_true(rig->generator.longest_stall_tsc >= fake_script.stall_tsc);
	assert_true(counts->late_stalled >= 2 && counts->late_stalled <= counts->late);
	rig_free(rig);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(preloading_sets_each_key_once),
	    cmocka_unit_test(honest_server_gives_no_wrong_value_and_loses_nothing),
	    cmocka_unit_test(injected_delay_is_found_in_every_latency),
	    cmocka_unit_test(lost_replies_are_counted_and_stand_in_the_tail),
	    cmocka_unit_test(damaged_values_are_counted_as_wrong),
	    cmocka_unit_test(values_before_the_last_change_are_counted_as_stale),
	    cmocka_unit_test(ended_connections_are_made_again_and_lose_what_was_under_way),
	    cmocka_unit_test(reply_that_is_not_the_protocols_ends_the_connection),
	    cmocka_unit_test(pipelined_requests_are_answered_in_order),
	    cmocka_unit_test(open_loop_sends_what_was_due_and_no_more),
	    cmocka_unit_test(windows_hold_each_request_of_the_point_once),
	    cmocka_unit_test(loop_that_stands_still_is_counted_with_what_was_due_meanwhile),
	};

	load_clock_virtual = fake_clock;
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
