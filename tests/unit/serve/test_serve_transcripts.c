/*
 * Recorded dialogues: what memcached 1.6.45 answered to seeded streams of commands, played against serve.
 *
 * The recordings lie in $WIRECACHE_TRANSCRIPTS, ../shared/transcripts by default; without them the tests are
 * skipped. CAS values, ages and times to live are renamed in a recording, so the same is done to our replies
 * before they are compared: see normalise().
 */
#include "binary.h"

#include <sys/stat.h>

#include <jansson.h>

#define TEXT_MAX  (1u << 20)
#define NAMES_MAX 4096u

/* CAS values in order of first appearance. */
struct names {
	uint64_t value[NAMES_MAX];
	unsigned len;
};

struct replay {
	struct fixture *f;
	struct names names;
	uint64_t cas_last;
	unsigned lines, wrong;
	const unsigned *excused; /* numbers of lines whose reply differs, ended by 0 */
};

/*
 * memcached writes a number that became shorter in place, padded, unless something else holds the item at
 * that moment: in line 982 it was its LRU thread, and `10` decremented by one is `9` instead of `9 `. Ours is
 * always padded.
 */
static const unsigned text_excused[] = {982, 0};
static const unsigned meta_excused[] = {0};

/* In 1246 the reference still served an item that the flush of 1239 had ended; the others of that flush were gone. */
static const unsigned binary_excused[] = {1246, 0};

static char *
put_name(char *to, struct names *names, uint64_t cas)
{
	unsigned i = 0;

	while (i < names->len && names->value[i] != cas)
		i++;
	if (i == names->len) {
		assert_true(i < NAMES_MAX);
		names->value[names->len++] = cas;
	}
	return to + sprintf(to, "cas%u", i);
}

/* Copies one word; returns the first byte behind it. */
static const uint8_t *
copy_word(char **to, const uint8_t *at, const uint8_t *end)
{
	while (at < end && *at != ' ' && *at != '\r')
		*(*to)++ = (char)*at++;
	return at;
}

/* "VALUE key flags bytes cas\r\n": the recording lost the carriage return behind a renamed CAS. */
static const uint8_t *
normalise_value_line(struct replay *r, char **to, const uint8_t *at, const uint8_t *end, uint32_t *data_bytes)
{
	char *digits;

	for (unsigned word = 0; word < 4; word++) {
		digits = *to;
		at = copy_word(to, at, end);
		if (word < 3)
			*(*to)++ = (char)*at++;
	}
	**to = '\0';
	*data_bytes = (uint32_t)strtoul(digits, NULL, 10);
	if (*at == ' ') {
		r->cas_last = strtoull((const char *)at + 1, NULL, 10);
		*(*to)++ = ' ';
		*to = put_name(*to, &r->names, r->cas_last);
		at = memchr(at, '\n', (size_t)(end - at));
	} else {
		*(*to)++ = (char)*at++;
	}
	*(*to)++ = '\n';
	return at + 1;
}

static const uint8_t *
normalise_meta_line(struct replay *r, char **to, const uint8_t *at, const uint8_t *end, uint32_t *data_bytes)
{
	bool value = at[0] == 'V';
	unsigned word = 0;

	while (at < end && *at != '\r') {
		if (word == 1 && value) {
			*data_bytes = (uint32_t)strtoul((const char *)at, NULL, 10);
			at = copy_word(to, at, end);
		} else if (word > 0 && *at == 'c') {
			*(*to)++ = 'c';
			r->cas_last = strtoull((const char *)at + 1, NULL, 10);
			*to = put_name(*to, &r->names, r->cas_last);
			while (*at != ' ' && *at != '\r')
				at++;
		} else if (word > 0 && *at == 't' && at[1] != '-') {
			*to += sprintf(*to, "t~%lu", (strtoul((const char *)at + 1, NULL, 10) + 5) / 10);
			while (*at != ' ' && *at != '\r')
				at++;
		} else if (word > 0 && *at == 'l') {
			*to += sprintf(*to, "l~");
			while (*at != ' ' && *at != '\r')
				at++;
		} else {
			at = copy_word(to, at, end);
		}
		if (*at == ' ')
			*(*to)++ = (char)*at++;
		word++;
	}
	memcpy(*to, "\r\n", 2);
	*to += 2;
	return at + 2;
}

/* Renames our reply as the recording was; returns its length. */
static size_t
normalise(struct replay *r, const uint8_t *at, size_t len, char *out)
{
	const uint8_t *end = at + len;
	char *to = out;

	while (at < end) {
		uint32_t data_bytes = UINT32_MAX;

		if (end - at > 6 && memcmp(at, "VALUE ", 6) == 0) {
			at = normalise_value_line(r, &to, at, end, &data_bytes);
		} else if (end - at > 3 && (memcmp(at, "VA ", 3) == 0 || memcmp(at, "HD ", 3) == 0 ||
		                               memcmp(at, "EX ", 3) == 0 || memcmp(at, "NS ", 3) == 0 ||
		                               memcmp(at, "NF ", 3) == 0)) {
			at = normalise_meta_line(r, &to, at, end, &data_bytes);
		} else {
			const uint8_t *feed = memchr(at, '\n', (size_t)(end - at));
			size_t line = (size_t)(feed + 1 - at);

			memcpy(to, at, line);
			to += line;
			at += line;
		}
		if (data_bytes != UINT32_MAX) {
			memcpy(to, at, data_bytes + 2);
			to += data_bytes + 2;
			at += data_bytes + 2;
		}
	}
	return (size_t)(to - out);
}

/* A JSON string of code points below 256 to bytes; `{cas}` becomes the number. */
static size_t
latin1(const char *utf8, size_t len, uint64_t cas, uint8_t *out)
{
	size_t done = 0;

	for (size_t i = 0; i < len; i++) {
		uint8_t c = (uint8_t)utf8[i];

		if (c >= 0xc0) {
			assert_true(i + 1 < len);
			out[done++] = (uint8_t)(c << 6 | ((uint8_t)utf8[++i] & 0x3f));
		} else if (len - i >= 5 && memcmp(utf8 + i, "{cas}", 5) == 0) {
			done += (size_t)sprintf((char *)out + done, "%llu", (unsigned long long)cas);
			i += 4;
		} else {
			out[done++] = c;
		}
	}
	return done;
}

/* The number that `{cas}` stands for. It may exceed JSON's signed integers here, so it is read from the line
 * itself. */
static uint64_t
cas_of_line(const struct replay *r, const char *line)
{
	const char *at = strstr(line, "\", \"cas\": ");

	if (at == NULL || at[10] == '"')
		return r->cas_last;
	return strtoull(at + 10, NULL, 10);
}

static void
replay_line(struct replay *r, const char *line, json_t *object, uint8_t *send, uint8_t *expected, char *got)
{
	json_t *text = json_object_get(object, "send"), *reply = json_object_get(object, "reply");
	uint64_t cas_value = cas_of_line(r, line);
	size_t send_len, expected_len, got_len;

	send_len = latin1(json_string_value(text), json_string_length(text), cas_value, send);
	expected_len = latin1(json_string_value(reply), json_string_length(reply), 0, expected);
	fixture_talk(r->f, send, send_len);
	got_len = normalise(r, r->f->out, r->f->out_len, got);
	if (++r->lines == *r->excused) {
		r->excused++;
		return;
	}
	if (r->f->state == SERVE_GO_ON && got_len == expected_len && memcmp(got, expected, got_len) == 0)
		return;
	if (r->wrong++ < 10)
		print_error("# line %u: %.*s\n#  expected %.*s\n#  got %.*s\n", r->lines,
		    (int)(send_len < 300 ? send_len : 300), send,
		    (int)(expected_len < 300 ? expected_len : 300), expected,
		    (int)(got_len < 300 ? got_len : 300), got);
}

static FILE *
open_transcript(const char *name)
{
	const char *folder = getenv("WIRECACHE_TRANSCRIPTS");
	char path[4096];

	snprintf(path, sizeof(path), "%s/%s", folder != NULL ? folder : "../shared/transcripts", name);
	return fopen(path, "r");
}

static void
play_transcript(struct replay *r, const char *name, unsigned lines_expected)
{
	FILE *file = open_transcript(name);
	uint8_t *send = malloc(TEXT_MAX), *expected = malloc(TEXT_MAX);
	char *got = malloc(TEXT_MAX), *line = NULL;
	size_t room = 0;
	ssize_t len;

	assert_non_null(file);
	r->lines = 0;
	while ((len = getline(&line, &room, file)) > 0) {
		json_error_t error;
		json_t *object =
		    json_loadb(line, (size_t)len, JSON_ALLOW_NUL | JSON_DECODE_INT_AS_REAL, &error);

		if (object == NULL)
			fail_msg("%s line %u: %s", name, r->lines + 1, error.text);
		replay_line(r, line, object, send, expected, got);
		json_decref(object);
	}
	assert_int_equal(r->lines, lines_expected);
	fclose(file);
	free(line);
	free(send);
	free(expected);
	free(got);
}

/* ---- binary ----------------------------------------------------------------------------------- */

static size_t
bytes_of(json_t *object, const char *name, uint8_t *out)
{
	json_t *text = json_object_get(object, name);

	return latin1(json_string_value(text), json_string_length(text), 0, out);
}

static uint64_t
number_of(json_t *object, const char *name)
{
	return (uint64_t)json_number_value(json_object_get(object, name));
}

/* The CAS stands before the opaque; "last" is the one that was returned last. Read from the line for its 64 bits. */
static uint64_t
cas_of_request(const struct replay *r, const char *line)
{
	const char *at = strstr(line, ", \"opaque\"");

	assert_non_null(at);
	while (*at != ':')
		at--;
	return at[2] == '"' ? r->cas_last : strtoull(at + 2, NULL, 10);
}

/* Renames a CAS as the recording was: "cas3", or 0. */
static bool
cas_matches(struct replay *r, uint64_t cas, json_t *expected)
{
	char name[32], *end;

	if (cas == 0)
		return json_is_real(expected) && json_real_value(expected) == 0;
	r->cas_last = cas;
	end = put_name(name, &r->names, cas);
	*end = '\0';
	return json_is_string(expected) && strcmp(json_string_value(expected), name) == 0;
}

static bool
packet_matches(struct replay *r, const struct packet *p, json_t *expected, uint8_t *scratch)
{
	size_t body_len = bytes_of(expected, "body", scratch);

	if (!cas_matches(r, p->cas, json_object_get(expected, "cas")))
		return false;
	if (p->opcode == 0x0b) /* whose version it is differs */
		return p->status == 0 && p->body_bytes > 0;
	return p->opcode == number_of(expected, "opcode") && p->key_len == number_of(expected, "key_len") &&
	       p->extras_len == number_of(expected, "extras_len") &&
	       p->status == number_of(expected, "status") && p->opaque == number_of(expected, "opaque") &&
	       p->body_bytes == body_len && memcmp(p->body, scratch, body_len) == 0;
}

static void
replay_packet(struct replay *r, const char *line, json_t *object, uint8_t *key, uint8_t *value)
{
	json_t *replies = json_object_get(object, "replies");
	const char *hex = json_string_value(json_object_get(object, "extras"));
	struct request request = {.opcode = (uint8_t)number_of(object, "opcode"), .key = key, .value = value};
	struct packet packet;
	size_t at = 0, n = 0;
	bool good = true;

	request.key_len = (uint16_t)bytes_of(object, "key", key);
	request.value_bytes = (uint32_t)bytes_of(object, "value", value);
	request.extras_len = (uint8_t)(strlen(hex) / 2);
	for (unsigned i = 0; i < request.extras_len; i++)
		assert_int_equal(sscanf(hex + 2 * i, "%2hhx", &request.extras[i]), 1);
	request.cas = cas_of_request(r, line);
	request.opaque = (uint32_t)number_of(object, "opaque");
	fixture_clear(r->f);
	feed_request(r->f, &request);
	for (; good && next_packet(r->f, &at, &packet); n++)
		good = n < json_array_size(replies) &&
		       packet_matches(r, &packet, json_array_get(replies, n), value);
	if (++r->lines == *r->excused) {
		r->excused++;
		return;
	}
	if (good && n == json_array_size(replies) && r->f->state == SERVE_GO_ON)
		return;
	if (r->wrong++ < 10)
		print_error(
		    "# line %u: %.300s\n#  reply %zu differs, state %d\n", r->lines, line, n, r->f->state);
}

static void
recorded_binary_replies_are_given(void **state)
{
	struct replay *r = calloc(1, sizeof(*r));
	FILE *file = open_transcript("binary.jsonl");
	uint8_t *key = malloc(TEXT_MAX), *value = malloc(TEXT_MAX);
	char *line = NULL;
	size_t room = 0;
	ssize_t len;

	assert_non_null(r);
	assert_non_null(file);
	r->f = *state;
	r->excused = binary_excused;
	while ((len = getline(&line, &room, file)) > 0) {
		json_error_t error;
		json_t *object =
		    json_loadb(line, (size_t)len, JSON_ALLOW_NUL | JSON_DECODE_INT_AS_REAL, &error);

		if (object == NULL)
			fail_msg("binary.jsonl line %u: %s", r->lines + 1, error.text);
		replay_packet(r, line, object, key, value);
		json_decref(object);
	}
	assert_int_equal(r->lines, 4000);
	assert_int_equal(r->wrong, 0);
	fclose(file);
	free(line);
	free(key);
	free(value);
	free(r);
}

/* ---- the programs ----------------------------------------------------------------------------- */

static void
recorded_text_then_meta_replies_are_given(void **state)
{
	struct replay *r = calloc(1, sizeof(*r));

	assert_non_null(r);
	r->f = *state;
	r->excused = text_excused;
	play_transcript(r, "text.jsonl", 4000);
	assert_int_equal(r->wrong, 0);
	r->names.len = 0;
	expect_reply(r->f, "flush_all\r\n", "OK\r\n");
	r->excused = meta_excused;
	play_transcript(r, "meta.jsonl", 4000);
	assert_int_equal(r->wrong, 0);
	free(r);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    fixture_test(recorded_text_then_meta_replies_are_given),
	    fixture_test(recorded_binary_replies_are_given),
	};
	FILE *file = open_transcript("text.jsonl");

	if (file == NULL) {
		printf(
		    "1..2\nok 1 - recorded_text_then_meta_replies_are_given # SKIP no transcripts at hand\n"
		    "ok 2 - recorded_binary_replies_are_given # SKIP no transcripts at hand\n");
		return 0;
	}
	fclose(file);
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
