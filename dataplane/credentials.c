/*
 * See credentials.h.
 */
#include "dataplane/credentials.h"

#include <crypt.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HOW_TO "make one with `mkpasswd -m yescrypt` or `openssl passwd -6`"

struct entry {
	const char *user, *hash; /* into text */
	size_t user_len;
	unsigned line;
};

struct credentials {
	char *text; /* the file, lines cut into strings */
	size_t bytes;
	size_t len;
	struct entry entries[CREDENTIALS_USERS_MAX];
};

/* Hashes by their first characters, and how many characters of digest end them (bcrypt's salt runs into it). */
static const struct method {
	const char *prefix;
	size_t digest_len;
} methods[] = {
    {"$y$", 43},
    {"$gy$", 43},
    {"$7$", 43},
    {"$2b$", 53},
    {"$2y$", 53},
    {"$2a$", 53},
    {"$6$", 86},
};

static __attribute__((format(printf, 2, 3))) int
fail(char error[CREDENTIALS_ERROR_MAX], const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(error, CREDENTIALS_ERROR_MAX, format, args);
	va_end(args);
	return -EINVAL;
}

/* A whole hash, not only a setting: one that lost its end in an editor would refuse its user for ever. */
static bool
hash_good(const char *hash)
{
	for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
		if (strncmp(hash, methods[i].prefix, strlen(methods[i].prefix)) != 0)
			continue;
		const char *digest = strrchr(hash, '$') + 1;

		return strlen(hash) < CREDENTIALS_HASH_MAX && strlen(digest) == methods[i].digest_len &&
		       crypt_checksalt(hash) == CRYPT_SALT_OK;
	}
	return false;
}

static const struct entry *
find(const struct credentials *credentials, const char *user, size_t user_len)
{
	for (size_t i = 0; i < credentials->len; i++) {
		const struct entry *entry = &credentials->entries[i];

		if (entry->user_len == user_len && memcmp(entry->user, user, user_len) == 0)
			return entry;
	}
	return NULL;
}

/* One line without its end, NUL-terminated. */
static int
take_line(struct credentials *credentials, const char *name, unsigned line, char *text,
    char error[CREDENTIALS_ERROR_MAX])
{
	char *colon = strchr(text, ':');
	const struct entry *other;
	size_t user_len;

	if (*text == '\0' || *text == '#')
		return 0;
	if (colon == NULL || colon == text)
		return fail(error, "%s:%u: expected user:hash; " HOW_TO, name, line);
	user_len = (size_t)(colon - text);
	*colon = '\0';
	if (user_len > UINT8_MAX)
		return fail(error, "%s:%u: the user's name is longer than %u bytes", name, line, UINT8_MAX);
	if (!hash_good(colon + 1))
		return fail(error,
		    "%s:%u: what follows \"%.60s:\" is no hash of a password (yescrypt, bcrypt or SHA-512 "
		    "crypt), and plain passwords are not taken: " HOW_TO,
		    name, line, text);
	other = find(credentials, text, user_len);
	if (other != NULL)
		return fail(error, "%s:%u: user \"%.60s\" is already in line %u: remove one", name, line,
		    text, other->line);
	if (credentials->len == CREDENTIALS_USERS_MAX)
		return fail(
		    error, "%s:%u: one user too many: there may be %u", name, line, CREDENTIALS_USERS_MAX);
	credentials->entries[credentials->len++] = (struct entry){text, colon + 1, user_len, line};
	return 0;
}

static int
take_text(struct credentials *credentials, const char *name, char error[CREDENTIALS_ERROR_MAX])
{
	char *at = credentials->text, *end = at + credentials->bytes;

	for (unsigned line = 1; at < end; line++) {
		char *feed = memchr(at, '\n', (size_t)(end - at));
		char *next = feed != NULL ? feed + 1 : end;
		int rc;

		if (feed == NULL)
			feed = end;
		if (memchr(at, '\0', (size_t)(feed - at)) != NULL)
			return fail(
			    error, "%s:%u: a NUL byte is in this line: is this the right file?", name, line);
		*feed = '\0';
		if (feed > at && feed[-1] == '\r')
			feed[-1] = '\0';
		rc = take_line(credentials, name, line, at, error);
		if (rc != 0)
			return rc;
		at = next;
	}
	if (credentials->len == 0)
		return fail(
		    error, "%s: no user in it, so nobody could log in: add lines user:hash; " HOW_TO, name);
	return 0;
}

struct credentials *
credentials_parse(const char *name, const char *text, size_t bytes, char error[CREDENTIALS_ERROR_MAX])
{
	struct credentials *credentials = calloc(1, sizeof(*credentials));

	if (credentials != NULL)
		credentials->text = malloc(bytes + 1);
	if (credentials == NULL || credentials->text == NULL) {
		fail(error, "%s: no memory", name);
		credentials_free(credentials);
		return NULL;
	}
	memcpy(credentials->text, text, bytes);
	credentials->text[bytes] = '\0';
	credentials->bytes = bytes;
	if (take_text(credentials, name, error) == 0)
		return credentials;
	credentials_free(credentials);
	return NULL;
}

struct credentials *
credentials_load(const char *path, char error[CREDENTIALS_ERROR_MAX])
{
	struct credentials *credentials = NULL;
	FILE *file = fopen(path, "re");
	char *text;
	size_t bytes;

	if (file == NULL) {
		fail(error, "%s: cannot be read: %s", path, strerror(errno));
		return NULL;
	}
	text = malloc(CREDENTIALS_FILE_MAX + 1);
	bytes = text != NULL ? fread(text, 1, CREDENTIALS_FILE_MAX + 1, file) : 0;
	if (text == NULL || ferror(file))
		fail(error, "%s: cannot be read: %s", path, strerror(text == NULL ? ENOMEM : EIO));
	else if (bytes > CREDENTIALS_FILE_MAX)
		fail(error, "%s: larger than %u bytes: is this the right file?", path, CREDENTIALS_FILE_MAX);
	else
		credentials = credentials_parse(path, text, bytes, error);
	if (text != NULL)
		explicit_bzero(text, bytes);
	free(text);
	fclose(file);
	return credentials;
}

void
credentials_free(struct credentials *credentials)
{
	if (credentials == NULL)
		return;
	if (credentials->text != NULL)
		explicit_bzero(credentials->text, credentials->bytes);
	free(credentials->text);
	free(credentials);
}

size_t
credentials_len(const struct credentials *credentials)
{
	return credentials->len;
}

bool
credentials_find(
    const struct credentials *credentials, const char *user, size_t user_len, char hash[CREDENTIALS_HASH_MAX])
{
	const struct entry *entry = find(credentials, user, user_len);

	snprintf(
	    hash, CREDENTIALS_HASH_MAX, "%s", entry != NULL ? entry->hash : credentials->entries[0].hash);
	return entry != NULL;
}

/* Looks at every byte, so that its time says nothing of how far they agree. */
static bool
equal_slowly(const char *a, const char *b, size_t len)
{
	unsigned char differ = 0;

	for (size_t i = 0; i < len; i++)
		differ |= (unsigned char)(a[i] ^ b[i]);
	return differ == 0;
}

bool
credentials_match(const char *hash, const char *password)
{
	struct crypt_data *scratch = calloc(1, sizeof(*scratch));
	const char *made;
	bool match;

	if (scratch == NULL)
		return false;
	made = crypt_rn(password, hash, scratch, (int)sizeof(*scratch));
	match = made != NULL && strlen(made) == strlen(hash) && equal_slowly(made, hash, strlen(hash));
	explicit_bzero(scratch, sizeof(*scratch));
	free(scratch);
	return match;
}
