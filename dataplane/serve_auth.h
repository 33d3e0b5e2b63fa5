/*
 * Logins, for the files of serve: SASL over the binary protocol, and memcached's text login (-Y).
 *
 * Whether a password is right is the host's to say (struct serve_host.auth_begin), perhaps later: hashes of passwords
 * are slow on purpose and a worker never waits. Until the verdict comes the session takes nothing more; its replies
 * stay in order.
 */
#ifndef WIRECACHE_SERVE_AUTH_H
#define WIRECACHE_SERVE_AUTH_H

#include "dataplane/proto/binary.h"
#include "dataplane/proto/sasl.h"
#include "dataplane/serve_internal.h"

#define SERVE_SASL_VALUE_MAX PROTO_SASL_PLAIN_MAX

/* Bytes of a SASL request's value that must be there before it is answered; 0: it is only thrown away. */
uint32_t serve_auth_value_bytes(const struct serve *serve, const struct proto_binary *request);

/* One step of a text login: its line, its block. */
enum serve_state serve_auth_login_step(struct serve_call *call);

/* Goes on with a login whose verdict was awaited; SERVE_FULL while it still is. */
enum serve_state serve_auth_resume(struct serve_call *call);

/* Tells the host that nobody waits for the session's verdict any more, if one was awaited. */
void serve_auth_forget(struct serve_session *session);

#endif
