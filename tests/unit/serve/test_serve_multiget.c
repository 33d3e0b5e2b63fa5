/*
 * Multigets beside the same keys asked for one by one: what is looked up as a row has to say and to count the same.
 */
#include "fixture.h"

#define KEYS      150u
#define KEY_BYTES 251u
#define LINE_MAX  60000u
#define ROUNDS    200u

static char keys[KEYS][KEY_BYTES];

/* Keys of all lengths; a third is missing; values of all ways: short, around what a row takes, in pieces; flags or none. */
static void
store_items(struct fixture *f)
{
	static const uint32_t sizes[] = {0, 1, 7, 15, 16, 17, 31, 32, 33, 100, 255, 256, 257, 1000, 1600,
	    1716, 1717, 1718, 1719, 1720, 1750, 1800, 2047, 2048, 5000, 70000};
	const unsigned sizes_len = sizeof(sizes) / sizeof(sizes[0]);
	char *set = malloc(80000);

	assert_non_null(set);
	for (unsigned i = 0; i < KEYS; i++) {
		uint32_t key_len = i < 100 ? 3 + i % 40 : 3 + (i - 100) * 247 / 49;
		uint32_t bytes = sizes[i % sizes_len];
		int head;

		memset(keys[i], 'a' + (int)(i % 26), key_len);
		keys[i][0] = (char)('0' + i / 26);
		keys[i][key_len] = '\0';
		if (i % 3 == 2)
			continue;
		head =
		    sprintf(set, "set %s %u 0 %u noreply\r\n", keys[i], i % 4 == 1 ? i * 1000003 : 0, bytes);
		memset(set + head, 'A' + (int)(i % 26), bytes);
		memcpy(set + head + bytes, "\r\n", 2);
		fixture_feed(f, set, (size_t)head + bytes + 2);
	}
	free(set);
}

static size_t
say_keys(char *line, unsigned first, unsigned len, bool gaps)
{
	char *at = line + sprintf(line, "get");

	for (unsigned i = 0; i < len; i++)
		at +=
		    sprintf(at, "%s%s", gaps && rand() % 4 == 0 ? "   " : " ", keys[(first + i * 7) % KEYS]);
	at += sprintf(at, gaps && rand() % 2 ? "  \r\n" : "\r\n");
	return (size_t)(at - line);
}

/* The replies of single gets without their ends, then one; freed by the caller. */
static char *
one_by_one(struct fixture *f, unsigned first, unsigned len)
{
	char *expected = malloc(8u << 20), *to = expected, line[KEY_BYTES + 16];

	assert_non_null(expected);
	for (unsigned i = 0; i < len; i++) {
		sprintf(line, "get %s\r\n", keys[(first + i * 7) % KEYS]);
		fixture_say(f, line);
		memcpy(to, f->out, f->out_len - 5);
		to += f->out_len - 5;
	}
	strcpy(to, "END\r\n");
	return expected;
}

static void
row_says_what_single_gets_say(void **state)
{
	struct fixture *f = *state;
	char *line = malloc(LINE_MAX);

	assert_non_null(line);
	store_items(f);
	for (unsigned round = 0; round < ROUNDS; round++) {
		unsigned first = (unsigned)rand() % KEYS, len = 1 + (unsigned)rand() % (round % 2 ? 40 : 150);
		char *expected = one_by_one(f, first, len);

		/* Little room now and then: rows are broken off anywhere. */
		f->room = round % 3 == 0 ? 1 + (size_t)rand() % 3000 : SIZE_MAX;
		fixture_talk(f, line, say_keys(line, first, len, round % 2));
		while (f->state == SERVE_FULL) {
			f->taken = f->out_len;
			fixture_feed(f, "", 0);
		}
		f->room = SIZE_MAX;
		assert_int_equal(f->state, SERVE_GO_ON);
		assert_int_equal(f->out_len, strlen(expected));
		assert_memory_equal(f->out, expected, f->out_len);
		free(expected);
	}
	free(line);
}

static void
row_broken_off_counts_each_key_once(void **state)
{
	struct fixture *f = *state;
	const struct serve_counters *counters = serve_counters(f->serve);
	const unsigned len = 100;
	uint64_t gets, hits, misses;
	char *line = malloc(LINE_MAX);

	assert_non_null(line);
	store_items(f);
	gets = counters->cmd_get, hits = counters->get_hits, misses = counters->get_misses;
	free(one_by_one(f, 5, len));
	hits = counters->get_hits - hits;
	misses = counters->get_misses - misses;
	for (size_t room = 1; room < 20000; room += 997) {
		gets = counters->cmd_get;
		uint64_t hits_before = counters->get_hits, misses_before = counters->get_misses;

		f->room = room;
		fixture_talk(f, line, say_keys(line, 5, len, false));
		assert_int_equal(f->state, SERVE_FULL);
		while (f->state == SERVE_FULL) {
			f->taken = f->out_len;
			fixture_feed(f, "", 0);
		}
		assert_int_equal(counters->cmd_get - gets, len);
		assert_int_equal(counters->get_hits - hits_before, hits);
		assert_int_equal(counters->get_misses - misses_before, misses);
	}
	free(line);
}

static void
key_of_251_bytes_refuses_the_whole_line(void **state)
{
	struct fixture *f = *state;
	char line[1200], *at;

	fixture_say(f, "set a 0 0 1\r\n1\r\n");
	for (unsigned before = 0; before <= 40; before++) {
		for (unsigned len = 249; len <= 252; len++) {
			at = line + sprintf(line, "get %*s", (int)before + 2, "a ");
			memset(at, 'k', len);
			sprintf(at + len, "%s\r\n", before % 2 ? " a a a a a a a a a a a a" : "");
			fixture_say(f, line);
			if (len > 250)
				assert_string_equal(
				    (char *)f->out, "CLIENT_ERROR bad command line format\r\n");
			else
				assert_memory_equal(f->out, "VALUE a 0 1\r\n1\r\n", 16);
		}
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    fixture_test(row_says_what_single_gets_say),
	    fixture_test(row_broken_off_counts_each_key_once),
	    fixture_test(key_of_251_bytes_refuses_the_whole_line),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
