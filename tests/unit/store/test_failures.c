/*
 * Every allocation that the store asks the system for fails once. The linker hands those calls to us (--wrap, in the
 * Makefile): a countdown decides which one fails, and what is alive is counted, so that nothing can leak.
 */
#include "fixture.h"

#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#define NEVER        (-1)
#define FAILURES_MAX 1000

static int countdown = NEVER; /* calls until the one that fails */
static unsigned failed;       /* so far */
static bool late;             /* the value's memory was refused when it was on its way already */
static long blocks, mappings; /* alive */

void *__real_malloc(size_t bytes);
void *__real_calloc(size_t n, size_t bytes);
void *__real_realloc(void *block, size_t bytes);
void *__real_aligned_alloc(size_t alignment, size_t bytes);
void __real_free(void *block);
void *__real_mmap(void *at, size_t bytes, int protection, int flags, int fd, off_t offset);
int __real_munmap(void *at, size_t bytes);
void *__wrap_malloc(size_t bytes);
void *__wrap_calloc(size_t n, size_t bytes);
void *__wrap_realloc(void *block, size_t bytes);
void *__wrap_aligned_alloc(size_t alignment, size_t bytes);
void __wrap_free(void *block);
void *__wrap_mmap(void *at, size_t bytes, int protection, int flags, int fd, off_t offset);
int __wrap_munmap(void *at, size_t bytes);

static bool
fails_now(void)
{
	bool now = countdown == 0;

	failed += now;
	if (countdown >= 0)
		countdown--;
	return now;
}

static void *
counted(void *block)
{
	blocks += block != NULL;
	return block;
}

void *
__wrap_malloc(size_t bytes)
{
	return fails_now() ? NULL : counted(__real_malloc(bytes));
}

void *
__wrap_calloc(size_t n, size_t bytes)
{
	return fails_now() ? NULL : counted(__real_calloc(n, bytes));
}

void *
__wrap_realloc(void *block, size_t bytes)
{
	if (fails_now())
		return NULL;
	return block ? __real_realloc(block, bytes) : counted(__real_realloc(block, bytes));
}

void *
__wrap_aligned_alloc(size_t alignment, size_t bytes)
{
	return fails_now() ? NULL : counted(__real_aligned_alloc(alignment, bytes));
}

void
__wrap_free(void *block)
{
	blocks -= block != NULL;
	__real_free(block);
}

void *
__wrap_mmap(void *at, size_t bytes, int protection, int flags, int fd, off_t offset)
{
	void *mapped = fails_now() ? MAP_FAILED : __real_mmap(at, bytes, protection, flags, fd, offset);

	if (mapped == MAP_FAILED)
		errno = ENOMEM;
	mappings += mapped != MAP_FAILED;
	return mapped;
}

int
__wrap_munmap(void *at, size_t bytes)
{
	mappings--;
	return __real_munmap(at, bytes);
}

static int
setup(void **state)
{
	(void)state;
	countdown = NEVER;
	failed = 0;
	blocks = mappings = 0;
	return 0;
}

static void
assert_nothing_left(void)
{
	assert_int_equal(blocks, 0);
	assert_int_equal(mappings, 0);
}

static struct store_config
two_partitions(void)
{
	struct store_config config = fix_config(16 * FIX_MIB);
	config.nodes[0] = config.nodes[1] = -1;
	config.nodes_len = 2;
	config.threads_max = 2;
	return config;
}

static void
creation_failing_anywhere_says_so_and_leaks_nothing(void **state)
{
	(void)state;
	struct store_config config = two_partitions();
	char error[STORE_ERROR_MAX];
	struct store *store;
	int rc = -1;
	int at = 0;

	for (; rc != 0 && at < FAILURES_MAX; at++) {
		countdown = at;
		rc = store_create(&config, &store, error);
		if (rc == 0)
			break;
		assert_int_equal(rc, -ENOMEM);
		assert_null(store);
		assert_true(strlen(error) > 5);
		assert_nothing_left();
	}
	assert_int_equal(rc, 0);
	assert_int_equal(failed, 5); /* three blocks and a mapping for each partition */
	countdown = NEVER;
	store_destroy(store);
	assert_nothing_left();
}

static void
start_failing_anywhere_loses_no_kept_item(void **state)
{
	(void)state;
	struct store_config config = two_partitions();
	char path[64], error[STORE_ERROR_MAX];
	struct fix fix = {.now_s = FIX_NOW_S};
	int at = 0;

	snprintf(path, sizeof(path), "/dev/shm/wirecache-fails-%d", (int)getpid());
	config.restart_path = path;
	fix = fix_open_config(&config);
	assert_int_equal(fix_set(&fix, "a", "1"), STORE_OK);
	fix_close(&fix);
	for (int rc = -1; rc != 0 && at < FAILURES_MAX; at++) {
		countdown = at;
		rc = store_create(&config, &fix.store, error);
		countdown = NEVER;
		if (rc != 0) {
			assert_int_equal(rc, -ENOMEM);
			assert_nothing_left();
		}
	}
	assert_int_equal(failed, 6); /* the blocks, the state of the restart, a mapping for each partition */
	fix.thread = store_thread_register(fix.store, -1);
	assert_value(&fix, "a", "1");
	fix_close(&fix);
	assert_nothing_left();
	assert_int_equal(store_restart_forget(path), 2);
}

static void
hugepages_refused_fall_back_to_normal_pages(void **state)
{
	(void)state;
	struct store_config config = fix_config(8 * FIX_MIB);
	struct store_info info;
	config.hugepages = true;
	char error[STORE_ERROR_MAX];
	struct store *store;
	countdown = 3; /* behind the blocks: the mapping of hugepages */
	assert_int_equal(store_create(&config, &store, error), 0);
	assert_int_equal(failed, 1);
	store_info_get(store, &info);
	assert_false(info.hugepages);
	store_destroy(store);
	assert_nothing_left();
}

static void
thread_without_memory_is_refused_and_may_try_again(void **state)
{
	(void)state;
	struct store_config config = two_partitions();
	char error[STORE_ERROR_MAX];
	struct store *store;
	struct store_thread *thread = NULL;
	assert_int_equal(store_create(&config, &store, error), 0);
	for (int at = 0; !thread && at < FAILURES_MAX; at++) {
		countdown = 0;
		assert_null(store_thread_register(store, -1));
		countdown = at;
		thread = store_thread_register(store, -1);
	}
	assert_non_null(thread);
	countdown = NEVER;
	assert_null(store_check(store));
	store_thread_unregister(thread);
	store_destroy(store);
	assert_nothing_left();
}

/* A value in several chunks, given in pieces; STORE_NO_MEMORY when an allocation failed on the way. */
static enum store_status
store_in_pieces(struct fix *fix, enum store_mode mode, const uint8_t *value, uint32_t bytes)
{
	struct store_key key = fix_key(fix, "a");
	struct store_write write = {.mode = mode};
	struct store_fill *fill;
	enum store_status status = store_reserve(fix->thread, &key, &write, bytes, &fill);

	late = status == STORE_OK;
	if (status != STORE_OK) {
		assert_null(fill);
		return status;
	}
	for (uint32_t at = 0; at < bytes; at += 5000)
		store_fill_append(fill, value + at, bytes - at < 5000 ? bytes - at : 5000);
	return store_fill_commit(fix->thread, fill, NULL);
}

/* In a store of its own, so that the pool of fills is empty, lets one allocation after the other fail. */
static void
assert_failures_are_told(enum store_mode mode, bool in_pieces)
{
	static uint8_t value[700000];
	unsigned refused = 0;

	fix_pattern(value, sizeof(value), 3);
	for (int at = 0; at < FAILURES_MAX; at++) {
		struct fix fix = fix_open(16 * FIX_MIB);
		struct store_key key = fix_key(&fix, "a");
		struct store_write write = {.mode = mode};
		fix_set(&fix, "a", "old");
		countdown = at;
		failed = 0;
		late = false;
		enum store_status status =
		    in_pieces ? store_in_pieces(&fix, mode, value, sizeof(value))
		              : store_put(fix.thread, &key, &write, value, sizeof(value), NULL);
		countdown = NEVER;
		assert_int_equal(status, failed ? STORE_NO_MEMORY : STORE_OK);
		if (failed && late && mode == STORE_SET)
			assert_missing(&fix, "a"); /* it was meant to be replaced */
		else if (failed)
			assert_value(&fix, "a", "old");
		fix_close(&fix);
		assert_nothing_left();
		if (!failed)
			break;
		refused++;
	}
	assert_in_range(refused, 2, 100);
}

static void
large_value_without_memory_leaves_the_old_one(void **state)
{
	(void)state;
	assert_failures_are_told(STORE_SET, false);
}

static void
value_in_pieces_that_fails_late_takes_the_old_one_along(void **state)
{
	(void)state;
	assert_failures_are_told(STORE_SET, true);
}

static void
append_without_memory_leaves_the_old_value(void **state)
{
	(void)state;
	assert_failures_are_told(STORE_APPEND, false);
	assert_failures_are_told(STORE_PREPEND, true);
}

static void
fill_aborted_after_a_failure_leaks_nothing(void **state)
{
	(void)state;
	static uint8_t value[300000];
	struct fix fix = fix_open(16 * FIX_MIB);
	struct store_key key = fix_key(&fix, "a");
	struct store_write write = {.mode = STORE_SET};
	struct store_fill *fill;
	assert_int_equal(store_reserve(fix.thread, &key, &write, sizeof(value), &fill), STORE_OK);
	countdown = 0; /* the list of chunks */
	assert_int_equal(store_fill_append(fill, value, 100000), 100000);
	assert_int_equal(failed, 1);
	store_fill_abort(fix.thread, fill);
	fix_close(&fix);
	assert_nothing_left();
}

#define TEST(name) cmocka_unit_test_setup(name, setup)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(creation_failing_anywhere_says_so_and_leaks_nothing),
	    TEST(start_failing_anywhere_loses_no_kept_item),
	    TEST(hugepages_refused_fall_back_to_normal_pages),
	    TEST(thread_without_memory_is_refused_and_may_try_again),
	    TEST(large_value_without_memory_leaves_the_old_one),
	    TEST(value_in_pieces_that_fails_late_takes_the_old_one_along),
	    TEST(append_without_memory_leaves_the_old_value),
	    TEST(fill_aborted_after_a_failure_leaks_nothing),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
