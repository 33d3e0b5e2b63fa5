#!/usr/bin/python3
"""The binary protocol against Debian's memcached: the same seeded requests to both, the same replies from both.

DIFFERENTIAL_SEED and DIFFERENTIAL_COMMANDS choose other requests and more of them. CAS values differ from server to
server, so each gets back its own, and only whether there is one is compared.
"""
import contextlib
import os
import random
import socket
import struct
import subprocess

import appliance
from appliance import read_exactly, test

SEED = int(os.environ.get("DIFFERENTIAL_SEED", "1"))
COMMANDS = int(os.environ.get("DIFFERENTIAL_COMMANDS", "20000"))
BATCH = 50
REFERENCE_PORT = 11311
HEADER = struct.Struct("!BBHBBHIIQ")
NOOP, MARK = 0x0A, 0xFFFFFFFF
NEVER = 1 << 61  # a CAS that neither of them gives

KEYS = [b"k%d" % i for i in range(12)] + [b"x" * 250, b"\xff\x00\r\n", b"key:with:colon"]
VALUES = [b"", b"a", b"5", b"10", b"00010", b" 7", b"12  ", b"18446744073709551615", b"99999999999999999999", b"abc",
          b"\r\n\0\xff" * 5, b"v" * 400, b"w" * 5000, b"y" * 20000]
# Appended and prepended: nothing that makes "12  www...", which counts as a number in memcached however long it is.
SHORT = [value for value in VALUES if len(value) < 1000 and b" " not in value]
NUMBERS = [0, 1, 2, 10, 1 << 32, (1 << 63), (1 << 64) - 1]
EXPIRATIONS = [0, 0, 0, 1000, 2592000, 2592001, 0xFFFFFFFF, 0x80000000]
FLAGS = [0, 1, 0xFFFF, 0xFFFFFFFF]
STORE, JOIN, DELTA, TOUCH = (0x01, 0x02, 0x03, 0x11, 0x12, 0x13), (0x0E, 0x0F, 0x19, 0x1A), (0x05, 0x06, 0x15, 0x16), \
    (0x1C, 0x1D, 0x1E, 0x23, 0x24)
PLAIN = (0x00, 0x09, 0x0C, 0x0D, 0x04, 0x14)


def packet(opcode, key=b"", extras=b"", value=b"", opaque=0, cas=0):
    body = extras + key + value
    return HEADER.pack(0x80, opcode, len(key), len(extras), 7, 99, len(body), opaque, cas) + body


class Server:
    """One of the two, with the CAS that it last told of each key."""

    def __init__(self, address):
        self.address = address
        self.stream = self.connect()
        self.cas = {}

    def connect(self):
        stream = socket.create_connection(self.address, timeout=60)
        stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return stream

    def play(self, requests):
        """Sends requests, returns what was answered up to a no-op behind them."""
        keys = {opaque: key for opaque, (_, key, _, _, _) in enumerate(requests)}
        data = b"".join(packet(opcode, key, extras, value, opaque, self.cas.get(key, NEVER) if cas == "last" else cas)
                        for opaque, (opcode, key, extras, value, cas) in enumerate(requests))
        self.stream.sendall(data + packet(NOOP, opaque=MARK))
        replies = []
        while True:
            magic, opcode, key_len, extras_len, kind, status, body_len, opaque, cas = \
                HEADER.unpack(read_exactly(self.stream, HEADER.size))
            body = read_exactly(self.stream, body_len)
            if opaque == MARK:
                return replies
            if cas:
                self.cas[keys[opaque]] = cas
            replies.append((magic, opcode, key_len, extras_len, kind, status, opaque, cas != 0, body))


def draw(rng):
    """One well-formed request: opcode, key, extras, value, CAS."""
    kind, key = rng.random(), rng.choice(KEYS)
    cas = rng.choice([0, 0, 0, 0, "last", "last", 1 << 60])
    if kind < 0.30:
        extras = struct.pack("!II", rng.choice(FLAGS), rng.choice(EXPIRATIONS))
        return rng.choice(STORE), key, extras, rng.choice(VALUES), cas
    if kind < 0.42:
        return rng.choice(JOIN), key, b"", rng.choice(SHORT), cas
    if kind < 0.58:
        extras = struct.pack("!QQI", rng.choice(NUMBERS), rng.choice(NUMBERS), rng.choice(EXPIRATIONS))
        return rng.choice(DELTA), key, extras, b"", cas
    if kind < 0.72:
        return rng.choice(TOUCH), key, struct.pack("!I", rng.choice(EXPIRATIONS)), b"", 0
    if kind < 0.97:
        return rng.choice(PLAIN), key, b"", b"", cas
    if kind < 0.98:
        return rng.choice([0x08, 0x18]), b"", rng.choice([b"", bytes(4)]), b"", 0
    return rng.choice([0x0A, 0x20, 0x25, 0x30, 0x40, 0x90, 0xFF]), b"", b"", b"", 0


def draw_batch(rng):
    """
    One request, or many at once without numbers: while a reply with an item is on its way memcached does not count in
    place, and a number that becomes shorter is not padded then.
    """
    if rng.random() < 0.95:
        return [draw(rng)]
    return [request for request in (draw(rng) for _ in range(BATCH)) if request[0] not in DELTA]


def draw_broken(rng):
    """A header that often contradicts itself, and a body of what it announces."""
    opcode = rng.choice(STORE + JOIN + DELTA + TOUCH + PLAIN + (0x07, 0x08, 0x0A, 0x0B, 0x17, 0x18, 0x20))
    key_len, extras_len = rng.choice([0, 0, 1, 5, 250, 251, 300]), rng.choice([0, 0, 4, 8, 20])
    body_len = max(0, key_len + extras_len + rng.choice([-1, 0, 0, 0]))
    return HEADER.pack(0x80, opcode, key_len, extras_len, 0, 0, body_len, 5, 0) + b"a" * (key_len + extras_len)


def same(left, right):
    """An incr of an empty value with a wrong CAS has two faults: memcached tells of the number, we of the CAS."""
    return left == right or (left[1] in DELTA and (left[5], right[5]) == (6, 2))


@contextlib.contextmanager
def reference():
    with subprocess.Popen(["memcached", "-u", "root", "-l", "127.0.0.1", "-p", str(REFERENCE_PORT), "-U", "0",
                           "-m", "64", "-o", "no_lru_maintainer,no_lru_crawler"],
                          stdin=subprocess.DEVNULL, preexec_fn=appliance.die_with_parent) as process:
        address = ("127.0.0.1", REFERENCE_PORT)
        try:
            def ready():
                try:
                    socket.create_connection(address, timeout=5).close()
                    return True
                except OSError:
                    return False
            appliance.wait_for(ready, "the reference")
            yield address
        finally:
            process.terminate()


@test
def seeded_requests_get_the_same_replies(_target):
    rng = random.Random(SEED)
    with reference() as address:
        theirs, ours = Server(address), Server((appliance.WIRE4, appliance.PORT))
        flush = [(0x08, b"", b"", b"", 0)]
        assert theirs.play(flush) == ours.play(flush)
        done = 0
        while done < COMMANDS:
            requests = draw_batch(rng)
            expected, got = theirs.play(requests), ours.play(requests)
            for left, right in zip(expected, got):
                assert same(left, right), (f"seed {SEED}, request {done + left[6]}: {requests[left[6]]!r}\n"
                                           f"memcached {left!r}\nwirecache {right!r}")
            assert len(expected) == len(got), (f"seed {SEED}, requests from {done}: {requests!r}\n"
                                               f"memcached {expected!r}\nwirecache {got!r}")
            done += len(requests)


@test
def broken_headers_get_the_same_end(_target):
    rng = random.Random(SEED)
    with reference() as address:
        theirs, ours = Server(address), Server((appliance.WIRE4, appliance.PORT))
        for number in range(300):
            request = draw_broken(rng)
            ends = []
            for server in (theirs, ours):
                with server.connect() as stream:
                    stream.sendall(request)
                    stream.shutdown(socket.SHUT_WR)
                    data = b""
                    try:
                        data = appliance.read_to_eof(stream)
                    except ConnectionResetError:
                        pass  # closed with bytes unread: how much came before is chance
                    ends.append(data[:16])
            if HEADER.unpack_from(request)[1] != 0x0B:  # the version is each one's own
                assert not all(ends) or ends[0] == ends[1], f"header {number}: {request[:24].hex()}: {ends!r}"


if __name__ == "__main__":
    appliance.main()
