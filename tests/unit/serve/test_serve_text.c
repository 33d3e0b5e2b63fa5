/*
 * The classic text commands against a real store: the replies that docs/PROTOCOL.md promises.
 */
#include "fixture.h"

#define BAD_FORMAT "CLIENT_ERROR bad command line format\r\n"
#define BAD_CHUNK  "CLIENT_ERROR bad data chunk\r\n"
#define BAD_DELTA  "CLIENT_ERROR invalid numeric delta argument\r\n"
#define BAD_TIME   "CLIENT_ERROR invalid exptime argument\r\n"
#define NO_NUMBER  "CLIENT_ERROR cannot increment or decrement non-numeric value\r\n"
#define USAGE      "CLIENT_ERROR bad command line format.  Usage: delete <key> [noreply]\r\n"
#define TOO_LARGE  "SERVER_ERROR object too large for cache\r\n"

static char key_250[251], key_251[252];

static void
storage_commands_answer_by_presence(void **state)
{
	static const char *const script[][2] = {
	    {"replace a 0 0 1\r\nx\r\n", "NOT_STORED\r\n"},
	    {"append a 0 0 1\r\nx\r\n", "NOT_STORED\r\n"},
	    {"prepend a 0 0 1\r\nx\r\n", "NOT_STORED\r\n"},
	    {"cas a 0 0 1 1\r\nx\r\n", "NOT_FOUND\r\n"},
	    {"add a 5 0 1\r\nb\r\n", "STORED\r\n"},
	    {"add a 5 0 1\r\nc\r\n", "NOT_STORED\r\n"},
	    {"append a 9 100 1\r\nc\r\n", "STORED\r\n"},
	    {"prepend a 9 100 1\r\na\r\n", "STORED\r\n"},
	    {"get a\r\n", "VALUE a 5 3\r\nabc\r\nEND\r\n"},
	    {"replace a 1 0 0\r\n\r\n", "STORED\r\n"},
	    {"get a\r\n", "VALUE a 1 0\r\n\r\nEND\r\n"},
	    {"set a 4294967295 0 2 extra\r\nxy\r\n", "STORED\r\n"},
	    {"get a\r\n", "VALUE a 4294967295 2\r\nxy\r\nEND\r\n"},
	    {"cas a 0 0 1 0\r\nx\r\n", "EXISTS\r\n"},
	    {"delete a\r\n", "DELETED\r\n"},
	    {"delete a\r\n", "NOT_FOUND\r\n"},
	    {"get a\r\n", "END\r\n"},
	    {NULL, NULL},
	};

	fixture_play(*state, script);
}

static void
cas_number_of_gets_lets_one_writer_through(void **state)
{
	struct fixture *f = *state;
	char line[80];
	unsigned long long cas, after;

	expect_reply(f, "set a 3 0 1\r\nx\r\n", "STORED\r\n");
	assert_int_equal(sscanf(fixture_say(f, "gets a\r\n"), "VALUE a 3 1 %llu\r\n", &cas), 1);
	expect_reply(f, "touch a 100\r\n", "TOUCHED\r\n");
	assert_int_equal(sscanf(fixture_say(f, "gats 0 a\r\n"), "VALUE a 3 1 %llu\r\n", &after), 1);
	assert_true(cas == after);
	snprintf(line, sizeof(line), "cas a 4 0 1 %llu\r\ny\r\n", cas);
	expect_reply(f, line, "STORED\r\n");
	expect_reply(f, line, "EXISTS\r\n");
	expect_reply(f, "get a\r\n", "VALUE a 4 1\r\ny\r\nEND\r\n");
}

static void
gets_answer_every_key_in_order(void **state)
{
	static const char *const script[][2] = {
	    {"set a 0 0 1\r\n1\r\nset b 0 0 1\r\n2\r\n", "STORED\r\nSTORED\r\n"},
	    {"get b a nil b\r\n", "VALUE b 0 1\r\n2\r\nVALUE a 0 1\r\n1\r\nVALUE b 0 1\r\n2\r\nEND\r\n"},
	    {"get   a   \r\n", "VALUE a 0 1\r\n1\r\nEND\r\n"},
	    {"get a\n", "VALUE a 0 1\r\n1\r\nEND\r\n"},
	    {"gat 0 a b\r\n", "VALUE a 0 1\r\n1\r\nVALUE b 0 1\r\n2\r\nEND\r\n"},
	    {"gat 10\r\n", BAD_FORMAT},
	    {"gat x a\r\n", BAD_TIME},
	    {"get\r\n", BAD_FORMAT},
	    {"get noreply\r\n", "END\r\n"},
	    {"gat -1 a\r\n", "VALUE a 0 1\r\n1\r\nEND\r\n"},
	    {"get a\r\n", "END\r\n"},
	    {NULL, NULL},
	};

	fixture_play(*state, script);
}

static void
overlong_key_gives_one_error_and_no_hits(void **state)
{
	struct fixture *f = *state;
	char line[1024];

	expect_reply(f, "set a 0 0 1\r\n1\r\n", "STORED\r\n");
	snprintf(line, sizeof(line), "get a %s a\r\n", key_251);
	expect_reply(f, line, BAD_FORMAT);
	snprintf(line, sizeof(line), "get %s\r\n", key_251);
	expect_reply(f, line, BAD_FORMAT);
	snprintf(line, sizeof(line), "gat 0 a %s\r\n", key_251);
	expect_reply(f, line, BAD_FORMAT);
	snprintf(line, sizeof(line), "set %s 0 0 7\r\nget a\r\n\r\n", key_251);
	expect_reply(f, line, BAD_FORMAT);
	snprintf(line, sizeof(line), "set %s 0 0 1\r\nx\r\nget %s\r\n", key_250, key_250);
	fixture_say(f, line);
	assert_int_equal(f->out_len, 8 + 6 + 250 + 6 + 3 + 5);
	snprintf(line, sizeof(line), "delete %s\r\nincr %s 1\r\ntouch %s 0\r\n", key_251, key_251, key_251);
	expect_reply(f, line, BAD_FORMAT BAD_FORMAT BAD_FORMAT);
}

static void
key_of_control_characters_is_kept(void **state)
{
	static const char set[] = "set \0\x01\x7f\xff\t 0 0 1\r\nx\r\nget \0\x01\x7f\xff\t\r\n";
	static const char reply[] = "STORED\r\nVALUE \0\x01\x7f\xff\t 0 1\r\nx\r\nEND\r\n";
	struct fixture *f = *state;

	fixture_talk(f, set, sizeof(set) - 1);
	assert_int_equal(f->out_len, sizeof(reply) - 1);
	assert_memory_equal(f->out, reply, sizeof(reply) - 1);
}

static void
noreply_hides_all_but_bad_lengths(void **state)
{
	static const char *const script[][2] = {
	    {"set a 0 0 1 noreply\r\n5\r\n", ""},
	    {"add a 0 0 1 noreply\r\n5\r\nreplace q 0 0 1 noreply\r\n5\r\n", ""},
	    {"append a 0 0 1 noreply\r\n5\r\nprepend a 0 0 1 noreply\r\n5\r\n", ""},
	    {"cas a 0 0 1 999999999999 noreply\r\n5\r\n", ""},
	    {"incr a 1 noreply\r\ndecr a 1 noreply\r\nincr q 1 noreply\r\nincr a x noreply\r\n", ""},
	    {"touch a 0 noreply\r\ntouch a x noreply\r\n", ""},
	    {"get a\r\n", "VALUE a 0 3\r\n555\r\nEND\r\n"},
	    {NULL, NULL},
	};
	struct fixture *f = *state;

	fixture_play(f, script);
	expect_reply(f, "set a 0 0 1 noreply\r\nabc", "");
	expect_reply(f, "\r\n", BAD_FORMAT);
	expect_reply(f, "set a 0 0 -1 noreply\r\nset a noreply\r\n", BAD_FORMAT BAD_FORMAT);
	expect_reply(f, "set a x 0 1 noreply\r\nb\r\nget a\r\n", "VALUE a 0 3\r\n555\r\nEND\r\n");
	expect_reply(f, "set a 0 0 1 noreply\r\nb\r\nincr a 1 noreply\r\n", "");
	expect_reply(f, "delete a noreply\r\nget a\r\n", "END\r\n");
	expect_reply(f, "flush_all noreply\r\nflush_all 0 noreply\r\nflush_all x noreply\r\n", "");
	expect_reply(f, "verbosity 1 noreply\r\nverbosity noreply\r\ncache_memlimit 4 noreply\r\n", "");
	expect_reply(f, "lru bogus noreply\r\nslabs bogus noreply\r\n", "");
	expect_reply(f, "stats noreply\r\n", "ERROR\r\n");
	expect_reply(f, "version noreply\r\n", "VERSION 1.6.45-test\r\n");
}

static void
bad_data_chunk_keeps_the_old_value(void **state)
{
	static const char *const script[][2] = {
	    {"set a 0 0 3\r\nold\r\n", "STORED\r\n"},
	    {"set a 0 0 3\r\nabcdef\r\n", BAD_CHUNK BAD_FORMAT},
	    {"get a\r\n", "VALUE a 0 3\r\nold\r\nEND\r\n"},
	    {"set a 0 0 3\r\nabcd\r\n", BAD_CHUNK BAD_FORMAT},
	    {"set a 0 0 5\r\nabc\r\nget a\r\n", BAD_CHUNK "ERROR\r\n"},
	    {"set a 0 0 3\r\nabc\n\n", BAD_CHUNK},
	    {"set a 0 0 3\r\nabc\r\r\n", BAD_CHUNK BAD_FORMAT},
	    {"get a\r\n", "VALUE a 0 3\r\nold\r\nEND\r\n"},
	    {NULL, NULL},
	};

	fixture_play(*state, script);
}

static void
bad_length_swallows_nothing(void **state)
{
	static const char *const script[][2] = {
	    {"set a 0 0 -1\r\nversion\r\n", BAD_FORMAT "VERSION 1.6.45-test\r\n"},
	    {"set a 0 0 abc\r\nversion\r\n", BAD_FORMAT "VERSION 1.6.45-test\r\n"},
	    {"set a 0 0 2147483647\r\nversion\r\n", BAD_FORMAT "VERSION 1.6.45-test\r\n"},
	    {"set a 0 0 4294967295\r\nversion\r\n", BAD_FORMAT "VERSION 1.6.45-test\r\n"},
	    {"set a 0 0 +1\r\nversion\r\n", BAD_FORMAT "VERSION 1.6.45-test\r\n"},
	    {"set a b 0 9\r\nversion\r\n\r\nversion\r\n", BAD_FORMAT "VERSION 1.6.45-test\r\n"},
	    {"set a 0 0 2147483645\r\nversion\r\n", ""},
	    {NULL, NULL},
	};

	fixture_play(*state, script);
}

static void
too_large_value_is_swallowed_and_set_deletes(void **state)
{
	static const char *const commands[] = {"add", "replace", "append", "set"};
	struct fixture *f = *state;
	uint8_t *block = malloc(2000002);
	char line[64];

	assert_non_null(block);
	memset(block, 'x', 2000000);
	memcpy(block + 2000000, "\r\n", 2);
	expect_reply(f, "set a 0 0 3\r\nold\r\n", "STORED\r\n");
	for (unsigned i = 0; i < 4; i++) {
		snprintf(line, sizeof(line), "%s a 0 0 2000000\r\n", commands[i]);
		expect_reply(f, line, "");
		fixture_talk(f, block, 2000001);
		assert_string_equal((char *)f->out, "");
		expect_reply(f, "\n", TOO_LARGE);
		expect_reply(f, "get a\r\n", i < 3 ? "VALUE a 0 3\r\nold\r\nEND\r\n" : "END\r\n");
	}
	expect_reply(f, "set a 0 0 2000000 noreply\r\n", "");
	fixture_talk(f, block, 2000002);
	assert_string_equal((char *)f->out, "");
	assert_int_equal(serve_counters(f->serve)->store_too_large, 5);
	assert_int_equal(serve_counters(f->serve)->cmd_set, 1);
	free(block);
}

static void
largest_item_is_memcacheds(void **state)
{
	struct fixture *f = *state;
	static const uint32_t lens[] = {1048516, 1048518};
	char *block = malloc(1048600);

	assert_non_null(block);
	for (unsigned i = 0; i < 2; i++) {
		int head = sprintf(block, "set a 0 0 %u\r\n", lens[i]);

		memset(block + head, 'x', lens[i]);
		memcpy(block + head + lens[i], "\r\n", 2);
		fixture_talk(f, block, (size_t)head + lens[i] + 2);
		assert_string_equal((char *)f->out, i == 0 ? "STORED\r\n" : TOO_LARGE);
		if (i == 0) {
			fixture_say(f, "get a\r\n");
			assert_int_equal(f->out_len, 19 + lens[i] + 7);
			assert_memory_equal(f->out, "VALUE a 0 1048516\r\n", 19);
			assert_memory_equal(f->out + 19, block + head, lens[i] + 2);
		}
	}
	expect_reply(f, "get a\r\n", "END\r\n");
	free(block);
}

static void
append_beyond_the_limit_is_not_stored(void **state)
{
	struct fixture *f = *state;
	char *block = malloc(700100);
	int head;

	assert_non_null(block);
	head = sprintf(block, "set a 0 0 700000\r\n");
	memset(block + head, 'x', 700000);
	memcpy(block + head + 700000, "\r\n", 3);
	fixture_talk(f, block, (size_t)head + 700002);
	assert_string_equal((char *)f->out, "STORED\r\n");
	memcpy(block, "append a 0 0 700000\r\n", 21);
	memset(block + 21, 'y', 700000);
	memcpy(block + 21 + 700000, "\r\n", 2);
	fixture_talk(f, block, 21 + 700002);
	assert_string_equal((char *)f->out, "NOT_STORED\r\n");
	fixture_say(f, "get a\r\n");
	assert_int_equal(f->out_len, 18 + 700000 + 7);
	free(block);
}

static void
incr_and_decr_follow_memcacheds_arithmetic(void **state)
{
	static const char *const script[][2] = {
	    {"incr a 1\r\n", "NOT_FOUND\r\n"},
	    {"set a 0 0 20\r\n18446744073709551615\r\n", "STORED\r\n"},
	    {"incr a 1\r\n", "0\r\n"},
	    {"get a\r\n", "VALUE a 0 20\r\n0                   \r\nEND\r\n"},
	    {"set a 0 0 2\r\n10\r\n", "STORED\r\n"},
	    {"decr a 1\r\n", "9\r\n"},
	    {"get a\r\n", "VALUE a 0 2\r\n9 \r\nEND\r\n"},
	    {"append a 0 0 1\r\n5\r\n", "STORED\r\n"},
	    {"get a\r\n", "VALUE a 0 3\r\n9 5\r\nEND\r\n"},
	    {"set a 0 0 2\r\n99\r\n", "STORED\r\n"},
	    {"incr a 1\r\n", "100\r\n"},
	    {"get a\r\n", "VALUE a 0 3\r\n100\r\nEND\r\n"},
	    {"decr a 1000\r\n", "0\r\n"},
	    {"set a 0 0 3\r\n 10\r\nincr a 1\r\n", "STORED\r\n11\r\n"},
	    {"set a 0 0 5\r\n00010\r\nincr a 1\r\n", "STORED\r\n11\r\n"},
	    {"set a 0 0 2\r\n+1\r\nincr a 1\r\n", "STORED\r\n2\r\n"},
	    {"set a 0 0 4\r\n10  \r\nincr a 1\r\n", "STORED\r\n11\r\n"},
	    {"set a 0 0 4\r\n10xx\r\nincr a 1\r\n", "STORED\r\n" NO_NUMBER},
	    {"set a 0 0 0\r\n\r\nincr a 1\r\n", "STORED\r\n" NO_NUMBER},
	    {"set a 0 0 2\r\n-1\r\nincr a 1\r\n", "STORED\r\n" NO_NUMBER},
	    {"set a 0 0 20\r\n18446744073709551616\r\nincr a 1\r\n", "STORED\r\n" NO_NUMBER},
	    {"set a 0 0 21\r\n100000000000000000000\r\nincr a 1\r\n", "STORED\r\n" NO_NUMBER},
	    {"incr a -1\r\n", BAD_DELTA},
	    {"incr a 1.5\r\n", BAD_DELTA},
	    {"decr a 18446744073709551616\r\n", BAD_DELTA},
	    {"incr a\r\n", BAD_FORMAT},
	    {NULL, NULL},
	};

	fixture_play(*state, script);
}

static void
expired_items_are_missing_to_all_commands(void **state)
{
	struct fixture *f = *state;

	expect_reply(f, "set a 0 2 1\r\n1\r\nset b 0 -1 1\r\n1\r\nset c 0 2 1\r\n1\r\n",
	    "STORED\r\nSTORED\r\nSTORED\r\n");
	expect_reply(f, "get a b\r\n", "VALUE a 0 1\r\n1\r\nEND\r\n");
	expect_reply(f, "touch c 100\r\n", "TOUCHED\r\n");
	fixture_advance(f, 3);
	expect_reply(f, "get a b c\r\n", "VALUE c 0 1\r\n1\r\nEND\r\n");
	expect_reply(f, "touch a 0\r\nincr a 1\r\ndelete a\r\ncas a 0 0 1 1\r\nx\r\n",
	    "NOT_FOUND\r\nNOT_FOUND\r\nNOT_FOUND\r\nNOT_FOUND\r\n");
	expect_reply(f, "replace a 0 0 1\r\nx\r\nappend a 0 0 1\r\nx\r\nadd a 0 0 1\r\nx\r\n",
	    "NOT_STORED\r\nNOT_STORED\r\nSTORED\r\n");
}

static void
exptime_is_relative_up_to_30_days_then_absolute(void **state)
{
	struct fixture *f = *state;
	char line[80];

	expect_reply(f, "set a 0 2592000 1\r\n1\r\nset b 0 2592001 1\r\n1\r\nset c 0 4294967296 1\r\n1\r\n",
	    "STORED\r\nSTORED\r\nSTORED\r\n");
	snprintf(line, sizeof(line), "set d 0 %u 1\r\n1\r\n", f->now_s + 10);
	expect_reply(f, line, "STORED\r\n");
	expect_reply(
	    f, "get a b c d\r\n", "VALUE a 0 1\r\n1\r\nVALUE c 0 1\r\n1\r\nVALUE d 0 1\r\n1\r\nEND\r\n");
	fixture_advance(f, 2591999);
	expect_reply(f, "get a b c d\r\n", "VALUE a 0 1\r\n1\r\nVALUE c 0 1\r\n1\r\nEND\r\n");
	fixture_advance(f, 2);
	expect_reply(f, "get a c\r\n", "VALUE c 0 1\r\n1\r\nEND\r\n");
}

static void
flush_all_drops_what_was_and_keeps_what_comes(void **state)
{
	struct fixture *f = *state;

	expect_reply(f, "set a 0 0 1\r\n1\r\nflush_all\r\nget a\r\n", "STORED\r\nOK\r\nEND\r\n");
	expect_reply(f, "set a 0 0 1\r\n1\r\nget a\r\n", "STORED\r\nVALUE a 0 1\r\n1\r\nEND\r\n");
	expect_reply(f, "flush_all 100000000\r\nget a\r\n", "OK\r\nVALUE a 0 1\r\n1\r\nEND\r\n");
	expect_reply(f, "flush_all 3\r\n", "OK\r\n");
	fixture_advance(f, 1);
	expect_reply(f, "set b 0 0 1\r\n2\r\nget a b\r\n",
	    "STORED\r\nVALUE a 0 1\r\n1\r\nVALUE b 0 1\r\n2\r\nEND\r\n");
	fixture_advance(f, 3);
	expect_reply(f, "get a b\r\n", "END\r\n");
	expect_reply(f, "set a 0 0 1\r\n1\r\n", "STORED\r\n");
	fixture_advance(f, 5);
	expect_reply(f, "get a\r\n", "VALUE a 0 1\r\n1\r\nEND\r\n");
	expect_reply(f, "flush_all -1\r\nget a\r\n", "OK\r\nEND\r\n");
	expect_reply(f, "flush_all abc\r\n", BAD_TIME);
	assert_int_equal(serve_counters(f->serve)->cmd_flush, 4);
}

static void
delete_is_strict_about_its_arguments(void **state)
{
	static const char *const script[][2] = {
	    {"set a 0 0 1\r\n1\r\ndelete a 0\r\n", "STORED\r\nDELETED\r\n"},
	    {"delete a 0 noreply\r\ndelete a noreply\r\n", ""},
	    {"delete a 1\r\n", USAGE},
	    {"delete a 0 x\r\n", USAGE},
	    {"delete\r\n", BAD_FORMAT},
	    {NULL, NULL},
	};

	fixture_play(*state, script);
}

static void
unknown_commands_give_error(void **state)
{
	static const char *const script[][2] = {
	    {"bogus\r\n", "ERROR\r\n"},
	    {"GET a\r\n", "ERROR\r\n"},
	    {" get a\r\n", "ERROR\r\n"},
	    {"\r\n", BAD_FORMAT},
	    {"\n", BAD_FORMAT},
	    {"mn\r\nmn x y\r\n", "MN\r\nMN\r\n"},
	    {"bogus noreply\r\n", "ERROR\r\n"},
	    {NULL, NULL},
	};

	fixture_play(*state, script);
}

static void
administration_answers_as_memcached(void **state)
{
	static const char *const script[][2] = {
	    {"version\r\n", "VERSION 1.6.45-test\r\n"},
	    {"verbosity 2\r\n", "OK\r\n"},
	    {"verbosity\r\n", BAD_FORMAT},
	    {"verbosity x\r\n", BAD_FORMAT},
	    {"cache_memlimit\r\n", "ERROR\r\n"},
	    {"cache_memlimit abc\r\n", "ERROR\r\n"},
	    {"cache_memlimit 7\r\n", "MEMLIMIT_TOO_SMALL cannot set maxbytes to less than 8m\r\n"},
	    {"cache_memlimit 1000000001\r\n",
	        "MEMLIMIT_ADJUST_FAILED input value is megabytes not bytes\r\n"},
	    {"cache_memlimit 1000000000\r\n", "MEMLIMIT_ADJUST_FAILED out of bounds or unable to adjust\r\n"},
	    {"cache_memlimit 64\r\n", "OK\r\n"},
	    {"shutdown\r\n", "SERVER_ERROR: shutdown not enabled\r\n"},
	    {"stats\r\n", "STAT name value\r\nEND\r\n"},
	    {"stats settings\r\n", "STAT name setting\r\nEND\r\n"},
	    {"stats items\r\nstats slabs\r\n", "END\r\nEND\r\n"},
	    {"stats sizes\r\n", "STAT sizes_status disabled\r\nEND\r\n"},
	    {"stats reset\r\n", "RESET\r\n"},
	    {"stats bogus\r\n", "ERROR\r\n"},
	    {"stats detail\r\n", "CLIENT_ERROR usage: stats detail on|off|dump\r\n"},
	    {"stats detail x\r\n", "CLIENT_ERROR usage: stats detail on|off|dump\r\n"},
	    {"slabs\r\n", "ERROR\r\n"},
	    {"slabs reassign 1 2\r\n", "CLIENT_ERROR slab reassignment disabled\r\n"},
	    {"slabs automove 1\r\n", "OK\r\n"},
	    {"slabs automove 3\r\n", "ERROR\r\n"},
	    {"slabs automove x\r\n", BAD_FORMAT},
	    {"slabs automove ratio 0.8\r\n", "OK\r\n"},
	    {"lru\r\n", "ERROR\r\n"},
	    {"lru mode flat\r\n", "OK\r\n"},
	    {"lru tune 10 25 0.1 2.0\r\n", "OK\r\n"},
	    {"lru tune 50 50 0.1 2.0\r\n", "ERROR hot and warm pcts must not exceed 80\r\n"},
	    {"lru temp_ttl 60\r\n", "OK\r\n"},
	    {"lru_crawler enable\r\n", "OK\r\n"},
	    {"lru_crawler crawl all\r\n", "OK\r\n"},
	    {"lru_crawler crawl 1,x\r\n", "BADCLASS invalid class id\r\n"},
	    {"lru_crawler sleep 1000001\r\n", "CLIENT_ERROR sleep must be one second or less\r\n"},
	    {"lru_crawler metadump\r\n", "ERROR\r\n"},
	    {"lru_crawler metadump 1,x\r\n", "BADCLASS invalid class id\r\n"},
	    {"watch bogus\r\n", "ERROR\r\n"},
	    {"refresh_certs\r\n", "Error TLS not enabled\r\n"},
	    {NULL, NULL},
	};
	struct fixture *f = *state;

	fixture_play(f, script);
	assert_int_equal(f->verbosity, 2);
	assert_int_equal(f->memory_limit, 64 << 20);
}

static void
quit_ends_the_stream_after_earlier_replies(void **state)
{
	struct fixture *f = *state;

	expect_reply(f, "version\r\nquit now\r\nversion\r\n", "VERSION 1.6.45-test\r\n");
	assert_int_equal(f->state, SERVE_CLOSE);
	expect_reply(f, "version\r\n", "");
	assert_int_equal(f->state, SERVE_CLOSE);
}

static void
http_closes_silently(void **state)
{
	struct fixture *f = *state;

	expect_reply(f, "GET / HTTP/1.1\r\nHost: x\r\n\r\n", "");
	assert_int_equal(f->state, SERVE_CLOSE);
	fixture_reconnect(f);
	expect_reply(f, "mn\r\n\x80\r\n", "MN\r\n" BAD_FORMAT);
	assert_int_equal(f->state, SERVE_GO_ON);
}

static void
counters_count_as_memcached(void **state)
{
	struct fixture *f = *state;
	const struct serve_counters *counters = serve_counters(f->serve);

	fixture_say(f, "set a 0 0 1\r\n1\r\nadd a 0 0 1\r\n1\r\nset a 0 0 1\r\nxyz\n");
	assert_int_equal(counters->cmd_set, 3);
	fixture_say(f, "get a b a\r\nget b\r\n");
	assert_int_equal(counters->cmd_get, 4);
	assert_int_equal(counters->get_hits, 2);
	assert_int_equal(counters->get_misses, 2);
	fixture_say(f, "gat 0 a b\r\ntouch a 0\r\n");
	assert_int_equal(counters->cmd_touch, 3);
	assert_int_equal(counters->touch_hits, 2);
	assert_int_equal(counters->touch_misses, 1);
	assert_int_equal(counters->cmd_get, 4);
	fixture_say(f, "cas b 0 0 1 1\r\n1\r\ncas a 0 0 1 999999999999\r\n1\r\nincr a 1\r\ndecr b "
	               "1\r\ndelete a\r\ndelete a\r\n");
	assert_int_equal(counters->cas_misses, 1);
	assert_int_equal(counters->cas_badval, 1);
	assert_int_equal(counters->incr_hits, 1);
	assert_int_equal(counters->decr_misses, 1);
	assert_int_equal(counters->delete_hits, 1);
	assert_int_equal(counters->delete_misses, 1);
}

static void
count_shutdown(void *ctx)
{
	++*(unsigned *)ctx;
}

static void
shutdown_where_enabled_asks_the_host_and_closes(void **state)
{
	struct fixture *f = *state;
	unsigned asked = 0;
	struct serve_config config = {.version = "x", .item_max_bytes = 1 << 20};
	struct serve_host host = {.ctx = &asked, .shutdown = count_shutdown};

	serve_session_close(f->session);
	serve_destroy(f->serve);
	f->serve = serve_create(f->store, f->thread, &config, &host);
	f->session = serve_session_open(f->serve);
	expect_reply(f, "shutdown now\r\n", "CLIENT_ERROR invalid shutdown mode\r\n");
	assert_int_equal(asked, 0);
	expect_reply(f, "shutdown\r\n", "");
	assert_int_equal(f->state, SERVE_CLOSE);
	assert_int_equal(asked, 1);
	fixture_reconnect(f);
	expect_reply(f, "version\r\nshutdown graceful\r\nversion\r\n", "VERSION x\r\n");
	assert_int_equal(asked, 2);
	/* Where nobody may watch: */
	fixture_reconnect(f);
	expect_reply(f, "watch\r\n", "CLIENT_ERROR watch commands not allowed\r\n");
}

static void
flush_in_the_first_pass_of_a_second_is_at_once(void **state)
{
	struct fixture *f = *state;

	expect_reply(f, "set a 0 0 1\r\nx\r\n", "STORED\r\n");
	serve_tick(f->serve, f->now_s + 1); /* the store is told at the end of the pass */
	expect_reply(f, "flush_all\r\nget a\r\nset b 0 0 1\r\ny\r\n", "OK\r\nEND\r\nSTORED\r\n");
	fixture_advance(f, 1);
	expect_reply(f, "get a b\r\n", "VALUE b 0 1\r\ny\r\nEND\r\n");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    fixture_test(storage_commands_answer_by_presence),
	    fixture_test(cas_number_of_gets_lets_one_writer_through),
	    fixture_test(gets_answer_every_key_in_order),
	    fixture_test(overlong_key_gives_one_error_and_no_hits),
	    fixture_test(key_of_control_characters_is_kept),
	    fixture_test(noreply_hides_all_but_bad_lengths),
	    fixture_test(bad_data_chunk_keeps_the_old_value),
	    fixture_test(bad_length_swallows_nothing),
	    fixture_test(too_large_value_is_swallowed_and_set_deletes),
	    fixture_test(largest_item_is_memcacheds),
	    fixture_test(append_beyond_the_limit_is_not_stored),
	    fixture_test(incr_and_decr_follow_memcacheds_arithmetic),
	    fixture_test(expired_items_are_missing_to_all_commands),
	    fixture_test(exptime_is_relative_up_to_30_days_then_absolute),
	    fixture_test(flush_all_drops_what_was_and_keeps_what_comes),
	    fixture_test(delete_is_strict_about_its_arguments),
	    fixture_test(unknown_commands_give_error),
	    fixture_test(administration_answers_as_memcached),
	    fixture_test(quit_ends_the_stream_after_earlier_replies),
	    fixture_test(http_closes_silently),
	    fixture_test(counters_count_as_memcached),
	    fixture_test(shutdown_where_enabled_asks_the_host_and_closes),
	    fixture_test(flush_in_the_first_pass_of_a_second_is_at_once),
	};

	memset(key_250, 'k', 250);
	memset(key_251, 'k', 251);
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
