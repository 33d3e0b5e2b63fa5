#!/usr/bin/python3
"""Two workers on one CPU: both are used, and a key stored through one is seen through the other."""
import os

import appliance
from appliance import exchange, fetched, store, test


def connections_by_worker(target):
    return [worker["connections"] for worker in target.json("worker", "show")]


@test(appliance_only=True)
def connections_spread_over_both_workers(target):
    streams = [target.connect() for _ in range(64)]
    for stream in streams:
        exchange(stream, b"get spread\r\n", b"END\r\n")
    spread = connections_by_worker(target)
    appliance.note(f"64 connections: {spread}")
    assert len(spread) == 2 and min(spread) >= 8, spread
    for stream in streams:
        stream.close()


@test(appliance_only=True)
def key_stored_by_any_worker_is_seen_by_all(target):
    streams = [target.connect() for _ in range(32)]
    assert min(connections_by_worker(target)) > 0
    for number, stream in enumerate(streams):
        store(stream, b"by%d" % number, b"%d" % number)
    for stream in streams:
        for number in range(len(streams)):
            exchange(stream, b"get by%d\r\n" % number, fetched(b"by%d" % number, b"%d" % number))
    for stream in streams:
        stream.close()


@test(appliance_only=True)
def counter_raised_over_both_workers_loses_nothing(target):
    streams = [target.connect() for _ in range(32)]
    store(streams[0], b"count", b"0")
    for stream in streams:
        stream.sendall(b"incr count 1\r\n" * 100)
    answers = []
    for stream in streams:
        lines = []
        while len(lines) < 100:
            lines += appliance.read_until(stream, b"\r\n").split()
        answers += [int(line) for line in lines]
        stream.close()
    assert sorted(answers) == list(range(1, len(streams) * 100 + 1))


@test(appliance_only=True)
def ping_and_both_families_work_with_two_queues(target):
    for host in [appliance.WIRE4] + ([appliance.WIRE6] if appliance.ipv6_possible() else []):
        appliance.must("ping", "-c", "10", "-w", "60", "-i", "0.02", host)
        for _ in range(16):
            with target.connect(host) as stream:
                store(stream, b"two", b"queues")


@test(appliance_only=True)
def watcher_sees_what_happens_on_both_workers(target):
    streams = [target.connect() for _ in range(16)]
    with target.connect() as watcher:
        watcher.sendall(b"watch fetchers mutations\r\n")
        assert appliance.read_exactly(watcher, 4) == b"OK\r\n"
        for stream in streams:  # a worker that looks away may take a pass until it knows
            exchange(stream, b"mn\r\n", b"MN\r\n")
        for number, stream in enumerate(streams):
            store(stream, b"seen%d" % number, b"x")
            appliance.exchange(stream, b"get seen%d\r\n" % number, appliance.fetched(b"seen%d" % number, b"x"))
        lines = b""
        while lines.count(b"\n") < 2 * len(streams):
            piece = watcher.recv(65536)
            assert piece, f"closed after {lines!r}"
            lines += piece
        for number in range(len(streams)):
            assert b"type=item_store key=seen%d status=stored cmd=set" % number in lines, lines
            assert b"type=item_get key=seen%d status=found" % number in lines, lines
    for stream in streams:
        with stream:
            appliance.exchange(stream, b"mn\r\n", b"MN\r\n")


if __name__ == "__main__":
    appliance.main({"workers": {"count": "2", "cpus": "{0},{0}".format(min(os.sched_getaffinity(0)))}})
