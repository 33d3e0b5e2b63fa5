/*
 * See login.h.
 */
#include "dataplane/login.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "dataplane/worker.h"

struct login_desk {
	struct worker *worker;
	struct auth *auth;
	struct login *free;
	struct auth_cache cache;
	struct login logins[LOGIN_DESK_MAX];
};

struct login_desk *
login_desk_create(struct worker *worker, struct auth *auth)
{
	struct login_desk *desk = calloc(1, sizeof(*desk));
	uint8_t key[16];

	if (desk == NULL)
		return NULL;
	if (getrandom(key, sizeof(key), 0) != sizeof(key)) {
		free(desk);
		return NULL;
	}
	desk->worker = worker;
	desk->auth = auth;
	auth_cache_init(&desk->cache, key);
	for (unsigned i = 0; i < LOGIN_DESK_MAX; i++) {
		desk->logins[i].answer_to = &worker->mailbox;
		desk->logins[i].next_free = desk->free;
		desk->free = &desk->logins[i];
	}
	return desk;
}

void
login_desk_destroy(struct login_desk *desk)
{
	if (desk == NULL)
		return;
	explicit_bzero(desk, sizeof(*desk));
	free(desk);
}

static void
login_put(struct login_desk *desk, struct login *login)
{
	explicit_bzero(login->password, sizeof(login->password));
	login->session = NULL;
	login->conn = NULL;
	login->next_free = desk->free;
	desk->free = login;
}

static void
copy_text(char *to, const uint8_t *bytes, uint32_t len)
{
	memcpy(to, bytes, len);
	to[len] = '\0';
}

enum serve_login
login_begin(void *ctx, struct serve_session *session, const struct proto_credentials *credentials)
{
	struct login_desk *desk = ctx;
	struct worker_counters *counters = &desk->worker->counters;
	struct auth_digest digest = auth_cache_digest(&desk->cache, credentials->user, credentials->user_len,
	    credentials->password, credentials->password_len);
	struct login *login = desk->free;

	if (auth_cache_has(&desk->cache, &digest, auth_generation(desk->auth))) {
		counters->logins_cached++;
		return SERVE_LOGIN_GRANTED;
	}
	if (login == NULL) {
		counters->logins_busy++;
		return SERVE_LOGIN_REFUSED;
	}
	desk->free = login->next_free;
	copy_text(login->user, credentials->user, credentials->user_len);
	copy_text(login->password, credentials->password, credentials->password_len);
	login->digest = digest;
	login->session = session;
	login->conn = tcp_app_conn(desk->worker);
	if (!auth_submit(desk->auth, login)) {
		counters->logins_busy++;
		login_put(desk, login);
		return SERVE_LOGIN_REFUSED;
	}
	counters->logins_hashed++;
	return SERVE_LOGIN_PENDING;
}

void
login_cancel(void *ctx, struct serve_session *session)
{
	struct login_desk *desk = ctx;

	for (unsigned i = 0; i < LOGIN_DESK_MAX; i++) {
		if (desk->logins[i].session == session)
			desk->logins[i].session = NULL;
	}
}

void
login_done(struct login_desk *desk, struct login *login)
{
	struct serve_session *session = login->session;
	struct tcp_conn *conn = login->conn;
	bool granted = login->granted;

	if (granted)
		auth_cache_add(&desk->cache, &login->digest, login->generation);
	login_put(desk, login);
	if (session == NULL)
		return;
	serve_auth_verdict(session, granted);
	tcp_app_go_on(desk->worker, conn);
}
