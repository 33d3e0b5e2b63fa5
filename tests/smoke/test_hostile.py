#!/usr/bin/python3
"""Clients that mean harm, and what has to hold afterwards: a fresh client is served, and nothing of theirs is kept."""
import os
import random
import socket
import struct
import threading

import appliance
from appliance import PORT, WIRE4, exchange, fetched, read_exactly, read_until, store, wait_for
from hostile import (ETHER_ARP, ETHER_IP4, ETHER_IP6, ETHER_VLAN, Wire, counter, harmless, icmp4, ip4, reset, send_some,
                     serves, slow_reader, worker_sum)

MORE_FRAGMENTS = 0x2000
FRAGMENTS_HELD_MAX = 1024  # packet buffers: 2 MiB of reassembly at their true size
UDP_REPLY_DATAGRAMS_MAX = 1024


# ---- frames ----------------------------------------------------------------------------------------------------------


@harmless
def random_frames_change_nothing(_target):
    wire, rng = Wire(), random.Random(1)
    for _ in range(3000):
        wire.send(rng.choice([ETHER_IP4, ETHER_IP6, ETHER_ARP, ETHER_VLAN, rng.getrandbits(16)]),
                  rng.randbytes(rng.choice([1, 13, 19, 20, 27, 28, 39, 40, 41, 60, 100, 1500])),
                  rng.choice([None, b"\xff" * 6, b"\x33\x33\0\0\0\1"]))


@harmless
def broken_headers_change_nothing(_target):
    wire, rng = Wire(), random.Random(2)
    for _ in range(3000):
        body = rng.randbytes(rng.randrange(120))
        quoted = ip4(6, struct.pack("!HHI", PORT, rng.getrandbits(16), rng.getrandbits(32)))[:rng.randrange(29)]
        wire.send(ETHER_IP4, rng.choice([
            ip4(rng.choice([1, 6, 17, rng.getrandbits(8)]), body, total=rng.choice([None, 0, 19, 20, 21, 65535]),
                head=rng.choice([0x45, 0x45, 0x40, 0x44, 0x46, 0x4F, 0x65])),
            ip4(6, struct.pack("!HHIIBBHHH", 1, PORT, 0, 0, rng.getrandbits(8), rng.getrandbits(8), 0, 0, 0) + body),
            ip4(17, struct.pack("!HHHH", 1, PORT, rng.choice([0, 7, 8, 9, 65535]), 0) + body),
            ip4(1, icmp4(rng.choice([0, 3, 5, 8, 11, 12]), rng.choice([0, 3, 4]), rng.choice([0, 68, 576]), quoted)),
        ]))


@harmless
def fragments_that_never_fit_are_bounded_and_forgotten(target):
    wire, rng = Wire(), random.Random(3)
    before = worker_sum(target, "mbufs_free")
    for ident in range(2000):
        for _ in range(rng.randrange(1, 6)):
            offset = rng.choice([0, 8, 16, 184, 1480, 65512])
            wire.send(ETHER_IP4, ip4(17, rng.randbytes(rng.choice([8, 16, 64, 1400])), ident,
                                     rng.choice([MORE_FRAGMENTS, MORE_FRAGMENTS, 0]) | offset // 8))
    assert before - worker_sum(target, "mbufs_free") <= FRAGMENTS_HELD_MAX
    serves(target)


# ---- datagrams -------------------------------------------------------------------------------------------------------


@harmless
def datagram_full_of_large_gets_is_answered_like_one(target):
    with target.connect() as stream:
        store(stream, b"large", bytes(500_000))
    before = counter(target, "workers", "udp_messages")
    dropped = counter(target, "workers", "udp_reply_dropped")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.connect((WIRE4, PORT))
        sock.send(struct.pack("!HHHH", 1, 0, 1, 0) + b"get large\r\n" * 5000)
        wait_for(lambda: counter(target, "workers", "udp_reply_dropped") > dropped, "the rest to be dropped")
    answered = counter(target, "workers", "udp_messages") - before
    assert 1 <= answered <= UDP_REPLY_DATAGRAMS_MAX * 1392 // 500_000, f"{answered} replies of half a megabyte"


# ---- streams ---------------------------------------------------------------------------------------------------------


@harmless
def half_close_at_every_byte_is_answered_and_ends(target):
    requests = b"set half 0 0 4\r\nabcd\r\nget half\r\nmg half v\r\nbogus\r\n"
    answers = b"STORED\r\nVALUE half 0 4\r\nabcd\r\nEND\r\nVA 4\r\nabcd\r\nERROR\r\n"
    for cut in range(len(requests) + 1):
        with target.connect() as stream:
            stream.sendall(requests[:cut])
            stream.shutdown(socket.SHUT_WR)
            got = appliance.read_to_eof(stream)
            assert answers.startswith(got), f"half closed after {cut} bytes: {got!r}"
    assert got == answers


@harmless
def random_commands_then_resets_leave_nothing(target):
    rng = random.Random(4)
    words = [b"get", b"set k 0 0 5", b"ms k 5", b"mg k v", b"ma k N0", b"incr k 1", b"gat 0 k", b"k", b"-1", b"noreply",
             b"\x80\x01", b"stats", b"18446744073709551616", b"k" * 251, b"\0", b"append k 0 0 2000000", b"quit"]
    for _ in range(150):
        stream = target.connect()
        data = b"".join(rng.choice(words) + rng.choice([b" ", b"\r\n", b"\n"]) for _ in range(rng.randrange(1, 200)))
        if rng.random() < 0.3:
            data = b"\x80" + rng.randbytes(len(data))
        while data:
            cut = rng.choice([1, 10, 100, 1000])
            send_some(stream, data[:cut])
            data = data[cut:]
        reset(stream)


@harmless
def values_that_never_end_are_given_up_with_their_connections(target):
    streams = [target.connect() for _ in range(150)]
    for number, stream in enumerate(streams):
        stream.sendall(b"set never%d 0 0 %d\r\n" % (number, 900_000 if number % 2 else 900))
        stream.sendall(bytes(100_000 if number % 2 else 100))
    for stream in streams:
        stream.sendall(b"x")
    serves(target)
    for stream in streams[::2]:
        reset(stream)
    for stream in streams[1::2]:
        stream.close()
    with target.connect() as stream:
        exchange(stream, b"get never0 never1\r\n", b"END\r\n")


@harmless
def clients_that_never_read_hold_little_and_stop_nobody(target):
    value = os.urandom(1000) * 1000
    with target.connect() as stream:
        for number in range(4):
            store(stream, b"unread%d" % number, value)
    streams = [slow_reader() for _ in range(100)]
    for stream in streams:
        stream.sendall(b"get " + b"unread0 unread1 unread2 unread3 " * 20 + b"\r\n")
    serves(target)
    for stream in streams[:50]:
        stream.recv(5000)
        reset(stream)
    for stream in streams[50:]:
        stream.shutdown(socket.SHUT_WR)
        reset(stream)


@harmless
def value_being_sent_survives_flush_and_eviction(target):
    value = os.urandom(1000) * 1000
    answer = fetched(b"kept", value)
    with target.connect() as writer, slow_reader() as reader:
        store(writer, b"kept", value)
        reader.sendall(b"get kept\r\n")
        assert read_exactly(reader, 1000) == answer[:1000]
        for number in range(150):  # more than the cache holds
            store(writer, b"over%d" % number, os.urandom(1000) * 1000)
        exchange(writer, b"flush_all\r\n", b"OK\r\n")
        assert read_exactly(reader, len(answer) - 1000) == answer[1000:]


@harmless
def smallest_cache_under_large_sets_never_gives_wrong_bytes(target):
    wrong, value = [], os.urandom(999) * 1000

    def client(number):
        with target.connect() as stream:
            for turn in range(8):
                key = b"tight%d-%d" % (number, turn)
                stream.sendall(b"set %s 0 0 %d\r\n" % (key, len(value)) + value + b"\r\n")
                answer = read_until(stream, b"\r\n")
                stream.sendall(b"get %s\r\n" % key)
                got = read_until(stream, b"END\r\n")
                if got not in (b"END\r\n", fetched(key, value)) or answer not in (
                        b"STORED\r\n", b"SERVER_ERROR out of memory storing object\r\n"):
                    wrong.append((answer, got[:100]))

    with target.connect() as stream:
        exchange(stream, b"cache_memlimit 8\r\n", b"OK\r\n")
    threads = [threading.Thread(target=client, args=(number,)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with target.connect() as stream:
        exchange(stream, b"cache_memlimit 128\r\n", b"OK\r\n")
    assert not wrong, wrong[:3]


@harmless
def connections_that_come_and_go_are_all_forgotten(target):
    def client(number):
        for turn in range(150):
            stream = target.connect()
            send_some(stream, (b"get a\r\n" * 3 + b"set c 0 0 5\r\nab")[:(number * 7 + turn) % 36])
            (reset if turn % 2 else socket.socket.close)(stream)

    threads = [threading.Thread(target=client, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


if __name__ == "__main__":
    appliance.main()
