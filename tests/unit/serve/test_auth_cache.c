/*
 * Remembered logins: the keyed digest against its published vectors, and what is forgotten when.
 */
#include "dataplane/auth_cache.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct auth_cache cache;

static int
setup(void **state)
{
	uint8_t key[16];

	for (uint8_t i = 0; i < 16; i++)
		key[i] = i;
	auth_cache_init(&cache, key);
	return 0;
}

static struct auth_digest
digest_of(const char *user, const char *password)
{
	return auth_cache_digest(&cache, user, strlen(user), password, strlen(password));
}

static void
digest_is_siphash_of_128_bits(void **state)
{
	/* Messages 00, 00 01, ...: the reference implementation's vectors of lengths 0 and 1. */
	static const struct {
		size_t len;
		uint8_t digest[16];
	} vectors[] = {
	    {0, {0xa3, 0x81, 0x7f, 0x04, 0xba, 0x25, 0xa8, 0xe6, 0x6d, 0xf6, 0x72, 0x14, 0xc7, 0x55, 0x02,
	            0x93}},
	    {1, {0xda, 0x87, 0xc1, 0xd8, 0x6b, 0x99, 0xaf, 0x44, 0x34, 0x76, 0x59, 0x11, 0x9b, 0x22, 0xfc,
	            0x45}},
	};
	uint8_t message[16];

	for (uint8_t i = 0; i < 16; i++)
		message[i] = i;
	for (unsigned i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++) {
		struct auth_digest digest = auth_siphash(cache.key, message, vectors[i].len);

		assert_memory_equal(digest.words, vectors[i].digest, 16);
	}
}

static void
border_of_name_and_password_counts(void **state)
{
	struct auth_digest a = digest_of("ab", "c"), b = digest_of("a", "bc"), again = digest_of("ab", "c");

	assert_memory_not_equal(&a, &b, sizeof(a));
	assert_memory_equal(&a, &again, sizeof(a));
}

static void
empty_cache_knows_nobody(void **state)
{
	struct auth_digest zero = {{0, 0}};

	assert_false(auth_cache_has(&cache, &zero, 1));
	zero = digest_of("user", "pass");
	assert_false(auth_cache_has(&cache, &zero, 1));
}

static void
remembered_login_is_known_until_a_reload(void **state)
{
	struct auth_digest right = digest_of("user", "pass"), wrong = digest_of("user", "Pass");

	auth_cache_add(&cache, &right, 1);
	assert_true(auth_cache_has(&cache, &right, 1));
	assert_false(auth_cache_has(&cache, &wrong, 1));
	assert_false(auth_cache_has(&cache, &right, 2));
	auth_cache_add(&cache, &right, 2);
	assert_true(auth_cache_has(&cache, &right, 2));
}

static void
verdict_of_an_older_set_is_not_believed(void **state)
{
	struct auth_digest digest = digest_of("user", "pass");

	auth_cache_add(&cache, &digest, 1); /* checked before, told after a reload */
	assert_false(auth_cache_has(&cache, &digest, 2));
}

static void
half_a_digest_is_no_match(void **state)
{
	struct auth_digest digest = digest_of("user", "pass"), other = digest;

	other.words[1] ^= 1;
	auth_cache_add(&cache, &digest, 1);
	assert_false(auth_cache_has(&cache, &other, 1));
}

#define cache_test(name) cmocka_unit_test_setup(name, setup)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cache_test(digest_is_siphash_of_128_bits),
	    cache_test(border_of_name_and_password_counts),
	    cache_test(empty_cache_knows_nobody),
	    cache_test(remembered_login_is_known_until_a_reload),
	    cache_test(verdict_of_an_older_set_is_not_believed),
	    cache_test(half_a_digest_is_no_match),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
