/*
 * memcached as Debian ships it, in a process of its own, over a Unix socket with pipelining.
 *
 * A batch is requests on different keys: the sets that its misses ask for go out before the next batch, so what
 * memcached sees is the trace in order. Gets are `mg`, which count as an access just as get does, but spare the way of
 * the value.
 *
 * Its clock: a replay takes seconds where the trace took hours. By default a small library (memcached_clock.c) hands
 * memcached the trace's time as the machine's, so that times to live mean what they mean to the others; with the real
 * clock next to nothing expires.
 */
#include "tests/bench/hit/memcached_clock.h"
#include "tests/bench/hit/replay.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define BATCH           256u
#define OUT_BYTES       (4u << 20)
#define IN_BYTES        (64u << 10) /* more than the answers of a batch */
#define START_TRIES     1000u
#define START_PAUSE_US  10000u
#define MEMCACHED_EPOCH 1000u /* seconds that its clock shows at the beginning */

struct peer {
	char directory[64], socket_path[96], clock_path[96];
	_Atomic uint64_t *clock; /* NULL: the machine's */
	pid_t pid;
	int fd;
	uint8_t *out;
	size_t out_len;
	char in[IN_BYTES];
	size_t in_at, in_len;
	uint64_t *seen; /* batch that each key was last in */
	uint64_t batch;
	uint8_t *value;
	/* what waits for its answer */
	const struct row *asked[2 * BATCH];
	uint32_t asked_len;
	uint32_t answers_before; /* of the last batch's sets, not read yet */
};

static _Noreturn void
peer_fail(const char *what)
{
	fprintf(stderr, "hit_replay: memcached: %s\n", what);
	exit(1);
}

static void
peer_exec(const struct peer *peer, size_t memory_bytes)
{
	char megabytes[32], library[512];
	ssize_t len = readlink("/proc/self/exe", library, sizeof(library) - 32);

	if (peer->clock && len > 0) {
		/* The library lies beside this program. */
		library[len] = '\0';
		strcpy(strrchr(library, '/') + 1, "memcached_clock.so");
		setenv("LD_PRELOAD", library, 1);
		setenv(MEMCACHED_CLOCK_ENV, peer->clock_path, 1);
	}
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	snprintf(megabytes, sizeof(megabytes), "%zu", memory_bytes >> 20);
	execlp("memcached", "memcached", "-u", "root", "-U", "0", "-t", "1", "-m", megabytes, "-s",
	    peer->socket_path, (char *)NULL);
	_exit(127);
}

static void
peer_clock_open(struct peer *peer)
{
	int fd = open(peer->clock_path, O_RDWR | O_CREAT | O_EXCL, 0600);

	if (fd < 0 || ftruncate(fd, 4096) != 0)
		peer_fail("no file for its clock");
	peer->clock = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (peer->clock == MAP_FAILED)
		peer_fail("no memory for its clock");
	atomic_store(peer->clock, MEMCACHED_EPOCH);
}

static void
peer_connect(struct peer *peer)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", peer->socket_path);
	peer->fd = socket(AF_UNIX, SOCK_STREAM, 0);
	for (unsigned i = 0; i < START_TRIES; i++) {
		if (connect(peer->fd, (struct sockaddr *)&address, sizeof(address)) == 0)
			return;
		if (waitpid(peer->pid, NULL, WNOHANG) == peer->pid)
			peer_fail("does not start; is it installed?");
		usleep(START_PAUSE_US);
	}
	peer_fail("does not listen");
}

static void
peer_open(struct peer *peer, const struct trace *trace, size_t memory_bytes, int virtual_clock)
{
	memset(peer, 0, sizeof(*peer));
	strcpy(peer->directory, "/tmp/hit_replay.XXXXXX");
	if (!mkdtemp(peer->directory))
		peer_fail("no directory for its socket");
	snprintf(peer->socket_path, sizeof(peer->socket_path), "%s/socket", peer->directory);
	snprintf(peer->clock_path, sizeof(peer->clock_path), "%s/clock", peer->directory);
	if (virtual_clock)
		peer_clock_open(peer);
	peer->out = malloc(OUT_BYTES);
	peer->value = calloc(1, TRACE_VALUE_MAX);
	peer->seen = calloc(trace->keys_len, sizeof(*peer->seen));
	if (!peer->out || !peer->value || !peer->seen)
		peer_fail("out of memory");
	peer->pid = fork();
	if (peer->pid < 0)
		peer_fail("cannot fork");
	if (peer->pid == 0)
		peer_exec(peer, memory_bytes);
	peer_connect(peer);
}

static void
peer_close(struct peer *peer)
{
	close(peer->fd);
	kill(peer->pid, SIGKILL);
	if (peer->clock)
		munmap((void *)peer->clock, 4096);
	waitpid(peer->pid, NULL, 0);
	unlink(peer->socket_path);
	unlink(peer->clock_path);
	rmdir(peer->directory);
	free(peer->out);
	free(peer->value);
	free(peer->seen);
}

static void
peer_receive(struct peer *peer)
{
	memmove(peer->in, peer->in + peer->in_at, peer->in_len - peer->in_at);
	peer->in_len -= peer->in_at;
	peer->in_at = 0;
	ssize_t got = recv(peer->fd, peer->in + peer->in_len, sizeof(peer->in) - peer->in_len, 0);
	if (got <= 0)
		peer_fail("hung up");
	peer->in_len += (size_t)got;
}

/* Reads meanwhile: memcached stops reading when its answers are not taken. */
static void
peer_flush(struct peer *peer)
{
	struct pollfd ready = {.fd = peer->fd, .events = POLLIN | POLLOUT};

	for (size_t at = 0; at < peer->out_len;) {
		ssize_t sent =
		    send(peer->fd, peer->out + at, peer->out_len - at, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (sent > 0) {
			at += (size_t)sent;
			continue;
		}
		if (errno != EAGAIN || poll(&ready, 1, -1) < 0)
			peer_fail("hung up");
		if (ready.revents & POLLIN)
			peer_receive(peer);
	}
	peer->out_len = 0;
}

static void
peer_put(struct peer *peer, const void *bytes, size_t len)
{
	while (len > 0) {
		size_t part = len < OUT_BYTES - peer->out_len ? len : OUT_BYTES - peer->out_len;
		memcpy(peer->out + peer->out_len, bytes, part);
		peer->out_len += part;
		bytes = (const uint8_t *)bytes + part;
		len -= part;
		if (peer->out_len == OUT_BYTES)
			peer_flush(peer);
	}
}

static void
peer_put_key(struct peer *peer, const char *word, const struct trace *trace, const struct row *row)
{
	char key[TRACE_KEY_MAX];
	uint32_t len = trace_key_write(trace, row->key, key);

	peer_put(peer, word, strlen(word));
	peer_put(peer, key, len);
}

static void
peer_put_set(struct peer *peer, const struct trace *trace, const struct row *row)
{
	char rest[64];
	uint32_t ttl_s = row->ttl_s > 30 * 86400 ? 30 * 86400 : row->ttl_s;

	peer_put_key(peer, "set ", trace, row);
	peer_put(peer, rest, (size_t)snprintf(rest, sizeof(rest), " 0 %u %u\r\n", ttl_s, row->value_bytes));
	peer_put(peer, peer->value, row->value_bytes);
	peer_put(peer, "\r\n", 2);
}

/* The first byte of the next line of an answer. */
static char
peer_answer(struct peer *peer)
{
	char first = '\0';

	for (;;) {
		if (peer->in_at == peer->in_len)
			peer_receive(peer);
		char c = peer->in[peer->in_at++];
		if (first == '\0')
			first = c;
		if (c == '\n')
			return first;
	}
}

static void
peer_ask(struct peer *peer, const struct trace *trace, const struct row *row)
{
	if (row->op == ROW_SET) {
		peer_put_set(peer, trace, row);
	} else {
		peer_put_key(peer, row->op == ROW_GET ? "mg " : "delete ", trace, row);
		peer_put(peer, "\r\n", 2);
	}
	peer->asked[peer->asked_len++] = row;
	peer->seen[row->key] = peer->batch;
}

/* Reads the batch's answers and sends the sets that they ask for with the next one. */
static void
peer_batch_end(struct peer *peer, const struct trace *trace, struct hit_count *count)
{
	uint32_t sets = 0;

	peer_flush(peer);
	while (peer->answers_before > 0) {
		peer_answer(peer);
		peer->answers_before--;
	}
	for (uint32_t i = 0; i < peer->asked_len; i++) {
		int hit = peer_answer(peer) == 'H';
		if (peer->asked[i]->op != ROW_GET)
			continue;
		count_get(count, trace, peer->asked[i], hit);
		if (!hit) {
			peer_put_set(peer, trace, peer->asked[i]);
			sets++;
		}
	}
	peer->answers_before = sets;
	peer->asked_len = 0;
	peer->batch++;
}

/* The next line of an answer; longer ones are cut. */
static void
peer_line(struct peer *peer, char *line, size_t size)
{
	size_t len = 0;

	for (;;) {
		if (peer->in_at == peer->in_len)
			peer_receive(peer);
		char c = peer->in[peer->in_at++];
		if (c == '\n')
			break;
		if (len + 1 < size)
			line[len++] = c;
	}
	line[len] = '\0';
}

static uint64_t
peer_items(struct peer *peer)
{
	char line[256];
	unsigned long long items = 0;

	peer_put(peer, "stats\r\n", 7);
	peer_flush(peer);
	for (; peer->answers_before > 0; peer->answers_before--)
		peer_answer(peer);
	for (peer_line(peer, line, sizeof(line)); strncmp(line, "END", 3) != 0;
	     peer_line(peer, line, sizeof(line)))
		sscanf(line, "STAT curr_items %llu", &items);
	return items;
}

static void
replay_peer(const struct trace *trace, size_t memory_bytes, int virtual_clock, struct hit_count *count)
{
	static struct peer peer;
	uint32_t now_s = 0;

	signal(SIGPIPE, SIG_IGN);
	peer_open(&peer, trace, memory_bytes, virtual_clock);
	peer.batch = 1;
	for (uint32_t i = 0; i < trace->rows_len; i++) {
		const struct row *row = &trace->rows[i];
		if (peer.asked_len == BATCH || peer.seen[row->key] == peer.batch)
			peer_batch_end(&peer, trace, count);
		if (peer.clock && row->time_s != now_s) {
			now_s = row->time_s;
			atomic_store(peer.clock, MEMCACHED_EPOCH + (uint64_t)now_s);
		}
		peer_ask(&peer, trace, row);
	}
	peer_batch_end(&peer, trace, count);
	count->items = peer_items(&peer);
	peer_close(&peer);
}

void
replay_memcached(const struct trace *trace, size_t memory_bytes, struct hit_count *count)
{
	replay_peer(trace, memory_bytes, 1, count);
}

void
replay_memcached_real_clock(const struct trace *trace, size_t memory_bytes, struct hit_count *count)
{
	replay_peer(trace, memory_bytes, 0, count);
}
