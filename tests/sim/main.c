/*
 * build/sim --cases N --seed S [--jobs J] [--verbose]: runs cases S, S+1, ... in J processes and ends with
 * one TAP line. A failing case prints its seed: replay it with --seed X --cases 1 --verbose.
 */
#include "sim.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/net/testpool.h"

#define TX_MBUFS             64u
#define RX_MBUFS             512u
#define FAILURES_MAX         5u
#define NO_HANDSHAKE_MAX_PPM 30000u

struct options {
	uint64_t cases, seed;
	unsigned jobs;
	bool verbose;
};

struct totals {
	uint64_t failed, segments, no_handshake;
};

/* Every jobs-th case, beginning with the index-th. */
static struct totals
run_share(const struct options *o, unsigned index)
{
	struct totals t = {0};
	struct sim_pools pools = {.tx = {testpool_create(TX_MBUFS, 0), testpool_create(TX_MBUFS, 0)},
	    .heads = {testpool_create(TX_MBUFS, 0), testpool_create(TX_MBUFS, 0)},
	    .rx = testpool_create(RX_MBUFS, 0)};
	for (uint64_t i = index; i < o->cases && t.failed < FAILURES_MAX; i += o->jobs) {
		bool no_handshake = false;
		t.failed += !sim_run_case(o->seed + i, &pools, o->verbose, &t.segments, &no_handshake);
		t.no_handshake += no_handshake;
	}
	testpool_destroy(pools.tx[0]);
	testpool_destroy(pools.tx[1]);
	testpool_destroy(pools.heads[0]);
	testpool_destroy(pools.heads[1]);
	testpool_destroy(pools.rx);
	fflush(stdout);
	return t;
}

/* A child that dies (a sanitizer, a signal) writes no totals: that is a failure too. */
static struct totals
run_child(const struct options *o, unsigned index, int fd)
{
	struct totals t = run_share(o, index);
	if (write(fd, &t, sizeof(t)) != (ssize_t)sizeof(t))
		_exit(1);
	_exit(0);
}

static struct totals
run_all(const struct options *o)
{
	struct totals sum = {0};
	int pipes[2];
	if (o->jobs == 1)
		return run_share(o, 0);
	if (pipe(pipes) != 0)
		abort();
	fflush(stdout);
	for (unsigned i = 0; i < o->jobs; i++) {
		pid_t pid = fork();
		if (pid < 0)
			abort();
		if (pid == 0) {
			close(pipes[0]);
			run_child(o, i, pipes[1]);
		}
	}
	close(pipes[1]);
	struct totals t;
	unsigned reports = 0;
	while (read(pipes[0], &t, sizeof(t)) == (ssize_t)sizeof(t)) {
		sum.failed += t.failed;
		sum.segments += t.segments;
		sum.no_handshake += t.no_handshake;
		reports++;
	}
	while (wait(NULL) > 0) {
	}
	sum.failed += o->jobs - reports;
	return sum;
}

int
main(int argc, char **argv)
{
	static const struct option names[] = {{"cases", required_argument, NULL, 'n'},
	    {"seed", required_argument, NULL, 's'}, {"jobs", required_argument, NULL, 'j'},
	    {"verbose", no_argument, NULL, 'v'}, {0}};
	struct options o = {.cases = 1000, .seed = 1, .jobs = 2};
	for (int c; (c = getopt_long(argc, argv, "", names, NULL)) != -1;) {
		if (c == 'n')
			o.cases = strtoull(optarg, NULL, 0);
		else if (c == 's')
			o.seed = strtoull(optarg, NULL, 0);
		else if (c == 'j')
			o.jobs = (unsigned)strtoul(optarg, NULL, 0);
		else if (c == 'v')
			o.verbose = true;
		else
			return 2;
	}
	if (o.jobs == 0 || o.jobs > 64)
		return 2;
	struct totals t = run_all(&o);
	bool too_many = o.cases >= 1000 && t.no_handshake * 1000000 > o.cases * NO_HANDSHAKE_MAX_PPM;
	if (too_many)
		printf("# %llu cases without a handshake\n", (unsigned long long)t.no_handshake);
	bool ok = t.failed == 0 && !too_many;
	printf(
	    "%s 1 - simulation of %llu cases from seed %llu, %llu segments, %llu without a handshake\n1..1\n",
	    ok ? "ok" : "not ok", (unsigned long long)o.cases, (unsigned long long)o.seed,
	    (unsigned long long)t.segments, (unsigned long long)t.no_handshake);
	return ok ? 0 : 1;
}
