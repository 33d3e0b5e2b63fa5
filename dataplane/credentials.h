/*
 * Names and password hashes from a file: one "user:hash" a line, hashes as crypt(3) makes them. Empty lines and lines
 * that begin with # are skipped.
 *
 * Accepted are yescrypt ($y$, $gy$), scrypt ($7$), bcrypt ($2b$, $2y$, $2a$) and SHA-512 crypt ($6$). Plain passwords
 * and what Debian's crypt calls legacy are refused: the file would be worth stealing.
 *
 * Threads: a set does not change once it is loaded, any thread may read it. credentials_match() takes milliseconds or
 * more, on purpose: never on a worker.
 */
#ifndef WIRECACHE_CREDENTIALS_H
#define WIRECACHE_CREDENTIALS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CREDENTIALS_USERS_MAX 4096u
#define CREDENTIALS_FILE_MAX  (1u << 20) /* bytes */
#define CREDENTIALS_HASH_MAX  256u       /* with its NUL; crypt's longest is 233 */
#define CREDENTIALS_ERROR_MAX 512u

struct credentials;

/* NULL on failure, with one sentence for the operator in error. No sentence ever contains what may be a password. */
struct credentials *credentials_load(const char *path, char error[CREDENTIALS_ERROR_MAX]);

/* The same from text, named `name` in errors. */
struct credentials *credentials_parse(
    const char *name, const char *text, size_t bytes, char error[CREDENTIALS_ERROR_MAX]);

void credentials_free(struct credentials *credentials);

size_t credentials_len(const struct credentials *credentials);

/*
 * Copies the user's hash; false for an unknown user: then the hash is somebody's all the same, so that checking it
 * takes as long as for a known one.
 */
bool credentials_find(const struct credentials *credentials, const char *user, size_t user_len,
    char hash[CREDENTIALS_HASH_MAX]);

/* Whether the password (NUL-terminated) has that hash. False too when there is no memory for hashing. */
bool credentials_match(const char *hash, const char *password);

#endif
