#!/usr/bin/python3
"""A value of 100 MiB with memory.item_max = 128m: stored and read over TCP, in pieces, without a second copy of it."""
import hashlib

import appliance
from appliance import Skip, exchange, note, read_exactly, read_until, test

MIB = 1 << 20
VALUE_BYTES = 100 * MIB
LIMIT_MIB = 512
# Room for the cache, this program's few blocks and what the machine needs besides.
NEEDED_MIB = LIMIT_MIB + 512
# The daemon may hold the value once and what a connection buffers; a second copy of it would be beyond that.
GROWTH_MIB_MAX = 150


def blocks(seed):
    """The value, a megabyte at a time, no two the same: this side never holds it as a whole either."""
    first = hashlib.shake_128(b"%d" % seed).digest(MIB)
    for number in range(VALUE_BYTES // MIB):
        yield number.to_bytes(8, "big") + first[8:]


def available_mib():
    with open("/proc/meminfo", encoding="ascii") as info:
        return next(int(line.split()[1]) >> 10 for line in info if line.startswith("MemAvailable:"))


def resident_mib(target, field):
    with open(f"/proc/{target.process.pid}/status", encoding="ascii") as status:
        return next(int(line.split()[1]) >> 10 for line in status if line.startswith(field + ":"))


def need_memory():
    if available_mib() < NEEDED_MIB:
        raise Skip(f"less than {NEEDED_MIB} MiB of memory are free")


def send_value(stream, key, seed):
    stream.sendall(b"set %s 7 0 %d\r\n" % (key, VALUE_BYTES))
    for block in blocks(seed):
        stream.sendall(block)
    exchange(stream, b"\r\n", b"STORED\r\n")


def expect_value(stream, key, seed):
    stream.sendall(b"get %s\r\n" % key)
    head = b"VALUE %s 7 %d\r\n" % (key, VALUE_BYTES)
    assert read_exactly(stream, len(head)) == head
    for number, block in enumerate(blocks(seed)):
        assert read_exactly(stream, MIB) == block, f"megabyte {number} came back changed"
    assert read_until(stream, b"END\r\n") == b"\r\nEND\r\n"


@test(appliance_only=True)
def hundred_megabytes_are_stored_and_read_without_a_second_copy(target):
    need_memory()
    with target.connect(timeout_s=60) as stream:
        before = resident_mib(target, "VmRSS")
        send_value(stream, b"huge", 1)
        expect_value(stream, b"huge", 1)
        grown = resident_mib(target, "VmHWM") - before
        note(f"resident memory grew by {grown} MiB at most")
        assert grown <= GROWTH_MIB_MAX, f"a value of {VALUE_BYTES // MIB} MiB took {grown} MiB"


@test(appliance_only=True)
def replaced_hundred_megabytes_give_their_room_back(target):
    """More is written than the cache holds."""
    need_memory()
    with target.connect(timeout_s=60) as stream:
        for seed in range(2, 8):
            send_value(stream, b"huge", seed)
        expect_value(stream, b"huge", 7)


@test(appliance_only=True)
def value_above_the_limit_is_swallowed_and_refused(target):
    with target.connect(timeout_s=60) as stream:
        stream.sendall(b"set over 0 0 %d\r\n" % (128 * MIB))
        for _ in range(128):
            stream.sendall(bytes(MIB))
        exchange(stream, b"\r\nget over\r\n", b"SERVER_ERROR object too large for cache\r\nEND\r\n")


if __name__ == "__main__":
    appliance.main({"memory": {"limit": f"{LIMIT_MIB}m", "item_max": "128m"}})
