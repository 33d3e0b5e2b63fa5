/*
 * Races of two operations, each played with the first stopped at one of its instructions while the second runs, at all of
 * them in turn, and every history given to the checker of linearisability. What two threads can do to each other with one
 * interruption is thus tried in full, and in the same way each time. Pairs that never were wrong are stopped at every
 * few instructions only; `test_interrupted N` begins N later, `test_interrupted all` stops them everywhere.
 */
#include "../../linear/act.h"
#include "../store/fixture.h"
#include "../turns.h"

#define OPS_MAX   6u
#define CAS_SEEN  UINT64_MAX /* the CAS that this thread saw last */
#define FILLS     4u         /* more than one operation has at once */
#define STEPS_MAX 20000u     /* more than any operation takes */

/* What one thread does in a play. */
struct part {
	struct linear_op ops[OPS_MAX];
	unsigned len;
};

/* ASan's code has many more instructions, and each step costs microseconds. */
#ifdef __SANITIZE_ADDRESS__
#define ASAN true
#else
#define ASAN false
#endif
#define SPARSE (ASAN ? 23u : 1u)

static struct fix fix;
static struct actor actors[2];
static _Atomic uint64_t moments;
static unsigned plays; /* so far, and the N given */
static bool everywhere;

#ifdef __SANITIZE_THREAD__
#define NOT_UNDER_TSAN() skip()
#else
#define NOT_UNDER_TSAN() (void)0
#endif

/* ---- operations ------------------------------------------------------------------------------- */

static struct linear_op
op_of(enum linear_kind kind)
{
	return (struct linear_op){.kind = kind};
}

static struct linear_op
op_write(enum store_mode mode, const char *value)
{
	struct linear_op op = {.kind = LINEAR_WRITE, .write.mode = mode};

	op.value.len = (uint32_t)strlen(value);
	memcpy(op.value.bytes, value, op.value.len);
	if (mode == STORE_CAS)
		op.write.cas = CAS_SEEN;
	return op;
}

static struct linear_op
op_vivify(enum store_mode mode, const char *value, bool pieces)
{
	struct linear_op op = op_write(mode, value);

	op.write.vivify = true;
	op.pieces = pieces;
	return op;
}

static struct linear_op
op_touch(uint32_t expires_s, bool view)
{
	return (struct linear_op){.kind = LINEAR_TOUCH, .expires_s = expires_s, .view = view};
}

static struct linear_op
op_invalidate(uint64_t cas_given, uint32_t expires_s)
{
	return (struct linear_op){.kind = LINEAR_INVALIDATE,
	    .cas_given = cas_given,
	    .expires_set = expires_s != 0,
	    .expires_s = expires_s};
}

static struct linear_op
op_incr(void)
{
	return (struct linear_op){.kind = LINEAR_DELTA, .change.amount = 1};
}

/* ---- a play ----------------------------------------------------------------------------------- */

static void
actor_do(struct actor *actor, struct linear_op *op)
{
	const struct act_seen *seen = &actor->seen[op->key];

	if (op->write.cas == CAS_SEEN)
		op->write.cas = seen->cas;
	if (op->cas == CAS_SEEN)
		op->cas = seen->cas;
	if (op->kind == LINEAR_WIN)
		op->cas = seen->view.cas;
	act_do(actor, op);
}

struct playing {
	struct actor *actor;
	struct part *part;
};

static void
part_run(void *ctx)
{
	struct playing *playing = ctx;

	for (unsigned i = 0; i < playing->part->len; i++)
		actor_do(playing->actor, &playing->part->ops[i]);
}

/* A thread keeps the fills that it has had: no allocation later. */
static void
allocate_fills(struct store_thread *thread)
{
	struct store_key key = store_key_make(fix.store, "fill", 4);
	struct store_write write = {.mode = STORE_SET};
	struct store_fill *fills[FILLS];
	static uint8_t bytes[100000];

	for (unsigned i = 0; i < FILLS; i++) {
		assert_int_equal(store_reserve(thread, &key, &write, sizeof(bytes), &fills[i]), STORE_OK);
		store_fill_append(fills[i], bytes, sizeof(bytes));
	}
	for (unsigned i = 0; i < FILLS; i++)
		store_fill_abort(thread, fills[i]);
}

static int
open_store(void **state)
{
	struct store_config config = fix_config(16 * FIX_MIB);

	(void)state;
	fix = fix_open_config(&config);
	memset(actors, 0, sizeof(actors));
	for (unsigned i = 0; i < 2; i++) {
		struct actor *actor = &actors[i];
		actor->store = fix.store;
		actor->thread = store_thread_register(fix.store, -1);
		actor->moments = &moments;
		actor->now_s = FIX_NOW_S;
		actor->random = i + 1;
		actor->keys_len = 2;
		actor->keys[0].stretch = actor->keys[1].stretch = 1;
	}
	store_offline(fix.thread);
	for (unsigned i = 0; i < 2; i++)
		allocate_fills(actors[i].thread);
	turns_open();
	return 0;
}

static int
close_store(void **state)
{
	(void)state;
	turns_close();
	fix_check(&fix);
	for (unsigned i = 0; i < 2; i++)
		store_thread_unregister(actors[i].thread);
	fix_close(&fix);
	return 0;
}

static void
actors_begin(void)
{
	plays++;
	for (unsigned i = 0; i < 2; i++) {
		struct actor *actor = &actors[i];
		for (unsigned k = 0; k < actor->keys_len; k++)
			snprintf(actor->keys[k].name, sizeof(actor->keys[k].name), "%u-%u", plays, k);
		act_forget(actor);
		act_quiesce(actor);
	}
}

static void
actors_end(void)
{
	for (unsigned k = 0; k < actors[0].keys_len; k++) {
		const char *name = actors[0].keys[k].name;
		struct store_key key = store_key_make(fix.store, name, (uint32_t)strlen(name));
		store_delete(actors[0].thread, &key, 0);
	}
	for (unsigned i = 0; i < 2; i++) {
		store_maintain(actors[i].thread, 20);
		act_quiesce(&actors[i]);
	}
}

/*
 * `before` is done by both at rest, the first of `first` is interrupted after so many instructions, and at the end both see
 * what there is. Returns whether it got so far.
 */
static bool
play(const struct part *before, const struct part *first, const struct part *second, uint32_t steps,
    uint32_t steps_second)
{
	static struct linear_op ops[2][3 * OPS_MAX];
	struct part parts[2] = {*first, *second};
	struct linear_lane lanes[2] = {{ops[0], 0}, {ops[1], 0}};

	actors_begin();
	for (unsigned i = 0; i < before->len; i++)
		for (unsigned a = 0; a < 2; a++) {
			struct linear_op *op = &ops[a][lanes[a].len++];
			/* Both look; what changes something is done by the second. */
			*op =
			    a == 1 || before->ops[i].kind == LINEAR_GET ? before->ops[i] : op_of(LINEAR_GET);
			actor_do(&actors[a], op);
		}
	struct playing playing[2] = {{&actors[0], &parts[0]}, {&actors[1], &parts[1]}};
	bool stopped =
	    turns_play(part_run, (void *[]){&playing[0], &playing[1]}, (uint32_t[]){steps, steps_second});
	for (unsigned a = 0; a < 2; a++) {
		for (unsigned i = 0; i < parts[a].len; i++)
			ops[a][lanes[a].len++] = parts[a].ops[i];
		ops[a][lanes[a].len] = op_of(LINEAR_GET);
		actor_do(&actors[a], &ops[a][lanes[a].len++]);
	}
	if (linear_check(lanes, 2, false) != LINEAR_YES) {
		linear_explain(stdout, lanes, 2, false);
		fail_msg("interrupted after %u instructions: not linearisable", steps);
	}
	actors_end();
	return stopped;
}

/* At every `every`th instruction of the first. */
static void
play_all(const struct part *before, const struct part *first, const struct part *second, uint32_t every)
{
	uint32_t steps;

	every = everywhere ? 1 : every * SPARSE;
	for (steps = plays % every; play(before, first, second, steps, TURNS_TO_ITS_END); steps += every)
		assert_true(steps < STEPS_MAX);
	assert_true(steps > 20);
}

#define PART(...)                             \
	(&(struct part){.ops = {__VA_ARGS__}, \
	    .len = sizeof((struct linear_op[]){__VA_ARGS__}) / sizeof(struct linear_op)})

/* ---- flush_all ---------------------------------------------------------------------------------- */

static void
writes_interrupted_by_flush_all_do_not_outlive_it(void **state)
{
	(void)state;
	NOT_UNDER_TSAN();
	const struct linear_op writes[] = {op_write(STORE_REPLACE, "7"), op_invalidate(0, 0),
	    op_write(STORE_CAS, "7"), op_write(STORE_APPEND, "7"), op_incr(), op_invalidate(5, 0),
	    op_invalidate(0, FIX_NOW_S + 100)};

	for (unsigned i = 0; i < sizeof(writes) / sizeof(writes[0]); i++)
		play_all(PART(op_write(STORE_SET, "1"), op_of(LINEAR_GET)), PART(writes[i]),
		    PART(op_of(LINEAR_FLUSH), op_of(LINEAR_GET)), i < 2 ? 1 : 7);
}

static void
flush_all_interrupted_by_writes_is_one_moment_for_all_keys(void **state)
{
	(void)state;
	NOT_UNDER_TSAN();
	struct linear_op other = op_write(STORE_SET, "2"), look = op_of(LINEAR_GET);

	other.key = look.key = 1;
	play_all(PART(op_write(STORE_SET, "1"), other), PART(op_of(LINEAR_FLUSH)),
	    PART(op_of(LINEAR_GET), look, op_write(STORE_REPLACE, "5"), op_write(STORE_ADD, "6"),
	        op_of(LINEAR_GET)),
	    1);
}

/* ---- views -------------------------------------------------------------------------------------- */

static void
view_interrupted_by_changes_in_place_is_of_one_moment(void **state)
{
	(void)state;
	NOT_UNDER_TSAN();
	const struct linear_op invalidates[] = {
	    op_invalidate(0, 0), op_invalidate(9, 0), op_invalidate(0, FIX_NOW_S + 70)};
	const struct linear_op touch = op_touch(FIX_NOW_S + 90, false);
	struct linear_op given = op_write(STORE_SET, "1");

	given.write.cas_set = true;
	given.write.cas_new = 77;
	for (unsigned i = 0; i < 3; i++) {
		play_all(
		    PART(op_write(STORE_SET, "1")), PART(op_of(LINEAR_GET)), PART(invalidates[i], touch), 1);
		play_all(PART(given), PART(op_of(LINEAR_GET)), PART(touch, invalidates[i]), 3);
		play_all(PART(given), PART(op_touch(FIX_NOW_S + 50, true)), PART(invalidates[i], touch), 31);
	}
}

static void
changes_interrupted_by_a_view_are_seen_whole_or_not(void **state)
{
	(void)state;
	NOT_UNDER_TSAN();
	struct linear_op given = op_write(STORE_SET, "1");

	given.write.cas_set = true;
	given.write.cas_new = 77;
	play_all(PART(given), PART(op_invalidate(0, 0)), PART(op_of(LINEAR_GET)), 3);
	play_all(PART(given), PART(op_invalidate(9, 0)), PART(op_of(LINEAR_GET)), 3);
	play_all(PART(op_write(STORE_SET, "1")), PART(op_invalidate(0, FIX_NOW_S + 70)),
	    PART(op_of(LINEAR_GET)), 3);
}

static void
token_is_won_only_for_the_item_that_was_seen(void **state)
{
	(void)state;
	NOT_UNDER_TSAN();
	const struct linear_op changes[] = {op_write(STORE_SET, "2"), op_invalidate(0, 0), op_of(LINEAR_WIN),
	    op_of(LINEAR_DELETE), op_of(LINEAR_FLUSH)};

	for (unsigned i = 0; i < sizeof(changes) / sizeof(changes[0]); i++)
		play_all(PART(op_write(STORE_SET, "1"), op_invalidate(0, 0), op_of(LINEAR_GET)),
		    PART(op_of(LINEAR_WIN)), PART(changes[i], op_of(LINEAR_GET)), 3);
}

/* ---- writes against writes ---------------------------------------------------------------------- */

static void
writes_interrupted_by_writes_lose_none(void **state)
{
	(void)state;
	NOT_UNDER_TSAN();
	const struct linear_op writes[] = {op_write(STORE_SET, "2"), op_write(STORE_ADD, "3"),
	    op_write(STORE_CAS, "4"), op_write(STORE_APPEND, "5"), op_incr(), op_of(LINEAR_DELETE),
	    op_invalidate(8, 0), op_touch(FIX_NOW_S + 60, false)};
	const unsigned len = sizeof(writes) / sizeof(writes[0]);

	for (unsigned a = 0; a < len; a++)
		for (unsigned b = 0; b < len; b++)
			play_all(PART(op_write(STORE_SET, "1"), op_of(LINEAR_GET)), PART(writes[a]),
			    PART(writes[b]), 97);
}

static void
append_that_creates_meets_another_creator_and_appends_to_its_item(void **state)
{
	(void)state;
	NOT_UNDER_TSAN();
	const struct linear_op creators[] = {
	    op_write(STORE_ADD, "2"), op_write(STORE_SET, "2"), op_vivify(STORE_APPEND, "2", false)};

	for (unsigned pieces = 0; pieces < 2; pieces++)
		for (unsigned i = 0; i < 3; i++)
			play_all(PART(op_of(LINEAR_GET)), PART(op_vivify(STORE_APPEND, "1", pieces)),
			    PART(creators[i]), 41);
}

/* The creator's item may be gone again when the append comes back to it. */
static void
append_that_creates_meets_a_creator_and_a_deleter_and_creates_after_all(void **state)
{
	(void)state;
	NOT_UNDER_TSAN();
	for (unsigned pieces = 0; pieces < 2; pieces++)
		play_all(PART(op_of(LINEAR_GET)), PART(op_vivify(STORE_PREPEND, "1", pieces)),
		    PART(op_write(STORE_ADD, "2"), op_of(LINEAR_DELETE)), 41);
}

/* ---- the index ---------------------------------------------------------------------------------- */

#define SPLITS          6u
#define SPLIT_STEPS     48000u /* from one stop to the next: growing takes more than all of them */
#define SPLIT_ITEMS_MAX 200000u

struct growth {
	uint32_t items;
	uint32_t missed;
};

static uint32_t split_steps; /* 0: splits are not stopped */

struct partition;
bool __real_index_grow(struct store_thread *thread, struct partition *part, uint64_t hash);
bool __wrap_index_grow(struct store_thread *thread, struct partition *part, uint64_t hash);

bool
__wrap_index_grow(struct store_thread *thread, struct partition *part, uint64_t hash)
{
	if (split_steps == 0)
		return __real_index_grow(thread, part, hash);
	turns.thread[0].left = split_steps;
	turns_trap(true);
	bool split = __real_index_grow(thread, part, hash);
	turns_trap(false);
	return split;
}

static struct store_key
growth_key(uint32_t i, char name[16])
{
	int len = snprintf(name, 16, "grow-%u", i);
	return store_key_make(fix.store, name, (uint32_t)len);
}

static void
growth_insert(void *ctx)
{
	struct growth *growth = ctx;
	struct store_write write = {.mode = STORE_SET};
	char name[16];

	for (; !turns.thread[0].stopped && growth->items < SPLIT_ITEMS_MAX; growth->items++) {
		struct store_key key = growth_key(growth->items, name);
		store_put(actors[0].thread, &key, &write, "1", 1, NULL);
	}
}

/* Runs in the middle of a split: all that was stored before. */
static void
growth_look(void *ctx)
{
	struct growth *growth = ctx;
	struct store_view view;
	char name[16];

	for (uint32_t i = 0; i < growth->items; i++) {
		struct store_key key = growth_key(i, name);
		growth->missed += store_get(actors[1].thread, &key, &view) != STORE_OK;
	}
}

static void
growth_run(void *ctx)
{
	if (turns.self == 0)
		growth_insert(ctx);
	else
		growth_look(ctx);
}

static void
nothing_is_missed_in_the_middle_of_a_split(void **state)
{
	struct growth growth = {0};

	(void)state;
	NOT_UNDER_TSAN();
	actors_begin();
	for (unsigned i = 1; i <= SPLITS; i++) {
		split_steps = i * SPLIT_STEPS; /* ASan takes more, and is stopped in the first part only */
		bool stopped = turns_play(growth_run, (void *[]){&growth, &growth},
		    (uint32_t[]){TURNS_TO_ITS_END, TURNS_TO_ITS_END});
		split_steps = 0;
		act_quiesce(&actors[0]);
		act_quiesce(&actors[1]);
		assert_true(stopped);
		assert_int_equal(growth.missed, 0);
	}
	assert_int_equal(fix_counters(&fix).evictions, 0);
}

/* ---- a flush that was to come ------------------------------------------------------------------- */

#define FLUSH_STEPS 150u /* both are past the deadline by then */

static bool outlived;

static void
flush_or_let_time_pass(void *ctx)
{
	struct actor *actor = ctx;
	struct store_key key = store_key_make(fix.store, "k", 1);
	struct store_view view;

	if (turns.self == 0) {
		store_flush_all(actor->thread, STORE_FLUSH_NOW);
		outlived = store_peek(actor->thread, &key, &view) == STORE_OK;
	} else {
		store_quiesce(actor->thread, actor->now_s);
	}
}

/* The other's clock has reached a deadline: whoever takes it, flush_all answers when the items are gone. */
static void
flush_all_beside_one_that_is_due_is_answered_when_it_is_done(void **state)
{
	struct store_key key = store_key_make(fix.store, "k", 1);
	struct store_write write = {.mode = STORE_SET};

	(void)state;
	NOT_UNDER_TSAN();
	for (uint32_t first = 0; first < FLUSH_STEPS; first += 2 * SPARSE)
		for (uint32_t second = first % 5; second < FLUSH_STEPS; second += 5 * SPARSE) {
			act_quiesce(&actors[0]);
			assert_int_equal(store_put(actors[0].thread, &key, &write, "1", 1, NULL), STORE_OK);
			store_flush_all(actors[0].thread, ++actors[1].now_s);
			turns_play(flush_or_let_time_pass, (void *[]){&actors[0], &actors[1]},
			    (uint32_t[]){first, second});
			assert_false(outlived);
			actors[0].now_s++;
		}
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(writes_interrupted_by_flush_all_do_not_outlive_it),
	    cmocka_unit_test(flush_all_interrupted_by_writes_is_one_moment_for_all_keys),
	    cmocka_unit_test(view_interrupted_by_changes_in_place_is_of_one_moment),
	    cmocka_unit_test(changes_interrupted_by_a_view_are_seen_whole_or_not),
	    cmocka_unit_test(token_is_won_only_for_the_item_that_was_seen),
	    cmocka_unit_test(writes_interrupted_by_writes_lose_none),
	    cmocka_unit_test(append_that_creates_meets_another_creator_and_appends_to_its_item),
	    cmocka_unit_test(append_that_creates_meets_a_creator_and_a_deleter_and_creates_after_all),
	    cmocka_unit_test(nothing_is_missed_in_the_middle_of_a_split),
	    cmocka_unit_test(flush_all_beside_one_that_is_due_is_answered_when_it_is_done),
	};

	everywhere = argc > 1 && strcmp(argv[1], "all") == 0;
	plays = argc > 1 && !everywhere ? (unsigned)strtoul(argv[1], NULL, 10) : 0;
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, open_store, close_store);
}
