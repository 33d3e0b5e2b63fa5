/* scenario.py's checks in C, over a struct library. Each check returns NULL or what it saw; single thread, no cleanup
 * at the end: the process ends with its answers. */
#include "checks.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define EXPIRY_DEADLINE_S 15
#define BLOB_LEN          1024
#define LARGE_LEN         500000

static const struct library *lib;
static void *client, *other;
static const char *prefix;
static struct value seen;

/* Keys of one check live side by side. */
static const char *
key_of(const char *name)
{
	static char keys[4][64];
	static unsigned next;
	char *key = keys[next++ % 4];

	snprintf(key, sizeof(keys[0]), "%s%s", prefix, name);
	return key;
}

static bool
holds(const char *name, const char *bytes, size_t len)
{
	return lib->get(client, key_of(name), &seen) && seen.len == len &&
	       memcmp(seen.bytes, bytes, len) == 0;
}

static bool
holds_text(const char *name, const char *text)
{
	return holds(name, text, strlen(text));
}

static bool
absent(const char *name)
{
	return !lib->get(client, key_of(name), &seen);
}

#define WANT(condition)                                      \
	do {                                                 \
		if (!(condition))                            \
			return "does not hold: " #condition; \
	} while (0)

static const char *
set_then_get(void)
{
	char blob[BLOB_LEN];

	for (unsigned i = 0; i < BLOB_LEN; i++)
		blob[i] = (char)i;
	WANT(lib->set(client, key_of("blob"), blob, BLOB_LEN, 0));
	WANT(holds("blob", blob, BLOB_LEN));
	return NULL;
}

static const char *
get_absent(void)
{
	WANT(absent("absent"));
	return NULL;
}

static const char *
add_absent(void)
{
	WANT(lib->add(client, key_of("add"), "one", 3));
	WANT(holds_text("add", "one"));
	return NULL;
}

static const char *
add_present(void)
{
	WANT(!lib->add(client, key_of("add"), "two", 3));
	WANT(holds_text("add", "one"));
	return NULL;
}

static const char *
replace_present(void)
{
	WANT(lib->replace(client, key_of("add"), "three", 5));
	WANT(holds_text("add", "three"));
	return NULL;
}

static const char *
replace_absent(void)
{
	WANT(!lib->replace(client, key_of("absent"), "no", 2));
	WANT(absent("absent"));
	return NULL;
}

static const char *
append(void)
{
	lib->set(client, key_of("ends"), "mid", 3, 0);
	WANT(lib->append(client, key_of("ends"), ">", 1));
	WANT(holds_text("ends", "mid>"));
	return NULL;
}

static const char *
prepend(void)
{
	WANT(lib->prepend(client, key_of("ends"), "<", 1));
	WANT(holds_text("ends", "<mid>"));
	return NULL;
}

static const char *
append_absent(void)
{
	WANT(!lib->append(client, key_of("absent"), ">", 1));
	return NULL;
}

static const char *
cas_fresh(void)
{
	uint64_t token;

	lib->set(client, key_of("cas"), "one", 3, 0);
	WANT(lib->gets(client, key_of("cas"), &seen, &token));
	WANT(lib->cas(client, key_of("cas"), "two", 3, token));
	WANT(holds_text("cas", "two"));
	return NULL;
}

static const char *
cas_stale(void)
{
	uint64_t token;

	WANT(lib->gets(client, key_of("cas"), &seen, &token));
	WANT(lib->set(other, key_of("cas"), "between", 7, 0));
	WANT(!lib->cas(client, key_of("cas"), "late", 4, token));
	WANT(holds_text("cas", "between"));
	return NULL;
}

static const char *
incr(void)
{
	uint64_t number;

	lib->set(client, key_of("count"), "10", 2, 0);
	WANT(lib->incr(client, key_of("count"), 5, &number) && number == 15);
	return NULL;
}

static const char *
decr(void)
{
	uint64_t number;

	WANT(lib->decr(client, key_of("count"), 6, &number) && number == 9);
	return NULL;
}

static const char *
decr_below_zero(void)
{
	uint64_t number;

	WANT(lib->decr(client, key_of("count"), 100, &number) && number == 0);
	return NULL;
}

static const char *
incr_absent(void)
{
	uint64_t number;

	WANT(!lib->incr(client, key_of("absent"), 1, &number));
	return NULL;
}

static const char *
touch_present(void)
{
	lib->set(client, key_of("touched"), "x", 1, 2);
	WANT(lib->touch(client, key_of("touched"), 100));
	return NULL;
}

static const char *
touch_absent(void)
{
	WANT(!lib->touch(client, key_of("absent"), 100));
	return NULL;
}

struct many {
	char keys[CHECKS_MANY][64];
	char values[CHECKS_MANY][CHECKS_MANY + 1];
	unsigned hits[CHECKS_MANY];
	unsigned strange;
};

static void
count_hit(void *arg, const char *key, size_t key_len, const char *bytes, size_t len)
{
	struct many *many = arg;

	for (unsigned i = 0; i < CHECKS_MANY; i++)
		if (strlen(many->keys[i]) == key_len && memcmp(many->keys[i], key, key_len) == 0) {
			bool good =
			    strlen(many->values[i]) == len && memcmp(many->values[i], bytes, len) == 0;

			many->hits[i] += good;
			many->strange += !good;
			return;
		}
	many->strange++;
}

static const char *
multiget_100(void)
{
	static struct many many;
	const char *keys[CHECKS_MANY + 1] = {[CHECKS_MANY] = key_of("absent")};

	for (unsigned i = 0; i < CHECKS_MANY; i++) {
		snprintf(many.keys[i], sizeof(many.keys[i]), "%smany%u", prefix, i);
		memset(many.values[i], (int)('!' + i % 90), i + 1);
		keys[i] = many.keys[i];
		WANT(lib->set(client, many.keys[i], many.values[i], i + 1, 0));
	}
	lib->get_many(client, keys, CHECKS_MANY + 1, count_hit, &many);
	WANT(many.strange == 0);
	for (unsigned i = 0; i < CHECKS_MANY; i++)
		WANT(many.hits[i] == 1);
	return NULL;
}

static const char *
delete_present(void)
{
	lib->set(client, key_of("gone"), "x", 1, 0);
	WANT(lib->remove(client, key_of("gone")));
	WANT(absent("gone"));
	return NULL;
}

static const char *
delete_absent(void)
{
	WANT(!lib->remove(client, key_of("absent")));
	return NULL;
}

static const char *
expiry(void)
{
	time_t end = time(NULL) + EXPIRY_DEADLINE_S;

	WANT(lib->set(client, key_of("short"), "x", 1, 2));
	while (!absent("short")) {
		WANT(time(NULL) <= end);
		usleep(50000);
	}
	WANT(lib->touch == NULL || holds_text("touched", "x"));
	return NULL;
}

static const char *
large_value(void)
{
	static char large[LARGE_LEN];

	for (unsigned i = 0; i < LARGE_LEN; i++)
		large[i] = (char)(1 + i % 250);
	WANT(lib->set(client, key_of("large"), large, LARGE_LEN, 0));
	WANT(holds("large", large, LARGE_LEN));
	return NULL;
}

static const char *
stats(void)
{
	uint64_t curr_items = 0, cmd_get = 0;

	WANT(lib->stats(client, &curr_items, &cmd_get));
	WANT(curr_items > 0);
	WANT(cmd_get > 0);
	return NULL;
}

static const char *
flush(void)
{
	WANT(lib->flush(client));
	WANT(absent("blob"));
	WANT(lib->set(client, key_of("blob"), "after", 5, 0));
	WANT(holds_text("blob", "after"));
	return NULL;
}

static void
check(const char *name, bool possible, const char *operation, const char *(*run)(void))
{
	const char *wrong = possible ? run() : NULL;

	if (!possible)
		printf("lack %s has no %s\n", name, operation);
	else if (wrong != NULL)
		printf("fail %s %s\n", name, wrong);
	else
		printf("pass %s\n", name);
	fflush(stdout);
}

#define CHECK(name, operation) check(#name, lib->operation != NULL, #operation, name)

int
checks_play(const struct library *library, int argc, char **argv)
{
	if (argc < 6)
		return 2;
	lib = library;
	prefix = argv[5];
	client = lib->connect(argv[2], argv[3], (uint16_t)atoi(argv[4]));
	other = lib->connect(argv[2], argv[3], (uint16_t)atoi(argv[4]));
	if (client == NULL || other == NULL)
		return 1;
	CHECK(set_then_get, set);
	CHECK(get_absent, get);
	CHECK(add_absent, add);
	CHECK(add_present, add);
	CHECK(replace_present, replace);
	CHECK(replace_absent, replace);
	CHECK(append, append);
	CHECK(prepend, prepend);
	CHECK(append_absent, append);
	CHECK(cas_fresh, cas);
	CHECK(cas_stale, cas);
	CHECK(incr, incr);
	CHECK(decr, decr);
	CHECK(decr_below_zero, decr);
	CHECK(incr_absent, incr);
	CHECK(touch_present, touch);
	CHECK(touch_absent, touch);
	CHECK(multiget_100, get_many);
	CHECK(delete_present, remove);
	CHECK(delete_absent, remove);
	CHECK(expiry, set);
	CHECK(large_value, set);
	CHECK(stats, stats);
	CHECK(flush, flush);
	return 0;
}
