/*
 * A bridge that impairs what crosses it: the middle hop of `make bench-tcp`, for kernels without netem.
 *
 *   bridge CLIENT-INTERFACE SERVER-INTERFACE... [NAME=VALUE...]
 *
 * Frames from the client's interface go to the server interface whose address was seen as sender, or to all; frames of
 * a server go to the client. Each direction has its own rate, queue and chances; ARP passes untouched. What is kept of
 * an IP frame:
 *
 *   lost? -> queue and rate (tail drop) -> delay [+ jitter] [or none: it overtakes] -> out, once or twice
 *
 * Jitter is drawn for each frame alone, so it reorders. It works on AF_PACKET sockets with nobody's help but a timer,
 * in one thread, and says at SIGTERM what it did. All chances come from the seed: two runs with the same seed and the
 * same frames lose the same ones.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "tests/random.h"

#define PORTS_MAX           4
#define FRAMES_MAX          8192
#define FRAME_BYTES         2048
#define BURST               64
#define NS_PER_S            1000000000ull
#define SOCKET_BUFFER_BYTES (8 << 20)

struct settings {
	double loss_pct, duplicate_pct, reorder_pct; /* of the frames */
	double delay_us, jitter_us;                  /* each way; jitter: 0 to this, added */
	double rate_mbps;                            /* 0: as fast as it comes */
	double queue_us;                             /* what waits for the rate beyond this is dropped */
	double seed;
};

struct port {
	int fd;
	bool known;
	uint8_t mac[ETH_ALEN];
};

struct frame {
	uint64_t due_ns, order; /* order: frames due at one time leave as they came */
	uint32_t bytes;
	uint8_t to;
	uint8_t data[FRAME_BYTES];
};

struct direction {
	uint64_t free_ns; /* when the line has sent what it took */
	uint64_t random;
	uint64_t taken, lost, overflown, duplicated, overtaking;
};

struct bridge {
	struct settings set;
	struct port ports[PORTS_MAX];
	unsigned ports_len;
	struct direction directions[2]; /* from the client, from servers */
	struct frame *spare[FRAMES_MAX], *heap[FRAMES_MAX];
	unsigned spare_len, heap_len;
	uint64_t order;
};

static sig_atomic_t ended;

static void
end(int signal)
{
	(void)signal;
	ended = 1;
}

static void
die(const char *what)
{
	fprintf(stderr, "bridge: %s: %s\n", what, strerror(errno));
	exit(1);
}

static uint64_t
now_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
}

/* A share of one. */
static double
draw(struct direction *d)
{
	return (double)(random_next(&d->random) >> 11) / (double)(1ull << 53);
}

static bool
chance(struct direction *d, double percent)
{
	return draw(d) * 100 < percent;
}

/* ---- frames that wait, earliest first ---------------------------------------------------------- */

static bool
before(const struct frame *a, const struct frame *b)
{
	return a->due_ns != b->due_ns ? a->due_ns < b->due_ns : a->order < b->order;
}

static void
push(struct bridge *br, struct frame *f)
{
	unsigned i = br->heap_len++;
	for (; i && before(f, br->heap[(i - 1) / 2]); i = (i - 1) / 2)
		br->heap[i] = br->heap[(i - 1) / 2];
	br->heap[i] = f;
}

static struct frame *
pop(struct bridge *br)
{
	struct frame *top = br->heap[0], *last = br->heap[--br->heap_len];
	unsigned i = 0, child;
	while ((child = 2 * i + 1) < br->heap_len) {
		if (child + 1 < br->heap_len && before(br->heap[child + 1], br->heap[child]))
			child++;
		if (!before(br->heap[child], last))
			break;
		br->heap[i] = br->heap[child];
		i = child;
	}
	br->heap[i] = last;
	return top;
}

/* ---- in ---------------------------------------------------------------------------------------- */

static void
deliver_at(struct bridge *br, const struct frame *f, uint8_t to, uint64_t due_ns)
{
	if (!br->spare_len)
		return;
	struct frame *copy = br->spare[--br->spare_len];
	memcpy(copy->data, f->data, f->bytes);
	copy->bytes = f->bytes;
	copy->to = to;
	copy->due_ns = due_ns;
	copy->order = br->order++;
	push(br, copy);
}

static void
forward(struct bridge *br, unsigned from, const struct frame *f, uint64_t due_ns)
{
	if (from) {
		deliver_at(br, f, 0, due_ns);
		return;
	}
	unsigned to = 1;
	while (to < br->ports_len && !(br->ports[to].known && !memcmp(br->ports[to].mac, f->data, ETH_ALEN)))
		to++;
	for (unsigned i = 1; i < br->ports_len; i++)
		if (to == i || to == br->ports_len)
			deliver_at(br, f, (uint8_t)i, due_ns);
}

static void
impair(struct bridge *br, unsigned from, const struct frame *f, uint64_t now)
{
	const struct settings *s = &br->set;
	struct direction *d = &br->directions[!!from];
	/* As many draws a frame whatever comes of them, so that a setting changes only what it is about. */
	bool lost = chance(d, s->loss_pct), twice = chance(d, s->duplicate_pct);
	bool overtakes = chance(d, s->reorder_pct);
	double jitter_us = draw(d) * s->jitter_us;
	d->taken++;
	if (lost) {
		d->lost++;
		return;
	}
	uint64_t start = d->free_ns > now ? d->free_ns : now;
	if (s->rate_mbps > 0 && (double)(start - now) > s->queue_us * 1e3) {
		d->overflown++;
		return;
	}
	d->free_ns = start + (s->rate_mbps > 0 ? (uint64_t)(f->bytes * 8e3 / s->rate_mbps) : 0);
	uint64_t due = d->free_ns + (overtakes ? 0 : (uint64_t)((s->delay_us + jitter_us) * 1e3));
	d->overtaking += overtakes;
	d->duplicated += twice;
	forward(br, from, f, due);
	if (twice)
		forward(br, from, f, due);
}

static void
receive(struct bridge *br, unsigned from)
{
	static struct frame frames[BURST];
	struct mmsghdr messages[BURST] = {0};
	struct iovec parts[BURST];
	struct port *port = &br->ports[from];
	for (unsigned i = 0; i < BURST; i++) {
		parts[i] = (struct iovec){frames[i].data, FRAME_BYTES};
		messages[i].msg_hdr = (struct msghdr){.msg_iov = &parts[i], .msg_iovlen = 1};
	}
	int n = recvmmsg(port->fd, messages, BURST, MSG_DONTWAIT, NULL);
	uint64_t now = now_ns();
	for (int i = 0; i < n; i++) {
		struct frame *f = &frames[i];
		f->bytes = messages[i].msg_len;
		if (f->bytes < ETH_HLEN)
			continue;
		memcpy(port->mac, f->data + ETH_ALEN, ETH_ALEN);
		port->known = true;
		if (f->data[12] == ETHERTYPE_ARP >> 8 && f->data[13] == (ETHERTYPE_ARP & 0xff))
			forward(br, from, f, now);
		else
			impair(br, from, f, now);
	}
}

/* ---- out --------------------------------------------------------------------------------------- */

static void
send_due(struct bridge *br)
{
	uint64_t now = now_ns();
	while (br->heap_len && br->heap[0]->due_ns <= now) {
		struct frame *f = pop(br);
		/* A full queue of the interface: as good as lost. */
		(void)!send(br->ports[f->to].fd, f->data, f->bytes, 0);
		br->spare[br->spare_len++] = f;
	}
}

static void
run(struct bridge *br)
{
	struct pollfd fds[PORTS_MAX];
	for (unsigned i = 0; i < br->ports_len; i++)
		fds[i] = (struct pollfd){.fd = br->ports[i].fd, .events = POLLIN};
	while (!ended) {
		struct timespec wait = {.tv_sec = 1};
		if (br->heap_len) {
			uint64_t now = now_ns(), due = br->heap[0]->due_ns, left = due > now ? due - now : 0;
			wait = (struct timespec){
			    .tv_sec = (time_t)(left / NS_PER_S), .tv_nsec = (long)(left % NS_PER_S)};
		}
		if (ppoll(fds, br->ports_len, &wait, NULL) < 0 && errno != EINTR)
			die("poll");
		for (unsigned i = 0; i < br->ports_len; i++)
			if (fds[i].revents)
				receive(br, i);
		send_due(br);
	}
}

/* ---- beginning and end ------------------------------------------------------------------------- */

static bool
setting(struct settings *s, const char *text)
{
	const struct {
		const char *name;
		double *value;
	} known[] = {
	    {"loss=", &s->loss_pct},
	    {"duplicate=", &s->duplicate_pct},
	    {"reorder=", &s->reorder_pct},
	    {"delay_us=", &s->delay_us},
	    {"jitter_us=", &s->jitter_us},
	    {"rate_mbps=", &s->rate_mbps},
	    {"queue_us=", &s->queue_us},
	    {"seed=", &s->seed},
	};
	for (unsigned i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		size_t len = strlen(known[i].name);
		char *rest;
		if (strncmp(text, known[i].name, len) != 0)
			continue;
		*known[i].value = strtod(text + len, &rest);
		return rest != text + len && !*rest && *known[i].value >= 0;
	}
	return false;
}

static void
open_port(struct port *port, const char *name)
{
	struct sockaddr_ll at = {.sll_family = AF_PACKET,
	    .sll_protocol = htons(ETH_P_ALL),
	    .sll_ifindex = (int)if_nametoindex(name)};
	int one = 1, bytes = SOCKET_BUFFER_BYTES;
	port->fd = socket(AF_PACKET, SOCK_RAW, 0);
	if (port->fd < 0 || !at.sll_ifindex || bind(port->fd, (struct sockaddr *)&at, sizeof(at)) != 0 ||
	    setsockopt(port->fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &one, sizeof(one)) != 0 ||
	    setsockopt(port->fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof(bytes)) != 0)
		die(name);
}

static void
say(const char *from, const struct direction *d)
{
	printf("%s: %" PRIu64 " frames, lost %" PRIu64 ", overflown %" PRIu64 ", twice %" PRIu64
	       ", overtaking %" PRIu64 "\n",
	    from, d->taken, d->lost, d->overflown, d->duplicated, d->overtaking);
}

int
main(int argc, char **argv)
{
	static struct bridge br = {.set = {.queue_us = 15000, .seed = 1}};
	for (int i = 1; i < argc; i++) {
		if (!strchr(argv[i], '=') && br.ports_len < PORTS_MAX) {
			open_port(&br.ports[br.ports_len++], argv[i]);
		} else if (!setting(&br.set, argv[i])) {
			fprintf(stderr, "bridge: what is %s?\n", argv[i]);
			return 2;
		}
	}
	if (br.ports_len < 2) {
		fputs("usage: bridge CLIENT-INTERFACE SERVER-INTERFACE... [NAME=VALUE...]\n", stderr);
		return 2;
	}
	struct frame *frames = calloc(FRAMES_MAX, sizeof(*frames));
	if (!frames)
		die("memory");
	while (br.spare_len < FRAMES_MAX)
		br.spare[br.spare_len] = &frames[br.spare_len], br.spare_len++;
	for (unsigned i = 0; i < 2; i++)
		br.directions[i].random = (uint64_t)br.set.seed * 2 + i;
	prctl(PR_SET_TIMERSLACK, 1);
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	signal(SIGTERM, end);
	puts("ready");
	fflush(stdout);
	run(&br);
	say("from the client", &br.directions[0]);
	say("from servers", &br.directions[1]);
	free(frames);
	return 0;
}
