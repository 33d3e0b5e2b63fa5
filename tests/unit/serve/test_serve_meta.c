/*
 * The meta commands against a real store.
 */
#include "fixture.h"

#define BAD_FORMAT "CLIENT_ERROR bad command line format\r\n"

static void
meta_get_returns_flags_in_request_order(void **state)
{
	static const char *const script[][2] = {
	    {"mg a\r\nmg a v\r\nmg a v q\r\n", "EN\r\nEN\r\n"},
	    {"mg a v k Oabc s t f\r\n", "EN ka Oabc\r\n"},
	    {"ms a 2 F7 T100\r\nhi\r\n", "HD\r\n"},
	    {"mg a\r\n", "HD\r\n"},
	    {"mg a s v f t Oxy k\r\n", "VA 2 s2 f7 t100 Oxy ka\r\nhi\r\n"},
	    {"mg a t T-0 t\r\n", "CLIENT_ERROR duplicate flag\r\n"},
	    {"mg a t T0\r\nmg a t\r\n", "HD t100\r\nHD t-1\r\n"},
	    {"mg a T30 t\r\n", "HD t30\r\n"},
	    {"mg a q\r\nmg a L1 P2\r\n", "HD\r\nHD\r\n"},
	    {NULL, NULL},
	};

	fixture_play(*state, script);
}

static void
given_cas_is_taken_by_ma_and_md_invalidate(void **state)
{
	static const char *const script[][2] = {
	    {"ms a 1 F7 T100\r\n5\r\n", "HD\r\n"},
	    {"ma a E77 c v\r\n", "VA 1 c77\r\n6\r\n"},
	    {"mg a c f t\r\n", "HD c77 f7 t100\r\n"},
	    {"ma a C77 E78 c D9 v\r\n", "VA 2 c78\r\n15\r\n"},
	    {"md a C77 I E90\r\n", "EX\r\n"},
	    {"md a I E90\r\n", "HD\r\n"},
	    {"mg a c v\r\n", "VA 2 c90 X W\r\n15\r\n"},
	    {"ms b 3\r\nabc\r\n", "HD\r\n"},
	    {"md b I E91 T30\r\n", "HD\r\n"},
	    {"mg b c t v\r\n", "VA 3 c91 t30 X W\r\nabc\r\n"},
	    {NULL, NULL},
	};

	fixture_play(*state, script);
}

static void
hit_and_age_are_those_before_the_access(void **state)
{
	struct fixture *f = *state;

	expect_reply(f, "ms a 1\r\nx\r\n", "HD\r\n");
	fixture_advance(f, 10);
	expect_reply(f, "mg a h l u\r\n", "HD h0 l10\r\n");
	expect_reply(f, "mg a h l\r\n", "HD h0 l10\r\n");
	fixture_advance(f, 5);
	expect_reply(f, "mg a h l\r\n", "HD h1 l5\r\n");
}

static void
binary_key_is_the_raw_key_and_remembered(void **state)
{
	static const char *const script[][2] = {
	    {"ms Zm9v 3 b k\r\nbar\r\n", "HD kZm9v b\r\n"},
	    {"get foo\r\n", "VALUE foo 0 3\r\nbar\r\nEND\r\n"},
	    {"mg foo k v\r\n", "VA 3 kZm9v b\r\nbar\r\n"},
	    {"set foo 0 0 1\r\nx\r\n", "STORED\r\n"},
	    {"mg Zm9v b k\r\n", "HD kfoo\r\n"},
	    {"mg bm9uZQ== b k\r\n", "EN kbm9uZQ== b\r\n"},
	    {"md Zm9v b k\r\n", "HD kZm9v b\r\n"},
	    {"mg not!base64 b\r\n", "CLIENT_ERROR error decoding key\r\n"},
	    {NULL, NULL},
	};

	fixture_play(*state, script);
}

static void
vivified_item_gives_one_winner(void **state)
{
	struct fixture *f = *state;

	expect_reply(f, "mg a N30 v t\r\n", "VA 0 t30 W\r\n\r\n");
	expect_reply(f, "mg a N30 v t\r\n", "VA 0 t30 Z\r\n\r\n");
	expect_reply(f, "ms a 1 T30\r\nx\r\n", "HD\r\n");
	expect_reply(f, "mg a N30 v\r\n", "VA 1\r\nx\r\n");
	/* A time that is over makes a winner of everyone. */
	expect_reply(f, "mg b N-1 v\r\n", "VA 0 W\r\n\r\n");
	expect_reply(f, "mg b v\r\n", "EN\r\n");
	expect_reply(f, "mg b N-1 s\r\n", "HD s0 W\r\n");
	expect_reply(f, "mg b N30 T-1 s\r\n", "HD s0 W\r\n");
	/* The last of N and T holds. */
	expect_reply(f, "mg b T10 N30 t\r\n", "HD t30 W\r\n");
	expect_reply(f, "mg b t\r\n", "HD t30 Z\r\n");
	expect_reply(f, "mg c N0 t\r\n", "HD t-1 W\r\n");
	fixture_advance(f, 31);
	expect_reply(f, "mg a v\r\n", "EN\r\n");
}

static void
item_due_for_recache_gives_one_winner(void **state)
{
	static const char *const script[][2] = {
	    {"ms a 1 T100\r\nx\r\n", "HD\r\n"},
	    {"mg a R30\r\n", "HD\r\n"},
	    {"mg a R200\r\n", "HD W\r\n"},
	    {"mg a R200\r\n", "HD Z\r\n"},
	    {"ms b 1\r\nx\r\nmg b R100\r\n", "HD\r\nHD\r\n"},
	    {NULL, NULL},
	};

	fixture_play(*state, script);
}

static void
stale_item_is_served_and_recached_once(void **state)
{
	static const char *const script[][2] = {
	    {"ms a 1 F3\r\nx\r\n", "HD\r\n"},
	    {"md a I T30\r\n", "HD\r\n"},
	    {"get a\r\n", "VALUE a 3 1\r\nx\r\nEND\r\n"},
	    {"mg a v t\r\n", "VA 1 t30 X W\r\nx\r\n"},
	    {"mg a v\r\n", "VA 1 Z X\r\nx\r\n"},
	    {"touch a 100\r\nmg a\r\n", "TOUCHED\r\nHD Z X\r\n"},
	    {"set a 0 0 1\r\ny\r\nmg a v\r\n", "STORED\r\nVA 1\r\ny\r\n"},
	    {NULL, NULL},
	};

	fixture_play(*state, script);
}

static void
set_modes_answer_by_presence(void **state)
{
	static const char *const script[][2] = {
	    {"ms a 1 MR\r\nx\r\nms a 1 MA\r\nx\r\nms a 1 MP\r\nx\r\n", "NS\r\nNS\r\nNS\r\n"},
	    {"ms a 1 ME\r\nb\r\nms a 1 ME\r\nb\r\n", "HD\r\nNS\r\n"},
	    {"ms a 1 MA s\r\nc\r\nms a 1 MP s k O9\r\na\r\n", "HD s2\r\nHD s3 ka O9\r\n"},
	    {"mg a v\r\n", "VA 3\r\nabc\r\n"},
	    {"ms n 1 MA N60\r\nz\r\nmg n v t\r\n", "HD\r\nVA 1 t60\r\nz\r\n"},
	    {"ms a 2 q\r\nab\r\nms a 2 q C1\r\nab\r\n", "EX\r\n"},
	    {"ms a 2 q\r\nabcd\r\n", "CLIENT_ERROR bad data chunk\r\n" BAD_FORMAT},
	    {"ms nil 1 C5 c\r\nx\r\n", "NF c0\r\n"},
	    {"ms a 1 C0\r\nx\r\n", "EX\r\n"},
	    {"ms a 1 Mx\r\nq\r\n", "CLIENT_ERROR invalid mode for ms M token\r\n"},
	    {"ms a 1 F4294967296\r\nq\r\n", BAD_FORMAT},
	    {"ms a abc\r\nms a\r\n", BAD_FORMAT BAD_FORMAT},
	    {NULL, NULL},
	};

	fixture_play(*state, script);
}

static void
explicit_cas_is_kept(void **state)
{
	static const char *const script[][2] = {
	    {"ms a 1 E999 c\r\nx\r\n", "HD c999\r\n"},
	    {"mg a c\r\n", "HD c999\r\n"},
	    {"mg a v C999\r\nmg a v C998\r\n", "HD\r\nVA 1\r\nx\r\n"},
	    {"ms a 1 C999 E1000 c\r\ny\r\n", "HD c1000\r\n"},
	    {"ms a 1 C999\r\nz\r\n", "EX\r\n"},
	    {"ms a 1 C5 I\r\nz\r\n", "HD\r\n"},
	    {"mg a v\r\n", "VA 1 X W\r\nz\r\n"},
	    {NULL, NULL},
	};

	fixture_play(*state, script);
}

static void
meta_delete_checks_and_tombstones(void **state)
{
	static const char *const script[][2] = {
	    {"md a\r\nmd a q\r\n", "NF\r\nNF\r\n"},
	    {"ms a 1 E5\r\nx\r\nmd a C4\r\nmd a C0\r\n", "HD\r\nEX\r\nEX\r\n"},
	    {"md a x\r\nmg a v f t\r\n", "HD\r\nVA 0 f0 t-1\r\n\r\n"},
	    {"md a k O1 q\r\nmg a\r\n", "EN\r\n"},
	    {"md b x\r\n", "NF\r\n"},
	    {NULL, NULL},
	};

	fixture_play(*state, script);
}

static void
arithmetic_creates_counts_and_checks(void **state)
{
	static const char *const script[][2] = {
	    {"ma n\r\nma n q\r\n", "NF\r\nNF\r\n"},
	    {"ma n N60 J13 v t\r\n", "VA 2 t60\r\n13\r\n"},
	    {"ma n v\r\nma n v D5 MI\r\n", "VA 2\r\n14\r\nVA 2\r\n19\r\n"},
	    {"ma n MD D10 v\r\nma n M- D100 v\r\n", "VA 1\r\n9\r\nVA 1\r\n0\r\n"},
	    {"ma n T30 t O7 k\r\n", "HD t30 O7 kn\r\n"},
	    {"ma n q\r\nma n q v\r\nma n v\r\n", "VA 1\r\n4\r\n"},
	    {"ma n C12345\r\n", "EX\r\n"},
	    {"set n 0 0 1\r\nx\r\nma n q\r\n",
	        "STORED\r\nCLIENT_ERROR cannot increment or decrement non-numeric value\r\n"},
	    {"ma n Dx\r\nma n q q\r\n",
	        "CLIENT_ERROR invalid or duplicate flag\r\nCLIENT_ERROR invalid or duplicate flag\r\n"},
	    {NULL, NULL},
	};

	fixture_play(*state, script);
}

static void
ten_thousand_quiet_misses_give_only_the_noop(void **state)
{
	struct fixture *f = *state;

	fixture_clear(f);
	for (unsigned i = 0; i < 10000; i++)
		fixture_feed(f, "mg x q v\r\n", 10);
	fixture_feed(f, "mn\r\n", 4);
	assert_string_equal((char *)f->out, "MN\r\n");
}

static void
debug_line_shows_the_item(void **state)
{
	struct fixture *f = *state;

	expect_reply(f, "me a\r\n", "EN\r\n");
	expect_reply(f, "ms a 3 E77 T50\r\nabc\r\n", "HD\r\n");
	fixture_advance(f, 4);
	expect_reply(f, "me a\r\n", "ME a exp=46 la=4 cas=77 fetch=no cls=0 size=4\r\n");
	expect_reply(f, "me YQ== b\r\n", "ME a exp=46 la=4 cas=77 fetch=no cls=0 size=4\r\n");
	assert_int_equal(serve_counters(f->serve)->cmd_meta, 3);
}

static void
large_value_follows_its_flags(void **state)
{
	struct fixture *f = *state;
	char *text = malloc(200100);
	int head;

	assert_non_null(text);
	head = sprintf(text, "ms a 200000 c E5\r\n");
	memset(text + head, 'x', 200000);
	memcpy(text + head + 200000, "\r\n", 2);
	fixture_clear(f);
	fixture_feed(f, text, 1000);
	fixture_feed(f, text + 1000, (size_t)head + 200002 - 1000);
	assert_string_equal((char *)f->out, "HD c5\r\n");
	fixture_say(f, "mg a v s\r\n");
	assert_int_equal(f->out_len, 19 + 200000 + 2);
	assert_memory_equal(f->out, "VA 200000 s200000\r\nxxx", 22);
	fixture_say(f, "ms a 2000000 q\r\n");
	for (unsigned i = 0; i < 10; i++)
		fixture_feed(f, text + head, 200000);
	fixture_feed(f, "\r\n", 2);
	assert_string_equal((char *)f->out, "SERVER_ERROR object too large for cache\r\n");
	expect_reply(f, "mg a\r\n", "EN\r\n");
	free(text);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    fixture_test(meta_get_returns_flags_in_request_order),
	    fixture_test(given_cas_is_taken_by_ma_and_md_invalidate),
	    fixture_test(hit_and_age_are_those_before_the_access),
	    fixture_test(binary_key_is_the_raw_key_and_remembered),
	    fixture_test(vivified_item_gives_one_winner),
	    fixture_test(item_due_for_recache_gives_one_winner),
	    fixture_test(stale_item_is_served_and_recached_once),
	    fixture_test(set_modes_answer_by_presence),
	    fixture_test(explicit_cas_is_kept),
	    fixture_test(meta_delete_checks_and_tombstones),
	    fixture_test(arithmetic_creates_counts_and_checks),
	    fixture_test(ten_thousand_quiet_misses_give_only_the_noop),
	    fixture_test(debug_line_shows_the_item),
	    fixture_test(large_value_follows_its_flags),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
