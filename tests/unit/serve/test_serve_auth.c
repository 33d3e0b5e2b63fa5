/*
 * Logins: SASL PLAIN over the binary protocol and memcached's text login, with verdicts at once and later.
 */
#include "binary.h"

#define AUTH_FAILED 0x20u
#define OTHERS      "CLIENT_ERROR unauthenticated\r\n"

static int
auth_setup(void **state)
{
	*state = fixture_open_auth(64, true);
	return 0;
}

static struct request
sasl_message(uint8_t opcode, const char *mechanism, const char *message, uint32_t len)
{
	return request_store(opcode, mechanism, message, len);
}

/* User "user", password "pass". */
static struct request
sasl_login(void)
{
	return sasl_message(0x21, "PLAIN", "\0user\0pass", 10);
}

/* Lets the pending login end, and the session go on. */
static void
deliver(struct fixture *f, bool granted)
{
	assert_ptr_equal(f->logging_in, f->session);
	f->logging_in = NULL;
	serve_auth_verdict(f->session, granted);
	fixture_feed(f, "", 0);
}

/* ---- SASL ------------------------------------------------------------------------------------- */

static void
before_login_everything_else_is_refused_and_closed(void **state)
{
	static const uint8_t opcodes[] = {0x00, 0x09, 0x01, 0x11, 0x0a, 0x10, 0x07, 0x08, 0x1b, 0x77};
	struct fixture *f = *state;
	struct packet p;

	for (unsigned i = 0; i < sizeof(opcodes); i++) {
		p = ask(f, request_of(opcodes[i], ""));
		assert_int_equal(p.status, AUTH_FAILED);
		expect_body(&p, "Auth failure.");
		assert_int_equal(f->state, SERVE_CLOSE);
		fixture_reconnect(f);
	}
	expect_status(f, request_store(0x01, "key", "v", 1), AUTH_FAILED);
	assert_int_equal(f->state, SERVE_CLOSE);
	assert_int_equal(f->logins, 0);
}

static void
before_login_version_and_list_are_answered(void **state)
{
	struct fixture *f = *state;
	struct packet p = ask(f, request_of(0x0b, ""));

	assert_int_equal(p.status, 0);
	p = ask(f, request_of(0x20, ""));
	assert_int_equal(p.status, 0);
	expect_body(&p, "PLAIN");
	assert_int_equal(f->state, SERVE_GO_ON);
	expect_status(f, request_of(0x00, "key"), AUTH_FAILED);
}

static void
right_password_opens_the_session(void **state)
{
	struct fixture *f = *state;
	struct packet p;

	f->login = SERVE_LOGIN_GRANTED;
	p = ask(f, sasl_login());
	assert_int_equal(p.status, 0);
	expect_body(&p, "Authenticated");
	assert_string_equal(f->user, "user");
	assert_string_equal(f->password, "pass");
	expect_status(f, request_store(0x01, "key", "v", 1), 0);
	expect_status(f, request_of(0x00, "key"), 0);
	assert_int_equal(serve_counters(f->serve)->auth_cmds, 1);
	assert_int_equal(serve_counters(f->serve)->auth_errors, 0);
}

static void
wrong_password_is_told_and_may_be_tried_again(void **state)
{
	struct fixture *f = *state;
	struct packet p = ask(f, sasl_login());

	assert_int_equal(p.status, AUTH_FAILED);
	expect_body(&p, "Auth failure.");
	assert_int_equal(f->state, SERVE_GO_ON);
	f->login = SERVE_LOGIN_GRANTED;
	expect_status(f, sasl_login(), 0);
	f->login = SERVE_LOGIN_REFUSED;
	expect_status(f, sasl_login(), AUTH_FAILED);
	expect_status(f, request_of(0x0a, ""), AUTH_FAILED);
	assert_int_equal(serve_counters(f->serve)->auth_cmds, 3);
	assert_int_equal(serve_counters(f->serve)->auth_errors, 2);
}

static void
message_in_a_second_step_is_taken(void **state)
{
	struct fixture *f = *state;
	struct packet p;

	f->login = SERVE_LOGIN_GRANTED;
	p = ask(f, sasl_message(0x21, "plain", "", 0));
	assert_int_equal(p.status, 0x21);
	assert_int_equal(p.body_bytes, 0);
	expect_status(f, sasl_message(0x22, "plain", "\0u\0p", 4), 0);
	assert_string_equal(f->user, "u");
	expect_status(f, request_of(0x0a, ""), 0);
}

static void
broken_logins_never_reach_the_verifier(void **state)
{
	struct fixture *f = *state;
	char long_message[2000] = {0};
	char name[41];

	f->login = SERVE_LOGIN_GRANTED;
	memset(name, 'a', 40);
	name[40] = '\0';
	expect_status(f, sasl_message(0x22, "PLAIN", "\0u\0p", 4), AUTH_FAILED);
	expect_status(f, sasl_message(0x21, "CRAM-MD5", "\0u\0p", 4), AUTH_FAILED);
	expect_status(f, sasl_message(0x21, "CRAM-MD5", "", 0), AUTH_FAILED);
	expect_status(f, sasl_message(0x21, "PLAIN", "up", 2), AUTH_FAILED);
	expect_status(f, sasl_message(0x21, "PLAIN", long_message, 2000), AUTH_FAILED);
	expect_status(f, sasl_message(0x21, name, "\0u\0p", 4), 4);
	assert_int_equal(f->state, SERVE_GO_ON);
	assert_int_equal(f->logins, 0);
	expect_status(f, sasl_login(), 0);
}

static void
login_split_anywhere_is_taken(void **state)
{
	struct fixture *f = *state;
	struct request login = sasl_login(), noop = request_of(0x0a, "");
	uint8_t bytes[128];
	size_t len = put_request(bytes, &login);

	len += put_request(bytes + len, &noop);
	f->login = SERVE_LOGIN_GRANTED;
	for (size_t split = 1; split < len; split++) {
		fixture_reconnect(f);
		fixture_clear(f);
		fixture_feed(f, bytes, split);
		fixture_feed(f, bytes + split, len - split);
		assert_int_equal(f->out_len, HEADER + 13 + HEADER);
	}
}

static void
requests_behind_a_pending_login_wait(void **state)
{
	struct fixture *f = *state;
	struct request login = sasl_login(), noop = request_of(0x0a, "");
	uint8_t bytes[128];
	size_t len = put_request(bytes, &login), at = 0;
	uint32_t consumed;
	struct packet p;

	put_request(bytes + len, &noop);
	f->login = SERVE_LOGIN_PENDING;
	fixture_clear(f);
	f->state = serve_bytes(f->session, bytes, (uint32_t)len + HEADER, &f->sink, &consumed);
	assert_int_equal(f->state, SERVE_FULL);
	assert_int_equal(consumed, len);
	assert_true(serve_session_busy(f->session));
	f->state = serve_bytes(f->session, bytes + len, HEADER, &f->sink, &consumed);
	assert_int_equal(f->state, SERVE_FULL);
	assert_int_equal(consumed, 0);
	assert_int_equal(f->out_len, 0);
	f->logging_in = NULL;
	serve_auth_verdict(f->session, true);
	f->state = serve_bytes(f->session, bytes + len, HEADER, &f->sink, &consumed);
	assert_int_equal(f->state, SERVE_GO_ON);
	assert_int_equal(consumed, HEADER);
	assert_true(next_packet(f, &at, &p));
	assert_int_equal(p.opcode, 0x21);
	assert_int_equal(p.status, 0);
	assert_true(next_packet(f, &at, &p));
	assert_int_equal(p.opcode, 0x0a);
	assert_int_equal(p.status, 0);
}

static void
refused_verdict_is_told(void **state)
{
	struct fixture *f = *state;
	struct request login = sasl_login();
	struct packet p;
	size_t at = 0;

	f->login = SERVE_LOGIN_PENDING;
	fixture_clear(f);
	feed_request(f, &login);
	assert_int_equal(f->state, SERVE_FULL);
	deliver(f, false);
	assert_true(next_packet(f, &at, &p));
	assert_int_equal(p.status, AUTH_FAILED);
	assert_int_equal(serve_counters(f->serve)->auth_errors, 1);
	expect_status(f, request_of(0x0a, ""), AUTH_FAILED);
	assert_int_equal(f->state, SERVE_CLOSE);
}

static void
closed_session_cancels_its_login(void **state)
{
	struct fixture *f = *state;
	struct request login = sasl_login();

	f->login = SERVE_LOGIN_PENDING;
	feed_request(f, &login);
	fixture_reconnect(f);
	assert_int_equal(f->cancels, 1);
	f->login = SERVE_LOGIN_GRANTED;
	expect_status(f, sasl_login(), 0);
	fixture_reconnect(f);
	assert_int_equal(f->cancels, 1);
}

static void
full_sink_holds_the_verdict_back(void **state)
{
	struct fixture *f = *state;
	struct request login = sasl_login();

	f->login = SERVE_LOGIN_PENDING;
	feed_request(f, &login);
	fixture_clear(f);
	f->room = 0;
	deliver(f, true);
	assert_int_equal(f->state, SERVE_FULL);
	assert_int_equal(f->out_len, 0);
	f->room = SIZE_MAX;
	fixture_feed(f, "", 0);
	assert_int_equal(f->state, SERVE_GO_ON);
	assert_int_equal(f->out_len, HEADER + 13);
}

/* ---- text ------------------------------------------------------------------------------------- */

static void
text_login_opens_the_session(void **state)
{
	struct fixture *f = *state;

	expect_reply(f, "get a\r\n", OTHERS);
	expect_reply(f, "version\r\nmn\r\nset a 0 0 x\r\n", OTHERS OTHERS OTHERS);
	expect_reply(f, "set auth 0 0 9\r\nuser pass\r\n", "CLIENT_ERROR authentication failure\r\n");
	assert_string_equal(f->user, "user");
	assert_string_equal(f->password, "pass");
	f->login = SERVE_LOGIN_GRANTED;
	expect_reply(f, "set auth 0 0 9\r\nuser pass\r\nget auth\r\n", "STORED\r\nEND\r\n");
	expect_reply(f, "set auth 0 0 1\r\na\r\n", "STORED\r\n");
	assert_int_equal(serve_counters(f->serve)->auth_cmds, 2);
	assert_int_equal(serve_counters(f->serve)->auth_errors, 1);
}

static void
broken_text_logins_have_errors_of_their_own(void **state)
{
	struct fixture *f = *state;

	f->login = SERVE_LOGIN_GRANTED;
	expect_reply(f, "set a 0 0 9\r\nuser passxx", "CLIENT_ERROR bad command line termination\r\n");
	expect_reply(f, "set a 0 0 4\r\nuser\r\n", "CLIENT_ERROR bad authentication token format\r\n");
	expect_reply(f, "set a 0 0 0\r\n\r\n", "CLIENT_ERROR bad authentication token format\r\n");
	expect_reply(f, "\r\n", OTHERS);
	assert_int_equal(f->logins, 0);
	assert_int_equal(serve_counters(f->serve)->auth_cmds, 0);
	expect_reply(f, "set a 0 0 9\nuser pass\r\n", "STORED\r\n");
}

static void
overlong_text_logins_are_swallowed_or_closed(void **state)
{
	struct fixture *f = *state;
	char *bytes = malloc(6000);

	assert_non_null(bytes);
	memset(bytes, 'a', 6000);
	expect_reply(f, "set a 0 0 5000\r\n", "");
	fixture_talk(f, bytes, 5000);
	assert_int_equal(f->out_len, 0);
	expect_reply(f, "\r\nget a\r\n", "CLIENT_ERROR bad authentication token format\r\n" OTHERS);
	expect_reply(f, "set a 0 0 4294967290\r\n", "");
	assert_int_equal(f->state, SERVE_CLOSE);
	fixture_reconnect(f);
	fixture_talk(f, bytes, 2049);
	assert_int_equal(f->state, SERVE_CLOSE);
	assert_int_equal(f->out_len, 0);
	free(bytes);
}

static void
text_login_byte_by_byte_waits_for_its_verdict(void **state)
{
	static const char login[] = "set a 0 0 9\r\nuser pass\r\n";
	struct fixture *f = *state;

	f->login = SERVE_LOGIN_PENDING;
	fixture_clear(f);
	for (size_t i = 0; i < sizeof(login) - 1; i++)
		fixture_feed(f, login + i, 1);
	assert_int_equal(f->state, SERVE_FULL);
	assert_int_equal(f->out_len, 0);
	deliver(f, true);
	assert_string_equal((const char *)f->out, "STORED\r\n");
	expect_reply(f, "get a\r\n", "END\r\n");
}

/* ---- datagrams -------------------------------------------------------------------------------- */

static void
datagrams_are_never_served(void **state)
{
	struct fixture *f = *state;
	uint32_t consumed;

	fixture_clear(f);
	assert_false(serve_datagram(f->serve, (const uint8_t *)"version\r\n", 9, &f->sink, &consumed));
	assert_int_equal(f->out_len, 0);
}

#define auth_test(name) cmocka_unit_test_setup_teardown(name, auth_setup, fixture_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    auth_test(before_login_everything_else_is_refused_and_closed),
	    auth_test(before_login_version_and_list_are_answered),
	    auth_test(right_password_opens_the_session),
	    auth_test(wrong_password_is_told_and_may_be_tried_again),
	    auth_test(message_in_a_second_step_is_taken),
	    auth_test(broken_logins_never_reach_the_verifier),
	    auth_test(login_split_anywhere_is_taken),
	    auth_test(requests_behind_a_pending_login_wait),
	    auth_test(refused_verdict_is_told),
	    auth_test(closed_session_cancels_its_login),
	    auth_test(full_sink_holds_the_verdict_back),
	    auth_test(text_login_opens_the_session),
	    auth_test(broken_text_logins_have_errors_of_their_own),
	    auth_test(overlong_text_logins_are_swallowed_or_closed),
	    auth_test(text_login_byte_by_byte_waits_for_its_verdict),
	    auth_test(datagrams_are_never_served),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
