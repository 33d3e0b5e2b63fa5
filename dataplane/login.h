/*
 * A worker's desk for logins: what serve asks of its host (struct serve_host.auth_begin), between the connection that
 * waits and the login service. Logins that were right lately are known at once.
 *
 * Threads: the worker's; creation and destruction by the control thread, around the worker's life: the service may
 * hold a login until auth_stop().
 */
#ifndef WIRECACHE_LOGIN_H
#define WIRECACHE_LOGIN_H

#include "dataplane/auth.h"
#include "dataplane/serve.h"

#define LOGIN_DESK_MAX 64u /* logins of a worker being checked at once; more are refused and counted */

struct worker;
struct login_desk;

struct login_desk *login_desk_create(struct worker *worker, struct auth *auth);
void login_desk_destroy(struct login_desk *desk); /* NULL is fine */

/* For struct serve_host; ctx is the desk. */
enum serve_login login_begin(
    void *ctx, struct serve_session *session, const struct proto_credentials *credentials);
void login_cancel(void *ctx, struct serve_session *session);

/* A verdict came (MESSAGE_LOGIN_DONE): its session goes on. */
void login_done(struct login_desk *desk, struct login *login);

#endif
