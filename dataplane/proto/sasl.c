/*
 * See sasl.h.
 */
#include "dataplane/proto/sasl.h"

#include <string.h>

#include "dataplane/proto/digits.h"

#define LOGIN_WORDS 5u /* set, key, flags, exptime, bytes */

struct word {
	const uint8_t *bytes;
	uint32_t len;
};

bool
proto_sasl_is_plain(const uint8_t *name, uint32_t len)
{
	static const char plain[] = "plain";

	if (len != sizeof(plain) - 1)
		return false;
	for (uint32_t i = 0; i < len; i++) {
		if ((name[i] | 0x20) != plain[i])
			return false;
	}
	return true;
}

static bool
lengths_fit(const struct proto_credentials *credentials)
{
	return credentials->user_len - 1 < PROTO_USER_MAX &&
	       credentials->password_len - 1 < PROTO_PASSWORD_MAX;
}

bool
proto_sasl_plain(const uint8_t *message, uint32_t len, struct proto_credentials *credentials)
{
	const uint8_t *end = message + len, *user, *password;

	user = len != 0 ? memchr(message, '\0', len) : NULL;
	if (user == NULL)
		return false;
	user++;
	password = user < end ? memchr(user, '\0', (size_t)(end - user)) : NULL;
	if (password == NULL)
		return false;
	password++;
	*credentials = (struct proto_credentials){
	    .user = user,
	    .user_len = (uint32_t)(password - 1 - user),
	    .password = password,
	    .password_len = (uint32_t)(end - password),
	};
	if (!lengths_fit(credentials) || memchr(password, '\0', credentials->password_len) != NULL)
		return false;
	return user - 1 == message || ((uint32_t)(user - 1 - message) == credentials->user_len &&
	                                  memcmp(message, user, credentials->user_len) == 0);
}

/* The next word from *at on; false: there is none. */
static bool
next_word(const uint8_t **at, const uint8_t *end, struct word *word)
{
	while (*at < end && **at == ' ')
		(*at)++;
	word->bytes = *at;
	while (*at < end && **at != ' ')
		(*at)++;
	word->len = (uint32_t)(*at - word->bytes);
	return word->len != 0;
}

bool
proto_login_block(const uint8_t *block, uint32_t len, struct proto_credentials *credentials)
{
	const uint8_t *end = block + len;
	struct word user, password;

	if (!next_word(&block, end, &user) || !next_word(&block, end, &password))
		return false;
	*credentials = (struct proto_credentials){user.bytes, password.bytes, user.len, password.len};
	return lengths_fit(credentials) && memchr(user.bytes, '\0', user.len) == NULL &&
	       memchr(password.bytes, '\0', password.len) == NULL;
}

bool
proto_login_line(const uint8_t *line, uint32_t len, uint32_t *block_bytes)
{
	const uint8_t *end = line + len;
	struct word words[LOGIN_WORDS];
	uint64_t number;

	for (unsigned i = 0; i < LOGIN_WORDS; i++) {
		if (!next_word(&line, end, &words[i]))
			return false;
	}
	if (words[0].len != 3 || memcmp(words[0].bytes, "set", 3) != 0 ||
	    !proto_get_u64(words[4].bytes, words[4].len, &number) || number > UINT32_MAX)
		return false;
	*block_bytes = (uint32_t)number;
	return true;
}
