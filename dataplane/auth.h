/*
 * The login service: one thread beside the workers that hashes passwords. A hash takes milliseconds on purpose, so no
 * worker computes one: it hands a login over and goes on, and the verdict comes to its mailbox.
 *
 * Threads: auth_submit() and auth_generation() any worker; the others the control thread. The credentials may be
 * replaced while logins are being checked.
 */
#ifndef WIRECACHE_AUTH_H
#define WIRECACHE_AUTH_H

#include <stdbool.h>
#include <stdint.h>

#include "dataplane/auth_cache.h"
#include "dataplane/credentials.h"
#include "dataplane/mailbox.h"
#include "dataplane/proto/sasl.h"

struct auth;
struct serve_session;
struct tcp_conn;

/*
 * One login being checked. It belongs to its worker's desk (login.h); between auth_submit() and MESSAGE_LOGIN_DONE
 * the service reads the first part and writes the verdict, and the worker touches neither.
 */
struct login {
	struct mailbox *answer_to;
	char user[PROTO_USER_MAX + 1], password[PROTO_PASSWORD_MAX + 1];
	bool granted;        /* the verdict */
	uint64_t generation; /* of the credentials that it comes from */

	/* The worker's. */
	struct auth_digest digest;
	struct serve_session *session; /* NULL: nobody waits any more */
	struct tcp_conn *conn;
	struct login *next_free;
};

/* Loads the file; nothing runs yet. NULL on failure with one sentence for the operator. */
struct auth *auth_create(const char *path, char error[CREDENTIALS_ERROR_MAX]);

/* Starts the thread, where the caller may run. 0 or negative errno. The EAL must be up. */
int auth_start(struct auth *auth);

/* Ends the thread; logins that wait stay without a verdict. Before the workers' desks go. */
void auth_stop(struct auth *auth);

void auth_destroy(struct auth *auth); /* after auth_stop(); NULL is fine */

/* Reads the file again. On failure (negative errno, one sentence) the old names and hashes stay. */
int auth_reload(struct auth *auth, char error[CREDENTIALS_ERROR_MAX]);

/* The same from another file, which becomes its file if it is good. */
int auth_reload_from(struct auth *auth, const char *path, char error[CREDENTIALS_ERROR_MAX]);

/* Any worker. False: too many are waiting, and the login is the caller's again. */
bool auth_submit(struct auth *auth, struct login *login);

/* Grows with each reload, from 1: what was found right under an older one counts no more. */
uint64_t auth_generation(const struct auth *auth);

#endif
