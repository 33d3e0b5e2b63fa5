/*
 * Warm restart: what a store finds of the one before, in files in /dev/shm. The harness that kills at random moments is
 * test_restart_kill.c.
 */
#include "fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "store/arena.h"
#include "store/restart.h"

#define ITEMS 2000u

static char prefix[128];

static int
setup(void **state)
{
	(void)state;
	snprintf(prefix, sizeof(prefix), "/dev/shm/wirecache-test-%d", (int)getpid());
	store_restart_forget(prefix);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	store_restart_forget(prefix);
	return 0;
}

static struct store_config
kept_config(unsigned partitions)
{
	struct store_config config = fix_config(16 * FIX_MIB);

	config.restart_path = prefix;
	config.nodes_len = partitions;
	for (unsigned p = 0; p < partitions; p++)
		config.nodes[p] = -1;
	return config;
}

/* A store as of now_s; its secret differs in each start, as it would. */
static struct fix
start_with(struct store_config *config, uint32_t now_s)
{
	static uint8_t starts;

	config->now_s = now_s;
	config->hash_key[0] = ++starts;
	struct fix fix = fix_open_config(config);
	fix.now_s = now_s;
	fix_quiesce(&fix);
	return fix;
}

static struct fix
start(uint32_t now_s)
{
	struct store_config config = kept_config(2);
	return start_with(&config, now_s);
}

static struct store_info
info_of(const struct fix *fix)
{
	struct store_info info;
	store_info_get(fix->store, &info);
	return info;
}

static void
assert_empty(const struct fix *fix, const char *why)
{
	struct store_info info = info_of(fix);

	assert_int_equal(info.start, STORE_START_EMPTY);
	assert_int_equal(info.items, 0);
	if (!strstr(info.start_why, why))
		fail_msg("not \"%s\" but \"%s\"", why, info.start_why);
}

static void
assert_warm(const struct fix *fix)
{
	struct store_info info = info_of(fix);

	if (info.start != STORE_START_WARM)
		fail_msg("not warm: %s", info.start_why);
	fix_check(fix);
}

static void
put_numbered(struct fix *fix, uint32_t n, uint32_t bytes, uint32_t expires_s, uint64_t *cas)
{
	char name[32];
	uint8_t *value = malloc(bytes + 1);
	struct store_write write = {.mode = STORE_SET, .client_flags = n % 3, .expires_s = expires_s};

	snprintf(name, sizeof(name), "item-%u", n);
	fix_pattern(value, bytes, n);
	struct store_key key = fix_key(fix, name);
	assert_int_equal(store_put(fix->thread, &key, &write, value, bytes, cas), STORE_OK);
	free(value);
}

static enum store_status
get_numbered(struct fix *fix, uint32_t n, struct store_view *view)
{
	char name[32];

	snprintf(name, sizeof(name), "item-%u", n);
	return fix_get(fix, name, view);
}

static struct superblock_head {
	uint64_t magic, layout;
	uint32_t mark, pid;
} * map_file(unsigned partition, size_t *bytes)
{
	char path[RESTART_PATH_MAX];
	struct stat stat;

	restart_path(prefix, partition, path);
	int fd = open(path, O_RDWR);
	assert_true(fd >= 0);
	assert_int_equal(fstat(fd, &stat), 0);
	*bytes = (size_t)stat.st_size;
	void *base = mmap(NULL, *bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	assert_ptr_not_equal(base, MAP_FAILED);
	return base;
}

/* ---- what is kept ----------------------------------------------------------------------------- */

static void
stopped_and_started_has_every_item_with_cas_flags_and_expiry(void **state)
{
	(void)state;
	static uint64_t cas[ITEMS];
	struct store_view view;
	struct fix fix = start(FIX_NOW_S);

	assert_empty(&fix, "nothing was kept");
	for (uint32_t n = 0; n < ITEMS; n++)
		put_numbered(&fix, n, n % 700, n % 2 ? FIX_NOW_S + 1000 + n : STORE_EXPTIME_NEVER, &cas[n]);
	fix_close(&fix);

	fix = start(FIX_NOW_S + 10);
	assert_warm(&fix);
	assert_int_equal(info_of(&fix).items, ITEMS);
	for (uint32_t n = 0; n < ITEMS; n++) {
		assert_int_equal(get_numbered(&fix, n, &view), STORE_OK);
		assert_true(fix_is_pattern(&fix, &view, n % 700, n));
		assert_int_equal(view.cas, cas[n]);
		assert_int_equal(view.client_flags, n % 3);
		assert_int_equal(view.expires_s, n % 2 ? FIX_NOW_S + 1000 + n : STORE_EXPTIME_NEVER);
	}
	fix_close(&fix);
}

static void
large_values_and_appends_outlive_three_restarts(void **state)
{
	(void)state;
	struct store_view view;
	struct fix fix = start(FIX_NOW_S);

	put_numbered(&fix, 7, 900000, STORE_EXPTIME_NEVER, NULL);
	assert_int_equal(fix_set(&fix, "log", "0"), STORE_OK);
	for (unsigned i = 1; i <= 3; i++) {
		char digit[2] = {(char)('0' + i), 0};
		fix_close(&fix);
		fix = start(FIX_NOW_S + i);
		assert_warm(&fix);
		assert_int_equal(fix_put(&fix, STORE_APPEND, "log", digit), STORE_OK);
	}
	assert_int_equal(get_numbered(&fix, 7, &view), STORE_OK);
	assert_true(fix_is_pattern(&fix, &view, 900000, 7));
	assert_value(&fix, "log", "0123");
	fix_close(&fix);
}

static void
full_store_goes_on_evicting_after_a_restart(void **state)
{
	(void)state;
	struct fix fix = start(FIX_NOW_S);
	struct store_view view;

	for (uint32_t n = 0; n < 40000; n++) {
		put_numbered(&fix, n, 600, STORE_EXPTIME_NEVER, NULL);
		fix_quiesce(&fix);
	}
	uint64_t items = info_of(&fix).items;
	fix_close(&fix);

	fix = start(FIX_NOW_S + 1);
	assert_warm(&fix);
	assert_int_equal(info_of(&fix).items, items);
	for (uint32_t n = 40000; n < 80000; n++) {
		put_numbered(&fix, n, 600, STORE_EXPTIME_NEVER, NULL);
		fix_quiesce(&fix);
	}
	assert_int_equal(get_numbered(&fix, 79999, &view), STORE_OK);
	assert_int_equal(fix_counters(&fix).no_memory, 0);
	fix_close(&fix);
}

static void
new_cas_is_above_every_old_one(void **state)
{
	(void)state;
	struct fix fix = start(FIX_NOW_S);

	assert_int_equal(fix_set(&fix, "a", "1"), STORE_OK);
	uint64_t before = fix_cas(&fix, "a");
	fix_close(&fix);
	fix = start(FIX_NOW_S + 1);
	assert_int_equal(fix_set(&fix, "b", "2"), STORE_OK);
	assert_true(fix_cas(&fix, "b") > before);
	struct store_write write = {.mode = STORE_CAS, .cas = before};
	assert_int_equal(fix_put_with(&fix, "a", "3", &write, NULL), STORE_OK);
	assert_int_equal(fix_put_with(&fix, "a", "4", &write, NULL), STORE_EXISTS);
	fix_close(&fix);
}

/* ---- time ------------------------------------------------------------------------------------- */

static void
time_away_counts_towards_expiry(void **state)
{
	(void)state;
	struct fix fix = start(FIX_NOW_S);

	assert_int_equal(fix_set_until(&fix, "short", "1", FIX_NOW_S + 10), STORE_OK);
	assert_int_equal(fix_set_until(&fix, "long", "2", FIX_NOW_S + 100), STORE_OK);
	fix_close(&fix);
	fix = start(FIX_NOW_S + 9);
	assert_value(&fix, "short", "1");
	fix_close(&fix);
	fix = start(FIX_NOW_S + 10);
	assert_missing(&fix, "short");
	assert_value(&fix, "long", "2");
	fix_pass(&fix, 90);
	assert_missing(&fix, "long");
	fix_close(&fix);
}

static void
clock_set_back_brings_nothing_back_and_keeps_the_time_left(void **state)
{
	(void)state;
	struct fix fix = start(FIX_NOW_S);
	struct store_view view;

	assert_int_equal(fix_set_until(&fix, "gone", "1", FIX_NOW_S + 10), STORE_OK);
	assert_int_equal(fix_set_until(&fix, "here", "2", FIX_NOW_S + 100), STORE_OK);
	fix_pass(&fix, 40);
	fix_close(&fix);
	fix = start(FIX_NOW_S - 5000);
	assert_warm(&fix);
	assert_missing(&fix, "gone");
	assert_int_equal(fix_get(&fix, "here", &view), STORE_OK);
	assert_int_equal(view.expires_s, FIX_NOW_S - 5000 + 60);
	fix_pass(&fix, 60);
	assert_missing(&fix, "here");
	fix_close(&fix);
}

static void
flushed_items_stay_flushed_and_a_coming_flush_comes(void **state)
{
	(void)state;
	struct fix fix = start(FIX_NOW_S);

	assert_int_equal(fix_set(&fix, "before", "1"), STORE_OK);
	store_flush_all(fix.thread, FIX_NOW_S);
	assert_int_equal(fix_set(&fix, "after", "2"), STORE_OK);
	store_flush_all(fix.thread, FIX_NOW_S + 50);
	fix_close(&fix);
	fix = start(FIX_NOW_S + 20);
	assert_warm(&fix);
	assert_missing(&fix, "before");
	assert_value(&fix, "after", "2");
	fix_close(&fix);
	fix = start(FIX_NOW_S + 60); /* its moment passed meanwhile */
	assert_warm(&fix);
	assert_missing(&fix, "after");
	fix_close(&fix);
}

/* ---- what is not believed --------------------------------------------------------------------- */

static void
killed_store_starts_empty_and_says_so(void **state)
{
	(void)state;
	int status;
	pid_t child = fork();

	if (child == 0) {
		struct fix fix = start(FIX_NOW_S);
		fix_set(&fix, "a", "1");
		raise(SIGKILL);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status));
	struct fix fix = start(FIX_NOW_S);
	assert_empty(&fix, "ended without stopping in order");
	assert_missing(&fix, "a");
	assert_int_equal(fix_set(&fix, "a", "2"), STORE_OK);
	fix_close(&fix);
	fix = start(FIX_NOW_S);
	assert_value(&fix, "a", "2");
	fix_close(&fix);
}

static void
thread_that_never_left_makes_the_next_start_empty(void **state)
{
	(void)state;
	struct fix fix = start(FIX_NOW_S);

	fix_set(&fix, "a", "1");
	store_destroy(fix.store);
	fix = start(FIX_NOW_S);
	assert_empty(&fix, "ended without stopping in order");
	fix_close(&fix);
}

static void
start_that_is_given_up_loses_nothing(void **state)
{
	(void)state;
	struct store_config config = kept_config(2);
	struct fix fix = start(FIX_NOW_S);
	struct store *unused;
	char error[STORE_ERROR_MAX];
	int status;

	fix_set(&fix, "a", "1");
	fix_close(&fix);
	assert_int_equal(store_create(&config, &unused, error), 0); /* and no thread comes */
	store_destroy(unused);
	pid_t child = fork();
	if (child == 0) {
		store_create(&config, &unused, error);
		raise(SIGKILL);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	fix = start(FIX_NOW_S);
	assert_warm(&fix);
	assert_value(&fix, "a", "1");
	fix_close(&fix);
}

static void
changed_memory_or_nodes_start_empty_and_say_so(void **state)
{
	(void)state;
	struct store_config config = kept_config(2);
	struct fix fix = start(FIX_NOW_S);
	char path[RESTART_PATH_MAX];

	fix_set(&fix, "a", "1");
	fix_close(&fix);
	config.memory_bytes = 24 * FIX_MIB;
	fix = start_with(&config, FIX_NOW_S);
	assert_empty(&fix, "was 8 MiB and is 12 MiB now");
	fix_set(&fix, "a", "1");
	fix_close(&fix);
	config.memory_bytes = 12 * FIX_MIB;
	config.nodes_len = 1; /* a file of the same size */
	fix = start_with(&config, FIX_NOW_S);
	assert_empty(&fix, "memory.limit or memory.nodes has changed");
	restart_path(prefix, 1, path);
	assert_int_equal(access(path, F_OK), -1); /* the other file holds no memory any more */
	fix_close(&fix);
}

static void
files_of_two_stops_are_not_mixed(void **state)
{
	(void)state;
	struct fix fix = start(FIX_NOW_S);
	size_t bytes;

	fix_set(&fix, "a", "1");
	fix_close(&fix);
	struct superblock_head *first = map_file(0, &bytes);
	uint8_t *old = malloc(bytes);
	memcpy(old, first, bytes);
	fix = start(FIX_NOW_S + 1);
	fix_set(&fix, "a", "2");
	fix_close(&fix);
	memcpy(first, old, bytes);
	fix = start(FIX_NOW_S + 2);
	assert_empty(&fix, "not of one stop");
	fix_close(&fix);
	free(old);
	munmap(first, bytes);
}

static void
half_of_the_files_marked_is_not_enough(void **state)
{
	(void)state;
	size_t bytes;

	for (unsigned half = 0; half < 2; half++) {
		struct fix fix = start(FIX_NOW_S);
		fix_set(&fix, "a", "1");
		fix_close(&fix);
		struct superblock_head *head = map_file(half, &bytes);
		head->mark--;
		munmap(head, bytes);
		fix = start(FIX_NOW_S);
		assert_empty(&fix, "ended without stopping in order");
		fix_close(&fix);
	}
}

/* One bit in every part that the checksum covers, and the layout itself. */
static void
damaged_metadata_starts_empty_and_says_so(void **state)
{
	(void)state;
	struct arena_plan plan;
	size_t bytes;

	arena_plan(8 * FIX_MIB, &plan);
	size_t first_table = plan.first_segment << plan.segment_shift;
	const struct {
		size_t offset;
		const char *why;
	} cases[] = {{8, "another layout"}, {100, "damaged"}, {ARENA_SUPERBLOCK_BYTES + 64, "damaged"},
	    {plan.directory_offset, "damaged"}, {first_table + 8, "damaged"}};
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct fix fix = start(FIX_NOW_S);
		fix_set(&fix, "a", "1");
		fix_close(&fix);
		uint8_t *file = (uint8_t *)map_file(1, &bytes);
		file[cases[i].offset] ^= 1;
		munmap(file, bytes);
		fix = start(FIX_NOW_S);
		assert_empty(&fix, cases[i].why);
		fix_close(&fix);
	}
}

/* ---- the files -------------------------------------------------------------------------------- */

static void
second_store_with_the_same_files_is_refused(void **state)
{
	(void)state;
	struct store_config config = kept_config(2);
	struct fix fix = start(FIX_NOW_S);
	char error[STORE_ERROR_MAX];
	struct store *second;

	fix_set(&fix, "a", "1");
	assert_int_equal(store_create(&config, &second, error), -EBUSY);
	assert_non_null(strstr(error, "in use by another appliance"));
	assert_int_equal(store_restart_forget(prefix), 0);
	assert_value(&fix, "a", "1");
	fix_close(&fix);
	fix = start(FIX_NOW_S);
	assert_value(&fix, "a", "1");
	fix_close(&fix);
}

static void
forgotten_files_are_gone(void **state)
{
	(void)state;
	struct fix fix = start(FIX_NOW_S);

	fix_set(&fix, "a", "1");
	fix_close(&fix);
	assert_int_equal(store_restart_forget(prefix), 2);
	fix = start(FIX_NOW_S);
	assert_empty(&fix, "nothing was kept");
	fix_close(&fix);
}

static void
file_that_others_may_read_is_refused(void **state)
{
	(void)state;
	struct store_config config = kept_config(1);
	char path[RESTART_PATH_MAX], error[STORE_ERROR_MAX];
	struct store *store;

	restart_path(prefix, 0, path);
	int fd = open(path, O_CREAT | O_RDWR, 0600);
	assert_int_equal(fchmod(fd, 0644), 0);
	close(fd);
	assert_int_equal(store_create(&config, &store, error), -EPERM);
	assert_non_null(strstr(error, path));
	unlink(path);
	assert_int_equal(symlink("/dev/shm/elsewhere", path), 0);
	assert_int_equal(store_create(&config, &store, error), -ELOOP);
	unlink(path);
}

static void
file_on_a_disk_is_refused_and_not_left(void **state)
{
	(void)state;
	struct store_config config = kept_config(1);
	char path[RESTART_PATH_MAX], error[STORE_ERROR_MAX];
	struct store *store;

	config.restart_path = "/proc/self/cwd/restart-on-disk";
	int rc = store_create(&config, &store, error);
	if (rc == 0) { /* this directory is a tmpfs */
		store_destroy(store);
		store_restart_forget(config.restart_path);
		skip();
	}
	assert_int_equal(rc, -EINVAL);
	assert_non_null(strstr(error, "lies on a disk"));
	restart_path(config.restart_path, 0, path);
	assert_int_equal(access(path, F_OK), -1);
}

/* In a process of its own, in a tmpfs of 6 MiB: 0 when all is as it should be, 77 when no tmpfs may be mounted. */
static int
too_small_tmpfs(void)
{
	struct store_config config = kept_config(1);
	char error[STORE_ERROR_MAX];
	struct store *store;

	if (unshare(CLONE_NEWNS) != 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
	    mount("tmpfs", "/dev/shm", "tmpfs", 0, "size=6m") != 0)
		return 77;
	if (store_create(&config, &store, error) != -ENOSPC || !strstr(error, "enlarge that tmpfs"))
		return 1;
	return store_restart_forget(prefix) == 0 ? 0 : 2; /* nothing that holds memory is left */
}

static void
tmpfs_without_room_is_refused_with_a_sentence(void **state)
{
	(void)state;
	int status;
	pid_t child = fork();

	if (child == 0)
		_exit(too_small_tmpfs());
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == 77)
		skip();
	assert_int_equal(WEXITSTATUS(status), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup(stopped_and_started_has_every_item_with_cas_flags_and_expiry, setup),
	    cmocka_unit_test_setup(large_values_and_appends_outlive_three_restarts, setup),
	    cmocka_unit_test_setup(full_store_goes_on_evicting_after_a_restart, setup),
	    cmocka_unit_test_setup(new_cas_is_above_every_old_one, setup),
	    cmocka_unit_test_setup(time_away_counts_towards_expiry, setup),
	    cmocka_unit_test_setup(clock_set_back_brings_nothing_back_and_keeps_the_time_left, setup),
	    cmocka_unit_test_setup(flushed_items_stay_flushed_and_a_coming_flush_comes, setup),
	    cmocka_unit_test_setup(killed_store_starts_empty_and_says_so, setup),
	    cmocka_unit_test_setup(thread_that_never_left_makes_the_next_start_empty, setup),
	    cmocka_unit_test_setup(start_that_is_given_up_loses_nothing, setup),
	    cmocka_unit_test_setup(changed_memory_or_nodes_start_empty_and_say_so, setup),
	    cmocka_unit_test_setup(files_of_two_stops_are_not_mixed, setup),
	    cmocka_unit_test_setup(half_of_the_files_marked_is_not_enough, setup),
	    cmocka_unit_test_setup(damaged_metadata_starts_empty_and_says_so, setup),
	    cmocka_unit_test_setup(second_store_with_the_same_files_is_refused, setup),
	    cmocka_unit_test_setup(forgotten_files_are_gone, setup),
	    cmocka_unit_test_setup(file_that_others_may_read_is_refused, setup),
	    cmocka_unit_test_setup(file_on_a_disk_is_refused_and_not_left, setup),
	    cmocka_unit_test_setup(tmpfs_without_room_is_refused_with_a_sentence, setup),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, teardown);
}
