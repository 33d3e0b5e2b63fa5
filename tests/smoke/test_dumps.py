#!/usr/bin/python3
"""Looking inside a running cache: dumps of all keys, and memcached-tool as Debian ships it."""
import os
import re
import select
import urllib.parse

import appliance
from appliance import exchange, fetched, must, read_until, store, test

TOOL = "/usr/share/memcached/scripts/memcached-tool"
META_LINE = re.compile(rb"key=(\S+) exp=(-?\d+) la=(\d+) cas=(\d+) fetch=(yes|no) cls=\d+ size=(\d+)( flags=(\d+))? ?$")
MANY = 200_000


def tool(*arguments):
    if not os.path.exists(TOOL):
        raise appliance.Skip("memcached-tool is not installed")
    return must("perl", TOOL, f"{appliance.WIRE4}:{appliance.PORT}", *arguments).decode()


def fill(stream, count, prefix=b"dump"):
    """Stores count small items without waiting for each; ends when all are there."""
    for first in range(0, count, 10_000):
        stream.sendall(b"".join(b"set %s%d 0 0 1 noreply\r\nx\r\n" % (prefix, i)
                                for i in range(first, min(first + 10_000, count))))
    exchange(stream, b"mn\r\n", b"MN\r\n")


def empty(stream):
    exchange(stream, b"flush_all\r\n", b"OK\r\n")


def dumped(answer):
    """Keys of a metadump, each of its lines checked."""
    lines = answer.split(b"\n")
    assert lines[-2:] == [b"END\r", b""], f"the dump ends with {lines[-2:]}"
    lines = lines[:-2]
    if lines and lines[0] == b"OK\r":
        lines = lines[1:]
    matches = [META_LINE.match(line) for line in lines]
    assert all(matches), f"no line of a dump: {lines[matches.index(None)]}"
    return [urllib.parse.unquote_to_bytes(match.group(1)) for match in matches]


@test
def metadump_lists_every_key_once(target):
    with target.connect() as stream:
        empty(stream)
        names = [b"plain", b"with%percent", b"\x01\xff", b"a:b/c"]
        for name in names:
            store(stream, name, b"value")
        stream.sendall(b"lru_crawler metadump all\r\n")
        assert sorted(dumped(read_until(stream, b"END\r\n"))) == sorted(names)


@test
def dump_of_many_items_waits_for_a_reader_and_holds_up_nobody(target):
    with target.connect() as stream, target.connect() as other:
        empty(stream)
        fill(stream, MANY)
        stream.sendall(b"lru_crawler metadump all\r\n")
        select.select([stream], [], [], 30)  # it has begun, and nobody reads
        for number in range(2000):
            exchange(other, b"get dump%d\r\n" % number, fetched(b"dump%d" % number, b"x"))
        keys = dumped(read_until(stream, b"END\r\n"))
        assert len(keys) == MANY, f"{len(keys)} of {MANY} keys"
        assert set(keys) == {b"dump%d" % i for i in range(MANY)}
        exchange(stream, b"mn\r\n", b"MN\r\n")


@test(appliance_only=True)
def mgdump_is_a_script_that_fetches_everything(target):
    with target.connect() as stream:
        empty(stream)
        fill(stream, 1000)
        stream.sendall(b"lru_crawler mgdump hash\r\n")
        answer = read_until(stream, b"EN\r\n")
        assert answer.startswith(b"OK\r\n")
        commands = answer[4:-4]
        assert commands.count(b"\r\n") == 1000
        stream.sendall(commands + b"mn\r\n")
        assert read_until(stream, b"MN\r\n") == b"HD\r\n" * 1000 + b"MN\r\n"


@test(appliance_only=True)
def several_dumps_run_at_once(target):
    streams = [target.connect() for _ in range(4)]
    empty(streams[0])
    fill(streams[0], 20_000)
    for stream in streams:
        stream.sendall(b"lru_crawler metadump all\r\n")
    for stream in streams:
        assert len(dumped(read_until(stream, b"END\r\n"))) == 20_000
        stream.close()


@test
def client_that_leaves_during_a_dump_does_no_harm(target):
    with target.connect() as stream:
        empty(stream)
        fill(stream, 50_000)
    for _ in range(5):
        with target.connect() as stream:
            stream.sendall(b"lru_crawler metadump all\r\n")
            stream.recv(100)
    with target.connect() as stream:
        exchange(stream, b"get dump1\r\n", fetched(b"dump1", b"x"))
    assert target.alive()


@test
def memcached_tool_shows_stats_and_settings(target):
    with target.connect() as stream:
        store(stream, b"tool", b"value")
    assert re.search(r"curr_items\s+\d+", tool("stats"))
    assert re.search(r"maxbytes\s+\d+", tool("settings"))
    assert "No" in tool("display") or "#" in tool("display")
    assert "sizes_status" in tool("sizes") or "Size" in tool("sizes")


@test
def memcached_tool_dump_gives_back_what_was_stored(target):
    with target.connect() as stream:
        empty(stream)
        for number in range(20):
            store(stream, b"tool%d" % number, b"value of %d" % number)
    text = tool("dump")
    for number in range(20):
        value = f"value of {number}"
        assert re.search(rf"add tool{number} 0 \d+ {len(value)}\r?\n{value}\r?\n", text), f"tool{number} is missing"


if __name__ == "__main__":
    appliance.main()
