#!/usr/bin/python3
"""What is told of a running cache on the data port: keys by prefix, watchers, and the memory limit changed under load."""
import contextlib
import os
import re
import threading

import appliance
from appliance import exchange, fetched, read_exactly, read_to_eof, read_until, store, test

MIB = 1 << 20
EVICTION = re.compile(rb"ts=\d+\.\d+ gid=\d+ type=eviction key=(\S+) fetch=(yes|no) ttl=(-?\d+) la=\d+ clsid=\d+ size=(\d+)\n")
CONNECTION = re.compile(rb"ts=\d+\.\d+ gid=\d+ type=(conn_new|conn_close) rip=(\S+) rport=(\d+) transport=tcp "
                        rb"(reason=(\w+) )?cfd=\d+\n")


def watch(stream, events):
    stream.sendall(b"watch " + events + b"\r\n")
    assert read_exactly(stream, 4) == b"OK\r\n"


def lines_until(stream, wanted):
    """All that a watcher is told until wanted() of it holds."""
    text = b""
    while not wanted(text):
        piece = stream.recv(65536)
        assert piece, f"closed after {text[-300:]!r}"
        text += piece
    return text


def fill(stream, first, count, value):
    """Stores items, every one of which has to be taken."""
    for at in range(first, first + count, 100):
        stream.sendall(b"".join(b"set fill%d 0 0 %d\r\n%s\r\n" % (i, len(value), value) for i in range(at, at + 100)))
        assert read_exactly(stream, 800) == b"STORED\r\n" * 100


@test(appliance_only=True)
def prefixes_are_counted_over_all_workers(target):
    streams = [target.connect() for _ in range(16)]
    exchange(streams[0], b"stats detail on\r\n", b"OK\r\n")
    assert target.stats("settings")["detail_enabled"] == "yes"
    for stream in streams:  # a worker that looks away may take a pass until it knows
        exchange(stream, b"mn\r\n", b"MN\r\n")
    exchange(streams[0], b"stats reset\r\n", b"RESET\r\n")
    for number, stream in enumerate(streams):
        store(stream, b"user:%d" % number, b"x")
        exchange(stream, b"get user:%d\r\n" % number, fetched(b"user:%d" % number, b"x"))
    exchange(streams[1], b"stats detail dump\r\n", b"PREFIX user get 16 hit 16 set 16 del 0\r\nEND\r\n")
    exchange(streams[1], b"stats detail off\r\n", b"OK\r\n")
    assert target.stats("settings")["detail_enabled"] == "no"
    exchange(streams[1], b"stats reset\r\n", b"RESET\r\n")
    for stream in streams:
        exchange(stream, b"stats detail dump\r\n", b"END\r\n")
        stream.close()


@test
def connections_are_told_to_a_watcher(target):
    with target.connect() as watcher:
        watch(watcher, b"connevents")
        with target.connect() as stream:
            exchange(stream, b"mn\r\n", b"MN\r\n")
            port = b"rport=%d " % stream.getsockname()[1]
            address = stream.getsockname()[0].encode()
        text = lines_until(watcher, lambda text: text.count(port) == 2 and text.endswith(b"\n"))
        mine = [match for match in CONNECTION.finditer(text) if port in match.group(0)]
        assert [match.group(1) for match in mine] == [b"conn_new", b"conn_close"], text
        assert all(match.group(2) == address for match in mine), text
        assert mine[1].group(5) == b"normal", text


@test
def why_connections_end_is_told_to_a_watcher(target):
    """An end that the client asked for is normal, one for what it sent an error."""
    for sent, reason in ((b"quit\r\n", b"normal"), (b"x" * 3000, b"error"), (b"GET / HTTP/1.1\r\n", b"error"),
                         (b"\x80" + bytes(23), b"error")):
        with target.connect() as watcher:
            watch(watcher, b"connevents")
            with target.connect() as stream:
                port = b"rport=%d " % stream.getsockname()[1]
                stream.sendall(sent)
                with contextlib.suppress(ConnectionResetError):  # when not all of it had come
                    read_to_eof(stream)
            text = lines_until(watcher, lambda text, port=port: text.count(port) == 2 and text.endswith(b"\n"))
            told = [match.group(5) for match in CONNECTION.finditer(text) if port in match.group(0)]
            assert told == [None, reason], (sent[:20], text)


@test
def evictions_are_told_to_a_watcher(target):
    with target.connect() as watcher, target.connect() as stream:
        watch(watcher, b"evictions")
        before = int(target.stats()["evictions"])
        fill(stream, 0, 1500, b"v" * 100_000)
        text = lines_until(watcher, lambda text: EVICTION.search(text) and text.endswith(b"\n"))
        found = EVICTION.search(text)
        assert found.group(1).startswith(b"fill") and found.group(4) == b"100000", found.group(0)
        assert int(target.stats()["evictions"]) > before
        stream.sendall(b"get %s\r\n" % found.group(1))
        assert read_until(stream, b"END\r\n") == b"END\r\n"


@test(appliance_only=True)
def memory_limit_lowered_under_load_refuses_nobody(target):
    """Two writers go on all the time; what they store is taken, and the items give way."""
    failures = []

    def write(name):
        try:
            with target.connect() as stream:
                for at in range(name, name + 60_000, 100):
                    fill(stream, at, 100, b"w" * 2000)
        except AssertionError as error:
            failures.append(error)

    writers = [threading.Thread(target=write, args=(number * 100_000,)) for number in range(2)]
    with target.connect() as stream:
        fill(stream, 500_000, 40_000, b"w" * 2000)
        before = int(target.stats()["bytes"])
        assert before > 64 * MIB, before
        for writer in writers:
            writer.start()
        for megabytes in (96, 64, 32):
            exchange(stream, b"cache_memlimit %d\r\n" % megabytes, b"OK\r\n")
        assert int(target.stats()["limit_maxbytes"]) == 32 * MIB
        for writer in writers:
            writer.join()
        assert not failures, failures[0]
        assert int(target.stats()["bytes"]) <= 32 * MIB
        exchange(stream, b"cache_memlimit 128\r\n", b"OK\r\n")
        fill(stream, 700_000, 40_000, b"w" * 2000)
        assert int(target.stats()["bytes"]) > 64 * MIB
        assert int(target.stats()["store_no_memory"]) == 0


if __name__ == "__main__":
    appliance.main({"workers": {"count": "2", "cpus": "{0},{0}".format(min(os.sched_getaffinity(0)))}})
