/*
 * See auth.h. The lock is held to find a hash and to exchange the set, never while hashing, and no worker takes it.
 */
#include "dataplane/auth.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define VERDICT_RETRY_US 1000 /* a worker's mailbox is full: it is asked again */
#define NICENESS         10 /* hashing must not starve what shares the core: the control thread, or a worker */

struct auth {
	char *path;
	pthread_mutex_t lock;
	struct credentials *credentials; /* under the lock */
	_Atomic uint64_t generation;     /* written under the lock */
	struct mailbox inbox;
	pthread_t thread;
	bool running;
	atomic_bool stop;
};

/* ---- the thread ------------------------------------------------------------------------------- */

static void
check(struct auth *auth, struct login *login)
{
	char hash[CREDENTIALS_HASH_MAX];
	bool known, match;

	pthread_mutex_lock(&auth->lock);
	known = credentials_find(auth->credentials, login->user, strlen(login->user), hash);
	login->generation = atomic_load_explicit(&auth->generation, memory_order_relaxed);
	pthread_mutex_unlock(&auth->lock);
	match = credentials_match(hash, login->password);
	login->granted = known && match;
	explicit_bzero(login->password, sizeof(login->password));
	explicit_bzero(hash, sizeof(hash));
}

static bool
stopping(const struct auth *auth)
{
	return atomic_load_explicit(&auth->stop, memory_order_relaxed);
}

static void
rest(struct auth *auth)
{
	struct pollfd wake = {.fd = auth->inbox.wake_fd, .events = POLLIN};

	if (!mailbox_sleep_begin(&auth->inbox))
		return;
	if (!stopping(auth))
		poll(&wake, 1, -1);
	mailbox_sleep_end(&auth->inbox);
}

static void *
run(void *arg)
{
	struct auth *auth = arg;
	struct message message;

	/* Best effort: without it hashing competes on equal terms. */
	(void)setpriority(PRIO_PROCESS, (id_t)gettid(), NICENESS);
	while (!stopping(auth)) {
		if (!mailbox_receive(&auth->inbox, &message)) {
			rest(auth);
			continue;
		}
		check(auth, message.login);
		message.type = MESSAGE_LOGIN_DONE;
		while (!mailbox_send(message.login->answer_to, &message) && !stopping(auth))
			usleep(VERDICT_RETRY_US);
	}
	return NULL;
}

/* ---- the control thread ----------------------------------------------------------------------- */

struct auth *
auth_create(const char *path, char error[CREDENTIALS_ERROR_MAX])
{
	struct auth *auth = calloc(1, sizeof(*auth));

	if (auth == NULL || (auth->path = strdup(path)) == NULL) {
		snprintf(error, CREDENTIALS_ERROR_MAX, "%s: no memory", path);
		free(auth);
		return NULL;
	}
	pthread_mutex_init(&auth->lock, NULL);
	atomic_init(&auth->generation, 1);
	auth->credentials = credentials_load(path, error);
	if (auth->credentials != NULL)
		return auth;
	auth_destroy(auth);
	return NULL;
}

int
auth_start(struct auth *auth)
{
	sigset_t all, before;
	int rc = mailbox_open(&auth->inbox, "logins", -1);

	if (rc != 0)
		return rc;
	/* No signal is for this thread: those of the control thread and of TAP queues stay with theirs. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	rc = -pthread_create(&auth->thread, NULL, run, auth);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	auth->running = rc == 0;
	if (rc == 0)
		pthread_setname_np(auth->thread, "logins");
	return rc;
}

void
auth_stop(struct auth *auth)
{
	if (auth == NULL || !auth->running)
		return;
	atomic_store_explicit(&auth->stop, true, memory_order_relaxed);
	mailbox_wake(&auth->inbox);
	pthread_join(auth->thread, NULL);
	auth->running = false;
}

void
auth_destroy(struct auth *auth)
{
	if (auth == NULL)
		return;
	if (auth->inbox.ring != NULL)
		mailbox_close(&auth->inbox);
	credentials_free(auth->credentials);
	pthread_mutex_destroy(&auth->lock);
	free(auth->path);
	free(auth);
}

int
auth_reload(struct auth *auth, char error[CREDENTIALS_ERROR_MAX])
{
	struct credentials *loaded = credentials_load(auth->path, error), *old;

	if (loaded == NULL)
		return -EINVAL;
	pthread_mutex_lock(&auth->lock);
	old = auth->credentials;
	auth->credentials = loaded;
	atomic_fetch_add_explicit(&auth->generation, 1, memory_order_release);
	pthread_mutex_unlock(&auth->lock);
	credentials_free(old);
	return 0;
}

int
auth_reload_from(struct auth *auth, const char *path, char error[CREDENTIALS_ERROR_MAX])
{
	char *before = auth->path;
	int rc = -ENOMEM;

	auth->path = strdup(path);
	if (auth->path != NULL)
		rc = auth_reload(auth, error);
	else
		snprintf(error, CREDENTIALS_ERROR_MAX, "%s: no memory", path);
	if (rc == 0) {
		free(before);
		return 0;
	}
	free(auth->path);
	auth->path = before;
	return rc;
}

/* ---- the workers ------------------------------------------------------------------------------ */

bool
auth_submit(struct auth *auth, struct login *login)
{
	struct message message = {.type = MESSAGE_LOGIN, .login = login};

	return mailbox_send(&auth->inbox, &message);
}

uint64_t
auth_generation(const struct auth *auth)
{
	/* Nothing is read through it: a login during a reload may count under either set. */
	return atomic_load_explicit(&auth->generation, memory_order_relaxed);
}
