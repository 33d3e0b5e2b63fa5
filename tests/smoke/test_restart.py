#!/usr/bin/python3
"""Warm restart of the real appliance: what a stop in order keeps, and that a kill keeps nothing and is told."""
import contextlib
import glob
import os
import re
import signal
import time

import appliance
from appliance import Appliance, exchange, fetched, read_until, store, test

KEPT = {"memory": {"limit": "64m", "hugepages": "off", "warm_restart": "yes"}}
KEYS = 500


@contextlib.contextmanager
def prepared(options=None):
    """An appliance that is not started yet; whatever it leaves is removed."""
    target = Appliance(options or KEPT)
    try:
        yield target
    finally:
        if target.alive():
            target.stop()
        for path in files_of(target):
            os.unlink(path)
        target.remove()


def files_of(target):
    return sorted(glob.glob(f"/dev/shm/{target.file_prefix}.items.*"))


def value_of(number):
    return b"%d " % number * (number % 300)


def start_of(target):
    """How the cache began, as `store show` tells it."""
    shown = target.json("store", "show")
    return shown["start"], shown.get("start_reason")


def gets(stream, key):
    """The answer's first line, which ends in the CAS."""
    stream.sendall(b"gets %s\r\n" % key)
    return read_until(stream, b"END\r\n").split(b"\r\n")[0]


@test
def sigterm_and_start_keep_every_item_with_its_cas(_target):
    with prepared() as target:
        target.start()
        assert start_of(target) == ("empty", "nothing was kept from before"), start_of(target)
        with target.connect() as stream:
            for number in range(KEYS):
                store(stream, b"key-%d" % number, value_of(number))
            store(stream, b"large", b"x" * 900_000)
            exchange(stream, b"set short 0 1 2\r\nhi\r\n", b"STORED\r\n")
            exchange(stream, b"set long 5 1000 2\r\nho\r\n", b"STORED\r\n")
            before = gets(stream, b"key-7")
        assert target.stop() == 0, target.log_tail()
        assert len(files_of(target)) == 1, files_of(target)
        time.sleep(2)  # the time away counts
        target.start()
        state, reason = start_of(target)
        assert state == "warm" and re.match(r"50\d items of \d+ MiB were kept for \d+ s", reason), (state, reason)
        with target.connect() as stream:
            for number in range(KEYS):
                exchange(stream, b"get key-%d\r\n" % number, fetched(b"key-%d" % number, value_of(number)))
            exchange(stream, b"get large\r\n", fetched(b"large", b"x" * 900_000))
            exchange(stream, b"get short\r\n", b"END\r\n")
            exchange(stream, b"get long\r\n", b"VALUE long 5 2\r\nho\r\nEND\r\n")
            assert gets(stream, b"key-7") == before
            store(stream, b"new", b"item")
            assert int(gets(stream, b"new").split()[-1]) > int(before.split()[-1])
        assert "restart      warm: " in target.log_tail(), target.log_tail()
        assert target.stop() == 0


@test
def unfinished_requests_at_the_stop_spoil_nothing(_target):
    with prepared() as target:
        target.start()
        with target.connect() as stream, target.connect() as half:
            half.sendall(b"set half 0 0 500000\r\n" + b"h" * 200_000)
            store(stream, b"k", b"v")
            assert target.stop() == 0, target.log_tail()
        target.start()
        assert start_of(target)[0] == "warm", start_of(target)
        with target.connect() as stream:
            exchange(stream, b"get k\r\nget half\r\n", fetched(b"k", b"v") + b"END\r\n")


@test
def kill_starts_empty_and_says_so(_target):
    with prepared() as target:
        target.start()
        with target.connect() as stream:
            store(stream, b"k", b"v")
        assert target.stop(signal.SIGKILL) == -signal.SIGKILL
        appliance.wait_for(lambda: not appliance.has_interface(appliance.INTERFACE), "the interface's end")
        target.start()
        state, reason = start_of(target)
        assert state == "empty" and "ended without stopping in order" in reason, (state, reason)
        said = target.wirectl("status").stdout.decode()
        assert "warm restart" in said and "ended without stopping in order" in said, said
        with target.connect() as stream:
            exchange(stream, b"get k\r\n", b"END\r\n")
        assert target.stop() == 0


@test
def switched_off_the_files_are_removed(_target):
    with prepared() as target:
        target.start()
        assert target.stop() == 0
        assert files_of(target)
        target.options = {"memory": {"warm_restart": "no"}}
        target.start()
        assert not files_of(target)
        assert start_of(target) == ("plain", None)


@test
def changed_limit_starts_empty_and_says_so(_target):
    with prepared() as target:
        target.start()
        with target.connect() as stream:
            store(stream, b"k", b"v")
        assert target.stop() == 0
        target.options = {"memory": {**KEPT["memory"], "limit": "96m"}}
        target.start()
        assert start_of(target) == ("empty", "the memory of a node was 64 MiB and is 96 MiB now"), start_of(target)


if __name__ == "__main__":
    appliance.main_standalone()
